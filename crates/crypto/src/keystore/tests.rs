use proptest::prelude::*;

use super::*;
use crate::Scheme;

/// Cheap enough for hundreds of openings.
const CHEAP: SealingCost = SealingCost { memory_kib: 8, passes: 1, lanes: 1 };

/// Written by this crate in November 2026, and opened independently with Python's `cryptography`. It
/// must open for ever.
const KNOWN_FILE: &str = include_str!("known_answer.json");
const KNOWN_PASSPHRASE: &str = "correct horse battery staple";

fn passphrase(text: &str) -> Passphrase {
    Passphrase::new(Zeroizing::new(text.to_owned())).unwrap()
}

fn key() -> SigningKey {
    SigningKey::from_seed(Scheme::MlDsa44, &[7; 32]).unwrap()
}

fn cheap_file() -> KeyFile {
    KeyFile::seal(&key(), Role::Account, &passphrase("open sesame"), CHEAP).unwrap()
}

fn open(file: &KeyFile) -> Result<SigningKey, KeystoreError> {
    file.open(Role::Account, Some(&passphrase("open sesame")))
}

/// The document with one member changed, and the checksum made good again if asked for.
fn changed(pointer: &str, value: impl Into<serde_json::Value>) -> String {
    let mut document: serde_json::Value = serde_json::from_str(&cheap_file().to_json()).unwrap();
    *document.pointer_mut(pointer).expect("a member") = value.into();
    document.to_string()
}

fn parse_error(text: &str) -> KeystoreError {
    KeyFile::parse(text.as_bytes()).unwrap_err()
}

#[test]
fn a_sealed_key_of_every_scheme_and_role_opens_again() {
    for scheme in [Scheme::Falcon512, Scheme::MlDsa44, Scheme::MlDsa65, Scheme::SlhDsaSha2_128s] {
        let key = SigningKey::generate(scheme).unwrap();
        for role in Role::ALL {
            let secret = passphrase("a phrase");
            let file = KeyFile::seal(&key, role, &secret, CHEAP).unwrap();
            let again = KeyFile::parse(file.to_json().as_bytes()).unwrap();
            assert_eq!((again.role(), again.public_key()), (role, key.public_key()));
            assert!(again.is_sealed());
            let opened = again.open(role, Some(&secret)).unwrap();
            assert_eq!(opened.expose_seed(), key.expose_seed());
        }
    }
}

#[test]
fn an_unsealed_file_says_so_and_opens_without_a_passphrase() {
    let text = KeyFile::unsealed(&key(), Role::Account).to_json();
    assert!(text.contains("NOT ENCRYPTED"));
    let file = KeyFile::parse(text.as_bytes()).unwrap();
    assert!(!file.is_sealed());
    assert_eq!(file.cost(), None);
    for given in [None, Some(passphrase("ignored"))] {
        let opened = file.open(Role::Account, given.as_ref()).unwrap();
        assert_eq!(opened.expose_seed(), &[7; 32]);
    }
}

#[test]
fn the_known_file_opens() {
    let file = KeyFile::parse(KNOWN_FILE.as_bytes()).unwrap();
    assert_eq!(file.cost(), Some(SealingCost { memory_kib: 1024, passes: 2, lanes: 1 }));
    let opened = file.open(Role::Operator, Some(&passphrase(KNOWN_PASSPHRASE))).unwrap();
    assert_eq!(opened.expose_seed(), &[9; 32]);
    assert_eq!(*file.to_json(), KNOWN_FILE, "the form in which it is written has not changed");
}

/// What the known file was made with; the same inputs give the same file.
#[test]
fn sealing_is_a_function_of_key_passphrase_salt_and_nonce() {
    let parts = Sealed {
        cost: SealingCost { memory_kib: 1024, passes: 2, lanes: 1 },
        salt: [0x5a; SALT_BYTES],
        nonce: [0xa5; NONCE_BYTES],
        ciphertext: [0; SEALED_BYTES],
    };
    let secret = passphrase(KNOWN_PASSPHRASE);
    let key = SigningKey::from_seed(Scheme::SlhDsaSha2_128s, &[9; 32]).unwrap();
    let file = KeyFile::seal_with(&key, Role::Operator, &secret, parts).unwrap();
    assert_eq!(*file.to_json(), KNOWN_FILE);
}

#[test]
fn two_seals_of_one_key_share_nothing_secret() {
    let (one, other) = (cheap_file(), cheap_file());
    let (Protection::Sealed(one), Protection::Sealed(other)) = (one.protection, other.protection)
    else {
        panic!("both are sealed");
    };
    assert_ne!(one.salt, other.salt);
    assert_ne!(one.nonce, other.nonce);
    assert_ne!(one.ciphertext[..32], other.ciphertext[..32]);
}

#[test]
fn a_wrong_passphrase_and_a_missing_one_are_told_apart() {
    let file = cheap_file();
    for wrong in ["Open sesame", "open sesame ", " ", "x"] {
        let opened = file.open(Role::Account, Some(&passphrase(wrong)));
        assert_eq!(opened.unwrap_err(), KeystoreError::WrongPassphrase);
    }
    assert_eq!(file.open(Role::Account, None).unwrap_err(), KeystoreError::PassphraseNeeded);
    for length in [0, MAX_PASSPHRASE_BYTES + 1] {
        let refused = Passphrase::new(Zeroizing::new("x".repeat(length))).unwrap_err();
        assert_eq!(refused, KeystoreError::BadPassphrase { actual: length });
    }
}

#[test]
fn another_role_is_refused_before_the_passphrase_matters() {
    let expected = KeystoreError::WrongRole { expected: Role::Consensus, found: Role::Account };
    for file in [cheap_file(), KeyFile::unsealed(&key(), Role::Account)] {
        assert_eq!(file.open(Role::Consensus, None).unwrap_err(), expected);
    }
}

/// Every bit of the sealed seed and its tag, with the checksum made good: what remains is the
/// authentication.
#[test]
fn every_flipped_bit_of_the_sealed_bytes_is_refused() {
    let file = cheap_file();
    for bit in 0..SEALED_BYTES * 8 {
        let mut flipped = file.clone();
        let Protection::Sealed(sealed) = &mut flipped.protection else { panic!("it is sealed") };
        sealed.ciphertext[bit / 8] ^= 1 << (bit % 8);
        let again = KeyFile::parse(flipped.to_json().as_bytes()).unwrap();
        assert_eq!(open(&again).unwrap_err(), KeystoreError::WrongPassphrase, "bit {bit}");
    }
}

/// Everything that can be read is authenticated: whoever changes it and makes the checksum good
/// gets a file that does not open.
#[test]
fn what_stands_in_clear_is_authenticated() {
    type Change = fn(&mut KeyFile, &mut Sealed);
    let changes: [(&str, Change); 8] = [
        ("role", |file, _| file.role = Role::Operator),
        ("public key", |file, _| {
            let other = SigningKey::from_seed(Scheme::MlDsa44, &[8; 32]).unwrap();
            file.public_key = other.public_key().clone();
        }),
        ("scheme", |file, _| {
            let other = SigningKey::from_seed(Scheme::Falcon512, &[7; 32]).unwrap();
            file.public_key = other.public_key().clone();
        }),
        ("memory", |_, sealed| sealed.cost.memory_kib += 8),
        ("passes", |_, sealed| sealed.cost.passes += 1),
        ("lanes", |_, sealed| sealed.cost = SealingCost { memory_kib: 16, passes: 1, lanes: 2 }),
        ("salt", |_, sealed| sealed.salt[15] ^= 1),
        ("nonce", |_, sealed| sealed.nonce[0] ^= 128),
    ];
    for (name, change) in changes {
        let mut file = cheap_file();
        let Protection::Sealed(mut sealed) = file.protection.clone() else { panic!("sealed") };
        change(&mut file, &mut sealed);
        file.protection = Protection::Sealed(sealed);
        let again = KeyFile::parse(file.to_json().as_bytes()).unwrap();
        let opened = again.open(again.role(), Some(&passphrase("open sesame")));
        assert_eq!(opened.unwrap_err(), KeystoreError::WrongPassphrase, "{name}");
    }
}

/// Without a good checksum a change is seen before any passphrase is asked for.
#[test]
fn damage_is_told_from_a_wrong_passphrase() {
    for (pointer, value) in [
        ("/role", "consensus"),
        ("/sealed/salt", "00112233445566778899aabbccddeeff"),
        ("/sealed/nonce", "00112233445566778899aabb"),
        ("/checksum", "00112233445566778899aabbccddeeff"),
    ] {
        assert_eq!(parse_error(&changed(pointer, value)), KeystoreError::Damaged, "{pointer}");
    }
    for pointer in ["/sealed/memory_kib", "/sealed/passes"] {
        assert_eq!(parse_error(&changed(pointer, 9)), KeystoreError::Damaged, "{pointer}");
    }
    let mut unsealed: serde_json::Value =
        serde_json::from_str(&KeyFile::unsealed(&key(), Role::Account).to_json()).unwrap();
    unsealed["unsealed"]["seed"] = "11".repeat(32).into();
    assert_eq!(parse_error(&unsealed.to_string()), KeystoreError::Damaged);
}

#[test]
fn members_that_cannot_be_are_named() {
    for (pointer, value, member) in [
        ("/role", "king", "role"),
        ("/scheme", "rsa", "scheme"),
        ("/scheme", "ml-dsa-65", "public_key"),
        ("/public_key", "00zz", "public_key"),
        ("/sealed/kdf", "scrypt", "sealed.kdf"),
        ("/sealed/cipher", "rot13", "sealed.cipher"),
        ("/sealed/salt", "00", "sealed.salt"),
        ("/sealed/nonce", "0", "sealed.nonce"),
        ("/sealed/ciphertext", "", "sealed.ciphertext"),
        ("/checksum", "zz", "checksum"),
    ] {
        match parse_error(&changed(pointer, value)) {
            KeystoreError::Member { member: named, .. } => assert_eq!(named, member),
            other => panic!("{pointer} = {value}: {other}"),
        }
    }
    let newer = parse_error(&changed("/format", "qcn-key/2"));
    assert_eq!(newer, KeystoreError::UnknownFormat { found: "qcn-key/2".to_owned() });
    let both = KNOWN_FILE.replace("\"checksum\"", "\"unsealed\": {}, \"checksum\"");
    for text in [both.as_str(), "", "{}", "[]", "null", "{\"format\": \"qcn-key/1\"}"] {
        assert!(matches!(parse_error(text), KeystoreError::Malformed { .. }), "{text}");
    }
}

/// A hostile file must not make anyone allocate 100 GB, nor derive for an hour.
#[test]
fn costs_beyond_the_bounds_are_refused_unread() {
    for (pointer, value) in [
        ("/sealed/memory_kib", 100 << 20),
        ("/sealed/memory_kib", u32::MAX),
        ("/sealed/memory_kib", 7),
        ("/sealed/memory_kib", 0),
        ("/sealed/passes", 0),
        ("/sealed/passes", u32::MAX),
        ("/sealed/lanes", 0),
        ("/sealed/lanes", 2),
        ("/sealed/lanes", u32::MAX),
    ] {
        let error = parse_error(&changed(pointer, value));
        assert!(matches!(error, KeystoreError::Cost { .. }), "{pointer} = {value}: {error}");
    }
    SealingCost::default().check().unwrap();
}

#[test]
fn a_truncated_file_is_refused_at_every_length() {
    let text = cheap_file().to_json();
    for length in 0..text.trim_end().len() {
        let error = KeyFile::parse(&text.as_bytes()[..length]).unwrap_err();
        assert!(matches!(error, KeystoreError::Malformed { .. }), "{length}: {error}");
    }
    let long = " ".repeat(MAX_KEY_FILE_BYTES + 1);
    assert_eq!(parse_error(&long), KeystoreError::TooLong { actual: long.len() });
}

/// A flipped bit of the document is refused, or changed nothing that is said (the case of a digit).
#[test]
fn every_flipped_bit_of_the_document_is_refused_or_harmless() {
    let file = cheap_file();
    let text = file.to_json();
    let mut harmless = 0;
    for bit in 0..text.len() * 8 {
        let mut bytes = text.as_bytes().to_vec();
        bytes[bit / 8] ^= 1 << (bit % 8);
        if let Ok(parsed) = KeyFile::parse(&bytes) {
            assert_eq!(*parsed.to_json(), *text, "bit {bit}");
            assert!(bit % 8 == 5 && text.as_bytes()[bit / 8].is_ascii_alphabetic(), "bit {bit}");
            harmless += 1;
        }
    }
    assert!(harmless < text.len(), "{harmless}");
}

#[test]
fn secrets_are_not_shown() {
    let file = KeyFile::unsealed(&key(), Role::Account);
    let shown = format!("{file:?} {:?}", passphrase("open sesame"));
    assert!(!shown.contains("0707") && !shown.contains("sesame"), "{shown}");
}

proptest! {
    #[test]
    fn any_bytes_are_parsed_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = KeyFile::parse(&bytes);
    }

    /// Members of the right names with any values: deeper than random bytes get.
    #[test]
    fn any_members_are_parsed_or_refused(
        words in prop::collection::vec("[a-z0-9-]{0,70}", 8),
        numbers in any::<[u32; 3]>(),
    ) {
        let document = serde_json::json!({
            "format": KEY_FORMAT, "role": "account", "scheme": "slh-dsa-sha2-128s",
            "public_key": words[0], "checksum": words[1],
            "sealed": {
                "kdf": "argon2id", "cipher": "chacha20-poly1305", "salt": words[2],
                "nonce": words[3], "ciphertext": words[4],
                "memory_kib": numbers[0], "passes": numbers[1], "lanes": numbers[2],
            },
        });
        prop_assert!(KeyFile::parse(document.to_string().as_bytes()).is_err());
    }
}
