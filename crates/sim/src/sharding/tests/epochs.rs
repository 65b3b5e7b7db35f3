//! From epoch to epoch.

use super::*;

/// Committees are drawn anew twice while transfers cross: everybody opens, and all arrive.
#[test]
fn committees_change_and_transfers_go_on() {
    let builder = calm(21, 3)
        .epoch_ends(Time(seconds(3)), Vec::new())
        .epoch_ends(Time(seconds(6)), Vec::new());
    let network = run(builder, 24);
    assert_eq!(network.places.len(), 9);
    let moved = network.places.iter().filter(|place| place.epoch.0 == 2);
    let first = network.places.iter().filter(|place| place.epoch.0 == 0);
    assert!(moved.zip(first).any(|(now, then)| now.validators != then.validators));
    assert!(all_arrived(&network) > 150);
}

/// A beacon of all validators ends epochs by itself, and transfers cross all the while.
///
/// Given eight validators, two shards of five seats, and epochs of two seconds,
/// when the network runs for 24 seconds,
/// then several epochs have followed each other, their seeds come of what was revealed, and all
/// transfers have arrived.
#[test]
fn the_beacon_leads_from_epoch_to_epoch() {
    let beacon = BeaconOptions {
        validators: 8,
        epoch_ms: 2_000,
        shards_max: 4,
        split_above: 1_000_000,
        merge_below: 0,
    };
    let network = run(calm(22, 2).validators(5).beacon(beacon), 24);
    assert!(network.epoch().0 >= 5, "{:?}", network.epoch());
    assert!(all_arrived(&network) > 100);
    let pauses = network.pauses();
    assert!(pauses.iter().all(|pause| pause.0 < 1_000_000), "{pauses:?}");
}

/// Seed 50138: a shard that was cut in two opened its second epoch only after the third had been
/// announced; those who had told their other shards did not tell this one, and it never closed.
#[test]
fn a_shard_that_opens_late_closes_all_the_same() {
    let random = random_shards(50_138);
    let mut network = random.builder.build().unwrap();
    network.run_to(random.until);
    assert!(network.check_consensus().is_empty(), "{:#?}", network.check_consensus());
    assert_eq!(network.epoch().0, 2);
}
