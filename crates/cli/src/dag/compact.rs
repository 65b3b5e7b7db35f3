//! Rounds renumbered without long gaps.
//!
//! The commit rule asks of two rounds only whether they are one apart, two apart, or three and
//! more. So a gap of more than three can be shortened to three: no decision changes, and a round
//! number of any size takes no room.

/// The longest distance that is kept between neighbouring rounds.
const LONGEST_GAP: u64 = 3;

/// The rounds in which anything is, in order.
#[derive(Debug)]
pub struct CompactRounds {
    rounds: Vec<u64>,
    numbers: Vec<u64>,
}

impl CompactRounds {
    /// Numbers these rounds, which may repeat and come in any order.
    pub fn new(rounds: impl Iterator<Item = u64>) -> Self {
        let mut rounds: Vec<u64> = rounds.chain([0]).collect();
        rounds.sort_unstable();
        rounds.dedup();
        let mut number = 0;
        let mut before = 0;
        let numbers = rounds.iter().map(|round| {
            number += (round - before).min(LONGEST_GAP);
            before = *round;
            number
        });
        let numbers = numbers.collect();
        Self { rounds, numbers }
    }

    /// The number of a round that was given.
    pub fn number(&self, round: u64) -> u64 {
        let at = self.rounds.partition_point(|known| *known < round);
        self.numbers.get(at).copied().unwrap_or(u64::MAX)
    }

    /// The highest number.
    pub fn highest(&self) -> u64 {
        self.numbers.last().copied().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests;
