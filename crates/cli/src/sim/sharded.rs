//! `qcn sim run` with one network of several shards: what changed in it, and whether all arrived.

use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context as _, bail};
use indicatif::ProgressBar;
use qcn_sim::result::Percentiles;
use qcn_sim::scenario::Scenario;
use qcn_sim::sharding::{Changes, ShardedNetwork, ShardedPlan, Tally};
use qcn_types::Time;
use serde_json::{Value, json};

use super::files;
use super::run::{FOLDER, RunArgs, progress_bar};
use crate::note;
use crate::output::{Table, or_dash};

/// In how many steps a run is made, for its progress bar.
const STEPS: u64 = 200;

/// Where a result has the scenario, so that it can be run again.
const SCENARIO: &str = "scenario_toml";

pub fn run(args: &RunArgs, scenario: &Scenario, plan: &ShardedPlan) -> anyhow::Result<ExitCode> {
    let name = scenario.name.as_str();
    if args.html.is_some() {
        bail!("a network of shards has no page yet: leave out --html, or take --json");
    }
    if args.broken.rule().is_some() {
        bail!("--break does not work with a network of shards");
    }
    if args.full {
        bail!("--full: a network of shards has no more to show; take --json for all figures");
    }
    let begun = Instant::now();
    let mut network = watched(name, plan, args.quiet)?;
    let violations = violations(&mut network);
    let mut result = result(name, plan, &network, &violations, begun);
    result[SCENARIO] = scenario.to_toml()?.into();
    let text = serde_json::to_string_pretty(&result)? + "\n";
    if files::is_standard_output(args.json.as_deref()) {
        super::print(&text)?;
    } else {
        if !args.quiet {
            super::print(&table(name, plan, &network, &violations))?;
        }
        let usual = || (!args.no_files).then(|| Path::new(FOLDER).join(format!("{name}.json")));
        if let Some(path) = args.json.clone().or_else(usual) {
            files::write(&path, &text)?;
            if !args.quiet {
                note(&format!("written: {}", path.display()));
            }
        }
    }
    Ok(super::exit_code(violations.is_empty()))
}

/// What a result says of a run that can be made again.
pub struct Recorded {
    scenario: Scenario,
    seed: u64,
    trace_hash: String,
}

/// The run that a result tells of, if it is one of a network of shards.
pub fn recorded(place: &str, text: &str) -> anyhow::Result<Option<Recorded>> {
    let Ok(value) = serde_json::from_str::<Value>(text) else { return Ok(None) };
    let known = (value["transfers_arrived"].is_u64(), value[SCENARIO].as_str());
    let ((true, Some(scenario)), Some(seed), Some(hash)) =
        (known, value["seed"].as_u64(), value["trace_hash"].as_str())
    else {
        return Ok(None);
    };
    let scenario = Scenario::parse(&format!("{place} ({SCENARIO})"), scenario)?;
    Ok(Some(Recorded { scenario, seed, trace_hash: hash.to_owned() }))
}

/// Runs it again, and says whether it is the same.
pub fn replay(recorded: &Recorded, quiet: bool) -> anyhow::Result<ExitCode> {
    let Recorded { scenario, seed, trace_hash } = recorded;
    let plan = scenario.sharded(*seed)?.context("the scenario has no [layout]")?;
    let mut network = watched(&scenario.name, &plan, quiet)?;
    let violations = violations(&mut network);
    let now = network.trace_hash().to_string();
    let is_same = now == *trace_hash;
    if !quiet {
        let verdict = match is_same {
            true => "The run is the recorded one: same trace hash.\n".to_owned(),
            false => {
                format!("The run is NOT the recorded one: trace hash {now}, not {trace_hash}\n")
            }
        };
        super::print(&(table(&scenario.name, &plan, &network, &violations) + "\n" + &verdict))?;
    }
    Ok(super::exit_code(is_same && violations.is_empty()))
}

/// Runs the network, with a progress bar.
fn watched(name: &str, plan: &ShardedPlan, quiet: bool) -> anyhow::Result<ShardedNetwork> {
    let bar = if quiet { ProgressBar::hidden() } else { progress_bar(name) };
    bar.set_length(plan.until.0);
    bar.set_message("making keys");
    bar.tick();
    let mut network = plan.builder.clone().build()?;
    for step in 1..=STEPS {
        let now = plan.until.0 * step / STEPS;
        network.run_to(Time(now));
        bar.set_position(now);
        bar.set_message(format!(
            "{:.1} s virtual, epoch {}, {} shards",
            now as f64 / 1e6,
            network.epoch(),
            network.shards_now()
        ));
    }
    bar.finish_and_clear();
    Ok(network)
}

/// The broken invariants, in words.
fn violations(network: &mut ShardedNetwork) -> Vec<String> {
    let violations = network.check_consensus();
    violations.iter().map(|it| format!("{}: {}", it.invariant, it.detail)).collect()
}

fn result(
    name: &str,
    plan: &ShardedPlan,
    network: &ShardedNetwork,
    violations: &[String],
    begun: Instant,
) -> Value {
    let Changes { epochs, committees, splits, merges } = network.changes();
    let tallies = network.memberships();
    let memberships = tallies.each().map(|(kind, Tally { asked, done })| {
        (kind.replace(' ', "_"), json!({ "asked": asked, "done": done }))
    });
    let latency = network.latency();
    json!({
        "scenario": name,
        "seed": plan.builder.seed(),
        "network": plan.describe(),
        "virtual_seconds": plan.until.0 as f64 / 1e6,
        "epochs_ended": epochs,
        "new_committees": committees,
        "votes": { "asked": network.votes().asked, "done": network.votes().done },
        "splits": splits,
        "merges": merges,
        "memberships": memberships.collect::<serde_json::Map<_, _>>(),
        "departures_refused": tallies.refused,
        "shards": network.shards_now(),
        "transfers_across": network.crossings(),
        "transfers_arrived": latency.across_ms.samples,
        "latency": latency,
        "pauses_ms": pauses_ms(network),
        "lanes_with_made_up_money": network.lanes_with_made_up_money(),
        "violations": violations,
        "trace_hash": network.trace_hash().to_string(),
        "host": { "wall_seconds": begun.elapsed().as_secs_f64() },
    })
}

/// How long nothing was executed for addresses whose shard opened anew, each time.
fn pauses_ms(network: &ShardedNetwork) -> Vec<f64> {
    let pauses = network.pauses();
    pauses.iter().map(|pause| pause.until.0.saturating_sub(pause.from.0) as f64 / 1e3).collect()
}

fn milliseconds(one: &Percentiles) -> String {
    let ms = |value: Option<f64>| or_dash(value.map(|ms| format!("{ms:.0}")));
    format!("p50 {} ms, p99 {} ms", ms(one.p50), ms(one.p99))
}

fn table(
    name: &str,
    plan: &ShardedPlan,
    network: &ShardedNetwork,
    violations: &[String],
) -> String {
    let Changes { epochs, committees, splits, merges } = network.changes();
    let latency = network.latency();
    let mut pauses = pauses_ms(network);
    pauses.sort_by(f64::total_cmp);
    let pause = match (pauses.get(pauses.len() / 2), pauses.last()) {
        (Some(median), Some(longest)) => format!("median {median:.0} ms, longest {longest:.0} ms"),
        _ => "none".to_owned(),
    };
    let validators = network.memberships();
    let asked = validators.each().filter(|(_, tally)| tally.asked > 0);
    let asked: Vec<String> =
        asked.map(|(kind, Tally { asked, done })| format!("{done} of {asked} {kind}")).collect();
    let mut asked = asked;
    if validators.refused > 0 {
        asked.push(format!("{} could not leave, as no seat may stay empty", validators.refused));
    }
    let votes = network.votes();
    if votes.asked > 0 {
        asked
            .push(format!("{} of {} votes on the layout led to a change", votes.done, votes.asked));
    }
    let across = &latency.across_ms;
    let scenario = ("scenario", format!("{name}, seed {}", plan.builder.seed()));
    let fields = [
        (
            "epochs",
            format!(
                "{epochs} ended, {committees} new committees, {splits} splits, {merges} merges"
            ),
        ),
        ("validators", if asked.is_empty() { "as they were".to_owned() } else { asked.join(", ") }),
        ("pauses", pause),
        ("within", milliseconds(&latency.within_ms)),
        (
            "across",
            format!(
                "{}; {} of {} arrived",
                milliseconds(across),
                across.samples,
                network.crossings()
            ),
        ),
        (
            "invariants",
            match violations {
                [] => "all held".to_owned(),
                broken => format!("{} BROKEN", broken.len()),
            },
        ),
        ("trace hash", network.trace_hash().to_string()),
    ];
    // What there is, and what goes wrong in it, a line each.
    let described = plan.describe();
    let parts = described.split("; ").enumerate();
    let parts = parts.map(|(at, part)| (if at == 0 { "network" } else { "" }, part.to_owned()));
    let fields: Vec<_> = std::iter::once(scenario).chain(parts).chain(fields).collect();
    let mut text = Table::of_fields(&fields).render();
    for violation in violations {
        text += &format!("broken: {violation}\n");
    }
    text
}
