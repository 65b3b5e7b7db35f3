//! Describing a network of shards before it runs.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use qcn_consensus::Config;
use qcn_crypto::{ChainId, Digest, SeededRandomness};
use qcn_ledger::Territory;
use qcn_types::{Address, BEACON, Epoch, Layout, LayoutError, Resharding, ShardId, Time};

use super::beacon::{BeaconOptions, Duties};
use super::guests::Guests;
use super::handover::{Handover, Place};
use super::membership::{self, Change, Membership, MembershipError, MembershipEvent};
use super::relay::{BadRelayer, Links};
use super::traffic::{Rate, Traffic};
use super::watch::Watch;
use super::{Between, ShardedNetwork, scripted};
use crate::adversary::Adversary;
use crate::fault::Fault;
use crate::keys::{KeyRing, account_key};
use crate::network::LatencyModel;
use crate::queue::EventQueue;
use crate::random::Random;
use crate::simulator::{BuildError, QuantumNetworkSimulator, ShardPlace, SimulatorBuilder};

/// When clients begin, in microseconds: all validators are up then.
const FIRST_SUBMISSION_US: u64 = 100_000;

/// Why a network of shards cannot be built.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ShardedBuildError {
    /// No layout has so many shards.
    #[error(transparent)]
    Layout(#[from] LayoutError),
    /// A committee is not one.
    #[error("shard {0}: {1}")]
    Shard(ShardId, BuildError),
    /// A cross-validator needs a seat in each of two committees, and a committee others besides.
    #[error("{0} validators a shard are too few for cross-validators: at least 2 are needed")]
    TooFew(usize),
    /// The beacon cannot begin like this.
    #[error(transparent)]
    Beacon(#[from] qcn_ledger::BeaconGenesisError),
    /// Something cannot happen to who the validators are.
    #[error(transparent)]
    Membership(#[from] MembershipError),
    /// There is nobody to send to.
    #[error("transfers need at least 2 accounts in each shard, not {0}")]
    NoAccounts(usize),
}

/// A network of shards that is being described.
#[derive(Clone, Debug)]
pub struct ShardedBuilder {
    pub(super) seed: u64,
    pub(super) shards: usize,
    pub(super) validators: usize,
    accounts: usize,
    pub(super) key_ring: KeyRing,
    power_permille: u64,
    pub(super) latency: LatencyModel,
    config: Config,
    snapshot_interval: u64,
    pub(super) rate: Rate,
    pub(super) faults: Vec<(usize, u64, Fault)>,
    pub(super) adversaries: Vec<(usize, usize, Adversary)>,
    pub(super) bad_relayers: Vec<(usize, usize, BadRelayer)>,
    /// When epochs end by the script, and what changes in the layout then.
    pub(super) epochs: Vec<(u64, Vec<Resharding>)>,
    /// Shards between which nothing is carried, from when to when, in microseconds.
    pub(super) cuts: Vec<([ShardId; 2], u64, u64)>,
    /// A real beacon instead of a script.
    pub(super) beacon: Option<BeaconOptions>,
    /// What a message between a guest and a member takes, in microseconds.
    guest_latency_us: u64,
    /// What all validators vote for, and when, in microseconds.
    pub(super) votes: Vec<(u64, Resharding)>,
    /// What happens to who the validators are.
    pub(super) membership: Vec<MembershipEvent>,
    /// The numbers of all accounts' keys, once they are drawn.
    pub(super) account_numbers: Vec<usize>,
    /// Until when something goes wrong in shards that open later, in microseconds.
    pub(super) later_faults_until: u64,
}

impl ShardedBuilder {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            seed,
            shards: 2,
            validators: 4,
            accounts: 8,
            key_ring: KeyRing::default(),
            power_permille: 1_000,
            latency: LatencyModel::Between { low: 10_000, high: 60_000 },
            config: Config::default(),
            snapshot_interval: 1,
            rate: Rate { interval_us: 100_000, cross_permille: 100, until_us: u64::MAX },
            faults: Vec::new(),
            adversaries: Vec::new(),
            bad_relayers: Vec::new(),
            epochs: Vec::new(),
            cuts: Vec::new(),
            beacon: None,
            votes: Vec::new(),
            membership: Vec::new(),
            guest_latency_us: 40_000,
            account_numbers: Vec::new(),
            later_faults_until: 0,
        }
    }

    /// What a message between a member and somebody who gets a seat takes; 40 ms unless given.
    #[must_use]
    pub const fn guest_latency(mut self, microseconds: u64) -> Self {
        self.guest_latency_us = microseconds;
        self
    }

    /// Where every random draw of the run comes from.
    #[must_use]
    pub const fn seed(&self) -> u64 {
        self.seed
    }

    /// How many shards there are; 2 unless given.
    #[must_use]
    pub const fn shards(mut self, count: usize) -> Self {
        self.shards = count;
        self
    }

    /// How many seats each committee has; 4 unless given.
    #[must_use]
    pub const fn validators(mut self, count: usize) -> Self {
        self.validators = count;
        self
    }

    /// How many accounts each shard has at genesis; 8 unless given.
    #[must_use]
    pub const fn accounts(mut self, count: usize) -> Self {
        self.accounts = count;
        self
    }

    /// The validators' keys in all shards and epochs; Falcon-512 unless given.
    #[must_use]
    pub const fn key_ring(mut self, keys: KeyRing) -> Self {
        self.key_ring = keys;
        self
    }

    /// The processing power of each seat in thousandths; 1,000 unless given.
    #[must_use]
    pub const fn power_permille(mut self, power: u64) -> Self {
        self.power_permille = power;
        self
    }

    /// The one-way latencies within a shard, and between shards; 10 to 60 ms unless given.
    #[must_use]
    pub fn latency(mut self, latency: LatencyModel) -> Self {
        self.latency = latency;
        self
    }

    /// The parameters of consensus.
    #[must_use]
    pub fn config(mut self, config: Config) -> Self {
        self.config = config;
        self
    }

    /// Every how many schedule windows a snapshot is taken; 1 unless given.
    #[must_use]
    pub const fn snapshot_interval(mut self, windows: u64) -> Self {
        self.snapshot_interval = windows;
        self
    }

    /// How much clients of each shard submit, and which part of it to other shards.
    #[must_use]
    pub const fn load(mut self, per_second: u64, cross_permille: u64, until: Time) -> Self {
        let per_second = if per_second == 0 { 1 } else { per_second };
        let interval_us = 1_000_000 / per_second;
        let interval_us = if interval_us == 0 { 1 } else { interval_us };
        self.rate = Rate { interval_us, cross_permille, until_us: until.0 };
        self
    }

    /// The same in a thousand seconds, which may be none.
    #[must_use]
    pub const fn load_per_1000_seconds(
        mut self,
        count: u64,
        cross_permille: u64,
        until: Time,
    ) -> Self {
        let until_us = if count == 0 { 0 } else { until.0 };
        let interval_us = 1_000_000_000 / if count == 0 { 1 } else { count };
        let interval_us = if interval_us == 0 { 1 } else { interval_us };
        self.rate = Rate { interval_us, cross_permille, until_us };
        self
    }

    /// Something that will go wrong in a shard.
    #[must_use]
    pub fn fault(mut self, shard: usize, at: Time, fault: Fault) -> Self {
        self.faults.push((shard, at.0, fault));
        self
    }

    /// Makes a validator of a shard an adversary.
    #[must_use]
    pub fn adversary(mut self, shard: usize, validator: usize, adversary: Adversary) -> Self {
        self.adversaries.push((shard, validator, adversary));
        self
    }

    /// Makes the first relayers of a lane bad ones.
    #[must_use]
    pub fn bad_relayers(mut self, from: usize, to: usize, bad: BadRelayer) -> Self {
        self.bad_relayers.push((from, to, bad));
        self
    }

    /// An epoch ends: the committees are drawn anew, and the layout changes.
    #[must_use]
    pub fn epoch_ends(mut self, at: Time, reshardings: Vec<Resharding>) -> Self {
        self.epochs.push((at.0, reshardings));
        self.epochs.sort_by_key(|(at, _)| *at);
        self
    }

    /// Runs a beacon, which ends epochs by itself. Then adversaries are validators by their number
    /// in it: the shard that one is named with does not matter.
    #[must_use]
    pub fn beacon(mut self, options: BeaconOptions) -> Self {
        self.beacon = Some(options);
        self
    }

    /// All validators vote for a change of the layout.
    #[must_use]
    pub fn vote(mut self, at: Time, resharding: Resharding) -> Self {
        self.votes.push((at.0, resharding));
        self
    }

    /// Something happens to who the validators are. Those of the genesis have the numbers from 0 on,
    /// and whoever joins has a higher one.
    #[must_use]
    pub fn membership(mut self, at: Time, who: usize, change: Change) -> Self {
        self.membership.push(MembershipEvent { at: at.0, who, change });
        self
    }

    /// Two shards cannot reach each other for a while; within each of them all is well.
    #[must_use]
    pub fn cut_off(mut self, one: ShardId, other: ShardId, from: Time, until: Time) -> Self {
        self.cuts.push(([one, other], from.0, until.0));
        self
    }

    /// Lets random faults strike in shards that open later, until this time.
    #[must_use]
    pub const fn later_faults(mut self, until: Time) -> Self {
        self.later_faults_until = until.0;
        self
    }

    /// Builds the network.
    ///
    /// # Errors
    /// [`ShardedBuildError`], naming what does not fit.
    pub fn build(mut self) -> Result<ShardedNetwork, ShardedBuildError> {
        if self.validators < 2 && self.shards > 1 {
            return Err(ShardedBuildError::TooFew(self.validators));
        }
        if self.accounts < 2 {
            return Err(ShardedBuildError::NoAccounts(self.accounts));
        }
        let layout = Arc::new(Layout::even(self.shards)?);
        let accounts = self.accounts_of(&layout);
        self.account_numbers = accounts.concat();
        if let Some(options) = self.beacon.clone() {
            membership::check(&self.membership, options.validators)?;
            return self.build_with_beacon(layout, &options);
        }
        if !self.membership.is_empty() {
            return Err(MembershipError::NoBeacon.into());
        }
        let chain = self.chain();
        let mut shards = self.first_shards(&layout, chain, &accounts)?;
        let (places, handover) = self.first_epoch(&layout);
        for (network, place) in shards.iter_mut().zip(&places) {
            let engine = &mut network.engine;
            let sources = handover.sources(chain, place.shard, place.epoch);
            engine.setup.keys = engine.setup.keys.clone().with_sources(sources);
            engine.notices = Some(Vec::new());
        }
        let mut queue = EventQueue::new();
        for engine in 0..self.shards as u32 {
            queue.push(FIRST_SUBMISSION_US, Between::Submit { engine });
        }
        for (number, (at, _)) in self.epochs.iter().enumerate() {
            queue.push(*at, Between::EndEpoch { number: number as u32 });
        }
        if let Some((first, _)) = self.epochs.first() {
            queue.push(*first, Between::Remind);
        }
        let links = self.links();
        for link in 0..links.len() {
            links.look_again(0, link as u32, &mut queue);
        }
        let traffic = Traffic::new(self.seed, self.rate, &shards);
        let mut links = links;
        for ([one, other], from, until) in &self.cuts {
            links.cut([one.0 as usize, other.0 as usize], *from, *until);
        }
        Ok(ShardedNetwork {
            guests: Guests::new(self.guest_latency_us),
            membership: Membership::new(chain, self.key_ring, usize::MAX, &[], Time(0)),
            description: self,
            layout,
            places,
            handover,
            duties: Duties::default(),
            watch: Watch::default(),
            shards,
            queue,
            links,
            traffic,
            now: 0,
        })
    }

    /// The shards of the first epoch, where no beacon draws their committees.
    fn first_shards(
        &self,
        layout: &Arc<Layout>,
        chain: ChainId,
        accounts: &[Vec<usize>],
    ) -> Result<Vec<QuantumNetworkSimulator>, ShardedBuildError> {
        let one = |(index, shard): (usize, ShardId)| {
            let seats = 0..self.validators;
            let signing: Vec<_> =
                seats.map(|seat| self.key_ring.validator(self.number(index, seat))).collect();
            let place = ShardPlace {
                chain,
                territory: Territory::new(Arc::clone(layout), shard)
                    .expect("the shard is one of the layout's"),
                epoch: Epoch(0),
                members: signing.iter().map(|key| key.public_key().clone()).collect(),
                signing,
                accounts: accounts[index].clone(),
                begins_at: 0,
            };
            let network = self.one(index, place).build();
            network.map_err(|error| ShardedBuildError::Shard(shard, error))
        };
        layout.shards().iter().map(|(_, shard)| *shard).enumerate().map(one).collect()
    }

    /// The number of the key of a seat. Neighbouring shards share one validator: the last seat of
    /// the one is the first of the next.
    const fn number(&self, shard: usize, seat: usize) -> usize {
        if seat + 1 == self.validators && shard + 1 < self.shards {
            (shard + 1) * self.validators
        } else {
            shard * self.validators + seat
        }
    }

    /// The lowest numbers of accounts that fall into each shard.
    fn accounts_of(&self, layout: &Layout) -> Vec<Vec<usize>> {
        let mut by_shard: BTreeMap<ShardId, Vec<usize>> = BTreeMap::new();
        let mut number = 0;
        while by_shard.len() < self.shards
            || by_shard.values().any(|numbers| numbers.len() < self.accounts)
        {
            let address = Address::of(account_key(number).public_key());
            let numbers = by_shard.entry(layout.shard_of(&address)).or_default();
            if numbers.len() < self.accounts {
                numbers.push(number);
            }
            number += 1;
        }
        layout.shards().iter().filter_map(|(_, shard)| by_shard.remove(shard)).collect()
    }

    fn chain(&self) -> ChainId {
        let mut chain = [0; 32];
        SeededRandomness::from_u64(self.seed, "chain").fill(&mut chain);
        ChainId(Digest(chain))
    }

    /// The network with a beacon, whose genesis draws the first committees.
    fn build_with_beacon(
        self,
        layout: Arc<Layout>,
        options: &BeaconOptions,
    ) -> Result<ShardedNetwork, ShardedBuildError> {
        let chain = self.chain();
        let mut seed = [0; 32];
        SeededRandomness::from_u64(self.seed, "beacon").fill(&mut seed);
        let whole = Layout::clone(&layout);
        let keys = self.key_ring;
        let have_recovery = !self.membership.is_empty();
        let (opening, plan) =
            options.genesis(chain, keys, Digest(seed), whole, self.validators, have_recovery)?;
        let calm = Time(self.later_faults_until);
        let membership = Membership::new(chain, keys, options.validators, &self.membership, calm);
        let people = &membership.people;
        let numbers: Vec<ShardId> =
            layout.shards().iter().map(|(_, shard)| *shard).chain([BEACON]).collect();
        let places: Vec<Place> = numbers.iter().map(|shard| Place::of(&plan, *shard)).collect();
        let engines = numbers.iter().enumerate().map(|(at, shard)| ((*shard, Epoch(0)), at));
        let handover = Handover::begin(plan.clone(), engines.collect());
        let mut shards = Vec::with_capacity(places.len());
        for place in &places {
            let sources = handover.sources(chain, place.shard, place.epoch);
            let network = self.network_of(chain, (&plan, people), place, sources, 0);
            shards.push(network.map_err(|error| ShardedBuildError::Shard(place.shard, error))?);
        }
        for process in &mut shards[self.shards].engine.processes {
            process.opening = Some(opening.clone());
        }
        let links = Links::of(self.captured());
        let mut network = ShardedNetwork {
            traffic: Traffic::new(self.seed, self.rate, &shards),
            guests: Guests::new(self.guest_latency_us),
            membership,
            description: self,
            layout,
            handover,
            duties: Duties::default(),
            watch: Watch::default(),
            links,
            queue: EventQueue::new(),
            shards: Vec::new(),
            places: Vec::new(),
            now: 0,
        };
        for (place, shard) in places.into_iter().zip(shards) {
            network.places.push(place);
            network.shards.push(shard);
            network.connect(network.shards.len() - 1);
        }
        let count = network.description.shards;
        network.traffic.lives_on((0..count).collect());
        for engine in 0..count as u32 {
            network.queue.push(FIRST_SUBMISSION_US, Between::Submit { engine });
        }
        network.queue.push(FIRST_SUBMISSION_US, Between::Duty);
        network.queue.push(FIRST_SUBMISSION_US, Between::Remind);
        Ok(network)
    }

    /// The first epoch as a plan.
    fn first_epoch(&self, layout: &Layout) -> (Vec<Place>, Handover) {
        let committee = |shard| (0..self.validators).map(|seat| self.number(shard, seat)).collect();
        let committees: Vec<Vec<usize>> = (0..self.shards).map(committee).collect();
        let mut seed = [0; 32];
        SeededRandomness::from_u64(self.seed, "beacon").fill(&mut seed);
        let plan = scripted::first_plan(self.key_ring, Digest(seed), layout, &committees);
        let shards = layout.shards().iter().map(|(_, shard)| *shard);
        let engines = shards.clone().enumerate().map(|(engine, shard)| ((shard, Epoch(0)), engine));
        let handover = Handover::begin(plan, engines.collect());
        let places = shards.zip(committees);
        let places = places.map(|(shard, validators)| Place { shard, epoch: Epoch(0), validators });
        (places.collect(), handover)
    }

    /// The shards whose relayers have its keys, all lanes from which may suffer.
    pub(super) fn captured(&self) -> BTreeSet<ShardId> {
        let captured = self.bad_relayers.iter().filter(|(.., bad)| *bad == BadRelayer::Captures);
        captured.map(|(from, ..)| ShardId(*from as u32)).collect()
    }

    /// A network of one shard in one epoch, before faults and adversaries.
    pub(super) fn plain(&self, name: &str, place: ShardPlace) -> SimulatorBuilder {
        let seed = Random::new(self.seed, name).next_u64();
        let seats = place.members.len();
        QuantumNetworkSimulator::new(seed)
            .shard(place)
            .key_ring(self.key_ring)
            .processing_powers_permille(vec![self.power_permille; seats])
            .weights(vec![1_000; seats])
            .latency(self.latency.clone())
            .config(self.config.clone())
            .snapshot_interval(self.snapshot_interval)
    }

    /// The numbers of the keys of all adversaries.
    pub(super) fn faulty(&self) -> Vec<usize> {
        self.adversaries.iter().map(|(shard, seat, _)| self.number(*shard, *seat)).collect()
    }

    /// The adversaries by the number of their key.
    pub(super) fn adversary_of(&self, validator: usize) -> Option<Adversary> {
        let mut adversaries = self.adversaries.iter();
        let found = adversaries.find(|(shard, seat, _)| match self.beacon {
            Some(_) => *seat == validator,
            None => self.number(*shard, *seat) == validator,
        });
        found.map(|(.., adversary)| *adversary)
    }

    fn one(&self, shard: usize, place: ShardPlace) -> SimulatorBuilder {
        let mut one = self.plain(&format!("shard {shard}"), place);
        for (_, at, fault) in self.faults.iter().filter(|(place, ..)| *place == shard) {
            one = one.fault(Time(*at), fault.clone());
        }
        for (_, validator, adversary) in self.adversaries.iter().filter(|it| it.0 == shard) {
            one = one.adversary(*validator, *adversary);
        }
        one
    }

    /// The relayers of every lane. Latencies between shards are drawn as those within one.
    fn links(&self) -> Links {
        let mut random = Random::new(self.seed, "relayers");
        let mut latency_us = |from: usize, to: usize| match &self.latency {
            LatencyModel::Constant(us) => u64::from(*us),
            LatencyModel::Between { low, high } => {
                random.between(u64::from(*low), u64::from(*high))
            }
            LatencyModel::Matrix(matrix) => {
                matrix.get(from * self.validators + to).copied().map_or(0, u64::from)
            }
        };
        let mut links = Links::of(self.captured());
        for (from, to) in
            (0..self.shards).flat_map(|from| (0..self.shards).map(move |to| (from, to)))
        {
            if from != to {
                let shared = self.shared_seats(from, to);
                let validators = [self.validators; 2];
                links.connect([from, to], validators, shared, &mut latency_us);
            }
        }
        for (from, to, bad) in &self.bad_relayers {
            links.corrupt(*from, *to, *bad);
        }
        links
    }

    /// The seats of the validator that two shards share.
    const fn shared_seats(&self, from: usize, to: usize) -> Option<[usize; 2]> {
        if from + 1 == to {
            Some([self.validators - 1, 0])
        } else if to + 1 == from {
            Some([0, self.validators - 1])
        } else {
            None
        }
    }
}
