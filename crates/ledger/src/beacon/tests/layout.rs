use qcn_types::{BEACON, Checkpoint, Epoch, Height, Payload, Report, Resharding, ShardId};

use crate::Ignored;
use crate::beacon::testing::{EPOCH_MS, World, certified, genesis, offence};

const S0: ShardId = ShardId(0);
const S1: ShardId = ShardId(1);
const S2: ShardId = ShardId(2);
const S3: ShardId = ShardId(3);

fn shards(world: &World) -> Vec<u32> {
    world.plan().layout.shards().iter().map(|(_, shard)| shard.0).collect()
}

fn vote(world: &mut World, resharding: Resharding) {
    world.reports(&[0, 1, 2, 3], &Report::Reshard(resharding));
}

/// Given one shard, when its load is above that of a split in one epoch, then nothing happens; in
/// two epochs in a row, then it splits.
#[test]
fn a_shard_splits_after_two_loaded_epochs_in_a_row() {
    let mut world = World::new(4, 1);
    world.end_epoch_under(|_| 102);
    world.end_epoch_under(|_| 100);
    world.end_epoch_under(|_| 102);
    assert_eq!(shards(&world), [0], "loaded twice, but not in a row");
    let plan = world.end_epoch_under(|_| 102);
    assert_eq!(*plan.reshardings, [Resharding::Split { shard: S0, new: S1 }]);
    assert_eq!(shards(&world), [0, 1]);
    let plan = world.end_epoch_under(|_| 102);
    assert!(plan.reshardings.is_empty(), "what was split is measured anew");
}

/// Siblings are merged when their sum was below that of a merge in two epochs in a row.
#[test]
fn siblings_merge_after_two_idle_epochs_in_a_row() {
    let mut world = World::new(4, 2);
    world.end_epoch_under(|_| 14);
    world.end_epoch_under(|shard| if shard == S0 { 0 } else { 30 });
    world.end_epoch_under(|_| 14);
    assert_eq!(shards(&world), [0, 1]);
    let plan = world.end_epoch_under(|_| 14);
    assert_eq!(*plan.reshardings, [Resharding::Merge { into: S0, closed: S1 }]);
    assert_eq!(*plan.heirs, [(S1, S0)]);
    assert_eq!(shards(&world), [0]);
}

/// Between the two thresholds nothing changes, however long it lasts.
#[test]
fn a_steady_load_changes_nothing() {
    for (shards, load) in [(1, 99), (2, 16), (2, 100)] {
        let mut world = World::new(4, shards);
        for _ in 0..5 {
            assert!(world.end_epoch_under(|_| load).reshardings.is_empty(), "{load}");
        }
    }
}

/// An epoch whose load was not measured ends what went on in a row.
#[test]
fn an_epoch_without_measurement_is_neither_loaded_nor_idle() {
    let mut world = World::new(4, 2);
    for load in [102, 1] {
        world.end_epoch_under(|_| load);
        world.end_epoch();
        assert!(world.end_epoch_under(|_| load).reshardings.is_empty());
    }
}

/// Given a shard in which something happened between two reports that are close to each other, then
/// that is no measurement.
#[test]
fn a_short_measurement_is_none() {
    let mut world = World::new(4, 1);
    for _ in 0..3 {
        world.execute(&[]);
        world.all_shards_report();
        world.time_ms += EPOCH_MS / 4 - 1;
        let mut checkpoint = world.checkpoint(S0);
        checkpoint.executed += 1_000;
        world.report(0, certified(checkpoint)).unwrap();
        world.time_ms += EPOCH_MS;
        world.execute(&[]);
    }
    assert_eq!((world.plan().epoch, shards(&world)), (Epoch(3), vec![0]));
}

/// Shards that are not the halves of one prefix are not merged, idle as they are.
#[test]
fn only_siblings_merge() {
    let mut world = World::new(4, 3);
    world.end_epoch_under(|_| 0);
    let idle = [S0, S1, S2].map(|shard| world.beacon().shard(shard).unwrap().idle_epochs);
    assert_eq!(idle, [1, 0, 0], "the pair is counted with its lower half");
    let plan = world.end_epoch_under(|_| 0);
    assert_eq!(*plan.reshardings, [Resharding::Merge { into: S0, closed: S1 }]);
    world.end_epoch_under(|_| 0);
    let plan = world.end_epoch_under(|_| 0);
    assert_eq!(*plan.reshardings, [Resharding::Merge { into: S0, closed: S2 }]);
}

/// There are never more shards than the parameters say, by load or by command.
#[test]
fn there_are_not_more_shards_than_allowed() {
    let mut genesis = genesis(4, 2);
    genesis.parameters.shards_max = 3;
    let mut world = World::of(&genesis);
    world.end_epoch_under(|_| 200);
    world.end_epoch_under(|_| 200);
    assert_eq!(shards(&world), [0, 2, 1]);
    vote(&mut world, Resharding::Split { shard: S1, new: S3 });
    world.end_epoch();
    assert_eq!(shards(&world), [0, 2, 1]);
}

/// A quorum splits and merges by command; three of four are one, two are none.
#[test]
fn a_quorum_reshards_by_command() {
    let mut world = World::new(4, 1);
    let split = Report::Reshard(Resharding::Split { shard: S0, new: S1 });
    world.reports(&[0, 1], &split);
    world.end_epoch();
    assert_eq!(shards(&world), [0]);
    world.reports(&[0, 1, 2], &split);
    world.end_epoch();
    assert_eq!(shards(&world), [0, 1]);
    world.reports(&[1, 2, 3], &Report::Reshard(Resharding::Merge { into: S0, closed: S1 }));
    world.end_epoch();
    assert_eq!(shards(&world), [0]);
}

/// A shard takes part in one change an epoch, and commands come before load.
#[test]
fn a_shard_changes_once_an_epoch() {
    let mut world = World::new(4, 2);
    world.end_epoch_under(|shard| if shard == S0 { 200 } else { 50 });
    vote(&mut world, Resharding::Merge { into: S0, closed: S1 });
    vote(&mut world, Resharding::Split { shard: S1, new: S2 });
    let plan = world.end_epoch_under(|shard| if shard == S0 { 200 } else { 50 });
    assert_eq!(
        *plan.reshardings,
        [Resharding::Split { shard: S1, new: S2 }, { Resharding::Split { shard: S0, new: S3 } }]
    );
}

/// Given quorums for changes that exclude each other, then the first is made: a shard is split once,
/// and a number below one that was given in the same epoch is not given any more.
#[test]
fn commands_that_exclude_each_other_are_not_all_made() {
    let mut world = World::new(4, 1);
    vote(&mut world, Resharding::Split { shard: S0, new: S1 });
    vote(&mut world, Resharding::Split { shard: S0, new: S2 });
    let plan = world.end_epoch();
    assert_eq!(*plan.reshardings, [Resharding::Split { shard: S0, new: S1 }]);
    vote(&mut world, Resharding::Split { shard: S0, new: ShardId(7) });
    vote(&mut world, Resharding::Split { shard: S1, new: ShardId(5) });
    let plan = world.end_epoch();
    assert_eq!(*plan.reshardings, [Resharding::Split { shard: S0, new: ShardId(7) }]);
    assert_eq!(world.beacon().next_shard(), ShardId(8));
}

/// A load is that of the epoch that is asked about.
#[test]
fn a_load_is_of_its_epoch() {
    let mut world = World::new(4, 1);
    world.end_epoch_under(|_| 60);
    let standing = world.beacon().shard(S0).unwrap();
    assert_eq!(standing.load(Epoch(0), 1), Some(60));
    assert_eq!(standing.load(Epoch(0), EPOCH_MS), None);
    assert_eq!(standing.load(Epoch(1), 1), None);
}

/// Numbers of shards are never used again, whoever asks for it.
#[test]
fn shard_numbers_are_never_used_again() {
    let mut world = World::new(4, 2);
    vote(&mut world, Resharding::Merge { into: S0, closed: S1 });
    world.end_epoch();
    let split = |new| Report::Reshard(Resharding::Split { shard: S0, new });
    assert_eq!(world.report(0, split(S1)), Err(Ignored::ImpossibleResharding));
    assert_eq!(world.report(0, split(S0)), Err(Ignored::ImpossibleResharding));
    assert_eq!(world.report(0, split(BEACON)), Err(Ignored::ImpossibleResharding));
    vote(&mut world, Resharding::Split { shard: S0, new: ShardId(7) });
    world.end_epoch();
    assert_eq!(shards(&world), [0, 7]);
    let skipped = Resharding::Split { shard: S0, new: S3 };
    assert_eq!(world.report(0, Report::Reshard(skipped)), Err(Ignored::ImpossibleResharding));
    assert_eq!(world.beacon().next_shard(), ShardId(8));
}

/// What the layout does not allow is not even voted on.
#[test]
fn impossible_changes_are_ignored() {
    let mut world = World::new(4, 3);
    for resharding in [
        Resharding::Merge { into: S1, closed: S0 },
        Resharding::Merge { into: S1, closed: S2 },
        Resharding::Split { shard: S3, new: ShardId(4) },
    ] {
        let report = Report::Reshard(resharding);
        assert_eq!(world.report(0, report), Err(Ignored::ImpossibleResharding));
    }
}

/// While the seats of a shard cannot be filled nothing is split.
#[test]
fn too_few_validators_split_nothing() {
    for (isolated, splits) in [(0, false), (1, true)] {
        let mut world = World::new(4 + isolated, 1);
        world.report(0, offence(BEACON, Epoch(0), 3, 3)).unwrap();
        world.end_epoch();
        let voters: Vec<u32> = world.seated();
        world.reports(&voters, &Report::Reshard(Resharding::Split { shard: S0, new: S1 }));
        world.end_epoch();
        assert_eq!(shards(&world).len() == 2, splits);
    }
}

/// Given an epoch whose length has passed, when a shard has not reported in it, then it goes on
/// until the shard does.
#[test]
fn an_epoch_waits_for_every_shard() {
    let mut world = World::new(4, 2);
    world.end_epoch();
    world.time_ms += 5 * EPOCH_MS;
    let first = world.checkpoint(S0);
    world.report(0, certified(first)).unwrap();
    let late = Checkpoint { epoch: Epoch(0), shard: S1, ..world.checkpoint(S1) };
    world.report(0, certified(late)).unwrap();
    assert_eq!(world.execute(&[(0, Payload::default())]).closes, None, "that was the last epoch's");
    let second = world.checkpoint(S1);
    world.report(0, certified(second)).unwrap();
    assert_eq!(world.plan().epoch, Epoch(2));
}

/// Checkpoints are taken in their order, of shards that the epoch or the one before has.
#[test]
fn checkpoints_do_not_go_back() {
    let mut world = World::new(4, 2);
    let old = world.checkpoint(S1);
    let new = world.checkpoint(S1);
    assert_eq!(world.report(0, certified(new)), Ok(()));
    assert_eq!(world.report(0, certified(old)), Err(Ignored::NotNewer));
    assert_eq!(world.report(0, certified(new)), Err(Ignored::NotNewer));
    assert_eq!(world.beacon().shard(S1).unwrap().latest, new);
    let unknown = world.checkpoint(S2);
    assert_eq!(world.report(0, certified(unknown)), Err(Ignored::UnknownShard));
    let own = world.checkpoint(BEACON);
    assert_eq!(world.report(0, certified(own)), Err(Ignored::UnknownShard));
    let future = Checkpoint { epoch: Epoch(1), ..world.checkpoint(S1) };
    assert_eq!(world.report(0, certified(future)), Err(Ignored::UnknownShard));
    let higher = Checkpoint { height: Height(new.height.0 + 1), ..new };
    assert_eq!(world.report(0, certified(higher)), Ok(()));
}

/// A shard that was closed by a merge reports its end in the epoch after, and is forgotten then.
#[test]
fn the_end_of_a_closed_shard_is_known_for_an_epoch() {
    let mut world = World::new(4, 2);
    world.end_epoch_under(|_| 0);
    world.end_epoch_under(|_| 0);
    assert_eq!(shards(&world), [0]);
    let last = Checkpoint { epoch: Epoch(1), ..world.checkpoint(S1) };
    assert_eq!(world.report(0, certified(last)), Ok(()));
    world.end_epoch();
    assert_eq!(world.beacon().shard(S1), None);
    let later = Checkpoint { epoch: Epoch(1), ..world.checkpoint(S1) };
    assert_eq!(world.report(0, certified(later)), Err(Ignored::UnknownShard));
}

/// Checkpoints that a captured shard may certify, with counters that go back or time that stands
/// still, are no load and no arithmetic to stumble over. (It can lie about its load all the same.)
#[test]
fn absurd_checkpoints_are_no_load() {
    for (time_ms, executed) in [(0, 0), (0, u64::MAX), (u64::MAX, 0), (u64::MAX, 9)] {
        let mut world = World::new(4, 1);
        for _ in 0..3 {
            world.execute(&[]);
            let first = world.checkpoint(S0);
            world.report(0, certified(first)).unwrap();
            let absurd = Checkpoint { time_ms, executed, ..world.checkpoint(S0) };
            world.report(0, certified(absurd)).unwrap();
            world.time_ms += EPOCH_MS;
            world.execute(&[]);
        }
        assert_eq!(shards(&world), [0]);
    }
}
