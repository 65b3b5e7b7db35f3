//! One other validator: its queues, its budgets, and which connection to it stands.
//!
//! **One connection per pair.** Of two validators the one with the lower index decides. The
//! higher one says on every new connection which run of its process it is and which connection it
//! lost last ([`Hello`](super::wire::Control::Hello)); the lower one welcomes the connection, or
//! closes it as a duplicate while another one stands that the higher one has neither lost nor
//! forgotten. The higher one uses the connection that was welcomed last. So two dials at once
//! leave one connection without flapping, and a restart or a loss that only one side noticed
//! does not have to wait for a timeout.

use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use qcn_types::ValidatorIndex;
use quinn::Connection;
use tokio::sync::{Notify, Semaphore, watch};

use super::budget::Budget;
use super::limits::{ClassLimits, Limits, MAX_UNCONFIRMED_PER_PEER};
use super::queue::Queue;
use super::wire::CloseCode;
use super::{Class, KnownValidator};

/// Another validator.
pub(super) struct Peer {
    pub(super) index: ValidatorIndex,
    pub(super) name: String,
    /// From the configuration.
    pub(super) configured_address: Option<String>,
    blocks: Lane,
    sync: Lane,
    /// What it may have waiting for the runtime.
    pub(super) waiting: Arc<Semaphore>,
    standing: Mutex<Standing>,
    /// Whether a connection stands.
    pub(super) connected: watch::Sender<bool>,
    /// There may be a reason to dial at once.
    pub(super) wake: Notify,
    /// Where it was seen last, if it does not say where it can be reached.
    pub(super) seen_at: Mutex<Option<String>>,
    /// What the name under which it was dialled last stands for.
    pub(super) resolved: Mutex<Vec<IpAddr>>,
    unconfirmed: AtomicUsize,
    pub(super) bytes_in: AtomicU64,
    pub(super) bytes_out: AtomicU64,
    pub(super) frames_dropped: AtomicU64,
    pub(super) refused: AtomicU64,
}

/// What belongs to one class of frames.
pub(super) struct Lane {
    pub(super) queue: Queue,
    /// What it may send per second: bytes, and frames.
    pub(super) budgets: Mutex<[Budget; 2]>,
}

impl Lane {
    fn new(limits: &ClassLimits, now: Instant) -> Self {
        let queue = Queue::new(limits.queue_frames, limits.queue_bytes);
        let rates = [limits.bytes_per_second, limits.frames_per_second];
        Self { queue, budgets: Mutex::new(rates.map(|rate| Budget::new(rate, now))) }
    }
}

/// The connection to use.
#[derive(Default)]
struct Standing {
    current: Option<Current>,
    /// Whether others were told that a connection stands.
    told: bool,
    /// The name of the one that was lost last; 0 for none.
    lost: u64,
    /// Those of the connections that were used before.
    packets: Packets,
}

/// Packets to a peer.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Packets {
    pub(super) sent: u64,
    /// Those that were sent and never acknowledged: most of them found no room where they arrived, or
    /// in between.
    pub(super) lost: u64,
}

impl Packets {
    fn and_of(self, connection: &Connection) -> Self {
        let path = connection.stats().path;
        Self { sent: self.sent + path.sent_packets, lost: self.lost + path.lost_packets }
    }
}

struct Current {
    id: u64,
    incarnation: u64,
    connection: Connection,
}

/// What the lower index decides about a new connection.
pub(super) enum Decision {
    /// It is the one to use.
    Use,
    /// Another one stands.
    Duplicate,
}

/// A place among the unconfirmed connections of a peer, given back when it is dropped.
pub(super) struct Unconfirmed<'a>(&'a AtomicUsize);

impl Drop for Unconfirmed<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Peer {
    pub(super) fn new(known: &KnownValidator, limits: &Limits, now: Instant) -> Self {
        Self {
            index: known.index,
            name: known.name.clone(),
            configured_address: known.address.clone(),
            blocks: Lane::new(&limits.blocks, now),
            sync: Lane::new(&limits.sync, now),
            waiting: Arc::new(Semaphore::new(limits.waiting_bytes_per_peer)),
            standing: Mutex::default(),
            connected: watch::Sender::new(false),
            wake: Notify::new(),
            seen_at: Mutex::default(),
            resolved: Mutex::default(),
            unconfirmed: AtomicUsize::new(0),
            bytes_in: AtomicU64::new(0),
            bytes_out: AtomicU64::new(0),
            frames_dropped: AtomicU64::new(0),
            refused: AtomicU64::new(0),
        }
    }

    pub(super) fn lane(&self, class: Class) -> &Lane {
        match class {
            Class::Blocks => &self.blocks,
            Class::Sync => &self.sync,
        }
    }

    pub(super) fn is_connected(&self) -> bool {
        *self.connected.borrow()
    }

    /// The connection that stands.
    pub(super) fn connection(&self) -> Option<Connection> {
        self.lock().current.as_ref().map(|current| current.connection.clone())
    }

    /// On all connections that were ever used.
    pub(super) fn packets(&self) -> Packets {
        let standing = self.lock();
        let current = standing.current.as_ref();
        current.map_or(standing.packets, |it| standing.packets.and_of(&it.connection))
    }

    /// The name of the connection that was lost last; 0 for none.
    pub(super) fn lost(&self) -> u64 {
        self.lock().lost
    }

    /// A place for a connection that is authenticated but not confirmed.
    pub(super) fn unconfirmed(&self) -> Option<Unconfirmed<'_>> {
        let place = Unconfirmed(&self.unconfirmed);
        let before = self.unconfirmed.fetch_add(1, Ordering::AcqRel);
        (before < MAX_UNCONFIRMED_PER_PEER).then_some(place)
    }

    /// For the lower index of the pair: whether to use a connection on which the peer said hello.
    pub(super) fn decide(
        &self,
        id: u64,
        incarnation: u64,
        lost: u64,
        connection: &Connection,
    ) -> Decision {
        let mut standing = self.lock();
        if let Some(current) = &standing.current {
            let peer_has_it = current.incarnation == incarnation && current.id != lost;
            if peer_has_it && current.connection.close_reason().is_none() {
                return Decision::Duplicate;
            }
        }
        standing.replace(id, incarnation, connection);
        Decision::Use
    }

    /// For the higher index of the pair: the peer welcomed a connection.
    pub(super) fn follow(&self, id: u64, connection: &Connection) {
        self.lock().replace(id, 0, connection);
    }

    /// A connection that was decided for is ready: `tell` others, unless another one has taken its
    /// place by now. They are told under the lock, so that they hear of ups and downs in order.
    pub(super) fn came_up(&self, id: u64, tell: impl Fn(bool)) -> bool {
        let mut standing = self.lock();
        if standing.current.as_ref().is_none_or(|current| current.id != id) {
            return false;
        }
        if standing.told {
            tell(false);
        }
        standing.told = true;
        tell(true);
        true
    }

    /// A connection ended: `tell` others if it was the one that stood. Whether they were told.
    pub(super) fn ended(&self, id: u64, tell: impl Fn(bool)) -> bool {
        let mut standing = self.lock();
        if standing.current.as_ref().is_none_or(|current| current.id != id) {
            return false;
        }
        if let Some(ended) = standing.current.take() {
            standing.packets = standing.packets.and_of(&ended.connection);
        }
        standing.lost = id;
        let told = std::mem::take(&mut standing.told);
        if told {
            tell(false);
        }
        told
    }

    // Whole values are replaced under the lock, so a panic elsewhere leaves no half of one.
    fn lock(&self) -> MutexGuard<'_, Standing> {
        self.standing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Standing {
    fn replace(&mut self, id: u64, incarnation: u64, connection: &Connection) {
        let connection = connection.clone();
        let before = self.current.replace(Current { id, incarnation, connection });
        if let Some(before) = &before {
            CloseCode::Replaced.close(&before.connection);
            self.lost = before.id;
            self.packets = self.packets.and_of(&before.connection);
        }
    }
}
