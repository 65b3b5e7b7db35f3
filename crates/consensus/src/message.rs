//! What validators of one shard say to each other about blocks.

use std::sync::Arc;

use borsh::{BorshDeserialize, BorshSerialize};
use qcn_types::{BlockRef, Bounded, CompactBlock, Round, Slot};

use crate::limits::{MAX_BLOCKS_PER_ANSWER, MAX_REQUESTED_SLOTS};

/// A message between two validators of one shard.
#[derive(Clone, PartialEq, Eq, Debug, BorshSerialize, BorshDeserialize)]
pub enum Message {
    /// A block, from its author or from a peer that was asked.
    Block(Arc<CompactBlock>),
    /// Blocks that were asked for.
    Blocks(Bounded<Arc<CompactBlock>, MAX_BLOCKS_PER_ANSWER>),
    /// Asks for whatever blocks the peer knows in these slots.
    RequestSlots(Bounded<Slot, MAX_REQUESTED_SLOTS>),
    /// Asks for exactly these blocks, with their parents in full.
    RequestBlocks(Bounded<BlockRef, MAX_REQUESTED_SLOTS>),
    /// Asks for the block of a slot with its parents in full: rebuilding them failed.
    RequestFull(Slot),
    /// Asks for all blocks of `count` rounds from `first` on.
    RequestRounds {
        /// The lowest round wanted.
        first: Round,
        /// How many rounds.
        count: u16,
    },
    /// A validator that lost its disk asks how far the committee has signed (section 5.3).
    RecoveryQuery {
        /// Chosen anew for every recovery; answers repeat it.
        nonce: u64,
    },
    /// The newest block that the answering validator has signed. It counts once the asking
    /// validator has accepted that block, so that nobody can name a round that never was.
    RecoveryAnswer {
        /// As asked.
        nonce: u64,
        /// The newest own block; the own genesis reference if there is none.
        latest: BlockRef,
    },
    /// The sending validator's newest block, said again while nothing moves: who lacks it asks.
    Latest(BlockRef),
    /// Answers [`Self::RequestRounds`]: blocks of these rounds, as many as one answer may have.
    Rounds {
        /// The lowest round asked for.
        first: Round,
        /// The blocks, by rounds.
        blocks: Bounded<Arc<CompactBlock>, MAX_BLOCKS_PER_ANSWER>,
    },
    /// Answers [`Self::RequestRounds`] from a round on that is no longer kept.
    RoundsGone {
        /// The lowest round asked for.
        first: Round,
    },
}
