//! The loop that owns the machine: inputs in, outputs carried out in order.
//!
//! It runs on a thread of its own and waits for no sync, socket or signature check: others do
//! these and put the answers into the inbox. It waits only where the archive or the log cannot
//! keep up, each behind a bounded queue. Behind a barrier (`Output::Persist`) outputs wait until
//! the log says that the record is durable, as in the simulator; so does what is told to clients,
//! for it may quote a block of this validator that no disk has yet.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use prometheus_client::metrics::histogram::Histogram;
use qcn_crypto::SigningKey;
use qcn_ledger::Ledger;
use qcn_light::verify_certificate;
use qcn_shard::{Event, Expected, Input, Output, Refused};
use qcn_types::{
    Block, BlockBody, BlockHeader, BlockRef, CommitteeKeys, CompactBlock, LaneId, Time,
    Transaction, TransactionId, ValidatorIndex, Verified,
};
use tokio::sync::oneshot;

use super::envelope::Found;
use super::history::History;
use super::inbox::{Checked, Happening, Inbox, Post};
use super::machine::Machine;
use super::seats::Mesh;
use super::submissions::is_quick;
use super::verification::Verification;
use crate::api::{Metrics, ReasonLabel};
use crate::storage::{LogEvent, LogWriter, Ticket};
use crate::view::{NodeStatus, SubmitError, View};

/// How often the status is published at most.
const STATUS_INTERVAL: Duration = Duration::from_millis(25);

/// While so many outputs wait for the disk, messages are dropped: peers are asked again.
const MAX_HELD_OUTPUTS: usize = 16_384;

/// A longer block is checked beside the core.
const SMALL_BYTES: usize = 32 * 1024;

/// A block with more transactions is checked beside the core.
const FEW_TRANSACTIONS: usize = 12;

/// A clock that goes back by more has been set: what was signed before lies in the future.
const MAX_STEP_BACK: Duration = Duration::from_secs(2);

/// What waits until the log is durable.
enum Held {
    Output(Output),
    /// An event, with the state after it if that was at hand when it happened.
    Told(Event, Option<Box<Ledger>>),
    /// What a relayer is told: its certificate may have the signature of a block that no disk has.
    Found(Found, oneshot::Sender<Found>),
}

/// What a core is made of.
pub(crate) struct Parts {
    pub(crate) machine: Machine,
    pub(crate) keys: CommitteeKeys,
    pub(crate) signing: SigningKey,
    pub(crate) log: LogWriter,
    pub(crate) mesh: Mesh,
    pub(crate) view: View,
    pub(crate) history: History,
    pub(crate) metrics: Metrics,
    pub(crate) post: Post,
}

/// The core of a running node.
pub(crate) struct Core {
    parts: Parts,
    verification: Verification,
    /// When the machine wants to be woken.
    wake: Option<Time>,
    /// What waits until the log is durable.
    held: VecDeque<Held>,
    barrier: Option<(Ticket, Instant)>,
    /// Whether messages were dropped since outputs last ceased to wait.
    is_dropping: bool,
    /// Inputs that carrying out an output led to at once.
    follow_up: VecDeque<Input>,
    /// Whether a block may be checked here before the next input.
    may_check: bool,
    /// Refused submissions of the input at hand.
    refused: Vec<(TransactionId, Refused)>,
    stopped: Option<String>,
    /// Whether another start would not help, and do harm.
    for_good: bool,
    disk_full: Option<String>,
    status_due: Instant,
    /// The latest time that the machine was told.
    latest: Time,
}

impl Core {
    pub(crate) fn new(parts: Parts) -> Self {
        Self {
            parts,
            verification: Verification::new(rayon::current_num_threads()),
            wake: None,
            held: VecDeque::new(),
            barrier: None,
            is_dropping: false,
            follow_up: VecDeque::new(),
            may_check: false,
            refused: Vec::new(),
            stopped: None,
            for_good: false,
            disk_full: None,
            status_due: Instant::now(),
            latest: now(),
        }
    }

    /// Runs until it is told to stop. What was durable stays so; the log is closed.
    pub(crate) fn run(mut self, inbox: &Inbox) {
        self.drain();
        self.publish_status();
        while let Some(patience) = self.patience() {
            match inbox.next(Some(patience)) {
                Some(Happening::Stop) => break,
                Some(happening) => self.happen(happening),
                None => {}
            }
            self.watch_clock();
            if self.wake.is_some_and(|wake| wake <= now()) {
                self.wake = None;
                self.hand_in(Input::Tick);
            }
            if Instant::now() >= self.status_due {
                self.publish_status();
            }
        }
        self.parts.history.close();
        let closed = self.parts.log.close();
        if let Err(error) = closed {
            tracing::error!(%error, "the block log could not be closed");
        }
    }

    /// The machine's time never goes back, so it would stand still until the clock has caught up
    /// with what it was before, and its blocks would be refused as coming from the future.
    fn watch_clock(&mut self) {
        let now = now();
        let back = Duration::from_micros(self.latest.since_us(now));
        self.latest = self.latest.max(now);
        if back > MAX_STEP_BACK && self.stopped.is_none() {
            self.stop(format!(
                "the clock of this machine was set back by {:.1} s: see that it is right, and \
                 start the node again",
                back.as_secs_f64()
            ));
        }
    }

    /// How long it may wait for the next happening.
    fn patience(&self) -> Option<Duration> {
        let status = self.status_due.saturating_duration_since(Instant::now());
        let idle = status.max(Duration::from_millis(1));
        let wake = self.wake.map(|wake| Duration::from_micros(wake.since_us(now())));
        Some(wake.map_or(idle, |wake| wake.min(idle)))
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Message { .. } if self.held.len() >= MAX_HELD_OUTPUTS => self.drop_message(),
            Happening::Message { from, message, place } => {
                // While it is worked off it counts no more: the next may come.
                drop(place);
                self.hand_in(Input::Message { from, message });
            }
            Happening::BlockVerified { from, compact, outcome } => {
                self.hand_in(Input::BlockVerified { from, compact, outcome });
            }
            Happening::SyncVerified { from, package, valid } => {
                self.hand_in(Input::SyncVerified { from, package, valid });
            }
            Happening::Submitted(checked) => self.submit(checked),
            Happening::ExpectedOf { lane, reply } => {
                let expected = self.parts.machine.expected(lane);
                // The relayer may have given up.
                let _ = reply.send(expected);
            }
            Happening::Fetch { lane, expected, carries, reply } => {
                self.fetch(lane, &expected, carries, reply);
            }
            Happening::Deliver(delivery) => self.hand_in(Input::Deliver(delivery)),
            Happening::Announce(announcement) => self.hand_in(Input::Announce(announcement)),
            Happening::Report(report) => self.hand_in(Input::Report(report)),
            Happening::Retire => self.hand_in(Input::Retire),
            Happening::Look(look) => look.at(self.parts.machine.shard()),
            Happening::Log(event) => self.log_says(event),
            Happening::Stop => {}
        }
    }

    /// Drops a message of a peer, says so once until the disk has caught up, and counts each.
    fn drop_message(&mut self) {
        self.parts.mesh.note_dropped();
        if !std::mem::replace(&mut self.is_dropping, true) {
            tracing::warn!(
                "{MAX_HELD_OUTPUTS} outputs wait for the disk: messages of peers are dropped until \
                 it has caught up"
            );
        }
    }

    /// Gives an input to the machine and carries out what it asks for.
    fn hand_in(&mut self, input: Input) {
        if self.stopped.is_some() {
            return;
        }
        self.may_check = true;
        self.parts.machine.handle(now(), input);
        self.drain();
        while let Some(input) = self.follow_up.pop_front() {
            self.parts.machine.handle(now(), input);
            self.drain();
        }
    }

    fn drain(&mut self) {
        while let Some(output) = self.parts.machine.poll_output(now()) {
            match output {
                Output::Event(event) => self.tell(event),
                _ if self.stopped.is_some() => {}
                output => self.queue(output),
            }
        }
    }

    /// Carries out an output, or lets it wait behind a barrier.
    fn queue(&mut self, output: Output) {
        if let Output::Persist { record, .. } = &output {
            self.parts.history.keep(record);
        }
        if self.barrier.is_some() {
            self.held.push_back(Held::Output(output));
        } else {
            self.carry_out(output);
        }
    }

    fn carry_out(&mut self, output: Output) {
        match output {
            Output::VerifyBlock { from, compact, parents } => {
                self.verify_block(from, compact, parents);
            }
            Output::SignBlock(body) => self.sign(*body),
            Output::VerifySync { from, package } => {
                let (post, keys) = (self.parts.post.clone(), self.parts.keys.clone());
                rayon::spawn(move || {
                    let valid = verify_certificate(&package.certificate, &keys).is_ok();
                    post.put(Happening::SyncVerified { from, package, valid });
                });
            }
            Output::Persist { record, barrier } => {
                if barrier {
                    self.barrier = Some((self.parts.log.append_durably(record), Instant::now()));
                } else {
                    self.parts.log.append(record);
                }
            }
            Output::Send { to, message } => self.parts.mesh.send(to, &message),
            Output::Broadcast(message) => self.parts.mesh.broadcast(&message),
            Output::Wake(at) => self.wake = Some(at),
            Output::Event(event) => self.tell(event),
        }
    }

    /// Has a block checked. A small one is checked here and now: two threads would have to be woken
    /// for it, which takes longer, and the next round waits for it.
    fn verify_block(
        &mut self,
        from: ValidatorIndex,
        compact: Arc<CompactBlock>,
        parents: Vec<BlockRef>,
    ) {
        let (post, keys) = (self.parts.post.clone(), self.parts.keys.clone());
        let metrics = self.parts.metrics.clone();
        let cost = borsh::object_length(&*compact).unwrap_or(usize::MAX);
        // One for each input, of its author, so that nobody can keep the core from the others.
        let is_small = compact.author == from && cost <= SMALL_BYTES && is_small(&compact);
        let is_here = is_small && std::mem::take(&mut self.may_check);
        let check = move || {
            let block =
                CompactBlock::clone(&compact).with_parents(keys.chain(), keys.committee(), parents);
            let outcome = timed(&metrics.verification_seconds, || keys.verify_block(block));
            (compact, outcome)
        };
        if is_here {
            let (compact, outcome) = check();
            self.follow_up.push_back(Input::BlockVerified { from, compact, outcome });
        } else {
            self.verification.submit(from, cost, move || {
                let (compact, outcome) = check();
                post.put(Happening::BlockVerified { from, compact, outcome });
            });
        }
    }

    /// Signs a block here and now: it takes a fifth of a millisecond, once a round.
    fn sign(&mut self, body: BlockBody) {
        let keys = &self.parts.keys;
        let context = BlockHeader::signing_context(keys.chain());
        let signed = timed(&self.parts.metrics.signing_seconds, || {
            self.parts.signing.sign(&context, body.digest().as_bytes())
        });
        let block = signed.map_err(|error| error.to_string()).and_then(|signature| {
            let block = Block { body, signature };
            keys.verify_composed(block).map_err(|error| error.to_string())
        });
        match block {
            Ok(block) => self.follow_up.push_back(Input::BlockSigned(block)),
            Err(error) => self.stop(format!("a block could not be signed: {error}")),
        }
    }

    fn submit(&mut self, checked: Checked) {
        let mut answers = Vec::with_capacity(checked.transactions.len());
        for transaction in checked.transactions {
            let answer = match transaction {
                _ if self.stopped.is_some() => Err(SubmitError::Stopped),
                Ok(transaction) => self.submit_one(transaction),
                Err(error) => Err(error),
            };
            self.count_submission(&answer);
            answers.push(answer);
        }
        // The client may have gone away: its transactions are in all the same.
        let _ = checked.reply.send(answers);
    }

    fn count_submission(&self, answer: &Result<TransactionId, SubmitError>) {
        let metrics = &self.parts.metrics;
        match answer {
            Ok(_) => metrics.submitted.inc(),
            Err(error) => {
                let reason = ReasonLabel { reason: error.name() };
                metrics.submissions_refused.get_or_create(&reason).inc()
            }
        };
    }

    fn submit_one(
        &mut self,
        transaction: Verified<Transaction>,
    ) -> Result<TransactionId, SubmitError> {
        let id = transaction.body.id();
        self.refused.clear();
        self.hand_in(Input::Submit(transaction));
        match self.refused.iter().position(|(refused, _)| *refused == id) {
            Some(at) => Err(SubmitError::Refused(self.refused.swap_remove(at).1)),
            None => Ok(id),
        }
    }

    // ----- relayers -----

    /// Tells a relayer what there is for another shard.
    fn fetch(
        &mut self,
        lane: LaneId,
        expected: &Expected,
        carries: bool,
        reply: oneshot::Sender<Found>,
    ) {
        if self.stopped.is_some() {
            return;
        }
        let end = self.parts.machine.lane_end(lane);
        let delivery = if carries { self.parts.machine.delivery(lane, expected) } else { None };
        let found = Found { end, delivery: delivery.map(Box::new) };
        if self.barrier.is_some() {
            self.held.push_back(Held::Found(found, reply));
        } else {
            // The relayer may have given up.
            let _ = reply.send(found);
        }
    }

    // ----- the log -----

    fn log_says(&mut self, event: LogEvent) {
        match event {
            LogEvent::Durable(ticket) => {
                if let Some((awaited, since)) = self.barrier
                    && awaited == ticket
                {
                    let took = since.elapsed().as_secs_f64();
                    self.parts.metrics.log_sync_seconds.observe(took);
                    self.release();
                }
            }
            LogEvent::Full { available_bytes, needed_bytes } => {
                let reason = format!(
                    "the disk is full: {needed_bytes} bytes are needed, {available_bytes} are \
                     left; free some space and the node goes on"
                );
                tracing::error!("{reason}");
                self.disk_full = Some(reason);
                self.publish_status();
            }
            LogEvent::Recovered => {
                tracing::info!("the disk has room again, the node goes on");
                self.disk_full = None;
                self.publish_status();
            }
            LogEvent::Failed(error) => self.stop(format!("the block log failed: {error}")),
        }
    }

    /// What waited for the log goes on, up to the next barrier.
    fn release(&mut self) {
        self.barrier = None;
        self.is_dropping = false;
        while self.barrier.is_none() {
            match self.held.pop_front() {
                Some(Held::Output(output)) => self.carry_out(output),
                Some(Held::Told(event, ledger)) => {
                    let ledger = ledger.map(|ledger| *ledger);
                    self.parts.history.event(self.parts.machine.shard(), event, ledger);
                }
                Some(Held::Found(found, reply)) => {
                    // The relayer may have given up.
                    let _ = reply.send(found);
                }
                None => break,
            }
        }
        while let Some(input) = self.follow_up.pop_front() {
            self.hand_in(input);
        }
    }

    /// Nothing leaves the node any more, but it still answers questions.
    fn stop(&mut self, reason: String) {
        tracing::error!("stopped: {reason}");
        self.stopped = Some(reason);
        self.wake = None;
        self.held.clear();
        self.follow_up.clear();
        self.publish_status();
    }

    // ----- what happened -----

    /// Tells of an event, once everything before it is durable.
    fn tell(&mut self, event: Event) {
        match &event {
            Event::Refused { id, refusal } => self.refused.push((*id, refusal.clone())),
            Event::Rejected { from, .. } | Event::LyingSyncer(from) => {
                self.parts.mesh.note_refused(*from);
            }
            Event::Diverged { height, own, certified } => {
                let reason = format!(
                    "checkpoint {height} gave {own} here, but a quorum attests {certified}: \
                     restore this node from an empty data folder and report what happened"
                );
                self.for_good = true;
                self.stop(reason);
            }
            _ => {}
        }
        let shard = self.parts.machine.shard();
        // Only the newest state is at hand. Earlier ones of the same input are proven by it.
        let ledger = match &event {
            Event::Executed { header, .. } if shard.checkpoint().height == header.height => {
                Some(shard.ledger().clone())
            }
            _ => None,
        };
        if self.barrier.is_some() {
            self.held.push_back(Held::Told(event, ledger.map(Box::new)));
        } else {
            self.parts.history.event(shard, event, ledger);
        }
    }

    fn publish_status(&mut self) {
        self.status_due = Instant::now() + STATUS_INTERVAL;
        let status = self.parts.machine.shard().status();
        let status = NodeStatus {
            round: status.round.0,
            floor: status.floor.0,
            height: status.height.0,
            certified_height: status.certified.0,
            mempool: status.mempool,
            dag_blocks: status.load.dag_blocks,
            waiting_blocks: status.load.waiting_blocks,
            recovering: status.recovering,
            synchronising: status.synchronising,
            stopped: self.stopped.clone(),
            stopped_for_good: self.for_good,
            waiting_for: self.disk_full.clone(),
            last_checkpoint_unix_ms: self.parts.history.last_checkpoint_unix_ms(),
        };
        self.parts.metrics.note_status(&status);
        self.parts.view.set_status(status);
    }
}

/// Whether a block takes a quarter of a millisecond at most to check.
fn is_small(block: &CompactBlock) -> bool {
    let payload = &block.payload;
    let has_only_transactions = payload.deliveries.is_empty()
        && payload.evidence.is_empty()
        && payload.announcement.is_empty()
        && payload.reports.is_empty();
    has_only_transactions
        && payload.transactions.len() <= FEW_TRANSACTIONS
        && payload.transactions.iter().all(is_quick)
}

/// Does something, and notes how long it took.
pub(crate) fn timed<T>(histogram: &Histogram, work: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let done = work();
    histogram.observe(start.elapsed().as_secs_f64());
    done
}

/// The time of this machine, in microseconds since the Unix epoch.
pub(crate) fn now() -> Time {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Time(u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests;
