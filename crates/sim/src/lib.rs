//! The deterministic simulator: virtual time, network, processors, disks, adversaries, invariants, reports.

pub mod adversary;
mod clock;
pub mod costs;
mod cpu;
mod disk;
mod engine;
mod fault;
pub mod geography;
mod invariants;
pub mod keys;
mod memo;
mod metrics;
pub mod network;
mod node;
mod queue;
pub mod random;
pub mod report;
pub mod result;
pub mod scenario;
pub mod sharding;
mod shrink;
mod simulator;
mod trace;

pub use adversary::Adversary;
pub use disk::{DiskFault, DiskModel};
pub use engine::Load;
pub use fault::{CrashMoment, Fault, OutputKind};
pub use invariants::Violation;
pub use metrics::Propagation;
pub use network::{LatencyModel, LinkModel};
pub use node::QuantumNode;
pub use simulator::{BuildError, QuantumNetworkSimulator, SimulatorBuilder, milliseconds, seconds};
