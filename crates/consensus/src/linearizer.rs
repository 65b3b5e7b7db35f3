//! The order of a commit: the leader's history that no earlier leader brought in, by
//! (round, author, digest) (DESIGN section 5.2).

use std::collections::{BTreeMap, BTreeSet};

use qcn_types::{AuthorSet, BlockRef, Round};

use crate::CommitRecord;
use crate::dag::{Dag, Vertex, Walk};

/// Which blocks above the floor are sequenced.
#[derive(Clone, Debug, Default)]
pub struct Linearizer {
    /// First blocks of slots by author, and siblings, per round.
    sequenced: BTreeMap<Round, (AuthorSet, Vec<Vertex>)>,
    /// Sequenced blocks that are not in the DAG.
    by_name: BTreeSet<BlockRef>,
}

impl Linearizer {
    /// Whether a block is sequenced.
    #[must_use]
    pub fn is_sequenced(&self, vertex: Vertex) -> bool {
        self.sequenced.get(&vertex.round).is_some_and(|(first, siblings)| {
            (vertex.sibling == 0 && first.contains(vertex.author)) || siblings.contains(&vertex)
        })
    }

    /// The linearizer after commits that were not seen: their blocks are known by name only,
    /// and count as sequenced as soon as they enter the DAG.
    #[must_use]
    pub fn resume(records: &[CommitRecord], floor: Round) -> Self {
        let blocks = records.iter().flat_map(|record| &record.blocks);
        let by_name = blocks.filter(|block| block.round > floor).copied().collect();
        Self { sequenced: BTreeMap::new(), by_name }
    }

    /// A block enters the DAG.
    pub fn note_inserted(&mut self, reference: &BlockRef, vertex: Vertex) {
        if self.by_name.is_empty() || !self.by_name.remove(reference) {
            return;
        }
        let entry = self.sequenced.entry(vertex.round).or_default();
        if vertex.sibling == 0 {
            entry.0.insert(vertex.author);
        } else {
            entry.1.push(vertex);
        }
    }

    /// The blocks that `leader` brings in, in order. Blocks at or below `floor` stay out.
    ///
    /// The history of a sequenced block is sequenced down to the floor of its own commit, which
    /// is not above this one's, so the walk stops at sequenced blocks.
    pub fn sequence<B>(&mut self, dag: &Dag<B>, leader: Vertex, floor: Round) -> Vec<Vertex> {
        let mut new: Vec<(BlockRef, Vertex)> = Vec::new();
        let mut walk = Walk::from(dag, leader);
        while let Some((round, first, siblings)) = walk.next_layer() {
            if round <= floor {
                break;
            }
            let (done, done_siblings) = self.sequenced.entry(round).or_default();
            let first = first.difference(done);
            *done = done.union(&first);
            let siblings: Vec<Vertex> =
                siblings.into_iter().filter(|vertex| !done_siblings.contains(vertex)).collect();
            done_siblings.extend_from_slice(&siblings);
            let first = first.iter().map(|author| Vertex { round, author, sibling: 0 });
            for vertex in first.chain(siblings) {
                walk.follow(vertex);
                if let Some(node) = dag.node(vertex) {
                    new.push((node.reference, vertex));
                }
            }
        }
        new.sort_unstable_by_key(|(reference, _)| *reference);
        new.into_iter().map(|(_, vertex)| vertex).collect()
    }

    /// Forgets rounds at or below the floor.
    pub fn raise_floor(&mut self, floor: Round) {
        self.sequenced = self.sequenced.split_off(&floor.next());
        self.by_name.retain(|block| block.round > floor);
    }
}

#[cfg(test)]
mod tests;
