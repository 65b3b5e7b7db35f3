//! `qcn dag` as a person or a script runs it.

#![allow(clippy::unwrap_used, reason = "these are tests")]

mod bad_input;
mod decide;
mod draw;
#[path = "../../../consensus/tests/commit_rule/drawing.rs"]
#[expect(dead_code, reason = "the tables of the commit rule need more of it")]
mod drawing;
#[path = "../../../consensus/tests/commit_rule/generate.rs"]
mod generate;
#[path = "../../../consensus/tests/commit_rule/oracle.rs"]
mod oracle;

use std::io::Write as _;
use std::process::{Command, Output, Stdio};

/// Runs `qcn dag` with arguments and standard input.
fn qcn(arguments: &[&str], input: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_qcn"))
        .arg("dag")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_owned();
    // A command that refuses its arguments does not read its input.
    let writer = std::thread::spawn(move || drop(stdin.write_all(input.as_bytes())));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    output
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

/// Where an example of the repository lies.
fn example(name: &str) -> String {
    format!("{}/../../scenarios/dags/{name}.json", env!("CARGO_MANIFEST_DIR"))
}
