use proptest::prelude::*;

use super::*;

#[test]
fn long_gaps_become_three() {
    let compact = CompactRounds::new([9, 1, 2, 5, 9, 1 << 60, u64::MAX].into_iter());
    let numbers = [0, 1, 2, 5, 9, 1 << 60, u64::MAX].map(|round| compact.number(round));
    assert_eq!(numbers, [0, 1, 2, 5, 8, 11, 14]);
    assert_eq!(compact.highest(), 14);
    assert_eq!(CompactRounds::new(std::iter::empty()).highest(), 0);
}

proptest! {
    /// One, two, or three and more: that is all the commit rule asks of two rounds.
    #[test]
    fn distances_mean_the_same(
        gaps in prop::collection::vec(prop_oneof![1..6_u64, 1..1_000_000_u64], 1..20),
    ) {
        let rounds = gaps.iter().scan(0, |round, gap| {
            *round += gap;
            Some(*round)
        });
        let rounds: Vec<u64> = rounds.collect();
        let compact = CompactRounds::new(rounds.iter().copied());
        for (at, low) in rounds.iter().enumerate() {
            for high in &rounds[at..] {
                let distance = compact.number(*high) - compact.number(*low);
                prop_assert_eq!(distance.min(3), (high - low).min(3));
            }
        }
        prop_assert!(compact.highest() <= 3 * rounds.len() as u64);
    }
}
