use qcn_crypto::{SigningKey, hash};
use qcn_types::Address;

use super::*;

fn key(scheme: Scheme, label: &str) -> SigningKey {
    let seed = hash(Domain::Simulation, label.as_bytes());
    SigningKey::from_seed(scheme, seed.as_bytes()).unwrap()
}

/// A validator whose keys follow from its name.
fn validator(name: &str, weight: u64) -> GenesisValidator {
    let keys = ValidatorKeys {
        consensus: key(Scheme::Falcon512, &format!("{name} consensus")),
        transport: key(Scheme::MlDsa65, &format!("{name} transport")),
        recovery: None,
    };
    GenesisValidator::register(name, weight, &keys, Some(format!("{name}.example:7400"))).unwrap()
}

fn account(name: &str, balance: u64) -> NamedAccount {
    let address = Address(hash(Domain::Address, name.as_bytes()));
    NamedAccount { address, balance, name: Some(name.to_owned()) }
}

fn content() -> GenesisContent {
    let validators = ["alice", "bob", "carol", "dave"].map(|name| validator(name, 1000));
    let accounts = vec![account("treasury", u64::MAX - 5), account("faucet", 5)];
    GenesisContent::new("testnet", 1_700_000_000_000, validators.into(), accounts)
}

#[test]
fn a_genesis_reads_back_with_the_same_chain() {
    let genesis = Genesis::new(content()).unwrap();
    let text = genesis.to_json();
    let again = Genesis::parse(&text, "genesis.json").unwrap();
    assert_eq!(again.content(), genesis.content());
    assert_eq!(again.chain(), genesis.chain());
    assert_eq!(again.to_json(), text);
    assert_eq!(again.committee_keys().unwrap().committee().len(), 4);
    assert_eq!(again.consensus(), qcn_consensus::Config::default());
    assert_eq!(again.accounts().len(), 2);
}
