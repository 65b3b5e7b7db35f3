//! A bare QUIC client that can be made to lie.

use std::net::SocketAddr;
use std::sync::Arc;

use aws_lc_rs::signature::Ed25519KeyPair;
use bytes::Bytes;
use qcn_crypto::{ChainId, SigningKey};
use qcn_types::ValidatorIndex;
use quinn::crypto::rustls::QuicClientConfig;
use quinn::{ClientConfig, Connection, ConnectionError, Endpoint, SendStream};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{AlwaysResolvesClientRawPublicKeys, ResolvesClientCert};
use rustls::crypto::{CryptoProvider, aws_lc_rs as provider};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName, UnixTime};
use rustls::sign::CertifiedKey;
use rustls::{DigitallySignedStruct, Error, SignatureScheme, version};
use tokio::time::timeout;

use super::super::Class;
use super::super::tls::{PeerRole, SERVER_NAME, identity, post_quantum_provider, protocol_name};
use super::super::wire::{Control, Fault, FrameReader, StreamKind, open, write_control};
use super::support::{CHAIN, PATIENCE, anywhere, key};

/// What the client shows and offers.
pub(super) struct Stranger {
    pub(super) provider: CryptoProvider,
    pub(super) identity: Option<CertifiedKey>,
    pub(super) protocol: Vec<u8>,
}

impl Stranger {
    /// One that does as the holder of `key` on `chain` would.
    pub(super) fn new(chain: ChainId, key: &SigningKey) -> Self {
        let identity = Some(identity(key).unwrap());
        let protocol = protocol_name(chain, PeerRole::Validator);
        Self { provider: post_quantum_provider(), identity, protocol }
    }

    /// One that comes as a client, with the key of that number.
    pub(super) fn client(index: u16) -> Self {
        let protocol = protocol_name(CHAIN, PeerRole::Client);
        Self { protocol, ..Self::validator(index) }
    }

    /// One that does as validator `index` would.
    pub(super) fn validator(index: u16) -> Self {
        Self::new(CHAIN, &key(index))
    }

    /// Opens a connection to `address`.
    pub(super) async fn dial(self, address: SocketAddr) -> Result<Connection, ConnectionError> {
        let endpoint = Endpoint::client(anywhere()).unwrap();
        timeout(PATIENCE, endpoint.connect_with(self.config(), address, SERVER_NAME).unwrap())
            .await
            .expect("an answer in time")
    }

    /// Opens a connection, and waits until the other side has judged it.
    pub(super) async fn finds_closed(self, address: SocketAddr) -> bool {
        match self.dial(address).await {
            Ok(connection) => timeout(PATIENCE, connection.closed()).await.is_ok(),
            Err(_) => true,
        }
    }

    pub(super) fn config(self) -> ClientConfig {
        let builder = rustls::ClientConfig::builder_with_provider(Arc::new(self.provider))
            .with_protocol_versions(&[&version::TLS13])
            .unwrap()
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(AnyServer));
        let mut config = match self.identity {
            Some(identity) => builder.with_client_cert_resolver(Arc::new(
                AlwaysResolvesClientRawPublicKeys::new(Arc::new(identity)),
            )),
            None => builder.with_client_cert_resolver(Arc::new(NoKey)),
        };
        config.alpn_protocols = vec![self.protocol];
        config.enable_sni = false;
        ClientConfig::new(Arc::new(QuicClientConfig::try_from(config).unwrap()))
    }
}

/// An Ed25519 key, as TLS takes it.
pub(super) fn classical_identity() -> CertifiedKey {
    let pkcs8 = Ed25519KeyPair::generate().unwrap().to_pkcs8().unwrap();
    let private = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(pkcs8.as_ref()));
    let signer = provider::sign::any_supported_type(&private).unwrap();
    let shown = CertificateDer::from(signer.public_key().unwrap().to_vec());
    CertifiedKey::new(vec![shown], signer)
}

/// A validator's connection that came up, and is then used in ways that no validator has.
pub(super) struct Rogue {
    pub(super) connection: Connection,
    pub(super) control_out: SendStream,
    /// Kept open.
    _control_in: FrameReader,
    /// How the other side named the connection.
    pub(super) id: u64,
}

impl Rogue {
    /// Connects as validator `own` to a validator of a lower index.
    pub(super) async fn connect(own: u16, address: SocketAddr) -> Self {
        Self::say_hello(own, address, 1, 0).await.expect("a welcome")
    }

    /// Connects as a run of validator `own` that lost a certain connection.
    pub(super) async fn say_hello(
        own: u16,
        address: SocketAddr,
        incarnation: u64,
        lost: u64,
    ) -> Result<Self, Fault> {
        let connection = Stranger::validator(own).dial(address).await.map_err(|_| Fault::Gone)?;
        let mut control_out = open(&connection, StreamKind::Control).await?;
        let hello = Control::Hello { incarnation, lost, record: None };
        write_control(&mut control_out, &hello).await?;
        let stream = connection.accept_uni().await.map_err(|_| Fault::Gone)?;
        let (_, mut control_in) = FrameReader::accept(stream, PATIENCE).await?;
        match control_in.control().await? {
            Control::Welcome { connection: id, .. } => {
                Ok(Self { connection, control_out, _control_in: control_in, id })
            }
            other => panic!("not a welcome: {other:?}"),
        }
    }

    pub(super) async fn frames(&self, class: Class) -> SendStream {
        open(&self.connection, StreamKind::Frames(class)).await.unwrap()
    }

    /// The code with which the other side closed the connection.
    pub(super) async fn close_code(&self) -> u64 {
        match timeout(PATIENCE, self.connection.closed()).await.expect("closed in time") {
            ConnectionError::ApplicationClosed(close) => close.error_code.into_inner(),
            other => panic!("not closed by the other side: {other}"),
        }
    }
}

/// A frame with its length before it.
pub(super) fn framed(frame: &[u8]) -> Bytes {
    let length = u32::try_from(frame.len()).unwrap();
    [&length.to_be_bytes()[..], frame].concat().into()
}

/// The index of a validator, for brevity.
pub(super) const fn v(index: u16) -> ValidatorIndex {
    ValidatorIndex(index)
}

/// Could show a raw key, and has none.
#[derive(Debug)]
struct NoKey;

impl ResolvesClientCert for NoKey {
    fn resolve(&self, _hints: &[&[u8]], _schemes: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        None
    }

    fn only_raw_public_keys(&self) -> bool {
        true
    }

    fn has_certs(&self) -> bool {
        true
    }
}

#[derive(Debug)]
struct AnyServer;

impl ServerCertVerifier for AnyServer {
    fn verify_server_cert(
        &self,
        _shown: &CertificateDer<'_>,
        _others: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _shown: &CertificateDer<'_>,
        _signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _message: &[u8],
        _shown: &CertificateDer<'_>,
        _signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ML_DSA_65, SignatureScheme::ED25519]
    }

    fn requires_raw_public_keys(&self) -> bool {
        true
    }
}
