//! What clients ask the archive.

use std::ops::RangeInclusive;

use qcn_crypto::Digest;
use qcn_ledger::Outcome;
use qcn_types::{
    Address, BlockRef, Certificate, Checkpoint, Committee, CompactBlock, Epoch, Height, Round,
    Slot, TransactionId, ValidatorIndex,
};

use super::bodies::{self, Place};
use super::keys::Moment;
use super::records::{ArchivedBlock, BlockSummary, CheckpointRecord, EvidenceRecord};
use super::run::By;
use super::{Archive, ArchiveError, Inner, MAX_ANCESTORS, digest_at, keys, parse};

/// A place in the list of all executed transactions, for lists that go on where one ended.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Position {
    /// The checkpoint.
    pub height: Height,
    /// The place under it.
    pub position: u32,
}

impl Position {
    /// Above everything.
    pub const END: Self = Self { height: Height(u64::MAX), position: u32::MAX };
}

/// Something whose digest begins as asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Found {
    /// A checkpoint.
    Checkpoint(Height, Digest),
    /// A block.
    Block(BlockRef),
    /// A transaction.
    Transaction(TransactionId),
    /// An address that took part in a transaction.
    Account(Address),
}

impl Archive {
    /// The checkpoint of a height.
    ///
    /// # Errors
    /// [`ArchiveError`].
    pub fn checkpoint(&self, height: Height) -> Result<Option<CheckpointRecord>, ArchiveError> {
        self.inner()?.get(&keys::at_height(keys::CHECKPOINT, height))
    }

    /// The height of the checkpoint with this digest.
    ///
    /// # Errors
    /// [`ArchiveError`].
    pub fn height_of(&self, checkpoint: &Digest) -> Result<Option<Height>, ArchiveError> {
        let value =
            self.inner()?.index.get(keys::of_digest(keys::CHECKPOINT_DIGEST, checkpoint))?;
        value.map(|bytes| height_from(&bytes)).transpose()
    }

    /// Up to `limit` checkpoints below `before`, newest first.
    ///
    /// # Errors
    /// [`ArchiveError`].
    pub fn checkpoints(
        &self,
        before: Height,
        limit: usize,
    ) -> Result<Vec<CheckpointRecord>, ArchiveError> {
        let key = |height| keys::at_height(keys::CHECKPOINT, height);
        let inner = self.inner()?;
        let found = inner.index.range(key(Height(0))..key(before)).rev().take(limit);
        found.map(|guard| parse(&guard.value()?)).collect()
    }

    /// What became of a checkpoint's transactions, in order.
    ///
    /// # Errors
    /// [`ArchiveError`].
    pub fn outcomes(&self, height: Height) -> Result<Vec<(TransactionId, Outcome)>, ArchiveError> {
        Ok(self.inner()?.get(&keys::at_height(keys::OUTCOMES, height))?.unwrap_or_default())
    }

    /// The certificate of a height or of the next above that has one, be it of a later epoch.
    ///
    /// # Errors
    /// [`ArchiveError`].
    pub fn certificate(&self, height: Height) -> Result<Option<Certificate>, ArchiveError> {
        let key = |height| keys::at_height(keys::CERTIFICATE, height);
        let inner = self.inner()?;
        let next = inner.index.range(key(height)..=key(Height(u64::MAX))).next();
        next.map(|guard| parse(&guard.value()?)).transpose()
    }

    /// A certificate that proves the checkpoint of a height, and the checkpoints from its parent
    /// down to that one. Nothing if none is near enough, or history has a gap in between, as it has
    /// where an epoch ends: the first checkpoint of the next names as its parent what the epoch
    /// opened with, which nobody attests and which is not kept.
    ///
    /// # Errors
    /// [`ArchiveError`].
    pub fn certified_chain(
        &self,
        height: Height,
    ) -> Result<Option<(Certificate, Vec<Checkpoint>)>, ArchiveError> {
        let Some(certificate) = self.certificate(height)? else {
            return Ok(None);
        };
        let top = certificate.checkpoint.height.0;
        if top - height.0 > MAX_ANCESTORS as u64 {
            return Ok(None);
        }
        let mut ancestors = Vec::new();
        let mut expected = certificate.checkpoint.parent;
        for below in (height.0..top).rev() {
            let record = self.checkpoint(Height(below))?;
            let epoch = certificate.checkpoint.epoch;
            let is_parent =
                |header: &Checkpoint| header.epoch == epoch && header.digest() == expected;
            let Some(header) = record.map(|record| record.header).filter(is_parent) else {
                return Ok(None);
            };
            expected = header.parent;
            ancestors.push(header);
        }
        Ok(Some((certificate, ancestors)))
    }

    /// Who attested the checkpoints of an epoch, if that was told and the epoch is kept.
    ///
    /// # Errors
    /// [`ArchiveError`].
    pub fn committee(&self, epoch: Epoch) -> Result<Option<Committee>, ArchiveError> {
        self.inner()?.get(&keys::of_committee(epoch))
    }

    /// A block without its contents.
    ///
    /// # Errors
    /// [`ArchiveError`].
    pub fn block(&self, digest: &Digest) -> Result<Option<ArchivedBlock>, ArchiveError> {
        let inner = self.inner()?;
        let Some((epoch, reference, _)) = inner.block_place(digest)? else {
            return Ok(None);
        };
        let summary: Option<BlockSummary> = inner.get(&keys::of_block(epoch, &reference))?;
        summary.map(|summary| inner.placed(summary)).transpose()
    }

    /// A block in full, with its parents in full.
    ///
    /// # Errors
    /// [`ArchiveError`].
    pub fn block_body(&self, digest: &Digest) -> Result<Option<CompactBlock>, ArchiveError> {
        self.inner()?.body(digest)
    }

    /// Up to `limit` blocks of some rounds of the handle's epoch, by round, author and digest.
    ///
    /// # Errors
    /// [`ArchiveError`].
    pub fn blocks(
        &self,
        rounds: RangeInclusive<Round>,
        limit: usize,
    ) -> Result<Vec<ArchivedBlock>, ArchiveError> {
        let (from, to) = rounds.into_inner();
        let inner = self.inner()?;
        let key = |round| keys::at_moment(keys::ROUND, Moment::of(self.epoch, round));
        let found = inner.index.range(key(from)..key(to.next()));
        found.take(limit).map(|guard| inner.placed(parse(&guard.value()?)?)).collect()
    }

    /// How the leader slots of some rounds of the handle's epoch were decided: whether each was
    /// skipped.
    ///
    /// # Errors
    /// [`ArchiveError`].
    pub fn decisions(
        &self,
        rounds: RangeInclusive<Round>,
        limit: usize,
    ) -> Result<Vec<(Slot, bool)>, ArchiveError> {
        let (from, to) = rounds.into_inner();
        let inner = self.inner()?;
        let key = |round| keys::at_moment(keys::DECISION, Moment::of(self.epoch, round));
        let found = inner.index.range(key(from)..key(to.next()));
        let decision = |guard: fjall::Guard| {
            let (key, value) = guard.into_inner()?;
            let author = key.get(17..19).and_then(|bytes| bytes.try_into().ok());
            let author = author.ok_or(ArchiveError::Corrupt("slot"))?;
            let round = keys::moment(&key)?.round;
            let slot = Slot { round, author: ValidatorIndex(u16::from_be_bytes(author)) };
            Ok((slot, value.first() == Some(&1)))
        };
        found.take(limit).map(decision).collect()
    }

    /// Up to `limit` pieces of evidence whose digests are below `before`, or the highest ones,
    /// from the highest digest down.
    ///
    /// # Errors
    /// [`ArchiveError`].
    pub fn evidence(
        &self,
        before: Option<&Digest>,
        limit: usize,
    ) -> Result<Vec<EvidenceRecord>, ArchiveError> {
        let inner = self.inner()?;
        let parsed = |guard: fjall::Guard| parse(&guard.value()?);
        match before {
            None => inner.index.prefix([keys::EVIDENCE]).rev().take(limit).map(parsed).collect(),
            Some(before) => {
                let key = |digest| keys::of_digest(keys::EVIDENCE, digest);
                let below = inner.index.range(key(&Digest([0; 32]))..key(before));
                below.rev().take(limit).map(parsed).collect()
            }
        }
    }

    /// One piece of evidence.
    ///
    /// # Errors
    /// [`ArchiveError`].
    pub fn evidence_of(&self, digest: &Digest) -> Result<Option<EvidenceRecord>, ArchiveError> {
        self.inner()?.get(&keys::of_digest(keys::EVIDENCE, digest))
    }

    /// Up to `limit` of each kind whose digest begins with these bytes.
    ///
    /// # Errors
    /// [`ArchiveError`].
    pub fn search(&self, prefix: &[u8], limit: usize) -> Result<Vec<Found>, ArchiveError> {
        let mut found = Vec::new();
        let inner = self.inner()?;
        for tag in [keys::CHECKPOINT_DIGEST, keys::BLOCK] {
            let key = [&[tag], prefix].concat();
            for guard in inner.index.prefix(key).take(limit) {
                let (key, value) = guard.into_inner()?;
                let digest = digest_at(key.get(1..).unwrap_or_default())?;
                found.push(if tag == keys::CHECKPOINT_DIGEST {
                    Found::Checkpoint(height_from(&value)?, digest)
                } else {
                    let (moment, author, _): (Moment, ValidatorIndex, Place) = parse(&value)?;
                    Found::Block(BlockRef { round: moment.round, author, digest })
                });
            }
        }
        let kept = inner.kept()?;
        for digest in inner.runs.beginning_with(By::Transaction, prefix, limit)? {
            // It may have been pruned.
            let place = inner.runs.last_place(TransactionId(digest))?;
            if place.is_some_and(|place| place.height >= kept) {
                found.push(Found::Transaction(TransactionId(digest)));
            }
        }
        let accounts = inner.runs.beginning_with(By::Account, prefix, limit)?;
        found.extend(accounts.into_iter().map(|digest| Found::Account(Address(digest))));
        Ok(found)
    }
}

impl Inner {
    fn placed(&self, summary: BlockSummary) -> Result<ArchivedBlock, ArchiveError> {
        let key = keys::of_digest(keys::PLACEMENT, &summary.reference.digest);
        Ok(ArchivedBlock { placement: self.get(&key)?, summary })
    }

    /// The lowest height that was not pruned.
    pub(super) fn kept(&self) -> Result<Height, ArchiveError> {
        Ok(Height(self.get(&keys::PRUNED)?.unwrap_or(0)))
    }

    /// The epoch of a block, its name in full, and where it lies.
    pub(super) fn block_place(
        &self,
        digest: &Digest,
    ) -> Result<Option<(Epoch, BlockRef, Place)>, ArchiveError> {
        let found: Option<(Moment, ValidatorIndex, Place)> =
            self.get(&keys::of_digest(keys::BLOCK, digest))?;
        let digest = *digest;
        Ok(found.map(|(Moment { epoch, round }, author, place)| {
            (epoch, BlockRef { round, author, digest }, place)
        }))
    }

    pub(super) fn body(&self, digest: &Digest) -> Result<Option<CompactBlock>, ArchiveError> {
        let Some((.., place)) = self.block_place(digest)? else {
            return Ok(None);
        };
        let bytes = bodies::read(&self.bodies_folder, &place, digest)?;
        bytes.map(|bytes| parse(&bytes)).transpose()
    }
}

fn height_from(bytes: &[u8]) -> Result<Height, ArchiveError> {
    let bytes = bytes.try_into().map_err(|_| ArchiveError::Corrupt("height"))?;
    Ok(Height(u64::from_be_bytes(bytes)))
}
