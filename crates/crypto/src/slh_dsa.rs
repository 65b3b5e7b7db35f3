//! SLH-DSA (FIPS 205) with SHA-2 through the `fips205` crate.
//!
//! Only the SHA-2 sets: the SHAKE sets are eight to twenty times slower here
//! and no safer.

use fips205::traits::{KeyGen, SerDes, Signer, Verifier};
use fips205::{slh_dsa_sha2_128f, slh_dsa_sha2_128s, slh_dsa_sha2_192s, slh_dsa_sha2_256s};

use zeroize::Zeroizing;

use crate::SeededRandomness;
use crate::randomness::SeededSource;

/// The parameter sets in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ParameterSet {
    S128,
    F128,
    S192,
    S256,
}

impl ParameterSet {
    /// Bytes of each of the three seeds, `n` in FIPS 205.
    const fn seed_bytes(self) -> usize {
        match self {
            Self::S128 | Self::F128 => 16,
            Self::S192 => 24,
            Self::S256 => 32,
        }
    }
}

/// A decoded public key.
pub(crate) enum VerifyingKey {
    S128(slh_dsa_sha2_128s::PublicKey),
    F128(slh_dsa_sha2_128f::PublicKey),
    S192(slh_dsa_sha2_192s::PublicKey),
    S256(slh_dsa_sha2_256s::PublicKey),
}

impl VerifyingKey {
    /// Any bytes of the right length decode.
    pub(crate) fn decode(set: ParameterSet, bytes: &[u8]) -> Option<Self> {
        match set {
            ParameterSet::S128 => decode_by(bytes).map(Self::S128),
            ParameterSet::F128 => decode_by(bytes).map(Self::F128),
            ParameterSet::S192 => decode_by(bytes).map(Self::S192),
            ParameterSet::S256 => decode_by(bytes).map(Self::S256),
        }
    }

    /// A signature of a wrong length is refused.
    pub(crate) fn verify(&self, message: &[u8], context: &[u8], signature: &[u8]) -> bool {
        match self {
            Self::S128(key) => verify_by(key, message, context, signature),
            Self::F128(key) => verify_by(key, message, context, signature),
            Self::S192(key) => verify_by(key, message, context, signature),
            Self::S256(key) => verify_by(key, message, context, signature),
        }
    }
}

fn decode_by<K>(bytes: &[u8]) -> Option<K>
where
    K: SerDes,
    K::ByteArray: for<'a> TryFrom<&'a [u8]>,
{
    K::try_from_bytes(bytes.try_into().ok()?).ok()
}

fn verify_by<K>(key: &K, message: &[u8], context: &[u8], signature: &[u8]) -> bool
where
    K: Verifier,
    K::Signature: for<'a> TryFrom<&'a [u8]>,
{
    signature.try_into().is_ok_and(|signature| key.verify(message, &signature, context))
}

/// A key is a public seed and a tree's root, each as random as a hash. A
/// constant half is no key: nobody knows a tree with such a root.
pub(crate) fn is_degenerate(bytes: &[u8]) -> bool {
    let constant = |half: &[u8]| half.iter().all(|byte| *byte == half[0]);
    let (seed, root) = bytes.split_at(bytes.len() / 2);
    constant(seed) || constant(root)
}

/// A signing key; the library wipes it when dropped.
pub(crate) enum SigningKey {
    S128(slh_dsa_sha2_128s::PrivateKey),
    F128(slh_dsa_sha2_128f::PrivateKey),
    S192(slh_dsa_sha2_192s::PrivateKey),
    S256(slh_dsa_sha2_256s::PrivateKey),
}

impl SigningKey {
    /// The key pair of a random stream, which gives FIPS 205's three seeds in
    /// the order SK.seed, SK.prf, PK.seed: signing key and encoded public key.
    pub(crate) fn generate(
        set: ParameterSet,
        randomness: &mut SeededRandomness,
    ) -> Option<(Self, Vec<u8>)> {
        let mut seeds = Zeroizing::new(vec![0; 3 * set.seed_bytes()]);
        randomness.fill(&mut seeds);
        Self::from_seeds(set, &seeds)
    }

    /// The key pair of FIPS 205's three seeds, joined.
    fn from_seeds(set: ParameterSet, seeds: &[u8]) -> Option<(Self, Vec<u8>)> {
        use {slh_dsa_sha2_128f as f128, slh_dsa_sha2_128s as s128};
        use {slh_dsa_sha2_192s as s192, slh_dsa_sha2_256s as s256};
        Some(match set {
            ParameterSet::S128 => {
                let (public, key) = key_pair::<s128::KG, { s128::N }>(seeds)?;
                (Self::S128(key), public.into_bytes().to_vec())
            }
            ParameterSet::F128 => {
                let (public, key) = key_pair::<f128::KG, { f128::N }>(seeds)?;
                (Self::F128(key), public.into_bytes().to_vec())
            }
            ParameterSet::S192 => {
                let (public, key) = key_pair::<s192::KG, { s192::N }>(seeds)?;
                (Self::S192(key), public.into_bytes().to_vec())
            }
            ParameterSet::S256 => {
                let (public, key) = key_pair::<s256::KG, { s256::N }>(seeds)?;
                (Self::S256(key), public.into_bytes().to_vec())
            }
        })
    }

    /// Signs, hedged with the given randomness.
    pub(crate) fn sign(
        &self,
        message: &[u8],
        context: &[u8],
        randomness: &mut SeededRandomness,
    ) -> Option<Vec<u8>> {
        match self {
            Self::S128(key) => sign_by(key, message, context, randomness),
            Self::F128(key) => sign_by(key, message, context, randomness),
            Self::S192(key) => sign_by(key, message, context, randomness),
            Self::S256(key) => sign_by(key, message, context, randomness),
        }
    }
}

fn key_pair<G: KeyGen, const N: usize>(seeds: &[u8]) -> Option<(G::PublicKey, G::PrivateKey)> {
    let ([secret, prf, public], []) = seeds.as_chunks::<N>() else { return None };
    Some(G::keygen_from_seed(secret, prf, public))
}

fn sign_by<K>(
    key: &K,
    message: &[u8],
    context: &[u8],
    randomness: &mut SeededRandomness,
) -> Option<Vec<u8>>
where
    K: Signer,
    K::Signature: AsRef<[u8]>,
{
    let mut source = SeededSource(randomness);
    let signature = key.try_sign_with_rng(&mut source, message, context, true).ok()?;
    Some(signature.as_ref().to_vec())
}

#[cfg(test)]
mod tests;
