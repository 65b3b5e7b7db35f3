//! The durable mark: up to which frame the log was durable, told by a second file.
//!
//! A log alone cannot tell a tail that was lost after it was acknowledged from one that was
//! never whole. The mark can. It is noted after every sync of the log, before anything is
//! acknowledged, but it is not synced each time: that would double the latency of every own
//! block. It is synced about once a second.
//!
//! So the mark is exact when only the process died, and after a power cut it is at most about a
//! second old. A mark that is too old never accuses a sound log; it misses a loss only if a
//! power cut and a second, independent damage to the last second's frames come together.
//!
//! There are three slots, far enough apart that no torn write hits two. One is durable and not
//! touched until another is; notes go to the other two in turn, so a process that dies while it
//! writes one leaves the note before, which covers all that was acknowledged.

use borsh::{BorshDeserialize, BorshSerialize};
use qcn_types::{decode, encode};

use super::disk::{Disk, DiskFile, WHOLE};
use super::error::{StorageError, failed, sync_failed, write_failed};
use super::{StoreIdentity, sealed};

/// The name of the file.
pub(super) const MARK_FILE: &str = "durable.mark";

const MAGIC: [u8; 8] = *b"qcnmark\n";

const SLOTS: usize = 3;

/// From the beginning of one slot to that of the next.
const SLOT_BYTES: usize = 4096;

/// What is marked.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Mark {
    /// The highest sequence that is durable; zero for none.
    pub(super) durable: u64,
    /// The oldest segment that is kept; those below may be gone.
    pub(super) first_segment: u64,
}

#[derive(BorshSerialize, BorshDeserialize)]
struct Slot {
    magic: [u8; 8],
    /// The slot with the higher one counts.
    generation: u64,
    durable: u64,
    first_segment: u64,
    identity: StoreIdentity,
}

/// The file with the mark.
#[derive(Debug)]
pub(super) struct MarkFile {
    file: Box<dyn DiskFile>,
    identity: StoreIdentity,
    mark: Mark,
    generation: u64,
    /// Which slot is durable.
    durable_slot: usize,
    /// Which slot was written last.
    newest_slot: usize,
}

/// Reads the mark: nothing if the file is missing or all slots are damaged.
///
/// # Errors
/// If it cannot be read.
pub(super) fn read(
    disk: &dyn Disk,
    identity: &StoreIdentity,
) -> Result<Option<Mark>, StorageError> {
    let newest = newest_slot(disk, identity)?;
    Ok(newest.map(|(_, slot)| Mark { durable: slot.durable, first_segment: slot.first_segment }))
}

fn newest_slot(
    disk: &dyn Disk,
    identity: &StoreIdentity,
) -> Result<Option<(usize, Slot)>, StorageError> {
    let Some(bytes) = sealed::read_bytes(disk, MARK_FILE, WHOLE)? else {
        return Ok(None);
    };
    let slot_bytes = encode_slot(0, Mark::default(), *identity).len();
    let slots = (0..SLOTS).filter_map(|index| {
        let bytes = bytes.get(index * SLOT_BYTES..)?.get(..slot_bytes)?;
        let slot: Slot = decode(sealed::open(bytes)?).ok()?;
        (slot.magic == MAGIC && slot.identity == *identity).then_some((index, slot))
    });
    Ok(slots.max_by_key(|(_, slot)| slot.generation))
}

fn encode_slot(generation: u64, mark: Mark, identity: StoreIdentity) -> Vec<u8> {
    let Mark { durable, first_segment } = mark;
    sealed::seal(encode(&Slot { magic: MAGIC, generation, durable, first_segment, identity }))
}

impl MarkFile {
    /// Opens the file, or makes it, and sets two slots durably, one after the other.
    ///
    /// # Errors
    /// If the disk does.
    pub(super) fn set(
        disk: &dyn Disk,
        identity: StoreIdentity,
        mark: Mark,
    ) -> Result<Self, StorageError> {
        let (newest_slot, generation) =
            newest_slot(disk, &identity)?.map_or((0, 0), |(index, slot)| (index, slot.generation));
        let names = disk.list().map_err(failed(disk, "", "list the folder"))?;
        let mut file = if names.iter().any(|name| name == MARK_FILE) {
            disk.open(MARK_FILE).map_err(failed(disk, MARK_FILE, "open"))?
        } else {
            let mut file = disk.create(MARK_FILE).map_err(write_failed(disk, MARK_FILE, 0))?;
            // Room for all slots now, so that a full disk does not matter later.
            let empty = [0; SLOTS * SLOT_BYTES];
            file.write_at(0, &empty).map_err(write_failed(disk, MARK_FILE, empty.len()))?;
            file
        };
        file.sync().map_err(sync_failed(disk, MARK_FILE))?;
        let durable_slot = newest_slot;
        let mut set = Self { file, identity, mark, generation, durable_slot, newest_slot };
        for _ in 0..2 {
            set.note(disk, mark)?;
            set.sync(disk)?;
        }
        disk.sync_folder().map_err(sync_failed(disk, ""))?;
        Ok(set)
    }

    /// What is marked.
    pub(super) const fn mark(&self) -> Mark {
        self.mark
    }

    /// Whether the mark would outlast a power cut.
    pub(super) const fn is_synced(&self) -> bool {
        self.durable_slot == self.newest_slot
    }

    /// Changes the mark, for a process that comes after this one.
    ///
    /// # Errors
    /// If the disk does.
    pub(super) fn note(&mut self, disk: &dyn Disk, mark: Mark) -> Result<(), StorageError> {
        let bytes = encode_slot(self.generation + 1, mark, self.identity);
        let is_free = |slot: &usize| *slot != self.durable_slot && *slot != self.newest_slot;
        let slot = (0..SLOTS).find(is_free).expect("two slots of three are taken at most");
        self.file.write_at((slot * SLOT_BYTES) as u64, &bytes).map_err(write_failed(
            disk,
            MARK_FILE,
            bytes.len(),
        ))?;
        self.newest_slot = slot;
        self.generation += 1;
        self.mark = mark;
        Ok(())
    }

    /// Makes the mark durable, for a machine that comes up after a power cut.
    ///
    /// # Errors
    /// If the disk does.
    pub(super) fn sync(&mut self, disk: &dyn Disk) -> Result<(), StorageError> {
        if !self.is_synced() {
            self.file.sync().map_err(sync_failed(disk, MARK_FILE))?;
            self.durable_slot = self.newest_slot;
        }
        Ok(())
    }
}
