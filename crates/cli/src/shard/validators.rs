//! Reading who can be drawn, from any document that says what validators weigh.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use anyhow::{Context as _, bail, ensure};
use qcn_sim::scenario::Scenario;
use qcn_types::Committee;
use serde_json::Value;

/// The longest document that is read: the longest genesis.
const MAX_DOCUMENT_BYTES: u64 = 96 << 20;

/// The most validators that are read.
const MAX_VALIDATORS: usize = 10_000;

/// The weight of a validator of power 1.
const WEIGHT_PER_POWER: f64 = 1_000.0;

/// The highest power: its weight is far below what a committee may weigh.
const MAX_POWER: f64 = 1e9;

/// Who can be drawn.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Validator {
    /// Its name, or its place if it has none.
    pub name: String,
    /// Above zero.
    pub weight: u64,
}

/// Reads a file.
pub fn read(path: &Path) -> anyhow::Result<Vec<Validator>> {
    let name = path.display().to_string();
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(MAX_DOCUMENT_BYTES + 1).read_to_end(&mut bytes))
        .map_err(|error| crate::output::unreadable(path, &error))?;
    ensure!(
        bytes.len() as u64 <= MAX_DOCUMENT_BYTES,
        "{name}: it is longer than {MAX_DOCUMENT_BYTES} bytes; give names and weights only"
    );
    let text = String::from_utf8(bytes).ok().with_context(|| format!("{name}: it is not UTF-8"))?;
    parse(&text, &name)
}

/// Reads a document; `name` stands for its file in errors.
pub fn parse(text: &str, name: &str) -> anyhow::Result<Vec<Validator>> {
    const REMEDY: &str = "give a list `validators` of names and weights, as in --help";
    ensure!(!text.trim().is_empty(), "{name}: the file is empty; {REMEDY}");
    let is_json = name.ends_with(".json") || text.trim_start().starts_with('{');
    let document: Value = if is_json {
        serde_json::from_str(text).with_context(|| name.to_owned())?
    } else {
        toml::from_str(text).map_err(|error| one_line(&error)).with_context(|| name.to_owned())?
    };
    if document.get("network").is_some() {
        return scenario(text, name);
    }
    let list =
        ["validators", "committee"].into_iter().find_map(|key| Some((key, document.get(key)?)));
    let Some((key, Value::Array(list))) = list else {
        bail!("{name}: there is no list of validators; {REMEDY}");
    };
    ensure!(!list.is_empty(), "{name}: {key}: the list is empty; {REMEDY}");
    ensure!(
        list.len() <= MAX_VALIDATORS,
        "{name}: {key}: {} validators are more than the {MAX_VALIDATORS} that are read; leave out the lightest",
        list.len()
    );
    let mut validators = Vec::with_capacity(list.len());
    for (place, entry) in list.iter().enumerate() {
        let one = validator(entry, place).with_context(|| format!("{name}: {key}[{place}]"))?;
        validators.push(one);
    }
    let total: u128 = validators.iter().map(|one| u128::from(one.weight)).sum();
    ensure!(
        total <= u128::from(Committee::MAX_TOTAL),
        "{name}: {key}: the weights add up to more than {}; scale all of them down",
        Committee::MAX_TOTAL
    );
    Ok(validators)
}

/// The members of a scenario, with the weights that they have in a run.
fn scenario(text: &str, name: &str) -> anyhow::Result<Vec<Validator>> {
    let scenario = Scenario::parse(name, text)?;
    let members = scenario.plan(scenario.run.seed)?.members;
    Ok(members.into_iter().map(|one| Validator { name: one.name, weight: one.weight }).collect())
}

fn validator(entry: &Value, place: usize) -> anyhow::Result<Validator> {
    let name = match entry.get("name") {
        None => format!("v{place}"),
        Some(Value::String(name)) => name.clone(),
        Some(_) => bail!("the name is no text; write name = \"...\""),
    };
    let weight = match (entry.get("weight"), entry.get("power")) {
        (Some(weight), None) => weight
            .as_u64()
            .with_context(|| format!("weight {weight} is no whole number; give one from 1 on"))?,
        (None, Some(power)) => {
            let in_range = power.as_f64().filter(|power| (0.0..=MAX_POWER).contains(power));
            let power = in_range.with_context(|| {
                format!("power {power} is out of range; give a number up to {MAX_POWER}")
            })?;
            (power * WEIGHT_PER_POWER).round() as u64
        }
        (Some(_), Some(_)) => bail!("it has a weight and a power; keep one of them"),
        (None, None) => bail!("it has neither `weight` nor `power`; give one of them"),
    };
    ensure!(weight > 0, "its weight is 0, so it is never drawn; leave it out");
    Ok(Validator { name, weight })
}

/// The errors of the parser have a picture of the place; its line is enough.
fn one_line(error: &toml::de::Error) -> anyhow::Error {
    let shown = error.to_string();
    let place = shown.lines().next().unwrap_or_default().to_owned();
    anyhow::anyhow!("{place}: {}; see --help for an example", error.message().replace('\n', ", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn weights(text: &str, name: &str) -> Vec<u64> {
        parse(text, name).unwrap().iter().map(|one| one.weight).collect()
    }

    #[test]
    fn weights_and_powers_of_either_format_are_read() {
        let toml = "[[validators]]\nname = \"a\"\nweight = 3\n[[validators]]\npower = 0.5\n";
        let found = parse(toml, "x.toml").unwrap();
        let named = |name: &str, weight| Validator { name: name.to_owned(), weight };
        assert_eq!(found, [named("a", 3), named("v1", 500)]);
        let json = r#"{"committee":[{"name":"A","weight":1},{"name":"B","power":2}],"leaders":{}}"#;
        assert_eq!(weights(json, "-"), [1, 2_000]);
    }

    #[test]
    fn scenarios_are_read() {
        let scenario = include_str!("../../../../scenarios/heterogeneous.toml");
        let found = weights(scenario, "heterogeneous.toml");
        assert_eq!((found.len(), found[0], found[23]), (24, 2_000, 500));
    }

    #[test]
    fn bad_documents_are_refused_with_the_place_and_a_remedy() {
        let list = |entry: &str| format!("{{\"validators\":[{{\"weight\":1}},{entry}]}}");
        for (text, what) in [
            (" \n".to_owned(), "x: the file is empty; give a list"),
            ("{".to_owned(), "x: EOF while parsing an object at line 1"),
            ("validators = [".to_owned(), "x: TOML parse error at line 1, column"),
            ("a = 1".to_owned(), "x: there is no list of validators; give a list"),
            ("validators = 3".to_owned(), "x: there is no list of validators; give a list"),
            ("validators = []".to_owned(), "x: validators: the list is empty; give a list"),
            (list("{}"), "x: validators[1]: it has neither `weight` nor `power`; give one"),
            (list("7"), "x: validators[1]: it has neither `weight` nor `power`; give one"),
            (list("{\"weight\":0}"), "x: validators[1]: its weight is 0, so it is never drawn"),
            (list("{\"power\":0.0001}"), "x: validators[1]: its weight is 0, so it is never"),
            (list("{\"weight\":-1}"), "x: validators[1]: weight -1 is no whole number; give one"),
            (list("{\"weight\":1.5}"), "x: validators[1]: weight 1.5 is no whole number"),
            (list("{\"power\":\"x\"}"), "x: validators[1]: power \"x\" is out of range; give"),
            (list("{\"power\":1,\"weight\":1}"), "x: validators[1]: it has a weight and a power"),
            (list("{\"name\":1,\"weight\":1}"), "x: validators[1]: the name is no text; write"),
            (list("{\"weight\":1152921504606846976}"), "x: validators: the weights add up to more"),
        ] {
            let error = format!("{:#}", parse(&text, "x").unwrap_err());
            assert!(error.starts_with(what), "{error}");
            assert_eq!(error.lines().count(), 1, "{error}");
        }
    }
}
