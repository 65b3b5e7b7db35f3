//! `qcn key`: make, show, export and import key files.

mod file;
mod secret;

use std::io::{ErrorKind, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, ensure};
use clap::{Args, Subcommand};
use qcn_crypto::{KeyFile, Role, Scheme, SealingCost, SigningKey};
use qcn_node::document::Overwrite;
use qcn_node::keyfile::{self, PassphraseSource};

pub use file::KeyReport;

/// Make, show, export and import key files.
#[derive(Debug, Subcommand)]
pub enum KeyCommand {
    /// Make a key and write it to a new file, sealed with a passphrase.
    New(NewArgs),
    /// Show the public part of a key file; no passphrase is needed.
    Show(file::ShowArgs),
    /// Print the secret of a key file.
    Export(secret::ExportArgs),
    /// Make a key file of a secret that was exported.
    Import(secret::ImportArgs),
}

/// Runs a command. An error is bad input or a failing file, for exit code 2.
pub fn run(command: KeyCommand) -> anyhow::Result<ExitCode> {
    match command {
        KeyCommand::New(args) => run_new(&args),
        KeyCommand::Show(args) => file::run_show(&args),
        KeyCommand::Export(args) => secret::run_export(&args),
        KeyCommand::Import(args) => secret::run_import(&args),
    }
}

/// Where the passphrase comes from.
#[derive(Debug, Args)]
pub struct PassphraseArgs {
    /// Read the passphrase from the only line of this file. Without it, the environment variable
    /// QCN_PASSPHRASE is used if it is set, else the passphrase is asked for.
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
}

impl PassphraseArgs {
    /// The source that was chosen.
    pub fn source(&self) -> PassphraseSource {
        PassphraseSource::choose(self.passphrase_file.as_deref())
    }
}

/// Where a key goes, and how it is protected there.
#[derive(Debug, Args)]
pub struct DestinationArgs {
    /// The key file to write; only its owner can read it.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Do not seal the key: whoever reads the file has it. For networks that are thrown away.
    #[arg(long, conflicts_with = "passphrase_file")]
    unencrypted: bool,
    /// Replace the file if it exists. The key in it is lost.
    #[arg(long)]
    overwrite: bool,
    #[command(flatten)]
    passphrase: PassphraseArgs,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

impl DestinationArgs {
    /// Writes a key and reports its public part. `key` is called once all else is known to be fine.
    pub fn write(
        &self,
        role: Role,
        key: impl FnOnce() -> anyhow::Result<SigningKey>,
    ) -> anyhow::Result<ExitCode> {
        let overwrite = if self.overwrite { Overwrite::Replace } else { Overwrite::Refuse };
        ensure!(
            self.overwrite || !self.out.exists(),
            "{}: the file exists already; name a new file, or add --overwrite to lose that key",
            self.out.display()
        );
        let file = if self.unencrypted {
            warn("the key is not encrypted: whoever reads the file has it");
            KeyFile::unsealed(&key()?, role)
        } else {
            let passphrase = self.passphrase.source().new_passphrase(&self.out)?;
            KeyFile::seal(&key()?, role, &passphrase, SealingCost::default())?
        };
        keyfile::write(&self.out, &file, overwrite)?;
        KeyReport::new(&self.out, &file).print(self.json)
    }
}

const NEW_EXAMPLES: &str = "\
Roles, and the scheme that is used unless another is named:
  consensus  falcon-512         signs blocks
  transport  ml-dsa-65          authenticates links between validators, and clients (qcn tunnel)
  account    ml-dsa-44          signs transactions; also falcon-512, slh-dsa-sha2-128s
  recovery   slh-dsa-sha2-128s  replaces a lost or stolen consensus key; keep it offline

Examples:
  qcn key new --role consensus --out consensus.key
  qcn key new --role account --scheme falcon-512 --out alice.key --passphrase-file pass.txt
  qcn key new --role transport --out transport.key --unencrypted --json
  qcn key new --role transport --out client.key   # for `qcn tunnel`";

/// Which key to make.
#[derive(Debug, Args)]
#[command(after_help = NEW_EXAMPLES)]
pub struct NewArgs {
    /// What the key is for: consensus, transport, account or recovery.
    #[arg(long, value_name = "ROLE")]
    role: Role,
    /// The signature scheme; every role has a usual one.
    #[arg(long, value_name = "SCHEME")]
    scheme: Option<Scheme>,
    #[command(flatten)]
    destination: DestinationArgs,
}

fn run_new(args: &NewArgs) -> anyhow::Result<ExitCode> {
    let scheme = args.scheme.unwrap_or_else(|| usual_scheme(args.role));
    new_key(args.role, scheme, &args.destination)
}

/// Makes a key and writes it.
pub fn new_key(
    role: Role,
    scheme: Scheme,
    destination: &DestinationArgs,
) -> anyhow::Result<ExitCode> {
    check_scheme(role, scheme)?;
    destination.write(role, || Ok(SigningKey::generate(scheme)?))
}

/// DESIGN section 4.
pub fn usual_scheme(role: Role) -> Scheme {
    match role {
        Role::Consensus => Scheme::Falcon512,
        Role::Transport => Scheme::MlDsa65,
        Role::Account => Scheme::MlDsa44,
        Role::Operator => Scheme::SlhDsaSha2_128s,
    }
}

/// Other roles are up to the genesis.
fn check_scheme(role: Role, scheme: Scheme) -> anyhow::Result<()> {
    ensure!(
        role != Role::Transport || scheme == Scheme::MlDsa65,
        "links cannot be authenticated with {scheme}; leave --scheme out, or give {}",
        Scheme::MlDsa65
    );
    Ok(())
}

/// Says something on standard error that is no error.
pub fn warn(what: &str) {
    eprintln!("warning: {what}");
}

/// Writes text to standard output. A reader that has seen enough and went away is no error.
pub fn print(text: &str) -> anyhow::Result<()> {
    let mut output = std::io::stdout().lock();
    match output.write_all(text.as_bytes()).and_then(|()| output.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        written => written.context("cannot write to standard output"),
    }
}
