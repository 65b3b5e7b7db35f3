//! How long a shard of many accounts pauses while it splits, in four nodes of one process, and what
//! that means to those who pay meanwhile.
//!
//! `cargo run --release -p qcn-node --example split_pause -- 1000000` prints, for a new committee and
//! for the split, for each shard that opens:
//! - its pause: the wall time from when the first node sees the end of the old epoch certified to when
//!   the first node sees a checkpoint of the new epoch certified;
//! - how many transfers waited: handed in before the pause was over, and not executed before it;
//! - the longest time that one of them took, from when it was handed in to when the first node sees a
//!   checkpoint certified that has it.
//!
//! All the while 50 transfers a second are handed in, so that there is always a checkpoint to make:
//! idle shards make one a second. At the end it prints how much memory the process took.

use std::collections::{BTreeMap, VecDeque};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use qcn_crypto::{ChainId, Domain, Role, Scheme, SigningKey, hash};
use qcn_ledger::{Ledger, MIN_FEE};
use qcn_node::devnet::{Devnet, DevnetPlan, read_node};
use qcn_node::genesis::{EpochsContent, Genesis, NamedAccount, ShardsContent};
use qcn_node::keyfile::{self, PassphraseSource};
use qcn_node::runtime::{Node, initialise};
use qcn_node::view::View;
use qcn_node::votes::{Vote, Votes};
use qcn_types::{
    Action, Address, Amount, BEACON, Epoch, ShardId, Transaction, TransactionBody, encode,
};

/// How often the nodes are looked at.
const LOOK_INTERVAL: Duration = Duration::from_millis(2);

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(300);

/// How many accounts pay each other: enough that each half after the split has some.
const PAYERS: usize = 16;

/// How often one of them pays.
const PAY_INTERVAL: Duration = Duration::from_millis(20);

/// A transfer that was not executed for so long is handed in again: an epoch that ends may lose it.
const HAND_IN_AGAIN: Duration = Duration::from_secs(1);

fn main() -> Result<()> {
    let accounts: usize = match std::env::args().nth(1) {
        Some(count) => count.parse().context("the number of accounts")?,
        None => 100_000,
    };
    let folder = std::env::temp_dir().join(format!("qcn-split-{}", std::process::id()));
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let measured = runtime.block_on(measure(&folder, accounts));
    let removed = fs::remove_dir_all(&folder);
    measured?;
    Ok(removed?)
}

async fn measure(folder: &Path, accounts: usize) -> Result<()> {
    let Network { nodes, folders, load } = start(folder, accounts).await?;
    let making_mib = peak_memory_mib()?;
    forget_peak_memory()?;
    println!("{accounts} accounts, 4 validators in one process, epochs of 15 s");
    let mut watch = Watch { seen: BTreeMap::new(), load };
    let first = [ShardId(0)];
    watch.until(&nodes, "the first epoch opens", |it| it.has_opened(Epoch(0), &first)).await?;
    ensure!(!watch.has_opened(Epoch(1), &first), "it was over before all nodes had started");
    let before_mib = peak_memory_mib()?;
    watch.change(&nodes, Epoch(1), &first).await?;
    for data in &folders {
        let mut votes = Votes::read(data)?;
        votes.cast(Vote::Split { shard: 0 }, Duration::from_secs(600));
        votes.write(data)?;
    }
    watch.change(&nodes, Epoch(2), &[ShardId(0), ShardId(1)]).await?;
    watch.load.print();
    println!(
        "memory: at most {making_mib} MiB while the nodes were made; then, without what only that \
         needed, at most {before_mib} MiB before the first change and {} MiB in all",
        peak_memory_mib()?
    );
    for node in nodes {
        node.stop().await;
    }
    Ok(())
}

/// What is measured.
struct Network {
    nodes: Vec<Node>,
    /// Where their operators' votes are.
    folders: Vec<PathBuf>,
    load: Load,
}

/// Starts the nodes. What only this needs, such as the genesis, ends with it.
async fn start(folder: &Path, accounts: usize) -> Result<Network> {
    let epochs =
        EpochsContent { epoch_ms: 15_000, shards_max: 4, split_above: 1_000_000, merge_below: 0 };
    let plan = DevnetPlan {
        weights: vec![1_000; 4],
        accounts: PAYERS,
        account_scheme: Scheme::Falcon512,
        balance: 1_000_000_000,
        first_port: 27_000,
        shards: Some(ShardsContent { count: 1, seats: 4, epochs: Some(epochs) }),
    };
    let devnet = Devnet::create(folder, &plan, |_, _| {})?;
    let mut content = devnet.genesis().content().clone();
    content.accounts.extend((0..accounts).map(|number| NamedAccount {
        address: Address(hash(Domain::Address, &number.to_le_bytes())),
        balance: 1,
        name: None,
    }));
    // It is too long for a file.
    let genesis = Genesis::new(content)?;
    let (mut nodes, mut folders) = (Vec::new(), Vec::new());
    for file in devnet.config_files() {
        let (_, config, keys) = read_node(&file)?;
        fs::remove_dir_all(&config.data)?;
        initialise(&genesis, &config, &keys)?;
        nodes.push(Node::start(&genesis, &config, keys).await?);
        folders.push(config.data);
    }
    let load = Load::new(genesis.chain(), &devnet.accounts_folder())?;
    Ok(Network { nodes, folders, load })
}

/// When checkpoints of a shard in an epoch were first seen certified, at any node.
struct Seen {
    first: Instant,
    /// The newest one, and its height.
    last: Instant,
    height: u64,
}

/// Looks at the nodes, and has transfers handed in, all the time.
struct Watch {
    seen: BTreeMap<(Epoch, ShardId), Seen>,
    load: Load,
}

impl Watch {
    /// Waits until shards are certified in an epoch, and everything is executed that was handed in
    /// before; prints for how long each has paused, and who has waited.
    async fn change(&mut self, nodes: &[Node], epoch: Epoch, shards: &[ShardId]) -> Result<()> {
        self.until(nodes, "the epoch opens", |watch| watch.has_opened(epoch, shards)).await?;
        let opened = Instant::now();
        let what = "what has waited is executed";
        self.until(nodes, what, |watch| !watch.load.has_pending_from_before(opened)).await?;
        let before = self.seen.iter().filter(|((it, _), _)| it.0 + 1 == epoch.0);
        let closed = before.map(|(_, seen)| seen.last).max();
        let closed = closed.context("the epoch before was not seen")?;
        for shard in shards {
            let opened = self.seen[&(epoch, *shard)].first;
            let pause_ms = opened.saturating_duration_since(closed).as_millis();
            let is_of_shard = |it: &&Executed| (it.epoch, it.shard) == (epoch, *shard);
            let waited = self.load.executed.iter().filter(is_of_shard);
            let waited: Vec<_> = waited.filter(|it| it.handed_in < opened).collect();
            let longest_ms = waited.iter().map(|it| it.took().as_millis()).max().unwrap_or(0);
            let again = waited.iter().filter(|it| it.was_handed_in_again).count();
            println!(
                "epoch {epoch}: shard {shard} paused for {pause_ms} ms; {} transfers waited, the \
                 longest took {longest_ms} ms, {again} were handed in again",
                waited.len()
            );
        }
        Ok(())
    }

    fn has_opened(&self, epoch: Epoch, shards: &[ShardId]) -> bool {
        shards.iter().all(|shard| self.seen.contains_key(&(epoch, *shard)))
    }

    /// Goes on until something is so.
    async fn until(
        &mut self,
        nodes: &[Node],
        what: &str,
        is_so: impl Fn(&Self) -> bool,
    ) -> Result<()> {
        let begun = Instant::now();
        while !is_so(self) {
            ensure!(begun.elapsed() < PATIENCE, "after {PATIENCE:?}: not so that {what}");
            self.look(nodes);
            self.load.pay(nodes)?;
            tokio::time::sleep(LOOK_INTERVAL).await;
        }
        Ok(())
    }

    /// Notes what is newly certified: old epochs first, for what was executed in them.
    fn look(&mut self, nodes: &[Node]) {
        let place = |view: &View| (view.keys().committee().epoch(), view.shard());
        let mut views: Vec<View> = nodes.iter().flat_map(Node::views).collect();
        views.retain(|view| view.shard() != BEACON);
        views.sort_by_key(place);
        for view in views {
            let Some(state) = view.certified() else { continue };
            let (place, now) = (place(&view), Instant::now());
            let height = state.certificate.checkpoint.height.0;
            let first = Seen { first: now, last: now, height: 0 };
            let seen = self.seen.entry(place).or_insert(first);
            if height > seen.height {
                (seen.last, seen.height) = (now, height);
                self.load.note_executed(&state.ledger, place, now);
            }
        }
    }
}

/// An account that pays.
struct Payer {
    key: SigningKey,
    address: Address,
    next_nonce: u64,
    /// What it has handed in and nobody has executed yet, by nonce.
    pending: VecDeque<Pending>,
}

struct Pending {
    transaction: Transaction,
    handed_in: Instant,
    handed_in_last: Instant,
}

/// A transfer that was executed.
struct Executed {
    epoch: Epoch,
    shard: ShardId,
    handed_in: Instant,
    was_handed_in_again: bool,
    certified: Instant,
}

impl Executed {
    fn took(&self) -> Duration {
        self.certified.saturating_duration_since(self.handed_in)
    }
}

/// Transfers in turn among a few accounts.
struct Load {
    chain: ChainId,
    payers: Vec<Payer>,
    /// How many were handed in.
    count: usize,
    next_at: Instant,
    executed: Vec<Executed>,
}

impl Load {
    fn new(chain: ChainId, keys: &Path) -> Result<Self> {
        let payer = |at: usize| {
            let file = keys.join(format!("account-{at}.key"));
            let key = keyfile::load(&file, Role::Account, &PassphraseSource::choose(None))?;
            let address = Address::of(key.public_key());
            Ok(Payer { key, address, next_nonce: 0, pending: VecDeque::new() })
        };
        let payers = (0..PAYERS).map(payer).collect::<Result<_>>()?;
        Ok(Self { chain, payers, count: 0, next_at: Instant::now(), executed: Vec::new() })
    }

    /// Hands in the next transfer if it is time to, and again what may be lost.
    fn pay(&mut self, nodes: &[Node]) -> Result<()> {
        let now = Instant::now();
        for (at, payer) in self.payers.iter_mut().enumerate() {
            for it in &mut payer.pending {
                if now.saturating_duration_since(it.handed_in_last) >= HAND_IN_AGAIN {
                    it.handed_in_last = now;
                    hand_in(&nodes[at % nodes.len()], it.transaction.clone());
                }
            }
        }
        if now < self.next_at {
            return Ok(());
        }
        self.next_at += PAY_INTERVAL;
        let (from, to) = (self.count % PAYERS, (self.count + 1) % PAYERS);
        self.count += 1;
        let to = self.payers[to].address;
        let payer = &mut self.payers[from];
        let transaction = payer.transfer(self.chain, to)?;
        hand_in(&nodes[from % nodes.len()], transaction.clone());
        payer.pending.push_back(Pending { transaction, handed_in: now, handed_in_last: now });
        Ok(())
    }

    /// A state is certified: an account's nonce tells what of it was executed.
    fn note_executed(&mut self, ledger: &Ledger, (epoch, shard): (Epoch, ShardId), now: Instant) {
        for payer in &mut self.payers {
            let Some(account) = ledger.account(&payer.address) else { continue };
            let is_executed = |it: &&Pending| it.transaction.body.nonce < account.nonce;
            let count = payer.pending.iter().take_while(is_executed).count();
            self.executed.extend(payer.pending.drain(..count).map(|it| Executed {
                epoch,
                shard,
                handed_in: it.handed_in,
                was_handed_in_again: it.handed_in_last > it.handed_in,
                certified: now,
            }));
        }
    }

    /// Whether something that was handed in before a time is not executed.
    fn has_pending_from_before(&self, time: Instant) -> bool {
        self.payers.iter().flat_map(|payer| &payer.pending).any(|it| it.handed_in < time)
    }

    fn print(&self) {
        let mut took: Vec<Duration> = self.executed.iter().map(Executed::took).collect();
        took.sort_unstable();
        let median_ms = took.get(took.len() / 2).map_or(0, Duration::as_millis);
        println!("{} transfers executed, half of them within {median_ms} ms", took.len());
    }
}

impl Payer {
    fn transfer(&mut self, chain: ChainId, to: Address) -> Result<Transaction> {
        let action = Action::Transfer { to, amount: Amount(1) };
        let nonce = self.next_nonce;
        let body = TransactionBody { sender: self.address, nonce, fee: MIN_FEE, action };
        let context = TransactionBody::signing_context(chain);
        let signature = self.key.sign(&context, &encode(&body))?;
        self.next_nonce += 1;
        Ok(Transaction { body, key: self.key.public_key().clone(), signature })
    }
}

/// Hands in a transfer to all shards that a node runs, in the epoch that ends and in the next: some
/// open later than others, and what a shard has not executed at its end it hands on. Those refuse it
/// that are not the sender's.
fn hand_in(node: &Node, transaction: Transaction) {
    let mut views = node.views();
    views.retain(|view| view.shard() != BEACON);
    // It may take as long as the node is busy with the end of an epoch.
    tokio::spawn(async move {
        for view in views {
            let _ = view.submit(vec![transaction.clone()]).await;
        }
    });
}

/// The most memory that this process has had at a time, since the kernel was told to forget it.
fn peak_memory_mib() -> Result<u64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|rest| rest.trim().strip_suffix(" kB")).context("VmHWM in kB")?;
    Ok(kib.trim().parse::<u64>()? / 1024)
}

fn forget_peak_memory() -> Result<()> {
    fs::write("/proc/self/clear_refs", "5").context("forget the peak of memory")
}
