//! Handing in transactions, and following them.

use qcn_crypto::{SigningKey, to_hex};
use qcn_types::{Bounded, encode};

use super::*;
use crate::testing::{signed, transfer};

const BINARY: &str = "application/octet-stream";

fn fresh(nonce: u64) -> Transaction {
    transfer(&HISTORY.accounts[0], nonce, address(1), 5)
}

fn in_hex(transaction: &Transaction) -> Value {
    json!({ "transaction": to_hex(&encode(transaction)) })
}

#[test]
fn a_transaction_is_taken_in_and_followed() {
    let node = Node::new();
    let transaction = fresh(2);
    let id = transaction.body.id().to_string();
    let answer = node.post_json("/v1/transactions", &in_hex(&transaction));
    assert_eq!((answer.status, answer.json()), (202, json!({ "id": id })));
    assert_eq!(node.ask(&format!("/v1/transactions/{id}"))["status"], json!("pending"));
    let answer = node.post("/v1/transactions", BINARY, &encode(&fresh(3)));
    assert_eq!(answer.status, 202);
    // A gap: the one in between is missing.
    assert_eq!(node.post_json("/v1/transactions", &in_hex(&fresh(5))).status, 202);
    let account = node.ask(&format!("/v1/accounts/{}", address(0)));
    assert_eq!((&account["nonce"], &account["next_nonce"]), (&json!(2), &json!(4)));
}

#[test]
fn a_refused_transaction_says_why_also_later() {
    let node = Node::new();
    let mut forged = fresh(2);
    forged.body.nonce = 7;
    let answer = node.post_json("/v1/transactions", &in_hex(&forged));
    assert_eq!(answer.code(), (422, "wrong_signature".to_owned()));
    let used = transfer(&HISTORY.accounts[0], 0, address(1), 99);
    let answer = node.post_json("/v1/transactions", &in_hex(&used));
    assert_eq!(answer.code(), (422, "nonce_too_low".to_owned()));
    let told = node.ask(&format!("/v1/transactions/{}", used.body.id()));
    assert_eq!(told["status"], json!("refused"));
    assert!(told["refusal"].as_str().unwrap().contains("nonce"), "{told}");
    let stranger = SigningKey::from_seed(Scheme::Falcon512, &[201; 32]).unwrap();
    let answer =
        node.post_json("/v1/transactions", &in_hex(&transfer(&stranger, 0, address(1), 1)));
    assert_eq!(answer.code(), (422, "unknown_sender".to_owned()));
    let large = SigningKey::from_seed(Scheme::MlDsa87, &[201; 32]).unwrap();
    let answer = node.post_json("/v1/transactions", &in_hex(&transfer(&large, 0, address(1), 1)));
    assert_eq!(answer.code(), (422, "scheme_not_allowed".to_owned()));
}

/// Given somebody who saw a transaction that this node has not got.
/// When they hand in its body with a broken signature, a key of their own, or one of a scheme that
/// is not allowed,
/// then nothing of that is said of the transaction, whose id is the same.
#[test]
fn nobody_can_have_the_transaction_of_another_called_refused() {
    let node = Node::new();
    let honest = fresh(2);
    let id = honest.body.id();
    let of_another = |key: &SigningKey| {
        let copy = signed(key, honest.body.clone());
        assert_eq!(copy.body.id(), id);
        copy
    };
    let mut broken = honest.clone();
    broken.signature = fresh(3).signature;
    let large = SigningKey::from_seed(Scheme::MlDsa87, &[201; 32]).unwrap();
    for (copy, code) in [
        (broken, "wrong_signature"),
        (of_another(&HISTORY.accounts[1]), "wrong_key"),
        (of_another(&large), "scheme_not_allowed"),
    ] {
        let answer = node.post_json("/v1/transactions", &in_hex(&copy));
        assert_eq!(answer.code(), (422, code.to_owned()));
        let told = node.ask(&format!("/v1/transactions/{id}"));
        assert_eq!(
            (&told["status"], &told["refusal"]),
            (&json!("unknown"), &Value::Null),
            "{code}"
        );
    }
}

#[test]
fn who_hands_in_again_what_was_executed_is_told_its_name() {
    let node = Node::new();
    let answer = node.post_json("/v1/transactions", &in_hex(&HISTORY.transfers[0]));
    let id = HISTORY.transfers[0].body.id().to_string();
    assert_eq!((answer.status, answer.json()), (202, json!({ "id": id })));
    assert_eq!(node.ask(&format!("/v1/transactions/{id}"))["status"], json!("final"));
}

#[test]
fn a_batch_is_answered_one_by_one() {
    let node = Node::new();
    let large = SigningKey::from_seed(Scheme::MlDsa87, &[201; 32]).unwrap();
    let batch = [fresh(2), transfer(&large, 0, address(1), 1), fresh(3), fresh(0)];
    let texts: Vec<String> = batch.iter().map(|one| to_hex(&encode(one))).collect();
    let answer = node.post_json("/v1/transactions/batch", &json!({ "transactions": texts }));
    assert_eq!(answer.status, 200, "{}", answer.text);
    let results = &answer.json()["results"];
    assert_eq!(results[0], json!({ "id": batch[0].body.id().to_string() }));
    assert_eq!(results[1]["error"]["code"], json!("scheme_not_allowed"));
    assert_eq!(results[2], json!({ "id": batch[2].body.id().to_string() }));
    assert_eq!(results[3]["error"]["code"], json!("nonce_too_low"));

    let batch: Bounded<Transaction, 2_000> = Bounded::truncated(vec![fresh(4), fresh(5)]);
    let answer = node.post("/v1/transactions/batch", BINARY, &encode(&batch));
    assert_eq!(answer.json()["results"].as_array().unwrap().len(), 2);
    let answer = node.post_json("/v1/transactions/batch", &json!({ "transactions": [] }));
    assert_eq!(answer.json(), json!({ "results": [] }));
}

#[test]
fn malformed_submissions_are_refused() {
    let node = Node::new();
    let mut tail = encode(&fresh(2));
    tail.push(0);
    let bodies: [&[u8]; 5] =
        [b"", b"{", b"{\"transaction\":1}", b"{\"transaction\":\"xx\"}", b"[]"];
    for body in bodies {
        let answer = node.post("/v1/transactions", "application/json", body);
        assert_eq!(answer.code(), (400, "malformed".to_owned()), "{body:?}");
    }
    for body in [&tail[..], &tail[..40], &[255; 64]] {
        let answer = node.post("/v1/transactions", BINARY, body);
        assert_eq!(answer.code(), (400, "malformed".to_owned()));
    }
    // A length prefix that promises more than a batch may have.
    let answer = node.post("/v1/transactions/batch", BINARY, &2_001_u32.to_le_bytes());
    assert_eq!(answer.code(), (400, "malformed".to_owned()));
    let many = json!({ "transactions": vec![""; 2_001] });
    let answer = node.post_json("/v1/transactions/batch", &many);
    assert_eq!(answer.code(), (400, "malformed".to_owned()));
}

#[test]
fn a_node_that_has_stopped_says_so() {
    let folder = TestFolder::new();
    let archive = Archive::open(folder.path(), Retention::ALL).unwrap();
    let (view, submissions) = View::new(HISTORY.keys.clone(), ValidatorIndex(0));
    drop(submissions);
    let mut node = Node::new();
    node.close();
    let config = ApiConfig {
        announcements: AnnouncementBoard::default(),
        listen: "127.0.0.1:0".parse().unwrap(),
        limits: Limits::default(),
        hosts: Vec::new(),
        chain_name: String::new(),
        genesis_json: String::new(),
        account_schemes: vec![Scheme::Falcon512],
        transport_keys: Vec::new(),
        own: None,
        layout: None,
        shards: Vec::new(),
        defects: Defects::default(),
    };
    let api = node.runtime.block_on(Api::start(config, view, archive, Metrics::new())).unwrap();
    node.base = format!("http://{}", api.local_address());
    node.api = Some(api);
    let answer = node.post_json("/v1/transactions", &in_hex(&fresh(2)));
    assert_eq!(answer.code(), (503, "stopped".to_owned()));
}
