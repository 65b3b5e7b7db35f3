//! Making a random network of shards that breaks something smaller while it still does.

use qcn_types::{ShardId, Time};

use super::{Change, ShardedBuilder, ShardedPlan};
use crate::fault::Fault;
use crate::shrink::{Simplify, parts, shrink};

/// The fewest seats of a committee: with fewer, one faulty validator is too many.
const SEATS_MIN: usize = 4;

/// The shortest a run is made, in microseconds.
const UNTIL_MIN_US: u64 = 500_000;

/// The longest time from one transfer to the next, in microseconds.
const INTERVAL_MAX_US: u64 = 1_000_000;

impl ShardedPlan {
    /// Makes a network for which `fails` holds smaller, until `enough` holds of the number of runs;
    /// gives back how many there were.
    ///
    /// The run is made shorter only where that is allowed: what must have happened by the end may
    /// be late in a shorter run for no other reason.
    pub fn shrink(
        self,
        may_end_earlier: bool,
        enough: &dyn Fn(u64) -> bool,
        fails: &mut dyn FnMut(&Self) -> bool,
    ) -> (Self, u64) {
        let mut simplifications: Vec<Simplify<Self>> = vec![
            fewer_shards,
            fewer_validators,
            fewer_epochs,
            fewer_changes_of_membership,
            fewer_adversaries,
            fewer_faults,
            fewer_faults_between,
            less_load,
        ];
        if may_end_earlier {
            // All runs after it take less time.
            simplifications.insert(0, shorter);
        }
        shrink(self, &simplifications, enough, &mut |candidate| Some(fails(candidate)))
    }

    /// The same with another description.
    fn with(&self, change: impl FnOnce(&mut ShardedBuilder)) -> Self {
        let mut changed = self.clone();
        change(&mut changed.builder);
        changed
    }

    /// Candidates that leave out parts of a list.
    fn without_parts<T>(&self, list: fn(&mut ShardedBuilder) -> &mut Vec<T>) -> Vec<Self> {
        let length = list(&mut self.builder.clone()).len();
        let without = |part| self.with(|builder| drop(list(builder).drain(part)));
        parts(length).into_iter().map(without).collect()
    }
}

fn shorter(network: &ShardedPlan) -> Vec<ShardedPlan> {
    let lengths = [25, 50, 75, 90].map(|percent| network.until.0 / 100 * percent);
    let until = lengths.into_iter().filter(|until| *until >= UNTIL_MIN_US).map(Time);
    until.map(|until| ShardedPlan { until, ..network.clone() }).collect()
}

/// Without each shard; those above it move down.
fn fewer_shards(network: &ShardedPlan) -> Vec<ShardedPlan> {
    let count = network.builder.shards;
    if count < 2 {
        return Vec::new();
    }
    (0..count).map(|gone| network.with(|builder| remove_shard(builder, gone))).collect()
}

fn remove_shard(builder: &mut ShardedBuilder, gone: usize) {
    let stays = |shard: &mut usize| {
        let stays = *shard != gone;
        *shard -= usize::from(*shard > gone);
        stays
    };
    builder.shards -= 1;
    builder.faults.retain_mut(|(shard, ..)| stays(shard));
    if builder.beacon.is_none() {
        builder.adversaries.retain_mut(|(shard, ..)| stays(shard));
    }
    builder.bad_relayers.retain_mut(|(from, to, _)| stays(from) & stays(to));
    builder.cuts.retain_mut(|(ends, ..)| {
        let mut numbers = ends.map(|shard| shard.0 as usize);
        let [one, other] = &mut numbers;
        let stays = stays(one) & stays(other);
        *ends = numbers.map(|number| ShardId(number as u32));
        stays
    });
}

/// Without the last seat of every committee, and without the last validator of a beacon.
fn fewer_validators(network: &ShardedPlan) -> Vec<ShardedPlan> {
    let mut candidates = Vec::new();
    let seats = network.builder.validators;
    if seats > SEATS_MIN {
        candidates.push(network.with(|builder| remove_last_seat(builder, seats - 1)));
    }
    let in_all = network.builder.beacon.as_ref().map(|options| options.validators);
    if let Some(last) = in_all.filter(|count| *count > seats).map(|count| count - 1) {
        candidates.push(network.with(|builder| {
            builder.beacon.iter_mut().for_each(|options| options.validators = last);
            move_adversaries_from(builder, last);
            builder.membership.retain(|event| event.who != last);
        }));
    }
    candidates
}

fn remove_last_seat(builder: &mut ShardedBuilder, last: usize) {
    builder.validators = last;
    builder.faults.retain_mut(|(.., fault)| still_concerns_somebody(fault, last));
    if builder.beacon.is_none() {
        move_adversaries_from(builder, last);
    }
}

/// Who misbehaves in the place that is gone does so in the one before it.
fn move_adversaries_from(builder: &mut ShardedBuilder, last: usize) {
    let places = builder.adversaries.iter_mut().map(|(_, place, _)| place);
    places.for_each(|place| *place = (*place).min(last.saturating_sub(1)));
}

/// Takes the last validator out of a fault; says whether the fault still has whom it needs.
fn still_concerns_somebody(fault: &mut Fault, last: usize) -> bool {
    let remove = |validators: &mut Vec<usize>| {
        let before = validators.len();
        validators.retain(|validator| *validator != last);
        before == 0 || !validators.is_empty()
    };
    match fault {
        Fault::Partition { groups } | Fault::Flapping { groups, .. } => {
            groups.retain_mut(remove);
            groups.len() > 1
        }
        Fault::OneWay { from, to } => remove(from) & remove(to),
        Fault::Churn { validators, .. }
        | Fault::LatencySpike { validators, .. }
        | Fault::BandwidthCut { validators, .. } => remove(validators),
        Fault::Isolate { validator }
        | Fault::Crash { validator, .. }
        | Fault::Restart { validator }
        | Fault::Pause { validator, .. }
        | Fault::ClockJump { validator, .. }
        | Fault::SlowDisk { validator, .. } => *validator != last,
        Fault::Heal | Fault::LossBurst { .. } => true,
    }
}

/// Without some of the epochs that a script ends, and some votes.
fn fewer_epochs(network: &ShardedPlan) -> Vec<ShardedPlan> {
    let mut candidates = network.without_parts(|builder| &mut builder.epochs);
    candidates.extend(network.without_parts(|builder| &mut builder.votes));
    candidates
}

/// Without some of what happens to who the validators are. To whoever does not join nothing else
/// happens either.
fn fewer_changes_of_membership(network: &ShardedPlan) -> Vec<ShardedPlan> {
    let mut candidates = network.without_parts(|builder| &mut builder.membership);
    for ShardedPlan { builder, .. } in &mut candidates {
        let founders = builder.beacon.as_ref().map_or(0, |options| options.validators);
        let joins = builder.membership.iter().filter(|event| event.change == Change::Join);
        let joins: Vec<usize> = joins.map(|event| event.who).collect();
        builder.membership.retain(|event| event.who < founders || joins.contains(&event.who));
    }
    candidates
}

fn fewer_adversaries(network: &ShardedPlan) -> Vec<ShardedPlan> {
    network.without_parts(|builder| &mut builder.adversaries)
}

/// Without some faults within shards. What ends them all stays.
fn fewer_faults(network: &ShardedPlan) -> Vec<ShardedPlan> {
    let mut candidates = Vec::new();
    if network.builder.later_faults_until > 0 {
        candidates.push(network.with(|builder| builder.later_faults_until = 0));
    }
    let faults = network.builder.faults.iter().enumerate();
    let places: Vec<usize> =
        faults.filter(|(_, (.., fault))| !fault.ends_others()).map(|(place, _)| place).collect();
    candidates.extend(parts(places.len()).into_iter().map(|part| {
        network.with(|builder| {
            let mut place = 0..;
            let gone = &places[part];
            builder.faults.retain(|_| place.next().is_none_or(|place| !gone.contains(&place)));
        })
    }));
    candidates
}

fn fewer_faults_between(network: &ShardedPlan) -> Vec<ShardedPlan> {
    let mut candidates = network.without_parts(|builder| &mut builder.bad_relayers);
    candidates.extend(network.without_parts(|builder| &mut builder.cuts));
    candidates
}

fn less_load(network: &ShardedPlan) -> Vec<ShardedPlan> {
    let twice = network.builder.rate.interval_us * 2;
    let is_much = twice <= INTERVAL_MAX_US;
    is_much.then(|| network.with(|builder| builder.rate.interval_us = twice)).into_iter().collect()
}
