//! How long transactions take, as a distribution and over time.

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::{Axes, Chart, TimeAxis, draw, headroom, label, letters, refused, thick, upright};
use super::{BLUE, GREEN, MUTED, ORANGE, RED, WIDE};
use crate::report::ReportError;
use crate::report::number::{count, decimal, percent};
use crate::result::{HistogramBin, RunResult};

/// How far beyond the 99th percentile the distribution is shown.
const BEYOND_P99: f64 = 1.3;

/// The room above the highest bar, for the labels.
const HEADROOM: f64 = 1.45;
/// How wide the labels of the cumulative share are, on the page.
const SHARE_LABELS: u32 = 34;

/// The histogram of finality, its cumulative share, the percentiles and the lower bound.
pub fn distribution(result: &RunResult) -> Result<String, ReportError> {
    let bins = &result.finality_histogram;
    let x = shown_range(result);
    let top = headroom(bins.iter().map(|bin| bin.count as f64), HEADROOM);
    let description = description(result);
    let axes = Axes {
        size: WIDE,
        x: x.clone(),
        y: 0.0..top,
        x_label: "finality in ms",
        y_label: "transactions",
        x_shown: &|value| decimal(*value),
        y_shown: &|value| count(value.round() as u64),
        description: &description,
        right: SHARE_LABELS,
    };
    draw(&axes, |chart| {
        let visible = even(bins).iter().filter(|bin| bin.from_ms < x.end);
        let bars = visible.map(|bin| {
            let corners = [(bin.from_ms, 0.0), (bin.to_ms.min(x.end), bin.count as f64)];
            Rectangle::new(corners, BLUE.mix(0.55).filled())
        });
        chart.draw_series(bars).map_err(refused)?;
        cumulative(chart, bins, top)?;
        landmarks(chart, result)
    })
}

/// The bins without the last one if it is wider than the others: it holds the rest, and its
/// height would not compare.
fn even(bins: &[HistogramBin]) -> &[HistogramBin] {
    let width = |bin: &HistogramBin| bin.to_ms - bin.from_ms;
    match bins {
        [first, .., last] if width(last) > 1.5 * width(first) => &bins[..bins.len() - 1],
        _ => bins,
    }
}

/// What the distribution's axis spans: up to somewhat beyond the 99th percentile.
fn shown_range(result: &RunResult) -> std::ops::Range<f64> {
    let bins = &result.finality_histogram;
    let shown = even(bins);
    let (Some(first), Some(last), Some(p99)) =
        (shown.first(), shown.last(), result.finality_ms.p99)
    else {
        return 0.0..1000.0;
    };
    let end = last.to_ms.min(p99 * BEYOND_P99).max(first.to_ms);
    let start = match result.lower_bound_ms {
        bound if bound > 0.0 => first.from_ms.min(bound),
        _ => first.from_ms,
    };
    let start = (start - (end - start) * 0.06).max(0.0);
    if start < 0.3 * end { 0.0..end } else { start..end }
}

/// The share of transactions that are final by a given time, up to the height of 100%.
fn cumulative(
    chart: &mut Chart<'_, '_>,
    bins: &[HistogramBin],
    top: f64,
) -> Result<(), ReportError> {
    let (end, full) = (chart.x_range().end, top / HEADROOM);
    let all = bins.iter().map(|bin| bin.count).sum::<u64>().max(1) as f64;
    let mut seen = 0;
    let mut points: Vec<(f64, f64)> = bins.iter().take(1).map(|bin| (bin.from_ms, 0.0)).collect();
    for bin in bins.iter().filter(|bin| bin.to_ms <= end) {
        seen += bin.count;
        points.push((bin.to_ms, seen as f64 / all * full));
    }
    chart.draw_series(LineSeries::new(points, thick(ORANGE, 2))).map_err(refused)?;
    let style = letters(ORANGE).pos(Pos::new(HPos::Left, VPos::Center));
    let labels = [(0.5, "50%"), (1.0, "100%")].map(|(share, text)| {
        EmptyElement::at((end, share * full)) + Text::new(text, (12, 0), style.clone())
    });
    chart.draw_series(labels).map_err(refused)?;
    Ok(())
}

/// The lower bound and the percentiles, each label on its own row.
fn landmarks(chart: &mut Chart<'_, '_>, result: &RunResult) -> Result<(), ReportError> {
    let figures = &result.finality_ms;
    let bound = (result.lower_bound_ms > 0.0).then_some(result.lower_bound_ms);
    let landmarks = [
        ("lower bound", bound, GREEN),
        ("p50", figures.p50, BLUE),
        ("p95", figures.p95, MUTED),
        ("p99", figures.p99, RED),
    ];
    for (row, (name, value, colour)) in (0..).zip(landmarks) {
        if let Some(at) = value {
            upright(chart, at, colour)?;
            label(chart, at, row, &format!("{name} {} ms", decimal(at)), colour)?;
        }
    }
    Ok(())
}

fn description(result: &RunResult) -> String {
    let figures = &result.finality_ms;
    let (Some(p50), Some(p95), Some(p99)) = (figures.p50, figures.p95, figures.p99) else {
        return "Histogram of finality: nothing was finalized in the measured time.".to_owned();
    };
    format!(
        "Histogram of the finality of {} transactions with its cumulative share. Half are final \
         within {} ms, 95% within {} ms, 99% within {} ms; the lower bound is {} ms.",
        count(figures.samples),
        decimal(p50),
        decimal(p95),
        decimal(p99),
        decimal(result.lower_bound_ms),
    )
}

/// How many transactions lie beyond what the distribution shows, as a sentence.
pub fn beyond(result: &RunResult) -> Option<String> {
    let end = shown_range(result).end;
    let bins = &result.finality_histogram;
    let beyond: u64 = bins.iter().filter(|bin| bin.from_ms >= end).map(|bin| bin.count).sum();
    let share = beyond as f64 / result.finality_ms.samples.max(1) as f64;
    (beyond > 0)
        .then(|| format!("{} ({}) took longer than the axis shows.", count(beyond), percent(share)))
}

/// Median and 95th percentile by the second of submission.
pub fn over_time(result: &RunResult) -> Result<String, ReportError> {
    let time = TimeAxis::new(result);
    let buckets = &result.finality_over_time;
    let top = headroom(buckets.iter().filter_map(|bucket| bucket.p95), 1.3);
    let axes = Axes {
        size: WIDE,
        x: time.range.clone(),
        y: 0.0..top,
        x_label: "virtual time of submission in s",
        y_label: "finality in ms",
        x_shown: &|value| decimal(*value),
        y_shown: &|value| decimal(*value),
        description: "Median and 95th percentile of finality for each second of submission, with \
                      partitions, crashes and other events marked.",
        right: 0,
    };
    draw(&axes, |chart| {
        time.mark(chart)?;
        for (colour, figure) in [(ORANGE, 1), (BLUE, 0)] {
            let points = buckets.iter().map(|bucket| {
                let value = if figure == 0 { bucket.p50 } else { bucket.p95 };
                value.map(|value| (bucket.second as f64 + 0.5, value))
            });
            for stretch in super::rates::stretches(points) {
                let dots = stretch.iter().map(|&point| Circle::new(point, 5, colour.filled()));
                chart.draw_series(dots).map_err(refused)?;
                chart.draw_series(LineSeries::new(stretch, thick(colour, 2))).map_err(refused)?;
            }
        }
        Ok(())
    })
}
