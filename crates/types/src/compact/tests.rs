//! Parents packed by slot and rebuilt from a DAG.

use std::collections::BTreeMap;

use proptest::prelude::*;
use qcn_crypto::Signature;

use super::{CompactBlock, CompactParents, ParentLayer, RebuildError};
use crate::testing::{CHAIN, bare_body, full_body, members, reference, signed};
use crate::{
    AuthorSet, Block, BlockBody, BlockRef, Bounded, Committee, Epoch, Round, ShardId, Slot,
    ValidatorIndex, decode, encode,
};

fn committee() -> Committee {
    Committee::new(ShardId(0), Epoch(0), members(&[1; 12])).expect("good members")
}

fn slot(round: u64, author: u16) -> Slot {
    Slot { round: Round(round), author: ValidatorIndex(author) }
}

/// A DAG that has exactly the blocks of these tests.
fn known(slot: Slot) -> Option<BlockRef> {
    Some(reference(slot.round.0, slot.author.0))
}

fn layer(depth: u8, authors: &[u16]) -> ParentLayer {
    ParentLayer { depth, authors: authors.iter().copied().map(ValidatorIndex).collect() }
}

fn slots(layers: &[ParentLayer], genesis: &[u16]) -> CompactParents {
    CompactParents::Slots {
        layers: Bounded::truncated(layers.to_vec()),
        genesis: genesis.iter().copied().map(ValidatorIndex).collect(),
    }
}

/// A block of round 100 or more with one parent for each chosen author, its own first.
fn parents_of(own: u16, depths: &BTreeMap<u16, u64>, round: u64) -> Vec<BlockRef> {
    let others = depths.keys().copied().filter(|author| *author != own);
    let at = |author: u16| reference(round.saturating_sub(depths[&author]), author);
    std::iter::once(own).chain(others).map(at).collect()
}

/// A block in which only the parents matter.
fn block_with(round: u64, own: u16, parents: Vec<BlockRef>) -> Block {
    let (round, author) = (Round(round), ValidatorIndex(own));
    let signature = Signature::new(vec![1]).expect("short");
    Block { body: BlockBody { round, author, parents, ..bare_body() }, signature }
}

fn chosen() -> impl Strategy<Value = (u16, BTreeMap<u16, u64>)> {
    let depth = prop_oneof![6 => 1_u64..3, 2 => 3_u64..64, 1 => 64_u64..400];
    let depths = prop::collection::btree_map(0_u16..12, depth, 1..12);
    (0_u16..12, depths, 1_u64..5).prop_map(|(own, mut depths, depth)| {
        depths.insert(own, depth);
        (own, depths)
    })
}

proptest! {
    /// Packing and rebuilding gives the parents back, in order, over the wire.
    #[test]
    fn packed_parents_are_rebuilt((own, depths) in chosen(), round in 1_u64..300) {
        let parents = parents_of(own, &depths, round);
        let block = block_with(round, own, parents);

        let compact: CompactBlock = decode(&encode(&CompactBlock::pack(&block))).expect("canonical");
        let rebuilt = compact.rebuild_parents(CHAIN, &committee(), known).expect("all are known");
        prop_assert_eq!(&rebuilt, &block.body.parents);
        prop_assert_eq!(compact.with_parents(CHAIN, &committee(), rebuilt), block);
    }

    /// What a receiver lacks is named, and the order of the others does not depend on it.
    #[test]
    fn unknown_parents_are_named((own, depths) in chosen(), unknown in 0_u16..12) {
        let parents = parents_of(own, &depths, 500);
        let compact = CompactParents::pack(Round(500), &parents);
        prop_assume!(matches!(compact, CompactParents::Slots { .. }));
        let block = block_with(500, own, parents);
        let compact = CompactBlock::pack(&block);
        let lacks = |slot: Slot| (slot.author.0 != unknown).then(|| known(slot)).flatten();
        let rebuilt = compact.rebuild_parents(CHAIN, &committee(), lacks);
        let parents = &block.body.parents;
        let missing: Vec<Slot> = parents
            .iter()
            .map(BlockRef::slot)
            .filter(|slot| slot.author.0 == unknown && slot.round > Round::GENESIS)
            .collect();
        match rebuilt {
            Ok(parents) => prop_assert!(missing.is_empty() && parents == block.body.parents),
            Err(error) => prop_assert_eq!(error, RebuildError::Unresolved(missing)),
        }
    }

    /// Hostile layers are refused or name every author once, own first, below the block.
    #[test]
    fn hostile_layers_never_name_an_author_twice(
        layers in prop::collection::vec((any::<u8>(), prop::collection::vec(0_u16..8, 0..3)), 0..5),
        genesis in prop::collection::vec(0_u16..8, 0..3),
        round in 0_u64..300,
    ) {
        let layers: Vec<_> = layers.iter().map(|(depth, authors)| layer(*depth, authors)).collect();
        let own = slot(round, 3);
        let Ok(named) = slots(&layers, &genesis).slots(own) else { return Ok(()) };
        let order = |slot: &Slot| (slot.author != own.author, slot.author);
        prop_assert!(named.is_sorted_by(|before, after| order(before) < order(after)));
        prop_assert!(named.iter().all(|slot| slot.round < own.round || round == 0));
        let references: Vec<_> = named.iter().filter_map(|slot| known(*slot)).collect();
        prop_assert_eq!(CompactParents::pack(own.round, &references), slots(&layers, &genesis));
    }
}

#[test]
fn the_own_parent_comes_first() {
    let parents = slots(&[layer(1, &[0, 1, 3]), layer(2, &[2])], &[4]);
    let named = parents.slots(slot(9, 2)).expect("canonical");
    assert_eq!(named, [slot(7, 2), slot(8, 0), slot(8, 1), slot(8, 3), slot(0, 4)]);
}

/// One set of slots has one packed form.
#[test]
fn layers_that_are_not_canonical_are_refused() {
    let table: [(&str, &[ParentLayer], &[u16]); 8] = [
        ("depth zero", &[layer(0, &[1])], &[]),
        ("falling depth", &[layer(2, &[1]), layer(1, &[2])], &[]),
        ("repeated depth", &[layer(1, &[1]), layer(1, &[2])], &[]),
        ("empty layer", &[layer(1, &[])], &[]),
        ("an author in two layers", &[layer(1, &[1, 2]), layer(2, &[2])], &[]),
        ("an author in a layer and at genesis", &[layer(1, &[1])], &[1]),
        ("the genesis round as a layer", &[layer(9, &[1])], &[]),
        ("below the genesis", &[layer(10, &[1])], &[]),
    ];
    for (what, layers, genesis) in table {
        let refused = slots(layers, genesis).slots(slot(9, 1));
        assert_eq!(refused, Err(RebuildError::NotCanonical), "{what}");
    }
    assert_eq!(slots(&[layer(8, &[1])], &[2]).slots(slot(9, 1)).map(|slots| slots.len()), Ok(2));
}

/// Parents too far below, or in too many layers, travel in full.
#[test]
fn parents_out_of_reach_travel_in_full() {
    let deep = [reference(999, 0), reference(744, 1), reference(743, 2)];
    let packed = |parents: &[BlockRef]| CompactParents::pack(Round(1_000), parents);
    assert!(matches!(packed(&deep[..1]), CompactParents::Slots { .. }));
    assert!(matches!(packed(&deep), CompactParents::Full(parents) if *parents == deep));

    let layered: Vec<BlockRef> =
        (0..65).map(|author| reference(999 - u64::from(author), author)).collect();
    assert!(matches!(packed(&layered[..64]), CompactParents::Slots { .. }));
    assert!(matches!(packed(&layered), CompactParents::Full(parents) if *parents == *layered));
}

/// In full, nothing is asked of the receiver's DAG.
#[test]
fn full_parents_need_no_dag() {
    let block = signed(full_body());
    let full = CompactBlock::in_full(&block);
    let rebuilt = full.rebuild_parents(CHAIN, &committee(), |_| None);
    assert_eq!(rebuilt.as_ref(), Ok(&block.body.parents));
    let packed = CompactBlock::pack(&block);
    let missing = vec![slot(8, 1), slot(8, 0), slot(7, 2)];
    let unresolved = Err(RebuildError::Unresolved(missing));
    assert_eq!(packed.rebuild_parents(CHAIN, &committee(), |_| None), unresolved);
}

/// A hundred parents of the round before take less room than one reference.
#[test]
fn a_usual_block_travels_compactly() {
    let parents: Vec<BlockRef> = (0..100).map(|author| reference(8, author)).collect();
    assert!(encode(&CompactParents::pack(Round(9), &parents)).len() < 42);
    let authors: AuthorSet = (0..100).map(ValidatorIndex).collect();
    assert_eq!(encode(&authors).len(), 14);
}
