use super::*;
use crate::to_hex;

/// A change of these changes every simulation and every key of a seed.
#[test]
fn streams_stay_what_they_were() {
    let mut first = [0; 16];
    SeededRandomness::from_seed(&[1; 32]).fill(&mut first);
    let mut second = [0; 16];
    SeededRandomness::from_u64(7, "network").fill(&mut second);
    assert_eq!(
        [to_hex(&first), to_hex(&second)],
        ["7f6d01bb485670e73ad3f05cf32c3c5f", "ddfa6c9e32afab02de855055a92bd175"]
    );
}

#[test]
fn the_stream_does_not_depend_on_how_it_is_read() {
    let mut whole = vec![0; 3000];
    SeededRandomness::from_u64(1, "").fill(&mut whole);
    for size in [1, 7, 8, 64, 511, 512, 513, 2999] {
        let mut parts = vec![0; 3000];
        let mut randomness = SeededRandomness::from_u64(1, "");
        parts.chunks_mut(size).for_each(|part| randomness.fill(part));
        assert_eq!(parts, whole, "in parts of {size}");
    }
    let mut copy = SeededRandomness::from_u64(1, "").clone();
    assert_eq!(copy.next_u64().to_le_bytes(), whole[..8]);
}

#[test]
fn seeds_and_labels_give_unrelated_streams() {
    let mut firsts: Vec<u64> = (0..50)
        .flat_map(|seed| ["", "a", "b", "ab"].map(|label| (seed, label)))
        .map(|(seed, label)| SeededRandomness::from_u64(seed, label).next_u64())
        .collect();
    firsts.sort_unstable();
    firsts.dedup();
    assert_eq!(firsts.len(), 200);
}

#[test]
fn numbers_below_a_bound_are_spread_evenly() {
    let mut randomness = SeededRandomness::from_u64(1, "dice");
    let mut counts = [0u32; 6];
    for _ in 0..60_000 {
        counts[usize::try_from(randomness.below(6)).unwrap()] += 1;
    }
    // Six standard deviations of a fair die.
    assert!(counts.iter().all(|count| count.abs_diff(10_000) < 550), "{counts:?}");
    assert!((0..1000).all(|_| randomness.below(1) == 0));
}

/// With a bound of 3/4 of the range a plain remainder would give the lower
/// third twice as often; here every third of the answers is as likely.
#[test]
fn large_bounds_favour_nobody() {
    let bound = 3 << 62;
    let mut randomness = SeededRandomness::from_u64(2, "large");
    let lower = (0..30_000).filter(|_| randomness.below(bound) < bound / 3).count();
    assert!(lower.abs_diff(10_000) < 500, "{lower}");
}

#[test]
#[should_panic(expected = "no number is below 0")]
fn nothing_is_below_zero() {
    SeededRandomness::from_u64(1, "").below(0);
}

#[test]
fn entropy_of_the_system_differs_each_time() {
    let mut draws = [[0; 32]; 2];
    draws.iter_mut().for_each(|draw| fill_from_system(draw).unwrap());
    assert_ne!(draws[0], draws[1]);
    let [mut first, mut second] = [fresh_randomness().unwrap(), fresh_randomness().unwrap()];
    assert_ne!(first.next_u64(), second.next_u64());
}
