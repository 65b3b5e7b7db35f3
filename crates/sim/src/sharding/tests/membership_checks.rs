//! The checks of who the validators are can fail: each is shown what it must not accept.

use qcn_crypto::PublicKey;
use qcn_shard::Shard;
use qcn_types::{BEACON, Certificate, Epoch, EpochPlan};

use super::membership::world;
use super::*;
use crate::keys::validator_key;
use crate::sharding::membership::Checks;

/// A network in which validator 3 has had a new key for some epochs, and a ninth has joined.
fn changed(seconds_in_all: u64) -> ShardedNetwork {
    let builder = world(51, 8).membership(Time(seconds(1)), 3, Change::Rotate).membership(
        Time(seconds(1)),
        8,
        Change::Join,
    );
    run(builder, seconds_in_all)
}

/// Which of the checks have found something.
fn found(network: &ShardedNetwork) -> BTreeSet<&'static str> {
    network.membership_at_end().iter().map(|violation| violation.invariant).collect()
}

fn checks(network: &mut ShardedNetwork) -> &mut Checks {
    network.membership.checks.as_mut().unwrap()
}

/// The beacon of an epoch in which all changes have come about.
fn late_beacon(network: &ShardedNetwork) -> (usize, Place, EpochPlan, Certificate) {
    let epoch = Epoch(network.epoch().0 - 1);
    let engine = network.handover.engines[&(BEACON, epoch)];
    let shards = (0..8).filter_map(|seat| network.shards[engine].shard(seat));
    let certificate = shards.filter_map(Shard::newest_certificate).next().unwrap();
    let plan = network.handover.plan(epoch).unwrap().as_ref().clone();
    (engine, network.places[engine].clone(), plan, certificate)
}

/// Given a certificate of the beacon, when the plan names another key for one that signed it, or so
/// many have not signed that no quorum is left, then that is found.
#[test]
fn weight_without_a_planned_key_is_found() {
    for is_short in [false, true] {
        let mut network = changed(12);
        let (engine, place, mut plan, mut certificate) = late_beacon(&network);
        let chain = network.shards[engine].engine.setup.keys.chain();
        let now = network.now;
        checks(&mut network).certificate(now, (&place, &plan), chain, &certificate);
        assert!(found(&network).is_empty(), "a good one is accepted");
        if is_short {
            let few = certificate.attestations.iter().take(3).cloned().collect();
            certificate.attestations = qcn_types::Bounded::truncated(few);
        } else {
            let signer = certificate.attestations[0].author.position();
            let mut validators = plan.validators.to_vec();
            validators[signer].key = validator_key(77).public_key().clone();
            plan.validators = qcn_types::Bounded::truncated(validators);
        }
        checks(&mut network).certificate(now, (&place, &plan), chain, &certificate);
        assert_eq!(found(&network), BTreeSet::from(["weight_by_plan"]));
    }
}

/// Given an epoch whose plan has the new key of a validator, when it signs with the old one, or with
/// the key of another, or two blocks in one slot with the right one, then that is found.
#[test]
fn a_wrong_key_and_a_second_block_are_found() {
    let network = changed(12);
    let (_, place, plan, _) = late_beacon(&network);
    let seat = place.validators.iter().position(|number| *number == 3).unwrap();
    let digest = |key: &PublicKey| key.digest();
    let right = digest(&plan.validators[seat].key);
    let block = |round, time| BlockRef {
        round: qcn_types::Round(round),
        author: ValidatorIndex(seat as u16),
        digest: hash(Domain::Simulation, &[time]),
    };
    let wrong: [&dyn Fn(&mut Checks); 3] = [
        &|checks| checks.signs(0, (&place, &plan), seat, digest(validator_key(3).public_key())),
        &|checks| checks.signs(0, (&place, &plan), seat + 1, right),
        &|checks| {
            checks.proposes(0, &place, seat, right, &block(100_000, 1));
            checks.proposes(0, &place, seat, right, &block(100_000, 2));
        },
    ];
    for wrong in wrong {
        let mut checks = Checks::default();
        checks.signs(0, (&place, &plan), seat, right);
        checks.proposes(0, &place, seat, right, &block(99_999, 1));
        assert!(checks.found().is_empty());
        wrong(&mut checks);
        assert!(!checks.found().is_empty());
        assert!(checks.found().iter().all(|it| it.invariant == "one_key_a_slot"));
    }
}

/// Given a plan, when it names a key that was replaced, or somebody who never registered, then that
/// is found.
#[test]
fn a_plan_with_a_key_that_nobody_registered_is_found() {
    for number in [3, 42] {
        let mut network = changed(12);
        let (.., mut plan, _) = late_beacon(&network);
        network.membership.check_plan(0, &plan);
        assert!(found(&network).is_empty());
        let mut validators = plan.validators.to_vec();
        validators[3].number = number;
        validators[3].key = validator_key(3).public_key().clone();
        plan.validators = qcn_types::Bounded::truncated(validators);
        network.membership.check_plan(0, &plan);
        assert_eq!(found(&network), BTreeSet::from(["planned_as_registered"]));
    }
}

/// Given a network in which somebody was admitted, when nothing was seen of it since, then it is said
/// not to serve; and when a change that all were for is still open, that is found, too.
#[test]
fn what_does_not_come_about_and_who_does_not_serve_is_found() {
    let mut network = changed(26);
    assert!(found(&network).is_empty());
    checks(&mut network).forget_served();
    assert_eq!(found(&network), BTreeSet::from(["admitted_serve"]));

    let mut network = changed(26);
    for matter in &mut network.membership.matters.matters {
        matter.state = crate::sharding::membership::State::Open;
    }
    assert_eq!(found(&network), BTreeSet::from(["membership_comes_about"]));
}
