//! How long a message is on the wire.

use std::io::{Result, Write};

use borsh::BorshSerialize;

/// What a packet carries of a message, in bytes.
pub const PACKET_BYTES: u64 = 1_200;
/// What a packet adds for IP, UDP, QUIC and the authentication tag, in bytes.
pub const PACKET_OVERHEAD_BYTES: u64 = 60;

/// How many packets a message of `bytes` needs.
#[must_use]
pub const fn packets(bytes: u64) -> u64 {
    let whole = bytes.div_ceil(PACKET_BYTES);
    if whole == 0 { 1 } else { whole }
}

/// The bytes on the wire for a message of `bytes` bytes.
#[must_use]
pub const fn wire_bytes(bytes: u64) -> u64 {
    bytes + packets(bytes) * PACKET_OVERHEAD_BYTES
}

/// The length of a value's canonical encoding, without making it.
pub(crate) fn encoded_bytes<T: BorshSerialize>(value: &T) -> u64 {
    let mut counter = Counter(0);
    // Counting cannot fail, and no message refuses to encode.
    value.serialize(&mut counter).expect("counting bytes");
    counter.0
}

struct Counter(u64);

impl Write for Counter {
    fn write(&mut self, bytes: &[u8]) -> Result<usize> {
        self.0 += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> Result<()> {
        Ok(())
    }
}
