//! What the benchmarks run on: committees with real keys, and rounds of real signed blocks.
//!
//! Everything follows from fixed seeds, so two machines measure the same work.

mod committee;
mod recording;
mod transfers;

pub use committee::{CHAIN, Validators, attestation, genesis_parents};
pub use recording::{ROUND_INTERVAL_MS, Recording};
pub use transfers::{Transfers, transaction};
