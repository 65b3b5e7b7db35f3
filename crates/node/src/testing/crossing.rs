//! A shard that has sent transfers to another one, and what it has certified.

use std::sync::{Arc, LazyLock};

use qcn_types::{AttestationProof, Checkpoint, Layout};

use super::*;

/// How much the transfers move.
pub(crate) const AMOUNTS: [u64; 3] = [30, 40, 50];

/// Shard 0 of two, whose validators are those of the history.
pub(crate) struct Crossing {
    pub(crate) ledger: Ledger,
    pub(crate) certificate: Certificate,
    /// As one checkpoint, above those of the history.
    pub(crate) executed: Executed,
    /// Each is a batch of its own.
    pub(crate) transfers: Vec<Transaction>,
}

pub(crate) static CROSSING: LazyLock<Crossing> = LazyLock::new(Crossing::new);

impl Crossing {
    fn new() -> Self {
        let layout = Arc::new(Layout::even(2).unwrap());
        let payer = (1..=u8::MAX)
            .map(|seed| SigningKey::from_seed(Scheme::Falcon512, &[seed; 32]).unwrap())
            .find(|key| layout.shard_of(&Address::of(key.public_key())) == ShardId(0))
            .unwrap();
        let sender = Address::of(payer.public_key());
        let accounts = [GenesisAccount { address: sender, balance: Amount(1_000) }];
        let territory = Territory::new(layout, ShardId(0)).unwrap();
        let mut ledger = Ledger::genesis_of(CHAIN, territory, &accounts).unwrap();
        let to = Address(Digest([0xf0; 32]));
        let (mut transfers, mut outcomes) = (Vec::new(), Vec::new());
        for (nonce, amount) in (0..).zip(AMOUNTS) {
            let paid = transfer(&payer, nonce, to, amount);
            outcomes.extend(ledger.execute([&paid]).outcomes);
            transfers.push(paid);
        }
        let header = Checkpoint {
            height: Height(1_000),
            state_root: ledger.state_root(),
            outbox_root: qcn_types::outbox_root(ledger.outbox().ends()),
            ..Checkpoint::default()
        };
        let executed = executed(header, &transfers, outcomes);
        let certificate = certificate_by(CHAIN, &[(0, 0), (1, 1), (3, 3)], header);
        Self { ledger, certificate, executed, transfers }
    }

    /// The shard after the other one has acknowledged everything.
    pub(crate) fn acknowledged(&self) -> (Certificate, Ledger) {
        let territory = Territory::new(Arc::new(Layout::even(2).unwrap()), ShardId(0)).unwrap();
        let ledger = Ledger::genesis_of(CHAIN, territory, &[]).unwrap();
        (self.certificate.clone(), ledger)
    }
}

/// One block with these transactions, committed.
fn executed(
    header: Checkpoint,
    transfers: &[Transaction],
    outcomes: Vec<(qcn_types::TransactionId, qcn_ledger::Outcome)>,
) -> Executed {
    let transactions = Bounded::truncated(transfers.to_vec());
    let payload = Payload { transactions, ..Payload::default() };
    let block = sign_block(0, BlockBody { round: Round(900), payload, ..bare_body(0, 1) });
    let block = HISTORY.keys.verify_block(block).unwrap();
    let leaders = vec![block.reference()];
    let (blocks, received, evidence) = (vec![block], Vec::new(), Vec::new());
    Executed { header, leaders, blocks, outcomes, received, evidence }
}

/// A block of any network and committee, signed with the key of validator `key`.
pub(crate) fn signed_by(key: u16, body: BlockBody) -> Block {
    let digest = body.digest();
    let mut randomness = SeededRandomness::from_seed(digest.as_bytes());
    let context = BlockHeader::signing_context(body.chain);
    let key = validator_key(key);
    let signature = key.sign_seeded(&context, digest.as_bytes(), &mut randomness).unwrap();
    Block { body, signature }
}

/// A certificate by members of a committee, each with the key of some validator.
pub(crate) fn certificate_by(
    chain: ChainId,
    authors: &[(u16, u16)],
    checkpoint: Checkpoint,
) -> Certificate {
    let attested =
        qcn_types::Attestation { height: checkpoint.height, checkpoint: checkpoint.digest() };
    let proof = |(author, key): &(u16, u16)| {
        let body = BlockBody {
            chain,
            shard: checkpoint.shard,
            epoch: checkpoint.epoch,
            attestations: Bounded::truncated(vec![attested]),
            ..bare_body(*author, 1)
        };
        let Block { body, signature } = signed_by(*key, body);
        AttestationProof {
            author: body.author,
            header: body.header().digest(),
            attestations: body.attestations,
            signature,
        }
    };
    let attestations = authors.iter().map(proof).collect();
    Certificate { checkpoint, attestations: Bounded::truncated(attestations) }
}
