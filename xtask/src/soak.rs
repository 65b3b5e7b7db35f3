//! `cargo xtask soak`: a devnet under load for long, whether its memory stays flat, and how fast
//! it starts again with all that history.

use std::fs;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use crate::bench_node::{Devnet, PATIENCE, Programs, VALIDATORS, build, json_of, number, url};

const SCHEME: &str = "falcon-512";
/// How often memory is looked at.
const SAMPLES: u32 = 12;
/// From how many minutes on memory is judged: block trees and caches fill up for the first ten.
const LEAST_MINUTES: u64 = 30;
/// How many times as much memory the last quarter may take as the second: until then caches and logs
/// fill up.
const MOST_GROWTH: f64 = 1.2;
/// How long a restart may take, in seconds.
const MOST_RESTART_S: f64 = 5.0;
/// How many times faster than they were made checkpoints are to be caught up on.
const LEAST_CATCH_UP: f64 = 10.0;
/// The validator whose disk is lost in the end.
const WIPED: usize = VALIDATORS - 1;

/// Puts so many transfers per second on a new devnet for a while, starts it again, and starts it
/// once more with one validator's disk wiped. Says whether the load adds up and all is within its bound.
pub fn run(minutes: u64, tps: f64) -> Result<bool> {
    let programs = build()?;
    let devnet = Devnet::start(&programs, SCHEME, Duration::ZERO)?;
    println!("{VALIDATORS} validators, {tps:.0} {SCHEME} transfers/s for {minutes} min");
    let seconds = minutes * 60;
    let mut load = devnet.load_command(&programs, tps, seconds);
    let load = load.args(["--sign-live", "--batch", "50"]).stdout(Stdio::null());
    let mut load = load.spawn().context("starting the load")?;
    let begun = Instant::now();
    let interval = Duration::from_secs(seconds) / SAMPLES;
    let mut memory = Vec::new();
    for sample in 1..=SAMPLES {
        let (percent, mebibytes) = devnet.usage(interval)?;
        memory.push(mebibytes);
        let at = seconds_since(begun) / 60.0;
        let height = height(&programs, 0)?;
        println!(
            "  {sample:>2}/{SAMPLES} after {at:>4.1} min  height {height:>7}  \
             {percent:>5.1}% of a core  {mebibytes:>5.0} MiB for all validators"
        );
    }
    let is_well = load.wait().context("waiting for the load")?.success();
    println!("  load        {}", if is_well { "all final and adds up" } else { "see above" });
    let growth = growth(&memory);
    let is_flat = verdict(
        "memory",
        (minutes >= LEAST_MINUTES).then_some(growth <= MOST_GROWTH),
        &format!(
            "{growth:.2} times as much in the last quarter as in the second, at most {MOST_GROWTH} wanted \
             of runs of {LEAST_MINUTES} min or more"
        ),
    );
    let (made, took) = (height(&programs, 0)?, begun.elapsed().as_secs_f64());
    let folder = devnet.stop()?;

    let begun = Instant::now();
    let devnet = Devnet::resume(&programs, folder, SCHEME, None)?;
    for validator in 0..VALIDATORS {
        wait_for(&programs, validator, made + 1)?;
    }
    let restarted = seconds_since(begun);
    let is_quick = verdict(
        "restart",
        Some(restarted <= MOST_RESTART_S),
        &format!(
            "{restarted:.2} s until {made} checkpoints are continued, at most {MOST_RESTART_S} wanted"
        ),
    );
    let folder = devnet.stop()?;

    fs::remove_dir_all(folder.join(format!("v{WIPED}")).join("data")).context("wiping a disk")?;
    let begun = Instant::now();
    let devnet = Devnet::resume(&programs, folder, SCHEME, None)?;
    wait_for(&programs, WIPED, made)?;
    let caught_up = seconds_since(begun);
    let faster = took / caught_up;
    let catches_up = verdict(
        "new disk",
        Some(faster >= LEAST_CATCH_UP),
        &format!(
            "{caught_up:.2} s until it has the state of {made} checkpoints, made in {took:.0} s: \
         {faster:.0} times faster, at least {LEAST_CATCH_UP} wanted"
        ),
    );
    devnet.stop()?;
    Ok(is_well && is_flat && is_quick && catches_up)
}

/// Prints what was measured and whether it is within its bound, if it is judged. Says whether nothing
/// is against it.
fn verdict(name: &str, is_within: Option<bool>, what: &str) -> bool {
    let word = match is_within {
        Some(true) => "well",
        Some(false) => "NOT WELL",
        None => "not judged",
    };
    println!("  {name:<11} {word}: {what}");
    is_within != Some(false)
}

/// How many times as much the last quarter of the samples is as the second.
fn growth(samples: &[f64]) -> f64 {
    let quarter = samples.len() / 4;
    let mean = |part: &[f64]| part.iter().sum::<f64>() / part.len() as f64;
    mean(&samples[samples.len() - quarter..]) / mean(&samples[quarter..2 * quarter])
}

fn wait_for(programs: &Programs, validator: usize, wanted: u64) -> Result<()> {
    let begun = Instant::now();
    while height(programs, validator).unwrap_or(0) < wanted {
        if begun.elapsed() > PATIENCE {
            bail!("validator {validator} does not reach height {wanted}");
        }
    }
    Ok(())
}

/// The newest height that a validator has a certificate for.
fn height(programs: &Programs, validator: usize) -> Result<u64> {
    let mut query = Command::new(&programs.qcn);
    query.args(["query", "status", "--json", "--node", &url(validator)]);
    query.stderr(Stdio::null());
    Ok(number(&json_of(&mut query)?, "certified_height")? as u64)
}

fn seconds_since(begun: Instant) -> f64 {
    begun.elapsed().as_secs_f64()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn growth_is_that_of_the_last_quarter_over_the_second() {
        let flat = [1.0, 5.0, 9.0, 10.0, 10.0, 10.0, 10.0, 10.0, 10.0, 10.0, 10.0, 10.0];
        assert!((growth(&flat) - 1.0).abs() < 1e-9, "the first quarter does not count");
        let leaking: Vec<f64> = (1..=12).map(f64::from).collect();
        assert!((growth(&leaking) - 2.2).abs() < 1e-9 && growth(&leaking) > MOST_GROWTH);
    }
}
