//! What the core tells the archive, the view and subscribers.

use std::collections::BTreeMap;
use std::sync::Arc;

use qcn_consensus::Rejection;
use qcn_ledger::{Ledger, Outcome, Received};
use qcn_light::verify_evidence;
use qcn_shard::{Event, Record, Shard};
use qcn_types::{
    Action, Address, AuthorSet, BlockRef, Checkpoint, Evidence, Height, TransactionId,
    VerifiedBlock,
};

use super::archive_writer::{ArchiveWriter, Entry};
use super::epochs::Teller;
use crate::api::{Metrics, ReasonLabel, ValidatorLabel};
use crate::archive::Executed;
use crate::view::{CertifiedState, Notice, View};

/// The most executed heights whose certificate is awaited; older ones go without their own.
const MAX_UNCERTIFIED: usize = 512;

/// What a round's commits came to.
struct Done {
    header: Checkpoint,
    leaders: Vec<BlockRef>,
    blocks: Vec<BlockRef>,
    outcomes: Vec<(TransactionId, Outcome)>,
    received: Vec<Received>,
}

/// Follows what the machine does.
pub(crate) struct History {
    writer: ArchiveWriter,
    view: View,
    metrics: Metrics,
    /// Blocks that may still be executed.
    blocks: BTreeMap<BlockRef, VerifiedBlock>,
    /// Executed, not certified yet; a ledger where it was the newest of its input.
    uncertified: BTreeMap<Height, (Checkpoint, Option<Ledger>)>,
    isolated: AuthorSet,
    /// Against whom committed evidence is archived.
    accused: AuthorSet,
    last_checkpoint_unix_ms: u64,
    /// Where there are epochs: who is told of what ends one.
    teller: Option<Teller>,
}

impl History {
    pub(super) fn new(
        writer: ArchiveWriter,
        view: View,
        metrics: Metrics,
        teller: Option<Teller>,
    ) -> Self {
        Self {
            writer,
            view,
            metrics,
            blocks: BTreeMap::new(),
            uncertified: BTreeMap::new(),
            isolated: AuthorSet::EMPTY,
            accused: AuthorSet::EMPTY,
            last_checkpoint_unix_ms: 0,
            teller,
        }
    }

    /// Keeps a block until it is executed or too old.
    pub(crate) fn keep(&mut self, record: &Record) {
        match record {
            Record::Own(block) | Record::Accepted(block) => {
                self.blocks.insert(block.reference(), block.clone());
            }
            Record::Snapshot { floor, .. } => {
                self.blocks.retain(|reference, _| reference.round > *floor);
            }
        }
    }

    pub(crate) const fn last_checkpoint_unix_ms(&self) -> u64 {
        self.last_checkpoint_unix_ms
    }

    /// Says who is isolated, as the state that the node starts with has it.
    pub(crate) fn begin(&mut self, shard: &Shard) {
        self.isolated = *shard.consensus().schedule().isolated();
        self.view.set_isolated(self.isolated);
    }

    /// Tells everybody whom it concerns. `ledger` is the state after what was executed.
    pub(crate) fn event(&mut self, shard: &Shard, event: Event, ledger: Option<Ledger>) {
        match event {
            Event::Proposed(_)
            | Event::Refused { .. }
            | Event::Diverged { .. }
            | Event::Opened { .. } => {}
            Event::Closed { .. } => {
                if let Some((teller, closed)) = self.teller.as_ref().zip(shard.closed()) {
                    teller.closed(closed);
                }
            }
            Event::Outgoing => self.view.note_outgoing(),
            Event::Accepted(reference) => self.accepted(reference),
            Event::Executed { header, leaders, blocks, outcomes, received, .. } => {
                let done = Done { header, leaders, blocks, outcomes, received };
                self.executed(done, ledger);
            }
            Event::Certified { height, .. } => self.certified(shard, height),
            Event::Skipped(slot) => {
                let validator = ValidatorLabel { validator: slot.author.0 };
                self.metrics.skipped.get_or_create(&validator).inc();
                self.writer.put(Entry::Skipped(slot));
                self.view.notify(Notice::Skipped { round: slot.round, author: slot.author });
            }
            Event::Proven(evidence) => {
                self.metrics.evidence.inc();
                if let Some(teller) = &self.teller {
                    teller.proven(&evidence);
                }
                self.writer.put(Entry::Evidence(evidence.clone()));
                self.view.notify(Notice::Evidence(Arc::new(evidence)));
            }
            Event::Isolated { validator, offence } => {
                tracing::warn!(%validator, ?offence, "isolated by committed evidence");
                self.isolated.insert(validator);
                self.view.set_isolated(self.isolated);
                self.view.notify(Notice::Isolated(validator));
            }
            Event::Synchronised { height, .. } => {
                tracing::info!(%height, "the state was synchronised");
                self.uncertified.clear();
                self.begin(shard);
            }
            Event::Resumed { round } => tracing::info!(%round, "may sign again"),
            Event::LyingSyncer(from) => tracing::warn!(%from, "sent state that does not fit"),
            Event::Rejected { from, rejection } => {
                let reason = ReasonLabel { reason: rejection_name(rejection) };
                self.metrics.messages_refused.get_or_create(&reason).inc();
                tracing::debug!(%from, %rejection, "refused");
            }
            Event::Suspicion { against, suspicion } => {
                tracing::trace!(%against, ?suspicion, "suspected");
            }
        }
    }

    fn accepted(&mut self, reference: BlockRef) {
        let Some(block) = self.blocks.get(&reference) else {
            return;
        };
        let transactions = block.body.payload.transactions.len();
        let validator = ValidatorLabel { validator: reference.author.0 };
        self.metrics.blocks.get_or_create(&validator).inc();
        self.writer.put(Entry::Block(block.clone()));
        self.view.notify(Notice::Block { block: reference, transactions });
    }

    fn executed(&mut self, done: Done, ledger: Option<Ledger>) {
        let Done { header, leaders, blocks, outcomes, received } = done;
        self.last_checkpoint_unix_ms = unix_ms();
        self.metrics.transactions.inc_by(outcomes.len() as u64);
        self.uncertified.insert(header.height, (header, ledger));
        while self.uncertified.len() > MAX_UNCERTIFIED {
            self.uncertified.pop_first();
        }
        let bodies: Vec<VerifiedBlock> =
            blocks.iter().filter_map(|block| self.blocks.remove(block)).collect();
        if bodies.len() < blocks.len() {
            let height = header.height;
            tracing::warn!(%height, "executed blocks that are not at hand: history has a gap");
        }
        self.view.notify(Notice::Executed {
            height: header.height,
            checkpoint: header.digest(),
            time_ms: header.time_ms,
            leaders: leaders.clone(),
            blocks,
            parties: Arc::new(parties(&bodies, &outcomes)),
            outcomes: Arc::new(outcomes.clone()),
            received: Arc::new(received.clone()),
        });
        let evidence = self.proven_in(&bodies);
        let executed = Executed { header, leaders, blocks: bodies, outcomes, received, evidence };
        self.writer.put(Entry::Executed(Box::new(executed)));
    }

    /// The evidence that proves a fault, of each accused the first: a block may carry any number of
    /// pieces, and nothing but their weight keeps an author from accusing everybody.
    pub(super) fn proven_in(&mut self, blocks: &[VerifiedBlock]) -> Vec<Evidence> {
        let carried = blocks.iter().flat_map(|block| block.body.payload.evidence.iter());
        let fresh = carried.filter(|proof| {
            let accused = proof.accused();
            !self.accused.contains(accused)
                && verify_evidence(proof, self.view.keys()).is_ok()
                && self.accused.insert(accused)
        });
        fresh.cloned().collect()
    }

    /// A quorum attests a height, and with it all below.
    fn certified(&mut self, shard: &Shard, height: Height) {
        let above = self.uncertified.split_off(&height.next());
        let certified = std::mem::replace(&mut self.uncertified, above);
        for (height, (header, ledger)) in certified {
            let Some(certificate) = shard.certificate(header).map(Arc::new) else {
                continue;
            };
            self.writer.put(Entry::Certified(Arc::clone(&certificate)));
            if let Some(ledger) = ledger {
                self.view.set_certified(CertifiedState { certificate, ledger });
            }
            let checkpoint = header.digest();
            self.view.notify(Notice::Certified { height, checkpoint });
        }
    }

    /// Writes what waits, and ends.
    pub(crate) fn close(self) {
        self.writer.close();
    }
}

/// Whom each executed transaction concerns; nothing if the blocks do not carry them all.
fn parties(
    blocks: &[VerifiedBlock],
    outcomes: &[(TransactionId, Outcome)],
) -> Vec<(Address, Option<Address>)> {
    let carried = blocks.iter().flat_map(|block| block.body.payload.transactions.iter());
    if carried.clone().count() != outcomes.len() {
        return Vec::new();
    }
    carried
        .zip(outcomes)
        .map(|(transaction, (_, outcome))| {
            let paid = match transaction.body.action {
                Action::Transfer { to, .. }
                    if matches!(outcome, Outcome::Applied | Outcome::Sent(_)) =>
                {
                    Some(to)
                }
                _ => None,
            };
            (transaction.body.sender, paid)
        })
        .collect()
}

/// A short name for metrics.
const fn rejection_name(rejection: Rejection) -> &'static str {
    match rejection {
        Rejection::NotAMember => "not_a_member",
        Rejection::TooOld => "too_old",
        Rejection::TooFarAhead => "too_far_ahead",
        Rejection::OverBudget => "over_budget",
        Rejection::MalformedParents => "malformed_parents",
        Rejection::BadSignature => "bad_signature",
        Rejection::InvalidBlock => "invalid_block",
        Rejection::TimeTooLow => "time_too_low",
        Rejection::TimeTooHigh => "time_too_high",
        Rejection::UnreferencedSibling => "unreferenced_sibling",
        Rejection::RequestTooLarge => "request_too_large",
    }
}

fn unix_ms() -> u64 {
    super::core::now().as_ms()
}
