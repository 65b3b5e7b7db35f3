//! Clients of a network of shards: what they send within and across, and what became of it.

use std::collections::BTreeMap;

use qcn_ledger::Received;
use qcn_types::{Address, Height, ReceiptKind, TransactionId, ValidatorIndex};

use crate::random::Random;
use crate::simulator::QuantumNetworkSimulator;

/// How much a generated transfer moves.
const TRANSFER_AMOUNT: u64 = 1;

/// What the clients of each shard submit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Rate {
    /// The time from one transfer to the next, in microseconds.
    pub(super) interval_us: u64,
    /// How many of a thousand go to another shard.
    pub(super) cross_permille: u64,
    /// When no more are submitted, in microseconds.
    pub(super) until_us: u64,
}

/// A transfer to another shard.
#[derive(Clone, Copy, Debug)]
pub(super) struct Crossing {
    pub(super) from: usize,
    pub(super) to: usize,
    pub(super) sender: Address,
    pub(super) submitted: u64,
    /// Executed at its receiver's validator.
    pub(super) applied: Option<u64>,
    /// Certified there.
    pub(super) certified: Option<u64>,
}

/// All clients.
#[derive(Debug)]
pub(super) struct Traffic {
    rate: Rate,
    random: Random,
    /// The accounts of each engine, with the validators that their clients look at.
    accounts: Vec<Vec<(Address, ValidatorIndex)>>,
    validators: BTreeMap<(usize, Address), ValidatorIndex>,
    /// The engines whose clients submit.
    live: Vec<usize>,
    pub(super) crossings: BTreeMap<TransactionId, Crossing>,
    /// Applied and not yet certified, by shard, validator and height.
    uncertified: BTreeMap<(usize, ValidatorIndex), BTreeMap<Height, Vec<TransactionId>>>,
}

impl Traffic {
    pub(super) fn new(seed: u64, rate: Rate, shards: &[QuantumNetworkSimulator]) -> Self {
        let mut traffic = Self {
            rate,
            random: Random::new(seed, "traffic"),
            validators: BTreeMap::new(),
            accounts: Vec::new(),
            live: (0..shards.len()).collect(),
            crossings: BTreeMap::new(),
            uncertified: BTreeMap::new(),
        };
        shards.iter().for_each(|network| traffic.add(network));
        traffic
    }

    /// The clients of one more engine.
    pub(super) fn add(&mut self, network: &QuantumNetworkSimulator) {
        let clients = &network.engine.clients;
        let account = |number| Some((clients.address(number)?, clients.validator_of(number)?));
        let accounts: Vec<_> = (0..clients.len()).filter_map(account).collect();
        let engine = self.accounts.len();
        let validators = accounts.iter().map(|(address, it)| ((engine, *address), *it));
        self.validators.extend(validators);
        self.accounts.push(accounts);
    }

    /// Clients submit to these engines from now on.
    pub(super) fn lives_on(&mut self, engines: Vec<usize>) {
        self.live = engines;
    }

    /// A client of a shard submits a transfer. Says when the next one is due.
    pub(super) fn submit(
        &mut self,
        now: u64,
        from: usize,
        shards: &mut [QuantumNetworkSimulator],
    ) -> Option<u64> {
        let place = self.live.iter().position(|engine| *engine == from);
        let place = place.filter(|_| now < self.rate.until_us)?;
        let count = self.live.len();
        let crosses = count > 1 && self.random.below(1_000) < self.rate.cross_permille;
        let engine = &mut shards[from].engine;
        engine.now = now;
        if crosses {
            let others = count as u64 - 1;
            let to = self.live[(place + 1 + self.random.below(others) as usize) % count];
            let account = self.random.pick(&self.accounts[to]).copied();
            let engine = &mut shards[from].engine;
            if let (Some((account, _)), Some(sender)) = (account, engine.clients.draw_sender())
                && let Some(address) = engine.clients.address(sender)
                && let Some(id) = engine.submit_transfer(sender, account, TRANSFER_AMOUNT)
            {
                let crossing = Crossing {
                    from,
                    to,
                    sender: address,
                    submitted: now,
                    applied: None,
                    certified: None,
                };
                self.crossings.insert(id, crossing);
            }
        } else {
            engine.submit_generated();
        }
        Some(now + self.rate.interval_us)
    }

    /// A validator has executed receipts.
    pub(super) fn executed(
        &mut self,
        now: u64,
        (shard, validator, height): (usize, ValidatorIndex, Height),
        applied: &[TransactionId],
        received: &[Received],
    ) {
        // What was to cross may have been executed after both accounts had come into one shard.
        for id in applied {
            if let Some(crossing) = self.crossings.get(id)
                && self.validators.get(&(shard, crossing.sender)) == Some(&validator)
            {
                self.arrived(now, (shard, validator, height), *id);
            }
        }
        for received in received.iter().filter(|it| it.receipt.kind == ReceiptKind::Transfer) {
            let id = received.receipt.transaction;
            if self.validators.get(&(shard, received.receipt.receiver)) != Some(&validator) {
                continue;
            }
            self.arrived(now, (shard, validator, height), id);
        }
    }

    fn arrived(
        &mut self,
        now: u64,
        (shard, validator, height): (usize, ValidatorIndex, Height),
        id: TransactionId,
    ) {
        if let Some(crossing) = self.crossings.get_mut(&id)
            && crossing.applied.is_none()
        {
            crossing.applied = Some(now);
            let heights = self.uncertified.entry((shard, validator)).or_default();
            heights.entry(height).or_default().push(id);
        }
    }

    /// A validator has seen a certificate, which vouches for everything up to its height.
    pub(super) fn certified(
        &mut self,
        now: u64,
        shard: usize,
        validator: ValidatorIndex,
        height: Height,
    ) {
        let Some(heights) = self.uncertified.get_mut(&(shard, validator)) else {
            return;
        };
        while let Some(entry) = heights.first_entry() {
            if *entry.key() > height {
                return;
            }
            for id in entry.remove() {
                if let Some(crossing) = self.crossings.get_mut(&id) {
                    crossing.certified = Some(now);
                }
            }
        }
    }
}
