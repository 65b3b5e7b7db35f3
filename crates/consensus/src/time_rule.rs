//! The rules on block times (DESIGN section 5.1).

use qcn_types::{BlockBody, Committee, Round, Time};

use crate::dag::Dag;

/// Whether a block's time is not below the weighted median of its parents' in the round before:
/// parents of at least half the weight are not later than the block.
#[must_use]
pub fn not_below_median<B>(dag: &Dag<B>, committee: &Committee, body: &BlockBody) -> bool {
    let previous = body.round.previous();
    let (mut total, mut not_later) = (0_u64, 0_u64);
    for parent in body.parents.iter().filter(|parent| parent.round == previous) {
        let weight = committee.weight(parent.author);
        // The very block that is referenced: of an equivocator's two, others may hold the other
        // first. What is below the floor was judged by those who saw it.
        let time_ms = dag.time_ms(parent).unwrap_or(0);
        total += weight;
        not_later += if time_ms <= body.time_ms { weight } else { 0 };
    }
    not_later.saturating_mul(2) >= total
}

/// The time of an own block: the local clock, but not below the median of the round before.
#[must_use]
pub fn proposal_time_ms<B>(dag: &Dag<B>, committee: &Committee, round: Round, now: Time) -> u64 {
    let Some(layer) = dag.layer(round.previous()) else {
        return now.as_ms();
    };
    let mut times: Vec<(u64, u64)> = layer
        .present()
        .iter()
        .filter_map(|author| Some((layer.first(author)?.time_ms, committee.weight(author))))
        .collect();
    times.sort_unstable();
    let total: u64 = times.iter().map(|(_, weight)| weight).sum();
    let mut passed = 0_u64;
    let median = times.iter().find(|(_, weight)| {
        passed += weight;
        passed.saturating_mul(2) >= total
    });
    median.map_or(0, |(time_ms, _)| *time_ms).max(now.as_ms())
}
