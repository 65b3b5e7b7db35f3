//! The accept loop: connections are counted, heads of requests have a deadline.
//!
//! **Invariants**
//! - one address, or one key of a client that comes over the transport, never has more than half
//!   of the places, so a single client does not keep the others out;
//! - a few places beside them answer the probes alone, so that a node whose places are all taken
//!   is not taken for a dead one and started again.

mod places;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::JoinSet;

use super::patience::Patience;
use super::{Limits, routes};
use crate::transport::ClientStream;
use places::{Holder, Place, Places};

/// The longest head of a request, in bytes.
const MAX_HEAD_BYTES: usize = 32 * 1024;

/// How much a connection buffers, in bytes.
const BUFFER_BYTES: usize = 64 * 1024;

/// How many connections above the limit may stand at once, to ask the probes one thing each.
const RESERVE: usize = 16;

/// How many of those one address may have.
const RESERVE_SHARE: usize = 4;

/// How long the head of a probe's request may take: the reserve is for who asks and leaves.
const RESERVE_HEADER_TIMEOUT: Duration = Duration::from_secs(2);

/// How many connections above that may be told so at once; the others are just closed.
const MAX_REFUSALS: usize = 16;

/// How long a refusal may take to be sent.
const REFUSAL_TIMEOUT: Duration = Duration::from_secs(1);

/// How long requests that run may take to end when the node stops.
const CLOSING_TIMEOUT: Duration = Duration::from_secs(2);

/// How long to wait when the system has no room for another connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

const TOO_MANY_CONNECTIONS: &str = "HTTP/1.1 503 Service Unavailable\r\n\
    content-type: application/json\r\nconnection: close\r\ncontent-length: 141\r\n\r\n\
    {\"error\":{\"code\":\"too_many_connections\",\"message\":\"the node serves as many \
    connections as it may\",\"remedy\":\"close some, or try again later\"}}";

/// Serves until told to close: connections over TCP, and those in the streams of clients.
pub async fn serve(
    listener: TcpListener,
    mut streams: mpsc::Receiver<ClientStream>,
    router: Router,
    limits: Limits,
    mut closing: watch::Receiver<bool>,
) {
    let mut reception = Reception::new(router, limits, closing.clone());
    loop {
        reception.forget_ended();
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(ClientStream { client, stream }) = streams.recv() => {
                reception.receive(stream, Holder::Client(client));
                continue;
            }
            _ = closing.wait_for(|closing| *closing) => break,
        };
        let Ok((stream, client)) = accepted else {
            // Out of file descriptors, most likely: one that is closed makes room.
            tokio::time::sleep(ACCEPT_PAUSE).await;
            continue;
        };
        // Answers are small and waited for.
        let _ = stream.set_nodelay(true);
        reception.receive(stream, Holder::at(client.ip()));
    }
    reception.end().await;
}

/// Gives each connection a place, and what is served there.
struct Reception {
    ordinary: Places,
    reserve: Places,
    refusals: Arc<Semaphore>,
    all: Service,
    probes: Service,
    connections: JoinSet<()>,
    closing: watch::Receiver<bool>,
}

impl Reception {
    fn new(router: Router, limits: Limits, closing: watch::Receiver<bool>) -> Self {
        let probes = Service {
            router: routes::probes_only(router.clone()),
            keep_alive: false,
            limits: Limits {
                header_timeout: limits.header_timeout.min(RESERVE_HEADER_TIMEOUT),
                ..limits
            },
        };
        Self {
            ordinary: Places::new(limits.connections, limits.connections.div_ceil(2)),
            reserve: Places::new(RESERVE, RESERVE_SHARE),
            refusals: Arc::new(Semaphore::new(MAX_REFUSALS)),
            all: Service { router, keep_alive: true, limits },
            probes,
            connections: JoinSet::new(),
            closing,
        }
    }

    fn receive<S: Io>(&mut self, stream: S, holder: Holder) {
        let closing = self.closing.clone();
        if let Some(place) = self.ordinary.take(holder) {
            self.connections.spawn(serve_one(stream, self.all.clone(), place, closing));
        } else if let Some(place) = self.reserve.take(holder) {
            self.connections.spawn(serve_one(stream, self.probes.clone(), place, closing));
        } else if let Ok(permit) = Arc::clone(&self.refusals).try_acquire_owned() {
            self.connections.spawn(async move {
                refuse(stream).await;
                drop(permit);
            });
        }
    }

    /// Ended connections are forgotten as they end.
    fn forget_ended(&mut self) {
        while self.connections.try_join_next().is_some() {}
    }

    /// Lets those that are served end.
    async fn end(mut self) {
        let all_end = async { while self.connections.join_next().await.is_some() {} };
        // Who is not done by then is cut off when the set is dropped.
        let _ = tokio::time::timeout(CLOSING_TIMEOUT, all_end).await;
    }
}

/// What a connection is made of.
trait Io: AsyncRead + AsyncWrite + Send + Unpin + 'static {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin + 'static> Io for S {}

/// What a connection is served.
#[derive(Clone)]
struct Service {
    router: Router,
    /// Whether it may ask more than once.
    keep_alive: bool,
    limits: Limits,
}

/// Serves a connection, which has its place until then.
async fn serve_one(
    stream: impl Io,
    service: Service,
    _place: Place,
    mut closing: watch::Receiver<bool>,
) {
    let Service { router, keep_alive, limits } = service;
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new())
        .keep_alive(keep_alive)
        .header_read_timeout(limits.header_timeout)
        .max_header_size(MAX_HEAD_BYTES)
        .max_buf_size(BUFFER_BYTES);
    let service = TowerToHyperService::new(router);
    let stream = TokioIo::new(Patience::new(stream, limits.request_timeout));
    let connection = http.serve_connection(stream, service);
    tokio::pin!(connection);
    // How a connection ends is the client's business.
    tokio::select! {
        _ = connection.as_mut() => return,
        _ = closing.wait_for(|closing| *closing) => connection.as_mut().graceful_shutdown(),
    }
    let _ = connection.await;
}

/// Says why and closes. The request is not read: its sender may see a reset instead.
async fn refuse(mut stream: impl Io) {
    let answer = async {
        stream.write_all(TOO_MANY_CONNECTIONS.as_bytes()).await?;
        stream.shutdown().await
    };
    let _ = tokio::time::timeout(REFUSAL_TIMEOUT, answer).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_refusal_states_its_length() {
        let (head, body) = TOO_MANY_CONNECTIONS.split_once("\r\n\r\n").unwrap();
        assert!(head.ends_with(&format!("content-length: {}", body.len())), "{}", body.len());
        assert!(serde_json::from_str::<serde_json::Value>(body).is_ok(), "{body}");
    }
}
