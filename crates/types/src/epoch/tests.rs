use super::*;
use crate::testing::{digest, some_key};

/// Six validators, two shards of four seats each.
fn plan() -> EpochPlan {
    let validator = |number: u32| PlannedValidator {
        number,
        key: some_key(number as u16),
        weight: Weight(10 + u64::from(number)),
    };
    let committee = |shard: u32, seats: &[u16]| PlannedCommittee {
        shard: ShardId(shard),
        seats: Bounded::truncated(seats.to_vec()),
    };
    EpochPlan {
        epoch: Epoch(3),
        seed: digest("seed"),
        layout: Layout::even(2).unwrap(),
        reshardings: Bounded::default(),
        heirs: Bounded::default(),
        validators: Bounded::truncated((0..6).map(validator).collect()),
        committees: Bounded::truncated(vec![
            committee(0, &[0, 1, 2, 3]),
            committee(1, &[2, 3, 4, 5]),
        ]),
    }
}

#[test]
fn a_plan_names_the_committee_of_every_shard() {
    let plan = plan();
    let names = |shard: ShardId| -> Vec<String> {
        let committee = plan.committee(shard).unwrap();
        assert_eq!((committee.shard(), committee.epoch()), (shard, Epoch(3)));
        committee.members().iter().map(|member| member.name.clone()).collect()
    };
    assert_eq!(names(ShardId(1)), ["v2", "v3", "v4", "v5"]);
    assert_eq!(names(BEACON).len(), 6);
    assert_eq!(plan.committee(ShardId(2)), Err(PlanError::NoCommittee(ShardId(2))));
    let mut wrong = plan.clone();
    wrong.committees = Bounded::truncated(vec![PlannedCommittee {
        shard: ShardId(0),
        seats: Bounded::truncated(vec![6]),
    }]);
    assert_eq!(wrong.committee(ShardId(0)), Err(PlanError::UnknownSeat(ShardId(0), 6)));
}

/// Given shards 0 and 1, when 0 splits into 0 and 2, 2 into 2 and 3, and then 2 absorbs 3 and 0
/// absorbs 2, then everybody finds who answers for 3: shard 0.
#[test]
fn heirs_follow_from_split_to_merge() {
    let mut plan = plan();
    let mut change = |resharding: Resharding| {
        let (layout, heirs) = plan.reshard(&[resharding]).unwrap();
        plan.layout = layout;
        plan.heirs = Bounded::truncated(heirs);
        plan.reshardings = Bounded::truncated(vec![resharding]);
        plan.clone()
    };
    let [s0, s1, s2, s3] = [0, 1, 2, 3].map(ShardId);
    let split = change(Resharding::Split { shard: s0, new: s2 });
    assert_eq!(
        (split.origins(s0), split.origins(s2), split.origins(s1)),
        (vec![s0], vec![s0], vec![s1])
    );
    assert_eq!((split.successors(s0), split.successors(s1)), (vec![s0, s2], vec![s1]));
    let twice = change(Resharding::Split { shard: s2, new: s3 });
    assert_eq!(twice.layout.prefix(s3).unwrap().to_string(), "011*");
    let merged = change(Resharding::Merge { into: s2, closed: s3 });
    assert_eq!((merged.origins(s2), merged.successors(s3)), (vec![s2, s3], vec![s2]));
    assert_eq!(merged.actor(s3), s2);
    let whole = change(Resharding::Merge { into: s0, closed: s2 });
    assert_eq!((whole.actor(s3), whole.actor(s2), whole.actor(s1)), (s0, s0, s1));
    assert_eq!(whole.layout, Layout::even(2).unwrap());
    let reuse = whole.reshard(&[Resharding::Split { shard: s0, new: s3 }]);
    assert_eq!(reuse.unwrap_err(), LayoutError::Repeated(s3));
    let [s8, s9] = [8, 9].map(ShardId);
    let both = [Resharding::Split { shard: s0, new: s8 }, Resharding::Split { shard: s0, new: s9 }];
    assert_eq!(whole.reshard(&both).unwrap_err(), LayoutError::Twice(s0));
}

#[test]
fn the_layout_takes_possible_changes_only() {
    let layout = Layout::even(3).unwrap();
    let refused = |result: Result<Layout, LayoutError>| result.unwrap_err();
    let [s0, s1, s2, s9] = [0, 1, 2, 9].map(ShardId);
    assert_eq!(refused(layout.merge(s1, s2)), LayoutError::NoSiblings(s1, s2));
    assert_eq!(refused(layout.merge(s1, s0)), LayoutError::NoSiblings(s1, s0));
    assert_eq!(refused(layout.merge(s0, s9)), LayoutError::Unknown(s9));
    assert_eq!(refused(layout.split(s9, s2)), LayoutError::Unknown(s9));
    assert_eq!(refused(layout.split(s0, s2)), LayoutError::Repeated(s2));
    assert_eq!(layout.merge(s0, s1).unwrap().split(s0, s1).unwrap(), layout);
    let mut deep = Layout::whole(s0);
    for new in 1..=32 {
        deep = deep.split(s0, ShardId(new)).unwrap();
    }
    assert_eq!(refused(deep.split(s0, ShardId(99))), LayoutError::TooLong(s0));
}
