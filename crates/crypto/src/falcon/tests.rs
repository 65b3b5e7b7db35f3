use super::*;
use crate::{sha256, to_hex};

const DEGREES: [Degree; 2] = [Degree::D512, Degree::D1024];

fn key(degree: Degree, seed: u64) -> (SigningKey, Vec<u8>) {
    let mut randomness = SeededRandomness::from_u64(seed, "falcon key");
    SigningKey::generate(degree, &mut randomness).unwrap()
}

fn sign(key: &SigningKey, degree: Degree, message: &[u8], context: &[u8], seed: u64) -> Vec<u8> {
    let logn = match degree {
        Degree::D512 => FN_DSA_LOGN_512,
        Degree::D1024 => FN_DSA_LOGN_1024,
    };
    let mut signature = vec![0; fn_dsa::signature_size(logn)];
    let mut randomness = SeededRandomness::from_u64(seed, "falcon signature");
    key.sign(message, context, &mut randomness, &mut signature).unwrap();
    signature
}

/// The standard is a draft, so there are no official answers yet. These are the
/// crate's own of the day it was pinned: if they change, so did the format of
/// every key and signature, or a processor rounds differently.
#[test]
fn keys_and_signatures_stay_what_they_were() {
    let answers = DEGREES.map(|degree| {
        let (key, public) = key(degree, 1);
        let signature = sign(&key, degree, b"message", b"context", 2);
        [to_hex(&sha256(&public)), to_hex(&sha256(&signature))]
    });
    let expected = [
        [
            "11dad8bcd16fd01a65328d76d4ef5592bb6d5f8deeae8ca1b437d74ca105e601",
            "63f8bfb24cfb37d27c7922d8d619ff53c4a0ecd31c94dc427cc05b983d9687c8",
        ],
        [
            "914f876100f8fdb55fa6ee79aafe19e221ece2f329fa924449fb86ef071998af",
            "6e2f24f549fec7a31a858b24722d545fd93dad3f7e0d35d51ba7f5211a03de98",
        ],
    ];
    assert_eq!(answers, expected);
}

#[test]
fn a_signature_fits_only_its_message_context_and_key() {
    for degree in DEGREES {
        let (key_a, public_a) = key(degree, 1);
        let (_, public_b) = key(degree, 2);
        let signature = sign(&key_a, degree, b"message", b"context", 3);
        let key_a = VerifyingKey::decode(degree, &public_a).unwrap();
        let key_b = VerifyingKey::decode(degree, &public_b).unwrap();
        assert!(key_a.verify(b"message", b"context", &signature));
        assert!(!key_a.verify(b"messagf", b"context", &signature));
        assert!(!key_a.verify(b"message", b"", &signature));
        assert!(!key_a.verify(b"tmessage", b"contex", &signature));
        assert!(!key_b.verify(b"message", b"context", &signature));
    }
}

/// The compressed polynomial ends before the signature does; the rest is
/// padding, which only zeros may fill. Otherwise one signature had many forms.
#[test]
fn padding_other_than_zero_is_refused() {
    for degree in DEGREES {
        let (key, public) = key(degree, 1);
        let decoded = VerifyingKey::decode(degree, &public).unwrap();
        let mut padded = 0;
        for seed in 0..20 {
            let signature = sign(&key, degree, b"message", b"", seed);
            let end = signature.iter().rposition(|byte| *byte != 0).unwrap() + 1;
            for position in end..signature.len() {
                let mut other = signature.clone();
                other[position] = 0x80;
                assert!(!decoded.verify(b"message", b"", &other));
                padded += 1;
            }
        }
        assert!(padded > 0, "no signature of twenty had padding");
    }
}

#[test]
fn every_other_header_byte_is_refused() {
    for degree in DEGREES {
        let (key, public) = key(degree, 1);
        let decoded = VerifyingKey::decode(degree, &public).unwrap();
        let signature = sign(&key, degree, b"message", b"", 1);
        for header in 0..=255 {
            let mut other = signature.clone();
            other[0] = header;
            assert_eq!(decoded.verify(b"message", b"", &other), header == signature[0]);
            let mut other = public.clone();
            other[0] = header;
            assert_eq!(VerifyingKey::decode(degree, &other).is_some(), header == public[0]);
        }
    }
}

/// Coefficients are 14 bits wide but must be below 12289: no key has two encodings.
#[test]
fn coefficients_above_the_modulus_are_refused() {
    for degree in DEGREES {
        let (_, public) = key(degree, 1);
        let mut other = public.clone();
        other[1] = 0xff;
        other[2] |= 0xfc;
        assert!(VerifyingKey::decode(degree, &other).is_none());
    }
}
