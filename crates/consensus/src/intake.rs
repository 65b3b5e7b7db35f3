//! Blocks that wait: for their parents, for verification, for their time (DESIGN section 5.5).
//!
//! A block travels with its parents as slots. It can be rebuilt, verified and accepted only once
//! a block of each of these slots is in the DAG; until then it waits here, within the budget of
//! the peer that sent it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use borsh::BorshSerialize;
use qcn_types::{BlockRef, CompactBlock, Round, Slot, Time, ValidatorIndex, VerifiedBlock};

use crate::limits::{
    MAX_REMEMBERED_IN_FULL, MAX_VERIFYING_BYTES_PER_PEER, MAX_VERIFYING_PER_PEER,
    MAX_WAITING_BYTES_PER_PEER, MAX_WAITING_PER_PEER,
};

/// A block that waits for parents.
#[derive(Clone, Debug)]
pub struct Waiting {
    /// Who sent it.
    pub from: ValidatorIndex,
    /// The block.
    pub block: Pending,
    missing: usize,
    bytes: usize,
}

/// What of one peer is held, in blocks and in bytes.
#[derive(Clone, Copy, Debug, Default)]
struct Held {
    blocks: usize,
    bytes: usize,
}

impl Held {
    /// Takes in one more, unless that is too many or too long.
    const fn take(&mut self, bytes: usize, max_blocks: usize, max_bytes: usize) -> bool {
        let longer = self.bytes.saturating_add(bytes);
        if self.blocks >= max_blocks || longer > max_bytes {
            return false;
        }
        *self = Self { blocks: self.blocks + 1, bytes: longer };
        true
    }

    const fn give_back(&mut self, bytes: usize) {
        self.blocks = self.blocks.saturating_sub(1);
        self.bytes = self.bytes.saturating_sub(bytes);
    }
}

/// The canonical length, as far as it grows.
fn bytes_of<T: BorshSerialize>(block: &T) -> usize {
    borsh::object_length(block).unwrap_or(usize::MAX)
}

/// A block on its way in.
#[derive(Clone, Debug)]
pub enum Pending {
    /// As it came: its parents are known by slot only, so its signature cannot be checked yet.
    Compact(Arc<CompactBlock>),
    /// With its parents in full, and its signature checked.
    Verified(VerifiedBlock),
}

impl Pending {
    /// The slot that the block fills.
    #[must_use]
    pub fn slot(&self) -> Slot {
        match self {
            Self::Compact(compact) => compact.slot(),
            Self::Verified(block) => block.reference().slot(),
        }
    }

    fn bytes(&self) -> usize {
        match self {
            Self::Compact(compact) => bytes_of(&**compact),
            Self::Verified(block) => bytes_of(&(&block.body.payload, &block.body.attestations)),
        }
    }

    fn is(&self, compact: &CompactBlock) -> bool {
        match self {
            // Whole: a forgery with the genuine block's signature must not stand in its way.
            Self::Compact(known) => **known == *compact,
            Self::Verified(block) => block.signature == compact.signature,
        }
    }
}

/// What was done with a block that lacks parents.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Admission {
    /// It waits.
    Admitted,
    /// The same block waits already.
    Known,
    /// The peer has too many.
    OverBudget,
}

/// The waiting blocks.
#[derive(Clone, Debug, Default)]
pub struct Intake {
    next_id: u64,
    waiting: BTreeMap<u64, Waiting>,
    by_slot: BTreeMap<Slot, Vec<u64>>,
    by_missing: BTreeMap<Slot, Vec<u64>>,
    waiting_per_peer: BTreeMap<ValidatorIndex, Held>,
    verifying: BTreeMap<Slot, Vec<Arc<CompactBlock>>>,
    verifying_per_peer: BTreeMap<ValidatorIndex, Held>,
}

impl Intake {
    /// How many blocks wait or are in verification.
    #[must_use]
    pub fn len(&self) -> usize {
        self.waiting.len() + self.verifying.values().map(Vec::len).sum::<usize>()
    }

    /// Whether the same block is waiting or in verification.
    #[must_use]
    pub fn knows(&self, compact: &CompactBlock) -> bool {
        let slot = compact.slot();
        let mut verifying = self.verifying.get(&slot).into_iter().flatten();
        self.waiting_in(slot).any(|known| known.block.is(compact))
            || verifying.any(|known| **known == *compact)
    }

    fn waiting_in(&self, slot: Slot) -> impl Iterator<Item = &Waiting> {
        let ids = self.by_slot.get(&slot).into_iter().flatten();
        ids.filter_map(|id| self.waiting.get(id))
    }

    /// Whether a block of this slot that this peer sent is waiting.
    #[must_use]
    pub fn has_from(&self, slot: Slot, from: ValidatorIndex) -> bool {
        self.waiting_in(slot).any(|waiting| waiting.from == from)
    }

    /// Whether a block of this slot waits whose signatures are checked. What is not checked counts
    /// for nothing: anybody can send a block in another's name.
    #[must_use]
    pub fn has_verified(&self, slot: Slot) -> bool {
        self.waiting_in(slot).any(|waiting| matches!(waiting.block, Pending::Verified(_)))
    }

    /// Whether this very block waits, verified.
    #[must_use]
    pub fn is_waiting(&self, reference: &BlockRef) -> bool {
        self.waiting_in(reference.slot()).any(|waiting| match &waiting.block {
            Pending::Verified(block) => block.reference() == *reference,
            Pending::Compact(_) => false,
        })
    }

    /// Lets a block wait until blocks for all `missing` slots are accepted.
    pub fn wait(&mut self, from: ValidatorIndex, block: Pending, missing: &[Slot]) -> Admission {
        let known = match &block {
            Pending::Compact(compact) => self.knows(compact),
            Pending::Verified(block) => self.is_waiting(&block.reference()),
        };
        if known {
            return Admission::Known;
        }
        let (bytes, held) = (block.bytes(), self.waiting_per_peer.entry(from).or_default());
        if !held.take(bytes, MAX_WAITING_PER_PEER, MAX_WAITING_BYTES_PER_PEER) {
            return Admission::OverBudget;
        }
        let id = self.next_id;
        self.next_id += 1;
        for slot in missing {
            self.by_missing.entry(*slot).or_default().push(id);
        }
        self.by_slot.entry(block.slot()).or_default().push(id);
        self.waiting.insert(id, Waiting { from, block, missing: missing.len(), bytes });
        Admission::Admitted
    }

    /// A block came into `slot`: gives back the blocks that waited for nothing else.
    pub fn arrived(&mut self, slot: Slot) -> Vec<Waiting> {
        let Some(ids) = self.by_missing.remove(&slot) else {
            return Vec::new();
        };
        let mut ready = Vec::new();
        for id in ids {
            let Some(block) = self.waiting.get_mut(&id) else {
                continue;
            };
            block.missing = block.missing.saturating_sub(1);
            if block.missing == 0 {
                ready.extend(self.take(id));
            }
        }
        ready
    }

    /// The floor rose: blocks at or below it are dropped, and parents there are waited for no
    /// more. Gives back the blocks that waited for nothing else.
    pub fn raise_floor(&mut self, floor: Round) -> Vec<Waiting> {
        let settled: Vec<Slot> = range_to(&self.by_slot, floor);
        for slot in settled {
            for id in self.by_slot.get(&slot).cloned().unwrap_or_default() {
                self.take(id);
            }
        }
        range_to(&self.by_missing, floor).into_iter().flat_map(|slot| self.arrived(slot)).collect()
    }

    /// The highest round of a waiting block, and who sent it.
    #[must_use]
    pub fn highest_waiting(&self) -> Option<(Round, ValidatorIndex)> {
        let (slot, ids) = self.by_slot.last_key_value()?;
        let block = self.waiting.get(ids.first()?)?;
        Some((slot.round, block.from))
    }

    /// Whether a block of another author waits for this slot, at once or through later blocks of
    /// the slot's author: what an honest block builds on has parents of its own.
    #[must_use]
    pub fn is_awaited_by_another(&self, slot: Slot) -> bool {
        let mut chain = vec![slot];
        let mut seen = BTreeSet::new();
        while let Some(awaited) = chain.pop() {
            for id in self.by_missing.get(&awaited).into_iter().flatten() {
                let Some(waiting) = self.waiting.get(id).map(|waiting| waiting.block.slot()) else {
                    continue;
                };
                if waiting.author != slot.author {
                    return true;
                }
                if seen.insert(waiting) {
                    chain.push(waiting);
                }
            }
        }
        false
    }

    /// Notes that a block is being verified; refuses over budget.
    pub fn begin_verification(
        &mut self,
        from: ValidatorIndex,
        compact: &Arc<CompactBlock>,
    ) -> bool {
        let held = self.verifying_per_peer.entry(from).or_default();
        let bytes = bytes_of(&**compact);
        if !held.take(bytes, MAX_VERIFYING_PER_PEER, MAX_VERIFYING_BYTES_PER_PEER) {
            return false;
        }
        self.verifying.entry(compact.slot()).or_default().push(Arc::clone(compact));
        true
    }

    /// Notes that a block came back from verification.
    pub fn end_verification(&mut self, from: ValidatorIndex, compact: &Arc<CompactBlock>) {
        if let Some(held) = self.verifying_per_peer.get_mut(&from) {
            held.give_back(bytes_of(&**compact));
        }
        let slot = compact.slot();
        if let Some(blocks) = self.verifying.get_mut(&slot) {
            if let Some(at) = blocks.iter().position(|block| Arc::ptr_eq(block, compact)) {
                blocks.swap_remove(at);
            }
            if blocks.is_empty() {
                self.verifying.remove(&slot);
            }
        }
    }

    fn take(&mut self, id: u64) -> Option<Waiting> {
        let block = self.waiting.remove(&id)?;
        if let Some(held) = self.waiting_per_peer.get_mut(&block.from) {
            held.give_back(block.bytes);
        }
        let slot = block.block.slot();
        if let Some(ids) = self.by_slot.get_mut(&slot) {
            ids.retain(|other| *other != id);
            if ids.is_empty() {
                self.by_slot.remove(&slot);
            }
        }
        Some(block)
    }
}

fn range_to<T>(map: &BTreeMap<Slot, T>, floor: Round) -> Vec<Slot> {
    map.keys().take_while(|slot| slot.round <= floor).copied().collect()
}

/// Parents to ask for: when, and whom next (DESIGN section 5.5).
#[derive(Clone, Debug, Default)]
pub struct Fetch {
    missing: BTreeMap<Slot, Wanted>,
    due: BTreeMap<(Time, Slot), ()>,
    /// Blocks that peers were asked for with their parents in full: how often, and when it may be
    /// again.
    in_full: BTreeMap<ValidatorIndex, BTreeMap<Slot, (u32, Time)>>,
}

#[derive(Clone, Copy, Debug)]
struct Wanted {
    source: ValidatorIndex,
    attempts: u32,
    at: Time,
}

impl Fetch {
    /// The most attempts that double the pause; then it stays.
    const MAX_DOUBLINGS: u32 = 4;

    /// Wants a slot that a block from `source` references, not before `at`.
    pub fn want(&mut self, slot: Slot, source: ValidatorIndex, at: Time) {
        if self.missing.contains_key(&slot) {
            return;
        }
        self.missing.insert(slot, Wanted { source, attempts: 0, at });
        self.due.insert((at, slot), ());
    }

    /// Whether to ask a peer now for a slot's block with its parents in full: the same block may
    /// come many times by slots, and is asked for with growing pauses.
    pub fn want_in_full(
        &mut self,
        slot: Slot,
        from: ValidatorIndex,
        now: Time,
        pause_us: u64,
    ) -> bool {
        let asked = self.in_full.entry(from).or_default();
        if asked.len() >= MAX_REMEMBERED_IN_FULL && !asked.contains_key(&slot) {
            asked.pop_first();
        }
        let (attempts, at) = asked.entry(slot).or_insert((0, now));
        let due = *at <= now;
        if due {
            *at = now.plus_us(pause_us.saturating_mul(2 << (*attempts).min(Self::MAX_DOUBLINGS)));
            *attempts = attempts.saturating_add(1);
        }
        due
    }

    /// A block came into the slot.
    pub fn arrived(&mut self, slot: Slot) {
        if let Some(wanted) = self.missing.remove(&slot) {
            self.due.remove(&(wanted.at, slot));
        }
    }

    /// Slots at or below the floor are wanted no more.
    pub fn raise_floor(&mut self, floor: Round) {
        for slot in range_to(&self.missing, floor) {
            self.arrived(slot);
        }
        let above = Slot { round: floor.next(), author: ValidatorIndex(0) };
        for asked in self.in_full.values_mut() {
            *asked = asked.split_off(&above);
        }
    }

    /// When the next request is due.
    #[must_use]
    pub fn next_due(&self) -> Option<Time> {
        self.due.first_key_value().map(|((at, _), ())| *at)
    }

    /// How many slots are wanted.
    #[must_use]
    pub fn len(&self) -> usize {
        self.missing.len()
    }

    /// The requests that are due, by peer: first the peer that referenced the slot, then its
    /// author, then one peer after another, with growing pauses. What is here already, and only
    /// waits, is not asked for.
    pub fn requests(
        &mut self,
        now: Time,
        pause_us: u64,
        own: ValidatorIndex,
        members: usize,
        is_here: impl Fn(Slot) -> bool,
    ) -> BTreeMap<ValidatorIndex, Vec<Slot>> {
        let mut requests: BTreeMap<ValidatorIndex, Vec<Slot>> = BTreeMap::new();
        while let Some((&(at, slot), ())) = self.due.first_key_value() {
            if at > now {
                break;
            }
            self.due.remove(&(at, slot));
            let Some(wanted) = self.missing.get_mut(&slot) else {
                continue;
            };
            let to = match wanted.attempts {
                0 => wanted.source,
                1 => slot.author,
                attempts => rotate(wanted.source, attempts, members),
            };
            let doublings = wanted.attempts.min(Self::MAX_DOUBLINGS);
            wanted.attempts = wanted.attempts.saturating_add(1);
            wanted.at = now.plus_us(pause_us.saturating_mul(2 << doublings));
            self.due.insert((wanted.at, slot), ());
            if to != own && !is_here(slot) {
                requests.entry(to).or_default().push(slot);
            }
        }
        requests
    }
}

/// Another peer at every attempt; over time each.
fn rotate(source: ValidatorIndex, attempts: u32, members: usize) -> ValidatorIndex {
    let members = members.max(1) as u64;
    ValidatorIndex(((u64::from(source.0) + u64::from(attempts)) % members) as u16)
}

#[cfg(test)]
mod tests;
