//! From exact observations in microseconds to rounded report values.

use super::{FinalityBucket, HistogramBin, Percentiles, RateBucket};

/// How many bars the lower three quarters of a histogram should have, about.
const BINS_WANTED: u64 = 30;
/// How many bars a histogram has at most.
const BINS_MAX: u64 = 400;

/// Bar widths that read well, in microseconds; multiplied by powers of ten.
const NICE_WIDTHS: [u64; 3] = [1, 2, 5];

/// Rounds a report value to three decimals, and maps negative zero to zero.
#[must_use]
pub fn round3(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0 + 0.0
}

impl Percentiles {
    /// The figures of observations in microseconds, given in any order, as milliseconds.
    ///
    /// A percentile is the smallest observation that at least so many are not above
    /// (nearest rank), so it is always a value that occurred.
    #[must_use]
    pub fn from_micros(mut observations: Vec<u64>) -> Self {
        observations.sort_unstable();
        let Some(&max) = observations.last() else {
            return Self::default();
        };
        let samples = observations.len() as u64;
        let sum: u128 = observations.iter().map(|&micros| u128::from(micros)).sum();
        Self {
            samples,
            p50: Some(rank(&observations, 50)),
            p95: Some(rank(&observations, 95)),
            p99: Some(rank(&observations, 99)),
            mean: Some(millis((sum / u128::from(samples)) as u64)),
            max: Some(millis(max)),
            lower_bound_ms: None,
        }
    }
}

/// The nearest-rank percentile of sorted, non-empty observations, in milliseconds.
fn rank(sorted: &[u64], percent: usize) -> f64 {
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    millis(sorted[rank - 1])
}

/// Microseconds as rounded milliseconds.
fn millis(micros: u64) -> f64 {
    round3(micros as f64 / 1000.0)
}

/// Bars of a round width that cover observations in microseconds; empty when there are none.
///
/// The width suits the lower three quarters, so that a long tail does not blur them; what lies
/// beyond the last bar but one is in the last, which is as wide as it must be.
#[must_use]
pub fn histogram(observations: &[u64]) -> Vec<HistogramBin> {
    let mut sorted = observations.to_vec();
    sorted.sort_unstable();
    let (Some(&low), Some(&high)) = (sorted.first(), sorted.last()) else {
        return Vec::new();
    };
    let width = nice_width((sorted[sorted.len() * 3 / 4] - low) / BINS_WANTED + 1);
    let first = low / width;
    let last = (high / width).min(first + BINS_MAX - 1);
    let mut counts = vec![0_u64; (last - first + 1) as usize];
    for micros in sorted {
        counts[((micros / width).min(last) - first) as usize] += 1;
    }
    let mut bins: Vec<HistogramBin> = (first..)
        .zip(counts)
        .map(|(index, count)| HistogramBin {
            from_ms: millis(index * width),
            to_ms: millis((index + 1) * width),
            count,
        })
        .collect();
    if let Some(bin) = bins.last_mut() {
        bin.to_ms = millis((high / width + 1) * width);
    }
    bins
}

/// The smallest of 1, 2, 5, 10, 20, ... that is not below `least`, and at least 100.
fn nice_width(least: u64) -> u64 {
    let mut decade = 100;
    loop {
        for step in NICE_WIDTHS {
            if step * decade >= least {
                return step * decade;
            }
        }
        decade *= 10;
    }
}

/// Groups `(submitted at, finality)` pairs, both in microseconds, by the second of submission.
///
/// Every second up to `seconds` gets a bucket, so that a gap is seen as a gap.
#[must_use]
pub fn finality_over_time(observations: &[(u64, u64)], seconds: u64) -> Vec<FinalityBucket> {
    let mut buckets = vec![Vec::new(); seconds as usize];
    for &(submitted, finality) in observations {
        if let Some(bucket) = buckets.get_mut((submitted / 1_000_000) as usize) {
            bucket.push(finality);
        }
    }
    (0..)
        .zip(buckets)
        .map(|(second, bucket)| {
            let figures = Percentiles::from_micros(bucket);
            FinalityBucket { second, p50: figures.p50, p95: figures.p95, count: figures.samples }
        })
        .collect()
}

/// Counts what happened at the given microseconds, per second, up to `seconds`.
#[must_use]
pub fn per_second(at_us: impl IntoIterator<Item = u64>, seconds: u64) -> Vec<RateBucket> {
    let mut buckets: Vec<RateBucket> =
        (0..seconds).map(|second| RateBucket { second, count: 0 }).collect();
    for micros in at_us {
        if let Some(bucket) = buckets.get_mut((micros / 1_000_000) as usize) {
            bucket.count += 1;
        }
    }
    buckets
}
