//! From epoch to epoch.

use super::*;

/// Committees are drawn anew twice while transfers cross: everybody opens, and all arrive.
#[test]
fn committees_change_and_transfers_go_on() {
    let builder = calm(21, 3)
        .epoch_ends(Time(seconds(3)), Vec::new())
        .epoch_ends(Time(seconds(6)), Vec::new());
    let network = run(builder, 24);
    assert_eq!(network.places.len(), 9);
    let moved = network.places.iter().filter(|place| place.epoch.0 == 2);
    let first = network.places.iter().filter(|place| place.epoch.0 == 0);
    assert!(moved.zip(first).any(|(now, then)| now.validators != then.validators));
    assert!(all_arrived(&network) > 150);
}
