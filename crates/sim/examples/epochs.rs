//! How long shards pause between two epochs: with a new committee, split, and merged.
//!
//! `cargo run --release -p qcn-sim --example epochs`

use qcn_sim::LatencyModel;
use qcn_sim::sharding::{BeaconOptions, Pause, ShardedNetwork};
use qcn_types::{Resharding, ShardId, Time};

const SEEDS: u64 = 8;
const SEATS: usize = 7;
const VALIDATORS: usize = 16;
const PER_SECOND: u64 = 50;
const CROSS_PERMILLE: u64 = 500;
const LATENCY_US: [u32; 2] = [10_000, 60_000];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut pauses: Vec<Pause> = Vec::new();
    let mut broken = 0;
    for seed in 0..SEEDS {
        let [s0, s2] = [0, 2].map(ShardId);
        let mut network = ShardedNetwork::new(seed)
            .shards(2)
            .validators(SEATS)
            .accounts(16)
            .latency(LatencyModel::Between { low: LATENCY_US[0], high: LATENCY_US[1] })
            .load(PER_SECOND, CROSS_PERMILLE, Time::from_ms(20_000))
            .beacon(BeaconOptions {
                validators: VALIDATORS,
                epoch_ms: 3_000,
                shards_max: 3,
                split_above: 1_000_000,
                merge_below: 0,
            })
            .vote(Time::from_ms(1_000), Resharding::Split { shard: s0, new: s2 })
            .vote(Time::from_ms(9_000), Resharding::Merge { into: s0, closed: s2 })
            .build()?;
        network.run_to(Time::from_ms(25_000));
        broken += network.check_consensus().len();
        pauses.extend(network.pauses());
    }
    println!(
        "{SEEDS} seeds, 2 shards of {SEATS} seats, {VALIDATORS} validators, {} to {} ms one way, {PER_SECOND} transfers/s a \
         shard, half of them across; virtual time, every validator fetches over the same links",
        LATENCY_US[0] / 1_000,
        LATENCY_US[1] / 1_000
    );
    println!(
        "{:<16} {:>6} {:>11} {:>11} {:>10}",
        "", "shards", "median ms", "longest ms", "under way"
    );
    row("new committee", &pauses, |pause| pause.change.is_none());
    row("split", &pauses, |it| matches!(it.change, Some(Resharding::Split { .. })));
    row("merge", &pauses, |it| matches!(it.change, Some(Resharding::Merge { .. })));
    println!("broken invariants: {broken}");
    Ok(())
}

/// From the certified end of the old epoch to the first certified checkpoint of the new one.
fn row(name: &str, pauses: &[Pause], is_meant: impl Fn(&Pause) -> bool) {
    let meant: Vec<&Pause> = pauses.iter().filter(|pause| is_meant(pause)).collect();
    let mut lengths: Vec<u64> =
        meant.iter().map(|pause| pause.until.since_us(pause.from) / 1_000).collect();
    lengths.sort_unstable();
    let under_way = meant.iter().map(|pause| pause.under_way).max().unwrap_or(0);
    let (median, longest) = (lengths.get(lengths.len() / 2), lengths.last());
    println!(
        "{name:<16} {:>6} {:>11} {:>11} {under_way:>10}",
        lengths.len(),
        median.copied().unwrap_or(0),
        longest.copied().unwrap_or(0)
    );
}
