//! A validator as a researcher looks at it, with the names of the original specification.

use qcn_types::{BlockRef, Height, Round};

/// One node of the simulated network, as it is at one moment.
#[derive(Clone, PartialEq, Debug)]
pub struct QuantumNode {
    /// Its index in the committee.
    pub node_id: usize,
    /// How fast its processor is, 1 being the calibrated machine.
    pub processing_power: f64,
    /// Its voting power.
    pub weight: u64,
    /// The blocks it holds in its DAG.
    pub blocks: Vec<BlockRef>,
    /// Transactions that wait to be proposed.
    pub pending_transactions: usize,
    /// The others that it can reach now.
    pub peers: Vec<usize>,
    /// The undisturbed one-way latency to every validator, in milliseconds; zero to itself.
    pub network_latency_ms: Vec<f64>,
    /// Whether it runs.
    pub running: bool,
    /// The round it is in.
    pub round: Round,
    /// The height of its newest checkpoint.
    pub height: Height,
    /// The highest height for which it has seen a certificate.
    pub certified_height: Height,
}
