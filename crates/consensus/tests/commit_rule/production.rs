//! The crate's DAG, commit rule and linearizer, run over drawings.

use std::collections::BTreeMap;

use qcn_consensus::BrokenRule;
use qcn_consensus::commit_rule::{self, CommitRule};
use qcn_consensus::dag::{Dag, Vertex};
use qcn_consensus::linearizer::Linearizer;
use qcn_consensus::rules::Thresholds;
use qcn_crypto::{ChainId, Digest, Scheme};
use qcn_types::{
    BlockRef, Committee, Epoch, Member, Round, ShardId, Slot, ValidatorIndex, Weight, genesis_ref,
};

use super::drawing::{Answer, Decision, Drawing, Outcome, Rule};

const MAX_SIBLINGS: usize = 1 << 10;

/// Decides a whole DAG at once: all blocks first, then the leaders.
pub fn decide(drawing: &Drawing) -> Answer {
    let mut run = Run::new(drawing, None);
    for position in canonical_order(drawing) {
        run.take_in(position);
    }
    run.schedule_all();
    run.decide();
    run.answer()
}

/// Decides a DAG block by block, in this order of positions.
pub fn decide_incrementally(drawing: &Drawing, order: &[usize]) -> Answer {
    let mut run = Run::new(drawing, None);
    order.iter().for_each(|position| run.insert(*position));
    run.schedule_all();
    run.decide();
    run.answer()
}

/// Positions by round, author and id.
fn canonical_order(drawing: &Drawing) -> Vec<usize> {
    let mut order: Vec<usize> = (0..drawing.blocks.len()).collect();
    order.sort_by_key(|position| {
        let block = &drawing.blocks[*position];
        (block.round, author_of(drawing, &block.author), &block.id)
    });
    order
}

/// One validator's view of a drawing.
pub struct Run<'a> {
    drawing: &'a Drawing,
    leaders: BTreeMap<u64, Vec<String>>,
    names: Vec<BlockRef>,
    by_id: BTreeMap<String, BlockRef>,
    dag: Dag<usize>,
    rule: CommitRule,
    linearizer: Linearizer,
    decided: Vec<commit_rule::Decision>,
    sequence: Vec<String>,
}

impl<'a> Run<'a> {
    /// Nothing taken in yet.
    pub fn new(drawing: &'a Drawing, broken: Option<BrokenRule>) -> Self {
        let weights: Vec<u64> = drawing.committee.iter().map(|(_, weight)| *weight).collect();
        let names = names(drawing);
        let genesis = drawing.committee.iter().zip(0..).map(|((name, _), index)| {
            let author = ValidatorIndex(index);
            (format!("{name}0"), genesis_ref(ChainId(Digest::ZERO), ShardId(0), Epoch(0), author))
        });
        let ids = drawing.blocks.iter().map(|block| block.id.clone());
        let rule = match broken {
            None => {
                CommitRule::with_thresholds(Thresholds::of_total(weights.iter().sum()), Round(0))
            }
            Some(_) => CommitRule::new(&committee(&weights), broken, Round(0)),
        };
        Self {
            drawing,
            leaders: drawing.leaders.clone(),
            by_id: genesis.chain(ids.zip(names.iter().copied())).collect(),
            names,
            dag: Dag::with_weights(weights, MAX_SIBLINGS),
            rule,
            linearizer: Linearizer::default(),
            decided: Vec::new(),
            sequence: Vec::new(),
        }
    }

    /// Takes a block in and decides what can be decided, as the machine does.
    pub fn insert(&mut self, position: usize) {
        let vertex = self.place(position);
        while self.rule.next_unscheduled_round() <= self.dag.highest_round().next() {
            self.schedule_next();
        }
        self.rule.observe(&self.dag, vertex);
        self.decide();
    }

    /// Takes a block in that nobody has observed yet.
    pub fn take_in(&mut self, position: usize) {
        self.place(position);
    }

    /// Takes a block in and lets the rule observe it.
    pub fn observe(&mut self, position: usize) {
        let vertex = self.place(position);
        self.rule.observe(&self.dag, vertex);
    }

    /// Sets the leaders of all rounds that have any or have blocks.
    pub fn schedule_all(&mut self) {
        let last_leaders = self.leaders.last_key_value().map_or(0, |(round, _)| *round);
        // One round more: a round without leaders is passed only once its successor is scheduled.
        let last = self.dag.highest_round().0.max(last_leaders) + 1;
        while self.rule.next_unscheduled_round().0 <= last {
            self.schedule_next();
        }
    }

    /// Decides through anchors, and sequences nothing.
    pub fn decide_through_anchors(&mut self) {
        self.rule.decide_indirectly(&self.dag);
    }

    /// Changes the leaders above a round, as a commit does that closes a window of the schedule.
    pub fn change_leaders_above(&mut self, round: u64, leaders: &BTreeMap<u64, Vec<String>>) {
        self.leaders.retain(|kept, _| *kept <= round);
        let changed = leaders.range(round + 1..);
        self.leaders.extend(changed.map(|(round, leaders)| (*round, leaders.clone())));
        self.rule.unschedule_above(&self.dag, Round(round));
        while self.rule.next_unscheduled_round() <= self.dag.highest_round().next() {
            self.schedule_next();
        }
        self.rule.decide_indirectly(&self.dag);
    }

    /// The answer as far as blocks came in.
    pub fn answer(&self) -> Answer {
        let decided = self
            .decided
            .iter()
            .map(|decision| (decision.slot, Some((decision.outcome, decision.rule))));
        let name = |slot: Slot, made: Option<(commit_rule::Outcome, commit_rule::Rule)>| Decision {
            round: slot.round.0,
            leader: self.drawing.committee[slot.author.position()].0.clone(),
            made: made.map(|(outcome, rule)| (self.outcome(outcome), rule_of(rule))),
        };
        let decisions = decided.chain(self.rule.pending()).map(|(slot, made)| name(slot, made));
        Answer { decisions: decisions.collect(), sequence: self.sequence.clone() }
    }

    fn place(&mut self, position: usize) -> Vertex {
        let block = &self.drawing.blocks[position];
        let parents: Vec<BlockRef> =
            block.parents.iter().map(|parent| self.by_id[parent]).collect();
        self.dag.insert(self.names[position], &parents, 0, position).expect("its parents are in")
    }

    fn schedule_next(&mut self) {
        let round = self.rule.next_unscheduled_round();
        let leaders = self.leaders.get(&round.0).into_iter().flatten();
        let leaders: Vec<ValidatorIndex> =
            leaders.map(|name| author_of(self.drawing, name)).collect();
        self.rule.schedule_round(&self.dag, &leaders);
    }

    fn decide(&mut self) {
        self.rule.decide_indirectly(&self.dag);
        while let Some(decision) = self.rule.next_decision() {
            if let commit_rule::Outcome::Commit(leader) = decision.outcome {
                let blocks = self.linearizer.sequence(&self.dag, leader, Round::GENESIS);
                let ids: Vec<String> = blocks.into_iter().map(|vertex| self.id(vertex)).collect();
                self.sequence.extend(ids);
            }
            self.decided.push(decision);
        }
    }

    fn outcome(&self, outcome: commit_rule::Outcome) -> Outcome {
        match outcome {
            commit_rule::Outcome::Commit(vertex) => Outcome::Commit(self.id(vertex)),
            commit_rule::Outcome::Skip => Outcome::Skip,
        }
    }

    fn id(&self, vertex: Vertex) -> String {
        let node = self.dag.node(vertex).expect("a vertex is in the DAG");
        self.drawing.blocks[node.content].id.clone()
    }
}

const fn rule_of(rule: commit_rule::Rule) -> Rule {
    match rule {
        commit_rule::Rule::Direct => Rule::Direct,
        commit_rule::Rule::Indirect => Rule::Indirect,
    }
}

fn author_of(drawing: &Drawing, name: &str) -> ValidatorIndex {
    let position = drawing.committee.iter().position(|(member, _)| member == name);
    ValidatorIndex(position.expect("a member") as u16)
}

/// Names whose digests sort in a slot as the ids do.
fn names(drawing: &Drawing) -> Vec<BlockRef> {
    let mut ids: Vec<&str> = drawing.blocks.iter().map(|block| block.id.as_str()).collect();
    ids.sort_unstable();
    let name = |block: &super::drawing::Block| {
        let rank = ids.binary_search(&block.id.as_str()).expect("its id is among them");
        let mut digest = Digest::ZERO;
        digest.0[..8].copy_from_slice(&(rank as u64 + 1).to_be_bytes());
        let author = author_of(drawing, &block.author);
        BlockRef { round: Round(block.round), author, digest }
    };
    drawing.blocks.iter().map(name).collect()
}

/// A committee of these weights, whose keys nobody uses.
fn committee(weights: &[u64]) -> Committee {
    let member = |(index, weight): (usize, &u64)| {
        let mut key = vec![0; Scheme::Falcon512.public_key_bytes()];
        key[..2].copy_from_slice(&(index as u16).to_le_bytes());
        let key = qcn_crypto::PublicKey::new(Scheme::Falcon512, &key).expect("a key's length");
        Member { name: format!("v{index}"), key, weight: Weight(*weight) }
    };
    let members = weights.iter().enumerate().map(member).collect();
    Committee::new(ShardId(0), Epoch(0), members).expect("a committee")
}
