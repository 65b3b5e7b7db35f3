//! Random networks of shards.

use std::collections::BTreeMap;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use qcn_sim::sharding::{Changes, ShardedPlan, Tallies, Tally, random_shards};
use serde_json::json;

use super::super::files;
use super::outcome::{GENERATOR, PANIC, Schemes, message_of, silence_panics};
use super::{FuzzArgs, SHRINK_RUNS_MAX, pool};
use crate::note;

/// For how long networks are tried to make a failing one smaller: one takes seconds.
const SHRINK_TIME_MAX: Duration = Duration::from_secs(300);

/// What a run amounted to.
#[derive(Debug, Default)]
struct Outcome {
    virtual_seconds: f64,
    shards: u64,
    crossings: u64,
    changes: Changes,
    memberships: Tallies,
    /// Lanes on which something has arrived that a captured shard made up.
    lanes_with_made_up_money: u64,
    broken: Vec<Broken>,
}

/// An invariant that did not hold.
#[derive(Debug)]
struct Broken {
    invariant: String,
    detail: String,
    /// Whether it was seen before the end of the run.
    is_under_way: bool,
}

/// A network that broke something.
#[derive(Debug)]
struct Failure {
    seed: u64,
    network: ShardedPlan,
    broken: Vec<Broken>,
}

/// The same defect in a smaller network.
#[derive(Debug)]
struct Smaller {
    description: String,
    /// How many networks were tried.
    runs: u64,
}

/// What all runs together amounted to.
#[derive(Debug, Default)]
struct Totals {
    seeds: u64,
    virtual_seconds: f64,
    shards: u64,
    crossings: u64,
    changes: Changes,
    memberships: Tallies,
    /// Networks with a captured shard, and lanes on which something has arrived that it made up.
    captured: u64,
    lanes_with_made_up_money: u64,
    /// Networks by the scheme of their validators.
    schemes: Schemes,
    /// In how many networks each kind of change of who the validators are was to happen, and did.
    networks: BTreeMap<&'static str, Tally>,
    failure: Option<Failure>,
}

/// Runs seeds until the end, the limit or the first that breaks something.
pub fn run(
    args: &FuzzArgs,
    seeds: &Range<u64>,
    limit: Option<Duration>,
    jobs: usize,
) -> anyhow::Result<ExitCode> {
    silence_panics();
    let begun = Instant::now();
    let mut totals = Totals::default();
    let try_one = |seed| {
        let network = random_shards(seed);
        let outcome = attempt(&network);
        (network, outcome)
    };
    let last = pool::each(seeds, limit, jobs, try_one, |seed, (network, outcome)| {
        totals.add(seed, network, outcome)
    });
    let wall_seconds = begun.elapsed().as_secs_f64();
    let smaller = totals.failure.as_ref().map(report_failure);
    let text = totals.json(&(seeds.start..last), wall_seconds, smaller.as_ref())?;
    match &args.json {
        Some(path) if files::is_standard_output(Some(path)) => super::super::print(&text)?,
        Some(path) => files::write(path, &text)?,
        None => {}
    }
    note(&totals.sentence(wall_seconds));
    Ok(super::super::exit_code(totals.failure.is_none()))
}

impl Totals {
    /// Counts a run. Says whether it broke something; of those that did the lowest seed is kept.
    fn add(&mut self, seed: u64, network: ShardedPlan, outcome: Outcome) -> bool {
        self.seeds += 1;
        self.schemes.add(network.key_ring());
        self.captured += u64::from(network.has_captured());
        self.lanes_with_made_up_money += outcome.lanes_with_made_up_money;
        self.virtual_seconds += outcome.virtual_seconds;
        self.shards += outcome.shards;
        self.crossings += outcome.crossings;
        self.changes += outcome.changes;
        self.memberships += outcome.memberships;
        for (name, Tally { asked, done }) in outcome.memberships.each() {
            let networks = self.networks.entry(name).or_default();
            networks.asked += asked.min(1);
            networks.done += done.min(1);
        }
        let broke = !outcome.broken.is_empty();
        if broke && self.failure.as_ref().is_none_or(|lowest| seed < lowest.seed) {
            self.failure = Some(Failure { seed, network, broken: outcome.broken });
        }
        broke
    }

    /// What was done, for people.
    fn sentence(&self, wall_seconds: f64) -> String {
        let Changes { epochs, committees, splits, merges } = self.changes;
        let memberships = self.memberships.each();
        let memberships: Vec<String> = memberships
            .map(|(name, Tally { asked, done })| format!("{done} of {asked} {name}"))
            .collect();
        format!(
            "{} networks with {} shards in {wall_seconds:.1} s: {:.0} virtual seconds, {} transfers \
             across, {epochs} epochs ended, {committees} new committees, {splits} splits, {merges} \
             merges; {} with a captured shard, whose money arrived on {} lanes; validators: {}; {}",
            self.seeds,
            self.shards,
            self.virtual_seconds,
            self.crossings,
            self.captured,
            self.lanes_with_made_up_money,
            memberships.join(", "),
            self.schemes.sentence(),
        )
    }

    /// What was done and found, for programs.
    fn json(
        &self,
        seeds: &Range<u64>,
        wall_seconds: f64,
        smaller: Option<&Smaller>,
    ) -> serde_json::Result<String> {
        let failure = self.failure.as_ref().map(|failure| {
            json!({
                "seed": failure.seed,
                "violations": failure.broken.iter().map(Broken::sentence).collect::<Vec<_>>(),
                "network": failure.network.describe(),
                "replay": replay(failure.seed),
                "smaller": smaller.map(|smaller| &smaller.description),
                "smaller_after_runs": smaller.map(|smaller| smaller.runs),
            })
        });
        let summary = json!({
            "seeds": self.seeds,
            "from": seeds.start,
            "to": seeds.end,
            "shards": self.shards,
            "transfers_across": self.crossings,
            "epochs_ended": self.changes.epochs,
            "new_committees": self.changes.committees,
            "splits": self.changes.splits,
            "merges": self.changes.merges,
            "memberships": self.memberships_json(),
            "departures_refused": self.memberships.refused,
            "networks_with_captured_shard": self.captured,
            "lanes_with_made_up_money": self.lanes_with_made_up_money,
            "networks_by_scheme": self.schemes.json(),
            "virtual_seconds": self.virtual_seconds,
            "wall_seconds": wall_seconds,
            "failure": failure,
        });
        Ok(serde_json::to_string_pretty(&summary)? + "\n")
    }
}

impl Totals {
    /// How often each kind of change of who the validators are was to happen and did, and in how
    /// many networks.
    fn memberships_json(&self) -> serde_json::Value {
        let each = self.memberships.each().map(|(name, Tally { asked, done })| {
            let networks = self.networks.get(name).copied().unwrap_or_default();
            let counts = json!({
                "asked": asked,
                "done": done,
                "networks_asked": networks.asked,
                "networks_done": networks.done,
            });
            (name.replace(' ', "_"), counts)
        });
        each.collect::<serde_json::Map<_, _>>().into()
    }
}

impl Broken {
    fn sentence(&self) -> String {
        format!("{}: {}", self.invariant, self.detail)
    }
}

fn replay(seed: u64) -> String {
    format!("qcn sim fuzz --shards --seeds {seed}..{}", seed + 1)
}

/// Says what broke and how to see it again, and what a smaller network is that breaks the same.
fn report_failure(failure: &Failure) -> Smaller {
    let seed = failure.seed;
    note(&format!("seed {seed}: {}", failure.network.describe()));
    for broken in &failure.broken {
        note(&format!("seed {seed} breaks {}", broken.sentence()));
    }
    note(&format!("replay: {}", replay(seed)));
    let begun = Instant::now();
    let enough = |runs| runs >= SHRINK_RUNS_MAX || begun.elapsed() >= SHRINK_TIME_MAX;
    let bar = pool::spinner("making the network smaller");
    let smaller = shrink(failure, &enough, &mut |candidate| {
        bar.inc(1);
        attempt(candidate)
    });
    bar.finish_and_clear();
    note(&format!("smaller, after {} networks: {}", smaller.runs, smaller.description));
    smaller
}

/// Looks for a smaller network in which the invariant that broke first breaks, too.
fn shrink(
    failure: &Failure,
    enough: &dyn Fn(u64) -> bool,
    attempt: &mut dyn FnMut(&ShardedPlan) -> Outcome,
) -> Smaller {
    let first = failure.broken.first();
    let is_under_way = first.is_some_and(|first| first.is_under_way);
    let is_same = |broken: &Broken| {
        first.is_some_and(|first| first.invariant == broken.invariant)
            && broken.is_under_way == is_under_way
    };
    let (network, runs) = failure.network.clone().shrink(is_under_way, enough, &mut |candidate| {
        attempt(candidate).broken.iter().any(is_same)
    });
    Smaller { description: network.describe(), runs }
}

fn attempt(random: &ShardedPlan) -> Outcome {
    let broken = |invariant: &str, detail: String| Outcome {
        broken: vec![Broken { invariant: invariant.to_owned(), detail, is_under_way: true }],
        ..Outcome::default()
    };
    let run = catch_unwind(AssertUnwindSafe(|| {
        let mut network = random.builder.clone().build().map_err(|error| error.to_string())?;
        network.run_to(random.until);
        let violations = network.check_consensus().into_iter();
        Ok(Outcome {
            virtual_seconds: random.until.0 as f64 / 1e6,
            shards: network.layout().shards().len() as u64,
            crossings: network.crossings() as u64,
            changes: network.changes(),
            memberships: network.memberships(),
            lanes_with_made_up_money: network.lanes_with_made_up_money() as u64,
            broken: violations
                .map(|it| Broken {
                    invariant: it.invariant.to_owned(),
                    is_under_way: it.time_us < random.until.0,
                    detail: it.detail,
                })
                .collect(),
        })
    }));
    match run {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(error)) => broken(GENERATOR, error),
        Err(panic) => broken(PANIC, message_of(panic.as_ref())),
    }
}

#[cfg(test)]
mod tests;
