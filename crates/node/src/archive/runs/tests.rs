//! Runs answer as a plain sorted set would.

use qcn_crypto::{Domain, hash};

use super::super::run::ENTRY_BYTES;
use super::*;
use crate::testing::TestFolder;

/// What was listed, twice over: as runs and as a set.
struct Both {
    runs: Runs,
    transactions: BTreeSet<Entry>,
    accounts: BTreeSet<Entry>,
}

impl Both {
    fn new(folder: &TestFolder) -> Self {
        let runs = Runs::open(folder.path()).unwrap().unwrap();
        Self { runs, transactions: BTreeSet::new(), accounts: BTreeSet::new() }
    }

    /// A checkpoint with so many transactions, a third of them of one account.
    fn add(&mut self, height: u64, transactions: u32) -> bool {
        let at = |position| Position { height: Height(height), position };
        let own: Vec<Entry> = (0..transactions)
            .map(|position| entry(&digest(height * 100_000 + u64::from(position)), at(position)))
            .collect();
        let account =
            |position: u32| if position.is_multiple_of(3) { BUSY } else { u64::from(position) };
        let accounts: Vec<Entry> =
            (0..transactions).map(|one| entry(&digest(account(one)), at(one))).collect();
        self.transactions.extend(&own);
        self.accounts.extend(&accounts);
        self.runs.add(own, accounts, Height(0)).unwrap()
    }

    fn assert_same(&self) {
        for one in self.transactions.iter().step_by(997) {
            let found = self.runs.last_place(TransactionId(digest_of(one))).unwrap();
            assert_eq!(found, Some(position_of(one)));
        }
        assert_eq!(self.runs.last_place(TransactionId(digest(u64::MAX))).unwrap(), None);
        for account in [BUSY, 1, 500, u64::MAX - 7].map(|account| Address(digest(account))) {
            for height in [0, 1, 20, u64::MAX] {
                let before = Position { height: Height(height), position: 100 };
                let (from, to) = (entry(&account.0, BEGIN), entry(&account.0, before));
                let expected = self.accounts.range(from..to).rev().take(50).map(position_of);
                let found = self.runs.places(account, before, 50).unwrap();
                assert_eq!(found, expected.collect::<Vec<_>>());
            }
        }
        for prefix in [&[][..], &[7], &[7, 7]] {
            let found = self.runs.beginning_with(By::Account, prefix, 10).unwrap();
            let mut expected: Vec<Digest> = self.accounts.iter().map(digest_of).collect();
            expected.dedup();
            expected.retain(|digest| digest.0.starts_with(prefix));
            expected.truncate(10);
            assert_eq!(found, expected);
        }
    }
}

const BUSY: u64 = 1 << 40;
const BEGIN: Position = Position { height: Height(0), position: 0 };

fn digest(number: u64) -> Digest {
    hash(Domain::Simulation, &number.to_le_bytes())
}

fn files(folder: &TestFolder) -> usize {
    fs::read_dir(folder.path()).unwrap().count()
}

/// Given checkpoints of very different sizes.
/// When enough came for several files, and for files to be merged, and again after opening.
/// Then every question has the answer that a sorted set gives.
#[test]
fn runs_in_memory_and_in_files_answer_as_a_sorted_set() {
    let folder = TestFolder::new();
    let mut both = Both::new(&folder);
    let mut filed = 0;
    for height in 1..=60 {
        filed += usize::from(both.add(height, [1, 900, 0, 4_000][height as usize % 4]));
    }
    assert!(filed > 2 && files(&folder) == filed, "{filed} files");
    both.assert_same();
    for height in 61..=70 {
        both.add(height, 10);
        assert!(both.runs.flush(Height(0)).unwrap());
    }
    assert!(!both.runs.flush(Height(0)).unwrap(), "nothing is in memory");
    assert!(files(&folder) < FANOUT + 3, "{}", files(&folder));
    both.assert_same();
    both.runs = Runs::open(folder.path()).unwrap().unwrap();
    both.assert_same();
}

/// Given a process that ended after a merge and before it removed what was merged.
/// When the runs are opened.
/// Then each entry is there once.
#[test]
fn what_was_merged_is_removed_at_opening() {
    let folder = TestFolder::new();
    let mut both = Both::new(&folder);
    for height in 1..8 {
        both.add(height, 100);
        both.runs.flush(Height(0)).unwrap();
    }
    let parts: Vec<_> =
        fs::read_dir(folder.path()).unwrap().map(|one| one.unwrap().path()).collect();
    let saved: Vec<_> = parts.iter().map(|path| (path, fs::read(path).unwrap())).collect();
    both.add(8, 100);
    both.runs.flush(Height(0)).unwrap();
    assert_eq!(files(&folder), 1);
    for (path, bytes) in &saved {
        fs::write(path, bytes).unwrap();
    }
    fs::write(folder.path().join("unfinished.tmp"), [1; 7]).unwrap();
    both.runs = Runs::open(folder.path()).unwrap().unwrap();
    assert_eq!(files(&folder), 1);
    both.assert_same();
}

#[test]
fn old_heights_go_with_their_file_or_with_the_next_merge() {
    let folder = TestFolder::new();
    let mut both = Both::new(&folder);
    for height in 1..=4 {
        both.add(height, 100);
        both.runs.flush(Height(0)).unwrap();
    }
    both.runs.remove_below(Height(3)).unwrap();
    assert_eq!(files(&folder), 2);
    for height in 5..=10 {
        both.add(height, 100);
        both.runs.flush(Height(4)).unwrap();
    }
    assert_eq!(files(&folder), 1);
    let bytes = both.runs.bytes();
    assert_eq!(bytes, 7 * 200 * ENTRY_BYTES as u64, "heights 4 to 10");
}

#[test]
fn a_shortened_run_is_seen() {
    let folder = TestFolder::new();
    let mut both = Both::new(&folder);
    both.add(1, 100);
    both.runs.flush(Height(0)).unwrap();
    let path = fs::read_dir(folder.path()).unwrap().next().unwrap().unwrap().path();
    let bytes = fs::read(&path).unwrap();
    fs::write(&path, &bytes[..bytes.len() - 1]).unwrap();
    assert!(Runs::open(folder.path()).unwrap().is_none());
}
