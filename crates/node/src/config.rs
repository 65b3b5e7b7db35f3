//! The configuration of one node: a TOML file that its operator writes.
//!
//! Paths in the file are relative to the folder that the file lies in, so that a folder of a node
//! can be moved as a whole. [`NodeConfig::read`] gives them resolved; [`NodeConfig::write`] writes
//! them as they stand.
//!
//! **Invariants**
//! - the API listens beyond the machine only if the operator said so twice: with the address and
//!   with `allow_remote`;
//! - no unknown key is accepted, so a misspelt one is not silently without effect.

mod template;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::document::{
    DocumentError, Overwrite, Problem, Readers, check_endpoint, check_host_name, read_text,
    remedy_of_shape, write_file,
};
use crate::transport::{ClientKey, MAX_CLIENTS};

/// The longest configuration that is read.
const MAX_CONFIG_BYTES: u64 = 1 << 20;

/// The most addresses a node is told to try.
const MAX_SEEDS: usize = 512;

/// The most connections or subscribers that may be configured.
const MAX_CONNECTIONS: usize = 65_536;

/// The most names that a node is told to answer to.
const MAX_HOSTS: usize = 512;

/// What a node is started from.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NodeConfig {
    /// The genesis of the network.
    pub genesis: PathBuf,
    /// The key file of the consensus key.
    pub consensus_key: PathBuf,
    /// The key file of the transport key.
    pub transport_key: PathBuf,
    /// The key file of the consensus key that takes over with the next epoch, by a rotation.
    #[serde(default)]
    pub next_consensus_key: Option<PathBuf>,
    /// The key file of the transport key that takes over with the next epoch.
    #[serde(default)]
    pub next_transport_key: Option<PathBuf>,
    /// A file with the passphrase of all key files; without it, QCN_PASSPHRASE or the terminal.
    #[serde(default)]
    pub passphrase_file: Option<PathBuf>,
    /// The folder for everything that the node stores.
    pub data: PathBuf,
    /// Links to other validators.
    pub network: NetworkConfig,
    /// The HTTP interface.
    #[serde(default)]
    pub api: ApiConfig,
    /// What is kept on disk.
    #[serde(default)]
    pub storage: StorageConfig,
    /// What is logged.
    #[serde(default)]
    pub log: LogConfig,
}

/// Links to other validators.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NetworkConfig {
    /// Where other validators reach this one, over UDP.
    pub listen: SocketAddr,
    /// How they call that place, if it has another name from outside.
    #[serde(default)]
    pub advertise: Option<String>,
    /// Validators to try first, besides the addresses of the genesis.
    #[serde(default)]
    pub seeds: Vec<String>,
    /// The transport keys of clients that may reach the API through the same port.
    #[serde(default)]
    pub clients: Vec<ClientKey>,
}

/// The HTTP interface.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ApiConfig {
    /// Where clients reach it.
    pub listen: SocketAddr,
    /// Whether it may listen beyond this machine. It has no authentication of its own.
    pub allow_remote: bool,
    /// The names by which clients may call it, without ports. It answers to IP addresses and
    /// `localhost` anyway.
    pub hosts: Vec<String>,
    /// The most connections at a time, half of them from one address.
    pub max_connections: usize,
    /// The most subscribers to events at a time.
    pub max_subscribers: usize,
}

impl Default for ApiConfig {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 8080)),
            allow_remote: false,
            hosts: Vec::new(),
            max_connections: 256,
            max_subscribers: 64,
        }
    }
}

/// What is kept on disk.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct StorageConfig {
    /// How many of the newest checkpoints stay in the history, with blocks and transactions.
    pub keep_checkpoints: u64,
}

impl Default for StorageConfig {
    fn default() -> Self {
        Self { keep_checkpoints: 1_000_000 }
    }
}

/// What is logged, to standard error.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LogConfig {
    /// The least serious level.
    pub level: LogLevel,
    /// The form of a line.
    pub format: LogFormat,
}

/// The least serious level that is logged.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[expect(missing_docs, reason = "the usual levels")]
pub enum LogLevel {
    Error,
    Warn,
    #[default]
    Info,
    Debug,
    Trace,
}

impl LogLevel {
    /// The name, which is a filter of `tracing` too.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
            Self::Debug => "debug",
            Self::Trace => "trace",
        }
    }
}

/// The form of a line of the log.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

impl NodeConfig {
    /// The usual configuration of a node that listens at `listen`, with all files beside it.
    #[must_use]
    pub fn new(listen: SocketAddr) -> Self {
        Self {
            genesis: "genesis.json".into(),
            consensus_key: "consensus.key".into(),
            transport_key: "transport.key".into(),
            next_consensus_key: None,
            next_transport_key: None,
            passphrase_file: None,
            data: "data".into(),
            network: NetworkConfig {
                listen,
                advertise: None,
                seeds: Vec::new(),
                clients: Vec::new(),
            },
            api: ApiConfig::default(),
            storage: StorageConfig::default(),
            log: LogConfig::default(),
        }
    }

    /// Reads and checks a file; relative paths are resolved against its folder.
    ///
    /// # Errors
    /// [`DocumentError`], naming the file, the place and the remedy.
    pub fn read(path: &Path) -> Result<Self, DocumentError> {
        let text = read_text(path, MAX_CONFIG_BYTES)?;
        let mut config = Self::parse(&text, &path.display().to_string())?;
        config.resolve(path.parent().unwrap_or(Path::new("")));
        Ok(config)
    }

    /// Checks a text; `name` stands for its file in errors. Paths stay as they are.
    ///
    /// # Errors
    /// [`DocumentError`], naming the place and the remedy.
    pub fn parse(text: &str, name: &str) -> Result<Self, DocumentError> {
        let config = parse_toml(text).and_then(|config| {
            config.check()?;
            Ok(config)
        });
        config.map_err(|problem| problem.in_file(name))
    }

    /// Writes the configuration with a comment for each key.
    ///
    /// # Errors
    /// [`DocumentError`], if the file exists and may not be replaced, or cannot be written.
    pub fn write(&self, path: &Path, overwrite: Overwrite) -> Result<(), DocumentError> {
        write_file(path, self.to_toml().as_bytes(), Readers::Everyone, overwrite)
    }

    /// The text of the file, with a comment for each key.
    #[must_use]
    pub fn to_toml(&self) -> String {
        template::text(self)
    }

    fn resolve(&mut self, folder: &Path) {
        let paths =
            [&mut self.genesis, &mut self.consensus_key, &mut self.transport_key, &mut self.data];
        let next = [&mut self.next_consensus_key, &mut self.next_transport_key];
        let optional = next.into_iter().chain([&mut self.passphrase_file]).flatten();
        for path in paths.into_iter().chain(optional) {
            *path = folder.join(&*path);
        }
    }

    fn check(&self) -> Result<(), Problem> {
        let paths = [
            ("genesis", &self.genesis),
            ("consensus_key", &self.consensus_key),
            ("transport_key", &self.transport_key),
            ("data", &self.data),
        ];
        let next = [
            ("next_consensus_key", &self.next_consensus_key, &self.consensus_key),
            ("next_transport_key", &self.next_transport_key, &self.transport_key),
        ];
        let named = next.iter().filter_map(|(place, path, _)| Some((*place, path.as_ref()?)));
        for (place, path) in paths.into_iter().chain(named) {
            if path.as_os_str().is_empty() {
                return Err(Problem::new(place, "the path is empty", "name a file or folder"));
            }
        }
        for (place, path, present) in next {
            if path.as_ref() == Some(present) {
                let what = format!("{} is the present key", present.display());
                return Err(Problem::new(place, what, "name the file of the new key"));
            }
        }
        if let Some(advertise) = &self.network.advertise {
            check_endpoint("network.advertise", advertise)?;
        }
        if self.network.seeds.len() > MAX_SEEDS {
            let what = format!("there are {} seeds", self.network.seeds.len());
            return Err(Problem::new("network.seeds", what, format!("give up to {MAX_SEEDS}")));
        }
        for (index, seed) in self.network.seeds.iter().enumerate() {
            check_endpoint(&format!("network.seeds[{index}]"), seed)?;
        }
        self.check_clients()?;
        self.check_api()?;
        if self.storage.keep_checkpoints == 0 {
            return Err(Problem::new(
                "storage.keep_checkpoints",
                "no history at all would be kept",
                "give at least 1; the default is 1000000",
            ));
        }
        Ok(())
    }

    fn check_clients(&self) -> Result<(), Problem> {
        let clients = &self.network.clients;
        if clients.len() > MAX_CLIENTS {
            let what = format!("there are {} clients", clients.len());
            return Err(Problem::new("network.clients", what, format!("give up to {MAX_CLIENTS}")));
        }
        let mut places = BTreeMap::new();
        for (index, key) in clients.iter().enumerate() {
            if let Some(first) = places.insert(key, index) {
                let what = format!("the key {key} stands at network.clients[{first}] already");
                let place = format!("network.clients[{index}]");
                return Err(Problem::new(place, what, "leave one of them out"));
            }
        }
        Ok(())
    }

    fn check_api(&self) -> Result<(), Problem> {
        let api = &self.api;
        if !api.listen.ip().is_loopback() && !api.allow_remote {
            return Err(Problem::new(
                "api.listen",
                format!("{} can be reached from other machines", api.listen),
                "listen on 127.0.0.1, or set api.allow_remote = true if whoever reaches it may \
                 use it",
            ));
        }
        if api.hosts.len() > MAX_HOSTS {
            let what = format!("there are {} names", api.hosts.len());
            return Err(Problem::new("api.hosts", what, format!("give up to {MAX_HOSTS}")));
        }
        for (index, name) in api.hosts.iter().enumerate() {
            check_host_name(&format!("api.hosts[{index}]"), name)?;
        }
        let limits = [
            ("api.max_connections", api.max_connections),
            ("api.max_subscribers", api.max_subscribers),
        ];
        for (place, limit) in limits {
            if !(1..=MAX_CONNECTIONS).contains(&limit) {
                let remedy = format!("give 1 to {MAX_CONNECTIONS}");
                return Err(Problem::new(place, format!("{limit} is no limit"), remedy));
            }
        }
        Ok(())
    }
}

fn parse_toml(text: &str) -> Result<NodeConfig, Problem> {
    toml::from_str(text).map_err(|error: toml::de::Error| {
        let what = error.message().lines().collect::<Vec<_>>().join(", ");
        let place = error.span().map_or_else(String::new, |span| {
            let before = text.get(..span.start).unwrap_or(text);
            let line = before.matches('\n').count() + 1;
            let column = before.chars().rev().take_while(|letter| *letter != '\n').count() + 1;
            format!("line {line}, column {column}")
        });
        let remedy = remedy_of_shape(&what);
        Problem::new(place, what, remedy)
    })
}

#[cfg(test)]
mod tests;
