use std::sync::mpsc::channel;
use std::time::Duration;

use super::*;

const FLOODER: ValidatorIndex = ValidatorIndex(1);
const HONEST: ValidatorIndex = ValidatorIndex(2);

fn drain(queue: &mut FairQueue<char>) -> String {
    std::iter::from_fn(|| queue.pop()).collect()
}

#[test]
fn a_flood_waits_for_itself_alone() {
    let mut queue = FairQueue::default();
    for _ in 0..6 {
        queue.push(FLOODER, 100, 'f');
    }
    assert_eq!(queue.pop(), Some('f'));
    for _ in 0..3 {
        queue.push(HONEST, 100, 'h');
    }
    assert_eq!(drain(&mut queue), "hfhfhfff");
}

#[test]
fn shares_are_counted_in_cost() {
    let mut queue = FairQueue::default();
    for _ in 0..2 {
        queue.push(FLOODER, 300, 'f');
    }
    for _ in 0..6 {
        queue.push(HONEST, 100, 'h');
    }
    assert_eq!(drain(&mut queue), "fhhhfhhh");
}

#[test]
fn each_peer_keeps_its_order_and_saves_nothing_up() {
    let mut queue = FairQueue::default();
    queue.push(HONEST, 1, 'a');
    assert_eq!(drain(&mut queue), "a");
    for item in ['1', '2', '3', '4'] {
        queue.push(FLOODER, 1_000, item);
    }
    assert_eq!(queue.pop(), Some('1'));
    assert_eq!(queue.pop(), Some('2'));
    for item in ['b', 'c', 'd'] {
        queue.push(HONEST, 1_000, item);
    }
    // Long silence before gives no right to be served thrice now.
    assert_eq!(drain(&mut queue), "b3c4d");
    assert!(queue.is_empty());
}

#[test]
fn everything_is_run_and_never_more_at_once_than_allowed() {
    let verification = Verification::new(1);
    let (done, results) = channel();
    let (go, gate) = channel::<()>();
    let first = done.clone();
    verification.submit(FLOODER, 1, move || {
        gate.recv().unwrap();
        first.send('1').unwrap();
    });
    for (from, name) in [(FLOODER, '2'), (FLOODER, '3'), (HONEST, 'h')] {
        let done = done.clone();
        verification.submit(from, 10, move || done.send(name).unwrap());
    }
    assert!(results.recv_timeout(Duration::from_millis(50)).is_err(), "the only place is taken");
    go.send(()).unwrap();
    let order: String =
        (0..4).map(|_| results.recv_timeout(Duration::from_secs(10)).unwrap()).collect();
    assert!(order.starts_with('1'), "{order}");
    assert!(order.find('h') < order.find('3'), "{order}");
}
