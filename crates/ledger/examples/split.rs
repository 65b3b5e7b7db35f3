//! Times the split of a shard with a million accounts, and the merge of its halves, on this
//! machine.
//!
//! `cargo run --release -p qcn-ledger --example split`

#![expect(clippy::disallowed_types, clippy::disallowed_methods, reason = "measures a real run")]

use std::time::Instant;

use qcn_crypto::{ChainId, Digest, SeededRandomness};
use qcn_ledger::{GenesisAccount, Ledger, Territory};
use qcn_types::{Address, Amount, Bounded, Epoch, EpochPlan, Layout, Prefix, Resharding, ShardId};

const ACCOUNTS: usize = 1_000_000;
const LOWER: ShardId = ShardId(0);
const UPPER: ShardId = ShardId(1);

fn main() {
    let mut randomness = SeededRandomness::from_u64(1, "split");
    let mut account = || {
        let mut id = [0; 32];
        randomness.fill(&mut id);
        GenesisAccount { address: Address(Digest(id)), balance: Amount(1_000) }
    };
    let accounts: Vec<GenesisAccount> = (0..ACCOUNTS).map(|_| account()).collect();
    let first = plan(Layout::whole(LOWER), &[]);
    let territory = Territory::of(&first, LOWER).expect("the only shard");
    let start = Instant::now();
    let ledger =
        Ledger::genesis_of(ChainId::default(), territory, &accounts).expect("distinct accounts");
    drop(accounts);
    println!("{ACCOUNTS} accounts at random addresses, no lanes, one thread");
    report("genesis", start, &ledger);

    let split = next(&first, Resharding::Split { shard: LOWER, new: UPPER });
    let open = |plan: &EpochPlan, shard, origins: &[&Ledger], name| {
        let origins = origins.iter().map(|origin| (*origin).clone()).collect();
        let start = Instant::now();
        let opened = Ledger::open(plan, shard, origins).expect("the plan fits");
        report(name, start, &opened);
        opened
    };
    let lower = open(&split, LOWER, &[&ledger], "lower half");
    let upper = open(&split, UPPER, &[&ledger], "upper half");
    let merge = next(&split, Resharding::Merge { into: LOWER, closed: UPPER });
    let merged = open(&merge, LOWER, &[&lower, &upper], "merge");
    assert_eq!(merged.state_root(), ledger.state_root(), "back where it was");
    for (name, ledger) in [("lower half", &lower), ("upper half", &upper), ("merge", &merged)] {
        let start = Instant::now();
        let supply = ledger.audit().expect("sound");
        println!("audit of the {name}: {:.0} ms, {supply:?}", millis(start));
    }
    println!("peak memory, all four states kept: {}", peak_memory());
}

fn plan(layout: Layout, heirs: &[(ShardId, ShardId)]) -> EpochPlan {
    EpochPlan {
        epoch: Epoch(0),
        seed: Digest::ZERO,
        layout,
        reshardings: Bounded::default(),
        heirs: Bounded::truncated(heirs.to_vec()),
        validators: Bounded::default(),
        committees: Bounded::default(),
    }
}

fn next(before: &EpochPlan, resharding: Resharding) -> EpochPlan {
    let (layout, heirs) = before.reshard(&[resharding]).expect("possible");
    let reshardings = Bounded::truncated(vec![resharding]);
    EpochPlan { reshardings, epoch: Epoch(before.epoch.0 + 1), ..plan(layout, &heirs) }
}

fn report(what: &str, start: Instant, ledger: &Ledger) {
    let took = millis(start);
    let records = ledger.record_count();
    let prefix: Prefix = ledger.territory().prefix();
    println!(
        "{what}: {took:.2} ms, {records} records under {prefix}, root {}, peak memory {}",
        ledger.state_root(),
        peak_memory()
    );
}

/// What the system says was the most memory in use.
fn peak_memory() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.map_or_else(|| "unknown".to_owned(), |line| line.trim().to_owned())
}

fn millis(start: Instant) -> f64 {
    start.elapsed().as_secs_f64() * 1_000.0
}
