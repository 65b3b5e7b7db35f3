//! The history that clients ask for: blocks, checkpoints, transactions, accounts, evidence.
//!
//! It lies in an embedded database of its own and can be removed: consensus never reads it and
//! never waits for it. Without it the history begins anew at the newest snapshot of the log. What a node must not lose is in its block log.
//!
//! **Invariants**
//! - a checkpoint and all that is listed under it are written in one batch: after a crash both
//!   are there or neither is;
//! - adding anything again changes nothing, so a node may say everything again that it executes
//!   from its log;
//! - there may be gaps in the heights, after a synchronisation of state;
//! - nothing read here is proven: proofs are made from it and checked by who gets them.

mod keys;
mod prune;
mod read;
mod records;
mod write;

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use borsh::BorshDeserialize;
use fjall::config::CompressionPolicy;
use fjall::{
    CompressionType, Database, Keyspace, KeyspaceCreateOptions, KvSeparationOptions, PersistMode,
};
use qcn_crypto::Digest;
use qcn_types::{Height, Round};

pub use read::{Found, Position, ProvenTransaction};
pub use records::{
    ArchivedBlock, BlockSummary, CheckpointRecord, EvidenceRecord, Executed, Placement,
    TransactionRecord,
};

/// How much of what was read is kept in memory, in bytes.
const CACHE_BYTES: u64 = 16 * 1024 * 1024;

/// How much is collected in memory before it is sorted into files, in bytes, for each of the two
/// collections.
const MEMTABLE_BYTES: u64 = 32 * 1024 * 1024;

/// How large the database's own journal may grow, in bytes: the least that the engine allows.
const JOURNAL_BYTES: u64 = 64 * 1024 * 1024;

/// The most ancestors between a checkpoint and the certificate that proves it.
pub const MAX_ANCESTORS: usize = 512;

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
    #[error(
        "the archive's database failed ({0}); free space, or remove the archive folder while the \
         node is stopped: the history then begins anew at the newest snapshot, and older \
         checkpoints are to be asked of other nodes"
    )]
    Database(#[from] fjall::Error),
    /// A record does not decode.
    #[error(
        "a record of the archive is damaged ({0}); remove the archive folder while the node is \
         stopped: the history then begins anew at the newest snapshot, and older checkpoints are \
         to be asked of other nodes"
    )]
    Corrupt(&'static str),
    /// The blocks of an execution carry other transactions than it has outcomes for.
    #[error("the blocks carry {transactions} transactions, there are {outcomes} outcomes")]
    OutcomesDoNotFit {
        /// In the blocks.
        transactions: usize,
        /// In the execution.
        outcomes: usize,
    },
}

/// The archive of one node. Clones are the same archive.
#[derive(Clone)]
pub struct Archive(Arc<Inner>);

struct Inner {
    database: Database,
    /// Blocks in full, under their digests: large values, kept out of the sorted files.
    bodies: Keyspace,
    /// Everything else, under tagged keys; see `keys`.
    index: Keyspace,
    policy: Retention,
    /// What reads before it writes is done by one at a time.
    writer: Mutex<()>,
    last_height: AtomicU64,
    certified_height: AtomicU64,
    highest_round: AtomicU64,
}

impl std::fmt::Debug for Archive {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Archive").field("last_height", &self.last_height()).finish()
    }
}

impl Archive {
    /// Opens the archive in a folder, or begins one.
    ///
    /// # Errors
    /// [`ArchiveError::Database`] if the folder cannot be used or is in use.
    pub fn open(folder: &Path, policy: Retention) -> Result<Self, ArchiveError> {
        let database = Database::builder(folder)
            .cache_size(CACHE_BYTES)
            .max_journaling_size(JOURNAL_BYTES)
            .journal_compression(CompressionType::None)
            .worker_threads(1)
            .open()?;
        // Signatures and keys do not compress; they are most of a block.
        let blobs = KvSeparationOptions::default().compression(CompressionType::None);
        let bodies = database.keyspace("bodies", || {
            KeyspaceCreateOptions::default()
                .max_memtable_size(MEMTABLE_BYTES)
                .data_block_compression_policy(CompressionPolicy::disabled())
                .with_kv_separation(Some(blobs))
        })?;
        // Nor do digests, which are most of the index.
        let index = database.keyspace("index", || {
            KeyspaceCreateOptions::default()
                .max_memtable_size(MEMTABLE_BYTES)
                .data_block_compression_policy(CompressionPolicy::disabled())
        })?;
        let inner = Inner {
            database,
            bodies,
            index,
            policy,
            writer: Mutex::new(()),
            last_height: AtomicU64::new(0),
            certified_height: AtomicU64::new(0),
            highest_round: AtomicU64::new(0),
        };
        let newest = |tag| inner.newest_number(tag).map(AtomicU64::new);
        let (last_height, certified_height, highest_round) =
            (newest(keys::CHECKPOINT)?, newest(keys::CERTIFICATE)?, newest(keys::ROUND)?);
        Ok(Self(Arc::new(Inner { last_height, certified_height, highest_round, ..inner })))
    }

    /// The height of the newest checkpoint; zero if there is none.
    #[must_use]
    pub fn last_height(&self) -> Height {
        Height(self.0.last_height.load(Ordering::Acquire))
    }

    /// The highest height with a certificate of its own; zero if there is none.
    #[must_use]
    pub fn certified_height(&self) -> Height {
        Height(self.0.certified_height.load(Ordering::Acquire))
    }

    /// The highest round of which a block is kept.
    #[must_use]
    pub fn highest_round(&self) -> Round {
        Round(self.0.highest_round.load(Ordering::Acquire))
    }

    /// Waits until everything is on the disk. Dropping the last clone does so, too.
    ///
    /// # Errors
    /// [`ArchiveError::Database`].
    pub fn sync(&self) -> Result<(), ArchiveError> {
        Ok(self.0.database.persist(PersistMode::SyncAll)?)
    }

    /// How many bytes it takes on the disk.
    ///
    /// # Errors
    /// [`ArchiveError::Database`].
    pub fn disk_bytes(&self) -> Result<u64, ArchiveError> {
        Ok(self.0.database.disk_space()?)
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

    fn get<T: BorshDeserialize>(&self, key: &[u8]) -> Result<Option<T>, ArchiveError> {
        self.index.get(key)?.map(|bytes| parse(&bytes)).transpose()
    }

    fn lock(&self) -> MutexGuard<'_, ()> {
        // It guards no value that a panic could leave half changed.
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
