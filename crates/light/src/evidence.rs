//! The judgement of evidence, which stands beside its type: blocks of the beacon report it.

pub use qcn_types::{EvidenceError, verify_evidence};

#[cfg(test)]
mod tests;
