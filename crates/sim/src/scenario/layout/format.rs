//! What `[layout]` has, as written.

use serde::{Deserialize, Serialize};

use crate::sharding::BadRelayer;

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
    pub from: u32,
    /// The shard that receives.
    pub to: u32,
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
