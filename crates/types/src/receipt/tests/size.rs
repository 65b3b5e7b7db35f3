//! What crossing costs in bytes: the encoding of a delivery against its size on paper.

use qcn_crypto::{Domain, Scheme, SeededRandomness, Signature, SigningKey, hash_pair};

use super::*;
use crate::testing::members;
use crate::{
    Attestation, AttestationProof, BlockHeader, Committee, CommitteeKeys, Height, ValidatorIndex,
    attestations_digest, encoded_bytes, verify_certificate,
};

const RECEIPTS: usize = 100;
const DIGEST: usize = 32;
/// Borsh puts the length before every sequence.
const LENGTH: usize = 4;
/// Kind, transaction, sender, receiver, amount.
const RECEIPT: usize = 1 + 3 * DIGEST + 8;
/// Receipts, batches, amount, digest.
const LANE_HEAD: usize = 8 + 8 + 16 + DIGEST;
/// A Falcon-512 signature, padded (Falcon specification 3.3).
const SIGNATURE: usize = 666;

/// The size of a delivery of one batch, in bytes (DESIGN section 7).
const fn on_paper(attestations: usize, siblings: usize, receipts: usize) -> usize {
    // Shard, epoch, height, the leader's round, author and digest, time, executed, six roots.
    let checkpoint = 4 + 8 + 8 + (8 + 2 + DIGEST) + 8 + 8 + 6 * DIGEST;
    // Author, header digest, one attestation of height and digest, signature.
    let attestation = 2 + DIGEST + (LENGTH + 8 + DIGEST) + (LENGTH + SIGNATURE);
    let certificate = checkpoint + LENGTH + attestations * attestation;
    // Both shards, sent, received.
    let end = 4 + 4 + 2 * LANE_HEAD;
    // Index, leaf count, digests.
    let inclusion = 8 + 8 + LENGTH + siblings * DIGEST;
    let batches = LENGTH + LENGTH + receipts * RECEIPT;
    let links = LENGTH;
    certificate + end + inclusion + LANE_HEAD + batches + links
}

/// The keys of a shard of equal Falcon-512 validators, and the committee.
fn committee(seats: u8) -> (Vec<SigningKey>, CommitteeKeys) {
    let key = |seat: u8| SigningKey::from_seed(Scheme::Falcon512, &[seat + 1; 32]).unwrap();
    let signing: Vec<SigningKey> = (0..seats).map(key).collect();
    let mut members = members(&vec![1; usize::from(seats)]);
    for (member, key) in members.iter_mut().zip(&signing) {
        member.key = key.public_key().clone();
    }
    let committee = Committee::new(SOURCE, Epoch(0), members).unwrap();
    (signing, CommitteeKeys::decode(CHAIN, Arc::new(committee)).unwrap())
}

/// The certificate of a quorum of the committee, each of whose blocks attests to nothing else.
fn certify(checkpoint: Checkpoint, signing: &[SigningKey], keys: &CommitteeKeys) -> Certificate {
    let attested = Attestation { height: checkpoint.height, checkpoint: checkpoint.digest() };
    let attestations = Bounded::truncated(vec![attested]);
    let context = BlockHeader::signing_context(CHAIN);
    let quorum = keys.committee().quorum_weight() as u16;
    let prove = |(author, key): (u16, &SigningKey)| {
        let header = Digest([author as u8; 32]);
        let digest = hash_pair(Domain::Block, &header, &attestations_digest(&attestations));
        let mut randomness = SeededRandomness::from_seed(digest.as_bytes());
        let signature: Signature =
            key.sign_seeded(&context, digest.as_bytes(), &mut randomness).unwrap();
        let attestations = attestations.clone();
        AttestationProof { author: ValidatorIndex(author), header, attestations, signature }
    };
    let attestations = Bounded::truncated((0..quorum).zip(signing).map(prove).collect());
    Certificate { checkpoint, attestations }
}

/// A delivery of one batch, out of a shard with lanes to three others.
fn of_one_batch(signing: &[SigningKey], keys: &CommitteeKeys) -> Delivery {
    let batch: Vec<Receipt> = (0..RECEIPTS).map(|number| receipt(number as u8)).collect();
    let before = LaneHead::default();
    let sent = before.after(&LaneLink::of(&batch)).unwrap();
    let to = |peer| LaneEnd { own: SOURCE, peer, sent, received: LaneHead::default() };
    let ends = [to(DESTINATION), to(ShardId(5)), to(ShardId(6))];
    let checkpoint = Checkpoint {
        shard: SOURCE,
        height: Height(1),
        outbox_root: outbox_root(&ends),
        ..Checkpoint::default()
    };
    Delivery {
        certificate: certify(checkpoint, signing, keys),
        end: ends[0],
        inclusion: outbox_tree(&ends).prove(0).unwrap(),
        before,
        batches: Bounded::truncated(vec![Bounded::truncated(batch)]),
        links: Bounded::default(),
    }
}

/// Given shards of 4 and 10 Falcon-512 validators in a network of four shards, when one batch of 100
/// receipts is delivered, then its bytes are those on paper, of which a transfer's share is told in
/// `docs/sharding.md`.
#[test]
fn a_delivery_of_a_hundred_receipts_is_as_long_as_on_paper() {
    for (seats, quorum, bytes) in [(4, 3, 13_314), (10, 7, 16_306)] {
        let (signing, keys) = committee(seats);
        let delivery = of_one_batch(&signing, &keys);
        let certificate = &delivery.certificate;
        assert_eq!(delivery.check_lane(|number| number == DESTINATION), Ok(()));
        assert_eq!(verify_certificate(certificate, &keys), Ok(()));
        assert_eq!(certificate.attestations.len(), quorum);
        assert_eq!(delivery.inclusion.siblings.len(), 2);
        let encoded = encode(&delivery).len();
        assert_eq!(encoded, encoded_bytes(&delivery));
        assert_eq!(encoded, on_paper(quorum, 2, RECEIPTS), "{seats} seats");
        assert_eq!(encoded, bytes, "{seats} seats");
    }
    assert_eq!(encoded_bytes(&receipt(0)), RECEIPT);
}
