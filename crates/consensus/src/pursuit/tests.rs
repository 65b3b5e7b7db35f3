use super::*;

fn author(index: u16) -> ValidatorIndex {
    ValidatorIndex(index)
}

#[test]
fn two_peers_are_asked_for_the_next_rounds_and_not_again_at_once() {
    let mut pursuit = Pursuit::new(4, Time::ZERO);
    let rounds = || Round(10)..=Round(50);
    let asked = pursuit.requests(Time(1_000), 500, rounds(), author(3));
    let firsts: Vec<_> = asked
        .iter()
        .map(|(to, message)| match message {
            Message::RequestRounds { first, count } => (to.0, first.0, *count),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(firsts, [(3, 10, 32), (0, 42, 32)]);
    assert!(pursuit.requests(Time(1_499), 500, rounds(), author(3)).is_empty());
    assert_eq!(pursuit.next_request(), Time(1_500));
    // Nothing is asked for above the highest round.
    let near = pursuit.requests(Time(1_500), 500, Round(10)..=Round(41), author(1));
    assert_eq!(near.len(), 1);
}

/// However large the committee, the rounds asked for hold about as many blocks.
#[test]
fn a_request_is_as_large_whatever_the_committee() {
    for (members, expected) in [(1, 32), (12, 32), (20, 20), (100, 8)] {
        let mut pursuit = Pursuit::new(members, Time::ZERO);
        let asked = pursuit.requests(Time::ZERO, 1, Round(1)..=Round(500), author(0));
        let counts = asked.iter().all(|(_, message)| match message {
            Message::RequestRounds { count, .. } => *count == expected,
            _ => false,
        });
        assert!(counts && asked.len() == 2, "{members}: {asked:?}");
    }
}

#[test]
fn claims_and_drops_only_rise() {
    let mut pursuit = Pursuit::new(3, Time::ZERO);
    pursuit.claim(author(1), Round(9));
    pursuit.claim(author(1), Round(4));
    pursuit.claim(author(2), Round(5));
    assert_eq!(pursuit.claimants_above(Round(5)), AuthorSet::from_iter([author(1)]));
    assert_eq!(pursuit.claimants_above(Round(4)), AuthorSet::from_iter([author(1), author(2)]));
    assert_eq!(pursuit.dropped(), None);
    pursuit.note_dropped(Round(999), author(0), false);
    pursuit.note_dropped(Round(900), author(1), true);
    pursuit.note_dropped(Round(800), author(2), true);
    assert_eq!(pursuit.dropped(), Some((Round(900), author(1))));
}

#[test]
fn that_the_others_are_out_of_reach_is_said_once_a_pause() {
    let mut pursuit = Pursuit::new(3, Time::ZERO);
    let said = [10, 14, 15, 19, 20].map(|at| pursuit.reports(Time(at), 5));
    assert_eq!(said, [true, false, true, false, true]);
}
