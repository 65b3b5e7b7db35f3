//! Whole networks in virtual time.

use std::time::Duration;

use criterion::Criterion;
use qcn_benches::cpu_time;
use qcn_sim::scenario::{RunOptions, Scenario};

use crate::conditions;

const VIRTUAL_SECONDS: u64 = 10;

/// How much faster than real time a network runs, signatures made for real.
pub fn networks(criterion: &mut Criterion) {
    conditions(&format!(
        "{VIRTUAL_SECONDS} virtual seconds of 10 validators, with all invariants; measured \
         latencies between regions, a round every 140 ms, 10 transactions a second; Falcon-512 \
         signatures are made and checked for real; processor time; at least 20 times faster than \
         real time is wanted"
    ));
    let scenario = scenario();
    let mut group = criterion.benchmark_group("simulator");
    let (mut runs, mut whole) = (0, Duration::ZERO);
    group.bench_function("10 validators", |bencher| {
        bencher.iter_custom(|count| {
            let spent: Duration = (0..count).map(|_| run(&scenario)).sum();
            runs += count;
            whole += spent;
            spent
        });
    });
    group.finish();
    if runs > 0 {
        let factor = (VIRTUAL_SECONDS * runs) as f64 / whole.as_secs_f64();
        println!("10 validators run {factor:.1} times faster than real time on one core");
    }
}

fn scenario() -> Scenario {
    let text = format!(
        r#"
        name = "bench"
        network = {{ count = 10, latency = "aws", jitter_percent = 2 }}
        consensus = {{ min_round_interval_ms = 140, idle_round_interval_ms = 140 }}
        load = {{ transactions_per_second = 10 }}
        run = {{ virtual_seconds = {VIRTUAL_SECONDS}, seed = 1 }}
        "#
    );
    Scenario::parse("bench.toml", &text).expect("a good scenario")
}

fn run(scenario: &Scenario) -> Duration {
    let start = cpu_time();
    let result = scenario.run(&RunOptions::default(), &mut |_| {}).expect("it can run");
    let spent = cpu_time().saturating_sub(start);
    assert!(result.violations.is_empty(), "every invariant holds");
    assert!(result.transactions.finalized > 0, "it gets somewhere");
    spent
}
