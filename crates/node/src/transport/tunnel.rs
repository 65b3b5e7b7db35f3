//! The client's end: a link to one validator, shown to be one of the genesis, whose streams carry
//! connections to its API.
//!
//! **Invariants**
//! - nothing is sent to whoever has not shown a validator's key for this chain;
//! - a link counts as up once the validator has judged the own key, and not before;
//! - whatever keeps a link from coming up is said with its remedy.

mod forward;

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use qcn_crypto::{ChainId, SigningKey};
use qcn_types::ValidatorIndex;
use quinn::{
    ClientConfig, ConnectError, Connection, ConnectionError, Endpoint, RecvStream, SendStream,
    TransportConfig as QuicConfig,
};
use tokio::io::Join;
use tokio::net::lookup_host;
use tokio::sync::watch;
use tokio::time::timeout;

use super::accept::alert;
use super::client_key::ClientKey;
use super::counters::{Count, Counting};
use super::limits::Limits;
use super::shared::lock;
use super::tls::{Handshakes, KeySet, PeerRole, Refused, SERVER_NAME};
use super::wire::CloseCode;
use super::{CLOSE_TIMEOUT, KnownValidator, TransportError, quic_config};

/// Which network addresses of one name are tried at most.
const MAX_ADDRESSES_PER_NAME: usize = 4;

/// Streams that the validator may open: it opens none.
const NO_STREAMS: u32 = 0;

/// What a tunnel is made from.
pub struct TunnelConfig {
    /// The network.
    pub chain: ChainId,
    /// The client's transport key, ML-DSA-65.
    pub key: SigningKey,
    /// The validators of the genesis, one of which has to be at the other end.
    pub validators: Vec<KnownValidator>,
    /// Which one it has to be, if not any.
    pub expected: Option<ValidatorIndex>,
    /// `host:port` of the validator, as other validators reach it.
    pub to: String,
}

/// Keeps a link to one validator.
pub struct Tunnel {
    chain: ChainId,
    client: ClientKey,
    names: BTreeMap<ValidatorIndex, String>,
    expected: Option<ValidatorIndex>,
    to: String,
    limits: Limits,
    keys: Arc<KeySet>,
    handshakes: Handshakes,
    quic: Arc<QuicConfig>,
    /// The link that stands.
    link: watch::Sender<Option<Arc<Link>>>,
}

/// What happens to a tunnel while it runs.
#[derive(Debug)]
pub enum TunnelEvent {
    /// A link stands.
    Up {
        /// The validator's name.
        validator: String,
        /// Where it was reached.
        address: SocketAddr,
    },
    /// The link broke; another one is tried.
    Down {
        /// What the system says.
        reason: String,
    },
    /// A try failed; the next one comes after a while.
    Failed {
        /// Why.
        error: TunnelError,
        /// After how long it is tried again.
        again_in: Duration,
    },
}

/// Why there is no link.
#[derive(Debug, thiserror::Error)]
pub enum TunnelError {
    /// The key or the validators cannot be used.
    #[error(transparent)]
    Unusable(#[from] TransportError),
    /// The name has no address.
    #[error("{to} cannot be found ({reason}); check the host's name in --to")]
    NotFound {
        /// `host:port`.
        to: String,
        /// What the system says.
        reason: String,
    },
    /// Nothing came back.
    #[error(
        "nobody answers at {to}: check that the node runs, that this is the UDP port of `listen` \
         under [network] in its node.toml, and that no firewall is in between"
    )]
    Nobody {
        /// `host:port`.
        to: String,
    },
    /// The protocol's name has another chain, or nobody there knows clients.
    #[error(
        "{to} is a node of another network, or of a version that lets no clients in; the chain id \
         here is {chain}: check --to and --genesis"
    )]
    OtherNetwork {
        /// `host:port`.
        to: String,
        /// The chain of the genesis.
        chain: ChainId,
    },
    /// Its key is not in the genesis.
    #[error("{to} shows a key that no validator of the genesis has: check --to and --genesis")]
    NoValidator {
        /// `host:port`.
        to: String,
    },
    /// Another validator is there.
    #[error("{to} is validator {found}, not {expected}: check --to and --validator")]
    OtherValidator {
        /// `host:port`.
        to: String,
        /// Who is there.
        found: String,
        /// Who should be.
        expected: String,
    },
    /// The own key is not listed there.
    #[error(
        "{to} does not let the key {client} in: its operator has to add \"{client}\" to `clients` \
         under [network] in its node.toml, and to restart the node"
    )]
    NotAllowed {
        /// `host:port`.
        to: String,
        /// The own key.
        client: ClientKey,
    },
    /// It has as many connections as it may.
    #[error(
        "{to} has as many connections of clients as it may, in all or with the key {client}: end \
         another `qcn tunnel`, or try again later"
    )]
    TooMany {
        /// `host:port`.
        to: String,
        /// The own key.
        client: ClientKey,
    },
    /// Anything else.
    #[error("the link to {to} failed: {reason}; try again, or see the log of the node")]
    Broken {
        /// `host:port`.
        to: String,
        /// What the system says.
        reason: String,
    },
}

/// A stream in both directions.
type Stream = Join<RecvStream, SendStream>;

/// A connection that the validator has let in.
struct Link {
    endpoint: Endpoint,
    connection: Connection,
    validator: ValidatorIndex,
    /// The stream whose opening showed that the key was accepted, until somebody uses it.
    first: Mutex<Option<Stream>>,
}

impl Tunnel {
    /// Checks keys and validators, and connects to nobody.
    ///
    /// # Errors
    /// [`TransportError`] if the keys cannot be used.
    pub fn new(config: TunnelConfig) -> Result<Self, TransportError> {
        let limits = Limits::default();
        let keys = Arc::new(KeySet::new(None, &config.validators, &[])?);
        let counting = Arc::new(Counting::new());
        let handshakes = Handshakes::new(config.chain, &config.key, keys.clone(), counting)?;
        let mut quic = quic_config(&limits)?;
        quic.max_concurrent_uni_streams(NO_STREAMS.into());
        let named = |known: KnownValidator| (known.index, known.name);
        Ok(Self {
            chain: config.chain,
            client: ClientKey::of(config.key.public_key()),
            names: config.validators.into_iter().map(named).collect(),
            expected: config.expected,
            to: config.to,
            limits,
            keys,
            handshakes,
            quic: Arc::new(quic),
            link: watch::Sender::new(None),
        })
    }

    /// Ends the link, so that the validator need not wait for a timeout.
    pub async fn close(&self) {
        let Some(link) = self.link.send_replace(None) else { return };
        link.endpoint.close((CloseCode::Stopping as u32).into(), b"");
        // Whoever is not told in time notices by itself.
        let _ = timeout(CLOSE_TIMEOUT, link.endpoint.wait_idle()).await;
    }

    async fn dial(&self) -> Result<Link, TunnelError> {
        let not_found = |reason: String| TunnelError::NotFound { to: self.to.clone(), reason };
        let found = timeout(self.limits.handshake_timeout, lookup_host(&self.to)).await;
        let found = found.map_err(|_| not_found("no answer in time".to_owned()))?;
        let found = found.map_err(|error| not_found(error.to_string()))?;
        let mut outcome = not_found("the name has no address".to_owned());
        for address in found.take(MAX_ADDRESSES_PER_NAME) {
            match self.dial_one(address).await {
                // There may be somebody at another one.
                Err(error @ (TunnelError::Nobody { .. } | TunnelError::Broken { .. })) => {
                    outcome = error;
                }
                done => return done,
            }
        }
        Err(outcome)
    }

    async fn dial_one(&self, address: SocketAddr) -> Result<Link, TunnelError> {
        let side = self.handshakes.client(PeerRole::Client, self.expected)?;
        let mut config = ClientConfig::new(Arc::new(side.config));
        config.transport_config(self.quic.clone());
        let any: IpAddr = match address {
            SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        let endpoint =
            Endpoint::client((any, 0).into()).map_err(|error| self.broken(error.to_string()))?;
        let connecting = endpoint
            .connect_with(config, address, SERVER_NAME)
            .map_err(|error: ConnectError| self.broken(error.to_string()))?;
        let come_up = async {
            let connection = connecting.await?;
            // The own handshake ends before the validator has judged the key. It grants streams
            // once it has.
            let (sending, receiving) = connection.open_bi().await?;
            Ok((connection, tokio::io::join(receiving, sending)))
        };
        let (connection, first) = match timeout(self.limits.handshake_timeout, come_up).await {
            Ok(Ok(up)) => up,
            Ok(Err(error)) => return Err(self.reason(&error, side.refused.get())),
            Err(_) => return Err(TunnelError::Nobody { to: self.to.clone() }),
        };
        let Some(validator) = self.keys.peer_of(&connection) else {
            return Err(TunnelError::NoValidator { to: self.to.clone() });
        };
        Ok(Link { endpoint, connection, validator, first: Mutex::new(Some(first)) })
    }

    /// What the end of a connection means that did not come up.
    fn reason(&self, error: &ConnectionError, refused: Option<&Refused>) -> TunnelError {
        let (to, client) = (self.to.clone(), self.client);
        if let Some(refused) = refused {
            return match (refused.count, refused.owner, self.expected) {
                (Count::UnexpectedKey, Some(found), Some(expected)) => {
                    let (found, expected) = (self.name(found), self.name(expected));
                    TunnelError::OtherValidator { to, found, expected }
                }
                _ => TunnelError::NoValidator { to },
            };
        }
        let too_many = u64::from(CloseCode::TooMany as u32);
        match error {
            ConnectionError::TimedOut => TunnelError::Nobody { to },
            ConnectionError::ConnectionClosed(close) => match u64::from(close.error_code) {
                alert::ACCESS_DENIED => TunnelError::NotAllowed { to, client },
                alert::NO_APPLICATION_PROTOCOL => {
                    TunnelError::OtherNetwork { to, chain: self.chain }
                }
                _ => self.broken(error.to_string()),
            },
            ConnectionError::ApplicationClosed(close)
                if close.error_code.into_inner() == too_many =>
            {
                TunnelError::TooMany { to, client }
            }
            _ => self.broken(error.to_string()),
        }
    }

    fn broken(&self, reason: String) -> TunnelError {
        TunnelError::Broken { to: self.to.clone(), reason }
    }

    fn name(&self, validator: ValidatorIndex) -> String {
        self.names.get(&validator).cloned().unwrap_or_else(|| validator.to_string())
    }
}

impl Link {
    /// Opens a stream, as soon as the validator allows another one.
    async fn open(&self) -> Result<Stream, ConnectionError> {
        if let Some(first) = lock(&self.first).take() {
            return Ok(first);
        }
        let (sending, receiving) = self.connection.open_bi().await?;
        Ok(tokio::io::join(receiving, sending))
    }
}
