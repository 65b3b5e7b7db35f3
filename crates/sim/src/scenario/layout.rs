//! From a scenario to one network of several shards, with or without a beacon that draws their
//! committees anew.

mod format;

use std::collections::BTreeSet;

use qcn_types::{BEACON, Layout, MAX_SHARDS, Resharding, ShardId, Time};

use super::amount::{SECONDS_MAX, micros, micros_of_seconds, within};
use super::committee::UNIFORM_MS;
use super::error::{Path, Problem, ScenarioError};
use super::format::{DiskSettings, Expect, LatencyKind, Load, Network, Scenario};
use super::plan::Plan;
use crate::network::LatencyModel;
use crate::sharding::{
    BeaconOptions, Change, MembershipEvent, ShardedBuilder, ShardedNetwork, ShardedPlan,
    check_membership,
};

pub use format::{
    BeaconSettings, ChangeEntry, ChangeKind, CutEntry, RelayerEntry, RelayerKind, ShardLayout,
    VoteEntry,
};

/// How long before the end of a run clients stop, so that all they sent can arrive, in seconds.
const QUIET_SECONDS: f64 = 12.0;

/// The most seats of all shards together.
const SEATS_MAX: usize = 1_024;

/// The most accounts of all shards together.
const ACCOUNTS_MAX: usize = 10_000;

/// The longest one-way latency, in milliseconds.
const LATENCY_MS_MAX: f64 = 60_000.0;

/// The shortest and the longest epoch, in milliseconds.
const EPOCH_MS: std::ops::RangeInclusive<f64> = 500.0..=600_000.0;

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
        check_times(layout, plan.virtual_us)?;
        let count = plan.members.len();
        let seats = layout.seats.unwrap_or(count);
        check_seats(layout, seats, count)?;
        check_size(layout, seats, plan.load.accounts as usize)?;
        let [low, high] = latencies(&self.network)?;
        let load_until = self.load_until(layout)?;
        let mut builder = ShardedNetwork::new(plan.seed)
            .shards(layout.shards)
            .validators(seats)
            .accounts(plan.load.accounts as usize)
            .key_ring(plan.key_ring)
            .power_permille(plan.members.first().map_or(1_000, |first| first.power_permille))
            .latency(LatencyModel::Between { low, high })
            .config(plan.config.clone())
            .snapshot_interval(plan.snapshot_interval)
            .load_per_1000_seconds(
                plan.load.transactions_per_1000_seconds,
                layout.cross_percent * 10,
                load_until,
            );
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
        check_capture(layout)?;
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
        let ignored = [
            (Path::of("expect"), self.expect != Expect::default()),
            (Path::of("disk"), self.disk != DiskSettings::default()),
            (Path::of("run").key("warm_up_seconds"), self.run.warm_up_seconds != 0.0),
            (Path::of("load").key("to"), self.load.to != Load::default().to),
        ];
        if let Some((path, _)) = ignored.into_iter().find(|(_, is_used)| *is_used) {
            let what = "a network of shards does not do this";
            return Err(Problem::new(path, what, "remove it; all of the run is looked at"));
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
        if !(layout.shards..=MAX_SHARDS).contains(&usize::from(settings.shards_max)) {
            let what = format!("the network begins with {} shards", layout.shards);
            let remedy = format!("give {} to {MAX_SHARDS}", layout.shards);
            return Err(Problem::new(path("shards_max"), what, remedy));
        }
        // As the beacon itself asks for.
        let split_above = settings.split_above.unwrap_or(u64::MAX);
        if settings.merge_below > split_above / 3 {
            let what = "two shards that were merged would be split again at once";
            let remedy = "give at most a third of `split_above`";
            return Err(Problem::new(path("merge_below"), what, remedy));
        }
        let epoch_ms = within(path("epoch_ms"), settings.epoch_ms, EPOCH_MS)?.round() as u64;
        builder = builder.beacon(BeaconOptions {
            validators: plan.members.len(),
            epoch_ms,
            shards_max: settings.shards_max,
            split_above,
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
            let resharding = resharding(entry, layout.shards)
                .map_err(|(what, remedy)| Problem::new(key("vote").item(index), what, remedy))?;
            builder = builder.vote(Time::from_ms(entry.at_ms), resharding);
        }
        let changes: Result<Vec<_>, _> = layout.change.iter().enumerate().map(change).collect();
        let changes = changes?;
        check_changes(&changes, plan)?;
        self.check_adversaries_weight(&changes, plan)?;
        for MembershipEvent { at, who, change } in changes {
            builder = builder.membership(Time(at), who, change);
        }
        Ok(builder)
    }

    /// No adversary may weigh more than a committee of founders tolerates of one.
    fn check_adversaries_weight(
        &self,
        changes: &[MembershipEvent],
        plan: &Plan,
    ) -> Result<(), Problem> {
        let founder = plan.members.first().map_or(0, |member| member.weight);
        let is_heavy = |event: &MembershipEvent| match event.change {
            Change::Weigh(weight) | Change::TakeBack(weight) => {
                let is_adversary = plan.adversaries.iter().any(|(who, _)| *who == event.who);
                if is_adversary { weight > founder } else { (1..founder).contains(&weight) }
            }
            _ => false,
        };
        let index = changes.iter().position(is_heavy);
        match index.filter(|_| !plan.adversaries.is_empty() && !self.run.allow_unsafe) {
            Some(index) => Err(Problem::new(
                key("change").item(index).key("weight"),
                "an adversary could weigh more than its committee tolerates",
                format!(
                    "give {founder} at most to adversaries and at least to others, or set \
                     `allow_unsafe = true` under [run] to see what breaks"
                ),
            )),
            None => Ok(()),
        }
    }
}

/// Tries the changes one after the other, to tell which of them cannot be.
fn check_changes(changes: &[MembershipEvent], plan: &Plan) -> Result<(), Problem> {
    let Err(error) = check_membership(changes, plan.members.len()) else { return Ok(()) };
    let joins = |event: &&MembershipEvent| event.change == Change::Join;
    let wrong = changes.iter().position(|event| {
        let joined = changes.iter().filter(joins).filter(|it| it.who == event.who);
        let with: Vec<MembershipEvent> = match event.change {
            Change::Join => vec![*event],
            _ => joined.copied().take(1).chain([*event]).collect(),
        };
        check_membership(&with, plan.members.len()).is_err()
    });
    let path = wrong.map_or_else(|| key("change"), |index| key("change").item(index));
    Err(Problem::new(path, error.to_string(), "change it or leave it out"))
}

/// What comes after the end of the run never comes.
fn check_times(layout: &ShardLayout, end_us: u64) -> Result<(), Problem> {
    let changes = layout.change.iter().enumerate();
    let changes = changes.map(|(index, it)| (key("change").item(index).key("at_ms"), it.at_ms));
    let votes = layout.vote.iter().enumerate();
    let votes = votes.map(|(index, it)| (key("vote").item(index).key("at_ms"), it.at_ms));
    let cuts = layout.cut.iter().enumerate();
    let cuts = cuts.flat_map(|(index, it)| {
        let path = |name| key("cut").item(index).key(name);
        [(path("from_ms"), it.from_ms), (path("to_ms"), it.to_ms)]
    });
    let end_ms = end_us / 1_000;
    match changes.chain(votes).chain(cuts).find(|(_, at_ms)| *at_ms > end_ms) {
        Some((path, at_ms)) => Err(Problem::new(
            path,
            format!("{at_ms} ms is after the end of the run"),
            format!("give {end_ms} ms at most, or lengthen `virtual_seconds`"),
        )),
        None => Ok(()),
    }
}

/// Keys of all of them are made before the run.
fn check_size(layout: &ShardLayout, seats: usize, accounts: usize) -> Result<(), Problem> {
    let all = [
        (key("shards"), "seats", seats.saturating_mul(layout.shards), SEATS_MAX),
        (
            Path::of("load").key("accounts"),
            "accounts",
            accounts.saturating_mul(layout.shards),
            ACCOUNTS_MAX,
        ),
    ];
    match all.into_iter().find(|(_, _, count, most)| count > most) {
        Some((path, of_what, count, most)) => Err(Problem::new(
            path,
            format!("{count} {of_what} in all shards are too many to simulate"),
            format!("give {most} at most in all"),
        )),
        None => Ok(()),
    }
}

fn key(name: &'static str) -> Path {
    Path::of("layout").key(name)
}

fn check_seats(layout: &ShardLayout, seats: usize, count: usize) -> Result<(), Problem> {
    if let Err(error) = Layout::even(layout.shards) {
        let remedy = format!("give 1 to {MAX_SHARDS}");
        return Err(Problem::new(key("shards"), error.to_string(), remedy));
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
    if count < 2 {
        let what = "a committee of a network of shards has 2 members at least";
        return Err(Problem::new(Path::of("network"), what, "give 2 validators or more"));
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
    let name = if network.latency == LatencyKind::Uniform { "uniform_ms" } else { "between_ms" };
    let us = |ms| micros(path(name), ms, 0.0..=LATENCY_MS_MAX).map(|us| us as u32);
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
        if from == to || from.max(to) as usize >= count {
            let what = format!("there is no lane from {from} to {to} between {count} shards");
            return Err(Problem::new(path, what, "name two that are there from the beginning"));
        }
        if !lanes.insert((from, to)) {
            let what = format!("the lane from {from} to {to} has bad relayers already");
            return Err(Problem::new(path, what, "keep one of them"));
        }
        builder = builder.bad_relayers(from as usize, to as usize, kind.into());
    }
    Ok(builder)
}

/// What a captured shard made up goes on to others when it splits or is merged: from then on it cannot
/// be told from the rest by looking at its own lanes.
fn check_capture(layout: &ShardLayout) -> Result<(), Problem> {
    let captures = |entry: &RelayerEntry| entry.kind == RelayerKind::Capture;
    let Some(index) = layout.relayer.iter().position(captures) else { return Ok(()) };
    let by_load = layout.beacon.as_ref();
    let by_load = by_load.is_some_and(|it| it.split_above.is_some() || it.merge_below > 0);
    if layout.vote.is_empty() && !by_load {
        return Ok(());
    }
    let what =
        "what a captured shard makes up can be followed only while the layout stays as it is";
    let remedy = "remove [[layout.vote]], `split_above` and `merge_below`, or the `capture`";
    Err(Problem::new(key("relayer").item(index), what, remedy))
}

fn resharding(
    entry: &VoteEntry,
    shards: usize,
) -> Result<Resharding, (&'static str, &'static str)> {
    let is_new = |number: u32| number as usize >= shards && ShardId(number) != BEACON;
    match (entry.split, entry.new, entry.merge, entry.into) {
        (Some(_), Some(new), None, None) if !is_new(new) => {
            Err(("no shard can get this number", "give as `new` one that no shard has"))
        }
        (None, None, Some(closed), Some(into)) if closed == into => {
            Err(("a shard cannot be merged with itself", "give its sibling as `into`"))
        }
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
    Ok(MembershipEvent { at: entry.at_ms.saturating_mul(1_000), who: entry.validator, change })
}
