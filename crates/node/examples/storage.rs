//! Measures the block log on the disk of a folder: `cargo run -p qcn-node --release --example
//! storage -- [FOLDER]`. The folder must not exist; it is removed at the end.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use qcn_consensus::CommitRecord;
use qcn_crypto::{ChainId, Digest, Domain, Scheme, SeededRandomness, SigningKey, hash};
use qcn_ledger::{GenesisAccount, Ledger, Territory};
use qcn_node::storage::{BlockLog, LogEvent, LogWriter, Opened, StoreIdentity, Ticket};
use qcn_shard::{Record, SyncPackage};
use qcn_types::{
    Action, Address, Amount, Attestation, AttestationProof, AuthorSet, Block, BlockBody,
    BlockHeader, BlockRef, Bounded, Certificate, Checkpoint, Committee, CommitteeKeys, Epoch,
    Height, Member, Payload, Round, ShardId, Transaction, TransactionBody, ValidatorIndex,
    VerifiedBlock, Weight, decode, encode,
};

const CHAIN: ChainId = ChainId(Digest([7; 32]));
const OWN: ValidatorIndex = ValidatorIndex(0);

const LATENCY_BLOCKS: u64 = 500;
const LARGE_BLOCKS: u64 = 200;
const SMALL_RECORDS: u64 = 100_000;
const ACCOUNTS: usize = 1_000_000;

fn main() -> Result<()> {
    let default = std::env::temp_dir().join(format!("qcn-storage-{}", std::process::id()));
    let folder = std::env::args().nth(1).map_or(default, PathBuf::from);
    if folder.exists() {
        bail!("{}: exists already: name a folder that does not", folder.display());
    }
    let bench = Bench::new(folder)?;
    let outcome = bench.run();
    std::fs::remove_dir_all(&bench.folder)?;
    outcome
}

/// A committee of one, and its store.
struct Bench {
    folder: PathBuf,
    signer: SigningKey,
    keys: CommitteeKeys,
    identity: StoreIdentity,
}

impl Bench {
    fn new(folder: PathBuf) -> Result<Self> {
        let signer = SigningKey::from_seed(Scheme::Falcon512, &[1; 32])?;
        let key = signer.public_key().clone();
        let member = Member { name: "v0".to_owned(), key, weight: Weight(1) };
        let committee = Committee::new(ShardId(0), Epoch(0), vec![member])?;
        let keys = CommitteeKeys::decode(CHAIN, Arc::new(committee))
            .map_err(|(_, error)| error)
            .context("the key decodes")?;
        let identity = StoreIdentity::of(&keys, OWN).context("validator 0 is a member")?;
        Ok(Self { folder, signer, keys, identity })
    }

    fn run(&self) -> Result<()> {
        self.latency()?;
        self.large_blocks()?;
        self.small_records()?;
        self.snapshot()
    }

    fn open(&self, name: &str) -> Result<Opened> {
        let folder = self.folder.join(name);
        if !folder.exists() {
            BlockLog::initialise(&folder, &self.identity)?;
        }
        Ok(BlockLog::open(
            &folder,
            &self.identity,
            &self.keys,
            &Territory::whole(self.identity.shard),
            OWN,
        )?)
    }

    fn spawn(&self, name: &str) -> Result<(LogWriter, Receiver<LogEvent>)> {
        let (events, received) = channel();
        let say = move |event| {
            // Nobody listens to what comes after the last measurement.
            let _ = events.send(event);
        };
        Ok((LogWriter::spawn(self.open(name)?.log, say), received))
    }

    /// One own block after the other, each durable before the next is appended.
    fn latency(&self) -> Result<()> {
        let (writer, events) = self.spawn("latency")?;
        let mut latencies = Vec::new();
        for round in 1..=LATENCY_BLOCKS {
            let record = Record::Own(self.block(round, Payload::default())?);
            let started = Instant::now();
            wait_for(&events, writer.append_durably(record))?;
            latencies.push(started.elapsed());
        }
        writer.close()?;
        latencies.sort_unstable();
        let at = |permille: usize| latencies[(latencies.len() - 1) * permille / 1000].as_micros();
        println!(
            "append + fsync of one small own block: p50 {} us, p99 {} us, max {} us",
            at(500),
            at(990),
            at(1000)
        );
        Ok(())
    }

    /// Own blocks of about 1 MiB, as many at once as the queue takes, all durable at the end.
    fn large_blocks(&self) -> Result<()> {
        let payload = Payload {
            transactions: Bounded::truncated(vec![self.transaction()?; 650]),
            ..Payload::default()
        };
        let block = self.block(1, payload)?;
        let bytes = encode(&block.body.payload).len() as u64;
        let (writer, events) = self.spawn("large")?;
        let started = Instant::now();
        let mut last = Ticket(0);
        for _ in 0..LARGE_BLOCKS {
            last = writer.append_durably(Record::Own(block.clone()));
        }
        wait_for(&events, last)?;
        let took = started.elapsed();
        writer.close()?;
        let per_second = LARGE_BLOCKS as f64 / took.as_secs_f64();
        println!(
            "own blocks of {} KiB, pipelined: {per_second:.0} a second, {:.0} MiB/s",
            bytes / 1024,
            per_second * bytes as f64 / (1024.0 * 1024.0)
        );
        Ok(())
    }

    /// Accepted blocks without payload, and the time to read and verify them.
    fn small_records(&self) -> Result<()> {
        let (writer, _events) = self.spawn("small")?;
        let blocks: Vec<_> =
            (1..=1000).map(|round| self.block(round, Payload::default())).collect::<Result<_>>()?;
        let started = Instant::now();
        for index in 0..SMALL_RECORDS as usize {
            writer.append(Record::Accepted(blocks[index % blocks.len()].clone()));
        }
        writer.close()?;
        let took = started.elapsed();
        println!("{SMALL_RECORDS} small records appended and closed: {} ms", took.as_millis());
        let started = Instant::now();
        let opened = self.open("small")?;
        println!("open with {SMALL_RECORDS} small records: {} ms", started.elapsed().as_millis());
        println!("  {}", opened.report);
        Ok(())
    }

    fn snapshot(&self) -> Result<()> {
        let account = |number: usize| GenesisAccount {
            address: Address(hash(Domain::Simulation, &number.to_le_bytes())),
            balance: Amount(1),
        };
        let accounts: Vec<_> = (0..ACCOUNTS).map(account).collect();
        let ledger = Ledger::genesis(CHAIN, &accounts)?;
        let (writer, events) = self.spawn("snapshot")?;
        let started = Instant::now();
        let ticket = writer.append_durably(self.snapshot_of(&ledger)?);
        // Own blocks do not wait for it.
        let mut slowest = Duration::ZERO;
        let mut round = 1;
        'writing: loop {
            let record = Record::Own(self.block(round, Payload::default())?);
            let appended = Instant::now();
            let own = writer.append_durably(record);
            round += 1;
            loop {
                match events.recv()? {
                    LogEvent::Durable(durable) if durable == own => break,
                    LogEvent::Durable(durable) if durable == ticket => break 'writing,
                    LogEvent::Durable(_) => {}
                    other => bail!("{other:?}"),
                }
            }
            slowest = slowest.max(appended.elapsed());
        }
        println!(
            "snapshot of {ACCOUNTS} accounts: written in {} ms",
            started.elapsed().as_millis()
        );
        println!("  {round} own blocks meanwhile, the slowest in {} us", slowest.as_micros());
        writer.close()?;
        let started = Instant::now();
        let opened = self.open("snapshot")?;
        println!(
            "snapshot of {ACCOUNTS} accounts: restored in {} ms",
            started.elapsed().as_millis()
        );
        println!("  {}", opened.report);
        let bytes = folder_bytes(&self.folder.join("snapshot"))?;
        println!("  {} MiB on disk", bytes / (1024 * 1024));
        Ok(())
    }

    // ----- values -----

    fn block(&self, round: u64, payload: Payload) -> Result<VerifiedBlock> {
        let body = self.body(round, payload, Vec::new());
        let block = self.sign(body)?;
        Ok(self.keys.verify_composed(block)?)
    }

    fn body(&self, round: u64, payload: Payload, attestations: Vec<Attestation>) -> BlockBody {
        BlockBody {
            chain: CHAIN,
            shard: self.identity.shard,
            epoch: self.identity.epoch,
            round: Round(round),
            author: OWN,
            time_ms: round,
            parents: Vec::new(),
            payload,
            attestations: Bounded::truncated(attestations),
        }
    }

    fn sign(&self, body: BlockBody) -> Result<Block> {
        let digest = body.digest();
        let mut randomness = SeededRandomness::from_seed(digest.as_bytes());
        let context = BlockHeader::signing_context(CHAIN);
        let signature = self.signer.sign_seeded(&context, digest.as_bytes(), &mut randomness)?;
        Ok(Block { body, signature })
    }

    fn transaction(&self) -> Result<Transaction> {
        let body = TransactionBody {
            sender: Address::of(self.signer.public_key()),
            nonce: 1,
            fee: Amount(1),
            action: Action::Transfer { to: Address(Digest([1; 32])), amount: Amount(1) },
        };
        let mut randomness = SeededRandomness::from_u64(1, "transaction");
        let context = TransactionBody::signing_context(CHAIN);
        let signature = self.signer.sign_seeded(&context, &encode(&body), &mut randomness)?;
        Ok(Transaction { body, key: self.signer.public_key().clone(), signature })
    }

    fn snapshot_of(&self, ledger: &Ledger) -> Result<Record> {
        let leader = BlockRef { round: Round(1), ..BlockRef::default() };
        let commit = CommitRecord {
            index: 1,
            previous: Digest::ZERO,
            leader,
            blocks: Bounded::truncated(vec![leader]),
            undecided_leaders: Bounded::default(),
            schedule: Digest::ZERO,
        };
        let checkpoint = Checkpoint {
            height: Height(1),
            state_root: ledger.state_root(),
            commit: commit.digest(),
            ..Checkpoint::default()
        };
        let attested = Attestation { height: Height(1), checkpoint: checkpoint.digest() };
        let block = self.sign(self.body(2, Payload::default(), vec![attested]))?;
        let proof = AttestationProof {
            author: OWN,
            header: block.body.header().digest(),
            attestations: block.body.attestations,
            signature: block.signature,
        };
        let attestations = Bounded::truncated(vec![proof]);
        let package = SyncPackage {
            certificate: Certificate { checkpoint, attestations },
            commits: Bounded::truncated(vec![commit]),
            schedule: decode(&encode(&(vec![1024_u16], AuthorSet::EMPTY)))?,
            plan: Bounded::default(),
        };
        let (package, ledger) = (Arc::new(package), Box::new(ledger.clone()));
        Ok(Record::Snapshot { package, ledger, floor: Round(0) })
    }
}

fn wait_for(events: &Receiver<LogEvent>, ticket: Ticket) -> Result<()> {
    loop {
        match events.recv()? {
            LogEvent::Durable(durable) if durable == ticket => return Ok(()),
            LogEvent::Durable(_) => {}
            other => bail!("{other:?}"),
        }
    }
}

fn folder_bytes(folder: &Path) -> Result<u64> {
    let mut bytes = 0;
    for entry in std::fs::read_dir(folder)? {
        bytes += entry?.metadata()?.len();
    }
    Ok(bytes)
}
