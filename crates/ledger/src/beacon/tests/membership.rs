use qcn_crypto::{Role, Scheme};
use qcn_light::Standing;
use qcn_types::{Bounded, Committee, Report, Weight};

use crate::beacon::testing::{
    World, chain, consensus_key, equivocation, genesis, offence, registration, rotation,
};
use crate::{Ignored, MAX_CANDIDATES_EACH, MAX_VOTES_EACH};

fn register(number: u32) -> Report {
    Report::Registration(Box::new(registration(number)))
}

fn approve(number: u32, weight: u64) -> Report {
    Report::Approval { registration: registration(number).digest(), weight: Weight(weight) }
}

fn reweigh(number: u32, weight: u64) -> Report {
    Report::Reweigh { number, weight: Weight(weight) }
}

fn rotate(number: u32, counter: u64, to: u32) -> Report {
    Report::Rotation(Box::new(rotation(number, counter, to)))
}

/// Given four validators of equal weight and somebody who registered, when three approve of one
/// weight, then it is a validator of the next epoch with that weight, and of no earlier one.
#[test]
fn a_quorum_admits() {
    let mut world = World::new(4, 1);
    world.report(0, register(9)).unwrap();
    world.reports(&[0, 1, 2], &approve(9, 7));
    assert_eq!(world.seated(), [0, 1, 2, 3]);
    world.end_epoch();
    assert_eq!(world.seated(), [0, 1, 2, 3, 4]);
    assert_eq!(world.weight(4), Some(Weight(7)));
    assert_eq!(world.validator(4).identity.consensus, consensus_key(9));
    assert_eq!(world.report(4, Report::Reveal(chain(9).reveal(0).unwrap())), Ok(()));
}

/// Two of four are no quorum, and neither are two for one weight and two for another.
#[test]
fn approvals_that_are_split_admit_nobody() {
    let mut world = World::new(4, 1);
    world.report(0, register(9)).unwrap();
    world.reports(&[0, 1], &approve(9, 7));
    world.reports(&[2, 3], &approve(9, 8));
    world.end_epoch();
    assert_eq!(world.seated(), [0, 1, 2, 3]);
    assert_eq!(world.beacon().candidates().count(), 0, "who wants in registers again");
}

/// A member's last word counts, and no vote outlives its epoch.
#[test]
fn the_last_word_of_an_epoch_counts() {
    let mut world = World::new(4, 1);
    world.report(0, register(9)).unwrap();
    world.reports(&[0, 1, 2], &approve(9, 7));
    assert_eq!(world.report(2, approve(9, 7)), Err(Ignored::AlreadyVoted));
    world.report(2, approve(9, 8)).unwrap();
    world.end_epoch();
    assert_eq!(world.seated().len(), 4);
    world.report(0, register(9)).unwrap();
    world.report(3, approve(9, 7)).unwrap();
    world.end_epoch();
    assert_eq!(world.seated().len(), 4);
}

/// Weights count, not heads.
#[test]
fn a_quorum_is_of_weight() {
    let cases = [
        ([25, 25, 25, 20, 5], [0, 1, 2], true),
        ([25, 25, 25, 20, 5], [2, 3, 4], false),
        // Exactly Q = W - (W - 1) / 3, and one less.
        ([20, 20, 27, 20, 13], [0, 1, 2], true),
        ([20, 20, 26, 20, 14], [0, 1, 2], false),
    ];
    for (weights, voters, admits) in cases {
        let mut uneven = genesis(5, 1);
        for (founder, weight) in uneven.validators.iter_mut().zip(weights) {
            founder.weight = Weight(weight);
        }
        let mut world = World::of(&uneven);
        world.report(0, register(9)).unwrap();
        world.reports(&voters, &approve(9, 7));
        world.end_epoch();
        assert_eq!(world.seated().len() == 6, admits, "{voters:?}");
    }
}

#[test]
fn an_admission_needs_its_registration() {
    let mut world = World::new(4, 1);
    world.reports(&[0, 1, 2], &approve(9, 7));
    world.end_epoch();
    assert_eq!(world.seated().len(), 4);
}

/// What a registration may not be: known, of a key in use, of a scheme that is not taken, or one
/// too many of one member.
#[test]
fn registrations_that_do_not_fit_change_nothing() {
    let mut genesis = genesis(4, 1);
    genesis.parameters.schemes.consensus = Bounded::truncated(vec![Scheme::Falcon512]);
    let mut world = World::of(&genesis);
    assert_eq!(world.report(0, register(3)), Err(Ignored::KeyInUse));
    let mut other = registration(9);
    other.transport.key = registration(3).transport.key;
    let other = Report::Registration(Box::new(other));
    assert_eq!(world.report(0, other), Err(Ignored::KeyInUse), "nobody could tell them apart");
    let mut other = rotation(2, 1, 9);
    other.body.transport = Some(registration(3).transport.key);
    assert_eq!(world.report(0, Report::Rotation(Box::new(other))), Err(Ignored::KeyInUse));
    let mut other = registration(9);
    other.consensus.key = other.transport.key.clone();
    let other = Report::Registration(Box::new(other));
    assert_eq!(world.report(0, other), Err(Ignored::SchemeNotAllowed(Role::Consensus)));
    let mut other = rotation(2, 1, 9);
    other.body.consensus = Some(registration(9).transport.key);
    let other = Report::Rotation(Box::new(other));
    assert_eq!(world.report(0, other), Err(Ignored::SchemeNotAllowed(Role::Consensus)));
    for number in 0..MAX_CANDIDATES_EACH as u32 {
        world.report(0, register(9 + number)).unwrap();
    }
    assert_eq!(world.report(1, register(9)), Err(Ignored::AlreadyRegistered));
    assert_eq!(world.report(0, register(20)), Err(Ignored::TooManyCandidates));
    assert_eq!(world.report(1, register(20)), Ok(()));
}

/// Two registrations of one key, both approved of: the key is one validator's.
#[test]
fn a_key_is_admitted_once() {
    let mut world = World::new(4, 1);
    let mut twin = registration(9);
    twin.weight = Weight(99);
    world.report(0, register(9)).unwrap();
    world.report(1, Report::Registration(Box::new(twin.clone()))).unwrap();
    world.reports(&[0, 1, 2], &approve(9, 7));
    let other = Report::Approval { registration: twin.digest(), weight: Weight(7) };
    world.reports(&[0, 1, 2], &other);
    world.end_epoch();
    assert_eq!(world.seated(), [0, 1, 2, 3, 4]);
}

#[test]
fn a_member_votes_on_a_few_subjects_only() {
    let mut world = World::new(4, 1);
    for number in 0..MAX_VOTES_EACH as u64 {
        let registration = crate::testing::digest(&number.to_string());
        world.report(0, Report::Approval { registration, weight: Weight(1) }).unwrap();
    }
    assert_eq!(world.report(0, reweigh(1, 3)), Err(Ignored::TooManyVotes));
    let registration = crate::testing::digest("0");
    assert_eq!(
        world.report(0, Report::Approval { registration, weight: Weight(2) }),
        Ok(()),
        "changing one's mind is no further subject"
    );
    assert_eq!(world.report(1, reweigh(1, 3)), Ok(()));
}

/// Only members have a say.
#[test]
fn strangers_have_no_say() {
    let mut world = World::new(4, 1);
    world.report(0, register(9)).unwrap();
    assert_eq!(world.report(4, approve(9, 7)), Err(Ignored::NotAMember));
    assert_eq!(world.report(0, reweigh(4, 7)), Err(Ignored::UnknownValidator(4)));
}

/// A quorum changes a weight, or removes a validator, as of the next epoch.
#[test]
fn a_quorum_reweighs_and_removes() {
    let mut world = World::new(6, 1);
    world.reports(&[0, 1, 2, 3, 4], &reweigh(1, 25));
    world.reports(&[0, 1, 2, 3, 4], &reweigh(5, 0));
    world.reports(&[0, 1, 2, 3], &reweigh(4, 0));
    assert_eq!(world.weight(1), Some(Weight(10)));
    world.end_epoch();
    assert_eq!(world.weight(1), Some(Weight(25)));
    assert_eq!(world.seated(), [0, 1, 2, 3, 4], "four of six are no quorum");
    assert_eq!(world.beacon().validator(5), None);
}

/// Weights that are too large all together are not given, and the epoch ends without them.
#[test]
fn a_weight_that_does_not_fit_is_not_given() {
    let most = Committee::MAX_TOTAL - 40;
    for (weight, fits) in [(most, true), (most + 1, false)] {
        let mut world = World::new(4, 1);
        world.report(0, register(9)).unwrap();
        world.reports(&[0, 1, 2], &approve(9, weight));
        world.end_epoch();
        assert_eq!(world.seated().len() == 5, fits, "{weight}");
        let mut world = World::new(4, 1);
        world.reports(&[0, 1, 2], &reweigh(1, weight + 10));
        world.end_epoch();
        assert_eq!(world.weight(1) == Some(Weight(weight + 10)), fits, "{weight}");
    }
}

/// Given as many validators as seats, when one leaves and one is voted out, then both stay, until
/// others come: whoever leaves has said so, and need not say it again.
#[test]
fn nobody_leaves_a_seat_that_cannot_be_filled() {
    let mut world = World::new(4, 1);
    world.report(3, Report::Leave).unwrap();
    assert_eq!(world.report(3, Report::Leave), Err(Ignored::NothingNew));
    world.reports(&[0, 1, 2], &reweigh(2, 0));
    world.end_epoch();
    assert_eq!(world.seated(), [0, 1, 2, 3]);
    assert_eq!(world.validator(3).standing, Standing::Leaving);
    world.report(0, register(9)).unwrap();
    world.reports(&[0, 1, 2], &approve(9, 7));
    world.end_epoch();
    assert_eq!(world.seated(), [0, 1, 2, 4]);
}

/// Numbers are never used again.
#[test]
fn a_number_is_one_validators() {
    let mut world = World::new(5, 1);
    world.report(4, Report::Leave).unwrap();
    world.end_epoch();
    world.report(0, register(4)).unwrap();
    world.reports(&[0, 1, 2], &approve(4, 7));
    world.end_epoch();
    assert_eq!(world.seated(), [0, 1, 2, 3, 5]);
}

/// A rotation is applied once, in its order, by the registered recovery key, in the next epoch.
#[test]
fn keys_rotate_once() {
    let mut world = World::new(4, 1);
    let key = |world: &World| world.plan().validators[2].key.clone();
    assert_eq!(world.report(0, rotate(2, 2, 9)), Err(Ignored::WrongCounter { expected: 1 }));
    assert_eq!(world.report(0, rotate(7, 1, 9)), Err(Ignored::UnknownValidator(7)));
    let mut foreign = rotation(2, 1, 9);
    foreign.body.recovery = rotation(3, 1, 9).body.recovery;
    let foreign = Report::Rotation(Box::new(foreign));
    assert_eq!(world.report(0, foreign), Err(Ignored::OtherRecoveryKey(2)));
    assert_eq!(world.report(0, rotate(2, 1, 3)), Err(Ignored::KeyInUse));
    assert_eq!(world.report(0, rotate(2, 1, 9)), Ok(()));
    assert_eq!(world.report(1, rotate(2, 1, 9)), Err(Ignored::WrongCounter { expected: 2 }));
    assert_eq!(world.report(1, rotate(3, 1, 9)), Err(Ignored::KeyInUse));
    assert_eq!(world.report(1, register(9)), Err(Ignored::KeyInUse));
    assert_eq!(key(&world), consensus_key(2));
    world.end_epoch();
    assert_eq!(key(&world), consensus_key(9));
    // Somebody stores the old rotation and brings it in once the key was rotated back.
    assert_eq!(world.report(0, rotate(2, 2, 2)), Ok(()));
    world.end_epoch();
    assert_eq!(world.report(0, rotate(2, 1, 9)), Err(Ignored::WrongCounter { expected: 3 }));
    assert_eq!(key(&world), consensus_key(2));
}

/// An isolated member has no say any more, not even in votes that it cast before.
#[test]
fn the_isolated_have_no_say() {
    let mut world = World::new(4, 1);
    world.report(0, register(9)).unwrap();
    world.reports(&[0, 1, 2], &approve(9, 7));
    let epoch = world.plan().epoch;
    world.report(0, offence(qcn_types::BEACON, epoch, 2, 2)).unwrap();
    assert_eq!(world.report(2, reweigh(2, 10)), Err(Ignored::AuthorIsolated));
    let evidence = equivocation(qcn_types::BEACON, epoch, 2, 2);
    assert_eq!(evidence.accused().0, 2);
    world.end_epoch();
    assert_eq!(world.seated(), [0, 1, 3]);
}
