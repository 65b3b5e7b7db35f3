//! Steps with a name, a time and a remedy.

use std::time::Instant;

use anyhow::Result;

/// What became of a step.
pub enum Outcome {
    /// All is well; what was checked, in a few words.
    Passed(String),
    /// Nothing was checked, and why.
    Skipped(String),
    /// What is wrong, one finding a line.
    Failed(String),
}

/// Runs steps one after the other and remembers how they went.
#[derive(Default)]
pub struct Steps {
    failed: Vec<(&'static str, &'static str)>,
    skipped: Vec<&'static str>,
}

impl Steps {
    /// Runs a step. `remedy` says what to do when it fails.
    pub fn run(
        &mut self,
        name: &'static str,
        remedy: &'static str,
        step: impl FnOnce() -> Result<Outcome>,
    ) {
        eprintln!("==> {name}");
        let start = Instant::now();
        let outcome = step().unwrap_or_else(|error| Outcome::Failed(format!("{error:#}")));
        let seconds = start.elapsed().as_secs_f64();
        match outcome {
            Outcome::Passed(what) => eprintln!("    ok: {name}: {what} ({seconds:.1} s)"),
            Outcome::Skipped(why) => {
                eprintln!("    skipped: {name}: {why}");
                self.skipped.push(name);
            }
            Outcome::Failed(what) => {
                eprintln!("    FAILED: {name} ({seconds:.1} s)");
                for line in what.lines() {
                    eprintln!("      {line}");
                }
                eprintln!("      remedy: {remedy}");
                self.failed.push((name, remedy));
            }
        }
    }

    /// Says how all went; true if nothing failed.
    pub fn finish(&self) -> bool {
        if !self.skipped.is_empty() {
            eprintln!("\nnot checked here: {}", self.skipped.join(", "));
        }
        for (name, remedy) in &self.failed {
            eprintln!("failed: {name}; remedy: {remedy}");
        }
        self.failed.is_empty()
    }
}

/// Passes if there are no findings.
pub fn judge(findings: &[String], checked: String) -> Outcome {
    if findings.is_empty() {
        Outcome::Passed(checked)
    } else {
        Outcome::Failed(findings.join("\n"))
    }
}
