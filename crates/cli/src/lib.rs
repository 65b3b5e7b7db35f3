//! The `qcn` command line: what the program does, and what it does with the documents it reads.

mod account;
mod account_key;
mod client;
mod completions;
pub mod crypto;
pub mod dag;
mod devnet;
mod genesis;
mod key;
mod light;
mod load;
pub mod node;
mod output;
mod query;
mod shard;
mod sim;
mod transfer;
mod tunnel;
mod validator;
mod vote;

use std::io::{self, Write as _};
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
    /// Work with post-quantum keys, signatures and hashes.
    #[command(subcommand)]
    Crypto(crypto::CryptoCommand),
    /// Inspect the commit rule: decide and draw DAGs.
    #[command(subcommand)]
    Dag(dag::DagCommand),
    /// Simulate a network of validators in virtual time.
    #[command(subcommand)]
    Sim(sim::SimCommand),
    /// Plan shards: how large their committees must be, and who would serve.
    #[command(subcommand)]
    Shard(shard::ShardCommand),
    /// Make, show, export and import key files.
    #[command(subcommand)]
    Key(key::KeyCommand),
    /// Make accounts.
    #[command(subcommand)]
    Account(account::AccountCommand),
    /// Register validators, put a network's genesis together, and look at it.
    #[command(subcommand)]
    Genesis(genesis::GenesisCommand),
    /// Check proofs from a network without trusting anybody in it.
    #[command(subcommand)]
    Light(light::LightCommand),
    /// Run one validator.
    Node(node::NodeArgs),
    /// Run a network of validators on this machine.
    Devnet(devnet::DevnetArgs),
    /// Reach the API of a node elsewhere, with post-quantum keys on both sides.
    #[command(after_help = tunnel::EXAMPLES)]
    Tunnel(tunnel::TunnelArgs),
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
    /// Join a network that runs, and replace the keys of a validator.
    #[command(subcommand)]
    Validator(validator::ValidatorCommand),
    /// Vote on shards, weights and who is admitted; hand in new keys; leave.
    #[command(subcommand, after_help = vote::EXAMPLES)]
    Vote(vote::VoteCommand),
    /// Print a completion script for a shell.
    #[command(after_help = completions::EXAMPLES)]
    Completions(completions::CompletionsArgs),
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
        Command::Shard(command) => shard::run(command),
        Command::Key(command) => key::run(command),
        Command::Account(command) => account::run(command),
        Command::Genesis(command) => genesis::run(command),
        Command::Light(command) => light::run(command),
        Command::Node(args) => node::run(&args),
        Command::Devnet(args) => devnet::run(&args),
        Command::Tunnel(args) => tunnel::run(&args),
        Command::Transfer(args) => transfer::run(&args),
        Command::RotateKey(args) => transfer::run_rotate(&args),
        Command::Query(args) => query::run(&args),
        Command::Load(args) => load::run(&args),
        Command::Validator(command) => validator::run(&command),
        Command::Vote(command) => vote::run(&command),
        Command::Completions(args) => completions::run(&args, Cli::command()),
    };
    outcome.unwrap_or_else(|error| {
        if is_closed_pipe(&error) {
            return ExitCode::SUCCESS;
        }
        note(&format!("error: {}", told_once(&error)));
        ExitCode::from(EXIT_BAD_INPUT)
    })
}

/// An error with its causes. Many name their cause already, and it is not told again.
fn told_once(error: &anyhow::Error) -> String {
    error.chain().fold(String::new(), |told, cause| match cause.to_string() {
        first if told.is_empty() => first,
        again if told.contains(&again) => told,
        cause => format!("{told}: {cause}"),
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

#[cfg(test)]
mod tests {
    use super::*;

    /// The commands that show no examples, neither themselves nor the command they belong to.
    fn without_examples(command: &clap::Command, name: &str, found: &mut Vec<String>) {
        let help = command.clone().render_long_help().to_string();
        if help.contains("Example") && help.contains(&format!("  {name} ")) {
            return;
        }
        if !command.has_subcommands() {
            found.push(name.to_owned());
        }
        for one in command.get_subcommands() {
            without_examples(one, &format!("{name} {}", one.get_name()), found);
        }
    }

    #[test]
    fn a_cause_is_told_once() {
        let inner = || io::Error::other("no such thing");
        let naming = anyhow::Error::new(inner()).context("refused: no such thing");
        assert_eq!(told_once(&naming), "refused: no such thing");
        let other = anyhow::Error::new(inner()).context("starting v0");
        assert_eq!(told_once(&other), "starting v0: no such thing");
    }

    #[test]
    fn every_command_has_help_with_examples() {
        let mut found = Vec::new();
        for command in Cli::command().get_subcommands() {
            without_examples(command, &format!("qcn {}", command.get_name()), &mut found);
        }
        assert_eq!(found, [""; 0]);
    }
}
