//! The state tree in memory: persistent, updated in batches.
//!
//! Its hashing rules are those of [`qcn_light::state`]. A node is reached through a link that
//! carries the node's hash, so that hashing a changed node reads no sibling. Only nodes where
//! the tree branches exist: n records have n - 1 of them, whatever their keys.
//!
//! Clones share all nodes. An update changes a node in place if nobody shares it and copies
//! it otherwise, so a snapshot costs what is changed while it lives.

use std::sync::Arc;

use qcn_crypto::Digest;
use qcn_light::StateProof;
use qcn_light::state::{
    KEY_BITS, MAX_VALUE_BYTES, ProofStep, StateEntry, StateKey, branch_hash, leaf_hash,
};
use qcn_types::Bounded;

mod parts;

/// A key-value map with a root that commits to it.
#[derive(Clone, Default, Debug)]
pub struct StateTree {
    root: Option<Link>,
}

/// What a batch does to one record: a new value, or none any more.
pub type Update = (StateKey, Option<Box<[u8]>>);

/// A subtree and its hash at the depth where the link hangs.
#[derive(Clone, Debug)]
pub(crate) struct Link {
    hash: Digest,
    node: Node,
}

#[derive(Clone, Debug)]
enum Node {
    Leaf(Arc<Leaf>),
    Branch(Arc<Branch>),
}

#[derive(Clone, Debug)]
struct Leaf {
    key: StateKey,
    value: Box<[u8]>,
}

#[derive(Clone, Debug)]
struct Branch {
    left: Link,
    right: Link,
    /// How many records are below.
    count: u64,
    /// The first bit in which keys below differ.
    bit: u16,
}

impl StateTree {
    /// The digest that commits to all records.
    #[must_use]
    pub fn root(&self) -> Digest {
        self.root.as_ref().map_or(Digest::ZERO, |link| link.hash)
    }

    /// How many records there are.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.root.as_ref().map_or(0, Link::count)
    }

    /// Whether there are no records.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.root.is_none()
    }

    /// The value of a record.
    #[must_use]
    pub fn get(&self, key: &StateKey) -> Option<&[u8]> {
        let mut link = self.root.as_ref()?;
        loop {
            match &link.node {
                Node::Branch(branch) => link = branch.child(key.bit(branch.bit)),
                Node::Leaf(leaf) => return (leaf.key == *key).then_some(&*leaf.value),
            }
        }
    }

    /// All records in the order of their keys.
    pub fn iter(&self) -> impl Iterator<Item = (&StateKey, &[u8])> {
        let mut open: Vec<&Link> = self.root.iter().collect();
        std::iter::from_fn(move || {
            let mut link = open.pop()?;
            loop {
                match &link.node {
                    Node::Leaf(leaf) => return Some((&leaf.key, &*leaf.value)),
                    Node::Branch(branch) => {
                        open.push(&branch.right);
                        link = &branch.left;
                    }
                }
            }
        })
    }

    /// Shows that a record is there, or that none is.
    #[must_use]
    pub fn prove(&self, key: &StateKey) -> StateProof {
        // Room for a billion records with random keys.
        let mut steps = Vec::with_capacity(32);
        let mut depth = 0;
        let mut next = self.root.as_ref();
        while let Some(link) = next {
            match &link.node {
                Node::Branch(branch) => {
                    steps.push(branch.step(depth, key.bit(branch.bit)));
                    depth = branch.bit + 1;
                    next = Some(branch.child(key.bit(branch.bit)));
                }
                Node::Leaf(leaf) => {
                    let found = Some(leaf.entry());
                    return StateProof { steps: Bounded::truncated(steps), found };
                }
            }
        }
        StateProof { steps: Bounded::default(), found: None }
    }

    /// Applies a batch, sorted by key without repetition, and hashes every changed node once.
    /// Gives the number of hashes.
    ///
    /// # Panics
    /// If the batch is not sorted, or a value is longer than [`MAX_VALUE_BYTES`].
    pub fn apply(&mut self, mut updates: Vec<Update>) -> u32 {
        let sorted = updates.is_sorted_by(|before, after| before.0 < after.0);
        assert!(sorted, "a batch of updates rises strictly by key");
        let fits = |update: &Update| update.1.as_ref().is_none_or(|v| v.len() <= MAX_VALUE_BYTES);
        assert!(updates.iter().all(fits), "a value fits into a proof");
        let mut batch = Batch { hashes: 0 };
        if let Some(link) = &mut self.root {
            if batch.update(link, 0, &mut updates) == Fate::Gone {
                self.root = None;
            }
        } else {
            self.root = batch.build(0, &mut updates);
        }
        batch.hashes
    }

    pub(crate) const fn root_link(&self) -> Option<&Link> {
        self.root.as_ref()
    }

    pub(crate) const fn from_link(root: Option<Link>) -> Self {
        Self { root }
    }
}

impl Link {
    pub(crate) const fn hash(&self) -> Digest {
        self.hash
    }

    /// How many records are below.
    pub(crate) fn count(&self) -> u64 {
        match &self.node {
            Node::Leaf(_) => 1,
            Node::Branch(branch) => branch.count,
        }
    }

    /// The bit at which the subtree branches and its two halves, if it has more than one record.
    pub(crate) fn halves(&self) -> Option<(u16, &Self, &Self)> {
        match &self.node {
            Node::Leaf(_) => None,
            Node::Branch(branch) => Some((branch.bit, &branch.left, &branch.right)),
        }
    }

    /// The record with the lowest key.
    fn first(&self) -> &Leaf {
        let mut link = self;
        loop {
            match &link.node {
                Node::Leaf(leaf) => return leaf,
                Node::Branch(branch) => link = &branch.left,
            }
        }
    }

    /// The lowest key, which shares its first bits with all keys of the subtree.
    pub(crate) fn first_key(&self) -> &StateKey {
        &self.first().key
    }

    /// A subtree at `depth` that branches at `bit` into two.
    pub(crate) fn join(depth: u16, bit: u16, left: Self, right: Self) -> Self {
        let hash = branch_hash(bit - depth, &left.hash, &right.hash);
        let count = left.count() + right.count();
        Self { hash, node: Node::Branch(Arc::new(Branch { left, right, count, bit })) }
    }

    /// The subtree over sorted records at `depth`.
    pub(crate) fn over(depth: u16, entries: &[StateEntry]) -> Option<Self> {
        let mut updates: Vec<Update> =
            entries.iter().map(|entry| (entry.key, Some((*entry.value).into()))).collect();
        Batch { hashes: 0 }.build(depth, &mut updates)
    }

    /// All records below, in order.
    pub(crate) fn entries(&self) -> Vec<StateEntry> {
        let mut entries = Vec::new();
        let mut open = vec![self];
        while let Some(link) = open.pop() {
            match &link.node {
                Node::Leaf(leaf) => entries.push(leaf.entry()),
                Node::Branch(branch) => open.extend([&branch.right, &branch.left]),
            }
        }
        entries
    }
}

impl Leaf {
    fn entry(&self) -> StateEntry {
        StateEntry { key: self.key, value: Bounded::truncated(self.value.to_vec()) }
    }
}

impl Branch {
    const fn child(&self, right: bool) -> &Link {
        if right { &self.right } else { &self.left }
    }

    /// How a proof passes this branch, if it hangs at `depth`.
    const fn step(&self, depth: u16, right: bool) -> ProofStep {
        ProofStep { skip: self.bit - depth, sibling: self.child(!right).hash }
    }
}

/// What an update left of a subtree.
#[derive(PartialEq, Eq)]
enum Fate {
    Kept,
    /// No record is left; the parent drops the link.
    Gone,
}

/// One pass over the tree, which counts the hashes that it computes.
struct Batch {
    hashes: u32,
}

impl Batch {
    /// Applies updates whose keys share their first `depth` bits with the link's, and sets
    /// the link's hash for that depth. The values are moved out of `updates`.
    fn update(&mut self, link: &mut Link, depth: u16, updates: &mut [Update]) -> Fate {
        if updates.is_empty() {
            return Fate::Kept;
        }
        match &mut link.node {
            Node::Leaf(_) => self.update_leaf(link, depth, updates),
            Node::Branch(branch) => match first_detour(branch, depth, updates) {
                Some(bit) => self.split(link, depth, bit, updates),
                None => self.update_branch(link, depth, updates),
            },
        }
    }

    fn update_leaf(&mut self, link: &mut Link, depth: u16, updates: &mut [Update]) -> Fate {
        let Node::Leaf(shared) = &mut link.node else { return Fate::Kept };
        if let [(key, Some(value))] = updates
            && *key == shared.key
        {
            let leaf = Arc::make_mut(shared);
            leaf.value = std::mem::take(value);
            link.hash = self.leaf_hash(leaf);
            return Fate::Kept;
        }
        let mut merged: Vec<Update> = Vec::with_capacity(updates.len() + 1);
        merged.extend(updates.iter_mut().map(|(key, value)| (*key, value.take())));
        if let Err(at) = merged.binary_search_by(|(key, _)| key.cmp(&shared.key)) {
            merged.insert(at, (shared.key, Some(shared.value.clone())));
        }
        match self.build(depth, &mut merged) {
            Some(built) => {
                *link = built;
                Fate::Kept
            }
            None => Fate::Gone,
        }
    }

    fn update_branch(&mut self, link: &mut Link, depth: u16, updates: &mut [Update]) -> Fate {
        let Node::Branch(shared) = &mut link.node else { return Fate::Kept };
        let branch = Arc::make_mut(shared);
        let below = branch.bit + 1;
        let (left, right) = halves(updates, branch.bit);
        let fates = (
            self.update(&mut branch.left, below, left),
            self.update(&mut branch.right, below, right),
        );
        match fates {
            (Fate::Kept, Fate::Kept) => {
                branch.count = branch.left.count() + branch.right.count();
                link.hash = self.branch_hash(branch, depth);
                return Fate::Kept;
            }
            (Fate::Gone, Fate::Gone) => return Fate::Gone,
            (Fate::Kept, Fate::Gone) => *link = branch.left.clone(),
            (Fate::Gone, Fate::Kept) => *link = branch.right.clone(),
        }
        self.rehash(link, depth);
        Fate::Kept
    }

    /// The updates leave the bits that the subtree skips: it gets a new branch at `bit`.
    fn split(&mut self, link: &mut Link, depth: u16, bit: u16, updates: &mut [Update]) -> Fate {
        let (left, right) = halves(updates, bit);
        let old_is_right = link.first_key().bit(bit);
        let (same, other) = if old_is_right { (right, left) } else { (left, right) };
        let Some(new) = self.build(bit + 1, other) else {
            // Nothing but deletions of what is not there.
            return self.update(link, depth, same);
        };
        if self.update(link, bit + 1, same) == Fate::Gone {
            *link = new;
            self.rehash(link, depth);
            return Fate::Kept;
        }
        let mut old = link.clone();
        self.rehash(&mut old, bit + 1);
        let (left, right) = if old_is_right { (new, old) } else { (old, new) };
        *link = self.join(depth, bit, left, right);
        Fate::Kept
    }

    /// The subtree over the values among `updates`, whose keys share their first `depth` bits.
    fn build(&mut self, depth: u16, updates: &mut [Update]) -> Option<Link> {
        let first = updates.iter().position(|(_, value)| value.is_some())?;
        let last = updates.iter().rposition(|(_, value)| value.is_some())?;
        let updates = &mut updates[first..=last];
        let (first_key, last_key) = (updates.first()?.0, updates.last()?.0);
        let bit = first_key.shared_bits(&last_key);
        if bit >= KEY_BITS {
            let leaf = Leaf { key: first_key, value: updates.first_mut()?.1.take()? };
            let hash = self.leaf_hash(&leaf);
            return Some(Link { hash, node: Node::Leaf(Arc::new(leaf)) });
        }
        let (left, right) = halves(updates, bit);
        let left = self.build(bit + 1, left)?;
        let right = self.build(bit + 1, right)?;
        Some(self.join(depth, bit, left, right))
    }

    fn join(&mut self, depth: u16, bit: u16, left: Link, right: Link) -> Link {
        self.count(branch_hashes(bit - depth));
        Link::join(depth, bit, left, right)
    }

    /// Sets the hash of a subtree that has moved to `depth`. A leaf's does not depend on it.
    fn rehash(&mut self, link: &mut Link, depth: u16) {
        if let Node::Branch(branch) = &link.node {
            link.hash = self.branch_hash(branch, depth);
        }
    }

    const fn count(&mut self, hashes: u32) {
        self.hashes = self.hashes.saturating_add(hashes);
    }

    fn leaf_hash(&mut self, leaf: &Leaf) -> Digest {
        self.count(1);
        leaf_hash(&leaf.key, &leaf.value)
    }

    fn branch_hash(&mut self, branch: &Branch, depth: u16) -> Digest {
        let skip = branch.bit - depth;
        self.count(branch_hashes(skip));
        branch_hash(skip, &branch.left.hash, &branch.right.hash)
    }
}

/// How many hashes a branch takes.
const fn branch_hashes(skip: u16) -> u32 {
    if skip == 0 { 1 } else { 2 }
}

/// The first of the bits that `branch` skips below `depth` in which some update differs.
///
/// The keys of a branch share the skipped bits, so any of its keys tells them. Updates are
/// sorted: if any leaves those bits, the first or the last leaves them earliest.
fn first_detour(branch: &Branch, depth: u16, updates: &[Update]) -> Option<u16> {
    if branch.bit == depth {
        return None;
    }
    let key = branch.left.first_key();
    let (first, last) = (updates.first()?, updates.last()?);
    let bit = key.shared_bits(&first.0).min(key.shared_bits(&last.0));
    (bit < branch.bit).then_some(bit)
}

/// Sorted updates whose keys share all bits before `bit`, parted by that bit.
fn halves(updates: &mut [Update], bit: u16) -> (&mut [Update], &mut [Update]) {
    let middle = updates.partition_point(|(key, _)| !key.bit(bit));
    updates.split_at_mut(middle)
}

#[cfg(test)]
mod tests;
