//! What reports do to the beacon's state, each rule in one place.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;

use qcn_crypto::{ChainId, Digest, Role, hash_chain_link, mix_reveal};
use qcn_light::{EvidenceError, Standing, verify_evidence};
use qcn_types::{
    BEACON, Checkpoint, CommitteeKeys, Epoch, EpochPlan, Evidence, KeyRotation, Registration,
    Report, Resharding, ShardId, ValidatorIndex, Weight,
};

use super::layout_change::is_new;
use super::register::{Identity, RegisteredValidator, Replacement};
use super::{Beacon, Candidate, ShardStanding, Subject};

/// The most registrations that one member brings in an epoch.
pub const MAX_CANDIDATES_EACH: usize = 4;

/// The most subjects that one member votes on in an epoch.
pub const MAX_VOTES_EACH: usize = 64;

/// Why a report changes nothing.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Ignored {
    /// The ledger is not the beacon's.
    #[error("only the beacon takes reports")]
    NotTheBeacon,
    /// The author is not in the committee.
    #[error("its author is no member of the beacon")]
    NotAMember,
    /// The author was proven to misbehave, or has no entry any more.
    #[error("its author is isolated")]
    AuthorIsolated,
    /// A checkpoint of a shard that the epoch does not have.
    #[error("the checkpoint is of a shard or an epoch that is over or never was")]
    UnknownShard,
    /// A later checkpoint is known, or this one.
    #[error("a later checkpoint of the shard is known, or this one")]
    NotNewer,
    /// A validator reveals one value an epoch.
    #[error("its author has revealed a value in this epoch")]
    AlreadyRevealed,
    /// A value whose hash is not the last known.
    #[error("the hash of the value is not the last known of its author's chain")]
    WrongValue,
    /// A key of a scheme that the network does not take for this role.
    #[error("the network takes no {0} keys of this scheme")]
    SchemeNotAllowed(Role),
    /// A validator signs with this key already, or will.
    #[error("the consensus key is another validator's")]
    KeyInUse,
    /// The registration is known.
    #[error("the same registration is known in this epoch")]
    AlreadyRegistered,
    /// One member brings in a few registrations only.
    #[error("its author has brought in {MAX_CANDIDATES_EACH} registrations in this epoch")]
    TooManyCandidates,
    /// One member votes on a few subjects only.
    #[error("its author has voted on {MAX_VOTES_EACH} subjects in this epoch")]
    TooManyVotes,
    /// The author voted like this.
    #[error("its author has voted like this in this epoch")]
    AlreadyVoted,
    /// Nobody has this number.
    #[error("the register has no validator {0}")]
    UnknownValidator(u32),
    /// The validator has registered another recovery key, or none.
    #[error("validator {0} has not registered this recovery key")]
    OtherRecoveryKey(u32),
    /// The rotation was made for another place in the order.
    #[error("the next rotation has number {expected}")]
    WrongCounter {
        /// What the counter would have to be.
        expected: u64,
    },
    /// The layout does not allow it.
    #[error("the layout cannot be changed like this")]
    ImpossibleResharding,
    /// The accused is isolated.
    #[error("the accused is isolated")]
    AlreadyIsolated,
    /// The evidence proves nothing.
    #[error("the evidence proves nothing: {0}")]
    Evidence(#[from] EvidenceError),
    /// It would be as it is.
    #[error("nothing would change")]
    NothingNew,
}

/// The reports of one execution.
pub(crate) struct Reporting<'a> {
    beacon: &'a mut Beacon,
    chain: ChainId,
    /// Of the committees whose members were accused: decoding them costs the most.
    keys: BTreeMap<(ShardId, Epoch), CommitteeKeys>,
}

impl<'a> Reporting<'a> {
    pub(crate) fn new(beacon: &'a mut Beacon, chain: ChainId) -> Self {
        Self { beacon, chain, keys: BTreeMap::new() }
    }

    /// Executes a report whose signatures were checked.
    pub(crate) fn take(&mut self, author: ValidatorIndex, report: &Report) -> Result<(), Ignored> {
        let number = self.beacon.number_of(author).ok_or(Ignored::NotAMember)?;
        let beacon = &mut *self.beacon;
        if beacon.validator(number).is_none_or(RegisteredValidator::is_isolated) {
            return Err(Ignored::AuthorIsolated);
        }
        match report {
            Report::Checkpoint(certificate) => beacon.checkpoint(certificate.checkpoint),
            Report::Reveal(value) => beacon.reveal(number, value),
            Report::Registration(registration) => beacon.registration(number, registration),
            Report::Approval { registration, weight } => {
                beacon.vote(number, Subject::Admission(*registration), *weight)
            }
            Report::Reweigh { number: whose, weight } => {
                beacon.validator(*whose).ok_or(Ignored::UnknownValidator(*whose))?;
                beacon.vote(number, Subject::Weight(*whose), *weight)
            }
            Report::Rotation(rotation) => beacon.rotation(rotation),
            Report::Reshard(resharding) => {
                beacon.check_resharding(*resharding)?;
                beacon.vote(number, Subject::Resharding(*resharding), Weight(0))
            }
            Report::Offence(offence) => {
                self.accuse(offence.shard, offence.epoch, &offence.evidence)
            }
            Report::Anchor(anchor) => beacon.next_anchor(number, *anchor),
            Report::Leave => beacon.leave(number),
        }
    }

    /// Executes evidence of the beacon's own chain.
    pub(crate) fn take_evidence(&mut self, evidence: &Evidence) -> Result<(), Ignored> {
        let epoch = self.beacon.plan.epoch;
        self.accuse(BEACON, epoch, evidence)
    }

    /// Isolates a member of a committee of this epoch or the one before, if evidence proves its
    /// guilt. Whoever served then is in a plan that the state has, keys included: everybody comes
    /// to the same judgement.
    fn accuse(&mut self, shard: ShardId, epoch: Epoch, evidence: &Evidence) -> Result<(), Ignored> {
        let plan = self.beacon.plan_of(epoch).ok_or(Ignored::UnknownShard)?;
        let number = seat_number(&plan, shard, evidence.accused()).ok_or(Ignored::UnknownShard)?;
        let accused = self.beacon.validator(number).ok_or(Ignored::UnknownValidator(number))?;
        if accused.is_isolated() {
            return Err(Ignored::AlreadyIsolated);
        }
        let keys = match self.keys.entry((shard, epoch)) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(free) => {
                let committee = plan.committee(shard).map_err(|_| Ignored::UnknownShard)?;
                let keys = CommitteeKeys::decode(self.chain, Arc::new(committee))
                    .map_err(|_| Ignored::UnknownShard)?;
                let schemes = self.beacon.parameters.schemes.account.iter().copied();
                // Whoever acts for closed shards carries what is addressed to them.
                let heirs = plan.heirs.iter().copied().collect();
                free.insert(keys.with_account_schemes(schemes).with_heirs(heirs))
            }
        };
        verify_evidence(evidence, keys)?;
        let now = self.beacon.plan.epoch;
        if let Some(accused) = self.beacon.register.get_mut(&number) {
            accused.standing = Standing::Isolated(now);
        }
        Ok(())
    }
}

/// The number of a member of a committee.
fn seat_number(plan: &EpochPlan, shard: ShardId, member: ValidatorIndex) -> Option<u32> {
    let seat = if shard == BEACON {
        member.position()
    } else {
        let committee = plan.committees.iter().find(|committee| committee.shard == shard)?;
        usize::from(*committee.seats.get(member.position())?)
    };
    plan.validators.get(seat).map(|validator| validator.number)
}

impl Beacon {
    /// The plan of this epoch or the one before.
    fn plan_of(&self, epoch: Epoch) -> Option<Arc<EpochPlan>> {
        let plans = std::iter::once(&self.plan).chain(&self.before);
        plans.into_iter().find(|plan| plan.epoch == epoch).cloned()
    }

    fn checkpoint(&mut self, checkpoint: Checkpoint) -> Result<(), Ignored> {
        let plan = self.plan_of(checkpoint.epoch).ok_or(Ignored::UnknownShard)?;
        if !plan.layout.contains(checkpoint.shard) {
            return Err(Ignored::UnknownShard);
        }
        match self.shards.entry(checkpoint.shard) {
            Entry::Vacant(free) => {
                free.insert(ShardStanding::new(checkpoint));
            }
            Entry::Occupied(mut known) => {
                if !known.get().is_before(&checkpoint) {
                    return Err(Ignored::NotNewer);
                }
                known.get_mut().advance(checkpoint);
            }
        }
        Ok(())
    }

    fn reveal(&mut self, number: u32, value: &Digest) -> Result<(), Ignored> {
        let epoch = self.plan.epoch;
        let author = self.register.get_mut(&number).ok_or(Ignored::NotAMember)?;
        if author.revealed == Some(epoch) {
            return Err(Ignored::AlreadyRevealed);
        }
        if hash_chain_link(value) != author.identity.anchor {
            return Err(Ignored::WrongValue);
        }
        author.identity.anchor = *value;
        author.revealed = Some(epoch);
        self.progress.entropy = mix_reveal(&self.progress.entropy, number, value);
        Ok(())
    }

    fn registration(&mut self, by: u32, registration: &Registration) -> Result<(), Ignored> {
        let schemes = &self.parameters.schemes;
        let recovery = registration.recovery.as_ref().map(|recovery| (Role::Operator, recovery));
        let keys = [
            (Role::Consensus, &registration.consensus),
            (Role::Transport, &registration.transport),
        ];
        for (role, proven) in keys.into_iter().chain(recovery) {
            if !schemes.allow(role, proven.key.scheme()) {
                return Err(Ignored::SchemeNotAllowed(role));
            }
        }
        let (consensus, transport) = (&registration.consensus.key, &registration.transport.key);
        let mut others = self.register.values();
        if others.any(|other| other.claims(consensus) || other.links_with(transport)) {
            return Err(Ignored::KeyInUse);
        }
        let digest = registration.digest();
        if self.candidates.contains_key(&digest) {
            return Err(Ignored::AlreadyRegistered);
        }
        let brought = self.candidates.values().filter(|candidate| candidate.by == by).count();
        if brought >= MAX_CANDIDATES_EACH {
            return Err(Ignored::TooManyCandidates);
        }
        let identity = Identity::from(registration);
        self.candidates.insert(digest, Candidate { by, weight: registration.weight, identity });
        Ok(())
    }

    /// A member's last word on a subject counts.
    fn vote(&mut self, number: u32, subject: Subject, weight: Weight) -> Result<(), Ignored> {
        let votes = self.votes.entry(number).or_default();
        if votes.get(&subject) == Some(&weight) {
            return Err(Ignored::AlreadyVoted);
        }
        if votes.len() >= MAX_VOTES_EACH && !votes.contains_key(&subject) {
            return Err(Ignored::TooManyVotes);
        }
        votes.insert(subject, weight);
        Ok(())
    }

    fn check_resharding(&self, resharding: Resharding) -> Result<(), Ignored> {
        let takes_new = match resharding {
            Resharding::Split { new, .. } => is_new(new, self.progress.next_shard),
            Resharding::Merge { .. } => true,
        };
        if !takes_new || self.plan.reshard(&[resharding]).is_err() {
            return Err(Ignored::ImpossibleResharding);
        }
        Ok(())
    }

    fn rotation(&mut self, rotation: &KeyRotation) -> Result<(), Ignored> {
        let body = &rotation.body;
        let number = body.number;
        let validator = self.validator(number).ok_or(Ignored::UnknownValidator(number))?;
        if validator.identity.recovery.as_ref() != Some(&body.recovery) {
            return Err(Ignored::OtherRecoveryKey(number));
        }
        let expected = validator.rotations.saturating_add(1);
        if body.counter != expected {
            return Err(Ignored::WrongCounter { expected });
        }
        let keys = [(Role::Consensus, &body.consensus), (Role::Transport, &body.transport)];
        for (role, key) in keys {
            if key.as_ref().is_some_and(|key| !self.parameters.schemes.allow(role, key.scheme())) {
                return Err(Ignored::SchemeNotAllowed(role));
            }
        }
        let others = self.register.values().filter(|other| other.number != number);
        let takes = |other: &RegisteredValidator| {
            body.consensus.as_ref().is_some_and(|key| other.claims(key))
                || body.transport.as_ref().is_some_and(|key| other.links_with(key))
        };
        if others.clone().any(takes) {
            return Err(Ignored::KeyInUse);
        }
        if let Some(validator) = self.register.get_mut(&number) {
            validator.rotations = expected;
            validator.next = Replacement {
                // What an earlier rotation of this epoch replaces and this one does not, stays.
                consensus: body.consensus.clone().or_else(|| validator.next.consensus.take()),
                transport: body.transport.clone().or_else(|| validator.next.transport.take()),
                anchor: body.anchor.or(validator.next.anchor),
            };
        }
        Ok(())
    }

    fn next_anchor(&mut self, number: u32, anchor: Digest) -> Result<(), Ignored> {
        let author = self.register.get_mut(&number).ok_or(Ignored::NotAMember)?;
        if author.next.anchor.replace(anchor) == Some(anchor) {
            return Err(Ignored::NothingNew);
        }
        Ok(())
    }

    fn leave(&mut self, number: u32) -> Result<(), Ignored> {
        let author = self.register.get_mut(&number).ok_or(Ignored::NotAMember)?;
        if author.standing == Standing::Leaving {
            return Err(Ignored::NothingNew);
        }
        author.standing = Standing::Leaving;
        Ok(())
    }
}
