//! Quorum arithmetic by table, and the capping of weights.

use proptest::prelude::*;

use super::{Cap, Committee, CommitteeError, MAX_MEMBERS};
use crate::testing::{members, some_key};
use crate::{AuthorSet, Epoch, ShardId, ValidatorIndex, Weight, decode, encode};

fn committee(weights: &[u64]) -> Result<Committee, CommitteeError> {
    Committee::new(ShardId(1), Epoch(2), members(weights))
}

fn form(weights: &[u64]) -> (Vec<u64>, Vec<Cap>) {
    let (committee, caps) =
        Committee::form(ShardId(1), Epoch(2), members(weights)).expect("good members");
    (committee.members().iter().map(|member| member.weight.0).collect(), caps)
}

/// For every total weight from 1 to 100: f is the largest weight below a third, two quorums
/// share more than f, a quorum remains when f is silent, and V is one more than f.
#[test]
fn quorums_follow_from_the_total_weight() {
    for total in 1..=100_u64 {
        let committee = committee(&[total]).expect("one member");
        let (f, q, v) =
            (committee.fault_weight(), committee.quorum_weight(), committee.validity_weight());
        let largest = (0..total).rev().find(|fault| 3 * fault < total);
        assert_eq!(Some(f), largest, "W = {total}");
        assert!(2 * q - total > f, "W = {total}: two quorums share an honest validator");
        assert!(total - f >= q, "W = {total}: the honest are a quorum");
        assert!(3 * q > 2 * total, "W = {total}: a quorum is more than two thirds");
        assert_eq!(v, f + 1);
        assert!(q >= v);
    }
}

#[test]
fn quorums_of_some_totals() {
    let table = [(1, 0, 1), (2, 0, 2), (3, 0, 3), (4, 1, 3), (6, 1, 5), (7, 2, 5), (100, 33, 67)];
    for (total, fault, quorum) in table {
        let committee = committee(&[total]).expect("one member");
        assert_eq!((committee.fault_weight(), committee.quorum_weight()), (fault, quorum));
    }
}

/// A committee of one to three is allowed as it is, and says that it tolerates no fault
/// unless a member weighs next to nothing.
#[test]
fn small_committees_keep_their_weights() {
    for weights in [[5].as_slice(), &[5, 5], &[5, 5, 5], &[1, 1, 98]] {
        assert_eq!(form(weights), (weights.to_vec(), vec![]));
    }
    let tolerates = |weights: &[u64]| committee(weights).expect("good").tolerates_a_fault();
    assert!(!tolerates(&[5]) && !tolerates(&[5, 5]) && !tolerates(&[5, 5, 5]));
    assert!(tolerates(&[5, 5, 5, 5]) && tolerates(&[1, 1, 98]));
}

/// In a committee of four or more nobody weighs more than f, and what was lowered is named.
#[test]
fn heavy_members_are_capped_to_the_fixpoint() {
    let table: [(&[u64], &[u64]); 6] = [
        (&[1, 1, 1, 1], &[1, 1, 1, 1]),
        (&[10, 10, 10, 10], &[10, 10, 10, 10]),
        (&[1, 1, 1, 1_000_000], &[1, 1, 1, 1]),
        (&[5, 5, 5, 5, 100], &[5, 5, 5, 5, 9]),
        (&[3, 3, 2, 1, 1], &[3, 3, 2, 1, 1]),
        (&[1000, 2000, 500, 1500, 700], &[1000, 1849, 500, 1500, 700]),
    ];
    for (asked, given) in table {
        let (weights, caps) = form(asked);
        let total: u64 = weights.iter().sum();
        assert!(weights.iter().all(|weight| *weight <= (total - 1) / 3), "{asked:?} {weights:?}");
        let named: Vec<_> = caps.iter().map(|cap| (cap.member.position(), cap.given.0)).collect();
        let lowered: Vec<_> = (0..asked.len())
            .filter(|at| asked[*at] != weights[*at])
            .map(|at| (at, weights[at]))
            .collect();
        assert_eq!(named, lowered);
        assert!(caps.iter().all(|cap| cap.asked.0 == asked[cap.member.position()]));
        assert_eq!(weights, given, "{asked:?}");
    }
}

proptest! {
    /// Whatever the weights: nobody exceeds f, nobody falls to zero or rises, who is lighter
    /// stays at most as heavy, and forming again changes nothing.
    #[test]
    fn capping_is_a_fixpoint(weights in prop::collection::vec(1_u64..1 << 40, 4..40)) {
        let (capped, _) = form(&weights);
        let fault = (capped.iter().sum::<u64>() - 1) / 3;
        prop_assert!(capped.iter().all(|weight| (1..=fault).contains(weight)));
        let highest = capped.iter().max().copied().unwrap_or(0);
        for (asked, given) in weights.iter().zip(&capped) {
            prop_assert_eq!(*given, (*asked).min(highest));
        }
        prop_assert_eq!(form(&capped), (capped.clone(), vec![]));
    }

    /// The weight of a set is the sum over its members; who is none weighs nothing.
    #[test]
    fn sets_weigh_what_their_members_weigh(
        weights in prop::collection::vec(1_u64..1000, 1..20),
        chosen in prop::collection::btree_set(0_u16..30, 0..30),
    ) {
        let committee = committee(&weights).expect("good members");
        let set: AuthorSet = chosen.iter().copied().map(ValidatorIndex).collect();
        let expected: u64 =
            chosen.iter().filter_map(|index| weights.get(usize::from(*index))).sum();
        prop_assert_eq!(committee.weight_of(&set), expected);
    }
}

#[test]
fn bad_members_are_named() {
    assert_eq!(committee(&[]), Err(CommitteeError::Empty));
    assert_eq!(committee(&[1; 513]), Err(CommitteeError::TooMany(513)));
    assert_eq!(committee(&[1, 0]), Err(CommitteeError::ZeroWeight("m1".to_owned())));
    let mut shared = members(&[1, 1, 1]);
    shared[2].key = some_key(0);
    let shared = Committee::new(ShardId(1), Epoch(2), shared);
    assert_eq!(shared, Err(CommitteeError::SharedKey("m0".to_owned(), "m2".to_owned())));
    let mut long = members(&[1]);
    long[0].name = "x".repeat(65);
    assert_eq!(Committee::new(ShardId(1), Epoch(2), long), Err(CommitteeError::LongName));
}

/// Sums of weights never wrap around, neither when checked nor when capped.
#[test]
fn overflowing_weights_are_refused() {
    let limit = Committee::MAX_TOTAL;
    assert_eq!(committee(&[limit]).map(|committee| committee.total_weight()), Ok(limit));
    for weights in [[limit, 1].as_slice(), &[u64::MAX, 1], &[u64::MAX; 4], &[limit + 1]] {
        assert_eq!(committee(weights), Err(CommitteeError::WeightOverflow));
        let formed = Committee::form(ShardId(1), Epoch(2), members(weights));
        assert_eq!(formed, Err(CommitteeError::WeightOverflow));
    }
}

#[test]
fn members_are_found_by_index() {
    let committee = committee(&[5, 6]).expect("good members");
    assert_eq!(committee.len(), 2);
    assert_eq!((committee.shard(), committee.epoch()), (ShardId(1), Epoch(2)));
    assert_eq!(committee.indices().collect::<Vec<_>>(), [ValidatorIndex(0), ValidatorIndex(1)]);
    assert_eq!(committee.member(ValidatorIndex(1)).map(|member| member.weight), Some(Weight(6)));
    assert_eq!(committee.member(ValidatorIndex(2)), None);
    assert_eq!(committee.weight(ValidatorIndex(u16::MAX)), 0);
    assert!(committee.contains(ValidatorIndex(1)) && !committee.contains(ValidatorIndex(2)));
}

/// What decodes is a committee that could have been formed.
#[test]
fn the_decoder_applies_the_rules() {
    let good = committee(&[5, 6, 7]).expect("good members");
    assert_eq!(decode::<Committee>(&encode(&good)).as_ref(), Ok(&good));
    let largest = committee(&[1; MAX_MEMBERS]).expect("as many as allowed");
    assert_eq!(decode::<Committee>(&encode(&largest)), Ok(largest));

    let weight_of_first = 4 + 8 + 4 + (4 + 2) + (1 + 897);
    let mut zero = encode(&good);
    assert_eq!(zero[weight_of_first..][..8], 5_u64.to_le_bytes());
    zero[weight_of_first] = 0;
    assert!(decode::<Committee>(&zero).is_err());
    let mut name = encode(&good);
    name[4 + 8 + 4 + 4] = 0xff;
    assert!(decode::<Committee>(&name).is_err());
}
