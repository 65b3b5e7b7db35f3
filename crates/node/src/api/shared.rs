//! What all requests share, and the tasks that follow the shards of the node.

use std::collections::VecDeque;
use std::ops::Deref;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use qcn_types::{Address, Height, ShardId, TransactionId, ValidatorIndex};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{Semaphore, broadcast, watch};

use super::problem::Problem;
use super::recent::Recent;
pub use super::recent::{Entry, Submitted};
use super::{ApiConfig, Hosted, Metrics};
use crate::archive::Archive;
use crate::view::{Notice, PeerBoard, PeerStatus, SubmitError, View};

/// What all requests share: those of one shard of this node, and with it of all others.
pub struct Shared {
    hub: Arc<Hub>,
    at: usize,
}

impl Deref for Shared {
    type Target = Chain;

    fn deref(&self) -> &Chain {
        &self.hub.chains[self.at]
    }
}

impl Shared {
    pub const fn hub(&self) -> &Arc<Hub> {
        &self.hub
    }

    /// The shard of an address, if this node hosts it.
    pub fn of_address(&self, address: &Address) -> Result<Self, Problem> {
        self.hub.of_address(address)
    }
}

/// All shards of this node.
pub struct Hub {
    pub config: Arc<ApiConfig>,
    pub chains: Vec<Chain>,
    /// Of the node besides its shards; of its only shard as well.
    pub metrics: Metrics,
    pub board: PeerBoard,
}

impl Hub {
    pub fn new(
        config: ApiConfig,
        hosted: Vec<Hosted>,
        metrics: Metrics,
        board: PeerBoard,
        closing: &watch::Receiver<bool>,
    ) -> Self {
        let config = Arc::new(config);
        let subscribers = Arc::new(Semaphore::new(config.limits.subscribers));
        let batches = Arc::new(Semaphore::new(super::submit::MAX_BATCHES_AT_ONCE));
        let chain = |hosted: Hosted| Chain {
            config: Arc::clone(&config),
            subscribers: Arc::clone(&subscribers),
            batches: Arc::clone(&batches),
            recent: Mutex::default(),
            activity: Mutex::new(vec![Activity::default(); hosted.view.keys().committee().len()]),
            throughput: Mutex::default(),
            view: hosted.view,
            archive: hosted.archive,
            metrics: hosted.metrics,
            closing: closing.clone(),
        };
        let chains = hosted.into_iter().map(chain).collect();
        Self { config, chains, metrics, board }
    }

    /// What requests about each shard of this node share, in the order of shards.
    pub fn shared(self: &Arc<Self>) -> impl Iterator<Item = Shared> + '_ {
        (0..self.chains.len()).map(|at| Shared { hub: Arc::clone(self), at })
    }

    pub fn chain(&self, shard: ShardId) -> Option<&Chain> {
        self.chains.iter().find(|chain| chain.view.shard() == shard)
    }

    /// What requests about a shard share, if this node hosts it.
    pub fn of_shard(self: &Arc<Self>, shard: ShardId) -> Result<Shared, Problem> {
        let found = self.shared().find(|shared| shared.view.shard() == shard);
        found.ok_or_else(|| super::shards::not_hosted(self, shard))
    }

    /// The shard of an address, if this node hosts it.
    pub fn of_address(self: &Arc<Self>, address: &Address) -> Result<Shared, Problem> {
        match &self.config.layout {
            Some(layout) => self.of_shard(layout.shard_of(address)),
            // There is but one.
            None => self.shared().next().ok_or_else(|| super::shards::no_shard(self)),
        }
    }

    /// The connections to the other validators.
    pub fn peers(&self) -> Vec<PeerStatus> {
        let shown = self.chains.first().map(|chain| chain.view.peers());
        shown.unwrap_or_else(|| self.board.get())
    }
}

/// One shard of this node.
pub struct Chain {
    pub config: Arc<ApiConfig>,
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
    throughput: Mutex<Throughput>,
}

/// What was seen of a validator since the node started.
#[derive(Clone, Copy, Default, Debug)]
pub struct Activity {
    pub blocks: u64,
    pub last_round: Option<u64>,
    pub led: u64,
    pub skipped: u64,
}

impl Chain {
    /// The highest height that is final.
    pub fn final_height(&self) -> Height {
        Height(self.view.status().certified_height).max(self.archive.certified_height())
    }

    /// Transactions executed per second, over the last few seconds.
    pub fn transactions_per_second(&self) -> f64 {
        lock(&self.throughput).per_second(Instant::now())
    }

    pub fn activity(&self) -> Vec<Activity> {
        lock(&self.activity).clone()
    }

    /// Remembers submissions that were taken in.
    pub fn remember_taken(&self, entries: impl Iterator<Item = Entry>) {
        lock(&self.recent).taken_in(entries);
    }

    /// Remembers why a submission was not.
    pub fn remember_refused(&self, id: TransactionId, refusal: SubmitError) {
        lock(&self.recent).refused(id, refusal);
    }

    pub fn submitted(&self, id: TransactionId) -> Option<Submitted> {
        lock(&self.recent).submitted(id)
    }

    /// The nonce after those that are executed or on their way from here without a gap.
    pub fn next_nonce(&self, sender: Address, executed: u64) -> u64 {
        lock(&self.recent).next_nonce(sender, executed)
    }
}

/// Follows what a shard of the node says: counts for the validators' page, and measures latency.
pub async fn observe(shared: Shared, mut notices: broadcast::Receiver<Notice>) {
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

fn note(chain: &Chain, notice: &Notice) {
    match notice {
        Notice::Block { block, .. } => chain.count(block.author, |activity| {
            activity.blocks += 1;
            activity.last_round = activity.last_round.max(Some(block.round.0));
        }),
        Notice::Skipped { author, .. } => chain.count(*author, |activity| activity.skipped += 1),
        Notice::Executed { height, leaders, outcomes, .. } => {
            for leader in leaders {
                chain.count(leader.author, |activity| activity.led += 1);
            }
            lock(&chain.throughput).add(Instant::now(), outcomes.len() as u64);
            lock(&chain.recent).executed(*height, outcomes.iter().map(|(id, _)| *id));
        }
        Notice::Certified { height, .. } => {
            let latencies = lock(&chain.recent).certified(*height);
            for latency in latencies {
                chain.metrics.finality_seconds.observe(latency.as_secs_f64());
            }
        }
        Notice::Evidence(_) | Notice::Isolated(_) | Notice::Peer { .. } => {}
    }
}

impl Chain {
    fn count(&self, validator: ValidatorIndex, change: impl FnOnce(&mut Activity)) {
        if let Some(activity) = lock(&self.activity).get_mut(validator.position()) {
            change(activity);
        }
    }
}

/// Over how many seconds throughput is taken.
const THROUGHPUT_SECONDS: usize = 8;

/// How many transactions were executed in each of the last seconds.
#[derive(Default)]
struct Throughput {
    /// When the newest of the seconds began.
    begun: Option<Instant>,
    /// The newest first.
    seconds: VecDeque<u64>,
}

impl Throughput {
    fn add(&mut self, now: Instant, transactions: u64) {
        self.advance(now);
        if let Some(newest) = self.seconds.front_mut() {
            *newest += transactions;
        }
    }

    /// Of the seconds that are over.
    fn per_second(&mut self, now: Instant) -> f64 {
        self.advance(now);
        let over = self.seconds.len().saturating_sub(1);
        let all: u64 = self.seconds.iter().skip(1).sum();
        if over == 0 { 0.0 } else { all as f64 / over as f64 }
    }

    fn advance(&mut self, now: Instant) {
        let begun = *self.begun.get_or_insert(now);
        let passed = now.saturating_duration_since(begun).as_secs();
        let fresh = if self.seconds.is_empty() { passed + 1 } else { passed };
        for _ in 0..fresh.min(THROUGHPUT_SECONDS as u64 + 1) {
            self.seconds.push_front(0);
        }
        self.seconds.truncate(THROUGHPUT_SECONDS + 1);
        self.begun = Some(begun + std::time::Duration::from_secs(passed));
    }
}

/// Answers a question that may read the disk, beside the async threads.
pub async fn ask<T: Send + 'static, S: Send + Sync + 'static>(
    shared: Arc<S>,
    question: impl FnOnce(&S) -> Result<T, Problem> + Send + 'static,
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
