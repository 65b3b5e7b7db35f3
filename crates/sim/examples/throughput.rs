//! What simulating costs on the host: `cargo run --release -p qcn-sim --example throughput --
//! [validators] [virtual seconds] [transactions per second]`.

#![expect(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "a tool that measures the host"
)]

use std::time::Instant;

use qcn_sim::{QuantumNetworkSimulator, seconds};

fn main() {
    let mut arguments = std::env::args().skip(1).map(|argument| argument.parse::<u64>());
    let mut next = |default| arguments.next().and_then(Result::ok).unwrap_or(default);
    let (validators, virtual_seconds, load) = (next(100), next(10), next(20));
    let seed = next(1);
    let config = qcn_consensus::Config {
        min_round_interval_us: next(10) * 1_000,
        ..qcn_consensus::Config::default()
    };
    let mut network = QuantumNetworkSimulator::new(seed)
        .validators(validators as usize)
        .config(config)
        .load(load, 200)
        .build()
        .expect("valid parameters");
    let begun = Instant::now();
    for second in 1..=virtual_seconds {
        network.run_for(seconds(1));
        let node = &network.nodes()[0];
        println!(
            "{second:4} s: round {}, height {}, certified {}, {} blocks, wall {:.2} s",
            node.round,
            node.height,
            node.certified_height,
            node.blocks.len(),
            begun.elapsed().as_secs_f64()
        );
    }
    let wall = begun.elapsed();
    let result = network.result(seconds(2));
    let received = network.deliveries();
    println!("trace hash {}", result.trace_hash);
    println!("finality ms {:?}", result.finality_ms);
    println!("certified ms {:?}", result.certified_ms);
    println!("lower bound {} composed {}", result.lower_bound_ms, result.composed_lower_bound_ms);
    println!("rounds/s {} commits/s {}", result.rounds_per_second, result.commits_per_second);
    println!("transactions {:?}", result.transactions);
    let first = &result.validators[0];
    println!(
        "bytes per round {} cpu ms per round {}",
        first.bytes_sent_per_round, first.cpu_ms_per_round
    );
    println!("slots {} of which skipped {}", first.leader_slots, first.leader_slots_skipped);
    for violation in &result.violations {
        println!("VIOLATION {violation:?}");
    }
    println!(
        "{received} deliveries in {:.2} s: {:.2} us each",
        wall.as_secs_f64(),
        wall.as_secs_f64() * 1e6 / received as f64
    );
}
