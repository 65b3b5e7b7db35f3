//! The bounded queue between those who append and the writer's thread.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use qcn_shard::Record;

use super::snapshot::SnapshotEntry;
use super::{StorageError, Ticket};

/// How many records may wait to be written. Their blocks are shared with the machine, so a full
/// queue costs little memory.
pub(super) const MAX_QUEUED_RECORDS: usize = 1024;

/// So many records are written although nobody waits for one of them.
const MANY_RECORDS: usize = 64;

/// A record that waits to be written.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) record: Record,
    /// To be reported once it is durable.
    pub(super) ticket: Option<Ticket>,
}

/// What there is to do for the writer.
#[derive(Debug)]
pub(super) struct Work {
    pub(super) entries: VecDeque<Entry>,
    /// What became of the snapshot that was being written.
    pub(super) snapshot: Option<Result<SnapshotEntry, StorageError>>,
    /// Whether nothing will be appended any more.
    pub(super) is_closing: bool,
}

#[derive(Debug, Default)]
struct State {
    entries: VecDeque<Entry>,
    snapshot: Option<Result<SnapshotEntry, StorageError>>,
    /// Whether the writer is not to wait for more.
    is_urgent: bool,
    tickets: u64,
    is_closing: bool,
    has_stopped: bool,
}

/// The queue.
#[derive(Debug, Default)]
pub(super) struct Queue {
    state: Mutex<State>,
    /// There is something to do.
    work: Condvar,
    /// There is room for a record.
    room: Condvar,
    /// The snapshot that is being written is not worth finishing. Nothing else is read by it, so
    /// its order with other memory does not matter.
    is_abandoned: AtomicBool,
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, State> {
        // No code that holds the lock can leave the state half changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Appends a record, as soon as there is room. A writer that has stopped takes nothing.
    pub(super) fn append(&self, record: Record, wants_ticket: bool) -> Ticket {
        let has_room = |state: &mut State| state.entries.len() < MAX_QUEUED_RECORDS;
        let state = self.lock();
        let mut state = self
            .room
            .wait_while(state, |state| !has_room(state) && !state.has_stopped)
            .unwrap_or_else(PoisonError::into_inner);
        state.tickets += 1;
        let ticket = Ticket(state.tickets);
        if !state.has_stopped {
            state.entries.push_back(Entry { record, ticket: wants_ticket.then_some(ticket) });
            // What nobody waits for goes with the next record that somebody waits for.
            if wants_ticket || state.entries.len() >= MANY_RECORDS {
                state.is_urgent = true;
                self.work.notify_one();
            }
        }
        ticket
    }

    /// Another snapshot is about to be written, and is wanted.
    pub(super) fn begin_snapshot(&self) {
        self.is_abandoned.store(false, Ordering::Relaxed);
    }

    /// The snapshot that is being written is to make way. It may have been written by now.
    pub(super) fn abandon_snapshot(&self) {
        self.is_abandoned.store(true, Ordering::Relaxed);
    }

    /// Whether the snapshot that is being written is to make way.
    pub(super) fn is_snapshot_abandoned(&self) -> bool {
        self.is_abandoned.load(Ordering::Relaxed)
    }

    /// A snapshot was written, or was not.
    pub(super) fn snapshot_ended(&self, outcome: Result<SnapshotEntry, StorageError>) {
        self.lock().snapshot = Some(outcome);
        self.work.notify_one();
    }

    /// Nothing will be appended any more.
    pub(super) fn close(&self) {
        self.lock().is_closing = true;
        self.work.notify_one();
    }

    /// The writer does nothing any more: who waits for room shall not wait.
    pub(super) fn stop(&self) {
        let mut state = self.lock();
        state.has_stopped = true;
        state.entries.clear();
        self.room.notify_all();
    }

    /// Waits until there is something to do at once, or for so long.
    pub(super) fn take(&self, patience: Duration) -> Work {
        let is_idle =
            |state: &mut State| !state.is_urgent && state.snapshot.is_none() && !state.is_closing;
        let state = self.lock();
        let (mut state, _) = self
            .work
            .wait_timeout_while(state, patience, is_idle)
            .unwrap_or_else(PoisonError::into_inner);
        state.is_urgent = false;
        let work = Work {
            entries: std::mem::take(&mut state.entries),
            snapshot: state.snapshot.take(),
            is_closing: state.is_closing,
        };
        self.room.notify_all();
        work
    }

    /// Waits for the end of the snapshot that is being written.
    pub(super) fn take_snapshot(&self) -> Result<SnapshotEntry, StorageError> {
        let state = self.lock();
        let mut state = self
            .work
            .wait_while(state, |state| state.snapshot.is_none())
            .unwrap_or_else(PoisonError::into_inner);
        state.snapshot.take().unwrap_or(Err(StorageError::Stopped))
    }

    /// Waits for so long, or until the writer is to be closed; says whether it is.
    pub(super) fn pause(&self, pause: Duration) -> bool {
        let state = self.lock();
        let (state, _) = self
            .work
            .wait_timeout_while(state, pause, |state| !state.is_closing)
            .unwrap_or_else(PoisonError::into_inner);
        state.is_closing
    }
}
