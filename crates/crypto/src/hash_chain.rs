//! Hash chains: randomness that its owner has committed to long before it is revealed.
//!
//! The owner hashes a secret many times and registers the end, the **anchor**. Then it reveals the
//! chain backwards, one value at a time: everybody checks that the hash of what is revealed is what
//! was known before, and nobody, its owner included, can put another value in its place. All that
//! an owner can do is to keep a value for itself (DESIGN section 7).

use std::fmt;

use zeroize::Zeroizing;

use crate::{Digest, Domain, Hasher, SeededRandomness};

/// The longest chain. One value an epoch lasts for a century of hourly epochs.
pub const MAX_HASH_CHAIN: u32 = 1 << 20;

/// One value in so many is kept; those between are computed again when they are asked for.
const KEPT_EVERY: u32 = 64;

/// The value of a chain that follows `value`: what was known before `value` was revealed.
pub fn hash_chain_link(value: &Digest) -> Digest {
    Hasher::new(Domain::Beacon).update(b"hash-chain").update(value.as_bytes()).finalize()
}

/// The mixture of everything that was revealed, whatever the order, with one more value.
///
/// The values were fixed by their anchors, so nobody can choose one to fit the others, and a sum
/// that does not depend on the order leaves nothing to whoever orders them. It covers whose value
/// it is: who registers somebody else's anchor must not be able to cancel out what the other
/// reveals.
pub fn mix_reveal(mixed: &Digest, owner: u32, value: &Digest) -> Digest {
    let mut hasher = Hasher::new(Domain::Beacon);
    hasher.update(b"reveal").update(&owner.to_le_bytes()).update(value.as_bytes());
    let mut bytes = mixed.0;
    for (byte, other) in bytes.iter_mut().zip(hasher.finalize().0) {
        *byte ^= other;
    }
    Digest(bytes)
}

/// A chain in the hands of its owner: every value follows from a secret seed.
///
/// A seed makes one chain of one network: who reveals the same values twice tells everybody what
/// comes next.
#[derive(Clone)]
pub struct HashChain {
    /// The values 0, 64, 128, ... of the chain, the first being farthest from the anchor.
    kept: Zeroizing<Vec<[u8; 32]>>,
    length: u32,
    anchor: Digest,
}

impl fmt::Debug for HashChain {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "HashChain({} values, anchor {:?})", self.length, self.anchor)
    }
}

impl HashChain {
    /// The chain of a seed with so many values to reveal, or `None` for none or more than
    /// [`MAX_HASH_CHAIN`]. It costs a hash for each.
    pub fn new(seed: &[u8; 32], length: u32) -> Option<Self> {
        if length == 0 || length > MAX_HASH_CHAIN {
            return None;
        }
        let mut value = Digest::ZERO;
        SeededRandomness::labelled(seed, "hash-chain").fill(&mut value.0);
        let mut kept = Zeroizing::new(Vec::with_capacity(length.div_ceil(KEPT_EVERY) as usize));
        for place in 0..length {
            if place % KEPT_EVERY == 0 {
                kept.push(value.0);
            }
            value = hash_chain_link(&value);
        }
        Some(Self { kept, length, anchor: value })
    }

    /// What is registered: the hash of the value that is revealed first.
    pub const fn anchor(&self) -> Digest {
        self.anchor
    }

    /// How many values there are to reveal.
    pub const fn length(&self) -> u32 {
        self.length
    }

    /// The value that is revealed after `revealed` others, or `None` once all are. It costs less
    /// than 64 hashes.
    pub fn reveal(&self, revealed: u32) -> Option<Digest> {
        let place = self.length.checked_sub(1)?.checked_sub(revealed)?;
        let mut value = Digest(*self.kept.get((place / KEPT_EVERY) as usize)?);
        for _ in 0..place % KEPT_EVERY {
            value = hash_chain_link(&value);
        }
        Some(value)
    }

    /// How many values were revealed when `known` was the last, the anchor being none. `None` if
    /// it is not of this chain. For a driver that lost count; it may cost a hash for each value.
    pub fn revealed_up_to(&self, known: &Digest) -> Option<u32> {
        for (start, kept) in (0..).step_by(KEPT_EVERY as usize).zip(self.kept.iter()) {
            let mut value = Digest(*kept);
            for place in start..(start + KEPT_EVERY).min(self.length) {
                if value == *known {
                    return Some(self.length - place);
                }
                value = hash_chain_link(&value);
            }
        }
        (self.anchor == *known).then_some(0)
    }
}

#[cfg(test)]
mod tests;
