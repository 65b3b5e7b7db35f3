//! Every bound over peer input, by name.

/// Blocks of rounds this far above the local round are dropped: they cannot be accepted soon.
pub const HORIZON_ROUNDS: u64 = 256;

/// A proposer references no block further below than this.
pub const MAX_PARENT_DEPTH: u64 = 32;

/// The most blocks that wait for their parents, per peer that sent them.
pub const MAX_WAITING_PER_PEER: usize = 512;

/// The most bytes of them, per peer that sent them.
pub const MAX_WAITING_BYTES_PER_PEER: usize = 32 * 1024 * 1024;

/// The most blocks handed to verification and not yet back, per peer.
pub const MAX_VERIFYING_PER_PEER: usize = 1_024;

/// The most bytes of them, per peer.
pub const MAX_VERIFYING_BYTES_PER_PEER: usize = 32 * 1024 * 1024;

/// So many rounds behind others, whole rounds are asked for.
pub const ROUNDS_BEHIND: u64 = 2;

/// The most slots or rounds asked for in one request.
pub const MAX_REQUESTED_SLOTS: usize = 256;

/// The most blocks in one answer.
pub const MAX_BLOCKS_PER_ANSWER: usize = 1_024;

/// The most bytes in one answer, before its last block.
pub const MAX_ANSWER_BYTES: usize = 2 * 1024 * 1024;

/// Blocks that one peer may be given per second; a request for none costs one.
pub const MAX_SERVED_BLOCKS_PER_SECOND: u32 = 8_192;

/// The most bytes of them, before the last block of a second.
pub const MAX_SERVED_BYTES_PER_SECOND: usize = 32 * 1024 * 1024;

/// The most verified siblings kept in one slot, besides the first. Only siblings that some other
/// author's block needs come in; each honest author may have been shown another one, so the
/// bound is well above the largest committee.
pub const MAX_SIBLINGS: usize = 4 * qcn_types::MAX_MEMBERS;

/// The most pieces of evidence that wait to be included.
pub const MAX_PENDING_EVIDENCE: usize = 64;

/// So many requests to a peer for blocks in full are remembered, to be repeated with growing
/// pauses only.
pub const MAX_REMEMBERED_IN_FULL: usize = 256;

/// The most blocks held back because their time has not come.
pub const MAX_HELD_BACK: usize = 1_024;

/// The most blocks that one commit brings in: every slot above the floor, twice over.
pub const MAX_COMMIT_BLOCKS: usize = 1 << 17;

/// Layers this far below the floor are kept at least, for peers that lag.
pub const RETENTION_ROUNDS: u64 = 64;

/// Layers this far below the floor are kept at most, for peers that are given an old snapshot.
pub const MAX_RETENTION_ROUNDS: u64 = 4_096;

/// From this count on, an author's missing blocks are asked for at once.
pub const WITHHOLDING: u8 = 2;

/// What the count of an author's blocks that had to be asked for grows to.
pub const MOST_WITHHELD: u8 = 8;
