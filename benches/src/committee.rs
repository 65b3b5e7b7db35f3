//! Committees whose members can sign.

use std::sync::Arc;

use qcn_crypto::{ChainId, Digest, Domain, Scheme, SeededRandomness, Signature, SigningKey, hash};
use qcn_types::{
    Attestation, AttestationProof, Block, BlockBody, BlockHeader, BlockRef, Bounded, Certificate,
    Checkpoint, Committee, CommitteeKeys, Epoch, Height, Member, Payload, Round, ShardId,
    ValidatorIndex, VerifiedBlock, Weight, genesis_ref,
};

/// The network of all benchmarks.
pub const CHAIN: ChainId = ChainId(Digest([7; 32]));

/// A committee of equal weights with Falcon-512 keys, and its secrets.
#[derive(Debug)]
pub struct Validators {
    secrets: Vec<SigningKey>,
    keys: CommitteeKeys,
}

impl Validators {
    /// `count` validators of weight 1000.
    #[must_use]
    pub fn new(count: u16) -> Self {
        let secrets: Vec<SigningKey> = (0..count)
            .map(|index| {
                let seed = hash(Domain::Simulation, &index.to_le_bytes());
                SigningKey::from_seed(Scheme::Falcon512, &seed.0).expect("a seed gives a key")
            })
            .collect();
        let members = secrets.iter().enumerate().map(|(index, secret)| Member {
            name: format!("v{index}"),
            key: secret.public_key().clone(),
            weight: Weight(1_000),
        });
        let committee = Committee::new(ShardId(0), Epoch(0), members.collect());
        let committee = Arc::new(committee.expect("a good committee"));
        let keys = CommitteeKeys::decode(CHAIN, committee).expect("good keys");
        Self { secrets, keys }
    }

    /// The committee with its decoded keys.
    #[must_use]
    pub const fn keys(&self) -> &CommitteeKeys {
        &self.keys
    }

    /// The committee.
    #[must_use]
    pub fn committee(&self) -> &Committee {
        self.keys.committee()
    }

    /// Signs a block as its author.
    #[must_use]
    pub fn sign(&self, body: BlockBody) -> Block {
        let signature = self.signature(body.author, &body.digest());
        Block { body, signature }
    }

    /// Signs and verifies a block.
    ///
    /// # Panics
    /// If the block is not valid.
    #[must_use]
    pub fn seal(&self, body: BlockBody) -> VerifiedBlock {
        self.keys.verify_block(self.sign(body)).expect("an own signature verifies")
    }

    fn signature(&self, author: ValidatorIndex, digest: &Digest) -> Signature {
        let mut randomness = SeededRandomness::from_seed(&digest.0);
        self.secrets[author.position()]
            .sign_seeded(&BlockHeader::signing_context(CHAIN), &digest.0, &mut randomness)
            .expect("a good key signs")
    }

    /// A block that has all `parents` of the round before.
    #[must_use]
    pub fn body(
        &self,
        author: ValidatorIndex,
        round: Round,
        time_ms: u64,
        parents: &[BlockRef],
        payload: Payload,
    ) -> BlockBody {
        let own = parents.iter().filter(|parent| parent.author == author);
        let others = parents.iter().filter(|parent| parent.author != author);
        BlockBody {
            chain: CHAIN,
            shard: self.committee().shard(),
            epoch: self.committee().epoch(),
            round,
            author,
            time_ms,
            parents: own.chain(others).copied().collect(),
            payload,
            attestations: Bounded::truncated(vec![attestation(round)]),
        }
    }

    /// A certificate by a bare quorum, each member attesting to one checkpoint.
    #[must_use]
    pub fn certificate(&self) -> Certificate {
        let committee = self.committee();
        let checkpoint = Checkpoint { height: Height(9), ..Checkpoint::default() };
        let attested = Attestation { height: Height(9), checkpoint: checkpoint.digest() };
        let quorum = committee.quorum_weight().div_ceil(1_000) as usize;
        let parents = genesis_parents(committee);
        let proofs = committee.indices().take(quorum).map(|author| {
            let mut body = self.body(author, Round(1), 0, &parents, Payload::default());
            body.attestations = Bounded::truncated(vec![attested]);
            let block = self.sign(body);
            AttestationProof {
                author,
                header: block.body.header().digest(),
                attestations: block.body.attestations,
                signature: block.signature,
            }
        });
        Certificate { checkpoint, attestations: Bounded::truncated(proofs.collect()) }
    }
}

/// An attestation such as a block of this round carries.
#[must_use]
pub fn attestation(round: Round) -> Attestation {
    let checkpoint = hash(Domain::Simulation, &round.0.to_le_bytes());
    Attestation { height: Height(round.0), checkpoint }
}

/// The implicit blocks of the genesis round.
#[must_use]
pub fn genesis_parents(committee: &Committee) -> Vec<BlockRef> {
    let genesis = |author| genesis_ref(CHAIN, committee.shard(), committee.epoch(), author);
    committee.indices().map(genesis).collect()
}
