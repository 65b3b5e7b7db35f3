//! `qcn load`: transfers at a steady rate, followed until they are final.
//!
//! The rate is that of the plan: a late answer delays nothing that comes after it, and latency
//! counts from the moment a transaction was due. Accounts pay one another in a ring, so that in
//! the end everything must add up; that is verified at every node, by a client that is not part
//! of them.

mod histogram;
mod lane;
mod report;
mod run;
mod schedule;
mod sender;
mod verify;
mod watch;
mod worker;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::ensure;
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use qcn_crypto::{Scheme, SigningKey};

use crate::account_key::{key_files, load_account_key};
use crate::client::NodeUrl;
use crate::key::PassphraseArgs;
use crate::node::{async_runtime, until_told_to_stop};
use crate::output::{milliseconds, print, print_line};
pub(crate) use run::{LoadOptions, Phase, Progress, Snapshot, run_load};

/// Exit code of a load after which something is not as it must be.
const EXIT_NOT_IN_ORDER: u8 = 1;
/// Exit code of a program that SIGINT ended, as shells have it.
const EXIT_INTERRUPTED: i32 = 130;
/// The longest load, in seconds.
const SECONDS_MAX: f64 = 1e6;

pub const EXAMPLES: &str = "\
Transactions are signed before the measured time, unless --sign-live is given. Each is due at its
moment, however late the answers are, and latency counts from then. Nobody else may use the
accounts meanwhile: in the end their nonces and balances are compared at every node.

Exit code: 0 if all that was sent is final at every node and everything adds up, 1 if not, 2 for
bad input or a node that cannot be reached.

Examples:
  qcn load --accounts-dir devnet/accounts --tps 500 --seconds 30
  qcn load --node http://127.0.0.1:8080 --node http://127.0.0.1:8081 --key a.key --key b.key
  qcn load --accounts-dir devnet/accounts --tps 100 --json | jq .to_final.p50_ms";

/// Which load, from where, to where.
#[derive(Debug, Args)]
pub struct LoadArgs {
    /// A node's address; give it once for each node that is to share the load. QCN_NODE or
    /// http://127.0.0.1:8080 if not given.
    #[arg(long, value_name = "URL")]
    node: Vec<NodeUrl>,
    /// A folder of account keys: its files that end in .key.
    #[arg(long, value_name = "DIR", required_unless_present = "key")]
    accounts_dir: Option<PathBuf>,
    /// An account key; give it once for each account.
    #[arg(long, value_name = "FILE")]
    key: Vec<PathBuf>,
    #[command(flatten)]
    passphrase: PassphraseArgs,
    /// Use only accounts of this scheme.
    #[arg(long, value_name = "SCHEME")]
    scheme: Option<Scheme>,
    /// Transactions per second, at all nodes together.
    #[arg(long, value_name = "N", default_value_t = 100.0, allow_negative_numbers = true)]
    tps: f64,
    /// For how long.
    #[arg(long, value_name = "S", default_value_t = 10.0, allow_negative_numbers = true)]
    seconds: f64,
    /// The most transactions in one request.
    #[arg(long, value_name = "N", default_value_t = 100,
          value_parser = clap::value_parser!(u64).range(1..=lane::BATCH_MAX as u64))]
    batch: u64,
    /// How many requests may be under way to one node.
    #[arg(long, value_name = "N", default_value_t = 4,
          value_parser = clap::value_parser!(u64).range(1..=64))]
    connections: u64,
    /// Sign on the way instead of before.
    #[arg(long)]
    sign_live: bool,
    /// How long to wait in the end for all to become final, in seconds.
    #[arg(long, value_name = "S", default_value_t = 30,
          value_parser = clap::value_parser!(u64).range(1..=86_400))]
    drain: u64,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

/// Runs `qcn load`.
pub fn run(args: &LoadArgs) -> anyhow::Result<ExitCode> {
    ensure!(
        args.seconds > 0.0 && args.seconds <= SECONDS_MAX,
        "--seconds {} is no time for a load; give a number above 0, up to {SECONDS_MAX}",
        args.seconds
    );
    let options = LoadOptions {
        nodes: match args.node.as_slice() {
            [] => vec![NodeUrl::from_environment()?],
            nodes => nodes.to_vec(),
        },
        keys: keys(args)?,
        tps: args.tps,
        duration: Some(Duration::from_secs_f64(args.seconds)),
        batch: usize::try_from(args.batch)?,
        connections: usize::try_from(args.connections)?,
        sign_ahead: !args.sign_live,
        drain: Duration::from_secs(args.drain),
    };
    let bar = Bar::new();
    let stop = Arc::new(AtomicBool::new(false));
    stop_when_told(Arc::clone(&stop))?;
    let report = run_load(&options, &bar, &stop);
    bar.0.finish_and_clear();
    let report = report?;
    if args.json {
        print_line(&serde_json::to_string_pretty(&report)?)?;
    } else {
        print(&report.render())?;
    }
    Ok(if report.is_in_order() { ExitCode::SUCCESS } else { ExitCode::from(EXIT_NOT_IN_ORDER) })
}

/// The first SIGINT or SIGTERM ends the sending, the second one the program.
fn stop_when_told(stop: Arc<AtomicBool>) -> anyhow::Result<()> {
    let runtime = async_runtime()?;
    let wait = move || {
        runtime.block_on(async {
            if until_told_to_stop().await.is_err() {
                return;
            }
            crate::note("no more is sent; waiting for what was: once more to leave at once");
            stop.store(true, Ordering::Relaxed);
            if until_told_to_stop().await.is_ok() {
                std::process::exit(EXIT_INTERRUPTED);
            }
        });
    };
    std::thread::Builder::new().name("signals".to_owned()).spawn(wait)?;
    Ok(())
}

/// The keys of the command line, those of another scheme left out.
fn keys(args: &LoadArgs) -> anyhow::Result<Vec<SigningKey>> {
    let mut files = args.key.clone();
    if let Some(folder) = &args.accounts_dir {
        files.extend(key_files(folder)?);
    }
    let mut keys = Vec::with_capacity(files.len());
    for file in &files {
        let key = load_account_key(file, &args.passphrase)?;
        if args.scheme.is_none_or(|scheme| scheme == key.scheme()) {
            keys.push(key);
        }
    }
    ensure!(
        !keys.is_empty(),
        "none of the {} accounts has the scheme of --scheme; give others, or leave --scheme out",
        files.len()
    );
    Ok(keys)
}

/// A bar on standard error; hidden where that is no terminal.
struct Bar(ProgressBar);

impl Bar {
    fn new() -> Self {
        let bar = ProgressBar::new(1);
        let template = "{prefix} [{bar:30}] {percent:>3}%  {msg}";
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style.progress_chars("=> "));
        }
        Self(bar)
    }
}

impl Progress for Bar {
    fn show(&self, snapshot: &Snapshot) {
        let (prefix, message) = match snapshot.phase {
            Phase::Accounts => ("accounts", format!("{} read", snapshot.done)),
            Phase::Signing => ("signing ", format!("{} signed", snapshot.done)),
            Phase::Sending | Phase::Draining => {
                let is_sending = snapshot.phase == Phase::Sending;
                let median = Duration::from_micros(snapshot.final_p50_us);
                let message = format!(
                    "{} submitted, {} refused, {} final, p50 {}",
                    snapshot.submitted,
                    snapshot.refused,
                    snapshot.network_final,
                    milliseconds(median)
                );
                (if is_sending { "sending " } else { "draining" }, message)
            }
        };
        self.0.set_length(snapshot.of);
        self.0.set_position(snapshot.done);
        self.0.set_prefix(prefix);
        self.0.set_message(message);
    }
}
