//! `qcn validator`: join a network that runs, and replace the keys of a validator in it.

mod keys;
mod register;
mod rotate;

use std::process::ExitCode;

use clap::Subcommand;

pub use keys::{KeyArgs, PassphraseFile};

/// Join a network that runs, and replace the keys of a validator in it.
#[derive(Debug, Subcommand)]
#[command(after_help = "\
How a validator joins:
  1. Its operator makes keys (`qcn key new`) and a registration (`qcn validator register`), and sends
     the registration, which holds nothing secret, to the operators of the network.
  2. Each of them votes for it (`qcn vote admit`). With more than two thirds of the weight it is a
     validator from the next epoch on.
  3. It runs a node (`qcn node new --registration FILE`).

How keys are replaced: whoever holds the recovery key makes a rotation (`qcn validator rotate`), and
the operator of any validator hands it in (`qcn vote rotate`).")]
pub enum ValidatorCommand {
    /// Write the registration of a validator, for those who admit it.
    Register(register::RegisterArgs),
    /// Write new keys of a validator, signed by its recovery key.
    Rotate(rotate::RotateArgs),
}

/// Runs a command. An error is bad input or a failing file, for exit code 2.
pub fn run(command: &ValidatorCommand) -> anyhow::Result<ExitCode> {
    match command {
        ValidatorCommand::Register(args) => register::run(args),
        ValidatorCommand::Rotate(args) => rotate::run(args),
    }
}
