//! The state in pieces for state sync, each checkable against the state root alone.
//!
//! A chunk is a subtree with at most [`MAX_CHUNK_ENTRIES`] records whose parent has more. The
//! cut follows from the state, so all who have the same state cut it alike. It adapts to the
//! keys: anyone may choose the addresses that it pays to, so fixed prefixes would not bound
//! a chunk.

use borsh::{BorshDeserialize, BorshSerialize};
use qcn_crypto::Digest;
use qcn_light::state::{
    KEY_BITS, KEY_BYTES, ProofStep, StateEntry, StateKey, Steps, branch_bits, depth_below,
    root_above,
};
use qcn_types::{Bounded, Prefix};

use crate::tree::{Link, StateTree};

/// The most records in a chunk: about 90 kB of accounts.
pub const MAX_CHUNK_ENTRIES: usize = 1024;

/// All keys that share their first bits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, BorshSerialize, BorshDeserialize)]
pub struct StateRegion {
    /// The shared bits, then zeros.
    path: [u8; KEY_BYTES],
    /// How many bits are shared.
    bits: u16,
}

impl StateRegion {
    /// All keys.
    pub const WHOLE: Self = Self { path: [0; KEY_BYTES], bits: 0 };

    /// The keys of what belongs to the addresses with this prefix, and of all else that happens to
    /// lie there.
    pub(crate) fn of(prefix: Prefix) -> Self {
        let mut path = [0; KEY_BYTES];
        path[..4].copy_from_slice(&prefix.bits().to_be_bytes());
        Self { path, bits: u16::from(prefix.length()) }
    }

    /// The first 64 bits of the shared path, with zeros where it is shorter.
    #[must_use]
    pub fn first_bits(&self) -> u64 {
        let first = self.path.first_chunk().expect("a key has more bytes");
        u64::from_be_bytes(*first)
    }

    /// How many first bits all keys of the region share.
    pub(crate) const fn bits(&self) -> u16 {
        self.bits
    }

    /// The keys that share their first `bits` bits with `key`.
    pub(crate) fn around(key: &StateKey, bits: u16) -> Self {
        let mut path = key.to_bytes();
        for (byte, position) in path.iter_mut().zip((0_u16..).step_by(8)) {
            let kept = bits.saturating_sub(position).min(8);
            *byte &= !(0xff_u16 >> kept) as u8;
        }
        Self { path, bits }
    }

    /// The region beside the one around `key` where the tree branches at `bit`.
    fn beside(key: &StateKey, bit: u16) -> Self {
        let mut region = Self::around(key, bit.saturating_add(1));
        if let Some(byte) = region.path.get_mut(usize::from(bit / 8)) {
            *byte ^= 0x80 >> (bit % 8);
        }
        region
    }

    /// Whether the key lies in the region.
    #[must_use]
    pub fn contains(&self, key: &StateKey) -> bool {
        self.covers(&Self::around(key, KEY_BITS))
    }

    /// Whether all of `other` lies in the region.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        self.bits <= other.bits && self.shared_bits(other) >= self.bits
    }

    /// The bit of the shared path at `position`.
    pub(crate) fn bit(&self, position: u16) -> bool {
        let byte = self.path.get(usize::from(position / 8)).copied().unwrap_or(0);
        byte >> (7 - position % 8) & 1 == 1
    }

    /// How many first bits of the two paths are the same.
    pub(crate) fn shared_bits(&self, other: &Self) -> u16 {
        let differ = self.path.iter().zip(&other.path).position(|(ours, theirs)| ours != theirs);
        differ.map_or(KEY_BITS, |index| {
            let difference = self.path[index] ^ other.path[index];
            index as u16 * 8 + difference.leading_zeros() as u16
        })
    }
}

/// A piece of the state, with the way from the root to it.
#[derive(Clone, PartialEq, Eq, Debug, BorshSerialize, BorshDeserialize)]
pub struct StateChunk {
    /// The branchings from the root down to the subtree.
    pub steps: Steps,
    /// All records of the subtree, in the order of their keys.
    pub entries: Bounded<StateEntry, MAX_CHUNK_ENTRIES>,
}

/// A chunk that was checked: its subtree, and what its way says about the rest.
pub(crate) struct CheckedChunk {
    pub(crate) region: StateRegion,
    pub(crate) link: Link,
    /// The regions beside the way with their hashes, from the root down.
    pub(crate) beside: Vec<(StateRegion, Digest)>,
}

impl StateChunk {
    /// Checks that these are all records of one subtree of the state with this root.
    pub(crate) fn check(&self, root: &Digest) -> Option<CheckedChunk> {
        let (first, last) = (self.entries.first()?, self.entries.last()?);
        let bits = depth_below(&self.steps).ok()?;
        let sorted = self.entries.is_sorted_by(|before, after| before.key < after.key);
        let region = StateRegion::around(&first.key, bits);
        if !sorted || !region.contains(&last.key) {
            return None;
        }
        let link = Link::over(bits, &self.entries)?;
        if root_above(&self.steps, &first.key, link.hash()).ok()? != *root {
            return None;
        }
        let regions = branch_bits(&self.steps).map(|bit| StateRegion::beside(&first.key, bit));
        let beside = regions.zip(self.steps.iter().map(|step| step.sibling)).collect();
        Some(CheckedChunk { region, link, beside })
    }
}

/// How many chunks a state has.
pub(crate) fn chunk_count(tree: &StateTree) -> u32 {
    let mut count = 0_u32;
    let mut open: Vec<&Link> = tree.root_link().into_iter().collect();
    while let Some(link) = open.pop() {
        match halves_of_large(link) {
            None => count = count.saturating_add(1),
            Some((_, left, right)) => open.extend([left, right]),
        }
    }
    count
}

/// All chunks in the order of keys.
pub(crate) fn chunks(tree: &StateTree) -> impl Iterator<Item = StateChunk> {
    // Subtrees still ahead, the next one last, with the length of the way to each.
    let mut open: Vec<(&Link, u16, usize, Option<ProofStep>)> =
        tree.root_link().map(|link| (link, 0, 0, None)).into_iter().collect();
    let mut steps: Vec<ProofStep> = Vec::new();
    std::iter::from_fn(move || {
        while let Some((link, depth, above, step)) = open.pop() {
            steps.truncate(above);
            steps.extend(step);
            let Some((bit, left, right)) = halves_of_large(link) else {
                return Some(cut(link, steps.clone()));
            };
            let step =
                |sibling: &Link| Some(ProofStep { skip: bit - depth, sibling: sibling.hash() });
            open.push((right, bit + 1, steps.len(), step(left)));
            open.push((left, bit + 1, steps.len(), step(right)));
        }
        None
    })
}

/// The first chunk that lies in `region`, or the chunk that the region lies in.
pub(crate) fn chunk_in(tree: &StateTree, region: &StateRegion) -> Option<StateChunk> {
    let mut link = tree.root_link()?;
    let mut depth = 0;
    let mut steps = Vec::new();
    while let Some((bit, left, right)) = halves_of_large(link) {
        // Inside the region, always to the left.
        let to_the_right = bit < region.bits && region.bit(bit);
        let (next, sibling) = if to_the_right { (right, left) } else { (left, right) };
        steps.push(ProofStep { skip: bit - depth, sibling: sibling.hash() });
        depth = bit + 1;
        link = next;
    }
    region_meets(region, link).then(|| cut(link, steps))
}

/// Whether the subtree has a record in the region; a record's key may leave it in a skipped bit.
fn region_meets(region: &StateRegion, link: &Link) -> bool {
    match link.halves() {
        None => region.contains(link.first_key()),
        Some((bit, left, right)) if bit < region.bits => {
            region_meets(region, if region.bit(bit) { right } else { left })
        }
        Some(_) => region.contains(link.first_key()),
    }
}

fn halves_of_large(link: &Link) -> Option<(u16, &Link, &Link)> {
    if link.count() <= MAX_CHUNK_ENTRIES as u64 { None } else { link.halves() }
}

fn cut(link: &Link, steps: Vec<ProofStep>) -> StateChunk {
    let entries = Bounded::truncated(link.entries());
    StateChunk { steps: Bounded::truncated(steps), entries }
}

#[cfg(test)]
mod tests;
