//! Snapshots on disk: a certified checkpoint with its state, in a file of its own.
//!
//! The file is written under another name, synced, renamed and made durable, so a file with the
//! name of a snapshot is whole unless the disk damaged it. Reading trusts none of it: every
//! piece has a checksum, the certificate is verified with the committee's keys, and the state
//! is restored against the root that the certified checkpoint names.

use std::sync::Arc;

use borsh::{BorshDeserialize, BorshSerialize};
use qcn_ledger::{Ledger, Restore, StateChunk, Territory};
use qcn_light::verify_certificate;
use qcn_shard::SyncPackage;
use qcn_types::{CommitteeKeys, Height, Round, decode, encode};
use rayon::prelude::*;

use super::disk::{Disk, DiskFile};
use super::error::{StorageError, name_failed, new_sync_failed, sync_failed, write_failed};
use super::sealed::{self, UNFINISHED};
use super::segment::random_salt;
use super::{FORMAT_VERSION, StoreIdentity, frame};

const MAGIC: [u8; 8] = *b"qcn snap";

/// Written at once.
pub(super) const WRITE_BYTES: usize = 1024 * 1024;

/// The kinds of frames in the file.
mod kind {
    pub(super) const PACKAGE: u8 = 1;
    pub(super) const CHUNK: u8 = 2;
    pub(super) const END: u8 = 3;
}

/// What a snapshot begins with.
#[derive(Clone, Copy, PartialEq, Eq, Debug, BorshSerialize, BorshDeserialize)]
struct SnapshotHeader {
    magic: [u8; 8],
    version: u32,
    identity: StoreIdentity,
    height: Height,
    floor: Round,
    salt: u64,
}

const HEADER_BYTES: usize = 8 + 4 + 78 + 8 + 8 + 8 + 4;

/// A snapshot on the disk.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, BorshSerialize, BorshDeserialize)]
pub(super) struct SnapshotEntry {
    pub(super) height: Height,
    /// Blocks of rounds at or below are not needed beside it.
    pub(super) floor: Round,
}

/// A snapshot in memory.
#[derive(Clone, Debug)]
pub(super) struct Snapshot {
    pub(super) package: Arc<SyncPackage>,
    pub(super) ledger: Box<Ledger>,
    pub(super) floor: Round,
}

impl Snapshot {
    pub(super) fn entry(&self) -> SnapshotEntry {
        SnapshotEntry { height: self.package.certificate.checkpoint.height, floor: self.floor }
    }
}

/// The name of a snapshot's file.
pub(super) fn file_name(height: Height) -> String {
    format!("snapshot-{:012}.snap", height.0)
}

/// The height of the snapshot with this name.
pub(super) fn height_of(name: &str) -> Option<Height> {
    let height = name.strip_prefix("snapshot-")?.strip_suffix(".snap")?.parse().ok()?;
    (file_name(Height(height)) == name).then_some(Height(height))
}

// ----- writing -----

/// Writes a snapshot durably, unless it is abandoned meanwhile.
///
/// # Errors
/// [`StorageError::Abandoned`]; the disk's. Nothing of it is left then, as far as the disk allows.
pub(super) fn write(
    disk: &dyn Disk,
    identity: StoreIdentity,
    snapshot: &Snapshot,
    is_abandoned: impl Fn() -> bool,
) -> Result<SnapshotEntry, StorageError> {
    let entry = snapshot.entry();
    let name = file_name(entry.height);
    let unfinished = format!("{name}{UNFINISHED}");
    let written = write_unfinished(disk, &unfinished, identity, snapshot, is_abandoned);
    let written = written.and_then(|file| {
        drop(file);
        disk.rename(&unfinished, &name).map_err(name_failed(disk, &name, "rename to its name"))
    });
    if let Err(error) = written {
        // Frees the space; if it cannot, the next opening does.
        let _ = disk.remove(&unfinished);
        return Err(error);
    }
    disk.sync_folder().map_err(sync_failed(disk, ""))?;
    Ok(entry)
}

fn write_unfinished(
    disk: &dyn Disk,
    name: &str,
    identity: StoreIdentity,
    snapshot: &Snapshot,
    is_abandoned: impl Fn() -> bool,
) -> Result<Box<dyn DiskFile>, StorageError> {
    let SnapshotEntry { height, floor } = snapshot.entry();
    let salt = random_salt();
    let header =
        SnapshotHeader { magic: MAGIC, version: FORMAT_VERSION, identity, height, floor, salt };
    let mut buffer = sealed::seal(encode(&header));
    assert_eq!(buffer.len(), HEADER_BYTES, "the header has a fixed length");
    let mut file = disk.create(name).map_err(write_failed(disk, name, buffer.len()))?;
    let mut written = 0;
    let mut flush = |file: &mut Box<dyn DiskFile>, buffer: &mut Vec<u8>| {
        file.write_at(written, buffer).map_err(write_failed(disk, name, buffer.len()))?;
        written += buffer.len() as u64;
        buffer.clear();
        Ok::<(), StorageError>(())
    };
    let go_on = || if is_abandoned() { Err(StorageError::Abandoned) } else { Ok(()) };
    let package = encode(&*snapshot.package);
    frame::push(&mut buffer, salt, (0, 0, kind::PACKAGE), |buffer| {
        buffer.extend_from_slice(&package);
    });
    let mut place = 0;
    for chunk in snapshot.ledger.chunks() {
        go_on()?;
        place += 1;
        frame::push(&mut buffer, salt, (place, 0, kind::CHUNK), |buffer| {
            buffer.extend_from_slice(&encode(&chunk))
        });
        if buffer.len() >= WRITE_BYTES {
            flush(&mut file, &mut buffer)?;
        }
    }
    frame::push(&mut buffer, salt, (place + 1, 0, kind::END), |_| {});
    flush(&mut file, &mut buffer)?;
    // The sync may take as long as all of the above.
    go_on()?;
    file.sync().map_err(new_sync_failed(disk, name, written as usize))?;
    Ok(file)
}

// ----- reading -----

/// What a snapshot's header says, without reading the rest; nothing if it is damaged or gone.
///
/// # Errors
/// If it cannot be read.
pub(super) fn read_entry(
    disk: &dyn Disk,
    height: Height,
    identity: &StoreIdentity,
) -> Result<Option<SnapshotEntry>, StorageError> {
    let bytes = sealed::read_bytes(disk, &file_name(height), HEADER_BYTES as u64)?;
    let header = bytes.and_then(|bytes| read_header(&bytes, identity).ok());
    Ok(header.map(|header| SnapshotEntry { height: header.height, floor: header.floor }))
}

fn read_header(bytes: &[u8], identity: &StoreIdentity) -> Result<SnapshotHeader, String> {
    let header: Option<SnapshotHeader> = bytes
        .get(..HEADER_BYTES)
        .and_then(sealed::open)
        .and_then(|bytes| decode(bytes).ok())
        .filter(|header: &SnapshotHeader| header.magic == MAGIC);
    match header {
        Some(header) if header.version != FORMAT_VERSION => {
            Err(format!("it has format {}, not {FORMAT_VERSION}", header.version))
        }
        Some(header) if header.identity != *identity => {
            Err(format!("it belongs to {}", header.identity))
        }
        Some(header) => Ok(header),
        None => Err("its header is damaged".to_owned()),
    }
}

/// Reads a snapshot and verifies all of it.
///
/// # Errors
/// What is wrong with it.
pub(super) fn read(
    bytes: &[u8],
    identity: &StoreIdentity,
    keys: &CommitteeKeys,
    territory: &Territory,
) -> Result<Snapshot, String> {
    let header = read_header(bytes, identity)?;
    let scan = frame::scan(&bytes[HEADER_BYTES..], header.salt, 0);
    if scan.is_damaged {
        return Err(format!("it is damaged at byte {}", HEADER_BYTES + scan.good_bytes));
    }
    let (Some((first, rest)), true) = (scan.frames.split_first(), scan.frames.len() >= 2) else {
        return Err("it ends too early".to_owned());
    };
    let (chunks, last) = rest.split_at(rest.len() - 1);
    if first.kind != kind::PACKAGE || last.iter().any(|last| last.kind != kind::END) {
        return Err("it ends too early".to_owned());
    }
    let package: SyncPackage = borsh::from_slice(first.payload)
        .map_err(|error| format!("its package is malformed: {error}"))?;
    check_package(&package, &header, keys)?;
    let mut restore =
        Restore::new(keys.chain(), territory.clone(), package.certificate.checkpoint.state_root);
    let decoded: Vec<_> =
        chunks.par_iter().map(|chunk| decode::<StateChunk>(chunk.payload)).collect();
    for chunk in decoded {
        let chunk = chunk.map_err(|error| format!("a chunk is {error}"))?;
        restore.accept(&chunk).map_err(|error| error.to_string())?;
    }
    let ledger = restore.finish().map_err(|error| error.to_string())?;
    Ok(Snapshot { package: Arc::new(package), ledger: Box::new(ledger), floor: header.floor })
}

/// Checks that a quorum certifies the checkpoint, and that the package leads to it.
fn check_package(
    package: &SyncPackage,
    header: &SnapshotHeader,
    keys: &CommitteeKeys,
) -> Result<(), String> {
    let checkpoint = &package.certificate.checkpoint;
    verify_certificate(&package.certificate, keys).map_err(|error| error.to_string())?;
    let leads_there = if package.is_last() {
        // Nothing of the epoch is committed after its end, so the plan stands for the commits.
        let mut plans = package.plan.iter();
        plans.next().is_some_and(|plan| plan.digest() == checkpoint.next_epoch)
    } else {
        let commit = package.commits.last().map(qcn_consensus::CommitRecord::digest);
        commit == Some(checkpoint.commit)
    };
    if checkpoint.height != header.height || !leads_there {
        return Err("its commits do not lead to its checkpoint".to_owned());
    }
    Ok(())
}
