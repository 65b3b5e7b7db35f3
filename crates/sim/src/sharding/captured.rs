//! A captured shard: so many of its keys are in one hand that it can certify what it likes.
//!
//! Its relayers make money up. Before they hand a delivery over they put a receipt on top that no
//! checkpoint of the shard ever had, and certify the lane with the keys of the whole committee.
//! Nobody else can tell; what must hold is that nobody but the captured shard's own lanes suffers,
//! and that on these nothing arrives that no certificate of the shard says.

use std::collections::{BTreeMap, BTreeSet};

use qcn_crypto::{Digest, Domain, SeededRandomness, hash, hash_pair};
use qcn_types::{
    Amount, Attestation, AttestationProof, BlockHeader, Bounded, Certificate, Checkpoint, Delivery,
    LaneEnd, LaneHead, LaneId, LaneLink, Receipt, ShardId, TransactionId, ValidatorIndex,
    attestations_digest, encode, outbox_root, outbox_tree,
};

use crate::engine::Setup;

/// What a receipt that was made up moves.
pub(super) const MADE_UP: u64 = 1_000_000_007;

/// Which shards are captured, and what they have certified that they never sent.
#[derive(Debug, Default)]
pub(super) struct Claims {
    shards: BTreeSet<ShardId>,
    /// By lane, as its source names it; each head once.
    heads: BTreeMap<LaneId, Vec<LaneHead>>,
}

impl Claims {
    /// Nothing is claimed yet.
    pub(super) fn of(shards: BTreeSet<ShardId>) -> Self {
        Self { shards, heads: BTreeMap::new() }
    }

    /// Whether this shard is captured.
    pub(super) fn is_captured(&self, shard: ShardId) -> bool {
        self.shards.contains(&shard)
    }

    /// A certificate says that so much was sent on a lane.
    pub(super) fn record(&mut self, lane: LaneId, head: LaneHead) {
        let heads = self.heads.entry(lane).or_default();
        if !heads.contains(&head) {
            heads.push(head);
        }
    }

    /// Whether a captured shard has certified that so much was sent on its own lane.
    pub(super) fn cover(&self, lane: LaneId, head: &LaneHead) -> bool {
        self.is_captured(lane.own) && self.heads.get(&lane).is_some_and(|it| it.contains(head))
    }

    #[cfg(test)]
    pub(super) fn heads_mut(&mut self) -> impl Iterator<Item = &mut LaneHead> {
        self.heads.values_mut().flatten()
    }
}

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
