//! Proofs over small trees that are built by hand, after the rules in the module's text.

use proptest::prelude::*;
use qcn_crypto::Digest;
use qcn_types::{Bounded, decode, encode};

use super::{
    KEY_BITS, KEY_BYTES, ProofError, ProofStep, RecordKind, StateEntry, StateKey, StateProof,
    branch_hash, leaf_hash,
};
use crate::testing::bit_flips;

fn key(first: u8, last: u8) -> StateKey {
    let mut id = [0; 32];
    id[0] = first;
    id[31] = last;
    StateKey { id: Digest(id), kind: RecordKind::Account }
}

fn entry(key: StateKey, value: &[u8]) -> StateEntry {
    StateEntry { key, value: Bounded::truncated(value.to_vec()) }
}

fn hash_of(entry: &StateEntry) -> Digest {
    leaf_hash(&entry.key, &entry.value)
}

fn proof(steps: &[(u16, Digest)], found: &StateEntry) -> StateProof {
    let steps = steps.iter().map(|(skip, sibling)| ProofStep { skip: *skip, sibling: *sibling });
    StateProof { steps: Bounded::truncated(steps.collect()), found: Some(found.clone()) }
}

/// Three records: 0b0.. and 0b10000.., 0b10001.. The tree branches at bit 0 and at bit 4.
struct Three {
    low: StateEntry,
    middle: StateEntry,
    high: StateEntry,
    root: Digest,
    proof_of_low: StateProof,
    proof_of_high: StateProof,
}

fn three() -> Three {
    let low = entry(key(0x00, 1), b"low");
    let middle = entry(key(0x80, 2), b"middle");
    let high = entry(key(0x88, 3), b"high");
    let pair = branch_hash(3, &hash_of(&middle), &hash_of(&high));
    let root = branch_hash(0, &hash_of(&low), &pair);
    let proof_of_low = proof(&[(0, pair)], &low);
    let proof_of_high = proof(&[(0, hash_of(&low)), (3, hash_of(&middle))], &high);
    Three { low, middle, high, root, proof_of_low, proof_of_high }
}

#[test]
fn a_record_that_is_there_is_proven() {
    let three = three();
    let value = three.proof_of_low.verify(&three.root, &three.low.key);
    assert_eq!(value, Ok(Some(b"low".as_slice())));
    let value = three.proof_of_high.verify(&three.root, &three.high.key);
    assert_eq!(value, Ok(Some(b"high".as_slice())));
}

/// Absence is shown by the record where the search ends, also if the key leaves the way in a
/// bit that the tree skips.
#[test]
fn a_record_that_is_not_there_is_proven_absent() {
    let three = three();
    for absent in [key(0x00, 2), key(0x7f, 0)] {
        assert_eq!(three.proof_of_low.verify(&three.root, &absent), Ok(None));
    }
    for absent in [key(0x88, 2), key(0x8f, 3), key(0xf8, 0)] {
        assert_eq!(three.proof_of_high.verify(&three.root, &absent), Ok(None));
    }
}

/// A proof where another search ends says nothing about this key.
#[test]
fn a_proof_about_another_key_is_refused() {
    let three = three();
    for other in [three.low.key, three.middle.key, key(0x80, 7), key(0x70, 0)] {
        let verdict = three.proof_of_high.verify(&three.root, &other);
        assert_eq!(verdict, Err(ProofError::OtherKey));
    }
    let verdict = three.proof_of_low.verify(&three.root, &three.high.key);
    assert_eq!(verdict, Err(ProofError::OtherKey));
}

/// An empty state has the root zero, and only it proves absence without a record.
#[test]
fn only_the_empty_state_is_proven_empty() {
    let three = three();
    let empty = StateProof { steps: Bounded::default(), found: None };
    assert_eq!(empty.verify(&Digest::ZERO, &three.low.key), Ok(None));
    assert_eq!(empty.verify(&three.root, &three.low.key), Err(ProofError::WrongRoot));
    let longer = StateProof { found: None, ..three.proof_of_low };
    assert_eq!(longer.verify(&three.root, &three.low.key), Err(ProofError::WrongRoot));
    assert_eq!(longer.verify(&Digest::ZERO, &three.low.key), Err(ProofError::WrongRoot));
}

/// Every bit of a proof counts.
///
/// Given proofs of presence and of absence.
/// When any bit is flipped, then the proof does not decode, or is refused for its key.
#[test]
fn every_flipped_bit_of_a_proof_is_refused() {
    let three = three();
    for (proof, key) in [
        (&three.proof_of_low, three.low.key),
        (&three.proof_of_low, key(0x7f, 0)),
        (&three.proof_of_high, three.high.key),
        (&three.proof_of_high, key(0xf8, 0)),
    ] {
        for flipped in bit_flips(&encode(proof)) {
            let Ok(other) = decode::<StateProof>(&flipped) else { continue };
            assert!(other.verify(&three.root, &key).is_err(), "{other:?}");
        }
    }
}

/// The bits that the tree skips cannot be claimed elsewhere to make a record seem absent.
///
/// Given a tree of two records that branches at bit 4.
/// When a proof claims that it branches at another bit, then it is refused.
#[test]
fn the_place_of_a_branch_is_committed() {
    let (one, other) = (entry(key(0x80, 2), b"one"), entry(key(0x88, 3), b"other"));
    let root = branch_hash(4, &hash_of(&one), &hash_of(&other));
    let at = |skip| proof(&[(skip, hash_of(&other))], &one);
    assert_eq!(at(4).verify(&root, &one.key), Ok(Some(b"one".as_slice())));
    for skip in (0..KEY_BITS).filter(|skip| *skip != 4) {
        assert!(at(skip).verify(&root, &other.key).is_err());
        assert!(at(skip).verify(&root, &one.key).is_err());
    }
}

/// A way longer than a key is refused before anything is hashed.
#[test]
fn a_way_longer_than_a_key_is_refused() {
    let found = entry(key(0, 0), b"value");
    let table: [&[u16]; 4] = [&[KEY_BITS], &[u16::MAX], &[200, 63], &[u16::MAX; 264]];
    for skips in table {
        let steps: Vec<_> = skips.iter().map(|skip| (*skip, Digest::ZERO)).collect();
        let proof = proof(&steps, &found);
        assert_eq!(proof.verify(&Digest::ZERO, &found.key), Err(ProofError::TooDeep));
    }
    let deepest = proof(&[(KEY_BITS - 1, Digest::ZERO)], &found);
    assert_eq!(deepest.verify(&Digest::ZERO, &found.key), Err(ProofError::WrongRoot));
}

/// A leaf, a branch and a skip are never hashes of one another.
#[test]
fn leaves_branches_and_skips_are_told_apart() {
    let (left, right) = (Digest([1; 32]), Digest([2; 32]));
    let skips: std::collections::BTreeSet<Digest> =
        (0..KEY_BITS).map(|skip| branch_hash(skip, &left, &right)).collect();
    assert_eq!(skips.len(), usize::from(KEY_BITS));
    let leaf_like = StateKey { id: left, kind: RecordKind::Account };
    assert!(!skips.contains(&leaf_hash(&leaf_like, right.as_bytes())));
    assert_ne!(branch_hash(0, &left, &right), branch_hash(0, &right, &left));
}

fn any_key() -> impl Strategy<Value = StateKey> {
    (any::<[u8; 32]>(), any::<bool>()).prop_map(|(id, bank)| {
        let kind = if bank { RecordKind::Bank } else { RecordKind::Account };
        StateKey { id: Digest(id), kind }
    })
}

proptest! {
    /// Bits, bytes, order and shared bits of keys say the same.
    #[test]
    fn keys_sort_as_their_bits(one in any_key(), mut other in any_key(), same in 0_usize..=33) {
        let mut bytes = other.to_bytes();
        bytes[..same].copy_from_slice(&one.to_bytes()[..same]);
        other = decode(&bytes).expect("kinds are shared as a whole");
        let bits = |key: &StateKey| (0..KEY_BITS).map(|bit| key.bit(bit)).collect::<Vec<_>>();
        let differ = (0..KEY_BITS).find(|bit| one.bit(*bit) != other.bit(*bit));
        prop_assert_eq!(one.shared_bits(&other), differ.unwrap_or(KEY_BITS));
        prop_assert_eq!(one.cmp(&other), bits(&one).cmp(&bits(&other)));
        prop_assert_eq!(one.to_bytes().cmp(&other.to_bytes()), one.cmp(&other));
        prop_assert_eq!(encode(&one), one.to_bytes().to_vec());
        prop_assert!(!one.bit(KEY_BITS) && !one.bit(u16::MAX));
    }

    /// Short and long values are hashed alike: at once.
    #[test]
    fn a_leaf_commits_to_key_and_value(key in any_key(), value in prop::collection::vec(any::<u8>(), 0..200)) {
        let whole = [key.to_bytes().as_slice(), &value].concat();
        prop_assert_eq!(whole.len(), KEY_BYTES + value.len());
        let expected = qcn_crypto::hash(qcn_crypto::Domain::StateLeaf, &whole);
        prop_assert_eq!(leaf_hash(&key, &value), expected);
    }
}
