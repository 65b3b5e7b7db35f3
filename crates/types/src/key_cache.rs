//! Decoded keys of accounts that sign again and again.
//!
//! Every transaction carries its key, and decoding a Falcon key takes a quarter of the time that
//! checking a signature takes. What is kept here is the outcome of a pure function, so whether
//! a key is found changes how long a check takes and nothing else.

#![expect(clippy::disallowed_types, reason = "the locks decide who waits, never what is valid")]

use std::sync::{Mutex, PoisonError};

use qcn_crypto::{KeyError, PublicKey, VerifyingKey};

/// Keys whose bytes choose the same set compete for its places.
const SETS: usize = 1_024;

/// Places in each set.
const WAYS: usize = 4;

/// Up to 4,096 decoded keys. With those of Falcon-512 it holds 8 MiB, with the largest 32.
///
/// The key's own bytes choose its set, so somebody can make keys that fall into one: they drive
/// out each other and at most four more, whose signatures then take as long as without a cache.
pub(crate) struct KeyCache {
    sets: Box<[Mutex<KeySet>]>,
}

/// The key that was used last comes first.
type KeySet = [Option<VerifyingKey>; WAYS];

impl KeyCache {
    pub(crate) fn new() -> Self {
        Self { sets: (0..SETS).map(|_| Mutex::default()).collect() }
    }

    /// The decoded key, from memory or decoded now.
    pub(crate) fn decode(&self, key: &PublicKey) -> Result<VerifyingKey, KeyError> {
        let set = &self.sets[set_of(key)];
        {
            let mut ways = set.lock().unwrap_or_else(PoisonError::into_inner);
            let is_it = |way: &Option<VerifyingKey>| {
                way.as_ref().is_some_and(|known| known.public_key() == key)
            };
            if let Some(at) = ways.iter().position(is_it) {
                ways[..=at].rotate_right(1);
                if let Some(known) = &ways[0] {
                    return Ok(known.clone());
                }
            }
        }
        let decoded = VerifyingKey::decode(key)?;
        let mut ways = set.lock().unwrap_or_else(PoisonError::into_inner);
        ways.rotate_right(1);
        ways[0] = Some(decoded.clone());
        Ok(decoded)
    }
}

/// The bytes behind the first, which Falcon uses as a header, are close to random in every scheme.
fn set_of(key: &PublicKey) -> usize {
    let mut bytes = [0; 8];
    for (byte, of_key) in bytes.iter_mut().zip(key.as_bytes().iter().skip(1)) {
        *byte = *of_key;
    }
    (u64::from_le_bytes(bytes) % SETS as u64) as usize
}

#[cfg(test)]
mod tests;
