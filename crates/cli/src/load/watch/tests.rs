use super::*;
use crate::client::events::{Arrival, Certified, Executed, TransactionExecuted};
use crate::client::responses::Outcome;

fn id(number: u8) -> Digest {
    Digest([number; 32])
}

fn executed(number: u8, height: u64) -> NodeEvent {
    let outcome = Outcome { result: "applied".to_owned(), reason: None };
    NodeEvent::Transaction(TransactionExecuted { id: id(number).to_string(), height, outcome })
}

fn certified(height: u64) -> NodeEvent {
    NodeEvent::Certified(Certified { height })
}

/// Events with the millisecond at which each arrives, for transactions 1 to 3 due at 0.
fn watch(events: Vec<(u64, NodeEvent)>) -> Watch {
    let start = Instant::now();
    let mut watch = Watch::default();
    for number in 1..=3 {
        let slot = Slot { account: 0, turn: u64::from(number), due: Duration::ZERO };
        watch.expect(id(number), start, slot);
    }
    for (ms, event) in events {
        watch.take_in(event, start + Duration::from_millis(ms));
    }
    watch
}

#[test]
fn a_transaction_is_final_with_the_certificate_at_or_above_its_height() {
    let watch = watch(vec![
        (10, executed(1, 5)),
        (20, executed(2, 6)),
        (30, certified(5)),
        (40, executed(3, 7)),
        (50, certified(9)),
    ]);
    assert_eq!((watch.to_executed.count(), watch.to_final.count()), (3, 3));
    assert_eq!((watch.to_executed.max_us(), watch.to_final.max_us()), (40_000, 50_000));
    assert_eq!(watch.to_final.percentile_us(1.0) / 1_000, 30);
    assert_eq!(watch.final_turns[&0], 3);
}

#[test]
fn a_certificate_may_come_before_the_node_has_executed() {
    let watch = watch(vec![(10, certified(5)), (20, executed(1, 5)), (30, executed(2, 6))]);
    assert_eq!((watch.to_final.count(), watch.to_final.max_us()), (1, 20_000));
}

#[test]
fn others_and_repeated_events_do_not_count() {
    let watch = watch(vec![
        (10, executed(1, 5)),
        (11, executed(1, 5)),
        (12, executed(9, 5)),
        (13, NodeEvent::Other),
        (14, NodeEvent::Missed(4)),
    ]);
    assert_eq!((watch.to_executed.count(), watch.missed), (1, 4));
}

#[test]
fn transactions_of_the_network_are_counted_once_they_are_final() {
    let height = |height, transactions| NodeEvent::Executed(Executed { height, transactions });
    let watch = watch(vec![
        (1, height(1, 10)),
        (2, height(2, 5)),
        (3, certified(1)),
        (4, height(3, 0)),
        (5, certified(3)),
        (6, certified(4)),
        (7, height(4, 2)),
    ]);
    assert_eq!(watch.network_final, 17);
    assert!(watch.network_executed.is_empty());
}

#[test]
fn what_was_not_applied_is_reported_with_the_first_reason() {
    let failed = |number, reason: &str| {
        let outcome = Outcome { result: "failed".to_owned(), reason: Some(reason.to_owned()) };
        let id = id(number).to_string();
        NodeEvent::Transaction(TransactionExecuted { id, height: 1, outcome })
    };
    let watch = watch(vec![(1, failed(1, "poor")), (2, failed(2, "other"))]);
    assert_eq!(watch.not_applied, 2);
    assert_eq!(watch.first_not_applied.as_deref(), Some("failed: poor"));
}

/// Given transfers into this shard, the clock runs until the certificate of what they did here. One that
/// went back or on, one that nobody awaits and one that comes again are not counted.
#[test]
fn a_transfer_has_arrived_with_the_certificate_of_the_other_shard() {
    let arrival = |number: u8, height: u64, status: &str| {
        NodeEvent::Arrival(Arrival {
            id: id(number).to_string(),
            height,
            status: status.to_owned(),
        })
    };
    let start = Instant::now();
    let mut watch = Watch::default();
    for number in 1..=4 {
        watch.expect_arrival(id(number), start);
    }
    for (ms, event) in [
        (10, arrival(1, 5, "arrived")),
        (11, arrival(1, 6, "arrived")),
        (12, arrival(2, 5, "bounced")),
        (13, arrival(9, 5, "arrived")),
        (20, certified(4)),
        (30, certified(5)),
        // Its certificate was here first.
        (40, arrival(3, 5, "arrived")),
        (50, certified(9)),
    ] {
        watch.take_in(event, start + Duration::from_millis(ms));
    }
    assert_eq!(watch.to_arrived.count(), 2);
    assert_eq!(watch.to_arrived.max_us(), 40_000);
    assert_eq!(watch.to_arrived.percentile_us(1.0) / 1_000, 30);
    assert_eq!(watch.to_final.count(), 0);
}
