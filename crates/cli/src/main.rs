//! The `qcn` command line.

mod account;
mod account_key;
mod client;
mod completions;
mod crypto;
mod dag;
mod genesis;
mod key;
mod load;
mod output;
mod query;
mod sim;
mod transfer;

use std::process::ExitCode;

use clap::{CommandFactory as _, Parser, Subcommand};

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
    /// Simulate a network of validators in virtual time.
    #[command(subcommand)]
    Sim(sim::SimCommand),
    /// Move an amount to another account.
    #[command(after_help = transfer::TRANSFER_EXAMPLES)]
    Transfer(transfer::TransferArgs),
    /// Let another key sign for an account from now on.
    #[command(after_help = transfer::ROTATE_EXAMPLES)]
    RotateKey(transfer::RotateArgs),
    /// Ask a node.
    #[command(after_help = query::EXAMPLES)]
    Query(query::QueryArgs),
    /// Put load on a network and report what became final, and how fast.
    #[command(after_help = load::EXAMPLES)]
    Load(load::LoadArgs),
    /// Print a completion script for a shell.
    #[command(after_help = completions::EXAMPLES)]
    Completions(completions::CompletionsArgs),
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
        Command::Sim(command) => sim::run(command),
        Command::Transfer(args) => transfer::run(&args),
        Command::RotateKey(args) => transfer::run_rotate(&args),
        Command::Query(args) => query::run(&args),
        Command::Load(args) => load::run(&args),
        Command::Completions(args) => completions::run(&args, Cli::command()),
    };
    outcome.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::from(EXIT_BAD_INPUT)
    })
}
