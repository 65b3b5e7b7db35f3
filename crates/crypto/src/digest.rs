//! The 256-bit digest that names everything, and hexadecimal text.

use std::fmt;
use std::str::FromStr;

use borsh::{BorshDeserialize, BorshSerialize};

/// The output of a 256-bit hash.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, BorshSerialize, BorshDeserialize, Default,
)]
pub struct Digest(pub [u8; 32]);

impl Digest {
    /// The digest of nothing: all bits zero. No hash of known input gives it.
    pub const ZERO: Self = Self([0; 32]);

    /// The 32 bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl AsRef<[u8]> for Digest {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl From<[u8; 32]> for Digest {
    fn from(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&to_hex(&self.0))
    }
}

/// The first four bytes: enough to tell digests apart in a failing test.
impl fmt::Debug for Digest {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, ..] = self.0;
        formatter.write_str(&to_hex(&[a, b, c, d]))
    }
}

impl FromStr for Digest {
    type Err = HexError;

    fn from_str(text: &str) -> Result<Self, HexError> {
        let bytes = from_hex(text)?;
        let actual = bytes.len();
        bytes.try_into().map(Self).map_err(|_| HexError::WrongLength { expected: 32, actual })
    }
}

/// Why a text is not the hexadecimal form of some bytes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HexError {
    /// Two digits make a byte, so their number is even.
    #[error("{digits} hex digits do not make whole bytes; two digits make one byte")]
    OddLength {
        /// How many digits there are.
        digits: usize,
    },
    /// Only 0-9, a-f and A-F are digits: no prefix, no blanks.
    #[error("position {position} is not a hex digit; use 0-9 and a-f only, without 0x or blanks")]
    NotADigit {
        /// Byte offset of the offending character.
        position: usize,
    },
    /// The bytes are fine but not as many as the type has.
    #[error("expected {expected} bytes, got {actual}")]
    WrongLength {
        /// Bytes that the type has.
        expected: usize,
        /// Bytes that the text gave.
        actual: usize,
    },
}

/// Lower-case hexadecimal, two digits a byte.
pub fn to_hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = String::with_capacity(bytes.len() * 2);
    for byte in bytes {
        text.push(char::from(DIGITS[usize::from(byte >> 4)]));
        text.push(char::from(DIGITS[usize::from(byte & 15)]));
    }
    text
}

/// Reads what [`to_hex`] writes, and upper-case digits as well.
///
/// The result is half as long as the text, so whoever bounds the text has
/// bounded the allocation.
pub fn from_hex(text: &str) -> Result<Vec<u8>, HexError> {
    let digits = text.as_bytes();
    if let Some(position) = digits.iter().position(|digit| !digit.is_ascii_hexdigit()) {
        return Err(HexError::NotADigit { position });
    }
    if !digits.len().is_multiple_of(2) {
        return Err(HexError::OddLength { digits: digits.len() });
    }
    Ok(digits.chunks_exact(2).map(|pair| nibble(pair[0]) << 4 | nibble(pair[1])).collect())
}

/// The value of one ASCII hex digit; the caller has checked that it is one.
fn nibble(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        b'a'..=b'f' => digit - b'a' + 10,
        _ => digit - b'A' + 10,
    }
}

#[cfg(test)]
mod tests;
