//! On which hosts the known validators are, as far as anybody said or was seen.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use super::peer::Peer;
use super::shared::{Shared, lock};
use crate::addresses::host_of;

/// How often they are looked up at most, for records may come and go.
const LOOKUP_INTERVAL: Duration = Duration::from_secs(1);

/// How many validators are at each address: by the genesis, by their signed records, by what the
/// names in these stand for, and by where they were seen.
#[derive(Default)]
pub(super) struct KnownHosts {
    validators: BTreeMap<IpAddr, usize>,
    looked_up: Option<Instant>,
}

impl KnownHosts {
    /// How many validators may be at an address. On the host of this one it may be all of them:
    /// before they have come up, nobody knows.
    pub(super) fn validators_at(
        &mut self,
        shared: &Shared,
        now: Instant,
        address: IpAddr,
    ) -> usize {
        let is_due = self
            .looked_up
            .is_none_or(|before| now.saturating_duration_since(before) >= LOOKUP_INTERVAL);
        if is_due {
            self.looked_up = Some(now);
            self.validators = look_up(shared);
        }
        self.validators.get(&host_of(address)).copied().unwrap_or_default()
    }
}

fn look_up(shared: &Shared) -> BTreeMap<IpAddr, usize> {
    let mut validators = BTreeMap::new();
    let peers = shared.peers();
    for peer in peers.values() {
        for host in hosts_of(shared, peer) {
            *validators.entry(host).or_default() += 1;
        }
    }
    if let Some(own) = shared.advertise.as_deref().and_then(host) {
        validators.insert(own, peers.len());
    }
    validators
}

fn hosts_of(shared: &Shared, peer: &Peer) -> BTreeSet<IpAddr> {
    let addresses = shared.addresses(peer);
    let resolved = lock(&peer.resolved);
    let resolved = resolved.iter().copied().map(host_of);
    addresses.iter().filter_map(|address| host(address)).chain(resolved).collect()
}

/// The address in `host:port`, if the host is no name.
fn host(address: &str) -> Option<IpAddr> {
    address.parse::<SocketAddr>().ok().map(|address| host_of(address.ip()))
}
