//! What a node offers to clients over HTTP: REST under `/v1`, JSON-RPC under `/rpc`, events,
//! probes, metrics, and the explorer page, on one port.
//!
//! The contract is the OpenAPI document that the node serves itself, at `/openapi.json`.
//!
//! **Invariants**
//! - nothing a client sends is fatal or waits for ever: bodies, connections, subscribers and
//!   times are bounded ([`Limits`]), and what is over a bound is refused with the remedy;
//! - what touches the archive runs beside the async threads, never on them;
//! - the API only reads the node and hands in transactions: no request changes anything else;
//! - there is no CORS header, a body has a type that a page cannot send without asking, and a
//!   request names an address or a name that is the node's: so no page of another origin can read
//!   or drive a node.

mod accounts;
mod arrival;
mod beacon;
mod bodies;
mod chain;
mod documentation;
mod epochs;
mod events;
mod hosting;
mod hosts;
mod hub;
mod metrics;
mod node;
mod patience;
mod problem;
mod receipt_proof;
mod recent;
mod routes;
mod rpc;
mod search;
mod server;
mod shards;
mod shared;
mod submit;
mod throughput;
mod transactions;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use qcn_crypto::Scheme;
use qcn_types::{Committee, Layout, Prefix, ShardId, ValidatorIndex};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use crate::archive::Archive;
use crate::defects::Defects;
use crate::proof_document::AnnouncementBoard;
use crate::transport::{ClientStream, MAX_WAITING_STREAMS};
use crate::view::{PeerBoard, View};

pub use hosting::{EpochFacts, Hosting};
pub use metrics::{Direction, Metrics, ReasonLabel, SourceLabel, TrafficLabel, ValidatorLabel};

/// How long the answers of a JSON-RPC batch may be together, unless told.
const RPC_ANSWERS_BYTES: usize = 8 * 1024 * 1024;

/// What clients may use of a node.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// The longest body, in bytes.
    pub body_bytes: usize,
    /// The longest body of a batch of transactions, in bytes.
    pub batch_body_bytes: usize,
    /// How long the answers of a JSON-RPC batch may be together before the rest is refused; the
    /// last of them may go beyond, in bytes.
    pub rpc_answers_bytes: usize,
    /// How many connections may stand at once, half of them from one address or from one client of
    /// the transport; a few more are there for the probes.
    pub connections: usize,
    /// How many of them may subscribe to events.
    pub subscribers: usize,
    /// How long the head of a request may take to arrive, also while a connection is idle.
    pub header_timeout: Duration,
    /// How long a request may take, with its body; and how long a client may not read on.
    pub request_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            body_bytes: 1024 * 1024,
            batch_body_bytes: 16 * 1024 * 1024,
            rpc_answers_bytes: RPC_ANSWERS_BYTES,
            connections: 256,
            subscribers: 64,
            header_timeout: Duration::from_secs(10),
            request_timeout: Duration::from_secs(30),
        }
    }
}

/// What the API says that the node's view does not know.
#[derive(Clone, Debug)]
pub struct ApiConfig {
    /// Where to listen. Port 0 takes any free one.
    pub listen: SocketAddr,
    /// What clients may use.
    pub limits: Limits,
    /// The names to answer to, besides addresses and `localhost`.
    pub hosts: Vec<String>,
    /// The network's name.
    pub chain_name: String,
    /// The genesis document, byte for byte.
    pub genesis_json: String,
    /// The schemes that accounts may use in this network.
    pub account_schemes: Vec<Scheme>,
    /// The validators' transport keys in hexadecimal, in the order of the genesis; may be empty.
    pub transport_keys: Vec<String>,
    /// Which validator of the genesis this node is; nothing if it is the first of one shard's.
    pub own: Option<ValidatorIndex>,
    /// What the beacon has announced, which the runtime adds to.
    pub announcements: AnnouncementBoard,
    /// Which addresses each shard has, until [`Hosting::set_epoch`] says so; nothing if there is
    /// one shard for good.
    pub layout: Option<Arc<Layout>>,
    /// All shards of the network, until then; may be empty if there is one.
    pub shards: Vec<ShardFacts>,
    /// The parts of the node that defects have ended, its own among them.
    pub defects: Defects,
}

/// One shard of the network, hosted here or not.
#[derive(Clone, Debug)]
pub struct ShardFacts {
    /// Its name.
    pub id: ShardId,
    /// What its addresses begin with.
    pub prefix: Prefix,
    /// Who serves it.
    pub committee: Arc<Committee>,
    /// The members' places among all validators, in the order of seats.
    pub seats: Vec<ValidatorIndex>,
    /// Where each of them listens for validators, if the genesis says so.
    pub addresses: Vec<Option<String>>,
}

/// A shard of this node in an epoch, or the beacon.
#[derive(Clone, Debug)]
pub struct Hosted {
    /// What its instance shows.
    pub view: View,
    /// Its history: the handle of the instance's epoch.
    pub archive: Archive,
    /// Its metrics.
    pub metrics: Metrics,
}

/// Why the API could not start.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// The address cannot be used.
    #[error("the API cannot listen on {address} ({reason}); choose another address or port")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system says.
        reason: std::io::Error,
    },
}

/// A running API.
#[derive(Debug)]
pub struct Api {
    local_address: SocketAddr,
    closing: watch::Sender<bool>,
    streams: mpsc::Sender<ClientStream>,
    server: JoinHandle<()>,
    hosting: Hosting,
    board: PeerBoard,
}

/// An API that has its address, and serves nothing yet.
pub struct BoundApi {
    local_address: SocketAddr,
    closing: watch::Sender<bool>,
    streams: mpsc::Sender<ClientStream>,
    hosting: Hosting,
    board: PeerBoard,
    serve: BoxFuture<'static, ()>,
}

impl BoundApi {
    /// Where the runtime says which shards there are to show.
    #[must_use]
    pub fn hosting(&self) -> Hosting {
        self.hosting.clone()
    }

    /// Takes streams of clients of the transport, each of which is served as a connection is.
    #[must_use]
    pub fn client_streams(&self) -> mpsc::Sender<ClientStream> {
        self.streams.clone()
    }

    /// Begins to serve.
    #[must_use]
    pub fn serve(self) -> Api {
        let Self { local_address, closing, streams, hosting, board, serve } = self;
        let server = tokio::spawn(serve);
        Api { local_address, closing, streams, server, hosting, board }
    }
}

impl Api {
    /// Starts to serve a node with one shard.
    ///
    /// # Errors
    /// [`ApiError::Listen`] if the address cannot be used.
    pub async fn start(
        config: ApiConfig,
        view: View,
        archive: Archive,
        metrics: Metrics,
    ) -> Result<Self, ApiError> {
        let hosted = vec![Hosted { view, archive, metrics: metrics.clone() }];
        Self::start_hosting(config, hosted, metrics).await
    }

    /// Starts to serve a node with any number of shards, in the order of their prefixes; the beacon
    /// may be among them. The metrics are those of the node, and of its only shard as well.
    ///
    /// # Errors
    /// [`ApiError::Listen`] if the address cannot be used.
    pub async fn start_hosting(
        config: ApiConfig,
        hosted: Vec<Hosted>,
        metrics: Metrics,
    ) -> Result<Self, ApiError> {
        let bound = Self::bind(config, metrics).await?;
        for one in hosted {
            bound.hosting.host(one);
        }
        Ok(bound.serve())
    }

    /// Takes the address, and serves nothing yet: whoever connects waits until there is something
    /// to show.
    ///
    /// # Errors
    /// [`ApiError::Listen`] if the address cannot be used.
    pub async fn bind(config: ApiConfig, metrics: Metrics) -> Result<BoundApi, ApiError> {
        let address = config.listen;
        let at_fault = |reason| ApiError::Listen { address, reason };
        let listener = TcpListener::bind(address).await.map_err(at_fault)?;
        let local_address = listener.local_addr().map_err(at_fault)?;
        let (closing, is_closing) = watch::channel(false);
        let (streams, opened) = mpsc::channel(MAX_WAITING_STREAMS);
        let (limits, defects) = (config.limits, config.defects.clone());
        let board = PeerBoard::default();
        let hub = Arc::new(hub::Hub::new(config, metrics, board.clone(), is_closing.clone()));
        let hosting = Hosting::new(Arc::clone(&hub));
        let router = routes::router(hub);
        let serve = server::serve(listener, opened, router, limits, is_closing);
        let serve: BoxFuture<'static, ()> = Box::pin(defects.need("the API", serve));
        Ok(BoundApi { local_address, closing, streams, hosting, board, serve })
    }

    /// Where it listens.
    #[must_use]
    pub const fn local_address(&self) -> SocketAddr {
        self.local_address
    }

    /// Where the runtime says which shards there are to show.
    #[must_use]
    pub fn hosting(&self) -> Hosting {
        self.hosting.clone()
    }

    /// Where the runtime says how the connections stand.
    #[must_use]
    pub fn peers(&self) -> PeerBoard {
        self.board.clone()
    }

    /// Takes streams of clients of the transport, each of which is served as a connection is.
    #[must_use]
    pub fn client_streams(&self) -> mpsc::Sender<ClientStream> {
        self.streams.clone()
    }

    /// Takes no more requests, lets those that run end for a moment, and stops.
    pub async fn close(self) {
        // Nobody listens any more only if the server has ended already.
        let _ = self.closing.send(true);
        // It reports a defect that ends it.
        let _ = self.server.await;
        self.hosting.close().await;
    }
}

#[cfg(test)]
mod tests;
