//! What work costs on a processor of power 1, in nanoseconds.
//!
//! The figures were measured on one core of the machine that the project was developed on
//! (x86-64 with AVX2): `qcn crypto bench` measures another one's. A validator of power p pays
//! the p-th part. Constants, not measurements of the host, so that a run is the same
//! everywhere.

use qcn_types::Delivery;

use crate::keys::KeyRing;

/// Making a validator's signature. With ML-DSA that is the mean: drafts are thrown away until one is
/// short enough.
#[must_use]
pub const fn sign_ns(keys: KeyRing) -> u64 {
    match keys {
        KeyRing::Falcon512 => 193_000,
        KeyRing::MlDsa44 => 75_000,
    }
}

/// Checking the signature of a block with its author's key, and finding that key.
#[must_use]
pub const fn verify_block_ns(keys: KeyRing) -> u64 {
    match keys {
        KeyRing::Falcon512 => 13_000,
        KeyRing::MlDsa44 => 24_000,
    }
}

/// Checking the Falcon-512 signature of a transaction: its key has to be decoded first.
pub const VERIFY_TRANSACTION_NS: u64 = 15_000;
/// Taking a message from the transport and into the machine.
pub const MESSAGE_NS: u64 = 5_000;
/// Handing a message to the transport, per copy.
pub const SEND_NS: u64 = 1_000;
/// A timer that fires.
pub const TICK_NS: u64 = 1_000;
/// Writing one entry of the state and its share of the tree.
pub const STATE_UPDATE_NS: u64 = 3_500;
/// Hashing 64 bytes.
pub const HASH_64_BYTES_NS: u64 = 100;

/// Hashing `bytes`.
#[must_use]
pub const fn hash_ns(bytes: u64) -> u64 {
    bytes.div_ceil(64) * HASH_64_BYTES_NS
}

/// Checking what a delivery carries: its certificate, and two hashes over each receipt.
#[must_use]
pub fn delivery_ns(keys: KeyRing, delivery: &Delivery) -> u64 {
    let signatures = delivery.certificate.attestations.len() as u64 * verify_block_ns(keys);
    signatures + delivery.receipts() as u64 * RECEIPT_NS
}

/// Hashing a receipt into its batch: a leaf of 105 bytes and a node above it.
pub const RECEIPT_NS: u64 = 3 * HASH_64_BYTES_NS;

/// The kinds of work that a validator's processor time is told apart by.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Work {
    /// Signing own blocks.
    Sign,
    /// Checking signatures of blocks, transactions and certificates.
    Verify,
    /// Taking and sending messages.
    Messages,
    /// Executing commits.
    Execute,
    /// Hashing what arrives.
    Hash,
}

impl Work {
    /// How many kinds there are.
    pub const COUNT: usize = 5;
    /// All kinds, in order.
    pub const ALL: [Self; Self::COUNT] =
        [Self::Sign, Self::Verify, Self::Messages, Self::Execute, Self::Hash];

    /// A word for tables.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sign => "sign",
            Self::Verify => "verify",
            Self::Messages => "messages",
            Self::Execute => "execute",
            Self::Hash => "hash",
        }
    }
}
