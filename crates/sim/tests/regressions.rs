//! Scenarios in which something was wrong once. Each file tells what.

#![allow(clippy::unwrap_used, reason = "these are tests")]
#![expect(clippy::disallowed_methods, reason = "the scenarios are files")]

use std::path::Path;

use qcn_sim::scenario::{RunOptions, Scenario};

/// Every scenario that the fuzzer found and that was put right stays so.
#[test]
fn what_the_fuzzer_found_stays_right() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/regressions");
    let mut files: Vec<_> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(!files.is_empty());
    for file in files {
        let name = file.display().to_string();
        let scenario = Scenario::parse(&name, &std::fs::read_to_string(&file).unwrap()).unwrap();
        let result = scenario.run(&RunOptions::default(), &mut |_| {}).unwrap();
        assert!(result.violations.is_empty(), "{name}: {:?}", result.violations);
    }
}
