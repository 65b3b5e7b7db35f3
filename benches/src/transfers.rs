//! Accounts and transfers between them.

use qcn_crypto::{Scheme, SeededRandomness, SigningKey};
use qcn_ledger::{GenesisAccount, Ledger, MIN_FEE};
use qcn_types::{Action, Address, Amount, Transaction, TransactionBody, encode};

use crate::CHAIN;

/// A signed transfer with a Falcon-512 key.
///
/// # Panics
/// If the key does not sign.
#[must_use]
pub fn transaction(key: &SigningKey, nonce: u64, to: Address) -> Transaction {
    let body = TransactionBody {
        sender: Address::of(key.public_key()),
        nonce,
        fee: MIN_FEE,
        action: Action::Transfer { to, amount: Amount(1) },
    };
    let mut randomness = SeededRandomness::from_u64(nonce, "benchmark");
    let context = TransactionBody::signing_context(CHAIN);
    let signature = key.sign_seeded(&context, &encode(&body), &mut randomness);
    let signature = signature.expect("a good key signs");
    Transaction { body, key: key.public_key().clone(), signature }
}

/// A ledger and transfers that all apply.
#[derive(Debug)]
pub struct Transfers {
    /// The state before.
    pub ledger: Ledger,
    /// In order.
    pub transactions: Vec<Transaction>,
}

impl Transfers {
    /// `senders` accounts, each of which pays `each` random ones of `accounts` more.
    ///
    /// # Panics
    /// If the accounts collide.
    #[must_use]
    pub fn new(senders: u64, each: u64, accounts: u64) -> Self {
        let mut randomness = SeededRandomness::from_u64(1, "accounts");
        let keys: Vec<SigningKey> = (0..senders)
            .map(|_| {
                let mut seed = [0; 32];
                randomness.fill(&mut seed);
                SigningKey::from_seed(Scheme::Falcon512, &seed).expect("a seed gives a key")
            })
            .collect();
        let mut addresses: Vec<Address> =
            keys.iter().map(|k| Address::of(k.public_key())).collect();
        for _ in 0..accounts {
            let mut address = Address::default();
            randomness.fill(&mut address.0.0);
            addresses.push(address);
        }
        let open =
            |address: &Address| GenesisAccount { address: *address, balance: Amount(1_000_000) };
        let genesis: Vec<GenesisAccount> = addresses.iter().map(open).collect();
        let ledger = Ledger::genesis(CHAIN, &genesis).expect("distinct accounts");
        let mut transactions = Vec::new();
        for nonce in 0..each {
            for key in &keys {
                let to = addresses[randomness.below(addresses.len() as u64) as usize];
                transactions.push(transaction(key, nonce, to));
            }
        }
        Self { ledger, transactions }
    }
}
