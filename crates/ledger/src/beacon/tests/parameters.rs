use qcn_crypto::{KeyError, PublicKey, Role, Scheme};
use qcn_types::{Bounded, CommitteeError, Layout, Prefix, ShardId, Weight};

use crate::beacon::testing::{genesis, identity};
use crate::testing::CHAIN;
use crate::{BeaconGenesis, BeaconGenesisError, BeaconParameters, Ledger, ParameterError};

fn refused(change: impl FnOnce(&mut BeaconGenesis)) -> BeaconGenesisError {
    let mut genesis = genesis(4, 2);
    change(&mut genesis);
    Ledger::beacon_genesis(CHAIN, &genesis).unwrap_err()
}

fn refused_parameters(change: impl FnOnce(&mut BeaconParameters)) -> ParameterError {
    match refused(|genesis| change(&mut genesis.parameters)) {
        BeaconGenesisError::Parameters(error) => error,
        other => panic!("{other}"),
    }
}

/// Parameters under which a beacon could not work, or would split and merge in turn, are refused.
#[test]
fn parameters_must_work_together() {
    assert_eq!(refused_parameters(|it| it.seats = 0), ParameterError::Seats(0));
    assert_eq!(refused_parameters(|it| it.seats = 513), ParameterError::Seats(513));
    assert_eq!(refused_parameters(|it| it.epoch_ms = 0), ParameterError::NoLength);
    assert_eq!(refused_parameters(|it| it.shards_max = 0), ParameterError::Shards(0));
    assert_eq!(refused_parameters(|it| it.shards_max = 257), ParameterError::Shards(257));
    let hysteresis = ParameterError::NoHysteresis { merge_below: 34, split_above: 100 };
    assert_eq!(refused_parameters(|it| it.merge_below = 34), hysteresis);
    let nobody = refused_parameters(|it| it.schemes.account = Bounded::default());
    assert_eq!(nobody, ParameterError::NoScheme(Role::Account));
    let mut good = genesis(4, 2);
    good.parameters.merge_below = 33;
    assert!(Ledger::beacon_genesis(CHAIN, &good).is_ok());
}

#[test]
fn a_beacon_begins_with_validators_and_shards_that_fit() {
    let few = refused(|genesis| genesis.validators.truncate(3));
    assert_eq!(few, BeaconGenesisError::TooFewValidators { seats: 4, validators: 3 });
    let many = refused(|genesis| genesis.layout = Layout::even(5).unwrap());
    assert_eq!(many, BeaconGenesisError::TooManyShards { shards: 5, most: 4 });
    let number = refused(|genesis| {
        genesis.layout = Layout::new(vec![(Prefix::EMPTY, ShardId(u32::MAX - 1))]).unwrap();
    });
    assert_eq!(number, BeaconGenesisError::ShardNumber);
    let weightless = refused(|genesis| genesis.validators[2].weight = Weight(0));
    let zero = CommitteeError::ZeroWeight("v2".to_owned());
    assert_eq!(weightless, BeaconGenesisError::Committee(zero));
    let twins = refused(|genesis| genesis.validators[2].identity = identity(1));
    let shared = CommitteeError::SharedKey("v1".to_owned(), "v2".to_owned());
    assert_eq!(twins, BeaconGenesisError::Committee(shared));
    let scheme = Scheme::Falcon512;
    let bad = PublicKey::new(scheme, &[255; 897]).unwrap();
    let unusable = refused(|genesis| genesis.validators[1].identity.consensus = bad);
    let error = KeyError::Undecodable { scheme };
    let expected = BeaconGenesisError::Key { number: 1, role: Role::Consensus, error };
    assert_eq!(unusable, expected);
    let other = refused(|genesis| {
        genesis.parameters.schemes.transport = Bounded::truncated(vec![Scheme::MlDsa87]);
    });
    assert_eq!(other, BeaconGenesisError::Scheme { number: 0, role: Role::Transport });
}
