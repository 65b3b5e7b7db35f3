//! What validators of one shard say to each other.

use std::sync::Arc;

use borsh::{BorshDeserialize, BorshSerialize};
use qcn_consensus::{CommitRecord, ScheduleState};
use qcn_crypto::Digest;
use qcn_ledger::{StateChunk, StateRegion};
use qcn_types::{Bounded, Certificate, EpochPlan, Height};

/// The most commit records in a sync package.
pub const MAX_SYNC_COMMITS: usize = 1 << 16;

/// A message between two validators of one shard.
#[derive(Clone, PartialEq, Eq, Debug, BorshSerialize, BorshDeserialize)]
pub enum Message {
    /// About blocks.
    Consensus(qcn_consensus::Message),
    /// Asks for the newest certified checkpoint above this height.
    SyncRequest {
        /// What the asking validator has.
        above: Height,
    },
    /// Answers [`Self::SyncRequest`].
    SyncOffer(Arc<SyncPackage>),
    /// Asks for the first chunk of a region of the state at a certified height, or for the chunk
    /// that the region lies in.
    ChunkRequest {
        /// The height of the checkpoint.
        height: Height,
        /// Which region.
        region: StateRegion,
    },
    /// Answers [`Self::ChunkRequest`].
    Chunk {
        /// The height of the checkpoint.
        height: Height,
        /// Which region was asked for.
        region: StateRegion,
        /// The chunk, which the state root verifies.
        chunk: Arc<StateChunk>,
    },
    /// Answers [`Self::ChunkRequest`] for a height that is no longer kept.
    ChunkGone {
        /// The height asked for.
        height: Height,
    },
}

/// What a validator needs, besides the state itself, to resume at a certified checkpoint.
#[derive(Clone, PartialEq, Eq, Debug, BorshSerialize, BorshDeserialize)]
pub struct SyncPackage {
    /// Certifies the checkpoint.
    pub certificate: Certificate,
    /// The commits whose blocks are above the floor, oldest first, ending with the
    /// checkpoint's; the checkpoint commits to the last.
    pub commits: Bounded<CommitRecord, MAX_SYNC_COMMITS>,
    /// The leader schedule after the last commit, which commits to it.
    pub schedule: ScheduleState,
    /// The plan that a final checkpoint names. Nobody resumes consensus after that, so there are
    /// no commits and no schedule beside it.
    pub plan: Bounded<EpochPlan, 1>,
}

impl SyncPackage {
    /// The package of an epoch's end.
    #[must_use]
    pub fn last(certificate: Certificate, plan: EpochPlan) -> Self {
        Self {
            certificate,
            commits: Bounded::default(),
            schedule: ScheduleState::default(),
            plan: Bounded::truncated(vec![plan]),
        }
    }

    /// Whether its checkpoint ends an epoch.
    #[must_use]
    pub fn is_last(&self) -> bool {
        self.certificate.checkpoint.next_epoch != Digest::ZERO
    }
}
