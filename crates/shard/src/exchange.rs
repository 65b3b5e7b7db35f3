//! What goes to other shards and what comes from them (DESIGN section 7).
//!
//! Going out: every certified checkpoint commits to the ends of all lanes, so the newest one
//! serves every destination. Coming in: a relayer hands over a verified delivery, the next own
//! block proposes it, and once that block is executed the lane has moved on. Who relays asks
//! first how far the lane will be once the blocks in the DAG are executed
//! ([`Exchange::expected`]), so that receipts are not carried twice while a block is on its way.

use std::collections::{BTreeMap, VecDeque};

use qcn_ledger::{Cargo, Ledger, Outbox};
use qcn_types::{
    Certificate, Checkpoint, Delivery, Height, LaneEnd, LaneHead, LaneId, LaneLink,
    MAX_BLOCK_DELIVERIES, Round, encoded_bytes,
};

use crate::Expected;
use crate::shard::PATIENCE_ROUNDS;

/// An acknowledgement alone is carried once it covers so many receipts more.
const ACKNOWLEDGED_AT_ONCE: u64 = 1_024;
/// Or so many batches: each checkpoint makes one, and a lane holds so many only.
const ACKNOWLEDGED_BATCHES_AT_ONCE: u64 = 64;

/// The most bytes of deliveries in an own block, unless one alone has more.
const MAX_DELIVERED_BYTES: usize = 1_500_000;

/// Outboxes that wait for their certificate. Heights are certified in order, soon or all at once.
const MAX_UNCERTIFIED: usize = 256;

/// The lanes of one shard, as one validator handles them.
#[derive(Debug, Default)]
pub struct Exchange {
    /// Outboxes of executed checkpoints that are not certified, oldest first.
    executed: VecDeque<(Checkpoint, Outbox)>,
    /// The newest certified outbox.
    certified: Option<(Checkpoint, Outbox)>,
    /// Its certificate, once it was asked for.
    certificate: Option<Certificate>,
    /// What to propose, by lane.
    waiting: BTreeMap<LaneId, Delivery>,
    /// What a block in the DAG carries, by lane.
    promised: BTreeMap<LaneId, Promise>,
}

/// How far a lane will be applied once a block is executed.
#[derive(Clone, Copy, Debug)]
struct Promise {
    head: LaneHead,
    acknowledged: LaneHead,
    /// Since when nothing of it was executed.
    round: Round,
    /// How far the lane was applied then.
    applied: u64,
}

impl Exchange {
    /// A checkpoint was executed.
    pub fn executed(&mut self, checkpoint: Checkpoint, ledger: &Ledger) {
        let outbox = ledger.outbox();
        let newest = self.executed.back().or(self.certified.as_ref());
        let is_new = newest.map_or(!outbox.ends().is_empty(), |(_, last)| *last != outbox);
        if is_new {
            self.executed.push_back((checkpoint, outbox));
            if self.executed.len() > MAX_UNCERTIFIED {
                self.executed.pop_front();
            }
        }
        self.waiting.retain(|_, delivery| !is_stale(delivery, ledger));
        for (lane, promise) in &mut self.promised {
            let applied = ledger.received_on(*lane).batches;
            if applied > promise.applied {
                promise.applied = applied;
                promise.round = promise.round.max(checkpoint.leader.round);
            }
        }
    }

    /// Everything up to a height is certified. Says whether there is a newer certified outbox. Its
    /// certificate is made while the blocks that attest it are at hand, if that is possible yet.
    pub fn certified(
        &mut self,
        height: Height,
        certify: impl FnOnce(Checkpoint) -> Option<Certificate>,
    ) -> bool {
        let before = self.certified.as_ref().map(|(checkpoint, _)| checkpoint.height);
        while self.executed.front().is_some_and(|(checkpoint, _)| checkpoint.height <= height) {
            self.certified = self.executed.pop_front();
        }
        let Some((checkpoint, _)) = &self.certified else {
            return false;
        };
        let is_newer = before != Some(checkpoint.height);
        if is_newer {
            self.certificate = certify(*checkpoint);
        }
        is_newer
    }

    /// The state was replaced by a later one.
    pub fn synchronised(&mut self, ledger: &Ledger) {
        self.executed.clear();
        self.certified = None;
        self.certificate = None;
        self.promised.clear();
        self.waiting.retain(|_, delivery| !is_stale(delivery, ledger));
    }

    /// The ends of all lanes in the newest certified outbox.
    #[must_use]
    pub fn certified_ends(&self) -> &[LaneEnd] {
        self.certified.as_ref().map_or(&[], |(_, outbox)| outbox.ends())
    }

    /// The end of a lane in the newest certified outbox.
    #[must_use]
    pub fn certified_end(&self, lane: LaneId) -> Option<&LaneEnd> {
        self.certified.as_ref().and_then(|(_, outbox)| outbox.end(lane))
    }

    /// What to hand over to a destination that expects this of a lane; `None` while there is
    /// nothing worth a way.
    pub fn delivery(
        &mut self,
        ledger: &Ledger,
        lane: LaneId,
        expected: &Expected,
        certify: impl FnOnce(Checkpoint) -> Option<Certificate>,
    ) -> Option<Delivery> {
        let (checkpoint, outbox) = self.certified.as_ref()?;
        let end = outbox.end(lane)?;
        let more = |new: u64, old: u64, least: u64| new.saturating_sub(old) >= least;
        let (new, old) = (&end.received, &expected.acknowledged);
        let acknowledges = more(new.receipts, old.receipts, ACKNOWLEDGED_AT_ONCE)
            || more(new.batches, old.batches, ACKNOWLEDGED_BATCHES_AT_ONCE);
        if end.sent.batches <= expected.applied.batches && !acknowledges {
            return None;
        }
        let cargo = ledger.cargo(outbox, lane, &expected.applied)?;
        let Cargo { end, inclusion, before, batches, links } = cargo;
        if self.certificate.is_none() {
            self.certificate = certify(*checkpoint);
        }
        let certificate = self.certificate.clone()?;
        Some(Delivery { certificate, end, inclusion, before, batches, links })
    }

    /// A relayer brings a verified delivery. Of each lane one waits: one that goes on from where
    /// the lane is expected to be rather than one that leaves a gap, and then the one that leads
    /// furthest.
    pub fn offer(&mut self, delivery: Delivery, ledger: &Ledger, round: Round) {
        let lane = delivery.lane();
        if is_stale(&delivery, ledger) {
            return;
        }
        let expected = self.expected(lane, ledger, round).applied;
        let merit = |it: &Delivery| {
            let follows = it.before.batches <= expected.batches;
            (follows, last_batch(it), acknowledgement(it, ledger).batches)
        };
        if self.waiting.get(&lane).is_none_or(|other| merit(&delivery) > merit(other)) {
            self.waiting.insert(lane, delivery);
        }
    }

    /// A block entered the DAG that will be executed, if its author is not isolated. What does
    /// not go on from where the lane is expected to be promises nothing.
    pub fn seen(&mut self, deliveries: &[Delivery], ledger: &Ledger, round: Round) {
        for delivery in deliveries {
            let lane = delivery.lane();
            let expected = self.expected(lane, ledger, round).applied;
            if delivery.before.batches > expected.batches {
                continue;
            }
            let applied = ledger.received_on(lane).batches;
            let new = Promise {
                head: carried_head(delivery),
                acknowledged: acknowledgement(delivery, ledger),
                round,
                applied,
            };
            let old = self.promised.get(&lane).filter(|old| is_fresh(old, round));
            let merged = match old {
                None => new,
                Some(old) => Promise {
                    head: further(old.head, new.head),
                    acknowledged: further(old.acknowledged, new.acknowledged),
                    // What rests on a block that is not executed lasts no longer than that: it may
                    // turn out to be a gap, and neither gaps on top of it nor what was applied
                    // long ago must keep it alive.
                    round: if delivery.before.batches <= applied
                        && last_batch(delivery) >= old.head.batches
                    {
                        round
                    } else {
                        old.round
                    },
                    applied: old.applied.max(applied),
                },
            };
            self.promised.insert(lane, merged);
        }
    }

    /// How far what comes on a lane will be applied, and what goes acknowledged, once the blocks in
    /// the DAG are executed.
    #[must_use]
    pub fn expected(&self, lane: LaneId, ledger: &Ledger, round: Round) -> Expected {
        let (applied, known) = (ledger.received_on(lane), ledger.acknowledged_on(lane));
        match self.promised.get(&lane).filter(|it| is_fresh(it, round)) {
            Some(promise) => Expected {
                applied: further(applied, promise.head),
                acknowledged: further(known, promise.acknowledged),
            },
            None => Expected { applied, acknowledged: known },
        }
    }

    /// What the own block of a round proposes.
    pub fn take(&mut self, round: Round, ledger: &Ledger) -> Vec<Delivery> {
        let mut taken: Vec<Delivery> = Vec::new();
        let mut carried = 0;
        for delivery in self.waiting.values() {
            if !self.is_worth_proposing(delivery, ledger, round) {
                continue;
            }
            let bytes = encoded_bytes(delivery);
            let fits = taken.is_empty() || carried + bytes <= MAX_DELIVERED_BYTES;
            if fits && taken.len() < MAX_BLOCK_DELIVERIES {
                carried += bytes;
                taken.push(delivery.clone());
            }
        }
        self.seen(&taken, ledger, round);
        taken
    }

    /// Whether something waits that the next own block would propose.
    #[must_use]
    pub fn is_ready(&self, ledger: &Ledger, round: Round) -> bool {
        let mut waiting = self.waiting.values();
        waiting.any(|it| self.is_worth_proposing(it, ledger, round))
    }

    fn is_worth_proposing(&self, delivery: &Delivery, ledger: &Ledger, round: Round) -> bool {
        let Expected { applied, acknowledged } = self.expected(delivery.lane(), ledger, round);
        let acknowledges = acknowledgement(delivery, ledger).batches > acknowledged.batches;
        delivery.before.batches <= applied.batches
            && (last_batch(delivery) > applied.batches || acknowledges)
    }
}

/// Whether a delivery brings the executed state nothing.
fn is_stale(delivery: &Delivery, ledger: &Ledger) -> bool {
    let lane = delivery.lane();
    let acknowledges =
        acknowledgement(delivery, ledger).batches > ledger.acknowledged_on(lane).batches;
    last_batch(delivery) <= ledger.received_on(lane).batches && !acknowledges
}

/// What a delivery acknowledges, if the lane ever was there: a captured shard may say anything.
fn acknowledgement(delivery: &Delivery, ledger: &Ledger) -> LaneHead {
    let said = delivery.end.received;
    let known = ledger.lane_head(delivery.lane(), said.batches);
    if known == Some(said) { said } else { LaneHead::default() }
}

fn further(one: LaneHead, other: LaneHead) -> LaneHead {
    if other.batches > one.batches { other } else { one }
}

fn last_batch(delivery: &Delivery) -> u64 {
    delivery.before.batches.saturating_add(delivery.batches.len() as u64)
}

/// The lane after the batches that a verified delivery carries.
fn carried_head(delivery: &Delivery) -> LaneHead {
    let mut links = delivery.batches.iter().map(|batch| LaneLink::of(batch));
    let head = links.try_fold(delivery.before, |head, link| head.after(&link));
    head.unwrap_or(delivery.before)
}

const fn is_fresh(promise: &Promise, round: Round) -> bool {
    promise.round.0.saturating_add(PATIENCE_ROUNDS) > round.0
}

#[cfg(test)]
mod tests;
