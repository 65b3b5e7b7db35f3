//! From the committees of a trusted epoch to those of later ones (DESIGN section 7).
//!
//! The beacon's committee of an epoch certifies the plan of the next one, which names all its
//! committees, the beacon's included. So whoever trusts the plan of one epoch, such as that of the
//! genesis, gets to any later one by the announcements between them, and asks nobody.
//!
//! **Invariants**
//! - every plan but the first was certified by the beacon's committee of the plan before it;
//! - no epoch is skipped: a committee judges the end of its own epoch only.

use std::sync::Arc;

use qcn_crypto::{ChainId, KeyError};
use qcn_types::{
    Announcement, AnnouncementError, BEACON, CommitteeKeys, Epoch, EpochPlan, PlanError, ShardId,
    ValidatorIndex,
};

/// The most announcements that are followed: daily epochs of eleven years.
pub const MAX_ANNOUNCEMENTS: usize = 4_096;

/// The plans of consecutive epochs, from a trusted one on.
#[derive(Clone, Debug)]
pub struct EpochChain {
    chain: ChainId,
    /// One at least, in the order of epochs.
    plans: Vec<Arc<EpochPlan>>,
    /// Of the last plan.
    beacon: CommitteeKeys,
}

/// Why an announcement leads nowhere, or a committee is not known.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum EpochError {
    /// It is not of the next epoch.
    #[error(
        "the announcement of epoch {expected} is missing before that of epoch {given}: give those \
         of all epochs, in order"
    )]
    Skipped {
        /// The next epoch.
        expected: Epoch,
        /// The epoch of the announcement.
        given: Epoch,
    },
    /// It is of an epoch whose plan is known.
    #[error("the announcement of epoch {0} is given again: give each once, in order")]
    Repeated(Epoch),
    /// There are too many.
    #[error("more than {MAX_ANNOUNCEMENTS} announcements are not followed")]
    TooMany,
    /// It announces nothing.
    #[error("the announcement of epoch {epoch} is not valid: {error}")]
    Announcement {
        /// Which plan it should announce.
        epoch: Epoch,
        /// What is wrong with it.
        error: AnnouncementError,
    },
    /// The plan names no such committee.
    #[error("epoch {epoch}: {error}")]
    Plan {
        /// Of which epoch.
        epoch: Epoch,
        /// What is wrong.
        error: PlanError,
    },
    /// A committee in which nobody could verify anything of that member.
    #[error("epoch {epoch}: the key of validator {seat} in shard {shard} is unusable: {error}")]
    Key {
        /// Of which epoch.
        epoch: Epoch,
        /// Of which shard.
        shard: ShardId,
        /// Whose.
        seat: ValidatorIndex,
        /// What is wrong.
        error: KeyError,
    },
    /// Nobody has announced the epoch here.
    #[error(
        "the committees of epoch {epoch} are not known, only those up to epoch {newest}: add the \
         beacon's announcements of all epochs up to it"
    )]
    NotAnnounced {
        /// The epoch.
        epoch: Epoch,
        /// The last epoch that is known.
        newest: Epoch,
    },
    /// The epoch was over before the trusted plan.
    #[error("epoch {epoch} is before epoch {first}, whose plan is trusted: trust an earlier one")]
    TooOld {
        /// The epoch.
        epoch: Epoch,
        /// That of the trusted plan.
        first: Epoch,
    },
}

impl EpochChain {
    /// Begins with a plan that is trusted.
    ///
    /// # Errors
    /// [`EpochError`] if it names no committee of the beacon.
    pub fn new(chain: ChainId, trusted: Arc<EpochPlan>) -> Result<Self, EpochError> {
        let beacon = keys_of(chain, &trusted, BEACON)?;
        Ok(Self { chain, plans: vec![trusted], beacon })
    }

    /// Goes on to the next epoch.
    ///
    /// # Errors
    /// [`EpochError`] if the beacon has not certified it; then everything stays as it was.
    pub fn follow(&mut self, announcement: &Announcement) -> Result<(), EpochError> {
        let (newest, given) = (self.newest(), announcement.plan.epoch);
        if given <= newest {
            return Err(EpochError::Repeated(given));
        }
        if given.0 - 1 > newest.0 {
            let expected = Epoch(newest.0 + 1);
            return Err(EpochError::Skipped { expected, given });
        }
        if self.followed() >= MAX_ANNOUNCEMENTS {
            return Err(EpochError::TooMany);
        }
        self.beacon
            .check_announcement(announcement)
            .map_err(|error| EpochError::Announcement { epoch: given, error })?;
        self.beacon = keys_of(self.chain, &announcement.plan, BEACON)?;
        self.plans.push(Arc::new(announcement.plan.clone()));
        Ok(())
    }

    /// The last epoch whose plan is known.
    #[must_use]
    pub fn newest(&self) -> Epoch {
        self.beacon.committee().epoch()
    }

    /// How many announcements led to it.
    #[must_use]
    pub const fn followed(&self) -> usize {
        self.plans.len() - 1
    }

    /// The plan of an epoch.
    ///
    /// # Errors
    /// [`EpochError`] if it is not known.
    pub fn plan(&self, epoch: Epoch) -> Result<&Arc<EpochPlan>, EpochError> {
        let first = self.plans[0].epoch;
        let place = epoch.0.checked_sub(first.0).ok_or(EpochError::TooOld { epoch, first })?;
        let found = usize::try_from(place).ok().and_then(|place| self.plans.get(place));
        found.ok_or(EpochError::NotAnnounced { epoch, newest: self.newest() })
    }

    /// The committee of a shard, or of the beacon, in an epoch. It acts for the shards that the
    /// plan says; which schemes accounts may use is not in a plan.
    ///
    /// # Errors
    /// [`EpochError`] if the epoch is not known, or the shard has no committee in it.
    pub fn keys(&self, shard: ShardId, epoch: Epoch) -> Result<CommitteeKeys, EpochError> {
        keys_of(self.chain, self.plan(epoch)?, shard)
    }

    /// Every committee that is known: those of the last epoch first, the beacon's before others.
    pub fn committees(&self) -> impl Iterator<Item = (ShardId, Epoch)> + '_ {
        let plans = self.plans.iter().rev();
        plans.flat_map(|plan| plan.shards().map(|shard| (shard, plan.epoch)))
    }
}

fn keys_of(chain: ChainId, plan: &EpochPlan, shard: ShardId) -> Result<CommitteeKeys, EpochError> {
    let epoch = plan.epoch;
    let committee = plan.committee(shard).map_err(|error| EpochError::Plan { epoch, error })?;
    let keys = CommitteeKeys::decode(chain, Arc::new(committee))
        .map_err(|(seat, error)| EpochError::Key { epoch, shard, seat, error })?;
    Ok(keys.with_heirs(plan.heirs.to_vec().into()))
}

#[cfg(test)]
mod tests;
