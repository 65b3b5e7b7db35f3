//! A validator that gets a seat in a shard where it had none (DESIGN section 7).
//!
//! It takes no part in the epoch that ends there. From when the plan is known it fetches the newest
//! certified state of the shard from those who do, and goes on to newer ones; so of the final state,
//! once there is one, only what has changed since is left to fetch. It checks the certificate, the
//! plan and every chunk, and opens the next epoch as they do. Its doors are those of a shard, so that drivers run it in the same way; peers see a guest, whose
//! index is beyond the committee's, and answer it what they answer members.

use std::collections::VecDeque;
use std::sync::Arc;

use qcn_crypto::{ChainId, Digest};
use qcn_ledger::{Ledger, Territory};
use qcn_types::{Height, Time, ValidatorIndex};

use crate::statesync::{Progress, Requests, StateSync, sent};
use crate::{Closed, Event, Input, Message, Output, SyncPackage};

/// Fetches the final state of a shard for somebody without a seat in it.
///
/// **Invariant**: what it gives out is certified as the end of the epoch. An earlier state only
/// says what need not be fetched again.
#[derive(Debug)]
pub struct Joiner {
    sync: StateSync,
    /// The plan that the final checkpoint must name.
    plan: Digest,
    /// The newest state that it has fetched before the end.
    early: Option<Box<Ledger>>,
    /// The height of that.
    height: Height,
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
            early: None,
            height: Height(0),
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

    /// The height of the newest state that was fetched before the end of the epoch.
    #[must_use]
    pub const fn early_height(&self) -> Height {
        self.height
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
                let requests = self.sync.tick(self.now, self.height);
                self.send_all(requests);
            }
            Input::Message { from, message } => self.receive(from, message),
            Input::SyncVerified { from, valid: false, .. } => {
                let lie = self.sync.lied(from);
                self.outputs.push_back(lie);
            }
            Input::SyncVerified { from, package, valid: true } if self.wants(from, &package) => {
                let early = self.early.as_deref();
                let progress = self.sync.begin(self.now, package, early, self.height);
                self.goes_on(progress);
            }
            _ => {}
        }
        self.set_wake();
    }

    /// The output door. Drained after every input; outputs are executed in order.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// The end of the epoch, or what those have who are not there yet.
    fn wants(&self, from: ValidatorIndex, package: &SyncPackage) -> bool {
        let leads_there =
            !package.is_last() || package.certificate.checkpoint.next_epoch == self.plan;
        leads_there && !self.sync.is_liar(from) && self.sync.wants(package, self.height)
    }

    fn receive(&mut self, from: ValidatorIndex, message: Message) {
        match message {
            Message::SyncOffer(package) if self.wants(from, &package) => {
                let output = self.sync.check_for_guest(from, package);
                self.outputs.push_back(output);
            }
            Message::Chunk { .. } | Message::ChunkGone { .. } => {
                let progress = self.sync.answered(self.now, from, &message, self.height);
                self.goes_on(progress);
            }
            Message::SyncOffer(_)
            | Message::Consensus(_)
            | Message::SyncRequest { .. }
            | Message::ChunkRequest { .. } => {}
        }
    }

    fn goes_on(&mut self, progress: Progress) {
        self.outputs.extend(progress.outputs);
        if let Some((package, ledger)) = progress.done {
            self.complete(&package, ledger);
        }
    }

    fn complete(&mut self, package: &Arc<SyncPackage>, ledger: Box<Ledger>) {
        let plan = package.plan.first().filter(|plan| plan.digest() == self.plan);
        let Some(plan) = plan.filter(|_| package.is_last()) else {
            self.height = package.certificate.checkpoint.height;
            self.early = Some(ledger);
            let requests = self.sync.start(self.now, self.height);
            return self.send_all(requests);
        };
        let ledger = *ledger;
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
