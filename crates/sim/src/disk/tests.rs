use super::*;

/// A record with a round; one in a thousand is a snapshot that makes older rounds superfluous.
impl LogRecord for u64 {
    fn floor(&self) -> Option<u64> {
        self.is_multiple_of(1_000).then(|| self - 10)
    }

    fn is_needed_above(&self, floor: u64) -> bool {
        *self > floor && self.floor().is_none()
    }
}

fn disk(synced: std::ops::Range<u64>, unsynced: std::ops::Range<u64>) -> Disk<u64> {
    let mut disk = Disk::new(DiskModel { write_us: 1, sync_us: 100 });
    synced.for_each(|record| disk.append(0, record));
    let end = disk.sync(0);
    disk.advance(end);
    unsynced.for_each(|record| disk.append(end, record));
    disk
}

fn after(fault: DiskFault, seed: u64) -> (Vec<u64>, bool) {
    let mut disk = disk(1..11, 11..16);
    disk.crash(1_000, fault, &mut Random::new(seed, "disk"));
    let recovered = disk.recover();
    (recovered.records, recovered.complete)
}

#[test]
fn a_sync_takes_its_time_and_covers_what_was_written_before() {
    let mut disk = Disk::new(DiskModel { write_us: 10, sync_us: 100 });
    disk.append(0, 1_u64);
    let first = disk.sync(0);
    assert_eq!(first, 110);
    disk.append(50, 2);
    disk.advance(109);
    assert_eq!(disk.durable.len(), 0);
    disk.advance(110);
    assert_eq!(disk.durable, [1]);
    let second = disk.sync(115);
    assert_eq!(second, 220, "it waits for the write before it");
    disk.advance(second);
    assert_eq!(disk.durable, [1, 2]);
}

#[test]
fn what_was_written_survives_the_process_but_not_the_machine() {
    assert_eq!(after(DiskFault::Nothing, 0), ((1..16).collect(), true));
    assert_eq!(after(DiskFault::LoseUnsynced, 0), ((1..11).collect(), true));
}

/// Whatever is lost besides, the log that is read back is a prefix and says that it is suspect.
#[test]
fn a_damaged_log_is_an_honest_prefix() {
    let faults = [DiskFault::TornTail, DiskFault::BitFlip, DiskFault::LoseSynced, DiskFault::Wipe];
    for fault in faults {
        for seed in 0..50 {
            let (records, complete) = after(fault, seed);
            assert!(!complete, "{fault:?}");
            assert!(records.len() < 15);
            assert_eq!(records, (1..=records.len() as u64).collect::<Vec<_>>(), "{fault:?}");
        }
    }
    assert!(after(DiskFault::Wipe, 0).0.is_empty());
}

/// Given a wiped disk, when its owner crashes again and again before it has signed anything
/// after learning from where on it may, then its log stays suspect.
#[test]
fn a_log_stays_suspect_until_a_later_record_is_durable() {
    let mut disk = disk(1..11, 11..16);
    let mut random = Random::new(0, "disk");
    disk.crash(1_000, DiskFault::Wipe, &mut random);
    assert!(!disk.recover().complete);
    disk.crash(1_500, DiskFault::Nothing, &mut random);
    assert!(!disk.recover().complete, "it had learned nothing");
    disk.resolve();
    disk.append(2_000, 20);
    disk.sync(2_000);
    disk.crash(2_001, DiskFault::LoseUnsynced, &mut random);
    assert!(!disk.recover().complete, "it had made nothing durable");
    disk.resolve();
    disk.append(3_000, 30);
    let end = disk.sync(3_000);
    disk.advance(end);
    disk.crash(end, DiskFault::LoseUnsynced, &mut random);
    let recovered = disk.recover();
    assert!(recovered.complete);
    assert_eq!(recovered.records, [30]);
}

#[test]
fn a_durable_snapshot_lets_older_records_go() {
    let mut disk = disk(980..1_001, 1_001..1_003);
    assert_eq!(disk.records(), 12);
    disk.crash(1_000, DiskFault::Nothing, &mut Random::new(0, "disk"));
    let records = disk.recover().records;
    assert_eq!(records, [991, 992, 993, 994, 995, 996, 997, 998, 999, 1_000, 1_001, 1_002]);
}
