//! The end of an epoch: the plan of the next one, and the state as it finds it.

use std::collections::BTreeMap;
use std::sync::Arc;

use qcn_crypto::{Digest, Domain, hash};
use qcn_light::{Standing, draw_committees};
use qcn_types::{
    BEACON, Bounded, Committee, Epoch, EpochPlan, MAX_MEMBERS, PlannedCommittee, PlannedValidator,
    ShardId, ValidatorIndex, Weight, encode,
};

use super::layout_change::{LayoutChange, count_epochs};
use super::register::{Identity, MAX_NUMBERS, MAX_REGISTERED, RegisteredValidator};
use super::{Beacon, Progress, Subject};

/// Where no plan could be made it is tried again after so much committed time, in milliseconds:
/// making one takes the beacon's whole state, and commits follow each other within fractions of that.
const TRIED_AGAIN_MS: u64 = 1_000;

impl Beacon {
    /// Notes that an execution has ended at this committed time; says whether the epoch ends with
    /// it. The state is that of the next epoch then.
    pub(crate) fn end_execution(&mut self, time_ms: u64) -> bool {
        let started_ms = *self.progress.started_ms.get_or_insert(time_ms);
        let has_passed = time_ms >= started_ms.saturating_add(self.parameters.epoch_ms);
        let failed_ms = self.progress.failed_ms;
        let is_tried = failed_ms.is_none_or(|at| time_ms >= at.saturating_add(TRIED_AGAIN_MS));
        if !has_passed || !is_tried || !self.all_shards_report() {
            return false;
        }
        match self.next_epoch(time_ms) {
            Some(next) => {
                *self = next;
                true
            }
            None => {
                self.progress.failed_ms = Some(time_ms);
                false
            }
        }
    }

    /// Whether every shard of the layout has reported a checkpoint of this epoch.
    fn all_shards_report(&self) -> bool {
        let mut shards = self.plan.layout.shards().iter();
        shards.all(|(_, shard)| {
            self.shards.get(shard).is_some_and(|it| it.latest.epoch == self.plan.epoch)
        })
    }

    /// The next epoch, or `None` if nobody is left to serve in it.
    fn next_epoch(&self, time_ms: u64) -> Option<Self> {
        let decided = self.decided();
        let (register, next_number) = self.next_register(&decided);
        let seated = register.values().filter(|validator| !validator.is_isolated());
        let validators: Vec<PlannedValidator> = seated.map(RegisteredValidator::planned).collect();
        let mut shards = count_epochs(self);
        let mut change = LayoutChange::new(self, validators.len());
        for subject in decided.keys() {
            if let Subject::Resharding(resharding) = subject {
                change.make(*resharding);
            }
        }
        change.follow_load(&shards);
        let next_shard = change.next_shard;
        let touched = std::mem::take(&mut change.touched);
        let plan = self.next_plan(validators, change)?;
        let committee = Arc::new(plan.committee(BEACON).ok()?);
        shards.retain(|shard, _| self.plan.layout.contains(*shard));
        for (_, standing) in shards.iter_mut().filter(|(shard, _)| touched.contains(shard)) {
            (standing.loaded_epochs, standing.idle_epochs) = (0, 0);
        }
        Some(Self {
            parameters: self.parameters.clone(),
            plan: Arc::new(plan),
            before: Some(Arc::clone(&self.plan)),
            committee,
            register,
            candidates: BTreeMap::new(),
            votes: BTreeMap::new(),
            shards,
            progress: Progress {
                next_number,
                next_shard,
                started_ms: Some(time_ms),
                failed_ms: None,
                entropy: Digest::ZERO,
            },
        })
    }

    /// What a quorum of the beacon's weight agrees on. Each member has one word on a subject, so
    /// there is one weight at most that has a quorum. Who is isolated has no say any more.
    fn decided(&self) -> BTreeMap<Subject, Weight> {
        let mut tally: BTreeMap<(Subject, Weight), u64> = BTreeMap::new();
        for (position, member) in self.plan.validators.iter().enumerate() {
            let number = member.number;
            if self.validator(number).is_none_or(RegisteredValidator::is_isolated) {
                continue;
            }
            let power = self.committee.weight(ValidatorIndex(position as u16));
            for (subject, weight) in self.votes(number) {
                *tally.entry((*subject, *weight)).or_default() += power;
            }
        }
        let quorum = self.committee.quorum_weight();
        tally.into_iter().filter(|(_, power)| *power >= quorum).map(|(choice, _)| choice).collect()
    }

    /// The register of the next epoch, and the first number that nobody had.
    fn next_register(
        &self,
        decided: &BTreeMap<Subject, Weight>,
    ) -> (BTreeMap<u32, RegisteredValidator>, u32) {
        let mut draft = Draft {
            epoch: self.plan.epoch,
            seats: usize::from(self.parameters.seats),
            register: self.register.clone(),
            next_number: self.progress.next_number,
        };
        draft.register.values_mut().for_each(RegisteredValidator::turn_over);
        for (subject, weight) in decided.iter().filter(|(_, weight)| **weight != Weight(0)) {
            match subject {
                Subject::Weight(number) => draft.reweigh(*number, *weight),
                Subject::Admission(digest) => {
                    if let Some(candidate) = self.candidates.get(digest) {
                        draft.admit(candidate, *weight);
                    }
                }
                Subject::Resharding(_) => {}
            }
        }
        let voted_out = |number: &u32| decided.get(&Subject::Weight(*number)) == Some(&Weight(0));
        let leave = |validator: &RegisteredValidator| validator.standing == Standing::Leaving;
        let gone = draft.register.values().filter(|it| leave(it) || voted_out(&it.number));
        for number in gone.map(|validator| validator.number).collect::<Vec<_>>() {
            draft.remove(number);
        }
        (draft.register, draft.next_number)
    }

    fn next_plan(
        &self,
        validators: Vec<PlannedValidator>,
        change: LayoutChange<'_>,
    ) -> Option<EpochPlan> {
        let epoch = Epoch(self.plan.epoch.0.checked_add(1)?);
        let seed = next_seed(&self.plan.seed, epoch, &self.progress.entropy);
        let shape = PlanShape { epoch, seed, seats: self.parameters.seats, validators };
        let mut plan = shape.draw(change.layout)?;
        plan.reshardings = Bounded::new(change.done).ok()?;
        plan.heirs = Bounded::new(change.heirs).ok()?;
        Some(plan)
    }
}

/// The seed of an epoch: it follows from the one before and all that was revealed in it.
fn next_seed(seed: &Digest, epoch: Epoch, entropy: &Digest) -> Digest {
    hash(Domain::Beacon, &encode(&("seed", seed, epoch, entropy)))
}

/// What a plan is drawn from, besides the layout.
pub(super) struct PlanShape {
    pub(super) epoch: Epoch,
    pub(super) seed: Digest,
    pub(super) seats: u16,
    pub(super) validators: Vec<PlannedValidator>,
}

impl PlanShape {
    /// Draws the committees. Where there are fewer validators than seats, all serve every shard.
    /// `None` if nobody can serve, or some committee could not be formed.
    pub(super) fn draw(self, layout: qcn_types::Layout) -> Option<EpochPlan> {
        let weights: Vec<Weight> = self.validators.iter().map(|it| it.weight).collect();
        let shards: Vec<ShardId> = layout.shards().iter().map(|(_, shard)| *shard).collect();
        let seats = usize::from(self.seats).min(weights.len());
        let draw = draw_committees(&self.seed, self.epoch, &weights, &shards, seats).ok()?;
        let committees = draw.committees.into_iter().map(|drawn| PlannedCommittee {
            shard: drawn.shard,
            seats: Bounded::truncated(drawn.seats.into_iter().map(|seat| seat as u16).collect()),
        });
        let plan = EpochPlan {
            epoch: self.epoch,
            seed: self.seed,
            layout,
            reshardings: Bounded::default(),
            heirs: Bounded::default(),
            committees: Bounded::truncated(committees.collect()),
            validators: Bounded::new(self.validators).ok()?,
        };
        let all_form = plan.shards().all(|shard| plan.committee(shard).is_ok());
        all_form.then_some(plan)
    }
}

/// The register on its way into the next epoch. What would make committees impossible is not
/// done.
struct Draft {
    /// The one that ends.
    epoch: Epoch,
    seats: usize,
    register: BTreeMap<u32, RegisteredValidator>,
    next_number: u32,
}

impl Draft {
    fn seated(&self) -> impl Iterator<Item = &RegisteredValidator> {
        self.register.values().filter(|validator| !validator.is_isolated())
    }

    /// Whether there is room for one more weight beside all others but that of one number.
    fn has_room(&self, but: Option<u32>, weight: Weight) -> bool {
        let others = || self.seated().filter(|it| Some(it.number) != but);
        let sum: u128 = others().map(|it| u128::from(it.weight.0)).sum();
        others().count() < MAX_MEMBERS
            && sum + u128::from(weight.0) <= u128::from(Committee::MAX_TOTAL)
    }

    /// Gives a validator another weight. It ends an isolation, but not one of this epoch: who
    /// voted may not have known of the offence. By the time that it serves again, the plan in which it
    /// did what it did is forgotten, so that no offence has its consequence twice.
    fn reweigh(&mut self, number: u32, weight: Weight) {
        let has_room = self.has_room(Some(number), weight);
        let Some(validator) = self.register.get_mut(&number).filter(|_| has_room) else {
            return;
        };
        validator.weight = weight;
        if let Standing::Isolated(since) = validator.standing
            && since != self.epoch
        {
            validator.standing = Standing::Active;
        }
    }

    fn admit(&mut self, candidate: &super::Candidate, weight: Weight) {
        let Identity { consensus, transport, .. } = &candidate.identity;
        let mut others = self.register.values();
        let is_known = others.any(|other| other.claims(consensus) || other.links_with(transport));
        let is_full = self.register.len() >= MAX_REGISTERED || self.next_number >= MAX_NUMBERS;
        if is_known || is_full || !self.has_room(None, weight) {
            return;
        }
        let number = self.next_number;
        let identity = candidate.identity.clone();
        self.register.insert(number, RegisteredValidator::new(number, identity, weight));
        self.next_number += 1;
    }

    /// Removes a validator, unless the seats of a shard could not be filled without it.
    fn remove(&mut self, number: u32) {
        let has_seat = self.seated().any(|validator| validator.number == number);
        if !has_seat || self.seated().count() > self.seats {
            self.register.remove(&number);
        }
    }
}
