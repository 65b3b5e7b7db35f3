//! What must hold while validators come, replace their keys and go (DESIGN section 9).
//!
//! - **weight_by_plan**: whoever has weight in a certificate has a seat by the plan of its epoch, and
//!   signed with the key that the plan names. Counted anew from the plan alone.
//! - **one_key_a_slot**: an honest validator signs with the key that the plan of the epoch names, no
//!   key signs for two validators, and none signs two blocks in one slot.
//! - **planned_as_registered**: a plan has all who are registered and not isolated, nobody else, and
//!   of everybody the key of its last rotation. Who comes was admitted or taken back since the plan
//!   before, who goes wanted to leave, was voted out or is isolated.
//! - **membership_comes_about**: what all members were for, through whole epochs, has come about.
//! - **admitted_serve**: an honest validator that was admitted, taken back or given a new key has
//!   proposed blocks since, in the beacon, again and again, and in shards for which it was drawn.
//!   Drawn networks (`random.rs`) isolate only adversaries, so that they judge nobody who was taken
//!   back: only the tests do that in which an honest key is made to sign twice.

use std::collections::{BTreeMap, BTreeSet};

use qcn_crypto::{ChainId, Digest, Domain, VerifyingKey, hash_pair};
use qcn_ledger::Beacon;
use qcn_types::{
    Attestation, AttestationProof, BEACON, BlockHeader, BlockRef, Certificate, Epoch, EpochPlan,
    Height, PlannedValidator, Round, ShardId, ValidatorIndex, attestations_digest,
};

use super::matters::{Matter, State};
use super::{Change, Membership, Tallies};
use crate::invariants::Violation;
use crate::sharding::handover::Place;
use crate::sharding::{Notice, ShardedNetwork};

const WEIGHT: &str = "weight_by_plan";
const ONE_KEY: &str = "one_key_a_slot";
const PLANNED: &str = "planned_as_registered";
const COMES_ABOUT: &str = "membership_comes_about";
const SERVES: &str = "admitted_serve";

/// Within which time of its plan a validator has proposed something, in microseconds.
const SERVES_WITHIN_US: u64 = 15_000_000;

/// Who was drawn for shards in so many epochs was in time for one of them.
const DRAWN_EPOCHS: usize = 3;

/// Who is in so many plans one after the other, all of them of calm times, has proposed something in
/// the beacon in one of them: it may miss a short epoch.
const IDLE_EPOCHS: usize = 3;

/// The most violations kept.
const MAX_VIOLATIONS: usize = 20;

/// What is wrong with every block of somebody in an epoch of a shard is said once.
type About = (ShardId, Epoch, Option<usize>);

/// What was seen so far.
#[derive(Debug, Default)]
pub(in crate::sharding) struct Checks {
    violations: Vec<Violation>,
    /// What was reported, and about whom.
    reported: BTreeSet<(&'static str, About)>,
    /// The heights of each engine whose certificates were counted.
    certified: BTreeSet<(usize, Height)>,
    /// Which block a key signed in a slot.
    slots: BTreeMap<(Digest, ShardId, Epoch, Round), Digest>,
    /// For whom each key signs.
    holders: BTreeMap<Digest, usize>,
    /// In which epochs of which shards validators have proposed something.
    served: BTreeSet<(usize, ShardId, Epoch)>,
}

impl Checks {
    fn report(&mut self, now: u64, invariant: &'static str, about: About, detail: String) {
        // What is wrong with every block would leave no room for what else is found.
        let is_new = self.reported.insert((invariant, about));
        if is_new && self.violations.len() < MAX_VIOLATIONS {
            self.violations.push(Violation { invariant, time_us: now, validator: None, detail });
        }
    }

    /// What was found so far.
    #[cfg(test)]
    pub(in crate::sharding) fn found(&self) -> &[Violation] {
        &self.violations
    }

    /// As if nothing had been proposed but what is kept: by whom, in which epoch of which shard.
    #[cfg(test)]
    pub(in crate::sharding) fn keep_served(
        &mut self,
        kept: impl FnMut(&(usize, ShardId, Epoch)) -> bool,
    ) {
        self.served.retain(kept);
    }

    /// A certificate was seen.
    pub(in crate::sharding) fn certificate(
        &mut self,
        now: u64,
        (place, plan): (&Place, &EpochPlan),
        chain: ChainId,
        certificate: &Certificate,
    ) {
        let checkpoint = &certificate.checkpoint;
        let attested = Attestation { height: checkpoint.height, checkpoint: checkpoint.digest() };
        let weights = seat_weights(place, plan);
        let mut authors = BTreeSet::new();
        for proof in &certificate.attestations {
            let seat = proof.author.position();
            let validator = place.validators.get(seat);
            let planned = validator.and_then(|number| planned(plan, *number));
            let is_signed = planned.is_some_and(|it| is_signed_with(&it.key, chain, proof));
            let wrong = if !is_signed || !proof.attestations.contains(&attested) {
                "without the key that the plan names"
            } else if authors.insert(seat) {
                continue;
            } else {
                "more than once"
            };
            let detail = format!(
                "member {} of shard {} in epoch {} attests height {} {wrong}",
                proof.author, place.shard, place.epoch, checkpoint.height
            );
            self.report(now, WEIGHT, (place.shard, place.epoch, Some(seat)), detail);
        }
        let total: u64 = weights.iter().sum();
        let quorum = total - total.saturating_sub(1) / 3;
        let weight: u64 = authors.iter().filter_map(|seat| weights.get(*seat)).sum();
        if weight < quorum {
            let detail = format!(
                "shard {} in epoch {}: height {} is certified with weight {weight}, a quorum of the \
                 plan is {quorum}",
                place.shard, place.epoch, checkpoint.height
            );
            self.report(now, WEIGHT, (place.shard, place.epoch, None), detail);
        }
    }

    /// An honest validator signs with a key.
    pub(in crate::sharding) fn signs(
        &mut self,
        now: u64,
        (place, plan): (&Place, &EpochPlan),
        seat: usize,
        key: Digest,
    ) {
        let Some(number) = place.validators.get(seat).copied() else {
            return;
        };
        let about = (place.shard, place.epoch, Some(number));
        if planned(plan, number).is_none_or(|it| it.key.digest() != key) {
            let detail = format!(
                "validator {number} signs in shard {} with a key that the plan of epoch {} does not \
                 name",
                place.shard, place.epoch
            );
            self.report(now, ONE_KEY, about, detail);
        }
        let holder = *self.holders.entry(key).or_insert(number);
        if holder != number {
            let detail = format!("one key signs for validators {holder} and {number}");
            self.report(now, ONE_KEY, about, detail);
        }
    }

    /// An honest validator proposes a block signed with a key.
    pub(in crate::sharding) fn proposes(
        &mut self,
        now: u64,
        place: &Place,
        seat: usize,
        key: Digest,
        block: &BlockRef,
    ) {
        let Some(number) = place.validators.get(seat).copied() else {
            return;
        };
        let about = (place.shard, place.epoch, Some(number));
        self.served.insert((number, place.shard, place.epoch));
        let slot = (key, place.shard, place.epoch, block.round);
        if *self.slots.entry(slot).or_insert(block.digest) != block.digest {
            let detail = format!(
                "validator {number} signs two blocks of round {} of shard {} in epoch {}",
                block.round, place.shard, place.epoch
            );
            self.report(now, ONE_KEY, about, detail);
        }
    }
}

/// Whether an attestation is signed with a key.
fn is_signed_with(key: &qcn_crypto::PublicKey, chain: ChainId, proof: &AttestationProof) -> bool {
    let attestations = attestations_digest(&proof.attestations);
    let digest = hash_pair(Domain::Block, &proof.header, &attestations);
    let context = BlockHeader::signing_context(chain);
    VerifyingKey::decode(key)
        .is_ok_and(|key| key.verify(&context, digest.as_bytes(), &proof.signature).is_ok())
}

/// What each seat weighs by a plan. Of four or more none has more than f, the largest weight that
/// may be faulty: what is above is cut until that holds of what is left.
fn seat_weights(place: &Place, plan: &EpochPlan) -> Vec<u64> {
    let weight = |number: &usize| planned(plan, *number).map_or(0, |it| it.weight.0);
    let mut weights: Vec<u64> = place.validators.iter().map(weight).collect();
    while weights.len() >= 4 {
        let most = (weights.iter().sum::<u64>().saturating_sub(1) / 3).max(1);
        if weights.iter().all(|weight| *weight <= most) {
            break;
        }
        weights.iter_mut().for_each(|weight| *weight = most.min(*weight));
    }
    weights
}

fn planned(plan: &EpochPlan, number: usize) -> Option<&PlannedValidator> {
    plan.validators.iter().find(|it| it.number as usize == number)
}

impl Membership {
    /// A plan was made of what is registered. `before` is the one that it follows.
    pub(in crate::sharding) fn check_plan(
        &mut self,
        now: u64,
        (before, plan): (&EpochPlan, &EpochPlan),
        beacon: &Beacon,
    ) {
        let mut wrong = self.wrong_keys(plan);
        wrong.extend(wrong_seats(plan, beacon));
        wrong.extend(self.undecided(now, (before, plan), beacon));
        let Some(checks) = &mut self.checks else {
            return;
        };
        let mut by_number: BTreeMap<usize, Vec<String>> = BTreeMap::new();
        for (number, what) in wrong {
            by_number.entry(number).or_default().push(what);
        }
        for (number, what) in by_number {
            let detail = format!("the plan of epoch {} {}", plan.epoch, what.join(", and "));
            checks.report(now, PLANNED, (BEACON, plan.epoch, Some(number)), detail);
        }
    }

    /// Who has a key in a plan that nobody registered.
    fn wrong_keys(&self, plan: &EpochPlan) -> Vec<(usize, String)> {
        let mut wrong = Vec::new();
        for validator in &plan.validators {
            let number = validator.number as usize;
            let who = self.people.who(number);
            let is_known = self.people.number(who) == Some(number);
            let key = self.people.consensus_key(who, self.matters.rotations(who));
            if !is_known || *key.public_key() != validator.key {
                let what =
                    format!("has validator {number} with a key that nobody registered for it");
                wrong.push((number, what));
            }
        }
        wrong
    }

    /// Who has come or gone between two plans without anybody wanting it.
    fn undecided(
        &self,
        now: u64,
        (before, plan): (&EpochPlan, &EpochPlan),
        beacon: &Beacon,
    ) -> Vec<(usize, String)> {
        let numbers = |plan: &EpochPlan| -> BTreeSet<usize> {
            plan.validators.iter().map(|it| it.number as usize).collect()
        };
        let (old, new) = (numbers(before), numbers(plan));
        let mut wrong = Vec::new();
        for number in old.difference(&new).copied() {
            let registered = beacon.validator(number as u32);
            let is_isolated = registered.is_some_and(|it| it.is_isolated());
            if !is_isolated && !self.matters.may_have_gone(now, self.people.who(number)) {
                wrong.push((number, format!("lacks validator {number}, which nobody decided")));
            }
        }
        for number in new.difference(&old).copied() {
            if !self.matters.may_have_come(now, self.people.who(number), plan.epoch) {
                let what = format!("has validator {number} anew, which nobody decided");
                wrong.push((number, what));
            }
        }
        wrong
    }
}

/// Who is in a plan and should not be, or the other way round: all that are registered and not
/// isolated are to be in it.
fn wrong_seats(plan: &EpochPlan, beacon: &Beacon) -> Vec<(usize, String)> {
    let is_seated = |number: usize| {
        beacon.validator(number as u32).is_some_and(|validator| !validator.is_isolated())
    };
    let numbers = plan.validators.iter().map(|it| it.number as usize);
    let too_many = numbers.filter(|number| !is_seated(*number)).map(|number| {
        (number, format!("has validator {number}, which is isolated or not registered"))
    });
    let registered = beacon.register().map(|it| it.number as usize);
    let missing = registered
        .filter(|number| is_seated(*number) && planned(plan, *number).is_none())
        .map(|number| (number, format!("lacks validator {number}, which is registered")));
    too_many.chain(missing).collect()
}

impl ShardedNetwork {
    /// Looks at what a shard told, if anything happens to who the validators are.
    pub(in crate::sharding) fn check_membership(&mut self, engine: usize, notice: &Notice) {
        let Some(checks) = &mut self.membership.checks else {
            return;
        };
        let (now, place, network) = (self.now, &self.places[engine], &self.shards[engine]);
        let Some(plan) = self.handover.plans.get(&place.epoch).map(|it| it.plan.as_ref()) else {
            return;
        };
        let key = |validator: &ValidatorIndex| {
            network.engine.setup.signing[validator.position()].public_key().digest()
        };
        match notice {
            Notice::Signs { validator } => {
                checks.signs(now, (place, plan), validator.position(), key(validator));
            }
            Notice::Proposed { block } => {
                let author = block.author;
                checks.proposes(now, place, author.position(), key(&author), block);
            }
            Notice::Certified { validator, height } => {
                if checks.certified.contains(&(engine, *height)) {
                    return;
                }
                let shard = network.shard(validator.position());
                let certificate = shard.and_then(qcn_shard::Shard::newest_certificate);
                // It may be a later one already: another validator may still show this one then.
                let is_new =
                    |it: &Certificate| checks.certified.insert((engine, it.checkpoint.height));
                if let Some(certificate) = certificate.filter(is_new) {
                    let chain = network.engine.setup.keys.chain();
                    checks.certificate(now, (place, plan), chain, &certificate);
                }
            }
            _ => {}
        }
    }

    /// What of it can be judged only at the end.
    pub(in crate::sharding) fn membership_at_end(&self) -> Vec<Violation> {
        let Some(checks) = &self.membership.checks else {
            return Vec::new();
        };
        let mut violations = checks.violations.clone();
        let mut report = |invariant, detail| {
            violations.push(Violation { invariant, time_us: self.now, validator: None, detail });
        };
        let matters = &self.membership.matters;
        let plans = self.handover.plans.values();
        let mut epochs: Vec<(u64, usize)> =
            plans.map(|announced| (announced.at, announced.plan.validators.len())).collect();
        epochs.pop();
        for matter in matters.overdue(&epochs, self.description.validators) {
            // An adversary may not even say what it wants.
            if matter.event.change != Change::Leave || self.is_honest(matter.event.who) {
                report(COMES_ABOUT, format!("{}: it has not come about", matter.event.describe()));
            }
        }
        for matter in &matters.matters {
            if let Some(what) = self.does_not_serve(checks, matter) {
                report(SERVES, format!("validator {} {what}", matter.event.who));
            }
        }
        violations
    }

    fn is_honest(&self, who: usize) -> bool {
        self.description.adversaries.iter().all(|(_, adversary, _)| *adversary != who)
    }

    /// What somebody who is to serve since a change does not do.
    fn does_not_serve(&self, checks: &Checks, matter: &Matter) -> Option<String> {
        let State::Done(since) = matter.state else {
            return None;
        };
        let serves =
            matches!(matter.event.change, Change::Join | Change::Rotate | Change::TakeBack(_));
        let number = self.membership.people.number(matter.event.who)?;
        if !serves || !self.is_honest(matter.event.who) {
            return None;
        }
        let calm = self.membership.matters.calm();
        let is_long_ago = |at: u64| at.max(calm) + SERVES_WITHIN_US <= self.now;
        let plans = self.handover.plans.range(since..);
        let old = plans.filter(|(_, announced)| is_long_ago(announced.at));
        let is_served = |it: &EpochPlan| checks.served.contains(&(number, BEACON, it.epoch));
        let mut idle = 0;
        for (epoch, announced) in old.clone().filter(|(_, announced)| announced.at >= calm) {
            let is_idle = planned(&announced.plan, number).is_some() && !is_served(&announced.plan);
            idle = if is_idle { idle + 1 } else { 0 };
            if idle >= IDLE_EPOCHS {
                return Some(format!(
                    "has proposed nothing in the beacon in {idle} epochs up to {epoch}"
                ));
            }
        }
        planned(self.handover.newest(), number)?;
        let plans: Vec<&EpochPlan> = old.map(|(_, announced)| announced.plan.as_ref()).collect();
        plans.first()?;
        let mut served = checks.served.iter().filter(|it| it.0 == number && it.2 >= since);
        if !served.clone().any(|(_, shard, _)| *shard == BEACON) {
            return Some(format!("has proposed nothing in the beacon since epoch {since}"));
        }
        let seat = |plan: &EpochPlan| {
            plan.layout
                .shards()
                .iter()
                .any(|(_, shard)| Place::of(plan, *shard).validators.contains(&number))
        };
        let drawn = plans.into_iter().filter(|plan| seat(plan)).count();
        let is_idle = drawn >= DRAWN_EPOCHS && served.all(|(_, shard, _)| *shard == BEACON);
        is_idle.then(|| {
            format!(
                "was drawn for shards in {drawn} epochs since {since} and proposed nothing there"
            )
        })
    }

    /// What became of all changes of who the validators are so far.
    #[must_use]
    pub fn memberships(&self) -> Tallies {
        let newest = self.handover.newest();
        self.membership.matters.tallies(self.now, newest, self.description.validators)
    }
}
