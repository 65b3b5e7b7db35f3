use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

const SEED: Digest = Digest([9; 32]);

fn weights(weights: &[u64]) -> Vec<Weight> {
    weights.iter().copied().map(Weight).collect()
}

fn shards(count: u32) -> Vec<ShardId> {
    (0..count).map(ShardId).collect()
}

fn draw(seed: Digest, epoch: u64, candidates: &[u64], count: u32, seats: usize) -> Draw {
    draw_committees(&seed, Epoch(epoch), &weights(candidates), &shards(count), seats).unwrap()
}

fn seats_of(draw: &Draw) -> Vec<&[usize]> {
    draw.committees.iter().map(|committee| committee.seats.as_slice()).collect()
}

/// The draw is part of the protocol: whoever changes these seats forks every network.
#[test]
fn the_draw_of_a_seed_is_fixed() {
    let drawn = draw(SEED, 7, &[5, 1, 8, 2, 2, 9, 4, 3, 6, 7], 3, 4);
    assert_eq!(seats_of(&drawn), [[2, 4, 7, 8], [4, 6, 8, 9], [3, 6, 8, 9]]);
    let links: Vec<(u32, u32, usize)> =
        drawn.links.iter().map(|link| (link.left.0, link.right.0, link.drawn)).collect();
    assert_eq!(links, [(0, 1, 4), (1, 2, 9)]);
    assert_eq!(drawn.links[0].shared, [4, 8]);
}

/// Given weights 1, 2, 3, 4 and two seats in each of three shards.
/// When committees are drawn for many epochs,
/// then every shard gets every pair as often as successive sampling does: also the shard in the
/// middle, both of whose seats are links as a rule.
#[test]
fn links_do_not_change_the_chances_of_any_committee() {
    const TOTAL: u64 = 10;
    // A multiple of all denominators, so that the expected counts are whole.
    const EPOCHS: u64 = 5_040 * 8;
    let candidates = [1, 2, 3, 4];
    let mut counts = [const { BTreeMap::<[usize; 2], u64>::new() }; 3];
    for epoch in 0..EPOCHS {
        let drawn = draw(SEED, epoch, &candidates, 3, 2);
        for (count, committee) in counts.iter_mut().zip(&drawn.committees) {
            *count.entry([committee.seats[0], committee.seats[1]]).or_default() += 1;
        }
    }
    for (shard, counts) in counts.iter().enumerate() {
        for one in 0..4 {
            for other in one + 1..4 {
                let (a, b) = (candidates[one], candidates[other]);
                let ordered = |first, second| EPOCHS * first * second / (TOTAL * (TOTAL - first));
                let expected = ordered(a, b) + ordered(b, a);
                let counted = counts.get(&[one, other]).copied().unwrap_or(0);
                // Four standard deviations, whose square is less than the expected count.
                assert!(
                    counted.abs_diff(expected).pow(2) < 16 * expected,
                    "shard {shard} has {one} and {other} {counted} times, not {expected}"
                );
            }
        }
    }
}

/// Shards that are no neighbours have nothing to do with each other: of three shards with one of
/// two equal candidates, the first and the third agree half of the time.
#[test]
fn shards_further_apart_are_independent() {
    const EPOCHS: u64 = 10_000;
    let agree = |epoch: &u64| {
        let drawn = draw(SEED, *epoch, &[1, 1], 4, 1);
        drawn.committees[0].seats == drawn.committees[2].seats
    };
    let agreed = (0..EPOCHS).filter(agree).count() as u64;
    assert!(agreed.abs_diff(EPOCHS / 2).pow(2) < 16 * EPOCHS / 4, "{agreed} of {EPOCHS}");
}

#[test]
fn seed_epoch_and_shard_each_decide() {
    let candidates = [3; 40];
    let base = draw(SEED, 1, &candidates, 2, 10);
    assert_eq!(base, draw(SEED, 1, &candidates, 2, 10));
    assert_ne!(base.committees, draw(SEED, 2, &candidates, 2, 10).committees);
    assert_ne!(base.committees, draw(Digest([8; 32]), 1, &candidates, 2, 10).committees);
    assert_ne!(base.committees[0].seats, base.committees[1].seats);
    let other = [ShardId(0), ShardId(5)];
    let other = draw_committees(&SEED, Epoch(1), &weights(&candidates), &other, 10).unwrap();
    assert_ne!(base.committees[1].seats, other.committees[1].seats);
}

#[test]
fn all_candidates_can_be_seated() {
    let drawn = draw(SEED, 3, &[1, Committee::MAX_TOTAL - 3, 2], 2, 3);
    assert_eq!(seats_of(&drawn), [[0, 1, 2], [0, 1, 2]]);
    assert_eq!(drawn.links[0].shared, [0, 1, 2]);
}

/// With one seat the link to the shard before has it.
#[test]
fn one_seat_is_the_link_to_the_shard_before() {
    let drawn = draw(SEED, 4, &[1; 50], 4, 1);
    for (link, committee) in drawn.links.iter().zip(&drawn.committees[1..]) {
        assert_eq!(committee.seats, [link.drawn]);
    }
    assert_eq!(drawn.committees[0].seats, [drawn.links[0].drawn]);
}

#[test]
fn what_cannot_be_drawn_is_refused() {
    let refused = |candidates: &[u64], shards: &[u32], seats| {
        let shards: Vec<ShardId> = shards.iter().copied().map(ShardId).collect();
        draw_committees(&SEED, Epoch(0), &weights(candidates), &shards, seats).unwrap_err()
    };
    assert_eq!(refused(&[1, 1], &[], 1), DrawError::NoShards);
    assert_eq!(refused(&[1, 1], &[4, 2, 4], 1), DrawError::DuplicateShard(ShardId(4)));
    assert_eq!(refused(&[1, 1], &[0], 0), DrawError::NoSeats);
    assert_eq!(refused(&[1; 600], &[0], 513), DrawError::TooManySeats(513));
    let few = DrawError::TooFewCandidates { seats: 3, candidates: 2 };
    assert_eq!(refused(&[1, 1], &[0], 3), few);
    assert_eq!(refused(&[], &[0], 1), DrawError::TooFewCandidates { seats: 1, candidates: 0 });
    assert_eq!(refused(&[1, 0], &[0], 1), DrawError::ZeroWeight(1));
    assert_eq!(refused(&[Committee::MAX_TOTAL, 1], &[0], 1), DrawError::WeightOverflow);
    assert_eq!(refused(&[u64::MAX, u64::MAX], &[0], 1), DrawError::WeightOverflow);
}

/// Draws like [`Urn::draw`], by walking along all candidates.
fn draw_slowly(rest: &mut [u64], randomness: &mut SeededRandomness) -> usize {
    let mut ticket = randomness.below(rest.iter().sum());
    for (candidate, weight) in rest.iter_mut().enumerate() {
        if ticket < *weight {
            *weight = 0;
            return candidate;
        }
        ticket -= *weight;
    }
    unreachable!("the ticket is below the sum");
}

proptest! {
    #[test]
    fn the_urn_draws_as_a_walk_along_all_candidates_does(
        candidates in prop::collection::vec(1_u64..50, 1..40),
        seed in any::<[u8; 32]>(),
    ) {
        let held = weights(&candidates);
        let mut urn = Urn::new(&held).unwrap();
        let mut rest = candidates.clone();
        let (mut one, mut other) =
            (SeededRandomness::from_seed(&seed), SeededRandomness::from_seed(&seed));
        for _ in &candidates {
            prop_assert_eq!(urn.draw(&mut one), draw_slowly(&mut rest, &mut other));
        }
        prop_assert_eq!(urn.total, 0);
    }

    #[test]
    fn every_committee_is_full_and_neighbours_share_their_link(
        candidates in prop::collection::vec(1_u64..1_000, 2..60),
        count in 1_u32..12,
        share in 0_usize..100,
        seed in any::<[u8; 32]>(),
    ) {
        let seats = 2 + share * (candidates.len() - 2) / 100;
        let drawn = draw(Digest(seed), 0, &candidates, count, seats);
        prop_assert_eq!(drawn.committees.len(), count as usize);
        prop_assert_eq!(drawn.links.len(), count as usize - 1);
        for (place, committee) in drawn.committees.iter().enumerate() {
            prop_assert_eq!(committee.shard, ShardId(place as u32));
            prop_assert_eq!(committee.seats.len(), seats);
            prop_assert!(committee.seats.is_sorted_by(|before, after| before < after));
            prop_assert!(committee.seats.iter().all(|seat| *seat < candidates.len()));
        }
        for (place, link) in drawn.links.iter().enumerate() {
            let (left, right) = (&drawn.committees[place], &drawn.committees[place + 1]);
            prop_assert_eq!((link.left, link.right), (left.shard, right.shard));
            prop_assert!(link.shared.contains(&link.drawn));
            for seat in 0..candidates.len() {
                let both = left.seats.contains(&seat) && right.seats.contains(&seat);
                prop_assert_eq!(link.shared.contains(&seat), both);
            }
        }
    }
}
