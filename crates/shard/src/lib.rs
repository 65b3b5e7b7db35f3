//! One shard: consensus, mempool, ledger, checkpoints and state sync, still sans-IO.
//!
//! [`Shard`] is what a driver runs: real in `qcn-node`, simulated in `qcn-sim`. It has one
//! input door, [`Shard::handle`], and one output door, [`Shard::poll_output`], drained after
//! every input and executed in order.
//!
//! **Invariants**
//! - a transaction is executed only out of a committed block, in commit order;
//! - a checkpoint is attested only after it was executed here, once per height;
//! - a receipt is proposed only with a certificate of its source, and applied once, in order;
//! - a validator whose own checkpoint differs from a certified one stops ([`Event::Diverged`]).

#![deny(clippy::float_arithmetic)]

mod checkpoints;
mod door;
mod exchange;
mod joiner;
mod mempool;
mod message;
mod opening;
pub mod pace;
mod shard;
mod snapshots;
mod statesync;

pub use door::{Event, Input, Output, Record, Start};
pub use joiner::Joiner;
pub use mempool::Refused;
pub use message::{Message, SyncPackage};
pub use opening::Opening;
pub use pace::Expected;
pub use shard::{Closed, Shard, ShardConfig, StartError, Status};
