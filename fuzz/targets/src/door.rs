//! The consensus machine's input door: validator 0 of four, and three others that do anything.
//!
//! The input is a script. Among its steps are well-behaved rounds, blocks that are signed by
//! their authors but reference and carry anything, messages decoded from raw bytes, and every
//! other input out of turn. What the machine asks for is done at once, late, or never.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use qcn_consensus::limits::{
    HORIZON_ROUNDS, MAX_HELD_BACK, MAX_SIBLINGS, MAX_VERIFYING_PER_PEER, MAX_WAITING_PER_PEER,
    RETENTION_ROUNDS,
};
use qcn_consensus::{Config, Input, Machine, Message, Output};
use qcn_crypto::Digest;
use qcn_types::{
    Attestation, BlockBody, BlockRef, Bounded, CompactBlock, CompactParents, Evidence, Height,
    MAX_MEMBERS, Payload, Round, Slot, Time, ValidatorIndex, VerifiedBlock, VerifyError, decode,
    genesis_ref,
};

use crate::Bytes;
use crate::samples::{CHAIN, keys, sign, transaction};

const OWN: ValidatorIndex = ValidatorIndex(0);
const MEMBERS: usize = 4;
/// A longer script takes longer than a fuzzer should wait for.
const MAX_STEPS: usize = 400;
/// One input makes at most this many outputs: what waited may come in all at once.
const MAX_OUTPUTS_PER_INPUT: usize = 20_000;

/// Runs a script.
pub(crate) fn machine(bytes: &[u8]) {
    let mut bytes = Bytes::new(bytes);
    let mut world = World::new(bytes.byte());
    for _ in 0..MAX_STEPS {
        if bytes.is_empty() {
            break;
        }
        world.step(&mut bytes);
        world.check_bounds();
    }
}

/// Scripts to start from: quiet rounds, faults among quiet rounds, and noise.
pub(crate) fn scripts() -> Vec<Vec<u8>> {
    let noise = |seed: u8| {
        let next = |byte: &mut u8| {
            *byte = byte.wrapping_mul(73).wrapping_add(seed | 1);
            Some(*byte)
        };
        std::iter::successors(Some(seed), move |byte| next(&mut byte.clone())).take(200).collect()
    };
    let with_faults: Vec<u8> =
        (0..60_u8).flat_map(|step| [0, 2, step, step / 2, 1, step * 3, 0, step]).collect();
    let mut scripts = vec![vec![0; 60], vec![7; 60], with_faults];
    scripts.extend((1..5).map(noise));
    scripts
}

/// How often the machine commits when everybody behaves.
#[must_use]
pub fn commits_of_quiet_rounds(rounds: u64) -> u64 {
    let mut world = World::new(0);
    for _ in 0..rounds {
        world.quiet_round();
    }
    assert!(world.guilty.is_empty(), "nobody did anything");
    world.commits
}

struct World {
    machine: Machine,
    now: Time,
    /// Every block that exists, by name.
    pool: Vec<VerifiedBlock>,
    newest: [BlockRef; MEMBERS],
    /// What is in each slot, to know who equivocates.
    slots: BTreeMap<Slot, BTreeSet<Digest>>,
    /// Authors that did something that proves their fault.
    guilty: BTreeSet<ValidatorIndex>,
    evidence: Vec<Evidence>,
    unverified: VecDeque<(ValidatorIndex, Arc<CompactBlock>, Vec<BlockRef>)>,
    unsigned: VecDeque<Box<BlockBody>>,
    /// Whether the driver answers late.
    lazy: bool,
    highest_own: Round,
    commits: u64,
}

impl World {
    fn new(settings: u8) -> Self {
        let config = Config {
            leaders_per_round: u16::from(settings % 3) + 1,
            schedule_interval_commits: 4,
            min_round_interval_us: 1_000,
            idle_round_interval_us: 10_000,
            ..Config::default()
        };
        let mut machine = Machine::new(Time::ZERO, config, keys().clone(), OWN, Digest([9; 32]));
        if settings & 0x40 != 0 {
            machine.recover(5);
        }
        Self {
            machine,
            now: Time::ZERO,
            pool: Vec::new(),
            newest: std::array::from_fn(|author| genesis(ValidatorIndex(author as u16))),
            slots: BTreeMap::new(),
            guilty: BTreeSet::new(),
            evidence: Vec::new(),
            unverified: VecDeque::new(),
            unsigned: VecDeque::new(),
            lazy: settings & 0x80 != 0,
            highest_own: Round::GENESIS,
            commits: 0,
        }
    }

    fn step(&mut self, bytes: &mut Bytes<'_>) {
        match bytes.byte() % 16 {
            0 | 1 => self.quiet_round(),
            2 | 3 => self.strange_block(bytes),
            4 => self.raw_message(bytes),
            5 => {
                self.now = self.now.plus_ms(u64::from(bytes.short()));
                self.handle(Input::Tick);
            }
            6 => self.old_block(bytes),
            7 => self.many_old_blocks(bytes),
            8 => self.request(bytes),
            9 => self.recovery(bytes),
            10 => self.handle(Input::Busy(bytes.byte() & 1 == 1)),
            11 => self.verify_late(bytes),
            12 => self.sign_late(bytes),
            13 => self.unasked_payload(bytes),
            14 => self.unasked_verdict(bytes),
            _ => self.lazy = !self.lazy,
        }
    }

    fn handle(&mut self, input: Input) {
        self.machine.handle(self.now, input);
        let mut outputs = 0;
        while let Some(output) = self.machine.poll_output() {
            outputs += 1;
            assert!(outputs <= MAX_OUTPUTS_PER_INPUT, "outputs without end");
            self.carry_out(output);
        }
    }

    fn carry_out(&mut self, output: Output) {
        match output {
            Output::Verify { from, compact, parents } => {
                assert!(parents.len() <= MAX_MEMBERS);
                self.unverified.push_back((from, compact, parents));
                if !self.lazy {
                    self.verify(0);
                }
            }
            Output::Sign(body) => {
                self.unsigned.push_back(body);
                if !self.lazy {
                    self.sign(0);
                }
            }
            Output::RequestPayload { round } => {
                let attested = Attestation { height: Height(round.0), checkpoint: Digest::ZERO };
                let attestations = Bounded::truncated(vec![attested]);
                let mut payload = Payload::default();
                let evidence = self.evidence.split_off(self.evidence.len().saturating_sub(2));
                payload.evidence = Bounded::truncated(evidence);
                self.handle(Input::Payload { round, payload, attestations });
            }
            Output::PersistOwn(block) => {
                let round = block.reference().round;
                assert!(round > self.highest_own, "the machine signed {round} again");
                self.highest_own = round;
                self.note(block);
            }
            Output::Evidence(evidence) => {
                assert!(self.guilty.contains(&evidence.accused()), "nobody is blamed in vain");
                assert!(qcn_light::verify_evidence(&evidence, keys()).is_ok());
                self.evidence.push(evidence);
            }
            Output::Commit(commit) => {
                self.commits += 1;
                assert_eq!(commit.index, self.commits, "commits come in order");
                let names: Vec<BlockRef> = commit.blocks.iter().map(|b| b.reference()).collect();
                assert!(names.is_sorted_by(|before, after| before < after));
                assert!(names.contains(&commit.leader));
                for (isolated, _) in &commit.isolated {
                    assert!(self.guilty.contains(isolated), "nobody is isolated in vain");
                }
            }
            Output::Wake(at) => assert!(at.0 < u64::MAX, "it wakes some day"),
            _ => {}
        }
    }

    fn check_bounds(&self) {
        let load = self.machine.load();
        let layers = Config::default().gc_depth + RETENTION_ROUNDS + 2 * HORIZON_ROUNDS;
        let slots = layers as usize * MEMBERS;
        assert!(load.dag_blocks <= slots * (1 + MAX_SIBLINGS), "{load:?}");
        let per_peer = MAX_WAITING_PER_PEER + MAX_VERIFYING_PER_PEER;
        assert!(load.waiting_blocks <= MEMBERS * per_peer, "{load:?}");
        assert!(load.held_back <= MAX_HELD_BACK, "{load:?}");
    }

    /// Remembers a block, and whether it makes its author guilty.
    fn note(&mut self, block: VerifiedBlock) {
        let reference = block.reference();
        let in_slot = self.slots.entry(reference.slot()).or_default();
        in_slot.insert(reference.digest);
        if in_slot.len() > 1 || qcn_light::check_block(&block.body, keys().committee()).is_err() {
            self.guilty.insert(reference.author);
        }
        let newest = &mut self.newest[reference.author.position()];
        if reference.round > newest.round {
            *newest = reference;
        }
        self.pool.push(block);
    }

    // ----- the others behave -----

    /// Everybody else proposes on all newest blocks; then time passes.
    fn quiet_round(&mut self) {
        let newest = self.newest;
        let highest = newest.iter().map(|newest| newest.round).max().unwrap_or_default();
        let quorum = newest.iter().filter(|newest| newest.round == highest).count() >= 3;
        let round = if quorum { highest.next() } else { highest };
        for author in (1..MEMBERS as u16).map(ValidatorIndex) {
            let own = newest[author.position()];
            let others = newest.iter().filter(|n| n.author != author && n.round < round);
            if own.round >= round {
                continue;
            }
            let parents = [own].into_iter().chain(others.copied()).collect();
            if let Some(block) = self.seal(body(author, round, self.now.as_ms(), parents)) {
                self.send_packed(author, &block);
            }
        }
        self.now = self.now.plus_ms(20);
        self.handle(Input::Tick);
    }

    fn seal(&mut self, body: BlockBody) -> Option<VerifiedBlock> {
        let author = body.author;
        match keys().verify_block(sign(body)) {
            Ok(block) => {
                self.note(block.clone());
                Some(block)
            }
            Err(VerifyError::TransactionSignature { .. }) => {
                self.guilty.insert(author);
                None
            }
            Err(error) => panic!("an own signature verifies: {error}"),
        }
    }

    fn send_packed(&mut self, from: ValidatorIndex, block: &VerifiedBlock) {
        let compact = Arc::new(CompactBlock::pack(block));
        self.handle(Input::Message { from, message: Message::Block(compact) });
    }

    // ----- the others misbehave -----

    /// A signed block that may reference and carry anything, from anybody.
    fn strange_block(&mut self, bytes: &mut Bytes<'_>) {
        let author = ValidatorIndex(1 + bytes.below(MEMBERS - 1) as u16);
        let from = ValidatorIndex(bytes.below(MEMBERS + 1) as u16);
        let own = self.newest[author.position()];
        let round = Round((own.round.0 + 2).saturating_sub(u64::from(bytes.byte() % 4)));
        let mut parents = vec![own];
        parents.extend(self.newest.iter().filter(|newest| newest.author != author));
        for _ in 0..bytes.byte() % 4 {
            let replacement = self.some_reference(bytes);
            let place = bytes.below(parents.len());
            parents[place] = replacement;
        }
        if bytes.byte() & 7 == 0 {
            parents.truncate(bytes.below(4));
        }
        let time_ms = (self.now.as_ms() + u64::from(bytes.byte()) * 4).saturating_sub(200);
        let mut body = body(author, round, time_ms, parents);
        let flags = bytes.byte();
        if flags & 1 != 0 {
            let mut transaction = transaction(0, false);
            transaction.body.nonce = u64::from(flags & 2);
            body.payload.transactions = Bounded::truncated(vec![transaction]);
        }
        if flags & 4 != 0 {
            body.payload.evidence = Bounded::truncated(self.evidence.clone());
        }
        let block = sign(body.clone());
        self.seal(body);
        let mut compact =
            if flags & 8 == 0 { CompactBlock::pack(&block) } else { CompactBlock::in_full(&block) };
        if flags & 16 != 0 {
            compact.time_ms ^= 1;
        }
        if flags & 32 != 0 {
            compact.parents = CompactParents::pack(round.next(), &block.body.parents);
        }
        self.handle(Input::Message { from, message: Message::Block(Arc::new(compact)) });
    }

    /// The name of a block that exists, or of none.
    fn some_reference(&self, bytes: &mut Bytes<'_>) -> BlockRef {
        let choice = bytes.byte();
        match self.pool.len() {
            0 => genesis(ValidatorIndex(u16::from(choice % 5))),
            _ if choice.is_multiple_of(8) => BlockRef {
                round: Round(u64::from(bytes.byte()) << (choice % 64)),
                author: ValidatorIndex(u16::from(bytes.byte() % 6)),
                digest: Digest([choice; 32]),
            },
            count => self.pool[count - 1 - usize::from(choice) % count.min(64)].reference(),
        }
    }

    fn raw_message(&mut self, bytes: &mut Bytes<'_>) {
        let from = ValidatorIndex(u16::from(bytes.byte()));
        let length = usize::from(bytes.short() % 1_024);
        if let Ok(message) = decode::<Message>(bytes.take(length)) {
            self.handle(Input::Message { from, message });
        }
    }

    fn old_block(&mut self, bytes: &mut Bytes<'_>) {
        let from = ValidatorIndex(bytes.below(MEMBERS) as u16);
        let index = bytes.below(self.pool.len());
        if let Some(block) = self.pool.get(self.pool.len().wrapping_sub(1 + index)).cloned() {
            self.send_packed(from, &block);
        }
    }

    fn many_old_blocks(&mut self, bytes: &mut Bytes<'_>) {
        let from = ValidatorIndex(bytes.below(MEMBERS) as u16);
        let newest_first = self.pool.iter().rev().take(usize::from(bytes.byte()));
        let blocks = newest_first.map(|block| Arc::new(CompactBlock::in_full(block))).collect();
        self.handle(Input::Message { from, message: Message::Blocks(Bounded::truncated(blocks)) });
    }

    fn request(&mut self, bytes: &mut Bytes<'_>) {
        let from = ValidatorIndex(bytes.below(MEMBERS) as u16);
        let reference = self.some_reference(bytes);
        let count = usize::from(bytes.byte());
        let message = match bytes.byte() % 4 {
            0 => Message::RequestSlots(Bounded::truncated(vec![reference.slot(); count])),
            1 => Message::RequestBlocks(Bounded::truncated(vec![reference; count])),
            2 => Message::RequestFull(reference.slot()),
            _ => Message::RequestRounds { first: reference.round, count: count as u16 },
        };
        self.handle(Input::Message { from, message });
    }

    fn recovery(&mut self, bytes: &mut Bytes<'_>) {
        let from = ValidatorIndex(bytes.below(MEMBERS) as u16);
        let nonce = u64::from(bytes.byte() % 8);
        let message = match bytes.byte() % 3 {
            0 => Message::RecoveryQuery { nonce },
            1 => Message::RecoveryAnswer { nonce: 5, latest: self.newest[from.position()] },
            _ => Message::RecoveryAnswer { nonce, latest: self.some_reference(bytes) },
        };
        self.handle(Input::Message { from, message });
    }

    // ----- the driver is late, or answers what nobody asked -----

    fn verify(&mut self, index: usize) {
        if let Some((from, compact, parents)) = self.unverified.remove(index) {
            let block = CompactBlock::clone(&compact);
            let block = block.with_parents(CHAIN, keys().committee(), parents);
            let outcome = keys().verify_block(block);
            self.handle(Input::Verified { from, compact, outcome });
        }
    }

    fn verify_late(&mut self, bytes: &mut Bytes<'_>) {
        let index = bytes.below(self.unverified.len());
        self.verify(index);
    }

    fn sign(&mut self, index: usize) {
        if let Some(body) = self.unsigned.remove(index) {
            let block = keys().verify_block(sign(*body)).expect("the machine's own block is good");
            self.handle(Input::Signed(block));
        }
    }

    fn sign_late(&mut self, bytes: &mut Bytes<'_>) {
        let index = bytes.below(self.unsigned.len());
        self.sign(index);
    }

    fn unasked_payload(&mut self, bytes: &mut Bytes<'_>) {
        let round = Round(u64::from(bytes.byte()));
        let (payload, attestations) = (Payload::default(), Bounded::default());
        self.handle(Input::Payload { round, payload, attestations });
    }

    fn unasked_verdict(&mut self, bytes: &mut Bytes<'_>) {
        let from = ValidatorIndex(bytes.below(MEMBERS) as u16);
        let index = bytes.below(self.pool.len());
        if let Some(block) = self.pool.get(index).cloned() {
            let compact = Arc::new(CompactBlock::pack(&block));
            let outcome =
                if bytes.byte() & 1 == 0 { Ok(block) } else { Err(VerifyError::BlockSignature) };
            self.handle(Input::Verified { from, compact, outcome });
        }
    }
}

fn genesis(author: ValidatorIndex) -> BlockRef {
    let committee = keys().committee();
    genesis_ref(CHAIN, committee.shard(), committee.epoch(), author)
}

fn body(author: ValidatorIndex, round: Round, time_ms: u64, parents: Vec<BlockRef>) -> BlockBody {
    let committee = keys().committee();
    BlockBody {
        chain: CHAIN,
        shard: committee.shard(),
        epoch: committee.epoch(),
        round,
        author,
        time_ms,
        parents,
        payload: Payload::default(),
        attestations: Bounded::default(),
    }
}
