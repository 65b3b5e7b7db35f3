//! What can be wrong with keys and signatures, each with the culprit's remedy.

use crate::Scheme;

/// Why bytes are not a usable public key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Keys of one scheme all have one length.
    #[error("{scheme} public keys have {expected} bytes, this one has {actual}")]
    WrongLength {
        /// The scheme that the key claims.
        scheme: Scheme,
        /// Bytes that a key of the scheme has.
        expected: usize,
        /// Bytes that were given.
        actual: usize,
    },
    /// The bytes are no encoding of a key: a coefficient or header is out of range.
    #[error("the bytes encode no {scheme} public key")]
    Undecodable {
        /// The scheme that the key claims.
        scheme: Scheme,
    },
    /// Anyone could sign for such a key, or nobody can.
    #[error("the {scheme} public key is degenerate: no key generation gives it")]
    Degenerate {
        /// The scheme that the key claims.
        scheme: Scheme,
    },
    /// The holder did not show that it holds the signing key.
    #[error("the proof of possession is refused: {0}")]
    Possession(SignatureError),
    /// The library could not make a key from the seed.
    #[error("the seed gives no {scheme} key; draw another seed")]
    Generation {
        /// The scheme asked for.
        scheme: Scheme,
    },
    /// The operating system gave no entropy.
    #[error("the operating system gave no entropy; check that /dev/urandom can be read")]
    Entropy,
}

/// Why a signature is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// Signatures of one scheme all have one length.
    #[error("{scheme} signatures have {expected} bytes, this one has {actual}")]
    WrongLength {
        /// The scheme of the key.
        scheme: Scheme,
        /// Bytes that a signature of the scheme has.
        expected: usize,
        /// Bytes that were given.
        actual: usize,
    },
    /// Longer than any scheme's signature.
    #[error("signatures have at most {limit} bytes, this one has {actual}")]
    TooLong {
        /// Bytes of the longest signature of all schemes.
        limit: usize,
        /// Bytes that were given.
        actual: usize,
    },
    /// The signature is malformed, or was made with another key, for another
    /// message or in another context. The schemes do not tell which.
    #[error("the signature does not verify for this key, message and context")]
    Mismatch,
    /// FIPS 204 and 205 allow contexts of up to 255 bytes.
    #[error("contexts have at most 255 bytes, this one has {actual}")]
    ContextTooLong {
        /// Bytes that were given.
        actual: usize,
    },
    /// The public key is unusable.
    #[error("{0}")]
    Key(Box<KeyError>),
}

impl From<KeyError> for SignatureError {
    fn from(error: KeyError) -> Self {
        Self::Key(Box::new(error))
    }
}

/// Why no signature could be made.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SigningError {
    /// The operating system gave no entropy.
    #[error("the operating system gave no entropy; check that /dev/urandom can be read")]
    Entropy,
    /// FIPS 204 and 205 allow contexts of up to 255 bytes.
    #[error("contexts have at most 255 bytes, this one has {actual}")]
    ContextTooLong {
        /// Bytes that were given.
        actual: usize,
    },
    /// The library refused to sign; the key in memory is damaged.
    #[error("the {scheme} key in memory does not sign; load it again")]
    Failed {
        /// The scheme of the key.
        scheme: Scheme,
    },
}
