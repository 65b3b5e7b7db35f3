//! `qcn devnet`: a whole network on this machine, in one process or several.

mod live;
mod load;
mod processes;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context as _, bail};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use qcn_crypto::Scheme;
use qcn_node::config::{LogConfig, LogFormat, LogLevel};
use qcn_node::devnet::{Devnet, DevnetPlan, read_node};
use qcn_node::genesis::{EpochsContent, ShardsContent};
use qcn_node::runtime::Node;

use crate::node::{async_runtime, start_log, until_told_to_stop};
use live::Live;

const EXAMPLES: &str = "\
Each validator has its own keys, database and sockets. The first start makes everything; the same
command goes on where it stopped; --reset starts anew. Ctrl-C stops it cleanly.

DIR/accounts has the keys of accounts with money, for whatever you try out. The load pays from
others, in DIR/load: so `qcn load --accounts-dir DIR/accounts` can run beside it.

Examples:
  qcn devnet
  qcn devnet --validators 7 --load 100
  qcn devnet --weights 2000,1000,1000,500 --dir /tmp/unequal
  qcn devnet --shards 2             # accounts trade across two shards
  qcn devnet --shards 3 --validators 6 --seats 4 --epoch-seconds 20
  qcn devnet --processes            # one operating-system process a validator
  qcn node --config devnet/v0/node.toml   # one of them by hand";

/// Which network to run.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct DevnetArgs {
    /// Where everything lies.
    #[arg(long, value_name = "DIR", default_value = "devnet")]
    dir: PathBuf,
    /// How many validators a new network has; 4 if not given.
    #[arg(long, value_name = "N")]
    validators: Option<usize>,
    /// How many shards a new network has; 1 if not given.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    shards: Option<u16>,
    /// How many validators serve each shard, drawn by weight; 4, or all of fewer, if not given.
    #[arg(long, value_name = "N", requires = "shards",
          value_parser = clap::value_parser!(u16).range(1..))]
    seats: Option<u16>,
    /// How long each epoch of a new network lasts at least, in seconds: committees are drawn anew,
    /// and shards may split and merge. 0 for committees that never change; 60 with several shards,
    /// and 0 with one, if not given.
    #[arg(long, value_name = "S")]
    epoch_seconds: Option<f64>,
    /// A shard that executes more transactions per second for two epochs is split.
    #[arg(long, value_name = "TPS", default_value_t = 2_000)]
    split_above: u64,
    /// Two halves that together execute less for two epochs are merged; 0 never does so.
    #[arg(long, value_name = "TPS", default_value_t = 0)]
    merge_below: u64,
    /// Their weights, by commas; 1000 each if not given.
    #[arg(long, value_name = "W,...", value_delimiter = ',', conflicts_with = "validators")]
    weights: Vec<u64>,
    /// How many accounts of a new network have money, besides those of its own load.
    #[arg(long, value_name = "N", default_value_t = 64)]
    accounts: usize,
    /// The scheme of their keys.
    #[arg(long, value_name = "SCHEME", default_value = "falcon-512")]
    scheme: Scheme,
    /// The port of a new network's first validator; the next ones follow.
    #[arg(long, value_name = "PORT", default_value_t = 8080)]
    port: u16,
    /// Transfers per second to send, from accounts that only this load uses; 0 sends none.
    #[arg(long, value_name = "TPS", default_value_t = 5.0)]
    load: f64,
    /// Run every validator as a process of its own.
    #[arg(long)]
    processes: bool,
    /// Delete the network in DIR first, with all that it holds.
    #[arg(long)]
    reset: bool,
    /// Stop after so many seconds.
    #[arg(long, value_name = "S")]
    seconds: Option<f64>,
    /// Only lay out the files.
    #[arg(long)]
    init_only: bool,
    /// Print the state as JSON lines instead of the live view.
    #[arg(long)]
    json: bool,
}

/// How many validators serve each shard, unless told: the fewest that tolerate a fault.
const USUAL_SEATS: u16 = 4;

/// How long an epoch lasts, unless told.
const USUAL_EPOCH_SECONDS: f64 = 60.0;

/// The longest epoch: a year.
const MAX_EPOCH_SECONDS: f64 = 366.0 * 86_400.0;

/// The shortest epoch: a change takes about half a second.
const MIN_EPOCH_MS: u64 = 2_000;

/// No split of a devnet leads to more shards, unless it began with more.
const MAX_DEVNET_SHARDS: u16 = 16;

/// Units of the currency that each account of a new network has.
const BALANCE: u64 = 1_000_000_000_000;

pub fn run(args: &DevnetArgs) -> anyhow::Result<ExitCode> {
    if !(args.load >= 0.0 && args.load.is_finite()) {
        bail!("--load {} is no rate; give 0 or more transfers per second", args.load);
    }
    let devnet = open_or_create(args)?;
    if args.init_only {
        println!("{}", devnet.folder().display());
        return Ok(ExitCode::SUCCESS);
    }
    let quiet = LogConfig { level: LogLevel::Warn, format: LogFormat::Text };
    // That the keys of a devnet are not encrypted is said once, below the committee.
    start_log(quiet, ",qcn_node::keyfile=error");
    if args.processes { processes::run(args, &devnet) } else { in_process(args, &devnet) }
}

fn open_or_create(args: &DevnetArgs) -> anyhow::Result<Devnet> {
    if args.reset {
        Devnet::delete(&args.dir)?;
    }
    if let Some(devnet) = Devnet::open(&args.dir)? {
        let has = devnet.genesis().validators().len();
        let asked =
            if args.weights.is_empty() { args.validators } else { Some(args.weights.len()) };
        if let Some(asked) = asked.filter(|asked| *asked != has) {
            bail!(
                "{} holds a network of {has} validators, {asked} are asked for: leave the number \
                 out to go on with that network, or add --reset to start anew",
                args.dir.display(),
            );
        }
        let shards = devnet.genesis().shards().len();
        if let Some(asked) = args.shards.filter(|asked| usize::from(*asked) != shards) {
            bail!(
                "{} holds a network of {shards} shards, {asked} are asked for: leave the number \
                 out to go on with that network, or add --reset to start anew",
                args.dir.display(),
            );
        }
        return Ok(devnet);
    }
    let weights = match args.weights.as_slice() {
        [] => vec![1000; args.validators.unwrap_or(4)],
        weights => weights.to_vec(),
    };
    let epochs = epochs(args)?;
    let count = args.shards.unwrap_or(1);
    let shards = (count > 1 || epochs.is_some()).then(|| {
        let all = u16::try_from(weights.len()).unwrap_or(u16::MAX);
        let seats = args.seats.unwrap_or_else(|| all.min(USUAL_SEATS));
        ShardsContent { count, seats, epochs }
    });
    let plan = DevnetPlan {
        shards,
        weights,
        accounts: args.accounts,
        account_scheme: args.scheme,
        balance: BALANCE,
        first_port: args.port,
    };
    let style = ProgressStyle::with_template("{msg} [{bar:30}] {pos}/{len}")
        .context("the progress bar's template")?;
    let bar = ProgressBar::new(0).with_style(style).with_message("making keys");
    let devnet = Devnet::create(&args.dir, &plan, |done, all| {
        bar.set_length(all as u64);
        bar.set_position(done as u64);
    })?;
    bar.finish_and_clear();
    Ok(devnet)
}

/// How the epochs of a new network follow each other, if they do.
fn epochs(args: &DevnetArgs) -> anyhow::Result<Option<EpochsContent>> {
    let usual = if args.shards.unwrap_or(1) > 1 { USUAL_EPOCH_SECONDS } else { 0.0 };
    let seconds = args.epoch_seconds.unwrap_or(usual);
    if !(0.0..=MAX_EPOCH_SECONDS).contains(&seconds) {
        bail!("--epoch-seconds {seconds}: give 0 to {MAX_EPOCH_SECONDS}");
    }
    Ok((seconds > 0.0).then_some(EpochsContent {
        epoch_ms: ((seconds * 1_000.0) as u64).max(MIN_EPOCH_MS),
        shards_max: MAX_DEVNET_SHARDS.max(args.shards.unwrap_or(1)),
        split_above: args.split_above,
        merge_below: args.merge_below,
    }))
}

fn in_process(args: &DevnetArgs, devnet: &Devnet) -> anyhow::Result<ExitCode> {
    let runtime = async_runtime()?;
    runtime.block_on(async {
        let mut nodes = Vec::new();
        for config_file in devnet.config_files() {
            let (genesis, config, keys) = read_node(&config_file)?;
            let started = Node::start(&genesis, &config, keys).await;
            nodes.push(started.with_context(|| format!("starting {}", config_file.display()))?);
        }
        let urls: Vec<String> =
            nodes.iter().map(|node| format!("http://{}", node.api_address())).collect();
        follow(args, devnet, urls).await?;
        for node in nodes {
            node.stop().await;
        }
        Ok(ExitCode::SUCCESS)
    })
}

/// Shows the network and sends it load, until it is told to stop or the time is up.
async fn follow(args: &DevnetArgs, devnet: &Devnet, urls: Vec<String>) -> anyhow::Result<()> {
    let stop = Arc::new(AtomicBool::new(false));
    let live = Live::start(args, devnet, urls, Arc::clone(&stop))?;
    let until = async {
        match args.seconds {
            Some(seconds) if seconds >= 0.0 => {
                tokio::time::sleep(std::time::Duration::from_secs_f64(seconds)).await;
            }
            _ => std::future::pending().await,
        }
    };
    tokio::select! {
        told = until_told_to_stop() => told?,
        () = until => {}
    }
    stop.store(true, Ordering::Relaxed);
    tokio::task::spawn_blocking(move || live.finish()).await?
}
