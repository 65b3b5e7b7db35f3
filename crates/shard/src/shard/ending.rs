//! The end of an epoch (DESIGN section 7).
//!
//! The beacon's announcement comes to every member and goes into a block once. The commit that
//! brings it in is the last one that is executed, and its checkpoint names the plan of the next
//! epoch. Rounds go on until a quorum has attested that checkpoint; then the shard is closed: it
//! serves its final state, and whoever has a seat in the next epoch opens with it.
//!
//! **Invariant**: there is one final checkpoint of an epoch, like any other of a height: which
//! one it is follows from committed blocks alone.

use std::collections::BTreeMap;
use std::sync::Arc;

use qcn_ledger::Ledger;
use qcn_types::{
    Announcement, BEACON, BlockRef, Bounded, Certificate, Committee, EpochPlan, Round, Time,
    Transaction, ValidatorIndex, Verified, VerifiedBlock,
};

use super::{PATIENCE_ROUNDS, Shard};
use crate::checkpoints::collect_certificate;
use crate::{Event, Message, Output, Record, SyncPackage};

/// How often a member that is still in the rounds of a closed epoch is told that it is over.
const TOLD_AGAIN_US: u64 = 1_000_000;

/// The most who are told of the end without a seat here: a committee has no more members.
const MAX_GUESTS: usize = qcn_types::MAX_MEMBERS;

/// Whoever asked so long ago waits no more.
const GUEST_WAITS_US: u64 = 30_000_000;

/// How far the end of the epoch has come.
#[derive(Debug, Default)]
pub(super) struct Ending {
    /// What to propose, and from which round on.
    announcement: Option<(Round, Box<Announcement>)>,
    /// The plan that the final checkpoint names, once that was executed.
    plan: Option<Arc<EpochPlan>>,
    /// What others are given, once the final checkpoint is certified.
    package: Option<Arc<SyncPackage>>,
    /// It takes no part in rounds any more.
    retired: bool,
    /// When each member was last told that the epoch is over.
    told: BTreeMap<ValidatorIndex, Time>,
    /// When those without a seat last asked for a state.
    guests: BTreeMap<ValidatorIndex, Time>,
}

/// A shard whose epoch is over.
#[derive(Clone, Debug)]
pub struct Closed {
    /// Certifies the final checkpoint.
    pub certificate: Certificate,
    /// The plan that it names.
    pub plan: Arc<EpochPlan>,
    /// The state after it.
    pub ledger: Ledger,
}

impl Ending {
    /// Whether nothing is executed any more.
    pub(super) const fn is_executed(&self) -> bool {
        self.plan.is_some()
    }

    /// Whether the final checkpoint is certified.
    pub(super) const fn is_closed(&self) -> bool {
        self.package.is_some()
    }

    pub(super) const fn is_retired(&self) -> bool {
        self.retired
    }

    /// Whether an announcement waits to be executed.
    pub(super) const fn is_due(&self) -> bool {
        self.announcement.is_some() && !self.is_executed()
    }

    /// What the own block of a round announces.
    pub(super) fn take(&mut self, round: Round) -> Bounded<Announcement, 1> {
        if self.is_executed() {
            return Bounded::default();
        }
        match &mut self.announcement {
            Some((due, announcement)) if *due <= round => {
                *due = round.plus(PATIENCE_ROUNDS);
                Bounded::truncated(vec![announcement.as_ref().clone()])
            }
            _ => Bounded::default(),
        }
    }

    /// A block of another validator may bring it in first.
    pub(super) fn seen(&mut self, block: &VerifiedBlock) {
        // Once only: a block that no leader ever reaches must not put it off again and again.
        if let (Some((due, _)), false) =
            (&mut self.announcement, block.body.payload.announcement.is_empty())
            && *due == Round::GENESIS
        {
            *due = block.reference().round.plus(PATIENCE_ROUNDS);
        }
    }

    /// Somebody without a seat asks for a state, and most likely waits for the final one.
    pub(super) fn note_guest(&mut self, from: ValidatorIndex, now: Time, committee: &Committee) {
        let has_room = self.guests.len() < MAX_GUESTS || self.guests.contains_key(&from);
        if has_room && !self.is_closed() && !committee.contains(from) {
            self.guests.insert(from, now);
        }
    }

    /// Who has asked lately: they are told of the end at once.
    fn waiting_guests(&mut self, now: Time) -> Vec<ValidatorIndex> {
        let guests = std::mem::take(&mut self.guests).into_iter();
        let waits = guests.filter(|(_, asked)| now.since_us(*asked) <= GUEST_WAITS_US);
        waits.map(|(guest, _)| guest).collect()
    }

    /// The commit with the announcement was executed.
    pub(super) fn executed(&mut self, plan: Box<EpochPlan>) {
        self.plan = Some(Arc::from(plan));
    }
}

/// The blocks of an execution: those behind the announcement were committed and not executed.
pub(super) fn executed_blocks<'a>(
    blocks: impl Iterator<Item = &'a VerifiedBlock>,
) -> Vec<BlockRef> {
    let mut executed = Vec::new();
    for block in blocks {
        executed.push(block.reference());
        if !block.body.payload.announcement.is_empty() {
            break;
        }
    }
    executed
}

impl Shard {
    /// The end of the epoch, once its final checkpoint is certified here.
    #[must_use]
    pub fn closed(&self) -> Option<Closed> {
        let (package, plan) = self.ending.package.as_ref().zip(self.ending.plan.as_ref())?;
        Some(Closed {
            certificate: package.certificate.clone(),
            plan: Arc::clone(plan),
            ledger: self.ledger.clone(),
        })
    }

    /// The transactions that were taken in and not executed: once the shard is closed, those who
    /// open after it may take them.
    #[must_use]
    pub fn pending(&self) -> Vec<Transaction> {
        self.mempool.all()
    }

    pub(super) fn announce(&mut self, announcement: Verified<Announcement>) {
        // The beacon ends its epoch by itself.
        let is_beacon = self.config.keys.committee().shard() == BEACON;
        let is_known = self.ending.announcement.is_some() || self.ending.is_executed();
        if !is_beacon && !is_known {
            let announcement = Box::new(announcement.into_inner());
            self.ending.announcement = Some((Round::GENESIS, announcement));
        }
    }

    /// Takes no part in rounds any more. It goes on to serve the final state.
    pub(super) fn retire(&mut self) {
        if self.ending.is_closed() {
            self.ending.retired = true;
            self.machine_wake = None;
        }
    }

    /// Whoever is still in the rounds of a closed epoch is told that it is over.
    pub(super) fn answer_retired(&mut self, from: ValidatorIndex) {
        let is_member = self.config.keys.committee().contains(from);
        let told = self.ending.told.get(&from).copied();
        let is_due = told.is_none_or(|told| self.now.since_us(told) >= TOLD_AGAIN_US);
        if let Some(package) = self.ending.package.as_ref().filter(|_| is_member && is_due) {
            self.ending.told.insert(from, self.now);
            let message = Message::SyncOffer(Arc::clone(package));
            self.outputs.push_back(Output::Send { to: from, message });
        }
    }

    /// Closes the epoch, if its final checkpoint was executed here and is certified.
    pub(super) fn close(&mut self) {
        let last = *self.checkpoints.last();
        let Some(plan) = self.ending.plan.clone().filter(|_| !self.ending.is_closed()) else {
            return;
        };
        if self.checkpoints.certified() < last.height {
            return;
        }
        let (dag, committee) = (self.machine.dag(), self.config.keys.committee());
        let Some(certificate) = collect_certificate(dag, committee, last) else {
            return;
        };
        let package = SyncPackage::last(certificate, plan.as_ref().clone());
        let package = Arc::new(package);
        self.keep_end(&package);
        self.finish(package, plan);
    }

    /// The certificate of a final checkpoint that was executed here: others have seen its quorum.
    pub(super) fn close_with(&mut self, package: Arc<SyncPackage>) {
        let certified = package.certificate.checkpoint.digest();
        let (height, own) = (self.checkpoints.last().height, self.checkpoints.last_digest());
        if own != certified {
            self.event(Event::Diverged { height, own, certified });
            self.stopped = true;
            return;
        }
        if let Some(plan) = self.ending.plan.clone() {
            self.checkpoints.certify(height);
            self.keep_end(&package);
            self.finish(package, plan);
        }
    }

    /// What follows an epoch must not depend on a disk that has forgotten its end.
    fn keep_end(&mut self, package: &Arc<SyncPackage>) {
        let record = Record::Snapshot {
            package: Arc::clone(package),
            ledger: Box::new(self.ledger.clone()),
            floor: self.machine.floor(),
        };
        self.outputs.push_back(Output::Persist { record, barrier: true });
    }

    /// Takes over a certified final state, which another validator or the own log has.
    pub(super) fn install_last(
        &mut self,
        package: &Arc<SyncPackage>,
        plan: &EpochPlan,
        ledger: Ledger,
    ) {
        let plan = Arc::new(plan.clone());
        self.ending.plan = Some(Arc::clone(&plan));
        self.checkpoints = crate::checkpoints::Checkpoints::new(package.certificate.checkpoint);
        self.exchange.synchronised(&ledger);
        self.batch.clear();
        self.ledger = ledger;
        self.finish(Arc::clone(package), plan);
        // Its DAG does not lead there: it must not sign on.
        self.retire();
    }

    /// Whoever comes up from a log that ends with the epoch says so: what follows may be left to do.
    pub(super) fn say_closed(&mut self) {
        if let Some(plan) = self.ending.plan.clone().filter(|_| self.ending.is_closed()) {
            self.event(Event::Closed { plan });
        }
    }

    fn finish(&mut self, package: Arc<SyncPackage>, plan: Arc<EpochPlan>) {
        self.snapshots.last(Arc::clone(&package), self.ledger.clone(), self.machine.floor());
        for to in self.ending.waiting_guests(self.now) {
            let message = Message::SyncOffer(Arc::clone(&package));
            self.outputs.push_back(Output::Send { to, message });
        }
        self.ending.package = Some(package);
        self.event(Event::Closed { plan });
    }
}
