//! The commit rule, applied incrementally (DESIGN section 5.2).
//!
//! For every leader slot the rule keeps who votes for, does not vote for and certifies each of
//! its blocks. A new block changes these counts for the slots one and two rounds below, and
//! nothing else is looked at, so the cost of a block does not grow with the DAG. Only when a
//! slot is newly decided, or the blocks of an anchor are needed, is more than that done.

use std::collections::VecDeque;

use qcn_types::{AuthorSet, Committee, Round, Slot, ValidatorIndex};

use crate::BrokenRule;
use crate::dag::{Dag, Layer, Links, Node, Vertex, Walk};
use crate::rules::{Thresholds, first_anchor_round};

/// How a slot was decided.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Rule {
    /// By the two rounds above it.
    Direct,
    /// By its anchor.
    Indirect,
}

/// What was decided for a slot.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// This block is committed.
    Commit(Vertex),
    /// The slot stays empty.
    Skip,
}

/// A slot and what was decided for it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Decision {
    /// The slot.
    pub slot: Slot,
    /// What was decided.
    pub outcome: Outcome,
    /// How.
    pub rule: Rule,
}

/// One block of a leader slot, and what the rounds above say of it.
#[derive(Clone, Debug)]
struct Candidate {
    vertex: Vertex,
    /// Authors of round r+1 with a block that does not vote for it.
    non_voters: AuthorSet,
    non_voting_weight: u64,
    /// Of the blocks of round r+1 those that vote for it: first blocks, and siblings.
    voting_first: AuthorSet,
    voting_siblings: Vec<Vertex>,
    /// Authors of round r+2 with a block that certifies it.
    certifiers: AuthorSet,
    certifying_weight: u64,
}

impl Candidate {
    const fn new(vertex: Vertex) -> Self {
        Self {
            vertex,
            non_voters: AuthorSet::EMPTY,
            non_voting_weight: 0,
            voting_first: AuthorSet::EMPTY,
            voting_siblings: Vec::new(),
            certifiers: AuthorSet::EMPTY,
            certifying_weight: 0,
        }
    }

    /// The weight of the parents, in round r+1, that vote for this block. A block has at most
    /// one parent per author, so no author counts twice.
    fn voting_parents_weight<B>(&self, dag: &Dag<B>, parents: &ParentsAbove<'_>) -> u64 {
        let absent = parents.links.previous.difference(&self.voting_first);
        let mut weight = parents.previous_weight - dag.weight_of(&absent);
        if !self.voting_siblings.is_empty() {
            for other in &parents.links.others {
                if self.voting_siblings.contains(other) {
                    weight += dag.author_weight(other.author);
                }
            }
        }
        weight
    }
}

/// The parents of a block, with the weight of those in the round before computed once.
struct ParentsAbove<'a> {
    links: &'a Links,
    previous_weight: u64,
}

impl<'a> ParentsAbove<'a> {
    fn of<B>(dag: &Dag<B>, node: &'a Node<B>) -> Self {
        Self { links: &node.links, previous_weight: dag.weight_of(&node.links.previous) }
    }
}

#[derive(Clone, Debug)]
struct LeaderSlot {
    slot: Slot,
    candidates: Vec<Candidate>,
    decided: Option<(Outcome, Rule)>,
}

#[derive(Clone, Debug)]
struct RoundSlots {
    leaders: Vec<LeaderSlot>,
}

/// The state of the rule above the decided prefix.
#[derive(Clone, Debug)]
pub struct CommitRule {
    thresholds: Thresholds,
    broken: Option<BrokenRule>,
    /// The round of the front of `rounds`.
    first_round: Round,
    rounds: VecDeque<RoundSlots>,
    /// Whether a slot was decided since the indirect rule last ran.
    fresh_decision: bool,
}

impl CommitRule {
    /// The rule for a committee, with everything up to `settled` decided.
    #[must_use]
    pub fn new(committee: &Committee, broken: Option<BrokenRule>, settled: Round) -> Self {
        Self { broken, ..Self::with_thresholds(Thresholds::of(committee, broken), settled) }
    }

    /// The rule for authors of whom only the thresholds are known.
    #[must_use]
    pub const fn with_thresholds(thresholds: Thresholds, settled: Round) -> Self {
        Self {
            thresholds,
            broken: None,
            first_round: settled.next(),
            rounds: VecDeque::new(),
            fresh_decision: false,
        }
    }

    /// The first round without leaders set.
    #[must_use]
    pub fn next_unscheduled_round(&self) -> Round {
        self.first_round.plus(self.rounds.len() as u64)
    }

    /// Sets the leaders of [`Self::next_unscheduled_round`], and takes in what the DAG already
    /// has for them.
    pub fn schedule_round<B>(&mut self, dag: &Dag<B>, leaders: &[ValidatorIndex]) {
        let round = self.next_unscheduled_round();
        let leaders = leaders.iter().map(|&author| {
            let slot = Slot { round, author };
            let candidates = dag.in_slot(slot).map(Candidate::new).collect();
            LeaderSlot { slot, candidates, decided: None }
        });
        self.rounds.push_back(RoundSlots { leaders: leaders.collect() });
        for above in [round.next(), round.plus(2)] {
            let Some(layer) = dag.layer(above) else {
                break;
            };
            for vertex in vertices(above, layer) {
                self.observe_in(dag, vertex, round);
            }
        }
        self.decide_directly(dag, round);
    }

    /// The leaders of a round that are not sequenced yet, in order.
    #[must_use]
    pub fn undecided_in(&self, round: Round) -> Vec<ValidatorIndex> {
        self.leaders_of(round).map(|slot| slot.author).collect()
    }

    /// Forgets all rounds above `round`, because their leaders changed, and whatever was decided
    /// below through them.
    pub fn unschedule_above<B>(&mut self, dag: &Dag<B>, round: Round) {
        let keep = round.next().0.saturating_sub(self.first_round.0);
        self.rounds.truncate(usize::try_from(keep).unwrap_or(usize::MAX));
        for leader in self.rounds.iter_mut().flat_map(|slots| &mut slots.leaders) {
            leader.decided = leader.decided.filter(|(_, rule)| *rule == Rule::Direct);
        }
        // Meanwhile the blocks above may have decided directly what an anchor had decided.
        for kept in 0..self.rounds.len() as u64 {
            self.decide_directly(dag, self.first_round.plus(kept));
        }
        self.fresh_decision = true;
    }

    /// Takes note of a block that entered the DAG.
    pub fn observe<B>(&mut self, dag: &Dag<B>, vertex: Vertex) {
        self.add_candidate(dag, vertex);
        for distance in [1, 2] {
            let Some(below) = vertex.round.0.checked_sub(distance) else {
                break;
            };
            self.observe_in(dag, vertex, Round(below));
            self.decide_directly(dag, Round(below));
        }
    }

    /// A block came into a leader slot. The blocks already above it did not vote for it.
    fn add_candidate<B>(&mut self, dag: &Dag<B>, vertex: Vertex) {
        let Some(slots) = self.round_mut(vertex.round) else {
            return;
        };
        let leads = |leader: &&mut LeaderSlot| leader.slot.author == vertex.author;
        let Some(leader) = slots.leaders.iter_mut().find(leads) else {
            return;
        };
        if leader.candidates.iter().any(|candidate| candidate.vertex == vertex) {
            return; // It was there already when the round was scheduled.
        }
        let mut candidate = Candidate::new(vertex);
        if let Some(above) = dag.layer(vertex.round.next()) {
            candidate.non_voters = *above.present();
            candidate.non_voting_weight = above.weight();
        }
        leader.candidates.push(candidate);
    }

    /// Counts the votes (from one round above) or certificates (from two) of `vertex` for the
    /// leader slots of `round`.
    fn observe_in<B>(&mut self, dag: &Dag<B>, vertex: Vertex, round: Round) {
        let broken = self.broken;
        let thresholds = self.thresholds;
        let Some(node) = dag.node(vertex) else {
            return;
        };
        let Some(slots) = self.round_mut(round) else {
            return;
        };
        let weight = dag.author_weight(vertex.author);
        // An author counts once, however many blocks it signs. Tests can break this.
        let counts = |new: bool| new || broken == Some(BrokenRule::NoVoteDeduplication);
        if vertex.round == round.next() {
            for candidate in slots.leaders.iter_mut().flat_map(|leader| &mut leader.candidates) {
                if node.links.contains(candidate.vertex) {
                    if vertex.sibling == 0 {
                        candidate.voting_first.insert(vertex.author);
                    } else {
                        candidate.voting_siblings.push(vertex);
                    }
                } else if counts(candidate.non_voters.insert(vertex.author)) {
                    candidate.non_voting_weight += weight;
                }
            }
            return;
        }
        let parents = ParentsAbove::of(dag, node);
        // What an anchor decided may be undecided again, so it is counted for as well.
        let open = |leader: &&mut LeaderSlot| !matches!(leader.decided, Some((_, Rule::Direct)));
        for leader in slots.leaders.iter_mut().filter(open) {
            for candidate in &mut leader.candidates {
                let voting = candidate.voting_parents_weight(dag, &parents);
                if thresholds.certifies(voting)
                    && counts(candidate.certifiers.insert(vertex.author))
                {
                    candidate.certifying_weight += weight;
                }
            }
        }
    }

    fn decide_directly<B>(&mut self, dag: &Dag<B>, round: Round) {
        let thresholds = self.thresholds;
        let above_weight = dag.weight(round.next());
        let Some(slots) = self.round_mut(round) else {
            return;
        };
        let mut fresh = false;
        for leader in slots.leaders.iter_mut().filter(|leader| leader.decided.is_none()) {
            let committed = leader
                .candidates
                .iter()
                .find(|candidate| thresholds.commits_directly(candidate.certifying_weight));
            let least_non_voting = leader
                .candidates
                .iter()
                .map(|candidate| candidate.non_voting_weight)
                .min()
                .unwrap_or(above_weight);
            if let Some(candidate) = committed {
                leader.decided = Some((Outcome::Commit(candidate.vertex), Rule::Direct));
                fresh = true;
            } else if thresholds.skips_directly(least_non_voting) {
                leader.decided = Some((Outcome::Skip, Rule::Direct));
                fresh = true;
            }
        }
        self.fresh_decision |= fresh;
    }

    /// Decides what can be decided through anchors, from the newest slot to the oldest.
    pub fn decide_indirectly<B>(&mut self, dag: &Dag<B>) {
        if !self.fresh_decision {
            return;
        }
        self.fresh_decision = false;
        let mut anchor = Anchor::None;
        for index in (0..self.rounds.len()).rev() {
            let round = self.first_round.plus(index as u64);
            // Nothing below decides slots of the round that now becomes one of the anchors'.
            let distance = (first_anchor_round(round).0 - round.0) as usize;
            if let Some(found) = self.rounds.get(index + distance).and_then(first_not_skipped) {
                anchor = found.map_or(Anchor::Undecided, |vertex| Anchor::at(dag, vertex));
            }
            let Anchor::Committed(walk) = &mut anchor else {
                continue;
            };
            let slots = &mut self.rounds[index];
            let mut open: Vec<&mut LeaderSlot> =
                slots.leaders.iter_mut().filter(|leader| leader.decided.is_none()).collect();
            if open.is_empty() {
                continue;
            }
            let above = walk.descend_to(round.plus(2));
            for leader in &mut open {
                let outcome = decide_by(dag, self.thresholds, leader, &above);
                leader.decided = Some((outcome, Rule::Indirect));
            }
        }
    }

    /// Takes the next decision in order, if it is made.
    pub fn next_decision(&mut self) -> Option<Decision> {
        loop {
            let slots = self.rounds.front_mut()?;
            let Some(leader) = slots.leaders.first() else {
                // Only a round that is over may be left behind: its successor is scheduled.
                if self.rounds.len() < 2 {
                    return None;
                }
                self.rounds.pop_front();
                self.first_round = self.first_round.next();
                continue;
            };
            let (outcome, rule) = leader.decided?;
            let slot = leader.slot;
            slots.leaders.remove(0);
            return Some(Decision { slot, outcome, rule });
        }
    }

    /// All slots above the decided prefix, in order, with what is decided for them.
    pub fn pending(&self) -> impl Iterator<Item = (Slot, Option<(Outcome, Rule)>)> + '_ {
        self.rounds
            .iter()
            .flat_map(|slots| &slots.leaders)
            .map(|leader| (leader.slot, leader.decided))
    }

    /// The leader slots of a round that are not sequenced yet.
    pub fn leaders_of(&self, round: Round) -> impl Iterator<Item = Slot> + '_ {
        let offset = round.0.checked_sub(self.first_round.0);
        let slots = offset.and_then(|offset| self.rounds.get(offset as usize));
        slots.into_iter().flat_map(|slots| &slots.leaders).map(|leader| leader.slot)
    }

    fn round_mut(&mut self, round: Round) -> Option<&mut RoundSlots> {
        let offset = round.0.checked_sub(self.first_round.0)?;
        self.rounds.get_mut(usize::try_from(offset).ok()?)
    }
}

/// The anchor of the slots three rounds and more below.
enum Anchor<'a, B> {
    /// All slots above are skipped, or there are none.
    None,
    /// The first slot above that is not skipped is not decided.
    Undecided,
    /// It committed a block, whose history is walked down once for all the slots it decides.
    Committed(Walk<'a, B>),
}

impl<'a, B> Anchor<'a, B> {
    fn at(dag: &'a Dag<B>, vertex: Vertex) -> Self {
        Self::Committed(Walk::from(dag, vertex))
    }
}

/// The committed block of the first slot that is not skipped, or nothing in it if that slot is
/// undecided.
fn first_not_skipped(slots: &RoundSlots) -> Option<Option<Vertex>> {
    slots.leaders.iter().find_map(|leader| match leader.decided {
        Some((Outcome::Skip, _)) => None,
        Some((Outcome::Commit(anchor), _)) => Some(Some(anchor)),
        None => Some(None),
    })
}

/// The block that some block of round r+2 in the anchor's history certifies; else a skip.
fn decide_by<B>(
    dag: &Dag<B>,
    thresholds: Thresholds,
    leader: &LeaderSlot,
    history: &[Vertex],
) -> Outcome {
    let certified = leader.candidates.iter().find(|candidate| {
        history.iter().filter_map(|vertex| dag.node(*vertex)).any(|node| {
            let parents = ParentsAbove::of(dag, node);
            thresholds.certifies(candidate.voting_parents_weight(dag, &parents))
        })
    });
    certified.map_or(Outcome::Skip, |candidate| Outcome::Commit(candidate.vertex))
}

/// All blocks of a layer.
fn vertices<B>(round: Round, layer: &Layer<B>) -> Vec<Vertex> {
    let first = layer.present().iter().map(|author| Vertex { round, author, sibling: 0 });
    first.chain(layer.siblings().iter().map(|(vertex, _)| *vertex)).collect()
}

#[cfg(test)]
mod tests;
