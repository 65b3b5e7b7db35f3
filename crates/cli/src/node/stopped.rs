//! What the process of a node does once the node has stopped for good: it ends, with a code by
//! which a service manager knows whether to start it again.
//!
//! **Invariant**: a node whose state is not that of a quorum does not sign again by being started
//! again. It leaves a mark in its data folder, and refuses to start while that is there; an empty
//! data folder has none.

use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use qcn_node::defects::Defects;
use qcn_node::view::View;

/// Exit code of a node that failed, where another start may help.
const EXIT_FAILED: u8 = 1;

/// Exit code of a node that must not be started again as it is.
pub const EXIT_FOR_GOOD: u8 = 3;

/// The mark, in the data folder. It holds the reason.
const MARK_FILE: &str = "stopped-for-good";

/// The longest reason that is read from a mark, in bytes.
const MAX_REASON_BYTES: usize = 4_096;

/// How often it is looked at.
const LOOK_INTERVAL: Duration = Duration::from_millis(200);

/// A node that has stopped for good.
#[derive(Debug)]
pub struct Stopped {
    reason: String,
    for_good: bool,
}

/// Returns once the node has stopped for good, in any of its shards, which may come and go, or in a
/// part that a defect has ended. A full disk is no such thing.
pub async fn watch(views: impl Fn() -> Vec<View>, defects: Defects) -> Stopped {
    let mut interval = tokio::time::interval(LOOK_INTERVAL);
    loop {
        interval.tick().await;
        for status in views().iter().map(View::status) {
            if let Some(reason) = status.stopped {
                return Stopped { reason, for_good: status.stopped_for_good };
            }
        }
        if let Some(reason) = defects.first() {
            return Stopped { reason, for_good: false };
        }
    }
}

/// Why a node with this data folder must not be started, if it must not.
pub fn refusal(data: &Path) -> Option<String> {
    let mark = mark_file(data);
    let reason = match std::fs::read(&mark) {
        // Without a folder there is no mark: what is wrong with it is for the start to say.
        Err(error) if is_absence(error.kind()) => return None,
        Err(error) => error.to_string(),
        Ok(bytes) => {
            let bytes = &bytes[..bytes.len().min(MAX_REASON_BYTES)];
            crate::output::harmless(String::from_utf8_lossy(bytes).trim())
        }
    };
    Some(format!(
        "{}: this validator has stopped for good and is not started again: {reason}. Move the \
         data folder away, report what happened, and start it with an empty one",
        mark.display()
    ))
}

const fn is_absence(kind: io::ErrorKind) -> bool {
    matches!(kind, io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

impl Stopped {
    /// Says what comes now, and leaves the mark if the node must not be started again.
    pub fn note(&self, data: &Path) {
        if !self.for_good {
            tracing::error!("the node has stopped; starting it again may help");
            return;
        }
        tracing::error!("the node has stopped and must not be started again as it is");
        if let Err(error) = write_mark(data, &self.reason) {
            tracing::error!(%error, "{} cannot be written", mark_file(data).display());
        }
    }

    /// The code with which the process ends.
    pub fn exit_code(self) -> ExitCode {
        ExitCode::from(if self.for_good { EXIT_FOR_GOOD } else { EXIT_FAILED })
    }
}

fn mark_file(data: &Path) -> PathBuf {
    data.join(MARK_FILE)
}

fn write_mark(data: &Path, reason: &str) -> io::Result<()> {
    let mark = mark_file(data);
    std::fs::write(&mark, format!("{reason}\n"))?;
    std::fs::File::open(&mark)?.sync_all()?;
    std::fs::File::open(data)?.sync_all()
}

#[cfg(test)]
mod tests;
