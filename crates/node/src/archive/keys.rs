//! The keys of the index: a tag that says what it is, then numbers (most significant byte first,
//! so that they sort) and digests.

use qcn_crypto::Digest;
use qcn_types::{BlockRef, Height, Round, Slot};

use super::ArchiveError;

/// Height -> `CheckpointRecord`.
pub const CHECKPOINT: u8 = b'c';
/// Digest of a checkpoint -> height.
pub const CHECKPOINT_DIGEST: u8 = b'C';
/// Height -> outcomes in order.
pub const OUTCOMES: u8 = b'o';
/// Height -> `Certificate`.
pub const CERTIFICATE: u8 = b'q';
/// Round, author, digest -> `BlockSummary`.
pub const ROUND: u8 = b'r';
/// Digest of a block -> `Place` in the segments, round, author.
pub const BLOCK: u8 = b'b';
/// Digest of a block -> `Placement`.
pub const PLACEMENT: u8 = b'p';
/// Round, author -> whether the slot was skipped.
pub const DECISION: u8 = b'd';
/// Height whose transactions no run in a file lists yet -> nothing.
pub const UNFILED: u8 = b'u';
/// Number of a finished segment -> the highest round of a block in it.
pub const SEGMENT: u8 = b's';
/// Digest of evidence -> `EvidenceRecord`.
pub const EVIDENCE: u8 = b'e';
/// Transaction -> `ArrivalRecord`, of one that came from another shard or came back.
pub const ARRIVAL: u8 = b'a';
/// Height -> the transactions whose receipts arrived in it, in order.
pub const ARRIVED: u8 = b'v';
/// The lowest height that was not pruned.
pub const PRUNED: [u8; 1] = *b"l";

pub fn at_height(tag: u8, height: Height) -> [u8; 9] {
    numbered(tag, height.0)
}

pub fn at_round(round: Round) -> [u8; 9] {
    numbered(ROUND, round.0)
}

pub fn decisions_at(round: Round) -> [u8; 9] {
    numbered(DECISION, round.0)
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

pub fn of_block(block: &BlockRef) -> [u8; 43] {
    let mut key = [0; 43];
    key[..9].copy_from_slice(&at_round(block.round));
    key[9..11].copy_from_slice(&block.author.0.to_be_bytes());
    key[11..].copy_from_slice(block.digest.as_bytes());
    key
}

pub fn of_decision(slot: Slot) -> [u8; 11] {
    let mut key = [0; 11];
    key[..9].copy_from_slice(&decisions_at(slot.round));
    key[9..].copy_from_slice(&slot.author.0.to_be_bytes());
    key
}

/// The number behind the tag.
pub fn number(key: &[u8]) -> Result<u64, ArchiveError> {
    let bytes = key.get(1..9).and_then(|bytes| bytes.try_into().ok());
    bytes.map(u64::from_be_bytes).ok_or(ArchiveError::Corrupt("numbered key"))
}
