//! What the machine lacks, and how it gets it: single blocks, whole rounds, or word that only the
//! state will do (DESIGN section 5.5).

use std::collections::BTreeSet;

use qcn_crypto::Digest;
use qcn_types::{BlockRef, Bounded, Round, Slot, ValidatorIndex};

use super::Machine;
use crate::limits::{self, HORIZON_ROUNDS, MAX_REQUESTED_SLOTS, RETENTION_ROUNDS};
use crate::{Message, Output};

/// The blocks of a slot that others name and that are not in the DAG.
fn named_in(wanted: &BTreeSet<BlockRef>, slot: Slot) -> impl Iterator<Item = BlockRef> + '_ {
    let name = |digest| BlockRef { round: slot.round, author: slot.author, digest };
    wanted.range(name(Digest::ZERO)..=name(Digest([u8::MAX; 32]))).copied()
}

impl Machine {
    /// Asks for a block with its parents in full, unless the answer may still be on its way.
    pub(super) fn request_full(&mut self, from: ValidatorIndex, slot: Slot) {
        if self.fetch.want_in_full(slot, from, self.now, self.config.sync_delay_us) {
            self.send(from, Message::RequestFull(slot));
        }
    }

    pub(super) fn fetch_missing(&mut self) {
        let pause = self.config.sync_delay_us;
        let members = self.committee().len();
        let (dag, intake, wanted) = (&self.dag, &self.intake, &self.wanted);
        // Where the DAG has a block already, another one of the slot is wanted. So it is where one
        // waits for parents that may not even exist, while others name another one.
        let only_waits = |slot: Slot| {
            dag.in_slot(slot).next().is_none()
                && intake.has_verified(slot)
                && named_in(wanted, slot).all(|reference| intake.is_waiting(&reference))
        };
        for (to, slots) in self.fetch.requests(self.now, pause, self.own, members, only_waits) {
            for slot in &slots {
                let withheld = &mut self.withheld[slot.author.position()];
                *withheld = withheld.saturating_add(2).min(limits::MOST_WITHHELD);
            }
            // Who has a block of the slot lacks a certain other one; else any will do.
            let (occupied, empty): (Vec<Slot>, Vec<Slot>) = slots.into_iter().partition(|slot| {
                self.dag.in_slot(*slot).next().is_some() || self.intake.has_verified(*slot)
            });
            let exact: Vec<BlockRef> = occupied
                .iter()
                .flat_map(|slot| named_in(&self.wanted, *slot))
                .filter(|reference| !self.intake.is_waiting(reference))
                .collect();
            for part in exact.chunks(MAX_REQUESTED_SLOTS) {
                self.send(to, Message::RequestBlocks(Bounded::truncated(part.to_vec())));
            }
            for part in empty.chunks(MAX_REQUESTED_SLOTS) {
                self.send(to, Message::RequestSlots(Bounded::truncated(part.to_vec())));
            }
        }
    }

    /// The least time between two requests for whole rounds.
    pub(super) const fn range_pause_us(&self) -> u64 {
        self.config.sync_delay_us.saturating_mul(2)
    }

    /// From where on whole rounds are missing.
    pub(super) fn first_missing_round(&self) -> Round {
        // After a jump to a later state there are no blocks yet, and the round runs before them.
        let first = self.proposer.round().previous().min(self.dag.highest_round());
        first.max(self.dag.floor().next())
    }

    pub(super) fn fetch_range(&mut self) {
        let Some((highest, source)) = self.far_ahead() else {
            return self.pursuit.rest();
        };
        let (first, pause) = (self.first_missing_round(), self.range_pause_us());
        for (to, message) in self.pursuit.requests(self.now, pause, first..=highest, source) {
            self.send(to, message);
        }
    }

    /// The highest round that others are in, and who said so, if it is far above the local one.
    pub(super) fn far_ahead(&self) -> Option<(Round, ValidatorIndex)> {
        let reach = self.proposer.round().plus(limits::ROUNDS_BEHIND);
        let [waiting, dropped] = [self.intake.highest_waiting(), self.pursuit.dropped()];
        waiting.max(dropped).filter(|(highest, _)| *highest >= reach)
    }

    /// Stalled, it says which its last block is: peers may have lost it with a connection. The
    /// block itself goes only to those who ask, or stalled validators would fill their own links.
    pub(super) fn resend(&mut self) {
        if self.now < self.next_resend {
            return;
        }
        self.next_resend = self.now.plus_us(self.config.resend_interval_us);
        let last = self.proposer.last();
        if self.dag.find(&last).is_some() {
            self.outputs.push_back(Output::Broadcast(Message::Latest(last)));
        }
    }

    /// A peer says which its newest block is.
    pub(super) fn note_latest(&mut self, from: ValidatorIndex, latest: BlockRef) {
        let slot = latest.slot();
        if slot.author != from || slot.round <= self.dag.floor() {
            return;
        }
        self.note_claim(from, slot.round);
        let horizon = self.dag.highest_round().plus(HORIZON_ROUNDS);
        if slot.round > horizon {
            return self.pursuit.note_dropped(slot.round, from, self.claimed_by_honest());
        }
        let is_held_back = || self.held_back.keys().any(|(_, held)| *held == latest);
        let is_here = self.dag.in_slot(slot).next().is_some()
            || self.intake.has_from(slot, from)
            || is_held_back();
        if !is_here {
            self.fetch.want(slot, from, self.now);
        }
    }

    pub(super) fn note_claim(&mut self, from: ValidatorIndex, round: Round) {
        self.pursuit.claim(from, round);
        if round <= self.reach() {
            return;
        }
        let Some(gap) = self.gap_beyond_reach() else {
            return self.pursuit.is_near();
        };
        let patience = self.config.resend_interval_us.saturating_mul(2);
        if self.pursuit.is_losing(self.now, gap, patience) {
            self.outputs.push_back(Output::Behind { round: self.reach() });
        }
    }

    /// A peer does not keep the rounds that it was asked for. One may lie.
    pub(super) fn note_gone(&mut self, from: ValidatorIndex, first: Round) {
        let weight = self.keys.committee().weight_of(self.pursuit.note_gone(from, first));
        if self.thresholds.contains_honest(weight) && self.gap_beyond_reach().is_some() {
            self.outputs.push_back(Output::Behind { round: self.reach() });
        }
    }

    /// Blocks of rounds up to this one are kept by all peers.
    fn reach(&self) -> Round {
        let near = self.config.gc_depth.saturating_add(RETENTION_ROUNDS / 2);
        self.proposer.round().plus(near)
    }

    /// How many rounds the others are ahead, if that is more than all peers keep.
    fn gap_beyond_reach(&self) -> Option<u64> {
        let honest = self.claimed_by_honest();
        let gap = honest.0.saturating_sub(self.proposer.round().0);
        (honest > self.reach()).then_some(gap)
    }

    /// The highest round that somebody honest claims to have reached.
    pub(super) fn claimed_by_honest(&self) -> Round {
        self.pursuit.claimed_by_honest(self.keys.committee(), self.thresholds)
    }
}
