//! The uncertified-DAG consensus machine (DESIGN section 5), sans-IO.
//!
//! A validator signs one block per round; votes and certificates are read off the shape of
//! the DAG (Cordial Miners, arXiv 2205.09174; Mysticeti, arXiv 2310.14821). The
//! [`Machine`] has one input door, [`Machine::handle`], and one output door,
//! [`Machine::poll_output`], which is drained after every input. It reads no clock, draws no
//! entropy and checks no signature: it is told the time, and takes [`VerifiedBlock`]s only.
//!
//! **Where to read first**: [`rules`] holds every safety rule as a predicate; [`commit_rule`]
//! applies them incrementally; [`dag`] keeps the blocks; [`linearizer`] orders a commit.
//!
//! **Invariants**
//! - a slot is signed at most once, also across restarts and lost disks ([`recovery`]);
//! - a block is in the DAG only if all its parents above the garbage-collection floor are;
//! - the schedule of leaders, the floor and the order of a commit are functions of committed
//!   data alone;
//! - every buffer over peer input is bounded by a named constant of [`limits`].
//!
//! [`VerifiedBlock`]: qcn_types::VerifiedBlock

#![deny(clippy::float_arithmetic)]

mod commit;
pub mod commit_rule;
mod config;
pub mod dag;
mod door;
mod intake;
pub mod limits;
pub mod linearizer;
mod machine;
mod message;
mod proposer;
mod pursuit;
pub mod recovery;
pub mod rules;
mod schedule;
mod serve;
#[cfg(test)]
mod testing;
mod time_rule;

pub use commit::{Commit, CommitRecord};
#[doc(hidden)]
pub use config::BrokenRule;
pub use config::{Config, ConfigError};
pub use door::{Input, Output, Rejection, Suspicion};
pub use machine::{Load, Machine};
pub use message::Message;
pub use schedule::{Schedule, ScheduleState};
