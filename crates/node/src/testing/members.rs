//! A network with epochs whose validators have keys that follow from their names.

use std::sync::LazyLock;

use qcn_crypto::{Domain, Scheme, SigningKey, hash};

use crate::genesis::{
    EpochsContent, Genesis, GenesisContent, GenesisValidator, ShardsContent, ValidatorKeys,
};

/// Of the genesis.
pub(crate) const NAMES: [&str; 5] = ["alice", "bob", "carol", "dave", "erin"];

pub(crate) fn key(scheme: Scheme, label: &str) -> SigningKey {
    let seed = hash(Domain::Simulation, label.as_bytes());
    SigningKey::from_seed(scheme, seed.as_bytes()).unwrap()
}

pub(crate) fn keys(name: &str) -> ValidatorKeys {
    ValidatorKeys {
        consensus: key(Scheme::Falcon512, &format!("{name} consensus")),
        transport: key(Scheme::MlDsa65, &format!("{name} transport")),
        recovery: None,
    }
}

/// The recovery key of whoever has one: alice in the genesis.
pub(crate) fn recovery() -> SigningKey {
    key(Scheme::SlhDsaSha2_128s, "safe")
}

/// The same network made at another time has another chain.
pub(crate) fn genesis_made(created_unix_ms: u64, has_epochs: bool) -> Genesis {
    let validators = NAMES.map(|name| {
        let recovery = (name == NAMES[0]).then(recovery);
        let keys = ValidatorKeys { recovery, ..keys(name) };
        GenesisValidator::register(name, 1_000, &keys, None).unwrap()
    });
    let mut content = GenesisContent::new("net", created_unix_ms, validators.into(), Vec::new());
    let epochs =
        EpochsContent { epoch_ms: 60_000, shards_max: 8, split_above: 900, merge_below: 0 };
    content.shards =
        Some(ShardsContent { count: 2, seats: 4, epochs: has_epochs.then_some(epochs) });
    Genesis::new(content).unwrap()
}

pub(crate) static GENESIS: LazyLock<Genesis> = LazyLock::new(|| genesis_made(1, true));
