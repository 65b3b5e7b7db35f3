//! The lanes of a shard, in its state (DESIGN section 7).
//!
//! What is sent and not yet acknowledged stays in the state, so that any validator of the shard
//! can hand it over and state sync carries it: a record for each receipt, one for each batch with
//! the lane before it, and one for each lane. An acknowledgement removes what it covers.

use std::collections::BTreeMap;
use std::sync::Arc;

use borsh::{BorshDeserialize, BorshSerialize};
use qcn_crypto::{Digest, Domain, InclusionProof, hash};
use qcn_light::state::{RecordKind, StateKey};
use qcn_types::{
    Address, Bounded, LaneBatch, LaneEnd, LaneHead, LaneLink, Layout, MAX_BATCH_RECEIPTS,
    MAX_DELIVERY_BATCHES, MAX_LANE_BATCHES, Receipt, ShardId, decode, encode, outbox_tree,
};

use crate::tree::{StateTree, Update};

/// The most transfers that a lane holds while they are not acknowledged. One that finds so many
/// waits in the pool of its validator. What goes back is bounded by its batches alone.
pub const MAX_LANE_RECEIPTS: u64 = 16_384;

/// As many batches are left to receipts that go back: these may not wait.
const BATCHES_FOR_BOUNCES: u64 = 128;

/// The shard of a ledger, and where all others are.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Territory {
    layout: Arc<Layout>,
    shard: ShardId,
}

impl Territory {
    /// The place of one shard in a layout, or `None` if it has none.
    #[must_use]
    pub fn new(layout: Arc<Layout>, shard: ShardId) -> Option<Self> {
        layout.contains(shard).then_some(Self { layout, shard })
    }

    /// A shard that has every address.
    #[must_use]
    pub fn whole(shard: ShardId) -> Self {
        Self { layout: Arc::new(Layout::whole(shard)), shard }
    }

    /// The shard.
    #[must_use]
    pub const fn shard(&self) -> ShardId {
        self.shard
    }

    /// The layout.
    #[must_use]
    pub const fn layout(&self) -> &Arc<Layout> {
        &self.layout
    }

    /// The shard of an address, if it is another one.
    #[must_use]
    pub fn elsewhere(&self, address: &Address) -> Option<ShardId> {
        let shard = self.layout.shard_of(address);
        (shard != self.shard).then_some(shard)
    }
}

/// A lane to another shard and back.
#[derive(Clone, Copy, PartialEq, Eq, Debug, BorshSerialize, BorshDeserialize)]
pub(crate) struct Lane {
    pub(crate) end: LaneEnd,
    /// How far the other shard has applied what was sent to it, as far as is known here.
    pub(crate) acknowledged: LaneHead,
}

/// A batch that is not acknowledged.
#[derive(Clone, Copy, PartialEq, Eq, Debug, BorshSerialize, BorshDeserialize)]
struct BatchRecord {
    /// The lane before it.
    before: LaneHead,
    /// What it adds to the lane.
    link: LaneLink,
}

impl Lane {
    pub(crate) fn new(peer: ShardId) -> Self {
        let end = LaneEnd { peer, sent: LaneHead::default(), received: LaneHead::default() };
        Self { end, acknowledged: LaneHead::default() }
    }

    fn outstanding(&self) -> (u64, u64) {
        let (sent, acknowledged) = (&self.end.sent, &self.acknowledged);
        (sent.receipts - acknowledged.receipts, sent.batches - acknowledged.batches)
    }

    /// Whether a transfer must wait, with so many receipts that are not in a batch yet.
    pub(crate) fn is_full(&self, unbatched: usize) -> bool {
        let (receipts, batches) = self.outstanding();
        let more = unbatched.div_ceil(MAX_BATCH_RECEIPTS) as u64 + 1;
        receipts + unbatched as u64 >= MAX_LANE_RECEIPTS
            || batches + more > MAX_LANE_BATCHES as u64 - BATCHES_FOR_BOUNCES
    }

    /// Whether so many receipts may be sent on, and a batch more.
    pub(crate) fn takes_back(&self, unbatched: usize) -> bool {
        let (_, batches) = self.outstanding();
        batches + unbatched.div_ceil(MAX_BATCH_RECEIPTS) as u64 + 2 <= MAX_LANE_BATCHES as u64
    }

    pub(crate) fn state_key(peer: ShardId) -> StateKey {
        StateKey { id: id_of("lane", peer, 0), kind: RecordKind::Lane }
    }
}

fn id_of(what: &str, peer: ShardId, number: u64) -> Digest {
    hash(Domain::StateLeaf, &encode(&(what, peer, number)))
}

fn batch_key(peer: ShardId, number: u64) -> StateKey {
    StateKey { id: id_of("batch", peer, number), kind: RecordKind::Batch }
}

fn receipt_key(peer: ShardId, number: u64) -> StateKey {
    StateKey { id: id_of("receipt", peer, number), kind: RecordKind::Receipt }
}

fn read<T: BorshDeserialize>(tree: &StateTree, key: &StateKey) -> Option<T> {
    decode(tree.get(key)?).ok()
}

/// All lanes of a state, by peer; `None` if a record is not what its key says.
pub(crate) fn read_lanes(tree: &StateTree) -> Option<BTreeMap<ShardId, Lane>> {
    let mut lanes = BTreeMap::new();
    for (key, value) in tree.iter().filter(|(key, _)| key.kind == RecordKind::Lane) {
        let lane: Lane = decode(value).ok()?;
        let is_sound = Lane::state_key(lane.end.peer) == *key
            && lane.acknowledged.receipts <= lane.end.sent.receipts
            && lane.acknowledged.batches <= lane.end.sent.batches;
        if !is_sound {
            return None;
        }
        lanes.insert(lane.end.peer, lane);
    }
    Some(lanes)
}

/// The lane to `peer` before its batch with this number, if that is not acknowledged yet, or the
/// head itself after the last.
pub(crate) fn head_before(tree: &StateTree, lane: &Lane, number: u64) -> Option<LaneHead> {
    if number == lane.end.sent.batches {
        return Some(lane.end.sent);
    }
    let record: BatchRecord = read(tree, &batch_key(lane.end.peer, number))?;
    Some(record.before)
}

/// Puts receipts on a lane, cut into batches.
pub(crate) fn send(lane: &mut Lane, receipts: &[Receipt], updates: &mut Vec<Update>) {
    let peer = lane.end.peer;
    for batch in receipts.chunks(MAX_BATCH_RECEIPTS) {
        let before = lane.end.sent;
        let link = LaneLink::of(batch);
        let record = BatchRecord { before, link };
        updates.push((batch_key(peer, before.batches), Some(encode(&record).into())));
        for (number, receipt) in (before.receipts..).zip(batch) {
            updates.push((receipt_key(peer, number), Some(encode(receipt).into())));
        }
        lane.end.sent =
            before.after(&link).expect("less than 2^64 receipts of less than 2^64 each");
    }
}

/// Removes what a head of the lane acknowledges. One that the lane never had changes nothing.
pub(crate) fn acknowledge(
    tree: &StateTree,
    lane: &mut Lane,
    head: &LaneHead,
    updates: &mut Vec<Update>,
) {
    let is_newer = head.batches > lane.acknowledged.batches;
    if !is_newer || head_before(tree, lane, head.batches) != Some(*head) {
        return;
    }
    let peer = lane.end.peer;
    for number in lane.acknowledged.batches..head.batches {
        updates.push((batch_key(peer, number), None));
    }
    for number in lane.acknowledged.receipts..head.receipts {
        updates.push((receipt_key(peer, number), None));
    }
    lane.acknowledged = *head;
}

/// The lanes as a checkpoint certifies them, and what is needed to hand over what is on them.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Outbox {
    ends: Vec<LaneEnd>,
}

/// A delivery without its certificate.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Cargo {
    /// The end of the lane.
    pub end: LaneEnd,
    /// Its place in the outbox.
    pub inclusion: InclusionProof,
    /// The lane before the first batch.
    pub before: LaneHead,
    /// The batches, oldest first.
    pub batches: Bounded<LaneBatch, MAX_DELIVERY_BATCHES>,
    /// The batches after them.
    pub links: Bounded<LaneLink, MAX_LANE_BATCHES>,
}

impl Outbox {
    pub(crate) fn of(lanes: &BTreeMap<ShardId, Lane>) -> Self {
        Self { ends: lanes.values().map(|lane| lane.end).collect() }
    }

    /// The ends of all lanes, in the order of peers.
    #[must_use]
    pub fn ends(&self) -> &[LaneEnd] {
        &self.ends
    }

    /// The end of the lane to a peer.
    #[must_use]
    pub fn end(&self, peer: ShardId) -> Option<&LaneEnd> {
        self.ends.iter().find(|end| end.peer == peer)
    }

    /// What to hand over to a peer that has applied the lane up to `applied`: as many batches as
    /// a delivery takes. `None` if the lane does not go on from there, or not in this state.
    pub(crate) fn cargo(
        &self,
        tree: &StateTree,
        peer: ShardId,
        applied: &LaneHead,
    ) -> Option<Cargo> {
        let index = self.ends.iter().position(|end| end.peer == peer)?;
        let end = self.ends[index];
        let mut batches: Vec<LaneBatch> = Vec::new();
        let mut links = Vec::new();
        for number in applied.batches..end.sent.batches {
            let record: BatchRecord = read(tree, &batch_key(peer, number))?;
            if number == applied.batches && record.before != *applied {
                return None;
            }
            if batches.len() == MAX_DELIVERY_BATCHES {
                links.push(record.link);
                continue;
            }
            let first = record.before.receipts;
            let receipts = (first..first + u64::from(record.link.receipts))
                .map(|number| read(tree, &receipt_key(peer, number)))
                .collect::<Option<Vec<Receipt>>>()?;
            batches.push(Bounded::truncated(receipts));
        }
        if batches.is_empty() && *applied != end.sent {
            return None;
        }
        Some(Cargo {
            end,
            inclusion: outbox_tree(&self.ends).prove(index as u64)?,
            before: *applied,
            batches: Bounded::truncated(batches),
            links: Bounded::truncated(links),
        })
    }
}

#[cfg(test)]
mod tests;
