//! `qcn genesis`: register validators, put a network together, look at it.

mod layout;
mod new;
mod show;
mod validator;

use std::process::ExitCode;

use clap::Subcommand;

/// Register validators, put a network's genesis together, and look at it.
#[derive(Debug, Subcommand)]
#[command(after_help = "\
How a network is set up:
  1. Every operator makes keys (`qcn key new`) and a registration (`qcn genesis validator`), and
     sends the registration, which holds nothing secret, to the coordinator.
  2. The coordinator puts them together (`qcn genesis new`) and sends everyone the genesis.
  3. Every operator looks at it (`qcn genesis check`), compares the chain id with the others, and
     starts a node with it.")]
pub enum GenesisCommand {
    /// Write the registration of a validator, for whoever puts the genesis together.
    Validator(validator::ValidatorArgs),
    /// Put a genesis together from registrations and balances.
    New(new::NewArgs),
    /// Show the committee, the accounts and the chain id of a genesis.
    Show(show::ShowArgs),
    /// Check everything in a genesis, also the proofs that the keys are held.
    Check(show::CheckArgs),
}

/// Runs a command. An error is bad input or a failing file, for exit code 2.
pub fn run(command: GenesisCommand) -> anyhow::Result<ExitCode> {
    match command {
        GenesisCommand::Validator(args) => validator::run(&args),
        GenesisCommand::New(args) => new::run(&args),
        GenesisCommand::Show(args) => show::run_show(&args),
        GenesisCommand::Check(args) => show::run_check(&args),
    }
}
