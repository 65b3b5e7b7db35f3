//! Connections of allowed clients: each stream that one opens carries one connection to the API.
//!
//! **Invariants**
//! - nothing is read of a client's stream here, and nothing of it reaches the mesh;
//! - connections are bounded, of all and of one key; streams are bounded of each connection, and
//!   none may be opened before the key was judged.

use std::sync::{Arc, Mutex};

use quinn::{Connection, RecvStream, SendStream};
use tokio::io::Join;
use tokio::sync::mpsc;
use tracing::info;

use super::client_key::ClientKey;
use super::counters::Count;
use super::limits::{CLIENT_WINDOW_BYTES, Limits};
use super::shared::{Shared, lock};
use super::wire::CloseCode;
use crate::addresses::Tally;

/// Who besides validators may connect, and where its streams go.
#[derive(Clone, Debug)]
pub struct ClientAccess {
    /// The keys that are allowed.
    pub keys: Vec<ClientKey>,
    /// Takes the streams that they open.
    pub streams: mpsc::Sender<ClientStream>,
}

/// A stream that a client has opened.
#[derive(Debug)]
pub struct ClientStream {
    /// Who opened it.
    pub client: ClientKey,
    /// Both its directions.
    pub stream: Join<RecvStream, SendStream>,
}

/// The clients that are connected.
pub(super) struct Clients {
    streams: Option<mpsc::Sender<ClientStream>>,
    connected: Arc<Mutex<Connected>>,
}

#[derive(Default)]
struct Connected {
    in_all: usize,
    of_key: Tally<ClientKey>,
}

/// A place for a connection, given back when it is dropped.
struct Place {
    client: ClientKey,
    connected: Arc<Mutex<Connected>>,
}

impl Clients {
    pub(super) fn new(access: Option<ClientAccess>) -> Self {
        Self { streams: access.map(|access| access.streams), connected: Arc::default() }
    }

    fn enter(&self, client: ClientKey, limits: &Limits) -> Option<Place> {
        let mut connected = lock(&self.connected);
        let is_full = connected.in_all >= limits.client_connections;
        if is_full || connected.of_key.of(&client) >= limits.connections_per_client {
            return None;
        }
        connected.in_all += 1;
        connected.of_key.add(client);
        Some(Place { client, connected: self.connected.clone() })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut connected = lock(&self.connected);
        connected.in_all -= 1;
        connected.of_key.remove(&self.client);
    }
}

/// Hands the streams of one connection on until it ends.
pub(super) async fn serve(shared: &Shared, connection: Connection, client: ClientKey) {
    let place = shared.clients.enter(client, &shared.limits);
    let (Some(_place), Some(streams)) = (place, &shared.clients.streams) else {
        shared.counting.one(Count::TooManyClients);
        return CloseCode::TooMany.close(&connection);
    };
    shared.counting.one(Count::ClientAccepted);
    let address = connection.remote_address();
    info!(%client, %address, "a client has connected");
    connection.set_receive_window(CLIENT_WINDOW_BYTES.into());
    connection.set_send_window(CLIENT_WINDOW_BYTES.into());
    // This is what tells the client that it was let in.
    connection.set_max_concurrent_bi_streams(shared.limits.streams_per_connection.into());
    let code = hand_on(shared, &connection, client, streams).await;
    code.close(&connection);
    shared.counting.one(Count::ClientEnded);
    info!(%client, %address, "a client has gone");
}

async fn hand_on(
    shared: &Shared,
    connection: &Connection,
    client: ClientKey,
    streams: &mpsc::Sender<ClientStream>,
) -> CloseCode {
    loop {
        tokio::select! {
            opened = connection.accept_bi() => {
                let Ok((sending, receiving)) = opened else { return CloseCode::Stopping };
                shared.counting.one(Count::ClientStream);
                let stream = tokio::io::join(receiving, sending);
                if streams.send(ClientStream { client, stream }).await.is_err() {
                    return CloseCode::Stopping;
                }
            }
            // Those are for validators.
            Ok(_) = connection.accept_uni() => {
                shared.counting.one(Count::Violation);
                return CloseCode::Violation;
            }
        }
    }
}
