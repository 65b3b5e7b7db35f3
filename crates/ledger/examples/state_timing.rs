//! Times the state tree, execution and state sync at a million accounts on this machine.
//!
//! `cargo run --release -p qcn-ledger --example state_timing`

#![expect(clippy::disallowed_types, reason = "measures real time")]

use std::time::Instant;

use qcn_crypto::{ChainId, Digest, PublicKey, Scheme, SeededRandomness, Signature};
use qcn_ledger::{GenesisAccount, Ledger, Outcome, Restore, StateTree, Update};
use qcn_light::state::{RecordKind, StateKey};
use qcn_types::{Action, Address, Amount, Transaction, TransactionBody};

const RECORDS: usize = 1_000_000;
const BATCH: usize = 10_000;

fn main() {
    let mut randomness = SeededRandomness::from_u64(1, "state-timing");
    let mut keys: Vec<StateKey> = (0..RECORDS).map(|_| random_key(&mut randomness)).collect();
    keys.sort_unstable();

    let mut tree = StateTree::default();
    let all: Vec<Update> = keys.iter().map(|key| update(*key, 0)).collect();
    let start = Instant::now();
    tree.apply(all);
    println!("load {RECORDS} records: {:.0} ms", millis(start));

    for (label, keep) in [("alone", false), ("with a snapshot kept", true)] {
        let mut best = f64::MAX;
        let mut hashes = 0;
        let mut snapshots = Vec::new();
        for round in 1..=5 {
            let mut chosen: Vec<StateKey> =
                (0..BATCH).map(|_| keys[randomness.below(RECORDS as u64) as usize]).collect();
            chosen.sort_unstable();
            chosen.dedup();
            let batch: Vec<Update> = chosen.iter().map(|key| update(*key, round)).collect();
            if keep {
                snapshots.push(tree.clone());
            }
            let start = Instant::now();
            hashes = tree.apply(batch);
            best = best.min(millis(start));
        }
        let each = best * 1_000.0 / BATCH as f64;
        println!(
            "update {BATCH} at random, {label}: {best:.1} ms, {each:.2} us each, {hashes} hashes"
        );
    }

    let start = Instant::now();
    let proofs: Vec<_> = keys.iter().step_by(100).map(|key| (key, tree.prove(key))).collect();
    println!("prove: {:.2} us each", millis(start) * 1_000.0 / proofs.len() as f64);
    let bytes: usize =
        proofs.iter().map(|(_, proof)| qcn_types::encode(proof).len()).sum::<usize>()
            / proofs.len();
    let root = tree.root();
    let start = Instant::now();
    let valid = proofs.iter().filter(|(key, proof)| proof.verify(&root, key).is_ok()).count();
    println!("check: {:.2} us each, {bytes} bytes", millis(start) * 1_000.0 / valid as f64);
    drop(tree);

    let senders: Vec<PublicKey> = (0..BATCH).map(some_key).collect();
    let addresses = keys.iter().map(|key| Address(key.id)).chain(senders.iter().map(Address::of));
    let accounts: Vec<GenesisAccount> =
        addresses.map(|address| GenesisAccount { address, balance: Amount(1_000) }).collect();
    let mut ledger =
        Ledger::genesis(ChainId::default(), &accounts).expect("distinct random addresses");
    execute(&mut ledger, &senders, &keys);
    restore(&ledger);
}

/// Every sender pays somebody else; what is timed excludes signatures.
fn execute(ledger: &mut Ledger, senders: &[PublicKey], receivers: &[StateKey]) {
    let commit: Vec<Transaction> =
        senders.iter().zip(receivers.iter().step_by(97)).map(transfer).collect();
    let start = Instant::now();
    let execution = ledger.execute(&commit);
    let each = millis(start) * 1_000.0 / commit.len() as f64;
    assert!(execution.outcomes.iter().all(|(_, outcome)| *outcome == Outcome::Applied));
    println!("execute {BATCH} transfers: {each:.2} us each, {} hashes", execution.hashes);
}

fn transfer((key, to): (&PublicKey, &StateKey)) -> Transaction {
    let action = Action::Transfer { to: Address(to.id), amount: Amount(7) };
    let body = TransactionBody { sender: Address::of(key), nonce: 0, fee: Amount(1), action };
    let signature = Signature::new(vec![]).expect("an empty signature is short");
    Transaction { body, key: key.clone(), signature }
}

/// A key of the right length, which nobody holds.
fn some_key(number: usize) -> PublicKey {
    let mut bytes = vec![0; Scheme::MlDsa44.public_key_bytes()];
    bytes[..8].copy_from_slice(&(number as u64).to_le_bytes());
    PublicKey::new(Scheme::MlDsa44, &bytes).expect("the right length")
}

fn restore(ledger: &Ledger) {
    let start = Instant::now();
    let mut restored =
        Restore::new(ChainId::default(), ledger.territory().clone(), ledger.state_root());
    let mut chunks = 0;
    while let Some(chunk) = restored.missing().first().and_then(|region| ledger.chunk_in(region)) {
        restored.accept(&chunk).expect("an honest chunk");
        chunks += 1;
    }
    println!("cut and check {chunks} chunks: {:.0} ms", millis(start));
    let start = Instant::now();
    let copy = restored.finish().expect("all chunks arrived");
    println!("finish with an audit: {:.0} ms", millis(start));
    assert_eq!(copy.state_root(), ledger.state_root());
}

fn random_key(randomness: &mut SeededRandomness) -> StateKey {
    let mut id = [0; 32];
    randomness.fill(&mut id);
    StateKey { id: Digest(id), kind: RecordKind::Account }
}

fn update(key: StateKey, round: u8) -> Update {
    (key, Some(vec![round; 48].into()))
}

fn millis(start: Instant) -> f64 {
    start.elapsed().as_secs_f64() * 1_000.0
}
