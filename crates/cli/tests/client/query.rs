//! `qcn query`.

use crate::server::{Answer, Server};
use crate::{Folder, qcn_ends};

pub const STATUS: &str = r#"{"version":"0.1.0",
"chain_id":"1111111111111111111111111111111111111111111111111111111111111111",
"chain_name":"test\u001b[2J","validator":{"index":0,"name":"ada","weight":1000},
"committee":{"size":4,"total_weight":4000,"quorum_weight":2667,"fault_weight":1333},
"round":90,"floor":40,"height":30,"certified_height":29,"mempool":7,"dag_blocks":200,
"waiting_blocks":0,"recovering":false,"synchronising":false,"stopped":null,"peers_connected":3,
"now_unix_ms":2000,"last_checkpoint_unix_ms":1900,"newer":true}"#;

const SHARDS: &str = r#"{"epoch":3,"began_unix_ms":1000,"reshardings":[],"supply":null,"shards":[
{"shard":0,"epoch":3,"prefix":"0*","hosted":true,"total_weight":1005,"quorum_weight":671,
"committee":[{"seat":0,"validator":0,"name":"ada"},{"seat":1,"validator":2,"name":"cy"}],
"state":{"epoch":3,"round":9,"height":80,"certified_height":79,"mempool":4,"dag_blocks":9,
"transactions_per_second":12.25,"waiting_blocks":0,"balances":"500","stopped":null}},
{"shard":1,"epoch":3,"prefix":"1*","hosted":false,"total_weight":7,"quorum_weight":5,
"committee":[{"seat":0,"validator":1,"name":"bob"}],"state":null}],"lanes":[{"from":0,"to":1,
"sent":{"receipts":6,"batches":2,"moved":"66"},"received":null,"acknowledged":null,
"in_flight":null}]}"#;

const BEACON: &str = r#"{"epoch":3,"began_unix_ms":1000,"seed":"5eed","register":[{"number":0,
"name":"ada","weight":1000,"validator":0,"shards":[0,4294967295],"isolated":false,"leaving":true,
"revealed":true,"keys_change":false,"address":"a:1","scheme":"falcon-512"}],"candidates":[{
"registration":"abc1","by":0,"name":"dee","weight":9,"address":null,"approvals":[{"by":0,
"weight":1000}]}],"votes":[{"by":0,"subject":{"weight":2},"weight":0},{"by":0,"subject":
{"resharding":{"kind":"split","shard":0,"new":2}},"weight":null}],"parameters":{"seats":4,
"epoch_ms":20000,"shards_max":8,"split_above":500,"merge_below":10},"total_weight":1005,
"quorum_weight":671,"state_height":7}"#;

const EPOCHS: &str = r#"{"epochs":[{"epoch":2,"announced_unix_ms":1000,"shards":2,"validators":4,
"reshardings":[{"kind":"split","shard":0,"new":1,"prefix":"*"}]},{"epoch":1,"announced_unix_ms":500,
"shards":1,"validators":4,"reshardings":[{"kind":"merge","into":0,"closed":1,"prefix":"*"}]}],
"next":1}"#;

const D: &str = "2222222222222222222222222222222222222222222222222222222222222222";

fn answer(path: &str) -> Option<String> {
    let text = match path {
        "/v1/status" => STATUS.to_owned(),
        "/v1/validators" => r#"{"validators":[{"index":0,"name":"ada","weight":1000,
            "scheme":"falcon-512","isolated":false,"own":true,"connected":false,"rtt_ms":null,
            "last_round":null,"blocks":90,"led":20,"skipped":1},{"index":1,"name":"bob",
            "weight":5,"scheme":"falcon-512","isolated":true,"own":false,"connected":true,
            "rtt_ms":1.25,"last_round":7,"blocks":9,"led":2,"skipped":0}]}"#
            .to_owned(),
        "/v1/peers" => r#"{"peers":[{"index":1,"name":"bob","address":"127.0.0.1:9001",
            "connected":true,"rtt_ms":0.5,"bytes_in":10,"bytes_out":20,"frames_dropped":0,"packets_lost":3,
            "refused":2}]}"#
            .to_owned(),
        "/v1/checkpoints/latest" | "/v1/checkpoints/12" => format!(
            r#"{{"height":12,"digest":"{D}","time_unix_ms":1000,"leader":{{"round":40,"author":2,
            "digest":"{D}"}},"state_root":"{D}","transactions_root":"{D}","parent":"{D}",
            "blocks":[],"transactions":[{{"id":"{D}","outcome":{{"result":"skipped",
            "reason":"nonce"}}}}],"certificate":{{"weight":3000,"quorum_weight":2667,
            "authors":[0,1,3]}}}}"#
        ),
        path if path == format!("/v1/blocks/{D}") => format!(
            r#"{{"round":3,"author":1,"digest":"{D}","parents":[{{"round":2,"author":0,
            "digest":"{D}"}}],"transactions":1,"attestations":1,"evidence":0,"bytes":900,
            "time_unix_ms":5,"leader":true,"state":"committed","height":2,
            "transaction_ids":["{D}"]}}"#
        ),
        path if path == format!("/v1/transactions/{D}") => format!(
            r#"{{"id":"{D}","status":"final","height":2,"position":0,"outcome":{{"result":
            "applied"}},"block":null,"checkpoint_time_unix_ms":5,"transaction":{{"sender":"{D}",
            "nonce":4,"fee":"1","action":{{"transfer":{{"to":"{D}","amount":"77"}}}},
            "scheme":"ml-dsa-44","bytes":3900}},"refusal":null}}"#
        ),
        path if path == format!("/v1/accounts/{D}") => format!(
            r#"{{"address":"{D}","exists":true,"balance":"18446744073709551615","nonce":1,
            "next_nonce":2,"key":"{D}","height":9}}"#
        ),
        path if path.ends_with("proof") => format!(
            r#"{{"format":"qcn-proof/1","kind":"account","chain_id":"{D}","certificate":"00",
            "proof":"00","claims":{{"balance":"5","height":9,"asked":"{path}"}}}}"#
        ),
        "/v1/evidence?limit=500" => format!(
            r#"{{"evidence":[{{"digest":"{D}","accused":1,"name":"bob","offence":
            "two blocks in a slot","height":8,"bytes":"00"}}]}}"#
        ),
        "/v1/supply" => r#"{"balances":"90","fees":"10","in_flight":"0","genesis":"100",
            "height":9}"#
            .to_owned(),
        "/v1/shards" => SHARDS.to_owned(),
        "/v1/beacon" => BEACON.to_owned(),
        "/v1/epochs?limit=50&resharded=false" => EPOCHS.to_owned(),
        "/v1/epochs?limit=3&resharded=true&before=2" => r#"{"epochs":[],"next":null}"#.to_owned(),
        "/v1/committees/3" => r#"{"shard":0,"epoch":3,"total_weight":1005,"quorum_weight":671,
            "members":[{"index":0,"name":"ada","weight":1000,"consensus_key":"00"}]}"#
            .to_owned(),
        "/v1/search?q=a%20b" => {
            r#"{"results":[{"kind":"validator","id":1,"title":"a b"}]}"#.to_owned()
        }
        _ => return None,
    };
    Some(text)
}

fn node() -> Server {
    Server::new(|request| match answer(&request.path) {
        Some(text) => Answer::ok(text),
        None => Answer::refused(404, "not_found", "there is no such thing", "look elsewhere"),
    })
}

#[test]
fn every_question_has_a_table_and_the_answer_as_it_came() {
    let node = node();
    let rows: [(&[&str], &str); 20] = [
        (&["status"], "2667 decides"),
        (&["validators"], "isolated"),
        (&["peers"], "127.0.0.1:9001"),
        (&["checkpoint"], "weight 3000 of the 2667 needed, by validators 0, 1, 3"),
        (&["checkpoint", "12"], "skipped: nonce"),
        (&["block", D], "committed at height 2"),
        (&["transaction", D], "transfer 77 to 2222"),
        (&["account", D], "18446744073709551615"),
        (&["evidence"], "two blocks in a slot       8  2222"),
        (&["supply"], "100: adds up"),
        (&["search", "a b"], "validator"),
        (&["shards"], "ada, cy"),
        (&["shards"], "12.2"),
        (&["shards"], "6 (66)"),
        (&["beacon"], "leaving"),
        (&["beacon"], "weight 1000 of 671"),
        (&["beacon"], "the layout: 0 split into 0 and 2"),
        (&["epochs"], "1 merged into 0"),
        (
            &["epochs", "--resharded", "--before", "2", "--limit", "3"],
            "no epoch that was announced has another layout",
        ),
        (&["committee", "3"], "of which 671 decides"),
    ];
    for (question, expected) in rows {
        let arguments = [&["query"][..], question, &["--node", &node.url]].concat();
        let (table, _) = qcn_ends(0, &arguments);
        assert!(table.contains(expected), "{question:?}:\n{table}");
        assert!(!table.contains('\u{1b}'), "the node steers the terminal");
        let (raw, _) = qcn_ends(0, &[&arguments[..], &["--json"]].concat());
        let first: String = raw.chars().take_while(|c| *c != ',').collect();
        assert!(first.starts_with('{'), "{question:?}: {raw}");
        serde_json::from_str::<serde_json::Value>(&raw).unwrap();
    }
}

/// Given a node whose validator has no seat in any shard, in a network with epochs and in one
/// without.
/// Then its status is told, as a table and as JSON; what is about a shard is refused in one line.
#[test]
fn a_node_without_a_seat_has_a_status() {
    for has_epochs in [true, false] {
        let node = Server::new(move |request| match request.path.as_str() {
            "/v1/shards/4294967295/status" if has_epochs => Answer::ok(STATUS),
            "/v1/shards" => Answer::ok(r#"{"epoch":7,"shards":[],"lanes":[]}"#),
            "/v1/peers" => Answer::ok(answer("/v1/peers").unwrap()),
            "/openapi.json" => Answer::ok(r#"{"info":{"version":"0.1.0"}}"#),
            "/v1/shards/4294967295/status" => Answer::refused(404, "not_found", "none", ""),
            _ => Answer::refused(421, "no_shard_here", "no seat in any shard", "ask v1"),
        });
        let status = ["query", "status", "--node", &node.url];
        let (table, _) = qcn_ends(0, &status);
        assert!(table.contains("no seat in this epoch") && table.contains("1 connected"));
        assert_eq!(table.contains("final height 29"), has_epochs, "{table}");
        let (text, _) = qcn_ends(0, &[&status[..], &["--json"]].concat());
        let body: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!((&body["epoch"], &body["peers_connected"]), (&7.into(), &1.into()), "{text}");
        assert!(text.contains("\"stopped\":null"), "the image's health check looks for it: {text}");
        let (_, said) = qcn_ends(2, &["query", "supply", "--node", &node.url]);
        assert_eq!(said.lines().count(), 1, "{said}");
    }
}

/// Each question about a shard can be put to any shard of the node, and to the beacon.
#[test]
fn a_question_can_name_its_shard() {
    let node = Server::new(|request| {
        let of_shard = |number: &str| {
            let below = request.path.strip_prefix(&format!("/v1/shards/{number}"))?;
            // Each says who it is, where a status does.
            let answer = answer(&format!("/v1{below}"))?;
            Some(answer.replace("\"ada\"", &format!("\"of-{number}\"")))
        };
        match of_shard("1").or_else(|| of_shard("4294967295")) {
            Some(text) => Answer::ok(text),
            None => Answer::refused(421, "shard_elsewhere", "it is elsewhere", "ask bob"),
        }
    });
    let account = ["account", D];
    let proof = ["proof", "account", D];
    for question in [
        &["status"][..],
        &["validators"],
        &["supply"],
        &["committee", "3"],
        &["block", D],
        &["checkpoint", "12"],
        &["transaction", D],
        &["evidence"],
        &["search", "a b"],
        &account,
        &proof,
    ] {
        for shard in ["1", "beacon"] {
            let place = ["--shard", shard, "--node", &node.url];
            qcn_ends(0, &[&["query"][..], question, &place].concat());
        }
    }
    for (shard, name) in [("1", "of-1"), ("beacon", "of-4294967295")] {
        let (status, _) = qcn_ends(0, &["query", "status", "--shard", shard, "--node", &node.url]);
        assert!(status.contains(name), "{status}");
    }
    let (_, error) = qcn_ends(2, &["query", "--shard", "2", "status", "--node", &node.url]);
    assert!(error.contains("it is elsewhere; ask bob"), "{error}");
    for name in ["peers", "shards", "beacon", "epochs"] {
        let (_, error) = qcn_ends(2, &["query", name, "--shard", "1", "--node", &node.url]);
        assert!(error.contains("--shard") && error.contains(name), "{error}");
    }
    let (_, error) = qcn_ends(2, &["query", "--shard", "x", "status", "--node", &node.url]);
    assert!(error.contains("qcn query shards"), "{error}");
}

#[test]
fn a_proof_is_written_as_it_came() {
    let (node, folder) = (node(), Folder::new("proof"));
    let file = folder.path("proof.json");
    for (kind, name, path) in [
        ("account", D, format!("/v1/accounts/{D}/proof")),
        ("transaction", D, format!("/v1/transactions/{D}/proof")),
        ("receipt", D, format!("/v1/transactions/{D}/receipt-proof")),
        ("evidence", D, format!("/v1/evidence/{D}/proof")),
        ("checkpoint", "12", "/v1/checkpoints/12/proof".to_owned()),
        ("checkpoint", "certified", "/v1/checkpoints/certified/proof".to_owned()),
    ] {
        let arguments = ["query", "proof", kind, name, "--out", &file, "--node", &node.url];
        let (table, _) = qcn_ends(0, &arguments);
        assert!(table.contains("balance") && table.contains("qcn light verify"), "{table}");
        let written = std::fs::read_to_string(&file).unwrap();
        assert_eq!(Some(written), answer(&path));
    }
    let nowhere = folder.path("none/proof.json");
    let arguments = ["query", "proof", "account", D, "--out", &nowhere, "--node", &node.url];
    let (_, error) = qcn_ends(2, &arguments);
    assert!(error.contains("--out") && error.contains(&nowhere), "{error}");
}

#[test]
fn what_a_node_does_not_have_is_an_error_with_its_remedy() {
    let node = node();
    let (_, error) = qcn_ends(2, &["query", "checkpoint", "99", "--node", &node.url]);
    let url = format!("{}/v1/checkpoints/99", node.url);
    assert!(error.contains(&url), "{error}");
    assert!(error.contains("there is no such thing; look elsewhere"), "{error}");
}

#[test]
fn a_transaction_that_is_unknown_is_a_no() {
    let unknown = Server::json(&format!(r#"{{"id":"{D}","status":"unknown"}}"#));
    let (table, _) = qcn_ends(1, &["query", "transaction", D, "--node", &unknown.url]);
    assert!(table.contains("unknown"), "{table}");
}

#[test]
fn a_node_that_cannot_be_understood_is_named_with_a_remedy() {
    type Script = fn() -> Answer;
    let cases: [(Script, &str); 6] = [
        (|| Answer::Close, "the connection broke"),
        (|| Answer::Raw(b"SSH-2.0-OpenSSH\r\n".to_vec()), "does another program listen there?"),
        (|| Answer::Raw(b"HTTP/1.1 200 x\r\nContent-Length: 99\r\n\r\n{".to_vec()), "broke"),
        (|| Answer::ok("<html>hello</html>"), "`<html>hello</html>`"),
        (|| Answer::Json(500, "oops".into()), "status 500 and `oops`"),
        (|| Answer::ok("{\"version\":1}"), "of this version"),
    ];
    for (number, (script, expected)) in cases.into_iter().enumerate() {
        let node = Server::new(move |_| script());
        let (out, error) = qcn_ends(2, &["query", "status", "--node", &node.url]);
        assert!(out.is_empty() && error.contains(expected), "case {number}: {error}");
        assert!(error.contains(&node.url), "case {number} does not name the address: {error}");
    }
}

#[test]
fn the_environment_may_name_the_node() {
    let ask = |url: &str| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_qcn"));
        command.args(["query", "status"]).env("QCN_NODE", url).output().unwrap()
    };
    assert_eq!(ask(&node().url).status.code(), Some(0));
    let wrong = ask("nonsense");
    assert_eq!(wrong.status.code(), Some(2));
    assert!(String::from_utf8(wrong.stderr).unwrap().contains("QCN_NODE: `nonsense`"));
}

#[test]
fn a_node_that_does_not_run_is_named_with_a_remedy() {
    let (_, error) = qcn_ends(2, &["query", "status", "--node", &Server::nobody()]);
    assert!(error.contains("connection refused") && error.contains("qcn devnet"), "{error}");
    let (_, error) = qcn_ends(2, &["query", "status", "--node", "https://host"]);
    assert!(error.contains("plain HTTP"), "{error}");
    let (_, error) = qcn_ends(2, &["query", "account", "12", "--node", "http://host"]);
    assert!(error.contains("64 hex digits"), "{error}");
}
