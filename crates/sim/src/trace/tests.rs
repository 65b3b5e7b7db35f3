use super::*;

fn hash_of(records: &[(u64, Kind, u16, u16)]) -> Digest {
    let mut trace = Trace::new(1);
    for (now, kind, process, other) in records {
        trace.record(*now, *kind, *process, *other, [7, 8]);
    }
    trace.hash()
}

#[test]
fn every_part_of_a_record_and_their_order_count() {
    let a = (5, Kind::Deliver, 1, 2);
    let b = (6, Kind::Executed, 3, 4);
    let hash = hash_of(&[a, b]);
    assert_eq!(hash, hash_of(&[a, b]));
    let others = [
        vec![b, a],
        vec![a],
        vec![a, (7, Kind::Executed, 3, 4)],
        vec![a, (6, Kind::Certified, 3, 4)],
        vec![a, (6, Kind::Executed, 4, 4)],
        vec![a, (6, Kind::Executed, 3, 3)],
    ];
    assert!(others.iter().all(|other| hash_of(other) != hash));
    assert_ne!(Trace::new(1).hash(), Trace::new(2).hash());
}

#[test]
fn reading_the_hash_in_between_changes_nothing() {
    let mut read = Trace::new(1);
    let mut unread = Trace::new(1);
    for now in 0..10_000 {
        read.record(now, Kind::Deliver, 0, 1, [now, 0]);
        unread.record(now, Kind::Deliver, 0, 1, [now, 0]);
        if now % 1_000 == 0 {
            read.hash();
        }
    }
    assert_eq!(read.hash(), unread.hash());
    assert_eq!(read.records(), 10_000);
}
