//! How long to wait before an address is dialled again.

use std::time::Duration;

use qcn_crypto::SeededRandomness;

/// Doubling waits with jitter: the n-th lies between a half and the whole of `min * 2^n`, up to
/// `max`. The jitter keeps validators that lost each other at once from meeting at once again.
pub(super) struct Backoff {
    min: Duration,
    max: Duration,
    failures: u32,
    randomness: SeededRandomness,
}

impl Backoff {
    pub(super) fn new(min: Duration, max: Duration, randomness: SeededRandomness) -> Self {
        Self { min, max, failures: 0, randomness }
    }

    /// The next wait.
    pub(super) fn next(&mut self) -> Duration {
        let factor = 1_u32.checked_shl(self.failures).unwrap_or(u32::MAX);
        self.failures = self.failures.saturating_add(1);
        let whole = self.min.saturating_mul(factor).min(self.max);
        let half = whole / 2;
        let span_us = u64::try_from((whole - half).as_micros()).unwrap_or(u64::MAX);
        half + Duration::from_micros(self.randomness.below(span_us.saturating_add(1)))
    }

    /// The peer was reached: start with short waits again.
    pub(super) fn reset(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn backoff(seed: u64) -> Backoff {
        let randomness = SeededRandomness::from_u64(seed, "backoff");
        Backoff::new(Duration::from_millis(100), Duration::from_secs(3), randomness)
    }

    #[test]
    fn waits_double_up_to_the_cap_and_never_fall_below_half() {
        let mut backoff = backoff(1);
        for whole_ms in [100, 200, 400, 800, 1_600, 3_000, 3_000] {
            let wait = backoff.next();
            assert!(wait >= Duration::from_millis(whole_ms / 2), "{wait:?}");
            assert!(wait <= Duration::from_millis(whole_ms), "{wait:?}");
        }
        // Past every shift that a number allows.
        for _ in 0..100 {
            assert!(backoff.next() <= Duration::from_secs(3));
        }
        backoff.reset();
        assert!(backoff.next() <= Duration::from_millis(100));
    }

    #[test]
    fn two_validators_do_not_wait_alike() {
        let (mut one, mut other) = (backoff(1), backoff(2));
        assert!((0..4).any(|_| one.next() != other.next()));
    }
}
