//! A network of ledgers whose layout changes, for tests: shards change epoch at different times,
//! relayers carry what is certified in any order, and every transfer is followed to its end.

use std::collections::{BTreeMap, BTreeSet};

use qcn_crypto::{Digest, PublicKey};
use qcn_types::{
    Action, Address, Amount, Bounded, Certificate, Checkpoint, Delivery, Epoch, EpochPlan,
    LaneHead, LaneId, Layout, Payload, ReceiptKind, Resharding, ShardId, TransactionId,
};

use crate::testing::{CHAIN, some_key, transaction};
use crate::{
    Cargo, GenesisAccount, Ledger, Outbox, Outcome, Received, Reception, Restore, Territory,
};

/// What accounts have, but for the rich one: little, so that many transfers fail.
pub(super) const START: u64 = 60;
/// Every region of addresses has so many accounts.
const ACCOUNTS_PER_REGION: usize = 2;
/// The regions have so many bits, and prefixes no more.
const REGION_BITS: u8 = 3;

/// Shards that open and close, and what is between them.
#[derive(Clone)]
pub(super) struct World {
    pub(super) plans: Vec<EpochPlan>,
    /// With the position of their plan.
    pub(super) live: BTreeMap<ShardId, (usize, Ledger)>,
    pub(super) finals: BTreeMap<(usize, ShardId), Ledger>,
    opened: BTreeSet<(usize, ShardId)>,
    certified: BTreeMap<ShardId, Outbox>,
    keys: Vec<PublicKey>,
    new: u32,
    /// What is to be on each account, as far as transfers have come to their end.
    expected: BTreeMap<Address, i128>,
    sent: BTreeMap<TransactionId, u32>,
    ended: BTreeSet<TransactionId>,
    total: i128,
    /// How many transfers were returned, and forwarded.
    pub(super) returned: usize,
    pub(super) forwarded: usize,
}

fn region_of(address: &Address) -> u8 {
    address.0.0[0] >> (8 - REGION_BITS)
}

pub(super) fn plan(epoch: u64, layout: Layout, heirs: Vec<(ShardId, ShardId)>) -> EpochPlan {
    EpochPlan {
        epoch: Epoch(epoch),
        seed: Digest::ZERO,
        layout,
        reshardings: Bounded::default(),
        heirs: Bounded::truncated(heirs),
        validators: Bounded::default(),
        committees: Bounded::default(),
    }
}

/// The plan after one, with these changes.
pub(super) fn after(before: &EpochPlan, reshardings: &[Resharding]) -> EpochPlan {
    let (layout, heirs) = before.reshard(reshardings).unwrap();
    let reshardings = Bounded::truncated(reshardings.to_vec());
    EpochPlan { reshardings, ..plan(before.epoch.0 + 1, layout, heirs) }
}

/// The ledger that a validator makes out of chunks.
pub(super) fn restored(ledger: &Ledger, territory: Territory) -> Ledger {
    let mut restore = Restore::new(CHAIN, territory, ledger.state_root());
    for chunk in ledger.chunks() {
        restore.accept(&chunk).unwrap();
    }
    restore.finish().unwrap()
}

pub(super) fn delivery(
    ledger: &Ledger,
    outbox: &Outbox,
    lane: LaneId,
    applied: &LaneHead,
) -> Option<Delivery> {
    let Cargo { end, inclusion, before, batches, links } = ledger.cargo(outbox, lane, applied)?;
    let shard = ledger.territory().shard();
    let outbox_root = qcn_types::outbox_root(outbox.ends());
    let checkpoint = Checkpoint { shard, outbox_root, ..Checkpoint::default() };
    let certificate = Certificate { checkpoint, attestations: Bounded::default() };
    Some(Delivery { certificate, end, inclusion, before, batches, links })
}

impl World {
    /// Two shards, and two accounts in every eighth of the addresses. One account is so rich that
    /// it cannot take much more.
    pub(super) fn new() -> Self {
        let mut keys: Vec<PublicKey> = Vec::new();
        for region in 0..1 << REGION_BITS {
            let own = (0..=u8::MAX).map(some_key);
            let own = own.filter(|key| region_of(&Address::of(key)) == region);
            keys.extend(own.take(ACCOUNTS_PER_REGION));
        }
        assert_eq!(keys.len(), ACCOUNTS_PER_REGION << REGION_BITS);
        let first = plan(0, Layout::even(2).unwrap(), Vec::new());
        let rich = Address::of(keys.last().unwrap());
        let addresses: Vec<Address> = keys.iter().map(Address::of).collect();
        // The three before the rich one have nothing: a genesis takes no more than 64 bits.
        let poor = &addresses[addresses.len() - 4..];
        let others = START * (keys.len() as u64 / 2 - poor.len() as u64);
        let balance = |address| match address {
            _ if address == rich => u64::MAX - others,
            _ if poor.contains(&address) => 0,
            _ => START,
        };
        let open = |shard| {
            let territory = Territory::of(&first, shard).unwrap();
            let own = addresses.iter().filter(|it| first.layout.shard_of(it) == shard);
            let own = own.filter(|it| balance(**it) > 0);
            let accounts: Vec<GenesisAccount> = own
                .map(|it| GenesisAccount { address: *it, balance: Amount(balance(*it)) })
                .collect();
            (shard, (0, Ledger::genesis_of(CHAIN, territory, &accounts).unwrap()))
        };
        let live: BTreeMap<_, _> = [0, 1].map(ShardId).into_iter().map(open).collect();
        let expected: BTreeMap<Address, i128> =
            addresses.iter().map(|it| (*it, i128::from(balance(*it)))).collect();
        Self {
            opened: live.keys().map(|shard| (0, *shard)).collect(),
            certified: live.keys().map(|shard| (*shard, Outbox::default())).collect(),
            plans: vec![first],
            total: expected.values().sum(),
            finals: BTreeMap::new(),
            live,
            keys,
            new: 2,
            expected,
            sent: BTreeMap::new(),
            ended: BTreeSet::new(),
            returned: 0,
            forwarded: 0,
        }
    }

    pub(super) fn ledger(&self, shard: u32) -> &Ledger {
        &self.live[&ShardId(shard)].1
    }

    pub(super) fn address(&self, number: usize) -> Address {
        Address::of(&self.keys[number % self.keys.len()])
    }

    /// A transfer, if the payer's shard is open.
    pub(super) fn pay(&mut self, from: usize, to: usize, amount: u64) -> Option<Outcome> {
        let (key, to) = (self.keys[from % self.keys.len()].clone(), self.address(to));
        let sender = Address::of(&key);
        let mut live = self.live.values_mut();
        let (_, ledger) = live.find(|(_, it)| it.territory().elsewhere(&sender).is_none())?;
        let nonce = ledger.account(&sender)?.nonce;
        let action = Action::Transfer { to, amount: Amount(amount) };
        let paid = transaction(&key, sender, nonce, 1, action);
        let outcome = ledger.execute([&paid]).outcomes[0].1;
        let (fee, amount) = (1, i128::from(amount));
        match outcome {
            Outcome::Applied => {
                *self.expected.get_mut(&sender).unwrap() -= fee + amount;
                *self.expected.get_mut(&to).unwrap() += amount;
            }
            Outcome::Sent(_) => {
                *self.expected.get_mut(&sender).unwrap() -= fee + amount;
                self.sent.insert(paid.body.id(), 0);
            }
            Outcome::Failed(_) => *self.expected.get_mut(&sender).unwrap() -= fee,
            Outcome::Skipped(_) => {}
        }
        Some(outcome)
    }

    /// Follows receipts to their end: each transfer comes to one.
    fn note(&mut self, received: &[Received], at: ShardId) {
        for Received { receipt, reception, .. } in received {
            let amount = i128::from(receipt.amount.0);
            let paid = match (reception, receipt.kind) {
                (Reception::Credited, _) => receipt.beneficiary(),
                (Reception::Bounced(home), ReceiptKind::Transfer) if *home == at => receipt.sender,
                (Reception::Burned, _) => panic!("nobody is captured"),
                (Reception::Bounced(_) | Reception::Forwarded(_), _) => {
                    self.forwarded += usize::from(matches!(reception, Reception::Forwarded(_)));
                    let stops = self.sent.get_mut(&receipt.transaction).unwrap();
                    *stops += 1;
                    assert!(*stops < 12, "it circles");
                    continue;
                }
            };
            assert!(self.ended.insert(receipt.transaction), "applied twice");
            assert!(self.sent.contains_key(&receipt.transaction), "from nowhere");
            if paid == receipt.sender {
                let rich = Address::of(self.keys.last().unwrap());
                assert_eq!(receipt.receiver, rich, "others have room, wherever they are");
                self.returned += 1;
            }
            *self.expected.get_mut(&paid).unwrap() += amount;
        }
    }

    pub(super) fn certify(&mut self, shard: ShardId) {
        self.certified.insert(shard, self.live[&shard].1.outbox());
    }

    /// The shard that takes what goes to a number, if it is open.
    pub(super) fn actor(&self, number: ShardId) -> Option<ShardId> {
        let mut acting =
            self.live.iter().filter(|(_, (_, ledger))| ledger.territory().acts_for(number));
        let found = acting.next().map(|(shard, _)| *shard);
        assert!(acting.next().is_none(), "two shards act for {number}");
        found
    }

    /// All that relayers may take from, open or closed.
    pub(super) fn sources(&self) -> Vec<(Ledger, Outbox)> {
        let live = self.live.iter().map(|(shard, (_, it))| (it, self.certified[shard].clone()));
        let closed = self.finals.values().map(|it| (it, it.outbox()));
        live.chain(closed).map(|(ledger, outbox)| (ledger.clone(), outbox)).collect()
    }

    /// What a relayer takes up on a lane, from some way back.
    pub(super) fn load(
        &self,
        source: &(Ledger, Outbox),
        lane: LaneId,
        back: u64,
    ) -> Option<Delivery> {
        let destination = self.actor(lane.peer)?;
        let applied = self.live[&destination].1.received_on(lane.reversed());
        let start = source.0.lane_head(lane, applied.batches.saturating_sub(back));
        delivery(&source.0, &source.1, lane, &start.unwrap_or(applied))
    }

    pub(super) fn unload(&mut self, delivery: &Delivery) {
        let Some(shard) = self.actor(delivery.end.peer) else { return };
        let (_, ledger) = self.live.get_mut(&shard).unwrap();
        // An heir may have both ends of an old lane by now.
        if delivery.check_lane(|number| ledger.territory().acts_for(number)).is_err() {
            assert!(ledger.territory().acts_for(delivery.source()));
            return;
        }
        let deliveries = Bounded::truncated(vec![delivery.clone()]);
        let payload = Payload { deliveries, ..Payload::default() };
        let received = ledger.execute_payloads([&payload]).received;
        self.note(&received, shard);
    }

    /// The next plan, with up to two changes that are possible.
    pub(super) fn announce(&mut self, which: usize, two: bool) {
        let last = self.plans.last().unwrap();
        let mut possible: Vec<Resharding> = Vec::new();
        for (prefix, shard) in last.layout.shards() {
            if prefix.length() < REGION_BITS {
                possible.push(Resharding::Split { shard: *shard, new: ShardId(self.new) });
            }
            for (_, closed) in last.layout.shards() {
                let merge = Resharding::Merge { into: *shard, closed: *closed };
                possible.extend(last.reshard(&[merge]).is_ok().then_some(merge));
            }
        }
        let mut chosen: Vec<Resharding> = Vec::new();
        if let Some(first) = possible.get(which % (possible.len() + 1)).copied() {
            chosen.push(first);
            let mut others = possible.into_iter();
            let second = others.find(|it| touched(it).is_disjoint(&touched(&first)));
            if let Some(Resharding::Split { shard, .. }) = second.filter(|_| two) {
                chosen.push(Resharding::Split { shard, new: ShardId(self.new + 1) });
            } else {
                chosen.extend(second.filter(|_| two));
            }
        }
        self.new += 2;
        let next = after(last, &chosen);
        self.plans.push(next);
    }

    /// Lets one shard close its epoch, or open the next one. Says whether there was any.
    pub(super) fn advance(&mut self, which: usize) -> bool {
        let closing = self.live.iter().filter(|(_, (epoch, _))| epoch + 1 < self.plans.len());
        let closing: Vec<ShardId> = closing.map(|(shard, _)| *shard).collect();
        let opening = self.opening();
        let count = closing.len() + opening.len();
        if count == 0 {
            return false;
        }
        match closing.get(which % count) {
            Some(shard) => self.close(*shard),
            None => {
                let (epoch, shard) = opening[which % count - closing.len()];
                self.open(epoch, shard);
            }
        }
        true
    }

    pub(super) fn close(&mut self, shard: ShardId) {
        let (epoch, ledger) = self.live.remove(&shard).unwrap();
        self.certified.remove(&shard);
        self.finals.insert((epoch, shard), ledger);
    }

    /// The shards that could open now.
    fn opening(&self) -> Vec<(usize, ShardId)> {
        let waits = |epoch: usize, shard: ShardId| {
            let origins = self.plans[epoch].origins(shard);
            !self.opened.contains(&(epoch, shard))
                && origins.iter().all(|it| self.finals.contains_key(&(epoch - 1, *it)))
        };
        let all = (1..self.plans.len()).flat_map(|epoch| {
            self.plans[epoch].layout.shards().iter().map(move |(_, shard)| (epoch, *shard))
        });
        all.filter(|(epoch, shard)| waits(*epoch, *shard)).collect()
    }

    fn origins(&self, epoch: usize, shard: ShardId) -> Vec<Ledger> {
        let origins = self.plans[epoch].origins(shard).into_iter();
        origins.map(|it| self.finals[&(epoch - 1, it)].clone()).collect()
    }

    /// Opens a shard as its members would, some with the state they had, some with a restored one.
    pub(super) fn open(&mut self, epoch: usize, shard: ShardId) {
        let plan = &self.plans[epoch];
        let origins = self.origins(epoch, shard);
        let anew = origins.iter().map(|it| restored(it, it.territory().clone())).collect();
        let (ledger, received) = Ledger::open_with_received(plan, shard, origins).unwrap();
        let same = Ledger::open(plan, shard, anew).unwrap();
        assert_eq!((same.state_root(), same.supply()), (ledger.state_root(), ledger.supply()));
        ledger.audit().unwrap();
        let again = restored(&ledger, Territory::of(plan, shard).unwrap());
        assert_eq!(again.outbox(), ledger.outbox());
        self.opened.insert((epoch, shard));
        self.certified.insert(shard, Outbox::default());
        self.live.insert(shard, (epoch, ledger));
        self.note(&received, shard);
    }

    /// Nothing appears or disappears, whoever has opened already.
    pub(super) fn check(&self) {
        let mut ledgers: Vec<Ledger> = self.live.values().map(|(_, it)| it.clone()).collect();
        for ((epoch, shard), last) in &self.finals {
            let Some(next) = self.plans.get(epoch + 1) else { continue };
            for successor in next.successors(*shard) {
                if self.opened.contains(&(epoch + 1, successor)) {
                    continue;
                }
                if next.origins(successor).len() > 1 {
                    ledgers.push(last.clone());
                } else {
                    ledgers.push(Ledger::open(next, successor, vec![last.clone()]).unwrap());
                }
            }
        }
        let somewhere = ledgers.iter().map(|ledger| {
            let it = ledger.audit().unwrap();
            assert_eq!(it.burned, 0);
            (it.balances + it.fees) as i128 + it.sent as i128 - it.received as i128
        });
        assert_eq!(somewhere.sum::<i128>(), self.total);
    }

    /// Everybody changes to the last epoch, and everything is brought where it goes.
    pub(super) fn settle(&mut self) {
        while self.advance(0) {}
        for _ in 0..40 {
            let roots = |world: &Self| -> Vec<Digest> {
                world.live.values().map(|(_, ledger)| ledger.state_root()).collect()
            };
            let before = roots(self);
            for shard in self.live.keys().copied().collect::<Vec<_>>() {
                self.certify(shard);
                let source = (self.live[&shard].1.clone(), self.certified[&shard].clone());
                for end in source.1.ends() {
                    while let Some(delivery) = self.load(&source, end.lane(), 0) {
                        self.unload(&delivery);
                        if delivery.batches.is_empty() {
                            break;
                        }
                    }
                }
            }
            if roots(self) == before {
                return;
            }
        }
        panic!("it never settles");
    }

    /// Every transfer has come to one end, and every lane too.
    pub(super) fn check_settled(&self) {
        self.check();
        for id in self.sent.keys() {
            assert!(self.ended.contains(id), "a transfer is still on its way");
        }
        for (address, expected) in &self.expected {
            let home = self.plans.last().unwrap().layout.shard_of(address);
            let held = self.live[&home].1.account(address).map_or(0, |it| it.balance.0);
            assert_eq!(i128::from(held), *expected);
        }
        for (_, ledger) in self.live.values() {
            for end in ledger.outbox().ends() {
                let other = &self.live[&self.actor(end.peer).unwrap()].1;
                assert_eq!(ledger.acknowledged_on(end.lane()), end.sent);
                assert_eq!(other.received_on(end.lane().reversed()), end.sent);
            }
        }
    }
}

/// The shards that a change has to do with.
fn touched(resharding: &Resharding) -> BTreeSet<ShardId> {
    match *resharding {
        Resharding::Split { shard, .. } => BTreeSet::from([shard]),
        Resharding::Merge { into, closed } => BTreeSet::from([into, closed]),
    }
}
