//! Runs: sorted lists of entries of one length, in memory or in a file, that never change.
//!
//! An entry is a digest and a position, `digest | height u64 | position u32`, most significant
//! byte first so that entries sort. A run has two lists: one under the transactions' own names,
//! one under the accounts that took part. A file is `header | transactions | accounts`, is on the
//! disk as a whole before it has its name, and is called after the numbers of the runs that it was
//! made of: one whose numbers are part of another's is what was left of it.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use borsh::{BorshDeserialize, BorshSerialize};
use qcn_crypto::Digest;
use qcn_types::{Height, decode, encode};

use super::Position;

pub const ENTRY_BYTES: usize = 44;
pub type Entry = [u8; ENTRY_BYTES];

/// How many entries a search reads at once when it is near.
const NEAR: u64 = 93;

/// How many entries a merge reads at once.
const CHUNK: u64 = 4_096;

/// How many bytes a merge writes at once.
const WRITTEN_AT_ONCE: usize = 256 * 1024;

const MAGIC: [u8; 8] = *b"qcn run\n";
const HEADER_BYTES: usize = 8 + 1 + 4 * 8 + 4;

pub fn entry(digest: &Digest, at: Position) -> Entry {
    let mut entry = [0; ENTRY_BYTES];
    entry[..32].copy_from_slice(digest.as_bytes());
    entry[32..40].copy_from_slice(&at.height.0.to_be_bytes());
    entry[40..].copy_from_slice(&at.position.to_be_bytes());
    entry
}

pub fn digest_of(entry: &Entry) -> Digest {
    let mut digest = Digest::ZERO;
    digest.0.copy_from_slice(&entry[..32]);
    digest
}

pub fn position_of(entry: &Entry) -> Position {
    let (mut height, mut position) = ([0; 8], [0; 4]);
    height.copy_from_slice(&entry[32..40]);
    position.copy_from_slice(&entry[40..]);
    let height = Height(u64::from_be_bytes(height));
    Position { height, position: u32::from_be_bytes(position) }
}

/// Which of the two lists.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum By {
    Transaction,
    Account,
}

#[derive(Debug)]
pub struct Run {
    /// It stands for the runs with these numbers.
    pub first: u64,
    pub last: u64,
    /// How often it was merged.
    pub level: u8,
    /// The highest height in it.
    pub highest: Height,
    transactions: Sorted,
    accounts: Sorted,
}

#[derive(Debug)]
enum Sorted {
    Memory(Vec<Entry>),
    File { file: File, start: u64, count: u64 },
}

/// The beginning of a file.
#[derive(BorshSerialize, BorshDeserialize)]
struct Header {
    magic: [u8; 8],
    level: u8,
    highest: Height,
    transactions: u64,
    accounts: u64,
    reserved: u64,
    crc: u32,
}

impl Run {
    /// A run in memory out of lists in any order.
    pub fn in_memory(number: u64, mut transactions: Vec<Entry>, mut accounts: Vec<Entry>) -> Self {
        transactions.sort_unstable();
        accounts.sort_unstable();
        let heights = transactions.iter().map(|entry| position_of(entry).height);
        Self {
            first: number,
            last: number,
            level: 0,
            highest: heights.max().unwrap_or_default(),
            transactions: Sorted::Memory(transactions),
            accounts: Sorted::Memory(accounts),
        }
    }

    pub const fn is_in_memory(&self) -> bool {
        matches!(self.transactions, Sorted::Memory(_))
    }

    pub fn entries(&self) -> u64 {
        self.transactions.count() + self.accounts.count()
    }

    const fn list(&self, by: By) -> &Sorted {
        match by {
            By::Transaction => &self.transactions,
            By::Account => &self.accounts,
        }
    }

    /// Up to `limit` entries that are not below `from`, in order.
    pub fn from(&self, by: By, from: &Entry, limit: u64) -> io::Result<Vec<Entry>> {
        let list = self.list(by);
        let start = list.lower_bound(from)?;
        list.read(start..start.saturating_add(limit).min(list.count()))
    }

    /// Up to `limit` entries below `before`, in order.
    pub fn below(&self, by: By, before: &Entry, limit: u64) -> io::Result<Vec<Entry>> {
        let list = self.list(by);
        let end = list.lower_bound(before)?;
        list.read(end.saturating_sub(limit)..end)
    }

    /// One run with what several have, without heights below `kept`, in memory.
    pub fn merge_in_memory(runs: &[&Self], kept: Height) -> io::Result<Self> {
        let merged = |by| {
            let mut entries = Vec::new();
            for run in runs {
                let list = run.list(by);
                entries.extend(list.read(0..list.count())?);
            }
            entries.retain(|entry| position_of(entry).height >= kept);
            // It sees that there are sorted pieces, and merges them.
            entries.sort();
            entries.dedup();
            io::Result::Ok(Sorted::Memory(entries))
        };
        let level = runs.iter().map(|run| run.level).max().unwrap_or(0).saturating_add(1);
        Self::merged(runs, level, merged(By::Transaction)?, merged(By::Account)?)
    }

    fn merged(
        runs: &[&Self],
        level: u8,
        transactions: Sorted,
        accounts: Sorted,
    ) -> io::Result<Self> {
        let (Some(first), Some(last)) = (runs.first(), runs.last()) else {
            return Err(io::Error::other("nothing to merge"));
        };
        Ok(Self {
            first: first.first,
            last: last.last,
            level,
            highest: runs.iter().map(|run| run.highest).max().unwrap_or_default(),
            transactions,
            accounts,
        })
    }

    /// One run of a level with what several have, without heights below `kept`, in a file of the
    /// folder.
    pub fn merge_into_file(
        runs: &[&Self],
        level: u8,
        kept: Height,
        folder: &Path,
    ) -> io::Result<Self> {
        let nothing = || Sorted::Memory(Vec::new());
        let run = Self::merged(runs, level, nothing(), nothing())?;
        let path = folder.join(file_name(run.first, run.last));
        let unfinished = path.with_extension("tmp");
        let mut options = File::options();
        let file = options.create(true).truncate(true).read(true).write(true).open(&unfinished)?;
        let mut writer = BufWriter::with_capacity(WRITTEN_AT_ONCE, file);
        writer.write_all(&[0; HEADER_BYTES])?;
        let mut write = |by| {
            let mut count = 0;
            merge(runs.iter().map(|run| run.list(by)), |entry| {
                if position_of(entry).height < kept {
                    return Ok(());
                }
                count += 1;
                writer.write_all(entry)
            })?;
            io::Result::Ok(count)
        };
        let (transactions, accounts) = (write(By::Transaction)?, write(By::Account)?);
        let file = writer.into_inner().map_err(io::IntoInnerError::into_error)?;
        let header = Header::new(run.level, run.highest, transactions, accounts);
        file.write_all_at(&encode(&header), 0)?;
        file.sync_data()?;
        fs::rename(&unfinished, &path)?;
        File::open(folder)?.sync_all()?;
        run.backed_by(file, &header)
    }

    /// Opens a file. Nothing if it is not a run that was written as a whole.
    pub fn open(path: &Path) -> io::Result<Option<Self>> {
        let numbers = path.file_name().and_then(|name| numbers_of(name.to_str()?));
        let Some((first, last)) = numbers else { return Ok(None) };
        let file = File::open(path)?;
        let mut bytes = [0; HEADER_BYTES];
        let length = file.metadata()?.len();
        if length < HEADER_BYTES as u64 {
            return Ok(None);
        }
        file.read_exact_at(&mut bytes, 0)?;
        let header = decode::<Header>(&bytes).ok().filter(|header| header.fits(length));
        let Some(header) = header else { return Ok(None) };
        let nothing = || Sorted::Memory(Vec::new());
        let (level, highest) = (header.level, header.highest);
        let run =
            Self { first, last, level, highest, transactions: nothing(), accounts: nothing() };
        run.backed_by(file, &header).map(Some)
    }

    fn backed_by(mut self, file: File, header: &Header) -> io::Result<Self> {
        let (start, count) = (HEADER_BYTES as u64, header.transactions);
        self.transactions = Sorted::File { file: file.try_clone()?, start, count };
        let start = start + count * ENTRY_BYTES as u64;
        self.accounts = Sorted::File { file, start, count: header.accounts };
        Ok(self)
    }

    pub fn path(&self, folder: &Path) -> PathBuf {
        folder.join(file_name(self.first, self.last))
    }

    /// Whether it is part of what another stands for.
    pub const fn is_part_of(&self, other: &Self) -> bool {
        other.first <= self.first
            && self.last <= other.last
            && (other.first < self.first || self.last < other.last)
    }
}

impl Header {
    fn new(level: u8, highest: Height, transactions: u64, accounts: u64) -> Self {
        let mut header =
            Self { magic: MAGIC, level, highest, transactions, accounts, reserved: 0, crc: 0 };
        header.crc = header.checksum();
        header
    }

    fn checksum(&self) -> u32 {
        crc32fast::hash(&encode(self)[..HEADER_BYTES - 4])
    }

    fn fits(&self, length: u64) -> bool {
        let entries = self.transactions.saturating_add(self.accounts);
        let expected = entries.saturating_mul(ENTRY_BYTES as u64) + HEADER_BYTES as u64;
        self.magic == MAGIC && self.crc == self.checksum() && length == expected
    }
}

impl Sorted {
    fn count(&self) -> u64 {
        match self {
            Self::Memory(entries) => entries.len() as u64,
            Self::File { count, .. } => *count,
        }
    }

    fn read(&self, range: Range<u64>) -> io::Result<Vec<Entry>> {
        match self {
            Self::Memory(entries) => Ok(entries[range.start as usize..range.end as usize].to_vec()),
            Self::File { file, start, .. } => {
                let mut bytes = vec![0; (range.end - range.start) as usize * ENTRY_BYTES];
                file.read_exact_at(&mut bytes, start + range.start * ENTRY_BYTES as u64)?;
                Ok(bytes.as_chunks::<ENTRY_BYTES>().0.to_vec())
            }
        }
    }

    /// The number of the first entry that is not below `key`.
    ///
    /// Digests are spread evenly, so that a guess comes near; every other step halves what is left
    /// as there may be many entries under one account.
    fn lower_bound(&self, key: &Entry) -> io::Result<u64> {
        if let Self::Memory(entries) = self {
            return Ok(entries.partition_point(|entry| entry < key) as u64);
        }
        let (mut low, mut high) = (0, self.count());
        // The beginnings of what bounds the rest on both sides.
        let (mut least, mut greatest) = (0, u64::MAX);
        let mut guesses = true;
        while high - low > NEAR {
            let middle = if guesses {
                let share = f64_share(beginning(key), least, greatest);
                low + (((high - low) as f64 * share) as u64).min(high - low - 1)
            } else {
                low + (high - low) / 2
            };
            // Reads a little around the guess, so that one of the two sides is near.
            let start = middle.saturating_sub(NEAR / 2).max(low);
            let around = self.read(start..(start + NEAR).min(high))?;
            let below = around.partition_point(|entry| entry < key);
            if below > 0 && below < around.len() {
                return Ok(start + below as u64);
            }
            if below == 0 {
                high = start;
                greatest = around.first().map_or(greatest, beginning);
            } else {
                low = start + around.len() as u64;
                least = around.last().map_or(least, beginning);
            }
            guesses = !guesses;
        }
        let rest = self.read(low..high)?;
        Ok(low + rest.partition_point(|entry| entry < key) as u64)
    }
}

fn beginning(entry: &Entry) -> u64 {
    entry[..8].iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte))
}

/// Where a value lies between two others.
fn f64_share(value: u64, least: u64, greatest: u64) -> f64 {
    let whole = greatest.saturating_sub(least).max(1);
    (value.saturating_sub(least) as f64 / whole as f64).min(1.0)
}

/// Calls `each` with the entries of sorted lists, in order and each once.
fn merge<'a>(
    lists: impl Iterator<Item = &'a Sorted>,
    mut each: impl FnMut(&Entry) -> io::Result<()>,
) -> io::Result<()> {
    let mut cursors = Vec::new();
    for list in lists {
        cursors.extend(Cursor::begin(list)?);
    }
    let mut before = None;
    while let Some(least) = least(&cursors) {
        let entry = *cursors[least].head();
        if before != Some(entry) {
            each(&entry)?;
            before = Some(entry);
        }
        if !cursors[least].advance()? {
            cursors.swap_remove(least);
        }
    }
    Ok(())
}

/// The cursor with the least entry.
fn least(cursors: &[Cursor<'_>]) -> Option<usize> {
    let order = |one: &Cursor<'_>, other: &Cursor<'_>| {
        one.beginning.cmp(&other.beginning).then_with(|| one.head().cmp(other.head()))
    };
    (0..cursors.len()).min_by(|one, other| order(&cursors[*one], &cursors[*other]))
}

/// A place in a list that has an entry there.
struct Cursor<'a> {
    list: &'a Sorted,
    chunk: Vec<Entry>,
    at: usize,
    /// Of the list that was read.
    read: u64,
    /// Of the entry.
    beginning: u64,
}

impl<'a> Cursor<'a> {
    fn begin(list: &'a Sorted) -> io::Result<Option<Self>> {
        let mut cursor = Self { list, chunk: Vec::new(), at: 0, read: 0, beginning: 0 };
        Ok(cursor.fill()?.then_some(cursor))
    }

    fn fill(&mut self) -> io::Result<bool> {
        let end = (self.read + CHUNK).min(self.list.count());
        self.chunk = self.list.read(self.read..end)?;
        (self.at, self.read) = (0, end);
        self.beginning = self.chunk.first().map_or(0, beginning);
        Ok(!self.chunk.is_empty())
    }

    fn head(&self) -> &Entry {
        &self.chunk[self.at]
    }

    fn advance(&mut self) -> io::Result<bool> {
        self.at += 1;
        if self.at == self.chunk.len() {
            return self.fill();
        }
        self.beginning = beginning(&self.chunk[self.at]);
        Ok(true)
    }
}

fn file_name(first: u64, last: u64) -> String {
    format!("{first:012}-{last:012}.run")
}

fn numbers_of(name: &str) -> Option<(u64, u64)> {
    let (first, last) = name.strip_suffix(".run")?.split_once('-')?;
    Some((first.parse().ok()?, last.parse().ok()?))
}
