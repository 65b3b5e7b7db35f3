//! From a plan to a simulator, and from its run to a result.

use qcn_consensus::BrokenRule;

use super::error::ScenarioError;
use super::expect;
use super::format::Scenario;
use super::plan::Plan;
use crate::engine::Load;
use crate::fault::Fault;
use crate::network::LatencyModel;
use crate::result::{RegionShare, RunResult};
use crate::simulator::{BuildError, QuantumNetworkSimulator};
use qcn_types::Time;

/// In how many slices a run is watched, at least.
const SLICES_MIN: u64 = 100;
/// How long a slice of a watched run is at most, in microseconds.
const SLICE_US_MAX: u64 = 250_000;
/// The invariant that [`Expect::progress`](super::Expect::progress) may switch off.
const PROGRESS: &str = "progress_after_healing";

/// How a scenario is run.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct RunOptions {
    /// Another seed than the scenario's.
    pub seed: Option<u64>,
    /// Whether the run ends soon after the first broken invariant.
    pub stop_at_violation: bool,
    /// A rule of the protocol that is broken on purpose, to see the invariants notice.
    #[doc(hidden)]
    pub broken_rule: Option<BrokenRule>,
}

/// How far a run is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Progress {
    /// The virtual time, in microseconds.
    pub now_us: u64,
    /// When it ends.
    pub end_us: u64,
    /// The highest round that a validator has reached.
    pub round: u64,
}

impl Scenario {
    /// Runs the scenario from its beginning to its end. `watch` is told how far it is.
    ///
    /// # Errors
    /// [`ScenarioError`] for a scenario that cannot run.
    pub fn run(
        &self,
        options: &RunOptions,
        watch: &mut dyn FnMut(Progress),
    ) -> Result<RunResult, ScenarioError> {
        let plan = self.plan(options.seed.unwrap_or(self.run.seed))?;
        let mut network = plan
            .simulator(options.broken_rule)
            .map_err(|error| ScenarioError::unplaced(&self.name, &error))?;
        let slice = (plan.virtual_us / SLICES_MIN).clamp(1, SLICE_US_MAX);
        let mut now_us = 0;
        while now_us < plan.virtual_us {
            now_us = (now_us + slice).min(plan.virtual_us);
            network.run_to(Time(now_us));
            watch(Progress { now_us, end_us: plan.virtual_us, round: highest_round(&network) });
            if options.stop_at_violation && !network.violations().is_empty() {
                break;
            }
        }
        Ok(self.result(&plan, &mut network))
    }

    /// The engine's result with what only the scenario knows.
    fn result(&self, plan: &Plan, network: &mut QuantumNetworkSimulator) -> RunResult {
        let mut result = network.result(plan.warm_up_us);
        result.scenario.clone_from(&plan.name);
        result.scenario_toml = self.to_toml().ok();
        let conditions = &mut result.conditions;
        conditions.weights = plan.describe_weights();
        conditions.latency_source.clone_from(&plan.latency_source);
        conditions.regions = plan.regions();
        for (validator, member) in result.validators.iter_mut().zip(&plan.members) {
            validator.region.clone_from(&member.region);
        }
        result.host.deliveries = network.deliveries();
        result.host.blocks = result.validators.iter().map(|validator| validator.blocks).sum();
        if !plan.progress {
            result.violations.retain(|violation| violation.invariant != PROGRESS);
        }
        let unmet = expect::unmet(&self.expect, &result);
        result.violations.extend(unmet);
        result
    }
}

fn highest_round(network: &QuantumNetworkSimulator) -> u64 {
    let rounds = (0..network.len()).filter_map(|index| network.shard(index));
    rounds.map(|shard| shard.status().round.0).max().unwrap_or(0)
}

impl Plan {
    /// The network, ready to run.
    ///
    /// # Errors
    /// [`BuildError`] for what only the engine can see.
    pub fn simulator(
        &self,
        broken_rule: Option<BrokenRule>,
    ) -> Result<QuantumNetworkSimulator, BuildError> {
        let members = &self.members;
        let mut builder = QuantumNetworkSimulator::new(self.seed)
            .weights(members.iter().map(|member| member.weight).collect())
            .key_ring(self.key_ring)
            .names(members.iter().map(|member| member.name.clone()).collect())
            .processing_powers_permille(members.iter().map(|one| one.power_permille).collect())
            .latency(LatencyModel::Matrix(self.one_way_us.clone()))
            .links(self.links.clone())
            .disk(self.disk)
            .clock_skew_us(self.clock_skew_us)
            .config(self.config.clone())
            .snapshot_interval(self.snapshot_interval)
            .accounts(self.load.accounts as usize);
        if let Some(load) = self.generated_load() {
            builder = builder.generated_load(load);
        }
        for &(validator, adversary) in &self.adversaries {
            builder = builder.adversary(validator, adversary);
        }
        for (at_us, fault) in self.all_faults() {
            builder = builder.fault(Time(at_us), fault);
        }
        if let Some(rule) = broken_rule {
            builder = builder.break_rule(rule);
        }
        builder.build()
    }

    fn generated_load(&self) -> Option<Load> {
        let interval_us = 1_000_000_000_u64.checked_div(self.load.transactions_per_1000_seconds)?;
        Some(Load {
            interval_us: interval_us.max(1),
            from_us: 0,
            until_us: self.virtual_us,
            by_weight: self.load.by_weight,
        })
    }

    /// The faults with their times. Where calm is asked for, nothing lasts longer, every cut
    /// heals then, and whoever is down comes up.
    fn all_faults(&self) -> Vec<(u64, Fault)> {
        let Some(calm) = self.calm_from_us else {
            return self.faults.iter().map(|one| (one.at_us, one.fault.clone())).collect();
        };
        let mut faults: Vec<(u64, Fault)> = self
            .faults
            .iter()
            .map(|one| (one.at_us, one.fault.clone().at_most(calm.saturating_sub(one.at_us))))
            .collect();
        faults.push((calm, Fault::Heal));
        faults
            .extend((0..self.members.len()).map(|validator| (calm, Fault::Restart { validator })));
        faults
    }

    fn describe_weights(&self) -> String {
        let weights = self.members.iter().map(|member| member.weight);
        let total = weights.clone().sum::<u64>().max(1) as f64;
        let share = |weight: Option<u64>| weight.unwrap_or(0) as f64 / total * 100.0;
        let (least, most) = (share(weights.clone().min()), share(weights.max()));
        format!("{}; the lightest has {least:.2}%, the heaviest {most:.2}%", self.weights_source)
    }

    /// The regions in use, by name.
    fn regions(&self) -> Vec<RegionShare> {
        let mut regions = std::collections::BTreeMap::<&str, RegionShare>::new();
        for member in self.members.iter().filter(|member| !member.region.is_empty()) {
            let share = regions.entry(&member.region).or_default();
            share.region.clone_from(&member.region);
            share.validators += 1;
            share.weight += member.weight;
        }
        regions.into_values().collect()
    }
}

impl Fault {
    /// The same fault, over by itself after at most so many microseconds.
    fn at_most(mut self, most_us: u64) -> Self {
        match &mut self {
            Self::Pause { duration_us, .. }
            | Self::LatencySpike { duration_us, .. }
            | Self::BandwidthCut { duration_us, .. }
            | Self::LossBurst { duration_us, .. }
            | Self::SlowDisk { duration_us, .. } => *duration_us = most_us.min(*duration_us),
            Self::Flapping { duration_us, period_us, .. } => {
                *duration_us = most_us.min(*duration_us);
                *period_us = most_us.min(*period_us);
            }
            Self::Churn { duration_us, down_us, .. } => {
                *duration_us = most_us.min(*duration_us);
                *down_us = most_us.min(*down_us);
            }
            Self::Crash { restart_after_us: Some(after), .. } => *after = most_us.min(*after),
            Self::Crash { restart_after_us: None, .. }
            | Self::Partition { .. }
            | Self::OneWay { .. }
            | Self::Isolate { .. }
            | Self::Heal
            | Self::Restart { .. }
            | Self::ClockJump { .. } => {}
        }
        self
    }
}

#[cfg(test)]
mod tests;
