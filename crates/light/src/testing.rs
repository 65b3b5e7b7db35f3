//! A committee with real keys, and valid statements for tests to break.

use std::sync::{Arc, LazyLock};

use qcn_crypto::{
    ChainId, Digest, Domain, PublicKey, Scheme, SeededRandomness, Signature, SigningKey, hash,
};
use qcn_types::{
    Address, Amount, Attestation, AttestationProof, Block, BlockBody, BlockHeader, BlockRef,
    Bounded, Certificate, Checkpoint, Committee, CommitteeKeys, Epoch, Height, Member, Payload,
    Round, ShardId, Transaction, TransactionBody, ValidatorIndex, Weight, encode, genesis_ref,
};

/// As many keys as any test needs; making one takes milliseconds.
static SIGNERS: LazyLock<Vec<SigningKey>> = LazyLock::new(|| {
    let key = |seed: u8| SigningKey::from_seed(Scheme::Falcon512, &[seed; 32]);
    (1..=7).map(|seed| key(seed).expect("the seed gives a key")).collect()
});

pub(crate) const CHAIN: ChainId = ChainId(Digest([7; 32]));
pub(crate) const SHARD: ShardId = ShardId(3);
pub(crate) const EPOCH: Epoch = Epoch(5);

pub(crate) fn author(index: u16) -> ValidatorIndex {
    ValidatorIndex(index)
}

pub(crate) fn digest(text: &str) -> Digest {
    hash(Domain::Simulation, text.as_bytes())
}

/// A signature of validator `author`, whose key is that of the same number.
pub(crate) fn sign(author: ValidatorIndex, chain: ChainId, digest: &Digest) -> Signature {
    sign_with(author, chain, digest, digest)
}

/// Signatures with different seeds differ, and all are valid.
pub(crate) fn sign_with(
    author: ValidatorIndex,
    chain: ChainId,
    digest: &Digest,
    seed: &Digest,
) -> Signature {
    sign_as(author.position(), chain, digest, seed)
}

/// A signature with the key of this number, whoever's it is in a committee.
fn sign_as(signer: usize, chain: ChainId, digest: &Digest, seed: &Digest) -> Signature {
    let mut randomness = SeededRandomness::from_seed(seed.as_bytes());
    let context = BlockHeader::signing_context(chain);
    SIGNERS[signer]
        .sign_seeded(&context, digest.as_bytes(), &mut randomness)
        .expect("a good key signs")
}

pub(crate) fn signed(body: BlockBody) -> Block {
    let signature = sign(body.author, body.chain, &body.digest());
    Block { body, signature }
}

pub(crate) fn committee(weights: &[u64]) -> Arc<Committee> {
    committee_at(SHARD, EPOCH, weights)
}

pub(crate) fn committee_at(shard: ShardId, epoch: Epoch, weights: &[u64]) -> Arc<Committee> {
    let member = |(index, weight): (usize, &u64)| Member {
        name: format!("v{index}"),
        key: SIGNERS[index].public_key().clone(),
        weight: Weight(*weight),
    };
    let members = weights.iter().enumerate().map(member).collect();
    Arc::new(Committee::new(shard, epoch, members).expect("a good committee"))
}

/// The public key of this number.
pub(crate) fn public_key(signer: usize) -> PublicKey {
    SIGNERS[signer].public_key().clone()
}

pub(crate) fn keys(weights: &[u64]) -> CommitteeKeys {
    CommitteeKeys::decode(CHAIN, committee(weights)).expect("good keys")
}

/// The only block of its slot that exists in these tests, except in round 0.
pub(crate) fn reference(round: u64, author: ValidatorIndex) -> BlockRef {
    if round == 0 {
        return genesis_ref(CHAIN, SHARD, EPOCH, author);
    }
    let digest = digest(&format!("{round} {author}"));
    BlockRef { round: Round(round), author, digest }
}

/// A valid block that has all blocks of the round before as parents.
pub(crate) fn block_body(committee: &Committee, round: u64, own: ValidatorIndex) -> BlockBody {
    let others = committee.indices().filter(|author| *author != own);
    let parents = [own].into_iter().chain(others);
    BlockBody {
        chain: CHAIN,
        shard: committee.shard(),
        epoch: committee.epoch(),
        round: Round(round),
        author: own,
        time_ms: 1_000 * round,
        parents: parents.map(|author| reference(round - 1, author)).collect(),
        payload: Payload::default(),
        attestations: Bounded::default(),
    }
}

pub(crate) fn attestation(height: u64, checkpoint: Digest) -> Attestation {
    Attestation { height: Height(height), checkpoint }
}

pub(crate) fn attesting(mut body: BlockBody, attestations: &[Attestation]) -> BlockBody {
    body.attestations = Bounded::truncated(attestations.to_vec());
    body
}

pub(crate) fn checkpoint(height: u64, what: &str) -> Checkpoint {
    Checkpoint {
        shard: SHARD,
        epoch: EPOCH,
        height: Height(height),
        state_root: digest(what),
        ..Checkpoint::default()
    }
}

/// What `author` contributes to a certificate, cut out of a block that also attests to the
/// height before.
pub(crate) fn attestation_proof(
    committee: &Committee,
    author: ValidatorIndex,
    checkpoint: &Checkpoint,
) -> AttestationProof {
    let height = checkpoint.height.0;
    let before = attestation(height - 1, digest("before"));
    let body = block_body(committee, height, author);
    let block = signed(attesting(body, &[before, attestation(height, checkpoint.digest())]));
    AttestationProof {
        author,
        header: block.body.header().digest(),
        attestations: block.body.attestations,
        signature: block.signature,
    }
}

pub(crate) fn certificate(
    committee: &Committee,
    authors: &[u16],
    checkpoint: Checkpoint,
) -> Certificate {
    let proofs =
        authors.iter().map(|index| attestation_proof(committee, author(*index), &checkpoint));
    Certificate { checkpoint, attestations: Bounded::truncated(proofs.collect()) }
}

/// A certificate of a network's committee of which each author has the key of some number.
pub(crate) fn certificate_by(
    chain: ChainId,
    authors: &[(u16, usize)],
    checkpoint: Checkpoint,
) -> Certificate {
    let (height, digest) = (checkpoint.height, checkpoint.digest());
    let proof = |(index, signer): &(u16, usize)| {
        let body = BlockBody {
            chain,
            shard: checkpoint.shard,
            epoch: checkpoint.epoch,
            round: Round(9),
            author: author(*index),
            time_ms: 9,
            parents: Vec::new(),
            payload: Payload::default(),
            attestations: Bounded::truncated(vec![Attestation { height, checkpoint: digest }]),
        };
        let (header, signed) = (body.header().digest(), body.digest());
        let signature = sign_as(*signer, chain, &signed, &signed);
        let attestations = body.attestations;
        AttestationProof { author: author(*index), header, attestations, signature }
    };
    let attestations = authors.iter().map(proof).collect();
    Certificate { checkpoint, attestations: Bounded::truncated(attestations) }
}

/// A transfer by the account of a validator's key, with a good signature.
pub(crate) fn transfer(signer: usize, nonce: u64) -> Transaction {
    let signer = &SIGNERS[signer];
    let body = TransactionBody {
        sender: Address::of(signer.public_key()),
        nonce,
        fee: Amount(1),
        action: qcn_types::Action::Transfer { to: Address(digest("to")), amount: Amount(10) },
    };
    let mut randomness = SeededRandomness::from_u64(nonce, "transfer");
    let context = TransactionBody::signing_context(CHAIN);
    let signature =
        signer.sign_seeded(&context, &encode(&body), &mut randomness).expect("a good key signs");
    Transaction { body, key: signer.public_key().clone(), signature }
}

/// Every change of one bit, one after the other.
pub(crate) fn bit_flips(bytes: &[u8]) -> impl Iterator<Item = Vec<u8>> {
    (0..bytes.len() * 8).map(|bit| {
        let mut flipped = bytes.to_vec();
        flipped[bit / 8] ^= 1 << (bit % 8);
        flipped
    })
}
