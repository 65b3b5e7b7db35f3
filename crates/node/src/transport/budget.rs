//! Token buckets: what may be used per second, with bursts of one second.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use crate::addresses::host_of;

/// A bucket that fills with time. What is taken beyond its contents is a debt, and a debt is paid
/// by waiting: so a frame larger than the bucket passes, and the peer pauses after it.
#[derive(Clone, Debug)]
pub(crate) struct Budget {
    per_second: u64,
    /// In millionths, so that short spans count.
    filled: i128,
    updated: Instant,
}

const PARTS: i128 = 1_000_000;

impl Budget {
    /// A full bucket. A rate of zero would never allow anything, and counts as one.
    pub(crate) fn new(per_second: u64, now: Instant) -> Self {
        let per_second = per_second.max(1);
        Self { per_second, filled: i128::from(per_second) * PARTS, updated: now }
    }

    /// Takes `amount`, and says how long to pause for it.
    pub(crate) fn take(&mut self, now: Instant, amount: u64) -> Duration {
        self.fill(now);
        self.filled = self.filled.saturating_sub(i128::from(amount).saturating_mul(PARTS));
        if self.filled >= 0 {
            return Duration::ZERO;
        }
        let wait_us = self.filled.unsigned_abs().div_ceil(u128::from(self.per_second));
        Duration::from_micros(u64::try_from(wait_us).unwrap_or(u64::MAX))
    }

    /// Takes one if it is there, and says whether it was.
    pub(crate) fn try_one(&mut self, now: Instant) -> bool {
        self.fill(now);
        if self.filled < PARTS {
            return false;
        }
        self.filled -= PARTS;
        true
    }

    fn fill(&mut self, now: Instant) {
        let passed_us = now.saturating_duration_since(self.updated).as_micros();
        let gained =
            i128::try_from(passed_us).unwrap_or(i128::MAX).saturating_mul(self.per_second.into());
        let full = i128::from(self.per_second) * PARTS;
        self.filled = self.filled.saturating_add(gained).min(full);
        self.updated = self.updated.max(now);
    }
}

/// A bucket per network address, for a bounded number of them.
pub(super) struct AddressBudgets {
    per_second: u64,
    limit: usize,
    budgets: BTreeMap<IpAddr, Budget>,
}

impl AddressBudgets {
    pub(super) fn new(per_second: u64, limit: usize) -> Self {
        Self { per_second, limit, budgets: BTreeMap::new() }
    }

    /// Takes one of the address's bucket, and says whether it was there.
    ///
    /// When too many addresses are watched, those whose bucket is full again are forgotten; if
    /// there are none, a new address has to wait.
    pub(super) fn try_one(&mut self, now: Instant, address: IpAddr) -> bool {
        let address = host_of(address);
        if !self.budgets.contains_key(&address) && self.budgets.len() >= self.limit {
            let second = Duration::from_secs(1);
            self.budgets.retain(|_, budget| now.saturating_duration_since(budget.updated) < second);
            if self.budgets.len() >= self.limit {
                return false;
            }
        }
        let per_second = self.per_second;
        let budget = self.budgets.entry(address).or_insert_with(|| Budget::new(per_second, now));
        budget.try_one(now)
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    #[test]
    fn a_second_of_budget_passes_at_once_and_more_waits() {
        let start = Instant::now();
        let mut budget = Budget::new(1_000, start);
        assert_eq!(budget.take(start, 1_000), Duration::ZERO);
        assert_eq!(budget.take(start, 500), Duration::from_millis(500));
        // Half the debt is paid after a quarter of a second.
        let later = start + Duration::from_millis(250);
        assert_eq!(budget.take(later, 0), Duration::from_millis(250));
        // An idle hour fills one second's worth, not 3,600.
        let hour = start + Duration::from_secs(3_600);
        assert_eq!(budget.take(hour, 1_000), Duration::ZERO);
        assert_eq!(budget.take(hour, 1), Duration::from_millis(1));
    }

    #[test]
    fn a_clock_that_stands_still_or_an_absurd_amount_does_no_harm() {
        let start = Instant::now();
        let mut budget = Budget::new(0, start + Duration::from_secs(1));
        assert!(budget.try_one(start));
        assert!(!budget.try_one(start));
        assert!(budget.take(start, u64::MAX) > Duration::from_secs(1));
        assert!(budget.take(start, u64::MAX) > Duration::from_secs(1));
    }

    #[test]
    fn each_address_has_its_own_bucket_and_their_number_is_bounded() {
        let now = Instant::now();
        let address = |last: u8| IpAddr::V4(Ipv4Addr::new(10, 0, 0, last));
        let mut budgets = AddressBudgets::new(2, 2);
        assert!(budgets.try_one(now, address(1)));
        assert!(budgets.try_one(now, address(1)));
        assert!(!budgets.try_one(now, address(1)), "a third within the second");
        assert!(budgets.try_one(now, address(2)), "another address is not affected");
        assert!(!budgets.try_one(now, address(3)), "no room for a third address");
        let later = now + Duration::from_secs(1);
        assert!(budgets.try_one(later, address(3)), "the others are forgotten by now");
        assert!(budgets.budgets.len() <= 2);

        let mut budgets = AddressBudgets::new(1, 10);
        let v6 = |text: &str| text.parse::<IpAddr>().unwrap();
        assert!(budgets.try_one(now, v6("2001:db8::1")));
        assert!(!budgets.try_one(now, v6("2001:db8::2")), "the same network");
        assert!(budgets.try_one(now, v6("2001:db8:0:1::1")));
        assert!(budgets.try_one(now, address(1)));
        assert!(!budgets.try_one(now, v6("::ffff:10.0.0.1")), "the same host in other words");
    }
}
