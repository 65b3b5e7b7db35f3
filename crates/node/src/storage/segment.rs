//! Segments: the files of the log.
//!
//! A segment begins with a header that is durable before the first frame is written, and is
//! durable as a whole before the next segment exists. So on a disk that keeps its word only
//! the last segment can be torn, and only behind its header.

use std::hash::{BuildHasher, Hasher, RandomState};

use borsh::{BorshDeserialize, BorshSerialize};
use qcn_types::{Round, decode, encode};

use super::disk::{Disk, DiskFile};
use super::error::{StorageError, new_sync_failed, sync_failed, write_failed};
use super::{FORMAT_VERSION, StoreIdentity, sealed};

const MAGIC: [u8; 8] = *b"qcn log\n";

/// What a segment begins with.
#[derive(Clone, PartialEq, Eq, Debug, BorshSerialize, BorshDeserialize)]
pub(super) struct SegmentHeader {
    magic: [u8; 8],
    pub(super) version: u32,
    /// One above that of the segment before; the first has 1.
    pub(super) number: u64,
    /// The sequence of its first frame.
    pub(super) first_sequence: u64,
    /// Goes into the checksum of every frame.
    pub(super) salt: u64,
    pub(super) identity: StoreIdentity,
}

/// The bytes of a header with its checksum.
pub(super) const SEGMENT_HEADER_BYTES: usize = 8 + 4 + 8 + 8 + 8 + 78 + 4;

impl SegmentHeader {
    pub(super) fn new(number: u64, first_sequence: u64, identity: StoreIdentity) -> Self {
        let salt = random_salt();
        Self { magic: MAGIC, version: FORMAT_VERSION, number, first_sequence, salt, identity }
    }

    /// Reads the header of a segment.
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let header: Self = decode(sealed::open(bytes.get(..SEGMENT_HEADER_BYTES)?)?).ok()?;
        (header.magic == MAGIC).then_some(header)
    }
}

/// What the log remembers of a segment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct SegmentMeta {
    pub(super) number: u64,
    /// The highest round of a block in it.
    pub(super) highest_round: Round,
}

/// The segment that is written to.
#[derive(Debug)]
pub(super) struct OpenSegment {
    pub(super) name: String,
    pub(super) file: Box<dyn DiskFile>,
    pub(super) salt: u64,
    /// How many bytes of it are whole frames.
    pub(super) bytes: u64,
}

impl OpenSegment {
    /// Makes a segment, durably.
    ///
    /// # Errors
    /// If the disk does; no part of the segment is left then, as far as the disk allows.
    pub(super) fn create(disk: &dyn Disk, header: &SegmentHeader) -> Result<Self, StorageError> {
        let name = file_name(header.number);
        let bytes = sealed::seal(encode(header));
        assert_eq!(bytes.len(), SEGMENT_HEADER_BYTES, "the header has a fixed length");
        let written = disk
            .create(&name)
            .and_then(|mut file| {
                file.write_at(0, &bytes)?;
                Ok(file)
            })
            .map_err(write_failed(disk, &name, bytes.len()))
            .and_then(|mut file| {
                file.sync().map_err(new_sync_failed(disk, &name, bytes.len()))?;
                Ok(file)
            });
        let file = match written {
            Ok(file) => file,
            Err(error) => {
                // What is left of it is not a segment: opening removes it, or the next attempt.
                let _ = disk.remove(&name);
                return Err(error);
            }
        };
        disk.sync_folder().map_err(sync_failed(disk, ""))?;
        Ok(Self { name, file, salt: header.salt, bytes: bytes.len() as u64 })
    }
}

/// The name of a segment's file.
pub(super) fn file_name(number: u64) -> String {
    format!("blocks-{number:08}.log")
}

/// The number of the segment with this name.
pub(super) fn number_of(name: &str) -> Option<u64> {
    let number = name.strip_prefix("blocks-")?.strip_suffix(".log")?.parse().ok()?;
    (file_name(number) == name).then_some(number)
}

/// A number that nobody can foresee, from the keys that the standard library draws.
pub(super) fn random_salt() -> u64 {
    RandomState::new().build_hasher().finish()
}
