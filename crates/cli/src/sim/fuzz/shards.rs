//! Random networks of shards.

use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use qcn_sim::sharding::random_shards;
use serde_json::json;

use super::super::files;
use super::outcome::{message_of, silence_panics};
use super::{FuzzArgs, pool};
use crate::note;

/// What a run amounted to.
#[derive(Debug, Default)]
struct Outcome {
    virtual_seconds: f64,
    shards: u64,
    crossings: u64,
    broken: Vec<String>,
    description: String,
}

/// What all runs together amounted to.
#[derive(Debug, Default)]
struct Totals {
    seeds: u64,
    virtual_seconds: f64,
    shards: u64,
    crossings: u64,
    failure: Option<(u64, Outcome)>,
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
    let last = pool::each(seeds, limit, jobs, attempt, |seed, outcome| {
        totals.seeds += 1;
        totals.virtual_seconds += outcome.virtual_seconds;
        totals.shards += outcome.shards;
        totals.crossings += outcome.crossings;
        let broke = !outcome.broken.is_empty();
        if broke && totals.failure.as_ref().is_none_or(|(lowest, _)| seed < *lowest) {
            totals.failure = Some((seed, outcome));
        }
        broke
    });
    let wall_seconds = begun.elapsed().as_secs_f64();
    let command = |seed: u64| format!("qcn sim fuzz --shards --seeds {seed}..{}", seed + 1);
    if let Some((seed, outcome)) = &totals.failure {
        note(&format!("seed {seed}: {}", outcome.description));
        for broken in &outcome.broken {
            note(&format!("seed {seed} breaks {broken}"));
        }
        note(&format!("replay: {}", command(*seed)));
    }
    let failure = totals.failure.as_ref().map(|(seed, outcome)| {
        let replay = command(*seed);
        json!({ "seed": seed, "violations": outcome.broken, "network": outcome.description, "replay": replay })
    });
    let summary = json!({
        "seeds": totals.seeds,
        "from": seeds.start,
        "to": last,
        "shards": totals.shards,
        "transfers_across": totals.crossings,
        "virtual_seconds": totals.virtual_seconds,
        "wall_seconds": wall_seconds,
        "failure": failure,
    });
    let text = serde_json::to_string_pretty(&summary)? + "\n";
    match &args.json {
        Some(path) if files::is_standard_output(Some(path)) => super::super::print(&text)?,
        Some(path) => files::write(path, &text)?,
        None => {}
    }
    note(&format!(
        "{} networks with {} shards in {wall_seconds:.1} s: {:.0} virtual seconds, {} transfers across",
        totals.seeds, totals.shards, totals.virtual_seconds, totals.crossings
    ));
    Ok(super::super::exit_code(totals.failure.is_none()))
}

fn attempt(seed: u64) -> Outcome {
    let random = random_shards(seed);
    let description = random.description.clone();
    let run = catch_unwind(AssertUnwindSafe(|| {
        let mut network = random.builder.build().map_err(|error| error.to_string())?;
        network.run_to(random.until);
        let violations = network.check_consensus().into_iter();
        Ok(Outcome {
            virtual_seconds: random.until.0 as f64 / 1e6,
            shards: network.layout().shards().len() as u64,
            crossings: network.crossings() as u64,
            broken: violations.map(|it| format!("{}: {}", it.invariant, it.detail)).collect(),
            description: String::new(),
        })
    }));
    let outcome = match run {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(error)) => Outcome { broken: vec![error], ..Outcome::default() },
        Err(panic) => Outcome {
            broken: vec![format!("no_panic: {}", message_of(panic.as_ref()))],
            ..Outcome::default()
        },
    };
    Outcome { description, ..outcome }
}
