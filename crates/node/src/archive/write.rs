//! What the runtime tells the archive.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;

use fjall::OwnedWriteBatch;
use qcn_ledger::Outcome;
use qcn_types::{
    Bounded, Certificate, CompactParents, Evidence, Height, Slot, TransactionId, VerifiedBlock,
    encode,
};

use super::records::{
    BlockSummary, CheckpointRecord, EvidenceRecord, Executed, Placement, TransactionRecord,
};
use super::{Archive, ArchiveError, Inner, keys};

/// The most pieces of evidence that are kept. A validator needs to be accused once.
const MAX_EVIDENCE: usize = 4_096;

impl Archive {
    /// Keeps a block that entered the DAG.
    ///
    /// # Errors
    /// [`ArchiveError::Database`].
    pub fn add_block(&self, block: &VerifiedBlock) -> Result<(), ArchiveError> {
        let inner = &self.0;
        if inner.index.contains_key(keys::of_digest(keys::BLOCK, &block.reference().digest))? {
            return Ok(());
        }
        let mut batch = inner.database.batch();
        inner.put_block(&mut batch, block);
        batch.commit()?;
        self.0.highest_round.fetch_max(block.reference().round.0, Ordering::AcqRel);
        Ok(())
    }

    /// Keeps a checkpoint with everything under it, all or nothing.
    ///
    /// # Errors
    /// [`ArchiveError::OutcomesDoNotFit`] if the caller mixed two executions up,
    /// [`ArchiveError::Database`].
    pub fn add_checkpoint(&self, executed: &Executed) -> Result<(), ArchiveError> {
        let inner = &self.0;
        let height = executed.header.height;
        let _writing = inner.lock();
        if inner.index.contains_key(keys::at_height(keys::CHECKPOINT, height))? {
            return Ok(());
        }
        let mut batch = inner.database.batch();
        inner.put_checkpoint(&mut batch, executed)?;
        batch.commit()?;
        inner.last_height.fetch_max(height.0, Ordering::AcqRel);
        let rounds = executed.blocks.iter().map(|block| block.reference().round.0);
        inner.highest_round.fetch_max(rounds.max().unwrap_or(0), Ordering::AcqRel);
        Ok(())
    }

    /// Keeps a certificate that the caller has checked or collected itself.
    ///
    /// # Errors
    /// [`ArchiveError::Database`].
    pub fn add_certificate(&self, certificate: &Certificate) -> Result<(), ArchiveError> {
        let height = certificate.checkpoint.height;
        let key = keys::at_height(keys::CERTIFICATE, height);
        // Any certificate of a height is as good as another.
        if !self.0.index.contains_key(key)? {
            self.0.index.insert(key, encode(certificate))?;
        }
        self.0.certified_height.fetch_max(height.0, Ordering::AcqRel);
        Ok(())
    }

    /// Keeps how a leader slot was decided.
    ///
    /// # Errors
    /// [`ArchiveError::Database`].
    pub fn add_decision(&self, slot: Slot, skipped: bool) -> Result<(), ArchiveError> {
        Ok(self.0.index.insert(keys::of_decision(slot), [u8::from(skipped)])?)
    }

    /// Keeps evidence that was proven here and is not committed yet, up to a bound.
    ///
    /// # Errors
    /// [`ArchiveError::Database`].
    pub fn add_evidence(&self, evidence: &Evidence) -> Result<(), ArchiveError> {
        let _writing = self.0.lock();
        let mut batch = self.0.database.batch();
        self.0.put_evidence(&mut batch, evidence, None)?;
        Ok(batch.commit()?)
    }
}

impl Inner {
    pub(super) fn put_block(&self, batch: &mut OwnedWriteBatch, block: &VerifiedBlock) {
        let reference = block.reference();
        let body = &block.body;
        // The encoding of `CompactBlock::in_full`, without cloning the payload.
        let parents = CompactParents::Full(Bounded::truncated(body.parents.clone()));
        let bytes = encode(&(
            (body.round, body.author, body.time_ms, parents),
            (&body.payload, &body.attestations, &block.signature),
        ));
        let summary = BlockSummary::of(reference, block, bytes.len());
        batch.insert(&self.bodies, reference.digest.0, bytes);
        batch.insert(&self.index, keys::of_block(&reference), encode(&summary));
        let place = encode(&(reference.round, reference.author));
        batch.insert(&self.index, keys::of_digest(keys::BLOCK, &reference.digest), place);
    }

    fn put_checkpoint(
        &self,
        batch: &mut OwnedWriteBatch,
        executed: &Executed,
    ) -> Result<(), ArchiveError> {
        let Executed { header, leaders, blocks, outcomes } = executed;
        let height = header.height;
        self.put_transactions(batch, executed)?;
        for block in blocks {
            let reference = block.reference();
            let name = keys::of_digest(keys::BLOCK, &reference.digest);
            if !self.index.contains_key(name)? {
                self.put_block(batch, block);
            }
            let placement = Placement { height, leader: leaders.contains(&reference) };
            let key = keys::of_digest(keys::PLACEMENT, &reference.digest);
            batch.insert(&self.index, key, encode(&placement));
            for evidence in &block.body.payload.evidence {
                self.put_evidence(batch, evidence, Some(height))?;
            }
        }
        for leader in leaders {
            batch.insert(&self.index, keys::of_decision(leader.slot()), [u8::from(false)]);
        }
        let record = CheckpointRecord {
            header: *header,
            leaders: leaders.clone(),
            blocks: blocks.iter().map(VerifiedBlock::reference).collect(),
            transactions: outcomes.len() as u32,
        };
        batch.insert(&self.index, keys::at_height(keys::OUTCOMES, height), encode(outcomes));
        batch.insert(&self.index, keys::at_height(keys::CHECKPOINT, height), encode(&record));
        let digest = keys::of_digest(keys::CHECKPOINT_DIGEST, &header.digest());
        batch.insert(&self.index, digest, height.0.to_be_bytes());
        Ok(())
    }

    fn put_transactions(
        &self,
        batch: &mut OwnedWriteBatch,
        executed: &Executed,
    ) -> Result<(), ArchiveError> {
        let height = executed.header.height;
        let carried = executed.blocks.iter().flat_map(|block| {
            let reference = block.reference();
            block.body.payload.transactions.iter().map(move |transaction| (transaction, reference))
        });
        let transactions = carried.clone().count();
        let outcomes = executed.outcomes.len();
        if transactions != outcomes {
            return Err(ArchiveError::OutcomesDoNotFit { transactions, outcomes });
        }
        let mut seen: BTreeSet<TransactionId> = BTreeSet::new();
        for (position, ((transaction, block), outcome)) in
            carried.zip(&executed.outcomes).enumerate()
        {
            let at = (height, position as u32);
            if self.is_told_already(&mut seen, *outcome, height)? {
                continue;
            }
            let record = TransactionRecord::of(transaction, *outcome, block, at);
            self.put_transaction(batch, &record);
        }
        Ok(())
    }

    /// Whether a better record of the transaction exists. It may be executed several times, as
    /// several blocks may carry it, and is skipped all times but one: that one is told.
    fn is_told_already(
        &self,
        seen: &mut BTreeSet<TransactionId>,
        (id, outcome): (TransactionId, Outcome),
        height: Height,
    ) -> Result<bool, ArchiveError> {
        let is_first = seen.insert(id);
        if !matches!(outcome, Outcome::Skipped(_)) {
            return Ok(false);
        }
        if !is_first {
            return Ok(true);
        }
        let before: Option<TransactionRecord> = self.get(&keys::of_transaction(id))?;
        Ok(before.is_some_and(|record| record.height < height))
    }

    fn put_transaction(&self, batch: &mut OwnedWriteBatch, record: &TransactionRecord) {
        let id = record.id;
        for account in [Some(record.sender), record.receiver()].into_iter().flatten() {
            let key = keys::of_account(account, record.height, record.position);
            batch.insert(&self.index, key, id.0.0);
        }
        batch.insert(&self.index, keys::of_transaction(id), encode(record));
    }

    fn put_evidence(
        &self,
        batch: &mut OwnedWriteBatch,
        evidence: &Evidence,
        height: Option<Height>,
    ) -> Result<(), ArchiveError> {
        let key = keys::of_digest(keys::EVIDENCE, &evidence.digest());
        let known: Option<EvidenceRecord> = self.get(&key)?;
        let is_news = match &known {
            None => self.index.prefix([keys::EVIDENCE]).count() < MAX_EVIDENCE,
            Some(record) => record.height.is_none() && height.is_some(),
        };
        if is_news {
            let record = EvidenceRecord { evidence: evidence.clone(), height };
            batch.insert(&self.index, key, encode(&record));
        }
        Ok(())
    }
}
