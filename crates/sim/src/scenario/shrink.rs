//! Making a failing scenario as small as it can be while it still fails.

use super::format::{Consensus, DiskSettings, Fault, LatencyKind, Load, Scenario};
use super::words::{Damage, Target};
use crate::shrink::{Simplify, parts};

/// A smaller scenario, and how many runs it took to find.
#[derive(Clone, PartialEq, Debug)]
pub struct Shrunk {
    /// The smallest scenario found that fails.
    pub scenario: Scenario,
    /// How many scenarios were tried.
    pub runs: u64,
}

/// The shortest a phase is made, in seconds.
const SECONDS_MIN: f64 = 0.5;

/// Shrinks a scenario for which `fails` holds, until `enough` holds of the number of runs.
///
/// `fails` decides whether a scenario still shows the same defect; it is never asked about a
/// scenario that cannot run.
pub fn shrink(
    scenario: Scenario,
    enough: &dyn Fn(u64) -> bool,
    fails: &mut dyn FnMut(&Scenario) -> bool,
) -> Shrunk {
    // The length first: all runs after it take less time.
    let simplifications: [Simplify<Scenario>; 5] =
        [shorten, drop_faults, drop_adversaries, drop_validators, plainer];
    let (scenario, runs) =
        crate::shrink::shrink(scenario, &simplifications, enough, &mut |candidate| {
            let can_run = candidate.plan(candidate.run.seed).is_ok();
            can_run.then(|| fails(candidate))
        });
    Shrunk { scenario, runs }
}

/// Without all faults, without each half, without each.
fn drop_faults(scenario: &Scenario) -> Vec<Scenario> {
    without_parts(scenario, |scenario| &mut scenario.fault)
}

/// Without all adversaries, without each half, without each.
fn drop_adversaries(scenario: &Scenario) -> Vec<Scenario> {
    without_parts(scenario, |scenario| &mut scenario.adversary)
}

/// Candidates that leave out parts of a list, the largest parts first.
fn without_parts<T>(scenario: &Scenario, list: fn(&mut Scenario) -> &mut Vec<T>) -> Vec<Scenario> {
    let length = list(&mut scenario.clone()).len();
    let without = |part| {
        let mut candidate = scenario.clone();
        list(&mut candidate).drain(part);
        candidate
    };
    parts(length).into_iter().map(without).collect()
}

/// Without each validator, the last first. Only where they are counted: presets and lists stay.
fn drop_validators(scenario: &Scenario) -> Vec<Scenario> {
    let Some(count) = scenario.network.count.filter(|count| *count > 1) else {
        return Vec::new();
    };
    (0..count).rev().filter_map(|gone| without_validator(scenario, gone)).collect()
}

fn without_validator(scenario: &Scenario, gone: usize) -> Option<Scenario> {
    let mut smaller = scenario.clone();
    let network = &mut smaller.network;
    network.count = network.count.map(|count| count - 1);
    if let Some(weights) = &mut network.weights {
        weights.remove(gone);
    }
    if let Some(powers) = &mut network.powers {
        powers.remove(gone);
    }
    for fault in &mut smaller.fault {
        let lists = [&mut fault.validators, &mut fault.from, &mut fault.to];
        for targets in lists.into_iter().flatten() {
            remove_target(targets, gone)?;
        }
        for group in fault.groups.iter_mut().flatten() {
            remove_target(group, gone)?;
        }
    }
    for targets in smaller.adversary.iter_mut().filter_map(|entry| entry.validators.as_mut()) {
        remove_target(targets, gone)?;
    }
    smaller.fault.retain_mut(still_concerns_somebody);
    let somebody =
        |targets: &Option<Vec<Target>>| targets.as_ref().is_none_or(|them| !them.is_empty());
    smaller.adversary.retain(|entry| somebody(&entry.validators));
    Some(smaller)
}

/// Takes a validator out of a list of indices, and moves those above it down. A list with names
/// cannot be adapted.
fn remove_target(targets: &mut Vec<Target>, gone: usize) -> Option<()> {
    targets.retain(|target| *target != Target::Index(gone));
    for target in targets.iter_mut() {
        match target {
            Target::Index(index) if *index > gone => *index -= 1,
            Target::Index(_) => {}
            Target::Name(_) => return None,
        }
    }
    Some(())
}

/// Drops empty groups; says whether the fault still has whom it needs.
fn still_concerns_somebody(fault: &mut Fault) -> bool {
    if let Some(groups) = &mut fault.groups {
        groups.retain(|group| !group.is_empty());
    }
    let empty = |targets: &Option<Vec<Target>>| targets.as_ref().is_some_and(Vec::is_empty);
    !(empty(&fault.validators)
        || empty(&fault.from)
        || empty(&fault.to)
        || fault.groups.as_ref().is_some_and(Vec::is_empty))
}

/// Without the calm, with half of each phase, with three quarters of the whole.
fn shorten(scenario: &Scenario) -> Vec<Scenario> {
    let mut candidates = Vec::new();
    let mut push = |change: &dyn Fn(&mut Scenario)| {
        let mut candidate = scenario.clone();
        change(&mut candidate);
        if candidate != *scenario {
            candidates.push(candidate);
        }
    };
    let whole = scenario.run.virtual_seconds;
    if let Some(calm) = scenario.run.calm_from_seconds {
        push(&|candidate| {
            candidate.run.calm_from_seconds = None;
            candidate.run.virtual_seconds = rounded(calm);
        });
        push(&|candidate| {
            candidate.run.calm_from_seconds = Some(rounded(calm / 2.0));
            candidate.run.virtual_seconds = rounded(whole - calm / 2.0);
        });
    }
    for share in [0.25, 0.5, 0.75, 0.9] {
        let shorter = rounded(whole * share);
        if shorter >= SECONDS_MIN {
            push(&|candidate| candidate.run.virtual_seconds = shorter);
        }
    }
    candidates
}

/// To a hundredth of a second, so that files stay readable.
fn rounded(seconds: f64) -> f64 {
    (seconds * 100.0).round() / 100.0
}

/// One thing at a time as plain as it can be. No two changes undo each other, so that shrinking
/// ends.
fn plainer(scenario: &Scenario) -> Vec<Scenario> {
    let changes: [&dyn Fn(&mut Scenario); 17] = [
        &|candidate| {
            let leaders_per_round = candidate.consensus.leaders_per_round;
            candidate.consensus = Consensus { leaders_per_round, ..Consensus::default() };
        },
        &|candidate| candidate.disk = DiskSettings::default(),
        &|candidate| candidate.network.powers = None,
        &|candidate| candidate.network.weights = None,
        &|candidate| {
            candidate.network.latency = LatencyKind::Uniform;
            candidate.network.between_ms = None;
            candidate.network.matrix_ms = None;
            candidate.network.regions = None;
            candidate.network.uniform_ms = Some(10.0);
        },
        &|candidate| candidate.network.jitter_percent = 0.0,
        &|candidate| candidate.network.loss_percent = 0.0,
        &|candidate| candidate.network.duplication_percent = 0.0,
        &|candidate| candidate.network.bandwidth_mbit_per_s = None,
        &|candidate| candidate.network.hold_over_cuts = false,
        &|candidate| candidate.network.clock_skew_ms = Some(0.0),
        &|candidate| candidate.load = Load { transactions_per_second: 0.0, ..Load::default() },
        &|candidate| candidate.consensus.leaders_per_round = Some(1),
        &|candidate| candidate.fault.iter_mut().for_each(|fault| fault.moment = None),
        &|candidate| candidate.fault.iter_mut().for_each(|fault| fault.restart_after_ms = None),
        &|candidate| {
            for fault in candidate.fault.iter_mut().filter(|fault| fault.disk.is_some()) {
                fault.disk = Some(Damage::Nothing);
            }
        },
        &|candidate| {
            for adversary in &mut candidate.adversary {
                adversary.validators.iter_mut().for_each(|them| them.truncate(1));
            }
        },
    ];
    let mut candidates = Vec::new();
    for change in changes {
        let mut candidate = scenario.clone();
        change(&mut candidate);
        if candidate != *scenario {
            candidates.push(candidate);
        }
    }
    candidates
}

#[cfg(test)]
mod tests;
