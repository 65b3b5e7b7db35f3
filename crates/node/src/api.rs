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
mod bodies;
mod chain;
mod documentation;
mod events;
mod hosts;
mod metrics;
mod node;
mod patience;
mod problem;
mod recent;
mod routes;
mod rpc;
mod search;
mod server;
mod shared;
mod submit;
mod transactions;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use qcn_crypto::Scheme;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use crate::archive::Archive;
use crate::transport::{ClientStream, MAX_WAITING_STREAMS};
use crate::view::View;

pub use metrics::{Direction, Metrics, ReasonLabel, TrafficLabel, ValidatorLabel};

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
    /// The validators' transport keys in hexadecimal, in the order of the committee; may be empty.
    pub transport_keys: Vec<String>,
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
    observer: JoinHandle<()>,
}

impl Api {
    /// Starts to serve.
    ///
    /// # Errors
    /// [`ApiError::Listen`] if the address cannot be used.
    pub async fn start(
        config: ApiConfig,
        view: View,
        archive: Archive,
        metrics: Metrics,
    ) -> Result<Self, ApiError> {
        let address = config.listen;
        let at_fault = |reason| ApiError::Listen { address, reason };
        let listener = TcpListener::bind(address).await.map_err(at_fault)?;
        let local_address = listener.local_addr().map_err(at_fault)?;
        let (closing, is_closing) = watch::channel(false);
        let (streams, opened) = mpsc::channel(MAX_WAITING_STREAMS);
        let limits = config.limits;
        let notices = view.subscribe();
        let shared =
            Arc::new(shared::Shared::new(config, view, archive, metrics, is_closing.clone()));
        let observer = tokio::spawn(shared::observe(Arc::clone(&shared), notices));
        let router = routes::router(shared);
        let server = tokio::spawn(server::serve(listener, opened, router, limits, is_closing));
        Ok(Self { local_address, closing, streams, server, observer })
    }

    /// Where it listens.
    #[must_use]
    pub const fn local_address(&self) -> SocketAddr {
        self.local_address
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
        // A panic of the server was reported where it happened.
        let _ = self.server.await;
        self.observer.abort();
    }
}

#[cfg(test)]
mod tests;
