//! The beacon's ledger: who the validators are, and what the next epoch is (DESIGN section 7).
//!
//! The beacon is a shard whose committee is all validators. Its blocks carry [`Report`]s, which are
//! executed in the order of commits: registrations and the votes on them, new keys, offences,
//! checkpoints of the shards, and the values of hash chains that the randomness is made of. A
//! report that does not fit the state changes nothing ([`Ignored`] says why).
//!
//! **The end of an epoch** is decided at the end of an execution, from committed data alone. It is
//! due once its length has passed in committed time and every shard of the layout has reported a
//! checkpoint of this epoch, so that no shard is resharded before it has finished the last time.
//! The plan of the next epoch is made then, and the same execution leaves the state as the next
//! epoch finds it: its plan, no votes, its start. Nothing else happens between two epochs.
//!
//! - **Members** decide by more than two thirds of the beacon's weight, each with its last word:
//!   who is admitted and with which weight, who is removed, what is split or merged by command.
//! - **Isolated** validators have no seat in the next epoch, whoever they are. Everybody else who
//!   leaves or is voted out stays while there would be fewer than the seats of a shard without it.
//!   Where isolation leaves fewer, all that are left serve every shard and nothing is split; if
//!   nobody is left at all there is no next epoch, and this one goes on.
//! - **Load** is what a shard executed per second between its first and its last report of the
//!   epoch, if they are a quarter of the epoch's length or more apart. A shard above `split_above`
//!   in two epochs in a row is split, siblings are merged when their sum was below `merge_below` in
//!   two epochs in a row. What the parameters or the layout do not allow is not done.
//! - **Randomness**: each validator may reveal one value an epoch, which it is committed to since
//!   before the epoch. Who reveals last, or not at all, chooses between two seeds: validators that
//!   act together choose among 2 to the power of their number, less than that in practice, since
//!   what others reveal later is unknown to them; so with m members bias is at most m bits, and the
//!   probability of any event that the draw should give with p is at most p * 2^m. (Who commits a
//!   proven offence changes the list of candidates, and so the draw, once.) If nobody reveals
//!   anything the next seed follows from this one. It is known before the epoch ends, but nothing
//!   else can be chosen by then that would not need a quorum.
//!
//! [`Report`]: qcn_types::Report

use std::collections::BTreeMap;
use std::sync::Arc;

use borsh::{BorshDeserialize, BorshSerialize};
use qcn_crypto::Digest;
use qcn_types::{BEACON, Committee, EpochPlan, Resharding, ShardId, ValidatorIndex, Weight};

use crate::lanes::Territory;

mod closing;
mod genesis;
mod layout_change;
mod load;
mod parameters;
mod records;
mod register;
mod reports;

pub use genesis::{BeaconGenesis, BeaconGenesisError, Founder};
pub use load::ShardStanding;
pub use parameters::{BeaconParameters, KeySchemes, ParameterError};
pub use register::{Identity, MAX_REGISTERED, RegisteredValidator};
pub use reports::{Ignored, MAX_CANDIDATES_EACH, MAX_VOTES_EACH};

pub(crate) use records::{changes, read};
pub(crate) use reports::Reporting;

/// What the state of the beacon says. It is equal to another one if their states are.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Beacon {
    parameters: BeaconParameters,
    plan: Arc<EpochPlan>,
    /// The epoch before, for what arrives late.
    before: Option<Arc<EpochPlan>>,
    /// Follows from the plan.
    committee: Arc<Committee>,
    register: BTreeMap<u32, RegisteredValidator>,
    candidates: BTreeMap<Digest, Candidate>,
    /// The votes of this epoch, by validator.
    votes: BTreeMap<u32, BTreeMap<Subject, Weight>>,
    shards: BTreeMap<ShardId, ShardStanding>,
    progress: Progress,
}

/// What changes in the course of an epoch besides reports.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, BorshSerialize, BorshDeserialize)]
struct Progress {
    /// Above all numbers that validators ever had.
    next_number: u32,
    /// Above all numbers that shards ever had.
    next_shard: u32,
    /// The committed time at which the epoch began, once known.
    started_ms: Option<u64>,
    /// The committed time at which no plan of the next epoch could be made, when that was last tried.
    /// It decides what is executed next, so it is part of the state.
    failed_ms: Option<u64>,
    /// What was revealed in this epoch.
    entropy: Digest,
}

/// Who has registered in this epoch and was not admitted yet.
#[derive(Clone, PartialEq, Eq, Debug, BorshSerialize, BorshDeserialize)]
pub struct Candidate {
    /// Whose block brought it in.
    pub by: u32,
    /// What it asks for.
    pub weight: Weight,
    /// Who it is.
    pub identity: Identity,
}

/// What members vote on. What they say of it is a weight; of a resharding it means nothing.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, BorshSerialize, BorshDeserialize)]
#[borsh(use_discriminant = true)]
#[repr(u8)]
pub enum Subject {
    /// The weight of a validator, by its number; 0 removes it.
    Weight(u32) = 0,
    /// Somebody who has registered, by the digest of the registration.
    Admission(Digest) = 1,
    /// A change of the layout.
    Resharding(Resharding) = 2,
}

impl Beacon {
    /// The parameters, which never change.
    #[must_use]
    pub const fn parameters(&self) -> &BeaconParameters {
        &self.parameters
    }

    /// The plan of the epoch, or of the next one after an execution that closed its epoch.
    #[must_use]
    pub const fn plan(&self) -> &Arc<EpochPlan> {
        &self.plan
    }

    /// The plan of the epoch before.
    #[must_use]
    pub const fn plan_before(&self) -> Option<&Arc<EpochPlan>> {
        self.before.as_ref()
    }

    /// All validators, also those who are isolated.
    pub fn register(&self) -> impl Iterator<Item = &RegisteredValidator> {
        self.register.values()
    }

    /// A validator.
    #[must_use]
    pub fn validator(&self, number: u32) -> Option<&RegisteredValidator> {
        self.register.get(&number)
    }

    /// The number of a member of the beacon's committee.
    #[must_use]
    pub fn number_of(&self, member: ValidatorIndex) -> Option<u32> {
        self.plan.validators.get(member.position()).map(|validator| validator.number)
    }

    /// Who has registered in this epoch, by the digest of the registration.
    pub fn candidates(&self) -> impl Iterator<Item = (&Digest, &Candidate)> {
        self.candidates.iter()
    }

    /// How a member of this number votes in this epoch.
    pub fn votes(&self, number: u32) -> impl Iterator<Item = (&Subject, &Weight)> {
        self.votes.get(&number).into_iter().flatten()
    }

    /// What a shard has reported.
    #[must_use]
    pub fn shard(&self, shard: ShardId) -> Option<&ShardStanding> {
        self.shards.get(&shard)
    }

    /// The committed time at which the epoch began, after its first execution.
    #[must_use]
    pub const fn started_ms(&self) -> Option<u64> {
        self.progress.started_ms
    }

    /// The shard number that the next split by load takes: commands must take it or a higher one.
    #[must_use]
    pub const fn next_shard(&self) -> ShardId {
        ShardId(self.progress.next_shard)
    }
}

impl Territory {
    /// The place of the beacon: it has no accounts, and sends nothing to anybody.
    #[must_use]
    pub fn beacon() -> Self {
        Self::whole(BEACON)
    }
}

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
