//! What a committed leader brings in.

use borsh::{BorshDeserialize, BorshSerialize};
use qcn_crypto::{Digest, Domain, Hasher};
use qcn_types::{BlockRef, Bounded, MAX_MEMBERS, Offence, ValidatorIndex, VerifiedBlock};

use crate::limits::MAX_COMMIT_BLOCKS;
use crate::schedule::ScheduleState;

/// The ordered blocks of one committed leader.
#[derive(Clone, Debug)]
pub struct Commit {
    /// One above the commit before; the first has index 1.
    pub index: u64,
    /// The committed leader.
    pub leader: BlockRef,
    /// The leader's time, in milliseconds.
    pub time_ms: u64,
    /// The blocks, sorted by round, author, digest; the leader is among them.
    pub blocks: Vec<VerifiedBlock>,
    /// The record of this commit, chained to all before.
    pub record: CommitRecord,
    /// The digest of `record`.
    pub digest: Digest,
    /// The state of the schedule, if the commit closes a window: a validator can resume with it.
    /// By the time that somebody looks, the machine may have committed more and changed it.
    pub window_end: Option<ScheduleState>,
    /// The validators that evidence in these blocks isolated, in order.
    pub isolated: Vec<(ValidatorIndex, Offence)>,
}

/// What of a commit a validator needs in order to resume after it.
#[derive(Clone, PartialEq, Eq, Debug, BorshSerialize, BorshDeserialize)]
pub struct CommitRecord {
    /// The index of the commit.
    pub index: u64,
    /// The digest of the record before; zero for the first.
    pub previous: Digest,
    /// The committed leader.
    pub leader: BlockRef,
    /// The blocks in order.
    pub blocks: Bounded<BlockRef, MAX_COMMIT_BLOCKS>,
    /// The leaders of the same round that are still to be decided, in order. They were drawn
    /// before this commit, perhaps from other odds.
    pub undecided_leaders: Bounded<ValidatorIndex, MAX_MEMBERS>,
    /// The digest of the schedule's state after this commit.
    pub schedule: Digest,
}

impl CommitRecord {
    /// Whether no leader of the round is left to be decided: a checkpoint is made here.
    #[must_use]
    pub fn closes_round(&self) -> bool {
        self.undecided_leaders.is_empty()
    }

    /// The digest that checkpoints carry.
    #[must_use]
    pub fn digest(&self) -> Digest {
        let mut bytes = Vec::with_capacity(self.blocks.len() * 42 + 128);
        bytes.extend_from_slice(&self.index.to_le_bytes());
        bytes.extend_from_slice(self.previous.as_bytes());
        bytes.extend_from_slice(self.schedule.as_bytes());
        for block in std::iter::once(&self.leader).chain(self.blocks.iter()) {
            bytes.extend_from_slice(&block.round.0.to_le_bytes());
            bytes.extend_from_slice(&block.author.0.to_le_bytes());
            bytes.extend_from_slice(block.digest.as_bytes());
        }
        for leader in self.undecided_leaders.iter() {
            bytes.extend_from_slice(&leader.0.to_le_bytes());
        }
        bytes.extend_from_slice(&(self.undecided_leaders.len() as u64).to_le_bytes());
        let mut hasher = Hasher::new(Domain::Checkpoint);
        hasher.update(b"commit");
        hasher.update(&bytes);
        hasher.finalize()
    }
}
