//! `qcn validator rotate`: new keys for a validator, by its recovery key.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use qcn_crypto::{Role, SigningKey};
use qcn_node::document::Overwrite;
use qcn_node::genesis::Genesis;
use qcn_node::membership::{NewValidatorKeys, RotationFile};
use serde_json::json;

use super::PassphraseFile;
use crate::key::{PassphraseArgs, print};
use crate::output::Table;

const EXAMPLES: &str = "\
It is made where the recovery key is, and needs no network. The number of the validator and how
often its keys were replaced (rotations) stand in /v1/beacon of any node; the counter is one more
than that. A key that is not named stays.

The new keys take over with the next epoch. Before that, name them in the node's configuration as
next_consensus_key and next_transport_key, and start it again.

Example:
  qcn key new --role consensus --out next-consensus.key
  qcn validator rotate --genesis genesis.json --recovery-key recovery.key --number 4 --counter 1 \\
    --name eve --consensus-key next-consensus.key --out eve.rotation.json
  qcn vote rotate eve.rotation.json --config node.toml";

/// Whose keys to replace, and by which.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct RotateArgs {
    /// The genesis of the network.
    #[arg(long, value_name = "FILE")]
    genesis: PathBuf,
    /// The key file of the recovery key with which the validator is registered.
    #[arg(long, value_name = "FILE")]
    recovery_key: PathBuf,
    /// The number of the validator in the register.
    #[arg(long, value_name = "N")]
    number: u32,
    /// Which of its rotations it is: 1 for the first.
    #[arg(long, value_name = "C", value_parser = clap::value_parser!(u64).range(1..))]
    counter: u64,
    /// The name with which the validator is registered.
    #[arg(long)]
    name: String,
    /// The key file of the new key that signs its blocks.
    #[arg(long, value_name = "FILE", required_unless_present = "transport_key")]
    consensus_key: Option<PathBuf>,
    /// The key file of the new key that authenticates its links.
    #[arg(long, value_name = "FILE")]
    transport_key: Option<PathBuf>,
    /// The rotation to write.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Replace the file if it exists.
    #[arg(long)]
    overwrite: bool,
    /// The passphrase of the new consensus key, if it is not the common one.
    #[arg(long, value_name = "FILE", requires = "consensus_key")]
    consensus_passphrase_file: Option<PathBuf>,
    /// The passphrase of the new transport key, if it is not the common one.
    #[arg(long, value_name = "FILE", requires = "transport_key")]
    transport_passphrase_file: Option<PathBuf>,
    /// The passphrase of the recovery key, if it is not the common one.
    #[arg(long, value_name = "FILE")]
    recovery_passphrase_file: Option<PathBuf>,
    #[command(flatten)]
    passphrase: PassphraseArgs,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &RotateArgs) -> anyhow::Result<ExitCode> {
    let genesis = Genesis::read(&args.genesis)?;
    let load = |path: &Path, role, own: &Option<PathBuf>| -> anyhow::Result<SigningKey> {
        PassphraseFile { own: own.as_deref(), common: &args.passphrase }.load(path, role)
    };
    let recovery = load(&args.recovery_key, Role::Operator, &args.recovery_passphrase_file)?;
    let consensus = args.consensus_key.as_deref();
    let consensus = consensus
        .map(|path| load(path, Role::Consensus, &args.consensus_passphrase_file))
        .transpose()?;
    let transport = args.transport_key.as_deref();
    let transport = transport
        .map(|path| load(path, Role::Transport, &args.transport_passphrase_file))
        .transpose()?;
    let new = NewValidatorKeys {
        number: args.number,
        counter: args.counter,
        name: &args.name,
        consensus: consensus.as_ref(),
        transport: transport.as_ref(),
    };
    let file = RotationFile::sign(&genesis, &new, &recovery)?;
    let overwrite = if args.overwrite { Overwrite::Replace } else { Overwrite::Refuse };
    file.write(&args.out, overwrite)?;
    report(args, &file)?;
    Ok(ExitCode::SUCCESS)
}

fn report(args: &RotateArgs, file: &RotationFile) -> anyhow::Result<()> {
    let body = &file.rotation().body;
    let digest = |key: &qcn_crypto::PublicKey| key.digest().to_string();
    let (consensus, transport) = (body.consensus.as_ref(), body.transport.as_ref());
    if args.json {
        let report = json!({
            "file": args.out,
            "rotation": file.digest().to_string(),
            "validator": body.number,
            "counter": body.counter,
            "consensus_key_digest": consensus.map(digest),
            "transport_key_digest": transport.map(digest),
            "recovery_key_digest": digest(&body.recovery),
        });
        return print(&format!("{report}\n"));
    }
    let shown = |key: Option<_>| key.map_or_else(|| "stays".to_owned(), digest);
    let table = Table::of_fields(&[
        ("rotation", file.digest().to_string()),
        ("validator", body.number.to_string()),
        ("counter", body.counter.to_string()),
        ("consensus key", shown(consensus)),
        ("transport key", shown(transport)),
        ("recovery key", digest(&body.recovery)),
    ]);
    print(&format!(
        "{}wrote {}: name the new keys in the node's configuration as next_consensus_key and \
         next_transport_key, start it again, and hand the rotation in with `qcn vote rotate`\n",
        table.render(),
        args.out.display()
    ))
}
