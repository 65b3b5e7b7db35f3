use super::*;
use crate::costs::{self, Work};
use crate::fault::OutputKind;
use crate::keys::KeyRing;
use crate::network::{LatencyModel, LinkModel};
use crate::{Adversary, DiskModel};

/// Four validators 20 ms apart, with some load.
fn small(seed: u64) -> SimulatorBuilder {
    QuantumNetworkSimulator::new(seed)
        .validators(4)
        .latency(LatencyModel::Constant(20_000))
        .load(10, 8)
}

fn assert_sound(network: &mut QuantumNetworkSimulator) {
    let violations = network.check_consensus();
    assert!(violations.is_empty(), "{violations:?}");
}

fn troubled(seed: u64) -> SimulatorBuilder {
    let links = LinkModel {
        jitter_permille: 300,
        loss_per_million: 10_000,
        duplication_per_million: 10_000,
        ..LinkModel::default()
    };
    let crash = Fault::Crash {
        validator: 1,
        moment: CrashMoment::Before(OutputKind::Broadcast),
        disk: DiskFault::LoseUnsynced,
        restart_after_us: Some(seconds(1)),
    };
    small(seed).validators(5).links(links).fault(Time(seconds(1)), crash)
}

#[test]
fn one_seed_gives_one_trace() {
    let run = |seed| {
        let mut network = troubled(seed).adversary(3, Adversary::Equivocator).build().unwrap();
        network.run_for(seconds(4));
        assert!(network.deliveries() > 100);
        network.trace_hash()
    };
    assert_eq!(run(1), run(1));
    assert_ne!(run(1), run(2));
}

/// Looking at a run, and running it in pieces, leaves it as it is.
#[test]
fn looking_changes_nothing() {
    let mut whole = troubled(3).build().unwrap();
    whole.run_for(seconds(3));
    let mut pieces = troubled(3).build().unwrap();
    for _ in 0..30 {
        pieces.run_for(milliseconds(100));
        let _ = pieces.nodes();
        pieces.check_consensus();
        let _ = pieces.result(0);
    }
    assert_eq!(whole.trace_hash(), pieces.trace_hash());
    let (mut one, mut other) = (whole.result(0), pieces.result(0));
    one.host = crate::result::Host::default();
    other.host = crate::result::Host::default();
    assert_eq!(one, other);
}

/// Given networks that differ in the scheme of their validators, when they run, then each block costs
/// its author one signature of that scheme, and the result names the scheme.
#[test]
fn a_signature_costs_what_its_scheme_says() {
    for (keys, named) in
        [(KeyRing::Falcon512, "real Falcon-512,"), (KeyRing::MlDsa44, "real ML-DSA-44,")]
    {
        let mut network = small(9).key_ring(keys).build().unwrap();
        network.run_for(seconds(2));
        assert_sound(&mut network);
        let spent = network.engine.processes[0].cpu.spent_ns[Work::Sign as usize];
        let result = network.result(0);
        let signed = spent / costs::sign_ns(keys);
        assert!(signed.abs_diff(result.validators[0].blocks) <= 1, "{signed} blocks signed");
        assert!(result.conditions.signatures.starts_with(named));
    }
}

/// Given accounts 0 and 1, when 0 pays 1 through its validator, then everybody's ledger says so.
#[test]
fn a_transfer_is_executed_everywhere() {
    let mut network = small(4).load(0, 4).build().unwrap();
    network.run_for(seconds(1));
    let before = network.balance(0, 1).unwrap();
    let id = network.transfer(0, 1, 250).unwrap();
    assert!(network.run_until(|network| network.is_certified(id), seconds(5)));
    assert!(network.is_finalized(id));
    network.run_for(seconds(1));
    for validator in 0..4 {
        assert_eq!(network.balance(validator, 1), Some(before + 250));
    }
    assert_sound(&mut network);
}

/// Given seven equal validators, when three are cut off from four, then neither side finalizes,
/// and after healing both do.
#[test]
fn without_a_quorum_nothing_is_finalized() {
    let mut network = small(5).validators(7).build().unwrap();
    network.run_for(seconds(2));
    network.partition(&[&[0, 1, 2, 3], &[4, 5, 6]]);
    network.run_for(seconds(1));
    let stalled: Vec<Height> = (0..7).map(|validator| network.height(validator)).collect();
    network.run_for(seconds(5));
    for (validator, before) in stalled.iter().enumerate() {
        assert_eq!(network.height(validator), *before);
    }
    assert_eq!(network.nodes()[5].peers, [4, 6]);
    network.heal();
    let moved = |network: &QuantumNetworkSimulator| {
        (0..7).all(|validator| network.certified_height(validator) > stalled[validator].next())
    };
    assert!(network.run_until(moved, seconds(20)));
    assert_sound(&mut network);
}

/// Given messages that wait at cut links, when the cut heals, then what was sent arrives.
#[test]
fn held_messages_arrive_after_the_cut() {
    let links = LinkModel { hold_over_cuts: true, ..LinkModel::default() };
    let mut network = small(6).links(links).build().unwrap();
    network.run_for(seconds(1));
    network.partition(&[&[0, 1], &[2, 3]]);
    network.run_for(seconds(2));
    let (before, round) = (network.deliveries(), network.nodes()[0].round);
    network.heal();
    network.run_for(milliseconds(25));
    assert!(network.deliveries() >= before + 8, "what was held arrives at once");
    network.run_for(seconds(1));
    assert!(network.nodes()[0].round > round);
    assert_sound(&mut network);
}

/// Whatever a crash does to the disk, the validator comes back, signs no slot twice, and goes on.
#[test]
fn a_crashed_validator_comes_back_from_whatever_is_left() {
    let faults = [
        DiskFault::Nothing,
        DiskFault::LoseUnsynced,
        DiskFault::TornTail,
        DiskFault::BitFlip,
        DiskFault::Wipe,
        DiskFault::LoseSynced,
    ];
    for (seed, disk) in (10..).zip(faults) {
        let mut network = small(seed).build().unwrap();
        network.run_for(seconds(2));
        network.crash(2, disk);
        assert!(!network.is_running(2));
        network.run_for(seconds(2));
        network.restart(2);
        let reached = network.certified_height(0);
        let back = |network: &QuantumNetworkSimulator| network.certified_height(2) > reached;
        assert!(network.run_until(back, seconds(20)), "{disk:?}");
        let rounds = network.nodes()[2].round;
        network.run_for(seconds(3));
        assert!(network.nodes()[2].round > rounds);
        let blocks = network.result(0).validators[2].blocks;
        network.run_for(seconds(2));
        assert!(network.result(0).validators[2].blocks > blocks, "{disk:?}: proposes again");
        assert_sound(&mut network);
    }
}

/// A crash at any output, before or after it is carried out, loses nothing that was promised.
#[test]
fn a_crash_at_any_output_is_survived() {
    let moments = OutputKind::ALL
        .into_iter()
        .flat_map(|kind| [CrashMoment::Before(kind), CrashMoment::After(kind)]);
    for (seed, moment) in (30..).zip(moments) {
        let disk = DiskFault::LoseUnsynced;
        let restart_after_us = Some(milliseconds(seed));
        let crash = Fault::Crash { validator: 0, moment, disk, restart_after_us };
        let mut network = small(seed)
            .fault(Time(milliseconds(1_000)), crash.clone())
            .fault(Time(milliseconds(1_700)), crash)
            .build()
            .unwrap();
        network.run_for(seconds(3));
        let reached = network.certified_height(1);
        let back = |network: &QuantumNetworkSimulator| network.certified_height(0) > reached;
        assert!(network.run_until(back, seconds(20)), "{moment:?}");
        assert_sound(&mut network);
    }
}

#[test]
fn a_frozen_validator_catches_up() {
    let mut network = small(7).build().unwrap();
    network.run_for(seconds(1));
    network.pause(3, seconds(3));
    network.run_for(seconds(1));
    let stalled = network.height(3);
    network.run_for(seconds(1));
    assert_eq!(network.height(3), stalled);
    assert!(network.height(0) > stalled);
    let reached = |network: &QuantumNetworkSimulator| {
        network.certified_height(3).0 + 3 > network.certified_height(0).0
    };
    network.run_for(seconds(2));
    assert!(network.run_until(reached, seconds(10)));
    assert_sound(&mut network);
}

/// Every other kind of fault begins, ends, and is described.
#[test]
fn every_fault_passes() {
    let duration_us = seconds(1);
    let faults = [
        Fault::OneWay { from: vec![0], to: vec![1, 2] },
        Fault::Isolate { validator: 2 },
        Fault::Heal,
        Fault::Flapping { groups: vec![vec![0, 1], vec![2, 3]], period_us: 200_000, duration_us },
        Fault::Churn {
            validators: vec![1, 3],
            period_us: seconds(1),
            down_us: 300_000,
            duration_us: seconds(2),
            disk: DiskFault::LoseUnsynced,
        },
        Fault::ClockJump { validator: 1, by_us: 200_000 },
        Fault::ClockJump { validator: 1, by_us: -250_000 },
        Fault::LatencySpike { validators: Vec::new(), permille: 4_000, duration_us },
        Fault::BandwidthCut { validators: vec![0], bits_per_second: 1_000_000, duration_us },
        Fault::LossBurst { per_million: 300_000, duration_us },
        Fault::SlowDisk { validator: 3, sync_us: 50_000, duration_us },
    ];
    let mut builder = small(8);
    for (index, fault) in faults.iter().enumerate() {
        assert!(!fault.describe().is_empty());
        builder = builder.fault(Time(seconds(index as u64 + 1)), fault.clone());
    }
    let mut network = builder.build().unwrap();
    network.run_for(seconds(60));
    assert!(network.certified_height(0).0 > 20);
    assert_sound(&mut network);
    let result = network.result(0);
    assert_eq!(result.conditions.faults.len(), faults.len());
    assert!(result.events.len() >= faults.len());
}

/// The trace tells apart what the result reports: the report reads the run only.
#[test]
fn a_result_has_what_was_measured() {
    let mut network = small(9).processing_powers(&[2.0, 1.0, 1.0, 0.5]).build().unwrap();
    network.run_for(seconds(10));
    let result = network.result(seconds(1));
    assert!(result.finality_ms.p50.unwrap() > result.composed_lower_bound_ms);
    assert!(result.certified_ms.p50.unwrap() > result.finality_ms.p50.unwrap());
    assert_eq!(result.finality_ms.lower_bound_ms, Some(result.lower_bound_ms));
    assert!((result.lower_bound_ms - 60.0).abs() < 1e-9, "three delays of 20 ms");
    assert!(result.rounds_per_second > 3.0);
    assert!(result.transactions.finalized > 80);
    assert_eq!(result.transactions.failed, 0);
    assert_eq!(result.validators.len(), 4);
    let cpu = |validator: usize| result.validators[validator].cpu_ms;
    assert!(cpu(3) > 3.0 * cpu(0), "a fourth of the power, so about four times the time");
    assert!(result.validators.iter().all(|own| own.bytes_sent > 10_000 && own.blocks > 10));
    assert!(result.validators.iter().map(|own| own.leader_slots).sum::<u64>() > 20);
    assert!(result.violations.is_empty());
}

/// A block takes the link's latency and the time of its turn at the uplink.
#[test]
fn propagation_follows_the_model() {
    let links = LinkModel {
        jitter_permille: 0,
        bandwidth_bits_per_second: Some(10_000_000),
        ..LinkModel::default()
    };
    let mut network = small(10).load(0, 2).links(links).build().unwrap();
    network.record_propagation();
    network.run_for(seconds(2));
    assert!(network.propagation().len() > 20);
    for path in network.propagation() {
        let wire = crate::network::wire_bytes(path.bytes);
        let copy_us = wire * 8 * 1_000_000 / 10_000_000;
        let turn = path.elapsed_us - 20_000;
        assert!((copy_us..=3 * copy_us + 3).contains(&turn), "{path:?}: {turn} of {copy_us}");
    }
}

#[test]
fn what_does_not_fit_is_refused() {
    let refused = |builder: SimulatorBuilder| builder.build().expect_err("does not fit");
    let four = || QuantumNetworkSimulator::new(0).validators(4);
    assert!(matches!(
        refused(QuantumNetworkSimulator::new(0).validators(0)),
        BuildError::Committee(_)
    ));
    assert!(matches!(refused(four().weights(vec![1, 0, 1, 1])), BuildError::Committee(_)));
    assert!(matches!(refused(four().names(vec!["a".to_owned()])), BuildError::Count { .. }));
    assert!(matches!(
        refused(four().latency(LatencyModel::Matrix(vec![1; 9].into()))),
        BuildError::Count { given: 9, .. }
    ));
    assert_eq!(refused(four().processing_powers(&[1.0, 1.0, 0.0, 1.0])), BuildError::NoPower(2));
    assert_eq!(
        refused(four().adversary(4, Adversary::Flooder)),
        BuildError::NoSuchValidator { given: 4, last: 3 }
    );
    assert_eq!(
        refused(four().fault(Time(0), Fault::Isolate { validator: 9 })),
        BuildError::NoSuchValidator { given: 9, last: 3 }
    );
    assert_eq!(
        refused(four().adversary(1, Adversary::Flooder).adversary(1, Adversary::Twins)),
        BuildError::TwoAdversaries(1)
    );
    let config = qcn_consensus::Config { leaders_per_round: 0, ..qcn_consensus::Config::default() };
    assert!(matches!(refused(four().config(config)), BuildError::Config(_)));
}

#[test]
fn slow_disks_slow_rounds_but_not_safety() {
    let rounds = |sync_us| {
        let disk = DiskModel { sync_us, ..DiskModel::default() };
        let mut network = small(11).disk(disk).build().unwrap();
        network.run_for(seconds(5));
        assert_sound(&mut network);
        network.nodes()[0].round
    };
    assert!(rounds(500) > rounds(60_000));
}
