//! A node that hosts the beacon besides a shard.

use qcn_crypto::{Digest, HashChain, Scheme};
use qcn_ledger::{BeaconGenesis, BeaconParameters, Founder, Identity, KeySchemes, Ledger};
use qcn_types::{
    Applicant, BEACON, Bounded, Certificate, Checkpoint, CommitteeKeys, EpochPlan, Height, Layout,
    Payload, Registration, Report, Weight,
};

use super::super::Hosted;
use super::shards::Sharded;
use super::*;
use crate::testing::validator_key;

const SEED: Digest = Digest([8; 32]);

fn parameters() -> BeaconParameters {
    BeaconParameters {
        seats: 4,
        epoch_ms: 60_000,
        shards_max: 8,
        split_above: 900,
        merge_below: 30,
        schemes: KeySchemes::all(),
    }
}

/// The state of a beacon of six validators and two shards, and the plan of the first epoch.
pub(super) fn genesis() -> (Ledger, EpochPlan) {
    let founder = |index: u16| {
        let key = validator_key(index).public_key().clone();
        let identity = Identity {
            name: Bounded::truncated(format!("founder-{index}").into_bytes()),
            consensus: key.clone(),
            transport: key,
            recovery: None,
            anchor: HashChain::new(&[index as u8; 32], 8).unwrap().anchor(),
            address: Some(Bounded::truncated(b"192.0.2.7:7400".to_vec())),
        };
        Founder { identity, weight: Weight(1_000) }
    };
    let genesis = BeaconGenesis {
        parameters: parameters(),
        seed: SEED,
        layout: Layout::even(2).unwrap(),
        validators: (0..6).map(founder).collect(),
    };
    Ledger::beacon_genesis(CHAIN, &genesis).unwrap()
}

/// Hosts the beacon besides, and gives its view, and the folder of its archive.
fn host_beacon(node: &Node, plan: &EpochPlan) -> (View, TestFolder) {
    let folder = TestFolder::new();
    let committee = plan.committee(BEACON).unwrap();
    let keys = CommitteeKeys::decode(CHAIN, Arc::new(committee)).unwrap();
    let (view, _) = View::new(keys, ValidatorIndex(0));
    let archive = Archive::open(folder.path(), Retention::ALL).unwrap();
    let metrics = Metrics::of_shard(BEACON);
    let hosted = Hosted { view: view.clone(), archive, metrics };
    node.api.as_ref().unwrap().hosting().host(hosted);
    (view, folder)
}

fn certified(ledger: &Ledger) -> CertifiedState {
    let state_root = ledger.state_root();
    let checkpoint =
        Checkpoint { shard: BEACON, height: Height(3), state_root, ..Checkpoint::default() };
    let certificate = Certificate { checkpoint, attestations: Bounded::default() };
    CertifiedState { certificate: Arc::new(certificate), ledger: ledger.clone() }
}

fn call(node: &Node) -> Value {
    let request = json!({"jsonrpc": "2.0", "id": 1, "method": "qcn_beacon"});
    node.post_json("/rpc", &request).json()
}

/// Given a node that hosts the beacon besides a shard.
/// When the beacon has a certified state.
/// Then all that the state says is told, at a place of its own.
#[test]
fn the_beacon_tells_what_its_certified_state_says() {
    let sharded = Sharded::hosting(true);
    let node = &sharded.node;
    let (ledger, plan) = genesis();
    let (view, _folder) = host_beacon(node, &plan);
    assert_eq!(node.get("/v1/beacon").code(), (503, "no_certified_state".to_owned()));
    view.set_certified(certified(&ledger));
    view.set_status(NodeStatus {
        round: 9,
        height: 4,
        certified_height: 3,
        ..NodeStatus::default()
    });

    let body = node.ask("/v1/beacon");
    assert_eq!(call(node)["result"], body);
    assert_eq!((&body["epoch"], &body["began_unix_ms"]), (&json!(0), &Value::Null));
    assert_eq!(body["seed"], json!(SEED.to_string()));
    let layout = json!([{ "prefix": "0*", "shard": 0 }, { "prefix": "1*", "shard": 1 }]);
    assert_eq!((&body["layout"], &body["next_shard"]), (&layout, &json!(2)));
    assert_eq!((&body["reshardings"], &body["heirs"]), (&json!([]), &json!([])));
    assert_eq!((&body["candidates"], &body["votes"]), (&json!([]), &json!([])));
    let register = body["register"].as_array().unwrap();
    assert_eq!(register.len(), 6);
    for (index, (one, founder)) in register.iter().zip(&plan.validators).enumerate() {
        assert_eq!(one["number"], founder.number);
        assert_eq!(one["consensus_key"], founder.key.to_string());
        assert_eq!((&one["validator"], &one["weight"]), (&json!(index), &json!(1_000)));
        assert_eq!(one["address"], "192.0.2.7:7400");
        assert_eq!((&one["rotations"], &one["recovery_key"]), (&json!(0), &Value::Null));
        for flag in ["isolated", "leaving", "revealed", "keys_change"] {
            assert_eq!(one[flag], false, "{flag}");
        }
        let index = index as u16;
        let seated = plan.committees.iter().filter(|one| one.seats.contains(&index));
        let seated: Vec<u32> = seated.map(|committee| committee.shard.0).collect();
        assert_eq!(one["shards"], json!(seated));
    }
    let [first, _] = &body["shards"].as_array().unwrap()[..] else { panic!("{body}") };
    assert_eq!((&first["shard"], &first["loaded_epochs"]), (&json!(0), &json!(0)));
    let parameters = json!({"seats": 4, "epoch_ms": 60_000, "shards_max": 8, "split_above": 900,
        "merge_below": 30});
    assert_eq!(body["parameters"], parameters);
    let heights = ["round", "height", "certified_height", "state_height"].map(|name| &body[name]);
    assert_eq!(heights, [&json!(9), &json!(4), &json!(3), &json!(3)]);
    assert!(body["quorum_weight"].as_u64() > Some(4_000));
}

/// Given a beacon that has been told of a registration, for which two members vote.
/// Then it is told who wants to be admitted, who brought it in, and who is for it.
#[test]
fn who_has_registered_is_told_with_those_who_are_for_it() {
    let sharded = Sharded::hosting(true);
    let node = &sharded.node;
    let (mut ledger, plan) = genesis();
    let (view, _folder) = host_beacon(node, &plan);
    let key = crate::testing::members::key(Scheme::Falcon512, "newcomer");
    let newcomer = Applicant {
        name: "newcomer",
        consensus: &key,
        transport: &key,
        recovery: None,
        weight: Weight(700),
        anchor: SEED,
        address: Some("new.example:7400"),
    };
    let newcomer = Registration::sign(CHAIN, &newcomer).unwrap();
    let registration = newcomer.digest();
    let approval = |weight| Report::Approval { registration, weight: Weight(weight) };
    let payload = |reports| Payload { reports: Bounded::truncated(reports), ..Payload::default() };
    let said = [
        (ValidatorIndex(4), payload(vec![approval(700)])),
        (ValidatorIndex(2), payload(vec![Report::Registration(Box::new(newcomer)), approval(600)])),
    ];
    ledger.execute_commit(said.iter().map(|(author, payload)| (*author, payload)), 1_000);
    view.set_certified(certified(&ledger));

    let body = node.ask("/v1/beacon");
    let key = key.public_key().to_string();
    let candidate = json!({"registration": registration.to_string(), "by": 2, "name": "newcomer",
        "weight": 700, "address": "new.example:7400", "consensus_key": key, "transport_key": key,
        "approvals": [{"by": 2, "weight": 600}, {"by": 4, "weight": 700}]});
    assert_eq!(body["candidates"], json!([candidate]));
    let subject = json!({"admission": registration.to_string()});
    assert_eq!(body["votes"][1], json!({"by": 4, "subject": subject, "weight": 700}));
}

/// It is a chain of its own, and no shard of accounts.
#[test]
fn the_beacon_is_no_shard_of_accounts() {
    let sharded = Sharded::hosting(true);
    let node = &sharded.node;
    let (ledger, plan) = genesis();
    let before = [node.ask("/v1/shards"), node.ask("/v1/supply")];
    let (view, _folder) = host_beacon(node, &plan);
    let ready = node.get("/ready");
    assert!(ready.status == 503 && ready.text.contains("the beacon: "), "{}", ready.text);
    view.set_certified(certified(&ledger));
    view.set_peers((1..6).map(|index| peer(index, true)).collect());
    assert_eq!(node.ask("/ready")["ready"], true);
    assert_eq!([node.ask("/v1/shards"), node.ask("/v1/supply")], before);
    assert_eq!(node.ask("/v1/status")["shard"], 0);
    let own = node.ask(&format!("/v1/shards/{BEACON}/status"));
    assert_eq!((&own["shard"], &own["committee"]["size"]), (&json!(BEACON.0), &json!(6)));
    let supply = node.get(&format!("/v1/shards/{BEACON}/supply"));
    assert_eq!(supply.code(), (404, "no_accounts".to_owned()));
    let search = node.ask("/v1/search?q=founder");
    assert_eq!(search["results"], json!([]));
    let account = format!("/v1/shards/{BEACON}/accounts/{}", address(0));
    let answer = node.get(&account);
    let shard = answer.json()["shard"].clone();
    assert!(answer.status == 421 || shard == 0, "an account is in a shard: {}", answer.text);

    let stopped = Some("the log failed".to_owned());
    view.set_status(NodeStatus { stopped, ..NodeStatus::default() });
    assert_eq!(node.get("/health").status, 503, "the node is well if all its instances are");
    node.api.as_ref().unwrap().hosting().leave(BEACON);
    assert_eq!(node.get("/health").status, 200);
}

#[test]
fn a_network_without_a_beacon_says_so() {
    let node = Node::new();
    assert_eq!(node.get("/v1/beacon").code(), (404, "no_beacon".to_owned()));
    assert_eq!(call(&node)["error"]["data"]["code"], "no_beacon");
}

/// A node whose validator has a seat in the beacon only.
#[test]
fn a_node_with_the_beacon_alone_names_who_has_shards() {
    let sharded = Sharded::hosting(false);
    let node = &sharded.node;
    let (ledger, plan) = genesis();
    let (view, _folder) = host_beacon(node, &plan);
    view.set_certified(certified(&ledger));
    assert_eq!(node.ask("/v1/beacon")["register"].as_array().unwrap().len(), 6);
    assert_eq!(node.get("/v1/status").code(), (421, "no_shard_here".to_owned()));
    let shards = node.ask("/v1/shards");
    assert!(shards["supply"].is_null() && shards["lanes"] == json!([]), "{shards}");
    let text = node.get("/metrics").text;
    assert!(text.contains(&format!("qcn_round{{shard=\"{BEACON}\"}}")), "{text}");
}
