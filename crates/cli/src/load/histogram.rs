//! Latencies in bounded memory.

/// Each doubling is divided into so many buckets: a value is known to within one part in them.
const PARTS: u64 = 128;
const PARTS_BITS: u32 = PARTS.trailing_zeros();
/// Enough for every number of 64 bits.
const BUCKETS: usize = ((64 - PARTS_BITS as usize) + 1) * PARTS as usize;

/// Counts of latencies in microseconds. Percentiles are right to within 1 %.
#[derive(Debug, Clone)]
pub struct Histogram {
    buckets: Vec<u64>,
    count: u64,
    sum_us: u128,
    max_us: u64,
}

impl Default for Histogram {
    fn default() -> Self {
        Self { buckets: vec![0; BUCKETS], count: 0, sum_us: 0, max_us: 0 }
    }
}

impl Histogram {
    /// Counts one latency.
    pub fn record(&mut self, latency_us: u64) {
        self.buckets[bucket(latency_us)] += 1;
        self.count += 1;
        self.sum_us += u128::from(latency_us);
        self.max_us = self.max_us.max(latency_us);
    }

    /// Counts all of another.
    pub fn merge(&mut self, other: &Self) {
        for (own, other) in self.buckets.iter_mut().zip(&other.buckets) {
            *own += other;
        }
        self.count += other.count;
        self.sum_us += other.sum_us;
        self.max_us = self.max_us.max(other.max_us);
    }

    /// How many there are.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The longest.
    pub fn max_us(&self) -> u64 {
        self.max_us
    }

    /// Their mean; zero if there are none.
    pub fn mean_us(&self) -> u64 {
        let mean = self.sum_us.checked_div(u128::from(self.count)).unwrap_or(0);
        u64::try_from(mean).unwrap_or(u64::MAX)
    }

    /// The latency that `percent` of all do not exceed, by nearest rank; zero if there are none.
    pub fn percentile_us(&self, percent: f64) -> u64 {
        let rank = (percent / 100.0 * self.count as f64).ceil().max(1.0) as u64;
        let mut seen = 0;
        for (index, count) in self.buckets.iter().enumerate() {
            seen += count;
            if seen >= rank {
                return upper_bound(index).min(self.max_us);
            }
        }
        self.max_us
    }
}

fn bucket(value: u64) -> usize {
    let magnitude = (64 - value.leading_zeros()).saturating_sub(PARTS_BITS + 1);
    let part = value >> magnitude;
    let index = u64::from(magnitude) * PARTS + part;
    usize::try_from(index).expect("there are a few thousand buckets")
}

/// The highest value of a bucket.
fn upper_bound(index: usize) -> u64 {
    let index = index as u64;
    if index < 2 * PARTS {
        return index;
    }
    let magnitude = index / PARTS - 1;
    let part = index % PARTS + PARTS;
    (u128::from(part + 1) << magnitude).saturating_sub(1).try_into().unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_lies_in_a_bucket_that_is_narrow_enough() {
        let values = (0..2_000).chain((0..63).flat_map(|bits| {
            let power = 1_u64 << bits;
            [power - 1, power, power + power / 3]
        }));
        for value in values.chain([u64::MAX]) {
            let bound = upper_bound(bucket(value));
            assert!(bound >= value, "{value} is above {bound}");
            assert!(bound - value <= value / PARTS, "{value} is far below {bound}");
        }
    }

    #[test]
    fn percentiles_are_those_of_the_nearest_rank() {
        let mut histogram = Histogram::default();
        assert_eq!([histogram.percentile_us(50.0), histogram.mean_us()], [0, 0]);
        for value in 1..=100 {
            histogram.record(value);
        }
        for (percent, expected) in [(0.0, 1), (50.0, 50), (90.0, 90), (99.0, 99), (100.0, 100)] {
            assert_eq!(histogram.percentile_us(percent), expected, "{percent}");
        }
        assert_eq!((histogram.mean_us(), histogram.max_us(), histogram.count()), (50, 100, 100));
    }

    #[test]
    fn merged_histograms_count_both() {
        let [mut one, mut other] = [Histogram::default(), Histogram::default()];
        one.record(10);
        other.record(1_000_000);
        one.merge(&other);
        assert_eq!((one.count(), one.max_us(), one.percentile_us(50.0)), (2, 1_000_000, 10));
    }
}
