use std::sync::Arc;

use qcn_types::{
    Address, Amount, LaneBatch, ReceiptKind, ShardId, TransactionId, decode, encoded_bytes,
    outbox_root, outbox_tree, receipt_tree,
};

use super::*;
use crate::testing::{SHARD, bit_flips, checkpoint, digest, keys};

const PEER: ShardId = ShardId(9);

fn receipt(number: u64) -> Receipt {
    Receipt {
        kind: ReceiptKind::Transfer,
        transaction: TransactionId(digest(&format!("transaction {number}"))),
        sender: Address(digest("sender")),
        receiver: Address(digest("receiver")),
        amount: Amount(100 + number),
    }
}

/// A lane with batches of these lengths, and the proof of one receipt of one batch.
fn lane(lengths: &[u64], batch: usize, index: u64) -> (Checkpoint, ReceiptProof) {
    let mut numbers = 0..;
    let batches: Vec<LaneBatch> = lengths
        .iter()
        .map(|length| numbers.by_ref().take(*length as usize).map(receipt).collect())
        .map(Bounded::truncated)
        .collect();
    let links: Vec<LaneLink> = batches.iter().map(|batch| LaneLink::of(batch)).collect();
    let head = |count: usize| {
        let start = LaneHead::default();
        links[..count].iter().fold(start, |head, link| head.after(link).unwrap())
    };
    let end = |peer: u32, sent| LaneEnd {
        own: SHARD,
        peer: ShardId(peer),
        sent,
        received: LaneHead::default(),
    };
    let ends = [end(1, head(1)), end(PEER.0, head(links.len())), end(12, head(0))];
    let proof = ReceiptProof {
        receipt: batches[batch][index as usize],
        place: receipt_tree(&batches[batch]).prove(index).unwrap(),
        before: head(batch),
        batch: links[batch],
        after: Bounded::truncated(links[batch + 1..].to_vec()),
        end: ends[1],
        inclusion: outbox_tree(&ends).prove(1).unwrap(),
    };
    let certified = Checkpoint { outbox_root: outbox_root(&ends), ..checkpoint(7, "state") };
    (certified, proof)
}

#[test]
fn a_receipt_is_shown_wherever_it_stands() {
    let keys = keys(&[1; 4]);
    for (batch, index, number) in [(0, 0, 0), (0, 2, 2), (1, 0, 3), (2, 4, 8), (3, 0, 9)] {
        let (checkpoint, proof) = lane(&[3, 1, 5, 1], batch, index);
        assert_eq!(proof.verify(&checkpoint, &keys), Ok(()), "{batch} {index}");
        assert_eq!((proof.number(), proof.receipt), (number, receipt(number)));
    }
}

/// The receipts of others are not part of it.
#[test]
fn a_proof_is_small_however_long_the_batches_are() {
    let (_, alone) = lane(&[1], 0, 0);
    let (_, among_many) = lane(&[500, 500, 500], 0, 77);
    assert_eq!(encoded_bytes(&among_many) - encoded_bytes(&alone), 9 * 32 + 2 * 52);
}

#[test]
fn what_was_not_sent_is_refused() {
    type Change = fn(&mut ReceiptProof);
    let cases: [(&str, Change, ReceiptProofError); 11] = [
        ("amount", |it| it.receipt.amount.0 += 1, ReceiptProofError::NotInBatch),
        ("receiver", |it| it.receipt.receiver.0.0[0] ^= 1, ReceiptProofError::NotInBatch),
        ("kind", |it| it.receipt.kind = ReceiptKind::Bounce, ReceiptProofError::NotInBatch),
        ("place", |it| it.place.index = 0, ReceiptProofError::NotInBatch),
        ("count", |it| it.place.leaf_count = 4, ReceiptProofError::NotInBatch),
        ("other batch", |it| it.batch.root = it.after[0].root, ReceiptProofError::BrokenLane),
        ("out of order", |it| it.after = reversed(it), ReceiptProofError::BrokenLane),
        ("left out", |it| it.after = Bounded::default(), ReceiptProofError::BrokenLane),
        ("number", |it| it.before.receipts += 1, ReceiptProofError::BrokenLane),
        ("end", |it| it.end.sent.moved += 1, ReceiptProofError::NotInOutbox),
        ("lane", |it| it.end.peer = ShardId(1), ReceiptProofError::NotInOutbox),
    ];
    let keys = keys(&[1; 4]);
    for (what, change, expected) in cases {
        let (checkpoint, mut proof) = lane(&[2, 3, 1, 2], 1, 1);
        assert_eq!(proof.verify(&checkpoint, &keys), Ok(()));
        change(&mut proof);
        assert_eq!(proof.verify(&checkpoint, &keys), Err(expected), "{what}");
    }
}

fn reversed(proof: &ReceiptProof) -> Bounded<LaneLink, MAX_LANE_BATCHES> {
    Bounded::truncated(proof.after.iter().rev().copied().collect())
}

/// A quorum speaks for the lanes of its own shard, and of those that it has absorbed.
#[test]
fn a_committee_does_not_speak_for_the_lanes_of_others() {
    let (checkpoint, proof) = lane(&[2, 3], 1, 1);
    let heirs = |pairs: &[(ShardId, ShardId)]| keys(&[1; 4]).with_heirs(Arc::from(pairs));
    let absorbed = heirs(&[(SHARD, ShardId(2))]);
    assert_eq!(proof.verify(&checkpoint, &absorbed), Err(ReceiptProofError::OtherSource));
    let whole = heirs(&[(PEER, SHARD)]);
    assert_eq!(proof.verify(&checkpoint, &whole), Err(ReceiptProofError::OwnShard));
}

#[test]
fn every_bit_of_a_proof_counts() {
    let keys = keys(&[1; 4]);
    let (checkpoint, proof) = lane(&[2, 3, 1], 1, 1);
    for (bit, changed) in bit_flips(&encode(&proof)).enumerate() {
        if let Ok(changed) = decode::<ReceiptProof>(&changed) {
            assert!(changed.verify(&checkpoint, &keys).is_err(), "bit {bit}");
        }
    }
}
