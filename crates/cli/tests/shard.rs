//! `qcn shard plan` as a person or a script runs it.

#![allow(clippy::unwrap_used, reason = "these are tests")]

use std::path::PathBuf;
use std::process::{Command, Output};

use serde_json::Value;

/// Runs `qcn shard plan` over a file of the repository or of the test.
fn plan(file: &str, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_qcn"));
    command.args(["shard", "plan", "--validators", file]).args(arguments).output().unwrap()
}

fn scenario(name: &str) -> String {
    format!("{}/../../scenarios/{name}.toml", env!("CARGO_MANIFEST_DIR"))
}

fn written(name: &str, text: &str) -> String {
    let path = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::write(&path, text).unwrap();
    path.display().to_string()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

#[test]
fn the_fewest_seats_are_found_and_the_committees_drawn() {
    let seed = "07".repeat(32);
    let arguments = ["--shards", "2", "--bound", "0.01", "--json", "--seed", &seed];
    let output = plan(&scenario("scale"), &arguments);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&report["accepted"], &report["validators"]), (&true.into(), &100.into()));
    let seats = report["seats"].as_u64().unwrap() as usize;
    let committees = report["draw"]["committees"].as_array().unwrap();
    let members: Vec<usize> =
        committees.iter().map(|one| one["members"].as_array().unwrap().len()).collect();
    assert_eq!(members, [seats, seats]);
    let link = &report["draw"]["links"][0];
    assert!(link["shared"].as_array().unwrap().contains(&link["drawn"]), "{link}");

    let fewer = (seats - 1).to_string();
    let arguments = ["--shards", "2", "--bound", "0.01", "--seats", &fewer];
    let output = plan(&scenario("scale"), &arguments);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).starts_with("refused: within a year"), "{output:?}");
    assert!(text(&output.stderr).contains(&format!("give {seats} seats or more")), "{output:?}");
    assert!(text(&output.stdout).contains("verdict     above the bound of 1e-2 a year"));
}

#[test]
fn bad_input_is_refused_with_a_remedy() {
    let empty = written("empty.toml", "");
    let few = written("few.json", r#"{"validators":[{"weight":1},{"weight":2}]}"#);
    for (file, arguments, remedy) in [
        (&*empty, &["--shards", "1"][..], "the file is empty; give a list"),
        ("no-such-file", &["--shards", "1"], "check the path and the rights"),
        (&few, &["--shards", "1", "--seats", "3"], "give 2 or fewer"),
        (&few, &["--shards", "1", "--seats", "0"], "give 4 or more"),
        (&few, &["--shards", "0"], "0 is not in 1..=4096"),
        (&few, &["--shards", "1", "--corrupt", "1"], "from 0 to below 1"),
        (&few, &["--shards", "1", "--corrupt=-0.1"], "from 0 to below 1"),
        (&few, &["--shards", "1", "--epoch-length", "24"], "30m, 12h or 1d"),
        (&few, &["--shards", "1", "--bound", "2"], "such as 1e-6"),
        (&few, &["--shards", "1", "--seed", "12"], "expected 32 bytes"),
    ] {
        let output = plan(file, arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(output.stdout.is_empty());
        assert!(text(&output.stderr).contains(remedy), "{}", text(&output.stderr));
    }
}
