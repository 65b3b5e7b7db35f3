//! What a scenario expects of its result besides the invariants.

use super::format::Expect;
use crate::result::{RunResult, Violation};

/// The name under which an unmet expectation is reported.
const NAME: &str = "expectation";

/// Every expectation that the result does not meet, as a violation.
pub fn unmet(expect: &Expect, result: &RunResult) -> Vec<Violation> {
    let mut unmet = Vec::new();
    let mut report = |detail: String| {
        let at_ms = result.conditions.virtual_seconds * 1000.0;
        unmet.push(Violation { invariant: NAME.to_owned(), at_ms, validator: None, detail });
    };
    if let Some(most) = expect.finality_over_bound_max {
        match result.finality_ms.p50 {
            None => report("nothing was finalized in the measured time".to_owned()),
            Some(p50) if p50 > most * result.lower_bound_ms => report(format!(
                "median finality is {p50} ms, more than {most} times the lower bound of {} ms",
                result.lower_bound_ms
            )),
            Some(_) => {}
        }
    }
    if let Some(least) = expect.rounds_per_second_min
        && result.rounds_per_second < least
    {
        report(format!("{} rounds per second are fewer than {least}", result.rounds_per_second));
    }
    if let Some(most) = expect.bytes_per_round_max {
        let mut sent: Vec<f64> =
            result.validators.iter().map(|validator| validator.bytes_sent_per_round).collect();
        sent.sort_by(f64::total_cmp);
        let median = sent.get(sent.len() / 2).copied().unwrap_or_default();
        if median > most as f64 {
            report(format!("{median} bytes sent per round are more than {most}"));
        }
    }
    unmet
}
