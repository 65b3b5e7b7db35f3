//! Genesis, snapshots, proofs and the audit.

use qcn_light::{Account, verify_account_proof};
use qcn_types::{Address, Amount, encode};

use super::{AuditError, GenesisAccount, GenesisError, Ledger};
use crate::bank::Supply;
use crate::testing::{CHAIN, address, digest, large_ledger, ledger, transfer};

fn genesis(accounts: &[(u8, u64)]) -> Result<Ledger, GenesisError> {
    let account = |(number, balance): &(u8, u64)| GenesisAccount {
        address: address(*number),
        balance: Amount(*balance),
    };
    Ledger::genesis(CHAIN, &accounts.iter().map(account).collect::<Vec<_>>())
}

#[test]
fn a_bad_genesis_names_the_account() {
    let refused = |accounts: &[(u8, u64)]| genesis(accounts).err();
    assert_eq!(refused(&[(1, 5), (2, 5), (1, 6)]), Some(GenesisError::Duplicate(address(1))));
    assert_eq!(refused(&[(1, 5), (2, 0)]), Some(GenesisError::Empty(address(2))));
    assert_eq!(refused(&[(1, u64::MAX), (2, 1)]), Some(GenesisError::SupplyOverflow));
    assert_eq!(refused(&[(1, u64::MAX)]), None);
    assert_eq!(refused(&[]), None);
}

/// The order in which genesis accounts are named does not matter; what they have does.
#[test]
fn the_genesis_root_follows_from_the_accounts() {
    let root = |accounts: &[(u8, u64)]| genesis(accounts).map(|ledger| ledger.state_root());
    let expected = root(&[(1, 5), (2, 7)]);
    assert_eq!(root(&[(2, 7), (1, 5)]), expected);
    for other in [[(1, 5), (2, 8)].as_slice(), &[(1, 7), (2, 5)], &[(1, 5)], &[]] {
        assert_ne!(root(other), expected);
    }
}

/// A clone is a snapshot: what follows does not change it, and it executes the same.
#[test]
fn a_clone_is_a_snapshot() {
    let mut ledger = ledger(&[100, 50]);
    let commit = [transfer(0, 0, address(1), 30), transfer(1, 0, address(2), 70)];
    let mut snapshot = ledger.clone();
    let (root, supply) = (snapshot.state_root(), snapshot.supply());
    let execution = ledger.execute(&commit);
    assert_ne!(ledger.state_root(), root);
    assert_eq!((snapshot.state_root(), snapshot.supply()), (root, supply));
    assert_eq!(snapshot.audit(), Ok(supply));
    assert_eq!(snapshot.execute(&commit), execution);
    assert_eq!(snapshot.state_root(), ledger.state_root());
}

/// Who knows only the state root reads accounts out of proofs, also absent ones.
#[test]
fn accounts_are_proven_against_the_root() {
    let ledger = large_ledger(3_000);
    let root = ledger.state_root();
    let present: Vec<(Address, Account)> = ledger
        .tree
        .iter()
        .filter_map(|(key, _)| {
            ledger.account(&Address(key.id)).map(|account| (Address(key.id), account))
        })
        .step_by(97)
        .collect();
    assert!(present.len() > 30);
    for (address, account) in present {
        let proof = ledger.prove(&address);
        assert_eq!(verify_account_proof(&root, address, &proof), Ok(Some(account)));
        // About log2(n) steps of 34 bytes and an account.
        assert!(encode(&proof).len() < 34 * 26 + 90);
    }
    for name in ["nobody", "no one"] {
        let absent = Address(digest(name));
        assert_eq!(verify_account_proof(&root, absent, &ledger.prove(&absent)), Ok(None));
    }
}

/// The audit sees accounts that do not add up, and a supply that is not conserved.
#[test]
fn the_audit_sees_contradictions() {
    let good = ledger(&[100, 50]);
    assert_eq!(good.audit(), Ok(good.supply()));
    let tampered = |key, value: Vec<u8>| {
        let mut ledger = good.clone();
        ledger.tree.apply(vec![(key, Some(value.into()))]);
        ledger.audit()
    };
    let richer = encode(&Account::new(address(0), Amount(101)));
    let wrong = AuditError::WrongBalances { counted: 151, recorded: 150 };
    assert_eq!(tampered(Account::state_key(address(0)), richer), Err(wrong));
    let malformed = tampered(Account::state_key(address(0)), vec![1, 2, 3]);
    assert_eq!(malformed, Err(AuditError::MalformedRecord));
    let fees = Supply { fees: 1, ..good.supply() };
    let created = tampered(Supply::state_key(), encode(&fees));
    assert_eq!(created, Err(AuditError::NotConserved(Box::new(fees))));
    assert_eq!(tampered(Supply::state_key(), vec![]), Err(AuditError::NoSupply));
}

/// The address under which the supply is kept is an address like any other.
///
/// Given somebody who pays to the digest that names the supply's record.
/// Then an account is opened there, and the supply's record is untouched.
#[test]
fn nobody_can_pay_into_a_modules_record() {
    let mut ledger = ledger(&[100]);
    let record = Address(Supply::state_key().id);
    ledger.execute(&[transfer(0, 0, record, 30)]);
    assert_eq!(ledger.account(&record).map(|account| account.balance), Some(Amount(30)));
    assert_eq!(ledger.audit(), Ok(ledger.supply()));
    assert_eq!(ledger.record_count(), 3);
}
