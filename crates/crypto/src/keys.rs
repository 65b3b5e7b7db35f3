//! Public keys and signatures as they travel: raw, bounded bytes.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher as StdHasher};
use std::io::{Error, ErrorKind, Read, Result as IoResult, Write};
use std::sync::{Arc, OnceLock};

use borsh::{BorshDeserialize, BorshSerialize};

use crate::{Digest, Domain, Hasher, KeyError, Scheme, SignatureError, to_hex};

/// Length of the longest signature of all schemes, SLH-DSA-SHA2-256s.
pub const MAX_SIGNATURE_BYTES: usize = 29_792;

/// A public key of the right length for its scheme; whether it decodes is
/// found out by [`crate::VerifyingKey::decode`].
///
/// Wire form: the scheme's byte, then the key. The scheme gives the length. Clones share the bytes.
#[derive(Clone)]
pub struct PublicKey {
    scheme: Scheme,
    shared: Arc<Shared>,
}

/// What all clones of a key have in common.
struct Shared {
    bytes: Box<[u8]>,
    /// The key's address, once somebody has asked for it.
    address: OnceLock<Digest>,
}

impl PublicKey {
    /// A key from its standard encoding. DER and other wrappings are refused by their length.
    pub fn new(scheme: Scheme, bytes: &[u8]) -> Result<Self, KeyError> {
        let expected = scheme.public_key_bytes();
        if bytes.len() != expected {
            return Err(KeyError::WrongLength { scheme, expected, actual: bytes.len() });
        }
        Ok(Self::of_bytes(scheme, bytes.into()))
    }

    fn of_bytes(scheme: Scheme, bytes: Box<[u8]>) -> Self {
        Self { scheme, shared: Arc::new(Shared { bytes, address: OnceLock::new() }) }
    }

    /// The scheme of the key.
    pub fn scheme(&self) -> Scheme {
        self.scheme
    }

    /// The key's standard encoding.
    pub fn as_bytes(&self) -> &[u8] {
        &self.shared.bytes
    }

    /// A short name of the key that covers the scheme.
    pub fn digest(&self) -> Digest {
        self.digest_in(Domain::PublicKey)
    }

    /// The address that the key owns. It is computed once for all clones: every transaction asks
    /// for that of its key, which is a kilobyte long.
    pub fn address(&self) -> Digest {
        *self.shared.address.get_or_init(|| self.digest_in(Domain::Address))
    }

    /// The digest of the wire form.
    fn digest_in(&self, domain: Domain) -> Digest {
        Hasher::new(domain).update(&[self.scheme as u8]).update(self.as_bytes()).finalize()
    }
}

impl PartialEq for PublicKey {
    fn eq(&self, other: &Self) -> bool {
        self.scheme == other.scheme
            && (Arc::ptr_eq(&self.shared, &other.shared) || self.as_bytes() == other.as_bytes())
    }
}

impl Eq for PublicKey {}

impl PartialOrd for PublicKey {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for PublicKey {
    fn cmp(&self, other: &Self) -> Ordering {
        (self.scheme, self.as_bytes()).cmp(&(other.scheme, other.as_bytes()))
    }
}

impl Hash for PublicKey {
    fn hash<H: StdHasher>(&self, state: &mut H) {
        (self.scheme, self.as_bytes()).hash(state);
    }
}

/// The whole key in hexadecimal, without the scheme.
impl fmt::Display for PublicKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&to_hex(self.as_bytes()))
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
        writer.write_all(self.as_bytes())
    }
}

impl BorshDeserialize for PublicKey {
    fn deserialize_reader<R: Read>(reader: &mut R) -> IoResult<Self> {
        let scheme = Scheme::deserialize_reader(reader)?;
        let mut bytes = vec![0; scheme.public_key_bytes()];
        reader.read_exact(&mut bytes)?;
        Ok(Self::of_bytes(scheme, bytes.into()))
    }
}

/// A signature's bytes. The key it is checked with says which scheme they belong to.
///
/// Wire form: length (4 bytes, little endian, at most [`MAX_SIGNATURE_BYTES`]), then the bytes.
/// Clones share the bytes: a block has thousands of signatures, and is cloned on its way.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Signature(Arc<[u8]>);

impl Signature {
    /// A signature from its standard encoding.
    pub fn new(bytes: impl Into<Arc<[u8]>>) -> Result<Self, SignatureError> {
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
        let mut bytes: Arc<[u8]> = std::iter::repeat_n(0, length).collect();
        reader.read_exact(Arc::get_mut(&mut bytes).expect("nobody else has it yet"))?;
        Ok(Self(bytes))
    }
}

#[cfg(test)]
mod tests;
