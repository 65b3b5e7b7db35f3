//! The ledger's public face: state, execution, admission, proofs, chunks.

use qcn_crypto::{ChainId, Digest};
use qcn_light::state::RecordKind;
use qcn_light::{Account, AccountProof, Refusal};
use qcn_types::{Address, Amount, Transaction, decode, encode};

use crate::bank::{self, Supply};
use crate::chunks::{self, StateChunk, StateRegion};
use crate::execution::{Execution, Overlay, outcome_tree, read_account};
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
}

/// Why a state is not one that executions can have led to.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum AuditError {
    /// The record of the supply is missing or malformed.
    #[error("the record of the supply is missing or malformed")]
    NoSupply,
    /// A record is not of the form that its kind has.
    #[error("a record of the state is malformed")]
    MalformedRecord,
    /// The accounts hold something else than the supply says.
    #[error("the accounts hold {counted}, the record says {recorded}")]
    WrongBalances {
        /// The sum over all accounts, as far as it fits.
        counted: u128,
        /// What the record says.
        recorded: Amount,
    },
    /// Balances, fees and what is in flight are not the genesis supply.
    #[error("the supply is not conserved: {0:?}")]
    NotConserved(Supply),
}

/// The state of one shard. A clone is a snapshot, and free.
#[derive(Clone, Debug)]
pub struct Ledger {
    chain: ChainId,
    tree: StateTree,
    supply: Supply,
}

impl Ledger {
    /// The state before the first transaction.
    ///
    /// # Errors
    /// [`GenesisError`], naming the account at fault.
    pub fn genesis(chain: ChainId, accounts: &[GenesisAccount]) -> Result<Self, GenesisError> {
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
        let supply = Supply { balances: total, genesis: total, ..Supply::default() };
        let mut updates: Vec<Update> = sorted.iter().map(opening).collect();
        let key = Supply::state_key();
        let at = updates.partition_point(|update| update.0 < key);
        updates.insert(at, (key, Some(encode(&supply).into())));
        let mut tree = StateTree::default();
        tree.apply(updates);
        Ok(Self { chain, tree, supply })
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
        let mut overlay = Overlay::new(self.chain, &self.tree, self.supply);
        let mut outcomes = Vec::new();
        for transaction in transactions {
            outcomes.push((transaction.body.id(), overlay.run(transaction)));
        }
        // A name and a leaf for each transaction, and the nodes above the leaves.
        let listing = 3 * outcomes.len() as u32;
        let (supply, checking) = (overlay.supply, overlay.hashes);
        assert!(supply.is_conserved(), "execution must not change the supply: {supply:?}");
        let updates = overlay.into_updates();
        let state_updates = updates.len() as u32;
        let hashes = checking + listing + self.tree.apply(updates);
        self.supply = supply;
        Execution {
            transactions_root: outcome_tree(&outcomes).root(),
            outbox_root: Digest::ZERO,
            outcomes,
            state_updates,
            hashes,
        }
    }

    /// Whether executing the transaction next would take its fee.
    ///
    /// # Errors
    /// The reason for which it would be skipped.
    pub fn admit(&self, transaction: &Transaction) -> Result<(), Refusal> {
        bank::check(transaction, self.account(&transaction.body.sender)).map(|_| ())
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
                    counted += u128::from(account.balance.0);
                }
                RecordKind::Bank if *key == Supply::state_key() => {}
                RecordKind::Bank => return Err(AuditError::MalformedRecord),
            }
        }
        if counted != u128::from(supply.balances.0) {
            return Err(AuditError::WrongBalances { counted, recorded: supply.balances });
        }
        if supply != self.supply || !supply.is_conserved() {
            return Err(AuditError::NotConserved(supply));
        }
        Ok(supply)
    }

    /// How many chunks the state is cut into.
    #[must_use]
    pub fn chunk_count(&self) -> u32 {
        chunks::chunk_count(&self.tree)
    }

    /// The chunk at `index`, in the order of keys.
    #[must_use]
    pub fn chunk(&self, index: u32) -> Option<StateChunk> {
        chunks::chunk_at(&self.tree, index)
    }

    /// The first chunk of a region of the state, as [`crate::Restore::missing`] names it.
    #[must_use]
    pub fn chunk_in(&self, region: &StateRegion) -> Option<StateChunk> {
        chunks::chunk_in(&self.tree, region)
    }

    /// A ledger over a complete state.
    pub(crate) fn over(chain: ChainId, tree: StateTree) -> Result<Self, AuditError> {
        let ledger = Self { chain, supply: read_supply(&tree)?, tree };
        ledger.audit()?;
        Ok(ledger)
    }
}

fn opening(account: &GenesisAccount) -> Update {
    let opened = Account::new(account.address, account.balance);
    (Account::state_key(account.address), Some(encode(&opened).into()))
}

fn read_supply(tree: &StateTree) -> Result<Supply, AuditError> {
    let value = tree.get(&Supply::state_key()).ok_or(AuditError::NoSupply)?;
    decode(value).map_err(|_| AuditError::NoSupply)
}

#[cfg(test)]
mod tests;
