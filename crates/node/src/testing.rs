//! A small real history for tests: four validators over a network without faults.

pub(crate) mod crossing;
pub(crate) mod members;

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};

use qcn_consensus::Config;
use qcn_crypto::{ChainId, Digest, Scheme, SeededRandomness, SigningKey};
use qcn_ledger::{GenesisAccount, Ledger, Territory};
use qcn_shard::{Event, Input, Message, Opening, Output, Record, Shard, ShardConfig, Start};
use qcn_types::{
    Action, Address, Amount, Block, BlockBody, BlockHeader, Bounded, Certificate, Checkpoint,
    Committee, CommitteeKeys, CompactBlock, Epoch, Evidence, Height, Member, Payload, Round,
    ShardId, Slot, Time, Transaction, TransactionBody, ValidatorIndex, Verified, VerifiedBlock,
    Weight, encode,
};

use crate::archive::{Archive, Executed};

pub(crate) const CHAIN: ChainId = ChainId(Digest([7; 32]));
const DELAY_US: u64 = 5_000;
const END: Time = Time::from_ms(4_000);

/// Every so many heights the archive is given a certificate.
pub(crate) const CERTIFICATE_EVERY: u64 = 3;

/// What validator 0 has seen, in order.
#[derive(Clone, Debug)]
pub(crate) enum Happened {
    Block(VerifiedBlock),
    Executed(Executed),
    Certified(Certificate),
    Skipped(Slot),
}

/// What a network did in four seconds of its time.
pub(crate) struct History {
    pub(crate) keys: CommitteeKeys,
    pub(crate) happened: Vec<Happened>,
    pub(crate) ledgers: BTreeMap<Height, Ledger>,
    /// What the epoch opened with, if it is not the first.
    pub(crate) opening: Option<Checkpoint>,
    pub(crate) accounts: [SigningKey; 2],
    /// Applied, applied twice handed in, failed.
    pub(crate) transfers: Vec<Transaction>,
}

impl History {
    pub(crate) fn executed(&self) -> impl Iterator<Item = &Executed> {
        self.happened.iter().filter_map(|happened| match happened {
            Happened::Executed(executed) => Some(executed),
            _ => None,
        })
    }

    /// The newest certificate that was given out, and the state it is about.
    pub(crate) fn certified(&self) -> (Certificate, Ledger) {
        let newest = self.happened.iter().rev().find_map(|happened| match happened {
            Happened::Certified(certificate) => {
                let ledger = self.ledgers.get(&certificate.checkpoint.height)?;
                Some((certificate.clone(), ledger.clone()))
            }
            _ => None,
        });
        newest.unwrap()
    }

    /// Tells an archive all of it.
    pub(crate) fn tell(&self, archive: &Archive) {
        let archive = archive.at_epoch(self.keys.committee().epoch());
        archive.add_committee(self.keys.committee()).unwrap();
        for happened in &self.happened {
            match happened {
                Happened::Block(block) => archive.add_block(block).unwrap(),
                Happened::Executed(executed) => archive.add_checkpoint(executed).unwrap(),
                Happened::Certified(certificate) => archive.add_certificate(certificate).unwrap(),
                Happened::Skipped(slot) => archive.add_decision(*slot, true).unwrap(),
            }
        }
    }
}

pub(crate) static HISTORY: LazyLock<History> = LazyLock::new(|| Lab::new(None).run());

/// What the same validators did in the next epoch, whose rounds begin anew.
pub(crate) static LATER: LazyLock<History> = LazyLock::new(|| {
    let (height, ledger) = HISTORY.ledgers.last_key_value().unwrap();
    let checkpoint = Checkpoint {
        shard: ShardId(0),
        epoch: Epoch(1),
        height: height.next(),
        state_root: ledger.state_root(),
        time_ms: END.as_ms(),
        ..Checkpoint::default()
    };
    let ledger = ledger.clone();
    Lab::new(Some(Opening { checkpoint, ledger, received: Vec::new() })).run()
});

/// Signs a body with the key of validator `index` of the history's committee.
pub(crate) fn sign_block(index: u16, body: BlockBody) -> Block {
    let digest = body.digest();
    let mut randomness = SeededRandomness::from_seed(digest.as_bytes());
    let context = BlockHeader::signing_context(CHAIN);
    let key = validator_key(index);
    let signature = key.sign_seeded(&context, digest.as_bytes(), &mut randomness).unwrap();
    Block { body, signature }
}

/// Two blocks in one slot, by validator `index`.
pub(crate) fn equivocation(index: u16) -> Evidence {
    equivocation_at(index, 1)
}

/// One with blocks of this time and the next.
pub(crate) fn equivocation_at(index: u16, time_ms: u64) -> Evidence {
    let [one, other] =
        [time_ms, time_ms + 1].map(|time_ms| sign_block(index, bare_body(index, time_ms)));
    Evidence::equivocation(&one, &other)
}

/// A block of round 9 out of nothing.
pub(crate) fn bare_body(index: u16, time_ms: u64) -> BlockBody {
    BlockBody {
        chain: CHAIN,
        shard: ShardId(0),
        epoch: Epoch(0),
        round: Round(9),
        author: ValidatorIndex(index),
        time_ms,
        parents: Vec::new(),
        payload: Payload::default(),
        attestations: Bounded::default(),
    }
}

pub(crate) fn validator_key(index: u16) -> SigningKey {
    SigningKey::from_seed(Scheme::Falcon512, &[index as u8 + 1; 32]).unwrap()
}

/// A signed transfer of `amount` with a fee of 10.
pub(crate) fn transfer(key: &SigningKey, nonce: u64, to: Address, amount: u64) -> Transaction {
    let body = TransactionBody {
        sender: Address::of(key.public_key()),
        nonce,
        fee: Amount(10),
        action: Action::Transfer { to, amount: Amount(amount) },
    };
    signed(key, body)
}

/// A transaction with the signature of a key, be it the sender's or not.
pub(crate) fn signed(key: &SigningKey, body: TransactionBody) -> Transaction {
    let context = TransactionBody::signing_context(CHAIN);
    let mut randomness = SeededRandomness::from_u64(body.nonce, "transfer");
    let signature = key.sign_seeded(&context, &encode(&body), &mut randomness).unwrap();
    Transaction { body, key: key.public_key().clone(), signature }
}

/// A folder of its own that goes when the test ends.
pub(crate) struct TestFolder(PathBuf);

impl TestFolder {
    pub(crate) fn new() -> Self {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let name = format!("qcn-node-test-{}-{number}", std::process::id());
        Self(std::env::temp_dir().join(name))
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for TestFolder {
    fn drop(&mut self) {
        // What is left is in the system's folder for what may be left.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

struct Lab {
    keys: Vec<SigningKey>,
    committee_keys: CommitteeKeys,
    shards: Vec<Shard>,
    queue: BTreeMap<(Time, u64), (usize, Input)>,
    sequence: u64,
    randomness: SeededRandomness,
    blocks: HashMap<Digest, VerifiedBlock>,
    opening: Option<Opening>,
    history: History,
}

impl Lab {
    fn new(opening: Option<Opening>) -> Self {
        let epoch = opening.as_ref().map_or(Epoch(0), |opening| opening.checkpoint.epoch);
        let keys: Vec<SigningKey> = (0..4).map(validator_key).collect();
        let members = keys.iter().enumerate().map(|(index, key)| Member {
            name: format!("validator-{index}"),
            key: key.public_key().clone(),
            weight: Weight(1_000),
        });
        let committee = Committee::new(ShardId(0), epoch, members.collect()).unwrap();
        let committee_keys = CommitteeKeys::decode(CHAIN, Arc::new(committee)).unwrap();
        let accounts = [
            SigningKey::from_seed(Scheme::Falcon512, &[101; 32]).unwrap(),
            SigningKey::from_seed(Scheme::MlDsa44, &[102; 32]).unwrap(),
        ];
        let history = History {
            keys: committee_keys.clone(),
            happened: Vec::new(),
            ledgers: BTreeMap::new(),
            opening: opening.as_ref().map(|opening| opening.checkpoint),
            accounts,
            transfers: Vec::new(),
        };
        Self {
            keys,
            committee_keys,
            shards: Vec::new(),
            queue: BTreeMap::new(),
            sequence: 0,
            randomness: SeededRandomness::from_u64(1, "lab"),
            blocks: HashMap::new(),
            opening,
            history,
        }
    }

    fn run(mut self) -> History {
        let addresses = self.history.accounts.each_ref().map(|key| Address::of(key.public_key()));
        let genesis: Arc<[GenesisAccount]> = addresses
            .iter()
            .map(|address| GenesisAccount { address: *address, balance: Amount(1_000) })
            .collect();
        for index in 0..self.keys.len() {
            let config = ShardConfig {
                keys: self.committee_keys.clone(),
                territory: Territory::whole(self.committee_keys.committee().shard()),
                own: ValidatorIndex(index as u16),
                seed: Digest([9; 32]),
                consensus: Config { min_round_interval_us: 40_000, ..Config::default() },
                accounts: Arc::clone(&genesis),
                opening: self.opening.clone(),
                snapshot_interval: 1,
                nonce: 5,
                replays_events: false,
            };
            self.shards.push(Shard::new(Time::ZERO, config, Start::Fresh).unwrap());
            self.drain(index, Time::ZERO);
        }
        self.submit(addresses);
        while let Some(((at, _), (to, input))) = self.queue.pop_first() {
            if at > END {
                break;
            }
            self.shards[to].handle(at, input);
            self.drain(to, at);
        }
        self.history
    }

    fn submit(&mut self, [first, second]: [Address; 2]) {
        let transfers = {
            let [one, two] = &self.history.accounts;
            // Each epoch has two of each account.
            let nonce = 2 * self.committee_keys.committee().epoch().0;
            vec![
                transfer(one, nonce, second, 100),
                transfer(one, nonce + 1, second, 50),
                transfer(two, nonce, first, 1_000_000),
                transfer(two, nonce + 1, Address(Digest([5; 32])), 7),
            ]
        };
        for (number, transfer) in transfers.iter().enumerate() {
            let at = Time::from_ms(300 * (number as u64 + 1));
            // The second is handed in at two validators, so that one execution of it is skipped.
            for to in if number == 1 { 0..2 } else { 0..1 } {
                let checked = Verified::check(transfer.clone(), CHAIN).unwrap();
                self.push(at, to, Input::Submit(checked));
            }
        }
        self.history.transfers = transfers;
    }

    fn push(&mut self, at: Time, to: usize, input: Input) {
        self.sequence += 1;
        self.queue.insert((at, self.sequence), (to, input));
    }

    fn deliver(&mut self, now: Time, from: usize, to: usize, message: Message) {
        let from = ValidatorIndex(from as u16);
        self.push(now.plus_us(DELAY_US), to, Input::Message { from, message });
    }

    fn drain(&mut self, index: usize, now: Time) {
        while let Some(output) = self.shards[index].poll_output() {
            match output {
                Output::VerifyBlock { from, compact, parents } => {
                    let committee = self.committee_keys.committee();
                    let block = CompactBlock::clone(&compact);
                    let block = block.with_parents(CHAIN, committee, parents);
                    let outcome = self.committee_keys.verify_block(block);
                    self.push(now, index, Input::BlockVerified { from, compact, outcome });
                }
                Output::SignBlock(body) => {
                    let digest = body.digest();
                    let context = BlockHeader::signing_context(CHAIN);
                    let signature = self.keys[index]
                        .sign_seeded(&context, digest.as_bytes(), &mut self.randomness)
                        .unwrap();
                    let block = Block { body: *body, signature };
                    let block = self.committee_keys.verify_block(block).unwrap();
                    self.push(now, index, Input::BlockSigned(block));
                }
                Output::Send { to, message } => self.deliver(now, index, to.position(), message),
                Output::Broadcast(message) => {
                    for to in (0..4).filter(|to| *to != index) {
                        self.deliver(now, index, to, message.clone());
                    }
                }
                Output::Wake(at) => self.push(at.max(now), index, Input::Tick),
                Output::Persist { record, .. } if index == 0 => self.note_record(record),
                Output::Event(event) if index == 0 => self.note_event(event),
                Output::Persist { .. } | Output::Event(_) | Output::VerifySync { .. } => {}
            }
        }
    }

    fn note_record(&mut self, record: Record) {
        if let Record::Own(block) | Record::Accepted(block) = record {
            self.blocks.insert(block.reference().digest, block.clone());
            self.history.happened.push(Happened::Block(block));
        }
    }

    fn note_event(&mut self, event: Event) {
        match event {
            Event::Executed { header, leaders, blocks, outcomes, .. } => {
                let blocks = blocks.iter().map(|block| self.blocks[&block.digest].clone());
                let (blocks, evidence, received) = (blocks.collect(), Vec::new(), Vec::new());
                let executed = Executed { header, leaders, blocks, outcomes, received, evidence };
                if self.shards[0].checkpoint().height == header.height {
                    let ledger = self.shards[0].ledger().clone();
                    self.history.ledgers.insert(header.height, ledger);
                }
                self.history.happened.push(Happened::Executed(executed));
            }
            Event::Certified { height, .. } if height.0 % CERTIFICATE_EVERY == 0 => {
                let executed = self.history.executed().find(|one| one.header.height == height);
                let header = executed.unwrap().header;
                if let Some(certificate) = self.shards[0].certificate(header) {
                    self.history.happened.push(Happened::Certified(certificate));
                }
            }
            Event::Skipped(slot) => self.history.happened.push(Happened::Skipped(slot)),
            _ => {}
        }
    }
}
