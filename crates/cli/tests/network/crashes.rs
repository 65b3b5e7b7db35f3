//! Nodes that are killed, or stopped and started again, with their disks as they were.

use std::time::Duration;

use crate::network::{Network, VALIDATORS};
use crate::patience::{Dice, for_as_long_as, seconds, until};
use crate::traffic::Traffic;
use crate::witness::Witness;

const EVERYBODY: [usize; VALIDATORS] = [0, 1, 2, 3];

/// Transfers per second besides those that are followed, so that disks and queues have work.
const LOAD_TPS: u32 = 300;

/// Draws other victims and moments in the storm.
const SEED_VARIABLE: &str = "QCN_STORM_SEED";

/// How long finality may pause while one node of four is restarted: a few leader timeouts, on a
/// machine that starts a process and runs another test at the same time.
const ROLLING_PAUSE_MAX: Duration = seconds(5);

/// Nothing final is lost in a storm of kill -9.
///
/// Given a network under load.
/// When one, two or all four nodes are killed at random moments and come back, some killed again
/// while they start,
/// then what was final before stays so at every node, all agree, and finality goes on.
#[test]
fn kill_storms_lose_nothing_that_was_final() {
    let mut network = Network::lay_out("storm");
    // Snapshots and the pruning of logs are where a crash could hurt: often instead of rarely.
    network.edit_genesis(|content| {
        content.consensus.schedule_interval_commits = 16;
        content.snapshot_interval = 1;
    });
    network.launch_all();
    network.wait_until_ready();
    let mut witness = Witness::default();
    let traffic = Traffic::start(&network);
    network.start_load(LOAD_TPS);
    let seed = std::env::var(SEED_VARIABLE).map_or(7, |seed| seed.parse().unwrap());
    println!("again: {SEED_VARIABLE}={seed} cargo nextest run -p qcn --test network kill_storms");
    let mut dice = Dice::new(seed);
    for victims_wanted in [1, 4, 2, 3, 4, 1, 4, 2, 4] {
        witness.wait_for_more(&network, 3 + dice.roll(20));
        let mut victims = EVERYBODY.to_vec();
        while victims.len() > victims_wanted {
            victims.swap_remove(dice.roll(victims.len() as u64) as usize);
        }
        victims.iter().for_each(|victim| network.kill(*victim));
        for_as_long_as(Duration::from_millis(dice.roll(400)), || witness.look(&network));
        victims.iter().for_each(|victim| network.launch(*victim));
        if dice.roll(2) == 0 {
            for_as_long_as(Duration::from_millis(dice.roll(300)), || witness.look(&network));
            let again = victims[0];
            network.kill(again);
            network.launch(again);
        }
    }
    network.wait_until_ready();
    network.stop_load();
    let sent = traffic.stop();
    witness.audit(&network, &sent, &EVERYBODY);
    println!("{} final transfers, {} heights", sent.finals.len(), witness.certified);
}

/// A network is updated one node at a time, and its users hardly notice.
///
/// Given a network under load.
/// When each node in turn gets SIGTERM, ends and is started again,
/// then each ends by itself with exit code 0, and finality never pauses for long.
#[test]
fn a_rolling_restart_does_not_stop_finality() {
    let mut network = Network::start("rolling");
    let mut witness = Witness::default();
    let traffic = Traffic::start(&network);
    witness.wait_for_more(&network, 10);
    witness.start_measuring();
    for at in EVERYBODY {
        let (status, time) = network.terminate(at, |network| witness.look(network));
        assert_eq!(status.code(), Some(0), "node {at} after SIGTERM");
        println!("node {at} ended in {time:?}");
        network.launch(at);
        until("the restarted node is ready", seconds(30), || {
            network.assert_alive();
            witness.look(&network);
            network.api(at).is_ready().then_some(())
        });
    }
    println!("the longest pause of finality was {:?}", witness.longest_pause);
    assert!(witness.longest_pause < ROLLING_PAUSE_MAX, "{:?}", witness.longest_pause);
    let sent = traffic.stop();
    witness.audit(&network, &sent, &EVERYBODY);
}
