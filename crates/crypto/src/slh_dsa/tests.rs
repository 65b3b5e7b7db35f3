use ::slh_dsa::{
    ParameterSet as Parameters, Sha2_128f, Sha2_128s, Sha2_192s, Sha2_256s, Signature as Reference,
    SigningKey as ReferenceKey, VerifyingKey as ReferenceVerifyingKey,
};

use super::*;
use crate::from_hex;

mod vectors;

#[test]
fn keys_of_nist_seeds_are_the_known_ones() {
    for (set, secret, prf, public_seed, expected) in vectors::KEY_GENERATION {
        let seeds = from_hex(&[*secret, *prf, *public_seed].concat()).unwrap();
        let (_, public) = SigningKey::from_seeds(*set, &seeds).unwrap();
        assert_eq!(public, from_hex(expected).unwrap(), "{set:?}");
    }
}

#[test]
fn seeds_of_a_wrong_length_give_no_key() {
    assert!(SigningKey::from_seeds(ParameterSet::S128, &[0; 47]).is_none());
    assert!(SigningKey::from_seeds(ParameterSet::S128, &[0; 49]).is_none());
}

/// Of the same seeds and the same randomness, both implementations make the
/// same key and the same signature, byte by byte, and accept each other's.
fn check_against_reference<P: Parameters>(set: ParameterSet) {
    let mut seeds = vec![0; 3 * set.seed_bytes()];
    SeededRandomness::from_u64(1, "seeds").fill(&mut seeds);
    let (key, public) = SigningKey::from_seeds(set, &seeds).unwrap();
    let [secret, prf, public_seed] = [0, 1, 2].map(|index| {
        let start = index * set.seed_bytes();
        &seeds[start..start + set.seed_bytes()]
    });
    let reference = ReferenceKey::<P>::slh_keygen_internal(secret, prf, public_seed);
    let reference_public = ReferenceVerifyingKey::<P>::try_from(&*public).unwrap();
    assert!(reference.as_ref() == &reference_public);

    let (message, context) = (b"a message".as_slice(), b"a context".as_slice());
    let randomness = SeededRandomness::from_u64(2, "signature");
    let mut added = vec![0; set.seed_bytes()];
    randomness.clone().fill(&mut added);
    let ours = key.sign(message, context, &mut randomness.clone()).unwrap();
    let theirs = reference.try_sign_with_context(message, context, Some(&added)).unwrap();
    assert!(theirs.to_bytes().as_slice() == ours.as_slice(), "{set:?}: signatures differ");

    let read = Reference::<P>::try_from(ours.as_slice()).unwrap();
    assert!(reference_public.try_verify_with_context(message, context, &read).is_ok());
    assert!(reference_public.try_verify_with_context(message, b"", &read).is_err());
    let decoded = VerifyingKey::decode(set, &public).unwrap();
    assert!(decoded.verify(message, context, &theirs.to_bytes()));
    assert!(!decoded.verify(message, b"", &ours));
}

#[test]
fn sha2_128s_agrees_with_a_second_implementation() {
    check_against_reference::<Sha2_128s>(ParameterSet::S128);
}

#[test]
fn sha2_128f_agrees_with_a_second_implementation() {
    check_against_reference::<Sha2_128f>(ParameterSet::F128);
}

#[test]
fn sha2_192s_agrees_with_a_second_implementation() {
    check_against_reference::<Sha2_192s>(ParameterSet::S192);
}

#[test]
fn sha2_256s_agrees_with_a_second_implementation() {
    check_against_reference::<Sha2_256s>(ParameterSet::S256);
}

#[test]
fn a_constant_half_makes_a_key_degenerate() {
    let (_, public) = SigningKey::from_seeds(ParameterSet::F128, &[5; 48]).unwrap();
    assert!(is_degenerate(&public), "the public seed is all fives");
    let mut seeds = [5; 48];
    seeds[32] = 6;
    let (_, public) = SigningKey::from_seeds(ParameterSet::F128, &seeds).unwrap();
    assert!(!is_degenerate(&public));
    assert!(is_degenerate(&[&public[..16], &[0; 16]].concat()));
}
