//! The log itself: staging, writing, syncing, rotating and pruning, on one thread.
//!
//! Records are *staged* in memory, where nothing can fail; [`BlockLog::write`] hands them to the
//! operating system and [`BlockLog::commit`] makes them durable. Both can be repeated after
//! [`StorageError::Full`]: what did not fit is still staged, and no part of it is in the file.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;

use qcn_ledger::Territory;
use qcn_types::{CommitteeKeys, Round, ValidatorIndex, VerifiedBlock, encode};

use super::disk::{Disk, RealDisk};
use super::error::{StorageError, failed, name_failed, sync_failed, write_failed};
use super::mark::{Mark, MarkFile};
use super::open::{self, SUSPECT_FILE};
use super::segment::{self, OpenSegment, SegmentHeader, SegmentMeta};
use super::snapshot::{self, Snapshot, SnapshotEntry};
use super::{Opened, SNAPSHOTS_KEPT, StoreIdentity, block, frame, sealed};

/// The kinds of frames in the log.
pub(super) mod kind {
    /// An own block.
    pub(in super::super) const OWN: u8 = 1;
    /// An accepted block of another validator.
    pub(in super::super) const ACCEPTED: u8 = 2;
    /// A snapshot is durable.
    pub(in super::super) const SNAPSHOT: u8 = 3;
}

/// Whether something durable may be missing, as the marker in the folder says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Suspicion {
    /// Nothing is.
    No,
    /// Something may be, until an own block is durable that was signed knowing that.
    Unresolved,
    /// That block is staged or written.
    Resolving,
}

/// The block log of one shard instance.
#[derive(Debug)]
pub struct BlockLog {
    pub(super) disk: Arc<dyn Disk>,
    pub(super) identity: StoreIdentity,
    pub(super) segment_bytes: u64,
    /// Oldest first; the last is `open`.
    pub(super) segments: VecDeque<SegmentMeta>,
    pub(super) open: OpenSegment,
    pub(super) mark: MarkFile,
    /// Durable snapshots, oldest first.
    pub(super) snapshots: Vec<SnapshotEntry>,
    /// Frames that are not in the file yet.
    pub(super) staged: Vec<u8>,
    pub(super) next_sequence: u64,
    /// Whether the file holds frames that are not durable.
    pub(super) is_dirty: bool,
    pub(super) suspicion: Suspicion,
}

impl BlockLog {
    /// Marks a folder as belonging to a key that has never signed anything: the only way to
    /// [`qcn_shard::Start::Fresh`]. To be called once, when the key is made.
    ///
    /// # Errors
    /// [`StorageError::NotEmpty`] if it is a store already; [`StorageError::InUse`]; the disk's.
    pub fn initialise(folder: &Path, identity: &StoreIdentity) -> Result<(), StorageError> {
        open::initialise(&RealDisk::lock(folder)?, identity)
    }

    /// Opens a store: reads all of it, verifies it, repairs it, and locks it for this process. The
    /// territory is that of the shard: a state that is read goes on with it.
    ///
    /// # Errors
    /// [`StorageError::InUse`], [`StorageError::Foreign`], [`StorageError::WrongKeys`] and
    /// [`StorageError::Version`] ask the operator; otherwise the disk's. Damage is no error.
    pub fn open(
        folder: &Path,
        identity: &StoreIdentity,
        keys: &CommitteeKeys,
        territory: &Territory,
        own: ValidatorIndex,
    ) -> Result<Opened, StorageError> {
        if StoreIdentity::of(keys, own) != Some(*identity) {
            return Err(StorageError::WrongKeys { own });
        }
        let disk = Arc::new(RealDisk::lock(folder)?);
        open::open(disk, identity, keys, territory, super::SEGMENT_BYTES)
    }

    /// Makes the next opening give [`qcn_shard::Start::Suspect`]. To be called after a store was
    /// restored from a backup, which lacks what was signed since.
    ///
    /// # Errors
    /// [`StorageError::InUse`]; the disk's.
    pub fn distrust(folder: &Path, reason: &str) -> Result<(), StorageError> {
        open::mark_suspect(&RealDisk::lock(folder)?, reason)
    }

    /// How many bytes wait to be written.
    pub(super) const fn staged_bytes(&self) -> usize {
        self.staged.len()
    }

    /// Stages a block.
    pub(super) fn stage_block(&mut self, kind: u8, verified: &VerifiedBlock) {
        self.stage(kind, |buffer| block::write(verified, buffer));
        self.note_round(verified.reference().round);
        if kind == kind::OWN && self.suspicion == Suspicion::Unresolved {
            self.suspicion = Suspicion::Resolving;
        }
    }

    /// Stages the news that a snapshot is durable.
    pub(super) fn stage_snapshot(&mut self, entry: SnapshotEntry) {
        self.stage(kind::SNAPSHOT, |buffer| buffer.extend_from_slice(&encode(&entry)));
        self.snapshots.retain(|other| other.height != entry.height);
        self.snapshots.push(entry);
        self.snapshots.sort_unstable();
    }

    fn stage(&mut self, kind: u8, write: impl FnOnce(&mut Vec<u8>)) {
        let place = (self.next_sequence, self.mark.mark().durable, kind);
        frame::push(&mut self.staged, self.open.salt, place, write);
        self.next_sequence += 1;
    }

    fn note_round(&mut self, round: Round) {
        let last = self.segments.back_mut().expect("a log has a segment");
        last.highest_round = last.highest_round.max(round);
    }

    /// Begins a new segment if the last one is full. Nothing may be staged.
    pub(super) fn rotate_if_due(&mut self) -> Result<(), StorageError> {
        assert!(self.staged.is_empty(), "frames are staged for the segment that is open");
        if self.open.bytes < self.segment_bytes {
            return Ok(());
        }
        self.commit()?;
        self.mark.sync(&*self.disk)?;
        let last = self.segments.back().expect("a log has a segment");
        let header = SegmentHeader::new(last.number + 1, self.next_sequence, self.identity);
        self.open = OpenSegment::create(&*self.disk, &header)?;
        self.segments
            .push_back(SegmentMeta { number: header.number, highest_round: Round::GENESIS });
        Ok(())
    }

    /// Hands what is staged to the operating system: it outlasts this process, but no power cut.
    pub(super) fn write(&mut self) -> Result<(), StorageError> {
        if self.staged.is_empty() {
            return Ok(());
        }
        let OpenSegment { name, file, bytes, .. } = &mut self.open;
        if let Err(error) = file.write_at(*bytes, &self.staged) {
            // A part may be in the file. It must go, so that the next attempt begins cleanly.
            file.truncate(*bytes).map_err(failed(&*self.disk, name, "cut off a partial frame"))?;
            return Err(write_failed(&*self.disk, name, self.staged.len())(error));
        }
        self.is_dirty = true;
        *bytes += self.staged.len() as u64;
        self.staged.clear();
        Ok(())
    }

    /// Makes everything that was staged durable.
    pub(super) fn commit(&mut self) -> Result<(), StorageError> {
        self.write()?;
        if self.is_dirty {
            self.open.file.sync().map_err(sync_failed(&*self.disk, &self.open.name))?;
            self.is_dirty = false;
        }
        // Before anything is acknowledged: a process that comes after this one knows.
        let mark = Mark { durable: self.next_sequence - 1, ..self.mark.mark() };
        if mark != self.mark.mark() {
            self.mark.note(&*self.disk, mark)?;
        }
        if self.suspicion == Suspicion::Resolving {
            self.mark.sync(&*self.disk)?;
            sealed::remove_file(&*self.disk, SUSPECT_FILE)?;
            self.suspicion = Suspicion::No;
        }
        Ok(())
    }

    /// Whether a power cut could take something away, or make the mark older.
    pub(super) const fn has_unsynced(&self) -> bool {
        self.is_dirty || !self.staged.is_empty() || !self.mark.is_synced()
    }

    /// Makes the mark durable too. Worth doing about once a second, and at the end.
    pub(super) fn sync_mark(&mut self) -> Result<(), StorageError> {
        self.mark.sync(&*self.disk)
    }

    /// Removes what the two newest snapshots make needless: older snapshots, and segments all of
    /// whose blocks lie at or below the floor of the older of the two. Each is forgotten once it is
    /// gone, so on a full disk this can be repeated.
    pub(super) fn prune(&mut self) -> Result<(), StorageError> {
        while self.snapshots.len() > SNAPSHOTS_KEPT {
            let name = snapshot::file_name(self.snapshots[0].height);
            self.disk.remove(&name).map_err(name_failed(&*self.disk, &name, "remove"))?;
            self.snapshots.remove(0);
        }
        let Some(floor) = (self.snapshots.len() == SNAPSHOTS_KEPT)
            .then(|| self.snapshots.first())
            .flatten()
            .map(|oldest| oldest.floor)
        else {
            return Ok(());
        };
        let is_needless = |segment: &&SegmentMeta| segment.highest_round <= floor;
        let closed = self.segments.len() - 1;
        let needless = self.segments.iter().take(closed).take_while(is_needless).count();
        if needless == 0 {
            return Ok(());
        }
        // First it is durable that they are not missed, in two slots; then they go.
        let mark = Mark { first_segment: self.segments[needless].number, ..self.mark.mark() };
        for _ in 0..2 {
            self.mark.note(&*self.disk, mark)?;
            self.mark.sync(&*self.disk)?;
        }
        for _ in 0..needless {
            let name = segment::file_name(self.segments[0].number);
            self.disk.remove(&name).map_err(name_failed(&*self.disk, &name, "remove"))?;
            self.segments.pop_front();
        }
        Ok(())
    }

    /// What another thread needs to write a snapshot beside the log, unless it is told to abandon it.
    pub(super) fn snapshot_writer<F: Fn() -> bool + Send>(
        &self,
        is_abandoned: F,
    ) -> impl FnMut(&Snapshot) -> Result<SnapshotEntry, StorageError> + Send + use<F> {
        let (disk, identity) = (Arc::clone(&self.disk), self.identity);
        move |snapshot| snapshot::write(&*disk, identity, snapshot, &is_abandoned)
    }

    /// A sync has failed, so the next opening must not trust what it finds. The disk may refuse
    /// even that, and then nothing more can be done here.
    pub(super) fn distrust_disk(&self, error: &StorageError) {
        if matches!(error, StorageError::SyncFailed { .. }) {
            // Not as a file that is there as a whole or not at all: that would take a sync.
            let reason = sealed::seal(error.to_string().into_bytes());
            let _ = self.disk.create(SUSPECT_FILE).and_then(|mut file| {
                file.write_at(0, &reason)?;
                file.sync()?;
                self.disk.sync_folder()
            });
        }
    }
}
