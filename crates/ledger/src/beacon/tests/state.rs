use qcn_crypto::PublicKey;
use qcn_light::state::{MAX_VALUE_BYTES, RecordKind};
use qcn_light::{ProofError, Standing, verify_validator_proof};
use qcn_types::{BEACON, Bounded, Epoch, Payload, Report, Resharding, ShardId, Weight};

use crate::beacon::testing::{
    World, certified, chain, consensus_key, offence, registration, rotation,
};
use crate::beacon::{Beacon, changes, read};
use crate::ledger::AuditError;
use crate::testing::{CHAIN, address, transfer};
use crate::tree::StateTree;
use crate::{Ledger, Outcome, Refusal, Restore, Territory};

/// A beacon with something in every kind of record.
fn used_world() -> World {
    let mut world = World::new(6, 2);
    world.report(1, Report::Reveal(chain(1).reveal(0).unwrap())).unwrap();
    world.report(5, Report::Leave).unwrap();
    world.end_epoch_under(|shard| u64::from(shard.0) * 200);
    world.report(0, Report::Registration(Box::new(registration(9)))).unwrap();
    let approval = Report::Approval { registration: registration(9).digest(), weight: Weight(3) };
    world.reports(&[0, 1], &approval);
    let split = Resharding::Split { shard: ShardId(0), new: ShardId(2) };
    world.report(2, Report::Reshard(split)).unwrap();
    world.report(2, Report::Reweigh { number: 3, weight: Weight(0) }).unwrap();
    world.report(2, Report::Rotation(Box::new(rotation(3, 1, 10)))).unwrap();
    world.report(0, offence(BEACON, Epoch(0), 4, 4)).unwrap();
    let checkpoint = world.checkpoint(ShardId(1));
    world.report(0, certified(checkpoint)).unwrap();
    world
}

fn synchronised(original: &Ledger, territory: Territory) -> Result<Ledger, crate::RestoreError> {
    let mut restore = Restore::new(CHAIN, territory, original.state_root());
    for chunk in original.chunks() {
        restore.accept(&chunk).unwrap();
    }
    restore.finish()
}

/// A beacon that was synchronised is the original, and goes on like it.
#[test]
fn a_restored_beacon_is_the_original() {
    for mut original in [World::new(4, 1), used_world()] {
        let ledger = synchronised(&original.ledger, Territory::beacon()).unwrap();
        assert_eq!(ledger.beacon(), original.ledger.beacon());
        let mut restored = original.clone();
        restored.ledger = ledger;
        assert_eq!(restored.end_epoch_under(|_| 500), original.end_epoch_under(|_| 500));
        assert_eq!(restored.ledger.state_root(), original.ledger.state_root());
        assert_eq!(restored.ledger.beacon(), original.ledger.beacon());
        assert!(restored.ledger.audit().is_ok());
    }
}

/// A beacon's state is no shard's, and a shard's is no beacon's.
#[test]
fn a_beacon_is_told_from_a_shard() {
    let contradiction = crate::RestoreError::Contradiction(AuditError::WrongBeacon);
    let beacon = World::new(4, 1).ledger;
    let taken = synchronised(&beacon, Territory::whole(ShardId(0)));
    assert_eq!(taken.unwrap_err(), contradiction);
    let shard = crate::testing::ledger(&[5]);
    let taken = synchronised(&shard, Territory::beacon());
    assert_eq!(taken.unwrap_err(), contradiction);
}

/// What changes in the state is what differs: records that came about in steps are those that are
/// written at once.
#[test]
fn the_records_follow_from_the_beacon_alone() {
    let world = used_world();
    let mut tree = StateTree::default();
    tree.apply(changes(None, world.beacon()));
    assert_eq!(read(&tree).unwrap().as_ref(), Some(world.beacon()));
    let in_steps = world.ledger.record_count();
    assert_eq!(tree.len() + 1, in_steps, "besides them there is the record of the supply");
    assert!(changes(Some(world.beacon()), world.beacon()).is_empty());
}

/// Given a state in which one record of the beacon is missing or has another byte, then it is
/// malformed or the state of another beacon, whichever record it is: none is left unread.
#[test]
fn no_record_is_left_unread() {
    let beacon: Beacon = used_world().beacon().clone();
    let mut whole = StateTree::default();
    let records = changes(None, &beacon);
    whole.apply(records.clone());
    let mut contradictions = 0;
    for (key, value) in records {
        let mut value = value.unwrap();
        assert!(value.len() <= MAX_VALUE_BYTES);
        let last = value.len() - 1;
        value[last] ^= 1;
        for update in [None, Some(value)] {
            let mut other = whole.clone();
            other.apply(vec![(key, update)]);
            let found = read(&other);
            contradictions += u32::from(found.is_err());
            assert!(found.is_err() || found.unwrap().as_ref() != Some(&beacon), "{key:?}");
        }
    }
    assert!(contradictions > 40, "{contradictions}");
}

/// Records that are what they say, but about nothing that an execution leads to, are refused.
#[test]
fn records_that_contradict_each_other_are_refused() {
    let changes_made: [fn(&mut Beacon); 6] = [
        |it| it.progress.next_number = 4,
        |it| it.progress.next_shard = 1,
        |it| it.parameters.seats = 0,
        |it| it.register.get_mut(&2).unwrap().number = 3,
        |it| {
            let standing = *it.shards.get(&ShardId(1)).unwrap();
            it.shards.insert(ShardId(0), standing);
        },
        |it| {
            let mut plan = (*it.plan).clone();
            plan.committees = Bounded::default();
            it.plan = std::sync::Arc::new(plan);
        },
    ];
    for change in changes_made {
        let mut beacon = used_world().beacon().clone();
        change(&mut beacon);
        let mut tree = StateTree::default();
        tree.apply(changes(None, &beacon));
        assert_eq!(read(&tree).unwrap_err(), AuditError::MalformedRecord);
    }
}

/// A validator can be proven to whoever knows the state root, and so can its absence.
#[test]
fn validators_can_be_proven() {
    let world = used_world();
    let root = world.ledger.state_root();
    let proven = |number| {
        verify_validator_proof(&root, number, &world.ledger.prove_validator(number)).unwrap()
    };
    let record = proven(3).unwrap();
    assert_eq!(record.consensus, PublicKey::digest(&consensus_key(3)));
    assert_eq!((record.number, record.weight), (3, Weight(10)));
    assert_eq!(proven(4).unwrap().standing, Standing::Isolated(Epoch(1)));
    assert_eq!(proven(5), None);
    let other = verify_validator_proof(&root, 2, &world.ledger.prove_validator(3));
    assert_eq!(other, Err(ProofError::OtherKey));
    let stale = verify_validator_proof(&chain(0).anchor(), 3, &world.ledger.prove_validator(3));
    assert_eq!(stale, Err(ProofError::WrongRoot));
    let mut tree = StateTree::default();
    tree.apply(changes(None, world.beacon()));
    assert!(tree.iter().any(|(key, _)| key.kind == RecordKind::Validator));
}

/// Nobody has an account on the beacon, and other shards' ledgers take no reports.
#[test]
fn the_beacon_has_no_accounts_and_shards_take_no_reports() {
    let mut world = World::new(4, 1);
    let transactions = Bounded::truncated(vec![transfer(0, 0, address(1), 5)]);
    let execution = world.execute(&[(0, Payload { transactions, ..Payload::default() })]);
    assert_eq!(execution.outcomes[0].1, Outcome::Skipped(Refusal::UnknownSender));

    let mut shard = crate::testing::ledger(&[5]);
    let root = shard.state_root();
    let reports = Bounded::truncated(vec![Report::Leave]);
    let payload = Payload { reports, ..Payload::default() };
    shard.execute_commit([(qcn_types::ValidatorIndex(0), &payload)], 99);
    assert_eq!(shard.state_root(), root);
    let ignored = shard.admit_report(qcn_types::ValidatorIndex(0), &Report::Leave);
    assert_eq!(ignored, Err(crate::Ignored::NotTheBeacon));
}
