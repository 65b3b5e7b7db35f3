use super::*;
use crate::testing::{author, committee, named};

const NONCE: u64 = 17;

/// A committee of four, one of which (3) comes up without knowing what it signed.
struct Lab {
    committee: std::sync::Arc<Committee>,
    dag: Dag<()>,
    recovery: Recovery,
}

impl Lab {
    fn new() -> Self {
        let committee = committee(&[1; 4]);
        Self { dag: Dag::new(&committee), committee, recovery: Recovery::new(NONCE) }
    }

    fn answer(&mut self, from: u16, latest: BlockRef) -> Option<BlockRef> {
        self.recovery.answer(author(from), NONCE, latest)
    }

    fn accept(&mut self, block: BlockRef) {
        self.dag.insert(block, &[], 0, ()).unwrap();
    }

    fn resumes_at(&self) -> Option<u64> {
        let thresholds = Thresholds::of(&self.committee, None);
        self.recovery.resume_at(&self.dag, &self.committee, thresholds).map(|round| round.0)
    }
}

fn latest(round: u64, index: u16) -> BlockRef {
    named(round, index, "latest")
}

#[test]
fn it_resumes_two_rounds_above_the_highest_of_a_quorum() {
    let mut lab = Lab::new();
    for (index, round) in [(0, 5), (1, 9), (2, 7)] {
        assert_eq!(lab.resumes_at(), None);
        lab.accept(latest(round, index));
        lab.answer(index, latest(round, index));
    }
    assert_eq!(lab.resumes_at(), Some(11));
}

/// A liar names a round that never was: its answer counts for nothing until that block is here,
/// and does not keep others' answers from counting.
#[test]
fn an_answer_counts_once_its_block_is_accepted() {
    let mut lab = Lab::new();
    for index in [0, 1] {
        lab.accept(latest(4, index));
        lab.answer(index, latest(4, index));
    }
    assert_eq!(lab.answer(2, latest(1_000, 2)), Some(latest(1_000, 2)), "fetch it");
    assert_eq!(lab.resumes_at(), None);
    lab.accept(latest(1_000, 2));
    assert_eq!(lab.resumes_at(), Some(1_002));
}

#[test]
fn what_is_below_the_floor_needs_no_check() {
    let mut lab = Lab::new();
    lab.dag.raise_floor(Round(50), Round(50));
    for index in 0..3 {
        lab.answer(index, latest(40 + u64::from(index), index));
    }
    assert_eq!(lab.resumes_at(), Some(44));
}

#[test]
fn genesis_is_an_answer_of_who_signed_nothing() {
    let mut lab = Lab::new();
    for index in 0..3 {
        lab.answer(index, BlockRef { round: Round(0), ..latest(0, index) });
    }
    assert_eq!(lab.resumes_at(), Some(2));
}

#[test]
fn answers_to_other_questions_and_in_others_names_are_nothing() {
    let mut lab = Lab::new();
    lab.accept(latest(4, 0));
    assert_eq!(lab.recovery.answer(author(0), NONCE + 1, latest(4, 0)), None);
    for liar in [1, 2, 3] {
        assert_eq!(lab.answer(liar, latest(4, 0)), None);
    }
    assert!(lab.recovery.answers.is_empty());
}

/// Of one validator's answers the highest stays, and is given back until it is here: it may have
/// been too far ahead to fetch when it came first.
#[test]
fn the_newest_answer_of_each_stays() {
    let mut lab = Lab::new();
    assert_eq!(lab.answer(0, latest(6, 0)), Some(latest(6, 0)));
    assert_eq!(lab.answer(0, latest(5, 0)), Some(latest(6, 0)));
    assert_eq!(lab.answer(0, latest(8, 0)), Some(latest(8, 0)));
    for index in 1..3 {
        lab.accept(latest(3, index));
        lab.answer(index, latest(3, index));
    }
    lab.accept(latest(6, 0));
    assert_eq!(lab.resumes_at(), None, "the answer is round 8 now");
    lab.accept(latest(8, 0));
    assert_eq!(lab.resumes_at(), Some(10));
}

#[test]
fn it_asks_again_after_a_pause() {
    let mut recovery = Recovery::new(NONCE);
    assert!(recovery.ask(Time(10), 500));
    assert!(!recovery.ask(Time(509), 500));
    assert_eq!(recovery.next_ask(), Time(510));
    assert!(recovery.ask(Time(510), 500));
    assert_eq!(recovery.nonce(), NONCE);
}
