//! The blocks of the last rounds and how they reference each other.
//!
//! The DAG keeps shape only: what a vertex carries is the caller's business (`B`), so that
//! the machine (verified blocks) and `qcn dag` (names) run the same commit rule.
//!
//! Almost every slot holds one block, so a vertex names its parents of the round before as a
//! bitmap of authors, meaning the *first* block that this validator took into each slot. Later
//! blocks of a slot (an equivocator's) are kept beside and referenced one by one. Which block
//! came first differs between validators; nothing but the representation depends on it.
//!
//! **Invariant**: a vertex is in the DAG only if all its parents above the floor are.

use std::collections::VecDeque;

use qcn_crypto::Digest;
use qcn_types::{AuthorSet, BlockRef, Committee, Round, Slot, ValidatorIndex};

use crate::limits::MAX_SIBLINGS;

/// Where a vertex is kept: its slot, and 0 for the slot's first block.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Vertex {
    /// The round.
    pub round: Round,
    /// The author.
    pub author: ValidatorIndex,
    /// 0 for the first block of the slot, then in order of arrival.
    pub sibling: u16,
}

impl Vertex {
    /// The slot.
    #[must_use]
    pub const fn slot(self) -> Slot {
        Slot { round: self.round, author: self.author }
    }
}

/// The parents of a vertex above the floor.
#[derive(Clone, Debug, Default)]
pub struct Links {
    /// Authors of the round before whose first block is a parent.
    pub previous: AuthorSet,
    /// All other parents: later blocks of a slot, and blocks of lower rounds.
    pub others: Vec<Vertex>,
}

impl Links {
    /// Whether `vertex` of the round before is a parent.
    #[must_use]
    pub fn contains(&self, vertex: Vertex) -> bool {
        if vertex.sibling == 0 && self.previous.contains(vertex.author) {
            return true;
        }
        !self.others.is_empty() && self.others.contains(&vertex)
    }
}

/// A block in the DAG.
#[derive(Clone, Debug)]
pub struct Node<B> {
    /// Its name.
    pub reference: BlockRef,
    /// Its parents.
    pub links: Links,
    /// Its time, in milliseconds.
    pub time_ms: u64,
    /// What it carries.
    pub content: B,
}

/// The blocks of one round.
#[derive(Clone, Debug)]
pub struct Layer<B> {
    present: AuthorSet,
    weight: u64,
    digests: Vec<Digest>,
    times_ms: Vec<u64>,
    first: Vec<Option<Node<B>>>,
    siblings: Vec<(Vertex, Node<B>)>,
}

impl<B> Layer<B> {
    fn new(members: usize) -> Self {
        Self {
            present: AuthorSet::EMPTY,
            weight: 0,
            digests: vec![Digest::ZERO; members],
            times_ms: vec![0; members],
            first: std::iter::repeat_with(|| None).take(members).collect(),
            siblings: Vec::new(),
        }
    }

    /// The authors with at least one block here.
    #[must_use]
    pub const fn present(&self) -> &AuthorSet {
        &self.present
    }

    /// The weight of [`Self::present`].
    #[must_use]
    pub const fn weight(&self) -> u64 {
        self.weight
    }

    /// The later blocks of slots.
    #[must_use]
    pub fn siblings(&self) -> &[(Vertex, Node<B>)] {
        &self.siblings
    }

    /// The first block of an author.
    #[must_use]
    pub fn first(&self, author: ValidatorIndex) -> Option<&Node<B>> {
        self.first.get(author.position())?.as_ref()
    }
}

/// Why a block did not go in.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum InsertError {
    /// It is in already.
    Duplicate,
    /// Its round is at or below the floor, or its author is no member.
    OutOfRange,
    /// The slot holds more blocks than are kept.
    TooManySiblings,
    /// These parents above the floor are not in.
    MissingParents(Vec<BlockRef>),
}

/// The DAG above its floor.
#[derive(Clone, Debug)]
pub struct Dag<B> {
    members: usize,
    weights: Vec<u64>,
    /// Blocks at or below are neither taken in nor committed; parents there count as present.
    floor: Round,
    /// The round of the first layer kept; some below the floor stay to be served.
    base: u64,
    layers: VecDeque<Layer<B>>,
    blocks: usize,
}

impl<B> Dag<B> {
    /// An empty DAG whose floor is the genesis round.
    #[must_use]
    pub fn new(committee: &Committee) -> Self {
        Self {
            members: committee.len(),
            weights: committee.indices().map(|index| committee.weight(index)).collect(),
            floor: Round::GENESIS,
            base: 1,
            layers: VecDeque::new(),
            blocks: 0,
        }
    }

    /// The floor: blocks of this round and below are settled.
    #[must_use]
    pub const fn floor(&self) -> Round {
        self.floor
    }

    /// The highest round with a block, or the floor.
    #[must_use]
    pub fn highest_round(&self) -> Round {
        Round((self.base + self.layers.len() as u64).saturating_sub(1)).max(self.floor)
    }

    /// How many blocks are kept.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.blocks
    }

    /// Whether nothing is kept.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.blocks == 0
    }

    /// The blocks of a round.
    #[must_use]
    pub fn layer(&self, round: Round) -> Option<&Layer<B>> {
        let offset = round.0.checked_sub(self.base)?;
        self.layers.get(usize::try_from(offset).ok()?)
    }

    /// The weight of the authors with a block in `round`.
    #[must_use]
    pub fn weight(&self, round: Round) -> u64 {
        self.layer(round).map_or(0, Layer::weight)
    }

    /// A block by place.
    #[must_use]
    pub fn node(&self, vertex: Vertex) -> Option<&Node<B>> {
        let layer = self.layer(vertex.round)?;
        if vertex.sibling == 0 {
            return layer.first(vertex.author);
        }
        layer.siblings.iter().find(|(place, _)| *place == vertex).map(|(_, node)| node)
    }

    /// The places of all blocks in a slot.
    pub fn in_slot(&self, slot: Slot) -> impl Iterator<Item = Vertex> + '_ {
        let layer = self.layer(slot.round);
        let first = layer.and_then(|layer| layer.first(slot.author)).map(|_| Vertex {
            round: slot.round,
            author: slot.author,
            sibling: 0,
        });
        let siblings = layer.into_iter().flat_map(|layer| &layer.siblings);
        first.into_iter().chain(
            siblings.map(|(place, _)| *place).filter(move |place| place.author == slot.author),
        )
    }

    /// The name of the only block in a slot: nothing if there is none or more than one.
    #[must_use]
    pub fn unique(&self, slot: Slot) -> Option<BlockRef> {
        let layer = self.layer(slot.round)?;
        if !layer.present.contains(slot.author) {
            return None;
        }
        let ambiguous = !layer.siblings.is_empty()
            && layer.siblings.iter().any(|(place, _)| place.author == slot.author);
        if ambiguous {
            return None;
        }
        let digest = layer.digests[slot.author.position()];
        Some(BlockRef { round: slot.round, author: slot.author, digest })
    }

    /// The place of a block by name.
    #[must_use]
    pub fn find(&self, reference: &BlockRef) -> Option<Vertex> {
        let layer = self.layer(reference.round)?;
        if !layer.present.contains(reference.author) {
            return None;
        }
        if layer.digests[reference.author.position()] == reference.digest {
            return Some(Vertex { round: reference.round, author: reference.author, sibling: 0 });
        }
        layer.siblings.iter().find(|(_, node)| node.reference == *reference).map(|(at, _)| *at)
    }

    /// The time of a block by name, in milliseconds.
    #[must_use]
    pub fn time_ms(&self, reference: &BlockRef) -> Option<u64> {
        let vertex = self.find(reference)?;
        if vertex.sibling == 0 {
            return self.layer(vertex.round)?.times_ms.get(vertex.author.position()).copied();
        }
        self.node(vertex).map(|node| node.time_ms)
    }

    /// Takes a block in, if all its parents above the floor are.
    ///
    /// # Errors
    /// [`InsertError`]; nothing changed.
    pub fn insert(
        &mut self,
        reference: BlockRef,
        parents: &[BlockRef],
        time_ms: u64,
        content: B,
    ) -> Result<Vertex, InsertError> {
        if reference.round <= self.floor || reference.author.position() >= self.members {
            return Err(InsertError::OutOfRange);
        }
        if self.find(&reference).is_some() {
            return Err(InsertError::Duplicate);
        }
        let links = self.link(reference.round, parents)?;
        let vertex = self.place(reference.slot())?;
        while self.base + self.layers.len() as u64 <= reference.round.0 {
            self.layers.push_back(Layer::new(self.members));
        }
        let offset = (reference.round.0 - self.base) as usize;
        let layer = &mut self.layers[offset];
        let node = Node { reference, links, time_ms, content };
        if vertex.sibling == 0 {
            let position = reference.author.position();
            layer.present.insert(reference.author);
            layer.weight += self.weights[position];
            layer.digests[position] = reference.digest;
            layer.times_ms[position] = time_ms;
            layer.first[position] = Some(node);
        } else {
            layer.siblings.push((vertex, node));
        }
        self.blocks += 1;
        Ok(vertex)
    }

    fn place(&self, slot: Slot) -> Result<Vertex, InsertError> {
        let sibling = self.in_slot(slot).count();
        if sibling > MAX_SIBLINGS {
            return Err(InsertError::TooManySiblings);
        }
        Ok(Vertex { round: slot.round, author: slot.author, sibling: sibling as u16 })
    }

    fn link(&self, round: Round, parents: &[BlockRef]) -> Result<Links, InsertError> {
        let previous_round = round.previous();
        let previous = self.layer(previous_round);
        let mut links = Links::default();
        let mut missing = Vec::new();
        for parent in parents {
            if parent.round <= self.floor {
                continue;
            }
            if parent.round == previous_round
                && let Some(layer) = previous
                && layer.digests.get(parent.author.position()) == Some(&parent.digest)
                && layer.present.contains(parent.author)
            {
                links.previous.insert(parent.author);
                continue;
            }
            match self.find(parent) {
                Some(vertex) => links.others.push(vertex),
                None => missing.push(*parent),
            }
        }
        if missing.is_empty() { Ok(links) } else { Err(InsertError::MissingParents(missing)) }
    }

    /// Raises the floor, and forgets layers more than `retention` rounds below it.
    pub fn raise_floor(&mut self, floor: Round, retention: u64) {
        if floor <= self.floor {
            return;
        }
        self.floor = floor;
        let keep_from = floor.minus(retention).0.max(1);
        while self.base < keep_from {
            match self.layers.pop_front() {
                Some(layer) => {
                    self.blocks -= layer.present.len() + layer.siblings.len();
                    self.base += 1;
                }
                None => self.base = keep_from,
            }
        }
    }

    /// The blocks of round `target` in the history of `from`, itself included.
    #[must_use]
    pub fn history_at(&self, from: Vertex, target: Round) -> Vec<Vertex> {
        let mut walk = Walk::from(self, from);
        while let Some((round, first, siblings)) = walk.next_layer() {
            if round == target {
                let first = first.iter().map(|author| Vertex { round, author, sibling: 0 });
                return first.chain(siblings).collect();
            }
            if round < target {
                break;
            }
            for author in first.iter() {
                walk.follow(Vertex { round, author, sibling: 0 });
            }
            for sibling in siblings {
                walk.follow(sibling);
            }
        }
        Vec::new()
    }
}

/// A walk through the history of a block, one round at a time, newest first.
#[derive(Debug)]
pub struct Walk<'a, B> {
    dag: &'a Dag<B>,
    /// What is still to be visited below, newest round last.
    pending: VecDeque<(AuthorSet, Vec<Vertex>)>,
    /// The round of the back of `pending`.
    round: Round,
}

impl<'a, B> Walk<'a, B> {
    /// Starts at `from`.
    #[must_use]
    pub fn from(dag: &'a Dag<B>, from: Vertex) -> Self {
        let mut walk = Self { dag, pending: VecDeque::new(), round: from.round };
        walk.pending.push_back((AuthorSet::EMPTY, Vec::new()));
        walk.mark(from);
        walk
    }

    /// The next round down and what is reached in it: first blocks by author, and siblings.
    pub fn next_layer(&mut self) -> Option<(Round, AuthorSet, Vec<Vertex>)> {
        let (first, mut siblings) = self.pending.pop_back()?;
        let round = self.round;
        self.round = round.previous();
        siblings.sort_unstable();
        siblings.dedup();
        Some((round, first, siblings))
    }

    /// Goes on to the parents of a block of the layer that was given last.
    pub fn follow(&mut self, vertex: Vertex) {
        let Some(node) = self.dag.node(vertex) else {
            return;
        };
        if !node.links.previous.is_empty() {
            let pending = self.layer_mut(vertex.round.previous());
            pending.0 = pending.0.union(&node.links.previous);
        }
        for &other in &node.links.others {
            self.mark(other);
        }
    }

    fn mark(&mut self, vertex: Vertex) {
        let pending = self.layer_mut(vertex.round);
        if vertex.sibling == 0 {
            pending.0.insert(vertex.author);
        } else {
            pending.1.push(vertex);
        }
    }

    fn layer_mut(&mut self, round: Round) -> &mut (AuthorSet, Vec<Vertex>) {
        // `self.round` is the round of the back; lower rounds lie in front of it.
        while self.pending.len() as u64 <= self.round.0.saturating_sub(round.0) {
            self.pending.push_front((AuthorSet::EMPTY, Vec::new()));
        }
        let from_back = self.round.0.saturating_sub(round.0) as usize;
        let index = self.pending.len() - 1 - from_back;
        &mut self.pending[index]
    }
}

#[cfg(test)]
mod tests;
