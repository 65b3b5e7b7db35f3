//! Accounts as the state holds them, and their proofs.

use borsh::{BorshDeserialize, BorshSerialize};
use qcn_crypto::{Digest, PublicKey};
use qcn_types::{Address, Amount, decode};

use crate::state::{ProofError, RecordKind, StateKey, StateProof};

/// What the state says about an address.
#[derive(Clone, Copy, PartialEq, Eq, Debug, BorshSerialize, BorshDeserialize)]
pub struct Account {
    /// What it can spend.
    pub balance: Amount,
    /// How many transactions it has sent; the next one carries this number.
    pub nonce: u64,
    /// [`Address::of`] the key that may sign: the address itself until the key is rotated.
    pub key: Digest,
}

impl Account {
    /// An account that has never sent anything.
    #[must_use]
    pub const fn new(address: Address, balance: Amount) -> Self {
        Self { balance, nonce: 0, key: address.0 }
    }

    /// Where the state keeps the account of an address.
    #[must_use]
    pub const fn state_key(address: Address) -> StateKey {
        StateKey { id: address.0, kind: RecordKind::Account }
    }

    /// Whether `key` may sign for the account.
    #[must_use]
    pub fn may_sign(&self, key: &PublicKey) -> bool {
        Address::of(key).0 == self.key
    }
}

/// Shows what a state says about an address: an account, or that there is none.
#[derive(Clone, PartialEq, Eq, Debug, BorshSerialize, BorshDeserialize)]
pub struct AccountProof(pub StateProof);

/// Reads an account out of a state of which only the root is known.
///
/// # Errors
/// [`ProofError`] if the proof does not lead to the root, or is about another address.
pub fn verify_account_proof(
    state_root: &Digest,
    address: Address,
    proof: &AccountProof,
) -> Result<Option<Account>, ProofError> {
    let Some(value) = proof.0.verify(state_root, &Account::state_key(address))? else {
        return Ok(None);
    };
    decode(value).map(Some).map_err(|_| ProofError::NotAnAccount)
}

#[cfg(test)]
mod tests;
