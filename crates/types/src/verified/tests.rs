//! The one door through which blocks and transactions become verified.

use std::collections::BTreeSet;
use std::sync::Arc;

use qcn_crypto::{ChainId, PublicKey, Scheme, Signature};

use super::{CommitteeKeys, Culprit, Verified, VerifyError};
use crate::testing::{CHAIN, bare_body, digest, keys_at, members, sign, signed, transfer};
use crate::{
    Action, Block, BlockBody, Bounded, Committee, Epoch, ShardId, Transaction, ValidatorIndex,
};

fn keys() -> CommitteeKeys {
    keys_at(CHAIN, ShardId(0), Epoch(0))
}

fn body_with_transfers() -> BlockBody {
    let mut body = bare_body();
    let transactions = (0..3).map(|nonce| transfer(2, nonce)).collect();
    body.payload.transactions = Bounded::truncated(transactions);
    body
}

fn refusal(block: Block) -> Option<(VerifyError, Culprit)> {
    keys().verify_block(block).err().map(|error| (error.clone(), error.culprit()))
}

/// A block whose signatures are good becomes verified under its own name.
#[test]
fn a_good_block_is_verified() {
    let block = signed(body_with_transfers());
    let verified = keys().verify_block(block.clone()).expect("all signatures are good");
    assert_eq!(verified.reference().digest, block.body.digest());
    assert_eq!(verified.reference().slot(), block.body.slot());
    assert_eq!(verified.header_digest(), block.body.header().digest());
    assert_eq!(*verified, block);
    assert_eq!(verified, keys().verify_block(block).expect("again"));
}

/// Transactions of one account, read from the network with a copy of the key each, share one copy once
/// they are verified, in blocks and alone.
#[test]
fn verified_transactions_of_an_account_share_its_key() {
    let keys = keys();
    let mut body = body_with_transfers();
    body.payload.transactions = crate::decode(&crate::encode(&body.payload.transactions)).unwrap();
    let read = signed(body);
    let place = |transaction: &Transaction| transaction.key.as_bytes().as_ptr();
    let places =
        |block: &Block| block.body.payload.transactions.iter().map(place).collect::<BTreeSet<_>>();
    assert_eq!(places(&read).len(), 3);
    let alone = read.body.payload.transactions[0].clone();
    let verified = keys.verify_block(read).expect("all signatures are good");
    let shared = places(&verified);
    assert_eq!(shared.len(), 1);
    let alone = keys.verify_transaction(alone).expect("its signature is good");
    assert!(shared.contains(&place(&alone)));
}

/// A block of another chain, shard, epoch or of a stranger is its sender's fault.
#[test]
fn a_foreign_block_is_the_senders_fault() {
    let changes: [fn(&mut BlockBody); 5] = [
        |body| body.chain = ChainId(digest("another")),
        |body| body.shard = ShardId(1),
        |body| body.epoch = Epoch(1),
        |body| body.author = ValidatorIndex(4),
        |body| body.author = ValidatorIndex(u16::MAX),
    ];
    for change in changes {
        let mut body = bare_body();
        change(&mut body);
        let signature = sign(ValidatorIndex(1), body.chain, &body.digest());
        let expected = Some((VerifyError::ForeignBlock, Culprit::Sender));
        assert_eq!(refusal(Block { body, signature }), expected);
    }
}

/// A block that its author did not sign is its sender's fault, even if a transaction in it is
/// invalid as well.
#[test]
fn a_forged_block_is_the_senders_fault() {
    let good = signed(body_with_transfers());
    let expected = Some((VerifyError::BlockSignature, Culprit::Sender));

    let mut other_author = good.clone();
    other_author.body.author = ValidatorIndex(2);
    let mut other_time = good.clone();
    other_time.body.time_ms += 1;
    let mut other_transactions = good.clone();
    let mut spoilt = transfer(2, 0);
    spoilt.body.nonce = 7;
    other_transactions.body.payload.transactions = Bounded::truncated(vec![spoilt]);
    let mut other_chain = good.clone();
    other_chain.signature = sign(ValidatorIndex(1), ChainId(digest("x")), &good.body.digest());
    let mut empty = good;
    empty.signature = Signature::new(vec![]).expect("short");
    for forged in [other_author, other_time, other_transactions, other_chain, empty] {
        assert_eq!(refusal(forged), expected);
    }
}

/// Who signs a block with an invalid transaction has signed the proof of it.
#[test]
fn an_invalid_transaction_is_the_authors_fault() {
    let mut undecodable = transfer(2, 1);
    undecodable.key = PublicKey::new(Scheme::Falcon512, &[0xff; 897]).expect("the right length");
    let mut other_body = transfer(2, 1);
    other_body.body.nonce = 9;
    let mut other_key = transfer(2, 1);
    other_key.key = transfer(3, 1).key;
    for bad in [undecodable, other_body, other_key] {
        let mut body = bare_body();
        let transactions = vec![transfer(2, 0), bad, transfer(2, 2)];
        body.payload.transactions = Bounded::truncated(transactions);
        let expected = VerifyError::TransactionSignature { index: 1 };
        assert_eq!(refusal(signed(body)), Some((expected, Culprit::Author)));
    }
}

/// What a network does not let accounts use makes a block invalid, whoever signed with it.
///
/// Given a network whose accounts use ML-DSA-44 only, or Falcon-512 only.
/// When a block carries a transfer by Falcon-512, or one that rotates to it,
/// then the first refuses it and blames the author, and the second does not.
#[test]
fn a_scheme_that_is_not_allowed_is_the_authors_fault() {
    let transaction = transfer(2, 1);
    assert_eq!(transaction.key.scheme(), Scheme::Falcon512);
    let mut body = bare_body();
    body.payload.transactions = Bounded::truncated(vec![transfer(2, 0), transaction]);
    let block = signed(body);
    let others = keys().with_account_schemes([Scheme::MlDsa44, Scheme::SlhDsaSha2_256s]);
    let error = others.verify_block(block.clone()).expect_err("not allowed");
    let expected = VerifyError::TransactionScheme { index: 0, scheme: Scheme::Falcon512 };
    assert_eq!((&error, error.culprit()), (&expected, Culprit::Author));
    assert!(keys().with_account_schemes([Scheme::Falcon512]).verify_block(block).is_ok());

    let mut rotation = transfer(2, 0);
    let key = PublicKey::new(Scheme::MlDsa44, &[1; 1_312]).expect("the right length");
    rotation.body.action = Action::RotateKey { key, possession: rotation.signature.clone() };
    let only_falcon = keys().with_account_schemes([Scheme::Falcon512]);
    assert_eq!(only_falcon.disallowed_scheme(&rotation), Some(Scheme::MlDsa44));
    assert_eq!(keys().disallowed_scheme(&rotation), None);
    assert!(!only_falcon.accepts(&rotation));
}

#[test]
fn transactions_are_checked_on_their_chain() {
    assert_eq!(*Verified::check(transfer(2, 0), CHAIN).expect("signed"), transfer(2, 0));
    let elsewhere = Verified::check(transfer(2, 0), ChainId(digest("another")));
    assert_eq!(elsewhere.map(Verified::into_inner), Err(Box::new(transfer(2, 0))));
    let mut renamed = transfer(2, 0);
    renamed.body.fee.0 += 1;
    assert!(Verified::check(renamed, CHAIN).is_err());
}

/// A committee with a key that does not decode is refused, and the member named.
#[test]
fn undecodable_committee_keys_are_named() {
    let mut members = members(&[1; 4]);
    for (member, good) in members.iter_mut().zip(keys().committee().members()) {
        member.key = good.key.clone();
    }
    members[2].key = PublicKey::new(Scheme::Falcon512, &[0xff; 897]).expect("the right length");
    let committee = Committee::new(ShardId(0), Epoch(0), members).expect("distinct keys");
    let refused = CommitteeKeys::decode(CHAIN, Arc::new(committee));
    assert_eq!(refused.err().map(|(member, _)| member), Some(ValidatorIndex(2)));
}
