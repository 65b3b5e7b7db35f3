//! Scenario files: what is simulated, in TOML, checked before anything runs.
//!
//! A file becomes a [`Scenario`] (its plain contents), and a scenario with a seed becomes a
//! [`Plan`] (every validator, link, fault and adversary resolved to integers). Whatever cannot
//! work is found on that way and reported as a [`ScenarioError`] that names the file, the line,
//! what is wrong and what to do about it.
//!
//! **Invariants**
//! - a plan depends on the scenario and the seed alone;
//! - unknown fields are errors everywhere;
//! - nothing in a scenario file can make the simulator panic.

mod adversaries;
mod amount;
mod builtin;
mod choice;
mod committee;
mod error;
mod expect;
mod faults;
mod format;
mod layout;
mod plan;
mod random;
mod run;
mod shards;
mod shrink;
mod words;

pub use builtin::{BUILTIN, Builtin, builtin};
pub use error::ScenarioError;
pub use format::{
    Adversary, Consensus, DiskSettings, Expect, Fault, FaultKind, LatencyKind, Load, Member,
    Network, Preset, Run, Scenario, Shards,
};
pub use layout::{
    BeaconSettings, ChangeEntry, ChangeKind, CutEntry, RelayerEntry, RelayerKind, ShardLayout,
    VoteEntry,
};
pub use plan::{Plan, PlannedFault, PlannedLoad, PlannedMember};
pub use random::random_scenario;
pub use run::{Progress, RunOptions};
pub use shrink::{Shrunk, shrink};
pub use words::{Behaviour, CrashAt, Damage, Recipients, Share, Target};

#[cfg(test)]
mod tests;
