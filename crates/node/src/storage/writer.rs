//! The writer's thread: appends in order, syncs for many at once, says what is durable.
//!
//! While a sync is under way, records gather in the queue; the next sync serves all of them.
//! Snapshots are written by a thread of their own, beside the log, so that own blocks do not
//! wait for a large state; of the snapshots that wait, the newest is enough. One that is being
//! written without a ticket is abandoned for one with a ticket: a newer one replaces it, and
//! whoever waits for that, as a new epoch does, shall not wait for two.

use std::mem;
use std::sync::Arc;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use qcn_shard::Record;

use super::error::StorageError;
use super::log::{BlockLog, kind};
use super::queue::{Entry, Queue, Work};
use super::snapshot::{Snapshot, SnapshotEntry};

/// What is staged in memory before it is handed to the operating system.
const MAX_BATCH_BYTES: usize = 4 * 1024 * 1024;
/// Records without a barrier, and the mark, become durable after so long at the latest.
const SYNC_PERIOD: Duration = Duration::from_secs(1);
/// How soon a write is tried again on a full disk: at first, and at most.
const FULL_PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(5));

/// Names a record that is to be durable.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Ticket(pub u64);

/// What the writer says.
#[derive(Clone, Debug)]
pub enum LogEvent {
    /// The record of this ticket is durable. Blocks become durable in the order in which they
    /// were appended; a snapshot may take longer than blocks appended after it.
    Durable(Ticket),
    /// The disk is full. Nothing was lost; the writer tries again until there is space, and takes
    /// no more records than fit the queue meanwhile.
    Full {
        /// What is left.
        available_bytes: u64,
        /// What the write needs.
        needed_bytes: u64,
    },
    /// There is space again.
    Recovered,
    /// The writer has stopped: what was reported durable is, and nothing else will be.
    Failed(StorageError),
}

/// Appends to a block log from a thread of its own.
#[derive(Debug)]
pub struct LogWriter {
    queue: Arc<Queue>,
    /// There until it is closed.
    thread: Option<JoinHandle<Result<(), StorageError>>>,
}

impl LogWriter {
    /// Starts the writer of a log. `on_event` is called on its thread and must not wait for it.
    ///
    /// # Panics
    /// If the system gives no threads.
    pub fn spawn(log: BlockLog, on_event: impl Fn(LogEvent) + Send + 'static) -> Self {
        let queue = Arc::new(Queue::default());
        let (jobs, snapshots) = spawn_snapshots(&log, Arc::clone(&queue));
        let shared = Arc::clone(&queue);
        let run = move || {
            let _stop = StopOnExit(Arc::clone(&shared));
            let mut writer = Writer::new(log, shared, on_event, jobs);
            let outcome = writer.run();
            if let Err(error) = &outcome {
                writer.fail(error);
            }
            drop(writer);
            // It ends with the last job; it cannot hold a result back.
            let _ = snapshots.join();
            outcome
        };
        let thread = std::thread::Builder::new().name("block-log".to_owned()).spawn(run);
        let thread = Some(thread.expect("the system gives a thread"));
        Self { queue, thread }
    }

    /// Appends a record, without a word when it is durable. Waits while the queue is full.
    pub fn append(&self, record: Record) {
        self.queue.append(record, false);
    }

    /// Appends a record; [`LogEvent::Durable`] with the ticket follows. Waits while the queue is
    /// full.
    pub fn append_durably(&self, record: Record) -> Ticket {
        self.queue.append(record, true)
    }

    /// Writes what waits, makes everything durable and ends the thread.
    ///
    /// # Errors
    /// What kept it from doing so: something that no ticket was reported for may be missing.
    pub fn close(mut self) -> Result<(), StorageError> {
        self.join()
    }

    fn join(&mut self) -> Result<(), StorageError> {
        self.queue.close();
        let Some(thread) = self.thread.take() else {
            return Ok(());
        };
        thread.join().unwrap_or(Err(StorageError::Stopped))
    }
}

impl Drop for LogWriter {
    fn drop(&mut self) {
        // Who wants to know closes it.
        let _ = self.join();
    }
}

/// Lets nobody wait for a thread that has ended, however it did.
struct StopOnExit(Arc<Queue>);

impl Drop for StopOnExit {
    fn drop(&mut self) {
        self.0.stop();
    }
}

/// Says that no snapshot will come, should the thread that writes them panic.
struct EndOnExit(Arc<Queue>);

impl Drop for EndOnExit {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.snapshot_ended(Err(StorageError::Stopped));
        }
    }
}

fn spawn_snapshots(log: &BlockLog, queue: Arc<Queue>) -> (SyncSender<Snapshot>, JoinHandle<()>) {
    let (jobs, received) = sync_channel::<Snapshot>(1);
    let shared = Arc::clone(&queue);
    let mut write = log.snapshot_writer(move || shared.is_snapshot_abandoned());
    let run = move || {
        let end = EndOnExit(queue);
        for snapshot in received {
            end.0.snapshot_ended(write(&snapshot));
        }
    };
    let thread = std::thread::Builder::new().name("snapshots".to_owned()).spawn(run);
    (jobs, thread.expect("the system gives a thread"))
}

/// A snapshot, and who waits for it.
#[derive(Debug)]
struct Job {
    snapshot: Snapshot,
    tickets: Vec<Ticket>,
    /// After a full disk: not before that time, and the pause before it.
    retry: Option<(Instant, Duration)>,
}

/// The state of the writer's thread.
struct Writer<F> {
    log: BlockLog,
    queue: Arc<Queue>,
    on_event: F,
    jobs: SyncSender<Snapshot>,
    /// The snapshot that is being written.
    running: Option<Job>,
    /// The newest one that is to be written then.
    waiting: Option<Job>,
    /// Records that were staged since the last commit.
    uncommitted: Vec<Ticket>,
    /// When everything was last durable, with the mark.
    synced: Instant,
    is_log_full: bool,
    /// Why the last snapshot did not fit.
    snapshot_full: Option<StorageError>,
}

impl<F: Fn(LogEvent)> Writer<F> {
    fn new(log: BlockLog, queue: Arc<Queue>, on_event: F, jobs: SyncSender<Snapshot>) -> Self {
        Self {
            log,
            queue,
            on_event,
            jobs,
            running: None,
            waiting: None,
            uncommitted: Vec::new(),
            synced: Instant::now(),
            is_log_full: false,
            snapshot_full: None,
        }
    }

    fn run(&mut self) -> Result<(), StorageError> {
        loop {
            let Work { entries, snapshot, is_closing } = self.queue.take(self.patience());
            self.append_all(entries)?;
            if let Some(outcome) = snapshot {
                self.snapshot_ended(outcome)?;
            }
            self.start_snapshot();
            if self.synced.elapsed() >= SYNC_PERIOD && self.log.has_unsynced() {
                self.sync_all()?;
            }
            if is_closing {
                return self.finish();
            }
        }
    }

    /// How long the queue may stay empty before there is something to do.
    fn patience(&self) -> Duration {
        let now = Instant::now();
        let sync = if self.log.has_unsynced() { self.synced } else { now } + SYNC_PERIOD;
        let snapshot = self.waiting.as_ref().and_then(|job| job.retry).map(|(time, _)| time);
        let next = snapshot.filter(|_| self.running.is_none()).map_or(sync, |at| at.min(sync));
        next.saturating_duration_since(now)
    }

    fn append_all(&mut self, entries: impl IntoIterator<Item = Entry>) -> Result<(), StorageError> {
        for Entry { record, ticket } in entries {
            let (kind, block) = match record {
                Record::Own(block) => (kind::OWN, block),
                Record::Accepted(block) => (kind::ACCEPTED, block),
                Record::Snapshot { package, ledger, floor } => {
                    self.offer_snapshot(Snapshot { package, ledger, floor }, ticket);
                    continue;
                }
            };
            if self.log.staged_bytes() == 0 {
                self.persist(BlockLog::rotate_if_due)?;
            }
            self.log.stage_block(kind, &block);
            self.uncommitted.extend(ticket);
            if self.log.staged_bytes() >= MAX_BATCH_BYTES {
                self.persist(BlockLog::write)?;
            }
        }
        if self.uncommitted.is_empty() { self.persist(BlockLog::write) } else { self.commit() }
    }

    /// Makes everything durable that was staged, and says so.
    fn commit(&mut self) -> Result<(), StorageError> {
        self.persist(BlockLog::commit)?;
        for ticket in mem::take(&mut self.uncommitted) {
            (self.on_event)(LogEvent::Durable(ticket));
        }
        Ok(())
    }

    fn sync_all(&mut self) -> Result<(), StorageError> {
        self.commit()?;
        self.persist(BlockLog::sync_mark)?;
        self.synced = Instant::now();
        Ok(())
    }

    /// Does something with the log, again and again while the disk is full.
    fn persist(
        &mut self,
        mut attempt: impl FnMut(&mut BlockLog) -> Result<(), StorageError>,
    ) -> Result<(), StorageError> {
        let (mut pause, longest) = FULL_PAUSES;
        let mut is_closing = false;
        loop {
            match attempt(&mut self.log) {
                Err(error) if error.is_full() && !is_closing => {
                    if !mem::replace(&mut self.is_log_full, true) {
                        self.say_full(&error);
                    }
                    // To be closed, it tries once more and gives up.
                    is_closing = self.queue.pause(pause);
                    pause = longest.min(pause * 2);
                }
                Err(error) => return Err(error),
                Ok(()) => {
                    if mem::take(&mut self.is_log_full) {
                        self.say_recovered();
                    }
                    return Ok(());
                }
            }
        }
    }

    fn say_full(&self, error: &StorageError) {
        if let StorageError::Full { available_bytes, needed_bytes, .. } = *error {
            (self.on_event)(LogEvent::Full { available_bytes, needed_bytes });
        }
    }

    fn say_recovered(&self) {
        if !self.is_log_full && self.snapshot_full.is_none() {
            (self.on_event)(LogEvent::Recovered);
        }
    }

    // ----- snapshots -----

    /// A snapshot is to be written. It takes the place of one that waits: the newest is enough. If
    /// somebody waits for it and nobody for the one that is being written, that makes way.
    fn offer_snapshot(&mut self, snapshot: Snapshot, ticket: Option<Ticket>) {
        let replaced = self.waiting.take();
        let mut tickets = replaced.map_or_else(Vec::new, |job| job.tickets);
        tickets.extend(ticket);
        let is_unwanted = |running: &Job| running.tickets.is_empty() && !tickets.is_empty();
        if self.running.as_ref().is_some_and(is_unwanted) {
            self.queue.abandon_snapshot();
        }
        self.waiting = Some(Job { snapshot, tickets, retry: None });
    }

    /// Hands the snapshot that waits to the other thread, if that has nothing to do.
    fn start_snapshot(&mut self) {
        let is_due = |job: &mut Job| job.retry.is_none_or(|(time, _)| time <= Instant::now());
        if self.running.is_some() {
            return;
        }
        if let Some(job) = self.waiting.take_if(is_due) {
            self.queue.begin_snapshot();
            // It cannot be gone: a panic there ends in an error here first.
            let _ = self.jobs.send(job.snapshot.clone());
            self.running = Some(job);
        }
    }

    fn snapshot_ended(
        &mut self,
        outcome: Result<SnapshotEntry, StorageError>,
    ) -> Result<(), StorageError> {
        let Some(job) = self.running.take() else {
            return outcome.map(|_| ());
        };
        match outcome {
            Ok(entry) => {
                if self.snapshot_full.take().is_some() {
                    self.say_recovered();
                }
                self.persist(BlockLog::rotate_if_due)?;
                self.log.stage_snapshot(entry);
                self.uncommitted.extend(job.tickets);
                self.commit()?;
                self.persist(BlockLog::prune)
            }
            Err(StorageError::Abandoned) => {
                assert!(job.tickets.is_empty(), "a snapshot that is waited for is never abandoned");
                Ok(())
            }
            Err(error) if error.is_full() => {
                if self.snapshot_full.replace(error.clone()).is_none() {
                    self.say_full(&error);
                }
                let (first, longest) = FULL_PAUSES;
                let pause = job.retry.map_or(first, |(_, pause)| longest.min(pause * 2));
                let Job { mut snapshot, mut tickets, .. } = job;
                if let Some(newer) = self.waiting.take() {
                    tickets.extend(newer.tickets);
                    snapshot = newer.snapshot;
                }
                let retry = Some((Instant::now() + pause, pause));
                self.waiting = Some(Job { snapshot, tickets, retry });
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    // ----- end -----

    /// Nothing will be appended any more.
    fn finish(&mut self) -> Result<(), StorageError> {
        // One that waits for space had its chance.
        let mut given_up = self.waiting.take_if(|job| job.retry.is_some());
        while self.running.is_some() || self.waiting.is_some() {
            self.start_snapshot();
            let outcome = self.queue.take_snapshot();
            self.snapshot_ended(outcome)?;
            given_up = given_up.or_else(|| self.waiting.take_if(|job| job.retry.is_some()));
        }
        self.sync_all()?;
        match given_up {
            Some(job) if !job.tickets.is_empty() => {
                Err(self.snapshot_full.take().unwrap_or(StorageError::Stopped))
            }
            _ => Ok(()),
        }
    }

    /// Says why it stops.
    fn fail(&self, error: &StorageError) {
        self.queue.stop();
        self.log.distrust_disk(error);
        (self.on_event)(LogEvent::Failed(error.clone()));
    }
}
