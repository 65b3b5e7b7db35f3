//! Transfers in the background, each followed until a node reports it final.
//!
//! Every account has one transfer under way at a time, and pays the next account in a ring. What
//! an honest node does not take, or forgets because it was killed, is handed to another one.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use qcn_crypto::{ChainId, Role, SigningKey};
use qcn_node::genesis::Genesis;
use qcn_node::keyfile::{self, PassphraseSource};
use qcn_types::{Action, Address, Amount, Transaction, TransactionBody, encode};

use crate::api::Api;
use crate::network::{Network, PAYERS};
use crate::patience::{pause, seconds};

/// After this long another node is asked to take a transfer.
const RESUBMIT_AFTER: Duration = Duration::from_millis(700);
/// How long the last transfers may take to become final.
const DRAIN_PATIENCE: Duration = seconds(30);
const AMOUNT: u64 = 1;
const FEE: u64 = 1;

/// A transfer that a node reported as final.
pub struct Final {
    pub id: String,
    pub height: u64,
    pub latency: Duration,
}

/// What was sent.
#[derive(Default)]
pub struct Sent {
    pub finals: Vec<Final>,
    /// The accounts, and how many transfers of each are final.
    pub nonces: Vec<(String, u64)>,
}

impl Sent {
    /// Adds what was sent later, by the same accounts.
    pub fn add(&mut self, later: Self) {
        self.finals.extend(later.finals);
        self.nonces = later.nonces;
    }

    /// What an account has paid, with fees.
    pub fn paid(&self, at: usize) -> u64 {
        self.nonces[at].1 * (AMOUNT + FEE)
    }

    /// What the account before it in the ring has paid to it.
    pub fn received(&self, at: usize) -> u64 {
        let payer = (at + self.nonces.len() - 1) % self.nonces.len();
        self.nonces[payer].1 * AMOUNT
    }

    /// The median time from submitting to a reported certificate.
    pub fn median_latency(&self) -> Duration {
        let mut latencies: Vec<_> = self.finals.iter().map(|one| one.latency).collect();
        latencies.sort();
        latencies.get(latencies.len() / 2).copied().unwrap_or_default()
    }
}

/// A thread that sends transfers until it is told to stop.
pub struct Traffic {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Sent>,
}

impl Traffic {
    pub fn start(network: &Network) -> Self {
        Self::start_after(network, &Sent::default())
    }

    /// Goes on after what the accounts have sent already.
    pub fn start_after(network: &Network, sent: &Sent) -> Self {
        let chain = Genesis::read(&network.genesis_file()).unwrap().chain();
        let nonce = |at: usize| sent.nonces.get(at).map_or(0, |(_, nonce)| *nonce);
        let payers: Vec<Payer> =
            (0..PAYERS).map(|at| Payer::load(network, at, nonce(at))).collect();
        let (apis, stop) = (network.honest_apis(), Arc::new(AtomicBool::new(false)));
        let told = Arc::clone(&stop);
        let thread = std::thread::spawn(move || Sender { chain, apis, turn: 0 }.run(payers, &told));
        Self { stop, thread }
    }

    /// Sends no more, and waits until all that was sent is final.
    pub fn stop(self) -> Sent {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().expect("all transfers become final")
    }
}

struct Payer {
    key: SigningKey,
    address: Address,
    nonce: u64,
    under_way: Option<UnderWay>,
}

struct UnderWay {
    id: String,
    bytes: Vec<u8>,
    begun: Instant,
    resubmit_at: Instant,
}

impl Payer {
    fn load(network: &Network, at: usize, nonce: u64) -> Self {
        let source = PassphraseSource::choose(None);
        let key = keyfile::load(&network.account_file(at), Role::Account, &source).unwrap();
        let address = Address::of(key.public_key());
        Self { key, address, nonce, under_way: None }
    }

    fn sign(&self, chain: ChainId, to: Address) -> UnderWay {
        let action = Action::Transfer { to, amount: Amount(AMOUNT) };
        let body =
            TransactionBody { sender: self.address, nonce: self.nonce, fee: Amount(FEE), action };
        let context = TransactionBody::signing_context(chain);
        let signature = self.key.sign(&context, &encode(&body)).unwrap();
        let id = body.id().to_string();
        let transaction = Transaction { body, key: self.key.public_key().clone(), signature };
        let now = Instant::now();
        UnderWay { id, bytes: encode(&transaction), begun: now, resubmit_at: now }
    }
}

struct Sender {
    chain: ChainId,
    apis: Vec<Api>,
    turn: usize,
}

impl Sender {
    fn run(mut self, mut payers: Vec<Payer>, told_to_stop: &AtomicBool) -> Sent {
        let mut finals = Vec::new();
        let mut drain_until = None;
        loop {
            let stopping = told_to_stop.load(Ordering::Relaxed);
            if stopping && payers.iter().all(|payer| payer.under_way.is_none()) {
                break;
            }
            if stopping {
                let deadline = *drain_until.get_or_insert(Instant::now() + DRAIN_PATIENCE);
                let waiting: Vec<_> =
                    payers.iter().filter_map(|payer| Some(&payer.under_way.as_ref()?.id)).collect();
                assert!(Instant::now() < deadline, "never final: {waiting:?}");
            }
            for at in 0..payers.len() {
                let to = payers[(at + 1) % payers.len()].address;
                finals.extend(self.attend(&mut payers[at], to, stopping));
            }
            pause(Duration::from_millis(2));
        }
        let nonces = payers.iter().map(|payer| (payer.address.0.to_string(), payer.nonce));
        Sent { finals, nonces: nonces.collect() }
    }

    /// Goes one step on with an account: submits, or asks what became of it.
    fn attend(&mut self, payer: &mut Payer, to: Address, stopping: bool) -> Option<Final> {
        if payer.under_way.is_none() && stopping {
            return None;
        }
        let mut one = payer.under_way.take().unwrap_or_else(|| payer.sign(self.chain, to));
        self.turn += 1;
        let api = &self.apis[self.turn % self.apis.len()];
        if Instant::now() >= one.resubmit_at {
            // Whoever does not take it is down, behind or busy: the next one is asked.
            if api.submit(&one.bytes).is_ok() {
                one.resubmit_at = Instant::now() + RESUBMIT_AFTER;
            }
            payer.under_way = Some(one);
            return None;
        }
        let known = api.get(&format!("/v1/transactions/{}", one.id)).unwrap_or_default();
        if known["status"] != "final" {
            payer.under_way = Some(one);
            return None;
        }
        assert_eq!(known["outcome"]["result"], "applied", "{known}");
        payer.nonce += 1;
        let height = known["height"].as_u64().expect("final at a height");
        Some(Final { id: one.id, height, latency: one.begun.elapsed() })
    }
}
