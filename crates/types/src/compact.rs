//! How a block travels: parents as bitmaps, rebuilt by the receiver from its DAG.
//!
//! A full reference takes 42 bytes and a block of a committee of 100 has 100 of them, six
//! times its signature. The signed digest commits to the full references, so a receiver that
//! rebuilds wrong ones sees the signature fail, and asks for them in full.

use borsh::{BorshDeserialize, BorshSerialize};
use qcn_crypto::{ChainId, Signature};

use crate::{
    Attestation, AuthorSet, Block, BlockBody, BlockRef, Bounded, Committee, MAX_ATTESTATIONS,
    MAX_MEMBERS, Payload, Round, Slot, ValidatorIndex, genesis_ref,
};

/// The most layers of parents below a block.
pub const MAX_PARENT_LAYERS: usize = 64;

/// The parents in one round.
#[derive(Clone, Copy, PartialEq, Eq, Debug, BorshSerialize, BorshDeserialize)]
pub struct ParentLayer {
    /// How many rounds below the block.
    pub depth: u8,
    /// Whose blocks.
    pub authors: AuthorSet,
}

/// The parents of a block on the wire.
#[derive(Clone, PartialEq, Eq, Debug, BorshSerialize, BorshDeserialize)]
pub enum CompactParents {
    /// By slot: layers of rising depth, and the authors referenced at the genesis round.
    Slots {
        /// The layers, shallow first.
        layers: Bounded<ParentLayer, MAX_PARENT_LAYERS>,
        /// Whose implicit genesis blocks are parents.
        genesis: AuthorSet,
    },
    /// In full, for a receiver that asked: it lacks a parent or knows two blocks in a slot.
    Full(Bounded<BlockRef, MAX_MEMBERS>),
}

/// A signed block as it travels. Chain, shard and epoch are those of the connection.
#[derive(Clone, PartialEq, Eq, Debug, BorshSerialize, BorshDeserialize)]
pub struct CompactBlock {
    /// The round.
    pub round: Round,
    /// The author.
    pub author: ValidatorIndex,
    /// The author's clock, in milliseconds.
    pub time_ms: u64,
    /// The parents.
    pub parents: CompactParents,
    /// Transactions and evidence.
    pub payload: Payload,
    /// Attested checkpoints.
    pub attestations: Bounded<Attestation, MAX_ATTESTATIONS>,
    /// Over the digest of the full block.
    pub signature: Signature,
}

/// Why the parents could not be rebuilt.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum RebuildError {
    /// Slots for which the receiver knows no block, or more than one.
    #[error("{} parents are unknown or ambiguous", .0.len())]
    Unresolved(Vec<Slot>),
    /// The layers are out of order, empty, name an author twice, or reach below the genesis.
    #[error("the parent layers are not canonical")]
    NotCanonical,
}

impl CompactParents {
    /// Packs full references by slot, or keeps them full where a layer is out of reach.
    #[must_use]
    pub fn pack(round: Round, parents: &[BlockRef]) -> Self {
        let mut genesis = AuthorSet::EMPTY;
        let mut layers: Vec<ParentLayer> = Vec::new();
        let full = || Self::Full(Bounded::truncated(parents.to_vec()));
        for parent in parents {
            if parent.round == Round::GENESIS {
                genesis.insert(parent.author);
                continue;
            }
            let Ok(depth) = u8::try_from(round.0.saturating_sub(parent.round.0)) else {
                return full();
            };
            match layers.binary_search_by_key(&depth, |layer| layer.depth) {
                Ok(at) => {
                    layers[at].authors.insert(parent.author);
                }
                Err(at) => {
                    let authors = AuthorSet::from_iter([parent.author]);
                    layers.insert(at, ParentLayer { depth, authors });
                }
            }
        }
        match Bounded::new(layers) {
            Ok(layers) => Self::Slots { layers, genesis },
            Err(_) => full(),
        }
    }

    /// The slots named, own author first and then by author, as parents are ordered.
    ///
    /// # Errors
    /// [`RebuildError::NotCanonical`] if the layers are not as [`Self::pack`] makes them.
    pub fn slots(&self, own: Slot) -> Result<Vec<Slot>, RebuildError> {
        let (layers, genesis) = match self {
            Self::Full(parents) => return Ok(parents.iter().map(BlockRef::slot).collect()),
            Self::Slots { layers, genesis } => (layers, genesis),
        };
        let mut seen = *genesis;
        let mut depth_before = 0;
        for layer in layers {
            let depth = u64::from(layer.depth);
            let canonical = layer.depth > depth_before
                && depth < own.round.0
                && !layer.authors.is_empty()
                && layer.authors.intersection(&seen).is_empty();
            if !canonical {
                return Err(RebuildError::NotCanonical);
            }
            depth_before = layer.depth;
            seen = seen.union(&layer.authors);
        }
        let round_of = |author: ValidatorIndex| {
            let layer = layers.iter().find(|layer| layer.authors.contains(author));
            layer.map_or(Round::GENESIS, |layer| own.round.minus(u64::from(layer.depth)))
        };
        let mut slots = Vec::with_capacity(seen.len());
        if seen.remove(own.author) {
            slots.push(Slot { round: round_of(own.author), author: own.author });
        }
        slots.extend(seen.iter().map(|author| Slot { round: round_of(author), author }));
        Ok(slots)
    }
}

impl CompactBlock {
    /// Packs a block for the wire.
    #[must_use]
    pub fn pack(block: &Block) -> Self {
        Self {
            parents: CompactParents::pack(block.body.round, &block.body.parents),
            ..Self::in_full(block)
        }
    }

    /// The block with full references, for a receiver that asked.
    #[must_use]
    pub fn in_full(block: &Block) -> Self {
        let body = &block.body;
        Self {
            round: body.round,
            author: body.author,
            time_ms: body.time_ms,
            parents: CompactParents::Full(Bounded::truncated(body.parents.clone())),
            payload: body.payload.clone(),
            attestations: body.attestations.clone(),
            signature: block.signature.clone(),
        }
    }

    /// The slot that the block fills.
    #[must_use]
    pub const fn slot(&self) -> Slot {
        Slot { round: self.round, author: self.author }
    }

    /// Rebuilds the full references. `resolve` gives the one block known in a slot, or
    /// nothing if there is none or more than one.
    ///
    /// # Errors
    /// [`RebuildError`]; the slots that could not be resolved are what to ask for.
    pub fn rebuild_parents(
        &self,
        chain: ChainId,
        committee: &Committee,
        mut resolve: impl FnMut(Slot) -> Option<BlockRef>,
    ) -> Result<Vec<BlockRef>, RebuildError> {
        if let CompactParents::Full(parents) = &self.parents {
            return Ok(parents.to_vec());
        }
        let slots = self.parents.slots(self.slot())?;
        let mut parents = Vec::with_capacity(slots.len());
        let mut unresolved = Vec::new();
        for slot in slots {
            let known = if slot.round == Round::GENESIS {
                Some(genesis_ref(chain, committee.shard(), committee.epoch(), slot.author))
            } else {
                resolve(slot)
            };
            match known {
                Some(reference) => parents.push(reference),
                None => unresolved.push(slot),
            }
        }
        if unresolved.is_empty() { Ok(parents) } else { Err(RebuildError::Unresolved(unresolved)) }
    }

    /// The block with the given full references.
    #[must_use]
    pub fn with_parents(
        self,
        chain: ChainId,
        committee: &Committee,
        parents: Vec<BlockRef>,
    ) -> Block {
        Block {
            body: BlockBody {
                chain,
                shard: committee.shard(),
                epoch: committee.epoch(),
                round: self.round,
                author: self.author,
                time_ms: self.time_ms,
                parents,
                payload: self.payload,
                attestations: self.attestations,
            },
            signature: self.signature,
        }
    }
}

#[cfg(test)]
mod tests;
