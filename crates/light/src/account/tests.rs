//! Accounts read out of a state of which only the root is known.

use qcn_crypto::Digest;
use qcn_types::{Address, Amount, Bounded, encode};

use super::{Account, AccountProof, verify_account_proof};
use crate::state::{ProofError, RecordKind, StateEntry, StateKey, StateProof, leaf_hash};
use crate::testing::{digest, transfer};

/// A state of a single record, and the proof that leads to it.
fn state_of(key: StateKey, value: Vec<u8>) -> (Digest, AccountProof) {
    let root = leaf_hash(&key, &value);
    let found = Some(StateEntry { key, value: Bounded::truncated(value) });
    (root, AccountProof(StateProof { steps: Bounded::default(), found }))
}

#[test]
fn an_account_is_read_or_shown_absent() {
    let address = Address(digest("alice"));
    let account = Account { nonce: 7, ..Account::new(address, Amount(40)) };
    let (root, proof) = state_of(Account::state_key(address), encode(&account));
    assert_eq!(verify_account_proof(&root, address, &proof), Ok(Some(account)));
    let bob = Address(digest("bob"));
    assert_eq!(verify_account_proof(&root, bob, &proof), Ok(None));
    let other_root = verify_account_proof(&digest("another state"), address, &proof);
    assert_eq!(other_root, Err(ProofError::WrongRoot));
}

/// A record of a module at an account's address is not its account.
#[test]
fn a_modules_record_is_no_account() {
    let address = Address(digest("alice"));
    let key = StateKey { id: address.0, kind: RecordKind::Bank };
    let (root, proof) = state_of(key, encode(&Account::new(address, Amount(40))));
    assert_eq!(verify_account_proof(&root, address, &proof), Ok(None));
}

#[test]
fn a_malformed_account_is_refused() {
    let address = Address(digest("alice"));
    let (root, proof) = state_of(Account::state_key(address), b"no account".to_vec());
    assert_eq!(verify_account_proof(&root, address, &proof), Err(ProofError::NotAnAccount));
}

/// Until it is rotated, the key of an account is the one that its address is made of.
#[test]
fn a_new_account_is_signed_for_by_its_addresss_key() {
    let (own, other) = (transfer(0, 0).key, transfer(1, 0).key);
    let account = Account::new(Address::of(&own), Amount(1));
    assert!(account.may_sign(&own));
    assert!(!account.may_sign(&other));
}
