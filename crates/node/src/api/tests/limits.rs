//! Clients that ask for too much, and slow ones.

use std::net::SocketAddr;
use std::time::Instant;

use tokio::net::TcpSocket;

use super::*;

fn read_all(mut stream: TcpStream) -> String {
    let mut text = Vec::new();
    // A connection that is reset has said all it will say.
    let _ = stream.read_to_end(&mut text);
    String::from_utf8_lossy(&text).into_owned()
}

#[test]
fn bodies_above_the_limit_are_refused() {
    let node = Node::with(small_limits());
    let too_large = (413, "too_large".to_owned());
    let body = vec![b'a'; 65 * 1024];
    assert_eq!(node.post("/v1/transactions", "application/json", &body).code(), too_large);
    assert_eq!(node.post("/rpc", "application/json", &body).code(), too_large);
    let answer = node.post("/v1/transactions/batch", "application/json", &body);
    assert_eq!(answer.code(), (400, "malformed".to_owned()), "a batch may be longer");
    let body = vec![b'a'; 257 * 1024];
    assert_eq!(node.post("/v1/transactions/batch", "application/json", &body).code(), too_large);
    assert_eq!(node.ask("/health"), json!({ "status": "ok" }));
}

#[test]
fn a_body_without_a_length_is_limited_too() {
    let node = Node::with(small_limits());
    let mut stream = node.raw();
    let head = "POST /rpc HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\
        content-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n";
    stream.write_all(head.as_bytes()).unwrap();
    let chunk = format!("4000\r\n{}\r\n", "a".repeat(0x4000));
    for _ in 0..6 {
        // The node may have closed already.
        let _ = stream.write_all(chunk.as_bytes());
    }
    let answer = read_all(stream);
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
}

#[test]
fn slow_heads_are_cut_off() {
    let node = Node::with(small_limits());
    let begin = Instant::now();
    let mut stream = node.raw();
    stream.write_all(b"GET /health HTTP/1.1\r\nx: ").unwrap();
    read_all(stream);
    assert!(begin.elapsed() < Duration::from_secs(5));
    assert_eq!(node.ask("/health"), json!({ "status": "ok" }));
}

#[test]
fn slow_bodies_are_cut_off_with_a_reason() {
    let node = Node::with(small_limits());
    let mut stream = node.raw();
    let head = "POST /rpc HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\
        content-type: application/json\r\ncontent-length: 100\r\n\r\n{";
    stream.write_all(head.as_bytes()).unwrap();
    let answer = read_all(stream);
    assert!(answer.starts_with("HTTP/1.1 408") && answer.contains("\"timeout\""), "{answer}");
}

#[test]
fn heads_above_the_limit_and_nonsense_are_refused() {
    let node = Node::with(small_limits());
    let mut stream = node.raw();
    let head = format!("GET /health HTTP/1.1\r\nx: {}\r\n\r\n", "a".repeat(40 * 1024));
    // The node may close before all of it is sent.
    let _ = stream.write_all(head.as_bytes());
    let answer = read_all(stream);
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 431"), "{answer}");
    for nonsense in [&[0x16, 3, 1, 0, 200][..], b"\r\n\r\n\r\n", b"GET\r\n\r\n", &[255; 300]] {
        let mut stream = node.raw();
        let _ = stream.write_all(nonsense);
        let answer = read_all(stream);
        assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 400"), "{answer}");
    }
    assert_eq!(node.ask("/health"), json!({ "status": "ok" }));
}

/// A connection from an address of this machine, which need not be 127.0.0.1.
fn raw_from(node: &Node, address: &str) -> TcpStream {
    let server = node.api.as_ref().unwrap().local_address();
    let stream = node.runtime.block_on(async {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(SocketAddr::new(address.parse().unwrap(), 0)).unwrap();
        socket.connect(server).await.unwrap().into_std().unwrap()
    });
    stream.set_nonblocking(false).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    stream
}

/// What a new connection from an address gets for one request.
fn asked_from(node: &Node, address: &str, path: &str) -> String {
    let mut stream = raw_from(node, address);
    let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
    // A connection that is refused outright may be closed before.
    let _ = stream.write_all(request.as_bytes());
    read_all(stream)
}

/// Keeps as many connections as an address gets for everything.
fn occupy(node: &Node, address: &str, connections: usize) -> Vec<TcpStream> {
    let mut held = Vec::new();
    for _ in 0..connections {
        let mut stream = raw_from(node, address);
        stream.write_all(b"GET /v1/supply HTTP/1.1\r\nhost: localhost\r\n\r\n").unwrap();
        let mut answer = [0; 12];
        stream.read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"HTTP/1.1 200");
        held.push(stream);
    }
    held
}

/// One address has half of the places; another one still gets in.
#[test]
fn an_address_has_its_share_of_the_connections() {
    let limits = Limits { header_timeout: Duration::from_secs(30), ..small_limits() };
    let node = Node::with(limits);
    let held = occupy(&node, "127.0.0.1", limits.connections / 2);
    let answer = asked_from(&node, "127.0.0.1", "/v1/supply");
    assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
    assert!(answer.contains("too_many_connections"), "{answer}");
    let answer = asked_from(&node, "127.0.0.2", "/v1/supply");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    drop(held);
    // Room again, as soon as the node has noticed.
    let is_served = |_| asked_from(&node, "127.0.0.1", "/v1/supply").starts_with("HTTP/1.1 200");
    assert!((0..1_000).any(is_served));
}

/// Given clients that have all the ordinary places.
/// When somebody asks whether the node is alive,
/// then it says so, and to all else that it has no place left.
#[test]
fn probes_are_answered_when_all_places_are_taken() {
    let limits = Limits { header_timeout: Duration::from_secs(30), ..small_limits() };
    let node = Node::with(limits);
    let _one = occupy(&node, "127.0.0.1", limits.connections / 2);
    let _other = occupy(&node, "127.0.0.2", limits.connections / 2);
    for address in ["127.0.0.1", "127.0.0.3"] {
        for probe in ["/health", "/ready", "/metrics"] {
            let answer = asked_from(&node, address, probe);
            assert!(answer.starts_with("HTTP/1.1 200"), "{probe} from {address}: {answer}");
        }
        for path in ["/v1/status", "/", "/nowhere", "/healthy"] {
            let answer = asked_from(&node, address, path);
            assert!(answer.starts_with("HTTP/1.1 503"), "{path} from {address}: {answer}");
            assert!(answer.contains("too_many_connections"), "{answer}");
        }
    }
    let mut stream = raw_from(&node, "127.0.0.1");
    let request = "GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n".repeat(2);
    stream.write_all(request.as_bytes()).unwrap();
    let answers = read_all(stream);
    assert_eq!(answers.matches("HTTP/1.1 200").count(), 1, "who asked leaves: {answers}");
}

/// The reserve has an end, too: who takes all an address may have of it is refused outright.
#[test]
fn connections_above_the_reserve_are_told_so() {
    let limits = Limits { header_timeout: Duration::from_secs(30), ..small_limits() };
    let node = Node::with(limits);
    let _held = occupy(&node, "127.0.0.1", limits.connections / 2);
    let idle: Vec<TcpStream> = (0..16).map(|_| raw_from(&node, "127.0.0.1")).collect();
    let refused = |_| read_all(raw_from(&node, "127.0.0.1")).contains("too_many_connections");
    assert!((0..20).any(refused));
    let answer = asked_from(&node, "127.0.0.2", "/health");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    drop(idle);
}

/// Long bodies are read a few at a time, and whoever sends one slowly does not hold up others.
#[test]
fn slow_batches_hold_up_batches_only_and_for_a_while() {
    let turns = super::super::submit::MAX_BATCHES_AT_ONCE;
    let node = Node::with(Limits { connections: 2 * turns + 8, ..small_limits() });
    let head = "POST /v1/transactions/batch HTTP/1.1\r\nhost: localhost\r\n\
        content-type: application/json\r\ncontent-length: 9\r\n\r\n{";
    let slow: Vec<TcpStream> = (0..turns)
        .map(|_| {
            let mut stream = node.raw();
            stream.write_all(head.as_bytes()).unwrap();
            stream
        })
        .collect();
    assert_eq!(node.post_json("/v1/transactions", &json!({})).code().0, 400);
    for mut stream in slow {
        let mut answer = [0; 12];
        stream.read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"HTTP/1.1 408");
    }
    let answer = node.post_json("/v1/transactions/batch", &json!({ "transactions": [] }));
    assert_eq!(answer.status, 200);
}

/// A subscriber that does not read holds neither the node nor its own place for ever.
#[test]
fn who_does_not_read_is_cut_off() {
    let node = Node::with(small_limits());
    let mut stream = node.raw();
    let request = b"GET /v1/checkpoints/certified HTTP/1.1\r\nhost: localhost\r\n\r\n";
    let mut sent = 0;
    // Requests are sent and no answer is read until the node gives up.
    stream.set_write_timeout(Some(Duration::from_secs(10))).unwrap();
    let begin = Instant::now();
    while stream.write_all(request).is_ok() {
        sent += 1;
        assert!(begin.elapsed() < Duration::from_secs(30), "{sent} requests were taken");
    }
    assert_eq!(node.ask("/health"), json!({ "status": "ok" }));
}
