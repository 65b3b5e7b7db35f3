//! The ledger's public face: state, execution, admission, proofs, chunks.

use std::sync::Arc;

use qcn_crypto::{ChainId, Digest};
use qcn_light::state::RecordKind;
use qcn_light::{Account, AccountProof, ReceiptProof, Refusal};
use qcn_types::{
    Action, Address, Amount, Announcement, BEACON, Delivery, LaneHead, LaneId, Payload, ShardId,
    Transaction, TransactionId, decode, encode, outbox_root,
};

use crate::bank::{self, Supply};
use crate::beacon::{self as beacon_records, Beacon};
use crate::chunks::{self, StateChunk, StateRegion};
use crate::execution::{Execution, Overlay, outcome_tree, read_account};
use crate::lanes::{self, Cargo, Lane, Lanes, Outbox, Territory};
use crate::tree::{StateTree, Update};

/// What an address has at genesis.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct GenesisAccount {
    /// Whose.
    pub address: Address,
    /// How much, above zero.
    pub balance: Amount,
}

/// Why a ledger cannot begin like this.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum GenesisError {
    /// An address is named twice.
    #[error("the address {0} is named twice: add its balances up")]
    Duplicate(Address),
    /// An account without a balance.
    #[error("the account {0} has nothing: leave it out")]
    Empty(Address),
    /// The balances do not fit 64 bits.
    #[error("the balances add up to more than {limit}: scale all of them down", limit = u64::MAX)]
    SupplyOverflow,
    /// An address of another shard.
    #[error("the account {0} belongs to shard {1}")]
    Elsewhere(Address, ShardId),
}

/// Why a state is not one that executions can have led to.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum AuditError {
    /// The record of the supply is missing or malformed.
    #[error("the record of the supply is missing or malformed")]
    NoSupply,
    /// A record is not of the form that its kind has.
    #[error("a record of the state is malformed")]
    MalformedRecord,
    /// An account whose address belongs to another shard.
    #[error("the state has the account {0}, which belongs to shard {1}")]
    ForeignAccount(Address, ShardId),
    /// A lane that the shard cannot have.
    #[error("the state has a lane from {own} to {peer}, which the shard cannot have", own = .0.own, peer = .0.peer)]
    ForeignLane(LaneId),
    /// The accounts hold something else than the supply says.
    #[error("the accounts hold {counted}, the record says {recorded}")]
    WrongBalances {
        /// The sum over all accounts, as far as it fits.
        counted: u128,
        /// What the record says.
        recorded: u128,
    },
    /// The lanes have moved something else than the supply says.
    #[error("the lanes have moved something else than the supply says")]
    WrongLanes,
    /// The beacon's records contradict each other, or are in the state of another shard.
    #[error("the beacon's records contradict each other, or are in another shard's state")]
    WrongBeacon,
    /// The parts of the supply do not add up.
    #[error("the supply is not conserved: {0:?}")]
    NotConserved(Box<Supply>),
}

/// The state of one shard. A clone is a snapshot, and free.
#[derive(Clone, Debug)]
pub struct Ledger {
    pub(crate) chain: ChainId,
    pub(crate) territory: Territory,
    pub(crate) tree: StateTree,
    pub(crate) supply: Supply,
    /// As the state has them.
    pub(crate) lanes: Arc<Lanes>,
    /// As the state has it, in the beacon's.
    pub(crate) beacon: Option<Arc<Beacon>>,
}

impl Ledger {
    /// The state of a shard that has all addresses, before the first transaction.
    ///
    /// # Errors
    /// [`GenesisError`], naming the account at fault.
    pub fn genesis(chain: ChainId, accounts: &[GenesisAccount]) -> Result<Self, GenesisError> {
        Self::genesis_of(chain, Territory::whole(ShardId(0)), accounts)
    }

    /// The state of one shard before the first transaction. The accounts are all its own.
    ///
    /// # Errors
    /// [`GenesisError`], naming the account at fault.
    pub fn genesis_of(
        chain: ChainId,
        territory: Territory,
        accounts: &[GenesisAccount],
    ) -> Result<Self, GenesisError> {
        for GenesisAccount { address, .. } in accounts {
            if let Some(shard) = territory.elsewhere(address) {
                return Err(GenesisError::Elsewhere(*address, shard));
            }
        }
        let mut sorted = accounts.to_vec();
        sorted.sort_unstable_by_key(|account| account.address);
        if let Some(pair) = sorted.windows(2).find(|pair| pair[0].address == pair[1].address) {
            return Err(GenesisError::Duplicate(pair[0].address));
        }
        if let Some(account) = sorted.iter().find(|account| account.balance == Amount(0)) {
            return Err(GenesisError::Empty(account.address));
        }
        let total = sorted
            .iter()
            .try_fold(0_u64, |sum, account| sum.checked_add(account.balance.0))
            .map(Amount)
            .ok_or(GenesisError::SupplyOverflow)?;
        let supply = Supply { balances: u128::from(total.0), genesis: total, ..Supply::default() };
        let mut updates: Vec<Update> = sorted.iter().map(opening).collect();
        let key = Supply::state_key();
        let at = updates.partition_point(|update| update.0 < key);
        updates.insert(at, (key, Some(encode(&supply).into())));
        let mut tree = StateTree::default();
        tree.apply(updates);
        Ok(Self { chain, territory, tree, supply, lanes: Arc::default(), beacon: None })
    }

    /// The digest that commits to the whole state.
    #[must_use]
    pub fn state_root(&self) -> Digest {
        self.tree.root()
    }

    /// Executes transactions whose signatures were checked, in order.
    ///
    /// # Panics
    /// If the supply is not conserved, which no input can bring about.
    pub fn execute<'a>(
        &mut self,
        transactions: impl IntoIterator<Item = &'a Transaction>,
    ) -> Execution {
        self.execute_steps(transactions.into_iter().map(Step::Transaction))
    }

    /// Executes what verified blocks carry, in order; in each the deliveries come first and the
    /// announcement last. Once the end of the epoch is announced nothing more is executed.
    ///
    /// # Panics
    /// If the supply is not conserved, which no input can bring about.
    pub fn execute_payloads<'a>(
        &mut self,
        payloads: impl IntoIterator<Item = &'a Payload>,
    ) -> Execution {
        self.execute_steps(payloads.into_iter().flat_map(|payload| {
            let deliveries = payload.deliveries.iter().map(Step::Delivery);
            let transactions = payload.transactions.iter().map(Step::Transaction);
            let announcement = payload.announcement.iter().map(Step::Announcement);
            deliveries.chain(transactions).chain(announcement)
        }))
    }

    fn execute_steps<'a>(&mut self, steps: impl Iterator<Item = Step<'a>>) -> Execution {
        let mut overlay =
            Overlay::new(self.chain, &self.territory, &self.tree, self.supply, &self.lanes);
        let mut outcomes = Vec::new();
        let mut closes = None;
        for step in steps {
            match step {
                Step::Transaction(transaction) => {
                    outcomes.push((transaction.body.id(), overlay.run(transaction)));
                }
                Step::Delivery(delivery) => overlay.deliver(delivery),
                Step::Announcement(announcement) => {
                    closes = Some(Box::new(announcement.plan.clone()));
                    break;
                }
            }
        }
        // A name and a leaf for each transaction, and the nodes above the leaves.
        let listing = 3 * outcomes.len() as u32;
        let done = overlay.finish(&self.lanes);
        let supply = done.supply;
        assert!(supply.is_conserved(), "execution must not change the supply: {supply:?}");
        let state_updates = done.updates.len() as u32;
        let hashes = done.hashes + listing + self.tree.apply(done.updates);
        self.supply = supply;
        if done.lanes != *self.lanes {
            self.lanes = Arc::new(done.lanes);
        }
        Execution {
            transactions_root: outcome_tree(&outcomes).root(),
            outbox_root: outbox_root(self.outbox().ends()),
            outcomes,
            received: done.received,
            closes,
            state_updates,
            hashes,
        }
    }

    /// Whether executing the transaction next would take its fee.
    ///
    /// # Errors
    /// The reason for which it would be skipped.
    pub fn admit(&self, transaction: &Transaction) -> Result<(), Refusal> {
        bank::check(transaction, self.account(&transaction.body.sender))?;
        match self.destination(transaction) {
            Some(destination) if self.lane_is_full(destination) => {
                Err(Refusal::LaneFull { destination })
            }
            _ => Ok(()),
        }
    }

    /// The shard to which a transaction moves something, if it is another one.
    #[must_use]
    pub fn destination(&self, transaction: &Transaction) -> Option<ShardId> {
        match &transaction.body.action {
            Action::Transfer { to, .. } => self.territory.elsewhere(to),
            Action::RotateKey { .. } => None,
        }
    }

    /// Whether a transfer to another shard would have to wait.
    #[must_use]
    pub fn lane_is_full(&self, destination: ShardId) -> bool {
        let lane = self.lanes.get(&self.territory.lane_to(destination));
        lane.is_some_and(|lane| lane.is_full(0))
    }

    /// The lanes as they are now.
    #[must_use]
    pub fn outbox(&self) -> Outbox {
        Outbox::of(&self.lanes)
    }

    /// How far what the peer of a lane has sent is applied here.
    #[must_use]
    pub fn received_on(&self, lane: LaneId) -> LaneHead {
        self.lanes.get(&lane).map_or_else(LaneHead::default, |lane| lane.end.received)
    }

    /// How far the peer of a lane has acknowledged what was sent to it.
    #[must_use]
    pub fn acknowledged_on(&self, lane: LaneId) -> LaneHead {
        self.lanes.get(&lane).map_or_else(LaneHead::default, |lane| lane.acknowledged)
    }

    /// What to hand over to a peer that has applied the lane up to `applied`, out of an outbox
    /// that this state or an earlier one had.
    #[must_use]
    pub fn cargo(&self, outbox: &Outbox, lane: LaneId, applied: &LaneHead) -> Option<Cargo> {
        outbox.cargo(&self.tree, lane, applied)
    }

    /// Shows that the receipt of a transaction is on a lane, to who knows the outbox root of this
    /// state; `None` if it is not, or if the peer has acknowledged it.
    #[must_use]
    pub fn prove_receipt(&self, lane: LaneId, transaction: TransactionId) -> Option<ReceiptProof> {
        lanes::prove(&self.tree, &self.lanes, lane, transaction)
    }

    /// A lane after so many batches, while the next one is not acknowledged.
    #[must_use]
    pub fn lane_head(&self, lane: LaneId, number: u64) -> Option<LaneHead> {
        lanes::head_before(&self.tree, self.lanes.get(&lane)?, number)
    }

    /// The shard, and where all others are.
    #[must_use]
    pub const fn territory(&self) -> &Territory {
        &self.territory
    }

    /// The account of an address, if it was ever paid.
    #[must_use]
    pub fn account(&self, address: &Address) -> Option<Account> {
        read_account(&self.tree, *address)
    }

    /// Shows what the state says about an address, to who knows the state root.
    #[must_use]
    pub fn prove(&self, address: &Address) -> AccountProof {
        AccountProof(self.tree.prove(&Account::state_key(*address)))
    }

    /// Where all units of the currency are.
    #[must_use]
    pub const fn supply(&self) -> Supply {
        self.supply
    }

    /// How many records the state has.
    #[must_use]
    pub fn record_count(&self) -> u64 {
        self.tree.len()
    }

    /// Counts the whole state anew.
    ///
    /// # Errors
    /// [`AuditError`] if the records contradict each other.
    pub fn audit(&self) -> Result<Supply, AuditError> {
        let supply = read_supply(&self.tree)?;
        let mut counted = 0_u128;
        for (key, value) in self.tree.iter() {
            match key.kind {
                RecordKind::Account => {
                    let account: Account =
                        decode(value).map_err(|_| AuditError::MalformedRecord)?;
                    let address = Address(key.id);
                    if let Some(shard) = self.territory.elsewhere(&address) {
                        return Err(AuditError::ForeignAccount(address, shard));
                    }
                    counted += u128::from(account.balance.0);
                }
                RecordKind::Bank if *key == Supply::state_key() => {}
                RecordKind::Bank => return Err(AuditError::MalformedRecord),
                RecordKind::Lane | RecordKind::Batch | RecordKind::Receipt => {}
                RecordKind::Validator | RecordKind::Beacon => {}
            }
        }
        let lanes = lanes::read_lanes(&self.tree).ok_or(AuditError::MalformedRecord)?;
        if let Some(lane) = lanes.keys().find(|lane| !self.territory.has_lane(**lane)) {
            return Err(AuditError::ForeignLane(*lane));
        }
        let moved = |head: fn(&Lane) -> LaneHead| -> Option<u128> {
            lanes.values().try_fold(0_u128, |sum, lane| sum.checked_add(head(lane).moved))
        };
        let (sent, received) = (moved(|lane| lane.end.sent), moved(|lane| lane.end.received));
        if sent != Some(supply.sent) || received != Some(supply.received) || lanes != *self.lanes {
            return Err(AuditError::WrongLanes);
        }
        let beacon = beacon_records::read(&self.tree)?;
        let is_beacon = self.territory.shard() == BEACON;
        if beacon.as_ref() != self.beacon() || beacon.is_some() != is_beacon {
            return Err(AuditError::WrongBeacon);
        }
        if counted != supply.balances {
            return Err(AuditError::WrongBalances { counted, recorded: supply.balances });
        }
        if supply != self.supply || !supply.is_conserved() {
            return Err(AuditError::NotConserved(Box::new(supply)));
        }
        Ok(supply)
    }

    /// How many chunks the state is cut into.
    #[must_use]
    pub fn chunk_count(&self) -> u32 {
        chunks::chunk_count(&self.tree)
    }

    /// All chunks of the state, in the order of keys.
    pub fn chunks(&self) -> impl Iterator<Item = StateChunk> {
        chunks::chunks(&self.tree)
    }

    /// The first chunk of a region of the state, as [`crate::Restore::missing`] names it.
    #[must_use]
    pub fn chunk_in(&self, region: &StateRegion) -> Option<StateChunk> {
        chunks::chunk_in(&self.tree, region)
    }

    /// A ledger over a complete state.
    pub(crate) fn over(
        chain: ChainId,
        territory: Territory,
        tree: StateTree,
    ) -> Result<Self, AuditError> {
        let supply = read_supply(&tree)?;
        let lanes = Arc::new(lanes::read_lanes(&tree).ok_or(AuditError::MalformedRecord)?);
        let beacon = beacon_records::read(&tree)?.map(Arc::new);
        let ledger = Self { chain, territory, tree, supply, lanes, beacon };
        ledger.audit()?;
        Ok(ledger)
    }
}

/// One thing to execute.
enum Step<'a> {
    Transaction(&'a Transaction),
    Delivery(&'a Delivery),
    Announcement(&'a Announcement),
}

fn opening(account: &GenesisAccount) -> Update {
    let opened = Account::new(account.address, account.balance);
    (Account::state_key(account.address), Some(encode(&opened).into()))
}

fn read_supply(tree: &StateTree) -> Result<Supply, AuditError> {
    let value = tree.get(&Supply::state_key()).ok_or(AuditError::NoSupply)?;
    decode(value).map_err(|_| AuditError::NoSupply)
}

mod beacon;
#[cfg(test)]
mod tests;
