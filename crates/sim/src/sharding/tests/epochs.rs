//! From epoch to epoch.

use qcn_types::Resharding;

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
    for pause in network.pauses() {
        assert!(pause.until.since_us(pause.from) < seconds(1), "{pause:?}");
    }
}

/// A shard that is cut in two opens its second epoch only after the third was announced: those who
/// had told their other shards did not tell this one, and it never closed (found by a random
/// network).
#[test]
fn a_shard_that_opens_late_closes_all_the_same() {
    for seed in 0..4 {
        let halves = Fault::Partition { groups: vec![vec![0, 1], vec![2, 3]] };
        let builder = calm(seed, 4)
            .fault(1, Time(milliseconds(1_500)), halves)
            .fault(1, Time(seconds(6)), Fault::Heal)
            .epoch_ends(Time(seconds(2)), Vec::new())
            .epoch_ends(Time(seconds(4)), Vec::new());
        let network = run(builder, 26);
        assert_eq!((network.epoch().0, network.places.len()), (2, 12));
    }
}

/// Shards split and merge while transfers cross, and every transfer arrives once.
///
/// Given two shards, of which one splits after 2 s, its upper half splits after 4 s, and the first
/// absorbs what is left of that half after 6 s,
/// when half of all transfers go to another shard all the while,
/// then all of them arrive, and the layout is what the changes make of it.
#[test]
fn shards_split_and_merge_under_way() {
    let [s0, s2, s3] = [0, 2, 3].map(ShardId);
    let builder = calm(23, 2)
        .accounts(16)
        .epoch_ends(Time(seconds(2)), vec![Resharding::Split { shard: s0, new: s2 }])
        .epoch_ends(Time(seconds(4)), vec![Resharding::Split { shard: s2, new: s3 }])
        .epoch_ends(Time(seconds(6)), vec![Resharding::Merge { into: s2, closed: s3 }]);
    let network = run(builder, 26);
    assert_eq!(network.reshardings().len(), 3);
    let shards: Vec<u32> =
        network.handover.newest().layout.shards().iter().map(|(_, shard)| shard.0).collect();
    assert_eq!(shards, [0, 2, 1]);
    assert!(all_arrived(&network) > 150);
}

/// Epochs shorter than the patience of relayers hold nothing up (found by a random network).
///
/// Given that the first two relayers of a lane leave out what they should carry, and that epochs
/// last half as long as the third one leaves a lane to them,
/// when committees, and with them relayers, change all the while,
/// then whoever comes next knows how long the lane has lagged, and everything arrives.
#[test]
fn short_epochs_do_not_wear_out_patience() {
    let beacon = BeaconOptions {
        validators: 9,
        epoch_ms: 1_500,
        shards_max: 2,
        split_above: 1_000_000,
        merge_below: 0,
    };
    let builder = calm(24, 2).validators(6).beacon(beacon);
    let builder = builder.bad_relayers(0, 1, BadRelayer::Skips);
    let network = run(builder, 30);
    assert!(network.epoch().0 > 10, "{:?}", network.epoch());
    let crossings = network.traffic.crossings.values();
    assert!(crossings.clone().count() > 100);
}
