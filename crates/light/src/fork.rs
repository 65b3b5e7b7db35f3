//! Forks: what two conflicting certificates prove, and which of them recovery follows
//! (DESIGN section 5.6).

use qcn_types::{AuthorSet, Certificate, Committee, CommitteeKeys};

use crate::certificate::{CertificateError, certificate_weight, verify_certificate};

/// Why two certificates accuse nobody.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ForkError {
    /// One of them proves nothing by itself.
    #[error("a certificate is invalid: {0}")]
    Invalid(#[from] CertificateError),
    /// They certify the same checkpoint, or checkpoints of different heights.
    #[error("the certificates do not conflict")]
    NoConflict,
}

/// The keys that signed both of two conflicting certificates of one height.
///
/// Each certificate carries at least Q = W - f, so the keys in both carry at least
/// 2Q - W = W - 2f > f. An honest validator attests to one checkpoint per height, so it is
/// in one of the certificates at most.
///
/// # Errors
/// [`ForkError`] if a certificate is invalid or there is no conflict.
pub fn guilty_of_fork(
    one: &Certificate,
    other: &Certificate,
    keys: &CommitteeKeys,
) -> Result<AuthorSet, ForkError> {
    let same_height = one.checkpoint.height == other.checkpoint.height;
    if !same_height || one.checkpoint.digest() == other.checkpoint.digest() {
        return Err(ForkError::NoConflict);
    }
    verify_certificate(one, keys)?;
    verify_certificate(other, keys)?;
    Ok(authors(one).intersection(&authors(other)))
}

/// The certificate that recovery follows: the heavier, then that of the lower digest.
///
/// Everybody who sees both chooses the same one, whatever their order.
#[must_use]
pub fn preferred<'a>(
    one: &'a Certificate,
    other: &'a Certificate,
    committee: &Committee,
) -> &'a Certificate {
    let weight = |certificate| certificate_weight(certificate, committee);
    let heavier = weight(one).cmp(&weight(other));
    let lower = other.checkpoint.digest().cmp(&one.checkpoint.digest());
    if heavier.then(lower).is_ge() { one } else { other }
}

fn authors(certificate: &Certificate) -> AuthorSet {
    certificate.attestations.iter().map(|proof| proof.author).collect()
}

#[cfg(test)]
mod tests;
