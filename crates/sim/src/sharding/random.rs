//! Random networks of shards, one for each seed: what `qcn sim fuzz --shards` tries.
//!
//! First anything goes wrong, in every shard within what it tolerates, and between shards whatever
//! relayers like; then all is calm, and everything that was sent must arrive.

use qcn_consensus::Config;
use qcn_types::{Resharding, ShardId, Time};

use super::{BadRelayer, BeaconOptions, Change, ShardedBuilder, ShardedNetwork};
use crate::adversary::Adversary;
use crate::disk::DiskFault;
use crate::fault::{CrashMoment, Fault, OutputKind};
use crate::keys::KeyRing;
use crate::network::LatencyModel;
use crate::random::Random;

/// The most shards.
const SHARDS_MAX: u64 = 4;
/// The most epochs that end, besides the running one.
const EPOCHS_MAX: u64 = 3;
/// The most faults in one shard.
const FAULTS_MAX: u64 = 4;
/// The longest way of a message between a newcomer and a member, in microseconds.
const GUEST_LATENCY_MAX_US: u64 = 400_000;
/// In how many of the networks with a beacon something happens to who the validators are.
const MEMBERSHIP_PER_MILLION: u64 = 600_000;
/// In how many of the networks of several shards one is captured: a sixteenth.
const CAPTURED_PER_MILLION: u64 = 62_500;
/// When all is calm at the earliest and the latest, in milliseconds.
const CALM_MS: [u64; 2] = [3_000, 9_000];
/// How long the run goes on after that, in milliseconds: long enough for clients to hand in
/// again, for relayers to step in one after the other, and for a shard to catch up.
const AFTER_CALM_MS: u64 = 24_000;

/// A network of shards and how long it is to run.
#[derive(Clone, Debug)]
pub struct ShardedPlan {
    /// The network, ready to be built.
    pub builder: ShardedBuilder,
    /// When its run ends.
    pub until: Time,
}

impl ShardedPlan {
    /// The validators' keys.
    #[must_use]
    pub const fn key_ring(&self) -> KeyRing {
        self.builder.key_ring
    }

    /// Whether a shard is captured in it.
    #[must_use]
    pub fn has_captured(&self) -> bool {
        !self.builder.captured().is_empty()
    }
}

/// The network of a seed.
#[must_use]
pub fn random_shards(seed: u64) -> ShardedPlan {
    let ShardedPlan { builder, until } = of_honest_shards(seed);
    ShardedPlan { builder: capture(builder), until }
}

/// In part of the networks one shard is captured. It is drawn from numbers of its own, so that
/// whatever else a seed stands for stays as it was.
///
/// The layout of such a network stays as it is. What a captured shard made up goes on to others
/// when it splits or is merged: from then on what its certificates say cannot be told from the rest
/// by looking at its own lanes. Committees are drawn anew as in every network, and whoever is in
/// the captured shard's has its keys taken as well.
fn capture(mut builder: ShardedBuilder) -> ShardedBuilder {
    let mut random = Random::new(builder.seed, "captured shard");
    if builder.shards < 2 || !random.chance(CAPTURED_PER_MILLION) {
        return builder;
    }
    let captured = random.below(builder.shards as u64) as usize;
    builder.bad_relayers.retain(|(from, ..)| *from != captured);
    for to in (0..builder.shards).filter(|to| *to != captured) {
        builder = builder.bad_relayers(captured, to, BadRelayer::Captures);
    }
    builder.epochs.iter_mut().for_each(|(_, reshardings)| reshardings.clear());
    builder.votes.clear();
    if let Some(options) = &mut builder.beacon {
        (options.split_above, options.merge_below) = (u64::MAX, 0);
    }
    builder
}

/// What a seed stands for where no shard is captured.
fn of_honest_shards(seed: u64) -> ShardedPlan {
    let mut random = Random::new(seed, "random shards");
    let shards = random.between(1, SHARDS_MAX) as usize;
    let validators = random.between(4, 7) as usize;
    let calm_ms = random.between(CALM_MS[0], CALM_MS[1]);
    let high = random.between(5_000, 120_000) as u32;
    let per_second = random.between(2, 40);
    let cross_permille = if random.chance(200_000) { 1_000 } else { random.below(1_001) };
    let config = Config {
        leaders_per_round: random.between(1, 4) as u16,
        schedule_interval_commits: random.between(16, 64),
        min_round_interval_us: random.between(5_000, 40_000),
        ..Config::default()
    };
    let mut builder = ShardedNetwork::new(seed)
        .shards(shards)
        .validators(validators)
        .accounts(random.between(2, 8) as usize)
        .key_ring(KeyRing::drawn(seed))
        .power_permille(random.between(200, 2_000))
        .latency(LatencyModel::Between { low: high / 4, high })
        .config(config)
        .snapshot_interval(random.between(1, 4))
        .load(per_second, cross_permille, Time::from_ms(calm_ms + 2_000));
    // Not drawn from the same numbers, so that what a seed stands for stays as it was.
    let guests = Random::new(seed, "guests").between(1_000, GUEST_LATENCY_MAX_US);
    builder = between(&mut random, builder.guest_latency(guests), shards, calm_ms);
    if random.chance(250_000) {
        return with_beacon(random, builder, (shards, validators), calm_ms);
    }
    for shard in 0..shards {
        let faulty = random.below(validators as u64) as usize;
        if random.chance(450_000)
            && let Some(adversary) = random.pick(&Adversary::ALL).copied()
        {
            builder = builder.adversary(shard, faulty, adversary);
        }
        for _ in 0..random.below(FAULTS_MAX + 1) {
            let at = random.between(200, calm_ms - 500);
            let fault = fault(&mut random, validators, faulty, calm_ms - at);
            builder = builder.fault(shard, Time::from_ms(at), fault);
        }
        builder = builder.fault(shard, Time::from_ms(calm_ms), Fault::Heal);
        for validator in 0..validators {
            builder = builder.fault(shard, Time::from_ms(calm_ms), Fault::Restart { validator });
        }
    }
    if random.chance(600_000) {
        for _ in 0..random.between(1, EPOCHS_MAX) {
            let at = random.between(500, calm_ms);
            builder = builder.epoch_ends(Time::from_ms(at), reshardings(&mut random));
        }
        builder = builder.later_faults(Time::from_ms(calm_ms));
    }
    let until = Time::from_ms(calm_ms + AFTER_CALM_MS);
    ShardedPlan { builder, until }
}

/// What goes wrong between shards.
fn between(
    random: &mut Random,
    mut builder: ShardedBuilder,
    shards: usize,
    calm_ms: u64,
) -> ShardedBuilder {
    for (from, to) in (0..shards).flat_map(|from| (0..shards).map(move |to| (from, to))) {
        if from < to && random.chance(250_000) {
            let begins = random.between(200, calm_ms - 500);
            let ends = random.between(begins, calm_ms);
            let [one, other] = [from, to].map(|shard| ShardId(shard as u32));
            let (begins, ends) = (Time::from_ms(begins), Time::from_ms(ends));
            builder = builder.cut_off(one, other, begins, ends);
        }
        if from != to
            && random.chance(300_000)
            && let Some(bad) = random.pick(&BadRelayer::ALL).copied()
        {
            builder = builder.bad_relayers(from, to, bad);
        }
    }
    builder
}

/// With a beacon that ends epochs by itself, and votes of all validators. Committees are drawn from
/// what is revealed, so that there is one adversary at most: two might come into one committee.
fn with_beacon(
    mut random: Random,
    mut builder: ShardedBuilder,
    (shards, seats): (usize, usize),
    calm_ms: u64,
) -> ShardedPlan {
    let validators = random.between(seats as u64, (shards * seats) as u64) as usize;
    let options = BeaconOptions {
        validators,
        epoch_ms: random.between(1_500, 6_000),
        shards_max: 6,
        split_above: random.between(3, 60),
        merge_below: random.below(2),
    };
    builder = builder.beacon(options).later_faults(Time::from_ms(calm_ms));
    if random.chance(500_000)
        && let Some(adversary) = random.pick(&Adversary::ALL).copied()
    {
        let number = random.below(validators as u64) as usize;
        builder = builder.adversary(0, number, adversary);
    }
    for _ in 0..random.below(4) {
        let at = random.between(500, calm_ms + 6_000);
        for resharding in reshardings(&mut random) {
            builder = builder.vote(Time::from_ms(at), resharding);
        }
    }
    builder = membership(builder, validators, calm_ms);
    let until = Time::from_ms(calm_ms + AFTER_CALM_MS);
    ShardedPlan { builder, until }
}

/// What happens to who the validators are, in part of the networks. It is drawn from numbers of its
/// own, so that whatever else a seed stands for stays as it was.
fn membership(mut builder: ShardedBuilder, validators: usize, calm_ms: u64) -> ShardedBuilder {
    let mut random = Random::new(builder.seed, "membership");
    if !random.chance(MEMBERSHIP_PER_MILLION) {
        return builder;
    }
    let latest_ms = calm_ms + 5_000;
    let newcomers = random.below(4) as usize;
    let joins: Vec<(usize, u64)> = (0..newcomers)
        .map(|newcomer| (validators + newcomer, random.between(300, latest_ms)))
        .collect();
    for (who, at) in &joins {
        builder = builder.membership(Time::from_ms(*at), *who, Change::Join);
    }
    let mut everybody: Vec<(usize, u64)> = (0..validators).map(|who| (who, 300)).collect();
    everybody.extend(joins);
    for _ in 0..random.below(4) {
        if let Some((who, from)) = random.pick(&everybody).copied() {
            let at = random.between(from, latest_ms);
            builder = builder.membership(Time::from_ms(at), who, Change::Rotate);
        }
    }
    random.shuffle(&mut everybody);
    for (who, from) in everybody.iter().take(random.below(3) as usize) {
        let at = random.between(*from, latest_ms);
        builder = builder.membership(Time::from_ms(at), *who, Change::Leave);
    }
    for _ in 0..random.below(3) {
        if let Some((who, from)) = random.pick(&everybody).copied() {
            let weight = if random.chance(500_000) { 0 } else { random.between(500, 2_000) };
            let at = random.between(from, latest_ms);
            builder = builder.membership(Time::from_ms(at), who, Change::Weigh(weight));
        }
    }
    let adversary = builder.adversaries.first().map(|(_, who, _)| *who);
    if let Some(who) = adversary.filter(|_| random.chance(700_000)) {
        let at = random.between(300, calm_ms);
        builder = builder.membership(Time::from_ms(at), who, Change::TakeBack(1_000));
    }
    builder
}

/// Changes of the layout; those that cannot be made are not.
fn reshardings(random: &mut Random) -> Vec<Resharding> {
    let mut changes = Vec::new();
    for _ in 0..random.below(3) {
        let shard = ShardId(random.below(SHARDS_MAX) as u32);
        changes.push(if random.chance(600_000) {
            Resharding::Split { shard, new: ShardId(random.between(10, 99) as u32) }
        } else {
            let closed = ShardId(random.below(SHARDS_MAX) as u32);
            Resharding::Merge { into: shard, closed }
        });
    }
    changes
}

/// What goes wrong in a shard that opens at `now`, until all is calm.
pub(super) fn later_faults(
    seed: u64,
    name: &str,
    (validators, faulty): (usize, Option<usize>),
    now: u64,
    until: u64,
) -> Vec<(u64, Fault)> {
    let mut random = Random::new(seed, &format!("faults in {name}"));
    let anybody = random.below(validators as u64) as usize;
    let faulty = faulty.unwrap_or(anybody);
    let (from_ms, until_ms) = (now / 1_000, until / 1_000);
    if from_ms + 1_000 >= until_ms {
        return Vec::new();
    }
    let mut faults: Vec<(u64, Fault)> = (0..random.below(FAULTS_MAX + 1))
        .map(|_| {
            let at = random.between(from_ms, until_ms - 500);
            (at * 1_000, fault(&mut random, validators, faulty, until_ms - at))
        })
        .collect();
    faults.push((until, Fault::Heal));
    faults
}

/// A fault that is over when all is calm. Only one validator of a shard may lose what it wrote.
fn fault(random: &mut Random, validators: usize, faulty: usize, left_ms: u64) -> Fault {
    let anybody = random.below(validators as u64) as usize;
    let duration_us = random.between(100, left_ms.max(101)) * 1_000;
    let restart_after_us = Some(random.between(1, left_ms.max(2)) * 1_000);
    match random.below(8) {
        0 | 1 => {
            let mut all: Vec<usize> = (0..validators).collect();
            random.shuffle(&mut all);
            let rest = all.split_off(random.between(1, validators as u64 - 1) as usize);
            Fault::Flapping { groups: vec![all, rest], period_us: duration_us, duration_us }
        }
        2 | 3 => {
            let kinds = [
                OutputKind::PersistBarrier,
                OutputKind::Execute,
                OutputKind::Send,
                OutputKind::Sign,
            ];
            let moment = match random.pick(&kinds) {
                Some(kind) if random.chance(500_000) => CrashMoment::After(*kind),
                _ => CrashMoment::Now,
            };
            let disk =
                if random.chance(500_000) { DiskFault::LoseUnsynced } else { DiskFault::Nothing };
            Fault::Crash { validator: anybody, moment, disk, restart_after_us }
        }
        4 => {
            let losses = [DiskFault::Wipe, DiskFault::TornTail, DiskFault::BitFlip];
            let disk = random.pick(&losses).copied().unwrap_or_default();
            Fault::Crash { validator: faulty, moment: CrashMoment::Now, disk, restart_after_us }
        }
        5 => Fault::Pause { validator: anybody, duration_us },
        6 => Fault::LossBurst { per_million: random.between(10_000, 300_000) as u32, duration_us },
        _ => {
            let permille = random.between(1_500, 10_000) as u32;
            Fault::LatencySpike { validators: vec![anybody], permille, duration_us }
        }
    }
}
