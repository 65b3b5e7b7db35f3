//! State sync, the receiving side: a ledger out of chunks from peers that may lie.

use std::collections::{BTreeMap, BTreeSet};

use qcn_crypto::{ChainId, Digest};

use crate::chunks::{StateChunk, StateRegion};
use crate::lanes::Territory;
use crate::ledger::{AuditError, Ledger};
use crate::tree::{Link, StateTree};

/// Why a chunk was not taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ChunkError {
    /// It is no part of the state with this root: its sender lies.
    #[error("the chunk is no part of the state with this root")]
    WrongRoot,
    /// It is part of the state, and not of the region that was asked for.
    #[error("the chunk lies elsewhere in the state")]
    Elsewhere,
    /// All of it is there already: somebody else was faster.
    #[error("the chunk is there already")]
    Duplicate,
}

/// Records of some other state, such as an earlier one: what of it the wanted state has as well
/// need not be fetched. Clones share all records.
#[derive(Clone, Default, Debug)]
pub struct Known {
    tree: StateTree,
    /// Regions of which nothing is known: what lies beside them may well be.
    gaps: BTreeSet<StateRegion>,
}

impl Known {
    /// The records of a whole state.
    #[must_use]
    pub fn of(ledger: &Ledger) -> Self {
        Self { tree: ledger.tree.clone(), gaps: BTreeSet::new() }
    }

    /// The records of both; where both have one, the other's.
    #[must_use]
    pub fn and(self, other: Self) -> Self {
        Self { tree: self.tree.union(other.tree), gaps: other.gaps }
    }
}

/// Why there is no ledger at the end.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum RestoreError {
    /// Parts of the state have not arrived.
    #[error("{regions} regions of the state are missing: ask for them")]
    Incomplete {
        /// How many regions.
        regions: usize,
    },
    /// The state under the root is not one that a ledger makes.
    #[error("the state under this root contradicts itself: {0}")]
    Contradiction(#[from] AuditError),
}

/// A state on its way, known by the root that a certificate commits to.
///
/// Chunks may come in any order, from any peer, and are checked one by one. The way to each
/// tells which regions lie beside it: what is missing is known without trusting anybody, and
/// becomes finer as chunks arrive.
///
/// Its hash tells of each region beside the way whether its records are [`Known`]. Then they are
/// taken from there, so a state that differs little from a known one is soon complete.
///
/// Regions sort by where they begin, the larger first. They are disjoint, so the only one
/// that can cover another is the last that does not sort after it, and those that another
/// covers stand together from it on.
#[derive(Clone, Debug)]
pub struct Restore {
    chain: ChainId,
    territory: Territory,
    root: Digest,
    /// Disjoint regions with all of their records.
    held: BTreeMap<StateRegion, Link>,
    /// Disjoint regions with records that have not arrived; with `held`, the whole state.
    missing: BTreeSet<StateRegion>,
    known: Known,
}

impl Restore {
    /// Begins with nothing but the root.
    #[must_use]
    pub fn new(chain: ChainId, territory: Territory, state_root: Digest) -> Self {
        Self::with_known(chain, territory, state_root, Known::default())
    }

    /// Begins with records that may be part of the state.
    #[must_use]
    pub fn with_known(
        chain: ChainId,
        territory: Territory,
        state_root: Digest,
        known: Known,
    ) -> Self {
        let (held, missing) = (BTreeMap::new(), BTreeSet::new());
        let mut restore = Self { chain, territory, root: state_root, held, missing, known };
        restore.lies_beside(StateRegion::WHOLE, state_root);
        restore
    }

    /// Takes a chunk that is part of the state.
    ///
    /// # Errors
    /// [`ChunkError`]; nothing has changed then.
    pub fn accept(&mut self, chunk: &StateChunk) -> Result<(), ChunkError> {
        self.accept_in(&StateRegion::WHOLE, chunk)
    }

    /// Takes the answer of a peer that was asked for a region: the first chunk of it, or the one
    /// that it lies in.
    ///
    /// # Errors
    /// [`ChunkError`]; nothing has changed then. A peer that answers what it was asked may still
    /// send a [`ChunkError::Duplicate`], and nothing else of them.
    pub fn accept_in(&mut self, asked: &StateRegion, chunk: &StateChunk) -> Result<(), ChunkError> {
        let checked = chunk.check(&self.root).ok_or(ChunkError::WrongRoot)?;
        let region = checked.region;
        if !asked.covers(&region) && !region.covers(asked) {
            return Err(ChunkError::Elsewhere);
        }
        if self.held.range(..=region).next_back().is_some_and(|(held, _)| held.covers(&region)) {
            return Err(ChunkError::Duplicate);
        }
        // A peer may have cut finer than it should have; the larger piece replaces its pieces.
        let held = self.held.range(region..).map(|(inside, _)| *inside);
        for inside in held.take_while(|inside| region.covers(inside)).collect::<Vec<_>>() {
            self.held.remove(&inside);
        }
        let missing = self.missing.range(region..).copied();
        for inside in missing.take_while(|inside| region.covers(inside)).collect::<Vec<_>>() {
            self.missing.remove(&inside);
        }
        let before = self.missing.range(..=region).next_back().copied();
        if let Some(around) = before.filter(|before| before.covers(&region)) {
            self.missing.remove(&around);
            for (beside, hash) in checked.beside {
                if around.covers(&beside) {
                    self.lies_beside(beside, hash);
                }
            }
        }
        self.held.insert(region, checked.link);
        self.known.gaps.remove(asked);
        Ok(())
    }

    /// A region of which nothing is held has this hash.
    fn lies_beside(&mut self, region: StateRegion, hash: Digest) {
        match self.known.tree.subtree(&region).filter(|link| link.hash() == hash) {
            Some(link) => {
                self.held.insert(region, link);
            }
            None => {
                self.missing.insert(region);
            }
        }
    }

    /// Gives up, with what is known by now.
    #[must_use]
    pub fn give_up(self) -> Known {
        let parts: Vec<(StateRegion, Link)> = self.held.into_iter().collect();
        self.known.and(Known { tree: StateTree::of_parts(parts), gaps: self.missing })
    }

    /// What to ask peers for: regions with records that have not arrived, in order.
    #[must_use]
    pub const fn missing(&self) -> &BTreeSet<StateRegion> {
        &self.missing
    }

    /// A region to ask a peer for that nobody was asked for. Where all but some gaps may be known,
    /// it is one of these: the way to it tells what lies beside it.
    pub fn to_ask(&self, is_asked: impl Fn(&StateRegion) -> bool) -> Option<StateRegion> {
        self.missing.iter().find_map(|region| {
            let gaps = self.known.gaps.range(region..).take_while(|gap| region.covers(gap));
            let mut gaps = gaps.peekable();
            if gaps.peek().is_some() {
                return gaps.find(|gap| !is_asked(gap)).copied();
            }
            (!is_asked(region)).then_some(*region)
        })
    }

    /// Asks for whole regions again: a gap of another state may have no records in this one, and
    /// then nobody can answer.
    pub fn forget_gaps(&mut self) {
        self.known.gaps.clear();
    }

    /// Whether everything has arrived.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.missing.is_empty()
    }

    /// The ledger, once everything has arrived.
    ///
    /// # Errors
    /// [`RestoreError`]: something is missing, or the certified state contradicts itself.
    ///
    /// # Panics
    /// If the parts do not make up the root although each was checked against it.
    pub fn finish(self) -> Result<Ledger, RestoreError> {
        if !self.is_complete() {
            return Err(RestoreError::Incomplete { regions: self.missing.len() });
        }
        let parts: Vec<(StateRegion, Link)> = self.held.into_iter().collect();
        let tree = StateTree::from_link(join(0, &parts));
        assert_eq!(tree.root(), self.root, "checked parts make up the whole");
        Ok(Ledger::over(self.chain, self.territory, tree)?)
    }
}

/// The subtree at `depth` over complete parts in order.
fn join(depth: u16, parts: &[(StateRegion, Link)]) -> Option<Link> {
    let ((first, link), (last, _)) = (parts.first()?, parts.last()?);
    if parts.len() == 1 {
        return Some(link.clone());
    }
    let bit = first.shared_bits(last);
    let (left, right) = parts.split_at(parts.partition_point(|(region, _)| !region.bit(bit)));
    Some(Link::join(depth, bit, join(bit + 1, left)?, join(bit + 1, right)?))
}

#[cfg(test)]
mod tests;
