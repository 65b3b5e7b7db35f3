//! Who does not follow the protocol.

use super::choice::Chooser;
use super::error::{Path, Problem};
use super::format::Scenario;
use crate::adversary::Adversary;

/// Resolves all entries in order, and marks their validators as taken.
pub fn resolve(
    scenario: &Scenario,
    chooser: &mut Chooser<'_>,
) -> Result<Vec<(usize, Adversary)>, Problem> {
    let mut planned = Vec::new();
    for (index, entry) in scenario.adversary.iter().enumerate() {
        let path = || Path::of("adversary").item(index);
        let chosen = match (&entry.validators, entry.weight) {
            (Some(targets), None) => chooser.named(&path().key("validators"), targets)?,
            (None, Some(share)) => {
                chooser.drawn(&path().key("weight"), share, &format!("adversary {index}"))?
            }
            (None, None) => {
                let what = "an adversary without validators";
                return Err(Problem::new(path(), what, "give `validators` or `weight = \"f\"`"));
            }
            (Some(_), Some(_)) => {
                let what = "both `validators` and `weight` say who the adversaries are";
                return Err(Problem::new(path().key("weight"), what, "keep one of them"));
            }
        };
        for validator in chosen {
            if chooser.taken[validator] {
                let name = &chooser.members[validator].name;
                let what = format!("`{name}` is an adversary already");
                return Err(Problem::new(path().key("validators"), what, "give it one behaviour"));
            }
            chooser.taken[validator] = true;
            planned.push((validator, entry.kind.0));
        }
        check_weight(scenario, chooser, path())?;
    }
    Ok(planned)
}

fn check_weight(scenario: &Scenario, chooser: &Chooser<'_>, path: Path) -> Result<(), Problem> {
    let (weight, most) = (chooser.taken_weight(), chooser.fault_weight());
    if weight <= most || scenario.run.allow_unsafe {
        return Ok(());
    }
    Err(Problem::new(
        path,
        format!("the adversaries weigh {weight}, but no more than f = {most} may be faulty"),
        "give them less, or set `allow_unsafe = true` under [run] to see what breaks",
    ))
}
