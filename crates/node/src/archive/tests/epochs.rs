//! One archive over two epochs, in which the same authors have blocks in the same rounds.

use super::*;
use crate::testing::{History, LATER};

/// Tells both, and gives a handle of each epoch.
fn both(folder: &TestFolder, policy: Retention) -> [Archive; 2] {
    let first = Archive::open(folder.path(), policy).unwrap();
    HISTORY.tell(&first);
    LATER.tell(&first);
    let second = first.at_epoch(Epoch(1));
    [first, second]
}

fn assert_all_is_there(archive: &Archive, history: &History) {
    for one in history.executed() {
        let height = one.header.height;
        assert_eq!(archive.checkpoint(height).unwrap().unwrap().header, one.header);
        assert_eq!(archive.height_of(&one.header.digest()).unwrap(), Some(height));
        for block in &one.blocks {
            let found = archive.block(&block.reference().digest).unwrap().unwrap();
            assert_eq!(found.placement.unwrap().height, height);
            assert_eq!(found.summary.epoch, one.header.epoch);
            assert!(archive.block_body(&block.reference().digest).unwrap().is_some());
        }
    }
    for transfer in &history.transfers {
        assert!(archive.transaction(transfer.body.id()).unwrap().is_some());
    }
}

/// What a handle reads by rounds: the digests of blocks, and the decided slots.
fn by_rounds(archive: &Archive) -> (Vec<Digest>, Vec<(Slot, bool)>) {
    let rounds = Round(0)..=archive.highest_round();
    let blocks = archive.blocks(rounds.clone(), usize::MAX).unwrap();
    let blocks = blocks.iter().map(|block| block.summary.reference.digest).collect();
    (blocks, archive.decisions(rounds, usize::MAX).unwrap())
}

/// Given two epochs with blocks of the same authors in the same rounds.
/// When one archive is told both, and opened again.
/// Then whichever handle is asked, both are found by height, digest and transaction.
#[test]
fn both_epochs_are_found_by_height_digest_and_transaction() {
    let folder = TestFolder::new();
    let [first, second] = both(&folder, Retention::ALL);
    let listed = first.transactions(Position::END, 100).unwrap();
    assert_eq!(listed.len(), HISTORY.transfers.len() + LATER.transfers.len());
    let heights = first.checkpoints(Height(u64::MAX), usize::MAX).unwrap();
    assert!(heights.is_sorted_by_key(|one| std::cmp::Reverse(one.header.height)));
    let shown = by_rounds(&second);
    drop((first, second));

    let archive = open(&folder);
    for handle in [archive.clone(), archive.at_epoch(Epoch(1))] {
        assert_all_is_there(&handle, &HISTORY);
        assert_all_is_there(&handle, &LATER);
        assert_eq!(handle.transactions(Position::END, 100).unwrap(), listed);
    }
    assert_eq!(by_rounds(&archive.at_epoch(Epoch(1))), shown);
}

#[test]
fn a_handle_reads_the_rounds_of_its_epoch() {
    let (folder, alone) = (TestFolder::new(), TestFolder::new());
    let [first, second] = both(&folder, Retention::ALL);
    let alone = told(&alone);
    assert_eq!(by_rounds(&first), by_rounds(&alone), "nothing of the second shows in the first");
    assert_eq!(first.highest_round(), alone.highest_round());
    let later = LATER.happened.iter().filter_map(|happened| match happened {
        Happened::Block(block) => Some(block.reference()),
        _ => None,
    });
    let later: Vec<BlockRef> = later.collect();
    assert_eq!(second.highest_round(), later.iter().map(|block| block.round).max().unwrap());
    let (blocks, decisions) = by_rounds(&second);
    assert_eq!(blocks.len(), later.len());
    assert!(later.iter().all(|block| blocks.contains(&block.digest)));
    let both_have = by_rounds(&first).1.iter().filter(|one| decisions.contains(one)).count();
    assert!(both_have > 0, "the test needs slots of both epochs that are the same");
    assert_eq!(first.at_epoch(Epoch(7)).highest_round(), Round(0));
    assert_eq!(by_rounds(&first.at_epoch(Epoch(7))), (vec![], vec![]));
}

/// Given two epochs, and the last certificate of the first one somewhere below its end.
/// When the checkpoints are proven.
/// Then each is by a certificate of its own epoch, or by none.
#[test]
fn a_certificate_proves_nothing_of_another_epoch() {
    let folder = TestFolder::new();
    let [archive, _] = both(&folder, Retention::ALL);
    let (last, _) = HISTORY.certified();
    let mut unproven = 0;
    for history in [&*HISTORY, &LATER] {
        let committee = history.keys.committee();
        assert_eq!(archive.committee(committee.epoch()).unwrap().as_ref(), Some(&**committee));
        for one in history.executed() {
            let Some((certificate, ancestors)) =
                archive.certified_chain(one.header.height).unwrap()
            else {
                unproven += 1;
                continue;
            };
            assert_eq!(certificate.checkpoint.epoch, committee.epoch());
            verify_certificate(&certificate, &history.keys).unwrap();
            assert_eq!(ancestors.last().unwrap_or(&certificate.checkpoint), &one.header);
        }
    }
    let after_last =
        HISTORY.executed().filter(|one| one.header.height > last.checkpoint.height).count();
    assert!(unproven >= after_last);
    // What the epoch opened with is nobody's certified checkpoint.
    let opening = LATER.opening.unwrap();
    assert_eq!(LATER.executed().next().unwrap().header.parent, opening.digest());
    assert!(archive.certified_chain(opening.height).unwrap().is_none());
}

/// The opening itself cannot be kept by anyone, but even then it would prove nothing before it.
#[test]
fn an_epoch_is_not_led_into_by_digests() {
    let folder = TestFolder::new();
    let [archive, _] = both(&folder, Retention::ALL);
    let opening = LATER.opening.unwrap();
    let last = archive.checkpoints(opening.height, 1).unwrap().remove(0).header;
    let forged = Checkpoint { parent: last.digest(), height: last.height.next(), ..opening };
    let (mut certificate, _) = LATER.certified();
    certificate.checkpoint = forged;
    archive.add_certificate(&certificate).unwrap();
    assert!(archive.certified_chain(last.height).unwrap().is_none());
}

#[test]
fn pruning_removes_an_epoch_wholly() {
    const KEPT: u64 = 5;
    let folder = TestFolder::new();
    let policy = Retention { keep_checkpoints: KEPT };
    let [first, second] = both(&folder, policy);
    // Nobody committed it, and it is far above the rounds of the epoch after it.
    first.add_decision(Slot { round: Round(1 << 40), author: ValidatorIndex(2) }, true).unwrap();
    while first.prune().unwrap() {}
    assert_eq!(by_rounds(&first), (vec![], vec![]));
    assert_eq!(first.decisions(Round(0)..=Round(1 << 41), 10).unwrap(), []);
    assert_eq!(first.highest_round(), Round(0));
    assert!(first.committee(Epoch(0)).unwrap().is_none());
    assert!(first.committee(Epoch(1)).unwrap().is_some());
    for happened in &HISTORY.happened {
        match happened {
            Happened::Block(block) => {
                assert!(first.block(&block.reference().digest).unwrap().is_none());
                assert!(first.block_body(&block.reference().digest).unwrap().is_none());
            }
            Happened::Executed(one) => {
                assert!(first.checkpoint(one.header.height).unwrap().is_none());
                assert!(first.outcomes(one.header.height).unwrap().is_empty());
                for (id, _) in &one.outcomes {
                    assert!(first.transaction(*id).unwrap().is_none());
                }
            }
            _ => {}
        }
    }
    let kept = second.checkpoints(Height(u64::MAX), usize::MAX).unwrap();
    assert_eq!(kept.len() as u64, KEPT);
    for block in kept.iter().flat_map(|record| &record.blocks) {
        assert!(second.block_body(&block.digest).unwrap().is_some());
    }
    assert!(second.highest_round() > Round(0));
    drop((first, second));
    let archive = Archive::open(folder.path(), policy).unwrap();
    assert!(!archive.prune().unwrap());
    assert_eq!(archive.checkpoints(Height(u64::MAX), usize::MAX).unwrap(), kept);
}
