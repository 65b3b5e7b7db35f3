//! Signing keys.

use std::fmt;
use std::sync::Arc;

use zeroize::Zeroizing;

use crate::randomness::{fill_from_system, fresh_randomness};
use crate::verifying::Family;
use crate::{
    KeyError, MAX_CONTEXT_BYTES, PublicKey, Scheme, SeededRandomness, Signature, SigningContext,
    SigningError, falcon, ml_dsa, slh_dsa,
};

/// A signing key with its public key. Clones share it.
///
/// Whatever the scheme, the secret is one 32-byte seed from which the key is
/// made anew when it is loaded: one small thing to keep. Seed and key wipe
/// themselves when the last clone is dropped, as far as the libraries below
/// allow; `Debug` shows the public key only.
#[derive(Clone)]
pub struct SigningKey(Arc<Inner>);

struct Inner {
    seed: Zeroizing<[u8; 32]>,
    public_key: PublicKey,
    secret: Secret,
}

enum Secret {
    Falcon(falcon::SigningKey),
    MlDsa(ml_dsa::SigningKey),
    SlhDsa(slh_dsa::SigningKey),
}

impl SigningKey {
    /// A new key from the operating system's entropy.
    pub fn generate(scheme: Scheme) -> Result<Self, KeyError> {
        let mut seed = Zeroizing::new([0; 32]);
        fill_from_system(&mut *seed).map_err(|_| KeyError::Entropy)?;
        Self::from_seed(scheme, &seed)
    }

    /// The key of a seed, the same on every machine.
    ///
    /// ML-DSA takes the seed as FIPS 204's own; the others expand it with
    /// [`SeededRandomness`] under the scheme's name.
    pub fn from_seed(scheme: Scheme, seed: &[u8; 32]) -> Result<Self, KeyError> {
        let mut randomness = SeededRandomness::labelled(seed, scheme.name());
        let made = match Family::of(scheme) {
            Family::Falcon(degree) => falcon::SigningKey::generate(degree, &mut randomness)
                .map(|(key, public)| (Secret::Falcon(key), public)),
            Family::MlDsa(set) => ml_dsa::SigningKey::from_seed(set, seed)
                .map(|(key, public)| (Secret::MlDsa(key), public)),
            Family::SlhDsa(set) => slh_dsa::SigningKey::generate(set, &mut randomness)
                .map(|(key, public)| (Secret::SlhDsa(key), public)),
        };
        let (secret, public) = made.ok_or(KeyError::Generation { scheme })?;
        let public_key = PublicKey::new(scheme, &public)?;
        let seed = Zeroizing::new(*seed);
        Ok(Self(Arc::new(Inner { seed, public_key, secret })))
    }

    /// The seed, which is the secret itself: for a key file, nothing else.
    pub fn expose_seed(&self) -> &[u8; 32] {
        &self.0.seed
    }

    /// The public key.
    pub fn public_key(&self) -> &PublicKey {
        &self.0.public_key
    }

    /// The scheme.
    pub fn scheme(&self) -> Scheme {
        self.0.public_key.scheme()
    }

    /// Signs `message` in `context`, randomised by the operating system.
    pub fn sign(
        &self,
        context: &SigningContext,
        message: &[u8],
    ) -> Result<Signature, SigningError> {
        self.sign_raw(&context.signed_bytes(message), &[])
    }

    /// Signs `message` in `context` with a seeded stream. **For simulations only.**
    ///
    /// The same key, message and stream give the same bytes, so a simulated run
    /// can be repeated bit by bit. In production that is a danger: Falcon's
    /// sampler works in floating point, and two signatures of one message whose
    /// roundings differ by a bit (another processor, compiler or library)
    /// reveal the key (eprint 2024/1709). [`Self::sign`] draws afresh each time.
    pub fn sign_seeded(
        &self,
        context: &SigningContext,
        message: &[u8],
        randomness: &mut SeededRandomness,
    ) -> Result<Signature, SigningError> {
        self.sign_bytes(&context.signed_bytes(message), &[], randomness)
    }

    /// Signs as the standard has it, with its own context string and without
    /// domain, chain or role; the counterpart of [`crate::verify_raw`].
    pub fn sign_raw(&self, message: &[u8], context: &[u8]) -> Result<Signature, SigningError> {
        if let (Secret::MlDsa(key), true) = (&self.0.secret, context.is_empty()) {
            let mut bytes = vec![0; self.scheme().signature_bytes()];
            return match key.sign_hedged(message, &mut bytes) {
                Some(()) => Ok(self.finished(bytes)),
                None => Err(SigningError::Failed { scheme: self.scheme() }),
            };
        }
        let mut randomness = fresh_randomness().map_err(|_| SigningError::Entropy)?;
        self.sign_bytes(message, context, &mut randomness)
    }

    fn sign_bytes(
        &self,
        message: &[u8],
        context: &[u8],
        randomness: &mut SeededRandomness,
    ) -> Result<Signature, SigningError> {
        if context.len() > MAX_CONTEXT_BYTES {
            return Err(SigningError::ContextTooLong { actual: context.len() });
        }
        let signed = match &self.0.secret {
            Secret::Falcon(key) => {
                let mut bytes = vec![0; self.scheme().signature_bytes()];
                key.sign(message, context, randomness, &mut bytes).map(|()| bytes)
            }
            Secret::MlDsa(key) => key.sign_with_context(message, context, randomness),
            Secret::SlhDsa(key) => key.sign(message, context, randomness),
        };
        let scheme = self.scheme();
        signed.map(|bytes| self.finished(bytes)).ok_or(SigningError::Failed { scheme })
    }

    /// What a library made is as long as the scheme says, or this crate is wrong.
    fn finished(&self, bytes: Vec<u8>) -> Signature {
        assert_eq!(bytes.len(), self.scheme().signature_bytes(), "length of a signature");
        Signature::new(bytes).expect("no scheme's signature is longer than the longest")
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "SigningKey({:?})", self.0.public_key)
    }
}

#[cfg(test)]
mod tests;
