use aws_lc_rs::signature::{ML_DSA_44_SIGNING, PqdsaKeyPair};
use fn_dsa::SHAKE256;

use super::*;
use crate::{Digest, Scheme, SignatureError};

const CHAIN: ChainId = ChainId(Digest([1; 32]));

#[test]
fn a_holder_registers_its_key() {
    for scheme in [Scheme::Falcon512, Scheme::MlDsa44, Scheme::SlhDsaSha2_128f] {
        let key = SigningKey::generate(scheme).unwrap();
        let proof = prove_possession(&key, CHAIN, Role::Consensus).unwrap();
        let registered =
            verify_possession(key.public_key(), CHAIN, Role::Consensus, &proof).unwrap();
        assert_eq!(registered.public_key(), key.public_key());
    }
}

#[test]
fn a_proof_serves_for_no_other_key_chain_or_role() {
    let [key, other] =
        [1, 2].map(|seed| SigningKey::from_seed(Scheme::Falcon512, &[seed; 32]).unwrap());
    let proof = prove_possession(&key, CHAIN, Role::Consensus).unwrap();
    let refused = KeyError::Possession(SignatureError::Mismatch);
    let elsewhere = ChainId(Digest([2; 32]));
    for (public_key, chain, role) in [
        (other.public_key(), CHAIN, Role::Consensus),
        (key.public_key(), elsewhere, Role::Consensus),
        (key.public_key(), CHAIN, Role::Operator),
    ] {
        assert_eq!(verify_possession(public_key, chain, role, &proof).unwrap_err(), refused);
    }
    // Nor does a signature of the same bytes for another purpose.
    let context = SigningContext::new(Domain::Block, CHAIN, Role::Consensus);
    let signature = key.sign(&context, key.public_key().digest().as_bytes()).unwrap();
    assert_eq!(
        verify_possession(key.public_key(), CHAIN, Role::Consensus, &signature).unwrap_err(),
        refused
    );
}

/// All-zero and all-one keys, as they are and behind a valid header.
#[test]
fn degenerate_keys_are_refused_for_every_scheme() {
    for scheme in Scheme::ALL {
        let proof = Signature::new(vec![0; scheme.signature_bytes()]).unwrap();
        for fill in [0, 0xff] {
            let mut bytes = vec![fill; scheme.public_key_bytes()];
            let mut degenerate = vec![bytes.clone()];
            match scheme {
                Scheme::Falcon512 => bytes[0] = 9,
                Scheme::Falcon1024 => bytes[0] = 10,
                _ => bytes[0] = 1,
            }
            degenerate.push(bytes);
            for bytes in degenerate {
                let key = PublicKey::new(scheme, &bytes).unwrap();
                let error = verify_possession(&key, CHAIN, Role::Consensus, &proof).unwrap_err();
                assert!(
                    matches!(error, KeyError::Degenerate { .. } | KeyError::Undecodable { .. }),
                    "{scheme}, filled with {fill}: {error}"
                );
            }
        }
    }
}

/// Why degenerate keys are refused by their looks and not only by the proof.
///
/// Given the ML-DSA-44 key with `t1 = 0`, whose secret vectors are known to be zero,
/// when anyone at all signs a proof of possession with those,
/// then the signature is valid by the standard, and registration refuses the key.
#[test]
fn anyone_can_prove_to_hold_the_zero_key_and_is_refused() {
    let public = [0; 1312];
    let secret = secret_of_the_zero_key(&public);
    let pair = PqdsaKeyPair::from_raw_private_key(&ML_DSA_44_SIGNING, &secret).unwrap();
    let public_key = PublicKey::new(Scheme::MlDsa44, &public).unwrap();
    let signed = context(CHAIN, Role::Consensus).signed_bytes(public_key.digest().as_bytes());
    let mut forged = vec![0; 2420];
    pair.sign(&signed, &mut forged).unwrap();

    assert_eq!(crate::verify_raw(Scheme::MlDsa44, &public, &signed, &[], &forged), Ok(()));
    let forged = Signature::new(forged).unwrap();
    assert_eq!(
        verify_possession(&public_key, CHAIN, Role::Consensus, &forged).unwrap_err(),
        KeyError::Degenerate { scheme: Scheme::MlDsa44 }
    );
}

/// FIPS 204's encoding of the private key with zero vectors: rho, K, tr, s1, s2, t0.
fn secret_of_the_zero_key(public: &[u8; 1312]) -> Vec<u8> {
    let mut key_hash = [0; 64];
    let mut hasher = SHAKE256::new();
    hasher.inject(public);
    hasher.flip();
    hasher.extract(&mut key_hash);
    // A zero coefficient is eta = 2 in three bits; 8 x 256 of them in s1 and s2.
    let short = [0x92, 0x24, 0x49].repeat(8 * 256 * 3 / 8 / 3);
    // And 2^12 in thirteen bits, 4 x 256 of them in t0.
    let mut long = vec![0; 4 * 256 * 13 / 8];
    (0..4 * 256).map(|index| index * 13 + 12).for_each(|bit| long[bit / 8] |= 1 << (bit % 8));
    [&[0; 64], key_hash.as_slice(), &short, &long].concat()
}
