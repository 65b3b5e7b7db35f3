//! When a relayer carries something from one shard to another, and how long newcomers have before
//! a shard's epoch ends (DESIGN section 7).
//!
//! The relayers of a lane have a rank each. The first carries at once; each of the others waits for
//! as long as it takes the ones before it, and steps in only where the lane does not move. So
//! receipts are carried once as long as the first works, and nobody can hold them back.
//!
//! Nothing here is part of the protocol: a destination applies each receipt once, whoever brings
//! it and however often. All times are in microseconds since anything, as long as it is the same.

use borsh::{BorshDeserialize, BorshSerialize};
use qcn_types::{LaneEnd, LaneHead, ShardId};

/// The least time between two deliveries by one relayer on one lane for each seat that all sources of
/// the destination have together, in microseconds. Every delivery costs all validators of the
/// destination a certificate, with the signatures of two thirds of a source's seats or more: some 15
/// us and 750 bytes each. So what all lanes bring takes some 2% of a core and 700 kB/s at most, until
/// the sources have more than 133 seats; from there on it grows with them.
const CARRY_INTERVAL_PER_SEAT_US: u64 = 750;
/// The most that this comes to, in microseconds.
const MAX_CARRY_INTERVAL_US: u64 = 100_000;
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

/// Which part of an epoch's length newcomers have.
const LEAD_PART: u64 = 20;
/// And the most that they have, in microseconds.
const MAX_LEAD_US: u64 = 30_000_000;

/// How long after the beacon's announcement a validator hands it to its shards: whoever gets a seat
/// fetches their state in the meantime. Any member may end the epoch sooner, and does no harm but
/// that newcomers still fetch while the shard waits.
#[must_use]
pub fn lead_us(epoch_us: u64) -> u64 {
    (epoch_us / LEAD_PART).min(MAX_LEAD_US)
}

/// How far a destination expects a lane to be, once the blocks in its DAG are executed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, BorshSerialize, BorshDeserialize)]
pub struct Expected {
    /// What will be applied of it.
    pub applied: LaneHead,
    /// What will be known to be acknowledged of the lane back.
    pub acknowledged: LaneHead,
}

impl Expected {
    /// The numbers of batches, by which a lane is seen to move.
    const fn place(&self) -> (u64, u64) {
        (self.applied.batches, self.acknowledged.batches)
    }
}

/// The rank of a member of the destination: how many others go first on the lane between two
/// shards.
///
/// Who sits in the source as well needs no network and goes before all others. Among each of the
/// two kinds the order begins at another member on each lane, so that no one carries everything.
#[must_use]
pub fn rank<Member: Copy + PartialEq>(
    [from, to]: [ShardId; 2],
    destination: &[Member],
    sits_in_source: impl Fn(Member) -> bool,
    own: Member,
) -> Option<u64> {
    let (mut both, mut others): (Vec<Member>, Vec<Member>) =
        destination.iter().partition(|member| sits_in_source(**member));
    let turn = from.0.wrapping_mul(31).wrapping_add(to.0.wrapping_mul(17)) as usize;
    for kind in [&mut both, &mut others] {
        let by = turn % kind.len().max(1);
        kind.rotate_left(by);
    }
    let place = both.iter().chain(&others).position(|member| *member == own);
    place.map(|place| place as u64)
}

/// Whether a lane has something that its destination does not expect to have.
#[must_use]
pub fn is_behind(end: &LaneEnd, expected: &Expected) -> bool {
    let (received, acknowledged) = (&end.received, &expected.acknowledged);
    end.sent.batches > expected.applied.batches
        || received.batches.saturating_sub(acknowledged.batches) >= LAGGING_BATCHES
        || received.receipts.saturating_sub(acknowledged.receipts) >= LAGGING_RECEIPTS
}

/// That a lane stands where there is something to carry.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Lag {
    since: u64,
    /// How many batches were expected to be applied and acknowledged.
    place: (u64, u64),
}

impl Lag {
    /// Whether the lane still stands there.
    #[must_use]
    pub fn goes_on(&self, expected: &Expected) -> bool {
        self.place == expected.place()
    }
}

/// One relayer of one lane, as it remembers what it did.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    rank: u64,
    /// The least time between two deliveries, in microseconds.
    interval_us: u64,
    /// Since when the lane has lagged, when it was last looked at.
    lag: Option<Lag>,
    /// Nothing is carried before this time, unless the lane has moved.
    rests_until: u64,
    carried_at: u64,
    stands_in_until: u64,
}

impl Pace {
    /// A relayer that so many others go before, and that has not looked at its lane yet. All sources
    /// of its destination have so many seats together.
    #[must_use]
    pub fn new(rank: u64, seats: usize) -> Self {
        let interval_us = CARRY_INTERVAL_PER_SEAT_US.saturating_mul(seats as u64);
        let interval_us = interval_us.min(MAX_CARRY_INTERVAL_US);
        Self { rank, interval_us, lag: None, rests_until: 0, carried_at: 0, stands_in_until: 0 }
    }

    /// The same of a lane that somebody else has seen to lag: an epoch may be shorter than
    /// everybody's patience.
    #[must_use]
    pub const fn with_lag(self, lag: Option<Lag>) -> Self {
        Self { lag, ..self }
    }

    /// What whoever relays next on this lane should know of it.
    #[must_use]
    pub const fn lag(&self) -> Option<Lag> {
        self.lag
    }

    /// Whether it carries something now, if there is something.
    pub fn carries(&mut self, now: u64, expected: &Expected, is_behind: bool) -> bool {
        let since = match self.lag.filter(|lag| lag.goes_on(expected)) {
            Some(lag) if is_behind => lag.since,
            _ => {
                self.rests_until = self.rests_until.min(self.carried_at + self.interval_us);
                now
            }
        };
        self.lag = is_behind.then_some(Lag { since, place: expected.place() });
        now >= since + self.patience(now) && now >= self.rests_until
    }

    /// It has carried something.
    pub fn carried(&mut self, now: u64) {
        self.rests_until = now + CARRIED_AGAIN_US;
        self.carried_at = now;
        if self.patience(now) > 0 {
            self.stands_in_until = now + STANDS_IN_US;
        }
    }

    /// Whether it goes first on its lane, or as if it did.
    #[must_use]
    pub const fn is_first(&self, now: u64) -> bool {
        self.patience(now) == 0
    }

    /// Whether it would carry something that is there, for all it knows.
    #[must_use]
    pub const fn is_ready(&self, now: u64) -> bool {
        self.is_first(now) && now >= self.rests_until
    }

    /// The least time between two deliveries, in microseconds.
    #[must_use]
    pub const fn interval_us(&self) -> u64 {
        self.interval_us
    }

    /// When it may carry again, at the earliest.
    #[must_use]
    pub const fn rests_until(&self) -> u64 {
        self.rests_until
    }

    const fn patience(&self, now: u64) -> u64 {
        let rank = if self.rank < MAX_PATIENT_RANK { self.rank } else { MAX_PATIENT_RANK };
        if now < self.stands_in_until { 0 } else { rank * PATIENCE_US }
    }
}

#[cfg(test)]
mod tests;
