//! What the archive costs: processor time of all its threads and bytes on the disk, for each
//! transaction. `cargo run -p qcn-node --release --example archive -- [TRANSACTIONS] [KEPT]
//! [FOLDER]`. The folder must not exist; it is removed at the end.
//!
//! Four authors' blocks of a round with Falcon-512 transfers between random accounts are told when
//! they are accepted and again, three rounds later, as executed. Signatures are random bytes: the
//! archive does not look at them. What making the blocks takes is not counted.

use std::collections::{BTreeMap, VecDeque};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use qcn_crypto::{ChainId, Digest, Domain, Scheme, SeededRandomness, Signature, SigningKey, hash};
use qcn_ledger::Outcome;
use qcn_node::archive::{Archive, Executed, Position, Retention};
use qcn_types::{
    Action, Address, Amount, Block, BlockBody, BlockHeader, Bounded, Checkpoint, Committee,
    CommitteeKeys, Epoch, Height, Member, Payload, Round, ShardId, Transaction, TransactionBody,
    TransactionId, ValidatorIndex, VerifiedBlock, Weight,
};

const CHAIN: ChainId = ChainId(Digest([7; 32]));
const AUTHORS: u16 = 4;
/// 240 transactions for each checkpoint: 8000 a second at 33 checkpoints a second.
const TRANSACTIONS_PER_BLOCK: u64 = 60;
const ACCOUNTS: u64 = 20_000;
const SIGNATURE_BYTES: usize = 655;
/// Rounds between a block's acceptance and its execution.
const LATENCY_ROUNDS: usize = 3;
const READS: usize = 1_000;
const REOPENED_HEIGHTS: u64 = 100_000;
const PAGE: usize = 100;
/// As the archive's thread in a node does.
const PRUNED_EVERY: u64 = 256;

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let transactions: u64 = arguments.next().map_or(Ok(500_000), |text| text.parse())?;
    let keep_checkpoints: u64 = arguments.next().map_or(Ok(1_000_000), |text| text.parse())?;
    let default = std::env::temp_dir().join(format!("qcn-archive-{}", std::process::id()));
    let folder = arguments.next().map_or(default, PathBuf::from);
    if folder.exists() {
        bail!("{}: exists already: name a folder that does not", folder.display());
    }
    let rounds = transactions / (u64::from(AUTHORS) * TRANSACTIONS_PER_BLOCK);
    let outcome = run(&folder, rounds, Retention { keep_checkpoints })
        .and_then(|()| reopen(&folder.join("reopened")));
    fs::remove_dir_all(&folder)?;
    outcome
}

fn run(folder: &Path, rounds: u64, retention: Retention) -> Result<()> {
    let mut network = Network::new()?;
    let archive = Archive::open(folder, retention)?;
    let mut waiting: VecDeque<(Checkpoint, Vec<VerifiedBlock>)> = VecDeque::new();
    let mut making = 0;
    let mut sample = Vec::new();
    let before = thread_times()?;
    for round in 1..=rounds {
        let begin = own_time()?;
        let blocks = network.round(round)?;
        let leader = blocks.first().context("a round has blocks")?.reference();
        let header = Checkpoint { height: Height(round), leader, ..Checkpoint::default() };
        waiting.push_back((header, blocks.clone()));
        let executed = (waiting.len() > LATENCY_ROUNDS).then(|| waiting.pop_front()).flatten();
        let executed = executed.map(|(header, blocks)| execute(header, blocks));
        making += own_time()? - begin;
        for block in &blocks {
            archive.add_block(block)?;
        }
        let Some(executed) = executed else { continue };
        archive.add_checkpoint(&executed)?;
        sample.extend(executed.outcomes.first().map(|(id, _)| *id));
        if executed.header.height.0.is_multiple_of(PRUNED_EVERY) {
            while archive.prune()? {}
        }
    }
    archive.sync()?;
    let busy = thread_times()?;
    let written = rounds * u64::from(AUTHORS) * TRANSACTIONS_PER_BLOCK;
    let each = |nanos: u64| nanos as f64 / 1_000.0 / written as f64;
    println!(
        "{written} transactions, {} for each checkpoint, {ACCOUNTS} accounts, {} checkpoints kept",
        u64::from(AUTHORS) * TRANSACTIONS_PER_BLOCK,
        retention.keep_checkpoints
    );
    let mut sum = 0;
    for (thread, time) in &busy {
        let own = if thread.0.ends_with(&format!("/{}", std::process::id())) { making } else { 0 };
        let spent = (time - before.get(thread).unwrap_or(&0)).saturating_sub(own);
        sum += spent;
        println!("{:>8.2} us {}", each(spent), thread.1);
    }
    println!("{:>8.2} us of processor time for each transaction", each(sum));
    let bytes = folder_bytes(folder)?;
    println!("{:>8} bytes on the disk for each transaction", bytes / written);
    read(&archive, &sample)
}

/// How long it takes to read what is in the page cache.
fn read(archive: &Archive, sample: &[TransactionId]) -> Result<()> {
    let each = |begin: Instant, count: usize| begin.elapsed().as_micros() / count.max(1) as u128;
    let asked = sample.iter().rev().step_by(sample.len().div_ceil(READS)).take(READS);
    let begin = Instant::now();
    let records = asked.map(|id| archive.transaction(*id)).collect::<Result<Vec<_>, _>>()?;
    println!("{:>8} us to read a transaction", each(begin, records.len()));
    let records: Vec<_> = records.into_iter().flatten().collect();
    let begin = Instant::now();
    let mut listed = 0;
    for record in &records {
        let page = archive.account_transactions(record.sender, Position::END, PAGE)?;
        listed += page.len();
    }
    println!("{:>8} us to list one of an account", each(begin, listed));
    let begin = Instant::now();
    let listed = archive.transactions(Position::END, PAGE)?.len();
    println!("{:>8} us to list one of the newest {listed}", each(begin, listed));
    Ok(())
}

/// How long a restart takes that finds many checkpoints.
fn reopen(folder: &Path) -> Result<()> {
    let archive = Archive::open(folder, Retention::ALL)?;
    for height in 1..=REOPENED_HEIGHTS {
        let header = Checkpoint { height: Height(height), ..Checkpoint::default() };
        archive.add_checkpoint(&execute(header, Vec::new()))?;
    }
    drop(archive);
    let begin = Instant::now();
    let archive = Archive::open(folder, Retention::ALL)?;
    let took = begin.elapsed().as_millis();
    ensure!(archive.last_height() == Height(REOPENED_HEIGHTS), "all of them are found again");
    println!("{took:>8} ms to open it with {REOPENED_HEIGHTS} empty checkpoints");
    Ok(())
}

struct Network {
    keys: CommitteeKeys,
    signers: Vec<SigningKey>,
    randomness: SeededRandomness,
    nonces: u64,
}

impl Network {
    fn new() -> Result<Self> {
        let signers = (0..AUTHORS)
            .map(|author| SigningKey::from_seed(Scheme::Falcon512, &[author as u8 + 1; 32]))
            .collect::<Result<Vec<_>, _>>()?;
        let members = signers.iter().map(|signer| Member {
            name: signer.public_key().digest().to_string(),
            key: signer.public_key().clone(),
            weight: Weight(1),
        });
        let committee = Committee::new(ShardId(0), Epoch(0), members.collect())?;
        let keys = CommitteeKeys::decode(CHAIN, committee.into())
            .map_err(|(_, error)| error)
            .context("the keys decode")?;
        Ok(Self { keys, signers, randomness: SeededRandomness::from_u64(1, "archive"), nonces: 0 })
    }

    fn round(&mut self, round: u64) -> Result<Vec<VerifiedBlock>> {
        (0..AUTHORS).map(|author| self.block(round, author)).collect()
    }

    fn block(&mut self, round: u64, author: u16) -> Result<VerifiedBlock> {
        let transactions = (0..TRANSACTIONS_PER_BLOCK).map(|_| self.transfer());
        let transactions = transactions.collect::<Result<Vec<_>>>()?;
        let body = BlockBody {
            chain: CHAIN,
            shard: ShardId(0),
            epoch: Epoch(0),
            round: Round(round),
            author: ValidatorIndex(author),
            time_ms: round,
            parents: Vec::new(),
            payload: Payload {
                transactions: Bounded::truncated(transactions),
                ..Payload::default()
            },
            attestations: Bounded::default(),
        };
        let digest = body.digest();
        let context = BlockHeader::signing_context(CHAIN);
        let signer = &self.signers[usize::from(author)];
        let signature = signer.sign_seeded(&context, digest.as_bytes(), &mut self.randomness)?;
        Ok(self.keys.verify_composed(Block { body, signature })?)
    }

    fn transfer(&mut self) -> Result<Transaction> {
        self.nonces += 1;
        let nonce = self.nonces;
        let drawn = hash(Domain::Simulation, &nonce.to_le_bytes()).0;
        let number = |at: usize| u64::from(drawn[at]) | u64::from(drawn[at + 1]) << 8;
        let account = |number: u64| {
            Address(hash(Domain::Simulation, &(u64::MAX - number % ACCOUNTS).to_le_bytes()))
        };
        let to = account(number(2));
        let action = Action::Transfer { to, amount: Amount(1) };
        let body = TransactionBody { sender: account(number(0)), nonce, fee: Amount(10), action };
        let signature = Signature::new(drawn.repeat(SIGNATURE_BYTES.div_ceil(32)))?;
        Ok(Transaction { body, key: self.signers[0].public_key().clone(), signature })
    }
}

fn execute(header: Checkpoint, blocks: Vec<VerifiedBlock>) -> Executed {
    let carried = blocks.iter().flat_map(|block| &block.body.payload.transactions);
    let outcomes: Vec<(TransactionId, Outcome)> =
        carried.map(|transaction| (transaction.body.id(), Outcome::Applied)).collect();
    let leaders = blocks.iter().take(2).map(VerifiedBlock::reference).collect();
    Executed { header, leaders, blocks, outcomes, received: Vec::new(), evidence: Vec::new() }
}

/// What each thread has run so far, in nanoseconds.
fn thread_times() -> Result<BTreeMap<(String, String), u64>> {
    let mut times = BTreeMap::new();
    for entry in fs::read_dir("/proc/self/task").context("threads are counted on Linux only")? {
        let path = entry?.path();
        let name = fs::read_to_string(path.join("comm"))?.trim().to_owned();
        times.insert((path.display().to_string(), name), ran(&path.join("schedstat"))?);
    }
    Ok(times)
}

fn own_time() -> Result<u64> {
    ran("/proc/thread-self/schedstat".as_ref())
}

fn ran(schedstat: &Path) -> Result<u64> {
    let text = fs::read_to_string(schedstat)?;
    Ok(text.split_whitespace().next().context("a schedstat begins with a time")?.parse()?)
}

fn folder_bytes(folder: &Path) -> Result<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        bytes += if metadata.is_dir() { folder_bytes(&entry.path())? } else { metadata.len() };
    }
    Ok(bytes)
}
