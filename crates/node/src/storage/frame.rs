//! Frames: how records lie in a file, and how they are found again.
//!
//! `length u32 | crc u32 | sequence u64 | durable u64 | kind u8 | payload`, little-endian. The
//! checksum covers everything but itself, and the salt of the file: nobody who does not read
//! this disk can make bytes that pass for a frame inside a payload, and frames of other files
//! do not pass here.

/// The bytes of a frame before its payload.
pub(super) const FRAME_HEADER_BYTES: usize = 25;

/// The longest payload of a frame.
pub(super) const MAX_PAYLOAD_BYTES: usize = 64 * 1024 * 1024;

/// How many bytes are hashed in search of frames behind a damage, as a multiple of what is
/// searched.
const SEARCH_EFFORT: usize = 16;

/// A record in a file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Frame<'a> {
    /// One above that of the frame before.
    pub(super) sequence: u64,
    /// The highest sequence that was durable when this frame was written.
    pub(super) durable: u64,
    /// What the payload is.
    pub(super) kind: u8,
    /// The record.
    pub(super) payload: &'a [u8],
}

/// Appends a frame whose payload `write` appends.
pub(super) fn push(
    buffer: &mut Vec<u8>,
    salt: u64,
    (sequence, durable, kind): (u64, u64, u8),
    write: impl FnOnce(&mut Vec<u8>),
) {
    let start = buffer.len();
    buffer.extend_from_slice(&[0; 8]);
    buffer.extend_from_slice(&sequence.to_le_bytes());
    buffer.extend_from_slice(&durable.to_le_bytes());
    buffer.push(kind);
    write(buffer);
    let payload = buffer.len() - start - FRAME_HEADER_BYTES;
    assert!(payload <= MAX_PAYLOAD_BYTES, "records are bounded, this one has {payload} bytes");
    let length = (payload as u32).to_le_bytes();
    let crc = checksum(salt, &length, &buffer[start + 8..]);
    buffer[start..start + 4].copy_from_slice(&length);
    buffer[start + 4..start + 8].copy_from_slice(&crc.to_le_bytes());
}

/// The frame at the beginning of `bytes`, and how long it is.
pub(super) fn parse(bytes: &[u8], salt: u64) -> Option<(Frame<'_>, usize)> {
    let (frame, end) = outline(bytes)?;
    let crc = u32::from_le_bytes(bytes[4..8].try_into().ok()?);
    (checksum(salt, &bytes[..4], &bytes[8..end]) == crc).then_some((frame, end))
}

/// What the beginning of `bytes` would be if it were a frame.
fn outline(bytes: &[u8]) -> Option<(Frame<'_>, usize)> {
    let header = bytes.get(..FRAME_HEADER_BYTES)?;
    let length = u32::from_le_bytes(header[..4].try_into().ok()?) as usize;
    if length > MAX_PAYLOAD_BYTES {
        return None;
    }
    let end = FRAME_HEADER_BYTES + length;
    let frame = Frame {
        sequence: u64::from_le_bytes(header[8..16].try_into().ok()?),
        durable: u64::from_le_bytes(header[16..24].try_into().ok()?),
        kind: header[24],
        payload: bytes.get(FRAME_HEADER_BYTES..end)?,
    };
    Some((frame, end))
}

fn checksum(salt: u64, length: &[u8], rest: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&salt.to_le_bytes());
    hasher.update(length);
    hasher.update(rest);
    hasher.finalize()
}

/// What a run of frames holds.
#[derive(Debug)]
pub(super) struct Scan<'a> {
    /// The intact frames from the beginning, without a gap.
    pub(super) frames: Vec<Frame<'a>>,
    /// How many bytes they take.
    pub(super) good_bytes: usize,
    /// Whether bytes follow that are no frame.
    pub(super) is_damaged: bool,
    /// The highest durable sequence that any intact frame carries, also behind the damage.
    pub(super) durable: u64,
}

/// Reads frames that begin with the sequence `first`.
pub(super) fn scan(bytes: &[u8], salt: u64, first: u64) -> Scan<'_> {
    let mut found = Scan { frames: Vec::new(), good_bytes: 0, is_damaged: false, durable: 0 };
    let mut expected = first;
    while let Some((frame, length)) = parse(&bytes[found.good_bytes..], salt) {
        if frame.sequence != expected {
            break;
        }
        found.durable = found.durable.max(frame.durable);
        found.frames.push(frame);
        found.good_bytes += length;
        expected += 1;
    }
    let rest = &bytes[found.good_bytes..];
    found.is_damaged = !rest.is_empty();
    found.durable = found.durable.max(durable_behind_damage(rest, salt, expected));
    found
}

/// The highest durable sequence that intact frames in `bytes` carry, wherever they begin; the
/// highest of all if that cannot be told with reasonable effort.
fn durable_behind_damage(bytes: &[u8], salt: u64, first_lost: u64) -> u64 {
    let mut durable = 0;
    let mut effort = bytes.len().saturating_mul(SEARCH_EFFORT);
    let mut at = 0;
    let highest = first_lost + (bytes.len() / FRAME_HEADER_BYTES) as u64;
    while let Some(rest) = bytes.get(at..).filter(|rest| rest.len() >= FRAME_HEADER_BYTES) {
        at += 1;
        let Some((frame, length)) = outline(rest) else { continue };
        if !(first_lost..=highest).contains(&frame.sequence) || frame.durable >= frame.sequence {
            continue;
        }
        if effort < length {
            return u64::MAX;
        }
        effort -= length;
        if parse(rest, salt).is_some() {
            durable = durable.max(frame.durable);
            at += length - 1;
        }
    }
    durable
}

#[cfg(test)]
mod tests;
