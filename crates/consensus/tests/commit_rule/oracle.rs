//! The commit rule once more: the text of DESIGN section 5.2 line by line, over names and sets,
//! from scratch for every question, sharing no code with the crate.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use super::drawing::{Answer, Block, Decision, Drawing, Outcome, Rule};

/// Decides a whole DAG.
pub fn decide(drawing: &Drawing) -> Answer {
    let oracle = Oracle::new(drawing);
    let decisions: Vec<Decision> = oracle
        .slots()
        .map(|(round, leader)| Decision {
            round,
            leader: leader.clone(),
            made: oracle.slot(round, leader),
        })
        .collect();
    let sequence = oracle.sequence(&decisions);
    Answer { decisions, sequence }
}

type Made = Option<(Outcome, Rule)>;

struct Oracle<'a> {
    drawing: &'a Drawing,
    weights: BTreeMap<&'a str, u64>,
    blocks: BTreeMap<&'a str, &'a Block>,
    quorum: u64,
    /// Histories and decisions that were asked for before.
    histories: RefCell<BTreeMap<&'a str, BTreeSet<&'a str>>>,
    decided: RefCell<BTreeMap<(u64, &'a str), Made>>,
}

impl<'a> Oracle<'a> {
    fn new(drawing: &'a Drawing) -> Self {
        let total: u64 = drawing.committee.iter().map(|(_, weight)| weight).sum();
        Self {
            drawing,
            weights: drawing
                .committee
                .iter()
                .map(|(name, weight)| (name.as_str(), *weight))
                .collect(),
            blocks: drawing.blocks.iter().map(|block| (block.id.as_str(), block)).collect(),
            quorum: total - (total - 1) / 3,
            histories: RefCell::default(),
            decided: RefCell::default(),
        }
    }

    fn slots(&self) -> impl Iterator<Item = (u64, &'a String)> + use<'a> {
        let drawing = self.drawing;
        drawing
            .leaders
            .iter()
            .flat_map(|(round, leaders)| leaders.iter().map(|name| (*round, name)))
    }

    fn in_round(&self, round: u64) -> impl Iterator<Item = &'a Block> + use<'a> {
        self.drawing.blocks.iter().filter(move |block| block.round == round)
    }

    /// Whether the authors of these blocks carry a quorum. An author counts once.
    fn is_quorum(&self, blocks: impl Iterator<Item = &'a Block>) -> bool {
        let authors: BTreeSet<&str> = blocks.map(|block| block.author.as_str()).collect();
        authors.iter().map(|author| self.weights[author]).sum::<u64>() >= self.quorum
    }

    /// The blocks of the slot, lowest id first: which one wins if, above f, two could.
    fn leader_blocks(&self, round: u64, leader: &str) -> Vec<&'a Block> {
        let mut blocks: Vec<&Block> = self.drawing.in_slot(round, leader).collect();
        blocks.sort_by_key(|block| &block.id);
        blocks
    }

    fn votes(&self, voter: &Block, leader_block: &Block) -> bool {
        voter.round == leader_block.round + 1 && voter.parents.contains(&leader_block.id)
    }

    fn certifies(&self, block: &'a Block, leader_block: &'a Block) -> bool {
        block.round == leader_block.round + 2
            && self.is_quorum(
                block
                    .parents
                    .iter()
                    .filter_map(|parent| self.blocks.get(parent.as_str()).copied())
                    .filter(|parent| self.votes(parent, leader_block)),
            )
    }

    fn slot(&self, round: u64, leader: &'a str) -> Made {
        if let Some(known) = self.decided.borrow().get(&(round, leader)) {
            return known.clone();
        }
        let made = self.directly(round, leader).map(|outcome| (outcome, Rule::Direct));
        let made = made.or_else(|| Some((self.indirectly(round, leader)?, Rule::Indirect)));
        self.decided.borrow_mut().insert((round, leader), made.clone());
        made
    }

    fn directly(&self, round: u64, leader: &str) -> Option<Outcome> {
        let leader_blocks = self.leader_blocks(round, leader);
        for leader_block in &leader_blocks {
            if self.is_quorum(self.in_round(round + 2).filter(|b| self.certifies(b, leader_block)))
            {
                return Some(Outcome::Commit(leader_block.id.clone()));
            }
        }
        let skipped = if leader_blocks.is_empty() {
            self.is_quorum(self.in_round(round + 1))
        } else {
            leader_blocks.iter().all(|leader_block| {
                self.is_quorum(self.in_round(round + 1).filter(|b| !self.votes(b, leader_block)))
            })
        };
        skipped.then_some(Outcome::Skip)
    }

    fn indirectly(&self, round: u64, leader: &str) -> Option<Outcome> {
        for (anchor_round, anchor_leader) in self.slots().filter(|slot| slot.0 >= round + 3) {
            let anchor = match self.slot(anchor_round, anchor_leader)? {
                (Outcome::Skip, _) => continue,
                (Outcome::Commit(anchor), _) => anchor,
            };
            let history = self.history(&self.blocks[anchor.as_str()].id);
            let above =
                || self.in_round(round + 2).filter(|block| history.contains(block.id.as_str()));
            let certified = self
                .leader_blocks(round, leader)
                .into_iter()
                .find(|leader_block| above().any(|block| self.certifies(block, leader_block)));
            return Some(
                certified.map_or(Outcome::Skip, |block| Outcome::Commit(block.id.clone())),
            );
        }
        None
    }

    /// A block and all its ancestors above the genesis round.
    fn history(&self, id: &'a str) -> BTreeSet<&'a str> {
        if let Some(known) = self.histories.borrow().get(id) {
            return known.clone();
        }
        let mut history = BTreeSet::new();
        if let Some(block) = self.blocks.get(id) {
            history.insert(id);
            for parent in &block.parents {
                history.extend(self.history(parent));
            }
        }
        self.histories.borrow_mut().insert(id, history.clone());
        history
    }

    fn sequence(&self, decisions: &[Decision]) -> Vec<String> {
        let names: Vec<&str> =
            self.drawing.committee.iter().map(|(name, _)| name.as_str()).collect();
        let mut sequence: Vec<String> = Vec::new();
        for decision in decisions {
            let Some((outcome, _)) = &decision.made else {
                break;
            };
            let Outcome::Commit(leader) = outcome else {
                continue;
            };
            let history = self.history(&self.blocks[leader.as_str()].id);
            let mut new: Vec<&Block> = history.iter().map(|id| self.blocks[id]).collect();
            new.retain(|block| !sequence.contains(&block.id));
            new.sort_by_key(|block| {
                let author = names.iter().position(|name| **name == block.author);
                (block.round, author, &block.id)
            });
            sequence.extend(new.iter().map(|block| block.id.clone()));
        }
        sequence
    }
}
