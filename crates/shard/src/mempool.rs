//! Transactions that wait to be proposed, and those that were and are not executed yet.
//!
//! A validator proposes what its own clients handed in. Blocks that fall below the
//! garbage-collection floor are never committed; their transactions come back here.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

use qcn_ledger::{Ledger, Refusal};
use qcn_types::{
    Address, Amount, MAX_BLOCK_TRANSACTIONS, Round, ShardId, Transaction, TransactionId,
};

/// The most transactions that wait.
pub const MAX_WAITING: usize = 50_000;

/// How far a nonce may be ahead of the account's, for clients that send several at once.
pub const MAX_NONCE_AHEAD: u64 = 256;

/// The most payload bytes in one block.
pub const MAX_PAYLOAD_BYTES: usize = 1_500_000;

/// The mempool of one validator.
///
/// Each sender's transactions wait by nonce. A sender whose next nonce waits stands once in the
/// queue of those who are ready, so that taking a block's worth costs what is taken, however
/// many wait, and a sender with many does not hold up the others.
#[derive(Debug, Default)]
pub struct Mempool {
    senders: BTreeMap<Address, Sender>,
    /// Senders whose next nonce waits, in the order in which that came about.
    ready: VecDeque<Address>,
    /// How many transactions wait.
    waiting: usize,
    /// By own block, until it is committed or falls below the floor.
    proposed: BTreeMap<Round, Vec<Transaction>>,
    /// What own committed blocks carried and the ledger has not executed yet.
    settling: Vec<Transaction>,
    /// Senders whose next transfer waits for room on a lane, by where it leads.
    parked: BTreeMap<ShardId, Vec<Address>>,
}

/// What the pool knows of one sender.
#[derive(Debug, Default)]
struct Sender {
    /// The nonce after the last one proposed; what the ledger says may be higher.
    next: u64,
    waiting: BTreeMap<u64, Transaction>,
    /// Whether it stands in the queue of those who are ready.
    is_queued: bool,
}

impl Mempool {
    /// How many transactions wait to be proposed.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.waiting
    }

    /// All transactions that were taken in and not executed.
    #[must_use]
    pub fn all(&self) -> Vec<Transaction> {
        let proposed = self.proposed.values().flatten().chain(&self.settling);
        let waiting = self.senders.values().flat_map(|sender| sender.waiting.values());
        proposed.chain(waiting).cloned().collect()
    }

    /// Whether a transaction could be proposed now. One that waits for a missing nonce is no
    /// reason to hurry.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        !self.ready.is_empty()
    }

    /// Takes in a transaction. The same one twice is taken in once.
    ///
    /// # Errors
    /// Why the ledger would refuse it; that another one waits with its nonce; that the pool is
    /// full.
    pub fn submit(&mut self, transaction: Transaction, ledger: &Ledger) -> Result<(), Refused> {
        match ledger.admit(&transaction) {
            Ok(()) => {}
            Err(Refusal::NonceTooHigh { expected })
                if transaction.body.nonce <= expected.saturating_add(MAX_NONCE_AHEAD) => {}
            Err(Refusal::LaneFull { .. }) => {}
            Err(refusal) => return Err(Refused::ByLedger(refusal)),
        }
        let (address, nonce) = (transaction.body.sender, transaction.body.nonce);
        let other = self.senders.get(&address).and_then(|sender| sender.waiting.get(&nonce));
        match other {
            Some(other) if other.body == transaction.body => return Ok(()),
            Some(other) if other.body.fee >= transaction.body.fee => {
                return Err(Refused::NonceTaken { nonce, fee: other.body.fee });
            }
            Some(_) => {}
            None if self.waiting >= MAX_WAITING => return Err(Refused::Full),
            None => self.waiting += 1,
        }
        self.senders.entry(address).or_default().waiting.insert(nonce, transaction);
        self.settle(address, ledger);
        Ok(())
    }

    /// Takes transactions for the own block of `round`, which has so many bytes already: one of
    /// each sender in turn, each sender's in order of nonces. Who would send on a full lane waits.
    pub fn take(&mut self, round: Round, ledger: &Ledger, mut bytes: usize) -> Vec<Transaction> {
        let mut taken: Vec<Transaction> = Vec::new();
        while let Some(address) = self.ready.pop_front() {
            let Some(sender) = self.senders.get_mut(&address) else {
                continue;
            };
            let next = sender.next.max(executed_nonce(ledger, &address));
            if let Some(transaction) = sender.waiting.get(&next) {
                if let Some(destination) = ledger.destination(transaction)
                    && ledger.lane_is_full(destination)
                {
                    self.parked.entry(destination).or_default().push(address);
                    continue;
                }
                let size = approximate_bytes(transaction);
                if taken.len() == MAX_BLOCK_TRANSACTIONS || bytes + size > MAX_PAYLOAD_BYTES {
                    self.ready.push_front(address);
                    break;
                }
                bytes += size;
                sender.next = next.saturating_add(1);
                taken.extend(sender.waiting.remove(&next));
                self.waiting -= 1;
            }
            sender.is_queued = false;
            self.settle(address, ledger);
        }
        if !taken.is_empty() {
            self.proposed.insert(round, taken.clone());
        }
        taken
    }

    /// An own block was committed: it will not come back.
    pub fn committed(&mut self, round: Round) {
        self.settling.extend(self.proposed.remove(&round).unwrap_or_default());
    }

    /// Own blocks were committed and only these of their transactions executed, for the epoch has
    /// ended: the others wait again.
    pub fn give_back(&mut self, executed: impl Iterator<Item = TransactionId>) {
        let executed: BTreeSet<TransactionId> = executed.collect();
        for transaction in std::mem::take(&mut self.settling) {
            if !executed.contains(&transaction.body.id()) {
                self.wait_again(transaction);
            }
        }
    }

    /// The ledger has executed transactions of these senders.
    pub fn executed(&mut self, senders: impl Iterator<Item = Address>, ledger: &Ledger) {
        for transaction in std::mem::take(&mut self.settling) {
            let (address, nonce) = (transaction.body.sender, transaction.body.nonce);
            // A transfer that found its lane full is deferred, not dropped. One that would be
            // refused anyway costs its sender nothing, and must not be proposed for ever.
            let may_follow = matches!(
                ledger.admit(&transaction),
                Ok(()) | Err(Refusal::LaneFull { .. } | Refusal::NonceTooHigh { .. })
            );
            if may_follow && ledger.destination(&transaction).is_some() {
                self.wait_again(transaction);
            }
            // Whatever became of the last one proposed, the ledger now says what comes next.
            if let Some(sender) = self.senders.get_mut(&address)
                && sender.next == nonce.saturating_add(1)
            {
                sender.next = 0;
            }
            self.settle(address, ledger);
        }
        for address in senders {
            self.settle(address, ledger);
        }
        self.unpark(ledger);
    }

    fn wait_again(&mut self, transaction: Transaction) {
        let (address, nonce) = (transaction.body.sender, transaction.body.nonce);
        let sender = self.senders.entry(address).or_default();
        sender.next = 0;
        if let Entry::Vacant(place) = sender.waiting.entry(nonce) {
            place.insert(transaction);
            self.waiting += 1;
        }
    }

    /// Those who waited for room on a lane stand in the queue again.
    fn unpark(&mut self, ledger: &Ledger) {
        let open = self.parked.keys().copied().filter(|lane| !ledger.lane_is_full(*lane));
        for lane in open.collect::<Vec<_>>() {
            for address in self.parked.remove(&lane).unwrap_or_default() {
                if let Some(sender) = self.senders.get_mut(&address) {
                    sender.is_queued = false;
                }
                self.settle(address, ledger);
            }
        }
    }

    /// Own blocks at or below the floor will never be committed: their transactions wait again.
    pub fn raise_floor(&mut self, floor: Round, ledger: &Ledger) {
        while let Some(entry) = self.proposed.first_entry() {
            if *entry.key() > floor {
                break;
            }
            for transaction in entry.remove() {
                let address = transaction.body.sender;
                self.wait_again(transaction);
                self.settle(address, ledger);
            }
        }
    }

    /// The ledger is another one: it was synchronised.
    pub fn synchronised(&mut self, ledger: &Ledger) {
        let senders: Vec<Address> = self.senders.keys().copied().collect();
        for address in senders {
            self.settle(address, ledger);
        }
        self.unpark(ledger);
    }

    /// Drops what the ledger has gone past, queues the sender if its next nonce waits, and
    /// forgets it if there is nothing left to know.
    fn settle(&mut self, address: Address, ledger: &Ledger) {
        let Some(sender) = self.senders.get_mut(&address) else {
            return;
        };
        let executed = executed_nonce(ledger, &address);
        while let Some(entry) = sender.waiting.first_entry() {
            if *entry.key() >= executed {
                break;
            }
            entry.remove();
            self.waiting -= 1;
        }
        let next = sender.next.max(executed);
        if !sender.is_queued && sender.waiting.contains_key(&next) {
            sender.is_queued = true;
            self.ready.push_back(address);
        }
        if sender.waiting.is_empty() && sender.next <= executed && !sender.is_queued {
            self.senders.remove(&address);
        }
    }
}

fn executed_nonce(ledger: &Ledger, address: &Address) -> u64 {
    ledger.account(address).map_or(0, |account| account.nonce)
}

/// Why a transaction was not taken in.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Refused {
    /// The ledger would refuse it.
    #[error(transparent)]
    ByLedger(Refusal),
    /// Another transaction of the sender waits with this nonce.
    #[error(
        "another transaction with nonce {nonce} waits already: pay more than its fee of {fee} to \
         replace it, or use the next nonce"
    )]
    NonceTaken {
        /// The nonce.
        nonce: u64,
        /// What the other pays.
        fee: Amount,
    },
    /// Too many wait already.
    #[error("{MAX_WAITING} transactions wait already: try again later")]
    Full,
    /// Nothing that is handed in here now would ever be executed.
    #[error("the shard has closed its epoch and opens the next: hand it in again in a moment")]
    Ended,
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
