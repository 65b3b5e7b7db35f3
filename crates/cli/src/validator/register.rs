//! `qcn validator register`: the registration of a validator that joins a network.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use qcn_node::document::Overwrite;
use qcn_node::genesis::Genesis;
use qcn_node::membership::{NewValidator, RegistrationFile};
use serde_json::json;

use super::KeyArgs;
use crate::key::print;
use crate::output::Table;

const EXAMPLES: &str = "\
The registration holds public keys, and proofs that you hold the secret ones. The proofs cover the
whole registration and the network: with another weight, address or genesis, make it again.

Weight is voting power and follows processing power: 1000 for an ordinary machine
(`qcn crypto bench` measures yours). You get what the others vote for.

A key with a passphrase of its own is given that by --consensus-passphrase-file and the like; the
others share --passphrase-file, QCN_PASSPHRASE, or are asked for.

Example:
  qcn key new --role consensus --out consensus.key
  qcn key new --role transport --out transport.key
  qcn key new --role recovery --out recovery.key
  qcn validator register --genesis genesis.json --name eve --weight 1000 \\
    --consensus-key consensus.key --transport-key transport.key --recovery-key recovery.key \\
    --address eve.example:7400 --out eve.registration.json";

/// Whom to register, and where.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct RegisterArgs {
    /// The genesis of the network.
    #[arg(long, value_name = "FILE")]
    genesis: PathBuf,
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
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &RegisterArgs) -> anyhow::Result<ExitCode> {
    let genesis = Genesis::read(&args.genesis)?;
    let keys = args.keys.load()?;
    let new = NewValidator {
        name: &args.name,
        weight: args.weight,
        keys: &keys,
        address: args.address.as_deref(),
    };
    let file = RegistrationFile::sign(&genesis, &new)?;
    let overwrite = if args.overwrite { Overwrite::Replace } else { Overwrite::Refuse };
    file.write(&args.out, overwrite)?;
    report(&args.out.display().to_string(), &file, &genesis, args.json)?;
    Ok(ExitCode::SUCCESS)
}

fn report(
    out: &str,
    file: &RegistrationFile,
    genesis: &Genesis,
    as_json: bool,
) -> anyhow::Result<()> {
    let registration = file.registration();
    let digest = |key: &qcn_crypto::PublicKey| key.digest().to_string();
    let recovery = registration.recovery.as_ref().map(|proven| digest(&proven.key));
    if as_json {
        let report = json!({
            "file": out,
            "registration": file.digest().to_string(),
            "chain_id": genesis.chain().0.to_string(),
            "name": file.name(),
            "weight": registration.weight.0,
            "consensus_key_digest": digest(&registration.consensus.key),
            "transport_key_digest": digest(&registration.transport.key),
            "recovery_key_digest": recovery,
        });
        return print(&format!("{report}\n"));
    }
    let table = Table::of_fields(&[
        ("registration", file.digest().to_string()),
        ("network", format!("{}, chain id {}", genesis.name(), genesis.chain().0)),
        ("name", file.name()),
        ("weight", registration.weight.0.to_string()),
        ("consensus key", digest(&registration.consensus.key)),
        ("transport key", digest(&registration.transport.key)),
        ("recovery key", recovery.unwrap_or_else(|| "none: its keys can never be replaced".into())),
    ]);
    print(&format!(
        "{}wrote {out}: send it to the operators of the network, who vote for it with `qcn vote \
         admit`; then write the configuration of the node with `qcn node new --registration`\n",
        table.render()
    ))
}
