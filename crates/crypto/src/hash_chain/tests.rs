use super::*;

/// Every value is the one before the last known, down to the seed's own, and none is left then.
#[test]
fn a_chain_is_revealed_backwards_to_its_end() {
    for length in [1, 2, 63, 64, 65, 200] {
        let chain = HashChain::new(&[length as u8; 32], length).unwrap();
        let mut known = chain.anchor();
        for revealed in 0..length {
            assert_eq!(chain.revealed_up_to(&known), Some(revealed));
            let value = chain.reveal(revealed).unwrap();
            assert_eq!(hash_chain_link(&value), known, "value {revealed} of {length}");
            known = value;
        }
        assert_eq!(chain.revealed_up_to(&known), Some(length));
        assert_eq!(chain.reveal(length), None);
        assert_eq!(chain.reveal(u32::MAX), None);
        assert_eq!(chain.revealed_up_to(&Digest([9; 32])), None);
        assert_eq!(chain.kept.len(), length.div_ceil(64) as usize);
    }
}

#[test]
fn a_chain_has_one_value_or_more_and_a_bound() {
    assert!(HashChain::new(&[1; 32], 0).is_none());
    assert!(HashChain::new(&[1; 32], MAX_HASH_CHAIN + 1).is_none());
    let (one, other) = (HashChain::new(&[1; 32], 9).unwrap(), HashChain::new(&[2; 32], 9).unwrap());
    assert_ne!(one.anchor(), other.anchor());
    assert!(!format!("{one:?}").contains(&crate::to_hex(&one.kept[0])));
}

/// The order of what is mixed in says nothing, and each value changes the result.
#[test]
fn a_mixture_does_not_depend_on_the_order() {
    let values = [1, 2, 3].map(|byte| Digest([byte; 32]));
    let mix = |order: &[usize]| {
        order.iter().fold(Digest::ZERO, |mixed, at| mix_reveal(&mixed, *at as u32, &values[*at]))
    };
    assert_eq!(mix(&[0, 1, 2]), mix(&[2, 0, 1]));
    assert_ne!(mix(&[0, 1]), mix(&[0, 1, 2]));
    // Nobody cancels out a value by revealing it as its own.
    let once = mix_reveal(&Digest::ZERO, 1, &values[0]);
    assert_ne!(mix_reveal(&once, 2, &values[0]), Digest::ZERO);
}
