//! The chores of the repository: checks, fixes, fuzzing and the measurements of whole networks.

mod bench_node;
mod browser;
mod cargo;
mod dependencies;
mod fix;
mod fuzz;
mod licence;
// The network tests' own, so that both measure over the same links.
#[expect(dead_code, reason = "the tests use more of it")]
#[path = "../../crates/cli/tests/network/patience.rs"]
mod patience;
#[expect(dead_code, reason = "the tests use more of it")]
#[expect(clippy::unwrap_used, reason = "a test's own")]
#[path = "../../crates/cli/tests/network/relay.rs"]
mod relay;
mod soak;
mod source;
mod steps;
mod verify;

use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};

const USAGE: &str = "\
The chores of the repository.

Usage: cargo xtask <COMMAND>

Commands:
  verify                 Check everything that CI checks; changes no file of yours
  fix                    Format, and apply what the linter can fix by itself
  fuzz [--seconds N]     Run every fuzz target for N seconds (default 20)
       [TARGET...]       Only these targets
  bench-node [SECONDS]   Put load on a devnet here and compare it with what the machine allows
  soak [MINUTES [TPS]]   Keep a devnet here under load, watch its memory, and start it again
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match run(&arguments) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(2)
        }
    }
}

/// Runs a command; says whether all is well.
fn run(arguments: &[String]) -> Result<bool> {
    let (command, rest) = match arguments.split_first() {
        Some((command, rest)) => (command.as_str(), rest),
        None => ("help", &[][..]),
    };
    match command {
        "verify" if rest.is_empty() => verify::run(),
        "fix" if rest.is_empty() => fix::run(),
        "fuzz" => fuzz::run(&fuzz_request(rest)?),
        "bench-node" => bench_node::run(bench_seconds(rest)?),
        "soak" => {
            let (minutes, tps) = soak_request(rest)?;
            soak::run(minutes, tps)
        }
        "help" | "--help" | "-h" => {
            print!("{USAGE}");
            Ok(true)
        }
        _ => bail!("no such command: {}\n\n{USAGE}", arguments.join(" ")),
    }
}

fn bench_seconds(arguments: &[String]) -> Result<u64> {
    match arguments {
        [] => Ok(10),
        [seconds] => seconds.parse().context("SECONDS is a whole number, how long each load lasts"),
        _ => bail!("bench-node takes one number at most\n\n{USAGE}"),
    }
}

fn soak_request(arguments: &[String]) -> Result<(u64, f64)> {
    let minutes = |text: &String| text.parse().context("MINUTES is a whole number");
    let tps = |text: &String| text.parse().context("TPS is a number of transfers per second");
    match arguments {
        [] => Ok((60, 1_000.0)),
        [one] => Ok((minutes(one)?, 1_000.0)),
        [one, two] => Ok((minutes(one)?, tps(two)?)),
        _ => bail!("soak takes two numbers at most\n\n{USAGE}"),
    }
}

fn fuzz_request(arguments: &[String]) -> Result<fuzz::Request> {
    let mut request = fuzz::Request { seconds: 20, targets: Vec::new() };
    let mut arguments = arguments.iter();
    while let Some(argument) = arguments.next() {
        if argument == "--seconds" {
            let seconds = arguments.next().context("--seconds needs a number, such as 60")?;
            request.seconds = seconds
                .parse()
                .with_context(|| format!("--seconds: {seconds:?} is no whole number"))?;
        } else if argument.starts_with('-') {
            bail!("no such option: {argument}\n\n{USAGE}");
        } else {
            request.targets.push(argument.clone());
        }
    }
    Ok(request)
}
