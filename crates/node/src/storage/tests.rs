//! The store through its public face, on a real disk.

mod abandoned;
mod crashes;
mod kill;
mod refusals;
mod writer;

use std::sync::mpsc::{Receiver, channel};

use qcn_shard::{Record, Start};
use qcn_types::{BlockRef, Round};

use super::testing::{KEYS, OTHER, OWN, TERRITORY, TestFolder, block, identity, ledger, snapshot};
use super::{BlockLog, LogEvent, LogWriter, Opened, StorageError, Ticket};

fn open(folder: &TestFolder) -> Opened {
    BlockLog::open(folder.path(), &identity(), &KEYS, &TERRITORY, OWN).unwrap()
}

fn spawn(log: BlockLog) -> (LogWriter, Receiver<LogEvent>) {
    let (events, received) = channel();
    (LogWriter::spawn(log, move |event| events.send(event).unwrap()), received)
}

fn wait_for(events: &Receiver<LogEvent>, ticket: Ticket) {
    loop {
        match events.recv().unwrap() {
            LogEvent::Durable(durable) if durable == ticket => return,
            LogEvent::Durable(_) => {}
            other => panic!("{other:?}"),
        }
    }
}

/// The blocks of a log in order.
fn names(records: &[Record]) -> Vec<BlockRef> {
    let name = |record: &Record| match record {
        Record::Own(block) | Record::Accepted(block) => Some(block.reference()),
        Record::Snapshot { .. } => None,
    };
    records.iter().filter_map(name).collect()
}

fn restarted(start: &Start) -> &[Record] {
    match start {
        Start::Restarted(records) => records,
        other => panic!("{other:?}"),
    }
}

/// What was appended is there after a restart, in order.
///
/// Given a new store; when blocks are appended and the writer is closed, then the store opens
/// with all of them, and once more after nothing happened.
#[test]
fn blocks_come_back_in_order() {
    let folder = TestFolder::new("order");
    BlockLog::initialise(folder.path(), &identity()).unwrap();
    let opened = open(&folder);
    assert!(matches!(opened.start, Start::Fresh), "{}", opened.report);
    let (writer, events) = spawn(opened.log);
    let mut appended = Vec::new();
    for round in 1..=20 {
        let (own, other) = (block(OWN, round, 0), block(OTHER, round, 3));
        appended.extend([other.reference(), own.reference()]);
        writer.append(Record::Accepted(other));
        wait_for(&events, writer.append_durably(Record::Own(own)));
    }
    writer.close().unwrap();
    for _ in 0..2 {
        let opened = open(&folder);
        assert_eq!(names(restarted(&opened.start)), appended);
        assert_eq!((opened.report.blocks, opened.report.records), (40, 40));
        assert!(matches!(restarted(&opened.start)[1], Record::Own(_)));
    }
}

/// A snapshot comes back with its state, and takes the place of the blocks below its floor.
#[test]
fn a_snapshot_replaces_the_blocks_below_its_floor() {
    let folder = TestFolder::new("snapshot");
    BlockLog::initialise(folder.path(), &identity()).unwrap();
    let (writer, events) = spawn(open(&folder).log);
    let ledger = ledger(3_000);
    for round in 1..=10 {
        writer.append(Record::Own(block(OWN, round, 0)));
    }
    wait_for(&events, writer.append_durably(snapshot(4, 7, &ledger)));
    writer.close().unwrap();

    let opened = open(&folder);
    let records = restarted(&opened.start);
    let Record::Snapshot { package, ledger: restored, floor } = &records[0] else {
        panic!("{records:?}");
    };
    assert_eq!((package.certificate.checkpoint.height.0, *floor), (4, Round(7)));
    assert_eq!(restored.state_root(), ledger.state_root());
    assert_eq!(restored.record_count(), 3_001);
    let rounds: Vec<u64> = names(records).iter().map(|name| name.round.0).collect();
    assert_eq!(rounds, [8, 9, 10]);
}

/// A folder without the fresh marker is that of a lost store, until an own block is durable.
#[test]
fn a_lost_store_is_suspect_until_an_own_block_is_durable() {
    let folder = TestFolder::new("lost");
    for _ in 0..2 {
        let opened = open(&folder);
        assert!(matches!(opened.start, Start::Suspect(_)), "{}", opened.report);
        let (writer, _events) = spawn(opened.log);
        writer.append(Record::Accepted(block(OTHER, 1, 0)));
        writer.close().unwrap();
    }
    let (writer, events) = spawn(open(&folder).log);
    wait_for(&events, writer.append_durably(Record::Own(block(OWN, 3, 0))));
    writer.close().unwrap();
    assert_eq!(names(restarted(&open(&folder).start)).len(), 3);
}

/// A folder is marked as new once, and opened by one process for one validator.
#[test]
fn a_store_has_one_owner() {
    let folder = TestFolder::new("owner");
    BlockLog::initialise(folder.path(), &identity()).unwrap();
    let again = BlockLog::initialise(folder.path(), &identity());
    assert!(matches!(again, Err(StorageError::NotEmpty { .. })), "{again:?}");

    let opened = open(&folder);
    let second = BlockLog::open(folder.path(), &identity(), &KEYS, &TERRITORY, OWN);
    assert!(matches!(second, Err(StorageError::InUse { .. })), "{second:?}");
    drop(opened);

    let other = super::StoreIdentity::of(&KEYS, OTHER).unwrap();
    let foreign = BlockLog::open(folder.path(), &other, &KEYS, &TERRITORY, OTHER);
    assert!(matches!(foreign, Err(StorageError::Foreign { .. })), "{foreign:?}");
    let wrong = BlockLog::open(folder.path(), &identity(), &KEYS, &TERRITORY, OTHER);
    assert!(matches!(wrong, Err(StorageError::WrongKeys { .. })), "{wrong:?}");
    assert!(matches!(open(&folder).start, Start::Restarted(_)));
}

/// A store that was restored from a backup is not trusted.
#[test]
fn a_distrusted_store_is_suspect() {
    let folder = TestFolder::new("distrust");
    BlockLog::initialise(folder.path(), &identity()).unwrap();
    drop(open(&folder));
    BlockLog::distrust(folder.path(), "restored from a backup").unwrap();
    let opened = open(&folder);
    assert!(matches!(opened.start, Start::Suspect(_)));
    assert!(opened.report.to_string().contains("restored from a backup"), "{}", opened.report);
}

/// An operator who restored a folder marks it with an empty file.
#[test]
fn a_mark_without_a_reason_is_told_as_such() {
    let folder = TestFolder::new("marked");
    BlockLog::initialise(folder.path(), &identity()).unwrap();
    drop(open(&folder));
    std::fs::write(folder.path().join("suspect"), "").unwrap();
    let opened = open(&folder);
    assert!(matches!(opened.start, Start::Suspect(_)));
    let told = opened.report.to_string();
    assert!(
        told.ends_with("SUSPECT: the folder has the mark suspect, without a reason in it"),
        "{told}"
    );
}
