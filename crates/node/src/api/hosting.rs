//! The door through which the runtime says what there is to show.

use std::sync::{Arc, Mutex, PoisonError};

use qcn_types::{Epoch, Layout, Resharding, ShardId};
use tokio::runtime::Handle;
use tokio::task::JoinSet;

use super::hub::Hub;
use super::shared::observe;
use super::{Hosted, ShardFacts};
use crate::transport::KnownValidator;

/// The network in an epoch: which shards there are, and who serves them.
#[derive(Clone, Debug)]
pub struct EpochFacts {
    /// Which epoch.
    pub epoch: Epoch,
    /// Which addresses each shard has.
    pub layout: Arc<Layout>,
    /// All shards of accounts, in the order of the layout.
    pub shards: Vec<ShardFacts>,
    /// What is different from the layout of the epoch before.
    pub reshardings: Vec<Resharding>,
    /// When it began, in milliseconds since the Unix epoch.
    pub began_unix_ms: u64,
}

/// Says what an API is to show from now on. It waits for no request, and each request is answered
/// by what was shown when it began. Clones speak to the same API.
#[derive(Clone)]
pub struct Hosting {
    hub: Arc<Hub>,
    observers: Arc<Mutex<JoinSet<()>>>,
    runtime: Handle,
}

impl std::fmt::Debug for Hosting {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Hosting").finish_non_exhaustive()
    }
}

impl Hosting {
    /// Must be called where async tasks can be started.
    pub(super) fn new(hub: Arc<Hub>) -> Self {
        Self { hub, observers: Arc::default(), runtime: Handle::current() }
    }

    /// Shows an instance of a shard, or of the beacon.
    ///
    /// One of the same shard that is shown already is replaced: its subscribers are told what it
    /// said until now, and then their streams end; what clients have handed in is remembered. The
    /// new one should have the metrics of the old one, so that they count on, and another handle
    /// of its archive. If [`Self::set_epoch`] came before, and says that the shard's addresses did
    /// not change, the certified state of the old one stands for that of the new one until it has
    /// one; else there is none in between.
    pub fn host(&self, hosted: Hosted) {
        let notices = hosted.view.subscribe();
        let (archive, keys) = (hosted.archive.clone(), hosted.view.keys().clone());
        let chain = self.hub.host(hosted);
        let closing = self.hub.closing.clone();
        let mut observers = self.observers.lock().unwrap_or_else(PoisonError::into_inner);
        // Those of instances that were replaced have ended.
        while observers.try_join_next().is_some() {}
        let defects = self.hub.config.defects.clone();
        let observe = defects.need("the API's observer", observe(chain, notices, closing));
        observers.spawn_on(observe, &self.runtime);
        // Written beside, as a disk may be slow.
        let keep = move || {
            if let Err(error) = archive.add_committee(keys.committee()) {
                tracing::warn!(%error, "proofs of this epoch cannot be told after it");
            }
        };
        observers.spawn_blocking_on(keep, &self.runtime);
    }

    /// Shows a shard no more: its subscribers' streams end, and who asks for it is told who serves
    /// it in this epoch.
    pub fn leave(&self, shard: ShardId) {
        self.hub.leave(shard);
    }

    /// The network is in another epoch. Subscribers of every shard that is shown are told.
    ///
    /// It is for the caller whether an instance is shown before its epoch or after it: a shard
    /// opens an epoch in its own time.
    pub fn set_epoch(&self, facts: EpochFacts) {
        self.hub.set_epoch(facts.into());
    }

    /// Who the validators are from now on; of one that is replacing its transport key the first.
    pub fn set_validators(&self, validators: &[KnownValidator]) {
        let known = validators.iter().rev();
        let known = known.map(|it| (it.index.0, (it.name.clone(), it.key.to_string())));
        self.hub.set_validators(known.collect());
    }

    /// Waits until nobody observes any more.
    pub(super) async fn close(&self) {
        let mut observers = {
            let mut observers = self.observers.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::take(&mut *observers)
        };
        observers.shutdown().await;
    }
}
