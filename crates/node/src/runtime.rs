//! A running node: the machines of its shards with log, archive, transport and API around them.
//!
//! A validator may have a seat in several shards, and has an *instance* for each: a core with its
//! machine, a log, a history and a view. It may have a seat in none, and then the node answers its
//! API all the same. One transport serves all instances; each frame names the shard it is for.
//!
//! In a network with epochs instances come and go, and one of them is that of the beacon, in which
//! every validator has a seat (`epochs`).
//!
//! Threads: a core for each instance (it owns the machine), the writers of its log and of its
//! archive, the pool that checks signatures (shared by all nodes of a process), and the async
//! runtime for sockets, clients and relayers.

mod admission;
mod archive_folder;
mod archive_writer;
mod core;
mod data_folder;
mod envelope;
mod epochs;
mod facts;
mod folders;
mod history;
mod inbox;
mod instance;
mod machine;
mod relay;
mod roster;
mod router;
mod seats;
mod stage;
mod submissions;
mod verification;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use qcn_crypto::{Digest, PublicKey, Role, Scheme, SigningKey};
use qcn_types::{BEACON, Epoch, ShardId, ValidatorIndex};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

pub(crate) use self::data_folder::DataFolder;
pub use self::data_folder::DataFolderError;
use self::envelope::Station;
use self::epochs::{Beginning, Epochs, Plans};
use self::folders::{archive_folder, epochs_folder};
use self::instance::Instance;
pub use self::machine::{Meddler, Scene};
use self::relay::Answers;
use self::router::Router;
use self::stage::Stage;
use crate::api::{Api, ApiConfig, Metrics, ReasonLabel};
use crate::config::NodeConfig;
use crate::defects::{Defects, NeededTasks};
use crate::document::DocumentError;
use crate::genesis::{Genesis, GenesisValidator};
use crate::proof_document::AnnouncementBoard;
use crate::storage::{BlockLog, StorageError, StoreIdentity};
use crate::transport::{Class, Limits, TransportConfig};
use crate::transport::{ClientAccess, ClientKey, ClientStream, KnownValidator, Transport};
use crate::view::{Notice, PeerBoard, View};
use crate::votes::{Vote, Votes};

/// How often peers are looked at.
const PEERS_INTERVAL: Duration = Duration::from_millis(500);

/// Where validators may be admitted, links get the memory that so many may have together.
const ROOM_FOR_VALIDATORS: usize = 32;

/// The secrets of a validator.
#[derive(Debug)]
pub struct NodeKeys {
    /// Signs blocks.
    pub consensus: SigningKey,
    /// Authenticates connections.
    pub transport: SigningKey,
    /// Signs blocks from the epoch on in which the register has it.
    pub next_consensus: Option<SigningKey>,
    /// Authenticates connections from the epoch on in which the register has it.
    pub next_transport: Option<SigningKey>,
}

/// Why a node does not start.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// The consensus key is not in the genesis, and there is no beacon that could admit it.
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
    /// The data folder.
    #[error(transparent)]
    DataFolder(#[from] DataFolderError),
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
    /// The log of an epoch does not say what it began with, and that is not at hand.
    #[error("what shard {0} began the epoch with is not at hand yet")]
    NoOpening(ShardId),
    /// A document of the data folder.
    #[error(transparent)]
    Document(DocumentError),
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

/// Checks that the keys are those of a validator in the genesis, or that others can be admitted, and
/// that no client has one of them; starts nothing.
///
/// # Errors
/// [`NodeError`] as [`Node::start`] would give it.
pub fn check(genesis: &Genesis, config: &NodeConfig, keys: &NodeKeys) -> Result<(), NodeError> {
    genesis.shard_keys()?;
    founder(genesis, keys)?;
    let mut transport = std::iter::once(&keys.transport).chain(&keys.next_transport);
    transport.try_for_each(|key| check_clients(config, key.public_key()))
}

/// Checks that no allowed client has a transport key of the node.
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

/// Marks the data folder of a node as that of a key that has never signed anything, for each shard
/// in which it has a seat.
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
    let own = founder(genesis, keys)?;
    let stations = own.map(|own| first_stations(genesis, own)).unwrap_or_default();
    for (station, _) in &stations {
        let history = archive_folder(genesis, &config.data, station.shard);
        if history.exists() {
            return Err(NodeError::HasHistory(history));
        }
    }
    let key = keys.consensus.public_key().digest();
    let logs = own.map(|own| first_logs(genesis, &config.data, own, key));
    for (log, identity) in logs.into_iter().flatten() {
        BlockLog::initialise(&log, &identity)?;
    }
    mark_began(genesis, &config.data).map_err(NodeError::Document)
}

/// The logs of the first epoch of a validator with this consensus key, and whose they are.
pub(crate) fn first_logs(
    genesis: &Genesis,
    data: &Path,
    own: ValidatorIndex,
    key: Digest,
) -> Vec<(PathBuf, StoreIdentity)> {
    let chain = genesis.chain();
    let stations = first_stations(genesis, own).into_iter();
    let log = |(station, own): (Station, ValidatorIndex)| {
        let Station { shard, epoch } = station;
        let identity = StoreIdentity { chain, shard, epoch, own, key };
        (folders::log_folder(genesis, data, station), identity)
    };
    stations.map(log).collect()
}

/// Says of a data folder that nothing was signed with its keys before, where there are epochs.
pub(crate) fn mark_began(genesis: &Genesis, data: &Path) -> Result<(), DocumentError> {
    match genesis.beacon() {
        Some(_) => Beginning::mark_new(&epochs_folder(data)).map(|_| ()),
        None => Ok(()),
    }
}

/// Where the block log of a shard's first epoch is in a data folder.
#[must_use]
pub fn log_folder(genesis: &Genesis, data: &Path, shard: ShardId) -> PathBuf {
    folders::log_folder(genesis, data, Station { shard, epoch: Epoch(0) })
}

/// Where a validator has a seat in the first epoch, and which.
fn first_stations(genesis: &Genesis, own: ValidatorIndex) -> Vec<(Station, ValidatorIndex)> {
    let station = |shard| Station { shard, epoch: Epoch(0) };
    let shards = genesis.shards().iter();
    let seated = shards.filter_map(|shard| Some((station(shard.id), shard.seat_of(own)?)));
    // Everybody has a seat in the beacon, in the order of the genesis.
    let beacon = genesis.beacon().map(|_| (station(BEACON), own));
    seated.chain(beacon).collect()
}

/// A running node.
pub struct Node {
    transport: Transport,
    api: Api,
    tasks: NeededTasks,
    defects: Defects,
    stage: Stage,
    epochs: JoinHandle<Option<Vec<Instance>>>,
    stop_epochs: oneshot::Sender<()>,
    /// Held until all that is in it is closed.
    _folder: DataFolder,
}

impl Node {
    /// Starts a node: reads its logs, listens, dials the others.
    ///
    /// # Errors
    /// [`NodeError`], naming what does not fit and the remedy.
    pub async fn start(
        genesis: &Genesis,
        config: &NodeConfig,
        keys: NodeKeys,
    ) -> Result<Self, NodeError> {
        Self::start_machines(genesis, config, keys, None).await
    }

    /// Starts a node whose machine somebody meddles with, for tests of what others do about it. Of
    /// several machines it is the first.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub async fn start_meddled(
        genesis: &Genesis,
        config: &NodeConfig,
        keys: NodeKeys,
        meddler: Box<dyn Meddler>,
    ) -> Result<Self, NodeError> {
        Self::start_machines(genesis, config, keys, Some(meddler)).await
    }

    async fn start_machines(
        genesis: &Genesis,
        config: &NodeConfig,
        keys: NodeKeys,
        meddler: Option<Box<dyn Meddler>>,
    ) -> Result<Self, NodeError> {
        let founder = founder(genesis, &keys)?;
        for key in std::iter::once(&keys.transport).chain(&keys.next_transport) {
            check_clients(config, key.public_key())?;
        }
        // Before anything is opened, renamed or said to others.
        let folder = DataFolder::take(&config.data, genesis.chain())?;
        let metrics = Metrics::of_node(genesis.shards().len() > 1 || genesis.beacon().is_some());
        let data = epochs_folder(&config.data);
        let announcements = AnnouncementBoard::default();
        let mut plans = Plans::open(genesis, data.clone(), announcements.clone());
        let beginning = match &plans {
            Some(_) => Beginning::read_or_begin(&data).map_err(NodeError::Document)?,
            None => Beginning::of_one_epoch(),
        };
        let own = own_number(genesis, config, &keys, founder, plans.as_mut()).await?;
        let defects = Defects::default();
        let api_config = api_config(genesis, config, own, announcements, defects.clone());
        let api = Api::bind(api_config, metrics.clone()).await?;
        let streams = api.client_streams();
        let own_transport = keys.transport.clone();
        let mut transport = transport_config(genesis, config, own, keys.transport, streams);
        transport.defects = defects.clone();
        transport.limits = limits(genesis, plans.as_ref());
        let (transport, received) = Transport::start(transport).await?;

        let (told, hears) = mpsc::unbounded_channel();
        let stage = Stage::default();
        let answers = Arc::new(Answers::default());
        let parts = epochs::Parts {
            genesis: genesis.clone(),
            config: config.clone(),
            own,
            consensus: std::iter::once(keys.consensus).chain(keys.next_consensus).collect(),
            spare_transport: keys.next_transport.map(|next| (next, own_transport)),
            transport: transport.clone(),
            stage: stage.clone(),
            answers: Arc::clone(&answers),
            hosting: api.hosting(),
            metrics: metrics.clone(),
            defects: defects.clone(),
            told: told.clone(),
        };
        let follows = plans.is_some();
        let mut epochs = Epochs::new(parts, plans, beginning, meddler);
        epochs.start().await?;
        folder.claim()?;
        let api = api.serve();
        let (stop_epochs, stopping) = oneshot::channel();
        let epochs = epochs.run(hears, stopping);
        let epochs = tokio::spawn(defects.clone().follow("the following of epochs", epochs));

        let mut tasks = NeededTasks::new(defects.clone());
        let (refusing, sending) = (transport.clone(), transport.clone());
        let router = Router {
            refuse: Box::new(move |from| refusing.note_refused(from)),
            send: Arc::new(move |to, frame| sending.send(to, Class::Sync, frame)),
            own,
            stage: stage.clone(),
            answers,
            told: follows.then_some(told),
            epoch_asks: Mutex::default(),
            guest_asks: Mutex::default(),
        };
        tasks.spawn_endless("the router", router.run(received));
        let peers = watch_peers(transport.clone(), api.peers(), stage.clone(), metrics);
        tasks.spawn_endless("the watch over peers", peers);
        if stage.views().is_empty() {
            warn_of_no_seat(genesis);
        }
        Ok(Self { transport, api, tasks, defects, stage, epochs, stop_epochs, _folder: folder })
    }

    /// What its instances show, in the order of shards and epochs; nothing if its validator has no
    /// seat.
    #[must_use]
    pub fn views(&self) -> Vec<View> {
        self.stage.views()
    }

    /// The same while instances come and go.
    pub fn watch_views(&self) -> impl Fn() -> Vec<View> + Send + 'static {
        let stage = self.stage.clone();
        move || stage.views()
    }

    /// Which of its parts a defect has ended.
    #[must_use]
    pub fn defects(&self) -> Defects {
        self.defects.clone()
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

    /// Stops it: no more questions, no more connections, the logs closed.
    pub async fn stop(mut self) {
        self.api.close().await;
        self.tasks.shutdown().await;
        // It may have ended by a defect, which was reported where it happened.
        let _ = self.stop_epochs.send(());
        let instances = self.epochs.await.ok().flatten().unwrap_or_default();
        self.transport.close().await;
        // All are told before one is waited for.
        instances.iter().for_each(Instance::tell_to_stop);
        for instance in instances {
            instance.join().await;
        }
    }
}

fn warn_of_no_seat(genesis: &Genesis) {
    tracing::warn!(
        "this validator has no seat in any of the {} shards: the node answers its API and signs \
         nothing",
        genesis.shards().len()
    );
}

/// What links may use: as many validators as there are, or may come to be.
fn limits(genesis: &Genesis, plans: Option<&Plans>) -> Limits {
    let planned = plans.map(|plans| plans.newest().validators.len().max(ROOM_FOR_VALIDATORS));
    Limits::for_committee(genesis.validators().len().max(planned.unwrap_or(0)))
}

/// Which validator of the genesis the keys are of. Where there is a beacon it may be none: one that
/// is admitted later, or whose keys were replaced.
fn founder(genesis: &Genesis, keys: &NodeKeys) -> Result<Option<ValidatorIndex>, NodeError> {
    let consensus = keys.consensus.public_key();
    let (validators, has_beacon) = (genesis.validators(), genesis.beacon().is_some());
    let position = validators.iter().position(|validator| validator.consensus_key == *consensus);
    let Some(position) = position else {
        if has_beacon {
            return Ok(None);
        }
        return Err(NodeError::NotAValidator(consensus.digest().to_string()));
    };
    let validator = &validators[position];
    if !has_beacon && validator.transport_key != *keys.transport.public_key() {
        return Err(NodeError::WrongTransportKey(validator.name.clone()));
    }
    Ok(Some(ValidatorIndex(position as u16)))
}

/// The number of the validator, by the newest plan that names its key or by the genesis; else it
/// waits until it is given one.
async fn own_number(
    genesis: &Genesis,
    config: &NodeConfig,
    keys: &NodeKeys,
    founder: Option<ValidatorIndex>,
    plans: Option<&mut Plans>,
) -> Result<ValidatorIndex, NodeError> {
    let consensus = keys.consensus.public_key();
    let Some(plans) = plans else {
        return founder.ok_or_else(|| NodeError::NotAValidator(consensus.digest().to_string()));
    };
    let next = keys.next_consensus.as_ref().map(SigningKey::public_key);
    let own: Vec<PublicKey> = std::iter::once(consensus).chain(next).cloned().collect();
    // Whoever has left and comes back has another number, which later plans name.
    let founder = founder.filter(|_| plans.newest().epoch == Epoch(0));
    if let Some(number) = admission::number_of(plans, &own).or(founder) {
        let named = genesis.validators().get(number.position());
        let is_other = |it: &&GenesisValidator| it.transport_key != *keys.transport.public_key();
        if let Some(named) = named.filter(is_other) {
            tracing::warn!(
                "the transport key is not the one that the genesis names for {}: the others take it \
                 only if it was replaced by a rotation",
                named.name
            );
        }
        return Ok(number);
    }
    let number = admission::wait(genesis, config, &own, &keys.transport, plans).await?;
    // It was about the number that the validator had before.
    let withdrawn = Votes::read(&config.data).and_then(|mut votes| {
        if votes.withdraw(&Vote::Leave) { votes.write(&config.data) } else { Ok(()) }
    });
    withdrawn.map_err(NodeError::Document)?;
    Ok(number)
}

fn transport_config(
    genesis: &Genesis,
    config: &NodeConfig,
    own: ValidatorIndex,
    key: SigningKey,
    streams: mpsc::Sender<ClientStream>,
) -> TransportConfig {
    let mut validators = known_validators(genesis);
    // The register has another key or another validator than the genesis, or both have the same.
    validators.retain(|known| known.index != own);
    validators.push(KnownValidator {
        index: own,
        name: String::new(),
        key: key.public_key().clone(),
        address: None,
    });
    TransportConfig {
        chain: genesis.chain(),
        own,
        key,
        listen: config.network.listen,
        advertise: config.network.advertise.clone(),
        validators,
        seeds: config.network.seeds.clone(),
        clients: Some(ClientAccess { keys: config.network.clients.clone(), streams }),
        limits: Limits::for_committee(genesis.validators().len()),
        defects: Defects::default(),
    }
}

/// The validators of a genesis, as a transport knows them.
#[must_use]
pub fn known_validators(genesis: &Genesis) -> Vec<KnownValidator> {
    let known = |(index, validator): (usize, &GenesisValidator)| KnownValidator {
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

fn api_config(
    genesis: &Genesis,
    config: &NodeConfig,
    own: ValidatorIndex,
    announcements: AnnouncementBoard,
    defects: Defects,
) -> ApiConfig {
    let validators = genesis.validators();
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
        transport_keys: validators
            .iter()
            .map(|validator| validator.transport_key.to_string())
            .collect(),
        own: Some(own),
        announcements,
        layout: Some(Arc::clone(genesis.layout())),
        shards: genesis.shards().iter().map(|it| facts::of_shard(genesis, it)).collect(),
        defects,
    }
}

async fn watch_peers(transport: Transport, shown: PeerBoard, stage: Stage, metrics: Metrics) {
    let mut changes = transport.connections();
    let mut interval = tokio::time::interval(PEERS_INTERVAL);
    loop {
        tokio::select! {
            _ = interval.tick() => {}
            change = changes.recv() => {
                if let Ok((validator, connected)) = change {
                    for view in stage.views() {
                        view.notify(Notice::Peer { validator, connected });
                    }
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
        for view in stage.views() {
            view.set_peers(peers.clone());
        }
        shown.set(peers);
    }
}
