//! The crate and the oracle answer alike.

use proptest::prelude::*;

use super::generate::{self, Faulty};
use super::{oracle, production};

fn faulty() -> impl Strategy<Value = Faulty> {
    prop_oneof![Just(Faulty::Tolerated), Just(Faulty::Beyond)]
}

proptest! {
    /// Same decisions, by the same rule, and the same sequence, also where more than f is faulty.
    #[test]
    fn a_whole_dag_of_valid_blocks(
        members in 1..=9_usize, rounds in 1..=14_u64, faulty in faulty(), seed: u64,
    ) {
        let drawing = generate::valid(seed, members, rounds, faulty);
        prop_assert_eq!(production::decide(&drawing), oracle::decide(&drawing), "{}", drawing.to_json());
    }

    /// The same for blocks that no validator would accept.
    #[test]
    fn a_whole_dag_of_any_shape(members in 1..=7_usize, rounds in 1..=16_u64, seed: u64) {
        let drawing = generate::wild(seed, members, rounds);
        prop_assert_eq!(production::decide(&drawing), oracle::decide(&drawing), "{}", drawing.to_json());
    }

    /// In whatever order the blocks of a DAG come, the same is decided at any time as the oracle
    /// decides for what has come, and nothing is ever decided otherwise later.
    #[test]
    fn block_by_block_in_any_order(
        members in 1..=7_usize, rounds in 1..=12_u64, seed: u64, order: u64,
    ) {
        let drawing = generate::valid(seed, members, rounds, Faulty::Tolerated);
        let order = generate::random_order(&drawing, order);
        let mut run = production::Run::new(&drawing, None);
        let mut before = run.answer();
        let mut here = drawing.clone();
        here.blocks.clear();
        for position in order {
            run.insert(position);
            here.blocks.push(drawing.blocks[position].clone());
            let answer = run.answer();
            for (earlier, later) in before.outcomes().iter().zip(answer.outcomes()) {
                prop_assert!(earlier.is_none() || *earlier == later, "{}", here.to_json());
            }
            prop_assert!(answer.sequence.starts_with(&before.sequence), "{}", here.to_json());
            let expected = oracle::decide(&here);
            // The oracle also lists the slots of rounds that are not scheduled yet.
            let (known, unscheduled) = expected.decisions.split_at(answer.decisions.len());
            let known: Vec<_> = known.iter().map(|d| d.made.as_ref().map(|(what, _)| what)).collect();
            prop_assert_eq!(answer.outcomes(), known, "{}", here.to_json());
            prop_assert!(unscheduled.iter().all(|slot| slot.made.is_none()));
            prop_assert_eq!(&answer.sequence, &expected.sequence, "{}", here.to_json());
            before = answer;
        }
    }

    /// Above f anything may be decided, but a slot commits one block at most, what is sequenced
    /// stays, and nothing panics.
    #[test]
    fn block_by_block_above_f(members in 1..=7_usize, rounds in 1..=12_u64, seed: u64, order: u64) {
        let drawing = generate::valid(seed, members, rounds, Faulty::Beyond);
        let order = generate::random_order(&drawing, order);
        let answer = production::decide_incrementally(&drawing, &order);
        let slots: Vec<_> = answer.decisions.iter().map(|slot| (slot.round, &slot.leader)).collect();
        let listed = drawing.leaders.iter();
        let listed: Vec<_> =
            listed.flat_map(|(round, leaders)| leaders.iter().map(|name| (*round, name))).collect();
        prop_assert_eq!(slots, listed);
        let mut sequence = answer.sequence.clone();
        sequence.sort_unstable();
        sequence.dedup();
        prop_assert_eq!(sequence.len(), answer.sequence.len(), "{}", drawing.to_json());
    }
}
