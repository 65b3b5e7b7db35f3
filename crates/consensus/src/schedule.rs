//! Who leads which round (DESIGN section 5.4).
//!
//! Leaders are drawn from the epoch seed so that the chance of a validator to hold one of the
//! slots of a round is exactly proportional to its odds (systematic sampling: Madow 1949), up to
//! certainty. Odds are the weight, lowered for validators whose blocks come too late to be voted
//! for or whose leader slots were skipped, and zero for isolated ones.
//!
//! A round has as many slots as there are validators with full odds, up to `leaders_per_round`:
//! a slot more would go to somebody who is late, and a slot that is neither committed nor skipped
//! by the next two rounds holds up all slots behind it for three more. Validators of more than
//! half of the weight keep full odds, whatever the others' blocks reference.
//!
//! **Invariant**: the schedule is a function of the commits so far. Odds change when a window of
//! `interval` commits closes, at a commit that is the last of its round, and nothing of the
//! counting outlives it; so a validator that resumes there needs only [`ScheduleState`].

use std::collections::BTreeMap;
use std::sync::Arc;

use borsh::{BorshDeserialize, BorshSerialize};
use qcn_crypto::{Digest, Domain, SeededRandomness, hash};
use qcn_types::{
    AuthorSet, BlockRef, Bounded, Committee, MAX_MEMBERS, Round, Slot, ValidatorIndex, encode,
};

/// The multiplier of a validator that lost no odds.
const FULL: u16 = 1_024;
/// The least multiplier: a slow validator still leads now and then. It must be seldom enough
/// that when nearly everyone with full odds leads, the last slots do not go to the slow ones.
const FLOOR: u16 = 1;
/// Odds are divided or multiplied by this at one adjustment.
const STEP: u16 = 4;

/// What the schedule is after a commit, besides the seed and the committee.
#[derive(Clone, PartialEq, Eq, Debug, Default, BorshSerialize, BorshDeserialize)]
pub struct ScheduleState {
    /// Parts of 1024 of the weight that count as odds, by member.
    multipliers: Bounded<u16, MAX_MEMBERS>,
    /// Members that committed evidence isolated.
    isolated: AuthorSet,
}

impl ScheduleState {
    /// The digest that commit records carry.
    #[must_use]
    pub fn digest(&self) -> Digest {
        hash(Domain::LeaderSchedule, &encode(self))
    }

    /// Whether the state can be one of a committee of `members`.
    #[must_use]
    pub fn fits(&self, members: usize) -> bool {
        self.multipliers.len() == members
            && self.multipliers.iter().all(|multiplier| (FLOOR..=FULL).contains(multiplier))
            && self.isolated.iter().all(|author| author.position() < members)
    }
}

/// What the end of a commit means for the schedule.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum WindowEnd {
    /// The window goes on.
    Open,
    /// It closed, and the odds stay.
    Unchanged,
    /// It closed, and the odds of higher rounds are others now.
    Adjusted,
}

/// What the commits since the last adjustment showed.
#[derive(Clone, Debug, Default)]
struct Window {
    /// The leader round of the commit that closed the window before.
    opened_at: Round,
    commits: u64,
    /// For each round the weight of sequenced blocks of the next round that reference each
    /// author's block.
    support: BTreeMap<Round, Vec<u64>>,
    led: Vec<u32>,
    skipped: Vec<u32>,
}

/// The schedule of one epoch.
#[derive(Clone, Debug)]
pub struct Schedule {
    committee: Arc<Committee>,
    seed: Digest,
    leaders_per_round: u16,
    interval_commits: u64,
    multipliers: Vec<u16>,
    isolated: AuthorSet,
    digest: Digest,
    window: Window,
}

impl Schedule {
    /// The schedule at the start of an epoch: odds are weights.
    #[must_use]
    pub fn new(
        committee: Arc<Committee>,
        seed: Digest,
        leaders_per_round: u16,
        interval_commits: u64,
    ) -> Self {
        let members = committee.len();
        let mut schedule = Self {
            committee,
            seed,
            leaders_per_round,
            interval_commits,
            multipliers: vec![FULL; members],
            isolated: AuthorSet::EMPTY,
            digest: Digest::ZERO,
            window: Window::default(),
        };
        schedule.open_window(Round::GENESIS);
        schedule.digest = schedule.state().digest();
        schedule
    }

    /// Takes over the state after a commit that closed a window.
    pub fn restore(&mut self, state: &ScheduleState, leader_round: Round) {
        self.multipliers = state.multipliers.to_vec();
        self.isolated = state.isolated;
        self.digest = state.digest();
        self.open_window(leader_round);
    }

    /// The present state.
    #[must_use]
    pub fn state(&self) -> ScheduleState {
        ScheduleState {
            multipliers: Bounded::truncated(self.multipliers.clone()),
            isolated: self.isolated,
        }
    }

    /// The digest of [`Self::state`].
    #[must_use]
    pub const fn digest(&self) -> Digest {
        self.digest
    }

    /// Who is isolated.
    #[must_use]
    pub const fn isolated(&self) -> &AuthorSet {
        &self.isolated
    }

    /// The leaders of a round, in the order of their slots.
    #[must_use]
    pub fn leaders(&self, round: Round) -> Vec<ValidatorIndex> {
        let seed = hash(Domain::LeaderSchedule, &encode(&(self.seed, round)));
        let mut randomness = SeededRandomness::from_seed(&seed.0);
        let mut order: Vec<(ValidatorIndex, u128)> = self
            .committee
            .indices()
            .map(|author| (author, self.odds(author)))
            .filter(|(_, odds)| *odds > 0)
            .collect();
        for last in (1..order.len()).rev() {
            order.swap(last, randomness.below(last as u64 + 1) as usize);
        }
        draw(&order, self.slots(), &mut randomness)
    }

    /// How many slots a round has: one for each member with full odds, up to the limit.
    fn slots(&self) -> usize {
        let full = self.committee.indices().filter(|author| self.has_full_odds(*author));
        full.count().clamp(1, usize::from(self.leaders_per_round).max(1))
    }

    fn has_full_odds(&self, author: ValidatorIndex) -> bool {
        self.multipliers.get(author.position()) == Some(&FULL) && !self.isolated.contains(author)
    }

    /// The share of a validator in the odds, as (its odds, all odds).
    #[must_use]
    pub fn odds_share(&self, author: ValidatorIndex) -> (u128, u128) {
        (self.odds(author), self.committee.indices().map(|author| self.odds(author)).sum())
    }

    fn odds(&self, author: ValidatorIndex) -> u128 {
        if self.isolated.contains(author) {
            return 0;
        }
        let multiplier = self.multipliers.get(author.position()).copied().unwrap_or(0);
        u128::from(self.committee.weight(author)) * u128::from(multiplier)
    }

    /// Notes a sequenced block and its parents.
    pub fn note_block(&mut self, slot: Slot, parents: &[BlockRef]) {
        let members = self.committee.len();
        let weight = self.committee.weight(slot.author);
        let round = slot.round.previous();
        let support = self.window.support.entry(round).or_insert_with(|| vec![0; members]);
        for parent in parents.iter().filter(|parent| parent.round == round) {
            if let Some(supported) = support.get_mut(parent.author.position()) {
                *supported = supported.saturating_add(weight);
            }
        }
    }

    /// Notes how a leader slot was decided.
    pub fn note_decision(&mut self, slot: Slot, committed: bool) {
        let position = slot.author.position();
        if let Some(led) = self.window.led.get_mut(position) {
            *led += 1;
            self.window.skipped[position] += u32::from(!committed);
        }
    }

    /// Takes all odds from a validator; says whether it had any.
    pub fn isolate(&mut self, author: ValidatorIndex) -> bool {
        let new = self.committee.contains(author) && self.isolated.insert(author);
        if new {
            self.digest = self.state().digest();
        }
        new
    }

    /// Ends a commit, the last of its round if `closes_round`.
    pub fn end_commit(&mut self, leader_round: Round, closes_round: bool) -> WindowEnd {
        self.window.commits += 1;
        if self.window.commits < self.interval_commits || !closes_round {
            return WindowEnd::Open;
        }
        let before = self.multipliers.clone();
        self.adjust(leader_round);
        self.open_window(leader_round);
        if before == self.multipliers {
            return WindowEnd::Unchanged;
        }
        self.digest = self.state().digest();
        WindowEnd::Adjusted
    }

    /// Lowers the odds of who was late or skipped, raises those of who is in time again.
    fn adjust(&mut self, leader_round: Round) {
        let quorum = self.committee.quorum_weight();
        // The support of the newest rounds is still coming in.
        let judged = self.window.opened_at.next()..=leader_round.minus(3);
        if judged.is_empty() {
            return;
        }
        let mut timely = vec![0_u64; self.multipliers.len()];
        let mut rounds = 0;
        for (_, support) in self.window.support.range(judged) {
            rounds += 1;
            for (timely, supported) in timely.iter_mut().zip(support) {
                *timely += u64::from(*supported >= quorum);
            }
        }
        for (position, multiplier) in self.multipliers.iter_mut().enumerate() {
            let skips_much = self.window.skipped[position] * 8 > self.window.led[position];
            let often_late = timely[position] * 8 < rounds * 7;
            let always_in_time = timely[position] * 16 >= rounds * 15;
            if skips_much || often_late {
                *multiplier = (*multiplier / STEP).max(FLOOR);
            } else if always_in_time {
                *multiplier = multiplier.saturating_mul(STEP).min(FULL);
            }
        }
        self.keep_majority_at_full_odds(&timely);
    }

    /// Gives back all odds to those who were in time most often, until members of more than half
    /// of the weight have full odds.
    ///
    /// Without this, f of the weight that withholds its references could make nearly every honest
    /// block look late, and keep the leader slots to itself. With it more than a sixth of the
    /// weight has full odds and is honest, so a third of the slots go to honest leaders.
    fn keep_majority_at_full_odds(&mut self, timely: &[u64]) {
        let mut full: u64 = self
            .committee
            .indices()
            .filter(|author| self.has_full_odds(*author))
            .map(|author| self.committee.weight(author))
            .sum();
        let mut lowered: Vec<ValidatorIndex> = self
            .committee
            .indices()
            .filter(|author| !self.has_full_odds(*author) && !self.isolated.contains(*author))
            .collect();
        lowered.sort_by_key(|author| {
            let weight = self.committee.weight(*author);
            (timely[author.position()], weight, std::cmp::Reverse(*author))
        });
        while full <= self.committee.total_weight() / 2
            && let Some(author) = lowered.pop()
        {
            self.multipliers[author.position()] = FULL;
            full += self.committee.weight(author);
        }
    }

    fn open_window(&mut self, leader_round: Round) {
        let members = self.committee.len();
        self.window = Window {
            opened_at: leader_round,
            commits: 0,
            support: BTreeMap::new(),
            led: vec![0; members],
            skipped: vec![0; members],
        };
    }
}

/// Draws up to `count` of the members, each with a chance proportional to its odds, or with
/// certainty if its odds are above an equal share. The members come in random order.
fn draw(
    order: &[(ValidatorIndex, u128)],
    count: usize,
    randomness: &mut SeededRandomness,
) -> Vec<ValidatorIndex> {
    let mut certain = vec![false; order.len()];
    let mut places = count.min(order.len()) as u128;
    let mut rest: u128 = order.iter().map(|(_, odds)| odds).sum();
    loop {
        let newly = order
            .iter()
            .enumerate()
            .find(|(at, (_, odds))| !certain[*at] && places > 0 && odds * places >= rest);
        let Some((at, (_, odds))) = newly else {
            break;
        };
        certain[at] = true;
        rest -= odds;
        places -= 1;
    }
    let offset = if places == 0 { 0 } else { below(rest, randomness) };
    let mut drawn = Vec::with_capacity(count.min(order.len()));
    let mut passed = 0_u128;
    for (at, (author, odds)) in order.iter().enumerate() {
        if certain[at] {
            drawn.push(*author);
            continue;
        }
        // Ticks stand at offset, offset + rest, offset + 2 rest, ... on the line of odds * places.
        let before = ticks_below(passed * places, offset, rest);
        passed += odds;
        if ticks_below(passed * places, offset, rest) > before {
            drawn.push(*author);
        }
    }
    drawn
}

const fn ticks_below(position: u128, offset: u128, step: u128) -> u128 {
    if position > offset { (position - offset - 1) / step + 1 } else { 0 }
}

/// A number below `bound`, which is at most 2^70 here: a bias of 2^-58 decides nothing.
fn below(bound: u128, randomness: &mut SeededRandomness) -> u128 {
    let wide = u128::from(randomness.next_u64()) << 64 | u128::from(randomness.next_u64());
    wide % bound
}

#[cfg(test)]
mod tests;
