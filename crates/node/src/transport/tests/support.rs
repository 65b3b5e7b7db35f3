//! A network on loopback, and waiting for conditions.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use bytes::Bytes;
use qcn_crypto::{ChainId, Digest, Scheme, SigningKey};
use qcn_types::ValidatorIndex;
use tokio::sync::mpsc;
use tokio::time::{Instant, interval, timeout};

use super::super::shared::lock;
use super::super::{
    Count, KnownValidator, Limits, Received, Transport, TransportConfig, TransportError,
};
use crate::defects::Defects;

/// Longer than anything takes on a busy machine.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

pub(super) const CHAIN: ChainId = ChainId(Digest([7; 32]));

pub(super) fn anywhere() -> SocketAddr {
    (Ipv4Addr::LOCALHOST, 0).into()
}

/// The transport key of a validator; those from 100 on belong to nobody.
pub(super) fn key(index: u16) -> SigningKey {
    let mut seed = [9; 32];
    seed[..2].copy_from_slice(&index.to_be_bytes());
    SigningKey::from_seed(Scheme::MlDsa65, &seed).unwrap()
}

pub(super) fn validators(count: u16) -> Vec<KnownValidator> {
    let known = |index| KnownValidator {
        index: ValidatorIndex(index),
        name: format!("v{index}"),
        key: key(index).public_key().clone(),
        address: None,
    };
    (0..count).map(known).collect()
}

/// Limits under which nothing takes long.
pub(super) fn quick() -> Limits {
    Limits {
        handshake_timeout: Duration::from_secs(2),
        frame_timeout: Duration::from_secs(2),
        redial_min: Duration::from_millis(20),
        redial_max: Duration::from_millis(200),
        ..Limits::default()
    }
}

pub(super) fn config(own: u16, count: u16, seeds: &[SocketAddr]) -> TransportConfig {
    TransportConfig {
        chain: CHAIN,
        own: ValidatorIndex(own),
        key: key(own),
        listen: anywhere(),
        advertise: None,
        validators: validators(count),
        seeds: seeds.iter().map(ToString::to_string).collect(),
        clients: None,
        limits: quick(),
        defects: Defects::default(),
    }
}

/// One validator's transport, and what it receives.
pub(super) struct Node {
    pub(super) transport: Transport,
    pub(super) received: mpsc::Receiver<Received>,
}

impl Node {
    pub(super) async fn start(config: TransportConfig) -> Self {
        Self::try_start(config).await.unwrap()
    }

    pub(super) async fn try_start(config: TransportConfig) -> Result<Self, TransportError> {
        let (transport, received) = Transport::start(config).await?;
        Ok(Self { transport, received })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.transport.local_address()
    }

    pub(super) fn count(&self, count: Count) -> u64 {
        self.transport.counters().get(count)
    }

    pub(super) fn connected(&self) -> usize {
        self.transport.peers().iter().filter(|peer| peer.connected).count()
    }

    /// Connections of the socket, those included that are about to end.
    pub(super) fn open_connections(&self) -> usize {
        lock(&self.transport.running.socket).as_ref().map_or(0, |socket| socket.open_connections())
    }

    pub(super) fn refused(&self) -> Vec<(&'static str, u64)> {
        let counters = self.transport.counters();
        counters.iter().filter(|(_, value)| *value > 0).map(|(c, v)| (c.name(), v)).collect()
    }

    pub(super) async fn next(&mut self) -> Received {
        timeout(PATIENCE, self.received.recv()).await.expect("a frame in time").expect("running")
    }

    /// Waits for a counter to reach a value.
    pub(super) async fn reaches(&self, count: Count, value: u64) {
        let reached = poll(|| self.count(count) >= value).await;
        assert!(reached, "{} stays below {value}: {:?}", count.name(), self.refused());
    }
}

/// Starts a network in which everybody knows the first one's address only.
pub(super) async fn network(count: u16) -> Vec<Node> {
    let mut nodes = vec![Node::start(config(0, count, &[])).await];
    let seed = [nodes[0].address()];
    for own in 1..count {
        nodes.push(Node::start(config(own, count, &seed)).await);
    }
    fully_connected(&nodes).await;
    nodes
}

pub(super) async fn fully_connected(nodes: &[Node]) {
    let all = nodes.len() - 1;
    let connected = poll(|| nodes.iter().all(|node| node.connected() == all)).await;
    let states: Vec<_> = nodes.iter().map(|node| (node.connected(), node.refused())).collect();
    assert!(connected, "not everybody is connected to everybody: {states:?}");
}

/// Polls a condition until it holds or patience is at an end.
pub(super) async fn poll(mut condition: impl FnMut() -> bool) -> bool {
    let start = Instant::now();
    let mut ticks = interval(Duration::from_millis(2));
    while start.elapsed() < PATIENCE {
        if condition() {
            return true;
        }
        ticks.tick().await;
    }
    false
}

pub(super) fn frame(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}
