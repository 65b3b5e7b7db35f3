//! Whether leading follows weight.

use plotters::prelude::*;

use super::{Axes, BLUE, MUTED, RED, SQUARE, draw, headroom, refused, thick};
use crate::report::ReportError;
use crate::report::number::decimal;
use crate::result::RunResult;

/// Each validator's share of leader slots against its share of the weight.
pub fn fairness(result: &RunResult) -> Result<String, ReportError> {
    let members = &result.validators;
    let shares = members.iter().flat_map(|one| [one.expected_leader_share, one.leader_share]);
    let end = headroom(shares.map(|share| share * 100.0), 1.06);
    let axes = Axes {
        size: SQUARE,
        x: 0.0..end,
        y: 0.0..end,
        x_label: "share of the weight in %",
        y_label: "share of leader slots in %",
        x_shown: &|share| decimal(*share),
        y_shown: &|share| decimal(*share),
        description: "Each validator's share of leader slots against its share of the weight. On \
                      the diagonal both are equal.",
        right: 0,
    };
    draw(&axes, |chart| {
        let diagonal = [(0.0, 0.0), (end, end)];
        chart
            .draw_series(DashedLineSeries::new(diagonal, 12, 8, thick(MUTED, 1)))
            .map_err(refused)?;
        for one in members {
            let point = (one.expected_leader_share * 100.0, one.leader_share * 100.0);
            let failed = if one.honest {
                chart.draw_series([Circle::new(point, 9, BLUE.mix(0.55).filled())]).err()
            } else {
                chart.draw_series([TriangleMarker::new(point, 15, RED.mix(0.9).filled())]).err()
            };
            failed.map_or(Ok(()), |error| Err(refused(error)))?;
        }
        Ok(())
    })
}
