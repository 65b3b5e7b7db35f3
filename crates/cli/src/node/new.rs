//! `qcn node new`: the configuration of one validator.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, bail, ensure};
use clap::Args;
use qcn_crypto::{KeyFile, PublicKey, Role};
use qcn_node::config::NodeConfig;
use qcn_node::document::Overwrite;
use qcn_node::genesis::Genesis;
use qcn_node::keyfile;
use qcn_node::membership::RegistrationFile;
use qcn_node::runtime::check_clients;
use qcn_node::transport::ClientKey;
use serde_json::json;

use crate::key::print;

const EXAMPLES: &str = "\
What is left out lies beside the file that is written: genesis.json, consensus.key, transport.key,
data. The keys must be those of a validator in the genesis, or of the registration with which you
join a network that runs (`qcn validator register`); their passphrase is not needed. The file has a
comment for each key, and may be edited.

Examples:
  qcn node new --listen 0.0.0.0:7400 --passphrase-file passphrase --out node.toml
  qcn node new --genesis genesis.json --keys /etc/qcn --data /var/lib/qcn/data \\
    --listen 0.0.0.0:7400 --advertise alice.example:7400 --client KEY_DIGEST \
    --out /etc/qcn/node.toml
  qcn node new --registration eve.registration.json --listen 0.0.0.0:7400 --out node.toml";

/// What the configuration says.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct NewArgs {
    /// The configuration to write.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Where other validators reach this one, over UDP.
    #[arg(long, value_name = "IP:PORT")]
    listen: SocketAddr,
    /// The genesis of the network.
    #[arg(long, value_name = "FILE")]
    genesis: Option<PathBuf>,
    /// The registration of a validator that is not in the genesis, and will be admitted.
    #[arg(long, value_name = "FILE")]
    registration: Option<PathBuf>,
    /// The folder of consensus.key and transport.key.
    #[arg(long, value_name = "DIR")]
    keys: Option<PathBuf>,
    /// A file with the passphrase of both keys, which need not be there yet.
    #[arg(long, value_name = "FILE")]
    passphrase_file: Option<PathBuf>,
    /// The folder for everything that the node stores.
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// How the others call the place where it listens, if it is not the address in the genesis.
    #[arg(long, value_name = "HOST:PORT")]
    advertise: Option<String>,
    /// A validator to try first, if the addresses in the genesis have changed; may be repeated.
    #[arg(long = "seed", value_name = "HOST:PORT")]
    seeds: Vec<String>,
    /// A client that may reach the API with `qcn tunnel`, by the key digest that `qcn key show`
    /// prints of its transport key; may be repeated.
    #[arg(long = "client", value_name = "KEY")]
    clients: Vec<ClientKey>,
    /// Where HTTP clients reach it.
    #[arg(long, value_name = "IP:PORT", default_value = "127.0.0.1:8080")]
    api: SocketAddr,
    /// A name by which HTTP clients call it, besides IP addresses and localhost; may be repeated.
    #[arg(long = "api-host", value_name = "NAME")]
    api_hosts: Vec<String>,
    /// Let clients on other machines reach it, which has no authentication of its own.
    #[arg(long)]
    allow_remote: bool,
    /// Replace the file if it exists.
    #[arg(long, alias = "force")]
    overwrite: bool,
    /// Print which validator it is for as JSON.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(args: &NewArgs) -> anyhow::Result<ExitCode> {
    let shown = args.out.display();
    ensure!(
        args.overwrite || !args.out.exists(),
        "{shown}: the file exists already; name a new file, or add --overwrite to lose that one"
    );
    let place = Place::of(&args.out)?;
    let config = config(args, &place)?;
    let validator = validator_of(&config, args.registration.as_deref(), &place)?;
    // Checked as the node will check it, so that its operator hears of a mistake first.
    NodeConfig::parse(&config.to_toml(), &shown.to_string())?;
    let overwrite = if args.overwrite { Overwrite::Replace } else { Overwrite::Refuse };
    config.write(&args.out, overwrite)?;
    if args.json {
        let report = json!({
            "config": args.out,
            "validator": validator,
            "awaits_admission": args.registration.is_some(),
        });
        print(&format!("{report}\n"))?;
        return Ok(ExitCode::SUCCESS);
    }
    let once = if args.registration.is_some() { ", once it is admitted" } else { "" };
    print(&format!(
        "wrote {shown}, for validator {validator}{once}\n\
         before its very first start, and never again: qcn node --config {shown} --init\n"
    ))?;
    Ok(ExitCode::SUCCESS)
}

fn config(args: &NewArgs, place: &Place) -> anyhow::Result<NodeConfig> {
    let mut config = NodeConfig::new(args.listen);
    if let Some(genesis) = &args.genesis {
        config.genesis = place.seen_from(genesis)?;
    }
    if let Some(keys) = &args.keys {
        config.consensus_key = place.seen_from(&keys.join(config.consensus_key))?;
        config.transport_key = place.seen_from(&keys.join(config.transport_key))?;
    }
    if let Some(data) = &args.data {
        config.data = place.seen_from(data)?;
    }
    let passphrase = args.passphrase_file.as_deref();
    config.passphrase_file = passphrase.map(|file| place.seen_from(file)).transpose()?;
    config.network.advertise.clone_from(&args.advertise);
    config.network.seeds.clone_from(&args.seeds);
    config.network.clients.clone_from(&args.clients);
    config.api.listen = args.api;
    config.api.allow_remote = args.allow_remote;
    config.api.hosts.clone_from(&args.api_hosts);
    Ok(config)
}

/// The name of the validator that the genesis or the registration has for both keys.
fn validator_of(
    config: &NodeConfig,
    registration: Option<&Path>,
    place: &Place,
) -> anyhow::Result<String> {
    let genesis_file = place.0.join(&config.genesis);
    let genesis = Genesis::read(&genesis_file)?;
    let consensus = key(&place.0.join(&config.consensus_key), Role::Consensus)?;
    let transport = key(&place.0.join(&config.transport_key), Role::Transport)?;
    let of_key = |found: &KeyFile| found.public_key().digest();
    let known = match registration {
        Some(file) => Some(of_registration(file, &genesis, consensus.public_key())?),
        None => of_genesis(&genesis, consensus.public_key()),
    };
    let Some((name, transport_key)) = known else {
        bail!(
            "{}: no validator has the consensus key {}; give the genesis that was made of your \
             registration with --genesis, and the folder of your keys with --keys; whoever joins a \
             network that runs gives its registration with --registration",
            genesis_file.display(),
            of_key(&consensus)
        );
    };
    ensure!(
        transport_key == *transport.public_key(),
        "{}: the transport key of validator {name} is not {}; give the folder of the two keys that \
         were registered together with --keys",
        registration.unwrap_or(&genesis_file).display(),
        of_key(&transport)
    );
    check_clients(config, transport.public_key())?;
    Ok(name)
}

/// The name and the transport key of the validator with a consensus key.
fn of_genesis(genesis: &Genesis, consensus: &PublicKey) -> Option<(String, PublicKey)> {
    let validator = genesis.validators().iter().find(|one| one.consensus_key == *consensus)?;
    Some((validator.name.clone(), validator.transport_key.clone()))
}

/// The same of a registration for the network of the genesis.
fn of_registration(
    path: &Path,
    genesis: &Genesis,
    consensus: &PublicKey,
) -> anyhow::Result<(String, PublicKey)> {
    let file = RegistrationFile::read(path, genesis)?;
    let registration = file.registration();
    ensure!(
        registration.consensus.key == *consensus,
        "{}: it registers the consensus key {}, and the key file has {}; give the folder of the \
         registered keys with --keys",
        path.display(),
        registration.consensus.key.digest(),
        consensus.digest()
    );
    Ok((file.name(), registration.transport.key.clone()))
}

fn key(path: &Path, role: Role) -> anyhow::Result<KeyFile> {
    let file = keyfile::read(path)
        .context("--keys must name the folder of consensus.key and transport.key")?;
    file.check_role(role).with_context(|| path.display().to_string())?;
    Ok(file)
}

/// The folder of a configuration, by which its relative paths go.
struct Place(PathBuf);

impl Place {
    fn of(config_file: &Path) -> anyhow::Result<Self> {
        let absolute = std::path::absolute(config_file)
            .with_context(|| format!("--out: no place for {}", config_file.display()))?;
        Ok(Self(absolute.parent().unwrap_or(&absolute).to_owned()))
    }

    /// A path of the command line as the configuration names it: relative to it if it lies
    /// below, so that the folder can be moved as a whole; else absolute.
    fn seen_from(&self, path: &Path) -> anyhow::Result<PathBuf> {
        let absolute = std::path::absolute(path)
            .with_context(|| format!("no place for {}", path.display()))?;
        Ok(absolute.strip_prefix(&self.0).map_or(absolute.clone(), Path::to_owned))
    }
}
