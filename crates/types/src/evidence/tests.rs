//! The making of evidence, and its bounds.

use qcn_crypto::Signature;

use super::{AccusedBlock, Evidence};
use crate::testing::{bare_body, full_body, signed};
use crate::{Block, CompactBlock, CompactParents, ValidatorIndex, decode, encode};

fn pair() -> (Block, Block) {
    let mut other = bare_body();
    other.time_ms += 1;
    (signed(bare_body()), signed(other))
}

/// Whoever finds two statements first, the evidence is the same.
#[test]
fn the_order_of_discovery_does_not_matter() {
    let (one, other) = pair();
    let name = Evidence::equivocation(&one, &other).digest();
    assert_eq!(Evidence::equivocation(&other, &one).digest(), name);
    let conflict = Evidence::conflicting_attestations(&one, &other);
    assert_eq!(Evidence::conflicting_attestations(&other, &one), conflict);
    assert_ne!(conflict.digest(), name);
}

#[test]
fn evidence_names_the_accused() {
    let (one, other) = pair();
    for evidence in [
        Evidence::equivocation(&one, &other),
        Evidence::conflicting_attestations(&one, &other),
        Evidence::invalid_block(&one),
    ] {
        assert_eq!(evidence.accused(), ValidatorIndex(1));
    }
}

/// An accused block opens to the block with all parents in full.
#[test]
fn an_accused_block_opens_to_itself() {
    let block = signed(full_body());
    let opened = AccusedBlock::of(&block).open().expect("it was packed here");
    assert!(matches!(&opened.parents, CompactParents::Full(full) if **full == *block.body.parents));
    assert_eq!(opened, CompactBlock::in_full(&block));
}

/// Nested evidence is decoded one level at a time.
///
/// Given a block with evidence about a block with evidence about a block, and so on for four
/// thousand levels, far more than the stack would hold.
/// When it is decoded, cloned, compared and dropped, then only one level is ever open.
#[test]
fn nested_evidence_is_opened_one_level_at_a_time() {
    let mut block = signed(bare_body());
    block.signature = Signature::new(vec![]).expect("short");
    block.body.parents.clear();
    for _ in 0..4_000 {
        let evidence = Evidence::invalid_block(&block);
        block.body.payload.evidence = crate::Bounded::truncated(vec![evidence]);
    }
    let outermost = CompactBlock::in_full(&block);
    let decoded: CompactBlock = decode(&encode(&outermost)).expect("canonical");
    assert_eq!(decoded.clone(), outermost);
    let [Evidence::InvalidBlock(accused)] = &*decoded.payload.evidence else {
        panic!("one level of evidence");
    };
    assert!(accused.open().is_ok());
}
