//! Measures the archive on the disk of a folder: `cargo run -p qcn-node --release --example archive
//! -- [FOLDER]`. The folder must not exist; it is removed at the end.
//!
//! It says what a transaction costs on its way into the history, and how long a restart takes.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use qcn_crypto::{ChainId, Digest, Scheme, SigningKey};
use qcn_ledger::Outcome;
use qcn_node::archive::{Archive, Executed, Retention};
use qcn_types::{
    Action, Address, Amount, Block, BlockBody, BlockHeader, Bounded, Checkpoint, Committee,
    CommitteeKeys, Epoch, Height, Member, Payload, Round, ShardId, Transaction, TransactionBody,
    ValidatorIndex, VerifiedBlock, Weight, encode,
};
use rustix::time::{ClockId, clock_gettime};

const CHAIN: ChainId = ChainId(Digest([7; 32]));

/// Blocks under one checkpoint, transactions in one block, checkpoints with them.
const BLOCKS: u64 = 4;
const TRANSACTIONS: u64 = 500;
const HEIGHTS: u64 = 100;

/// Blocks in full, which are kept when they enter the DAG.
const BODIES: u64 = 40;

/// Checkpoints without blocks, for a restart.
const EMPTY_HEIGHTS: u64 = 100_000;

fn main() -> Result<()> {
    let default = std::env::temp_dir().join(format!("qcn-archive-{}", std::process::id()));
    let folder = std::env::args().nth(1).map_or(default, PathBuf::from);
    if folder.exists() {
        bail!("{}: exists already: name a folder that does not", folder.display());
    }
    print_conditions(&folder);
    let outcome = measure(&folder);
    std::fs::remove_dir_all(&folder)?;
    outcome
}

fn print_conditions(folder: &Path) {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let build = if cfg!(debug_assertions) { "debug assertions on" } else { "release" };
    println!(
        "{cores} logical cores, {build}, archive in {}: {HEIGHTS} checkpoints of {BLOCKS} blocks \
         of {TRANSACTIONS} Falcon-512 transfers; a processor's time of the whole process",
        folder.display()
    );
}

fn measure(folder: &Path) -> Result<()> {
    let author = Author::new()?;
    checkpoints(&Archive::open(&folder.join("checkpoints"), Retention::ALL)?, &author)?;
    bodies(&Archive::open(&folder.join("bodies"), Retention::ALL)?, &author)?;
    restart(&folder.join("restart"))
}

fn checkpoints(archive: &Archive, author: &Author) -> Result<()> {
    let blocks: Vec<VerifiedBlock> = (0..BLOCKS)
        .map(|at| {
            let nonces = at * TRANSACTIONS..(at + 1) * TRANSACTIONS;
            let transfers = nonces.map(|nonce| author.transfer(nonce)).collect::<Result<_>>()?;
            author.block(at, transfers)
        })
        .collect::<Result<_>>()?;
    let carried = blocks.iter().flat_map(|block| &block.body.payload.transactions);
    let outcomes: Vec<_> = carried.map(|one| (one.body.id(), Outcome::Applied)).collect();
    let begin = cpu_time();
    for height in 1..=HEIGHTS {
        archive.add_checkpoint(&Executed {
            header: Checkpoint { height: Height(height), ..Checkpoint::default() },
            leaders: Vec::new(),
            blocks: blocks.clone(),
            outcomes: outcomes.clone(),
        })?;
    }
    report("under a checkpoint, without the bodies of blocks", begin, BLOCKS * HEIGHTS);
    Ok(())
}

fn bodies(archive: &Archive, author: &Author) -> Result<()> {
    let transfers: Vec<_> =
        (0..TRANSACTIONS).map(|nonce| author.transfer(nonce)).collect::<Result<_>>()?;
    let blocks: Vec<VerifiedBlock> =
        (0..BODIES).map(|round| author.block(round, transfers.clone())).collect::<Result<_>>()?;
    let begin = cpu_time();
    for block in &blocks {
        archive.add_block(block)?;
    }
    report("in the body of a block", begin, BODIES);
    Ok(())
}

fn report(place: &str, begin: Duration, blocks: u64) {
    let us = (cpu_time() - begin).as_secs_f64() * 1e6;
    println!(
        "{:.1} us of a processor per transaction {place}",
        us / (blocks * TRANSACTIONS) as f64
    );
}

fn restart(folder: &Path) -> Result<()> {
    let archive = Archive::open(folder, Retention::ALL)?;
    for height in 1..=EMPTY_HEIGHTS {
        let header = Checkpoint { height: Height(height), ..Checkpoint::default() };
        let executed = Executed { header, leaders: vec![], blocks: vec![], outcomes: vec![] };
        archive.add_checkpoint(&executed)?;
    }
    drop(archive);
    let begin = Instant::now();
    let archive = Archive::open(folder, Retention::ALL)?;
    let took = begin.elapsed();
    ensure!(archive.last_height() == Height(EMPTY_HEIGHTS), "all of them are found again");
    println!("opened with {EMPTY_HEIGHTS} empty checkpoints in {} ms", took.as_millis());
    Ok(())
}

/// A committee of one, who also pays.
struct Author {
    key: SigningKey,
    keys: CommitteeKeys,
}

impl Author {
    fn new() -> Result<Self> {
        let key = SigningKey::from_seed(Scheme::Falcon512, &[1; 32])?;
        let public = key.public_key().clone();
        let member = Member { name: "v0".to_owned(), key: public, weight: Weight(1) };
        let committee = Committee::new(ShardId(0), Epoch(0), vec![member])?;
        let keys = CommitteeKeys::decode(CHAIN, Arc::new(committee))
            .map_err(|(_, error)| error)
            .context("the key decodes")?;
        Ok(Self { key, keys })
    }

    fn transfer(&self, nonce: u64) -> Result<Transaction> {
        let body = TransactionBody {
            sender: Address::of(self.key.public_key()),
            nonce,
            fee: Amount(10),
            action: Action::Transfer { to: Address(Digest([5; 32])), amount: Amount(1) },
        };
        let context = TransactionBody::signing_context(CHAIN);
        let signature = self.key.sign(&context, &encode(&body))?;
        Ok(Transaction { body, key: self.key.public_key().clone(), signature })
    }

    fn block(&self, round: u64, transfers: Vec<Transaction>) -> Result<VerifiedBlock> {
        let body = BlockBody {
            chain: CHAIN,
            shard: ShardId(0),
            epoch: Epoch(0),
            round: Round(round + 1),
            author: ValidatorIndex(0),
            time_ms: round,
            parents: Vec::new(),
            payload: Payload { transactions: Bounded::truncated(transfers), ..Payload::default() },
            attestations: Bounded::default(),
        };
        let context = BlockHeader::signing_context(CHAIN);
        let signature = self.key.sign(&context, body.digest().as_bytes())?;
        Ok(self.keys.verify_composed(Block { body, signature })?)
    }
}

/// The time that all threads have computed, the database's own among them.
fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    // The clock starts at zero with the process.
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    Duration::new(seconds, u32::try_from(time.tv_nsec).unwrap_or(0))
}
