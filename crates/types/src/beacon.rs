//! What validators report to the beacon (DESIGN section 7).
//!
//! A report is part of its author's block: the author's signature stands for it. Whatever can be
//! checked without the beacon's state is checked with the block's signatures, by everybody at
//! once; a block with a report that fails is refused. The rest is up to the beacon's ledger, where
//! a report that does not fit changes nothing.

use borsh::{BorshDeserialize, BorshSerialize};
use qcn_crypto::{ChainId, Digest};

use crate::registration::check_weight;
use crate::{
    BEACON, Certificate, CertificateError, CommitteeKeys, Epoch, Evidence, EvidenceError,
    KeyRotation, Registration, RegistrationError, Resharding, ShardId, Weight, verify_certificate,
    verify_evidence,
};

/// The most reports of a block.
pub const MAX_BLOCK_REPORTS: usize = 64;

/// What a block of the beacon tells it.
#[derive(Clone, PartialEq, Eq, Debug, BorshSerialize, BorshDeserialize)]
#[borsh(use_discriminant = true)]
#[repr(u8)]
#[expect(clippy::large_enum_variant, reason = "by far the most reports are checkpoints")]
pub enum Report {
    /// A certified checkpoint of a shard.
    Checkpoint(Certificate) = 0,
    /// The author's next value of its hash chain, the one whose hash is the last known.
    Reveal(Digest) = 1,
    /// Somebody wants to be a validator.
    Registration(Box<Registration>) = 2,
    /// The author is for admitting somebody. A quorum for one weight admits it.
    Approval {
        /// [`Registration::digest`].
        registration: Digest,
        /// With which weight.
        weight: Weight,
    } = 3,
    /// The author is for changing a validator's weight.
    Reweigh {
        /// Whose.
        number: u32,
        /// What it should have; none removes it.
        weight: Weight,
    } = 4,
    /// A validator's keys are replaced.
    Rotation(Box<KeyRotation>) = 5,
    /// The author is for changing the layout.
    Reshard(Resharding) = 6,
    /// A member of a committee misbehaved. The evidence is judged by that committee's keys; whether
    /// anything follows from it, by the beacon's ledger.
    Offence(Box<ReportedOffence>) = 7,
    /// The author goes on with a new hash chain in the next epoch, of which this is the end.
    Anchor(Digest) = 8,
    /// The author leaves at the end of the epoch.
    Leave = 9,
}

/// Evidence against a member of a committee.
#[derive(Clone, PartialEq, Eq, Debug, BorshSerialize, BorshDeserialize)]
pub struct ReportedOffence {
    /// Which committee's.
    pub shard: ShardId,
    /// In which epoch.
    pub epoch: Epoch,
    /// What it did.
    pub evidence: Evidence,
}

/// Why a report shows nothing. Each is the fault of whoever made it up.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ReportError {
    /// Only the beacon takes reports.
    #[error("only the beacon takes reports")]
    NotTheBeacon,
    /// There is no committee to check its certificate or its evidence against.
    #[error("its shard and epoch have no known committee")]
    UnknownCommittee,
    /// The certificate proves nothing.
    #[error("its certificate proves nothing: {0}")]
    Certificate(#[from] CertificateError),
    /// The evidence proves nothing.
    #[error("its evidence proves nothing: {0}")]
    Evidence(#[from] EvidenceError),
    /// The registration is none.
    #[error("the registration is none: {0}")]
    Registration(RegistrationError),
    /// The rotation is none.
    #[error("the rotation is none: {0}")]
    Rotation(RegistrationError),
    /// A weight that nobody can have.
    #[error("no validator can be given what is voted for: {0}")]
    Vote(RegistrationError),
}

impl Report {
    /// Checks what needs nothing but the report and the chain: all but certificates and evidence.
    ///
    /// # Errors
    /// The first defect.
    pub fn check(&self, chain: ChainId) -> Result<(), ReportError> {
        match self {
            Self::Registration(registration) => {
                registration.check(chain).map_err(ReportError::Registration)
            }
            Self::Rotation(rotation) => rotation.check(chain).map_err(ReportError::Rotation),
            Self::Approval { weight, .. } => check_weight(*weight).map_err(ReportError::Vote),
            Self::Reweigh { weight, .. } if *weight != Weight(0) => {
                check_weight(*weight).map_err(ReportError::Vote)
            }
            Self::Checkpoint(_)
            | Self::Reveal(_)
            | Self::Reweigh { .. }
            | Self::Reshard(_)
            | Self::Offence(_)
            | Self::Anchor(_)
            | Self::Leave => Ok(()),
        }
    }
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
            Report::Offence(offence) => {
                let committee = self.committee_in(offence.shard, offence.epoch);
                verify_evidence(
                    &offence.evidence,
                    committee.ok_or(ReportError::UnknownCommittee)?,
                )?;
                Ok(())
            }
            report => report.check(self.chain()),
        }
    }

    /// The committee of a shard in an epoch: this one, or one that is known to it.
    fn committee_in(&self, shard: ShardId, epoch: Epoch) -> Option<&Self> {
        let is_own = (shard, epoch) == (self.committee().shard(), self.committee().epoch());
        if is_own { Some(self) } else { self.source(shard, epoch) }
    }
}

#[cfg(test)]
mod tests;
