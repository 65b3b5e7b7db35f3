//! Strangers that send anything but what the protocols ask for.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream, UdpSocket};

use crate::network::{Network, VALIDATORS};
use crate::patience::{Dice, seconds};
use crate::traffic::Traffic;
use crate::witness::Witness;

/// Datagrams to each node's network port.
const DATAGRAMS: usize = 3_000;
/// Connections to each node's HTTP port that are left open, half way through a request.
const HALF_OPEN: usize = 40;

/// Garbage on every port disturbs nobody.
///
/// Given a network under load.
/// When strangers send random datagrams to the network ports, and to the HTTP ports noise,
/// unfinished requests, bodies of the wrong size and transactions that are none,
/// then every answer is a refusal, all nodes stay ready, and finality goes on.
#[test]
fn garbage_disturbs_nobody() {
    let mut network = Network::start("garbage");
    let mut witness = Witness::default();
    let traffic = Traffic::start(&network);
    let mut dice = Dice::new(11);
    witness.wait_for_more(&network, 5);
    witness.start_measuring();
    let mut half_open = Vec::new();
    for at in 0..VALIDATORS {
        let address = network.api(at).url().strip_prefix("http://").unwrap().parse().unwrap();
        send_datagrams(address, &mut dice);
        half_open.extend(make_noise(address, &mut dice));
        witness.look(&network);
        post_garbage(&network, at, &mut dice);
        witness.look(&network);
    }
    witness.wait_for_more(&network, 20);
    network.wait_until_ready();
    println!("the longest pause of finality was {:?}", witness.longest_pause);
    assert!(witness.longest_pause < seconds(5), "{:?}", witness.longest_pause);
    let sent = traffic.stop();
    witness.audit(&network, &sent, &[0, 1, 2, 3]);
    drop(half_open);
}

/// Random datagrams; half of them look like the first packet of a QUIC connection.
fn send_datagrams(address: SocketAddr, dice: &mut Dice) {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    for count in 0..DATAGRAMS {
        let length = 1 + dice.roll(1_400) as usize;
        let mut datagram = dice.bytes(length);
        if count % 2 == 0 {
            datagram.resize(1_200, 0x5a);
            datagram[..6].copy_from_slice(&[0xc3, 0, 0, 0, 1, 8]);
        }
        // A full buffer loses some of them, as networks do.
        let _ = socket.send_to(&datagram, address);
    }
}

/// Raw bytes on the HTTP port; gives the connections that stay open.
fn make_noise(address: SocketAddr, dice: &mut Dice) -> Vec<TcpStream> {
    let connect = || {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(seconds(15))).unwrap();
        stream
    };
    for _ in 0..20 {
        let mut stream = connect();
        // The node may hang up before it has read everything.
        let _ = stream.write_all(&dice.bytes(2_000));
        let _ = stream.shutdown(std::net::Shutdown::Write);
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        let text = String::from_utf8_lossy(&answer);
        assert!(text.is_empty() || text.starts_with("HTTP/1.1 4"), "noise got {text}");
    }
    let unfinished = |at: usize| match at % 3 {
        0 => "GET /v1/stat",
        1 => {
            "POST /v1/transactions HTTP/1.1\r\nHost: localhost\r\n\
              Content-Type: application/json\r\nContent-Length: 100000\r\n\r\nabc"
        }
        _ => "GET /health HTTP/1.1\r\nHost: localhost\r\nX-Slow: ",
    };
    (0..HALF_OPEN)
        .map(|at| {
            let mut stream = connect();
            stream.write_all(unfinished(at).as_bytes()).unwrap();
            stream
        })
        .collect()
}

/// Requests that are HTTP and nothing else; each is refused with a reason.
fn post_garbage(network: &Network, at: usize, dice: &mut Dice) {
    let api = network.api(at);
    for path in ["/v1/transactions", "/v1/transactions/batch", "/rpc", "/v1/nothing"] {
        for media_type in ["application/octet-stream", "application/json", "image/png"] {
            let length = 1 + dice.roll(3_000) as usize;
            let body = dice.bytes(length);
            let (status, answer) = api.post(path, media_type, &body).unwrap();
            let is_rpc_error = path == "/rpc" && status == 200 && answer["error"].is_object();
            let refused = (400..500).contains(&status) || is_rpc_error;
            assert!(refused, "{path} as {media_type} got {status}: {answer}");
        }
    }
    for path in ["/v1/accounts/xyz", "/v1/blocks/00", "/v1/checkpoints/-1", "/v1/events?x=%ff"] {
        let refusal = api.get(path).unwrap_err();
        assert!(refusal.starts_with("4"), "{path} got {refusal}");
    }
}
