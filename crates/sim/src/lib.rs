//! The deterministic simulator: virtual time, network, processors, disks, adversaries, invariants, reports.

pub mod geography;
pub mod result;
