//! The socket that everything of a node goes through.
//!
//! The others' blocks arrive at the same moment, each in dozens of packets. What the system's
//! buffer has no room for is lost, comes again a round trip later, and makes the sender believe
//! that the path is full; so the buffer asked for holds a burst of everybody.

use std::net::{SocketAddr, UdpSocket};
use std::sync::{Arc, Once};

use qcn_crypto::{SeededRandomness, SigningKey};
use quinn::{Endpoint, EndpointConfig, ServerConfig, TokioRuntime};
use rustix::net::sockopt;
use tracing::warn;

use super::connection_ids::ConnectionIds;
use super::{TransportError, entropy};

/// What the system is asked to hold of packets that nobody has read or sent yet, in bytes.
const BUFFER_BYTES: usize = 8 * 1024 * 1024;

/// With less than this for each direction a burst of blocks is lost in part; measured with four
/// validators and the 208 KiB that Linux gives by default: an eighth of all packets under full load.
const SCANT_BUFFER_BYTES: usize = 1024 * 1024;

/// Opens the socket, with the same reset key after a restart, so that peers whose connection was
/// cut off are told so at once.
pub(super) fn listen(
    address: SocketAddr,
    key: &SigningKey,
    server: ServerConfig,
) -> Result<Endpoint, TransportError> {
    let mut reset_key = [0; 32];
    SeededRandomness::labelled(key.expose_seed(), "stateless reset").fill(&mut reset_key);
    let reset_key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, &reset_key);
    let mut endpoint = EndpointConfig::new(Arc::new(reset_key));
    let randomness = entropy()?;
    endpoint.cid_generator(move || Box::new(ConnectionIds::new(randomness.clone())));
    bind(address)
        .and_then(|socket| Endpoint::new(endpoint, Some(server), socket, Arc::new(TokioRuntime)))
        .map_err(cannot_listen(address))
}

pub(super) fn cannot_listen(address: SocketAddr) -> impl Fn(std::io::Error) -> TransportError {
    move |error| TransportError::Listen { address, error }
}

/// A socket with as much room as was asked for, or else as the system gives.
fn bind(address: SocketAddr) -> std::io::Result<UdpSocket> {
    let socket = UdpSocket::bind(address)?;
    widen(|bytes| sockopt::set_socket_recv_buffer_size(&socket, bytes));
    widen(|bytes| sockopt::set_socket_send_buffer_size(&socket, bytes));
    // Where the system does not tell, nothing can be said.
    let receives = sockopt::socket_recv_buffer_size(&socket).map_or(usize::MAX, usable_bytes);
    let sends = sockopt::socket_send_buffer_size(&socket).map_or(usize::MAX, usable_bytes);
    if is_scant(receives, sends) {
        WARNED.call_once(|| {
            let remedy = if cfg!(target_os = "linux") {
                "raise net.core.rmem_max and net.core.wmem_max (deploy/sysctl.conf)"
            } else {
                "raise what the system allows"
            };
            warn!(
                %address, receives, sends, wanted = BUFFER_BYTES,
                "the system gives the socket little room, and bursts of blocks will be lost: {remedy}"
            );
        });
    }
    Ok(socket)
}

/// Said once, however many nodes a process runs.
static WARNED: Once = Once::new();

/// Asks for room. Linux gives what its limit allows, others nothing where it is too much.
fn widen(ask: impl Fn(usize) -> rustix::io::Result<()>) {
    let mut bytes = BUFFER_BYTES;
    while ask(bytes).is_err() && bytes > SCANT_BUFFER_BYTES / 4 {
        bytes /= 2;
    }
}

/// Linux counts its own overhead as well, and says twice of what it was asked for (socket(7)).
const fn usable_bytes(said: usize) -> usize {
    if cfg!(target_os = "linux") { said / 2 } else { said }
}

const fn is_scant(receives: usize, sends: usize) -> bool {
    receives < SCANT_BUFFER_BYTES || sends < SCANT_BUFFER_BYTES
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    #[test]
    fn a_socket_has_the_room_that_the_system_allows() {
        let address = SocketAddr::from(([127, 0, 0, 1], 0));
        let own = bind(address).unwrap();
        let own = usable_bytes(sockopt::socket_recv_buffer_size(&own).unwrap());
        let Ok(limit) = std::fs::read_to_string("/proc/sys/net/core/rmem_max") else {
            eprintln!("the system does not tell its limit: {own} bytes are not judged");
            return;
        };
        assert_eq!(own, limit.trim().parse::<usize>().unwrap().min(BUFFER_BYTES));
    }

    #[test]
    fn little_room_in_either_direction_is_scant() {
        let usual = usable_bytes(if cfg!(target_os = "linux") { 425_984 } else { 212_992 });
        assert_eq!(usual, 212_992);
        assert!(is_scant(usual, BUFFER_BYTES) && is_scant(BUFFER_BYTES, usual));
        assert!(is_scant(512 * 1024, BUFFER_BYTES));
        assert!(!is_scant(SCANT_BUFFER_BYTES, SCANT_BUFFER_BYTES));
    }

    #[test]
    fn less_is_asked_for_where_the_system_refuses() {
        let asked = RefCell::new(Vec::new());
        widen(|bytes| {
            asked.borrow_mut().push(bytes);
            if bytes > 3_000_000 { Err(rustix::io::Errno::NOBUFS) } else { Ok(()) }
        });
        assert_eq!(*asked.borrow(), [8 << 20, 4 << 20, 2 << 20]);
        let asked = RefCell::new(0);
        widen(|_| {
            *asked.borrow_mut() += 1;
            Err(rustix::io::Errno::NOBUFS)
        });
        assert_eq!(*asked.borrow(), 6, "not for ever");
    }
}
