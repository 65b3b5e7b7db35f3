use super::*;
use crate::disk::DiskFault;
use crate::fault::Fault as EngineFault;

/// How many seeds the properties below are checked for.
const SEEDS: std::ops::Range<u64> = 0..2_000;

#[test]
fn a_seed_always_gives_the_same_scenario() {
    for seed in [0, 1, 77, 123_456_789] {
        assert_eq!(random_scenario(seed), random_scenario(seed));
        assert_ne!(random_scenario(seed), random_scenario(seed + 1));
    }
}

#[test]
fn every_random_scenario_can_run_and_survives_its_file() {
    for seed in SEEDS {
        let scenario = random_scenario(seed);
        let text = scenario.to_toml().expect("it can be written");
        let read = Scenario::parse("random.toml", &text);
        assert_eq!(read.unwrap_or_else(|error| panic!("{error}\n{text}")), scenario, "seed {seed}");
    }
}

/// Whoever may have lost what it signed, or lies about the time, or is an adversary, weighs at
/// most f together: otherwise a violation would prove nothing.
#[test]
fn what_is_faulty_stays_within_f() {
    let mut at_f = 0;
    for seed in SEEDS {
        let plan = random_scenario(seed).plan(seed).expect("it can run");
        let mut faulty: Vec<usize> = plan.adversaries.iter().map(|(at, _)| *at).collect();
        for planned in &plan.faults {
            match &planned.fault {
                EngineFault::Crash { validator, disk, .. }
                    if !matches!(disk, DiskFault::Nothing | DiskFault::LoseUnsynced) =>
                {
                    faulty.push(*validator);
                }
                EngineFault::ClockJump { validator, by_us } if by_us.abs() > 100_000 => {
                    faulty.push(*validator);
                }
                EngineFault::Churn { disk, .. } => {
                    assert!(matches!(disk, DiskFault::Nothing | DiskFault::LoseUnsynced));
                }
                _ => {}
            }
        }
        faulty.sort_unstable();
        faulty.dedup();
        let weight: u64 = faulty.iter().map(|&at| plan.members[at].weight).sum();
        let total: u64 = plan.members.iter().map(|member| member.weight).sum();
        assert!(weight <= (total - 1) / 3, "seed {seed}: {weight} of {total}");
        at_f += u64::from(weight > 0 && 4 * weight >= total);
    }
    assert!(at_f > 100, "only {at_f} scenarios come near f");
}

/// The fuzzer would miss what it never draws.
#[test]
fn everything_is_drawn_sooner_or_later() {
    let scenarios: Vec<Scenario> = SEEDS.map(random_scenario).collect();
    let all = |holds: &dyn Fn(&Scenario) -> bool| scenarios.iter().any(holds);
    for size in [1, 2, 3, 4, 7, 10, 20] {
        assert!(all(&|one| one.network.count == Some(size)), "no committee of {size}");
    }
    for adversary in Adversary::ALL {
        let drawn = |one: &Scenario| one.adversary.iter().any(|entry| entry.kind.0 == adversary);
        assert!(all(&drawn), "no {adversary}");
    }
    let is_ml_dsa = |one: &&Scenario| one.network.scheme == KeyRing::MlDsa44;
    let ml_dsa = scenarios.iter().filter(is_ml_dsa).count();
    assert!((200..300).contains(&ml_dsa), "{ml_dsa} of {} with ML-DSA-44", scenarios.len());
    let kinds: std::collections::BTreeSet<FaultKind> =
        scenarios.iter().flat_map(|one| one.fault.iter().map(|fault| fault.kind)).collect();
    // Validators are isolated by partitions and come up by themselves.
    assert_eq!(kinds.len(), 12, "{kinds:?}");
}
