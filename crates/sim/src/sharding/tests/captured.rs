//! What a shard can do whose committee is all in one hand, and what it cannot.

use super::*;
use crate::sharding::captured::Claims;
use crate::sharding::random_shards;

/// Three shards, of which shard 0 is captured and makes money up for both others.
fn of_three() -> ShardedBuilder {
    let captures = |builder: ShardedBuilder, to| builder.bad_relayers(0, to, BadRelayer::Captures);
    captures(captures(calm(31, 3), 1), 2)
}

/// A captured shard makes money up, and only its own lanes suffer.
///
/// Given three shards, of which shard 0 is captured and certifies receipts that never were,
/// when transfers cross between all of them,
/// then the only thing that is wrong anywhere is that shards 1 and 2 have applied what shard 0
/// never sent; whatever does not come from shard 0 has arrived, no validator has diverged, and the
/// money that was made up is exactly what the lanes from shard 0 say.
#[test]
fn a_captured_shard_harms_nothing_but_its_own_lanes() {
    let network = run(of_three(), 20);
    let arrived = |from: usize| {
        let crossings = network.traffic.crossings.values().filter(move |it| it.from == from);
        (crossings.clone().count(), crossings.filter(|it| it.certified.is_some()).count())
    };
    for from in [1, 2] {
        let (sent, certified) = arrived(from);
        assert!(sent > 40 && sent == certified, "{from}: {certified} of {sent}");
    }
    assert_eq!(network.lanes_with_made_up_money(), 2);
    let captured = network.shard(0).unwrap().shard(0).unwrap().ledger().outbox();
    for to in [1, 2] {
        let ledger = network.shard(to).unwrap().shard(0).unwrap().ledger();
        let supply = ledger.audit().unwrap();
        let lane = qcn_types::LaneId { own: ShardId(to as u32), peer: ShardId(0) };
        let received = ledger.received_on(lane).moved;
        assert!(received >= u128::from(crate::sharding::captured::MADE_UP), "{received}");
        assert_eq!(network.watch.made_up()[&lane].moved, received);
        let sent = captured.end(lane.reversed()).map_or(0, |end| end.sent.moved);
        assert!(received > sent, "there is more than ever was sent");
        assert!(supply.is_conserved());
    }
}

/// What breaks in a network to which `spoil` is done first.
fn broken(builder: ShardedBuilder, spoil: impl FnOnce(&mut ShardedNetwork)) -> Vec<String> {
    let mut network = builder.build().unwrap();
    spoil(&mut network);
    network.run_to(Time(seconds(20)));
    let violations = network.check_consensus().into_iter();
    violations.map(|it| format!("{}: {}", it.invariant, it.detail)).collect()
}

/// Given a network in which shard 2 makes money up as well, but only shard 0 is known to be
/// captured, then what arrives on the lanes from shard 2 is found, and nothing else.
#[test]
fn money_from_a_shard_that_is_not_captured_is_found() {
    let builder = of_three().bad_relayers(2, 1, BadRelayer::Captures);
    let found = broken(builder, |network| {
        network.links.claims = Claims::of([ShardId(0)].into());
    });
    let is_from_2 = |it: &String| it.contains("from 2, which was never sent");
    assert!(found.iter().any(is_from_2), "{found:#?}");
    assert!(!found.iter().any(|it| it.contains("from 0, ")), "{found:#?}");
}

/// Given a certificate of a captured shard that says a unit less than what arrives on its lane,
/// then what arrives is found.
#[test]
fn money_beyond_the_certificate_is_found() {
    let found = broken(of_three(), |network| {
        let mut at = 0;
        while network.links.claims.heads_mut().count() == 0 {
            at += milliseconds(1);
            network.run_to(Time(at));
        }
        assert_eq!(network.lanes_with_made_up_money(), 0, "it is still on its way");
        network.links.claims.heads_mut().for_each(|head| head.moved -= 1);
    });
    let is_unsent = |it: &String| {
        it.starts_with("receipts_once_and_in_order") && it.contains("from 0, which was never sent")
    };
    assert!(found.iter().any(is_unsent), "{found:#?}");
}

/// Given a network in which made-up money has arrived, when a validator is said to take one more
/// receipt than its lane from the captured shard has, then that is found.
#[test]
fn receipts_beyond_the_lane_are_found() {
    let mut network = of_three().build().unwrap();
    network.run_to(Time(seconds(6)));
    assert_eq!(network.lanes_with_made_up_money(), 2);
    assert_eq!(network.check_consensus(), []);
    let receipt = qcn_types::Receipt {
        kind: qcn_types::ReceiptKind::Transfer,
        transaction: TransactionId(Digest([9; 32])),
        sender: qcn_types::Address(Digest([1; 32])),
        receiver: qcn_types::Address(Digest([2; 32])),
        amount: qcn_types::Amount(1),
    };
    let reception = qcn_ledger::Reception::Credited;
    let notice = Notice::Executed {
        process: 0,
        honest: true,
        validator: ValidatorIndex(0),
        height: Height(u64::MAX),
        applied: Vec::new(),
        received: vec![Received { source: ShardId(0), receipt, reception }],
    };
    let (place, engine) = (&network.places[1], &network.shards[1].engine);
    network.watch.notice(network.now, place, &notice, engine, &network.links.claims);
    let found = network.check_consensus();
    assert_eq!(found.len(), 1, "{found:#?}");
    assert!(found[0].detail.starts_with("1 takes 1"), "{found:#?}");
    assert_eq!(found[0].invariant, "supply_across_shards");
}

/// Given a captured shard, and two others between which nothing is carried, then that their
/// transfers do not arrive is told, as ever.
#[test]
fn the_others_must_go_on() {
    let [s1, s2] = [1, 2].map(ShardId);
    let found = broken(of_three().cut_off(s1, s2, Time(0), Time(u64::MAX)), |_| {});
    assert!(!found.is_empty() && found.iter().all(|it| it.starts_with("receipts_arrive")));
    for [from, to] in [[1, 2], [2, 1]] {
        let lane = format!("from shard {from} in epoch 0 to shard {to} in epoch 0");
        assert!(found.iter().any(|it| it.contains(&lane)), "{found:#?}");
    }
}

/// Given random networks, then about a sixteenth of those of several shards has a captured one, no
/// layout changes there, and the description tells.
#[test]
fn random_networks_have_captured_shards() {
    let all: Vec<_> = (0..4_000).map(random_shards).collect();
    let several = all.iter().filter(|it| it.builder.shards > 1).count();
    let captured: Vec<_> = all.iter().filter(|it| it.has_captured()).collect();
    let expected = several / 16;
    assert!((expected * 3 / 4..expected * 5 / 4).contains(&captured.len()), "{}", captured.len());
    for network in captured {
        let builder = &network.builder;
        assert_eq!(builder.captured().len(), 1);
        assert!(builder.votes.is_empty() && builder.epochs.iter().all(|(_, it)| it.is_empty()));
        assert!(network.describe().contains("is captured and makes money up for shard "));
    }
}

/// Given the first random network with a captured shard and without a beacon, which would take
/// longer, when it runs to its end, then nothing breaks, and money that was made up has arrived.
#[test]
fn a_random_network_lives_with_a_captured_shard() {
    let mut networks = (0..).map(random_shards).filter(ShardedPlan::has_captured);
    let network = networks.find(|it| it.builder.beacon.is_none()).unwrap();
    let told = network.describe();
    let mut running = network.builder.build().unwrap();
    running.run_to(network.until);
    assert_eq!(running.check_consensus(), [], "{told}");
    assert!(running.lanes_with_made_up_money() > 0, "{told}");
}

/// Given a random network that fails because a shard is captured, when it is shrunk, then nothing
/// is left but that shard and one other.
#[test]
fn a_captured_shard_stays_where_it_is_needed() {
    let network = (0..).map(random_shards).find(ShardedPlan::has_captured).unwrap();
    let (small, _) = network.shrink(true, &|runs| runs >= 1_000, &mut ShardedPlan::has_captured);
    assert_eq!((small.builder.shards, small.builder.bad_relayers.len()), (2, 1));
    small.builder.build().unwrap();
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
