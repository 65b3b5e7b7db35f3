//! Incoming connections: who gets as far as a handshake, and what becomes of it.
//!
//! A handshake costs a millisecond of computing, an attempt next to nothing. So the number under
//! way is bounded, for all and for each address (`transport/places.rs`); beyond a rate the sender
//! has to show that its address is its own (a QUIC retry, which keeps no state here); and whoever
//! has shown it is held to a rate per address.

use std::sync::Arc;
use std::time::Instant;

use quinn::{ConnectionError, Endpoint, Incoming, ServerConfig};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tracing::debug;

use super::budget::{AddressBudgets, Budget};
use super::clients;
use super::counters::Count;
use super::hosts::KnownHosts;
use super::limits::MAX_WATCHED_ADDRESSES;
use super::link::confirm;
use super::places::{Place, Places};
use super::shared::Shared;
use super::tls::PeerRole;
use super::wire::CloseCode;

/// TLS alerts, as QUIC numbers them: 0x100 and the alert of RFC 8446.
pub(super) mod alert {
    pub(in super::super) const HANDSHAKE_FAILURE: u64 = 0x128;
    pub(in super::super) const ACCESS_DENIED: u64 = 0x131;
    pub(in super::super) const DECRYPT_ERROR: u64 = 0x133;
    pub(in super::super) const CERTIFICATE_REQUIRED: u64 = 0x174;
    pub(in super::super) const NO_APPLICATION_PROTOCOL: u64 = 0x178;
}

/// Takes in connections until the socket is closed or fails.
pub(super) async fn accept(shared: Arc<Shared>, endpoint: Endpoint, server: ServerConfig) {
    let mut gate = Gate::new(&shared);
    let mut links = JoinSet::new();
    loop {
        tokio::select! {
            incoming = endpoint.accept() => {
                let Some(incoming) = incoming else { break };
                if let Some((incoming, place)) = gate.admit(&shared, incoming) {
                    links.spawn(serve(shared.clone(), incoming, server.clone(), place));
                }
            }
            // Ended links are taken out, so that their number stays that of the standing ones.
            Some(_) = links.join_next() => {}
        }
    }
}

/// Decides who may begin a handshake.
struct Gate {
    places: Places,
    all: Budget,
    unproven: Budget,
    addresses: AddressBudgets,
    known: KnownHosts,
}

impl Gate {
    fn new(shared: &Shared) -> Self {
        let limits = &shared.limits;
        Self {
            places: Places::new(limits),
            all: Budget::new(limits.handshakes_per_second, Instant::now()),
            unproven: Budget::new(limits.unproven_per_second, Instant::now()),
            addresses: AddressBudgets::new(limits.handshakes_per_address, MAX_WATCHED_ADDRESSES),
            known: KnownHosts::default(),
        }
    }

    fn admit(&mut self, shared: &Shared, incoming: Incoming) -> Option<(Incoming, Place)> {
        let now = Instant::now();
        let address = incoming.remote_address().ip();
        let place = if incoming.remote_address_validated() {
            if !self.addresses.try_one(now, address) {
                return refuse(shared, incoming, Count::TooManyOfAddress);
            }
            self.places.try_proven(address, self.known.validators_at(shared, now, address))
        } else {
            let place = self.places.try_unproven(address);
            let Some(place) = place.filter(|_| self.unproven.try_one(now)) else {
                shared.counting.one(Count::AddressProofAsked);
                // It fails only for an address that is proven, and this one is not.
                let _ = incoming.retry();
                return None;
            };
            Ok(place)
        };
        match place {
            Ok(place) if self.all.try_one(now) => Some((incoming, place)),
            Ok(_) => refuse(shared, incoming, Count::TooManyHandshakes),
            Err(reason) => refuse(shared, incoming, reason),
        }
    }
}

/// Refuses without an answer, which is cheapest and helps nobody to flood a third.
fn refuse(shared: &Shared, incoming: Incoming, reason: Count) -> Option<(Incoming, Place)> {
    shared.counting.one(reason);
    incoming.ignore();
    None
}

/// One incoming connection, from its handshake to its end.
async fn serve(shared: Arc<Shared>, incoming: Incoming, mut server: ServerConfig, place: Place) {
    let address = incoming.remote_address();
    // Made anew, because it notes in which role this one comes.
    match shared.handshakes.server() {
        Ok(crypto) => server.crypto = Arc::new(crypto),
        Err(error) => {
            debug!(%address, %error, "a handshake could not begin");
            return shared.counting.one(Count::HandshakeBroken);
        }
    }
    let handshake = async { incoming.accept_with(Arc::new(server))?.await };
    let connection = match timeout(shared.limits.handshake_timeout, handshake).await {
        Ok(Ok(connection)) => connection,
        Ok(Err(error)) => {
            debug!(%address, %error, "a handshake was refused");
            if let Some(reason) = reason(&error) {
                shared.counting.one(reason);
            }
            return;
        }
        Err(_) => return shared.counting.one(Count::HandshakeTimeout),
    };
    let (peer, client) = match shared.handshakes.role_of(&connection) {
        Some(PeerRole::Validator) => (shared.keys.peer_of(&connection), None),
        Some(PeerRole::Client) => (None, shared.keys.client_of(&connection)),
        None => (None, None),
    };
    // From here on the bound is one per peer, or one for all clients.
    drop(place);
    if let Some(client) = client {
        return clients::serve(&shared, connection, client).await;
    }
    let Some(peer) = peer.and_then(|index| shared.peer(index)) else {
        // The verifier has refused it already, so this is not reached.
        shared.counting.one(Count::UnknownKey);
        return CloseCode::Violation.close(&connection);
    };
    let Ok(link) = confirm(&shared, &peer, connection).await else { return };
    shared.counting.one(Count::HandshakeAccepted);
    link.run().await;
}

/// Under which name a failed handshake is counted; none if the verifier has counted it.
pub(super) fn reason(error: &ConnectionError) -> Option<Count> {
    let code = match error {
        ConnectionError::TransportError(error) => u64::from(error.code),
        ConnectionError::TimedOut => return Some(Count::HandshakeTimeout),
        _ => return Some(Count::HandshakeBroken),
    };
    match code {
        alert::ACCESS_DENIED | alert::DECRYPT_ERROR => None,
        alert::HANDSHAKE_FAILURE => Some(Count::NoCommonParameters),
        alert::CERTIFICATE_REQUIRED => Some(Count::NoKey),
        alert::NO_APPLICATION_PROTOCOL => Some(Count::WrongProtocol),
        _ => Some(Count::HandshakeBroken),
    }
}
