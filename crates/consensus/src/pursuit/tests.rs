use super::*;

fn author(index: u16) -> ValidatorIndex {
    ValidatorIndex(index)
}

/// Whom it asks for which rounds, and how many.
fn asks(pursuit: &mut Pursuit, at: u64, rounds: RangeInclusive<u64>) -> Vec<(u16, u64, u16)> {
    let rounds = Round(*rounds.start())..=Round(*rounds.end());
    let asked = pursuit.requests(Time(at), 100, rounds, author(3));
    let asked = asked.into_iter().map(|(to, message)| match message {
        Message::RequestRounds { first, count } => (to.0, first.0, count),
        other => panic!("{other:?}"),
    });
    asked.collect()
}

#[test]
fn two_peers_are_asked_for_the_next_rounds() {
    let mut pursuit = Pursuit::new(author(1), 4);
    assert_eq!(asks(&mut pursuit, 0, 10..=100), [(3, 10, 32), (0, 42, 32)]);
    // Nothing is asked for above the highest round.
    assert_eq!(asks(&mut Pursuit::new(author(1), 4), 0, 10..=41), [(3, 10, 32)]);
}

/// What may be on its way is not asked for again.
///
/// Given rounds that were asked for. While nothing comes, the same ones are asked for with pauses
/// that double up to a limit, each time from others; an answer that took long makes the next
/// pause twice as long.
#[test]
fn requests_come_no_faster_than_answers() {
    let mut pursuit = Pursuit::new(author(1), 4);
    let silent = || 10..=1_000_000;
    let mut times = Vec::new();
    let mut peers = AuthorSet::EMPTY;
    for at in (0..20_000_000).step_by(100) {
        if let Some((to, first, _)) = asks(&mut pursuit, at, silent()).first() {
            assert_eq!(*first, 10);
            times.push(at);
            peers.insert(author(*to));
        }
    }
    let pauses: Vec<u64> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert_eq!(pauses[..4], [100, 200, 400, 800]);
    assert_eq!(pauses.iter().max(), Some(&2_000_000));
    assert_eq!(peers, AuthorSet::from_iter([0, 2, 3].map(author)), "never itself");

    // Each answer takes a second, in which the requests that came too soon are the first ones.
    let mut pursuit = Pursuit::new(author(1), 4);
    let (mut first, mut asked, mut sent) = (10, Vec::new(), Vec::new());
    for at in (0..20_000_000).step_by(100) {
        if at % 1_000_000 == 999_900 {
            for (to, first, count) in &asked {
                let highest = Round(first + u64::from(*count) - 1);
                pursuit.note_answer(author(*to), Round(*first), highest);
            }
            first += 63;
        }
        let newly = asks(&mut pursuit, at, first..=1_000_000);
        if !newly.is_empty() {
            sent.push(at / 1_000_000);
            asked = newly;
        }
    }
    let in_each = (0..20).map(|second| sent.iter().filter(|at| **at == second).count());
    let in_each: Vec<usize> = in_each.collect();
    assert!(in_each[0] > 5, "{in_each:?}");
    assert!(in_each[2..].iter().all(|count| *count == 1), "{in_each:?}");
}

/// Who answers with little or nothing is asked no more often than others.
///
/// Given a peer that is said to be the farthest ahead. When it answers every request at once, but
/// with the first round only, or with what cannot be used,
/// then the others are asked as well, and what they know comes in.
#[test]
fn a_liar_is_not_asked_again_and_again() {
    for useful in [1, 0] {
        let mut pursuit = Pursuit::new(author(1), 4);
        let (mut first, mut first_halves) = (10, Vec::new());
        for at in (0..5_000_000).step_by(100) {
            for (place, (to, from, count)) in
                asks(&mut pursuit, at, first..=1_000_000).into_iter().enumerate()
            {
                if place == 0 {
                    first_halves.push(to);
                }
                let answered = if to == 3 { useful } else { u64::from(count) };
                pursuit.note_answer(author(to), Round(from), Round(from + answered));
                // Rounds come in while there is no gap.
                if from <= first + 1 {
                    first = first.max(from + answered - u64::from(to != 3));
                }
            }
        }
        let of_liar = first_halves.iter().filter(|to| **to == 3).count();
        assert!(of_liar * 2 <= first_halves.len(), "{of_liar} of {}", first_halves.len());
        assert!(first > 1_000, "{useful}: {first}");
    }
}

/// Who says that the rounds are gone is not waited for.
#[test]
fn the_next_peers_are_asked_where_rounds_are_gone() {
    let mut pursuit = Pursuit::new(author(1), 4);
    asks(&mut pursuit, 0, 10..=1_000);
    asks(&mut pursuit, 100, 10..=1_000);
    assert_eq!(pursuit.next_request(Round(10), 100), Time(300), "silence");
    assert!(pursuit.note_gone(author(2), Round(10)).is_empty(), "it was asked for others");
    assert_eq!(*pursuit.note_gone(author(0), Round(10)), AuthorSet::from_iter([author(0)]));
    assert_eq!(pursuit.next_request(Round(10), 100), Time(200));
    assert_eq!(asks(&mut pursuit, 200, 10..=1_000)[0].0, 3, "not the second one again");
    pursuit.note_gone(author(3), Round(10));
    assert_eq!(pursuit.gone.len(), 2, "both count");
    asks(&mut pursuit, 300, 11..=1_000);
    assert!(pursuit.gone.is_empty(), "something came");
}

/// The next rounds are asked for as soon as the last ones are here, but not more often than the
/// pause; and only as many as the answers have room for.
#[test]
fn the_next_rounds_follow_the_answers() {
    let mut pursuit = Pursuit::new(author(1), 4);
    asks(&mut pursuit, 0, 1..=1_000);
    pursuit.note_answer(author(3), Round(1), Round(32));
    pursuit.note_answer(author(0), Round(33), Round(64));
    assert_eq!(pursuit.next_request(Round(62), 100), Time(100), "the second half may still come");
    assert!(asks(&mut pursuit, 99, 63..=1_000).is_empty());
    assert_eq!(asks(&mut pursuit, 100, 63..=1_000), [(3, 63, 32), (0, 95, 32)]);

    // Long blocks: only seven of the rounds fit.
    pursuit.note_answer(author(3), Round(63), Round(70));
    assert_eq!(pursuit.next_request(Round(68), 100), Time(300));
    assert_eq!(asks(&mut pursuit, 200, 69..=1_000), [(0, 69, 7), (2, 76, 7)]);
    pursuit.note_answer(author(0), Round(69), Round(75));
    pursuit.note_answer(author(2), Round(76), Round(82));
    assert_eq!(asks(&mut pursuit, 300, 81..=1_000), [(0, 81, 14), (2, 95, 14)]);
    // Nobody else's word counts, nor what was not asked for, nor an answer that brings nothing.
    pursuit.note_answer(author(3), Round(81), Round(82));
    pursuit.note_answer(author(0), Round(81), Round(999));
    pursuit.note_answer(author(0), Round(80), Round(82));
    pursuit.note_answer(author(0), Round(81), Round(81));
    assert!(asks(&mut pursuit, 400, 81..=1_000).is_empty());

    pursuit.rest();
    assert_eq!(asks(&mut pursuit, 400, 500..=501), [(3, 500, 32)]);
}

/// However large the committee, the rounds asked for hold about as many blocks.
#[test]
fn a_request_is_as_large_whatever_the_committee() {
    for (members, expected) in [(1, 32), (12, 32), (20, 20), (100, 8)] {
        let asked = Pursuit::new(author(0), members).requests(
            Time::ZERO,
            1,
            Round(1)..=Round(500),
            author(0),
        );
        let counts = asked.iter().all(|(_, message)| match message {
            Message::RequestRounds { count, .. } => *count == expected,
            _ => false,
        });
        assert!(counts && asked.len() == 2, "{members}: {asked:?}");
    }
}

#[test]
fn claims_and_drops_only_rise() {
    let mut pursuit = Pursuit::new(author(0), 3);
    pursuit.claim(author(1), Round(9));
    pursuit.claim(author(1), Round(4));
    assert_eq!(pursuit.claimed[1], Round(9));
    assert_eq!(pursuit.dropped(), None);
    pursuit.note_dropped(Round(900), author(1), Round(950));
    pursuit.note_dropped(Round(800), author(2), Round(950));
    assert_eq!(pursuit.dropped(), Some((Round(900), author(1))));
    // Nobody honest is as far as that.
    pursuit.note_dropped(Round(u64::MAX), author(2), Round(960));
    assert_eq!(pursuit.dropped(), Some((Round(960), author(2))));
}

/// Blocks are given up for the state only while the others are not coming nearer.
#[test]
fn only_who_comes_no_nearer_is_losing() {
    let mut pursuit = Pursuit::new(author(0), 3);
    // (microseconds, rounds behind, whether that is losing)
    let rows = [
        (0, 800, false),
        (999, 800, false),
        (1_000, 701, true),
        (1_500, 700, false),
        (2_000, 615, true),
        (2_100, 400, false),
        (2_900, 340, false),
        (3_899, 330, false),
        (3_900, 330, true),
    ];
    for (at, gap, expected) in rows {
        assert_eq!(pursuit.is_losing(Time(at), gap, 1_000), expected, "at {at}");
    }
    pursuit.is_near();
    assert!(!pursuit.is_losing(Time(9_000), 330, 1_000));
}

/// The lighter a liar, the less its claim counts.
#[test]
fn the_highest_round_of_an_honest_author_needs_weight() {
    let committee = crate::testing::committee(&[1, 1, 2, 3]);
    let thresholds = Thresholds::of(&committee, None);
    let mut pursuit = Pursuit::new(author(1), 4);
    let claimed = |pursuit: &Pursuit| pursuit.claimed_by_honest(&committee, thresholds).0;
    pursuit.claim(author(0), Round(900));
    pursuit.claim(author(1), Round(500));
    assert_eq!(claimed(&pursuit), 0, "f of 7 is 2");
    pursuit.claim(author(3), Round(30));
    assert_eq!(claimed(&pursuit), 30);
    pursuit.claim(author(2), Round(600));
    assert_eq!(claimed(&pursuit), 600);
}
