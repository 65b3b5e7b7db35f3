//! What a shard can do whose committee is all in one hand, and what it cannot.

use super::*;

/// A captured shard makes money up, and only its own lanes suffer.
///
/// Given three shards, of which shard 0 is captured and certifies receipts that never were,
/// when transfers cross between all of them,
/// then the only thing that is wrong anywhere is that shards 1 and 2 have applied what shard 0
/// never sent; whatever does not come from shard 0 has arrived, no validator has diverged, and the
/// money that was made up is exactly what the lanes from shard 0 say.
#[test]
fn a_captured_shard_harms_nothing_but_its_own_lanes() {
    let builder = calm(31, 3).bad_relayers(0, 1, BadRelayer::Captures).bad_relayers(
        0,
        2,
        BadRelayer::Captures,
    );
    let mut network = builder.build().unwrap();
    network.run_to(Time(seconds(20)));
    let violations = network.check_consensus();
    let mut harmed = 0;
    for violation in &violations {
        let detail = &violation.detail;
        let is_its_own = match violation.invariant {
            "receipts_once_and_in_order" => detail.ends_with("from 0, which was never sent"),
            "receipts_arrive" => detail.contains("transfers from shard 0 to "),
            "supply_across_shards" => detail.starts_with("there is "),
            _ => false,
        };
        assert!(is_its_own, "{violation:?}");
        harmed += 1;
    }
    assert!(harmed > 0, "it was not captured at all");
    let arrived = |from: usize| {
        let crossings = network.traffic.crossings.values().filter(move |it| it.from == from);
        (crossings.clone().count(), crossings.filter(|it| it.certified.is_some()).count())
    };
    for from in [1, 2] {
        let (sent, certified) = arrived(from);
        assert!(sent > 40 && sent == certified, "{from}: {certified} of {sent}");
    }
    let captured = network.shard(0).unwrap().shard(0).unwrap().ledger().outbox();
    for to in [1, 2] {
        let ledger = network.shard(to).unwrap().shard(0).unwrap().ledger();
        let supply = ledger.audit().unwrap();
        let lane = qcn_types::LaneId { own: ShardId(to as u32), peer: ShardId(0) };
        let received = ledger.received_on(lane).moved;
        assert!(received >= u128::from(crate::sharding::captured::MADE_UP), "{received}");
        let sent = captured.end(lane.reversed()).map_or(0, |end| end.sent.moved);
        assert!(received > sent, "there is more than ever was sent");
        assert!(supply.is_conserved());
    }
}

/// Two shards that cannot reach each other for a while deliver everything once they can, and the
/// third one notices nothing.
#[test]
fn shards_that_are_cut_off_from_each_other_catch_up() {
    let [s0, s1] = [0, 1].map(ShardId);
    let builder = calm(32, 3).cut_off(s0, s1, Time(seconds(1)), Time(seconds(7)));
    let network = run(builder, 20);
    assert!(all_arrived(&network) > 150);
    let slowest = |cut: bool| {
        let is_cut = |it: &&traffic::Crossing| (it.from < 2 && it.to < 2) == cut;
        let crossings = network.traffic.crossings.values().filter(is_cut);
        crossings.filter_map(|it| Some(it.certified? - it.submitted)).max().unwrap()
    };
    assert!(slowest(true) > seconds(4), "{}", slowest(true));
    assert!(slowest(false) < seconds(3), "{}", slowest(false));
}
