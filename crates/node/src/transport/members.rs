//! Validators that come and go, and their keys, while a transport runs.
//!
//! **Invariants**
//! - whoever is named no more, or shows a key that is named no more, has no connection: its last
//!   one is closed, and its next one is refused in the handshake;
//! - who stays keeps its connection, its queues and its counters.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use qcn_crypto::{Scheme, SigningKey, VerifyingKey};
use qcn_types::ValidatorIndex;
use tokio::task::{AbortHandle, JoinSet};
use tracing::warn;

use super::dial::Dialler;
use super::peer::Peer;
use super::records::RecordKeys;
use super::shared::{Peers, lock};
use super::wire::CloseCode;
use super::{KnownValidator, Transport, TransportError};

impl Transport {
    /// From now on these are the validators, and nobody else. One that is named several times may
    /// show any of the keys, as one whose key is being replaced. Keys that cannot be used are left
    /// out, and of a key that two have the first one is the owner.
    pub fn set_validators(&self, validators: &[KnownValidator]) {
        let shared = &self.shared;
        let own_key = lock(&shared.key).public_key().clone();
        let mut owners = BTreeMap::from([(own_key.digest(), (shared.own, own_key))]);
        let mut record_keys = RecordKeys::new();
        let mut peers = Peers::new();
        let before = shared.peers();
        for known in validators {
            let Some(verifying) = usable(known) else { continue };
            let digest = known.key.digest();
            let (owner, _) = owners.entry(digest).or_insert((known.index, known.key.clone()));
            if *owner != known.index {
                warn!(validator = %known.index, %owner, "it has the transport key of another one");
                continue;
            }
            record_keys.entry(known.index).or_default().push(verifying);
            if known.index != shared.own {
                let peer = || Arc::new(Peer::new(known, &shared.limits, Instant::now()));
                let peer = before.get(&known.index).cloned().unwrap_or_else(peer);
                peers.entry(known.index).or_insert(peer);
            }
        }
        shared.keys.replace(owners.into_values());
        lock(&shared.records).replace_keys(record_keys);
        *lock(&shared.peers) = Arc::new(peers);
        shared.peers_changed.send_modify(|version| *version += 1);
        self.close_strangers(&before);
    }

    /// Shows another key from now on, which has to be among those of this validator.
    ///
    /// # Errors
    /// [`TransportError`], if the key cannot be used; then the old one stays.
    pub fn set_key(&self, key: SigningKey) -> Result<(), TransportError> {
        let known = KnownValidator {
            index: self.shared.own,
            name: String::new(),
            key: key.public_key().clone(),
            address: None,
        };
        check(&known)?;
        self.shared.handshakes.show(&key)?;
        *lock(&self.shared.key) = key;
        // The record that others have may be signed with a key that they will forget.
        self.shared.renew_own_record(0);
        Ok(())
    }

    /// Closes the connections of those who are validators no more, or not with that key.
    fn close_strangers(&self, before: &Peers) {
        let now = self.shared.peers();
        for (index, peer) in before {
            let Some(connection) = peer.connection() else { continue };
            let is_known = self.shared.keys.peer_of(&connection) == Some(*index);
            if !is_known || !now.contains_key(index) {
                CloseCode::NotAValidator.close(&connection);
            }
        }
    }
}

impl Dialler {
    /// Keeps a connection to every other validator, whoever they are at the time.
    pub(super) async fn keep_all(self) {
        let mut changes = self.shared.peers_changed.subscribe();
        let mut tasks = JoinSet::new();
        let mut kept: BTreeMap<ValidatorIndex, (Arc<Peer>, AbortHandle)> = BTreeMap::new();
        loop {
            let peers = self.shared.peers();
            kept.retain(|index, (peer, task)| {
                let stays = peers.get(index).is_some_and(|now| Arc::ptr_eq(now, peer));
                if !stays {
                    task.abort();
                }
                stays
            });
            for (index, peer) in peers.iter() {
                kept.entry(*index).or_insert_with(|| {
                    let keep = self.clone().keep(peer.clone());
                    (peer.clone(), tasks.spawn(self.shared.defects.clone().need("a dialler", keep)))
                });
            }
            tokio::select! {
                // The sender is the transport's own, so waiting for it does not fail.
                _ = changes.changed() => {}
                // Those that were ended are taken out.
                Some(_) = tasks.join_next() => {}
            }
        }
    }
}

/// The key of a validator for its records, if its links can be authenticated with it.
fn usable(known: &KnownValidator) -> Option<VerifyingKey> {
    check(known)
        .inspect_err(|error| warn!(%error, "there will be no link to validator {}", known.index))
        .ok()
}

fn check(known: &KnownValidator) -> Result<VerifyingKey, TransportError> {
    let (validator, scheme) = (known.index, known.key.scheme());
    if scheme != Scheme::MlDsa65 {
        return Err(TransportError::Scheme { validator, scheme });
    }
    VerifyingKey::decode(&known.key).map_err(|error| TransportError::Key { validator, error })
}
