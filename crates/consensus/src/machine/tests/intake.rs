//! What comes in through the door, and what does not.

use qcn_crypto::Signature;
use qcn_types::{
    Action, Address, Amount, CompactParents, Offence, ParentLayer, Transaction, TransactionBody,
};

use super::*;
use crate::limits::{MAX_WAITING_PER_PEER, RETENTION_ROUNDS};

#[test]
fn a_valid_block_is_accepted_once() {
    let mut hands = Hands::listening(4);
    let [block] = &first_blocks(4, &[1])[..] else { unreachable!() };
    for (from, outputs) in [(1, 2), (1, 0), (3, 0)] {
        hands.drain();
        hands.receive(from, block);
        let logged = hands
            .drain()
            .into_iter()
            .filter(|output| matches!(output, Output::PersistAccepted(_) | Output::Accepted(_)));
        assert_eq!(logged.count(), outputs);
    }
    assert!(hands.has(block));
}

#[test]
fn a_block_in_verification_is_not_verified_twice() {
    let mut machine = Hands::listening(4).machine;
    let compact = Arc::new(CompactBlock::pack(&first_blocks(4, &[1])[0]));
    for _ in 0..3 {
        let message = Message::Block(Arc::clone(&compact));
        machine.handle(Time::ZERO, Input::Message { from: author(2), message });
    }
    let outputs = std::iter::from_fn(|| machine.poll_output());
    assert_eq!(outputs.filter(|output| matches!(output, Output::Verify { .. })).count(), 1);
    assert_eq!(machine.load().waiting_blocks, 1);
}

#[test]
fn strangers_and_nonsense_are_refused() {
    let with = |change: fn(&mut CompactBlock)| {
        let mut compact = CompactBlock::pack(&first_blocks(4, &[1])[0]);
        change(&mut compact);
        compact
    };
    let rows: [(&str, u16, CompactBlock, Rejection); 8] = [
        ("a stranger sends", 4, with(|_| {}), Rejection::NotAMember),
        ("a stranger's block", 2, with(|block| block.author = author(4)), Rejection::NotAMember),
        ("nobody signs round 0", 1, with(|block| block.round = Round(0)), Rejection::NotAMember),
        ("too far", 1, with(|block| block.round = Round(257)), Rejection::TooFarAhead),
        ("the last round", 1, with(|block| block.round = Round(u64::MAX)), Rejection::TooFarAhead),
        (
            "a parent layer above the block",
            1,
            with(|block| block.parents = slots(&[(0, &[1])])),
            Rejection::MalformedParents,
        ),
        (
            "a parent of nobody",
            1,
            with(|block| {
                block.round = Round(3);
                block.parents = slots(&[(1, &[1, 2, 511])]);
            }),
            Rejection::MalformedParents,
        ),
        (
            "a forged signature on full parents",
            1,
            with(|block| {
                *block = CompactBlock::in_full(&first_blocks(4, &[1])[0]);
                block.time_ms += 1;
            }),
            Rejection::BadSignature,
        ),
    ];
    for (why, from, compact, rejection) in rows {
        let mut hands = Hands::listening(4);
        hands.message(from, Message::Block(Arc::new(compact)));
        assert_eq!(hands.rejections(), [(from, rejection)], "{why}");
        assert!(hands.machine.dag().is_empty());
        assert_eq!(hands.machine.load(), Load::default(), "{why}");
    }
}

fn slots(layers: &[(u8, &[u16])]) -> CompactParents {
    let layers = layers.iter().map(|(depth, authors)| ParentLayer {
        depth: *depth,
        authors: authors.iter().map(|index| author(*index)).collect(),
    });
    CompactParents::Slots {
        layers: Bounded::truncated(layers.collect()),
        genesis: AuthorSet::EMPTY,
    }
}

/// Every single bit of a block on the wire counts: none can be flipped and the block accepted
/// as another one, and nothing that decodes makes the machine panic.
#[test]
fn damaged_blocks_are_never_accepted() {
    let block = &first_blocks(4, &[1])[0];
    let bytes = qcn_types::encode(&CompactBlock::pack(block));
    let mut hands = Hands::listening(4);
    for bit in (0..bytes.len() * 8).step_by(7) {
        let mut damaged = bytes.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        if let Ok(compact) = qcn_types::decode::<CompactBlock>(&damaged) {
            hands.message(1, Message::Block(Arc::new(compact)));
        }
    }
    assert!(hands.machine.dag().is_empty());
    hands.receive(1, block);
    assert!(hands.has(block), "and none of them stands in the way of the genuine one");
}

/// A block waits for parents; they are asked for from its sender after the delay, and then it is
/// accepted with them.
#[test]
fn missing_parents_are_asked_for() {
    let mut hands = Hands::listening(4);
    let below = first_blocks(4, &[1, 2, 3]);
    let above = block(1, 2, &references(&below));
    hands.receive(1, &above);
    hands.receive(1, &below[0]);
    assert!(hands.sent().is_empty());
    hands.tick(40);
    let wanted = [2, 3].map(|index| reference(&below[index as usize - 1]).slot());
    let expected = Message::RequestSlots(Bounded::truncated(wanted.to_vec()));
    assert_eq!(hands.sent(), [(1, expected)]);
    let answer = below[1..].iter().map(|block| Arc::new(CompactBlock::pack(block)));
    hands.message(1, Message::Blocks(Bounded::truncated(answer.collect())));
    assert!(hands.has(&above));
    assert_eq!(hands.machine.load(), Load { dag_blocks: 4, ..Load::default() });
}

/// Parents of a block that is not even allowed to wait are not remembered.
#[test]
fn over_budget_nothing_is_remembered() {
    let mut hands = Hands::listening(4);
    let made_up = |variant: usize| -> Vec<BlockRef> {
        (1..4).map(|index| named(1, index, &variant.to_string())).collect()
    };
    let blocks = MAX_WAITING_PER_PEER + 20;
    for variant in 0..blocks {
        hands.receive_full(1, &block_at(1, 2, &made_up(variant), variant as u64));
    }
    let rejections = hands.rejections();
    assert_eq!(rejections, [(1, Rejection::OverBudget); 20]);
    assert_eq!(hands.machine.wanted.len(), MAX_WAITING_PER_PEER * 3);
    // Another peer is not held to account for it.
    let honest = first_blocks(4, &[2]);
    hands.receive(2, &honest[0]);
    assert!(hands.has(&honest[0]));
}

/// A signature that fits no rebuilt parents may be due to the receiver, so the sender is asked
/// for them in full; then it is the sender who lies.
#[test]
fn a_wrong_signature_is_blamed_on_the_second_try() {
    let mut hands = Hands::listening(4);
    let mut forged = first_blocks(4, &[1])[0].clone();
    forged.signature = Signature::new(vec![1; 40]).unwrap();
    hands.receive(2, &forged);
    let slot = reference(&forged).slot();
    assert_eq!(hands.sent(), [(2, Message::RequestFull(slot))]);
    hands.receive_full(2, &forged);
    assert_eq!(hands.rejections(), [(2, Rejection::BadSignature)]);
}

/// An author that signs a block which breaks a rule has signed the proof against itself.
#[test]
fn an_invalid_signed_block_is_evidence() {
    let below = first_blocks(4, &[1, 2, 3]);
    let no_quorum = block(1, 2, &references(&below[..2]));
    let mut bad_transaction = body(2, 2, ordered(2, &references(&below)));
    let key = signing_committee(&[1]).committee().members()[0].key.clone();
    let to = Address::of(&key);
    let transaction = TransactionBody {
        sender: to,
        nonce: 0,
        fee: Amount(1),
        action: Action::Transfer { to, amount: Amount(1) },
    };
    let signature = Signature::new(vec![1; 40]).unwrap();
    let transaction = Transaction { body: transaction, key, signature };
    bad_transaction.payload.transactions = Bounded::truncated(vec![transaction]);
    for (from, block) in [(1, no_quorum), (2, sign(bad_transaction))] {
        let mut hands = Hands::listening(4);
        below.iter().for_each(|block| hands.receive(block.body.author.0, block));
        hands.drain();
        hands.receive(from, &block);
        hands.receive(from, &block);
        let outputs = hands.drain();
        let is_refusal = |output: &&Output| matches!(output, Output::Rejected { .. });
        assert_eq!(outputs.iter().filter(is_refusal).count(), 2);
        let evidence: Vec<_> = outputs
            .iter()
            .filter_map(|output| match output {
                Output::Evidence(evidence) => {
                    Some(qcn_light::verify_evidence(evidence, &hands.keys))
                }
                _ => None,
            })
            .collect();
        assert_eq!(evidence, [Ok(Offence::InvalidBlock(block.body.slot()))], "once");
        assert!(!hands.has(&block));
    }
}

/// A block from the future is held back until its time comes, up to a bound; one from before its
/// parents is refused.
#[test]
fn time_is_not_believed_blindly() {
    let mut hands = Hands::listening(4);
    let [early, late, too_late] =
        [(1, 900), (2, 1_500), (3, 1_501)].map(|(index, ms)| block_at(index, 1, &origin(4), ms));
    hands.receive(1, &early);
    hands.receive(2, &late);
    hands.receive(3, &too_late);
    assert_eq!(hands.rejections(), [(3, Rejection::TimeTooHigh)]);
    assert_eq!(hands.machine.load().held_back, 1);
    // Sent again it is not verified again.
    hands.receive(3, &late);
    assert!(hands.drain().is_empty());
    hands.tick(499);
    assert!(!hands.has(&late));
    hands.tick(1);
    assert!(hands.has(&late) && hands.machine.load().held_back == 0);
    hands.receive(3, &too_late);
    let below = references(&[early, late, too_late]);
    hands.tick(1);
    hands.receive(1, &block_at(1, 2, &below, 1_499));
    hands.receive(2, &block_at(2, 2, &below, 1_500));
    assert_eq!(hands.rejections(), [(1, Rejection::TimeTooLow)]);
}

#[test]
fn a_wake_is_asked_for_when_a_block_was_held_back() {
    let mut hands = Hands::listening(4);
    hands.tick(0);
    hands.receive(1, &block_at(1, 1, &origin(4), 1_123));
    let wakes = hands.drain().into_iter().filter_map(|output| match output {
        Output::Wake(at) => Some(at),
        _ => None,
    });
    assert_eq!(wakes.last(), Some(Time::from_ms(1_123)));
}

/// Below the floor nothing is taken in, and what is there counts as settled.
#[test]
fn blocks_below_the_floor_are_too_old() {
    let mut hands = Hands::listening(4);
    let depth = Config::default().gc_depth;
    hands.grow(&[1, 2, 3], 1, depth + 10, &origin(4));
    let floor = hands.machine.floor();
    assert!(floor > Round(4) && hands.machine.commit_index() > 0);
    hands.drain();
    hands.receive(2, &block(2, floor.0, &origin(4)));
    assert_eq!(hands.rejections(), [(2, Rejection::TooOld)]);
    // Own parents that sank below the floor unseen are nobody's loss.
    let unseen: Vec<BlockRef> = (0..4).map(|index| named(floor.0, index, "unseen")).collect();
    let late = block(0, floor.0 + 1, &unseen);
    hands.receive_full(1, &late);
    assert!(hands.has(&late));
}

/// Layers below the floor are kept for a while, for peers that lag.
#[test]
fn memory_is_bounded_by_depth() {
    let mut hands = Hands::listening(4);
    hands.machine.keep_above(Round(u64::MAX));
    let rounds = Config::default().gc_depth + RETENTION_ROUNDS + 40;
    hands.grow(&[1, 2, 3], 1, rounds, &origin(4));
    let kept = hands.machine.load().dag_blocks as u64;
    let depth = Config::default().gc_depth + RETENTION_ROUNDS;
    assert!((3 * depth..3 * (depth + 10)).contains(&kept), "{kept}");
}

/// Peers that are given a snapshot need the blocks above its floor, so these are kept, up to a
/// bound.
#[test]
fn blocks_above_a_snapshots_floor_are_kept() {
    let mut hands = Hands::listening(4);
    let tips = hands.grow(&[1, 2, 3], 1, 200, &origin(4));
    assert_eq!(hands.machine.load().dag_blocks, 600, "all, while there is no snapshot");
    hands.machine.keep_above(Round(40));
    hands.grow(&[1, 2, 3], 201, 210, &tips);
    assert_eq!(hands.machine.load().dag_blocks, 3 * 170);
}

#[test]
fn requests_are_served_within_a_budget() {
    let mut hands = Hands::listening(4);
    hands.grow(&[1, 2, 3], 1, 3, &origin(4));
    hands.drain();
    let too_many = Message::RequestRounds { first: Round(1), count: 33 };
    hands.message(1, too_many);
    assert_eq!(hands.rejections(), [(1, Rejection::RequestTooLarge)]);
    hands.message(1, Message::RequestRounds { first: Round(2), count: 32 });
    let blocks = |sent: &[(u16, Message)]| match sent {
        [(1, Message::Blocks(blocks) | Message::Rounds { blocks, .. })] => blocks.len(),
        _ => 0,
    };
    assert_eq!(blocks(&hands.sent()), 6);
    let slot = |round: u64, index: u16| Slot { round: Round(round), author: author(index) };
    let slots = vec![slot(1, 1), slot(1, 0), slot(3, 3), slot(0, 2), slot(9, 9)];
    hands.message(1, Message::RequestSlots(Bounded::truncated(slots)));
    assert_eq!(blocks(&hands.sent()), 2);
    // Also who asks for nothing that is there uses up its budget, and only its own.
    for _ in 0..10_000 {
        hands.message(1, Message::RequestFull(slot(9, 9)));
    }
    assert!(hands.rejections().contains(&(1, Rejection::OverBudget)));
    hands.message(2, Message::RequestFull(slot(1, 1)));
    assert_eq!(hands.sent().len(), 1);
    hands.tick(1_000);
    hands.drain();
    hands.message(1, Message::RequestFull(slot(1, 1)));
    assert_eq!(hands.sent().len(), 1);
}

/// Whoever claims to be far ahead is believed once others of a third claim it too, and that the
/// state is needed once blocks bring it no nearer.
#[test]
fn being_far_behind_takes_more_than_one_claim() {
    let behind = |hands: &mut Hands| {
        hands.drain().into_iter().any(|output| matches!(output, Output::Behind { .. }))
    };
    let mut hands = Hands::listening(4);
    let far = 2 * Config::default().gc_depth + 2;
    // (who sends, whose block, milliseconds later, whether that is too far behind)
    let rows = [(1, 1, 0, false), (1, 1, 5_000, false), (2, 1, 0, false), (2, 2, 0, false)];
    for (from, author, later_ms, expected) in rows.into_iter().chain([(2, 2, 1_000, true)]) {
        hands.now = hands.now.plus_ms(later_ms);
        hands.receive_full(from, &block(author, far, &[named(far - 1, 1, "")]));
        assert_eq!(behind(&mut hands), expected, "{author}'s block from {from}");
    }
}

/// Who catches up by blocks does not jump over them to a later state.
#[test]
fn who_catches_up_by_blocks_needs_no_state() {
    let far = 2 * Config::default().gc_depth + 2;
    let mut hands = Hands::listening(4);
    let mut below = origin(4);
    for round in 1..far - Config::default().gc_depth {
        hands.now = hands.now.plus_ms(30);
        for author in [1, 2] {
            hands.receive_full(author, &block(author, far, &[named(far - 1, 1, "")]));
        }
        below = hands.grow(&[1, 2, 3], round, round, &below);
    }
    let outputs = hands.drain();
    assert!(!outputs.iter().any(|output| matches!(output, Output::Behind { .. })));
}

/// That blocks are gone is believed on the word of more than the faulty ones, and only of those
/// who were asked, and who is not far behind has no use for the state.
#[test]
fn blocks_that_are_gone_are_given_up() {
    let behind = |hands: &mut Hands| {
        hands.drain().into_iter().any(|output| matches!(output, Output::Behind { .. }))
    };
    for (ahead, expected) in [(2 * Config::default().gc_depth, true), (20, false)] {
        let mut hands = Hands::listening(4);
        let below = [1, 2, 3].map(|index| named(ahead - 1, index, ""));
        for index in [1, 2] {
            hands.receive_full(index, &block(index, ahead, &below));
        }
        hands.tick(1);
        let asked: Vec<(u16, Round)> = hands
            .sent()
            .into_iter()
            .filter_map(|(to, message)| match message {
                Message::RequestRounds { first, .. } => Some((to, first)),
                _ => None,
            })
            .collect();
        let (first_peer, first) = asked[0];
        hands.message(3 - first_peer.min(2), Message::RoundsGone { first: Round(7) });
        for _ in 0..2 {
            hands.message(first_peer, Message::RoundsGone { first });
            assert!(!behind(&mut hands), "one may lie");
        }
        hands.tick(80);
        for index in [1, 2, 3] {
            hands.message(index, Message::RoundsGone { first });
        }
        assert_eq!(behind(&mut hands), expected, "{ahead} rounds ahead");
    }
}

/// Rounds that are no longer kept are not simply not answered.
#[test]
fn who_asks_for_old_rounds_is_told_that_they_are_gone() {
    let mut hands = Hands::listening(4);
    let rounds = Config::default().gc_depth + RETENTION_ROUNDS + 20;
    hands.machine.keep_above(Round(u64::MAX));
    hands.grow(&[1, 2, 3], 1, rounds, &origin(4));
    let lowest = hands.machine.dag().lowest_kept();
    assert!(lowest > Round(3), "{lowest}");
    hands.drain();
    let first = lowest.minus(2);
    hands.message(1, Message::RequestRounds { first, count: 8 });
    assert_eq!(hands.sent(), [(1, Message::RoundsGone { first })]);
    hands.message(1, Message::RequestRounds { first: lowest.previous(), count: 8 });
    assert!(matches!(&hands.sent()[..], [(1, Message::Rounds { .. })]));
}

/// Who says which its last block is, is asked for it, once, if it is not here.
#[test]
fn a_block_that_is_spoken_of_is_asked_for() {
    let mut hands = Hands::listening(4);
    let blocks = first_blocks(4, &[1, 2]);
    let [here, missing] = [0, 1].map(|at: usize| reference(&blocks[at]));
    hands.receive(1, &blocks[0]);
    hands.drain();
    for latest in [here, missing, missing] {
        hands.message(latest.author.0, Message::Latest(latest));
        hands.tick(1);
    }
    let wanted = Message::RequestSlots(Bounded::truncated(vec![missing.slot()]));
    assert_eq!(hands.sent(), [(2, wanted)]);
    // Nor is one that waits here for its parents, or for its time.
    let waiting = block(3, 2, &references(&first_blocks(4, &[1, 2, 3])));
    let mut early = body(3, 1, ordered(3, &origin(4)));
    early.time_ms = hands.now.as_ms() + 300;
    let early = sign(early);
    hands.receive(3, &waiting);
    hands.receive(3, &early);
    hands.drain();
    for latest in [reference(&waiting), reference(&early)] {
        hands.message(3, Message::Latest(latest));
    }
    hands.handle(Input::Tick);
    assert!(hands.sent().is_empty());
    // Nobody speaks for another, and what cannot be near is not asked for.
    for (from, latest) in [(2, named(1, 3, "")), (3, named(0, 3, "")), (3, named(999, 3, ""))] {
        hands.message(from, Message::Latest(latest));
        hands.tick(1);
    }
    assert!(hands.sent().is_empty());
}
