//! Falcon (FN-DSA after the draft of FIPS 206) through the `fn-dsa` crate.
//!
//! Decoded keys are kept: checking with one takes three quarters of the time,
//! and decoding a signing key costs as much as the signature. The decoded
//! signing key is 59 kB (118 kB for degree 1024) and carries the scratch space
//! of a signature, so it lives in a box behind a lock.

#![expect(clippy::disallowed_types, reason = "the lock decides who waits, never what is signed")]

use std::sync::{Mutex, PoisonError};

use fn_dsa::{
    DomainContext, FN_DSA_LOGN_512, FN_DSA_LOGN_1024, HASH_ID_RAW, KeyPairGenerator,
    KeyPairGenerator512, KeyPairGenerator1024, SigningKey as _, SigningKey512, SigningKey1024,
    VerifyingKey as _, VerifyingKey512, VerifyingKey1024, sign_key_size, vrfy_key_size,
};
use zeroize::Zeroizing;

use crate::SeededRandomness;
use crate::randomness::SeededSource;

/// The two degrees of the standard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Degree {
    D512,
    D1024,
}

/// A decoded public key, of one or two kilobytes.
pub(crate) enum VerifyingKey {
    D512(Box<VerifyingKey512>),
    D1024(Box<VerifyingKey1024>),
}

impl VerifyingKey {
    /// Refuses a wrong header and coefficients at or above the modulus.
    pub(crate) fn decode(degree: Degree, bytes: &[u8]) -> Option<Self> {
        match degree {
            Degree::D512 => VerifyingKey512::decode(bytes).map(Box::new).map(Self::D512),
            Degree::D1024 => VerifyingKey1024::decode(bytes).map(Box::new).map(Self::D1024),
        }
    }

    /// The caller has checked the lengths of the signature and the context.
    pub(crate) fn verify(&self, message: &[u8], context: &[u8], signature: &[u8]) -> bool {
        let context = DomainContext(context);
        match self {
            Self::D512(key) => key.verify(signature, &context, &HASH_ID_RAW, message),
            Self::D1024(key) => key.verify(signature, &context, &HASH_ID_RAW, message),
        }
    }
}

/// A public key that is the zero polynomial, or undecodable, is nobody's: with
/// it the message's hash itself would have to be short.
pub(crate) fn is_degenerate(bytes: &[u8]) -> bool {
    bytes[1..].iter().all(|byte| *byte == 0)
}

/// A decoded signing key; it wipes itself when dropped.
pub(crate) enum SigningKey {
    D512(Mutex<Box<SigningKey512>>),
    D1024(Mutex<Box<SigningKey1024>>),
}

impl SigningKey {
    /// The key pair of a random stream: signing key and encoded public key.
    pub(crate) fn generate(
        degree: Degree,
        randomness: &mut SeededRandomness,
    ) -> Option<(Self, Vec<u8>)> {
        let mut source = SeededSource(randomness);
        let logn = match degree {
            Degree::D512 => FN_DSA_LOGN_512,
            Degree::D1024 => FN_DSA_LOGN_1024,
        };
        let mut secret = Zeroizing::new(vec![0; sign_key_size(logn)]);
        let mut public = vec![0; vrfy_key_size(logn)];
        let key = match degree {
            Degree::D512 => {
                KeyPairGenerator512::default().keygen(logn, &mut source, &mut secret, &mut public);
                Self::D512(Mutex::new(Box::new(SigningKey512::decode(&secret)?)))
            }
            Degree::D1024 => {
                KeyPairGenerator1024::default().keygen(logn, &mut source, &mut secret, &mut public);
                Self::D1024(Mutex::new(Box::new(SigningKey1024::decode(&secret)?)))
            }
        };
        Some((key, public))
    }

    /// Signs with randomness for the nonce and the Gaussian sampler.
    pub(crate) fn sign(
        &self,
        message: &[u8],
        context: &[u8],
        randomness: &mut SeededRandomness,
        signature: &mut [u8],
    ) -> Option<()> {
        let mut source = SeededSource(randomness);
        let context = DomainContext(context);
        // A panic in another signature leaves only scratch space behind, which
        // every signature writes before it reads.
        match self {
            Self::D512(key) => key.lock().unwrap_or_else(PoisonError::into_inner).sign(
                &mut source,
                &context,
                &HASH_ID_RAW,
                message,
                signature,
            ),
            Self::D1024(key) => key.lock().unwrap_or_else(PoisonError::into_inner).sign(
                &mut source,
                &context,
                &HASH_ID_RAW,
                message,
                signature,
            ),
        }
    }
}

#[cfg(test)]
mod tests;
