//! Random networks under random faults and adversaries, as fast as the host allows:
//! `cargo run --release -p qcn-sim --example shake -- [first seed] [last seed]`.

use qcn_sim::random::Random;
use qcn_sim::{
    Adversary, CrashMoment, DiskFault, Fault, LatencyModel, LinkModel, OutputKind,
    QuantumNetworkSimulator, SimulatorBuilder, seconds,
};
use qcn_types::Time;

fn main() {
    let mut arguments = std::env::args().skip(1).map(|argument| argument.parse::<u64>());
    let mut next = |default| arguments.next().and_then(Result::ok).unwrap_or(default);
    let (first, last) = (next(0), next(20));
    let mut bad = 0;
    for seed in first..=last {
        let (builder, story) = draw(seed);
        let outcome = std::panic::catch_unwind(|| {
            let mut network = builder.build().expect("valid parameters");
            for second in 0..60 {
                network.run_to(Time(seconds(second + 1)));
                if first == last && second < 59 {
                    watch(&network);
                }
            }
            if first == last {
                watch(&network);
            }
            (network.check_consensus(), network.certified_height(0), network.trace_hash())
        });
        match outcome {
            Ok((violations, height, _)) if violations.is_empty() => {
                println!("seed {seed}: fine, height {height}");
            }
            Ok((violations, _, hash)) => {
                bad += 1;
                println!("seed {seed}: VIOLATED, trace {hash:?}\n  {}", story.join("\n  "));
                for violation in violations.iter().take(5) {
                    println!("  !! {violation:?}");
                }
            }
            Err(_) => {
                bad += 1;
                println!("seed {seed}: PANIC\n  {}", story.join("\n  "));
            }
        }
    }
    println!("{bad} bad seeds");
}

/// Where every validator stands.
fn watch(network: &QuantumNetworkSimulator) {
    println!("at {} ms", network.now().as_ms());
    for validator in 0..network.len() {
        match network.shard(validator) {
            Some(shard) => println!("  {validator}: {:?}", shard.status()),
            None => println!("  {validator}: down"),
        }
    }
}

fn draw(seed: u64) -> (SimulatorBuilder, Vec<String>) {
    let mut random = Random::new(seed, "shake");
    let validators = random.between(4, 10) as usize;
    let weights: Vec<u64> = (0..validators).map(|_| random.between(500, 2_000)).collect();
    let total: u64 = weights.iter().sum();
    let mut budget = (total - 1) / 3;
    let mut story = vec![format!("weights {weights:?}")];
    let mut builder = QuantumNetworkSimulator::new(seed)
        .weights(weights.clone())
        .latency(LatencyModel::Between { low: 1_000, high: 80_000 })
        .links(LinkModel {
            jitter_permille: random.below(300) as u32,
            loss_per_million: random.below(20_000) as u32,
            duplication_per_million: random.below(20_000) as u32,
            ..LinkModel::default()
        })
        .load(random.between(1, 20), 16);
    let mut order: Vec<usize> = (0..validators).collect();
    random.shuffle(&mut order);
    let mut unsafe_ones = Vec::new();
    while random.chance(700_000) {
        let Some(victim) = order.pop() else { break };
        if weights[victim] > budget {
            break;
        }
        budget -= weights[victim];
        unsafe_ones.push(victim);
        if random.chance(600_000) {
            let adversary = *random.pick(&Adversary::ALL).expect("not empty");
            story.push(format!("{victim} is a {adversary}"));
            builder = builder.adversary(victim, adversary);
        } else {
            for _ in 0..random.between(1, 3) {
                let disk = *random
                    .pick(&[
                        DiskFault::Nothing,
                        DiskFault::LoseUnsynced,
                        DiskFault::TornTail,
                        DiskFault::BitFlip,
                        DiskFault::Wipe,
                        DiskFault::LoseSynced,
                    ])
                    .expect("not empty");
                let kind = *random.pick(&OutputKind::ALL).expect("not empty");
                let outputs = random.between(1, 50) as u32;
                let moment = *random
                    .pick(&[
                        CrashMoment::Now,
                        CrashMoment::Before(kind),
                        CrashMoment::After(kind),
                        CrashMoment::BeforeOutput(outputs),
                    ])
                    .expect("not empty");
                let restart_after_us = Some(random.between(1_000, seconds(6)));
                let crash = Fault::Crash { validator: victim, moment, disk, restart_after_us };
                let at = random.below(seconds(20));
                story.push(format!("{at}: {}", crash.describe()));
                builder = builder.fault(Time(at), crash);
            }
        }
    }
    for _ in 0..random.below(4) {
        let at = random.below(seconds(15));
        let mut places: Vec<usize> = (0..validators).collect();
        random.shuffle(&mut places);
        let cut = random.between(1, validators as u64 - 1) as usize;
        let other = places.split_off(cut);
        let duration_us = random.below(seconds(8));
        let fault = match random.below(8) {
            0 => Fault::Partition { groups: vec![places, other] },
            1 => Fault::OneWay { from: places, to: other },
            2 => Fault::Isolate { validator: places[0] },
            3 => Fault::Flapping { groups: vec![places, other], period_us: 700_000, duration_us },
            4 => Fault::Pause { validator: places[0], duration_us },
            5 => Fault::LatencySpike { validators: places, permille: 5_000, duration_us },
            6 => Fault::LossBurst { per_million: 200_000, duration_us },
            _ => Fault::ClockJump {
                validator: places[0],
                by_us: random.below(800_000) as i64 - 400_000,
            },
        };
        story.push(format!("{at}: {}", fault.describe()));
        builder = builder.fault(Time(at), fault);
    }
    builder = builder.fault(Time(seconds(24)), Fault::Heal);
    (builder, story)
}
