use qcn_types::CommitteeKeys;

use super::*;
use crate::testing::{author, body, genesis, name, named, signing_committee, verified};

const OWN: u16 = 1;

fn config() -> Config {
    Config {
        leader_timeout_us: 100_000,
        leader_timeout_max_us: 1_000_000,
        min_round_interval_us: 10_000,
        idle_round_interval_us: 200_000,
        ..Config::default()
    }
}

/// Validator 1 of four, which has signed nothing.
fn proposer() -> Proposer {
    Proposer::new(author(OWN), genesis(OWN), 4, Time::ZERO)
}

fn keys() -> CommitteeKeys {
    signing_committee(&[1; 4])
}

/// An own block with these parents; its own previous one comes first.
fn own(round: u64, parents: Vec<BlockRef>) -> VerifiedBlock {
    verified(&keys(), body(OWN, round, parents))
}

/// What the validator waits for after its own block of round 4, at 1 s, with a quorum of round 4
/// since 1.5 s unless a row says otherwise.
struct Row {
    why: &'static str,
    round: u64,
    may_sign_from: u64,
    in_progress: bool,
    leaders_here: bool,
    busy: bool,
    now_ms: u64,
    expected: Readiness,
}

const ROW: Row = Row {
    why: "",
    round: 5,
    may_sign_from: 1,
    in_progress: false,
    leaders_here: true,
    busy: true,
    now_ms: 1_500,
    expected: Readiness::Now(Round(5)),
};

const fn at_ms(ms: u64) -> Readiness {
    Readiness::At(Time::from_ms(ms))
}

const READINESS: &[Row] = &[
    Row { why: "everything is there", ..ROW },
    Row {
        why: "no leader, and the timeout has not passed",
        leaders_here: false,
        expected: at_ms(1_600),
        ..ROW
    },
    Row { why: "the timeout has passed", leaders_here: false, now_ms: 1_600, ..ROW },
    Row {
        why: "not idle for long enough",
        busy: false,
        now_ms: 1_199,
        expected: at_ms(1_200),
        ..ROW
    },
    Row { why: "idle for long enough", busy: false, now_ms: 1_200, ..ROW },
    Row {
        why: "the rounds may not follow each other so fast",
        now_ms: 1_009,
        expected: at_ms(1_010),
        ..ROW
    },
    Row { why: "no quorum of round 4", round: 4, expected: Readiness::Idle, ..ROW },
    Row { why: "proposing already", in_progress: true, expected: Readiness::Idle, ..ROW },
    Row {
        why: "may have signed it before a crash",
        may_sign_from: 6,
        expected: Readiness::Idle,
        ..ROW
    },
    Row { why: "a quorum far ahead", round: 9, expected: Readiness::Now(Round(9)), ..ROW },
    Row { why: "just above what was signed", may_sign_from: 5, ..ROW },
];

#[test]
fn readiness() {
    let mut signed = proposer();
    signed.enter(Round(4), Time::ZERO);
    signed.note_own(&own(4, (0..4).map(|index| name(3, index)).collect()), Time::from_ms(1_000));
    for row in READINESS {
        let mut proposer = signed.clone();
        proposer.enter(Round(row.round), Time::from_ms(1_500));
        proposer.sign_only_from(Round(row.may_sign_from));
        if row.in_progress {
            proposer.begin(Round(row.round));
        }
        let now = Time::from_ms(row.now_ms);
        let readiness = proposer.readiness(now, &config(), row.leaders_here, row.busy);
        assert_eq!(readiness, row.expected, "{}", row.why);
    }
}

#[test]
fn the_first_block_waits_for_nothing() {
    let ready = proposer().readiness(Time::ZERO, &config(), true, false);
    assert_eq!(ready, Readiness::Now(Round(1)));
}

/// After a jump to a later state there are no parents, although the local round was higher once.
#[test]
fn nothing_is_proposed_on_an_empty_dag() {
    let mut proposer = proposer();
    proposer.enter(Round(90), Time::ZERO);
    proposer.resume(Round(60));
    let ready = |proposer: &Proposer| proposer.readiness(Time(1 << 40), &config(), true, true);
    assert_eq!(ready(&proposer), Readiness::Idle);
    proposer.enter(Round(60), Time::ZERO);
    assert_eq!(ready(&proposer), Readiness::Idle);
    proposer.enter(Round(61), Time::ZERO);
    assert_eq!(ready(&proposer), Readiness::Now(Round(61)));
}

#[test]
fn the_leader_timeout_doubles_up_to_a_cap_and_resets() {
    let mut proposer = proposer();
    let mut timeouts_ms = Vec::new();
    for round in 1..=12 {
        timeouts_ms.push(proposer.leader_timeout_us(&config()) / 1_000);
        proposer.begin(Round(round));
    }
    assert_eq!(timeouts_ms, [100, 100, 100, 100, 100, 100, 100, 200, 400, 800, 1_000, 1_000]);
    for round in 13..200 {
        proposer.begin(Round(round));
    }
    assert_eq!(proposer.leader_timeout_us(&config()), 1_000_000);
    proposer.note_commit();
    assert_eq!(proposer.leader_timeout_us(&config()), 100_000);
}

#[test]
fn nothing_is_signed_at_or_below_what_may_have_been() {
    let mut proposer = proposer();
    assert_eq!(proposer.may_sign_from(), Round(1));
    proposer.sign_only_from(Round(7));
    proposer.sign_only_from(Round(3));
    assert_eq!(proposer.may_sign_from(), Round(7));
    proposer.begin(Round(8));
    proposer.note_own(&own(7, vec![genesis(OWN)]), Time::ZERO);
    assert_eq!((proposer.may_sign_from(), proposer.in_progress()), (Round(8), Some(Round(8))));
    proposer.note_own(&own(8, vec![genesis(OWN)]), Time::ZERO);
    assert_eq!((proposer.may_sign_from(), proposer.in_progress()), (Round(9), None));
    // An older own block, read back or fetched, changes nothing.
    proposer.note_own(&own(2, vec![genesis(OWN)]), Time::ZERO);
    assert_eq!(proposer.last().round, Round(8));
}

/// Which parents a block of a round gets, as names.
struct Lab {
    dag: Dag<()>,
    proposer: Proposer,
}

impl Lab {
    fn new() -> Self {
        Self { dag: Dag::with_weights(vec![1; 4], 8), proposer: proposer() }
    }

    fn put(&mut self, block: BlockRef) {
        self.dag.insert(block, &[], 0, ()).unwrap();
    }

    /// Blocks of these authors in a round.
    fn layer(&mut self, round: u64, authors: &[u16]) {
        authors.iter().for_each(|index| self.put(name(round, *index)));
    }

    /// The own block of a round is signed with the parents that it gets.
    fn sign(&mut self, round: u64) -> BlockRef {
        let block = own(round, self.parents(round));
        let reference = block.reference();
        self.put(reference);
        self.proposer.note_own(&block, Time::ZERO);
        reference
    }

    fn parents(&self, round: u64) -> Vec<BlockRef> {
        self.parents_without(round, &[])
    }

    fn parents_without(&self, round: u64, left_out: &[u16]) -> Vec<BlockRef> {
        let left_out = left_out.iter().copied().map(author).collect();
        self.proposer.parents(&self.dag, Round(round), &left_out, |author| genesis(author.0))
    }
}

#[test]
fn the_first_round_stands_on_genesis() {
    let lab = Lab::new();
    assert_eq!(lab.parents(1), [genesis(1), genesis(0), genesis(2), genesis(3)]);
}

/// The own previous block, all of the round before, and of the others the newest not named yet.
#[test]
fn parents_are_the_round_before_and_what_came_late() {
    let mut lab = Lab::new();
    lab.layer(1, &[0, 2, 3]);
    let first = lab.sign(1);
    lab.layer(2, &[0, 2]);
    assert_eq!(lab.parents(3), [first, name(2, 0), name(2, 2), name(1, 3)]);
    let third = lab.sign(3);
    lab.layer(3, &[0, 2]);
    // Validator 3's block of round 1 was named already.
    assert_eq!(lab.parents(4), [third, name(3, 0), name(3, 2)]);
    lab.layer(2, &[3]);
    assert_eq!(lab.parents(4), [third, name(3, 0), name(3, 2), name(2, 3)]);
    // A whole round later the round before counts again, named or not.
    let fourth = lab.sign(4);
    assert_eq!(lab.parents(4)[1..], [name(3, 0), name(3, 2)]);
    lab.layer(4, &[3]);
    assert_eq!(lab.parents(5), [fourth, name(4, 3)]);
}

#[test]
fn of_an_equivocator_the_first_block_is_named() {
    let mut lab = Lab::new();
    lab.put(named(1, 2, "first"));
    lab.put(named(1, 2, "second"));
    assert_eq!(lab.parents(2), [genesis(1), named(1, 2, "first")]);
}

/// Neither of the round before nor of what came late; oneself, though isolated, one does not leave out.
#[test]
fn who_is_left_out_is_not_named() {
    let mut lab = Lab::new();
    lab.layer(1, &[0, 2, 3]);
    let first = lab.sign(1);
    lab.layer(2, &[0, 2]);
    assert_eq!(lab.parents_without(3, &[3]), [first, name(2, 0), name(2, 2)]);
    assert_eq!(lab.parents_without(3, &[1, 2]), [first, name(2, 0), name(1, 3)]);
}

/// What lies too deep, or at the floor, is not named; the own chain then begins at genesis again.
#[test]
fn parents_are_neither_too_deep_nor_below_the_floor() {
    let mut lab = Lab::new();
    let first = lab.sign(1);
    lab.layer(1, &[0]);
    lab.layer(2, &[2]);
    let deepest = 1 + MAX_PARENT_DEPTH;
    assert_eq!(lab.parents(deepest), [first, name(1, 0), name(2, 2)]);
    assert_eq!(lab.parents(deepest + 1), [genesis(1), name(2, 2)]);
    lab.dag.raise_floor(Round(1), Round(0));
    assert_eq!(lab.parents(10), [genesis(1), name(2, 2)]);
    lab.dag.raise_floor(Round(2), Round(0));
    assert_eq!(lab.parents(10), [genesis(1)]);
}
