//! Keys by number, made once per process of the host.
//!
//! Making a Falcon key takes two milliseconds, a fuzzing run makes thousands of networks, and
//! nothing depends on which keys a network has. So key 7 is the same in every run.

#![expect(clippy::disallowed_types, reason = "keys are the same whoever makes them first")]

use std::collections::BTreeMap;
use std::sync::{LazyLock, Mutex, PoisonError};

use qcn_crypto::{Scheme, SeededRandomness, SigningKey};

type Pool = Mutex<BTreeMap<(&'static str, usize), SigningKey>>;

static POOL: LazyLock<Pool> = LazyLock::new(Pool::default);

/// The consensus key of the validator with this number.
#[must_use]
pub fn validator_key(number: usize) -> SigningKey {
    pooled("validator", number)
}

/// The consensus key of that validator after so many rotations, of which there are below a thousand.
#[must_use]
pub(crate) fn rotated_key(number: usize, rotations: usize) -> SigningKey {
    pooled("rotated validator", number * 1_000 + rotations)
}

/// The key of the validator with this number that replaces its other keys.
#[must_use]
pub(crate) fn recovery_key(number: usize) -> SigningKey {
    pooled("recovery", number)
}

/// The key of the account with this number.
#[must_use]
pub fn account_key(number: usize) -> SigningKey {
    pooled("account", number)
}

fn pooled(kind: &'static str, number: usize) -> SigningKey {
    // A panic elsewhere cannot leave a map half written, so a poisoned lock is still good.
    if let Some(key) = POOL.lock().unwrap_or_else(PoisonError::into_inner).get(&(kind, number)) {
        return key.clone();
    }
    let mut seed = [0; 32];
    SeededRandomness::from_u64(number as u64, kind).fill(&mut seed);
    let key = SigningKey::from_seed(Scheme::Falcon512, &seed).expect("Falcon keys from a seed");
    POOL.lock().unwrap_or_else(PoisonError::into_inner).entry((kind, number)).or_insert(key).clone()
}
