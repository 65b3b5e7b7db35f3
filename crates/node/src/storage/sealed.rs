//! Small pieces with a checksum, and small files that are there as a whole or not at all.

use std::io;

use super::disk::{Disk, WHOLE};
use super::error::{StorageError, failed, name_failed, new_sync_failed, sync_failed, write_failed};

/// The ending of files that are being written and mean nothing yet.
pub(super) const UNFINISHED: &str = ".tmp";

/// Appends a checksum.
pub(super) fn seal(mut bytes: Vec<u8>) -> Vec<u8> {
    let crc = crc32fast::hash(&bytes);
    bytes.extend_from_slice(&crc.to_le_bytes());
    bytes
}

/// What was sealed, if it is intact.
pub(super) fn open(bytes: &[u8]) -> Option<&[u8]> {
    let (content, crc) = bytes.split_last_chunk::<4>()?;
    (crc32fast::hash(content) == u32::from_le_bytes(*crc)).then_some(content)
}

/// Writes a small file durably: it has the new content or the old one, never a part.
///
/// # Errors
/// If the disk does; nothing of the new content is left then, as far as the disk allows.
pub(super) fn write_file(
    disk: &dyn Disk,
    name: &str,
    content: Vec<u8>,
) -> Result<(), StorageError> {
    let unfinished = format!("{name}{UNFINISHED}");
    let written = write_unfinished(disk, &unfinished, &seal(content)).and_then(|()| {
        disk.rename(&unfinished, name).map_err(name_failed(disk, name, "rename to its name"))
    });
    if let Err(error) = written {
        // Frees the space; if it cannot, the next opening does.
        let _ = disk.remove(&unfinished);
        return Err(error);
    }
    disk.sync_folder().map_err(sync_failed(disk, ""))
}

fn write_unfinished(disk: &dyn Disk, name: &str, bytes: &[u8]) -> Result<(), StorageError> {
    let mut file = disk.create(name).map_err(write_failed(disk, name, bytes.len()))?;
    file.write_at(0, bytes).map_err(write_failed(disk, name, bytes.len()))?;
    file.sync().map_err(new_sync_failed(disk, name, bytes.len()))
}

/// The content of a small file, if it is there and intact.
///
/// # Errors
/// As [`read_bytes`].
pub(super) fn read_file(disk: &dyn Disk, name: &str) -> Result<Option<Vec<u8>>, StorageError> {
    let bytes = read_bytes(disk, name, WHOLE)?;
    Ok(bytes.and_then(|bytes| open(&bytes).map(<[u8]>::to_vec)))
}

/// The first bytes of a file, if it is there.
///
/// # Errors
/// If it cannot be read. Then it may be there and intact, so nothing may be concluded from it.
pub(super) fn read_bytes(
    disk: &dyn Disk,
    name: &str,
    limit: u64,
) -> Result<Option<Vec<u8>>, StorageError> {
    match disk.read(name, limit) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(failed(disk, name, "read")(error)),
    }
}

/// Removes a file durably.
///
/// # Errors
/// If the disk does.
pub(super) fn remove_file(disk: &dyn Disk, name: &str) -> Result<(), StorageError> {
    disk.remove(name).map_err(name_failed(disk, name, "remove"))?;
    disk.sync_folder().map_err(sync_failed(disk, ""))
}
