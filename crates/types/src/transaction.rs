//! Transactions of the bank module, signed by account keys.

use std::fmt;

use borsh::{BorshDeserialize, BorshSerialize};
use qcn_crypto::{ChainId, Digest, Domain, PublicKey, Role, Signature, SigningContext, hash};

use crate::encode;

/// An account: the hash of a scheme and a key. Its leading bits name the shard.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, BorshSerialize, BorshDeserialize,
)]
pub struct Address(pub Digest);

impl Address {
    /// The address that a key owns.
    #[must_use]
    pub fn of(key: &PublicKey) -> Self {
        Self(key.address())
    }
}

impl fmt::Display for Address {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "@{:?}", self.0)
    }
}

/// An amount of the ledger's one currency, in its smallest unit.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, BorshSerialize, BorshDeserialize,
)]
pub struct Amount(pub u64);

impl fmt::Display for Amount {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

impl fmt::Debug for Amount {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "${}", self.0)
    }
}

/// The name of a transaction: the digest of its body.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, BorshSerialize, BorshDeserialize,
)]
pub struct TransactionId(pub Digest);

impl fmt::Display for TransactionId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

impl fmt::Debug for TransactionId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "tx{:?}", self.0)
    }
}

/// What a transaction does.
#[derive(Clone, PartialEq, Eq, Debug, BorshSerialize, BorshDeserialize)]
pub enum Action {
    /// Moves `amount` to `to`.
    Transfer {
        /// Who receives.
        to: Address,
        /// How much.
        amount: Amount,
    },
    /// Lets `key` sign for the account from now on, and the present key no more.
    RotateKey {
        /// The new key.
        key: PublicKey,
        /// Shows that the sender has the new key's secret.
        possession: Signature,
    },
}

/// What the account's key signs.
#[derive(Clone, PartialEq, Eq, Debug, BorshSerialize, BorshDeserialize)]
pub struct TransactionBody {
    /// Who pays and acts.
    pub sender: Address,
    /// The sender's count of transactions so far; each number is used once, in order.
    pub nonce: u64,
    /// Paid whether or not the action succeeds.
    pub fee: Amount,
    /// What to do.
    pub action: Action,
}

impl TransactionBody {
    /// The name of the transaction. Signatures are not part of it.
    #[must_use]
    pub fn id(&self) -> TransactionId {
        TransactionId(hash(Domain::Transaction, &encode(self)))
    }

    /// What the signature covers besides the canonical body.
    #[must_use]
    pub const fn signing_context(chain: ChainId) -> SigningContext {
        SigningContext { domain: Domain::Transaction, chain, role: Role::Account }
    }
}

/// A signed transaction. It carries the key, so that its signature can be checked without state.
#[derive(Clone, PartialEq, Eq, Debug, BorshSerialize, BorshDeserialize)]
pub struct Transaction {
    /// What is signed.
    pub body: TransactionBody,
    /// The key that signed; execution checks that it may sign for the sender.
    pub key: PublicKey,
    /// Over the canonical body.
    pub signature: Signature,
}
