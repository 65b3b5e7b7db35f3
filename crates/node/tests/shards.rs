//! Networks of several shards in one process, over real sockets and disks.
#![allow(clippy::unwrap_used, reason = "these are tests")]

mod network;

use std::time::Duration;

use network::{Network, Plan};
use qcn_node::genesis::Genesis;
use qcn_types::{ShardId, ValidatorIndex};

const LEFT: ShardId = ShardId(0);
const RIGHT: ShardId = ShardId(1);

/// A transfer across arrives exactly once, also over a restart of everybody.
///
/// Given two shards served by the same four validators.
/// When an account of one pays to an account of the other,
/// then it arrives, the sender has paid once, and all units of both shards add up;
/// and after all nodes were stopped and started again the balances are the same, what arrived is
/// still known, and transfers across go on in both directions.
#[test]
fn a_transfer_across_arrives_exactly_once_and_outlives_a_restart() {
    let mut network = Network::start(
        "restart",
        Plan { validators: 4, shards: 2, seats: 4, port: 24_100, epochs: None },
    );
    let [alice, bob] = [network.account_of(LEFT), network.account_of(RIGHT)];
    let [carol, dave] = [network.account_of(LEFT), network.account_of(RIGHT)];
    let [before_alice, before_bob] = [&alice, &bob].map(|one| network.balance(one));

    let first = network.pay_across(&alice, &bob, 1_000);
    assert_eq!(network.balance(&bob), before_bob + 1_000);
    assert_eq!(network.balance(&alice), before_alice - 1_000 - Network::FEE);
    network.assert_supply_adds_up();

    // Twice: what a snapshot gave has to go on as what it was taken from.
    for _ in 0..2 {
        network.until_snapshots();
        network.pay_across(&carol, &dave, 5);
        network.restart();
    }
    assert_eq!(network.balance(&bob), before_bob + 1_000);
    assert_eq!(network.balance(&alice), before_alice - 1_000 - Network::FEE);
    assert_eq!(network.arrival(first)["status"], "arrived");
    for round in 1..=3_u64 {
        network.pay_across(&alice, &bob, 10);
        network.pay_across(&bob, &alice, 1);
        assert_eq!(network.balance(&bob), before_bob + 1_000 + round * (10 - 1 - Network::FEE));
    }
    network.assert_supply_adds_up();
    // Nothing comes a second time, however often relayers look.
    network.let_pass(Duration::from_secs(3));
    assert_eq!(network.balance(&bob), before_bob + 1_000 + 3 * (10 - 1 - Network::FEE));
}

/// The validators with a seat in both of two shards.
fn in_both(genesis: &Genesis, [one, other]: [usize; 2]) -> usize {
    let seats = |at: usize| &genesis.shards()[at].seats;
    seats(one).iter().filter(|validator| seats(other).contains(validator)).count()
}

/// Shards that have no validator in common reach each other over the network, and a node says
/// clearly what it cannot answer.
///
/// Given three shards of four validators each, drawn from ten, of which the first and the last
/// have nobody in common.
/// When accounts of these two pay each other, then that arrives, was carried by somebody without a
/// seat in the source, and all units add up;
/// and who does not host an account's shard, or any, names those that do.
#[test]
fn shards_without_a_common_validator_trade_over_the_network() {
    let plan = Plan { validators: 10, shards: 3, seats: 4, port: 24_200, epochs: None };
    let apart = |genesis: &Genesis| in_both(genesis, [0, 2]) == 0;
    let mut network = Network::start_drawn("apart", plan, apart);
    let (first, last) = (ShardId(0), ShardId(2));
    let [alice, carol] = [network.account_of(first), network.account_of(last)];
    let [before_alice, before_carol] = [&alice, &carol].map(|one| network.balance(one));
    for round in 1..=3_u64 {
        network.pay_across(&alice, &carol, 100);
        network.pay_across(&carol, &alice, 7);
        let change = 100 - 7 - Network::FEE;
        assert_eq!(network.balance(&carol), before_carol + round * change);
        assert_eq!(network.balance(&alice), before_alice - round * (100 + Network::FEE - 7));
    }
    network.assert_supply_adds_up();
    let carried = (0..10).map(|at| network.carried(at, [first, last])).sum::<u64>();
    assert!(carried >= 3, "{carried} receipts were carried over the network");

    let only_first = network.hosts(first).next().expect("it is hosted");
    let (status, body) = network.ask_node(only_first, &format!("/v1/accounts/{}", carol.address));
    assert_eq!((status, &body["error"]["code"]), (421, &"shard_elsewhere".into()), "{body}");
    let genesis = network.genesis();
    let member = &genesis.shards()[2].committee.members()[0].name;
    assert!(body["error"]["remedy"].as_str().unwrap().contains(member), "{body}");
    let (status, body) = network.ask_node(only_first, "/v1/shards/2/status");
    assert_eq!((status, &body["error"]["code"]), (421, &"shard_elsewhere".into()), "{body}");

    let is_seated = |at: usize| {
        let validator = ValidatorIndex(at as u16);
        genesis.shards().iter().any(|shard| shard.seats.contains(&validator))
    };
    for at in (0..10).filter(|at| !is_seated(*at)) {
        let (status, body) = network.ask_node(network.node(at), "/v1/status");
        assert_eq!((status, &body["error"]["code"]), (421, &"no_shard_here".into()), "{body}");
        let (status, body) = network.ask_node(network.node(at), "/v1/shards");
        assert_eq!((status, body["shards"].as_array().unwrap().len()), (200, 3));
        assert_eq!(network.ask_node(network.node(at), "/health").0, 200);
    }
}

/// Whoever goes first on a lane can stop, and the others carry on.
///
/// Given two shards served by the same four validators.
/// When each of them in turn is stopped, then transfers arrive in both directions all the same;
/// and once it is back, everything adds up.
#[test]
fn a_stopped_validator_holds_no_lane_up() {
    let mut network = Network::start(
        "stopped",
        Plan { validators: 4, shards: 2, seats: 4, port: 24_300, epochs: None },
    );
    let [alice, bob] = [network.account_of(LEFT), network.account_of(RIGHT)];
    for at in 0..4 {
        network.stop_node(at);
        network.pay_across(&alice, &bob, 5);
        network.pay_across(&bob, &alice, 3);
        network.start_node(at);
    }
    network.assert_supply_adds_up();
}
