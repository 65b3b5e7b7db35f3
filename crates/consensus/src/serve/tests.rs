//! What a peer is given within a second.

use qcn_crypto::{Scheme, SeededRandomness, SigningKey};
use qcn_types::{Address, Amount, MAX_BLOCK_TRANSACTIONS, TransactionBody, encode};

use super::*;
use crate::testing::{CHAIN, body, committee, genesis, name, signing_committee, verified};

const PEER: ValidatorIndex = ValidatorIndex(1);

/// A DAG of four with this block in every slot of so many rounds.
fn dag(rounds: u64, block: &VerifiedBlock) -> Dag<VerifiedBlock> {
    let mut dag = Dag::new(&committee(&[1; 4]));
    for round in 1..=rounds {
        let parents: Vec<_> = (0..4).map(|author| name(round - 1, author)).collect();
        for author in 0..4 {
            dag.insert(name(round, author), &parents, round, block.clone()).unwrap();
        }
    }
    dag
}

fn block(transactions: usize) -> VerifiedBlock {
    let mut body = body(0, 1, (0..4).map(genesis).collect());
    body.payload.transactions = Bounded::truncated(vec![transaction(); transactions]);
    verified(&signing_committee(&[1; 4]), body)
}

fn transaction() -> Transaction {
    let signer = SigningKey::from_seed(Scheme::Falcon512, &[50; 32]).unwrap();
    let key = signer.public_key().clone();
    let to = Address::of(&key);
    let action = Action::Transfer { to, amount: Amount(1) };
    let body = TransactionBody { sender: to, nonce: 0, fee: Amount(1), action };
    let mut randomness = SeededRandomness::from_seed(&[51; 32]);
    let context = TransactionBody::signing_context(CHAIN);
    let signature = signer.sign_seeded(&context, &encode(&body), &mut randomness).unwrap();
    Transaction { body, key, signature }
}

/// How many blocks the answers have, and their bytes.
fn served(answers: Result<Vec<Message>, Rejection>) -> Result<(usize, usize), Rejection> {
    let answers = answers?;
    let blocks = |answer: &Message| match answer {
        Message::Blocks(blocks) | Message::Rounds { blocks, .. } => blocks.len(),
        other => panic!("{other:?}"),
    };
    let bytes = answers.iter().map(|answer| encode(answer).len());
    Ok((answers.iter().map(blocks).sum(), bytes.sum()))
}

/// Long blocks are given up to a number of bytes a second, to each peer by itself.
///
/// Given 16 blocks as long as any. When a peer asks for all of them again and again,
/// then it gets the first ones, nothing more within the second, and others in the next.
#[test]
fn long_blocks_are_given_within_a_budget_of_bytes() {
    let long = block(MAX_BLOCK_TRANSACTIONS);
    let dag = dag(4, &long);
    let mut server = Server::new(4);
    let slots = (1..=4).flat_map(|round| {
        (0..4).map(move |author| Slot { round: Round(round), author: ValidatorIndex(author) })
    });
    let request = Message::RequestSlots(Bounded::truncated(slots.collect()));
    let mut ask = |ms: u64, peer| {
        served(server.serve(Time::from_ms(ms), peer, &request, &dag, &AuthorSet::EMPTY))
    };

    let (blocks, bytes) = ask(10_000, PEER).unwrap();
    let one = encode(&CompactBlock::pack(&long)).len();
    assert!((8..16).contains(&blocks), "{blocks} blocks of {one} bytes");
    assert!(bytes <= MAX_SERVED_BYTES_PER_SECOND + one, "{bytes}");
    for _ in 0..3 {
        assert_eq!(ask(10_999, PEER), Err(Rejection::OverBudget));
    }
    assert_eq!(ask(10_999, ValidatorIndex(2)), Ok((blocks, bytes)), "others are not affected");
    assert_eq!(ask(11_000, PEER), Ok((blocks, bytes)));
}

/// Whole rounds are given up to one answer's length: the next ones are asked for after them.
#[test]
fn of_whole_rounds_no_more_is_given_than_one_answer_holds() {
    let long = block(MAX_BLOCK_TRANSACTIONS / 4);
    let dag = dag(8, &long);
    let request = Message::RequestRounds { first: Round(1), count: 8 };
    let answers = Server::new(4).serve(Time::ZERO, PEER, &request, &dag, &AuthorSet::EMPTY);
    let (blocks, bytes) = served(answers).unwrap();
    let one = encode(&CompactBlock::pack(&long)).len();
    assert!((2..32).contains(&blocks), "{blocks} blocks of {one} bytes");
    assert!(bytes <= MAX_ANSWER_BYTES + one, "{bytes}");
}

/// Of short blocks the number alone is bounded, and a request is answered as a whole or not at all.
#[test]
fn short_blocks_are_given_by_number() {
    let dag = dag(32, &block(0));
    let mut server = Server::new(4);
    let request = Message::RequestRounds { first: Round(1), count: 32 };
    let mut ask =
        || served(server.serve(Time::from_ms(0), PEER, &request, &dag, &AuthorSet::EMPTY));
    for _ in 0..MAX_SERVED_BLOCKS_PER_SECOND / 128 {
        assert_eq!(ask().unwrap().0, 128);
    }
    assert_eq!(ask(), Err(Rejection::OverBudget));
}

/// The estimate that the budget goes by is never below what is sent, whatever accounts sign with.
#[test]
fn no_block_is_longer_than_it_is_estimated() {
    let few = Block::clone(&block(3));
    let estimate = |block: &Block, form: Form| form.approximate_bytes(block);
    let packed = encode(&CompactBlock::pack(&few)).len();
    let in_full = encode(&CompactBlock::in_full(&few)).len();
    assert!(estimate(&few, Form::Packed) >= packed && estimate(&few, Form::InFull) >= in_full);

    let mut heavy = few;
    let mut transactions = heavy.body.payload.transactions.clone().into_inner();
    transactions[0].signature = Signature::new(vec![0; 29_792]).unwrap();
    transactions[1].body.action = Action::RotateKey {
        key: transactions[0].key.clone(),
        possession: transactions[0].signature.clone(),
    };
    heavy.body.payload.transactions = Bounded::truncated(transactions);
    let packed = encode(&CompactBlock::pack(&heavy)).len();
    assert!(estimate(&heavy, Form::Packed) >= packed, "{packed}");
}
