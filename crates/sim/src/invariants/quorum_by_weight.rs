//! **Quorum by weight** (DESIGN section 5.2): what honest validators build on is backed by more
//! than two thirds of the weight, counted here anew from the blocks themselves.
//!
//! - an honest block of round r has parents of round r-1 that carry a quorum;
//! - a committed leader of round r is certified by blocks of round r+2 whose authors carry a
//!   quorum (direct), or by at least one while blocks of round r+5 carry one (indirect: somebody
//!   must have committed an anchor of round r+3 or above directly);
//! - a slot of round r is skipped when, for every block in it, authors of a quorum have a block
//!   of round r+1 that does not vote for it, or again while blocks of round r+5 carry one.
//!
//! What counts is what the deciding validator had accepted by then.
//!
//! The code shares nothing with `qcn_consensus`: authors are counted in sets, weights come from
//! the committee. Only the first validator to decide a slot is judged; the others must have
//! executed the same blocks.

use std::collections::{BTreeMap, BTreeSet};

use qcn_types::{AuthorSet, BlockRef, Committee, Round, Slot, ValidatorIndex, VerifiedBlock};

use super::Findings;

const NAME: &str = "quorum_by_weight";

/// How many rounds below the newest committed leader blocks are remembered.
const ROUNDS_KEPT: u64 = 48;

/// A set of processes.
type Processes = [u64; 9];

/// A block that some honest validator has accepted.
#[derive(Debug)]
struct Known {
    block: VerifiedBlock,
    accepted_by: Processes,
}

/// All blocks that honest validators hold, by round and author.
#[derive(Debug)]
pub(crate) struct QuorumByWeight {
    committee: Committee,
    rounds: BTreeMap<Round, Vec<Vec<Known>>>,
    newest_leader: Round,
    skipped: BTreeSet<Slot>,
    /// Processes that came back from a log: what they hold was accepted unseen.
    unseen: Processes,
}

impl QuorumByWeight {
    pub(crate) const fn new(committee: Committee) -> Self {
        Self {
            committee,
            rounds: BTreeMap::new(),
            newest_leader: Round::GENESIS,
            skipped: BTreeSet::new(),
            unseen: [0; 9],
        }
    }

    /// A process stopped. What it reads back from its log is not seen, so it is judged no more.
    pub(crate) const fn stopped(&mut self, process: u16) {
        self.unseen[process as usize / 64] |= 1 << (process % 64);
    }

    const fn is_unseen(&self, process: u16) -> bool {
        self.unseen[process as usize / 64] >> (process % 64) & 1 == 1
    }

    /// An honest validator proposes a block.
    pub(crate) fn proposed(&self, findings: &mut Findings, block: &VerifiedBlock) {
        let reference = block.reference();
        let below = reference.round.previous();
        let parents = block.body.parents.iter().filter(|parent| parent.round == below);
        let authors: AuthorSet = parents.map(|parent| parent.author).collect();
        let weight = self.committee.weight_of(&authors);
        if weight < self.committee.quorum_weight() {
            let detail = format!(
                "proposed {reference:?} on parents of weight {weight}, a quorum is {}",
                self.committee.quorum_weight()
            );
            findings.report(NAME, Some(reference.author), detail);
        }
    }

    /// An honest validator writes a block to its log.
    pub(crate) fn kept(&mut self, block: &VerifiedBlock) {
        let reference = block.reference();
        if self.find(&reference).is_some() || self.is_old(reference.round) {
            return;
        }
        let members = self.committee.len();
        let round = self.rounds.entry(reference.round).or_default();
        if round.is_empty() {
            round.resize_with(members, Vec::new);
        }
        round[reference.author.position()]
            .push(Known { block: block.clone(), accepted_by: [0; 9] });
    }

    /// A block entered the DAG of an honest process.
    pub(crate) fn accepted(&mut self, process: u16, block: &BlockRef) {
        if let Some(known) = self.find_mut(block) {
            known.accepted_by[process as usize / 64] |= 1 << (process % 64);
        }
    }

    /// A process executes a height before all others.
    pub(crate) fn executed(
        &mut self,
        findings: &mut Findings,
        process: u16,
        validator: ValidatorIndex,
        leaders: &[BlockRef],
    ) {
        for leader in leaders {
            if !self.is_unseen(process) {
                self.check_leader(findings, process, validator, leader);
            }
            self.newest_leader = self.newest_leader.max(leader.round);
        }
        let lowest = self.newest_leader.minus(ROUNDS_KEPT);
        if self.rounds.first_key_value().is_some_and(|(round, _)| *round < lowest) {
            self.rounds = self.rounds.split_off(&lowest);
            self.skipped.retain(|slot| slot.round >= lowest);
        }
    }

    /// A process leaves a leader slot empty.
    pub(crate) fn skipped(
        &mut self,
        findings: &mut Findings,
        process: u16,
        validator: ValidatorIndex,
        slot: Slot,
    ) {
        if self.is_old(slot.round) || self.is_unseen(process) || !self.skipped.insert(slot) {
            return;
        }
        let non_voting = |candidate: Option<&VerifiedBlock>| {
            let above = self.at(process, slot.round.plus(1)).filter(|block| {
                candidate.is_none_or(|leader| !block.body.parents.contains(&leader.reference()))
            });
            above.map(|block| block.reference().author).collect()
        };
        let mut candidates =
            self.at(process, slot.round).filter(|block| block.reference().author == slot.author);
        let none = || self.is_quorum(&non_voting(None));
        let direct = candidates.all(|leader| self.is_quorum(&non_voting(Some(leader)))) && none();
        if !direct && !self.may_be_indirect(process, slot.round) {
            let detail = format!("{slot:?} was skipped without a quorum");
            findings.report(NAME, Some(validator), detail);
        }
    }

    fn check_leader(
        &self,
        findings: &mut Findings,
        process: u16,
        validator: ValidatorIndex,
        leader: &BlockRef,
    ) {
        if self.is_old(leader.round) {
            return;
        }
        let certifiers = self.certifiers(process, leader);
        let indirect = !certifiers.is_empty() && self.may_be_indirect(process, leader.round);
        if !indirect && !self.is_quorum(&certifiers) {
            let detail = format!(
                "{leader:?} was committed, certified by blocks of weight {}",
                self.committee.weight_of(&certifiers)
            );
            findings.report(NAME, Some(validator), detail);
        }
    }

    fn is_quorum(&self, authors: &AuthorSet) -> bool {
        self.committee.weight_of(authors) >= self.committee.quorum_weight()
    }

    /// Whether an anchor of a slot of this round can have been committed directly.
    fn may_be_indirect(&self, process: u16, round: Round) -> bool {
        let above = self.at(process, round.plus(5)).map(|block| block.reference().author);
        self.is_quorum(&above.collect())
    }

    /// Whose blocks of round r+2 at a process have parents that carry a quorum of votes.
    fn certifiers(&self, process: u16, leader: &BlockRef) -> AuthorSet {
        // By author, since a set of references would cost as much as all other invariants.
        let mut votes: Vec<Vec<BlockRef>> = vec![Vec::new(); self.committee.len()];
        for block in self.at(process, leader.round.plus(1)) {
            if block.body.parents.contains(leader) {
                votes[block.reference().author.position()].push(block.reference());
            }
        }
        let certifies = |block: &VerifiedBlock| {
            let voting = block.body.parents.iter().filter(|parent| {
                votes.get(parent.author.position()).is_some_and(|votes| votes.contains(parent))
            });
            self.is_quorum(&voting.map(|parent| parent.author).collect())
        };
        let candidates = self.at(process, leader.round.plus(2));
        candidates.filter(|block| certifies(block)).map(|block| block.reference().author).collect()
    }

    /// The blocks of a round that a process has accepted.
    fn at(&self, process: u16, round: Round) -> impl Iterator<Item = &VerifiedBlock> {
        let blocks = self.rounds.get(&round).into_iter().flatten().flatten();
        let (word, bit) = (process as usize / 64, process % 64);
        blocks
            .filter(move |known| known.accepted_by[word] >> bit & 1 == 1)
            .map(|known| &known.block)
    }

    fn is_old(&self, round: Round) -> bool {
        round < self.newest_leader.minus(ROUNDS_KEPT)
    }

    fn find(&self, block: &BlockRef) -> Option<&Known> {
        let slot = self.rounds.get(&block.round)?.get(block.author.position())?;
        slot.iter().find(|known| known.block.reference() == *block)
    }

    fn find_mut(&mut self, block: &BlockRef) -> Option<&mut Known> {
        let slot = self.rounds.get_mut(&block.round)?.get_mut(block.author.position())?;
        slot.iter_mut().find(|known| known.block.reference() == *block)
    }
}
