//! Random scenarios for the fuzzer: everything that may happen within the fault model, and
//! nothing beyond it, so that every violation is a defect.
//!
//! A scenario has two phases. Until `calm_from_seconds` anything goes wrong that safety must
//! withstand; from then on nothing does, and every honest validator must move on. Adversaries
//! and validators whose disks or clocks are damaged weigh f together at most; what leaves a
//! validator honest and its log whole (crashes, pauses, cuts, slow links) may hit all of them.

use super::format::{
    Adversary as AdversaryEntry, Consensus, DiskSettings, Expect, Fault, FaultKind, LatencyKind,
    Load, Network, Run, Scenario,
};
use super::words::{Behaviour, CrashAt, Damage, Recipients, Target};
use crate::adversary::Adversary;
use crate::fault::{CrashMoment, OutputKind};
use crate::keys::KeyRing;
use crate::random::{MILLION, Random};

/// How long the first phase is, in milliseconds.
const TROUBLE_MS: (u64, u64) = (2_000, 8_000);
/// How long the second phase is, in milliseconds: what progress is given, and some more.
const CALM_MS: u64 = 33_000;
/// The most faults in one scenario.
const FAULTS_MAX: u64 = 6;
/// Sizes of committees and how often each is drawn.
const SIZES: [(u64, u64, u64); 7] =
    [(1, 1, 2), (2, 3, 6), (4, 4, 32), (5, 7, 34), (8, 10, 16), (11, 15, 7), (16, 20, 3)];

/// The scenario of a seed: the same on every machine.
#[must_use]
pub fn random_scenario(seed: u64) -> Scenario {
    let mut draw = Draw::new(seed);
    let calm_ms = draw.random.between(TROUBLE_MS.0, TROUBLE_MS.1);
    let mut scenario = Scenario {
        name: format!("fuzz-{seed}"),
        description: format!("Drawn at random from seed {seed}."),
        network: draw.network(),
        consensus: draw.consensus(),
        load: draw.load(),
        disk: draw.disk(),
        run: Run {
            virtual_seconds: (calm_ms + CALM_MS) as f64 / 1000.0,
            warm_up_seconds: 0.0,
            seed,
            calm_from_seconds: Some(calm_ms as f64 / 1000.0),
            allow_unsafe: false,
        },
        shards: None,
        layout: None,
        expect: Expect::default(),
        fault: Vec::new(),
        adversary: Vec::new(),
    };
    // From streams of their own: what the other draws give for a seed stays.
    scenario.network.scheme = KeyRing::drawn(seed);
    scenario.consensus.snapshot_interval = Some(Random::new(seed, "fuzz snapshots").between(1, 4));
    scenario.adversary = draw.adversaries();
    scenario.fault = draw.faults(calm_ms);
    scenario
}

/// A scenario being drawn.
struct Draw {
    random: Random,
    weights: Vec<u64>,
    /// How much weight may still become faulty.
    spare: u64,
    /// Who is an adversary or damaged already.
    faulty: Vec<bool>,
}

impl Draw {
    fn new(seed: u64) -> Self {
        let mut random = Random::new(seed, "fuzz scenario");
        let size = draw_size(&mut random);
        let weights = draw_weights(&mut random, size);
        // The engine lowers weights above f, so f of the capped weights is what counts.
        let total: u64 = capped(&weights).iter().sum();
        Self { random, weights, spare: (total - 1) / 3, faulty: vec![false; size] }
    }

    fn size(&self) -> usize {
        self.weights.len()
    }

    /// Whether something happens that does so in so many of a hundred cases.
    fn percent(&mut self, percent: u64) -> bool {
        self.random.chance(percent * MILLION / 100)
    }

    /// A number between bounds, in steps of a hundredth.
    fn hundredths(&mut self, low: u64, high: u64) -> f64 {
        self.random.between(low * 100, high * 100) as f64 / 100.0
    }

    fn network(&mut self) -> Network {
        let size = self.size();
        let powers = self.percent(30);
        let powers = powers
            .then(|| (0..size).map(|_| self.random.between(50, 200) as f64 / 100.0).collect());
        let mut network = Network {
            count: Some(size),
            weights: Some(self.weights.clone()),
            powers,
            ..Network::default()
        };
        match self.random.below(10) {
            0..6 => {
                let low = self.hundredths(0, 20);
                network.latency = LatencyKind::Between;
                network.between_ms = Some([low, low + self.hundredths(1, 120)]);
            }
            6..8 => network.uniform_ms = Some(self.hundredths(0, 80)),
            _ => network.latency = LatencyKind::Aws,
        }
        let [jittery, lossy, doubling, narrow] = [70, 40, 30, 50].map(|often| self.percent(often));
        if jittery {
            network.jitter_percent = self.hundredths(0, 100);
        }
        if lossy {
            network.loss_percent = self.hundredths(0, 5);
        }
        if doubling {
            network.duplication_percent = self.hundredths(0, 5);
        }
        if narrow {
            network.bandwidth_mbit_per_s = self.random.pick(&[20.0, 100.0, 1000.0]).copied();
        }
        network.hold_over_cuts = self.percent(25);
        network.clock_skew_ms = Some(self.hundredths(0, 50));
        network
    }

    fn consensus(&mut self) -> Consensus {
        let random = &mut self.random;
        let interval = random.between(10, 120) as f64;
        let timeout = random.between(20, 200) as f64;
        Consensus {
            leaders_per_round: Some(random.between(1, 6) as u16),
            schedule_interval_commits: random.pick(&[4, 16, 64]).copied(),
            leader_timeout_ms: Some(timeout),
            leader_timeout_max_ms: Some(timeout * 8.0),
            min_round_interval_ms: Some(interval),
            idle_round_interval_ms: Some(interval + random.between(20, 250) as f64),
            ..Consensus::default()
        }
    }

    fn load(&mut self) -> Load {
        Load {
            transactions_per_second: self.random.between(1, 12) as f64,
            accounts: self.random.between(2, 12) as u32,
            to: if self.percent(50) { Recipients::Weighted } else { Recipients::Uniform },
        }
    }

    fn disk(&mut self) -> DiskSettings {
        if self.percent(70) {
            return DiskSettings::default();
        }
        DiskSettings {
            write_ms: Some(self.hundredths(0, 1)),
            sync_ms: Some(self.hundredths(0, 15)),
        }
    }

    /// In half of the cases some adversaries, often as heavy as possible.
    fn adversaries(&mut self) -> Vec<AdversaryEntry> {
        let mut entries: Vec<AdversaryEntry> = Vec::new();
        if self.percent(45) {
            return entries;
        }
        let wanted = self.random.between(1, 4);
        for _ in 0..wanted {
            let Some(validator) = self.spoil() else { break };
            let kind = self.random.pick(&Adversary::ALL).copied().unwrap_or(Adversary::Equivocator);
            let kind = Behaviour(kind);
            let target = Target::Index(validator);
            match entries.iter_mut().find(|entry| entry.kind == kind) {
                Some(entry) => entry.validators.get_or_insert_default().push(target),
                None => entries.push(AdversaryEntry {
                    kind,
                    validators: Some(vec![target]),
                    weight: None,
                }),
            }
        }
        entries
    }

    /// A validator that may still become faulty within f; it counts as faulty from now on.
    fn spoil(&mut self) -> Option<usize> {
        let weights = capped(&self.weights);
        let fits = (0..self.size()).filter(|&at| !self.faulty[at] && weights[at] <= self.spare);
        let fits: Vec<usize> = fits.collect();
        let chosen = *self.random.pick(&fits)?;
        self.spare -= weights[chosen];
        self.faulty[chosen] = true;
        Some(chosen)
    }

    fn faults(&mut self, calm_ms: u64) -> Vec<Fault> {
        let count = self.random.below(FAULTS_MAX + 1);
        let mut faults: Vec<Fault> = (0..count).filter_map(|_| self.fault(calm_ms)).collect();
        faults.sort_by_key(|fault| fault.at_ms);
        faults
    }

    fn fault(&mut self, calm_ms: u64) -> Option<Fault> {
        let at_ms = self.random.between(100, calm_ms - 500);
        let left = calm_ms - at_ms;
        let at = |kind| Fault { at_ms, kind, ..Fault::default() };
        let lasting = self.random.between(100, left.max(101));
        let mut fault = match self.random.below(13) {
            0 | 1 => Fault { groups: Some(self.groups()), ..at(FaultKind::Partition) },
            2 => Fault {
                groups: Some(self.groups()),
                period_ms: Some(self.random.between(100, 1500)),
                ..at(FaultKind::Flapping)
            },
            3 => at(FaultKind::Heal),
            4 => Fault { from: Some(self.some()), to: Some(self.some()), ..at(FaultKind::OneWay) },
            5 | 6 => return Some(self.crash(at(FaultKind::Crash))),
            7 => return self.damage(at(FaultKind::Crash)),
            8 => Fault {
                period_ms: Some(self.random.between(200, 2000)),
                down_ms: Some(self.random.between(100, 2500)),
                disk: self.random.pick(&[Damage::Nothing, Damage::LoseUnsynced]).copied(),
                ..at(FaultKind::Churn)
            },
            9 => Fault { validators: Some(self.some()), ..at(FaultKind::Pause) },
            10 => return self.clock(at(FaultKind::ClockJump)),
            11 => Fault { factor: Some(self.hundredths(1, 20)), ..at(FaultKind::Latency) },
            _ => self.wear(at(FaultKind::SlowDisk)),
        };
        if !matches!(fault.kind, FaultKind::Partition | FaultKind::Heal | FaultKind::OneWay) {
            fault.for_ms = Some(lasting);
        }
        Some(fault)
    }

    /// A crash that keeps the log whole, at any step of the work.
    fn crash(&mut self, mut fault: Fault) -> Fault {
        fault.validators = Some(self.some());
        fault.disk = self.random.pick(&[Damage::Nothing, Damage::LoseUnsynced]).copied();
        fault.restart_after_ms = Some(self.random.between(1, 4000));
        fault.moment = Some(self.moment());
        fault
    }

    /// A crash that damages the log of a validator that may be faulty.
    fn damage(&mut self, mut fault: Fault) -> Option<Fault> {
        fault.validators = Some(vec![Target::Index(self.spoil()?)]);
        let damages = [Damage::TornTail, Damage::BitFlip, Damage::Wipe, Damage::LoseSynced];
        fault.disk = self.random.pick(&damages).copied();
        fault.restart_after_ms = Some(self.random.between(1, 4000));
        fault.moment = Some(self.moment());
        Some(fault)
    }

    /// A small jump of anybody's clock, or a large one of a validator that may be faulty.
    fn clock(&mut self, mut fault: Fault) -> Option<Fault> {
        let large = self.percent(40);
        let reach = if large { 3_000 } else { 80 };
        let targets = if large { vec![Target::Index(self.spoil()?)] } else { self.some() };
        fault.validators = Some(targets);
        fault.by_ms = Some(self.random.below(2 * reach) as i64 - reach as i64);
        Some(fault)
    }

    /// Slow disks, lost packets or narrow uplinks.
    fn wear(&mut self, fault: Fault) -> Fault {
        match self.random.below(3) {
            0 => Fault {
                validators: Some(self.some()),
                sync_ms: Some(self.hundredths(1, 200)),
                ..fault
            },
            1 => {
                let percent = Some(self.hundredths(1, 40));
                Fault { kind: FaultKind::Loss, percent, ..fault }
            }
            _ => {
                let mbit_per_s = Some(self.hundredths(1, 20));
                Fault { kind: FaultKind::Bandwidth, mbit_per_s, ..fault }
            }
        }
    }

    fn moment(&mut self) -> CrashAt {
        let kind = self.random.pick(&OutputKind::ALL).copied().unwrap_or(OutputKind::Sign);
        CrashAt(match self.random.below(4) {
            0 => CrashMoment::Now,
            1 => CrashMoment::Before(kind),
            2 => CrashMoment::After(kind),
            _ => CrashMoment::BeforeOutput(self.random.between(1, 60) as u32),
        })
    }

    /// Some validators, at least one, in order.
    fn some(&mut self) -> Vec<Target> {
        let mut order: Vec<usize> = (0..self.size()).collect();
        self.random.shuffle(&mut order);
        order.truncate(self.random.between(1, self.size() as u64) as usize);
        order.sort_unstable();
        order.into_iter().map(Target::Index).collect()
    }

    /// Everybody in two or three groups; sometimes somebody is left out and alone.
    fn groups(&mut self) -> Vec<Vec<Target>> {
        let count = self.random.between(2, 3);
        let mut groups = vec![Vec::new(); count as usize];
        for validator in 0..self.size() {
            if !self.percent(8) {
                groups[self.random.below(count) as usize].push(Target::Index(validator));
            }
        }
        groups.retain(|group| !group.is_empty());
        if groups.is_empty() {
            groups.push(vec![Target::Index(0)]);
        }
        groups
    }
}

fn draw_size(random: &mut Random) -> usize {
    let whole: u64 = SIZES.iter().map(|(_, _, often)| often).sum();
    let mut point = random.below(whole);
    for (low, high, often) in SIZES {
        if point < often {
            return random.between(low, high) as usize;
        }
        point -= often;
    }
    4
}

/// Equal, somewhat unequal or very unequal weights.
fn draw_weights(random: &mut Random, size: usize) -> Vec<u64> {
    let shape = random.below(3);
    let one = |random: &mut Random| match shape {
        0 => 1,
        1 => random.between(1, 5),
        _ => 1 << random.below(9),
    };
    (0..size).map(|_| one(random)).collect()
}

/// The weights after the formation of a committee.
fn capped(weights: &[u64]) -> Vec<u64> {
    let mut weights = weights.to_vec();
    super::committee::cap_weights(&mut weights);
    weights
}

#[cfg(test)]
mod tests;
