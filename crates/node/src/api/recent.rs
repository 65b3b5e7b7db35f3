//! What was handed in here a while ago and may be asked for.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::{Duration, Instant};

use qcn_types::{Address, Height, Transaction, TransactionId};

use crate::view::SubmitError;

/// How many of the newest submissions that were taken in are remembered.
const MAX_TAKEN: usize = 65_536;

/// How many of the newest refusals are remembered. They cost their sender nothing, so they have a
/// place of their own and push out none that was taken in.
const MAX_REFUSED: usize = 4_096;

/// How many executed submissions wait for their certificate, for the measurement of latency.
const MAX_UNCERTIFIED: usize = 65_536;

/// How long a submission counts for its sender's next nonce.
const NONCE_MEMORY: Duration = Duration::from_secs(30);

/// What became of a submission before it was executed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Submitted {
    Pending,
    Refused(SubmitError),
}

/// What is remembered of a transaction.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    pub id: TransactionId,
    pub sender: Address,
    pub nonce: u64,
}

impl Entry {
    pub fn of(transaction: &Transaction) -> Self {
        let body = &transaction.body;
        Self { id: body.id(), sender: body.sender, nonce: body.nonce }
    }
}

/// The newest submissions.
#[derive(Default)]
pub struct Recent {
    /// When each was first taken in, until it is executed.
    taken: HashMap<TransactionId, Option<Instant>>,
    nonces: HashMap<Address, BTreeMap<u64, Instant>>,
    /// The oldest first; what is forgotten here is forgotten above.
    order: VecDeque<Entry>,
    refused: HashMap<TransactionId, SubmitError>,
    /// The oldest first; some may have been taken in since.
    refused_order: VecDeque<TransactionId>,
    /// Executed and not yet certified.
    uncertified: VecDeque<(Height, Instant)>,
}

impl Recent {
    /// Remembers what was taken in, also if it was refused before.
    pub fn taken_in(&mut self, entries: impl Iterator<Item = Entry>) {
        let now = Instant::now();
        for entry in entries {
            self.refused.remove(&entry.id);
            self.nonces.entry(entry.sender).or_default().insert(entry.nonce, now);
            // Handed in again after it was executed, it is not measured again.
            self.taken.entry(entry.id).or_insert_with(|| {
                self.order.push_back(entry);
                Some(now)
            });
        }
        while self.order.len() > MAX_TAKEN {
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        let Some(entry) = self.order.pop_front() else {
            return;
        };
        self.taken.remove(&entry.id);
        if let Some(nonces) = self.nonces.get_mut(&entry.sender) {
            nonces.remove(&entry.nonce);
            if nonces.is_empty() {
                self.nonces.remove(&entry.sender);
            }
        }
    }

    /// Remembers why one was not taken in.
    pub fn refused(&mut self, id: TransactionId, refusal: SubmitError) {
        if self.taken.contains_key(&id) {
            // Handed in twice: the first one is on its way.
            return;
        }
        if self.refused.insert(id, refusal).is_none() {
            self.refused_order.push_back(id);
        }
        if self.refused_order.len() > MAX_REFUSED
            && let Some(oldest) = self.refused_order.pop_front()
        {
            self.refused.remove(&oldest);
        }
    }

    /// What became of one, as far as that is remembered.
    pub fn submitted(&self, id: TransactionId) -> Option<Submitted> {
        if self.taken.contains_key(&id) {
            return Some(Submitted::Pending);
        }
        self.refused.get(&id).cloned().map(Submitted::Refused)
    }

    /// The nonce after those that are executed or on their way from here without a gap.
    pub fn next_nonce(&self, sender: Address, executed: u64) -> u64 {
        let Some(nonces) = self.nonces.get(&sender) else {
            return executed;
        };
        let mut next = executed;
        for (nonce, since) in nonces.range(executed..) {
            if *nonce != next || since.elapsed() > NONCE_MEMORY {
                break;
            }
            next = next.saturating_add(1);
        }
        next
    }

    /// Begins to wait for the certificate of what was executed.
    pub fn executed(&mut self, height: Height, ids: impl Iterator<Item = TransactionId>) {
        if self.taken.is_empty() {
            return;
        }
        for id in ids {
            if let Some(since) = self.taken.get_mut(&id).and_then(Option::take)
                && self.uncertified.len() < MAX_UNCERTIFIED
            {
                self.uncertified.push_back((height, since));
            }
        }
    }

    /// How long each took from here that is final now.
    pub fn certified(&mut self, height: Height) -> Vec<Duration> {
        let mut latencies = Vec::new();
        while let Some((_, since)) = self.uncertified.front().filter(|(at, _)| *at <= height) {
            latencies.push(since.elapsed());
            self.uncertified.pop_front();
        }
        latencies
    }
}

#[cfg(test)]
mod tests {
    use qcn_crypto::Digest;

    use super::*;

    fn entry(number: u64) -> Entry {
        let mut name = [0; 32];
        name[..8].copy_from_slice(&number.to_be_bytes());
        let sender = Address(Digest([1; 32]));
        Entry { id: TransactionId(Digest(name)), sender, nonce: number }
    }

    fn is_refused(recent: &Recent, number: u64) -> bool {
        matches!(recent.submitted(entry(number).id), Some(Submitted::Refused(_)))
    }

    /// Given a transaction that waits.
    /// When more are refused than are remembered,
    /// then the oldest refusals are forgotten and the one that waits is not.
    #[test]
    fn refusals_push_out_refusals_only() {
        let mut recent = Recent::default();
        recent.taken_in([entry(0)].into_iter());
        let many = MAX_TAKEN as u64 + 1;
        for number in 1..=many {
            recent.refused(entry(number).id, SubmitError::Busy);
        }
        assert_eq!(recent.submitted(entry(0).id), Some(Submitted::Pending));
        assert_eq!(recent.next_nonce(entry(0).sender, 0), 1);
        let kept = many - MAX_REFUSED as u64;
        assert!(!is_refused(&recent, kept) && is_refused(&recent, kept + 1));
        assert_eq!((recent.refused.len(), recent.refused_order.len()), (MAX_REFUSED, MAX_REFUSED));
    }

    #[test]
    fn the_oldest_that_were_taken_in_are_forgotten_with_all_that_belongs_to_them() {
        let mut recent = Recent::default();
        recent.taken_in((0..MAX_TAKEN as u64 + 3).map(entry));
        assert_eq!((recent.taken.len(), recent.order.len()), (MAX_TAKEN, MAX_TAKEN));
        assert_eq!(recent.submitted(entry(2).id), None);
        assert_eq!(recent.submitted(entry(3).id), Some(Submitted::Pending));
        assert_eq!(recent.nonces[&entry(0).sender].len(), MAX_TAKEN);
    }

    #[test]
    fn what_is_taken_in_after_all_waits_and_is_measured_once() {
        let mut recent = Recent::default();
        recent.refused(entry(7).id, SubmitError::Busy);
        assert!(is_refused(&recent, 7));
        recent.taken_in([entry(7)].into_iter());
        recent.refused(entry(7).id, SubmitError::Busy);
        assert_eq!(recent.submitted(entry(7).id), Some(Submitted::Pending));
        for _ in 0..2 {
            recent.executed(Height(3), [entry(7).id].into_iter());
            recent.taken_in([entry(7)].into_iter());
        }
        assert!(recent.certified(Height(2)).is_empty());
        assert_eq!(recent.certified(Height(3)).len(), 1);
    }
}
