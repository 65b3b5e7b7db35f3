//! The `qcn` command line: what the program does, and what it does with the documents it reads.

pub mod crypto;
pub mod dag;
mod sim;

use std::io::{self, Write as _};
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Simulate, inspect and verify a post-quantum ledger.
#[derive(Debug, Parser)]
#[command(name = "qcn", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Work with post-quantum keys, signatures and hashes.
    #[command(subcommand)]
    Crypto(crypto::CryptoCommand),
    /// Inspect the commit rule: decide and draw DAGs.
    #[command(subcommand)]
    Dag(dag::DagCommand),
    /// Simulate a network of validators in virtual time.
    #[command(subcommand)]
    Sim(sim::SimCommand),
}

/// Exit code of bad input, the same as that of a wrong command line.
const EXIT_BAD_INPUT: u8 = 2;

/// Runs the command that the process was started with.
#[must_use]
pub fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Crypto(command) => crypto::run(command),
        Command::Dag(command) => dag::run(command),
        Command::Sim(command) => sim::run(command),
    };
    outcome.unwrap_or_else(|error| {
        if is_closed_pipe(&error) {
            return ExitCode::SUCCESS;
        }
        note(&format!("error: {error:#}"));
        ExitCode::from(EXIT_BAD_INPUT)
    })
}

/// Whether somebody who read standard output, such as `head`, has seen enough.
fn is_closed_pipe(error: &anyhow::Error) -> bool {
    let causes = error.chain().filter_map(|cause| cause.downcast_ref::<io::Error>());
    causes.into_iter().any(|cause| cause.kind() == io::ErrorKind::BrokenPipe)
}

/// Says something beside the result. It does not matter whether anybody listens.
fn note(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}
