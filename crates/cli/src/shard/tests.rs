use qcn_crypto::{Digest, Domain, hash};

use super::adversary::Strategy;
use super::capture::{Candidate, Effort, capture};
use super::*;

fn layout(weights: &[u64], shards: u32, bound: f64) -> Layout {
    Layout {
        weights: weights.to_vec(),
        shards,
        corrupt: "0.25".parse().unwrap(),
        epoch_length: "24h".parse().unwrap(),
        bound: Bound(bound),
    }
}

/// Counts in how many of many epochs each of three shards is captured in the committees that are
/// really drawn and formed, with the code of the validators.
fn captured_when_drawn(weights: &[u64], corrupt: &[bool], seats: usize, epochs: u64) -> [u64; 3] {
    let seed: Digest = hash(Domain::Simulation, b"monte carlo");
    let candidates: Vec<Weight> = weights.iter().copied().map(Weight).collect();
    let shards = [ShardId(0), ShardId(1), ShardId(2)];
    let mut counts = [0; 3];
    for epoch in 0..epochs {
        let drawn = draw_committees(&seed, Epoch(epoch), &candidates, &shards, seats).unwrap();
        for (count, committee) in counts.iter_mut().zip(&drawn.committees) {
            let mut given: Vec<u64> = committee.seats.iter().map(|seat| weights[*seat]).collect();
            qcn_types::cap_weights(&mut given);
            let members = committee.seats.iter().zip(&given);
            let held = members.filter(|(seat, _)| corrupt[**seat]).map(|(_, weight)| weight);
            let (held, total) = (held.sum::<u64>(), given.iter().sum::<u64>());
            *count += u64::from(held > (total - 1) / 3);
        }
    }
    counts
}

/// Given thirty validators of which few weigh the same, and an adversary with a quarter.
/// When committees of seven are drawn for twenty thousand epochs,
/// then every shard, whether at the end or in the middle, is captured as often as the plan says,
/// within four standard deviations.
#[test]
fn the_draw_is_captured_as_often_as_the_plan_says() {
    const EPOCHS: u64 = 20_000;
    let weights: Vec<u64> = (0..30).map(|place| 40 + 7 * place + place * place % 13).collect();
    for strategy in Strategy::ALL {
        let corrupt = strategy.corrupt(&weights, "0.25".parse().unwrap());
        let both = weights.iter().zip(&corrupt);
        let candidates: Vec<Candidate> = both
            .map(|(weight, corrupt)| Candidate { weight: *weight, corrupt: *corrupt })
            .collect();
        let expected = capture(&candidates, 7, Effort::Thorough).probability;
        for (shard, count) in
            captured_when_drawn(&weights, &corrupt, 7, EPOCHS).into_iter().enumerate()
        {
            let (share, count) = (count as f64 / EPOCHS as f64, count);
            let deviation = (expected.upper * (1.0 - expected.upper) / EPOCHS as f64).sqrt();
            assert!(
                share > expected.lower - 4.0 * deviation
                    && share < expected.upper + 4.0 * deviation,
                "{strategy:?}, shard {shard}: {count} of {EPOCHS}, not {expected:?}"
            );
        }
    }
}

#[test]
fn fewer_seats_than_found_are_refused_and_the_number_is_named() {
    let layout = layout(&[1; 200], 4, 1e-4);
    let found = Plan::make(&layout, None);
    let seats = found.seats.unwrap();
    assert!(found.refusal.is_none() && found.worst().year.upper <= 1e-4);
    assert!(Plan::make(&layout, Some(seats)).refusal.is_none());
    let refused = Plan::make(&layout, Some(seats - 1)).refusal.unwrap();
    assert!(refused.ends_with(&format!("give {seats} seats or more")), "{refused}");
}

/// A third of all weight is corrupt, so even the committee of everybody is captured.
#[test]
fn what_no_seats_make_safe_is_refused_with_what_else_would_help() {
    let mut hopeless = layout(&[3; 60], 2, 1e-6);
    hopeless.corrupt = "0.34".parse().unwrap();
    let refused = Plan::make(&hopeless, None);
    assert_eq!((refused.seats, refused.assessed_seats), (None, 60));
    assert_eq!(refused.worst().capture.probability.lower, 1.0);
    let refusal = refused.refusal.unwrap();
    assert!(refusal.starts_with("no number of seats up to 60 is within the bound"), "{refusal}");
    assert!(refusal.contains("make weights more equal"), "{refusal}");
    let asked = Plan::make(&hopeless, Some(10)).refusal.unwrap();
    assert!(asked.contains("and no number of seats up to 60 is within it"), "{asked}");
}

#[test]
fn years_and_shards_add_up() {
    let one = layout(&[1; 60], 1, 0.5).assess(Strategy::Spread, 31, Effort::Thorough);
    let ten = layout(&[1; 60], 10, 0.5).assess(Strategy::Spread, 31, Effort::Thorough);
    let probability = one.capture.probability.upper;
    assert_eq!(one.any_shard.upper, probability);
    assert_eq!(ten.any_shard.upper, 10.0 * probability);
    let year = 1.0 - (1.0 - probability).powf(365.25);
    assert!((one.year.upper / year - 1.0).abs() < 1e-9);
}
