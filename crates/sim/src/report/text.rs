//! The table for a terminal.

use super::Detail;
use super::facts::{self, Fact};
use super::number::{bytes, count, decimal, moment, percent};
use crate::result::{RunResult, ValidatorResult};

/// How many of the heaviest validators a summary shows.
const HEAVIEST_SHOWN: usize = 5;
/// How many of the lightest validators a summary shows.
const LIGHTEST_SHOWN: usize = 2;
/// How many validators that stand out a summary shows besides.
const STANDING_OUT_SHOWN: usize = 12;
/// How many events and violations a summary shows.
const EVENTS_SHOWN: usize = 12;

/// How wide the facts may become, in letters.
const LINE_WIDTH: usize = 110;

/// The columns of the validators' table, `true` for those aligned to the right.
const COLUMNS: [(&str, bool); 11] = [
    ("validator", false),
    ("region", false),
    ("power", true),
    ("weight", true),
    ("led", true),
    ("committed", true),
    ("blocks", true),
    ("sent/round", true),
    ("CPU/round", true),
    ("height", true),
    ("remarks", false),
];

pub fn table(result: &RunResult, detail: Detail) -> String {
    let mut text = format!("{}\n", result.scenario);
    section(&mut text, "Conditions", &facts::conditions(result));
    section(&mut text, "Measured in virtual time", &facts::measurements(result));
    validators(&mut text, &result.validators, detail);
    events(&mut text, result, detail);
    section(&mut text, "On this machine", &facts::host(result));
    violations(&mut text, result, detail);
    text += &format!("\ntrace hash {}\n", result.trace_hash);
    text
}

/// A heading and aligned facts; a label that repeats is written once.
fn section(text: &mut String, heading: &str, facts: &[Fact]) {
    *text += &format!("\n{heading}\n");
    let width = facts.iter().map(|(label, _)| label.len()).max().unwrap_or(0);
    let mut before = "";
    for (label, value) in facts {
        let shown = if *label == before { "" } else { label };
        let mut lines = wrapped(value, LINE_WIDTH.saturating_sub(width + 4)).into_iter();
        *text += &format!("  {shown:<width$}  {}\n", lines.next().unwrap_or_default());
        for line in lines {
            *text += &format!("  {:width$}  {line}\n", "");
        }
        before = label;
    }
}

/// Breaks a text at blanks into lines of at most `width` letters, as far as blanks allow.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_inclusive(' ') {
        let letters = word.trim_end().chars().count();
        match lines.last_mut() {
            Some(line) if line.is_empty() || line.chars().count() + letters <= width => {
                *line += word
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines.iter().map(|line| line.trim_end().to_owned()).collect()
}

fn validators(text: &mut String, validators: &[ValidatorResult], detail: Detail) {
    let shown = match detail {
        Detail::Full => (0..validators.len()).collect(),
        Detail::Summary => selection(validators),
    };
    *text += "\nValidators\n";
    let mut rows = vec![COLUMNS.map(|(heading, _)| heading.to_owned())];
    rows.extend(shown.iter().map(|&index| row(&validators[index])));
    let widths: Vec<usize> = (0..COLUMNS.len())
        .map(|column| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0))
        .collect();
    for row in rows {
        let mut line = String::new();
        for ((cell, width), (_, right)) in row.iter().zip(&widths).zip(COLUMNS) {
            line += &if right { format!("  {cell:>width$}") } else { format!("  {cell:<width$}") };
        }
        *text += line.trim_end();
        text.push('\n');
    }
    let hidden = validators.len() - shown.len();
    if hidden > 0 {
        *text += &format!("  and {hidden} more, which --full shows\n");
    }
}

/// The heaviest, the lightest and those that stand out, in committee order.
fn selection(validators: &[ValidatorResult]) -> Vec<usize> {
    let mut by_weight: Vec<usize> = (0..validators.len()).collect();
    by_weight.sort_by_key(|&index| (std::cmp::Reverse(validators[index].weight), index));
    let lightest = by_weight.len().saturating_sub(LIGHTEST_SHOWN).max(HEAVIEST_SHOWN);
    let mut shown: Vec<usize> = by_weight.iter().copied().take(HEAVIEST_SHOWN).collect();
    shown.extend(by_weight.iter().copied().skip(lightest));
    let standing_out =
        (0..validators.len()).filter(|&index| !remarks(&validators[index]).is_empty());
    shown.extend(standing_out.take(STANDING_OUT_SHOWN));
    shown.sort_unstable();
    shown.dedup();
    shown
}

fn row(one: &ValidatorResult) -> [String; COLUMNS.len()] {
    [
        one.name.clone(),
        one.region.clone(),
        decimal(one.processing_power),
        percent(one.expected_leader_share),
        percent(one.leader_share),
        format!("{}/{}", count(one.leader_slots_committed), count(one.leader_slots)),
        count(one.blocks),
        bytes(one.bytes_sent_per_round),
        format!("{} ms", decimal(one.cpu_ms_per_round)),
        count(one.height),
        remarks(one),
    ]
}

/// What sets a validator apart from an honest one in good order.
pub fn remarks(one: &ValidatorResult) -> String {
    let mut remarks = Vec::new();
    if !one.honest {
        remarks.push("adversary".to_owned());
    }
    if one.evidence > 0 {
        remarks.push(format!("{} of evidence", super::number::of(one.evidence, "piece")));
    }
    if one.isolated {
        remarks.push("isolated".to_owned());
    }
    remarks.join(", ")
}

fn events(text: &mut String, result: &RunResult, detail: Detail) {
    if result.events.is_empty() {
        return;
    }
    let shown = if detail == Detail::Full { result.events.len() } else { EVENTS_SHOWN };
    *text += "\nEvents\n";
    for event in result.events.iter().take(shown) {
        *text += &format!("  {:>9}  {}\n", moment(event.at_ms), event.detail);
    }
    more(text, result.events.len(), shown);
}

fn violations(text: &mut String, result: &RunResult, detail: Detail) {
    *text += &format!("\n{}\n", facts::verdict(result));
    let shown = if detail == Detail::Full { result.violations.len() } else { EVENTS_SHOWN };
    for violation in result.violations.iter().take(shown) {
        let place = violation.validator.as_deref().map(|name| format!(" at {name}"));
        *text += &format!(
            "  {:>9}  {}{}: {}\n",
            moment(violation.at_ms),
            violation.invariant,
            place.unwrap_or_default(),
            violation.detail,
        );
    }
    more(text, result.violations.len(), shown);
}

fn more(text: &mut String, all: usize, shown: usize) {
    if all > shown {
        *text += &format!("  and {} more, which --full shows\n", all - shown);
    }
}
