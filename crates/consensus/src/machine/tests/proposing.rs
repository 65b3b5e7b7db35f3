//! What the machine signs, and what it must not.

use super::*;

/// A signed block leaves only after it is durable, and is in the own DAG.
#[test]
fn a_block_is_durable_before_it_leaves() {
    let mut hands = Hands::signing(4);
    hands.tick(0);
    let outputs = hands.drain();
    let at = |wanted: fn(&Output) -> bool| outputs.iter().position(wanted);
    let persisted = at(|output| matches!(output, Output::PersistOwn(_)));
    let sent = at(|output| matches!(output, Output::Broadcast(Message::Block(_))));
    assert!(persisted.is_some() && persisted < sent, "{outputs:?}");
    assert_eq!(hands.machine.load().dag_blocks, 1);
    assert_eq!(hands.machine.may_sign_from(), Round(2));
}

/// Round by round, as the others' blocks come, and idle in between.
#[test]
fn it_proposes_once_a_round() {
    let mut hands = Hands::signing(4);
    let mut below = origin(4);
    for round in 1..=30 {
        hands.tick(200);
        assert_eq!(hands.signed_rounds(), [round]);
        below = hands.grow(&[1, 2, 3], round, round, &below);
        below.push(hands.machine.proposer.last());
        hands.tick(1);
        assert_eq!(
            hands.signed_rounds(),
            [0; 0],
            "a quorum is here, but nobody has anything to say"
        );
    }
    assert_eq!(hands.machine.commit_index(), 2 * 28, "two leaders a round, all but the newest");
    hands.handle(Input::Busy(true));
    hands.tick(9);
    assert_eq!(hands.signed_rounds(), [31], "10 ms are enough when somebody has");
}

/// Without its leaders a round is waited for until the timeout, and they come under suspicion.
#[test]
fn leaders_are_waited_for() {
    let mut hands = Hands::signing(4);
    hands.handle(Input::Busy(true));
    let rounds = 1..12;
    let mut below = origin(4);
    let mut waited = 0;
    for round in rounds {
        hands.tick(10);
        let in_time = hands.signed_rounds() == [round];
        if !in_time {
            waited += 1;
            hands.tick(89);
            assert_eq!(hands.signed_rounds(), [0; 0]);
            hands.tick(1);
            let outputs = hands.drain();
            let late = outputs.iter().filter_map(|output| match output {
                Output::Suspicion { against, suspicion } => Some((against.0, *suspicion)),
                _ => None,
            });
            assert!(late.eq([(3, Suspicion::LateLeader(Round(round - 1)))]), "{outputs:?}");
        }
        below = hands.grow(&[1, 2], round, round, &below);
        below.push(hands.machine.proposer.last());
    }
    assert!(waited > 1, "validator 3 leads now and then");
}

/// A leader that has gone past its slot does not come back to it, so nobody waits for its block, and
/// it is not called late.
///
/// Given a leader without a block in its round, for which the next round waits,
/// when its block of that next round arrives, then the round is proposed in at once.
#[test]
fn who_has_passed_its_slot_is_not_waited_for() {
    let mut hands = Hands::signing(4);
    hands.handle(Input::Busy(true));
    let mut below = origin(4);
    for round in 1..12 {
        hands.tick(10);
        if hands.signed_rounds() != [round] {
            hands.receive_full(3, &block(3, round, &below));
            let outputs = hands.drain();
            let signed = outputs.iter().any(|output| matches!(output, Output::Sign(_)));
            let late = outputs.iter().any(|output| matches!(output, Output::Suspicion { .. }));
            assert!(signed && !late, "{outputs:?}");
            return;
        }
        below = hands.grow(&[1, 2], round, round, &below);
        below.push(hands.machine.proposer.last());
    }
    panic!("validator 3 leads now and then");
}

/// After a jump to a later state nothing is signed until there are parents again: a block without
/// them would be the proof of the validator's own guilt.
///
/// Given a validator that is idle in round 2,
/// when it takes over a state of round 300 and much time passes,
/// then it signs nothing until blocks of a quorum are here, and then a valid block above them.
#[test]
fn nothing_invalid_is_signed_after_a_jump() {
    let mut hands = Hands::signing(4);
    hands.tick(0);
    hands.grow(&[1, 2, 3], 1, 1, &origin(4));
    assert_eq!(hands.machine.round(), Round(2));
    let schedule = hands.machine.schedule().state();
    let leader = named(300, 2, "leader");
    let record = CommitRecord {
        index: 70,
        previous: digest("record 69"),
        leader,
        blocks: Bounded::truncated(vec![leader]),
        undecided_leaders: Bounded::default(),
        schedule: schedule.digest(),
    };
    hands.machine.resume(&[record], &schedule);
    assert_eq!((hands.machine.floor(), hands.machine.commit_index()), (Round(236), 70));
    hands.drain();
    for _ in 0..20 {
        hands.tick(1_000);
    }
    assert_eq!(hands.signed_rounds(), [0; 0]);
    let settled: Vec<BlockRef> = (0..4).map(|index| named(236, index, "settled")).collect();
    let first: Vec<Block> = (1..4).map(|index| block(index, 237, &settled)).collect();
    first.iter().for_each(|block| hands.receive_full(1, block));
    let tips = hands.grow(&[1, 2, 3], 238, 310, &references(&first));
    hands.tick(1_000);
    let bodies = hands.drain().into_iter().filter_map(|output| match output {
        Output::Sign(body) => Some(*body),
        _ => None,
    });
    let bodies: Vec<BlockBody> = bodies.collect();
    assert!(!bodies.is_empty());
    for body in &bodies {
        assert_eq!(qcn_light::check_block(body, hands.keys.committee()), Ok(()));
    }
    assert_eq!(bodies.last().map(|body| body.round), Some(tips[0].round.next()));
}

/// A signature that comes late neither counts nor disturbs a later proposal.
///
/// Given a proposal of round 1 whose signature is under way,
/// when an own block of round 2 comes back from a peer, and round 3 is proposed,
/// then the late signature changes nothing, and round 3 is signed once.
#[test]
fn a_late_signature_disturbs_nothing() {
    let mut hands = Hands::signing(4);
    hands.signs = false;
    hands.tick(0);
    let outputs = hands.drain();
    let first = outputs.into_iter().find_map(|output| match output {
        Output::Sign(body) => Some(*body),
        _ => None,
    });
    let first = verified(&hands.keys, first.unwrap());
    let below = hands.grow(&[1, 2, 3], 1, 1, &origin(4));
    hands.receive(2, &block(0, 2, &below));
    assert_eq!(hands.machine.may_sign_from(), Round(3));
    hands.grow(&[1, 2, 3], 2, 2, &below);
    hands.tick(1_000);
    assert_eq!(hands.signed_rounds(), [3]);
    hands.handle(Input::Signed(first));
    hands.tick(1_000);
    let outputs = hands.drain();
    assert!(
        !outputs.iter().any(|output| matches!(output, Output::Sign(_) | Output::PersistOwn(_)))
    );
}

/// After a lost disk the own blocks come back from the others. They are logged like theirs, or
/// nothing that stands on them could be read back after another restart.
#[test]
fn own_blocks_that_come_back_are_logged() {
    let mut hands = Hands::listening(4);
    let own = block(0, 1, &origin(4));
    hands.receive(2, &own);
    let outputs = hands.drain();
    let logged = outputs.iter().any(|output| match output {
        Output::PersistAccepted(block) => block.reference() == reference(&own),
        _ => false,
    });
    assert!(logged, "{outputs:?}");
    assert_eq!(hands.machine.may_sign_from(), Round(2));
}

/// Reading the log back says nothing and signs nothing, and no slot in it is signed again.
#[test]
fn what_is_in_the_log_is_not_signed_again() {
    let mut before = Hands::signing(4);
    let mut below = origin(4);
    for round in 1..=8 {
        before.tick(200);
        below = before.grow(&[1, 2, 3], round, round, &below);
    }
    let log = before.drain().into_iter().filter_map(|output| match output {
        Output::PersistOwn(block) | Output::PersistAccepted(block) => Some(block),
        _ => None,
    });
    let mut after = Hands::signing(4);
    for block in log {
        after.handle(Input::Replay(block));
    }
    assert_eq!(after.signed_rounds(), [0; 0]);
    assert_eq!(after.machine.commit_index(), before.machine.commit_index());
    assert_eq!(after.machine.may_sign_from(), Round(9));
    after.tick(0);
    assert_eq!(after.signed_rounds(), [9]);
}

/// A validator that lost its disk asks, and signs two rounds above the highest answer that it
/// could check.
#[test]
fn a_lost_disk_is_made_up_for_by_asking() {
    let mut hands = Hands::listening(4);
    hands.tick(0);
    let asked = Message::RecoveryQuery { nonce: 1 };
    let outputs = hands.drain();
    assert!(outputs.iter().any(|output| matches!(output, Output::Broadcast(m) if *m == asked)));
    hands.message(1, Message::RecoveryQuery { nonce: 9 });
    assert!(hands.sent().is_empty(), "who recovers has no answer for others");
    let below = hands.grow(&[1, 2, 3], 1, 4, &origin(4));
    let answer = |latest: BlockRef| Message::RecoveryAnswer { nonce: 1, latest };
    hands.message(1, answer(below[0]));
    hands.message(2, answer(named(200, 2, "never was")));
    hands.message(3, answer(below[2]));
    hands.tick(1_000);
    assert!(hands.machine.is_recovering());
    assert_eq!(hands.signed_rounds(), [0; 0]);
    hands.message(2, answer(below[1]));
    assert!(hands.machine.is_recovering(), "its higher answer stands");
    // The liar's round does come about in the end; four members are a quorum of three without it.
    let mut hands = Hands::listening(4);
    let below = hands.grow(&[1, 2, 3], 1, 4, &origin(4));
    (1..4).zip(&below).for_each(|(from, latest)| hands.message(from, answer(*latest)));
    assert!(!hands.machine.is_recovering());
    hands.tick(1_000);
    assert_eq!(hands.signed_rounds(), [0; 0]);
    hands.grow(&[1, 2, 3], 5, 5, &below);
    hands.tick(1_000);
    assert_eq!(hands.signed_rounds(), [6]);
}

/// A stalled validator says which its last block is: peers may have lost it with a connection. The
/// block itself goes to those who ask.
#[test]
fn a_stalled_validator_names_its_last_block() {
    let mut hands = Hands::signing(4);
    hands.tick(0);
    hands.drain();
    for _ in 0..3 {
        hands.tick(500);
        let outputs = hands.drain();
        let broadcasts: Vec<&Message> = outputs
            .iter()
            .filter_map(|output| match output {
                Output::Broadcast(message) => Some(message),
                _ => None,
            })
            .collect();
        let [Message::Latest(latest)] = broadcasts[..] else { panic!("{broadcasts:?}") };
        hands.message(2, Message::RequestSlots(Bounded::truncated(vec![latest.slot()])));
        assert!(matches!(&hands.sent()[..], [(2, Message::Blocks(blocks))] if blocks.len() == 1));
    }
}

/// Evidence that is committed isolates; the accused leads no more, and its isolation is told once.
#[test]
fn committed_evidence_isolates() {
    let mut hands = Hands::listening(4);
    let forks = [1, 2].map(|time_ms| block_at(3, 1, &origin(4), time_ms));
    let evidence = Evidence::equivocation(&forks[0], &forks[1]);
    let mut accuser = body(1, 1, ordered(1, &origin(4)));
    accuser.payload.evidence = Bounded::truncated(vec![evidence.clone(), evidence]);
    let accuser = sign(accuser);
    hands.receive(1, &accuser);
    let mut below = vec![reference(&accuser)];
    below.extend(hands.grow(&[2, 3], 1, 1, &origin(4)));
    hands.grow(&[1, 2, 3], 2, 12, &below);
    let isolated: Vec<u16> = hands
        .drain()
        .into_iter()
        .filter_map(|output| match output {
            Output::Commit(commit) => Some(commit.isolated),
            _ => None,
        })
        .flatten()
        .map(|(author, _)| author.0)
        .collect();
    assert_eq!(isolated, [3]);
    let schedule = hands.machine.schedule();
    assert!(schedule.isolated().contains(author(3)));
    assert!((1..50).all(|round| !schedule.leaders(Round(round)).contains(&author(3))));
}

/// What the isolated say is built on only where the others are no quorum by the leader timeout.
#[test]
fn the_isolated_are_built_on_only_in_need() {
    let mut hands = Hands::signing(4);
    hands.handle(Input::Busy(true));
    hands.machine.schedule.isolate(author(3));
    let mut below = origin(4);
    let mut named = Vec::new();
    for (round, others) in (1..).zip([&[1, 2, 3][..], &[1, 3], &[1, 2, 3], &[1, 2, 3]]) {
        hands.tick(10);
        if hands.signed_rounds() != [round] {
            hands.tick(200);
            assert_eq!(hands.signed_rounds(), [round], "no timeout lasts longer");
            named.push((round, "late"));
        }
        let own = hands.machine.proposer.last();
        let vertex = hands.machine.dag.find(&own).unwrap();
        let parents = &hands.machine.dag.node(vertex).unwrap().content.body.parents;
        let of_isolated = |parent: &BlockRef| parent.author == author(3) && parent.round.0 > 0;
        if parents.iter().any(of_isolated) {
            named.push((round, "named"));
        }
        below = hands.grow(others, round, round, &below);
        below.push(own);
    }
    assert_eq!(named, [(3, "late"), (3, "named")]);
}
