//! The real beacon in the simulated world: one more committee, of all validators, and what each
//! of them does for it besides taking part.

use std::collections::{BTreeMap, BTreeSet};

use qcn_crypto::{ChainId, Digest, HashChain};
use qcn_ledger::{BeaconGenesis, BeaconParameters, Founder, Identity, KeySchemes, Ledger};
use qcn_shard::{Opening, Shard};
use qcn_types::{
    BEACON, Bounded, Checkpoint, Epoch, EpochPlan, Evidence, Layout, Report, ReportedOffence,
    Resharding, ShardId, Time, Weight,
};

use super::membership::chain_of;
use super::{Between, ShardedNetwork, Tally};
use crate::keys::KeyRing;

/// How often a validator looks whether there is something to report, in microseconds.
const DUTY_INTERVAL_US: u64 = 300_000;

/// How long members repeat a vote, in microseconds: an epoch may end in between.
const VOTES_FOR_US: u64 = 4_000_000;

/// A network with a beacon.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BeaconOptions {
    /// How many validators there are in all.
    pub validators: usize,
    /// The shortest epoch, in milliseconds.
    pub epoch_ms: u64,
    /// The most shards.
    pub shards_max: u16,
    /// A shard that executes more per second in two epochs in a row is split.
    pub split_above: u64,
    /// Siblings that execute less per second together in two epochs in a row are merged.
    pub merge_below: u64,
}

/// A shard between two epochs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Pause {
    /// The shard that opened.
    pub shard: ShardId,
    /// Which epoch.
    pub epoch: Epoch,
    /// What became of its addresses, if it was more than a new committee.
    pub change: Option<Resharding>,
    /// When the first of its origins was certified to be closed, at its first validator: nothing
    /// is executed from then on.
    pub from: Time,
    /// When its first checkpoint of the epoch was certified, at its first validator.
    pub until: Time,
    /// How many transfers across shards were under way anywhere at that time.
    pub under_way: usize,
}

/// How often things have changed in a network of shards.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Changes {
    /// Epochs that were followed by another one.
    pub epochs: u64,
    /// Committees of shards that have opened after the first.
    pub committees: u64,
    /// Shards that were split.
    pub splits: u64,
    /// Shards that were merged into their sibling.
    pub merges: u64,
}

impl std::ops::AddAssign for Changes {
    fn add_assign(&mut self, other: Self) {
        self.epochs += other.epochs;
        self.committees += other.committees;
        self.splits += other.splits;
        self.merges += other.merges;
    }
}

/// What validators do for the beacon.
#[derive(Debug, Default)]
pub(super) struct Duties {
    /// By who has them, and with which of its keys they go.
    chains: BTreeMap<(usize, usize), HashChain>,
    /// What each has proven in its shards and not seen reported.
    offences: BTreeMap<usize, Vec<ReportedOffence>>,
    ticks: u64,
}

impl BeaconOptions {
    /// The beacon's state at genesis, and the plan of the first epoch.
    pub(super) fn genesis(
        &self,
        chain: ChainId,
        keys: KeyRing,
        seed: Digest,
        layout: Layout,
        seats: usize,
        have_recovery: bool,
    ) -> Result<(Opening, EpochPlan), qcn_ledger::BeaconGenesisError> {
        let founder = |number: usize| {
            let key = keys.validator(number).public_key().clone();
            let name = format!("v{number}").into_bytes();
            let identity = Identity {
                name: Bounded::truncated(name),
                consensus: key.clone(),
                transport: key,
                recovery: have_recovery.then(|| keys.recovery(number).public_key().clone()),
                anchor: chain_of(chain, number, 0).anchor(),
                address: None,
            };
            Founder { identity, weight: Weight(1_000) }
        };
        let genesis = BeaconGenesis {
            parameters: BeaconParameters {
                seats: seats as u16,
                epoch_ms: self.epoch_ms,
                shards_max: self.shards_max,
                split_above: self.split_above,
                merge_below: self.merge_below,
                schemes: KeySchemes::all(),
            },
            seed,
            layout,
            validators: (0..self.validators).map(founder).collect(),
        };
        let (ledger, plan) = Ledger::beacon_genesis(chain, &genesis)?;
        let checkpoint =
            Checkpoint { shard: BEACON, state_root: ledger.state_root(), ..Checkpoint::default() };
        Ok((Opening { checkpoint, ledger, received: Vec::new() }, plan))
    }
}

impl ShardedNetwork {
    /// A validator has proof of an offence in one of its shards.
    pub(super) fn proven(&mut self, engine: usize, process: u16, evidence: &Evidence) {
        let place = &self.places[engine];
        if place.shard == BEACON {
            return;
        }
        let index = self.shards[engine].engine.processes[process as usize].validator;
        let validator = place.validators[index.position()];
        let (shard, epoch) = (place.shard, place.epoch);
        let offence = ReportedOffence { shard, epoch, evidence: evidence.clone() };
        self.duties.offences.entry(validator).or_default().push(offence);
    }

    /// All validators look whether there is something to report.
    pub(super) fn do_duties(&mut self) {
        self.duties.ticks += 1;
        let beacons = self.places.iter().enumerate().rev();
        let beacons: Vec<usize> =
            beacons.filter(|(_, place)| place.shard == BEACON).map(|(engine, _)| engine).collect();
        let everybody = beacons.iter().flat_map(|engine| self.places[*engine].validators.iter());
        let everybody: BTreeSet<usize> = everybody.copied().collect();
        for validator in everybody {
            let running = beacons.iter().find_map(|engine| {
                let seat =
                    self.places[*engine].validators.iter().position(|it| *it == validator)?;
                let process = *self.shards[*engine].engine.instances(seat).first()?;
                let process_is = &self.shards[*engine].engine.processes[process as usize];
                process_is.shard.is_some().then_some((*engine, process))
            });
            if let Some((engine, process)) = running {
                for report in self.reports_of(validator, engine, process) {
                    let network = &mut self.shards[engine].engine;
                    network.now = self.now;
                    network.submit_report(process, report);
                }
                self.react(engine);
            }
        }
        self.queue.push(self.now + DUTY_INTERVAL_US, Between::Duty);
    }

    fn reports_of(&mut self, validator: usize, engine: usize, process: u16) -> Vec<Report> {
        let mut reports = Vec::new();
        let epoch = self.places[engine].epoch;
        let running = self.shards[engine].engine.processes[process as usize].shard.as_deref();
        let Some(beacon) = running.and_then(|shard| shard.ledger().beacon()) else {
            return reports;
        };
        let chain = self.shards[0].engine.setup.keys.chain();
        let own = beacon.validator(validator as u32);
        if let Some(own) = own.filter(|own| own.revealed != Some(epoch)) {
            let who = self.membership.people.who(validator);
            // The chain that the register has may go with any of its keys.
            let revealed = (0..self.membership.people.keys(who).count()).find_map(|turn| {
                let chains = &mut self.duties.chains;
                let values =
                    chains.entry((who, turn)).or_insert_with(|| chain_of(chain, who, turn));
                values.reveal(values.revealed_up_to(&own.identity.anchor)?)
            });
            reports.extend(revealed.map(Report::Reveal));
        }
        // The state after the last execution is of the next epoch: what is told it would count there.
        if beacon.plan().epoch == epoch {
            let member = (validator, self.duties.ticks);
            let people = &self.membership.people;
            reports.extend(self.membership.matters.reports(self.now, member, beacon, people));
        }
        for (at, place) in self.places.iter().enumerate().filter(|(_, it)| it.epoch == epoch) {
            let seat = place.validators.iter().position(|number| *number == validator);
            let Some(seat) = seat.filter(|_| place.shard != BEACON) else {
                continue;
            };
            // They take turns: one certificate at a time is enough.
            let turn = self.duties.ticks + seat as u64;
            if turn.is_multiple_of(place.validators.len() as u64) {
                let certificate = self.shards[at].shard(seat).and_then(Shard::newest_certificate);
                reports.extend(certificate.map(Report::Checkpoint));
            }
        }
        let votes = self.description.votes.iter();
        let now = self.now;
        let voted = votes.filter(|(at, _)| (*at..at.saturating_add(VOTES_FOR_US)).contains(&now));
        reports.extend(voted.map(|(_, resharding)| Report::Reshard(*resharding)));
        let offences = self.duties.offences.remove(&validator).unwrap_or_default();
        reports.extend(offences.into_iter().map(|offence| Report::Offence(Box::new(offence))));
        reports
    }

    /// A validator's beacon has closed: it knows the plan of the next epoch.
    pub(super) fn beacon_closed(&mut self, closed: &qcn_shard::Closed) {
        let announcement = qcn_types::Announcement {
            certificate: closed.certificate.clone(),
            plan: closed.plan.as_ref().clone(),
        };
        let is_new = self.handover.plan(closed.plan.epoch).is_none();
        if let Some(beacon) = closed.ledger.beacon().filter(|_| is_new) {
            self.membership.people.read(&closed.plan);
            self.membership.matters.epoch_begins(self.now, beacon, &self.membership.people);
            let before = closed.plan.epoch.0.checked_sub(1).map(Epoch);
            if let Some(before) = before.and_then(|epoch| self.handover.plan(epoch)) {
                self.membership.check_plan(self.now, (before, &closed.plan), beacon);
            }
        }
        self.plan_is_announced(&std::sync::Arc::new(announcement));
    }

    /// The epoch that the beacon is in.
    #[must_use]
    pub fn epoch(&self) -> Epoch {
        self.handover.newest().epoch
    }

    /// The changes of the layout so far, each with the epoch that it began.
    #[must_use]
    pub fn reshardings(&self) -> Vec<(Epoch, Resharding)> {
        let plans = self.handover.plans.iter();
        plans
            .flat_map(|(epoch, it)| it.plan.reshardings.iter().map(move |change| (*epoch, *change)))
            .collect()
    }

    /// How many of the votes that were asked for have led to a change of the layout.
    #[must_use]
    pub fn votes(&self) -> Tally {
        let made = self.reshardings();
        let votes = &self.description.votes;
        let done = votes.iter().filter(|(_, vote)| made.iter().any(|(_, change)| change == vote));
        Tally { asked: votes.len() as u64, done: done.count() as u64 }
    }

    /// How often anything has changed so far, as far as a shard has opened with it.
    #[must_use]
    pub fn changes(&self) -> Changes {
        let opened = self.handover.opened_at.keys().filter(|(shard, _)| *shard != BEACON);
        let mut changes =
            Changes { committees: opened.clone().count() as u64, ..Changes::default() };
        let epochs: BTreeSet<Epoch> = opened.map(|(_, epoch)| *epoch).collect();
        changes.epochs = epochs.len() as u64;
        for (_, resharding) in self.reshardings().iter().filter(|(at, _)| epochs.contains(at)) {
            match resharding {
                Resharding::Split { .. } => changes.splits += 1,
                Resharding::Merge { .. } => changes.merges += 1,
            }
        }
        changes
    }

    /// What every shard that opened an epoch has paused for, in the order of shards and epochs.
    #[must_use]
    pub fn pauses(&self) -> Vec<Pause> {
        let certified = self.handover.certified_at.iter();
        certified
            .filter(|((shard, epoch), _)| *shard != BEACON && *epoch != Epoch(0))
            .filter_map(|((shard, epoch), until)| {
                let plan = self.handover.plan(*epoch)?;
                let before = Epoch(epoch.0 - 1);
                let origins = plan.origins(*shard);
                let ends = origins.iter().map(|it| self.handover.closed_at.get(&(*it, before)));
                let from = ends.flatten().min()?;
                let change = plan.reshardings.iter().find(|it| it.shards().contains(shard));
                let under_way = self.traffic.crossings.values().filter(|it| {
                    it.submitted <= *until && it.certified.is_some_and(|at| at >= *until)
                });
                Some(Pause {
                    shard: *shard,
                    epoch: *epoch,
                    change: change.copied(),
                    from: Time(*from),
                    until: Time(*until),
                    under_way: under_way.count(),
                })
            })
            .collect()
    }
}
