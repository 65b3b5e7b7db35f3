//! True evidence of each kind is accepted; whatever is made up about an honest key is not.

use proptest::prelude::*;
use qcn_crypto::{ChainId, Digest, Scheme, Signature};
use qcn_types::{
    AccusedBlock, Address, Amount, BEACON, Block, Bounded, Certificate, CertificateError,
    Checkpoint, CommitteeKeys, CompactBlock, Culprit, Delivery, DeliveryError, Epoch, Evidence,
    Height, LaneBatch, LaneEnd, LaneHead, LaneLink, Offence, Receipt, ReceiptKind, Report, ShardId,
    Transaction, TransactionId, VerifyError, Weight, decode, encode, outbox_root, outbox_tree,
};

use super::{EvidenceError, verify_evidence};
use crate::testing::{
    CHAIN, EPOCH, SHARD, attestation, attesting, author, bit_flips, block_body, committee,
    committee_at, digest, keys, sign_with, signed, transfer,
};

const WEIGHTS: [u64; 4] = [1; 4];

/// A block of a slot; what tells it from others of the slot is its time.
fn block(round: u64, index: u16, time_ms: u64) -> Block {
    let mut body = block_body(&committee(&WEIGHTS), round, author(index));
    body.time_ms = time_ms;
    signed(body)
}

fn attesting_block(round: u64, index: u16, attested: &[(u64, &str)]) -> Block {
    let list: Vec<_> =
        attested.iter().map(|(height, what)| attestation(*height, digest(what))).collect();
    signed(attesting(block_body(&committee(&WEIGHTS), round, author(index)), &list))
}

fn carrying(transactions: Vec<Transaction>) -> Block {
    let mut body = block_body(&committee(&WEIGHTS), 3, author(1));
    body.payload.transactions = Bounded::truncated(transactions);
    signed(body)
}

fn with_wrong_signature(mut transaction: Transaction) -> Transaction {
    let mut bytes = transaction.signature.as_bytes().to_vec();
    bytes[100] ^= 1;
    transaction.signature = Signature::new(bytes).expect("as long as before");
    transaction
}

fn judge(evidence: &Evidence) -> Result<Offence, EvidenceError> {
    verify_evidence(evidence, &keys(&WEIGHTS))
}

/// Given two signed blocks of one slot, in either order, then their author equivocated.
#[test]
fn two_blocks_in_one_slot_are_equivocation() {
    let (one, other) = (block(3, 1, 10), block(3, 1, 11));
    let offence = Ok(Offence::Equivocation(one.body.slot()));
    assert_eq!(judge(&Evidence::equivocation(&one, &other)), offence);
    assert_eq!(judge(&Evidence::equivocation(&other, &one)), offence);
}

/// Given two blocks of one author that attest to different checkpoints of height 8 and to the
/// same of height 7, then the offence names height 8.
#[test]
fn two_checkpoints_for_one_height_conflict() {
    let one = attesting_block(3, 1, &[(7, "seven"), (8, "eight"), (9, "nine")]);
    let other = attesting_block(5, 1, &[(7, "seven"), (8, "acht"), (9, "neun")]);
    let offence = Ok(Offence::ConflictingAttestations(Height(8)));
    assert_eq!(judge(&Evidence::conflicting_attestations(&one, &other)), offence);
    assert_eq!(judge(&Evidence::conflicting_attestations(&other, &one)), offence);
}

/// Given a signed block whose transaction, parents or attestations are invalid, then its
/// author is guilty of it; and the same block without the defect is no evidence.
#[test]
fn a_signed_invalid_block_is_an_offence() {
    let good = carrying(vec![transfer(2, 0), transfer(2, 1)]);
    assert_eq!(judge(&Evidence::invalid_block(&good)), Err(EvidenceError::ValidBlock));

    let bad = carrying(vec![transfer(2, 0), with_wrong_signature(transfer(2, 1))]);
    let offence = Ok(Offence::InvalidBlock(good.body.slot()));
    assert_eq!(judge(&Evidence::invalid_block(&bad)), offence);

    let other_schemes = keys(&WEIGHTS).with_account_schemes([Scheme::MlDsa87]);
    assert_eq!(verify_evidence(&Evidence::invalid_block(&good), &other_schemes), offence);

    let mut malformed = block_body(&committee(&WEIGHTS), 3, author(1));
    malformed.parents.swap(1, 2);
    assert_eq!(judge(&Evidence::invalid_block(&signed(malformed))), offence);

    let doubled = attesting_block(3, 1, &[(7, "seven"), (7, "sieben")]);
    assert_eq!(judge(&Evidence::invalid_block(&doubled)), offence);
}

/// Evidence holds on one chain, in one shard and epoch.
#[test]
fn evidence_is_bound_to_chain_shard_and_epoch() {
    let evidence = [
        Evidence::equivocation(&block(3, 1, 10), &block(3, 1, 11)),
        Evidence::conflicting_attestations(
            &attesting_block(3, 1, &[(8, "eight")]),
            &attesting_block(4, 1, &[(8, "acht")]),
        ),
        Evidence::invalid_block(&carrying(vec![with_wrong_signature(transfer(2, 0))])),
    ];
    let places = [
        (ChainId(Digest([8; 32])), SHARD, EPOCH),
        (CHAIN, ShardId(4), EPOCH),
        (CHAIN, SHARD, Epoch(6)),
    ];
    for evidence in &evidence {
        assert!(judge(evidence).is_ok());
        for (chain, shard, epoch) in places {
            let committee = committee_at(shard, epoch, &WEIGHTS);
            let keys = CommitteeKeys::decode(chain, committee).expect("good keys");
            assert!(verify_evidence(evidence, &keys).is_err(), "{shard} {epoch}");
        }
    }
}

/// One offence has one encoding: the lower digest first, and never one block twice.
#[test]
fn statements_out_of_order_are_refused() {
    let refused = Err(EvidenceError::NotOrdered);
    let one = block(3, 1, 10);
    assert_eq!(judge(&Evidence::equivocation(&one, &one)), refused);
    let Evidence::Equivocation(low, high) = Evidence::equivocation(&one, &block(3, 1, 11)) else {
        unreachable!("equivocation was asked for");
    };
    assert_eq!(judge(&Evidence::Equivocation(high, low)), refused);

    let one = attesting_block(3, 1, &[(8, "eight")]);
    assert_eq!(judge(&Evidence::conflicting_attestations(&one, &one)), refused);
    let other = attesting_block(4, 1, &[(8, "acht")]);
    let conflict = Evidence::conflicting_attestations(&one, &other);
    let Evidence::ConflictingAttestations(low, high) = conflict else {
        unreachable!("a conflict was asked for");
    };
    assert_eq!(judge(&Evidence::ConflictingAttestations(high, low)), refused);
}

/// Two signatures of one block are not two blocks.
///
/// Given a block and its copy under a second, valid signature of the same digest.
/// When they are shown as equivocation, then the author is free.
#[test]
fn two_signatures_of_one_digest_are_no_equivocation() {
    let one = block(3, 1, 10);
    let mut other = one.clone();
    other.signature = sign_with(author(1), CHAIN, &one.body.digest(), &digest("again"));
    assert_ne!(one.signature, other.signature);
    assert!(keys(&WEIGHTS).verify_block(other.clone()).is_ok());
    assert_eq!(judge(&Evidence::equivocation(&one, &other)), Err(EvidenceError::NotOrdered));
}

/// Blocks of different slots are no equivocation.
#[test]
fn blocks_of_different_slots_are_unrelated() {
    for other in [block(4, 1, 10), block(3, 2, 10)] {
        let evidence = Evidence::equivocation(&block(3, 1, 10), &other);
        assert_eq!(judge(&evidence), Err(EvidenceError::Unrelated));
    }
}

/// The parts of one author's blocks do not add up to an offence of another.
#[test]
fn the_accused_must_have_signed_both() {
    let (one, mut forged) = (block(3, 1, 10), block(3, 2, 11));
    forged.body.author = author(1);
    let evidence = Evidence::equivocation(&one, &forged);
    assert_eq!(judge(&evidence), Err(EvidenceError::WrongSignature));

    let mut forged = attesting_block(4, 2, &[(8, "acht")]);
    let one = attesting_block(3, 1, &[(8, "eight")]);
    let different = Evidence::conflicting_attestations(&one, &forged);
    assert_eq!(judge(&different), Err(EvidenceError::Unrelated));
    forged.body.author = author(1);
    let evidence = Evidence::conflicting_attestations(&one, &forged);
    assert_eq!(judge(&evidence), Err(EvidenceError::WrongSignature));

    let mut unknown = one;
    unknown.body.author = author(9);
    let mut twin = unknown.clone();
    twin.body.time_ms += 1;
    let evidence = Evidence::equivocation(&unknown, &twin);
    assert_eq!(judge(&evidence), Err(EvidenceError::UnknownAuthor));
}

/// A good block does not become an offence by what an accuser does to it.
///
/// Given a valid, signed block.
/// When the accuser breaks a transaction, the parents or the attestations in it, names
/// another author, cuts it off or leaves the parents to be guessed,
/// then the author is free.
#[test]
fn a_valid_block_cannot_be_spoiled_into_evidence() {
    let good = carrying(vec![transfer(2, 0)]);
    let spoilt: [fn(&mut Block); 4] = [
        |block| {
            let bad = with_wrong_signature(transfer(2, 0));
            block.body.payload.transactions = Bounded::truncated(vec![bad]);
        },
        |block| block.body.parents.swap(1, 2),
        |block| block.body.parents.clear(),
        |block| block.body = attesting(block.body.clone(), &[attestation(7, digest("7")); 2]),
    ];
    for spoil in spoilt {
        let mut block = good.clone();
        spoil(&mut block);
        let verdict = judge(&Evidence::invalid_block(&block));
        assert_eq!(verdict, Err(EvidenceError::WrongSignature));
    }
    let accuse = |author, bytes| {
        judge(&Evidence::InvalidBlock(Box::new(AccusedBlock {
            author,
            bytes: Bounded::truncated(bytes),
        })))
    };
    let full = encode(&CompactBlock::in_full(&good));
    let packed = encode(&CompactBlock::pack(&good));
    assert_eq!(accuse(author(2), full.clone()), Err(EvidenceError::Unrelated));
    assert_eq!(accuse(author(1), packed), Err(EvidenceError::ParentsNotInFull));
    let cut = full[..full.len() - 1].to_vec();
    assert!(matches!(accuse(author(1), cut), Err(EvidenceError::Malformed(_))));
}

/// Given true evidence of each kind, when any bit is flipped, then it does not decode or is
/// refused: every bit of a statement is under its author's signature.
#[test]
fn every_flipped_bit_of_equivocation_is_refused() {
    let keys = keys(&WEIGHTS);
    let evidence = Evidence::equivocation(&block(3, 1, 10), &block(3, 1, 11));
    for flipped in bit_flips(&encode(&evidence)) {
        let Ok(other) = decode::<Evidence>(&flipped) else { continue };
        assert!(verify_evidence(&other, &keys).is_err(), "{other:?}");
    }
}

#[test]
fn every_flipped_bit_of_conflicting_attestations_is_refused() {
    let keys = keys(&WEIGHTS);
    let evidence = Evidence::conflicting_attestations(
        &attesting_block(3, 1, &[(8, "eight")]),
        &attesting_block(4, 1, &[(8, "acht")]),
    );
    for flipped in bit_flips(&encode(&evidence)) {
        let Ok(other) = decode::<Evidence>(&flipped) else { continue };
        assert!(verify_evidence(&other, &keys).is_err(), "{other:?}");
    }
}

/// The invalid signature of the transaction is covered by the block's digest too, so it cannot
/// be changed either.
#[test]
fn every_flipped_bit_of_an_invalid_block_is_refused() {
    let keys = keys(&WEIGHTS);
    let block = carrying(vec![with_wrong_signature(transfer(2, 0))]);
    for flipped in bit_flips(&encode(&Evidence::invalid_block(&block))) {
        let Ok(other) = decode::<Evidence>(&flipped) else { continue };
        assert!(verify_evidence(&other, &keys).is_err(), "{other:?}");
    }
}

fn honest_blocks() -> impl Strategy<Value = (Block, Block)> {
    let slot = || (1_u64..6, 0_u16..4, prop::collection::btree_set(0_u64..12, 0..4));
    (slot(), slot()).prop_map(|(one, other)| (honest_block(one), honest_block(other)))
}

/// A validator that follows the rules: one block per slot, one checkpoint per height.
fn honest_block((round, index, heights): (u64, u16, std::collections::BTreeSet<u64>)) -> Block {
    let list: Vec<_> = heights
        .iter()
        .map(|height| attestation(*height, digest(&format!("checkpoint {height}"))))
        .collect();
    signed(attesting(block_body(&committee(&WEIGHTS), round, author(index)), &list))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// No two honest blocks of different slots are evidence of anything.
    #[test]
    fn honest_blocks_are_never_evidence((one, other) in honest_blocks()) {
        prop_assume!(one.body.slot() != other.body.slot());
        for evidence in [
            Evidence::equivocation(&one, &other),
            Evidence::conflicting_attestations(&one, &other),
            Evidence::invalid_block(&one),
        ] {
            prop_assert!(judge(&evidence).is_err());
        }
    }
}

/// Receipts of shard 9 for this one, with a certificate that nobody made.
fn delivery() -> Delivery {
    let receipt = Receipt {
        kind: ReceiptKind::Transfer,
        transaction: TransactionId::default(),
        sender: Address::default(),
        receiver: Address::default(),
        amount: Amount(5),
    };
    let batch = LaneBatch::truncated(vec![receipt; 2]);
    let sent = LaneHead::default().after(&LaneLink::of(&batch)).expect("small counts");
    let ends = [LaneEnd { own: ShardId(9), peer: SHARD, sent, received: LaneHead::default() }];
    let outbox_root = outbox_root(&ends);
    let checkpoint = Checkpoint { shard: ShardId(9), outbox_root, ..Checkpoint::default() };
    Delivery {
        certificate: Certificate { checkpoint, attestations: Bounded::default() },
        end: ends[0],
        inclusion: outbox_tree(&ends).prove(0).expect("the only leaf"),
        before: LaneHead::default(),
        batches: Bounded::truncated(vec![batch]),
        links: Bounded::default(),
    }
}

/// Receipts that do not lead to the root that they come with prove their carrier's fault, to
/// everybody. A certificate is judged by another committee's keys: a block with a bad one, or one
/// of an unknown shard, is refused, and proves nothing.
#[test]
fn receipts_that_lead_nowhere_are_an_offence() {
    let carrying = |delivery| {
        let mut body = block_body(&committee(&WEIGHTS), 3, author(1));
        body.payload.deliveries = Bounded::truncated(vec![delivery]);
        signed(body)
    };
    let mut altered = delivery();
    let mut receipts = altered.batches[0].to_vec();
    receipts[0].amount.0 += 1;
    altered.batches = Bounded::truncated(vec![Bounded::truncated(receipts)]);
    let bad = carrying(altered);
    let offence = Ok(Offence::InvalidBlock(bad.body.slot()));
    assert_eq!(judge(&Evidence::invalid_block(&bad)), offence);

    let uncertified = carrying(delivery());
    let verdict = Err(EvidenceError::ValidBlock);
    assert_eq!(judge(&Evidence::invalid_block(&uncertified)), verdict);
    let refused = |keys: CommitteeKeys, block: &Block| keys.verify_block(block.clone()).err();
    let unknown = VerifyError::Delivery { index: 0, error: DeliveryError::UnknownCommittee };
    assert_eq!(unknown.culprit(), Culprit::Sender);
    assert_eq!(refused(keys(&WEIGHTS), &uncertified), Some(unknown));
    let source = CommitteeKeys::decode(CHAIN, committee_at(ShardId(9), Epoch(0), &WEIGHTS));
    let known = keys(&WEIGHTS).with_sources([source.expect("good keys")]);
    let error = CertificateError::NoQuorum { weight: 0, quorum: 3 };
    let no_quorum = VerifyError::Delivery { index: 0, error: DeliveryError::Certificate(error) };
    assert_eq!(refused(known.clone(), &uncertified), Some(no_quorum));
    // Whether a shard may certify a lane is known from its own epoch's plan alone, and proves nothing
    // here either; for which numbers this one acts is known to all.
    let mut foreign = delivery();
    foreign.certificate.checkpoint.shard = ShardId(8);
    let foreign = carrying(foreign);
    assert_eq!(judge(&Evidence::invalid_block(&foreign)), Err(EvidenceError::ValidBlock));
    let evidence = Evidence::invalid_block(&uncertified);
    let own = keys(&WEIGHTS).with_heirs([(ShardId(9), SHARD)].into());
    let offence = Ok(Offence::InvalidBlock(uncertified.body.slot()));
    assert_eq!(verify_evidence(&evidence, &own), offence, "its source is this shard");
    let broken = VerifyError::Delivery { index: 0, error: DeliveryError::BrokenChain };
    assert_eq!(refused(known, &bad), Some(broken));
}

/// An author of the beacon signs for its reports: one that needs nothing but itself to be refuted
/// is an offence. In another shard any report is.
#[test]
fn an_unsound_report_is_an_offence() {
    let accuse = |shard, report: &Report| {
        let committee = committee_at(shard, EPOCH, &WEIGHTS);
        let mut body = block_body(&committee, 3, author(1));
        body.payload.reports = Bounded::truncated(vec![report.clone()]);
        let keys = CommitteeKeys::decode(CHAIN, committee).unwrap();
        verify_evidence(&Evidence::invalid_block(&signed(body)), &keys)
    };
    let unsound = Report::Reweigh { number: 1, weight: Weight(u64::MAX) };
    assert!(matches!(accuse(BEACON, &unsound), Ok(Offence::InvalidBlock(_))));
    assert_eq!(accuse(BEACON, &Report::Leave), Err(EvidenceError::ValidBlock));
    assert!(matches!(accuse(SHARD, &Report::Leave), Ok(Offence::InvalidBlock(_))));
}
