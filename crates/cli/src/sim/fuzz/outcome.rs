//! What became of random scenarios.

use std::any::Any;
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use qcn_consensus::BrokenRule;
use qcn_sim::keys::KeyRing;
use qcn_sim::result::RunResult;
use qcn_sim::scenario::{RunOptions, Scenario};

use super::Found;

/// A scenario that broke something.
#[derive(Debug)]
pub struct Failure {
    /// From which seed it was drawn.
    pub seed: u64,
    /// What it broke first.
    pub invariant: String,
    /// What was seen.
    pub detail: String,
    /// The scenario.
    pub scenario: Scenario,
}

/// The name under which a panic is reported: no input may cause one.
pub const PANIC: &str = "no_panic";
/// The name under which a scenario that cannot run is reported: the generator may not draw one.
pub const GENERATOR: &str = "generator";

/// Panics are caught and reported; their usual message would tear the progress bar.
pub fn silence_panics() {
    std::panic::set_hook(Box::new(|_| {}));
}

/// How far to run a scenario that breaks something.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Until {
    /// Not much further than to the first violation.
    FirstViolation,
    /// To where it ends.
    TheEnd,
}

/// Runs a scenario; gives what it broke first.
pub fn attempt(
    scenario: &Scenario,
    rule: Option<BrokenRule>,
    until: Until,
) -> (Option<RunResult>, Option<Failure>) {
    let options = RunOptions {
        stop_at_violation: until == Until::FirstViolation,
        broken_rule: rule,
        ..RunOptions::default()
    };
    let failure = |invariant: &str, detail: String| Failure {
        seed: scenario.run.seed,
        invariant: invariant.to_owned(),
        detail,
        scenario: scenario.clone(),
    };
    match catch_unwind(AssertUnwindSafe(|| scenario.run(&options, &mut |_| {}))) {
        Ok(Ok(result)) => {
            let first = result.violations.first();
            let failure = first.map(|first| {
                let place = first.validator.as_deref().map(|name| format!("{name}: "));
                let detail = format!("{}{}", place.unwrap_or_default(), first.detail);
                failure(&first.invariant, detail)
            });
            (Some(result), failure)
        }
        Ok(Err(error)) => (None, Some(failure(GENERATOR, error.to_string()))),
        Err(panic) => (None, Some(failure(PANIC, message_of(panic.as_ref())))),
    }
}

/// What a panic says.
pub fn message_of(panic: &(dyn Any + Send)) -> String {
    let owned = panic.downcast_ref::<String>().map(String::as_str);
    let text = owned.or_else(|| panic.downcast_ref::<&str>().copied());
    text.unwrap_or("without a message").to_owned()
}

/// What all scenarios together amounted to.
#[derive(Debug, Default)]
pub struct Totals {
    /// How many scenarios ran.
    pub seeds: u64,
    /// The first seed and the one after the last.
    pub range: (u64, u64),
    /// Virtual time, in seconds.
    pub virtual_seconds: f64,
    /// Wall-clock time, in seconds.
    pub wall_seconds: f64,
    /// Blocks proposed.
    pub blocks: u64,
    /// Transactions finalized.
    pub finalized: u64,
    /// Faults and other events.
    pub events: u64,
    /// Scenarios with adversaries.
    pub with_adversaries: u64,
    /// Scenarios by the scheme of their validators.
    pub schemes: Schemes,
}

/// How many networks there were of each scheme.
#[derive(Debug, Default)]
pub struct Schemes(BTreeMap<&'static str, u64>);

impl Schemes {
    /// Counts a network.
    pub fn add(&mut self, keys: KeyRing) {
        *self.0.entry(keys.scheme().name()).or_default() += 1;
    }

    /// The counts, for people.
    pub fn sentence(&self) -> String {
        let each = self.0.iter().map(|(name, count)| format!("{count} with {name}"));
        each.collect::<Vec<_>>().join(", ")
    }

    /// The counts, for programs.
    pub fn json(&self) -> serde_json::Value {
        serde_json::json!(self.0)
    }
}

impl Totals {
    /// Counts a run.
    pub fn add(&mut self, result: &RunResult) {
        self.virtual_seconds += result.conditions.virtual_seconds;
        self.blocks += result.host.blocks;
        self.finalized += result.transactions.finalized;
        self.events += result.events.len() as u64;
        self.with_adversaries += u64::from(result.conditions.adversary_weight > 0);
    }

    /// Scenarios per second of wall-clock time.
    fn pace(&self) -> f64 {
        self.seeds as f64 / self.wall_seconds.max(0.001)
    }

    /// What was done, for people.
    pub fn sentence(&self) -> String {
        format!(
            "{} scenarios in {:.1} s ({:.1} per second): {:.0} virtual seconds, {} blocks, {} \
             transactions finalized, {} events, {} scenarios with adversaries; {}",
            self.seeds,
            self.wall_seconds,
            self.pace(),
            self.virtual_seconds,
            self.blocks,
            self.finalized,
            self.events,
            self.with_adversaries,
            self.schemes.sentence(),
        )
    }

    /// What was done and found, for programs.
    pub fn json(&self, found: Option<&Found>) -> String {
        let violation = found.map(|found| {
            serde_json::json!({
                "seed": found.failure.seed,
                "invariant": found.failure.invariant,
                "detail": found.failure.detail,
                "scenario": found.scenario.display().to_string(),
                "replay": found.command,
            })
        });
        let summary = serde_json::json!({
            "seeds": self.seeds,
            "from": self.range.0,
            "to": self.range.1,
            "virtual_seconds": self.virtual_seconds.round(),
            "wall_seconds": (self.wall_seconds * 1000.0).round() / 1000.0,
            "scenarios_per_second": (self.pace() * 1000.0).round() / 1000.0,
            "blocks": self.blocks,
            "transactions_finalized": self.finalized,
            "events": self.events,
            "scenarios_with_adversaries": self.with_adversaries,
            "scenarios_by_scheme": self.schemes.json(),
            "violations": violation.into_iter().collect::<Vec<_>>(),
        });
        format!("{summary:#}")
    }
}
