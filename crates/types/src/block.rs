//! Blocks: what a validator signs once per round (DESIGN section 5.1).

use std::fmt;

use borsh::{BorshDeserialize, BorshSerialize};
use qcn_crypto::{
    ChainId, Digest, Domain, Hasher, Role, Signature, SigningContext, hash, hash_pair,
};

use crate::{
    Announcement, Bounded, Delivery, Epoch, Evidence, Height, MAX_BLOCK_DELIVERIES,
    MAX_BLOCK_REPORTS, Report, Round, ShardId, Transaction, ValidatorIndex, encode,
};

/// The most transactions a block may carry.
pub const MAX_BLOCK_TRANSACTIONS: usize = 2_000;
/// The most pieces of evidence a block may carry.
pub const MAX_BLOCK_EVIDENCE: usize = 16;
/// The most checkpoints a block may attest to.
pub const MAX_ATTESTATIONS: usize = 64;

/// The place of a block: an honest author fills each slot once.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, BorshSerialize, BorshDeserialize, Default,
)]
pub struct Slot {
    /// The round.
    pub round: Round,
    /// The author.
    pub author: ValidatorIndex,
}

impl fmt::Display for Slot {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "({}, {})", self.round, self.author)
    }
}

impl fmt::Debug for Slot {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:?}{:?}", self.round, self.author)
    }
}

/// The name of a block. Sorts by round, author, digest: the order of a commit.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, BorshSerialize, BorshDeserialize, Default,
)]
pub struct BlockRef {
    /// The round.
    pub round: Round,
    /// The author.
    pub author: ValidatorIndex,
    /// What the author signed.
    pub digest: Digest,
}

impl BlockRef {
    /// The slot that the block fills.
    #[must_use]
    pub const fn slot(&self) -> Slot {
        Slot { round: self.round, author: self.author }
    }
}

impl fmt::Display for BlockRef {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "({}, {}, {})", self.round, self.author, self.digest)
    }
}

impl fmt::Debug for BlockRef {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:?}{:?}#{:?}", self.round, self.author, self.digest)
    }
}

/// The digest of a member's implicit block of round 0.
#[must_use]
pub fn genesis_digest(
    chain: ChainId,
    shard: ShardId,
    epoch: Epoch,
    author: ValidatorIndex,
) -> Digest {
    hash(Domain::Block, &encode(&(chain, shard, epoch, Round::GENESIS, author)))
}

/// The reference of a member's implicit block of round 0.
#[must_use]
pub fn genesis_ref(
    chain: ChainId,
    shard: ShardId,
    epoch: Epoch,
    author: ValidatorIndex,
) -> BlockRef {
    BlockRef { round: Round::GENESIS, author, digest: genesis_digest(chain, shard, epoch, author) }
}

/// A validator's statement that executing its shard up to `height` gave `checkpoint`.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, BorshSerialize, BorshDeserialize, Debug,
)]
pub struct Attestation {
    /// The height of the checkpoint.
    pub height: Height,
    /// The digest of the checkpoint.
    pub checkpoint: Digest,
}

/// What a block brings in besides its place in the DAG.
#[derive(Clone, PartialEq, Eq, Debug, Default, BorshSerialize, BorshDeserialize)]
pub struct Payload {
    /// Signed transactions, executed in this order.
    pub transactions: Bounded<Transaction, MAX_BLOCK_TRANSACTIONS>,
    /// Proofs of misbehaviour.
    pub evidence: Bounded<Evidence, MAX_BLOCK_EVIDENCE>,
    /// Receipts from other shards, applied before the transactions of the same block.
    pub deliveries: Bounded<Delivery, MAX_BLOCK_DELIVERIES>,
    /// The end of the epoch, as the beacon has announced it. Nothing after it is executed.
    pub announcement: Bounded<Announcement, 1>,
    /// What the author reports; in blocks of the beacon only.
    pub reports: Bounded<Report, MAX_BLOCK_REPORTS>,
}

impl Payload {
    /// Whether the block has nothing to say besides its place.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.transactions.is_empty()
            && self.evidence.is_empty()
            && self.deliveries.is_empty()
            && self.announcement.is_empty()
            && self.reports.is_empty()
    }

    /// The digest by which the block's header commits to the payload.
    #[must_use]
    pub fn digest(&self) -> Digest {
        if self.is_empty() {
            return Digest::ZERO;
        }
        hash(Domain::Payload, &encode(self))
    }
}

/// The short part of a block that its digest is made of, besides the attestations.
///
/// With it, a misplaced or doubled block can be proven without its parents and payload.
#[derive(Clone, Copy, PartialEq, Eq, Debug, BorshSerialize, BorshDeserialize)]
pub struct BlockHeader {
    /// The network.
    pub chain: ChainId,
    /// The shard.
    pub shard: ShardId,
    /// The epoch, which names the committee.
    pub epoch: Epoch,
    /// The round.
    pub round: Round,
    /// Who signs.
    pub author: ValidatorIndex,
    /// The author's clock, in milliseconds.
    pub time_ms: u64,
    /// Commits to the full parent references, in order.
    pub parents: Digest,
    /// Commits to the payload.
    pub payload: Digest,
}

impl BlockHeader {
    /// H(dag part).
    #[must_use]
    pub fn digest(&self) -> Digest {
        let mut hasher = Hasher::new(Domain::BlockDag);
        hasher.update(self.chain.0.as_bytes());
        hasher.update(&self.shard.0.to_le_bytes());
        hasher.update(&self.epoch.0.to_le_bytes());
        hasher.update(&self.round.0.to_le_bytes());
        hasher.update(&self.author.0.to_le_bytes());
        hasher.update(&self.time_ms.to_le_bytes());
        hasher.update(self.parents.as_bytes());
        hasher.update(self.payload.as_bytes());
        hasher.finalize()
    }

    /// The digest that is signed: H(domain, H(dag part), H(attestations)).
    #[must_use]
    pub fn block_digest(&self, attestations: &[Attestation]) -> Digest {
        hash_pair(Domain::Block, &self.digest(), &attestations_digest(attestations))
    }

    /// What the author's signature covers besides the digest.
    #[must_use]
    pub const fn signing_context(chain: ChainId) -> SigningContext {
        SigningContext { domain: Domain::Block, chain, role: Role::Consensus }
    }
}

/// H(attestations). No attestations hash to zero.
#[must_use]
pub fn attestations_digest(attestations: &[Attestation]) -> Digest {
    if attestations.is_empty() {
        return Digest::ZERO;
    }
    let mut hasher = Hasher::new(Domain::BlockAttestations);
    for attestation in attestations {
        hasher.update(&attestation.height.0.to_le_bytes());
        hasher.update(attestation.checkpoint.as_bytes());
    }
    hasher.finalize()
}

/// The digest of full parent references, in order.
#[must_use]
pub(crate) fn parents_digest(parents: &[BlockRef]) -> Digest {
    // Copied into one buffer: a single long update hashes several chunks at once.
    let mut bytes = Vec::with_capacity(parents.len() * 42);
    for parent in parents {
        bytes.extend_from_slice(&parent.round.0.to_le_bytes());
        bytes.extend_from_slice(&parent.author.0.to_le_bytes());
        bytes.extend_from_slice(parent.digest.as_bytes());
    }
    hash(Domain::BlockDag, &bytes)
}

/// A block before it is signed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BlockBody {
    /// The network.
    pub chain: ChainId,
    /// The shard.
    pub shard: ShardId,
    /// The epoch, which names the committee.
    pub epoch: Epoch,
    /// The round.
    pub round: Round,
    /// Who signs.
    pub author: ValidatorIndex,
    /// The author's clock, in milliseconds.
    pub time_ms: u64,
    /// Own previous block first, then the others sorted by author; at most one per author.
    pub parents: Vec<BlockRef>,
    /// Transactions, evidence and deliveries.
    pub payload: Payload,
    /// The checkpoints executed since the author's last block.
    pub attestations: Bounded<Attestation, MAX_ATTESTATIONS>,
}

impl BlockBody {
    /// The part that the digest is made of.
    #[must_use]
    pub fn header(&self) -> BlockHeader {
        BlockHeader {
            chain: self.chain,
            shard: self.shard,
            epoch: self.epoch,
            round: self.round,
            author: self.author,
            time_ms: self.time_ms,
            parents: parents_digest(&self.parents),
            payload: self.payload.digest(),
        }
    }

    /// The digest that is signed.
    #[must_use]
    pub fn digest(&self) -> Digest {
        self.header().block_digest(&self.attestations)
    }

    /// The slot that the block fills.
    #[must_use]
    pub const fn slot(&self) -> Slot {
        Slot { round: self.round, author: self.author }
    }
}

/// A signed block whose signature nobody has checked yet.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Block {
    /// What is signed.
    pub body: BlockBody,
    /// The author's signature over the digest. The digest does not cover it.
    pub signature: Signature,
}

#[cfg(test)]
mod tests;
