//! A running node: the machine of a shard with its log, transport, archive and API around it.
//!
//! Threads: the core (one, owns the machine), the log's writer, the archive's writer, the pool
//! that checks signatures (shared by all nodes of a process), and the async runtime for sockets.

mod archive_folder;
mod archive_writer;
mod core;
mod history;
mod inbox;
mod machine;
mod verification;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::thread::JoinHandle;
use std::time::Duration;

use qcn_crypto::{PublicKey, Role, Scheme, SigningKey};
use qcn_ledger::Territory;
use qcn_shard::{Message, Shard, ShardConfig, Start};
use qcn_types::{CommitteeKeys, Transaction, ValidatorIndex, Verified, decode};
use rayon::prelude::*;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use self::archive_writer::ArchiveWriter;
use self::core::{Core, Parts};
use self::history::History;
use self::inbox::{Checked, Happening, Post, inbox};
use self::machine::Machine;
pub use self::machine::{Meddler, Scene};
use crate::api::{Api, ApiConfig, Metrics, ReasonLabel};
use crate::archive::{Archive, Retention};
use crate::config::NodeConfig;
use crate::genesis::Genesis;
use crate::storage::{BlockLog, LogWriter, Opened, StorageError, StoreIdentity};
use crate::transport::{
    ClientAccess, ClientKey, ClientStream, KnownValidator, Received, Transport, TransportConfig,
};
use crate::view::{NodeStatus, Notice, Submission, SubmitError, View};

/// The most client submissions whose signatures are checked at once.
const MAX_CHECKED_AT_ONCE: usize = 64;

/// How often peers are looked at.
const PEERS_INTERVAL: Duration = Duration::from_millis(500);

/// How often a stop that takes long says what it waits for.
const STOP_NOTICE: Duration = Duration::from_secs(2);

/// The secrets of a validator.
#[derive(Debug)]
pub struct NodeKeys {
    /// Signs blocks.
    pub consensus: SigningKey,
    /// Authenticates connections.
    pub transport: SigningKey,
}

/// Why a node does not start.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// The consensus key is not in the genesis.
    #[error(
        "the consensus key {0} is not that of any validator in the genesis: check that \
         `consensus_key` and `genesis` in the configuration belong together"
    )]
    NotAValidator(String),
    /// The transport key is not the one that the genesis names for this validator.
    #[error(
        "the transport key is not the one that the genesis names for validator {0}: check \
         `transport_key` in the configuration"
    )]
    WrongTransportKey(String),
    /// The node would have to let itself in.
    #[error(
        "network.clients has {0}, which is the transport key of this node itself: make a key for \
         the client with `qcn key new --role transport`, and give the digest of that one"
    )]
    OwnKeyAsClient(ClientKey),
    /// The genesis cannot be used.
    #[error(transparent)]
    Genesis(#[from] crate::genesis::GenesisFileError),
    /// The machine refuses its parameters.
    #[error(transparent)]
    Shard(#[from] qcn_shard::StartError),
    /// The block log.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The history.
    #[error(transparent)]
    Archive(#[from] crate::archive::ArchiveError),
    /// The network.
    #[error(transparent)]
    Transport(#[from] crate::transport::TransportError),
    /// The API.
    #[error(transparent)]
    Api(#[from] crate::api::ApiError),
    /// The folder has a history, so the key has signed.
    #[error(
        "{0} holds the history of a node that ran, so its key may have signed: start the node \
         without marking the folder, and it finds out what it has signed"
    )]
    HasHistory(PathBuf),
    /// The operating system gives no thread or no entropy.
    #[error("the operating system refuses: {0}")]
    System(#[from] std::io::Error),
}

/// Checks that the keys are those of a validator in the genesis, and that no client has one of
/// them; starts nothing.
///
/// # Errors
/// [`NodeError`] as [`Node::start`] would give it.
pub fn check(genesis: &Genesis, config: &NodeConfig, keys: &NodeKeys) -> Result<(), NodeError> {
    own_index(genesis, &genesis.committee_keys()?, keys)?;
    check_clients(config, keys.transport.public_key())
}

/// Checks that no allowed client has the transport key of the node.
///
/// # Errors
/// [`NodeError::OwnKeyAsClient`].
pub fn check_clients(config: &NodeConfig, transport: &PublicKey) -> Result<(), NodeError> {
    let own = ClientKey::of(transport);
    if config.network.clients.contains(&own) {
        return Err(NodeError::OwnKeyAsClient(own));
    }
    Ok(())
}

/// Marks the data folder of a node as that of a key that has never signed anything.
///
/// Without the mark an empty folder is that of a validator that has lost its disk: it asks the
/// committee how far it has signed, and if all do that at once, nobody answers.
///
/// # Errors
/// [`NodeError`] if the keys do not belong to the genesis, or the folder holds something already.
pub fn initialise(
    genesis: &Genesis,
    config: &NodeConfig,
    keys: &NodeKeys,
) -> Result<(), NodeError> {
    let committee_keys = genesis.committee_keys()?;
    let own = own_index(genesis, &committee_keys, keys)?;
    let identity = store_identity(&committee_keys, own)?;
    let history = archive_folder(config);
    if history.exists() {
        return Err(NodeError::HasHistory(history));
    }
    Ok(BlockLog::initialise(&log_folder(config), &identity)?)
}

/// A running node.
pub struct Node {
    view: View,
    archive: Archive,
    transport: Transport,
    api: Api,
    post: Post,
    core: JoinHandle<()>,
    tasks: JoinSet<()>,
}

impl Node {
    /// Starts a node: reads its log, listens, dials the others.
    ///
    /// # Errors
    /// [`NodeError`], naming what does not fit and the remedy.
    pub async fn start(
        genesis: &Genesis,
        config: &NodeConfig,
        keys: NodeKeys,
    ) -> Result<Self, NodeError> {
        Self::start_machine(genesis, config, keys, None).await
    }

    /// Starts a node whose machine somebody meddles with, for tests of what others do about it.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub async fn start_meddled(
        genesis: &Genesis,
        config: &NodeConfig,
        keys: NodeKeys,
        meddler: Box<dyn Meddler>,
    ) -> Result<Self, NodeError> {
        Self::start_machine(genesis, config, keys, Some(meddler)).await
    }

    async fn start_machine(
        genesis: &Genesis,
        config: &NodeConfig,
        keys: NodeKeys,
        meddler: Option<Box<dyn Meddler>>,
    ) -> Result<Self, NodeError> {
        let committee_keys = genesis.committee_keys()?;
        let own = own_index(genesis, &committee_keys, &keys)?;
        check_clients(config, keys.transport.public_key())?;
        let (view, submissions) = View::new(committee_keys.clone(), own);
        let (post, inbox) = inbox();

        // The log first: it holds the lock of the folder, and says so best.
        let opened = open_log(config, &committee_keys, own)?;
        let archive =
            archive_folder::open(&archive_folder(config), genesis.chain(), retention(config))?;
        let metrics = Metrics::new();
        let writer = ArchiveWriter::spawn(archive.clone(), metrics.clone())?;
        let mut history = History::new(writer, view.clone(), metrics.clone());
        if let Start::Restarted(records) | Start::Suspect(records) = &opened.start {
            records.iter().for_each(|record| history.keep(record));
        }
        let shard = Shard::new(
            core::now(),
            shard_config(genesis, committee_keys.clone(), own)?,
            opened.start,
        )?;
        history.begin(&shard);
        let log = {
            let post = post.clone();
            LogWriter::spawn(opened.log, move |event| post.put(Happening::Log(event)))
        };

        let api_config = api_config(genesis, config);
        let api = Api::start(api_config, view.clone(), archive.clone(), metrics.clone()).await?;
        let streams = api.client_streams();
        let transport = transport_config(genesis, config, own, keys.transport, streams);
        let (transport, received) = Transport::start(transport).await?;

        let mut tasks = JoinSet::new();
        tasks.spawn(take_in_frames(received, post.clone(), {
            let transport = transport.clone();
            move |from| transport.note_refused(from)
        }));
        let check = SubmissionCheck { keys: committee_keys.clone(), post: post.clone() };
        tasks.spawn(take_in_submissions(submissions, check));
        tasks.spawn(watch_peers(transport.clone(), view.clone(), metrics.clone()));

        let core = Core::new(Parts {
            machine: Machine::new(shard, meddler),
            keys: committee_keys,
            signing: keys.consensus,
            log,
            transport: transport.clone(),
            view: view.clone(),
            history,
            metrics: metrics.clone(),
            post: post.clone(),
        });
        let core = std::thread::Builder::new().name(format!("core-{own}")).spawn({
            let view = view.clone();
            move || watched(&view, || core.run(&inbox))
        })?;
        Ok(Self { view, archive, transport, api, post, core, tasks })
    }

    /// What it shows.
    #[must_use]
    pub const fn view(&self) -> &View {
        &self.view
    }

    /// Its history.
    #[must_use]
    pub const fn archive(&self) -> &Archive {
        &self.archive
    }

    /// Where its API listens.
    #[must_use]
    pub fn api_address(&self) -> std::net::SocketAddr {
        self.api.local_address()
    }

    /// Where it listens for other validators.
    #[must_use]
    pub fn transport_address(&self) -> std::net::SocketAddr {
        self.transport.local_address()
    }

    /// Stops it: no more questions, no more connections, the log closed.
    pub async fn stop(mut self) {
        self.api.close().await;
        self.tasks.shutdown().await;
        self.transport.close().await;
        self.post.put(Happening::Stop);
        let core = self.core;
        let mut joining = tokio::task::spawn_blocking(move || core.join().is_ok());
        let joined = loop {
            match tokio::time::timeout(STOP_NOTICE, &mut joining).await {
                Ok(joined) => break joined,
                Err(_) => tracing::warn!("{}", still_stopping(&self.view.status())),
            }
        };
        if !matches!(joined, Ok(true)) {
            tracing::error!("the core's thread panicked");
        }
    }
}

/// What a stop that takes long waits for.
fn still_stopping(status: &NodeStatus) -> String {
    let waits_for =
        status.waiting_for.as_deref().unwrap_or("the log and the archive to be written");
    format!(
        "still stopping, waits for this: {waits_for}; killing it now loses nothing that is final"
    )
}

/// Runs the core. A defect that ends its thread must not leave a node that looks well.
fn watched(view: &View, run: impl FnOnce()) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(run)) {
        let what = panic
            .downcast_ref::<String>()
            .cloned()
            .or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()))
            .unwrap_or_default();
        let reason = format!("a defect ended the core ({what}): please report it with the log");
        tracing::error!("stopped: {reason}");
        view.set_status(NodeStatus { stopped: Some(reason), ..view.status() });
    }
}

fn own_index(
    genesis: &Genesis,
    committee: &CommitteeKeys,
    keys: &NodeKeys,
) -> Result<ValidatorIndex, NodeError> {
    let consensus = keys.consensus.public_key();
    let members = committee.committee().members();
    let position = members.iter().position(|member| member.key == *consensus);
    let Some(position) = position else {
        return Err(NodeError::NotAValidator(consensus.digest().to_string()));
    };
    let validator = &genesis.validators()[position];
    if validator.transport_key != *keys.transport.public_key() {
        return Err(NodeError::WrongTransportKey(validator.name.clone()));
    }
    Ok(ValidatorIndex(position as u16))
}

const fn retention(config: &NodeConfig) -> Retention {
    Retention { keep_checkpoints: config.storage.keep_checkpoints }
}

fn archive_folder(config: &NodeConfig) -> PathBuf {
    config.data.join("archive")
}

fn log_folder(config: &NodeConfig) -> PathBuf {
    config.data.join("log")
}

fn store_identity(
    keys: &CommitteeKeys,
    own: ValidatorIndex,
) -> Result<StoreIdentity, StorageError> {
    StoreIdentity::of(keys, own).ok_or(StorageError::WrongKeys { own })
}

fn open_log(
    config: &NodeConfig,
    keys: &CommitteeKeys,
    own: ValidatorIndex,
) -> Result<Opened, NodeError> {
    let identity = store_identity(keys, own)?;
    let opened = BlockLog::open(&log_folder(config), &identity, keys, own)?;
    tracing::info!("{}", opened.report);
    Ok(opened)
}

fn shard_config(
    genesis: &Genesis,
    keys: CommitteeKeys,
    own: ValidatorIndex,
) -> Result<ShardConfig, NodeError> {
    let mut nonce = [0; 8];
    aws_lc_rs::rand::fill(&mut nonce)
        .map_err(|_| std::io::Error::other("no entropy for the recovery nonce"))?;
    Ok(ShardConfig {
        territory: Territory::whole(keys.committee().shard()),
        keys,
        own,
        seed: genesis.seed(),
        consensus: genesis.consensus(),
        accounts: genesis.accounts(),
        opening: None,
        snapshot_interval: genesis.snapshot_interval(),
        nonce: u64::from_le_bytes(nonce),
        replays_events: true,
    })
}

fn transport_config(
    genesis: &Genesis,
    config: &NodeConfig,
    own: ValidatorIndex,
    key: SigningKey,
    streams: mpsc::Sender<ClientStream>,
) -> TransportConfig {
    TransportConfig {
        chain: genesis.chain(),
        own,
        key,
        listen: config.network.listen,
        advertise: config.network.advertise.clone(),
        validators: known_validators(genesis),
        seeds: config.network.seeds.clone(),
        clients: Some(ClientAccess { keys: config.network.clients.clone(), streams }),
        limits: crate::transport::Limits::for_committee(genesis.validators().len()),
    }
}

/// The validators of a genesis, as a transport knows them.
#[must_use]
pub fn known_validators(genesis: &Genesis) -> Vec<KnownValidator> {
    let known = |(index, validator): (usize, &crate::genesis::GenesisValidator)| KnownValidator {
        index: ValidatorIndex(index as u16),
        name: validator.name.clone(),
        key: validator.transport_key.clone(),
        address: validator.address.clone(),
    };
    genesis.validators().iter().enumerate().map(known).collect()
}

fn account_schemes(genesis: &Genesis) -> Vec<Scheme> {
    genesis.content().schemes.of(Role::Account).iter().copied().collect()
}

fn api_config(genesis: &Genesis, config: &NodeConfig) -> ApiConfig {
    ApiConfig {
        listen: config.api.listen,
        limits: crate::api::Limits {
            connections: config.api.max_connections,
            subscribers: config.api.max_subscribers,
            ..crate::api::Limits::default()
        },
        hosts: config.api.hosts.clone(),
        chain_name: genesis.name().to_owned(),
        genesis_json: genesis.to_json(),
        account_schemes: account_schemes(genesis),
        transport_keys: genesis
            .validators()
            .iter()
            .map(|validator| validator.transport_key.to_string())
            .collect(),
    }
}

/// Decodes what peers send; what does not decode is the peer's fault. A message keeps the place of
/// its frame until the core takes it.
async fn take_in_frames(
    mut received: mpsc::Receiver<Received>,
    post: Post,
    refuse: impl Fn(ValidatorIndex),
) {
    while let Some(Received { from, frame, place, .. }) = received.recv().await {
        match decode::<Message>(&frame) {
            Ok(message) => post.put(Happening::Message { from, message, place }),
            Err(error) => {
                tracing::debug!(%from, %error, "a frame does not decode");
                refuse(from);
            }
        }
    }
}

struct SubmissionCheck {
    keys: CommitteeKeys,
    post: Post,
}

/// Has the signatures of submissions checked, a bounded number of submissions at a time.
async fn take_in_submissions(mut waiting: mpsc::Receiver<Submission>, check: SubmissionCheck) {
    let check = Arc::new(check);
    let places = Arc::new(tokio::sync::Semaphore::new(MAX_CHECKED_AT_ONCE));
    while let Some(Submission { transactions, reply }) = waiting.recv().await {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else {
            return;
        };
        let check = Arc::clone(&check);
        spawn_for_clients(move || {
            let checked = transactions.into_par_iter().map(|one| check.check(one)).collect();
            check.post.put(Happening::Submitted(Checked { transactions: checked, reply }));
            drop(place);
        });
    }
}

/// Does work for clients beside that for validators: on threads of its own, half as many, so that
/// blocks never wait behind what anybody may hand in.
fn spawn_for_clients(work: impl FnOnce() + Send + 'static) {
    static POOL: OnceLock<Option<rayon::ThreadPool>> = OnceLock::new();
    let pool = POOL.get_or_init(|| {
        let threads = std::thread::available_parallelism().map_or(1, |all| (all.get() / 2).max(1));
        let named = |at| format!("clients-{at}");
        rayon::ThreadPoolBuilder::new().num_threads(threads).thread_name(named).build().ok()
    });
    match pool {
        Some(pool) => pool.spawn(work),
        // The system gives no more threads: then they share.
        None => rayon::spawn(work),
    }
}

impl SubmissionCheck {
    fn check(&self, transaction: Transaction) -> Result<Verified<Transaction>, SubmitError> {
        if let Some(scheme) = self.keys.disallowed_scheme(&transaction) {
            return Err(SubmitError::SchemeNotAllowed(scheme));
        }
        self.keys.verify_transaction(transaction).map_err(|_| SubmitError::WrongSignature)
    }
}

async fn watch_peers(transport: Transport, view: View, metrics: Metrics) {
    let mut changes = transport.connections();
    let mut interval = tokio::time::interval(PEERS_INTERVAL);
    loop {
        tokio::select! {
            _ = interval.tick() => {}
            change = changes.recv() => {
                if let Ok((validator, connected)) = change {
                    view.notify(Notice::Peer { validator, connected });
                }
            }
        }
        let peers = transport.peers();
        metrics.note_peers(&peers);
        for (count, value) in transport.counters().iter() {
            let event = ReasonLabel { reason: count.name() };
            let counter = metrics.transport.get_or_create(&event);
            counter.inner().store(value, std::sync::atomic::Ordering::Relaxed);
        }
        view.set_peers(peers);
    }
}

#[cfg(test)]
mod tests;
