//! What all requests share, and the task that follows the node.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use qcn_types::{Address, Height, Transaction, TransactionId, ValidatorIndex};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{Semaphore, broadcast, watch};

use super::problem::Problem;
use super::{ApiConfig, Metrics};
use crate::archive::Archive;
use crate::view::{Notice, SubmitError, View};

/// How many of the newest submissions are remembered.
const MAX_RECENT: usize = 65_536;

/// How many executed submissions wait for their certificate, for the measurement of latency.
const MAX_UNCERTIFIED: usize = 65_536;

/// How long a submission counts for its sender's next nonce.
const NONCE_MEMORY: Duration = Duration::from_secs(30);

/// What all requests share.
pub struct Shared {
    pub config: ApiConfig,
    pub view: View,
    pub archive: Archive,
    pub metrics: Metrics,
    pub closing: watch::Receiver<bool>,
    /// One permit for each subscriber to events.
    pub subscribers: Arc<Semaphore>,
    /// One permit for each batch of transactions that is read.
    pub batches: Arc<Semaphore>,
    recent: Mutex<Recent>,
    activity: Mutex<Vec<Activity>>,
}

/// What was seen of a validator since the node started.
#[derive(Clone, Copy, Default, Debug)]
pub struct Activity {
    pub blocks: u64,
    pub last_round: Option<u64>,
    pub led: u64,
    pub skipped: u64,
}

/// What became of a submission before it was executed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Submitted {
    Pending,
    Refused(SubmitError),
}

impl Shared {
    pub fn new(
        config: ApiConfig,
        view: View,
        archive: Archive,
        metrics: Metrics,
        closing: watch::Receiver<bool>,
    ) -> Self {
        let members = view.keys().committee().len();
        Self {
            subscribers: Arc::new(Semaphore::new(config.limits.subscribers)),
            batches: Arc::new(Semaphore::new(super::submit::MAX_BATCHES_AT_ONCE)),
            recent: Mutex::default(),
            activity: Mutex::new(vec![Activity::default(); members]),
            config,
            view,
            archive,
            metrics,
            closing,
        }
    }

    /// The highest height that is final.
    pub fn final_height(&self) -> Height {
        Height(self.view.status().certified_height).max(self.archive.certified_height())
    }

    pub fn activity(&self) -> Vec<Activity> {
        lock(&self.activity).clone()
    }

    /// Remembers what was said to a submission.
    pub fn remember(&self, entry: Entry, said: Submitted) {
        lock(&self.recent).remember(entry, said);
    }

    pub fn submitted(&self, id: TransactionId) -> Option<Submitted> {
        lock(&self.recent).states.get(&id).cloned()
    }

    /// The nonce after those that are executed or on their way from here without a gap.
    pub fn next_nonce(&self, sender: Address, executed: u64) -> u64 {
        lock(&self.recent).next_nonce(sender, executed)
    }
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
struct Recent {
    states: HashMap<TransactionId, Submitted>,
    /// When each that was taken in was, until it is executed.
    since: HashMap<TransactionId, Instant>,
    nonces: HashMap<Address, BTreeMap<u64, Instant>>,
    /// The oldest first; what is forgotten here is forgotten above.
    order: VecDeque<Entry>,
    /// Executed and not yet certified.
    uncertified: VecDeque<(Height, Instant)>,
}

impl Recent {
    fn remember(&mut self, entry: Entry, said: Submitted) {
        if said == Submitted::Pending {
            let now = Instant::now();
            self.since.entry(entry.id).or_insert(now);
            self.nonces.entry(entry.sender).or_default().insert(entry.nonce, now);
        } else if self.states.get(&entry.id) == Some(&Submitted::Pending) {
            // Handed in twice: the first one is on its way.
            return;
        }
        if self.states.insert(entry.id, said).is_none() {
            self.order.push_back(entry);
        }
        while self.order.len() > MAX_RECENT {
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        let Some(entry) = self.order.pop_front() else {
            return;
        };
        self.states.remove(&entry.id);
        self.since.remove(&entry.id);
        if let Some(nonces) = self.nonces.get_mut(&entry.sender) {
            nonces.remove(&entry.nonce);
            if nonces.is_empty() {
                self.nonces.remove(&entry.sender);
            }
        }
    }

    fn next_nonce(&self, sender: Address, executed: u64) -> u64 {
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

    fn executed(&mut self, height: Height, ids: impl Iterator<Item = TransactionId>) {
        if self.since.is_empty() {
            return;
        }
        for id in ids {
            if let Some(since) = self.since.remove(&id)
                && self.uncertified.len() < MAX_UNCERTIFIED
            {
                self.uncertified.push_back((height, since));
            }
        }
    }

    fn certified(&mut self, height: Height) -> Vec<Duration> {
        let mut latencies = Vec::new();
        while let Some((_, since)) = self.uncertified.front().filter(|(at, _)| *at <= height) {
            latencies.push(since.elapsed());
            self.uncertified.pop_front();
        }
        latencies
    }
}

/// Follows what the node says: counts for the validators' page, and measures latency.
pub async fn observe(shared: Arc<Shared>, mut notices: broadcast::Receiver<Notice>) {
    loop {
        match notices.recv().await {
            Ok(notice) => note(&shared, &notice),
            Err(RecvError::Lagged(missed)) => {
                tracing::warn!(missed, "the counts of the validators' activity miss some blocks");
            }
            Err(RecvError::Closed) => return,
        }
    }
}

fn note(shared: &Shared, notice: &Notice) {
    match notice {
        Notice::Block { block, .. } => shared.count(block.author, |activity| {
            activity.blocks += 1;
            activity.last_round = activity.last_round.max(Some(block.round.0));
        }),
        Notice::Skipped { author, .. } => shared.count(*author, |activity| activity.skipped += 1),
        Notice::Executed { height, leaders, outcomes, .. } => {
            for leader in leaders {
                shared.count(leader.author, |activity| activity.led += 1);
            }
            lock(&shared.recent).executed(*height, outcomes.iter().map(|(id, _)| *id));
        }
        Notice::Certified { height, .. } => {
            let latencies = lock(&shared.recent).certified(*height);
            for latency in latencies {
                shared.metrics.finality_seconds.observe(latency.as_secs_f64());
            }
        }
        Notice::Evidence(_) | Notice::Isolated(_) | Notice::Peer { .. } => {}
    }
}

impl Shared {
    fn count(&self, validator: ValidatorIndex, change: impl FnOnce(&mut Activity)) {
        if let Some(activity) = lock(&self.activity).get_mut(validator.position()) {
            change(activity);
        }
    }
}

/// Answers a question that may read the disk, beside the async threads.
pub async fn ask<T: Send + 'static>(
    shared: Arc<Shared>,
    question: impl FnOnce(&Shared) -> Result<T, Problem> + Send + 'static,
) -> Result<T, Problem> {
    let answer = tokio::task::spawn_blocking(move || question(&shared)).await;
    answer.unwrap_or_else(|_| Err(Problem::unavailable("failed", "the node failed to answer")))
}

/// Milliseconds since the Unix epoch.
pub fn now_unix_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing that holds one of these locks panics halfway through a change.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
