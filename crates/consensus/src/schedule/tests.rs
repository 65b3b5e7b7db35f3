use super::*;
use crate::testing::{author, committee, digest, name};

fn schedule(weights: &[u64], leaders_per_round: u16) -> Schedule {
    Schedule::new(committee(weights), digest("seed"), leaders_per_round, 4)
}

/// How often each member is drawn in so many rounds.
fn frequencies(schedule: &Schedule, rounds: u64) -> Vec<u64> {
    let mut counts = vec![0; schedule.committee.len()];
    for round in 1..=rounds {
        for leader in schedule.leaders(Round(round)) {
            counts[leader.position()] += 1;
        }
    }
    counts
}

/// The chance to hold one of the slots is proportional to the weight, up to certainty.
///
/// Given committees in which nobody, somebody or everybody has a certain place,
/// when leaders of 100,000 rounds are drawn,
/// then each member's count is within five standard deviations of its share.
#[test]
fn slots_are_drawn_in_proportion_to_weight() {
    const ROUNDS: u64 = 100_000;
    // Shares in percent, worked out by hand.
    let rows: [(&[u64], u16, &[f64]); 7] = [
        (&[1, 2, 3, 4], 1, &[10.0, 20.0, 30.0, 40.0]),
        (&[10, 10, 10, 10, 10, 30, 20], 1, &[10.0, 10.0, 10.0, 10.0, 10.0, 30.0, 20.0]),
        (&[1, 2, 3, 4, 5, 5], 4, &[20.0, 40.0, 60.0, 80.0, 100.0, 100.0]),
        (&[100, 1, 1, 1, 1], 2, &[100.0, 25.0, 25.0, 25.0, 25.0]),
        // 50 of 100 is certain of one of three; then 30 of 50 is certain of one of two.
        (&[50, 30, 10, 5, 5], 3, &[100.0, 100.0, 50.0, 25.0, 25.0]),
        (&[7, 1, 9], 4, &[100.0, 100.0, 100.0]),
        (&[1 << 58, 1 << 58, 1 << 59], 1, &[25.0, 25.0, 50.0]),
    ];
    for (weights, leaders_per_round, shares) in rows {
        let counts = frequencies(&schedule(weights, leaders_per_round), ROUNDS);
        for (count, share) in counts.iter().zip(shares) {
            let (expected, chance) = (share * ROUNDS as f64 / 100.0, share / 100.0);
            let deviation = (expected * (1.0 - chance)).sqrt();
            let off = (*count as f64 - expected).abs();
            assert!(off <= 5.0 * deviation, "{weights:?}: {count}, not {expected}");
        }
    }
}

#[test]
fn each_round_has_all_its_slots_and_no_leader_twice() {
    for (weights, leaders_per_round, expected) in
        [(&[1, 9, 1, 5, 3][..], 3, 3), (&[4, 1], 4, 2), (&[100, 1, 1, 1], 2, 2), (&[1], 1, 1)]
    {
        let schedule = schedule(weights, leaders_per_round);
        for round in 1..2_000 {
            let mut leaders = schedule.leaders(Round(round));
            assert_eq!(leaders.len(), expected);
            leaders.sort_unstable();
            leaders.dedup();
            assert_eq!(leaders.len(), expected);
        }
    }
}

/// The first slot is decided first, so no one may hold it by weight or position alone.
#[test]
fn the_order_of_slots_is_random() {
    let schedule = schedule(&[100, 100, 1, 1], 3);
    let mut first = [0_u64; 4];
    for round in 0..9_000 {
        first[schedule.leaders(Round(round))[0].position()] += 1;
    }
    // Both heavy members lead always, the light ones every other round.
    for (count, expected) in first.iter().zip([3_000, 3_000, 1_500, 1_500]) {
        assert!(count.abs_diff(expected) < 250, "{first:?}");
    }
}

/// The same on every machine and in every release: a change here splits a network.
#[test]
fn the_draw_is_known() {
    let drawn = |weights: &[u64], leaders_per_round| -> Vec<Vec<u16>> {
        let schedule = schedule(weights, leaders_per_round);
        let leaders = (1..=6).map(|round| schedule.leaders(Round(round)));
        leaders.map(|leaders| leaders.iter().map(|leader| leader.0).collect()).collect()
    };
    assert_eq!(drawn(&[1, 2, 3, 4], 1), [[3], [2], [0], [1], [3], [2]]);
    assert_eq!(
        drawn(&[5, 1, 1, 3, 2, 2, 7], 3),
        [[0, 6, 3], [3, 0, 6], [4, 0, 6], [6, 5, 0], [0, 6, 4], [5, 3, 6]]
    );
    assert_eq!(
        schedule(&[1, 2, 3, 4], 1).digest().to_string(),
        "a4eaf10334c2d858b44be6e2764cbd118a5de959f2cbb4e3d4cdad576d817757"
    );
}

#[test]
fn another_seed_draws_others() {
    let one = schedule(&[1; 10], 2);
    let other = Schedule::new(committee(&[1; 10]), digest("other seed"), 2, 4);
    let differ = (1..100).filter(|round| {
        let round = Round(*round);
        one.leaders(round) != other.leaders(round)
    });
    assert!(differ.count() > 80);
}

#[test]
fn isolated_members_never_lead() {
    let mut schedule = schedule(&[1, 50, 3, 4], 2);
    let before = schedule.digest();
    assert!(schedule.isolate(author(1)) && !schedule.isolate(author(1)));
    assert!(!schedule.isolate(author(4)), "nobody");
    assert_ne!(schedule.digest(), before);
    assert_eq!(schedule.odds_share(author(1)).0, 0);
    let counts = frequencies(&schedule, 1_000);
    assert_eq!((counts[1], counts.iter().sum::<u64>()), (0, 2_000));
    for index in [0, 2, 3] {
        schedule.isolate(author(index));
    }
    assert!(schedule.leaders(Round(1)).is_empty(), "nobody is left, and nothing panics");
}

/// A window of four commits, over rounds in which `late` is referenced by nobody.
fn close_window(schedule: &mut Schedule, opened_at: u64, late: Option<u16>) -> WindowEnd {
    close_window_without(schedule, opened_at, |_, index| Some(index) == late)
}

/// A window of four commits, over rounds in which nobody references the blocks that `is_late`
/// names, by the rounds since the window opened and the author.
fn close_window_without(
    schedule: &mut Schedule,
    opened_at: u64,
    is_late: impl Fn(u64, u16) -> bool,
) -> WindowEnd {
    let members = schedule.committee.len() as u16;
    for round in opened_at + 1..=opened_at + 20 {
        let timely = (0..members).filter(|index| !is_late(round - opened_at, *index));
        let parents: Vec<BlockRef> = timely.map(|index| name(round - 1, index)).collect();
        for index in 0..members {
            schedule.note_block(name(round, index).slot(), &parents);
        }
    }
    let round = Round(opened_at + 20);
    for _ in 1..4 {
        assert_eq!(schedule.end_commit(round, true), WindowEnd::Open);
    }
    schedule.end_commit(round, true)
}

/// Who is late loses odds down to a floor, and gains them again.
#[test]
fn odds_fall_and_recover() {
    let mut schedule = schedule(&[10; 4], 1);
    let full = 10 * u128::from(FULL);
    let odds = |schedule: &Schedule| schedule.odds_share(author(2)).0;
    assert_eq!(odds(&schedule), full);
    assert_eq!(close_window(&mut schedule, 0, None), WindowEnd::Unchanged);
    let mut opened_at = 20;
    for (late, divisor, end) in [
        (Some(2), 4, WindowEnd::Adjusted),
        (Some(2), 16, WindowEnd::Adjusted),
        (Some(2), 64, WindowEnd::Adjusted),
        (Some(2), 256, WindowEnd::Adjusted),
        (Some(2), 1_024, WindowEnd::Adjusted),
        (Some(2), 1_024, WindowEnd::Unchanged),
        (None, 256, WindowEnd::Adjusted),
        (None, 64, WindowEnd::Adjusted),
        (None, 16, WindowEnd::Adjusted),
        (None, 4, WindowEnd::Adjusted),
        (None, 1, WindowEnd::Adjusted),
        (None, 1, WindowEnd::Unchanged),
    ] {
        let digest = schedule.digest();
        assert_eq!(close_window(&mut schedule, opened_at, late), end);
        assert_eq!(odds(&schedule), full / divisor);
        assert_eq!(schedule.digest() == digest, end == WindowEnd::Unchanged);
        assert_eq!(schedule.digest(), schedule.state().digest());
        opened_at += 20;
    }
}

/// Who is late does not lead because slots are left over.
///
/// Given five members and as many slots,
/// when one has been late for so long that its odds are at the floor,
/// then a round has four slots, and the late one holds hardly any of them.
#[test]
fn a_round_has_no_more_slots_than_members_with_full_odds() {
    let mut schedule = schedule(&[10; 5], 5);
    assert_eq!(schedule.leaders(Round(1)).len(), 5);
    for window in 0..5 {
        close_window(&mut schedule, 20 * window, Some(2));
        assert_eq!(schedule.leaders(Round(1)).len(), 4);
    }
    let counts = frequencies(&schedule, 10_000);
    assert_eq!(counts.iter().sum::<u64>(), 40_000);
    assert!((1..50).contains(&counts[2]), "{counts:?}");
}

/// Not everyone can be made to look late.
///
/// Given four members whose blocks are referenced in fewer and fewer rounds, and one isolated,
/// when windows close,
/// then those who were in time most often keep full odds, up to more than half of the weight.
#[test]
fn a_majority_keeps_full_odds() {
    let mut schedule = schedule(&[3, 3, 3, 3, 1], 5);
    schedule.isolate(author(4));
    for window in 0..3 {
        close_window_without(&mut schedule, 20 * window, |round, author| {
            round > 14 - u64::from(author)
        });
    }
    let full: Vec<u16> = (0..5).filter(|index| schedule.has_full_odds(author(*index))).collect();
    assert_eq!(full, [0, 1, 2], "9 of 13; two of them weigh 6");
    assert_eq!(schedule.leaders(Round(1)).len(), 3);
    assert_eq!(schedule.odds_share(author(4)).0, 0);
}

#[test]
fn skipped_slots_cost_odds() {
    // One slot in eight may be skipped.
    for (skipped, loses) in [(1, false), (2, true)] {
        let mut schedule = schedule(&[1; 4], 1);
        for round in 1..=8 {
            let slot = Slot { round: Round(round), author: author(3) };
            schedule.note_decision(slot, round > skipped);
        }
        let end = close_window(&mut schedule, 0, None);
        assert_eq!(end == WindowEnd::Adjusted, loses);
    }
}

/// The odds change at a commit that is the last of its round, so that those who resume there
/// know all there is to know.
#[test]
fn a_window_closes_with_a_round() {
    let mut schedule = schedule(&[1; 4], 2);
    for commit in 1..=9 {
        assert_eq!(schedule.end_commit(Round(30), false), WindowEnd::Open, "{commit}");
    }
    assert_eq!(schedule.end_commit(Round(30), true), WindowEnd::Unchanged);
    assert_eq!(schedule.end_commit(Round(31), true), WindowEnd::Open);
}

#[test]
fn who_resumes_at_a_window_draws_as_the_others_do() {
    let mut going_on = schedule(&[4, 3, 2, 1, 5], 2);
    going_on.isolate(author(4));
    close_window(&mut going_on, 0, Some(1));
    let mut resumed = schedule(&[4, 3, 2, 1, 5], 2);
    resumed.restore(&going_on.state(), Round(20));
    for opened_at in [20, 40] {
        for schedule in [&mut going_on, &mut resumed] {
            close_window(schedule, opened_at, Some(0));
        }
        assert_eq!(going_on.digest(), resumed.digest());
        for round in (opened_at..opened_at + 40).map(Round) {
            assert_eq!(going_on.leaders(round), resumed.leaders(round));
        }
    }
}

#[test]
fn a_state_must_fit_its_committee() {
    let mut schedule = schedule(&[1; 4], 1);
    schedule.isolate(author(3));
    let state = schedule.state();
    assert!(state.fits(4) && !state.fits(3) && !state.fits(5));
    let with = |multiplier: u16| ScheduleState {
        multipliers: Bounded::truncated(vec![FULL, multiplier]),
        isolated: AuthorSet::EMPTY,
    };
    assert!(with(FLOOR).fits(2) && with(FULL).fits(2));
    assert!(!with(FLOOR - 1).fits(2) && !with(FULL + 1).fits(2));
    let stranger = AuthorSet::from_iter([author(2)]);
    assert!(!ScheduleState { isolated: stranger, ..with(FULL) }.fits(2));
}
