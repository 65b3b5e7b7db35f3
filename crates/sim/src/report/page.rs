//! The standalone page.

use super::ReportError;
use super::facts;
use super::markup::{definitions, escaped, folded, table};
use super::number::{bytes, count, decimal, moment, ms, percent};
use super::plot;
use super::text::remarks;
use crate::result::{RateBucket, RunResult, ValidatorResult};

const STYLE: &str = include_str!("style.css");

/// How many of the validators farthest from their fair share are listed.
const FARTHEST_SHOWN: usize = 12;

/// A swatch of a plot's colour for its legend.
const BLUE: &str = "<i class=\"key blue\"></i>";
const ORANGE: &str = "<i class=\"key orange\"></i>";
const RED: &str = "<i class=\"key red\"></i>";
const GREEN: &str = "<i class=\"key green\"></i>";

pub fn page(result: &RunResult) -> Result<String, ReportError> {
    let title = escaped(&result.scenario);
    let body = [
        headline(result),
        cards(result),
        format!(
            "<section><h2>Conditions</h2>{}</section>",
            definitions(&facts::conditions(result))
        ),
        finality(result)?,
        pace(result)?,
        costs(result)?,
        fairness(result)?,
        validators(result),
        happenings(result),
        format!(
            "<section><h2>On this machine</h2><p>What the simulation itself cost; no figure above \
             depends on it.</p>{}</section>",
            definitions(&facts::host(result))
        ),
    ]
    .concat();
    Ok(format!(
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <meta name=\"color-scheme\" content=\"light dark\">\
         <title>{title} - simulation report</title>\n<style>\n{STYLE}</style></head>\n\
         <body><main>{body}</main><footer>trace hash <code>{}</code></footer></body></html>\n",
        escaped(&result.trace_hash)
    ))
}

fn headline(result: &RunResult) -> String {
    let (class, sign) = if result.violations.is_empty() { ("good", "✓") } else { ("bad", "✗") };
    format!(
        "<header><p class=\"kicker\">qcn simulation report</p><h1>{}</h1>\
         <p class=\"verdict {class}\"><span aria-hidden=\"true\">{sign}</span> {}</p></header>",
        escaped(&result.scenario),
        escaped(&facts::verdict(result)),
    )
}

fn cards(result: &RunResult) -> String {
    let bound = facts::bound_ratio(result).map_or_else(
        || "no finality was observed".to_owned(),
        |ratio| format!("{ratio:.2} × the bound of {}", ms(Some(result.lower_bound_ms))),
    );
    let load = &result.transactions;
    let cards = [
        ("Median finality", ms(result.finality_ms.p50), bound),
        (
            "99th percentile",
            ms(result.finality_ms.p99),
            format!("certified {}", ms(result.certified_ms.p99)),
        ),
        (
            "Rounds per second",
            decimal(result.rounds_per_second),
            format!("{} leaders committed per second", decimal(result.commits_per_second)),
        ),
        (
            "Transactions per second",
            decimal(load.per_second),
            format!("{} of {} final", count(load.finalized), count(load.submitted)),
        ),
    ];
    let html: String = cards
        .iter()
        .map(|(label, value, note)| {
            format!(
                "<div class=\"card\"><p class=\"label\">{}</p><p class=\"value\">{}</p><p class=\"note\">{}</p></div>",
                escaped(label), escaped(value), escaped(note)
            )
        })
        .collect();
    format!("<div class=\"cards\">{html}</div>")
}

/// A plot with its caption (which is markup) and its numbers.
fn figure(heading: &str, svg: &str, caption: &str, numbers: &str) -> String {
    format!(
        "<figure><h3>{}</h3>{svg}<figcaption>{caption}</figcaption>{numbers}</figure>",
        escaped(heading)
    )
}

fn finality(result: &RunResult) -> Result<String, ReportError> {
    let beyond = plot::beyond(result).unwrap_or_default();
    let caption = format!(
        "{BLUE} transactions by the time from submission to commit. {ORANGE} their cumulative \
         share, with its own scale at the right. {GREEN} three one-way message delays to more \
         than two thirds of the weight, at the median proposer. {}",
        escaped(&beyond)
    );
    let bins: Vec<Vec<String>> = result
        .finality_histogram
        .iter()
        .map(|bin| vec![decimal(bin.from_ms), decimal(bin.to_ms), count(bin.count)])
        .collect();
    let seconds: Vec<Vec<String>> = result
        .finality_over_time
        .iter()
        .map(|one| vec![one.second.to_string(), ms(one.p50), ms(one.p95), count(one.count)])
        .collect();
    let distribution = figure(
        "How long until a transaction is final",
        &plot::distribution(result)?,
        &caption,
        &folded(
            "The numbers",
            &table("Finality by time", &["from ms", "to ms", "transactions"], 0, &bins),
        ),
    );
    let over_time = figure(
        "Finality over time",
        &plot::over_time(result)?,
        &format!(
            "{BLUE} median and {ORANGE} 95th percentile of the transactions submitted in each \
             second. Shaded: the warm-up, and partitions in red."
        ),
        &folded(
            "The numbers",
            &table(
                "Finality by second of submission",
                &["second", "p50", "p95", "transactions"],
                0,
                &seconds,
            ),
        ),
    );
    Ok(format!("<section><h2>Finality</h2>{distribution}{over_time}</section>"))
}

fn pace(result: &RunResult) -> Result<String, ReportError> {
    let numbers = |caption: &str, buckets: &[RateBucket]| {
        let rows: Vec<Vec<String>> =
            buckets.iter().map(|one| vec![one.second.to_string(), count(one.count)]).collect();
        folded("The numbers", &table(caption, &["second", "count"], 0, &rows))
    };
    let rounds = figure(
        "Rounds",
        &plot::rounds(result)?,
        "Rounds begun in each second at the median validator.",
        &numbers("Rounds by second", &result.rounds_over_time),
    );
    let commits = figure(
        "Commits",
        &plot::commits(result)?,
        "Leaders committed in each second at the median validator.",
        &numbers("Commits by second", &result.commits_over_time),
    );
    Ok(format!("<section><h2>Pace</h2><div class=\"pair\">{rounds}{commits}</div></section>"))
}

fn costs(result: &RunResult) -> Result<String, ReportError> {
    let caption = |what: &str| {
        format!(
            "{BLUE} {what} of each validator, averaged over the rounds it took part in. {RED} adversaries."
        )
    };
    let sent = figure("Bytes", &plot::bytes_sent(result)?, &caption("bytes sent"), "");
    let cpu = figure("Processor", &plot::cpu(result)?, &caption("virtual processor time"), "");
    Ok(format!(
        "<section><h2>What it costs a validator</h2><div class=\"pair\">{sent}{cpu}</div></section>"
    ))
}

fn fairness(result: &RunResult) -> Result<String, ReportError> {
    let figure = figure(
        "Leading follows weight",
        &plot::fairness(result)?,
        &format!(
            "{BLUE} validators and {RED} adversaries (triangles). On the dashed diagonal a \
             validator leads exactly as often as its weight says; below it, its leader slots \
             were skipped, or evidence isolated it."
        ),
        "",
    );
    Ok(format!(
        "<section><h2>Fairness</h2><div class=\"pair\">{figure}<div>{}</div></div></section>",
        farthest_from_fair(&result.validators)
    ))
}

/// The validators whose leading differs most from their weight.
fn farthest_from_fair(members: &[ValidatorResult]) -> String {
    let distance = |one: &ValidatorResult| (one.leader_share - one.expected_leader_share).abs();
    let mut by_distance: Vec<&ValidatorResult> = members.iter().collect();
    by_distance.sort_by(|a, b| distance(b).total_cmp(&distance(a)));
    let rows: Vec<Vec<String>> = by_distance
        .iter()
        .take(FARTHEST_SHOWN)
        .map(|one| {
            vec![
                one.name.clone(),
                percent(one.expected_leader_share),
                percent(one.leader_share),
                count(one.leader_slots_skipped),
            ]
        })
        .collect();
    let headings = ["validator", "weight share", "leader share", "skipped"];
    table("Farthest from their share", &headings, 1, &rows)
}

fn validators(result: &RunResult) -> String {
    let headings = [
        "validator",
        "region",
        "remarks",
        "power",
        "weight share",
        "leader share",
        "slots",
        "committed",
        "skipped",
        "blocks",
        "sent",
        "sent per round",
        "CPU",
        "CPU per round",
        "round",
        "height",
        "certified",
    ];
    let rows: Vec<Vec<String>> = result
        .validators
        .iter()
        .map(|one| {
            vec![
                one.name.clone(),
                one.region.clone(),
                remarks(one),
                decimal(one.processing_power),
                percent(one.expected_leader_share),
                percent(one.leader_share),
                count(one.leader_slots),
                count(one.leader_slots_committed),
                count(one.leader_slots_skipped),
                count(one.blocks),
                bytes(one.bytes_sent as f64),
                bytes(one.bytes_sent_per_round),
                ms(Some(one.cpu_ms)),
                ms(Some(one.cpu_ms_per_round)),
                count(one.round),
                count(one.height),
                count(one.certified_height),
            ]
        })
        .collect();
    let table = table("Validators in committee order", &headings, 3, &rows);
    format!(
        "<section><h2>Validators</h2>{}</section>",
        folded(&format!("All {} validators", rows.len()), &table)
    )
}

fn happenings(result: &RunResult) -> String {
    let mut html = String::new();
    if !result.violations.is_empty() {
        let rows: Vec<Vec<String>> = result
            .violations
            .iter()
            .map(|one| {
                let place = one.validator.clone().unwrap_or_default();
                vec![moment(one.at_ms), one.invariant.clone(), place, one.detail.clone()]
            })
            .collect();
        let table =
            table("Violations", &["time", "invariant", "validator", "what was seen"], 4, &rows);
        html += &format!("<section><h2>Broken invariants</h2>{table}</section>");
    }
    if !result.events.is_empty() {
        let rows: Vec<Vec<String>> =
            result.events.iter().map(|one| vec![moment(one.at_ms), one.detail.clone()]).collect();
        let table = table("Events in virtual time", &["time", "event"], 2, &rows);
        html += &format!(
            "<section><h2>Events</h2>{}</section>",
            folded(&format!("All {} events", rows.len()), &table)
        );
    }
    html
}
