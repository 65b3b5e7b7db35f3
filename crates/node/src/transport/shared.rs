//! What all tasks of a transport share.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use qcn_crypto::{ChainId, SeededRandomness, SigningKey};
use qcn_types::ValidatorIndex;
use tokio::sync::{broadcast, mpsc, watch};
use tracing::warn;

use super::Received;
use super::backoff::Backoff;
use super::clients::Clients;
use super::counters::{Count, Counting};
use super::limits::Limits;
use super::peer::Peer;
use super::records::{Offered, PeerRecord, RecordStore};
use super::tls::{Handshakes, KeySet};
use crate::defects::Defects;

/// The other validators.
pub(super) type Peers = BTreeMap<ValidatorIndex, Arc<Peer>>;

/// One transport, as its tasks see it. It owns no task: so tasks may own it.
pub(super) struct Shared {
    pub(super) chain: ChainId,
    pub(super) own: ValidatorIndex,
    /// The own transport key, which may be replaced.
    pub(super) key: Mutex<SigningKey>,
    pub(super) limits: Limits,
    /// Those of the node.
    pub(super) defects: Defects,
    /// Names this run of the process towards its peers.
    pub(super) incarnation: u64,
    /// Where others are told to reach this validator.
    pub(super) advertise: Option<String>,
    /// All other validators. The map is replaced as a whole.
    pub(super) peers: Mutex<Arc<Peers>>,
    /// Changes whenever the map was replaced.
    pub(super) peers_changed: watch::Sender<u64>,
    pub(super) keys: Arc<KeySet>,
    pub(super) clients: Clients,
    pub(super) handshakes: Handshakes,
    pub(super) counting: Arc<Counting>,
    /// Only running tasks keep the receiver of the frames open.
    pub(super) received: mpsc::WeakSender<Received>,
    pub(super) ups_and_downs: broadcast::Sender<(ValidatorIndex, bool)>,
    /// Changes whenever a record was kept.
    pub(super) records_changed: watch::Sender<u64>,
    pub(super) records: Mutex<RecordStore>,
    pub(super) randomness: Mutex<SeededRandomness>,
}

impl Shared {
    /// All other validators.
    pub(super) fn peers(&self) -> Arc<Peers> {
        lock(&self.peers).clone()
    }

    /// Another validator.
    pub(super) fn peer(&self, index: ValidatorIndex) -> Option<Arc<Peer>> {
        lock(&self.peers).get(&index).cloned()
    }

    /// Whether a connection is one of a validator that is known, with a key that is.
    pub(super) fn is_current(&self, peer: &Arc<Peer>, connection: &quinn::Connection) -> bool {
        let same = self.peer(peer.index).is_some_and(|now| Arc::ptr_eq(&now, peer));
        same && self.keys.peer_of(connection) == Some(peer.index)
    }

    /// A number that nobody can guess, and never 0.
    pub(super) fn random_name(&self) -> u64 {
        lock(&self.randomness).next_u64().max(1)
    }

    /// Waits of its own for one dialling task.
    pub(super) fn backoff(&self) -> Backoff {
        let mut seed = [0; 32];
        lock(&self.randomness).fill(&mut seed);
        let randomness = SeededRandomness::from_seed(&seed);
        Backoff::new(self.limits.redial_min, self.limits.redial_max, randomness)
    }

    /// The own record, if others are told where this validator is.
    pub(super) fn own_record(&self) -> Option<PeerRecord> {
        lock(&self.records).get(self.own).cloned()
    }

    /// Signs a record of the own address that replaces all up to `above`.
    pub(super) fn renew_own_record(&self, above: u64) {
        let Some(address) = &self.advertise else { return };
        let sequence = unix_ms().max(above.saturating_add(1));
        let key = lock(&self.key).clone();
        match PeerRecord::sign(self.chain, &key, self.own, sequence, address) {
            Ok(record) => {
                lock(&self.records).insert(Instant::now(), record);
                self.records_changed.send_modify(|version| *version += 1);
            }
            Err(error) => warn!(%error, "the own peer record could not be signed"),
        }
    }

    /// Takes in a record that a peer handed on, and says whether it may be genuine. One that no known
    /// key has signed need not be the peer's fault: its validator may have another key by now, or
    /// this one has.
    pub(super) fn learn(&self, record: PeerRecord) -> bool {
        if record.validator == self.own { self.outdo(&record) } else { self.keep(record) }
    }

    /// Replaces an own record that an earlier run left behind: with another address, by a clock
    /// that was ahead.
    fn outdo(&self, record: &PeerRecord) -> bool {
        let known = self.own_record().map(|known| known.sequence);
        if known.is_some_and(|known| record.sequence > known) {
            let genuine = lock(&self.records).is_genuine(record);
            if !genuine {
                self.counting.one(Count::RecordRefused);
                return false;
            }
            self.renew_own_record(record.sequence);
        }
        true
    }

    fn keep(&self, record: PeerRecord) -> bool {
        let validator = record.validator;
        let offered = lock(&self.records).offer(Instant::now(), record);
        match offered {
            Offered::Kept => {
                self.counting.one(Count::RecordAccepted);
                self.records_changed.send_modify(|version| *version += 1);
                if let Some(peer) = self.peer(validator) {
                    peer.wake.notify_one();
                }
            }
            Offered::Old => {}
            Offered::TooSoon | Offered::Unknown | Offered::Forged => {
                self.counting.one(Count::RecordRefused);
            }
        }
        offered != Offered::Forged
    }

    /// Where a peer may be reached, the likeliest first.
    pub(super) fn addresses(&self, peer: &Peer) -> Vec<String> {
        let recorded =
            lock(&self.records).get(peer.index).and_then(|record| record.address().map(Into::into));
        let seen = lock(&peer.seen_at).clone();
        let mut addresses: Vec<String> = Vec::new();
        for address in [recorded, peer.configured_address.clone(), seen].into_iter().flatten() {
            if !addresses.contains(&address) {
                addresses.push(address);
            }
        }
        addresses
    }

    /// Whether all others are connected.
    pub(super) fn is_complete(&self) -> bool {
        self.peers().values().all(|peer| peer.is_connected())
    }

    /// Whether a validator is neither connected nor known by an address.
    pub(super) fn lacks_addresses(&self) -> bool {
        self.peers().values().any(|peer| !peer.is_connected() && self.addresses(peer).is_empty())
    }

    /// A connection came up, or went down.
    pub(super) fn announce(&self, peer: &Peer, up: bool) {
        if !up {
            self.counting.one(Count::Down);
        }
        peer.connected.send_replace(up);
        // Without subscribers there is nobody to tell.
        let _ = self.ups_and_downs.send((peer.index, up));
    }
}

/// Locks what is replaced as a whole, so that a panic elsewhere leaves no half of it.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn unix_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
