//! What must hold after every event (DESIGN section 9), one file each.
//!
//! Each check sees only the events that concern it and keeps what it needs to judge the next
//! one, so that all of them together cost less than the protocol. A broken invariant becomes a
//! [`Violation`] and the run goes on: what else breaks helps to understand it.
//!
//! Only honest validators are judged; adversaries may do what they like.

mod agreement;
mod ancestry;
mod bounded_memory;
mod conservation;
mod isolation;
mod no_honest_accused;
mod no_honest_double_sign;
mod progress_after_healing;
mod quorum_by_weight;
mod state_equality;
mod transactions_once;

#[cfg(test)]
mod tests;

use qcn_consensus::Message as BlockMessage;
use qcn_shard::{Event, Message, Shard};
use qcn_types::{AuthorSet, Committee, ValidatorIndex, VerifiedBlock};

use crate::engine::Setup;

pub(crate) use agreement::Agreement;
pub(crate) use ancestry::Ancestry;
pub(crate) use bounded_memory::BoundedMemory;
pub(crate) use conservation::Conservation;
pub(crate) use isolation::Isolation;
pub(crate) use no_honest_accused::NoHonestAccused;
pub(crate) use no_honest_double_sign::NoHonestDoubleSign;
pub(crate) use progress_after_healing::ProgressAfterHealing;
pub(crate) use quorum_by_weight::QuorumByWeight;
pub(crate) use state_equality::StateEquality;
pub(crate) use transactions_once::TransactionsOnce;

/// The most violations kept; the first ones say the most.
const MAX_VIOLATIONS: usize = 100;

/// One broken invariant.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Violation {
    /// The invariant's name: that of its file.
    pub invariant: &'static str,
    /// When, in microseconds of virtual time.
    pub time_us: u64,
    /// At which validator, if it is one's.
    pub validator: Option<ValidatorIndex>,
    /// What was seen.
    pub detail: String,
}

/// Where violations go.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    pub(crate) now: u64,
    pub(crate) violations: Vec<Violation>,
}

impl Findings {
    /// Reports a broken invariant.
    pub(crate) fn report(
        &mut self,
        invariant: &'static str,
        validator: Option<ValidatorIndex>,
        detail: String,
    ) {
        if self.violations.len() < MAX_VIOLATIONS {
            self.violations.push(Violation { invariant, time_us: self.now, validator, detail });
        }
    }
}

/// All invariants of a run.
#[derive(Debug)]
pub(crate) struct Invariants {
    pub(crate) findings: Findings,
    agreement: Agreement,
    ancestry: Ancestry,
    double_sign: NoHonestDoubleSign,
    quorum: QuorumByWeight,
    conservation: Conservation,
    state: StateEquality,
    once: TransactionsOnce,
    memory: BoundedMemory,
    accused: NoHonestAccused,
    progress: ProgressAfterHealing,
    isolation: Isolation,
    is_over: bool,
}

impl Invariants {
    pub(crate) fn new(setup: &Setup, faulty: AuthorSet, processes: usize) -> Self {
        let committee = setup.keys.committee();
        Self {
            findings: Findings::default(),
            agreement: Agreement::default(),
            ancestry: Ancestry::new(processes),
            double_sign: NoHonestDoubleSign::new(committee.len()),
            quorum: QuorumByWeight::new(Committee::clone(committee)),
            conservation: Conservation,
            state: StateEquality::default(),
            once: TransactionsOnce::default(),
            memory: BoundedMemory::new(committee.len(), &setup.consensus),
            accused: NoHonestAccused::new(faulty),
            progress: ProgressAfterHealing::new(committee),
            isolation: Isolation::default(),
            is_over: false,
        }
    }

    /// Something happened at a process.
    pub(crate) fn event(
        &mut self,
        now: u64,
        process: u16,
        validator: ValidatorIndex,
        honest: bool,
        event: &Event,
        shard: &Shard,
    ) {
        self.findings.now = now;
        if !honest {
            return;
        }
        let findings = &mut self.findings;
        match event {
            Event::Proposed(block) => {
                self.double_sign.proposed(findings, &block.reference());
                self.quorum.proposed(findings, block);
            }
            Event::Accepted(block) => self.quorum.accepted(process, block),
            Event::Executed {
                height, checkpoint, state_root, leaders, blocks, outcomes, ..
            } => {
                self.agreement.executed(findings, validator, *height, *checkpoint);
                self.state.executed(findings, validator, *height, *state_root);
                let first = self.ancestry.executed(findings, process, validator, *height, blocks);
                if first {
                    self.quorum.executed(findings, process, validator, leaders);
                    self.once.executed(findings, validator, outcomes);
                }
                self.conservation.executed(findings, validator, *height, &shard.ledger().supply());
                self.memory.check(findings, validator, &shard.status());
            }
            Event::Certified { height, checkpoint } => {
                self.agreement.certified(findings, validator, *height, *checkpoint);
                self.progress.certified(now, validator, *height);
            }
            Event::Synchronised { height, checkpoint, state_root } => {
                self.agreement.certified(findings, validator, *height, *checkpoint);
                self.state.executed(findings, validator, *height, *state_root);
                self.ancestry.synchronised(process, *height);
                self.progress.certified(now, validator, *height);
            }
            Event::Proven(evidence) => {
                self.accused.accused(findings, validator, evidence.accused());
                self.isolation.proven(now, validator, evidence.accused());
            }
            Event::Isolated { validator: accused, .. } => {
                self.accused.accused(findings, validator, *accused);
            }
            Event::LyingSyncer(liar) => self.accused.accused(findings, validator, *liar),
            Event::Diverged { height, own, certified } => {
                self.agreement.diverged(findings, validator, *height, *own, *certified);
            }
            Event::Skipped(slot) => self.quorum.skipped(findings, process, validator, *slot),
            Event::Rejected { .. }
            | Event::Suspicion { .. }
            | Event::Refused { .. }
            | Event::Resumed { .. }
            | Event::Outgoing
            | Event::Opened { .. }
            | Event::Closed { .. } => {}
        }
    }

    /// A block goes into the log of a process.
    pub(crate) fn block_kept(&mut self, honest: bool, block: &VerifiedBlock) {
        if honest {
            self.quorum.kept(block);
        }
    }

    /// A message of an honest validator leaves it.
    pub(crate) fn leaving(&mut self, now: u64, validator: ValidatorIndex, message: &Message) {
        self.findings.now = now;
        let findings = &mut self.findings;
        match message {
            Message::Consensus(BlockMessage::Block(block)) if block.author == validator => {
                self.double_sign.leaving(findings, block);
            }
            Message::Consensus(
                BlockMessage::Blocks(blocks) | BlockMessage::Rounds { blocks, .. },
            ) => {
                for block in blocks.iter().filter(|block| block.author == validator) {
                    self.double_sign.leaving(findings, block);
                }
            }
            _ => {}
        }
    }

    /// A process has died: it may execute again what it had executed.
    pub(crate) fn stopped(&mut self, process: u16, validator: ValidatorIndex) {
        self.ancestry.stopped(process);
        self.quorum.stopped(process);
        self.isolation.stopped(validator);
    }

    /// A validator could not start from its own log.
    pub(crate) fn failed_to_start(&mut self, now: u64, validator: ValidatorIndex, why: &str) {
        self.findings.now = now;
        self.findings.report("progress_after_healing", Some(validator), format!("no start: {why}"));
    }

    /// Something was wrong with the network or some validator until then.
    pub(crate) fn fault_until(&mut self, until: u64) {
        self.progress.fault_until(until);
    }

    /// An adversary gave honest validators proof against itself.
    pub(crate) fn note_offence(&mut self, validator: ValidatorIndex, now: u64) {
        self.isolation.offended(validator, now);
    }

    /// The epoch is over: nobody need go on.
    pub(crate) const fn epoch_is_over(&mut self) {
        self.is_over = true;
    }

    /// What can be judged only at the end. `live` has the honest validators that run, and whom
    /// each has isolated; `whole` says that nobody is cut off.
    pub(crate) fn at_end(&mut self, now: u64, live: &[(ValidatorIndex, AuthorSet)], whole: bool) {
        self.findings.now = now;
        if self.is_over {
            return;
        }
        let running: AuthorSet = live.iter().map(|(validator, _)| *validator).collect();
        if self.progress.at_end(&mut self.findings, now, &running, whole) {
            self.isolation.at_end(&mut self.findings, now, live);
        }
    }
}
