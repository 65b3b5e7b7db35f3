//! How this endpoint names its connections: by random bytes that nobody checks.
//!
//! A packet for a connection that does not exist is answered by a stateless reset, which ends it
//! at the other end at once instead of after its timeout. That is how a restart is noticed by whom
//! it cut off, so a name that an earlier process gave must be answered as well: the usual names
//! carry a mark that only the process knows which made them, and others get no answer. Garbage is
//! answered too, with less than it has and at most once in 20 ms.

use std::time::Duration;

use qcn_crypto::SeededRandomness;
use quinn::{ConnectionId, ConnectionIdGenerator};

/// The length of a name, in bytes.
const NAME_BYTES: usize = 12;

/// Names connections.
pub(super) struct ConnectionIds(SeededRandomness);

impl ConnectionIds {
    /// Names that nobody can guess, if the randomness is of that kind.
    pub(super) const fn new(randomness: SeededRandomness) -> Self {
        Self(randomness)
    }
}

impl ConnectionIdGenerator for ConnectionIds {
    fn generate_cid(&mut self) -> ConnectionId {
        let mut name = [0; NAME_BYTES];
        self.0.fill(&mut name);
        ConnectionId::new(&name)
    }

    fn cid_len(&self) -> usize {
        NAME_BYTES
    }

    fn cid_lifetime(&self) -> Option<Duration> {
        None
    }
}
