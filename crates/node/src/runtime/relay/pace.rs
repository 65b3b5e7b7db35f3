//! When a relayer carries something.
//!
//! Every member of the destination is a relayer of a lane, and each has a rank. The first carries
//! at once; each of the others waits for as long as it takes the ones before it, and steps in only
//! where the lane does not move. So receipts are carried once as long as the first works, and
//! nobody can hold them back.
//!
//! Nothing here is part of the protocol: a destination applies each receipt once, whoever brings
//! it and however often.

use qcn_types::{LaneEnd, ValidatorIndex};

use super::super::envelope::{Expected, Lane};
use super::super::seats::Seats;

/// The least time between two deliveries by one relayer on one lane, in microseconds: every
/// delivery costs all validators of the destination a certificate.
const CARRY_INTERVAL_US: u64 = 100_000;
/// How long each relayer leaves a lane to the one before it, in microseconds.
const PATIENCE_US: u64 = 1_500_000;
/// Ranks above this wait no longer than it: with many seats the last would wait for minutes.
const MAX_PATIENT_RANK: u64 = 8;
/// How long a relayer that had to step in goes on as if it were the first, in microseconds.
const STANDS_IN_US: u64 = 10_000_000;
/// When what was carried and has not moved the lane is carried again, in microseconds.
const CARRIED_AGAIN_US: u64 = 1_000_000;

/// An acknowledgement that covers so many batches more makes a lane lag, as receipts do: the first
/// relayer brings it at half as many, and a lane that is never acknowledged fills up.
const LAGGING_BATCHES: u64 = 128;
/// Or so many receipts.
const LAGGING_RECEIPTS: u64 = 2_048;

/// The rank of a member of the destination: how many others go first.
///
/// Who sits in the source as well needs no network and goes before all others. Among each of the
/// two kinds the order begins at another member on each lane, so that no one carries everything.
pub(super) fn rank(
    lane: Lane,
    source: &Seats,
    destination: &Seats,
    own: ValidatorIndex,
) -> Option<u64> {
    let (mut both, mut others): (Vec<ValidatorIndex>, Vec<ValidatorIndex>) =
        destination.members().iter().partition(|member| source.seat(**member).is_some());
    let turn = lane.from.0.wrapping_mul(31).wrapping_add(lane.to.0.wrapping_mul(17)) as usize;
    for kind in [&mut both, &mut others] {
        let by = turn % kind.len().max(1);
        kind.rotate_left(by);
    }
    let place = both.iter().chain(&others).position(|member| *member == own);
    place.map(|place| place as u64)
}

/// Whether a lane has something that its destination does not expect to have.
pub(super) fn is_behind(end: &LaneEnd, expected: &Expected) -> bool {
    let (received, acknowledged) = (&end.received, &expected.acknowledged);
    end.sent.batches > expected.applied.batches
        || received.batches.saturating_sub(acknowledged.batches) >= LAGGING_BATCHES
        || received.receipts.saturating_sub(acknowledged.receipts) >= LAGGING_RECEIPTS
}

/// One relayer of one lane, as it remembers what it did. Times are in microseconds.
#[derive(Debug)]
pub(super) struct Pace {
    rank: u64,
    /// How far the lane was expected to be when it was last seen to lag, and since when.
    lags: Option<((u64, u64), u64)>,
    /// Nothing is carried before this time, unless the lane has moved.
    rests_until: u64,
    carried_at: u64,
    stands_in_until: u64,
}

impl Pace {
    pub(super) const fn new(rank: u64) -> Self {
        Self { rank, lags: None, rests_until: 0, carried_at: 0, stands_in_until: 0 }
    }

    /// Whether it carries something now, if there is something.
    pub(super) fn carries(&mut self, now: u64, expected: &Expected, is_behind: bool) -> bool {
        let at = (expected.applied.batches, expected.acknowledged.batches);
        let since = match self.lags.filter(|(lagged, _)| *lagged == at) {
            Some((_, since)) if is_behind => since,
            _ => {
                self.rests_until = self.rests_until.min(self.carried_at + CARRY_INTERVAL_US);
                now
            }
        };
        self.lags = is_behind.then_some((at, since));
        now >= since + self.patience(now) && now >= self.rests_until
    }

    /// It has carried something.
    pub(super) fn carried(&mut self, now: u64) {
        self.rests_until = now + CARRIED_AGAIN_US;
        self.carried_at = now;
        if self.patience(now) > 0 {
            self.stands_in_until = now + STANDS_IN_US;
        }
    }

    /// Whether it goes first on its lane, or as if it did.
    pub(super) const fn is_first(&self, now: u64) -> bool {
        self.patience(now) == 0
    }

    /// Whether it would carry something that is there, for all it knows.
    pub(super) const fn is_ready(&self, now: u64) -> bool {
        self.is_first(now) && now >= self.rests_until
    }

    /// When it may carry again, at the earliest.
    pub(super) const fn rests_until(&self) -> u64 {
        self.rests_until
    }

    const fn patience(&self, now: u64) -> u64 {
        let rank = if self.rank < MAX_PATIENT_RANK { self.rank } else { MAX_PATIENT_RANK };
        if now < self.stands_in_until { 0 } else { rank * PATIENCE_US }
    }
}

#[cfg(test)]
mod tests;
