//! State sync from peers, honest and not.

use qcn_crypto::{ChainId, Digest, SeededRandomness};
use qcn_light::state::StateEntry;
use qcn_types::{Address, Amount, Bounded, decode, encode};

use super::{ChunkError, Known, Restore, RestoreError};
use crate::chunks::StateChunk;
use crate::ledger::{AuditError, Ledger};
use crate::testing::{CHAIN, address, large_ledger, large_ledger_with_payer, ledger, transfer};
use crate::tree::StateTree;

fn chunks(ledger: &Ledger) -> Vec<StateChunk> {
    ledger.chunks().collect()
}

fn shuffled(mut chunks: Vec<StateChunk>, seed: u64) -> Vec<StateChunk> {
    let mut randomness = SeededRandomness::from_u64(seed, "shuffle");
    for last in (1..chunks.len()).rev() {
        chunks.swap(last, randomness.below(last as u64 + 1) as usize);
    }
    chunks
}

/// A ledger that has executed something, so that fees and nonces are in its state.
fn used_ledger() -> Ledger {
    let mut ledger = ledger(&[100_000, 50]);
    let commit: Vec<_> =
        (0..200).map(|nonce| transfer(0, nonce, address(nonce as u8), 7)).collect();
    ledger.execute(&commit);
    ledger
}

/// A restored ledger is the original, in whatever order its chunks came, and goes on alike.
#[test]
fn a_restored_ledger_is_the_original() {
    for (seed, mut original) in [large_ledger(5_000), used_ledger()].into_iter().enumerate() {
        let mut restore = Restore::new(
            CHAIN,
            crate::Territory::whole(qcn_types::ShardId(0)),
            original.state_root(),
        );
        for chunk in shuffled(chunks(&original), seed as u64) {
            assert!(!restore.is_complete());
            assert_eq!(restore.accept(&chunk), Ok(()));
        }
        assert!(restore.is_complete() && restore.missing().is_empty());
        let mut restored = restore.finish().expect("all chunks have come");
        assert_eq!(restored.state_root(), original.state_root());
        assert_eq!(restored.supply(), original.supply());
        assert_eq!(restored.audit(), Ok(original.supply()));
        let commit = [transfer(0, 200, address(77), 9), transfer(0, 200, address(77), 9)];
        assert_eq!(restored.execute(&commit), original.execute(&commit));
        assert_eq!(restored.state_root(), original.state_root());
    }
}

/// Asking only for what is missing, from the root alone, brings the whole state.
#[test]
fn what_is_missing_is_known_from_the_root_alone() {
    let original = large_ledger(5_000);
    let mut restore =
        Restore::new(CHAIN, crate::Territory::whole(qcn_types::ShardId(0)), original.state_root());
    let mut asked = 0;
    while let Some(region) = restore.missing().last().copied() {
        let chunk = original.chunk_in(&region).expect("there are records in what is missing");
        assert_eq!(restore.accept(&chunk), Ok(()));
        asked += 1;
    }
    assert_eq!(asked, original.chunk_count());
    assert_eq!(restore.finish().map(|ledger| ledger.supply()), Ok(original.supply()));
}

/// Without the last chunk there is no ledger; a chunk that is there already is said to be.
#[test]
fn missing_and_repeated_chunks_are_noticed() {
    let original = large_ledger(5_000);
    let chunks = chunks(&original);
    for left_out in 0..chunks.len() {
        let mut restore = Restore::new(
            CHAIN,
            crate::Territory::whole(qcn_types::ShardId(0)),
            original.state_root(),
        );
        for (index, chunk) in chunks.iter().enumerate().filter(|(index, _)| *index != left_out) {
            assert_eq!(restore.accept(chunk), Ok(()), "{index}");
            assert_eq!(restore.accept(chunk), Err(ChunkError::Duplicate), "{index}");
        }
        let region = restore.missing().first().copied().expect("one is missing");
        assert!(original.chunk_in(&region).as_ref() == Some(&chunks[left_out]));
        let incomplete = RestoreError::Incomplete { regions: 1 };
        assert_eq!(restore.finish().err(), Some(incomplete));
    }
}

/// Every bit of a chunk counts.
///
/// Given a state of a few records in one chunk, and chunks of a larger state.
/// When any bit of the first, or some of the others, is flipped,
/// then the chunk does not decode or is refused.
#[test]
fn every_flipped_bit_is_refused() {
    let small = ledger(&[100, 50, 25]);
    let large = large_ledger(1_500);
    for (original, stride) in [(&small, 1), (&large, 9_973)] {
        for chunk in chunks(original) {
            let bytes = encode(&chunk);
            for bit in (0..bytes.len() * 8).step_by(stride) {
                let mut flipped = bytes.clone();
                flipped[bit / 8] ^= 1 << (bit % 8);
                let Ok(other) = decode::<StateChunk>(&flipped) else { continue };
                let mut restore = Restore::new(
                    CHAIN,
                    crate::Territory::whole(qcn_types::ShardId(0)),
                    original.state_root(),
                );
                assert_eq!(restore.accept(&other), Err(ChunkError::WrongRoot), "bit {bit}");
            }
        }
    }
}

/// Chunks with records left out, doubled, out of order or of another state are refused at once,
/// each for itself, and do not disturb what was taken.
#[test]
fn tampered_chunks_are_refused_one_by_one() {
    let original = large_ledger(5_000);
    let chunks = chunks(&original);
    let entries = |change: &dyn Fn(&mut Vec<StateEntry>)| {
        let mut entries = chunks[1].entries.to_vec();
        change(&mut entries);
        StateChunk { entries: Bounded::truncated(entries), ..chunks[1].clone() }
    };
    let tampered = [
        entries(&|entries| drop(entries.pop())),
        entries(&|entries| drop(entries.remove(0))),
        entries(&|entries| entries.insert(1, entries[0].clone())),
        entries(&|entries| entries.swap(3, 4)),
        entries(&|entries| entries.clear()),
        entries(&|entries| entries.push(chunks[2].entries[0].clone())),
        StateChunk { steps: chunks[2].steps.clone(), ..chunks[1].clone() },
        StateChunk { steps: Bounded::default(), ..chunks[1].clone() },
        large_ledger(4_999).chunks().nth(1).expect("another state"),
    ];
    let mut restore =
        Restore::new(CHAIN, crate::Territory::whole(qcn_types::ShardId(0)), original.state_root());
    assert_eq!(restore.accept(&chunks[0]), Ok(()));
    for chunk in &tampered {
        assert_eq!(restore.accept(chunk), Err(ChunkError::WrongRoot));
    }
    for chunk in &chunks[1..] {
        assert_eq!(restore.accept(chunk), Ok(()));
    }
    assert_eq!(restore.finish().map(|ledger| ledger.state_root()), Ok(original.state_root()));
}

/// A peer that cuts the state finer than it should cannot stop the restoration.
///
/// Given a peer that serves single records with true proofs.
/// When some of them were taken before the honest chunks come,
/// then the honest chunks replace them, and the state becomes complete.
#[test]
fn pieces_that_are_too_fine_are_replaced() {
    let original = large_ledger(5_000);
    let chunks = chunks(&original);
    let mut restore =
        Restore::new(CHAIN, crate::Territory::whole(qcn_types::ShardId(0)), original.state_root());
    for entry in chunks.iter().flat_map(|chunk| chunk.entries.iter().step_by(100)) {
        let proof = original.prove(&Address(entry.key.id)).0;
        let entries = Bounded::truncated(proof.found.into_iter().collect());
        assert_eq!(restore.accept(&StateChunk { steps: proof.steps, entries }), Ok(()));
    }
    assert!(restore.missing().len() > chunks.len());
    let mut asked = 0;
    while let Some(region) = restore.missing().first().copied() {
        let chunk = original.chunk_in(&region).expect("there are records in what is missing");
        assert_eq!(restore.accept(&chunk), Ok(()));
        asked += 1;
    }
    assert_eq!(asked, chunks.len());
    assert_eq!(restore.finish().map(|ledger| ledger.state_root()), Ok(original.state_root()));
}

/// A state that no ledger makes is refused even if somebody certified its root.
#[test]
fn a_state_that_contradicts_itself_is_refused() {
    let restored = |tree: &StateTree| {
        let mut restore =
            Restore::new(CHAIN, crate::Territory::whole(qcn_types::ShardId(0)), tree.root());
        let chunk = crate::chunks::chunks(tree).next().expect("a small state");
        assert_eq!(restore.accept(&chunk), Ok(()));
        restore.finish().map(|_| ())
    };
    let account = qcn_light::Account::new(address(0), Amount(5));
    let update = (qcn_light::Account::state_key(address(0)), Some(encode(&account).into()));
    let mut tree = StateTree::default();
    tree.apply(vec![update.clone()]);
    assert_eq!(restored(&tree), Err(RestoreError::Contradiction(AuditError::NoSupply)));
    let supply = crate::Supply { balances: 4, genesis: Amount(4), ..Default::default() };
    tree.apply(vec![(crate::Supply::state_key(), Some(encode(&supply).into()))]);
    let wrong = AuditError::WrongBalances { counted: 5, recorded: 4 };
    assert_eq!(restored(&tree), Err(RestoreError::Contradiction(wrong)));
}

/// The chain is the caller's knowledge: the state is the same on every chain.
#[test]
fn nothing_is_accepted_for_a_root_that_nobody_has() {
    let original = ledger(&[5]);
    let chunk = original.chunks().next().expect("the only one");
    for root in [Digest::ZERO, Digest([1; 32])] {
        let mut restore =
            Restore::new(ChainId::default(), crate::Territory::whole(qcn_types::ShardId(0)), root);
        assert_eq!(restore.accept(&chunk), Err(ChunkError::WrongRoot));
        assert_eq!(restore.finish().err(), Some(RestoreError::Incomplete { regions: 1 }));
    }
}

/// Fetches a state that is partly known; says how many chunks that took.
fn chunks_fetched(wanted: &Ledger, known: Known) -> u32 {
    let territory = crate::Territory::whole(qcn_types::ShardId(0));
    let mut restore = Restore::with_known(CHAIN, territory, wanted.state_root(), known);
    let mut asked = 0;
    while let Some(region) = restore.missing().first().copied() {
        let chunk = wanted.chunk_in(&region).expect("there are records in what is missing");
        assert_eq!(restore.accept_in(&region, &chunk), Ok(()));
        asked += 1;
    }
    let restored = restore.finish().expect("all chunks have come");
    assert_eq!(restored.state_root(), wanted.state_root());
    assert_eq!(restored.audit(), Ok(wanted.supply()));
    asked
}

/// Of a state that has gone on only what has changed is fetched.
///
/// Given a state of many chunks, and what it is after payments to accounts old and new.
/// When the later one is fetched by somebody who has the earlier one, or nothing, or the later one,
/// then that takes a few chunks, all of them, or none; and in no case does it matter that records
/// of other states are known as well.
#[test]
fn what_is_known_is_not_fetched() {
    let before = large_ledger_with_payer(20_000);
    let mut after = before.clone();
    after.execute(
        &(0..3).map(|nonce| transfer(0, nonce, address(nonce as u8), 7)).collect::<Vec<_>>(),
    );
    let all = after.chunk_count();
    assert_eq!(chunks_fetched(&after, Known::default()), all);
    assert_eq!(chunks_fetched(&after, Known::of(&after)), 0);
    let few = chunks_fetched(&after, Known::of(&before));
    assert!(few > 0 && few < all / 2, "{few} of {all} chunks");
    let (one, other) = (Known::of(&before), Known::of(&ledger(&[9, 8, 7])));
    assert!(chunks_fetched(&after, other.clone().and(one.clone())) < all / 2);
    // The other's records take the place of those with the same keys.
    assert!(chunks_fetched(&after, one.and(other)) <= all);
    assert_eq!(chunks_fetched(&after, Known::of(&ledger(&[9, 8, 7]))), all);
}

/// What has arrived of a state that is given up counts for the next.
#[test]
fn what_was_given_up_is_known() {
    let before = large_ledger_with_payer(20_000);
    let mut after = before.clone();
    after.execute(&[transfer(0, 0, address(1), 7)]);
    let territory = crate::Territory::whole(qcn_types::ShardId(0));
    let mut restore = Restore::new(CHAIN, territory, before.state_root());
    let chunks = chunks(&before);
    let half = chunks.len() / 2;
    chunks[..half].iter().for_each(|chunk| restore.accept(chunk).unwrap());
    let fetched = chunks_fetched(&after, restore.give_up()) as usize;
    let all = after.chunk_count() as usize;
    assert!(fetched <= half + 8, "{fetched} of {all} chunks");
}

/// Known records that say something else are not taken for those of the state.
#[test]
fn known_records_of_another_state_change_nothing() {
    let (wanted, other) = (ledger(&[100, 50, 25]), ledger(&[100, 50, 24]));
    assert_eq!(chunks_fetched(&wanted, Known::of(&other)), 1);
}

/// A true chunk that nobody asked this peer for is told from one that somebody else was faster with.
#[test]
fn an_answer_belongs_to_its_question() {
    let original = large_ledger(5_000);
    let territory = crate::Territory::whole(qcn_types::ShardId(0));
    let mut restore = Restore::new(CHAIN, territory, original.state_root());
    let chunks = chunks(&original);
    restore.accept(&chunks[0]).unwrap();
    let asked = restore.missing().first().copied().unwrap();
    let last = chunks.last().unwrap();
    assert_eq!(restore.accept_in(&asked, last), Err(ChunkError::Elsewhere));
    assert_eq!(restore.accept_in(&asked, &chunks[1]), Ok(()));
    assert_eq!(restore.accept_in(&asked, &chunks[1]), Err(ChunkError::Duplicate));
}
