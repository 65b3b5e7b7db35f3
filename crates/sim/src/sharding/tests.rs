use std::collections::BTreeSet;

use qcn_types::ShardId;

use super::*;
use crate::{Adversary, CrashMoment, DiskFault, Fault, milliseconds, seconds};

fn calm(seed: u64, shards: usize) -> ShardedBuilder {
    ShardedNetwork::new(seed).shards(shards).load(20, 500, Time(seconds(8)))
}

fn run(builder: ShardedBuilder, until_s: u64) -> ShardedNetwork {
    let mut network = builder.build().unwrap();
    network.run_to(Time(seconds(until_s)));
    let violations = network.check_consensus();
    assert!(violations.is_empty(), "{violations:#?}");
    network
}

/// How many transfers were sent to other shards; all of them must have arrived for good.
fn all_arrived(network: &ShardedNetwork) -> u64 {
    let crossings = network.traffic.crossings.values();
    assert!(crossings.clone().all(|it| it.certified.is_some()));
    crossings.count() as u64
}

/// Half of the transfers of three shards go to another one, and all arrive.
#[test]
fn transfers_cross_between_shards() {
    let network = run(calm(1, 3), 20);
    let count = all_arrived(&network);
    assert!(count > 150, "{count}");
    let crossings = network.traffic.crossings.values();
    let lanes: BTreeSet<_> = crossings.map(|it| (it.from, it.to)).collect();
    assert_eq!(lanes.len(), 6, "every shard sends to every other");
    // Hardly anything is carried twice.
    assert!(network.links.receipts < count * 11 / 10);
}

#[test]
fn the_same_seed_gives_the_same_world() {
    let hash = |seed| run(calm(seed, 2), 10).trace_hash();
    assert_eq!(hash(5), hash(5));
    assert_ne!(hash(5), hash(6));
}

/// Nothing crosses a cut, whichever way round it is named and however many epochs it lasts. (Lanes
/// out of the epoch before lead one way only; a cut named the other way round once left them open.)
#[test]
fn a_cut_holds_in_both_directions_over_epochs() {
    for [one, other] in [[0, 1], [1, 0]] {
        let beacon = BeaconOptions {
            validators: 4,
            epoch_ms: 1_500,
            shards_max: 2,
            split_above: u64::MAX,
            merge_below: 0,
        };
        let (from, until) = (Time(seconds(3)), Time(seconds(10)));
        let builder = calm(9, 2).beacon(beacon).cut_off(ShardId(one), ShardId(other), from, until);
        let network = run(builder, 34);
        assert!(network.changes().epochs > 5, "{:?}", network.changes());
        // What was on its way as the cut began may arrive.
        let cut = seconds(5)..seconds(10);
        let applied = network.traffic.crossings.values().filter_map(|it| it.applied);
        assert_eq!(applied.filter(|at| cut.contains(at)).count(), 0, "from {one} to {other}");
        assert!(all_arrived(&network) > 50);
    }
}

/// Whatever the first relayers do, others bring everything, once.
#[test]
fn bad_relayers_hold_nothing_back() {
    for bad in BadRelayer::ALL {
        let mut builder = calm(2, 2);
        for (from, to) in [(0, 1), (1, 0)] {
            builder = builder.bad_relayers(from, to, bad);
        }
        let network = run(builder, 24);
        assert!(all_arrived(&network) > 100, "{bad:?}");
    }
}

/// Who puts receipts into a block that nobody certified is isolated for it.
#[test]
fn a_forger_of_receipts_is_isolated() {
    let network = run(calm(3, 2).adversary(1, 0, Adversary::InvalidPayloadAuthor), 20);
    assert_eq!(network.shard(1).unwrap().isolated(), [0]);
}

/// The cross-validator crashes with and without its disk, and a shard is cut in two for a while.
#[test]
fn receipts_survive_crashes_and_cuts() {
    let crash = |disk| Fault::Crash {
        validator: 3,
        moment: CrashMoment::Now,
        disk,
        restart_after_us: Some(milliseconds(2_500)),
    };
    let halves = Fault::Partition { groups: vec![vec![0, 1], vec![2, 3]] };
    let network = run(
        calm(4, 2)
            .fault(0, Time(milliseconds(1_500)), crash(DiskFault::LoseUnsynced))
            .fault(0, Time(seconds(6)), crash(DiskFault::Wipe))
            .fault(1, Time(seconds(3)), halves)
            .fault(1, Time(seconds(6)), Fault::Heal),
        26,
    );
    assert!(all_arrived(&network) > 100);
}

/// A shard that stands still holds up what is sent to it and nothing else, and the source keeps
/// what it owes.
#[test]
fn a_stalled_shard_stalls_no_other() {
    let everybody = |shard: usize| {
        let apart = Fault::Partition { groups: (0..4).map(|one| vec![one]).collect() };
        calm(5, 3).fault(shard, Time(seconds(1)), apart)
    };
    let mut network = everybody(2).build().unwrap();
    network.run_to(Time(seconds(9)));
    let height = network.shard(0).unwrap().certified_height(0);
    let arrived = |network: &ShardedNetwork, to: usize| {
        let crossings = network.traffic.crossings.values();
        crossings.filter(|it| it.to == to && it.from != 2 && it.certified.is_some()).count()
    };
    assert!(arrived(&network, 1) > 25 && height.0 > 100, "{height:?}");
    let stuck = arrived(&network, 2);
    network.shard_mut(2).unwrap().heal();
    network.run_to(Time(seconds(24)));
    let violations = network.check_consensus();
    assert!(violations.is_empty(), "{violations:#?}");
    assert!(arrived(&network, 2) > stuck + 20);
    all_arrived(&network);
}

#[test]
fn impossible_networks_are_refused() {
    let refused = |builder: ShardedBuilder| builder.build().unwrap_err().to_string();
    assert_eq!(refused(calm(1, 0)), "a layout has 1 to 256 shards, not 0");
    assert_eq!(
        refused(calm(1, 2).validators(1)),
        "1 validators a shard are too few for cross-validators: at least 2 are needed"
    );
    assert_eq!(
        refused(calm(1, 2).accounts(1)),
        "transfers need at least 2 accounts in each shard, not 1"
    );
    assert_eq!(
        refused(calm(1, 2).adversary(1, 9, Adversary::Flooder)),
        "shard 1: there is no validator 9: the last is 3"
    );
}

mod captured;
mod epochs;
mod membership;
mod membership_checks;
mod shrink;
