//! How the other programs are called.

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

/// The profile that everything is built with here, so that dependencies are compiled once.
pub const PROFILE: &str = "ci";

/// The root of the repository.
pub fn root() -> PathBuf {
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR"));
    manifest.parent().unwrap_or(manifest).to_owned()
}

/// A cargo command at the root of the repository.
pub fn cargo(arguments: &[&str]) -> Command {
    let program = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(program);
    command.args(arguments).current_dir(root());
    command
}

/// Whether `cargo NAME --version` answers.
pub fn has_subcommand(name: &str) -> bool {
    let silent = cargo(&[name, "--version"]).stdout(Stdio::null()).stderr(Stdio::null()).status();
    silent.is_ok_and(|status| status.success())
}

/// Runs a command to its end and gives back whether it succeeded.
pub fn succeeds(mut command: Command) -> Result<bool> {
    let status = command.status().with_context(|| format!("starting {command:?}"))?;
    Ok(status.success())
}

/// Runs a command, shows what it prints to standard error as it comes, and gives it back with
/// whether the command succeeded.
pub fn watched(mut command: Command) -> Result<(bool, String)> {
    command.stderr(Stdio::piped());
    let mut child = command.spawn().with_context(|| format!("starting {command:?}"))?;
    let errors = child.stderr.take().context("standard error is piped")?;
    let mut printed = String::new();
    for line in BufReader::new(errors).split(b'\n') {
        let line = String::from_utf8_lossy(&line?).into_owned();
        eprintln!("{line}");
        printed.push_str(&line);
        printed.push('\n');
    }
    Ok((child.wait()?.success(), printed))
}

/// Runs a command and gives back what it prints.
pub fn printed(mut command: Command) -> Result<String> {
    let output = command.output().with_context(|| format!("starting {command:?}"))?;
    if !output.status.success() {
        bail!("{command:?}:\n{}", String::from_utf8_lossy(&output.stderr));
    }
    Ok(String::from_utf8(output.stdout)?)
}

/// What cargo knows about the workspace and its dependencies.
///
/// Of this machine's platform: what a dependency would bring in elsewhere is not built here.
pub fn metadata() -> Result<Value> {
    let mut rustc = Command::new("rustc");
    rustc.args(["--version", "--verbose"]).current_dir(root());
    let version = printed(rustc)?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: "));
    let host = host.context("rustc does not say for which host it is")?;
    let only_host = ["--filter-platform", host];
    let mut command = cargo(&["metadata", "--format-version", "1", "--locked"]);
    command.args(only_host);
    let text = printed(command)?;
    serde_json::from_str(&text).context("reading what `cargo metadata` prints")
}

/// The names of all crates that are built for this machine, also for tests and by build scripts.
pub fn built_crates() -> Result<BTreeSet<String>> {
    let tree = ["tree", "--locked", "--workspace", "--edges", "all", "--prefix", "none"];
    let mut command = cargo(&tree);
    command.args(["--format", "{p}"]);
    let text = printed(command)?;
    Ok(text.lines().filter_map(|line| line.split(' ').next()).map(str::to_owned).collect())
}
