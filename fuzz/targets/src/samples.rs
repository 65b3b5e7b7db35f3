//! Valid inputs for the fuzzer to start from.

use std::sync::{Arc, LazyLock};

use qcn_consensus::{CommitRecord, Message, Schedule};
use qcn_crypto::{
    ChainId, Digest, Domain, MerkleTree, Role, Scheme, SeededRandomness, Signature, SigningKey,
    hash, prove_possession, to_hex,
};
use qcn_ledger::{GenesisAccount, Ledger, StateRegion};
use qcn_shard::SyncPackage;
use qcn_sim::scenario::BUILTIN;
use qcn_types::{
    Action, Address, Amount, Attestation, AttestationProof, Block, BlockBody, BlockHeader,
    BlockRef, Bounded, Certificate, Checkpoint, Committee, CommitteeKeys, CompactBlock, Delivery,
    Epoch, Evidence, Height, LaneEnd, LaneHead, LaneLink, Member, Payload, Receipt, ReceiptKind,
    Round, ShardId, Slot, Transaction, TransactionBody, TransactionId, ValidatorIndex, Weight,
    encode, genesis_ref, outbox_root, outbox_tree,
};
use serde_json::json;

pub(crate) const CHAIN: ChainId = ChainId(Digest([7; 32]));
const MEMBERS: u16 = 4;

static SECRETS: LazyLock<Vec<SigningKey>> = LazyLock::new(|| {
    let key = |index: u16| {
        let seed = hash(Domain::Simulation, &index.to_le_bytes());
        SigningKey::from_seed(Scheme::Falcon512, &seed.0).expect("a seed gives a key")
    };
    (0..MEMBERS).map(key).collect()
});

static KEYS: LazyLock<CommitteeKeys> = LazyLock::new(|| {
    let members = SECRETS.iter().enumerate().map(|(index, secret)| Member {
        name: format!("v{index}"),
        key: secret.public_key().clone(),
        weight: Weight(1_000),
    });
    let committee = Committee::new(ShardId(0), Epoch(0), members.collect());
    CommitteeKeys::decode(CHAIN, Arc::new(committee.expect("a good committee"))).expect("good keys")
});

static LEDGER: LazyLock<Ledger> = LazyLock::new(|| {
    let account = |index: u16| GenesisAccount {
        address: Address(hash(Domain::Address, &index.to_le_bytes())),
        balance: Amount(1_000 + u64::from(index)),
    };
    let accounts: Vec<GenesisAccount> = (0..40).map(account).collect();
    Ledger::genesis(CHAIN, &accounts).expect("distinct accounts")
});

/// The committee that every target knows.
pub(crate) fn keys() -> &'static CommitteeKeys {
    &KEYS
}

/// The root of the state that every target knows.
pub(crate) fn known_root() -> Digest {
    LEDGER.state_root()
}

/// Signs a block as its author.
pub(crate) fn sign(body: BlockBody) -> Block {
    let digest = body.digest();
    let mut randomness = SeededRandomness::from_seed(&digest.0);
    let signature = SECRETS[body.author.position()]
        .sign_seeded(&BlockHeader::signing_context(CHAIN), &digest.0, &mut randomness)
        .expect("a good key signs");
    Block { body, signature }
}

/// A block of round 1 with one attestation.
fn first_block(author: u16, time_ms: u64, checkpoint: Digest, payload: Payload) -> Block {
    let author = ValidatorIndex(author);
    let committee = keys().committee();
    let genesis = |index| genesis_ref(CHAIN, committee.shard(), committee.epoch(), index);
    let others = committee.indices().filter(|index| *index != author);
    sign(BlockBody {
        chain: CHAIN,
        shard: committee.shard(),
        epoch: committee.epoch(),
        round: Round(1),
        author,
        time_ms,
        parents: [author].into_iter().chain(others).map(genesis).collect(),
        payload,
        attestations: Bounded::truncated(vec![Attestation { height: Height(1), checkpoint }]),
    })
}

/// A transfer or a rotation of the key, signed by a member's key.
pub(crate) fn transaction(nonce: u64, rotate: bool) -> Transaction {
    let key = &SECRETS[1];
    let action = if rotate {
        let new = &SECRETS[2];
        let possession = prove_possession(new, CHAIN, Role::Account).expect("a good key signs");
        Action::RotateKey { key: new.public_key().clone(), possession }
    } else {
        Action::Transfer { to: Address::default(), amount: Amount(5) }
    };
    let sender = Address::of(key.public_key());
    let body = TransactionBody { sender, nonce, fee: Amount(1), action };
    let mut randomness = SeededRandomness::from_u64(nonce, "fuzz");
    let context = TransactionBody::signing_context(CHAIN);
    let signature = key.sign_seeded(&context, &encode(&body), &mut randomness);
    let signature = signature.expect("a good key signs");
    Transaction { body, key: key.public_key().clone(), signature }
}

fn certificate() -> Certificate {
    let checkpoint = Checkpoint { height: Height(1), ..Checkpoint::default() };
    let proofs = (0..3).map(|author| {
        let block = first_block(author, 10, checkpoint.digest(), Payload::default());
        AttestationProof {
            author: block.body.author,
            header: block.body.header().digest(),
            attestations: block.body.attestations,
            signature: block.signature,
        }
    });
    Certificate { checkpoint, attestations: Bounded::truncated(proofs.collect()) }
}

fn evidence() -> Vec<Evidence> {
    let block = |time_ms, digest| first_block(2, time_ms, digest, Payload::default());
    let (one, other) = (block(10, Digest::ZERO), block(11, Digest([3; 32])));
    let mut bad = transaction(0, false);
    bad.body.nonce = 1;
    let transactions = Bounded::truncated(vec![bad]);
    let payload = Payload { transactions, ..Payload::default() };
    vec![
        Evidence::equivocation(&one, &other),
        Evidence::conflicting_attestations(&one, &other),
        Evidence::invalid_block(&first_block(3, 10, Digest::ZERO, payload)),
    ]
}

/// Receipts of another shard, with a certificate of a committee that the targets do not know.
fn delivery() -> Delivery {
    let receipt = Receipt {
        kind: ReceiptKind::Transfer,
        transaction: TransactionId::default(),
        sender: Address::default(),
        receiver: Address(Digest([9; 32])),
        amount: Amount(5),
    };
    let batches = [vec![receipt; 2], vec![receipt]];
    let links = batches.each_ref().map(|batch| LaneLink::of(batch));
    let head = |head: LaneHead, link| head.after(link).expect("small counts");
    let sent = links.iter().fold(LaneHead::default(), head);
    let ends = [LaneEnd { own: ShardId(1), peer: ShardId(0), sent, received: LaneHead::default() }];
    let mut certificate = certificate();
    certificate.checkpoint.shard = ShardId(1);
    certificate.checkpoint.outbox_root = outbox_root(&ends);
    let delivery = Delivery {
        certificate,
        end: ends[0],
        inclusion: outbox_tree(&ends).prove(0).expect("the only leaf"),
        before: LaneHead::default(),
        batches: Bounded::truncated(vec![Bounded::truncated(batches[0].clone())]),
        links: Bounded::truncated(vec![links[1]]),
    };
    assert_eq!(delivery.check_lane(|number| number == ShardId(0)), Ok(()));
    delivery
}

fn blocks() -> Vec<CompactBlock> {
    let transactions = Bounded::truncated(vec![transaction(0, false), transaction(1, true)]);
    let payload = Payload {
        transactions,
        evidence: Bounded::truncated(evidence()),
        deliveries: Bounded::truncated(vec![delivery()]),
        ..Payload::default()
    };
    let block = first_block(1, 10, Digest::ZERO, payload);
    let empty = first_block(2, 10, Digest::ZERO, Payload::default());
    vec![CompactBlock::pack(&block), CompactBlock::in_full(&block), CompactBlock::pack(&empty)]
}

fn consensus_messages() -> Vec<Message> {
    let slot = Slot { round: Round(1), author: ValidatorIndex(1) };
    let blocks: Vec<Arc<CompactBlock>> = blocks().into_iter().map(Arc::new).collect();
    let latest = BlockRef { round: Round(1), ..BlockRef::default() };
    vec![
        Message::Block(Arc::clone(&blocks[0])),
        Message::Blocks(Bounded::truncated(blocks)),
        Message::RequestSlots(Bounded::truncated(vec![slot; 3])),
        Message::RequestBlocks(Bounded::truncated(vec![latest; 3])),
        Message::RequestFull(slot),
        Message::RequestRounds { first: Round(1), count: 4 },
        Message::RecoveryQuery { nonce: 3 },
        Message::RecoveryAnswer { nonce: 3, latest },
    ]
}

fn sync_package() -> SyncPackage {
    let committee = Arc::clone(keys().committee());
    let schedule = Schedule::new(committee, Digest::ZERO, 2, 8);
    let record = CommitRecord {
        index: 1,
        previous: Digest::ZERO,
        leader: BlockRef::default(),
        blocks: Bounded::truncated(vec![BlockRef::default(); 4]),
        undecided_leaders: Bounded::truncated(vec![ValidatorIndex(2)]),
        schedule: schedule.digest(),
    };
    SyncPackage {
        certificate: certificate(),
        commits: Bounded::truncated(vec![record]),
        schedule: schedule.state(),
        plan: Bounded::default(),
    }
}

fn shard_messages() -> Vec<qcn_shard::Message> {
    let chunk = Arc::new(LEDGER.chunks().next().expect("the state has a chunk"));
    let mut messages: Vec<qcn_shard::Message> =
        consensus_messages().into_iter().map(qcn_shard::Message::Consensus).collect();
    messages.extend([
        qcn_shard::Message::SyncRequest { above: Height(3) },
        qcn_shard::Message::SyncOffer(Arc::new(sync_package())),
        qcn_shard::Message::ChunkRequest { height: Height(3), region: StateRegion::WHOLE },
        qcn_shard::Message::Chunk { height: Height(3), region: StateRegion::WHOLE, chunk },
        qcn_shard::Message::ChunkGone { height: Height(3) },
    ]);
    messages
}

/// Every scheme with a key and a signature of the right length, as the target reads them.
fn signatures_to_verify() -> Vec<Vec<u8>> {
    let sized = |number: usize, scheme: &Scheme| {
        let mut bytes = vec![number as u8, 0, 0, 0, 0, 3, 0];
        bytes.resize(7 + scheme.public_key_bytes() + scheme.signature_bytes() + 8, 0x5a);
        bytes
    };
    let mut inputs: Vec<Vec<u8>> =
        Scheme::ALL.iter().enumerate().map(|(number, scheme)| sized(number, scheme)).collect();
    let key = &SECRETS[0];
    let signature = key.sign_raw(b"message", &[]).expect("a good key signs");
    let parts = [&[0; 7][..], key.public_key().as_bytes(), signature.as_bytes(), b"message"];
    inputs.push(parts.concat());
    inputs
}

/// A line of a batch with a good signature.
fn batch_lines() -> Vec<Vec<u8>> {
    let key = &SECRETS[0];
    let signature = key.sign_raw(b"message", b"context").expect("a good key signs");
    let line = json!({
        "scheme": key.scheme().name(),
        "public_key": key.public_key().to_string(),
        "message": to_hex(b"message"),
        "context": to_hex(b"context"),
        "signature": to_hex(signature.as_bytes()),
    });
    vec![line.to_string().into_bytes()]
}

/// What `qcn crypto keygen` writes.
fn key_files() -> Vec<Vec<u8>> {
    let file = |scheme| {
        let key = SigningKey::from_seed(scheme, &[1; 32]).expect("a seed gives a key");
        let file = json!({
            "scheme": key.scheme().name(),
            "public_key": key.public_key().to_string(),
            "secret_seed": to_hex(key.expose_seed()),
        });
        file.to_string().into_bytes()
    };
    [Scheme::Falcon512, Scheme::MlDsa44].map(file).to_vec()
}

fn documents() -> Vec<Vec<u8>> {
    [
        r#"{"b": [1, -0.0, 1e300, 1.5E-7, NaN, -Infinity], "a": "\u00e9\ud83d\ude00\ud800", "hash": 1}"#,
        r#"[[[[{"x": {"x": {}}}]]], null, true, false, 123456789012345678901234567890]"#,
        r#"{"a": 1, "a": 2, "": "\"\\\/\b\f\n\r\t", "é": "𝄞"}"#,
    ]
    .map(|text| text.as_bytes().to_vec())
    .to_vec()
}

fn drawn_dags() -> Vec<Vec<u8>> {
    [
        &include_bytes!("../../../scenarios/dags/commit.json")[..],
        include_bytes!("../../../scenarios/dags/equivocation.json"),
        include_bytes!("../../../scenarios/dags/indirect.json"),
        include_bytes!("../../../scenarios/dags/skip.json"),
    ]
    .map(<[u8]>::to_vec)
    .to_vec()
}

/// Valid inputs of a target.
///
/// # Panics
/// If there is no such target.
#[must_use]
pub fn samples(target: &str) -> Vec<Vec<u8>> {
    let proof = |index: u16| LEDGER.prove(&Address(hash(Domain::Address, &index.to_le_bytes())));
    let tree = MerkleTree::new(&[Digest([1; 32]); 7]);
    match target {
        "account_proof" => vec![encode(&proof(3)), encode(&proof(99))],
        "certificate" => vec![encode(&certificate())],
        "committee" => vec![encode(&**keys().committee())],
        "compact_block" => blocks().iter().map(encode).collect(),
        "consensus_message" => consensus_messages().iter().map(encode).collect(),
        "dag_document" => drawn_dags(),
        "evidence" => evidence().iter().map(encode).collect(),
        "inclusion_proof" => (0..7).filter_map(|leaf| Some(encode(&tree.prove(leaf)?))).collect(),
        "public_key" => SECRETS.iter().map(|key| encode(key.public_key())).collect(),
        "scenario" => BUILTIN.iter().map(|scenario| scenario.text.into()).collect(),
        "shard_message" => shard_messages().iter().map(encode).collect(),
        "signature" => vec![encode(&Signature::new(vec![5; 666]).expect("short enough"))],
        "state_chunk" => vec![encode(&LEDGER.chunks().next().expect("the state has a chunk"))],
        "sync_package" => vec![encode(&sync_package())],
        "transaction" => vec![encode(&transaction(0, false)), encode(&transaction(1, true))],
        "batch_line" => batch_lines(),
        "key_file" => key_files(),
        "layered_hash" => documents(),
        "verify_raw" => signatures_to_verify(),
        "machine" => crate::door::scripts(),
        unknown => panic!("no target {unknown}"),
    }
}
