//! `qcn account`: accounts of a network's ledger.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use qcn_crypto::{Role, Scheme};

use crate::key::{self, DestinationArgs};

/// Make accounts.
#[derive(Debug, Subcommand)]
pub enum AccountCommand {
    /// Make an account's key, write it to a new file, and print the address.
    New(NewArgs),
}

const NEW_EXAMPLES: &str = "\
The address is the hash of scheme and key. Nothing is sent anywhere: an account comes to be when
somebody transfers something to its address.

Schemes:
  ml-dsa-44          2,420-byte signatures, quick to make (the usual one)
  falcon-512         666-byte signatures, the smallest transactions; after a draft of FIPS 206
  slh-dsa-sha2-128s  7,856-byte signatures, slow to make; rests on hashes alone

Examples:
  qcn account new --out alice.key
  qcn account new --scheme falcon-512 --out bob.key --json";

/// Which account to make.
#[derive(Debug, Args)]
#[command(after_help = NEW_EXAMPLES)]
pub struct NewArgs {
    /// The signature scheme.
    #[arg(long, value_name = "SCHEME", default_value_t = key::usual_scheme(Role::Account))]
    scheme: Scheme,
    #[command(flatten)]
    destination: DestinationArgs,
}

/// Runs a command. An error is bad input or a failing file, for exit code 2.
pub fn run(command: AccountCommand) -> anyhow::Result<ExitCode> {
    match command {
        AccountCommand::New(args) => key::new_key(Role::Account, args.scheme, &args.destination),
    }
}
