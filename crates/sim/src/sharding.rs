//! Many shards in one virtual world (DESIGN sections 7 and 9).
//!
//! Each shard is an engine of its own with its committee, links, disks, faults and adversaries;
//! here they share one virtual time, and relayers carry receipts between them. A validator with
//! seats in two shards is a process in each with the same key; each seat has a processor of the
//! given power. Whichever engine has the earliest event goes on, the lower shard first, so that
//! a run is a function of its seed.

mod beacon;
mod builder;
mod captured;
mod describe;
mod engines;
mod guests;
mod handover;
mod membership;
mod random;
mod relay;
mod scripted;
mod shrink;
pub mod sweep;
mod traffic;
mod watch;

use std::sync::Arc;

use qcn_crypto::{Digest, Domain, hash};
use qcn_ledger::Received;
use qcn_shard::Message;
use qcn_types::{BlockRef, Epoch, Evidence, Height, Layout, Time, TransactionId, ValidatorIndex};
use serde::Serialize;

pub use beacon::{BeaconOptions, Changes, Pause};
pub use builder::{ShardedBuildError, ShardedBuilder};
pub(crate) use membership::check as check_membership;
pub use membership::{Change, MembershipError, MembershipEvent, Tallies, Tally};
pub use random::{ShardedPlan, random_shards};
pub use relay::BadRelayer;

use crate::engine::Engine;
use crate::invariants::Violation;
use crate::queue::EventQueue;
use crate::result::Percentiles;
use crate::simulator::QuantumNetworkSimulator;
use beacon::Duties;
use guests::Guests;
use handover::{Handover, Place};
use membership::Membership;
use relay::Links;
use traffic::Traffic;
use watch::Watch;

/// What a shard's engine tells about itself.
#[derive(Debug)]
pub(crate) enum Notice {
    /// A validator executed a checkpoint.
    Executed {
        process: u16,
        honest: bool,
        validator: ValidatorIndex,
        height: Height,
        /// Transactions that needed nobody else.
        applied: Vec<TransactionId>,
        received: Vec<Received>,
    },
    /// A validator has seen a certificate.
    Certified { validator: ValidatorIndex, height: Height },
    /// A validator took over a later state.
    Synchronised { process: u16, honest: bool },
    /// An honest validator signs a block.
    Signs { validator: ValidatorIndex },
    /// An honest validator proposes a block.
    Proposed { block: BlockRef },
    /// A validator has something new for other shards.
    Outgoing { process: u16 },
    /// A validator has proof of an offence.
    Proven { process: u16, evidence: Box<Evidence> },
    /// At a validator the epoch is over.
    Closed { process: u16 },
    /// A validator answers somebody without a seat.
    ToGuest { process: u16, guest: ValidatorIndex, message: Message },
}

/// What happens between shards.
#[derive(Clone, Copy, Debug)]
enum Between {
    /// A client of a shard submits the next transfer.
    Submit { engine: u32 },
    /// The scripted beacon ends an epoch.
    EndEpoch { number: u32 },
    /// A validator hears of the plan of an epoch.
    Learn { validator: u32, epoch: u32 },
    /// It is time for a validator to hand the plan to its shards.
    Tell { validator: u32, epoch: u32 },
    /// Validators look what they have to report to the beacon.
    Duty,
    /// Validators try again what they have not reached yet.
    Remind,
    /// A message between a guest and a member arrives.
    Letter { number: u32 },
    /// A guest's timer fires.
    Tick { guest: u32 },
    /// A closed shard's validator ends its rounds.
    Retire { engine: u32, process: u16 },
    /// A relayer looks whether there is something to carry.
    Look { link: u32 },
    /// What a relayer carries arrives.
    Arrive { link: u32, number: u32 },
}

/// How long transfers took, in milliseconds from handing in.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Latency {
    /// Until the certificate, of those that stayed in their shard.
    pub within_ms: Percentiles,
    /// Until the execution at the destination, of those that crossed.
    pub applied_ms: Percentiles,
    /// Until the certificate at the destination.
    pub across_ms: Percentiles,
}

/// A network of several shards.
#[derive(Debug)]
pub struct ShardedNetwork {
    description: ShardedBuilder,
    layout: Arc<Layout>,
    /// An engine for each epoch of each shard, in the order in which they opened.
    shards: Vec<QuantumNetworkSimulator>,
    /// Which shard and epoch each of them is.
    places: Vec<Place>,
    handover: Handover,
    guests: Guests,
    duties: Duties,
    membership: Membership,
    queue: EventQueue<Between>,
    links: Links,
    traffic: Traffic,
    watch: Watch,
    now: u64,
}

impl ShardedNetwork {
    /// Begins to describe a network of shards; every random draw of its run comes from `seed`.
    #[expect(clippy::new_ret_no_self, reason = "as with the simulator of one shard")]
    #[must_use]
    pub fn new(seed: u64) -> ShardedBuilder {
        ShardedBuilder::new(seed)
    }

    /// Which addresses belong to which shard.
    #[must_use]
    pub const fn layout(&self) -> &Arc<Layout> {
        &self.layout
    }

    /// The virtual time since the start.
    #[must_use]
    pub const fn now(&self) -> Time {
        Time(self.now)
    }

    /// One shard, to look at.
    #[must_use]
    pub fn shard(&self, shard: usize) -> Option<&QuantumNetworkSimulator> {
        self.shards.get(shard)
    }

    /// One shard, to disturb.
    pub fn shard_mut(&mut self, shard: usize) -> Option<&mut QuantumNetworkSimulator> {
        self.shards.get_mut(shard)
    }

    /// Runs until this time.
    pub fn run_to(&mut self, until: Time) {
        while let Some((time, shard)) = self.next() {
            if time > until.0 {
                break;
            }
            self.now = time;
            match shard {
                Some(shard) => {
                    self.shards[shard].engine.step();
                    self.react(shard);
                }
                None => self.between(),
            }
        }
        self.now = self.now.max(until.0);
        for shard in &mut self.shards {
            shard.run_to(until);
        }
    }

    /// The next thing that happens: in a shard, or between them.
    fn next(&mut self) -> Option<(u64, Option<usize>)> {
        let engines = self.shards.iter_mut().enumerate();
        let within = engines
            .filter_map(|(shard, network)| Some((network.engine.next_time()?, Some(shard))))
            .min();
        let between = self.queue.next_time().map(|time| (time, None));
        match (between, within) {
            (Some(between), Some(within)) if within.0 < between.0 => Some(within),
            (between, within) => between.or(within),
        }
    }

    fn between(&mut self) {
        let Some((_, happening)) = self.queue.pop() else {
            return;
        };
        match happening {
            Between::Submit { engine } => self.submits(engine),
            Between::Look { link } => self.looks(link),
            Between::EndEpoch { number } => self.ends_epoch(number),
            Between::Learn { validator, epoch } => {
                self.learns(validator as usize, Epoch(u64::from(epoch)));
            }
            Between::Tell { validator, epoch } => {
                self.pursues(validator as usize, Epoch(u64::from(epoch)));
            }
            Between::Duty => self.do_duties(),
            Between::Remind => self.remind(),
            Between::Letter { number } => {
                let (networks, queue) = (&mut self.shards, &mut self.queue);
                let (engine, found) = self.guests.arrives(self.now, number, networks, queue);
                if let Some(engine) = engine {
                    self.react(engine);
                }
                self.found(found);
            }
            Between::Tick { guest } => {
                let (networks, queue) = (&mut self.shards, &mut self.queue);
                let found = self.guests.tick(self.now, guest, networks, queue);
                self.found(found);
            }
            Between::Retire { engine, process } => {
                let network = &mut self.shards[engine as usize].engine;
                network.now = self.now;
                network.retire(process);
            }
            Between::Arrive { link, number } => {
                let to = self.links.arrive(link, number, &mut self.shards);
                self.react(to);
            }
        }
    }

    /// Takes in what a shard told.
    fn react(&mut self, shard: usize) {
        let notices = self.shards[shard].engine.notices.as_mut().map(std::mem::take);
        for notice in notices.unwrap_or_default() {
            match &notice {
                Notice::Outgoing { process } => {
                    for link in self.links.from(shard, *process) {
                        self.links.look(self.now, link, &mut self.shards, &mut self.queue);
                    }
                }
                Notice::Executed { process, validator, height, applied, received, .. } => {
                    let place = (shard, *validator, *height);
                    self.traffic.executed(self.now, place, applied, received);
                    if !received.is_empty() {
                        for link in self.links.to(shard, *process) {
                            self.links.look(self.now, link, &mut self.shards, &mut self.queue);
                        }
                    }
                }
                Notice::Certified { validator, height } => {
                    let place = (self.places[shard].shard, self.places[shard].epoch);
                    self.handover.certified_at.entry(place).or_insert(self.now);
                    self.traffic.certified(self.now, shard, *validator, *height);
                }
                Notice::Closed { process } => self.closed(shard, *process),
                Notice::Proven { process, evidence } => self.proven(shard, *process, evidence),
                Notice::ToGuest { process, guest, message } => {
                    let message = message.clone();
                    self.guests.answer(self.now, *process, *guest, message, &mut self.queue);
                }
                Notice::Synchronised { .. } | Notice::Signs { .. } | Notice::Proposed { .. } => {}
            }
            self.check_membership(shard, &notice);
            let place = &self.places[shard];
            let (engine, claims) = (&self.shards[shard].engine, &self.links.claims);
            self.watch.notice(self.now, place, &notice, engine, claims);
        }
    }

    /// How many shards there are in the newest epoch.
    #[must_use]
    pub fn shards_now(&self) -> usize {
        self.handover.newest().layout.shards().len()
    }

    /// How long transfers took that are final.
    #[must_use]
    pub fn latency(&self) -> Latency {
        let [within_ms, applied_ms, across_ms] = self.lives(|_| true).map(Percentiles::from_micros);
        Latency { within_ms, applied_ms, across_ms }
    }

    /// How long transfers took, in microseconds, whose end is one of the wanted times: within a
    /// shard until they were certified, across until they were executed and until they were certified
    /// there.
    fn lives(&self, is_wanted: impl Fn(u64) -> bool) -> [Vec<u64>; 3] {
        let took = |from: u64, at: Option<u64>| Some(at.filter(|at| is_wanted(*at))? - from);
        let within = self.shards.iter().flat_map(|shard| shard.engine.metrics.lives_within());
        let across = || self.traffic.crossings.values();
        [
            within.filter_map(|life| took(life.submitted, life.certified)).collect(),
            across().filter_map(|it| took(it.submitted, it.applied)).collect(),
            across().filter_map(|it| took(it.submitted, it.certified)).collect(),
        ]
    }

    /// How many transfers to another shard were submitted.
    #[must_use]
    pub fn crossings(&self) -> usize {
        self.traffic.crossings.len()
    }

    /// On how many lanes something has arrived that a captured shard made up.
    #[must_use]
    pub fn lanes_with_made_up_money(&self) -> usize {
        self.watch.made_up().len()
    }

    /// All broken invariants, of every shard and between them, judged as if the run ended here.
    pub fn check_consensus(&mut self) -> Vec<Violation> {
        let mut violations = self.watch.violations().to_vec();
        for (place, shard) in self.places.iter().zip(&mut self.shards) {
            violations.extend(shard.check_consensus().into_iter().map(|violation| Violation {
                detail: format!("{}: {}", place.describe(), violation.detail),
                ..violation
            }));
        }
        violations.extend(self.epochs_at_end());
        violations.extend(self.membership_at_end());
        let places = self.places.iter().zip(&self.shards);
        let newest = places.filter(|(place, _)| !self.handover.is_superseded(place));
        let engines: Vec<&Engine> = newest.map(|(_, shard)| &shard.engine).collect();
        let is_whole = !self.handover.is_under_way();
        let claims = &self.links.claims;
        let is_captured = |engine: usize| claims.is_captured(self.places[engine].shard);
        let (now, traffic) = (self.now, &self.traffic);
        let named = |engine: usize| self.places[engine].describe();
        violations.extend(self.watch.at_end(
            now,
            &engines,
            traffic,
            is_whole,
            &is_captured,
            &named,
        ));
        violations
    }

    /// What the busiest seat's processor has spent, in nanoseconds.
    pub(crate) fn busiest_ns(&self) -> u64 {
        let seats = self.shards.iter().flat_map(|shard| &shard.engine.processes);
        seats.map(|seat| seat.cpu.spent_ns.iter().sum()).max().unwrap_or(0)
    }

    /// The hash over everything that has happened in every shard.
    #[must_use]
    pub fn trace_hash(&self) -> Digest {
        let hashes = self.shards.iter().map(QuantumNetworkSimulator::trace_hash);
        let bytes: Vec<u8> = hashes.flat_map(|hash| hash.0).collect();
        hash(Domain::Simulation, &bytes)
    }
}

#[cfg(test)]
mod tests;
