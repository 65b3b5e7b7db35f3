use qcn_crypto::Signature;
use qcn_types::{AccusedBlock, Bounded, CompactParents, Evidence, Payload};

use super::*;
use crate::testing::{author, body, genesis, signing_committee, verified};

/// A block as it travels, told apart from others by its time.
fn compact(round: u64, index: u16, time_ms: u64) -> Arc<CompactBlock> {
    Arc::new(CompactBlock {
        round: Round(round),
        author: author(index),
        time_ms,
        parents: CompactParents::Full(Bounded::default()),
        payload: Payload::default(),
        attestations: Bounded::default(),
        signature: Signature::new(vec![1; 8]).unwrap(),
    })
}

fn slot(round: u64, index: u16) -> Slot {
    Slot { round: Round(round), author: author(index) }
}

impl Intake {
    fn wait_for(&mut self, from: u16, block: &Arc<CompactBlock>, missing: &[Slot]) -> Admission {
        self.wait(author(from), Pending::Compact(Arc::clone(block)), missing)
    }
}

fn slots_of(ready: &[Waiting]) -> Vec<Slot> {
    ready.iter().map(|waiting| waiting.block.slot()).collect()
}

#[test]
fn a_block_waits_until_the_last_of_its_parents_arrives() {
    let mut intake = Intake::default();
    intake.wait_for(1, &compact(5, 1, 0), &[slot(4, 0), slot(4, 2)]);
    intake.wait_for(2, &compact(5, 2, 0), &[slot(4, 2)]);
    assert_eq!(intake.highest_waiting(), Some((Round(5), author(2))));
    assert_eq!(slots_of(&intake.arrived(slot(4, 2))), [slot(5, 2)]);
    assert!(intake.arrived(slot(4, 2)).is_empty() && intake.arrived(slot(3, 0)).is_empty());
    assert_eq!(slots_of(&intake.arrived(slot(4, 0))), [slot(5, 1)]);
    assert_eq!((intake.len(), intake.highest_waiting()), (0, None));
}

#[test]
fn each_peer_has_its_own_budget() {
    let mut intake = Intake::default();
    for time_ms in 0..MAX_WAITING_PER_PEER as u64 {
        let admission = intake.wait_for(0, &compact(9, 0, time_ms), &[slot(8, 0)]);
        assert_eq!(admission, Admission::Admitted);
    }
    let one_more = compact(9, 0, 1 << 20);
    assert_eq!(intake.wait_for(0, &one_more, &[slot(8, 1)]), Admission::OverBudget);
    assert_eq!(intake.wait_for(1, &one_more, &[slot(8, 1)]), Admission::Admitted);
    assert_eq!(intake.arrived(slot(8, 0)).len(), MAX_WAITING_PER_PEER);
    assert_eq!(intake.wait_for(0, &compact(9, 0, 0), &[slot(8, 1)]), Admission::Admitted);
}

#[test]
fn the_same_block_is_known_while_it_waits_or_is_verified() {
    let mut intake = Intake::default();
    let (waiting, verifying) = (compact(3, 0, 0), compact(3, 1, 0));
    intake.wait_for(1, &waiting, &[slot(2, 0)]);
    assert!(intake.begin_verification(author(1), &verifying));
    assert!(intake.knows(&compact(3, 0, 0)) && intake.knows(&compact(3, 1, 0)));
    assert_eq!(intake.wait_for(2, &waiting, &[slot(2, 0)]), Admission::Known);
    assert_eq!(intake.len(), 2);
    intake.end_verification(author(1), &verifying);
    assert!(!intake.knows(&verifying));
    intake.arrived(slot(2, 0));
    assert!(!intake.knows(&waiting));
}

/// Who sees a block early could send others a changed copy with its signature.
#[test]
fn a_forgery_with_a_genuine_signature_is_another_block() {
    let mut intake = Intake::default();
    intake.wait_for(1, &compact(3, 0, 666), &[slot(2, 0)]);
    intake.begin_verification(author(1), &compact(3, 0, 667));
    let genuine = compact(3, 0, 0);
    assert!(!intake.knows(&genuine));
    assert_eq!(intake.wait_for(2, &genuine, &[slot(2, 0)]), Admission::Admitted);
}

#[test]
fn a_verified_block_is_known_in_every_form() {
    let keys = signing_committee(&[1; 4]);
    let block = verified(&keys, body(1, 1, (0..4).map(genesis).collect()));
    let mut intake = Intake::default();
    let wait = |intake: &mut Intake| {
        intake.wait(author(1), Pending::Verified(block.clone()), &[slot(0, 0)])
    };
    assert_eq!(wait(&mut intake), Admission::Admitted);
    assert_eq!(wait(&mut intake), Admission::Known);
    assert!(intake.knows(&CompactBlock::pack(&block)));
    assert!(intake.knows(&CompactBlock::in_full(&block)));
}

/// A few long blocks use up a budget as many short ones do, and give it back.
#[test]
fn budgets_count_bytes_too() {
    let bytes = Bounded::truncated(vec![0; 4 * 1024 * 1024]);
    let accused = AccusedBlock { author: author(3), bytes };
    let evidence = Bounded::truncated(vec![Evidence::InvalidBlock(Box::new(accused))]);
    let long = |index: u16, round: u64| {
        let block = CompactBlock::clone(&compact(round, index, 0));
        let payload = Payload { evidence: evidence.clone(), ..Payload::default() };
        Arc::new(CompactBlock { payload, ..block })
    };
    let mut intake = Intake::default();
    let fit = MAX_WAITING_BYTES_PER_PEER as u64 / (4 * 1024 * 1024 + 1_024);
    for round in 1..=fit {
        let admission = intake.wait_for(0, &long(0, round), &[slot(0, 1)]);
        assert_eq!(admission, Admission::Admitted, "{round} of {fit}");
        assert!(intake.begin_verification(author(0), &long(0, round)), "{round} of {fit}");
    }
    let more = long(0, fit + 1);
    assert_eq!(intake.wait_for(0, &more, &[slot(0, 1)]), Admission::OverBudget);
    assert_eq!(intake.wait_for(1, &more, &[slot(0, 1)]), Admission::Admitted);
    assert!(!intake.begin_verification(author(0), &more));
    intake.end_verification(author(0), &long(0, 1));
    assert!(intake.begin_verification(author(0), &more));
    intake.raise_floor(Round(1));
    assert_eq!(intake.wait_for(0, &long(0, fit + 2), &[slot(0, 1)]), Admission::Admitted);
}

#[test]
fn verification_is_bounded_for_each_peer() {
    let mut intake = Intake::default();
    let blocks: Vec<_> =
        (0..=MAX_VERIFYING_PER_PEER as u64).map(|time_ms| compact(1, 0, time_ms)).collect();
    let begun = blocks.iter().filter(|block| intake.begin_verification(author(0), block));
    assert_eq!(begun.count(), MAX_VERIFYING_PER_PEER);
    assert!(intake.begin_verification(author(1), &blocks[0]));
    intake.end_verification(author(0), &blocks[0]);
    assert!(intake.begin_verification(author(0), &blocks[0]));
    // What nobody began takes nothing from the budget.
    intake.end_verification(author(7), &compact(1, 0, 0));
    assert_eq!(intake.len(), MAX_VERIFYING_PER_PEER + 1);
}

#[test]
fn the_floor_drops_blocks_and_settles_parents() {
    let mut intake = Intake::default();
    intake.wait_for(0, &compact(5, 0, 0), &[slot(4, 0)]);
    intake.wait_for(0, &compact(6, 0, 0), &[slot(5, 0)]);
    intake.wait_for(0, &compact(7, 0, 0), &[slot(5, 0), slot(6, 1)]);
    assert_eq!(slots_of(&intake.raise_floor(Round(5))), [slot(6, 0)]);
    assert_eq!(intake.len(), 1);
    assert!(intake.arrived(slot(4, 0)).is_empty(), "who waited for it is gone");
    assert_eq!(slots_of(&intake.raise_floor(Round(6))), [slot(7, 0)]);
    assert!(intake.by_slot.is_empty() && intake.by_missing.is_empty());
}

/// What another author's block builds on is awaited with all of its author's earlier blocks.
#[test]
fn an_authors_own_chain_is_awaited_once_another_builds_on_it() {
    let mut intake = Intake::default();
    intake.wait_for(1, &compact(5, 1, 0), &[slot(4, 1)]);
    intake.wait_for(1, &compact(6, 1, 0), &[slot(5, 1)]);
    intake.wait_for(1, &compact(6, 1, 1), &[slot(5, 1)]);
    assert!(!intake.is_awaited_by_another(slot(4, 1)), "by nobody but its author");
    intake.wait_for(2, &compact(7, 2, 0), &[slot(6, 1)]);
    for awaited in [slot(4, 1), slot(5, 1), slot(6, 1)] {
        assert!(intake.is_awaited_by_another(awaited), "{awaited}");
    }
    assert!(!intake.is_awaited_by_another(slot(7, 2)) && !intake.is_awaited_by_another(slot(4, 0)));
}

const PAUSE_US: u64 = 100;

/// Whom the validator 0 of four asks, at each time at which a request is due.
fn asked(fetch: &mut Fetch, times: usize) -> Vec<(u64, Vec<u16>)> {
    (0..times)
        .map(|_| {
            let due = fetch.next_due().unwrap();
            let requests = fetch.requests(due, PAUSE_US, author(0), 4, |_| false);
            (due.0, requests.keys().map(|peer| peer.0).collect())
        })
        .collect()
}

/// First who referenced it, then its author, then one peer after another, never oneself; the
/// pauses double and then stay.
#[test]
fn a_slot_is_asked_from_one_peer_after_another() {
    let mut fetch = Fetch::default();
    fetch.want(slot(5, 3), author(2), Time(1_000));
    assert!(fetch.requests(Time(999), PAUSE_US, author(0), 4, |_| false).is_empty());
    let expected = [
        (1_000, vec![2]),
        (1_200, vec![3]),
        (1_600, vec![]),
        (2_400, vec![1]),
        (4_000, vec![2]),
        (7_200, vec![3]),
        (10_400, vec![]),
        (13_600, vec![1]),
    ];
    assert_eq!(asked(&mut fetch, 8), expected);
}

/// What waits here already is not asked for, and goes on being wanted.
#[test]
fn what_only_waits_is_not_asked_for() {
    for (is_here, expected) in [(true, [false; 4]), (false, [true, true, false, true])] {
        let mut fetch = Fetch::default();
        fetch.want(slot(5, 3), author(2), Time(1_000));
        let asks = expected.map(|_| {
            let due = fetch.next_due().unwrap();
            !fetch.requests(due, PAUSE_US, author(0), 4, |_| is_here).is_empty()
        });
        assert_eq!(asks, expected);
    }
}

/// An unchecked block says nothing of its slot, whoever sent it.
#[test]
fn only_what_is_checked_counts_as_here() {
    let mut intake = Intake::default();
    for sender in [3, 1] {
        let block = compact(5, 1, u64::from(sender));
        intake.wait(author(sender), Pending::Compact(block), &[slot(4, 2)]);
        assert!(intake.has_from(slot(5, 1), author(sender)) && !intake.has_verified(slot(5, 1)));
    }
    assert!(!intake.has_from(slot(5, 1), author(2)) && !intake.has_from(slot(5, 2), author(3)));
    let block = verified(&signing_committee(&[1; 4]), body(1, 1, (0..4).map(genesis).collect()));
    intake.wait(author(2), Pending::Verified(block), &[slot(0, 2)]);
    assert!(intake.has_verified(slot(1, 1)));
}

#[test]
fn what_is_due_together_is_asked_together() {
    let mut fetch = Fetch::default();
    for (wanted, source, at) in [
        (slot(5, 1), 3, 10),
        (slot(5, 2), 3, 10),
        (slot(5, 3), 1, 11),
        (slot(5, 3), 2, 1),
        (slot(6, 0), 3, 99),
    ] {
        fetch.want(wanted, author(source), Time(at));
    }
    assert_eq!((fetch.len(), fetch.next_due()), (4, Some(Time(10))), "the first wish stays");
    let requests = fetch.requests(Time(20), PAUSE_US, author(0), 4, |_| false);
    let expected =
        BTreeMap::from([(author(1), vec![slot(5, 3)]), (author(3), vec![slot(5, 1), slot(5, 2)])]);
    assert_eq!(requests, expected);
}

#[test]
fn what_arrived_or_sank_below_the_floor_is_wanted_no_more() {
    let mut fetch = Fetch::default();
    for round in 1..=4 {
        fetch.want(slot(round, 1), author(2), Time(round));
    }
    fetch.arrived(slot(3, 1));
    fetch.arrived(slot(9, 1));
    fetch.raise_floor(Round(2));
    assert_eq!((fetch.len(), fetch.next_due()), (1, Some(Time(4))));
    fetch.raise_floor(Round(4));
    assert_eq!((fetch.len(), fetch.next_due(), fetch.due.len()), (0, None, 0));
}
