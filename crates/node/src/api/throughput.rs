//! How many transactions a shard executes in a second.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// Over how many seconds throughput is taken.
const THROUGHPUT_SECONDS: usize = 8;

/// How many transactions were executed in each of the last seconds.
#[derive(Default)]
pub struct Throughput {
    /// When the newest of the seconds began.
    begun: Option<Instant>,
    /// The newest first.
    seconds: VecDeque<u64>,
}

impl Throughput {
    pub fn add(&mut self, now: Instant, transactions: u64) {
        self.advance(now);
        if let Some(newest) = self.seconds.front_mut() {
            *newest += transactions;
        }
    }

    /// Of the seconds that are over.
    pub fn per_second(&mut self, now: Instant) -> f64 {
        self.advance(now);
        let over = self.seconds.len().saturating_sub(1);
        let all: u64 = self.seconds.iter().skip(1).sum();
        if over == 0 { 0.0 } else { all as f64 / over as f64 }
    }

    fn advance(&mut self, now: Instant) {
        let begun = *self.begun.get_or_insert(now);
        let passed = now.saturating_duration_since(begun).as_secs();
        let fresh = if self.seconds.is_empty() { passed + 1 } else { passed };
        for _ in 0..fresh.min(THROUGHPUT_SECONDS as u64 + 1) {
            self.seconds.push_front(0);
        }
        self.seconds.truncate(THROUGHPUT_SECONDS + 1);
        self.begun = Some(begun + Duration::from_secs(passed));
    }
}
