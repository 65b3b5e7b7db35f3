//! `qcn light verify` as a person or a script runs it.

#![allow(clippy::unwrap_used, reason = "these are tests")]

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::{Arc, LazyLock};

use qcn_crypto::{Digest, Scheme, SeededRandomness, Signature, SigningKey};
use qcn_ledger::{GenesisAccount, Ledger, Territory};
use qcn_light::EpochChain;
use qcn_node::document::Overwrite;
use qcn_node::genesis::{
    EpochsContent, Genesis, GenesisContent, GenesisValidator, NamedAccount, ShardsContent,
    ValidatorKeys,
};
use qcn_node::proof_document::{AnnouncementBoard, MAX_DOCUMENT_BYTES, ProofDocument};
use qcn_types::{
    Action, Address, Amount, Announcement, Attestation, AttestationProof, BEACON, Block, BlockBody,
    BlockHeader, Bounded, Certificate, Checkpoint, CommitteeKeys, Epoch, EpochPlan, Evidence,
    Height, LaneId, Payload, Round, ShardId, Transaction, TransactionBody, ValidatorIndex,
    outbox_root,
};
use serde_json::{Value, json};

const OWNER: Address = Address(Digest([5; 32]));

/// A network of one validator, and proofs that an account in it has 700, that its checkpoint is
/// final, and that the validator signed twice.
struct Network {
    folder: PathBuf,
    proof: Value,
    checkpoint: Value,
    evidence: Value,
    /// In a network with two shards and epochs, `epochs.json`: that shard 0 sent 70 to shard 1, and
    /// that a checkpoint of the epoch after the first one is final.
    receipt: Value,
    later: Value,
}

static NETWORK: LazyLock<Network> = LazyLock::new(|| {
    let folder = std::env::temp_dir().join(format!("qcn-light-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let keys = ValidatorKeys {
        consensus: SigningKey::from_seed(Scheme::Falcon512, &[1; 32]).unwrap(),
        transport: SigningKey::from_seed(Scheme::MlDsa65, &[2; 32]).unwrap(),
        recovery: None,
    };
    let validator = GenesisValidator::register("alone", 1_000, &keys, None).unwrap();
    let beginning = begin_epochs(&folder, validator.clone(), &keys.consensus);
    let account = NamedAccount { address: OWNER, balance: 700, name: None };
    let content = GenesisContent::new("test", 1_700_000_000_000, vec![validator], vec![account]);
    let genesis = Genesis::new(content).unwrap();
    genesis.write(&folder.join("genesis.json"), Overwrite::Replace).unwrap();
    let committee = genesis.committee_keys().unwrap();
    let opened = [GenesisAccount { address: OWNER, balance: Amount(700) }];
    let ledger = Ledger::genesis(genesis.chain(), &opened).unwrap();
    let certificate = certificate(&committee, &keys.consensus, ledger.state_root());
    let account = ledger.account(&OWNER);
    let proof =
        ProofDocument::account(&committee, &certificate, OWNER, &ledger.prove(&OWNER), account);
    let checkpoint = ProofDocument::checkpoint(&committee, &certificate, Vec::new());
    let [one, other] = [1, 2]
        .map(|time_ms| signed(&keys.consensus, BlockBody { time_ms, ..bare_body(&committee) }));
    let evidence = Evidence::equivocation(&one, &other);
    let evidence = ProofDocument::evidence(&committee, &evidence).unwrap();
    let [proof, checkpoint, evidence] =
        [proof, checkpoint, evidence].map(|document| serde_json::to_value(document).unwrap());
    let (receipt, later) = beginning;
    Network { folder, proof, checkpoint, evidence, receipt, later }
});

/// The same validator alone in a network with shards and epochs, with what it certifies there.
fn begin_epochs(folder: &Path, validator: GenesisValidator, signer: &SigningKey) -> (Value, Value) {
    let epochs =
        EpochsContent { epoch_ms: 60_000, shards_max: 2, split_above: 900, merge_below: 300 };
    let shards = Some(ShardsContent { count: 2, seats: 1, epochs: Some(epochs) });
    let payer = SigningKey::from_seed(Scheme::Falcon512, &[9; 32]).unwrap();
    let sender = Address::of(payer.public_key());
    let account = NamedAccount { address: sender, balance: 700, name: None };
    let content = GenesisContent::new("epochs", 1, vec![validator], vec![account]);
    let genesis = Genesis::new(GenesisContent { shards, ..content }).unwrap();
    genesis.write(&folder.join("epochs.json"), Overwrite::Replace).unwrap();

    let plan = &genesis.beacon().unwrap().plan;
    let source = genesis.layout().shard_of(&sender);
    let destination = ShardId(1 - source.0);
    let opened = [GenesisAccount { address: sender, balance: Amount(700) }];
    let territory = Territory::of(plan, source).unwrap();
    let mut ledger = Ledger::genesis_of(genesis.chain(), territory, &opened).unwrap();
    let to = Address(Digest([(destination.0 as u8) << 7; 32]));
    let action = Action::Transfer { to, amount: Amount(70) };
    let body = TransactionBody { sender, nonce: 0, fee: Amount(1), action };
    let id = body.id();
    let signature = Signature::new([]).unwrap();
    let paid = Transaction { body, key: payer.public_key().clone(), signature };
    ledger.execute([&paid]);
    let proof = ledger.prove_receipt(LaneId { own: source, peer: destination }, id).unwrap();
    let keys = genesis.shard_keys().unwrap();
    let keys = keys.iter().find(|keys| keys.committee().shard() == source).unwrap();
    let outbox_root = outbox_root(ledger.outbox().ends());
    let left =
        Checkpoint { shard: source, height: Height(1), outbox_root, ..Checkpoint::default() };
    let receipt = ProofDocument::receipt(keys, &certify(keys, signer, left), &proof);

    let first = EpochChain::new(genesis.chain(), Arc::clone(plan)).unwrap();
    let next = EpochPlan { epoch: Epoch(1), ..EpochPlan::clone(plan) };
    let end = Checkpoint { shard: BEACON, next_epoch: next.digest(), ..left };
    let beacon = first.keys(BEACON, Epoch(0)).unwrap();
    let announcement = Announcement { certificate: certify(&beacon, signer, end), plan: next };
    let mut chain = first;
    chain.follow(&announcement).unwrap();
    let keys = chain.keys(source, Epoch(1)).unwrap();
    let final_one = Checkpoint { epoch: Epoch(1), height: Height(7), ..left };
    let later = ProofDocument::checkpoint(&keys, &certify(&keys, signer, final_one), Vec::new());
    let board = AnnouncementBoard::default();
    board.add(&announcement);
    let later = later.with_announcements(board.up_to(Epoch(1)));
    (serde_json::to_value(receipt).unwrap(), serde_json::to_value(later).unwrap())
}

fn bare_body(keys: &CommitteeKeys) -> BlockBody {
    BlockBody {
        chain: keys.chain(),
        shard: keys.committee().shard(),
        epoch: keys.committee().epoch(),
        round: Round(3),
        author: ValidatorIndex(0),
        time_ms: 1,
        parents: Vec::new(),
        payload: Payload::default(),
        attestations: Bounded::default(),
    }
}

fn signed(signer: &SigningKey, body: BlockBody) -> Block {
    let mut randomness = SeededRandomness::from_u64(1, "light");
    let context = BlockHeader::signing_context(body.chain);
    let digest = body.digest();
    let signature = signer.sign_seeded(&context, digest.as_bytes(), &mut randomness).unwrap();
    Block { body, signature }
}

/// The validator's attestation of height 1 with this state.
fn certificate(keys: &CommitteeKeys, signer: &SigningKey, state_root: Digest) -> Certificate {
    certify(keys, signer, Checkpoint { height: Height(1), state_root, ..Checkpoint::default() })
}

fn certify(keys: &CommitteeKeys, signer: &SigningKey, checkpoint: Checkpoint) -> Certificate {
    let attested = Attestation { height: checkpoint.height, checkpoint: checkpoint.digest() };
    let attestations = Bounded::truncated(vec![attested]);
    let Block { body, signature } = signed(signer, BlockBody { attestations, ..bare_body(keys) });
    let proof = AttestationProof {
        author: ValidatorIndex(0),
        header: body.header().digest(),
        attestations: body.attestations,
        signature,
    };
    Certificate { checkpoint, attestations: Bounded::truncated(vec![proof]) }
}

fn check(name: &str, document: &str, flags: &[&str]) -> Output {
    check_with("genesis.json", name, document, flags)
}

fn check_with(genesis: &str, name: &str, document: &str, flags: &[&str]) -> Output {
    let path = NETWORK.folder.join(name);
    std::fs::write(&path, document).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_qcn"))
        .args(["light", "verify"])
        .arg(&path)
        .arg("--genesis")
        .arg(NETWORK.folder.join(genesis))
        .args(flags)
        .stdin(Stdio::null())
        .output();
    output.unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

#[test]
fn a_valid_proof_is_told_with_what_it_shows() {
    let document = NETWORK.proof.to_string();
    let output = check("told.json", &document, &[]);
    let shown = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{shown}{}", text(&output.stderr));
    assert!(shown.starts_with("valid proof of account\n"), "{shown}");
    assert!(shown.contains("balance           700\n"), "{shown}");
    let output = check("told.json", &document, &["--json"]);
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&report["valid"], &report["kind"]), (&json!(true), &json!("account")));
    assert_eq!(report["claims"], NETWORK.proof["claims"]);
}

#[test]
fn a_changed_proof_is_refused_with_a_reason() {
    let mut changed = NETWORK.proof.clone();
    changed["claims"]["balance"] = json!("7000");
    let output = check("changed.json", &changed.to_string(), &[]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stdout).starts_with("NOT VALID: the claims are not"), "{output:?}");
    changed["chain_id"] = json!("00".repeat(32));
    let output = check("changed.json", &changed.to_string(), &["--json"]);
    assert_eq!(output.status.code(), Some(1));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["valid"], json!(false));
    assert!(report["reason"].as_str().unwrap().contains("another network"), "{report}");
}

#[test]
fn a_file_that_is_no_proof_is_bad_input() {
    let genesis = std::fs::read_to_string(NETWORK.folder.join("genesis.json")).unwrap();
    for (document, part) in
        [("", "empty"), ("{", "cut off"), ("[]", "invalid"), (&genesis, "field")]
    {
        for flags in [&[][..], &["--json"]] {
            let output = check("nonsense.json", document, flags);
            assert_eq!(output.status.code(), Some(2), "{document:?}: {output:?}");
            assert!(output.stdout.is_empty(), "{output:?}");
            let said = text(&output.stderr);
            assert!(said.contains("nonsense.json: this is not a proof document: "), "{said}");
            assert!(said.contains(part), "{said}");
            let (_, remedy) = said.split_once("; ").unwrap();
            assert!(remedy.starts_with("give a proof as `qcn query proof"), "{said}");
        }
    }
}

/// What the help shows works as it stands against a devnet on its usual port.
#[test]
fn the_examples_name_the_port_of_a_devnet() {
    let help = |command: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_qcn")).args(command).arg("--help").output();
        String::from_utf8(output.unwrap().stdout).unwrap()
    };
    let devnet = help(&["devnet"]);
    let (_, port) = devnet.split_once("--port").unwrap();
    let (port, _) = port.split_once(" if not given").unwrap();
    let port = port.split_whitespace().last().unwrap();
    let examples = help(&["light", "verify"]);
    let addresses: Vec<_> = examples.split("http://127.0.0.1:").skip(1).collect();
    assert!(!addresses.is_empty());
    for address in addresses {
        assert!(address.starts_with(&format!("{port}/")), "{address}");
    }
}

#[test]
fn proofs_of_checkpoints_and_of_misbehaviour_are_told_too() {
    let proof = &NETWORK.checkpoint;
    let output = check("checkpoint.json", &proof.to_string(), &[]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(text(&output.stdout).starts_with("valid proof of checkpoint\n"), "{output:?}");
    let output = check("evidence.json", &NETWORK.evidence.to_string(), &["--json"]);
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&report["valid"], &report["kind"]), (&json!(true), &json!("evidence")), "{report}");
    assert_eq!(report["claims"]["name"], "alone");
    let mut changed = NETWORK.evidence.clone();
    changed["claims"]["name"] = json!("another");
    let output = check("evidence.json", &changed.to_string(), &[]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
}

#[test]
fn a_receipt_is_told_with_the_way_that_it_took() {
    let receipt = &NETWORK.receipt;
    let output = check_with("epochs.json", "receipt.json", &receipt.to_string(), &[]);
    let shown = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert!(shown.starts_with("valid proof of receipt\n"), "{shown}");
    for name in ["source shard", "destination shard", "lane number", "sender", "receiver"] {
        assert!(shown.contains(&format!("\n  {name:<18}")), "{name}: {shown}");
    }
    assert!(shown.contains("\n  amount            70\n"), "{shown}");
    assert!(
        shown.ends_with("epoch             0\n  announcements     0 followed from the genesis\n")
    );
    let mut changed = receipt.clone();
    changed["claims"]["amount"] = json!("7000");
    let output = check_with("epochs.json", "receipt.json", &changed.to_string(), &[]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let output = check("receipt.json", &receipt.to_string(), &[]);
    assert!(text(&output.stdout).contains("another network"), "{output:?}");
}

#[test]
fn a_proof_of_a_later_epoch_is_told_with_its_announcements() {
    let verify = |document: &Value| {
        check_with("epochs.json", "later.json", &document.to_string(), &["--json"])
    };
    let output = verify(&NETWORK.later);
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{report}");
    assert_eq!((&report["epoch"], &report["announcements"]), (&json!(1), &json!(1)));
    let mut alone = NETWORK.later.clone();
    alone.as_object_mut().unwrap().remove("announcements");
    let output = verify(&alone);
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1), "{report}");
    assert!(report["reason"].as_str().unwrap().contains("fetch it again"), "{report}");
    let output = check("valid.json", &NETWORK.proof.to_string(), &["--json"]);
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report.get("epoch"), None, "committees never change in that network");
}

#[test]
fn a_file_that_is_too_large_is_bad_input() {
    let document = " ".repeat(MAX_DOCUMENT_BYTES + 1);
    let output = check("large.json", &document, &[]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("a proof has at most"), "{:?}", text(&output.stderr));
}

#[test]
fn files_that_are_not_there_are_bad_input() {
    for (proof, genesis) in [("missing.json", "genesis.json"), ("valid.json", "missing.json")] {
        std::fs::write(NETWORK.folder.join("valid.json"), NETWORK.proof.to_string()).unwrap();
        let output = Command::new(env!("CARGO_BIN_EXE_qcn"))
            .args(["light", "verify"])
            .arg(NETWORK.folder.join(proof))
            .arg("--genesis")
            .arg(NETWORK.folder.join(genesis))
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(2));
        assert!(text(&output.stderr).contains("missing.json"), "{output:?}");
    }
}
