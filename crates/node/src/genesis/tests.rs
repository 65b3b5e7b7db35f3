use std::sync::LazyLock;

use proptest::prelude::*;
use qcn_crypto::{SigningKey, hash};
use qcn_types::{Address, ShardId, ValidatorIndex, Weight};
use serde_json::{Value, json};

use super::*;

fn key(scheme: Scheme, label: &str) -> SigningKey {
    let seed = hash(Domain::Simulation, label.as_bytes());
    SigningKey::from_seed(scheme, seed.as_bytes()).unwrap()
}

fn keys(name: &str) -> ValidatorKeys {
    ValidatorKeys {
        consensus: key(Scheme::Falcon512, &format!("{name} consensus")),
        transport: key(Scheme::MlDsa65, &format!("{name} transport")),
        recovery: None,
    }
}

/// Epochs of a minute in a network of two shards.
const SHARDS: ShardsContent = ShardsContent {
    count: 2,
    seats: 4,
    epochs: Some(EpochsContent {
        epoch_ms: 60_000,
        shards_max: 8,
        split_above: 3_000,
        merge_below: 100,
    }),
};

/// A validator whose keys follow from its name.
fn validator(name: &str, weight: u64) -> GenesisValidator {
    let address = Some(format!("{name}.example:7400"));
    GenesisValidator::register(name, weight, &keys(name), address).unwrap()
}

fn account(name: &str, balance: u64) -> NamedAccount {
    let address = Address(hash(Domain::Address, name.as_bytes()));
    NamedAccount { address, balance, name: Some(name.to_owned()) }
}

static CONTENT: LazyLock<GenesisContent> = LazyLock::new(|| {
    let mut validators = ["alice", "bob", "carol", "dave"].map(|name| validator(name, 1000));
    let with_recovery =
        ValidatorKeys { recovery: Some(key(Scheme::SlhDsaSha2_128s, "safe")), ..keys("alice") };
    validators[0] = GenesisValidator::register("alice", 1000, &with_recovery, None).unwrap();
    let accounts = vec![account("treasury", u64::MAX - 5), account("faucet", 5)];
    GenesisContent::new("testnet", 1_700_000_000_000, validators.into(), accounts)
});

fn content() -> GenesisContent {
    CONTENT.clone()
}

fn document() -> Value {
    serde_json::to_value(content()).unwrap()
}

/// The document with the value at a pointer changed, or added.
fn with(pointer: &str, value: impl Into<Value>) -> Value {
    let mut document = document();
    let (parent, member) = pointer.rsplit_once('/').unwrap();
    let parent = document.pointer_mut(parent).unwrap();
    match parent {
        Value::Array(items) => items[member.parse::<usize>().unwrap()] = value.into(),
        other => other[member] = value.into(),
    }
    document
}

fn without(parent: &str, member: &str) -> Value {
    let mut document = document();
    let object = document.pointer_mut(parent).unwrap().as_object_mut().unwrap();
    object.remove(member).unwrap();
    document
}

/// Every document is refused at a place, with a remedy, and in one line that names the file.
fn check(rows: &[(Value, &str, &str)]) {
    for (document, place, part) in rows {
        let error = Genesis::parse(&document.to_string(), "net.json").unwrap_err();
        let message = error.to_string();
        assert!(error.place.starts_with(place), "{message} is not at {place}");
        assert!(message.starts_with(&format!("net.json: {place}")), "{message}");
        assert!(message.contains(part), "{message} does not say {part:?}");
        assert!(!error.remedy.is_empty(), "{message}");
        assert_eq!(message.lines().count(), 1, "{message}");
    }
}

#[test]
fn a_genesis_reads_back_with_the_same_chain() {
    let genesis = Genesis::new(content()).unwrap();
    let text = genesis.to_json();
    let again = Genesis::parse(&text, "genesis.json").unwrap();
    assert_eq!(again.content(), genesis.content());
    assert_eq!(again.chain(), genesis.chain());
    assert_eq!(again.to_json(), text);
    let committee = again.committee_keys().unwrap();
    assert_eq!(committee.chain(), again.chain());
    assert_eq!(committee.committee().len(), 4);
    assert_eq!(again.consensus(), qcn_consensus::Config::default());
    assert_eq!(again.accounts().count(), 2);
    assert!(again.allows(Role::Account, Scheme::MlDsa44));
    assert!(!again.allows(Role::Consensus, Scheme::MlDsa44));
    Ledger::genesis(again.chain(), &again.shards()[0].accounts).unwrap();
}

/// The chain id of this content, in every version. Whoever changes it forks every network.
#[test]
fn the_chain_id_of_fixed_content_never_changes() {
    let mut fixed = content();
    // Signatures are randomised; everything else follows from the names.
    for entry in &mut fixed.validators {
        let nothing = qcn_crypto::Signature::new([0; 3]).unwrap();
        entry.consensus_possession = nothing.clone();
        entry.transport_possession = nothing.clone();
        entry.recovery_possession = entry.recovery_key.is_some().then_some(nothing);
        // Of a document from before there were epochs.
        entry.anchor = None;
    }
    let genesis = Genesis::new(fixed).unwrap();
    assert_eq!(
        genesis.chain().to_string(),
        "68d9ad569736f3d9d3ed65cc1a1a0cbeffa6e7be6362dbc8783c774f1340f75f"
    );
    assert_eq!(
        genesis.seed().to_string(),
        "c54cdfdc0d3bacb820350351d735730aa6fbad8d85a4c2ff6ac8b189efc5f264"
    );
}

#[test]
fn the_form_of_the_text_does_not_change_the_chain() {
    let chain = Genesis::new(content()).unwrap().chain();
    // Without blanks, with members in alphabetic order, balances as numbers and digits in capitals.
    let mut other = with("/accounts/1/balance", 5);
    let key = other.pointer_mut("/validators/2/consensus_key/key").unwrap();
    *key = key.as_str().unwrap().to_uppercase().into();
    assert_eq!(Genesis::parse(&other.to_string(), "x").unwrap().chain(), chain);
}

#[test]
fn whatever_is_said_changes_the_chain() {
    let chain = Genesis::new(content()).unwrap().chain();
    let mut seen = vec![chain];
    for document in [
        with("/name", "other"),
        with("/created_unix_ms", 1),
        with("/snapshot_interval", 5),
        with("/schemes/account", json!(["ml-dsa-44"])),
        with("/consensus/leader_timeout_us", 99_999),
        with("/consensus/max_clock_drift_ms", 1),
        with("/validators/1/weight", 1001),
        with("/validators/1/address", "bob.example:7401"),
        with("/validators/1/consensus_possession", "00"),
        with("/accounts/0/balance", "7"),
        with("/accounts/0/name", "hoard"),
        with("/accounts/0/address", "00".repeat(32)),
        without("/accounts/0", "name"),
        without("/validators/1", "address"),
    ] {
        let chain = Genesis::parse(&document.to_string(), "x").unwrap().chain();
        assert!(!seen.contains(&chain), "{document}");
        seen.push(chain);
    }
}

#[test]
fn weights_above_f_are_lowered_and_it_is_said() {
    let mut heavy = content();
    heavy.validators[1].weight = 9000;
    let genesis = Genesis::new(heavy).unwrap();
    assert_eq!(genesis.shards()[0].caps.len(), 1);
    assert_eq!(genesis.validators()[1].weight, 9000);
    let given = genesis.committee().members()[1].weight;
    assert_eq!(given, Weight(genesis.committee().fault_weight()));
    assert!(genesis.warnings().iter().any(|warning| warning.contains("bob asked for weight 9000")));
    genesis.committee_keys().unwrap();
}

#[test]
fn a_small_committee_is_said_to_tolerate_nothing() {
    let mut small = content();
    small.validators.truncate(3);
    let warnings = Genesis::new(small).unwrap().warnings();
    assert!(warnings.iter().any(|warning| warning.contains("tolerates no fault")), "{warnings:?}");
    assert!(warnings.iter().any(|warning| warning.contains("bob, carol")), "{warnings:?}");
}

#[test]
fn what_is_no_such_document() {
    check(&[
        (json!([]), "line 1, column", "expected"),
        (json!({}), "format", "no format"),
        (json!({ "format": "qcn-genesis/2", "news": 1 }), "format", "qcn-genesis/1"),
        (json!({ "format": 1 }), "format", "qcn-genesis/1"),
        (without("", "name"), "line 1, column", "missing field `name`"),
        (with("/nmae", "x"), "nmae (line 1", "unknown field `nmae`"),
        (without("/consensus", "gc_depth"), "consensus (line 1", "missing field `gc_depth`"),
        (with("/validators/2/weight", "1"), "validators[2].weight (line 1", "expected u64"),
        (with("/validators/2/weight", -1), "validators[2].weight (line 1", "expected u64"),
        (with("/validators/1/stake", 1), "validators[1].stake (line 1", "unknown field"),
        (
            with("/validators/0/consensus_key/scheme", "rsa"),
            "validators[0].consensus_key",
            "use one",
        ),
        (with("/validators/0/consensus_key/key", "00"), "validators[0].consensus_key", "897 bytes"),
        (with("/validators/0/transport_key/key", "xy"), "validators[0].transport_key", "hex digit"),
        (
            with("/validators/3/consensus_possession", "0"),
            "validators[3].consensus_possession",
            "hex",
        ),
        (with("/accounts/1/address", "00"), "accounts[1].address", "expected 32 bytes"),
        (with("/accounts/1/balance", "1.5"), "accounts[1].balance", "a string of digits"),
        (with("/accounts/1/balance", "+5"), "accounts[1].balance", "a string of digits"),
        (with("/accounts/1/balance", -5), "accounts[1].balance", "a whole number"),
        (with("/schemes/account", json!(["x"])), "schemes.account", "use one of"),
        (
            with("/schemes/account", json!(["ml-dsa-44", "ml-dsa-44"])),
            "schemes.account",
            "named twice",
        ),
    ]);
    for text in ["", "{", "{\"format\":\"qcn-genesis/1\"", "\u{0}"] {
        assert!(Genesis::parse(text, "x").unwrap_err().place.starts_with("line 1"), "{text}");
    }
    let twice = document().to_string() + "{}";
    assert!(Genesis::parse(&twice, "x").unwrap_err().what.contains("trailing"));
}

#[test]
fn what_cannot_be_a_network() {
    let bob = document().pointer("/validators/1").unwrap().clone();
    let stolen = |member: &str| with(&format!("/validators/2/{member}"), bob[member].clone());
    check(&[
        (with("/name", ""), "name", "1 to 64 bytes"),
        (with("/name", " x"), "name", "1 to 64 bytes"),
        (with("/name", "x".repeat(65)), "name", "65 bytes"),
        (with("/snapshot_interval", 0), "snapshot_interval", "give 1 to"),
        (with("/consensus/leaders_per_round", 0), "consensus.leaders_per_round", "at least 1"),
        (with("/consensus/gc_depth", 1), "consensus.gc_depth", "at least"),
        (with("/consensus/leader_timeout_us", 1_u64 << 40), "consensus.leader_timeout_us", "above"),
        (with("/consensus/sync_delay_us", 0), "consensus.sync_delay_us", "at least 1000"),
        (with("/schemes/recovery", json!([])), "schemes.recovery", "at least one"),
        (with("/schemes/transport", json!(["falcon-512"])), "schemes.transport", "ml-dsa-65"),
        (
            with("/schemes/consensus", json!(["ml-dsa-44"])),
            "validators[0].consensus_key.scheme",
            "make a key of ml-dsa-44",
        ),
        (with("/validators", json!([])), "validators", "name 1 to 512"),
        (with("/validators/2/weight", 0), "validators[2].weight", "a weight from 1"),
        (with("/validators/2/weight", u64::MAX), "validators[2].weight", "a weight from 1"),
        (with("/validators/2/name", "bob"), "validators[2].name", "each its own name"),
        (with("/validators/2/name", "a\nb"), "validators[2].name", "printable"),
        (with("/validators/2/address", "nowhere"), "validators[2].address", "host:port"),
        (stolen("consensus_key"), "validators[2].consensus_key", "validators[1].consensus_key"),
        (stolen("transport_key"), "validators[2].transport_key", "validators[1].transport_key"),
        (
            without("/validators/0", "recovery_key"),
            "validators[0].recovery_possession",
            "both or neither",
        ),
        (
            with("/accounts/1/address", document()["accounts"][0]["address"].clone()),
            "accounts[1].address",
            "add the two balances up",
        ),
        (with("/accounts/1/balance", 0), "accounts[1].balance", "leave the account out"),
        (with("/accounts/1/balance", 6), "accounts[1].balance", "scale all of them down"),
    ]);
    let heavy = [1 << 59, (1 << 59) + 1];
    let mut two = content();
    two.validators.truncate(2);
    two.validators.iter_mut().zip(heavy).for_each(|(entry, weight)| entry.weight = weight);
    assert_eq!(Genesis::new(two).unwrap_err().place, "validators[1].weight");
}

/// One key in two roles could be played against itself.
#[test]
fn a_key_of_two_roles_is_refused() {
    let mut double = content();
    double.schemes.consensus.insert(Scheme::MlDsa65);
    let one = key(Scheme::MlDsa65, "one for all");
    let keys = ValidatorKeys { consensus: one.clone(), transport: one, recovery: None };
    double.validators[1] = GenesisValidator::register("bob", 1, &keys, None).unwrap();
    let error = Genesis::new(double).unwrap_err();
    assert_eq!(error.place, "validators[1].transport_key");
    assert!(error.what.contains("validators[1].consensus_key"), "{error}");
}

/// A proof covers the name and all keys of an entry, and none of another's.
#[test]
fn possession_is_bound_to_the_registration() {
    let refused = |change: &dyn Fn(&mut GenesisContent)| {
        let mut content = content();
        change(&mut content);
        Genesis::new(content).unwrap().committee_keys().unwrap_err().place
    };
    assert_eq!(
        refused(&|content| content.validators[1].name = "bert".into()),
        "validators[1].consensus_possession"
    );
    assert_eq!(
        refused(&|content| {
            let entry = &mut content.validators[0];
            (entry.recovery_key, entry.recovery_possession) = (None, None);
        }),
        "validators[0].consensus_possession"
    );
    // Mallory registers bob's transport key beside her own consensus key.
    assert_eq!(
        refused(&|content| {
            let (bob, mallory) = (content.validators[1].clone(), validator("mallory", 1000));
            content.validators[1] = GenesisValidator {
                transport_key: bob.transport_key,
                transport_possession: bob.transport_possession,
                ..mallory
            };
        }),
        "validators[1].consensus_possession"
    );
    for (index, place) in
        [(1, "validators[1].transport_possession"), (0, "validators[0].recovery_possession")]
    {
        let broken = refused(&|content| {
            let entry = &mut content.validators[index];
            let proof =
                entry.recovery_possession.as_mut().unwrap_or(&mut entry.transport_possession);
            let mut bytes = proof.as_bytes().to_vec();
            bytes[100] ^= 1;
            *proof = qcn_crypto::Signature::new(bytes).unwrap();
        });
        assert_eq!(broken, place);
    }
}

#[test]
fn a_registration_reads_back_and_is_checked_at_once() {
    let file = ValidatorFile::new(content().validators[0].clone());
    assert_eq!(ValidatorFile::parse(&file.to_json(), "alice.json").unwrap(), file);
    for (from, to, place) in [
        ("\"alice\"", "\"eve\"", "validator.consensus_possession"),
        ("1000", "0", "validator.weight"),
        ("\"weight\"", "\"height\"", "validator.height (line"),
        ("qcn-validator/1", "qcn-genesis/1", "format"),
    ] {
        let text = file.to_json().replacen(from, to, 1);
        let error = ValidatorFile::parse(&text, "alice.json").unwrap_err();
        assert!(error.place.starts_with(place), "{error}");
        assert_eq!(error.file, "alice.json");
    }
}

#[test]
fn a_file_is_written_once_and_reads_back() {
    let folder = std::env::temp_dir().join(format!("qcn-genesis-{}", std::process::id()));
    let path = folder.join("genesis.json");
    let genesis = Genesis::new(content()).unwrap();
    genesis.write(&path, Overwrite::Refuse).unwrap();
    let refused = genesis.write(&path, Overwrite::Refuse).unwrap_err();
    assert!(refused.to_string().contains("exists already"), "{refused}");
    genesis.write(&path, Overwrite::Replace).unwrap();
    assert_eq!(Genesis::read(&path).unwrap().chain(), genesis.chain());
    let missing = Genesis::read(&folder.join("nothing.json")).unwrap_err();
    assert!(missing.to_string().contains("nothing.json: cannot read"), "{missing}");
    std::fs::remove_dir_all(folder).unwrap();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_text_is_parsed_or_refused(text in ".{0,200}") {
        let _ = Genesis::parse(&text, "x");
        let _ = ValidatorFile::parse(&text, "x");
    }

    /// Anything anywhere in a good document: refused, or as checked as any other.
    #[test]
    fn a_document_with_any_value_anywhere_is_parsed_or_refused(
        place in any::<prop::sample::Index>(),
        value in prop_oneof![
            Just(Value::Null), any::<bool>().prop_map(Value::from), any::<i64>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from), any::<f64>().prop_map(Value::from),
            ".{0,20}".prop_map(Value::from), "[0-9a-f]{0,64}".prop_map(Value::from),
            Just(json!([])), Just(json!({})), Just(json!([[{}]])),
        ],
    ) {
        let mut document = document();
        let mut pointers = Vec::new();
        collect_pointers(&document, "", &mut pointers);
        *document.pointer_mut(place.get(pointers.as_slice()).as_str()).unwrap() = value;
        if let Ok(genesis) = Genesis::parse(&document.to_string(), "x") {
            let _ = genesis.committee_keys();
            Ledger::genesis(genesis.chain(), &genesis.shards()[0].accounts).unwrap();
            let again = Genesis::parse(&genesis.to_json(), "x").unwrap();
            prop_assert_eq!(again.chain(), genesis.chain());
        }
    }
}

fn collect_pointers(value: &Value, here: &str, pointers: &mut Vec<String>) {
    match value {
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                collect_pointers(item, &format!("{here}/{index}"), pointers);
            }
        }
        Value::Object(members) => {
            for (name, member) in members {
                collect_pointers(member, &format!("{here}/{name}"), pointers);
            }
        }
        _ => {}
    }
    pointers.push(here.to_owned());
}

fn sharded(count: u16, seats: u16) -> Result<Genesis, GenesisFileError> {
    let shards = Some(ShardsContent { count, seats, epochs: None });
    Genesis::new(GenesisContent { shards, ..content() })
}

/// Without the section there is one shard with everybody and everything, and one that says so has
/// the same committee and yet is another network.
#[test]
fn without_shards_there_is_one_of_all() {
    let plain = Genesis::new(content()).unwrap();
    let [shard] = plain.shards() else { panic!("one shard") };
    assert_eq!((shard.id, shard.seats.len(), shard.accounts.len()), (ShardId(0), 4, 2));
    assert!(!plain.to_json().contains("\"shards\""));
    let said = sharded(1, 4).unwrap();
    assert_eq!(said.committee(), plain.committee());
    assert_ne!(said.chain(), plain.chain(), "the section is part of what is hashed");
    assert_ne!(sharded(2, 3).unwrap().chain(), sharded(2, 4).unwrap().chain());
}

/// Every account is in the shard of its address, every shard has its seats and takes certificates
/// of the others, and the same document gives the same committees.
#[test]
fn shards_divide_the_accounts_and_draw_their_committees() {
    let mut many = content();
    many.accounts = (0..50).map(|number| account(&number.to_string(), number + 1)).collect();
    many.shards = Some(ShardsContent { count: 4, seats: 3, epochs: None });
    let genesis = Genesis::new(many).unwrap();
    assert_eq!(genesis.shards().len(), 4);
    assert_eq!(genesis.accounts().count(), 50);
    for shard in genesis.shards() {
        assert_eq!((shard.seats.len(), shard.committee.len()), (3, 3));
        for (seat, index) in (0_u16..).zip(&shard.seats) {
            let name = &genesis.validators()[index.position()].name;
            assert_eq!(shard.committee.members()[usize::from(seat)].name, *name);
            assert_eq!(shard.seat_of(*index), Some(ValidatorIndex(seat)));
        }
        for account in shard.accounts.iter() {
            assert_eq!(genesis.layout().shard_of(&account.address), shard.id);
        }
    }
    let again = Genesis::parse(&genesis.to_json(), "genesis.json").unwrap();
    let seats = |genesis: &Genesis| -> Vec<Vec<ValidatorIndex>> {
        genesis.shards().iter().map(|shard| shard.seats.clone()).collect()
    };
    assert_eq!((again.chain(), seats(&again)), (genesis.chain(), seats(&genesis)));
    let keys = genesis.shard_keys().unwrap();
    let shards: Vec<ShardId> = keys.iter().map(|keys| keys.committee().shard()).collect();
    assert_eq!(shards, [0, 1, 2, 3].map(ShardId));
}

#[test]
fn impossible_shards_are_refused_at_their_place() {
    let shards = |count: u64, seats: u64| with("/shards", json!({"count": count, "seats": seats}));
    check(&[
        (shards(0, 4), "shards.count", "1 to 256 shards"),
        (shards(257, 4), "shards.count", "1 to 256 shards"),
        (shards(2, 0), "shards.seats", "at least one seat"),
        (shards(2, 5), "shards.seats", "5 seats cannot be filled by 4"),
        (shards(2, 60_000), "shards.seats", "more than"),
        (with("/shards", json!({"count": 2})), "shards", "seats"),
        (with("/shards", json!({"count": 2, "seats": 4, "x": 1})), "shards", "x"),
    ]);
}

#[test]
fn epochs_need_chains_to_reveal_and_are_part_of_the_chain_id() {
    let with = |change: &dyn Fn(&mut GenesisContent)| {
        let mut content = GenesisContent { shards: Some(SHARDS), ..content() };
        change(&mut content);
        Genesis::new(content)
    };
    let genesis = with(&|_| ()).unwrap();
    let beacon = genesis.beacon().unwrap();
    for shard in genesis.shards() {
        let planned = beacon.plan.committee(shard.id).unwrap();
        let keys = |committee: &Committee| -> Vec<_> {
            committee.members().iter().map(|it| (it.key.clone(), it.weight)).collect()
        };
        assert_eq!(keys(&planned), keys(&shard.committee), "the plan names who serves the shard");
    }
    let again = Genesis::parse(&genesis.to_json(), "again").unwrap();
    assert_eq!(again.chain(), genesis.chain());
    assert!(Genesis::new(content()).unwrap().beacon().is_none());

    let epochs = |change: &dyn Fn(&mut EpochsContent)| {
        with(&|content| change(content.shards.as_mut().unwrap().epochs.as_mut().unwrap()))
    };
    assert_ne!(epochs(&|it| it.epoch_ms += 1).unwrap().chain(), genesis.chain());
    let anchor = Some(Digest([9; 32]));
    let swapped = with(&|content| content.validators[2].anchor = anchor).unwrap();
    assert_ne!(swapped.chain(), genesis.chain());
    assert!(swapped.shard_keys().is_err(), "the proofs of an entry cover its anchor");
    let refused = |broken: Result<Genesis, GenesisFileError>| broken.unwrap_err().place;
    assert_eq!(refused(with(&|it| it.validators[1].anchor = None)), "validators[1].anchor");
    assert_eq!(refused(epochs(&|it| it.merge_below = 1_001)), "shards.epochs");
    assert_eq!(refused(epochs(&|it| it.epoch_ms = 0)), "shards.epochs");
    assert_eq!(refused(epochs(&|it| it.shards_max = 1)), "shards.epochs");
}
