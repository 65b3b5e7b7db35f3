use std::sync::Arc;

use qcn_crypto::{Scheme, SigningKey};

use super::*;
use crate::testing::{CHAIN, bare_body, digest, keys_at, sign, signed};
use crate::{
    Applicant, Attestation, AttestationProof, Bounded, Checkpoint, Committee, Height, MAX_MEMBERS,
    NewKeys, ValidatorIndex, VerifyError, decode, encode,
};

const SHARD: ShardId = ShardId(3);
const EPOCH: Epoch = Epoch(2);

/// The beacon's keys, to which the committee of one shard is known.
fn beacon() -> CommitteeKeys {
    let source = keys_at(CHAIN, SHARD, EPOCH);
    keys_at(CHAIN, BEACON, Epoch(0)).with_sources([source])
}

fn certificate(shard: ShardId, epoch: Epoch, authors: u16) -> Certificate {
    let checkpoint = Checkpoint { shard, epoch, height: Height(5), ..Checkpoint::default() };
    let attestation = Attestation { height: Height(5), checkpoint: checkpoint.digest() };
    let proof = |author: u16| {
        let mut body = bare_body();
        body.author = ValidatorIndex(author);
        body.attestations = Bounded::truncated(vec![attestation]);
        AttestationProof {
            author: body.author,
            header: body.header().digest(),
            signature: sign(body.author, CHAIN, &body.digest()),
            attestations: body.attestations,
        }
    };
    Certificate { checkpoint, attestations: Bounded::truncated((0..authors).map(proof).collect()) }
}

fn key(seed: u8) -> SigningKey {
    SigningKey::from_seed(Scheme::Falcon512, &[seed; 32]).unwrap()
}

fn registration() -> Registration {
    let (consensus, transport) = (&key(61), &key(62));
    let (recovery, anchor) = (None, digest("anchor"));
    let applicant = Applicant {
        name: "v",
        consensus,
        transport,
        recovery,
        weight: Weight(1),
        anchor,
        address: None,
    };
    Registration::sign(CHAIN, &applicant).unwrap()
}

/// Two blocks of the first member of a committee in one slot.
fn equivocation(shard: ShardId, epoch: Epoch) -> Evidence {
    let block = |time_ms| {
        let mut body = bare_body();
        (body.shard, body.epoch, body.time_ms) = (shard, epoch, time_ms);
        signed(body)
    };
    Evidence::equivocation(&block(1), &block(2))
}

fn offence(shard: ShardId, epoch: Epoch, evidence: Evidence) -> Report {
    Report::Offence(Box::new(ReportedOffence { shard, epoch, evidence }))
}

/// One report of each kind, all sound.
fn reports() -> Vec<Report> {
    let new = NewKeys { number: 1, counter: 1, consensus: Some(&key(63)), ..NewKeys::default() };
    vec![
        Report::Checkpoint(certificate(SHARD, EPOCH, 3)),
        Report::Reveal(digest("value")),
        Report::Registration(Box::new(registration())),
        Report::Approval { registration: registration().digest(), weight: Weight(1) },
        Report::Reweigh { number: 2, weight: Weight(0) },
        Report::Rotation(Box::new(KeyRotation::sign(CHAIN, &new, &key(64)).unwrap())),
        Report::Reshard(Resharding::Split { shard: SHARD, new: ShardId(4) }),
        offence(SHARD, EPOCH, equivocation(SHARD, EPOCH)),
        Report::Anchor(digest("anchor")),
        Report::Leave,
    ]
}

/// Every kind of report has its number, one encoding, and is taken where it is sound: by the
/// beacon and nobody else.
#[test]
fn sound_reports_are_taken_by_the_beacon() {
    let shard = keys_at(CHAIN, SHARD, Epoch(0)).with_sources([keys_at(CHAIN, SHARD, EPOCH)]);
    for (number, report) in reports().iter().enumerate() {
        let bytes = encode(report);
        assert_eq!(bytes[0], number as u8);
        assert_eq!(&decode::<Report>(&bytes).unwrap(), report);
        assert_eq!(beacon().check_report(report), Ok(()), "{report:?}");
        assert_eq!(&*beacon().verify_report(report.clone()).unwrap(), report);
        assert_eq!(shard.check_report(report), Err(ReportError::NotTheBeacon));
    }
}

#[test]
fn a_checkpoint_needs_its_certificate() {
    let check = |certificate| beacon().check_report(&Report::Checkpoint(certificate));
    let unknown = Err(ReportError::UnknownCommittee);
    assert_eq!(check(certificate(SHARD, Epoch(3), 3)), unknown);
    assert_eq!(check(certificate(ShardId(4), EPOCH, 3)), unknown);
    let few = CertificateError::NoQuorum { weight: 2, quorum: 3 };
    assert_eq!(check(certificate(SHARD, EPOCH, 2)), Err(ReportError::Certificate(few)));
}

/// Evidence is judged by the keys of the committee that it names, before anything is executed: by the
/// beacon's own, too. Where they are not known nobody is to blame.
#[test]
fn an_offence_needs_its_evidence() {
    let check = |report: Report| beacon().check_report(&report);
    let own = (BEACON, Epoch(0));
    for (shard, epoch) in [(SHARD, EPOCH), own] {
        assert_eq!(check(offence(shard, epoch, equivocation(shard, epoch))), Ok(()));
        let elsewhere = equivocation(ShardId(4), epoch);
        let foreign = Err(ReportError::Evidence(EvidenceError::Foreign));
        assert_eq!(check(offence(shard, epoch, elsewhere)), foreign);
    }
    let Evidence::Equivocation(low, mut high) = equivocation(SHARD, EPOCH) else {
        unreachable!("an equivocation was asked for");
    };
    high.signature = low.signature.clone();
    let forged = check(offence(SHARD, EPOCH, Evidence::Equivocation(low, high)));
    assert_eq!(forged, Err(ReportError::Evidence(EvidenceError::WrongSignature)));
    for (shard, epoch) in [(ShardId(4), EPOCH), (SHARD, Epoch(3)), (BEACON, Epoch(1))] {
        let unknown = check(offence(shard, epoch, equivocation(shard, epoch)));
        assert_eq!(unknown, Err(ReportError::UnknownCommittee));
    }
}

/// A registration or a rotation whose proof is wrong is refused before the beacon sees it.
#[test]
fn unproven_keys_are_refused() {
    let mut unproven = registration();
    unproven.consensus.possession = unproven.transport.possession.clone();
    let refused = beacon().check_report(&Report::Registration(Box::new(unproven)));
    assert!(matches!(refused, Err(ReportError::Registration(_))), "{refused:?}");
    let elsewhere = CommitteeKeys::decode(
        ChainId(digest("another chain")),
        Arc::clone(keys_at(CHAIN, BEACON, Epoch(0)).committee()),
    );
    for report in &reports() {
        let bound = matches!(report, Report::Registration(_) | Report::Rotation(_));
        let verdict = elsewhere.as_ref().unwrap().check_report(report);
        let own = matches!(verdict, Err(ReportError::Registration(_) | ReportError::Rotation(_)));
        assert_eq!(own, bound, "{report:?}");
    }
}

#[test]
fn nobody_votes_for_a_weight_that_nobody_can_have() {
    let above = Weight(Committee::MAX_TOTAL + 1);
    let registration = digest("somebody");
    for report in [
        Report::Approval { registration, weight: Weight(0) },
        Report::Approval { registration, weight: above },
        Report::Reweigh { number: 1, weight: above },
    ] {
        let refused = beacon().check_report(&report);
        assert!(matches!(refused, Err(ReportError::Vote(_))), "{report:?}");
    }
}

/// A block of the beacon with an unsound report is refused, and its author is to blame.
#[test]
fn a_block_with_an_unsound_report_is_refused() {
    let mut body = bare_body();
    body.shard = BEACON;
    let unsound = Report::Reweigh { number: 1, weight: Weight(u64::MAX) };
    body.payload.reports = Bounded::truncated(vec![Report::Leave, unsound]);
    let refused = beacon().verify_block(signed(body)).unwrap_err();
    assert!(matches!(refused, VerifyError::Report { index: 1, .. }), "{refused:?}");
    assert_eq!(refused.culprit(), crate::Culprit::Author);
}

/// A block with a bogus offence is refused for its author's fault; one with a committee that the
/// judge does not know, for nobody's.
#[test]
fn a_block_with_a_bogus_offence_is_refused() {
    let judged = |report| {
        let mut body = bare_body();
        body.shard = BEACON;
        body.payload.reports = Bounded::truncated(vec![report]);
        let verdict = beacon().verify_block(signed(body));
        verdict.map(|_| ()).map_err(|error| error.culprit())
    };
    assert_eq!(judged(offence(SHARD, EPOCH, equivocation(SHARD, EPOCH))), Ok(()));
    let bogus = offence(SHARD, EPOCH, equivocation(SHARD, Epoch(3)));
    assert_eq!(judged(bogus), Err(crate::Culprit::Author));
    let unknown = offence(SHARD, Epoch(3), equivocation(SHARD, Epoch(3)));
    assert_eq!(judged(unknown), Err(crate::Culprit::Sender));
}

/// A block has a bounded number of reports, and each of their parts is bounded.
#[test]
fn reports_are_bounded() {
    let mut bytes = encode(&vec![Report::Leave; MAX_BLOCK_REPORTS + 1]);
    assert!(decode::<Bounded<Report, MAX_BLOCK_REPORTS>>(&bytes).is_err());
    bytes = encode(&Report::Checkpoint(certificate(SHARD, EPOCH, 0)));
    let length = bytes.len();
    bytes[length - 4..].copy_from_slice(&(MAX_MEMBERS as u32 + 1).to_le_bytes());
    assert!(decode::<Report>(&bytes).is_err());
}
