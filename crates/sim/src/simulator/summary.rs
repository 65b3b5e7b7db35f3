//! What a run measured, as a [`RunResult`].

use qcn_shard::Shard;
use qcn_types::{BlockRef, ValidatorIndex};

use super::QuantumNetworkSimulator;
use crate::geography::{FinalityBound, finality_bounds};
use crate::keys::ACCOUNT_SCHEME;
use crate::metrics::{Metrics, milliseconds};
use crate::result::{
    Conditions, Percentiles, RateBucket, RunResult, Transactions, ValidatorResult, Violation,
    finality_over_time, histogram, real_signatures, round3,
};

/// The blocks in a validator's DAG above its garbage-collection floor, by round and author.
pub(super) fn blocks_of(shard: &Shard) -> Vec<BlockRef> {
    let dag = shard.consensus().dag();
    let mut blocks = Vec::new();
    let mut round = dag.floor().next();
    while round <= dag.highest_round() {
        for author in
            shard.consensus().dag().layer(round).iter().flat_map(|layer| layer.present().iter())
        {
            let slot = qcn_types::Slot { round, author };
            blocks.extend(
                dag.in_slot(slot).filter_map(|vertex| dag.node(vertex)).map(|node| node.reference),
            );
        }
        round = round.next();
    }
    blocks
}

impl QuantumNetworkSimulator {
    /// What the run measured so far. Transactions submitted before `warm_up_us` are left out of
    /// the measurements of finality.
    ///
    /// What the engine does not know is left at its default: the scenario's name and text,
    /// regions, where weights and latencies come from, and what the run cost on the host.
    #[must_use]
    pub fn result(&mut self, warm_up_us: u64) -> RunResult {
        let violations = self.check_consensus();
        let now = self.engine.now;
        let seconds = now.div_ceil(1_000_000);
        let bound = self.median_bound();
        let metrics = &self.engine.metrics;
        let executed: Vec<(u64, u64)> = lives(metrics, warm_up_us, |life| life.executed);
        let certified: Vec<(u64, u64)> = lives(metrics, warm_up_us, |life| life.certified);
        let finality: Vec<u64> = executed.iter().map(|(_, elapsed)| *elapsed).collect();
        let rounds_over_time =
            median_rates(metrics.validators.iter().map(|own| &own.rounds_by_second), seconds);
        let commits_over_time =
            median_rates(metrics.validators.iter().map(|own| &own.commits_by_second), seconds);
        RunResult {
            seed: self.engine.setup.seed,
            trace_hash: self.trace_hash().to_string(),
            conditions: self.conditions(warm_up_us),
            finality_histogram: histogram(&finality),
            finality_ms: Percentiles {
                lower_bound_ms: Some(milliseconds(bound.three_delays_us)),
                ..Percentiles::from_micros(finality)
            },
            certified_ms: Percentiles::from_micros(
                certified.iter().map(|(_, elapsed)| *elapsed).collect(),
            ),
            lower_bound_ms: milliseconds(bound.three_delays_us),
            composed_lower_bound_ms: milliseconds(bound.composed_us),
            rounds_per_second: mean_rate(&rounds_over_time, warm_up_us, now),
            commits_per_second: mean_rate(&commits_over_time, warm_up_us, now),
            transactions: self.transactions(warm_up_us),
            validators: (0..self.len()).map(|validator| self.validator_result(validator)).collect(),
            violations: violations.iter().map(|violation| self.violation(violation)).collect(),
            events: metrics.events.clone(),
            finality_over_time: finality_over_time(&executed, seconds),
            rounds_over_time,
            commits_over_time,
            ..RunResult::default()
        }
    }

    /// The bounds at the median validator.
    fn median_bound(&self) -> FinalityBound {
        let network = &self.engine.network;
        let quorum = self.committee().quorum_weight();
        let bounds = finality_bounds(&self.weights, quorum, |from, to| {
            u64::from(network.latency_us(from, to))
        });
        let median = |bound: fn(&FinalityBound) -> u64| {
            let mut values: Vec<u64> = bounds.iter().map(bound).collect();
            values.sort_unstable();
            values.get((values.len() - 1) / 2).copied().unwrap_or(0)
        };
        FinalityBound {
            three_delays_us: median(|bound| bound.three_delays_us),
            composed_us: median(|bound| bound.composed_us),
        }
    }

    fn conditions(&self, warm_up_us: u64) -> Conditions {
        let committee = self.committee();
        let config = &self.engine.setup.consensus;
        let links = self.engine.network.model();
        let faulty = committee.indices().filter(|index| !self.is_honest(index.position()));
        Conditions {
            validators: self.len() as u64,
            total_weight: committee.total_weight(),
            quorum_weight: committee.quorum_weight(),
            fault_weight: committee.fault_weight(),
            adversary_weight: faulty.map(|index| committee.weight(index)).sum(),
            jitter_percent: round3(f64::from(links.jitter_permille) / 10.0),
            loss_percent: round3(f64::from(links.loss_per_million) / 10_000.0),
            duplication_percent: round3(f64::from(links.duplication_per_million) / 10_000.0),
            bandwidth_mbit_per_s: links
                .bandwidth_bits_per_second
                .map(|bits| round3(bits as f64 / 1_000_000.0)),
            transactions_per_second: round3(self.load_per_second),
            accounts: self.engine.setup.accounts.len() as u64,
            account_scheme: ACCOUNT_SCHEME.name().to_owned(),
            signatures: real_signatures(self.engine.setup.key_ring),
            virtual_seconds: round3(self.engine.now as f64 / 1e6),
            warm_up_seconds: round3(warm_up_us as f64 / 1e6),
            leaders_per_round: u64::from(config.leaders_per_round),
            min_round_interval_ms: milliseconds(config.min_round_interval_us),
            leader_timeout_ms: milliseconds(config.leader_timeout_us),
            faults: self.engine.described_faults(),
            adversaries: self.described_adversaries(),
            ..Conditions::default()
        }
    }

    fn described_adversaries(&self) -> Vec<String> {
        let adversaries = &self.adversaries;
        adversaries.iter().map(|(at, what)| format!("{} is a {what}", self.names[*at])).collect()
    }

    fn transactions(&self, warm_up_us: u64) -> Transactions {
        let metrics = &self.engine.metrics;
        let measured = self.engine.now.saturating_sub(warm_up_us);
        let since = metrics.transactions.iter().filter_map(|life| life.executed);
        let after = since.filter(|executed| *executed >= warm_up_us).count();
        let outcomes = || metrics.transactions.iter().filter_map(|life| life.outcome);
        Transactions {
            submitted: metrics.transactions.len() as u64,
            finalized: outcomes().count() as u64,
            failed: outcomes().filter(|applied| !applied).count() as u64,
            per_second: if measured == 0 {
                0.0
            } else {
                round3(after as f64 * 1e6 / measured as f64)
            },
        }
    }

    fn validator_result(&self, validator: usize) -> ValidatorResult {
        let index = ValidatorIndex(validator as u16);
        let metrics = &self.engine.metrics;
        let own = &metrics.validators[validator];
        let cpu_ns: u64 = self
            .engine
            .instances(validator)
            .iter()
            .flat_map(|process| self.engine.processes[*process as usize].cpu.spent_ns)
            .sum();
        let rounds = own.blocks.max(1) as f64;
        let all_slots: u64 = metrics
            .validators
            .iter()
            .map(|other| other.slots_committed + other.slots_skipped)
            .sum();
        let slots = own.slots_committed + own.slots_skipped;
        let share = |part: u64, whole: u64| {
            if whole == 0 { 0.0 } else { (part as f64 / whole as f64 * 1e6).round() / 1e6 }
        };
        let isolated = metrics.isolated.get(&index);
        ValidatorResult {
            name: self.names[validator].clone(),
            region: String::new(),
            weight: self.weights[validator],
            processing_power: self.powers_permille[validator] as f64 / 1_000.0,
            bytes_sent: own.bytes_sent,
            bytes_sent_per_round: round3(own.bytes_sent as f64 / rounds),
            cpu_ms: round3(cpu_ns as f64 / 1e6),
            cpu_ms_per_round: round3(cpu_ns as f64 / 1e6 / rounds),
            blocks: own.blocks,
            leader_slots: slots,
            leader_slots_committed: own.slots_committed,
            leader_slots_skipped: own.slots_skipped,
            expected_leader_share: share(self.weights[validator], self.weights.iter().sum()),
            leader_share: share(slots, all_slots),
            height: own.height.0,
            certified_height: own.certified.0,
            round: own.round.0,
            isolated: isolated.is_some(),
            honest: self.is_honest(validator),
            evidence: isolated.map_or(0, |offences| offences.len() as u64),
        }
    }

    fn violation(&self, violation: &crate::invariants::Violation) -> Violation {
        Violation {
            invariant: violation.invariant.to_owned(),
            at_ms: milliseconds(violation.time_us),
            validator: violation.validator.map(|index| self.names[index.position()].clone()),
            detail: violation.detail.clone(),
        }
    }
}

/// When each measured transaction was submitted, and how long the step took.
fn lives(
    metrics: &Metrics,
    warm_up_us: u64,
    step: impl Fn(&crate::metrics::Life) -> Option<u64>,
) -> Vec<(u64, u64)> {
    let measured = metrics.transactions.iter().filter(|life| life.submitted >= warm_up_us);
    measured.filter_map(|life| Some((life.submitted, step(life)? - life.submitted))).collect()
}

/// The median validator's count in every second.
fn median_rates<'a>(
    validators: impl Iterator<Item = &'a Vec<u64>> + Clone,
    seconds: u64,
) -> Vec<RateBucket> {
    let at = |second: u64| {
        let counts = validators.clone().map(|own| own.get(second as usize).copied().unwrap_or(0));
        let mut counts: Vec<u64> = counts.collect();
        counts.sort_unstable();
        counts.get(counts.len().saturating_sub(1) / 2).copied().unwrap_or(0)
    };
    (0..seconds).map(|second| RateBucket { second, count: at(second) }).collect()
}

/// Per second, over the whole seconds after the warm-up.
fn mean_rate(rates: &[RateBucket], warm_up_us: u64, now: u64) -> f64 {
    let first = warm_up_us.div_ceil(1_000_000);
    let last = now / 1_000_000;
    let counted = rates.iter().filter(|rate| rate.second >= first && rate.second < last);
    let sum: u64 = counted.map(|rate| rate.count).sum();
    if last > first { round3(sum as f64 / (last - first) as f64) } else { 0.0 }
}
