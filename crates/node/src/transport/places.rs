//! Places for handshakes that are under way: so many for all, and so many for each address.
//!
//! **Invariants**
//! - whoever has not shown that its address is its own is never refused, but asked to show it: so
//!   nobody keeps an address out by writing it on datagrams;
//! - of one proven address at most [`Limits::handshakes_at_once_per_address`] are under way, and
//!   two more for each validator that is known to be there: one host cannot hold all places;
//! - a third of the places is for proven addresses of known validators: many hosts cannot either.

use std::net::IpAddr;
use std::sync::{Arc, Mutex};

use super::counters::Count;
use super::limits::Limits;
use super::shared::lock;
use crate::addresses::{Tally, host_of};

/// Handshakes that one honest validator may have under way with another at once: that of the task
/// that keeps the connection, and that of a seed.
const PER_KNOWN_VALIDATOR: usize = 2;

/// All places.
pub(super) struct Places {
    all: usize,
    /// How many of them only known validators get.
    kept_for_known: usize,
    per_address: usize,
    taken: Arc<Mutex<Taken>>,
}

/// Whose a place is. Its size is bounded by the number of places.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Holder {
    address: IpAddr,
    is_proven: bool,
    is_known: bool,
}

#[derive(Default)]
struct Taken {
    all: usize,
    /// By others than known validators.
    by_strangers: usize,
    of_address: Tally<(IpAddr, bool)>,
}

/// A place, given back when it is dropped.
pub(super) struct Place {
    holder: Holder,
    taken: Arc<Mutex<Taken>>,
}

impl Places {
    pub(super) fn new(limits: &Limits) -> Self {
        Self {
            all: limits.handshakes,
            kept_for_known: limits.handshakes / 3,
            per_address: limits.handshakes_at_once_per_address,
            taken: Arc::default(),
        }
    }

    /// A place for an address that anybody may have written; without one it has to be proven.
    pub(super) fn try_unproven(&self, address: IpAddr) -> Option<Place> {
        let holder = Holder { address: host_of(address), is_proven: false, is_known: false };
        let mut taken = lock(&self.taken);
        let few_left = taken.all >= self.all.div_ceil(2);
        if few_left || taken.of(holder) >= self.per_address {
            return None;
        }
        Some(self.take(&mut taken, holder))
    }

    /// A place for an address that its sender has proven, and where so many validators are known
    /// to be.
    ///
    /// # Errors
    /// Under which name to count the refusal.
    pub(super) fn try_proven(
        &self,
        address: IpAddr,
        known_validators: usize,
    ) -> Result<Place, Count> {
        let is_known = known_validators > 0;
        let holder = Holder { address: host_of(address), is_proven: true, is_known };
        let mut taken = lock(&self.taken);
        let of_address_max =
            self.per_address.saturating_add(PER_KNOWN_VALIDATOR.saturating_mul(known_validators));
        if taken.of(holder) >= of_address_max {
            return Err(Count::TooManyAtOnceOfAddress);
        }
        let for_strangers = self.all - self.kept_for_known;
        let is_full = taken.all >= self.all;
        if is_full || !is_known && taken.by_strangers >= for_strangers {
            return Err(Count::TooManyHandshakes);
        }
        Ok(self.take(&mut taken, holder))
    }

    fn take(&self, taken: &mut Taken, holder: Holder) -> Place {
        taken.all += 1;
        taken.by_strangers += usize::from(!holder.is_known);
        taken.of_address.add((holder.address, holder.is_proven));
        Place { holder, taken: self.taken.clone() }
    }
}

impl Taken {
    fn of(&self, holder: Holder) -> usize {
        self.of_address.of(&(holder.address, holder.is_proven))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = lock(&self.taken);
        taken.all -= 1;
        taken.by_strangers -= usize::from(!self.holder.is_known);
        taken.of_address.remove(&(self.holder.address, self.holder.is_proven));
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    fn places(handshakes: usize) -> Places {
        Places::new(&Limits { handshakes, handshakes_at_once_per_address: 4, ..Limits::default() })
    }

    fn host(last: u8) -> IpAddr {
        Ipv4Addr::new(10, 0, 0, last).into()
    }

    /// As many as it gets.
    fn take_all(mut one: impl FnMut() -> Option<Place>) -> Vec<Place> {
        std::iter::from_fn(&mut one).take(1_000).collect()
    }

    #[test]
    fn one_host_holds_a_few_places_and_gets_them_again() {
        let places = places(64);
        let unproven = take_all(|| places.try_unproven(host(1)));
        let proven = take_all(|| places.try_proven(host(1), 0).ok());
        assert_eq!((unproven.len(), proven.len()), (4, 4));
        assert_eq!(places.try_proven(host(1), 0).err(), Some(Count::TooManyAtOnceOfAddress));
        assert!(places.try_proven(host(2), 0).is_ok(), "another host is not affected");

        drop((unproven, proven));
        assert_eq!(take_all(|| places.try_proven(host(1), 0).ok()).len(), 4);
        let taken = lock(&places.taken);
        assert_eq!((taken.all, taken.by_strangers), (0, 0));
        assert!(taken.of_address.is_empty());
    }

    /// Given many hosts that take what they get; then known validators still find places.
    #[test]
    fn a_third_is_kept_for_known_validators() {
        let places = places(60);
        let mut strangers = Vec::new();
        for last in 0..=255 {
            strangers.extend(take_all(|| places.try_unproven(host(last))));
            strangers.extend(take_all(|| places.try_proven(host(last), 0).ok()));
        }
        assert_eq!(strangers.len(), 40);
        let known: IpAddr = Ipv4Addr::new(10, 1, 0, 1).into();
        assert_eq!(places.try_proven(known, 0).err(), Some(Count::TooManyHandshakes));
        // A host of sixteen validators, each with two handshakes at once.
        let validators = take_all(|| places.try_proven(known, 16).ok());
        assert_eq!(validators.len(), 20);
        assert_eq!(places.try_proven(known, 16).err(), Some(Count::TooManyHandshakes));
    }

    /// Whoever writes a validator's address on datagrams takes none of that validator's places.
    #[test]
    fn a_forged_address_keeps_its_owner_out_of_nothing() {
        let places = places(64);
        let forged = take_all(|| places.try_unproven(host(1)));
        assert_eq!(forged.len(), 4);
        assert_eq!(take_all(|| places.try_proven(host(1), 1).ok()).len(), 6);
    }

    #[test]
    fn half_of_the_places_need_a_proof() {
        let places = places(9);
        let mut unproven = Vec::new();
        for last in 0..=255 {
            unproven.extend(take_all(|| places.try_unproven(host(last))));
        }
        assert_eq!(unproven.len(), 5);
    }
}
