//! Certificates at the border of a quorum, and every way to make one up.

use qcn_crypto::{ChainId, Digest};
use qcn_types::{Bounded, Certificate, CommitteeKeys, Epoch, ShardId, decode, encode};

use super::{CertificateError, verify_certificate};
use crate::testing::{
    CHAIN, EPOCH, SHARD, attestation_proof, author, bit_flips, certificate, checkpoint, committee,
    committee_at, digest, keys, sign,
};

/// Weights 3, 3, 2, 1, 1: W = 10, f = 3, Q = 7.
const WEIGHTS: [u64; 5] = [3, 3, 2, 1, 1];

/// A certificate needs exactly Q, by weight.
///
/// Given weights 3, 3, 2, 1, 1, so that Q = 7.
/// When members of weight 6, 7 or 10 attest,
/// then only 7 and 10 certify.
#[test]
fn a_certificate_needs_exactly_a_quorum_of_weight() {
    let keys = keys(&WEIGHTS);
    let table: [(&[u16], u64); 7] = [
        (&[0, 1, 3], 7),
        (&[0, 2, 3, 4], 7),
        (&[0, 1, 2, 3, 4], 10),
        (&[0, 1], 6),
        (&[0, 2, 3], 6),
        (&[2, 3, 4], 4),
        (&[], 0),
    ];
    for (authors, weight) in table {
        let certificate = certificate(keys.committee(), authors, checkpoint(4, "state"));
        let expected = if weight >= 7 {
            Ok(())
        } else {
            Err(CertificateError::NoQuorum { weight, quorum: 7 })
        };
        assert_eq!(verify_certificate(&certificate, &keys), expected, "{authors:?}");
    }
}

/// Nobody counts twice, and nobody from outside counts.
#[test]
fn authors_count_once_and_must_be_members() {
    let keys = keys(&WEIGHTS);
    let genuine = certificate(keys.committee(), &[0, 2, 3], checkpoint(4, "state"));
    let proof = |index: usize| genuine.attestations[index].clone();
    let with = |proofs: Vec<_>| Certificate {
        attestations: Bounded::truncated(proofs),
        ..genuine.clone()
    };

    let doubled = with(vec![proof(0), proof(0), proof(1), proof(2)]);
    assert_eq!(verify_certificate(&doubled, &keys), Err(CertificateError::AuthorsOutOfOrder));
    let falling = with(vec![proof(1), proof(0), proof(2)]);
    assert_eq!(verify_certificate(&falling, &keys), Err(CertificateError::AuthorsOutOfOrder));

    let mut renamed = proof(0);
    renamed.author = author(1);
    let borrowed = with(vec![proof(0), renamed, proof(1)]);
    let wrong = CertificateError::WrongSignature { author: author(1) };
    assert_eq!(verify_certificate(&borrowed, &keys), Err(wrong));

    let mut stranger = proof(0);
    stranger.author = author(5);
    let foreign = with(vec![proof(0), proof(1), proof(2), stranger]);
    let unknown = CertificateError::UnknownAuthor { author: author(5) };
    assert_eq!(verify_certificate(&foreign, &keys), Err(unknown));
}

/// A certificate serves one chain, shard and epoch.
///
/// Given a genuine certificate of a committee.
/// When it is shown to one with the same keys on another chain, shard or epoch,
/// then it is refused.
#[test]
fn a_certificate_is_bound_to_chain_shard_and_epoch() {
    let genuine = certificate(&committee(&WEIGHTS), &[0, 1, 2], checkpoint(4, "state"));
    let on = |chain, shard, epoch| {
        let committee = committee_at(shard, epoch, &WEIGHTS);
        verify_certificate(&genuine, &CommitteeKeys::decode(chain, committee).expect("good keys"))
    };
    assert_eq!(on(CHAIN, SHARD, EPOCH), Ok(()));
    assert_eq!(on(CHAIN, ShardId(4), EPOCH), Err(CertificateError::ForeignCheckpoint));
    assert_eq!(on(CHAIN, SHARD, Epoch(6)), Err(CertificateError::ForeignCheckpoint));
    let wrong = CertificateError::WrongSignature { author: author(0) };
    assert_eq!(on(ChainId(Digest([8; 32])), SHARD, EPOCH), Err(wrong));
}

/// Attestations to something else do not count, however many.
#[test]
fn the_signed_list_must_name_height_and_checkpoint() {
    let keys = keys(&WEIGHTS);
    let genuine = certificate(keys.committee(), &[0, 1, 2], checkpoint(4, "state"));
    let not_attested = Err(CertificateError::NotAttested { author: author(0) });

    let mut other_state = genuine.clone();
    other_state.checkpoint.state_root = digest("another state");
    assert_eq!(verify_certificate(&other_state, &keys), not_attested);

    // The height before is in every list, with another checkpoint.
    let mut other_height = genuine.clone();
    other_height.checkpoint.height.0 = 3;
    assert_eq!(verify_certificate(&other_height, &keys), not_attested);

    let mut one_dissents = genuine;
    let mut proofs = one_dissents.attestations.into_inner();
    proofs[1] = attestation_proof(keys.committee(), author(1), &checkpoint(4, "another"));
    one_dissents.attestations = Bounded::truncated(proofs);
    let dissent = Err(CertificateError::NotAttested { author: author(1) });
    assert_eq!(verify_certificate(&one_dissents, &keys), dissent);
}

/// A list that its author did not sign is refused, even if a block with it exists elsewhere.
#[test]
fn a_list_under_another_blocks_signature_is_refused() {
    let keys = keys(&WEIGHTS);
    let mut forged = certificate(keys.committee(), &[0, 1, 2], checkpoint(4, "state"));
    let mut proofs = forged.attestations.into_inner();
    proofs[2].signature = sign(author(2), CHAIN, &digest("some other block"));
    forged.attestations = Bounded::truncated(proofs);
    let wrong = CertificateError::WrongSignature { author: author(2) };
    assert_eq!(verify_certificate(&forged, &keys), Err(wrong));
}

/// No bit of a certificate can be changed.
///
/// Given a certificate of one validator (Q = 1, so nothing in it is superfluous).
/// When any bit is flipped, then it does not decode or does not verify.
#[test]
fn every_flipped_bit_is_refused() {
    let keys = keys(&[1]);
    let genuine = certificate(keys.committee(), &[0], checkpoint(4, "state"));
    assert_eq!(verify_certificate(&genuine, &keys), Ok(()));
    for flipped in bit_flips(&encode(&genuine)) {
        let Ok(other) = decode::<Certificate>(&flipped) else { continue };
        assert!(verify_certificate(&other, &keys).is_err(), "{other:?}");
    }
}
