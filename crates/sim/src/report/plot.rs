//! Plots as inline SVG.
//!
//! A plot is drawn at twice its size on the page, because the drawing library rounds to whole
//! pixels. Its colours are those of the light theme; the page's style sheet maps each of them
//! to the dark theme by its value, so the two lists belong together.

mod fairness;
mod finality;
mod rates;
mod validators;

use std::ops::Range;

use plotters::coord::types::RangedCoordf64;
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::ReportError;
use super::markup::escaped;
use crate::result::{EventKind, RunResult};

pub use fairness::fairness;
pub use finality::{beyond, distribution, over_time};
pub use rates::{commits, rounds};
pub use validators::{bytes_sent, cpu};

/// Axes and labels.
pub const MUTED: RGBColor = RGBColor(0x59, 0x63, 0x6E);
/// Grid lines.
pub const GRID: RGBColor = RGBColor(0xE3, 0xE7, 0xEC);
/// The first series.
pub const BLUE: RGBColor = RGBColor(0x25, 0x63, 0xEB);
/// The second series.
pub const ORANGE: RGBColor = RGBColor(0xC2, 0x57, 0x0C);
/// What is wrong.
pub const RED: RGBColor = RGBColor(0xCF, 0x22, 0x2E);
/// What is well again.
pub const GREEN: RGBColor = RGBColor(0x1A, 0x7F, 0x37);
/// Times that are set apart.
pub const SHADE: RGBColor = RGBColor(0x8C, 0x95, 0x9F);

/// How much larger a plot is drawn than it is shown.
const SCALE: u32 = 2;
/// The size of a label's letters, as drawn.
const LETTERS: u32 = 31;
/// A plot across the page.
pub const WIDE: (u32, u32) = (1040, 330);
/// A plot on half of the page.
pub const HALF: (u32, u32) = (510, 290);
/// A square one.
pub const SQUARE: (u32, u32) = (510, 440);

/// A chart with plain numbers on both axes.
pub type Chart<'area, 'text> =
    ChartContext<'area, SVGBackend<'text>, Cartesian2d<RangedCoordf64, RangedCoordf64>>;

/// What a chart spans and how its axes read.
pub struct Axes<'a> {
    /// Width and height on the page.
    pub size: (u32, u32),
    /// The horizontal range.
    pub x: Range<f64>,
    /// The vertical range.
    pub y: Range<f64>,
    /// What the horizontal axis means.
    pub x_label: &'a str,
    /// What the vertical axis means.
    pub y_label: &'a str,
    /// How a number at the horizontal axis reads.
    pub x_shown: &'a dyn Fn(&f64) -> String,
    /// How a number at the vertical axis reads.
    pub y_shown: &'a dyn Fn(&f64) -> String,
    /// The text alternative.
    pub description: &'a str,
    /// How wide the margin at the right is, on the page: room for a second axis.
    pub right: u32,
}

/// Draws the axes, then what the body adds.
pub fn draw(
    axes: &Axes<'_>,
    body: impl FnOnce(&mut Chart<'_, '_>) -> Result<(), ReportError>,
) -> Result<String, ReportError> {
    let mut svg = String::new();
    {
        let size = (axes.size.0 * SCALE, axes.size.1 * SCALE);
        let area = SVGBackend::with_string(&mut svg, size).into_drawing_area();
        let mut chart = ChartBuilder::on(&area)
            .margin(6 * SCALE)
            .margin_right((14 + axes.right) * SCALE)
            .x_label_area_size(46 * SCALE)
            .y_label_area_size(66 * SCALE)
            .build_cartesian_2d(axes.x.clone(), axes.y.clone())
            .map_err(refused)?;
        chart
            .configure_mesh()
            .disable_x_mesh()
            .light_line_style(TRANSPARENT)
            .bold_line_style(GRID.stroke_width(SCALE))
            .axis_style(MUTED.stroke_width(SCALE))
            .label_style(letters(MUTED))
            .axis_desc_style(letters(MUTED))
            .x_labels(if axes.size.0 > HALF.0 { 12 } else { 7 })
            .y_labels(6)
            .x_desc(axes.x_label)
            .y_desc(axes.y_label)
            .x_label_formatter(axes.x_shown)
            .y_label_formatter(axes.y_shown)
            .draw()
            .map_err(refused)?;
        body(&mut chart)?;
        area.present().map_err(refused)?;
    }
    let named = format!("<svg role=\"img\" aria-label=\"{}\" ", escaped(axes.description));
    Ok(svg.replacen("<svg ", &named, 1))
}

/// The drawing library's refusal, as ours.
pub fn refused(error: impl std::fmt::Display) -> ReportError {
    ReportError::Plot(error.to_string())
}

/// The usual letters in a colour.
pub fn letters(colour: RGBColor) -> TextStyle<'static> {
    ("sans-serif", LETTERS).into_font().color(&colour)
}

/// A line's thickness as drawn, given as shown.
pub fn thick(colour: RGBColor, pixels: u32) -> ShapeStyle {
    colour.stroke_width(pixels * SCALE)
}

/// A vertical line across the chart.
pub fn upright(chart: &mut Chart<'_, '_>, x: f64, colour: RGBColor) -> Result<(), ReportError> {
    let y = chart.y_range();
    let line = [(x, y.start), (x, y.end)];
    let style = colour.mix(0.85).stroke_width(SCALE);
    chart.draw_series(DashedLineSeries::new(line, 5 * SCALE, 4 * SCALE, style)).map_err(refused)?;
    Ok(())
}

/// How far a label stands off its line, on the page.
const LABEL_GAP: i32 = 4;
/// The mean width of a letter as a share of its height.
const LETTER_WIDTH: f64 = 0.46;

/// A label beside a vertical line, `row` lines below the top, on the side that has room.
pub fn label(
    chart: &mut Chart<'_, '_>,
    x: f64,
    row: u32,
    text: &str,
    colour: RGBColor,
) -> Result<(), ReportError> {
    let leftward = label_extent(chart, x, text).start < x;
    let (side, sign) = if leftward { (HPos::Right, -1) } else { (HPos::Left, 1) };
    let down = (row * (LETTERS + 3) + 4) as i32;
    let style = letters(colour).pos(Pos::new(side, VPos::Top));
    let words = EmptyElement::at((x, chart.y_range().end))
        + Text::new(text.to_owned(), (sign * LABEL_GAP * SCALE as i32, down), style);
    chart.draw_series([words]).map_err(refused)?;
    Ok(())
}

/// From where to where on the horizontal axis a label beside `x` reaches: to the right of it
/// if there is room, else to the left.
fn label_extent(chart: &Chart<'_, '_>, x: f64, text: &str) -> Range<f64> {
    let range = chart.x_range();
    let pixels = f64::from(chart.plotting_area().dim_in_pixel().0.max(1));
    let letters = text.chars().count() as f64 * f64::from(LETTERS) * LETTER_WIDTH;
    let width = (letters + f64::from(2 * LABEL_GAP)) / pixels * (range.end - range.start);
    if x + width <= range.end { x..x + width } else { x - width..x }
}

/// The upper end of an axis that leaves some room above the largest value.
pub fn headroom(values: impl IntoIterator<Item = f64>, factor: f64) -> f64 {
    let largest = values.into_iter().fold(0.0, f64::max);
    if largest > 0.0 { largest * factor } else { 1.0 }
}

/// A run's virtual time as an axis.
pub struct TimeAxis {
    /// From its beginning to its end, in seconds.
    pub range: Range<f64>,
    warm_up: f64,
    splits: Vec<Range<f64>>,
    marks: Vec<(f64, RGBColor, String)>,
}

/// Marks nearer to each other than this share of the axis become one.
const MARKS_APART: f64 = 0.008;
/// How many rows of labels there are; a label that fits in none is left out.
const LABEL_ROWS: usize = 3;

impl TimeAxis {
    /// The axis of a run with its events.
    pub fn new(result: &RunResult) -> Self {
        let end = result.conditions.virtual_seconds.max(1.0);
        Self {
            range: 0.0..end,
            warm_up: result.conditions.warm_up_seconds.min(end),
            splits: splits(result, end),
            marks: marks(result, end * MARKS_APART),
        }
    }

    /// Shades the warm-up and the partitions, and marks every event.
    pub fn mark(&self, chart: &mut Chart<'_, '_>) -> Result<(), ReportError> {
        let y = chart.y_range();
        let shade = |range: &Range<f64>, colour: RGBAColor| {
            Rectangle::new([(range.start, y.start), (range.end, y.end)], colour.filled())
        };
        let mut shades = vec![shade(&(0.0..self.warm_up), SHADE.mix(0.16))];
        shades.extend(self.splits.iter().map(|split| shade(split, RED.mix(0.10))));
        chart.draw_series(shades).map_err(refused)?;
        let mut rows: [Vec<Range<f64>>; LABEL_ROWS] = Default::default();
        if self.warm_up > 0.0 {
            label(chart, 0.0, 0, "warm-up", MUTED)?;
            rows[0].push(label_extent(chart, 0.0, "warm-up"));
        }
        for (at, colour, text) in &self.marks {
            upright(chart, *at, *colour)?;
            let extent = label_extent(chart, *at, text);
            let free = |row: &Vec<Range<f64>>| {
                row.iter().all(|taken| extent.end < taken.start || taken.end < extent.start)
            };
            if let Some(row) = rows.iter().position(free) {
                label(chart, *at, row as u32, text, *colour)?;
                rows[row].push(extent);
            }
        }
        Ok(())
    }
}

/// From each partition to the heal that ends it, in seconds.
fn splits(result: &RunResult, end: f64) -> Vec<Range<f64>> {
    let mut splits: Vec<Range<f64>> = Vec::new();
    let mut begun = None;
    for event in &result.events {
        let at = event.at_ms / 1000.0;
        match event.kind {
            EventKind::Partition => begun = begun.or(Some(at)),
            EventKind::Heal => splits.extend(begun.take().map(|begin| begin..at)),
            _ => {}
        }
    }
    splits.extend(begun.map(|begin| begin..end));
    splits
}

/// The events by time; equal ones at nearly the same time are counted together.
fn marks(result: &RunResult, apart: f64) -> Vec<(f64, RGBColor, String)> {
    let mut groups: Vec<(f64, EventKind, u64)> = Vec::new();
    for event in &result.events {
        let at = event.at_ms / 1000.0;
        match groups
            .iter_mut()
            .rev()
            .find(|(begin, kind, _)| *kind == event.kind && at - begin < apart)
        {
            Some((_, _, count)) => *count += 1,
            None => groups.push((at, event.kind, 1)),
        }
    }
    groups
        .into_iter()
        .map(|(at, kind, count)| {
            let (word, colour) = wording(kind);
            let text = if count == 1 { word.to_owned() } else { format!("{count} × {word}") };
            (at, colour, text)
        })
        .collect()
}

/// How an event is called on an axis, and its colour.
const fn wording(kind: EventKind) -> (&'static str, RGBColor) {
    match kind {
        EventKind::Partition => ("partition", RED),
        EventKind::Heal => ("heal", GREEN),
        EventKind::Crash => ("crash", RED),
        EventKind::Restart => ("restart", GREEN),
        EventKind::Pause => ("pause", ORANGE),
        EventKind::Disk => ("disk", ORANGE),
        EventKind::Clock => ("clock", ORANGE),
        EventKind::Network => ("network", ORANGE),
        EventKind::Adversary => ("attack", RED),
        EventKind::Isolation => ("isolation", GREEN),
        EventKind::Violation => ("violation", RED),
        EventKind::Other => ("event", MUTED),
    }
}

#[cfg(test)]
mod tests;
