use super::*;

#[test]
fn tasks_take_effect_in_order_when_they_are_done() {
    let mut cpu = Cpu::new(1_000);
    assert_eq!(cpu.submit(100, 'a', 50_000), Some(150));
    assert_eq!(cpu.submit(110, 'b', 10_000), None);
    assert_eq!(cpu.submit(120, 'c', 5_000), None);
    assert_eq!(cpu.backlog(), 3);
    assert_eq!(cpu.finish(), Some('a'));
    assert_eq!(cpu.next(150), Some(160));
    assert_eq!(cpu.finish(), Some('b'));
    assert_eq!(cpu.next(160), Some(165));
    assert_eq!(cpu.finish(), Some('c'));
    assert_eq!(cpu.next(165), None);
}

/// A hundred tasks of half a microsecond take fifty microseconds, not a hundred.
#[test]
fn fractions_of_a_microsecond_add_up() {
    let mut cpu = Cpu::new(1_000);
    let mut done = cpu.submit(1_000, 0, 500).expect("idle");
    for task in 1..100 {
        assert_eq!(cpu.submit(1_000, task, 500), None);
    }
    while cpu.finish().is_some() {
        done = cpu.next(done).unwrap_or(done);
    }
    assert!((1_049..=1_051).contains(&done), "{done}");
}

#[test]
fn power_divides_the_cost_and_time_is_counted_by_kind() {
    let mut strong = Cpu::<()>::new(2_000);
    let mut weak = Cpu::<()>::new(500);
    assert_eq!(strong.charge(Work::Sign, 193_000), 96_500);
    assert_eq!(weak.charge(Work::Sign, 193_000), 386_000);
    assert_eq!(weak.charge(Work::Verify, 13_000), 26_000);
    assert_eq!(weak.spent_ns[Work::Sign as usize], 386_000);
    assert_eq!(weak.spent_ns[Work::Verify as usize], 26_000);
}

#[test]
fn work_without_effect_delays_what_follows() {
    let mut cpu = Cpu::new(1_000);
    cpu.occupy(100, 30_000);
    assert_eq!(cpu.submit(100, 'a', 10_000), Some(140));
}

#[test]
fn a_flood_is_dropped_at_the_bound() {
    let mut cpu = Cpu::new(1_000);
    for task in 0..MAX_TASKS + 11 {
        cpu.submit(0, task, 1_000);
    }
    assert_eq!((cpu.backlog(), cpu.dropped), (MAX_TASKS + 1, 10));
    cpu.clear();
    assert_eq!(cpu.backlog(), 0);
}
