//! A network between the nodes that can be slow, lossy or cut, without any privilege.
//!
//! Each node is reached through a relay of its own on loopback, whose address stands in the
//! genesis. Who sends is known by the port, since a node has one socket for everything. A packet
//! waits in the relay for the delay of one way; some are dropped by a die; and between the two
//! halves of a partition all are.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rustix::net::sockopt::{set_socket_recv_buffer_size, set_socket_send_buffer_size};

use crate::patience::{Dice, pause};

/// How often a waiting thread looks whether the test is over.
const STOP_INTERVAL: Duration = Duration::from_millis(100);
/// What a relay asks the system to hold of packets that it has not read yet, in bytes.
const BUFFER_BYTES: usize = 8 * 1024 * 1024;
/// Relays listen this far above the node's own port.
pub const PORT_OFFSET: u16 = 10;

/// What happens to packets. Shared by all relays of a network.
pub struct Weather {
    /// How many nodes there are.
    nodes: usize,
    delay_us: AtomicU64,
    lost_per_mille: AtomicU64,
    is_cut: AtomicBool,
    is_over: AtomicBool,
    dice: Mutex<Dice>,
}

impl Weather {
    fn carries(&self, from: Option<usize>, to: usize) -> bool {
        let half = self.nodes / 2;
        let halves = from.is_some_and(|from| (from < half) != (to < half));
        if halves && self.is_cut.load(Ordering::Relaxed) {
            return false;
        }
        let lost = self.lost_per_mille.load(Ordering::Relaxed);
        lost == 0 || self.dice.lock().unwrap().roll(1_000) >= lost
    }

    fn delay(&self) -> Duration {
        Duration::from_micros(self.delay_us.load(Ordering::Relaxed))
    }
}

/// The relays of a network. Dropping it ends their threads.
pub struct Relays(Arc<Weather>);

impl Relays {
    /// Starts a relay in front of each node.
    pub fn start(nodes: &[SocketAddr]) -> Self {
        let weather = Arc::new(Weather {
            nodes: nodes.len(),
            delay_us: AtomicU64::new(0),
            lost_per_mille: AtomicU64::new(0),
            is_cut: AtomicBool::new(false),
            is_over: AtomicBool::new(false),
            dice: Mutex::new(Dice::new(3)),
        });
        for to in 0..nodes.len() {
            let relay = Relay::bind(nodes, to, Arc::clone(&weather));
            std::thread::spawn(move || relay.run());
        }
        Self(weather)
    }

    /// Every packet takes so long, and one in so many is lost.
    pub fn set_delay_and_loss(&self, delay: Duration, lost_per_mille: u64) {
        self.0.delay_us.store(delay.as_micros() as u64, Ordering::Relaxed);
        self.0.lost_per_mille.store(lost_per_mille, Ordering::Relaxed);
    }

    /// Nothing passes between the first half of the nodes and the second any more, or it does.
    pub fn set_cut(&self, is_cut: bool) {
        self.0.is_cut.store(is_cut, Ordering::Relaxed);
    }
}

impl Drop for Relays {
    fn drop(&mut self) {
        self.0.is_over.store(true, Ordering::Relaxed);
    }
}

/// Where a node is reached.
pub fn address_of(node: SocketAddr) -> SocketAddr {
    SocketAddr::new(node.ip(), node.port() + PORT_OFFSET)
}

/// A packet on its way.
struct Packet {
    due: Instant,
    through: Arc<UdpSocket>,
    to: SocketAddr,
    bytes: Vec<u8>,
}

struct Relay {
    nodes: Vec<SocketAddr>,
    to: usize,
    weather: Arc<Weather>,
    front: Arc<UdpSocket>,
    line: Sender<Packet>,
}

impl Relay {
    fn bind(nodes: &[SocketAddr], to: usize, weather: Arc<Weather>) -> Self {
        let front = Arc::new(bind(address_of(nodes[to])));
        let (line, waiting) = channel();
        std::thread::spawn(move || deliver(&waiting));
        Self { nodes: nodes.to_vec(), to, weather, front, line }
    }

    /// Carries what arrives in front, and starts a way back for each who sends.
    fn run(self) {
        let relay = Arc::new(self);
        let mut ways: BTreeMap<SocketAddr, Arc<UdpSocket>> = BTreeMap::new();
        relay.receive(&relay.front, |bytes, sender| {
            let from = relay.nodes.iter().position(|node| *node == sender);
            let way = ways.entry(sender).or_insert_with(|| relay.way_back(sender, from));
            relay.carry(from, relay.to, (way, relay.nodes[relay.to]), bytes);
        });
    }

    fn way_back(self: &Arc<Self>, sender: SocketAddr, from: Option<usize>) -> Arc<UdpSocket> {
        let way = Arc::new(bind((Ipv4Addr::LOCALHOST, 0).into()));
        let (relay, socket) = (Arc::clone(self), Arc::clone(&way));
        std::thread::spawn(move || {
            relay.receive(&socket, |bytes, _| {
                let back = from.unwrap_or(relay.to);
                relay.carry(Some(relay.to), back, (&relay.front, sender), bytes);
            });
        });
        way
    }

    fn receive(&self, socket: &UdpSocket, mut took: impl FnMut(&[u8], SocketAddr)) {
        let mut buffer = vec![0; 65_536];
        while !self.weather.is_over.load(Ordering::Relaxed) {
            match socket.recv_from(&mut buffer) {
                Ok((length, sender)) => took(&buffer[..length], sender),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                // A node that is down: the system tells whoever sent to it last.
                Err(error) if error.kind() == ErrorKind::ConnectionRefused => {}
                Err(error) => panic!("a relay's socket: {error}"),
            }
        }
    }

    fn carry(
        &self,
        from: Option<usize>,
        to: usize,
        way: (&Arc<UdpSocket>, SocketAddr),
        bytes: &[u8],
    ) {
        if self.weather.carries(from, to) {
            let due = Instant::now() + self.weather.delay();
            let packet =
                Packet { due, through: Arc::clone(way.0), to: way.1, bytes: bytes.to_vec() };
            let _ = self.line.send(packet);
        }
    }
}

/// Sends each packet when it is due. They are due in the order in which they came.
fn deliver(waiting: &Receiver<Packet>) {
    for packet in waiting {
        while let left = packet.due.saturating_duration_since(Instant::now())
            && !left.is_zero()
        {
            pause(left);
        }
        let _ = packet.through.send_to(&packet.bytes, packet.to);
    }
}

/// A relay is slow because it is told so, and loses what it is told to: not what it has no room for.
fn bind(address: SocketAddr) -> UdpSocket {
    let socket = UdpSocket::bind(address).unwrap();
    // Linux gives as much as it allows; where another refuses, there is what there was.
    let _ = set_socket_recv_buffer_size(&socket, BUFFER_BYTES);
    let _ = set_socket_send_buffer_size(&socket, BUFFER_BYTES);
    socket.set_read_timeout(Some(STOP_INTERVAL)).unwrap();
    socket
}
