//! What requests about a shard share, and the tasks that follow the shards of the node.

use std::ops::Deref;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use axum::extract::{FromRequestParts, RawPathParams};
use axum::http::request::Parts;
use qcn_types::{
    Address, Committee, CommitteeKeys, Epoch, Height, ShardId, TransactionId, ValidatorIndex,
};
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{broadcast, watch};

use super::hub::Facts;
pub use super::hub::Hub;
use super::problem::Problem;
use super::recent::Recent;
pub use super::recent::{Entry, Submitted};
use super::throughput::Throughput;
use super::{Hosted, Metrics};
use crate::archive::{Archive, ArchiveError};
use crate::view::{CertifiedState, Notice, SubmitError, View};

/// What all requests share: those of one shard of this node, and with it of all others. It goes on
/// with the instance that was shown when the request began.
#[derive(Clone)]
pub struct Shared {
    hub: Arc<Hub>,
    chain: Arc<Chain>,
}

impl Deref for Shared {
    type Target = Chain;

    fn deref(&self) -> &Chain {
        &self.chain
    }
}

impl Shared {
    pub const fn new(hub: Arc<Hub>, chain: Arc<Chain>) -> Self {
        Self { hub, chain }
    }

    pub const fn hub(&self) -> &Arc<Hub> {
        &self.hub
    }

    /// The shard of an address, if this node hosts it.
    pub fn of_address(&self, address: &Address) -> Result<Self, Problem> {
        self.hub.of_address(address)
    }
}

/// The parameter of a path that names its shard.
pub const SHARD_PARAMETER: &str = "shard";

/// The shard that a request is about: that of its path, else the first of the node.
pub struct OfShard(pub Arc<Shared>);

impl FromRequestParts<Arc<Hub>> for OfShard {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, hub: &Arc<Hub>) -> Result<Self, Problem> {
        let shard = parameter(parts, |name| name == SHARD_PARAMETER).await?;
        let shared = match shard {
            None => hub.first(),
            Some(text) => hub.of_shard(shard_named(&text)?),
        };
        shared.map(|shared| Self(Arc::new(shared)))
    }
}

/// A parameter of a path.
pub async fn parameter(
    parts: &mut Parts,
    is_it: impl Fn(&str) -> bool,
) -> Result<Option<String>, Problem> {
    let parameters = RawPathParams::from_request_parts(parts, &()).await;
    let parameters = parameters.map_err(|rejection| {
        Problem::malformed(rejection.body_text(), "see /openapi.json for the paths")
    })?;
    let found = parameters.iter().find(|(name, _)| is_it(name));
    Ok(found.map(|(_, text)| text.to_owned()))
}

/// The shard that a path names.
pub fn shard_named(text: &str) -> Result<ShardId, Problem> {
    let wrong = |_| Problem::malformed("a shard is named by its number", "see /v1/shards");
    text.parse().map(ShardId).map_err(wrong)
}

/// An instance of this node: of a shard or of the beacon, in one epoch.
pub struct Chain {
    pub view: View,
    pub archive: Archive,
    pub metrics: Metrics,
    memory: Arc<Memory>,
    activity: Mutex<Vec<Activity>>,
    /// The newest state of the instance before, until this one has one of its own.
    before: Option<CertifiedState>,
    /// The committee of an earlier epoch that was asked for last.
    earlier: Mutex<Option<CommitteeKeys>>,
    /// Whether another instance is shown instead, or none.
    ended: watch::Sender<bool>,
}

/// What is carried over from one instance of a shard to the next.
#[derive(Default)]
struct Memory {
    recent: Mutex<Recent>,
    throughput: Mutex<Throughput>,
}

/// What was seen of a validator since the instance started.
#[derive(Clone, Copy, Default, Debug)]
pub struct Activity {
    pub blocks: u64,
    pub last_round: Option<u64>,
    pub led: u64,
    pub skipped: u64,
}

impl Chain {
    /// An instance that is to be shown, maybe instead of another one of its shard.
    pub fn new(hosted: Hosted, replaced: Option<&Self>, facts: &Facts) -> Self {
        let Hosted { view, archive, metrics } = hosted;
        Self {
            memory: replaced.map(|chain| Arc::clone(&chain.memory)).unwrap_or_default(),
            activity: Mutex::new(vec![Activity::default(); view.keys().committee().len()]),
            before: replaced.and_then(|chain| chain.state_for(&view, facts)),
            earlier: Mutex::default(),
            ended: watch::Sender::new(false),
            view,
            archive,
            metrics,
        }
    }

    /// It is not shown any more.
    pub fn end(&self) {
        self.ended.send_replace(true);
    }

    /// Changes once it is not shown any more.
    pub fn ended(&self) -> watch::Receiver<bool> {
        self.ended.subscribe()
    }

    /// The epoch of its committee.
    pub fn epoch(&self) -> Epoch {
        self.view.keys().committee().epoch()
    }

    /// The newest certified state. In the first moments of an epoch it is that of the one before.
    pub fn certified(&self) -> Option<CertifiedState> {
        self.view.certified().or_else(|| self.before.clone())
    }

    /// The state that may stand for that of the instance after this one, until that has one: if
    /// the shard is known to have the same addresses as before. What was merged into it would seem
    /// not to be there.
    fn state_for(&self, next: &View, facts: &Facts) -> Option<CertifiedState> {
        let epoch = next.keys().committee().epoch();
        let follows = epoch.0.checked_sub(1) == Some(self.epoch().0) && facts.epoch == epoch;
        let shard = next.shard();
        let is_changed = facts.reshardings.iter().any(|change| change.shards().contains(&shard));
        if follows && !is_changed { self.certified() } else { None }
    }

    /// Who served in an epoch. For names and weights: it decodes no keys, and leaves those that
    /// proofs are made with where they are.
    pub fn committee_of(&self, epoch: Epoch) -> Result<Arc<Committee>, Problem> {
        let own = self.view.keys().committee();
        if own.epoch() == epoch {
            return Ok(Arc::clone(own));
        }
        let what = format!("the committee of epoch {epoch}");
        self.archive.committee(epoch)?.map(Arc::new).ok_or_else(|| Problem::not_found(&what))
    }

    /// Who attests the checkpoints of an epoch.
    pub fn keys_of(&self, epoch: Epoch) -> Result<CommitteeKeys, Problem> {
        let own = self.view.keys();
        if own.committee().epoch() == epoch {
            return Ok(own.clone());
        }
        let known = lock(&self.earlier).clone();
        if let Some(keys) = known.filter(|keys| keys.committee().epoch() == epoch) {
            return Ok(keys);
        }
        let keys = CommitteeKeys::decode(own.chain(), self.committee_of(epoch)?)
            .map_err(|_| ArchiveError::Corrupt("committee"))?;
        *lock(&self.earlier) = Some(keys.clone());
        Ok(keys)
    }

    /// The highest height that is final.
    pub fn final_height(&self) -> Height {
        Height(self.view.status().certified_height).max(self.archive.certified_height())
    }

    /// Transactions executed per second, over the last few seconds.
    pub fn transactions_per_second(&self) -> f64 {
        lock(&self.memory.throughput).per_second(Instant::now())
    }

    pub fn activity(&self) -> Vec<Activity> {
        lock(&self.activity).clone()
    }

    /// Remembers submissions that were taken in.
    pub fn remember_taken(&self, entries: impl Iterator<Item = Entry>) {
        lock(&self.memory.recent).taken_in(entries);
    }

    /// Remembers why a submission was not.
    pub fn remember_refused(&self, id: TransactionId, refusal: SubmitError) {
        lock(&self.memory.recent).refused(id, refusal);
    }

    pub fn submitted(&self, id: TransactionId) -> Option<Submitted> {
        lock(&self.memory.recent).submitted(id)
    }

    /// The nonce after those that are executed or on their way from here without a gap.
    pub fn next_nonce(&self, sender: Address, executed: u64) -> u64 {
        lock(&self.memory.recent).next_nonce(sender, executed)
    }

    fn count(&self, validator: ValidatorIndex, change: impl FnOnce(&mut Activity)) {
        if let Some(activity) = lock(&self.activity).get_mut(validator.position()) {
            change(activity);
        }
    }
}

/// Follows what an instance says, until another one is shown: counts for the validators' page, and
/// measures latency.
pub async fn observe(
    chain: Arc<Chain>,
    mut notices: broadcast::Receiver<Notice>,
    mut closing: watch::Receiver<bool>,
) {
    let mut ended = chain.ended();
    loop {
        let notice = tokio::select! {
            // What it said before it ended is counted.
            biased;
            notice = notices.recv() => notice,
            _ = ended.wait_for(|ended| *ended) => return,
            _ = closing.wait_for(|closing| *closing) => return,
        };
        match notice {
            Ok(notice) => note(&chain, &notice),
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
            lock(&chain.memory.throughput).add(Instant::now(), outcomes.len() as u64);
            lock(&chain.memory.recent).executed(*height, outcomes.iter().map(|(id, _)| *id));
        }
        Notice::Certified { height, .. } => {
            let latencies = lock(&chain.memory.recent).certified(*height);
            for latency in latencies {
                chain.metrics.finality_seconds.observe(latency.as_secs_f64());
            }
        }
        Notice::Epoch { .. } | Notice::Evidence(_) | Notice::Isolated(_) | Notice::Peer { .. } => {}
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
