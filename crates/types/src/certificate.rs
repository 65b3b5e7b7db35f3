//! Certificates: attestations of a quorum for one checkpoint (DESIGN sections 5.1 and 6).

use crate::{
    Attestation, AttestationProof, BlockHeader, Certificate, Committee, CommitteeKeys,
    ValidatorIndex, attestations_digest,
};
use qcn_crypto::{Domain, hash_pair};

/// Why a certificate proves nothing. Each is the fault of whoever made it up.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum CertificateError {
    /// The checkpoint is of another shard or epoch than the keys.
    #[error("the checkpoint is of another shard or epoch than the committee")]
    ForeignCheckpoint,
    /// An author is no member.
    #[error("validator {author} is no member of the committee")]
    UnknownAuthor {
        /// The claimed index.
        author: ValidatorIndex,
    },
    /// Authors do not rise strictly, so one may be counted twice.
    #[error("the authors do not rise strictly")]
    AuthorsOutOfOrder,
    /// A block whose attestations do not name the checkpoint.
    #[error("validator {author} attests to something else")]
    NotAttested {
        /// Whose block.
        author: ValidatorIndex,
    },
    /// The authors carry less than Q.
    #[error("the authors carry weight {weight}, a quorum is {quorum}")]
    NoQuorum {
        /// What they carry.
        weight: u64,
        /// What they would have to carry.
        quorum: u64,
    },
    /// A signature is not its author's.
    #[error("the signature is not that of validator {author}")]
    WrongSignature {
        /// The claimed author.
        author: ValidatorIndex,
    },
}

/// Checks that members of weight Q or more have signed the certificate's checkpoint.
///
/// The signature of a block covers H(dag part) and H(attestations), so an attestation is
/// checked with two hashes and one signature, without the block.
///
/// # Errors
/// The first defect; the cheap checks come before any signature.
pub fn verify_certificate(
    certificate: &Certificate,
    keys: &CommitteeKeys,
) -> Result<(), CertificateError> {
    let committee = keys.committee();
    let checkpoint = &certificate.checkpoint;
    if checkpoint.shard != committee.shard() || checkpoint.epoch != committee.epoch() {
        return Err(CertificateError::ForeignCheckpoint);
    }
    let attested = Attestation { height: checkpoint.height, checkpoint: checkpoint.digest() };
    authors_rise(certificate)?;
    for proof in &certificate.attestations {
        if !committee.contains(proof.author) {
            return Err(CertificateError::UnknownAuthor { author: proof.author });
        }
        if !proof.attestations.contains(&attested) {
            return Err(CertificateError::NotAttested { author: proof.author });
        }
    }
    let weight = certificate_weight(certificate, committee);
    let quorum = committee.quorum_weight();
    if weight < quorum {
        return Err(CertificateError::NoQuorum { weight, quorum });
    }
    for proof in &certificate.attestations {
        if !is_signed_by_its_author(proof, keys) {
            return Err(CertificateError::WrongSignature { author: proof.author });
        }
    }
    Ok(())
}

/// The weight of the authors that a certificate names, each counted once.
#[must_use]
pub fn certificate_weight(certificate: &Certificate, committee: &Committee) -> u64 {
    committee.weight_of(&certificate.attestations.iter().map(|proof| proof.author).collect())
}

fn authors_rise(certificate: &Certificate) -> Result<(), CertificateError> {
    let proofs = &certificate.attestations;
    if proofs.is_sorted_by(|before, after| before.author < after.author) {
        Ok(())
    } else {
        Err(CertificateError::AuthorsOutOfOrder)
    }
}

fn is_signed_by_its_author(proof: &AttestationProof, keys: &CommitteeKeys) -> bool {
    let digest = hash_pair(Domain::Block, &proof.header, &attestations_digest(&proof.attestations));
    let context = BlockHeader::signing_context(keys.chain());
    keys.key(proof.author)
        .is_some_and(|key| key.verify(&context, digest.as_bytes(), &proof.signature).is_ok())
}
