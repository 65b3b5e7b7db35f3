use proptest::prelude::*;
use qcn_crypto::PublicKey;
use qcn_types::{Action, Amount, Certificate, Checkpoint, Delivery, Payload, ReceiptKind};

use super::*;
use crate::Restore;
use crate::testing::{CHAIN, address, some_key, transaction};
use crate::{Failure, GenesisAccount, GenesisError, Ledger, Outcome, Received, Reception, Refusal};

const START: u64 = 1_000_000;

/// A lane as its source names it.
fn lane(from: usize, to: usize) -> LaneId {
    LaneId { own: ShardId(from as u32), peer: ShardId(to as u32) }
}

/// Shards of one network, with what each has certified so far.
#[derive(Clone)]
struct World {
    layout: Arc<Layout>,
    ledgers: Vec<Ledger>,
    outboxes: Vec<Outbox>,
}

impl World {
    fn new(shards: usize) -> Self {
        let layout = Arc::new(Layout::even(shards).unwrap());
        let open = |shard: u32| {
            let own = (0..=u8::MAX).map(address).filter(|it| layout.shard_of(it).0 == shard);
            let accounts: Vec<GenesisAccount> =
                own.map(|address| GenesisAccount { address, balance: Amount(START) }).collect();
            let territory = Territory::new(Arc::clone(&layout), ShardId(shard)).unwrap();
            Ledger::genesis_of(CHAIN, territory, &accounts).unwrap()
        };
        let ledgers = (0..shards as u32).map(open).collect();
        Self { layout: Arc::clone(&layout), ledgers, outboxes: vec![Outbox::default(); shards] }
    }

    /// A key whose account is in this shard.
    fn key(&self, shard: usize, number: usize) -> PublicKey {
        let own = (0..=u8::MAX).map(some_key);
        let mut own = own.filter(|it| self.layout.shard_of(&Address::of(it)).0 == shard as u32);
        own.nth(number).unwrap()
    }

    fn address(&self, shard: usize, number: usize) -> Address {
        Address::of(&self.key(shard, number))
    }

    fn balance(&self, shard: usize, number: usize) -> u64 {
        self.ledgers[shard].account(&self.address(shard, number)).map_or(0, |it| it.balance.0)
    }

    fn pay(&mut self, from: usize, payer: usize, to: Address, amount: u64) -> Outcome {
        let key = self.key(from, payer);
        let sender = Address::of(&key);
        let nonce = self.ledgers[from].account(&sender).map_or(0, |it| it.nonce);
        let action = Action::Transfer { to, amount: Amount(amount) };
        let paid = transaction(&key, sender, nonce, 1, action);
        self.ledgers[from].execute([&paid]).outcomes[0].1
    }

    fn certify(&mut self, shard: usize) {
        self.outboxes[shard] = self.ledgers[shard].outbox();
    }

    /// What a relayer would carry now.
    fn load(&self, from: usize, to: usize) -> Option<Delivery> {
        let applied = self.ledgers[to].received_on(lane(to, from));
        self.load_from(from, to, &applied)
    }

    fn load_from(&self, from: usize, to: usize, applied: &LaneHead) -> Option<Delivery> {
        let outbox = &self.outboxes[from];
        let cargo = self.ledgers[from].cargo(outbox, lane(from, to), applied)?;
        let checkpoint = Checkpoint {
            shard: ShardId(from as u32),
            outbox_root: qcn_types::outbox_root(outbox.ends()),
            ..Checkpoint::default()
        };
        let Cargo { end, inclusion, before, batches, links } = cargo;
        let certificate = Certificate { checkpoint, attestations: Bounded::default() };
        let delivery = Delivery { certificate, end, inclusion, before, batches, links };
        assert_eq!(delivery.check_lane(|number| number.0 == to as u32), Ok(()));
        Some(delivery)
    }

    fn unload(&mut self, to: usize, delivery: &Delivery) -> Vec<Received> {
        let deliveries = Bounded::truncated(vec![delivery.clone()]);
        let payload = Payload { deliveries, ..Payload::default() };
        self.ledgers[to].execute_payloads([&payload]).received
    }

    /// Brings everything everywhere, acknowledgements too.
    fn settle(&mut self) {
        for _ in 0..4 {
            for from in 0..self.ledgers.len() {
                self.certify(from);
                for to in 0..self.ledgers.len() {
                    while let Some(delivery) = (from != to).then(|| self.load(from, to)).flatten() {
                        let before = self.ledgers[to].received_on(lane(to, from));
                        self.unload(to, &delivery);
                        if self.ledgers[to].received_on(lane(to, from)) == before {
                            break;
                        }
                    }
                }
            }
        }
    }

    /// Everything that there is, in balances, fees and on lanes.
    fn check(&self) {
        let (mut here, mut sent, mut received, mut genesis) = (0_u128, 0, 0, 0);
        for ledger in &self.ledgers {
            let supply = ledger.audit().unwrap();
            assert_eq!((supply.burned, supply.given, supply.taken), (0, 0, 0));
            here += supply.balances + supply.fees;
            sent += supply.sent;
            received += supply.received;
            genesis += u128::from(supply.genesis.0);
        }
        assert_eq!(here + sent - received, genesis, "something was made or lost");
    }
}

#[test]
fn a_transfer_crosses_once() {
    let mut world = World::new(2);
    let to = world.address(1, 0);
    assert_eq!(world.pay(0, 0, to, 70), Outcome::Sent(ShardId(1)));
    assert_eq!(world.pay(0, 1, to, 30), Outcome::Sent(ShardId(1)));
    assert_eq!(world.balance(0, 0), START - 71);
    assert!(world.load(0, 1).is_none(), "nothing is certified");
    world.certify(0);
    let delivery = world.load(0, 1).unwrap();
    assert_eq!((delivery.receipts(), delivery.batches.len()), (2, 2), "one batch a checkpoint");
    let received = world.unload(1, &delivery);
    assert_eq!(received.len(), 2);
    assert_eq!(received[0].reception, Reception::Credited);
    assert_eq!(received[0].receipt.amount, Amount(70));
    assert_eq!(world.balance(1, 0), START + 100);
    world.check();
    // Whoever brings it again changes nothing.
    let root = world.ledgers[1].state_root();
    assert_eq!(world.unload(1, &delivery), []);
    assert_eq!(world.ledgers[1].state_root(), root);
    // The way back acknowledges, and the source forgets what it kept.
    let kept = world.ledgers[0].record_count();
    world.certify(1);
    let back = world.load(1, 0).unwrap();
    assert_eq!(back.receipts(), 0);
    world.unload(0, &back);
    assert_eq!(world.ledgers[0].record_count(), kept - 4);
    assert_eq!(world.ledgers[0].acknowledged_on(lane(0, 1)).receipts, 2);
    world.check();
}

#[test]
fn a_gap_waits_for_what_is_missing() {
    let mut world = World::new(2);
    let to = world.address(1, 0);
    world.pay(0, 0, to, 5);
    world.certify(0);
    let first = world.load(0, 1).unwrap();
    world.pay(0, 0, to, 7);
    world.certify(0);
    let second = world.load_from(0, 1, &first.end.sent).unwrap();
    assert_eq!(world.unload(1, &second), []);
    assert_eq!(world.balance(1, 0), START);
    assert_eq!(world.unload(1, &first).len(), 1);
    assert_eq!(world.unload(1, &second).len(), 1);
    assert_eq!(world.balance(1, 0), START + 12);
    world.check();
}

/// A source whose committee is captured certifies two histories: the second is not applied.
#[test]
fn a_forked_lane_stops() {
    let mut world = World::new(2);
    let to = world.address(1, 0);
    let mut other = world.clone();
    world.pay(0, 0, to, 5);
    world.certify(0);
    world.unload(1, &world.load(0, 1).unwrap());
    other.pay(0, 0, to, 6);
    other.pay(0, 0, to, 9);
    other.certify(0);
    let forged = other.load_from(0, 1, &LaneHead::default()).unwrap();
    assert_eq!(forged.receipts(), 2);
    assert_eq!(world.unload(1, &forged), []);
    assert_eq!(world.balance(1, 0), START + 5);
    // Nor does its word count on what it has received.
    world.pay(1, 0, world.address(0, 3), 1);
    let mut liar = world.load(0, 1).unwrap();
    liar.end.received = LaneHead { receipts: 1, batches: 1, moved: 1, digest: Digest([9; 32]) };
    world.unload(1, &liar);
    assert_eq!(world.ledgers[1].acknowledged_on(lane(1, 0)), LaneHead::default());
    world.check();
}

/// Only a captured source sends more than there is: that goes back. What is for an address that is
/// elsewhere, because its source knows an older layout or was captured, goes on to there.
#[test]
fn what_cannot_be_credited_goes_on_or_back() {
    let mut world = World::new(3);
    let (stray, huge) = (world.address(2, 0), world.address(1, 0));
    let sender = world.address(0, 0);
    let receipt = |receiver, amount| Receipt {
        kind: ReceiptKind::Transfer,
        transaction: qcn_types::TransactionId::default(),
        sender,
        receiver,
        amount: Amount(amount),
    };
    let mut forger = Lane::new(lane(0, 1));
    let receipts = [receipt(stray, 40), receipt(huge, u64::MAX)];
    send(&mut forger, &receipts, &mut Vec::new());
    let ends = [forger.end];
    let checkpoint = Checkpoint {
        shard: ShardId(0),
        outbox_root: qcn_types::outbox_root(&ends),
        ..Checkpoint::default()
    };
    let delivery = Delivery {
        certificate: Certificate { checkpoint, attestations: Bounded::default() },
        end: forger.end,
        inclusion: outbox_tree(&ends).prove(0).unwrap(),
        before: LaneHead::default(),
        batches: Bounded::truncated(vec![Bounded::truncated(receipts.to_vec())]),
        links: Bounded::default(),
    };
    let receptions: Vec<Reception> =
        world.unload(1, &delivery).iter().map(|it| it.reception).collect();
    let expected = [Reception::Forwarded(ShardId(2)), Reception::Bounced(ShardId(0))];
    assert_eq!(receptions, expected, "one lives elsewhere, the other does not fit");
    world.certify(1);
    let onward = world.load(1, 2).unwrap();
    assert_eq!(onward.batches[0][0].kind, ReceiptKind::Transfer);
    let received = world.unload(2, &onward);
    assert_eq!(received[0].reception, Reception::Credited);
    assert_eq!(world.balance(2, 0), START + 40);
    let back = world.load(1, 0).unwrap();
    assert_eq!(back.batches[0][0].kind, ReceiptKind::Bounce);
    let received = world.unload(0, &back);
    assert_eq!(received.len(), 1);
    assert_eq!(received[0].reception, Reception::Burned, "nobody ever had so much");
    assert_eq!(world.ledgers[0].audit().unwrap().burned, u128::from(u64::MAX));
    // Nobody else is the poorer for it.
    let honest = world.address(1, 1);
    world.pay(2, 0, honest, 7);
    world.certify(2);
    let received = world.unload(1, &world.load(2, 1).unwrap());
    assert_eq!(received[0].reception, Reception::Credited);
    assert_eq!(world.balance(0, 0), START);
    // A bounce for who lives elsewhere goes on to there.
    let moved =
        Receipt { kind: ReceiptKind::Bounce, sender: world.address(2, 0), ..receipt(huge, 3) };
    let mut end = Lane::new(lane(0, 1));
    send(&mut end, &[moved], &mut Vec::new());
    let mut world = World::new(3);
    let ends = [end.end];
    let onward = Delivery {
        certificate: Certificate {
            checkpoint: Checkpoint { outbox_root: qcn_types::outbox_root(&ends), ..checkpoint },
            attestations: Bounded::default(),
        },
        end: end.end,
        inclusion: outbox_tree(&ends).prove(0).unwrap(),
        before: LaneHead::default(),
        batches: Bounded::truncated(vec![Bounded::truncated(vec![moved])]),
        links: Bounded::default(),
    };
    let received = world.unload(1, &onward);
    assert_eq!(received[0].reception, Reception::Forwarded(ShardId(2)));
}

/// An account that a captured shard has filled up takes no payment within its shard either: the
/// payer keeps the amount and has paid the fee.
#[test]
fn a_full_account_takes_no_payment() {
    let mut world = World::new(2);
    let full = world.address(1, 0);
    let receipt = Receipt {
        kind: ReceiptKind::Transfer,
        transaction: qcn_types::TransactionId::default(),
        sender: world.address(0, 0),
        receiver: full,
        amount: Amount(u64::MAX - START),
    };
    let mut forger = Lane::new(lane(0, 1));
    send(&mut forger, &[receipt], &mut Vec::new());
    let ends = [forger.end];
    let outbox_root = qcn_types::outbox_root(&ends);
    let checkpoint = Checkpoint { shard: ShardId(0), outbox_root, ..Checkpoint::default() };
    let delivery = Delivery {
        certificate: Certificate { checkpoint, attestations: Bounded::default() },
        end: forger.end,
        inclusion: outbox_tree(&ends).prove(0).unwrap(),
        before: LaneHead::default(),
        batches: Bounded::truncated(vec![Bounded::truncated(vec![receipt])]),
        links: Bounded::default(),
    };
    assert_eq!(world.unload(1, &delivery)[0].reception, Reception::Credited);
    assert_eq!(world.balance(1, 0), u64::MAX);
    assert_eq!(world.pay(1, 1, full, 5), Outcome::Failed(Failure::ReceiverFull));
    assert_eq!(world.balance(1, 1), START - 1);
    world.ledgers[1].audit().unwrap();
}

/// A lane takes so much and no more; what waits is charged nothing, and goes later.
#[test]
fn a_full_lane_makes_the_source_wait() {
    let mut world = World::new(2);
    let to = world.address(1, 0);
    let key = world.key(0, 0);
    let sender = Address::of(&key);
    let action = Action::Transfer { to, amount: Amount(1) };
    let mut nonce = 0;
    let mut outcomes = Vec::new();
    for _ in 0..40 {
        let burst: Vec<_> = (nonce..nonce + 500)
            .map(|nonce| transaction(&key, sender, nonce, 1, action.clone()))
            .collect();
        let done = world.ledgers[0].execute(&burst).outcomes;
        nonce += done.iter().filter(|(_, it)| *it == Outcome::Sent(ShardId(1))).count() as u64;
        outcomes.extend(done.into_iter().map(|(_, outcome)| outcome));
    }
    assert_eq!(nonce, MAX_LANE_RECEIPTS);
    let full = Outcome::Skipped(Refusal::LaneFull { destination: ShardId(1) });
    assert!(outcomes.contains(&full));
    assert_eq!(world.ledgers[0].account(&sender).unwrap().nonce, MAX_LANE_RECEIPTS);
    let next = transaction(&key, sender, nonce, 1, action);
    assert_eq!(world.ledgers[0].admit(&next), Err(Refusal::LaneFull { destination: ShardId(1) }));
    // What stays within the shard is not held up.
    let neighbour = world.address(0, 1);
    assert_eq!(world.pay(0, 2, neighbour, 1), Outcome::Applied);
    world.certify(0);
    let delivery = world.load(0, 1).unwrap();
    assert_eq!(delivery.batches.len(), MAX_DELIVERY_BATCHES);
    assert!(!delivery.links.is_empty());
    world.settle();
    assert_eq!(world.ledgers[0].admit(&next), Ok(()));
    assert_eq!(world.balance(1, 0), START + MAX_LANE_RECEIPTS);
    assert_eq!(world.ledgers[0].record_count(), World::new(2).ledgers[0].record_count() + 1);
    world.check();
}

#[test]
fn a_failed_transfer_sends_nothing() {
    let mut world = World::new(2);
    let to = world.address(1, 0);
    let failed = world.pay(0, 0, to, 2 * START);
    let available = Amount(START - 1);
    assert_eq!(failed, Outcome::Failed(Failure::InsufficientBalance { available }));
    assert!(world.ledgers[0].outbox().ends().is_empty());
    world.check();
}

#[test]
fn a_genesis_holds_its_own_accounts_only() {
    let world = World::new(2);
    let foreign = world.address(1, 0);
    let accounts = [GenesisAccount { address: foreign, balance: Amount(1) }];
    let refused = Ledger::genesis_of(CHAIN, world.ledgers[0].territory().clone(), &accounts);
    assert_eq!(refused.unwrap_err(), GenesisError::Elsewhere(foreign, ShardId(1)));
    assert_eq!(Territory::new(world.layout, ShardId(2)), None);
}

/// What happens in a world of three shards.
#[derive(Clone, Debug)]
enum Step {
    Pay {
        from: usize,
        payer: usize,
        to: usize,
        receiver: usize,
        amount: u64,
    },
    Certify(usize),
    /// A relayer takes up what it may bring, from some way back.
    Load {
        from: usize,
        to: usize,
        back: u64,
    },
    /// It arrives, or arrives again, in any order.
    Unload(usize),
    /// A validator restores the state from chunks and goes on from there.
    Restore(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (0..3_usize, 0..3_usize, 0..3_usize, 0..3_usize, 1..50_u64).prop_map(
            |(from, payer, to, receiver, amount)| Step::Pay { from, payer, to, receiver, amount }
        ),
        2 => (0..3_usize).prop_map(Step::Certify),
        3 => (0..3_usize, 0..3_usize, 0..3_u64)
            .prop_map(|(from, to, back)| Step::Load { from, to, back }),
        4 => (0..1_000_usize).prop_map(Step::Unload),
        1 => (0..3_usize).prop_map(Step::Restore),
    ];
    prop::collection::vec(step, 1..120)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Whatever relayers do, every receipt is applied once, in order, and in the end all balances
    /// are what they would be on one shard.
    #[test]
    fn receipts_arrive_once_and_in_order(steps in steps()) {
        let mut world = World::new(3);
        let mut carried: Vec<(usize, Delivery)> = Vec::new();
        let mut expected = [[START; 3]; 3];
        let mut applied: BTreeMap<(u32, usize), u64> = BTreeMap::new();
        for step in steps {
            match step {
                Step::Pay { from, payer, to, receiver, amount } => {
                    let address = world.address(to, receiver);
                    let outcome = world.pay(from, payer, address, amount);
                    let sent = if from == to { Outcome::Applied } else { Outcome::Sent(ShardId(to as u32)) };
                    prop_assert_eq!(outcome, sent);
                    expected[from][payer] -= amount + 1;
                    expected[to][receiver] += amount;
                }
                Step::Certify(shard) => world.certify(shard),
                Step::Load { from, to, back } if from != to => {
                    let at = world.ledgers[to].received_on(lane(to, from));
                    let number = at.batches.saturating_sub(back);
                    let start = world.ledgers[from].lane_head(lane(from, to), number);
                    let loaded = world.load_from(from, to, &start.unwrap_or(at));
                    carried.extend(loaded.map(|delivery| (to, delivery)));
                }
                Step::Load { .. } => {}
                Step::Unload(which) if !carried.is_empty() => {
                    let (to, delivery) = carried[which % carried.len()].clone();
                    for received in world.unload(to, &delivery) {
                        prop_assert_eq!(received.reception, Reception::Credited);
                        *applied.entry((received.source.0, to)).or_default() += 1;
                    }
                    let lane = world.ledgers[to].received_on(delivery.lane());
                    let counted = applied.get(&(delivery.source().0, to)).copied().unwrap_or(0);
                    prop_assert_eq!(lane.receipts, counted, "once");
                }
                Step::Unload(_) => {}
                Step::Restore(shard) => {
                    let ledger = &world.ledgers[shard];
                    let territory = ledger.territory().clone();
                    let mut restore = Restore::new(CHAIN, territory, ledger.state_root());
                    for chunk in ledger.chunks() {
                        restore.accept(&chunk).unwrap();
                    }
                    world.ledgers[shard] = restore.finish().unwrap();
                }
            }
            world.check();
        }
        world.settle();
        for (shard, balances) in expected.iter().enumerate() {
            for (number, balance) in balances.iter().enumerate() {
                prop_assert_eq!(world.balance(shard, number), *balance);
            }
        }
        for ledger in &world.ledgers {
            for end in ledger.outbox().ends() {
                prop_assert_eq!(ledger.acknowledged_on(end.lane()), end.sent, "all is acknowledged");
            }
        }
    }
}

/// Whatever is on a lane is proven against the outbox of the state, and no more once the peer has
/// acknowledged it.
#[test]
fn receipts_are_proven_until_they_are_acknowledged() {
    let mut world = World::new(2);
    let to = world.address(1, 0);
    for amount in [5, 6, 7] {
        world.pay(0, 0, to, amount);
    }
    world.certify(0);
    let ids: Vec<_> =
        world.load(0, 1).unwrap().batches.iter().map(|it| it[0].transaction).collect();
    let checkpoint = Checkpoint {
        outbox_root: qcn_types::outbox_root(world.outboxes[0].ends()),
        ..Checkpoint::default()
    };
    let committee = keys_of(ShardId(0));
    for (number, id) in (0..).zip(&ids) {
        let proof = world.ledgers[0].prove_receipt(lane(0, 1), *id).unwrap();
        assert_eq!(proof.verify(&checkpoint, &committee), Ok(()));
        assert_eq!((proof.number(), proof.receipt.amount.0), (number, 5 + number));
        assert_eq!(proof.after.len(), 2 - number as usize);
        assert_eq!(world.ledgers[0].prove_receipt(lane(1, 0), *id), None);
    }
    world.settle();
    assert!(ids.iter().all(|id| world.ledgers[0].prove_receipt(lane(0, 1), *id).is_none()));
}

/// One validator, whose signature nobody asks for here.
fn keys_of(shard: ShardId) -> qcn_types::CommitteeKeys {
    let member = qcn_types::Member {
        name: "v0".to_owned(),
        key: crate::testing::signing_key(qcn_crypto::Scheme::Falcon512, 1).public_key().clone(),
        weight: qcn_types::Weight(1),
    };
    let committee = qcn_types::Committee::new(shard, qcn_types::Epoch(0), vec![member]).unwrap();
    qcn_types::CommitteeKeys::decode(CHAIN, Arc::new(committee)).unwrap()
}
