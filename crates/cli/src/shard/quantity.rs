//! Numbers as they are written on the command line.

use std::fmt;
use std::str::FromStr;

use anyhow::{Context as _, bail, ensure};

/// A share of the weight, as a decimal fraction that is kept exactly: 0.29 of 100 is 29.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Share {
    billionths: u64,
}

impl Share {
    const DIGITS: usize = 9;
    const ALL: u64 = 1_000_000_000;

    /// The share of a whole, rounded down.
    pub fn of(self, whole: u128) -> u128 {
        whole * u128::from(self.billionths) / u128::from(Self::ALL)
    }

    /// About the share.
    pub fn as_f64(self) -> f64 {
        self.billionths as f64 / Self::ALL as f64
    }
}

impl FromStr for Share {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        const REMEDY: &str = "give a decimal fraction from 0 to below 1, such as 0.25";
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        ensure!(!text.is_empty() && text != "." && digits(whole) && digits(fraction), REMEDY);
        ensure!(whole.bytes().all(|byte| byte == b'0'), REMEDY);
        ensure!(fraction.len() <= Self::DIGITS, "give at most {} decimals", Self::DIGITS);
        let padded = format!("{fraction:0<width$}", width = Self::DIGITS);
        Ok(Self { billionths: padded.parse().context(REMEDY)? })
    }
}

impl fmt::Display for Share {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}", self.as_f64())
    }
}

/// How long a committee serves.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct EpochLength {
    minutes: u64,
}

impl EpochLength {
    const MINUTES_MAX: u64 = 366 * 24 * 60;
    const MINUTES_PER_YEAR: f64 = 365.25 * 24.0 * 60.0;

    /// How many of them there are in a year of 365.25 days.
    pub fn per_year(self) -> f64 {
        Self::MINUTES_PER_YEAR / self.minutes as f64
    }

    /// The length in hours.
    pub fn hours(self) -> f64 {
        self.minutes as f64 / 60.0
    }
}

impl FromStr for EpochLength {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        const REMEDY: &str = "give a whole number and a unit: 30m, 12h or 1d, up to 366d";
        let Some(unit) = text.chars().last() else {
            bail!(REMEDY);
        };
        let minutes_each: u64 = match unit {
            'm' => 1,
            'h' => 60,
            'd' => 24 * 60,
            _ => bail!(REMEDY),
        };
        let number: u64 = text[..text.len() - 1].parse().ok().context(REMEDY)?;
        let minutes = number.checked_mul(minutes_each).context(REMEDY)?;
        ensure!((1..=Self::MINUTES_MAX).contains(&minutes), REMEDY);
        Ok(Self { minutes })
    }
}

/// A probability that is accepted.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Bound(pub f64);

impl FromStr for Bound {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        const REMEDY: &str = "give a probability above 1e-200 and below 1, such as 1e-6";
        let bound: f64 = text.parse().ok().context(REMEDY)?;
        ensure!(bound > 1e-200 && bound < 1.0, REMEDY);
        Ok(Self(bound))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_exact() {
        let of = |share: &str, whole| share.parse::<Share>().unwrap().of(whole);
        assert_eq!(of("0.29", 100), 29);
        assert_eq!(of(".25", 7), 1);
        assert_eq!(of("0.333333333", 1_000_000_000), 333_333_333);
        assert_eq!((of("0", 5), of("0.", 5)), (0, 0));
        for wrong in ["1", "1.0", "-0.1", "", ".", "x", "0.2.5", "NaN", "25%", "0.1234567891"] {
            assert!(wrong.parse::<Share>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn lengths_have_a_unit() {
        let per_year = |text: &str| text.parse::<EpochLength>().unwrap().per_year();
        assert_eq!((per_year("1d"), per_year("24h"), per_year("30m")), (365.25, 365.25, 17_532.0));
        for wrong in
            ["", "h", "0h", "24", "1.5h", "-1h", "367d", "1w", "99999999999999999999d", "é"]
        {
            assert!(wrong.parse::<EpochLength>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn bounds_are_probabilities() {
        assert_eq!("1e-6".parse::<Bound>().unwrap(), Bound(1e-6));
        for wrong in ["0", "1", "-1e-6", "NaN", "inf", "x", "1e-300"] {
            assert!(wrong.parse::<Bound>().is_err(), "{wrong}");
        }
    }
}
