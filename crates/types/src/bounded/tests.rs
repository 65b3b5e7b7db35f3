//! Bounds hold before memory is taken.

use std::io::{Read, Result};

use borsh::BorshDeserialize;

use super::Bounded;
use crate::{decode, encode};

/// A peer that claims a length, and may never send what it claims.
struct Claim {
    prefix: [u8; 4],
    sent: usize,
}

impl Read for Claim {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize> {
        let rest = &self.prefix[self.sent.min(4)..];
        assert!(!rest.is_empty(), "nothing behind a refused length is read");
        let length = rest.len().min(buffer.len());
        buffer[..length].copy_from_slice(&rest[..length]);
        self.sent += length;
        Ok(length)
    }
}

/// A length above the bound is refused before any element is read or room is made for it.
#[test]
fn a_long_length_is_refused_before_allocating() {
    for length in [5, 1_000, u32::MAX] {
        let mut claim = Claim { prefix: length.to_le_bytes(), sent: 0 };
        let refused = Bounded::<[u64; 512], 4>::deserialize_reader(&mut claim);
        let reason = refused.map(|_| ()).map_err(|error| error.to_string());
        let expected = format!("a sequence of {length} elements where at most 4 are allowed");
        assert_eq!(reason, Err(expected));
    }
}

/// A length within the bound but beyond the input takes room for what came, not for the claim.
#[test]
fn a_claimed_length_does_not_reserve_room() {
    const HUGE: usize = u32::MAX as usize;
    let mut bytes = encode(&u32::MAX);
    bytes.extend([1, 2, 3]);
    assert!(decode::<Bounded<u8, HUGE>>(&bytes).is_err());
}

#[test]
fn the_bound_is_inclusive() {
    assert_eq!(Bounded::<u8, 3>::new(vec![1, 2, 3]).map(|items| items.len()), Ok(3));
    assert_eq!(Bounded::<u8, 3>::new(vec![1, 2, 3, 4]), Err(vec![1, 2, 3, 4]));
    assert_eq!(*Bounded::<u8, 3>::truncated(vec![1, 2, 3, 4]), [1, 2, 3]);
    assert_eq!(Bounded::<u8, 3>::LIMIT, 3);
    let full = Bounded::<u16, 3>::truncated(vec![1, 2, 3]);
    assert_eq!(decode(&encode(&full)), Ok(full.clone()));
    assert!(decode::<Bounded<u16, 2>>(&encode(&full)).is_err());
    assert_eq!(full.into_inner(), [1, 2, 3]);
}

/// On the wire it is what a vector is.
#[test]
fn it_encodes_as_a_vector() {
    assert_eq!(encode(&Bounded::<u16, 9>::truncated(vec![7, 8])), encode(&vec![7_u16, 8]));
    assert_eq!(encode(&Bounded::<u16, 9>::default()), [0; 4]);
}
