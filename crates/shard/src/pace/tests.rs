use super::*;

const SECOND: u64 = 1_000_000;

fn head(batches: u64) -> LaneHead {
    LaneHead { batches, receipts: batches, ..LaneHead::default() }
}

fn expected(batches: u64) -> Expected {
    Expected { applied: head(batches), acknowledged: head(0) }
}

/// Who sits in both goes first, everybody in the destination has a rank of its own, and another
/// lane begins with another.
#[test]
fn ranks_are_an_order_of_the_destination_that_turns_from_lane_to_lane() {
    let ranks_of = |lane: [u32; 2], source: [u16; 4], destination: [u16; 4]| {
        let rank_of = |own| rank(lane.map(ShardId), &destination, |it| source.contains(&it), own);
        [0, 1, 2, 3, 4, 5].map(rank_of)
    };
    let ranks = ranks_of([0, 1], [0, 1, 2, 3], [1, 3, 4, 5]);
    let mut both = [ranks[1], ranks[3]];
    let mut others = [ranks[4], ranks[5]];
    both.sort_unstable();
    others.sort_unstable();
    assert_eq!((both, others), ([Some(0), Some(1)], [Some(2), Some(3)]));
    assert_eq!((ranks[0], ranks[2]), (None, None), "no seat in the destination");

    let everybody = [0, 1, 2, 3];
    let there = ranks_of([0, 1], everybody, everybody);
    let back = ranks_of([1, 0], everybody, everybody);
    assert_ne!(there, back, "one validator goes first both ways");
}

/// The first carries at once; not again while the lane does not move, but after a second.
#[test]
fn the_first_carries_at_once_and_again_only_after_a_while() {
    let mut pace = Pace::new(0, 4);
    let now = 5 * SECOND;
    assert!(pace.carries(now, &expected(0), true));
    pace.carried(now);
    assert!(!pace.carries(now + 500_000, &expected(0), true), "it is on its way");
    assert!(pace.carries(now + SECOND, &expected(0), true), "it may have got lost");

    pace.carried(now + SECOND);
    let soon = now + SECOND + 2_000;
    assert!(!pace.carries(soon, &expected(1), true), "not twice within 3 ms");
    assert!(pace.carries(soon + 1_000, &expected(1), true), "the lane has moved");
}

/// The more signatures all lanes bring, the less often each is carried on; however many there are, it
/// is ten times a second.
#[test]
fn lanes_from_more_seats_are_carried_on_less_often() {
    for (seats, interval_us) in [(4, 3_000), (60, 45_000), (150, 100_000), (10_000, 100_000)] {
        let mut pace = Pace::new(0, seats);
        pace.carried(SECOND);
        assert!(!pace.carries(SECOND + interval_us - 1, &expected(1), true), "{seats}");
        assert!(pace.carries(SECOND + interval_us, &expected(2), true), "{seats}");
    }
}

/// The third of a lane steps in once the lane has stood for its patience, and no sooner; from then
/// on it goes first for a while. While the lane moves it never carries.
#[test]
fn others_step_in_only_where_the_lane_stands() {
    let mut pace = Pace::new(2, 4);
    let patience = 2 * PATIENCE_US;
    for tenth in 0..100 {
        let now = tenth * SECOND / 10;
        assert!(!pace.carries(now, &expected(tenth), true), "it moves");
    }
    let since = 10 * SECOND;
    assert!(!pace.carries(since, &expected(100), true));
    assert!(!pace.carries(since + patience - 1, &expected(100), true));
    assert!(pace.carries(since + patience, &expected(100), true));
    pace.carried(since + patience);
    assert!(pace.is_first(since + patience + 1));
    let next = since + patience + 4 * CARRY_INTERVAL_PER_SEAT_US;
    assert!(pace.carries(next, &expected(101), true), "it stands in");
    let later = since + patience + STANDS_IN_US;
    assert!(!pace.is_first(later));
    assert!(!pace.carries(later, &expected(102), true), "it leaves the lane to the first again");
}

/// Whoever begins to relay on a lane that another has seen to stand waits only for what is left of its
/// patience; where the lane has moved since, it waits for all of it.
#[test]
fn a_lag_is_handed_on_while_it_lasts() {
    let mut before = Pace::new(1, 4);
    assert!(!before.carries(SECOND, &expected(7), true));
    let late = SECOND + PATIENCE_US;
    let mut next = Pace::new(1, 4).with_lag(before.lag());
    assert!(next.carries(late, &expected(7), true));
    let mut next = Pace::new(1, 4).with_lag(before.lag());
    assert!(!next.carries(late, &expected(8), true));
}

/// A lane that lacks nothing but acknowledgements lags, too, once they are many.
#[test]
fn acknowledgements_make_a_lane_lag_once_they_are_many() {
    let (own, peer) = (ShardId(0), ShardId(1));
    let end = |sent, received| LaneEnd { own, peer, sent: head(sent), received };
    let behind = |end| is_behind(&end, &expected(3));
    assert!(!behind(end(3, head(0))));
    assert!(behind(end(4, head(0))));
    assert!(!behind(end(3, head(LAGGING_BATCHES - 1))));
    assert!(behind(end(3, head(LAGGING_BATCHES))));
    let receipts = LaneHead { batches: 3, receipts: LAGGING_RECEIPTS, ..LaneHead::default() };
    assert!(behind(end(3, receipts)));
}
