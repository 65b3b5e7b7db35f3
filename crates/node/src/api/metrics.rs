//! Counters, gauges and histograms of a node, for Prometheus.
//!
//! The runtime increments what only it can count; what the node's view shows anyway is copied
//! into gauges when somebody asks.

use std::fs;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};
use qcn_types::ShardId;

use crate::view::{NodeStatus, PeerStatus};

/// A validator, by its index.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ValidatorLabel {
    /// The index in the committee.
    pub validator: u16,
}

/// Why a message was refused. Use few and fixed names.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct ReasonLabel {
    /// A word.
    pub reason: &'static str,
}

/// The shard that something comes from.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct SourceLabel {
    /// Its number.
    pub source: u32,
}

/// In or out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelValue)]
pub enum Direction {
    /// Received.
    In,
    /// Sent.
    Out,
}

/// A peer's traffic in one direction.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct TrafficLabel {
    /// The index in the committee.
    pub validator: u16,
    /// Which way.
    pub direction: Direction,
}

/// The metrics of one node. Clones are the same metrics.
#[derive(Clone, Debug)]
pub struct Metrics {
    registry: Arc<Mutex<Registry>>,
    /// Blocks that entered the DAG, by author.
    pub blocks: Family<ValidatorLabel, Counter>,
    /// Executed transactions.
    pub transactions: Counter,
    /// Transactions taken in from clients here.
    pub submitted: Counter,
    /// Transactions of clients that were refused, by reason.
    pub submissions_refused: Family<ReasonLabel, Counter>,
    /// Leader slots that were skipped, by validator.
    pub skipped: Family<ValidatorLabel, Counter>,
    /// From a client's submission here to the certificate.
    pub finality_seconds: Histogram,
    /// Checking a block with its transactions.
    pub verification_seconds: Histogram,
    /// Signing a block.
    pub signing_seconds: Histogram,
    /// Making the log durable.
    pub log_sync_seconds: Histogram,
    /// Executing a checkpoint with its place in the archive.
    pub archive_seconds: Histogram,
    /// Messages of peers that were refused, by reason.
    pub messages_refused: Family<ReasonLabel, Counter>,
    /// What happened on the transport: connections, refused handshakes and the like, by name.
    pub transport: Family<ReasonLabel, Counter>,
    /// Receipts that this node has carried, by the shard that they come from.
    pub receipts_carried: Family<SourceLabel, Counter>,
    /// Notes of equivocation and other proven faults.
    pub evidence: Counter,
    status: StatusGauges,
    peers: PeerGauges,
    process: ProcessGauges,
}

#[derive(Clone, Debug, Default)]
struct StatusGauges {
    round: Gauge,
    floor: Gauge,
    height: Gauge,
    certified_height: Gauge,
    mempool: Gauge,
    dag_blocks: Gauge,
    waiting_blocks: Gauge,
    recovering: Gauge,
    synchronising: Gauge,
    stopped: Gauge,
    waiting: Gauge,
}

#[derive(Clone, Debug, Default)]
struct PeerGauges {
    connected: Family<ValidatorLabel, Gauge>,
    rtt_seconds: Family<ValidatorLabel, Gauge<f64, AtomicU64>>,
    bytes: Family<TrafficLabel, Counter>,
    frames_dropped: Family<ValidatorLabel, Counter>,
    packets_sent: Family<ValidatorLabel, Counter>,
    packets_lost: Family<ValidatorLabel, Counter>,
    refused: Family<ValidatorLabel, Counter>,
}

#[derive(Clone, Debug, Default)]
struct ProcessGauges {
    resident_bytes: Gauge,
    cpu_seconds: Counter<f64, AtomicU64>,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

/// What metrics are about.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Scope {
    /// A node and its only shard.
    Both,
    /// A node with several shards, or with none of several.
    Node,
    /// One of several shards.
    Shard,
}

impl Metrics {
    /// Metrics of a node and its only shard, which stand at zero.
    #[must_use]
    pub fn new() -> Self {
        Self::about(Scope::Both, Registry::with_prefix("qcn"))
    }

    /// Metrics of a node, apart from those of its shards if the network has several.
    #[must_use]
    pub fn of_node(has_several_shards: bool) -> Self {
        let scope = if has_several_shards { Scope::Node } else { Scope::Both };
        Self::about(scope, Registry::with_prefix("qcn"))
    }

    /// Metrics of one of several shards, each with its label.
    #[must_use]
    pub fn of_shard(shard: ShardId) -> Self {
        let label = ("shard".into(), shard.to_string().into());
        let registry = Registry::with_prefix_and_labels("qcn", std::iter::once(label));
        Self::about(Scope::Shard, registry)
    }

    fn about(scope: Scope, registry: Registry) -> Self {
        let quick = || Histogram::new(exponential_buckets(0.000_05, 2.0, 16));
        let metrics = Self {
            registry: Arc::new(Mutex::new(registry)),
            blocks: Family::default(),
            transactions: Counter::default(),
            submitted: Counter::default(),
            submissions_refused: Family::default(),
            skipped: Family::default(),
            finality_seconds: Histogram::new(exponential_buckets(0.01, 1.5, 18)),
            verification_seconds: quick(),
            signing_seconds: quick(),
            log_sync_seconds: quick(),
            archive_seconds: quick(),
            messages_refused: Family::default(),
            transport: Family::default(),
            evidence: Counter::default(),
            receipts_carried: Family::default(),
            status: StatusGauges::default(),
            peers: PeerGauges::default(),
            process: ProcessGauges::default(),
        };
        metrics.register(scope);
        metrics
    }

    fn register(&self, scope: Scope) {
        let mut registry = self.registry.lock().unwrap_or_else(PoisonError::into_inner);
        if scope != Scope::Node {
            self.register_counters(&mut registry);
            self.register_gauges(&mut registry);
        }
        if scope != Scope::Shard {
            self.register_node(&mut registry);
        }
    }

    fn register_counters(&self, registry: &mut Registry) {
        registry.register("blocks", "Blocks that entered the DAG", self.blocks.clone());
        let help = "Transactions that were executed";
        registry.register("transactions", help, self.transactions.clone());
        let help = "Transactions of clients that were taken in";
        registry.register("submissions", help, self.submitted.clone());
        let help = "Transactions of clients that were refused";
        registry.register("submissions_refused", help, self.submissions_refused.clone());
        registry.register("slots_skipped", "Leader slots skipped", self.skipped.clone());
        let help = "Messages of peers that were refused";
        registry.register("messages_refused", help, self.messages_refused.clone());
        let help = "Receipts of other shards that this node has carried here, by their source";
        registry.register("receipts_carried", help, self.receipts_carried.clone());
        registry.register("evidence", "Faults that were proven here", self.evidence.clone());
        let times = [
            ("finality", "From a submission here to its certificate", &self.finality_seconds),
            ("verification", "Checking a block", &self.verification_seconds),
            ("signing", "Signing a block", &self.signing_seconds),
            ("log_sync", "Making the block log durable", &self.log_sync_seconds),
            ("archive", "Writing a checkpoint to the archive", &self.archive_seconds),
        ];
        for (name, help, histogram) in times {
            registry.register_with_unit(name, help, Unit::Seconds, histogram.clone());
        }
    }

    fn register_gauges(&self, registry: &mut Registry) {
        let status = &self.status;
        let gauges = [
            ("round", "The local round", &status.round),
            ("floor", "The garbage-collection floor", &status.floor),
            ("height", "The newest executed height", &status.height),
            ("certified_height", "The highest certified height", &status.certified_height),
            ("mempool", "Transactions that wait to be proposed", &status.mempool),
            ("dag_blocks", "Blocks in the DAG", &status.dag_blocks),
            ("waiting_blocks", "Blocks that wait", &status.waiting_blocks),
            ("recovering", "Whether it finds out what it signed", &status.recovering),
            ("synchronising", "Whether it synchronises state", &status.synchronising),
            ("stopped", "Whether it has stopped", &status.stopped),
            ("waiting", "Whether it waits for the machine, as for a full disk", &status.waiting),
        ];
        for (name, help, gauge) in gauges {
            registry.register(name, help, gauge.clone());
        }
    }

    fn register_node(&self, registry: &mut Registry) {
        let help = "What happened on the transport";
        registry.register("transport_events", help, self.transport.clone());
        let peers = &self.peers;
        registry.register("peer_connected", "Connection stands", peers.connected.clone());
        let rtt = peers.rtt_seconds.clone();
        registry.register_with_unit("peer_rtt", "Smoothed round trip", Unit::Seconds, rtt);
        registry.register("peer_bytes", "Bytes from and to peers", peers.bytes.clone());
        let help = "Frames to a peer that were dropped";
        registry.register("peer_frames_dropped", help, peers.frames_dropped.clone());
        registry.register(
            "peer_packets_sent",
            "Packets sent to a peer",
            peers.packets_sent.clone(),
        );
        let help = "Packets sent to a peer that were lost";
        registry.register("peer_packets_lost", help, peers.packets_lost.clone());
        registry.register("peer_refused", "Messages refused, by peer", peers.refused.clone());
        let process = &self.process;
        let resident = process.resident_bytes.clone();
        registry.register_with_unit("process_resident_memory", "Memory", Unit::Bytes, resident);
        let cpu = process.cpu_seconds.clone();
        registry.register_with_unit("process_cpu", "Processor time", Unit::Seconds, cpu);
    }

    /// The OpenMetrics text.
    ///
    /// # Errors
    /// If formatting fails, which writing to memory does not.
    pub fn text(&self) -> Result<String, std::fmt::Error> {
        let mut text = String::new();
        let registry = self.registry.lock().unwrap_or_else(PoisonError::into_inner);
        encode(&mut text, &registry)?;
        Ok(text)
    }

    /// The OpenMetrics text of several that are about different things. What has the same name in
    /// more than one stands together, as the format wants it.
    ///
    /// # Errors
    /// As [`Self::text`].
    pub fn texts<'a>(all: impl IntoIterator<Item = &'a Self>) -> Result<String, std::fmt::Error> {
        let mut different: Vec<&Self> = Vec::new();
        for metrics in all {
            // The only shard of a node has the node's.
            if !different.iter().any(|known| Arc::ptr_eq(&known.registry, &metrics.registry)) {
                different.push(metrics);
            }
        }
        if let [only] = different.as_slice() {
            return only.text();
        }
        let mut families = Families::default();
        for metrics in different {
            families.add(&metrics.text()?);
        }
        Ok(families.text())
    }

    /// Receipts were carried from a source.
    pub(crate) fn carried(&self, source: ShardId, receipts: u64) {
        self.receipts_carried.get_or_create(&SourceLabel { source: source.0 }).inc_by(receipts);
    }

    /// Copies where the node stands.
    pub fn note_status(&self, status: &NodeStatus) {
        let gauges = &self.status;
        let set = |gauge: &Gauge, value: u64| {
            gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
        };
        set(&gauges.round, status.round);
        set(&gauges.floor, status.floor);
        set(&gauges.height, status.height);
        set(&gauges.certified_height, status.certified_height);
        set(&gauges.mempool, status.mempool as u64);
        set(&gauges.dag_blocks, status.dag_blocks as u64);
        set(&gauges.waiting_blocks, status.waiting_blocks as u64);
        set(&gauges.recovering, status.recovering.into());
        set(&gauges.synchronising, status.synchronising.into());
        set(&gauges.stopped, status.stopped.is_some().into());
        set(&gauges.waiting, status.waiting_for.is_some().into());
    }

    /// Copies how the connections stand.
    pub fn note_peers(&self, peers: &[PeerStatus]) {
        let gauges = &self.peers;
        for peer in peers {
            let validator = ValidatorLabel { validator: peer.index };
            gauges.connected.get_or_create(&validator).set(peer.connected.into());
            let rtt_seconds = peer.rtt_ms.unwrap_or(0.0) / 1_000.0;
            gauges.rtt_seconds.get_or_create(&validator).set(rtt_seconds);
            let set = |counter: &Counter, value| counter.inner().store(value, Ordering::Relaxed);
            set(&gauges.frames_dropped.get_or_create(&validator), peer.frames_dropped);
            set(&gauges.packets_sent.get_or_create(&validator), peer.packets_sent);
            set(&gauges.packets_lost.get_or_create(&validator), peer.packets_lost);
            set(&gauges.refused.get_or_create(&validator), peer.refused);
            let bytes = [(Direction::In, peer.bytes_in), (Direction::Out, peer.bytes_out)];
            for (direction, value) in bytes {
                let traffic = TrafficLabel { validator: peer.index, direction };
                set(&gauges.bytes.get_or_create(&traffic), value);
            }
        }
    }

    /// Reads what the process uses, where the system tells.
    pub fn note_process(&self) {
        if let Some(bytes) = resident_bytes() {
            self.process.resident_bytes.set(bytes);
        }
        if let Some(seconds) = cpu_seconds() {
            self.process.cpu_seconds.inner().store(seconds.to_bits(), Ordering::Relaxed);
        }
    }
}

/// OpenMetrics texts, taken apart into families: the lines that describe one, and its values.
#[derive(Default)]
struct Families(Vec<(Vec<String>, Vec<String>)>);

impl Families {
    const END: &str = "# EOF";

    fn add(&mut self, text: &str) {
        let mut head: Vec<String> = Vec::new();
        let mut at = None;
        for line in text.lines().filter(|line| *line != Self::END) {
            if line.starts_with("# HELP") {
                head.clear();
                at = None;
            }
            if line.starts_with('#') {
                head.push(line.to_owned());
                continue;
            }
            let place = *at.get_or_insert_with(|| self.place(&head));
            self.0[place].1.push(line.to_owned());
        }
    }

    fn place(&mut self, head: &[String]) -> usize {
        if let Some(known) = self.0.iter().position(|(known, _)| known == head) {
            return known;
        }
        self.0.push((head.to_vec(), Vec::new()));
        self.0.len() - 1
    }

    fn text(&self) -> String {
        let mut text = String::new();
        for line in self.0.iter().flat_map(|(head, values)| head.iter().chain(values)) {
            text.push_str(line);
            text.push('\n');
        }
        text.push_str(Self::END);
        text.push('\n');
        text
    }
}

fn resident_bytes() -> Option<i64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes: i64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kilobytes.checked_mul(1_024)
}

/// User and system time, of which Linux counts hundredths of a second.
fn cpu_seconds() -> Option<f64> {
    const TICKS_PER_SECOND: f64 = 100.0;
    let stat = fs::read_to_string("/proc/self/stat").ok()?;
    // The second field is the name in parentheses, and may contain blanks.
    let (_, fields) = stat.rsplit_once(") ")?;
    let mut times = fields.split(' ').skip(11).map_while(|field| field.parse::<u64>().ok());
    Some((times.next()? + times.next()?) as f64 / TICKS_PER_SECOND)
}
