use super::*;
use crate::result::RunEvent;

#[test]
fn unobserved_seconds_are_gaps_and_not_zeros() {
    let point = |x: f64| Some((x, 1.0));
    let points = [None, point(1.0), point(2.0), None, None, point(5.0), None];
    let stretches = rates::stretches(points.into_iter());
    assert_eq!(stretches, [vec![(1.0, 1.0), (2.0, 1.0)], vec![(5.0, 1.0)]]);
}

fn happening(second: f64, kind: EventKind) -> RunEvent {
    RunEvent { at_ms: second * 1000.0, kind, detail: String::new() }
}

#[test]
fn a_partition_lasts_until_it_heals_or_the_run_ends() {
    let mut result = RunResult::default();
    result.conditions.virtual_seconds = 30.0;
    result.events = [
        happening(5.0, EventKind::Partition),
        happening(6.0, EventKind::Partition),
        happening(10.0, EventKind::Heal),
        happening(11.0, EventKind::Heal),
        happening(25.0, EventKind::Partition),
    ]
    .into();
    assert_eq!(TimeAxis::new(&result).splits, [5.0..10.0, 25.0..30.0]);
}

#[test]
fn equal_events_at_nearly_the_same_time_are_counted_together() {
    let mut result = RunResult::default();
    result.conditions.virtual_seconds = 100.0;
    result.events = [
        happening(5.0, EventKind::Crash),
        happening(5.1, EventKind::Disk),
        happening(5.2, EventKind::Crash),
        happening(50.0, EventKind::Crash),
    ]
    .into();
    let words: Vec<String> =
        TimeAxis::new(&result).marks.into_iter().map(|(_, _, words)| words).collect();
    assert_eq!(words, ["2 × crash", "disk", "crash"]);
}
