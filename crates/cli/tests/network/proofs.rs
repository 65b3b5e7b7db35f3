//! What a user does: pay, and prove to somebody else that it happened.

use std::fs;

use serde_json::Value;

use crate::network::{Network, VALIDATORS, qcn};
use crate::patience::{seconds, until};

/// A transfer is final on all nodes and can be proven to somebody who trusts none of them.
///
/// Given a network of four.
/// When an account pays another one through the first node,
/// then every node reports it final at the same height; each node's proof is valid against the
/// genesis alone, and is not once any part of it is changed.
#[test]
fn a_transfer_is_final_everywhere_and_proven() {
    let network = Network::start("proofs");
    let genesis = network.genesis_file();
    let named: Value = serde_json::from_str(&fs::read_to_string(&genesis).unwrap()).unwrap();
    let to = named["accounts"][1]["address"].as_str().unwrap();
    let key = network.account_file(0);
    let made = qcn(&[
        ["transfer", "--key", key.to_str().unwrap(), "--to", to, "--amount", "5"].as_slice(),
        &["--json", "--node", network.api(0).url()],
    ]
    .concat());
    assert!(made.status.success(), "{made:?}");
    let report: Value = serde_json::from_slice(&made.stdout).unwrap();
    println!("final after {} ms", report["final_ms"]);

    let path = format!("/v1/transactions/{}", report["id"].as_str().unwrap());
    for at in 0..VALIDATORS {
        let known = until("the transfer is final", seconds(10), || {
            let known = network.api(at).get(&path).ok()?;
            (known["status"] == "final").then_some(known)
        });
        assert_eq!(known["height"], report["height"], "node {at}");
        let proof = network.api(at).must_get(&format!("{path}/proof"));
        assert_eq!(verdict(&network, &proof), Some(0), "node {at}: {proof}");
        for changed in tampered(&proof) {
            assert_eq!(verdict(&network, &changed), Some(1), "node {at}: {changed}");
        }
        assert_checkpoint_is_proven(&network, at, &report["height"].to_string());
    }
}

/// `qcn query proof checkpoint` writes what `qcn light verify` takes for proven, and not once it
/// says another height.
fn assert_checkpoint_is_proven(network: &Network, at: usize, height: &str) {
    let file = network.file("checkpoint.json");
    let path = file.to_str().unwrap();
    let asked = ["query", "proof", "checkpoint", height, "--out", path, "--node"];
    let asked = qcn(&[&asked[..], &[network.api(at).url()]].concat());
    assert!(asked.status.success(), "node {at}: {asked:?}");
    let mut proof: Value = serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
    assert_eq!(proof["claims"]["height"].to_string(), height, "node {at}: {proof}");
    assert_eq!(verdict(network, &proof), Some(0), "node {at}: {proof}");
    proof["claims"]["height"] = 1_000_000.into();
    assert_eq!(verdict(network, &proof), Some(1), "node {at}: {proof}");
}

/// The exit code of `qcn light verify`.
pub fn verdict(network: &Network, proof: &Value) -> Option<i32> {
    let file = network.file("proof.json");
    fs::write(&file, proof.to_string()).unwrap();
    let genesis = network.genesis_file();
    let arguments = ["light", "verify", file.to_str().unwrap(), "--genesis"];
    qcn(&[&arguments[..], &[genesis.to_str().unwrap()]].concat()).status.code()
}

/// The proof with a digit changed in the middle of each of its parts, and a claim that differs.
fn tampered(proof: &Value) -> Vec<Value> {
    let mut all = Vec::new();
    for part in ["certificate", "proof", "transaction_id", "chain_id"] {
        let mut digits = proof[part].as_str().unwrap().to_owned();
        let middle = digits.len() / 2;
        let other = if digits.as_bytes()[middle] == b'0' { "1" } else { "0" };
        digits.replace_range(middle..=middle, other);
        let mut changed = proof.clone();
        changed[part] = Value::String(digits);
        all.push(changed);
    }
    let mut changed = proof.clone();
    changed["claims"]["height"] = (proof["claims"]["height"].as_u64().unwrap() + 1).into();
    all.push(changed);
    all
}
