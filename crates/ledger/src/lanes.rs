//! The lanes of a shard, in its state (DESIGN section 7).
//!
//! What is sent and not yet acknowledged stays in the state, so that any validator of the shard
//! can hand it over and state sync carries it: a record for each receipt, one for each batch with
//! the lane before it, and one for each lane. An acknowledgement removes what it covers.
//!
//! A shard has the lanes of its own number, and those of the numbers that it acts for. What is new
//! goes on the former, to the shard that has the address in the layout known here. The latter only
//! drain, and receive what is still sent to the old number.

mod proof;

use std::collections::BTreeMap;
use std::sync::Arc;

use borsh::{BorshDeserialize, BorshSerialize};
use qcn_crypto::{Digest, Domain, InclusionProof, hash};
use qcn_light::state::{RecordKind, StateKey};
use qcn_types::{
    Address, Bounded, EpochPlan, LaneBatch, LaneEnd, LaneHead, LaneId, LaneLink, Layout,
    MAX_BATCH_RECEIPTS, MAX_DELIVERY_BATCHES, MAX_LANE_BATCHES, Prefix, Receipt, ShardId, actor,
    decode, encode, outbox_tree,
};

use crate::tree::{StateTree, Update};

pub(crate) use proof::prove;

/// The most transfers that a lane holds while they are not acknowledged. One that finds so many
/// waits in the pool of its validator. What goes back is bounded by its batches alone.
pub const MAX_LANE_RECEIPTS: u64 = 16_384;

/// As many batches are left to receipts that go back: these may not wait.
const BATCHES_FOR_BOUNCES: u64 = 128;

/// The shard of a ledger, and where all others are.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Territory {
    layout: Arc<Layout>,
    /// Who acts for the shards that were closed.
    heirs: Arc<[(ShardId, ShardId)]>,
    shard: ShardId,
}

impl Territory {
    /// The place of one shard in a layout before any shard was closed, or `None` if it has none.
    #[must_use]
    pub fn new(layout: Arc<Layout>, shard: ShardId) -> Option<Self> {
        layout.contains(shard).then_some(Self { layout, heirs: Arc::default(), shard })
    }

    /// The place of one shard in an epoch, or `None` if it has none.
    #[must_use]
    pub fn of(plan: &EpochPlan, shard: ShardId) -> Option<Self> {
        let heirs = plan.heirs.to_vec().into();
        plan.layout.contains(shard).then(|| Self {
            layout: Arc::new(plan.layout.clone()),
            heirs,
            shard,
        })
    }

    /// A shard that has every address.
    #[must_use]
    pub fn whole(shard: ShardId) -> Self {
        Self { layout: Arc::new(Layout::whole(shard)), heirs: Arc::default(), shard }
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

    /// The leading bits of the shard's addresses.
    #[must_use]
    pub fn prefix(&self) -> Prefix {
        self.layout.prefix(self.shard).expect("whoever makes a territory looks for the shard in it")
    }

    /// The shard of an address, if it is another one.
    #[must_use]
    pub fn elsewhere(&self, address: &Address) -> Option<ShardId> {
        let shard = self.layout.shard_of(address);
        (shard != self.shard).then_some(shard)
    }

    /// Whether the shard answers for a number: its own, or that of one that it has absorbed.
    #[must_use]
    pub fn acts_for(&self, number: ShardId) -> bool {
        actor(&self.heirs, number) == self.shard
    }

    /// The lane on which something new goes to a shard of the layout.
    #[must_use]
    pub const fn lane_to(&self, peer: ShardId) -> LaneId {
        LaneId { own: self.shard, peer }
    }

    /// Whether the shard may have this lane: it is on its near side only.
    pub(crate) fn has_lane(&self, lane: LaneId) -> bool {
        self.acts_for(lane.own) && !self.acts_for(lane.peer)
    }
}

/// All lanes of a state, in the order of the outbox.
pub(crate) type Lanes = BTreeMap<LaneId, Lane>;

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
    pub(crate) fn new(id: LaneId) -> Self {
        let (sent, received) = (LaneHead::default(), LaneHead::default());
        let end = LaneEnd { own: id.own, peer: id.peer, sent, received };
        Self { end, acknowledged: LaneHead::default() }
    }

    /// How many receipts and batches are not acknowledged.
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

    pub(crate) fn state_key(id: LaneId) -> StateKey {
        StateKey { id: id_of("lane", id, 0), kind: RecordKind::Lane }
    }

    /// The keys of all its records: the lane's own, and those of what is not acknowledged.
    pub(crate) fn record_keys(&self) -> impl Iterator<Item = StateKey> {
        let (id, sent, acknowledged) = (self.end.lane(), self.end.sent, self.acknowledged);
        let batches = acknowledged.batches..sent.batches;
        let receipts = acknowledged.receipts..sent.receipts;
        std::iter::once(Self::state_key(id))
            .chain(batches.map(move |number| batch_key(id, number)))
            .chain(receipts.map(move |number| receipt_key(id, number)))
    }

    /// Whether the state has everything that is not acknowledged, within the bounds of a lane: its
    /// batches lead from what is acknowledged to what was sent.
    fn is_sound(&self, tree: &StateTree) -> bool {
        let (sent, acknowledged) = (&self.end.sent, &self.acknowledged);
        let batches = sent.batches.checked_sub(acknowledged.batches);
        if batches.is_none_or(|batches| batches > MAX_LANE_BATCHES as u64) {
            return false;
        }
        let mut head = *acknowledged;
        for number in acknowledged.batches..sent.batches {
            let next = read::<BatchRecord>(tree, &batch_key(self.end.lane(), number))
                .filter(|record| record.before == head)
                .and_then(|record| head.after(&record.link).map(|next| (record.link, next)));
            let Some((link, next)) = next else {
                return false;
            };
            let is_short = (1..=MAX_BATCH_RECEIPTS as u32).contains(&link.receipts);
            let receipts = is_short.then(|| receipts_between(tree, self, &head, &next)).flatten();
            if receipts.is_none_or(|receipts| LaneLink::of(&receipts) != link) {
                return false;
            }
            head = next;
        }
        head == *sent
    }
}

fn id_of(what: &str, lane: LaneId, number: u64) -> Digest {
    hash(Domain::StateLeaf, &encode(&(what, lane, number)))
}

fn batch_key(lane: LaneId, number: u64) -> StateKey {
    StateKey { id: id_of("batch", lane, number), kind: RecordKind::Batch }
}

fn receipt_key(lane: LaneId, number: u64) -> StateKey {
    StateKey { id: id_of("receipt", lane, number), kind: RecordKind::Receipt }
}

fn read<T: BorshDeserialize>(tree: &StateTree, key: &StateKey) -> Option<T> {
    decode(tree.get(key)?).ok()
}

/// All lanes of a state; `None` if a record is not what its key says, or a lane lacks something of
/// what is not acknowledged, or there is something on no lane. So what follows may rely on it.
pub(crate) fn read_lanes(tree: &StateTree) -> Option<Lanes> {
    let mut lanes = Lanes::new();
    let mut records = 0_u64;
    for (key, value) in tree.iter() {
        match key.kind {
            RecordKind::Lane => {
                let lane: Lane = decode(value).ok()?;
                if Lane::state_key(lane.end.lane()) != *key || !lane.is_sound(tree) {
                    return None;
                }
                lanes.insert(lane.end.lane(), lane);
            }
            RecordKind::Batch | RecordKind::Receipt => records += 1,
            RecordKind::Account | RecordKind::Bank | RecordKind::Validator | RecordKind::Beacon => {
            }
        }
    }
    let outstanding: u64 =
        lanes.values().map(|lane| lane.outstanding().0 + lane.outstanding().1).sum();
    (outstanding == records).then_some(lanes)
}

/// The receipts of a lane between two heads, if the state has all of them.
fn receipts_between(
    tree: &StateTree,
    lane: &Lane,
    from: &LaneHead,
    to: &LaneHead,
) -> Option<Vec<Receipt>> {
    let id = lane.end.lane();
    (from.receipts..to.receipts).map(|number| read(tree, &receipt_key(id, number))).collect()
}

/// What the other end of a lane has not applied, if the lane ever was where that end is.
pub(crate) fn in_flight(tree: &StateTree, lane: &Lane, applied: &LaneHead) -> Option<Vec<Receipt>> {
    let is_on_the_way = head_before(tree, lane, applied.batches) == Some(*applied);
    is_on_the_way.then(|| receipts_between(tree, lane, applied, &lane.end.sent)).flatten()
}

/// The lane before its batch with this number, if that is not acknowledged yet, or the head itself
/// after the last.
pub(crate) fn head_before(tree: &StateTree, lane: &Lane, number: u64) -> Option<LaneHead> {
    if number == lane.end.sent.batches {
        return Some(lane.end.sent);
    }
    let record: BatchRecord = read(tree, &batch_key(lane.end.lane(), number))?;
    Some(record.before)
}

/// Puts receipts on a lane, cut into batches.
pub(crate) fn send(lane: &mut Lane, receipts: &[Receipt], updates: &mut Vec<Update>) {
    let id = lane.end.lane();
    for batch in receipts.chunks(MAX_BATCH_RECEIPTS) {
        let before = lane.end.sent;
        let link = LaneLink::of(batch);
        let record = BatchRecord { before, link };
        updates.push((batch_key(id, before.batches), Some(encode(&record).into())));
        for (number, receipt) in (before.receipts..).zip(batch) {
            updates.push((receipt_key(id, number), Some(encode(receipt).into())));
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
    let id = lane.end.lane();
    for number in lane.acknowledged.batches..head.batches {
        updates.push((batch_key(id, number), None));
    }
    for number in lane.acknowledged.receipts..head.receipts {
        updates.push((receipt_key(id, number), None));
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
    pub(crate) fn of(lanes: &Lanes) -> Self {
        Self { ends: lanes.values().map(|lane| lane.end).collect() }
    }

    /// The ends of all lanes, in the order of own numbers and then of peers.
    #[must_use]
    pub fn ends(&self) -> &[LaneEnd] {
        &self.ends
    }

    /// The end of a lane.
    #[must_use]
    pub fn end(&self, lane: LaneId) -> Option<&LaneEnd> {
        self.position(lane).map(|index| &self.ends[index])
    }

    fn position(&self, lane: LaneId) -> Option<usize> {
        self.ends.binary_search_by_key(&lane, LaneEnd::lane).ok()
    }

    /// What to hand over to a peer that has applied the lane up to `applied`: as many batches as
    /// a delivery takes. `None` if the lane does not go on from there, or not in this state.
    pub(crate) fn cargo(
        &self,
        tree: &StateTree,
        lane: LaneId,
        applied: &LaneHead,
    ) -> Option<Cargo> {
        let index = self.position(lane)?;
        let end = self.ends[index];
        let mut batches: Vec<LaneBatch> = Vec::new();
        let mut links = Vec::new();
        for number in applied.batches..end.sent.batches {
            let record: BatchRecord = read(tree, &batch_key(lane, number))?;
            if number == applied.batches && record.before != *applied {
                return None;
            }
            if batches.len() == MAX_DELIVERY_BATCHES {
                links.push(record.link);
                continue;
            }
            let first = record.before.receipts;
            let receipts = (first..first + u64::from(record.link.receipts))
                .map(|number| read(tree, &receipt_key(lane, number)))
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
