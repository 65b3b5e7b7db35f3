//! Execution and the state tree.

use std::cell::LazyCell;

use criterion::{BatchSize, Criterion, Throughput};
use qcn_benches::Transfers;
use qcn_crypto::{Digest, SeededRandomness};
use qcn_ledger::{StateTree, Update};
use qcn_light::state::{RecordKind, StateKey};

use crate::conditions;

const ACCOUNTS: u64 = 100_000;
const TRANSFERS: u64 = 1_000;

/// Executing a commit of transfers, with the state root after it.
pub fn execution(criterion: &mut Criterion) {
    let transfers = LazyCell::new(|| Transfers::new(100, TRANSFERS / 100, ACCOUNTS));
    conditions(&format!(
        "{TRANSFERS} transfers from 100 senders to random ones of {ACCOUNTS} accounts, state root \
         included, over a snapshot that is kept; signatures were checked before"
    ));
    let mut group = criterion.benchmark_group("execution");
    group.throughput(Throughput::Elements(TRANSFERS));
    group.bench_function("bank", |bencher| {
        bencher.iter_batched_ref(
            || transfers.ledger.clone(),
            |ledger| ledger.execute(&transfers.transactions),
            BatchSize::SmallInput,
        );
    });
    group.finish();
}

/// Updating the state root after many accounts changed.
pub fn root(criterion: &mut Criterion) {
    const UPDATES: usize = 10_000;
    conditions(&format!("{UPDATES} random accounts of 48 bytes change at once; no snapshot kept"));
    let mut group = criterion.benchmark_group("state root");
    group.throughput(Throughput::Elements(UPDATES as u64));
    for records in [100_000, 1_000_000] {
        let mut state = None;
        group.bench_function(format!("{UPDATES} of {records}"), |bencher| {
            let State { keys, tree } = state.get_or_insert_with(|| State::new(records));
            let mut randomness = SeededRandomness::from_u64(2, "changes");
            let mut round = 0;
            let batch = || {
                round += 1;
                changes(keys, UPDATES, round, &mut randomness)
            };
            bencher.iter_batched(batch, |batch| tree.apply(batch), BatchSize::PerIteration);
        });
    }
    group.finish();
}

/// A tree and the keys of its records.
struct State {
    keys: Vec<StateKey>,
    tree: StateTree,
}

impl State {
    fn new(records: usize) -> Self {
        let mut randomness = SeededRandomness::from_u64(1, "state");
        let mut keys: Vec<StateKey> = (0..records).map(|_| random_key(&mut randomness)).collect();
        keys.sort_unstable();
        let mut tree = StateTree::default();
        tree.apply(keys.iter().map(|key| update(*key, 0)).collect());
        Self { keys, tree }
    }
}

/// New values of `count` random records, or of a few less.
fn changes(
    keys: &[StateKey],
    count: usize,
    round: u64,
    randomness: &mut SeededRandomness,
) -> Vec<Update> {
    let mut random = || keys[randomness.below(keys.len() as u64) as usize];
    let mut chosen: Vec<StateKey> = (0..count).map(|_| random()).collect();
    chosen.sort_unstable();
    chosen.dedup();
    chosen.into_iter().map(|key| update(key, round)).collect()
}

fn random_key(randomness: &mut SeededRandomness) -> StateKey {
    let mut id = [0; 32];
    randomness.fill(&mut id);
    StateKey { id: Digest(id), kind: RecordKind::Account }
}

fn update(key: StateKey, round: u64) -> Update {
    let mut value = [0; 48];
    value[..8].copy_from_slice(&round.to_le_bytes());
    (key, Some(value.into()))
}
