//! Each distinct signed block is checked once on the host.
//!
//! A hundred validators check the same signature; the host does so once and every one of them
//! is charged for it. Two blocks are the same if everything that the check reads is equal, so a
//! hit gives what checking again would give.

use std::collections::VecDeque;
use std::sync::Arc;

use qcn_types::{BlockRef, CommitteeKeys, CompactBlock, VerifiedBlock, VerifyError};

/// How many rounds below the newest are remembered.
const ROUNDS_BELOW: u64 = 80;
/// How many rounds above the newest are remembered.
const ROUNDS_ABOVE: u64 = 300;
/// How many distinct blocks of one slot are remembered.
const MAX_PER_SLOT: usize = 8;

/// Outcomes by round and author.
#[derive(Debug)]
pub(crate) struct Memo {
    authors: usize,
    lowest: u64,
    newest: u64,
    rounds: VecDeque<Vec<Vec<Entry>>>,
    /// How often a check was spared.
    pub(crate) hits: u64,
    /// How often a check was made.
    pub(crate) misses: u64,
}

#[derive(Debug)]
struct Entry {
    compact: Arc<CompactBlock>,
    outcome: Result<VerifiedBlock, (VerifyError, Vec<BlockRef>)>,
}

impl Memo {
    pub(crate) const fn new(authors: usize) -> Self {
        Self { authors, lowest: 0, newest: 0, rounds: VecDeque::new(), hits: 0, misses: 0 }
    }

    /// Checks a block assembled with these parents, or remembers what checking it gave.
    pub(crate) fn verify(
        &mut self,
        keys: &CommitteeKeys,
        compact: &Arc<CompactBlock>,
        parents: Vec<BlockRef>,
    ) -> Result<VerifiedBlock, VerifyError> {
        let known = self
            .slot(compact)
            .and_then(|entries| entries.iter().find(|entry| entry.is_for(compact, &parents)))
            .map(Entry::outcome);
        if let Some(outcome) = known {
            self.hits += 1;
            return outcome;
        }
        self.misses += 1;
        let block = CompactBlock::clone(compact).with_parents(
            keys.chain(),
            keys.committee(),
            parents.clone(),
        );
        let outcome = keys.verify_block(block);
        let kept = outcome.clone().map_err(|error| (error, parents));
        self.keep(Entry { compact: Arc::clone(compact), outcome: kept });
        outcome
    }

    /// Remembers a block that its own author has just signed and checked.
    pub(crate) fn remember(&mut self, compact: Arc<CompactBlock>, block: &VerifiedBlock) {
        self.keep(Entry { compact, outcome: Ok(block.clone()) });
    }

    /// An honest validator has reached this round: forgets what lies far below.
    pub(crate) fn advance(&mut self, round: u64) {
        self.newest = self.newest.max(round);
        while self.lowest + ROUNDS_BELOW < self.newest {
            self.rounds.pop_front();
            self.lowest += 1;
        }
    }

    fn slot(&self, compact: &CompactBlock) -> Option<&Vec<Entry>> {
        let at = compact.round.0.checked_sub(self.lowest)?;
        self.rounds.get(usize::try_from(at).ok()?)?.get(compact.author.position())
    }

    fn keep(&mut self, entry: Entry) {
        let (round, author) = (entry.compact.round.0, entry.compact.author.position());
        if round < self.lowest || round > self.newest + ROUNDS_ABOVE || author >= self.authors {
            return;
        }
        let at = (round - self.lowest) as usize;
        while self.rounds.len() <= at {
            self.rounds.push_back(Vec::new());
        }
        let slots = &mut self.rounds[at];
        if slots.is_empty() {
            slots.resize_with(self.authors, Vec::new);
        }
        if slots[author].len() < MAX_PER_SLOT {
            slots[author].push(entry);
        }
    }
}

impl Entry {
    fn is_for(&self, compact: &Arc<CompactBlock>, parents: &[BlockRef]) -> bool {
        let known = &self.compact;
        let same = Arc::ptr_eq(known, compact)
            || (known.signature == compact.signature
                && known.round == compact.round
                && known.author == compact.author
                && known.time_ms == compact.time_ms
                && known.attestations == compact.attestations
                && known.payload == compact.payload);
        let known_parents = match &self.outcome {
            Ok(block) => block.body.parents.as_slice(),
            Err((_, parents)) => parents,
        };
        same && known_parents == parents
    }

    fn outcome(&self) -> Result<VerifiedBlock, VerifyError> {
        match &self.outcome {
            Ok(block) => Ok(block.clone()),
            Err((error, _)) => Err(error.clone()),
        }
    }
}

#[cfg(test)]
mod tests;
