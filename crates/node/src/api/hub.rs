//! What the API shows at a moment: the epoch, and which shards of it this node hosts.
//!
//! Both change while requests are answered. A request takes what is shown when it begins, as one
//! value that does not change any more, and whoever replaces it waits for no request.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use qcn_types::{Address, BEACON, Epoch, Layout, Resharding, ShardId, ValidatorIndex};
use tokio::sync::{Semaphore, watch};

use super::hosting::EpochFacts;
use super::problem::Problem;
use super::shards::{changing, no_shard, not_hosted, opening};
use super::shared::{Chain, Shared};
use super::{ApiConfig, Hosted, Metrics, ShardFacts};
use crate::proof_document::ProofDocument;
use crate::view::{NodeStatus, Notice, PeerBoard, PeerStatus};

/// The network in an epoch.
#[derive(Clone, Debug)]
pub struct Facts {
    pub epoch: Epoch,
    /// Nothing if there is one shard for good.
    pub layout: Option<Arc<Layout>>,
    /// May be empty if there is one shard for good.
    pub shards: Vec<ShardFacts>,
    /// What is different from the layout of the epoch before.
    pub reshardings: Vec<Resharding>,
    /// Nothing in a network without epochs.
    pub began_unix_ms: Option<u64>,
}

impl Facts {
    /// Those of a network whose epochs are not known yet, or that has none.
    fn initial(config: &ApiConfig) -> Self {
        Self {
            epoch: Epoch(0),
            layout: config.layout.clone(),
            shards: config.shards.clone(),
            reshardings: Vec::new(),
            began_unix_ms: None,
        }
    }

    pub fn shard(&self, shard: ShardId) -> Option<&ShardFacts> {
        self.shards.iter().find(|one| one.id == shard)
    }

    pub const fn has_several_shards(&self) -> bool {
        self.shards.len() > 1
    }

    /// The place of a shard in the order of addresses; behind all if it is not in the layout.
    fn place(&self, shard: ShardId) -> usize {
        let shards = self.layout.as_ref().map_or(&[][..], |layout| layout.shards());
        shards.iter().position(|(_, one)| *one == shard).unwrap_or(usize::MAX)
    }
}

impl From<EpochFacts> for Facts {
    fn from(facts: EpochFacts) -> Self {
        let EpochFacts { epoch, layout, shards, reshardings, began_unix_ms } = facts;
        let (layout, began_unix_ms) = (Some(layout), Some(began_unix_ms));
        Self { epoch, layout, shards, reshardings, began_unix_ms }
    }
}

/// What is shown at a moment.
#[derive(Clone)]
pub struct Shown {
    pub facts: Facts,
    /// The shards with accounts, in the order of their prefixes.
    pub chains: Vec<Arc<Chain>>,
    pub beacon: Option<Arc<Chain>>,
}

impl Shown {
    /// All instances of the node: its shards, and the beacon.
    pub fn all(&self) -> impl Iterator<Item = &Arc<Chain>> {
        self.chains.iter().chain(&self.beacon)
    }

    /// One of them.
    pub fn chain(&self, shard: ShardId) -> Option<&Arc<Chain>> {
        self.all().find(|chain| chain.view.shard() == shard)
    }

    /// Who answers for a shard, closed or not, as far as this node knows.
    pub fn actor(&self, shard: ShardId) -> ShardId {
        let state = self.beacon.as_ref().and_then(|beacon| beacon.certified());
        let beacon = state.as_ref().and_then(|state| state.ledger.beacon());
        beacon.map_or(shard, |beacon| beacon.plan().actor(shard))
    }

    fn changed(
        &self,
        facts: Facts,
        mut chains: Vec<Arc<Chain>>,
        beacon: Option<Arc<Chain>>,
    ) -> Self {
        // Stable: without a layout they stay in the order in which they came.
        chains.sort_by_key(|chain| facts.place(chain.view.shard()));
        Self { facts, chains, beacon }
    }

    fn with(&self, chain: Arc<Chain>) -> Self {
        let shard = chain.view.shard();
        if shard == BEACON {
            return self.changed(self.facts.clone(), self.chains.clone(), Some(chain));
        }
        let mut chains = self.chains.clone();
        match chains.iter_mut().find(|known| known.view.shard() == shard) {
            Some(known) => *known = chain,
            None => chains.push(chain),
        }
        self.changed(self.facts.clone(), chains, self.beacon.clone())
    }

    fn without(&self, shard: ShardId) -> Self {
        let mut chains = self.chains.clone();
        chains.retain(|chain| chain.view.shard() != shard);
        let beacon = self.beacon.clone().filter(|_| shard != BEACON);
        self.changed(self.facts.clone(), chains, beacon)
    }
}

/// What all requests share.
pub struct Hub {
    pub config: ApiConfig,
    /// Of the node besides its shards; of its only shard as well.
    pub metrics: Metrics,
    pub board: PeerBoard,
    pub closing: watch::Receiver<bool>,
    /// One permit for each subscriber to events.
    pub subscribers: Arc<Semaphore>,
    /// One permit for each batch of transactions that is read.
    pub batches: Arc<Semaphore>,
    shown: RwLock<Arc<Shown>>,
    /// Names and transport keys by number, as the register has them.
    validators: RwLock<BTreeMap<u16, (String, String)>>,
    /// Held by whoever changes what is shown, from reading it to replacing it.
    changing: Mutex<()>,
}

impl Hub {
    pub fn new(
        config: ApiConfig,
        metrics: Metrics,
        board: PeerBoard,
        closing: watch::Receiver<bool>,
    ) -> Self {
        let facts = Facts::initial(&config);
        let shown = Shown { facts, chains: Vec::new(), beacon: None };
        Self {
            subscribers: Arc::new(Semaphore::new(config.limits.subscribers)),
            batches: Arc::new(Semaphore::new(super::submit::MAX_BATCHES_AT_ONCE)),
            config,
            metrics,
            board,
            closing,
            shown: RwLock::new(Arc::new(shown)),
            validators: RwLock::default(),
            changing: Mutex::default(),
        }
    }

    /// Why the node has stopped, in any of its parts.
    pub fn stopped(&self) -> Option<String> {
        let of_instance = |chain: &Arc<Chain>| chain.view.status().stopped;
        self.config.defects.first().or_else(|| self.shown().all().find_map(of_instance))
    }

    /// Where an instance stands. It has stopped as well once a defect has ended another part of the
    /// node.
    pub fn status_of(&self, chain: &Chain) -> NodeStatus {
        let status = chain.view.status();
        let stopped = status.stopped.or_else(|| self.config.defects.first());
        NodeStatus { stopped, ..status }
    }

    /// Who the validators are from now on.
    pub fn set_validators(&self, validators: BTreeMap<u16, (String, String)>) {
        *self.validators.write().unwrap_or_else(PoisonError::into_inner) = validators;
    }

    /// The name and the transport key of a validator, as the register has them or, before it was
    /// looked at, the key of the genesis.
    pub fn registered(&self, validator: ValidatorIndex) -> (Option<String>, Option<String>) {
        let validators = self.validators.read().unwrap_or_else(PoisonError::into_inner);
        match validators.get(&validator.0) {
            Some((name, key)) => (Some(name.clone()), Some(key.clone())),
            None => (None, self.config.transport_keys.get(validator.position()).cloned()),
        }
    }

    /// What is shown now.
    pub fn shown(&self) -> Arc<Shown> {
        Arc::clone(&self.shown.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn change<T>(&self, change: impl FnOnce(&Shown) -> (Shown, T)) -> T {
        let _alone = self.changing.lock().unwrap_or_else(PoisonError::into_inner);
        let (changed, result) = change(&self.shown());
        // The whole value is replaced, so that a panic elsewhere cannot leave half of one.
        *self.shown.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(changed);
        result
    }

    /// Shows an instance, in the place of the one of the same shard if there is one.
    pub fn host(&self, hosted: Hosted) -> Arc<Chain> {
        let (chain, replaced) = self.change(|shown| {
            let replaced = shown.chain(hosted.view.shard()).cloned();
            let chain = Arc::new(Chain::new(hosted, replaced.as_deref(), &shown.facts));
            (shown.with(Arc::clone(&chain)), (chain, replaced))
        });
        if let Some(replaced) = replaced {
            replaced.end();
        }
        chain
    }

    /// Shows a shard no more.
    pub fn leave(&self, shard: ShardId) {
        let left = self.change(|shown| (shown.without(shard), shown.chain(shard).cloned()));
        if let Some(left) = left {
            left.end();
        }
    }

    /// Shows another epoch, and tells subscribers of every instance.
    pub fn set_epoch(&self, facts: Facts) {
        let notice = Notice::Epoch { epoch: facts.epoch, reshardings: facts.reshardings.clone() };
        let shown = self.change(|shown| {
            let changed = shown.changed(facts, shown.chains.clone(), shown.beacon.clone());
            (changed.clone(), changed)
        });
        for chain in shown.all() {
            chain.view.notify(notice.clone());
        }
    }

    /// What requests about each shard of this node share, in the order of shards.
    pub fn shared(self: &Arc<Self>) -> Vec<Shared> {
        self.shown().chains.iter().map(|chain| self.about(chain)).collect()
    }

    fn about(self: &Arc<Self>, chain: &Arc<Chain>) -> Shared {
        Shared::new(Arc::clone(self), Arc::clone(chain))
    }

    /// What requests share that name no shard.
    pub fn first(self: &Arc<Self>) -> Result<Shared, Problem> {
        let shown = self.shown();
        let first = shown.chains.first().map(|chain| self.about(chain));
        first.ok_or_else(|| no_shard(&shown.facts))
    }

    /// What requests about a shard share, if this node hosts it; of the beacon as well.
    pub fn of_shard(self: &Arc<Self>, shard: ShardId) -> Result<Shared, Problem> {
        let shown = self.shown();
        let found = shown.chain(shard).map(|chain| self.about(chain));
        found.ok_or_else(|| self.not_here(&shown.facts, shard))
    }

    /// Why a shard does not answer here: it belongs to others, or it has yet to open.
    pub fn not_here(&self, facts: &Facts, shard: ShardId) -> Problem {
        let is_own = |one: &ShardFacts| one.seats.iter().any(|it| Some(*it) == self.config.own);
        if facts.shard(shard).is_some_and(is_own) { opening() } else { not_hosted(facts, shard) }
    }

    /// The shard of an address, if this node hosts it.
    pub fn of_address(self: &Arc<Self>, address: &Address) -> Result<Shared, Problem> {
        let shared = match &self.shown().facts.layout {
            Some(layout) => self.of_shard(layout.shard_of(address)),
            // There is but one.
            None => self.first(),
        }?;
        // Where a split or a merge is about to open the instance is still that of before.
        match shared.certified().and_then(|it| it.ledger.territory().elsewhere(address)) {
            Some(_) => Err(changing()),
            None => Ok(shared),
        }
    }

    /// A document with what leads from the genesis to the committee of its epoch.
    pub fn led_to(&self, document: ProofDocument, epoch: Epoch) -> ProofDocument {
        document.with_announcements(self.config.announcements.up_to(epoch))
    }

    /// The connections to the other validators.
    pub fn peers(&self) -> Vec<PeerStatus> {
        let peers = self.board.get();
        if !peers.is_empty() {
            return peers;
        }
        let first = self.shown().all().next().map(|chain| chain.view.peers());
        first.unwrap_or_default()
    }

    /// The place of this node among all validators of the epoch.
    pub fn own(&self) -> Option<ValidatorIndex> {
        let shown = self.shown();
        let is_present =
            |chain: &&Arc<Chain>| chain.view.keys().committee().epoch() == shown.facts.epoch;
        let present = shown.all().find(is_present);
        let seated = present.and_then(|chain| chain.view.validator(chain.view.own()));
        seated.or(self.config.own)
    }
}
