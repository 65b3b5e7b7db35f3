use qcn_light::{EvidenceError, Standing};
use qcn_types::{
    BEACON, Bounded, Epoch, Evidence, Payload, Report, ReportedOffence, Resharding, ShardId, Weight,
};

use crate::Ignored;
use crate::beacon::testing::{World, carrier, equivocation, offence, registration};

/// The number of a member of a shard's committee.
fn number_of(world: &World, shard: ShardId, member: u16) -> u32 {
    let plan = world.plan();
    let committee = plan.committees.iter().find(|it| it.shard == shard).unwrap();
    plan.validators[usize::from(committee.seats[usize::from(member)])].number
}

/// Given a member of a shard's committee with two blocks in one slot, when somebody reports it, then
/// the member is isolated and has no seat in the next epoch.
#[test]
fn who_is_proven_to_misbehave_has_no_seat() {
    let mut world = World::new(8, 2);
    let shard = ShardId(1);
    let accused = number_of(&world, shard, 2);
    assert_eq!(world.report(0, offence(shard, Epoch(0), 2, accused)), Ok(()));
    assert_eq!(world.validator(accused).standing, Standing::Isolated(Epoch(0)));
    let again = world.report(0, offence(shard, Epoch(0), 2, accused));
    assert!(matches!(again, Err(Ignored::AlreadyIsolated | Ignored::AuthorIsolated)));
    let plan = world.end_epoch();
    assert!(plan.validators.iter().all(|it| it.number != accused));
    assert_eq!(plan.validators.len(), 7);
}

/// What is not proven changes nothing: another key's signature, another committee, an epoch that
/// is over.
#[test]
fn nobody_is_isolated_without_proof() {
    let mut world = World::new(8, 2);
    let accused = number_of(&world, ShardId(1), 2);
    let other = if accused == 7 { 6 } else { 7 };
    let forged = world.report(0, offence(ShardId(1), Epoch(0), 2, other));
    assert_eq!(forged, Err(Ignored::Evidence(EvidenceError::WrongSignature)));
    let elsewhere = offence(ShardId(9), Epoch(0), 2, accused);
    assert_eq!(world.report(0, elsewhere), Err(Ignored::UnknownShard));
    let nobody = offence(ShardId(1), Epoch(0), 77, accused);
    assert_eq!(world.report(0, nobody), Err(Ignored::UnknownShard));
    let future = offence(ShardId(1), Epoch(1), 2, accused);
    assert_eq!(world.report(0, future), Err(Ignored::UnknownShard));
    let late = offence(ShardId(1), Epoch(0), 2, accused);
    world.end_epoch();
    world.end_epoch();
    assert_eq!(world.report(0, late), Err(Ignored::UnknownShard));
}

/// Shards close after the beacon: what happened in the epoch before still counts in this one.
#[test]
fn an_offence_of_the_epoch_before_counts() {
    let mut world = World::new(8, 2);
    let accused = number_of(&world, ShardId(1), 2);
    world.end_epoch();
    let author = u32::from(accused == 0);
    assert_eq!(world.report(author, offence(ShardId(1), Epoch(0), 2, accused)), Ok(()));
    assert_eq!(world.validator(accused).standing, Standing::Isolated(Epoch(1)));
}

/// Evidence of the beacon's own chain isolates as it does in consensus.
#[test]
fn evidence_in_the_beacons_own_blocks_isolates() {
    let mut world = World::new(5, 1);
    let evidence = |signer| Payload {
        evidence: Bounded::truncated(vec![equivocation(BEACON, Epoch(0), 3, signer)]),
        ..Payload::default()
    };
    world.execute(&[(0, evidence(4))]);
    assert_eq!(world.validator(3).standing, Standing::Active);
    world.execute(&[(0, evidence(3))]);
    assert_eq!(world.validator(3).standing, Standing::Isolated(Epoch(0)));
}

/// Members may take an isolated validator back, in a later epoch, with votes that know of what it
/// did; and then the same offence isolates it no more.
#[test]
fn an_isolation_ends_by_votes_of_a_later_epoch() {
    let mut world = World::new(6, 1);
    let back = Report::Reweigh { number: 5, weight: Weight(4) };
    let offence = offence(BEACON, Epoch(0), 5, 5);
    world.reports(&[0, 1, 2, 3, 4], &back);
    world.report(0, offence.clone()).unwrap();
    world.end_epoch();
    assert_eq!(world.seated(), [0, 1, 2, 3, 4], "the votes were older than the offence");
    world.reports(&[0, 1, 2, 3], &back);
    world.end_epoch();
    assert_eq!((world.seated().len(), world.weight(5)), (6, Some(Weight(4))));
    assert_eq!(world.report(0, offence), Err(Ignored::UnknownShard));
}

/// Given a validator that was isolated late, for what it did in the epoch before, when it is taken
/// back as soon as can be, then the same offence isolates it no more.
#[test]
fn an_offence_has_its_consequence_once() {
    let mut world = World::new(6, 1);
    world.end_epoch();
    let offences = [Epoch(0), Epoch(1)].map(|epoch| offence(BEACON, epoch, 5, 5));
    let back = Report::Reweigh { number: 5, weight: Weight(4) };
    world.report(0, offences[0].clone()).unwrap();
    world.end_epoch();
    world.reports(&[0, 1, 2, 3], &back);
    world.end_epoch();
    assert_eq!(world.seated().len(), 6);
    for offence in offences {
        assert_eq!(world.report(0, offence), Err(Ignored::UnknownShard));
    }
}

/// Where isolation leaves fewer validators than seats, all of them serve every shard, and nobody
/// else leaves.
#[test]
fn isolation_may_leave_fewer_than_the_seats() {
    let mut world = World::new(5, 2);
    for number in 0..3 {
        world.report(4, offence(BEACON, Epoch(0), number as u16, number)).unwrap();
    }
    world.report(4, Report::Leave).unwrap();
    let plan = world.end_epoch();
    assert_eq!(world.seated(), [3, 4]);
    assert!(plan.committees.iter().all(|it| *it.seats == [0, 1]));
}

/// A block that carries what is addressed to an absorbed shard is valid, and no offence.
///
/// Given that shard 0 has absorbed shard 1, when a member of shard 0 is accused for a block with a
/// delivery to number 1, then it is not isolated; for one to a number that is not its own it is.
#[test]
fn whoever_carries_for_an_absorbed_shard_is_not_guilty() {
    let mut world = World::new(8, 2);
    let [s0, s1] = [0, 1].map(ShardId);
    let merge = Report::Reshard(Resharding::Merge { into: s0, closed: s1 });
    world.reports(&[0, 1, 2, 3, 4, 5, 6, 7], &merge);
    assert_eq!(&*world.end_epoch().heirs, [(s1, s0)]);
    let signer = number_of(&world, s0, 0);
    let author = u32::from(signer == 0);
    let accused = |peer| {
        let evidence = Evidence::invalid_block(&carrier(s0, Epoch(1), signer, peer));
        Report::Offence(Box::new(ReportedOffence { shard: s0, epoch: Epoch(1), evidence }))
    };
    let judged = world.report(author, accused(s1));
    assert_eq!(judged, Err(Ignored::Evidence(EvidenceError::ValidBlock)));
    assert_eq!(world.report(author, accused(ShardId(9))), Ok(()));
}

/// If nobody is left, then there is no next epoch, and this one goes on.
#[test]
fn without_anybody_left_the_epoch_goes_on() {
    let mut world = World::new(4, 1);
    world.execute(&[]);
    world.all_shards_report();
    let evidence: Vec<_> =
        (0..4).map(|number| equivocation(BEACON, Epoch(0), number as u16, number)).collect();
    let evidence = Bounded::truncated(evidence);
    world.time_ms += 10_000;
    let closes = world.execute(&[(0, Payload { evidence, ..Payload::default() })]).closes;
    assert_eq!(closes, None);
    assert_eq!(world.plan().epoch, Epoch(0));
    assert!(world.ledger.audit().is_ok());

    // It is tried again, but not at every commit.
    let failed_ms = world.time_ms;
    for (passed_ms, last_tried_ms) in [(0, 0), (1, 0), (999, 0), (1_000, 1_000), (1_999, 1_000)] {
        world.time_ms = failed_ms + passed_ms;
        world.execute(&[]);
        assert_eq!(world.beacon().progress.failed_ms, Some(failed_ms + last_tried_ms));
    }
}

/// A plan that could not be made ends the epoch as soon as it can be and is tried again.
#[test]
fn a_failed_plan_is_made_later() {
    let mut world = World::new(4, 1);
    world.execute(&[]);
    world.all_shards_report();
    let mut beacon = world.beacon().clone();
    let failed_ms = world.time_ms + 10_000;
    beacon.progress.failed_ms = Some(failed_ms);
    assert!(!beacon.end_execution(failed_ms + 999));
    assert!(beacon.end_execution(failed_ms + 1_000));
    assert_eq!((beacon.plan.epoch, beacon.progress.failed_ms), (Epoch(1), None));
}

/// An isolated validator's key is not registered anew under another number.
#[test]
fn an_isolated_key_is_still_in_use() {
    let mut world = World::new(6, 1);
    world.report(0, offence(BEACON, Epoch(0), 5, 5)).unwrap();
    world.end_epoch();
    let again = Report::Registration(Box::new(registration(5)));
    assert_eq!(world.report(0, again), Err(Ignored::KeyInUse));
}
