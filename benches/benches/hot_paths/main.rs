//! The hot paths, one after the other: `cargo bench`, or `cargo bench -- commit-rule`.
//!
//! Each group prints its conditions. All figures are of one thread.

mod blocks;
mod consensus;
mod simulator;
mod state;

use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};

/// Few samples: the differences that matter here are not of a few percent.
fn quick() -> Criterion {
    Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
        .configure_from_args()
}

/// Says what the figures below it hold for.
fn conditions(text: &str) {
    println!("\nconditions: {text}");
}

criterion_group! {
    name = hot_paths;
    config = quick();
    targets = blocks::codec, blocks::verification, blocks::wire, consensus::commit_rule,
        consensus::machine, state::execution, state::root, simulator::networks
}
criterion_main!(hot_paths);
