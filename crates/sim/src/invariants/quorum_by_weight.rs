//! **Quorum by weight** (DESIGN section 5.2): what honest validators build on is backed by more
//! than two thirds of the weight, counted here anew from the blocks themselves.
//!
//! - an honest block of round r has parents of round r-1 that carry a quorum;
//! - a committed leader of round r is certified by at least one block of round r+2 that the
//!   executing validator had accepted: one whose parents of round r+1 that vote for the leader
//!   carry a quorum. Without one, another validator could have skipped the slot.
//!
//! The code shares nothing with `qcn_consensus`: authors are counted in sets, weights come from
//! the committee. Only the first validator to execute a height is judged; the others must have
//! executed the same blocks.

use std::collections::BTreeMap;

use qcn_types::{AuthorSet, BlockRef, Committee, Round, ValidatorIndex, VerifiedBlock};

use super::Findings;

const NAME: &str = "quorum_by_weight";

/// How many rounds below the newest committed leader blocks are remembered.
const ROUNDS_KEPT: u64 = 160;

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
}

impl QuorumByWeight {
    pub(crate) const fn new(committee: Committee) -> Self {
        Self { committee, rounds: BTreeMap::new(), newest_leader: Round::GENESIS }
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
            self.check_leader(findings, process, validator, leader);
            self.newest_leader = self.newest_leader.max(leader.round);
        }
        let lowest = self.newest_leader.minus(ROUNDS_KEPT);
        if self.rounds.first_key_value().is_some_and(|(round, _)| *round < lowest) {
            self.rounds = self.rounds.split_off(&lowest);
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
        if !self.is_certified(process, leader) {
            let detail = format!("{leader:?} was committed without a certificate");
            findings.report(NAME, Some(validator), detail);
        }
    }

    /// Whether some block of round r+2 at a process has parents that carry a quorum of votes.
    fn is_certified(&self, process: u16, leader: &BlockRef) -> bool {
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
            let authors: AuthorSet = voting.map(|parent| parent.author).collect();
            self.committee.weight_of(&authors) >= self.committee.quorum_weight()
        };
        self.at(process, leader.round.plus(2)).any(certifies)
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
