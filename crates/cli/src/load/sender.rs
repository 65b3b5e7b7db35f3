//! The accounts that send, and their signed transactions.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use qcn_crypto::{ChainId, Digest, SigningKey};
use qcn_types::{Action, Address, Amount, Transaction, TransactionBody, encode};

use super::schedule::{Schedule, Slot};
use crate::client::Client;
use crate::client::responses::AccountAnswer;

/// What each transaction pays.
pub const FEE: u64 = qcn_ledger::MIN_FEE.0;
/// What each transaction moves: to the next account, so that all keep what they have but fees.
pub const AMOUNT: u64 = 1;
/// How long an account's earlier transactions may take to become final.
const SETTLED_AFTER: Duration = Duration::from_secs(10);
/// How long to wait before an account is read again.
const READ_AGAIN: Duration = Duration::from_millis(50);

/// An account that sends.
#[derive(Debug)]
pub struct Sender {
    /// Its address.
    pub address: Address,
    /// The shard that it belongs to, if the node says so.
    pub shard: Option<u64>,
    /// Its nonce before the load.
    pub first_nonce: u64,
    /// Its balance before the load.
    pub balance: u64,
    key: SigningKey,
    taken: AtomicU64,
    blocked_at: AtomicU64,
}

impl Sender {
    /// Reads where an account stands, and whether it can pay for what it is to send.
    pub fn read(client: &Client, key: &SigningKey, turns: Option<u64>) -> anyhow::Result<Self> {
        let address = Address::of(key.public_key());
        let account = settled(client, address)?;
        ensure!(
            account.exists,
            "the account {address} does not exist on {}; pay something to it first",
            client.url()
        );
        if let Some(turns) = turns {
            let needed = u128::from(turns) * u128::from(FEE + AMOUNT);
            ensure!(
                u128::from(account.balance.0) >= needed,
                "the account {address} has {} and needs up to {needed} for its {turns} transfers; \
                 pay into it, give more accounts, or lower --tps or --seconds",
                account.balance
            );
        }
        Ok(Self {
            address,
            shard: account.shard,
            first_nonce: account.next_nonce,
            balance: account.balance.0,
            key: key.clone(),
            taken: AtomicU64::new(0),
            blocked_at: AtomicU64::new(u64::MAX),
        })
    }

    /// A node took one of its transactions in.
    pub fn note_taken(&self) {
        self.taken.fetch_add(1, Ordering::Relaxed);
    }

    /// A node refused a transaction for good: those with a higher nonce cannot be executed.
    pub fn block(&self, turn: u64) {
        self.blocked_at.fetch_min(self.first_nonce + turn, Ordering::Relaxed);
    }

    /// Whether a transaction of this turn can still be executed.
    pub fn may_send(&self, turn: u64) -> bool {
        self.first_nonce + turn < self.blocked_at.load(Ordering::Relaxed)
    }

    /// How many were taken in.
    pub fn taken(&self) -> u64 {
        self.taken.load(Ordering::Relaxed)
    }

    /// The nonce once all is executed that can be.
    pub fn expected_nonce(&self) -> u64 {
        let all = self.first_nonce + self.taken();
        all.min(self.blocked_at.load(Ordering::Relaxed))
    }
}

/// An account once none of its transactions is under way any more: only then its balance says
/// what it has.
fn settled(client: &Client, address: Address) -> anyhow::Result<AccountAnswer> {
    let deadline = Instant::now() + SETTLED_AFTER;
    loop {
        let path = format!("/v1/accounts/{address}");
        let account: AccountAnswer = client.get_certified(&path, deadline)?;
        if account.next_nonce <= account.nonce {
            return Ok(account);
        }
        ensure!(
            Instant::now() < deadline,
            "the account {address} has transactions under way from nonce {} to {}; wait until \
             they are final, and let no other program use its key",
            account.nonce,
            account.next_nonce
        );
        std::thread::park_timeout(READ_AGAIN);
    }
}

/// A signed transaction.
#[derive(Debug)]
pub struct Prepared {
    /// Its place in the plan.
    pub slot: Slot,
    /// Its id.
    pub id: Digest,
    /// Its canonical bytes.
    pub bytes: Vec<u8>,
    /// Whether an earlier request may have handed it in although it brought no answer.
    pub is_ambiguous: bool,
}

/// Whom an account pays: the next one.
pub const fn paid_by(account: usize, accounts: usize) -> usize {
    (account + 1) % accounts
}

/// Signs the transaction of a slot.
pub fn prepare(chain: ChainId, senders: &[Sender], slot: Slot) -> anyhow::Result<Prepared> {
    let sender = &senders[slot.account];
    let to = senders[paid_by(slot.account, senders.len())].address;
    let body = TransactionBody {
        sender: sender.address,
        nonce: sender.first_nonce + slot.turn,
        fee: Amount(FEE),
        action: Action::Transfer { to, amount: Amount(AMOUNT) },
    };
    let context = TransactionBody::signing_context(chain);
    let signature = sender.key.sign(&context, &encode(&body))?;
    let id = body.id().0;
    let transaction = Transaction { body, key: sender.key.public_key().clone(), signature };
    Ok(Prepared { slot, id, bytes: encode(&transaction), is_ambiguous: false })
}

/// Reads all accounts, each from its node. `done` is told how many were read.
pub fn read_all(
    clients: &[Client],
    keys: &[SigningKey],
    schedule: &Schedule,
    done: &mut dyn FnMut(u64),
) -> anyhow::Result<Vec<Sender>> {
    let mut senders = Vec::with_capacity(keys.len());
    for (account, key) in keys.iter().enumerate() {
        let client = &clients[schedule.node_of(account)];
        let turns = schedule.turns_of(account);
        senders.push(Sender::read(client, key, turns).context("cannot read an account")?);
        done(senders.len() as u64);
    }
    let mut addresses: Vec<Address> = senders.iter().map(|sender| sender.address).collect();
    addresses.sort_unstable();
    if let Some(pair) = addresses.windows(2).find(|pair| pair[0] == pair[1]) {
        bail!("the account {} is given twice; give each key file once", pair[0]);
    }
    Ok(senders)
}

/// Which accounts are followed to the end: as many of each node as keep their events below
/// `events_per_second`, and at least one. They lie evenly among all: accounts take turns, so the
/// first ones would all send at the same time.
pub fn sample(schedule: &Schedule, events_per_second: f64, accounts_max: usize) -> Vec<bool> {
    let rate = schedule.tps / schedule.accounts as f64;
    let of_node = schedule.accounts.div_ceil(schedule.nodes);
    let fitting = (events_per_second / rate).clamp(1.0, accounts_max as f64) as usize;
    let fitting = fitting.min(of_node);
    let is_sampled = |account: usize| account / schedule.nodes * fitting % of_node < fitting;
    (0..schedule.accounts).map(is_sampled).collect()
}

/// A moment of the plan in microseconds.
pub fn microseconds(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sample_keeps_events_below_their_limit_and_has_an_account_of_each_node() {
        let schedule = |accounts, tps| Schedule { accounts, nodes: 4, tps, total: None };
        let sampled = |accounts, tps| {
            sample(&schedule(accounts, tps), 200.0, 16).iter().filter(|is| **is).count()
        };
        assert_eq!(sampled(100, 10.0), 64);
        assert_eq!(sampled(8, 10.0), 8);
        assert_eq!(sampled(100, 10_000.0), 8);
        assert_eq!(sampled(8, 100_000.0), 4);
    }

    /// Given a thousand accounts of which few are followed, they are spread over all turns, and each
    /// node has as many.
    #[test]
    fn the_sample_lies_evenly_among_all_accounts() {
        let schedule = Schedule { accounts: 1_000, nodes: 4, tps: 50.0, total: None };
        let sampled = sample(&schedule, 200.0, 16);
        for part in sampled.chunks(250) {
            let found = part.iter().filter(|is| **is).count();
            assert!((12..=20).contains(&found), "{found} of a quarter of the accounts");
        }
        for node in 0..4 {
            assert_eq!(sampled.iter().skip(node).step_by(4).filter(|is| **is).count(), 16);
        }
    }
}
