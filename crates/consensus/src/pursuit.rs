//! How far the others are, and whole rounds to ask for when that is far ahead (DESIGN section 5.5).
//!
//! Fetching parents one round at a time would take a round trip for each, and blocks beyond the
//! horizon are not even kept until their parents come.
//!
//! **Invariant**: what was asked for is not asked for again while its answer may be on its way.
//! The pause before the next attempt follows from how long the last answer took, so that requests
//! never come faster than the slowest link on the way can carry what they ask for.

use std::ops::RangeInclusive;

use qcn_types::{AuthorSet, Committee, Round, Time, ValidatorIndex};

use crate::Message;
use crate::rules::Thresholds;

/// Blocks asked for at once, about: several round trips' worth, well within a peer's budget.
const BLOCKS_PER_REQUEST: u16 = 400;
/// What the pause grows to while nothing comes, in microseconds: the network may have healed.
const MAX_SILENT_PAUSE_US: u64 = 2_000_000;
/// What the pause grows to when answers take that long, in microseconds.
const MAX_PAUSE_US: u64 = 10_000_000;
/// By at least one part in so many the gap shrinks within the patience, if blocks catch up.
const SHRINKS_BY: u64 = 8;

/// The newest request for whole rounds, and what came of it.
#[derive(Clone, Copy, Debug)]
struct Asked {
    /// Whom, for the first half and for the second.
    peers: [ValidatorIndex; 2],
    first: Round,
    /// How many rounds each.
    count: u16,
    /// The last round asked for.
    last: Round,
    /// The highest round that came from each.
    answered: [Option<Round>; 2],
    /// When, and how long to wait before the next attempt.
    at: Time,
    pause_us: u64,
}

impl Asked {
    /// The last round of the first half.
    const fn half(&self) -> Round {
        self.first.plus(self.count as u64 - 1)
    }

    /// The round that the answers reach without a gap, or are expected to. The last one may not
    /// be whole.
    fn end(&self) -> Round {
        match self.answered {
            [Some(reached), _] if reached < self.half() => reached,
            [_, Some(reached)] => reached,
            _ => self.last,
        }
        .previous()
    }

    /// Whether what was asked for is here, so far as it was answered. An answer that brought
    /// nothing is none.
    fn has_come(&self, first: Round) -> bool {
        first > self.first && first >= self.end()
    }

    /// How many rounds fit into an answer, if this one had not room for all.
    fn fitting(&self) -> Option<u16> {
        let reached = self.answered[0].filter(|reached| *reached < self.half())?;
        Some((reached.0.saturating_sub(self.first.0) as u16).max(1))
    }
}

/// What one validator knows of the others' rounds.
#[derive(Debug)]
pub struct Pursuit {
    own: ValidatorIndex,
    /// The highest round of blocks that came from their own authors.
    claimed: Vec<Round>,
    /// The highest block that was dropped because it is too far ahead, and who sent it.
    dropped: Option<(Round, ValidatorIndex)>,
    asked: Option<Asked>,
    /// Who says that the next rounds are no longer kept.
    gone: AuthorSet,
    /// While the others are out of reach: by how many rounds they were ahead, and when.
    gap: Option<(u64, Time)>,
}

impl Pursuit {
    /// Nobody is ahead.
    #[must_use]
    pub fn new(own: ValidatorIndex, members: usize) -> Self {
        let claimed = vec![Round::GENESIS; members];
        Self { own, claimed, dropped: None, asked: None, gone: AuthorSet::EMPTY, gap: None }
    }

    /// A block of this round came from its author.
    pub fn claim(&mut self, author: ValidatorIndex, round: Round) {
        let claimed = &mut self.claimed[author.position()];
        *claimed = (*claimed).max(round);
    }

    /// The highest round that an honest author claims to have reached.
    #[must_use]
    pub fn claimed_by_honest(&self, committee: &Committee, thresholds: Thresholds) -> Round {
        let mut claims: Vec<(Round, ValidatorIndex)> =
            self.claimed.iter().copied().zip((0..).map(ValidatorIndex)).collect();
        claims.sort_unstable_by(|a, b| b.cmp(a));
        let mut weight = 0;
        for (round, author) in claims {
            weight += committee.weight(author);
            if thresholds.contains_honest(weight) {
                return round;
            }
        }
        Round::GENESIS
    }

    /// A block was dropped as too far ahead. It counts as far as somebody honest claims to be.
    pub fn note_dropped(&mut self, round: Round, from: ValidatorIndex, honest: Round) {
        let round = round.min(honest);
        if self.dropped.is_none_or(|(highest, _)| highest < round) {
            self.dropped = Some((round, from));
        }
    }

    /// The highest block that was dropped, and who sent it.
    #[must_use]
    pub const fn dropped(&self) -> Option<(Round, ValidatorIndex)> {
        self.dropped
    }

    /// An answer came to a request for rounds from `first` on, with blocks up to `highest`.
    pub fn note_answer(&mut self, from: ValidatorIndex, first: Round, highest: Round) {
        let Some(asked) = &mut self.asked else {
            return;
        };
        let half = asked.half();
        let ranges = [asked.first..=half, half.next()..=asked.last];
        for (place, range) in ranges.iter().enumerate() {
            let is_it = asked.peers[place] == from && *range.start() == first;
            if is_it && range.contains(&highest) {
                let answered = &mut asked.answered[place];
                *answered = (*answered).max(Some(highest));
            }
        }
    }

    /// A peer does not keep what it was asked for any more. Gives back all who said so since the
    /// last rounds came.
    pub fn note_gone(&mut self, from: ValidatorIndex, first: Round) -> &AuthorSet {
        let asked = |asked: Asked| {
            let firsts = [asked.first, asked.half().next()];
            asked.peers.into_iter().zip(firsts).any(|pair| pair == (from, first))
        };
        if self.asked.is_some_and(asked) {
            self.gone.insert(from);
        }
        &self.gone
    }

    /// When whole rounds from `first` on may be asked for, at least a pause after the last time.
    #[must_use]
    pub fn next_request(&self, first: Round, pause_us: u64) -> Time {
        match &self.asked {
            None => Time::ZERO,
            Some(asked) if asked.has_come(first) || self.gone.contains(asked.peers[0]) => {
                asked.at.plus_us(pause_us)
            }
            Some(asked) => asked.at.plus_us(asked.pause_us),
        }
    }

    /// Asks two peers for the next rounds, unless their answers may still be on their way.
    pub fn requests(
        &mut self,
        now: Time,
        pause_us: u64,
        rounds: RangeInclusive<Round>,
        source: ValidatorIndex,
    ) -> Vec<(ValidatorIndex, Message)> {
        let first = *rounds.start();
        if now < self.next_request(first, pause_us) {
            return Vec::new();
        }
        let members = self.claimed.len().max(1) as u16;
        let most = (BLOCKS_PER_REQUEST / members).clamp(8, 32);
        let (to, pause_us, count) = match &self.asked {
            None => (source, pause_us, most),
            Some(asked) if asked.has_come(first) => {
                let taken = now.since_us(asked.at).saturating_mul(2);
                let pause_us = taken.clamp(pause_us, MAX_PAUSE_US);
                match asked.fitting() {
                    None => (asked.peers[0], pause_us, asked.count.saturating_mul(2).min(most)),
                    // Long blocks, or little said on purpose: then it is another one's turn.
                    Some(count) => (asked.peers[1], pause_us, count),
                }
            }
            Some(asked) if self.gone.contains(asked.peers[0]) => {
                (self.after(asked.peers[1]), pause_us, asked.count)
            }
            Some(asked) if first > asked.first => (asked.peers[1], asked.pause_us, asked.count),
            Some(asked) => {
                let longest = MAX_SILENT_PAUSE_US.max(asked.pause_us);
                (asked.peers[1], asked.pause_us.saturating_mul(2).min(longest), asked.count)
            }
        };
        if self.asked.is_some_and(|asked| first > asked.first) {
            self.gone = AuthorSet::EMPTY;
        }
        let to = if to == self.own { self.after(to) } else { to };
        let peers = [to, self.after(to)];
        let firsts = [first, first.plus(u64::from(count))];
        let last = firsts[1].plus(u64::from(count) - 1).min(*rounds.end());
        self.asked =
            Some(Asked { peers, first, count, last, answered: [None; 2], at: now, pause_us });
        peers
            .into_iter()
            .zip(firsts)
            .filter(|(_, first)| rounds.contains(first))
            .map(|(to, first)| (to, Message::RequestRounds { first, count }))
            .collect()
    }

    /// The next validator that is not this one.
    fn after(&self, peer: ValidatorIndex) -> ValidatorIndex {
        let members = self.claimed.len().max(1) as u32;
        let next =
            |peer: ValidatorIndex| ValidatorIndex(((u32::from(peer.0) + 1) % members) as u16);
        let peer = next(peer);
        if peer == self.own { next(peer) } else { peer }
    }

    /// The others are near: the next pursuit begins anew.
    pub fn rest(&mut self) {
        self.asked = None;
        self.gone = AuthorSet::EMPTY;
    }

    /// The others are so many rounds ahead that they may not keep the blocks in between. Says
    /// whether it is time to give up catching up by blocks: for the whole patience the gap has
    /// not shrunk by much. Says so once in a patience.
    pub fn is_losing(&mut self, now: Time, gap: u64, patience_us: u64) -> bool {
        match self.gap {
            Some((before, since)) if gap > before - before / SHRINKS_BY => {
                let due = now >= since.plus_us(patience_us);
                if due {
                    self.gap = Some((gap, now));
                }
                due
            }
            _ => {
                self.gap = Some((gap, now));
                false
            }
        }
    }

    /// The others are within reach.
    pub const fn is_near(&mut self) {
        self.gap = None;
    }
}

#[cfg(test)]
mod tests;
