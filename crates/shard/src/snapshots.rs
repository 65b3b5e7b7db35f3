//! Snapshots of the state at certified checkpoints, for restarts and for peers (section 6).
//!
//! A snapshot is taken where a schedule window closes, and which windows these are follows from
//! the commits alone, so that all validators keep the same heights and a peer can fetch the
//! chunks of one state from many. Keeping one costs nothing until the state goes on: a ledger's
//! clone shares everything with the original.
//!
//! **Invariant**: who is given a snapshot is given the blocks above its floor as well. Consensus
//! is told to keep them ([`Snapshots::floor`]); a peer that resumed would else have a state and
//! no way to the present one.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use qcn_consensus::{CommitRecord, ScheduleState};
use qcn_ledger::Ledger;
use qcn_types::{Bounded, Certificate, Checkpoint, Height, Round};

use crate::SyncPackage;

/// How many certified snapshots are kept to be served.
const KEPT: usize = 2;
/// How many snapshots may wait for their certificate.
const MAX_PENDING: usize = 4;

#[derive(Debug)]
struct Snapshot {
    checkpoint: Checkpoint,
    ledger: Ledger,
    records: Vec<CommitRecord>,
    schedule: ScheduleState,
    floor: Round,
}

/// A snapshot that is served, and kept in the log.
#[derive(Debug)]
struct Certified {
    package: Arc<SyncPackage>,
    ledger: Ledger,
    floor: Round,
}

/// The snapshots of one validator, and the commits above the floor.
#[derive(Debug, Default)]
pub struct Snapshots {
    records: VecDeque<CommitRecord>,
    pending: BTreeMap<Height, Snapshot>,
    certified: VecDeque<Certified>,
    /// The index of the commit that closed the newest window.
    window_closed_at: u64,
}

impl Snapshots {
    /// The snapshots of a validator that resumes with these commits.
    #[must_use]
    pub fn resume(package: &Arc<SyncPackage>, ledger: &Ledger, floor: Round) -> Self {
        let kept = Certified { package: Arc::clone(package), ledger: ledger.clone(), floor };
        Self {
            records: package.commits.iter().cloned().collect(),
            pending: BTreeMap::new(),
            certified: VecDeque::from([kept]),
            window_closed_at: package.commits.last().map_or(0, |last| last.index),
        }
    }

    /// The floor of the oldest snapshot that is served; the beginning is open to all until there
    /// is one.
    #[must_use]
    pub fn floor(&self) -> Round {
        self.certified.front().map_or(Round::GENESIS, |kept| kept.floor)
    }

    /// Notes a commit, and forgets those wholly at or below the floor, but for the newest of
    /// them: it shows that none above is missing.
    pub fn note_commit(&mut self, record: CommitRecord, floor: Round) {
        self.records.push_back(record);
        while self.records.get(1).is_some_and(|second| second.leader.round <= floor) {
            self.records.pop_front();
        }
    }

    /// A window closed: takes a snapshot, if that brings the commits past a multiple of `interval`.
    pub fn take(
        &mut self,
        interval: u64,
        checkpoint: Checkpoint,
        ledger: &Ledger,
        schedule: ScheduleState,
        floor: Round,
    ) {
        let closed_at = self.records.back().map_or(0, |last| last.index);
        let before = std::mem::replace(&mut self.window_closed_at, closed_at);
        if before / interval.max(1) == closed_at / interval.max(1) {
            return;
        }
        let records = self.records.iter().cloned().collect();
        let snapshot = Snapshot { checkpoint, ledger: ledger.clone(), records, schedule, floor };
        self.pending.insert(checkpoint.height, snapshot);
        while self.pending.len() > MAX_PENDING {
            self.pending.pop_first();
        }
    }

    /// The checkpoint of a snapshot that waits for its certificate.
    #[must_use]
    pub fn pending(&self, height: Height) -> Option<Checkpoint> {
        self.pending.get(&height).map(|snapshot| snapshot.checkpoint)
    }

    /// A snapshot is certified: gives back what goes to the log.
    pub fn certify(
        &mut self,
        certificate: Certificate,
    ) -> Option<(Arc<SyncPackage>, Ledger, Round)> {
        let height = certificate.checkpoint.height;
        let snapshot = self.pending.remove(&height)?;
        self.pending.retain(|other, _| *other > height);
        let package = Arc::new(SyncPackage {
            certificate,
            commits: Bounded::truncated(snapshot.records),
            schedule: snapshot.schedule,
            plan: Bounded::default(),
        });
        let (ledger, floor) = (snapshot.ledger, snapshot.floor);
        self.keep(Certified { package: Arc::clone(&package), ledger: ledger.clone(), floor });
        Some((package, ledger, floor))
    }

    /// The final state of the epoch is certified.
    pub fn last(&mut self, package: Arc<SyncPackage>, ledger: Ledger, floor: Round) {
        self.pending.clear();
        self.keep(Certified { package, ledger, floor });
    }

    fn keep(&mut self, kept: Certified) {
        self.certified.push_back(kept);
        while self.certified.len() > KEPT {
            self.certified.pop_front();
        }
    }

    /// The newest certified snapshot above a height.
    #[must_use]
    pub fn newest_above(&self, height: Height) -> Option<&Arc<SyncPackage>> {
        let package = &self.certified.back()?.package;
        (package.certificate.checkpoint.height > height).then_some(package)
    }

    /// The state of a certified snapshot.
    #[must_use]
    pub fn ledger_at(&self, height: Height) -> Option<&Ledger> {
        let mut kept = self.certified.iter();
        kept.find(|kept| kept.package.certificate.checkpoint.height == height)
            .map(|kept| &kept.ledger)
    }
}
