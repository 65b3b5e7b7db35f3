//! Whatever is reported, in whatever order: every plan can be served.

use std::collections::BTreeSet;

use proptest::prelude::*;
use qcn_types::{
    BEACON, Bounded, Epoch, EpochPlan, Layout, Payload, Report, Resharding, ShardId, Weight,
    decode, encode,
};

use crate::beacon::testing::{
    EPOCH_MS, World, certified, chain, genesis, offence, registration, rotation,
};

/// What somebody does.
#[derive(Clone, Debug)]
enum Step {
    Reveal(u32, u32),
    /// Somebody registers, and the first so many validators approve.
    Admit(u32, u32, u64),
    Reweigh(u32, u32, u64),
    Rotate(u32, u64, u32),
    Split(u32, u32, u32),
    /// The pair of neighbours at this place.
    Merge(u32, usize),
    Offend(u16, u32, bool),
    Leave(u32),
    /// All shards report this many executed in the time since their last report.
    Work(u64, u64),
}

fn step() -> impl Strategy<Value = Step> {
    let number = || 0..9_u32;
    let few = || 2..8_u32;
    prop_oneof![
        (number(), 0..3_u32).prop_map(|(number, place)| Step::Reveal(number, place)),
        (few(), 6..14_u32, prop_oneof![Just(5_u64), Just(1 << 60), Just((1 << 60) - 60)])
            .prop_map(|(voters, who, weight)| Step::Admit(voters, who, weight)),
        (few(), number(), prop_oneof![0..3_u64, Just(1 << 60)])
            .prop_map(|(voters, who, weight)| Step::Reweigh(voters, who, weight)),
        (number(), 0..3_u64, 0..16_u32).prop_map(|(who, at, to)| Step::Rotate(who, at, to)),
        (few(), 0..6_u32, 0..9_u32).prop_map(|(voters, at, new)| Step::Split(voters, at, new)),
        (few(), 0..3_usize).prop_map(|(voters, at)| Step::Merge(voters, at)),
        (0..7_u16, number(), any::<bool>()).prop_map(|(at, by, now)| Step::Offend(at, by, now)),
        number().prop_map(Step::Leave),
        (0..400_u64, 100..EPOCH_MS).prop_map(|(load, ms)| Step::Work(load, ms)),
        (0..400_u64, 100..EPOCH_MS).prop_map(|(load, ms)| Step::Work(load, ms)),
        (0..20_u64, 400..EPOCH_MS).prop_map(|(load, ms)| Step::Work(load, ms)),
        (0..20_u64, 400..EPOCH_MS).prop_map(|(load, ms)| Step::Work(load, ms)),
    ]
}

/// The reports of a step, with their authors.
fn reports_of(step: &Step, world: &World) -> Vec<(u32, Report)> {
    let epoch = world.plan().epoch;
    let all = |voters: u32, report: Report| -> Vec<(u32, Report)> {
        world.seated().into_iter().take(voters as usize).map(|it| (it, report.clone())).collect()
    };
    match *step {
        Step::Reveal(number, place) => {
            vec![(number, Report::Reveal(chain(number).reveal(place).unwrap()))]
        }
        Step::Admit(voters, who, weight) => {
            let registration = registration(who);
            let digest = registration.digest();
            let mut reports = vec![(0, Report::Registration(Box::new(registration)))];
            let approval = Report::Approval { registration: digest, weight: Weight(weight) };
            reports.extend(all(voters, approval));
            reports
        }
        Step::Reweigh(voters, number, weight) => {
            all(voters, Report::Reweigh { number, weight: Weight(weight) })
        }
        Step::Rotate(who, counter, to) => {
            vec![(0, Report::Rotation(Box::new(rotation(who, counter, to))))]
        }
        Step::Split(voters, shard, new) => {
            let (shard, new) = (ShardId(shard), ShardId(world.beacon().next_shard().0 / 2 + new));
            all(voters, Report::Reshard(Resharding::Split { shard, new }))
        }
        Step::Merge(voters, at) => match world.plan().layout.shards().get(at..at + 2) {
            Some([(_, into), (_, closed)]) => {
                all(voters, Report::Reshard(Resharding::Merge { into: *into, closed: *closed }))
            }
            _ => vec![],
        },
        Step::Offend(member, by, now) => {
            let epoch = Epoch(if now { epoch.0 } else { epoch.0.saturating_sub(1) });
            let number = world.plan().validators.get(usize::from(member)).map(|it| it.number);
            vec![(by, offence(BEACON, epoch, member, number.unwrap_or(0).min(20)))]
        }
        Step::Leave(number) => vec![(number, Report::Leave)],
        Step::Work(..) => vec![],
    }
}

/// Executes a step; every report in an execution of its own, or all in one.
fn run(world: &mut World, step: &Step, executed: &mut u64) -> Vec<EpochPlan> {
    let mut closed = Vec::new();
    let mut reports = reports_of(step, world);
    if let Step::Work(load, ms) = step {
        world.time_ms += ms;
        *executed += load * ms / 1_000;
        let author = world.speaker();
        for (_, shard) in world.plan().layout.shards() {
            let mut checkpoint = world.checkpoint(*shard);
            checkpoint.executed = *executed;
            reports.push((author, certified(checkpoint)));
        }
    }
    let payloads: Vec<(u32, Payload)> = reports
        .into_iter()
        .map(|(author, report)| {
            let reports = Bounded::truncated(vec![report]);
            (author, Payload { reports, ..Payload::default() })
        })
        .collect();
    closed.extend(world.execute(&payloads).closes.map(|plan| *plan));
    closed
}

/// What must hold of every plan, after the one before.
fn check(before: &EpochPlan, plan: &EpochPlan, ever: &mut BTreeSet<ShardId>) {
    assert_eq!(plan.epoch.0, before.epoch.0 + 1);
    for shard in plan.shards() {
        let committee = plan.committee(shard).unwrap();
        let expected = if shard == BEACON { plan.validators.len() } else { 4 };
        assert_eq!(committee.len(), expected.min(plan.validators.len()));
    }
    let seated: Vec<ShardId> = plan.committees.iter().map(|it| it.shard).collect();
    let shards: Vec<ShardId> = plan.layout.shards().iter().map(|(_, shard)| *shard).collect();
    assert_eq!(seated, shards);
    assert_eq!(Layout::new(plan.layout.shards().to_vec()).as_ref(), Ok(&plan.layout));
    assert!(shards.len() <= 4);
    for resharding in &plan.reshardings {
        if let Resharding::Split { new, .. } = resharding {
            assert!(ever.insert(*new), "{new} was used before");
        }
    }
    assert!(shards.iter().all(|shard| ever.contains(shard)));
    let (layout, heirs) = before.reshard(&plan.reshardings).unwrap();
    assert_eq!((&layout, &*heirs), (&plan.layout, &*plan.heirs));
    assert!(plan.validators.is_sorted_by(|one, other| one.number < other.number));
    let bytes = encode(plan);
    assert_eq!(encode(&decode::<EpochPlan>(&bytes).unwrap()), bytes);
    let opened: BTreeSet<ShardId> = before
        .layout
        .shards()
        .iter()
        .flat_map(|(_, shard)| before_and_after(plan, *shard))
        .collect();
    assert_eq!(opened, shards.into_iter().collect(), "every shard opens with somebody's state");
}

fn before_and_after(plan: &EpochPlan, shard: ShardId) -> Vec<ShardId> {
    let successors = plan.successors(shard);
    assert!(successors.iter().all(|after| plan.origins(*after).contains(&shard)));
    successors
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Random reports never lead to a plan that cannot be served, and two beacons that are told
    /// the same are the same.
    #[test]
    fn every_plan_can_be_served(steps in proptest::collection::vec(step(), 1..120)) {
        let mut world = World::of(&genesis(6, 2));
        let (mut executed, mut ever) = (0, BTreeSet::from([ShardId(0), ShardId(1)]));
        let mut twin = World::of(&genesis(6, 2));
        for step in &steps {
            let before = world.plan();
            let closed = run(&mut world, step, &mut executed.clone());
            prop_assert_eq!(&closed, &run(&mut twin, step, &mut executed));
            for plan in &closed {
                check(&before, plan, &mut ever);
            }
        }
        prop_assert_eq!(world.ledger.beacon(), twin.ledger.beacon());
        prop_assert_eq!(world.ledger.state_root(), twin.ledger.state_root());
        prop_assert!(world.ledger.audit().is_ok());
    }
}
