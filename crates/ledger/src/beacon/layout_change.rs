//! Which shards are split and merged at the end of an epoch.

use std::collections::{BTreeMap, BTreeSet};

use qcn_types::{BEACON, EpochPlan, Layout, MAX_RESHARDINGS, Resharding, ShardId};

use super::load::ShardStanding;
use super::{Beacon, BeaconParameters};

/// After so many epochs in a row the load of a shard changes the layout.
const EPOCHS_IN_A_ROW: u8 = 2;

/// The measured part of an epoch is at least its length divided by this.
const MEASURED_PART: u64 = 4;

/// The changes of the layout so far. Each shard takes part in one at most, since a shard opens
/// with the final state of one or two.
pub(super) struct LayoutChange<'a> {
    plan: &'a EpochPlan,
    parameters: &'a BeaconParameters,
    /// While a shard's seats cannot be filled with different validators, nothing is split.
    may_split: bool,
    pub(super) layout: Layout,
    pub(super) heirs: Vec<(ShardId, ShardId)>,
    pub(super) done: Vec<Resharding>,
    pub(super) touched: BTreeSet<ShardId>,
    pub(super) next_shard: u32,
}

impl<'a> LayoutChange<'a> {
    /// No change yet, for so many validators.
    pub(super) fn new(beacon: &'a Beacon, validators: usize) -> Self {
        let plan = &*beacon.plan;
        Self {
            plan,
            parameters: &beacon.parameters,
            may_split: validators >= usize::from(beacon.parameters.seats),
            layout: plan.layout.clone(),
            heirs: plan.heirs.to_vec(),
            done: Vec::new(),
            touched: BTreeSet::new(),
            next_shard: beacon.progress.next_shard,
        }
    }

    /// Makes one more change, if it is possible; says whether.
    pub(super) fn make(&mut self, resharding: Resharding) -> bool {
        let (Resharding::Split { shard: one, new: other }
        | Resharding::Merge { into: one, closed: other }) = resharding;
        let is_free = !self.touched.contains(&one) && !self.touched.contains(&other);
        let is_allowed = match resharding {
            Resharding::Split { new, .. } => {
                let room = self.layout.shards().len() < usize::from(self.parameters.shards_max);
                self.may_split && room && is_new(new, self.next_shard)
            }
            Resharding::Merge { .. } => true,
        };
        if !is_free || !is_allowed || self.done.len() >= MAX_RESHARDINGS {
            return false;
        }
        let mut changes = self.done.clone();
        changes.push(resharding);
        let Ok((layout, heirs)) = self.plan.reshard(&changes) else {
            return false;
        };
        (self.layout, self.heirs, self.done) = (layout, heirs, changes);
        self.touched.extend([one, other]);
        if let Resharding::Split { new, .. } = resharding {
            self.next_shard = new.0.saturating_add(1);
        }
        true
    }

    /// Splits what was loaded and merges what was idle for long enough.
    pub(super) fn follow_load(&mut self, shards: &BTreeMap<ShardId, ShardStanding>) {
        let long_enough = |shard: &ShardId, epochs: fn(&ShardStanding) -> u8| {
            shards.get(shard).is_some_and(|it| epochs(it) >= EPOCHS_IN_A_ROW)
        };
        for (_, shard) in self.plan.layout.shards() {
            if long_enough(shard, |it| it.loaded_epochs) {
                self.make(Resharding::Split { shard: *shard, new: ShardId(self.next_shard) });
            }
        }
        for (into, closed) in siblings(&self.plan.layout) {
            if long_enough(&into, |it| it.idle_epochs) {
                self.make(Resharding::Merge { into, closed });
            }
        }
    }
}

/// Whether no shard ever had a number.
pub(super) const fn is_new(shard: ShardId, next_shard: u32) -> bool {
    shard.0 >= next_shard && shard.0 != BEACON.0
}

/// The pairs of shards that are the halves of one prefix, the lower one first.
fn siblings(layout: &Layout) -> impl Iterator<Item = (ShardId, ShardId)> {
    layout.shards().windows(2).filter_map(|pair| {
        let [(low, into), (high, closed)] = [pair[0], pair[1]];
        let are_halves = low.parent().and_then(|parent| parent.halves()) == Some([low, high]);
        are_halves.then_some((into, closed))
    })
}

/// Counts for how many epochs in a row each shard was loaded, and each pair of siblings idle.
/// What was not measured for long enough was neither.
pub(super) fn count_epochs(beacon: &Beacon) -> BTreeMap<ShardId, ShardStanding> {
    let parameters = &beacon.parameters;
    let (epoch, measured) = (beacon.plan.epoch, parameters.epoch_ms / MEASURED_PART);
    let load = |shard: &ShardId| beacon.shards.get(shard)?.load(epoch, measured);
    let siblings: BTreeMap<ShardId, ShardId> = siblings(&beacon.plan.layout).collect();
    let mut shards = beacon.shards.clone();
    for (shard, standing) in &mut shards {
        let own = load(shard);
        let is_loaded = own.is_some_and(|load| load > u128::from(parameters.split_above));
        let both = siblings.get(shard).and_then(load).zip(own).map(|(one, other)| one + other);
        let is_idle = both.is_some_and(|load| load < u128::from(parameters.merge_below));
        let count = |so_far: u8, goes_on: bool| if goes_on { so_far.saturating_add(1) } else { 0 };
        standing.loaded_epochs = count(standing.loaded_epochs, is_loaded);
        standing.idle_epochs = count(standing.idle_epochs, is_idle);
    }
    shards
}
