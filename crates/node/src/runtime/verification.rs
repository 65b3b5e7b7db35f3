//! Signature checks of blocks, on all cores, with a fair share for each peer.
//!
//! Checking is what a validator spends most of its time on, and a peer may send blocks that take
//! a second each. So each peer has a queue of its own, and the next block is one of the peer
//! that was served least (start-time fair queueing, Goyal, Vin and Cheng 1996): who sends more
//! than its share waits for itself alone.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use qcn_types::ValidatorIndex;

type Check = Box<dyn FnOnce() + Send>;

/// The checks that one validator's core asked for.
#[derive(Clone)]
pub(super) struct Verification(Arc<Mutex<State>>);

struct State {
    waiting: FairQueue<Check>,
    running: usize,
    most_running: usize,
}

impl Verification {
    /// At most so many checks run at once.
    pub(super) fn new(most_running: usize) -> Self {
        let waiting = FairQueue::default();
        Self(Arc::new(Mutex::new(State { waiting, running: 0, most_running })))
    }

    /// Runs a check when it is the peer's turn. What it costs is in bytes, with which the number
    /// of signatures grows.
    pub(super) fn submit(
        &self,
        from: ValidatorIndex,
        cost: usize,
        check: impl FnOnce() + Send + 'static,
    ) {
        let mut state = self.state();
        state.waiting.push(from, cost, Box::new(check));
        if state.running < state.most_running {
            state.running += 1;
            drop(state);
            self.run_one();
        }
    }

    /// Each check is a task of its own, so that validators that share the pool take turns.
    fn run_one(&self) {
        let queue = self.clone();
        rayon::spawn(move || {
            let next = queue.state().waiting.pop();
            if let Some(check) = next {
                check();
            }
            let mut state = queue.state();
            if state.waiting.is_empty() {
                state.running -= 1;
            } else {
                drop(state);
                queue.run_one();
            }
        });
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// First in, first out for each peer; between peers, whoever had the least.
struct FairQueue<T> {
    peers: BTreeMap<ValidatorIndex, Peer<T>>,
    /// The service that the peer served last had had before.
    clock: u64,
}

struct Peer<T> {
    /// What it was served, in virtual time.
    served: u64,
    items: VecDeque<(usize, T)>,
}

impl<T> Default for FairQueue<T> {
    fn default() -> Self {
        Self { peers: BTreeMap::new(), clock: 0 }
    }
}

impl<T> FairQueue<T> {
    fn is_empty(&self) -> bool {
        self.peers.values().all(|peer| peer.items.is_empty())
    }

    fn push(&mut self, from: ValidatorIndex, cost: usize, item: T) {
        let new = Peer { served: self.clock, items: VecDeque::new() };
        let peer = self.peers.entry(from).or_insert(new);
        if peer.items.is_empty() {
            // Who was away saves nothing up.
            peer.served = peer.served.max(self.clock);
        }
        peer.items.push_back((cost, item));
    }

    fn pop(&mut self) -> Option<T> {
        let waiting = self.peers.values_mut().filter(|peer| !peer.items.is_empty());
        let next = waiting.min_by_key(|peer| peer.served)?;
        let (cost, item) = next.items.pop_front()?;
        self.clock = next.served;
        next.served = next.served.saturating_add(cost as u64);
        Some(item)
    }
}

#[cfg(test)]
mod tests;
