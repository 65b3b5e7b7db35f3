//! What the shards report, and how loaded they are.

use borsh::{BorshDeserialize, BorshSerialize};
use qcn_types::{Checkpoint, Epoch};

/// What is known of a shard.
#[derive(Clone, Copy, PartialEq, Eq, Debug, BorshSerialize, BorshDeserialize)]
pub struct ShardStanding {
    /// The latest certified checkpoint.
    pub latest: Checkpoint,
    /// The first that was reported in the same epoch.
    pub first: Reading,
    /// For how many epochs in a row its load was above that of a split.
    pub loaded_epochs: u8,
    /// For how many epochs in a row its load and that of its upper sibling were below that of a
    /// merge.
    pub idle_epochs: u8,
}

/// What a checkpoint says about load.
#[derive(Clone, Copy, PartialEq, Eq, Debug, BorshSerialize, BorshDeserialize)]
pub struct Reading {
    /// When it was made.
    pub time_ms: u64,
    /// What was executed until then.
    pub executed: u64,
}

impl Reading {
    const fn of(checkpoint: &Checkpoint) -> Self {
        Self { time_ms: checkpoint.time_ms, executed: checkpoint.executed }
    }
}

impl ShardStanding {
    /// After the first report of a shard.
    pub(crate) const fn new(checkpoint: Checkpoint) -> Self {
        let first = Reading::of(&checkpoint);
        Self { latest: checkpoint, first, loaded_epochs: 0, idle_epochs: 0 }
    }

    /// Whether a checkpoint is later than the one that is known.
    pub(crate) fn is_before(&self, checkpoint: &Checkpoint) -> bool {
        let place = |it: &Checkpoint| (it.epoch, it.height);
        place(&self.latest) < place(checkpoint)
    }

    /// Takes in a later checkpoint.
    pub(crate) fn advance(&mut self, checkpoint: Checkpoint) {
        if self.latest.epoch != checkpoint.epoch {
            self.first = Reading::of(&checkpoint);
        }
        self.latest = checkpoint;
    }

    /// What the shard has executed per second in an epoch, if that was measured for long enough.
    #[must_use]
    pub fn load(&self, epoch: Epoch, measured_ms_min: u64) -> Option<u128> {
        let last = Reading::of(&self.latest);
        let elapsed = last.time_ms.checked_sub(self.first.time_ms)?;
        let executed = last.executed.checked_sub(self.first.executed)?;
        if self.latest.epoch != epoch || elapsed == 0 || elapsed < measured_ms_min {
            return None;
        }
        Some(u128::from(executed) * 1_000 / u128::from(elapsed))
    }
}
