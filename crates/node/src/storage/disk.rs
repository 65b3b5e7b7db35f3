//! The few file operations that the store uses: the seam between it and the disk.
//!
//! What the store takes for granted, and nothing else: bytes are durable once a sync of their
//! file has succeeded; a name is durable once a sync of the folder has; a rename replaces the
//! target at once. Everything that was not synced may be lost, in part and in any order.

use std::fmt::Debug;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use super::StorageError;
use crate::page_cache::Trail;

/// A folder of files.
pub(super) trait Disk: Debug + Send + Sync {
    /// Where it is, for messages.
    fn folder(&self) -> &Path;
    /// The names of all files.
    fn list(&self) -> io::Result<Vec<String>>;
    /// The first bytes of a file, at most so many.
    fn read(&self, name: &str, limit: u64) -> io::Result<Vec<u8>>;
    /// An empty file with this name, whether there was one or not.
    fn create(&self, name: &str) -> io::Result<Box<dyn DiskFile>>;
    /// A file that exists.
    fn open(&self, name: &str) -> io::Result<Box<dyn DiskFile>>;
    /// Gives a file another name, replacing what had it.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;
    /// Removes a file.
    fn remove(&self, name: &str) -> io::Result<()>;
    /// Makes names durable.
    fn sync_folder(&self) -> io::Result<()>;
    /// How much this user may still write.
    fn available_bytes(&self) -> io::Result<u64>;
}

/// An open file.
pub(super) trait DiskFile: Debug + Send {
    /// Writes at a place. If it fails, any part may be written.
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()>;
    /// Makes durable what was written.
    fn sync(&mut self) -> io::Result<()>;
    /// Cuts the file off.
    fn truncate(&mut self, bytes: u64) -> io::Result<()>;
}

/// As a limit of [`Disk::read`]: the whole file.
pub(super) const WHOLE: u64 = u64::MAX;

/// So many bytes of a file leave the page cache at once: it is read at the next start only.
const GIVEN_BACK_BYTES: u64 = 512 * 1024;

/// The file that a process locks while it uses the folder.
pub(super) const LOCK_FILE: &str = "lock";

/// A folder of the operating system, locked for this process.
#[derive(Debug)]
pub(super) struct RealDisk {
    folder: PathBuf,
    /// Locked as long as it is open; the system unlocks it when the process ends, however.
    _lock: File,
}

impl RealDisk {
    /// Makes the folder if there is none, and locks it.
    ///
    /// # Errors
    /// [`StorageError::InUse`] if another process has it; what the system says otherwise.
    pub(super) fn lock(folder: &Path) -> Result<Self, StorageError> {
        let failed = |file: &Path, doing: &'static str, error: io::Error| StorageError::Io {
            file: file.to_path_buf(),
            doing,
            kind: error.kind(),
            reason: error.to_string(),
        };
        if !folder.is_dir() {
            std::fs::create_dir_all(folder)
                .map_err(|error| failed(folder, "create the folder", error))?;
            // The folder's own name must outlast a power cut too.
            if let Some(parent) = folder.parent().filter(|parent| parent.is_dir()) {
                File::open(parent)
                    .and_then(|parent| parent.sync_all())
                    .map_err(|error| failed(parent, "sync the folder", error))?;
            }
        }
        let path = folder.join(LOCK_FILE);
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(&path)
            .map_err(|error| failed(&path, "open the lock", error))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { folder: folder.to_path_buf(), _lock: lock }),
            Err(std::fs::TryLockError::WouldBlock) => {
                Err(StorageError::InUse { folder: folder.to_path_buf() })
            }
            Err(std::fs::TryLockError::Error(error)) => {
                Err(failed(&path, "lock the folder", error))
            }
        }
    }
}

impl Disk for RealDisk {
    fn folder(&self) -> &Path {
        &self.folder
    }

    fn list(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in std::fs::read_dir(&self.folder)? {
            // Names that are no text are not the store's.
            names.extend(entry?.file_name().into_string());
        }
        names.sort_unstable();
        Ok(names)
    }

    fn read(&self, name: &str, limit: u64) -> io::Result<Vec<u8>> {
        let file = File::open(self.folder.join(name))?;
        let mut bytes = Vec::with_capacity(file.metadata()?.len().min(limit) as usize);
        file.take(limit).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    fn create(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        let path = self.folder.join(name);
        let file = OpenOptions::new().create(true).truncate(true).write(true).open(path)?;
        Ok(Box::new(RealFile::new(file)))
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        let file = OpenOptions::new().write(true).open(self.folder.join(name))?;
        Ok(Box::new(RealFile::new(file)))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        std::fs::rename(self.folder.join(from), self.folder.join(to))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        std::fs::remove_file(self.folder.join(name))
    }

    fn sync_folder(&self) -> io::Result<()> {
        File::open(&self.folder)?.sync_all()
    }

    fn available_bytes(&self) -> io::Result<u64> {
        let system = rustix::fs::statvfs(&self.folder)?;
        Ok(system.f_bavail.saturating_mul(system.f_frsize))
    }
}

/// A file of the operating system.
#[derive(Debug)]
struct RealFile {
    file: File,
    /// Behind the last byte that was written.
    end: u64,
    trail: Trail,
}

impl RealFile {
    const fn new(file: File) -> Self {
        Self { file, end: 0, trail: Trail::synced(GIVEN_BACK_BYTES) }
    }
}

impl DiskFile for RealFile {
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.end = offset.saturating_add(bytes.len() as u64);
        self.file.seek(SeekFrom::Start(offset))?;
        self.file.write_all(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        // With the length, which is needed to read the bytes; without times, which are not.
        self.file.sync_data()?;
        self.trail.advance(&self.file, self.end);
        Ok(())
    }

    fn truncate(&mut self, bytes: u64) -> io::Result<()> {
        self.file.set_len(bytes)
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;
    use crate::page_cache::testing::{file_on_disk, is_cached};
    use crate::testing::TestFolder;

    const MIB: u64 = 1024 * 1024;

    /// Given a file of the log, which is synced after each write,
    /// then what was written leaves the page cache but for the last page, and is there all the same.
    #[test]
    fn a_file_of_the_log_leaves_the_page_cache() {
        let folder = TestFolder::new();
        let Some(path) = file_on_disk(&folder) else { return };
        let disk = RealDisk::lock(folder.path()).unwrap();
        let mut log = disk.create("file").unwrap();
        let piece = vec![7; MIB as usize];
        for at in 0..4 {
            log.write_at(at * MIB, &piece).unwrap();
            log.sync().unwrap();
        }
        log.write_at(4 * MIB, &[7; 100]).unwrap();
        log.sync().unwrap();
        let file = File::open(&path).unwrap();
        let cached: Vec<u64> = (0..=4).filter(|at| is_cached(&file, at * MIB)).collect();
        assert_eq!(cached, [4]);
        assert_eq!(disk.read("file", u64::MAX).unwrap(), vec![7; 4 * MIB as usize + 100]);
    }
}
