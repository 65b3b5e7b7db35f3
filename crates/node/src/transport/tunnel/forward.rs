//! Forwarding: each connection to a local TCP port becomes a stream of the link.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::io::{AsyncWriteExt as _, copy, sink};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::super::backoff::Backoff;
use super::super::entropy;
use super::{Link, Stream, Tunnel, TunnelError, TunnelEvent};

/// How many local connections are forwarded at once; others wait to be accepted.
const MAX_CONNECTIONS: usize = 256;

/// How long a local connection waits for a link and for a stream of it.
const LINK_PATIENCE: Duration = Duration::from_secs(5);

/// How long a local connection is read from after its last answer: closing it with unread bytes
/// may take the answer away with it.
const LINGER: Duration = Duration::from_secs(1);

/// A link that stood this long was a good one: the next wait is short.
const GOOD_AFTER: Duration = Duration::from_secs(5);

/// How long to wait when the system has no room for another connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

const NO_LINK: &str = "HTTP/1.1 503 Service Unavailable\r\n\
    content-type: application/json\r\nconnection: close\r\ncontent-length: 142\r\n\r\n\
    {\"error\":{\"code\":\"no_link\",\"message\":\"the tunnel has no link to the node\",\
    \"remedy\":\"see what qcn tunnel says, and try again once it has one\"}}";

impl Tunnel {
    /// Forwards connections for as long as it is polled. It says what happens to its link, and
    /// makes another one whenever that breaks.
    ///
    /// # Errors
    /// [`TunnelError`] if the first link does not come up.
    pub async fn run(
        &self,
        listener: TcpListener,
        tell: impl Fn(TunnelEvent),
    ) -> Result<Infallible, TunnelError> {
        let (min, max) = (self.limits.redial_min, self.limits.redial_max);
        let backoff = Backoff::new(min, max, entropy()?);
        let first = self.dial().await?;
        tokio::select! {
            never = self.keep(first, backoff, tell) => Ok(never),
            never = forward_all(listener, self.link.subscribe()) => Ok(never),
        }
    }

    async fn keep(
        &self,
        first: Link,
        mut backoff: Backoff,
        tell: impl Fn(TunnelEvent),
    ) -> Infallible {
        let mut link = Arc::new(first);
        loop {
            let since = Instant::now();
            let (validator, address) =
                (self.name(link.validator), link.connection.remote_address());
            self.link.send_replace(Some(link.clone()));
            tell(TunnelEvent::Up { validator, address });
            let reason = link.connection.closed().await;
            self.link.send_replace(None);
            tell(TunnelEvent::Down { reason: reason.to_string() });
            if since.elapsed() >= GOOD_AFTER {
                backoff.reset();
            }
            link = self.dial_until_up(&mut backoff, &tell).await;
        }
    }

    async fn dial_until_up(&self, backoff: &mut Backoff, tell: impl Fn(TunnelEvent)) -> Arc<Link> {
        let mut again_in = backoff.next();
        loop {
            sleep(again_in).await;
            match self.dial().await {
                Ok(link) => return Arc::new(link),
                Err(error) => {
                    again_in = backoff.next();
                    tell(TunnelEvent::Failed { error, again_in });
                }
            }
        }
    }
}

async fn forward_all(
    listener: TcpListener,
    links: watch::Receiver<Option<Arc<Link>>>,
) -> Infallible {
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        // It fails only when it is closed, and nobody closes it.
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { continue };
        let Ok((local, _)) = listener.accept().await else {
            sleep(ACCEPT_PAUSE).await;
            continue;
        };
        let links = links.clone();
        connections.spawn(async move {
            forward(local, links).await;
            drop(place);
        });
    }
}

async fn forward(local: TcpStream, links: watch::Receiver<Option<Arc<Link>>>) {
    // Requests are small and waited for.
    let _ = local.set_nodelay(true);
    match timeout(LINK_PATIENCE, open(links)).await {
        Ok(Some(stream)) => pass(local, stream).await,
        Ok(None) | Err(_) => refuse(local).await,
    }
}

/// A stream of the link that stands, or of the next one; none once the tunnel has ended.
async fn open(mut links: watch::Receiver<Option<Arc<Link>>>) -> Option<Stream> {
    loop {
        let link = links.borrow_and_update().clone();
        if let Some(link) = link
            && let Ok(stream) = link.open().await
        {
            return Some(stream);
        }
        links.changed().await.ok()?;
    }
}

/// Passes bytes in both directions until the node has ended its own. How each ends is the business
/// of both ends.
async fn pass(local: TcpStream, stream: Stream) {
    let (mut from_local, mut to_local) = local.into_split();
    let (mut from_node, mut to_node) = stream.into_inner();
    let up = async move {
        let _ = copy(&mut from_local, &mut to_node).await;
        drop(to_node);
        // A node that reads no more of a request may have answered it: the answer goes on.
        let _ = copy(&mut from_local, &mut sink()).await;
    };
    let down = async move {
        let _ = copy(&mut from_node, &mut to_local).await;
        let _ = to_local.shutdown().await;
    };
    tokio::pin!(up, down);
    tokio::select! {
        () = &mut up => down.await,
        // What is still on its way here is read, or closing would take the answer away with it.
        () = &mut down => drop(timeout(LINGER, up).await),
    }
}

/// Says why there is no answer, and closes.
async fn refuse(mut local: TcpStream) {
    let answer = async {
        local.write_all(NO_LINK.as_bytes()).await?;
        local.shutdown().await?;
        copy(&mut local, &mut sink()).await
    };
    let _ = timeout(LINGER, answer).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_refusal_states_its_length() {
        let (head, body) = NO_LINK.split_once("\r\n\r\n").unwrap();
        assert!(head.ends_with(&format!("content-length: {}", body.len())), "{}", body.len());
        assert!(serde_json::from_str::<serde_json::Value>(body).is_ok(), "{body}");
    }
}
