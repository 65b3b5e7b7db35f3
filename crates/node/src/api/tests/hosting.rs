//! The shards of a node change while its API runs.

use std::io::{BufRead, BufReader};

use qcn_crypto::{Digest, to_hex};
use qcn_ledger::{Received, Reception};
use qcn_types::{
    Amount, Checkpoint, Committee, CommitteeKeys, Epoch, Height, Layout, Member, Prefix, Receipt,
    ReceiptKind, Resharding, ShardId, TransactionId, Weight, encode,
};

use super::super::{EpochFacts, Hosted, Hosting, ShardFacts};
use super::events::{Subscriber, executed_notice};
use super::shards::{Sharded, address_in};
use super::*;
use crate::archive::Executed;
use crate::testing::{LATER, bare_body, sign_block, validator_key};
use crate::view::Notice;

const SHARD_0: ShardId = ShardId(0);
const EPOCH_1: Epoch = Epoch(1);

/// A committee of the next epoch, with names that no committee before has.
fn renewed(shard: ShardId) -> Committee {
    let member = |index: u16| Member {
        name: format!("renewed-{shard}-{index}"),
        key: validator_key(index).public_key().clone(),
        weight: Weight(1_000),
    };
    Committee::new(shard, EPOCH_1, (0..4).map(member).collect()).unwrap()
}

fn facts(layout: Layout, reshardings: Vec<Resharding>) -> EpochFacts {
    let shard = |&(prefix, id): &(Prefix, ShardId)| ShardFacts {
        id,
        prefix,
        committee: Arc::new(renewed(id)),
        seats: (0..4).map(ValidatorIndex).collect(),
        addresses: vec![Some("192.0.2.9:7400".to_owned()); 4],
    };
    EpochFacts {
        epoch: EPOCH_1,
        shards: layout.shards().iter().map(shard).collect(),
        layout: Arc::new(layout),
        reshardings,
        began_unix_ms: 1_790_000_000_000,
    }
}

fn split() -> EpochFacts {
    let layout = Layout::even(2).unwrap().split(SHARD_0, ShardId(2)).unwrap();
    facts(layout, vec![Resharding::Split { shard: SHARD_0, new: ShardId(2) }])
}

fn hosting(node: &Node) -> Hosting {
    node.api.as_ref().unwrap().hosting()
}

/// The instance of shard 0 in the second epoch, which has not made any checkpoint yet.
fn next_instance(node: &Node, keys: CommitteeKeys) -> (View, Hosted) {
    let (view, submissions) = View::new(keys, ValidatorIndex(0));
    node.runtime.spawn(play_runtime(view.clone(), submissions));
    let archive = node.archive.at_epoch(EPOCH_1);
    let metrics = Metrics::of_shard(view.shard());
    (view.clone(), Hosted { view, archive, metrics })
}

/// Given a subscriber of a shard, and a transaction that was handed in.
/// When the shard opens another epoch with another instance.
/// Then the subscriber is told and its stream ends; who subscribes anew hears the new instance,
/// which executes the transaction; and what was certified before is there all the while.
#[test]
fn an_instance_takes_the_place_of_the_one_before() {
    let node = &Node::new();
    let mut subscriber = Subscriber::new(node, "?topics=transactions");
    let transfer = &LATER.transfers[0];
    let body = json!({ "transaction": to_hex(&encode(transfer)) });
    assert_eq!(node.post_json("/v1/transactions", &body).status, 202);
    let path = format!("/v1/transactions/{}", transfer.body.id());
    assert_eq!(node.ask(&path)["status"], "pending");
    for proof in ["proof", "receipt-proof"] {
        let answer = node.get(&format!("{path}/{proof}"));
        assert_eq!(answer.code(), (404, "not_executed".to_owned()), "{proof}");
    }

    hosting(node).set_epoch(facts(Layout::whole(SHARD_0), Vec::new()));
    let told = ("epoch".to_owned(), json!({ "epoch": 1, "reshardings": [] }));
    assert_eq!(subscriber.next(), Some(told));
    let (view, hosted) = next_instance(node, LATER.keys.clone());
    hosting(node).host(Hosted { metrics: node.metrics.clone(), ..hosted });
    assert_eq!(subscriber.next(), None);

    assert_eq!(node.ask("/v1/status")["epoch"], 1);
    assert_eq!(node.ask(&path)["status"], "pending", "it is remembered");
    let account = format!("/v1/accounts/{}", address(0));
    let before = node.ask(&account);
    assert_eq!((&before["nonce"], &before["next_nonce"]), (&json!(2), &json!(3)));
    let rounds = |node: &Node| node.ask("/v1/blocks")["blocks"].as_array().unwrap().len();
    assert_eq!(rounds(node), 0, "the rounds of the epoch begin anew");

    let mut subscriber = Subscriber::new(node, "?topics=transactions,checkpoints");
    assert_eq!(subscriber.about, json!({ "shard": 0, "epoch": 1 }));
    LATER.tell(&node.archive);
    let one = LATER.executed().find(|one| !one.outcomes.is_empty()).unwrap();
    view.notify(executed_notice(one));
    view.notify(Notice::Certified { height: one.header.height, checkpoint: one.header.digest() });
    let names: Vec<String> = (0..3).map(|_| subscriber.next().unwrap().0).collect();
    assert_eq!(names, ["transaction", "executed", "certified"]);
    let found = node.ask(&path);
    assert_eq!(
        (&found["status"], &found["height"]),
        (&json!("final"), &one.header.height.0.into())
    );
    let blocks = node.ask("/v1/blocks");
    assert!(rounds(node) > 0 && blocks["blocks"][0]["epoch"] == 1, "{blocks}");
    // From its submission to the certificate, over both instances.
    let measured = "qcn_finality_seconds_count 1";
    let mut tries = 0;
    while !node.get("/metrics").text.lines().any(|line| line == measured) {
        tries += 1;
        assert!(tries < 1_000, "the latency is not measured");
    }
}

/// Each height is proven by the committee of its epoch, whichever instance is shown.
#[test]
fn proofs_are_those_of_their_epoch() {
    let sharded = Sharded::hosting(true);
    let node = &sharded.node;
    let (_, hosted) = next_instance(node, LATER.keys.clone());
    hosting(node).host(hosted);
    LATER.tell(&node.archive);
    for (history, keys) in [(&HISTORY, &HISTORY.keys), (&LATER, &LATER.keys)] {
        let height = history.certified().0.checkpoint.height;
        let document = node.get(&format!("/v1/checkpoints/{height}/proof"));
        assert_eq!(document.status, 200, "{}", document.text);
        let document = ProofDocument::parse(&document.text).unwrap();
        assert!(matches!(verify(&document, keys), Ok(Claims::Checkpoint(_))));
        let checkpoint = node.ask(&format!("/v1/checkpoints/{height}"));
        assert_eq!(checkpoint["epoch"], keys.committee().epoch().0);
        assert_eq!(checkpoint["certificate"]["quorum_weight"], 2_667);
        let line = node.ask(&format!("/v1/checkpoints?limit=1&before={}", height.0 + 1));
        assert_eq!(line["checkpoints"][0]["epoch"], keys.committee().epoch().0);
        let id = history.transfers[0].body.id();
        let document = node.get(&format!("/v1/transactions/{id}/proof")).text;
        let document = ProofDocument::parse(&document).unwrap();
        assert!(matches!(verify(&document, keys), Ok(Claims::Transaction(_))));
    }
}

/// Given a shard in its second epoch.
/// Then the blocks and the committee of each epoch are told when they are asked for by its number,
/// and those of the present one where none is given.
#[test]
fn earlier_epochs_keep_their_rounds_and_their_committee() {
    let sharded = Sharded::hosting(true);
    let node = &sharded.node;
    let mut tries = 0;
    // It is written beside.
    while node.archive.committee(Epoch(0)).unwrap().is_none() {
        node.ask("/health");
        tries += 1;
        assert!(tries < 1_000, "the committee is not kept");
    }
    let (_, hosted) = next_instance(node, LATER.keys.clone());
    hosting(node).host(hosted);
    LATER.tell(&node.archive);
    let blocks = |query: &str| node.ask(&format!("/v1/blocks{query}"));
    for (query, epoch) in [("?epoch=0", 0), ("?epoch=1", 1), ("", 1)] {
        let answer = blocks(query);
        let told = answer["blocks"].as_array().unwrap();
        assert!(answer["epoch"] == epoch && !told.is_empty(), "{query}");
        assert!(told.iter().all(|block| block["epoch"] == epoch), "{query}: {answer}");
    }
    assert_eq!(blocks("?epoch=9")["blocks"], json!([]));
    let digest = &blocks("?epoch=0")["blocks"][0]["digest"];
    let found = node.ask(&format!("/v1/search?q={}", digest.as_str().unwrap()));
    let title = found["results"][0]["title"].as_str().unwrap();
    assert!(title.contains(" of epoch 0 by "), "{title}");
    for keys in [&HISTORY.keys, &LATER.keys] {
        let committee = keys.committee();
        let body = node.ask(&format!("/v1/committees/{}", committee.epoch().0));
        let members = body["members"].as_array().unwrap().iter().zip(committee.members());
        assert!(members.len() == 4 && body["epoch"] == committee.epoch().0, "{body}");
        for (told, member) in members {
            assert_eq!(told["name"], member.name);
            assert_eq!(told["consensus_key"], member.key.to_string());
        }
        assert_eq!((&body["shard"], &body["quorum_weight"]), (&json!(0), &json!(2_667)));
    }
    assert_eq!(node.get("/v1/committees/7").status, 404);
    let validators = node.ask("/v1/validators");
    assert_eq!((&validators["shard"], &validators["epoch"]), (&json!(0), &json!(1)));
}

/// Given a node with connections, whose instance in a new epoch has not been told of any yet.
/// Then its validators are shown as connected all the same: a page would tell of a partition.
#[test]
fn an_instance_that_begins_knows_the_connections_of_the_node() {
    let node = &Node::new();
    let api = node.api.as_ref().unwrap();
    api.peers().set(vec![peer(1, true), peer(2, false), peer(3, true)]);
    let (_, hosted) = next_instance(node, LATER.keys.clone());
    hosting(node).host(hosted);
    let connected: Vec<bool> = node.ask("/v1/validators")["validators"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["connected"] == true)
        .collect();
    assert_eq!(connected, [true, true, false, true]);
    assert_eq!(node.ask("/v1/status")["peers_connected"], 2);
}

/// Members are told with their numbers among all validators, by which connections are joined: names
/// need not be unique, and places are others in each epoch.
#[test]
fn members_have_the_numbers_of_their_connections() {
    let node = &Node::new();
    node.api.as_ref().unwrap().peers().set(vec![peer(5, true), peer(9, false)]);
    let seats = [7, 5, 9, 4].map(ValidatorIndex).to_vec();
    let (view, _submissions) = View::seated(LATER.keys.clone(), ValidatorIndex(0), seats);
    let metrics = Metrics::of_shard(view.shard());
    hosting(node).host(Hosted { view, archive: node.archive.at_epoch(EPOCH_1), metrics });
    let body = node.ask("/v1/validators");
    let members = body["validators"].as_array().unwrap().iter();
    let told: Vec<Value> = members.map(|one| json!([one["validator"], one["connected"]])).collect();
    assert_eq!(json!(told), json!([[7, true], [5, true], [9, false], [4, false]]));
}

/// Given a node that hosts one of two shards, with a subscriber.
/// When its validator has no seat there any more in the next epoch.
/// Then streams end, and who asks is sent to the validators of the new committee.
#[test]
fn a_shard_that_is_left_is_with_its_new_committee() {
    let sharded = Sharded::hosting(true);
    let node = &sharded.node;
    let mut subscriber = Subscriber::new(node, "?topics=peers");
    let mut next = facts(Layout::even(2).unwrap(), Vec::new());
    // The node's own validator is the first.
    next.shards.iter_mut().for_each(|one| one.seats = (1..5).map(ValidatorIndex).collect());
    hosting(node).set_epoch(next);
    hosting(node).leave(SHARD_0);
    assert_eq!(subscriber.next().unwrap().0, "epoch");
    assert_eq!(subscriber.next(), None);
    let account = format!("/v1/accounts/{}", address_in(0));
    let elsewhere = ["/v1/shards/0/status", "/v1/shards/0/events", "/v1/shards/1/status"];
    for path in elsewhere {
        let answer = node.get(path);
        assert_eq!(answer.code(), (421, "shard_elsewhere".to_owned()), "{path}");
        let who = format!("renewed-{}-2 (192.0.2.9:7400", &path["/v1/shards/".len()..][..1]);
        assert!(answer.text.contains(&who), "{}", answer.text);
    }
    for path in ["/v1/status", &account, "/v1/transactions", "/v1/search?q=1"] {
        let answer = node.get(path);
        assert_eq!(answer.code(), (421, "no_shard_here".to_owned()), "{path}");
        assert!(answer.text.contains("renewed-1-0"), "{}", answer.text);
    }
    assert_eq!(node.ask("/health")["status"], "ok");
    assert_eq!(node.ask("/ready")["ready"], true);
    assert!(node.get("/metrics").text.ends_with("# EOF\n"));
    let shards = node.ask("/v1/shards");
    assert_eq!((&shards["epoch"], &shards["shards"][0]["hosted"]), (&json!(1), &json!(false)));

    // Where it has a seat, and the shard has not opened here, clients are to come again.
    hosting(node).set_epoch(facts(Layout::even(2).unwrap(), Vec::new()));
    let answer = node.get("/v1/shards/0/status");
    assert_eq!(answer.code(), (503, "shard_changes".to_owned()), "{}", answer.text);

    // Who has a seat again is back.
    hosting(node).leave(SHARD_0);
    let (_, hosted) = next_instance(node, LATER.keys.clone());
    hosting(node).host(hosted);
    assert_eq!(node.ask("/v1/shards/0/status")["epoch"], 1);
    assert_eq!(node.ask("/v1/shards")["shards"][0]["state"]["epoch"], 1);
}

/// Given a shard that is split.
/// When the layout changes, and the new shard is hosted a while later.
/// Then clients of its addresses are to come again, and are answered once it is.
#[test]
fn a_split_moves_addresses_to_the_new_shard() {
    let sharded = Sharded::hosting(true);
    let node = &sharded.node;
    let upper_half = format!("/v1/accounts/40{}", "11".repeat(31));
    assert_eq!(node.ask(&upper_half)["shard"], 0);
    hosting(node).set_epoch(split());
    let answer = node.get(&upper_half);
    assert_eq!(answer.code(), (503, "shard_changes".to_owned()), "{}", answer.text);
    assert_eq!(node.ask(&format!("/v1/accounts/{}", address_in(0)))["shard"], 0);

    let shards = node.ask("/v1/shards");
    let names = |body: &Value| -> Vec<(Value, Value)> {
        let shards = body["shards"].as_array().unwrap().iter();
        shards.map(|one| (one["shard"].clone(), one["prefix"].clone())).collect()
    };
    let [lower, upper, other] = [(0, "00*"), (2, "01*"), (1, "1*")];
    let expected = [lower, upper, other].map(|(shard, prefix)| (json!(shard), json!(prefix)));
    assert_eq!(names(&shards), expected);
    assert_eq!(shards["reshardings"], json!([{ "kind": "split", "shard": 0, "new": 2 }]));

    let keys = |shard| CommitteeKeys::decode(CHAIN, Arc::new(renewed(shard))).unwrap();
    let (view, hosted) = next_instance(node, keys(ShardId(2)));
    hosting(node).host(hosted);
    assert_eq!(node.get(&upper_half).code(), (503, "no_certified_state".to_owned()));
    let (certificate, ledger) = HISTORY.certified();
    view.set_certified(CertifiedState { certificate: Arc::new(certificate), ledger });
    assert_eq!(node.ask(&upper_half)["shard"], 2);
    // The lower half has other addresses than before: its old state does not stand for the new one.
    let (_, hosted) = next_instance(node, keys(SHARD_0));
    hosting(node).host(hosted);
    let lower_half = format!("/v1/accounts/{}", address_in(0));
    assert_eq!(node.get(&lower_half).code(), (503, "no_certified_state".to_owned()));
    // Both are asked about what names no shard, the lower one first.
    let request = json!({"jsonrpc": "2.0", "id": 1, "method": "qcn_status"});
    assert_eq!(node.post_json("/rpc", &request).json()["result"]["shard"], 0);
    let ready = node.get("/ready");
    assert!(ready.status == 503 && ready.text.contains("shard 0: "), "{}", ready.text);
}

/// Instances come and go while clients ask: each is answered, and none hangs.
#[test]
fn requests_are_answered_while_shards_change() {
    let sharded = Sharded::hosting(true);
    let node = &sharded.node;
    let changing = hosting(node);
    let (view, archive) = (node.view.clone(), node.archive.clone());
    let (end, ended) = std::sync::mpsc::channel::<()>();
    let changes = std::thread::spawn(move || {
        let metrics = Metrics::of_shard(SHARD_0);
        while ended.try_recv() == Err(std::sync::mpsc::TryRecvError::Empty) {
            changing.leave(SHARD_0);
            let (view, archive, metrics) = (view.clone(), archive.clone(), metrics.clone());
            changing.host(Hosted { view, archive, metrics });
            changing.set_epoch(split());
        }
    });
    let account = format!("/v1/accounts/{}", address_in(0));
    for _ in 0..100 {
        for path in ["/v1/status", "/v1/shards/0/status", "/v1/transactions", &account] {
            let answer = node.get(path);
            // The shard is one of this node's: in the moment without an instance it is to open.
            let opens = answer.status == 503 && answer.code().1 == "shard_changes";
            assert!(opens || matches!(answer.status, 200 | 421), "{path}: {}", answer.text);
        }
        assert_eq!(node.get("/v1/shards").status, 200);
    }
    end.send(()).unwrap();
    changes.join().unwrap();
}

/// A client waits as long as the stream says before it comes back.
#[test]
fn a_stream_begins_with_how_long_to_wait_after_it() {
    let node = Node::new();
    let mut stream = node.raw();
    stream.write_all(b"GET /v1/events HTTP/1.1\r\nhost: localhost\r\n\r\n").unwrap();
    let lines = BufReader::new(stream).lines().map_while(Result::ok);
    let mut body = lines.skip_while(|line| !line.is_empty()).skip(1);
    // In a chunk of its own.
    assert!(body.next().is_some());
    assert_eq!(body.next().unwrap().replace(": ", ":"), "retry:500");
}

/// What was proven in an earlier epoch is told with the names of that time.
#[test]
fn evidence_names_a_member_of_its_epoch() {
    let sharded = Sharded::hosting(true);
    let node = &sharded.node;
    // Two blocks in one slot, of the member with this seat.
    let [one, other] = [1, 2].map(|time_ms| sign_block(3, bare_body(3, time_ms)));
    let evidence = qcn_types::Evidence::equivocation(&one, &other);
    node.archive.add_evidence(&evidence).unwrap();
    let keys = CommitteeKeys::decode(CHAIN, Arc::new(renewed(SHARD_0))).unwrap();
    let (_, hosted) = next_instance(node, keys);
    hosting(node).host(hosted);
    let told = &node.ask("/v1/evidence")["evidence"][0];
    assert_eq!((&told["name"], &told["epoch"]), (&json!("validator-3"), &json!(0)));
    assert!(told["offence"].as_str().unwrap().contains("round 9"), "{told}");
    let proof = node.get(&format!("/v1/evidence/{}/proof", evidence.digest()));
    assert!(matches!(proven(&proof.json()), Claims::Evidence(_)));
}

/// A checkpoint without blocks in which a receipt from shard 1 came.
fn receiving(id: TransactionId, height: u64, reception: Reception) -> Executed {
    let [sender, receiver] = [7, 8].map(|byte| Address(Digest([byte; 32])));
    let (kind, amount) = (ReceiptKind::Transfer, Amount(5));
    let receipt = Receipt { kind, transaction: id, sender, receiver, amount };
    Executed {
        header: Checkpoint { height: Height(height), epoch: EPOCH_1, ..Checkpoint::default() },
        leaders: Vec::new(),
        blocks: Vec::new(),
        outcomes: Vec::new(),
        received: vec![Received { source: ShardId(1), receipt, reception }],
        evidence: Vec::new(),
    }
}

/// Given a transfer from elsewhere to an address that a split has moved.
/// When the old shard forwards it, and the new one takes it in.
/// Then it is told to be on its way first, and to have arrived where the receiver is now.
#[test]
fn a_transfer_is_followed_to_where_its_receiver_has_gone() {
    let sharded = Sharded::hosting(true);
    let node = &sharded.node;
    let folder = TestFolder::new();
    let keys = CommitteeKeys::decode(CHAIN, Arc::new(renewed(ShardId(2)))).unwrap();
    let (_, hosted) = next_instance(node, keys);
    let archive = Archive::open(folder.path(), Retention::ALL).unwrap().at_epoch(EPOCH_1);
    hosting(node).set_epoch(split());
    hosting(node).host(Hosted { archive: archive.clone(), ..hosted });

    let id = TransactionId(Digest([9; 32]));
    let arrival = || {
        let arrival = &node.ask(&format!("/v1/transactions/{id}"))["arrival"];
        (arrival["status"].clone(), arrival["shard"].clone())
    };
    let forwarded = receiving(id, 500, Reception::Forwarded(ShardId(2)));
    node.archive.add_checkpoint(&forwarded).unwrap();
    assert_eq!(arrival(), (json!("forwarded"), json!(0)));
    archive.add_checkpoint(&receiving(id, 600, Reception::Credited)).unwrap();
    assert_eq!(arrival(), (json!("arrived"), json!(2)));
}
