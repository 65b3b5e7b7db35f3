//! Honest validators among themselves.

use std::time::Duration;

use bytes::Bytes;
use qcn_types::ValidatorIndex;

use super::super::shared::lock;
use super::super::{Class, Count};
use super::support::{Node, config, frame, fully_connected, network, poll};

/// Frames of both classes arrive in both directions, whole and in order, under their sender's name.
#[tokio::test(flavor = "multi_thread")]
async fn two_validators_exchange_frames_of_both_classes() {
    let mut nodes = network(2).await;
    for (from, to) in [(0, 1), (1, 0)] {
        for class in Class::ALL {
            let large = Bytes::from(vec![from as u8 + 1; 4_000_000]);
            let sent = [frame("first"), large, frame(""), frame("last")];
            for frame in &sent {
                nodes[from].transport.send(ValidatorIndex(to as u16), class, frame.clone());
            }
            for expected in sent {
                let received = nodes[to].next().await;
                assert_eq!(received.from, ValidatorIndex(from as u16));
                assert_eq!((received.class, received.frame), (class, expected));
            }
        }
    }
    let peer = &nodes[0].transport.peers()[0];
    assert!(peer.connected && peer.rtt_ms.is_some());
    assert!(peer.bytes_in > 8_000_000 && peer.bytes_out > 8_000_000, "{peer:?}");
    nodes[0].transport.note_refused(ValidatorIndex(1));
    assert_eq!(nodes[0].transport.peers()[0].refused, 1);
}

/// Given four validators of which three know only the first one's address, all find each other,
/// and a broadcast of one reaches the three others.
#[tokio::test(flavor = "multi_thread")]
async fn all_are_found_from_one_address() {
    let mut nodes = network(4).await;
    for from in 0..4_u16 {
        nodes[usize::from(from)].transport.broadcast(Class::Blocks, &frame("block"));
        for to in (0..4_u16).filter(|to| *to != from) {
            let received = nodes[usize::from(to)].next().await;
            assert_eq!((received.from, received.frame), (ValidatorIndex(from), frame("block")));
        }
    }
}

/// Given a validator that restarts at the same address and one that restarts elsewhere, the
/// others are connected to both again, and say so.
#[tokio::test(flavor = "multi_thread")]
async fn a_restarted_validator_is_found_again() {
    let mut nodes = network(3).await;
    let mut ups_and_downs = nodes[0].transport.connections();
    let before = nodes.remove(2);
    let address = before.address();
    before.transport.close().await;
    drop(before);
    assert_eq!(ups_and_downs.recv().await.unwrap(), (ValidatorIndex(2), false));

    let seed = [nodes[0].address()];
    let mut same = config(2, 3, &seed);
    same.listen = address;
    assert!(poll(|| std::net::UdpSocket::bind(address).is_ok()).await, "the port is not free");
    nodes.push(Node::start(same).await);
    fully_connected(&nodes).await;
    assert_eq!(ups_and_downs.recv().await.unwrap(), (ValidatorIndex(2), true));

    drop(nodes.remove(2));
    nodes.push(Node::start(config(2, 3, &seed)).await);
    fully_connected(&nodes).await;
    nodes[2].transport.broadcast(Class::Blocks, &frame("back"));
    assert_eq!(nodes[0].next().await.frame, frame("back"));
    assert_eq!(nodes[1].next().await.frame, frame("back"));
    assert!(nodes[0].count(Count::Down) >= 2);
}

/// Closing ends the connections, the receiver and every task, and promptly; so does dropping.
#[tokio::test(flavor = "multi_thread")]
async fn closing_and_dropping_end_everything() {
    let tasks = || tokio::runtime::Handle::current().metrics().num_alive_tasks();
    let before = tasks();
    let mut nodes = network(4).await;
    assert!(tasks() > before);
    let start = std::time::Instant::now();
    let mut closed = nodes.remove(0);
    closed.transport.close().await;
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    assert!(closed.received.recv().await.is_none());
    assert_eq!(closed.connected(), 0);
    closed.transport.broadcast(Class::Blocks, &frame("into nothing"));
    closed.transport.close().await;
    assert!(poll(|| nodes.iter().all(|node| node.connected() == 2)).await);

    drop((nodes, closed));
    assert!(poll(|| tasks() <= before).await, "{} tasks are left of {before}", tasks());
}

/// Given a socket that fails, it is opened again at the same address, and all is as before.
#[tokio::test(flavor = "multi_thread")]
async fn a_socket_that_fails_is_opened_again() {
    let mut nodes = network(3).await;
    let socket = lock(&nodes[1].transport.running.socket).clone();
    socket.unwrap().close(0_u32.into(), b"");
    nodes[1].reaches(Count::SocketLost, 1).await;
    fully_connected(&nodes).await;
    nodes[2].transport.broadcast(Class::Blocks, &frame("after"));
    assert_eq!(nodes[1].next().await.frame, frame("after"));
    assert_eq!(nodes[1].count(Count::SocketLost), 1);
}
