//! A real process that is really killed, again and again.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use qcn_crypto::SeededRandomness;
use qcn_shard::{Record, Start};

use super::super::testing::{
    KEYS, OTHER, OWN, TERRITORY, TestFolder, block, identity, ledger, snapshot,
};
use super::super::{BlockLog, LogEvent, LogWriter};
use super::{names, open};

/// Names the folder to the process that is to be killed.
const FOLDER: &str = "QCN_STORAGE_KILL_FOLDER";
/// What it prints before the round of an own block that is durable.
const DURABLE: &str = "durable ";
/// How often it is killed.
const KILLS: usize = 25;

/// Not a test by itself: what the process that is to be killed does, which is to append as fast
/// as it can, and to say which of its blocks are durable.
#[test]
fn child() {
    let Some(folder) = std::env::var_os(FOLDER).map(PathBuf::from) else {
        return;
    };
    let opened = BlockLog::open(&folder, &identity(), &KEYS, &TERRITORY, OWN).unwrap();
    let records = match opened.start {
        Start::Restarted(records) | Start::Suspect(records) => records,
        Start::Fresh => Vec::new(),
    };
    let floor = opened.report.snapshot.map_or(0, |(_, floor)| floor.0);
    let last = names(&records).iter().map(|name| name.round.0).max().unwrap_or(floor);
    // Two records are appended a round, and the first of them is the own block.
    let say = move |event: LogEvent| {
        if let LogEvent::Durable(ticket) = event {
            let mut out = std::io::stdout().lock();
            let _ = writeln!(out, "{DURABLE}{}", last + ticket.0.div_ceil(2));
        }
    };
    let writer = LogWriter::spawn(opened.log, say);
    let ledger = ledger(2_000);
    for round in last + 1.. {
        writer.append_durably(Record::Own(block(OWN, round, 0)));
        if round % 40 == 0 {
            writer.append(snapshot(round / 40, round - 20, &ledger));
        } else {
            writer.append(Record::Accepted(block(OTHER, round, 10)));
        }
    }
}

fn spawn_child(folder: &TestFolder) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "storage::tests::kill::child", "--nocapture"])
        .env(FOLDER, folder.path())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// A process that is killed loses nothing that it had called durable.
///
/// Given a process that appends, some blocks and snapshots at once; when it is killed many times
/// at random moments, then each time the store is complete, with all blocks that were reported.
#[test]
fn a_killed_process_loses_nothing_that_it_reported() {
    let folder = TestFolder::new("kill");
    BlockLog::initialise(folder.path(), &identity()).unwrap();
    let mut random = SeededRandomness::from_u64(1, "kills");
    let mut reported = BTreeSet::new();
    for kill in 0..KILLS {
        let mut child = spawn_child(&folder);
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let patience = random.below(80) as usize;
        let mut rounds = lines
            .map_while(Result::ok)
            .filter_map(|line| line.strip_prefix(DURABLE)?.parse::<u64>().ok());
        reported.extend(rounds.by_ref().take(patience));
        child.kill().unwrap();
        // What it had said before it died counts too.
        reported.extend(rounds);
        child.wait().unwrap();

        let opened = open(&folder);
        let floor = opened.report.snapshot.map_or(0, |(_, floor)| floor.0);
        let (Start::Restarted(records) | Start::Suspect(records)) = &opened.start else {
            assert!(reported.is_empty(), "kill {kill}: fresh after reports");
            continue;
        };
        assert!(matches!(opened.start, Start::Restarted(_)), "kill {kill}: {}", opened.report);
        let found: BTreeSet<u64> = names(records)
            .iter()
            .filter(|name| name.author == OWN)
            .map(|name| name.round.0)
            .collect();
        let lost: Vec<u64> = reported
            .iter()
            .filter(|round| **round > floor && !found.contains(round))
            .copied()
            .collect();
        assert!(lost.is_empty(), "kill {kill}: lost rounds {lost:?}: {}", opened.report);
    }
    assert!(reported.len() > 10 * KILLS, "only {} blocks were reported", reported.len());
}
