use fips204::{CryptoRng, RngCore, RngError};

use super::*;
use crate::{from_hex, sha256, to_hex};

mod vectors;

const SETS: [ParameterSet; 3] = [ParameterSet::P44, ParameterSet::P65, ParameterSet::P87];

/// Deterministic ML-DSA is hedged ML-DSA with zeros for randomness.
struct Zeros;

impl RngCore for Zeros {
    fn next_u32(&mut self) -> u32 {
        0
    }
    fn next_u64(&mut self) -> u64 {
        0
    }
    fn fill_bytes(&mut self, bytes: &mut [u8]) {
        bytes.fill(0);
    }
    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), RngError> {
        bytes.fill(0);
        Ok(())
    }
}

impl CryptoRng for Zeros {}

fn seed(hex: &str) -> [u8; 32] {
    from_hex(hex).unwrap().try_into().unwrap()
}

fn deterministic(key: &SigningKey, message: &[u8], context: &[u8]) -> Vec<u8> {
    match key.contextual_key() {
        ContextualKey::P44(key) => {
            key.try_sign_with_rng(&mut Zeros, message, context).unwrap().to_vec()
        }
        ContextualKey::P65(key) => {
            key.try_sign_with_rng(&mut Zeros, message, context).unwrap().to_vec()
        }
        ContextualKey::P87(key) => {
            key.try_sign_with_rng(&mut Zeros, message, context).unwrap().to_vec()
        }
    }
}

#[test]
fn keys_of_nist_seeds_are_the_known_ones() {
    for (set, hex, expected) in vectors::KEY_GENERATION {
        let (_, public) = SigningKey::from_seed(*set, &seed(hex)).unwrap();
        assert_eq!(to_hex(&sha256(&public)), *expected, "{set:?} {hex}");
    }
}

#[test]
fn signatures_of_known_inputs_are_the_known_ones_and_verify() {
    for vector in vectors::SIGNATURES {
        let (key, public) = SigningKey::from_seed(vector.set, &seed(vector.seed)).unwrap();
        assert_eq!(to_hex(&sha256(&public)), vector.public_key_sha256);

        let message = from_hex(vector.message).unwrap();
        let context = from_hex(vector.context).unwrap();
        let signature = deterministic(&key, &message, &context);
        assert_eq!(to_hex(&sha256(&signature)), vector.signature_sha256);
        assert!(verify_with_context(vector.set, &public, &message, &context, &signature));
    }
}

/// Both libraries make the same key of a seed, and each accepts what the other signs.
#[test]
fn two_implementations_agree_in_both_directions() {
    for set in SETS {
        for number in 0..8 {
            let (key, public) = SigningKey::from_seed(set, &[number; 32]).unwrap();
            let decoded = VerifyingKey::decode(set, &public).unwrap();
            let message = vec![number; 100 * usize::from(number)];

            let mut first = vec![0; set.signing().signature_len()];
            key.sign_hedged(&message, &mut first).unwrap();
            assert!(verify_with_context(set, &public, &message, &[], &first));

            let mut randomness = SeededRandomness::from_u64(number.into(), "cross-check");
            let second = key.sign_with_context(&message, &[], &mut randomness).unwrap();
            assert!(decoded.verify(&message, &second));

            first[40] ^= 1;
            assert!(!verify_with_context(set, &public, &message, &[], &first));
            assert!(!decoded.verify(&message, &first));
        }
    }
}

/// Both libraries judge a damaged signature alike, byte by byte: hints and
/// norms at the edge of the encoding are where implementations differ.
#[test]
fn two_implementations_refuse_the_same_damage() {
    let set = ParameterSet::P44;
    let (key, public) = SigningKey::from_seed(set, &[7; 32]).unwrap();
    let decoded = VerifyingKey::decode(set, &public).unwrap();
    let mut signature = vec![0; set.signing().signature_len()];
    key.sign_hedged(b"message", &mut signature).unwrap();
    // The hints are the last 84 bytes.
    for position in signature.len() - 84..signature.len() {
        for replacement in [0, 1, 79, 80, 81, 255] {
            let mut damaged = signature.clone();
            damaged[position] = replacement;
            let valid = decoded.verify(b"message", &damaged);
            assert_eq!(valid, damaged == signature, "byte {position} = {replacement}");
            assert_eq!(valid, verify_with_context(set, &public, b"message", &[], &damaged));
        }
    }
}

#[test]
fn no_generated_key_is_degenerate() {
    for set in SETS {
        let (_, mut public) = SigningKey::from_seed(set, &[1; 32]).unwrap();
        assert!(!is_degenerate(&public));
        public[PUBLIC_SEED_BYTES..].fill(0);
        assert!(is_degenerate(&public), "t1 = 0 under an honest seed");
    }
}
