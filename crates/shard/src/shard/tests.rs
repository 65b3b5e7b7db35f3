//! A shard's parts together, over a network without faults, loss or cost. Faults are the
//! simulator's business.

use std::collections::BTreeMap;

use qcn_crypto::{ChainId, Scheme, SeededRandomness, SigningKey};
use qcn_types::{
    Action, Address, Amount, Block, BlockHeader, Committee, CompactBlock, Epoch, Member, ShardId,
    Transaction, TransactionBody, Verified, Weight,
};

use super::*;

mod ending;

const DELAY_US: u64 = 20_000;

/// A few shards and the messages between them.
struct Lab {
    keys: Vec<SigningKey>,
    committee_keys: CommitteeKeys,
    accounts: Arc<[GenesisAccount]>,
    opening: Option<Opening>,
    config: Config,
    snapshot_interval: u64,
    shards: Vec<Shard>,
    queue: BTreeMap<(Time, u64), (usize, Input)>,
    sequence: u64,
    logs: Vec<Vec<Record>>,
    events: Vec<Vec<Event>>,
    cut_off: Vec<usize>,
    /// What was sent to somebody who is no member.
    guest_mail: Vec<(ValidatorIndex, Message)>,
    randomness: SeededRandomness,
}

impl Lab {
    fn new(weights: &[u64], accounts: &[(&SigningKey, u64)]) -> Self {
        let config = Config { schedule_interval_commits: 32, ..Config::default() };
        Self::configured(config, 1, weights, accounts)
    }

    fn configured(
        config: Config,
        snapshot_interval: u64,
        weights: &[u64],
        accounts: &[(&SigningKey, u64)],
    ) -> Self {
        let chain = ChainId(Digest([7; 32]));
        let keys: Vec<SigningKey> = (0..weights.len())
            .map(|index| SigningKey::from_seed(Scheme::Falcon512, &[index as u8; 32]).unwrap())
            .collect();
        let members = keys.iter().zip(weights).map(|(key, weight)| Member {
            name: format!("v{weight}"),
            key: key.public_key().clone(),
            weight: Weight(*weight),
        });
        let committee = Committee::new(ShardId(0), Epoch(0), members.collect()).unwrap();
        let committee_keys = CommitteeKeys::decode(chain, Arc::new(committee)).unwrap();
        let accounts: Arc<[GenesisAccount]> = accounts
            .iter()
            .map(|(key, balance)| GenesisAccount {
                address: Address::of(key.public_key()),
                balance: Amount(*balance),
            })
            .collect();
        let mut lab = Self {
            snapshot_interval,
            shards: Vec::new(),
            queue: BTreeMap::new(),
            sequence: 0,
            logs: vec![Vec::new(); weights.len()],
            events: vec![Vec::new(); weights.len()],
            cut_off: Vec::new(),
            guest_mail: Vec::new(),
            randomness: SeededRandomness::from_u64(1, "lab"),
            keys,
            committee_keys,
            accounts,
            opening: None,
            config,
        };
        for index in 0..weights.len() {
            let shard = lab.start(index, Time::ZERO, Start::Fresh);
            lab.shards.push(shard);
            lab.drain(index, Time::ZERO);
        }
        lab
    }

    fn start(&self, index: usize, now: Time, start: Start) -> Shard {
        let config = ShardConfig {
            keys: self.committee_keys.clone(),
            own: ValidatorIndex(index as u16),
            seed: Digest([9; 32]),
            consensus: self.config.clone(),
            territory: Territory::whole(ShardId(0)),
            accounts: Arc::clone(&self.accounts),
            opening: self.opening.clone(),
            snapshot_interval: self.snapshot_interval,
            nonce: 5,
            replays_events: false,
        };
        Shard::new(now, config, start).unwrap()
    }

    fn restart(&mut self, index: usize, now: Time, start: Start) {
        self.queue.retain(|_, (to, _)| *to != index);
        self.shards[index] = self.start(index, now, start);
        self.drain(index, now);
    }

    fn push(&mut self, at: Time, to: usize, input: Input) {
        self.sequence += 1;
        self.queue.insert((at, self.sequence), (to, input));
    }

    fn deliver(&mut self, now: Time, from: usize, to: usize, message: Message) {
        if !self.cut_off.contains(&from) && !self.cut_off.contains(&to) {
            let from = ValidatorIndex(from as u16);
            if to >= self.keys.len() {
                return self.guest_mail.push((from, message));
            }
            self.push(now.plus_us(DELAY_US), to, Input::Message { from, message });
        }
    }

    fn drain(&mut self, index: usize, now: Time) {
        while let Some(output) = self.shards[index].poll_output() {
            match output {
                Output::VerifyBlock { from, compact, parents } => {
                    let committee = self.committee_keys.committee();
                    let block = CompactBlock::clone(&compact);
                    let block = block.with_parents(self.committee_keys.chain(), committee, parents);
                    let outcome = self.committee_keys.verify_block(block);
                    self.push(now, index, Input::BlockVerified { from, compact, outcome });
                }
                Output::SignBlock(body) => {
                    let context = BlockHeader::signing_context(self.committee_keys.chain());
                    let digest = body.digest();
                    let signature = self.keys[index]
                        .sign_seeded(&context, digest.as_bytes(), &mut self.randomness)
                        .unwrap();
                    let block = Block { body: *body, signature };
                    let block = self.committee_keys.verify_block(block).unwrap();
                    self.push(now, index, Input::BlockSigned(block));
                }
                Output::VerifySync { from, package } => {
                    let certificate = &package.certificate;
                    let valid =
                        qcn_light::verify_certificate(certificate, &self.committee_keys).is_ok();
                    self.push(now, index, Input::SyncVerified { from, package, valid });
                }
                Output::Persist { record, .. } => self.logs[index].push(record),
                Output::Send { to, message } => self.deliver(now, index, to.position(), message),
                Output::Broadcast(message) => {
                    for to in (0..self.shards.len().max(self.keys.len())).filter(|to| *to != index)
                    {
                        self.deliver(now, index, to, message.clone());
                    }
                }
                Output::Wake(at) => self.push(at.max(now), index, Input::Tick),
                Output::Event(event) => self.events[index].push(event),
            }
        }
    }

    fn run_until(&mut self, end: Time) {
        while let Some((to, at)) = self.step(end) {
            self.drain(to, at);
        }
    }

    /// The next input is handled; what comes of it is not carried out yet. Says where and when.
    fn step(&mut self, end: Time) -> Option<(usize, Time)> {
        while let Some(((at, _), _)) =
            self.queue.first_key_value().filter(|((at, _), _)| *at <= end)
        {
            let at = *at;
            let (_, (to, input)) = self.queue.pop_first()?;
            if to < self.shards.len() {
                self.shards[to].handle(at, input);
                return Some((to, at));
            }
        }
        None
    }

    fn heights(&self) -> Vec<u64> {
        self.shards.iter().map(|shard| shard.status().certified.0).collect()
    }

    /// Every validator that executed a height got the same checkpoint.
    fn assert_agreement(&self) {
        let mut chain: BTreeMap<Height, Digest> = BTreeMap::new();
        for event in self.events.iter().flatten() {
            if let Event::Executed { height, checkpoint, .. } = event {
                assert_eq!(*chain.entry(*height).or_insert(*checkpoint), *checkpoint);
            }
            assert!(!matches!(event, Event::Diverged { .. }), "{event:?}");
        }
    }

    fn transfer(&self, key: &SigningKey, nonce: u64, to: Address, amount: u64) -> Input {
        let body = TransactionBody {
            sender: Address::of(key.public_key()),
            nonce,
            fee: qcn_ledger::MIN_FEE,
            action: Action::Transfer { to, amount: Amount(amount) },
        };
        let chain = self.committee_keys.chain();
        let context = TransactionBody::signing_context(chain);
        let signature = key.sign(&context, &qcn_types::encode(&body)).unwrap();
        let transaction = Transaction { body, key: key.public_key().clone(), signature };
        Input::Submit(Verified::check(transaction, chain).unwrap())
    }
}

fn account_key(seed: u8) -> SigningKey {
    SigningKey::from_seed(Scheme::Falcon512, &[seed; 32]).unwrap()
}

/// A committee of any small size certifies checkpoints and executes a transfer everywhere.
///
/// Given committees of one, two, four and seven validators, some of unequal weight.
/// When Alice sends Bob 30 through the first validator,
/// then all execute it, agree on every height, and certify what they executed.
#[test]
fn a_transfer_is_executed_and_certified_everywhere() {
    for weights in [&[5][..], &[1, 1], &[1, 1, 1, 1], &[3, 2, 4, 3, 5, 4, 1]] {
        let (alice, bob) = (account_key(101), account_key(102));
        let mut lab = Lab::new(weights, &[(&alice, 1_000)]);
        let to = Address::of(bob.public_key());
        let input = lab.transfer(&alice, 0, to, 30);
        lab.push(Time::from_ms(500), 0, input);
        lab.run_until(Time::from_ms(5_000));
        lab.assert_agreement();
        for shard in &lab.shards {
            let status = shard.status();
            assert!(status.certified.0 > 5, "{weights:?}: {status:?}");
            assert_eq!(shard.ledger().account(&to).unwrap().balance, Amount(30));
        }
    }
}

/// A validator that was cut off for long synchronises the state and goes on.
///
/// Given four validators, one of them cut off for a minute,
/// when it is connected again,
/// then it synchronises to a certified checkpoint, and later certifies what the others do.
#[test]
fn a_validator_far_behind_synchronises_the_state() {
    let alice = account_key(101);
    let mut lab = Lab::new(&[1, 1, 1, 1], &[(&alice, 1_000)]);
    lab.run_until(Time::from_ms(1_000));
    lab.cut_off = vec![3];
    lab.run_until(Time::from_ms(60_000));
    lab.cut_off.clear();
    lab.run_until(Time::from_ms(75_000));
    lab.assert_agreement();
    assert!(
        lab.events[3].iter().any(|event| matches!(event, Event::Synchronised { .. })),
        "{:?}",
        lab.shards[3].status()
    );
    let heights = lab.heights();
    assert!(heights[3] + 5 > heights[0], "{heights:?}");
}

/// Who lost its disk comes back by the newest snapshot, however old that is.
///
/// Given four validators whose rounds have one leader each, and snapshots 256 commits apart.
/// When one loses its disk before the first snapshot, or long after the newest one,
/// then it comes back within moments, by that snapshot and not by a later one.
#[test]
fn a_validator_that_lost_its_disk_needs_no_new_snapshot() {
    let config = Config {
        leaders_per_round: 1,
        schedule_interval_commits: 32,
        idle_round_interval_us: 10_000,
        ..Config::default()
    };
    for [snapshots, rounds_later] in [[0, 240], [1, 200], [2, 240]] {
        let alice = account_key(101);
        let mut lab = Lab::configured(config.clone(), 8, &[1, 1, 1, 1], &[(&alice, 1_000)]);
        let mut now = Time::ZERO;
        let mut snapshot = (0, Height(0), Round(0));
        while snapshot.0 < snapshots || lab.shards[0].status().round < snapshot.2.plus(rounds_later)
        {
            now = now.plus_ms(100);
            lab.run_until(now);
            let found = lab.logs[0].iter().filter_map(|record| match record {
                Record::Snapshot { package, .. } => Some(package.certificate.checkpoint),
                _ => None,
            });
            let checkpoint = found.clone().next_back().unwrap_or_default();
            snapshot = (found.count() as u64, checkpoint.height, checkpoint.leader.round);
        }
        assert_eq!(snapshot.0, snapshots, "another snapshot came in between");
        lab.restart(3, now, Start::Suspect(Vec::new()));
        lab.run_until(now.plus_ms(1_500));
        lab.assert_agreement();
        let jumps = lab.events[3].iter().filter_map(|event| match event {
            Event::Synchronised { height, .. } => Some(*height),
            _ => None,
        });
        let expected: Vec<Height> = Some(snapshot.1).into_iter().filter(|at| at.0 > 0).collect();
        assert_eq!(jumps.collect::<Vec<_>>(), expected);
        let [other, own] = [0, 3].map(|index| lab.shards[index].status());
        assert!(
            !own.recovering && own.certified.0 + 5 > other.certified.0,
            "{snapshots} snapshots: {own:?} {other:?}"
        );
    }
}

/// A restart with the log neither forgets what was signed nor stops the validator.
///
/// Given four validators,
/// when one restarts with its log and another comes up with an empty disk,
/// then nobody signs a slot twice and all go on.
#[test]
fn restarts_sign_no_slot_twice() {
    let alice = account_key(101);
    let mut lab = Lab::new(&[1, 1, 1, 1], &[(&alice, 1_000)]);
    lab.run_until(Time::from_ms(2_000));
    let log = lab.logs[1].clone();
    lab.restart(1, Time::from_ms(2_000), Start::Restarted(log));
    lab.run_until(Time::from_ms(5_000));
    lab.restart(2, Time::from_ms(5_000), Start::Suspect(Vec::new()));
    lab.run_until(Time::from_ms(15_000));
    lab.assert_agreement();
    for (index, events) in lab.events.iter().enumerate() {
        let mut slots = BTreeMap::new();
        for event in events {
            if let Event::Proposed(block) = event {
                let reference = block.reference();
                let before = slots.insert(reference.round, reference.digest);
                assert!(before.is_none(), "validator {index} signed {} twice", reference.round);
            }
            assert!(!matches!(event, Event::Proven(_)), "{event:?}");
        }
    }
    let heights = lab.heights();
    assert!(heights.iter().all(|height| height + 5 > heights[0]), "{heights:?}");
}
