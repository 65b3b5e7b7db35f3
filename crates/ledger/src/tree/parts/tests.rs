//! Parts of trees against the trees that the same records make.

use std::collections::BTreeMap;

use proptest::prelude::*;
use qcn_crypto::Digest;
use qcn_light::state::{RecordKind, StateKey};
use qcn_types::{Address, Prefix};

use super::*;
use crate::tree::Update;

type Records = BTreeMap<StateKey, u8>;

fn tree(records: &Records) -> StateTree {
    let mut tree = StateTree::default();
    let updates: Vec<Update> =
        records.iter().map(|(key, value)| (*key, Some(Box::from([*value])))).collect();
    tree.apply(updates);
    tree
}

/// Keys that often agree in long stretches.
fn records() -> impl Strategy<Value = Records> {
    let edge = || prop::sample::select(vec![0x00, 0x01, 0x7f, 0x80, 0xc0, 0xff]);
    let key = (edge(), edge(), edge(), any::<bool>()).prop_map(|(first, fourth, last, bank)| {
        let mut id = [0; 32];
        (id[0], id[3], id[31]) = (first, fourth, last);
        let kind = if bank { RecordKind::Bank } else { RecordKind::Account };
        StateKey { id: Digest(id), kind }
    });
    prop::collection::btree_map(key, any::<u8>(), 0..40)
}

/// The prefix that one of some addresses has, of any length.
fn prefixes() -> impl Strategy<Value = Prefix> {
    prop::collection::vec(any::<bool>(), 0..=32).prop_map(|bits| {
        let half =
            |prefix: Prefix, upper: bool| prefix.halves().expect("short")[usize::from(upper)];
        bits.into_iter().fold(Prefix::EMPTY, half)
    })
}

/// Prefixes that have something to do with the keys.
fn likely_prefixes() -> impl Strategy<Value = Prefix> {
    let edge = prop::sample::select(vec![0x00, 0x7f, 0x80, 0xff]);
    (edge, 0..=32_usize).prop_map(|(first, length): (u8, usize)| {
        let bit = |at: usize| at < 8 && first >> (7 - at) & 1 == 1;
        let half =
            |prefix: Prefix, at: usize| prefix.halves().expect("short")[usize::from(bit(at))];
        (0..length).fold(Prefix::EMPTY, half)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn a_region_and_the_rest_are_the_trees_of_their_records(
        records in records(),
        prefix in prop_oneof![prefixes(), likely_prefixes()],
    ) {
        let whole = tree(&records);
        let region = StateRegion::of(prefix);
        let (inside, outside): (Records, Records) =
            records.into_iter().partition(|(key, _)| prefix.covers(&Address(key.id)));
        for (part, expected) in
            [(whole.within(&region), tree(&inside)), (whole.without(&region), tree(&outside))]
        {
            prop_assert_eq!(part.root(), expected.root());
            prop_assert_eq!(part.len(), expected.len());
            prop_assert!(part.iter().eq(expected.iter()));
        }
        let joined = whole.without(&region).union(whole.within(&region));
        prop_assert_eq!((joined.root(), joined.len()), (whole.root(), whole.len()));
    }

    #[test]
    fn a_union_is_the_tree_of_all_records(one in records(), other in records()) {
        let union = tree(&one).union(tree(&other));
        let mut all = one;
        all.extend(other);
        let mut expected = tree(&all);
        prop_assert_eq!((union.root(), union.len()), (expected.root(), expected.len()));
        prop_assert!(union.iter().eq(expected.iter()));
        // It goes on like any other tree.
        let mut union = union;
        let updates: Vec<Update> = all.keys().step_by(3).map(|key| (*key, None)).collect();
        union.apply(updates.clone());
        expected.apply(updates);
        prop_assert_eq!(union.root(), expected.root());
    }
}
