//! What validators report to the beacon (DESIGN section 7).

use borsh::{BorshDeserialize, BorshSerialize};

use crate::{BEACON, Certificate, CertificateError, CommitteeKeys, verify_certificate};

/// The most reports of a block.
pub const MAX_BLOCK_REPORTS: usize = 64;

/// What a block of the beacon tells it.
#[derive(Clone, PartialEq, Eq, Debug, BorshSerialize, BorshDeserialize)]
#[borsh(use_discriminant = true)]
#[repr(u8)]
pub enum Report {
    /// A certified checkpoint of a shard.
    Checkpoint(Certificate) = 0,
}

/// Why a report shows nothing. Each is the fault of whoever made it up.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ReportError {
    /// Only the beacon takes reports.
    #[error("only the beacon takes reports")]
    NotTheBeacon,
    /// There is no committee to check its certificate against.
    #[error("its shard and epoch have no known committee")]
    UnknownCommittee,
    /// The certificate proves nothing.
    #[error("its certificate proves nothing: {0}")]
    Certificate(#[from] CertificateError),
}

impl CommitteeKeys {
    /// Checks what can be checked of a report without the beacon's state.
    ///
    /// # Errors
    /// The first defect.
    pub fn check_report(&self, report: &Report) -> Result<(), ReportError> {
        if self.committee().shard() != BEACON {
            return Err(ReportError::NotTheBeacon);
        }
        match report {
            Report::Checkpoint(certificate) => {
                let checkpoint = &certificate.checkpoint;
                let source = self.source(checkpoint.shard, checkpoint.epoch);
                let source = source.ok_or(ReportError::UnknownCommittee)?;
                Ok(verify_certificate(certificate, source)?)
            }
        }
    }
}
