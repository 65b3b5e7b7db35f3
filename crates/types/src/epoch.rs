//! Epochs: who serves which shard, and how one epoch follows the other (DESIGN section 7).
//!
//! The beacon decides the plan of the next epoch and closes its own with a final checkpoint that
//! names it. That checkpoint's certificate with the plan is the **announcement**. A shard that
//! executes a block with it closes as well: its final checkpoint names the same plan, nothing is
//! executed after it, and its state is what the committees of the next epoch open with. So there
//! is one end to every epoch of a shard, certified by those who served in it, and one beginning.
//!
//! A split leaves the lower half its number, its lanes and their history; the upper half is a new
//! shard. A merge leaves the lower of two siblings its number; it becomes the **heir** of the
//! other one and acts for it on all lanes that ever led to it or from it. Numbers are never used
//! again.

use borsh::{BorshDeserialize, BorshSerialize};
use qcn_crypto::{Digest, Domain, PublicKey, hash};

use crate::{
    Bounded, Certificate, CertificateError, Committee, CommitteeError, Epoch, Layout, LayoutError,
    MAX_MEMBERS, MAX_SHARDS, Member, ShardId, Weight, encode,
};

/// The shard of the beacon: every validator has a seat in it, and no address belongs to it.
pub const BEACON: ShardId = ShardId(u32::MAX);

/// The most shards that were ever closed.
pub const MAX_HEIRS: usize = 1_024;

/// The most changes of the layout in one epoch.
pub const MAX_RESHARDINGS: usize = 16;

/// A validator as the plan of an epoch has it.
#[derive(Clone, PartialEq, Eq, Debug, BorshSerialize, BorshDeserialize)]
pub struct PlannedValidator {
    /// Its number in the beacon's register, for as long as it is registered.
    pub number: u32,
    /// Signs its blocks.
    pub key: PublicKey,
    /// What it asked for and was given; formation may lower it in a committee.
    pub weight: Weight,
}

impl PlannedValidator {
    /// The validator as a member of a committee.
    #[must_use]
    pub fn member(&self) -> Member {
        Member { name: format!("v{}", self.number), key: self.key.clone(), weight: self.weight }
    }
}

/// Who serves a shard.
#[derive(Clone, PartialEq, Eq, Debug, BorshSerialize, BorshDeserialize)]
pub struct PlannedCommittee {
    /// The shard.
    pub shard: ShardId,
    /// Positions in the plan's validators, rising.
    pub seats: Bounded<u16, MAX_MEMBERS>,
}

/// A change of the layout.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, BorshSerialize, BorshDeserialize,
)]
#[borsh(use_discriminant = true)]
#[repr(u8)]
pub enum Resharding {
    /// The upper half of a shard's addresses goes to a new shard.
    Split {
        /// Keeps the lower half.
        shard: ShardId,
        /// A number that no shard ever had.
        new: ShardId,
    } = 0,
    /// Two siblings become one.
    Merge {
        /// The lower one, which goes on with the addresses of both.
        into: ShardId,
        /// The upper one, which ends.
        closed: ShardId,
    } = 1,
}

impl Resharding {
    /// The shards that take part, the new one included.
    #[must_use]
    pub const fn shards(self) -> [ShardId; 2] {
        match self {
            Self::Split { shard, new } => [shard, new],
            Self::Merge { into, closed } => [into, closed],
        }
    }
}

/// Who serves which shard in an epoch, and what changed in the layout.
#[derive(Clone, PartialEq, Eq, Debug, BorshSerialize, BorshDeserialize)]
pub struct EpochPlan {
    /// Which epoch.
    pub epoch: Epoch,
    /// For the draw of committees and leaders.
    pub seed: Digest,
    /// The shards and their addresses.
    pub layout: Layout,
    /// What is different from the layout of the epoch before.
    pub reshardings: Bounded<Resharding, MAX_RESHARDINGS>,
    /// Every shard that was ever closed, and the shard that acts for it, in the order of the first.
    pub heirs: Bounded<(ShardId, ShardId), MAX_HEIRS>,
    /// All validators, in the order of their numbers.
    pub validators: Bounded<PlannedValidator, MAX_MEMBERS>,
    /// One for each shard of the layout, in its order. All validators serve the beacon.
    pub committees: Bounded<PlannedCommittee, MAX_SHARDS>,
}

/// Why a plan is none.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum PlanError {
    /// The shard has no committee in this epoch.
    #[error("shard {0} has no committee in this epoch")]
    NoCommittee(ShardId),
    /// A seat of somebody who is not among the validators.
    #[error("shard {0} has a seat for validator {1}, who is not in the plan")]
    UnknownSeat(ShardId, u16),
    /// The members make no committee.
    #[error("the members of shard {0} make no committee: {1}")]
    Committee(ShardId, CommitteeError),
    /// The layout cannot be changed like this.
    #[error("the layout cannot be changed like this: {0}")]
    Layout(#[from] LayoutError),
}

impl EpochPlan {
    /// What the beacon's final checkpoint names, and those of the shards after it.
    #[must_use]
    pub fn digest(&self) -> Digest {
        hash(Domain::EpochPlan, &encode(self))
    }

    /// The committee of a shard, or of the beacon.
    ///
    /// # Errors
    /// [`PlanError`], naming the shard.
    pub fn committee(&self, shard: ShardId) -> Result<Committee, PlanError> {
        let seats: Vec<u16> = if shard == BEACON {
            (0..self.validators.len() as u16).collect()
        } else {
            let mut committees = self.committees.iter();
            let found = committees.find(|committee| committee.shard == shard);
            found.ok_or(PlanError::NoCommittee(shard))?.seats.to_vec()
        };
        let member = |seat: u16| {
            let validator = self.validators.get(usize::from(seat));
            let validator = validator.ok_or(PlanError::UnknownSeat(shard, seat))?;
            Ok(validator.member())
        };
        let members = seats.into_iter().map(member).collect::<Result<Vec<_>, PlanError>>()?;
        let formed = Committee::form(shard, self.epoch, members);
        formed.map(|(committee, _)| committee).map_err(|error| PlanError::Committee(shard, error))
    }

    /// The shards with a committee in this epoch: the beacon, then those of the layout.
    pub fn shards(&self) -> impl Iterator<Item = ShardId> + '_ {
        std::iter::once(BEACON).chain(self.layout.shards().iter().map(|(_, shard)| *shard))
    }

    /// The shards of the epoch before whose final states a shard opens with: itself or the one it
    /// was split off, and after it the one that it absorbs.
    #[must_use]
    pub fn origins(&self, shard: ShardId) -> Vec<ShardId> {
        for resharding in &self.reshardings {
            match *resharding {
                Resharding::Split { shard: origin, new } if new == shard => return vec![origin],
                Resharding::Merge { into, closed } if into == shard => return vec![into, closed],
                _ => {}
            }
        }
        vec![shard]
    }

    /// The shards that open with the final state of a shard of the epoch before.
    #[must_use]
    pub fn successors(&self, shard: ShardId) -> Vec<ShardId> {
        for resharding in &self.reshardings {
            match *resharding {
                Resharding::Split { shard: origin, new } if origin == shard => {
                    return vec![shard, new];
                }
                Resharding::Merge { into, closed } if closed == shard => return vec![into],
                _ => {}
            }
        }
        vec![shard]
    }

    /// Who answers for a shard, closed or not.
    #[must_use]
    pub fn actor(&self, shard: ShardId) -> ShardId {
        actor(&self.heirs, shard)
    }

    /// The layout and heirs after some changes. A shard takes part in one change at a time, so
    /// that whatever opens has one origin, or two that merge.
    ///
    /// # Errors
    /// [`LayoutError`] if the layout does not allow one of them.
    pub fn reshard(
        &self,
        reshardings: &[Resharding],
    ) -> Result<(Layout, Vec<(ShardId, ShardId)>), LayoutError> {
        let (mut layout, mut heirs) = (self.layout.clone(), self.heirs.to_vec());
        let mut touched: Vec<ShardId> = reshardings.iter().flat_map(|it| it.shards()).collect();
        touched.sort_unstable();
        if let Some(pair) = touched.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(LayoutError::Twice(pair[0]));
        }
        for resharding in reshardings {
            match *resharding {
                Resharding::Split { shard, new } => {
                    let used = new == BEACON || heirs.iter().any(|(closed, _)| *closed == new);
                    if used {
                        return Err(LayoutError::Repeated(new));
                    }
                    layout = layout.split(shard, new)?;
                }
                Resharding::Merge { into, closed } => {
                    if heirs.len() >= MAX_HEIRS {
                        return Err(LayoutError::Count(heirs.len()));
                    }
                    layout = layout.merge(into, closed)?;
                    for (_, heir) in heirs.iter_mut().filter(|(_, heir)| *heir == closed) {
                        *heir = into;
                    }
                    heirs.push((closed, into));
                    heirs.sort_unstable();
                }
            }
        }
        Ok((layout, heirs))
    }
}

/// Who answers for a shard, closed or not, among heirs in the order of [`EpochPlan::heirs`].
#[must_use]
pub fn actor(heirs: &[(ShardId, ShardId)], shard: ShardId) -> ShardId {
    let found = heirs.binary_search_by_key(&shard, |(closed, _)| *closed);
    found.map_or(shard, |at| heirs[at].1)
}

/// The plan of the next epoch, as the beacon has certified it.
#[derive(Clone, PartialEq, Eq, Debug, BorshSerialize, BorshDeserialize)]
pub struct Announcement {
    /// Certifies the beacon's final checkpoint of the epoch before.
    pub certificate: Certificate,
    /// What it names.
    pub plan: EpochPlan,
}

/// Why an announcement announces nothing.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum AnnouncementError {
    /// It does not come from the beacon of this epoch.
    #[error("it does not come from the beacon of this epoch")]
    OtherEpoch,
    /// The plan is not the one that the checkpoint names, or not that of the next epoch.
    #[error("its plan is not the one that the beacon's final checkpoint names")]
    OtherPlan,
    /// The beacon's committee is not known here.
    #[error("the beacon's committee of this epoch is not known")]
    UnknownCommittee,
    /// The certificate proves nothing.
    #[error("its certificate proves nothing: {0}")]
    Certificate(#[from] CertificateError),
}

impl Announcement {
    /// Checks everything but the certificate.
    ///
    /// # Errors
    /// The first defect.
    pub fn check_plan(&self, epoch: Epoch) -> Result<(), AnnouncementError> {
        let checkpoint = &self.certificate.checkpoint;
        if checkpoint.shard != BEACON || checkpoint.epoch != epoch {
            return Err(AnnouncementError::OtherEpoch);
        }
        let follows = self.plan.epoch.0.checked_sub(1) == Some(epoch.0);
        if !follows || checkpoint.next_epoch != self.plan.digest() {
            return Err(AnnouncementError::OtherPlan);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
