//! Who is refused during the handshake, under which count; and that nobody honest notices.

use std::net::{Ipv4Addr, SocketAddr};

use qcn_crypto::{ChainId, Digest};
use rustls::crypto::aws_lc_rs as provider;
use rustls::sign::CertifiedKey;
use tokio::net::UdpSocket;
use tokio::time::timeout;

use super::super::tls::identity;
use super::super::{Class, Count, Transport, TransportError};
use super::stranger::{Stranger, classical_identity, v};
use super::support::{Node, PATIENCE, anywhere, config, frame, key, network, poll};

/// The two validators of a network still hear each other.
async fn are_well(nodes: &mut [Node]) {
    for (from, to) in [(0, 1), (1, 0)] {
        nodes[from].transport.send(v(to as u16), Class::Blocks, frame("well"));
        assert_eq!(nodes[to].next().await.frame, frame("well"));
    }
}

/// Each way of not being a validator of this network is refused, and counted under its name.
#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_no_validator_is_refused() {
    let mut nodes = network(2).await;
    let stolen = || {
        let (shown, signer) = (identity(&key(1)).unwrap(), identity(&key(100)).unwrap());
        Some(CertifiedKey::new(shown.cert, signer.key))
    };
    let mut x25519_only = Stranger::validator(1);
    x25519_only.provider.kx_groups = vec![provider::kx_group::X25519];
    let cases = [
        (Count::UnknownKey, Stranger::validator(100)),
        (Count::OwnKey, Stranger::validator(0)),
        (Count::WrongProtocol, Stranger::new(ChainId(Digest([8; 32])), &key(1))),
        (Count::WrongSignature, Stranger { identity: stolen(), ..Stranger::validator(1) }),
        (Count::NoKey, Stranger { identity: None, ..Stranger::validator(1) }),
        (Count::NoKey, Stranger { identity: Some(classical_identity()), ..Stranger::validator(1) }),
        (Count::NoCommonParameters, x25519_only),
    ];
    for (count, stranger) in cases {
        let (before, all) = (nodes[0].count(count), nodes[0].transport.counters().refused());
        assert!(stranger.finds_closed(nodes[0].address()).await, "{}", count.name());
        nodes[0].reaches(count, before + 1).await;
        assert_eq!(nodes[0].transport.counters().refused(), all + 1, "{:?}", nodes[0].refused());
    }
    assert_eq!(nodes[0].count(Count::Down), 0);
    are_well(&mut nodes).await;
}

/// The counterpart: a validator that dials refuses who answers with a key that it does not expect.
#[tokio::test(flavor = "multi_thread")]
async fn whoever_answers_with_a_wrong_key_is_refused() {
    // An impostor, in whose own eyes validator 1 has another key.
    let mut impostor = config(1, 2, &[]);
    impostor.key = key(100);
    impostor.validators[1].key = key(100).public_key().clone();
    let impostor = Node::start(impostor).await;
    let mut misled = config(0, 2, &[]);
    misled.validators[1].address = Some(impostor.address().to_string());
    let misled = Node::start(misled).await;
    misled.reaches(Count::UnknownKey, 2).await;
    assert_eq!((misled.connected(), impostor.connected()), (0, 0));

    // Validator 2 where validator 1 is expected.
    let other = Node::start(config(2, 3, &[])).await;
    let mut misled = config(0, 3, &[]);
    misled.validators[1].address = Some(other.address().to_string());
    let misled = Node::start(misled).await;
    misled.reaches(Count::UnexpectedKey, 2).await;
    assert_eq!((misled.connected(), other.connected()), (0, 0));

    // Another network at the address of a seed.
    let mut elsewhere = config(0, 2, &[other.address()]);
    elsewhere.chain = ChainId(Digest([8; 32]));
    let elsewhere = Node::start(elsewhere).await;
    other.reaches(Count::WrongProtocol, 1).await;
    elsewhere.reaches(Count::DialFailed, 1).await;
}

/// A validator that is given its own address as a seed notices, and does not try again.
#[tokio::test(flavor = "multi_thread")]
async fn nobody_dials_itself() {
    let free = std::net::UdpSocket::bind(anywhere()).unwrap().local_addr().unwrap();
    let mut own = config(0, 2, &[free]);
    own.listen = free;
    let node = Node::start(own).await;
    node.reaches(Count::OwnKey, 1).await;
    let later = Node::start(config(1, 2, &[free])).await;
    later.reaches(Count::HandshakeDialled, 1).await;
    assert!(poll(|| node.connected() == 1).await);
    // Both ends of the one dial may count it.
    assert!(node.count(Count::OwnKey) <= 2, "{:?}", node.refused());
}

/// Garbage, truncated handshakes, and handshakes that are replayed without their secret.
#[tokio::test(flavor = "multi_thread")]
async fn datagrams_of_every_kind_do_no_harm() {
    let mut nodes = network(2).await;
    let address = nodes[0].address();
    let first = first_datagrams(3).await;
    let socket = UdpSocket::bind(anywhere()).await.unwrap();
    for datagram in &first[..2] {
        for length in [1, 7, 20, 100, 600, 1_199, datagram.len() - 1] {
            socket.send_to(&datagram[..length], address).await.unwrap();
        }
        for position in (0..datagram.len()).step_by(50) {
            let mut bent = datagram.clone();
            bent[position] ^= 1;
            socket.send_to(&bent, address).await.unwrap();
        }
    }
    for length in 0..300_usize {
        let garbage: Vec<u8> = (0..length * 4).map(|n| (n * length + 0xc0) as u8).collect();
        socket.send_to(&garbage, address).await.unwrap();
    }
    // Replayed: it begins a handshake that its sender cannot continue. Sent anew while it is lost
    // among the garbage.
    let timed_out = poll(|| {
        let _ = socket.try_send_to(&first[2], address);
        nodes[0].count(Count::HandshakeTimeout) > 0
    });
    assert!(timed_out.await, "{:?}", nodes[0].refused());
    are_well(&mut nodes).await;
    assert_eq!(nodes[0].count(Count::Down), 0);
}

/// Given more handshakes than there are places, all begun and none continued, then senders have
/// to prove their address, and a validator that does so is let in.
#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_handshakes_keeps_nobody_out() {
    let mut small = config(0, 2, &[]);
    small.limits.handshakes = 8;
    small.limits.handshake_timeout = PATIENCE;
    let node = Node::start(small).await;
    let socket = UdpSocket::bind(anywhere()).await.unwrap();
    for datagram in first_datagrams(40).await {
        socket.send_to(&datagram, node.address()).await.unwrap();
    }
    node.reaches(Count::AddressProofAsked, 1).await;
    let late = Node::start(config(1, 2, &[node.address()])).await;
    late.reaches(Count::HandshakeDialled, 1).await;
    assert_eq!(node.count(Count::HandshakeTimeout), 0, "the flood still holds its places");
}

/// One address that proves itself again and again is held to its rate.
#[tokio::test(flavor = "multi_thread")]
async fn an_address_is_held_to_its_rate() {
    let mut strict = config(0, 2, &[]);
    strict.limits.unproven_per_second = 1;
    strict.limits.handshakes_per_address = 2;
    let node = Node::start(strict).await;
    for _ in 0..8 {
        let address = node.address();
        tokio::spawn(async move { Stranger::validator(100).finds_closed(address).await });
    }
    node.reaches(Count::TooManyOfAddress, 1).await;
}

/// Given one host that shows that its address is its own, again and again, and stalls every
/// handshake that it may begin, then a validator elsewhere is let in meanwhile.
#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_stalls_keeps_nobody_out() {
    let mut small = config(0, 2, &[]);
    small.limits.handshakes = 12;
    small.limits.handshake_timeout = PATIENCE;
    let node = Node::start(small).await;
    let mut stalled = tokio::task::JoinSet::new();
    for _ in 0..40 {
        stalled.spawn(stall(node.address()));
    }
    node.reaches(Count::TooManyAtOnceOfAddress, 20).await;
    let late = Node::start(config(1, 2, &[node.address()])).await;
    late.reaches(Count::HandshakeDialled, 1).await;
    assert_eq!(node.count(Count::HandshakeTimeout), 0, "the host still holds its places");
}

/// Begins a handshake from another host than that of the validators, proves its address if that
/// is asked for, and goes no further.
async fn stall(node: SocketAddr) {
    const OTHER_HOST: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);
    let inside = UdpSocket::bind(anywhere()).await.unwrap();
    let outside = UdpSocket::bind((OTHER_HOST, 0)).await.unwrap();
    let address = inside.local_addr().unwrap();
    let _dial = tokio::spawn(async move { Stranger::validator(100).dial(address).await.is_ok() });
    let (mut out, mut back) = (vec![0; 2_000], vec![0; 2_000]);
    let mut has_sent = [false; 2];
    loop {
        tokio::select! {
            received = inside.recv_from(&mut out) => {
                let (length, client) = received.unwrap();
                inside.connect(client).await.unwrap();
                // Of the datagrams without a proof the first, and of those with one.
                let proven = usize::from(has_token(&out));
                if !std::mem::replace(&mut has_sent[proven], true) {
                    outside.send_to(&out[..length], node).await.unwrap();
                }
            }
            received = outside.recv(&mut back) => {
                let length = received.unwrap();
                // A retry, by RFC 9000, section 17.2.5. Nothing else passes.
                if back[0] >> 4 == 0xf {
                    inside.send(&back[..length]).await.unwrap();
                }
            }
        }
    }
}

/// Whether the first packet of a client has a token, by RFC 9000, section 17.2.2.
fn has_token(initial: &[u8]) -> bool {
    let to = 6 + usize::from(initial[5]);
    let from = to + 1 + usize::from(initial[to]);
    initial[from] != 0
}

/// The first datagrams of clients' handshakes with different secrets.
async fn first_datagrams(count: usize) -> Vec<Vec<u8>> {
    let mut datagrams = Vec::new();
    for _ in 0..count {
        let sink = UdpSocket::bind(anywhere()).await.unwrap();
        let address: SocketAddr = sink.local_addr().unwrap();
        let dial = tokio::spawn(async move { Stranger::validator(1).dial(address).await.is_ok() });
        let mut datagram = vec![0; 2_000];
        let (length, _) = timeout(PATIENCE, sink.recv_from(&mut datagram)).await.unwrap().unwrap();
        datagram.truncate(length);
        datagrams.push(datagram);
        dial.abort();
    }
    datagrams
}

/// A configuration that contradicts itself is refused with a reason, not later.
#[tokio::test]
async fn a_wrong_configuration_does_not_start() {
    let refusal = async |change: fn(&mut super::super::TransportConfig)| {
        let mut wrong = config(0, 2, &[]);
        change(&mut wrong);
        Transport::start(wrong).await.err().map(|error| error.to_string()).unwrap_or_default()
    };
    assert!(refusal(|c| c.own = v(1)).await.contains("own transport key"));
    assert!(refusal(|c| c.own = v(2)).await.contains("own transport key"));
    assert!(refusal(|c| c.validators[1].index = v(0)).await.contains("named twice"));
    let shared = |c: &mut super::super::TransportConfig| {
        c.validators[1].key = c.validators[0].key.clone();
    };
    assert!(refusal(shared).await.contains("same transport key"));
    assert!(refusal(|c| c.seeds = vec!["nowhere".into()]).await.contains("host:port"));
    let classical = |c: &mut super::super::TransportConfig| {
        let falcon = qcn_crypto::SigningKey::from_seed(qcn_crypto::Scheme::Falcon512, &[1; 32]);
        c.validators[1].key = falcon.unwrap().public_key().clone();
    };
    assert!(refusal(classical).await.contains("ml-dsa-65"));

    let taken = Node::start(config(0, 2, &[])).await;
    let mut second = config(1, 2, &[]);
    second.listen = taken.address();
    assert!(matches!(Transport::start(second).await, Err(TransportError::Listen { .. })));
}
