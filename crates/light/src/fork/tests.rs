//! Forks by more than a third of the weight: who is guilty, and who never is.

use proptest::prelude::*;
use qcn_types::{AuthorSet, CommitteeKeys, ValidatorIndex};

use super::{ForkError, guilty_of_fork, preferred};
use crate::certificate::CertificateError;
use crate::testing::{attestation_proof, author, certificate, checkpoint, keys};

fn set(authors: &[u16]) -> AuthorSet {
    authors.iter().map(|index| author(*index)).collect()
}

/// The validators that attested to both sides of a fork are guilty, and only they.
///
/// Given four equal validators, of which 1 and 2 attest to two checkpoints of height 6,
/// 0 to the first and 3 to the second.
/// When somebody has both certificates, then 1 and 2 are guilty.
#[test]
fn those_on_both_sides_are_guilty() {
    let keys = keys(&[1; 4]);
    let one = certificate(keys.committee(), &[0, 1, 2], checkpoint(6, "one"));
    let other = certificate(keys.committee(), &[1, 2, 3], checkpoint(6, "other"));
    assert_eq!(guilty_of_fork(&one, &other, &keys), Ok(set(&[1, 2])));
    assert_eq!(guilty_of_fork(&other, &one, &keys), Ok(set(&[1, 2])));
}

/// Two certificates accuse nobody unless both are valid and they conflict.
#[test]
fn without_a_conflict_nobody_is_guilty() {
    let keys = keys(&[1; 4]);
    let one = certificate(keys.committee(), &[0, 1, 2], checkpoint(6, "one"));
    let same = certificate(keys.committee(), &[1, 2, 3], checkpoint(6, "one"));
    let next = certificate(keys.committee(), &[1, 2, 3], checkpoint(7, "other"));
    let weak = certificate(keys.committee(), &[1, 2], checkpoint(6, "other"));
    assert_eq!(guilty_of_fork(&one, &same, &keys), Err(ForkError::NoConflict));
    assert_eq!(guilty_of_fork(&one, &next, &keys), Err(ForkError::NoConflict));
    let no_quorum = CertificateError::NoQuorum { weight: 2, quorum: 3 };
    assert_eq!(guilty_of_fork(&one, &weak, &keys), Err(ForkError::Invalid(no_quorum)));
    assert_eq!(guilty_of_fork(&weak, &one, &keys), Err(ForkError::Invalid(no_quorum)));
}

/// An attestation cannot be moved to the other side of a fork to make its author guilty.
#[test]
fn an_honest_validator_cannot_be_put_on_both_sides() {
    let keys = keys(&[1; 4]);
    let one = certificate(keys.committee(), &[0, 1, 2], checkpoint(6, "one"));
    let mut other = certificate(keys.committee(), &[1, 2, 3], checkpoint(6, "other"));
    let mut proofs = other.attestations.into_inner();
    proofs[2] = attestation_proof(keys.committee(), author(0), &checkpoint(6, "one"));
    proofs.rotate_right(1);
    other.attestations = qcn_types::Bounded::truncated(proofs);
    let refused = CertificateError::NotAttested { author: author(0) };
    assert_eq!(guilty_of_fork(&one, &other, &keys), Err(ForkError::Invalid(refused)));
}

/// Recovery follows the heavier certificate, then the lower digest, whoever asks.
#[test]
fn the_heavier_certificate_is_preferred_then_the_lower_digest() {
    let keys = keys(&[2, 1, 1, 1, 1]);
    let committee = keys.committee();
    let light = certificate(committee, &[0, 1, 2, 3], checkpoint(6, "one"));
    let heavy = certificate(committee, &[0, 1, 2, 3, 4], checkpoint(6, "other"));
    assert_eq!(preferred(&light, &heavy, committee), &heavy);
    assert_eq!(preferred(&heavy, &light, committee), &heavy);

    let rival = certificate(committee, &[0, 1, 2, 4], checkpoint(6, "rival"));
    let lower = if light.checkpoint.digest() < rival.checkpoint.digest() { &light } else { &rival };
    assert_eq!(preferred(&light, &rival, committee), lower);
    assert_eq!(preferred(&rival, &light, committee), lower);
}

/// The members of a side: all faulty ones and the honest ones of that side.
fn side(keys: &CommitteeKeys, faulty: &[bool], honest_side: &[bool], which: bool) -> Vec<u16> {
    let joins = |author: &ValidatorIndex| {
        faulty[author.position()] || honest_side[author.position()] == which
    };
    keys.committee().indices().filter(joins).map(|author| author.0).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Whatever the weights and whoever is faulty: when two certificates conflict, the guilty
    /// weigh at least a third, and every honest validator, each on one side, is free.
    #[test]
    fn the_guilty_weigh_a_third_and_no_honest_key_is_among_them(
        weights in prop::collection::vec(1_u64..9, 4..=7),
        faulty in prop::collection::vec(any::<bool>(), 7),
        honest_side in prop::collection::vec(any::<bool>(), 7),
    ) {
        let keys = keys(&weights);
        let committee = keys.committee();
        let sides = [true, false].map(|which| side(&keys, &faulty, &honest_side, which));
        let heavy_enough = sides.iter().all(|authors| {
            committee.weight_of(&set(authors)) >= committee.quorum_weight()
        });
        let one = certificate(committee, &sides[0], checkpoint(6, "one"));
        let other = certificate(committee, &sides[1], checkpoint(6, "other"));
        let verdict = guilty_of_fork(&one, &other, &keys);
        prop_assert_eq!(verdict.is_ok(), heavy_enough);
        if let Ok(guilty) = verdict {
            prop_assert!(committee.weight_of(&guilty) > committee.fault_weight());
            prop_assert!(3 * committee.weight_of(&guilty) >= committee.total_weight());
            prop_assert!(guilty.iter().all(|author| faulty[author.position()]));
        }
    }
}
