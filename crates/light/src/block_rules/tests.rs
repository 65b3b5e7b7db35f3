//! One table, one row per rule: a valid block, how it is broken, and the fault.

use qcn_types::{BlockBody, Committee, Round};

use super::{BlockFault, check_block};
use crate::testing::{attestation, attesting, author, block_body, committee, digest, reference};

type Break = fn(&mut BlockBody);

const OWN: u16 = 2;

fn own_block(committee: &Committee, round: u64) -> BlockBody {
    block_body(committee, round, author(OWN))
}

/// Each rule refuses the blocks that break it, and names itself.
///
/// Given a committee of five equal validators and a valid block of round 4.
/// When the block is changed so that it breaks one rule,
/// then that rule's fault is reported.
#[test]
fn every_rule_refuses_what_breaks_it() {
    let committee = committee(&[1; 5]);
    let table: &[(Break, BlockFault)] = &[
        (|body| body.author = author(5), BlockFault::UnknownAuthor),
        (|body| body.author = author(u16::MAX), BlockFault::UnknownAuthor),
        (|body| body.round = Round(0), BlockFault::GenesisRound),
        (|body| body.parents.clear(), BlockFault::OwnBlockNotFirst),
        (|body| body.parents.rotate_left(1), BlockFault::OwnBlockNotFirst),
        (|body| body.parents.swap(0, 1), BlockFault::OwnBlockNotFirst),
        (|body| body.parents.swap(1, 2), BlockFault::ParentsOutOfOrder),
        (|body| body.parents.insert(1, body.parents[1]), BlockFault::ParentsOutOfOrder),
        (|body| body.parents.insert(3, body.parents[0]), BlockFault::ParentsOutOfOrder),
        (|body| body.parents.insert(1, reference(2, author(0))), BlockFault::ParentsOutOfOrder),
        (|body| body.parents.push(reference(3, author(5))), BlockFault::UnknownParentAuthor),
        (|body| body.parents[1].round = Round(4), BlockFault::ParentNotBelow),
        (|body| body.parents[1].round = Round(5), BlockFault::ParentNotBelow),
        (|body| body.parents[0].round = Round(4), BlockFault::ParentNotBelow),
        (|body| body.parents.truncate(3), BlockFault::NoQuorumBelow),
        (|body| body.parents.iter_mut().for_each(lower), BlockFault::NoQuorumBelow),
        (|body| body.round = Round(5), BlockFault::NoQuorumBelow),
        (|body| body.parents[4] = wrong_genesis(4), BlockFault::WrongGenesis),
        (|body| attest(body, &[7, 7]), BlockFault::AttestationsOutOfOrder),
        (|body| attest(body, &[8, 7]), BlockFault::AttestationsOutOfOrder),
        (|body| attest(body, &[6, 7, 6]), BlockFault::AttestationsOutOfOrder),
    ];
    for (row, (break_it, fault)) in table.iter().enumerate() {
        let mut body = own_block(&committee, 4);
        assert_eq!(check_block(&body, &committee), Ok(()));
        break_it(&mut body);
        assert_eq!(check_block(&body, &committee), Err(*fault), "row {row}");
    }
}

fn lower(parent: &mut qcn_types::BlockRef) {
    *parent = reference(2, parent.author);
}

fn wrong_genesis(index: u16) -> qcn_types::BlockRef {
    qcn_types::BlockRef { digest: digest("wrong"), ..reference(0, author(index)) }
}

fn attest(body: &mut BlockBody, heights: &[u64]) {
    let checkpoints: Vec<_> =
        heights.iter().map(|height| attestation(*height, digest("checkpoint"))).collect();
    *body = attesting(body.clone(), &checkpoints);
}

/// What the rules allow is accepted.
///
/// Given valid blocks of a first and of a later round,
/// when parents lie further back, are genesis blocks, or attestations leave heights out,
/// then the block is valid.
#[test]
fn unusual_but_valid_blocks_are_accepted() {
    let committee = committee(&[1; 5]);
    let allowed: &[(u64, Break)] = &[
        (1, |_| {}),
        (1, |body| body.parents.truncate(4)),
        (4, |body| body.parents.truncate(4)),
        (4, |body| body.parents[0] = reference(1, author(OWN))),
        (4, |body| body.parents[0] = reference(0, author(OWN))),
        (4, |body| body.parents[3] = reference(0, author(3))),
        (4, |body| attest(body, &[6, 8, 9])),
    ];
    for (row, (round, change)) in allowed.iter().enumerate() {
        let mut body = own_block(&committee, *round);
        change(&mut body);
        assert_eq!(check_block(&body, &committee), Ok(()), "row {row}");
    }
}

/// A quorum is counted by weight, not by heads.
///
/// Given weights 4, 2, 2, 1, 1 (W = 10, f = 3, Q = 7).
/// When the parents of the round before carry 7 or 6,
/// then the block is valid or not.
#[test]
fn the_quorum_below_is_counted_by_weight() {
    let committee = committee(&[4, 2, 2, 1, 1]);
    for (authors, valid) in [
        ([0, 1, 3].as_slice(), true),
        (&[1, 0, 4], true),
        (&[0, 1], false),
        (&[0, 3, 4], false),
        (&[1, 2, 3, 4], false),
        (&[1, 0, 2, 3, 4], true),
    ] {
        let mut body = block_body(&committee, 9, author(authors[0]));
        body.parents = authors.iter().map(|index| reference(8, author(*index))).collect();
        let verdict = check_block(&body, &committee);
        assert_eq!(verdict.is_ok(), valid, "{authors:?}");
        assert!(valid || verdict == Err(BlockFault::NoQuorumBelow));
    }
}

/// A committee of one needs nobody else.
#[test]
fn a_single_validator_is_its_own_quorum() {
    let committee = committee(&[1]);
    assert_eq!(check_block(&block_body(&committee, 1, author(0)), &committee), Ok(()));
    assert_eq!(check_block(&block_body(&committee, 2, author(0)), &committee), Ok(()));
}
