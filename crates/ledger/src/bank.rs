//! The rules of the bank: integer, checked, one predicate or step each (DESIGN section 6).

use borsh::{BorshDeserialize, BorshSerialize};
use qcn_crypto::{ChainId, Digest, Domain, PublicKey, Role, Signature, hash, verify_possession};
use qcn_light::state::{RecordKind, StateKey};
use qcn_light::{Account, Failure, Refusal};
use qcn_types::{Address, Amount, Transaction};

/// The least fee of a transaction.
pub const MIN_FEE: Amount = Amount(1);

/// Where all units of the currency are. Always, in each shard: balances + fees + sent + burned
/// = genesis + received. What all shards have sent and not received is in flight.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, BorshSerialize, BorshDeserialize)]
pub struct Supply {
    /// On accounts. A captured shard can send what never existed, so 64 bits may not do.
    pub balances: u128,
    /// Paid as fees.
    pub fees: u128,
    /// What there was at genesis.
    pub genesis: Amount,
    /// Ever sent to other shards.
    pub sent: u128,
    /// Ever received from other shards.
    pub received: u128,
    /// Of that, what no account could hold.
    pub burned: u128,
}

impl Supply {
    /// Whether nothing was created or destroyed.
    #[must_use]
    pub fn is_conserved(&self) -> bool {
        let had = self.received.checked_add(u128::from(self.genesis.0));
        let now = [self.balances, self.fees, self.sent, self.burned];
        let all = now.iter().try_fold(0_u128, |sum, part| sum.checked_add(*part));
        all.is_some() && all == had
    }

    /// An amount leaves an account for another shard.
    pub(crate) fn send(&mut self, amount: Amount) {
        self.balances -= u128::from(amount.0);
        self.sent += u128::from(amount.0);
    }

    /// An amount from another shard arrives on an account.
    pub(crate) fn receive(&mut self, amount: Amount) {
        self.balances += u128::from(amount.0);
        self.received += u128::from(amount.0);
    }

    /// An amount from another shard that nobody can hold.
    pub(crate) fn burn(&mut self, amount: Amount) {
        self.received += u128::from(amount.0);
        self.burned += u128::from(amount.0);
    }

    /// An amount from another shard goes on, or back, without having been credited.
    pub(crate) fn pass_on(&mut self, amount: Amount) {
        self.received += u128::from(amount.0);
        self.sent += u128::from(amount.0);
    }

    /// Where the state keeps it.
    pub(crate) fn state_key() -> StateKey {
        StateKey { id: hash(Domain::StateLeaf, b"bank/supply"), kind: RecordKind::Bank }
    }

    fn collect_fee(&mut self, fee: Amount) {
        self.balances -= u128::from(fee.0);
        self.fees += u128::from(fee.0);
    }
}

/// The sender's account, if the transaction may be executed now: all that must hold for its
/// fee to be taken.
pub(crate) fn check(
    transaction: &Transaction,
    sender: Option<Account>,
) -> Result<Account, Refusal> {
    let body = &transaction.body;
    if body.fee < MIN_FEE {
        return Err(Refusal::FeeTooLow { minimum: MIN_FEE });
    }
    let sender = sender.ok_or(Refusal::UnknownSender)?;
    if body.nonce < sender.nonce {
        return Err(Refusal::NonceTooLow { expected: sender.nonce });
    }
    if body.nonce > sender.nonce {
        return Err(Refusal::NonceTooHigh { expected: sender.nonce });
    }
    if sender.nonce == u64::MAX {
        return Err(Refusal::NoncesUsedUp);
    }
    if sender.balance < body.fee {
        return Err(Refusal::InsufficientBalance { balance: sender.balance });
    }
    if !sender.may_sign(&transaction.key) {
        return Err(Refusal::WrongKey);
    }
    Ok(sender)
}

/// Takes the fee and uses the nonce of a transaction that was checked.
pub(crate) fn charge(transaction: &Transaction, sender: &mut Account, supply: &mut Supply) {
    sender.balance = minus(sender.balance, transaction.body.fee);
    sender.nonce += 1;
    supply.collect_fee(transaction.body.fee);
}

/// Whether the sender can move the amount, after its fee. Moving nothing is refused: it
/// would open empty accounts for the price of a fee.
pub(crate) fn check_transfer(sender: &Account, amount: Amount) -> Result<(), Failure> {
    if amount == Amount(0) {
        return Err(Failure::NothingToMove);
    }
    if sender.balance < amount {
        return Err(Failure::InsufficientBalance { available: sender.balance });
    }
    Ok(())
}

/// Puts an amount back that was debited just now.
pub(crate) fn restore(sender: &mut Account, amount: Amount) {
    sender.balance.0 += amount.0;
}

/// Moves an amount that was checked out of an account.
pub(crate) fn debit(sender: &mut Account, amount: Amount) {
    sender.balance = minus(sender.balance, amount);
}

/// The account with an amount more, which opens it if there is none; `None` where its balance
/// would not fit.
pub(crate) fn credit(
    address: Address,
    account: Option<Account>,
    amount: Amount,
) -> Option<Account> {
    let mut account = account.unwrap_or_else(|| Account::new(address, Amount(0)));
    account.balance = Amount(account.balance.0.checked_add(amount.0)?);
    Some(account)
}

/// The digest of a new key, if it proves its possession on this chain.
pub(crate) fn new_key(
    chain: ChainId,
    key: &PublicKey,
    possession: &Signature,
) -> Result<Digest, Failure> {
    verify_possession(key, chain, Role::Account, possession)
        .map_err(|_| Failure::PossessionNotProven)?;
    Ok(Address::of(key).0)
}

fn minus(from: Amount, amount: Amount) -> Amount {
    Amount(from.0.checked_sub(amount.0).expect("the caller checked that it is there"))
}

#[cfg(test)]
mod tests;
