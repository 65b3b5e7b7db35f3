//! Trees taken apart and put together by regions of keys: what a shard does that splits or merges.
//!
//! Subtrees are shared with the trees that they come from, and only the nodes on the border are
//! hashed anew, so the cost does not depend on how many records a region has.

use qcn_light::state::KEY_BITS;

use super::{Batch, Link, StateTree};
use crate::chunks::StateRegion;

impl StateTree {
    /// The records of a region.
    #[must_use]
    pub(crate) fn within(&self, region: &StateRegion) -> Self {
        let mut next = self.root.as_ref();
        while let Some(link) = next {
            match place_of(link, region) {
                Place::Inside => return Self { root: Some(moved_to(link.clone(), 0)) },
                Place::Outside => break,
                Place::Around(bit) => next = child(link, region.bit(bit)),
            }
        }
        Self::default()
    }

    /// The records of a region, hashed as they hang at its depth; nothing if there are none.
    #[must_use]
    pub(crate) fn subtree(&self, region: &StateRegion) -> Option<Link> {
        let link = self.within(region).root?;
        Some(moved_to(link, region.bits()))
    }

    /// The records of disjoint regions, in order.
    #[must_use]
    pub(crate) fn of_parts(parts: impl IntoIterator<Item = (StateRegion, Link)>) -> Self {
        let links = parts.into_iter().map(|(_, link)| Self { root: Some(moved_to(link, 0)) });
        links.fold(Self::default(), Self::union)
    }

    /// All other records.
    #[must_use]
    pub(crate) fn without(&self, region: &StateRegion) -> Self {
        Self { root: self.root.as_ref().and_then(|link| outside(link, 0, region)) }
    }

    /// The records of both; where both have one, the other's.
    #[must_use]
    pub(crate) fn union(self, other: Self) -> Self {
        let root = match (self.root, other.root) {
            (Some(one), Some(other)) => Some(union(one, other, 0)),
            (one, other) => one.or(other),
        };
        Self { root }
    }
}

/// How a subtree lies to a region.
enum Place {
    /// All of it is in the region.
    Inside,
    /// Nothing of it is.
    Outside,
    /// It branches at this bit, above the region.
    Around(u16),
}

fn place_of(link: &Link, region: &StateRegion) -> Place {
    let bit = link.halves().map_or(KEY_BITS, |(bit, ..)| bit);
    let shared = StateRegion::around(link.first_key(), KEY_BITS).shared_bits(region);
    if shared < bit.min(region.bits()) {
        Place::Outside
    } else if region.bits() <= bit {
        Place::Inside
    } else {
        Place::Around(bit)
    }
}

fn child(link: &Link, right: bool) -> Option<&Link> {
    link.halves().map(|(_, left, upper)| if right { upper } else { left })
}

/// What of a subtree at `depth` is not in the region.
fn outside(link: &Link, depth: u16, region: &StateRegion) -> Option<Link> {
    match (place_of(link, region), link.halves()) {
        (Place::Around(bit), Some((_, left, right))) => {
            let is_right = region.bit(bit);
            let (cut, whole) = if is_right { (right, left) } else { (left, right) };
            match outside(cut, bit + 1, region) {
                None => Some(moved_to(whole.clone(), depth)),
                Some(rest) if is_right => Some(Link::join(depth, bit, whole.clone(), rest)),
                Some(rest) => Some(Link::join(depth, bit, rest, whole.clone())),
            }
        }
        (Place::Inside, _) => None,
        _ => Some(link.clone()),
    }
}

/// Both subtrees at `depth` in one.
fn union(one: Link, other: Link, depth: u16) -> Link {
    if one.hash() == other.hash() {
        return other;
    }
    let shared = one.first_key().shared_bits(other.first_key());
    let bit_of = |link: &Link| link.halves().map_or(KEY_BITS, |(bit, ..)| bit);
    let (bit, other_bit) = (bit_of(&one), bit_of(&other));
    let highest = bit.min(other_bit);
    if shared < highest {
        let is_right = one.first_key().bit(shared);
        let (one, other) = (moved_to(one, shared + 1), moved_to(other, shared + 1));
        let (left, right) = if is_right { (other, one) } else { (one, other) };
        return Link::join(depth, shared, left, right);
    }
    let below = |link: &Link| link.halves().map(|(_, left, right)| (left.clone(), right.clone()));
    match (below(&one), below(&other)) {
        // One record under one key.
        (None, None) => other,
        (Some((left, right)), Some((other_left, other_right))) if bit == other_bit => {
            let left = union(left, other_left, bit + 1);
            Link::join(depth, bit, left, union(right, other_right, bit + 1))
        }
        (Some((left, right)), _) if bit == highest => {
            if other.first_key().bit(bit) {
                Link::join(depth, bit, left, union(right, other, bit + 1))
            } else {
                Link::join(depth, bit, union(left, other, bit + 1), right)
            }
        }
        (_, Some((left, right))) => {
            if one.first_key().bit(other_bit) {
                Link::join(depth, other_bit, left, union(one, right, other_bit + 1))
            } else {
                Link::join(depth, other_bit, union(one, left, other_bit + 1), right)
            }
        }
        // The one that branches higher has halves.
        (Some(_), None) => one,
    }
}

/// The subtree where another depth is above it.
fn moved_to(mut link: Link, depth: u16) -> Link {
    Batch { hashes: 0 }.rehash(&mut link, depth);
    link
}

#[cfg(test)]
mod tests;
