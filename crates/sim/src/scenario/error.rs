//! What is wrong with a scenario file, where, and what to do about it.

use std::fmt;
use std::ops::Range;

use toml::de::{DeTable, DeValue};

/// An error of whoever wrote the file.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{place}: {what}\n  help: {remedy}", place = self.place())]
pub struct ScenarioError {
    /// The file, or what stands for it.
    pub file: String,
    /// Line and column, both from 1; none if the file could not be read at all.
    pub position: Option<(usize, usize)>,
    /// What is wrong.
    pub what: String,
    /// What to do about it.
    pub remedy: String,
}

impl ScenarioError {
    fn place(&self) -> String {
        match self.position {
            Some((line, column)) => format!("{}:{line}:{column}", self.file),
            None => self.file.clone(),
        }
    }

    /// An error of the syntax, or of a value's type.
    pub(super) fn syntax(file: &str, text: &str, error: &toml::de::Error) -> Self {
        let what = error.message().lines().collect::<Vec<_>>().join(", ").replace(" as i128", "");
        let position = error.span().map(|span| position(text, span.start));
        Self { file: file.to_owned(), position, remedy: remedy(&what), what }
    }

    /// An error that only the engine could see.
    pub(super) fn unplaced(name: &str, error: &dyn fmt::Display) -> Self {
        Self {
            file: name.to_owned(),
            position: None,
            what: error.to_string(),
            remedy: "change the scenario accordingly".to_owned(),
        }
    }

    /// An error of the meaning.
    pub(super) fn meaning(file: &str, text: &str, problem: Problem) -> Self {
        let table = DeTable::parse(text).ok().filter(|_| !text.is_empty());
        let span = table.map(|table| locate(table.get_ref(), &problem.path));
        let position = span.map(|span| position(text, span.start));
        Self { file: file.to_owned(), position, what: problem.what, remedy: problem.remedy }
    }
}

/// Something that cannot work, and the place in the file that says it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Problem {
    path: Path,
    what: String,
    remedy: String,
}

impl Problem {
    /// A problem of the value at `path`.
    pub fn new(path: Path, what: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { path, what: what.into(), remedy: remedy.into() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.what, self.remedy)
    }
}

/// The way to a value: keys and positions in lists.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Path(Vec<Step>);

#[derive(Clone, PartialEq, Eq, Debug)]
enum Step {
    Key(&'static str),
    Index(usize),
}

impl Path {
    /// The table of that name.
    pub fn of(key: &'static str) -> Self {
        Self(vec![Step::Key(key)])
    }

    /// The member of that name.
    #[must_use]
    pub fn key(mut self, key: &'static str) -> Self {
        self.0.push(Step::Key(key));
        self
    }

    /// The item of that number.
    #[must_use]
    pub fn item(mut self, index: usize) -> Self {
        self.0.push(Step::Index(index));
        self
    }
}

/// The bytes of the value at a path, or of the nearest enclosing one that is there.
fn locate(table: &DeTable<'_>, path: &Path) -> Range<usize> {
    let mut span = 0..0;
    let mut here: Option<&DeValue<'_>> = None;
    for step in &path.0 {
        let next = match (step, here) {
            (Step::Key(key), None) => table.get(*key),
            (Step::Key(key), Some(DeValue::Table(inner))) => inner.get(*key),
            (Step::Index(index), Some(DeValue::Array(list))) => list.get(*index),
            _ => None,
        };
        let Some(found) = next else { break };
        span = found.span();
        here = Some(found.get_ref());
    }
    span
}

/// Line and column of a byte, both from 1.
fn position(text: &str, byte: usize) -> (usize, usize) {
    let before = text.get(..byte).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.chars().rev().take_while(|letter| *letter != '\n').count() + 1;
    (line, column)
}

/// The most letters a name may differ in to be taken for a slip, for long names; for short
/// ones it is less than half of them.
const SLIP_MAX: usize = 3;

/// What to do about an error that the TOML library reports.
fn remedy(what: &str) -> String {
    let quoted: Vec<&str> = what.split('`').skip(1).step_by(2).collect();
    let expects = |word: &str| what.contains(&format!("expected {word}"));
    match &quoted[..] {
        [unknown, known @ ..] if what.starts_with("unknown") => near(unknown, known),
        [missing, ..] if what.starts_with("missing field") => format!("add `{missing} = ...` here"),
        _ if what.starts_with("duplicate") => "give it only once".to_owned(),
        _ if what.starts_with("string values must be quoted") => {
            "give a value; a text stands in double quotes".to_owned()
        }
        _ if what.contains("invalid type: integer") && expects("u") => {
            "give a smaller whole number".to_owned()
        }
        _ if expects("u") || expects("a nonnegative") => {
            "give a whole number that is not negative".to_owned()
        }
        _ if expects("f64") => "give a number".to_owned(),
        _ if expects("a sequence") => "give a list in square brackets".to_owned(),
        _ if expects("a boolean") => "give true or false".to_owned(),
        _ if expects("a string") => "give a text in double quotes".to_owned(),
        _ => "correct it; `qcn sim list wan` prints a complete example".to_owned(),
    }
}

/// The known name that an unknown one was meant to be, if it is near enough.
fn near(unknown: &str, known: &[&str]) -> String {
    let nearest = known.iter().min_by_key(|name| distance(unknown, name));
    match nearest {
        Some(name) if distance(unknown, name) <= SLIP_MAX.min(unknown.len() / 2) => {
            format!("did you mean `{name}`? If not, remove it")
        }
        _ => "remove it, or use one of the names that are expected here".to_owned(),
    }
}

/// How many letters must change to turn one word into the other (Levenshtein).
fn distance(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (above, letter) in from.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = above + 1;
        for (place, other) in to.iter().enumerate() {
            let changed = diagonal + usize::from(letter != *other);
            diagonal = row[place + 1];
            row[place + 1] = changed.min(diagonal + 1).min(row[place] + 1);
        }
    }
    row[to.len()]
}
