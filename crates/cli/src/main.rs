//! The `qcn` command line.

mod account;
mod crypto;
mod dag;
mod genesis;
mod key;
mod light;
mod sim;

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
    /// Make accounts.
    #[command(subcommand)]
    Account(account::AccountCommand),
    /// Work with post-quantum keys, signatures and hashes.
    #[command(subcommand)]
    Crypto(crypto::CryptoCommand),
    /// Inspect the commit rule: decide and draw DAGs.
    #[command(subcommand)]
    Dag(dag::DagCommand),
    /// Register validators, put a network's genesis together, and look at it.
    #[command(subcommand)]
    Genesis(genesis::GenesisCommand),
    /// Make, show, export and import key files.
    #[command(subcommand)]
    Key(key::KeyCommand),
    /// Check proofs from a network without trusting anybody in it.
    #[command(subcommand)]
    Light(light::LightCommand),
    /// Simulate a network of validators in virtual time.
    #[command(subcommand)]
    Sim(sim::SimCommand),
}

/// Exit code of bad input, the same as that of a wrong command line.
const EXIT_BAD_INPUT: u8 = 2;

fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Account(command) => account::run(command),
        Command::Crypto(command) => crypto::run(command),
        Command::Dag(command) => dag::run(command),
        Command::Genesis(command) => genesis::run(command),
        Command::Key(command) => key::run(command),
        Command::Light(command) => light::run(command),
        Command::Sim(command) => sim::run(command),
    };
    outcome.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::from(EXIT_BAD_INPUT)
    })
}
