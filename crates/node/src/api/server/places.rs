//! A bounded number of places for connections, of which one address or client gets a share.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::addresses::{Tally, host_of};
use crate::transport::ClientKey;

/// Who a connection belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Holder {
    /// Whoever is at an address.
    Host(IpAddr),
    /// The holder of a key, wherever it is.
    Client(ClientKey),
}

impl Holder {
    /// Who is at an address.
    pub fn at(address: IpAddr) -> Self {
        Self::Host(host_of(address))
    }
}

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
    by_holder: Tally<Holder>,
}

/// A place, which is free again when this is dropped.
pub struct Place {
    holder: Holder,
    taken: Arc<Mutex<Taken>>,
}

impl Places {
    /// So many places, and the most that one holder may have of them.
    pub fn new(limit: usize, share: usize) -> Self {
        Self { limit, share, taken: Arc::default() }
    }

    /// A place, unless all are taken or all that this holder may have.
    pub fn take(&self, holder: Holder) -> Option<Place> {
        let mut taken = lock(&self.taken);
        if taken.in_all >= self.limit || taken.by_holder.of(&holder) >= self.share {
            return None;
        }
        taken.in_all += 1;
        taken.by_holder.add(holder);
        Some(Place { holder, taken: Arc::clone(&self.taken) })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = lock(&self.taken);
        taken.in_all = taken.in_all.saturating_sub(1);
        taken.by_holder.remove(&self.holder);
    }
}

fn lock(taken: &Mutex<Taken>) -> MutexGuard<'_, Taken> {
    // Nothing that holds the lock panics halfway through a change.
    taken.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::str::FromStr as _;

    use super::*;

    #[test]
    fn places_are_bounded_in_all_and_by_address_and_come_free() {
        let places = Places::new(3, 2);
        let take = |address: &str| places.take(Holder::at(address.parse().unwrap()));
        let first = take("192.0.2.1").unwrap();
        let second = take("192.0.2.1").unwrap();
        assert!(take("192.0.2.1").is_none(), "it has its share");
        let third = take("192.0.2.2").unwrap();
        assert!(take("192.0.2.3").is_none(), "all are taken");
        let client = Holder::Client(ClientKey::from_str(&"a".repeat(64)).unwrap());
        assert!(places.take(client).is_none(), "clients have no others");
        drop(first);
        let again = take("192.0.2.1").unwrap();
        drop((second, third, again));
        let of_client = [places.take(client), places.take(client)];
        assert!(of_client.iter().all(Option::is_some) && places.take(client).is_none());
        drop(of_client);
        assert!(lock(&places.taken).by_holder.is_empty());
        assert_eq!(lock(&places.taken).in_all, 0);
    }
}
