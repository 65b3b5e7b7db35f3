//! `qcn node`: one validator, from its configuration file.

mod new;
mod stopped;

use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use clap::{Args, Subcommand};
use qcn_node::config::{LogConfig, LogFormat, NodeConfig};
use qcn_node::devnet::read_node;
use qcn_node::genesis::Genesis;
use qcn_node::runtime::{Node, NodeError, NodeKeys, check, initialise};
use qcn_types::BEACON;
use serde_json::{Value, json};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing_subscriber::EnvFilter;

use crate::output::print_line;
use stopped::Stopped;

const EXAMPLES: &str = "\
It reads its log, dials the others, and answers over HTTP where `[api] listen` says. SIGINT or
SIGTERM stops it cleanly; killed at any moment it comes back with nothing final lost.

Before the very first start of a new validator, mark its data folder with --init. A node whose
folder is empty without the mark takes it for a lost disk, and asks the others what it signed.

Exit codes: 0 it was told to stop; 1 it failed, and another start may help; 2 bad input, or it
could not start; 3 it must not be started again as it is, which it then refuses too.

Examples:
  qcn node new --listen 0.0.0.0:7400 --out /etc/qcn/node.toml
  qcn node --config /etc/qcn/node.toml --init
  qcn node --config /etc/qcn/node.toml
  RUST_LOG=qcn_node=debug qcn node --config devnet/v0/node.toml";

/// What to run, or the configuration to write.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES, args_conflicts_with_subcommands = true)]
#[command(subcommand_negates_reqs = true)]
pub(crate) struct NodeArgs {
    #[command(subcommand)]
    command: Option<NodeCommand>,
    #[command(flatten)]
    start: StartArgs,
}

#[derive(Debug, Subcommand)]
enum NodeCommand {
    /// Write the configuration of a validator.
    New(new::NewArgs),
}

#[derive(Debug, Args)]
struct StartArgs {
    /// The node's configuration.
    #[arg(long, value_name = "FILE", required = true)]
    config: Option<PathBuf>,
    /// Read and check configuration, genesis and keys, and start nothing.
    #[arg(long)]
    check: bool,
    /// Mark the data folder as that of a key that has NEVER signed anything, and start nothing.
    #[arg(long, conflicts_with = "check")]
    init: bool,
    /// Print what --check or --init found as JSON.
    #[arg(long)]
    json: bool,
    /// Once it has stopped for good, answer over HTTP for so long before the process ends.
    #[arg(long, value_name = "SECONDS", default_value_t = 0)]
    linger: u64,
}

pub(crate) fn run(args: &NodeArgs) -> anyhow::Result<ExitCode> {
    match (&args.command, &args.start.config) {
        (Some(NodeCommand::New(new)), _) => new::run(new),
        (None, Some(config_file)) => run_start(&args.start, config_file),
        // The command line is refused before that.
        (None, None) => anyhow::bail!("--config FILE is missing"),
    }
}

fn run_start(args: &StartArgs, config_file: &Path) -> anyhow::Result<ExitCode> {
    ensure!(
        !args.json || args.check || args.init,
        "--json: a running node prints nothing; its log is JSON with `format = \"json\"` under \
         [log], and --json goes with --check and --init"
    );
    let (genesis, config, keys) = read_node(config_file)?;
    if args.check {
        check(&genesis, &config, &keys)?;
        let text =
            format!("{}: configuration, genesis and keys are in order", config_file.display());
        return say(args, &text, &about(&genesis, &config, &keys, config_file));
    }
    if args.init {
        initialise(&genesis, &config, &keys)?;
        let text = format!("{}: ready for the first start", config.data.display());
        return say(args, &text, &about(&genesis, &config, &keys, config_file));
    }
    let linger = Duration::from_secs(args.linger);
    run_until_stopped(&genesis, &config, linger, Node::start(&genesis, &config, keys))
}

/// Which node a configuration is of.
fn about(genesis: &Genesis, config: &NodeConfig, keys: &NodeKeys, config_file: &Path) -> Value {
    let consensus = keys.consensus.public_key();
    let validators = genesis.validators();
    let founder = validators.iter().find(|validator| validator.consensus_key == *consensus);
    json!({
        "config": config_file,
        "data": config.data,
        "chain_id": genesis.chain().to_string(),
        "chain_name": genesis.name(),
        // Only the register of the beacon names one that joined later or has replaced its key.
        "validator": founder.map(|validator| &validator.name),
        "consensus_key": consensus.digest().to_string(),
        "api": config.api.listen,
        "network": config.network.listen,
    })
}

fn say(args: &StartArgs, text: &str, report: &Value) -> anyhow::Result<ExitCode> {
    print_line(&if args.json { report.to_string() } else { text.to_owned() })?;
    Ok(ExitCode::SUCCESS)
}

/// Runs the node that `start` gives, with its log, until the process is told to stop or the node
/// has stopped for good; then it answers for as long as it is to linger.
///
/// # Errors
/// If it does not start, or the process cannot listen for signals.
pub fn run_until_stopped(
    genesis: &Genesis,
    config: &NodeConfig,
    linger: Duration,
    start: impl Future<Output = Result<Node, NodeError>>,
) -> anyhow::Result<ExitCode> {
    start_log(config.log, "");
    if let Some(refusal) = stopped::refusal(&config.data) {
        tracing::error!("{refusal}");
        return Ok(ExitCode::from(stopped::EXIT_FOR_GOOD));
    }
    for warning in genesis.warnings() {
        tracing::warn!("{warning}");
    }
    async_runtime()?.block_on(async {
        // A validator that is not admitted yet waits in there.
        let node = tokio::select! {
            started = start => started?,
            told = until_told_to_stop() => {
                told?;
                tracing::info!("stopped before it was up");
                return Ok(ExitCode::SUCCESS);
            }
        };
        tracing::info!(
            api = %node.api_address(),
            network = %node.transport_address(),
            chain = %genesis.chain().0,
            "{} of {} is up",
            seats(genesis, &node),
            genesis.name(),
        );
        let stopped = tokio::select! {
            told = until_told_to_stop() => told.map(|()| None)?,
            stopped = stopped::watch(node.watch_views(), node.defects()) => Some(stopped),
        };
        if let Some(stopped) = &stopped {
            stopped.note(&config.data);
            if !linger.is_zero() {
                tracing::error!("answering for {} s more, then the process ends", linger.as_secs());
                // Whoever does not want to wait so long may say so.
                let _ = tokio::time::timeout(linger, until_told_to_stop()).await;
            }
        }
        tracing::info!("stopping");
        node.stop().await;
        tracing::info!("stopped");
        Ok(stopped.map_or(ExitCode::SUCCESS, Stopped::exit_code))
    })
}

/// Which validator a node is, for its log.
fn seats(genesis: &Genesis, node: &Node) -> String {
    let is_one_of_several = genesis.shards().len() > 1 || genesis.beacon().is_some();
    let views = node.views();
    let seats: Vec<String> = views
        .iter()
        .filter(|view| view.shard() != BEACON)
        .map(|view| match is_one_of_several {
            true => format!("validator {} of shard {}", view.own(), view.shard()),
            false => format!("validator {}", view.own()),
        })
        .collect();
    if seats.is_empty() { "a validator without a seat".to_owned() } else { seats.join(", ") }
}

/// The threads for sockets and timers.
pub(crate) fn async_runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_name("io")
        .build()
        .context("starting the threads for sockets")
}

/// The signals that tell a process to stop. What came since they were made is not lost.
pub(crate) struct StopSignals {
    terminate: Signal,
    interrupt: Signal,
}

impl StopSignals {
    /// Must be called where async tasks can be started. From then on they no longer end the process.
    pub(crate) fn new() -> anyhow::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate()).context("listening for SIGTERM")?,
            interrupt: signal(SignalKind::interrupt()).context("listening for SIGINT")?,
        })
    }

    /// Returns at SIGINT or SIGTERM.
    pub(crate) async fn told(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// Returns at SIGINT or SIGTERM.
pub(crate) async fn until_told_to_stop() -> anyhow::Result<()> {
    StopSignals::new()?.told().await;
    Ok(())
}

/// Sends the log to standard error; RUST_LOG overrides the level. `quieter` names filters for what
/// the command has told already.
pub(crate) fn start_log(config: LogConfig, quieter: &str) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| {
        let level = config.level.name();
        EnvFilter::new(format!("warn,qcn_node={level},qcn_cli={level}{quieter}"))
    });
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let log = log.with_ansi(std::io::stderr().is_terminal());
    // A second call in one process keeps the first log, which is what is wanted.
    let _ = match config.format {
        LogFormat::Text => log.with_target(false).try_init(),
        LogFormat::Json => log.json().try_init(),
    };
}
