//! A node whose disk is full waits for room, and goes on by itself when there is some.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::network::{Network, VALIDATORS};
use crate::patience::{for_as_long_as, seconds, until};
use crate::small_disk::Ballast;
use crate::traffic::Traffic;
use crate::witness::Witness;

/// The node whose disk is filled.
const FULL: usize = 3;
const OTHERS: [usize; VALIDATORS - 1] = [0, 1, 2];

/// What a node writes in the test, and the room that its archive asks for to be opened again.
const DISK_MIB: u32 = 192;
/// What is said of a full disk, and what is to be done.
const FULL_SAID: &str = "the disk is full: ";
const REMEDY: &str = "free some space and the node goes on";
/// What the node sent before that may still arrive for so long.
const IN_FLIGHT: Duration = seconds(1);
/// How long the disk stays full after the node has said so.
const FULL_TIME: Duration = seconds(6);
/// So many heights at least the others certify meanwhile.
const HEIGHTS_MEANWHILE: u64 = 20;
/// How far behind the others a node's newest block may be to count as taking part.
const ROUNDS_BEHIND_MAX: u64 = 20;

/// A validator with a full disk says so and signs nothing, and goes on once there is room.
///
/// Given a network under load, one node of which has a small file system of its own.
/// When that is filled to the last byte,
/// then the node says so with the remedy, its blocks end, and the others go on without it;
/// and when the space is freed, the same process catches up, agrees with the others on what they
/// did meanwhile, signs new blocks, and nobody has evidence against it.
#[test]
fn a_node_with_a_full_disk_waits_for_room_and_goes_on() {
    let mut network = Network::lay_out("full-disk");
    if let Err(why) = network.give_small_disk(FULL, DISK_MIB) {
        println!("SKIPPED: no file system of a node's own here, fake disks stand in: {why}");
        return;
    }
    network.launch_all();
    network.wait_until_ready();
    let mut witness = Witness::default();
    let traffic = Traffic::start(&network);
    witness.wait_for_more(&network, 20);

    let ballast = Ballast::fill(&network.small_disk(FULL));
    println!("filled {} bytes", ballast.bytes);
    await_complaint(&network);
    for_as_long_as(IN_FLIGHT, || witness.look(&network));
    let height_when_full = certified_by_others(&network);
    let rounds_when_full = OTHERS.map(|at| last_round(&network, at, FULL));
    for_as_long_as(FULL_TIME, || witness.look(&network));
    assert_waits(&network);
    let height_when_freed = certified_by_others(&network);
    assert!(height_when_freed >= height_when_full + HEIGHTS_MEANWHILE, "the others do not go on");
    assert_eq!(OTHERS.map(|at| last_round(&network, at, FULL)), rounds_when_full, "it signs on");
    network.assert_alive();

    ballast.remove();
    await_return(&mut network, &mut witness, height_when_freed);
    assert_agree(&network, height_when_full, height_when_freed);
    for at in 0..VALIDATORS {
        let evidence = network.api(at).must_get("/v1/evidence");
        assert_eq!(evidence["evidence"].as_array().map(Vec::len), Some(0), "{evidence}");
    }
    network.wait_until_ready();
    let sent = traffic.stop();
    witness.audit(&network, &sent, &OTHERS);
    println!("{} final transfers, {} heights", sent.finals.len(), witness.certified);
}

/// The node says that its disk is full, and how to help it.
fn await_complaint(network: &Network) {
    let filled = Instant::now();
    until("the node says that its disk is full", seconds(20), || {
        network.api(FULL).get("/v1/status").ok()?["waiting_for"].as_str().map(|_| ())
    });
    println!("the node said so {:?} after that", filled.elapsed());
    assert_waits(network);
    let log = network.log(FULL);
    let said = log.lines().find(|line| line.contains(FULL_SAID) && line.contains(REMEDY));
    println!("{}", said.expect("its log says so too"));
}

fn assert_waits(network: &Network) {
    let status = network.api(FULL).must_get("/v1/status");
    let reason = status["waiting_for"].as_str().unwrap_or_default();
    assert!(reason.contains(FULL_SAID) && reason.contains(REMEDY), "{status}");
    assert!(status["stopped"].is_null(), "{status}");
    let refusal = network.api(FULL).get("/ready").expect_err("it is not ready");
    assert!(refusal.contains("503") && refusal.contains(FULL_SAID), "{refusal}");
}

/// The node goes on with the process that it has, and others take its new blocks.
fn await_return(network: &mut Network, witness: &mut Witness, height: u64) {
    let freed = Instant::now();
    until("the node no longer waits", seconds(20), || {
        witness.look(network);
        let status = network.api(FULL).get("/v1/status").ok()?;
        status["waiting_for"].is_null().then_some(())
    });
    println!("it no longer waits {:?} after the space is freed", freed.elapsed());
    until("it reaches the height of the others", seconds(30), || {
        witness.look(network);
        (network.api(FULL).certified_height()? >= height).then_some(())
    });
    until("the others accept its blocks again", seconds(30), || {
        witness.look(network);
        let others = last_round(network, OTHERS[0], OTHERS[0]);
        (last_round(network, OTHERS[0], FULL) + ROUNDS_BEHIND_MAX >= others).then_some(())
    });
    println!("it signs again {:?} after the space is freed", freed.elapsed());
    network.assert_alive();
    let log = network.log(FULL);
    assert!(log.contains("the disk has room again, the node goes on"), "{log}");
}

fn certified_by_others(network: &Network) -> u64 {
    let heights = OTHERS.iter().filter_map(|at| network.api(*at).certified_height());
    heights.min().expect("they answer")
}

/// Of heights that were made while its disk was full, the node knows the same checkpoints as the
/// others. It has not all: it fetches a state when it is far behind.
fn assert_agree(network: &Network, when_full: u64, when_freed: u64) {
    let path = format!("/v1/checkpoints?limit=500&before={}", when_freed + 1);
    let page = network.api(FULL).must_get(&path);
    let mut known: Vec<&Value> = page["checkpoints"].as_array().expect("a list").iter().collect();
    known.retain(|one| one["height"].as_u64().is_some_and(|height| height > when_full));
    println!("it knows {} of the {} heights made meanwhile", known.len(), when_freed - when_full);
    assert!(!known.is_empty(), "it knows no height in {when_full}..={when_freed}");
    for own in [known[0], known[known.len() - 1]] {
        for at in OTHERS {
            let other = network.api(at).must_get(&format!("/v1/checkpoints/{}", own["height"]));
            assert!(own["digest"].is_string());
            assert_eq!(other["digest"], own["digest"], "node {at}, height {}", own["height"]);
        }
    }
}

/// The round of a validator's newest block, as a node sees it.
fn last_round(network: &Network, seen_by: usize, validator: usize) -> u64 {
    let known = network.api(seen_by).must_get("/v1/validators");
    known["validators"][validator]["last_round"].as_u64().unwrap_or_default()
}
