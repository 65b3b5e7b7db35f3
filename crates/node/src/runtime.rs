//! A running node: the machines of its shards with log, archive, transport and API around them.
//!
//! A validator may have a seat in several shards, and has an *instance* for each: a core with its
//! machine, a log, a history and a view. It may have a seat in none, and then the node answers its
//! API all the same. One transport serves all instances; each frame names the shard it is for.
//!
//! Threads: a core for each instance (it owns the machine), the writers of its log and of its
//! archive, the pool that checks signatures (shared by all nodes of a process), and the async
//! runtime for sockets, clients and relayers.

mod archive_folder;
mod archive_writer;
mod core;
mod envelope;
mod history;
mod inbox;
mod instance;
mod machine;
mod relay;
mod router;
mod seats;
mod submissions;
mod verification;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use qcn_crypto::{PublicKey, Role, Scheme, SigningKey};
use qcn_types::{CommitteeKeys, ValidatorIndex};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use self::instance::{Instance, Prepared};
pub use self::instance::{archive_folder, log_folder};
pub use self::machine::{Meddler, Scene};
use self::relay::{Answers, Distant, Relayer, RelayerParts, Source};
use self::router::{Destination, Router};
use self::seats::Seats;
use crate::api::{Api, ApiConfig, Metrics, ReasonLabel, ShardFacts};
use crate::archive::Archive;
use crate::config::NodeConfig;
use crate::genesis::Genesis;
use crate::storage::{BlockLog, StorageError, StoreIdentity};
use crate::transport::{Class, Limits, TransportConfig};
use crate::transport::{ClientAccess, ClientKey, ClientStream, KnownValidator, Transport};
use crate::view::{Notice, PeerBoard, View};

/// How often peers are looked at.
const PEERS_INTERVAL: Duration = Duration::from_millis(500);

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
    genesis.shard_keys()?;
    own_index(genesis, keys)?;
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
    let own = own_index(genesis, keys)?;
    let shards = seated(genesis, own)?;
    for (seats, _, _) in &shards {
        let history = archive_folder(genesis, &config.data, seats.shard());
        if history.exists() {
            return Err(NodeError::HasHistory(history));
        }
    }
    for (seats, seat, keys) in &shards {
        let identity = store_identity(keys, *seat)?;
        BlockLog::initialise(&log_folder(genesis, &config.data, seats.shard()), &identity)?;
    }
    Ok(())
}

/// A running node.
pub struct Node {
    instances: Vec<Instance>,
    transport: Transport,
    api: Api,
    tasks: JoinSet<()>,
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
        mut meddler: Option<Box<dyn Meddler>>,
    ) -> Result<Self, NodeError> {
        let own = own_index(genesis, &keys)?;
        check_clients(config, keys.transport.public_key())?;
        let committees = genesis.shard_keys()?;
        let metrics = Metrics::of_node(genesis.shards().len() > 1);
        let mut prepared = Vec::new();
        for (shard, committee) in genesis.shards().iter().zip(&committees) {
            if let Some(seat) = shard.seat_of(own) {
                // The logs first: they hold the locks of the folders, and say so best.
                prepared.push(Prepared::open(genesis, config, shard, committee, seat, &metrics)?);
            }
        }
        let api_config = api_config(genesis, config, own);
        let hosted = prepared.iter().map(Prepared::hosted).collect();
        let api = Api::start_hosting(api_config, hosted, metrics.clone()).await?;
        let streams = api.client_streams();
        let transport = transport_config(genesis, config, own, keys.transport, streams);
        let (transport, received) = Transport::start(transport).await?;

        let mut tasks = JoinSet::new();
        let mut instances = Vec::with_capacity(prepared.len());
        for one in prepared {
            let signing = keys.consensus.clone();
            instances.push(one.start(&transport, signing, meddler.take(), &mut tasks)?);
        }
        let seats: Vec<Seats> = genesis.shards().iter().map(Seats::of).collect();
        let answers = Arc::new(Answers::default());
        let (refusing, sending) = (transport.clone(), transport.clone());
        let router = Router {
            refuse: Box::new(move |from| refusing.note_refused(from)),
            send: Arc::new(move |to, frame| sending.send(to, Class::Sync, frame)),
            seats: seats.clone(),
            hosted: instances.iter().map(destination).collect(),
            answers: Arc::clone(&answers),
        };
        tasks.spawn(router.run(received));
        for relayer in relayers(own, &seats, &instances, &committees, &transport, &answers) {
            tasks.spawn(relayer.run());
        }
        let views: Vec<View> = instances.iter().map(|one| one.view().clone()).collect();
        tasks.spawn(watch_peers(transport.clone(), api.peers(), views, metrics));
        if instances.is_empty() {
            tracing::warn!(
                "this validator has no seat in any of the {} shards: the node answers its API and \
                 signs nothing",
                seats.len()
            );
        }
        Ok(Self { instances, transport, api, tasks })
    }

    /// What its instances show, in the order of shards; nothing if its validator has no seat.
    pub fn views(&self) -> impl Iterator<Item = &View> {
        self.instances.iter().map(Instance::view)
    }

    /// The histories of its instances, in the same order.
    pub fn archives(&self) -> impl Iterator<Item = &Archive> {
        self.instances.iter().map(Instance::archive)
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
        self.transport.close().await;
        // All are told before one is waited for.
        self.instances.iter().for_each(Instance::tell_to_stop);
        for instance in self.instances {
            instance.join().await;
        }
    }
}

fn destination(instance: &Instance) -> Destination {
    Destination { seats: instance.seats().clone(), post: instance.post().clone() }
}

/// One relayer for each lane into a shard of this node.
fn relayers(
    own: ValidatorIndex,
    seats: &[Seats],
    instances: &[Instance],
    committees: &[CommitteeKeys],
    transport: &Transport,
    answers: &Arc<Answers>,
) -> Vec<Relayer> {
    let mut relayers = Vec::new();
    for destination in instances {
        let to = destination.seats();
        for from in seats.iter().filter(|from| from.shard() != to.shard()) {
            let here = instances.iter().find(|one| one.seats().shard() == from.shard());
            let source = match here {
                Some(one) => Source::Here(one.post().clone(), one.view().outgoing()),
                None => {
                    let answers = Arc::clone(answers);
                    Source::There(Distant::new(transport.clone(), answers, from, own))
                }
            };
            let keys = committees.iter().find(|one| one.committee().shard() == to.shard());
            let Some(keys) = keys.cloned() else { continue };
            relayers.extend(Relayer::new(RelayerParts {
                seats: [from, to],
                own,
                source,
                destination: destination.post().clone(),
                keys,
                metrics: destination.metrics().clone(),
            }));
        }
    }
    relayers
}

/// Which validator of the genesis the keys are of.
fn own_index(genesis: &Genesis, keys: &NodeKeys) -> Result<ValidatorIndex, NodeError> {
    let consensus = keys.consensus.public_key();
    let validators = genesis.validators();
    let position = validators.iter().position(|validator| validator.consensus_key == *consensus);
    let Some(position) = position else {
        return Err(NodeError::NotAValidator(consensus.digest().to_string()));
    };
    let validator = &validators[position];
    if validator.transport_key != *keys.transport.public_key() {
        return Err(NodeError::WrongTransportKey(validator.name.clone()));
    }
    Ok(ValidatorIndex(position as u16))
}

/// The shards in which a validator has a seat, with the seat and the committee's keys.
fn seated(
    genesis: &Genesis,
    own: ValidatorIndex,
) -> Result<Vec<(Seats, ValidatorIndex, CommitteeKeys)>, NodeError> {
    let committees = genesis.shard_keys()?;
    let shards = genesis.shards().iter().zip(committees);
    let seated =
        shards.filter_map(|(shard, keys)| Some((Seats::of(shard), shard.seat_of(own)?, keys)));
    Ok(seated.collect())
}

fn store_identity(
    keys: &CommitteeKeys,
    own: ValidatorIndex,
) -> Result<StoreIdentity, StorageError> {
    StoreIdentity::of(keys, own).ok_or(StorageError::WrongKeys { own })
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
        limits: Limits::for_committee(genesis.validators().len()),
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

fn api_config(genesis: &Genesis, config: &NodeConfig, own: ValidatorIndex) -> ApiConfig {
    let validators = genesis.validators();
    let address = |index: &ValidatorIndex| validators.get(index.position())?.address.clone();
    let facts = |shard: &crate::genesis::GenesisShard| ShardFacts {
        id: shard.id,
        prefix: shard.prefix,
        committee: Arc::clone(&shard.committee),
        seats: shard.seats.clone(),
        addresses: shard.seats.iter().map(address).collect(),
    };
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
        layout: Some(Arc::clone(genesis.layout())),
        shards: genesis.shards().iter().map(facts).collect(),
    }
}

async fn watch_peers(transport: Transport, shown: PeerBoard, views: Vec<View>, metrics: Metrics) {
    let mut changes = transport.connections();
    let mut interval = tokio::time::interval(PEERS_INTERVAL);
    loop {
        tokio::select! {
            _ = interval.tick() => {}
            change = changes.recv() => {
                if let Ok((validator, connected)) = change {
                    for view in &views {
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
        for view in &views {
            view.set_peers(peers.clone());
        }
        shown.set(peers);
    }
}
