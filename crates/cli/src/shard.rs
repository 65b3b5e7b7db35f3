//! `qcn shard`: how large committees must be, and who would serve in them.

mod adversary;
mod capture;
mod plan;
mod quantity;
mod report;
mod search;
mod validators;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, ensure};
use clap::{Args, Subcommand};
use qcn_crypto::Digest;
use qcn_light::{Draw, draw_committees};
use qcn_types::{Epoch, MAX_MEMBERS, ShardId, Weight};

use crate::output::print;
use plan::{Layout, Plan};
use quantity::{Bound, EpochLength, Share};
use validators::Validator;

const PLAN_EXAMPLES: &str = "\
FILE is TOML or JSON with a list `validators` (or `committee`) whose entries have a `weight`, or a
`power` (1000 of weight for each unit), and may have a `name`; a genesis is such a file. It may
also be a scenario of the simulator.

The adversary holds --corrupt of the weight before anything is drawn, and does not know the seed.
Three ways to hold it are looked at, and the worst decides; that is no proof for all others. A
committee is captured if its corrupt members weigh more than f, a third of it. How the probability
is computed, and what it leaves out, is in docs/sharding.md.

Exit code: 0 if the layout is within the bound, 1 if it is refused, 2 for bad input.

Examples:
  qcn shard plan --validators genesis.json --shards 4 --seats 40
  qcn shard plan --validators validators.toml --shards 8              the fewest seats that do
  qcn shard plan --validators validators.toml --shards 8 --json | jq .seats
  qcn shard plan --validators validators.toml --shards 2 --seats 7 --bound 0.5 --seed $(printf '%064d' 1)";

/// Plan shards: how large their committees must be, and who would serve.
#[derive(Debug, Subcommand)]
pub enum ShardCommand {
    /// Say how likely a layout loses a shard to an adversary, and refuse what is too likely.
    #[command(after_help = PLAN_EXAMPLES)]
    Plan(PlanArgs),
}

/// Which layout to judge.
#[derive(Debug, Args)]
pub struct PlanArgs {
    /// Who can be drawn.
    #[arg(long, value_name = "FILE")]
    validators: PathBuf,
    /// How many shards there are.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=4096))]
    shards: u32,
    /// How many members each shard's committee has [default: as few as meet the bound].
    #[arg(long)]
    seats: Option<usize>,
    /// The share of all weight that is assumed to be corrupt.
    #[arg(long, value_name = "SHARE", default_value = "0.25")]
    corrupt: Share,
    /// How long a committee serves, such as 12h or 1d.
    #[arg(long, value_name = "TIME", default_value = "24h")]
    epoch_length: EpochLength,
    /// The highest acceptable probability that any shard is captured within a year.
    #[arg(long, value_name = "PROBABILITY", default_value = "1e-6")]
    bound: Bound,
    /// Draw the committees of an epoch from this seed (64 hex digits), and print them.
    #[arg(long, value_name = "HEX")]
    seed: Option<Digest>,
    /// The epoch to draw for.
    #[arg(long, default_value_t = 0, requires = "seed")]
    epoch: u64,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// Exit code of a layout above the bound.
const EXIT_REFUSED: u8 = 1;

/// Runs a command. An error is bad input or a failing file, for exit code 2.
pub fn run(command: ShardCommand) -> anyhow::Result<ExitCode> {
    match command {
        ShardCommand::Plan(args) => run_plan(&args),
    }
}

fn run_plan(args: &PlanArgs) -> anyhow::Result<ExitCode> {
    let validators = validators::read(&args.validators)?;
    let most = validators.len().min(MAX_MEMBERS);
    if let Some(seats) = args.seats {
        ensure!(seats > 0, "--seats 0: a committee needs at least one seat; give 4 or more");
        ensure!(
            seats <= most,
            "--seats {seats}: {} validators can fill {most} seats of a shard; give {most} or fewer",
            validators.len()
        );
    }
    let layout = Layout {
        weights: validators.iter().map(|validator| validator.weight).collect(),
        shards: args.shards,
        corrupt: args.corrupt,
        epoch_length: args.epoch_length,
        bound: args.bound,
    };
    let plan = Plan::make(&layout, args.seats);
    let draw = match (args.seed, plan.seats) {
        (Some(seed), Some(seats)) => Some(draw(args, seed, seats, &validators)?),
        _ => None,
    };
    if args.json {
        print(&format!("{}\n", report::json(&layout, &plan, &validators, draw.as_ref())))?;
    } else {
        print(&report::text(&layout, &plan, &validators, draw.as_ref())?)?;
    }
    match &plan.refusal {
        None => Ok(ExitCode::SUCCESS),
        Some(refusal) => {
            crate::note(&format!("refused: {refusal}"));
            Ok(ExitCode::from(EXIT_REFUSED))
        }
    }
}

fn draw(
    args: &PlanArgs,
    seed: Digest,
    seats: usize,
    validators: &[Validator],
) -> anyhow::Result<Draw> {
    let candidates: Vec<Weight> = validators.iter().map(|one| Weight(one.weight)).collect();
    let shards: Vec<ShardId> = (0..args.shards).map(ShardId).collect();
    draw_committees(&seed, Epoch(args.epoch), &candidates, &shards, seats)
        .context("the committees cannot be drawn")
}

#[cfg(test)]
mod tests;
