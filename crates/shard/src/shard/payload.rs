//! What an own block carries, and what clients hand in for it.

use qcn_types::{
    Bounded, Evidence, MAX_BLOCK_EVIDENCE, Payload, Round, Transaction, Verified, encoded_bytes,
};

use super::Shard;
use crate::{Event, Refused};

/// The most pieces of evidence that wait to be proposed.
const MAX_PENDING_EVIDENCE: usize = 64;

/// The most bytes of evidence in a block, so that it fits a frame with all that it may carry
/// besides. An invalid block that is longer itself is refused by all, and accused by nobody.
const MAX_EVIDENCE_BYTES: usize = 4 * 1024 * 1024;

/// The most bytes of everything in a block but transactions: with as many of these as there may
/// be, it fits a frame.
const MAX_CARRIED_BYTES: usize = 6 * 1024 * 1024;

/// What a block carries and nobody has executed after so many rounds is proposed again: deliveries,
/// the end of the epoch, reports. Until then it counts as being on its way, so that it is not
/// carried twice; a block of that age has most likely been left out for good.
pub(crate) const PATIENCE_ROUNDS: u64 = 24;

/// Evidence that was proposed and is not committed after so many rounds is proposed again.
const EVIDENCE_PATIENCE_ROUNDS: u64 = 48;

impl Shard {
    pub(super) fn submit(&mut self, transaction: Verified<Transaction>) {
        let transaction = transaction.into_inner();
        let id = transaction.body.id();
        let taken_in = if self.ending.is_closed() {
            Err(Refused::Ended)
        } else {
            self.mempool.submit(transaction, &self.ledger)
        };
        if let Err(refusal) = taken_in {
            self.event(Event::Refused { id, refusal });
        }
        self.say_busy();
    }

    pub(super) fn give_payload(&mut self, round: Round) {
        if self.ending.is_executed() {
            return self.give(round, Payload::default());
        }
        let announcement = self.ending.take(round);
        let deliveries = self.exchange.take(round, &self.ledger);
        let announced = announcement.iter().map(encoded_bytes).sum::<usize>();
        let delivered = deliveries.iter().map(encoded_bytes).sum::<usize>();
        let room = MAX_CARRIED_BYTES.saturating_sub(announced + delivered);
        let mut evidence: Vec<Evidence> = Vec::new();
        let mut accused = 0;
        for (due, proof) in &mut self.evidence {
            let bytes = encoded_bytes(proof);
            let fits = accused + bytes <= MAX_EVIDENCE_BYTES.min(room);
            if *due <= round && fits && evidence.len() < MAX_BLOCK_EVIDENCE {
                *due = round.plus(EVIDENCE_PATIENCE_ROUNDS);
                accused += bytes;
                evidence.push(proof.clone());
            }
        }
        let room = room.saturating_sub(accused);
        let reports = self.reports.take(round, self.config.own, &self.ledger, room);
        let reported = reports.iter().map(encoded_bytes).sum::<usize>();
        let carried = announced + delivered + accused + reported;
        let transactions = self.mempool.take(round, &self.ledger, carried);
        let payload = Payload {
            transactions: Bounded::truncated(transactions),
            evidence: Bounded::truncated(evidence),
            deliveries: Bounded::truncated(deliveries),
            announcement,
            reports,
        };
        self.give(round, payload);
    }

    fn give(&mut self, round: Round, payload: Payload) {
        let attestations = self.checkpoints.take_attestations();
        self.feed(qcn_consensus::Input::Payload { round, payload, attestations });
    }

    pub(super) fn proven(&mut self, evidence: Evidence) {
        if self.isolated.contains(evidence.accused()) {
            return;
        }
        let fits = encoded_bytes(&evidence) <= MAX_EVIDENCE_BYTES;
        if fits && self.evidence.len() < MAX_PENDING_EVIDENCE {
            self.evidence.push_back((Round::GENESIS, evidence.clone()));
        }
        self.event(Event::Proven(evidence));
    }
}
