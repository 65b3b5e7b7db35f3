//! What a run measured: plain values that the engine fills, and that the report, the JSON
//! file and a later replay read.
//!
//! **Invariants**
//! - everything outside [`RunResult::host`] is a function of the scenario and the seed, so two
//!   runs of one seed write the same JSON apart from `host`;
//! - every float is a report value, rounded by [`round3`]; none of them is ever read back by
//!   the simulation;
//! - what was not observed is `null`, never zero.

mod statistics;

use serde::{Deserialize, Serialize};

use crate::keys::KeyRing;

pub use statistics::{finality_over_time, histogram, per_second, round3};

/// The outcome of one run of one scenario.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct RunResult {
    /// The scenario's name.
    pub scenario: String,
    /// The seed that every random draw of the run came from.
    pub seed: u64,
    /// The hash of everything that happened, in hexadecimal: equal on every machine.
    pub trace_hash: String,
    /// Under which conditions the numbers hold.
    pub conditions: Conditions,
    /// From a client's submission to the commit, at the validator it was submitted to.
    pub finality_ms: Percentiles,
    /// From a client's submission to a certificate of the checkpoint, at the same place.
    pub certified_ms: Percentiles,
    /// Three one-way message delays to more than two thirds of the weight, on the same matrix.
    pub lower_bound_ms: f64,
    /// The same three steps composed along the fastest quorums: the tighter bound, for a
    /// network in which votes need not return to the proposer at every step.
    pub composed_lower_bound_ms: f64,
    /// Rounds per virtual second, at the median validator.
    pub rounds_per_second: f64,
    /// Committed leaders per virtual second, at the median validator.
    pub commits_per_second: f64,
    /// What became of the load.
    pub transactions: Transactions,
    /// One entry per validator, in committee order.
    pub validators: Vec<ValidatorResult>,
    /// Every broken invariant. An honest run has none.
    pub violations: Vec<Violation>,
    /// What happened to the network, for the time axes.
    pub events: Vec<RunEvent>,
    /// Finality per second of submission.
    pub finality_over_time: Vec<FinalityBucket>,
    /// The distribution of finality.
    pub finality_histogram: Vec<HistogramBin>,
    /// Rounds begun in each second, at the median validator.
    pub rounds_over_time: Vec<RateBucket>,
    /// Leaders committed in each second, at the median validator.
    pub commits_over_time: Vec<RateBucket>,
    /// The scenario file that gave this result, so that it can be run again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scenario_toml: Option<String>,
    /// What the run cost on the host. The only part that differs between two runs.
    pub host: Host,
}

/// The conditions that a number must never be printed without.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Conditions {
    /// How many validators the committee has.
    pub validators: u64,
    /// The committee's weight W.
    pub total_weight: u64,
    /// The weight Q of a quorum.
    pub quorum_weight: u64,
    /// The weight f that may be faulty.
    pub fault_weight: u64,
    /// The weight of the adversaries in this run.
    pub adversary_weight: u64,
    /// Where the weights come from and how unequal they are, for people.
    pub weights: String,
    /// The regions in use, and how many validators each holds.
    pub regions: Vec<RegionShare>,
    /// Where the latencies come from.
    pub latency_source: String,
    /// How far a delay may be above the link's latency, in percent of it.
    pub jitter_percent: f64,
    /// How many messages are lost, in percent.
    pub loss_percent: f64,
    /// How many messages arrive twice, in percent.
    pub duplication_percent: f64,
    /// Each validator's uplink in Mbit/s; `null` when unlimited.
    pub bandwidth_mbit_per_s: Option<f64>,
    /// The offered load, in transactions per virtual second.
    pub transactions_per_second: f64,
    /// How many accounts send.
    pub accounts: u64,
    /// The signature scheme of the accounts.
    pub account_scheme: String,
    /// How signatures were treated.
    pub signatures: String,
    /// How long the run was, in virtual seconds.
    pub virtual_seconds: f64,
    /// How much of its beginning is left out of the measurements, in virtual seconds.
    pub warm_up_seconds: f64,
    /// Leader slots per round.
    pub leaders_per_round: u64,
    /// The least time between two blocks of one validator, in milliseconds.
    pub min_round_interval_ms: f64,
    /// How long a round waits for its leaders, in milliseconds.
    pub leader_timeout_ms: f64,
    /// The scheduled faults, one sentence each.
    pub faults: Vec<String>,
    /// The adversaries, one sentence each.
    pub adversaries: Vec<String>,
}

/// How the signatures of a run were treated, the usual text of [`Conditions::signatures`].
#[must_use]
pub fn real_signatures(keys: KeyRing) -> String {
    let scheme = keys.title();
    format!("real {scheme}, checked once on the host and charged to every validator")
}

/// One region's part of the committee.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct RegionShare {
    /// The region's name.
    pub region: String,
    /// How many validators are there.
    pub validators: u64,
    /// Their weight.
    pub weight: u64,
}

/// The usual figures of a distribution; all `null` when nothing was observed.
#[derive(Clone, Copy, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Percentiles {
    /// How many observations.
    pub samples: u64,
    /// The median.
    pub p50: Option<f64>,
    /// 95 of 100 are at most this.
    pub p95: Option<f64>,
    /// 99 of 100 are at most this.
    pub p99: Option<f64>,
    /// The mean.
    pub mean: Option<f64>,
    /// The largest.
    pub max: Option<f64>,
    /// What none can be below, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lower_bound_ms: Option<f64>,
}

/// What became of the load.
#[derive(Clone, Copy, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Transactions {
    /// Submitted by clients.
    pub submitted: u64,
    /// Committed and executed.
    pub finalized: u64,
    /// Of the finalized ones: refused by the ledger's rules.
    pub failed: u64,
    /// Finalized per virtual second, after the warm-up.
    pub per_second: f64,
}

/// One validator's account of the run.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct ValidatorResult {
    /// Its name.
    pub name: String,
    /// Where it stands.
    pub region: String,
    /// Its voting power.
    pub weight: u64,
    /// How fast its processor is, 1 being the calibrated machine.
    pub processing_power: f64,
    /// Bytes it sent.
    pub bytes_sent: u64,
    /// Bytes it sent per round it took part in.
    pub bytes_sent_per_round: f64,
    /// Virtual processor time it used, in milliseconds.
    pub cpu_ms: f64,
    /// The same per round.
    pub cpu_ms_per_round: f64,
    /// Blocks it proposed.
    pub blocks: u64,
    /// Decided slots in which it was the leader.
    pub leader_slots: u64,
    /// Of these, committed.
    pub leader_slots_committed: u64,
    /// Of these, skipped.
    pub leader_slots_skipped: u64,
    /// Its share of the weight.
    pub expected_leader_share: f64,
    /// Its share of all leader slots.
    pub leader_share: f64,
    /// The height it executed.
    pub height: u64,
    /// The height it holds a certificate for.
    pub certified_height: u64,
    /// The round it reached.
    pub round: u64,
    /// Whether committed evidence took its leader slots.
    pub isolated: bool,
    /// Whether it followed the protocol.
    pub honest: bool,
    /// How many pieces of evidence against it were committed.
    pub evidence: u64,
}

/// One broken invariant.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Violation {
    /// The invariant's name.
    pub invariant: String,
    /// When, in virtual milliseconds.
    pub at_ms: f64,
    /// At which validator, if it is one's.
    pub validator: Option<String>,
    /// What was seen.
    pub detail: String,
}

/// Something that happened to the network.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct RunEvent {
    /// When, in virtual milliseconds.
    pub at_ms: f64,
    /// What kind of thing.
    pub kind: EventKind,
    /// The sentence that belongs to it.
    pub detail: String,
}

/// The kinds of events that a time axis tells apart.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum EventKind {
    /// The network split.
    Partition,
    /// A split ended.
    Heal,
    /// A validator stopped.
    Crash,
    /// A validator came back.
    Restart,
    /// A validator froze for a while, or went on.
    Pause,
    /// A disk failed in some way.
    Disk,
    /// A clock moved.
    Clock,
    /// The links changed: latency, loss or bandwidth.
    Network,
    /// An adversary began.
    Adversary,
    /// Evidence took a validator's leader slots.
    Isolation,
    /// An invariant broke.
    Violation,
    /// Anything else.
    #[default]
    Other,
}

/// Finality of what was submitted in one second.
#[derive(Clone, Copy, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct FinalityBucket {
    /// The second, from 0.
    pub second: u64,
    /// The median in milliseconds.
    pub p50: Option<f64>,
    /// The 95th percentile in milliseconds.
    pub p95: Option<f64>,
    /// How many transactions.
    pub count: u64,
}

/// One bar of a histogram: `from_ms <= x < to_ms`.
#[derive(Clone, Copy, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct HistogramBin {
    /// The lower edge, inclusive.
    pub from_ms: f64,
    /// The upper edge, exclusive.
    pub to_ms: f64,
    /// How many observations.
    pub count: u64,
}

/// How often something happened in one second.
#[derive(Clone, Copy, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct RateBucket {
    /// The second, from 0.
    pub second: u64,
    /// How often.
    pub count: u64,
}

/// What the run cost on the machine that ran it.
#[derive(Clone, Copy, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Host {
    /// Wall-clock seconds.
    pub wall_seconds: f64,
    /// Processor seconds.
    pub cpu_seconds: f64,
    /// Messages delivered.
    pub deliveries: u64,
    /// Blocks proposed by all validators together.
    pub blocks: u64,
    /// Processor microseconds per block proposed.
    pub cpu_us_per_block: f64,
    /// The most memory held, in MiB; `null` where the system does not tell.
    pub peak_memory_mib: Option<f64>,
}

#[cfg(test)]
mod tests;
