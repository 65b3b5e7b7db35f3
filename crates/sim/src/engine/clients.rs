//! Clients: accounts that send signed transfers to each other, each through one validator.
//!
//! An account sends in order of nonces and looks after what it sent: what its validator lost in
//! a crash or refused for now, it hands in again.

use std::collections::BTreeMap;
use std::sync::Arc;

use qcn_crypto::{ChainId, SeededRandomness};
use qcn_ledger::{MIN_FEE, Outcome, Refusal};
use qcn_shard::{Event, Refused};
use qcn_types::{
    Action, Address, Amount, Transaction, TransactionBody, TransactionId, ValidatorIndex, encode,
};

use super::tasks::Task;
use super::{Engine, Happening, Setup};
use crate::costs::{self, Work};
use crate::keys::account_key;
use crate::random::Random;
use crate::trace::{Kind, short};

/// How often clients look after their transactions, in microseconds.
const PATIENCE_INTERVAL_US: u64 = 1_000_000;
/// After how long a client hands in a transaction again, in microseconds.
const PATIENCE_US: u64 = 8_000_000;
/// The most transactions that an account has under way; then it waits.
const MAX_UNDER_WAY: usize = 128;
/// How much a generated transfer moves.
const TRANSFER_AMOUNT: u64 = 1;

/// Who submits how much.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Load {
    /// The time from one transaction to the next, over all clients, in microseconds.
    pub interval_us: u64,
    /// When the first is submitted, in microseconds.
    pub from_us: u64,
    /// When no more are submitted, in microseconds.
    pub until_us: u64,
    /// Whether validators get clients by their weight; otherwise all alike.
    pub by_weight: bool,
}

impl Load {
    /// So many transactions per second, from the start to the end of the run.
    #[must_use]
    pub const fn per_second(transactions: u64) -> Self {
        let transactions = if transactions == 0 { 1 } else { transactions };
        let interval_us = 1_000_000 / transactions;
        Self {
            interval_us: if interval_us == 0 { 1 } else { interval_us },
            from_us: 0,
            until_us: u64::MAX,
            by_weight: false,
        }
    }
}

/// One account and what it has under way.
#[derive(Clone, Debug)]
struct Client {
    address: Address,
    number: usize,
    validator: ValidatorIndex,
    next_nonce: u64,
    under_way: BTreeMap<u64, (TransactionId, Arc<Transaction>, u64)>,
}

/// All clients of a run.
#[derive(Debug)]
pub(crate) struct Clients {
    load: Option<Load>,
    clients: Vec<Client>,
    /// Which client and nonce a transaction under way is.
    by_id: BTreeMap<TransactionId, (u32, u64)>,
    random: Random,
    randomness: SeededRandomness,
    chain: ChainId,
}

impl Clients {
    pub(super) fn new(setup: &Setup, load: Option<Load>) -> Self {
        let mut random = Random::new(setup.seed, "clients");
        let committee = setup.keys.committee();
        let by_weight = load.is_some_and(|load| load.by_weight);
        let numbered = setup.accounts.iter().zip(setup.account_numbers.iter()).enumerate();
        let clients = numbered.map(|(place, (account, number))| {
            let validator = if by_weight {
                by_weight_of(committee, random.below(committee.total_weight()))
            } else {
                place % committee.len()
            };
            Client {
                address: account.address,
                number: *number,
                validator: ValidatorIndex(validator as u16),
                next_nonce: 0,
                under_way: BTreeMap::new(),
            }
        });
        Self {
            load: load.filter(|_| setup.accounts.len() > 1),
            clients: clients.collect(),
            by_id: BTreeMap::new(),
            random,
            randomness: SeededRandomness::from_u64(setup.seed, "clients"),
            chain: setup.keys.chain(),
        }
    }

    pub(super) fn first_submission(&self) -> Option<u64> {
        self.load.map(|load| load.from_us)
    }

    /// The address of an account by its number.
    pub(crate) fn address(&self, account: usize) -> Option<Address> {
        self.clients.get(account).map(|client| client.address)
    }

    /// The validator through which an account sends.
    pub(crate) fn validator_of(&self, account: usize) -> Option<ValidatorIndex> {
        self.clients.get(account).map(|client| client.validator)
    }

    /// The validator through which an address sends, if it is one of these accounts.
    pub(crate) fn served_by(&self, address: &Address) -> Option<ValidatorIndex> {
        let mut clients = self.clients.iter();
        clients.find(|client| client.address == *address).map(|client| client.validator)
    }

    /// A signed transfer with the account's next nonce.
    pub(crate) fn transfer(
        &mut self,
        from: usize,
        to: Address,
        amount: u64,
    ) -> Option<Transaction> {
        let client = self.clients.get_mut(from)?;
        let body = TransactionBody {
            sender: client.address,
            nonce: client.next_nonce,
            fee: MIN_FEE,
            action: Action::Transfer { to, amount: Amount(amount) },
        };
        client.next_nonce += 1;
        let key = account_key(client.number);
        let context = TransactionBody::signing_context(self.chain);
        let signature = key.sign_seeded(&context, &encode(&body), &mut self.randomness).ok()?;
        Some(Transaction { body, key: key.public_key().clone(), signature })
    }

    /// Takes over what clients of the epoch before have under way, with their nonces.
    pub(crate) fn take_over(&mut self, before: &Self) {
        for client in &mut self.clients {
            let mut others = before.clients.iter();
            let Some(other) = others.find(|other| other.address == client.address) else {
                continue;
            };
            client.next_nonce = other.next_nonce;
            client.under_way.clone_from(&other.under_way);
        }
        for (place, client) in self.clients.iter().enumerate() {
            let ids =
                client.under_way.iter().map(|(nonce, (id, ..))| (*id, (place as u32, *nonce)));
            self.by_id.extend(ids);
        }
    }

    /// How many accounts there are.
    pub(crate) fn len(&self) -> usize {
        self.clients.len()
    }

    /// An account at random that has room for one more under way.
    pub(crate) fn draw_sender(&mut self) -> Option<usize> {
        let count = self.clients.len() as u64;
        let first = self.random.below(count);
        (0..count)
            .map(|step| ((first + step) % count) as usize)
            .find(|client| self.clients[*client].under_way.len() < MAX_UNDER_WAY)
    }

    /// An account and another one, at random; the first has room for one more under way.
    pub(crate) fn draw_pair(&mut self) -> Option<(usize, usize)> {
        let count = self.clients.len() as u64;
        if count < 2 {
            return None;
        }
        let from = self.draw_sender()?;
        let to = (from as u64 + 1 + self.random.below(count - 1)) % count;
        Some((from, to as usize))
    }

    fn note_under_way(&mut self, account: usize, transaction: &Arc<Transaction>, now: u64) {
        let id = transaction.body.id();
        let nonce = transaction.body.nonce;
        self.by_id.insert(id, (account as u32, nonce));
        self.clients[account].under_way.insert(nonce, (id, Arc::clone(transaction), now));
    }

    /// Sees what became of transactions, at the validator where they were handed in.
    pub(super) fn event(&mut self, validator: ValidatorIndex, event: &Event) {
        match event {
            Event::Executed { outcomes, .. } => {
                // What came before those ahead of it was lost, say: it is handed in again.
                let is_final = |outcome: &Outcome| {
                    !matches!(outcome, Outcome::Skipped(refusal)
                        if !matches!(refusal, Refusal::NonceTooLow { .. }))
                };
                let done = outcomes.iter().filter(|(_, outcome)| is_final(outcome));
                done.for_each(|(id, _)| self.finished(validator, id));
            }
            // Executed while its validator was away.
            Event::Refused { id, refusal: Refused::ByLedger(Refusal::NonceTooLow { .. }) } => {
                self.finished(validator, id);
            }
            _ => {}
        }
    }

    fn finished(&mut self, validator: ValidatorIndex, id: &TransactionId) {
        if let Some((client, nonce)) = self.by_id.get(id).copied()
            && self.clients[client as usize].validator == validator
        {
            self.by_id.remove(id);
            self.clients[client as usize].under_way.remove(&nonce);
        }
    }

    /// A validator has lost its memory: what was handed in there is due at once.
    pub(crate) fn stopped(&mut self, validator: ValidatorIndex) {
        for client in self.clients.iter_mut().filter(|client| client.validator == validator) {
            for (_, _, handed_in) in client.under_way.values_mut() {
                *handed_in = 0;
            }
        }
    }

    /// What has taken too long, in order of accounts and nonces.
    fn overdue(
        &mut self,
        now: u64,
        only: Option<ValidatorIndex>,
    ) -> Vec<(ValidatorIndex, Arc<Transaction>)> {
        let mut overdue = Vec::new();
        let is_meant = |client: &&mut Client| only.is_none_or(|only| client.validator == only);
        for client in self.clients.iter_mut().filter(is_meant) {
            for (_, transaction, handed_in) in client.under_way.values_mut() {
                if *handed_in + PATIENCE_US <= now {
                    *handed_in = now;
                    overdue.push((client.validator, Arc::clone(transaction)));
                }
            }
        }
        overdue
    }
}

/// The member whose share of the weight holds `point`.
fn by_weight_of(committee: &qcn_types::Committee, mut point: u64) -> usize {
    for index in committee.indices() {
        let weight = committee.weight(index);
        if point < weight {
            return index.position();
        }
        point -= weight;
    }
    0
}

impl Engine {
    /// The next generated transfer, and when the one after it comes.
    pub(super) fn client_submits(&mut self) {
        let Some(load) = self.clients.load else {
            return;
        };
        if self.now >= load.until_us {
            return;
        }
        self.submit_generated();
        self.queue.push(self.now + load.interval_us, Happening::Client);
    }

    /// Submits a transfer between two accounts drawn at random.
    pub(crate) fn submit_generated(&mut self) -> Option<TransactionId> {
        let (from, to) = self.clients.draw_pair()?;
        let to = self.clients.address(to)?;
        self.submit_transfer(from, to, TRANSFER_AMOUNT)
    }

    /// Submits a transfer from an account through its validator.
    pub(crate) fn submit_transfer(
        &mut self,
        from: usize,
        to: Address,
        amount: u64,
    ) -> Option<TransactionId> {
        let transaction = Arc::new(self.clients.transfer(from, to, amount)?);
        let validator = self.clients.validator_of(from)?;
        self.clients.note_under_way(from, &transaction, self.now);
        self.metrics.submitted(self.now, validator, transaction.body.id());
        Some(self.submit(validator, &transaction))
    }

    /// Hands a transaction in at a validator.
    pub(crate) fn submit(
        &mut self,
        validator: ValidatorIndex,
        transaction: &Transaction,
    ) -> TransactionId {
        let id = transaction.body.id();
        self.record(Kind::Submit, validator.0, 0, short(&id.0));
        for at in self.instances(validator.position()).to_vec() {
            let process = &mut self.processes[at as usize];
            if process.is_up() {
                let cost = process.cpu.charge(Work::Verify, costs::VERIFY_TRANSACTION_NS)
                    + process.cpu.charge(Work::Messages, costs::MESSAGE_NS);
                self.submit_task(at, Task::Submit(Box::new(transaction.clone())), cost);
            }
        }
        id
    }

    pub(super) fn clients_lose_patience(&mut self) {
        self.clients_lose_patience_with(None);
        self.queue.push(self.now + PATIENCE_INTERVAL_US, Happening::Patience);
    }

    /// What has taken too long is handed in again, at one validator or at all.
    pub(super) fn clients_lose_patience_with(&mut self, only: Option<ValidatorIndex>) {
        for (validator, transaction) in self.clients.overdue(self.now, only) {
            let up = self.instances(validator.position());
            if up.iter().any(|at| self.processes[*at as usize].is_up()) {
                self.submit(validator, &transaction);
            }
        }
    }
}
