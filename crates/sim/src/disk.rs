//! A validator's disk: an append-only log that becomes durable by `fsync`, and the ways in
//! which it fails.
//!
//! A record is *written* when it is handed to the operating system and *durable* once a sync
//! that began later has ended. When only the process dies, what was written survives. When the
//! machine dies, what was not durable is lost, and the disk may do worse.

use std::collections::VecDeque;

use crate::random::Random;

/// How fast a disk is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DiskModel {
    /// Handing a record to the operating system, in microseconds.
    pub write_us: u64,
    /// Waiting until everything written is durable, in microseconds.
    pub sync_us: u64,
}

impl Default for DiskModel {
    /// A data-centre solid-state disk.
    fn default() -> Self {
        Self { write_us: 20, sync_us: 800 }
    }
}

/// What a crash does to the disk.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub enum DiskFault {
    /// Only the process died: everything written survives.
    #[default]
    Nothing,
    /// The machine died: what was not durable is lost.
    LoseUnsynced,
    /// The machine died while writing: the last record that survives is torn.
    TornTail,
    /// A bit of some record has flipped; its checksum tells, and what follows it is not trusted.
    BitFlip,
    /// Everything is gone.
    Wipe,
    /// The disk had called records durable that were not: some of them are lost.
    LoseSynced,
}

/// What of a record decides when it is no longer needed.
pub(crate) trait LogRecord {
    /// If everything before may go except what [`Self::is_needed_above`] keeps: that round.
    fn floor(&self) -> Option<u64>;
    /// Whether the record is needed next to a later record with that floor.
    fn is_needed_above(&self, floor: u64) -> bool;
}

/// What is read back after a crash.
#[derive(Debug)]
pub(crate) struct Recovered<R> {
    /// The records that are intact, in order.
    pub(crate) records: Vec<R>,
    /// Whether nothing that was durable can be missing.
    pub(crate) complete: bool,
}

/// The log of one validator.
#[derive(Debug)]
pub(crate) struct Disk<R> {
    model: DiskModel,
    durable: Vec<R>,
    written: VecDeque<R>,
    /// Syncs under way: when they end, and up to which record.
    syncs: VecDeque<(u64, u64)>,
    /// How many records were ever written, and how many of them are durable.
    written_count: u64,
    durable_count: u64,
    /// When the disk is free again.
    free_us: u64,
    /// Something durable may be missing, and nothing signed since shows that this is past.
    suspect: Suspect,
}

/// Whether something durable may be missing from the log.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Suspect {
    /// Nothing is.
    No,
    /// Something may be, and the validator does not know yet from where on it may sign.
    Unresolved,
    /// It knows, but nothing written since (after so many records) is durable: a crash now
    /// would make it forget again.
    Resolved(u64),
}

impl<R: LogRecord> Disk<R> {
    pub(crate) const fn new(model: DiskModel) -> Self {
        Self {
            model,
            durable: Vec::new(),
            written: VecDeque::new(),
            syncs: VecDeque::new(),
            written_count: 0,
            durable_count: 0,
            free_us: 0,
            suspect: Suspect::No,
        }
    }

    /// Makes the disk slower or faster from now on.
    pub(crate) const fn set_model(&mut self, model: DiskModel) {
        self.model = model;
    }

    /// Writes a record.
    pub(crate) fn append(&mut self, now: u64, record: R) {
        self.free_us = self.free_us.max(now) + self.model.write_us;
        self.written.push_back(record);
        self.written_count += 1;
    }

    /// Begins a sync of all that is written, and says when it ends.
    pub(crate) fn sync(&mut self, now: u64) -> u64 {
        self.free_us = self.free_us.max(now) + self.model.sync_us;
        self.syncs.push_back((self.free_us, self.written_count));
        self.free_us
    }

    /// Makes durable what the syncs that have ended cover.
    pub(crate) fn advance(&mut self, now: u64) {
        while let Some((_, count)) = self.syncs.front().copied().filter(|(end, _)| *end <= now) {
            self.syncs.pop_front();
            if matches!(self.suspect, Suspect::Resolved(at) if count > at) {
                self.suspect = Suspect::No;
            }
            while self.durable_count < count {
                self.durable_count += 1;
                if let Some(record) = self.written.pop_front() {
                    if let Some(floor) = record.floor() {
                        self.durable.retain(|older| older.is_needed_above(floor));
                    }
                    self.durable.push(record);
                }
            }
        }
    }

    /// The validator has learned from the committee from where on it may sign. The log counts
    /// as complete again once something written from now on is durable.
    pub(crate) fn resolve(&mut self) {
        if self.suspect == Suspect::Unresolved {
            self.suspect = Suspect::Resolved(self.written_count);
        }
    }

    /// How many records the log holds.
    #[cfg(test)]
    pub(crate) fn records(&self) -> usize {
        self.durable.len() + self.written.len()
    }

    /// The process or the machine dies at `now`.
    pub(crate) fn crash(&mut self, now: u64, fault: DiskFault, random: &mut Random) {
        self.advance(now);
        self.syncs.clear();
        self.durable_count = self.written_count;
        self.free_us = now;
        let unsynced = std::mem::take(&mut self.written);
        let durable = self.durable.len() as u64;
        match fault {
            DiskFault::Nothing => self.durable.extend(unsynced),
            DiskFault::LoseUnsynced => {}
            DiskFault::TornTail => {
                // Some of the unsynced records got through; the last of all is torn.
                let survivors = random.below(unsynced.len() as u64 + 1) as usize;
                self.durable.extend(unsynced.into_iter().take(survivors));
                self.durable.pop();
                self.suspect = Suspect::Unresolved;
            }
            DiskFault::BitFlip => {
                self.durable.truncate(random.below(durable) as usize);
                self.suspect = Suspect::Unresolved;
            }
            DiskFault::Wipe => {
                self.durable.clear();
                self.suspect = Suspect::Unresolved;
            }
            DiskFault::LoseSynced => {
                let lost = random.below(durable.min(32) + 1);
                self.durable.truncate((durable - lost) as usize);
                self.suspect = Suspect::Unresolved;
            }
        }
    }
}

impl<R: LogRecord + Clone> Disk<R> {
    /// Reads the log back.
    pub(crate) fn recover(&mut self) -> Recovered<R> {
        if let Suspect::Resolved(_) = self.suspect {
            self.suspect = Suspect::Unresolved;
        }
        Recovered { records: self.durable.clone(), complete: self.suspect == Suspect::No }
    }
}

#[cfg(test)]
mod tests;
