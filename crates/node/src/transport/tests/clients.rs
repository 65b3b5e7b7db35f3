//! Clients: who is let in, who is refused within the handshake, and how much each may open.

use std::net::SocketAddr;

use futures_util::FutureExt as _;
use qcn_crypto::{ChainId, Digest};
use quinn::{ConnectionError, RecvStream, SendStream};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UdpSocket;
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;

use super::super::accept::alert;
use super::super::tls::{PeerRole, protocol_name};
use super::super::wire::CloseCode;
use super::super::{
    ClientAccess, ClientKey, ClientStream, Count, TransportConfig, TransportError, Tunnel,
    TunnelConfig, TunnelError,
};
use super::stranger::{Rogue, Stranger};
use super::support::{CHAIN, Node, PATIENCE, anywhere, config, key, poll, validators};

/// The key of the client that is allowed.
const CLIENT: u16 = 200;

/// Validator 0 of two, which lets one client in.
fn with_client() -> (TransportConfig, mpsc::Receiver<ClientStream>) {
    let (streams, opened) = mpsc::channel(8);
    let keys = vec![ClientKey::of(key(CLIENT).public_key())];
    let clients = Some(ClientAccess { keys, streams });
    (TransportConfig { clients, ..config(0, 2, &[]) }, opened)
}

async fn open_bi(connection: &quinn::Connection) -> (SendStream, RecvStream) {
    timeout(PATIENCE, connection.open_bi()).await.expect("a stream in time").unwrap()
}

/// How the other side ends a connection that this side holds for made.
async fn end(stranger: Stranger, node: &Node) -> ConnectionError {
    match stranger.dial(node.address()).await {
        Ok(connection) => timeout(PATIENCE, connection.closed()).await.expect("an end in time"),
        Err(error) => error,
    }
}

fn alert_of(error: &ConnectionError) -> u64 {
    match error {
        ConnectionError::ConnectionClosed(close) => close.error_code.into(),
        other => panic!("not refused in the handshake: {other}"),
    }
}

/// Given an allowed client, then what it writes to a stream comes out with its name, and an answer
/// goes back; when it leaves, that is noticed.
#[tokio::test(flavor = "multi_thread")]
async fn an_allowed_client_opens_streams() {
    let (config, mut opened) = with_client();
    let node = Node::start(config).await;
    let connection = Stranger::client(CLIENT).dial(node.address()).await.unwrap();
    let (mut sending, mut receiving) = open_bi(&connection).await;
    sending.write_all(b"question").await.unwrap();
    sending.finish().unwrap();
    let ClientStream { client, mut stream } =
        timeout(PATIENCE, opened.recv()).await.expect("in time").expect("a stream");
    assert_eq!(client, ClientKey::of(key(CLIENT).public_key()));
    let mut question = String::new();
    stream.read_to_string(&mut question).await.unwrap();
    stream.write_all(b"answer").await.unwrap();
    stream.shutdown().await.unwrap();
    let answer = receiving.read_to_end(100).await.unwrap();
    assert_eq!((question.as_str(), answer.as_slice()), ("question", &b"answer"[..]));
    assert_eq!((node.count(Count::ClientAccepted), node.count(Count::ClientStream)), (1, 1));
    assert_eq!((node.transport.counters().refused(), node.connected()), (0, 0));
    connection.close(0_u32.into(), b"");
    node.reaches(Count::ClientEnded, 1).await;
}

/// Each way of not being an allowed client is refused before the handshake has ended at the node,
/// and counted under its name.
#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_no_allowed_client_is_refused() {
    let (config, mut opened) = with_client();
    let node = Node::start(config).await;
    let mut elsewhere = Stranger::client(CLIENT);
    elsewhere.protocol = protocol_name(ChainId(Digest([8; 32])), PeerRole::Client);
    let cases = [
        ("an unlisted key", Count::UnknownClient, Stranger::client(201)),
        ("a validator as a client", Count::UnknownClient, Stranger::client(1)),
        ("a client as a validator", Count::UnknownKey, Stranger::validator(CLIENT)),
        ("the own key as a client", Count::OwnKey, Stranger::client(0)),
        ("no key", Count::NoKey, Stranger { identity: None, ..Stranger::client(CLIENT) }),
        ("another chain", Count::WrongProtocol, elsewhere),
    ];
    for (what, count, stranger) in cases {
        let (before, all) = (node.count(count), node.transport.counters().refused());
        let alert = alert_of(&end(stranger, &node).await);
        let expected = match count {
            Count::NoKey => alert::CERTIFICATE_REQUIRED,
            Count::WrongProtocol => alert::NO_APPLICATION_PROTOCOL,
            _ => alert::ACCESS_DENIED,
        };
        assert_eq!(alert, expected, "{what}");
        node.reaches(count, before + 1).await;
        assert_eq!(node.transport.counters().refused(), all + 1, "{what}: {:?}", node.refused());
    }
    assert_eq!(node.count(Count::ClientAccepted), 0);
    assert!(opened.recv().now_or_never().is_none(), "nothing came through");
}

/// A validator's key that the operator lists opens the role of a client, and that of a validator
/// as before.
#[tokio::test(flavor = "multi_thread")]
async fn a_validator_may_be_listed_as_a_client() {
    let (mut config, _opened) = with_client();
    if let Some(clients) = &mut config.clients {
        clients.keys.push(ClientKey::of(key(1).public_key()));
    }
    let node = Node::start(config).await;
    let as_client = Stranger::client(1).dial(node.address()).await.unwrap();
    open_bi(&as_client).await;
    let as_validator = Rogue::connect(1, node.address()).await;
    assert!(poll(|| node.connected() == 1).await);
    assert_eq!(node.count(Count::ClientAccepted), 1);
    drop(as_validator);
}

/// Where no client is allowed, the role is refused as that of an unlisted key.
#[tokio::test(flavor = "multi_thread")]
async fn without_a_list_nobody_is_a_client() {
    let node = Node::start(config(0, 2, &[])).await;
    let alert = alert_of(&end(Stranger::client(CLIENT), &node).await);
    assert_eq!(alert, alert::ACCESS_DENIED);
    node.reaches(Count::UnknownClient, 1).await;
}

/// Given a client that has as many streams open as it may, then it gets another one only when one
/// of them has ended; streams that only validators open cost it the connection.
#[tokio::test(flavor = "multi_thread")]
async fn streams_are_bounded() {
    let (mut config, mut opened) = with_client();
    config.limits.streams_per_connection = 2;
    let node = Node::start(config).await;
    let connection = Stranger::client(CLIENT).dial(node.address()).await.unwrap();
    let mut open = vec![open_bi(&connection).await, open_bi(&connection).await];
    assert!(connection.open_bi().now_or_never().is_none(), "a third one was granted");
    let (mut sending, receiving) = open.remove(0);
    sending.write_all(b"done").await.unwrap();
    drop((sending, receiving));
    drop(timeout(PATIENCE, opened.recv()).await.expect("in time").expect("a stream"));
    open.push(open_bi(&connection).await);

    let mut uni = connection.open_uni().await.unwrap();
    uni.write_all(&[0]).await.unwrap();
    let closed = timeout(PATIENCE, connection.closed()).await.expect("closed in time");
    assert!(closed_with(&closed, CloseCode::Violation), "{closed}");
}

/// Connections are bounded for each key and for all, and a place is free again once its holder has
/// left.
#[tokio::test(flavor = "multi_thread")]
async fn connections_of_clients_are_bounded() {
    let (mut config, _opened) = with_client();
    if let Some(clients) = &mut config.clients {
        clients.keys.push(ClientKey::of(key(CLIENT + 1).public_key()));
    }
    config.limits.client_connections = 3;
    config.limits.connections_per_client = 2;
    let node = Node::start(config).await;
    let mut standing = Vec::new();
    for client in [CLIENT, CLIENT, CLIENT + 1] {
        let connection = Stranger::client(client).dial(node.address()).await.unwrap();
        open_bi(&connection).await;
        standing.push(connection);
    }
    // Of that key there are too many, and then of all.
    for client in [CLIENT, CLIENT + 1] {
        let closed = end(Stranger::client(client), &node).await;
        assert!(closed_with(&closed, CloseCode::TooMany), "{closed}");
    }
    assert_eq!(node.count(Count::TooManyClients), 2);
    standing.remove(0).close(0_u32.into(), b"");
    node.reaches(Count::ClientEnded, 1).await;
    let again = Stranger::client(CLIENT).dial(node.address()).await.unwrap();
    open_bi(&again).await;
}

/// Given a node that disappears without a word, and another process of it in its place, then its
/// client hears of it with the next packet, and need not wait for a timeout.
#[tokio::test(flavor = "multi_thread")]
async fn a_restart_is_told_to_whom_it_cut_off() {
    let (config, _opened) = with_client();
    let [before, after] = [Node::start(config.clone()).await, Node::start(config).await];
    let inside = UdpSocket::bind(anywhere()).await.unwrap();
    let address = inside.local_addr().unwrap();
    let there = watch::Sender::new(before.address());
    let _relay = tokio::spawn(relay(inside, there.subscribe()));
    let connection = Stranger::client(CLIENT).dial(address).await.unwrap();
    let (mut sending, _receiving) = open_bi(&connection).await;
    there.send_replace(after.address());
    sending.write_all(&[0; 100]).await.unwrap();
    let closed = timeout(PATIENCE, connection.closed()).await.expect("an end in time");
    assert!(matches!(closed, ConnectionError::Reset), "{closed}");
}

/// Passes datagrams between a client and the node that is there at the moment.
async fn relay(inside: UdpSocket, there: watch::Receiver<SocketAddr>) {
    let outside = UdpSocket::bind(anywhere()).await.unwrap();
    let (mut out, mut back) = (vec![0; 2_000], vec![0; 2_000]);
    let mut client = None;
    loop {
        tokio::select! {
            received = inside.recv_from(&mut out) => {
                let (length, from) = received.unwrap();
                client = Some(from);
                let node = *there.borrow();
                outside.send_to(&out[..length], node).await.unwrap();
            }
            received = outside.recv_from(&mut back) => {
                let (length, from) = received.unwrap();
                let is_there = from == *there.borrow();
                if let Some(client) = client.filter(|_| is_there) {
                    inside.send_to(&back[..length], client).await.unwrap();
                }
            }
        }
    }
}

fn closed_with(error: &ConnectionError, code: CloseCode) -> bool {
    matches!(error, ConnectionError::ApplicationClosed(close)
        if close.error_code.into_inner() == u64::from(code as u32))
}

#[tokio::test]
async fn the_own_key_is_no_clients() {
    let (mut config, _opened) = with_client();
    if let Some(clients) = &mut config.clients {
        clients.keys.push(ClientKey::of(key(0).public_key()));
    }
    let refused = Node::try_start(config).await.err();
    assert!(matches!(refused, Some(TransportError::OwnKeyAsClient(_))), "{refused:?}");
}

fn tunnel(key_index: u16, to: &Node) -> TunnelConfig {
    TunnelConfig {
        chain: CHAIN,
        key: key(key_index),
        validators: validators(2),
        expected: None,
        to: to.address().to_string(),
    }
}

/// What keeps a tunnel from coming up is told apart, and said with its remedy.
#[tokio::test(flavor = "multi_thread")]
async fn a_tunnel_says_why_it_has_no_link() {
    let (mut config, _opened) = with_client();
    config.limits.connections_per_client = 0;
    let full = Node::start(config).await;
    let (config, _opened) = with_client();
    let node = Node::start(config).await;
    let silent = UdpSocket::bind(anywhere()).await.unwrap();
    let unlisted = tunnel(201, &node);
    let elsewhere = TunnelConfig { chain: ChainId(Digest([8; 32])), ..tunnel(CLIENT, &node) };
    let mut strangers = tunnel(CLIENT, &node);
    strangers.validators[0].key = key(100).public_key().clone();
    let other = TunnelConfig { expected: Some(super::stranger::v(1)), ..tunnel(CLIENT, &node) };
    let nobody =
        TunnelConfig { to: silent.local_addr().unwrap().to_string(), ..tunnel(CLIENT, &node) };
    let cases: [(TunnelConfig, &[&str]); 6] = [
        (unlisted, &["`clients`", "node.toml", &ClientKey::of(key(201).public_key()).to_string()]),
        (elsewhere, &["another network", "--genesis"]),
        (strangers, &["no validator of the genesis", "--to"]),
        (other, &["is validator v0, not v1", "--validator"]),
        (tunnel(CLIENT, &full), &["as many connections", "try again later"]),
        (nobody, &["nobody answers", "UDP port"]),
    ];
    for (config, parts) in cases {
        let listener = tokio::net::TcpListener::bind(anywhere()).await.unwrap();
        let tunnel = Tunnel::new(config).unwrap();
        let run = tunnel.run(listener, |event| panic!("{event:?}"));
        let error: TunnelError = timeout(PATIENCE, run).await.expect("an end in time").unwrap_err();
        let said = error.to_string();
        for part in parts {
            assert!(said.contains(part), "{said}\ndoes not say {part}");
        }
    }
}
