//! The contents of a scenario file, as written.

use serde::{Deserialize, Serialize};

use super::layout::ShardLayout;
use super::words::{Behaviour, CrashAt, Damage, Recipients, Share, Target};
use crate::keys::KeyRing;

/// A whole scenario file.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Scenario {
    /// A short name in lower case; the file's name without its ending if left out.
    #[serde(default)]
    pub name: String,
    /// What it shows, in a sentence or two.
    #[serde(default)]
    pub description: String,
    /// Who takes part, and how far they are apart.
    pub network: Network,
    /// The parameters of the protocol.
    #[serde(default, skip_serializing_if = "is_default")]
    pub consensus: Consensus,
    /// What clients do.
    #[serde(default, skip_serializing_if = "is_default")]
    pub load: Load,
    /// The disks.
    #[serde(default, skip_serializing_if = "is_default")]
    pub disk: DiskSettings,
    /// How long, and from which seed.
    pub run: Run,
    /// Several shards instead of one, again and again with other numbers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shards: Option<Shards>,
    /// One network of several shards, and what happens to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub layout: Option<ShardLayout>,
    /// What is expected besides the invariants.
    #[serde(default, skip_serializing_if = "is_default")]
    pub expect: Expect,
    /// What goes wrong, and when.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fault: Vec<Fault>,
    /// Who does not follow the protocol, and how.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub adversary: Vec<Adversary>,
}

/// The committee and its links. The members come from exactly one of `preset`, `count` and
/// `validators`.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Network {
    /// A committee that comes with the simulator.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preset: Option<Preset>,
    /// So many validators, named `v0`, `v1`, ...
    #[serde(skip_serializing_if = "Option::is_none")]
    pub count: Option<usize>,
    /// The weights of `count` validators; 1000 per unit of power if left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weights: Option<Vec<u64>>,
    /// The processing powers of `count` or preset validators; 1 if left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub powers: Option<Vec<f64>>,
    /// Every validator by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub validators: Option<Vec<Member>>,
    /// The signature scheme of all validators: `falcon-512` or `ml-dsa-44`.
    #[serde(skip_serializing_if = "is_default")]
    pub scheme: KeyRing,
    /// Where the latencies come from.
    pub latency: LatencyKind,
    /// With `latency = "aws"`: the regions in use, dealt out in turn to validators that name
    /// none. With `latency = "matrix"`: the names of the rows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub regions: Option<Vec<String>>,
    /// With `latency = "uniform"`: the one-way latency of every link.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub uniform_ms: Option<f64>,
    /// With `latency = "between"`: the least and the most one-way latency of a link.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub between_ms: Option<[f64; 2]>,
    /// With `latency = "matrix"`: one-way latencies between the regions, by row and column.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub matrix_ms: Option<Vec<Vec<f64>>>,
    /// How far a delay may be above its link's latency, in percent of it.
    #[serde(skip_serializing_if = "is_default")]
    pub jitter_percent: f64,
    /// How many packets are lost and sent again, in percent.
    #[serde(skip_serializing_if = "is_default")]
    pub loss_percent: f64,
    /// How many messages arrive twice, in percent.
    #[serde(skip_serializing_if = "is_default")]
    pub duplication_percent: f64,
    /// Every validator's uplink; unlimited if left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bandwidth_mbit_per_s: Option<f64>,
    /// Whether messages over a cut link wait for it to heal instead of being lost.
    #[serde(skip_serializing_if = "is_default")]
    pub hold_over_cuts: bool,
    /// How far each validator's clock may be off, before or behind; 5 ms if left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub clock_skew_ms: Option<f64>,
}

/// One validator.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Member {
    /// Its name.
    pub name: String,
    /// Its voting power; 1000 per unit of processing power if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight: Option<u64>,
    /// Its processing power, 1 being the calibrated machine.
    #[serde(default = "one", skip_serializing_if = "is_one")]
    pub power: f64,
    /// Where it stands; the regions in turn if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
}

/// The committees that come with the simulator.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Preset {
    /// The stake of 106 Sui validators, each at the AWS region nearest to it.
    #[serde(rename = "sui-106")]
    Sui106,
}

/// Where the latencies come from.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LatencyKind {
    /// The same for every link: `uniform_ms`, or 50 ms.
    #[default]
    Uniform,
    /// Drawn for every link from the seed: `between_ms`.
    Between,
    /// Measured between AWS regions.
    Aws,
    /// Given between `regions`: `matrix_ms`.
    Matrix,
}

/// The parameters of the protocol; the machine's defaults where left out.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Consensus {
    /// How many leader slots a round has, at most.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub leaders_per_round: Option<u16>,
    /// How many rounds below the last committed leader blocks may still be committed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gc_depth: Option<u64>,
    /// Every so many commits the leaders' odds are adjusted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schedule_interval_commits: Option<u64>,
    /// Every how many of these intervals a snapshot is taken; 1 if not given.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub snapshot_interval: Option<u64>,
    /// How long a round waits for leader blocks once it has a quorum.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub leader_timeout_ms: Option<f64>,
    /// The most that the leader timeout grows to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub leader_timeout_max_ms: Option<f64>,
    /// The least time between two own blocks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_round_interval_ms: Option<f64>,
    /// The time between two own blocks while nobody has anything to say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub idle_round_interval_ms: Option<f64>,
    /// How long missing parents may be on their way before they are asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sync_delay_ms: Option<f64>,
    /// How long a stalled validator waits before it says again which its last block is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resend_interval_ms: Option<f64>,
    /// How far a block's time may be ahead of the local clock and still be held back for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_clock_drift_ms: Option<u64>,
}

/// What clients do: transfers between accounts.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Load {
    /// How many transactions are submitted in a second of virtual time.
    pub transactions_per_second: f64,
    /// How many accounts send and receive.
    pub accounts: u32,
    /// To which validators clients go.
    pub to: Recipients,
}

impl Default for Load {
    fn default() -> Self {
        Self { transactions_per_second: 10.0, accounts: 16, to: Recipients::Weighted }
    }
}

/// A sweep over the number of shards and the share of transfers that cross them. Every shard has a
/// committee, links, accounts and a load like those of the scenario.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Shards {
    /// The numbers of shards, in order; each is compared with the first.
    pub counts: Vec<usize>,
    /// The shares of transfers that cross, in percent.
    pub cross_percents: Vec<u64>,
    /// The load of one more run with two shards, small enough to tell latencies by.
    pub latency_transactions_per_second: u64,
}

/// How fast the disks are.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DiskSettings {
    /// Handing a record to the operating system; 0.02 ms if left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub write_ms: Option<f64>,
    /// Waiting until everything written is durable; 0.8 ms if left out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sync_ms: Option<f64>,
}

/// How long, and from which seed.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Run {
    /// How long the run is in virtual time.
    pub virtual_seconds: f64,
    /// How much of its beginning is not measured.
    #[serde(default, skip_serializing_if = "is_default")]
    pub warm_up_seconds: f64,
    /// The seed of every random draw; `--seed` overrides it.
    #[serde(default)]
    pub seed: u64,
    /// From then on nothing goes wrong any more: cuts heal, validators come back, links and
    /// disks are sound, and the load goes on. Adversaries stay what they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub calm_from_seconds: Option<f64>,
    /// Whether adversaries may weigh more than f, to see what breaks.
    #[serde(default, skip_serializing_if = "is_default")]
    pub allow_unsafe: bool,
}

/// What is expected besides the invariants; what is not met counts as a violation.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Expect {
    /// Whether every honest validator must finalize again once the last fault is over.
    pub progress: bool,
    /// The most that median finality may be, in multiples of the lower bound.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finality_over_bound_max: Option<f64>,
    /// The least rounds per second.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rounds_per_second_min: Option<f64>,
    /// The most bytes a validator may send per round, at the median.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes_per_round_max: Option<u64>,
}

impl Default for Expect {
    fn default() -> Self {
        Self {
            progress: true,
            finality_over_bound_max: None,
            rounds_per_second_min: None,
            bytes_per_round_max: None,
        }
    }
}

/// Something that goes wrong. Which fields belong to which kind is told by the error that a
/// wrong one gives.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// When.
    pub at_ms: u64,
    /// What.
    pub kind: FaultKind,
    /// To whom, by name or index.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validators: Option<Vec<Target>>,
    /// To whom, as a share of the weight that the seed picks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight: Option<Share>,
    /// Who can still reach whom.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub groups: Option<Vec<Vec<Target>>>,
    /// Which share of the weight is cut off from the rest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cut_weight: Option<Share>,
    /// Who is no longer heard.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Vec<Target>>,
    /// Who no longer hears them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<Vec<Target>>,
    /// For how long.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub for_ms: Option<u64>,
    /// From one occurrence to the next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub period_ms: Option<u64>,
    /// How long a validator is down each time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub down_ms: Option<u64>,
    /// How long after the crash a validator comes back; never if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restart_after_ms: Option<u64>,
    /// At which step of its work a validator crashes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub moment: Option<CrashAt>,
    /// What becomes of the disk.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub disk: Option<Damage>,
    /// By how much a clock jumps, forwards or backwards.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by_ms: Option<i64>,
    /// How many times longer the latencies become.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub factor: Option<f64>,
    /// How narrow the uplinks become.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mbit_per_s: Option<f64>,
    /// How many packets are lost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub percent: Option<f64>,
    /// How long a disk takes to make something durable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sync_ms: Option<f64>,
}

/// The kinds of faults.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FaultKind {
    /// Groups that cannot reach each other, until a heal.
    Partition,
    /// Some are no longer heard by others, until a heal.
    OneWay,
    /// Validators reach nobody, until a heal.
    Isolate,
    /// A partition that comes and goes.
    Flapping,
    /// Every cut ends.
    #[default]
    Heal,
    /// Validators stop.
    Crash,
    /// Validators that are down come up.
    Restart,
    /// Validators freeze.
    Pause,
    /// Validators crash and come back, one after the other.
    Churn,
    /// Clocks jump.
    ClockJump,
    /// Links become slower.
    Latency,
    /// Uplinks become narrower.
    Bandwidth,
    /// Packets are lost.
    Loss,
    /// Disks become slow.
    SlowDisk,
}

/// Validators that do not follow the protocol.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Adversary {
    /// What they do.
    pub kind: Behaviour,
    /// Who, by name or index.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub validators: Option<Vec<Target>>,
    /// Who, as a share of the weight that the seed picks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight: Option<Share>,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

const fn one() -> f64 {
    1.0
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the signature that serde asks for")]
fn is_one(value: &f64) -> bool {
    *value == one()
}
