//! The handshake: TLS 1.3 over QUIC with X25519MLKEM768, and raw ML-DSA-65 keys (RFC 7250) on
//! both sides (DESIGN section 4).
//!
//! **Invariants**
//! - no classical-only key exchange and no classical signature is offered or accepted;
//! - chain, role and version stand in the protocol name (ALPN), which the transcript that both
//!   sides sign covers: a handshake for one network is worth nothing on another;
//! - a key outside the validator set, and the own one, is refused before the handshake ends; who
//!   offers the role of a client is refused in the same way unless its key is one that the operator
//!   allows, and neither key opens the other role;
//! - no tickets, no resumption, no early data: every connection is authenticated anew.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, OnceLock, PoisonError, RwLock};

use aws_lc_rs::signature::{ML_DSA_65_SIGNING, PqdsaKeyPair};
use qcn_crypto::{ChainId, PublicKey, Scheme, SigningKey};
use qcn_types::ValidatorIndex;
use quinn::crypto::rustls::{HandshakeData, QuicClientConfig, QuicServerConfig};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{AlwaysResolvesClientRawPublicKeys, Resumption};
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, aws_lc_rs as provider};
use rustls::pki_types::{
    CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName, SubjectPublicKeyInfoDer,
    UnixTime,
};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, SignatureScheme, version,
};

use super::client_key::ClientKey;
use super::counters::{Count, Counting};
use super::shared::lock;
use super::{KnownValidator, TransportError};

/// What stands before the 1,952 bytes of a raw ML-DSA-65 key in its SubjectPublicKeyInfo: the
/// lengths and the algorithm's object identifier 2.16.840.1.101.3.4.3.18.
const SPKI_PREFIX: [u8; 22] = [
    0x30, 0x82, 0x07, 0xb2, 0x30, 0x0b, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x03,
    0x12, 0x03, 0x82, 0x07, 0xa1, 0x00,
];

/// A name for the client's interface only: it is not sent.
pub(super) const SERVER_NAME: &str = "validator.invalid";

/// As what the side that dials comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PeerRole {
    /// As a validator, for the mesh.
    Validator,
    /// As a client that may reach the API.
    Client,
}

impl PeerRole {
    /// Both, in the order in which the accepting side prefers them.
    const ALL: [Self; 2] = [Self::Validator, Self::Client];

    const fn name(self) -> &'static str {
        match self {
            Self::Validator => "validator",
            Self::Client => "client",
        }
    }
}

/// The protocol name: version, role and chain.
pub(super) fn protocol_name(chain: ChainId, role: PeerRole) -> Vec<u8> {
    format!("qcn/3/{}/{chain}", role.name()).into_bytes()
}

/// A public key as TLS shows it.
pub(super) fn spki(key: &PublicKey) -> Vec<u8> {
    [&SPKI_PREFIX[..], key.as_bytes()].concat()
}

/// The key in what TLS shows, if it is ML-DSA-65.
fn shown_key(spki: &[u8]) -> Option<PublicKey> {
    PublicKey::new(Scheme::MlDsa65, spki.strip_prefix(&SPKI_PREFIX)?).ok()
}

/// What the other end of a connection has shown, once the handshake has ended.
fn shown(connection: &quinn::Connection) -> Option<CertificateDer<'static>> {
    let identity = connection.peer_identity()?;
    identity.downcast::<Vec<CertificateDer<'static>>>().ok()?.into_iter().next()
}

/// Whose keys are accepted.
#[derive(Debug)]
pub(super) struct KeySet {
    /// None on the side of a client.
    own: Option<ValidatorIndex>,
    by_spki: RwLock<BTreeMap<Vec<u8>, ValidatorIndex>>,
    clients: BTreeSet<ClientKey>,
}

impl KeySet {
    /// The keys of all validators, the own one among them, each once; and those of clients.
    pub(super) fn new(
        own: Option<ValidatorIndex>,
        validators: &[KnownValidator],
        clients: &[ClientKey],
    ) -> Result<Self, TransportError> {
        let mut by_spki = BTreeMap::new();
        for validator in validators {
            let scheme = validator.key.scheme();
            if scheme != Scheme::MlDsa65 {
                return Err(TransportError::Scheme { validator: validator.index, scheme });
            }
            if let Some(first) = by_spki.insert(spki(&validator.key), validator.index) {
                return Err(TransportError::SharedKey { first, second: validator.index });
            }
        }
        let by_spki = RwLock::new(by_spki);
        Ok(Self { own, by_spki, clients: clients.iter().copied().collect() })
    }

    /// From now on these keys count, and no others. A validator may have several.
    pub(super) fn replace(&self, keys: impl Iterator<Item = (ValidatorIndex, PublicKey)>) {
        let keys = keys.map(|(validator, key)| (spki(&key), validator)).collect();
        *self.by_spki.write().unwrap_or_else(PoisonError::into_inner) = keys;
    }

    /// Whose key this is.
    fn owner(&self, spki: &[u8]) -> Option<ValidatorIndex> {
        self.by_spki.read().unwrap_or_else(PoisonError::into_inner).get(spki).copied()
    }

    /// Which allowed client has this key.
    fn client(&self, spki: &[u8]) -> Option<ClientKey> {
        let key = ClientKey::of(&shown_key(spki)?);
        self.clients.contains(&key).then_some(key)
    }

    /// The validator at the other end of a connection whose handshake has ended.
    pub(super) fn peer_of(&self, connection: &quinn::Connection) -> Option<ValidatorIndex> {
        self.owner(&shown(connection)?).filter(|peer| Some(*peer) != self.own)
    }

    /// The client at the other end of a connection whose handshake has ended.
    pub(super) fn client_of(&self, connection: &quinn::Connection) -> Option<ClientKey> {
        self.client(&shown(connection)?)
    }
}

/// The algorithms of every handshake.
pub(super) fn post_quantum_provider() -> CryptoProvider {
    let mut provider = provider::default_provider();
    provider.kx_groups = vec![provider::kx_group::X25519MLKEM768];
    provider.cipher_suites.retain(|suite| suite.tls13().is_some());
    provider
}

/// Makes the TLS side of connections.
pub(super) struct Handshakes {
    provider: Arc<CryptoProvider>,
    identity: Mutex<Arc<CertifiedKey>>,
    chain: ChainId,
    keys: Arc<KeySet>,
    counting: Arc<Counting>,
}

/// What a dial needs, and what it may find out.
pub(super) struct ClientSide {
    pub(super) config: QuicClientConfig,
    /// Set if the key at the other end was refused.
    pub(super) refused: Arc<OnceLock<Refused>>,
}

/// Why the key at the other end of a dial was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Refused {
    /// Under which name it was counted.
    pub(super) count: Count,
    /// Whose key it is, if it is that of a validator.
    pub(super) owner: Option<ValidatorIndex>,
}

impl Handshakes {
    pub(super) fn new(
        chain: ChainId,
        key: &SigningKey,
        keys: Arc<KeySet>,
        counting: Arc<Counting>,
    ) -> Result<Self, TransportError> {
        let provider = Arc::new(post_quantum_provider());
        let identity = Mutex::new(Arc::new(identity(key)?));
        Ok(Self { provider, identity, chain, keys, counting })
    }

    /// Shows another own key from now on.
    pub(super) fn show(&self, key: &SigningKey) -> Result<(), TransportError> {
        *lock(&self.identity) = Arc::new(identity(key)?);
        Ok(())
    }

    /// For one incoming connection, whose key is judged by the role that it comes in.
    pub(super) fn server(&self) -> Result<QuicServerConfig, TransportError> {
        let verifier = self.verifier(None, None);
        let protocols = PeerRole::ALL.map(|role| protocol_name(self.chain, role));
        let resolver = RoleNoted {
            identity: lock(&self.identity).clone(),
            protocols: protocols.clone(),
            role: verifier.role.clone(),
        };
        let mut config = rustls::ServerConfig::builder_with_provider(self.provider.clone())
            .with_protocol_versions(&[&version::TLS13])?
            .with_client_cert_verifier(Arc::new(verifier))
            .with_cert_resolver(Arc::new(resolver));
        config.alpn_protocols = protocols.to_vec();
        config.send_tls13_tickets = 0;
        QuicServerConfig::try_from(config).map_err(|_| TransportError::InitialSuite)
    }

    /// For one dial, to a certain validator or to whichever answers, in a role of one's own.
    pub(super) fn client(
        &self,
        own_role: PeerRole,
        expected: Option<ValidatorIndex>,
    ) -> Result<ClientSide, TransportError> {
        // Only validators are dialled.
        let verifier = self.verifier(Some(PeerRole::Validator), expected);
        let refused = verifier.refused.clone();
        let resolver = AlwaysResolvesClientRawPublicKeys::new(lock(&self.identity).clone());
        let mut config = rustls::ClientConfig::builder_with_provider(self.provider.clone())
            .with_protocol_versions(&[&version::TLS13])?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier))
            .with_client_cert_resolver(Arc::new(resolver));
        config.alpn_protocols = vec![protocol_name(self.chain, own_role)];
        config.enable_sni = false;
        config.resumption = Resumption::disabled();
        let config =
            QuicClientConfig::try_from(config).map_err(|_| TransportError::InitialSuite)?;
        Ok(ClientSide { config, refused })
    }

    fn verifier(&self, role: Option<PeerRole>, expected: Option<ValidatorIndex>) -> Verifier {
        Verifier {
            keys: self.keys.clone(),
            role: Arc::new(Mutex::new(role)),
            expected,
            algorithms: self.provider.signature_verification_algorithms,
            counting: self.counting.clone(),
            refused: Arc::default(),
        }
    }

    /// The role in which an accepted connection came, by the protocol that both sides signed.
    pub(super) fn role_of(&self, connection: &quinn::Connection) -> Option<PeerRole> {
        let agreed = connection.handshake_data()?.downcast::<HandshakeData>().ok()?.protocol?;
        PeerRole::ALL.into_iter().find(|role| protocol_name(self.chain, *role) == agreed)
    }
}

/// Shows the own key, and notes in which role the other end comes, for whoever judges its key.
#[derive(Debug)]
struct RoleNoted {
    identity: Arc<CertifiedKey>,
    /// In the order of [`PeerRole::ALL`].
    protocols: [Vec<u8>; 2],
    role: Arc<Mutex<Option<PeerRole>>>,
}

impl ResolvesServerCert for RoleNoted {
    fn resolve(&self, hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        let offered: Vec<&[u8]> = hello.alpn().into_iter().flatten().collect();
        // As the protocol is agreed on: the first of the own ones that is offered.
        let mut both = PeerRole::ALL.into_iter().zip(&self.protocols);
        let agreed = both.find(|(_, protocol)| offered.contains(&protocol.as_slice()));
        // Of two hellos in one handshake the last one counts, also for the protocol.
        *lock(&self.role) = agreed.map(|(role, _)| role);
        Some(self.identity.clone())
    }

    fn only_raw_public_keys(&self) -> bool {
        true
    }
}

/// The own key for TLS.
pub(super) fn identity(key: &SigningKey) -> Result<CertifiedKey, TransportError> {
    let pair = PqdsaKeyPair::from_seed(&ML_DSA_65_SIGNING, key.expose_seed())
        .map_err(|_| TransportError::OwnKeyUnusable)?;
    let encoded = pair.to_pkcs8v1().map_err(|_| TransportError::OwnKeyUnusable)?;
    let private = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(encoded.as_ref()));
    let signer = provider::sign::any_supported_type(&private)?;
    let shown = signer.public_key().ok_or(TransportError::OwnKeyUnusable)?;
    // Both libraries must make the same key of the seed, or nobody would know this validator.
    if shown.as_ref() != spki(key.public_key()).as_slice() {
        return Err(TransportError::OwnKeyUnusable);
    }
    Ok(CertifiedKey::new(vec![CertificateDer::from(shown.to_vec())], signer))
}

/// Judges the key that the other end shows, and that it holds it.
#[derive(Debug)]
struct Verifier {
    keys: Arc<KeySet>,
    /// In which role the other end comes. For an incoming connection its hello says so, before
    /// any key is shown.
    role: Arc<Mutex<Option<PeerRole>>>,
    /// Whom the own dial was meant for.
    expected: Option<ValidatorIndex>,
    algorithms: WebPkiSupportedAlgorithms,
    counting: Arc<Counting>,
    refused: Arc<OnceLock<Refused>>,
}

impl Verifier {
    fn judge(&self, shown: &[u8], others: &[CertificateDer<'_>]) -> Result<(), Error> {
        let role = *lock(&self.role);
        let owner = self.keys.owner(shown).filter(|_| others.is_empty());
        let is_client = others.is_empty() && self.keys.client(shown).is_some();
        let count = match (role, owner) {
            (_, Some(owner)) if Some(owner) == self.keys.own => Count::OwnKey,
            (Some(PeerRole::Client), _) if is_client => return Ok(()),
            (Some(PeerRole::Client), _) => Count::UnknownClient,
            (None, _) | (_, None) => Count::UnknownKey,
            (_, Some(owner)) if self.expected.is_some_and(|expected| expected != owner) => {
                Count::UnexpectedKey
            }
            (Some(PeerRole::Validator), Some(_)) => return Ok(()),
        };
        // Nothing else is judged in this handshake.
        let _ = self.refused.set(Refused { count, owner });
        self.counting.one(count);
        Err(CertificateError::ApplicationVerificationFailure.into())
    }

    fn judge_signature(
        &self,
        message: &[u8],
        shown: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let judged = if signed.scheme == SignatureScheme::ML_DSA_65 {
            rustls::crypto::verify_tls13_signature_with_raw_key(
                message,
                &SubjectPublicKeyInfoDer::from(shown.as_ref()),
                signed,
                &self.algorithms,
            )
        } else {
            Err(CertificateError::BadSignature.into())
        };
        judged.inspect_err(|_| self.counting.one(Count::WrongSignature))
    }
}

const ONLY_TLS13: &str = "only TLS 1.3 is offered";

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        shown: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.judge(shown, others).map(|()| ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _shown: &CertificateDer<'_>,
        _signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::General(ONLY_TLS13.into()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        shown: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.judge_signature(message, shown, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ML_DSA_65]
    }

    fn requires_raw_public_keys(&self) -> bool {
        true
    }
}

impl ClientCertVerifier for Verifier {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        shown: &CertificateDer<'_>,
        others: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        self.judge(shown, others).map(|()| ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _shown: &CertificateDer<'_>,
        _signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::General(ONLY_TLS13.into()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        shown: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.judge_signature(message, shown, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ML_DSA_65]
    }

    fn requires_raw_public_keys(&self) -> bool {
        true
    }
}
