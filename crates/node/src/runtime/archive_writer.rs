//! The thread that writes the archive.
//!
//! Its queue is bounded: if the disk cannot keep up, the core waits, and with it the node proposes
//! less. If the archive fails, the core does not wait: what it says is dropped until the archive
//! could be opened again, which is tried now and then for as long as the node runs.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use qcn_types::{Certificate, Evidence, Height, Slot, VerifiedBlock};

use super::core::timed;
use crate::api::Metrics;
use crate::archive::{Archive, ArchiveError, Executed};
use crate::defects::Defects;

/// The most entries that wait for the archive's thread.
const MAX_WAITING_ENTRIES: usize = 4_096;

/// Every so many heights old ones are removed.
const PRUNED_EVERY: u64 = 256;

/// In at most so many steps, which remove more heights than come in between.
const MAX_PRUNING_STEPS: usize = 32;

/// How long after a failure it is tried again.
const TRIED_AGAIN_AFTER: Duration = Duration::from_secs(5);

/// Something for the archive.
pub(crate) enum Entry {
    Block(VerifiedBlock),
    Executed(Box<Executed>),
    Certified(Arc<Certificate>),
    Skipped(Slot),
    Evidence(Evidence),
}

/// The archive's thread.
pub(crate) struct ArchiveWriter {
    entries: SyncSender<Entry>,
    thread: JoinHandle<()>,
}

impl ArchiveWriter {
    pub(crate) fn spawn(
        archive: Archive,
        metrics: Metrics,
        defects: Defects,
    ) -> std::io::Result<Self> {
        let (entries, waiting) = sync_channel(MAX_WAITING_ENTRIES);
        let thread = std::thread::Builder::new().name("archive".to_owned()).spawn(move || {
            defects.run("the archive", || write_entries(archive, metrics, &waiting));
        })?;
        Ok(Self { entries, thread })
    }

    pub(crate) fn put(&self, entry: Entry) {
        // The thread ends before its sender only by a defect, which it has reported.
        let _ = self.entries.send(entry);
    }

    /// Writes what waits, and ends.
    pub(crate) fn close(self) {
        drop(self.entries);
        if self.thread.join().is_err() {
            tracing::error!(
                "the archive's thread panicked; what it missed since the newest snapshot comes \
                 back at restart"
            );
        }
    }
}

fn write_entries(archive: Archive, metrics: Metrics, waiting: &Receiver<Entry>) {
    let mut scribe = Scribe { archive, metrics, failure: None, patience: TRIED_AGAIN_AFTER };
    for entry in waiting {
        scribe.take(&entry);
    }
}

/// Writes entries, and goes on after a failure.
struct Scribe {
    archive: Archive,
    metrics: Metrics,
    failure: Option<Failure>,
    /// Between a failure and the next attempt.
    patience: Duration,
}

/// The archive cannot be written.
#[derive(Debug)]
struct Failure {
    since: Instant,
    /// The lowest and the highest height that clients miss.
    missed: Option<(Height, Height)>,
}

impl Scribe {
    /// The archive is a convenience: a failure is reported once, and consensus goes on.
    fn take(&mut self, entry: &Entry) {
        let outcome = match &mut self.failure {
            Some(failure) if failure.since.elapsed() < self.patience => {
                failure.miss(entry);
                return;
            }
            Some(_) => self.archive.reopen().and_then(|()| self.write(entry)),
            None => self.write(entry),
        };
        match outcome {
            Ok(()) => {
                if let Some(Failure { missed, .. }) = self.failure.take() {
                    report_resumed(missed);
                }
            }
            Err(error @ ArchiveError::OutcomesDoNotFit { .. }) => {
                tracing::warn!(%error, "a checkpoint was not archived: history has a gap");
            }
            Err(error) => self.fail(entry, &error),
        }
    }

    fn write(&self, entry: &Entry) -> Result<(), ArchiveError> {
        let archive = &self.archive;
        match entry {
            Entry::Block(block) => archive.add_block(block),
            Entry::Executed(executed) => {
                timed(&self.metrics.archive_seconds, || archive.add_checkpoint(executed))?;
                if executed.header.height.0.is_multiple_of(PRUNED_EVERY) {
                    prune(archive)?;
                }
                Ok(())
            }
            Entry::Certified(certificate) => archive.add_certificate(certificate),
            Entry::Skipped(slot) => archive.add_decision(*slot, true),
            Entry::Evidence(evidence) => archive.add_evidence(evidence),
        }
    }

    fn fail(&mut self, entry: &Entry, error: &ArchiveError) {
        let since = Instant::now();
        match &mut self.failure {
            Some(failure) => failure.since = since,
            None => {
                tracing::error!(
                    %error,
                    "the archive could not be written; clients miss history until it can"
                );
                self.failure = Some(Failure { since, missed: None });
            }
        }
        if let Some(failure) = &mut self.failure {
            failure.miss(entry);
        }
    }
}

impl Failure {
    fn miss(&mut self, entry: &Entry) {
        if let Entry::Executed(executed) = entry {
            let height = executed.header.height;
            let (lowest, _) = self.missed.unwrap_or((height, height));
            self.missed = Some((lowest, height));
        }
    }
}

fn prune(archive: &Archive) -> Result<(), ArchiveError> {
    for _ in 0..MAX_PRUNING_STEPS {
        if !archive.prune()? {
            break;
        }
    }
    Ok(())
}

fn report_resumed(missed: Option<(Height, Height)>) {
    match missed {
        Some((from, to)) => {
            tracing::warn!(%from, %to, "the archive is written again; it misses these heights");
        }
        None => tracing::info!("the archive is written again; it misses no checkpoint"),
    }
}

#[cfg(test)]
mod tests;
