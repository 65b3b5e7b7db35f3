//! A validator that gets a seat in a shard where it had none (DESIGN section 7).
//!
//! It takes no part in the epoch that ends there. It asks those who did for the final state,
//! checks the certificate, the plan and every chunk, and opens the next epoch as they do. Its
//! doors are those of a shard, so that drivers run it in the same way; peers see a guest, whose
//! index is beyond the committee's, and answer it what they answer members.

use std::collections::VecDeque;
use std::sync::Arc;

use qcn_crypto::{ChainId, Digest};
use qcn_ledger::{Ledger, Territory};
use qcn_types::{Height, Time, ValidatorIndex};

use crate::statesync::{Requests, StateSync, sent};
use crate::{Closed, Event, Input, Message, Output, SyncPackage};

/// Fetches the final state of a shard for somebody without a seat in it.
#[derive(Debug)]
pub struct Joiner {
    sync: StateSync,
    /// The plan that the final checkpoint must name.
    plan: Digest,
    closed: Option<Closed>,
    said_wake: Option<Time>,
    now: Time,
    outputs: VecDeque<Output>,
}

impl Joiner {
    /// Begins to ask. `guest` is an index beyond the committee's, `territory` that of the epoch
    /// which ends, and `plan` the digest of the one that begins.
    #[must_use]
    pub fn new(
        now: Time,
        chain: ChainId,
        territory: Territory,
        members: usize,
        guest: ValidatorIndex,
        plan: Digest,
    ) -> Self {
        let mut joiner = Self {
            sync: StateSync::new(guest, members, chain, territory),
            plan,
            closed: None,
            said_wake: None,
            now,
            outputs: VecDeque::new(),
        };
        let requests = joiner.sync.start(now, Height(0));
        joiner.send_all(requests);
        joiner.set_wake();
        joiner
    }

    /// The end of the epoch, once all of it is here.
    #[must_use]
    pub const fn closed(&self) -> Option<&Closed> {
        self.closed.as_ref()
    }

    /// The input door: ticks, answers of peers, checked certificates. Everything else is not for
    /// a guest and does nothing.
    pub fn handle(&mut self, now: Time, input: Input) {
        self.now = self.now.max(now);
        if self.closed.is_some() {
            return;
        }
        match input {
            Input::Tick => {
                let requests = self.sync.tick(self.now, Height(0));
                self.send_all(requests);
            }
            Input::Message { from, message } => self.receive(from, message),
            Input::SyncVerified { from, valid: false, .. } => {
                let lie = self.sync.lied(from);
                self.outputs.push_back(lie);
            }
            Input::SyncVerified { from, package, valid: true } if self.wants(from, &package) => {
                let requests = self.sync.begin(self.now, from, package);
                self.send_all(requests);
            }
            _ => {}
        }
        self.set_wake();
    }

    /// The output door. Drained after every input; outputs are executed in order.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// Whoever is not there yet offers an earlier state: that is no lie, and of no use.
    fn wants(&self, from: ValidatorIndex, package: &SyncPackage) -> bool {
        package.is_last()
            && !self.sync.is_liar(from)
            && package.certificate.checkpoint.next_epoch == self.plan
            && self.sync.wants(package, Height(0))
    }

    fn receive(&mut self, from: ValidatorIndex, message: Message) {
        match message {
            Message::SyncOffer(package) if self.wants(from, &package) => {
                let output = self.sync.check(from, package, 0);
                self.outputs.push_back(output);
            }
            Message::Chunk { .. } | Message::ChunkGone { .. } => {
                let (outputs, complete) = self.sync.answered(self.now, from, &message, Height(0));
                self.outputs.extend(outputs);
                if let Some((package, ledger)) = complete {
                    self.complete(&package, *ledger);
                }
            }
            Message::SyncOffer(_)
            | Message::Consensus(_)
            | Message::SyncRequest { .. }
            | Message::ChunkRequest { .. } => {}
        }
    }

    fn complete(&mut self, package: &Arc<SyncPackage>, ledger: Ledger) {
        let Some(plan) = package.plan.first() else {
            return;
        };
        let plan = Arc::new(plan.clone());
        let certificate = package.certificate.clone();
        self.closed = Some(Closed { certificate, plan: Arc::clone(&plan), ledger });
        self.outputs.push_back(Output::Event(Event::Closed { plan }));
    }

    fn send_all(&mut self, requests: Requests) {
        self.outputs.extend(sent(requests));
    }

    fn set_wake(&mut self) {
        let wake = self.sync.deadline();
        if let Some(at) = wake
            && self.said_wake != wake
        {
            self.said_wake = wake;
            self.outputs.push_back(Output::Wake(at));
        }
    }
}
