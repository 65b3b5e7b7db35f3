//! What a load showed, and under which conditions.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde::Serialize;

use super::histogram::Histogram;
use super::lane::lock;
use super::run::{LoadOptions, Run};
use super::verify::Verdict;
use crate::client::responses::Refusal;
use crate::output::{Table, harmless};

/// The most different reasons that are counted apart.
const REASONS_MAX: usize = 16;

/// What is counted on the way.
#[derive(Debug, Default)]
pub struct Counts {
    /// Transactions that a node took in.
    pub submitted: AtomicU64,
    /// Transactions that a node refused for good.
    pub refused: AtomicU64,
    /// Answers of nodes that had no room; the transaction is tried again.
    pub again: AtomicU64,
    /// Requests without an answer; their transactions are tried again.
    pub broken: AtomicU64,
    /// Transactions that were not sent because one before them was refused.
    pub withheld: AtomicU64,
    reasons: Mutex<BTreeMap<String, u64>>,
}

impl Counts {
    /// A node refused a transaction for good.
    pub fn note_refusal(&self, refusal: &Refusal) {
        self.refused.fetch_add(1, Ordering::Relaxed);
        let mut reasons = lock(&self.reasons);
        let reason = format!("{}: {}", harmless(&refusal.code), harmless(&refusal.message));
        if reasons.len() < REASONS_MAX || reasons.contains_key(&reason) {
            *reasons.entry(reason).or_default() += 1;
        }
    }
}

/// When what happened.
#[derive(Debug)]
pub struct Measured {
    /// From when transactions were due.
    pub start: Instant,
    /// When the last was sent.
    pub sent_until: Instant,
    /// When the nodes had been compared.
    pub verified_at: Instant,
    /// The most transactions in one request.
    pub batch: usize,
}

/// What a load showed.
#[derive(Debug, Serialize)]
pub(crate) struct LoadReport {
    /// Under which conditions.
    pub conditions: Conditions,
    /// Transactions that were due.
    pub offered: u64,
    /// Of those, taken in by a node.
    pub submitted: u64,
    /// Of those, refused by a node for good.
    pub refused: u64,
    /// Of those, never sent, or never taken in before time was up.
    pub not_submitted: u64,
    /// Answers of nodes that had no room for a transaction, which was tried again.
    pub tried_again: u64,
    /// Requests without an answer.
    pub broken_requests: u64,
    /// Final at every node, by the nonces of the accounts.
    pub finalized: u64,
    /// Taken in and not final at every node when time was up.
    pub not_final: u64,
    /// Finalized, divided by the time from the start until the last became final.
    pub finalized_per_second: f64,
    /// Taken in, divided by the time in which they were sent.
    pub submitted_per_second: f64,
    /// From the moment all were due until a node had taken them in.
    pub to_taken: Latency,
    /// From the moment the sampled ones were due until their node had executed them.
    pub to_executed: Latency,
    /// From the moment the sampled ones were due until their node had the certificate.
    pub to_final: Latency,
    /// Sampled transactions that pay into another shard. Those that are not in `to_arrived` were not seen
    /// to arrive: they went back or on, were refused, or time was up.
    pub sampled_across: u64,
    /// From the moment the sampled ones that pay into another shard were due until their node had the
    /// certificate of that shard.
    pub to_arrived: Latency,
    /// Sampled transactions whose action was not done, and why the first was not.
    pub sampled_not_applied: u64,
    /// Why the first of them was not.
    pub first_not_applied: Option<String>,
    /// Events that this client was too slow for; their transactions are not in the sample.
    pub events_missed: u64,
    /// How often a stream of events broke.
    pub streams_reopened: u64,
    /// Why nodes refused transactions, and how often.
    pub refusals: BTreeMap<String, u64>,
    /// What may never happen: lost transactions, sums that are wrong.
    pub violations: Vec<String>,
    /// Nodes that could not be asked in the end, and why.
    pub nodes_unanswered: Vec<String>,
}

/// Under which conditions a load ran.
#[derive(Debug, Serialize)]
pub(crate) struct Conditions {
    /// Of this client.
    pub version: &'static str,
    /// The nodes that shared the load.
    pub nodes: Vec<String>,
    /// The schemes of the accounts.
    pub schemes: Vec<String>,
    /// How many accounts took turns.
    pub accounts: usize,
    /// How many of them were followed to the end.
    pub sampled_accounts: usize,
    /// Transactions per second that were offered.
    pub tps_target: f64,
    /// How long they were offered, in seconds.
    pub seconds: f64,
    /// The most transactions in one request.
    pub batch: usize,
    /// Requests under way to one node, at most.
    pub connections: usize,
    /// Whether transactions were signed before the measured time.
    pub signed_ahead: bool,
    /// Logical processors of the client's machine.
    pub cores: usize,
    /// Whether the client was built for speed.
    pub optimized: bool,
}

/// Latencies in milliseconds; nothing where none was measured.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Latency {
    /// How many were measured.
    pub count: u64,
    /// Their mean.
    pub mean_ms: Option<f64>,
    /// Half are not above.
    pub p50_ms: Option<f64>,
    /// 90 % are not above.
    pub p90_ms: Option<f64>,
    /// 99 % are not above.
    pub p99_ms: Option<f64>,
    /// The longest.
    pub max_ms: Option<f64>,
}

impl Latency {
    fn of(histogram: &Histogram) -> Self {
        let count = histogram.count();
        let ms = |us: u64| (count > 0).then_some(round(us as f64 / 1e3));
        Self {
            count,
            mean_ms: ms(histogram.mean_us()),
            p50_ms: ms(histogram.percentile_us(50.0)),
            p90_ms: ms(histogram.percentile_us(90.0)),
            p99_ms: ms(histogram.percentile_us(99.0)),
            max_ms: ms(histogram.max_us()),
        }
    }

    fn cells(&self) -> Vec<String> {
        let cell = |ms: Option<f64>| ms.map_or_else(|| "-".to_owned(), |ms| format!("{ms:.1}"));
        let times = [self.mean_ms, self.p50_ms, self.p90_ms, self.p99_ms, self.max_ms];
        std::iter::once(self.count.to_string()).chain(times.map(cell)).collect()
    }
}

fn round(value: f64) -> f64 {
    (value * 1e3).round() / 1e3
}

impl LoadReport {
    /// Puts together what was counted.
    pub(super) fn new(
        options: &LoadOptions,
        run: &Run,
        measured: &Measured,
        verdict: &Verdict,
    ) -> Self {
        let limits = run.limits();
        let offered_until = limits.fresh_until.unwrap_or(measured.sent_until);
        let offered_for = offered_until.saturating_duration_since(measured.start);
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let (submitted, refused) = (count(&run.counts.submitted), count(&run.counts.refused));
        let left: u64 = run.lanes.iter().map(|lane| lane.left_over(offered_for)).sum();
        let not_submitted = left + count(&run.counts.withheld);
        let (mut to_executed, mut to_final) = (Histogram::default(), Histogram::default());
        let (mut to_arrived, mut across) = (Histogram::default(), 0);
        let (mut last_final, mut first_not_applied) = (None, None);
        let (mut not_applied, mut missed, mut reopened) = (0, 0, 0);
        for watch in run.watches.iter() {
            let watch = lock(watch);
            to_executed.merge(&watch.to_executed);
            to_final.merge(&watch.to_final);
            to_arrived.merge(&watch.to_arrived);
            across += watch.across;
            last_final = last_final.max(watch.last_final);
            first_not_applied = first_not_applied.or_else(|| watch.first_not_applied.clone());
            not_applied += watch.not_applied;
            missed += watch.missed;
            reopened += watch.reopened;
        }
        let last_final = last_final.unwrap_or(measured.verified_at);
        let sent_for = measured.sent_until.saturating_duration_since(measured.start);
        let final_after = last_final.saturating_duration_since(measured.start);
        Self {
            conditions: Conditions::new(options, run, measured, offered_for),
            offered: submitted + refused + not_submitted,
            submitted,
            refused,
            not_submitted,
            tried_again: count(&run.counts.again),
            broken_requests: count(&run.counts.broken),
            finalized: verdict.finalized,
            not_final: verdict.not_final,
            finalized_per_second: per_second(verdict.finalized, final_after),
            submitted_per_second: per_second(submitted, sent_for),
            to_taken: Latency::of(&lock(&run.to_taken)),
            to_executed: Latency::of(&to_executed),
            to_final: Latency::of(&to_final),
            sampled_across: across,
            to_arrived: Latency::of(&to_arrived),
            sampled_not_applied: not_applied,
            first_not_applied,
            events_missed: missed,
            streams_reopened: reopened,
            refusals: lock(&run.counts.reasons).clone(),
            violations: verdict.violations.clone(),
            nodes_unanswered: verdict.unanswered.clone(),
        }
    }

    /// Whether all that was taken in is final at every node, and everything adds up.
    pub fn is_in_order(&self) -> bool {
        let all_final = self.not_final == 0 && self.nodes_unanswered.is_empty();
        all_final && self.violations.is_empty() && self.refused == 0
    }

    /// The report for people.
    pub fn render(&self) -> String {
        let conditions = &self.conditions;
        let ahead = if conditions.signed_ahead { "before" } else { "during" };
        let build = if conditions.optimized { "" } else { ", a build that is not for speed" };
        let fields = [
            ("nodes", conditions.nodes.join(" ")),
            (
                "accounts",
                format!(
                    "{} of {}, {} of them followed to the end",
                    conditions.accounts,
                    conditions.schemes.join(", "),
                    conditions.sampled_accounts
                ),
            ),
            ("offered", format!("{:.1}/s for {:.1} s", conditions.tps_target, conditions.seconds)),
            (
                "requests",
                format!(
                    "up to {} transactions each, {} under way to a node, signed {ahead} the \
                     measured time",
                    conditions.batch, conditions.connections
                ),
            ),
            (
                "client",
                format!("qcn {}, {} logical cores{build}", conditions.version, conditions.cores),
            ),
        ];
        let mut text = Table::of_fields(&fields).render() + "\n" + &self.totals();
        let mut table = Table::new(&["latency ms", "count", "mean", "p50", "p90", "p99", "max"]);
        let rows = [
            ("due to taken in", &self.to_taken),
            ("due to executed", &self.to_executed),
            ("due to final", &self.to_final),
        ];
        // Nothing crosses in a network of one shard.
        let across = ("due to final in the other shard", &self.to_arrived);
        let across = Some(across).filter(|_| self.sampled_across > 0);
        for (name, latency) in rows.into_iter().chain(across) {
            let name = std::iter::once(name.to_owned());
            table.row(name.chain(latency.cells()).collect());
        }
        text = text + "\n" + &table.render();
        self.write_remarks(&mut text);
        text
    }

    fn totals(&self) -> String {
        let submitted = format!("{} ({:.1}/s)", self.submitted, self.submitted_per_second);
        let finalized = format!("{} ({:.1}/s)", self.finalized, self.finalized_per_second);
        let mut fields = vec![("submitted", submitted), ("finalized", finalized)];
        for (name, count) in [
            ("refused", self.refused),
            ("not submitted", self.not_submitted),
            ("not final", self.not_final),
            ("no room, tried again", self.tried_again),
            ("requests without an answer", self.broken_requests),
            ("sampled and not applied", self.sampled_not_applied),
            (
                "sampled, arrival not seen by this client",
                self.sampled_across - self.to_arrived.count,
            ),
            ("events missed", self.events_missed),
            ("streams of events reopened", self.streams_reopened),
        ] {
            if count > 0 || name == "refused" {
                fields.push((name, count.to_string()));
            }
        }
        Table::of_fields(&fields).render()
    }

    fn write_remarks(&self, text: &mut String) {
        let mut line = |remark: String| {
            writeln!(text, "{remark}").expect("writing into memory");
        };
        for (reason, count) in &self.refusals {
            line(format!("refused {count} times: {reason}"));
        }
        if let Some(reason) = &self.first_not_applied {
            line(format!("first that was not applied: {reason}"));
        }
        for node in &self.nodes_unanswered {
            line(format!("not verified: {}", harmless(node)));
        }
        for violation in &self.violations {
            line(format!("VIOLATION: {}", harmless(violation)));
        }
        if self.is_in_order() {
            line(
                "all that was taken in is final at every node, and the balances add up".to_owned(),
            );
        }
    }
}

impl Conditions {
    fn new(options: &LoadOptions, run: &Run, measured: &Measured, offered_for: Duration) -> Self {
        let schemes: BTreeSet<String> =
            options.keys.iter().map(|key| key.scheme().to_string()).collect();
        Self {
            version: env!("CARGO_PKG_VERSION"),
            nodes: options.nodes.iter().map(ToString::to_string).collect(),
            schemes: schemes.into_iter().collect(),
            accounts: options.keys.len(),
            sampled_accounts: run.sampled.iter().filter(|is| **is).count(),
            tps_target: options.tps,
            seconds: round(offered_for.as_secs_f64()),
            batch: measured.batch,
            connections: options.connections,
            signed_ahead: options.sign_ahead,
            cores: std::thread::available_parallelism().map_or(1, Into::into),
            optimized: !cfg!(debug_assertions),
        }
    }
}

fn per_second(count: u64, time: Duration) -> f64 {
    if time.is_zero() { 0.0 } else { round(count as f64 / time.as_secs_f64()) }
}
