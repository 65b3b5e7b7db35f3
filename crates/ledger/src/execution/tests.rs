//! What an execution reports for its checkpoint.

use qcn_crypto::{Digest, MerkleTree};

use crate::testing::{address, ledger, transfer};
use crate::{Outcome, Refusal};

/// An execution of nothing leaves the state, and lists nothing.
#[test]
fn an_empty_commit_changes_nothing() {
    let mut ledger = ledger(&[100]);
    let before = ledger.state_root();
    let execution = ledger.execute([]);
    assert_eq!(ledger.state_root(), before);
    assert_eq!(execution.transactions_root, MerkleTree::new(&[]).root());
    assert_eq!(execution.outbox_root, Digest::ZERO);
    assert_eq!((execution.state_updates, execution.hashes), (0, 0));
    assert_eq!(execution.prove(0), None);
}

/// Every transaction is listed with its outcome, in order, and proven.
///
/// Given a transfer, its copy, and one that comes too early.
/// When they are executed in one commit,
/// then the list shows one applied and two skipped, and every entry is proven by its root.
#[test]
fn every_outcome_is_listed_and_proven() {
    let mut ledger = ledger(&[100, 50]);
    let first = transfer(0, 0, address(1), 30);
    let commit = [first.clone(), first, transfer(0, 5, address(1), 1)];
    let execution = ledger.execute(&commit);
    let outcomes: Vec<Outcome> = execution.outcomes.iter().map(|(_, outcome)| *outcome).collect();
    let used = Outcome::Skipped(Refusal::NonceTooLow { expected: 1 });
    let early = Outcome::Skipped(Refusal::NonceTooHigh { expected: 1 });
    assert_eq!(outcomes, [Outcome::Applied, used, early]);
    for (position, transaction) in commit.iter().enumerate() {
        let proof = execution.prove(position).expect("it is listed");
        assert_eq!(proof.transaction, transaction.body.id());
        assert_eq!(proof.verify(&execution.transactions_root), Ok(()));
    }
    // Two accounts and the supply.
    assert_eq!(execution.state_updates, 3);
    assert!(execution.hashes > 0);
}

/// The root tells outcomes apart: the same transactions on another state give another root.
#[test]
fn the_root_covers_the_outcomes() {
    let commit = [transfer(0, 0, address(1), 30)];
    let applied = ledger(&[100]).execute(&commit);
    let failed = ledger(&[30]).execute(&commit);
    assert_eq!(applied.outcomes[0].0, failed.outcomes[0].0);
    assert_ne!(applied.transactions_root, failed.transactions_root);
}

/// Two ledgers that execute the same agree in everything that is reported.
#[test]
fn execution_is_deterministic() {
    let commit: Vec<_> = (0..20).map(|nonce| transfer(0, nonce, address(nonce as u8), 2)).collect();
    let (mut one, mut other) = (ledger(&[1_000, 5]), ledger(&[1_000, 5]));
    assert_eq!(one.execute(&commit), other.execute(&commit));
    assert_eq!(one.state_root(), other.state_root());
}
