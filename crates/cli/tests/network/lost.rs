//! Nodes that lost their disk, or missed most of what happened.

use std::time::Instant;

use serde_json::Value;

use crate::network::Network;
use crate::patience::{seconds, until};
use crate::traffic::Traffic;
use crate::witness::Witness;

/// How far behind the others a node's newest block may be to count as taking part.
const ROUNDS_BEHIND_MAX: u64 = 20;

/// A validator whose disk is lost comes back without ever signing twice for a slot.
///
/// Given a network under load.
/// When a node is killed and its data folder deleted, and it is started again,
/// then it asks the others what it has signed, fetches the state, signs new blocks that the
/// others accept, and nobody has evidence against it.
#[test]
fn a_wiped_node_recovers_and_signs_again() {
    const WIPED: usize = 3;
    let mut network = Network::start("wiped");
    let mut witness = Witness::default();
    let traffic = Traffic::start(&network);
    witness.wait_for_more(&network, 150);
    let signed_before = last_round(&network, WIPED).expect("it took part");
    network.kill(WIPED);
    network.wipe(WIPED);
    let begun = Instant::now();
    network.launch(WIPED);
    network.wait_until_ready();
    println!("ready {:?} after the start", begun.elapsed());
    until("the others accept new blocks of the wiped node", seconds(30), || {
        witness.look(&network);
        let own = last_round(&network, WIPED)?;
        let others = last_round(&network, 0)?;
        (own > signed_before && own + ROUNDS_BEHIND_MAX >= others).then_some(())
    });
    println!("signs again {:?} after the start", begun.elapsed());
    let log = network.log(WIPED);
    assert!(log.contains("may sign again"), "it did not ask the committee:\n{log}");
    let sent = traffic.stop();
    witness.audit(&network, &sent, &[0, 1, 2]);
}

/// A validator that was away for hundreds of checkpoints catches up.
///
/// Given a network under load.
/// When a node is killed and the others go on for 400 checkpoints,
/// then after its restart it reaches their height and its blocks are accepted again.
#[test]
fn a_node_that_was_away_catches_up() {
    const AWAY: usize = 2;
    const MISSED: u64 = 400;
    let mut network = Network::start("away");
    let mut witness = Witness::default();
    let traffic = Traffic::start(&network);
    witness.wait_for_more(&network, 30);
    network.kill(AWAY);
    let left = Instant::now();
    witness.wait_for_more(&network, MISSED);
    let (missed_in, begun) = (left.elapsed(), Instant::now());
    let target = witness.certified;
    network.launch(AWAY);
    until("it reaches the height of the others", seconds(30), || {
        witness.look(&network);
        (network.api(AWAY).certified_height()? >= target).then_some(())
    });
    println!("{MISSED} heights made in {missed_in:?}, caught up in {:?}", begun.elapsed());
    until("the others accept its blocks again", seconds(30), || {
        witness.look(&network);
        let (own, others) = (last_round(&network, AWAY)?, last_round(&network, 0)?);
        (own + ROUNDS_BEHIND_MAX >= others).then_some(())
    });
    network.wait_until_ready();
    let sent = traffic.stop();
    witness.audit(&network, &sent, &[0, 1, 3]);
}

/// The round of a validator's newest block, as the second node sees it.
fn last_round(network: &Network, validator: usize) -> Option<u64> {
    let known: Value = network.api(1).get("/v1/validators").ok()?;
    known["validators"][validator]["last_round"].as_u64()
}
