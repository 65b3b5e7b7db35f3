//! Engines that come and go with epochs.

use std::sync::Arc;

use qcn_crypto::ChainId;
use qcn_ledger::Territory;
use qcn_types::{Address, BEACON, CommitteeKeys, Epoch, EpochPlan, ShardId, Time};

use super::handover::Place;
use super::membership::People;
use super::random::later_faults;
use super::{Between, ShardedBuilder, ShardedNetwork, scripted};
use crate::fault::Fault;
use crate::keys::account_key;
use crate::network::LatencyModel;
use crate::random::Random;
use crate::simulator::{BuildError, QuantumNetworkSimulator, ShardPlace};

/// How often validators try again what they have not reached yet, in microseconds.
const REMIND_INTERVAL_US: u64 = 1_000_000;

/// Within which time most validators hear of a new plan, and all of them, in microseconds.
const HEARD_WITHIN_US: [u64; 2] = [500_000, 5_000_000];

impl ShardedNetwork {
    /// The scripted beacon ends the running epoch.
    pub(super) fn ends_epoch(&mut self, number: u32) {
        let Some((_, wanted)) = self.description.epochs.get(number as usize).cloned() else {
            return;
        };
        let before = Arc::clone(self.handover.newest());
        let (seats, faulty) = (self.description.validators, self.description.faulty());
        let Some(plan) = scripted::next_plan(&before, &wanted, seats, &faulty) else {
            return;
        };
        let chain = self.shards[0].engine.setup.keys.chain();
        let announcement = scripted::announce(chain, self.description.key_ring, &before, plan);
        self.plan_is_announced(&announcement);
        let epoch = announcement.plan.epoch.0;
        let mut random = Random::new(self.description.seed, &format!("epoch {epoch}"));
        for validator in announcement.plan.validators.iter().map(|it| it.number) {
            let within = HEARD_WITHIN_US[usize::from(random.chance(200_000))];
            let at = self.now + random.below(within);
            self.queue.push(at, Between::Learn { validator, epoch: epoch as u32 });
        }
    }

    /// Everybody tries again what has not come about: processes forget when they crash.
    pub(super) fn remind(&mut self) {
        for (validator, epoch) in self.handover.unfinished() {
            self.pursues(validator, epoch);
        }
        self.queue.push(self.now + REMIND_INTERVAL_US, Between::Remind);
    }

    pub(super) fn submits(&mut self, engine: u32) {
        let at = engine as usize;
        if let Some(next) = self.traffic.submit(self.now, at, &mut self.shards) {
            self.queue.push(next, Between::Submit { engine });
        }
        self.react(at);
    }

    pub(super) fn looks(&mut self, link: u32) {
        let [from, to] = self.links.ends(link);
        self.links.look(self.now, link, &mut self.shards, &mut self.queue);
        let is_over = |engine: usize| self.handover.is_superseded(&self.places[engine]);
        // What a closed shard has sent is carried on until its successors do; what is gone for
        // good is the destination.
        let is_long_over = is_over(from) && self.places[from].epoch.0 + 1 < self.newest_epoch();
        if !is_over(to) && !is_long_over {
            self.links.look_again(self.now, link, &mut self.queue);
        }
    }

    fn newest_epoch(&self) -> u64 {
        self.handover.newest().epoch.0
    }

    /// A shard opens an epoch somewhere: it gets an engine.
    pub(super) fn add_engine(&mut self, plan: &Arc<EpochPlan>, shard: ShardId) -> usize {
        let engine = self.shards.len();
        let place = Place::of(plan, shard);
        let chain = self.shards[0].engine.setup.keys.chain();
        let sources = self.handover.sources(chain, shard, plan.epoch);
        let people = &self.membership.people;
        let network = self.description.network_of(chain, (plan, people), &place, sources, self.now);
        self.shards.push(network.expect("as good as the first committees"));
        self.places.push(place);
        self.handover.engines.insert((shard, plan.epoch), engine);
        self.take_over_clients(plan, shard, engine);
        self.connect(engine);
        engine
    }

    /// Clients go to the shards that have their accounts now.
    fn take_over_clients(&mut self, plan: &EpochPlan, shard: ShardId, engine: usize) {
        if shard == BEACON {
            return self.traffic.add(&self.shards[engine]);
        }
        let before = Epoch(plan.epoch.0 - 1);
        for origin in plan.origins(shard) {
            if let Some(old) = self.handover.engines.get(&(origin, before)).copied() {
                let (olds, news) = self.shards.split_at_mut(engine);
                news[0].engine.clients.take_over(&olds[old].engine.clients);
            }
        }
        self.traffic.add(&self.shards[engine]);
        let superseded = |at: &usize| {
            let successors = self.handover.successors(&self.places[*at]);
            self.places[*at].shard == BEACON
                || successors.iter().any(|next| self.handover.engines.contains_key(next))
        };
        let live = (0..self.shards.len()).filter(|at| !superseded(at)).collect();
        self.traffic.lives_on(live);
        self.queue.push(self.now, Between::Submit { engine: engine as u32 });
    }
}

impl ShardedBuilder {
    /// The network of a shard in an epoch, with adversaries, and faults until all is calm.
    pub(super) fn network_of(
        &self,
        chain: ChainId,
        (plan, people): (&EpochPlan, &People),
        place: &Place,
        sources: Vec<CommitteeKeys>,
        now: u64,
    ) -> Result<QuantumNetworkSimulator, BuildError> {
        let prefix = plan.layout.prefix(place.shard);
        let is_here = |number: &usize| {
            let address = Address::of(account_key(*number).public_key());
            prefix.is_some_and(|prefix| prefix.covers(&address))
        };
        let accounts = self.account_numbers.iter().copied().filter(is_here).collect();
        let territory = Territory::of(plan, place.shard).unwrap_or_else(Territory::beacon);
        let planned =
            |number: &usize| plan.validators.iter().find(|it| it.number as usize == *number);
        let seated: Vec<_> = place.validators.iter().filter_map(planned).collect();
        let signing = seated.iter().map(|planned| people.signing_key(planned));
        let shard_place = ShardPlace {
            chain,
            territory,
            epoch: place.epoch,
            members: seated.iter().map(|planned| planned.key.clone()).collect(),
            signing: signing.collect::<Option<_>>().expect("everybody has the keys it registered"),
            accounts,
            begins_at: now,
        };
        let name = format!("shard {} in epoch {}", place.shard, place.epoch);
        let weights: Vec<u64> = seated.iter().map(|planned| planned.weight.0).collect();
        let tolerated = weights.iter().sum::<u64>().saturating_sub(1) / 3;
        let mut one = self.plain(&name, shard_place).weights(weights.clone());
        let mut faulty = None;
        for (seat, number) in place.validators.iter().enumerate() {
            if let Some(adversary) = self.adversary_of(people.who(*number)) {
                one = one.adversary(seat, adversary);
                faulty = Some(seat);
            }
        }
        let until = self.later_faults_until;
        let seats = place.validators.len();
        for (at, fault) in later_faults(self.seed, &name, (seats, faulty), now, until) {
            // Who has lost its disk may have signed anything, and counts as faulty.
            let may_lose = |validator: usize| weights[validator] <= tolerated;
            one = one.fault(Time(at), fault.losing_disks_of(may_lose));
        }
        for validator in 0..seats {
            one = one.fault(Time(until.max(now)), Fault::Restart { validator });
        }
        let mut network = one.build()?;
        let engine = &mut network.engine;
        engine.setup.keys = engine.setup.keys.clone().with_sources(sources);
        engine.setup.keys =
            engine.setup.keys.clone().with_heirs(plan.heirs.iter().copied().collect());
        engine.notices = Some(Vec::new());
        Ok(network)
    }
}

impl ShardedNetwork {
    /// Relayers between a new engine and all that it may exchange receipts with.
    pub(super) fn connect(&mut self, engine: usize) {
        let own = self.places[engine].clone();
        let mut random = Random::new(self.description.seed, &format!("relayers of {engine}"));
        let (low, high) = match self.description.latency {
            LatencyModel::Constant(us) => (us, us),
            LatencyModel::Between { low, high } => (low, high),
            LatencyModel::Matrix(_) => (10_000, 60_000),
        };
        let mut latency_us = |_: usize, _: usize| random.between(u64::from(low), u64::from(high));
        for other in 0..engine {
            let place = &self.places[other];
            let is_beacon = place.shard == BEACON || own.shard == BEACON;
            if is_beacon || place.shard == own.shard || place.epoch.0 + 1 < own.epoch.0 {
                continue;
            }
            let both_ways = place.epoch == own.epoch;
            let pairs = [(other, engine), (engine, other)];
            for (from, to) in pairs.into_iter().take(1 + usize::from(both_ways)) {
                let seats = |at: usize| self.places[at].validators.len();
                let shared =
                    self.places[from].validators.iter().enumerate().find_map(|(seat, it)| {
                        let there =
                            self.places[to].validators.iter().position(|other| other == it)?;
                        Some([seat, there])
                    });
                let first = self.links.len();
                self.links.connect([from, to], [seats(from), seats(to)], shared, &mut latency_us);
                for (cut, begins, ends) in &self.description.cuts {
                    // A lane out of the epoch before leads one way only.
                    let pair = [from, to].map(|at| self.places[at].shard);
                    if pair.iter().all(|shard| cut.contains(shard)) {
                        self.links.cut([from, to], *begins, *ends);
                    }
                }
                let numbers = [from, to].map(|at| self.places[at].shard.0 as usize);
                for (source, destination, bad) in &self.description.bad_relayers {
                    if numbers == [*source, *destination] {
                        self.links.corrupt(from, to, *bad);
                    }
                }
                for link in first..self.links.len() {
                    self.links.look_again(self.now, link as u32, &mut self.queue);
                }
            }
        }
    }
}
