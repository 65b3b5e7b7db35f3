//! The signature schemes, their names and their sizes.

use std::fmt;
use std::io::{Error, ErrorKind, Read, Result as IoResult, Write};
use std::str::FromStr;

use borsh::{BorshDeserialize, BorshSerialize};

/// A signature scheme. Its number is its wire form, one byte, and never changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Scheme {
    /// FN-DSA of degree 512, after the draft of FIPS 206.
    Falcon512 = 1,
    /// FN-DSA of degree 1024, after the draft of FIPS 206.
    Falcon1024 = 2,
    /// ML-DSA-44 of FIPS 204.
    MlDsa44 = 3,
    /// ML-DSA-65 of FIPS 204.
    MlDsa65 = 4,
    /// ML-DSA-87 of FIPS 204.
    MlDsa87 = 5,
    /// SLH-DSA-SHA2-128s of FIPS 205: small signatures, slow to make.
    SlhDsaSha2_128s = 6,
    /// SLH-DSA-SHA2-128f of FIPS 205: larger signatures, faster to make.
    SlhDsaSha2_128f = 7,
    /// SLH-DSA-SHA2-192s of FIPS 205.
    SlhDsaSha2_192s = 8,
    /// SLH-DSA-SHA2-256s of FIPS 205.
    SlhDsaSha2_256s = 9,
}

/// What a scheme is called and how large its parts are.
struct Facts {
    name: &'static str,
    aliases: &'static [&'static str],
    public_key_bytes: usize,
    signature_bytes: usize,
    security_category: u8,
}

impl Scheme {
    /// Every scheme, by number.
    pub const ALL: [Self; 9] = [
        Self::Falcon512,
        Self::Falcon1024,
        Self::MlDsa44,
        Self::MlDsa65,
        Self::MlDsa87,
        Self::SlhDsaSha2_128s,
        Self::SlhDsaSha2_128f,
        Self::SlhDsaSha2_192s,
        Self::SlhDsaSha2_256s,
    ];

    /// The name in files and commands, such as `ml-dsa-44`.
    pub const fn name(self) -> &'static str {
        self.facts().name
    }

    /// Length of a public key in bytes.
    pub const fn public_key_bytes(self) -> usize {
        self.facts().public_key_bytes
    }

    /// Length of a signature in bytes.
    pub const fn signature_bytes(self) -> usize {
        self.facts().signature_bytes
    }

    /// NIST's security category, 1 to 5.
    pub const fn security_category(self) -> u8 {
        self.facts().security_category
    }

    /// The scheme with this number on the wire.
    pub const fn from_byte(byte: u8) -> Option<Self> {
        match byte {
            1..=9 => Some(Self::ALL[byte as usize - 1]),
            _ => None,
        }
    }

    const fn facts(self) -> Facts {
        // name, other accepted names, public key, signature, category
        match self {
            Self::Falcon512 => facts("falcon-512", &["fn-dsa-512", "falcon512"], 897, 666, 1),
            Self::Falcon1024 => facts("falcon-1024", &["fn-dsa-1024", "falcon1024"], 1793, 1280, 5),
            Self::MlDsa44 => facts("ml-dsa-44", &["mldsa44"], 1312, 2420, 2),
            Self::MlDsa65 => facts("ml-dsa-65", &["mldsa65"], 1952, 3309, 3),
            Self::MlDsa87 => facts("ml-dsa-87", &["mldsa87"], 2592, 4627, 5),
            Self::SlhDsaSha2_128s => facts("slh-dsa-sha2-128s", &[], 32, 7856, 1),
            Self::SlhDsaSha2_128f => facts("slh-dsa-sha2-128f", &[], 32, 17_088, 1),
            Self::SlhDsaSha2_192s => facts("slh-dsa-sha2-192s", &[], 48, 16_224, 3),
            Self::SlhDsaSha2_256s => facts("slh-dsa-sha2-256s", &[], 64, 29_792, 5),
        }
    }
}

const fn facts(
    name: &'static str,
    aliases: &'static [&'static str],
    public_key_bytes: usize,
    signature_bytes: usize,
    security_category: u8,
) -> Facts {
    Facts { name, aliases, public_key_bytes, signature_bytes, security_category }
}

impl fmt::Display for Scheme {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.name())
    }
}

/// A name that no scheme has.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown scheme {name:?}; use one of {}", known_names())]
pub struct UnknownScheme {
    /// The name that was given, cut to a printable length.
    pub name: String,
}

fn known_names() -> String {
    Scheme::ALL.map(Scheme::name).join(", ")
}

/// Names are read without regard to case.
impl FromStr for Scheme {
    type Err = UnknownScheme;

    fn from_str(name: &str) -> Result<Self, UnknownScheme> {
        let lower = name.to_ascii_lowercase();
        Self::ALL
            .into_iter()
            .find(|scheme| scheme.name() == lower || scheme.facts().aliases.contains(&&*lower))
            .ok_or_else(|| UnknownScheme { name: name.chars().take(64).collect() })
    }
}

impl BorshSerialize for Scheme {
    fn serialize<W: Write>(&self, writer: &mut W) -> IoResult<()> {
        writer.write_all(&[*self as u8])
    }
}

impl BorshDeserialize for Scheme {
    fn deserialize_reader<R: Read>(reader: &mut R) -> IoResult<Self> {
        let byte = u8::deserialize_reader(reader)?;
        Self::from_byte(byte).ok_or_else(|| {
            Error::new(ErrorKind::InvalidData, format!("no signature scheme has the number {byte}"))
        })
    }
}

#[cfg(test)]
mod tests;
