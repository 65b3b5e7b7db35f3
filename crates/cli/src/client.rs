//! A blocking HTTP client for the API of a node.
//!
//! One [`Client`] speaks to one node and keeps its connections open. Every request has a time
//! limit and every answer a size limit; every error names the address, what happened, and what
//! to do about it. There is no TLS: a node listens on loopback, and whoever reaches it from
//! elsewhere goes through `qcn tunnel`, which authenticates both ends.

pub mod events;
pub mod responses;

use std::fmt;
use std::io::{self, BufReader};
use std::str::FromStr;
use std::time::{Duration, Instant};

use clap::Args;
use serde::de::DeserializeOwned;

use events::Events;
use responses::{Refusal, Submitted, SubmittedBatch};

/// Where a node listens if nothing else is said.
const DEFAULT_NODE: &str = "http://127.0.0.1:8080";
/// The environment variable that names another node.
const NODE_VARIABLE: &str = "QCN_NODE";
/// How long connecting may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a request may take; a node gives up on it a little earlier.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(35);
/// How long a stream of events may be silent; a node sends a comment every 15 seconds.
const EVENTS_SILENCE_MAX: Duration = Duration::from_secs(45);
/// The longest answer that is read.
const ANSWER_BYTES_MAX: u64 = 32 << 20;
/// The code of a refusal by a node that has just started.
const NOT_YET: &str = "no_certified_state";
/// How long to wait before such a node is asked again.
const ASK_AGAIN: Duration = Duration::from_millis(50);
/// How much of an answer that is none of ours is shown.
const EXCERPT_CHARS: usize = 120;

/// Which node to ask.
#[derive(Debug, Clone, Args)]
pub struct NodeArgs {
    /// The node's address; QCN_NODE or http://127.0.0.1:8080 if not given.
    #[arg(long, value_name = "URL", global = true)]
    node: Option<NodeUrl>,
}

impl NodeArgs {
    /// A client for the node of the command line, of the environment, or of this machine.
    pub fn client(&self) -> anyhow::Result<Client> {
        match &self.node {
            Some(url) => Ok(Client::new(url.clone())),
            None => Ok(Client::new(NodeUrl::from_environment()?)),
        }
    }
}

/// The address of a node's API: scheme, host, port, and a path where a proxy puts one in front.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeUrl(String);

impl NodeUrl {
    /// The node that the environment names, or the one of this machine.
    pub fn from_environment() -> anyhow::Result<Self> {
        match std::env::var(NODE_VARIABLE) {
            Ok(url) if !url.is_empty() => {
                url.parse().map_err(|error| anyhow::anyhow!("{NODE_VARIABLE}: {error}"))
            }
            _ => Ok(Self(DEFAULT_NODE.to_owned())),
        }
    }
}

impl FromStr for NodeUrl {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.starts_with("https://") {
            return Err(format!(
                "`{text}`: this client speaks plain HTTP; reach a remote node through \
                 `qcn tunnel`, and give {DEFAULT_NODE}"
            ));
        }
        let wrong = || format!("`{text}` is no address of a node; write one as {DEFAULT_NODE}");
        let uri: ureq::http::Uri = text.parse().map_err(|_| wrong())?;
        let named = uri.host().is_some_and(|host| !host.is_empty());
        if uri.scheme_str() != Some("http") || !named || uri.query().is_some() {
            return Err(wrong());
        }
        Ok(Self(text.trim_end_matches('/').to_owned()))
    }
}

impl fmt::Display for NodeUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// Why a request has no result.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// There is no connection.
    #[error(
        "cannot reach {url}: {cause}; is the node running? start a network with `qcn devnet`, or \
         name another node with --node URL or {NODE_VARIABLE}"
    )]
    Unreachable {
        /// What was asked for.
        url: String,
        /// What the system said.
        cause: String,
    },
    /// The node did not answer in time.
    #[error("no answer from {url} in time; the node may be overloaded: try again, or see /health")]
    TimedOut {
        /// What was asked for.
        url: String,
    },
    /// The connection broke before the answer was complete.
    #[error(
        "the connection broke before {url} had answered ({cause}); did the node stop? see its log \
         and try again"
    )]
    Broken {
        /// What was asked for.
        url: String,
        /// What the system said.
        cause: String,
    },
    /// What answers is not a node of this version.
    #[error(
        "the answer of {url} is not that of a qcn node of this version: {found}; does another \
         program listen there?"
    )]
    Garbage {
        /// What was asked for.
        url: String,
        /// What was found instead.
        found: String,
    },
    /// The node says no.
    #[error("{url} says: {refusal}")]
    Refused {
        /// What was asked for.
        url: String,
        /// The HTTP status.
        status: u16,
        /// The reason and the remedy.
        refusal: Refusal,
    },
}

impl ClientError {
    /// Whether what was asked for may have been done, although nobody said so: the node gave up on its
    /// answer, or what answered is none.
    pub fn leaves_open(&self) -> bool {
        match self {
            Self::Refused { status: 408 | 500, .. } => true,
            Self::Refused { status: 503, refusal, .. } => {
                matches!(refusal.code.as_str(), "stopped" | "failed")
            }
            Self::TimedOut { .. } | Self::Broken { .. } | Self::Garbage { .. } => true,
            Self::Refused { .. } | Self::Unreachable { .. } => false,
        }
    }

    /// Whether the node has no certified state yet, as in the first second after its start.
    fn is_too_early(&self) -> bool {
        matches!(self, Self::Refused { refusal, .. } if refusal.code == NOT_YET)
    }

    /// Whether the same request may succeed a moment later.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Refused { status, .. } => matches!(status, 408 | 429 | 503),
            Self::Unreachable { .. } | Self::TimedOut { .. } | Self::Broken { .. } => true,
            Self::Garbage { .. } => false,
        }
    }
}

/// Speaks to one node. Clones share its connections.
#[derive(Debug, Clone)]
pub struct Client {
    agent: ureq::Agent,
    url: NodeUrl,
}

type Response = ureq::http::Response<ureq::Body>;

impl Client {
    /// A client; it connects with the first request.
    pub fn new(url: NodeUrl) -> Self {
        let config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .proxy(None)
            .max_redirects(0)
            .no_delay(true)
            .timeout_connect(Some(CONNECT_TIMEOUT))
            .timeout_global(Some(REQUEST_TIMEOUT))
            .max_idle_connections(64)
            .max_idle_connections_per_host(64)
            .user_agent(concat!("qcn/", env!("CARGO_PKG_VERSION")))
            .build();
        Self { agent: config.new_agent(), url }
    }

    /// The node.
    pub fn url(&self) -> &NodeUrl {
        &self.url
    }

    /// Asks for `path`, such as `/v1/status`.
    pub fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        let text = self.get_text(path)?;
        parse(&self.address(path), &text)
    }

    /// Asks for `path`, and again until the deadline where the node has only just started and no
    /// state is certified yet.
    pub fn get_certified<T: DeserializeOwned>(
        &self,
        path: &str,
        deadline: Instant,
    ) -> Result<T, ClientError> {
        loop {
            match self.get(path) {
                Err(error) if error.is_too_early() && Instant::now() < deadline => {
                    std::thread::park_timeout(ASK_AGAIN);
                }
                answer => return answer,
            }
        }
    }

    /// Asks for `path` and gives the answer as it came.
    pub fn get_text(&self, path: &str) -> Result<String, ClientError> {
        let url = self.address(path);
        let answer = self.agent.get(&url).call();
        accepted(&url, answer.map_err(|error| failed(&url, error))?)
    }

    /// Reads an answer that [`Self::get_text`] gave for `path`.
    pub fn parse<T: DeserializeOwned>(&self, path: &str, text: &str) -> Result<T, ClientError> {
        parse(&self.address(path), text)
    }

    /// Hands in one transaction in canonical bytes.
    pub fn submit(&self, transaction: &[u8]) -> Result<Submitted, ClientError> {
        self.post("/v1/transactions", transaction)
    }

    /// Hands in many: the canonical bytes of a bounded sequence. One answer each, in order.
    pub fn submit_batch(&self, transactions: &[u8]) -> Result<SubmittedBatch, ClientError> {
        self.post("/v1/transactions/batch", transactions)
    }

    fn post<T: DeserializeOwned>(&self, path: &str, body: &[u8]) -> Result<T, ClientError> {
        let url = self.address(path);
        let request = self.agent.post(&url).header("Content-Type", "application/octet-stream");
        let answer = request.send(body).map_err(|error| failed(&url, error))?;
        parse(&url, &accepted(&url, answer)?)
    }

    /// Follows the events of a shard, or of the node's first one; `query` chooses them, such as
    /// `topics=checkpoints`.
    pub fn events(
        &self,
        shard: Option<u64>,
        query: &str,
    ) -> Result<Events<BufReader<NamedReader>>, ClientError> {
        let shard = shard.map(|number| format!("/shards/{number}")).unwrap_or_default();
        let url = self.address(&format!("/v1{shard}/events?{query}"));
        let request = self
            .agent
            .get(&url)
            .header("Accept", "text/event-stream")
            .config()
            .timeout_global(None)
            .timeout_recv_response(Some(CONNECT_TIMEOUT))
            .timeout_per_read(Some(EVENTS_SILENCE_MAX))
            .build();
        let answer = request.call().map_err(|error| failed(&url, error))?;
        if !answer.status().is_success() {
            return Err(refused(&url, answer));
        }
        let reader = answer.into_body().into_with_config().limit(u64::MAX).reader();
        Ok(Events::new(BufReader::new(NamedReader { url, reader })))
    }

    fn address(&self, path: &str) -> String {
        format!("{}{path}", self.url)
    }
}

/// The body of a stream, whose errors name where it comes from.
pub struct NamedReader {
    url: String,
    reader: ureq::BodyReader<'static>,
}

impl io::Read for NamedReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.reader
            .read(buffer)
            .map_err(|error| io::Error::other(failed(&self.url, ureq::Error::Io(error))))
    }
}

/// The text of an answer that says yes.
fn accepted(url: &str, mut answer: Response) -> Result<String, ClientError> {
    if !answer.status().is_success() {
        return Err(refused(url, answer));
    }
    let bytes = answer.body_mut().with_config().limit(ANSWER_BYTES_MAX).read_to_vec();
    let bytes = bytes.map_err(|error| broken(url, error))?;
    String::from_utf8(bytes).map_err(|_| ClientError::Garbage {
        url: url.to_owned(),
        found: "bytes that are no UTF-8 text".to_owned(),
    })
}

/// The reason of an answer that says no.
fn refused(url: &str, mut answer: Response) -> ClientError {
    let status = answer.status().as_u16();
    let body = answer.body_mut().with_config().limit(ANSWER_BYTES_MAX).lossy_utf8(true);
    let text = match body.read_to_string() {
        Ok(text) => text,
        Err(error) => return broken(url, error),
    };
    match serde_json::from_str::<responses::RefusedBody>(&text) {
        Ok(body) => ClientError::Refused { url: url.to_owned(), status, refusal: body.error },
        Err(_) => ClientError::Garbage {
            url: url.to_owned(),
            found: format!("status {status} and {}", excerpt(&text)),
        },
    }
}

fn parse<T: DeserializeOwned>(url: &str, text: &str) -> Result<T, ClientError> {
    serde_json::from_str(text).map_err(|error| ClientError::Garbage {
        url: url.to_owned(),
        found: format!("{} ({error})", excerpt(text)),
    })
}

fn excerpt(text: &str) -> String {
    let text = crate::output::harmless(text.trim());
    match text.char_indices().nth(EXCERPT_CHARS) {
        None if text.is_empty() => "nothing".to_owned(),
        None => format!("`{text}`"),
        Some((end, _)) => format!("`{}...`", &text[..end]),
    }
}

/// What an error means that came before the answer's head.
fn failed(url: &str, error: ureq::Error) -> ClientError {
    let url = url.to_owned();
    match error {
        ureq::Error::Timeout(ureq::Timeout::Connect | ureq::Timeout::Resolve) => {
            ClientError::Unreachable { url, cause: "nothing answers".to_owned() }
        }
        ureq::Error::HostNotFound => {
            ClientError::Unreachable { url, cause: "there is no such host".to_owned() }
        }
        ureq::Error::ConnectionFailed => {
            ClientError::Unreachable { url, cause: "no connection".to_owned() }
        }
        ureq::Error::Io(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            ClientError::Unreachable { url, cause: "connection refused".to_owned() }
        }
        error => broken(&url, error),
    }
}

/// What an error means once there was a connection.
fn broken(url: &str, error: ureq::Error) -> ClientError {
    let url = url.to_owned();
    match error {
        ureq::Error::Timeout(_) => ClientError::TimedOut { url },
        ureq::Error::Io(error) if is_timeout(&error) => ClientError::TimedOut { url },
        ureq::Error::Io(error) => ClientError::Broken { url, cause: error.to_string() },
        error => ClientError::Garbage { url, found: error.to_string() },
    }
}

fn is_timeout(error: &io::Error) -> bool {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<ureq::Error>());
    let named = matches!(inner, Some(ureq::Error::Timeout(_)));
    named || matches!(error.kind(), io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock)
}

#[cfg(test)]
mod tests;
