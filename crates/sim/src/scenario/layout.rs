//! From a scenario to one network of several shards, with or without a beacon that draws their
//! committees anew.

use std::collections::BTreeSet;

use qcn_types::{Layout, Resharding, ShardId, Time};
use serde::{Deserialize, Serialize};

use super::amount::{SECONDS_MAX, micros, micros_of_seconds, within};
use super::committee::UNIFORM_MS;
use super::error::{Path, Problem, ScenarioError};
use super::format::{LatencyKind, Network, Scenario};
use super::plan::Plan;
use crate::network::LatencyModel;
use crate::sharding::{
    BadRelayer, BeaconOptions, Change, MembershipEvent, ShardedBuilder, ShardedNetwork,
    ShardedPlan, check_membership,
};

/// How long before the end of a run clients stop, so that all they sent can arrive, in seconds.
const QUIET_SECONDS: f64 = 12.0;

/// The shortest and the longest epoch, in milliseconds.
const EPOCH_MS: std::ops::RangeInclusive<f64> = 500.0..=600_000.0;

/// Several shards, and what happens to them.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ShardLayout {
    /// How many there are at genesis.
    pub shards: usize,
    /// How many validators serve each; all of `count` if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seats: Option<usize>,
    /// Which part of the transfers goes to another shard, in percent.
    #[serde(default)]
    pub cross_percent: u64,
    /// For how long clients hand in transfers; until 12 seconds before the end if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub load_seconds: Option<f64>,
    /// Until when the seed lets validators crash, links fail and disks break in every shard.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub random_faults_until_seconds: Option<f64>,
    /// Who ends epochs and draws committees; without one they stay as they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub beacon: Option<BeaconSettings>,
    /// What happens to who the validators are.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub change: Vec<ChangeEntry>,
    /// What all validators vote for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub vote: Vec<VoteEntry>,
    /// Shards that cannot reach each other.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cut: Vec<CutEntry>,
    /// Relayers that do not carry what they should.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub relayer: Vec<RelayerEntry>,
}

/// The rules of the beacon.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BeaconSettings {
    /// The shortest epoch.
    pub epoch_ms: f64,
    /// The most shards.
    pub shards_max: u16,
    /// A shard that executes more per second in two epochs in a row is split; never if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub split_above: Option<u64>,
    /// Siblings that execute less per second together in two epochs in a row are merged.
    #[serde(default)]
    pub merge_below: u64,
}

/// Something that happens to a validator.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChangeEntry {
    /// When it begins.
    pub at_ms: u64,
    /// To whom: from 0 to `count` - 1 for those of the genesis, a higher number for who joins.
    pub validator: usize,
    /// What.
    pub kind: ChangeKind,
    /// What it is to weigh, of `weigh` and `take-back`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight: Option<u64>,
}

/// The kinds of changes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ChangeKind {
    /// It registers and is to be admitted.
    Join,
    /// Its consensus key is to be replaced.
    Rotate,
    /// It wants to leave.
    Leave,
    /// It is to have another weight; 0 votes it out.
    Weigh,
    /// Once it is isolated it is to be taken back.
    TakeBack,
}

/// A change of the layout that is voted for: `split` and `new`, or `merge` and `into`.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VoteEntry {
    /// When.
    pub at_ms: u64,
    /// The shard to split.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub split: Option<u32>,
    /// The number of the shard that gets its upper half.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub new: Option<u32>,
    /// The shard that ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub merge: Option<u32>,
    /// Its sibling, which takes over.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub into: Option<u32>,
}

/// Two shards between which nothing is carried for a while.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CutEntry {
    /// The two.
    pub shards: [u32; 2],
    /// From when.
    pub from_ms: u64,
    /// Until when.
    pub to_ms: u64,
}

/// The first relayers of a lane.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RelayerEntry {
    /// The shard that sends.
    pub from: usize,
    /// The shard that receives.
    pub to: usize,
    /// What they do.
    pub kind: RelayerKind,
}

/// What relayers do instead of carrying.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RelayerKind {
    /// Nothing.
    Withhold,
    /// They bring again what they once brought.
    Replay,
    /// They alter an amount.
    Forge,
    /// They leave out the first batch.
    Skip,
    /// They acknowledge what was not received.
    Acknowledge,
    /// They have the keys of the source, and have it certify money that never was.
    Capture,
}

impl From<RelayerKind> for BadRelayer {
    fn from(kind: RelayerKind) -> Self {
        match kind {
            RelayerKind::Withhold => Self::Withholds,
            RelayerKind::Replay => Self::Replays,
            RelayerKind::Forge => Self::Forges,
            RelayerKind::Skip => Self::Skips,
            RelayerKind::Acknowledge => Self::Acknowledges,
            RelayerKind::Capture => Self::Captures,
        }
    }
}

impl Scenario {
    /// The network of shards that the scenario describes, if it has a `[layout]`.
    ///
    /// # Errors
    /// [`ScenarioError`] for a scenario that cannot run.
    pub fn sharded(&self, seed: u64) -> Result<Option<ShardedPlan>, ScenarioError> {
        let Some(layout) = &self.layout else {
            return Ok(None);
        };
        let plan = self.plan(seed)?;
        let network = self.network_of(layout, &plan);
        network.map(Some).map_err(|problem| ScenarioError::meaning(&self.name, "", problem))
    }

    /// Whether the network can run at all.
    pub(super) fn check_layout(&self, plan: &Plan) -> Result<(), Problem> {
        self.layout.as_ref().map_or(Ok(()), |layout| self.network_of(layout, plan).map(|_| ()))
    }

    fn network_of(&self, layout: &ShardLayout, plan: &Plan) -> Result<ShardedPlan, Problem> {
        self.refuse_what_shards_lack(plan)?;
        let count = plan.members.len();
        let seats = layout.seats.unwrap_or(count);
        check_seats(layout, seats, count)?;
        let [low, high] = latencies(&self.network)?;
        let load_until = self.load_until(layout)?;
        let per_second = (plan.load.transactions_per_1000_seconds / 1_000).max(1);
        let mut builder = ShardedNetwork::new(plan.seed)
            .shards(layout.shards)
            .validators(seats)
            .accounts(plan.load.accounts as usize)
            .key_ring(plan.key_ring)
            .power_permille(plan.members.first().map_or(1_000, |first| first.power_permille))
            .latency(LatencyModel::Between { low, high })
            .config(plan.config.clone())
            .snapshot_interval(plan.snapshot_interval)
            .load(per_second, layout.cross_percent * 10, load_until);
        if let Some(seconds) = layout.random_faults_until_seconds {
            let path = key("random_faults_until_seconds");
            builder =
                builder.later_faults(Time(micros_of_seconds(path, seconds, 0.0..=SECONDS_MAX)?));
        }
        builder = match &layout.beacon {
            Some(settings) => self.with_beacon(builder, layout, settings, plan, seats)?,
            None => without_beacon(builder, layout, plan)?,
        };
        builder = between(builder, layout)?;
        Ok(ShardedPlan { builder, until: Time(plan.virtual_us) })
    }

    /// What the simulator of one committee has and that of many does not.
    fn refuse_what_shards_lack(&self, plan: &Plan) -> Result<(), Problem> {
        let network = &self.network;
        let unused = [
            ("jitter_percent", network.jitter_percent != 0.0),
            ("loss_percent", network.loss_percent != 0.0),
            ("duplication_percent", network.duplication_percent != 0.0),
            ("bandwidth_mbit_per_s", network.bandwidth_mbit_per_s.is_some()),
            ("hold_over_cuts", network.hold_over_cuts),
            ("clock_skew_ms", network.clock_skew_ms.is_some()),
        ];
        if let Some((name, _)) = unused.into_iter().find(|(_, is_used)| *is_used) {
            return Err(Problem::new(
                Path::of("network").key(name),
                "this is the same in all networks of shards",
                "remove it; `random_faults_until_seconds` under [layout] lets links fail",
            ));
        }
        let remedy =
            "remove it; `random_faults_until_seconds` under [layout] draws some from the seed";
        if !self.fault.is_empty() {
            return Err(Problem::new(Path::of("fault"), "faults are not placed in shards", remedy));
        }
        if self.shards.is_some() {
            let what = "a scenario is a sweep ([shards]) or one network ([layout]), not both";
            return Err(Problem::new(Path::of("shards"), what, "remove one of them"));
        }
        if self.run.calm_from_seconds.is_some() {
            let path = Path::of("run").key("calm_from_seconds");
            return Err(Problem::new(path, "nothing goes wrong by itself here", remedy));
        }
        let alike = |member: &super::PlannedMember| {
            let first = &plan.members[0];
            (member.power_permille, member.weight) == (first.power_permille, first.weight)
        };
        if !plan.members.iter().all(alike) {
            return Err(Problem::new(
                Path::of("network"),
                "the validators of a network of shards begin alike",
                "give `count`, and the same power to all; [[layout.change]] gives other weights",
            ));
        }
        Ok(())
    }

    fn load_until(&self, layout: &ShardLayout) -> Result<Time, Problem> {
        let whole = self.run.virtual_seconds;
        let usual = (whole - QUIET_SECONDS).max(whole / 2.0);
        let seconds = layout.load_seconds.unwrap_or(usual);
        micros_of_seconds(key("load_seconds"), seconds, 0.0..=whole).map(Time)
    }

    fn with_beacon(
        &self,
        mut builder: ShardedBuilder,
        layout: &ShardLayout,
        settings: &BeaconSettings,
        plan: &Plan,
        seats: usize,
    ) -> Result<ShardedBuilder, Problem> {
        let path = |name| key("beacon").key(name);
        if usize::from(settings.shards_max) < layout.shards {
            let what = format!("the network begins with {} shards", layout.shards);
            return Err(Problem::new(path("shards_max"), what, "give at least so many"));
        }
        let epoch_ms = within(path("epoch_ms"), settings.epoch_ms, EPOCH_MS)?.round() as u64;
        builder = builder.beacon(BeaconOptions {
            validators: plan.members.len(),
            epoch_ms,
            shards_max: settings.shards_max,
            split_above: settings.split_above.unwrap_or(u64::MAX),
            merge_below: settings.merge_below,
        });
        let most = (seats - 1) / 3;
        if plan.adversaries.len() > most && !self.run.allow_unsafe {
            return Err(Problem::new(
                Path::of("adversary"),
                format!(
                    "{} adversaries may come into one committee of {seats}, which tolerates {most}",
                    plan.adversaries.len()
                ),
                "give fewer, or set `allow_unsafe = true` under [run] to see what breaks",
            ));
        }
        for (validator, adversary) in &plan.adversaries {
            builder = builder.adversary(0, *validator, *adversary);
        }
        for (index, entry) in layout.vote.iter().enumerate() {
            let resharding = resharding(entry)
                .map_err(|(what, remedy)| Problem::new(key("vote").item(index), what, remedy))?;
            builder = builder.vote(Time::from_ms(entry.at_ms), resharding);
        }
        let changes: Result<Vec<_>, _> = layout.change.iter().enumerate().map(change).collect();
        let changes = changes?;
        check_membership(&changes, plan.members.len()).map_err(|error| {
            Problem::new(key("change"), error.to_string(), "change the list accordingly")
        })?;
        for MembershipEvent { at, who, change } in changes {
            builder = builder.membership(Time(at), who, change);
        }
        Ok(builder)
    }
}

fn key(name: &'static str) -> Path {
    Path::of("layout").key(name)
}

fn check_seats(layout: &ShardLayout, seats: usize, count: usize) -> Result<(), Problem> {
    if let Err(error) = Layout::even(layout.shards) {
        return Err(Problem::new(key("shards"), error.to_string(), "give 1 or more"));
    }
    if layout.cross_percent > 100 {
        let what = format!("{}% of transfers cannot cross", layout.cross_percent);
        return Err(Problem::new(key("cross_percent"), what, "give 0 to 100"));
    }
    let fits = match layout.beacon {
        Some(_) => (2..=count).contains(&seats),
        None => seats == count && seats >= 2,
    };
    if fits {
        return Ok(());
    }
    let (what, remedy) = match layout.beacon {
        Some(_) => (format!("{seats} seats for {count} validators"), "give 2 to `count`"),
        None => (
            format!("without a beacon every shard has {count} validators of its own"),
            "leave `seats` out, or add [layout.beacon]",
        ),
    };
    Err(Problem::new(key("seats"), what, remedy))
}

/// The least and the most one-way latency, in microseconds.
fn latencies(network: &Network) -> Result<[u32; 2], Problem> {
    let path = |name| Path::of("network").key(name);
    let [low, high] = match network.latency {
        // Without bounds the plan of the committee is refused before.
        LatencyKind::Between => network.between_ms.unwrap_or_default(),
        LatencyKind::Uniform => [network.uniform_ms.unwrap_or(UNIFORM_MS); 2],
        LatencyKind::Aws | LatencyKind::Matrix => {
            let what = "committees change, so that links have no fixed places";
            let remedy = "take `latency = \"between\"` with `between_ms`, or \"uniform\"";
            return Err(Problem::new(path("latency"), what, remedy));
        }
    };
    let us = |ms| micros(path("between_ms"), ms, 0.0..=60_000.0).map(|us| us as u32);
    Ok([us(low)?, us(high)?])
}

/// What needs a beacon is refused without one.
fn without_beacon(
    builder: ShardedBuilder,
    layout: &ShardLayout,
    plan: &Plan,
) -> Result<ShardedBuilder, Problem> {
    let needs = [
        (key("change"), !layout.change.is_empty()),
        (key("vote"), !layout.vote.is_empty()),
        (key("random_faults_until_seconds"), layout.random_faults_until_seconds.is_some()),
        (Path::of("adversary"), !plan.adversaries.is_empty()),
    ];
    match needs.into_iter().find(|(_, is_used)| *is_used) {
        Some((path, _)) => Err(Problem::new(
            path,
            "there is this only where committees are drawn anew",
            "add [layout.beacon]",
        )),
        None => Ok(builder),
    }
}

/// What goes wrong between shards.
fn between(mut builder: ShardedBuilder, layout: &ShardLayout) -> Result<ShardedBuilder, Problem> {
    let (count, mut lanes) = (layout.shards, BTreeSet::new());
    for (index, entry) in layout.cut.iter().enumerate() {
        let [one, other] = entry.shards;
        let path = key("cut").item(index);
        if one == other || entry.shards.iter().any(|shard| *shard as usize >= count) {
            let what = format!("shards {one} and {other} are not two of {count}");
            return Err(Problem::new(path, what, "name two that are there from the beginning"));
        }
        if entry.from_ms >= entry.to_ms {
            return Err(Problem::new(path, "it ends before it begins", "give a later `to_ms`"));
        }
        let [from, to] = [entry.from_ms, entry.to_ms].map(Time::from_ms);
        builder = builder.cut_off(ShardId(one), ShardId(other), from, to);
    }
    for (index, entry) in layout.relayer.iter().enumerate() {
        let RelayerEntry { from, to, kind } = *entry;
        let path = key("relayer").item(index);
        if from == to || from.max(to) >= count {
            let what = format!("there is no lane from {from} to {to} between {count} shards");
            return Err(Problem::new(path, what, "name two that are there from the beginning"));
        }
        if !lanes.insert((from, to)) {
            let what = format!("the lane from {from} to {to} has bad relayers already");
            return Err(Problem::new(path, what, "keep one of them"));
        }
        builder = builder.bad_relayers(from, to, kind.into());
    }
    Ok(builder)
}

fn resharding(entry: &VoteEntry) -> Result<Resharding, (&'static str, &'static str)> {
    match (entry.split, entry.new, entry.merge, entry.into) {
        (Some(shard), Some(new), None, None) => {
            Ok(Resharding::Split { shard: ShardId(shard), new: ShardId(new) })
        }
        (None, None, Some(closed), Some(into)) => {
            Ok(Resharding::Merge { into: ShardId(into), closed: ShardId(closed) })
        }
        _ => Err((
            "a vote is for one split or one merge",
            "give `split = SHARD` with `new = NUMBER`, or `merge = SHARD` with `into = SIBLING`",
        )),
    }
}

fn change((index, entry): (usize, &ChangeEntry)) -> Result<MembershipEvent, Problem> {
    let path = || key("change").item(index);
    let change = match (entry.kind, entry.weight) {
        (ChangeKind::Join, None) => Change::Join,
        (ChangeKind::Rotate, None) => Change::Rotate,
        (ChangeKind::Leave, None) => Change::Leave,
        (ChangeKind::Weigh, Some(weight)) => Change::Weigh(weight),
        (ChangeKind::TakeBack, Some(weight)) => Change::TakeBack(weight),
        (ChangeKind::Weigh | ChangeKind::TakeBack, None) => {
            return Err(Problem::new(path(), "it is not said with which weight", "give `weight`"));
        }
        (_, Some(_)) => {
            let what = "only `weigh` and `take-back` give a weight";
            return Err(Problem::new(path().key("weight"), what, "remove it"));
        }
    };
    Ok(MembershipEvent { at: entry.at_ms * 1_000, who: entry.validator, change })
}
