//! Public keys and signatures as they travel: raw, bounded bytes.

use std::fmt;
use std::io::{Error, ErrorKind, Read, Result as IoResult, Write};
use std::sync::Arc;

use borsh::{BorshDeserialize, BorshSerialize};

use crate::{Digest, Domain, Hasher, KeyError, Scheme, SignatureError, to_hex};

/// Length of the longest signature of all schemes, SLH-DSA-SHA2-256s.
pub const MAX_SIGNATURE_BYTES: usize = 29_792;

/// A public key of the right length for its scheme; whether it decodes is
/// found out by [`crate::VerifyingKey::decode`].
///
/// Wire form: the scheme's byte, then the key. The scheme gives the length.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PublicKey {
    scheme: Scheme,
    bytes: Arc<[u8]>,
}

impl PublicKey {
    /// A key from its standard encoding. DER and other wrappings are refused by their length.
    pub fn new(scheme: Scheme, bytes: &[u8]) -> Result<Self, KeyError> {
        let expected = scheme.public_key_bytes();
        if bytes.len() != expected {
            return Err(KeyError::WrongLength { scheme, expected, actual: bytes.len() });
        }
        Ok(Self { scheme, bytes: bytes.into() })
    }

    /// The scheme of the key.
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// The key's standard encoding.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// A short name of the key that covers the scheme.
    pub fn digest(&self) -> Digest {
        Hasher::new(Domain::PublicKey).update(&[self.scheme as u8]).update(&self.bytes).finalize()
    }
}

/// The whole key in hexadecimal, without the scheme.
impl fmt::Display for PublicKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&to_hex(&self.bytes))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "PublicKey({}, {:?})", self.scheme, self.digest())
    }
}

impl BorshSerialize for PublicKey {
    fn serialize<W: Write>(&self, writer: &mut W) -> IoResult<()> {
        self.scheme.serialize(writer)?;
        writer.write_all(&self.bytes)
    }
}

impl BorshDeserialize for PublicKey {
    fn deserialize_reader<R: Read>(reader: &mut R) -> IoResult<Self> {
        let scheme = Scheme::deserialize_reader(reader)?;
        let mut bytes = vec![0; scheme.public_key_bytes()];
        reader.read_exact(&mut bytes)?;
        Ok(Self { scheme, bytes: bytes.into() })
    }
}

/// A signature's bytes. The key it is checked with says which scheme they belong to.
///
/// Wire form: length (4 bytes, little endian, at most [`MAX_SIGNATURE_BYTES`]), then the bytes.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Signature(Box<[u8]>);

impl Signature {
    /// A signature from its standard encoding.
    pub fn new(bytes: impl Into<Box<[u8]>>) -> Result<Self, SignatureError> {
        let bytes = bytes.into();
        if bytes.len() > MAX_SIGNATURE_BYTES {
            let actual = bytes.len();
            return Err(SignatureError::TooLong { limit: MAX_SIGNATURE_BYTES, actual });
        }
        Ok(Self(bytes))
    }

    /// The signature's standard encoding.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Length in bytes.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there are no bytes at all, which no scheme accepts.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// The whole signature in hexadecimal.
impl fmt::Display for Signature {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&to_hex(&self.0))
    }
}

impl fmt::Debug for Signature {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let head = &self.0[..self.0.len().min(4)];
        write!(formatter, "Signature({} bytes, {}..)", self.0.len(), to_hex(head))
    }
}

impl BorshSerialize for Signature {
    fn serialize<W: Write>(&self, writer: &mut W) -> IoResult<()> {
        let length = u32::try_from(self.0.len()).expect("a signature is at most 29,792 bytes");
        length.serialize(writer)?;
        writer.write_all(&self.0)
    }
}

impl BorshDeserialize for Signature {
    fn deserialize_reader<R: Read>(reader: &mut R) -> IoResult<Self> {
        let length = u32::deserialize_reader(reader)? as usize;
        if length > MAX_SIGNATURE_BYTES {
            return Err(Error::new(
                ErrorKind::InvalidData,
                format!("a signature has at most {MAX_SIGNATURE_BYTES} bytes, got {length}"),
            ));
        }
        let mut bytes = vec![0; length];
        reader.read_exact(&mut bytes)?;
        Ok(Self(bytes.into()))
    }
}

#[cfg(test)]
mod tests;
