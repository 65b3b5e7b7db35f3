//! The mesh of validators: one QUIC endpoint, post-quantum handshakes, bounded queues
//! (DESIGN sections 4, 5.5 and 8).
//!
//! [`Transport::start`] opens the socket and keeps one connection to every other validator whose
//! address it learns. Frames go out with [`Transport::send`] and [`Transport::broadcast`] and come
//! in through the receiver that `start` returns. There is no order between classes, and none
//! across a reconnection; a frame may be lost, and never arrives twice on one connection.
//!
//! **Invariants**
//! - a frame comes from the validator that it is said to come from: both ends of a connection
//!   have shown the post-quantum key that the validator set names, for this chain;
//! - at most one connection per pair is used (how, `transport/peer.rs` says);
//! - sending never waits; what a peer does not take is dropped, the oldest first, and counted;
//! - a peer that sends more than its budget, or faster than the runtime lets go of it, is not read
//!   from for a while; one that breaks the framing loses its connection. Neither is an error here;
//! - a client opens streams only after it has shown a key that the operator allows; what is on them
//!   is for the API, and nothing a client sends reaches the mesh;
//! - nothing a peer sends panics or ends the transport; all tasks end with [`Transport::close`] or
//!   when the last clone is dropped.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use qcn_crypto::{ChainId, PublicKey, Scheme, SeededRandomness, SigningKey, VerifyingKey};
use qcn_types::ValidatorIndex;
use quinn::congestion::CubicConfig;
use quinn::{Endpoint, IdleTimeout, ServerConfig, TransportConfig as QuicConfig};
use tokio::sync::{OwnedSemaphorePermit, broadcast, mpsc, watch};
use tokio::task::{JoinHandle, JoinSet};
use tracing::error;

use crate::view::PeerStatus;

mod accept;
mod backoff;
mod budget;
mod client_key;
mod clients;
mod connection_ids;
mod counters;
mod dial;
mod hosts;
mod limits;
mod link;
mod members;
mod peer;
mod places;
mod queue;
mod records;
mod shared;
mod socket;
mod tls;
mod tunnel;
mod wire;

pub use client_key::{ClientKey, NotAClientKey};
pub use clients::{ClientAccess, ClientStream};
pub use counters::{Count, Counters};
pub use limits::{
    ClassLimits, Limits, MAX_CLIENTS, MAX_CONNECTION_LAG, MAX_QUEUED_BYTES, MAX_SEEDS,
    MAX_VALIDATORS, MAX_WAITING_STREAMS, MIN_QUEUE_BYTES,
};
pub use tunnel::{Tunnel, TunnelConfig, TunnelError, TunnelEvent};

use crate::defects::Defects;
pub(crate) use budget::Budget;
use clients::Clients;
use counters::Counting;
use limits::{
    CONNECTION_WINDOW_BYTES, INITIAL_WINDOW_BYTES, MAX_PENDING_INCOMING, MIN_WAITING_BYTES,
    STREAM_WINDOW_BYTES,
};
use link::count_dropped;
use peer::Peer;
use records::{RecordStore, is_address};
use shared::{Shared, lock};
use socket::{cannot_listen, listen};
use tls::{Handshakes, KeySet};
use wire::{CloseCode, MAX_STREAMS};

/// How long [`Transport::close`] waits for peers to be told.
const CLOSE_TIMEOUT: Duration = Duration::from_millis(500);

/// What a transport is started from.
#[derive(Clone)]
pub struct TransportConfig {
    /// The network. Who is on another one is refused in the handshake.
    pub chain: ChainId,
    /// Which validator this is.
    pub own: ValidatorIndex,
    /// Its transport key, ML-DSA-65.
    pub key: SigningKey,
    /// Where to listen; port 0 takes any.
    pub listen: SocketAddr,
    /// `host:port` that others are told; else the address of the socket, if that is a certain one.
    pub advertise: Option<String>,
    /// All validators, this one among them.
    pub validators: Vec<KnownValidator>,
    /// `host:port` of validators, whichever they are, that may know the others.
    pub seeds: Vec<String>,
    /// Who besides validators may connect, if anybody.
    pub clients: Option<ClientAccess>,
    /// Bounds.
    pub limits: Limits,
    /// Told of a part that a defect ends.
    pub defects: Defects,
}

/// A validator, as the genesis or the register of the beacon names it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KnownValidator {
    /// Its number.
    pub index: ValidatorIndex,
    /// Its name.
    pub name: String,
    /// Its transport key, ML-DSA-65.
    pub key: PublicKey,
    /// `host:port`, if it is known. A record that the validator signs goes before it.
    pub address: Option<String>,
}

/// What a frame is about. Each class has its own stream, queue and budget, so that bulk does not
/// hold up blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// Blocks, and requests for them.
    Blocks,
    /// Bulk state synchronisation.
    Sync,
}

impl Class {
    /// Both classes.
    pub const ALL: [Self; 2] = [Self::Blocks, Self::Sync];
}

/// A frame from a peer.
#[derive(Debug)]
pub struct Received {
    /// Who sent it.
    pub from: ValidatorIndex,
    /// How it was sent.
    pub class: Class,
    /// What it is.
    pub frame: Bytes,
    /// To be kept as long as the frame, or what was read from it, waits for anything.
    pub place: WaitingPlace,
}

/// The share of a frame in what its peer may have waiting, given back when it is dropped: until
/// then a peer that has used up its share is not read from.
#[derive(Debug)]
pub struct WaitingPlace {
    _permit: OwnedSemaphorePermit,
}

impl WaitingPlace {
    pub(crate) const fn new(permit: OwnedSemaphorePermit) -> Self {
        Self { _permit: permit }
    }
}

/// Why a transport cannot start. Each is for the operator to put right.
#[derive(Debug, thiserror::Error)]
pub enum TransportError {
    /// Transport keys are ML-DSA-65.
    #[error("the transport key of validator {validator} is {scheme}, and has to be ml-dsa-65")]
    Scheme {
        /// Whose key.
        validator: ValidatorIndex,
        /// What it is.
        scheme: Scheme,
    },
    /// A key is degenerate or undecodable.
    #[error("the transport key of validator {validator} is unusable: {error}")]
    Key {
        /// Whose key.
        validator: ValidatorIndex,
        /// What is wrong with it.
        error: qcn_crypto::KeyError,
    },
    /// Then neither could be told from the other.
    #[error("validators {first} and {second} have the same transport key")]
    SharedKey {
        /// One of them.
        first: ValidatorIndex,
        /// The other.
        second: ValidatorIndex,
    },
    /// An index is named twice.
    #[error("validator {0} is named twice")]
    NamedTwice(ValidatorIndex),
    /// The validator set names another key for this validator, or does not name it.
    #[error("the own transport key is not the one that the validator set names for validator {0}")]
    NotOwnKey(ValidatorIndex),
    /// It would be refused as somebody who shows the own key.
    #[error("an allowed client has the own transport key of validator {0}: give it one of its own")]
    OwnKeyAsClient(ValidatorIndex),
    /// The own key cannot be used for TLS.
    #[error("the own transport key cannot be used for TLS")]
    OwnKeyUnusable,
    /// More than [`MAX_VALIDATORS`] or [`MAX_SEEDS`].
    #[error(
        "{validators} validators and {seeds} seeds are more than {MAX_VALIDATORS} and {MAX_SEEDS}"
    )]
    TooMany {
        /// How many validators.
        validators: usize,
        /// How many seeds.
        seeds: usize,
    },
    /// Not `host:port`.
    #[error("{0:?} is not an address: write host:port")]
    Address(String),
    /// A time limit that QUIC cannot express.
    #[error("an idle timeout of {0:?} is too long")]
    IdleTimeout(Duration),
    /// TLS refused the configuration.
    #[error("TLS refuses the configuration: {0}")]
    Tls(#[from] rustls::Error),
    /// QUIC's first packets need a cipher suite that is not there.
    #[error("the cipher suite of QUIC's first packets is missing")]
    InitialSuite,
    /// The operating system gave no entropy.
    #[error("the operating system gave no entropy; check that /dev/urandom can be read")]
    Entropy,
    /// The socket could not be opened.
    #[error(
        "cannot listen on {address}: {error}; stop what listens there, or choose another address \
         or port as `listen` under [network]"
    )]
    Listen {
        /// Where.
        address: SocketAddr,
        /// Why not.
        error: std::io::Error,
    },
}

/// The connections of one validator to all others. Clones share them.
#[derive(Clone)]
pub struct Transport {
    shared: Arc<Shared>,
    running: Arc<Running>,
    local_address: SocketAddr,
}

/// The tasks and the socket, which end with the last clone.
struct Running {
    tasks: Mutex<Option<JoinHandle<()>>>,
    socket: Socket,
}

/// The socket while it is open.
type Socket = Arc<Mutex<Option<Endpoint>>>;

impl Transport {
    /// Opens the socket and begins to connect to the others.
    ///
    /// # Errors
    /// [`TransportError`] if the configuration contradicts itself or the socket cannot be opened.
    pub async fn start(
        config: TransportConfig,
    ) -> Result<(Self, mpsc::Receiver<Received>), TransportError> {
        check(&config)?;
        let config = TransportConfig { limits: config.limits.clone().sane(), ..config };
        let counting = Arc::new(Counting::new());
        let clients = config.clients.as_ref().map_or(&[][..], |clients| &clients.keys);
        let keys = Arc::new(KeySet::new(Some(config.own), &config.validators, clients)?);
        let handshakes =
            Handshakes::new(config.chain, &config.key, keys.clone(), counting.clone())?;
        let quic = Arc::new(quic_config(&config.limits)?);
        let server = server_config(&handshakes, quic.clone())?;
        let endpoint = listen(config.listen, &config.key, server.clone())?;
        let local_address = endpoint.local_addr().map_err(cannot_listen(config.listen))?;
        let (sender, received) = mpsc::channel(most_waiting(&config));
        let received_by = sender.downgrade();
        let shared = share(&config, local_address, keys, handshakes, counting, received_by)?;
        shared.renew_own_record(0);
        let socket = Arc::new(Mutex::new(Some(endpoint.clone())));
        let mesh = Mesh {
            shared: shared.clone(),
            quic,
            server,
            seeds: config.seeds,
            address: local_address,
            socket: socket.clone(),
            _received: sender,
        };
        let tasks = Mutex::new(Some(tokio::spawn(
            config.defects.need("the transport", mesh.run(endpoint)),
        )));
        let running = Arc::new(Running { tasks, socket });
        Ok((Self { shared, running, local_address }, received))
    }

    /// The parts of it that defects have ended, and others of the same node.
    pub(crate) fn defects(&self) -> &Defects {
        &self.shared.defects
    }

    /// Where the socket listens.
    #[must_use]
    pub fn local_address(&self) -> SocketAddr {
        self.local_address
    }

    /// Sends a frame to a validator as soon as it can take it. Never waits.
    pub fn send(&self, to: ValidatorIndex, class: Class, frame: Bytes) {
        if let Some(peer) = self.shared.peer(to) {
            self.enqueue(&peer, class, frame);
        }
    }

    /// Sends a frame to all other validators. Never waits.
    pub fn broadcast(&self, class: Class, frame: &Bytes) {
        for peer in self.shared.peers().values() {
            self.enqueue(peer, class, frame.clone());
        }
    }

    fn enqueue(&self, peer: &Peer, class: Class, frame: Bytes) {
        if frame.len() > self.shared.limits.class(class).frame_bytes {
            return self.shared.counting.one(Count::OwnFrameTooLong);
        }
        let dropped = peer.lane(class).queue.push(frame);
        count_dropped(&self.shared, peer, dropped);
    }

    /// The machine refused a message of this validator.
    pub fn note_refused(&self, from: ValidatorIndex) {
        if let Some(peer) = self.shared.peer(from) {
            peer.refused.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// The node dropped a message that it could not work off: peers are asked again.
    pub fn note_dropped(&self) {
        self.shared.counting.one(Count::MessageDropped);
    }

    /// The other validators, in the order of their indices.
    #[must_use]
    pub fn peers(&self) -> Vec<PeerStatus> {
        self.shared.peers().values().map(|peer| self.status(peer)).collect()
    }

    fn status(&self, peer: &Peer) -> PeerStatus {
        let connection = peer.connection().filter(|_| peer.is_connected());
        let packets = peer.packets();
        PeerStatus {
            index: peer.index.0,
            name: peer.name.clone(),
            address: self.shared.addresses(peer).into_iter().next(),
            connected: connection.is_some(),
            rtt_ms: connection.map(|it| it.rtt().as_secs_f64() * 1_000.0),
            packets_sent: packets.sent,
            packets_lost: packets.lost,
            bytes_in: peer.bytes_in.load(Ordering::Relaxed),
            bytes_out: peer.bytes_out.load(Ordering::Relaxed),
            frames_dropped: peer.frames_dropped.load(Ordering::Relaxed),
            refused: peer.refused.load(Ordering::Relaxed),
        }
    }

    /// Connections that come up (`true`) and go down from now on.
    #[must_use]
    pub fn connections(&self) -> broadcast::Receiver<(ValidatorIndex, bool)> {
        self.shared.ups_and_downs.subscribe()
    }

    /// What was counted since the start.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.shared.counting.read()
    }

    /// Ends all connections and tasks, and frees the port. The receiver of [`Self::start`] ends;
    /// later sends go nowhere.
    pub async fn close(&self) {
        let Some(tasks) = lock(&self.running.tasks).take() else { return };
        tasks.abort();
        // It ends as aborted; what matters is that it has ended.
        let _ = tasks.await;
        let Some(endpoint) = lock(&self.running.socket).take() else { return };
        endpoint.close((CloseCode::Stopping as u32).into(), b"");
        // Whoever is not told in time notices by itself.
        let _ = tokio::time::timeout(CLOSE_TIMEOUT, endpoint.wait_idle()).await;
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(tasks) = lock(&self.tasks).take() {
            tasks.abort();
        }
        if let Some(endpoint) = lock(&self.socket).take() {
            endpoint.close((CloseCode::Stopping as u32).into(), b"");
        }
    }
}

fn check(config: &TransportConfig) -> Result<(), TransportError> {
    let (validators, seeds) = (config.validators.len(), config.seeds.len());
    if validators > MAX_VALIDATORS || seeds > MAX_SEEDS {
        return Err(TransportError::TooMany { validators, seeds });
    }
    let known = config.validators.iter().filter_map(|validator| validator.address.as_ref());
    let mut addresses = known.chain(&config.seeds).chain(&config.advertise);
    if let Some(wrong) = addresses.find(|address| !is_address(address)) {
        return Err(TransportError::Address(wrong.chars().take(300).collect()));
    }
    let own = config.validators.iter().find(|validator| validator.index == config.own);
    if own.is_none_or(|own| own.key != *config.key.public_key()) {
        return Err(TransportError::NotOwnKey(config.own));
    }
    let own_key = ClientKey::of(config.key.public_key());
    if config.clients.iter().any(|clients| clients.keys.contains(&own_key)) {
        return Err(TransportError::OwnKeyAsClient(config.own));
    }
    Ok(())
}

fn quic_config(limits: &Limits) -> Result<QuicConfig, TransportError> {
    let idle = IdleTimeout::try_from(limits.idle_timeout)
        .map_err(|_| TransportError::IdleTimeout(limits.idle_timeout))?;
    let mut congestion = CubicConfig::default();
    congestion.initial_window(INITIAL_WINDOW_BYTES);
    let mut quic = QuicConfig::default();
    quic.congestion_controller_factory(Arc::new(congestion));
    quic.max_idle_timeout(Some(idle))
        .keep_alive_interval(Some(limits.keep_alive))
        .max_concurrent_bidi_streams(0_u32.into())
        .max_concurrent_uni_streams(MAX_STREAMS.into())
        .datagram_receive_buffer_size(None)
        .stream_receive_window(STREAM_WINDOW_BYTES.into())
        .receive_window(CONNECTION_WINDOW_BYTES.into())
        .send_window(CONNECTION_WINDOW_BYTES.into());
    Ok(quic)
}

/// For the socket's first packets; each handshake has its own, since nobody knows before which role
/// is offered.
fn server_config(
    handshakes: &Handshakes,
    quic: Arc<QuicConfig>,
) -> Result<ServerConfig, TransportError> {
    let mut server = ServerConfig::with_crypto(Arc::new(handshakes.server()?));
    server.transport_config(quic).migration(false).max_incoming(MAX_PENDING_INCOMING);
    Ok(server)
}

/// Numbers that nobody can guess.
fn entropy() -> Result<SeededRandomness, TransportError> {
    let mut seed = [0; 32];
    aws_lc_rs::rand::fill(&mut seed).map_err(|_| TransportError::Entropy)?;
    Ok(SeededRandomness::from_seed(&seed))
}

/// Frames that may wait for the runtime: as many as all peers together may have waiting, so that
/// none waits for another.
fn most_waiting(config: &TransportConfig) -> usize {
    let per_peer = config.limits.waiting_bytes_per_peer / MIN_WAITING_BYTES + 1;
    per_peer.saturating_mul(config.validators.len().max(1))
}

fn share(
    config: &TransportConfig,
    local_address: SocketAddr,
    keys: Arc<KeySet>,
    handshakes: Handshakes,
    counting: Arc<Counting>,
    received: mpsc::WeakSender<Received>,
) -> Result<Arc<Shared>, TransportError> {
    let now = Instant::now();
    let (mut peers, mut verifying) = (BTreeMap::new(), BTreeMap::new());
    for known in &config.validators {
        let validator = known.index;
        let key = VerifyingKey::decode(&known.key)
            .map_err(|error| TransportError::Key { validator, error })?;
        if verifying.insert(validator, vec![key]).is_some() {
            return Err(TransportError::NamedTwice(validator));
        }
        if validator != config.own {
            peers.insert(validator, Arc::new(Peer::new(known, &config.limits, now)));
        }
    }
    let mut randomness = entropy()?;
    let certain = !local_address.ip().is_unspecified();
    let shared = Shared {
        chain: config.chain,
        own: config.own,
        key: Mutex::new(config.key.clone()),
        limits: config.limits.clone(),
        defects: config.defects.clone(),
        incarnation: randomness.next_u64(),
        advertise: config.advertise.clone().or(certain.then(|| local_address.to_string())),
        peers: Mutex::new(Arc::new(peers)),
        peers_changed: watch::Sender::new(0),
        keys,
        clients: Clients::new(config.clients.clone()),
        handshakes,
        counting,
        received,
        ups_and_downs: broadcast::Sender::new(MAX_CONNECTION_LAG),
        records_changed: watch::Sender::new(0),
        records: Mutex::new(RecordStore::new(config.chain, verifying)),
        randomness: Mutex::new(randomness),
    };
    Ok(Arc::new(shared))
}

/// What runs while a transport does; all of it ends when this is dropped.
struct Mesh {
    shared: Arc<Shared>,
    quic: Arc<QuicConfig>,
    server: ServerConfig,
    seeds: Vec<String>,
    address: SocketAddr,
    socket: Socket,
    /// Keeps the runtime's receiver open.
    _received: mpsc::Sender<Received>,
}

impl Mesh {
    async fn run(self, mut endpoint: Endpoint) {
        loop {
            self.connect(endpoint).await;
            error!(address = %self.address, "the socket has failed and is opened again");
            self.shared.counting.one(Count::SocketLost);
            // The port is free once nobody holds the old one.
            drop(lock(&self.socket).take());
            endpoint = self.reopen().await;
            *lock(&self.socket) = Some(endpoint.clone());
        }
    }

    /// Accepts and dials until the socket fails.
    async fn connect(&self, endpoint: Endpoint) {
        let mut tasks = JoinSet::new();
        let (shared, transport) = (self.shared.clone(), self.quic.clone());
        let dialler = dial::Dialler { shared, endpoint: endpoint.clone(), transport };
        for seed in &self.seeds {
            let seek = dialler.clone().seek(seed.clone());
            tasks.spawn(self.shared.defects.clone().need("a dialler", seek));
        }
        tokio::select! {
            () = accept::accept(self.shared.clone(), endpoint, self.server.clone()) => {}
            () = dialler.keep_all() => {}
        }
        tasks.shutdown().await;
    }

    async fn reopen(&self) -> Endpoint {
        let mut backoff = self.shared.backoff();
        loop {
            tokio::time::sleep(backoff.next()).await;
            let key = lock(&self.shared.key).clone();
            match listen(self.address, &key, self.server.clone()) {
                Ok(endpoint) => return endpoint,
                Err(error) => error!(%error, "the socket could not be opened again"),
            }
        }
    }
}

#[cfg(test)]
mod tests;
