//! Documents from a real history, and what becomes of them when somebody changes them.

use std::collections::BTreeMap;

use qcn_crypto::{ChainId, Digest, Scheme, SigningKey};
use qcn_types::{Committee, Epoch, Height, Member, ShardId, Weight};
use serde_json::{Value, json};

use super::*;
use crate::archive::{Archive, Retention};
use crate::testing::{HISTORY, TestFolder, equivocation};

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
        ("evidence", ProofDocument::evidence(keys, &equivocation(2)).unwrap()),
    ])
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
