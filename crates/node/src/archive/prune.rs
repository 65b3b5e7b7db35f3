//! Removing what the policy does not keep, in small steps.

use fjall::OwnedWriteBatch;
use qcn_types::{BlockRef, Epoch, Height, TransactionId};

use super::keys::Moment;
use super::records::CheckpointRecord;
use super::{Archive, ArchiveError, Inner, digest_at, keys, parse};

/// How many heights one step looks at.
const HEIGHTS_PER_STEP: u64 = 16;

/// How far below the leader of a pruned checkpoint blocks are removed that nobody committed: no
/// kept checkpoint brings them in any more. All that is left of earlier epochs goes, too.
const UNCOMMITTED_DEPTH_ROUNDS: u64 = 256;

/// How many blocks that nobody committed one step removes.
const UNCOMMITTED_PER_STEP: usize = 256;

impl Archive {
    /// Removes some of what is too old, and says whether there is more to do.
    ///
    /// # Errors
    /// [`ArchiveError`].
    pub fn prune(&self) -> Result<bool, ArchiveError> {
        let inner = self.inner()?;
        let writer = &mut inner.lock();
        let Some(end) = self.last_height().0.checked_sub(self.shared.policy.keep_checkpoints)
        else {
            return Ok(false);
        };
        let start = writer.kept.0;
        if start > end {
            return Ok(false);
        }
        let stop = end.saturating_add(1).min(start.saturating_add(HEIGHTS_PER_STEP));
        // A gap in the heights is passed in one step.
        let stop = inner.next_height(start)?.map_or(stop, |next| stop.max(next.min(end + 1)));
        let mut batch = inner.database.batch();
        let mut newest = None;
        for (height, record) in inner.checkpoints_between(start, stop)? {
            inner.remove_checkpoint(&mut batch, height, &record);
            inner.remove_arrivals(&mut batch, height)?;
            newest = Some(record.header);
        }
        let below = newest.map(|header| {
            Moment::of(header.epoch, header.leader.round.minus(UNCOMMITTED_DEPTH_ROUNDS))
        });
        if let Some(below) = below {
            inner.remove_uncommitted(&mut batch, below)?;
        }
        batch.insert(&inner.index, keys::PRUNED, stop.to_le_bytes());
        batch.commit()?;
        writer.kept = Height(stop);
        // What the runs still say of lower heights leads nowhere, and goes with its file.
        inner.runs.remove_below(writer.kept)?;
        if let Some(below) = below {
            for segment in writer.bodies.remove_below(below)? {
                inner.index.remove(keys::of_segment(segment))?;
            }
            self.forget_epochs_below(below.epoch);
        }
        Ok(stop <= end)
    }
}

impl Inner {
    fn next_height(&self, from: u64) -> Result<Option<u64>, ArchiveError> {
        let start = keys::at_height(keys::CHECKPOINT, Height(from));
        let end = keys::at_height(keys::CHECKPOINT, Height(u64::MAX));
        let next = self.index.range(start..=end).next();
        next.map(|guard| keys::number(&guard.key()?)).transpose()
    }

    fn checkpoints_between(
        &self,
        start: u64,
        stop: u64,
    ) -> Result<Vec<(Height, CheckpointRecord)>, ArchiveError> {
        let key = |height| keys::at_height(keys::CHECKPOINT, Height(height));
        let found = self.index.range(key(start)..key(stop)).take(HEIGHTS_PER_STEP as usize);
        found
            .map(|guard| {
                let (key, value) = guard.into_inner()?;
                Ok((Height(keys::number(&key)?), parse(&value)?))
            })
            .collect()
    }

    fn remove_checkpoint(
        &self,
        batch: &mut OwnedWriteBatch,
        height: Height,
        record: &CheckpointRecord,
    ) {
        batch.remove(&self.index, keys::at_height(keys::OUTCOMES, height));
        for block in &record.blocks {
            self.remove_block(batch, record.header.epoch, block);
        }
        let digest = record.header.digest();
        batch.remove(&self.index, keys::of_digest(keys::CHECKPOINT_DIGEST, &digest));
        batch.remove(&self.index, keys::at_height(keys::CERTIFICATE, height));
        batch.remove(&self.index, keys::at_height(keys::CHECKPOINT, height));
    }

    fn remove_arrivals(
        &self,
        batch: &mut OwnedWriteBatch,
        height: Height,
    ) -> Result<(), ArchiveError> {
        let key = keys::at_height(keys::ARRIVED, height);
        let arrived: Option<Vec<TransactionId>> = self.get(&key)?;
        for id in arrived.into_iter().flatten() {
            batch.remove(&self.index, keys::of_digest(keys::ARRIVAL, &id.0));
            batch.remove(&self.index, key);
        }
        Ok(())
    }

    fn remove_block(&self, batch: &mut OwnedWriteBatch, epoch: Epoch, block: &BlockRef) {
        batch.remove(&self.index, keys::of_block(epoch, block));
        batch.remove(&self.index, keys::of_digest(keys::BLOCK, &block.digest));
        batch.remove(&self.index, keys::of_digest(keys::PLACEMENT, &block.digest));
        batch.remove(&self.index, keys::of_decision(epoch, block.slot()));
    }

    fn remove_uncommitted(
        &self,
        batch: &mut OwnedWriteBatch,
        below: Moment,
    ) -> Result<(), ArchiveError> {
        let all_below = |tag| {
            self.index.range(keys::at_moment(tag, Moment::START)..keys::at_moment(tag, below))
        };
        for guard in all_below(keys::ROUND).take(UNCOMMITTED_PER_STEP) {
            let key = guard.key()?;
            let digest = digest_at(key.get(19..).unwrap_or_default())?;
            batch.remove(&self.index, keys::of_digest(keys::BLOCK, &digest));
            batch.remove(&self.index, keys::of_digest(keys::PLACEMENT, &digest));
            batch.remove(&self.index, key);
        }
        for guard in all_below(keys::DECISION).take(UNCOMMITTED_PER_STEP) {
            batch.remove(&self.index, guard.key()?);
        }
        // No kept checkpoint is of an earlier epoch.
        let (first, end) = (keys::of_committee(Epoch(0)), keys::of_committee(below.epoch));
        for guard in self.index.range(first..end).take(UNCOMMITTED_PER_STEP) {
            batch.remove(&self.index, guard.key()?);
        }
        Ok(())
    }
}
