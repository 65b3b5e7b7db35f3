//! Shards that split and merge, with everything that is on its way.

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use qcn_crypto::{ChainId, Digest};
use qcn_light::state::ProofError;
use qcn_light::{AccountProof, verify_account_proof};
use qcn_types::{
    Address, Amount, Bounded, Checkpoint, Delivery, Layout, MAX_LANE_BATCHES, Payload, Receipt,
    ReceiptKind, Resharding, TransactionId,
};

use super::world::{START, World, after, delivery, plan, restored};
use super::*;
use crate::ledger::AuditError;
use crate::testing::{address, large_ledger};
use crate::{Outcome, Reception};

const S0: ShardId = ShardId(0);
const S1: ShardId = ShardId(1);
const S2: ShardId = ShardId(2);

const SPLIT: Resharding = Resharding::Split { shard: S0, new: S1 };
const MERGE: Resharding = Resharding::Merge { into: S0, closed: S1 };

fn whole() -> EpochPlan {
    plan(0, Layout::whole(S0), Vec::new())
}

/// Given one shard with many accounts, when it splits and its halves merge at once, then the state
/// is what it was; and each half is the state that its accounts alone would make.
#[test]
fn a_split_and_a_merge_lead_back() {
    let ledger = large_ledger(5_000);
    let split = after(&whole(), &[SPLIT]);
    let lower = Ledger::open(&split, S0, vec![ledger.clone()]).unwrap();
    let upper = Ledger::open(&split, S1, vec![ledger.clone()]).unwrap();
    let (low, high) = (lower.audit().unwrap(), upper.audit().unwrap());
    assert_eq!(low.balances + high.balances, 5_000);
    assert_eq!((low.given, high.taken, high.genesis), (high.balances, high.balances, Amount(0)));
    assert_eq!(lower.record_count() + upper.record_count(), ledger.record_count() + 1);
    assert!(upper.record_count() > 2_000);
    for half in [&lower, &upper] {
        let mut naive = StateTree::default();
        for (key, value) in ledger.tree.iter().filter(|(key, _)| key.kind == RecordKind::Account) {
            if half.territory().elsewhere(&Address(key.id)).is_none() {
                naive.apply(vec![(*key, Some(value.into()))]);
            }
        }
        naive.apply(vec![record_of(&half.supply())]);
        assert_eq!(naive.root(), half.state_root());
    }
    let merged = Ledger::open(&after(&split, &[MERGE]), S0, vec![lower, upper]).unwrap();
    assert_eq!((merged.state_root(), merged.supply()), (ledger.state_root(), ledger.supply()));
}

/// A certificate of the epoch before goes on proving what it proved.
#[test]
fn proofs_from_before_hold() {
    let ledger = large_ledger(300);
    let first = Address(ledger.tree.iter().next().unwrap().0.id);
    let (root, proof) = (ledger.state_root(), ledger.prove(&first));
    let split = after(&whole(), &[SPLIT]);
    let lower = Ledger::open(&split, S0, vec![ledger.clone()]).unwrap();
    let upper = Ledger::open(&split, S1, vec![ledger]).unwrap();
    let shown = |proof: &AccountProof, root| verify_account_proof(&root, first, proof);
    let account = Account::new(first, Amount(1));
    assert_eq!(shown(&proof, root), Ok(Some(account)));
    assert_eq!(shown(&proof, lower.state_root()), Err(ProofError::WrongRoot));
    assert_eq!(shown(&lower.prove(&first), lower.state_root()), Ok(Some(account)));
    assert_eq!(shown(&upper.prove(&first), upper.state_root()), Ok(None));
}

#[test]
fn wrong_origins_open_nothing() {
    let ledger = large_ledger(50);
    let split = after(&whole(), &[SPLIT]);
    let refused = |plan: &EpochPlan, shard, origins: &[&Ledger]| {
        let origins = origins.iter().map(|it| (*it).clone()).collect();
        Ledger::open(plan, shard, origins).err().unwrap()
    };
    let wrong = |expected: &[ShardId], given: &[ShardId]| OpenError::WrongOrigins {
        expected: expected.to_vec(),
        given: given.to_vec(),
    };
    assert_eq!(refused(&split, S2, &[&ledger]), OpenError::NoShard(S2));
    assert_eq!(refused(&split, S1, &[]), wrong(&[S0], &[]));
    let open = |shard| Ledger::open(&split, shard, vec![ledger.clone()]).unwrap();
    let (lower, upper) = (open(S0), open(S1));
    assert_eq!(refused(&split, S1, &[&upper]), wrong(&[S0], &[S1]));
    let merge = after(&split, &[MERGE]);
    assert_eq!(refused(&merge, S0, &[&lower]), wrong(&[S0, S1], &[S0]));
    assert_eq!(refused(&merge, S0, &[&upper, &lower]), wrong(&[S0, S1], &[S1, S0]));
    // A state of another epoch has other addresses.
    let addresses = |error: OpenError| matches!(error, OpenError::WrongAddresses { .. });
    assert!(addresses(refused(&split, S0, &[&lower])));
    assert!(addresses(refused(&split, S1, &[&lower])));
    assert!(addresses(refused(&merge, S0, &[&ledger, &upper])));
    assert!(addresses(refused(&after(&merge, &[]), S0, &[&lower])));
    let foreign = Ledger { chain: ChainId(Digest([9; 32])), ..upper.clone() };
    assert_eq!(refused(&merge, S0, &[&lower, &foreign]), OpenError::OtherNetwork(S0, S1));
    let mut captured = upper;
    captured.supply.sent = u128::MAX;
    assert_eq!(refused(&merge, S0, &[&lower, &captured]), OpenError::TooMuch);
}

/// Accounts and lanes of others make no state, whoever certified it.
#[test]
fn a_state_has_its_own_accounts_and_lanes_only() {
    let ledger = large_ledger(50);
    let split = after(&whole(), &[SPLIT]);
    let lower = Territory::of(&split, S0).unwrap();
    let posing = Ledger { territory: lower, ..ledger };
    assert!(matches!(posing.audit(), Err(AuditError::ForeignAccount(_, S1))));
    let mut world = World::new();
    world.pay(0, 15, 5);
    let (_, sender) = world.live[&S0].clone();
    let merge = after(&world.plans[0], &[MERGE]);
    let posing = Ledger { territory: Territory::of(&merge, S0).unwrap(), ..sender };
    let lane = LaneId { own: S0, peer: S1 };
    assert_eq!(posing.audit(), Err(AuditError::ForeignLane(lane)));
}

/// Given receipts between two shards that nobody has carried, when the two merge, then they arrive
/// at once, and the lanes are gone.
#[test]
fn what_is_in_flight_between_two_arrives_when_they_merge() {
    let mut world = World::new();
    for payer in 0..4 {
        assert_eq!(world.pay(payer, 8 + payer, 10), Some(Outcome::Sent(S1)));
        assert_eq!(world.pay(8 + payer, payer, 7), Some(Outcome::Sent(S0)));
    }
    world.certify(S0);
    let source = world.sources().swap_remove(0);
    let first = world.load(&source, LaneId { own: S0, peer: S1 }, 0).unwrap();
    world.unload(&first);
    world.pay(5, 9, 3);
    let merge = after(&world.plans[0], &[MERGE]);
    world.plans.push(merge);
    world.close(S0);
    world.close(S1);
    world.check();
    world.open(1, S0);
    let merged = world.ledger(0);
    assert!(merged.outbox().ends().is_empty());
    assert_eq!(merged.account(&world.address(9)).unwrap().balance, Amount(START + 10 + 3 - 8));
    assert_eq!((merged.supply().sent, merged.supply().received), (0, 0));
    world.settle();
    world.check_settled();
}

/// Given a receipt that a lagging shard sends to a number that is closed by then, when it comes,
/// then the heir takes it on the old lane and acknowledges it there; what the closed shard had
/// sent before is delivered by the heir, and nothing new goes on that lane.
#[test]
fn an_heir_goes_on_with_the_lanes_of_the_closed() {
    let mut world = World::new();
    // Addresses 0-3 in shard 0, 4-7 in shard 2, the rest in shard 1.
    let apart = after(&world.plans[0], &[Resharding::Split { shard: S0, new: S2 }]);
    world.plans.push(apart);
    for shard in [S0, S1] {
        world.close(shard);
    }
    for shard in [S0, S1, S2] {
        world.open(1, shard);
    }
    assert_eq!(world.pay(4, 10, 10), Some(Outcome::Sent(S1)));
    let merge = after(&world.plans[1], &[Resharding::Merge { into: S0, closed: S2 }]);
    world.plans.push(merge);
    world.close(S0);
    world.close(S2);
    world.open(2, S0);
    assert_eq!(world.pay(10, 4, 20), Some(Outcome::Sent(S2)), "shard 1 has not heard of it");
    assert_eq!(world.pay(5, 10, 1), Some(Outcome::Sent(S1)));
    let [from_heir, from_closed] = [S0, S2].map(|own| LaneId { own, peer: S1 });
    let heads = |world: &World| {
        let outbox = world.ledger(0).outbox();
        [from_heir, from_closed].map(|lane| outbox.end(lane).unwrap().sent.receipts)
    };
    assert_eq!(heads(&world), [1, 1]);
    for shard in [S0, S1] {
        world.certify(shard);
    }
    for source in world.sources() {
        for lane in [from_heir, from_closed, from_closed.reversed()] {
            let loaded = world.load(&source, lane, 0);
            loaded.iter().for_each(|delivery| world.unload(delivery));
        }
    }
    assert_eq!(world.ledger(0).received_on(from_closed).receipts, 1);
    assert_eq!(world.ledger(1).received_on(from_closed.reversed()).receipts, 1);
    assert_eq!(heads(&world), [1, 1]);
    world.settle();
    world.check_settled();
}

/// A receiver that has moved is found, whether the receipt comes too late or too early, and that
/// is no reason to send anything back.
#[test]
fn receipts_follow_a_receiver_that_has_moved() {
    let mut world = World::new();
    assert_eq!(world.pay(8, 4, 20), Some(Outcome::Sent(S0)));
    let split = after(&world.plans[0], &[Resharding::Split { shard: S0, new: S2 }]);
    world.plans.push(split);
    world.close(S0);
    world.open(1, S0);
    world.open(1, S2);
    world.certify(S1);
    let source = world.sources().swap_remove(1);
    let late = world.load(&source, LaneId { own: S1, peer: S0 }, 0).unwrap();
    world.unload(&late);
    assert_eq!((world.forwarded, world.returned), (1, 0));
    assert_eq!(
        world.ledger(0).outbox().end(LaneId { own: S0, peer: S2 }).unwrap().sent.receipts,
        1
    );
    world.settle();
    world.check_settled();
    assert_eq!((world.forwarded, world.returned), (1, 0));
}

/// A shard whose committee is captured certifies what it likes.
fn forged(from: ShardId, to: ShardId, receipts: &[Receipt]) -> Delivery {
    let mut lane = Lane::new(LaneId { own: from, peer: to });
    crate::lanes::send(&mut lane, receipts, &mut Vec::new());
    let ends = [lane.end];
    let outbox_root = qcn_types::outbox_root(&ends);
    let checkpoint = Checkpoint { shard: from, outbox_root, ..Checkpoint::default() };
    let certificate = qcn_types::Certificate { checkpoint, attestations: Bounded::default() };
    Delivery {
        certificate,
        end: lane.end,
        inclusion: qcn_types::outbox_tree(&ends).prove(0).unwrap(),
        before: LaneHead::default(),
        batches: Bounded::truncated(vec![Bounded::truncated(receipts.to_vec())]),
        links: Bounded::default(),
    }
}

/// Two histories of one lane cannot be brought together: what is missing is lost, what is too much
/// came from nowhere, and the supply says so.
#[test]
fn a_forked_lane_does_not_stop_a_merge() {
    for (truth, lie) in [(10, 4), (4, 10)] {
        let mut world = World::new();
        assert_eq!(world.pay(0, 8, truth), Some(Outcome::Sent(S1)));
        let receipt = Receipt {
            kind: ReceiptKind::Transfer,
            transaction: TransactionId::default(),
            sender: world.address(0),
            receiver: world.address(9),
            amount: Amount(lie),
        };
        let deliveries = Bounded::truncated(vec![forged(S0, S1, &[receipt])]);
        let payload = Payload { deliveries, ..Payload::default() };
        let (into, mut closed) = (world.ledger(0).clone(), world.ledger(1).clone());
        closed.execute_payloads([&payload]);
        let merge = after(&world.plans[0], &[MERGE]);
        let (merged, received) =
            Ledger::open_with_received(&merge, S0, vec![into, closed]).unwrap();
        let supply = merged.audit().unwrap();
        assert_eq!(received, []);
        assert_eq!((supply.sent, supply.received), (0, 0));
        // The genesis supplies of the two do not fit 64 bits together.
        let beyond = START * 8;
        assert_eq!(supply.taken, u128::from(beyond + lie.saturating_sub(truth)));
        assert_eq!(supply.burned, u128::from(truth.saturating_sub(lie)));
    }
}

/// What comes back at a merge, and for what no account has room: the captured shard's doing.
#[test]
fn what_cannot_be_held_at_a_merge_goes_back() {
    let mut world = World::new();
    let rich = world.ledger(1).account(&world.address(15)).unwrap().balance.0;
    let room = u64::MAX - rich;
    // Others fill the rich account up to the brim.
    let filler = Receipt {
        kind: ReceiptKind::Transfer,
        transaction: TransactionId::default(),
        sender: world.address(0),
        receiver: world.address(15),
        amount: Amount(room),
    };
    assert_eq!(world.pay(0, 15, 30), Some(Outcome::Sent(S1)));
    let (into, mut closed) = (world.ledger(0).clone(), world.ledger(1).clone());
    let deliveries = Bounded::truncated(vec![forged(ShardId(9), S1, &[filler])]);
    closed.execute_payloads([&Payload { deliveries, ..Payload::default() }]);
    let merge = after(&world.plans[0], &[MERGE]);
    let (merged, received) = Ledger::open_with_received(&merge, S0, vec![into, closed]).unwrap();
    let receptions: Vec<Reception> = received.iter().map(|it| it.reception).collect();
    assert_eq!(receptions, [Reception::Bounced(S0)]);
    assert_eq!(merged.account(&world.address(0)).unwrap().balance, Amount(START - 1));
    merged.audit().unwrap();
}

/// Given a closed shard with a full lane, when its heir goes on with it, then the lane has its
/// bounds still, drains, and does not hold up the heir's own.
#[test]
fn a_lane_that_is_acted_for_keeps_its_bounds() {
    let mut world = World::new();
    let merge = [Resharding::Merge { into: S0, closed: S2 }];
    let apart = after(&world.plans[0], &[Resharding::Split { shard: S0, new: S2 }]);
    let together = after(&apart, &merge);
    world.plans.extend([apart, together]);
    for shard in [S0, S1] {
        world.close(shard);
    }
    for shard in [S0, S1, S2] {
        world.open(1, shard);
    }
    let (_, closed) = world.live.get_mut(&S2).unwrap();
    fill(closed, S1);
    assert!(closed.lane_is_full(S1));
    world.close(S0);
    world.close(S2);
    world.open(2, S0);
    let heir = world.ledger(0);
    assert!(!heir.lane_is_full(S1), "its own lane is empty");
    let lane = LaneId { own: S2, peer: S1 };
    let end = *heir.outbox().end(lane).unwrap();
    assert!(end.sent.batches - heir.acknowledged_on(lane).batches <= MAX_LANE_BATCHES as u64);
    let load = delivery(heir, &heir.outbox(), lane, &LaneHead::default()).unwrap();
    assert_eq!(load.check_lane(|number| number == S1), Ok(()));
    assert_eq!(load.links.len() + load.batches.len(), end.sent.batches as usize);
    assert_eq!(restored(heir, heir.territory().clone()).state_root(), heir.state_root());
}

/// Bounces of receipts that a captured shard has sent, one to a batch, until no more are taken.
fn fill(ledger: &mut Ledger, peer: ShardId) {
    let home = (0..=u8::MAX).map(address).find(|it| ledger.territory().elsewhere(it) == Some(peer));
    let receipt = Receipt {
        kind: ReceiptKind::Bounce,
        transaction: TransactionId::default(),
        sender: home.unwrap(),
        receiver: address(0),
        amount: Amount(1),
    };
    for source in 100.. {
        let deliveries = Bounded::truncated(vec![forged(
            ShardId(source),
            ledger.territory().shard(),
            &[receipt],
        )]);
        let payload = Payload { deliveries, ..Payload::default() };
        if ledger.execute_payloads([&payload]).received.is_empty() {
            return;
        }
    }
}

/// What happens in a network whose layout changes.
#[derive(Clone, Debug)]
enum Step {
    Pay {
        from: usize,
        to: usize,
        amount: u64,
    },
    Certify(usize),
    /// A relayer takes up what it may bring, from some way back, out of an open shard or one that
    /// has closed.
    Load {
        source: usize,
        lane: usize,
        back: u64,
    },
    /// It arrives, or arrives again, in any order.
    Unload(usize),
    /// The beacon decides the next epoch.
    Announce {
        which: usize,
        two: bool,
    },
    /// A shard closes or opens.
    Advance(usize),
    /// A validator restores the state from chunks and goes on from there.
    Restore(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let many = 0..1_000_usize;
    let step = prop_oneof![
        8 => (many.clone(), prop_oneof![many.clone(), Just(15)], 1..60_u64)
            .prop_map(|(from, to, amount)| Step::Pay { from, to, amount }),
        3 => many.clone().prop_map(Step::Certify),
        6 => (many.clone(), many.clone(), 0..3_u64)
            .prop_map(|(source, lane, back)| Step::Load { source, lane, back }),
        7 => many.clone().prop_map(Step::Unload),
        1 => (many.clone(), any::<bool>()).prop_map(|(which, two)| Step::Announce { which, two }),
        4 => many.clone().prop_map(Step::Advance),
        1 => many.prop_map(Step::Restore),
    ];
    prop::collection::vec(step, 1..220)
}

fn live(world: &World, which: usize) -> Option<ShardId> {
    let mut shards = world.live.keys().copied().cycle();
    shards.nth(which % world.live.len().max(1))
}

fn run(world: &mut World, steps: Vec<Step>) {
    let mut carried: Vec<Delivery> = Vec::new();
    for step in steps {
        match step {
            Step::Pay { from, to, amount } => drop(world.pay(from, to, amount)),
            Step::Certify(which) => live(world, which).into_iter().for_each(|it| world.certify(it)),
            Step::Load { source, lane, back } => {
                let sources = world.sources();
                let source = &sources[source % sources.len()];
                let ends = source.1.ends();
                let end = (!ends.is_empty()).then(|| ends[lane % ends.len()]);
                carried.extend(end.and_then(|end| world.load(source, end.lane(), back)));
            }
            Step::Unload(which) if !carried.is_empty() => {
                world.unload(&carried[which % carried.len()]);
            }
            Step::Unload(_) => {}
            Step::Announce { which, two } if world.plans.len() < 7 => world.announce(which, two),
            Step::Announce { .. } => {}
            Step::Advance(which) => drop(world.advance(which)),
            Step::Restore(which) => {
                if let Some(shard) = live(world, which) {
                    let (_, ledger) = world.live.get_mut(&shard).unwrap();
                    *ledger = restored(ledger, ledger.territory().clone());
                }
            }
        }
        world.check();
    }
}

/// The property below is worth something only if the random worlds have receipts that are
/// forwarded, and some that come back.
#[test]
fn random_networks_forward_and_return() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let (mut forwarded, mut returned, mut epochs) = (0, 0, 0);
    for _ in 0..60 {
        let mut world = World::new();
        run(&mut world, steps().new_tree(&mut runner).unwrap().current());
        world.settle();
        forwarded += world.forwarded;
        returned += world.returned;
        epochs += world.plans.len();
    }
    assert!(forwarded > 20 && returned > 5, "{forwarded} forwarded, {returned} returned");
    assert!(epochs > 200, "{epochs} epochs");
}

proptest! {
    // A world that never settles takes long to shrink, and its steps say enough.
    #![proptest_config(ProptestConfig { cases: 256, max_shrink_time: 20_000, ..ProptestConfig::default() })]

    /// Whatever relayers do, and whenever shards change epoch, every transfer is credited once or
    /// returned once, nothing appears or disappears, and in the end all lanes are empty.
    #[test]
    fn transfers_survive_changes_of_the_layout(steps in steps()) {
        let mut world = World::new();
        run(&mut world, steps);
        world.settle();
        world.check_settled();
    }
}
