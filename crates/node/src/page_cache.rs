//! Files that are written in one go and hardly read: they leave the page cache again.
//!
//! The system keeps what is written in memory for whoever reads it next. A validator writes tens of
//! megabytes per second that nobody reads, each into pages that must be found first; where they are
//! given back at once, the next write finds them at hand. Measured on a virtual machine, a write
//! into fresh pages took 3 to 16 times as long.

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
        Self { stays: 0, step, given_back: 0 }
    }

    /// Of a file that the system writes to the disk when it likes. So many bytes at the end stay,
    /// and so many before them are asked for again: the first time only has them written.
    pub(crate) const fn unsynced(stays: u64) -> Self {
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

/// Advice only: where the system does not take it, its page cache stays as it is.
#[cfg(target_os = "linux")]
fn give_back(file: &File, from: u64, to: u64) {
    let length = std::num::NonZeroU64::new(to - from);
    let _ = rustix::fs::fadvise(file, from, length, rustix::fs::Advice::DontNeed);
}

#[cfg(not(target_os = "linux"))]
fn give_back(_file: &File, _from: u64, _to: u64) {}

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
}
