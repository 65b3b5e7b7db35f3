use super::{FRAME_HEADER_BYTES, parse, push, scan};

const SALT: u64 = 77;

/// Frames with these marks, and payloads of 10 bytes.
fn frames(first: u64, marks: &[u64]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for (sequence, durable) in (first..).zip(marks) {
        push(&mut bytes, SALT, (sequence, *durable, 1), |buffer| {
            buffer.extend([sequence as u8; 10])
        });
    }
    bytes
}

const FRAME_BYTES: usize = FRAME_HEADER_BYTES + 10;

#[test]
fn frames_come_back_as_they_went() {
    let bytes = frames(5, &[0, 5, 6]);
    let found = scan(&bytes, SALT, 5);
    let sequences: Vec<u64> = found.frames.iter().map(|frame| frame.sequence).collect();
    assert_eq!((sequences, found.durable), (vec![5, 6, 7], 6));
    assert_eq!(found.frames[1].payload, [6; 10]);
    assert_eq!((found.good_bytes, found.is_damaged), (bytes.len(), false));
}

/// Any changed bit and any cut is seen, and the frames before it are kept.
#[test]
fn every_damage_is_seen_where_it_is() {
    let bytes = frames(1, &[0, 0, 0]);
    for bit in 0..bytes.len() * 8 {
        let mut damaged = bytes.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        let found = scan(&damaged, SALT, 1);
        assert_eq!((found.frames.len(), found.is_damaged), (bit / 8 / FRAME_BYTES, true), "{bit}");
    }
    for length in 0..bytes.len() {
        let found = scan(&bytes[..length], SALT, 1);
        assert_eq!(found.frames.len(), length / FRAME_BYTES);
        assert_eq!(found.is_damaged, length % FRAME_BYTES != 0);
    }
}

/// A frame behind the damage tells what was durable when it was written.
#[test]
fn marks_behind_the_damage_count() {
    let mut bytes = frames(1, &[0, 0, 0, 2, 3]);
    bytes[FRAME_BYTES + 30] ^= 1;
    let found = scan(&bytes, SALT, 1);
    assert_eq!((found.frames.len(), found.durable), (1, 3));
}

/// Frames of another file, and bytes in a payload that look like a frame, are none.
#[test]
fn only_frames_with_the_salt_of_the_file_count() {
    let mut inner = Vec::new();
    push(&mut inner, SALT + 1, (3, 2, 1), |buffer| buffer.extend([0; 10]));
    let mut bytes = Vec::new();
    push(&mut bytes, SALT, (1, 0, 1), |buffer| buffer.extend(&inner));
    assert!(parse(&inner, SALT).is_none());
    bytes[20] ^= 1;
    let found = scan(&bytes, SALT, 1);
    assert_eq!((found.frames.len(), found.durable), (0, 0));
}

/// Who fills a payload with headers of huge frames cannot make the search long.
#[test]
fn the_search_behind_a_damage_is_bounded() {
    let mut header = Vec::new();
    push(&mut header, SALT + 1, (3, 2, 1), |_| {});
    header[..4].copy_from_slice(&1_000_000_u32.to_le_bytes());
    let mut bytes = frames(1, &[0]);
    bytes[20] ^= 1;
    bytes.extend(header.repeat(80_000));
    assert_eq!(scan(&bytes, SALT, 1).durable, u64::MAX);
}
