//! A disk that refuses: what cannot be read stays, and what does not fit is waited for.

use std::io::ErrorKind;
use std::sync::Arc;
use std::sync::mpsc::Receiver;

use qcn_shard::Start;
use qcn_types::Height;

use super::super::disk::Disk;
use super::super::snapshot::{file_name, height_of};
use super::super::testing::memory::{Deed, MemoryDisk};
use super::super::testing::{KEYS, TERRITORY, identity, ledger, snapshot};
use super::super::{LogEvent, StorageError, open, segment};
use super::writer::{SEGMENT_BYTES, append_own, new_disk, pruned_store, reopen, start};

/// Waits until the writer says that the disk is full.
fn wait_until_full(events: &Receiver<LogEvent>) {
    loop {
        match events.recv().unwrap() {
            LogEvent::Full { .. } => return,
            LogEvent::Durable(_) => {}
            other => panic!("{other:?}"),
        }
    }
}

fn wait_until_recovered(events: &Receiver<LogEvent>) {
    loop {
        match events.recv().unwrap() {
            LogEvent::Recovered => return,
            LogEvent::Durable(_) | LogEvent::Full { .. } => {}
            other => panic!("{other:?}"),
        }
    }
}

fn refuses_to_open(disk: &MemoryDisk, name: &str) {
    for kind in [ErrorKind::PermissionDenied, ErrorKind::Other] {
        let before = disk.list().unwrap();
        disk.refuse(Deed::Read, name, kind);
        let opened =
            open::open(Arc::new(disk.clone()), &identity(), &KEYS, &TERRITORY, SEGMENT_BYTES);
        let error = opened.expect_err(name);
        assert!(matches!(error, StorageError::Io { .. }), "{name}: {error}");
        assert!(error.to_string().contains(name), "{error}");
        assert_eq!(disk.list().unwrap(), before, "{name}");
        disk.mend();
    }
}

/// A file that cannot be read may be intact: the store does not open, and removes nothing.
///
/// Given a store with two snapshots, and a new one. When a file of it cannot be read for want of
/// rights or for a broken disk, then opening names the file, and the folder is as before; and once
/// it can be read, nothing is missed.
#[test]
fn what_cannot_be_read_is_not_taken_for_missing() {
    let disk = pruned_store();
    let (older, newest) = (file_name(Height(2)), file_name(Height(3)));
    for name in ["durable.mark", "store.id", &older, &newest] {
        refuses_to_open(&disk, name);
    }
    let opened = reopen(&disk);
    assert!(matches!(opened.start, Start::Restarted(_)), "{}", opened.report);
    assert_eq!(opened.report.snapshot.unwrap().0, Height(3));
    drop(opened);

    let fresh = new_disk();
    refuses_to_open(&fresh, "fresh");
    assert!(matches!(reopen(&fresh).start, Start::Fresh));
    open::mark_suspect(&fresh, "restored").unwrap();
    refuses_to_open(&fresh, "suspect");
}

/// A snapshot for which there is no room is waited for, wherever that turns out.
#[test]
fn a_snapshot_waits_for_space_wherever_it_lacks() {
    let name = file_name(Height(2));
    let unfinished = format!("{name}.tmp");
    let refusals = [
        (Deed::Sync, &unfinished, ErrorKind::StorageFull),
        (Deed::Sync, &unfinished, ErrorKind::QuotaExceeded),
        (Deed::Rename, &name, ErrorKind::StorageFull),
        (Deed::Rename, &name, ErrorKind::QuotaExceeded),
    ];
    for (deed, file, kind) in refusals {
        let disk = new_disk();
        let (writer, events) = start(&disk);
        disk.refuse(deed, file, kind);
        let ticket = writer.append_durably(snapshot(2, 1, &ledger(5)));
        wait_until_full(&events);
        disk.mend();
        wait_until_recovered(&events);
        super::wait_for(&events, ticket);
        writer.close().unwrap();
        assert_eq!(reopen(&disk).report.snapshot.unwrap().0, Height(2));
    }
}

/// A new segment is waited for too: none of it was needed yet.
#[test]
fn a_new_segment_waits_for_space() {
    let disk = new_disk();
    let (writer, events) = start(&disk);
    disk.refuse(Deed::Sync, &segment::file_name(2), ErrorKind::StorageFull);
    let mut round = 0;
    let mut was_full = false;
    while !was_full {
        round += 1;
        append_own(&writer, round..=round);
        was_full = matches!(events.recv().unwrap(), LogEvent::Full { .. });
    }
    disk.mend();
    wait_until_recovered(&events);
    writer.close().unwrap();
    assert_eq!(reopen(&disk).report.blocks, round);
}

/// Pruning on a full disk goes on where it stopped, and forgets nothing that is still there.
#[test]
fn pruning_waits_for_space() {
    let disk = new_disk();
    let (writer, events) = start(&disk);
    disk.refuse(Deed::Remove, &file_name(Height(1)), ErrorKind::StorageFull);
    for height in 1..=3 {
        for round in height * 20 - 19..=height * 20 {
            super::wait_for(&events, append_own(&writer, round..=round)[0]);
        }
        let ticket = writer.append_durably(snapshot(height, height * 20 - 5, &ledger(5)));
        super::wait_for(&events, ticket);
    }
    wait_until_full(&events);
    disk.mend();
    disk.refuse(Deed::Remove, &segment::file_name(2), ErrorKind::QuotaExceeded);
    // Said once for both.
    while disk.list().unwrap().iter().any(|name| segment::number_of(name) == Some(1)) {
        std::thread::yield_now();
    }
    disk.mend();
    wait_until_recovered(&events);
    writer.close().unwrap();
    let files = disk.list().unwrap();
    let heights: Vec<Height> = files.iter().filter_map(|name| height_of(name)).collect();
    assert_eq!(heights, [Height(2), Height(3)]);
    let oldest = files.iter().filter_map(|name| segment::number_of(name)).min().unwrap();
    assert!(oldest > 4, "segments below round 35 are left: {files:?}");
    assert!(matches!(reopen(&disk).start, Start::Restarted(_)));
}

/// A log that could not be synced for lack of space is not trusted, but the disk is not to blame.
#[test]
fn a_sync_that_lacks_space_asks_for_space() {
    let disk = new_disk();
    let (writer, events) = start(&disk);
    disk.refuse(Deed::Sync, &segment::file_name(1), ErrorKind::StorageFull);
    append_own(&writer, 1..=1);
    let LogEvent::Failed(error) = events.recv().unwrap() else { panic!("it must fail") };
    let words = error.to_string();
    assert!(matches!(error, StorageError::SyncFailed { is_full: true, .. }), "{words}");
    assert!(words.contains("Free some space") && !words.contains("Replace"), "{words}");
    assert!(writer.close().is_err());
    disk.mend();
    let opened = reopen(&disk);
    assert!(matches!(opened.start, Start::Suspect(_)), "{}", opened.report);
}
