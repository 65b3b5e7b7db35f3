//! Transactions that wait to be proposed, and those that were and are not executed yet.
//!
//! A validator proposes what its own clients handed in. Blocks that fall below the
//! garbage-collection floor are never committed; their transactions come back here.

use std::collections::{BTreeMap, VecDeque};

use qcn_ledger::{Ledger, Refusal};
use qcn_types::{Address, MAX_BLOCK_TRANSACTIONS, Round, Transaction};

/// The most transactions that wait.
pub const MAX_WAITING: usize = 50_000;

/// How far a nonce may be ahead of the account's, for clients that send several at once.
pub const MAX_NONCE_AHEAD: u64 = 256;

/// The most payload bytes in one block.
pub const MAX_PAYLOAD_BYTES: usize = 1_500_000;

/// The mempool of one validator.
#[derive(Debug, Default)]
pub struct Mempool {
    /// In order of arrival.
    waiting: VecDeque<Transaction>,
    /// By own block, until it is committed or falls below the floor.
    proposed: BTreeMap<Round, Vec<Transaction>>,
    /// The nonce after the last one proposed, by sender.
    next_nonce: BTreeMap<Address, u64>,
}

impl Mempool {
    /// How many transactions wait to be proposed.
    #[must_use]
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Takes in a transaction.
    ///
    /// # Errors
    /// Why the ledger would refuse it; nothing if the pool is full.
    pub fn submit(&mut self, transaction: Transaction, ledger: &Ledger) -> Result<(), Refused> {
        match ledger.admit(&transaction) {
            Ok(()) => {}
            Err(Refusal::NonceTooHigh { expected })
                if transaction.body.nonce <= expected.saturating_add(MAX_NONCE_AHEAD) => {}
            Err(refusal) => return Err(Refused::ByLedger(refusal)),
        }
        if self.waiting.len() >= MAX_WAITING {
            return Err(Refused::Full);
        }
        self.waiting.push_back(transaction);
        Ok(())
    }

    /// Takes transactions for the own block of `round`: in order of arrival, each sender's in
    /// order of nonces.
    pub fn take(&mut self, round: Round, ledger: &Ledger) -> Vec<Transaction> {
        let mut taken: Vec<Transaction> = Vec::new();
        let mut bytes = 0;
        // As long as a pass finds a nonce that another transaction was waiting for.
        loop {
            let before = taken.len();
            for transaction in std::mem::take(&mut self.waiting) {
                let size = approximate_bytes(&transaction);
                let room =
                    taken.len() < MAX_BLOCK_TRANSACTIONS && bytes + size <= MAX_PAYLOAD_BYTES;
                let sender = transaction.body.sender;
                let executed = ledger.account(&sender).map_or(0, |account| account.nonce);
                let next =
                    self.next_nonce.get(&sender).map_or(executed, |next| executed.max(*next));
                if transaction.body.nonce < executed {
                    continue;
                }
                if room && transaction.body.nonce == next {
                    bytes += size;
                    self.next_nonce.insert(sender, next.saturating_add(1));
                    taken.push(transaction);
                } else {
                    self.waiting.push_back(transaction);
                }
            }
            if taken.len() == before || self.waiting.is_empty() {
                break;
            }
        }
        if !taken.is_empty() {
            self.proposed.insert(round, taken.clone());
        }
        taken
    }

    /// An own block was committed.
    pub fn committed(&mut self, round: Round) {
        let Some(transactions) = self.proposed.remove(&round) else {
            return;
        };
        for transaction in transactions {
            let sender = transaction.body.sender;
            let last = self.next_nonce.get(&sender) == Some(&(transaction.body.nonce + 1));
            if last {
                self.next_nonce.remove(&sender);
            }
        }
    }

    /// Own blocks at or below the floor will never be committed: their transactions wait again,
    /// before all others.
    pub fn raise_floor(&mut self, floor: Round) {
        while let Some(entry) = self.proposed.first_entry() {
            if *entry.key() > floor {
                break;
            }
            for transaction in entry.remove().into_iter().rev() {
                self.next_nonce.remove(&transaction.body.sender);
                self.waiting.push_front(transaction);
            }
        }
    }
}

/// Why a transaction was not taken in.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Refused {
    /// The ledger would refuse it.
    #[error(transparent)]
    ByLedger(Refusal),
    /// Too many wait already.
    #[error("{MAX_WAITING} transactions wait already: try again later")]
    Full,
}

fn approximate_bytes(transaction: &Transaction) -> usize {
    const BODY_BYTES: usize = 2_048;
    let rotation = match &transaction.body.action {
        qcn_types::Action::Transfer { .. } => 0,
        qcn_types::Action::RotateKey { key, possession } => key.as_bytes().len() + possession.len(),
    };
    let envelope = transaction.key.as_bytes().len() + transaction.signature.len();
    envelope + rotation + BODY_BYTES / 8
}

#[cfg(test)]
mod tests;
