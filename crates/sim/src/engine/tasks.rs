//! What keeps a processor busy, and what comes of it.

use std::sync::Arc;

use qcn_light::verify_certificate;
use qcn_shard::{Input, Message, SyncPackage};
use qcn_types::{
    Announcement, Block, BlockBody, BlockHeader, BlockRef, CompactBlock, Delivery, Report,
    Transaction, ValidatorIndex, VerifiedBlock,
};

use super::{Engine, Happening, State};
use crate::costs::{self, Work};
use crate::network::encoded_bytes;
use crate::sharding::Notice;
use crate::trace::Kind;

/// Bytes that a parent's reference adds to what is hashed.
const REFERENCE_BYTES: u64 = 42;

/// Work that takes effect when it is done.
#[derive(Debug)]
pub(crate) enum Task {
    /// Taking in a message.
    Receive { from: ValidatorIndex, message: Message },
    /// Checking a block.
    Verify { from: ValidatorIndex, compact: Arc<CompactBlock>, parents: Vec<BlockRef> },
    /// Checking a certificate.
    VerifySync { from: ValidatorIndex, package: Arc<SyncPackage> },
    /// Signing an own block.
    Sign(Box<BlockBody>),
    /// Looking at the clock.
    Tick,
    /// Checking and taking in a client's transaction.
    Submit(Box<Transaction>),
    /// Checking and taking in receipts from another shard.
    Deliver(Box<Delivery>),
    /// Checking and taking in the end of the epoch.
    Announce(Arc<Announcement>),
    /// Checking and taking in something to tell the beacon.
    Report(Box<Report>),
}

impl Engine {
    pub(super) fn deliver(&mut self, parcel: u32, from: u16, to: u16) {
        let Some((bytes, fingerprint, sent)) =
            self.parcels.get(parcel).map(|parcel| (parcel.bytes, parcel.fingerprint, parcel.sent))
        else {
            return;
        };
        if self.network.is_cut(from as usize, to as usize) {
            return self.stopped_at_cut(parcel, from, to);
        }
        let Some(message) = self.parcels.take_copy(parcel) else {
            return;
        };
        let sender = self.processes[from as usize].validator;
        let process = &mut self.processes[to as usize];
        if !process.is_up() {
            return;
        }
        self.metrics.delivered(sender, process.validator, &message, self.now - sent, bytes);
        let cost = process.cpu.charge(Work::Messages, costs::MESSAGE_NS)
            + process.cpu.charge(Work::Hash, costs::hash_ns(bytes));
        self.record(Kind::Deliver, to, from, [fingerprint, bytes]);
        self.submit_task(to, Task::Receive { from: sender, message }, cost);
    }

    /// Queues a task whose cost has been charged.
    pub(super) fn submit_task(&mut self, at: u16, task: Task, cost_ns: u64) {
        let process = &mut self.processes[at as usize];
        let incarnation = process.incarnation;
        if let Some(done) = process.cpu.submit(self.now, task, cost_ns) {
            self.queue.push(done, Happening::Done { process: at, incarnation });
        }
    }

    pub(super) fn submit_verify(
        &mut self,
        at: u16,
        from: ValidatorIndex,
        compact: Arc<CompactBlock>,
        parents: Vec<BlockRef>,
    ) {
        let keys = self.setup.key_ring;
        let cpu = &mut self.processes[at as usize].cpu;
        let transactions = compact.payload.transactions.len() as u64;
        let signatures = costs::verify_block_ns(keys) + transactions * costs::VERIFY_TRANSACTION_NS;
        let deliveries = compact.payload.deliveries.iter();
        let deliveries = deliveries.map(|it| costs::delivery_ns(keys, it)).sum::<u64>();
        let cost = cpu.charge(Work::Verify, signatures + deliveries)
            + cpu.charge(Work::Hash, costs::hash_ns(parents.len() as u64 * REFERENCE_BYTES));
        self.submit_task(at, Task::Verify { from, compact, parents }, cost);
    }

    pub(super) fn submit_verify_sync(
        &mut self,
        at: u16,
        from: ValidatorIndex,
        package: Arc<SyncPackage>,
    ) {
        let cost_each = costs::verify_block_ns(self.setup.key_ring);
        let cpu = &mut self.processes[at as usize].cpu;
        let signatures = package.certificate.attestations.len() as u64;
        let cost = cpu.charge(Work::Verify, signatures * cost_each);
        self.submit_task(at, Task::VerifySync { from, package }, cost);
    }

    /// A relayer hands receipts of another shard to a validator.
    pub(crate) fn submit_delivery(&mut self, at: u16, delivery: Delivery) {
        let keys = self.setup.key_ring;
        let process = &mut self.processes[at as usize];
        if !process.is_up() {
            return;
        }
        let cost = process.cpu.charge(Work::Verify, costs::delivery_ns(keys, &delivery));
        self.record(Kind::Relay, at, 0, [u64::from(delivery.source().0), delivery.before.receipts]);
        self.submit_task(at, Task::Deliver(Box::new(delivery)), cost);
    }

    /// A validator hears of the end of the epoch.
    pub(crate) fn submit_announcement(&mut self, at: u16, announcement: &Arc<Announcement>) {
        let cost_each = costs::verify_block_ns(self.setup.key_ring);
        let process = &mut self.processes[at as usize];
        if !process.is_up() {
            return;
        }
        let signatures = announcement.certificate.attestations.len() as u64;
        let cost = process.cpu.charge(Work::Verify, signatures * cost_each);
        self.record(Kind::Announce, at, 0, [announcement.plan.epoch.0, 0]);
        self.submit_task(at, Task::Announce(Arc::clone(announcement)), cost);
    }

    /// A member of the beacon has something to report.
    pub(crate) fn submit_report(&mut self, at: u16, report: Report) {
        let cost_each = costs::verify_block_ns(self.setup.key_ring);
        let process = &mut self.processes[at as usize];
        if !process.is_up() {
            return;
        }
        let signatures = match &report {
            Report::Checkpoint(certificate) => certificate.attestations.len() as u64,
            _ => 1,
        };
        let cost = process.cpu.charge(Work::Verify, signatures * cost_each);
        self.submit_task(at, Task::Report(Box::new(report)), cost);
    }

    /// Somebody without a seat asks for state.
    pub(crate) fn receive_from_guest(&mut self, at: u16, guest: ValidatorIndex, message: Message) {
        let process = &mut self.processes[at as usize];
        let is_question =
            matches!(message, Message::SyncRequest { .. } | Message::ChunkRequest { .. });
        if process.is_up() && is_question {
            let cost = process.cpu.charge(Work::Messages, costs::MESSAGE_NS);
            self.submit_task(at, Task::Receive { from: guest, message }, cost);
        }
    }

    /// A closed shard is needed for its state only.
    pub(crate) fn retire(&mut self, at: u16) {
        if self.processes[at as usize].state == State::Up {
            self.hand_in(at, Input::Retire);
        }
    }

    pub(super) fn submit_sign(&mut self, at: u16, body: Box<BlockBody>) {
        let sign_ns = costs::sign_ns(self.setup.key_ring);
        let cpu = &mut self.processes[at as usize].cpu;
        let bytes = body.parents.len() as u64 * REFERENCE_BYTES + encoded_bytes(&body.payload);
        let cost = cpu.charge(Work::Sign, sign_ns) + cpu.charge(Work::Hash, costs::hash_ns(bytes));
        self.submit_task(at, Task::Sign(body), cost);
    }

    pub(super) fn task_done(&mut self, at: u16, incarnation: u32) {
        let process = &mut self.processes[at as usize];
        if process.incarnation != incarnation {
            return;
        }
        if process.state == State::Paused {
            process.done_while_paused = true;
            return;
        }
        let Some(task) = process.cpu.finish() else {
            return;
        };
        self.perform(at, task);
        let process = &mut self.processes[at as usize];
        if process.incarnation == incarnation
            && let Some(done) = process.cpu.next(self.now)
        {
            self.queue.push(done, Happening::Done { process: at, incarnation });
        }
    }

    fn perform(&mut self, at: u16, task: Task) {
        let input = match task {
            Task::Receive { from, message } => Input::Message { from, message },
            Task::Verify { from, compact, parents } => {
                let outcome = self.memo.verify(&self.setup.keys, &compact, parents);
                Input::BlockVerified { from, compact, outcome }
            }
            Task::VerifySync { from, package } => {
                let valid = verify_certificate(&package.certificate, &self.setup.keys).is_ok();
                Input::SyncVerified { from, package, valid }
            }
            Task::Sign(body) => match self.sign(at, *body) {
                Some(block) => Input::BlockSigned(block),
                None => return,
            },
            Task::Tick => Input::Tick,
            Task::Deliver(delivery) => match self.setup.keys.verify_delivery(*delivery) {
                Ok(delivery) => Input::Deliver(Box::new(delivery)),
                Err(_) => return,
            },
            Task::Announce(announcement) => {
                let announcement = Announcement::clone(&announcement);
                match self.setup.keys.verify_announcement(announcement) {
                    Ok(announcement) => Input::Announce(Box::new(announcement)),
                    Err(_) => return,
                }
            }
            Task::Report(report) => match self.setup.keys.verify_report(*report) {
                Ok(report) => Input::Report(Box::new(report)),
                Err(_) => return,
            },
            Task::Submit(transaction) => match self.setup.keys.verify_transaction(*transaction) {
                Ok(transaction) => Input::Submit(transaction),
                Err(_) => return,
            },
        };
        self.hand_in(at, input);
    }

    /// Signs a block for real.
    fn sign(&mut self, at: u16, body: BlockBody) -> Option<VerifiedBlock> {
        let process = &mut self.processes[at as usize];
        if let Some(notices) = self.notices.as_mut().filter(|_| process.honest) {
            notices.push(Notice::Signs { validator: process.validator });
        }
        let key = self.setup.signing.get(process.validator.position())?;
        let context = BlockHeader::signing_context(self.setup.keys.chain());
        let digest = body.digest();
        let signature =
            key.sign_seeded(&context, digest.as_bytes(), &mut process.randomness).ok()?;
        let block = self.setup.keys.verify_block(Block { body, signature }).ok()?;
        process.last_signed = Some(block.clone());
        Some(block)
    }

    pub(super) fn timer_fires(&mut self, at: u16, incarnation: u32) {
        let process = &mut self.processes[at as usize];
        if process.incarnation != incarnation || process.wake_set != Some(self.now) {
            return;
        }
        process.wake_set = None;
        let Some(wanted) = process.wake_wanted else {
            return;
        };
        if process.clock.local(self.now) < wanted {
            return self.set_timer(at);
        }
        process.wake_wanted = None;
        let cost = process.cpu.charge(Work::Messages, costs::TICK_NS);
        self.submit_task(at, Task::Tick, cost);
    }

    /// Makes sure that a timer is set for when the shard wants to be woken.
    pub(super) fn set_timer(&mut self, at: u16) {
        let process = &mut self.processes[at as usize];
        let Some(wanted) = process.wake_wanted else {
            return;
        };
        let due = process.clock.global(wanted).max(self.now);
        if process.wake_set.is_none_or(|set| due < set) {
            process.wake_set = Some(due);
            let incarnation = process.incarnation;
            self.queue.push(due, Happening::Wake { process: at, incarnation });
        }
    }
}
