//! A captured shard: so many of its keys are in one hand that it can certify what it likes.
//!
//! Its relayers make money up. Before they hand a delivery over they put a receipt on top that no
//! checkpoint of the shard ever had, and certify the lane with the keys of the whole committee.
//! Nobody else can tell; what must hold is that nobody but the captured shard's own lanes suffers.

use qcn_crypto::{Digest, Domain, SeededRandomness, hash, hash_pair};
use qcn_types::{
    Amount, Attestation, AttestationProof, BlockHeader, Bounded, Certificate, Checkpoint, Delivery,
    LaneEnd, LaneLink, Receipt, TransactionId, ValidatorIndex, attestations_digest, encode,
    outbox_root, outbox_tree,
};

use crate::engine::Setup;

/// What a receipt that was made up moves.
pub(super) const MADE_UP: u64 = 1_000_000_007;

/// A delivery with a receipt on top that was made up, certified by the captured committee.
pub(super) fn with_made_up_money(delivery: &Delivery, setup: &Setup) -> Option<Delivery> {
    let first = delivery.batches.first()?.first()?;
    let made_up = Receipt {
        amount: Amount(MADE_UP),
        transaction: TransactionId(hash(Domain::Simulation, &encode(first))),
        ..*first
    };
    let mut batches = delivery.batches.to_vec();
    batches.truncate(1);
    let mut receipts = batches.pop()?.to_vec();
    receipts.push(made_up);
    let sent = delivery.before.after(&LaneLink::of(&receipts))?;
    let end = LaneEnd { sent, ..delivery.end };
    let ends = [end];
    let checkpoint = Checkpoint {
        outbox_root: outbox_root(&ends),
        state_root: Digest::ZERO,
        ..delivery.certificate.checkpoint
    };
    Some(Delivery {
        certificate: certify(checkpoint, setup)?,
        end,
        inclusion: outbox_tree(&ends).prove(0)?,
        before: delivery.before,
        batches: Bounded::truncated(vec![Bounded::truncated(receipts)]),
        links: Bounded::default(),
    })
}

/// A certificate by everybody in a committee.
fn certify(checkpoint: Checkpoint, setup: &Setup) -> Option<Certificate> {
    let attestation = Attestation { height: checkpoint.height, checkpoint: checkpoint.digest() };
    let attestations = Bounded::truncated(vec![attestation]);
    let context = BlockHeader::signing_context(setup.keys.chain());
    let prove = |(author, key): (u16, &qcn_crypto::SigningKey)| {
        let header = hash(Domain::Simulation, &encode(&(author, checkpoint.digest())));
        let digest = hash_pair(Domain::Block, &header, &attestations_digest(&attestations));
        let mut randomness = SeededRandomness::from_seed(digest.as_bytes());
        let signature = key.sign_seeded(&context, digest.as_bytes(), &mut randomness).ok()?;
        let author = ValidatorIndex(author);
        Some(AttestationProof { author, header, attestations: attestations.clone(), signature })
    };
    let proofs = (0..).zip(&setup.signing).map(prove).collect::<Option<Vec<_>>>()?;
    Some(Certificate { checkpoint, attestations: Bounded::truncated(proofs) })
}
