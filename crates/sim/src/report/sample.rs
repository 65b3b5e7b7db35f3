//! A made-up result that shows everything a report can show.

use crate::geography::sui_validators;
use crate::keys::KeyRing;
use crate::random::Random;
use crate::result::*;

/// Virtual seconds of the made-up run.
const SECONDS: u64 = 40;
/// When the made-up network splits and heals, in seconds.
const SPLIT: std::ops::Range<u64> = 12..20;

pub fn sample() -> RunResult {
    let mut random = Random::new(7, "report sample");
    let finality: Vec<(u64, u64)> = (0..SECONDS * 50)
        .map(|index| {
            let at = index * 20_000;
            let wait =
                if SPLIT.contains(&(at / 1_000_000)) { SPLIT.end * 1_000_000 - at } else { 0 };
            let spread = (0..4).map(|_| random.below(45_000)).sum::<u64>();
            (at, 205_000 + spread + wait / 4)
        })
        .filter(|(at, _)| *at >= 5_000_000)
        .collect();
    let micros: Vec<u64> = finality.iter().map(|(_, finality)| *finality).collect();
    RunResult {
        scenario: "sample".into(),
        seed: 42,
        trace_hash: "5f1d".repeat(16),
        conditions: conditions(),
        finality_ms: Percentiles::from_micros(micros.clone()),
        certified_ms: Percentiles::from_micros(micros.iter().map(|us| us + 90_000).collect()),
        lower_bound_ms: 214.8,
        composed_lower_bound_ms: 187.3,
        rounds_per_second: 10.84,
        commits_per_second: 661.2,
        transactions: Transactions {
            submitted: 2000,
            finalized: 1984,
            failed: 3,
            per_second: 49.6,
        },
        validators: validators(&mut random),
        violations: Vec::new(),
        events: events(),
        finality_over_time: finality_over_time(&finality, SECONDS),
        finality_histogram: histogram(&micros),
        rounds_over_time: rate(&mut random, 11),
        commits_over_time: rate(&mut random, 660),
        scenario_toml: None,
        host: Host {
            wall_seconds: 31.2,
            cpu_seconds: 30.9,
            deliveries: 4_810_233,
            blocks: 45_812,
            cpu_us_per_block: 674.5,
            peak_memory_mib: Some(812.4),
        },
    }
}

fn conditions() -> Conditions {
    let total: u64 = sui_validators().iter().map(|one| one.weight).sum();
    let fault_weight = (total - 1) / 3;
    let mut regions: Vec<RegionShare> = Vec::new();
    for one in sui_validators() {
        match regions.iter_mut().find(|region| region.region == one.region) {
            Some(region) => {
                region.validators += 1;
                region.weight += one.weight;
            }
            None => regions.push(RegionShare {
                region: one.region.clone(),
                validators: 1,
                weight: one.weight,
            }),
        }
    }
    Conditions {
        validators: 106,
        total_weight: total,
        quorum_weight: total - fault_weight,
        fault_weight,
        adversary_weight: total / 20,
        weights: crate::geography::SUI_SOURCE.into(),
        regions,
        latency_source: crate::geography::AWS_SOURCE.into(),
        jitter_percent: 2.0,
        bandwidth_mbit_per_s: Some(1000.0),
        transactions_per_second: 50.0,
        accounts: 100,
        account_scheme: "ML-DSA-44".into(),
        signatures: real_signatures(KeyRing::default()),
        virtual_seconds: SECONDS as f64,
        warm_up_seconds: 5.0,
        leaders_per_round: 64,
        min_round_interval_ms: 5.0,
        leader_timeout_ms: 25.0,
        faults: vec!["at 12 s 40% of the weight is cut off, until 20 s".into()],
        adversaries: vec!["london-2 is an equivocator".into()],
        ..Default::default()
    }
}

fn validators(random: &mut Random) -> Vec<ValidatorResult> {
    let total: u64 = sui_validators().iter().map(|one| one.weight).sum();
    let rows = (0..).zip(sui_validators()).map(|(index, place)| {
        let share = place.weight as f64 / total as f64;
        let luck = 0.85 + random.below(300) as f64 / 1000.0;
        let bytes_sent = 34_000_000 + random.below(9_000_000);
        let cpu_ms = 800.0 + random.below(400) as f64;
        let bad = index == 2;
        let blocks = 433 - u64::from(bad) * 200;
        ValidatorResult {
            name: place.name.clone(),
            region: place.region.clone(),
            weight: place.weight,
            processing_power: 1.0,
            bytes_sent,
            bytes_sent_per_round: round3(bytes_sent as f64 / 433.0),
            cpu_ms,
            cpu_ms_per_round: round3(cpu_ms / 433.0),
            blocks,
            leader_slots: (share * luck * 27_000.0) as u64,
            leader_slots_committed: (share * luck * 26_000.0) as u64,
            leader_slots_skipped: (share * luck * 1000.0) as u64,
            expected_leader_share: round3(share * 1000.0) / 1000.0,
            leader_share: if bad { 0.002 } else { round3(share * luck * 1000.0) / 1000.0 },
            height: 26_431,
            certified_height: 26_390,
            round: 433,
            isolated: bad,
            honest: !bad,
            evidence: u64::from(bad),
        }
    });
    rows.collect()
}

fn events() -> Vec<RunEvent> {
    [
        (12.0, EventKind::Partition, "40% of the weight is cut off"),
        (20.0, EventKind::Heal, "the partition ends"),
        (26.0, EventKind::Crash, "tokyo-24 crashes and loses unsynced writes"),
        (26.2, EventKind::Crash, "dublin-28 crashes"),
        (29.0, EventKind::Restart, "tokyo-24 restarts"),
        (33.4, EventKind::Isolation, "london-2 is isolated: two blocks in one slot"),
    ]
    .map(|(second, kind, detail)| RunEvent { at_ms: second * 1000.0, kind, detail: detail.into() })
    .into()
}

fn rate(random: &mut Random, level: u64) -> Vec<RateBucket> {
    (0..SECONDS)
        .map(|second| {
            let wobble = random.below(level / 8 + 1);
            let count = if SPLIT.contains(&second) { 0 } else { level - level / 16 + wobble };
            RateBucket { second, count }
        })
        .collect()
}
