//! What each validator spends, one bar each in committee order.

use plotters::prelude::*;

use super::{Axes, BLUE, HALF, RED, draw, headroom, refused};
use crate::report::ReportError;
use crate::report::number::decimal;
use crate::result::{RunResult, ValidatorResult};

/// Up to how many bars there are gaps between them.
const GAPS_MAX: usize = 60;

/// Bytes sent per round.
pub fn bytes_sent(result: &RunResult) -> Result<String, ReportError> {
    bars(result, "kB sent per round", &|one| one.bytes_sent_per_round / 1000.0)
}

/// Virtual processor time per round.
pub fn cpu(result: &RunResult) -> Result<String, ReportError> {
    bars(result, "virtual CPU ms per round", &|one| one.cpu_ms_per_round)
}

fn bars(
    result: &RunResult,
    what: &str,
    value: &dyn Fn(&ValidatorResult) -> f64,
) -> Result<String, ReportError> {
    let members = &result.validators;
    let description = format!(
        "One bar of {what} for each of {} validators in committee order; adversaries are red.",
        members.len()
    );
    let axes = Axes {
        size: HALF,
        x: -0.5..members.len().max(1) as f64 - 0.5,
        y: 0.0..headroom(members.iter().map(value), 1.1),
        x_label: "validator, in committee order",
        y_label: what,
        x_shown: &|place| if place.fract() == 0.0 { decimal(*place) } else { String::new() },
        y_shown: &|value| decimal(*value),
        description: &description,
        right: 0,
    };
    let half = if members.len() > GAPS_MAX { 0.5 } else { 0.4 };
    draw(&axes, |chart| {
        let bars = (0..).zip(members).map(|(place, one)| {
            let place = f64::from(place);
            let colour = if one.honest { BLUE.mix(0.7) } else { RED.mix(0.8) };
            Rectangle::new([(place - half, 0.0), (place + half, value(one))], colour.filled())
        });
        chart.draw_series(bars).map_err(refused)?;
        Ok(())
    })
}
