//! A node's API over real HTTP, in front of a real history and a runtime that is played.

mod beacon;
mod chain;
mod epochs;
mod events;
mod hosting;
mod limits;
mod origins;
mod receipt_proof;
mod rpc;
mod shards;
mod submit;
mod tunnel;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Duration;

use qcn_crypto::Scheme;
use qcn_light::{Refusal, verify_certificate};
use qcn_shard::Refused;
use qcn_types::{Address, Transaction, ValidatorIndex, Verified};
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use tokio::sync::mpsc;
use ureq::Agent;

use super::{Api, ApiConfig, Limits, Metrics};
use crate::archive::{Archive, Retention};
use crate::defects::Defects;
use crate::proof_document::{AnnouncementBoard, Claims, ProofDocument, verify};
use crate::testing::{CHAIN, HISTORY, TestFolder};
use crate::view::{CertifiedState, NodeStatus, PeerStatus, Submission, SubmitError, View};

const GENESIS: &str = r#"{"name":"test"}"#;

/// A node of which everything but the API is played.
struct Node {
    // Dropped before the folder that it writes to.
    api: Option<Api>,
    runtime: Runtime,
    view: View,
    archive: Archive,
    metrics: Metrics,
    announcements: AnnouncementBoard,
    defects: Defects,
    agent: Agent,
    base: String,
    _folder: TestFolder,
}

struct Answer {
    status: u16,
    text: String,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|_| panic!("not JSON: {}", self.text))
    }

    /// The code of a refusal, which always comes with a message and a remedy.
    fn code(&self) -> (u16, String) {
        let error = &self.json()["error"];
        assert!(error["message"].is_string() && error["remedy"].is_string(), "{error}");
        (self.status, error["code"].as_str().unwrap().to_owned())
    }
}

fn small_limits() -> Limits {
    Limits {
        body_bytes: 64 * 1024,
        batch_body_bytes: 256 * 1024,
        rpc_answers_bytes: 4 * 1024,
        connections: 8,
        subscribers: 2,
        header_timeout: Duration::from_millis(300),
        request_timeout: Duration::from_millis(1_500),
    }
}

impl Node {
    /// With the whole history, and generous times.
    fn new() -> Self {
        Self::with(Limits::default())
    }

    fn with(limits: Limits) -> Self {
        let folder = TestFolder::new();
        let archive = Archive::open(folder.path(), Retention::ALL).unwrap();
        HISTORY.tell(&archive);
        let (view, submissions) = View::new(HISTORY.keys.clone(), ValidatorIndex(0));
        let runtime = Runtime::new().unwrap();
        runtime.spawn(play_runtime(view.clone(), submissions));
        let announcements = AnnouncementBoard::default();
        let defects = Defects::default();
        let config = ApiConfig {
            announcements: announcements.clone(),
            listen: "127.0.0.1:0".parse().unwrap(),
            limits,
            hosts: vec!["node.example".to_owned()],
            chain_name: "testnet".to_owned(),
            genesis_json: GENESIS.to_owned(),
            account_schemes: vec![Scheme::Falcon512, Scheme::MlDsa44],
            transport_keys: vec!["aa".to_owned()],
            own: None,
            layout: None,
            shards: Vec::new(),
            defects: defects.clone(),
        };
        let metrics = Metrics::new();
        let start = Api::start(config, view.clone(), archive.clone(), metrics.clone());
        let api = runtime.block_on(start).unwrap();
        let base = format!("http://{}", api.local_address());
        let agent = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(Duration::from_secs(20)))
            .build()
            .into();
        let node = Self {
            api: Some(api),
            runtime,
            view,
            archive,
            metrics,
            announcements,
            defects,
            agent,
            base,
            _folder: folder,
        };
        node.show_history();
        node
    }

    fn show_history(&self) {
        let (certificate, ledger) = HISTORY.certified();
        self.view.set_status(NodeStatus {
            round: 70,
            height: self.archive.last_height().0,
            certified_height: certificate.checkpoint.height.0,
            ..NodeStatus::default()
        });
        self.view.set_certified(CertifiedState { certificate: Arc::new(certificate), ledger });
        self.view.set_peers((1..4).map(|index| peer(index, index != 3)).collect());
    }

    fn get(&self, path: &str) -> Answer {
        let response = self.agent.get(format!("{}{path}", self.base)).call();
        answer(response.unwrap())
    }

    /// What a successful request gives.
    fn ask(&self, path: &str) -> Value {
        let answer = self.get(path);
        assert_eq!(answer.status, 200, "{path}: {}", answer.text);
        answer.json()
    }

    fn post(&self, path: &str, kind: &str, body: &[u8]) -> Answer {
        let request = self.agent.post(format!("{}{path}", self.base)).header("content-type", kind);
        answer(request.send(body).unwrap())
    }

    fn post_json(&self, path: &str, body: &Value) -> Answer {
        self.post(path, "application/json", body.to_string().as_bytes())
    }

    /// A connection without an HTTP client's good manners.
    fn raw(&self) -> TcpStream {
        let stream = TcpStream::connect(self.base.trim_start_matches("http://")).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        stream
    }

    fn close(&mut self) {
        self.runtime.block_on(self.api.take().unwrap().close());
    }
}

fn answer(mut response: ureq::http::Response<ureq::Body>) -> Answer {
    let text = response.body_mut().read_to_string().unwrap();
    Answer { status: response.status().as_u16(), text }
}

fn peer(index: u16, connected: bool) -> PeerStatus {
    PeerStatus {
        index,
        name: format!("validator-{index}"),
        address: Some("127.0.0.1:9".to_owned()),
        connected,
        rtt_ms: connected.then_some(1.5),
        bytes_in: 1_000,
        bytes_out: 2_000,
        frames_dropped: 3,
        packets_sent: 700,
        packets_lost: 5,
        refused: 4,
    }
}

/// Says what the real runtime says: checks signatures, and asks the ledger.
async fn play_runtime(view: View, mut submissions: mpsc::Receiver<Submission>) {
    while let Some(Submission { transactions, reply }) = submissions.recv().await {
        let certified = view.certified();
        let say = |transaction: Transaction| {
            let checked = Verified::check(transaction, CHAIN);
            let checked = checked.map_err(|_| SubmitError::WrongSignature)?;
            let id = checked.body.id();
            let ledger = &certified.as_ref().ok_or(SubmitError::Busy)?.ledger;
            match ledger.admit(&checked) {
                Ok(()) | Err(Refusal::NonceTooHigh { .. }) => Ok(id),
                Err(refusal) => Err(SubmitError::Refused(Refused::ByLedger(refusal))),
            }
        };
        // Who has left does not want the answer any more.
        let _ = reply.send(transactions.into_iter().map(say).collect());
    }
}

fn address(account: usize) -> Address {
    Address::of(HISTORY.accounts[account].public_key())
}

/// The document checks offline, and says what the field claims.
fn proven(document: &Value) -> Claims {
    let document = ProofDocument::parse(&document.to_string()).unwrap();
    verify(&document, &HISTORY.keys).unwrap()
}

#[test]
fn the_node_tells_where_it_stands() {
    let node = Node::new();
    let status = node.ask("/v1/status");
    assert_eq!(status["chain_id"], json!(CHAIN.to_string()));
    assert_eq!(status["chain_name"], json!("testnet"));
    let own = json!({"index": 0, "name": "validator-0", "weight": 1_000});
    assert_eq!(status["validator"], own);
    let committee = json!({"size": 4, "total_weight": 4_000, "quorum_weight": 2_667,
        "fault_weight": 1_333});
    assert_eq!(status["committee"], committee);
    assert_eq!((&status["round"], &status["peers_connected"]), (&json!(70), &json!(2)));
    assert!(status["stopped"].is_null() && status["now_unix_ms"].as_u64().unwrap() > 1 << 40);

    let validators = node.ask("/v1/validators");
    let [own, .., last] = &validators["validators"].as_array().unwrap()[..] else {
        panic!("{validators}");
    };
    assert_eq!((&own["own"], &own["connected"]), (&json!(true), &json!(true)));
    assert_eq!((&own["transport_key"], &last["transport_key"]), (&json!("aa"), &Value::Null));
    assert_eq!((&last["connected"], &last["scheme"]), (&json!(false), &json!("falcon-512")));
    assert_eq!(node.ask("/v1/peers")["peers"][0]["bytes_out"], json!(2_000));
    assert_eq!(node.get("/v1/genesis").text, GENESIS);
}

#[test]
fn probes_follow_the_node() {
    let node = Node::new();
    assert_eq!(node.ask("/health"), json!({"status": "ok"}));
    assert_eq!(node.ask("/ready"), json!({"ready": true}));

    node.view.set_peers(vec![peer(1, true)]);
    let answer = node.get("/ready");
    assert_eq!((answer.status, &answer.json()["ready"]), (503, &json!(false)));
    assert!(answer.text.contains("connected to weight 2000"), "{}", answer.text);

    node.view.set_status(NodeStatus { synchronising: true, ..NodeStatus::default() });
    assert!(node.get("/ready").text.contains("synchronising"));
    let waiting_for = Some("the disk is full".to_owned());
    node.view.set_status(NodeStatus { waiting_for, ..NodeStatus::default() });
    assert_eq!(node.get("/health").status, 200, "it goes on by itself: nobody should restart it");
    let answer = node.get("/ready");
    assert_eq!(answer.status, 503);
    assert!(answer.text.contains("waiting: the disk is full"), "{}", answer.text);

    node.view.set_peers((0..4).map(|index| peer(index, true)).collect());
    node.view.set_status(NodeStatus::default());
    node.view.set_isolated([node.view.own()].into_iter().collect());
    let answer = node.get("/ready");
    assert_eq!(answer.status, 503);
    assert!(answer.text.contains("isolated for misbehaviour"), "{}", answer.text);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let taken = runtime.block_on(node.view.submit(Vec::new()));
    assert_eq!(taken, Err(SubmitError::Isolated), "nobody would build on it");

    let stopped = Some("the log failed".to_owned());
    node.view.set_status(NodeStatus { stopped, ..NodeStatus::default() });
    let answer = node.get("/health");
    assert_eq!((answer.status, &answer.json()["reason"]), (503, &json!("the log failed")));
}

/// A part of the node that is of no shard, such as the one that hands on what arrives.
#[test]
fn a_defect_in_any_part_is_told() {
    let node = Node::new();
    assert_eq!((node.get("/health").status, node.get("/ready").status), (200, 200));
    node.defects.run("the router", || panic!("no such lane"));
    for path in ["/health", "/ready"] {
        let answer = node.get(path);
        assert_eq!(answer.status, 503, "{path}");
        let reason = answer.json()["reason"].as_str().unwrap().to_owned();
        assert!(reason.contains("ended the router (no such lane)"), "{reason}");
    }
    let told = |value: &Value| value.as_str().is_some_and(|it| it.contains("the router"));
    assert!(told(&node.ask("/v1/status")["stopped"]));
    assert!(node.get("/metrics").text.lines().any(|line| line == "qcn_stopped 1"));
    assert!(told(&node.ask("/v1/shards")["shards"][0]["state"]["stopped"]));
}

#[test]
fn metrics_are_told_in_the_open_format() {
    let node = Node::new();
    node.metrics.transactions.inc_by(12);
    node.metrics.signing_seconds.observe(0.000_2);
    let reason = super::metrics::ReasonLabel { reason: "malformed" };
    node.metrics.messages_refused.get_or_create(&reason).inc();
    let text = node.get("/metrics").text;
    for line in [
        "qcn_round 70",
        "qcn_transactions_total 12",
        "qcn_signing_seconds_count 1",
        "qcn_messages_refused_total{reason=\"malformed\"} 1",
        "qcn_peer_connected{validator=\"1\"} 1",
        "qcn_peer_bytes_total{validator=\"1\",direction=\"In\"} 1000",
        "# EOF",
    ] {
        assert!(text.lines().any(|found| found == line), "{line} is missing in\n{text}");
    }
    let resident = text.lines().find_map(|line| {
        line.strip_prefix("qcn_process_resident_memory_bytes ")?.parse::<u64>().ok()
    });
    assert!(resident.unwrap() > 1_000_000);
}

#[test]
fn every_route_is_documented_and_every_documented_path_answers() {
    let node = Node::new();
    let document = node.ask("/openapi.json");
    let documented = document["paths"].as_object().unwrap();
    let mut paths: Vec<&str> = documented.keys().map(String::as_str).collect();
    let of_shards = super::routes::routes(1).into_iter().map(|(path, _)| path);
    let of_node = super::routes::node_routes().into_iter().map(|(path, _)| path);
    let mut routes: Vec<&str> = of_node.chain(of_shards).collect();
    paths.sort_unstable();
    routes.sort_unstable();
    assert_eq!(paths, routes);
    for (path, methods) in documented {
        let name = "0".repeat(64);
        let path = path
            .replace("{height}", "latest")
            .replace("{digest}", &name)
            .replace("{id}", &name)
            .replace("{address}", &name);
        for method in methods.as_object().unwrap().keys().filter(|key| *key != "parameters") {
            let answer = match method.as_str() {
                // It has no end.
                "get" if path == "/v1/events" => continue,
                "get" if path == "/v1/search" => node.get("/v1/search?q=1"),
                "get" => node.get(&path),
                _ => node.post_json(&path, &json!({})),
            };
            let is_served = answer.status != 405 && !answer.text.contains("no_such_path");
            assert!(is_served && answer.status < 500, "{method} {path}: {}", answer.text);
        }
    }
    let told = |path: &str, method: &str| {
        let responses = documented[path][method]["responses"].as_object().unwrap();
        let all = responses.keys().map(String::as_str);
        all.filter(|status| ["408", "413", "415", "421", "503"].contains(status))
            .collect::<Vec<_>>()
    };
    assert_eq!(told("/v1/status", "get"), ["408", "421", "503"]);
    assert_eq!(told("/v1/transactions", "post"), ["408", "413", "415", "421", "503"]);
    assert_eq!(told("/v1/shards", "get"), ["408", "503"], "it is answered without a seat");
    assert_eq!(
        told("/rpc", "post"),
        ["408", "413", "415", "503"],
        "each call is refused by itself"
    );
    let schemas = document["components"]["schemas"].as_object().unwrap();
    assert!(schemas.contains_key("StatusBody") && schemas.contains_key("ProofDocument"));
}

#[test]
fn the_explorer_is_served_beside_the_api() {
    let node = Node::new();
    let page = node.get("/");
    assert!(page.status == 200 && page.text.contains("<!doctype html>"), "{}", page.text);
}

#[test]
fn a_used_address_is_refused_with_a_remedy() {
    let node = Node::new();
    let config = ApiConfig {
        announcements: AnnouncementBoard::default(),
        listen: node.api.as_ref().unwrap().local_address(),
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
    let again = Api::start(config, node.view.clone(), node.archive.clone(), Metrics::new());
    let error = node.runtime.block_on(again).err().unwrap().to_string();
    assert!(error.contains("choose another address or port"), "{error}");
}

#[test]
fn certificates_of_the_history_are_valid() {
    verify_certificate(&HISTORY.certified().0, &HISTORY.keys).unwrap();
}
