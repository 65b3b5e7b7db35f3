//! What both the table and the page say, in the same words and the same order.

use super::number::{bytes, count, decimal, ms, of, percent};
use crate::result::{Conditions, Percentiles, RunResult, ValidatorResult};

/// A label and what belongs to it.
pub type Fact = (&'static str, String);

/// Under which conditions the run took place.
pub fn conditions(result: &RunResult) -> Vec<Fact> {
    let conditions = &result.conditions;
    let mut facts = vec![
        ("seed", result.seed.to_string()),
        ("validators", validators(conditions)),
        ("weights", conditions.weights.clone()),
        ("latency", conditions.latency_source.clone()),
        ("regions", regions(conditions)),
        ("network", network(conditions)),
        ("load", load(conditions)),
        ("signatures", conditions.signatures.clone()),
        ("rounds", pacing(conditions)),
        ("virtual time", duration(conditions)),
    ];
    facts.extend(conditions.faults.iter().map(|fault| ("fault", fault.clone())));
    facts.extend(conditions.adversaries.iter().map(|one| ("adversary", one.clone())));
    facts
}

fn validators(conditions: &Conditions) -> String {
    let total = conditions.total_weight.max(1) as f64;
    let share = |weight: u64| percent(weight as f64 / total);
    let mut text = format!(
        "{}; a quorum needs {} of the weight, up to {} may be faulty",
        count(conditions.validators),
        share(conditions.quorum_weight),
        share(conditions.fault_weight),
    );
    if conditions.adversary_weight > 0 {
        text += &format!(", adversaries hold {}", share(conditions.adversary_weight));
    }
    text
}

/// The regions with the most validators first.
fn regions(conditions: &Conditions) -> String {
    let mut regions: Vec<_> = conditions.regions.iter().collect();
    regions.sort_by(|a, b| b.validators.cmp(&a.validators).then_with(|| a.region.cmp(&b.region)));
    let named: Vec<String> =
        regions.iter().map(|one| format!("{} ({})", one.region, count(one.validators))).collect();
    if named.is_empty() { "one".to_owned() } else { named.join(", ") }
}

fn network(conditions: &Conditions) -> String {
    let bandwidth = conditions.bandwidth_mbit_per_s.map_or_else(
        || "unlimited uplinks".to_owned(),
        |mbit| format!("{} Mbit/s uplinks", decimal(mbit)),
    );
    format!(
        "jitter {}%, loss {}%, duplication {}%, {bandwidth}",
        decimal(conditions.jitter_percent),
        decimal(conditions.loss_percent),
        decimal(conditions.duplication_percent),
    )
}

fn load(conditions: &Conditions) -> String {
    format!(
        "{} transactions per second from {} of scheme {}",
        decimal(conditions.transactions_per_second),
        of(conditions.accounts, "account"),
        conditions.account_scheme,
    )
}

fn pacing(conditions: &Conditions) -> String {
    format!(
        "{}, at least {} ms apart, leader timeout {} ms",
        of(conditions.leaders_per_round, "leader slot"),
        decimal(conditions.min_round_interval_ms),
        decimal(conditions.leader_timeout_ms),
    )
}

fn duration(conditions: &Conditions) -> String {
    format!(
        "{} s, the first {} s not measured",
        decimal(conditions.virtual_seconds),
        decimal(conditions.warm_up_seconds),
    )
}

/// What was measured, in virtual time.
pub fn measurements(result: &RunResult) -> Vec<Fact> {
    let mut facts = vec![("finality", percentiles(&result.finality_ms))];
    if let Some(ratio) = bound_ratio(result) {
        facts.push(("lower bound", lower_bound(result, ratio)));
    }
    facts.extend([
        ("certified", percentiles(&result.certified_ms)),
        ("rounds", format!("{} per second", decimal(result.rounds_per_second))),
        ("commits", format!("{} leaders per second", decimal(result.commits_per_second))),
        ("transactions", transactions(result)),
        ("bytes sent", bytes_sent(&result.validators)),
        ("virtual CPU", cpu(&result.validators)),
    ]);
    facts
}

/// Median finality divided by the lower bound.
pub fn bound_ratio(result: &RunResult) -> Option<f64> {
    let p50 = result.finality_ms.p50?;
    (result.lower_bound_ms > 0.0).then(|| p50 / result.lower_bound_ms)
}

fn lower_bound(result: &RunResult, ratio: f64) -> String {
    let mut text = format!(
        "{} for three one-way delays to > 2/3 of the weight; the median is {ratio:.2} times that",
        ms(Some(result.lower_bound_ms)),
    );
    if result.composed_lower_bound_ms > 0.0 {
        let composed = ms(Some(result.composed_lower_bound_ms));
        text += &format!(" ({composed} along the fastest quorums)");
    }
    text
}

fn percentiles(figures: &Percentiles) -> String {
    if figures.samples == 0 {
        return "nothing was finalized in the measured time".to_owned();
    }
    format!(
        "p50 {}   p95 {}   p99 {}   mean {}   max {}   of {}",
        ms(figures.p50),
        ms(figures.p95),
        ms(figures.p99),
        ms(figures.mean),
        ms(figures.max),
        count(figures.samples),
    )
}

fn transactions(result: &RunResult) -> String {
    let load = &result.transactions;
    let mut text = format!(
        "{} submitted, {} finalized, {} per second",
        count(load.submitted),
        count(load.finalized),
        decimal(load.per_second),
    );
    if load.failed > 0 {
        text += &format!(", {} of them refused by the ledger", count(load.failed));
    }
    text
}

fn bytes_sent(validators: &[ValidatorResult]) -> String {
    spread(validators, |one| one.bytes_sent_per_round, bytes)
}

fn cpu(validators: &[ValidatorResult]) -> String {
    spread(validators, |one| one.cpu_ms_per_round, |value| ms(Some(value)))
}

/// Least, median and most of something per validator and round.
fn spread(
    validators: &[ValidatorResult],
    of: impl Fn(&ValidatorResult) -> f64,
    shown: impl Fn(f64) -> String,
) -> String {
    let mut values: Vec<f64> = validators.iter().map(of).collect();
    values.sort_by(f64::total_cmp);
    match values[..] {
        [] => "no validators".to_owned(),
        [least, .., most] => format!(
            "per validator and round: median {}, least {}, most {}",
            shown(values[values.len() / 2]),
            shown(least),
            shown(most),
        ),
        [only] => format!("per round: {}", shown(only)),
    }
}

/// What the run cost on the machine that ran it.
pub fn host(result: &RunResult) -> Vec<Fact> {
    let host = &result.host;
    let memory = host.peak_memory_mib.map(|mib| format!(", {} MiB at most", decimal(mib)));
    vec![
        (
            "time",
            format!(
                "{} s wall clock, {} s processor{}",
                decimal(host.wall_seconds),
                decimal(host.cpu_seconds),
                memory.unwrap_or_default(),
            ),
        ),
        (
            "work",
            format!(
                "{} proposed, {} delivered, {} us of processor per block",
                of(host.blocks, "block"),
                of(host.deliveries, "message"),
                decimal(host.cpu_us_per_block),
            ),
        ),
    ]
}

/// One sentence on whether the invariants held.
pub fn verdict(result: &RunResult) -> String {
    match result.violations.len() {
        0 => "Every invariant held.".to_owned(),
        1 => "One invariant was broken.".to_owned(),
        more => format!("{more} invariants were broken."),
    }
}
