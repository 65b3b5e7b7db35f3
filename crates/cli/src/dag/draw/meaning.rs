//! What the blocks of a DAG are to its leaders: votes, certificates, forks, places.

use std::collections::BTreeSet;
use std::ops::Range;

use qcn_consensus::commit_rule::Rule;

use crate::dag::decide::{Decisions, SlotOutcome};
use crate::dag::graph::{Graph, Parent};

/// What was decided for a leader slot, as it is shown.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// This block commits.
    Commit(usize, Rule),
    /// None does.
    Skip(Rule),
    /// Nobody knows yet.
    Open,
}

impl Verdict {
    /// Its class in the style sheet.
    pub const fn class(self) -> &'static str {
        match self {
            Self::Commit(..) => "commit",
            Self::Skip(_) => "skip",
            Self::Open => "open",
        }
    }

    /// The class of how it came about.
    pub fn rule_class(self) -> &'static str {
        match self {
            Self::Commit(_, Rule::Direct) | Self::Skip(Rule::Direct) => "direct",
            Self::Commit(_, Rule::Indirect) | Self::Skip(Rule::Indirect) => "indirect",
            Self::Open => "",
        }
    }

    /// A sign that tells it without colour.
    pub const fn sign(self) -> &'static str {
        match self {
            Self::Commit(..) => "\u{2713}",
            Self::Skip(_) => "\u{2715}",
            Self::Open => "?",
        }
    }
}

/// What each slot and each block means.
#[derive(Debug)]
pub struct Meaning {
    /// By leader slot.
    pub slots: Vec<Verdict>,
    /// By block: what was decided for its slot, if that is a leader's.
    pub leader_blocks: Vec<Option<Verdict>>,
    /// By block: the leader blocks that it certifies.
    pub certifies: Vec<Vec<usize>>,
    /// By block: whether its author has others in the round.
    pub forked: Vec<bool>,
    /// By block: its number in the sequence, from 1 on.
    pub places: Vec<Option<usize>>,
}

impl Meaning {
    /// Reads it off the DAG and what was decided.
    pub fn of(graph: &Graph, decisions: &Decisions) -> Self {
        let slots = decisions.slots.iter().map(|made| match *made {
            None => Verdict::Open,
            Some((SlotOutcome::Skip, rule)) => Verdict::Skip(rule),
            Some((SlotOutcome::Commit(block), rule)) => Verdict::Commit(block, rule),
        });
        let count = graph.blocks.len();
        let mut meaning = Self {
            slots: slots.collect(),
            leader_blocks: vec![None; count],
            certifies: vec![Vec::new(); count],
            forked: vec![false; count],
            places: vec![None; count],
        };
        for (at, slot) in graph.slots.iter().enumerate() {
            for block in meaning.blocks_in_slot(graph, slot.round, slot.leader) {
                meaning.leader_blocks[block] = Some(meaning.slots[at]);
                for certifier in certifiers(graph, block) {
                    meaning.certifies[certifier].push(block);
                }
            }
        }
        for (at, pair) in graph.blocks.windows(2).enumerate() {
            if (pair[0].round, pair[0].author) == (pair[1].round, pair[1].author) {
                meaning.forked[at] = true;
                meaning.forked[at + 1] = true;
            }
        }
        for (number, at) in decisions.sequence.iter().enumerate() {
            meaning.places[*at] = Some(number + 1);
        }
        meaning
    }

    /// The positions of the blocks of a slot.
    pub fn blocks_in_slot(&self, graph: &Graph, round: u64, author: usize) -> Range<usize> {
        let key = (round, author);
        let start = graph.blocks.partition_point(|block| (block.round, block.author) < key);
        let end = graph.blocks.partition_point(|block| (block.round, block.author) <= key);
        start..end
    }

    /// The verdict whose colour a block has: of a committed slot, only the committed block.
    pub fn shown_verdict(&self, at: usize) -> Option<Verdict> {
        self.leader_blocks[at].filter(|verdict| match verdict {
            Verdict::Commit(block, _) => *block == at,
            Verdict::Skip(_) | Verdict::Open => true,
        })
    }
}

/// The blocks two rounds above whose parents of a quorum vote for this one.
fn certifiers(graph: &Graph, leader: usize) -> Vec<usize> {
    let total = graph.total_weight();
    let quorum = total - (total - 1) / 3;
    let round = graph.blocks[leader].round;
    let of_round = |wanted: Option<u64>| {
        let wanted = wanted.unwrap_or(u64::MAX);
        let start = graph.blocks.partition_point(|block| block.round < wanted);
        let blocks = graph.blocks.iter().enumerate().skip(start);
        blocks.take_while(move |(_, block)| block.round == wanted)
    };
    let names = |parents: &[Parent], wanted: usize| parents.contains(&Parent::Block(wanted));
    let voters: BTreeSet<usize> = of_round(round.checked_add(1))
        .filter(|(_, block)| names(&block.parents, leader))
        .map(|(at, _)| at)
        .collect();
    let weight = |parents: &[Parent]| -> u64 {
        let voting = parents.iter().filter_map(|parent| match parent {
            Parent::Block(at) if voters.contains(at) => Some(graph.blocks[*at].author),
            _ => None,
        });
        voting.map(|author| graph.members[author].weight).sum()
    };
    of_round(round.checked_add(2))
        .filter(|(_, block)| weight(&block.parents) >= quorum)
        .map(|(at, _)| at)
        .collect()
}
