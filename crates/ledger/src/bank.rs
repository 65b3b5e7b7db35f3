//! The rules of the bank: integer, checked, one predicate or step each (DESIGN section 6).

use borsh::{BorshDeserialize, BorshSerialize};
use qcn_crypto::{ChainId, Digest, Domain, PublicKey, Role, Signature, hash, verify_possession};
use qcn_light::state::{RecordKind, StateKey};
use qcn_light::{Account, Failure, Refusal};
use qcn_types::{Address, Amount, Transaction};

/// The least fee of a transaction.
pub const MIN_FEE: Amount = Amount(1);

/// Where all units of the currency are. Always, in each shard: balances + fees + sent + burned +
/// given = genesis + received + taken. What all shards have sent and not received is in flight;
/// what they were given and have taken by changes of the layout is the same, unless a captured
/// shard has made something up.
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
    /// What was on accounts that another shard has taken over. Their history stays here.
    pub given: u128,
    /// What was on the accounts that were taken over from another shard.
    pub taken: u128,
}

impl Supply {
    /// Whether nothing was created or destroyed.
    #[must_use]
    pub fn is_conserved(&self) -> bool {
        let sum = |parts: &[u128]| parts.iter().try_fold(0_u128, |sum, it| sum.checked_add(*it));
        let had = sum(&[self.received, self.taken, u128::from(self.genesis.0)]);
        let now = sum(&[self.balances, self.fees, self.sent, self.burned, self.given]);
        now.is_some() && now == had
    }

    /// What there is when accounts with these balances go to a new shard: here, and there.
    pub(crate) fn divided(&self, balances: u128) -> [Self; 2] {
        let (kept, given) = (self.balances - balances, self.given + balances);
        let here = Self { balances: kept, given, ..*self }.without_detours();
        [here, Self { balances, taken: balances, ..Self::default() }]
    }

    /// What there is when two shards become one, or `None` where a captured one has counted so
    /// much that it cannot be added up.
    pub(crate) fn joined(&self, other: &Self) -> Option<Self> {
        // Room for whatever is in flight between the two.
        let sum = |one: u128, more: u128| one.checked_add(more).filter(|it| *it <= u128::MAX / 2);
        let genesis = u128::from(self.genesis.0) + u128::from(other.genesis.0);
        let kept = genesis.min(u128::from(u64::MAX));
        let joined = Self {
            balances: sum(self.balances, other.balances)?,
            fees: sum(self.fees, other.fees)?,
            genesis: Amount(kept as u64),
            sent: sum(self.sent, other.sent)?,
            received: sum(self.received, other.received)?,
            burned: sum(self.burned, other.burned)?,
            given: sum(self.given, other.given)?,
            taken: sum(sum(self.taken, other.taken)?, genesis - kept)?,
        };
        Some(joined.without_detours())
    }

    /// What was given away and came back was never away, so that a split and a merge leave nothing
    /// behind.
    fn without_detours(self) -> Self {
        let returned = self.given.min(self.taken);
        Self { given: self.given - returned, taken: self.taken - returned, ..self }
    }

    /// A lane has come to an end, with so much sent on it and so much arrived. The two differ only
    /// if a captured shard has sent one thing and had another applied: what is missing then is
    /// lost, and what is too much came from nowhere.
    pub(crate) fn end_lane(&mut self, sent: u128, arrived: u128) {
        self.sent -= sent;
        self.received -= arrived;
        self.burned += sent.saturating_sub(arrived);
        self.taken += arrived.saturating_sub(sent);
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
