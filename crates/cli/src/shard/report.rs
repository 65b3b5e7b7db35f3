//! What `qcn shard plan` prints.

use std::fmt::Write as _;

use qcn_light::Draw;
use qcn_types::cap_weights;
use serde_json::{Value, json};

use super::capture::Bounds;
use super::plan::{Assessment, Layout, Plan};
use super::search::LOOKED_BELOW;
use super::validators::Validator;
use crate::output::{Table, harmless};

/// The report for a person.
pub fn text(
    layout: &Layout,
    plan: &Plan,
    validators: &[Validator],
    draw: Option<&Draw>,
) -> anyhow::Result<String> {
    let mut text = conditions(layout, plan);
    let mut table = Table::new(&[
        "corrupt validators",
        "number",
        "weight",
        "shard and epoch, from",
        "to",
        "any shard, epoch",
        "any shard, year",
    ]);
    for one in &plan.assessments {
        table.row(vec![
            one.strategy.name().to_owned(),
            one.corrupt_validators.to_string(),
            one.corrupt_weight.to_string(),
            rounded_down(one.capture.probability.lower),
            rounded_up(one.capture.probability.upper),
            rounded_up(one.any_shard.upper),
            rounded_up(one.year.upper),
        ]);
    }
    writeln!(text, "\n{}", table.render())?;
    text.push_str(&remarks(plan));
    let verdict = if plan.refusal.is_some() { "above" } else { "within" };
    let worst = plan.worst();
    writeln!(
        text,
        "verdict     {verdict} the bound of {:e} a year; the worst is \"{}\" with at most {}",
        layout.bound.0,
        worst.strategy.name(),
        rounded_up(worst.year.upper)
    )?;
    if let Some(draw) = draw {
        write_draw(&mut text, draw, validators)?;
    }
    Ok(text)
}

fn conditions(layout: &Layout, plan: &Plan) -> String {
    let total: u64 = layout.weights.iter().sum();
    let heaviest = layout.weights.iter().max().copied().unwrap_or(0);
    let seats = match (plan.found, plan.seats) {
        (false, _) => "as asked".to_owned(),
        (true, Some(_)) => format!(
            "the fewest within the bound: the {LOOKED_BELOW} next smaller numbers from 4 on are not"
        ),
        (true, None) => "the most there can be: no number of seats is within the bound".to_owned(),
    };
    format!(
        "validators  {}, of weight {total} in total; the heaviest has {:.2} %\n\
         layout      {} {} of {} seats ({seats})\n\
         adversary   {} of the weight at most, chosen before the seed is known\n\
         epochs      {} hours each, {:.2} in a year\n\
         captured    is a committee whose corrupt members weigh more than f, a third of it\n",
        layout.weights.len(),
        100.0 * heaviest as f64 / total as f64,
        layout.shards,
        if layout.shards == 1 { "shard" } else { "shards" },
        plan.assessed_seats,
        layout.corrupt,
        layout.epoch_length.hours(),
        layout.epoch_length.per_year(),
    )
}

/// What the numbers rest on, where that differs.
fn remarks(plan: &Plan) -> String {
    let mut text = String::new();
    if plan.assessments.iter().any(|one| !one.capture.exact_weights) {
        text.push_str(
            "weights     too diverse for exact sums: rounded, with certified bounds on either side\n",
        );
    }
    let heavy = plan.assessments.iter().map(|one| one.capture.heavy_honest).fold(0.0, f64::max);
    if heavy > 0.0 {
        text.push_str(&format!(
            "capping     up to {} of the probability is for committees in which formation lowers\n            \
             an honest weight to f: all of them are counted as captured\n",
            rounded_up(heavy)
        ));
    }
    text
}

fn write_draw(text: &mut String, draw: &Draw, validators: &[Validator]) -> anyhow::Result<()> {
    let name = |seat: &usize| harmless(&validators[*seat].name);
    let names = |seats: &[usize]| seats.iter().map(name).collect::<Vec<_>>().join(" ");
    writeln!(text)?;
    for committee in &draw.committees {
        let (weights, lowered) = formed(&committee.seats, validators);
        let total: u64 = weights.iter().sum();
        writeln!(
            text,
            "shard {}: weight {total}, f = {}, {} lowered: {}",
            committee.shard,
            (total - 1) / 3,
            lowered,
            names(&committee.seats)
        )?;
    }
    for link in &draw.links {
        let (left, right) = (link.left, link.right);
        writeln!(text, "shards {left} and {right} share: {}", names(&link.shared))?;
    }
    Ok(())
}

/// The weights of a committee as formation gives them, and how many it lowers.
fn formed(seats: &[usize], validators: &[Validator]) -> (Vec<u64>, usize) {
    let asked: Vec<u64> = seats.iter().map(|seat| validators[*seat].weight).collect();
    let mut given = asked.clone();
    cap_weights(&mut given);
    let lowered = asked.iter().zip(&given).filter(|(asked, given)| asked != given).count();
    (given, lowered)
}

/// The report for a program.
pub fn json(layout: &Layout, plan: &Plan, validators: &[Validator], draw: Option<&Draw>) -> Value {
    let assessments: Vec<Value> = plan.assessments.iter().map(assessment).collect();
    json!({
        "validators": layout.weights.len(),
        "total_weight": layout.weights.iter().sum::<u64>(),
        "shards": layout.shards,
        "seats": plan.seats,
        "seats_searched": plan.found,
        "assessed_seats": plan.assessed_seats,
        "corrupt": layout.corrupt.as_f64(),
        "epoch_hours": layout.epoch_length.hours(),
        "epochs_per_year": layout.epoch_length.per_year(),
        "bound_per_year": layout.bound.0,
        "assessments": assessments,
        "worst": plan.worst().strategy.name(),
        "accepted": plan.refusal.is_none(),
        "refusal": plan.refusal,
        "draw": draw.map(|draw| drawn(draw, validators)),
    })
}

fn assessment(one: &Assessment) -> Value {
    let bounds = |bounds: Bounds| json!({ "lower": bounds.lower, "upper": bounds.upper });
    json!({
        "corrupt": one.strategy.name(),
        "corrupt_validators": one.corrupt_validators,
        "corrupt_weight": one.corrupt_weight,
        "exact_weights": one.capture.exact_weights,
        "shard_and_epoch": bounds(one.capture.probability),
        "shard_and_epoch_uncapped": bounds(one.capture.uncapped),
        "heavy_honest_upper": one.capture.heavy_honest,
        "any_shard_epoch": bounds(one.any_shard),
        "any_shard_year": bounds(one.year),
    })
}

fn drawn(draw: &Draw, validators: &[Validator]) -> Value {
    let committees = draw.committees.iter().map(|committee| {
        let (weights, lowered) = formed(&committee.seats, validators);
        let members = committee.seats.iter().zip(&weights).map(|(seat, weight)| {
            json!({ "index": seat, "name": validators[*seat].name, "weight": weight })
        });
        json!({
            "shard": committee.shard.0,
            "members": members.collect::<Vec<_>>(),
            "total_weight": weights.iter().sum::<u64>(),
            "lowered": lowered,
        })
    });
    let links = draw.links.iter().map(|link| {
        json!({
            "left": link.left.0,
            "right": link.right.0,
            "drawn": link.drawn,
            "shared": link.shared,
        })
    });
    json!({
        "committees": committees.collect::<Vec<_>>(),
        "links": links.collect::<Vec<_>>(),
    })
}

/// Four digits that are not above a probability.
fn rounded_down(probability: f64) -> String {
    if probability < 1e-250 {
        return "0".to_owned();
    }
    shown(probability, |shown| shown <= probability, -1.0)
}

/// Four digits that are not below a probability.
fn rounded_up(probability: f64) -> String {
    // Where no committee can be captured, the arithmetic still leaves a trace.
    if probability < 1e-250 {
        return "1e-250".to_owned();
    }
    shown(probability, |shown| shown >= probability, 1.0)
}

/// The nearest four digits, or one more or less in the last of them.
fn shown(probability: f64, fits: impl Fn(f64) -> bool, direction: f64) -> String {
    let text = format!("{probability:.3e}");
    if text.parse().is_ok_and(fits) {
        return text;
    }
    let last_place = 10_f64.powf(probability.log10().floor() - 3.0);
    format!("{:.3e}", probability + direction * last_place / 2.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_rounded_outwards() {
        assert_eq!(
            (rounded_down(1.23456e-7), rounded_up(1.23456e-7)),
            ("1.234e-7".into(), "1.235e-7".into())
        );
        assert_eq!(
            (rounded_down(1.2344e-7), rounded_up(1.2341e-7)),
            ("1.234e-7".into(), "1.235e-7".into())
        );
        assert_eq!(
            (rounded_down(9.9999e-3), rounded_up(9.9991e-3)),
            ("9.999e-3".into(), "1.000e-2".into())
        );
        assert_eq!((rounded_down(0.0), rounded_up(1.0)), ("0".into(), "1.000e0".into()));
    }
}
