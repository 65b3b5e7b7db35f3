//! What clients ask the archive.

use std::ops::RangeInclusive;

use qcn_crypto::{Digest, MerkleTree};
use qcn_ledger::{Outcome, TransactionProof};
use qcn_light::transaction_leaf;
use qcn_types::{
    Address, BlockRef, Certificate, Checkpoint, CompactBlock, Height, Round, Slot, TransactionId,
    ValidatorIndex,
};

use super::records::{
    ArchivedBlock, BlockSummary, CheckpointRecord, EvidenceRecord, TransactionRecord,
};
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

/// A transaction's inclusion under a certified checkpoint.
#[derive(Clone, Debug)]
pub struct ProvenTransaction {
    /// Shows what became of it, against the last ancestor, or the certificate's checkpoint if
    /// there are none.
    pub proof: TransactionProof,
    /// Certifies the first checkpoint at or above the transaction's that has a certificate.
    pub certificate: Certificate,
    /// From the parent of the certified checkpoint down to the transaction's.
    pub ancestors: Vec<Checkpoint>,
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
        self.0.get(&keys::at_height(keys::CHECKPOINT, height))
    }

    /// The height of the checkpoint with this digest.
    ///
    /// # Errors
    /// [`ArchiveError`].
    pub fn height_of(&self, checkpoint: &Digest) -> Result<Option<Height>, ArchiveError> {
        let value = self.0.index.get(keys::of_digest(keys::CHECKPOINT_DIGEST, checkpoint))?;
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
        let found = self.0.index.range(key(Height(0))..key(before)).rev().take(limit);
        found.map(|guard| parse(&guard.value()?)).collect()
    }

    /// What became of a checkpoint's transactions, in order.
    ///
    /// # Errors
    /// [`ArchiveError`].
    pub fn outcomes(&self, height: Height) -> Result<Vec<(TransactionId, Outcome)>, ArchiveError> {
        Ok(self.0.get(&keys::at_height(keys::OUTCOMES, height))?.unwrap_or_default())
    }

    /// The certificate of a height or of the next above that has one.
    ///
    /// # Errors
    /// [`ArchiveError`].
    pub fn certificate(&self, height: Height) -> Result<Option<Certificate>, ArchiveError> {
        let key = |height| keys::at_height(keys::CERTIFICATE, height);
        let next = self.0.index.range(key(height)..=key(Height(u64::MAX))).next();
        next.map(|guard| parse(&guard.value()?)).transpose()
    }

    /// A certificate that proves the checkpoint of a height, and the checkpoints from its parent
    /// down to that one. Nothing if none is near enough, or history has a gap in between.
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
            let Some(header) =
                record.map(|record| record.header).filter(|header| header.digest() == expected)
            else {
                return Ok(None);
            };
            expected = header.parent;
            ancestors.push(header);
        }
        Ok(Some((certificate, ancestors)))
    }

    /// A block without its contents.
    ///
    /// # Errors
    /// [`ArchiveError`].
    pub fn block(&self, digest: &Digest) -> Result<Option<ArchivedBlock>, ArchiveError> {
        let inner = &self.0;
        let place: Option<(Round, ValidatorIndex)> =
            inner.get(&keys::of_digest(keys::BLOCK, digest))?;
        let Some((round, author)) = place else {
            return Ok(None);
        };
        let reference = BlockRef { round, author, digest: *digest };
        let summary: Option<BlockSummary> = inner.get(&keys::of_block(&reference))?;
        summary.map(|summary| inner.placed(summary)).transpose()
    }

    /// A block in full, with its parents in full.
    ///
    /// # Errors
    /// [`ArchiveError`].
    pub fn block_body(&self, digest: &Digest) -> Result<Option<CompactBlock>, ArchiveError> {
        self.0.bodies.get(digest.0)?.map(|bytes| parse(&bytes)).transpose()
    }

    /// Up to `limit` blocks of some rounds, by round, author and digest.
    ///
    /// # Errors
    /// [`ArchiveError`].
    pub fn blocks(
        &self,
        rounds: RangeInclusive<Round>,
        limit: usize,
    ) -> Result<Vec<ArchivedBlock>, ArchiveError> {
        let (from, to) = rounds.into_inner();
        let found = self.0.index.range(keys::at_round(from)..keys::at_round(to.next()));
        found.take(limit).map(|guard| self.0.placed(parse(&guard.value()?)?)).collect()
    }

    /// How the leader slots of some rounds were decided: whether each was skipped.
    ///
    /// # Errors
    /// [`ArchiveError`].
    pub fn decisions(
        &self,
        rounds: RangeInclusive<Round>,
        limit: usize,
    ) -> Result<Vec<(Slot, bool)>, ArchiveError> {
        let (from, to) = rounds.into_inner();
        let found = self.0.index.range(keys::decisions_at(from)..keys::decisions_at(to.next()));
        let decision = |guard: fjall::Guard| {
            let (key, value) = guard.into_inner()?;
            let author = key.get(9..11).and_then(|bytes| bytes.try_into().ok());
            let author = author.ok_or(ArchiveError::Corrupt("slot"))?;
            let round = Round(keys::number(&key)?);
            let slot = Slot { round, author: ValidatorIndex(u16::from_be_bytes(author)) };
            Ok((slot, value.first() == Some(&1)))
        };
        found.take(limit).map(decision).collect()
    }

    /// An executed transaction.
    ///
    /// # Errors
    /// [`ArchiveError`].
    pub fn transaction(
        &self,
        id: TransactionId,
    ) -> Result<Option<TransactionRecord>, ArchiveError> {
        self.0.get(&keys::of_transaction(id))
    }

    /// Up to `limit` executed transactions below a position, newest first.
    ///
    /// # Errors
    /// [`ArchiveError`].
    pub fn transactions(
        &self,
        before: Position,
        limit: usize,
    ) -> Result<Vec<TransactionRecord>, ArchiveError> {
        let key = |height| keys::at_height(keys::OUTCOMES, height);
        let mut found = Vec::new();
        for guard in self.0.index.range(key(Height(0))..=key(before.height)).rev() {
            let (key, value) = guard.into_inner()?;
            let height = Height(keys::number(&key)?);
            let outcomes: Vec<(TransactionId, Outcome)> = parse(&value)?;
            for (position, (id, _)) in outcomes.iter().enumerate().rev() {
                let at = Position { height, position: position as u32 };
                if at >= before {
                    continue;
                }
                if found.len() >= limit {
                    return Ok(found);
                }
                // Of a transaction that stands here several times one place is told.
                let record = self.transaction(*id)?;
                found.extend(record.filter(|record| record.at() == at));
            }
            if found.len() >= limit {
                break;
            }
        }
        Ok(found)
    }

    /// Up to `limit` transactions from or to an address below a position, newest first.
    ///
    /// # Errors
    /// [`ArchiveError`].
    pub fn account_transactions(
        &self,
        address: Address,
        before: Position,
        limit: usize,
    ) -> Result<Vec<TransactionRecord>, ArchiveError> {
        let key = |at: Position| keys::of_account(address, at.height, at.position);
        let start = Position { height: Height(0), position: 0 };
        let mut found = Vec::new();
        for guard in self.0.index.range(key(start)..key(before)).rev().take(limit) {
            let id = TransactionId(digest_at(&guard.value()?)?);
            found.extend(self.transaction(id)?);
        }
        Ok(found)
    }

    /// All evidence, by its digest.
    ///
    /// # Errors
    /// [`ArchiveError`].
    pub fn evidence(&self) -> Result<Vec<EvidenceRecord>, ArchiveError> {
        let found = self.0.index.prefix([keys::EVIDENCE]);
        found.map(|guard| parse(&guard.value()?)).collect()
    }

    /// One piece of evidence.
    ///
    /// # Errors
    /// [`ArchiveError`].
    pub fn evidence_of(&self, digest: &Digest) -> Result<Option<EvidenceRecord>, ArchiveError> {
        self.0.get(&keys::of_digest(keys::EVIDENCE, digest))
    }

    /// Up to `limit` of each kind whose digest begins with these bytes.
    ///
    /// # Errors
    /// [`ArchiveError`].
    pub fn search(&self, prefix: &[u8], limit: usize) -> Result<Vec<Found>, ArchiveError> {
        let mut found = Vec::new();
        for tag in [keys::CHECKPOINT_DIGEST, keys::BLOCK, keys::TRANSACTION] {
            let key = [&[tag], prefix].concat();
            for guard in self.0.index.prefix(key).take(limit) {
                let (key, value) = guard.into_inner()?;
                let digest = digest_at(key.get(1..).unwrap_or_default())?;
                found.push(match tag {
                    keys::CHECKPOINT_DIGEST => Found::Checkpoint(height_from(&value)?, digest),
                    keys::BLOCK => {
                        let (round, author) = parse(&value)?;
                        Found::Block(BlockRef { round, author, digest })
                    }
                    _ => Found::Transaction(TransactionId(digest)),
                });
            }
        }
        found.extend(self.0.addresses(prefix, limit)?.into_iter().map(Found::Account));
        Ok(found)
    }

    /// Proves what became of an executed transaction. Nothing if it is not here, or no
    /// certificate proves its checkpoint yet.
    ///
    /// # Errors
    /// [`ArchiveError`].
    pub fn transaction_proof(
        &self,
        id: TransactionId,
    ) -> Result<Option<ProvenTransaction>, ArchiveError> {
        let Some(record) = self.transaction(id)? else {
            return Ok(None);
        };
        let Some((certificate, ancestors)) = self.certified_chain(record.height)? else {
            return Ok(None);
        };
        let outcomes = self.outcomes(record.height)?;
        let leaves: Vec<Vec<u8>> =
            outcomes.iter().map(|(id, outcome)| transaction_leaf(*id, *outcome)).collect();
        let inclusion = MerkleTree::from_bytes(&leaves).prove(u64::from(record.position));
        Ok(inclusion.map(|inclusion| {
            let proof = TransactionProof { transaction: id, outcome: record.outcome, inclusion };
            ProvenTransaction { proof, certificate, ancestors }
        }))
    }
}

impl TransactionRecord {
    /// Where it stands among all transactions.
    #[must_use]
    pub const fn at(&self) -> Position {
        Position { height: self.height, position: self.position }
    }
}

impl Inner {
    fn placed(&self, summary: BlockSummary) -> Result<ArchivedBlock, ArchiveError> {
        let key = keys::of_digest(keys::PLACEMENT, &summary.reference.digest);
        Ok(ArchivedBlock { placement: self.get(&key)?, summary })
    }

    /// Addresses with this prefix, each once: after one is found, the search leaps over its
    /// transactions.
    fn addresses(&self, prefix: &[u8], limit: usize) -> Result<Vec<Address>, ArchiveError> {
        let mut addresses = Vec::new();
        let first = [&[keys::ACCOUNT], prefix].concat();
        let mut start = first.clone();
        while addresses.len() < limit {
            let Some(guard) = self.index.range(start..vec![keys::ACCOUNT + 1]).next() else {
                break;
            };
            let key = guard.key()?;
            if !key.starts_with(&first) {
                break;
            }
            let address = Address(digest_at(key.get(1..33).unwrap_or_default())?);
            start = keys::of_account(address, Height(u64::MAX), u32::MAX).to_vec();
            addresses.push(address);
        }
        Ok(addresses)
    }
}

fn height_from(bytes: &[u8]) -> Result<Height, ArchiveError> {
    let bytes = bytes.try_into().map_err(|_| ArchiveError::Corrupt("height"))?;
    Ok(Height(u64::from_be_bytes(bytes)))
}
