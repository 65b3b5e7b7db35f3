use super::*;
use crate::{ChainId, Digest, Domain, Role, SeededRandomness, SigningKey};

const MESSAGE: [u8; 32] = [0x5a; 32];

fn context() -> SigningContext {
    SigningContext::new(Domain::Block, ChainId(Digest([0xc3; 32])), Role::Consensus)
}

/// A key of the scheme and its signature of the message.
fn signed(scheme: Scheme) -> (VerifyingKey, Signature) {
    let key = SigningKey::from_seed(scheme, &[8; 32]).unwrap();
    let mut randomness = SeededRandomness::from_u64(8, "bit flips");
    let signature = key.sign_seeded(&context(), &MESSAGE, &mut randomness).unwrap();
    (VerifyingKey::decode(key.public_key()).unwrap(), signature)
}

fn flipped(bytes: &[u8], bit: usize) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    bytes[bit / 8] ^= 1 << (bit % 8);
    bytes
}

/// Flips every bit of everything that a signature is checked against; of the
/// signature itself, and of the key, every `stride`th.
///
/// The strides share no factor with 8, so all bit positions have their turn.
fn every_flip_is_refused(scheme: Scheme, signature_stride: usize, key_stride: usize) {
    let (key, signature) = signed(scheme);
    let accepts = |context: &SigningContext, message: &[u8], signature: &Signature| {
        key.verify(context, message, signature).is_ok()
    };
    assert!(accepts(&context(), &MESSAGE, &signature), "the untouched one verifies");

    for bit in (0..signature.len() * 8).step_by(signature_stride) {
        let other = Signature::new(flipped(signature.as_bytes(), bit)).unwrap();
        assert!(!accepts(&context(), &MESSAGE, &other), "{scheme}: signature bit {bit}");
    }
    for bit in 0..MESSAGE.len() * 8 {
        let other = flipped(&MESSAGE, bit);
        assert!(!accepts(&context(), &other, &signature), "{scheme}: message bit {bit}");
    }
    for bit in 0..256 {
        let chain = flipped(context().chain.0.as_bytes(), bit).try_into().unwrap();
        let other = SigningContext { chain: ChainId(Digest(chain)), ..context() };
        assert!(!accepts(&other, &MESSAGE, &signature), "{scheme}: chain bit {bit}");
    }
    for domain in Domain::ALL.iter().filter(|domain| **domain != context().domain) {
        let other = SigningContext { domain: *domain, ..context() };
        assert!(!accepts(&other, &MESSAGE, &signature), "{scheme}: {domain:?}");
    }
    for role in Role::ALL.into_iter().filter(|role| *role != context().role) {
        let other = SigningContext { role, ..context() };
        assert!(!accepts(&other, &MESSAGE, &signature), "{scheme}: {role:?}");
    }
    for bit in (0..scheme.public_key_bytes() * 8).step_by(key_stride) {
        let bytes = flipped(key.public_key().as_bytes(), bit);
        let other = PublicKey::new(scheme, &bytes).unwrap();
        let accepted = VerifyingKey::decode(&other)
            .is_ok_and(|other| other.verify(&context(), &MESSAGE, &signature).is_ok());
        assert!(!accepted, "{scheme}: key bit {bit}");
    }
}

#[test]
fn falcon_512_refuses_every_bit_flip() {
    every_flip_is_refused(Scheme::Falcon512, 1, 1);
}

#[test]
fn falcon_1024_refuses_every_bit_flip() {
    every_flip_is_refused(Scheme::Falcon1024, 1, 1);
}

#[test]
fn ml_dsa_44_refuses_every_bit_flip() {
    every_flip_is_refused(Scheme::MlDsa44, 1, 1);
}

#[test]
fn ml_dsa_65_refuses_every_bit_flip() {
    every_flip_is_refused(Scheme::MlDsa65, 1, 1);
}

#[test]
fn ml_dsa_87_refuses_every_bit_flip() {
    every_flip_is_refused(Scheme::MlDsa87, 1, 1);
}

// Of the long hash-based signatures a sample: each bit goes into a hash, none
// is treated differently. The ignored test flips them all, in a quarter of an hour.

#[test]
fn slh_dsa_128s_refuses_bit_flips() {
    every_flip_is_refused(Scheme::SlhDsaSha2_128s, 131, 1);
}

#[test]
fn slh_dsa_128f_refuses_bit_flips() {
    every_flip_is_refused(Scheme::SlhDsaSha2_128f, 521, 1);
}

#[test]
fn slh_dsa_192s_refuses_bit_flips() {
    every_flip_is_refused(Scheme::SlhDsaSha2_192s, 521, 1);
}

#[test]
fn slh_dsa_256s_refuses_bit_flips() {
    every_flip_is_refused(Scheme::SlhDsaSha2_256s, 1021, 1);
}

#[test]
#[ignore = "takes a quarter of an hour"]
fn slh_dsa_refuses_every_bit_flip() {
    for scheme in [
        Scheme::SlhDsaSha2_128s,
        Scheme::SlhDsaSha2_128f,
        Scheme::SlhDsaSha2_192s,
        Scheme::SlhDsaSha2_256s,
    ] {
        every_flip_is_refused(scheme, 1, 1);
    }
}

#[test]
fn signatures_of_any_other_length_are_refused() {
    for scheme in [Scheme::Falcon512, Scheme::Falcon1024, Scheme::MlDsa44, Scheme::SlhDsaSha2_128f]
    {
        let (key, signature) = signed(scheme);
        let whole = signature.as_bytes();
        let others = [
            Vec::new(),
            whole[..whole.len() - 1].to_vec(),
            [whole, &[0]].concat(),
            [&[0], whole].concat(),
        ];
        for other in others {
            let expected = scheme.signature_bytes();
            let actual = other.len();
            assert_eq!(
                key.verify(&context(), &MESSAGE, &Signature::new(other).unwrap()),
                Err(SignatureError::WrongLength { scheme, expected, actual })
            );
        }
    }
}

/// A signature of one scheme says nothing under another, same sizes or not.
#[test]
fn a_scheme_accepts_no_other_schemes_signature() {
    let slow = SigningKey::from_seed(Scheme::SlhDsaSha2_128s, &[1; 32]).unwrap();
    let as_fast = PublicKey::new(Scheme::SlhDsaSha2_128f, slow.public_key().as_bytes()).unwrap();
    let (_, signature) = signed(Scheme::SlhDsaSha2_128f);
    let as_fast = VerifyingKey::decode(&as_fast).unwrap();
    assert_eq!(as_fast.verify(&context(), &MESSAGE, &signature), Err(SignatureError::Mismatch));
}

/// `aws-lc-rs` would read a key wrapped in DER; only the plain one is a key here.
#[test]
fn a_key_in_der_is_refused() {
    let key = SigningKey::from_seed(Scheme::MlDsa44, &[1; 32]).unwrap();
    let header = crate::from_hex("30820532300b06096086480165030403110382052100").unwrap();
    let der = [&header, key.public_key().as_bytes()].concat();
    let decoded = ml_dsa::VerifyingKey::decode(ml_dsa::ParameterSet::P44, &der);
    assert!(decoded.is_some(), "the library reads this DER");
    assert!(PublicKey::new(Scheme::MlDsa44, &der).is_err());
    let refused = verify_raw(Scheme::MlDsa44, &der, b"", b"", &[0; 2420]).unwrap_err();
    assert!(matches!(refused, SignatureError::Key(error)
        if matches!(*error, KeyError::WrongLength { actual: 1334, .. })));
}

#[test]
fn raw_checks_name_what_is_malformed() {
    let scheme = Scheme::Falcon512;
    let (key, signature) = signed(scheme);
    let public = key.public_key().as_bytes();
    let verify = |public: &[u8], context: &[u8], signature: &[u8]| {
        verify_raw(scheme, public, b"", context, signature).unwrap_err().to_string()
    };
    let signature = signature.as_bytes();
    assert!(verify(&public[1..], b"", signature).contains("897 bytes, this one has 896"));
    assert!(verify(public, b"", &signature[1..]).contains("666 bytes, this one has 665"));
    assert!(verify(public, &[0; 256], signature).contains("at most 255 bytes"));
    assert!(verify(&[0xff; 897], b"", signature).contains("encode no falcon-512 public key"));
    assert!(verify(public, b"", signature).contains("does not verify"));
}
