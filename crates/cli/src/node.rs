//! `qcn node`: one validator, from its configuration file.

use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;
use qcn_node::config::{LogConfig, LogFormat, NodeConfig};
use qcn_node::devnet::read_node;
use qcn_node::genesis::Genesis;
use qcn_node::runtime::{Node, NodeError, initialise};
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

/// Run one validator.
///
/// It reads its log, dials the others, and answers over HTTP where `[api] listen` says. SIGINT or
/// SIGTERM stops it cleanly; killed at any moment it comes back with nothing final lost.
///
/// Before the very first start of a new validator, mark its data folder with --init. A node whose
/// folder is empty without the mark takes it for a lost disk, and asks the others what it signed.
///
/// Examples:
///   qcn node --config /etc/qcn/node.toml --init
///   qcn node --config /etc/qcn/node.toml
///   RUST_LOG=qcn_node=debug qcn node --config devnet/v0/node.toml
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct NodeArgs {
    /// The node's configuration.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Read and check configuration, genesis and keys, and start nothing.
    #[arg(long)]
    check: bool,
    /// Mark the data folder as that of a key that has NEVER signed anything, and start nothing.
    #[arg(long, conflicts_with = "check")]
    init: bool,
}

pub(crate) fn run(args: &NodeArgs) -> anyhow::Result<ExitCode> {
    let (genesis, config, keys) = read_node(&args.config)?;
    if args.check {
        println!("{}: configuration, genesis and keys are in order", args.config.display());
        return Ok(ExitCode::SUCCESS);
    }
    if args.init {
        initialise(&genesis, &config, &keys)?;
        println!("{}: ready for the first start", config.data.display());
        return Ok(ExitCode::SUCCESS);
    }
    run_until_stopped(&genesis, &config, Node::start(&genesis, &config, keys))?;
    Ok(ExitCode::SUCCESS)
}

/// Runs the node that `start` gives, with its log, until the process is told to stop.
///
/// # Errors
/// If it does not start, or the process cannot listen for signals.
pub fn run_until_stopped(
    genesis: &Genesis,
    config: &NodeConfig,
    start: impl Future<Output = Result<Node, NodeError>>,
) -> anyhow::Result<()> {
    start_log(config.log, "");
    for warning in genesis.warnings() {
        tracing::warn!("{warning}");
    }
    async_runtime()?.block_on(async {
        let node = start.await?;
        tracing::info!(
            api = %node.api_address(),
            network = %node.transport_address(),
            chain = %genesis.chain().0,
            "validator {} of {} is up",
            node.view().own(),
            genesis.name(),
        );
        until_told_to_stop().await?;
        tracing::info!("stopping");
        node.stop().await;
        tracing::info!("stopped");
        Ok(())
    })
}

/// The threads for sockets and timers.
pub(crate) fn async_runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .thread_name("io")
        .build()
        .context("starting the threads for sockets")
}

/// Returns at SIGINT or SIGTERM.
pub(crate) async fn until_told_to_stop() -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate()).context("listening for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("listening for SIGINT")?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
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
