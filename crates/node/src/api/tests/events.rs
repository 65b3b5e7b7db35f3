//! Server-sent events.

use std::io::{BufRead, BufReader};

use qcn_types::{Action, VerifiedBlock};

use super::*;
use crate::archive::Executed;
use crate::view::{MAX_NOTICE_LAG, Notice};

/// A subscriber that reads event by event, from the second one on.
pub(super) struct Subscriber {
    stream: BufReader<TcpStream>,
    /// What the first one says.
    pub(super) about: Value,
}

impl Subscriber {
    pub(super) fn new(node: &Node, query: &str) -> Self {
        let mut stream = node.raw();
        let request = format!("GET /v1/events{query} HTTP/1.1\r\nhost: localhost\r\n\r\n");
        stream.write_all(request.as_bytes()).unwrap();
        let mut reader = BufReader::new(stream);
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert!(reader.read_line(&mut head).unwrap() > 0, "{head}");
        }
        assert!(head.starts_with("HTTP/1.1 200"), "{head}");
        assert!(head.contains("text/event-stream"), "{head}");
        let mut subscriber = Self { stream: reader, about: Value::Null };
        let (name, about) = subscriber.next().unwrap();
        assert_eq!(name, "about");
        Self { about, ..subscriber }
    }

    /// The next event's name and data.
    pub(super) fn next(&mut self) -> Option<(String, Value)> {
        let mut name = String::new();
        loop {
            let mut line = String::new();
            if self.stream.read_line(&mut line).ok()? == 0 {
                return None;
            }
            if let Some(text) = line.strip_prefix("event: ") {
                name = text.trim().to_owned();
            } else if let Some(text) = line.strip_prefix("data: ") {
                return Some((name, serde_json::from_str(text).unwrap()));
            }
        }
    }
}

pub(super) fn executed_notice(one: &Executed) -> Notice {
    Notice::Executed {
        height: one.header.height,
        checkpoint: one.header.digest(),
        time_ms: one.header.time_ms,
        leaders: one.leaders.clone(),
        blocks: one.blocks.iter().map(|block| block.reference()).collect(),
        outcomes: Arc::new(one.outcomes.clone()),
        received: Arc::new(one.received.clone()),
        parties: Arc::new(one.blocks.iter().flat_map(parties).collect()),
    }
}

fn parties(block: &VerifiedBlock) -> Vec<(Address, Option<Address>)> {
    let transactions = block.body.payload.transactions.iter();
    transactions
        .map(|transaction| match transaction.body.action {
            Action::Transfer { to, .. } => (transaction.body.sender, Some(to)),
            _ => (transaction.body.sender, None),
        })
        .collect()
}

fn with_transactions() -> &'static Executed {
    HISTORY.executed().find(|one| !one.outcomes.is_empty()).unwrap()
}

#[test]
fn subscribers_are_told_what_happens() {
    let node = Node::new();
    let mut all = Subscriber::new(&node, "?topics=blocks,checkpoints,transactions,evidence,peers");
    let mut default = Subscriber::new(&node, "");
    let one = with_transactions();
    let (block, digest) = (one.blocks[0].reference(), one.header.digest());
    node.view.notify(Notice::Block { block, transactions: 2 });
    node.view.notify(executed_notice(one));
    node.view.notify(Notice::Skipped { round: block.round, author: ValidatorIndex(2) });
    node.view.notify(Notice::Certified { height: one.header.height, checkpoint: digest });
    node.view.notify(Notice::Evidence(Arc::new(crate::testing::equivocation(3))));
    node.view.notify(Notice::Isolated(ValidatorIndex(3)));
    node.view.notify(Notice::Peer { validator: ValidatorIndex(1), connected: false });

    assert_eq!(all.about, json!({ "shard": 0, "epoch": 0 }));
    let (name, body) = all.next().unwrap();
    assert_eq!((name.as_str(), &body["block"]["transactions"]), ("block", &json!(2)));
    for subscriber in [&mut all, &mut default] {
        let (name, body) = subscriber.next().unwrap();
        assert_eq!(name, "transaction");
        assert_eq!(body["id"], json!(one.outcomes[0].0.to_string()));
        assert_eq!(body["outcome"], json!({ "result": "applied" }));
        let (name, body) = subscriber.next().unwrap();
        assert_eq!((name.as_str(), &body["transactions"]), ("executed", &json!(1)));
        assert_eq!(body["time_unix_ms"], json!(one.header.time_ms));
        let names: Vec<String> = (0..5).map(|_| subscriber.next().unwrap().0).collect();
        assert_eq!(names, ["skipped", "certified", "evidence", "isolated", "peer"]);
    }
}

#[test]
fn a_transaction_or_an_account_can_be_followed() {
    let node = Node::new();
    let one = with_transactions();
    let id = one.outcomes[0].0;
    // Executed before the subscription, so it is told at once.
    let mut follower = Subscriber::new(&node, &format!("?topics=transactions&id={id}"));
    let (name, body) = follower.next().unwrap();
    assert_eq!((name.as_str(), &body["id"]), ("transaction", &json!(id.to_string())));

    // Who sends and who is paid is told; whom it does not concern is told of what follows only.
    let body = &one.blocks.iter().flat_map(parties).next().unwrap();
    let (sender, receiver) = (body.0, body.1.unwrap());
    let stranger = Address(node.view.keys().chain().0);
    let mut followers = [sender, receiver, stranger].map(|account| {
        Subscriber::new(&node, &format!("?topics=transactions,evidence&address={account}"))
    });
    node.view.notify(executed_notice(one));
    node.view.notify(Notice::Isolated(ValidatorIndex(1)));
    let told = followers.each_mut().map(|follower| follower.next().unwrap().0);
    assert_eq!(told, ["transaction", "transaction", "isolated"]);
}

#[test]
fn who_is_too_slow_is_told_how_much_was_missed() {
    let node = Node::new();
    let mut slow = Subscriber::new(&node, "?topics=peers");
    let validator = ValidatorIndex(1);
    // The subscription lags as long as this thread does not give it time: all at once.
    let mut missed = false;
    for _ in 0..50 {
        for _ in 0..4 * MAX_NOTICE_LAG {
            node.view.notify(Notice::Peer { validator, connected: true });
        }
        let mut read = 0;
        while let Some((name, body)) = slow.next() {
            if name == "missed" {
                missed = true;
                assert!(body["count"].as_u64().unwrap() > 0);
                break;
            }
            read += 1;
            if read == 4 * MAX_NOTICE_LAG {
                break;
            }
        }
        if missed {
            break;
        }
    }
    assert!(missed);
}

#[test]
fn subscribers_are_limited_and_leave_room_when_they_go() {
    let node = Node::with(small_limits());
    let first = Subscriber::new(&node, "");
    let _second = Subscriber::new(&node, "");
    let answer = node.get("/v1/events");
    assert_eq!(answer.code(), (429, "too_many_subscribers".to_owned()));
    assert_eq!(node.ask("/health"), json!({ "status": "ok" }));
    drop(first);
    // The node notices with the next thing that it tells.
    let mut tries = 0;
    loop {
        node.view.notify(Notice::Isolated(ValidatorIndex(1)));
        let mut stream = node.raw();
        stream.write_all(b"GET /v1/events HTTP/1.1\r\nhost: localhost\r\n\r\n").unwrap();
        let mut head = [0; 12];
        stream.read_exact(&mut head).unwrap();
        if head.ends_with(b"200") {
            break;
        }
        tries += 1;
        assert!(tries < 1_000, "the room of the first subscriber is not free");
    }
}

#[test]
fn streams_end_when_the_node_stops() {
    let mut node = Node::new();
    let mut subscriber = Subscriber::new(&node, "");
    let begin = std::time::Instant::now();
    node.close();
    assert_eq!(subscriber.next(), None);
    assert!(begin.elapsed() < Duration::from_secs(2));
    assert!(TcpStream::connect(node.base.trim_start_matches("http://")).is_err());
}
