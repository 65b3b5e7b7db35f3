//! `qcn genesis validator`: the registration of one validator.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use qcn_node::document::Overwrite;
use qcn_node::genesis::{GenesisValidator, ValidatorFile};

use crate::key::print;
use crate::validator::KeyArgs;

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
    #[command(flatten)]
    keys: KeyArgs,
    /// Where the other validators reach it, over UDP.
    #[arg(long, value_name = "HOST:PORT")]
    address: Option<String>,
    /// The registration to write.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Replace the file if it exists.
    #[arg(long)]
    overwrite: bool,
    /// Print the registration as JSON too.
    #[arg(long)]
    json: bool,
}

pub fn run(args: &ValidatorArgs) -> anyhow::Result<ExitCode> {
    let keys = args.keys.load()?;
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
