//! Sets against `BTreeSet`, and their one encoding.

use std::collections::BTreeSet;

use proptest::prelude::*;

use super::AuthorSet;
use crate::{MAX_MEMBERS, ValidatorIndex, decode, encode};

fn set(authors: &BTreeSet<u16>) -> AuthorSet {
    authors.iter().copied().map(ValidatorIndex).collect()
}

fn authors() -> impl Strategy<Value = BTreeSet<u16>> {
    prop::collection::btree_set(0..MAX_MEMBERS as u16, 0..60)
}

proptest! {
    /// A set behaves as the ordered set of its members.
    #[test]
    fn it_is_a_set(one in authors(), other in authors(), probe in 0_u16..600) {
        let (ours, theirs) = (set(&one), set(&other));
        let listed: Vec<u16> = ours.iter().map(|author| author.0).collect();
        prop_assert_eq!(listed, one.iter().copied().collect::<Vec<_>>());
        prop_assert_eq!(ours.len(), one.len());
        prop_assert_eq!(ours.is_empty(), one.is_empty());
        prop_assert_eq!(ours.contains(ValidatorIndex(probe)), one.contains(&probe));
        prop_assert_eq!(ours.union(&theirs), set(&(&one | &other)));
        prop_assert_eq!(ours.intersection(&theirs), set(&(&one & &other)));
        prop_assert_eq!(ours.difference(&theirs), set(&(&one - &other)));
    }

    /// As many bytes as the highest member needs, and back.
    #[test]
    fn it_encodes_briefly_and_back(one in authors()) {
        let bytes = encode(&set(&one));
        let needed = one.last().map_or(0, |highest| usize::from(*highest) / 8 + 1);
        prop_assert_eq!(bytes.len(), 1 + needed);
        prop_assert_eq!(decode::<AuthorSet>(&bytes), Ok(set(&one)));
    }

    /// Any bytes either are the one encoding of a set or are refused.
    #[test]
    fn it_has_one_encoding(bytes in prop::collection::vec(any::<u8>(), 0..70)) {
        if let Ok(decoded) = decode::<AuthorSet>(&bytes) {
            prop_assert_eq!(encode(&decoded), bytes);
        }
    }
}

#[test]
fn members_come_and_go() {
    let mut set = AuthorSet::EMPTY;
    let (first, last) = (ValidatorIndex(0), ValidatorIndex(511));
    assert!(set.insert(first) && !set.insert(first));
    assert!(set.insert(last) && set.contains(last));
    assert!(set.remove(first) && !set.remove(first));
    assert_eq!(set.len(), 1);
}

/// An index beyond the largest committee is in no set.
#[test]
fn indices_out_of_range_are_left_out() {
    let mut set = AuthorSet::EMPTY;
    for index in [512, 513, u16::MAX] {
        let author = ValidatorIndex(index);
        assert!(!set.insert(author) && !set.contains(author) && !set.remove(author));
    }
    assert!(set.is_empty());
}

#[test]
fn padded_long_and_short_encodings_are_refused() {
    let mut too_long = vec![65];
    too_long.extend([1; 65]);
    for bytes in [vec![1, 0], vec![2, 1, 0], vec![2, 1], vec![], vec![0, 0], too_long] {
        assert!(decode::<AuthorSet>(&bytes).is_err(), "{bytes:?}");
    }
    assert_eq!(decode(&[0]), Ok(AuthorSet::EMPTY));
    assert_eq!(decode(&[1, 1]), Ok(AuthorSet::from_iter([ValidatorIndex(0)])));
}
