//! A node of which one of two shards is here: shard 0, with the history of the others' tests.

use qcn_types::{Committee, Epoch, Layout, Member, ShardId, Weight};

use super::super::{Hosted, ShardFacts};
use super::*;
use crate::testing::validator_key;

/// The same node in a network of two shards, of which it hosts one, or none.
pub(super) struct Sharded {
    pub(super) node: Node,
    _folder: TestFolder,
}

pub(super) fn facts(layout: &Layout) -> Vec<ShardFacts> {
    let member = |index: u16| Member {
        name: format!("other-{index}"),
        key: validator_key(index).public_key().clone(),
        weight: Weight(1_000),
    };
    let here = Arc::clone(HISTORY.keys.committee());
    let there = Committee::new(ShardId(1), Epoch(0), (4..8).map(member).collect()).unwrap();
    let committees = [here, Arc::new(there)];
    let shards = layout.shards().iter().zip(committees).zip([0_u16, 4]);
    let facts = shards.map(|((&(prefix, id), committee), first)| ShardFacts {
        id,
        prefix,
        committee,
        seats: (first..first + 4).map(ValidatorIndex).collect(),
        addresses: vec![Some("192.0.2.7:7400".to_owned()); 4],
    });
    facts.collect()
}

impl Sharded {
    pub(super) fn hosting(first_shard: bool) -> Self {
        let mut node = Node::new();
        let layout = Layout::even(2).unwrap();
        let config = ApiConfig {
            announcements: AnnouncementBoard::default(),
            listen: "127.0.0.1:0".parse().unwrap(),
            limits: Limits::default(),
            hosts: Vec::new(),
            chain_name: "testnet".to_owned(),
            genesis_json: GENESIS.to_owned(),
            account_schemes: vec![Scheme::Falcon512, Scheme::MlDsa44],
            transport_keys: Vec::new(),
            own: Some(ValidatorIndex(0)),
            shards: facts(&layout),
            layout: Some(Arc::new(layout)),
            defects: Defects::default(),
        };
        let (view, archive) = (node.view.clone(), node.archive.clone());
        let hosted = Hosted { view, archive, metrics: Metrics::of_shard(ShardId(0)) };
        let hosted = if first_shard { vec![hosted] } else { Vec::new() };
        node.close();
        let api = Api::start_hosting(config, hosted, Metrics::of_node(true));
        let api = node.runtime.block_on(api).unwrap();
        node.base = format!("http://{}", api.local_address());
        node.api = Some(api);
        Self { node, _folder: TestFolder::new() }
    }
}

/// An address of a shard of two.
pub(super) fn address_in(shard: u8) -> String {
    format!("{:02x}{}", shard << 7, "11".repeat(31))
}

/// What belongs to a shard that is not here is refused with the names of those that have it, and
/// the paths of one that is here lead to it with and without its number.
#[test]
fn another_shard_is_named_with_those_that_serve_it() {
    let sharded = Sharded::hosting(true);
    let node = &sharded.node;
    assert_eq!(node.ask(&format!("/v1/accounts/{}", address_in(0)))["shard"], 0);
    for path in [format!("/v1/accounts/{}", address_in(1)), "/v1/shards/1/status".to_owned()] {
        let answer = node.get(&path);
        assert_eq!(answer.code(), (421, "shard_elsewhere".to_owned()), "{path}");
        let remedy = answer.json()["error"]["remedy"].as_str().unwrap().to_owned();
        assert!(remedy.contains("other-6 (192.0.2.7:7400 for validators)"), "{remedy}");
    }
    assert_eq!(node.ask("/v1/status")["chain_id"], node.ask("/v1/shards/0/status")["chain_id"]);
    assert_eq!(node.get("/v1/shards/2/status").code(), (404, "not_found".to_owned()));
    assert_eq!(node.get("/v1/shards/x/status").code(), (400, "malformed".to_owned()));
    assert_eq!(node.get("/v1/shards/0/nothing").code(), (404, "no_such_path".to_owned()));

    let call = |params: Value| {
        let request = json!({"jsonrpc": "2.0", "id": 1, "method": "qcn_status", "params": params});
        node.post_json("/rpc", &request).json()
    };
    assert_eq!(call(json!({"shard": 0}))["result"]["shard"], 0);
    assert_eq!(call(json!({"shard": 1}))["error"]["data"]["code"], "shard_elsewhere");
}

/// All shards are shown with prefix and committee, and what is not here without its state.
#[test]
fn shards_are_shown_with_their_committees_and_lanes() {
    let sharded = Sharded::hosting(true);
    let body = sharded.node.ask("/v1/shards");
    let [here, there] = &body["shards"].as_array().unwrap()[..] else { panic!("{body}") };
    assert_eq!((&here["prefix"], &there["prefix"]), (&json!("0*"), &json!("1*")));
    assert_eq!((&here["hosted"], &there["hosted"]), (&json!(true), &json!(false)));
    assert!(here["state"]["height"].as_u64().unwrap() > 0 && there["state"].is_null());
    assert_eq!(there["committee"][2]["name"], "other-6");
    assert_eq!(
        (&there["committee"][2]["validator"], &here["committee"][0]["own"]),
        (&json!(6), &json!(true))
    );
    let [out, back] = &body["lanes"].as_array().unwrap()[..] else { panic!("{body}") };
    assert_eq!((&out["sent"]["receipts"], &out["received"]), (&json!(0), &Value::Null));
    assert_eq!((&back["sent"], &back["received"]["receipts"]), (&Value::Null, &json!(0)));
    assert_eq!(
        (&body["supply"]["complete"], &body["supply"]["shards"]),
        (&json!(false), &json!([0]))
    );
    assert_eq!(sharded.node.ask("/v1/supply")["all"]["genesis"], body["supply"]["genesis"]);
}

/// A node without a shard answers what is about the network and the node, and says for all else
/// who to ask.
#[test]
fn a_node_without_a_seat_answers_all_the_same() {
    let sharded = Sharded::hosting(false);
    let node = &sharded.node;
    assert_eq!(node.ask("/health")["status"], "ok");
    assert_eq!(node.ask("/v1/shards")["shards"].as_array().unwrap().len(), 2);
    assert_eq!(node.ask("/v1/genesis")["name"], "test");
    let answer = node.get("/v1/status");
    assert_eq!(answer.code(), (421, "no_shard_here".to_owned()));
    assert!(answer.text.contains("other-4"), "{}", answer.text);
    assert!(!answer.text.contains("for validators"), "clients cannot use it: {}", answer.text);
}

/// What several shards and the node count stands in one text, each family once.
#[test]
fn metrics_of_shards_have_their_label() {
    let [left, right] = [0, 1].map(|shard| Metrics::of_shard(ShardId(shard)));
    left.transactions.inc_by(3);
    right.transactions.inc_by(5);
    let text = Metrics::texts([&Metrics::of_node(true), &left, &right]).unwrap();
    for line in ["qcn_transactions_total{shard=\"0\"} 3", "qcn_transactions_total{shard=\"1\"} 5"] {
        assert!(text.lines().any(|one| one == line), "{text}");
    }
    let heads = text.lines().filter(|line| line.starts_with("# HELP qcn_transactions "));
    assert_eq!(heads.count(), 1, "{text}");
    assert!(text.ends_with("# EOF\n") && text.matches("# EOF").count() == 1);
    assert!(text.contains("\nqcn_process_cpu_seconds_total "), "of the node, without a label");
    let only = Metrics::new();
    assert_eq!(Metrics::texts([&only, &only]).unwrap(), only.text().unwrap());
}
