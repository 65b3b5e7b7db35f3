//! A vector that knows its limit, so that a hostile length prefix cannot allocate.

use std::io::{Error, ErrorKind, Read, Result, Write};
use std::ops::Deref;

use borsh::{BorshDeserialize, BorshSerialize};

/// At most `N` elements of `T`; a longer encoding is refused before anything is allocated.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Bounded<T, const N: usize>(Vec<T>);

impl<T, const N: usize> Bounded<T, N> {
    /// The limit.
    pub const LIMIT: usize = N;

    /// Wraps `items`, or gives them back when they are more than `N`.
    ///
    /// # Errors
    /// The items themselves, if there are too many.
    pub fn new(items: Vec<T>) -> std::result::Result<Self, Vec<T>> {
        if items.len() <= N { Ok(Self(items)) } else { Err(items) }
    }

    /// Keeps the first `N` items.
    #[must_use]
    pub fn truncated(mut items: Vec<T>) -> Self {
        items.truncate(N);
        Self(items)
    }

    /// The items, each of which may become another one.
    pub fn iter_mut(&mut self) -> std::slice::IterMut<'_, T> {
        self.0.iter_mut()
    }

    /// The items, without their bound.
    #[must_use]
    pub fn into_inner(self) -> Vec<T> {
        self.0
    }
}

impl<T, const N: usize> Default for Bounded<T, N> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T, const N: usize> Deref for Bounded<T, N> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.0
    }
}

impl<'a, T, const N: usize> IntoIterator for &'a Bounded<T, N> {
    type Item = &'a T;
    type IntoIter = std::slice::Iter<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

impl<T: BorshSerialize, const N: usize> BorshSerialize for Bounded<T, N> {
    fn serialize<W: Write>(&self, writer: &mut W) -> Result<()> {
        self.0.serialize(writer)
    }
}

impl<T: BorshDeserialize, const N: usize> BorshDeserialize for Bounded<T, N> {
    fn deserialize_reader<R: Read>(reader: &mut R) -> Result<Self> {
        let length = u32::deserialize_reader(reader)? as usize;
        if length > N {
            let message = format!("a sequence of {length} elements where at most {N} are allowed");
            return Err(Error::new(ErrorKind::InvalidData, message));
        }
        // The length is a peer's claim: room grows with what really arrives.
        let mut items = Vec::with_capacity(length.min(64));
        for _ in 0..length {
            items.push(T::deserialize_reader(reader)?);
        }
        Ok(Self(items))
    }
}

#[cfg(test)]
mod tests;
