//! `qcn genesis validator`: the registration of one validator.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use qcn_crypto::Role;
use qcn_node::document::Overwrite;
use qcn_node::genesis::{GenesisValidator, ValidatorFile, ValidatorKeys};
use qcn_node::keyfile::{self, PassphraseSource};

use crate::key::{PassphraseArgs, print};

const EXAMPLES: &str = "\
The registration holds public keys, and proofs that you hold the secret ones. The proofs cover the
name and all keys together; the weight and the address may still be changed by the coordinator.

Weight is voting power and follows processing power: 1000 for an ordinary machine
(`qcn crypto bench` measures yours).

A key with a passphrase of its own is given that by --consensus-passphrase-file and the like; the
others share --passphrase-file, QCN_PASSPHRASE, or are asked for.

Example:
  qcn key new --role consensus --out consensus.key
  qcn key new --role transport --out transport.key
  qcn key new --role recovery --out recovery.key
  qcn genesis validator --name alice --consensus-key consensus.key --transport-key transport.key \\
    --recovery-key recovery.key --address alice.example:7400 --out alice.validator.json";

/// Whom to register.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct ValidatorArgs {
    /// The validator's name, different from all others'.
    #[arg(long)]
    name: String,
    /// The voting power to ask for.
    #[arg(long, default_value_t = 1000)]
    weight: u64,
    /// The key file of the key that signs its blocks.
    #[arg(long, value_name = "FILE")]
    consensus_key: PathBuf,
    /// The key file of the key that authenticates its links.
    #[arg(long, value_name = "FILE")]
    transport_key: PathBuf,
    /// The key file of the key that can replace the consensus key.
    #[arg(long, value_name = "FILE")]
    recovery_key: Option<PathBuf>,
    /// Where the other validators reach it, over UDP.
    #[arg(long, value_name = "HOST:PORT")]
    address: Option<String>,
    /// The registration to write.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Replace the file if it exists.
    #[arg(long)]
    overwrite: bool,
    /// The passphrase of the consensus key, if it is not the common one.
    #[arg(long, value_name = "FILE")]
    consensus_passphrase_file: Option<PathBuf>,
    /// The passphrase of the transport key, if it is not the common one.
    #[arg(long, value_name = "FILE")]
    transport_passphrase_file: Option<PathBuf>,
    /// The passphrase of the recovery key, if it is not the common one.
    #[arg(long, value_name = "FILE", requires = "recovery_key")]
    recovery_passphrase_file: Option<PathBuf>,
    #[command(flatten)]
    passphrase: PassphraseArgs,
    /// Print the registration as JSON too.
    #[arg(long)]
    json: bool,
}

pub fn run(args: &ValidatorArgs) -> anyhow::Result<ExitCode> {
    let load = |path: &Path, role, own: &Option<PathBuf>| {
        let common = || args.passphrase.source();
        let source = own.as_deref().map_or_else(common, |own| PassphraseSource::choose(Some(own)));
        keyfile::load(path, role, &source)
    };
    let recovery = args.recovery_key.as_deref();
    let of_recovery = |path: &Path| load(path, Role::Operator, &args.recovery_passphrase_file);
    let keys = ValidatorKeys {
        consensus: load(&args.consensus_key, Role::Consensus, &args.consensus_passphrase_file)?,
        transport: load(&args.transport_key, Role::Transport, &args.transport_passphrase_file)?,
        recovery: recovery.map(of_recovery).transpose()?,
    };
    let entry = GenesisValidator::register(&args.name, args.weight, &keys, args.address.clone())?;
    let text = ValidatorFile::new(entry).to_json();
    // Checked as the coordinator will check it, so that the operator hears of a mistake first.
    let file = ValidatorFile::parse(&text, "the registration")?;
    let overwrite = if args.overwrite { Overwrite::Replace } else { Overwrite::Refuse };
    file.write(&args.out, overwrite)?;
    if args.json {
        print(&format!("{}\n", serde_json::to_string(&file)?))?;
    } else {
        print(&format!(
            "wrote {}: send it to whoever puts the genesis together\n",
            args.out.display()
        ))?;
    }
    Ok(ExitCode::SUCCESS)
}
