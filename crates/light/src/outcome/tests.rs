//! What became of a transaction, shown against a checkpoint.

use qcn_crypto::MerkleTree;
use qcn_types::{Amount, TransactionId, decode, encode};

use super::{Failure, Outcome, Refusal, TransactionProof, transaction_leaf};
use crate::testing::{bit_flips, digest};

fn outcomes() -> Vec<(TransactionId, Outcome)> {
    let id = |name: &str| TransactionId(digest(name));
    vec![
        (id("a"), Outcome::Applied),
        (id("b"), Outcome::Failed(Failure::InsufficientBalance { available: Amount(5) })),
        (id("c"), Outcome::Applied),
        (id("a"), Outcome::Skipped(Refusal::NonceTooLow { expected: 1 })),
        (id("d"), Outcome::Skipped(Refusal::WrongKey)),
    ]
}

fn proof_of(index: usize) -> (TransactionProof, qcn_crypto::Digest) {
    let outcomes = outcomes();
    let leaves: Vec<_> =
        outcomes.iter().map(|(id, outcome)| transaction_leaf(*id, *outcome)).collect();
    let tree = MerkleTree::from_bytes(&leaves);
    let (transaction, outcome) = outcomes[index];
    let inclusion = tree.prove(index as u64).expect("the leaf is there");
    (TransactionProof { transaction, outcome, inclusion }, tree.root())
}

#[test]
fn every_transaction_of_a_checkpoint_is_proven() {
    for index in 0..outcomes().len() {
        let (proof, root) = proof_of(index);
        assert_eq!(proof.verify(&root), Ok(()));
        assert_eq!(decode(&encode(&proof)), Ok(proof));
    }
}

/// Nobody can show another outcome, transaction or place.
#[test]
fn every_flipped_bit_is_refused() {
    for index in 0..outcomes().len() {
        let (proof, root) = proof_of(index);
        for flipped in bit_flips(&encode(&proof)) {
            let Ok(other) = decode::<TransactionProof>(&flipped) else { continue };
            assert!(other.verify(&root).is_err(), "{other:?}");
        }
    }
}
