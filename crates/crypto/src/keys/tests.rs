use proptest::prelude::*;

use super::*;

fn schemes() -> impl Strategy<Value = Scheme> {
    proptest::sample::select(Scheme::ALL.to_vec())
}

/// A reader that fails the test if more is asked of it than it was given leave for.
struct Counting<'a> {
    bytes: &'a [u8],
    largest_request: usize,
}

impl Read for Counting<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> IoResult<usize> {
        self.largest_request = self.largest_request.max(buffer.len());
        self.bytes.read(buffer)
    }
}

#[test]
fn keys_of_any_other_length_are_refused() {
    for scheme in Scheme::ALL {
        let expected = scheme.public_key_bytes();
        for actual in [0, 1, expected - 1, expected + 1, expected + 22] {
            assert_eq!(
                PublicKey::new(scheme, &vec![1; actual]),
                Err(KeyError::WrongLength { scheme, expected, actual })
            );
        }
        assert!(PublicKey::new(scheme, &vec![1; expected]).is_ok());
    }
}

/// A key's address is the hash of its wire form, however often it is asked for, and equal keys are
/// equal whether or not they share their bytes.
#[test]
fn an_address_is_the_hash_of_the_wire_form() {
    for scheme in Scheme::ALL {
        let key = PublicKey::new(scheme, &vec![7; scheme.public_key_bytes()]).unwrap();
        let wire = borsh::to_vec(&key).unwrap();
        let expected = crate::hash(Domain::Address, &wire);
        assert_eq!([key.address(), key.address(), key.clone().address()], [expected; 3]);
        let other: PublicKey = borsh::from_slice(&wire).unwrap();
        assert_eq!((&other, other.address(), other.cmp(&key)), (&key, expected, Ordering::Equal));
    }
}

#[test]
fn the_longest_signature_is_the_limit() {
    let longest = Scheme::ALL.map(Scheme::signature_bytes).into_iter().max();
    assert_eq!(longest, Some(MAX_SIGNATURE_BYTES));
    assert!(Signature::new(vec![0; MAX_SIGNATURE_BYTES]).is_ok());
    assert!(Signature::new(vec![0; MAX_SIGNATURE_BYTES + 1]).is_err());
}

#[test]
fn a_claimed_length_above_the_limit_is_refused_before_anything_is_read() {
    for length in [MAX_SIGNATURE_BYTES as u32 + 1, u32::MAX] {
        let bytes = [&length.to_le_bytes()[..], &[0; 64]].concat();
        let mut reader = Counting { bytes: &bytes, largest_request: 0 };
        assert!(Signature::deserialize_reader(&mut reader).is_err());
        assert_eq!((reader.largest_request, reader.bytes.len()), (4, 64));
    }
}

#[test]
fn keys_of_two_schemes_with_the_same_bytes_have_two_digests() {
    let slow = PublicKey::new(Scheme::SlhDsaSha2_128s, &[3; 32]).unwrap();
    let fast = PublicKey::new(Scheme::SlhDsaSha2_128f, &[3; 32]).unwrap();
    assert_ne!(slow.digest(), fast.digest());
    assert_ne!(slow, fast);
}

proptest! {
    #[test]
    fn public_keys_read_back_and_nothing_else_does(scheme in schemes(), byte: u8, cut in 0usize..100) {
        let key = PublicKey::new(scheme, &vec![byte; scheme.public_key_bytes()]).unwrap();
        let mut encoded = borsh::to_vec(&key).unwrap();
        prop_assert_eq!(encoded.len(), 1 + scheme.public_key_bytes());
        prop_assert_eq!(&borsh::from_slice::<PublicKey>(&encoded).unwrap(), &key);
        let shorter = &encoded[..encoded.len().saturating_sub(cut + 1)];
        prop_assert!(borsh::from_slice::<PublicKey>(shorter).is_err());
        encoded.push(byte);
        prop_assert!(borsh::from_slice::<PublicKey>(&encoded).is_err());
    }

    #[test]
    fn signatures_read_back_and_nothing_else_does(
        bytes in proptest::collection::vec(any::<u8>(), 0..5000),
        cut in 0usize..100,
    ) {
        let signature = Signature::new(bytes.clone()).unwrap();
        let mut encoded = borsh::to_vec(&signature).unwrap();
        prop_assert_eq!(encoded.len(), 4 + bytes.len());
        prop_assert_eq!(&borsh::from_slice::<Signature>(&encoded).unwrap(), &signature);
        let shorter = &encoded[..encoded.len().saturating_sub(cut + 1)];
        prop_assert!(borsh::from_slice::<Signature>(shorter).is_err());
        encoded.push(0);
        prop_assert!(borsh::from_slice::<Signature>(&encoded).is_err());
    }

    #[test]
    fn arbitrary_bytes_decode_to_what_encodes_to_them(
        bytes in proptest::collection::vec(any::<u8>(), 0..100),
    ) {
        if let Ok(key) = borsh::from_slice::<PublicKey>(&bytes) {
            prop_assert_eq!(borsh::to_vec(&key).unwrap(), bytes.clone());
        }
        if let Ok(signature) = borsh::from_slice::<Signature>(&bytes) {
            prop_assert_eq!(borsh::to_vec(&signature).unwrap(), bytes);
        }
    }
}
