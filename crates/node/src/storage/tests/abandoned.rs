//! A snapshot that somebody waits for, while another one is being written.

use std::sync::mpsc::Receiver;

use qcn_types::Height;

use super::super::disk::Disk;
use super::super::sealed::UNFINISHED;
use super::super::snapshot::{WRITE_BYTES, file_name, height_of};
use super::super::testing::memory::{Hold, MemoryDisk};
use super::super::testing::{last_snapshot, ledger, snapshot};
use super::super::{LogEvent, LogWriter, Ticket};
use super::wait_for;
use super::writer::{append_own, new_disk, reopen, start};

/// Enough that a snapshot is written in more than one piece.
const MANY_ACCOUNTS: usize = 20_000;

/// Holds up the first of several writes of the snapshot at height 2.
fn hold_snapshot_2(disk: &MemoryDisk) -> Hold {
    disk.hold_write(&format!("{}{UNFINISHED}", file_name(Height(2))))
}

/// Waits until the writer has seen everything that was appended before this.
fn until_seen(writer: &LogWriter, events: &Receiver<LogEvent>, round: u64) {
    wait_for(events, append_own(writer, round..=round)[0]);
}

/// The tickets that become durable up to this one.
fn durable_until(events: &Receiver<LogEvent>, last: Ticket) -> Vec<Ticket> {
    let mut durable = Vec::new();
    while durable.last() != Some(&last) {
        match events.recv().unwrap() {
            LogEvent::Durable(ticket) => durable.push(ticket),
            other => panic!("{other:?}"),
        }
    }
    durable
}

/// The heights of the snapshots on the disk, none of which is unfinished.
fn heights(disk: &MemoryDisk) -> Vec<u64> {
    let files = disk.list().unwrap();
    assert!(!files.iter().any(|name| name.ends_with(UNFINISHED)), "{files:?}");
    files.iter().filter_map(|name| height_of(name)).map(|height| height.0).collect()
}

/// A snapshot that nobody waits for makes way for one that somebody waits for.
///
/// Given a snapshot without a ticket, half written; when the last state of the epoch is appended
/// with one, then the first is abandoned and leaves no file, and the second is durable and what the
/// log opens with. Later snapshots are written as ever.
#[test]
fn a_snapshot_makes_way_for_one_that_is_waited_for() {
    let disk = new_disk();
    let (writer, events) = start(&disk);
    let hold = hold_snapshot_2(&disk);
    let many = ledger(MANY_ACCOUNTS);
    writer.append(snapshot(2, 1, &many));
    hold.until_begun();
    let waited_for = writer.append_durably(last_snapshot(3, 2, &many));
    until_seen(&writer, &events, 1);
    drop(hold);
    assert_eq!(durable_until(&events, waited_for), [waited_for]);
    assert_eq!(heights(&disk), [3]);
    assert!(disk.bytes_of(&file_name(Height(3))) > WRITE_BYTES, "it is written in one piece");

    writer.append(snapshot(4, 3, &ledger(3)));
    writer.close().unwrap();
    assert_eq!(heights(&disk), [3, 4]);
    disk.lose(&file_name(Height(4)));
    let opened = reopen(&disk);
    assert_eq!(opened.report.snapshot.unwrap().0, Height(3), "{}", opened.report);
}

/// A snapshot that somebody waits for is finished, whatever comes after it.
///
/// Given a snapshot with a ticket, half written; when another one is appended with a ticket, then
/// both become durable, in this order.
#[test]
fn a_snapshot_that_is_waited_for_is_finished() {
    let disk = new_disk();
    let (writer, events) = start(&disk);
    let hold = hold_snapshot_2(&disk);
    let many = ledger(MANY_ACCOUNTS);
    let first = writer.append_durably(snapshot(2, 1, &many));
    hold.until_begun();
    let second = writer.append_durably(last_snapshot(3, 2, &many));
    until_seen(&writer, &events, 1);
    drop(hold);
    assert_eq!(durable_until(&events, second), [first, second]);
    writer.close().unwrap();
    assert_eq!(heights(&disk), [2, 3]);
}

/// A writer that is closed meanwhile finishes the one that is waited for.
#[test]
fn a_closing_writer_abandons_too() {
    let disk = new_disk();
    let (writer, events) = start(&disk);
    let hold = hold_snapshot_2(&disk);
    let many = ledger(MANY_ACCOUNTS);
    writer.append(snapshot(2, 1, &many));
    hold.until_begun();
    let waited_for = writer.append_durably(last_snapshot(3, 2, &many));
    until_seen(&writer, &events, 1);
    let closing = std::thread::spawn(|| writer.close());
    drop(hold);
    closing.join().unwrap().unwrap();
    assert_eq!(durable_until(&events, waited_for), [waited_for]);
    assert_eq!(heights(&disk), [3]);
}
