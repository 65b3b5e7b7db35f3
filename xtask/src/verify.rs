//! `cargo xtask verify`: what CI checks. It writes nothing but the build folder.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context as _, Result};
use serde_json::Value;

use crate::browser;
use crate::cargo::{
    PROFILE, built_crates, cargo, has_subcommand, metadata, printed, root, succeeds, watched,
};
use crate::dependencies::Graph;
use crate::source;
use crate::steps::{Outcome, Steps, judge};

/// The seeds of the simulator that every change is tried with.
const SEEDS: &str = "0..64";

/// Runs every step, also after one has failed; true if none did.
pub fn run() -> Result<bool> {
    let metadata = metadata()?;
    let mut steps = Steps::default();
    let mut tests = 0;
    steps.run("format", "cargo xtask fix", format);
    steps.run("text", "split the file, or finish what is left", text);
    steps.run("dependencies", "see xtask/src/dependencies.rs and deny.toml", || {
        dependencies(&metadata)
    });
    steps.run("lints", "cargo xtask fix, then by hand", lints);
    steps.run("tests", "cargo nextest run NAME, or cargo test NAME", || unit_tests(&mut tests));
    steps.run("doc tests", "cargo test --doc", || doc_tests(&mut tests));
    steps.run("docs", "RUSTDOCFLAGS='-D warnings' cargo doc --no-deps", docs);
    steps.run("cargo deny", "see what it says, and deny.toml", deny);
    steps.run("simulation seeds", "run the command that replays the seed", || seeds(&metadata));
    steps.run("explorer", "python3 crates/node/tests/explorer/browser_test.py", || {
        browser::explorer(&built(&metadata)?)
    });
    let passed = steps.finish();
    if passed {
        println!("{tests} passed, 0 failed");
    }
    Ok(passed)
}

fn format() -> Result<Outcome> {
    let mut findings = Vec::new();
    for arguments in [
        &["fmt", "--all", "--", "--check"][..],
        &["fmt", "--manifest-path", "fuzz/Cargo.toml", "--", "--check"],
    ] {
        if !succeeds(cargo(arguments))? {
            findings.push("some files are not formatted".to_owned());
        }
    }
    Ok(judge(&findings, "all files".to_owned()))
}

fn text() -> Result<Outcome> {
    let sources = source::all()?;
    let mut findings = source::overlong_files(&sources);
    findings.extend(source::stale_exceptions(&sources));
    findings.extend(source::forbidden_text(&sources));
    Ok(judge(&findings, format!("{} files", sources.len())))
}

fn dependencies(metadata: &Value) -> Result<Outcome> {
    let graph = Graph::read(metadata)?;
    let mut findings = graph.against_the_layers();
    findings.extend(graph.impurities());
    findings.extend(graph.against_the_rules(&built_crates()?)?);
    let checked = "layers, purity, licences, bans, sources";
    Ok(judge(&findings, format!("{checked} of {} packages", graph.len())))
}

fn lints() -> Result<Outcome> {
    let arguments = ["clippy", "--locked", "--workspace", "--all-targets", "--profile", PROFILE];
    let mut command = cargo(&arguments);
    command.args(["--", "-D", "warnings"]);
    let findings = if succeeds(command)? { Vec::new() } else { vec!["see above".to_owned()] };
    Ok(judge(&findings, "clippy over all targets".to_owned()))
}

fn unit_tests(count: &mut u64) -> Result<Outcome> {
    let (runner, command, summary): (_, _, fn(&str) -> u64) = if has_subcommand("nextest") {
        let nextest = ["nextest", "run", "--locked", "--workspace", "--cargo-profile", PROFILE];
        ("cargo nextest", cargo(&nextest), nextest_passed)
    } else {
        let plain = ["test", "--locked", "--workspace", "--tests", "--profile", PROFILE];
        ("cargo test, since nextest is not installed", cargo(&plain), |_| 0)
    };
    let (passed, printed) = watched(command)?;
    let tests = summary(&printed);
    *count += tests;
    if !passed {
        return Ok(Outcome::Failed("see above".to_owned()));
    }
    Ok(Outcome::Passed(format!("{tests} tests by {runner}")))
}

/// Of `Summary [  12.3s] 412 tests run: 412 passed, 2 skipped` the number that passed.
fn nextest_passed(printed: &str) -> u64 {
    let summary = printed.lines().rev().find(|line| line.contains("tests run:"));
    let passed = summary.and_then(|line| line.split_once("tests run:")?.1.split_once(" passed"));
    passed.and_then(|(count, _)| count.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

fn doc_tests(count: &mut u64) -> Result<Outcome> {
    let arguments = ["test", "--locked", "--workspace", "--doc", "--profile", PROFILE];
    let text = printed(cargo(&arguments))?;
    let tests = libtest_passed(&text);
    *count += tests;
    Ok(Outcome::Passed(format!("{tests} examples in documentation")))
}

/// Of all `test result: ok. 3 passed; 0 failed; ...` the sum of those that passed.
fn libtest_passed(printed: &str) -> u64 {
    let results = printed.lines().filter_map(|line| line.strip_prefix("test result: ok. "));
    results.filter_map(|rest| rest.split_once(" passed")?.0.parse::<u64>().ok()).sum()
}

fn docs() -> Result<Outcome> {
    let mut command = cargo(&["doc", "--locked", "--workspace", "--no-deps", "--profile", PROFILE]);
    command.env("RUSTDOCFLAGS", "-D warnings");
    let findings = if succeeds(command)? { Vec::new() } else { vec!["see above".to_owned()] };
    Ok(judge(&findings, "no warnings".to_owned()))
}

/// Advisories need a database from outside: they are reported, and never fail a run without it.
fn deny() -> Result<Outcome> {
    if !has_subcommand("deny") {
        let why = "cargo-deny is not installed; licences, bans and sources were checked above";
        return Ok(Outcome::Skipped(why.to_owned()));
    }
    if !succeeds(cargo(&["deny", "--offline", "check", "bans", "licenses", "sources"]))? {
        return Ok(Outcome::Failed("see above".to_owned()));
    }
    let advisories = cargo(&["deny", "check", "advisories"]).output()?;
    let report = String::from_utf8_lossy(&advisories.stderr).into_owned();
    if advisories.status.success() {
        return Ok(Outcome::Passed("bans, licences, sources, advisories".to_owned()));
    }
    if report.contains("failed to fetch") || report.contains("failed to load advisory database") {
        let what = "bans, licences, sources; the advisories could not be fetched";
        return Ok(Outcome::Passed(what.to_owned()));
    }
    Ok(Outcome::Failed(report))
}

/// The binary was built with the tests, from the same dependencies.
fn seeds(metadata: &Value) -> Result<Outcome> {
    let mut command = Command::new(built(metadata)?);
    command.args(["sim", "fuzz", "--seeds", SEEDS]).current_dir(root());
    if succeeds(command)? {
        Ok(Outcome::Passed(format!("seeds {SEEDS}")))
    } else {
        Ok(Outcome::Failed("an invariant was violated: see above".to_owned()))
    }
}

/// The binary that was built with the tests.
fn built(metadata: &Value) -> Result<PathBuf> {
    let folder = metadata["target_directory"].as_str().context("no target directory")?;
    Ok(PathBuf::from(folder).join(PROFILE).join("qcn"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn summaries_of_both_runners_are_read() {
        let nextest =
            "PASS a\n     Summary [  12.3s] 412 tests run: 410 passed (1 slow), 2 skipped";
        assert_eq!(nextest_passed(nextest), 410);
        assert_eq!(nextest_passed("error: build failed"), 0);
        let libtest = "test result: ok. 3 passed; 0 failed; 0 ignored\n\n\
                       test result: ok. 4 passed; 0 failed";
        assert_eq!(libtest_passed(libtest), 7);
    }
}
