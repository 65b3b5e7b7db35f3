//! The links between processes: latency, jitter, loss, duplication, bandwidth, cuts.
//!
//! The transport is reliable, as QUIC is: a lost packet costs time, not the message. A
//! message is lost only if its link is cut when it leaves or when it would arrive.
//!
//! Every sender has one uplink. Copies of a message leave one after the other, so that
//! sending to a hundred peers takes a hundred times as long as sending to one.

mod disturbance;
mod latency;
mod wire;

use std::sync::Arc;

use crate::random::{MILLION, Random};

pub(crate) use disturbance::Disturbance;
pub use latency::LatencyModel;
pub(crate) use wire::encoded_bytes;
pub use wire::{PACKET_BYTES, PACKET_OVERHEAD_BYTES, packets, wire_bytes};

/// A message is resent this often at most; then it gets through.
const MAX_RETRANSMISSIONS: u32 = 10;
/// What the sender waits beyond the round trip before it takes a packet for lost, in microseconds.
const LOSS_DETECTION_US: u64 = 1_000;
/// A message of many packets is lost as a whole with at most this chance, per million.
const MAX_LOSS_PER_MILLION: u64 = 900_000;

/// What the links do to messages, the same for all of them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LinkModel {
    /// How far a delay may be above the link's latency, in thousandths of it.
    pub jitter_permille: u32,
    /// The chance that a packet is lost and has to be sent again, per million.
    pub loss_per_million: u32,
    /// The chance that a message arrives twice, per million.
    pub duplication_per_million: u32,
    /// What a validator can send, in bits per second; `None` is without limit.
    pub bandwidth_bits_per_second: Option<u64>,
    /// Whether messages over a cut link wait for it to heal instead of being lost.
    pub hold_over_cuts: bool,
}

impl Default for LinkModel {
    fn default() -> Self {
        Self {
            jitter_permille: 50,
            loss_per_million: 0,
            duplication_per_million: 0,
            bandwidth_bits_per_second: Some(1_000_000_000),
            hold_over_cuts: false,
        }
    }
}

/// What becomes of a message that is sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Fate {
    /// It arrives then.
    Arrives(u64),
    /// It arrives twice.
    ArrivesTwice(u64, u64),
    /// Its link is cut.
    Cut,
}

/// The network between the processes.
#[derive(Debug)]
pub(crate) struct Network {
    processes: usize,
    model: LinkModel,
    /// Row by row: from one process to all. In microseconds.
    latency_us: Arc<[u32]>,
    /// Per process, in bits per second; zero is without limit.
    bandwidth: Vec<u64>,
    /// When the uplink is free again, in nanoseconds.
    uplink_free_ns: Vec<u64>,
    /// What the present disturbances make of `latency_us`, cuts and losses.
    effective: Effective,
    disturbances: Vec<(u64, Disturbance)>,
    next_disturbance: u64,
    random: Random,
}

#[derive(Debug)]
struct Effective {
    latency_us: Vec<u32>,
    cut: Vec<bool>,
    bandwidth: Vec<u64>,
    loss_per_million: u64,
}

impl Network {
    pub(crate) fn new(
        latency_us: Arc<[u32]>,
        processes: usize,
        model: LinkModel,
        seed: u64,
    ) -> Self {
        assert_eq!(latency_us.len(), processes * processes, "one latency per ordered pair");
        let bandwidth = vec![model.bandwidth_bits_per_second.unwrap_or(0); processes];
        let effective = Effective {
            latency_us: latency_us.to_vec(),
            cut: vec![false; processes * processes],
            bandwidth: bandwidth.clone(),
            loss_per_million: u64::from(model.loss_per_million),
        };
        Self {
            processes,
            model,
            latency_us,
            bandwidth,
            uplink_free_ns: vec![0; processes],
            effective,
            disturbances: Vec::new(),
            next_disturbance: 0,
            random: Random::new(seed, "network"),
        }
    }

    /// Gives one process another uplink than the rest.
    pub(crate) fn set_bandwidth(&mut self, process: usize, bits_per_second: Option<u64>) {
        self.bandwidth[process] = bits_per_second.unwrap_or(0);
        self.refresh();
    }

    /// The undisturbed one-way latency, in microseconds.
    pub(crate) fn latency_us(&self, from: usize, to: usize) -> u32 {
        self.latency_us[from * self.processes + to]
    }

    /// Whether messages from one to the other are lost.
    pub(crate) fn is_cut(&self, from: usize, to: usize) -> bool {
        self.effective.cut[from * self.processes + to]
    }

    /// What the links do to messages.
    pub(crate) const fn model(&self) -> &LinkModel {
        &self.model
    }

    /// Whether messages over a cut link wait.
    pub(crate) const fn holds_over_cuts(&self) -> bool {
        self.model.hold_over_cuts
    }

    /// Sends a message of `bytes` on the wire at `now` and says when it arrives.
    pub(crate) fn send(&mut self, now: u64, from: usize, to: usize, bytes: u64) -> Fate {
        let leaves = self.occupy_uplink(now, from, bytes);
        let link = from * self.processes + to;
        if self.effective.cut[link] {
            return Fate::Cut;
        }
        let latency = u64::from(self.effective.latency_us[link]);
        let first = leaves + self.travel_us(latency, bytes);
        if self.random.chance(u64::from(self.model.duplication_per_million)) {
            let second = leaves + self.travel_us(latency, bytes);
            return Fate::ArrivesTwice(first, second);
        }
        Fate::Arrives(first)
    }

    /// When the last byte has left, in microseconds.
    fn occupy_uplink(&mut self, now: u64, from: usize, bytes: u64) -> u64 {
        let bandwidth = self.effective.bandwidth[from];
        if bandwidth == 0 {
            return now;
        }
        let transmission_ns = bytes * 8 * 1_000_000_000 / bandwidth;
        let free = &mut self.uplink_free_ns[from];
        *free = (*free).max(now * 1_000) + transmission_ns;
        free.div_ceil(1_000)
    }

    fn travel_us(&mut self, latency: u64, bytes: u64) -> u64 {
        let reach = latency * u64::from(self.model.jitter_permille) / 1_000;
        let mut travel = latency;
        if reach > 0 {
            travel += self.random.below(reach + 1);
        }
        if self.effective.loss_per_million > 0 {
            let whole = self.effective.loss_per_million.saturating_mul(packets(bytes));
            let loss = whole.min(MAX_LOSS_PER_MILLION).min(MILLION);
            let mut attempts = 0;
            while attempts < MAX_RETRANSMISSIONS && self.random.chance(loss) {
                travel += 2 * latency + LOSS_DETECTION_US;
                attempts += 1;
            }
        }
        travel
    }

    /// Begins a disturbance; the number ends it again.
    pub(crate) fn disturb(&mut self, disturbance: Disturbance) -> u64 {
        let number = self.next_disturbance;
        self.next_disturbance += 1;
        self.disturbances.push((number, disturbance));
        self.refresh();
        number
    }

    /// Ends one disturbance.
    pub(crate) fn settle(&mut self, number: u64) {
        self.disturbances.retain(|(other, _)| *other != number);
        self.refresh();
    }

    /// Ends every cut, and nothing else.
    pub(crate) fn heal(&mut self) {
        self.disturbances.retain(|(_, disturbance)| !disturbance.is_cut());
        self.refresh();
    }

    /// Whether any cut is in force.
    pub(crate) fn is_split(&self) -> bool {
        self.disturbances.iter().any(|(_, disturbance)| disturbance.is_cut())
    }

    /// A process that comes up has nothing left to send.
    pub(crate) fn reset_uplink(&mut self, process: usize) {
        self.uplink_free_ns[process] = 0;
    }

    fn refresh(&mut self) {
        let effective = &mut self.effective;
        effective.latency_us.copy_from_slice(&self.latency_us);
        effective.cut.fill(false);
        effective.bandwidth.copy_from_slice(&self.bandwidth);
        effective.loss_per_million = u64::from(self.model.loss_per_million);
        for (_, disturbance) in &self.disturbances {
            disturbance.apply(effective, self.processes);
        }
    }
}

#[cfg(test)]
mod tests;
