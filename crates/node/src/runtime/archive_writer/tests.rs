//! The archive fails for want of room, and there is room again.

use std::process::Command;

use qcn_types::{Round, ValidatorIndex};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::*;
use crate::archive::Retention;
use crate::testing::{HISTORY, TestFolder};

const FULL_FOLDER: &str = "QCN_TEST_FULL_ARCHIVE";

/// No file of this process may be longer from now on.
fn limit_files(bytes: Option<u64>) {
    let limit = Rlimit { current: bytes, ..getrlimit(Resource::Fsize) };
    setrlimit(Resource::Fsize, limit).unwrap();
}

fn scribe(folder: &std::path::Path) -> Scribe {
    let archive = Archive::open(folder, Retention::ALL).unwrap();
    let patience = Duration::ZERO;
    Scribe { archive, metrics: Metrics::new(), failure: None, patience }
}

/// What the test below does in a process of its own, in which a write beyond a limit is an error
/// and does not end the process.
fn write_while_files_may_not_grow(folder: &std::path::Path) {
    let executed: Vec<Entry> =
        HISTORY.executed().map(|executed| Entry::Executed(Box::new(executed.clone()))).collect();
    let mut scribe = scribe(folder);
    scribe.take(&executed[0]);
    assert!(scribe.failure.is_none());

    let slot = |round| Entry::Skipped(Slot { round: Round(round), author: ValidatorIndex(0) });
    (0..200).for_each(|round| scribe.take(&slot(round)));
    assert!(scribe.failure.is_none());
    // The database's journal is longer already, so that nothing of the next record is written: with
    // debug assertions it panics at opening when a record ends within certain fields.
    limit_files(Some(4 * 1024));
    scribe.take(&slot(200));
    assert!(scribe.failure.is_some(), "the database must fail at the limit");
    scribe.take(&executed[1]);
    scribe.take(&executed[2]);
    assert!(scribe.failure.is_some());

    limit_files(None);
    scribe.take(&executed[3]);
    assert!(scribe.failure.is_none(), "{:?}", scribe.failure);
    let archive = &scribe.archive;
    let heights = archive.checkpoints(Height(u64::MAX), 10).unwrap();
    let heights: Vec<u64> = heights.iter().map(|record| record.header.height.0).collect();
    assert_eq!(heights, [4, 1]);
    assert_eq!(archive.last_height(), Height(4));
    // What was missed can still be told.
    scribe.take(&executed[1]);
    assert!(scribe.archive.checkpoint(Height(2)).unwrap().is_some());
    println!("resumed");
}

/// Given an archive whose database could not write any more.
/// When there is room again.
/// Then the next entry is written without a restart, and what was missed is known.
#[test]
fn the_archive_resumes_when_there_is_room_again() {
    if let Some(folder) = std::env::var_os(FULL_FOLDER) {
        return write_while_files_may_not_grow(folder.as_ref());
    }
    let folder = TestFolder::new();
    let test = "runtime::archive_writer::tests::the_archive_resumes_when_there_is_room_again";
    let output = Command::new("sh")
        .args(["-c", "trap '' XFSZ; exec \"$0\" \"$@\""])
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env(FULL_FOLDER, folder.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains("resumed"), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
}

/// Given an archive that failed a moment ago.
/// When more is executed.
/// Then it is dropped at once, and remembered as missing.
#[test]
fn what_cannot_be_written_is_counted_and_does_not_wait() {
    let folder = TestFolder::new();
    let mut scribe = scribe(folder.path());
    scribe.patience = Duration::from_secs(3_600);
    scribe.failure = Some(Failure { since: Instant::now(), missed: None });
    for executed in HISTORY.executed().take(3) {
        scribe.take(&Entry::Executed(Box::new(executed.clone())));
    }
    assert_eq!(scribe.failure.unwrap().missed, Some((Height(1), Height(3))));
    assert_eq!(scribe.archive.last_height(), Height(0));
}
