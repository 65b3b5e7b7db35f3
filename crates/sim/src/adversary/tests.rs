use super::*;
use crate::{Fault, LatencyModel, QuantumNetworkSimulator, SimulatorBuilder, seconds};
use qcn_types::Time;

/// Seven validators, of which index 6 may be faulty.
fn seven(seed: u64) -> SimulatorBuilder {
    QuantumNetworkSimulator::new(seed)
        .validators(7)
        .latency(LatencyModel::Between { low: 5_000, high: 40_000 })
        .load(10, 14)
}

#[test]
fn every_adversary_has_a_name_of_its_own() {
    for adversary in Adversary::ALL {
        assert_eq!(Adversary::named(adversary.name()), Some(adversary));
    }
    assert_eq!(Adversary::named("saint"), None);
}

/// Whatever one of seven does, the others go on and agree.
#[test]
fn no_adversary_alone_does_harm() {
    for (seed, adversary) in (100..).zip(Adversary::ALL) {
        let mut network = seven(seed).adversary(6, adversary).build().expect("valid");
        network.run_for(seconds(32));
        let violations = network.check_consensus();
        assert!(violations.is_empty(), "{adversary}: {violations:?}");
        for validator in 0..6 {
            assert!(network.certified_height(validator).0 > 30, "{adversary}");
        }
    }
}

/// Whoever signs a proof of its own fault is isolated, and nobody else is.
#[test]
fn proof_isolates() {
    for (seed, adversary) in (200..).zip(Adversary::ALL.into_iter().filter(|it| it.leaves_proof()))
    {
        let mut network = seven(seed).adversary(6, adversary).build().expect("valid");
        let isolated = |network: &QuantumNetworkSimulator| network.isolated() == [6];
        assert!(network.run_until(isolated, seconds(20)), "{adversary}");
        network.run_for(seconds(5));
        assert_eq!(network.isolated(), [6], "{adversary}");
    }
}

/// Given a validator that keeps silent when it leads, then only its own slots are skipped.
#[test]
fn a_silent_leader_loses_its_slots() {
    let mut network = seven(300).adversary(6, Adversary::SilentLeader).build().expect("valid");
    network.run_for(seconds(30));
    let validators = network.result(0).validators;
    assert!(validators[6].leader_slots_skipped > 5);
    assert!(validators[6].leader_slots_committed <= 2);
    assert!(validators[..6].iter().all(|own| own.leader_slots_skipped <= 2));
}

/// Given twins on both sides of a partition, when it heals, then nothing conflicts.
#[test]
fn twins_in_different_partitions_split_nothing() {
    for seed in 310..314 {
        let groups = vec![vec![0, 1, 2, 3, 6], vec![4, 5]];
        let mut network = seven(seed)
            .adversary(6, Adversary::Twins)
            .fault(Time(seconds(2)), Fault::Partition { groups })
            .fault(Time(seconds(8)), Fault::Heal)
            .build()
            .expect("valid");
        network.run_for(seconds(40));
        let violations = network.check_consensus();
        assert!(violations.is_empty(), "{violations:?}");
    }
}

/// Given a third of the weight in the hands of different adversaries, the rest goes on.
#[test]
fn mixed_adversaries_below_a_third_do_no_harm() {
    let mixes = [
        [Adversary::Equivocator, Adversary::Equivocator, Adversary::Equivocator],
        [Adversary::Withholder, Adversary::SelectiveSender, Adversary::LyingSyncer],
        [Adversary::Flooder, Adversary::InvalidPayloadAuthor, Adversary::TimeShifter],
        [Adversary::Twins, Adversary::ConflictingAttester, Adversary::SilentLeader],
    ];
    for (seed, mix) in (320..).zip(mixes) {
        let mut builder = seven(seed).validators(10);
        for (validator, adversary) in (7..).zip(mix) {
            builder = builder.adversary(validator, adversary);
        }
        let mut network = builder.build().expect("valid");
        network.run_for(seconds(32));
        let violations = network.check_consensus();
        assert!(violations.is_empty(), "{mix:?}: {violations:?}");
    }
}
