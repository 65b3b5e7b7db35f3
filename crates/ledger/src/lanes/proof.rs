//! Proofs of receipts that are not acknowledged.

use qcn_light::ReceiptProof;
use qcn_types::{
    Bounded, LaneEnd, LaneId, LaneLink, Receipt, TransactionId, outbox_tree, receipt_tree,
};

use super::{BatchRecord, Lanes, batch_key, read, receipt_key};
use crate::tree::StateTree;

/// Shows that the receipt of a transaction is on a lane; `None` if it is not, or not any more.
pub(crate) fn prove(
    tree: &StateTree,
    lanes: &Lanes,
    id: LaneId,
    transaction: TransactionId,
) -> Option<ReceiptProof> {
    let lane = lanes.get(&id)?;
    let mut batches = lane.acknowledged.batches..lane.end.sent.batches;
    let (record, receipts, index) = batches.find_map(|number| {
        let record: BatchRecord = read(tree, &batch_key(id, number))?;
        let receipts = receipts_of(tree, id, &record)?;
        let index = receipts.iter().position(|receipt| receipt.transaction == transaction)?;
        Some((record, receipts, index))
    })?;
    // What is left of the range are the batches after that one.
    let link = |number| read::<BatchRecord>(tree, &batch_key(id, number)).map(|it| it.link);
    let after: Vec<LaneLink> = batches.map(link).collect::<Option<_>>()?;
    let ends: Vec<LaneEnd> = lanes.values().map(|lane| lane.end).collect();
    let lane_place = lanes.keys().position(|other| *other == id)?;
    Some(ReceiptProof {
        receipt: receipts[index],
        place: receipt_tree(&receipts).prove(index as u64)?,
        before: record.before,
        batch: record.link,
        after: Bounded::truncated(after),
        end: lane.end,
        inclusion: outbox_tree(&ends).prove(lane_place as u64)?,
    })
}

fn receipts_of(tree: &StateTree, id: LaneId, record: &BatchRecord) -> Option<Vec<Receipt>> {
    let first = record.before.receipts;
    let numbers = first..first.checked_add(u64::from(record.link.receipts))?;
    numbers.map(|number| read(tree, &receipt_key(id, number))).collect()
}
