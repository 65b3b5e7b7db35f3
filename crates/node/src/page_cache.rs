//! Files that are written in one go and hardly read: they leave the page cache again.
//!
//! The system keeps what is written in memory for whoever reads it next. A validator writes tens of
//! megabytes per second that nobody reads, each into pages that must be found first; where they are
//! given back at once, the next write finds them at hand. On a virtual machine of 2 cores, a MiB
//! written into fresh pages took 570 to 2,900 us, and 180 us where every 16 MiB were synced and
//! given back; four validators under full load spent a sixth of their time on it (`perf`,
//! `cargo xtask bench-node`).

use std::fs::File;

/// Ends of ranges are rounded down to this, in bytes: a page that is still written to stays.
const WHOLE_PAGES: u64 = 64 * 1024;

/// The part of a growing file that is left to the page cache.
#[derive(Debug)]
pub(crate) struct Trail {
    /// How many bytes at the end stay.
    stays: u64,
    /// After so many more the next are given back.
    step: u64,
    /// What lies before was given back.
    given_back: u64,
}

impl Trail {
    /// Of a file that is on the disk whenever [`advance`](Self::advance) is called.
    pub(crate) const fn synced(step: u64) -> Self {
        assert!(step > 0, "a step forward");
        Self { stays: 0, step, given_back: 0 }
    }

    /// Of a file that the system writes to the disk when it likes. So many bytes at the end stay,
    /// and so many before them are asked for again: the first time only has them written.
    pub(crate) const fn unsynced(stays: u64) -> Self {
        assert!(stays >= 4, "a step forward");
        Self { stays, step: stays / 4, given_back: 0 }
    }

    /// Gives back what a file of so many bytes needs no more, if that is worth a call.
    pub(crate) fn advance(&mut self, file: &File, bytes: u64) {
        if let Some((from, to)) = self.due(bytes) {
            give_back(file, from, to);
        }
    }

    /// The range to give back now.
    fn due(&mut self, bytes: u64) -> Option<(u64, u64)> {
        let to = bytes.saturating_sub(self.stays) / WHOLE_PAGES * WHOLE_PAGES;
        let before = self.given_back.min(to);
        // A file that was cut off grows anew.
        self.given_back = before;
        if to - before < self.step {
            return None;
        }
        self.given_back = to;
        Some((before.saturating_sub(self.stays), to))
    }
}

/// Gives back all of a file that nothing is added to any more.
pub(crate) fn give_back_all(file: &File) {
    give_back(file, 0, u64::MAX);
}

/// Advice only: where the system does not take it, its page cache stays as it is.
#[cfg(target_os = "linux")]
fn give_back(file: &File, from: u64, to: u64) {
    // No length at all would mean: up to the end.
    if let Some(length) = std::num::NonZeroU64::new((to - from).min(i64::MAX as u64)) {
        let _ = rustix::fs::fadvise(file, from, Some(length), rustix::fs::Advice::DontNeed);
    }
}

#[cfg(not(target_os = "linux"))]
fn give_back(_file: &File, _from: u64, _to: u64) {}

#[cfg(all(test, target_os = "linux"))]
pub(crate) mod testing {
    use std::fs::File;
    use std::io::IoSliceMut;
    use std::path::PathBuf;

    use rustix::io::{Errno, ReadWriteFlags, preadv2};

    use crate::testing::TestFolder;

    /// Whether the first byte from a place on is in the page cache: it is read only if it is.
    pub(crate) fn is_cached(file: &File, at: u64) -> bool {
        let mut byte = [0];
        match preadv2(file, &mut [IoSliceMut::new(&mut byte)], at, ReadWriteFlags::NOWAIT) {
            Ok(read) => read == 1,
            Err(Errno::AGAIN) => false,
            Err(error) => panic!("{error}"),
        }
    }

    /// A file on a disk; none where temporary files are in memory.
    pub(crate) fn file_on_disk(folder: &TestFolder) -> Option<PathBuf> {
        const TMPFS: i64 = 0x0102_1994;
        std::fs::create_dir_all(folder.path()).expect("a folder for the test");
        let is_in_memory =
            rustix::fs::statfs(folder.path()).expect("a file system that tells what it is").f_type
                == TMPFS;
        if is_in_memory {
            eprintln!("skipped: temporary files are in memory here");
        }
        (!is_in_memory).then(|| folder.path().join("file"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: u64 = 1024 * 1024;

    #[test]
    fn what_is_on_the_disk_goes_once_and_the_last_page_stays() {
        let mut trail = Trail::synced(MIB);
        assert_eq!(trail.due(MIB - 1), None);
        assert_eq!(trail.due(MIB + 100), Some((0, MIB)));
        assert_eq!(trail.due(MIB + WHOLE_PAGES), None);
        assert_eq!(trail.due(3 * MIB), Some((MIB, 3 * MIB)));
    }

    #[test]
    fn what_the_system_may_still_be_writing_is_asked_for_again() {
        let mut trail = Trail::unsynced(8 * MIB);
        assert_eq!(trail.due(9 * MIB), None);
        assert_eq!(trail.due(10 * MIB), Some((0, 2 * MIB)));
        assert_eq!(trail.due(20 * MIB), Some((0, 12 * MIB)));
        assert_eq!(trail.due(40 * MIB), Some((4 * MIB, 32 * MIB)));
    }

    #[test]
    fn a_file_that_was_cut_off_is_followed_anew() {
        let mut trail = Trail::synced(MIB);
        assert_eq!(trail.due(5 * MIB), Some((0, 5 * MIB)));
        assert_eq!(trail.due(2 * MIB), None);
        assert_eq!(trail.due(4 * MIB), Some((2 * MIB, 4 * MIB)));
    }

    /// Given a file that the system writes to the disk when it likes,
    /// then all but its end leaves the page cache once that has happened, and in the end all of it.
    #[cfg(target_os = "linux")]
    #[test]
    fn a_file_of_the_archive_keeps_its_end_in_the_page_cache() {
        use std::os::unix::fs::FileExt as _;

        use super::testing::{file_on_disk, is_cached};

        let folder = crate::testing::TestFolder::new();
        let Some(path) = file_on_disk(&folder) else { return };
        let file = File::options().create_new(true).read(true).write(true).open(path).unwrap();
        let mut trail = Trail::unsynced(2 * MIB);
        let piece = vec![7; MIB as usize];
        for at in 0..8 {
            file.write_all_at(&piece, at * MIB).unwrap();
            file.sync_data().unwrap();
            trail.advance(&file, (at + 1) * MIB);
        }
        let cached = || (0..8).filter(|at| is_cached(&file, at * MIB)).collect::<Vec<u64>>();
        assert_eq!(cached(), [6, 7]);
        give_back_all(&file);
        assert!(cached().is_empty());
    }
}
