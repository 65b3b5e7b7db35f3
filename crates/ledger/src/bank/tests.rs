//! The rules of the bank, one by one, and against a model over plain maps.

use std::collections::BTreeMap;

use proptest::prelude::*;
use qcn_crypto::{ChainId, Role, Scheme};
use qcn_types::{Action, Address, Amount, Transaction};

use crate::testing::{
    CHAIN, address, digest, ledger, rotate_to, signing_key, some_key, transaction, transfer,
};
use crate::{Failure, Ledger, MIN_FEE, Outcome, Refusal};

fn run(ledger: &mut Ledger, transaction: Transaction) -> Outcome {
    ledger.execute([&transaction]).outcomes[0].1
}

fn balance(ledger: &Ledger, address: Address) -> u64 {
    ledger.account(&address).map_or(0, |account| account.balance.0)
}

/// Given Alice with 100 and Bob with 50, when she sends him 30 for a fee of 1, then she has
/// 69, he has 80, and the fee is in the pot.
#[test]
fn a_transfer_moves_the_amount_and_pays_the_fee() {
    let mut ledger = ledger(&[100, 50]);
    assert_eq!(run(&mut ledger, transfer(0, 0, address(1), 30)), Outcome::Applied);
    assert_eq!((balance(&ledger, address(0)), balance(&ledger, address(1))), (69, 80));
    let supply = ledger.supply();
    assert_eq!((supply.balances, supply.fees, supply.genesis.0), (149, 1, 150));
}

/// Paying to an address opens its account, to which its key signs.
#[test]
fn a_transfer_opens_the_account() {
    let mut ledger = ledger(&[100]);
    assert_eq!(ledger.account(&address(5)), None);
    assert_eq!(run(&mut ledger, transfer(0, 0, address(5), 40)), Outcome::Applied);
    assert_eq!(run(&mut ledger, transfer(5, 0, address(0), 39)), Outcome::Applied);
    assert_eq!(balance(&ledger, address(5)), 0);
    assert_eq!(ledger.account(&address(5)).map(|account| account.nonce), Some(1));
}

/// Paying oneself costs the fee only, and what is left after it is what can be moved.
#[test]
fn a_transfer_to_oneself_costs_the_fee() {
    let mut ledger = ledger(&[100]);
    assert_eq!(run(&mut ledger, transfer(0, 0, address(0), 99)), Outcome::Applied);
    assert_eq!(balance(&ledger, address(0)), 99);
    let available = Amount(98);
    let too_much = Outcome::Failed(Failure::InsufficientBalance { available });
    assert_eq!(run(&mut ledger, transfer(0, 1, address(0), 99)), too_much);
    assert_eq!(balance(&ledger, address(0)), 98);
}

/// What fails still pays its fee and uses its nonce; what is refused changes nothing at all.
#[test]
fn failures_pay_and_refusals_change_nothing() {
    let mut ledger = ledger(&[100, 50]);
    let nothing = transfer(0, 0, address(1), 0);
    assert_eq!(run(&mut ledger, nothing), Outcome::Failed(Failure::NothingToMove));
    assert_eq!(ledger.account(&address(0)).map(|account| account.nonce), Some(1));
    assert_eq!(balance(&ledger, address(0)), 99);

    let to = Action::Transfer { to: address(1), amount: Amount(1) };
    let with = |key, sender, nonce, fee| {
        transaction(&some_key(key), address(sender), nonce, fee, to.clone())
    };
    let before = ledger.state_root();
    for (refused, reason) in [
        (with(0, 0, 1, 0), Refusal::FeeTooLow { minimum: MIN_FEE }),
        (with(9, 9, 0, 1), Refusal::UnknownSender),
        (with(1, 0, 1, 1), Refusal::WrongKey),
        (with(0, 0, 0, 1), Refusal::NonceTooLow { expected: 1 }),
        (with(0, 0, 2, 1), Refusal::NonceTooHigh { expected: 1 }),
        (with(0, 0, u64::MAX, 1), Refusal::NonceTooHigh { expected: 1 }),
        (with(0, 0, 1, 100), Refusal::InsufficientBalance { balance: Amount(99) }),
        (with(0, 0, 1, u64::MAX), Refusal::InsufficientBalance { balance: Amount(99) }),
    ] {
        assert_eq!(ledger.admit(&refused), Err(reason));
        assert_eq!(run(&mut ledger, refused), Outcome::Skipped(reason));
        assert_eq!(ledger.state_root(), before);
    }
    assert_eq!(ledger.admit(&with(0, 0, 1, 99)), Ok(()));
}

/// Nothing overflows at the largest supply there can be.
///
/// Given all of 2^64 - 1 units on two accounts, when one sends all it has after the fee to the
/// other, and then asks to send the largest amount, then nothing wraps around.
#[test]
fn the_largest_supply_does_not_overflow() {
    let mut ledger = ledger(&[u64::MAX - 10, 10]);
    let all = u64::MAX - 11;
    assert_eq!(run(&mut ledger, transfer(0, 0, address(1), all)), Outcome::Applied);
    assert_eq!(balance(&ledger, address(1)), u64::MAX - 1);
    let available = Amount(u64::MAX - 2);
    let too_much = Outcome::Failed(Failure::InsufficientBalance { available });
    assert_eq!(run(&mut ledger, transfer(1, 0, address(0), u64::MAX)), too_much);
    assert_eq!(ledger.audit(), Ok(ledger.supply()));
}

/// A new key replaces the old one, whatever their schemes.
///
/// Given an account whose key is rotated to Falcon, from there to ML-DSA.
/// Then only the newest key signs, and the address stays.
#[test]
fn a_rotated_key_replaces_the_old_one() {
    let mut ledger = ledger(&[100]);
    let (falcon, ml_dsa) = (signing_key(Scheme::Falcon512, 1), signing_key(Scheme::MlDsa44, 2));
    let keys = [&some_key(0), falcon.public_key(), ml_dsa.public_key()].map(Clone::clone);
    for (nonce, next) in [&falcon, &ml_dsa].into_iter().enumerate() {
        let action = rotate_to(next, CHAIN, Role::Account);
        let rotation = transaction(&keys[nonce], address(0), nonce as u64, 1, action);
        assert_eq!(run(&mut ledger, rotation), Outcome::Applied);
    }
    let send = |key| {
        let action = Action::Transfer { to: address(1), amount: Amount(5) };
        transaction(key, address(0), 2, 1, action)
    };
    assert_eq!(run(&mut ledger, send(&keys[0])), Outcome::Skipped(Refusal::WrongKey));
    assert_eq!(run(&mut ledger, send(&keys[1])), Outcome::Skipped(Refusal::WrongKey));
    assert_eq!(run(&mut ledger, send(&keys[2])), Outcome::Applied);
    assert_eq!(balance(&ledger, address(0)), 100 - 2 - 6);
    assert_eq!(balance(&ledger, Address::of(&keys[1])), 0);
}

/// A key whose possession is not proven here and for this use is not taken, for a fee.
#[test]
fn a_key_without_a_proof_is_not_taken() {
    let (own, other) = (signing_key(Scheme::Falcon512, 1), signing_key(Scheme::Falcon512, 2));
    let proof_of = |action| match action {
        Action::RotateKey { possession, .. } => possession,
        Action::Transfer { .. } => unreachable!("a rotation was made"),
    };
    let others_proof = proof_of(rotate_to(&other, CHAIN, Role::Account));
    let actions = [
        rotate_to(&own, ChainId(digest("another chain")), Role::Account),
        rotate_to(&own, CHAIN, Role::Consensus),
        Action::RotateKey { key: own.public_key().clone(), possession: others_proof.clone() },
        Action::RotateKey { key: some_key(0), possession: others_proof },
    ];
    let mut ledger = ledger(&[100]);
    for (nonce, action) in actions.into_iter().enumerate() {
        let rotation = transaction(&some_key(0), address(0), nonce as u64, 1, action);
        let not_proven = Outcome::Failed(Failure::PossessionNotProven);
        assert_eq!(run(&mut ledger, rotation), not_proven);
    }
    assert_eq!(balance(&ledger, address(0)), 96);
    assert_eq!(run(&mut ledger, transfer(0, 4, address(1), 1)), Outcome::Applied);
}

/// The bank once more, over plain maps and wider numbers.
#[derive(Default)]
struct Model {
    accounts: BTreeMap<Address, (u128, u64)>,
    fees: u128,
}

impl Model {
    /// Whether the fee is taken and whether the action is done.
    fn run(&mut self, transaction: &Transaction) -> (bool, bool) {
        let body = &transaction.body;
        let Action::Transfer { to, amount } = &body.action else { return (false, false) };
        let own_key = Address::of(&transaction.key) == body.sender;
        let (fee, amount) = (u128::from(body.fee.0), u128::from(amount.0));
        let Some((balance, nonce)) = self.accounts.get_mut(&body.sender) else {
            return (false, false);
        };
        if !own_key || fee == 0 || *nonce != body.nonce || *balance < fee {
            return (false, false);
        }
        (*balance, *nonce) = (*balance - fee, *nonce + 1);
        self.fees += fee;
        if amount == 0 || *balance < amount {
            return (true, false);
        }
        *balance -= amount;
        self.accounts.entry(*to).or_default().0 += amount;
        (true, true)
    }
}

/// A transfer between accounts 0 to 5, usually of a likely amount and the right key. The
/// nonce is an offset from what the sender would use next.
#[derive(Clone, Debug)]
struct Wish {
    from: u8,
    to: u8,
    key: u8,
    nonce_offset: i8,
    amount: u64,
    fee: u64,
}

fn any_wish() -> impl Strategy<Value = Wish> {
    let amount = prop_oneof![6 => 0_u64..80, 1 => Just(u64::MAX), 1 => any::<u64>()];
    let fee = prop_oneof![8 => 0_u64..6, 1 => any::<u64>()];
    let offset = prop_oneof![8 => Just(0_i8), 1 => -2_i8..3];
    let key = prop::option::weighted(0.1, 0_u8..6);
    (0_u8..6, 0_u8..6, key, offset, amount, fee).prop_map(
        |(from, to, key, nonce_offset, amount, fee)| Wish {
            from,
            to,
            key: key.unwrap_or(from),
            nonce_offset,
            amount,
            fee,
        },
    )
}

fn grant(wish: &Wish, model: &Model) -> Transaction {
    let next = model.accounts.get(&address(wish.from)).map_or(0, |account| account.1);
    let nonce = next.wrapping_add_signed(i64::from(wish.nonce_offset));
    let action = Action::Transfer { to: address(wish.to), amount: Amount(wish.amount) };
    transaction(&some_key(wish.key), address(wish.from), nonce, wish.fee, action)
}

/// The transactions of some wishes, and what the model makes of them.
fn play(balances: &[u64], wishes: &[Wish]) -> (Vec<Transaction>, Vec<(bool, bool)>, Model) {
    let mut model = Model::default();
    for (number, balance) in balances.iter().enumerate() {
        model.accounts.insert(address(number as u8), (u128::from(*balance), 0));
    }
    let mut transactions = Vec::new();
    let mut expected = Vec::new();
    for wish in wishes {
        let transaction = grant(wish, &model);
        expected.push(model.run(&transaction));
        transactions.push(transaction);
    }
    (transactions, expected, model)
}

proptest! {
    /// The bank does what the model does, nothing is created or destroyed, and a replay of
    /// everything does nothing.
    #[test]
    fn the_bank_agrees_with_the_model(
        balances in prop::collection::vec(1_u64..500, 1..5),
        wishes in prop::collection::vec(any_wish(), 0..40),
    ) {
        let (transactions, expected, model) = play(&balances, &wishes);
        let mut ledger = ledger(&balances);
        let outcomes = ledger.execute(&transactions).outcomes;
        for ((_, outcome), (paid, done)) in outcomes.iter().zip(expected) {
            prop_assert_eq!(matches!(outcome, Outcome::Skipped(_)), !paid);
            prop_assert_eq!(*outcome == Outcome::Applied, done);
        }
        for (address, (balance, nonce)) in &model.accounts {
            let account = ledger.account(address).map(|account| (account.balance.0, account.nonce));
            prop_assert_eq!(account, Some((*balance as u64, *nonce)));
        }
        prop_assert_eq!(ledger.supply().fees, model.fees);
        prop_assert!(ledger.supply().is_conserved());
        prop_assert_eq!(ledger.audit(), Ok(ledger.supply()));
    }

    /// What was executed never does anything again, in whatever later commit it stands.
    #[test]
    fn a_replay_does_nothing(wishes in prop::collection::vec(any_wish(), 0..40)) {
        let (transactions, _, _) = play(&[300, 200], &wishes);
        let mut ledger = ledger(&[300, 200]);
        let outcomes = ledger.execute(&transactions).outcomes;
        let paid: Vec<&Transaction> = transactions
            .iter()
            .zip(&outcomes)
            .filter(|(_, (_, outcome))| !matches!(outcome, Outcome::Skipped(_)))
            .map(|(transaction, _)| transaction)
            .collect();
        let before = ledger.state_root();
        for (_, outcome) in ledger.execute(paid).outcomes {
            let used = matches!(outcome, Outcome::Skipped(Refusal::NonceTooLow { .. }));
            prop_assert!(used, "{:?}", outcome);
        }
        prop_assert_eq!(ledger.state_root(), before);
    }

    /// How transactions fall into commits does not change what they do.
    #[test]
    fn commits_can_be_cut_anywhere(
        wishes in prop::collection::vec(any_wish(), 0..40),
        cut in 0_usize..40,
    ) {
        let (transactions, _, _) = play(&[300, 200], &wishes);
        let (first, second) = transactions.split_at(cut.min(transactions.len()));
        let mut whole = ledger(&[300, 200]);
        let mut parts = whole.clone();
        let outcomes = whole.execute(&transactions).outcomes;
        let mut pieces = parts.execute(first).outcomes;
        pieces.extend(parts.execute(second).outcomes);
        prop_assert_eq!(pieces, outcomes);
        prop_assert_eq!(parts.state_root(), whole.state_root());
    }
}
