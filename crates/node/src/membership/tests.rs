use std::sync::LazyLock;

use qcn_crypto::SigningKey;
use qcn_ledger::Ignored;
use qcn_types::{Report, ValidatorIndex};
use serde_json::{Value, json};

use super::*;
use crate::document::Overwrite;
use crate::genesis::ValidatorKeys;
use crate::testing::TestFolder;
use crate::testing::members::{GENESIS, genesis_made, key, keys, recovery};

static NEWCOMER: LazyLock<RegistrationFile> = LazyLock::new(|| {
    let keys = ValidatorKeys { recovery: Some(recovery()), ..keys("frank") };
    sign("frank", 700, &keys, Some("frank.example:7400")).unwrap()
});

static ROTATION: LazyLock<RotationFile> = LazyLock::new(|| {
    let [consensus, transport] = new_keys();
    rotate("alice", 0, Some(&consensus), Some(&transport)).unwrap()
});

fn sign(
    name: &str,
    weight: u64,
    keys: &ValidatorKeys,
    address: Option<&str>,
) -> Result<RegistrationFile, DocumentError> {
    RegistrationFile::sign(&GENESIS, &NewValidator { name, weight, keys, address })
}

fn new_keys() -> [SigningKey; 2] {
    [key(Scheme::Falcon512, "next consensus"), key(Scheme::MlDsa65, "next transport")]
}

fn rotate(
    name: &str,
    number: u32,
    consensus: Option<&SigningKey>,
    transport: Option<&SigningKey>,
) -> Result<RotationFile, DocumentError> {
    let new = NewValidatorKeys { number, counter: 1, name, consensus, transport };
    RotationFile::sign(&GENESIS, &new, &recovery())
}

fn value(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

/// The beacon at genesis, asked as if validator 1 reported it.
fn takes(report: &Report) -> Result<(), Ignored> {
    report.check(GENESIS.chain()).unwrap();
    GENESIS.beacon().unwrap().ledger.admit_report(ValidatorIndex(1), report)
}

#[test]
fn what_is_written_reads_back_and_is_taken_by_the_beacon() {
    let folder = TestFolder::new();
    let path = folder.path().join("frank.json");
    NEWCOMER.write(&path, Overwrite::Refuse).unwrap();
    assert!(NEWCOMER.write(&path, Overwrite::Refuse).is_err(), "no file is replaced untold");
    let read = RegistrationFile::read(&path, &GENESIS).unwrap();
    assert_eq!(read, *NEWCOMER);
    assert_eq!((read.name().as_str(), read.registration().weight.0), ("frank", 700));
    let report = Report::Registration(Box::new(read.registration().clone()));
    assert_eq!(takes(&report), Ok(()));

    let path = folder.path().join("rotation.json");
    ROTATION.write(&path, Overwrite::Refuse).unwrap();
    let read = RotationFile::read(&path, &GENESIS).unwrap();
    assert_eq!(read, *ROTATION);
    let report = Report::Rotation(Box::new(read.rotation().clone()));
    assert_eq!(takes(&report), Ok(()));
}

/// Only a new consensus key brings a new hash chain.
#[test]
fn a_rotation_may_replace_one_key() {
    let [consensus, transport] = new_keys();
    let file = rotate("whatever", 0, None, Some(&transport)).unwrap();
    assert_eq!(file.rotation().body.anchor, None);
    let text = file.to_json();
    assert!(!text.contains("anchor") && !text.contains("consensus_key"), "{text}");
    assert_eq!(RotationFile::parse(&text, "f", &GENESIS).unwrap(), file);
    let file = rotate("alice", 0, Some(&consensus), None).unwrap();
    let anchor = crate::reveals::Reveals::anchor(&consensus, "alice");
    assert_eq!(file.rotation().body.anchor, Some(anchor));
}

#[test]
fn what_a_node_keeps_is_found_by_its_digest() {
    let folder = TestFolder::new();
    let data = folder.path();
    let digest = NEWCOMER.digest();
    assert!(RegistrationFile::kept(data, &digest).is_err());
    NEWCOMER.keep(data).unwrap();
    NEWCOMER.keep(data).unwrap();
    assert_eq!(RegistrationFile::kept(data, &digest).unwrap(), *NEWCOMER.registration());
    ROTATION.keep(data).unwrap();
    let kept = RotationFile::kept(data, &ROTATION.digest()).unwrap();
    assert_eq!(kept, *ROTATION.rotation());

    // Another document in the place of the one that was voted for.
    for (folder, digest, member) in
        [("registrations", digest, "weight"), ("rotations", ROTATION.digest(), "counter")]
    {
        let path = data.join("epochs").join(folder).join(format!("{digest}.json"));
        let mut document = value(&std::fs::read_to_string(&path).unwrap());
        document[member] = json!(701);
        std::fs::write(&path, document.to_string()).unwrap();
    }
    let error = RegistrationFile::kept(data, &digest).unwrap_err().to_string();
    assert!(error.contains("its digest is") && error.contains("qcn vote admit"), "{error}");
    let error = RotationFile::kept(data, &ROTATION.digest()).unwrap_err().to_string();
    assert!(error.contains("its digest is") && error.contains("qcn vote rotate"), "{error}");
}

/// Whatever is changed in a document, it is refused with the place and the remedy.
#[test]
fn a_damaged_document_is_refused() {
    let other_key = serde_json::to_value(json!({
        "scheme": "falcon-512",
        "key": keys("gina").consensus.public_key().to_string(),
    }));
    let other_key = other_key.unwrap();
    let again = "qcn validator register";
    let registrations = [
        ("format", json!("qcn-validator/1"), "format", "give a document of format"),
        ("colour", json!("red"), "colour", "leave it out"),
        ("name", json!(7), "name", "correct it"),
        ("name", json!(" frank"), "name", "another name"),
        ("name", json!("x".repeat(65)), "name", "another name"),
        ("name", json!("fred"), "consensus_possession", again),
        ("weight", json!(0), "weight", "about 1000"),
        ("weight", json!(701), "consensus_possession", again),
        ("anchor", json!("00".repeat(32)), "consensus_possession", again),
        ("anchor", json!("00"), "anchor", "correct it"),
        ("address", json!("frank.example"), "address", "host:port"),
        ("address", json!("f.example:7400"), "consensus_possession", again),
        ("consensus_key", other_key.clone(), "consensus_possession", again),
        ("transport_possession", json!("00"), "transport_possession", again),
        ("recovery_possession", json!("00"), "recovery_possession", again),
        ("recovery_possession", Value::Null, "recovery_possession", "correct it"),
        ("chain_id", json!("00".repeat(32)), "chain_id", "genesis of this network"),
        ("transport_key", other_key.clone(), "transport_key.scheme", "ml-dsa-65"),
    ];
    for (member, wrong, place, remedy) in registrations {
        let mut document = value(&NEWCOMER.to_json());
        document[member] = wrong;
        let error = RegistrationFile::parse(&document.to_string(), "f", &GENESIS).unwrap_err();
        assert_refused(member, &error, place, remedy);
    }
    let again = "qcn validator rotate";
    let rotations = [
        ("format", json!("qcn-registration/1"), "format", "give a document of format"),
        ("colour", json!("red"), "colour", "leave it out"),
        ("number", json!(1), "consensus_possession", again),
        ("counter", json!(0), "counter", "in /v1/beacon"),
        ("counter", json!(2), "consensus_possession", again),
        ("anchor", json!("00".repeat(32)), "consensus_possession", again),
        ("consensus_key", other_key, "consensus_possession", again),
        ("transport_possession", json!("00"), "transport_possession", again),
        ("signature", json!("00"), "signature", again),
        ("chain_id", json!("00".repeat(32)), "chain_id", "genesis of this network"),
    ];
    for (member, wrong, place, remedy) in rotations {
        let mut document = value(&ROTATION.to_json());
        document[member] = wrong;
        let error = RotationFile::parse(&document.to_string(), "f", &GENESIS).unwrap_err();
        assert_refused(member, &error, place, remedy);
    }
    let without = |text: &str, member: &str| {
        let mut document = value(text);
        document.as_object_mut().unwrap().remove(member).unwrap();
        document.to_string()
    };
    let text = without(&NEWCOMER.to_json(), "recovery_possession");
    let error = RegistrationFile::parse(&text, "f", &GENESIS).unwrap_err();
    assert_refused("recovery_possession", &error, "recovery_possession", "both or neither");
    let text = without(&ROTATION.to_json(), "anchor");
    let error = RotationFile::parse(&text, "f", &GENESIS).unwrap_err();
    assert_refused("anchor", &error, "anchor", again);
    let text = without(&ROTATION.to_json(), "transport_possession");
    let error = RotationFile::parse(&text, "f", &GENESIS).unwrap_err();
    assert_refused("transport_possession", &error, "transport_possession", again);
}

fn assert_refused(member: &str, error: &DocumentError, place: &str, remedy: &str) {
    let said = error.to_string();
    assert!(error.place.starts_with(place), "{member}: {said} is not at {place}");
    assert!(error.remedy.contains(remedy), "{member}: {said} does not say {remedy}");
    assert!(said.starts_with("f: ") && said.lines().count() == 1, "{said}");
}

/// A document is good in the network that it was made for, and in no other; a network without
/// epochs takes none.
#[test]
fn a_document_is_for_one_network() {
    let other = genesis_made(2, true);
    let error = RegistrationFile::parse(&NEWCOMER.to_json(), "f", &other).unwrap_err();
    assert_eq!(error.place, "chain_id");
    // Nor if somebody puts the other network's id there.
    let own = GENESIS.chain().0.to_string();
    let text = NEWCOMER.to_json().replace(&own, &other.chain().0.to_string());
    let error = RegistrationFile::parse(&text, "f", &other).unwrap_err();
    assert_eq!(error.place, "consensus_possession");
    let text = ROTATION.to_json().replace(&own, &other.chain().0.to_string());
    let error = RotationFile::parse(&text, "f", &other).unwrap_err();
    assert_eq!(error.place, "consensus_possession");

    let still = genesis_made(1, false);
    let keys = keys("frank");
    let new = NewValidator { name: "frank", weight: 1, keys: &keys, address: None };
    let error = RegistrationFile::sign(&still, &new).unwrap_err().to_string();
    assert!(error.contains("no epochs") && error.contains("--epoch-seconds"), "{error}");
    assert!(RegistrationFile::parse(&NEWCOMER.to_json(), "f", &still).is_err());
    assert!(RotationFile::parse(&ROTATION.to_json(), "f", &still).is_err());
}

#[test]
fn what_the_network_would_not_take_is_not_signed() {
    let good = keys("frank");
    let slow = ValidatorKeys { consensus: key(Scheme::MlDsa44, "slow"), ..keys("frank") };
    let lattice = ValidatorKeys { recovery: Some(key(Scheme::MlDsa44, "l")), ..keys("frank") };
    let long = "x".repeat(65);
    for (name, weight, keys, address, place) in [
        ("", 1, &good, None, "name"),
        (long.as_str(), 1, &good, None, "name"),
        ("a\nb", 1, &good, None, "name"),
        ("frank", 0, &good, None, "weight"),
        ("frank", u64::MAX, &good, None, "weight"),
        ("frank", 1, &good, Some("nowhere"), "address"),
        ("frank", 1, &slow, None, "consensus_key.scheme"),
        ("frank", 1, &lattice, None, "recovery_key.scheme"),
    ] {
        let error = sign(name, weight, keys, address).unwrap_err();
        assert_eq!(error.place, place, "{error}");
    }
    let [consensus, _] = new_keys();
    let slow = key(Scheme::MlDsa44, "slow");
    assert_eq!(rotate("bob", 0, Some(&consensus), None).unwrap_err().place, "name");
    assert_eq!(rotate("alice", 0, Some(&slow), None).unwrap_err().place, "consensus_key.scheme");
    assert!(rotate("alice", 0, None, None).is_err());
    assert!(rotate("anybody", 9, Some(&consensus), None).is_ok(), "whoever joined has any name");
}
