//! What a network settles at genesis about its epochs.

use borsh::{BorshDeserialize, BorshSerialize};
use qcn_crypto::{Role, Scheme};
use qcn_types::{Bounded, MAX_MEMBERS, MAX_SHARDS};

/// How many schemes there are.
const SCHEMES: usize = Scheme::ALL.len();

/// The schemes that keys may have, by role.
#[derive(Clone, PartialEq, Eq, Debug, BorshSerialize, BorshDeserialize)]
pub struct KeySchemes {
    /// Of keys that sign blocks.
    pub consensus: Bounded<Scheme, SCHEMES>,
    /// Of keys that sign transactions: a block with another one is an offence.
    pub account: Bounded<Scheme, SCHEMES>,
    /// Of keys that rotate others.
    pub recovery: Bounded<Scheme, SCHEMES>,
    /// Of keys that authenticate links.
    pub transport: Bounded<Scheme, SCHEMES>,
}

impl KeySchemes {
    /// Every scheme for everything.
    #[must_use]
    pub fn all() -> Self {
        let every = || Bounded::truncated(Scheme::ALL.to_vec());
        Self { consensus: every(), account: every(), recovery: every(), transport: every() }
    }

    /// Whether a key of this scheme may have this role.
    #[must_use]
    pub fn allow(&self, role: Role, scheme: Scheme) -> bool {
        let schemes = match role {
            Role::Consensus => &self.consensus,
            Role::Account => &self.account,
            Role::Operator => &self.recovery,
            Role::Transport => &self.transport,
        };
        schemes.contains(&scheme)
    }
}

/// The rules of the beacon, part of its state.
#[derive(Clone, PartialEq, Eq, Debug, BorshSerialize, BorshDeserialize)]
pub struct BeaconParameters {
    /// Members of a shard's committee.
    pub seats: u16,
    /// The shortest epoch, in milliseconds of committed time.
    pub epoch_ms: u64,
    /// No split makes more shards.
    pub shards_max: u16,
    /// A shard that executes more per second in two epochs in a row is split.
    pub split_above: u64,
    /// Siblings that execute less per second, both together, in two epochs in a row are merged.
    /// At most a third of `split_above`; 0 never merges by load.
    pub merge_below: u64,
    /// Which keys are taken.
    pub schemes: KeySchemes,
}

/// Why parameters do not work together.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ParameterError {
    /// Committees of nobody, or larger than they may be.
    #[error("a committee has 1 to {MAX_MEMBERS} seats, not {0}")]
    Seats(u16),
    /// Epochs without length.
    #[error("an epoch lasts at least a millisecond")]
    NoLength,
    /// No shard, or more than a layout may have.
    #[error("the most shards must be between 1 and {MAX_SHARDS}, not {0}")]
    Shards(u16),
    /// What was merged would be split again soon.
    #[error(
        "merge_below {merge_below} is more than a third of split_above {split_above}: shards would be merged and split in turn"
    )]
    NoHysteresis {
        /// Below which siblings are merged.
        merge_below: u64,
        /// Above which a shard is split.
        split_above: u64,
    },
    /// Nobody could have a key for this role.
    #[error("no scheme is allowed for {0} keys")]
    NoScheme(Role),
}

impl BeaconParameters {
    /// Checks that they work together.
    ///
    /// # Errors
    /// The first that does not.
    pub fn check(&self) -> Result<(), ParameterError> {
        if self.seats == 0 || usize::from(self.seats) > MAX_MEMBERS {
            return Err(ParameterError::Seats(self.seats));
        }
        if self.epoch_ms == 0 {
            return Err(ParameterError::NoLength);
        }
        if self.shards_max == 0 || usize::from(self.shards_max) > MAX_SHARDS {
            return Err(ParameterError::Shards(self.shards_max));
        }
        if u128::from(self.merge_below) * 3 > u128::from(self.split_above) {
            let (merge_below, split_above) = (self.merge_below, self.split_above);
            return Err(ParameterError::NoHysteresis { merge_below, split_above });
        }
        let nobody = Role::ALL
            .into_iter()
            .find(|role| Scheme::ALL.iter().all(|scheme| !self.schemes.allow(*role, *scheme)));
        nobody.map_or(Ok(()), |role| Err(ParameterError::NoScheme(role)))
    }
}
