//! Describing a network before it runs.

use std::sync::Arc;

use qcn_consensus::{BrokenRule, Config, ConfigError};
use qcn_crypto::{ChainId, Digest, PublicKey, SeededRandomness, SigningKey};
use qcn_ledger::{GenesisAccount, Territory};
use qcn_types::{
    Address, Amount, Committee, CommitteeError, CommitteeKeys, Epoch, Member, ShardId, Time, Weight,
};

use super::QuantumNetworkSimulator;
use crate::adversary::Adversary;
use crate::disk::DiskModel;
use crate::engine::{Engine, Load, Setup};
use crate::fault::Fault;
use crate::keys::{KeyRing, account_key};
use crate::network::{LatencyModel, LinkModel, Network};
use crate::result::EventKind;

/// What every account has at genesis.
const GENESIS_BALANCE: u64 = 1_000_000_000;
/// The weight of a validator of processing power 1.
const WEIGHT_PER_POWER: u64 = 1_000;

/// Why a network cannot be built.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum BuildError {
    /// The committee is not one.
    #[error(transparent)]
    Committee(#[from] CommitteeError),
    /// The parameters of consensus do not work together.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Lists that must have one entry per validator do not.
    #[error("{what} has {given} entries for {validators} validators: give one for each")]
    Count {
        /// Which list.
        what: &'static str,
        /// How many entries it has.
        given: usize,
        /// How many validators there are.
        validators: usize,
    },
    /// A processing power of zero.
    #[error("validator {0} has no processing power: give it more than 0")]
    NoPower(usize),
    /// A fault or adversary names a validator that does not exist.
    #[error("there is no validator {given}: the last is {last}")]
    NoSuchValidator {
        /// What was given.
        given: usize,
        /// The highest index.
        last: usize,
    },
    /// Two adversaries in one place.
    #[error("validator {0} is two adversaries: choose one")]
    TwoAdversaries(usize),
}

/// A network that is being described. See [`QuantumNetworkSimulator::new`].
#[derive(Clone, Debug)]
pub struct SimulatorBuilder {
    seed: u64,
    validators: usize,
    names: Option<Vec<String>>,
    key_ring: KeyRing,
    weights: Option<Vec<u64>>,
    powers_permille: Option<Vec<u64>>,
    latency: LatencyModel,
    links: LinkModel,
    bandwidths: Vec<(usize, Option<u64>)>,
    config: Config,
    accounts: usize,
    load: Option<Load>,
    faults: Vec<(u64, Fault)>,
    adversaries: Vec<(usize, Adversary)>,
    disk: DiskModel,
    clock_skew_us: u64,
    start_spread_us: u64,
    snapshot_interval: u64,
    place: Option<ShardPlace>,
}

/// Where a network stands among the shards of a larger one.
#[derive(Clone, Debug)]
pub(crate) struct ShardPlace {
    pub(crate) chain: ChainId,
    pub(crate) territory: Territory,
    pub(crate) epoch: Epoch,
    /// Who the members are: their keys, and the keys with which they sign.
    pub(crate) members: Vec<PublicKey>,
    pub(crate) signing: Vec<SigningKey>,
    /// The numbers of the accounts' keys.
    pub(crate) accounts: Vec<usize>,
    /// When it begins to exist.
    pub(crate) begins_at: u64,
}

impl SimulatorBuilder {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            seed,
            validators: 4,
            names: None,
            key_ring: KeyRing::default(),
            weights: None,
            powers_permille: None,
            latency: LatencyModel::Between { low: 10_000, high: 60_000 },
            links: LinkModel::default(),
            bandwidths: Vec::new(),
            config: Config::default(),
            accounts: 16,
            load: None,
            faults: Vec::new(),
            adversaries: Vec::new(),
            disk: DiskModel::default(),
            clock_skew_us: 5_000,
            start_spread_us: 5_000,
            snapshot_interval: 1,
            place: None,
        }
    }

    /// How many validators there are; 4 unless given.
    #[must_use]
    pub const fn validators(mut self, count: usize) -> Self {
        self.validators = count;
        self
    }

    /// The validators' names; `v0`, `v1` and so on unless given.
    #[must_use]
    pub fn names(mut self, names: Vec<String>) -> Self {
        self.names = Some(names);
        self
    }

    /// The validators' keys; Falcon-512 unless given.
    #[must_use]
    pub const fn key_ring(mut self, keys: KeyRing) -> Self {
        self.key_ring = keys;
        self
    }

    /// The validators' weights; 1,000 per unit of processing power unless given.
    #[must_use]
    pub fn weights(mut self, weights: Vec<u64>) -> Self {
        self.validators = weights.len();
        self.weights = Some(weights);
        self
    }

    /// The validators' processing powers in thousandths; 1,000 unless given.
    #[must_use]
    pub fn processing_powers_permille(mut self, powers: Vec<u64>) -> Self {
        self.validators = powers.len();
        self.powers_permille = Some(powers);
        self
    }

    /// The validators' processing powers, 1 being the calibrated machine.
    #[must_use]
    pub fn processing_powers(self, powers: &[f64]) -> Self {
        let permille = powers.iter().map(|power| (power * 1_000.0).round().max(0.0) as u64);
        self.processing_powers_permille(permille.collect())
    }

    /// The one-way latencies; drawn between 10 and 60 ms unless given.
    #[must_use]
    pub fn latency(mut self, latency: LatencyModel) -> Self {
        self.latency = latency;
        self
    }

    /// What the links do to messages.
    #[must_use]
    pub const fn links(mut self, links: LinkModel) -> Self {
        self.links = links;
        self
    }

    /// What every validator can send, in bits per second; `None` is without limit.
    #[must_use]
    pub const fn bandwidth(mut self, bits_per_second: Option<u64>) -> Self {
        self.links.bandwidth_bits_per_second = bits_per_second;
        self
    }

    /// What one validator can send, in bits per second.
    #[must_use]
    pub fn bandwidth_of(mut self, validator: usize, bits_per_second: Option<u64>) -> Self {
        self.bandwidths.push((validator, bits_per_second));
        self
    }

    /// The parameters of consensus.
    #[must_use]
    pub fn config(mut self, config: Config) -> Self {
        self.config = Config { broken_rule: self.config.broken_rule, ..config };
        self
    }

    /// So many generated transfers per second between so many accounts, during the whole run.
    #[must_use]
    pub const fn load(self, transactions_per_second: u64, accounts: usize) -> Self {
        let mut builder = self.accounts(accounts);
        builder.load = match transactions_per_second {
            0 => None,
            some => Some(Load::per_second(some)),
        };
        builder
    }

    /// Generated transfers.
    #[must_use]
    pub const fn generated_load(mut self, load: Load) -> Self {
        self.load = Some(load);
        self
    }

    /// How many accounts have something at genesis; 16 unless given.
    #[must_use]
    pub const fn accounts(mut self, accounts: usize) -> Self {
        self.accounts = accounts;
        self
    }

    /// Something that will go wrong.
    #[must_use]
    pub fn fault(mut self, at: Time, fault: Fault) -> Self {
        self.faults.push((at.0, fault));
        self
    }

    /// Makes a validator an adversary.
    #[must_use]
    pub fn adversary(mut self, validator: usize, adversary: Adversary) -> Self {
        self.adversaries.push((validator, adversary));
        self
    }

    /// How fast the disks are.
    #[must_use]
    pub const fn disk(mut self, disk: DiskModel) -> Self {
        self.disk = disk;
        self
    }

    /// How far clocks are off at most, in microseconds; 5 ms unless given.
    #[must_use]
    pub const fn clock_skew_us(mut self, skew: u64) -> Self {
        self.clock_skew_us = skew;
        self
    }

    /// Within which time all validators start, in microseconds; 5 ms unless given.
    #[must_use]
    pub const fn start_spread_us(mut self, spread: u64) -> Self {
        self.start_spread_us = spread;
        self
    }

    /// Every how many schedule windows a snapshot is taken; 1 unless given.
    #[must_use]
    pub const fn snapshot_interval(mut self, windows: u64) -> Self {
        self.snapshot_interval = windows;
        self
    }

    /// Makes it one shard of several.
    pub(crate) fn shard(mut self, place: ShardPlace) -> Self {
        self.validators = place.members.len();
        self.accounts = place.accounts.len();
        self.place = Some(place);
        self
    }

    fn shard_id(&self) -> ShardId {
        self.place.as_ref().map_or(ShardId(0), |place| place.territory.shard())
    }

    /// The key of the member with this index.
    fn member_key(&self, index: usize) -> PublicKey {
        let placed = self.place.as_ref().and_then(|place| place.members.get(index)).cloned();
        placed.unwrap_or_else(|| self.key_ring.validator(index).public_key().clone())
    }

    /// The key with which it signs.
    fn signing_key(&self, index: usize) -> SigningKey {
        let placed = self.place.as_ref().and_then(|place| place.signing.get(index)).cloned();
        placed.unwrap_or_else(|| self.key_ring.validator(index))
    }

    /// Breaks a rule of the protocol everywhere, to see the invariants notice.
    #[doc(hidden)]
    #[must_use]
    pub const fn break_rule(mut self, rule: BrokenRule) -> Self {
        self.config.broken_rule = Some(rule);
        self
    }

    /// Builds the network.
    ///
    /// # Errors
    /// [`BuildError`], naming what does not fit.
    pub fn build(self) -> Result<QuantumNetworkSimulator, BuildError> {
        let validators = self.validators;
        let powers_permille = self.powers()?;
        let (committee, caps) = self.committee(&powers_permille)?;
        self.config.check()?;
        self.check_places()?;
        let weights: Vec<u64> = committee.members().iter().map(|member| member.weight.0).collect();
        let names = committee.members().iter().map(|member| member.name.clone()).collect();
        let setup = self.setup(committee, powers_permille.clone());
        let twins: Vec<usize> = self
            .adversaries
            .iter()
            .filter(|(_, adversary)| *adversary == Adversary::Twins)
            .map(|(validator, _)| *validator)
            .collect();
        let mut network = self.network(validators, &twins)?;
        for (validator, bandwidth) in &self.bandwidths {
            network.set_bandwidth(*validator, *bandwidth);
        }
        let mut engine = Engine::new(setup, network, &self.adversaries, self.load, self.faults);
        for cap in caps {
            let text = format!("the weight of {} is lowered to {}", cap.member, cap.given);
            engine.metrics.note(0, EventKind::Other, text);
        }
        for (validator, adversary) in &self.adversaries {
            let text = format!("validator {validator} is a {adversary}");
            engine.metrics.note(0, EventKind::Adversary, text);
        }
        let load_per_second = self.load.map_or(0.0, |load| 1e6 / load.interval_us as f64);
        Ok(QuantumNetworkSimulator {
            engine,
            names,
            weights,
            powers_permille,
            load_per_second,
            adversaries: self.adversaries,
        })
    }

    fn powers(&self) -> Result<Vec<u64>, BuildError> {
        let validators = self.validators;
        let powers = self.powers_permille.clone().unwrap_or_else(|| vec![1_000; validators]);
        one_each("processing_powers", powers.len(), validators)?;
        match powers.iter().position(|power| *power == 0) {
            Some(validator) => Err(BuildError::NoPower(validator)),
            None => Ok(powers),
        }
    }

    fn committee(
        &self,
        powers_permille: &[u64],
    ) -> Result<(Committee, Vec<qcn_types::Cap>), BuildError> {
        let validators = self.validators;
        let weights = self.weights.clone().unwrap_or_else(|| {
            powers_permille.iter().map(|power| power * WEIGHT_PER_POWER / 1_000).collect()
        });
        one_each("weights", weights.len(), validators)?;
        let names = match &self.names {
            Some(names) => names.clone(),
            None => (0..validators).map(|validator| format!("v{validator}")).collect(),
        };
        one_each("names", names.len(), validators)?;
        let members = names.into_iter().zip(weights).enumerate().map(|(index, (name, weight))| {
            Member { name, key: self.member_key(index), weight: Weight(weight) }
        });
        let epoch = self.place.as_ref().map_or(Epoch(0), |place| place.epoch);
        Ok(Committee::form(self.shard_id(), epoch, members.collect())?)
    }

    /// Whether every fault and adversary names a validator that exists.
    fn check_places(&self) -> Result<(), BuildError> {
        let last = self.validators - 1;
        let mut named: Vec<usize> =
            self.adversaries.iter().map(|(validator, _)| *validator).collect();
        named.sort_unstable();
        if let Some(pair) = named.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(BuildError::TwoAdversaries(pair[0]));
        }
        named.extend(self.bandwidths.iter().map(|(validator, _)| *validator));
        named.extend(self.faults.iter().flat_map(|(_, fault)| fault.validators()));
        match named.into_iter().find(|validator| *validator > last) {
            Some(given) => Err(BuildError::NoSuchValidator { given, last }),
            None => Ok(()),
        }
    }

    fn setup(&self, committee: Committee, powers_permille: Vec<u64>) -> Setup {
        let chain = self.chain();
        let committee = Arc::new(committee);
        let keys = CommitteeKeys::decode(chain, Arc::clone(&committee))
            .expect("generated keys always decode");
        let account_numbers: Arc<[usize]> = match &self.place {
            Some(place) => place.accounts.iter().copied().collect(),
            None => (0..self.accounts).collect(),
        };
        let accounts = account_numbers.iter().map(|number| GenesisAccount {
            address: Address::of(account_key(*number).public_key()),
            balance: Amount(GENESIS_BALANCE),
        });
        let place = self.place.as_ref();
        let territory = place.map(|place| place.territory.clone());
        let mut epoch_seed = [0; 32];
        SeededRandomness::from_u64(self.seed, "epoch").fill(&mut epoch_seed);
        Setup {
            seed: self.seed,
            keys,
            signing: (0..committee.len()).map(|index| self.signing_key(index)).collect(),
            key_ring: self.key_ring,
            epoch_seed: Digest(epoch_seed),
            consensus: self.config.clone(),
            territory: territory.unwrap_or_else(|| Territory::whole(ShardId(0))),
            accounts: accounts.collect(),
            account_numbers,
            snapshot_interval: self.snapshot_interval,
            powers_permille,
            disk: self.disk,
            clock_skew_us: self.clock_skew_us,
            start_spread_us: self.start_spread_us,
            begins_at: place.map_or(0, |place| place.begins_at),
            waits_for_opening: place.is_some_and(|place| place.epoch != Epoch(0)),
        }
    }

    /// Every run is a network of its own, so that nothing signed in one counts in another.
    fn chain(&self) -> ChainId {
        if let Some(place) = &self.place {
            return place.chain;
        }
        let mut chain = [0; 32];
        SeededRandomness::from_u64(self.seed, "chain").fill(&mut chain);
        ChainId(Digest(chain))
    }

    /// The links of all processes; a second twin stands where the first one does.
    fn network(&self, validators: usize, twins: &[usize]) -> Result<Network, BuildError> {
        let matrix = self.latency.matrix(validators, self.seed);
        let matrix = matrix.ok_or(BuildError::Count {
            what: "the latency matrix (one per pair)",
            given: match &self.latency {
                LatencyModel::Matrix(matrix) => matrix.len(),
                LatencyModel::Constant(_) | LatencyModel::Between { .. } => 0,
            },
            validators,
        })?;
        let places: Vec<usize> = (0..validators).chain(twins.iter().copied()).collect();
        let all = places.iter().flat_map(|from| {
            let matrix = &matrix;
            places.iter().map(move |to| matrix[from * validators + to])
        });
        let matrix: Arc<[u32]> = all.collect();
        Ok(Network::new(matrix, places.len(), self.links.clone(), self.seed))
    }
}

fn one_each(what: &'static str, given: usize, validators: usize) -> Result<(), BuildError> {
    if given == validators { Ok(()) } else { Err(BuildError::Count { what, given, validators }) }
}
