//! What the commit rule of the validators decides for a DAG.

use qcn_consensus::commit_rule::{CommitRule, Outcome, Rule};
use qcn_consensus::dag::{Dag, Vertex};
use qcn_consensus::linearizer::Linearizer;
use qcn_consensus::rules::Thresholds;
use qcn_crypto::Digest;
use qcn_types::{BlockRef, Round, ValidatorIndex};
use serde::Serialize;

use super::compact::CompactRounds;
use super::graph::{Graph, Parent};

/// What is decided for a DAG.
#[derive(Debug)]
pub struct Decisions {
    /// For each leader slot what is decided and how.
    pub slots: Vec<Option<(SlotOutcome, Rule)>>,
    /// The positions of the blocks of the longest decided prefix, in order.
    pub sequence: Vec<usize>,
}

/// What becomes of a slot.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum SlotOutcome {
    /// The block at this position is committed.
    Commit(usize),
    /// None is.
    Skip,
}

/// Decides a DAG.
pub fn decide(graph: &Graph) -> Decisions {
    let rounds = graph.blocks.iter().map(|block| block.round);
    let rounds = CompactRounds::new(rounds.chain(graph.slots.iter().map(|slot| slot.round)));
    let dag = build(graph, &rounds);
    let mut rule =
        CommitRule::with_thresholds(Thresholds::of_total(graph.total_weight()), Round::GENESIS);
    schedule(graph, &rounds, &dag, &mut rule);
    rule.decide_indirectly(&dag);
    let slots = rule
        .pending()
        .map(|(_, decided)| decided.map(|(outcome, rule)| (outcome_of(&dag, outcome), rule)))
        .collect();
    Decisions { slots, sequence: sequence(&dag, &mut rule) }
}

/// The DAG of all blocks, each of which carries its position.
fn build(graph: &Graph, rounds: &CompactRounds) -> Dag<usize> {
    let weights = graph.members.iter().map(|member| member.weight).collect();
    let mut dag = Dag::with_weights(weights, usize::from(u16::MAX));
    let mut names: Vec<BlockRef> = Vec::with_capacity(graph.blocks.len());
    for (position, block) in graph.blocks.iter().enumerate() {
        // In the order of positions, the digests of a slot sort as its ids do.
        let mut digest = Digest::ZERO;
        digest.0[..8].copy_from_slice(&(position as u64).to_be_bytes());
        let round = Round(rounds.number(block.round));
        let name = BlockRef { round, author: ValidatorIndex(block.author as u16), digest };
        let above_genesis = block.parents.iter().filter_map(|parent| match parent {
            Parent::Block(at) => names.get(*at).copied(),
            Parent::Genesis(_) => None,
        });
        let parents: Vec<BlockRef> = above_genesis.collect();
        dag.insert(name, &parents, 0, position)
            .expect("parents are of lower rounds and so come first; slots are not over the limit");
        names.push(name);
    }
    dag
}

fn schedule(graph: &Graph, rounds: &CompactRounds, dag: &Dag<usize>, rule: &mut CommitRule) {
    let mut slots = graph.slots.as_slice();
    // One round more: a round without leaders is passed only once its successor is scheduled.
    for number in 1..=rounds.highest() + 1 {
        let count = slots.partition_point(|slot| rounds.number(slot.round) <= number);
        let (here, above) = slots.split_at(count);
        let leaders: Vec<ValidatorIndex> =
            here.iter().map(|slot| ValidatorIndex(slot.leader as u16)).collect();
        rule.schedule_round(dag, &leaders);
        slots = above;
    }
}

fn sequence(dag: &Dag<usize>, rule: &mut CommitRule) -> Vec<usize> {
    let mut linearizer = Linearizer::default();
    let mut sequence = Vec::new();
    while let Some(decision) = rule.next_decision() {
        if let Outcome::Commit(leader) = decision.outcome {
            let blocks = linearizer.sequence(dag, leader, Round::GENESIS);
            sequence.extend(blocks.into_iter().map(|vertex| position(dag, vertex)));
        }
    }
    sequence
}

fn outcome_of(dag: &Dag<usize>, outcome: Outcome) -> SlotOutcome {
    match outcome {
        Outcome::Commit(vertex) => SlotOutcome::Commit(position(dag, vertex)),
        Outcome::Skip => SlotOutcome::Skip,
    }
}

fn position(dag: &Dag<usize>, vertex: Vertex) -> usize {
    dag.node(vertex).expect("a vertex of this DAG").content
}

#[derive(Serialize)]
struct DecisionText<'a> {
    round: u64,
    leader: &'a str,
    decision: &'static str,
    rule: Option<&'static str>,
    block: Option<&'a str>,
}

impl Decisions {
    /// The answer as JSON, a line for each decision.
    pub fn to_json(&self, graph: &Graph) -> String {
        let slots = graph.slots.iter().zip(&self.slots);
        let decisions = slots.map(|(slot, made)| {
            let (decision, block) = match made {
                None => ("undecided", None),
                Some((SlotOutcome::Skip, _)) => ("skip", None),
                Some((SlotOutcome::Commit(at), _)) => ("commit", Some(&*graph.blocks[*at].id)),
            };
            let rule = made.map(|(_, rule)| match rule {
                Rule::Direct => "direct",
                Rule::Indirect => "indirect",
            });
            let leader = &graph.members[slot.leader].name;
            json(&DecisionText { round: slot.round, leader, decision, rule, block })
        });
        let decisions: Vec<String> = decisions.collect();
        let sequence: Vec<&str> =
            self.sequence.iter().map(|at| graph.blocks[*at].id.as_str()).collect();
        format!(
            "{{\"decisions\":[\n{}\n],\"sequence\":{}}}\n",
            decisions.join(",\n"),
            json(&sequence)
        )
    }
}

fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("names and numbers are JSON")
}
