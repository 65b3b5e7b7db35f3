//! What a genesis document says, as it stands in the file and as it is hashed.

use std::collections::BTreeSet;

use borsh::BorshSerialize;
use qcn_crypto::{Digest, PublicKey, Role, Scheme, Signature};
use qcn_types::Address;
use serde::{Deserialize, Serialize};

use super::GENESIS_FORMAT;
use crate::words;

/// Everything in a genesis document. Its canonical bytes give the chain id.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, BorshSerialize)]
#[serde(deny_unknown_fields)]
pub struct GenesisContent {
    /// [`GENESIS_FORMAT`], which was compared before the rest was read.
    pub format: String,
    /// The network's name, for people.
    pub name: String,
    /// When it was made, in milliseconds since the Unix epoch; makes two networks of the same
    /// validators two chains.
    pub created_unix_ms: u64,
    /// Which schemes may serve in which role.
    pub schemes: AllowedSchemes,
    /// The parameters of consensus.
    pub consensus: ConsensusParameters,
    /// A snapshot of the state is taken every so many schedule windows.
    pub snapshot_interval: u64,
    /// The validators in the committee's order.
    pub validators: Vec<GenesisValidator>,
    /// Who has what.
    pub accounts: Vec<NamedAccount>,
    /// Into how many shards the accounts are divided; one shard of all validators if it is left
    /// out. Hashed behind everything else, and only if it is there: so a document from before
    /// there were shards keeps its chain id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[borsh(skip)]
    pub shards: Option<ShardsContent>,
}

/// Several shards, and who serves them.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, BorshSerialize)]
#[serde(deny_unknown_fields)]
pub struct ShardsContent {
    /// How many shards; their prefixes divide the addresses evenly.
    pub count: u16,
    /// How many validators serve each of them, drawn by weight. One may serve several.
    pub seats: u16,
    /// When committees change, and when shards split and merge; without it they never do, and
    /// there is no beacon. Hashed behind everything else, and only if it is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[borsh(skip)]
    pub epochs: Option<EpochsContent>,
}

/// How epochs follow each other.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize, BorshSerialize)]
#[serde(deny_unknown_fields)]
pub struct EpochsContent {
    /// The shortest epoch, in milliseconds of committed time.
    pub epoch_ms: u64,
    /// The most shards that splits may lead to.
    pub shards_max: u16,
    /// A shard that executes more transactions per second in two epochs in a row is split.
    pub split_above: u64,
    /// Sibling shards that execute less than this together, in two epochs in a row, are merged; at
    /// most a third of `split_above`, and 0 never merges.
    pub merge_below: u64,
}

impl GenesisContent {
    /// Content with the usual schemes and parameters.
    #[must_use]
    pub fn new(
        name: impl Into<String>,
        created_unix_ms: u64,
        validators: Vec<GenesisValidator>,
        accounts: Vec<NamedAccount>,
    ) -> Self {
        Self {
            format: GENESIS_FORMAT.to_owned(),
            name: name.into(),
            created_unix_ms,
            schemes: AllowedSchemes::default(),
            consensus: ConsensusParameters::default(),
            snapshot_interval: DEFAULT_SNAPSHOT_INTERVAL,
            validators,
            accounts,
            shards: None,
        }
    }
}

/// With the usual schedule window, a snapshot about every 256 commits.
const DEFAULT_SNAPSHOT_INTERVAL: u64 = 4;

/// Which schemes may serve in which role.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, BorshSerialize)]
#[serde(deny_unknown_fields)]
pub struct AllowedSchemes {
    /// For blocks.
    #[serde(with = "words::schemes")]
    pub consensus: BTreeSet<Scheme>,
    /// For links between validators.
    #[serde(with = "words::schemes")]
    pub transport: BTreeSet<Scheme>,
    /// For transactions.
    #[serde(with = "words::schemes")]
    pub account: BTreeSet<Scheme>,
    /// For the rotation of consensus keys.
    #[serde(with = "words::schemes")]
    pub recovery: BTreeSet<Scheme>,
}

impl AllowedSchemes {
    /// The schemes of a role.
    #[must_use]
    pub const fn of(&self, role: Role) -> &BTreeSet<Scheme> {
        match role {
            Role::Consensus => &self.consensus,
            Role::Transport => &self.transport,
            Role::Account => &self.account,
            Role::Operator => &self.recovery,
        }
    }
}

/// DESIGN section 4.
impl Default for AllowedSchemes {
    fn default() -> Self {
        Self {
            consensus: BTreeSet::from([Scheme::Falcon512]),
            transport: BTreeSet::from([Scheme::MlDsa65]),
            account: BTreeSet::from([Scheme::Falcon512, Scheme::MlDsa44, Scheme::SlhDsaSha2_128s]),
            recovery: BTreeSet::from([Scheme::SlhDsaSha2_128s]),
        }
    }
}

/// The parameters of [`qcn_consensus::Config`], under the same names.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, BorshSerialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "each is described where consensus uses it")]
pub struct ConsensusParameters {
    pub leaders_per_round: u16,
    pub gc_depth: u64,
    pub schedule_interval_commits: u64,
    pub leader_timeout_us: u64,
    pub leader_timeout_max_us: u64,
    pub min_round_interval_us: u64,
    pub idle_round_interval_us: u64,
    pub sync_delay_us: u64,
    pub resend_interval_us: u64,
    pub max_clock_drift_ms: u64,
}

impl ConsensusParameters {
    /// As consensus takes them.
    #[must_use]
    pub fn config(&self) -> qcn_consensus::Config {
        qcn_consensus::Config {
            leaders_per_round: self.leaders_per_round,
            gc_depth: self.gc_depth,
            schedule_interval_commits: self.schedule_interval_commits,
            leader_timeout_us: self.leader_timeout_us,
            leader_timeout_max_us: self.leader_timeout_max_us,
            min_round_interval_us: self.min_round_interval_us,
            idle_round_interval_us: self.idle_round_interval_us,
            sync_delay_us: self.sync_delay_us,
            resend_interval_us: self.resend_interval_us,
            max_clock_drift_ms: self.max_clock_drift_ms,
            ..qcn_consensus::Config::default()
        }
    }
}

impl From<&qcn_consensus::Config> for ConsensusParameters {
    fn from(config: &qcn_consensus::Config) -> Self {
        Self {
            leaders_per_round: config.leaders_per_round,
            gc_depth: config.gc_depth,
            schedule_interval_commits: config.schedule_interval_commits,
            leader_timeout_us: config.leader_timeout_us,
            leader_timeout_max_us: config.leader_timeout_max_us,
            min_round_interval_us: config.min_round_interval_us,
            idle_round_interval_us: config.idle_round_interval_us,
            sync_delay_us: config.sync_delay_us,
            resend_interval_us: config.resend_interval_us,
            max_clock_drift_ms: config.max_clock_drift_ms,
        }
    }
}

impl Default for ConsensusParameters {
    fn default() -> Self {
        Self::from(&qcn_consensus::Config::default())
    }
}

/// A validator at genesis: its public keys, and the proofs that its operator holds them.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, BorshSerialize)]
#[serde(deny_unknown_fields)]
pub struct GenesisValidator {
    /// A name for people, different from all others'.
    pub name: String,
    /// The voting power it asks for; formation may give less.
    pub weight: u64,
    /// Signs its blocks.
    #[serde(with = "words::public_key")]
    pub consensus_key: PublicKey,
    /// Shows that it holds the consensus key.
    #[serde(with = "words::signature")]
    pub consensus_possession: Signature,
    /// Authenticates its links.
    #[serde(with = "words::public_key")]
    pub transport_key: PublicKey,
    /// Shows that it holds the transport key.
    #[serde(with = "words::signature")]
    pub transport_possession: Signature,
    /// Rotates its consensus key.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "words::public_key_option")]
    pub recovery_key: Option<PublicKey>,
    /// Shows that it holds the recovery key.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "words::signature_option")]
    pub recovery_possession: Option<Signature>,
    /// Where others find it at first, as `host:port`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// The end of its hash chain, from which it reveals a value for the randomness of each epoch.
    /// Needed where there are epochs. Hashed behind everything else, and only if it is there.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "words::digest_option")]
    #[borsh(skip)]
    pub anchor: Option<Digest>,
}

/// What an address has at genesis.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, BorshSerialize)]
#[serde(deny_unknown_fields)]
pub struct NamedAccount {
    /// Whose.
    #[serde(with = "words::address")]
    pub address: Address,
    /// How much, above zero. Written as a string, for tools that read numbers as floats.
    #[serde(with = "words::amount")]
    pub balance: u64,
    /// A name for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}
