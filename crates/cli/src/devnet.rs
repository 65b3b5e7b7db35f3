//! `qcn devnet`: a whole network on this machine, in one process or several.

mod live;
mod load;
mod present;
mod processes;

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use qcn_crypto::Scheme;
use qcn_node::api::ApiError;
use qcn_node::config::{LogConfig, LogFormat, LogLevel, NodeConfig};
use qcn_node::devnet::{Devnet, DevnetPlan, read_node, try_port};
use qcn_node::genesis::{EpochsContent, ShardsContent};
use qcn_node::runtime::{DataFolderError, Node, NodeError};
use qcn_node::transport::TransportError;
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinSet;

use crate::node::{StopSignals, async_runtime, start_log};
use crate::output::print;
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
    /// A shard that executes more transactions per second for two epochs is split; 2000 if not
    /// given.
    #[arg(long, value_name = "TPS")]
    split_above: Option<u64>,
    /// Two halves that together execute less for two epochs are merged; 0, or nothing, never does
    /// so.
    #[arg(long, value_name = "TPS")]
    merge_below: Option<u64>,
    /// Their weights, by commas; 1000 each if not given.
    #[arg(long, value_name = "W,...", value_delimiter = ',', conflicts_with = "validators")]
    weights: Vec<u64>,
    /// How many accounts of a new network have money, besides those of its own load; 64 if not
    /// given.
    #[arg(long, value_name = "N")]
    accounts: Option<usize>,
    /// The scheme of their keys; falcon-512 if not given.
    #[arg(long, value_name = "SCHEME")]
    scheme: Option<Scheme>,
    /// The port of a new network's first validator; the next ones follow. 8080 if not given.
    #[arg(long, value_name = "PORT")]
    port: Option<u16>,
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
    /// Only lay out the files, and print where.
    #[arg(long)]
    init_only: bool,
    /// Print the state as JSON lines instead of the live view.
    #[arg(long)]
    json: bool,
}

/// How many validators serve each shard, unless told: the fewest that tolerate a fault.
const USUAL_SEATS: u16 = 4;

/// Above which load a shard is split, unless told.
const USUAL_SPLIT_ABOVE: u64 = 2_000;

/// How many accounts have money, unless told.
const USUAL_ACCOUNTS: usize = 64;

/// The scheme of their keys, unless told.
const USUAL_SCHEME: Scheme = Scheme::Falcon512;

/// The port of the first validator, unless told.
const USUAL_PORT: u16 = 8080;

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
    let lasts = args.seconds.map(lasts).transpose()?;
    let devnet = open_or_create(args)?;
    if args.init_only {
        let folder = devnet.folder().display();
        print(&if args.json { laid_out(&devnet)? } else { format!("{folder}\n") })?;
        return Ok(ExitCode::SUCCESS);
    }
    let quiet = LogConfig { level: LogLevel::Warn, format: LogFormat::Text };
    // That the keys of a devnet are not encrypted is said once, below the committee.
    start_log(quiet, ",qcn_node::keyfile=error");
    if args.processes {
        processes::run(args, lasts, &devnet)
    } else {
        in_process(args, lasts, &devnet)
    }
}

/// What there is of a network, as JSON.
fn laid_out(devnet: &Devnet) -> anyhow::Result<String> {
    let genesis = devnet.genesis();
    let files = devnet.config_files().zip(genesis.validators());
    let validators = files.map(|(file, validator)| {
        let config = NodeConfig::read(&file)?;
        Ok(json!({
            "name": validator.name,
            "weight": validator.weight,
            "config": file,
            "api": format!("http://{}", config.api.listen),
            "network": config.network.listen,
        }))
    });
    let report = json!({
        "folder": devnet.folder(),
        "chain_id": genesis.chain().to_string(),
        "chain_name": genesis.name(),
        "shards": genesis.shards().len(),
        "accounts": devnet.accounts_folder(),
        "load_accounts": devnet.load_folder(),
        "validators": validators.collect::<anyhow::Result<Vec<_>>>()?,
    });
    Ok(format!("{report}\n"))
}

fn open_or_create(args: &DevnetArgs) -> anyhow::Result<Devnet> {
    if !args.reset
        && let Some(devnet) = Devnet::open(&args.dir)?
    {
        present::check(args, &devnet)?;
        return Ok(devnet);
    }
    let plan = plan(args)?;
    plan.check()?;
    if args.reset {
        Devnet::delete(&args.dir)?;
    }
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

/// What a new network is to be like.
fn plan(args: &DevnetArgs) -> anyhow::Result<DevnetPlan> {
    let weights = match args.weights.as_slice() {
        [] => vec![1000; args.validators.unwrap_or(4)],
        weights => weights.to_vec(),
    };
    let epochs = epochs(args)?;
    if let Some(port) = args.port {
        try_port(port).map_err(|error| {
            anyhow!(
                "--port {port}: no validator can listen there ({error}); choose another, or leave it \
                 out to take what is free from {USUAL_PORT} on"
            )
        })?;
    }
    if epochs.is_none() {
        refuse_without_epochs(args)?;
    }
    let count = args.shards.unwrap_or(1);
    let shards = (count > 1 || epochs.is_some()).then(|| {
        let all = u16::try_from(weights.len()).unwrap_or(u16::MAX);
        let seats = args.seats.unwrap_or_else(|| all.min(USUAL_SEATS));
        ShardsContent { count, seats, epochs }
    });
    if let (None, Some(seats)) = (&shards, args.seats)
        && usize::from(seats) != weights.len()
    {
        bail!(
            "--seats {seats}: all {} validators serve the only shard; add --shards with 2 or more, \
             or --epoch-seconds",
            weights.len()
        );
    }
    Ok(DevnetPlan {
        shards,
        weights,
        accounts: args.accounts.unwrap_or(USUAL_ACCOUNTS),
        account_scheme: args.scheme.unwrap_or(USUAL_SCHEME),
        balance: BALANCE,
        first_port: args.port.unwrap_or(USUAL_PORT),
    })
}

/// How the epochs of a new network follow each other, if they do.
fn epochs(args: &DevnetArgs) -> anyhow::Result<Option<EpochsContent>> {
    let usual = if args.shards.unwrap_or(1) > 1 { USUAL_EPOCH_SECONDS } else { 0.0 };
    let epoch_ms = epoch_ms(args.epoch_seconds.unwrap_or(usual))?;
    Ok((epoch_ms > 0).then_some(EpochsContent {
        epoch_ms,
        shards_max: MAX_DEVNET_SHARDS.max(args.shards.unwrap_or(1)),
        split_above: args.split_above.unwrap_or(USUAL_SPLIT_ABOVE),
        merge_below: args.merge_below.unwrap_or(0),
    }))
}

/// Refuses what has no effect in a network without epochs.
fn refuse_without_epochs(args: &DevnetArgs) -> anyhow::Result<()> {
    let asked = [("--split-above", args.split_above), ("--merge-below", args.merge_below)];
    match asked.into_iter().find_map(|(option, rate)| Some((option, rate?))) {
        Some((option, rate)) => bail!(
            "{option} {rate}: shards split and merge only between epochs, and this network has \
             none; add --epoch-seconds S"
        ),
        None => Ok(()),
    }
}

/// How long an epoch is; 0 for none.
fn epoch_ms(seconds: f64) -> anyhow::Result<u64> {
    if !(0.0..=MAX_EPOCH_SECONDS).contains(&seconds) {
        bail!("--epoch-seconds {seconds}: give 0 to {MAX_EPOCH_SECONDS}");
    }
    let is_asked_for = seconds > 0.0;
    Ok(if is_asked_for { ((seconds * 1_000.0) as u64).max(MIN_EPOCH_MS) } else { 0 })
}

fn in_process(
    args: &DevnetArgs,
    lasts: Option<Duration>,
    devnet: &Devnet,
) -> anyhow::Result<ExitCode> {
    let runtime = async_runtime()?;
    runtime.block_on(async {
        let signals = StopSignals::new()?;
        let mut nodes = Vec::new();
        for config_file in devnet.config_files() {
            let (genesis, config, keys) = read_node(&config_file)?;
            let started = Node::start(&genesis, &config, keys).await;
            nodes.push(started.map_err(|error| not_started(&config_file, error))?);
        }
        let urls: Vec<String> =
            nodes.iter().map(|node| format!("http://{}", node.api_address())).collect();
        follow(args, lasts, devnet, urls, signals).await?;
        let mut stopping: JoinSet<()> = nodes.into_iter().map(Node::stop).collect();
        while let Some(stopped) = stopping.join_next().await {
            stopped.context("stopping a validator")?;
        }
        Ok(ExitCode::SUCCESS)
    })
}

/// Why a validator does not start, and whether that may be for another run of the same network.
fn not_started(config_file: &Path, error: NodeError) -> anyhow::Error {
    let is_used = match &error {
        NodeError::Transport(TransportError::Listen { error, .. }) => {
            error.kind() == ErrorKind::AddrInUse
        }
        NodeError::Api(ApiError::Listen { .. }) => true,
        NodeError::DataFolder(DataFolderError::InUse { .. }) => true,
        _ => false,
    };
    let file = config_file.display();
    match is_used {
        true => anyhow!("starting {file}: {error}. Does this devnet run already?"),
        false => anyhow::Error::new(error).context(format!("starting {file}")),
    }
}

/// For how long it is to run.
fn lasts(seconds: f64) -> anyhow::Result<Duration> {
    Duration::try_from_secs_f64(seconds)
        .map_err(|_| anyhow!("--seconds {seconds} is no time to run; give a number from 0 on"))
}

/// Shows the network and sends it load, until it is told to stop or the time is up.
async fn follow(
    args: &DevnetArgs,
    lasts: Option<Duration>,
    devnet: &Devnet,
    urls: Vec<String>,
    mut signals: StopSignals,
) -> anyhow::Result<()> {
    let mut hangup = signal(SignalKind::hangup()).context("listening for SIGHUP")?;
    let stop = Arc::new(AtomicBool::new(false));
    let live = Live::start(args, devnet, urls, Arc::clone(&stop))?;
    let until = async {
        match lasts {
            Some(time) => tokio::time::sleep(time).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        () = signals.told() => {}
        // The terminal is gone.
        _ = hangup.recv() => {}
        () = live.unread() => {}
        () = until => {}
    }
    crate::note("stopping the validators");
    stop.store(true, Ordering::Relaxed);
    tokio::task::spawn_blocking(move || live.finish()).await?
}
