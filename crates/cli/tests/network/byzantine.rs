//! A validator that misbehaves on purpose: `qcn-byzantine` with one of the simulator's adversaries.
//!
//! Nothing that it says counts: clients hand transfers to the honest nodes and ask these alone.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::api::Api;
use crate::network::{Network, VALIDATORS};
use crate::patience::{seconds, until};
use crate::proofs::verdict;
use crate::traffic::Traffic;
use crate::witness::{Witness, assert_not_accused};

const HONEST: [usize; VALIDATORS - 1] = [0, 1, 2];
const BYZANTINE: usize = 3;

/// How soon after they are up all honest nodes must have isolated whoever proves its own fault.
const ISOLATED_WITHIN: Duration = seconds(15);
/// How long finality may pause while a validator misbehaves: a few leader timeouts, on a machine
/// that runs another test at the same time.
const PAUSE_MAX: Duration = seconds(5);
/// So many heights are made beside a validator that misbehaves.
const HEIGHTS: u64 = 40;
/// An adversary that departed from the protocol so often has begun; a power of two.
const DEPARTURES: u64 = 8;

/// Whoever signs two blocks for one slot is proven guilty and isolated.
///
/// Given a network of four, one of which sends different blocks of each round to different nodes.
/// When clients pay through the honest nodes,
/// then all honest nodes soon hold a proof against it, which anyone can check, and isolate it,
/// and finality goes on without it.
#[test]
fn an_equivocator_is_isolated() {
    assert_is_isolated("equivocator", "two blocks in round ");
}

/// Whoever signs a block with a forged transaction is proven guilty and isolated.
///
/// Given a network of four, one of which signs blocks with a transfer that nobody signed.
/// When clients pay through the honest nodes,
/// then it is isolated as an equivocator is, and the forged transfer moves nothing.
#[test]
fn an_author_of_invalid_payloads_is_isolated() {
    assert_is_isolated("invalid-payload-author", "an invalid block in round ");
}

/// Whoever attests two states for one height is proven guilty and isolated.
///
/// Given a network of four, one of which attests a checkpoint and then another one of its height.
/// When clients pay through the honest nodes,
/// then it is isolated as an equivocator is, and no certificate is about the false state.
#[test]
fn a_conflicting_attester_is_isolated() {
    assert_is_isolated("conflicting-attester", "two checkpoints attested for height ");
}

fn assert_is_isolated(adversary: &'static str, offence: &str) {
    let mut network = start_with(adversary);
    let mut witness = Witness::default();
    let traffic = Traffic::start(&network);
    witness.start_measuring();
    let begun = Instant::now();
    for at in HONEST {
        let proof = until("the honest nodes isolate it", ISOLATED_WITHIN, || {
            witness.look(&network);
            isolation_proof(network.api(at), offence)
        });
        println!("node {at} isolates it after {:?}", begun.elapsed());
        assert_eq!(verdict(&network, &proof), Some(0), "node {at}: {proof}");
    }
    audit_beside(&mut network, witness, traffic);
}

/// A node's proof of the offence, once it has isolated the offender.
fn isolation_proof(api: &Api, offence: &str) -> Option<Value> {
    let validators = api.get("/v1/validators").ok()?;
    if validators["validators"][BYZANTINE]["isolated"] != true {
        return None;
    }
    let known = api.get("/v1/evidence?limit=500").ok()?;
    let is_of_it = |one: &&Value| {
        one["accused"] == BYZANTINE && one["offence"].as_str().unwrap().starts_with(offence)
    };
    let evidence = known["evidence"].as_array()?.iter().find(is_of_it)?;
    api.get(&format!("/v1/evidence/{}/proof", evidence["digest"].as_str()?)).ok()
}

/// Floods are counted, and change nothing.
///
/// Given a network of four, one of which sends each block four times, blocks in others' names with
/// random signatures, blocks of a far future and requests for far too much.
/// When clients pay through the honest nodes,
/// then these refuse what cannot be, count it against the sender alone, and go on.
#[test]
fn a_flooder_is_counted_and_harms_nobody() {
    let mut network = start_with("flooder");
    let mut witness = Witness::default();
    let traffic = Traffic::start(&network);
    witness.start_measuring();
    witness.wait_for_more(&network, HEIGHTS);
    for at in HONEST {
        until("a node counts what it refuses", seconds(10), || {
            witness.look(&network);
            let reasons = network.api(at).samples("qcn_messages_refused_total");
            let of = |reason| count(&reasons, "reason", reason);
            (of("too_far_ahead") >= HEIGHTS && of("request_too_large") >= 1).then_some(())
        });
        let peers = until("a node counts it against the sender", seconds(10), || {
            witness.look(&network);
            let peers = network.api(at).samples("qcn_peer_refused_total");
            (count(&peers, "validator", "3") >= HEIGHTS).then_some(peers)
        });
        // What comes late from an honest node may be refused as well.
        let of = |validator: usize| count(&peers, "validator", &validator.to_string());
        let others: u64 = HONEST.into_iter().map(of).sum();
        assert!(others * 10 <= of(BYZANTINE), "node {at} blames others: {peers:?}");
    }
    assert_nobody_is_accused(&network);
    audit_beside(&mut network, witness, traffic);
}

fn count(samples: &[(String, u64)], label: &str, value: &str) -> u64 {
    let wanted = format!("{label}=\"{value}\"");
    let found = samples.iter().find(|(labels, _)| *labels == wanted);
    found.map_or(0, |(_, count)| *count)
}

/// A leader that keeps silent loses its own slots and nothing else.
///
/// Given a network of four, one of which sends no block in the rounds that it leads.
/// When clients pay through the honest nodes,
/// then these skip its slots, and finality never pauses for long.
///
/// It may also prove its own fault: the block that it kept back is missing among the parents of its
/// next one, and of four validators it takes three to make a quorum of parents.
#[test]
fn a_silent_leader_loses_its_own_slots() {
    let mut network = start_with("silent-leader");
    let mut witness = Witness::default();
    let traffic = Traffic::start(&network);
    witness.start_measuring();
    for at in HONEST {
        until("a node skips a slot of the silent leader", seconds(30), || {
            witness.look(&network);
            let validators = network.api(at).get("/v1/validators").ok()?;
            (validators["validators"][BYZANTINE]["skipped"].as_u64()? > 0).then_some(())
        });
    }
    audit_beside(&mut network, witness, traffic);
}

/// Who keeps back, or dates wrongly, stops nobody, and is accused of nothing that is not proven.
///
/// Given a network of four.
/// When one of them, started anew each time, sends its blocks to two others only, to another one
/// in each round, and with times ahead and behind,
/// then finality never pauses for long, and nobody holds evidence against anybody.
#[test]
fn who_leaves_no_proof_stops_nobody() {
    let mut network = start_with("withholder");
    let mut witness = Witness::default();
    let traffic = Traffic::start(&network);
    witness.start_measuring();
    wait_beside(&mut network, &mut witness, "withholder");
    for adversary in ["selective-sender", "time-shifter"] {
        network.kill(BYZANTINE);
        network.corrupt(BYZANTINE, adversary);
        network.launch(BYZANTINE);
        wait_beside(&mut network, &mut witness, adversary);
    }
    assert_nobody_is_accused(&network);
    audit_beside(&mut network, witness, traffic);
}

/// The network goes on for a while beside a node that misbehaves.
fn wait_beside(network: &mut Network, witness: &mut Witness, adversary: &str) {
    wait_until_it_departs(network, witness, adversary);
    witness.wait_for_more(network, HEIGHTS);
    network.assert_alive();
}

/// Lies in answers do not keep a node from catching up.
///
/// Given a network of four, one of which answers requests with changed blocks, states and
/// certificates, or not at all.
/// When an honest node is killed, misses heights and is started again,
/// then it reaches the others, with the same history, and nobody is accused.
#[test]
fn a_lying_syncer_keeps_nobody_behind() {
    const ADVERSARY: &str = "lying-syncer";
    const MISSED: u64 = 60;
    let mut network = start_with(ADVERSARY);
    let mut witness = Witness::default();
    let traffic = Traffic::start(&network);
    for (time, away) in [0, 1, 0, 1, 0, 1].into_iter().enumerate() {
        // It lies when it is asked, and whom the others ask is up to chance.
        if time >= 2 && departs(&network, ADVERSARY) {
            break;
        }
        witness.wait_for_more(&network, 5);
        network.kill(away);
        witness.wait_for_more(&network, MISSED);
        network.launch(away);
        let target = witness.certified;
        until("the node that was away reaches the others", seconds(30), || {
            witness.look(&network);
            network.assert_alive();
            (network.api(away).certified_height()? >= target).then_some(())
        });
    }
    wait_until_it_departs(&network, &mut witness, ADVERSARY);
    assert_nobody_is_accused(&network);
    witness.start_measuring();
    audit_beside(&mut network, witness, traffic);
}

/// Two copies of a validator, started by mistake, harm nobody else.
///
/// Given a network of four, one of which was copied with its keys and disk before it ever ran.
/// When both run at once, and clients pay through the honest nodes,
/// then both sign blocks, and still finality goes on and nobody else is accused.
#[test]
fn two_copies_of_a_validator_harm_nobody_else() {
    let mut network = Network::lay_out("twins");
    network.corrupt(BYZANTINE, "twins");
    let copy = network.copy(BYZANTINE);
    network.launch_all();
    network.launch(copy);
    network.wait_until_ready();
    let mut witness = Witness::default();
    let traffic = Traffic::start(&network);
    witness.start_measuring();
    for twin in [BYZANTINE, copy] {
        until("both copies take part", seconds(30), || {
            witness.look(&network);
            let status = network.api(twin).get("/v1/status").ok()?;
            (status["round"].as_u64()? > 10).then_some(())
        });
    }
    let validators = network.api(0).must_get("/v1/validators");
    println!("isolated: {}", validators["validators"][BYZANTINE]["isolated"]);
    audit_beside(&mut network, witness, traffic);
}

/// Four nodes, the last of which misbehaves from the start.
fn start_with(adversary: &'static str) -> Network {
    let mut network = Network::lay_out(adversary);
    network.corrupt(BYZANTINE, adversary);
    network.launch_all();
    network.wait_until_ready();
    network
}

/// Waits until the log of the node that misbehaves says that it does.
fn wait_until_it_departs(network: &Network, witness: &mut Witness, adversary: &str) {
    let what = format!("{DEPARTURES} departures from the protocol by a {adversary}");
    until(&what, seconds(30), || {
        witness.look(network);
        departs(network, adversary).then_some(())
    });
}

/// Whether the log of the node that misbehaves says that it does.
fn departs(network: &Network, adversary: &str) -> bool {
    let line = format!("\n{DEPARTURES} departures from the protocol by a {adversary}\n");
    network.log(BYZANTINE).contains(&line)
}

fn assert_nobody_is_accused(network: &Network) {
    for at in HONEST {
        for validator in 0..VALIDATORS {
            assert_not_accused(network.api(at), validator);
        }
    }
}

/// The honest nodes go on beside it, without long pauses, and hold all that they ever said.
fn audit_beside(network: &mut Network, mut witness: Witness, traffic: Traffic) {
    witness.wait_for_more(network, HEIGHTS);
    network.assert_alive();
    let sent = traffic.stop();
    let (heights, pause, finals) = (witness.certified, witness.longest_pause, sent.finals.len());
    println!("{heights} heights, {finals} final transfers, the longest pause was {pause:?}");
    assert!(pause < PAUSE_MAX, "finality paused for {pause:?}");
    assert!(finals > 0, "nothing was paid");
    witness.audit(network, &sent, &HONEST);
}
