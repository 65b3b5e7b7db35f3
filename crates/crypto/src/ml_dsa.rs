//! ML-DSA (FIPS 204): `aws-lc-rs` for speed, `fips204` for what it lacks.
//!
//! `aws-lc-rs` is the faster and the more widely reviewed one, but it always
//! hedges its signatures with system entropy and takes no context string. So
//! signatures with a context, and the reproducible ones of a simulation, come
//! from `fips204`. Both make the same keys of the same seed and accept each
//! other's signatures; the tests hold them to it.

use std::sync::OnceLock;

use aws_lc_rs::signature::KeyPair as _;
use aws_lc_rs::signature::{
    ML_DSA_44, ML_DSA_44_SIGNING, ML_DSA_65, ML_DSA_65_SIGNING, ML_DSA_87, ML_DSA_87_SIGNING,
    ParsedPublicKey, PqdsaKeyPair, PqdsaSigningAlgorithm, PqdsaVerificationAlgorithm,
};
use fips204::traits::{KeyGen, SerDes, Signer, Verifier};
use fips204::{ml_dsa_44, ml_dsa_65, ml_dsa_87};
use zeroize::Zeroizing;

use crate::SeededRandomness;
use crate::randomness::SeededSource;

/// Bytes of the public seed in front of a public key; the vector `t1` follows.
const PUBLIC_SEED_BYTES: usize = 32;

/// The parameter sets of the standard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ParameterSet {
    P44,
    P65,
    P87,
}

impl ParameterSet {
    fn verification(self) -> &'static PqdsaVerificationAlgorithm {
        match self {
            Self::P44 => &ML_DSA_44,
            Self::P65 => &ML_DSA_65,
            Self::P87 => &ML_DSA_87,
        }
    }

    fn signing(self) -> &'static PqdsaSigningAlgorithm {
        match self {
            Self::P44 => &ML_DSA_44_SIGNING,
            Self::P65 => &ML_DSA_65_SIGNING,
            Self::P87 => &ML_DSA_87_SIGNING,
        }
    }
}

/// A decoded public key.
pub(crate) struct VerifyingKey(ParsedPublicKey);

impl VerifyingKey {
    /// The caller has checked the length: `aws-lc-rs` would take DER as well.
    pub(crate) fn decode(set: ParameterSet, bytes: &[u8]) -> Option<Self> {
        ParsedPublicKey::new(set.verification(), bytes).ok().map(Self)
    }

    /// Checks a signature made with the empty context.
    pub(crate) fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        self.0.verify_sig(message, signature).is_ok()
    }
}

/// Checks a signature with a context string, decoding the key each time.
pub(crate) fn verify_with_context(
    set: ParameterSet,
    public_key: &[u8],
    message: &[u8],
    context: &[u8],
    signature: &[u8],
) -> bool {
    match set {
        ParameterSet::P44 => {
            verify_by::<ml_dsa_44::PublicKey>(public_key, message, context, signature)
        }
        ParameterSet::P65 => {
            verify_by::<ml_dsa_65::PublicKey>(public_key, message, context, signature)
        }
        ParameterSet::P87 => {
            verify_by::<ml_dsa_87::PublicKey>(public_key, message, context, signature)
        }
    }
}

fn verify_by<K>(public_key: &[u8], message: &[u8], context: &[u8], signature: &[u8]) -> bool
where
    K: SerDes + Verifier,
    <K as SerDes>::ByteArray: for<'a> TryFrom<&'a [u8]>,
    K::Signature: for<'a> TryFrom<&'a [u8]>,
{
    let (Ok(public_key), Ok(signature)) = (public_key.try_into(), signature.try_into()) else {
        return false;
    };
    K::try_from_bytes(public_key).is_ok_and(|key| key.verify(message, &signature, context))
}

/// With `t1 = 0` the secret vectors are zero, so anyone can sign for the key,
/// proof of possession included.
pub(crate) fn is_degenerate(bytes: &[u8]) -> bool {
    let vector = &bytes[PUBLIC_SEED_BYTES..];
    vector.iter().all(|byte| *byte == 0) || vector.iter().all(|byte| *byte == 0xff)
}

/// A signing key in the forms that the two libraries need.
pub(crate) struct SigningKey {
    set: ParameterSet,
    seed: Zeroizing<[u8; 32]>,
    hedged: PqdsaKeyPair,
    /// Made when first asked for: most keys never sign with a context.
    contextual: OnceLock<Box<ContextualKey>>,
}

#[expect(clippy::large_enum_variant, reason = "always boxed")]
enum ContextualKey {
    P44(ml_dsa_44::PrivateKey),
    P65(ml_dsa_65::PrivateKey),
    P87(ml_dsa_87::PrivateKey),
}

impl SigningKey {
    /// The key pair of FIPS 204's seed: signing key and encoded public key.
    pub(crate) fn from_seed(set: ParameterSet, seed: &[u8; 32]) -> Option<(Self, Vec<u8>)> {
        let hedged = PqdsaKeyPair::from_seed(set.signing(), seed).ok()?;
        let public = hedged.public_key().as_ref().to_vec();
        let seed = Zeroizing::new(*seed);
        Some((Self { set, seed, hedged, contextual: OnceLock::new() }, public))
    }

    /// Signs with system entropy and the empty context.
    pub(crate) fn sign_hedged(&self, message: &[u8], signature: &mut [u8]) -> Option<()> {
        self.hedged.sign(message, signature).ok().map(|_| ())
    }

    /// Signs with the given randomness, and any context of up to 255 bytes.
    pub(crate) fn sign_with_context(
        &self,
        message: &[u8],
        context: &[u8],
        randomness: &mut SeededRandomness,
    ) -> Option<Vec<u8>> {
        match &**self.contextual.get_or_init(|| Box::new(self.contextual_key())) {
            ContextualKey::P44(key) => sign_by(key, message, context, randomness),
            ContextualKey::P65(key) => sign_by(key, message, context, randomness),
            ContextualKey::P87(key) => sign_by(key, message, context, randomness),
        }
    }

    fn contextual_key(&self) -> ContextualKey {
        match self.set {
            ParameterSet::P44 => ContextualKey::P44(ml_dsa_44::KG::keygen_from_seed(&self.seed).1),
            ParameterSet::P65 => ContextualKey::P65(ml_dsa_65::KG::keygen_from_seed(&self.seed).1),
            ParameterSet::P87 => ContextualKey::P87(ml_dsa_87::KG::keygen_from_seed(&self.seed).1),
        }
    }
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
    let signature = key.try_sign_with_rng(&mut source, message, context).ok()?;
    Some(signature.as_ref().to_vec())
}

#[cfg(test)]
mod tests;
