//! One encoding per value, for every type that travels.

use std::fmt::Debug;

use borsh::{BorshDeserialize, BorshSerialize};
use qcn_crypto::Digest;

use super::{DecodeError, MAX_FRAME_BYTES, decode, encode};
use crate::testing::{attestations, full_body, members, rotation, signed, transfer};
use crate::{
    AttestationProof, Bounded, Certificate, Checkpoint, Committee, CompactBlock, Epoch, Evidence,
    Height, ShardId, ValidatorIndex,
};

/// Checks that `value` comes back from its bytes, and that no bytes near them are a second
/// encoding of it: each flip, cut and tail is refused or is another value's only encoding.
fn assert_one_encoding<T>(value: &T)
where
    T: BorshSerialize + BorshDeserialize + PartialEq + Debug,
{
    let bytes = encode(value);
    assert_eq!(decode::<T>(&bytes).as_ref(), Ok(value));
    // Long values have long stretches alike: signatures, keys, digests.
    let stride = bytes.len() / 1_500 + 1;
    for position in (0..bytes.len()).step_by(stride) {
        assert!(decode::<T>(&bytes[..position]).is_err(), "cut at {position}");
        for bit in 0..8 {
            let mut flipped = bytes.clone();
            flipped[position] ^= 1 << bit;
            if let Ok(other) = decode::<T>(&flipped) {
                assert_ne!(&other, value, "bit {bit} of byte {position}");
                assert_eq!(encode(&other), flipped, "bit {bit} of byte {position}");
            }
        }
    }
    for tail in [0, 1, 0xff] {
        let longer = [bytes.as_slice(), &[tail]].concat();
        assert!(decode::<T>(&longer).is_err(), "with a tail");
    }
}

fn certificate() -> Certificate {
    let checkpoint =
        Checkpoint { height: Height(8), state_root: Digest([3; 32]), ..Checkpoint::default() };
    let proof = |author| AttestationProof {
        author: ValidatorIndex(author),
        header: Digest([author as u8; 32]),
        attestations: attestations(&["a", "b"]),
        signature: signed(full_body()).signature,
    };
    Certificate { checkpoint, attestations: Bounded::truncated(vec![proof(0), proof(2)]) }
}

#[test]
fn transactions_have_one_encoding() {
    assert_one_encoding(&transfer(2, 0));
    assert_one_encoding(&rotation(3, u64::MAX));
}

#[test]
fn blocks_have_one_encoding() {
    let block = signed(full_body());
    assert_one_encoding(&CompactBlock::pack(&block));
    assert_one_encoding(&CompactBlock::in_full(&block));
}

#[test]
fn evidence_has_one_encoding() {
    let (one, other) = (signed(full_body()), signed(crate::testing::bare_body()));
    assert_one_encoding(&Evidence::equivocation(&one, &other));
    assert_one_encoding(&Evidence::conflicting_attestations(&one, &other));
    assert_one_encoding(&Evidence::invalid_block(&other));
}

#[test]
fn certificates_and_committees_have_one_encoding() {
    assert_one_encoding(&certificate());
    let committee = Committee::new(ShardId(1), Epoch(2), members(&[5, 6, 7, 8]));
    assert_one_encoding(&committee.expect("good members"));
}

/// A frame that is too long is refused by its length alone.
#[test]
fn long_frames_are_refused() {
    let bytes = vec![0; MAX_FRAME_BYTES + 1];
    let refused = decode::<Bounded<u8, MAX_FRAME_BYTES>>(&bytes);
    assert_eq!(refused, Err(DecodeError::TooLong { bytes: MAX_FRAME_BYTES + 1 }));
}
