//! What opening a store found, for the operator's log.

use std::fmt;
use std::time::Duration;

use qcn_types::{Height, Round};

/// What was found, discarded and repaired.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct OpenReport {
    /// How many segments of the log there are.
    pub segments: usize,
    /// How many intact records the log holds.
    pub records: u64,
    /// How many of them are blocks above the snapshot's floor.
    pub blocks: u64,
    /// The snapshot that the state comes from, and its floor.
    pub snapshot: Option<(Height, Round)>,
    /// How many bytes of a torn tail, never acknowledged, were cut off.
    pub torn_bytes: u64,
    /// Why something that was durable may be missing: the validator asks the committee before it
    /// signs. Empty if nothing is.
    pub suspicions: Vec<String>,
    /// What else was discarded or repaired.
    pub repairs: Vec<String>,
    /// How long it took.
    pub took: Duration,
}

impl fmt::Display for OpenReport {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { segments, records, blocks, .. } = self;
        write!(formatter, "{blocks} blocks of {records} records in {segments} segments")?;
        match self.snapshot {
            Some((height, floor)) => {
                write!(formatter, " above the snapshot of height {height} (floor {floor})")?;
            }
            None => write!(formatter, ", no snapshot")?,
        }
        write!(formatter, ", read in {} ms", self.took.as_millis())?;
        if self.torn_bytes > 0 {
            let bytes = self.torn_bytes;
            write!(formatter, "; cut off a torn tail of {bytes} bytes, never acknowledged")?;
        }
        for repair in &self.repairs {
            write!(formatter, "; {repair}")?;
        }
        for suspicion in &self.suspicions {
            write!(formatter, "; SUSPECT: {suspicion}")?;
        }
        Ok(())
    }
}
