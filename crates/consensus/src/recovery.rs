//! Coming up without knowing what was signed (DESIGN section 5.3).
//!
//! A validator whose log may have lost something asks the committee for each member's newest
//! own block. An answer counts once the named block is accepted here (or is below the floor),
//! so a liar cannot name a round that never was. With answers of a quorum, it signs again two
//! rounds above the highest.

use std::collections::BTreeMap;

use qcn_types::{AuthorSet, BlockRef, Committee, Round, Time, ValidatorIndex};

use crate::dag::Dag;
use crate::rules::{Thresholds, first_round_after_loss};

/// A recovery under way.
#[derive(Clone, Debug)]
pub struct Recovery {
    nonce: u64,
    answers: BTreeMap<ValidatorIndex, BlockRef>,
    next_ask: Time,
}

impl Recovery {
    /// Begins a recovery; answers must repeat `nonce`.
    #[must_use]
    pub const fn new(nonce: u64) -> Self {
        Self { nonce, answers: BTreeMap::new(), next_ask: Time::ZERO }
    }

    /// What to ask with.
    #[must_use]
    pub const fn nonce(&self) -> u64 {
        self.nonce
    }

    /// Whether to ask now, and when to look again.
    pub fn ask(&mut self, now: Time, pause_us: u64) -> bool {
        if now < self.next_ask {
            return false;
        }
        self.next_ask = now.plus_us(pause_us);
        true
    }

    /// When to ask again.
    #[must_use]
    pub const fn next_ask(&self) -> Time {
        self.next_ask
    }

    /// Takes an answer; says which block must be here for it to count.
    pub fn answer(
        &mut self,
        from: ValidatorIndex,
        nonce: u64,
        latest: BlockRef,
    ) -> Option<BlockRef> {
        if nonce != self.nonce || latest.author != from {
            return None;
        }
        let known = self.answers.entry(from).or_insert(latest);
        if known.round < latest.round {
            *known = latest;
        }
        Some(*known)
    }

    /// The first round that may be signed, once answers of a quorum are checked.
    #[must_use]
    pub fn resume_at<B>(
        &self,
        dag: &Dag<B>,
        committee: &Committee,
        thresholds: Thresholds,
    ) -> Option<Round> {
        let checked = self
            .answers
            .iter()
            .filter(|(_, latest)| latest.round <= dag.floor() || dag.find(latest).is_some());
        let mut authors = AuthorSet::EMPTY;
        let mut highest = Round::GENESIS;
        for (author, latest) in checked {
            authors.insert(*author);
            highest = highest.max(latest.round);
        }
        let enough = thresholds.is_quorum(committee.weight_of(&authors));
        enough.then(|| first_round_after_loss(highest))
    }
}

#[cfg(test)]
mod tests;
