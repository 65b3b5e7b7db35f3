//! The rules one by one, each on the smallest DAG that shows it.

use super::drawing::{Answer, Drawing};
use super::production::Run;
use super::{generate, oracle, production};

/// One row of a table: a DAG, its leaders, and what is decided.
struct Row {
    why: &'static str,
    committee: &'static str,
    dag: &'static [&'static str],
    leaders: &'static str,
    decisions: &'static str,
    sequence: &'static str,
}

impl Row {
    fn drawing(&self) -> Drawing {
        Drawing::parse(self.committee, self.leaders, &self.dag.join("\n"))
    }

    fn check(&self) {
        let drawing = self.drawing();
        let answer = production::decide(&drawing);
        assert_eq!(answer.decisions_text(), self.decisions, "{}", self.why);
        assert_eq!(answer.sequence.join(" "), self.sequence, "{}", self.why);
        assert_eq!(oracle::decide(&drawing), answer, "{}", self.why);
    }

    /// The same outcomes in whatever order the blocks come.
    fn check_in_any_order(&self) {
        let drawing = self.drawing();
        let expected = oracle::decide(&drawing);
        for seed in 0..20 {
            let order = generate::random_order(&drawing, seed);
            let answer = production::decide_incrementally(&drawing, &order);
            assert_eq!(answer.outcomes(), expected.outcomes(), "{}, order {seed}", self.why);
            assert_eq!(answer.sequence, expected.sequence, "{}, order {seed}", self.why);
        }
    }
}

/// A quorum of four equal members is three. Round 3 certifies A1 in A3 only.
const ONE_CERTIFICATE: &str = "
    1 | A B C D
    2 | A B C D-A
    3 | A=ABC B=ABD C=ACD D=BCD
";

/// What the two rounds above a leader decide.
const DIRECT: &[Row] = &[
    Row {
        why: "a leader commits two rounds later, and brings in what no leader before did",
        committee: "A B C D",
        dag: &["
            1 | A B C D
            2 | A B C D
            3 | A B C D
            4 | A B C D
            5 | A B C D"],
        leaders: "1:A 2:B 3:C 4:D",
        decisions: "1A=A1 2B=B2 3C=C3 4D?",
        sequence: "A1 B1 C1 D1 B2 A2 C2 D2 C3",
    },
    Row {
        why: "three votes and three certificates are just enough",
        committee: "A B C D",
        dag: &["
            1 | A B C D
            2 | A B C D-A
            3 | A=ABC B=ABC C=ABC"],
        leaders: "1:A",
        decisions: "1A=A1",
        sequence: "A1",
    },
    Row {
        why: "two of the parents of C3 vote for A1, so it certifies nothing",
        committee: "A B C D",
        dag: &["
            1 | A B C D
            2 | A B C D-A
            3 | A=ABC B=ABC C=ACD"],
        leaders: "1:A",
        decisions: "1A?",
        sequence: "",
    },
    Row {
        why: "three do not vote",
        committee: "A B C D",
        dag: &["
            1 | A B C D
            2 | A B-A C-A D-A"],
        leaders: "1:A",
        decisions: "1A=-",
        sequence: "",
    },
    Row {
        why: "two do not vote, which is not enough",
        committee: "A B C D",
        dag: &["
            1 | A B C D
            2 | A B C-A D-A"],
        leaders: "1:A",
        decisions: "1A?",
        sequence: "",
    },
    Row {
        why: "an empty slot is skipped by a quorum of blocks above it",
        committee: "A B C D",
        dag: &["
            1 | B C D
            2 | B C D"],
        leaders: "1:A",
        decisions: "1A=-",
        sequence: "",
    },
    Row {
        why: "an empty slot is not skipped by less than a quorum",
        committee: "A B C D",
        dag: &["
            1 | B C D
            2 | B C"],
        leaders: "1:A",
        decisions: "1A?",
        sequence: "",
    },
    Row {
        why: "weights count, not heads: A and B carry five of seven",
        committee: "A*3 B*2 C D",
        dag: &["
            1 | A B C D
            2 | A B C-A D-A
            3 | A B=ABC"],
        leaders: "1:A",
        decisions: "1A=A1",
        sequence: "A1",
    },
    Row {
        why: "A, C and D carry the same",
        committee: "A*3 B*2 C D",
        dag: &["
            1 | A B C D
            2 | A=ACD C=ACD D=ACD"],
        leaders: "1:B",
        decisions: "1B=-",
        sequence: "",
    },
    Row {
        why: "one member is a quorum",
        committee: "A",
        dag: &["
            1 | A
            2 | A
            3 | A"],
        leaders: "1:A 2:A",
        decisions: "1A=A1 2A?",
        sequence: "A1",
    },
    Row {
        why: "three members tolerate no fault: all of them must certify",
        committee: "A B C",
        dag: &["
            1 | A B C
            2 | A B C
            3 | A B"],
        leaders: "1:A 2:B",
        decisions: "1A? 2B?",
        sequence: "",
    },
    Row {
        why: "a round may have several leaders, and their order is that of their slots",
        committee: "A B C D",
        dag: &["
            1 | A B C D
            2 | A B C D
            3 | A B C D"],
        leaders: "1:CA",
        decisions: "1C=C1 1A=A1",
        sequence: "C1 A1",
    },
    Row {
        why: "a block that only a weak link reaches is brought in with who names it",
        committee: "A B C D",
        dag: &["
            1 | A B C D
            2 | A=ABC B=ABC C=ABC
            3 | A=ABC+D1 B=ABC C=ABC
            4 | A B C
            5 | A B C"],
        leaders: "2:B 3:A",
        decisions: "2B=B2 3A=A3",
        sequence: "A1 B1 C1 B2 D1 A2 C2 A3",
    },
];

#[test]
fn direct_rules() {
    DIRECT.iter().for_each(Row::check);
    DIRECT.iter().for_each(Row::check_in_any_order);
}

/// What an anchor decides.
const INDIRECT: &[Row] = &[
    Row {
        why: "the anchor B4 has the only certificate in its history",
        committee: "A B C D",
        dag: &[
            ONE_CERTIFICATE,
            "
            4 | A B C D
             5 | A B C D
             6 | A B C D",
        ],
        leaders: "1:A 4:B",
        decisions: "1A~A1 4B=B4",
        sequence: "A1 B1 C1 D1 A2 B2 C2 D2 A3 B3 C3 D3 B4",
    },
    Row {
        why: "the anchor B4 does not have it",
        committee: "A B C D",
        dag: &[
            ONE_CERTIFICATE,
            "
            4 | A B-A C D
             5 | A B C D
             6 | A B C D",
        ],
        leaders: "1:A 4:B",
        decisions: "1A~- 4B=B4",
        sequence: "A1 B1 C1 D1 A2 B2 C2 D2 B3 C3 D3 B4",
    },
    Row {
        why: "a leader of round r+2 is no anchor, although it is committed",
        committee: "A B C D",
        dag: &[
            ONE_CERTIFICATE,
            "
            4 | A B C D
             5 | A B C D
             6 | A B C D",
        ],
        leaders: "1:A 3:C",
        decisions: "1A? 3C=C3",
        sequence: "",
    },
    Row {
        why: "the first slot above is undecided, so a commit after it helps nobody",
        committee: "A B C D",
        dag: &[
            ONE_CERTIFICATE,
            "
            4 | A B C D
             5 | A B C D-B
             6 | A=ABC B=ABD C=ACD D=BCD
             7 | A B C D",
        ],
        leaders: "1:A 4:B 5:C",
        decisions: "1A? 4B? 5C=C5",
        sequence: "",
    },
    Row {
        why: "the first slot above is skipped, so the next is the anchor",
        committee: "A B C D",
        dag: &[
            ONE_CERTIFICATE,
            "
            4 | A C D
             5 | A C D
             6 | A C D
             7 | A C D",
        ],
        leaders: "1:A 4:B 5:C",
        decisions: "1A~A1 4B=- 5C=C5",
        sequence: "A1 B1 C1 D1 A2 B2 C2 D2 A3 B3 C3 D3 A4 C4 D4 C5",
    },
    Row {
        why: "from the newest to the oldest: C7 decides B4, which then decides A1",
        committee: "A B C D",
        dag: &[
            ONE_CERTIFICATE,
            "
            4 | A B C D
             5 | A B C D-B
             6 | A=ABC B=ABD C=ACD D=BCD
             7 | A=ABC B C D
             8 | A B C D
             9 | A B C D",
        ],
        leaders: "1:A 4:B 7:C",
        decisions: "1A~A1 4B~B4 7C=C7",
        sequence: "A1 B1 C1 D1 A2 B2 C2 D2 A3 B3 C3 D3 B4 A4 C4 D4 A5 B5 C5 D5 A6 B6 C6 D6 C7",
    },
    Row {
        why: "C7 skips B4, so it is the anchor of A1 too",
        committee: "A B C D",
        dag: &[
            ONE_CERTIFICATE,
            "
            4 | A B C D
             5 | A B C D-B
             6 | A=ABC B=ABD C=ACD D=BCD
             7 | A=ABC B C=BCD D
             8 | A B C D
             9 | A B C D",
        ],
        leaders: "1:A 4:B 7:C",
        decisions: "1A~A1 4B~- 7C=C7",
        sequence: "A1 B1 C1 D1 A2 B2 C2 D2 A3 B3 C3 D3 A4 B4 C4 D4 A5 B5 C5 D5 B6 C6 D6 C7",
    },
    Row {
        why: "the anchor is the first of several slots in their order, not in the committee's",
        committee: "A B C D",
        dag: &[
            ONE_CERTIFICATE,
            "
            4 | A B-A C D
             5 | A B C D
             6 | A B C D",
        ],
        leaders: "1:A 4:BC",
        decisions: "1A~- 4B=B4 4C=C4",
        sequence: "A1 B1 C1 D1 A2 B2 C2 D2 B3 C3 D3 B4 A3 C4",
    },
    Row {
        why: "rounds without leaders are passed over, and slots above the DAG are undecided",
        committee: "A B C D",
        dag: &[
            ONE_CERTIFICATE,
            "
            4 | A B C D
             5 | A B C D
             6 | A B C D
             7 | A B C D",
        ],
        leaders: "1:A 5:B 9:C",
        decisions: "1A~A1 5B=B5 9C?",
        sequence: "A1 B1 C1 D1 A2 B2 C2 D2 A3 B3 C3 D3 A4 B4 C4 D4 B5",
    },
];

#[test]
fn indirect_rule() {
    INDIRECT.iter().for_each(Row::check);
    INDIRECT.iter().for_each(Row::check_in_any_order);
}

/// Two blocks in a slot, by less than a third.
const EQUIVOCATORS: &[Row] = &[
    Row {
        why: "one of a leader's two blocks commits; a later leader brings in the other",
        committee: "A B C D",
        dag: &["
            1 | A A' B C D
            2 | A B C D=A'BCD
            3 | A B C D
            4 | A B C D"],
        leaders: "1:A 2:D",
        decisions: "1A=A1 2D=D2",
        sequence: "A1 A1' B1 C1 D1 D2",
    },
    Row {
        why: "the votes are split: neither is skipped or committed until an anchor says",
        committee: "A B C D",
        dag: &["
            1 | A A' B C D
            2 | A B C=A'BCD D=A'BCD
            3 | A B C D"],
        leaders: "1:A",
        decisions: "1A?",
        sequence: "",
    },
    Row {
        why: "an anchor finds no certificate for either",
        committee: "A B C D",
        dag: &["
            1 | A A' B C D
            2 | A B C=A'BCD D=A'BCD
            3 | A B C D
            4 | A B C D
            5 | A B C D
            6 | A B C D"],
        leaders: "1:A 4:D",
        decisions: "1A~- 4D=D4",
        sequence: "A1 A1' B1 C1 D1 A2 B2 C2 D2 A3 B3 C3 D3 D4",
    },
    Row {
        why: "three do not vote for the one, but only two do not vote for the other",
        committee: "A B C D",
        dag: &["
            1 | A A' B C D
            2 | A B=A'BCD C=A'BCD D-A"],
        leaders: "1:A",
        decisions: "1A?",
        sequence: "",
    },
    Row {
        why: "three vote for neither",
        committee: "A B C D",
        dag: &["
            1 | A A' B C D
            2 | A B-A C-A D-A"],
        leaders: "1:A",
        decisions: "1A=-",
        sequence: "",
    },
    Row {
        why: "D does not vote three times over, and counts once",
        committee: "A B C D",
        dag: &["
            1 | A B C D
            2 | A B C-A D-A D'-A D''-A"],
        leaders: "1:A",
        decisions: "1A?",
        sequence: "",
    },
    Row {
        why: "D both votes and does not, and counts as not voting",
        committee: "A B C D",
        dag: &["
            1 | A B C D
            2 | A B-A C-A D D'-A"],
        leaders: "1:A",
        decisions: "1A=-",
        sequence: "",
    },
    Row {
        why: "D certifies twice, and counts once",
        committee: "A B C D",
        dag: &["
            1 | A B C D
            2 | A B C D
            3 | A D D'=ABC"],
        leaders: "1:A",
        decisions: "1A?",
        sequence: "",
    },
    Row {
        why: "the votes of one of an equivocator's blocks count for who names that block",
        committee: "A B C D",
        dag: &["
            1 | A B C D
            2 | A B C-A D-A D'
            3 | A=ABD' B=ABD' C=ABD' D=ABD"],
        leaders: "1:A",
        decisions: "1A=A1",
        sequence: "A1",
    },
];

#[test]
fn equivocators_up_to_f() {
    EQUIVOCATORS.iter().for_each(Row::check);
    EQUIVOCATORS.iter().for_each(Row::check_in_any_order);
}

/// Above f, two blocks of a slot can both have what it takes, or a slot can be both committed
/// and skipped. One of the blocks commits, the lowest by name if all is looked at at once.
const ABOVE_F: &[Row] = &[
    Row {
        why: "both blocks are certified by a quorum",
        committee: "A B C D",
        dag: &["
            1 | A A' B C D
            2 | A B C A'=A'BC B'=A'BC C'=A'BC
            3 | A B C A'=A'B'C' B'=A'B'C' C'=A'B'C'"],
        leaders: "1:A",
        decisions: "1A=A1",
        sequence: "A1",
    },
    Row {
        why: "a quorum certifies the block, and a quorum did not vote for it",
        committee: "A B C D",
        dag: &["
            1 | A B C D
            2 | A B C A'=BCD B'=BCD C'=BCD
            3 | A B C"],
        leaders: "1:A",
        decisions: "1A=A1",
        sequence: "A1",
    },
];

#[test]
fn equivocators_above_f_commit_one_block_at_most() {
    ABOVE_F.iter().for_each(Row::check);
    for row in ABOVE_F {
        let drawing = row.drawing();
        for seed in 0..50 {
            let order = generate::random_order(&drawing, seed);
            let answer = production::decide_incrementally(&drawing, &order);
            assert_eq!(answer.decisions.len(), 1);
            assert!(answer.sequence.len() <= 1, "{:?}", answer.sequence);
        }
    }
}

/// A commit that changes the schedule takes back what the old leaders decided below, and only
/// that.
///
/// Given A1, which only A3 certifies and B4 does not see, and D2, which commits directly,
/// when B4 has skipped A1 but the schedule changes after round 2, and C leads round 4 instead,
/// then D2 stays committed, and A1 is decided anew by C4, which sees the certificate.
#[test]
fn a_change_of_leaders_decides_anew() {
    let dag = format!(
        "{ONE_CERTIFICATE}
        4 | A B-A C D
        5 | A B C D
        6 | A B C D"
    );
    let drawing = Drawing::parse("A B C D", "1:A 2:D 4:B", &dag);
    let mut run = Run::new(&drawing, None);
    (0..drawing.blocks.len()).for_each(|position| run.take_in(position));
    run.schedule_all();
    run.decide_through_anchors();
    assert_eq!(run.answer().decisions_text(), "1A~- 2D=D2 4B=B4");
    run.change_leaders_above(2, &Drawing::parse("", "4:C", "").leaders);
    assert_eq!(run.answer().decisions_text(), "1A~A1 2D=D2 4C=C4");
}

/// A slot that an anchor had decided is decided directly as soon as a quorum certifies it, even
/// if the schedule changes and its anchor goes.
///
/// Given A1, which B4 decided when A3 was its only certificate,
/// when three more certificates come, and then the leaders above round 1 are gone,
/// then A1 is committed directly.
#[test]
fn certificates_count_while_an_anchor_has_decided() {
    let dag = "
        1 | A B C D
        2 | A B C D-A
        3 | A=ABC B=ABD C=BCD D=ACD
        4 | A B C D
        5 | A B C D
        6 | A B C D
        3 | B'=ABC C'=ABC D'=ABC";
    let drawing = Drawing::parse("A B C D", "1:A 4:B", dag);
    let late = drawing.blocks.len() - 3;
    let mut run = Run::new(&drawing, None);
    (0..late).for_each(|position| run.take_in(position));
    run.schedule_all();
    run.decide_through_anchors();
    assert_eq!(run.answer().decisions_text(), "1A~A1 4B=B4");
    (late..drawing.blocks.len()).for_each(|position| run.observe(position));
    run.change_leaders_above(1, &Drawing::default().leaders);
    assert_eq!(run.answer().decisions_text(), "1A=A1");
}

/// The text of an answer and the drawing of a DAG say what they seem to.
#[test]
fn drawings_are_read_as_they_look() {
    let drawing = Drawing::parse("A B*2", "2:BA", "1 | A B B'=B\n2 | A-B B=AB'+B0");
    let blocks: Vec<String> = drawing
        .blocks
        .iter()
        .map(|block| format!("{}({})", block.id, block.parents.join(" ")))
        .collect();
    assert_eq!(blocks, ["A1(A0 B0)", "B1(A0 B0)", "B1'(B0)", "A2(A1)", "B2(A1 B1' B0)"]);
    assert_eq!(drawing.committee[1], ("B".to_owned(), 2));
    assert_eq!(drawing.leaders[&2], ["B", "A"]);
    assert_eq!(Answer::default().decisions_text(), "");
}
