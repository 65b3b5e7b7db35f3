//! A scenario with its seed: everything resolved to integers, ready to run.

use std::sync::Arc;

use qcn_consensus::{Config, ConfigError};

use super::amount::{
    self, MS_MAX, SECONDS_MAX, TRANSACTIONS_PER_SECOND_MAX, micros, micros_of_seconds, per_million,
    within,
};
use super::choice::Chooser;
use super::error::{Path, Problem, ScenarioError};
use super::format::{Consensus, Scenario};
use super::words::Recipients;
use super::{adversaries, committee, faults};
use crate::adversary::Adversary;
use crate::disk::DiskModel;
use crate::fault::Fault;
use crate::keys::KeyRing;
use crate::network::LinkModel;

/// The most accounts that send.
const ACCOUNTS_MAX: u32 = 100_000;
/// The most packets that may be lost or doubled, in percent.
const LOSS_PERCENT_MAX: f64 = 50.0;
/// The most jitter, in percent.
const JITTER_PERCENT_MAX: f64 = 1000.0;
/// How far clocks are off if nothing else is said.
const CLOCK_SKEW_MS: f64 = 5.0;
/// The longest name, in letters.
const NAME_LETTERS_MAX: usize = 64;

/// A run, decided to the last integer.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The scenario's name.
    pub name: String,
    /// The seed of every random draw.
    pub seed: u64,
    /// The committee.
    pub members: Vec<PlannedMember>,
    /// The validators' keys.
    pub key_ring: KeyRing,
    /// One-way latencies in microseconds: row `from`, column `to`.
    pub one_way_us: Arc<[u32]>,
    /// What the links do to messages.
    pub links: LinkModel,
    /// How fast the disks are.
    pub disk: DiskModel,
    /// How far each clock may be off, in microseconds.
    pub clock_skew_us: u64,
    /// The parameters of the protocol.
    pub config: Config,
    /// Every how many schedule windows a snapshot is taken.
    pub snapshot_interval: u64,
    /// What clients do.
    pub load: PlannedLoad,
    /// What goes wrong, in the order of the file.
    pub faults: Vec<PlannedFault>,
    /// Who does not follow the protocol.
    pub adversaries: Vec<(usize, Adversary)>,
    /// How long the run is, in microseconds.
    pub virtual_us: u64,
    /// How much of its beginning is not measured, in microseconds.
    pub warm_up_us: u64,
    /// From when on nothing goes wrong any more, in microseconds.
    pub calm_from_us: Option<u64>,
    /// Whether every honest validator must finalize again after the last fault.
    pub progress: bool,
    /// Where the weights come from, for people.
    pub weights_source: String,
    /// Where the latencies come from, for people.
    pub latency_source: String,
}

/// A validator.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PlannedMember {
    /// Its name.
    pub name: String,
    /// Where it stands; empty where places mean nothing.
    pub region: String,
    /// Its voting power.
    pub weight: u64,
    /// Its processing power in thousandths.
    pub power_permille: u64,
}

/// What clients do.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PlannedLoad {
    /// Transactions per thousand seconds.
    pub transactions_per_1000_seconds: u64,
    /// How many accounts send and receive.
    pub accounts: u32,
    /// Whether validators get clients by their weight; otherwise all alike.
    pub by_weight: bool,
}

/// A fault and its time.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PlannedFault {
    /// When it begins, in microseconds.
    pub at_us: u64,
    /// What it is.
    pub fault: Fault,
}

impl Scenario {
    /// Reads a scenario file. `file` is how messages call it.
    ///
    /// # Errors
    /// [`ScenarioError`], with the place, what is wrong there and the remedy.
    pub fn parse(file: &str, text: &str) -> Result<Self, ScenarioError> {
        let mut scenario: Self =
            toml::from_str(text).map_err(|error| ScenarioError::syntax(file, text, &error))?;
        if scenario.name.is_empty() {
            let stem = std::path::Path::new(file).file_stem();
            scenario.name = stem.map_or_else(String::new, |stem| stem.to_string_lossy().into());
        }
        let seed = scenario.run.seed;
        match scenario.resolve(seed) {
            Ok(_) => Ok(scenario),
            Err(problem) => Err(ScenarioError::meaning(file, text, problem)),
        }
    }

    /// Resolves everything under a seed.
    ///
    /// # Errors
    /// [`ScenarioError`] without a place, for a scenario that did not come from a file.
    pub fn plan(&self, seed: u64) -> Result<Plan, ScenarioError> {
        self.resolve(seed).map_err(|problem| ScenarioError::meaning(&self.name, "", problem))
    }

    /// The scenario as a file.
    ///
    /// # Errors
    /// The library's, for a seed that TOML cannot write.
    pub fn to_toml(&self) -> Result<String, toml::ser::Error> {
        toml::to_string(self)
    }

    pub(super) fn resolve(&self, seed: u64) -> Result<Plan, Problem> {
        check_name(&self.name)?;
        let committee = committee::resolve(&self.network, seed)?;
        let mut chooser = Chooser::new(&committee.members, seed);
        let adversaries = adversaries::resolve(self, &mut chooser)?;
        let [virtual_us, warm_up_us] = self.duration()?;
        let calm_from_us = self.calm(virtual_us)?;
        let mut planned = Vec::new();
        for (index, fault) in self.fault.iter().enumerate() {
            planned.extend(faults::resolve(
                index,
                fault,
                calm_from_us.unwrap_or(virtual_us),
                &chooser,
            )?);
        }
        let load = self.load()?;
        self.check_expectations()?;
        self.check_shards()?;
        let plan = Plan {
            name: self.name.clone(),
            seed,
            key_ring: self.network.scheme,
            one_way_us: committee.one_way_us,
            links: self.links()?,
            disk: self.disk_model()?,
            clock_skew_us: micros(
                Path::of("network").key("clock_skew_ms"),
                self.network.clock_skew_ms.unwrap_or(CLOCK_SKEW_MS),
                0.0..=MS_MAX,
            )?,
            config: self.consensus.config()?,
            snapshot_interval: self.consensus.snapshots()?,
            load,
            faults: planned,
            adversaries,
            virtual_us,
            warm_up_us,
            calm_from_us,
            progress: self.expect.progress,
            weights_source: committee.weights_source,
            latency_source: committee.latency_source,
            members: committee.members,
        };
        self.check_layout(&plan)?;
        Ok(plan)
    }

    /// The length of the run and of its warm-up, in microseconds.
    fn duration(&self) -> Result<[u64; 2], Problem> {
        let path = |key| Path::of("run").key(key);
        let run = &self.run;
        let whole =
            micros_of_seconds(path("virtual_seconds"), run.virtual_seconds, 0.001..=SECONDS_MAX)?;
        let warm_up =
            micros_of_seconds(path("warm_up_seconds"), run.warm_up_seconds, 0.0..=SECONDS_MAX)?;
        if warm_up >= whole {
            return Err(Problem::new(
                path("warm_up_seconds"),
                "the warm-up is not shorter than the run, so nothing would be measured",
                "shorten it, or lengthen `virtual_seconds`",
            ));
        }
        Ok([whole, warm_up])
    }

    fn calm(&self, virtual_us: u64) -> Result<Option<u64>, Problem> {
        let path = || Path::of("run").key("calm_from_seconds");
        let Some(seconds) = self.run.calm_from_seconds else { return Ok(None) };
        let calm = micros_of_seconds(path(), seconds, 0.0..=SECONDS_MAX)?;
        if calm >= virtual_us {
            let remedy = "give a time before the end, or leave it out";
            return Err(Problem::new(path(), "the calm begins after the end of the run", remedy));
        }
        Ok(Some(calm))
    }

    fn load(&self) -> Result<PlannedLoad, Problem> {
        let path = |key| Path::of("load").key(key);
        let rate = self.load.transactions_per_second;
        let rate =
            within(path("transactions_per_second"), rate, 0.0..=TRANSACTIONS_PER_SECOND_MAX)?;
        if !(2..=ACCOUNTS_MAX).contains(&self.load.accounts) {
            return Err(Problem::new(
                path("accounts"),
                format!("{} accounts cannot send to each other", self.load.accounts),
                format!("give 2 to {ACCOUNTS_MAX}"),
            ));
        }
        Ok(PlannedLoad {
            transactions_per_1000_seconds: (rate * 1000.0).round() as u64,
            accounts: self.load.accounts,
            by_weight: self.load.to == Recipients::Weighted,
        })
    }

    fn links(&self) -> Result<LinkModel, Problem> {
        let network = &self.network;
        let path = |key| Path::of("network").key(key);
        let jitter =
            within(path("jitter_percent"), network.jitter_percent, 0.0..=JITTER_PERCENT_MAX)?;
        let bandwidth = network.bandwidth_mbit_per_s;
        let bandwidth =
            bandwidth.map(|mbit| amount::bits_per_second(path("bandwidth_mbit_per_s"), mbit));
        let loss = per_million(path("loss_percent"), network.loss_percent, LOSS_PERCENT_MAX)?;
        let twice = network.duplication_percent;
        Ok(LinkModel {
            jitter_permille: (jitter * 10.0).round() as u32,
            loss_per_million: loss,
            duplication_per_million: per_million(
                path("duplication_percent"),
                twice,
                LOSS_PERCENT_MAX,
            )?,
            bandwidth_bits_per_second: bandwidth.transpose()?,
            hold_over_cuts: network.hold_over_cuts,
        })
    }

    fn disk_model(&self) -> Result<DiskModel, Problem> {
        let path = |key| Path::of("disk").key(key);
        let mut model = DiskModel::default();
        if let Some(ms) = self.disk.write_ms {
            model.write_us = micros(path("write_ms"), ms, 0.0..=MS_MAX)?;
        }
        if let Some(ms) = self.disk.sync_ms {
            model.sync_us = micros(path("sync_ms"), ms, 0.0..=MS_MAX)?;
        }
        Ok(model)
    }

    fn check_expectations(&self) -> Result<(), Problem> {
        let path = |key| Path::of("expect").key(key);
        for (key, value) in [
            ("finality_over_bound_max", self.expect.finality_over_bound_max),
            ("rounds_per_second_min", self.expect.rounds_per_second_min),
        ] {
            if let Some(value) = value {
                within(path(key), value, 0.0..=1e6)?;
            }
        }
        Ok(())
    }
}

/// The name is part of file names.
fn check_name(name: &str) -> Result<(), Problem> {
    let fits =
        |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '-';
    if !name.is_empty() && name.len() <= NAME_LETTERS_MAX && name.chars().all(fits) {
        return Ok(());
    }
    Err(Problem::new(
        Path::of("name"),
        format!("`{name}` cannot be a scenario's name"),
        format!("give `name` with up to {NAME_LETTERS_MAX} lower-case letters, digits and hyphens"),
    ))
}

impl Consensus {
    fn snapshots(&self) -> Result<u64, Problem> {
        match self.snapshot_interval {
            Some(0) => Err(Problem::new(
                Path::of("consensus").key("snapshot_interval"),
                "without snapshots nobody who lost much could come back",
                "give at least 1",
            )),
            interval => Ok(interval.unwrap_or(1)),
        }
    }

    /// The machine's configuration.
    fn config(&self) -> Result<Config, Problem> {
        let path = |key| Path::of("consensus").key(key);
        let mut config = Config::default();
        if let Some(leaders) = self.leaders_per_round {
            config.leaders_per_round = leaders;
        }
        if let Some(depth) = self.gc_depth {
            config.gc_depth = depth;
        }
        if let Some(interval) = self.schedule_interval_commits {
            config.schedule_interval_commits = interval;
        }
        if let Some(drift) = self.max_clock_drift_ms {
            within(path("max_clock_drift_ms"), drift as f64, 0.0..=MS_MAX)?;
            config.max_clock_drift_ms = drift;
        }
        for (key, given, interval) in [
            ("leader_timeout_ms", self.leader_timeout_ms, &mut config.leader_timeout_us),
            (
                "leader_timeout_max_ms",
                self.leader_timeout_max_ms,
                &mut config.leader_timeout_max_us,
            ),
            (
                "min_round_interval_ms",
                self.min_round_interval_ms,
                &mut config.min_round_interval_us,
            ),
            (
                "idle_round_interval_ms",
                self.idle_round_interval_ms,
                &mut config.idle_round_interval_us,
            ),
            ("sync_delay_ms", self.sync_delay_ms, &mut config.sync_delay_us),
            ("resend_interval_ms", self.resend_interval_ms, &mut config.resend_interval_us),
        ] {
            if let Some(ms) = given {
                *interval = micros(path(key), ms, 0.0..=MS_MAX)?;
            }
        }
        match config.check() {
            Ok(()) => Ok(config),
            Err(error) => Err(config_problem(&error)),
        }
    }
}

/// What the machine does not accept, in the words and units of a scenario file.
fn config_problem(error: &ConfigError) -> Problem {
    let path = |key| Path::of("consensus").key(key);
    match error {
        ConfigError::NoLeaders => {
            let what = "without leaders nothing would ever commit";
            Problem::new(path("leaders_per_round"), what, "give at least 1")
        }
        ConfigError::ShallowGc { given, least } => Problem::new(
            path("gc_depth"),
            format!("a depth of {given} is too small"),
            format!("give at least {least}"),
        ),
        ConfigError::NoScheduleInterval => Problem::new(
            path("schedule_interval_commits"),
            "a schedule that never changes would never drop an isolated leader",
            "give at least 1",
        ),
        ConfigError::TimeoutAboveCap => Problem::new(
            path("leader_timeout_ms"),
            "the leader timeout starts above its own cap",
            "lower it, or raise `leader_timeout_max_ms`",
        ),
        ConfigError::ZeroInterval(name) => {
            let key = match *name {
                "sync_delay_us" => "sync_delay_ms",
                "resend_interval_us" => "resend_interval_ms",
                _ => "idle_round_interval_ms",
            };
            Problem::new(path(key), "an interval of zero would flood the network", "give 1 or more")
        }
    }
}
