//! The genesis of a network: who its validators are, who has what, and by which rules.
//!
//! A genesis is a JSON document of the format `qcn-genesis/1`. Its digest is the chain id, to
//! which every signature of the network is bound. The digest is taken over the parsed content, so
//! blanks, the order of members and the case of hexadecimal digits do not matter, and everything
//! else does. For that reason nothing in it has a default: a default that changes with a version
//! would change the chain id of a document that leaves it out.
//!
//! Each operator makes an entry for its validator with [`GenesisValidator::register`] and hands it
//! on as a [`ValidatorFile`]; whoever coordinates puts the entries together. No chain id exists at
//! that time, so the proofs of possession are bound to the registration: the validator's name and
//! its keys.
//!
//! **Invariants**
//! - a [`Genesis`] exists only for content that was checked, so its committee and ledger can be
//!   formed; proofs of possession, which cost time, are checked by [`Genesis::committee_keys`];
//! - no key stands in two places: neither of two validators nor of two roles.

mod beacon;
mod check;
mod content;
mod registration;
mod shards;

use std::path::Path;
use std::sync::Arc;

use qcn_crypto::{ChainId, Digest, Domain, Hasher, Role, Scheme, hash};
use qcn_ledger::{GenesisAccount, Ledger};
use qcn_types::{Committee, CommitteeKeys, EpochPlan, Layout};

pub(crate) use beacon::named;
pub use content::{
    AllowedSchemes, ConsensusParameters, EpochsContent, GenesisContent, GenesisValidator,
    NamedAccount, ShardsContent,
};
pub use registration::{ValidatorFile, ValidatorKeys};
pub use shards::GenesisShard;

pub use crate::document::DocumentError as GenesisFileError;
use crate::document::{Overwrite, Problem, Readers, parse_json, read_text, write_file};

/// The format of the document.
pub const GENESIS_FORMAT: &str = "qcn-genesis/1";

/// The longest genesis document that is read: 512 validators with recovery keys take 16 MB, the
/// rest is room for half a million accounts.
pub const MAX_GENESIS_BYTES: u64 = 96 << 20;

/// A network's checked genesis.
#[derive(Clone, Debug)]
pub struct Genesis {
    file: String,
    content: GenesisContent,
    chain: ChainId,
    layout: Arc<Layout>,
    shards: Vec<GenesisShard>,
    beacon: Option<GenesisBeacon>,
}

/// How the beacon begins.
#[derive(Clone, Debug)]
pub struct GenesisBeacon {
    /// Its state before its first block.
    pub ledger: Ledger,
    /// Who serves which shard in the first epoch, as [`Genesis::shards`] has it.
    pub plan: Arc<EpochPlan>,
}

impl Genesis {
    /// Reads and checks a file.
    ///
    /// # Errors
    /// [`GenesisFileError`], naming the file, the place and the remedy.
    pub fn read(path: &Path) -> Result<Self, GenesisFileError> {
        Self::parse(&read_text(path, MAX_GENESIS_BYTES)?, &path.display().to_string())
    }

    /// Checks a document; `name` stands for its file in errors.
    ///
    /// # Errors
    /// [`GenesisFileError`], naming the place and the remedy.
    pub fn parse(text: &str, name: &str) -> Result<Self, GenesisFileError> {
        Self::checked(parse_json(text, name, GENESIS_FORMAT)?, name)
    }

    /// Checks content that was put together in memory.
    ///
    /// # Errors
    /// [`GenesisFileError`], naming the place and the remedy.
    pub fn new(content: GenesisContent) -> Result<Self, GenesisFileError> {
        let name = format!("genesis of {}", crate::document::quoted(&content.name));
        Self::checked(content, &name)
    }

    fn checked(content: GenesisContent, name: &str) -> Result<Self, GenesisFileError> {
        check::content(&content).map_err(|problem| problem.in_file(name))?;
        let chain = chain_id(&content);
        let (layout, shards) =
            shards::form(&content, &epoch_seed(chain)).map_err(|problem| problem.in_file(name))?;
        let beacon = beacon::begin(&content, chain, &layout).map_err(|it| it.in_file(name))?;
        let layout = Arc::new(layout);
        Ok(Self { file: name.to_owned(), chain, layout, shards, beacon, content })
    }

    /// Writes the document to a file, whole or not at all.
    ///
    /// # Errors
    /// [`GenesisFileError`], if the file exists and may not be replaced, or cannot be written.
    pub fn write(&self, path: &Path, overwrite: Overwrite) -> Result<(), GenesisFileError> {
        write_file(path, self.to_json().as_bytes(), Readers::Everyone, overwrite)
    }

    /// The document.
    #[must_use]
    pub fn to_json(&self) -> String {
        let mut text = serde_json::to_string_pretty(&self.content)
            .expect("content of strings, numbers and lists has a JSON form");
        text.push('\n');
        text
    }

    /// What the document says.
    #[must_use]
    pub const fn content(&self) -> &GenesisContent {
        &self.content
    }

    /// The network's name, for people.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.content.name
    }

    /// The network's id, to which every signature in it is bound.
    #[must_use]
    pub const fn chain(&self) -> ChainId {
        self.chain
    }

    /// The first shard's committee with its decoded keys, after checking every proof of possession:
    /// the only one, unless the genesis names several.
    ///
    /// # Errors
    /// [`GenesisFileError`], naming the validator whose key or proof is refused.
    pub fn committee_keys(&self) -> Result<CommitteeKeys, GenesisFileError> {
        let keys = self.shard_keys()?;
        Ok(keys.into_iter().next().expect("a genesis has one shard at least"))
    }

    /// The committees of all shards with their decoded keys, after checking every proof of
    /// possession. Each takes certificates of the others.
    ///
    /// # Errors
    /// [`GenesisFileError`], naming the validator whose key or proof is refused.
    pub fn shard_keys(&self) -> Result<Vec<CommitteeKeys>, GenesisFileError> {
        for (index, validator) in self.content.validators.iter().enumerate() {
            registration::verify(index, validator)
                .map_err(|problem| problem.in_file(&self.file))?;
        }
        let mut all = Vec::with_capacity(self.shards.len());
        for shard in &self.shards {
            let keys = CommitteeKeys::decode(self.chain, Arc::clone(&shard.committee));
            let keys = keys.map_err(|(seat, error)| {
                let index = shard.seats.get(seat.position()).map_or(0, |index| index.position());
                let place = format!("validators[{index}].consensus_key");
                Problem::new(place, error.to_string(), "register another key").in_file(&self.file)
            })?;
            let schemes = self.content.schemes.of(Role::Account).iter().copied();
            all.push(keys.with_account_schemes(schemes));
        }
        let linked = |keys: &CommitteeKeys| {
            let own = keys.committee().shard();
            let others = all.iter().filter(|other| other.committee().shard() != own);
            keys.clone().with_sources(others.cloned())
        };
        Ok(all.iter().map(linked).collect())
    }

    /// The first shard's committee, with weights as formation gave them: the only one, unless the
    /// genesis names several.
    #[must_use]
    pub fn committee(&self) -> &Arc<Committee> {
        &self.shards[0].committee
    }

    /// The balances at genesis, of all shards.
    pub fn accounts(&self) -> impl Iterator<Item = &GenesisAccount> {
        self.shards.iter().flat_map(|shard| shard.accounts.iter())
    }

    /// The shards in the order of their prefixes, one at least.
    #[must_use]
    pub fn shards(&self) -> &[GenesisShard] {
        &self.shards
    }

    /// How the beacon begins; nothing if committees never change.
    #[must_use]
    pub const fn beacon(&self) -> Option<&GenesisBeacon> {
        self.beacon.as_ref()
    }

    /// Which addresses each shard has at genesis.
    #[must_use]
    pub const fn layout(&self) -> &Arc<Layout> {
        &self.layout
    }

    /// The parameters of consensus.
    #[must_use]
    pub fn consensus(&self) -> qcn_consensus::Config {
        self.content.consensus.config()
    }

    /// The seed of the first epoch's draws: of committees, and of leaders.
    #[must_use]
    pub fn seed(&self) -> Digest {
        epoch_seed(self.chain)
    }

    /// All validators, with the weights they asked for. Their places are those by which they know
    /// each other; in the committee of the only shard they have the same.
    #[must_use]
    pub fn validators(&self) -> &[GenesisValidator] {
        &self.content.validators
    }

    /// The names of all validators, in the order of their numbers.
    pub(crate) fn names(&self) -> Arc<[String]> {
        self.content.validators.iter().map(|validator| validator.name.clone()).collect()
    }

    /// Whether keys of `scheme` may serve in `role`.
    #[must_use]
    pub fn allows(&self, role: Role, scheme: Scheme) -> bool {
        self.content.schemes.of(role).contains(&scheme)
    }

    /// A snapshot of the state is taken every so many schedule windows.
    #[must_use]
    pub const fn snapshot_interval(&self) -> u64 {
        self.content.snapshot_interval
    }

    /// What whoever starts this network should know: lowered weights, no tolerated fault, ...
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        check::warnings(self)
    }
}

/// The digest of the canonical content, without the blanks and digits' case of the text.
fn chain_id(content: &GenesisContent) -> ChainId {
    let mut hasher = Hasher::new(Domain::Genesis);
    borsh::to_writer(&mut hasher, content).expect("hashing cannot fail");
    if let Some(shards) = &content.shards {
        borsh::to_writer(&mut hasher, shards).expect("hashing cannot fail");
        if let Some(epochs) = &shards.epochs {
            borsh::to_writer(&mut hasher, epochs).expect("hashing cannot fail");
        }
    }
    let anchors: Vec<_> = content.validators.iter().map(|entry| entry.anchor).collect();
    if anchors.iter().any(Option::is_some) {
        borsh::to_writer(&mut hasher, &anchors).expect("hashing cannot fail");
    }
    ChainId(hasher.finalize())
}

fn epoch_seed(chain: ChainId) -> Digest {
    hash(Domain::Beacon, chain.0.as_bytes())
}

#[cfg(test)]
mod tests;
