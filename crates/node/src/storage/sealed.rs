//! Small pieces with a checksum, and small files that are there as a whole or not at all.

use super::disk::{Disk, WHOLE};
use super::error::{StorageError, failed, sync_failed, write_failed};

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
/// If the disk does.
pub(super) fn write_file(
    disk: &dyn Disk,
    name: &str,
    content: Vec<u8>,
) -> Result<(), StorageError> {
    let unfinished = format!("{name}{UNFINISHED}");
    let bytes = seal(content);
    let mut file =
        disk.create(&unfinished).map_err(write_failed(disk, &unfinished, bytes.len()))?;
    file.write_at(0, &bytes).map_err(write_failed(disk, &unfinished, bytes.len()))?;
    file.sync().map_err(sync_failed(disk, &unfinished))?;
    disk.rename(&unfinished, name).map_err(failed(disk, name, "rename to its name"))?;
    disk.sync_folder().map_err(sync_failed(disk, ""))
}

/// The content of a small file, if it is there and intact.
pub(super) fn read_file(disk: &dyn Disk, name: &str) -> Option<Vec<u8>> {
    let bytes = disk.read(name, WHOLE).ok()?;
    open(&bytes).map(<[u8]>::to_vec)
}

/// Removes a file durably.
///
/// # Errors
/// If the disk does.
pub(super) fn remove_file(disk: &dyn Disk, name: &str) -> Result<(), StorageError> {
    disk.remove(name).map_err(failed(disk, name, "remove"))?;
    disk.sync_folder().map_err(sync_failed(disk, ""))
}
