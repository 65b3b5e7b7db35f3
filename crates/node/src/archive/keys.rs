//! The keys of the index: a tag that says what it is, then numbers (most significant byte first,
//! so that they sort) and digests.

use borsh::{BorshDeserialize, BorshSerialize};
use qcn_crypto::Digest;
use qcn_types::{BlockRef, Epoch, Height, Round, Slot};

use super::ArchiveError;

/// A round of an epoch, as rounds begin at zero again in each. Later ones are greater.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default, BorshSerialize, BorshDeserialize,
)]
pub struct Moment {
    pub epoch: Epoch,
    pub round: Round,
}

impl Moment {
    /// Before everything.
    pub const START: Self = Self::of(Epoch(0), Round(0));

    pub const fn of(epoch: Epoch, round: Round) -> Self {
        Self { epoch, round }
    }
}

/// Height -> `CheckpointRecord`.
pub const CHECKPOINT: u8 = b'c';
/// Digest of a checkpoint -> height.
pub const CHECKPOINT_DIGEST: u8 = b'C';
/// Height -> outcomes in order.
pub const OUTCOMES: u8 = b'o';
/// Height -> `Certificate`.
pub const CERTIFICATE: u8 = b'q';
/// Moment, author, digest -> `BlockSummary`.
pub const ROUND: u8 = b'r';
/// Digest of a block -> moment, author, `Place` in the segments.
pub const BLOCK: u8 = b'b';
/// Digest of a block -> `Placement`.
pub const PLACEMENT: u8 = b'p';
/// Moment, author -> whether the slot was skipped.
pub const DECISION: u8 = b'd';
/// Height whose transactions no run in a file lists yet -> nothing.
pub const UNFILED: u8 = b'u';
/// Number of a finished segment -> the last moment of a block in it.
pub const SEGMENT: u8 = b's';
/// Digest of evidence -> `EvidenceRecord`.
pub const EVIDENCE: u8 = b'e';
/// Transaction -> `ArrivalRecord`, of one that came from another shard or came back.
pub const ARRIVAL: u8 = b'a';
/// Height -> the transactions whose receipts arrived in it, in order.
pub const ARRIVED: u8 = b'v';
/// Epoch -> its committee.
pub const COMMITTEE: u8 = b'k';
/// The lowest height that was not pruned.
pub const PRUNED: [u8; 1] = *b"l";

pub fn at_height(tag: u8, height: Height) -> [u8; 9] {
    numbered(tag, height.0)
}

pub fn at_moment(tag: u8, moment: Moment) -> [u8; 17] {
    let mut key = [tag; 17];
    key[1..9].copy_from_slice(&moment.epoch.0.to_be_bytes());
    key[9..].copy_from_slice(&moment.round.0.to_be_bytes());
    key
}

pub fn of_committee(epoch: Epoch) -> [u8; 9] {
    numbered(COMMITTEE, epoch.0)
}

pub fn of_segment(number: u64) -> [u8; 9] {
    numbered(SEGMENT, number)
}

fn numbered(tag: u8, number: u64) -> [u8; 9] {
    let mut key = [tag; 9];
    key[1..].copy_from_slice(&number.to_be_bytes());
    key
}

pub fn of_digest(tag: u8, digest: &Digest) -> [u8; 33] {
    let mut key = [tag; 33];
    key[1..].copy_from_slice(digest.as_bytes());
    key
}

pub fn of_block(epoch: Epoch, block: &BlockRef) -> [u8; 51] {
    let mut key = [0; 51];
    key[..17].copy_from_slice(&at_moment(ROUND, Moment::of(epoch, block.round)));
    key[17..19].copy_from_slice(&block.author.0.to_be_bytes());
    key[19..].copy_from_slice(block.digest.as_bytes());
    key
}

pub fn of_decision(epoch: Epoch, slot: Slot) -> [u8; 19] {
    let mut key = [0; 19];
    key[..17].copy_from_slice(&at_moment(DECISION, Moment::of(epoch, slot.round)));
    key[17..].copy_from_slice(&slot.author.0.to_be_bytes());
    key
}

/// The moment behind the tag.
pub fn moment(key: &[u8]) -> Result<Moment, ArchiveError> {
    let round = key.get(9..17).and_then(|bytes| bytes.try_into().ok());
    let round = round.map(u64::from_be_bytes).ok_or(ArchiveError::Corrupt("moment key"))?;
    Ok(Moment::of(Epoch(number(key)?), Round(round)))
}

/// The number behind the tag.
pub fn number(key: &[u8]) -> Result<u64, ArchiveError> {
    let bytes = key.get(1..9).and_then(|bytes| bytes.try_into().ok());
    bytes.map(u64::from_be_bytes).ok_or(ArchiveError::Corrupt("numbered key"))
}
