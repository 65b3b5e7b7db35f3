use qcn_crypto::{Digest, HashChain};
use qcn_types::{Payload, Report};

use crate::Ignored;
use crate::beacon::testing::{EPOCH_MS, World, chain};

fn reveal(number: u32, revealed: u32) -> Report {
    Report::Reveal(chain(number).reveal(revealed).unwrap())
}

/// Given a validator whose anchor is registered, when it reveals its chain value by value, then one
/// an epoch is taken, and each only after the one before.
#[test]
fn a_chain_is_revealed_value_by_value_one_an_epoch() {
    let mut world = World::new(4, 1);
    assert_eq!(world.report(1, reveal(1, 1)), Err(Ignored::WrongValue));
    assert_eq!(world.report(1, reveal(2, 0)), Err(Ignored::WrongValue));
    assert_eq!(world.report(1, reveal(1, 0)), Ok(()));
    assert_eq!(world.report(1, reveal(1, 1)), Err(Ignored::AlreadyRevealed));
    world.end_epoch();
    assert_eq!(world.report(1, reveal(1, 0)), Err(Ignored::WrongValue));
    assert_eq!(world.report(1, reveal(1, 1)), Ok(()));
    assert_eq!(Some(world.validator(1).identity.anchor), chain(1).reveal(1));
}

/// Who withholds its value chooses between two seeds, and gains nothing for the epoch after: the
/// value that it kept is the only one that it can reveal then.
#[test]
fn withholding_is_one_bit() {
    let seeds = |withholds: bool| {
        let mut world = World::new(4, 1);
        for number in 0..3 {
            world.report(number, reveal(number, 0)).unwrap();
        }
        if !withholds {
            world.report(3, reveal(3, 0)).unwrap();
        }
        let seed = world.end_epoch().seed;
        (seed, world)
    };
    let ((with, _), (without, mut world)) = (seeds(false), seeds(true));
    assert_ne!(with, without);
    assert_eq!(world.report(3, reveal(3, 1)), Err(Ignored::WrongValue));
    assert_eq!(world.report(3, reveal(3, 0)), Ok(()));
}

/// The order of reveals changes nothing, and a seed follows even if nobody reveals.
#[test]
fn the_seed_does_not_depend_on_the_order() {
    let seed = |order: &[u32]| {
        let mut world = World::new(4, 1);
        for number in order {
            world.report(*number, reveal(*number, 0)).unwrap();
        }
        world.end_epoch().seed
    };
    assert_eq!(seed(&[0, 1, 2, 3]), seed(&[3, 1, 0, 2]));
    let mut world = World::new(4, 1);
    let seeds = [world.plan().seed, world.end_epoch().seed, world.end_epoch().seed];
    assert!(seeds[0] != seeds[1] && seeds[1] != seeds[2]);
}

/// Given a validator that has revealed, when the next epoch ends without reveals, then the seed is
/// another one than if it had revealed the same in that epoch: entropy does not outlive its epoch.
#[test]
fn what_was_revealed_counts_once() {
    let mut revealed = World::new(4, 1);
    revealed.report(0, reveal(0, 0)).unwrap();
    let entropy = revealed.beacon().progress.entropy;
    assert_ne!(entropy, Digest::ZERO);
    revealed.end_epoch();
    assert_eq!(revealed.beacon().progress.entropy, Digest::ZERO);
}

/// A new chain takes over in the next epoch, so that nobody picks one to fit what others reveal.
#[test]
fn a_new_chain_begins_in_the_next_epoch() {
    let fresh = HashChain::new(&[200; 32], 8).unwrap();
    let mut world = World::new(4, 1);
    assert_eq!(world.report(2, Report::Anchor(fresh.anchor())), Ok(()));
    assert_eq!(world.report(2, Report::Anchor(fresh.anchor())), Err(Ignored::NothingNew));
    let first = Report::Reveal(fresh.reveal(0).unwrap());
    assert_eq!(world.report(2, first.clone()), Err(Ignored::WrongValue));
    assert_eq!(world.report(2, reveal(2, 0)), Ok(()));
    world.end_epoch();
    assert_eq!(world.report(2, reveal(2, 1)), Err(Ignored::WrongValue));
    assert_eq!(world.report(2, first), Ok(()));
}

/// An epoch lasts its length in committed time, from its first execution on.
#[test]
fn an_epoch_lasts_its_length() {
    let mut world = World::new(4, 1);
    world.execute(&[]);
    world.all_shards_report();
    world.time_ms += EPOCH_MS - 1;
    assert_eq!(world.execute(&[(0, Payload::default())]).closes, None);
    world.time_ms += 1;
    assert!(world.execute(&[(0, Payload::default())]).closes.is_some());
    assert_eq!(world.beacon().started_ms(), Some(world.time_ms));
}
