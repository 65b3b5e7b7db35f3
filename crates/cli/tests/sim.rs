//! `qcn sim` as a person or a script runs it.

#![allow(clippy::unwrap_used, reason = "these are tests")]

use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

/// A folder of its own for each test.
fn folder(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("sim").join(name);
    drop(std::fs::remove_dir_all(&path));
    std::fs::create_dir_all(&path).unwrap();
    path
}

fn qcn(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_qcn"));
    command.arg("sim").args(arguments).current_dir(folder).output().unwrap()
}

fn stdout(output: &Output) -> &str {
    std::str::from_utf8(&output.stdout).unwrap()
}

fn stderr(output: &Output) -> &str {
    std::str::from_utf8(&output.stderr).unwrap()
}

const SMALL: &str = r#"
    name = "small"
    network = { count = 4, uniform_ms = 10.0 }
    load = { transactions_per_second = 5 }
    run = { virtual_seconds = 2, seed = 3 }
"#;

/// Given a scenario file, when it is run, then the JSON has every member that scripts rely on, and
/// a replay of it is the same run.
#[test]
fn a_run_is_written_and_replayed() {
    let folder = folder("run");
    std::fs::write(folder.join("small.toml"), SMALL).unwrap();
    let ran = qcn(&folder, &["run", "small.toml", "--json", "small.json", "--html", "small.html"]);
    assert_eq!(ran.status.code(), Some(0), "{}", stderr(&ran));
    assert!(stdout(&ran).contains("finality"));
    let text = std::fs::read_to_string(folder.join("small.json")).unwrap();
    let result: Value = serde_json::from_str(&text).unwrap();
    for member in ["trace_hash", "conditions", "rounds_per_second", "violations"] {
        assert!(!result[member].is_null(), "{member}");
    }
    assert_eq!(result["seed"], 3);
    for figure in ["p50", "p95", "p99", "lower_bound_ms"] {
        assert!(result["finality_ms"][figure].as_f64().unwrap() > 0.0, "{figure}");
    }
    for figure in ["bytes_sent", "cpu_ms", "blocks", "leader_slots", "evidence"] {
        assert!(result["validators"][0][figure].is_number(), "{figure}");
    }
    let page = std::fs::read_to_string(folder.join("small.html")).unwrap();
    assert!(page.contains("<svg"));

    let again = qcn(&folder, &["replay", "small.json", "--json", "-"]);
    assert_eq!(again.status.code(), Some(0), "{}", stderr(&again));
    assert!(stderr(&again).contains("The run is the recorded one"));
    let again: Value = serde_json::from_str(stdout(&again)).unwrap();
    assert_eq!(again["trace_hash"], result["trace_hash"]);
}

/// Given another seed in the recording, when it is replayed, then it says that it is another run.
#[test]
fn a_replay_that_differs_is_not_in_order() {
    let folder = folder("differs");
    std::fs::write(folder.join("small.toml"), SMALL).unwrap();
    qcn(&folder, &["run", "small.toml", "--quiet", "--json", "small.json"]);
    let text = std::fs::read_to_string(folder.join("small.json")).unwrap();
    std::fs::write(folder.join("other.json"), text.replace("\"seed\": 3,", "\"seed\": 4,"))
        .unwrap();
    let again = qcn(&folder, &["replay", "other.json", "--quiet"]);
    assert_eq!(again.status.code(), Some(1), "{}", stderr(&again));
    assert!(stdout(&again).contains("NOT the recorded one"));
}

/// Given each rule broken on purpose, when seeds are tried, then one shows it, and the command
/// that is printed shows the very same again.
#[test]
fn every_broken_rule_is_found_and_its_replay_is_the_same_run() {
    for (rule, seeds, invariant) in [
        ("small-quorum", "0..20", "quorum_by_weight"),
        ("no-vote-deduplication", "124..164", "quorum_by_weight"),
        ("no-round-log", "0..20", "no_honest_double_sign"),
    ] {
        let folder = folder(rule);
        let arguments =
            ["fuzz", "--seeds", seeds, "--break", rule, "--out", "found", "--json", "-"];
        let found = qcn(&folder, &arguments);
        assert_eq!(found.status.code(), Some(1), "{rule}: {}", stderr(&found));
        let summary: Value = serde_json::from_str(stdout(&found)).unwrap();
        let said = stderr(&found);
        assert!(said.contains(&format!("breaks {invariant}")), "{rule}: {said}");
        assert!(summary.to_string().contains(invariant), "{rule}: {summary}");
        let command = said.lines().find_map(|line| line.strip_prefix("replay:")).unwrap();
        let command: Vec<&str> = command.trim().split(' ').collect();
        assert_eq!(command[..2], ["qcn", "sim"]);
        let again = qcn(&folder, &command[2..]);
        assert_eq!(again.status.code(), Some(1), "{rule}: {}", stderr(&again));
        assert!(stdout(&again).contains("The run is the recorded one"), "{}", stdout(&again));
    }
}

#[test]
fn seeds_without_a_violation_are_in_order() {
    let folder = folder("fuzz");
    let tried = qcn(&folder, &["fuzz", "--seeds", "0..2", "--json", "summary.json"]);
    assert_eq!(tried.status.code(), Some(0), "{}", stderr(&tried));
    let summary = std::fs::read_to_string(folder.join("summary.json")).unwrap();
    let summary: Value = serde_json::from_str(&summary).unwrap();
    assert_eq!(summary["seeds"], 2, "{summary}");
}

#[test]
fn networks_of_shards_are_tried_too() {
    let folder = folder("fuzz-shards");
    let arguments = ["fuzz", "--shards", "--seeds", "0..2", "--json", "summary.json"];
    let tried = qcn(&folder, &arguments);
    assert_eq!(tried.status.code(), Some(0), "{}", stderr(&tried));
    let summary = std::fs::read_to_string(folder.join("summary.json")).unwrap();
    let summary: Value = serde_json::from_str(&summary).unwrap();
    assert_eq!((&summary["seeds"], &summary["failure"]), (&2.into(), &Value::Null), "{summary}");
    assert!(stderr(&tried).contains("2 networks with "), "{}", stderr(&tried));
}

/// A sweep over shards prints its table, and the same as JSON.
#[test]
fn a_sweep_over_shards_compares_them() {
    let folder = folder("sweep");
    let sweep = r"
        [shards]
        counts = [1, 2]
        cross_percents = [50]
        latency_transactions_per_second = 5
    ";
    std::fs::write(folder.join("sweep.toml"), SMALL.to_owned() + sweep).unwrap();
    let run = qcn(&folder, &["run", "sweep.toml"]);
    assert_eq!(run.status.code(), Some(0), "{}", stderr(&run));
    assert!(stdout(&run).contains("of one shard"), "{}", stdout(&run));
    assert!(stdout(&run).contains("invariants    all held"), "{}", stdout(&run));
    let written = std::fs::read_to_string(folder.join("out").join("small.json")).unwrap();
    let written: Value = serde_json::from_str(&written).unwrap();
    assert_eq!(written["points"].as_array().unwrap().len(), 2, "{written}");
    assert!(written["points"][1]["across_ms"]["samples"].as_u64().unwrap() > 0, "{written}");
    let page = qcn(&folder, &["run", "sweep.toml", "--html", "page.html"]);
    assert_eq!(page.status.code(), Some(2));
    assert!(stderr(&page).contains("no page yet"), "{}", stderr(&page));
}

/// The scenario that comes with it: everything that is to happen to two shards and their validators
/// comes about, and all that was sent arrives.
#[test]
fn a_network_of_shards_goes_through_its_changes() {
    let folder = folder("epochs");
    let run = qcn(&folder, &["run", "epochs", "--json", "-", "--quiet"]);
    assert_eq!(run.status.code(), Some(0), "{}", stderr(&run));
    let result: Value = serde_json::from_str(stdout(&run)).unwrap();
    assert_eq!((&result["splits"], &result["merges"]), (&1.into(), &1.into()), "{result}");
    for kind in ["joined", "new_keys", "left", "other_weights"] {
        let tally = &result["memberships"][kind];
        assert_eq!((&tally["asked"], &tally["done"]), (&1.into(), &1.into()), "{kind}: {result}");
    }
    assert!(result["transfers_across"].as_u64().unwrap() > 300, "{result}");
    assert_eq!(result["transfers_across"], result["transfers_arrived"]);
    assert_eq!((&result["votes"]["asked"], &result["votes"]["done"]), (&2.into(), &2.into()));
    let page = qcn(&folder, &["run", "epochs", "--html", "x.html"]);
    assert!(page.status.code() == Some(2) && stderr(&page).contains("no page yet"));
    let text = qcn(&folder, &["list", "epochs"]);
    std::fs::write(folder.join("own.toml"), stdout(&text)).unwrap();
    let again = qcn(&folder, &["run", "own.toml", "--seed", "1"]);
    assert!(stdout(&again).contains(result["trace_hash"].as_str().unwrap()), "{}", stdout(&again));
    let recorded = folder.join("out").join("epochs.json");
    let replay = qcn(&folder, &["replay", "out/epochs.json"]);
    assert_eq!(replay.status.code(), Some(0), "{}", stderr(&replay));
    assert!(stdout(&replay).contains("the recorded one: same trace hash"), "{}", stdout(&replay));
    let text = std::fs::read_to_string(&recorded).unwrap();
    std::fs::write(&recorded, text.replace(r#""trace_hash": ""#, r#""trace_hash": "0"#)).unwrap();
    let replay = qcn(&folder, &["replay", "out/epochs.json", "--quiet"]);
    assert_eq!(replay.status.code(), Some(1), "another hash is another run");
    let replay = qcn(&folder, &["replay", "own.toml"]);
    assert_eq!(replay.status.code(), Some(2));
    assert!(stderr(&replay).contains("qcn sim run FILE"), "{}", stderr(&replay));
}

#[test]
fn bad_input_is_refused_with_its_place() {
    let folder = folder("bad");
    let unknown = SMALL.replace("virtual_seconds", "virtual_hours");
    std::fs::write(folder.join("unknown.toml"), unknown).unwrap();
    std::fs::write(folder.join("half.json"), "{\"scenario\": ").unwrap();
    let cases: [(&[&str], &str); 5] = [
        (&["run", "unknown.toml"], "unknown.toml"),
        (&["run", "missing.toml"], "missing.toml"),
        (&["replay", "half.json"], "half.json"),
        (&["fuzz", "--seeds", "5..5"], "holds no seed"),
        (&["list", "nothing"], "nothing"),
    ];
    for (arguments, told) in cases {
        let output = qcn(&folder, arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {}", stderr(&output));
        assert!(stderr(&output).contains(told), "{arguments:?}: {}", stderr(&output));
    }
}

/// `qcn sim list | head -1` is no error.
#[test]
fn a_reader_that_has_seen_enough_is_no_error() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_qcn"))
        .args(["sim", "list", "wan"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let mut said = String::new();
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert_eq!((child.wait().unwrap().code(), said.as_str()), (Some(0), ""));
}
