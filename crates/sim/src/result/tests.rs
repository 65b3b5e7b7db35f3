use super::*;

#[test]
fn percentiles_are_values_that_occurred() {
    let figures = Percentiles::from_micros((1..=200).rev().map(|ms| ms * 1000).collect());
    assert_eq!(figures.samples, 200);
    assert_eq!(figures.p50, Some(100.0));
    assert_eq!(figures.p95, Some(190.0));
    assert_eq!(figures.p99, Some(198.0));
    assert_eq!(figures.max, Some(200.0));
    assert_eq!(figures.mean, Some(100.5));
}

#[test]
fn nothing_observed_is_null_and_not_zero() {
    let text = serde_json::to_string(&Percentiles::from_micros(Vec::new())).expect("plain values");
    assert_eq!(text, r#"{"samples":0,"p50":null,"p95":null,"p99":null,"mean":null,"max":null}"#);
    assert!(histogram(&[]).is_empty());
}

#[test]
fn a_histogram_has_round_bars_that_hold_every_observation() {
    let observations: Vec<u64> = (0..1000).map(|step| 120_000 + step * 173).collect();
    let bars = histogram(&observations);
    assert_eq!(bars.iter().map(|bar| bar.count).sum::<u64>(), 1000);
    assert_eq!((bars[0].from_ms, bars[0].to_ms), (120.0, 125.0));
    assert!(bars.windows(2).all(|pair| pair[0].to_ms == pair[1].from_ms));
    assert_eq!(histogram(&[5_000]).len(), 1);
}

#[test]
fn a_long_tail_does_not_blur_a_histogram() {
    let near = (0..900).map(|step| 200_000 + step * 100);
    let observations: Vec<u64> = near.chain((0..100).map(|step| step * 1_000_000)).collect();
    let bars = histogram(&observations);
    assert!(bars.len() <= 400);
    assert_eq!(bars.iter().map(|bar| bar.count).sum::<u64>(), 1000);
    assert!(bars[0].to_ms - bars[0].from_ms <= 20.0);
    assert!(bars[bars.len() - 1].to_ms >= 99_000.0);
}

#[test]
fn a_silent_second_keeps_its_bucket() {
    let buckets = finality_over_time(&[(100, 5000), (2_000_000, 7000), (9_000_000, 1)], 3);
    assert_eq!(buckets.iter().map(|bucket| bucket.count).collect::<Vec<_>>(), [1, 0, 1]);
    assert_eq!(buckets[1].p50, None);
    let rates = per_second([0, 1, 1_500_000], 3);
    assert_eq!(rates.iter().map(|bucket| bucket.count).collect::<Vec<_>>(), [2, 1, 0]);
}

#[test]
fn a_result_survives_its_json() {
    let mut result = RunResult { scenario: "wan".into(), seed: u64::MAX, ..Default::default() };
    result.events.push(RunEvent { kind: EventKind::Partition, ..Default::default() });
    let text = serde_json::to_string_pretty(&result).expect("plain values");
    assert_eq!(serde_json::from_str::<RunResult>(&text).expect("its own JSON"), result);
    assert!(text.contains("\"kind\": \"partition\""));
}

#[test]
fn rounding_knows_no_negative_zero() {
    assert_eq!(round3(-0.0001).to_bits(), 0.0_f64.to_bits());
    assert_eq!(round3(1.23456), 1.235);
}
