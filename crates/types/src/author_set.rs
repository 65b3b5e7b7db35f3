//! A set of committee members as a bitmap.

use std::io::{Error, ErrorKind, Read, Result, Write};

use borsh::{BorshDeserialize, BorshSerialize};

use crate::{MAX_MEMBERS, ValidatorIndex};

const WORDS: usize = MAX_MEMBERS / 64;

/// A set of validators of one committee, by index.
///
/// In memory a fixed bitmap; on the wire as many bytes as the highest member needs,
/// the last of them not zero, so that a set has one encoding.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug)]
pub struct AuthorSet {
    words: [u64; WORDS],
}

impl AuthorSet {
    /// The empty set.
    pub const EMPTY: Self = Self { words: [0; WORDS] };

    /// Adds a member; says whether it was new. An index out of range is not added.
    pub const fn insert(&mut self, author: ValidatorIndex) -> bool {
        let position = author.position();
        if position >= MAX_MEMBERS {
            return false;
        }
        let bit = 1_u64 << (position % 64);
        let word = &mut self.words[position / 64];
        let new = *word & bit == 0;
        *word |= bit;
        new
    }

    /// Takes a member out; says whether it was there.
    pub const fn remove(&mut self, author: ValidatorIndex) -> bool {
        let there = self.contains(author);
        if there {
            self.words[author.position() / 64] &= !(1_u64 << (author.position() % 64));
        }
        there
    }

    /// Whether the member is in the set.
    #[must_use]
    pub const fn contains(&self, author: ValidatorIndex) -> bool {
        let position = author.position();
        position < MAX_MEMBERS && self.words[position / 64] >> (position % 64) & 1 == 1
    }

    /// How many members the set has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.words.iter().map(|word| word.count_ones() as usize).sum()
    }

    /// Whether the set has no members.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.words.iter().all(|word| *word == 0)
    }

    /// The members of both sets.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        let mut words = self.words;
        for (word, theirs) in words.iter_mut().zip(other.words) {
            *word &= theirs;
        }
        Self { words }
    }

    /// The members of this set that are not in `other`.
    #[must_use]
    pub fn difference(&self, other: &Self) -> Self {
        let mut words = self.words;
        for (word, theirs) in words.iter_mut().zip(other.words) {
            *word &= !theirs;
        }
        Self { words }
    }

    /// The members of either set.
    #[must_use]
    pub fn union(&self, other: &Self) -> Self {
        let mut words = self.words;
        for (word, theirs) in words.iter_mut().zip(other.words) {
            *word |= theirs;
        }
        Self { words }
    }

    /// The members in rising order.
    pub fn iter(&self) -> impl Iterator<Item = ValidatorIndex> + use<> {
        let words = self.words;
        (0..WORDS).flat_map(move |index| {
            let mut rest = words[index];
            std::iter::from_fn(move || {
                if rest == 0 {
                    return None;
                }
                let bit = rest.trailing_zeros();
                rest &= rest - 1;
                Some(ValidatorIndex((index * 64) as u16 + bit as u16))
            })
        })
    }

    fn wire_bytes(&self) -> usize {
        let highest = self.words.iter().rposition(|word| *word != 0);
        highest.map_or(0, |index| index * 8 + 8 - self.words[index].leading_zeros() as usize / 8)
    }
}

impl FromIterator<ValidatorIndex> for AuthorSet {
    fn from_iter<I: IntoIterator<Item = ValidatorIndex>>(authors: I) -> Self {
        let mut set = Self::EMPTY;
        for author in authors {
            set.insert(author);
        }
        set
    }
}

impl BorshSerialize for AuthorSet {
    fn serialize<W: Write>(&self, writer: &mut W) -> Result<()> {
        let length = self.wire_bytes();
        (length as u8).serialize(writer)?;
        let mut bytes = [0_u8; MAX_MEMBERS / 8];
        for (chunk, word) in bytes.chunks_exact_mut(8).zip(self.words) {
            chunk.copy_from_slice(&word.to_le_bytes());
        }
        writer.write_all(&bytes[..length])
    }
}

impl BorshDeserialize for AuthorSet {
    fn deserialize_reader<R: Read>(reader: &mut R) -> Result<Self> {
        let length = u8::deserialize_reader(reader)? as usize;
        let refuse = |message: &str| Err(Error::new(ErrorKind::InvalidData, message.to_owned()));
        if length > MAX_MEMBERS / 8 {
            return refuse("an author set longer than the largest committee");
        }
        let mut bytes = [0_u8; MAX_MEMBERS / 8];
        reader.read_exact(&mut bytes[..length])?;
        if length > 0 && bytes[length - 1] == 0 {
            return refuse("an author set with an empty last byte");
        }
        let mut set = Self::EMPTY;
        for (word, chunk) in set.words.iter_mut().zip(bytes.chunks_exact(8)) {
            let mut little_endian = [0_u8; 8];
            little_endian.copy_from_slice(chunk);
            *word = u64::from_le_bytes(little_endian);
        }
        Ok(set)
    }
}

#[cfg(test)]
mod tests;
