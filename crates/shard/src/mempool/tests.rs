//! The pool alone, over a ledger of a few accounts.

use std::sync::Arc;

use qcn_crypto::{ChainId, Digest, Scheme, SigningKey};
use qcn_ledger::{GenesisAccount, MAX_LANE_RECEIPTS, MIN_FEE, Territory};
use qcn_types::{Action, Layout, ShardId, TransactionBody};

use super::*;

const CHAIN: ChainId = ChainId(Digest([3; 32]));

/// An address in the second of two shards.
const AWAY: Address = Address(Digest([0xFF; 32]));

struct Bench {
    keys: Vec<SigningKey>,
    ledger: Ledger,
    pool: Mempool,
}

impl Bench {
    fn new(senders: u8) -> Self {
        let keys: Vec<SigningKey> = (0..senders)
            .map(|seed| SigningKey::from_seed(Scheme::MlDsa44, &[seed; 32]).unwrap())
            .collect();
        let accounts: Vec<GenesisAccount> = keys
            .iter()
            .map(|key| GenesisAccount {
                address: Address::of(key.public_key()),
                balance: Amount(1_000_000),
            })
            .collect();
        let ledger = Ledger::genesis(CHAIN, &accounts).unwrap();
        Self { keys, ledger, pool: Mempool::default() }
    }

    fn address(&self, sender: usize) -> Address {
        Address::of(self.keys[sender].public_key())
    }

    fn paying(&self, sender: usize, nonce: u64, fee: Amount) -> Transaction {
        let action = Action::Transfer { to: Address(Digest([9; 32])), amount: Amount(1) };
        let body = TransactionBody { sender: self.address(sender), nonce, fee, action };
        let key = &self.keys[sender];
        let context = TransactionBody::signing_context(CHAIN);
        let signature = key.sign(&context, &qcn_types::encode(&body)).unwrap();
        Transaction { body, key: key.public_key().clone(), signature }
    }

    /// Senders whose accounts are in the first of two shards.
    fn in_half(senders: usize) -> Self {
        let layout = Arc::new(Layout::even(2).unwrap());
        assert_eq!(layout.shard_of(&AWAY), ShardId(1));
        let here = ShardId(0);
        let keys = (0..).map(|seed| SigningKey::from_seed(Scheme::MlDsa44, &[seed; 32]).unwrap());
        let is_here = |key: &SigningKey| layout.shard_of(&Address::of(key.public_key())) == here;
        let keys: Vec<SigningKey> = keys.filter(is_here).take(senders).collect();
        let account = |key: &SigningKey| GenesisAccount {
            address: Address::of(key.public_key()),
            balance: Amount(1_000_000),
        };
        let accounts: Vec<GenesisAccount> = keys.iter().map(account).collect();
        let territory = Territory::new(Arc::clone(&layout), here).unwrap();
        let ledger = Ledger::genesis_of(CHAIN, territory, &accounts).unwrap();
        Self { keys, ledger, pool: Mempool::default() }
    }

    /// A transfer whose signature is of something else; nobody looks at it here.
    fn moving(&self, sender: usize, nonce: u64, to: Address, amount: u64) -> Transaction {
        let mut paid = self.paying(sender, nonce, MIN_FEE);
        paid.body.action = Action::Transfer { to, amount: Amount(amount) };
        paid
    }

    fn submit(&mut self, sender: usize, nonce: u64) -> Result<(), Refused> {
        let transaction = self.paying(sender, nonce, MIN_FEE);
        self.pool.submit(transaction, &self.ledger)
    }

    /// What goes into a block, as (sender, nonce).
    fn take(&mut self, round: u64) -> Vec<(usize, u64)> {
        let taken = self.pool.take(Round(round), &self.ledger, 0);
        let number = |address| (0..self.keys.len()).find(|it| self.address(*it) == address);
        taken.iter().map(|it| (number(it.body.sender).unwrap(), it.body.nonce)).collect()
    }

    /// Somebody's block with these transactions is executed.
    fn execute(&mut self, transactions: &[(usize, u64)]) {
        let bodies: Vec<Transaction> =
            transactions.iter().map(|(who, nonce)| self.paying(*who, *nonce, MIN_FEE)).collect();
        self.ledger.execute(&bodies);
        self.pool.executed(bodies.iter().map(|it| it.body.sender), &self.ledger);
    }
}

#[test]
fn senders_take_turns_and_each_goes_by_nonce() {
    let mut bench = Bench::new(2);
    for nonce in [2, 0, 1] {
        bench.submit(0, nonce).unwrap();
    }
    bench.submit(1, 0).unwrap();
    assert_eq!(bench.pool.len(), 4);
    assert_eq!(bench.take(1), [(0, 0), (1, 0), (0, 1), (0, 2)]);
    assert_eq!(bench.pool.len(), 0);
    assert!(!bench.pool.is_ready());
}

#[test]
fn a_gap_waits_and_does_not_make_the_pool_ready() {
    let mut bench = Bench::new(1);
    bench.submit(0, 1).unwrap();
    assert!(!bench.pool.is_ready());
    assert_eq!(bench.take(1), []);
    bench.submit(0, 0).unwrap();
    assert_eq!(bench.take(2), [(0, 0), (0, 1)]);
}

/// The missing nonce may come in through another validator.
#[test]
fn a_gap_closes_when_somebody_elses_block_is_executed() {
    let mut bench = Bench::new(1);
    bench.submit(0, 1).unwrap();
    bench.execute(&[(0, 0)]);
    assert!(bench.pool.is_ready());
    assert_eq!(bench.take(1), [(0, 1)]);
}

#[test]
fn a_gap_closes_when_the_state_is_synchronised() {
    let mut bench = Bench::new(1);
    bench.submit(0, 1).unwrap();
    let executed = bench.paying(0, 0, MIN_FEE);
    bench.ledger.execute(&[executed]);
    bench.pool.synchronised(&bench.ledger);
    assert_eq!(bench.take(1), [(0, 1)]);
}

#[test]
fn what_others_executed_is_not_proposed_again() {
    let mut bench = Bench::new(1);
    bench.submit(0, 0).unwrap();
    bench.execute(&[(0, 0)]);
    assert_eq!(bench.pool.len(), 0);
    assert_eq!(bench.take(1), []);
    assert_eq!(
        bench.submit(0, 0),
        Err(Refused::ByLedger(Refusal::NonceTooLow { expected: 1 })),
        "it was used"
    );
}

#[test]
fn a_block_below_the_floor_gives_its_transactions_back() {
    let mut bench = Bench::new(1);
    bench.submit(0, 0).unwrap();
    bench.submit(0, 1).unwrap();
    assert_eq!(bench.take(5), [(0, 0), (0, 1)]);
    bench.pool.raise_floor(Round(4), &bench.ledger);
    assert_eq!(bench.pool.len(), 0, "it may still be committed");
    bench.pool.raise_floor(Round(5), &bench.ledger);
    assert_eq!(bench.pool.len(), 2);
    assert_eq!(bench.take(6), [(0, 0), (0, 1)]);
}

/// A committed transaction that execution skipped must not leave its sender waiting for ever.
#[test]
fn after_a_skipped_transaction_the_ledger_says_what_comes_next() {
    let mut bench = Bench::new(1);
    bench.submit(0, 0).unwrap();
    bench.submit(0, 1).unwrap();
    assert_eq!(bench.take(1).len(), 2);
    bench.pool.committed(Round(1));
    // Executed in another order: nonce 1 is skipped, and nonce 0 is not executed at all.
    bench.execute(&[(0, 1)]);
    bench.submit(0, 0).unwrap();
    assert_eq!(bench.take(2), [(0, 0)]);
}

#[test]
fn senders_are_forgotten_once_everything_is_executed() {
    let mut bench = Bench::new(2);
    bench.submit(0, 0).unwrap();
    bench.submit(1, 0).unwrap();
    let taken = bench.take(1);
    bench.pool.committed(Round(1));
    bench.execute(&taken);
    assert!(bench.pool.senders.is_empty());
    assert!(bench.pool.settling.is_empty());
}

#[test]
fn the_same_transaction_waits_once_and_a_higher_fee_replaces_another() {
    let mut bench = Bench::new(1);
    bench.submit(0, 0).unwrap();
    bench.submit(0, 0).unwrap();
    assert_eq!(bench.pool.len(), 1);
    let fee = Amount(MIN_FEE.0 + 1);
    let dearer = bench.paying(0, 0, fee);
    bench.pool.submit(dearer.clone(), &bench.ledger).unwrap();
    assert_eq!(bench.pool.len(), 1);
    assert_eq!(bench.submit(0, 0), Err(Refused::NonceTaken { nonce: 0, fee }));
    assert_eq!(bench.pool.take(Round(1), &bench.ledger, 0), [dearer]);
}

#[test]
fn nonces_far_ahead_are_refused() {
    let mut bench = Bench::new(1);
    bench.submit(0, MAX_NONCE_AHEAD).unwrap();
    let refused = bench.submit(0, MAX_NONCE_AHEAD + 1);
    assert_eq!(refused, Err(Refused::ByLedger(Refusal::NonceTooHigh { expected: 0 })));
}

/// A full block leaves the rest in the queue, in order.
#[test]
fn a_block_takes_no_more_bytes_than_it_may() {
    let mut bench = Bench::new(2);
    let each = approximate_bytes(&bench.paying(0, 0, MIN_FEE));
    let fits = MAX_PAYLOAD_BYTES / each;
    for nonce in 0..=MAX_NONCE_AHEAD {
        bench.submit(0, nonce).unwrap();
        bench.submit(1, nonce).unwrap();
    }
    let first = bench.take(1);
    assert_eq!(first.len(), fits.min(MAX_BLOCK_TRANSACTIONS));
    let rest = bench.take(2);
    assert_eq!(first.len() + rest.len(), 2 * (MAX_NONCE_AHEAD as usize + 1));
    let mine = first.iter().chain(&rest).filter(|(sender, _)| *sender == 0);
    assert!(mine.map(|(_, nonce)| *nonce).eq(0..=MAX_NONCE_AHEAD));
}

/// A transfer waits for room on its lane, before it is proposed and after, and holds up nobody.
#[test]
fn transfers_on_a_full_lane_wait() {
    let mut bench = Bench::in_half(3);
    let transfer = |bench: &Bench, who, nonce, to| bench.moving(who, nonce, to, 1);
    // The second sender's transfer is proposed just before the lane is full.
    let proposed = transfer(&bench, 1, 0, AWAY);
    bench.pool.submit(proposed, &bench.ledger).unwrap();
    assert_eq!(bench.take(1), [(1, 0)]);
    let flood: Vec<Transaction> =
        (0..MAX_LANE_RECEIPTS).map(|nonce| transfer(&bench, 0, nonce, AWAY)).collect();
    bench.ledger.execute(&flood);
    bench.pool.committed(Round(1));
    bench.execute(&[]);
    let waits = transfer(&bench, 2, 0, AWAY);
    bench.pool.submit(waits, &bench.ledger).unwrap();
    assert_eq!(bench.take(2), [], "both wait");
    assert!(!bench.pool.is_ready(), "there is no hurry");
    assert_eq!(bench.pool.len(), 2);
    let stays = transfer(&bench, 0, MAX_LANE_RECEIPTS, bench.address(1));
    bench.pool.submit(stays, &bench.ledger).unwrap();
    assert_eq!(bench.take(3), [(0, MAX_LANE_RECEIPTS)]);

    // The lane has room again: here, in a state that was fetched.
    bench.ledger = Bench::in_half(3).ledger;
    bench.pool.synchronised(&bench.ledger);
    let mut taken = bench.take(4);
    taken.sort_unstable();
    assert_eq!(taken, [(1, 0), (2, 0)]);
}

/// A transfer to another shard that can never be executed is not proposed again and again.
#[test]
fn what_is_refused_for_good_does_not_wait() {
    let mut bench = Bench::in_half(2);
    let across = bench.moving(0, 1, AWAY, 1);
    bench.pool.submit(across, &bench.ledger).unwrap();
    bench.pool.submit(bench.moving(0, 0, AWAY, 1), &bench.ledger).unwrap();
    assert_eq!(bench.take(1), [(0, 0), (0, 1)]);
    // Another block spent everything first, under the same nonce.
    let all = bench.moving(0, 0, bench.address(1), 1_000_000 - MIN_FEE.0);
    bench.ledger.execute([&all]);
    bench.pool.committed(Round(1));
    bench.execute(&[]);
    assert_eq!((bench.pool.len(), bench.take(2)), (0, vec![]));
}
