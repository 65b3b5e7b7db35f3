//! Messages between validators, and catching up by state.

use std::sync::Arc;

use qcn_ledger::{Ledger, StateRegion};
use qcn_types::{Height, ValidatorIndex};

use super::Shard;
use crate::statesync::Progress;
use crate::{Event, Message, Output, Record, SyncPackage};

impl Shard {
    pub(super) fn receive(&mut self, from: ValidatorIndex, message: Message) {
        match message {
            Message::Consensus(_) if self.ending.is_retired() => self.answer_retired(from),
            Message::Consensus(message) => {
                self.feed(qcn_consensus::Input::Message { from, message });
            }
            Message::SyncRequest { above } => {
                self.ending.note_guest(from, self.now, self.config.keys.committee());
                if let Some(package) = self.snapshots.newest_above(above) {
                    let message = Message::SyncOffer(Arc::clone(package));
                    self.outputs.push_back(Output::Send { to: from, message });
                }
            }
            Message::SyncOffer(package) => self.receive_offer(from, package),
            Message::ChunkRequest { height, region } => self.serve_chunk(from, height, region),
            Message::Chunk { .. } | Message::ChunkGone { .. } => {
                let own_height = self.height();
                let progress = self.sync.answered(self.now, from, &message, own_height);
                self.synchronises(progress);
            }
        }
    }

    fn synchronises(&mut self, progress: Progress) {
        self.outputs.extend(progress.outputs);
        if let Some((package, ledger)) = progress.done {
            self.synchronised(&package, *ledger);
        }
    }

    fn serve_chunk(&mut self, to: ValidatorIndex, height: Height, region: StateRegion) {
        let message = match self.snapshots.ledger_at(height) {
            None => Message::ChunkGone { height },
            Some(ledger) => match ledger.chunk_in(&region) {
                Some(chunk) => Message::Chunk { height, region, chunk: Arc::new(chunk) },
                None => return,
            },
        };
        self.outputs.push_back(Output::Send { to, message });
    }

    fn receive_offer(&mut self, from: ValidatorIndex, package: Arc<SyncPackage>) {
        if !self.is_of_use(from, &package) || self.checking.contains(&from) {
            return;
        }
        let output = self.sync.check(from, package, self.config.consensus.gc_depth);
        if matches!(output, Output::VerifySync { .. }) {
            self.checking.insert(from);
        }
        self.outputs.push_back(output);
    }

    /// Whether an offer leads anywhere. Whoever has executed the end of the epoch and never saw it
    /// certified needs nothing of it but the certificate.
    fn is_of_use(&self, from: ValidatorIndex, package: &SyncPackage) -> bool {
        if self.ending.is_closed() || self.sync.is_liar(from) {
            return false;
        }
        if self.ending.is_executed() {
            return package.is_last() && package.certificate.checkpoint.height == self.height();
        }
        self.sync.wants(package, self.height())
    }

    pub(super) fn offer_checked(
        &mut self,
        from: ValidatorIndex,
        package: Arc<SyncPackage>,
        valid: bool,
    ) {
        self.checking.remove(&from);
        if !valid {
            let lie = self.sync.lied(from);
            return self.outputs.push_back(lie);
        }
        if !self.is_of_use(from, &package) {
            return;
        }
        if self.ending.is_executed() {
            return self.close_with(package);
        }
        let own_height = self.height();
        let progress = self.sync.begin(self.now, package, Some(&self.ledger), own_height);
        self.synchronises(progress);
    }

    fn synchronised(&mut self, package: &Arc<SyncPackage>, ledger: Ledger) {
        let checkpoint = package.certificate.checkpoint;
        if checkpoint.height <= self.height() || self.ending.is_executed() {
            return;
        }
        if package.plan.is_empty() {
            self.install(package, ledger.clone());
        }
        let record = Record::Snapshot {
            package: Arc::clone(package),
            ledger: Box::new(ledger.clone()),
            floor: self.machine.floor(),
        };
        self.outputs.push_back(Output::Persist { record, barrier: true });
        if let Some(plan) = package.plan.first() {
            self.install_last(package, plan, ledger);
        }
        self.event(Event::Synchronised {
            height: checkpoint.height,
            checkpoint: checkpoint.digest(),
            state_root: checkpoint.state_root,
        });
    }
}
