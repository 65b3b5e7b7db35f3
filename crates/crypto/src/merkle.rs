//! Merkle trees with inclusion proofs.
//!
//! The shape is that of RFC 9162: a tree of n leaves splits at the largest
//! power of two below n, so no leaf is ever duplicated. Leaves, nodes and the
//! root are hashed in domains of their own. The root also binds the number of
//! leaves: with the shape fixed by it, a proof can neither claim another index
//! nor another size.

use std::io::{Error, ErrorKind, Read, Result as IoResult};

use borsh::{BorshDeserialize, BorshSerialize};

use crate::{Digest, Domain, Hasher, hash, hash_pair};

/// Most leaves that a tree may have.
pub const MAX_LEAVES: u64 = 1 << 32;

/// Most siblings in a proof: the height of the largest tree.
pub const MAX_SIBLINGS: usize = 32;

/// A tree with all its nodes, ready to prove any leaf.
#[derive(Clone, Debug)]
pub struct MerkleTree {
    /// Leaf hashes first, then each level above; the last has one node, or
    /// none if the tree is empty.
    levels: Vec<Vec<Digest>>,
    root: Digest,
}

impl MerkleTree {
    /// A tree over digests.
    pub fn new(leaves: &[Digest]) -> Self {
        Self::from_bytes(leaves)
    }

    /// A tree over byte strings. A digest and its 32 bytes give the same leaf.
    ///
    /// # Panics
    /// Above [`MAX_LEAVES`] leaves, which no caller can hold in a block.
    pub fn from_bytes<L: AsRef<[u8]>>(leaves: &[L]) -> Self {
        assert!(leaves.len() as u64 <= MAX_LEAVES, "more leaves than a tree may have");
        let hashes: Vec<Digest> = leaves.iter().map(|leaf| leaf_hash(leaf.as_ref())).collect();
        let mut levels = vec![hashes];
        while let Some(above) = levels.last().and_then(|level| level_above(level)) {
            levels.push(above);
        }
        let top = levels.last().and_then(|level| level.first());
        let root = root_hash(leaves.len() as u64, top);
        Self { levels, root }
    }

    /// The digest that commits to all leaves, their order and their number.
    pub fn root(&self) -> Digest {
        self.root
    }

    /// How many leaves there are.
    pub fn leaf_count(&self) -> u64 {
        self.levels[0].len() as u64
    }

    /// The proof for the leaf at `index`, or `None` beyond the last.
    pub fn prove(&self, index: u64) -> Option<InclusionProof> {
        if index >= self.leaf_count() {
            return None;
        }
        let mut position = usize::try_from(index).ok()?;
        let mut siblings = Vec::with_capacity(self.levels.len() - 1);
        for level in &self.levels {
            siblings.extend(level.get(position ^ 1));
            position /= 2;
        }
        Some(InclusionProof { index, leaf_count: self.leaf_count(), siblings })
    }
}

/// The level above, or `None` if this one is the top. A last node without a
/// partner moves up as it is.
fn level_above(level: &[Digest]) -> Option<Vec<Digest>> {
    (level.len() > 1).then(|| level.chunks(2).map(parent).collect())
}

fn parent(pair: &[Digest]) -> Digest {
    match pair {
        [left, right] => hash_pair(Domain::MerkleNode, left, right),
        _ => pair[0],
    }
}

fn leaf_hash(leaf: &[u8]) -> Digest {
    hash(Domain::MerkleLeaf, leaf)
}

fn root_hash(leaf_count: u64, top: Option<&Digest>) -> Digest {
    let mut hasher = Hasher::new(Domain::MerkleRoot);
    hasher.update(&leaf_count.to_le_bytes());
    if let Some(top) = top {
        hasher.update(top.as_bytes());
    }
    hasher.finalize()
}

/// Shows that a leaf stands at an index of a tree whose root is known.
///
/// The number of siblings follows from index and leaf count; another number is
/// refused, by the decoder already.
#[derive(Clone, Debug, PartialEq, Eq, BorshSerialize)]
pub struct InclusionProof {
    /// Position of the leaf, from 0.
    pub index: u64,
    /// Number of leaves in the tree.
    pub leaf_count: u64,
    /// The other halves on the way from the leaf to the top.
    pub siblings: Vec<Digest>,
}

/// Why an inclusion proof is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// The index lies beyond the last leaf.
    #[error("leaf {index} is beyond a tree of {leaf_count} leaves")]
    IndexOutOfRange {
        /// The claimed index.
        index: u64,
        /// The claimed number of leaves.
        leaf_count: u64,
    },
    /// The claimed number of leaves is above [`MAX_LEAVES`].
    #[error("a tree has at most {MAX_LEAVES} leaves, the proof claims {leaf_count}")]
    TooManyLeaves {
        /// The claimed number of leaves.
        leaf_count: u64,
    },
    /// The path has another length than index and leaf count demand.
    #[error("the path to this leaf has {expected} siblings, the proof has {actual}")]
    WrongLength {
        /// Siblings on the path.
        expected: usize,
        /// Siblings in the proof.
        actual: usize,
    },
    /// The path leads to another root.
    #[error("the proof leads to another root")]
    RootMismatch,
}

impl InclusionProof {
    /// Checks that the digest `leaf` is in the tree with this root.
    pub fn verify(&self, root: &Digest, leaf: &Digest) -> Result<(), ProofError> {
        self.verify_bytes(root, leaf.as_bytes())
    }

    /// Checks that the byte string `leaf` is in the tree with this root.
    pub fn verify_bytes(&self, root: &Digest, leaf: &[u8]) -> Result<(), ProofError> {
        self.check_shape()?;
        let mut siblings = self.siblings.iter();
        let mut node = leaf_hash(leaf);
        for side in path(self.index, self.leaf_count) {
            let expected = self.siblings.len();
            let sibling =
                siblings.next().ok_or(ProofError::WrongLength { expected, actual: expected })?;
            node = match side {
                Side::Left => hash_pair(Domain::MerkleNode, sibling, &node),
                Side::Right => hash_pair(Domain::MerkleNode, &node, sibling),
            };
        }
        if root_hash(self.leaf_count, Some(&node)) == *root {
            Ok(())
        } else {
            Err(ProofError::RootMismatch)
        }
    }

    fn check_shape(&self) -> Result<(), ProofError> {
        let (index, leaf_count) = (self.index, self.leaf_count);
        if leaf_count > MAX_LEAVES {
            return Err(ProofError::TooManyLeaves { leaf_count });
        }
        if index >= leaf_count {
            return Err(ProofError::IndexOutOfRange { index, leaf_count });
        }
        let expected = path(index, leaf_count).count();
        let actual = self.siblings.len();
        if expected != actual {
            return Err(ProofError::WrongLength { expected, actual });
        }
        Ok(())
    }
}

/// On which side of the path a sibling stands.
enum Side {
    Left,
    Right,
}

/// The sides of the siblings from the leaf to the top. Levels where the node
/// moves up without a partner are left out.
fn path(index: u64, leaf_count: u64) -> impl Iterator<Item = Side> {
    let mut position = index;
    let mut width = leaf_count;
    std::iter::from_fn(move || {
        while width > 1 {
            let side = match position {
                odd if odd % 2 == 1 => Some(Side::Left),
                even if even + 1 < width => Some(Side::Right),
                _ => None,
            };
            position /= 2;
            width = width.div_ceil(2);
            if side.is_some() {
                return side;
            }
        }
        None
    })
}

impl BorshDeserialize for InclusionProof {
    fn deserialize_reader<R: Read>(reader: &mut R) -> IoResult<Self> {
        let index = u64::deserialize_reader(reader)?;
        let leaf_count = u64::deserialize_reader(reader)?;
        let length = u32::deserialize_reader(reader)? as usize;
        if length > MAX_SIBLINGS {
            return Err(invalid(format!("a proof has at most {MAX_SIBLINGS} siblings")));
        }
        let siblings =
            (0..length).map(|_| Digest::deserialize_reader(reader)).collect::<IoResult<_>>()?;
        let proof = Self { index, leaf_count, siblings };
        proof.check_shape().map_err(|error| invalid(error.to_string()))?;
        Ok(proof)
    }
}

fn invalid(reason: String) -> Error {
    Error::new(ErrorKind::InvalidData, reason)
}

#[cfg(test)]
mod tests;
