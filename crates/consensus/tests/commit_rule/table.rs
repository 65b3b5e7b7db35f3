//! The rules one by one, each on the smallest DAG that shows it.

use super::drawing::{Answer, Drawing};
use super::production::Run;
use super::{generate, oracle, production};

/// One row of a table: a DAG, its leaders, and what is decided.
struct Row {
    why: &'static str,
    committee: &'static str,
    dag: &'static str,
    leaders: &'static str,
    decisions: &'static str,
    sequence: &'static str,
}

impl Row {
    fn check(&self) {
        let drawing = Drawing::parse(self.committee, self.leaders, self.dag);
        let answer = production::decide(&drawing);
        assert_eq!(answer.decisions_text(), self.decisions, "{}", self.why);
        assert_eq!(answer.sequence.join(" "), self.sequence, "{}", self.why);
        assert_eq!(oracle::decide(&drawing), answer, "{}", self.why);
    }

    /// The same outcomes in whatever order the blocks come.
    fn check_in_any_order(&self) {
        let drawing = Drawing::parse(self.committee, self.leaders, self.dag);
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

#[test]
fn direct_rules() {
    let rows = [
        Row {
            why: "a leader commits two rounds later, and brings in what no leader before did",
            committee: "A B C D",
            dag: "
                1 | A B C D
                2 | A B C D
                3 | A B C D
                4 | A B C D
                5 | A B C D",
            leaders: "1:A 2:B 3:C 4:D",
            decisions: "1A=A1 2B=B2 3C=C3 4D?",
            sequence: "A1 B1 C1 D1 B2 A2 C2 D2 C3",
        },
        Row {
            why: "three votes and three certificates are just enough",
            committee: "A B C D",
            dag: "
                1 | A B C D
                2 | A B C D-A
                3 | A=ABC B=ABC C=ABC",
            leaders: "1:A",
            decisions: "1A=A1",
            sequence: "A1",
        },
        Row {
            why: "two of the parents of C3 vote for A1, so it certifies nothing",
            committee: "A B C D",
            dag: "
                1 | A B C D
                2 | A B C D-A
                3 | A=ABC B=ABC C=ACD",
            leaders: "1:A",
            decisions: "1A?",
            sequence: "",
        },
        Row {
            why: "three do not vote",
            committee: "A B C D",
            dag: "
                1 | A B C D
                2 | A B-A C-A D-A",
            leaders: "1:A",
            decisions: "1A=-",
            sequence: "",
        },
        Row {
            why: "two do not vote, which is not enough",
            committee: "A B C D",
            dag: "
                1 | A B C D
                2 | A B C-A D-A",
            leaders: "1:A",
            decisions: "1A?",
            sequence: "",
        },
        Row {
            why: "an empty slot is skipped by a quorum of blocks above it",
            committee: "A B C D",
            dag: "
                1 | B C D
                2 | B C D",
            leaders: "1:A",
            decisions: "1A=-",
            sequence: "",
        },
        Row {
            why: "an empty slot is not skipped by less than a quorum",
            committee: "A B C D",
            dag: "
                1 | B C D
                2 | B C",
            leaders: "1:A",
            decisions: "1A?",
            sequence: "",
        },
        Row {
            why: "weights count, not heads: A and B carry five of seven",
            committee: "A*3 B*2 C D",
            dag: "
                1 | A B C D
                2 | A B C-A D-A
                3 | A B=ABC",
            leaders: "1:A",
            decisions: "1A=A1",
            sequence: "A1",
        },
        Row {
            why: "A, C and D carry the same",
            committee: "A*3 B*2 C D",
            dag: "
                1 | A B C D
                2 | A=ACD C=ACD D=ACD",
            leaders: "1:B",
            decisions: "1B=-",
            sequence: "",
        },
        Row {
            why: "one member is a quorum",
            committee: "A",
            dag: "
                1 | A
                2 | A
                3 | A",
            leaders: "1:A 2:A",
            decisions: "1A=A1 2A?",
            sequence: "A1",
        },
        Row {
            why: "three members tolerate no fault: all of them must certify",
            committee: "A B C",
            dag: "
                1 | A B C
                2 | A B C
                3 | A B",
            leaders: "1:A 2:B",
            decisions: "1A? 2B?",
            sequence: "",
        },
        Row {
            why: "a round may have several leaders, and their order is that of their slots",
            committee: "A B C D",
            dag: "
                1 | A B C D
                2 | A B C D
                3 | A B C D",
            leaders: "1:CA",
            decisions: "1C=C1 1A=A1",
            sequence: "C1 A1",
        },
        Row {
            why: "a block that only a weak link reaches is brought in with who names it",
            committee: "A B C D",
            dag: "
                1 | A B C D
                2 | A=ABC B=ABC C=ABC
                3 | A=ABC+D1 B=ABC C=ABC
                4 | A B C
                5 | A B C",
            leaders: "2:B 3:A",
            decisions: "2B=B2 3A=A3",
            sequence: "A1 B1 C1 B2 D1 A2 C2 A3",
        },
    ];
    rows.iter().for_each(Row::check);
    rows.iter().for_each(Row::check_in_any_order);
}

#[test]
fn indirect_rule() {
    let on_one_certificate = |why, above, leaders, decisions, sequence| {
        let dag = Box::leak(format!("{ONE_CERTIFICATE}{above}").into_boxed_str());
        Row { why, committee: "A B C D", dag, leaders, decisions, sequence }
    };
    let rows = [
        on_one_certificate(
            "the anchor B4 has the only certificate in its history",
            "4 | A B C D
             5 | A B C D
             6 | A B C D",
            "1:A 4:B",
            "1A~A1 4B=B4",
            "A1 B1 C1 D1 A2 B2 C2 D2 A3 B3 C3 D3 B4",
        ),
        on_one_certificate(
            "the anchor B4 does not have it",
            "4 | A B-A C D
             5 | A B C D
             6 | A B C D",
            "1:A 4:B",
            "1A~- 4B=B4",
            "A1 B1 C1 D1 A2 B2 C2 D2 B3 C3 D3 B4",
        ),
        on_one_certificate(
            "a leader of round r+2 is no anchor, although it is committed",
            "4 | A B C D
             5 | A B C D
             6 | A B C D",
            "1:A 3:C",
            "1A? 3C=C3",
            "",
        ),
        on_one_certificate(
            "the first slot above is undecided, so a commit after it helps nobody",
            "4 | A B C D
             5 | A B C D-B
             6 | A=ABC B=ABD C=ACD D=BCD
             7 | A B C D",
            "1:A 4:B 5:C",
            "1A? 4B? 5C=C5",
            "",
        ),
        on_one_certificate(
            "the first slot above is skipped, so the next is the anchor",
            "4 | A C D
             5 | A C D
             6 | A C D
             7 | A C D",
            "1:A 4:B 5:C",
            "1A~A1 4B=- 5C=C5",
            "A1 B1 C1 D1 A2 B2 C2 D2 A3 B3 C3 D3 A4 C4 D4 C5",
        ),
        on_one_certificate(
            "from the newest to the oldest: C7 decides B4, which then decides A1",
            "4 | A B C D
             5 | A B C D-B
             6 | A=ABC B=ABD C=ACD D=BCD
             7 | A=ABC B C D
             8 | A B C D
             9 | A B C D",
            "1:A 4:B 7:C",
            "1A~A1 4B~B4 7C=C7",
            "A1 B1 C1 D1 A2 B2 C2 D2 A3 B3 C3 D3 B4 A4 C4 D4 A5 B5 C5 D5 A6 B6 C6 D6 C7",
        ),
        on_one_certificate(
            "C7 skips B4, so it is the anchor of A1 too",
            "4 | A B C D
             5 | A B C D-B
             6 | A=ABC B=ABD C=ACD D=BCD
             7 | A=ABC B C=BCD D
             8 | A B C D
             9 | A B C D",
            "1:A 4:B 7:C",
            "1A~A1 4B~- 7C=C7",
            "A1 B1 C1 D1 A2 B2 C2 D2 A3 B3 C3 D3 A4 B4 C4 D4 A5 B5 C5 D5 B6 C6 D6 C7",
        ),
        on_one_certificate(
            "the anchor is the first of several slots in their order, not in the committee's",
            "4 | A B-A C D
             5 | A B C D
             6 | A B C D",
            "1:A 4:BC",
            "1A~- 4B=B4 4C=C4",
            "A1 B1 C1 D1 A2 B2 C2 D2 B3 C3 D3 B4 A3 C4",
        ),
        on_one_certificate(
            "rounds without leaders are passed over, and slots above the DAG are undecided",
            "4 | A B C D
             5 | A B C D
             6 | A B C D
             7 | A B C D",
            "1:A 5:B 9:C",
            "1A~A1 5B=B5 9C?",
            "A1 B1 C1 D1 A2 B2 C2 D2 A3 B3 C3 D3 A4 B4 C4 D4 B5",
        ),
    ];
    rows.iter().for_each(Row::check);
    rows.iter().for_each(Row::check_in_any_order);
}

#[test]
fn equivocators_up_to_f() {
    let rows = [
        Row {
            why: "one of a leader's two blocks commits; a later leader brings in the other",
            committee: "A B C D",
            dag: "
                1 | A A' B C D
                2 | A B C D=A'BCD
                3 | A B C D
                4 | A B C D",
            leaders: "1:A 2:D",
            decisions: "1A=A1 2D=D2",
            sequence: "A1 A1' B1 C1 D1 D2",
        },
        Row {
            why: "the votes are split: neither is skipped or committed until an anchor says",
            committee: "A B C D",
            dag: "
                1 | A A' B C D
                2 | A B C=A'BCD D=A'BCD
                3 | A B C D",
            leaders: "1:A",
            decisions: "1A?",
            sequence: "",
        },
        Row {
            why: "an anchor finds no certificate for either",
            committee: "A B C D",
            dag: "
                1 | A A' B C D
                2 | A B C=A'BCD D=A'BCD
                3 | A B C D
                4 | A B C D
                5 | A B C D
                6 | A B C D",
            leaders: "1:A 4:D",
            decisions: "1A~- 4D=D4",
            sequence: "A1 A1' B1 C1 D1 A2 B2 C2 D2 A3 B3 C3 D3 D4",
        },
        Row {
            why: "three do not vote for the one, but only two do not vote for the other",
            committee: "A B C D",
            dag: "
                1 | A A' B C D
                2 | A B=A'BCD C=A'BCD D-A",
            leaders: "1:A",
            decisions: "1A?",
            sequence: "",
        },
        Row {
            why: "three vote for neither",
            committee: "A B C D",
            dag: "
                1 | A A' B C D
                2 | A B-A C-A D-A",
            leaders: "1:A",
            decisions: "1A=-",
            sequence: "",
        },
        Row {
            why: "D does not vote three times over, and counts once",
            committee: "A B C D",
            dag: "
                1 | A B C D
                2 | A B C-A D-A D'-A D''-A",
            leaders: "1:A",
            decisions: "1A?",
            sequence: "",
        },
        Row {
            why: "D both votes and does not, and counts as not voting",
            committee: "A B C D",
            dag: "
                1 | A B C D
                2 | A B-A C-A D D'-A",
            leaders: "1:A",
            decisions: "1A=-",
            sequence: "",
        },
        Row {
            why: "D certifies twice, and counts once",
            committee: "A B C D",
            dag: "
                1 | A B C D
                2 | A B C D
                3 | A D D'=ABC",
            leaders: "1:A",
            decisions: "1A?",
            sequence: "",
        },
        Row {
            why: "the votes of one of an equivocator's blocks count for who names that block",
            committee: "A B C D",
            dag: "
                1 | A B C D
                2 | A B C-A D-A D'
                3 | A=ABD' B=ABD' C=ABD' D=ABD",
            leaders: "1:A",
            decisions: "1A=A1",
            sequence: "A1",
        },
    ];
    rows.iter().for_each(Row::check);
    rows.iter().for_each(Row::check_in_any_order);
}

/// Above f, two blocks of a slot can both have what it takes, or a slot can be both committed
/// and skipped. One of the blocks commits, the lowest by name if all is looked at at once.
#[test]
fn equivocators_above_f_commit_one_block_at_most() {
    let rows = [
        Row {
            why: "both blocks are certified by a quorum",
            committee: "A B C D",
            dag: "
                1 | A A' B C D
                2 | A B C A'=A'BC B'=A'BC C'=A'BC
                3 | A B C A'=A'B'C' B'=A'B'C' C'=A'B'C'",
            leaders: "1:A",
            decisions: "1A=A1",
            sequence: "A1",
        },
        Row {
            why: "a quorum certifies the block, and a quorum did not vote for it",
            committee: "A B C D",
            dag: "
                1 | A B C D
                2 | A B C A'=BCD B'=BCD C'=BCD
                3 | A B C",
            leaders: "1:A",
            decisions: "1A=A1",
            sequence: "A1",
        },
    ];
    rows.iter().for_each(Row::check);
    for row in &rows {
        let drawing = Drawing::parse(row.committee, row.leaders, row.dag);
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
