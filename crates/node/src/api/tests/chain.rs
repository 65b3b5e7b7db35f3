//! Checkpoints, blocks, transactions, accounts, proofs and searches.

use qcn_types::Height;

use super::*;

#[test]
fn checkpoints_are_listed_newest_first() {
    let node = Node::new();
    let last = node.archive.last_height().0;
    let list = node.ask("/v1/checkpoints?limit=3");
    let heights: Vec<u64> = list["checkpoints"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["height"].as_u64().unwrap())
        .collect();
    assert_eq!(heights, [last, last - 1, last - 2]);
    assert_eq!(list["checkpoints"][0]["certified"], json!(false));
    let list = node.ask("/v1/checkpoints?before=3");
    assert_eq!(list["checkpoints"].as_array().unwrap().len(), 2);
    assert_eq!(list["checkpoints"][0]["certified"], json!(true));
}

#[test]
fn a_checkpoint_is_told_with_its_certificate() {
    let node = Node::new();
    let certified = node.ask("/v1/checkpoints/certified");
    let height = HISTORY.certified().0.checkpoint.height;
    assert_eq!(certified["height"], json!(height.0));
    assert_eq!(certified["certificate"]["quorum_weight"], json!(2_667));
    assert!(certified["certificate"]["weight"].as_u64().unwrap() >= 2_667);

    let one = HISTORY.executed().find(|one| !one.outcomes.is_empty()).unwrap();
    let told = node.ask(&format!("/v1/checkpoints/{}", one.header.height));
    assert_eq!(told["digest"], json!(one.header.digest().to_string()));
    assert_eq!(told["state_root"], json!(one.header.state_root.to_string()));
    assert_eq!(told["blocks"].as_array().unwrap().len(), one.blocks.len());
    let id = one.outcomes[0].0.to_string();
    assert_eq!(told["transactions"][0], json!({"id": id, "outcome": {"result": "applied"}}));
    assert_eq!(node.ask("/v1/checkpoints/latest")["certificate"], Value::Null);
}

#[test]
fn the_dag_is_told_by_rounds() {
    let node = Node::new();
    let dag = node.ask("/v1/blocks?from_round=10&to_round=12");
    let blocks = dag["blocks"].as_array().unwrap();
    assert_eq!(blocks.len(), 12, "four validators fill three rounds");
    assert!(blocks.iter().any(|block| block["leader"] == json!(true)));
    for block in blocks {
        assert_eq!(block["state"], json!("committed"));
        assert!(block["height"].is_u64() && block["parents"].as_array().unwrap().len() >= 3);
    }
    assert!(!dag["slots"].as_array().unwrap().is_empty());
    let newest = node.ask("/v1/blocks");
    let rounds = newest["blocks"].as_array().unwrap().iter().map(|one| one["round"].as_u64());
    assert_eq!(rounds.clone().max().unwrap(), Some(node.archive.highest_round().0));
    assert_eq!(rounds.min().unwrap(), Some(node.archive.highest_round().0 - 23));

    let digest = blocks[0]["digest"].as_str().unwrap();
    let block = node.ask(&format!("/v1/blocks/{digest}"));
    assert_eq!(block["round"], json!(10));
    assert_eq!(block["signature"].as_str().unwrap().len(), 2 * 666);
    let mut blocks = HISTORY.executed().flat_map(|one| &one.blocks);
    let carrier = blocks.find(|block| !block.body.payload.transactions.is_empty());
    let block = node.ask(&format!("/v1/blocks/{}", carrier.unwrap().reference().digest));
    let ids = json!([HISTORY.transfers[0].body.id().to_string()]);
    assert_eq!(block["transaction_ids"], ids);
}

#[test]
fn transactions_are_told_with_what_became_of_them() {
    let node = Node::new();
    let tell = |number: usize| {
        node.ask(&format!("/v1/transactions/{}", HISTORY.transfers[number].body.id()))
    };
    let applied = tell(0);
    assert_eq!(applied["status"], json!("final"));
    assert_eq!(applied["outcome"], json!({"result": "applied"}));
    let says = &applied["transaction"];
    assert_eq!(says["sender"], json!(address(0).to_string()));
    let to = address(1).to_string();
    assert_eq!(says["action"], json!({"transfer": {"to": to, "amount": "100"}}));
    assert_eq!((&says["fee"], &says["scheme"]), (&json!("10"), &json!("falcon-512")));
    let failed = tell(2);
    assert_eq!(failed["outcome"]["result"], json!("failed"));
    assert!(failed["outcome"]["reason"].as_str().unwrap().contains("after the fee"));
    let unknown = node.ask(&format!("/v1/transactions/{}", "ab".repeat(32)));
    assert_eq!((&unknown["status"], &unknown["height"]), (&json!("unknown"), &Value::Null));

    let list = node.ask("/v1/transactions?limit=3");
    assert_eq!(list["transactions"].as_array().unwrap().len(), 3);
    let next = list["next"].as_str().unwrap();
    let rest = node.ask(&format!("/v1/transactions?limit=3&before={next}"));
    assert_eq!(rest["transactions"].as_array().unwrap().len(), 1);
    assert_eq!(rest["transactions"][0]["id"], applied["id"]);
    assert_eq!(rest["next"], Value::Null);
    let of = node.ask(&format!("/v1/accounts/{}/transactions", address(0)));
    assert_eq!(of["transactions"].as_array().unwrap().len(), 2);
}

#[test]
fn accounts_and_supply_are_read_at_the_certified_height() {
    let node = Node::new();
    let height = HISTORY.certified().0.checkpoint.height.0;
    let account = node.ask(&format!("/v1/accounts/{}", address(0)));
    assert_eq!(account["balance"], json!((1_000 - 150 - 20).to_string()));
    assert_eq!((&account["nonce"], &account["next_nonce"]), (&json!(2), &json!(2)));
    assert_eq!((&account["exists"], &account["height"]), (&json!(true), &json!(height)));
    let absent = node.ask(&format!("/v1/accounts/{}", "77".repeat(32)));
    assert_eq!((&absent["exists"], &absent["balance"]), (&json!(false), &json!("0")));
    let supply = node.ask("/v1/supply");
    assert_eq!((&supply["genesis"], &supply["fees"]), (&json!("2000"), &json!("40")));
}

#[test]
fn every_proof_checks_offline() {
    let node = Node::new();
    let document = node.ask(&format!("/v1/accounts/{}/proof", address(1)));
    let Claims::Account(claims) = proven(&document) else { panic!("{document}") };
    assert_eq!((claims.balance.as_str(), claims.nonce), ("1123", 2));
    let document = node.ask(&format!("/v1/accounts/{}/proof", "77".repeat(32)));
    let Claims::Account(claims) = proven(&document) else { panic!("{document}") };
    assert!(!claims.exists);

    for transfer in &HISTORY.transfers {
        let id = transfer.body.id();
        let document = node.ask(&format!("/v1/transactions/{id}/proof"));
        let Claims::Transaction(claims) = proven(&document) else { panic!("{document}") };
        let told = node.ask(&format!("/v1/transactions/{id}"));
        assert_eq!(told["outcome"]["result"], json!(claims.result));
        assert_eq!(told["height"], json!(claims.certified.height));
    }
    for height in 1..=HISTORY.certified().0.checkpoint.height.0 {
        let document = node.ask(&format!("/v1/checkpoints/{height}/proof"));
        let Claims::Checkpoint(claims) = proven(&document) else { panic!("{document}") };
        let digest = node.archive.checkpoint(Height(height)).unwrap().unwrap().header.digest();
        assert_eq!(claims.certified.checkpoint, digest.to_string());
    }
    let answer = node.get("/v1/checkpoints/latest/proof");
    assert_eq!(answer.code(), (404, "not_certified".to_owned()));
}

#[test]
fn evidence_is_told_and_checks_offline() {
    let node = Node::new();
    assert_eq!(node.ask("/v1/evidence"), json!({"evidence": [], "next": null}));
    let evidence = crate::testing::equivocation(3);
    node.archive.add_evidence(&evidence).unwrap();
    let told = &node.ask("/v1/evidence")["evidence"][0];
    assert_eq!((&told["accused"], &told["name"]), (&json!(3), &json!("validator-3")));
    assert_eq!(told["offence"], json!("two blocks in round 9"));
    let digest = told["digest"].as_str().unwrap();
    let document = node.ask(&format!("/v1/evidence/{digest}/proof"));
    let Claims::Evidence(claims) = proven(&document) else { panic!("{document}") };
    assert_eq!(claims.accused, 3);
}

/// Given more evidence than a page has.
/// When a client follows `next` to the end,
/// then it has seen each once, in order.
#[test]
fn evidence_is_paged() {
    let node = Node::new();
    let mut digests: Vec<String> = (0..3)
        .flat_map(|index| [1, 2, 3].map(|time| crate::testing::equivocation_at(index, time)))
        .map(|evidence| {
            node.archive.add_evidence(&evidence).unwrap();
            evidence.digest().to_string()
        })
        .collect();
    digests.sort_unstable();
    digests.reverse();
    let mut seen = Vec::new();
    let mut path = "/v1/evidence?limit=4".to_owned();
    loop {
        let page = node.ask(&path);
        let entries = page["evidence"].as_array().unwrap();
        assert!(entries.len() <= 4, "{page}");
        seen.extend(entries.iter().map(|one| one["digest"].as_str().unwrap().to_owned()));
        let Some(next) = page["next"].as_str() else { break };
        path = format!("/v1/evidence?limit=4&before={next}");
    }
    assert_eq!(seen, digests);
    let params = json!({ "limit": 2, "before": digests[3] });
    let call = json!({ "jsonrpc": "2.0", "id": 1, "method": "qcn_evidence", "params": params });
    let told = node.post_json("/rpc", &call).json();
    assert_eq!(told["result"]["evidence"][1]["digest"], json!(digests[5]));
    assert_eq!(told["result"]["next"], json!(digests[5]));
    for wrong in ["limit=0", "limit=501", "before=7", "after=1"] {
        assert_eq!(node.get(&format!("/v1/evidence?{wrong}")).code().0, 400, "{wrong}");
    }
}

#[test]
fn things_are_found_by_number_digest_and_name() {
    let node = Node::new();
    let kinds = |text: &str| {
        let found = node.ask(&format!("/v1/search?q={text}"));
        let results = found["results"].as_array().unwrap().clone();
        results.iter().map(|one| one["kind"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(kinds("7"), ["checkpoint", "block", "block", "block", "block"]);
    let id = HISTORY.transfers[0].body.id().to_string();
    assert_eq!(kinds(&id), ["transaction"]);
    assert_eq!(kinds(&id[..9].to_uppercase()), ["transaction"]);
    assert_eq!(kinds(&address(0).to_string()), ["account"]);
    assert_eq!(kinds("Validator-2"), ["validator"]);
    assert!(kinds("nothing%20of%20this").is_empty());
    assert_eq!(kinds("v%61lidator-2"), ["validator"]);
    assert!(kinds("100%").is_empty() && kinds("%C3%A4").is_empty(), "they are text");
    for refused in ["q=", "q=%ff", "q=validator-2%c3", "q=%C3%28", "%ff=1&q=validator-2"] {
        let answer = node.get(&format!("/v1/search?{refused}")).code();
        assert_eq!(answer, (400, "malformed".to_owned()), "{refused}");
    }
}

#[test]
fn what_is_not_there_or_makes_no_sense_is_refused_with_a_remedy() {
    let node = Node::new();
    let name = "ab".repeat(32);
    let not_found = |path: String| assert_eq!(node.get(&path).code(), (404, "not_found".into()));
    not_found(format!("/v1/blocks/{name}"));
    not_found("/v1/checkpoints/999999".to_owned());
    not_found(format!("/v1/transactions/{name}/proof"));
    not_found(format!("/v1/evidence/{name}/proof"));
    for path in [
        "/v1/blocks/xyz",
        "/v1/blocks/abcd",
        "/v1/checkpoints/minus",
        "/v1/checkpoints/-1",
        "/v1/transactions/%20",
        "/v1/transactions/%ff",
        "/v1/accounts/0xab",
        "/v1/accounts/é/proof",
        "/v1/checkpoints?limit=0",
        "/v1/checkpoints?limit=501",
        "/v1/checkpoints?before=x",
        "/v1/checkpoints?before=%80",
        "/v1/transactions?before=1.x",
        "/v1/transactions?colour=red",
        "/v1/blocks?from_round=1&to_round=65",
        "/v1/blocks?epoch=first",
        "/v1/committees/first",
        "/v1/epochs?limit=0",
        "/v1/epochs?limit=501",
        "/v1/epochs?resharded=maybe",
        "/v1/search",
        "/v1/events?topics=weather",
        "/v1/events?id=1",
    ] {
        assert_eq!(node.get(path).code(), (400, "malformed".to_owned()), "{path}");
    }
    assert_eq!(node.get("/v2/status").code(), (404, "no_such_path".to_owned()));
    assert_eq!(node.post_json("/v1/status", &json!({})).code(), (405, "wrong_method".to_owned()));
}

#[test]
fn a_node_without_a_certificate_says_so() {
    let folder = TestFolder::new();
    let archive = Archive::open(folder.path(), Retention::ALL).unwrap();
    let (view, _submissions) = View::new(HISTORY.keys.clone(), ValidatorIndex(0));
    let mut node = Node::new();
    node.close();
    let config = ApiConfig {
        announcements: AnnouncementBoard::default(),
        listen: "127.0.0.1:0".parse().unwrap(),
        limits: Limits::default(),
        hosts: Vec::new(),
        chain_name: String::new(),
        genesis_json: String::new(),
        account_schemes: Vec::new(),
        transport_keys: Vec::new(),
        own: None,
        layout: None,
        shards: Vec::new(),
        defects: Defects::default(),
    };
    let api = node.runtime.block_on(Api::start(config, view, archive, Metrics::new())).unwrap();
    node.base = format!("http://{}", api.local_address());
    node.api = Some(api);
    let answer = node.get("/v1/supply");
    assert_eq!(answer.code(), (503, "no_certified_state".to_owned()));
    assert_eq!(node.ask("/v1/checkpoints"), json!({"checkpoints": []}));
    assert_eq!(node.ask("/v1/blocks"), json!({"epoch": 0, "blocks": [], "slots": []}));
    assert_eq!(node.ask("/v1/transactions"), json!({"transactions": [], "next": null}));
    for name in ["latest", "certified", "certified/proof"] {
        let answer = node.get(&format!("/v1/checkpoints/{name}"));
        assert_eq!(answer.code(), (404, "no_checkpoint".to_owned()), "{name}");
        assert!(answer.text.contains("yet") && answer.text.contains("try again"), "{name}");
    }
    assert_eq!(node.get("/ready").status, 503);
}
