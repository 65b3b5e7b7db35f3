//! `qcn sim replay`: the same run again, and whether it is the same.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, anyhow, bail};
use clap::Args;
use qcn_sim::report::{self, Detail};
use qcn_sim::result::RunResult;
use qcn_sim::scenario::{RunOptions, Scenario};

use super::rule::BreakArgs;
use super::run::watched;
use super::{files, sharded};
use crate::note;

#[derive(Debug, Args)]
pub struct ReplayArgs {
    /// A result (JSON), or a scenario (TOML) with or without its result beside it.
    file: PathBuf,
    /// Write the result as JSON to this file; - prints it instead of the table.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Show every validator and every event in the table.
    #[arg(long)]
    full: bool,
    /// Show no progress and no table.
    #[arg(long, short)]
    quiet: bool,
    #[command(flatten)]
    broken: BreakArgs,
}

/// What is run again, and what it gave the first time.
struct Recording {
    scenario: Scenario,
    seed: u64,
    result: Option<RunResult>,
}

pub fn run(args: &ReplayArgs) -> anyhow::Result<ExitCode> {
    let shown = args.file.display().to_string();
    if let Some(recorded) = sharded::recorded(&shown, &files::text(&args.file)?)? {
        if args.json.is_some() || args.full || args.broken.rule().is_some() {
            bail!("{shown}: a network of shards is replayed without --json, --full and --break");
        }
        return sharded::replay(&recorded, args.quiet);
    }
    let recording = recording(&args.file)?;
    if recording.scenario.shards.is_some() || recording.scenario.layout.is_some() {
        bail!(
            "{shown}: a scenario of several shards is run with `qcn sim run FILE`; what can be replayed \
             is the result that this writes"
        );
    }
    let options = RunOptions {
        seed: Some(recording.seed),
        broken_rule: args.broken.rule(),
        ..RunOptions::default()
    };
    let result = watched(&recording.scenario, &options, args.quiet)?;
    let to_output = files::is_standard_output(args.json.as_deref());
    if to_output {
        super::print(&report::json(&result)?)?;
    } else if !args.quiet {
        let detail = if args.full { Detail::Full } else { Detail::Summary };
        super::print(&report::table(&result, detail))?;
    }
    if let Some(path) = args.json.as_deref().filter(|_| !to_output) {
        files::write(path, &report::json(&result)?)?;
    }
    let differences = recording.result.as_ref().map(|recorded| differences(recorded, &result));
    if let Some(differences) = &differences {
        let verdict = verdict(differences);
        // Standard output is the JSON document's.
        if to_output { note(&verdict) } else { super::print(&format!("\n{verdict}\n"))? }
    }
    let same = differences.is_none_or(|differences| differences.is_empty());
    Ok(super::exit_code(same && result.violations.is_empty()))
}

fn verdict(differences: &[String]) -> String {
    if differences.is_empty() {
        return "The run is the recorded one: same trace hash, same violations.".to_owned();
    }
    format!("The run is NOT the recorded one:\n  {}", differences.join("\n  "))
}

/// Reads either kind of file.
fn recording(path: &Path) -> anyhow::Result<Recording> {
    let text = files::text(path)?;
    if path.extension().is_some_and(|ending| ending == "json") {
        return recorded(path, &text);
    }
    let scenario = Scenario::parse(&path.display().to_string(), &text)?;
    let beside = path.with_extension("json");
    let result = match beside.is_file() {
        // Another scenario's result may lie there; then there is nothing to compare.
        true => {
            recorded(&beside, &files::text(&beside)?).ok().filter(|one| one.scenario == scenario)
        }
        false => None,
    };
    let seed = result.as_ref().map_or(scenario.run.seed, |one| one.seed);
    Ok(Recording { scenario, seed, result: result.and_then(|one| one.result) })
}

fn recorded(path: &Path, text: &str) -> anyhow::Result<Recording> {
    let shown = path.display();
    let result: RunResult = serde_json::from_str(text).with_context(|| {
        format!("{shown} is not a result of `qcn sim run`; give one, or a scenario")
    })?;
    let scenario = result.scenario_toml.as_deref().ok_or_else(|| {
        anyhow!("{shown} does not hold its scenario; run the scenario again with `qcn sim run`")
    })?;
    let scenario = Scenario::parse(&format!("{shown} (scenario_toml)"), scenario)?;
    Ok(Recording { scenario, seed: result.seed, result: Some(result) })
}

fn differences(recorded: &RunResult, result: &RunResult) -> Vec<String> {
    let mut differences = Vec::new();
    if recorded.trace_hash != result.trace_hash {
        differences
            .push(format!("trace hash {}, recorded {}", result.trace_hash, recorded.trace_hash));
    }
    if recorded.violations != result.violations {
        let count = |result: &RunResult| result.violations.len();
        differences.push(format!(
            "{} violations, recorded {}; or the same number with other details",
            count(result),
            count(recorded)
        ));
    }
    differences
}
