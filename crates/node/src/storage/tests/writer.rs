//! The writer's thread on a disk that is full or broken, and what pruning leaves.

use std::sync::Arc;
use std::sync::mpsc::Receiver;

use qcn_shard::{Record, Start};
use qcn_types::Height;

use super::super::disk::Disk;
use super::super::snapshot::{file_name, height_of};
use super::super::testing::memory::MemoryDisk;
use super::super::testing::{
    KEYS, OTHER, OWN, TERRITORY, block, identity, last_snapshot, ledger, snapshot,
};
use super::super::{LogEvent, LogWriter, Opened, StorageError, Ticket, open, segment};
use super::{names, restarted, spawn, wait_for};

/// A segment holds a handful of blocks.
pub(super) const SEGMENT_BYTES: u64 = 5_000;

pub(super) fn new_disk() -> MemoryDisk {
    let disk = MemoryDisk::new(1);
    open::initialise(&disk, &identity()).unwrap();
    disk
}

pub(super) fn reopen(disk: &MemoryDisk) -> Opened {
    open::open(Arc::new(disk.clone()), &identity(), &KEYS, &TERRITORY, SEGMENT_BYTES).unwrap()
}

pub(super) fn start(disk: &MemoryDisk) -> (LogWriter, Receiver<LogEvent>) {
    spawn(reopen(disk).log)
}

pub(super) fn append_own(writer: &LogWriter, rounds: std::ops::RangeInclusive<u64>) -> Vec<Ticket> {
    rounds.map(|round| writer.append_durably(Record::Own(block(OWN, round, 0)))).collect()
}

/// A full disk is waited for, and nothing is lost.
///
/// Given a disk with room for a few blocks; when more are appended, then the writer says that it
/// is full, and once there is space that it goes on, and reports all of them in order.
#[test]
fn a_full_disk_is_waited_for() {
    let disk = new_disk();
    let (writer, events) = start(&disk);
    disk.limit(disk.used_bytes() + 2_500);
    let mut waiting = append_own(&writer, 1..=20);
    waiting.reverse();
    let (mut was_full, mut recovered) = (false, false);
    while let Some(next) = waiting.last() {
        match events.recv().unwrap() {
            LogEvent::Durable(ticket) => {
                assert_eq!(ticket, *next);
                waiting.pop();
            }
            LogEvent::Full { available_bytes, needed_bytes } => {
                assert!(needed_bytes > available_bytes);
                was_full = true;
                disk.limit(usize::MAX);
            }
            LogEvent::Recovered => recovered = true,
            other => panic!("{other:?}"),
        }
    }
    assert!(was_full && recovered);
    writer.close().unwrap();
    let opened = reopen(&disk);
    assert_eq!(names(restarted(&opened.start)).len(), 20);
    assert_eq!(opened.report.torn_bytes, 0);
}

/// A writer can be closed while the disk is full: what was acknowledged is there.
#[test]
fn a_writer_closes_on_a_full_disk() {
    let disk = new_disk();
    let (writer, events) = start(&disk);
    wait_for(&events, append_own(&writer, 1..=1)[0]);
    disk.limit(disk.used_bytes() + 300);
    append_own(&writer, 2..=5);
    while !matches!(events.recv().unwrap(), LogEvent::Full { .. }) {}
    let error = writer.close().unwrap_err();
    assert!(matches!(error, StorageError::Full { .. }), "{error}");
    assert!(error.to_string().contains("Free some space"));
    disk.limit(usize::MAX);
    assert!(!names(restarted(&reopen(&disk).start)).is_empty());
}

/// A disk that cannot sync is not trusted any more, and nobody waits for it.
///
/// Given a disk whose syncs fail; when a block is appended, then the writer fails and stops, more
/// records than fit the queue are appended without waiting, and the next start is suspect.
#[test]
fn a_failed_sync_stops_the_writer() {
    let disk = new_disk();
    let (writer, events) = start(&disk);
    wait_for(&events, append_own(&writer, 1..=1)[0]);
    disk.fail_syncs(true);
    append_own(&writer, 2..=2);
    let LogEvent::Failed(error) = events.recv().unwrap() else { panic!("it must fail") };
    assert!(matches!(error, StorageError::SyncFailed { .. }), "{error}");
    let record = Record::Accepted(block(OTHER, 3, 0));
    for _ in 0..2 * super::super::queue::MAX_QUEUED_RECORDS {
        writer.append(record.clone());
    }
    assert!(writer.close().is_err());
    // The marker is there even if the folder could not be synced: only the process ended.
    disk.fail_syncs(false);
    let opened = reopen(&disk);
    assert!(matches!(opened.start, Start::Suspect(_)), "{}", opened.report);
}

/// A snapshot that does not fit is tried again, and blocks become durable meanwhile.
#[test]
fn a_snapshot_waits_for_space_and_blocks_do_not() {
    let disk = new_disk();
    let (writer, events) = start(&disk);
    disk.limit(disk.used_bytes() + 20_000);
    let snapshot_ticket = writer.append_durably(snapshot(2, 1, &ledger(1_000)));
    while !matches!(events.recv().unwrap(), LogEvent::Full { .. }) {}
    let block_ticket = append_own(&writer, 1..=1)[0];
    wait_for(&events, block_ticket);
    disk.limit(usize::MAX);
    let mut seen = Vec::new();
    while !seen.contains(&snapshot_ticket) {
        if let LogEvent::Durable(ticket) = events.recv().unwrap() {
            seen.push(ticket);
        }
    }
    writer.close().unwrap();
    assert_eq!(reopen(&disk).report.snapshot.unwrap().0, Height(2));
}

/// A store with three snapshots, of which the oldest was pruned with the log below.
pub(super) fn pruned_store() -> MemoryDisk {
    let disk = new_disk();
    let (writer, events) = start(&disk);
    for height in 1..=3 {
        let last = height * 20;
        // One by one, for as many segments as possible: a batch goes to one.
        for round in last - 19..=last {
            wait_for(&events, append_own(&writer, round..=round)[0]);
        }
        wait_for(&events, writer.append_durably(snapshot(height, last - 5, &ledger(5))));
    }
    writer.close().unwrap();
    disk
}

/// Old snapshots and the segments below them are removed, and nothing that is needed is.
#[test]
fn pruning_keeps_two_snapshots_and_the_log_above_them() {
    let disk = pruned_store();
    let files = disk.list().unwrap();
    let heights: Vec<u64> =
        files.iter().filter_map(|name| height_of(name)).map(|height| height.0).collect();
    assert_eq!(heights, [2, 3]);
    let oldest = files.iter().filter_map(|name| segment::number_of(name)).min().unwrap();
    assert!(oldest > 4, "segments below round 35 are left: {files:?}");

    let opened = reopen(&disk);
    let rounds: Vec<u64> =
        names(restarted(&opened.start)).iter().map(|name| name.round.0).collect();
    assert_eq!(rounds, [56, 57, 58, 59, 60]);
}

/// A damaged snapshot is replaced by the one before, and without any the store is suspect.
#[test]
fn a_damaged_snapshot_is_replaced_by_the_one_before() {
    let disk = pruned_store();
    disk.flip_bit(&file_name(Height(3)), 8 * 2_000);
    let opened = reopen(&disk);
    assert_eq!(opened.report.snapshot.unwrap().0, Height(2));
    assert_eq!(names(restarted(&opened.start)).len(), 25, "{}", opened.report);
    drop(opened);

    disk.flip_bit(&file_name(Height(2)), 8 * 2_000);
    let opened = reopen(&disk);
    assert!(matches!(opened.start, Start::Suspect(_)), "{}", opened.report);
}

/// The end of an epoch is found again: what follows begins with it.
#[test]
fn a_log_that_ends_with_its_epoch_says_so() {
    let disk = pruned_store();
    let (writer, events) = start(&disk);
    wait_for(&events, writer.append_durably(last_snapshot(9, 58, &ledger(3))));
    writer.close().unwrap();
    let opened = reopen(&disk);
    let (Start::Restarted(records) | Start::Suspect(records)) = &opened.start else {
        panic!("it has run")
    };
    let Some(Record::Snapshot { package, .. }) = records.first() else {
        panic!("{}", opened.report)
    };
    assert!(package.is_last());
}
