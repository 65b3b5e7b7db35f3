//! Canonical bytes: Borsh, whole input consumed, frames bounded.

use borsh::{BorshDeserialize, BorshSerialize};

/// The largest frame a peer may send, in bytes. A block with full payload fits twice.
pub const MAX_FRAME_BYTES: usize = 8 * 1024 * 1024;

/// Why bytes were refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The input is longer than [`MAX_FRAME_BYTES`].
    #[error("{bytes} bytes are more than the {MAX_FRAME_BYTES} a frame may have")]
    TooLong {
        /// The length of the input.
        bytes: usize,
    },
    /// The input is not the canonical encoding of a value of this type.
    #[error("not a canonical encoding: {reason}")]
    Malformed {
        /// What the decoder stumbled over.
        reason: String,
    },
}

/// The canonical bytes of `value`.
#[must_use]
pub fn encode<T: BorshSerialize>(value: &T) -> Vec<u8> {
    // Counting costs less than growing. Writing to a vector cannot fail, and no type of this
    // crate refuses to encode.
    let length = borsh::object_length(value).expect("counting");
    let mut bytes = Vec::with_capacity(length);
    value.serialize(&mut bytes).expect("encoding into memory");
    bytes
}

/// How many bytes [`encode`] makes of `value`.
#[must_use]
pub fn encoded_bytes<T: BorshSerialize>(value: &T) -> usize {
    borsh::object_length(value).expect("counting")
}

/// Decodes one value that must use up `bytes`.
///
/// # Errors
/// [`DecodeError`] if the input is too long, malformed, truncated or has a tail.
pub fn decode<T: BorshDeserialize>(bytes: &[u8]) -> Result<T, DecodeError> {
    if bytes.len() > MAX_FRAME_BYTES {
        return Err(DecodeError::TooLong { bytes: bytes.len() });
    }
    T::try_from_slice(bytes).map_err(|error| DecodeError::Malformed { reason: error.to_string() })
}

#[cfg(test)]
mod tests;
