//! Opening an archive, after whatever ended the one before.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;
use std::sync::Mutex;

use fjall::config::CompressionPolicy;
use fjall::{CompressionType, Database, KeyspaceCreateOptions};
use qcn_ledger::Outcome;
use qcn_types::{CompactBlock, Height, TransactionId};

use super::bodies::Bodies;
use super::keys::Moment;
use super::records::CheckpointRecord;
use super::runs::Runs;
use super::write::{Listed, Writer};
use super::{ArchiveError, Inner, keys, parse};

/// The file that says which version wrote the folder, and what it says.
const LAYOUT_FILE: &str = "layout";
const LAYOUT: &[u8] = b"qcn archive 5\n";

/// How much of what was read is kept in memory, in bytes.
const CACHE_BYTES: u64 = 16 * 1024 * 1024;

/// How much is collected in memory before it is sorted into files, in bytes.
const MEMTABLE_BYTES: u64 = 32 * 1024 * 1024;

/// How large the database's own journal may grow, in bytes: the least that the engine allows.
const JOURNAL_BYTES: u64 = 64 * 1024 * 1024;

impl Inner {
    pub(super) fn open(folder: &Path) -> Result<Self, ArchiveError> {
        check_layout(folder)?;
        let database = Database::builder(folder.join("database"))
            .cache_size(CACHE_BYTES)
            .max_journaling_size(JOURNAL_BYTES)
            .journal_compression(CompressionType::None)
            .worker_threads(1)
            .open()?;
        // Digests do not compress, and are most of it.
        let index = database.keyspace("index", || {
            KeyspaceCreateOptions::default()
                .max_memtable_size(MEMTABLE_BYTES)
                .data_block_compression_policy(CompressionPolicy::disabled())
        })?;
        let bodies_folder = folder.join("bodies");
        let mut finished = BTreeMap::new();
        for guard in index.prefix([keys::SEGMENT]) {
            let (key, value) = guard.into_inner()?;
            finished.insert(keys::number(&key)?, parse::<Moment>(&value)?);
        }
        let bodies = Bodies::open(&bodies_folder, &finished)?;
        let runs = Runs::open(&folder.join("runs"))?.ok_or(ArchiveError::Corrupt("run"))?;
        let writer = Writer { bodies, unfiled: Vec::new(), kept: Height(0) };
        let inner = Self { database, index, bodies_folder, runs, writer: Mutex::new(writer) };
        inner.lock().kept = inner.kept()?;
        inner.list_again()?;
        Ok(inner)
    }

    /// Lists the transactions that no file lists yet.
    fn list_again(&self) -> Result<(), ArchiveError> {
        let writer = &mut self.lock();
        let marks: Result<Vec<Height>, ArchiveError> = self
            .index
            .prefix([keys::UNFILED])
            .map(|guard| Ok(Height(keys::number(&guard.key()?)?)))
            .collect();
        for height in marks? {
            match self.listed_under(writer.kept, height)? {
                Some(listed) => self.list(writer, height, listed)?,
                None => self.forget_checkpoint(height)?,
            }
        }
        Ok(())
    }

    /// What the runs are to be told of a checkpoint. Nothing if its blocks are not here.
    fn listed_under(&self, kept: Height, height: Height) -> Result<Option<Listed>, ArchiveError> {
        let record: Option<CheckpointRecord> =
            self.get(&keys::at_height(keys::CHECKPOINT, height))?;
        let Some(record) = record else {
            return Ok(None);
        };
        let outcomes: Vec<(TransactionId, Outcome)> =
            self.get(&keys::at_height(keys::OUTCOMES, height))?.unwrap_or_default();
        let mut blocks: Vec<CompactBlock> = Vec::with_capacity(record.blocks.len());
        for block in &record.blocks {
            let Some(body) = self.body(&block.digest)? else {
                return Ok(None);
            };
            blocks.push(body);
        }
        let carried = blocks.iter().flat_map(|block| &block.payload.transactions);
        self.listed(kept, height, carried, &outcomes).map(Some)
    }

    /// Forgets a checkpoint of which a power cut took a part, so that it is added anew when it is
    /// told again.
    fn forget_checkpoint(&self, height: Height) -> Result<(), ArchiveError> {
        let mut batch = self.database.batch();
        batch.remove(&self.index, keys::at_height(keys::CHECKPOINT, height));
        batch.remove(&self.index, keys::at_height(keys::OUTCOMES, height));
        batch.remove(&self.index, keys::at_height(keys::UNFILED, height));
        Ok(batch.commit()?)
    }
}

/// Makes the folder if there is none.
fn check_layout(folder: &Path) -> Result<(), ArchiveError> {
    let path = folder.join(LAYOUT_FILE);
    match fs::read(&path) {
        Ok(layout) if layout == LAYOUT => return Ok(()),
        // It was interrupted here.
        Ok(layout) if LAYOUT.starts_with(&layout) => {}
        Ok(_) => return Err(ArchiveError::OtherLayout(folder.to_owned())),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            fs::create_dir_all(folder)?;
            if fs::read_dir(folder)?.next().is_some() {
                return Err(ArchiveError::OtherLayout(folder.to_owned()));
            }
        }
        Err(error) => return Err(error.into()),
    }
    Ok(fs::write(path, LAYOUT)?)
}
