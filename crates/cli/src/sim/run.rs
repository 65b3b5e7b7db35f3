//! `qcn sim run`: one scenario, from its file to its report.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use qcn_sim::report::{self, Detail};
use qcn_sim::result::RunResult;
use qcn_sim::scenario::{Progress, RunOptions, Scenario};

use crate::note;

use super::files::{self, Destinations};
use super::host::Stopwatch;
use super::rule::BreakArgs;

/// Where results go unless something else is said.
pub(super) const FOLDER: &str = "out";

#[derive(Debug, Args)]
pub struct RunArgs {
    /// A scenario file, or the name of a scenario that comes with it.
    #[arg(value_name = "FILE|NAME")]
    scenario: String,
    /// Another seed than the scenario's.
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Write the result as JSON to this file; - prints it instead of the table.
    #[arg(long, value_name = "FILE")]
    pub(super) json: Option<PathBuf>,
    /// Write the report as a standalone page to this file.
    #[arg(long, value_name = "FILE")]
    pub(super) html: Option<PathBuf>,
    /// Write no files other than those named.
    #[arg(long)]
    pub(super) no_files: bool,
    /// Show every validator and every event in the table.
    #[arg(long)]
    pub(super) full: bool,
    /// Show no progress and no table.
    #[arg(long, short)]
    pub(super) quiet: bool,
    #[command(flatten)]
    pub(super) broken: BreakArgs,
}

pub fn run(args: &RunArgs) -> anyhow::Result<ExitCode> {
    let scenario = files::scenario(&args.scenario)?;
    if let Some(plan) = scenario.sweep(args.seed.unwrap_or(scenario.run.seed))? {
        return super::sweep::run(args, &scenario.name, &plan);
    }
    if let Some(plan) = scenario.sharded(args.seed.unwrap_or(scenario.run.seed))? {
        return super::sharded::run(args, &scenario, &plan);
    }
    let options =
        RunOptions { seed: args.seed, broken_rule: args.broken.rule(), ..RunOptions::default() };
    let result = watched(&scenario, &options, args.quiet)?;
    let to_output = files::is_standard_output(args.json.as_deref());
    if to_output {
        super::print(&report::json(&result)?)?;
    } else if !args.quiet {
        let detail = if args.full { Detail::Full } else { Detail::Summary };
        super::print(&report::table(&result, detail))?;
    }
    let written = destinations(args, &scenario.name).write(&result)?;
    if !args.quiet && !written.is_empty() {
        note(&format!("written: {}", written.join(", ")));
    }
    Ok(super::exit_code(result.violations.is_empty()))
}

/// The named files; both in the usual folder if none is named.
fn destinations(args: &RunArgs, name: &str) -> Destinations {
    let named = args.json.is_some() || args.html.is_some();
    if named || args.no_files {
        let json = args.json.clone().filter(|path| !files::is_standard_output(Some(path)));
        return Destinations { json, html: args.html.clone() };
    }
    let file = |ending: &str| Some(Path::new(FOLDER).join(format!("{name}.{ending}")));
    Destinations { json: file("json"), html: file("html") }
}

/// Runs a scenario with a progress bar, and measures what it costs.
pub fn watched(
    scenario: &Scenario,
    options: &RunOptions,
    quiet: bool,
) -> anyhow::Result<RunResult> {
    let bar = if quiet { ProgressBar::hidden() } else { progress_bar(&scenario.name) };
    let stopwatch = Stopwatch::start();
    let mut result = scenario.run(options, &mut |progress| show(&bar, progress))?;
    stopwatch.note(&mut result);
    bar.finish_and_clear();
    Ok(result)
}

/// A bar on standard error; hidden where that is no terminal.
pub(super) fn progress_bar(name: &str) -> ProgressBar {
    let bar = ProgressBar::new(1);
    let template = "{prefix} [{bar:36}] {percent:>3}%  {msg}  {eta} left";
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style.progress_chars("=> "));
    }
    bar.set_prefix(name.to_owned());
    bar
}

fn show(bar: &ProgressBar, progress: Progress) {
    let now = progress.now_us as f64 / 1e6;
    let end = progress.end_us as f64 / 1e6;
    let pace = progress.round as f64 / now.max(0.001);
    bar.set_length(progress.end_us);
    bar.set_position(progress.now_us);
    bar.set_message(format!("{now:.1} of {end:.0} s virtual, {pace:.1} rounds/s"));
}
