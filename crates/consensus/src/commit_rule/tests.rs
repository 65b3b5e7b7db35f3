//! The parts that the tables and random DAGs of `tests/commit_rule` do not show.

use super::*;
use crate::testing::{author, committee, name};

/// Four equal authors, everybody's block naming everybody's before.
struct Full {
    dag: Dag<()>,
    rule: CommitRule,
}

impl Full {
    fn new() -> Self {
        let committee = committee(&[1; 4]);
        let rule = CommitRule::new(&committee, None, Round::GENESIS);
        Self { dag: Dag::new(&committee), rule }
    }

    fn grow(&mut self, rounds: u64) {
        for round in self.dag.highest_round().0 + 1..=rounds {
            let parents: Vec<_> = (0..4).map(|index| name(round - 1, index)).collect();
            for index in 0..4 {
                let vertex = self.dag.insert(name(round, index), &parents, 0, ()).unwrap();
                self.rule.observe(&self.dag, vertex);
            }
        }
    }

    fn schedule(&mut self, leaders: &[u16]) {
        let leaders: Vec<ValidatorIndex> = leaders.iter().map(|index| author(*index)).collect();
        self.rule.schedule_round(&self.dag, &leaders);
    }

    fn decided(&mut self) -> Vec<(u64, u16)> {
        let decisions = std::iter::from_fn(|| self.rule.next_decision());
        decisions.map(|decision| (decision.slot.round.0, decision.slot.author.0)).collect()
    }
}

#[test]
fn leaders_may_be_set_before_or_after_their_blocks_come() {
    let (mut early, mut late) = (Full::new(), Full::new());
    for _ in 1..=5 {
        early.schedule(&[2, 0]);
    }
    early.grow(5);
    late.grow(5);
    for _ in 1..=5 {
        late.schedule(&[2, 0]);
    }
    let expected = [(1, 2), (1, 0), (2, 2), (2, 0), (3, 2), (3, 0)];
    assert_eq!((early.decided(), late.decided()), (expected.to_vec(), expected.to_vec()));
}

/// The machine sets the leaders of a round between taking a block in and observing it.
#[test]
fn a_block_is_one_candidate_however_often_it_is_seen() {
    let mut full = Full::new();
    let vertex = full.dag.insert(name(1, 2), &[], 0, ()).unwrap();
    full.schedule(&[2]);
    full.rule.observe(&full.dag, vertex);
    assert_eq!(full.rule.rounds[0].leaders[0].candidates.len(), 1);
}

#[test]
fn a_round_is_left_once_the_next_is_scheduled() {
    let mut full = Full::new();
    full.grow(4);
    full.schedule(&[]);
    full.schedule(&[]);
    full.schedule(&[]);
    assert_eq!(full.decided(), []);
    assert_eq!(full.rule.next_unscheduled_round(), Round(4));
    full.schedule(&[3]);
    assert_eq!((full.decided(), full.rule.leaders_of(Round(4)).count()), (vec![], 1));
    full.grow(6);
    assert_eq!(full.decided(), [(4, 3)]);
    assert_eq!(full.rule.next_unscheduled_round(), Round(5));
}

#[test]
fn leaders_are_listed_until_they_are_taken_in_order() {
    let mut full = Full::new();
    full.schedule(&[1, 3, 0]);
    full.schedule(&[2]);
    assert_eq!(full.rule.undecided_in(Round(1)), [author(1), author(3), author(0)]);
    full.grow(3);
    assert_eq!(full.rule.pending().filter(|(_, made)| made.is_some()).count(), 3);
    assert_eq!(full.rule.next_decision().map(|taken| taken.slot.author), Some(author(1)));
    assert_eq!(full.rule.undecided_in(Round(1)), [author(3), author(0)]);
    assert_eq!(full.decided(), [(1, 3), (1, 0)]);
    assert_eq!(full.rule.undecided_in(Round(1)), []);
    assert_eq!(full.rule.undecided_in(Round(7)), []);
}

/// What lies at or below the settled round is not decided again.
#[test]
fn a_rule_can_begin_above_settled_rounds() {
    let mut full = Full::new();
    full.rule = CommitRule::new(&committee(&[1; 4]), None, Round(2));
    full.schedule(&[1]);
    full.schedule(&[2]);
    full.grow(6);
    assert_eq!(full.decided(), [(3, 1), (4, 2)]);
}

#[test]
fn changed_leaders_leave_the_round_of_the_commit_as_it_is() {
    let mut full = Full::new();
    full.schedule(&[0, 1]);
    full.schedule(&[2]);
    full.schedule(&[3]);
    full.grow(5);
    full.rule.unschedule_above(&full.dag, Round(1));
    assert_eq!(full.rule.next_unscheduled_round(), Round(2));
    full.schedule(&[1]);
    assert_eq!(full.decided(), [(1, 0), (1, 1), (2, 1)]);
    full.rule.unschedule_above(&full.dag, Round(9));
    assert_eq!(full.rule.next_unscheduled_round(), Round(3));
}
