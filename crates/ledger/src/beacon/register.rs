//! The register of validators.

use borsh::{BorshDeserialize, BorshSerialize};
use qcn_crypto::{Digest, PublicKey};
use qcn_light::{Standing, ValidatorRecord};
use qcn_types::{
    Bounded, Epoch, MAX_NETWORK_ADDRESS_BYTES, MAX_VALIDATOR_NAME_BYTES, PlannedValidator,
    Registration, Weight,
};

/// The most entries of the register, isolated validators included.
pub const MAX_REGISTERED: usize = 1_024;

/// How many numbers there are: nodes name each other by 16 bits, of which they need some values for
/// those who have no number.
pub(crate) const MAX_NUMBERS: u32 = 60_000;

/// Who a validator is.
#[derive(Clone, PartialEq, Eq, Debug, BorshSerialize, BorshDeserialize)]
pub struct Identity {
    /// A name for people.
    pub name: Bounded<u8, MAX_VALIDATOR_NAME_BYTES>,
    /// Signs blocks.
    pub consensus: PublicKey,
    /// Authenticates links.
    pub transport: PublicKey,
    /// Rotates the other two.
    pub recovery: Option<PublicKey>,
    /// The last value of its hash chain that is known.
    pub anchor: Digest,
    /// Where others reach it.
    pub address: Option<Bounded<u8, MAX_NETWORK_ADDRESS_BYTES>>,
}

impl From<&Registration> for Identity {
    fn from(registration: &Registration) -> Self {
        Self {
            name: registration.name.clone(),
            consensus: registration.consensus.key.clone(),
            transport: registration.transport.key.clone(),
            recovery: registration.recovery.as_ref().map(|recovery| recovery.key.clone()),
            anchor: registration.anchor,
            address: registration.address.clone(),
        }
    }
}

/// A validator in the register.
#[derive(Clone, PartialEq, Eq, Debug, BorshSerialize, BorshDeserialize)]
pub struct RegisteredValidator {
    /// Its number; nobody else ever has it.
    pub number: u32,
    /// Who it is.
    pub identity: Identity,
    /// Voting power that the members gave it.
    pub weight: Weight,
    /// Whether it has a seat in the next epoch.
    pub standing: Standing,
    /// The last epoch in which it revealed a value.
    pub revealed: Option<Epoch>,
    /// How many rotations of its keys were taken.
    pub rotations: u64,
    /// What is replaced at the end of the epoch.
    pub next: Replacement,
}

/// What is replaced at the end of the epoch.
#[derive(Clone, PartialEq, Eq, Debug, Default, BorshSerialize, BorshDeserialize)]
pub struct Replacement {
    /// Signs blocks from then on.
    pub consensus: Option<PublicKey>,
    /// Authenticates links from then on.
    pub transport: Option<PublicKey>,
    /// The end of a new hash chain.
    pub anchor: Option<Digest>,
}

impl RegisteredValidator {
    /// A validator that serves from an epoch on.
    pub(crate) fn new(number: u32, identity: Identity, weight: Weight) -> Self {
        Self {
            number,
            identity,
            weight,
            standing: Standing::Active,
            revealed: None,
            rotations: 0,
            next: Replacement::default(),
        }
    }

    /// Whether it was proven to misbehave.
    #[must_use]
    pub const fn is_isolated(&self) -> bool {
        matches!(self.standing, Standing::Isolated(_))
    }

    /// Whether it signs blocks with this key, or will in the next epoch.
    pub(crate) fn claims(&self, key: &PublicKey) -> bool {
        self.identity.consensus == *key || self.next.consensus.as_ref() == Some(key)
    }

    /// Whether it authenticates links with this key, or will in the next epoch: of two that do,
    /// nobody could tell which one it is.
    pub(crate) fn links_with(&self, key: &PublicKey) -> bool {
        self.identity.transport == *key || self.next.transport.as_ref() == Some(key)
    }

    /// Replaces what is to be replaced at the end of an epoch.
    pub(crate) fn turn_over(&mut self) {
        let next = std::mem::take(&mut self.next);
        let identity = &mut self.identity;
        identity.consensus = next.consensus.unwrap_or_else(|| identity.consensus.clone());
        identity.transport = next.transport.unwrap_or_else(|| identity.transport.clone());
        identity.anchor = next.anchor.unwrap_or(identity.anchor);
    }

    /// Its place in a plan.
    pub(crate) fn planned(&self) -> PlannedValidator {
        PlannedValidator {
            number: self.number,
            key: self.identity.consensus.clone(),
            weight: self.weight,
        }
    }

    /// What can be proven of it to who knows the state root.
    pub(crate) fn record(&self) -> ValidatorRecord {
        let identity = &self.identity;
        ValidatorRecord {
            number: self.number,
            name: identity.name.clone(),
            consensus: identity.consensus.digest(),
            transport: identity.transport.digest(),
            recovery: identity.recovery.as_ref().map(PublicKey::digest),
            weight: self.weight,
            standing: self.standing,
            anchor: identity.anchor,
            address: identity.address.clone(),
        }
    }
}
