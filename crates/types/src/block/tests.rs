//! What a block's digest commits to.

use std::collections::BTreeSet;

use qcn_crypto::{ChainId, Digest, Domain, hash_pair};

use super::{
    Attestation, BlockBody, BlockRef, Slot, attestations_digest, genesis_digest, genesis_ref,
};
use crate::testing::{CHAIN, attestations, bare_body, digest, full_body, reference, transfer};
use crate::{Bounded, Epoch, Height, Round, ShardId, ValidatorIndex};

type Change = fn(&mut BlockBody);

/// Every change of every field gives another digest, and no two changes the same.
#[test]
fn the_digest_commits_to_every_field() {
    let changes: &[Change] = &[
        |body| body.chain = ChainId(digest("another chain")),
        |body| body.shard = ShardId(1),
        |body| body.epoch = Epoch(1),
        |body| body.round = Round(10),
        |body| body.author = ValidatorIndex(0),
        |body| body.time_ms += 1,
        |body| body.parents.clear(),
        |body| body.parents.truncate(3),
        |body| body.parents.swap(1, 2),
        |body| body.parents[2].round = Round(6),
        |body| body.parents[2].author = ValidatorIndex(3),
        |body| body.parents[2].digest = digest("another parent"),
        |body| body.payload.transactions = Bounded::default(),
        |body| body.payload.transactions = Bounded::truncated(vec![transfer(2, 1)]),
        |body| body.payload.transactions = Bounded::truncated(vec![transfer(2, 0)]),
        |body| body.payload.evidence = Bounded::default(),
        |body| body.payload = crate::Payload::default(),
        |body| body.attestations = Bounded::default(),
        |body| body.attestations = attestations(&["a"]),
        |body| body.attestations = attestations(&["b", "a"]),
        |body| body.attestations = attestations(&["a", "b", "c"]),
        |body| body.attestations = higher(&body.attestations),
    ];
    let mut digests = BTreeSet::from([full_body().digest()]);
    for (row, change) in changes.iter().enumerate() {
        let mut body = full_body();
        change(&mut body);
        assert!(digests.insert(body.digest()), "row {row}");
    }
}

fn higher<const N: usize>(list: &[Attestation]) -> Bounded<Attestation, N> {
    let up = |attestation: &Attestation| Attestation {
        height: Height(attestation.height.0 + 1),
        ..*attestation
    };
    Bounded::truncated(list.iter().map(up).collect())
}

/// The signature of a transaction is part of the payload's digest, though not of its name.
#[test]
fn the_digest_commits_to_transaction_signatures() {
    let mut body = full_body();
    let mut resigned = transfer(2, 0);
    resigned.signature = transfer(2, 1).signature;
    assert_eq!(resigned.body.id(), transfer(2, 0).body.id());
    let with = |transaction| Bounded::truncated(vec![transaction]);
    body.payload.transactions = with(transfer(2, 0));
    let before = body.digest();
    body.payload.transactions = with(resigned);
    assert_ne!(body.digest(), before);
}

/// An attestation is provable without the block: header digest and attestations suffice.
#[test]
fn the_digest_is_made_of_header_and_attestations() {
    let body = full_body();
    let header = body.header();
    let list = attestations_digest(&body.attestations);
    let expected = hash_pair(Domain::Block, &header.digest(), &list);
    assert_eq!(body.digest(), expected);
    assert_eq!(header.block_digest(&body.attestations), expected);
}

#[test]
fn empty_parts_hash_to_zero_and_only_they() {
    assert_eq!(bare_body().payload.digest(), Digest::ZERO);
    assert_eq!(attestations_digest(&[]), Digest::ZERO);
    assert_ne!(full_body().payload.digest(), Digest::ZERO);
    assert_ne!(attestations_digest(&full_body().attestations), Digest::ZERO);
}

/// Every member has its own genesis block in every place, and it is no block's digest.
#[test]
fn genesis_blocks_differ_by_place_and_author() {
    let mut digests = BTreeSet::from([bare_body().digest()]);
    for chain in [CHAIN, ChainId(digest("another"))] {
        for (shard, epoch, author) in [(0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1)] {
            let (shard, epoch, author) = (ShardId(shard), Epoch(epoch), ValidatorIndex(author));
            assert!(digests.insert(genesis_digest(chain, shard, epoch, author)));
            let reference = genesis_ref(chain, shard, epoch, author);
            assert_eq!(reference.slot(), Slot { round: Round::GENESIS, author });
        }
    }
}

/// References sort by round, then author, then digest: the order of a commit.
#[test]
fn references_sort_in_the_order_of_a_commit() {
    let mut tie = reference(2, 1);
    tie.digest = Digest([0xff; 32]);
    let ordered = [reference(1, 3), reference(2, 0), reference(2, 1), tie, reference(3, 0)];
    assert!(ordered.is_sorted());
    assert_eq!(ordered.map(|block: BlockRef| block.slot().author.0), [3, 0, 1, 1, 0]);
}
