//! Where validators stand and how far apart they are: the measured matrices of `data/`.
//!
//! Everything here is integer microseconds once loaded, so that a run never depends on a
//! platform's floating point. `data/SOURCES.md` says where each table comes from.

mod bound;
mod table;

use std::collections::BTreeMap;
use std::sync::OnceLock;

pub use bound::{FinalityBound, finality_bounds, weighted_median};

/// Median round-trip times between AWS regions in milliseconds.
const AWS_RTT: &str = include_str!("../data/aws_rtt_p50_ms.json");

/// The Sui validators with their region and weight.
const PLACEMENT: &str = include_str!("../data/placement.csv");

/// What [`aws`] is, for a report's conditions.
pub const AWS_SOURCE: &str = "measured AWS inter-region p50 round-trip times, halved";

/// What [`sui_validators`] are, for a report's conditions.
pub const SUI_SOURCE: &str = "stake of 106 Sui validators, each at the nearest AWS region";

/// Symmetric one-way latencies between named regions.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Latencies {
    /// The regions, in the order of the matrix.
    pub regions: Vec<String>,
    /// One-way latency in microseconds, by row and column; the diagonal is the latency between
    /// two validators of one region.
    pub one_way_us: Vec<Vec<u64>>,
}

impl Latencies {
    /// The index of a region.
    #[must_use]
    pub fn index(&self, region: &str) -> Option<usize> {
        self.regions.iter().position(|name| name == region)
    }
}

/// A real validator at its place.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PlacedValidator {
    /// City and rank, such as `london-2`.
    pub name: String,
    /// The AWS region that stands for its place.
    pub region: String,
    /// Its stake in whole units.
    pub weight: u64,
}

/// The latencies between AWS regions, in order of the regions' names.
#[must_use]
pub fn aws() -> &'static Latencies {
    static AWS: OnceLock<Latencies> = OnceLock::new();
    AWS.get_or_init(|| symmetrised(AWS_RTT))
}

/// The 106 Sui validators, in order of their stake.
#[must_use]
pub fn sui_validators() -> &'static [PlacedValidator] {
    static SUI: OnceLock<Vec<PlacedValidator>> = OnceLock::new();
    SUI.get_or_init(|| table::rows(PLACEMENT).iter().map(|row| placed(row)).collect())
}

/// The published file: `{"data": {from: {to: round trip in ms}}}`.
#[derive(serde::Deserialize)]
struct RoundTrips {
    data: BTreeMap<String, BTreeMap<String, f64>>,
}

/// One-way microseconds from round trips in milliseconds: a quarter of both directions' sum.
fn symmetrised(text: &str) -> Latencies {
    let RoundTrips { data } = serde_json::from_str(text).expect("the embedded matrix is JSON");
    let regions: Vec<String> = data.keys().cloned().collect();
    let one_way_us = data
        .iter()
        .map(|(from, row)| {
            regions.iter().map(|to| ((row[to] + data[to][from]) * 250.0).round() as u64).collect()
        })
        .collect();
    Latencies { regions, one_way_us }
}

/// One row of the placement table: rank, name, city, country, region, weight.
fn placed(row: &[String]) -> PlacedValidator {
    let [_, name, _, _, region, weight] = row else {
        panic!("the embedded placement has six columns, not {}", row.len());
    };
    PlacedValidator {
        name: name.clone(),
        region: region.clone(),
        weight: weight.parse().expect("an embedded weight is a whole number"),
    }
}

#[cfg(test)]
mod tests;
