//! What a run counts, for its result. Nothing here influences the run.

#![expect(clippy::disallowed_types, reason = "asked by key, never walked")]

use std::collections::{BTreeMap, BTreeSet, HashMap};

use qcn_consensus::Message as BlockMessage;
use qcn_ledger::Outcome;
use qcn_shard::{Event, Message};
use qcn_types::{Height, Offence, Round, Slot, TransactionId, ValidatorIndex};

use crate::fault::Fault;
use crate::result::{EventKind, RunEvent};

/// The most events kept for the time axis.
const MAX_EVENTS: usize = 10_000;

/// The path of one copy of a block from its author to a receiver.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Propagation {
    /// The author, who sent it.
    pub from: ValidatorIndex,
    /// Who received it.
    pub to: ValidatorIndex,
    /// The block's round.
    pub round: Round,
    /// Bytes of the message, without the packets' overhead.
    pub bytes: u64,
    /// From the author's output to the arrival, in microseconds.
    pub elapsed_us: u64,
}

/// What one validator did.
#[derive(Clone, Debug, Default)]
pub(crate) struct ValidatorMetrics {
    pub(crate) bytes_sent: u64,
    pub(crate) messages_sent: u64,
    pub(crate) messages_received: u64,
    pub(crate) blocks: u64,
    pub(crate) round: Round,
    pub(crate) slots_committed: u64,
    pub(crate) slots_skipped: u64,
    pub(crate) height: Height,
    pub(crate) certified: Height,
    pub(crate) rejections: u64,
    /// Rounds entered and leaders committed, by second.
    pub(crate) rounds_by_second: Vec<u64>,
    pub(crate) commits_by_second: Vec<u64>,
    /// Own transactions executed and not certified yet, by height.
    uncertified: BTreeMap<Height, Vec<TransactionId>>,
}

/// The life of a transaction at the validator where it was handed in.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Life {
    pub(crate) validator: ValidatorIndex,
    pub(crate) submitted: u64,
    /// Executed there.
    pub(crate) executed: Option<u64>,
    /// Certified there.
    pub(crate) certified: Option<u64>,
    /// Executed anywhere, and whether it took effect.
    pub(crate) outcome: Option<bool>,
    /// Whether it went to another shard.
    pub(crate) crosses: bool,
}

/// Everything a run counts.
#[derive(Debug)]
pub(crate) struct Metrics {
    pub(crate) validators: Vec<ValidatorMetrics>,
    /// Looked up by name only; never walked in its own order.
    lives: HashMap<TransactionId, u32>,
    pub(crate) transactions: Vec<Life>,
    decided: BTreeSet<Slot>,
    reference_height: Height,
    pub(crate) isolated: BTreeMap<ValidatorIndex, BTreeSet<Offence>>,
    pub(crate) events: Vec<RunEvent>,
    pub(crate) deliveries: u64,
    /// Kept only on demand.
    pub(crate) propagation: Option<Vec<Propagation>>,
}

impl Metrics {
    pub(crate) fn new(validators: usize) -> Self {
        Self {
            validators: vec![ValidatorMetrics::default(); validators],
            lives: HashMap::new(),
            transactions: Vec::new(),
            decided: BTreeSet::new(),
            reference_height: Height(0),
            isolated: BTreeMap::new(),
            events: Vec::new(),
            deliveries: 0,
            propagation: None,
        }
    }

    pub(crate) fn sent(&mut self, validator: ValidatorIndex, bytes: u64) {
        let sender = &mut self.validators[validator.position()];
        sender.bytes_sent += bytes;
        sender.messages_sent += 1;
    }

    pub(crate) fn delivered(
        &mut self,
        from: ValidatorIndex,
        to: ValidatorIndex,
        message: &Message,
        elapsed_us: u64,
        bytes: u64,
    ) {
        self.deliveries += 1;
        self.validators[to.position()].messages_received += 1;
        if let Some(paths) = &mut self.propagation
            && let Message::Consensus(BlockMessage::Block(block)) = message
            && block.author == from
        {
            paths.push(Propagation { from, to, round: block.round, bytes, elapsed_us });
        }
    }

    pub(crate) fn submitted(&mut self, now: u64, validator: ValidatorIndex, id: TransactionId) {
        self.lives.insert(id, self.transactions.len() as u32);
        self.transactions.push(Life {
            validator,
            submitted: now,
            executed: None,
            certified: None,
            outcome: None,
            crosses: false,
        });
    }

    /// The lives of the transactions that stayed in the shard.
    pub(crate) fn lives_within(&self) -> impl Iterator<Item = &Life> {
        self.transactions.iter().filter(|life| !life.crosses)
    }

    /// The life of a generated transaction.
    pub(crate) fn life(&self, id: &TransactionId) -> Option<&Life> {
        self.transactions.get(*self.lives.get(id)? as usize)
    }

    pub(crate) fn fault(&mut self, now: u64, fault: &Fault) {
        let kind = match fault {
            Fault::Partition { .. }
            | Fault::OneWay { .. }
            | Fault::Isolate { .. }
            | Fault::Flapping { .. } => EventKind::Partition,
            Fault::Heal => EventKind::Heal,
            Fault::Pause { .. } => EventKind::Pause,
            Fault::ClockJump { .. } => EventKind::Clock,
            Fault::SlowDisk { .. } => EventKind::Disk,
            Fault::LatencySpike { .. } | Fault::BandwidthCut { .. } | Fault::LossBurst { .. } => {
                EventKind::Network
            }
            // These say so themselves when they take effect.
            Fault::Crash { .. } | Fault::Restart { .. } => return,
            Fault::Churn { .. } => EventKind::Other,
        };
        self.note(now, kind, fault.describe());
    }

    pub(crate) fn note(&mut self, now: u64, kind: EventKind, detail: String) {
        if self.events.len() < MAX_EVENTS {
            self.events.push(RunEvent { at_ms: milliseconds(now), kind, detail });
        }
    }

    pub(crate) fn event(
        &mut self,
        now: u64,
        validator: ValidatorIndex,
        honest: bool,
        event: &Event,
    ) {
        let own = &mut self.validators[validator.position()];
        match event {
            Event::Proposed(block) => {
                let round = block.reference().round;
                own.blocks += 1;
                let entered = round.0.saturating_sub(own.round.0);
                own.round = own.round.max(round);
                *second(&mut own.rounds_by_second, now) += entered;
            }
            Event::Executed { height, leaders, outcomes, .. } => {
                own.height = *height;
                *second(&mut own.commits_by_second, now) += leaders.len() as u64;
                if honest && *height > self.reference_height {
                    self.reference_height = *height;
                    for leader in leaders {
                        if self.decided.insert(leader.slot()) {
                            self.validators[leader.author.position()].slots_committed += 1;
                        }
                    }
                }
                self.executed(now, validator, *height, outcomes);
            }
            Event::Certified { height, .. } => {
                own.certified = own.certified.max(*height);
                self.certified(now, validator, *height);
            }
            Event::Skipped(slot) if honest && self.decided.insert(*slot) => {
                self.validators[slot.author.position()].slots_skipped += 1;
            }
            Event::Synchronised { height, .. } => {
                own.height = *height;
                own.certified = own.certified.max(*height);
            }
            Event::Isolated { validator: accused, offence }
                if honest && self.isolated.entry(*accused).or_default().insert(*offence) =>
            {
                let text = format!("validator {accused} is isolated: {offence:?}");
                self.note(now, EventKind::Isolation, text);
            }
            Event::Rejected { .. } => own.rejections += 1,
            _ => {}
        }
    }

    fn executed(
        &mut self,
        now: u64,
        validator: ValidatorIndex,
        height: Height,
        outcomes: &[(TransactionId, Outcome)],
    ) {
        for (id, outcome) in outcomes {
            let Some(life) = self.lives.get(id).copied() else {
                continue;
            };
            let life = &mut self.transactions[life as usize];
            if matches!(outcome, Outcome::Skipped(_)) {
                continue;
            }
            life.crosses = matches!(outcome, Outcome::Sent(_));
            life.outcome = Some(matches!(outcome, Outcome::Applied | Outcome::Sent(_)));
            if life.validator == validator && life.executed.is_none() {
                life.executed = Some(now);
                let own = &mut self.validators[validator.position()];
                own.uncertified.entry(height).or_default().push(*id);
            }
        }
    }

    /// A certificate vouches for everything up to its height.
    fn certified(&mut self, now: u64, validator: ValidatorIndex, height: Height) {
        let own = &mut self.validators[validator.position()];
        while let Some(entry) = own.uncertified.first_entry() {
            if *entry.key() > height {
                return;
            }
            for id in entry.remove() {
                if let Some(life) = self.lives.get(&id) {
                    self.transactions[*life as usize].certified = Some(now);
                }
            }
        }
    }
}

/// The counter of the second that `now` lies in.
fn second(counters: &mut Vec<u64>, now: u64) -> &mut u64 {
    let second = (now / 1_000_000) as usize;
    if counters.len() <= second {
        counters.resize(second + 1, 0);
    }
    &mut counters[second]
}

/// Microseconds as milliseconds, for reports.
pub(crate) fn milliseconds(us: u64) -> f64 {
    crate::result::round3(us as f64 / 1_000.0)
}
