use qcn_crypto::{Scheme, SigningKey};

use super::*;

fn key_of(seed: u8) -> PublicKey {
    SigningKey::from_seed(Scheme::Falcon512, &[seed; 32]).unwrap().public_key().clone()
}

/// A key that lies in the same set as `key`, and is another.
fn rival(key: &PublicKey, at: u8) -> PublicKey {
    let mut bytes = key.as_bytes().to_vec();
    let last = bytes.len() - 1;
    bytes[last] ^= at;
    PublicKey::new(key.scheme(), &bytes).unwrap()
}

#[test]
fn a_key_is_the_same_from_memory() {
    let cache = KeyCache::new();
    for _ in 0..2 {
        for seed in 1..=3 {
            let key = key_of(seed);
            assert_eq!(*cache.decode(&key).unwrap().public_key(), key);
        }
    }
}

#[test]
fn keys_of_one_set_are_told_apart() {
    let cache = KeyCache::new();
    let keys: Vec<PublicKey> = (0..=WAYS as u8 + 2).map(|at| rival(&key_of(1), at)).collect();
    for _ in 0..3 {
        for key in &keys {
            if let Ok(decoded) = cache.decode(key) {
                assert_eq!(decoded.public_key(), key);
            }
        }
    }
    let kept = cache.sets[set_of(&keys[0])].lock().unwrap();
    assert!(kept.iter().all(Option::is_some), "the rivals share one set and fill it");
}

#[test]
fn what_does_not_decode_is_refused_each_time_and_not_kept() {
    let cache = KeyCache::new();
    let good = key_of(1);
    let mut bytes = good.as_bytes().to_vec();
    bytes[1..3].fill(0xff);
    let bad = PublicKey::new(Scheme::Falcon512, &bytes).unwrap();
    assert!(cache.decode(&bad).is_err());
    assert!(cache.decode(&bad).is_err());
    assert!(cache.sets[set_of(&bad)].lock().unwrap().iter().all(Option::is_none));
}
