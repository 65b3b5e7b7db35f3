//! What counts as one host, and how much of something each has.

use std::collections::BTreeMap;
use std::net::IpAddr;

/// What counts as one host: an IPv4 address, or the network of an IPv6 address, since whoever has
/// one address in it has all of them.
pub fn host_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => {
            let network = u128::from(address) & !u128::from(u64::MAX);
            IpAddr::V6(network.into())
        }
        v4 => v4,
    }
}

/// How many of something each holder has. Only those who have any take room.
pub struct Tally<K>(BTreeMap<K, usize>);

impl<K> Default for Tally<K> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<K: Ord> Tally<K> {
    pub fn of(&self, holder: &K) -> usize {
        self.0.get(holder).copied().unwrap_or_default()
    }

    pub fn add(&mut self, holder: K) {
        *self.0.entry(holder).or_default() += 1;
    }

    pub fn remove(&mut self, holder: &K) {
        if let Some(count) = self.0.get_mut(holder) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.0.remove(holder);
            }
        }
    }

    #[cfg(test)]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_of_ipv6_is_one_host() {
        let host = |address: &str| host_of(address.parse().unwrap());
        assert_eq!(host("2001:db8::1"), host("2001:db8::ffff:1"));
        assert_ne!(host("2001:db8::1"), host("2001:db8:0:1::1"));
        assert_eq!(host("::ffff:192.0.2.1"), host("192.0.2.1"));
        assert_ne!(host("192.0.2.1"), host("192.0.2.2"));
    }

    #[test]
    fn who_has_nothing_left_takes_no_room() {
        let mut tally = Tally::default();
        for holder in ['a', 'a', 'b'] {
            tally.add(holder);
        }
        tally.remove(&'a');
        assert_eq!((tally.of(&'a'), tally.of(&'b'), tally.of(&'c')), (1, 1, 0));
        for holder in ['a', 'b', 'c'] {
            tally.remove(&holder);
        }
        assert!(tally.is_empty());
    }
}
