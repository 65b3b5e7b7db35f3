use std::sync::Arc;

use qcn_crypto::Digest;

use super::*;
use crate::testing::{CHAIN, keys_at};
use crate::{CertificateError, Checkpoint, Epoch, decode};

const SOURCE: ShardId = ShardId(1);
const DESTINATION: ShardId = ShardId(4);

fn receipt(number: u8) -> Receipt {
    Receipt {
        kind: ReceiptKind::Transfer,
        transaction: TransactionId(Digest([number; 32])),
        sender: Address(Digest([1; 32])),
        receiver: Address(Digest([2; 32])),
        amount: Amount(u64::from(number)),
    }
}

/// A lane of five batches, of which the delivery carries the second and third, and the links of
/// the others.
fn delivery() -> Delivery {
    let batches: Vec<Vec<Receipt>> =
        (0..5).map(|batch| (0..=batch).map(|it| receipt(10 * batch + it)).collect()).collect();
    let mut heads = vec![LaneHead::default()];
    for batch in &batches {
        heads.push(heads.last().unwrap().after(&LaneLink::of(batch)).unwrap());
    }
    let end =
        LaneEnd { own: SOURCE, peer: DESTINATION, sent: heads[5], received: LaneHead::default() };
    let other = LaneEnd { own: SOURCE, peer: ShardId(9), sent: heads[2], received: heads[1] };
    let ends = [end, other];
    let checkpoint =
        Checkpoint { shard: SOURCE, outbox_root: outbox_root(&ends), ..Checkpoint::default() };
    let batch = |number: usize| Bounded::truncated(batches[number].clone());
    Delivery {
        certificate: Certificate { checkpoint, attestations: Bounded::default() },
        end,
        inclusion: outbox_tree(&ends).prove(0).unwrap(),
        before: heads[1],
        batches: Bounded::truncated(vec![batch(1), batch(2)]),
        links: Bounded::truncated(batches[3..].iter().map(|it| LaneLink::of(it)).collect()),
    }
}

#[test]
fn a_delivery_leads_to_the_certified_head() {
    let delivery = delivery();
    assert_eq!(delivery.check_lane(|number| number == DESTINATION), Ok(()));
    assert_eq!((delivery.source(), delivery.receipts()), (SOURCE, 5));
    assert_eq!((delivery.end.sent.receipts, delivery.end.sent.batches), (15, 5));
    assert_eq!(
        delivery.end.sent.moved,
        (0..5).map(|b| (0..=b).map(|i| 10 * b + i).sum::<u128>()).sum()
    );
    assert_eq!(decode::<Delivery>(&encode(&delivery)).unwrap(), delivery);
}

/// Every part of it is bound by the certified root.
#[test]
fn a_delivery_that_was_touched_is_refused() {
    type Touch = fn(&mut Delivery);
    let cases: [(&str, Touch, DeliveryError); 14] = [
        ("for another", |it| it.end.peer = ShardId(9), DeliveryError::OtherDestination),
        (
            "from itself",
            |it| it.certificate.checkpoint.shard = DESTINATION,
            DeliveryError::OwnShard,
        ),
        ("on an own lane", |it| it.end.own = DESTINATION, DeliveryError::OwnShard),
        ("on the lane of another", |it| it.end.own = ShardId(3), DeliveryError::NotInOutbox),
        ("more sent", |it| it.end.sent.receipts += 1, DeliveryError::NotInOutbox),
        ("more acknowledged", |it| it.end.received.batches += 1, DeliveryError::NotInOutbox),
        ("another place", |it| it.inclusion.index = 1, DeliveryError::NotInOutbox),
        (
            "another root",
            |it| it.certificate.checkpoint.outbox_root = Digest([3; 32]),
            DeliveryError::NotInOutbox,
        ),
        ("a later start", |it| it.before.batches += 1, DeliveryError::BrokenChain),
        (
            "an amount",
            |it| {
                let mut batches = it.batches.to_vec();
                let mut receipts = batches[1].to_vec();
                receipts[0].amount.0 += 1;
                batches[1] = Bounded::truncated(receipts);
                it.batches = Bounded::truncated(batches);
            },
            DeliveryError::BrokenChain,
        ),
        (
            "another order",
            |it| {
                let mut batches = it.batches.to_vec();
                batches.swap(0, 1);
                it.batches = Bounded::truncated(batches);
            },
            DeliveryError::BrokenChain,
        ),
        (
            "a batch left out",
            |it| it.batches = Bounded::truncated(it.batches[1..].to_vec()),
            DeliveryError::BrokenChain,
        ),
        (
            "an empty batch",
            |it| it.batches = Bounded::truncated(vec![LaneBatch::default()]),
            DeliveryError::EmptyBatch,
        ),
        ("a link left out", |it| it.links = Bounded::default(), DeliveryError::BrokenChain),
    ];
    for (what, touch, expected) in cases {
        let mut touched = delivery();
        touch(&mut touched);
        assert_eq!(touched.check_lane(|number| number == DESTINATION), Err(expected), "{what}");
    }
    assert_eq!(
        delivery().check_lane(|number| number == ShardId(9)),
        Err(DeliveryError::OtherDestination)
    );
}

/// Counts from another shard must not overflow here.
#[test]
fn impossible_counts_lead_nowhere() {
    let link = LaneLink { receipts: u32::MAX, moved: u128::MAX, root: Digest::ZERO };
    let full = LaneHead { receipts: u64::MAX - 5, ..LaneHead::default() };
    assert_eq!(full.after(&link), None);
    let moved = LaneHead { moved: 1, ..LaneHead::default() };
    assert_eq!(moved.after(&link), None);
    let batches = LaneHead { batches: u64::MAX, ..LaneHead::default() };
    assert_eq!(batches.after(&link), None);
    let mut hostile = delivery();
    hostile.before = batches;
    assert_eq!(hostile.check_lane(|number| number == DESTINATION), Err(DeliveryError::BrokenChain));
}

/// Given a lane from 1 to 4, and that 5 acts for 1 and 2 for 4, then 5's certificate counts at 2,
/// and nobody else's, nowhere else.
#[test]
fn heirs_speak_and_listen_for_the_closed() {
    let heirs = |pairs: &[(u32, u32)]| -> Arc<[(ShardId, ShardId)]> {
        pairs.iter().map(|(closed, heir)| (ShardId(*closed), ShardId(*heir))).collect()
    };
    let judge = |certified_by: u32, of_source: &[(u32, u32)], of_destination: &[(u32, u32)]| {
        let mut delivery = delivery();
        delivery.certificate.checkpoint.shard = ShardId(certified_by);
        let source = keys_at(CHAIN, ShardId(certified_by), Epoch(0)).with_heirs(heirs(of_source));
        let keys = keys_at(CHAIN, ShardId(2), Epoch(0)).with_heirs(heirs(of_destination));
        keys.with_sources([source]).check_delivery(&delivery)
    };
    let taken = Err(CertificateError::NoQuorum { weight: 0, quorum: 3 }.into());
    assert_eq!(judge(5, &[(1, 5)], &[(4, 2)]), taken, "all but signatures");
    assert_eq!(judge(1, &[], &[(4, 2)]), taken, "before it was closed");
    assert_eq!(judge(5, &[], &[(4, 2)]), Err(DeliveryError::OtherSource));
    assert_eq!(judge(5, &[(1, 6)], &[(4, 2)]), Err(DeliveryError::OtherSource));
    assert_eq!(judge(1, &[(1, 5)], &[(4, 2)]), Err(DeliveryError::OtherSource), "it is closed");
    assert_eq!(judge(5, &[(1, 5)], &[]), Err(DeliveryError::OtherDestination));
    assert_eq!(judge(5, &[(1, 5)], &[(4, 3)]), Err(DeliveryError::OtherDestination));
    assert_eq!(judge(5, &[(1, 5)], &[(1, 2), (4, 2)]), Err(DeliveryError::OwnShard));
}

mod size;
