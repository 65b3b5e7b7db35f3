//! A beacon that does what the script says, for runs in which the shards are to be looked at and
//! not the beacon: its plans are drawn as the real one draws them, and certified by the keys of
//! all validators.

use std::collections::BTreeSet;
use std::sync::Arc;

use qcn_crypto::{ChainId, Digest, Domain, SeededRandomness, hash, hash_pair};
use qcn_light::draw_committees;
use qcn_types::{
    Announcement, Attestation, AttestationProof, BEACON, BlockHeader, Bounded, Certificate,
    Checkpoint, Epoch, EpochPlan, Layout, PlannedCommittee, PlannedValidator, Resharding, ShardId,
    ValidatorIndex, Weight, attestations_digest, encode,
};

use crate::keys::KeyRing;

/// The weight of every validator.
const WEIGHT: Weight = Weight(1_000);

/// The plan of the first epoch, whose committees are given as numbers of validators.
pub(super) fn first_plan(
    keys: KeyRing,
    seed: Digest,
    layout: &Layout,
    committees: &[Vec<usize>],
) -> EpochPlan {
    let numbers: BTreeSet<usize> = committees.iter().flatten().copied().collect();
    let numbers: Vec<usize> = numbers.into_iter().collect();
    let validators = numbers.iter().map(|number| PlannedValidator {
        number: *number as u32,
        key: keys.validator(*number).public_key().clone(),
        weight: WEIGHT,
    });
    let committee = |(shard, members): (ShardId, &Vec<usize>)| {
        let seats = members.iter().filter_map(|number| numbers.binary_search(number).ok());
        PlannedCommittee { shard, seats: Bounded::truncated(seats.map(|at| at as u16).collect()) }
    };
    let shards = layout.shards().iter().map(|(_, shard)| *shard);
    EpochPlan {
        epoch: Epoch(0),
        seed,
        layout: layout.clone(),
        reshardings: Bounded::default(),
        heirs: Bounded::default(),
        validators: Bounded::truncated(validators.collect()),
        committees: Bounded::truncated(shards.zip(committees).map(committee).collect()),
    }
}

/// How many draws are tried for one that gives no committee two faulty members.
const MAX_DRAWS: usize = 1_000;

/// The plan of the epoch after `plan`; changes of the layout that cannot be made are left out.
/// No committee has more than one of the faulty: that is what a run may assume, as real drawing
/// makes it likely in committees that are large enough. `None` if none such was drawn.
pub(super) fn next_plan(
    plan: &EpochPlan,
    wanted: &[Resharding],
    seats: usize,
    faulty: &[usize],
) -> Option<EpochPlan> {
    let mut made = Vec::new();
    let (mut layout, mut heirs) = (plan.layout.clone(), plan.heirs.to_vec());
    for resharding in wanted {
        let mut with = made.clone();
        with.push(*resharding);
        if let Ok(after) = plan.reshard(&with) {
            (layout, heirs) = after;
            made = with;
        }
    }
    let is_faulty = |seat: usize| faulty.contains(&(plan.validators[seat].number as usize));
    let mut seed = plan.seed;
    let epoch = Epoch(plan.epoch.0 + 1);
    let weights: Vec<Weight> = plan.validators.iter().map(|validator| validator.weight).collect();
    let shards: Vec<ShardId> = layout.shards().iter().map(|(_, shard)| *shard).collect();
    let draw = (0..MAX_DRAWS).find_map(|_| {
        seed = hash(Domain::Beacon, seed.as_bytes());
        let draw = draw_committees(&seed, epoch, &weights, &shards, seats).ok()?;
        let is_safe = |seats: &[usize]| seats.iter().filter(|seat| is_faulty(**seat)).count() <= 1;
        draw.committees.iter().all(|committee| is_safe(&committee.seats)).then_some(draw)
    })?;
    let committees = draw.committees.into_iter().map(|committee| PlannedCommittee {
        shard: committee.shard,
        seats: Bounded::truncated(committee.seats.into_iter().map(|seat| seat as u16).collect()),
    });
    Some(EpochPlan {
        epoch,
        seed,
        layout,
        reshardings: Bounded::truncated(made),
        heirs: Bounded::truncated(heirs),
        validators: plan.validators.clone(),
        committees: Bounded::truncated(committees.collect()),
    })
}

/// What the beacon of `before` would certify: that this plan follows.
pub(super) fn announce(
    chain: ChainId,
    keys: KeyRing,
    before: &EpochPlan,
    plan: EpochPlan,
) -> Arc<Announcement> {
    let checkpoint = Checkpoint {
        shard: BEACON,
        epoch: before.epoch,
        next_epoch: plan.digest(),
        ..Checkpoint::default()
    };
    let attestation = Attestation { height: checkpoint.height, checkpoint: checkpoint.digest() };
    let attestations = Bounded::truncated(vec![attestation]);
    let proofs = before.validators.iter().enumerate().map(|(index, validator)| {
        let header = hash(Domain::Simulation, &encode(&(validator.number, plan.epoch)));
        let digest = hash_pair(Domain::Block, &header, &attestations_digest(&attestations));
        let context = BlockHeader::signing_context(chain);
        let mut randomness = SeededRandomness::from_seed(digest.as_bytes());
        let signature = keys
            .validator(validator.number as usize)
            .sign_seeded(&context, digest.as_bytes(), &mut randomness)
            .expect("a good key signs");
        AttestationProof {
            author: ValidatorIndex(index as u16),
            header,
            attestations: attestations.clone(),
            signature,
        }
    });
    let certificate =
        Certificate { checkpoint, attestations: Bounded::truncated(proofs.collect()) };
    Arc::new(Announcement { certificate, plan })
}
