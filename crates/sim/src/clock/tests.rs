use super::*;

#[test]
fn a_clock_is_off_by_its_offset_both_ways() {
    for offset in [0, 5_000_000, -5_000_000] {
        let clock = Clock::with_offset(offset);
        let local = clock.local(9_000_000);
        assert_eq!(local.0, START_US.saturating_add_signed(9_000_000 + offset));
        assert_eq!(clock.global(local), 9_000_000);
    }
}

#[test]
fn a_jump_moves_all_later_readings() {
    let mut clock = Clock::default();
    let before = clock.local(1_000);
    clock.jump(-300);
    assert_eq!(clock.local(1_000).0, before.0 - 300);
    assert_eq!(clock.global(before), 1_300);
}
