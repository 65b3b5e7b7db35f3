//! Random lives of a store on a disk that fails: what was acknowledged is there, or the store
//! says that it may not be.

use std::collections::BTreeSet;
use std::sync::{Arc, LazyLock};

use qcn_crypto::SeededRandomness;
use qcn_ledger::Ledger;
use qcn_shard::{Record, Start};
use qcn_types::{BlockRef, VerifiedBlock};

use super::super::disk::Disk;
use super::super::log::kind;
use super::super::snapshot::Snapshot;
use super::super::testing::memory::{Crash, MemoryDisk};
use super::super::testing::{KEYS, OTHER, OWN, TERRITORY, block, identity, ledger, snapshot};
use super::super::{BlockLog, Opened, StorageError, open};
use super::names;

/// Enough blocks for the longest life: two of a round.
static BLOCKS: LazyLock<Vec<(u8, VerifiedBlock)>> = LazyLock::new(|| {
    let of_round =
        |round: u64| [(kind::ACCEPTED, block(OTHER, round, 2)), (kind::OWN, block(OWN, round, 0))];
    (1..=200).flat_map(of_round).collect()
});

static SNAPSHOTS: LazyLock<Vec<Snapshot>> = LazyLock::new(|| {
    let ledger: Ledger = ledger(10);
    let at = |height: u64| match snapshot(height, height * 4, &ledger) {
        Record::Snapshot { package, ledger, floor } => Snapshot { package, ledger, floor },
        _ => unreachable!(),
    };
    (0..50).map(at).collect()
});

/// Small enough that a life fills several.
const SEGMENT_BYTES: u64 = 6_000;

/// What the disk does besides losing what was not synced.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Honesty {
    /// Nothing: what was synced is there.
    Honest,
    /// It damages what was durable.
    Damages,
}

/// What a store must hold, told from what its user saw.
#[derive(Debug, Default)]
struct Model {
    /// How many blocks were appended, in the order of [`BLOCKS`].
    appended: usize,
    /// Those that may be on the disk.
    possible: BTreeSet<usize>,
    /// Those that were appended since the last opening, in full or not.
    recent: BTreeSet<usize>,
    /// Those that must be there.
    owed: BTreeSet<usize>,
    /// How many snapshots were written, and the newest that was acknowledged.
    snapshots: u64,
    acknowledged_height: u64,
    has_opened: bool,
    /// Whether the last opening was suspect, and no own block can have become durable since.
    is_suspect: bool,
    /// Whether an own block was appended since the last opening.
    has_own: bool,
}

struct Life {
    seed: u64,
    disk: MemoryDisk,
    random: SeededRandomness,
    model: Model,
}

impl Life {
    fn new(seed: u64) -> Self {
        let disk = MemoryDisk::new(seed);
        open::initialise(&disk, &identity()).unwrap();
        let random = SeededRandomness::from_u64(seed, "life of a store");
        Self { seed, disk, random, model: Model::default() }
    }

    fn open(&self) -> Result<Opened, StorageError> {
        open::open(Arc::new(self.disk.clone()), &identity(), &KEYS, &TERRITORY, SEGMENT_BYTES)
    }

    /// Works until the process dies or has done enough.
    fn work(&mut self, log: &mut BlockLog) -> Result<(), StorageError> {
        for _ in 0..self.random.below(12) {
            if self.random.below(6) == 0 {
                self.write_snapshot(log)?;
            } else {
                self.append_some(log)?;
            }
            if self.random.below(8) == 0 {
                log.sync_mark()?;
            }
        }
        Ok(())
    }

    fn append_some(&mut self, log: &mut BlockLog) -> Result<(), StorageError> {
        // It commits where it rotates.
        self.model.is_suspect &= !self.model.has_own;
        log.rotate_if_due()?;
        for _ in 0..=self.random.below(5) {
            let number = self.model.appended;
            let (kind, block) = &BLOCKS[number];
            self.model.has_own |= *kind == kind::OWN;
            log.stage_block(*kind, block);
            self.model.possible.insert(number);
            self.model.recent.insert(number);
            self.model.appended += 1;
        }
        if self.random.below(3) == 0 {
            return log.write();
        }
        self.commit(log)
    }

    fn commit(&mut self, log: &mut BlockLog) -> Result<(), StorageError> {
        self.model.is_suspect &= !self.model.has_own;
        log.commit()?;
        self.model.owed.extend(&self.model.recent);
        Ok(())
    }

    fn write_snapshot(&mut self, log: &mut BlockLog) -> Result<(), StorageError> {
        let newest = (self.model.appended / 2) as u64;
        let height = (newest / 4).saturating_sub(2);
        if height <= self.model.snapshots {
            return Ok(());
        }
        self.model.snapshots = height;
        let entry = log.snapshot_writer(|| false)(&SNAPSHOTS[height as usize])?;
        log.stage_snapshot(entry);
        self.commit(log)?;
        self.model.acknowledged_height = height;
        log.prune()
    }

    /// How the next life ends. The mark is exact after a kill only, so damage comes with that.
    fn crash(&mut self, honesty: Honesty) -> Crash {
        let is_kill = honesty == Honesty::Damages || self.random.below(2) == 0;
        if is_kill { Crash::Kill } else { Crash::PowerCut }
    }

    /// The process dies at any moment of its work, and the machine perhaps with it.
    fn die(&mut self, log: Option<BlockLog>, crash: Crash) {
        if let Some(mut log) = log {
            self.disk.die_after(self.random.below(60));
            let _ = self.work(&mut log);
        }
        self.disk.crash(crash);
    }

    /// Damages one file that the store needs.
    fn damage(&mut self) {
        let names = self.disk.list().unwrap();
        let targets: Vec<&String> = names.iter().filter(|name| !name.ends_with(".tmp")).collect();
        let name = targets[self.random.below(targets.len() as u64) as usize];
        let bytes = self.disk.bytes_of(name) as u64;
        match self.random.below(3) {
            // Without its marker a lost store cannot be told from one that was never there.
            0 if !matches!(name.as_str(), "suspect" | "fresh") => self.disk.lose(name),
            1 => self.disk.shorten(name, self.random.below(bytes + 1) as usize),
            _ if bytes > 0 => self.disk.flip_bit(name, self.random.below(bytes * 8) as usize),
            _ => {}
        }
    }

    /// Holds what was found against what was acknowledged.
    fn check(&mut self, opened: &Opened, honesty: Honesty) {
        let (seed, model, report) = (self.seed, &mut self.model, &opened.report);
        let context = || format!("seed {seed}: {report}\n{model:?}");
        let (records, kind) = match &opened.start {
            Start::Fresh => (&[][..], Kind::Fresh),
            Start::Restarted(records) => (&records[..], Kind::Restarted),
            Start::Suspect(records) => (&records[..], Kind::Suspect),
        };
        let floor = report.snapshot.map_or(0, |(_, floor)| floor.0);
        let found = numbers(records, seed);
        assert!(found.is_sorted_by(|a, b| a < b), "out of order: {}", context());
        let set: BTreeSet<usize> = found.iter().copied().collect();
        assert!(set.is_subset(&model.possible), "invented: {}", context());
        let missing: Vec<usize> = model.owed.difference(&set).copied().collect();
        let is_needed = |number: &&usize| BLOCKS[**number].1.reference().round.0 > floor;
        let is_complete = missing.iter().find(is_needed).is_none();
        assert!(is_complete || kind == Kind::Suspect, "lost silently: {}", context());
        assert!(!model.is_suspect || kind == Kind::Suspect, "forgot it: {}", context());
        assert!(kind != Kind::Fresh || !model.has_opened, "fresh again: {}", context());
        if honesty == Honesty::Honest {
            let height = report.snapshot.map_or(0, |(height, _)| height.0);
            assert!(height >= model.acknowledged_height, "lost a snapshot: {}", context());
            assert_eq!(kind == Kind::Suspect, model.is_suspect, "accused: {}", context());
            let last = found.last().copied().unwrap_or(0);
            let mut before = model.possible.range(..last).filter(is_needed);
            assert!(before.all(|number| set.contains(number)), "a hole: {}", context());
        }
        if kind == Kind::Suspect {
            model.owed = set.clone();
        } else {
            model.owed.extend(&set);
        }
        let kept = |number: &usize| set.contains(number) || model.owed.contains(number);
        model.possible = if honesty == Honesty::Honest {
            model.possible.iter().copied().filter(kept).collect()
        } else {
            // What is at or below the floor may come back with an older snapshot.
            model.possible.clone()
        };
        model.has_opened = true;
        model.has_own = false;
        model.recent.clear();
        model.is_suspect = kind == Kind::Suspect;
        model.acknowledged_height = report.snapshot.map_or(0, |(height, _)| height.0);
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    Fresh,
    Restarted,
    Suspect,
}

/// Which of [`BLOCKS`] these are.
fn numbers(records: &[Record], seed: u64) -> Vec<usize> {
    let number = |name: &BlockRef| {
        let found = BLOCKS.iter().position(|(_, block)| block.reference() == *name);
        found.unwrap_or_else(|| panic!("seed {seed}: {name} was never appended"))
    };
    names(records).iter().map(number).collect()
}

/// How many lives are tried of each sort.
const LIVES: u64 = 400;

fn live(seed: u64, honesty: Honesty) -> usize {
    let mut life = Life::new(seed);
    let mut suspects = 0;
    for _ in 0..6 {
        if life.model.appended + 80 > BLOCKS.len() {
            break;
        }
        // Opening is interrupted too, sometimes.
        if life.random.below(4) == 0 {
            life.disk.die_after(life.random.below(20));
        }
        match life.open() {
            Ok(opened) => {
                life.disk.die_after(u64::MAX);
                life.check(&opened, honesty);
                suspects += usize::from(matches!(opened.start, Start::Suspect(_)));
                let crash = life.crash(honesty);
                life.die(Some(opened.log), crash);
                // One damage at a time: the next opening that succeeds finds it.
                if honesty == Honesty::Damages {
                    life.damage();
                }
            }
            Err(_) => {
                let crash = life.crash(honesty);
                life.die(None, crash);
            }
        }
    }
    let opened = life.open().unwrap_or_else(|error| panic!("seed {seed}: {error}"));
    life.check(&opened, honesty);
    suspects + usize::from(matches!(opened.start, Start::Suspect(_)))
}

/// On a disk that keeps its word nothing is lost and nobody is accused.
///
/// Given a store; when its process is killed or its machine loses power again and again, at any
/// moment of writing, opening or pruning, then what was acknowledged is back, in order and
/// without a hole, nothing is invented, and the store is never suspect.
#[test]
fn an_honest_disk_loses_nothing_and_is_never_suspect() {
    for seed in 0..LIVES {
        assert_eq!(live(seed, Honesty::Honest), 0, "seed {seed}");
    }
}

/// A disk that damages what was durable is found out.
///
/// Given a store whose disk flips a bit, shortens or loses a file after each life, then what was
/// acknowledged is back, or the store is suspect, and stays so until an own block is durable.
#[test]
fn damage_to_what_was_durable_is_never_silent() {
    let suspects: usize = (0..LIVES).map(|seed| live(seed, Honesty::Damages)).sum();
    assert!(suspects > 100, "only {suspects} suspect starts: the damage does not reach the store");
}
