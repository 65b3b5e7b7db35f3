//! Two and more blocks of one slot.

use std::collections::BTreeSet;

use qcn_types::{CompactParents, Offence};

use super::*;

/// Validator 3's blocks of round 1: it signs one for each time.
fn fork(time_ms: u64) -> Block {
    block_at(3, 1, &origin(4), time_ms)
}

/// A machine that knows one block of validator 3 and those of 1 and 2.
fn hands() -> (Hands, Vec<BlockRef>) {
    let mut hands = Hands::listening(4);
    let others = first_blocks(4, &[1, 2]);
    others.iter().for_each(|block| hands.receive(block.body.author.0, block));
    hands.receive(3, &fork(0));
    hands.drain();
    (hands, references(&others))
}

/// A second block that nobody references proves its author guilty, once, and stays out.
#[test]
fn an_unreferenced_second_block_is_evidence_and_stays_out() {
    let (mut hands, _) = hands();
    hands.receive(3, &fork(1));
    let outputs = hands.drain();
    let [Output::Evidence(evidence), Output::Rejected { from, rejection }] = &outputs[..2] else {
        panic!("{outputs:?}");
    };
    let offence = qcn_light::verify_evidence(evidence, &hands.keys).unwrap();
    assert_eq!(offence, Offence::Equivocation(fork(0).body.slot()));
    assert_eq!((from.0, *rejection), (3, Rejection::UnreferencedSibling));
    // Whatever else it forks is not even verified.
    for time_ms in 2..5 {
        hands.receive(3, &fork(time_ms));
        hands.receive_full(2, &fork(time_ms));
    }
    assert!(hands.drain().is_empty());
    assert!(hands.has(&fork(0)) && !hands.has(&fork(1)));
}

/// A second block is taken in when another author's valid block names it.
///
/// Given a machine that knows validator 3's first block,
/// when validator 1 builds on the second one,
/// then its parents are asked for in full, then exactly the second one, and all are accepted.
#[test]
fn a_referenced_second_block_is_fetched_and_accepted() {
    let (mut hands, mut below) = hands();
    below.push(reference(&fork(1)));
    let above = block(1, 2, &below);
    hands.receive(1, &above);
    assert_eq!(hands.sent(), [(1, Message::RequestFull(above.body.slot()))]);
    hands.receive_full(1, &above);
    hands.tick(0);
    let exactly = Message::RequestBlocks(Bounded::truncated(vec![reference(&fork(1))]));
    assert_eq!(hands.sent(), [(1, exactly)]);
    hands.receive_full(1, &fork(1));
    assert!(hands.has(&fork(1)) && hands.has(&above));
    assert_eq!(hands.evidence().len(), 1);
    assert_eq!(hands.machine.load(), Load { dag_blocks: 5, ..Load::default() });
}

/// With two blocks of a slot here, only the sender can say which one its block names.
#[test]
fn an_ambiguous_parent_is_asked_for_in_full() {
    let (mut hands, below) = hands();
    let [on_first, on_second] = [(1, 0), (2, 1)].map(|(index, time_ms)| {
        let mut below = below.clone();
        below.push(reference(&fork(time_ms)));
        block(index, 2, &below)
    });
    hands.receive_full(2, &on_second);
    hands.receive_full(2, &fork(1));
    assert!(hands.has(&on_second));
    hands.drain();
    hands.receive(1, &on_first);
    assert_eq!(hands.sent(), [(1, Message::RequestFull(on_first.body.slot()))]);
    hands.receive_full(1, &on_first);
    assert!(hands.has(&on_first));
}

/// The same block comes many times while the answer is on its way; each is not another request.
#[test]
fn a_block_is_not_asked_for_in_full_again_at_once() {
    let (mut hands, below) = hands();
    let mut asked_at = Vec::new();
    let above = block(1, 2, &[below.clone(), vec![reference(&fork(1))]].concat());
    for ms in 0..2_000_u64 {
        hands.receive(1, &above);
        if !hands.sent().is_empty() {
            asked_at.push(ms);
        }
        hands.now = hands.now.plus_ms(1);
    }
    assert_eq!(asked_at, [0, 80, 240, 560, 1_200]);
    hands.receive(2, &above);
    assert_eq!(hands.sent(), [(2, Message::RequestFull(above.body.slot()))], "another peer is");
}

/// Of blocks that name their parents in full, only what is really missing is asked for, once.
///
/// Given a machine that lacks round 2 of six authors.
/// When their blocks of rounds 3 to 20 come with their parents in full,
/// then it asks for the blocks of round 2 and for nothing else.
#[test]
fn parents_that_are_on_their_way_are_not_asked_for() {
    let mut hands = Hands::listening(7);
    let authors = [1, 2, 3, 4, 5, 6];
    let layer = |round, below: &[BlockRef]| authors.map(|index| block(index, round, below));
    let mut below = references(&layer(1, &origin(7)));
    for first in layer(1, &origin(7)) {
        hands.receive(first.body.author.0, &first);
    }
    for round in 2..=20 {
        let blocks = layer(round, &below);
        below = references(&blocks);
        for block in blocks.iter().filter(|_| round > 2) {
            hands.receive_full(1, block);
        }
    }
    let mut asked = Vec::new();
    for _ in 0..41 {
        hands.tick(1);
        for (_, message) in hands.sent() {
            match message {
                Message::RequestSlots(slots) => asked.extend(slots.iter().map(|slot| slot.round.0)),
                Message::RequestRounds { .. } => {}
                other => panic!("{other:?}"),
            }
        }
    }
    assert_eq!(asked, [2; 6]);
}

/// Who is known to fill slots twice is named in full from then on: nobody has to ask which one.
///
/// Given a machine that holds two blocks of validator 3 for one slot,
/// when it proposes, or is asked for blocks that build on one of them,
/// then what it sends names its parents in full; other blocks name slots.
#[test]
fn parents_of_an_equivocator_travel_in_full() {
    let mut hands = Hands::signing(4);
    hands.grow(&[1, 2, 3], 1, 1, &origin(4));
    hands.receive(3, &block_at(3, 1, &origin(4), 1));
    let own = hands.machine.dag().unique(Slot { round: Round(1), author: author(0) }).unwrap();
    let below: Vec<BlockRef> =
        [1, 2].map(|index| block(index, 1, &origin(4))).iter().map(reference).collect();
    let clean = block(1, 2, &[below.clone(), vec![own]].concat());
    hands.receive(1, &clean);
    hands.tick(500);
    let outputs = hands.drain();
    let sent = outputs.into_iter().filter_map(|output| match output {
        Output::Broadcast(Message::Block(block)) => Some(block),
        _ => None,
    });
    let by_slot = |block: &CompactBlock| matches!(block.parents, CompactParents::Slots { .. });
    let forms: Vec<_> = sent.map(|block| (block.round.0, by_slot(&block))).collect();
    assert_eq!(forms, [(1, true), (2, false)]);
    hands.message(2, Message::RequestRounds { first: Round(2), count: 1 });
    let [(2, Message::Rounds { blocks, .. })] = &hands.sent()[..] else { panic!("no answer") };
    let forms: Vec<_> = blocks.iter().map(|block| (block.author.0, by_slot(block))).collect();
    assert_eq!(forms, [(0, false), (1, true)]);
}

/// Nobody can open the door for a second block by naming it in a block that nobody signed.
#[test]
fn a_forged_reference_opens_nothing() {
    let (mut hands, mut below) = hands();
    below.push(reference(&fork(1)));
    let mut forged = block(1, 2, &below);
    forged.body.time_ms += 1;
    hands.receive_full(2, &forged);
    assert_eq!(hands.rejections(), [(2, Rejection::BadSignature)]);
    hands.receive(3, &fork(1));
    assert_eq!(hands.rejections(), [(3, Rejection::UnreferencedSibling)]);
}

/// An equivocator's own blocks do not make its forks welcome.
#[test]
fn an_equivocators_own_chain_is_not_followed() {
    let (mut hands, mut below) = hands();
    below.push(reference(&fork(1)));
    let own_child = block(3, 2, &below);
    hands.receive_full(3, &own_child);
    assert_eq!(hands.rejections(), [(3, Rejection::UnreferencedSibling)]);
    hands.receive(3, &fork(1));
    assert!(!hands.has(&fork(1)) && hands.machine.load().waiting_blocks == 0);
}

/// A fork of several rounds is followed down to its root on the word of another author.
///
/// Given a machine that knows validator 6's first block of round 1 and none of its later ones,
/// when validator 1 builds on a block of round 3 whose ancestors of rounds 2 and 1 are of a fork,
/// then the fork is taken in from the bottom up, and with it validator 1's block.
///
/// Until then neither validator 1's block nor that of round 3 can be rebuilt: all that is known of
/// them is which slots they wait for.
#[test]
fn a_fork_is_followed_through_blocks_that_wait_for_each_other() {
    let mut hands = Hands::listening(7);
    let mut layers = vec![first_blocks(7, &[1, 2, 3, 4, 5])];
    for round in 2..=3 {
        let below = references(&layers[layers.len() - 1]);
        layers.push((1..=5).map(|index| block(index, round, &below)).collect());
    }
    layers.iter().flatten().for_each(|block| hands.receive(block.body.author.0, block));
    hands.receive(6, &block_at(6, 1, &origin(7), 0));
    hands.drain();
    let on_fork = |index, round: u64, fork: &Block| {
        let mut below = references(&layers[round as usize - 2]);
        below.push(reference(fork));
        block(index, round, &below)
    };
    let root = block_at(6, 1, &origin(7), 1);
    let middle = on_fork(6, 2, &root);
    let top = on_fork(6, 3, &middle);
    let above = on_fork(1, 4, &top);
    for waiting in [&above, &top, &middle] {
        hands.receive(1, waiting);
    }
    assert_eq!(hands.sent(), [(1, Message::RequestFull(middle.body.slot()))]);
    hands.receive_full(1, &middle);
    hands.tick(0);
    let exactly = Message::RequestBlocks(Bounded::truncated(vec![reference(&root)]));
    assert_eq!(hands.sent(), [(1, exactly)]);
    hands.receive_full(1, &root);
    assert!(hands.has(&above) && hands.has(&top));
}

/// An equivocator that shows each of many validators another block does not stop them.
///
/// Given sixteen validators, and validator 15 that signed a block for each of fourteen others,
/// when all of these build on the one they saw,
/// then every one of their blocks is accepted.
#[test]
fn every_honest_author_may_name_another_second_block() {
    const MEMBERS: u16 = 16;
    let mut hands = Hands::listening(usize::from(MEMBERS));
    let honest: Vec<u16> = (1..15).collect();
    let below = first_blocks(MEMBERS, &honest);
    below.iter().for_each(|block| hands.receive(block.body.author.0, block));
    let below = references(&below);
    for index in honest {
        let fork = block_at(15, 1, &origin(MEMBERS), u64::from(index));
        let mut parents = below.clone();
        parents.push(reference(&fork));
        let above = block_at(index, 2, &parents, 14);
        hands.receive_full(index, &above);
        hands.receive_full(index, &fork);
        assert!(hands.has(&above), "{index}");
    }
    assert_eq!(hands.evidence().len(), 1);
}

/// Of a slot one block at most waits for its time, so nobody fills the store alone.
#[test]
fn one_block_of_a_slot_is_held_back() {
    let (mut hands, _) = hands();
    let [one, other] = [1_100, 1_200].map(|time_ms| block_at(0, 1, &origin(4), time_ms));
    hands.receive(1, &one);
    assert_eq!(hands.machine.load().held_back, 1);
    hands.receive(1, &other);
    assert_eq!(hands.machine.load().held_back, 1);
    let evidence = hands.evidence();
    assert_eq!(evidence.len(), 1);
    assert!(qcn_light::verify_evidence(&evidence[0], &hands.keys).is_ok());
    hands.tick(100);
    assert!(hands.has(&one) && !hands.has(&other));
}

/// All judge a block's time by the very parents it names, whichever fork they saw first.
///
/// Given validator 3's blocks of times 0 and 900, and others of 400,
/// when validator 1 names the early fork and takes the median 400,
/// then also who knows the late fork first accepts the block.
#[test]
fn a_median_is_that_of_the_parents_named() {
    for first in [0, 900] {
        let mut hands = Hands::listening(4);
        let others: Vec<Block> =
            [(1, 400), (2, 900)].map(|(index, ms)| block_at(index, 1, &origin(4), ms)).to_vec();
        others.iter().for_each(|block| hands.receive(block.body.author.0, block));
        hands.receive(3, &fork(first));
        let mut below = references(&others);
        below.push(reference(&fork(0)));
        let above = block_at(1, 2, &below, 400);
        hands.receive_full(1, &above);
        hands.receive_full(1, &fork(0));
        assert!(hands.has(&above), "{first} first");
    }
}

/// A block of a slot that waits does not stand for another one that others name.
///
/// Given validator 1's block on top of validator 3's of round 2, which is not here,
/// when validator 3's other block of that slot comes, whose own parent nobody has,
/// then the named one is still asked for, by its name, and both are taken in.
#[test]
fn a_block_that_waits_does_not_stand_for_another() {
    let mut hands = Hands::listening(4);
    let first = first_blocks(4, &[1, 2, 3]);
    first.iter().for_each(|block| hands.receive(block.body.author.0, block));
    let below = references(&first);
    let second = [1, 2].map(|index| block(index, 2, &ordered(index, &below)));
    second.iter().for_each(|block| hands.receive(block.body.author.0, block));
    let named = block(3, 2, &ordered(3, &below));
    let mut parents = references(&second);
    parents.push(reference(&named));
    let above = block(1, 3, &ordered(1, &parents));
    hands.receive_full(1, &above);
    let unknown = block_at(3, 1, &origin(4), 77);
    let mut elsewhere = vec![reference(&unknown)];
    elsewhere.extend(&below[..2]);
    hands.receive_full(3, &block_at(3, 2, &elsewhere, 78));
    hands.drain();
    let mut asked = BTreeSet::new();
    for _ in 0..20 {
        hands.tick(100);
        for (_, message) in hands.sent() {
            if let Message::RequestBlocks(names) = message {
                asked.extend(names.iter().copied());
            }
        }
    }
    assert!(asked.contains(&reference(&named)), "{asked:?}");
    hands.receive_full(2, &named);
    assert!(hands.has(&named) && hands.has(&above));
}
