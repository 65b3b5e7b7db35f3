//! Decoded public keys and the check of signatures.

use std::fmt;
use std::sync::Arc;

use crate::{
    KeyError, PublicKey, Scheme, Signature, SignatureError, SigningContext, falcon, ml_dsa, slh_dsa,
};

/// Longest context string of FIPS 204 and 205.
pub const MAX_CONTEXT_BYTES: usize = 255;

/// A public key, decoded once and used many times. Clones share it.
#[derive(Clone)]
pub struct VerifyingKey(Arc<KeyPair>);

/// The two forms of one public key.
struct KeyPair {
    public_key: PublicKey,
    decoded: Decoded,
}

enum Decoded {
    Falcon(falcon::VerifyingKey),
    MlDsa(ml_dsa::VerifyingKey),
    SlhDsa(slh_dsa::VerifyingKey),
}

impl VerifyingKey {
    /// Decodes a key, and refuses one that no key generation gives.
    pub fn decode(public_key: &PublicKey) -> Result<Self, KeyError> {
        let scheme = public_key.scheme();
        if is_degenerate(scheme, public_key.as_bytes()) {
            return Err(KeyError::Degenerate { scheme });
        }
        let decoded = Decoded::decode(scheme, public_key.as_bytes())?;
        Ok(Self(Arc::new(KeyPair { public_key: public_key.clone(), decoded })))
    }

    /// The key as it travels.
    pub fn public_key(&self) -> &PublicKey {
        &self.0.public_key
    }

    /// The key's scheme.
    pub fn scheme(&self) -> Scheme {
        self.0.public_key.scheme()
    }

    /// Checks that the holder of this key signed `message` in `context`.
    pub fn verify(
        &self,
        context: &SigningContext,
        message: &[u8],
        signature: &Signature,
    ) -> Result<(), SignatureError> {
        let scheme = self.scheme();
        check_signature_length(scheme, signature.as_bytes())?;
        let signed = context.signed_bytes(message);
        self.0.decoded.verify(&signed, signature.as_bytes())
    }
}

impl PartialEq for VerifyingKey {
    fn eq(&self, other: &Self) -> bool {
        self.public_key() == other.public_key()
    }
}

impl Eq for VerifyingKey {}

impl fmt::Debug for VerifyingKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "VerifyingKey({:?})", self.public_key())
    }
}

impl Decoded {
    /// The caller has checked the length.
    fn decode(scheme: Scheme, bytes: &[u8]) -> Result<Self, KeyError> {
        match Family::of(scheme) {
            Family::Falcon(degree) => falcon::VerifyingKey::decode(degree, bytes).map(Self::Falcon),
            Family::MlDsa(set) => ml_dsa::VerifyingKey::decode(set, bytes).map(Self::MlDsa),
            Family::SlhDsa(set) => slh_dsa::VerifyingKey::decode(set, bytes).map(Self::SlhDsa),
        }
        .ok_or(KeyError::Undecodable { scheme })
    }

    /// Checks a signature with the empty FIPS context.
    fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), SignatureError> {
        accepted(match self {
            Self::Falcon(key) => key.verify(message, &[], signature),
            Self::MlDsa(key) => key.verify(message, signature),
            Self::SlhDsa(key) => key.verify(message, &[], signature),
        })
    }
}

/// A scheme's family and its parameters there.
pub(crate) enum Family {
    Falcon(falcon::Degree),
    MlDsa(ml_dsa::ParameterSet),
    SlhDsa(slh_dsa::ParameterSet),
}

impl Family {
    pub(crate) fn of(scheme: Scheme) -> Self {
        match scheme {
            Scheme::Falcon512 => Self::Falcon(falcon::Degree::D512),
            Scheme::Falcon1024 => Self::Falcon(falcon::Degree::D1024),
            Scheme::MlDsa44 => Self::MlDsa(ml_dsa::ParameterSet::P44),
            Scheme::MlDsa65 => Self::MlDsa(ml_dsa::ParameterSet::P65),
            Scheme::MlDsa87 => Self::MlDsa(ml_dsa::ParameterSet::P87),
            Scheme::SlhDsaSha2_128s => Self::SlhDsa(slh_dsa::ParameterSet::S128),
            Scheme::SlhDsaSha2_128f => Self::SlhDsa(slh_dsa::ParameterSet::F128),
            Scheme::SlhDsaSha2_192s => Self::SlhDsa(slh_dsa::ParameterSet::S192),
            Scheme::SlhDsaSha2_256s => Self::SlhDsa(slh_dsa::ParameterSet::S256),
        }
    }
}

/// Checks a signature just as the standard has it: no domain, chain or role,
/// only the message and the standard's own context string.
///
/// It serves those who check signatures of others. It decodes the key each
/// time and refuses only what the standard refuses, so a degenerate key is
/// judged by its signatures alone.
pub fn verify_raw(
    scheme: Scheme,
    public_key: &[u8],
    message: &[u8],
    context: &[u8],
    signature: &[u8],
) -> Result<(), SignatureError> {
    let public_key = PublicKey::new(scheme, public_key)?;
    check_signature_length(scheme, signature)?;
    if context.len() > MAX_CONTEXT_BYTES {
        return Err(SignatureError::ContextTooLong { actual: context.len() });
    }
    let decoded = Decoded::decode(scheme, public_key.as_bytes())?;
    match (&decoded, Family::of(scheme)) {
        (Decoded::Falcon(key), _) => accepted(key.verify(message, context, signature)),
        (Decoded::SlhDsa(key), _) => accepted(key.verify(message, context, signature)),
        (Decoded::MlDsa(_), Family::MlDsa(set)) if !context.is_empty() => {
            let key = public_key.as_bytes();
            accepted(ml_dsa::verify_with_context(set, key, message, context, signature))
        }
        (Decoded::MlDsa(key), _) => accepted(key.verify(message, signature)),
    }
}

fn check_signature_length(scheme: Scheme, signature: &[u8]) -> Result<(), SignatureError> {
    let expected = scheme.signature_bytes();
    if signature.len() != expected {
        let actual = signature.len();
        return Err(SignatureError::WrongLength { scheme, expected, actual });
    }
    Ok(())
}

fn accepted(valid: bool) -> Result<(), SignatureError> {
    if valid { Ok(()) } else { Err(SignatureError::Mismatch) }
}

fn is_degenerate(scheme: Scheme, bytes: &[u8]) -> bool {
    match Family::of(scheme) {
        Family::Falcon(_) => falcon::is_degenerate(bytes),
        Family::MlDsa(_) => ml_dsa::is_degenerate(bytes),
        Family::SlhDsa(_) => slh_dsa::is_degenerate(bytes),
    }
}

#[cfg(test)]
mod tests;
