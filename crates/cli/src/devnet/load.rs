//! A little traffic for a devnet: transfers among accounts of its own, at a steady rate.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow};
use qcn_crypto::{ChainId, Role, SigningKey};
use qcn_ledger::MIN_FEE;
use qcn_node::devnet::{Devnet, LOAD_ACCOUNTS};
use qcn_node::genesis::GenesisShard;
use qcn_node::keyfile::{self, PassphraseSource};
use qcn_types::{Action, Address, Amount, Layout, ShardId, Transaction, TransactionBody, encode};
use serde_json::{Value, json};

use crate::client::Client;

/// How long the loop rests between two looks at the clock.
const TICK: Duration = Duration::from_millis(10);

/// For how long a transfer that no node takes is tried again: about as long as an epoch changes.
const TRIED_AGAIN_FOR: Duration = Duration::from_secs(3);

/// What the load has done so far.
#[derive(Debug, Default)]
pub(super) struct LoadFigures {
    rate: AtomicU64,
    submitted: AtomicU64,
    /// Of those, how many paid to another shard.
    across: AtomicU64,
    refused: AtomicU64,
    /// From handing a sampled transfer in to its certificate, in microseconds.
    latency_us: AtomicU64,
    last_error: Mutex<Option<String>>,
}

impl LoadFigures {
    pub(super) fn line(&self) -> String {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let latency = match get(&self.latency_us) {
            0 => "-".to_owned(),
            us => format!("{:.0} ms", us as f64 / 1e3),
        };
        let error = self.last_error.lock().unwrap_or_else(PoisonError::into_inner);
        format!(
            "{} transfers/s wanted  {} submitted{}  {} refused  last one final after {latency}{}",
            f64::from_bits(get(&self.rate)),
            get(&self.submitted),
            match get(&self.across) {
                0 => String::new(),
                across => format!(", {across} across"),
            },
            get(&self.refused),
            error.as_ref().map_or_else(String::new, |error| format!("  ({error})")),
        )
    }

    pub(super) fn json(&self) -> Value {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        json!({
            "transfers_per_second": f64::from_bits(get(&self.rate)),
            "submitted": get(&self.submitted),
            "across": get(&self.across),
            "refused": get(&self.refused),
            "last_latency_ms": get(&self.latency_us) as f64 / 1e3,
        })
    }

    fn failed(&self, error: impl ToString) {
        self.refused.fetch_add(1, Ordering::Relaxed);
        *self.last_error.lock().unwrap_or_else(PoisonError::into_inner) = Some(error.to_string());
    }
}

/// A thread that sends transfers until it is told to stop.
pub(super) struct BackgroundLoad {
    thread: JoinHandle<()>,
    figures: Arc<LoadFigures>,
}

impl BackgroundLoad {
    pub(super) fn start(
        devnet: &Devnet,
        urls: &[String],
        rate: f64,
        stop: Arc<AtomicBool>,
    ) -> anyhow::Result<Self> {
        let figures = Arc::new(LoadFigures::default());
        figures.rate.store(rate.to_bits(), Ordering::Relaxed);
        let clients = urls
            .iter()
            .map(|url| Ok(Client::new(url.parse().map_err(|error: String| anyhow!(error))?)))
            .collect::<anyhow::Result<Vec<Client>>>()?;
        let senders = senders(&devnet.load_folder())?;
        let mut source = Source {
            chain: devnet.genesis().chain(),
            clients,
            layout: Arc::clone(devnet.genesis().layout()),
            hosts: hosts(devnet),
            senders,
            turn: 0,
            refused_since: None,
            sample: None,
            figures: Arc::clone(&figures),
        };
        let thread = std::thread::Builder::new()
            .name("load".to_owned())
            .spawn(move || source.run(rate, &stop))
            .context("starting the load")?;
        Ok(Self { thread, figures })
    }

    pub(super) fn figures(&self) -> Arc<LoadFigures> {
        Arc::clone(&self.figures)
    }

    pub(super) fn finish(self) -> anyhow::Result<()> {
        self.thread.join().map_err(|_| anyhow!("the load panicked"))
    }
}

struct Sender {
    key: SigningKey,
    address: Address,
    /// Unknown until the node was asked.
    next_nonce: Option<u64>,
    /// The node that took its last transfer, so that they arrive in order; another one once that
    /// has no seat in its shard any more.
    node: Option<usize>,
}

struct Source {
    chain: ChainId,
    clients: Vec<Client>,
    layout: Arc<Layout>,
    /// Which clients are of nodes that host a shard.
    hosts: BTreeMap<ShardId, Vec<usize>>,
    senders: Vec<Sender>,
    turn: usize,
    /// Since when no node takes the transfer whose turn it is.
    refused_since: Option<Instant>,
    /// A transfer whose way to its certificate is watched: where, which, since when.
    sample: Option<(usize, String, Instant)>,
    figures: Arc<LoadFigures>,
}

impl Source {
    fn run(&mut self, rate: f64, stop: &AtomicBool) {
        while !stop.load(Ordering::Relaxed) && !self.all_ready() {
            std::thread::park_timeout(10 * TICK);
        }
        let start = Instant::now();
        let mut sent = 0_u64;
        while !stop.load(Ordering::Relaxed) {
            let due = (start.elapsed().as_secs_f64() * rate) as u64;
            // After a pause of the machine it does not catch up with all at once.
            sent = sent.max(due.saturating_sub(1_000));
            while sent < due && !stop.load(Ordering::Relaxed) && self.send_one() {
                sent += 1;
            }
            self.watch_sample();
            std::thread::park_timeout(TICK);
        }
    }

    /// Whether every node knows a certified state, without which it tells no nonces.
    fn all_ready(&self) -> bool {
        self.hosts.iter().all(|(shard, hosts)| {
            let path = format!("/v1/shards/{shard}/supply");
            hosts.iter().all(|host| self.clients[*host].get::<Value>(&path).is_ok())
        })
    }

    /// Sends the next transfer. Says whether it is done with it: while an epoch changes no node may
    /// take it, and it is tried again.
    fn send_one(&mut self) -> bool {
        let at = (self.turn + 1) % self.senders.len();
        let shard = self.layout.shard_of(&self.senders[at].address);
        let to = self.senders[(at + 1) % self.senders.len()].address;
        let is_across = self.layout.shard_of(&to) != shard;
        let founder = self.hosts.get(&shard).filter(|hosts| !hosts.is_empty());
        let founder = founder.map_or(0, |hosts| hosts[at % hosts.len()]);
        let first = self.senders[at].node.unwrap_or(founder);
        let nodes = self.clients.len();
        let mut refusal = None;
        for node in (0..nodes).map(|step| (first + step) % nodes) {
            match self.hand_in(at, node, to) {
                Ok(id) => {
                    self.figures.submitted.fetch_add(1, Ordering::Relaxed);
                    self.figures.across.fetch_add(is_across.into(), Ordering::Relaxed);
                    self.sample.get_or_insert((node, id, Instant::now()));
                    self.refused_since = None;
                    self.turn += 1;
                    return true;
                }
                Err(error) => refusal = Some(error),
            }
        }
        let since = *self.refused_since.get_or_insert_with(Instant::now);
        let is_given_up = since.elapsed() >= TRIED_AGAIN_FOR;
        if let Some(error) = refusal.filter(|_| is_given_up) {
            self.figures.failed(error);
            self.refused_since = None;
            self.turn += 1;
        }
        is_given_up
    }

    /// Hands in a transfer of one account at one node.
    fn hand_in(&mut self, at: usize, node: usize, to: Address) -> anyhow::Result<String> {
        let (chain, client) = (self.chain, &self.clients[node]);
        let sender = &mut self.senders[at];
        // Another node may not know what the one before had taken in.
        let known = sender.next_nonce.take().filter(|_| sender.node == Some(node));
        let nonce = known.map_or_else(|| ask_nonce(client, sender.address), Ok)?;
        let transaction = transfer(chain, sender, nonce, to)?;
        client.submit(&encode(&transaction))?;
        (sender.next_nonce, sender.node) = (Some(nonce + 1), Some(node));
        Ok(transaction.body.id().to_string())
    }

    fn watch_sample(&mut self) {
        const GIVEN_UP_AFTER: Duration = Duration::from_secs(20);
        let Some((node, id, since)) = &self.sample else {
            return;
        };
        let answer = self.clients[*node].get::<Value>(&format!("/v1/transactions/{id}"));
        let is_final = answer.is_ok_and(|answer| answer["status"] == "final");
        if is_final {
            let us = since.elapsed().as_micros() as u64;
            self.figures.latency_us.store(us, Ordering::Relaxed);
        }
        if is_final || since.elapsed() > GIVEN_UP_AFTER {
            self.sample = None;
        }
    }
}

/// Which validators have a seat in each shard.
fn hosts(devnet: &Devnet) -> BTreeMap<ShardId, Vec<usize>> {
    let seats = |shard: &GenesisShard| shard.seats.iter().map(|seat| seat.position()).collect();
    devnet.genesis().shards().iter().map(|shard| (shard.id, seats(shard))).collect()
}

fn ask_nonce(client: &Client, address: Address) -> anyhow::Result<u64> {
    let account: Value = client.get(&format!("/v1/accounts/{address}"))?;
    account["next_nonce"].as_u64().context("the node did not say the next nonce")
}

fn transfer(
    chain: ChainId,
    sender: &Sender,
    nonce: u64,
    to: Address,
) -> anyhow::Result<Transaction> {
    let action = Action::Transfer { to, amount: Amount(1) };
    let body = TransactionBody { sender: sender.address, nonce, fee: MIN_FEE, action };
    let context = TransactionBody::signing_context(chain);
    let signature = sender.key.sign(&context, &encode(&body))?;
    Ok(Transaction { body, key: sender.key.public_key().clone(), signature })
}

fn senders(folder: &Path) -> anyhow::Result<Vec<Sender>> {
    let source = PassphraseSource::choose(None);
    let mut senders = Vec::new();
    for at in 0..LOAD_ACCOUNTS {
        let path = folder.join(format!("load-{at}.key"));
        if !path.exists() {
            anyhow::bail!(
                "{} is missing, an account of the devnet's own load: use --load 0, or --reset",
                path.display()
            );
        }
        let key = keyfile::load(&path, Role::Account, &source)?;
        let address = Address::of(key.public_key());
        senders.push(Sender { key, address, next_nonce: None, node: None });
    }
    Ok(senders)
}
