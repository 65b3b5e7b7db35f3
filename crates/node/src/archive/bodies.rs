//! Blocks in full: files that are only appended to, and removed as a whole.
//!
//! A segment is a run of frames `length u32 | crc u32 | epoch u64 | round u64 | digest | payload`,
//! little-endian; the length is the payload's, the checksum covers all behind it. The payload is
//! a block's encoding and, behind it, where each of its transactions begins and the last one ends.
//!
//! **Invariants**
//! - a frame is written before the index names it, so that after the end of a process every name
//!   leads to a block;
//! - a segment is on the disk before the next one begins, so that a power cut can only take the
//!   end of the last one. What it took is cut off at opening; names that lead there, or to another
//!   block that was written there since, lead to nothing: a frame says whose it is.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use borsh::{BorshDeserialize, BorshSerialize};
use qcn_crypto::Digest;
use qcn_types::{
    Bounded, CompactParents, Epoch, Payload, Round, Transaction, VerifiedBlock, decode,
};

use super::keys::Moment;
use crate::page_cache::{self, Trail};

/// A segment that has so many bytes is finished.
const SEGMENT_BYTES: u64 = 64 * 1024 * 1024;

/// How much of the newest blocks stays in the page cache: clients ask for what is new.
const CACHED_BYTES: u64 = 16 * 1024 * 1024;

/// The bytes of a frame before its payload.
const HEADER_BYTES: usize = 4 + 4 + 8 + 8 + 32;

/// Where a block lies.
#[derive(Clone, Copy, PartialEq, Eq, Debug, BorshSerialize, BorshDeserialize)]
pub struct Place {
    pub segment: u64,
    /// Of the frame.
    pub offset: u64,
    /// Of the block's encoding.
    pub bytes: u32,
    pub transactions: u32,
}

impl Place {
    const fn end(&self) -> u64 {
        self.table() + 4 * (self.transactions as u64 + 1)
    }

    /// Where the places of transactions begin.
    const fn table(&self) -> u64 {
        self.offset + HEADER_BYTES as u64 + self.bytes as u64
    }
}

/// What is known of a segment.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Segment {
    pub bytes: u64,
    /// The last round of a block in it.
    pub last: Moment,
}

/// Writes segments.
#[derive(Debug)]
pub struct Bodies {
    folder: PathBuf,
    /// A segment that has so many is finished.
    pub segment_bytes: u64,
    segments: BTreeMap<u64, Segment>,
    /// The last segment.
    file: Option<File>,
    /// What of it is left to the page cache.
    trail: Trail,
    /// The one before it, as long as its end is among the newest bytes.
    before: Option<File>,
    /// Frames that are not written yet.
    waiting: Vec<u8>,
    waiting_last: Moment,
}

impl Bodies {
    /// Opens the segments of a folder, and cuts the end off that is not whole. What is known of
    /// finished segments is not read again.
    pub fn open(folder: &Path, finished: &BTreeMap<u64, Moment>) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        let mut segments = BTreeMap::new();
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let Some(number) = entry.file_name().to_str().and_then(number_of) else { continue };
            let segment = match finished.get(&number) {
                Some(last) => Segment { bytes: entry.metadata()?.len(), last: *last },
                None => cut(&entry.path())?,
            };
            segments.insert(number, segment);
        }
        let mut bodies = Self {
            folder: folder.to_owned(),
            segment_bytes: SEGMENT_BYTES,
            segments,
            file: None,
            trail: Trail::unsynced(CACHED_BYTES),
            before: None,
            waiting: Vec::new(),
            waiting_last: Moment::START,
        };
        if let Some(number) = bodies.last().filter(|number| !finished.contains_key(number)) {
            bodies.file = Some(OpenOptions::new().write(true).open(bodies.path(number))?);
        }
        Ok(bodies)
    }

    fn last(&self) -> Option<u64> {
        self.segments.last_key_value().map(|(number, _)| *number)
    }

    fn path(&self, number: u64) -> PathBuf {
        path(&self.folder, number)
    }

    /// Finishes the last segment if it is long enough, durably, and tells what it was.
    pub fn roll(&mut self) -> io::Result<Option<(u64, Moment)>> {
        let last = self.segments.last_key_value();
        let last = last.map(|(number, segment)| (*number, *segment));
        let mut finished = None;
        if let (Some(file), Some((number, segment))) = (&self.file, last) {
            if segment.bytes < self.segment_bytes {
                return Ok(None);
            }
            file.sync_data()?;
            finished = Some((number, segment.last));
        }
        self.before = self.file.take();
        let number = last.map_or(1, |(number, _)| number + 1);
        self.file = Some(File::create(self.path(number))?);
        self.trail = Trail::unsynced(CACHED_BYTES);
        self.segments.insert(number, Segment::default());
        Ok(finished)
    }

    /// Prepares a frame for the next [`write`](Self::write). A segment must be open.
    pub fn push(&mut self, block: &VerifiedBlock) -> Place {
        let reference = block.reference();
        let moment = Moment::of(block.body.epoch, reference.round);
        let start = self.waiting.len();
        self.waiting.extend_from_slice(&[0; 8]);
        self.waiting.extend_from_slice(&moment.epoch.0.to_le_bytes());
        self.waiting.extend_from_slice(&reference.round.0.to_le_bytes());
        self.waiting.extend_from_slice(reference.digest.as_bytes());
        let payload = self.waiting.len();
        let offsets = push_block(&mut self.waiting, block);
        let bytes = count(self.waiting.len() - payload);
        for offset in &offsets {
            self.waiting.extend_from_slice(&offset.to_le_bytes());
        }
        let length = count(self.waiting.len() - payload);
        self.waiting[start..start + 4].copy_from_slice(&length.to_le_bytes());
        let crc = crc32fast::hash(&self.waiting[start + 8..]);
        self.waiting[start + 4..start + 8].copy_from_slice(&crc.to_le_bytes());
        self.waiting_last = self.waiting_last.max(moment);
        let (segment, written) =
            self.segments.last_key_value().map_or((0, 0), |(number, known)| (*number, known.bytes));
        let transactions = count(offsets.len() - 1);
        Place { segment, offset: written + start as u64, bytes, transactions }
    }

    /// Writes what was prepared. If that fails, no part of it stays.
    pub fn write(&mut self) -> io::Result<()> {
        let Some(mut last) = self.segments.last_entry() else { return Ok(()) };
        let Some(file) = self.file.as_ref().filter(|_| !self.waiting.is_empty()) else {
            return Ok(());
        };
        let written = file.write_all_at(&self.waiting, last.get().bytes);
        if written.is_err() {
            // What cannot be cut off now is at the next opening, or written over before.
            let _ = file.set_len(last.get().bytes);
        } else {
            last.get_mut().bytes += self.waiting.len() as u64;
            last.get_mut().last = last.get().last.max(self.waiting_last);
            self.trail.advance(file, last.get().bytes);
            if last.get().bytes >= CACHED_BYTES
                && let Some(before) = self.before.take()
            {
                page_cache::give_back_all(&before);
            }
        }
        self.forget();
        written
    }

    /// Drops what was prepared.
    pub fn forget(&mut self) {
        self.waiting.clear();
        self.waiting.shrink_to(SEGMENT_BYTES as usize / 8);
        self.waiting_last = Moment::START;
    }

    /// Whether a block that the index names can be here.
    pub fn holds(&self, place: &Place) -> bool {
        self.segments.get(&place.segment).is_some_and(|segment| place.end() <= segment.bytes)
    }

    /// Waits until everything is on the disk.
    pub fn sync(&self) -> io::Result<()> {
        self.file.as_ref().map_or(Ok(()), File::sync_data)
    }

    /// How many bytes all have.
    pub fn bytes(&self) -> u64 {
        self.segments.values().map(|segment| segment.bytes).sum()
    }

    /// Removes finished segments that hold no round from this one on, and tells which.
    pub fn remove_below(&mut self, moment: Moment) -> io::Result<Vec<u64>> {
        let last = self.last();
        let old = self
            .segments
            .iter()
            .filter(|(number, segment)| Some(**number) != last && segment.last < moment);
        let old: Vec<u64> = old.map(|(number, _)| *number).collect();
        for number in &old {
            remove_if_there(&self.path(*number))?;
            self.segments.remove(number);
        }
        Ok(old)
    }
}

/// The payload of the frame at a place, without the places of transactions, if it is intact and
/// that of this block.
pub fn read(folder: &Path, place: &Place, digest: &Digest) -> io::Result<Option<Vec<u8>>> {
    let bytes = read_range(folder, place.segment, place.offset, place.end() - place.offset)?;
    let block = bytes.filter(|bytes| frame_at(bytes).is_some_and(|(_, of, _)| of == *digest));
    let end = HEADER_BYTES + place.bytes as usize;
    Ok(block.and_then(|bytes| bytes.get(HEADER_BYTES..end).map(<[u8]>::to_vec)))
}

/// One transaction of the block at a place. It is for the caller to check that it is the one that
/// was meant.
pub fn read_transaction(
    folder: &Path,
    place: &Place,
    number: u32,
) -> io::Result<Option<Transaction>> {
    if number >= place.transactions {
        return Ok(None);
    }
    let at = place.table() + 4 * u64::from(number);
    let Some(ends) = read_range(folder, place.segment, at, 8)? else { return Ok(None) };
    let offset =
        |at: usize| ends[at..at + 4].iter().rev().fold(0, |sum, byte| sum << 8 | u64::from(*byte));
    let (start, end) = (offset(0), offset(4));
    if start > end || end > u64::from(place.bytes) {
        return Ok(None);
    }
    let start_in_file = place.offset + HEADER_BYTES as u64 + start;
    let bytes = read_range(folder, place.segment, start_in_file, end - start)?;
    Ok(bytes.and_then(|bytes| decode(&bytes).ok()))
}

/// Some bytes of a segment; nothing if they are not there.
fn read_range(folder: &Path, segment: u64, at: u64, length: u64) -> io::Result<Option<Vec<u8>>> {
    let mut bytes = vec![0; length as usize];
    let read =
        File::open(path(folder, segment)).and_then(|file| file.read_exact_at(&mut bytes, at));
    match read {
        Ok(()) => Ok(Some(bytes)),
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::UnexpectedEof) => {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// Cuts a segment off behind its last whole frame.
fn cut(path: &Path) -> io::Result<Segment> {
    let bytes = fs::read(path)?;
    let mut segment = Segment::default();
    let mut rest = bytes.as_slice();
    while let Some((moment, _, length)) = frame_at(rest) {
        segment.last = segment.last.max(moment);
        segment.bytes += length as u64;
        rest = &rest[length..];
    }
    if !rest.is_empty() {
        OpenOptions::new().write(true).open(path)?.set_len(segment.bytes)?;
    }
    Ok(segment)
}

/// Moment, block and length of the frame that bytes begin with, if it is whole.
fn frame_at(bytes: &[u8]) -> Option<(Moment, Digest, usize)> {
    let word = |at: usize| Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
    let end = HEADER_BYTES.checked_add(word(0)? as usize)?;
    let covered = bytes.get(8..end)?;
    let long = |at: usize| Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?));
    let moment = Moment::of(Epoch(long(8)?), Round(long(16)?));
    let digest = Digest(bytes.get(24..HEADER_BYTES)?.try_into().ok()?);
    (crc32fast::hash(covered) == word(4)?).then_some((moment, digest, end))
}

/// Appends the encoding of `CompactBlock::in_full`, without cloning the payload, and tells where
/// in it each transaction begins and the last one ends.
fn push_block(buffer: &mut Vec<u8>, block: &VerifiedBlock) -> Vec<u32> {
    let body = &block.body;
    // By name, so that a new part of the payload cannot be left out.
    let Payload { transactions, evidence, deliveries, announcement, reports } = &body.payload;
    let parents = CompactParents::Full(Bounded::truncated(body.parents.clone()));
    let start = buffer.len();
    append(buffer, &(body.round, body.author, body.time_ms, parents));
    append(buffer, &count(transactions.len()));
    let mut offsets = Vec::with_capacity(transactions.len() + 1);
    for transaction in transactions {
        offsets.push(count(buffer.len() - start));
        append(buffer, transaction);
    }
    offsets.push(count(buffer.len() - start));
    append(buffer, &(evidence, deliveries, announcement, reports));
    append(buffer, &(&body.attestations, &block.signature));
    offsets
}

fn append<T: BorshSerialize>(buffer: &mut Vec<u8>, value: &T) {
    // Writing to a vector cannot fail, and none of these types refuses to encode.
    value.serialize(buffer).expect("encoding into memory");
}

fn count(number: usize) -> u32 {
    u32::try_from(number).expect("a block is far shorter than 4 GB")
}

fn path(folder: &Path, number: u64) -> PathBuf {
    folder.join(format!("{number:08}.seg"))
}

fn number_of(name: &str) -> Option<u64> {
    name.strip_suffix(".seg")?.parse().ok()
}

/// Removes a file that may be gone already.
pub fn remove_if_there(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
