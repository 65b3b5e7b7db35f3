//! What a run costs on this machine.

use std::time::Instant;

use qcn_sim::result::{Host, RunResult, round3};

/// A stopwatch for wall-clock and processor time of this thread.
#[derive(Debug)]
pub struct Stopwatch {
    begun: Instant,
    cpu_begun: Option<f64>,
}

impl Stopwatch {
    /// Begins to measure.
    pub fn start() -> Self {
        Self { begun: Instant::now(), cpu_begun: cpu_seconds() }
    }

    /// Wall-clock seconds so far.
    pub fn wall_seconds(&self) -> f64 {
        self.begun.elapsed().as_secs_f64()
    }

    /// Adds what was measured to a result. Where the system does not tell the processor time,
    /// wall-clock time stands for it.
    pub fn note(&self, result: &mut RunResult) {
        let wall = self.wall_seconds();
        let cpu = self.cpu_begun.zip(cpu_seconds()).map_or(wall, |(begun, now)| now - begun);
        let Host { deliveries, blocks, .. } = result.host;
        result.host = Host {
            wall_seconds: round3(wall),
            cpu_seconds: round3(cpu),
            deliveries,
            blocks,
            cpu_us_per_block: if blocks == 0 { 0.0 } else { round3(cpu * 1e6 / blocks as f64) },
            peak_memory_mib: peak_memory_mib().map(round3),
        };
    }
}

/// Processor time of this thread, where Linux tells it.
fn cpu_seconds() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    let nanoseconds: f64 = text.split_whitespace().next()?.parse().ok()?;
    Some(nanoseconds / 1e9)
}

/// The most memory that this process held, where Linux tells it.
fn peak_memory_mib() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    let kib: f64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib / 1024.0)
}
