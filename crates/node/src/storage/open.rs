//! Opening a store: find out what is there, decide whether it can be trusted, repair it.
//!
//! In this order, so that a crash at any moment of it is harmless: read without changing
//! anything; make the suspicion durable, if there is one; cut off, remove and make anew; make
//! durable what was only written, since the machine will act on it; remove the fresh marker.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use qcn_ledger::Territory;
use qcn_shard::{Record, Start};
use qcn_types::{CommitteeKeys, Height, Round, decode, encode};

use super::disk::{Disk, WHOLE};
use super::error::{StorageError, failed, name_failed, sync_failed};
use super::log::{BlockLog, Suspicion};
use super::mark::{self, MARK_FILE, Mark, MarkFile};
use super::read::{LogReader, LogState};
use super::sealed::{self, UNFINISHED};
use super::segment::{self, OpenSegment, SegmentHeader, SegmentMeta};
use super::snapshot::{self, Snapshot, SnapshotEntry};
use super::{FORMAT_VERSION, OpenReport, Opened, StoreIdentity};

/// The marker of a folder whose key has never signed.
pub(super) const FRESH_FILE: &str = "fresh";
/// The marker of a folder that may have lost something.
pub(super) const SUSPECT_FILE: &str = "suspect";
/// Whose store it is.
const IDENTITY_FILE: &str = "store.id";

/// See [`BlockLog::initialise`].
pub(super) fn initialise(disk: &dyn Disk, identity: &StoreIdentity) -> Result<(), StorageError> {
    let names = disk.list().map_err(failed(disk, "", "list the folder"))?;
    let foreign = |name: &&String| *name != super::disk::LOCK_FILE && !name.ends_with(UNFINISHED);
    if let Some(found) = names.iter().find(foreign) {
        let folder = disk.folder().to_path_buf();
        return Err(StorageError::NotEmpty { folder, found: found.clone() });
    }
    sealed::write_file(disk, FRESH_FILE, encode(&(FORMAT_VERSION, *identity)))
}

/// Makes it durable that the store may have lost something.
pub(super) fn mark_suspect(disk: &dyn Disk, reason: &str) -> Result<(), StorageError> {
    sealed::write_file(disk, SUSPECT_FILE, reason.as_bytes().to_vec())
}

/// See [`BlockLog::open`].
pub(super) fn open(
    disk: Arc<dyn Disk>,
    identity: &StoreIdentity,
    keys: &CommitteeKeys,
    territory: &Territory,
    segment_bytes: u64,
) -> Result<Opened, StorageError> {
    let started = Instant::now();
    let mut survey = Survey::of(&*disk, identity)?;
    let state = survey.read_state(&*disk, keys, territory)?;
    let floor = state.as_ref().map_or(Round::GENESIS, |state| state.floor);
    let reader = LogReader { disk: &*disk, identity, keys, floor };
    let mut log = reader.read(&survey.segments, survey.mark, &mut survey.report)?;
    let start = survey.judge(&log, state.is_some());
    if start == Kind::Suspect && !survey.is_marked_suspect {
        mark_suspect(&*disk, &survey.report.suspicions.join("; "))?;
    }
    let opened = survey.repair(disk, &mut log, segment_bytes, start)?;

    let mut report = survey.report;
    report.segments = opened.segments.len();
    report.blocks = log.records.len() as u64;
    report.took = started.elapsed();
    let mut records = Vec::with_capacity(log.records.len() + 1);
    if let Some(Snapshot { package, ledger, floor }) = state {
        records.push(Record::Snapshot { package, ledger, floor });
    }
    records.append(&mut log.records);
    let start = match start {
        Kind::Fresh => Start::Fresh,
        Kind::Restarted => Start::Restarted(records),
        Kind::Suspect => Start::Suspect(records),
    };
    Ok(Opened { log: opened, start, report })
}

/// How the store comes up.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    Fresh,
    Restarted,
    Suspect,
}

/// What is in the folder.
#[derive(Debug)]
struct Survey {
    identity: StoreIdentity,
    is_fresh: bool,
    is_marked_suspect: bool,
    has_identity: bool,
    mark: Option<Mark>,
    /// The numbers of the segments in order.
    segments: Vec<u64>,
    /// The heights of the snapshots in order.
    heights: Vec<Height>,
    /// Snapshots that turned out intact, as far as they were read.
    snapshots: Vec<SnapshotEntry>,
    /// Files to remove.
    needless: Vec<String>,
    report: OpenReport,
}

impl Survey {
    fn of(disk: &dyn Disk, identity: &StoreIdentity) -> Result<Self, StorageError> {
        let names = disk.list().map_err(failed(disk, "", "list the folder"))?;
        let mut survey = Self {
            identity: *identity,
            is_fresh: check_owner(disk, FRESH_FILE, identity)?,
            is_marked_suspect: names.iter().any(|name| name == SUSPECT_FILE),
            has_identity: check_owner(disk, IDENTITY_FILE, identity)?,
            mark: mark::read(disk, identity)?,
            segments: names.iter().filter_map(|name| segment::number_of(name)).collect(),
            heights: names.iter().filter_map(|name| snapshot::height_of(name)).collect(),
            snapshots: Vec::new(),
            needless: names.iter().filter(|name| name.ends_with(UNFINISHED)).cloned().collect(),
            report: OpenReport::default(),
        };
        survey.segments.sort_unstable();
        survey.heights.sort_unstable();
        if survey.is_marked_suspect {
            let reason = sealed::read_file(disk, SUSPECT_FILE)?.unwrap_or_default();
            survey.suspect(match String::from_utf8_lossy(&reason).trim() {
                "" => format!("the folder has the mark {SUSPECT_FILE}, without a reason in it"),
                reason => {
                    format!("since an earlier start, no own block was made durable ({reason})")
                }
            });
        }
        if !survey.is_fresh {
            survey.miss_nothing(&names);
        }
        Ok(survey)
    }

    fn suspect(&mut self, reason: String) {
        self.report.suspicions.push(reason);
    }

    /// A store that was used must have all of its files.
    fn miss_nothing(&mut self, names: &[String]) {
        if self.segments.is_empty() {
            let reason = if names.iter().any(|name| name == MARK_FILE) {
                "the block log is missing"
            } else {
                "the folder is empty and not marked as new: the store was lost"
            };
            return self.suspect(reason.to_owned());
        }
        if !self.has_identity {
            self.suspect(format!("{IDENTITY_FILE} is missing or damaged"));
        }
        if self.mark.is_none() {
            self.suspect(format!("{MARK_FILE} is missing or damaged"));
        }
    }

    /// The newest snapshot that is intact, and the entries of older ones. Those that cannot be read
    /// may be intact too: they are not discarded.
    fn read_state(
        &mut self,
        disk: &dyn Disk,
        keys: &CommitteeKeys,
        territory: &Territory,
    ) -> Result<Option<Snapshot>, StorageError> {
        let mut state: Option<Snapshot> = None;
        for height in self.heights.clone().into_iter().rev() {
            let name = snapshot::file_name(height);
            if state.is_some() {
                match snapshot::read_entry(disk, height, &self.identity)? {
                    Some(entry) => self.snapshots.insert(0, entry),
                    None => self.discard(name, "its header is damaged"),
                }
                continue;
            }
            let bytes = disk.read(&name, WHOLE).map_err(failed(disk, &name, "read"))?;
            match snapshot::read(&bytes, &self.identity, keys, territory) {
                Ok(snapshot) => {
                    self.snapshots.insert(0, snapshot.entry());
                    self.report.snapshot = Some((height, snapshot.floor));
                    state = Some(snapshot);
                }
                Err(reason) => self.discard(name, &reason),
            }
        }
        Ok(state)
    }

    fn discard(&mut self, name: String, reason: &str) {
        self.report.repairs.push(format!("discarded {name}: {reason}"));
        self.needless.push(name);
    }

    /// Decides how the store comes up.
    fn judge(&mut self, log: &LogState, has_snapshot: bool) -> Kind {
        let is_pruned = self.mark.is_some_and(|mark| mark.first_segment > 1);
        if is_pruned && !has_snapshot {
            let reason = "no snapshot is intact, and the log that led to them was pruned";
            self.suspect(reason.to_owned());
        }
        let is_used = log.next_sequence > 1 || self.mark.is_some_and(|mark| mark.durable > 0);
        if self.is_fresh && is_used {
            self.suspect("the folder is marked as new, and holds records".to_owned());
        }
        if !self.report.suspicions.is_empty() {
            Kind::Suspect
        } else if self.is_fresh {
            Kind::Fresh
        } else {
            Kind::Restarted
        }
    }

    /// Makes the folder what it should be, and opens it for writing.
    fn repair(
        &mut self,
        disk: Arc<dyn Disk>,
        log: &mut LogState,
        segment_bytes: u64,
        start: Kind,
    ) -> Result<BlockLog, StorageError> {
        let kept = |number: &u64| log.segments.iter().any(|segment| segment.number == *number);
        let removed = self.segments.iter().filter(|number| !kept(number)).copied();
        self.needless.extend(removed.map(segment::file_name));
        if start == Kind::Suspect && self.is_fresh {
            self.needless.push(FRESH_FILE.to_owned());
        }
        for name in &self.needless {
            match disk.remove(name) {
                // An unfinished marker that was finished meanwhile.
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                outcome => outcome.map_err(name_failed(&*disk, name, "remove"))?,
            }
        }
        if !self.needless.is_empty() {
            disk.sync_folder().map_err(sync_failed(&*disk, ""))?;
        }
        if !self.has_identity {
            let content = encode(&(FORMAT_VERSION, self.identity));
            sealed::write_file(&*disk, IDENTITY_FILE, content)?;
        }
        let open = match log.tail.take() {
            Some(tail) => tail.reopen(&*disk)?,
            None => {
                let number = log.segments.back().map_or(1, |segment| segment.number + 1);
                let header = SegmentHeader::new(number, log.next_sequence, self.identity);
                let highest_round = Round::GENESIS;
                log.segments.push_back(SegmentMeta { number, highest_round });
                OpenSegment::create(&*disk, &header)?
            }
        };
        let first_segment = log.segments.front().map_or(1, |segment| segment.number);
        let mark = Mark { durable: log.next_sequence - 1, first_segment };
        let mark = MarkFile::set(&*disk, self.identity, mark)?;
        if start == Kind::Fresh {
            sealed::remove_file(&*disk, FRESH_FILE)?;
        }
        let suspicion = match start {
            Kind::Suspect => Suspicion::Unresolved,
            Kind::Fresh | Kind::Restarted => Suspicion::No,
        };
        Ok(BlockLog {
            disk,
            identity: self.identity,
            segment_bytes,
            segments: std::mem::take(&mut log.segments),
            open,
            mark,
            snapshots: std::mem::take(&mut self.snapshots),
            staged: Vec::new(),
            next_sequence: log.next_sequence,
            is_dirty: false,
            suspicion,
        })
    }
}

/// Whether a file that names the owner is there and intact; it must name the right one.
fn check_owner(disk: &dyn Disk, name: &str, wanted: &StoreIdentity) -> Result<bool, StorageError> {
    let Some(content) = sealed::read_file(disk, name)? else {
        return Ok(false);
    };
    let Ok((version, found)) = decode::<(u32, StoreIdentity)>(&content) else {
        return Ok(false);
    };
    check_version(disk, name, version)?;
    check_identity(disk, &found, wanted)?;
    Ok(true)
}

/// Refuses files of another format.
pub(super) fn check_version(disk: &dyn Disk, name: &str, found: u32) -> Result<(), StorageError> {
    if found == FORMAT_VERSION {
        return Ok(());
    }
    Err(StorageError::Version { file: disk.folder().join(name), found, known: FORMAT_VERSION })
}

/// Refuses files of another owner.
pub(super) fn check_identity(
    disk: &dyn Disk,
    found: &StoreIdentity,
    wanted: &StoreIdentity,
) -> Result<(), StorageError> {
    if found == wanted {
        return Ok(());
    }
    let (found, wanted) = (Box::new(*found), Box::new(*wanted));
    Err(StorageError::Foreign { folder: disk.folder().to_path_buf(), found, wanted })
}

impl LogState {
    /// Nothing read yet.
    pub(super) const fn empty() -> Self {
        Self { segments: VecDeque::new(), next_sequence: 1, records: Vec::new(), tail: None }
    }
}
