//! A bounded number of places for connections, of which one address gets a share.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Places of one kind. Clones are the same places.
#[derive(Clone)]
pub struct Places {
    limit: usize,
    share: usize,
    taken: Arc<Mutex<Taken>>,
}

#[derive(Default)]
struct Taken {
    in_all: usize,
    /// Without those that have none, so there are at most as many as places.
    by_address: HashMap<IpAddr, usize>,
}

/// A place, which is free again when this is dropped.
pub struct Place {
    client: IpAddr,
    taken: Arc<Mutex<Taken>>,
}

impl Places {
    /// So many places, and the most that one address may have of them.
    pub fn new(limit: usize, share: usize) -> Self {
        Self { limit, share, taken: Arc::default() }
    }

    /// A place, unless all are taken or all that this address may have.
    pub fn take(&self, address: IpAddr) -> Option<Place> {
        let client = client_of(address);
        let mut taken = lock(&self.taken);
        if taken.in_all >= self.limit {
            return None;
        }
        let own = taken.by_address.get(&client).copied().unwrap_or_default();
        if own >= self.share {
            return None;
        }
        taken.in_all += 1;
        taken.by_address.insert(client, own + 1);
        Some(Place { client, taken: Arc::clone(&self.taken) })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = lock(&self.taken);
        taken.in_all = taken.in_all.saturating_sub(1);
        let left = taken.by_address.get(&self.client).map_or(0, |own| own.saturating_sub(1));
        if left == 0 {
            taken.by_address.remove(&self.client);
        } else {
            taken.by_address.insert(self.client, left);
        }
    }
}

/// What counts as one client: an IPv4 address, or the 64 bits of an IPv6 address that tell
/// networks apart, since whoever has one of its addresses has all of them.
fn client_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => {
            let network = u128::from(address) & (u128::MAX << 64);
            IpAddr::V6(Ipv6Addr::from(network))
        }
    }
}

fn lock(taken: &Mutex<Taken>) -> MutexGuard<'_, Taken> {
    // Nothing that holds the lock panics halfway through a change.
    taken.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_bounded_in_all_and_by_address_and_come_free() {
        let places = Places::new(3, 2);
        let take = |address: &str| places.take(address.parse().unwrap());
        let first = take("192.0.2.1").unwrap();
        let second = take("192.0.2.1").unwrap();
        assert!(take("192.0.2.1").is_none(), "it has its share");
        let third = take("192.0.2.2").unwrap();
        assert!(take("192.0.2.3").is_none(), "all are taken");
        drop(first);
        let again = take("192.0.2.1").unwrap();
        drop((second, third, again));
        assert!(lock(&places.taken).by_address.is_empty());
        assert_eq!(lock(&places.taken).in_all, 0);
    }

    #[test]
    fn a_network_of_ipv6_is_one_client() {
        let client = |address: &str| client_of(address.parse().unwrap());
        assert_eq!(client("2001:db8::1"), client("2001:db8::ffff:1"));
        assert_ne!(client("2001:db8::1"), client("2001:db8:0:1::1"));
        assert_eq!(client("::ffff:192.0.2.1"), client("192.0.2.1"));
        assert_ne!(client("192.0.2.1"), client("192.0.2.2"));
    }
}
