//! Documents from a real history, and what becomes of them when somebody changes them.

use std::collections::BTreeMap;

use qcn_crypto::{ChainId, Digest, Scheme, SigningKey};
use qcn_types::{Checkpoint, Committee, Epoch, Height, LaneId, Member, ShardId, Weight};
use serde_json::{Value, json};

use super::*;
use crate::archive::{Archive, Retention};
use crate::testing::crossing::{AMOUNTS, CROSSING, certificate_by};
use crate::testing::{CHAIN, HISTORY, TestFolder, equivocation, validator_key};

/// One document of each kind, with ancestors where there may be some.
fn documents() -> BTreeMap<&'static str, ProofDocument> {
    let keys = &HISTORY.keys;
    let folder = TestFolder::new();
    let archive = Archive::open(folder.path(), Retention::ALL).unwrap();
    HISTORY.tell(&archive);
    let (certificate, ledger) = HISTORY.certified();
    let address = Address::of(HISTORY.accounts[0].public_key());
    let nobody = Address(Digest([0x77; 32]));
    let account = |address: Address| {
        let proof = ledger.prove(&address);
        let account = ledger.account(&address);
        ProofDocument::account(keys, &certificate, address, &proof, account)
    };
    let transactions = HISTORY.transfers.iter().map(|transfer| {
        let proven = archive.transaction_proof(transfer.body.id()).unwrap().unwrap();
        ProofDocument::transaction(keys, proven)
    });
    let with_ancestors = transactions.clone().find(|document| document.ancestors.is_some());
    let (top, ancestors) = archive.certified_chain(Height(4)).unwrap().unwrap();
    assert_eq!(ancestors.len(), 2);
    BTreeMap::from([
        ("account", account(address)),
        ("absent account", account(nobody)),
        ("transaction", with_ancestors.unwrap()),
        ("failed transaction", transactions.clone().nth(2).unwrap()),
        ("checkpoint", ProofDocument::checkpoint(keys, &top, ancestors)),
        ("certified checkpoint", ProofDocument::checkpoint(keys, &top, Vec::new())),
        ("receipt", receipt(1)),
        ("evidence", ProofDocument::evidence(keys, &equivocation(2)).unwrap()),
    ])
}

/// That the second of three transfers, or another one, left shard 0.
fn receipt(number: usize) -> ProofDocument {
    let proof = receipt_proof(number);
    ProofDocument::receipt(&HISTORY.keys, &CROSSING.certificate, &proof)
}

fn receipt_proof(number: usize) -> ReceiptProof {
    let lane = LaneId { own: ShardId(0), peer: ShardId(1) };
    CROSSING.ledger.prove_receipt(lane, CROSSING.transfers[number].body.id()).unwrap()
}

fn check(value: &Value) -> Result<Claims, ProofDocumentError> {
    verify(&ProofDocument::parse(&value.to_string())?, &HISTORY.keys)
}

#[test]
fn documents_of_every_kind_check() {
    for (name, document) in documents() {
        let value = serde_json::to_value(&document).unwrap();
        let claims = check(&value).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(to_value(&claims), value["claims"], "{name}");
    }
}

#[test]
fn what_is_claimed_is_what_is_shown() {
    let documents = documents();
    let shown = |name: &str| documents[name].claims.clone();
    assert_eq!(shown("absent account")["exists"], json!(false));
    assert_eq!(shown("failed transaction")["result"], json!("failed"));
    assert!(shown("failed transaction")["reason"].is_string());
    assert_eq!(shown("checkpoint")["height"], json!(4));
    assert_eq!(shown("checkpoint")["certified_height"], json!(6));
    let receipt = shown("receipt");
    assert_eq!((&receipt["amount"], &receipt["lane_number"]), (&json!("40"), &json!(1)));
    assert_eq!((&receipt["source_shard"], &receipt["destination_shard"]), (&json!(0), &json!(1)));
    assert_eq!((&receipt["height"], &receipt["receipt"]), (&json!(1_000), &json!("transfer")));
    assert_eq!(shown("evidence")["offence"], json!("two blocks in round 9"));
}

/// Every change of a claim, and every claim left out or made up.
#[test]
fn changed_claims_are_refused() {
    for (name, document) in documents() {
        let value = serde_json::to_value(&document).unwrap();
        for claim in value["claims"].as_object().unwrap().keys() {
            let mut changed = value.clone();
            changed["claims"][claim] = match &value["claims"][claim] {
                Value::Bool(old) => json!(!old),
                Value::Number(old) => json!(old.as_u64().unwrap() + 1),
                Value::String(old) => json!(format!("{old}0")),
                other => panic!("{other}"),
            };
            let error = check(&changed).unwrap_err();
            let is_claims = matches!(error, ProofDocumentError::OtherClaims { .. });
            assert!(is_claims, "{name}: {claim}: {error}");
            changed["claims"].as_object_mut().unwrap().remove(claim);
            assert!(check(&changed).is_err(), "{name}: without {claim}");
        }
        let mut changed = value.clone();
        changed["claims"]["interest"] = json!("5%");
        assert!(check(&changed).is_err(), "{name}: a claim was made up");
    }
}

/// Every byte of every hexadecimal part.
#[test]
fn changed_parts_are_refused() {
    for (name, document) in documents() {
        let value = serde_json::to_value(&document).unwrap();
        for field in ["chain_id", "certificate", "ancestors", "address", "transaction_id", "proof"]
        {
            let Some(text) = value.get(field).and_then(Value::as_str) else {
                continue;
            };
            for position in 0..text.len() {
                let mut digits = text.as_bytes().to_vec();
                digits[position] = if digits[position] == b'0' { b'1' } else { b'0' };
                let mut changed = value.clone();
                changed[field] = json!(String::from_utf8(digits).unwrap());
                assert!(check(&changed).is_err(), "{name}: {field} at {position}");
            }
            for shortened in ["", &text[..text.len() - 2], &text[2..]] {
                let mut changed = value.clone();
                changed[field] = json!(shortened);
                assert!(check(&changed).is_err(), "{name}: {field} shortened");
            }
            let mut changed = value.clone();
            changed.as_object_mut().unwrap().remove(field);
            assert!(check(&changed).is_err(), "{name}: without {field}");
        }
    }
}

/// Parts of other documents, where nothing would look at them or something else is expected.
#[test]
fn mixed_documents_are_refused() {
    let documents = documents();
    for (name, document) in &documents {
        let value = serde_json::to_value(document).unwrap();
        for (other_name, other) in &documents {
            let other = serde_json::to_value(other).unwrap();
            for field in ["kind", "certificate", "ancestors", "address", "transaction_id", "proof"]
            {
                let mut mixed = value.clone();
                match other.get(field) {
                    Some(part) => mixed[field] = part.clone(),
                    None => drop(mixed.as_object_mut().unwrap().remove(field)),
                }
                if mixed != value {
                    assert!(check(&mixed).is_err(), "{name} with {field} of {other_name}");
                }
            }
        }
    }
}

#[test]
fn what_is_no_document_is_refused() {
    let value = serde_json::to_value(&documents()["account"]).unwrap();
    for (field, other) in [
        ("format", json!("qcn-proof/2")),
        ("kind", json!("promise")),
        ("note", json!("trust me")),
        ("certificate", json!(7)),
        ("claims", json!("all is well")),
    ] {
        let mut changed = value.clone();
        changed[field] = other;
        assert!(check(&changed).is_err(), "{field}");
    }
    for text in ["", "[]", "{}", "null", "7"] {
        assert!(ProofDocument::parse(text).is_err(), "{text}");
    }
}

#[test]
fn the_proofs_of_one_network_show_nothing_in_another() {
    let committee = HISTORY.keys.committee();
    let other_chain =
        CommitteeKeys::decode(ChainId(Digest([8; 32])), std::sync::Arc::clone(committee)).unwrap();
    let stranger = |seed: u8| SigningKey::from_seed(Scheme::Falcon512, &[seed; 32]).unwrap();
    let members = (0..4).map(|index| Member {
        name: format!("validator-{index}"),
        key: stranger(150 + index).public_key().clone(),
        weight: Weight(1_000),
    });
    let strangers = Committee::new(ShardId(0), Epoch(0), members.collect()).unwrap();
    let other_keys =
        CommitteeKeys::decode(HISTORY.keys.chain(), std::sync::Arc::new(strangers)).unwrap();
    for (name, document) in documents() {
        let error = verify(&document, &other_chain).unwrap_err();
        assert!(matches!(error, ProofDocumentError::OtherChain { .. }), "{name}: {error}");
        assert!(verify(&document, &other_keys).is_err(), "{name}");
    }
}

/// Each part of a receipt's way out of its shard, changed by somebody who signs nothing.
#[test]
fn a_receipt_that_did_not_leave_is_refused_with_a_reason() {
    type Change = fn(&mut ReceiptProof, &mut Certificate);
    let cases: [(&str, Change, &str); 7] = [
        ("an altered amount", |it, _| it.receipt.amount.0 = 4_000, "does not stand at this place"),
        ("batches out of order", swap_batches, "do not lead to the certified end"),
        ("a batch left out", |it, _| it.after = Bounded::default(), "do not lead to the certified"),
        ("another lane's end", |it, _| it.end.peer = ShardId(5), "not in the certified outbox"),
        ("no quorum", |_, by| by.attestations = two_of(by), "carry weight 2000, a quorum is 2667"),
        ("another shard", |_, by| by.checkpoint.shard = ShardId(1), "another shard or epoch"),
        ("another epoch", |_, by| by.checkpoint.epoch = Epoch(1), "another shard or epoch"),
    ];
    for (what, change, reason) in cases {
        let (mut proof, mut certificate) = (receipt_proof(1), CROSSING.certificate.clone());
        change(&mut proof, &mut certificate);
        let document = ProofDocument::receipt(&HISTORY.keys, &certificate, &proof);
        let refused = verify(&document, &HISTORY.keys).unwrap_err().to_string();
        assert!(refused.contains(reason), "{what}: {refused}");
    }
}

fn swap_batches(proof: &mut ReceiptProof, _: &mut Certificate) {
    let next = std::mem::replace(&mut proof.after, Bounded::truncated(vec![proof.batch]));
    proof.batch = next[0];
}

fn two_of(certificate: &Certificate) -> Bounded<qcn_types::AttestationProof, 512> {
    Bounded::truncated(certificate.attestations[..2].to_vec())
}

/// A quorum of shard 1 certifies an outbox with a lane of shard 0: it has no say about that.
#[test]
fn a_shard_does_not_certify_the_lanes_of_another() {
    let members = (0..4).map(|index| Member {
        name: format!("validator-{index}"),
        key: validator_key(index).public_key().clone(),
        weight: Weight(1_000),
    });
    let committee = Committee::new(ShardId(1), Epoch(0), members.collect()).unwrap();
    let keys = CommitteeKeys::decode(CHAIN, std::sync::Arc::new(committee)).unwrap();
    let checkpoint = Checkpoint { shard: ShardId(1), ..CROSSING.certificate.checkpoint };
    let certificate = certificate_by(CHAIN, &[(0, 0), (1, 1), (2, 2)], checkpoint);
    let document = ProofDocument::receipt(&keys, &certificate, &receipt_proof(0));
    let refused = verify(&document, &keys).unwrap_err().to_string();
    assert!(refused.contains("does not act for the source of the lane"), "{refused}");
}

/// What a person keeps: the receipt alone, however many others were sent.
#[test]
fn a_receipt_proof_is_small() {
    for number in 0..AMOUNTS.len() {
        let bytes = serde_json::to_string(&receipt(number)).unwrap().len();
        println!(
            "receipt {number}: {bytes} bytes, {} of proof",
            encode(&receipt_proof(number)).len()
        );
        assert!(bytes < 8_000, "{bytes}");
    }
}
