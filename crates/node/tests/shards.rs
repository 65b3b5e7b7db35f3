//! Networks of several shards in one process, over real sockets and disks.

mod network;

use std::time::Duration;

use network::{Network, Plan};
use qcn_types::ShardId;

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
    let mut network =
        Network::start("restart", Plan { validators: 4, shards: 2, seats: 4, port: 24_100 });
    let [alice, bob] = [network.account_of(LEFT), network.account_of(RIGHT)];
    let [before_alice, before_bob] = [&alice, &bob].map(|one| network.balance(one));

    let first = network.pay_across(&alice, &bob, 1_000);
    assert_eq!(network.balance(&bob), before_bob + 1_000);
    assert_eq!(network.balance(&alice), before_alice - 1_000 - Network::FEE);
    network.assert_supply_adds_up();

    network.restart();
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
