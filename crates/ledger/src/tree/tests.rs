//! The tree against its definition, written out once more over a sorted map.

use std::collections::BTreeMap;

use proptest::prelude::*;
use qcn_crypto::{Digest, Domain, SeededRandomness, hash};
use qcn_light::state::{KEY_BITS, RecordKind, StateKey};

use super::{StateTree, Update};

type Records = BTreeMap<StateKey, Vec<u8>>;

/// The definition in `qcn_light::state`, bit by bit and from scratch.
fn naive_root(records: &Records) -> Digest {
    let records: Vec<_> = records.iter().collect();
    naive_hash(0, &records)
}

fn naive_hash(depth: u16, records: &[(&StateKey, &Vec<u8>)]) -> Digest {
    match records {
        [] => Digest::ZERO,
        [(key, value)] => {
            hash(Domain::StateLeaf, &[key.id.as_bytes(), &[key.kind as u8][..], value].concat())
        }
        _ => {
            let parts = |bit| records.iter().partition::<Vec<_>, _>(|(key, _)| !key.bit(bit));
            let branches = |bit: &u16| !parts(*bit).0.is_empty() && !parts(*bit).1.is_empty();
            let bit = (depth..KEY_BITS).find(branches).expect("keys differ");
            let (left, right) = parts(bit);
            let halves = [naive_hash(bit + 1, &left), naive_hash(bit + 1, &right)];
            let core = hash(Domain::StateNode, &[halves[0].0, halves[1].0].concat());
            let skip = bit - depth;
            let skipped = [skip.to_le_bytes().as_slice(), core.as_bytes()].concat();
            if skip == 0 { core } else { hash(Domain::StateNode, &skipped) }
        }
    }
}

fn apply_naively(records: &mut Records, batch: &[Update]) {
    for (key, value) in batch {
        match value {
            Some(value) => drop(records.insert(*key, value.to_vec())),
            None => drop(records.remove(key)),
        }
    }
}

fn key(id: [u8; 32]) -> StateKey {
    StateKey { id: Digest(id), kind: RecordKind::Account }
}

/// Keys that often agree in long stretches, and some that do not.
fn any_key() -> impl Strategy<Value = StateKey> {
    let edge = prop::sample::select(vec![0x00, 0x01, 0x7f, 0x80, 0xff]);
    let alike = (edge.clone(), edge.clone(), edge, any::<bool>()).prop_map(
        |(first, middle, last, bank)| {
            let mut id = [0; 32];
            (id[0], id[15], id[31]) = (first, middle, last);
            let kind = if bank { RecordKind::Bank } else { RecordKind::Account };
            StateKey { id: Digest(id), kind }
        },
    );
    prop_oneof![4 => alike, 1 => any::<[u8; 32]>().prop_map(key)]
}

/// Sorted batches of new values and deletions.
fn any_batch() -> impl Strategy<Value = Vec<Update>> {
    let value = prop::option::weighted(0.65, prop::collection::vec(any::<u8>(), 0..4));
    prop::collection::btree_map(any_key(), value, 0..24).prop_map(|updates| {
        updates.into_iter().map(|(key, value)| (key, value.map(Into::into))).collect()
    })
}

proptest! {
    /// After any history the tree is what its records say, and earlier clones are what theirs
    /// said: the root depends on nothing else.
    #[test]
    fn it_is_what_its_records_say(batches in prop::collection::vec(any_batch(), 1..8)) {
        let mut tree = StateTree::default();
        let mut records = Records::new();
        let mut snapshots = Vec::new();
        for batch in batches {
            snapshots.push((tree.clone(), records.clone()));
            apply_naively(&mut records, &batch);
            tree.apply(batch);
            let listed: Records = tree.iter().map(|(key, value)| (*key, value.to_vec())).collect();
            prop_assert_eq!(&listed, &records);
            prop_assert_eq!(tree.root(), naive_root(&records));
            prop_assert_eq!(tree.len(), records.len() as u64);
            prop_assert_eq!(tree.is_empty(), records.is_empty());
        }
        for (snapshot, records) in snapshots {
            prop_assert_eq!(snapshot.root(), naive_root(&records));
            prop_assert_eq!(snapshot.len(), records.len() as u64);
        }
    }

    /// One batch or one record at a time, forwards or backwards: the same tree.
    #[test]
    fn the_order_of_updates_does_not_matter(first in any_batch(), second in any_batch()) {
        let mut whole = StateTree::default();
        whole.apply(first.clone());
        let mut forwards = whole.clone();
        let mut backwards = whole.clone();
        whole.apply(second.clone());
        for update in &second {
            forwards.apply(vec![update.clone()]);
        }
        for update in second.iter().rev() {
            backwards.apply(vec![update.clone()]);
        }
        prop_assert_eq!(forwards.root(), whole.root());
        prop_assert_eq!(backwards.root(), whole.root());
    }

    /// Every key is proven present or absent, and the lookup says the same.
    #[test]
    fn every_key_is_proven(batch in any_batch(), probes in prop::collection::vec(any_key(), 0..12)) {
        let mut tree = StateTree::default();
        let mut records = Records::new();
        apply_naively(&mut records, &batch);
        let keys: Vec<StateKey> = batch.iter().map(|(key, _)| *key).chain(probes).collect();
        tree.apply(batch);
        for key in keys {
            let expected = records.get(&key).map(Vec::as_slice);
            prop_assert_eq!(tree.get(&key), expected);
            let proof = tree.prove(&key);
            prop_assert_eq!(proof.verify(&tree.root(), &key), Ok(expected));
        }
    }
}

fn random_keys(count: usize) -> Vec<StateKey> {
    let mut randomness = SeededRandomness::from_u64(1, "tree-tests");
    let mut draw = || {
        let mut id = [0; 32];
        randomness.fill(&mut id);
        key(id)
    };
    (0..count).map(|_| draw()).collect()
}

fn set_all(keys: &[StateKey], value: u8) -> Vec<Update> {
    let mut batch: Vec<Update> =
        keys.iter().map(|key| (*key, Some(vec![value; 48].into()))).collect();
    batch.sort_unstable();
    batch
}

/// A batch hashes every changed node once.
///
/// Given a thousand records.
/// When all are written in one batch or one after the other,
/// then the batch takes no more than three hashes a record, and the other way many more.
#[test]
fn a_batch_hashes_every_node_once() {
    let keys = random_keys(1_000);
    let mut tree = StateTree::default();
    tree.apply(set_all(&keys, 1));
    let mut one_by_one = tree.clone();
    let batched = tree.apply(set_all(&keys, 2));
    let single: u32 = keys.iter().map(|key| one_by_one.apply(set_all(&[*key], 2))).sum();
    assert!((2_000..3_000).contains(&batched), "{batched} hashes");
    assert!(single > 3 * batched, "{single} hashes");
    assert_eq!(one_by_one.root(), tree.root());
}

/// Addresses chosen to agree in almost all bits cost no more than others.
///
/// Given a thousand records, and another thousand whose keys share 248 bits with one of them
/// each.
/// When the latter are written one by one, then each takes a few dozen hashes, not hundreds,
/// and its proof a few dozen steps.
#[test]
fn keys_that_agree_in_most_bits_are_cheap() {
    let keys = random_keys(1_000);
    let mut tree = StateTree::default();
    tree.apply(set_all(&keys, 1));
    for key in &keys {
        let mut twin = *key;
        twin.id.0[31] ^= 1;
        let hashes = tree.apply(set_all(&[twin], 1));
        assert!(hashes < 50, "{hashes} hashes");
        assert!(tree.prove(&twin).steps.len() < 30);
    }
    assert_eq!(tree.len(), 2_000);
}

#[test]
#[should_panic(expected = "rises strictly by key")]
fn an_unsorted_batch_is_a_mistake_of_ours() {
    let mut batch = set_all(&random_keys(2), 1);
    batch.reverse();
    StateTree::default().apply(batch);
}

#[test]
#[should_panic(expected = "fits into a proof")]
fn a_value_too_long_for_proofs_is_a_mistake_of_ours() {
    StateTree::default().apply(vec![(key([0; 32]), Some(vec![0; 1_025].into()))]);
}
