//! What verifying one signature and updating two accounts in the state tree take, alone: the
//! work that a transfer asks of every validator. `cargo xtask bench-node` divides by it. A key is
//! decoded for each signature; with a decoded one, as a validator keeps it for accounts that sign
//! again and again, a check is measured beside it.
//!
//! Prints one JSON object. The arguments are the scheme and how many accounts the state has.

use std::time::{Duration, Instant};

use qcn_crypto::{ChainId, Digest, Scheme, SigningKey, VerifyingKey};
use qcn_ledger::{GenesisAccount, Ledger, MIN_FEE};
use qcn_types::{Action, Address, Amount, Transaction, TransactionBody, Verified, encode};
use rayon::prelude::*;

const CHAIN: ChainId = ChainId(Digest([1; 32]));

/// Transfers in one execution, as in a busy checkpoint.
const EXECUTED_AT_ONCE: usize = 500;

/// How long each part is measured.
const MEASURED: Duration = Duration::from_secs(2);

fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let scheme: Scheme = arguments.next().unwrap_or_else(|| "falcon-512".to_owned()).parse()?;
    let accounts: usize = arguments.next().map_or(Ok(1_000), |text| text.parse())?;
    let keys: Vec<SigningKey> = (0..accounts)
        .into_par_iter()
        .map(|_| SigningKey::generate(scheme))
        .collect::<Result<_, _>>()?;
    let addresses: Vec<Address> = keys.iter().map(|key| Address::of(key.public_key())).collect();
    let genesis: Vec<GenesisAccount> = addresses
        .iter()
        .map(|address| GenesisAccount { address: *address, balance: Amount(1_000_000_000) })
        .collect();
    let transfers: Vec<Transaction> = (0..EXECUTED_AT_ONCE)
        .into_par_iter()
        .map(|at| transfer(&keys[at % accounts], 0, addresses[(at * 7 + 1) % accounts]))
        .collect::<Result<_, _>>()?;

    let (checked, checking) = repeat(|| {
        let valid = transfers.par_iter().filter(|one| is_valid((*one).clone())).count();
        assert_eq!(valid, transfers.len(), "all of them are signed");
        transfers.len()
    });
    let decoded: Vec<VerifyingKey> =
        keys.iter().map(|key| VerifyingKey::decode(key.public_key())).collect::<Result<_, _>>()?;
    let (checked_decoded, checking_decoded) = repeat(|| {
        let signed = transfers.par_iter().enumerate();
        let valid = signed.filter(|(at, one)| has_signed(&decoded[at % accounts], one)).count();
        assert_eq!(valid, transfers.len(), "all of them are signed");
        transfers.len()
    });
    let ledger = Ledger::genesis(CHAIN, &genesis)?;
    let (executed, executing) = repeat(|| {
        let done = ledger.clone().execute(&transfers);
        done.outcomes.len()
    });
    let cores = rayon::current_num_threads();
    // Checking used all cores, executing one.
    let checks_per_core = checked as f64 / checking.as_secs_f64() / cores as f64;
    let decoded_per_core = checked_decoded as f64 / checking_decoded.as_secs_f64() / cores as f64;
    let executions_per_core = executed as f64 / executing.as_secs_f64();
    let seconds_each = 1.0 / checks_per_core + 1.0 / executions_per_core;
    println!(
        "{}",
        serde_json::json!({
            "scheme": scheme.name(),
            "accounts": accounts,
            "cores": cores,
            "verify_us": 1e6 / checks_per_core,
            "verify_decoded_us": 1e6 / decoded_per_core,
            "execute_us": 1e6 / executions_per_core,
            "transfers_per_second_all_cores": cores as f64 / seconds_each,
        })
    );
    Ok(())
}

fn transfer(key: &SigningKey, nonce: u64, to: Address) -> anyhow::Result<Transaction> {
    let sender = Address::of(key.public_key());
    let action = Action::Transfer { to, amount: Amount(1) };
    let body = TransactionBody { sender, nonce, fee: MIN_FEE, action };
    let context = TransactionBody::signing_context(CHAIN);
    let signature = key.sign(&context, &encode(&body))?;
    Ok(Transaction { body, key: key.public_key().clone(), signature })
}

fn is_valid(transaction: Transaction) -> bool {
    Verified::check(transaction, CHAIN).is_ok()
}

fn has_signed(key: &VerifyingKey, transaction: &Transaction) -> bool {
    let context = TransactionBody::signing_context(CHAIN);
    key.verify(&context, &encode(&transaction.body), &transaction.signature).is_ok()
}

/// Repeats some work for a while: how much was done in which time.
fn repeat(mut work: impl FnMut() -> usize) -> (usize, Duration) {
    work();
    let start = Instant::now();
    let mut done = 0;
    while start.elapsed() < MEASURED {
        done += work();
    }
    (done, start.elapsed())
}
