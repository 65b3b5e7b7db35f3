use super::*;
use crate::{ChainId, Digest, Domain, Role, VerifyingKey, verify_raw};

/// Schemes that sign in well under a second, so that a test may do it often.
const FAST: [Scheme; 6] = [
    Scheme::Falcon512,
    Scheme::Falcon1024,
    Scheme::MlDsa44,
    Scheme::MlDsa65,
    Scheme::MlDsa87,
    Scheme::SlhDsaSha2_128f,
];

fn context() -> SigningContext {
    SigningContext::new(Domain::Block, ChainId(Digest([9; 32])), Role::Consensus)
}

#[test]
fn generated_keys_sign_and_verify_and_differ() {
    for scheme in FAST {
        let [first, second] = [(); 2].map(|()| SigningKey::generate(scheme).unwrap());
        assert_ne!(first.public_key(), second.public_key());
        let signature = first.sign(&context(), b"message").unwrap();
        assert_eq!(signature.len(), scheme.signature_bytes());
        let verifying = VerifyingKey::decode(first.public_key()).unwrap();
        assert_eq!(verifying.verify(&context(), b"message", &signature), Ok(()));
        let other = VerifyingKey::decode(second.public_key()).unwrap();
        assert!(other.verify(&context(), b"message", &signature).is_err());
    }
}

#[test]
fn a_seed_decides_the_key_and_a_scheme_has_keys_of_its_own() {
    for scheme in FAST {
        let key = SigningKey::from_seed(scheme, &[3; 32]).unwrap();
        assert_eq!(key.public_key(), SigningKey::from_seed(scheme, &[3; 32]).unwrap().public_key());
        assert_ne!(key.public_key(), SigningKey::from_seed(scheme, &[4; 32]).unwrap().public_key());
        assert_eq!(key.expose_seed(), &[3; 32]);
        assert_eq!((key.scheme(), key.public_key().scheme()), (scheme, scheme));
    }
}

/// Given the same stream, a simulated signature has the same bytes each time.
#[test]
fn seeded_signatures_repeat_and_verify() {
    for scheme in FAST {
        let key = SigningKey::from_seed(scheme, &[1; 32]).unwrap();
        let verifying = VerifyingKey::decode(key.public_key()).unwrap();
        let sign = |seed| {
            let mut randomness = SeededRandomness::from_u64(seed, "signing");
            key.sign_seeded(&context(), b"message", &mut randomness).unwrap()
        };
        assert_eq!(sign(1), sign(1), "{scheme}");
        assert_ne!(sign(1), sign(2), "{scheme}");
        assert_eq!(verifying.verify(&context(), b"message", &sign(1)), Ok(()));
    }
}

#[test]
fn signatures_of_one_message_differ_in_production() {
    for scheme in FAST {
        let key = SigningKey::from_seed(scheme, &[1; 32]).unwrap();
        let [first, second] = [(); 2].map(|()| key.sign(&context(), b"message").unwrap());
        assert_ne!(first, second, "{scheme}");
    }
}

#[test]
fn raw_signatures_bind_the_standards_context() {
    for scheme in FAST {
        let key = SigningKey::from_seed(scheme, &[1; 32]).unwrap();
        let public = key.public_key().as_bytes();
        let longest = [7; MAX_CONTEXT_BYTES];
        for bytes in [b"".as_slice(), b"a context", &longest] {
            let signature = key.sign_raw(b"message", bytes).unwrap();
            let verify = |context: &[u8]| {
                verify_raw(scheme, public, b"message", context, signature.as_bytes())
            };
            assert_eq!(verify(bytes), Ok(()), "{scheme}");
            assert!(verify(b"another context").is_err(), "{scheme}");
            assert_eq!(verify(b"").is_ok(), bytes.is_empty(), "{scheme}");
        }
        let too_long = [7; MAX_CONTEXT_BYTES + 1];
        assert_eq!(
            key.sign_raw(b"message", &too_long),
            Err(SigningError::ContextTooLong { actual: 256 })
        );
    }
}

/// What qcn signs is a raw signature of the context's bytes, for any other tool to check.
#[test]
fn a_signature_in_context_is_a_raw_one_of_the_signed_bytes() {
    for scheme in FAST {
        let key = SigningKey::from_seed(scheme, &[1; 32]).unwrap();
        let signature = key.sign(&context(), b"message").unwrap();
        let signed = context().signed_bytes(b"message");
        let public = key.public_key().as_bytes();
        assert_eq!(verify_raw(scheme, public, &signed, &[], signature.as_bytes()), Ok(()));
        assert!(verify_raw(scheme, public, b"message", &[], signature.as_bytes()).is_err());
    }
}

#[test]
fn debug_shows_no_secret() {
    let seed: [u8; 32] = std::array::from_fn(|index| index as u8 + 0xa0);
    for scheme in FAST {
        let key = SigningKey::from_seed(scheme, &seed).unwrap();
        let shown = format!("{key:?} {:?}", SeededRandomness::from_seed(&seed)).to_lowercase();
        assert!(shown.contains(scheme.name()));
        assert!(!shown.contains("a0a1a2") && !shown.contains("160, 161"), "{shown}");
    }
}

#[test]
#[expect(clippy::disallowed_methods, reason = "drivers sign on many threads")]
fn one_key_signs_on_many_threads() {
    for scheme in FAST {
        let key = SigningKey::from_seed(scheme, &[1; 32]).unwrap();
        let verifying = VerifyingKey::decode(key.public_key()).unwrap();
        std::thread::scope(|scope| {
            for thread in 0..4u8 {
                let (key, verifying) = (key.clone(), verifying.clone());
                scope.spawn(move || {
                    for number in 0..5 {
                        let message = [thread, number];
                        let signature = key.sign(&context(), &message).unwrap();
                        assert_eq!(verifying.verify(&context(), &message, &signature), Ok(()));
                    }
                });
            }
        });
    }
}
