//! A disk in memory that fails in every way that the store must survive.
//!
//! It keeps apart what was written and what is durable, for contents and for names. A power cut
//! leaves any mixture of the two, sector by sector and name by name; a kill leaves what was
//! written, with the last write in part.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};

use qcn_crypto::SeededRandomness;

use crate::storage::disk::{Disk, DiskFile};

/// What is written in one piece or not at all.
const SECTOR_BYTES: usize = 512;

/// How the process ends.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Crash {
    /// It is killed: what it wrote stays.
    Kill,
    /// The machine loses power: what was not synced may be lost, in part.
    PowerCut,
}

/// What a disk can be made to refuse.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Deed {
    Read,
    Sync,
    /// To this name.
    Rename,
    Remove,
}

#[derive(Clone, Debug, Default)]
struct Content {
    written: Vec<u8>,
    durable: Vec<u8>,
}

#[derive(Debug)]
struct Inner {
    contents: Vec<Content>,
    names: BTreeMap<String, usize>,
    durable_names: BTreeMap<String, usize>,
    random: SeededRandomness,
    /// After so many changes the process dies.
    fuse: u64,
    capacity_bytes: usize,
    syncs_fail: bool,
    refusals: Vec<(Deed, String, io::ErrorKind)>,
    /// The next write to the file of this name says that it begins, and waits.
    hold: Option<(String, Sender<()>, Receiver<()>)>,
}

/// A write that a test holds up, until this is dropped.
#[derive(Debug)]
pub(crate) struct Hold {
    begun: Receiver<()>,
    _goes_on: Sender<()>,
}

impl Hold {
    /// Waits until the write is under way.
    pub(crate) fn until_begun(&self) {
        self.begun.recv().unwrap();
    }
}

/// The disk. Clones are the same disk.
#[derive(Clone, Debug)]
pub(crate) struct MemoryDisk(Arc<Mutex<Inner>>);

#[derive(Debug)]
struct MemoryFile {
    disk: MemoryDisk,
    content: usize,
}

fn dead() -> io::Error {
    io::Error::other("the process is dead")
}

impl MemoryDisk {
    pub(crate) fn new(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(Inner {
            contents: Vec::new(),
            names: BTreeMap::new(),
            durable_names: BTreeMap::new(),
            random: SeededRandomness::from_u64(seed, "memory disk"),
            fuse: u64::MAX,
            capacity_bytes: usize::MAX,
            syncs_fail: false,
            refusals: Vec::new(),
            hold: None,
        })))
    }

    /// The process dies in the middle of the change after `changes` more.
    pub(crate) fn die_after(&self, changes: u64) {
        self.0.lock().unwrap().fuse = changes;
    }

    /// The files together may have so many bytes from now on.
    pub(crate) fn limit(&self, capacity_bytes: usize) {
        self.0.lock().unwrap().capacity_bytes = capacity_bytes;
    }

    pub(crate) fn fail_syncs(&self, fail: bool) {
        self.0.lock().unwrap().syncs_fail = fail;
    }

    /// Refuses to do something with the file of this name from now on.
    pub(crate) fn refuse(&self, deed: Deed, name: &str, kind: io::ErrorKind) {
        self.0.lock().unwrap().refusals.push((deed, name.to_owned(), kind));
    }

    /// Refuses nothing any more.
    pub(crate) fn mend(&self) {
        self.0.lock().unwrap().refusals.clear();
    }

    /// Holds up the next write to a file of this name; everything else goes on meanwhile.
    pub(crate) fn hold_write(&self, name: &str) -> Hold {
        let ((begins, begun), (goes_on, waits)) = (channel(), channel());
        self.0.lock().unwrap().hold = Some((name.to_owned(), begins, waits));
        Hold { begun, _goes_on: goes_on }
    }

    pub(crate) fn used_bytes(&self) -> usize {
        self.0.lock().unwrap().used_bytes()
    }

    /// What the next process finds.
    pub(crate) fn crash(&self, crash: Crash) {
        let mut inner = self.0.lock().unwrap();
        inner.fuse = u64::MAX;
        if crash == Crash::PowerCut {
            inner.cut_power();
        }
    }

    /// A disk that breaks its word: changes a bit of a file.
    pub(crate) fn flip_bit(&self, name: &str, bit: usize) {
        self.change(name, |bytes| bytes[bit / 8] ^= 1 << (bit % 8));
    }

    /// A disk that breaks its word: a file is shorter.
    pub(crate) fn shorten(&self, name: &str, bytes: usize) {
        self.change(name, |content| content.truncate(bytes));
    }

    /// A disk that breaks its word: a file is gone.
    pub(crate) fn lose(&self, name: &str) {
        let mut inner = self.0.lock().unwrap();
        inner.names.remove(name);
        inner.durable_names.remove(name);
    }

    pub(crate) fn bytes_of(&self, name: &str) -> usize {
        let inner = self.0.lock().unwrap();
        inner.contents[inner.names[name]].written.len()
    }

    fn change(&self, name: &str, change: impl Fn(&mut Vec<u8>)) {
        let mut inner = self.0.lock().unwrap();
        let content = inner.names[name];
        let content = &mut inner.contents[content];
        change(&mut content.written);
        content.durable = content.written.clone();
    }

    fn with<T>(&self, act: impl FnOnce(&mut Inner) -> io::Result<T>) -> io::Result<T> {
        let mut inner = self.0.lock().unwrap();
        if inner.fuse == 0 {
            return Err(dead());
        }
        inner.fuse -= 1;
        act(&mut inner)
    }

    fn wait_if_held(&self, content: usize) {
        let mut inner = self.0.lock().unwrap();
        let Inner { hold, names, .. } = &mut *inner;
        let held = hold.take_if(|(name, ..)| names.get(name) == Some(&content));
        // The disk is free for others while this one waits.
        drop(inner);
        if let Some((_, begins, waits)) = held {
            begins.send(()).unwrap();
            waits.recv().unwrap_err();
        }
    }
}

impl Inner {
    fn used_bytes(&self) -> usize {
        self.names.values().map(|content| self.contents[*content].written.len()).sum()
    }

    fn find(&self, name: &str) -> io::Result<usize> {
        self.names.get(name).copied().ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))
    }

    fn check(&self, deed: Deed, name: &str) -> io::Result<()> {
        let is_it =
            |refusal: &&(Deed, String, io::ErrorKind)| refusal.0 == deed && refusal.1 == name;
        self.refusals.iter().find(is_it).map_or(Ok(()), |(_, _, kind)| Err((*kind).into()))
    }

    fn cut_power(&mut self) {
        // Names: each change by itself happened or did not.
        let names: Vec<String> =
            self.names.keys().chain(self.durable_names.keys()).cloned().collect();
        for name in names {
            let (written, durable) = (self.names.get(&name), self.durable_names.get(&name));
            let survivor = if self.random.below(2) == 0 { written } else { durable }.copied();
            let name_again = name.clone();
            match survivor {
                Some(content) => self.names.insert(name, content),
                None => self.names.remove(&name),
            };
            match survivor {
                Some(content) => self.durable_names.insert(name_again, content),
                None => self.durable_names.remove(&name_again),
            };
        }
        for content in &mut self.contents {
            let survivor = mix(&mut self.random, content);
            *content = Content { written: survivor.clone(), durable: survivor };
        }
    }
}

/// What a power cut leaves of a file.
fn mix(random: &mut SeededRandomness, content: &Content) -> Vec<u8> {
    let Content { written, durable } = content;
    if written == durable {
        return written.clone();
    }
    let (short, long) = (written.len().min(durable.len()), written.len().max(durable.len()));
    let mut bytes = match random.below(4) {
        0 => return written.clone(),
        1 => return durable.clone(),
        // The length that was written, and zeros where nothing arrived.
        2 => vec![0; written.len()],
        _ => vec![0; short + random.below((long - short) as u64 + 1) as usize],
    };
    for (index, sector) in bytes.chunks_mut(SECTOR_BYTES).enumerate() {
        let source = if random.below(2) == 0 { written } else { durable };
        let start = (index * SECTOR_BYTES).min(source.len());
        let end = (start + sector.len()).min(source.len());
        sector[..end - start].copy_from_slice(&source[start..end]);
    }
    bytes
}

impl Disk for MemoryDisk {
    fn folder(&self) -> &Path {
        Path::new("/memory")
    }

    fn list(&self) -> io::Result<Vec<String>> {
        Ok(self.0.lock().unwrap().names.keys().cloned().collect())
    }

    fn read(&self, name: &str, limit: u64) -> io::Result<Vec<u8>> {
        let inner = self.0.lock().unwrap();
        inner.check(Deed::Read, name)?;
        let bytes = &inner.contents[inner.find(name)?].written;
        Ok(bytes[..bytes.len().min(usize::try_from(limit).unwrap())].to_vec())
    }

    fn create(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        self.with(|inner| {
            inner.contents.push(Content::default());
            let content = inner.contents.len() - 1;
            inner.names.insert(name.to_owned(), content);
            Ok(Box::new(MemoryFile { disk: self.clone(), content }) as Box<dyn DiskFile>)
        })
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        let content = self.0.lock().unwrap().find(name)?;
        Ok(Box::new(MemoryFile { disk: self.clone(), content }))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.with(|inner| {
            inner.check(Deed::Rename, to)?;
            let content = inner.find(from)?;
            inner.names.remove(from);
            inner.names.insert(to.to_owned(), content);
            Ok(())
        })
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.with(|inner| {
            inner.check(Deed::Remove, name)?;
            inner.find(name)?;
            inner.names.remove(name);
            Ok(())
        })
    }

    fn sync_folder(&self) -> io::Result<()> {
        self.with(|inner| {
            if inner.syncs_fail {
                return Err(io::Error::other("the folder cannot be synced"));
            }
            inner.durable_names = inner.names.clone();
            Ok(())
        })
    }

    fn available_bytes(&self) -> io::Result<u64> {
        let inner = self.0.lock().unwrap();
        Ok(inner.capacity_bytes.saturating_sub(inner.used_bytes()) as u64)
    }
}

impl DiskFile for MemoryFile {
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let offset = usize::try_from(offset).unwrap();
        self.disk.wait_if_held(self.content);
        self.disk.with(|inner| {
            let length = inner.contents[self.content].written.len();
            let growth = (offset + bytes.len()).saturating_sub(length);
            let room = inner.capacity_bytes.saturating_sub(inner.used_bytes());
            let mut fitting = bytes.len();
            let mut outcome = Ok(());
            if growth > room {
                fitting -= growth - room;
                outcome = Err(io::Error::from(io::ErrorKind::StorageFull));
            } else if inner.fuse == 0 {
                fitting = inner.random.below(bytes.len() as u64 + 1) as usize;
                outcome = Err(dead());
            }
            let written = &mut inner.contents[self.content].written;
            written.resize(length.max(offset + fitting), 0);
            written[offset..offset + fitting].copy_from_slice(&bytes[..fitting]);
            outcome
        })
    }

    fn sync(&mut self) -> io::Result<()> {
        self.disk.with(|inner| {
            if inner.syncs_fail {
                return Err(io::Error::other("the medium is broken"));
            }
            let names = inner.names.iter().filter(|(_, content)| **content == self.content);
            names.map(|(name, _)| name).try_for_each(|name| inner.check(Deed::Sync, name))?;
            let content = &mut inner.contents[self.content];
            content.durable.clone_from(&content.written);
            Ok(())
        })
    }

    fn truncate(&mut self, bytes: u64) -> io::Result<()> {
        self.disk.with(|inner| {
            let bytes = usize::try_from(bytes).unwrap();
            inner.contents[self.content].written.resize(bytes, 0);
            Ok(())
        })
    }
}
