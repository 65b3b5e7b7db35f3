//! Receipts and the lanes in which they travel from shard to shard (DESIGN section 7).
//!
//! A lane is an ordered stream of receipts from one shard to another. The source cuts it into
//! batches and chains them by digests: the head of a lane commits to everything that was ever
//! sent on it. A checkpoint's `outbox_root` is the Merkle root over the ends of all lanes of its
//! shard, so one certificate serves all destinations, and a receiver that knows how far it has
//! applied a lane needs no other certificate for whatever was sent since.
//!
//! A lane is named by the numbers of the two shards that it was opened between. When one of them
//! is absorbed by a sibling, its heir goes on with the lane under the old numbers: it acts for a
//! number that nobody has any more. So nothing that is on its way has to be sent anew, and who
//! has not heard of the change yet need not know.

use borsh::{BorshDeserialize, BorshSerialize};
use qcn_crypto::{Digest, Domain, InclusionProof, MerkleTree, hash};

use crate::{Address, Amount, Bounded, Certificate, ShardId, TransactionId, encode};

/// The most receipts of a batch.
pub const MAX_BATCH_RECEIPTS: usize = 500;
/// The most batches that are delivered at once.
pub const MAX_DELIVERY_BATCHES: usize = 8;
/// The most batches that a lane holds while they are not acknowledged.
pub const MAX_LANE_BATCHES: usize = 1_024;
/// The most deliveries that a block may carry.
pub const MAX_BLOCK_DELIVERIES: usize = 16;

/// What a receipt is about.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, BorshSerialize, BorshDeserialize,
)]
#[borsh(use_discriminant = true)]
#[repr(u8)]
pub enum ReceiptKind {
    /// A transfer on its way to the receiver.
    Transfer = 0,
    /// A transfer that could not be credited, on its way back to the sender.
    Bounce = 1,
}

/// An effect that one shard sends to another.
#[derive(Clone, Copy, PartialEq, Eq, Debug, BorshSerialize, BorshDeserialize)]
pub struct Receipt {
    /// What it is about.
    pub kind: ReceiptKind,
    /// The transaction that it comes from.
    pub transaction: TransactionId,
    /// Who paid.
    pub sender: Address,
    /// Who is to be paid.
    pub receiver: Address,
    /// How much.
    pub amount: Amount,
}

impl Receipt {
    /// The account that it is to be credited to.
    #[must_use]
    pub const fn beneficiary(&self) -> Address {
        match self.kind {
            ReceiptKind::Transfer => self.receiver,
            ReceiptKind::Bounce => self.sender,
        }
    }
}

/// Everything that was sent on a lane up to some point.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, BorshSerialize, BorshDeserialize)]
pub struct LaneHead {
    /// How many receipts.
    pub receipts: u64,
    /// How many batches.
    pub batches: u64,
    /// How much they moved, all together.
    pub moved: u128,
    /// The chain of all batches.
    pub digest: Digest,
}

impl LaneHead {
    /// The head after one more batch, or `None` where the counts do not fit.
    #[must_use]
    pub fn after(&self, link: &LaneLink) -> Option<Self> {
        Some(Self {
            receipts: self.receipts.checked_add(u64::from(link.receipts))?,
            batches: self.batches.checked_add(1)?,
            moved: self.moved.checked_add(link.moved)?,
            digest: hash(Domain::Receipt, &encode(&(self, link))),
        })
    }
}

/// A batch without its receipts.
#[derive(Clone, Copy, PartialEq, Eq, Debug, BorshSerialize, BorshDeserialize)]
pub struct LaneLink {
    /// How many receipts.
    pub receipts: u32,
    /// How much they move.
    pub moved: u128,
    /// Merkle root over the receipts, in order.
    pub root: Digest,
}

impl LaneLink {
    /// The link of a batch of receipts.
    #[must_use]
    pub fn of(receipts: &[Receipt]) -> Self {
        Self {
            receipts: receipts.len() as u32,
            moved: receipts.iter().map(|receipt| u128::from(receipt.amount.0)).sum(),
            root: receipt_tree(receipts).root(),
        }
    }
}

/// The tree over the receipts of a batch.
#[must_use]
pub fn receipt_tree(receipts: &[Receipt]) -> MerkleTree {
    let leaves: Vec<Vec<u8>> = receipts.iter().map(encode).collect();
    MerkleTree::from_bytes(&leaves)
}

/// A lane and the way back, as one of its two shards names it.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, BorshSerialize, BorshDeserialize,
)]
pub struct LaneId {
    /// The number on this side: the shard's own, or that of one that it acts for.
    pub own: ShardId,
    /// The number on the other side.
    pub peer: ShardId,
}

impl LaneId {
    /// The same lane as the other shard names it.
    #[must_use]
    pub const fn reversed(self) -> Self {
        Self { own: self.peer, peer: self.own }
    }
}

/// Where a shard stands on a lane: one leaf of its outbox.
#[derive(Clone, Copy, PartialEq, Eq, Debug, BorshSerialize, BorshDeserialize)]
pub struct LaneEnd {
    /// The number that sends: the shard's own, or that of one that it acts for.
    pub own: ShardId,
    /// The number of the other shard.
    pub peer: ShardId,
    /// What was sent to it.
    pub sent: LaneHead,
    /// What was received from it and applied: the acknowledgement.
    pub received: LaneHead,
}

impl LaneEnd {
    /// The lane, as the shard names it whose end this is.
    #[must_use]
    pub const fn lane(&self) -> LaneId {
        LaneId { own: self.own, peer: self.peer }
    }
}

/// The outbox of a shard: the ends of its lanes, in the order of own numbers and then of peers.
/// Zero while there are none.
#[must_use]
pub fn outbox_root(ends: &[LaneEnd]) -> Digest {
    if ends.is_empty() { Digest::ZERO } else { outbox_tree(ends).root() }
}

/// The tree over the ends of a shard's lanes.
#[must_use]
pub fn outbox_tree(ends: &[LaneEnd]) -> MerkleTree {
    let leaves: Vec<Vec<u8>> = ends.iter().map(encode).collect();
    MerkleTree::from_bytes(&leaves)
}

/// Receipts that a source made in one checkpoint for one destination, or a part of them.
pub type LaneBatch = Bounded<Receipt, MAX_BATCH_RECEIPTS>;

/// What is carried from one shard to another: a certified end of a lane, and batches that lead
/// from what the destination has applied towards it. Without batches it acknowledges only.
#[derive(Clone, PartialEq, Eq, Debug, BorshSerialize, BorshDeserialize)]
pub struct Delivery {
    /// Certifies a checkpoint of the shard that acts for the source.
    pub certificate: Certificate,
    /// The source's end of the lane; its peer is the destination.
    pub end: LaneEnd,
    /// Its place in the checkpoint's outbox.
    pub inclusion: InclusionProof,
    /// The lane before the first batch.
    pub before: LaneHead,
    /// The batches, oldest first.
    pub batches: Bounded<LaneBatch, MAX_DELIVERY_BATCHES>,
    /// The batches after them up to the certified head, of which only the links are here.
    pub links: Bounded<LaneLink, MAX_LANE_BATCHES>,
}

/// Why a delivery shows nothing. Each is the fault of whoever made it up.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum DeliveryError {
    /// It is for another shard.
    #[error("it is for another shard")]
    OtherDestination,
    /// It comes from the shard that it is for.
    #[error("it comes from the shard that it is for")]
    OwnShard,
    /// Its lane is none of the shard that certifies it.
    #[error("the shard that certifies it does not act for the source of its lane")]
    OtherSource,
    /// There is no committee to check its certificate against.
    #[error("its source and epoch have no known committee")]
    UnknownCommittee,
    /// The certificate proves nothing.
    #[error("its certificate proves nothing: {0}")]
    Certificate(#[from] crate::CertificateError),
    /// The end of the lane is not in the certified outbox.
    #[error("the end of its lane is not in the certified outbox")]
    NotInOutbox,
    /// A batch without receipts.
    #[error("it has an empty batch")]
    EmptyBatch,
    /// The batches do not lead to the certified head.
    #[error("its batches do not lead to the certified head of the lane")]
    BrokenChain,
}

impl Delivery {
    /// The number that it comes from. Whoever certifies it acts for that.
    #[must_use]
    pub const fn source(&self) -> ShardId {
        self.end.own
    }

    /// The lane, as the destination names it.
    #[must_use]
    pub const fn lane(&self) -> LaneId {
        self.end.lane().reversed()
    }

    /// How many receipts it carries.
    #[must_use]
    pub fn receipts(&self) -> usize {
        self.batches.iter().map(|batch| batch.len()).sum()
    }

    /// Checks everything that needs nothing but the numbers that the destination acts for: that
    /// the batches lead to a lane's end in the checkpoint's outbox. Whether a quorum certifies the
    /// checkpoint, and may speak for the source, is left.
    ///
    /// # Errors
    /// The first defect.
    pub fn check_lane(&self, is_own: impl Fn(ShardId) -> bool) -> Result<(), DeliveryError> {
        if !is_own(self.end.peer) {
            return Err(DeliveryError::OtherDestination);
        }
        if is_own(self.source()) || is_own(self.certificate.checkpoint.shard) {
            return Err(DeliveryError::OwnShard);
        }
        self.inclusion
            .verify_bytes(&self.certificate.checkpoint.outbox_root, &encode(&self.end))
            .map_err(|_| DeliveryError::NotInOutbox)?;
        if self.batches.iter().any(|batch| batch.is_empty()) {
            return Err(DeliveryError::EmptyBatch);
        }
        let carried = self.batches.iter().map(|batch| LaneLink::of(batch));
        let mut links = carried.chain(self.links.iter().copied());
        let head = links.try_fold(self.before, |head, link| head.after(&link));
        if head == Some(self.end.sent) { Ok(()) } else { Err(DeliveryError::BrokenChain) }
    }
}

#[cfg(test)]
mod tests;
