//! The socket that everything of a node goes through.
//!
//! The others' blocks arrive at the same moment, each in dozens of packets. What the system's
//! buffer has no room for is lost, comes again a round trip later, and makes the sender believe
//! that the path is full; so the buffer asked for holds a burst of everybody.

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;

use qcn_crypto::{SeededRandomness, SigningKey};
use quinn::{Endpoint, EndpointConfig, ServerConfig, TokioRuntime};
use rustix::net::sockopt;
use tracing::warn;

use super::connection_ids::ConnectionIds;
use super::{TransportError, entropy};

/// What the system is asked to hold of packets that nobody has read or sent yet, in bytes.
const BUFFER_BYTES: usize = 8 * 1024 * 1024;

/// Below this a burst of four validators' blocks is lost in part; measured: with the 208 KiB that
/// Linux gives by default an eighth of all packets under full load. In bytes.
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

/// A socket with all the room that the system gives, which may be less than what was asked for.
fn bind(address: SocketAddr) -> std::io::Result<UdpSocket> {
    let socket = UdpSocket::bind(address)?;
    let granted = widen(&socket)?;
    if granted < SCANT_BUFFER_BYTES {
        warn!(
            granted,
            wanted = BUFFER_BYTES,
            "the system gives the socket little room, and bursts of blocks will be lost; \
             raise net.core.rmem_max and net.core.wmem_max (deploy/README.md)"
        );
    }
    Ok(socket)
}

/// Asks for room, and says how many bytes were given for what arrives.
fn widen(socket: &UdpSocket) -> std::io::Result<usize> {
    // Linux gives what its limit allows without a word.
    let _ = sockopt::set_socket_recv_buffer_size(socket, BUFFER_BYTES);
    let _ = sockopt::set_socket_send_buffer_size(socket, BUFFER_BYTES);
    let granted = sockopt::socket_recv_buffer_size(socket)?;
    Ok(granted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_has_more_room_than_one_of_the_system_where_there_is_more() {
        let address = SocketAddr::from(([127, 0, 0, 1], 0));
        let usual = UdpSocket::bind(address).unwrap();
        let usual = sockopt::socket_recv_buffer_size(&usual).unwrap();
        let own = bind(address).unwrap();
        let own = sockopt::socket_recv_buffer_size(&own).unwrap();
        let limit = std::fs::read_to_string("/proc/sys/net/core/rmem_max").unwrap_or_default();
        // The system counts its own overhead as well, and says twice of what it was asked for.
        let most = limit.trim().parse::<usize>().map_or(usual, |limit| 2 * limit.min(BUFFER_BYTES));
        assert!(own >= most.max(usual), "{own} of {most}, usually {usual}");
    }
}
