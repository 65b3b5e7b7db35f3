//! What all requests share, and the task that follows the node.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use qcn_types::{Address, Height, TransactionId, ValidatorIndex};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{Semaphore, broadcast, watch};

use super::problem::Problem;
use super::recent::Recent;
pub use super::recent::{Entry, Submitted};
use super::{ApiConfig, Metrics};
use crate::archive::Archive;
use crate::view::{Notice, SubmitError, View};

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
