//! JSON-RPC 2.0.

use qcn_crypto::to_hex;
use qcn_types::encode;

use super::*;
use crate::testing::transfer;

fn request(method: &str, params: Value) -> Value {
    json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params })
}

fn call(node: &Node, method: &str, params: Value) -> Value {
    let answer = node.post_json("/rpc", &request(method, params));
    assert_eq!(answer.status, 200);
    let json = answer.json();
    assert_eq!((&json["jsonrpc"], &json["id"]), (&json!("2.0"), &json!(1)));
    json
}

#[test]
fn every_method_gives_what_rest_gives() {
    let node = Node::new();
    let id = HISTORY.transfers[0].body.id().to_string();
    let block = HISTORY.executed().next().unwrap().blocks[0].reference().digest.to_string();
    let account = address(0).to_string();
    for (method, params, path) in [
        ("qcn_validators", json!({}), "/v1/validators".to_owned()),
        ("qcn_peers", json!({}), "/v1/peers".to_owned()),
        ("qcn_genesis", json!({}), "/v1/genesis".to_owned()),
        ("qcn_shards", json!({}), "/v1/shards".to_owned()),
        ("qcn_epochs", json!({ "limit": 2 }), "/v1/epochs?limit=2".to_owned()),
        ("qcn_committee", json!({ "epoch": 0 }), "/v1/committees/0".to_owned()),
        ("qcn_checkpoints", json!({ "limit": 2 }), "/v1/checkpoints?limit=2".to_owned()),
        (
            "qcn_checkpoints",
            json!({ "limit": 2, "before": "4" }),
            "/v1/checkpoints?limit=2&before=4".to_owned(),
        ),
        (
            "qcn_checkpoints",
            json!({ "limit": 2, "before": 4 }),
            "/v1/checkpoints?limit=2&before=4".to_owned(),
        ),
        ("qcn_epochs", json!({ "before": "2" }), "/v1/epochs?before=2".to_owned()),
        ("qcn_checkpointProof", json!({ "height": 4 }), "/v1/checkpoints/4/proof".to_owned()),
        ("qcn_blocks", json!({ "from_round": 3 }), "/v1/blocks?from_round=3".to_owned()),
        ("qcn_checkpoint", json!({ "height": 4 }), "/v1/checkpoints/4".to_owned()),
        ("qcn_checkpoint", json!({ "height": "latest" }), "/v1/checkpoints/latest".to_owned()),
        ("qcn_block", json!({ "digest": block }), format!("/v1/blocks/{block}")),
        ("qcn_transaction", json!({ "id": id }), format!("/v1/transactions/{id}")),
        ("qcn_transactionProof", json!({ "id": id }), format!("/v1/transactions/{id}/proof")),
        ("qcn_account", json!({ "address": account }), format!("/v1/accounts/{account}")),
        (
            "qcn_accountProof",
            json!({ "address": account }),
            format!("/v1/accounts/{account}/proof"),
        ),
        (
            "qcn_accountTransactions",
            json!({ "address": account, "limit": 1 }),
            format!("/v1/accounts/{account}/transactions?limit=1"),
        ),
        ("qcn_transactions", json!({ "limit": 2 }), "/v1/transactions?limit=2".to_owned()),
        ("qcn_evidence", json!({}), "/v1/evidence".to_owned()),
        ("qcn_supply", json!({}), "/v1/supply".to_owned()),
        ("qcn_search", json!({ "q": "7" }), "/v1/search?q=7".to_owned()),
    ] {
        let answer = call(&node, method, params);
        assert_eq!(answer["result"], node.ask(&path), "{method}");
        assert!(answer.get("error").is_none());
    }
    assert_eq!(call(&node, "qcn_status", json!({}))["result"]["round"], json!(70));
    let transaction = transfer(&HISTORY.accounts[0], 2, address(1), 5);
    let params = json!({ "transaction": to_hex(&encode(&transaction)) });
    let answer = call(&node, "qcn_submit", params);
    assert_eq!(answer["result"], json!({ "id": transaction.body.id().to_string() }));
}

/// A node without a seat answers what is about the node, and refuses each other call by itself.
#[test]
fn a_node_without_a_seat_answers_calls_about_the_node() {
    let sharded = shards::Sharded::hosting(false);
    let node = &sharded.node;
    for (method, path) in [("qcn_shards", "/v1/shards"), ("qcn_genesis", "/v1/genesis")] {
        assert_eq!(call(node, method, json!({}))["result"], node.ask(path), "{method}");
    }
    let refused = call(node, "qcn_status", json!({}));
    assert_eq!(refused["error"]["data"]["code"], "no_shard_here");
    let elsewhere = call(node, "qcn_status", json!({ "shard": 1 }));
    assert_eq!(elsewhere["error"]["data"]["code"], "shard_elsewhere");
    assert_eq!(call(node, "qcn_fly", json!({}))["error"]["code"], json!(-32_601));
    let batch = json!([request("qcn_supply", json!({})), request("qcn_shards", json!({}))]);
    let answers = node.post_json("/rpc", &batch).json();
    assert_eq!(answers[0]["error"]["data"]["code"], "no_shard_here");
    assert!(answers[1]["result"]["shards"].is_array());
    let misplaced = call(node, "qcn_shards", json!({ "shard": 1 }));
    assert_eq!(misplaced["error"]["code"], json!(-32_602), "it is about no shard: {misplaced}");
}

/// What REST refuses, JSON-RPC refuses for the same reason.
#[test]
fn methods_refuse_what_rest_refuses() {
    let node = Node::new();
    let unknown = "ab".repeat(32);
    for (method, params, path) in [
        (
            "qcn_evidenceProof",
            json!({ "digest": unknown }),
            format!("/v1/evidence/{unknown}/proof"),
        ),
        (
            "qcn_receiptProof",
            json!({ "id": unknown }),
            format!("/v1/transactions/{unknown}/receipt-proof"),
        ),
        ("qcn_committee", json!({ "epoch": 7 }), "/v1/committees/7".to_owned()),
        ("qcn_committee", json!({ "epoch": "x" }), "/v1/committees/x".to_owned()),
        ("qcn_beacon", json!({}), "/v1/beacon".to_owned()),
        ("qcn_checkpoints", json!({ "limit": 501 }), "/v1/checkpoints?limit=501".to_owned()),
        (
            "qcn_blocks",
            json!({ "from_round": 1, "to_round": 99 }),
            "/v1/blocks?from_round=1&to_round=99".to_owned(),
        ),
    ] {
        let error = &call(&node, method, params)["error"];
        let refusal = node.get(&path);
        assert!(refusal.status >= 400, "{path}");
        let refusal = refusal.json();
        assert_eq!(error["data"]["code"], refusal["error"]["code"], "{method}: {refusal}");
        assert_eq!(error["message"], refusal["error"]["message"], "{method}");
    }
    let strange = call(&node, "qcn_epochs", json!({ "limit": "many" }));
    assert_eq!(strange["error"]["code"], json!(-32_602));
}

#[test]
fn errors_have_the_codes_of_the_standard() {
    let node = Node::new();
    let code = |body: &str| {
        let answer = node.post("/rpc", "application/json", body.as_bytes());
        answer.json()["error"]["code"].as_i64()
    };
    assert_eq!(code("{"), Some(-32_700));
    assert_eq!(code("1"), Some(-32_600));
    assert_eq!(code("[]"), Some(-32_600));
    assert_eq!(code(r#"{"jsonrpc":"1.0","id":1,"method":"qcn_status"}"#), Some(-32_600));
    assert_eq!(code(r#"{"jsonrpc":"2.0","id":{},"method":"qcn_status"}"#), Some(-32_600));
    assert_eq!(code(r#"{"jsonrpc":"2.0","id":1,"method":"qcn_fly"}"#), Some(-32_601));
    let positional = r#"{"jsonrpc":"2.0","id":1,"method":"qcn_block","params":["x"]}"#;
    assert_eq!(code(positional), Some(-32_602));
    assert_eq!(code(r#"{"jsonrpc":"2.0","id":1,"method":"qcn_block"}"#), Some(-32_602));
    let unknown = request("qcn_status", json!({ "colour": "red" }));
    assert_eq!(code(&unknown.to_string()), Some(-32_602));
    let short = request("qcn_block", json!({ "digest": "abcd" }));
    assert_eq!(code(&short.to_string()), Some(-32_602));
    let absent = call(&node, "qcn_block", json!({ "digest": "ab".repeat(32) }));
    assert_eq!(absent["error"]["code"], json!(-32_000));
    assert_eq!(absent["error"]["data"]["code"], json!("not_found"));
}

#[test]
fn batches_are_answered_without_their_notifications() {
    let node = Node::new();
    let notification = json!({ "jsonrpc": "2.0", "method": "qcn_status" });
    let with_null = json!({ "jsonrpc": "2.0", "id": null, "method": "qcn_supply" });
    let batch = json!([request("qcn_supply", json!({})), notification, with_null, 1]);
    let answers = node.post_json("/rpc", &batch).json();
    let answers = answers.as_array().unwrap();
    assert_eq!(answers.len(), 3);
    assert_eq!(answers[0]["result"], answers[1]["result"]);
    assert_eq!(answers[1]["id"], Value::Null);
    assert_eq!(answers[2]["error"]["code"], json!(-32_600));

    for silent in [notification.clone(), json!([notification])] {
        let answer = node.post_json("/rpc", &silent);
        assert_eq!((answer.status, answer.text.as_str()), (204, ""));
    }
    let long = Value::Array(vec![request("qcn_supply", json!({})); 65]);
    assert_eq!(node.post_json("/rpc", &long).json()["error"]["code"], json!(-32_600));
}

/// Given a batch whose answers are longer together than a node wants to hold.
/// When they have as many bytes as a batch may,
/// then the calls after that are not carried out, and each is told so and what to do.
#[test]
fn the_answers_of_a_batch_are_bounded() {
    let limits = small_limits();
    let node = Node::with(limits);
    let transaction = transfer(&HISTORY.accounts[0], 2, address(1), 5);
    let submit = request("qcn_submit", json!({ "transaction": to_hex(&encode(&transaction)) }));
    let notification = json!({ "jsonrpc": "2.0", "method": "qcn_status" });
    let mut batch = vec![request("qcn_validators", json!({})); 40];
    batch.extend([submit, notification]);
    let told = node.post_json("/rpc", &Value::Array(batch));
    assert_eq!(told.status, 200);
    let answers = told.json().as_array().unwrap().clone();
    assert_eq!(answers.len(), 41, "each call but the notification is answered");

    let answered = answers.iter().take_while(|one| one.get("result").is_some()).count();
    assert!((1..40).contains(&answered), "{answered}");
    let length = |answers: &[Value]| answers.iter().map(|one| one.to_string().len()).sum::<usize>();
    assert!(length(&answers[..answered - 1]) < limits.rpc_answers_bytes);
    assert!(length(&answers[..answered]) + answered >= limits.rpc_answers_bytes);
    for refused in &answers[answered..] {
        assert_eq!((&refused["id"], &refused["error"]["code"]), (&json!(1), &json!(-32_000)));
        assert_eq!(refused["error"]["data"]["code"], json!("too_much_asked"));
        let remedy = refused["error"]["data"]["remedy"].as_str().unwrap();
        assert!(remedy.contains("fewer calls in a batch"), "{remedy}");
    }
    let status = node.ask(&format!("/v1/transactions/{}", transaction.body.id()));
    assert_eq!(status["status"], json!("unknown"), "what is refused is not carried out");
}
