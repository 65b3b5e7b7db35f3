//! How the beacon begins.

use std::collections::BTreeMap;
use std::sync::Arc;

use qcn_crypto::{Digest, KeyError, Role, VerifyingKey};
use qcn_types::{
    BEACON, Committee, CommitteeError, Epoch, EpochPlan, Layout, PlannedValidator, Weight,
};

use super::closing::PlanShape;
use super::parameters::{BeaconParameters, ParameterError};
use super::register::{Identity, RegisteredValidator};
use super::{Beacon, Progress};

/// What the beacon begins with.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct BeaconGenesis {
    /// The rules.
    pub parameters: BeaconParameters,
    /// Of the first epoch.
    pub seed: Digest,
    /// The shards of the first epoch.
    pub layout: Layout,
    /// The validators of the first epoch: numbers 0, 1, 2, ...
    pub validators: Vec<Founder>,
}

/// A validator of the first epoch. Whoever makes the genesis has checked that its keys are proven.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Founder {
    /// Who it is.
    pub identity: Identity,
    /// Its voting power.
    pub weight: Weight,
}

/// Why a beacon cannot begin like this.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum BeaconGenesisError {
    /// The parameters do not work together.
    #[error(transparent)]
    Parameters(#[from] ParameterError),
    /// More shards than there may be.
    #[error("the layout has {shards} shards, the parameters allow {most}")]
    TooManyShards {
        /// What the layout has.
        shards: usize,
        /// What the parameters say.
        most: u16,
    },
    /// Shards whose committees cannot be filled.
    #[error("{seats} seats cannot be filled by {validators} validators: ask for fewer seats")]
    TooFewValidators {
        /// Seats of a shard.
        seats: u16,
        /// How many validators there are.
        validators: usize,
    },
    /// A key that nobody can use, or of a scheme that is not taken.
    #[error("the {role} key of validator {number} is unusable: {error}")]
    Key {
        /// Whose.
        number: u32,
        /// Which.
        role: Role,
        /// Why.
        error: KeyError,
    },
    /// A key of a scheme that the parameters leave out.
    #[error("the {role} key of validator {number} is of a scheme that is not allowed")]
    Scheme {
        /// Whose.
        number: u32,
        /// Which.
        role: Role,
    },
    /// The validators make no committee.
    #[error("the validators make no committee: {0}")]
    Committee(CommitteeError),
    /// The beacon has a shard number of the layout, or the last number is taken.
    #[error("the numbers of shards must be below that of the beacon")]
    ShardNumber,
}

impl Beacon {
    /// The beacon before its first execution.
    pub(crate) fn genesis(genesis: &BeaconGenesis) -> Result<Self, BeaconGenesisError> {
        let BeaconGenesis { parameters, layout, validators, .. } = genesis;
        parameters.check()?;
        let shards = layout.shards().len();
        if shards > usize::from(parameters.shards_max) {
            return Err(BeaconGenesisError::TooManyShards { shards, most: parameters.shards_max });
        }
        if validators.len() < usize::from(parameters.seats) {
            let (seats, validators) = (parameters.seats, validators.len());
            return Err(BeaconGenesisError::TooFewValidators { seats, validators });
        }
        let highest = layout.shards().iter().map(|(_, shard)| shard.0).max().unwrap_or(0);
        if highest >= BEACON.0 - 1 {
            return Err(BeaconGenesisError::ShardNumber);
        }
        let mut register = BTreeMap::new();
        for (number, founder) in (0..).zip(validators) {
            check_keys(number, &founder.identity, parameters)?;
            let identity = founder.identity.clone();
            let validator = RegisteredValidator::new(number, identity, founder.weight);
            register.insert(number, validator);
        }
        let plan = first_plan(genesis, &register)?;
        let committee = plan.committee(BEACON).map_err(|_| committee_error(&plan.validators))?;
        let progress = Progress {
            next_number: register.len() as u32,
            next_shard: highest + 1,
            ..Progress::default()
        };
        Ok(Self {
            parameters: parameters.clone(),
            plan: Arc::new(plan),
            before: None,
            committee: Arc::new(committee),
            register,
            candidates: BTreeMap::new(),
            votes: BTreeMap::new(),
            shards: BTreeMap::new(),
            progress,
        })
    }
}

fn check_keys(
    number: u32,
    identity: &Identity,
    parameters: &BeaconParameters,
) -> Result<(), BeaconGenesisError> {
    let recovery = identity.recovery.as_ref().map(|key| (Role::Operator, key));
    let keys = [(Role::Consensus, &identity.consensus), (Role::Transport, &identity.transport)];
    for (role, key) in keys.into_iter().chain(recovery) {
        if !parameters.schemes.allow(role, key.scheme()) {
            return Err(BeaconGenesisError::Scheme { number, role });
        }
        VerifyingKey::decode(key).map_err(|error| BeaconGenesisError::Key {
            number,
            role,
            error,
        })?;
    }
    Ok(())
}

fn first_plan(
    genesis: &BeaconGenesis,
    register: &BTreeMap<u32, RegisteredValidator>,
) -> Result<EpochPlan, BeaconGenesisError> {
    let validators: Vec<_> = register.values().map(RegisteredValidator::planned).collect();
    let shape = PlanShape {
        epoch: Epoch(0),
        seed: genesis.seed,
        seats: genesis.parameters.seats,
        validators: validators.clone(),
    };
    let plan = shape.draw(genesis.layout.clone());
    // The number of seats was checked: what is left are keys and weights, which the committee of
    // all validators names.
    plan.ok_or_else(|| committee_error(&validators))
}

/// What is wrong with validators of which no plan can be drawn.
fn committee_error(validators: &[PlannedValidator]) -> BeaconGenesisError {
    let members = validators.iter().map(PlannedValidator::member).collect();
    let error = Committee::new(BEACON, Epoch(0), members).err();
    BeaconGenesisError::Committee(error.unwrap_or(CommitteeError::Empty))
}
