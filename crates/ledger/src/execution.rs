//! One execution: the transactions of a commit, in order, over the state before it.

use std::collections::BTreeMap;

use qcn_crypto::{ChainId, Digest, MerkleTree};
use qcn_light::{Account, Failure, Outcome, Refusal, TransactionProof, transaction_leaf};
use qcn_types::{
    Action, Address, Amount, Delivery, EpochPlan, LaneHead, LaneId, LaneLink, Receipt, ReceiptKind,
    ShardId, Transaction, TransactionId, decode, encode,
};

use crate::bank::{self, Supply};
use crate::lanes::{self, Lane, Lanes, Territory};
use crate::tree::{StateTree, Update};

/// What executing a commit gave, for its checkpoint.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Execution {
    /// Merkle root over the transactions and their outcomes, in order.
    pub transactions_root: Digest,
    /// Root of all lanes to other shards; zero while there are none.
    pub outbox_root: Digest,
    /// What became of each transaction, in order.
    pub outcomes: Vec<(TransactionId, Outcome)>,
    /// What became of each receipt from another shard, in order.
    pub received: Vec<Received>,
    /// The plan of the next epoch, if this was the last execution of this one.
    pub closes: Option<Box<EpochPlan>>,
    /// How many records of the state changed.
    pub state_updates: u32,
    /// How many hashes were computed: what execution costs a CPU besides signatures.
    pub hashes: u32,
}

/// A receipt that was applied.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Received {
    /// The number of its lane's source: the shard that sent it, or one that this acts for.
    pub source: ShardId,
    /// What it says.
    pub receipt: Receipt,
    /// What became of it.
    pub reception: Reception,
}

/// What became of a receipt.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reception {
    /// The amount is on the account.
    Credited,
    /// It cannot be credited here: the amount is on its way back to the sender's shard.
    Bounced(ShardId),
    /// The account is in another shard, as far as is known here: it goes on to there.
    Forwarded(ShardId),
    /// It came back, and its sender's account cannot hold it: only with money that a captured
    /// shard made up can there be so much.
    Burned,
}

impl Execution {
    /// The proof for the transaction at `position`, or `None` beyond the last.
    #[must_use]
    pub fn prove(&self, position: usize) -> Option<TransactionProof> {
        let (transaction, outcome) = *self.outcomes.get(position)?;
        let inclusion = outcome_tree(&self.outcomes).prove(position as u64)?;
        Some(TransactionProof { transaction, outcome, inclusion })
    }
}

pub(crate) fn outcome_tree(outcomes: &[(TransactionId, Outcome)]) -> MerkleTree {
    let leaves: Vec<Vec<u8>> =
        outcomes.iter().map(|(id, outcome)| transaction_leaf(*id, *outcome)).collect();
    MerkleTree::from_bytes(&leaves)
}

/// What an execution has touched, over a state that it leaves alone.
pub(crate) struct Overlay<'a> {
    chain: ChainId,
    territory: &'a Territory,
    tree: &'a StateTree,
    /// Sorted as the batch of updates must be.
    changed: BTreeMap<Address, Account>,
    supply: Supply,
    lanes: Lanes,
    /// What is to go to each shard, in order, on a lane of the own number.
    outgoing: BTreeMap<ShardId, Vec<Receipt>>,
    received: Vec<Received>,
    /// Changes of records that are no accounts.
    lane_updates: Vec<Update>,
    hashes: u32,
}

/// What an execution leads to.
pub(crate) struct Done {
    /// Sorted by key.
    pub(crate) updates: Vec<Update>,
    pub(crate) supply: Supply,
    pub(crate) lanes: Lanes,
    pub(crate) received: Vec<Received>,
    pub(crate) hashes: u32,
}

impl<'a> Overlay<'a> {
    pub(crate) fn new(
        chain: ChainId,
        territory: &'a Territory,
        tree: &'a StateTree,
        supply: Supply,
        lanes: &Lanes,
    ) -> Self {
        Self {
            chain,
            territory,
            tree,
            changed: BTreeMap::new(),
            supply,
            lanes: lanes.clone(),
            outgoing: BTreeMap::new(),
            received: Vec::new(),
            lane_updates: Vec::new(),
            hashes: 0,
        }
    }

    /// Executes one transaction; what it may not do, it does not do at all.
    pub(crate) fn run(&mut self, transaction: &Transaction) -> Outcome {
        let address = transaction.body.sender;
        // The digest of the key that signed.
        self.hashes += 1;
        let checked = bank::check(transaction, self.account(address))
            .and_then(|sender| self.check_lane(&transaction.body.action).map(|()| sender));
        let mut sender = match checked {
            Ok(sender) => sender,
            Err(refusal) => return Outcome::Skipped(refusal),
        };
        bank::charge(transaction, &mut sender, &mut self.supply);
        self.changed.insert(address, sender);
        self.act(transaction, sender).unwrap_or_else(Outcome::Failed)
    }

    /// Whether there is room on the lane that an action needs.
    fn check_lane(&self, action: &Action) -> Result<(), Refusal> {
        let Action::Transfer { to, .. } = action else {
            return Ok(());
        };
        let Some(destination) = self.territory.elsewhere(to) else {
            return Ok(());
        };
        let lane = self.lane(self.territory.lane_to(destination));
        if lane.is_full(self.unbatched(destination)) {
            return Err(Refusal::LaneFull { destination });
        }
        Ok(())
    }

    fn lane(&self, id: LaneId) -> Lane {
        self.lanes.get(&id).copied().unwrap_or_else(|| Lane::new(id))
    }

    fn unbatched(&self, peer: ShardId) -> usize {
        self.outgoing.get(&peer).map_or(0, Vec::len)
    }

    fn act(&mut self, transaction: &Transaction, mut sender: Account) -> Result<Outcome, Failure> {
        let body = &transaction.body;
        let address = body.sender;
        match &body.action {
            Action::Transfer { to, amount } => {
                bank::check_transfer(&sender, *amount)?;
                bank::debit(&mut sender, *amount);
                self.changed.insert(address, sender);
                if let Some(destination) = self.territory.elsewhere(to) {
                    self.supply.send(*amount);
                    let receipt = Receipt {
                        kind: ReceiptKind::Transfer,
                        transaction: body.id(),
                        sender: address,
                        receiver: *to,
                        amount: *amount,
                    };
                    self.outgoing.entry(destination).or_default().push(receipt);
                    return Ok(Outcome::Sent(destination));
                }
                // Read after the debit, so that paying oneself changes nothing.
                if !self.credit(*to, *amount) {
                    bank::restore(&mut sender, *amount);
                    self.changed.insert(address, sender);
                    return Err(Failure::ReceiverFull);
                }
            }
            Action::RotateKey { key, possession } => {
                self.hashes += 2;
                sender.key = bank::new_key(self.chain, key, possession)?;
                self.changed.insert(address, sender);
            }
        }
        Ok(Outcome::Applied)
    }

    /// Puts an amount on an account; says whether it can hold it.
    fn credit(&mut self, to: Address, amount: Amount) -> bool {
        let receiver = bank::credit(to, self.account(to), amount);
        self.changed.extend(receiver.map(|receiver| (to, receiver)));
        receiver.is_some()
    }

    /// Applies what a verified delivery carries and was not applied before, as far as it goes on
    /// from there.
    pub(crate) fn deliver(&mut self, delivery: &Delivery) {
        let (id, source) = (delivery.lane(), delivery.source());
        if !self.territory.has_lane(id) {
            return;
        }
        let mut lane = self.lane(id);
        let acknowledged = &delivery.end.received;
        lanes::acknowledge(self.tree, &mut lane, acknowledged, &mut self.lane_updates);
        self.lanes.insert(id, lane);
        let mut head = delivery.before;
        for batch in &delivery.batches {
            let link = LaneLink::of(batch);
            self.hashes += 2 * link.receipts + 2;
            // The batch's chain was checked when the block that carries it was.
            let Some(next) = head.after(&link) else {
                return;
            };
            let applied = lane.end.received;
            if head.batches >= applied.batches {
                // Another head at the same place is a second history: its source has forked.
                if head != applied || !self.has_room_for(batch) {
                    return;
                }
                for receipt in batch {
                    let reception = self.receive(receipt);
                    self.received.push(Received { source, receipt: *receipt, reception });
                }
                // Receiving may have put something on other lanes, not on this record.
                lane.end.received = next;
                self.lanes.insert(id, lane);
            }
            head = next;
        }
    }

    /// Ends a lane whose other end has come into this shard as well, and had applied it up to
    /// `applied`: what is in flight on it arrives now.
    pub(crate) fn settle(&mut self, lane: &Lane, applied: &LaneHead) {
        let mut arrived = applied.moved;
        // If the other end was never on this lane, one of the two shards was captured: nobody can
        // say what is in flight, so nothing is.
        let in_flight = lanes::in_flight(self.tree, lane, applied).unwrap_or_default();
        for receipt in in_flight {
            // Only what a captured shard sent needs a way on, and it may be too much.
            let reception = if self.has_room_for(std::slice::from_ref(&receipt)) {
                self.receive(&receipt)
            } else {
                self.supply.burn(receipt.amount);
                Reception::Burned
            };
            self.received.push(Received { source: lane.end.own, receipt, reception });
            arrived += u128::from(receipt.amount.0);
        }
        self.supply.end_lane(lane.end.sent.moved, arrived);
        self.lanes.remove(&lane.end.lane());
        self.lane_updates.extend(lane.record_keys().map(|key| (key, None)));
    }

    /// Whether everything in a batch that cannot be credited here can go on.
    fn has_room_for(&self, batch: &[Receipt]) -> bool {
        let mut onward: BTreeMap<ShardId, usize> = BTreeMap::new();
        for peer in batch.iter().filter_map(|receipt| self.next_stop(receipt)) {
            *onward.entry(peer).or_default() += 1;
        }
        onward.iter().all(|(peer, more)| {
            let lane = self.lane(self.territory.lane_to(*peer));
            lane.takes_back(self.unbatched(*peer) + more)
        })
    }

    /// Where a receipt goes on to, or back, if it is not credited here.
    fn next_stop(&self, receipt: &Receipt) -> Option<ShardId> {
        let to = receipt.beneficiary();
        if let Some(home) = self.territory.elsewhere(&to) {
            return Some(home);
        }
        let is_held = bank::credit(to, self.account(to), receipt.amount).is_some();
        if is_held { None } else { self.territory.elsewhere(&receipt.sender) }
    }

    fn receive(&mut self, receipt: &Receipt) -> Reception {
        let to = receipt.beneficiary();
        match (self.territory.elsewhere(&to), receipt.kind) {
            (None, kind) => {
                if self.credit(to, receipt.amount) {
                    self.supply.receive(receipt.amount);
                    return Reception::Credited;
                }
                if kind == ReceiptKind::Transfer {
                    return self.bounce(receipt);
                }
                self.supply.burn(receipt.amount);
                Reception::Burned
            }
            // Nothing circles. A number keeps the lowest address that it ever had, and an address
            // belongs to the shard whose lowest is the highest not above it. So each stop that
            // still has its number is above the one before; and where an heir takes the receipt
            // below, it has changed epoch where who sent it had not. There are shards and epochs
            // in finite number, and once the last laggard has changed, one stop is left. Each
            // costs a receipt in a batch, and no more.
            (Some(home), _) => {
                self.supply.pass_on(receipt.amount);
                self.outgoing.entry(home).or_default().push(*receipt);
                Reception::Forwarded(home)
            }
        }
    }

    /// Sends a transfer back to where its sender is, be that here.
    fn bounce(&mut self, receipt: &Receipt) -> Reception {
        let back = Receipt { kind: ReceiptKind::Bounce, ..*receipt };
        match self.receive(&back) {
            Reception::Credited => Reception::Bounced(self.territory.shard()),
            Reception::Forwarded(home) => Reception::Bounced(home),
            other => other,
        }
    }

    fn account(&self, address: Address) -> Option<Account> {
        self.changed.get(&address).copied().or_else(|| read_account(self.tree, address))
    }

    /// Puts what is outgoing on its lanes.
    pub(crate) fn finish(mut self, before: &Lanes) -> Done {
        let mut updates = self.lane_updates;
        for (peer, receipts) in &self.outgoing {
            let id = self.territory.lane_to(*peer);
            let lane = self.lanes.entry(id).or_insert_with(|| Lane::new(id));
            self.hashes += 3 * receipts.len() as u32 + 2;
            lanes::send(lane, receipts, &mut updates);
        }
        for (id, lane) in self.lanes.iter().filter(|(id, lane)| before.get(id) != Some(lane)) {
            updates.push((Lane::state_key(*id), Some(encode(lane).into())));
        }
        let accounts = self.changed.into_iter();
        updates.extend(accounts.map(|(address, account)| {
            (Account::state_key(address), Some(encode(&account).into()))
        }));
        if !updates.is_empty() {
            updates.push((Supply::state_key(), Some(encode(&self.supply).into())));
        }
        updates.sort_unstable_by_key(|(key, _)| *key);
        let Self { supply, lanes, received, hashes, .. } = self;
        Done { updates, supply, lanes, received, hashes }
    }
}

/// An account as the state has it.
///
/// # Panics
/// If the record is not an account's: only this crate writes the state.
pub(crate) fn read_account(tree: &StateTree, address: Address) -> Option<Account> {
    let value = tree.get(&Account::state_key(address))?;
    Some(decode(value).expect("the ledger wrote the record, or checked it when it was restored"))
}

#[cfg(test)]
mod tests;
