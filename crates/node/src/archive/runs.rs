//! Which transaction stands where, and which account took part in it: the two lists that grow with
//! every transaction, and so must cost next to nothing.
//!
//! Each checkpoint brings a small sorted [`Run`] in memory. Eight of a level are merged to one of
//! the next; when there is enough in memory all of it goes into a file, and files are merged in the
//! same way. So each entry is moved a few times one after the other, instead of being put into its
//! place in a tree. What is in memory is made again from the checkpoints when the archive opens:
//! the index has a mark for each height that no file covers.
//!
//! What a run says is checked by its readers against what it names.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use qcn_crypto::Digest;
use qcn_types::{Address, Height, TransactionId};

use super::Position;
use super::bodies::remove_if_there;
use super::run::{By, Entry, Run, digest_of, entry, position_of};

/// So many runs of a level make one of the next.
const FANOUT: usize = 8;

/// When so many entries are in memory they go into a file: 1.4 MB.
const FILE_ENTRIES: u64 = 32 * 1024;

/// The level of a file that was not merged with others. In memory none is reached.
const FILE_LEVEL: u8 = 64;

/// No larger run is made: 880 MB, which take some seconds.
const MAX_ENTRIES: u64 = 20 * 1024 * 1024;

/// All runs. There is one writer; readers see one list or the next.
#[derive(Debug)]
pub struct Runs {
    folder: PathBuf,
    list: RwLock<Arc<Vec<Arc<Run>>>>,
}

impl Runs {
    /// Opens the runs of a folder. Nothing if one of them is damaged.
    pub fn open(folder: &Path) -> io::Result<Option<Self>> {
        fs::create_dir_all(folder)?;
        let mut runs = Vec::new();
        for file in fs::read_dir(folder)? {
            let path = file?.path();
            match path.extension().and_then(|ending| ending.to_str()) {
                Some("run") => match Run::open(&path)? {
                    Some(run) => runs.push(run),
                    None => return Ok(None),
                },
                Some("tmp") => remove_if_there(&path)?,
                _ => {}
            }
        }
        // A larger one that ends with the same number comes first.
        runs.sort_unstable_by_key(|run: &Run| (run.first, std::cmp::Reverse(run.last)));
        let mut list: Vec<Arc<Run>> = Vec::new();
        for run in runs {
            if list.last().is_some_and(|other| run.is_part_of(other)) {
                remove_if_there(&run.path(folder))?;
            } else {
                list.push(Arc::new(run));
            }
        }
        Ok(Some(Self { folder: folder.to_owned(), list: RwLock::new(Arc::new(list)) }))
    }

    fn list(&self) -> Arc<Vec<Arc<Run>>> {
        Arc::clone(&self.list.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn replace(&self, list: Vec<Arc<Run>>) {
        *self.list.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(list);
    }

    /// Adds what a checkpoint brings, and forgets heights below `kept` that it comes across. Tells
    /// whether everything that was added is in files now.
    pub fn add(
        &self,
        transactions: Vec<Entry>,
        accounts: Vec<Entry>,
        kept: Height,
    ) -> io::Result<bool> {
        let mut list = self.list().to_vec();
        let number = list.last().map_or(1, |run| run.last + 1);
        list.push(Arc::new(Run::in_memory(number, transactions, accounts)));
        let in_memory: u64 = list[first_in_memory(&list)..].iter().map(|run| run.entries()).sum();
        self.replace(list);
        if in_memory >= FILE_ENTRIES {
            return self.flush(kept);
        }
        let mut list = self.list().to_vec();
        while let Some(start) = mergeable(&list) {
            let merged = Run::merge_in_memory(&borrowed(&list[start..]), kept)?;
            self.swap(&mut list, start, merged)?;
        }
        Ok(false)
    }

    /// Writes what is in memory into a file. Tells whether there was any.
    pub fn flush(&self, kept: Height) -> io::Result<bool> {
        let mut list = self.list().to_vec();
        let start = first_in_memory(&list);
        if start == list.len() {
            return Ok(false);
        }
        let parts = borrowed(&list[start..]);
        let file = Run::merge_into_file(&parts, FILE_LEVEL, kept, &self.folder)?;
        self.swap(&mut list, start, file)?;
        while let Some(start) = mergeable(&list) {
            let level = list[start].level.saturating_add(1);
            let file = Run::merge_into_file(&borrowed(&list[start..]), level, kept, &self.folder)?;
            self.swap(&mut list, start, file)?;
        }
        Ok(true)
    }

    /// Puts a run in the place of those that it was made of, for readers too, and removes their
    /// files.
    fn swap(&self, list: &mut Vec<Arc<Run>>, start: usize, merged: Run) -> io::Result<()> {
        let parts: Vec<Arc<Run>> = list.drain(start..).collect();
        let (first, last) = (merged.first, merged.last);
        list.push(Arc::new(merged));
        self.replace(list.clone());
        // Readers that have them open read on.
        for part in parts.iter().filter(|part| (part.first, part.last) != (first, last)) {
            if !part.is_in_memory() {
                remove_if_there(&part.path(&self.folder))?;
            }
        }
        Ok(())
    }

    /// Removes the files that have no height from `kept` on.
    pub fn remove_below(&self, kept: Height) -> io::Result<()> {
        let list = self.list();
        let is_old = |run: &Arc<Run>| !run.is_in_memory() && run.highest < kept;
        for run in list.iter().filter(|run| is_old(run)) {
            remove_if_there(&run.path(&self.folder))?;
        }
        if list.iter().any(is_old) {
            self.replace(list.iter().filter(|run| !is_old(run)).cloned().collect());
        }
        Ok(())
    }

    /// How many bytes the files have.
    pub fn bytes(&self) -> u64 {
        let list = self.list();
        let files = list.iter().filter(|run| !run.is_in_memory());
        files.map(|run| run.entries() * super::run::ENTRY_BYTES as u64).sum()
    }

    /// The highest place of a transaction.
    pub fn last_place(&self, id: TransactionId) -> io::Result<Option<Position>> {
        let end = entry(&id.0, Position::END);
        let mut highest = None;
        for run in self.list().iter() {
            let found = run.below(By::Transaction, &end, 1)?;
            let found = found.iter().filter(|found| digest_of(found) == id.0).map(position_of);
            highest = found.max().max(highest);
        }
        Ok(highest)
    }

    /// Up to `limit` places below one where an account took part, highest first.
    pub fn places(
        &self,
        account: Address,
        before: Position,
        limit: usize,
    ) -> io::Result<Vec<Position>> {
        let end = entry(&account.0, before);
        let mut places = BTreeSet::new();
        for run in self.list().iter() {
            let found = run.below(By::Account, &end, limit as u64)?;
            let found = found.iter().filter(|found| digest_of(found) == account.0);
            places.extend(found.map(position_of));
        }
        Ok(places.into_iter().rev().take(limit).collect())
    }

    /// Up to `limit` digests that begin with these bytes, each once.
    pub fn beginning_with(&self, by: By, prefix: &[u8], limit: usize) -> io::Result<Vec<Digest>> {
        let mut found = Vec::new();
        let mut from = [0; super::run::ENTRY_BYTES];
        let Some(space) = from[..32].get_mut(..prefix.len()) else { return Ok(found) };
        space.copy_from_slice(prefix);
        let list = self.list();
        while found.len() < limit {
            let mut next: Option<Digest> = None;
            for run in list.iter() {
                let one = run.from(by, &from, 1)?;
                let one = one.first().map(digest_of);
                next = [next, one].into_iter().flatten().min();
            }
            let Some(next) = next.filter(|next| next.0.starts_with(prefix)) else { break };
            // Leaps over everything else under the same digest.
            from = entry(&next, Position::END);
            found.push(next);
        }
        Ok(found)
    }
}

/// Where the runs begin that are in memory: behind all files.
fn first_in_memory(list: &[Arc<Run>]) -> usize {
    list.iter().position(|run| run.is_in_memory()).unwrap_or(list.len())
}

fn borrowed(runs: &[Arc<Run>]) -> Vec<&Run> {
    runs.iter().map(|run| &**run).collect()
}

/// Where the runs begin that are to be merged: as many of one level as make one of the next, at
/// the end.
fn mergeable(list: &[Arc<Run>]) -> Option<usize> {
    let start = list.len().checked_sub(FANOUT)?;
    let last = &list[start..];
    let level = last[FANOUT - 1].level;
    let entries: u64 = last.iter().map(|run| run.entries()).sum();
    (last.iter().all(|run| run.level == level) && entries <= MAX_ENTRIES).then_some(start)
}

#[cfg(test)]
mod tests;
