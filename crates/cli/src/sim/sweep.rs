//! `qcn sim run` with a scenario of several shards: one run after the other, one table.

use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::bail;
use qcn_sim::sharding::sweep::{SweepPlan, SweepPoint};
use serde_json::json;

use super::files;
use super::run::{FOLDER, RunArgs, progress_bar};
use crate::note;

/// What one receipt takes by itself, in bytes.
const RECEIPT_BYTES: usize = 105;

pub fn run(args: &RunArgs, name: &str, plan: &SweepPlan) -> anyhow::Result<ExitCode> {
    if args.html.is_some() {
        bail!("a sweep over shards has no page yet: leave out --html, or take --json");
    }
    if args.broken.rule().is_some() {
        bail!("--break does not work with a sweep over shards");
    }
    let begun = Instant::now();
    let points = plan.points();
    let bar = if args.quiet { indicatif::ProgressBar::hidden() } else { progress_bar(name) };
    bar.set_length(points.len() as u64 * 100 + 100);
    let mut done = Vec::with_capacity(points.len());
    let mut single = None;
    for (number, (shards, share)) in points.iter().enumerate() {
        bar.set_message(format!("{shards} shards, {share}% across"));
        let mut watch = |now, end| bar.set_position(number as u64 * 100 + now * 100 / end);
        let point = plan.run(*shards, *share, single, &mut watch)?;
        single = single.or(Some(point.per_shard));
        done.push(point);
    }
    bar.set_message("2 shards, a small load");
    let calm = plan.run_for_latency(&mut |_, _| {})?;
    bar.finish_and_clear();
    let sound = done.iter().chain([&calm]).all(|point| point.violations.is_empty());
    let result = json!({
        "scenario": name,
        "seed": plan.seed,
        "conditions": {
            "validators_per_shard": plan.validators,
            "power": plan.power_permille as f64 / 1_000.0,
            "accounts_per_shard": plan.accounts,
            "offered_per_second_and_shard": plan.offered_per_second,
            "latency_source": plan.latency_source,
            "warm_up_seconds": plan.warm_up_us as f64 / 1e6,
            "measured_seconds": plan.measured_us as f64 / 1e6,
            "time": "virtual",
        },
        "points": done,
        "latency": calm,
        "host": { "wall_seconds": begun.elapsed().as_secs_f64() },
    });
    let text = serde_json::to_string_pretty(&result)? + "\n";
    if files::is_standard_output(args.json.as_deref()) {
        super::print(&text)?;
    } else {
        if !args.quiet {
            super::print(&table(name, plan, &done, &calm))?;
        }
        let usual = || (!args.no_files).then(|| Path::new(FOLDER).join(format!("{name}.json")));
        if let Some(path) = args.json.clone().or_else(usual) {
            files::write(&path, &text)?;
            if !args.quiet {
                note(&format!("written: {}", path.display()));
            }
        }
    }
    Ok(super::exit_code(sound))
}

fn table(name: &str, plan: &SweepPlan, points: &[SweepPoint], calm: &SweepPoint) -> String {
    let seconds = |us: u64| us as f64 / 1e6;
    let mut text = format!(
        "scenario      {name}, seed {}, virtual time\n\
         committees    {} seats each, power {} each, {}; neighbouring shards share one validator\n\
         links         {}\n\
         load          {} transfers/s offered to each shard by {} accounts, all signatures checked\n\
         measured      {} s after {} s\n\n\
         shards  across   final/s  per shard  of one shard   model   within  applied across  \
         receipts/delivery  bytes/receipt\n",
        plan.seed,
        plan.validators,
        plan.power_permille as f64 / 1_000.0,
        plan.key_ring.scheme(),
        plan.latency_source,
        plan.offered_per_second,
        plan.accounts,
        seconds(plan.measured_us),
        seconds(plan.warm_up_us),
    );
    let ms = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |ms| format!("{ms:.0} ms"));
    for point in points {
        let crosses = point.cross_percent > 0 && point.shards > 1;
        let number = |value: f64| if crosses { format!("{value:.0}") } else { "-".to_owned() };
        text += &format!(
            "{:>6}  {:>5}%  {:>8.0}  {:>9.1}  {:>12.3}  {:>6.3}  {:>7}  {:>14}  {:>17}  {:>13}\n",
            point.shards,
            point.cross_percent,
            point.final_per_second,
            point.per_shard,
            point.of_single_shard,
            if crosses { point.model } else { 1.0 },
            ms(point.within_ms.p50),
            ms(point.applied_ms.p50),
            number(point.receipts_per_delivery),
            number(point.bytes_per_receipt),
        );
    }
    let times = match (calm.applied_ms.p50, calm.within_ms.p50) {
        (Some(across), Some(within)) if within > 0.0 => format!("{:.2} times", across / within),
        _ => "nothing to compare with".to_owned(),
    };
    text += &format!(
        "\nlatency       2 shards, {}/s each: final within a shard after {}, applied across after {}: {times}\n\
         model         a shard's throughput by the simulator's costs, with the extra work on receipts\n\
         receipt       {RECEIPT_BYTES} bytes by itself; certificate and proofs of its delivery come on top\n",
        plan.latency_per_second,
        ms(calm.within_ms.p50),
        ms(calm.applied_ms.p50),
    );
    let broken: Vec<&String> =
        points.iter().chain([calm]).flat_map(|point| &point.violations).collect();
    if broken.is_empty() {
        text += "invariants    all held\n";
    }
    for violation in broken {
        text += &format!("broken        {violation}\n");
    }
    text
}
