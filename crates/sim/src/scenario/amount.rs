//! From the units that people write to integers, with bounds that have names.

use std::ops::RangeInclusive;

use super::error::{Path, Problem};

/// The longest run: a day.
pub const SECONDS_MAX: f64 = 86_400.0;
/// The longest latency or interval: ten minutes.
pub const MS_MAX: f64 = 600_000.0;
/// The widest uplink: a terabit per second.
pub const MBIT_MAX: f64 = 1_000_000.0;
/// The processing powers that make sense.
pub const POWERS: RangeInclusive<f64> = 0.01..=100.0;
/// The heaviest load.
pub const TRANSACTIONS_PER_SECOND_MAX: f64 = 100_000.0;

/// A finite number within a range.
pub fn within(path: Path, value: f64, range: RangeInclusive<f64>) -> Result<f64, Problem> {
    if range.contains(&value) {
        return Ok(value);
    }
    let what = format!("{value} is out of range");
    Err(Problem::new(path, what, format!("give {} to {}", range.start(), range.end())))
}

/// Milliseconds as microseconds.
pub fn micros(path: Path, ms: f64, range: RangeInclusive<f64>) -> Result<u64, Problem> {
    Ok((within(path, ms, range)? * 1_000.0).round() as u64)
}

/// Seconds as microseconds.
pub fn micros_of_seconds(
    path: Path,
    seconds: f64,
    range: RangeInclusive<f64>,
) -> Result<u64, Problem> {
    Ok((within(path, seconds, range)? * 1_000_000.0).round() as u64)
}

/// A percentage as parts of a million.
pub fn per_million(path: Path, percent: f64, max: f64) -> Result<u32, Problem> {
    Ok((within(path, percent, 0.0..=max)? * 10_000.0).round() as u32)
}

/// Mbit/s as bits per second.
pub fn bits_per_second(path: Path, mbit: f64) -> Result<u64, Problem> {
    Ok((within(path, mbit, 0.001..=MBIT_MAX)? * 1_000_000.0).round() as u64)
}
