//! Clients that come through the transport: served as those over TCP are, within the same limits.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;

use qcn_crypto::{ChainId, Digest, SigningKey};
use tokio::net::TcpListener;

use super::*;
use crate::transport::{
    ClientAccess, ClientKey, KnownValidator, Limits as TransportLimits, Transport, TransportConfig,
    Tunnel, TunnelConfig, TunnelEvent,
};

const NETWORK: ChainId = ChainId(Digest([7; 32]));

fn key(seed: u8) -> SigningKey {
    SigningKey::from_seed(Scheme::MlDsa65, &[seed; 32]).unwrap()
}

/// Lets the client with key 2 in to the node's API. Gives the local port of its tunnel.
fn open_tunnel(node: &Node) -> (Transport, SocketAddr) {
    let validator = KnownValidator {
        index: ValidatorIndex(0),
        name: "v0".to_owned(),
        key: key(1).public_key().clone(),
        address: None,
    };
    let streams = node.api.as_ref().unwrap().client_streams();
    let keys = vec![ClientKey::of(key(2).public_key())];
    let config = TransportConfig {
        chain: NETWORK,
        own: ValidatorIndex(0),
        key: key(1),
        listen: "127.0.0.1:0".parse().unwrap(),
        advertise: None,
        validators: vec![validator.clone()],
        seeds: Vec::new(),
        clients: Some(ClientAccess { keys, streams }),
        limits: TransportLimits::default(),
        defects: Defects::default(),
    };
    node.runtime.block_on(async {
        let (transport, _) = Transport::start(config).await.unwrap();
        let tunnel = Tunnel::new(TunnelConfig {
            chain: NETWORK,
            key: key(2),
            validators: vec![validator],
            expected: None,
            to: transport.local_address().to_string(),
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let local = listener.local_addr().unwrap();
        let (up, is_up) = tokio::sync::oneshot::channel();
        let up = std::sync::Mutex::new(Some(up));
        tokio::spawn(async move {
            let tell = |event: TunnelEvent| {
                if let (TunnelEvent::Up { .. }, Some(up)) = (event, up.lock().unwrap().take()) {
                    up.send(()).unwrap();
                }
            };
            tunnel.unwrap().run(listener, tell).await
        });
        is_up.await.unwrap();
        (transport, local)
    })
}

/// The first line of the answer to a request, and the connection.
fn ask(address: SocketAddr, head: &str) -> (String, BufReader<TcpStream>) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    write!(stream, "{head}\r\nhost: localhost\r\n\r\n").unwrap();
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).unwrap();
    (line.trim_end().to_owned(), reader)
}

/// Given a node with room for eight connections, and a client that holds as many streams as it
/// may, then it is answered the probes and nothing else, and somebody at an address is served; and
/// again the client, once one of its connections has ended.
#[test]
fn a_client_of_the_transport_has_half_of_the_connections() {
    let generous = Limits::default();
    let node = Node::with(Limits { connections: 8, ..generous });
    let (_transport, local) = open_tunnel(&node);
    let events = "GET /v1/events HTTP/1.1";
    let mut held: Vec<_> = (0..4).map(|_| ask(local, events)).collect();
    assert!(held.iter().all(|(line, _)| line == "HTTP/1.1 200 OK"), "{held:?}");
    assert_eq!(ask(local, "GET /v1/status HTTP/1.1").0, "HTTP/1.1 503 Service Unavailable");
    assert_eq!(ask(local, "GET /health HTTP/1.1").0, "HTTP/1.1 200 OK");
    assert_eq!(node.get("/v1/status").status, 200, "an address has a share of its own");
    held.pop();
    let begin = std::time::Instant::now();
    while ask(local, "GET /v1/status HTTP/1.1").0 != "HTTP/1.1 200 OK" {
        assert!(begin.elapsed() < Duration::from_secs(20), "its place stays taken");
    }
}

/// A body above the limit is refused, and a head that does not come in time ends the connection.
#[test]
fn bodies_and_times_of_streams_are_limited() {
    let node = Node::with(small_limits());
    let (_transport, local) = open_tunnel(&node);
    let body = vec![b'a'; 70_000];
    let url = format!("http://{local}/rpc");
    let request = node.agent.post(url).header("content-type", "application/json");
    assert_eq!(answer(request.send(&body).unwrap()).status, 413);
    let mut slow = TcpStream::connect(local).unwrap();
    slow.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    slow.write_all(b"GET /health HTTP/1.1\r\nx: ").unwrap();
    // Cut off or answered that it was too slow, not kept.
    let mut said = Vec::new();
    let ended = slow.read_to_end(&mut said);
    assert!(!matches!(ended, Err(ref error) if error.kind() == std::io::ErrorKind::WouldBlock));
    assert!(!said.starts_with(b"HTTP/1.1 200"));
}
