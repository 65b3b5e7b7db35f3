//! A bounded number of places for connections, of which one address gets a share.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::addresses::{Tally, host_of};

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
    by_host: Tally<IpAddr>,
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
        let client = host_of(address);
        let mut taken = lock(&self.taken);
        if taken.in_all >= self.limit || taken.by_host.of(&client) >= self.share {
            return None;
        }
        taken.in_all += 1;
        taken.by_host.add(client);
        Some(Place { client, taken: Arc::clone(&self.taken) })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = lock(&self.taken);
        taken.in_all = taken.in_all.saturating_sub(1);
        taken.by_host.remove(&self.client);
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
        assert!(lock(&places.taken).by_host.is_empty());
        assert_eq!(lock(&places.taken).in_all, 0);
    }
}
