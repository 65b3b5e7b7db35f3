//! The running hash over everything that happens in a run.
//!
//! Two runs of one seed have the same hash on every machine; if they differ, something read a
//! clock, an address or the order of a hash map. Signature bytes are left out on purpose:
//! Falcon's sampler works in floating point.

use qcn_crypto::Digest;

const RECORD_BYTES: usize = 32;
const BUFFER_BYTES: usize = RECORD_BYTES * 2_048;

/// What a record is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub(crate) enum Kind {
    Deliver = 1,
    Start,
    Stop,
    Fault,
    Submit,
    Proposed,
    Accepted,
    Executed,
    Certified,
    Skipped,
    Proven,
    Isolated,
    Rejected,
    Suspicion,
    Refused,
    Synchronised,
    Resumed,
    Diverged,
    Outgoing,
    Relay,
    Announce,
    Closed,
    Opened,
}

/// The hash and its buffer of small fixed records.
pub(crate) struct Trace {
    hasher: blake3::Hasher,
    buffer: Vec<u8>,
    records: u64,
}

impl Trace {
    pub(crate) fn new(seed: u64) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(b"qcn simulation trace 1");
        hasher.update(&seed.to_le_bytes());
        Self { hasher, buffer: Vec::with_capacity(BUFFER_BYTES), records: 0 }
    }

    /// Adds a record: when, what, at whom, and up to 18 bytes more.
    pub(crate) fn record(
        &mut self,
        now: u64,
        kind: Kind,
        process: u16,
        other: u16,
        detail: [u64; 2],
    ) {
        let mut record = [0; RECORD_BYTES];
        record[..8].copy_from_slice(&now.to_le_bytes());
        record[8] = kind as u8;
        record[10..12].copy_from_slice(&process.to_le_bytes());
        record[12..14].copy_from_slice(&other.to_le_bytes());
        record[16..24].copy_from_slice(&detail[0].to_le_bytes());
        record[24..].copy_from_slice(&detail[1].to_le_bytes());
        self.buffer.extend_from_slice(&record);
        self.records += 1;
        if self.buffer.len() >= BUFFER_BYTES {
            self.hasher.update(&self.buffer);
            self.buffer.clear();
        }
    }

    /// The hash so far.
    pub(crate) fn hash(&self) -> Digest {
        let mut hasher = self.hasher.clone();
        hasher.update(&self.buffer);
        Digest(*hasher.finalize().as_bytes())
    }

    /// How many records were made.
    #[cfg(test)]
    pub(crate) const fn records(&self) -> u64 {
        self.records
    }
}

impl std::fmt::Debug for Trace {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Trace({} records)", self.records)
    }
}

/// The first 16 bytes of a digest as the detail of a record.
pub(crate) fn short(digest: &Digest) -> [u64; 2] {
    let word = |at: usize| {
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&digest.as_bytes()[at..at + 8]);
        u64::from_le_bytes(bytes)
    };
    [word(0), word(8)]
}

#[cfg(test)]
mod tests;
