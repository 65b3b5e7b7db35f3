//! Validators come, replace their keys and go.

use qcn_crypto::SigningKey;
use qcn_types::{BEACON, Block, BlockBody, BlockHeader, Epoch, EpochPlan, Report, ReportedOffence};

use super::epochs::equivocation_by;
use super::*;
use crate::keys::KeyRing;

/// Two shards of five seats, so many validators at genesis, and epochs of two seconds.
pub(super) fn world(seed: u64, validators: usize) -> ShardedBuilder {
    let beacon = BeaconOptions {
        validators,
        epoch_ms: 2_000,
        shards_max: 4,
        split_above: 1_000_000,
        merge_below: 0,
    };
    calm(seed, 2).validators(5).beacon(beacon)
}

fn plans(network: &ShardedNetwork) -> Vec<&EpochPlan> {
    network.handover.plans.values().map(|announced| announced.plan.as_ref()).collect()
}

/// How often something was to happen and did, in the order of the kinds.
fn tallies(network: &ShardedNetwork) -> Vec<(u64, u64)> {
    network.memberships().each().map(|(_, tally)| (tally.asked, tally.done)).collect()
}

/// The keys that the plans name for a validator, without repetitions.
fn keys_of(network: &ShardedNetwork, number: u32) -> Vec<qcn_crypto::PublicKey> {
    let of = |plan: &&EpochPlan| {
        plan.validators.iter().find(|it| it.number == number).map(|it| it.key.clone())
    };
    let mut keys: Vec<_> = plans(network).iter().filter_map(of).collect();
    keys.dedup();
    keys
}

/// The engines of the epochs from one on in which a validator has a seat, each with the seat.
fn seats_of(network: &ShardedNetwork, number: usize, from: u64) -> Vec<(usize, usize)> {
    let places = network.places.iter().enumerate().filter(|(_, place)| place.epoch.0 >= from);
    places
        .filter_map(|(engine, place)| {
            Some((engine, place.validators.iter().position(|it| *it == number)?))
        })
        .collect()
}

fn round_of(network: &ShardedNetwork, (engine, seat): (usize, usize)) -> u64 {
    network.shards[engine].shard(seat).map_or(0, |shard| shard.status().round.0)
}

/// A newcomer registers, is admitted by the members' votes, fetches what it needs, and serves.
///
/// Given eight validators and a ninth that is in no plan,
/// when it registers after a second and all members are for it,
/// then some later plan has it, it is drawn for shards, and takes part in the beacon and in them.
#[test]
fn a_newcomer_is_admitted_and_serves() {
    let network = run(world(41, 8).membership(Time(seconds(1)), 20, Change::Join), 24);
    assert_eq!(tallies(&network)[0], (1, 1));
    let newcomer = network.membership.people.number(20).unwrap();
    assert_eq!(newcomer, 8, "the register gives the next number");
    let first = plans(&network).iter().position(|plan| plan.validators.len() == 9).unwrap();
    assert!(first > 0);
    let seats = seats_of(&network, newcomer, first as u64);
    let shards = seats.iter().filter(|(engine, _)| network.places[*engine].shard != BEACON);
    assert!(shards.clone().count() > 1, "{seats:?}");
    for seat in seats.iter().take(3) {
        assert!(round_of(&network, *seat) > 3, "{seat:?}");
    }
    all_arrived(&network);
}

/// A recovery key replaces the consensus key, twice, while transfers cross.
///
/// Given eight validators, of which one is given new keys after one and after six seconds,
/// when the network runs on,
/// then plans name its three keys one after the other, and it goes on in every shard.
#[test]
fn a_validator_goes_on_with_new_keys() {
    let builder = world(42, 8).membership(Time(seconds(1)), 3, Change::Rotate).membership(
        Time(seconds(6)),
        3,
        Change::Rotate,
    );
    let network = run(builder, 24);
    assert_eq!(tallies(&network)[1], (2, 2));
    let keys: Vec<_> =
        network.membership.people.keys(3).map(|key| key.public_key().clone()).collect();
    assert_eq!(keys_of(&network, 3), keys);
    let last = network.epoch().0 - 1;
    assert!(seats_of(&network, 3, last).into_iter().all(|seat| round_of(&network, seat) > 3));
    all_arrived(&network);
}

/// All keys of a network are of its scheme.
///
/// Given eight validators with ML-DSA-44 keys,
/// when a ninth joins and one is given a new key,
/// then every plan names keys of that scheme only, and transfers cross all the while.
#[test]
fn newcomers_and_new_keys_are_of_the_same_scheme() {
    let builder = world(44, 8)
        .key_ring(KeyRing::MlDsa44)
        .membership(Time(seconds(1)), 20, Change::Join)
        .membership(Time(seconds(1)), 3, Change::Rotate);
    let network = run(builder, 24);
    assert_eq!(tallies(&network)[..2], [(1, 1), (1, 1)]);
    let mut validators = plans(&network).into_iter().flat_map(|plan| plan.validators.iter());
    assert!(validators.all(|it| it.key.scheme() == KeyRing::MlDsa44.scheme()));
    all_arrived(&network);
}

/// The block that a validator signed last in an epoch, made a second one by its time, and signed
/// with some key.
fn twin(network: &ShardedNetwork, engine: usize, seat: usize, key: &SigningKey) -> Block {
    let signed = network.shards[engine].engine.processes[seat].last_signed.clone().unwrap();
    let body = BlockBody { time_ms: signed.body.time_ms + 1, ..signed.body.clone() };
    let context = BlockHeader::signing_context(body.chain);
    let signature = key.sign(&context, body.digest().as_bytes()).unwrap();
    Block { body, signature }
}

/// What is signed with the old key counts for nothing once the plan has the new one.
///
/// Given a validator whose key was replaced,
/// when another member hands on a second block of it for a slot, signed with the old key or with the
/// new one, and reports two blocks in one slot signed with that key,
/// then nothing comes of the old one, and the new one costs the seat.
#[test]
fn a_block_signed_with_the_old_key_counts_for_nothing() {
    for is_old in [true, false] {
        let builder = world(43, 8).membership(Time(seconds(1)), 3, Change::Rotate);
        let mut network = builder.build().unwrap();
        network.run_to(Time(seconds(7)));
        let new = network.membership.people.keys(3).nth(1).unwrap();
        let key = if is_old { KeyRing::default().validator(3) } else { new };
        let epoch = Epoch(network.epoch().0 - 1);
        let at = network.handover.engines[&(BEACON, network.epoch())];
        let shard = network.places.iter().position(|place| {
            place.epoch == epoch && place.shard != BEACON && place.validators.contains(&3)
        });
        let shard = shard.unwrap();
        let seat = network.places[shard].validators.iter().position(|it| *it == 3).unwrap();
        let keys = &network.shards[shard].engine.setup.keys;
        assert_eq!(keys.verify_block(twin(&network, shard, seat, &key)).is_err(), is_old);

        let place = &network.places[shard];
        let chain = keys.chain();
        let evidence = equivocation_by(&key, chain, place.shard, place.epoch, seat);
        let offence = ReportedOffence { shard: place.shard, epoch, evidence };
        let engine = &mut network.shards[at].engine;
        engine.now = network.now;
        engine.submit_report(2, Report::Offence(Box::new(offence)));
        network.run_to(Time(seconds(15)));
        let mut seated = network.handover.newest().validators.iter();
        assert_eq!(seated.any(|it| it.number == 3), is_old);
        let violations = network.check_consensus();
        assert!(violations.is_empty(), "{violations:#?}");
    }
}

/// Validators go by their own wish and by a vote, and one that would leave seats empty stays until
/// somebody else has come.
///
/// Given six validators and shards of five seats, of which one wants to leave and another is voted
/// out,
/// when a newcomer is admitted later,
/// then one has gone at first, the other stays while there are five, and goes as soon as there are
/// six again.
#[test]
fn who_leaves_goes_once_the_seats_can_be_filled() {
    let builder = world(44, 6).membership(Time(seconds(1)), 1, Change::Leave).membership(
        Time(seconds(1)),
        2,
        Change::Weigh(0),
    );
    let mut network = builder.clone().build().unwrap();
    network.run_to(Time(seconds(20)));
    let violations = network.check_consensus();
    assert!(violations.is_empty(), "{violations:#?}");
    let (left, voted_out) = (tallies(&network)[2].1, tallies(&network)[3].1);
    assert_eq!((left + voted_out, network.memberships().refused), (1, 1));
    assert_eq!(network.handover.newest().validators.len(), 5);

    let network = run(builder.membership(Time(seconds(6)), 6, Change::Join), 24);
    assert_eq!((tallies(&network)[2], tallies(&network)[3]), ((1, 1), (1, 1)));
    let numbers: Vec<u32> =
        network.handover.newest().validators.iter().map(|it| it.number).collect();
    assert_eq!(numbers, [0, 3, 4, 5, 6]);
    all_arrived(&network);
}

/// Who was isolated comes back with the weight that the members give it, and serves again.
///
/// Given a validator whose key has signed two blocks in one slot,
/// when the members vote for its weight from its isolation on,
/// then it has no seat for an epoch at least, and later has one again and takes part.
#[test]
fn an_isolated_validator_is_taken_back() {
    let builder = world(45, 8);
    let mut network = builder.build().unwrap();
    network.run_to(Time(milliseconds(500)));
    let accused = network.places[0].validators[0];
    let builder = world(45, 8).membership(Time(seconds(1)), accused, Change::TakeBack(700));
    let mut network = builder.build().unwrap();
    network.run_to(Time(seconds(1)));
    let at = network.handover.engines[&(BEACON, Epoch(0))];
    let engine = &mut network.shards[at].engine;
    let chain = engine.setup.keys.chain();
    let evidence =
        equivocation_by(&KeyRing::default().validator(accused), chain, ShardId(0), Epoch(0), 0);
    let offence = ReportedOffence { shard: ShardId(0), epoch: Epoch(0), evidence };
    engine.now = network.now;
    engine.submit_report(2, Report::Offence(Box::new(offence)));
    network.run_to(Time(seconds(24)));
    let violations = network.check_consensus();
    assert!(violations.is_empty(), "{violations:#?}");
    assert_eq!(tallies(&network)[5], (1, 1));
    let weights: Vec<Option<u64>> = plans(&network)
        .iter()
        .map(|plan| {
            let planned = plan.validators.iter().find(|it| it.number as usize == accused)?;
            Some(planned.weight.0)
        })
        .collect();
    let gone = weights.iter().position(Option::is_none).unwrap();
    let back = gone + weights[gone..].iter().position(|it| *it == Some(700)).unwrap();
    let serves = seats_of(&network, accused, back as u64);
    assert!(serves.into_iter().take(2).all(|seat| round_of(&network, seat) > 3));
}

/// Whatever cannot happen is refused before the run, and says what to do.
#[test]
fn impossible_changes_are_refused() {
    let refused = |builder: ShardedBuilder| builder.build().unwrap_err().to_string();
    let at = |s, who, change| world(1, 8).membership(Time(seconds(s)), who, change);
    assert_eq!(
        refused(calm(1, 2).membership(Time(0), 0, Change::Leave)),
        "validators come and go only where there is a beacon: give the network one"
    );
    assert_eq!(
        refused(at(1, 9, Change::Rotate)),
        "there is no validator 9: the network begins with 0 to 7, and nobody joins as 9"
    );
    assert_eq!(
        refused(at(1, 7, Change::Join)),
        "validator 7 is there from the beginning and cannot join: take a number above 7"
    );
    assert_eq!(
        refused(at(1, 8, Change::Join).membership(Time(seconds(2)), 8, Change::Join)),
        "validator 8 joins twice: take another number for the second one"
    );
    assert_eq!(
        refused(at(3, 8, Change::Join).membership(Time(seconds(2)), 8, Change::Rotate)),
        "validator 8 joins at 3000 ms, and nothing can happen to it at 2000 ms: let it join earlier"
    );
    assert_eq!(
        refused(at(1, 3, Change::Leave).membership(Time(seconds(2)), 3, Change::Leave)),
        "validator 3 leaves twice: leave one of them out"
    );
    assert_eq!(
        refused(at(1, 3, Change::TakeBack(0))),
        "validator 3 cannot be given the weight 0: give 1 to 1000000"
    );
}
