//! How far the others are, and whole rounds to ask for when that is far ahead (DESIGN section 5.5).
//!
//! Fetching parents one round at a time would take a round trip for each, and blocks beyond the
//! horizon are not even kept until their parents come.

use std::ops::RangeInclusive;

use qcn_types::{AuthorSet, Round, Time, ValidatorIndex};

use crate::Message;

/// Blocks asked for at once, about: several round trips' worth, well within a peer's budget.
const BLOCKS_PER_REQUEST: u16 = 400;

/// What one validator knows of the others' rounds.
#[derive(Debug)]
pub struct Pursuit {
    /// The highest round of blocks that came from their own authors.
    claimed: Vec<Round>,
    /// The highest block that was dropped because it is too far ahead, and who sent it.
    dropped: Option<(Round, ValidatorIndex)>,
    next_request: Time,
    reported: Time,
}

impl Pursuit {
    /// Nobody is ahead.
    #[must_use]
    pub fn new(members: usize, now: Time) -> Self {
        Self {
            claimed: vec![Round::GENESIS; members],
            dropped: None,
            next_request: now,
            reported: Time::ZERO,
        }
    }

    /// A block of this round came from its author.
    pub fn claim(&mut self, author: ValidatorIndex, round: Round) {
        let claimed = &mut self.claimed[author.position()];
        *claimed = (*claimed).max(round);
    }

    /// Whose blocks of rounds above have come.
    #[must_use]
    pub fn claimants_above(&self, round: Round) -> AuthorSet {
        let authors = (0..self.claimed.len() as u16).map(ValidatorIndex);
        authors.filter(|author| self.claimed[author.position()] > round).collect()
    }

    /// A block was dropped as too far ahead. That counts only if somebody honest is as far.
    pub fn note_dropped(&mut self, round: Round, from: ValidatorIndex, honest: bool) {
        if honest && self.dropped.is_none_or(|(highest, _)| highest < round) {
            self.dropped = Some((round, from));
        }
    }

    /// The highest block that was dropped, and who sent it.
    #[must_use]
    pub const fn dropped(&self) -> Option<(Round, ValidatorIndex)> {
        self.dropped
    }

    /// When whole rounds may be asked for again.
    #[must_use]
    pub const fn next_request(&self) -> Time {
        self.next_request
    }

    /// Asks two peers for the next rounds, unless it did so a moment ago.
    pub fn requests(
        &mut self,
        now: Time,
        pause_us: u64,
        rounds: RangeInclusive<Round>,
        source: ValidatorIndex,
    ) -> Vec<(ValidatorIndex, Message)> {
        if now < self.next_request {
            return Vec::new();
        }
        self.next_request = now.plus_us(pause_us);
        let members = self.claimed.len().max(1) as u16;
        let count = (BLOCKS_PER_REQUEST / members).clamp(8, 32);
        let other = ValidatorIndex((source.0 + 1) % members);
        let first = *rounds.start();
        [(source, first), (other, first.plus(u64::from(count)))]
            .into_iter()
            .filter(|(_, first)| rounds.contains(first))
            .map(|(to, first)| (to, Message::RequestRounds { first, count }))
            .collect()
    }

    /// Whether to say now that the others are out of reach: not more often than every pause.
    pub fn reports(&mut self, now: Time, pause_us: u64) -> bool {
        let due = now >= self.reported.plus_us(pause_us);
        if due {
            self.reported = now;
        }
        due
    }
}

#[cfg(test)]
mod tests;
