//! Certificates, whose rules stand beside their type: blocks carry them from shard to shard.

pub use qcn_types::{CertificateError, certificate_weight, verify_certificate};

#[cfg(test)]
mod tests;
