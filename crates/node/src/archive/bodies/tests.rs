//! Segments are written, torn and read.

use super::*;
use crate::testing::{HISTORY, TestFolder};

fn blocks() -> Vec<VerifiedBlock> {
    HISTORY.executed().flat_map(|executed| executed.blocks.clone()).collect()
}

/// Writes each block by itself.
fn written(folder: &TestFolder, segment_bytes: u64) -> Vec<(VerifiedBlock, Place)> {
    let mut bodies = Bodies::open(folder.path(), &BTreeMap::new()).unwrap();
    bodies.segment_bytes = segment_bytes;
    let write = |block: VerifiedBlock| {
        bodies.roll().unwrap();
        let place = bodies.push(&block);
        bodies.write().unwrap();
        (block, place)
    };
    blocks().into_iter().map(write).collect()
}

fn is_kept(folder: &TestFolder, (block, place): &(VerifiedBlock, Place)) -> bool {
    read(folder.path(), place, &block.reference().digest).unwrap().is_some()
}

#[test]
fn a_block_and_each_of_its_transactions_are_read_again() {
    let folder = TestFolder::new();
    let mut transactions = 0;
    for (block, place) in written(&folder, SEGMENT_BYTES) {
        let bytes = read(folder.path(), &place, &block.reference().digest).unwrap().unwrap();
        assert_eq!(bytes, qcn_types::encode(&qcn_types::CompactBlock::in_full(&block)));
        for (number, transaction) in (0..).zip(&block.body.payload.transactions) {
            let found = read_transaction(folder.path(), &place, number).unwrap();
            assert_eq!(found.as_ref(), Some(transaction));
            transactions += 1;
        }
        assert_eq!(read_transaction(folder.path(), &place, place.transactions).unwrap(), None);
    }
    assert!(transactions > 0);
}

/// Given a segment whose last frame was written in part, at every length.
/// When it is opened.
/// Then the whole frames before it are kept, and the next one is written in its place.
#[test]
fn a_torn_end_is_cut_off() {
    let folder = TestFolder::new();
    let frames = written(&folder, SEGMENT_BYTES);
    let ((_, last), whole) = frames.split_last().unwrap();
    let path = path(folder.path(), 1);
    for torn in [last.offset + 1, last.offset + HEADER_BYTES as u64, last.end() - 1] {
        OpenOptions::new().write(true).open(&path).unwrap().set_len(torn).unwrap();
        let mut bodies = Bodies::open(folder.path(), &BTreeMap::new()).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().len(), last.offset);
        assert!(!bodies.holds(last) && bodies.holds(&whole.last().unwrap().1));
        assert!(whole.iter().all(|frame| is_kept(&folder, frame)));
        assert!(!is_kept(&folder, frames.last().unwrap()));
        bodies.roll().unwrap();
        assert_eq!(bodies.push(&frames.last().unwrap().0), *last);
        bodies.write().unwrap();
        assert!(is_kept(&folder, frames.last().unwrap()));
    }
}

#[test]
fn a_place_where_another_block_was_written_since_leads_nowhere() {
    let folder = TestFolder::new();
    let frames = written(&folder, SEGMENT_BYTES);
    let other = frames[1].0.reference().digest;
    assert_eq!(read(folder.path(), &frames[0].1, &other).unwrap(), None);
}

#[test]
fn a_changed_byte_is_seen() {
    let folder = TestFolder::new();
    let frames = written(&folder, SEGMENT_BYTES);
    let path = path(folder.path(), 1);
    let mut bytes = fs::read(&path).unwrap();
    bytes[frames[0].1.offset as usize + HEADER_BYTES + 3] ^= 1;
    fs::write(&path, bytes).unwrap();
    assert!(!is_kept(&folder, &frames[0]) && is_kept(&folder, &frames[1]));
}

#[test]
fn finished_segments_are_not_read_again_and_go_as_a_whole() {
    let folder = TestFolder::new();
    let frames = written(&folder, 1);
    let finished: BTreeMap<u64, Moment> = frames[..frames.len() - 1]
        .iter()
        .map(|(block, place)| (place.segment, Moment::of(Epoch(0), block.reference().round)))
        .collect();
    let mut bodies = Bodies::open(folder.path(), &finished).unwrap();
    let middle = frames[frames.len() / 2].0.reference().round;
    let removed = bodies.remove_below(Moment::of(Epoch(0), middle)).unwrap();
    assert!(!removed.is_empty());
    for frame in &frames[..frames.len() - 1] {
        assert_eq!(is_kept(&folder, frame), frame.0.reference().round >= middle);
        assert_eq!(bodies.holds(&frame.1), frame.0.reference().round >= middle);
    }
}
