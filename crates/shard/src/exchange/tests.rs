use std::sync::Arc;

use qcn_crypto::{ChainId, PublicKey, Scheme, Signature};
use qcn_ledger::{GenesisAccount, MIN_FEE, Territory};
use qcn_types::{
    Action, Address, Amount, Bounded, Layout, MAX_LANE_BATCHES, Payload, ShardId, Transaction,
    TransactionBody,
};

use super::*;

const HERE: ShardId = ShardId(0);
const THERE: ShardId = ShardId(1);
/// The lane as the source names it, and as the destination does.
const OUT: LaneId = LaneId { own: HERE, peer: THERE };
const BACK: LaneId = OUT.reversed();

/// A source and a destination, and the source's exchange.
struct Lanes {
    source: Ledger,
    destination: Ledger,
    outgoing: Exchange,
    height: u64,
    key: PublicKey,
    receiver: Address,
}

fn key(number: u8) -> PublicKey {
    let bytes = vec![number; Scheme::Falcon512.public_key_bytes()];
    PublicKey::new(Scheme::Falcon512, &bytes).unwrap()
}

fn certificate(checkpoint: Checkpoint) -> Option<Certificate> {
    Some(Certificate { checkpoint, attestations: Bounded::default() })
}

/// A lane that is expected to be applied so far, and of which nothing is known to be acknowledged.
fn at(applied: LaneHead) -> Expected {
    Expected { applied, ..Expected::default() }
}

impl Lanes {
    fn new() -> Self {
        let layout = Arc::new(Layout::even(2).unwrap());
        let in_shard =
            |shard| (0..).map(key).find(|key| layout.shard_of(&Address::of(key)) == shard).unwrap();
        let (key, receiver) = (in_shard(HERE), Address::of(&in_shard(THERE)));
        let open = |shard, address| {
            let territory = Territory::new(Arc::clone(&layout), shard).unwrap();
            let accounts = [GenesisAccount { address, balance: Amount(1_000_000) }];
            Ledger::genesis_of(ChainId::default(), territory, &accounts).unwrap()
        };
        Self {
            source: open(HERE, Address::of(&key)),
            destination: open(THERE, receiver),
            outgoing: Exchange::default(),
            height: 0,
            key,
            receiver,
        }
    }

    /// The source executes so many transfers to the destination and certifies them.
    fn send(&mut self, count: u64) {
        let sender = Address::of(&self.key);
        let nonce = self.source.account(&sender).unwrap().nonce;
        let transfer = |nonce| Transaction {
            body: TransactionBody {
                sender,
                nonce,
                fee: MIN_FEE,
                action: Action::Transfer { to: self.receiver, amount: Amount(1) },
            },
            key: self.key.clone(),
            signature: Signature::new(vec![]).unwrap(),
        };
        let transfers: Vec<Transaction> = (nonce..nonce + count).map(transfer).collect();
        let execution = self.source.execute(&transfers);
        self.height += 1;
        let checkpoint = Checkpoint {
            shard: HERE,
            height: Height(self.height),
            outbox_root: execution.outbox_root,
            ..Checkpoint::default()
        };
        self.outgoing.executed(checkpoint, &self.source);
        assert!(self.outgoing.certified(Height(self.height), certificate));
    }

    /// What a relayer brings to who expects this.
    fn carry(&mut self, expected: Expected) -> Option<Delivery> {
        let delivery = self.outgoing.delivery(&self.source, OUT, &expected, certificate)?;
        assert_eq!(delivery.check_lane(|number| number == THERE), Ok(()));
        Some(delivery)
    }

    fn execute(&mut self, deliveries: Vec<Delivery>) -> usize {
        let payload = Payload { deliveries: Bounded::truncated(deliveries), ..Payload::default() };
        self.destination.execute_payloads([&payload]).received.len()
    }
}

#[test]
fn what_is_certified_is_proposed_once() {
    let mut lanes = Lanes::new();
    let mut incoming = Exchange::default();
    assert_eq!(lanes.carry(Default::default()), None);
    lanes.send(3);
    let delivery = lanes.carry(Default::default()).unwrap();
    incoming.offer(delivery.clone(), &lanes.destination, Round(2));
    assert!(incoming.is_ready(&lanes.destination, Round(5)));
    assert_eq!(incoming.take(Round(5), &lanes.destination), std::slice::from_ref(&delivery));
    assert!(!incoming.is_ready(&lanes.destination, Round(6)));
    assert_eq!(incoming.take(Round(6), &lanes.destination), []);
    // What is on its way need not be carried; what comes after it is carried from there.
    let expected = incoming.expected(BACK, &lanes.destination, Round(6));
    assert_eq!(expected.applied, delivery.end.sent);
    assert_eq!(lanes.carry(expected), None);
    lanes.send(2);
    let next = lanes.carry(expected).unwrap();
    assert_eq!((next.before, next.receipts()), (delivery.end.sent, 2));
    incoming.offer(next.clone(), &lanes.destination, Round(6));
    assert_eq!(incoming.take(Round(7), &lanes.destination), std::slice::from_ref(&next));
    assert_eq!(lanes.execute(vec![delivery, next]), 5);
}

/// A block may never be executed: it is proposed again after a while.
#[test]
fn what_is_not_executed_is_proposed_again() {
    let mut lanes = Lanes::new();
    let mut incoming = Exchange::default();
    lanes.send(1);
    let delivery = lanes.carry(Default::default()).unwrap();
    incoming.offer(delivery.clone(), &lanes.destination, Round(2));
    incoming.seen(std::slice::from_ref(&delivery), &lanes.destination, Round(3));
    assert_eq!(incoming.take(Round(4), &lanes.destination), [], "another's block carries it");
    let late = Round(3 + PATIENCE_ROUNDS);
    assert_eq!(incoming.take(late.previous(), &lanes.destination), []);
    assert_eq!(incoming.take(late, &lanes.destination), std::slice::from_ref(&delivery));
    assert_eq!(lanes.execute(vec![delivery.clone()]), 1);
    incoming.executed(Checkpoint::default(), &lanes.destination);
    incoming.offer(delivery, &lanes.destination, Round(900));
    assert!(!incoming.is_ready(&lanes.destination, Round(900)), "it is done");
}

/// A block that leaves out a batch is executed to no effect, so it must not count as progress.
#[test]
fn a_gap_promises_nothing() {
    let mut lanes = Lanes::new();
    let mut incoming = Exchange::default();
    lanes.send(1);
    let first = lanes.carry(Default::default()).unwrap();
    lanes.send(1);
    let second = lanes.carry(at(first.end.sent)).unwrap();
    for round in 3..60 {
        incoming.seen(std::slice::from_ref(&second), &lanes.destination, Round(round));
        let expected = incoming.expected(BACK, &lanes.destination, Round(round));
        assert_eq!(expected.applied, LaneHead::default());
    }
    incoming.offer(second, &lanes.destination, Round(60));
    assert_eq!(incoming.take(Round(60), &lanes.destination), [], "it would be a gap here, too");
    let whole = lanes.carry(Default::default()).unwrap();
    incoming.offer(whole, &lanes.destination, Round(61));
    assert_eq!(incoming.take(Round(61), &lanes.destination).len(), 1);
}

/// An acknowledgement travels alone once it is worth a way, and with receipts otherwise.
#[test]
fn acknowledgements_come_back() {
    let mut lanes = Lanes::new();
    let mut back = Exchange::default();
    let nothing = Expected::default();
    for (count, worth) in [(ACKNOWLEDGED_AT_ONCE - 1, false), (1, true)] {
        lanes.send(count);
        let applied = lanes.destination.received_on(BACK);
        let delivery = lanes.carry(at(applied)).unwrap();
        lanes.execute(vec![delivery]);
        let outbox_root = lanes.destination.execute([]).outbox_root;
        let height = Height(lanes.height);
        let checkpoint = Checkpoint { shard: THERE, height, outbox_root, ..Checkpoint::default() };
        back.executed(checkpoint, &lanes.destination);
        back.certified(height, certificate);
        let brought = back.delivery(&lanes.destination, BACK, &nothing, certificate);
        assert_eq!(brought.is_some(), worth);
        if let Some(delivery) = brought {
            let mut incoming = Exchange::default();
            incoming.offer(delivery.clone(), &lanes.source, Round(1));
            assert_eq!(incoming.take(Round(1), &lanes.source).len(), 1);
            let deliveries = Bounded::truncated(vec![delivery]);
            lanes.source.execute_payloads([&Payload { deliveries, ..Payload::default() }]);
            let acknowledged = lanes.source.acknowledged_on(OUT).receipts;
            assert_eq!(acknowledged, ACKNOWLEDGED_AT_ONCE);
        }
    }
}

/// One receipt a checkpoint, and nothing the other way: the acknowledgement comes while the lane
/// has room for many more batches.
#[test]
fn a_trickle_one_way_does_not_fill_the_lane() {
    let mut lanes = Lanes::new();
    let mut back = Exchange::default();
    for number in 1..=3 * MAX_LANE_BATCHES as u64 {
        lanes.send(1);
        let applied = lanes.destination.received_on(BACK);
        let delivery = lanes.carry(at(applied)).unwrap();
        assert_eq!(lanes.execute(vec![delivery]), 1);
        let outbox_root = lanes.destination.execute([]).outbox_root;
        let height = Height(number);
        let checkpoint = Checkpoint { shard: THERE, height, outbox_root, ..Checkpoint::default() };
        back.executed(checkpoint, &lanes.destination);
        back.certified(height, certificate);
        let acknowledged = lanes.source.acknowledged_on(OUT);
        let known = Expected { acknowledged, ..Expected::default() };
        if let Some(delivery) = back.delivery(&lanes.destination, BACK, &known, certificate) {
            let deliveries = Bounded::truncated(vec![delivery]);
            lanes.source.execute_payloads([&Payload { deliveries, ..Payload::default() }]);
        }
        assert!(!lanes.source.lane_is_full(THERE), "after {number} batches");
    }
}

/// What rests on a block that turns out to leave a gap is given up in time, however many blocks
/// are put on top of it.
#[test]
fn gaps_on_top_of_a_gap_do_not_last() {
    let mut lanes = Lanes::new();
    let mut incoming = Exchange::default();
    lanes.send(1);
    let first = lanes.carry(Default::default()).unwrap();
    let mut last = first.clone();
    incoming.seen(std::slice::from_ref(&last), &lanes.destination, Round(3));
    for round in 4..3 + PATIENCE_ROUNDS {
        incoming.seen(std::slice::from_ref(&first), &lanes.destination, Round(round));
        lanes.send(1);
        last = lanes.carry(at(last.end.sent)).unwrap();
        incoming.seen(std::slice::from_ref(&last), &lanes.destination, Round(round));
        let expected = incoming.expected(BACK, &lanes.destination, Round(round)).applied;
        assert_eq!(expected, last.end.sent);
    }
    // Nothing of it was executed, and only in round 4 did a block carry all of it again.
    let late = Round(4 + PATIENCE_ROUNDS);
    assert_eq!(incoming.expected(BACK, &lanes.destination, late).applied, LaneHead::default());
}

/// A captured shard may claim to have applied what was never sent.
#[test]
fn an_impossible_acknowledgement_is_none() {
    let mut lanes = Lanes::new();
    let mut incoming = Exchange::default();
    lanes.send(1);
    let mut liar = lanes.carry(Default::default()).unwrap();
    liar.end.received = LaneHead { receipts: u64::MAX, batches: u64::MAX, ..LaneHead::default() };
    incoming.seen(std::slice::from_ref(&liar), &lanes.destination, Round(3));
    let expected = incoming.expected(BACK, &lanes.destination, Round(3));
    assert_eq!(expected, Expected { applied: liar.end.sent, ..Expected::default() });
    let lied_to = Expected { acknowledged: liar.end.received, ..Expected::default() };
    assert_eq!(lanes.carry(lied_to).unwrap().receipts(), 1);
}
