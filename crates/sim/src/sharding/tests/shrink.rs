//! Random networks become small, and stay networks.

use super::*;
use crate::sharding::random_shards;

fn has_crash(network: &ShardedPlan) -> bool {
    network.builder.faults.iter().any(|(.., fault)| matches!(fault, Fault::Crash { .. }))
}

/// Given random networks that fail where any validator crashes, when they are shrunk, then nothing
/// is left but that crash and what ends all faults, and the network can be built.
#[test]
fn what_a_defect_does_not_need_is_dropped() {
    let mut shrunk = 0;
    for seed in 0..60 {
        let network = random_shards(seed);
        if !has_crash(&network) {
            continue;
        }
        let enough = |runs| runs >= 1_000;
        let (whole, keys) = (network.until, network.key_ring());
        let (small, runs) = network.shrink(true, &enough, &mut has_crash);
        assert!(runs < 1_000, "shrinking ends by itself");
        assert_eq!(small.key_ring(), keys);
        assert!(small.describe().contains(&format!("signed with {}", keys.scheme())));
        let builder = &small.builder;
        let faults = builder.faults.iter().filter(|(.., fault)| !fault.ends_others());
        assert_eq!((builder.shards, faults.count()), (1, 1), "{}", small.describe());
        assert!(small.until < whole && builder.adversaries.is_empty() && builder.epochs.is_empty());
        assert!(builder.bad_relayers.is_empty() && builder.cuts.is_empty());
        small.builder.build().unwrap();
        shrunk += 1;
    }
    assert!(shrunk > 20, "{shrunk}");
}

/// Whatever is left out, what remains is a network, and its faults are about validators that it has.
#[test]
fn every_smaller_network_can_be_built() {
    for seed in 0..12 {
        let mut tried = 0;
        let mut take_some = |network: &ShardedPlan| {
            tried += 1;
            network.builder.clone().build().unwrap();
            tried % 3 == 0
        };
        random_shards(seed).shrink(false, &|runs| runs >= 60, &mut take_some);
    }
}

/// A run in which something must have happened by its end keeps its length.
#[test]
fn what_is_judged_at_the_end_keeps_its_time() {
    let network = random_shards(3);
    let until = network.until;
    let (small, _) = network.shrink(false, &|runs| runs >= 1_000, &mut |_| true);
    assert_eq!(small.until, until);
}

/// Given random networks that fail where a newcomer's key is replaced, when they are shrunk, then of
/// all that happens to who the validators are only its joining and one new key are left.
#[test]
fn changes_of_membership_are_dropped_one_by_one() {
    let new_key_of = |network: &ShardedPlan| {
        let builder = &network.builder;
        let founders = builder.beacon.as_ref()?.validators;
        let mut events = builder.membership.iter();
        let is_meant = |it: &&MembershipEvent| it.who >= founders && it.change == Change::Rotate;
        events.find(is_meant).map(|event| event.who)
    };
    let mut shrunk = 0;
    for seed in 0..400 {
        let network = random_shards(seed);
        if new_key_of(&network).is_none() || network.builder.membership.len() < 3 {
            continue;
        }
        assert!(network.describe().contains("is to have another consensus key"));
        let enough = |runs| runs >= 1_000;
        let (small, _) = network.shrink(true, &enough, &mut |it| new_key_of(it).is_some());
        let changes = small.builder.membership.iter().map(|event| event.change);
        assert_eq!(changes.collect::<Vec<_>>(), [Change::Join, Change::Rotate]);
        small.builder.build().unwrap();
        shrunk += 1;
    }
    assert!(shrunk > 5, "{shrunk}");
}
