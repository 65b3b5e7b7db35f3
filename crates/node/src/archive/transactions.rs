//! Reading transactions: a run tells where one stands, and everything else is put together from
//! the checkpoint's outcomes and the block that carried it.

use qcn_crypto::MerkleTree;
use qcn_ledger::{Outcome, TransactionProof};
use qcn_light::transaction_leaf;
use qcn_types::{Address, BlockRef, Certificate, Checkpoint, Height, TransactionId};

use super::bodies::{self, Place};
use super::records::{ArrivalRecord, CheckpointRecord, TransactionRecord};
use super::{Archive, ArchiveError, Inner, Position, keys, parse};

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

impl Archive {
    /// An executed transaction.
    ///
    /// # Errors
    /// [`ArchiveError`].
    pub fn transaction(
        &self,
        id: TransactionId,
    ) -> Result<Option<TransactionRecord>, ArchiveError> {
        let inner = self.inner()?;
        let Some(at) = inner.runs.last_place(id)? else {
            return Ok(None);
        };
        let record = Page::new(&inner).record(at)?;
        Ok(record.filter(|record| record.id == id))
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
        let inner = self.inner()?;
        let mut page = Page::new(&inner);
        let mut found = Vec::new();
        for guard in inner.index.range(key(Height(0))..=key(before.height)).rev() {
            let (key, value) = guard.into_inner()?;
            let height = Height(keys::number(&key)?);
            let outcomes: Vec<(TransactionId, Outcome)> = parse(&value)?;
            for position in (0..outcomes.len() as u32).rev() {
                let at = Position { height, position };
                if at >= before {
                    continue;
                }
                if found.len() >= limit {
                    return Ok(found);
                }
                found.extend(page.told(at)?);
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
        mut before: Position,
        limit: usize,
    ) -> Result<Vec<TransactionRecord>, ArchiveError> {
        let inner = self.inner()?;
        let kept = inner.kept()?;
        let mut page = Page::new(&inner);
        let mut found = Vec::new();
        while found.len() < limit {
            let places = inner.runs.places(address, before, limit - found.len())?;
            let Some(last) = places.last().copied() else { break };
            // What is lower was pruned.
            for at in places.into_iter().take_while(|at| at.height >= kept) {
                found.extend(page.told(at)?.filter(|record| record.concerns(address)));
            }
            if last.height < kept {
                break;
            }
            before = last;
        }
        Ok(found)
    }

    /// What became of a transaction of another shard here, or of one of this shard that came back.
    ///
    /// # Errors
    /// [`ArchiveError`].
    pub fn arrival(&self, id: TransactionId) -> Result<Option<ArrivalRecord>, ArchiveError> {
        self.inner()?.get(&keys::of_digest(keys::ARRIVAL, &id.0))
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

    fn concerns(&self, address: Address) -> bool {
        self.sender == address || self.receiver() == Some(address)
    }
}

/// Reads several transactions, which often stand under the same checkpoint.
struct Page<'a> {
    inner: &'a Inner,
    under: Option<Under>,
}

/// What stands under a checkpoint.
struct Under {
    height: Height,
    outcomes: Vec<(TransactionId, Outcome)>,
    /// The blocks with the position of the first transaction of each.
    blocks: Vec<(u32, BlockRef, Place)>,
}

impl<'a> Page<'a> {
    const fn new(inner: &'a Inner) -> Self {
        Self { inner, under: None }
    }

    /// The transaction at a position, unless another place is the one that is told of it.
    fn told(&mut self, at: Position) -> Result<Option<TransactionRecord>, ArchiveError> {
        let Some(record) = self.record(at)? else {
            return Ok(None);
        };
        let is_told = !matches!(record.outcome, Outcome::Skipped(_))
            || self.inner.runs.last_place(record.id)? == Some(at);
        Ok(Some(record).filter(|_| is_told))
    }

    /// The transaction at a position. Nothing if it was pruned, or its block is not here.
    fn record(&mut self, at: Position) -> Result<Option<TransactionRecord>, ArchiveError> {
        if self.under.as_ref().is_none_or(|under| under.height != at.height) {
            self.under = Under::read(self.inner, at.height)?;
        }
        let Some(under) = &self.under else {
            return Ok(None);
        };
        let Some(outcome) = under.outcomes.get(at.position as usize) else {
            return Ok(None);
        };
        let after = under.blocks.partition_point(|(first, ..)| *first <= at.position);
        let block = after.checked_sub(1).and_then(|last| under.blocks.get(last));
        let Some((first, block, place)) = block else {
            return Ok(None);
        };
        let number = at.position - first;
        let transaction = bodies::read_transaction(&self.inner.bodies_folder, place, number)?;
        let transaction = transaction.filter(|transaction| transaction.body.id() == outcome.0);
        let at = (at.height, at.position);
        Ok(transaction.map(|one| TransactionRecord::of(&one, *outcome, *block, at)))
    }
}

impl Under {
    fn read(inner: &Inner, height: Height) -> Result<Option<Self>, ArchiveError> {
        let record: Option<CheckpointRecord> =
            inner.get(&keys::at_height(keys::CHECKPOINT, height))?;
        let Some(record) = record else {
            return Ok(None);
        };
        let outcomes = inner.get(&keys::at_height(keys::OUTCOMES, height))?.unwrap_or_default();
        let mut blocks = Vec::with_capacity(record.blocks.len());
        let mut first = 0;
        for block in &record.blocks {
            let Some((_, block, place)) = inner.block_place(&block.digest)? else {
                return Ok(None);
            };
            blocks.push((first, block, place));
            first += place.transactions;
        }
        Ok(Some(Self { height, outcomes, blocks }))
    }
}
