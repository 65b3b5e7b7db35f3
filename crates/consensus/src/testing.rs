//! Committees, blocks and names for the tests of several modules.

use std::sync::{Arc, LazyLock};

use qcn_crypto::{ChainId, Digest, Domain, PublicKey, Scheme, SeededRandomness, SigningKey, hash};
use qcn_types::{
    Block, BlockBody, BlockHeader, BlockRef, Bounded, Committee, CommitteeKeys, Epoch, Member,
    Payload, Round, ShardId, ValidatorIndex, VerifiedBlock, Weight, genesis_ref,
};

pub(crate) const CHAIN: ChainId = ChainId(Digest([7; 32]));
const SHARD: ShardId = ShardId(3);
const EPOCH: Epoch = Epoch(5);

/// As many keys as any test needs; making one takes milliseconds.
static SIGNERS: LazyLock<Vec<SigningKey>> = LazyLock::new(|| {
    let key = |seed: u8| SigningKey::from_seed(Scheme::Falcon512, &[seed; 32]);
    (1..=16).map(|seed| key(seed).unwrap()).collect()
});

pub(crate) const fn author(index: u16) -> ValidatorIndex {
    ValidatorIndex(index)
}

/// Any digest, by name.
pub(crate) fn digest(name: &str) -> Digest {
    hash(Domain::Simulation, name.as_bytes())
}

/// A name of which only the place matters.
pub(crate) fn name(round: u64, index: u16) -> BlockRef {
    named(round, index, "")
}

/// One of several names in a slot.
pub(crate) fn named(round: u64, index: u16, variant: &str) -> BlockRef {
    let digest = digest(&format!("{round} {index} {variant}"));
    BlockRef { round: Round(round), author: author(index), digest }
}

pub(crate) fn genesis(index: u16) -> BlockRef {
    genesis_ref(CHAIN, SHARD, EPOCH, author(index))
}

/// A committee whose keys nobody uses.
pub(crate) fn committee(weights: &[u64]) -> Arc<Committee> {
    let key = |index: usize| {
        let mut bytes = vec![0; Scheme::Falcon512.public_key_bytes()];
        bytes[..2].copy_from_slice(&(index as u16).to_le_bytes());
        PublicKey::new(Scheme::Falcon512, &bytes).unwrap()
    };
    committee_of(weights, key)
}

/// A committee that can sign: validator i with the key of its number.
pub(crate) fn signing_committee(weights: &[u64]) -> CommitteeKeys {
    let committee = committee_of(weights, |index| SIGNERS[index].public_key().clone());
    CommitteeKeys::decode(CHAIN, committee).unwrap()
}

fn committee_of(weights: &[u64], key: impl Fn(usize) -> PublicKey) -> Arc<Committee> {
    let members = weights.iter().enumerate().map(|(index, weight)| Member {
        name: format!("v{index}"),
        key: key(index),
        weight: Weight(*weight),
    });
    Arc::new(Committee::new(SHARD, EPOCH, members.collect()).unwrap())
}

/// An empty block of validator `index` that names these parents.
pub(crate) fn body(index: u16, round: u64, parents: Vec<BlockRef>) -> BlockBody {
    BlockBody {
        chain: CHAIN,
        shard: SHARD,
        epoch: EPOCH,
        round: Round(round),
        author: author(index),
        time_ms: 0,
        parents,
        payload: Payload::default(),
        attestations: Bounded::default(),
    }
}

/// Signs a block with its author's key.
pub(crate) fn sign(body: BlockBody) -> Block {
    let digest = body.digest();
    let mut randomness = SeededRandomness::from_seed(digest.as_bytes());
    let context = BlockHeader::signing_context(CHAIN);
    let signer = &SIGNERS[body.author.position()];
    let signature = signer.sign_seeded(&context, digest.as_bytes(), &mut randomness).unwrap();
    Block { body, signature }
}

/// Signs and verifies a block.
pub(crate) fn verified(keys: &CommitteeKeys, body: BlockBody) -> VerifiedBlock {
    keys.verify_block(sign(body)).unwrap()
}
