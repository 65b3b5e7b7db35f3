//! Post-quantum signatures, domain-separated hashing, Merkle trees and the layered hash.
//!
//! This is the only crate that names an algorithm. Everything above it handles
//! a [`Scheme`], a [`PublicKey`] and a [`Signature`], so a network can change
//! schemes by changing its genesis.
//!
//! Invariants:
//! - no byte string is hashed or signed without a [`Domain`], so a value made
//!   for one purpose never serves another;
//! - every decoder knows the longest input it accepts and refuses more before
//!   it allocates;
//! - a [`VerifyingKey`] exists only for a key that decoded and is not
//!   degenerate, so a check never has to ask again;
//! - entropy is drawn in one place (for [`SigningKey::generate`], [`SigningKey::sign`] and
//!   [`KeyFile::seal`]); all else is a function of its arguments.
//!
//! Falcon follows a **draft** of FIPS 206 (FN-DSA): its keys and signatures may
//! change when the standard is final, which is why the crate behind it is pinned
//! exactly and a known-answer test stands guard.

mod context;
mod digest;
mod domain;
mod error;
mod falcon;
mod hash_chain;
mod keys;
mod keystore;
pub mod layered;
pub mod merkle;
mod ml_dsa;
mod possession;
mod randomness;
mod scheme;
mod signing;
mod slh_dsa;
mod verifying;

pub use context::{ChainId, Role, SigningContext, UnknownRole};
pub use digest::{Digest, HexError, from_hex, to_hex};
pub use domain::{
    Domain, HashAlgorithm, Hasher, domain_hash_with, hash, hash_pair, sha3_256, sha256,
};
pub use error::{KeyError, SignatureError, SigningError};
pub use hash_chain::{HashChain, MAX_HASH_CHAIN, hash_chain_link, mix_reveal};
pub use keys::{MAX_SIGNATURE_BYTES, PublicKey, Signature};
pub use keystore::{
    KEY_FORMAT, KeyFile, KeystoreError, MAX_KEY_FILE_BYTES, MAX_PASSPHRASE_BYTES, Passphrase,
    SealingCost,
};
pub use layered::{LayeredHashError, layered_hash};
pub use merkle::{InclusionProof, MerkleTree, ProofError};
pub use possession::{prove_possession, prove_possession_seeded, verify_possession};
pub use randomness::SeededRandomness;
pub use scheme::{Scheme, UnknownScheme};
pub use signing::SigningKey;
pub use verifying::{MAX_CONTEXT_BYTES, VerifyingKey, verify_raw};
