//! Two validators with different parts of one DAG never decide a slot differently.

use proptest::prelude::*;
use qcn_consensus::BrokenRule;

use super::drawing::{Answer, Drawing};
use super::generate::{self, Chance, Faulty};
use super::production::Run;

/// What a validator decides that has taken in a random part of the DAG in a random order.
fn decide_part(drawing: &Drawing, seed: u64, broken: Option<BrokenRule>) -> Answer {
    let order = generate::random_order(drawing, seed);
    let taken = order.len() - Chance(seed).below(1 + order.len() as u64 / 2) as usize;
    let mut run = Run::new(drawing, broken);
    order[..taken].iter().for_each(|position| run.insert(*position));
    run.answer()
}

fn agree(one: &Answer, other: &Answer) -> bool {
    let mut outcomes = one.outcomes().into_iter().zip(other.outcomes());
    let (shorter, longer) = if one.sequence.len() < other.sequence.len() {
        (&one.sequence, &other.sequence)
    } else {
        (&other.sequence, &one.sequence)
    };
    outcomes.all(|(one, other)| one.is_none() || other.is_none() || one == other)
        && longer.starts_with(shorter)
}

fn is_safe(seed: u64, members: usize, faulty: Faulty, broken: Option<BrokenRule>) -> bool {
    let drawing = generate::valid(seed, members, 12, faulty);
    let [one, other] = [seed ^ 1, seed ^ 2].map(|seed| decide_part(&drawing, seed, broken));
    agree(&one, &other)
}

proptest! {
    /// Given valid blocks, of which up to f of the weight is by equivocators and the rest arrives
    /// in any order,
    /// when two validators have taken in different parts of the DAG,
    /// then no slot is decided differently, and one sequence continues the other.
    #[test]
    fn different_parts_of_a_dag_are_decided_alike(members in 1..=9_usize, seed: u64) {
        prop_assert!(is_safe(seed, members, Faulty::Tolerated, None), "seed {seed}");
    }
}

/// The test above can fail: it does as soon as more than f is faulty, or a quorum is too small,
/// or an equivocator counts twice.
#[test]
fn disagreement_is_noticed() {
    let noticed = |faulty, broken| (0..3_000).any(|seed| !is_safe(seed, 4, faulty, broken));
    assert!(noticed(Faulty::Beyond, None), "more than f");
    assert!(noticed(Faulty::Tolerated, Some(BrokenRule::SmallQuorum)), "small quorum");
    assert!(noticed(Faulty::Tolerated, Some(BrokenRule::NoVoteDeduplication)), "counted twice");
}
