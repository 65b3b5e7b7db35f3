//! `qcn sim fuzz`: random scenarios until one breaks something.

mod outcome;
mod pool;
mod shards;

use std::ops::Range;
use std::path::PathBuf;
use std::process::ExitCode;
use std::str::FromStr;
use std::time::{Duration, Instant};

use anyhow::bail;
use clap::Args;
use qcn_sim::report;
use qcn_sim::scenario::{Scenario, shrink};

use super::files;
use super::rule::BreakArgs;
use crate::note;
use outcome::{Failure, Until, attempt};

/// How many seeds are tried if nothing is said.
const SEEDS: u64 = 1_000;
/// How many scenarios are tried to make a failing one smaller.
const SHRINK_RUNS_MAX: u64 = 400;
/// For how long.
const SHRINK_TIME_MAX: Duration = Duration::from_secs(60);

#[derive(Debug, Args)]
pub struct FuzzArgs {
    /// The seeds, the second one excluded; 0..1000 if neither this nor --minutes is given.
    #[arg(long, value_name = "A..B")]
    seeds: Option<Seeds>,
    /// Stop after so many minutes.
    #[arg(long, value_name = "M")]
    minutes: Option<f64>,
    /// How many scenarios run at a time; as many as there are processors if not given.
    #[arg(long, value_name = "N")]
    jobs: Option<usize>,
    /// Write a summary as JSON to this file; - prints it.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Where a scenario that breaks something goes.
    #[arg(long, value_name = "DIR", default_value = "out/fuzz")]
    out: PathBuf,
    /// Networks of one to four shards with transfers between them, instead of single ones. In some,
    /// committees change, shards split and merge, and validators join, get new keys and leave.
    #[arg(long, conflicts_with_all = ["out", "rule"])]
    shards: bool,
    #[command(flatten)]
    broken: BreakArgs,
}

/// A range of seeds, written `A..B`.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Seeds(Range<u64>);

impl FromStr for Seeds {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("`{text}` is no range of seeds; write one as 0..1000");
        let (first, end) = text.split_once("..").ok_or_else(wrong)?;
        let number = |text: &str| text.trim().replace('_', "").parse().map_err(|_| wrong());
        let range: Range<u64> = number(first)?..number(end)?;
        if range.is_empty() {
            return Err(format!("`{text}` holds no seed; the first must be below the second"));
        }
        Ok(Self(range))
    }
}

pub fn run(args: &FuzzArgs) -> anyhow::Result<ExitCode> {
    let seeds = match (&args.seeds, args.minutes) {
        (Some(Seeds(seeds)), _) => seeds.clone(),
        (None, Some(_)) => 0..u64::MAX >> 1,
        (None, None) => 0..SEEDS,
    };
    let limit = match args.minutes {
        Some(minutes) if !(minutes > 0.0 && minutes.is_finite() && minutes < 1e6) => {
            bail!("--minutes {minutes} is no time to search; give a number above 0")
        }
        minutes => minutes.map(|minutes| Duration::from_secs_f64(minutes * 60.0)),
    };
    let jobs = match args.jobs {
        Some(0) => bail!("--jobs 0 would never begin; give at least 1"),
        jobs => jobs.or_else(|| std::thread::available_parallelism().ok().map(Into::into)),
    };
    let jobs = jobs.unwrap_or(1);
    if args.shards {
        return shards::run(args, &seeds, limit, jobs);
    }
    outcome::silence_panics();
    let (totals, failure) = pool::search(seeds, limit, jobs, args.broken.rule());
    let found = failure.map(|failure| report_failure(args, failure)).transpose()?;
    let summary = totals.json(found.as_ref());
    match &args.json {
        Some(path) if files::is_standard_output(Some(path)) => super::print(&(summary + "\n"))?,
        Some(path) => files::write(path, &(summary + "\n"))?,
        None => {}
    }
    note(&totals.sentence());
    Ok(super::exit_code(found.is_none()))
}

/// A violation with everything that leads back to it.
#[derive(Debug)]
struct Found {
    failure: Failure,
    scenario: PathBuf,
    command: String,
}

/// Shrinks the scenario, writes it, and says how to replay it.
fn report_failure(args: &FuzzArgs, failure: Failure) -> anyhow::Result<Found> {
    note(&format!("seed {} breaks {}: {}", failure.seed, failure.invariant, failure.detail));
    let bar = pool::spinner("making the scenario smaller");
    let rule = args.broken.rule();
    let original = failure.scenario.clone();
    let begun = Instant::now();
    let enough = |runs: u64| runs >= SHRINK_RUNS_MAX || begun.elapsed() >= SHRINK_TIME_MAX;
    let shrunk = shrink(original, &enough, &mut |candidate: &Scenario| {
        bar.inc(1);
        let again = attempt(candidate, rule, Until::FirstViolation).1;
        again.is_some_and(|again| again.invariant == failure.invariant)
    });
    bar.finish_and_clear();
    // To its end, as a replay runs it, so that the two can be compared.
    let (result, last) = attempt(&shrunk.scenario, rule, Until::TheEnd);
    let failure = Failure { seed: failure.seed, ..last.unwrap_or(failure) };
    let path = args.out.join(format!("fuzz-{}.toml", failure.seed));
    let switch = args.broken.switch();
    let command = format!("qcn sim replay {}{switch}", path.display());
    let text = format!(
        "# Found by `qcn sim fuzz --seeds {seed}..{next}{switch}` and made smaller in {runs} runs.\n\
         # Broken invariant: {invariant}\n# {detail}\n# Replay: {command}\n\n{toml}",
        seed = failure.seed,
        next = failure.seed + 1,
        runs = shrunk.runs,
        invariant = failure.invariant,
        detail = failure.detail.replace('\n', "\n# "),
        toml = shrunk.scenario.to_toml()?,
    );
    files::write(&path, &text)?;
    if let Some(result) = result {
        files::write(&path.with_extension("json"), &report::json(&result)?)?;
    }
    note(&format!("after shrinking, {}: {}", failure.invariant, failure.detail));
    note(&format!("scenario: {}\nreplay:   {command}", path.display()));
    Ok(Found { failure, scenario: path, command })
}

#[cfg(test)]
mod tests;
