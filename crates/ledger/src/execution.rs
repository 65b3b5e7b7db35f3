//! One execution: the transactions of a commit, in order, over the state before it.

use std::collections::BTreeMap;

use qcn_crypto::{ChainId, Digest, MerkleTree};
use qcn_light::{Account, Failure, Outcome, TransactionProof, transaction_leaf};
use qcn_types::{Action, Address, Transaction, TransactionId, decode, encode};

use crate::bank::{self, Supply};
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
    /// How many records of the state changed.
    pub state_updates: u32,
    /// How many hashes were computed: what execution costs a CPU besides signatures.
    pub hashes: u32,
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

/// The accounts that an execution has touched, over a state that it leaves alone.
pub(crate) struct Overlay<'a> {
    chain: ChainId,
    tree: &'a StateTree,
    /// Sorted as the batch of updates must be.
    changed: BTreeMap<Address, Account>,
    pub(crate) supply: Supply,
    pub(crate) hashes: u32,
}

impl<'a> Overlay<'a> {
    pub(crate) const fn new(chain: ChainId, tree: &'a StateTree, supply: Supply) -> Self {
        Self { chain, tree, changed: BTreeMap::new(), supply, hashes: 0 }
    }

    /// Executes one transaction; what it may not do, it does not do at all.
    pub(crate) fn run(&mut self, transaction: &Transaction) -> Outcome {
        let address = transaction.body.sender;
        // The digest of the key that signed.
        self.hashes += 1;
        let mut sender = match bank::check(transaction, self.account(address)) {
            Ok(sender) => sender,
            Err(refusal) => return Outcome::Skipped(refusal),
        };
        bank::charge(transaction, &mut sender, &mut self.supply);
        self.changed.insert(address, sender);
        match self.act(address, sender, &transaction.body.action) {
            Ok(()) => Outcome::Applied,
            Err(failure) => Outcome::Failed(failure),
        }
    }

    fn act(
        &mut self,
        address: Address,
        mut sender: Account,
        action: &Action,
    ) -> Result<(), Failure> {
        match action {
            Action::Transfer { to, amount } => {
                bank::check_transfer(&sender, *amount)?;
                bank::debit(&mut sender, *amount);
                self.changed.insert(address, sender);
                // Read after the debit, so that paying oneself changes nothing.
                let receiver = bank::credit(*to, self.account(*to), *amount);
                self.changed.insert(*to, receiver);
            }
            Action::RotateKey { key, possession } => {
                self.hashes += 2;
                sender.key = bank::new_key(self.chain, key, possession)?;
                self.changed.insert(address, sender);
            }
        }
        Ok(())
    }

    fn account(&self, address: Address) -> Option<Account> {
        self.changed.get(&address).copied().or_else(|| read_account(self.tree, address))
    }

    /// What the execution changes in the state, sorted by key.
    pub(crate) fn into_updates(self) -> Vec<Update> {
        let supply = (Supply::state_key(), Some(encode(&self.supply).into()));
        let mut updates: Vec<Update> = self
            .changed
            .into_iter()
            .map(|(address, account)| (Account::state_key(address), Some(encode(&account).into())))
            .collect();
        if !updates.is_empty() {
            let at = updates.partition_point(|(key, _)| *key < supply.0);
            updates.insert(at, supply);
        }
        updates
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
