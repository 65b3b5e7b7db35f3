//! Accounts and transactions for tests. Execution does not look at signatures, so only the
//! proofs of possession are real.

use qcn_crypto::{
    ChainId, Digest, Domain, PublicKey, Role, Scheme, SeededRandomness, Signature, SigningKey,
    hash, prove_possession,
};
use qcn_types::{Action, Address, Amount, Transaction, TransactionBody};

use crate::{GenesisAccount, Ledger};

pub(crate) const CHAIN: ChainId = ChainId(Digest([7; 32]));

pub(crate) fn digest(text: &str) -> Digest {
    hash(Domain::Simulation, text.as_bytes())
}

/// A key that nobody holds, of a scheme that depends on its number.
pub(crate) fn some_key(number: u8) -> PublicKey {
    let schemes = [Scheme::Falcon512, Scheme::MlDsa44, Scheme::SlhDsaSha2_128s];
    let scheme = schemes[usize::from(number) % schemes.len()];
    let bytes = vec![number; scheme.public_key_bytes()];
    PublicKey::new(scheme, &bytes).expect("the right length")
}

pub(crate) fn address(number: u8) -> Address {
    Address::of(&some_key(number))
}

/// A ledger on which accounts 0, 1, 2, ... have these balances.
pub(crate) fn ledger(balances: &[u64]) -> Ledger {
    let account = |(number, balance): (usize, &u64)| GenesisAccount {
        address: address(number as u8),
        balance: Amount(*balance),
    };
    let accounts: Vec<_> = balances.iter().enumerate().map(account).collect();
    Ledger::genesis(CHAIN, &accounts).expect("distinct accounts that fit")
}

/// A ledger with this many accounts of one unit at random addresses.
pub(crate) fn large_ledger(accounts: usize) -> Ledger {
    Ledger::genesis(CHAIN, &random_accounts(accounts)).expect("distinct accounts that fit")
}

/// The same, and account 0 with a thousand units.
pub(crate) fn large_ledger_with_payer(accounts: usize) -> Ledger {
    let mut accounts = random_accounts(accounts);
    accounts.push(GenesisAccount { address: address(0), balance: Amount(1_000) });
    Ledger::genesis(CHAIN, &accounts).expect("distinct accounts that fit")
}

fn random_accounts(accounts: usize) -> Vec<GenesisAccount> {
    let mut randomness = SeededRandomness::from_u64(accounts as u64, "large-ledger");
    let mut account = || {
        let mut id = [0; 32];
        randomness.fill(&mut id);
        GenesisAccount { address: Address(Digest(id)), balance: Amount(1) }
    };
    (0..accounts).map(|_| account()).collect()
}

pub(crate) fn transaction(
    key: &PublicKey,
    sender: Address,
    nonce: u64,
    fee: u64,
    action: Action,
) -> Transaction {
    let body = TransactionBody { sender, nonce, fee: Amount(fee), action };
    let signature = Signature::new(vec![]).expect("short");
    Transaction { body, key: key.clone(), signature }
}

/// A transfer by account `from`, for a fee of 1.
pub(crate) fn transfer(from: u8, nonce: u64, to: Address, amount: u64) -> Transaction {
    let action = Action::Transfer { to, amount: Amount(amount) };
    transaction(&some_key(from), address(from), nonce, 1, action)
}

pub(crate) fn signing_key(scheme: Scheme, seed: u8) -> SigningKey {
    SigningKey::from_seed(scheme, &[seed; 32]).expect("the seed gives a key")
}

/// The wish to sign with `key` from now on, with a true proof for `chain` and `role`.
pub(crate) fn rotate_to(key: &SigningKey, chain: ChainId, role: Role) -> Action {
    let possession = prove_possession(key, chain, role).expect("a good key signs");
    Action::RotateKey { key: key.public_key().clone(), possession }
}
