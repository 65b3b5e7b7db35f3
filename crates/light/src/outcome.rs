//! What became of a transaction, and the proof of it.

use borsh::{BorshDeserialize, BorshSerialize};
use qcn_crypto::{Digest, InclusionProof};
use qcn_types::{Amount, ShardId, TransactionId, encode};

/// Why a transaction changes nothing, not even its sender's nonce.
#[derive(Clone, Copy, PartialEq, Eq, Debug, BorshSerialize, BorshDeserialize, thiserror::Error)]
pub enum Refusal {
    /// The fee is below the minimum.
    #[error("the fee is below the minimum of {minimum}")]
    FeeTooLow {
        /// The least fee.
        minimum: Amount,
    },
    /// The sender's address has never been paid.
    #[error("the sender has no account: pay something to its address first")]
    UnknownSender,
    /// The key that signed may not sign for the sender, or not any more.
    #[error("the key that signed may not sign for the sender")]
    WrongKey,
    /// The number was used already.
    #[error("the nonce was used already, the next one is {expected}")]
    NonceTooLow {
        /// The sender's next nonce.
        expected: u64,
    },
    /// Transactions before this one are missing.
    #[error("the nonce is ahead, the next one is {expected}")]
    NonceTooHigh {
        /// The sender's next nonce.
        expected: u64,
    },
    /// The sender has used every nonce there is.
    #[error("the sender has used up its nonces")]
    NoncesUsedUp,
    /// The sender cannot pay the fee.
    #[error("the sender's balance of {balance} does not pay the fee")]
    InsufficientBalance {
        /// What the sender has.
        balance: Amount,
    },
    /// The lane to the receiver's shard holds as much as it may: the transfer waits.
    #[error("shard {destination} does not keep up: the transfer waits for room on the lane to it")]
    LaneFull {
        /// The receiver's shard.
        destination: ShardId,
    },
}

/// Why an action did nothing. Its sender has paid the fee and used the nonce.
#[derive(Clone, Copy, PartialEq, Eq, Debug, BorshSerialize, BorshDeserialize, thiserror::Error)]
pub enum Failure {
    /// The sender has less than the amount after paying the fee.
    #[error("the sender has {available} after the fee")]
    InsufficientBalance {
        /// What the sender could have moved.
        available: Amount,
    },
    /// Nothing was to be moved. It is refused because it would open empty accounts.
    #[error("a transfer must move something")]
    NothingToMove,
    /// The receiver's balance would not fit 64 bits: somebody has captured a shard.
    #[error("the receiver's account cannot hold so much")]
    ReceiverFull,
    /// The new key is unusable, or the sender did not show that it holds it.
    #[error("the new key does not prove its possession")]
    PossessionNotProven,
}

/// What became of a transaction in a commit.
#[derive(Clone, Copy, PartialEq, Eq, Debug, BorshSerialize, BorshDeserialize)]
pub enum Outcome {
    /// The fee is paid and the action done.
    Applied,
    /// The fee and the amount are paid, and a receipt is on the lane to the receiver's shard.
    Sent(ShardId),
    /// The fee is paid, the action is not done.
    Failed(Failure),
    /// Nothing changed.
    Skipped(Refusal),
}

/// What stands at a transaction's place under a checkpoint's `transactions_root`.
#[must_use]
pub fn transaction_leaf(transaction: TransactionId, outcome: Outcome) -> Vec<u8> {
    encode(&(transaction, outcome))
}

/// Shows what became of a transaction, against a checkpoint's `transactions_root`.
///
/// A transaction that two blocks carry stands in the list twice, and only its first
/// appearance can be other than skipped.
#[derive(Clone, PartialEq, Eq, Debug, BorshSerialize, BorshDeserialize)]
pub struct TransactionProof {
    /// The transaction.
    pub transaction: TransactionId,
    /// What became of it.
    pub outcome: Outcome,
    /// Its place in the list of executed transactions.
    pub inclusion: InclusionProof,
}

impl TransactionProof {
    /// Checks the proof.
    ///
    /// # Errors
    /// Why it does not lead to the root.
    pub fn verify(&self, transactions_root: &Digest) -> Result<(), qcn_crypto::ProofError> {
        let leaf = transaction_leaf(self.transaction, self.outcome);
        self.inclusion.verify_bytes(transactions_root, &leaf)
    }
}

#[cfg(test)]
mod tests;
