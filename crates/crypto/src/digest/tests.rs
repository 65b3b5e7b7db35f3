use super::*;

#[test]
fn hex_reads_back() {
    let bytes: Vec<u8> = (0..=255).collect();
    let text = to_hex(&bytes);
    assert!(text.starts_with("000102") && text.ends_with("fdfeff"));
    assert_eq!(from_hex(&text), Ok(bytes.clone()));
    assert_eq!(from_hex(&text.to_uppercase()), Ok(bytes));
    assert_eq!(from_hex(""), Ok(Vec::new()));
}

#[test]
fn bad_hex_is_refused_with_its_place() {
    let rows = [
        ("0", HexError::OddLength { digits: 1 }),
        ("0x00", HexError::NotADigit { position: 1 }),
        ("00 0", HexError::NotADigit { position: 2 }),
        ("0g", HexError::NotADigit { position: 1 }),
        ("aé", HexError::NotADigit { position: 1 }),
    ];
    for (text, expected) in rows {
        assert_eq!(from_hex(text), Err(expected), "{text}");
    }
}

#[test]
fn a_digest_reads_back_and_shows_short_in_debug() {
    let digest = Digest([0xab; 32]);
    assert_eq!(digest.to_string().parse(), Ok(digest));
    assert_eq!(format!("{digest:?}"), "abababab");
    assert_eq!("abab".parse::<Digest>(), Err(HexError::WrongLength { expected: 32, actual: 2 }));
    assert_eq!(borsh::to_vec(&digest).unwrap(), [0xab; 32]);
}
