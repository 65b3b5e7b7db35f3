//! From a scenario to a sweep over shards.

use qcn_types::MAX_SHARDS;

use super::error::{Path, Problem, ScenarioError};
use super::format::{Scenario, Shards};
use super::plan::Plan;
use crate::network::LatencyModel;
use crate::sharding::sweep::SweepPlan;

impl Scenario {
    /// The sweep that the scenario describes, if it has shards.
    ///
    /// # Errors
    /// [`ScenarioError`] for a scenario that cannot run.
    pub fn sweep(&self, seed: u64) -> Result<Option<SweepPlan>, ScenarioError> {
        let Some(shards) = &self.shards else {
            return Ok(None);
        };
        let plan = self.plan(seed)?;
        self.sweep_of(shards, &plan)
            .map(Some)
            .map_err(|problem| ScenarioError::meaning(&self.name, "", problem))
    }

    fn sweep_of(&self, shards: &Shards, plan: &Plan) -> Result<SweepPlan, Problem> {
        let Some(first) = plan.members.first() else {
            return Err(unequal());
        };
        let alike = |power, weight| power == first.power_permille && weight == first.weight;
        if !plan.members.iter().all(|member| alike(member.power_permille, member.weight)) {
            return Err(unequal());
        }
        Ok(SweepPlan {
            seed: plan.seed,
            shards: shards.counts.clone(),
            cross_percents: shards.cross_percents.clone(),
            validators: plan.members.len(),
            key_ring: plan.key_ring,
            power_permille: first.power_permille,
            accounts: plan.load.accounts as usize,
            offered_per_second: (plan.load.transactions_per_1000_seconds / 1_000).max(1),
            latency_per_second: shards.latency_transactions_per_second,
            latency: LatencyModel::Matrix(plan.one_way_us.clone()),
            latency_source: plan.latency_source.clone(),
            consensus: plan.config.clone(),
            warm_up_us: plan.warm_up_us,
            measured_us: plan.virtual_us - plan.warm_up_us,
        })
    }

    /// Whether a sweep can run at all.
    pub(super) fn check_shards(&self) -> Result<(), Problem> {
        let Some(shards) = &self.shards else {
            return Ok(());
        };
        let path = |key| Path::of("shards").key(key);
        if shards.counts.is_empty() {
            return Err(Problem::new(
                path("counts"),
                "there is no number of shards",
                "give some, such as [1, 2, 4]",
            ));
        }
        if let Some(index) =
            shards.counts.iter().position(|count| *count == 0 || *count > MAX_SHARDS)
        {
            return Err(Problem::new(
                path("counts").item(index),
                format!("no layout has {} shards", shards.counts[index]),
                format!("give 1 to {MAX_SHARDS}"),
            ));
        }
        if shards.cross_percents.is_empty() {
            return Err(Problem::new(
                path("cross_percents"),
                "there is no share of transfers that cross",
                "give some, such as [0, 10]",
            ));
        }
        if let Some(index) = shards.cross_percents.iter().position(|share| *share > 100) {
            return Err(Problem::new(
                path("cross_percents").item(index),
                format!("{}% of transfers cannot cross", shards.cross_percents[index]),
                "give 0 to 100",
            ));
        }
        if shards.latency_transactions_per_second == 0 {
            return Err(Problem::new(
                path("latency_transactions_per_second"),
                "without transfers there is no latency",
                "give 1 or more",
            ));
        }
        if self.load.accounts < 2 {
            return Err(Problem::new(
                Path::of("load").key("accounts"),
                "transfers between shards need at least 2 accounts in each",
                "give 2 or more",
            ));
        }
        for (table, is_used) in
            [("fault", !self.fault.is_empty()), ("adversary", !self.adversary.is_empty())]
        {
            if is_used {
                return Err(Problem::new(
                    Path::of(table),
                    "a sweep over shards measures an undisturbed network",
                    "remove it; `qcn sim fuzz --shards` disturbs networks of shards",
                ));
            }
        }
        Ok(())
    }
}

fn unequal() -> Problem {
    Problem::new(
        Path::of("network"),
        "a sweep over shards needs validators of one weight and power, to compare shards",
        "give `count`, and the same power to all",
    )
}
