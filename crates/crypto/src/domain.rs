//! Domain-separated hashing: every digest says what it was made for.
//!
//! BLAKE3 is the hash of the hot path. A domain becomes a 32-byte key once per
//! process (BLAKE3's key derivation over the domain's name), and every digest
//! is BLAKE3 keyed with it. Running the derivation for every digest would
//! double the cost of a 64-byte input. SHA-256 and SHA3-256 stand beside it
//! for those who ask for a NIST hash; they see the domain as a length-prefixed
//! string in front of the input.

use std::sync::LazyLock;

use sha2::Digest as _;

use crate::Digest;

macro_rules! domains {
    ($($(#[$doc:meta])+ $variant:ident => $name:literal,)+) => {
        /// What a hashed or signed byte string is for.
        ///
        /// Each domain has one fixed name. The names are part of every
        /// network's format: changing one is a fork.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum Domain {
            $($(#[$doc])+ $variant,)+
        }

        impl Domain {
            /// Every domain, in the order of declaration.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];

            /// The domain's name: unique ASCII, and no name begins another.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => concat!("qcn/v1/", $name),)+
                }
            }
        }
    };
}

domains! {
    /// The digest that a block's author signs, over its two parts.
    Block => "block",
    /// The DAG part of a block: position, parents, payload.
    BlockDag => "dag-part-of-block",
    /// The attestations inside a block.
    BlockAttestations => "attestations-of-block",
    /// A transaction, which its sender signs.
    Transaction => "transaction",
    /// A checkpoint, which validators attest to.
    Checkpoint => "checkpoint",
    /// A leaf of a Merkle tree.
    MerkleLeaf => "merkle-leaf",
    /// An inner node of a Merkle tree.
    MerkleNode => "merkle-node",
    /// The root of a Merkle tree, which binds the number of leaves.
    MerkleRoot => "merkle-root",
    /// A leaf of the authenticated state.
    StateLeaf => "state-leaf",
    /// An inner node of the authenticated state.
    StateNode => "state-node",
    /// An account's address, from its scheme and key.
    Address => "address",
    /// A proof of misbehaviour.
    Evidence => "evidence",
    /// The statement that the holder of a key registers it.
    PossessionProof => "possession-proof",
    /// The draw of leaders from the epoch's seed.
    LeaderSchedule => "leader-schedule",
    /// An effect that one shard sends to another.
    Receipt => "receipt",
    /// The contents that a block carries.
    Payload => "payload",
    /// Anything that exists in a simulation only.
    Simulation => "simulation",
    /// The committee of a shard in an epoch.
    Committee => "committee",
    /// The genesis of a network, whose digest is the chain id.
    Genesis => "genesis",
    /// A validator's network address, signed by it.
    PeerRecord => "peer-record",
    /// The short name of a public key.
    PublicKey => "public-key",
    /// The change of an account's or a validator's key.
    KeyRotation => "key-rotation",
    /// Bytes of an application that are anchored or stored.
    Document => "document",
    /// A commitment that is opened later.
    Commitment => "commitment",
    /// The epoch's randomness and what is drawn from it.
    Beacon => "beacon",
    /// What a validator tells one that lost its disk.
    Recovery => "recovery",
    /// The trace of a run, by which two runs are compared.
    Trace => "trace",
    /// The draw of the shards' committees from the epoch's seed.
    SeatDraw => "seat-draw",
    /// Who serves which shard in an epoch.
    EpochPlan => "plan-of-epoch",
}

/// One BLAKE3 key per domain, in the order of [`Domain::ALL`].
static DOMAIN_KEYS: LazyLock<Vec<[u8; 32]>> = LazyLock::new(|| {
    Domain::ALL.iter().map(|domain| blake3::derive_key(domain.name(), &[])).collect()
});

fn domain_key(domain: Domain) -> &'static [u8; 32] {
    &DOMAIN_KEYS[domain as usize]
}

/// Hashes a byte string that arrives in parts.
///
/// The parts are simply joined: whoever hashes several fields encodes them so
/// that their borders are clear.
#[derive(Clone)]
pub struct Hasher(blake3::Hasher);

impl Hasher {
    /// Starts a digest in `domain`.
    pub fn new(domain: Domain) -> Self {
        Self(blake3::Hasher::new_keyed(domain_key(domain)))
    }

    /// Appends `bytes`.
    pub fn update(&mut self, bytes: &[u8]) -> &mut Self {
        self.0.update(bytes);
        self
    }

    /// The digest of everything so far.
    pub fn finalize(&self) -> Digest {
        Digest(*self.0.finalize().as_bytes())
    }
}

/// So that a value can be encoded straight into its digest.
impl std::io::Write for Hasher {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// The BLAKE3 digest of `bytes` in `domain`.
pub fn hash(domain: Domain, bytes: &[u8]) -> Digest {
    Digest(*blake3::keyed_hash(domain_key(domain), bytes).as_bytes())
}

/// The digest of two digests, in order: the inner node of a tree.
pub fn hash_pair(domain: Domain, left: &Digest, right: &Digest) -> Digest {
    let mut pair = [0; 64];
    pair[..32].copy_from_slice(&left.0);
    pair[32..].copy_from_slice(&right.0);
    hash(domain, &pair)
}

/// Plain SHA-256 (FIPS 180-4), without a domain.
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    sha2::Sha256::digest(bytes).into()
}

/// Plain SHA3-256 (FIPS 202), without a domain.
pub fn sha3_256(bytes: &[u8]) -> [u8; 32] {
    sha3::Sha3_256::digest(bytes).into()
}

/// A 256-bit hash function.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HashAlgorithm {
    /// BLAKE3, as the ledger uses it: [`hash`].
    Blake3,
    /// SHA-256 of FIPS 180-4.
    Sha256,
    /// SHA3-256 of FIPS 202.
    Sha3_256,
}

impl HashAlgorithm {
    /// Every algorithm.
    pub const ALL: [Self; 3] = [Self::Blake3, Self::Sha256, Self::Sha3_256];

    /// The algorithm's usual name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Blake3 => "blake3",
            Self::Sha256 => "sha-256",
            Self::Sha3_256 => "sha3-256",
        }
    }
}

/// The digest of `bytes` in `domain` under a chosen algorithm.
///
/// The two NIST hashes are given `length of the name (1 byte) || name || bytes`.
pub fn domain_hash_with(algorithm: HashAlgorithm, domain: Domain, bytes: &[u8]) -> Digest {
    match algorithm {
        HashAlgorithm::Blake3 => hash(domain, bytes),
        HashAlgorithm::Sha256 => Digest(prefixed::<sha2::Sha256>(domain, bytes).into()),
        HashAlgorithm::Sha3_256 => Digest(prefixed::<sha3::Sha3_256>(domain, bytes).into()),
    }
}

fn prefixed<H: sha2::Digest>(domain: Domain, bytes: &[u8]) -> sha2::digest::Output<H> {
    let mut hasher = H::new();
    hasher.update([name_length(domain)]);
    hasher.update(domain.name());
    hasher.update(bytes);
    hasher.finalize()
}

/// The length of a domain's name, which always fits one byte.
pub(crate) fn name_length(domain: Domain) -> u8 {
    u8::try_from(domain.name().len()).expect("domain names are shorter than 256 bytes")
}

#[cfg(test)]
mod tests;
