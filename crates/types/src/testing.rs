//! Values for tests: a committee with real keys, and blocks with everything in them.

use std::sync::{Arc, LazyLock};

use qcn_crypto::{
    ChainId, Digest, Domain, PublicKey, Scheme, SeededRandomness, Signature, SigningKey, hash,
};

use crate::{
    Action, Address, Amount, Attestation, Block, BlockBody, BlockHeader, BlockRef, Bounded,
    Committee, CommitteeKeys, Epoch, Evidence, Height, Member, Payload, Round, ShardId,
    Transaction, TransactionBody, ValidatorIndex, Weight, encode, genesis_ref,
};

static SIGNERS: LazyLock<Vec<SigningKey>> = LazyLock::new(|| {
    let key = |seed: u8| SigningKey::from_seed(Scheme::Falcon512, &[seed; 32]);
    (1..=4).map(|seed| key(seed).expect("the seed gives a key")).collect()
});

pub(crate) const CHAIN: ChainId = ChainId(Digest([7; 32]));

pub(crate) fn digest(text: &str) -> Digest {
    hash(Domain::Simulation, text.as_bytes())
}

/// A key of the right length, which nobody holds.
pub(crate) fn some_key(number: u16) -> PublicKey {
    let mut bytes = vec![9; Scheme::Falcon512.public_key_bytes()];
    bytes[..2].copy_from_slice(&number.to_le_bytes());
    PublicKey::new(Scheme::Falcon512, &bytes).expect("the right length")
}

/// Members `m0`, `m1`, ... with these weights and keys that nobody holds.
pub(crate) fn members(weights: &[u64]) -> Vec<Member> {
    let member = |(index, weight): (usize, &u64)| Member {
        name: format!("m{index}"),
        key: some_key(index as u16),
        weight: Weight(*weight),
    };
    weights.iter().enumerate().map(member).collect()
}

/// Four equal validators whose keys the tests hold.
pub(crate) fn keys_at(chain: ChainId, shard: ShardId, epoch: Epoch) -> CommitteeKeys {
    let mut members = members(&[1; 4]);
    for (member, signer) in members.iter_mut().zip(&*SIGNERS) {
        member.key = signer.public_key().clone();
    }
    let committee = Committee::new(shard, epoch, members).expect("a good committee");
    CommitteeKeys::decode(chain, Arc::new(committee)).expect("good keys")
}

pub(crate) fn sign(author: ValidatorIndex, chain: ChainId, digest: &Digest) -> Signature {
    let mut randomness = SeededRandomness::from_seed(digest.as_bytes());
    SIGNERS[author.position()]
        .sign_seeded(&BlockHeader::signing_context(chain), digest.as_bytes(), &mut randomness)
        .expect("a good key signs")
}

pub(crate) fn signed(body: BlockBody) -> Block {
    let signature = sign(body.author, body.chain, &body.digest());
    Block { body, signature }
}

pub(crate) fn reference(round: u64, author: u16) -> BlockRef {
    let author = ValidatorIndex(author);
    if round == 0 {
        return genesis_ref(CHAIN, ShardId(0), Epoch(0), author);
    }
    BlockRef { round: Round(round), author, digest: digest(&format!("{round} {author}")) }
}

pub(crate) fn transfer(signer: usize, nonce: u64) -> Transaction {
    let signer = &SIGNERS[signer];
    let body = TransactionBody {
        sender: Address::of(signer.public_key()),
        nonce,
        fee: Amount(1),
        action: Action::Transfer { to: Address(digest("to")), amount: Amount(10) },
    };
    let mut randomness = SeededRandomness::from_u64(nonce, "transfer");
    let context = TransactionBody::signing_context(CHAIN);
    let signature =
        signer.sign_seeded(&context, &encode(&body), &mut randomness).expect("a good key signs");
    Transaction { body, key: signer.public_key().clone(), signature }
}

pub(crate) fn rotation(signer: usize, nonce: u64) -> Transaction {
    let mut transaction = transfer(signer, nonce);
    let possession = Signature::new(vec![1; 666]).expect("a short signature");
    transaction.body.action = Action::RotateKey { key: some_key(3), possession };
    transaction
}

/// A block of validator 1 in round 9 without a payload.
pub(crate) fn bare_body() -> BlockBody {
    BlockBody {
        chain: CHAIN,
        shard: ShardId(0),
        epoch: Epoch(0),
        round: Round(9),
        author: ValidatorIndex(1),
        time_ms: 9_000,
        parents: vec![reference(8, 1), reference(8, 0), reference(7, 2), reference(0, 3)],
        payload: Payload::default(),
        attestations: Bounded::default(),
    }
}

/// The same block with transactions, evidence of each kind and attestations.
pub(crate) fn full_body() -> BlockBody {
    let mut body = bare_body();
    let (one, mut other) = (signed(bare_body()), bare_body());
    other.time_ms += 1;
    other.attestations = attestations(&["x"]);
    let other = signed(other);
    body.payload.transactions = Bounded::truncated(vec![transfer(2, 0), rotation(3, 4)]);
    body.payload.evidence = Bounded::truncated(vec![
        Evidence::equivocation(&one, &other),
        Evidence::conflicting_attestations(&one, &other),
        Evidence::invalid_block(&one),
    ]);
    body.attestations = attestations(&["a", "b"]);
    body
}

pub(crate) fn attestations<const N: usize>(names: &[&str]) -> Bounded<Attestation, N> {
    let attestation = |(height, name): (usize, &&str)| Attestation {
        height: Height(height as u64 + 1),
        checkpoint: digest(name),
    };
    Bounded::truncated(names.iter().enumerate().map(attestation).collect())
}
