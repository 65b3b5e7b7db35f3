//! `cargo xtask fuzz`: every fuzz target for a while.

use anyhow::{Context as _, Result, bail};

use crate::cargo::{cargo, has_subcommand, printed, succeeds};
use crate::steps::{Outcome, Steps};

/// What to fuzz, and for how long.
pub struct Request {
    /// For each target.
    pub seconds: u64,
    /// All if empty.
    pub targets: Vec<String>,
}

/// Without a nightly toolchain there are no sanitizers, which safe Rust can do without.
const STABLE: [(&str, &str); 1] = [("RUSTC_BOOTSTRAP", "1")];

/// Runs the targets; true if none failed.
pub fn run(request: &Request) -> Result<bool> {
    if !has_subcommand("fuzz") {
        bail!(
            "cargo-fuzz is not installed: run `cargo install cargo-fuzz --locked` (it needs a C++ \
             compiler). `cargo test -p qcn-fuzz-targets` tries the same targets without it"
        );
    }
    let known = printed(cargo(&["fuzz", "list"])).context("listing the fuzz targets")?;
    let known: Vec<&str> = known.lines().collect();
    if let Some(unknown) = request.targets.iter().find(|name| !known.contains(&name.as_str())) {
        bail!("no fuzz target {unknown}; there are: {}", known.join(", "));
    }
    let mut steps = Steps::default();
    for target in known {
        if !request.targets.is_empty() && !request.targets.iter().any(|name| name == target) {
            continue;
        }
        // The name of a step lives as long as the program.
        let name: &'static str = Box::leak(target.to_owned().into_boxed_str());
        steps.run(name, "cargo fuzz run TARGET FILE, with the file named above", || {
            fuzz(target, request.seconds)
        });
    }
    Ok(steps.finish())
}

fn fuzz(target: &str, seconds: u64) -> Result<Outcome> {
    let time = format!("-max_total_time={seconds}");
    let arguments = ["fuzz", "run", "--sanitizer", "none", target, "--"];
    let mut command = cargo(&arguments);
    command.args([time.as_str(), "-timeout=10", "-rss_limit_mb=2048", "-print_final_stats=1"]);
    command.envs(STABLE);
    if succeeds(command)? {
        Ok(Outcome::Passed(format!("{seconds} s without a crash")))
    } else {
        Ok(Outcome::Failed("the target crashed: see above".to_owned()))
    }
}
