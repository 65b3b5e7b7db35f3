//! What the benchmarks run on: committees with real keys, and rounds of real signed blocks.
//!
//! Everything follows from fixed seeds, so two machines measure the same work.

mod committee;
mod cpu;
mod recording;
mod transfers;

pub use committee::{CHAIN, Validators, attestation, genesis_parents};
pub use cpu::cpu_time;
pub use recording::{ROUND_INTERVAL_MS, Recording};
pub use transfers::{Transfers, transaction};
