//! Keys by number, made once per process of the host.
//!
//! Making a Falcon key takes two milliseconds, a fuzzing run makes thousands of networks, and
//! nothing depends on which keys a network has. So key 7 of a scheme is the same in every run.

#![expect(clippy::disallowed_types, reason = "keys are the same whoever makes them first")]

use std::collections::BTreeMap;
use std::sync::{LazyLock, Mutex, PoisonError};

use qcn_crypto::{Scheme, SeededRandomness, SigningKey};
use serde::{Deserialize, Serialize};

use crate::random::Random;

/// How many of the random networks have ML-DSA-44 keys: an eighth, as reproducible signatures of that
/// scheme take the host twice as long as those of Falcon-512.
const ML_DSA_PER_MILLION: u64 = 125_000;

/// The keys of a network's validators, all of one scheme. Only schemes with a cost in
/// [`costs`](crate::costs) are here.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default, Serialize, Deserialize)]
pub enum KeyRing {
    /// Falcon-512.
    #[default]
    #[serde(rename = "falcon-512")]
    Falcon512,
    /// ML-DSA-44.
    #[serde(rename = "ml-dsa-44")]
    MlDsa44,
}

impl KeyRing {
    /// The scheme of all its keys.
    #[must_use]
    pub const fn scheme(self) -> Scheme {
        match self {
            Self::Falcon512 => Scheme::Falcon512,
            Self::MlDsa44 => Scheme::MlDsa44,
        }
    }

    /// The name of that scheme in reports.
    pub(crate) const fn title(self) -> &'static str {
        match self {
            Self::Falcon512 => "Falcon-512",
            Self::MlDsa44 => "ML-DSA-44",
        }
    }

    /// The keys of the random network of a seed. They are drawn from a stream of their own, so that
    /// whatever else a seed stands for stays as it was.
    pub(crate) fn drawn(seed: u64) -> Self {
        let mut random = Random::new(seed, "validators' keys");
        if random.chance(ML_DSA_PER_MILLION) { Self::MlDsa44 } else { Self::Falcon512 }
    }

    /// The consensus key of the validator with this number.
    #[must_use]
    pub fn validator(self, number: usize) -> SigningKey {
        pooled("validator", self.scheme(), number)
    }

    /// The consensus key of that validator after so many rotations, of which there are below a
    /// thousand.
    #[must_use]
    pub(crate) fn rotated(self, number: usize, rotations: usize) -> SigningKey {
        pooled("rotated validator", self.scheme(), number * 1_000 + rotations)
    }

    /// The key of the validator with this number that replaces its other keys.
    #[must_use]
    pub(crate) fn recovery(self, number: usize) -> SigningKey {
        pooled("recovery", self.scheme(), number)
    }
}

/// The scheme of all accounts' keys.
pub(crate) const ACCOUNT_SCHEME: Scheme = Scheme::Falcon512;

/// The key of the account with this number.
#[must_use]
pub fn account_key(number: usize) -> SigningKey {
    pooled("account", ACCOUNT_SCHEME, number)
}

type Pool = Mutex<BTreeMap<(&'static str, Scheme, usize), SigningKey>>;

static POOL: LazyLock<Pool> = LazyLock::new(Pool::default);

fn pooled(kind: &'static str, scheme: Scheme, number: usize) -> SigningKey {
    let name = (kind, scheme, number);
    // A panic elsewhere cannot leave a map half written, so a poisoned lock is still good.
    if let Some(key) = POOL.lock().unwrap_or_else(PoisonError::into_inner).get(&name) {
        return key.clone();
    }
    let mut seed = [0; 32];
    SeededRandomness::from_u64(number as u64, kind).fill(&mut seed);
    let key = SigningKey::from_seed(scheme, &seed).expect("keys from a seed");
    POOL.lock().unwrap_or_else(PoisonError::into_inner).entry(name).or_insert(key).clone()
}
