use super::*;
use crate::random::Random;

/// Against the obvious model: a list sorted by time and then by insertion.
#[test]
fn events_leave_by_time_and_then_by_insertion() {
    for seed in 0..20 {
        let mut random = Random::new(seed, "queue");
        let mut queue = EventQueue::new();
        let mut model: Vec<(u64, u64)> = Vec::new();
        let mut now = 0;
        for number in 0..4_000_u64 {
            let reach = *random.pick(&[1, 50, 5_000, 300_000, 3_000_000]).expect("not empty");
            let time = now + random.below(reach);
            queue.push(time, number);
            model.push((time, number));
            while random.chance(450_000) && !model.is_empty() {
                let at = (0..model.len()).min_by_key(|at| model[*at]).expect("not empty");
                assert_eq!(queue.next_time(), Some(model[at].0));
                assert_eq!(queue.pop(), Some(model[at]));
                now = model.remove(at).0;
            }
            assert_eq!(queue.len(), model.len());
        }
        model.sort_unstable();
        assert!(model.into_iter().all(|expected| queue.pop() == Some(expected)));
        assert_eq!(queue.pop(), None);
    }
}

#[test]
fn an_event_of_the_past_happens_next() {
    let mut queue = EventQueue::new();
    queue.push(1_000, 'a');
    queue.push(2_000, 'b');
    assert_eq!(queue.pop(), Some((1_000, 'a')));
    queue.push(10, 'c');
    assert_eq!(queue.pop(), Some((1_000, 'c')));
    assert_eq!(queue.pop(), Some((2_000, 'b')));
}

#[test]
fn a_gap_of_hours_costs_nothing() {
    let mut queue = EventQueue::new();
    queue.push(5, 'a');
    queue.push(36_000_000_000, 'b');
    queue.push(36_000_000_001, 'c');
    assert_eq!(queue.pop(), Some((5, 'a')));
    assert_eq!(queue.pop(), Some((36_000_000_000, 'b')));
    assert_eq!(queue.pop(), Some((36_000_000_001, 'c')));
}
