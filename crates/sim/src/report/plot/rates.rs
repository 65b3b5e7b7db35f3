//! How often rounds begin and leaders commit, over time.

use plotters::prelude::*;

use super::{Axes, BLUE, HALF, ORANGE, TimeAxis, draw, headroom, refused, thick};
use crate::report::ReportError;
use crate::report::number::decimal;
use crate::result::{RateBucket, RunResult};

/// Rounds per second.
pub fn rounds(result: &RunResult) -> Result<String, ReportError> {
    rate(result, &result.rounds_over_time, "rounds per second", BLUE)
}

/// Committed leaders per second.
pub fn commits(result: &RunResult) -> Result<String, ReportError> {
    rate(result, &result.commits_over_time, "leaders committed per second", ORANGE)
}

fn rate(
    result: &RunResult,
    buckets: &[RateBucket],
    what: &str,
    colour: RGBColor,
) -> Result<String, ReportError> {
    let time = TimeAxis::new(result);
    let description = format!("A line of {what} over virtual time, with events marked.");
    let axes = Axes {
        size: HALF,
        x: time.range.clone(),
        y: 0.0..headroom(buckets.iter().map(|bucket| bucket.count as f64), 1.35),
        x_label: "virtual time in s",
        y_label: what,
        x_shown: &|value| decimal(*value),
        y_shown: &|value| decimal(*value),
        description: &description,
        right: 0,
    };
    draw(&axes, |chart| {
        time.mark(chart)?;
        let points = buckets.iter().map(|one| (one.second as f64 + 0.5, one.count as f64));
        let area = AreaSeries::new(points, 0.0, colour.mix(0.12)).border_style(thick(colour, 2));
        chart.draw_series(area).map_err(refused)?;
        Ok(())
    })
}

/// Splits points at the gaps, so that no line suggests what was not observed.
pub fn stretches(points: impl Iterator<Item = Option<(f64, f64)>>) -> Vec<Vec<(f64, f64)>> {
    let mut stretches = vec![Vec::new()];
    for point in points {
        match (point, stretches.last_mut()) {
            (Some(point), Some(stretch)) => stretch.push(point),
            _ => stretches.push(Vec::new()),
        }
    }
    stretches.retain(|stretch| !stretch.is_empty());
    stretches
}
