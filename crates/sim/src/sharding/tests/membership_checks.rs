//! The checks of who the validators are can fail: each is shown what it must not accept.

use qcn_crypto::PublicKey;
use qcn_ledger::Beacon;
use qcn_shard::Shard;
use qcn_types::{BEACON, Certificate, Epoch, EpochPlan, PlannedValidator};

use super::membership::world;
use super::*;
use crate::keys::KeyRing;
use crate::sharding::membership::Checks;

/// What is to be said of it, and what makes it wrong.
type Wrong<'a> = (&'a str, &'a dyn Fn(&mut Checks));

/// What is to be said of a certificate, and what spoils it or its plan.
type Spoilt<'a> = (&'a [&'a str], &'a dyn Fn(&mut EpochPlan, &mut Certificate));

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

/// A running beacon's state: it has its plan, the one before, and the register.
fn state_of(network: &ShardedNetwork, engine: usize) -> Beacon {
    let mut shards = (0..8).filter_map(|seat| network.shards[engine].shard(seat));
    shards.find_map(|shard| shard.ledger().beacon().cloned()).unwrap()
}

/// What is said of what was found.
fn details(network: &ShardedNetwork) -> Vec<String> {
    network.membership_at_end().into_iter().map(|violation| violation.detail).collect()
}

/// Given a certificate of the beacon, when the plan names another key for one that signed it, or so
/// many have not signed that no quorum is left, or one of the few stands in it again and again, or
/// the plan gives weight to those who have not signed, then that is found.
#[test]
fn weight_without_a_planned_key_is_found() {
    let few = |certificate: &mut Certificate, others: usize| {
        let all = certificate.attestations.iter();
        let again = all.clone().take(1).cycle().take(others);
        let taken = all.clone().take(3).chain(again).cloned().collect();
        certificate.attestations = qcn_types::Bounded::truncated(taken);
    };
    let edit = |plan: &mut EpochPlan, seat: usize, edit: &dyn Fn(&mut PlannedValidator)| {
        let mut validators = plan.validators.to_vec();
        edit(&mut validators[seat]);
        plan.validators = qcn_types::Bounded::truncated(validators);
    };
    let cases: [Spoilt<'_>; 4] = [
        (&["without the key"], &|plan, certificate| {
            let signer = certificate.attestations[0].author.position();
            edit(plan, signer, &|it| {
                it.key = KeyRing::default().validator(77).public_key().clone()
            });
        }),
        (&["with weight 3000, a quorum of the plan is 6001"], &|_, certificate| {
            few(certificate, 0);
        }),
        (&["more than once", "with weight 3000"], &|_, certificate| few(certificate, 6)),
        (&["is certified with weight"], &|plan, certificate| {
            let seven = certificate.attestations.iter().take(7).cloned().collect();
            certificate.attestations = qcn_types::Bounded::truncated(seven);
            let authors = certificate.attestations.iter().map(|proof| proof.author.position());
            let authors: BTreeSet<usize> = authors.collect();
            for seat in authors {
                edit(plan, seat, &|it| it.weight = qcn_types::Weight(1));
            }
        }),
    ];
    for (expected, spoil) in cases {
        let mut network = changed(12);
        let (engine, place, mut plan, mut certificate) = late_beacon(&network);
        let chain = network.shards[engine].engine.setup.keys.chain();
        let now = network.now;
        checks(&mut network).certificate(now, (&place, &plan), chain, &certificate);
        assert!(found(&network).is_empty(), "a good one is accepted");
        spoil(&mut plan, &mut certificate);
        checks(&mut network).certificate(now, (&place, &plan), chain, &certificate);
        assert_eq!(found(&network), BTreeSet::from(["weight_by_plan"]));
        let details = details(&network);
        for part in expected {
            assert!(details.iter().any(|it| it.contains(part)), "{part}: {details:?}");
        }
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
    let mut shared = plan.clone();
    let mut validators = plan.validators.to_vec();
    validators[seat + 1].key = validators[seat].key.clone();
    shared.validators = qcn_types::Bounded::truncated(validators);
    let old = digest(KeyRing::default().validator(3).public_key());
    let wrong: [Wrong<'_>; 4] = [
        ("does not name", &|checks| checks.signs(0, (&place, &plan), seat, old)),
        ("does not name", &|checks| checks.signs(0, (&place, &plan), seat + 1, right)),
        ("one key signs for validators 3 and", &|checks| {
            checks.signs(0, (&place, &shared), seat + 1, right);
        }),
        ("signs two blocks", &|checks| {
            checks.proposes(0, &place, seat, right, &block(100_000, 1));
            checks.proposes(0, &place, seat, right, &block(100_000, 2));
        }),
    ];
    for (what, wrong) in wrong {
        let mut checks = Checks::default();
        checks.signs(0, (&place, &plan), seat, right);
        checks.proposes(0, &place, seat, right, &block(99_999, 1));
        assert!(checks.found().is_empty());
        wrong(&mut checks);
        let [found] = checks.found() else {
            panic!("{:?}", checks.found());
        };
        assert_eq!(found.invariant, "one_key_a_slot");
        assert!(found.detail.contains(what), "{found:?}");
    }
}

/// Given a validator that signs wrongly again and again, when another one does so once after that,
/// then there is room for it among what was found.
#[test]
fn one_wrong_signer_leaves_room_for_others() {
    let network = changed(12);
    let (_, place, plan, _) = late_beacon(&network);
    let mut checks = Checks::default();
    for round in 0..100 {
        let block = |time| BlockRef {
            round: qcn_types::Round(round),
            author: ValidatorIndex(1),
            digest: hash(Domain::Simulation, &[time]),
        };
        let key = plan.validators[1].key.digest();
        checks.proposes(0, &place, 1, key, &block(1));
        checks.proposes(0, &place, 1, key, &block(2));
    }
    checks.signs(0, (&place, &plan), 2, KeyRing::default().validator(77).public_key().digest());
    assert_eq!(checks.found().len(), 2);
}

/// Given a plan, when it names a key that was replaced, or somebody who never registered, then that
/// is found.
#[test]
fn a_plan_with_a_key_that_nobody_registered_is_found() {
    for number in [3, 42] {
        let mut network = changed(12);
        let (engine, ..) = late_beacon(&network);
        let (now, beacon) = (network.now, state_of(&network, engine));
        let before = beacon.plan_before().unwrap();
        let mut plan = beacon.plan().as_ref().clone();
        network.membership.check_plan(now, (before, &plan), &beacon);
        assert!(found(&network).is_empty());
        let mut validators = plan.validators.to_vec();
        validators[3].number = number;
        validators[3].key = KeyRing::default().validator(3).public_key().clone();
        plan.validators = qcn_types::Bounded::truncated(validators);
        network.membership.check_plan(now, (before, &plan), &beacon);
        assert_eq!(found(&network), BTreeSet::from(["planned_as_registered"]));
        let what = format!("has validator {number} with a key that nobody registered");
        assert!(details(&network).iter().any(|it| it.contains(&what)));
    }
}

/// Given two plans and the register, when somebody is in the second one that nobody admitted or took
/// back, or is missing there though it is registered, or has gone without wanting to or being voted
/// out, then that is found.
#[test]
fn who_comes_or_goes_undecided_is_found() {
    let only = |plan: &EpochPlan, kept: &dyn Fn(u32) -> bool| {
        let kept = plan.validators.iter().filter(|it| kept(it.number)).cloned().collect();
        EpochPlan { validators: qcn_types::Bounded::truncated(kept), ..plan.clone() }
    };
    let network = changed(12);
    let (engine, ..) = late_beacon(&network);
    let (now, beacon) = (network.now, state_of(&network, engine));
    let (before, plan) = (beacon.plan_before().unwrap(), beacon.plan());
    let without = |plan, number| only(plan, &|it| it != number);
    let mut more = before.validators.to_vec();
    more.push(PlannedValidator { number: 42, ..more[0].clone() });
    let more =
        EpochPlan { validators: qcn_types::Bounded::truncated(more), ..before.as_ref().clone() };
    let cases: [(EpochPlan, EpochPlan, &str); 5] = [
        (before.as_ref().clone(), without(plan, 5), "lacks validator 5, which is registered"),
        (without(before, 5), plan.as_ref().clone(), "has validator 5 anew"),
        (without(before, 8), plan.as_ref().clone(), "has validator 8 anew"),
        (more.clone(), plan.as_ref().clone(), "lacks validator 42, which nobody decided"),
        (more.clone(), more, "has validator 42, which is isolated or not registered"),
    ];
    for (before, plan, what) in cases {
        let mut network = changed(12);
        network.membership.check_plan(now, (&before, &plan), &beacon);
        assert_eq!(found(&network), BTreeSet::from(["planned_as_registered"]));
        let all = details(&network);
        assert!(all.iter().any(|it| it.contains(what)), "{what}: {all:?}");
    }
}

/// Given a network in which somebody was admitted, when nothing was seen of it since, then it is said
/// not to serve; and when a change that all were for is still open, that is found, too.
#[test]
fn what_does_not_come_about_and_who_does_not_serve_is_found() {
    let mut network = changed(26);
    assert!(found(&network).is_empty());
    checks(&mut network).keep_served(|_| false);
    assert_eq!(found(&network), BTreeSet::from(["admitted_serve"]));

    // What is seen at first only is not enough for the beacon, nor the beacon for the shards.
    for is_beacon in [true, false] {
        let mut network = changed(34);
        assert!(found(&network).is_empty());
        checks(&mut network).keep_served(|(number, shard, epoch)| {
            let is_kept = if is_beacon { *shard == BEACON } else { *epoch < Epoch(4) };
            *number != 8 || is_kept
        });
        assert_eq!(found(&network), BTreeSet::from(["admitted_serve"]));
        let what = if is_beacon { "was drawn for shards" } else { "in the beacon in 3 epochs" };
        let details = details(&network);
        assert!(details.iter().all(|it| it.contains(what)), "{details:?}");
    }

    let mut network = changed(26);
    for matter in &mut network.membership.matters.matters {
        matter.state = crate::sharding::membership::State::Open;
    }
    assert_eq!(found(&network), BTreeSet::from(["membership_comes_about"]));
}
