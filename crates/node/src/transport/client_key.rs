//! How a client's key is named: by its digest, as `qcn key show` prints it.

use std::fmt;
use std::str::FromStr;

use qcn_crypto::{Digest, PublicKey, Scheme, from_hex};
use serde::Deserialize;

/// The digits of a digest.
const DIGEST_DIGITS: usize = 64;

/// The digits of a whole ML-DSA-65 key.
const KEY_DIGITS: usize = 2 * 1_952;

/// A client's transport key, by the digest over its scheme and bytes. A key that another one could
/// pass for would be a collision of the hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(try_from = "String")]
pub struct ClientKey(Digest);

/// Why a text names no client's key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAClientKey {
    /// A key or a digest has another length.
    #[error("a text of {0} characters is no key of a client, whose digest has 64 hex digits")]
    Length(usize),
    /// Not what `qcn key show` prints.
    #[error("a text with other characters than hex digits is no key of a client")]
    Digits,
}

impl ClientKey {
    /// The name of a key.
    #[must_use]
    pub fn of(key: &PublicKey) -> Self {
        Self(key.digest())
    }
}

impl fmt::Display for ClientKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

impl FromStr for ClientKey {
    type Err = NotAClientKey;

    /// Takes the digest, or the whole key as `qcn key show --json` prints it.
    fn from_str(text: &str) -> Result<Self, NotAClientKey> {
        match text.len() {
            DIGEST_DIGITS => text.parse().map(Self).map_err(|_| NotAClientKey::Digits),
            KEY_DIGITS => {
                let bytes = from_hex(text).map_err(|_| NotAClientKey::Digits)?;
                let key = PublicKey::new(Scheme::MlDsa65, &bytes);
                key.map(|key| Self::of(&key)).map_err(|_| NotAClientKey::Digits)
            }
            _ => Err(NotAClientKey::Length(text.chars().count())),
        }
    }
}

impl TryFrom<String> for ClientKey {
    type Error = NotAClientKey;

    fn try_from(text: String) -> Result<Self, NotAClientKey> {
        text.parse()
    }
}

#[cfg(test)]
mod tests {
    use qcn_crypto::SigningKey;

    use super::*;

    #[test]
    fn a_key_is_named_by_its_digest_or_in_full() {
        let key = SigningKey::from_seed(Scheme::MlDsa65, &[3; 32]).unwrap();
        let key = key.public_key();
        let named = ClientKey::of(key);
        assert_eq!(key.to_string().parse(), Ok(named));
        assert_eq!(key.digest().to_string().parse(), Ok(named));
        assert_eq!(named.to_string(), key.digest().to_string());
        let parse = |text: &str| text.parse::<ClientKey>();
        assert_eq!(parse("ab"), Err(NotAClientKey::Length(2)));
        assert_eq!(parse(&"g".repeat(64)), Err(NotAClientKey::Digits));
        assert_eq!(parse(&"g".repeat(3_904)), Err(NotAClientKey::Digits));
    }
}
