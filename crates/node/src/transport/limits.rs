//! The bounds of the transport, by name. The defaults fit validators of a few cores.

use std::time::Duration;

use qcn_types::MAX_FRAME_BYTES;

use super::Class;

/// The most validators that a transport serves; the bound of a committee.
pub const MAX_VALIDATORS: usize = qcn_types::MAX_MEMBERS;

/// The most seeds that are tried.
pub const MAX_SEEDS: usize = 64;

/// How many ups and downs a subscriber may lag behind before it misses some.
pub const MAX_CONNECTION_LAG: usize = 1_024;

/// What a frame costs at least of what a peer may have waiting for the runtime, in bytes: so a
/// bound of bytes bounds the number of small frames as well.
pub(super) const MIN_WAITING_BYTES: usize = 64 * 1024;

/// The most that a peer may have waiting for the runtime, in bytes, whatever the configuration.
const MAX_WAITING_BYTES: usize = 1 << 30;

/// What all peers of a committee may have queued to be sent and waiting for the runtime, in bytes.
pub const MAX_QUEUED_BYTES: usize = 2 << 30;

/// What one peer has at least in each of its queues, in bytes: an answer fits with others beside it.
pub const MIN_QUEUE_BYTES: usize = 2 * 1024 * 1024;

/// The most handshakes at once, whatever the configuration.
const MAX_HANDSHAKES: usize = 1 << 16;

/// What a client's connection may hold in flow control, in bytes: a whole batch of transactions
/// need not fit, since the API reads on.
pub(super) const CLIENT_WINDOW_BYTES: u32 = 2 * 1024 * 1024;

/// Streams of clients that wait for the API to take them; beyond it reading pauses.
pub const MAX_WAITING_STREAMS: usize = 64;

/// The most keys of clients that may be allowed.
pub const MAX_CLIENTS: usize = 1_024;

/// What a connection may hold in flow control, in bytes: more than the bandwidth times the round
/// trip of a fast link across an ocean.
pub(super) const CONNECTION_WINDOW_BYTES: u32 = 16 * 1024 * 1024;

/// What may be on the way unacknowledged from the start, in bytes. Who sends seldom more than a
/// window never gets a larger one, and the usual ten packets would let every block above 14 kB wait
/// for a round trip. Loss makes it smaller as ever.
pub(super) const INITIAL_WINDOW_BYTES: u64 = 2 * 1024 * 1024;

/// What one stream of it may hold, in bytes.
pub(super) const STREAM_WINDOW_BYTES: u32 = 8 * 1024 * 1024;

/// A frame in transfer makes at least this progress, in bytes per second, or its sender is slow
/// on purpose.
pub(super) const MIN_FRAME_BYTES_PER_SECOND: usize = 64 * 1024;

/// Control messages that a peer may send per second; beyond it reading pauses.
pub(super) const MAX_CONTROL_PER_SECOND: u64 = 20;

/// Attempts to connect that wait for a decision about them at once; beyond it they are refused.
pub(super) const MAX_PENDING_INCOMING: usize = 256;

/// Connections of one authenticated peer that are not confirmed yet.
pub(super) const MAX_UNCONFIRMED_PER_PEER: usize = 4;

/// Addresses whose rate of handshakes is watched at once.
pub(super) const MAX_WATCHED_ADDRESSES: usize = 4_096;

/// What of one class is allowed.
#[derive(Clone, Debug)]
pub struct ClassLimits {
    /// The largest frame, in bytes.
    pub frame_bytes: usize,
    /// Frames that wait to be sent to one peer; beyond it the oldest is dropped.
    pub queue_frames: usize,
    /// Bytes that wait to be sent to one peer; beyond it the oldest frame is dropped.
    pub queue_bytes: usize,
    /// What one peer may send per second, in bytes; beyond it reading pauses.
    pub bytes_per_second: u64,
    /// What one peer may send per second, in frames; beyond it reading pauses.
    pub frames_per_second: u64,
}

/// The bounds of a transport.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Frames of [`Class::Blocks`].
    pub blocks: ClassLimits,
    /// Frames of [`Class::Sync`].
    pub sync: ClassLimits,
    /// What one peer may have waiting for the runtime, in bytes; beyond it reading pauses.
    pub waiting_bytes_per_peer: usize,
    /// How long the TLS handshake may take, and after it the confirmation.
    pub handshake_timeout: Duration,
    /// How long a frame may take to arrive once it has begun, besides the time that its length
    /// allows.
    pub frame_timeout: Duration,
    /// How long a connection stands without a sign of life.
    pub idle_timeout: Duration,
    /// How often a sign of life is sent when there is nothing to say.
    pub keep_alive: Duration,
    /// The shortest wait before a failed address is dialled again.
    pub redial_min: Duration,
    /// The longest.
    pub redial_max: Duration,
    /// How often two peers compare the records they know, besides on connecting and on changes.
    pub compare_records: Duration,
    /// Incoming handshakes that are under way at once.
    pub handshakes: usize,
    /// Incoming handshakes that begin per second, whoever asks.
    pub handshakes_per_second: u64,
    /// Handshakes per second whose sender has not shown that its address is its own; beyond it,
    /// it has to.
    pub unproven_per_second: u64,
    /// Handshakes per second of one address that has been shown to be its sender's.
    pub handshakes_per_address: u64,
    /// Incoming handshakes of one such address that are under way at once; two more for each
    /// validator that is known to be there.
    pub handshakes_at_once_per_address: usize,
    /// Connections of allowed clients that stand at once.
    pub client_connections: usize,
    /// Connections of one client's key that stand at once.
    pub connections_per_client: usize,
    /// Streams that a client may have open at once on one connection.
    pub streams_per_connection: u32,
}

impl Limits {
    /// The default for a committee of so many validators: what the peers may have queued and
    /// waiting is [`MAX_QUEUED_BYTES`] for all of them together, as far as each then has
    /// [`MIN_QUEUE_BYTES`] in each queue; so it is up to 3 GiB for the largest committee. The
    /// newest frame of a queue stays whatever its size, and a frame that all are sent is in memory
    /// once.
    #[must_use]
    pub fn for_committee(validators: usize) -> Self {
        let mut limits = Self::default();
        let peers = validators.saturating_sub(1).max(1);
        let of_one = limits.queued_bytes_per_peer();
        let share = (MAX_QUEUED_BYTES / peers).min(of_one);
        let queues = [
            &mut limits.blocks.queue_bytes,
            &mut limits.sync.queue_bytes,
            &mut limits.waiting_bytes_per_peer,
        ];
        for queue_bytes in queues {
            // A part of the share as large as the queue's part of the default.
            let part = *queue_bytes as u128 * share as u128 / of_one as u128;
            *queue_bytes = usize::try_from(part).unwrap_or(*queue_bytes).max(MIN_QUEUE_BYTES);
        }
        limits
    }

    /// What one peer may have in all queues together, in bytes.
    const fn queued_bytes_per_peer(&self) -> usize {
        self.blocks
            .queue_bytes
            .saturating_add(self.sync.queue_bytes)
            .saturating_add(self.waiting_bytes_per_peer)
    }

    /// The same, with what nothing could work with put right.
    pub(super) fn sane(mut self) -> Self {
        for class in [&mut self.blocks, &mut self.sync] {
            class.frame_bytes = class.frame_bytes.min(MAX_FRAME_BYTES);
        }
        self.waiting_bytes_per_peer =
            self.waiting_bytes_per_peer.clamp(MIN_WAITING_BYTES, MAX_WAITING_BYTES);
        self.handshakes = self.handshakes.clamp(1, MAX_HANDSHAKES);
        self.handshakes_at_once_per_address = self.handshakes_at_once_per_address.max(1);
        self.compare_records = self.compare_records.max(Duration::from_secs(1));
        self
    }

    /// The limits of a class.
    #[must_use]
    pub fn class(&self, class: Class) -> &ClassLimits {
        match class {
            Class::Blocks => &self.blocks,
            Class::Sync => &self.sync,
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            blocks: ClassLimits {
                frame_bytes: MAX_FRAME_BYTES,
                queue_frames: 4_096,
                queue_bytes: 32 * 1024 * 1024,
                bytes_per_second: 64 * 1024 * 1024,
                frames_per_second: 20_000,
            },
            sync: ClassLimits {
                frame_bytes: MAX_FRAME_BYTES,
                queue_frames: 1_024,
                queue_bytes: 64 * 1024 * 1024,
                bytes_per_second: 128 * 1024 * 1024,
                frames_per_second: 10_000,
            },
            waiting_bytes_per_peer: 32 * 1024 * 1024,
            handshake_timeout: Duration::from_secs(5),
            frame_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(10),
            keep_alive: Duration::from_secs(3),
            redial_min: Duration::from_millis(100),
            redial_max: Duration::from_secs(3),
            compare_records: Duration::from_secs(30),
            handshakes: 64,
            handshakes_per_second: 200,
            unproven_per_second: 100,
            handshakes_per_address: 50,
            handshakes_at_once_per_address: 4,
            client_connections: 64,
            connections_per_client: 4,
            streams_per_connection: 64,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A small committee has the default; a large one shares the total, and nobody gets nothing.
    #[test]
    fn queues_share_a_total() {
        let default = Limits::default();
        for validators in [0, 1, 2, 4, 16] {
            let limits = Limits::for_committee(validators);
            assert_eq!(limits.queued_bytes_per_peer(), default.queued_bytes_per_peer());
        }
        for validators in 17..=MAX_VALIDATORS {
            let limits = Limits::for_committee(validators);
            let all = limits.queued_bytes_per_peer() * (validators - 1);
            let most = if validators <= 257 { MAX_QUEUED_BYTES } else { 3 << 30 };
            assert!(all <= most, "{validators} validators: {all} bytes");
            let queues =
                [limits.blocks.queue_bytes, limits.sync.queue_bytes, limits.waiting_bytes_per_peer];
            assert!(queues.iter().all(|bytes| *bytes >= MIN_QUEUE_BYTES), "{validators}");
        }
    }
}
