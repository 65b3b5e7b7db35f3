//! Validators that misbehave on a connection: they lose it, and nobody else notices.

use std::time::Duration;

use bytes::Bytes;
use qcn_crypto::ChainId;
use qcn_types::{Bounded, MAX_FRAME_BYTES};
use tokio::time::timeout;

use super::super::records::PeerRecord;
use super::super::wire::{CloseCode, Control, write_control};
use super::super::{Class, Count};
use super::stranger::{Rogue, Stranger, framed, v};
use super::support::{CHAIN, Node, config, frame, fully_connected, key, poll};

/// Validator 0, honest, to which validator 1 is connected and misbehaves.
async fn victim(change: impl FnOnce(&mut super::super::Limits)) -> (Node, Rogue) {
    let mut victim = config(0, 3, &[]);
    change(&mut victim.limits);
    let victim = Node::start(victim).await;
    let rogue = Rogue::connect(1, victim.address()).await;
    assert!(poll(|| victim.connected() == 1).await);
    (victim, rogue)
}

/// The victim has closed the connection for this, and goes on with others.
async fn is_cut_off(mut victim: Node, rogue: &Rogue, count: Count, code: CloseCode) {
    assert_eq!(rogue.close_code().await, code as u64, "{}", count.name());
    victim.reaches(count, 1).await;
    assert!(poll(|| victim.connected() == 0).await);
    let honest = Node::start(config(2, 3, &[victim.address()])).await;
    assert!(poll(|| honest.connected() == 1).await);
    honest.transport.broadcast(Class::Blocks, &frame("honest"));
    assert_eq!(victim.next().await.frame, frame("honest"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frame_above_the_bound_costs_the_connection() {
    let (victim, rogue) = victim(|_| {}).await;
    let mut stream = rogue.frames(Class::Blocks).await;
    stream.write_all(&(MAX_FRAME_BYTES as u32 + 1).to_be_bytes()).await.unwrap();
    is_cut_off(victim, &rogue, Count::FrameTooLong, CloseCode::FrameTooLong).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frame_that_drips_costs_the_connection() {
    let (victim, rogue) = victim(|limits| limits.frame_timeout = Duration::from_millis(200)).await;
    let mut stream = rogue.frames(Class::Sync).await;
    stream.write_all(&[0, 0, 0, 100, 1, 2, 3]).await.unwrap();
    is_cut_off(victim, &rogue, Count::FrameTooSlow, CloseCode::FrameTooSlow).await;
}

/// A frame may come late, but not half of its length.
#[tokio::test(flavor = "multi_thread")]
async fn a_length_that_drips_costs_the_connection() {
    let (mut victim, rogue) =
        victim(|limits| limits.frame_timeout = Duration::from_millis(200)).await;
    let mut stream = rogue.frames(Class::Sync).await;
    stream.write_all(&framed(b"whole")).await.unwrap();
    assert_eq!(victim.next().await.frame, frame("whole"));
    stream.write_all(&[0]).await.unwrap();
    is_cut_off(victim, &rogue, Count::FrameTooSlow, CloseCode::FrameTooSlow).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_that_the_protocol_does_not_have_cost_the_connection() {
    for opening in [&[9][..], &[0][..], &[1][..]] {
        let (victim, rogue) = victim(|_| {}).await;
        let _first = rogue.frames(Class::Blocks).await;
        let mut second = rogue.connection.open_uni().await.unwrap();
        second.write_all(opening).await.unwrap();
        is_cut_off(victim, &rogue, Count::Violation, CloseCode::Violation).await;
    }
    let (victim, rogue) = victim(|_| {}).await;
    rogue.frames(Class::Blocks).await.finish().unwrap();
    is_cut_off(victim, &rogue, Count::Violation, CloseCode::Violation).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn control_messages_that_nobody_writes_cost_the_connection() {
    let records = |count| vec![0_u8; count];
    let hello = qcn_types::encode(&Control::Hello { incarnation: 1, lost: 0, record: None });
    for message in [&b"garbage"[..], &records(200), &hello] {
        let (victim, mut rogue) = victim(|_| {}).await;
        rogue.control_out.write_all(&framed(message)).await.unwrap();
        is_cut_off(victim, &rogue, Count::Violation, CloseCode::Violation).await;
    }
}

/// A record that its validator did not sign is not used. Whoever hands on one keeps its connection, as
/// the validator may have another key by now; whoever hands on more than there are validators loses it.
#[tokio::test(flavor = "multi_thread")]
async fn forged_records_are_refused() {
    let forged = [
        record(CHAIN, 1, 2, "10.0.0.1:1"),
        record(ChainId::default(), 2, 2, "10.0.0.2:1"),
        record(CHAIN, 2, 2, "no address"),
        record(CHAIN, 1, 0, "10.0.0.3:1"),
    ];
    for forged in forged {
        let (victim, mut rogue) = victim(|_| {}).await;
        let known = victim.transport.shared.own_record();
        tell(&mut rogue, forged.clone()).await;
        victim.reaches(Count::RecordRefused, 1).await;
        assert_eq!(victim.transport.peers()[1].address, None);
        assert_eq!(victim.transport.shared.own_record(), known);
        assert_eq!(victim.connected(), 1, "it may be the record of a key that is not known here");
        for _ in 0..6 {
            tell(&mut rogue, forged.clone()).await;
        }
        rogue.connection.closed().await;
        assert_eq!(victim.transport.peers()[1].address, None);
        is_cut_off(victim, &rogue, Count::Violation, CloseCode::Violation).await;
    }
}

/// A genuine record is kept, whoever hands it on; one of nobody is ignored; and one of the victim
/// itself, from an earlier run whose clock was ahead, makes it sign a newer one.
#[tokio::test(flavor = "multi_thread")]
async fn genuine_records_are_kept() {
    let (victim, mut rogue) = victim(|_| {}).await;
    tell(&mut rogue, record(CHAIN, 100, 100, "10.0.0.3:1")).await;
    victim.reaches(Count::RecordRefused, 1).await;
    tell(&mut rogue, record(CHAIN, 2, 2, "127.0.0.1:9")).await;
    assert!(poll(|| victim.transport.peers()[1].address.as_deref() == Some("127.0.0.1:9")).await);

    let ahead = PeerRecord::sign(CHAIN, &key(0), v(0), u64::MAX - 9, "10.0.0.4:1").unwrap();
    tell(&mut rogue, ahead).await;
    let own = || victim.transport.shared.own_record().unwrap();
    assert!(poll(|| own().sequence == u64::MAX - 8).await);
    assert_eq!(own().address(), Some(&*victim.address().to_string()));
    assert_eq!((victim.connected(), victim.count(Count::RecordRefused)), (1, 1));
}

fn record(chain: ChainId, signer: u16, of: u16, address: &str) -> PeerRecord {
    PeerRecord::sign(chain, &key(signer), v(of), u64::MAX / 2, address).unwrap()
}

async fn tell(rogue: &mut Rogue, record: PeerRecord) {
    let message = Control::Records(Bounded::truncated(vec![record]));
    write_control(&mut rogue.control_out, &message).await.unwrap();
}

/// Connections that are made and then say nothing, or the wrong thing, do not come up.
#[tokio::test(flavor = "multi_thread")]
async fn a_connection_that_is_not_confirmed_does_not_come_up() {
    let mut limits = config(0, 3, &[]);
    limits.limits.handshake_timeout = Duration::from_millis(500);
    let victim = Node::start(limits).await;
    let silent = Stranger::validator(1).dial(victim.address()).await.unwrap();
    victim.reaches(Count::HandshakeTimeout, 1).await;
    drop(silent);

    let wrong = Stranger::validator(1).dial(victim.address()).await.unwrap();
    let mut stream = wrong.open_uni().await.unwrap();
    stream.write_all(&[0]).await.unwrap();
    let known = Control::Known(Bounded::default());
    write_control(&mut stream, &known).await.unwrap();
    victim.reaches(Count::NotConfirmed, 1).await;

    let mut many = Vec::new();
    for _ in 0..10 {
        many.push(Stranger::validator(1).dial(victim.address()).await);
    }
    victim.reaches(Count::TooManyOfPeer, 1).await;
    assert_eq!(victim.connected(), 0);
}

/// Given a peer that takes nothing, sending to it never waits, its queue stays within its bound,
/// the oldest frames are dropped, and another peer gets everything.
#[tokio::test(flavor = "multi_thread")]
async fn a_peer_that_never_reads_holds_up_nobody() {
    const FRAMES: u64 = 200;
    let (victim, _rogue) = victim(|limits| limits.blocks.queue_bytes = 8 << 20).await;
    let mut honest = Node::start(config(2, 3, &[victim.address()])).await;
    assert!(poll(|| honest.connected() == 1 && victim.connected() == 2).await);
    for number in 0..FRAMES {
        let large = Bytes::from(vec![number as u8; 1 << 20]);
        victim.transport.broadcast(Class::Blocks, &large);
        assert_eq!(honest.next().await.frame, large);
    }
    let stalled = &victim.transport.peers()[0];
    let queued = victim.transport.shared.peers()[&v(1)].lane(Class::Blocks).queue.bytes();
    assert!(queued <= 8 << 20, "{queued} bytes wait");
    assert!(stalled.frames_dropped >= FRAMES - 40, "{stalled:?}");
    assert_eq!(victim.transport.peers()[1].frames_dropped, 0);
    assert_eq!(victim.count(Count::Down), 0, "being slow costs no connection");
}

/// Given a runtime that does not take frames, what waits for it is bounded, and nothing is lost:
/// the sender is held up.
#[tokio::test(flavor = "multi_thread")]
async fn a_runtime_that_is_busy_holds_up_the_sender() {
    let mut slow = config(0, 2, &[]);
    slow.limits.waiting_bytes_per_peer = 1 << 20;
    let mut slow = Node::start(slow).await;
    let sender = Node::start(config(1, 2, &[slow.address()])).await;
    assert!(poll(|| sender.connected() == 1).await);
    let sent: Vec<Bytes> = (0..30_u8).map(|mark| vec![mark; 1 << 20].into()).collect();
    for frame in &sent {
        sender.transport.broadcast(Class::Sync, frame);
    }
    slow.reaches(Count::FramesIn, 2).await;
    // For a while nothing more comes in, though all of it could.
    let more = timeout(Duration::from_millis(500), poll(|| slow.count(Count::FramesIn) > 3));
    assert!(more.await.is_err(), "{:?}", slow.refused());
    for frame in sent {
        assert_eq!(slow.next().await.frame, frame);
    }
}

/// Given a peer that sends more than its budget, reading pauses, and everything arrives later.
#[tokio::test(flavor = "multi_thread")]
async fn a_peer_over_its_budget_is_read_later() {
    let (mut victim, rogue) = victim(|limits| limits.blocks.frames_per_second = 20).await;
    let mut stream = rogue.frames(Class::Blocks).await;
    let start = std::time::Instant::now();
    for _ in 0..30 {
        stream.write_all(&framed(b"frame")).await.unwrap();
    }
    for _ in 0..30 {
        victim.next().await;
    }
    assert!(start.elapsed() >= Duration::from_millis(450), "{:?}", start.elapsed());
    assert!(victim.count(Count::Throttled) >= 1);
    assert_eq!(victim.connected(), 1);
}

/// The lower index decides: a second connection of the same run is a duplicate, unless that run
/// has lost the first; one of another run takes its place.
#[tokio::test(flavor = "multi_thread")]
async fn a_second_connection_stands_only_if_the_first_is_lost() {
    let (victim, first) = victim(|_| {}).await;
    let address = victim.address();
    let mut ups_and_downs = victim.transport.connections();
    assert!(Rogue::say_hello(1, address, 1, 0).await.is_err());
    assert!(Rogue::say_hello(1, address, 1, first.id.wrapping_add(1)).await.is_err());
    victim.reaches(Count::Duplicate, 2).await;
    assert!(first.connection.close_reason().is_none());
    assert!(ups_and_downs.is_empty(), "duplicates are not announced");

    let second = Rogue::say_hello(1, address, 1, first.id).await.unwrap();
    assert_eq!(first.close_code().await, CloseCode::Replaced as u64);
    let third = Rogue::say_hello(1, address, 2, 0).await.unwrap();
    assert_eq!(second.close_code().await, CloseCode::Replaced as u64);
    for up in [false, true, false, true] {
        assert_eq!(ups_and_downs.recv().await.unwrap(), (v(1), up));
    }
    assert_eq!((victim.count(Count::Down), victim.connected()), (2, 1));
    third.connection.close(0_u32.into(), b"");
    assert_eq!(ups_and_downs.recv().await.unwrap(), (v(1), false));
}

/// Validators that all dial each other at the same moment end with one connection per pair, and
/// none of them goes down again.
#[tokio::test(flavor = "multi_thread")]
async fn dialling_at_once_leaves_one_connection() {
    let taken: Vec<_> =
        (0..3).map(|_| std::net::UdpSocket::bind(super::support::anywhere()).unwrap()).collect();
    let addresses: Vec<_> = taken.iter().map(|socket| socket.local_addr().unwrap()).collect();
    drop(taken);
    let mut nodes = Vec::new();
    for own in 0..3_u16 {
        let mut dialling = config(own, 3, &addresses);
        dialling.listen = addresses[usize::from(own)];
        for (known, address) in dialling.validators.iter_mut().zip(&addresses) {
            known.address = Some(address.to_string());
        }
        nodes.push(Node::start(dialling).await);
    }
    fully_connected(&nodes).await;
    assert!(poll(|| nodes.iter().all(|node| node.open_connections() == 2)).await);
    for node in &nodes {
        assert_eq!(node.count(Count::Down), 0);
    }
}
