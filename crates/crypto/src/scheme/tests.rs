use super::*;

#[test]
fn names_and_bytes_read_back() {
    for scheme in Scheme::ALL {
        assert_eq!(scheme.name().parse(), Ok(scheme));
        assert_eq!(scheme.name().to_uppercase().parse(), Ok(scheme));
        assert_eq!(borsh::to_vec(&scheme).unwrap(), [scheme as u8]);
        assert_eq!(borsh::from_slice::<Scheme>(&[scheme as u8]).unwrap(), scheme);
        for alias in scheme.facts().aliases {
            assert_eq!(alias.parse(), Ok(scheme));
        }
    }
}

#[test]
fn numbers_are_the_places_in_the_list() {
    for (number, scheme) in (1..).zip(Scheme::ALL) {
        assert_eq!(scheme as u8, number);
    }
}

#[test]
fn unknown_numbers_and_names_are_refused() {
    for byte in (0..=255).filter(|byte| !(1..=9).contains(byte)) {
        assert!(borsh::from_slice::<Scheme>(&[byte]).is_err(), "{byte}");
    }
    let error = "ed25519".parse::<Scheme>().unwrap_err().to_string();
    assert!(error.contains("ed25519") && error.contains("slh-dsa-sha2-256s"), "{error}");
    let long = "x".repeat(1_000_000).parse::<Scheme>().unwrap_err();
    assert_eq!(long.name.len(), 64);
}
