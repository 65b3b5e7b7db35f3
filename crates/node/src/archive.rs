//! The history that clients ask for: blocks, checkpoints, transactions, accounts, evidence.
//!
//! It can be lost: consensus never reads it and never waits for it. What a node must not lose is in
//! its block log. There are three parts in its folder:
//!
//! - `bodies`: blocks in full, in files that are only appended to;
//! - `database`: an embedded database, for everything of which there is a bounded number for each
//!   block or checkpoint;
//! - `runs`: sorted files that say where a transaction stands and in which ones an account took
//!   part, from which everything else about a transaction is put together when somebody asks.
//!
//! Nothing waits for the disk but a finished segment of bodies, a run before it has its name, and
//! [`Archive::sync`]. A power cut may take the newest part; the node says again at a restart what
//! it executed since its newest snapshot.
//!
//! **Invariants**
//! - a checkpoint and all that is listed under it are written in one batch: after the end of a
//!   process both are there or neither is;
//! - bodies are written before the batch that names them, and a height is marked in that batch
//!   until a run on the disk lists its transactions;
//! - what leads to something that a power cut took, or to something else, reads as not kept;
//! - adding anything again changes nothing, so a node may say everything again that it executes
//!   from its log;
//! - there may be gaps in the heights, after a synchronisation of state and between two epochs;
//! - heights go on over all epochs of a shard, rounds begin anew in each: what is named by a round
//!   is named by its epoch as well, and a certificate of one epoch proves nothing of another;
//! - nothing read here is proven: proofs are made from it and checked by who gets them.

mod bodies;
mod keys;
mod open;
mod prune;
mod read;
mod records;
mod run;
mod runs;
mod transactions;
mod write;

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use borsh::BorshDeserialize;
use fjall::{Database, Keyspace, PersistMode};
use qcn_crypto::Digest;
use qcn_types::{Epoch, Height, Round, VerifiedBlock};

use keys::Moment;
pub use read::{Found, Position};
pub use records::{
    ArchivedBlock, Arrival, ArrivalRecord, BlockSummary, CheckpointRecord, EvidenceRecord,
    Executed, Placement, TransactionRecord,
};
use runs::Runs;
pub use transactions::ProvenTransaction;
use write::Writer;

/// The most ancestors between a checkpoint and the certificate that proves it.
pub const MAX_ANCESTORS: usize = 512;

/// With less room on the disk an archive that failed is not opened again: it takes that much
/// before it frees any.
const ROOM_BYTES: u64 = 64 * 1024 * 1024;

/// What is kept.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Retention {
    /// So many of the newest checkpoints with everything that belongs to them.
    pub keep_checkpoints: u64,
}

impl Retention {
    /// Nothing is ever removed.
    pub const ALL: Self = Self { keep_checkpoints: u64::MAX };
}

/// Why the archive could not do as asked. Always this machine's fault or the caller's.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// The database failed: a full or broken disk, or another process has it open.
    #[error("the archive's database failed ({0}); free space, or {REMOVE}")]
    Database(#[from] fjall::Error),
    /// A file beside the database failed: a full or broken disk.
    #[error("the archive's files failed ({0}); free space, or {REMOVE}")]
    Files(#[from] std::io::Error),
    /// A record does not decode.
    #[error("a record of the archive is damaged ({0}); {REMOVE}")]
    Corrupt(&'static str),
    /// The folder holds something that this version did not write.
    #[error("{}: not an archive of this version; {REMOVE}", .0.display())]
    OtherLayout(PathBuf),
    /// It failed before, and there is too little room to open it again.
    #[error("the disk is full: {available} bytes are left, the archive needs {ROOM_BYTES}")]
    NoRoom {
        /// How many bytes are left.
        available: u64,
    },
    /// It failed before, and was not opened again yet.
    #[error("the archive failed and is not open")]
    Closed,
    /// The blocks of an execution carry other transactions than it has outcomes for.
    #[error("the blocks carry {transactions} transactions, there are {outcomes} outcomes")]
    OutcomesDoNotFit {
        /// In the blocks.
        transactions: usize,
        /// In the execution.
        outcomes: usize,
    },
}

/// What to do about an archive that cannot be used.
const REMOVE: &str = "remove the archive folder while the node is stopped: what was executed since \
                      the newest snapshot comes back, other nodes have the rest";

impl ArchiveError {
    /// Whether all that it lacks is room on the disk.
    #[must_use]
    pub fn is_for_want_of_room(&self) -> bool {
        let full = |error: &std::io::Error| {
            matches!(error.kind(), ErrorKind::StorageFull | ErrorKind::QuotaExceeded)
        };
        match self {
            Self::NoRoom { .. } => true,
            Self::Files(error) | Self::Database(fjall::Error::Io(error)) => full(error),
            _ => false,
        }
    }
}

/// The archive of one shard, over all its epochs. Clones are the same archive; each is a handle of
/// one epoch, whose rounds it reads.
#[derive(Clone)]
pub struct Archive {
    shared: Arc<Shared>,
    epoch: Epoch,
}

struct Shared {
    folder: PathBuf,
    policy: Retention,
    /// Nothing after a failure, until it could be opened again.
    opened: RwLock<Option<Arc<Inner>>>,
    last_height: AtomicU64,
    certified_height: AtomicU64,
    /// The highest round of which a block is kept, in each epoch.
    highest_rounds: RwLock<BTreeMap<Epoch, Round>>,
}

/// An open archive.
struct Inner {
    database: Database,
    /// Under tagged keys; see `keys`.
    index: Keyspace,
    bodies_folder: PathBuf,
    runs: Runs,
    /// One writes at a time.
    writer: Mutex<Writer>,
}

impl std::fmt::Debug for Archive {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Archive").field("last_height", &self.last_height()).finish()
    }
}

impl Archive {
    /// Opens the archive in a folder, or begins one: a handle of epoch 0.
    ///
    /// # Errors
    /// [`ArchiveError::OtherLayout`] if another version wrote it, else what failed if the folder
    /// cannot be used or is in use.
    pub fn open(folder: &Path, policy: Retention) -> Result<Self, ArchiveError> {
        let inner = Inner::open(folder)?;
        let newest = |tag| inner.newest_number(tag).map(AtomicU64::new);
        let (last_height, certified_height) =
            (newest(keys::CHECKPOINT)?, newest(keys::CERTIFICATE)?);
        let highest_rounds = RwLock::new(inner.highest_rounds()?);
        let shared = Arc::new(Shared {
            folder: folder.to_owned(),
            policy,
            opened: RwLock::new(Some(Arc::new(inner))),
            last_height,
            certified_height,
            highest_rounds,
        });
        Ok(Self { shared, epoch: Epoch(0) })
    }

    /// The same archive, as a handle of an epoch.
    #[must_use]
    pub fn at_epoch(&self, epoch: Epoch) -> Self {
        Self { shared: Arc::clone(&self.shared), epoch }
    }

    /// Whose rounds this handle reads.
    #[must_use]
    pub const fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// Closes what failed and opens it again, as a database that could not write does not try
    /// again by itself.
    ///
    /// # Errors
    /// [`ArchiveError::NoRoom`] while the disk is full: it can still be read then. As
    /// [`open`](Self::open), also while somebody still reads: it is closed then.
    pub fn reopen(&self) -> Result<(), ArchiveError> {
        let disk = rustix::fs::statvfs(&self.shared.folder).map_err(std::io::Error::from)?;
        let available = disk.f_bavail.saturating_mul(disk.f_frsize);
        if available < ROOM_BYTES {
            return Err(ArchiveError::NoRoom { available });
        }
        let mut opened = self.shared.opened.write().unwrap_or_else(PoisonError::into_inner);
        *opened = None;
        *opened = Some(Arc::new(Inner::open(&self.shared.folder)?));
        Ok(())
    }

    fn inner(&self) -> Result<Arc<Inner>, ArchiveError> {
        let opened = self.shared.opened.read().unwrap_or_else(PoisonError::into_inner);
        opened.clone().ok_or(ArchiveError::Closed)
    }

    /// The height of the newest checkpoint; zero if there is none.
    #[must_use]
    pub fn last_height(&self) -> Height {
        Height(self.shared.last_height.load(Ordering::Acquire))
    }

    /// The highest height with a certificate of its own; zero if there is none.
    #[must_use]
    pub fn certified_height(&self) -> Height {
        Height(self.shared.certified_height.load(Ordering::Acquire))
    }

    /// The highest round of the handle's epoch of which a block is kept; zero if there is none.
    #[must_use]
    pub fn highest_round(&self) -> Round {
        let highest = self.shared.highest_rounds.read().unwrap_or_else(PoisonError::into_inner);
        highest.get(&self.epoch).copied().unwrap_or(Round(0))
    }

    fn note_rounds(&self, blocks: &[VerifiedBlock]) {
        let last = blocks.iter().map(|block| Moment::of(block.body.epoch, block.body.round)).max();
        let Some(Moment { epoch, round }) = last else { return };
        let highest = &self.shared.highest_rounds;
        let mut highest = highest.write().unwrap_or_else(PoisonError::into_inner);
        let known = highest.entry(epoch).or_default();
        *known = (*known).max(round);
    }

    fn forget_epochs_below(&self, epoch: Epoch) {
        let highest = &self.shared.highest_rounds;
        let mut highest = highest.write().unwrap_or_else(PoisonError::into_inner);
        *highest = highest.split_off(&epoch);
    }

    /// Waits until everything is on the disk. Dropping the last clone does so, too.
    ///
    /// # Errors
    /// [`ArchiveError`].
    pub fn sync(&self) -> Result<(), ArchiveError> {
        self.inner()?.sync()
    }

    /// How many bytes it takes on the disk.
    ///
    /// # Errors
    /// [`ArchiveError`].
    pub fn disk_bytes(&self) -> Result<u64, ArchiveError> {
        let inner = self.inner()?;
        let bodies = inner.lock().bodies.bytes();
        Ok(inner.database.disk_space()? + bodies + inner.runs.bytes())
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        let opened = self.opened.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let Some(Err(error)) = opened.take().map(|inner| inner.sync()) {
            tracing::warn!(%error, "the archive could not be closed well");
        }
    }
}

impl Inner {
    /// The number behind the tag in the last key of a kind.
    fn newest_number(&self, tag: u8) -> Result<u64, ArchiveError> {
        match self.index.prefix([tag]).next_back() {
            None => Ok(0),
            Some(guard) => keys::number(&guard.key()?),
        }
    }

    /// The highest round of each epoch, from the last epoch down with one look at each.
    fn highest_rounds(&self) -> Result<BTreeMap<Epoch, Round>, ArchiveError> {
        let mut highest = BTreeMap::new();
        let first = keys::at_moment(keys::ROUND, Moment::START);
        let mut newest = self.index.prefix([keys::ROUND]).next_back();
        while let Some(guard) = newest {
            let Moment { epoch, round } = keys::moment(&guard.key()?)?;
            highest.insert(epoch, round);
            let start = keys::at_moment(keys::ROUND, Moment::of(epoch, Round(0)));
            newest = self.index.range(first..start).next_back();
        }
        Ok(highest)
    }

    fn get<T: BorshDeserialize>(&self, key: &[u8]) -> Result<Option<T>, ArchiveError> {
        self.index.get(key)?.map(|bytes| parse(&bytes)).transpose()
    }

    /// Bodies first: what the database names is there.
    fn sync(&self) -> Result<(), ArchiveError> {
        let writer = &mut self.lock();
        writer.bodies.sync()?;
        if self.runs.flush(writer.kept)? {
            self.filed(writer)?;
        }
        Ok(self.database.persist(PersistMode::SyncAll)?)
    }

    fn lock(&self) -> MutexGuard<'_, Writer> {
        // What a panic left half done is forgotten when the next batch begins.
        self.writer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Decodes what this module wrote. Unlike a frame it may have any length.
fn parse<T: BorshDeserialize>(bytes: &[u8]) -> Result<T, ArchiveError> {
    borsh::from_slice(bytes).map_err(|_| ArchiveError::Corrupt(std::any::type_name::<T>()))
}

fn digest_at(bytes: &[u8]) -> Result<Digest, ArchiveError> {
    let bytes: [u8; 32] = bytes.try_into().map_err(|_| ArchiveError::Corrupt("digest"))?;
    Ok(Digest(bytes))
}

#[cfg(test)]
mod tests;
