//! What can go wrong with the store, each with the file, the place and the remedy.

use std::io;
use std::path::PathBuf;

use super::StoreIdentity;
use super::disk::Disk;

/// Why the store cannot do what was asked.
///
/// Damage that the store can live with is no error: it is repaired and told in the report of
/// [`super::BlockLog::open`].
#[derive(Clone, Debug, thiserror::Error)]
pub enum StorageError {
    /// The operating system refused an operation.
    #[error("{file}: cannot {doing}: {reason}. Check the disk and the rights of this user, then start again", file = file.display())]
    Io {
        /// The file or folder.
        file: PathBuf,
        /// What was tried.
        doing: &'static str,
        /// What kind of error it is.
        kind: io::ErrorKind,
        /// What the operating system says.
        reason: String,
    },
    /// Something that was written may not be on the disk. What it holds is not known any more.
    #[error("{file}: the disk could not make data durable: {reason}. {remedy}; what was acknowledged before is safe", file = file.display(), remedy = sync_remedy(*is_full))]
    SyncFailed {
        /// The file or folder.
        file: PathBuf,
        /// Whether it was for lack of space.
        is_full: bool,
        /// What the operating system says.
        reason: String,
    },
    /// No space is left. Nothing was lost.
    #[error("{file}: the disk is full, {needed_bytes} bytes are needed and {available_bytes} are left. Free some space", file = file.display())]
    Full {
        /// The file that did not fit.
        file: PathBuf,
        /// What is left.
        available_bytes: u64,
        /// What the write needs.
        needed_bytes: u64,
    },
    /// Another process has the folder.
    #[error("{folder}: another process uses this store. Two processes with one key would sign twice: stop the other one first", folder = folder.display())]
    InUse {
        /// The folder.
        folder: PathBuf,
    },
    /// The folder belongs to another validator, shard, epoch or network.
    #[error("{folder}: this is the store of {found}, not of {wanted}. Name the right folder", folder = folder.display())]
    Foreign {
        /// The folder.
        folder: PathBuf,
        /// Whose it is.
        found: Box<StoreIdentity>,
        /// Whose it should be.
        wanted: Box<StoreIdentity>,
    },
    /// The folder is to be marked as new, and is not.
    #[error("{folder}: holds {found} already, and only an empty folder can belong to a key that never signed. Open it as it is", folder = folder.display())]
    NotEmpty {
        /// The folder.
        folder: PathBuf,
        /// A file in it.
        found: String,
    },
    /// A file of a version that this program does not read.
    #[error("{file}: was written by another version (format {found}, this program reads {known}). Use that version", file = file.display())]
    Version {
        /// The file.
        file: PathBuf,
        /// Its format.
        found: u32,
        /// The only one known here.
        known: u32,
    },
    /// The identity is not that of the validator in this committee.
    #[error(
        "the store's identity is not that of validator {own} of this committee: make it with StoreIdentity::of"
    )]
    WrongKeys {
        /// The validator.
        own: qcn_types::ValidatorIndex,
    },
    /// A snapshot that nobody waits for made way for one that somebody waits for. Nothing is left of
    /// it, and the writer goes on.
    #[error("the snapshot was abandoned for one that is waited for")]
    Abandoned,
    /// The writer has stopped: [`super::LogEvent::Failed`] said why.
    #[error("the writer of the block log has stopped")]
    Stopped,
}

impl StorageError {
    /// Whether the same may succeed once there is space.
    pub(super) const fn is_full(&self) -> bool {
        matches!(self, Self::Full { .. })
    }
}

const fn sync_remedy(is_full: bool) -> &'static str {
    if is_full {
        "Its space or this user's share was used up. Free some space and start again"
    } else {
        "Replace the disk"
    }
}

/// What a change of names takes at most, where names are copied to change them: a block.
const NAME_BYTES: usize = 4_096;

const fn is_lack_of_space(kind: io::ErrorKind) -> bool {
    matches!(kind, io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// Names the file and the deed of an error of the operating system.
pub(super) fn failed<'a>(
    disk: &'a dyn Disk,
    name: &'a str,
    doing: &'static str,
) -> impl FnOnce(io::Error) -> StorageError + 'a {
    move |error| StorageError::Io {
        file: disk.folder().join(name),
        doing,
        kind: error.kind(),
        reason: error.to_string(),
    }
}

/// As [`failed`], for writes of so many bytes: they may find the disk full.
pub(super) fn write_failed<'a>(
    disk: &'a dyn Disk,
    name: &'a str,
    needed_bytes: usize,
) -> impl FnOnce(io::Error) -> StorageError + 'a {
    full_or(disk, name, needed_bytes, failed(disk, name, "write"))
}

/// As [`failed`], for a new name or a removed one, that may find the disk full: then the name is
/// what it was before.
pub(super) fn name_failed<'a>(
    disk: &'a dyn Disk,
    name: &'a str,
    doing: &'static str,
) -> impl FnOnce(io::Error) -> StorageError + 'a {
    full_or(disk, name, NAME_BYTES, failed(disk, name, doing))
}

/// [`StorageError::Full`] where space is lacking, and what `otherwise` makes of any other error.
fn full_or<'a>(
    disk: &'a dyn Disk,
    name: &'a str,
    needed_bytes: usize,
    otherwise: impl FnOnce(io::Error) -> StorageError + 'a,
) -> impl FnOnce(io::Error) -> StorageError + 'a {
    move |error| {
        if !is_lack_of_space(error.kind()) {
            return otherwise(error);
        }
        StorageError::Full {
            file: disk.folder().join(name),
            // Only for the message: the error itself says that the space is gone.
            available_bytes: disk.available_bytes().unwrap_or(0),
            needed_bytes: needed_bytes as u64,
        }
    }
}

/// As [`failed`], for syncs: what the file holds is unknown from here on.
pub(super) fn sync_failed<'a>(
    disk: &'a dyn Disk,
    name: &'a str,
) -> impl FnOnce(io::Error) -> StorageError + 'a {
    move |error| StorageError::SyncFailed {
        file: disk.folder().join(name),
        is_full: is_lack_of_space(error.kind()),
        reason: error.to_string(),
    }
}

/// As [`sync_failed`], for a file of so many bytes that was made just now and nothing depends on:
/// on a full disk nothing is lost, and once it is removed the same may be tried again.
pub(super) fn new_sync_failed<'a>(
    disk: &'a dyn Disk,
    name: &'a str,
    needed_bytes: usize,
) -> impl FnOnce(io::Error) -> StorageError + 'a {
    full_or(disk, name, needed_bytes, sync_failed(disk, name))
}
