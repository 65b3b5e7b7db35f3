//! Which shard an address belongs to (DESIGN section 7).

use std::fmt;
use std::io::{Error, ErrorKind, Read, Result};

use borsh::{BorshDeserialize, BorshSerialize};
use qcn_crypto::Digest;

use crate::{Address, Bounded, ShardId};

/// The most shards of a layout.
pub const MAX_SHARDS: usize = 256;

/// The longest prefix, in bits.
pub const MAX_PREFIX_BITS: u8 = 32;

/// The leading bits that the addresses of a shard share.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, BorshSerialize)]
pub struct Prefix {
    /// The bits, the first being the highest; zero beyond the length.
    bits: u32,
    /// How many there are.
    length: u8,
}

impl Prefix {
    /// The prefix of all addresses.
    pub const EMPTY: Self = Self { bits: 0, length: 0 };

    /// The two prefixes one bit longer, or `None` if this one is as long as may be.
    #[must_use]
    pub const fn halves(self) -> Option<[Self; 2]> {
        if self.length >= MAX_PREFIX_BITS {
            return None;
        }
        let length = self.length + 1;
        let low = Self { bits: self.bits, length };
        let high = Self { bits: self.bits | 1 << (MAX_PREFIX_BITS - length), length };
        Some([low, high])
    }

    /// The prefix one bit shorter, or `None` for that of all addresses.
    #[must_use]
    pub const fn parent(self) -> Option<Self> {
        if self.length == 0 {
            return None;
        }
        let length = self.length - 1;
        Some(Self { bits: self.bits & !(1 << (MAX_PREFIX_BITS - self.length)), length })
    }

    /// The bits, the first being the highest; zero beyond the length.
    #[must_use]
    pub const fn bits(self) -> u32 {
        self.bits
    }

    /// How many bits there are.
    #[must_use]
    pub const fn length(self) -> u8 {
        self.length
    }

    /// Whether an address begins with it.
    #[must_use]
    pub fn covers(self, address: &Address) -> bool {
        let bits = leading_bits(&address.0);
        u64::from(bits ^ self.bits) >> (MAX_PREFIX_BITS - self.length) == 0
    }

    /// Whether it has no bits beyond its length.
    const fn is_canonical(self) -> bool {
        self.length <= MAX_PREFIX_BITS
            && ((self.bits as u64) << self.length) & ((1 << MAX_PREFIX_BITS) - 1) == 0
    }

    /// The first 32-bit number above all that it covers.
    const fn end(self) -> u64 {
        self.bits as u64 + (1 << (MAX_PREFIX_BITS - self.length))
    }
}

impl BorshDeserialize for Prefix {
    fn deserialize_reader<R: Read>(reader: &mut R) -> Result<Self> {
        let prefix = Self {
            bits: u32::deserialize_reader(reader)?,
            length: u8::deserialize_reader(reader)?,
        };
        if prefix.is_canonical() { Ok(prefix) } else { Err(invalid("a prefix has bits too many")) }
    }
}

fn invalid(message: &str) -> Error {
    Error::new(ErrorKind::InvalidData, message.to_owned())
}

impl fmt::Display for Prefix {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for position in 0..self.length {
            write!(formatter, "{}", self.bits >> (MAX_PREFIX_BITS - 1 - position) & 1)?;
        }
        formatter.write_str("*")
    }
}

impl fmt::Debug for Prefix {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

fn leading_bits(digest: &Digest) -> u32 {
    u32::from_be_bytes([digest.0[0], digest.0[1], digest.0[2], digest.0[3]])
}

/// Why shards and prefixes are no layout.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum LayoutError {
    /// No shard, or more than [`MAX_SHARDS`].
    #[error("a layout has 1 to {MAX_SHARDS} shards, not {0}")]
    Count(usize),
    /// The prefixes leave out addresses, cover some twice, or are not in order.
    #[error("the prefixes must cover every address once, in order: see {0}")]
    NoPartition(Prefix),
    /// A shard stands in it twice.
    #[error("shard {0} has two prefixes")]
    Repeated(ShardId),
    /// A shard takes part in one change at a time.
    #[error("shard {0} would take part in two changes at once")]
    Twice(ShardId),
    /// There is no such shard.
    #[error("the layout has no shard {0}")]
    Unknown(ShardId),
    /// A prefix of the greatest length has no halves.
    #[error("the prefix of shard {0} has {MAX_PREFIX_BITS} bits already and cannot be halved")]
    TooLong(ShardId),
    /// Only the lower and the upper half of one prefix can become one.
    #[error("shards {0} and {1} are not the lower and the upper half of one prefix")]
    NoSiblings(ShardId, ShardId),
}

/// The shards and their prefixes: a partition of all addresses, in their order.
#[derive(Clone, PartialEq, Eq, Debug, BorshSerialize)]
pub struct Layout {
    shards: Bounded<(Prefix, ShardId), MAX_SHARDS>,
}

impl Layout {
    /// A layout of these shards.
    ///
    /// # Errors
    /// [`LayoutError`], naming what does not fit.
    pub fn new(shards: Vec<(Prefix, ShardId)>) -> std::result::Result<Self, LayoutError> {
        if shards.is_empty() || shards.len() > MAX_SHARDS {
            return Err(LayoutError::Count(shards.len()));
        }
        let mut covered = 0;
        for (prefix, _) in &shards {
            if u64::from(prefix.bits) != covered {
                return Err(LayoutError::NoPartition(*prefix));
            }
            covered = prefix.end();
        }
        if let Some((last, _)) = shards.last()
            && covered != Prefix::EMPTY.end()
        {
            return Err(LayoutError::NoPartition(*last));
        }
        let mut ids: Vec<ShardId> = shards.iter().map(|(_, shard)| *shard).collect();
        ids.sort_unstable();
        match ids.windows(2).find(|pair| pair[0] == pair[1]) {
            Some(pair) => Err(LayoutError::Repeated(pair[0])),
            None => Ok(Self { shards: Bounded::truncated(shards) }),
        }
    }

    /// One shard with every address.
    #[must_use]
    pub fn whole(shard: ShardId) -> Self {
        Self { shards: Bounded::truncated(vec![(Prefix::EMPTY, shard)]) }
    }

    /// Shards 0, 1, 2, ... in the order of their prefixes, whose lengths differ by one at most.
    ///
    /// # Errors
    /// [`LayoutError::Count`].
    pub fn even(count: usize) -> std::result::Result<Self, LayoutError> {
        if count == 0 || count > MAX_SHARDS {
            return Err(LayoutError::Count(count));
        }
        let mut prefixes = vec![Prefix::EMPTY];
        while prefixes.len() < count {
            // The first of the shortest.
            let shortest = (0..prefixes.len()).min_by_key(|at| prefixes[*at].length).unwrap_or(0);
            let Some(halves) = prefixes[shortest].halves() else {
                return Err(LayoutError::Count(count));
            };
            prefixes.splice(shortest..=shortest, halves);
        }
        Self::new(prefixes.into_iter().zip((0..).map(ShardId)).collect())
    }

    /// The layout after a shard has given the upper half of its addresses to a new one.
    ///
    /// # Errors
    /// [`LayoutError`], if there is no such shard, the new number is in use, or there would be too
    /// many shards or too long prefixes.
    pub fn split(&self, shard: ShardId, new: ShardId) -> std::result::Result<Self, LayoutError> {
        let at = self.position(shard).ok_or(LayoutError::Unknown(shard))?;
        let halves = self.shards[at].0.halves().ok_or(LayoutError::TooLong(shard))?;
        let mut shards = self.shards.to_vec();
        shards.splice(at..=at, [(halves[0], shard), (halves[1], new)]);
        Self::new(shards)
    }

    /// The layout after a shard has taken over the addresses of its upper sibling.
    ///
    /// # Errors
    /// [`LayoutError`], if one of them does not exist, or they are not the halves of one prefix.
    pub fn merge(&self, into: ShardId, closed: ShardId) -> std::result::Result<Self, LayoutError> {
        let at = self.position(into).ok_or(LayoutError::Unknown(into))?;
        let upper = self.position(closed).ok_or(LayoutError::Unknown(closed))?;
        let both = self.shards[at]
            .0
            .parent()
            .filter(|parent| parent.halves() == Some([self.shards[at].0, self.shards[upper].0]));
        let both = both.ok_or(LayoutError::NoSiblings(into, closed))?;
        let mut shards = self.shards.to_vec();
        shards.splice(at..=upper, [(both, into)]);
        Self::new(shards)
    }

    fn position(&self, shard: ShardId) -> Option<usize> {
        self.shards.iter().position(|(_, other)| *other == shard)
    }

    /// The prefix of a shard.
    #[must_use]
    pub fn prefix(&self, shard: ShardId) -> Option<Prefix> {
        Some(self.shards[self.position(shard)?].0)
    }

    /// The shards with their prefixes, in the order of prefixes.
    #[must_use]
    pub fn shards(&self) -> &[(Prefix, ShardId)] {
        &self.shards
    }

    /// The shard of an address.
    #[must_use]
    pub fn shard_of(&self, address: &Address) -> ShardId {
        let bits = leading_bits(&address.0);
        let after = self.shards.partition_point(|(prefix, _)| prefix.bits <= bits);
        self.shards[after - 1].1
    }

    /// Whether the layout has this shard.
    #[must_use]
    pub fn contains(&self, shard: ShardId) -> bool {
        self.position(shard).is_some()
    }
}

impl BorshDeserialize for Layout {
    fn deserialize_reader<R: Read>(reader: &mut R) -> Result<Self> {
        let shards = Bounded::<(Prefix, ShardId), MAX_SHARDS>::deserialize_reader(reader)?;
        Self::new(shards.into_inner()).map_err(|error| invalid(&error.to_string()))
    }
}

#[cfg(test)]
mod tests;
