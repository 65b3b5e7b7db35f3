//! The hashing rules of the authenticated state, and its proofs (DESIGN section 6).
//!
//! The state maps keys of [`KEY_BITS`] bits to short values. Over it stands a compact sparse
//! Merkle tree; the hash of the subtree at depth d over a set of records whose keys share
//! their first d bits is
//!
//! - of no record: zero;
//! - of one record: `H(leaf, key || value)`, at any depth, so that paths are about log2(n) long;
//! - of more: let b >= d be the first bit in which the keys differ. The subtree branches there:
//!   `core = H(node, left || right)` over the subtrees of depth b + 1, and its hash is `core`
//!   if b = d, else `H(node, (b - d) || core)`.
//!
//! The last line is what a tree without it would spend b - d nodes on. Addresses are not
//! all hashes (anyone may pay to 32 arbitrary bytes), and two that agree in 250 bits would
//! otherwise cost every validator 250 nodes for the price of one transfer.
//!
//! The shape follows from the set of keys alone, so the root does not depend on history. A
//! search looks only at the bits where the tree branches and always ends at one record: if
//! that record's key is another one, the key searched for is absent. So a proof of absence
//! is the proof of presence of the record where the search ends.

use borsh::{BorshDeserialize, BorshSerialize};
use qcn_crypto::{Digest, Domain, hash, hash_pair};
use qcn_types::Bounded;

/// The length of a key in bytes.
pub const KEY_BYTES: usize = 33;
/// The length of a key in bits.
pub const KEY_BITS: u16 = 8 * KEY_BYTES as u16;
/// The longest value, in bytes. Larger things are stored elsewhere under their digest.
pub const MAX_VALUE_BYTES: usize = 1024;

/// What a record is. The kind is the last byte of the key, so that nobody who chooses an
/// address can occupy the place of a module's record.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, BorshSerialize, BorshDeserialize,
)]
#[borsh(use_discriminant = true)]
#[repr(u8)]
pub enum RecordKind {
    /// An account, under its address.
    Account = 0,
    /// A record of the bank, under a fixed digest.
    Bank = 1,
    /// A lane to another shard.
    Lane = 2,
    /// A batch on a lane that is not acknowledged.
    Batch = 3,
    /// A receipt on a lane that is not acknowledged.
    Receipt = 4,
    /// What the beacon says about a validator, under its number.
    Validator = 5,
    /// A piece of the beacon's other records.
    Beacon = 6,
}

/// The name of a record. Sorts as its bits do: a subtree is a range of keys.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, BorshSerialize, BorshDeserialize,
)]
pub struct StateKey {
    /// The address, or a digest of a module's own.
    pub id: Digest,
    /// What the record is.
    pub kind: RecordKind,
}

impl StateKey {
    /// The bits of the key, the first being the highest of the first byte.
    #[must_use]
    pub fn to_bytes(&self) -> [u8; KEY_BYTES] {
        let mut bytes = [self.kind as u8; KEY_BYTES];
        bytes[..32].copy_from_slice(self.id.as_bytes());
        bytes
    }

    /// The bit at `position`, the first being the highest of the first byte.
    ///
    /// Positions from [`KEY_BITS`] on are zero.
    #[must_use]
    pub const fn bit(&self, position: u16) -> bool {
        let index = position as usize / 8;
        let byte = match index {
            0..32 => self.id.0[index],
            32 => self.kind as u8,
            _ => 0,
        };
        byte >> (7 - position % 8) & 1 == 1
    }

    /// How many first bits the two keys share; [`KEY_BITS`] if they are equal.
    #[must_use]
    pub fn shared_bits(&self, other: &Self) -> u16 {
        let differ = self.id.0.iter().zip(&other.id.0).position(|(ours, theirs)| ours != theirs);
        let (index, difference) = match differ {
            Some(index) => (index, self.id.0[index] ^ other.id.0[index]),
            None => (32, self.kind as u8 ^ other.kind as u8),
        };
        index as u16 * 8 + difference.leading_zeros() as u16
    }
}

/// A record of the state.
#[derive(Clone, PartialEq, Eq, Debug, BorshSerialize, BorshDeserialize)]
pub struct StateEntry {
    /// Its name.
    pub key: StateKey,
    /// Its canonical bytes.
    pub value: Bounded<u8, MAX_VALUE_BYTES>,
}

/// The hash of a subtree with one record.
#[must_use]
pub fn leaf_hash(key: &StateKey, value: &[u8]) -> Digest {
    // Accounts fit into the array; hashing in one piece is twice as fast as in three.
    let mut short = [0; 128];
    let length = KEY_BYTES + value.len();
    if length > short.len() {
        return hash(Domain::StateLeaf, &[key.to_bytes().as_slice(), value].concat());
    }
    short[..KEY_BYTES].copy_from_slice(&key.to_bytes());
    short[KEY_BYTES..length].copy_from_slice(value);
    hash(Domain::StateLeaf, &short[..length])
}

/// The hash of a subtree with two records or more, whose first `skip` bits are shared by all.
#[must_use]
pub fn branch_hash(skip: u16, left: &Digest, right: &Digest) -> Digest {
    let core = hash_pair(Domain::StateNode, left, right);
    if skip == 0 {
        return core;
    }
    let mut bytes = [0; 34];
    bytes[..2].copy_from_slice(&skip.to_le_bytes());
    bytes[2..].copy_from_slice(core.as_bytes());
    hash(Domain::StateNode, &bytes)
}

/// One branching on the way from the root to a record.
#[derive(Clone, Copy, PartialEq, Eq, Debug, BorshSerialize, BorshDeserialize)]
pub struct ProofStep {
    /// How many bits the tree skips before it branches.
    pub skip: u16,
    /// The hash of the subtree beside the way.
    pub sibling: Digest,
}

/// The branchings from the root down, at most one per bit.
pub type Steps = Bounded<ProofStep, { KEY_BITS as usize }>;

/// Shows the record at which the search for a key ends.
#[derive(Clone, PartialEq, Eq, Debug, BorshSerialize, BorshDeserialize)]
pub struct StateProof {
    /// The way from the root to the record.
    pub steps: Steps,
    /// The record; nothing in an empty state.
    pub found: Option<StateEntry>,
}

/// Why a proof shows nothing. Each is the fault of whoever made it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ProofError {
    /// The steps go further than a key is long.
    #[error("the way is longer than a key")]
    TooDeep,
    /// The search for the key would have left the way.
    #[error("the proof is about another key")]
    OtherKey,
    /// The way leads to another root.
    #[error("the proof leads to another root")]
    WrongRoot,
    /// The proven record is no account.
    #[error("the proven record is no account")]
    NotAnAccount,
    /// The proven record is no validator.
    #[error("the proven record is no validator")]
    NotAValidator,
}

impl StateProof {
    /// The value under `key` in the state with this root, or nothing if there is none.
    ///
    /// # Errors
    /// [`ProofError`] if the proof does not show either.
    pub fn verify(&self, root: &Digest, key: &StateKey) -> Result<Option<&[u8]>, ProofError> {
        let Some(entry) = &self.found else {
            let is_empty = self.steps.is_empty() && *root == Digest::ZERO;
            return if is_empty { Ok(None) } else { Err(ProofError::WrongRoot) };
        };
        let bottom = leaf_hash(&entry.key, &entry.value);
        if root_above(&self.steps, &entry.key, bottom)? != *root {
            return Err(ProofError::WrongRoot);
        }
        if entry.key == *key {
            return Ok(Some(&entry.value));
        }
        let same_way = branch_bits(&self.steps).all(|bit| entry.key.bit(bit) == key.bit(bit));
        if same_way { Ok(None) } else { Err(ProofError::OtherKey) }
    }
}

/// The root above a subtree with the hash `bottom`, reached by the bits of `key`.
///
/// # Errors
/// [`ProofError::TooDeep`] if the steps are more than a key has bits.
pub fn root_above(
    steps: &[ProofStep],
    key: &StateKey,
    bottom: Digest,
) -> Result<Digest, ProofError> {
    let mut depth = depth_below(steps)?;
    let mut hash = bottom;
    for step in steps.iter().rev() {
        depth -= 1;
        hash = if key.bit(depth) {
            branch_hash(step.skip, &step.sibling, &hash)
        } else {
            branch_hash(step.skip, &hash, &step.sibling)
        };
        depth -= step.skip;
    }
    Ok(hash)
}

/// How many bits of a key the steps decide.
///
/// # Errors
/// [`ProofError::TooDeep`] if they are more than a key has.
pub fn depth_below(steps: &[ProofStep]) -> Result<u16, ProofError> {
    let depth: u64 = steps.iter().map(|step| u64::from(step.skip) + 1).sum();
    u16::try_from(depth).ok().filter(|depth| *depth <= KEY_BITS).ok_or(ProofError::TooDeep)
}

/// The positions at which the tree branches, from the root down.
pub fn branch_bits(steps: &[ProofStep]) -> impl Iterator<Item = u16> {
    steps.iter().scan(0_u16, |depth, step| {
        let position = depth.saturating_add(step.skip);
        *depth = position.saturating_add(1);
        Some(position)
    })
}

#[cfg(test)]
mod tests;
