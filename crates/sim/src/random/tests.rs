use super::*;

#[test]
fn a_seed_and_a_label_decide_the_stream() {
    let stream = |seed, label| {
        let mut random = Random::new(seed, label);
        [random.next_u64(), random.next_u64(), random.next_u64()]
    };
    assert_eq!(stream(1, "a"), stream(1, "a"));
    assert_ne!(stream(1, "a"), stream(2, "a"));
    assert_ne!(stream(1, "a"), stream(1, "b"));
}

/// The reference implementation's first outputs from the state 1, 2, 3, 4.
#[test]
fn it_is_xoshiro256_plus_plus() {
    let mut random = Random { state: [1, 2, 3, 4] };
    let first = [random.next_u64(), random.next_u64(), random.next_u64(), random.next_u64()];
    assert_eq!(first, [41_943_041, 58_720_359, 3_588_806_011_781_223, 3_591_011_842_654_386]);
}

#[test]
fn numbers_stay_in_their_range_and_fill_it() {
    let mut random = Random::new(7, "range");
    let mut seen = [0_u32; 6];
    for _ in 0..6_000 {
        seen[random.between(2, 7) as usize - 2] += 1;
    }
    assert!(seen.iter().all(|count| (800..1_200).contains(count)), "{seen:?}");
    assert_eq!(random.below(0), 0);
    assert!(!random.chance(0));
    assert!(random.chance(MILLION));
}

#[test]
fn shuffling_keeps_every_item() {
    let mut items: Vec<u32> = (0..50).collect();
    Random::new(1, "shuffle").shuffle(&mut items);
    assert_ne!(items, (0..50).collect::<Vec<_>>());
    items.sort_unstable();
    assert_eq!(items, (0..50).collect::<Vec<_>>());
}
