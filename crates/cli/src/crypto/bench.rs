//! `qcn crypto bench`: sizes and times of each scheme on this machine.

use std::hint::black_box;
use std::io::Write as _;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use qcn_crypto::{
    ChainId, Digest, Domain, Role, Scheme, SigningContext, SigningKey, VerifyingKey, hash,
};
use serde::Serialize;

/// A scheme's cheap operations are repeated for the time given, the slow ones
/// at least this often.
const ITERATIONS_MIN: u32 = 3;

/// What one unit of processing power takes for the signatures of a round in a
/// committee of a hundred: signing once and checking a hundred. Measured on the
/// 2-core virtual machine that qcn was designed on.
const REFERENCE_ROUND_US: f64 = 193.0 + 100.0 * 9.7;

/// Blocks of a reference round.
const REFERENCE_BLOCKS: f64 = 100.0;

/// Weight of one unit of processing power.
const WEIGHT_PER_POWER: f64 = 1000.0;

const EXAMPLES: &str = "\
Times are the fastest of all repetitions, on one core: noise only ever adds. `verify` uses
a key that is already decoded, as validators do.

The suggested weight is 1000 times this machine's processing power: how much faster than the
reference it makes one Falcon-512 signature and checks a hundred.

Examples:
  qcn crypto bench
  qcn crypto bench --scheme falcon-512 --scheme ml-dsa-44 --seconds 2
  qcn crypto bench --json > bench.json";

/// What to measure, and for how long.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct BenchArgs {
    /// Measure only this scheme; may be repeated. [default: all]
    #[arg(long = "scheme", value_name = "SCHEME")]
    schemes: Vec<Scheme>,
    /// Seconds to repeat each operation for, from 0.01 to 60.
    #[arg(long, value_name = "S", default_value_t = 0.3, value_parser = parse_seconds)]
    seconds: f64,
    /// Print JSON instead of a table.
    #[arg(long)]
    json: bool,
}

fn parse_seconds(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(seconds) if (0.01..=60.0).contains(&seconds) => Ok(seconds),
        _ => Err("give a number of seconds from 0.01 to 60".to_owned()),
    }
}

/// What was measured, and where.
#[derive(Serialize)]
struct Report {
    conditions: Conditions,
    schemes: Vec<Row>,
    /// Only if Falcon-512 was measured.
    suggested_weight: Option<u64>,
}

#[derive(Serialize)]
struct Conditions {
    cpu: String,
    logical_cores: usize,
    cores_used: usize,
    target: String,
    build_profile: &'static str,
    version: &'static str,
    seconds_per_operation: f64,
    statistic: &'static str,
}

#[derive(Serialize)]
struct Row {
    scheme: &'static str,
    security_category: u8,
    public_key_bytes: usize,
    signature_bytes: usize,
    keygen: Timing,
    sign: Timing,
    verify: Timing,
}

#[derive(Serialize)]
struct Timing {
    fastest_us: f64,
    iterations: u32,
}

/// Measures and prints.
pub fn run(args: &BenchArgs) -> anyhow::Result<ExitCode> {
    let mut schemes =
        if args.schemes.is_empty() { Scheme::ALL.to_vec() } else { args.schemes.clone() };
    schemes.sort_unstable();
    schemes.dedup();
    let progress = ProgressBar::new(schemes.len() as u64)
        .with_style(ProgressStyle::with_template("{bar:30} {pos}/{len} {msg}")?);
    let mut rows = Vec::with_capacity(schemes.len());
    for scheme in schemes {
        progress.set_message(scheme.name());
        rows.push(measure(scheme, Duration::from_secs_f64(args.seconds))?);
        progress.inc(1);
    }
    progress.finish_and_clear();
    let suggested_weight =
        rows.iter().find(|row| row.scheme == Scheme::Falcon512.name()).map(suggested_weight);
    let report = Report { conditions: conditions(args.seconds), schemes: rows, suggested_weight };
    let text = if args.json { serde_json::to_string_pretty(&report)? } else { table(&report) };
    writeln!(std::io::stdout(), "{text}").context("cannot write to standard output")?;
    Ok(ExitCode::SUCCESS)
}

fn measure(scheme: Scheme, budget: Duration) -> anyhow::Result<Row> {
    let chain = ChainId(Digest::ZERO);
    let context = SigningContext::new(Domain::Simulation, chain, Role::Consensus);
    let message = hash(Domain::Simulation, b"qcn crypto bench");
    let key = SigningKey::generate(scheme)?;
    let verifying_key = VerifyingKey::decode(key.public_key())?;
    let signature = key.sign(&context, message.as_bytes())?;
    Ok(Row {
        scheme: scheme.name(),
        security_category: scheme.security_category(),
        public_key_bytes: scheme.public_key_bytes(),
        signature_bytes: scheme.signature_bytes(),
        keygen: fastest(budget, || SigningKey::generate(scheme).is_ok())?,
        sign: fastest(budget, || key.sign(&context, message.as_bytes()).is_ok())?,
        verify: fastest(budget, || {
            verifying_key.verify(&context, message.as_bytes(), &signature).is_ok()
        })?,
    })
}

/// The fastest of as many runs as fit the budget.
fn fastest(budget: Duration, mut operation: impl FnMut() -> bool) -> anyhow::Result<Timing> {
    let began = Instant::now();
    let mut fastest = Duration::MAX;
    let mut iterations = 0;
    while iterations < ITERATIONS_MIN || began.elapsed() < budget {
        let start = Instant::now();
        anyhow::ensure!(black_box(operation()), "an operation failed while it was measured");
        fastest = fastest.min(start.elapsed());
        iterations += 1;
    }
    Ok(Timing { fastest_us: fastest.as_secs_f64() * 1e6, iterations })
}

fn suggested_weight(falcon: &Row) -> u64 {
    let round_us = falcon.sign.fastest_us + REFERENCE_BLOCKS * falcon.verify.fastest_us;
    let power = REFERENCE_ROUND_US / round_us;
    // Weights are positive.
    ((power * WEIGHT_PER_POWER).round() as u64).max(1)
}

fn conditions(seconds: f64) -> Conditions {
    Conditions {
        cpu: cpu_name().unwrap_or_else(|| "unknown".to_owned()),
        logical_cores: std::thread::available_parallelism().map_or(1, usize::from),
        cores_used: 1,
        target: format!("{}-{}", std::env::consts::ARCH, std::env::consts::OS),
        build_profile: if cfg!(debug_assertions) { "debug assertions on" } else { "release" },
        version: env!("CARGO_PKG_VERSION"),
        seconds_per_operation: seconds,
        statistic: "fastest run",
    }
}

/// The processor's name where the system tells it in a file.
fn cpu_name() -> Option<String> {
    let description = std::fs::read_to_string("/proc/cpuinfo").ok()?;
    let line = description.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

fn table(report: &Report) -> String {
    let conditions = &report.conditions;
    let mut lines = vec![
        format!(
            "{:<18} {:>8} {:>11} {:>10} {:>12} {:>12} {:>12}",
            "scheme", "category", "public key", "signature", "keygen", "sign", "verify"
        ),
        format!(
            "{:<18} {:>8} {:>11} {:>10} {:>12} {:>12} {:>12}",
            "", "", "bytes", "bytes", "us", "us", "us"
        ),
    ];
    lines.extend(report.schemes.iter().map(|row| {
        format!(
            "{:<18} {:>8} {:>11} {:>10} {:>12.1} {:>12.1} {:>12.1}",
            row.scheme,
            row.security_category,
            row.public_key_bytes,
            row.signature_bytes,
            row.keygen.fastest_us,
            row.sign.fastest_us,
            row.verify.fastest_us
        )
    }));
    lines.push(String::new());
    lines.push(format!(
        "fastest runs on one of {} logical cores; {}; {}; qcn {}, {}; {} s per operation, at \
         least {} runs",
        conditions.logical_cores,
        conditions.cpu,
        conditions.target,
        conditions.version,
        conditions.build_profile,
        conditions.seconds_per_operation,
        ITERATIONS_MIN
    ));
    if let Some(weight) = report.suggested_weight {
        lines.push(format!("suggested weight of a validator on this machine: {weight}"));
    }
    lines.join("\n")
}
