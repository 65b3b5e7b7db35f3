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

use std::collections::{BTreeMap, VecDeque};

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
    /// Of first blocks by author, apart from the nodes because those of every parent of every
    /// block above are read. Like the nodes, they take no room until a block comes in.
    digests: Vec<Digest>,
    times_ms: Vec<u64>,
    first: Vec<Option<Box<Node<B>>>>,
    /// Sorted by vertex.
    siblings: Vec<(Vertex, Node<B>)>,
}

impl<B> Layer<B> {
    const fn new() -> Self {
        Self {
            present: AuthorSet::EMPTY,
            weight: 0,
            digests: Vec::new(),
            times_ms: Vec::new(),
            first: Vec::new(),
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
        self.first.get(author.position())?.as_deref()
    }

    /// The later blocks of an author, in order of arrival.
    fn siblings_of(&self, author: ValidatorIndex) -> &[(Vertex, Node<B>)] {
        if self.siblings.is_empty() {
            return &[];
        }
        let start = self.siblings.partition_point(|(place, _)| place.author < author);
        let length = self.siblings[start..].partition_point(|(place, _)| place.author == author);
        &self.siblings[start..start + length]
    }

    fn is_first(&self, reference: &BlockRef) -> bool {
        self.digests.get(reference.author.position()) == Some(&reference.digest)
            && self.present.contains(reference.author)
    }

    fn put(&mut self, vertex: Vertex, node: Node<B>, weights: &[u64]) {
        if vertex.sibling > 0 {
            let at = self.siblings.partition_point(|(place, _)| *place < vertex);
            return self.siblings.insert(at, (vertex, node));
        }
        if self.first.is_empty() {
            self.digests = vec![Digest::ZERO; weights.len()];
            self.times_ms = vec![0; weights.len()];
            self.first = std::iter::repeat_with(|| None).take(weights.len()).collect();
        }
        let position = vertex.author.position();
        self.present.insert(vertex.author);
        self.weight += weights[position];
        self.digests[position] = node.reference.digest;
        self.times_ms[position] = node.time_ms;
        self.first[position] = Some(Box::new(node));
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
    weights: Vec<u64>,
    max_siblings: usize,
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
        let weights = committee.indices().map(|index| committee.weight(index)).collect();
        Self::with_weights(weights, MAX_SIBLINGS)
    }

    /// An empty DAG of authors that are known by their weights only, whose sum must fit 64 bits.
    /// A slot holds up to `max_siblings` blocks besides its first.
    #[must_use]
    pub fn with_weights(weights: Vec<u64>, max_siblings: usize) -> Self {
        Self {
            weights,
            max_siblings: max_siblings.min(usize::from(u16::MAX)),
            floor: Round::GENESIS,
            base: 1,
            layers: VecDeque::new(),
            blocks: 0,
        }
    }

    /// The weight of an author; zero for who is none.
    #[must_use]
    pub fn author_weight(&self, author: ValidatorIndex) -> u64 {
        self.weights.get(author.position()).copied().unwrap_or(0)
    }

    /// The weight of a set of authors.
    #[must_use]
    pub fn weight_of(&self, authors: &AuthorSet) -> u64 {
        authors.iter().map(|author| self.author_weight(author)).sum()
    }

    /// The floor: blocks of this round and below are settled.
    #[must_use]
    pub const fn floor(&self) -> Round {
        self.floor
    }

    /// The lowest round whose blocks are kept.
    #[must_use]
    pub const fn lowest_kept(&self) -> Round {
        Round(self.base)
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
        let at = layer.siblings.binary_search_by_key(&vertex, |(place, _)| *place).ok()?;
        Some(&layer.siblings[at].1)
    }

    /// The places of all blocks in a slot.
    pub fn in_slot(&self, slot: Slot) -> impl Iterator<Item = Vertex> + '_ {
        let Slot { round, author } = slot;
        let layer = self.layer(round).filter(|layer| layer.present.contains(author));
        let first = layer.map(|_| Vertex { round, author, sibling: 0 });
        let siblings = layer.map_or(&[][..], |layer| layer.siblings_of(author));
        first.into_iter().chain(siblings.iter().map(|(place, _)| *place))
    }

    /// The name of the only block in a slot: nothing if there is none or more than one.
    #[must_use]
    pub fn unique(&self, slot: Slot) -> Option<BlockRef> {
        let Slot { round, author } = slot;
        let layer = self.layer(round).filter(|layer| layer.present.contains(author))?;
        let digest = layer.digests[author.position()];
        layer.siblings_of(author).is_empty().then_some(BlockRef { round, author, digest })
    }

    /// The place of a block by name.
    #[must_use]
    pub fn find(&self, reference: &BlockRef) -> Option<Vertex> {
        let layer = self.layer(reference.round)?;
        if layer.is_first(reference) {
            return Some(Vertex { round: reference.round, author: reference.author, sibling: 0 });
        }
        let mut siblings = layer.siblings_of(reference.author).iter();
        siblings.find(|(_, node)| node.reference == *reference).map(|(place, _)| *place)
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
        if reference.round <= self.floor || reference.author.position() >= self.weights.len() {
            return Err(InsertError::OutOfRange);
        }
        if self.find(&reference).is_some() {
            return Err(InsertError::Duplicate);
        }
        let links = self.link(reference.round, parents)?;
        let vertex = self.place(reference.slot())?;
        while self.base + self.layers.len() as u64 <= reference.round.0 {
            self.layers.push_back(Layer::new());
        }
        let offset = (reference.round.0 - self.base) as usize;
        let node = Node { reference, links, time_ms, content };
        self.layers[offset].put(vertex, node, &self.weights);
        self.blocks += 1;
        Ok(vertex)
    }

    fn place(&self, slot: Slot) -> Result<Vertex, InsertError> {
        let sibling = self.in_slot(slot).count();
        if sibling > self.max_siblings {
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
                && layer.is_first(parent)
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

    /// Raises the floor, and forgets layers at or below both it and `keep_above`.
    pub fn raise_floor(&mut self, floor: Round, keep_above: Round) {
        if floor <= self.floor {
            return;
        }
        self.floor = floor;
        let keep_from = keep_above.min(floor).next().0;
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
}

/// A walk through the history of a block, one round at a time, newest first.
#[derive(Debug)]
pub struct Walk<'a, B> {
    dag: &'a Dag<B>,
    /// What is still to be visited: first blocks by author, and siblings.
    pending: BTreeMap<Round, (AuthorSet, Vec<Vertex>)>,
}

impl<'a, B> Walk<'a, B> {
    /// Starts at `from`.
    #[must_use]
    pub fn from(dag: &'a Dag<B>, from: Vertex) -> Self {
        let mut walk = Self { dag, pending: BTreeMap::new() };
        walk.mark(from);
        walk
    }

    /// The next round down in which anything is reached, and what that is: first blocks by
    /// author, and siblings.
    pub fn next_layer(&mut self) -> Option<(Round, AuthorSet, Vec<Vertex>)> {
        let (round, (first, mut siblings)) = self.pending.pop_last()?;
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
            let pending = self.pending.entry(vertex.round.previous()).or_default();
            pending.0 = pending.0.union(&node.links.previous);
        }
        for &other in &node.links.others {
            self.mark(other);
        }
    }

    /// The blocks of `round` in the history; the walk must not have passed it. It stops there.
    pub fn descend_to(&mut self, round: Round) -> Vec<Vertex> {
        while self.pending.last_key_value().is_some_and(|(reached, _)| *reached >= round) {
            let Some((reached, first, mut layer)) = self.next_layer() else {
                break;
            };
            let first = first.iter().map(|author| Vertex { round: reached, author, sibling: 0 });
            layer.extend(first);
            layer.iter().for_each(|vertex| self.follow(*vertex));
            if reached == round {
                return layer;
            }
        }
        Vec::new()
    }

    fn mark(&mut self, vertex: Vertex) {
        let pending = self.pending.entry(vertex.round).or_default();
        if vertex.sibling == 0 {
            pending.0.insert(vertex.author);
        } else {
            pending.1.push(vertex);
        }
    }
}

#[cfg(test)]
mod tests;
