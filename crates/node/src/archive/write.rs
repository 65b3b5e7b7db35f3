//! What the runtime tells the archive.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;

use fjall::OwnedWriteBatch;
use qcn_ledger::Outcome;
use qcn_types::{
    Certificate, Committee, Epoch, Evidence, Height, Slot, Transaction, TransactionId,
    VerifiedBlock, encode,
};

use super::bodies::{Bodies, Place};
use super::keys::Moment;
use super::records::{
    ArrivalRecord, BlockSummary, CheckpointRecord, EvidenceRecord, Executed, Placement, receiver,
};
use super::run::{Entry, entry};
use super::{Archive, ArchiveError, Inner, Position, keys};

/// The most pieces of evidence that are kept. A validator needs to be accused once.
const MAX_EVIDENCE: usize = 4_096;

/// What one writer at a time has.
#[derive(Debug)]
pub(super) struct Writer {
    pub(super) bodies: Bodies,
    /// The heights whose transactions are listed in memory only; each has its mark in the index.
    pub(super) unfiled: Vec<Height>,
    /// The lowest height that was not pruned.
    pub(super) kept: Height,
}

/// What the runs are told of a checkpoint.
#[derive(Default)]
pub(super) struct Listed {
    transactions: Vec<Entry>,
    accounts: Vec<Entry>,
}

impl Archive {
    /// Keeps a block that entered the DAG.
    ///
    /// # Errors
    /// [`ArchiveError`].
    pub fn add_block(&self, block: &VerifiedBlock) -> Result<(), ArchiveError> {
        let inner = self.inner()?;
        inner.add_blocks(&mut inner.lock(), std::slice::from_ref(block))?;
        self.note_rounds(std::slice::from_ref(block));
        Ok(())
    }

    /// Keeps a checkpoint with everything under it, all or nothing.
    ///
    /// # Errors
    /// [`ArchiveError::OutcomesDoNotFit`] if the caller mixed two executions up, else what failed.
    pub fn add_checkpoint(&self, executed: &Executed) -> Result<(), ArchiveError> {
        let inner = self.inner()?;
        let height = executed.header.height;
        let writer = &mut inner.lock();
        if inner.index.contains_key(keys::at_height(keys::CHECKPOINT, height))? {
            // A power cut may have taken the bodies that the index names.
            return inner.add_blocks(writer, &executed.blocks);
        }
        let blocks = executed.blocks.iter();
        let carried = blocks.flat_map(|block| &block.body.payload.transactions);
        let listed = inner.listed(writer.kept, height, carried, &executed.outcomes)?;
        let mut batch = inner.begin(writer)?;
        inner.put_checkpoint(&mut batch, &mut writer.bodies, executed)?;
        inner.commit(writer, batch)?;
        if !executed.outcomes.is_empty() {
            inner.list(writer, height, listed)?;
        }
        self.shared.last_height.fetch_max(height.0, Ordering::AcqRel);
        self.note_rounds(&executed.blocks);
        Ok(())
    }

    /// Keeps a certificate that the caller has checked or collected itself.
    ///
    /// # Errors
    /// [`ArchiveError`].
    pub fn add_certificate(&self, certificate: &Certificate) -> Result<(), ArchiveError> {
        let inner = self.inner()?;
        let height = certificate.checkpoint.height;
        let key = keys::at_height(keys::CERTIFICATE, height);
        // Any certificate of a height is as good as another.
        if !inner.index.contains_key(key)? {
            inner.index.insert(key, encode(certificate))?;
        }
        self.shared.certified_height.fetch_max(height.0, Ordering::AcqRel);
        Ok(())
    }

    /// Keeps who attests the checkpoints of an epoch, so that proofs of it can be told apart from
    /// those of later committees.
    ///
    /// # Errors
    /// [`ArchiveError`].
    pub fn add_committee(&self, committee: &Committee) -> Result<(), ArchiveError> {
        let key = keys::of_committee(committee.epoch());
        Ok(self.inner()?.index.insert(key, encode(committee))?)
    }

    /// Keeps how a leader slot of the handle's epoch was decided.
    ///
    /// # Errors
    /// [`ArchiveError`].
    pub fn add_decision(&self, slot: Slot, skipped: bool) -> Result<(), ArchiveError> {
        Ok(self.inner()?.index.insert(keys::of_decision(self.epoch, slot), [u8::from(skipped)])?)
    }

    /// Keeps evidence that was proven here in the handle's epoch and is not committed yet, up to a bound.
    ///
    /// # Errors
    /// [`ArchiveError`].
    pub fn add_evidence(&self, evidence: &Evidence) -> Result<(), ArchiveError> {
        let inner = self.inner()?;
        let writer = &mut inner.lock();
        let mut batch = inner.begin(writer)?;
        inner.put_evidence(&mut batch, self.epoch, evidence, None)?;
        inner.commit(writer, batch)
    }
}

impl Inner {
    /// Begins a batch, in a segment that is not finished.
    fn begin(&self, writer: &mut Writer) -> Result<OwnedWriteBatch, ArchiveError> {
        let mut batch = self.database.batch();
        writer.bodies.forget();
        if let Some((number, last)) = writer.bodies.roll()? {
            batch.insert(&self.index, keys::of_segment(number), encode(&last));
        }
        Ok(batch)
    }

    /// Writes bodies first, then what names them.
    fn commit(&self, writer: &mut Writer, batch: OwnedWriteBatch) -> Result<(), ArchiveError> {
        writer.bodies.write()?;
        Ok(batch.commit()?)
    }

    fn add_blocks(
        &self,
        writer: &mut Writer,
        blocks: &[VerifiedBlock],
    ) -> Result<(), ArchiveError> {
        let mut batch = self.begin(writer)?;
        for block in blocks {
            if !self.has_block(&writer.bodies, block)? {
                self.put_block(&mut batch, &mut writer.bodies, block);
            }
        }
        self.commit(writer, batch)
    }

    fn has_block(&self, bodies: &Bodies, block: &VerifiedBlock) -> Result<bool, ArchiveError> {
        let found = self.block_place(&block.reference().digest)?;
        Ok(found.is_some_and(|(.., place)| bodies.holds(&place)))
    }

    fn put_block(&self, batch: &mut OwnedWriteBatch, bodies: &mut Bodies, block: &VerifiedBlock) {
        let reference = block.reference();
        let place: Place = bodies.push(block);
        let summary = BlockSummary::of(reference, block, place.bytes as usize);
        let epoch = block.body.epoch;
        batch.insert(&self.index, keys::of_block(epoch, &reference), encode(&summary));
        let moment = Moment::of(epoch, reference.round);
        let found = encode(&(moment, reference.author, place));
        batch.insert(&self.index, keys::of_digest(keys::BLOCK, &reference.digest), found);
    }

    fn put_checkpoint(
        &self,
        batch: &mut OwnedWriteBatch,
        bodies: &mut Bodies,
        executed: &Executed,
    ) -> Result<(), ArchiveError> {
        let Executed { header, leaders, blocks, outcomes, received, evidence } = executed;
        let height = header.height;
        for block in blocks {
            let reference = block.reference();
            if !self.has_block(bodies, block)? {
                self.put_block(batch, bodies, block);
            }
            let placement = Placement { height, leader: leaders.contains(&reference) };
            let key = keys::of_digest(keys::PLACEMENT, &reference.digest);
            batch.insert(&self.index, key, encode(&placement));
        }
        for proof in evidence {
            self.put_evidence(batch, header.epoch, proof, Some(height))?;
        }
        for leader in leaders {
            batch.insert(
                &self.index,
                keys::of_decision(header.epoch, leader.slot()),
                [u8::from(false)],
            );
        }
        let record = CheckpointRecord {
            header: *header,
            leaders: leaders.clone(),
            blocks: blocks.iter().map(VerifiedBlock::reference).collect(),
            transactions: outcomes.len() as u32,
        };
        batch.insert(&self.index, keys::at_height(keys::CHECKPOINT, height), encode(&record));
        let digest = keys::of_digest(keys::CHECKPOINT_DIGEST, &header.digest());
        batch.insert(&self.index, digest, height.0.to_be_bytes());
        if !received.is_empty() {
            let arrived: Vec<TransactionId> =
                received.iter().map(|one| one.receipt.transaction).collect();
            batch.insert(&self.index, keys::at_height(keys::ARRIVED, height), encode(&arrived));
            for one in received {
                let key = keys::of_digest(keys::ARRIVAL, &one.receipt.transaction.0);
                batch.insert(&self.index, key, encode(&ArrivalRecord::of(one, height)));
            }
        }
        // Heights without any have no record, so that a quiet network's are not read for a list.
        if !outcomes.is_empty() {
            batch.insert(&self.index, keys::at_height(keys::OUTCOMES, height), encode(outcomes));
            batch.insert(&self.index, keys::at_height(keys::UNFILED, height), []);
        }
        Ok(())
    }

    /// What the runs are to be told of a checkpoint's transactions.
    pub(super) fn listed<'a>(
        &self,
        kept: Height,
        height: Height,
        carried: impl Iterator<Item = &'a Transaction> + Clone,
        outcomes: &[(TransactionId, Outcome)],
    ) -> Result<Listed, ArchiveError> {
        let transactions = carried.clone().count();
        if transactions != outcomes.len() {
            let outcomes = outcomes.len();
            return Err(ArchiveError::OutcomesDoNotFit { transactions, outcomes });
        }
        let mut listed = Listed::default();
        let is_skipped = |outcome: &Outcome| matches!(outcome, Outcome::Skipped(_));
        let any_is_skipped = outcomes.iter().any(|(_, outcome)| is_skipped(outcome));
        let mut seen: BTreeSet<TransactionId> = BTreeSet::new();
        for (position, (transaction, (id, outcome))) in carried.zip(outcomes).enumerate() {
            let is_first = !any_is_skipped || seen.insert(*id);
            if is_skipped(outcome) && (!is_first || self.is_told_already(*id, kept, height)?) {
                continue;
            }
            let at = Position { height, position: position as u32 };
            listed.transactions.push(entry(&id.0, at));
            let body = &transaction.body;
            let receiver = receiver(body.sender, &body.action, *outcome);
            let accounts = [Some(body.sender), receiver].into_iter().flatten();
            listed.accounts.extend(accounts.map(|account| entry(&account.0, at)));
        }
        Ok(listed)
    }

    /// Whether an earlier checkpoint tells a transaction that is skipped in this one. It may be
    /// executed several times, as several blocks may carry it, and is skipped all times but one:
    /// that one is told.
    fn is_told_already(
        &self,
        id: TransactionId,
        kept: Height,
        height: Height,
    ) -> Result<bool, ArchiveError> {
        let before = self.runs.last_place(id)?;
        Ok(before.is_some_and(|place| place.height < height && place.height >= kept))
    }

    pub(super) fn list(
        &self,
        writer: &mut Writer,
        height: Height,
        listed: Listed,
    ) -> Result<(), ArchiveError> {
        writer.unfiled.push(height);
        if listed.transactions.is_empty() {
            return Ok(());
        }
        let filed = self.runs.add(listed.transactions, listed.accounts, writer.kept)?;
        if filed { self.filed(writer) } else { Ok(()) }
    }

    /// Removes the marks of heights whose transactions are listed in files.
    pub(super) fn filed(&self, writer: &mut Writer) -> Result<(), ArchiveError> {
        let mut batch = self.database.batch();
        for height in writer.unfiled.drain(..) {
            batch.remove(&self.index, keys::at_height(keys::UNFILED, height));
        }
        Ok(batch.commit()?)
    }

    fn put_evidence(
        &self,
        batch: &mut OwnedWriteBatch,
        epoch: Epoch,
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
            let record = EvidenceRecord { epoch, evidence: evidence.clone(), height };
            batch.insert(&self.index, key, encode(&record));
        }
        Ok(())
    }
}
