use qcn_crypto::{Scheme, SigningKey};
use qcn_types::{Epoch, Member, ShardId, Weight};

use super::*;

fn committee() -> Committee {
    let members = (1..=4).map(|seed| Member {
        name: format!("v{seed}"),
        key: SigningKey::from_seed(Scheme::Falcon512, &[seed; 32]).unwrap().public_key().clone(),
        weight: Weight(1),
    });
    Committee::new(ShardId(0), Epoch(0), members.collect()).unwrap()
}

fn at(height: u64) -> Checkpoint {
    Checkpoint { height: Height(height), ..Checkpoint::default() }
}

fn attested(height: u64, digest: u8) -> Attestation {
    Attestation { height: Height(height), checkpoint: Digest([digest; 32]) }
}

/// A validator may sign any height. Adding to it would end every node that counts it.
#[test]
fn absurd_heights_are_not_counted() {
    let committee = committee();
    let mut checkpoints = Checkpoints::new(at(1_000));
    for height in [0, 1, 999_999, u64::MAX - WATCHED_HEIGHTS, u64::MAX - 1, u64::MAX] {
        for author in committee.indices() {
            let counted = checkpoints.count(author, attested(height, 1), &committee);
            assert_eq!(counted, Attested::Counted, "{height}");
        }
    }
    assert!(checkpoints.tallies.is_empty());
    let mut last = Checkpoints::new(at(u64::MAX));
    last.certify(Height(u64::MAX));
    last.count(ValidatorIndex(0), attested(u64::MAX, 1), &committee);
    assert_eq!(last.tallies.len(), 1);
}

#[test]
fn more_than_two_thirds_certify_and_nobody_counts_twice() {
    let committee = committee();
    let mut checkpoints = Checkpoints::new(at(0));
    let mut count =
        |author, digest| checkpoints.count(ValidatorIndex(author), attested(1, digest), &committee);
    for author in [0, 0, 1] {
        assert_eq!(count(author, 7), Attested::Counted);
    }
    assert_eq!(count(1, 8), Attested::Contradicts(Digest([7; 32])));
    assert_eq!(count(2, 7), Attested::Quorum(Height(1), Digest([7; 32])));
    assert_eq!(count(3, 7), Attested::Counted, "it is said once");
}
