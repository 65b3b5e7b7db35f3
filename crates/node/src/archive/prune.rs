//! Removing what the policy does not keep, in small steps.

use fjall::OwnedWriteBatch;
use qcn_types::{BlockRef, Height, Round, TransactionId};

use super::records::CheckpointRecord;
use super::{Archive, ArchiveError, Inner, digest_at, keys, parse};

/// How many heights one step looks at.
const HEIGHTS_PER_STEP: u64 = 16;

/// How far below the leader of a pruned checkpoint blocks are removed that nobody committed: no
/// kept checkpoint brings them in any more.
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
        let Some(end) = self.last_height().0.checked_sub(self.0.policy.keep_checkpoints) else {
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
        let mut leader_round = None;
        for (height, record) in inner.checkpoints_between(start, stop)? {
            inner.remove_checkpoint(&mut batch, height, &record);
            inner.remove_arrivals(&mut batch, height)?;
            leader_round = Some(record.header.leader.round);
        }
        let below = leader_round.map(|round| round.minus(UNCOMMITTED_DEPTH_ROUNDS));
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
            self.remove_block(batch, block);
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

    fn remove_block(&self, batch: &mut OwnedWriteBatch, block: &BlockRef) {
        batch.remove(&self.index, keys::of_block(block));
        batch.remove(&self.index, keys::of_digest(keys::BLOCK, &block.digest));
        batch.remove(&self.index, keys::of_digest(keys::PLACEMENT, &block.digest));
        batch.remove(&self.index, keys::of_decision(block.slot()));
    }

    fn remove_uncommitted(
        &self,
        batch: &mut OwnedWriteBatch,
        below: Round,
    ) -> Result<(), ArchiveError> {
        let blocks = self.index.range(keys::at_round(Round(0))..keys::at_round(below));
        for guard in blocks.take(UNCOMMITTED_PER_STEP) {
            let key = guard.key()?;
            let digest = digest_at(key.get(11..).unwrap_or_default())?;
            batch.remove(&self.index, keys::of_digest(keys::BLOCK, &digest));
            batch.remove(&self.index, keys::of_digest(keys::PLACEMENT, &digest));
            batch.remove(&self.index, key);
        }
        let slots = self.index.range(keys::decisions_at(Round(0))..keys::decisions_at(below));
        for guard in slots.take(UNCOMMITTED_PER_STEP) {
            batch.remove(&self.index, guard.key()?);
        }
        Ok(())
    }
}
