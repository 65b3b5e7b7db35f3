//! Regions, and how a state is cut.

use proptest::prelude::*;
use qcn_crypto::{Digest, Domain, hash};
use qcn_light::state::{KEY_BITS, RecordKind, StateKey};
use qcn_types::{decode, encode};

use super::{MAX_CHUNK_ENTRIES, StateChunk, StateRegion};
use crate::testing::{large_ledger, ledger};
use crate::tree::{StateTree, Update};

fn chunks(tree: &StateTree) -> Vec<StateChunk> {
    super::chunks(tree).collect()
}

/// Records under keys that share their first `shared` bytes.
fn clustered(count: u32, shared: usize) -> Vec<Update> {
    let mut updates: Vec<Update> = (0..count)
        .map(|number| {
            let mut id = hash(Domain::Simulation, &number.to_le_bytes()).0;
            id[..shared].fill(0xaa);
            let key = StateKey { id: Digest(id), kind: RecordKind::Account };
            (key, Some(number.to_le_bytes().to_vec().into()))
        })
        .collect();
    updates.sort_unstable();
    updates
}

/// All chunks together are the whole state in order, each within its bound and provable alone.
#[test]
fn chunks_are_the_whole_state() {
    let ledger = large_ledger(9_000);
    let chunks: Vec<StateChunk> = ledger.chunks().collect();
    assert_eq!(chunks.len() as u32, ledger.chunk_count());
    assert!((9..=30).contains(&chunks.len()), "{} chunks", chunks.len());
    let keys: Vec<StateKey> =
        chunks.iter().flat_map(|chunk| chunk.entries.iter().map(|entry| entry.key)).collect();
    assert_eq!(keys.len() as u64, ledger.record_count());
    assert!(keys.is_sorted_by(|before, after| before < after));
    for chunk in chunks {
        assert!(chunk.check(&ledger.state_root()).is_some());
        assert!(decode(&encode(&chunk)) == Ok(chunk));
    }
}

/// A small state is one chunk.
#[test]
fn a_small_state_is_one_chunk() {
    let ledger = ledger(&[1, 2, 3]);
    assert_eq!(ledger.chunk_count(), 1);
    let mut chunks = ledger.chunks();
    let chunk = chunks.next().expect("the only one");
    assert!(chunk.steps.is_empty());
    assert_eq!(chunk.entries.len(), 4);
    assert_eq!(chunks.next(), None);
}

/// Chunks stay bounded when somebody opens thousands of accounts beside each other.
#[test]
fn chunks_are_bounded_whatever_the_keys() {
    for shared in [1, 8, 28] {
        let mut tree = StateTree::default();
        tree.apply(clustered(3_000, 0));
        tree.apply(clustered(3_000, shared));
        let chunks = chunks(&tree);
        assert_eq!(chunks.len() as u32, super::chunk_count(&tree));
        assert!(chunks.len() < 40, "{} chunks", chunks.len());
        assert!(chunks.iter().all(|chunk| chunk.entries.len() <= MAX_CHUNK_ENTRIES));
        assert!(chunks.iter().all(|chunk| chunk.check(&tree.root()).is_some()));
    }
}

/// A region is answered with the chunk that begins in it or around it, or not at all.
#[test]
fn regions_are_answered_with_their_chunks() {
    let mut tree = StateTree::default();
    tree.apply(clustered(4_000, 0));
    let all = chunks(&tree);
    let inside = |region: &StateRegion| super::chunk_in(&tree, region);
    assert!(inside(&StateRegion::WHOLE).as_ref() == all.first());
    for chunk in &all {
        let region = chunk.check(&tree.root()).expect("an honest chunk").region;
        let key = chunk.entries[3].key;
        for region in [region, StateRegion::around(&key, KEY_BITS)] {
            assert!(inside(&region).as_ref() == Some(chunk), "{region:?}");
        }
        let beside = StateRegion::beside(&key, KEY_BITS - 1);
        let hostile = StateRegion { bits: u16::MAX, ..region };
        assert!(inside(&beside).is_none() && inside(&hostile).is_none());
    }
    assert_eq!(super::chunk_in(&StateTree::default(), &StateRegion::WHOLE), None);
}

fn any_key() -> impl Strategy<Value = StateKey> {
    (any::<[u8; 32]>(), any::<bool>()).prop_map(|(id, bank)| {
        let kind = if bank { RecordKind::Bank } else { RecordKind::Account };
        StateKey { id: Digest(id), kind }
    })
}

proptest! {
    /// A region has exactly the keys that share its bits, and the one beside it those that
    /// share all but the last.
    #[test]
    fn regions_are_what_shares_their_bits(
        one in any_key(),
        mut other in any_key(),
        same in 0_usize..=32,
        bits in 0..=KEY_BITS,
    ) {
        other.id.0[..same].copy_from_slice(&one.id.0[..same]);
        let region = StateRegion::around(&one, bits);
        let shared = one.shared_bits(&other);
        prop_assert_eq!(region.contains(&other), shared >= bits);
        prop_assert!(region.covers(&StateRegion::around(&one, KEY_BITS)));
        let wider = StateRegion::around(&one, bits / 2);
        prop_assert!(wider.covers(&region));
        prop_assert_eq!(region.covers(&wider), bits == 0);
        let inside = StateRegion::around(&other, KEY_BITS);
        prop_assert_eq!(region.covers(&inside), shared >= bits);
        if bits > 0 {
            let beside = StateRegion::beside(&one, bits - 1);
            prop_assert_eq!(beside.contains(&other), shared == bits - 1);
            prop_assert!(!beside.covers(&region) && !region.covers(&beside));
        }
    }
}
