//! Outgoing connections: one task per peer, and one per seed while somebody is not found.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use qcn_types::ValidatorIndex;
use quinn::{ClientConfig, ConnectionError, Endpoint, TransportConfig};
use tokio::net::lookup_host;
use tokio::time::{sleep, timeout};
use tracing::debug;

use super::accept::reason;
use super::counters::Count;
use super::link::{Link, NotUp, confirm};
use super::peer::Peer;
use super::shared::{Shared, lock};
use super::tls::{PeerRole, SERVER_NAME};
use super::wire::CloseCode;

/// Which network addresses of one name are tried at most.
const MAX_ADDRESSES_PER_NAME: usize = 4;

/// A connection that stood this long was a good one: the next wait is short.
const GOOD_AFTER: Duration = Duration::from_secs(5);

/// The higher index of a pair gives the lower one this advantage, so that mostly one dials.
const ADVANTAGE: Duration = Duration::from_millis(100);

/// What a dialling task works with.
#[derive(Clone)]
pub(super) struct Dialler {
    pub(super) shared: Arc<Shared>,
    pub(super) endpoint: Endpoint,
    pub(super) transport: Arc<TransportConfig>,
}

/// Why a dial gave no connection.
enum NotDialled {
    /// The address is the own one.
    Itself,
    /// Another connection to that peer stands.
    Duplicate(ValidatorIndex),
    Failed,
}

impl Dialler {
    /// Keeps a connection to one peer.
    pub(super) async fn keep(self, peer: Arc<Peer>) {
        let mut backoff = self.shared.backoff();
        let mut attempt = 0_usize;
        loop {
            let since = Instant::now();
            wait_until_down(&peer).await;
            if since.elapsed() >= GOOD_AFTER {
                backoff.reset();
                attempt = 0;
            }
            let addresses = self.shared.addresses(&peer);
            if addresses.is_empty() {
                peer.wake.notified().await;
                continue;
            }
            if attempt == 0 && self.shared.own > peer.index {
                sleep(ADVANTAGE).await;
            }
            if peer.is_connected() {
                continue;
            }
            if attempt > 0 {
                self.shared.counting.one(Count::Redial);
            }
            let address = &addresses[attempt % addresses.len()];
            attempt += 1;
            match self.dial(address, Some(peer.index)).await {
                Ok(link) => {
                    let since = Instant::now();
                    link.run().await;
                    if since.elapsed() >= GOOD_AFTER {
                        backoff.reset();
                    }
                }
                Err(NotDialled::Duplicate(_)) => {}
                Err(NotDialled::Failed | NotDialled::Itself) => {
                    self.shared.counting.one(Count::DialFailed);
                }
            }
            tokio::select! {
                () = sleep(backoff.next()) => {}
                // It says that it is somewhere else now.
                () = peer.wake.notified() => backoff.reset(),
            }
        }
    }

    /// Finds validators through an address whose owner is not known: at once while there is one
    /// of whom no address is known, and otherwise when one has not been reached for a while.
    pub(super) async fn seek(self, seed: String) {
        let mut backoff = self.shared.backoff();
        let mut owner: Option<ValidatorIndex> = None;
        let mut complete_at = Instant::now();
        loop {
            if self.shared.is_complete() {
                complete_at = Instant::now();
            }
            let peer = owner.and_then(|owner| self.shared.peer(owner));
            let found = peer.is_some_and(|peer| peer.is_connected());
            let wanted = self.shared.lacks_addresses() || complete_at.elapsed() >= GOOD_AFTER;
            if wanted && !found {
                match self.dial(&seed, None).await {
                    Ok(link) => {
                        owner = Some(link.peer_index());
                        backoff.reset();
                        link.run().await;
                    }
                    // The own address among the seeds, as when all validators are given the same.
                    // A name may mean others at another time, and anybody can show a key.
                    Err(NotDialled::Itself) => {}
                    Err(NotDialled::Duplicate(peer)) => owner = Some(peer),
                    Err(NotDialled::Failed) => self.shared.counting.one(Count::DialFailed),
                }
            }
            sleep(backoff.next()).await;
        }
    }

    async fn dial(
        &self,
        address: &str,
        expected: Option<ValidatorIndex>,
    ) -> Result<Link, NotDialled> {
        let mut outcome = NotDialled::Failed;
        let found = self.resolve(address).await;
        if let Some(peer) = expected.and_then(|index| self.shared.peer(index)) {
            *lock(&peer.resolved) = found.iter().map(SocketAddr::ip).collect();
        }
        for resolved in found {
            match self.connect(resolved, expected).await {
                Err(NotDialled::Failed) => {}
                Err(NotDialled::Itself) => outcome = NotDialled::Itself,
                Err(NotDialled::Duplicate(peer)) => return Err(NotDialled::Duplicate(peer)),
                Ok(link) => return Ok(link),
            }
        }
        Err(outcome)
    }

    async fn resolve(&self, address: &str) -> Vec<SocketAddr> {
        match timeout(self.shared.limits.handshake_timeout, lookup_host(address)).await {
            Ok(Ok(found)) => found.take(MAX_ADDRESSES_PER_NAME).collect(),
            _ => {
                debug!(address, "the address could not be resolved");
                Vec::new()
            }
        }
    }

    async fn connect(
        &self,
        address: SocketAddr,
        expected: Option<ValidatorIndex>,
    ) -> Result<Link, NotDialled> {
        let client = self.shared.handshakes.client(PeerRole::Validator, expected);
        let client = client.map_err(|_| NotDialled::Failed)?;
        let mut config = ClientConfig::new(Arc::new(client.config));
        config.transport_config(self.transport.clone());
        let handshake = async {
            let connecting = self.endpoint.connect_with(config, address, SERVER_NAME);
            connecting.map_err(|_| ConnectionError::LocallyClosed)?.await
        };
        let connection = match timeout(self.shared.limits.handshake_timeout, handshake).await {
            Ok(Ok(connection)) => connection,
            Ok(Err(_)) if client.refused.get().is_some_and(|it| it.count == Count::OwnKey) => {
                return Err(NotDialled::Itself);
            }
            Ok(Err(error)) => {
                debug!(%address, %error, "a dial failed");
                // Nobody there, or somebody who refuses, is no refusal of ours.
                if let (ConnectionError::TransportError(_), Some(count)) = (&error, reason(&error))
                {
                    self.shared.counting.one(count);
                }
                return Err(NotDialled::Failed);
            }
            Err(_) => return Err(NotDialled::Failed),
        };
        let peer = self.shared.keys.peer_of(&connection);
        let Some(peer) = peer.and_then(|index| self.shared.peer(index)) else {
            CloseCode::Violation.close(&connection);
            return Err(NotDialled::Failed);
        };
        match confirm(&self.shared, &peer, connection).await {
            Ok(link) => {
                self.shared.counting.one(Count::HandshakeDialled);
                Ok(link)
            }
            Err(NotUp::Duplicate) => Err(NotDialled::Duplicate(peer.index)),
            Err(NotUp::Failed) => Err(NotDialled::Failed),
        }
    }
}

async fn wait_until_down(peer: &Peer) {
    // The sender is the peer's own, so waiting for it does not fail.
    let _ = peer.connected.subscribe().wait_for(|connected| !connected).await;
}
