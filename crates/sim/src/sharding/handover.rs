//! From one epoch to the next: who knows which plan, who holds which final state, and who opens.
//!
//! Every validator acts for itself, with what it has heard and fetched: it hears the beacon's
//! announcement or learns it from a shard that closes, its own shards close, it fetches the final
//! states of those where it had no seat, and it opens where it has one.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use qcn_crypto::Digest;
use qcn_shard::pace::lead_us;
use qcn_shard::{Closed, Opening};
use qcn_types::{Announcement, BEACON, CommitteeKeys, Epoch, EpochPlan, ShardId};

use super::guests::Found;
use super::{Between, ShardedNetwork};
use crate::invariants::Violation;
use crate::random::Random;

/// How long a closed shard goes on with rounds for those who are not there yet, in microseconds.
const LINGERS_US: u64 = 3_000_000;

/// A shard has opened everywhere so long after its plan was announced, in microseconds.
const OPENS_WITHIN_US: u64 = 15_000_000;

/// Within which time a newcomer hears of the plan that names it, in microseconds.
const NEWCOMER_HEARS_US: u64 = 1_000_000;

/// Where an engine stands.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) shard: ShardId,
    pub(super) epoch: Epoch,
    /// The number of the validator in each seat.
    pub(super) validators: Vec<usize>,
}

impl Place {
    /// The place of a shard of a plan.
    pub(super) fn of(plan: &EpochPlan, shard: ShardId) -> Self {
        let validators = seats_in(plan, shard);
        Self { shard, epoch: plan.epoch, validators }
    }

    /// It in words.
    pub(super) fn describe(&self) -> String {
        match self.shard {
            BEACON => format!("the beacon in epoch {}", self.epoch),
            shard => format!("shard {shard} in epoch {}", self.epoch),
        }
    }
}

/// A plan and how it became known.
#[derive(Debug)]
pub(super) struct Announced {
    pub(super) plan: Arc<EpochPlan>,
    announcement: Option<Arc<Announcement>>,
    pub(super) at: u64,
    /// When validators hand it to their shards.
    tell_at: u64,
}

/// How far every validator is.
#[derive(Debug, Default)]
pub(super) struct Handover {
    pub(super) plans: BTreeMap<Epoch, Announced>,
    learned: BTreeSet<(usize, Epoch)>,
    /// The ends of epochs, by who holds them.
    ends: BTreeMap<(usize, ShardId, Epoch), Closed>,
    pub(super) engines: BTreeMap<(ShardId, Epoch), usize>,
    /// What each shard opened with, to be compared.
    opened: BTreeMap<(ShardId, Epoch), Digest>,
    /// When each engine was first closed and when its successor first opened.
    pub(super) closed_at: BTreeMap<(ShardId, Epoch), u64>,
    pub(super) opened_at: BTreeMap<(ShardId, Epoch), u64>,
    /// When the first checkpoint of each was first seen to be certified.
    pub(super) certified_at: BTreeMap<(ShardId, Epoch), u64>,
    has_opened: BTreeSet<(usize, ShardId, Epoch)>,
    violations: Vec<Violation>,
}

impl Handover {
    pub(super) fn begin(plan: EpochPlan, engines: BTreeMap<(ShardId, Epoch), usize>) -> Self {
        let first = Announced { plan: Arc::new(plan), announcement: None, at: 0, tell_at: 0 };
        Self { plans: BTreeMap::from([(Epoch(0), first)]), engines, ..Self::default() }
    }

    /// The newest plan.
    pub(super) fn newest(&self) -> &Arc<EpochPlan> {
        let (_, newest) = self.plans.last_key_value().expect("there is a first plan");
        &newest.plan
    }

    pub(super) fn plan(&self, epoch: Epoch) -> Option<&Arc<EpochPlan>> {
        self.plans.get(&epoch).map(|announced| &announced.plan)
    }

    /// The shards that open after this one, if it has an end.
    pub(super) fn successors(&self, place: &Place) -> Vec<(ShardId, Epoch)> {
        let next = Epoch(place.epoch.0 + 1);
        let plan = self.plan(next);
        let shards = plan.map(|plan| plan.successors(place.shard)).unwrap_or_default();
        shards.into_iter().map(|shard| (shard, next)).collect()
    }

    /// Whether another engine has taken over all of a shard's addresses.
    pub(super) fn is_superseded(&self, place: &Place) -> bool {
        let successors = self.successors(place);
        !successors.is_empty() && successors.iter().all(|next| self.opened_at.contains_key(next))
    }

    /// Who has learned of an epoch and has not opened all of its shards in it, or not closed those
    /// of the epoch before: a shard may open when its end has long been announced.
    pub(super) fn unfinished(&self) -> Vec<(usize, Epoch)> {
        let learned = self.learned.iter().copied();
        let is_finished = |(validator, epoch): &(usize, Epoch)| {
            let before = Epoch(epoch.0 - 1);
            let has_opened = |shard| self.has_opened.contains(&(*validator, shard, *epoch));
            let has_closed = |shard| self.ends.contains_key(&(*validator, shard, before));
            self.seats(*validator, *epoch).into_iter().all(has_opened)
                && self.seats(*validator, before).into_iter().all(has_closed)
        };
        learned.filter(|who| !is_finished(who)).collect()
    }

    /// The shards in which a validator has a seat.
    fn seats(&self, validator: usize, epoch: Epoch) -> Vec<ShardId> {
        let Some(plan) = self.plan(epoch) else {
            return Vec::new();
        };
        let shards = self.served(plan).into_iter();
        shards.filter(|shard| seat_in(plan, *shard, validator).is_some()).collect()
    }

    /// The shards of a plan that run in this world: the beacon may be scripted.
    pub(super) fn served(&self, plan: &EpochPlan) -> Vec<ShardId> {
        let has_beacon = self.engines.contains_key(&(BEACON, Epoch(0)));
        plan.shards().filter(|shard| *shard != BEACON || has_beacon).collect()
    }

    /// Whether a shard has closed and not all that follow it have opened.
    pub(super) fn is_under_way(&self) -> bool {
        let opened = |(shard, epoch): &(ShardId, Epoch)| {
            let next = Epoch(epoch.0 + 1);
            let plan = self.plan(next);
            plan.is_none_or(|plan| {
                let successors = plan.successors(*shard).into_iter();
                successors.into_iter().all(|it| self.opened_at.contains_key(&(it, next)))
            })
        };
        !self.closed_at.keys().all(opened)
    }

    /// The certificates that a shard takes in an epoch: all of this epoch and of the one before.
    pub(super) fn sources(
        &self,
        chain: qcn_crypto::ChainId,
        own: ShardId,
        epoch: Epoch,
    ) -> Vec<CommitteeKeys> {
        let epochs = [epoch.0.checked_sub(1), Some(epoch.0)];
        let plans = epochs.into_iter().flatten().filter_map(|epoch| self.plan(Epoch(epoch)));
        plans
            .flat_map(|plan| plan.shards().map(move |shard| (plan, shard)))
            .filter(|(plan, shard)| (*shard, plan.epoch) != (own, epoch))
            .map(|(plan, shard)| {
                let committee = plan.committee(shard).expect("the beacon's plans are good");
                let keys = CommitteeKeys::decode(chain, Arc::new(committee));
                let heirs = plan.heirs.iter().copied().collect();
                keys.expect("generated keys decode").with_heirs(heirs)
            })
            .collect()
    }
}

impl ShardedNetwork {
    /// The beacon has certified the plan that follows the newest one.
    pub(super) fn plan_is_announced(&mut self, announcement: &Arc<Announcement>) {
        let plan = &announcement.plan;
        let before = plan.epoch.0.checked_sub(1).map(Epoch);
        let before = before.and_then(|epoch| self.handover.plans.get(&epoch));
        let length = self.now.saturating_sub(before.map_or(0, |announced| announced.at));
        let announced = Announced {
            plan: Arc::new(plan.clone()),
            announcement: Some(Arc::clone(announcement)),
            at: self.now,
            tell_at: self.now + lead_us(length),
        };
        if let Entry::Vacant(free) = self.handover.plans.entry(plan.epoch) {
            free.insert(announced);
            self.tell_newcomers(plan);
        }
    }

    /// Who is in a plan and was not in the one before has no beacon that would tell it. A node
    /// asks others again and again whether there is a plan with its key. That is not modelled, neither
    /// its questions nor who answers them or does not: it learns the plan some time after the first
    /// one has it, however many are cut off or down.
    fn tell_newcomers(&mut self, plan: &EpochPlan) {
        let before = plan.epoch.0.checked_sub(1).and_then(|epoch| self.handover.plan(Epoch(epoch)));
        let was_there = |number| {
            let mut validators = before.iter().flat_map(|plan| plan.validators.iter());
            validators.any(|it| it.number == number)
        };
        let numbers = plan.validators.iter().map(|it| it.number);
        let new: Vec<u32> = numbers.filter(|number| !was_there(*number)).collect();
        let name = format!("newcomers of epoch {}", plan.epoch);
        let mut random = Random::new(self.description.seed, &name);
        for validator in new {
            let at = self.now + random.below(NEWCOMER_HEARS_US);
            self.queue.push(at, Between::Learn { validator, epoch: plan.epoch.0 as u32 });
        }
    }

    /// A validator hears of the plan of an epoch: it tells its shards, and gets ready to open.
    pub(super) fn learns(&mut self, validator: usize, epoch: Epoch) {
        if self.handover.learned.insert((validator, epoch)) {
            if let Some(announced) = self.handover.plans.get(&epoch) {
                let tell = Between::Tell { validator: validator as u32, epoch: epoch.0 as u32 };
                self.queue.push(announced.tell_at.max(self.now), tell);
            }
            self.pursues(validator, epoch);
        }
    }

    /// A validator does what is left for it to do before an epoch.
    pub(super) fn pursues(&mut self, validator: usize, epoch: Epoch) {
        let Some(announced) = self.handover.plans.get(&epoch) else {
            return;
        };
        let is_time = announced.tell_at <= self.now;
        let announcement = announced.announcement.clone().filter(|_| is_time);
        let plan = Arc::clone(&announced.plan);
        for (engine, seat) in self.seats_of(validator, Epoch(epoch.0 - 1)) {
            let network = &mut self.shards[engine];
            network.engine.now = self.now;
            if let Some(announcement) = &announcement {
                for process in network.engine.instances(seat).to_vec() {
                    network.engine.submit_announcement(process, announcement);
                }
            }
        }
        for shard in self.handover.served(&plan) {
            if seat_in(&plan, shard, validator).is_some() {
                self.prepares(validator, &plan, shard);
            }
        }
    }

    /// The engines and seats of a validator in an epoch.
    fn seats_of(&self, validator: usize, epoch: Epoch) -> Vec<(usize, usize)> {
        let engines = self.places.iter().enumerate().filter(|(_, place)| place.epoch == epoch);
        engines
            .filter_map(|(engine, place)| {
                let seat = place.validators.iter().position(|number| *number == validator)?;
                Some((engine, seat))
            })
            .collect()
    }

    /// A validator fetches what it needs to open a shard, and opens it once all is there.
    fn prepares(&mut self, validator: usize, plan: &Arc<EpochPlan>, shard: ShardId) {
        let before = Epoch(plan.epoch.0 - 1);
        for origin in plan.origins(shard) {
            let Some(engine) = self.handover.engines.get(&(origin, before)).copied() else {
                // Its epoch has not opened anywhere yet: it is asked once it has.
                continue;
            };
            let has_seat = self.places[engine].validators.contains(&validator);
            if !has_seat && !self.handover.ends.contains_key(&(validator, origin, before)) {
                let networks = &mut self.shards;
                let digest = plan.digest();
                self.guests.invite(self.now, validator, engine, digest, networks, &mut self.queue);
            }
        }
        self.opens(validator, plan, shard);
    }

    /// A validator holds the end of a shard's epoch.
    pub(super) fn holds(&mut self, validator: usize, engine: usize, closed: Closed) {
        let place = self.places[engine].clone();
        let (shard, epoch) = (place.shard, place.epoch);
        let plan = Arc::clone(&closed.plan);
        self.handover.closed_at.entry((shard, epoch)).or_insert(self.now);
        self.handover.ends.entry((validator, shard, epoch)).or_insert(closed);
        self.learns(validator, plan.epoch);
        for successor in plan.successors(shard) {
            self.opens(validator, &plan, successor);
        }
    }

    /// A validator with a seat in a shard opens it, if it holds the ends of all its origins.
    fn opens(&mut self, validator: usize, plan: &Arc<EpochPlan>, shard: ShardId) {
        let Some(seat) = seat_in(plan, shard, validator) else {
            return;
        };
        let before = Epoch(plan.epoch.0 - 1);
        let ends: Option<Vec<Closed>> = plan
            .origins(shard)
            .into_iter()
            .map(|origin| self.handover.ends.get(&(validator, origin, before)).cloned())
            .collect();
        let Some(ends) = ends else {
            return;
        };
        let opening = Opening::after(plan, shard, &ends).expect("these are the ends");
        let place = (shard, plan.epoch);
        let digest = opening.checkpoint.digest();
        if *self.handover.opened.entry(place).or_insert(digest) != digest {
            let detail = format!("shard {shard} opens epoch {} in two ways", plan.epoch);
            self.handover.violations.push(Violation {
                invariant: "one_opening",
                time_us: self.now,
                validator: None,
                detail,
            });
        }
        let engine = match self.handover.engines.get(&place) {
            Some(engine) => *engine,
            None => self.add_engine(plan, shard),
        };
        self.handover.opened_at.entry(place).or_insert(self.now);
        if !self.handover.has_opened.insert((validator, shard, plan.epoch)) {
            return;
        }
        let network = &mut self.shards[engine].engine;
        network.now = self.now;
        for process in network.instances(seat).to_vec() {
            network.open(process, &opening);
        }
        if shard == BEACON {
            self.report_on(validator, before, engine, seat);
        } else {
            self.hand_on(validator, plan, shard, engine, seat);
        }
        self.react(engine);
    }

    /// What a validator had to report to the beacon goes into its next epoch.
    fn report_on(&mut self, validator: usize, before: Epoch, engine: usize, seat: usize) {
        let seats = self.seats_of(validator, before).into_iter();
        let old = seats.filter(|(engine, _)| self.places[*engine].shard == BEACON);
        let reports: Vec<qcn_types::Report> = old
            .filter_map(|(engine, seat)| self.shards[engine].shard(seat))
            .flat_map(qcn_shard::Shard::pending_reports)
            .collect();
        let network = &mut self.shards[engine].engine;
        for process in network.instances(seat).to_vec() {
            for report in &reports {
                network.submit_report(process, report.clone());
            }
        }
    }

    /// What the closed shards of a validator had not executed goes into the one that opens.
    fn hand_on(
        &mut self,
        validator: usize,
        plan: &EpochPlan,
        shard: ShardId,
        engine: usize,
        seat: usize,
    ) {
        for (old, old_seat) in self.seats_of(validator, Epoch(plan.epoch.0 - 1)) {
            let pending = self.shards[old].shard(old_seat).map(qcn_shard::Shard::pending);
            for transaction in pending.unwrap_or_default() {
                if plan.layout.shard_of(&transaction.body.sender) == shard {
                    let index = qcn_types::ValidatorIndex(seat as u16);
                    self.shards[engine].engine.submit(index, &transaction);
                }
            }
        }
    }

    /// A guest has fetched a final state.
    pub(super) fn found(&mut self, found: Option<Found>) {
        if let Some(Found { validator, engine, closed }) = found {
            if self.places[engine].shard == BEACON {
                self.beacon_closed(&closed);
            }
            self.holds(validator, engine, closed);
        }
    }

    /// At a process of an engine the epoch is over.
    pub(super) fn closed(&mut self, engine: usize, process: u16) {
        let running = &self.shards[engine].engine.processes[process as usize];
        let Some(closed) = running.shard.as_deref().and_then(qcn_shard::Shard::closed) else {
            return;
        };
        let validator = self.places[engine].validators[running.validator.position()];
        let retire = Between::Retire { engine: engine as u32, process };
        self.queue.push(self.now + LINGERS_US, retire);
        self.shards[engine].engine.invariants.epoch_is_over();
        if self.places[engine].shard == BEACON {
            self.beacon_closed(&closed);
        }
        self.holds(validator, engine, closed);
    }

    /// What can be judged only at the end: every planned epoch has opened everywhere.
    pub(super) fn epochs_at_end(&self) -> Vec<Violation> {
        let mut violations = self.handover.violations.clone();
        let mut report = |detail: String| {
            let invariant = "epochs_open";
            violations.push(Violation { invariant, time_us: self.now, validator: None, detail });
        };
        for (epoch, announced) in &self.handover.plans {
            if *epoch == Epoch(0) || announced.at + OPENS_WITHIN_US > self.now {
                continue;
            }
            for shard in self.handover.served(&announced.plan) {
                let Some(engine) = self.handover.engines.get(&(shard, *epoch)) else {
                    report(format!("shard {shard} never opened epoch {epoch}"));
                    continue;
                };
                let engine = &self.shards[*engine].engine;
                let waiting =
                    engine.processes.iter().filter(|it| it.honest && it.opening.is_none());
                for process in waiting {
                    let validator = process.validator;
                    report(format!("shard {shard}: {validator} never opened epoch {epoch}"));
                }
            }
        }
        violations
    }
}

/// The seat of a validator in a shard of a plan.
fn seat_in(plan: &EpochPlan, shard: ShardId, validator: usize) -> Option<usize> {
    seats_in(plan, shard).iter().position(|number| *number == validator)
}

/// The numbers of the validators in the seats of a shard.
fn seats_in(plan: &EpochPlan, shard: ShardId) -> Vec<usize> {
    let numbers: Vec<usize> = plan.validators.iter().map(|it| it.number as usize).collect();
    if shard == BEACON {
        return numbers;
    }
    let committee = plan.committees.iter().find(|committee| committee.shard == shard);
    let seats = committee.map(|committee| committee.seats.to_vec()).unwrap_or_default();
    seats.into_iter().filter_map(|seat| numbers.get(usize::from(seat)).copied()).collect()
}
