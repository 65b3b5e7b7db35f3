//! A network of nodes that is played by the test: one ledger, which executes at once what is
//! handed in, behind several addresses.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use qcn_types::{Action, Bounded, Transaction, decode};
use serde_json::{Value, json};

use crate::server::{Answer, Request, Server};

/// What every account has in the beginning.
pub const BALANCE: u64 = 1_000_000;
/// The network.
pub const CHAIN: &str = "1111111111111111111111111111111111111111111111111111111111111111";

#[derive(Default)]
struct Ledger {
    /// Nonce and balance, by address.
    accounts: BTreeMap<String, (u64, u64)>,
    genesis: u64,
    fees: u64,
    height: u64,
    /// By id: height and outcome.
    executed: BTreeMap<String, (u64, Value)>,
    subscribers: Vec<(Vec<String>, mpsc::Sender<String>)>,
}

/// Asked before the node answers: the node's number, and what is asked.
type Before = dyn Fn(usize, &Request) -> Option<Answer> + Send + Sync;
/// May change what a node says of an account: its number, nonce and balance.
type Account = dyn Fn(usize, u64, u64) -> (u64, u64) + Send + Sync;

/// A network of honest nodes, and what is wrong with them.
pub struct Network {
    ledger: Arc<Mutex<Ledger>>,
    before: Arc<Before>,
    account: Arc<Account>,
    /// The outcome of every transaction.
    outcome: Value,
    /// How late batches are answered.
    late: Duration,
}

impl Network {
    pub fn new(addresses: &[String]) -> Self {
        let accounts = addresses.iter().map(|address| (address.clone(), (0, BALANCE))).collect();
        let genesis = BALANCE * addresses.len() as u64;
        let ledger = Ledger { accounts, genesis, ..Ledger::default() };
        Self {
            ledger: Arc::new(Mutex::new(ledger)),
            before: Arc::new(|_, _| None),
            account: Arc::new(|_, nonce, balance| (nonce, balance)),
            outcome: json!({ "result": "applied" }),
            late: Duration::ZERO,
        }
    }

    /// Answers some requests otherwise.
    pub fn before(
        mut self,
        before: impl Fn(usize, &Request) -> Option<Answer> + Send + Sync + 'static,
    ) -> Self {
        self.before = Arc::new(before);
        self
    }

    /// Says something else of the accounts.
    pub fn account(
        mut self,
        account: impl Fn(usize, u64, u64) -> (u64, u64) + Send + Sync + 'static,
    ) -> Self {
        self.account = Arc::new(account);
        self
    }

    /// Executes everything with this outcome.
    pub fn outcome(mut self, outcome: Value) -> Self {
        self.outcome = outcome;
        self
    }

    /// Executes batches at once and answers later.
    pub fn late(mut self, late: Duration) -> Self {
        self.late = late;
        self
    }

    /// Starts so many nodes.
    pub fn start(self, nodes: usize) -> Vec<Server> {
        let network = Arc::new(self);
        let node = |number| {
            let network = Arc::clone(&network);
            Server::new(move |request| network.answer(number, &request))
        };
        (0..nodes).map(node).collect()
    }

    fn answer(&self, number: usize, request: &Request) -> Answer {
        if let Some(answer) = (self.before)(number, request) {
            return answer;
        }
        let (path, query) = request.path.split_once('?').unwrap_or((&request.path, ""));
        let parts: Vec<&str> = path.split('/').skip(2).collect();
        match (request.method.as_str(), parts.as_slice()) {
            ("GET", ["status"]) => Answer::ok(crate::query::STATUS),
            ("GET", ["accounts", address]) => self.show_account(number, address),
            ("GET", ["supply"]) => self.show_supply(),
            ("GET", ["transactions", id]) => self.show_transaction(id),
            ("GET", ["events"]) => self.subscribe(query),
            ("POST", ["transactions"]) => {
                let id = self.execute(vec![decode(&request.body).unwrap()]).remove(0);
                Answer::Json(202, json!({ "id": id }).to_string())
            }
            ("POST", ["transactions", "batch"]) => {
                let batch: Bounded<Transaction, 2_000> = decode(&request.body).unwrap();
                let ids = self.execute(batch.into_inner());
                let results: Vec<Value> = ids.iter().map(|id| json!({ "id": id })).collect();
                let answer = Answer::ok(json!({ "results": results }).to_string());
                Answer::Late(self.late, Box::new(answer))
            }
            _ => Answer::refused(404, "not_found", "there is no such thing", "look elsewhere"),
        }
    }

    fn show_account(&self, number: usize, address: &str) -> Answer {
        let ledger = self.ledger.lock().unwrap();
        let known = ledger.accounts.get(address).copied();
        let (nonce, balance) = known.unwrap_or_default();
        let (nonce, balance) = (self.account)(number, nonce, balance);
        let account = json!({
            "address": address, "exists": known.is_some(), "balance": balance.to_string(),
            "nonce": nonce, "next_nonce": nonce, "key": address, "height": ledger.height,
        });
        Answer::ok(account.to_string())
    }

    fn show_supply(&self) -> Answer {
        let ledger = self.ledger.lock().unwrap();
        let balances: u64 = ledger.accounts.values().map(|account| account.1).sum();
        let supply = json!({
            "balances": balances.to_string(), "fees": ledger.fees.to_string(), "in_flight": "0",
            "genesis": ledger.genesis.to_string(), "height": ledger.height,
        });
        Answer::ok(supply.to_string())
    }

    fn show_transaction(&self, id: &str) -> Answer {
        let ledger = self.ledger.lock().unwrap();
        let answer = match ledger.executed.get(id) {
            None => json!({ "id": id, "status": "unknown" }),
            Some((height, outcome)) => json!({
                "id": id, "status": "final", "height": height, "position": 0, "outcome": outcome,
            }),
        };
        Answer::ok(answer.to_string())
    }

    fn subscribe(&self, query: &str) -> Answer {
        let addresses = query.split("address=").nth(1).unwrap_or_default();
        let addresses = addresses.split(',').map(str::to_owned).collect();
        let (sender, receiver) = mpsc::channel();
        sender.send(": welcome\n\n".to_owned()).unwrap();
        self.ledger.lock().unwrap().subscribers.push((addresses, sender));
        Answer::Events(receiver)
    }

    /// Executes transactions as one checkpoint, which is certified at once.
    fn execute(&self, transactions: Vec<Transaction>) -> Vec<String> {
        let mut ledger = self.ledger.lock().unwrap();
        ledger.height += 1;
        let height = ledger.height;
        let mut ids = Vec::new();
        let mut events = vec![(None, "executed", json!({ "height": height, "transactions": 1 }))];
        for transaction in transactions {
            let body = transaction.body;
            let (sender, id) = (body.sender.to_string(), body.id().to_string());
            ledger.fees += body.fee.0;
            let account = ledger.accounts.get_mut(&sender).unwrap();
            account.0 += 1;
            account.1 -= body.fee.0;
            if let Action::Transfer { to, amount } = body.action {
                account.1 -= amount.0;
                ledger.accounts.entry(to.to_string()).or_default().1 += amount.0;
            }
            let event = json!({ "id": id, "height": height, "outcome": self.outcome });
            events.push((Some(sender), "transaction", event));
            ledger.executed.insert(id.clone(), (height, self.outcome.clone()));
            ids.push(id);
        }
        events.push((None, "certified", json!({ "height": height, "digest": CHAIN })));
        for (sender, name, event) in events {
            let text = format!("event: {name}\ndata: {event}\n\n");
            ledger.subscribers.retain(|(addresses, subscriber)| {
                let is_wanted = sender.as_ref().is_none_or(|sender| addresses.contains(sender));
                !is_wanted || subscriber.send(text.clone()).is_ok()
            });
        }
        ids
    }
}
