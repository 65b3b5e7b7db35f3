//! A whole network in one folder, for trying things out: keys, genesis and one folder a node,
//! from each of which the node can also be started by hand.
//!
//! ```text
//! FOLDER/genesis.json
//! FOLDER/accounts/account-0.key ...     who has money
//! FOLDER/load/load-0.key ...            who has money too, for the devnet's own load
//! FOLDER/v0/node.toml  consensus.key  transport.key  data/
//! FOLDER/v1/...
//! ```
//!
//! The genesis is written last, so a folder with one is complete. Its keys are not encrypted:
//! whoever can read the folder can spend and sign.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use qcn_crypto::{Digest, KeyError, KeyFile, Role, Scheme, SigningError, SigningKey};
use qcn_types::{Address, ValidatorIndex};

use crate::config::NodeConfig;
use crate::document::{DocumentError, Overwrite};
use crate::genesis::{
    Genesis, GenesisContent, GenesisValidator, NamedAccount, ShardsContent, ValidatorKeys,
};
use crate::keyfile::{self, KeyFileError};
use crate::runtime::{DataFolder, DataFolderError, NodeKeys, first_logs, mark_began};
use crate::storage::{BlockLog, StorageError};

/// The most validators of one devnet: each has threads, sockets and a database.
pub const MAX_VALIDATORS: usize = 32;

/// The most funded accounts.
pub const MAX_ACCOUNTS: usize = 10_000;

const GENESIS_FILE: &str = "genesis.json";
const CONFIG_FILE: &str = "node.toml";
const ACCOUNTS_FOLDER: &str = "accounts";
const LOAD_FOLDER: &str = "load";

/// Accounts beside those of the plan, from which the devnet's own load pays. Nobody else uses
/// them, and it uses no others: two programs that pay from one account take each other's nonces.
pub const LOAD_ACCOUNTS: usize = 32;

/// What a new devnet looks like.
#[derive(Clone, Debug)]
pub struct DevnetPlan {
    /// The weight of each validator.
    pub weights: Vec<u64>,
    /// How many accounts have money.
    pub accounts: usize,
    /// The scheme of their keys.
    pub account_scheme: Scheme,
    /// How much each of them has.
    pub balance: u64,
    /// The port of the first API; the next ones follow.
    pub first_port: u16,
    /// How many shards there are and how many seats each has; one shard of all if there is none.
    pub shards: Option<ShardsContent>,
}

/// A devnet's files.
#[derive(Debug)]
pub struct Devnet {
    folder: PathBuf,
    genesis: Genesis,
    nodes: Vec<PathBuf>,
}

/// Why a devnet cannot be laid out or opened.
#[derive(Debug, thiserror::Error)]
pub enum DevnetError {
    /// The plan makes no network.
    #[error("{0}")]
    Plan(String),
    /// The folder holds something else.
    #[error(
        "{} is neither empty nor a devnet: name another folder with --dir", .0.display()
    )]
    ForeignFolder(PathBuf),
    /// A file or folder cannot be read or written.
    #[error("{}: {error}", .path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What the system says.
        error: std::io::Error,
    },
    /// A genesis or configuration.
    #[error(transparent)]
    Document(#[from] DocumentError),
    /// A key file.
    #[error(transparent)]
    KeyFile(#[from] KeyFileError),
    /// A key cannot be made.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// A key does not sign.
    #[error(transparent)]
    Signing(#[from] SigningError),
    /// A validator of it runs.
    #[error("{0} (does this devnet run already?)")]
    DataFolder(#[from] DataFolderError),
    /// A block log cannot be laid out.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// There are no free ports.
    #[error("no {wanted} free ports from {first} on: name another first port with --port")]
    NoPorts {
        /// Where the search began.
        first: u16,
        /// How many are needed.
        wanted: usize,
    },
}

impl DevnetPlan {
    /// Whether it makes a network, as far as that is seen before keys are made.
    ///
    /// # Errors
    /// [`DevnetError::Plan`] with what is wrong.
    pub fn check(&self) -> Result<(), DevnetError> {
        let refuse = |reason: String| Err(DevnetError::Plan(reason));
        if self.weights.is_empty() || self.weights.len() > MAX_VALIDATORS {
            return refuse(format!(
                "{} validators: a devnet has 1 to {MAX_VALIDATORS}",
                self.weights.len()
            ));
        }
        let seats = self.shards.map_or(0, |shards| usize::from(shards.seats));
        if seats > self.weights.len() {
            return refuse(format!(
                "{seats} seats in a shard, and {} validators: give at most as many seats",
                self.weights.len()
            ));
        }
        if self.weights.contains(&0) {
            return refuse("a validator has weight 0: give each a weight above zero".to_owned());
        }
        if self.accounts == 0 || self.accounts > MAX_ACCOUNTS {
            return refuse(format!("{} accounts: give 1 to {MAX_ACCOUNTS}", self.accounts));
        }
        let accounts = self.accounts + LOAD_ACCOUNTS;
        if self.balance == 0 || self.balance.checked_mul(accounts as u64).is_none() {
            return refuse(format!(
                "a balance of {} for {accounts} accounts: give at least 1, and all together less \
                 than 2^64",
                self.balance
            ));
        }
        Ok(())
    }
}

impl Devnet {
    /// Opens the devnet in a folder, if there is a complete one.
    ///
    /// # Errors
    /// [`DevnetError`] if its files are damaged.
    pub fn open(folder: &Path) -> Result<Option<Self>, DevnetError> {
        let path = folder.join(GENESIS_FILE);
        if !path.exists() {
            return Ok(None);
        }
        let genesis = Genesis::read(&path)?;
        let nodes = (0..genesis.validators().len()).map(|at| node_folder(folder, at)).collect();
        Ok(Some(Self { folder: folder.to_owned(), genesis, nodes }))
    }

    /// Lays out a new devnet. `progress` is told after each step how many of how many are done.
    ///
    /// # Errors
    /// [`DevnetError`]. What was written before it stays, and is replaced at the next attempt.
    pub fn create(
        folder: &Path,
        plan: &DevnetPlan,
        mut progress: impl FnMut(usize, usize),
    ) -> Result<Self, DevnetError> {
        plan.check()?;
        refuse_foreign(folder)?;
        let validators = plan.weights.len();
        let steps = validators + plan.accounts + LOAD_ACCOUNTS + 1;
        let ports = free_ports(plan.first_port, validators)?;
        let mut entries = Vec::new();
        let mut digests = Vec::new();
        for (at, weight) in plan.weights.iter().enumerate() {
            let keys = ValidatorKeys {
                consensus: SigningKey::generate(Scheme::Falcon512)?,
                transport: SigningKey::generate(Scheme::MlDsa65)?,
                recovery: None,
            };
            let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, ports[at]));
            lay_out_node(&node_folder(folder, at), listen, &keys)?;
            let name = format!("v{at}");
            let address = Some(listen.to_string());
            entries.push(GenesisValidator::register(&name, *weight, &keys, address)?);
            digests.push(keys.consensus.public_key().digest());
            progress(at + 1, steps);
        }
        let accounts = lay_out_accounts(folder, plan, |done| progress(validators + done, steps))?;
        let mut content = GenesisContent::new("devnet", unix_ms(), entries, accounts);
        content.shards = plan.shards;
        let genesis = Genesis::new(content)?;
        let nodes: Vec<PathBuf> = (0..validators).map(|at| node_folder(folder, at)).collect();
        for (at, (node, key)) in nodes.iter().zip(digests).enumerate() {
            mark_logs(&genesis, node, ValidatorIndex(at as u16), key)?;
        }
        genesis.write(&folder.join(GENESIS_FILE), Overwrite::Replace)?;
        progress(steps, steps);
        Ok(Self { folder: folder.to_owned(), genesis, nodes })
    }

    /// Deletes a devnet with all that it holds.
    ///
    /// # Errors
    /// [`DevnetError`] if the folder holds something else, a validator of it runs, or it cannot be
    /// deleted.
    pub fn delete(folder: &Path) -> Result<(), DevnetError> {
        if !folder.exists() {
            return Ok(());
        }
        refuse_foreign_or_whole(folder)?;
        // Held until all is gone, so that nothing starts in between.
        let mut held = Vec::new();
        for at in 0..MAX_VALIDATORS {
            let data = node_folder(folder, at).join("data");
            if data.is_dir() {
                held.push(DataFolder::hold(&data)?);
            }
        }
        fs::remove_dir_all(folder).map_err(|error| file_error(folder, error))
    }

    /// Where it lies.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Its genesis.
    #[must_use]
    pub const fn genesis(&self) -> &Genesis {
        &self.genesis
    }

    /// The folder of the funded accounts' keys.
    #[must_use]
    pub fn accounts_folder(&self) -> PathBuf {
        self.folder.join(ACCOUNTS_FOLDER)
    }

    /// The folder of the keys from which its own load pays.
    #[must_use]
    pub fn load_folder(&self) -> PathBuf {
        self.folder.join(LOAD_FOLDER)
    }

    /// The configuration files of its nodes, in the order of validators.
    pub fn config_files(&self) -> impl Iterator<Item = PathBuf> + '_ {
        self.nodes.iter().map(|node| node.join(CONFIG_FILE))
    }
}

/// Reads what a node needs to start: its configuration, the genesis and its keys.
///
/// # Errors
/// [`DevnetError`], naming the file and the remedy.
pub fn read_node(config_file: &Path) -> Result<(Genesis, NodeConfig, NodeKeys), DevnetError> {
    let config = NodeConfig::read(config_file)?;
    let genesis = Genesis::read(&config.genesis)?;
    let source = keyfile::PassphraseSource::choose(config.passphrase_file.as_deref());
    let load = |path: &Path, role| keyfile::load(path, role, &source);
    let next =
        |path: &Option<PathBuf>, role| path.as_deref().map(|path| load(path, role)).transpose();
    let keys = NodeKeys {
        consensus: load(&config.consensus_key, Role::Consensus)?,
        transport: load(&config.transport_key, Role::Transport)?,
        next_consensus: next(&config.next_consensus_key, Role::Consensus)?,
        next_transport: next(&config.next_transport_key, Role::Transport)?,
    };
    Ok((genesis, config, keys))
}

fn lay_out_node(
    folder: &Path,
    listen: SocketAddr,
    keys: &ValidatorKeys,
) -> Result<(), DevnetError> {
    fs::create_dir_all(folder.join("data")).map_err(|error| file_error(folder, error))?;
    for (name, key, role) in [
        ("consensus.key", &keys.consensus, Role::Consensus),
        ("transport.key", &keys.transport, Role::Transport),
    ] {
        keyfile::write(&folder.join(name), &KeyFile::unsealed(key, role), Overwrite::Replace)?;
    }
    let mut config = NodeConfig::new(listen);
    config.genesis = Path::new("..").join(GENESIS_FILE);
    config.api.listen = listen;
    config.write(&folder.join(CONFIG_FILE), Overwrite::Replace)?;
    Ok(())
}

/// Marks the logs of a validator as those of a key that has signed nothing.
fn mark_logs(
    genesis: &Genesis,
    node: &Path,
    validator: ValidatorIndex,
    key: Digest,
) -> Result<(), DevnetError> {
    let data = node.join("data");
    for (log, identity) in first_logs(genesis, &data, validator, key) {
        // No node ran without the genesis, which is written last: an earlier attempt began it.
        if log.exists() {
            fs::remove_dir_all(&log).map_err(|error| file_error(&log, error))?;
        }
        BlockLog::initialise(&log, &identity)?;
    }
    Ok(mark_began(genesis, &data)?)
}

fn lay_out_accounts(
    folder: &Path,
    plan: &DevnetPlan,
    mut progress: impl FnMut(usize),
) -> Result<Vec<NamedAccount>, DevnetError> {
    let (accounts, load) = (folder.join(ACCOUNTS_FOLDER), folder.join(LOAD_FOLDER));
    for folder in [&accounts, &load] {
        fs::create_dir_all(folder).map_err(|error| file_error(folder, error))?;
    }
    let of_users = (0..plan.accounts).map(|at| (&accounts, format!("account-{at}")));
    let of_load = (0..LOAD_ACCOUNTS).map(|at| (&load, format!("load-{at}")));
    let mut named = Vec::with_capacity(plan.accounts + LOAD_ACCOUNTS);
    for (folder, name) in of_users.chain(of_load) {
        let key = SigningKey::generate(plan.account_scheme)?;
        let path = folder.join(format!("{name}.key"));
        keyfile::write(&path, &KeyFile::unsealed(&key, Role::Account), Overwrite::Replace)?;
        named.push(NamedAccount {
            name: Some(name),
            address: Address::of(key.public_key()),
            balance: plan.balance,
        });
        progress(named.len());
    }
    Ok(named)
}

fn node_folder(folder: &Path, at: usize) -> PathBuf {
    folder.join(format!("v{at}"))
}

/// A folder may be new, empty, or an unfinished devnet.
fn refuse_foreign(folder: &Path) -> Result<(), DevnetError> {
    if !folder.exists() {
        return fs::create_dir_all(folder).map_err(|error| file_error(folder, error));
    }
    let entries = fs::read_dir(folder).map_err(|error| file_error(folder, error))?;
    for entry in entries {
        let name = entry.map_err(|error| file_error(folder, error))?.file_name();
        let name = name.to_string_lossy();
        let is_node = name.strip_prefix('v').is_some_and(|rest| rest.parse::<usize>().is_ok());
        if !is_node && name != ACCOUNTS_FOLDER && name != LOAD_FOLDER {
            return Err(DevnetError::ForeignFolder(folder.to_owned()));
        }
    }
    Ok(())
}

fn refuse_foreign_or_whole(folder: &Path) -> Result<(), DevnetError> {
    if folder.join(GENESIS_FILE).exists() && folder.join(ACCOUNTS_FOLDER).exists() {
        return Ok(());
    }
    refuse_foreign(folder)
}

/// Ports that are free for UDP and TCP at this moment, one a node, in a row as far as possible.
fn free_ports(first: u16, wanted: usize) -> Result<Vec<u16>, DevnetError> {
    let mut ports = Vec::with_capacity(wanted);
    for port in first..=u16::MAX {
        if try_port(port).is_ok() {
            ports.push(port);
        }
        if ports.len() == wanted {
            return Ok(ports);
        }
    }
    Err(DevnetError::NoPorts { first, wanted })
}

/// Listens on this port of the loopback address for a moment, as a validator would for others and for
/// clients.
///
/// # Errors
/// Why it could not.
pub fn try_port(port: u16) -> std::io::Result<()> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    UdpSocket::bind(address)?;
    TcpListener::bind(address).map(|_| ())
}

fn file_error(path: &Path, error: std::io::Error) -> DevnetError {
    DevnetError::File { path: path.to_owned(), error }
}

fn unix_ms() -> u64 {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(elapsed.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
