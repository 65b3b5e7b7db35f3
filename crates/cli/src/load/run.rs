//! The load itself: read the accounts, sign, send as planned, and look whether all became final.

use std::collections::{BTreeSet, VecDeque};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use qcn_crypto::{ChainId, Digest, SigningKey};
use qcn_types::Address;
use rayon::iter::{IntoParallelIterator as _, ParallelIterator as _};

use super::histogram::Histogram;
use super::lane::{Lane, Limits, fitting_batch, lock};
use super::report::{Counts, LoadReport, Measured};
use super::schedule::{Schedule, Slot};
use super::sender::{Prepared, Sender, paid_by, prepare, read_all, sample};
use super::watch::{Watch, follow};
use super::{verify, worker};
use crate::client::responses::Status;
use crate::client::{Client, NodeUrl};

/// Events of sampled transactions that one node sends a second, about.
const SAMPLED_PER_SECOND: f64 = 200.0;
/// The most sampled accounts of one node: their addresses, and those of whom they pay, are in the request,
/// and a node takes 32.
const SAMPLED_ACCOUNTS_MAX: usize = 16;
/// How many transactions are signed between two looks at the progress.
const SIGNED_AT_A_TIME: usize = 512;
/// The most bytes of transactions that are signed ahead.
pub const SIGNED_BYTES_MAX: u64 = 2 << 30;
/// Time for all threads to stand ready.
const RUN_UP: Duration = Duration::from_millis(50);
/// How often progress is shown.
const SHOW_EVERY: Duration = Duration::from_millis(100);

/// What load to put on which nodes.
#[derive(Debug, Clone)]
pub(crate) struct LoadOptions {
    /// The nodes that share the accounts.
    pub nodes: Vec<NodeUrl>,
    /// The accounts' keys. Nobody else may use them meanwhile.
    pub keys: Vec<SigningKey>,
    /// Transactions per second, at all nodes together.
    pub tps: f64,
    /// How long; until it is stopped if not given.
    pub duration: Option<Duration>,
    /// The most transactions in one request.
    pub batch: usize,
    /// How many requests may be under way to one node.
    pub connections: usize,
    /// Whether to sign before the measured time; needs a duration.
    pub sign_ahead: bool,
    /// How long to wait, after the last was sent, for all to become final.
    pub drain: Duration,
}

/// What a load is at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Reads the accounts.
    Accounts,
    /// Signs ahead.
    Signing,
    /// Sends.
    Sending,
    /// Waits until all is final everywhere.
    Draining,
}

/// How far a load is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Snapshot {
    /// What it is at.
    pub phase: Phase,
    /// How much of it is done: accounts, signatures, milliseconds, or accounts.
    pub done: u64,
    /// Of how much; zero if there is no end.
    pub of: u64,
    /// Transactions taken in by nodes.
    pub submitted: u64,
    /// Transactions refused for good.
    pub refused: u64,
    /// Transactions of the whole network that became final meanwhile.
    pub network_final: u64,
    /// Median latency from due to final so far, in microseconds.
    pub final_p50_us: u64,
}

/// Is told how far a load is.
pub(crate) trait Progress: Sync {
    /// Called about ten times a second.
    fn show(&self, snapshot: &Snapshot);
}

/// What all threads of a load share.
pub(super) struct Run {
    pub chain: ChainId,
    pub clients: Vec<Client>,
    pub senders: Vec<Sender>,
    pub lanes: Vec<Lane>,
    pub sampled: Vec<bool>,
    /// The shards of the accounts.
    pub shards: Vec<Option<u64>>,
    /// One for each node and shard: all of the first node, then those of the next.
    pub watches: Arc<Vec<Mutex<Watch>>>,
    pub counts: Counts,
    pub to_taken: Mutex<Histogram>,
    /// Why the load cannot go on.
    pub failure: Mutex<Option<anyhow::Error>>,
    limits: Mutex<Limits>,
}

/// Puts load on a network and looks whether all that was taken in became final everywhere.
///
/// `stop` ends the sending early; what was sent is still followed to its end.
///
/// # Errors
/// Options without sense, accounts that cannot pay, and nodes that cannot be reached at the
/// start or do not speak the protocol. What went wrong on the way is in the report.
pub(crate) fn run_load(
    options: &LoadOptions,
    progress: &dyn Progress,
    stop: &AtomicBool,
) -> anyhow::Result<LoadReport> {
    let schedule = plan(options)?;
    let clients: Vec<Client> = options.nodes.iter().cloned().map(Client::new).collect();
    let chain = chain_of_all(&clients)?;
    let accounts = options.keys.len() as u64;
    let mut show_account = |done| progress.show(&preparing(Phase::Accounts, done, accounts));
    let senders = read_all(&clients, &options.keys, &schedule, &mut show_account)?;
    let schemes = options.keys.iter().map(SigningKey::scheme);
    let batch = fitting_batch(schemes, options.batch);
    let mut lanes = Vec::new();
    for node in 0..clients.len() {
        let signed = if options.sign_ahead {
            sign_ahead(chain, &senders, &schedule, node, progress, stop)?
        } else {
            VecDeque::new()
        };
        lanes.push(Lane::new(schedule.lane(node), signed, batch));
    }
    let sampled = sample(&schedule, SAMPLED_PER_SECOND, SAMPLED_ACCOUNTS_MAX);
    let done = Arc::new(AtomicBool::new(false));
    let shards: BTreeSet<Option<u64>> = senders.iter().map(|sender| sender.shard).collect();
    let shards: Vec<Option<u64>> = shards.into_iter().collect();
    let watches = watch(&clients, &shards, &schedule, &senders, &sampled, &done)?;
    let start = Instant::now() + RUN_UP;
    let fresh_until = options.duration.map(|duration| start + duration);
    let again_until = fresh_until.map(|end| end + options.drain);
    let run = Run {
        chain,
        clients,
        senders,
        lanes,
        sampled,
        shards,
        watches,
        counts: Counts::default(),
        to_taken: Mutex::default(),
        failure: Mutex::default(),
        limits: Mutex::new(Limits { start, fresh_until, again_until }),
    };
    let sent_until = send(&run, options, progress, stop);
    if let Some(failure) = lock(&run.failure).take() {
        done.store(true, Ordering::Relaxed);
        return Err(failure);
    }
    let verdict = verify::all_final(&run, sent_until + options.drain, progress);
    done.store(true, Ordering::Relaxed);
    let measured = Measured { start, sent_until, verified_at: Instant::now(), batch };
    Ok(LoadReport::new(options, &run, &measured, &verdict))
}

/// The plan that the options describe.
fn plan(options: &LoadOptions) -> anyhow::Result<Schedule> {
    ensure!(!options.nodes.is_empty(), "no node to put load on; give --node URL");
    ensure!(!options.keys.is_empty(), "no account to send from; give --accounts-dir or --key");
    ensure!(
        options.tps.is_finite() && options.tps > 0.0,
        "--tps {} is no rate; give a number above 0",
        options.tps
    );
    ensure!(options.connections > 0, "--connections 0 would send nothing; give at least 1");
    let total = options.duration.map(|duration| {
        // At least one, so that a short load is not an empty one.
        ((options.tps * duration.as_secs_f64()).round() as u64).max(1)
    });
    ensure!(
        total.is_some() || !options.sign_ahead,
        "signing ahead needs to know how long; give --seconds or --sign-live"
    );
    let bytes = |key: &SigningKey| {
        (key.scheme().signature_bytes() + key.scheme().public_key_bytes()) as u64
    };
    let largest = options.keys.iter().map(bytes).max().unwrap_or(0);
    let signed = total.filter(|_| options.sign_ahead).unwrap_or(0).saturating_mul(largest);
    ensure!(
        signed <= SIGNED_BYTES_MAX,
        "{} transactions signed ahead would take {} MiB; give --sign-live, or lower --tps or \
         --seconds",
        total.unwrap_or(0),
        signed >> 20
    );
    Ok(Schedule {
        accounts: options.keys.len(),
        nodes: options.nodes.len(),
        tps: options.tps,
        total,
    })
}

fn preparing(phase: Phase, done: u64, of: u64) -> Snapshot {
    Snapshot { phase, done, of, submitted: 0, refused: 0, network_final: 0, final_p50_us: 0 }
}

/// The network that all nodes belong to.
fn chain_of_all(clients: &[Client]) -> anyhow::Result<ChainId> {
    let mut first: Option<(Digest, &Client)> = None;
    for client in clients {
        let status: Status = client.get("/v1/status")?;
        let chain: Digest = status
            .chain_id
            .parse()
            .with_context(|| format!("{}/v1/status gives no chain_id", client.url()))?;
        match first {
            None => first = Some((chain, client)),
            Some((expected, other)) if expected != chain => bail!(
                "{} belongs to the network {expected}, and {} to {chain}; give nodes of one \
                 network",
                other.url(),
                client.url()
            ),
            Some(_) => {}
        }
    }
    Ok(ChainId(first.map(|(chain, _)| chain).context("no node to put load on")?))
}

/// Signs all transactions of one node, on all processors.
fn sign_ahead(
    chain: ChainId,
    senders: &[Sender],
    schedule: &Schedule,
    node: usize,
    progress: &dyn Progress,
    stop: &AtomicBool,
) -> anyhow::Result<VecDeque<Prepared>> {
    let slots: Vec<Slot> = schedule.lane(node).rest().collect();
    let mut signed = VecDeque::with_capacity(slots.len());
    for part in slots.chunks(SIGNED_AT_A_TIME) {
        ensure!(!stop.load(Ordering::Relaxed), "stopped before all was signed");
        let part: Vec<Slot> = part.to_vec();
        let part: anyhow::Result<Vec<Prepared>> =
            part.into_par_iter().map(|slot| prepare(chain, senders, slot)).collect();
        signed.extend(part?);
        // The nodes' shares are about equal.
        let (nodes, total) = (schedule.nodes as u64, schedule.total.unwrap_or(0));
        let done = total / nodes * node as u64 + signed.len() as u64;
        progress.show(&preparing(Phase::Signing, done.min(total), total));
    }
    Ok(signed)
}

/// Follows the sampled accounts, each at its node and in its shard, and those of other shards that they
/// pay. Returns once all streams are open.
fn watch(
    clients: &[Client],
    shards: &[Option<u64>],
    schedule: &Schedule,
    senders: &[Sender],
    sampled: &[bool],
    done: &Arc<AtomicBool>,
) -> anyhow::Result<Arc<Vec<Mutex<Watch>>>> {
    let watches: Arc<Vec<Mutex<Watch>>> =
        Arc::new((0..clients.len() * shards.len()).map(|_| Mutex::default()).collect());
    let (opened, opens) = mpsc::channel();
    let streams = clients.iter().enumerate();
    let streams =
        streams.flat_map(|(node, client)| shards.iter().map(move |it| (node, client, it)));
    for (place, (node, client, shard)) in streams.enumerate() {
        let of_node = (0..senders.len())
            .filter(|account| schedule.node_of(*account) == node && sampled[*account]);
        let followed = of_node.flat_map(|account| {
            let paid = paid_by(account, senders.len());
            let is_across = senders[paid].shard != senders[account].shard;
            std::iter::once(account).chain(is_across.then_some(paid))
        });
        let addresses: BTreeSet<Address> = followed
            .filter(|account| senders[*account].shard == *shard)
            .map(|account| senders[account].address)
            .collect();
        let (client, watches) = (client.clone(), Arc::clone(&watches));
        let (done, opened) = (Arc::clone(done), opened.clone());
        // Not joined: it may wait for a silent node when all else has ended.
        let shard = *shard;
        std::thread::spawn(move || {
            follow(&client, shard, &addresses, &watches[place], &done, &opened);
        });
    }
    drop(opened);
    for outcome in opens.iter().take(watches.len()) {
        if let Err(error) = outcome {
            done.store(true, Ordering::Relaxed);
            return Err(error.context("cannot follow a node's events"));
        }
    }
    Ok(watches)
}

/// Sends all as planned. Returns when the last was sent.
fn send(run: &Run, options: &LoadOptions, progress: &dyn Progress, stop: &AtomicBool) -> Instant {
    let working = AtomicUsize::new(run.lanes.len() * options.connections);
    std::thread::scope(|scope| {
        for node in 0..run.lanes.len() {
            for _ in 0..options.connections {
                let working = &working;
                scope.spawn(move || {
                    worker::work(run, node);
                    working.fetch_sub(1, Ordering::Relaxed);
                });
            }
        }
        while working.load(Ordering::Relaxed) > 0 {
            if stop.load(Ordering::Relaxed) {
                run.end(options.drain);
            }
            progress.show(&run.snapshot(options.duration));
            std::thread::park_timeout(SHOW_EVERY);
        }
    });
    Instant::now()
}

impl Run {
    /// When the sending ends.
    pub fn limits(&self) -> Limits {
        *lock(&self.limits)
    }

    /// Sends nothing new from now on.
    fn end(&self, drain: Duration) {
        let mut limits = lock(&self.limits);
        let now = Instant::now();
        if limits.fresh_until.is_none_or(|end| end > now) {
            limits.fresh_until = Some(now);
            limits.again_until = Some(now + drain);
        }
    }

    /// The load cannot go on.
    pub fn fail(&self, error: anyhow::Error) {
        lock(&self.failure).get_or_insert(error);
        self.end(Duration::ZERO);
        // Also what was to be tried again is given up.
        lock(&self.limits).again_until = Some(Instant::now());
    }

    /// How far the sending is.
    fn snapshot(&self, duration: Option<Duration>) -> Snapshot {
        let elapsed = Instant::now().saturating_duration_since(self.limits().start);
        let of = duration.map_or(0, as_ms);
        let done = if of == 0 { as_ms(elapsed) } else { as_ms(elapsed).min(of) };
        self.counted(Phase::Sending, done, of)
    }

    /// What a node tells of the shard of an account.
    pub fn watch_of(&self, node: usize, account: usize) -> &Mutex<Watch> {
        let shard = self.senders[account].shard;
        let place = self.shards.iter().position(|one| *one == shard).unwrap_or(0);
        &self.watches[node * self.shards.len() + place]
    }

    /// What a node tells of the shard of whom an account pays, if that is another one.
    pub fn arrivals_of(&self, node: usize, account: usize) -> Option<&Mutex<Watch>> {
        let paid = paid_by(account, self.senders.len());
        let is_across = self.senders[paid].shard != self.senders[account].shard;
        is_across.then(|| self.watch_of(node, paid))
    }

    /// A snapshot with what is counted so far.
    pub fn counted(&self, phase: Phase, done: u64, of: u64) -> Snapshot {
        let mut of_shards = vec![0; self.shards.len().max(1)];
        let mut to_final = Histogram::default();
        for (place, watch) in self.watches.iter().enumerate() {
            let watch = lock(watch);
            let of_shard = &mut of_shards[place % self.shards.len().max(1)];
            *of_shard = watch.network_final.max(*of_shard);
            to_final.merge(&watch.to_final);
        }
        let network_final = of_shards.iter().sum();
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Snapshot {
            phase,
            done,
            of,
            submitted: count(&self.counts.submitted),
            refused: count(&self.counts.refused),
            network_final,
            final_p50_us: to_final.percentile_us(50.0),
        }
    }
}

fn as_ms(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
