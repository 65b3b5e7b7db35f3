//! The archive is told a real history, and asked for it.

use std::collections::BTreeMap;
use std::process::{Command, Stdio};

use qcn_ledger::{Outcome, Refusal};
use qcn_light::verify_certificate;
use qcn_types::{
    Address, BlockRef, Bounded, Checkpoint, Evidence, Slot, TransactionId, ValidatorIndex,
    VerifiedBlock,
};

use super::*;
use crate::testing::{
    CERTIFICATE_EVERY, HISTORY, Happened, TestFolder, bare_body, equivocation, sign_block,
};

fn open(folder: &TestFolder) -> Archive {
    Archive::open(folder.path(), Retention::ALL).unwrap()
}

fn told(folder: &TestFolder) -> Archive {
    let archive = open(folder);
    HISTORY.tell(&archive);
    archive
}

/// Everything that can be listed, to compare two archives.
fn contents(archive: &Archive) -> String {
    let rounds = Round(0)..=archive.highest_round();
    format!(
        "{:?} {:?} {:?} {:?} {:?}",
        archive.checkpoints(Height(u64::MAX), usize::MAX).unwrap(),
        archive.blocks(rounds.clone(), usize::MAX).unwrap(),
        archive.decisions(rounds, usize::MAX).unwrap(),
        archive.transactions(Position::END, usize::MAX).unwrap(),
        archive.evidence(None, usize::MAX).unwrap(),
    )
}

#[test]
fn a_history_is_found_again() {
    let folder = TestFolder::new();
    let archive = told(&folder);
    let executed: Vec<&Executed> = HISTORY.executed().collect();
    assert!(executed.len() > 10, "{}", executed.len());
    assert_eq!(archive.last_height(), executed[executed.len() - 1].header.height);
    for one in &executed {
        let height = one.header.height;
        let record = archive.checkpoint(height).unwrap().unwrap();
        assert_eq!((record.header, &record.leaders), (one.header, &one.leaders));
        assert_eq!(archive.outcomes(height).unwrap(), one.outcomes);
        assert_eq!(archive.height_of(&one.header.digest()).unwrap(), Some(height));
        for block in &one.blocks {
            let found = archive.block(&block.reference().digest).unwrap().unwrap();
            let placement = found.placement.unwrap();
            assert_eq!(placement.height, height);
            assert_eq!(placement.leader, one.leaders.contains(&block.reference()));
            assert_eq!(found.summary.parents, block.body.parents);
            let contents = archive.block_body(&block.reference().digest).unwrap().unwrap();
            assert_eq!(contents, qcn_types::CompactBlock::in_full(block));
            assert_eq!(found.summary.bytes as usize, qcn_types::encode(&contents).len());
        }
    }
}

#[test]
fn a_transaction_that_was_executed_twice_is_told_once() {
    let folder = TestFolder::new();
    let archive = told(&folder);
    let id = HISTORY.transfers[1].body.id();
    let all: Vec<Outcome> = HISTORY
        .executed()
        .flat_map(|one| one.outcomes.iter().filter(|(other, _)| *other == id))
        .map(|(_, outcome)| *outcome)
        .collect();
    assert_eq!(all.len(), 2, "the test needs a transaction that two blocks carry: {all:?}");
    assert!(matches!(all[1], Outcome::Skipped(Refusal::NonceTooLow { .. })));
    assert_eq!(archive.transaction(id).unwrap().unwrap().outcome, Outcome::Applied);
    let listed = archive.transactions(Position::END, 100).unwrap();
    assert_eq!(listed.len(), HISTORY.transfers.len());
    assert!(listed.is_sorted_by_key(|record| std::cmp::Reverse(record.at())));
}

#[test]
fn lists_go_on_where_they_ended() {
    let folder = TestFolder::new();
    let archive = told(&folder);
    let whole = archive.transactions(Position::END, 100).unwrap();
    let mut pieces = Vec::new();
    let mut before = Position::END;
    while let Some(record) = archive.transactions(before, 1).unwrap().pop() {
        before = record.at();
        pieces.push(record);
    }
    assert_eq!(pieces, whole);

    let checkpoints = archive.checkpoints(Height(5), 3).unwrap();
    assert_eq!(checkpoints.iter().map(|one| one.header.height.0).collect::<Vec<_>>(), [4, 3, 2]);
}

#[test]
fn accounts_list_what_they_sent_and_received() {
    let folder = TestFolder::new();
    let archive = told(&folder);
    let [first, second] = HISTORY.accounts.each_ref().map(|key| Address::of(key.public_key()));
    let of = |address| archive.account_transactions(address, Position::END, 100).unwrap();
    // The transfer that failed is its sender's only.
    assert_eq!(of(first).len(), 2);
    assert_eq!(of(second).len(), 4);
    assert_eq!(of(Address(Digest([5; 32]))).len(), 1);
    assert_eq!(of(Address(Digest([6; 32]))), []);
}

#[test]
fn adding_again_changes_nothing_and_reopening_loses_nothing() {
    let folder = TestFolder::new();
    let archive = told(&folder);
    let before = contents(&archive);
    HISTORY.tell(&archive);
    assert_eq!(contents(&archive), before);
    let (height, certified) = (archive.last_height(), archive.certified_height());
    drop(archive);
    let archive = open(&folder);
    assert_eq!(contents(&archive), before);
    assert_eq!((archive.last_height(), archive.certified_height()), (height, certified));
    assert!(certified > Height(0));
}

#[test]
fn a_folder_is_opened_once() {
    let folder = TestFolder::new();
    let _archive = open(&folder);
    assert!(matches!(
        Archive::open(folder.path(), Retention::ALL),
        Err(ArchiveError::Database(fjall::Error::Locked))
    ));
}

#[test]
fn every_certified_checkpoint_is_proven_through_its_descendants() {
    let folder = TestFolder::new();
    let archive = told(&folder);
    let mut lengths = std::collections::BTreeSet::new();
    for height in 1..=archive.certified_height().0 {
        let (certificate, ancestors) = archive.certified_chain(Height(height)).unwrap().unwrap();
        verify_certificate(&certificate, &HISTORY.keys).unwrap();
        let proven = ancestors.last().unwrap_or(&certificate.checkpoint);
        assert_eq!(proven.height.0, height);
        lengths.insert(ancestors.len() as u64);
    }
    assert_eq!(lengths, (0..CERTIFICATE_EVERY).collect());
    assert!(archive.certified_chain(archive.certified_height().next()).unwrap().is_none());
}

#[test]
fn a_gap_in_the_heights_breaks_only_what_leads_through_it() {
    let folder = TestFolder::new();
    let archive = open(&folder);
    for happened in &HISTORY.happened {
        match happened {
            Happened::Executed(one) if one.header.height != Height(5) => {
                archive.add_checkpoint(one).unwrap();
            }
            Happened::Certified(certificate) => archive.add_certificate(certificate).unwrap(),
            _ => {}
        }
    }
    assert!(archive.certified_chain(Height(4)).unwrap().is_none());
    assert!(archive.certified_chain(Height(6)).unwrap().is_some());
    assert!(archive.checkpoint(Height(5)).unwrap().is_none());
}

#[test]
fn blocks_and_outcomes_of_two_executions_are_refused() {
    let folder = TestFolder::new();
    let archive = open(&folder);
    let mut mixed = HISTORY.executed().find(|one| !one.outcomes.is_empty()).unwrap().clone();
    mixed.outcomes.pop();
    let refused = archive.add_checkpoint(&mixed);
    assert!(matches!(refused, Err(ArchiveError::OutcomesDoNotFit { .. })), "{refused:?}");
    assert_eq!(contents(&archive), contents(&open(&TestFolder::new())));
}

#[test]
fn digests_are_found_by_their_beginning() {
    let folder = TestFolder::new();
    let archive = told(&folder);
    let one = HISTORY.executed().nth(3).unwrap();
    let digest = one.header.digest();
    let found = archive.search(&digest.0[..4], 10).unwrap();
    assert!(found.contains(&Found::Checkpoint(one.header.height, digest)), "{found:?}");
    let block = one.blocks[0].reference();
    assert!(archive.search(&block.digest.0[..4], 10).unwrap().contains(&Found::Block(block)));
    let id = HISTORY.transfers[0].body.id();
    assert!(archive.search(&id.0.0[..4], 10).unwrap().contains(&Found::Transaction(id)));
    let address = Address::of(HISTORY.accounts[1].public_key());
    let found = archive.search(&address.0.0[..4], 10).unwrap();
    assert_eq!(found, [Found::Account(address)], "an address is told once");
    assert_eq!(archive.search(&[0xab; 32], 10).unwrap(), []);
}

/// A block out of nothing that carries evidence, and the evidence.
fn accusing_block() -> (VerifiedBlock, Evidence) {
    let evidence = equivocation(3);
    let mut carrier = bare_body(1, 3);
    carrier.payload.evidence = Bounded::truncated(vec![evidence.clone()]);
    let carrier = HISTORY.keys.verify_block(sign_block(1, carrier)).unwrap();
    (carrier, evidence)
}

#[test]
fn evidence_is_kept_once_and_gets_its_height_when_it_is_committed() {
    let folder = TestFolder::new();
    let archive = open(&folder);
    let (carrier, evidence) = accusing_block();
    archive.add_evidence(&evidence).unwrap();
    archive.add_evidence(&evidence).unwrap();
    let heights = |archive: &Archive| {
        let records = archive.evidence(None, usize::MAX).unwrap();
        records.iter().map(|record| record.height).collect::<Vec<_>>()
    };
    assert_eq!(heights(&archive), [None]);
    let executed = Executed {
        header: Checkpoint { height: Height(4), ..Checkpoint::default() },
        leaders: vec![carrier.reference()],
        blocks: vec![carrier],
        outcomes: Vec::new(),
        received: Vec::new(),
        evidence: vec![evidence.clone()],
    };
    archive.add_checkpoint(&executed).unwrap();
    archive.add_evidence(&evidence).unwrap();
    assert_eq!(heights(&archive), [Some(Height(4))]);
    assert!(archive.evidence_of(&evidence.digest()).unwrap().is_some());
}

#[test]
fn pruning_keeps_what_the_policy_says_and_all_that_belongs_to_it() {
    const KEPT: u64 = 6;
    let folder = TestFolder::new();
    let policy = Retention { keep_checkpoints: KEPT };
    let archive = Archive::open(folder.path(), policy).unwrap();
    HISTORY.tell(&archive);
    while archive.prune().unwrap() {}
    let last = archive.last_height();
    let kept = archive.checkpoints(Height(u64::MAX), usize::MAX).unwrap();
    assert_eq!(kept.len() as u64, KEPT);
    assert_eq!(kept.last().unwrap().header.height.0, last.0 - KEPT + 1);
    for record in &kept {
        for block in &record.blocks {
            assert!(archive.block(&block.digest).unwrap().is_some());
            assert!(archive.block_body(&block.digest).unwrap().is_some());
        }
    }
    for one in HISTORY.executed().filter(|one| one.header.height.0 <= last.0 - KEPT) {
        assert!(archive.checkpoint(one.header.height).unwrap().is_none());
        assert_eq!(archive.height_of(&one.header.digest()).unwrap(), None);
        assert!(archive.outcomes(one.header.height).unwrap().is_empty());
        for block in &one.blocks {
            assert!(archive.block(&block.reference().digest).unwrap().is_none());
            assert!(archive.block_body(&block.reference().digest).unwrap().is_none());
        }
        for (id, _) in &one.outcomes {
            let later = archive.transaction(*id).unwrap();
            assert!(later.is_none_or(|record| record.height > one.header.height));
        }
    }
    // Nothing is left to do, also after opening again.
    drop(archive);
    let archive = Archive::open(folder.path(), policy).unwrap();
    assert!(!archive.prune().unwrap());
    assert_eq!(archive.checkpoints(Height(u64::MAX), usize::MAX).unwrap(), kept);
}

#[test]
fn nothing_is_pruned_while_there_is_less_than_the_policy_keeps() {
    let folder = TestFolder::new();
    let archive = told(&folder);
    let before = contents(&archive);
    assert!(!archive.prune().unwrap());
    assert_eq!(contents(&archive), before);
}

/// A checkpoint without blocks.
fn empty(header: Checkpoint) -> Executed {
    Executed {
        header,
        leaders: vec![],
        blocks: vec![],
        outcomes: vec![],
        received: vec![],
        evidence: vec![],
    }
}

#[test]
fn blocks_that_nobody_commits_go_with_the_rounds_around_them() {
    let folder = TestFolder::new();
    let archive = Archive::open(folder.path(), Retention { keep_checkpoints: 1 }).unwrap();
    let (orphan, _) = accusing_block();
    archive.add_block(&orphan).unwrap();
    archive.add_decision(Slot { round: Round(9), author: ValidatorIndex(2) }, true).unwrap();
    for height in 1..=3 {
        let leader = BlockRef { round: Round(1_000 * height), ..BlockRef::default() };
        let header = Checkpoint { height: Height(height), leader, ..Checkpoint::default() };
        archive.add_checkpoint(&empty(header)).unwrap();
    }
    while archive.prune().unwrap() {}
    assert!(archive.block(&orphan.reference().digest).unwrap().is_none());
    assert!(archive.block_body(&orphan.reference().digest).unwrap().is_none());
    let left = archive.decisions(Round(0)..=Round(100), 10).unwrap();
    assert_eq!(left, []);
}

/// The one segment of an archive that is small.
fn segment(folder: &TestFolder) -> PathBuf {
    folder.path().join("bodies").join("00000001.seg")
}

/// Given an archive of which a power cut took the end of the newest bodies.
/// When it is opened and told everything again.
/// Then what is gone reads as not kept until then, and nothing is missing afterwards.
#[test]
fn bodies_that_a_power_cut_took_come_back_when_they_are_told_again() {
    let folder = TestFolder::new();
    let archive = told(&folder);
    let before = contents(&archive);
    drop(archive);
    let bytes = std::fs::metadata(segment(&folder)).unwrap().len();
    let file = std::fs::OpenOptions::new().write(true).open(segment(&folder)).unwrap();
    file.set_len(bytes / 2).unwrap();
    let archive = open(&folder);
    let blocks: Vec<&VerifiedBlock> = HISTORY.executed().flat_map(|one| &one.blocks).collect();
    let kept = |archive: &Archive| {
        let body = |block: &&VerifiedBlock| archive.block_body(&block.reference().digest).unwrap();
        blocks.iter().filter_map(body).count()
    };
    let all = blocks.len();
    assert!((1..all).contains(&kept(&archive)), "{}", kept(&archive));
    assert!(archive.transactions(Position::END, 100).unwrap().len() < HISTORY.transfers.len());
    HISTORY.tell(&archive);
    assert_eq!(kept(&archive), all);
    assert_eq!(contents(&archive), before);
}

/// Given a process that ended before any run was in a file, after which a power cut took bodies.
/// When the archive is opened.
/// Then the checkpoints that lack them are forgotten, and come back when they are told again.
#[test]
fn checkpoints_that_cannot_be_listed_again_are_forgotten() {
    let (folder, copy) = (TestFolder::new(), TestFolder::new());
    let archive = told(&folder);
    let before = contents(&archive);
    copy_folder(folder.path(), copy.path());
    assert_eq!(contents(&open(&copy)), before, "marked heights are listed again");
    std::fs::remove_dir_all(copy.path()).unwrap();
    copy_folder(folder.path(), copy.path());
    std::fs::remove_file(segment(&copy)).unwrap();
    let lacking = open(&copy);
    assert_eq!(lacking.transactions(Position::END, 100).unwrap(), []);
    HISTORY.tell(&lacking);
    assert_eq!(contents(&lacking), before);
}

/// What another process would find if this one ended now.
fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let (path, name) = entry.map(|entry| (entry.path(), entry.file_name())).unwrap();
        if path.is_dir() {
            copy_folder(&path, &to.join(name));
        } else {
            std::fs::copy(&path, to.join(name)).unwrap();
        }
    }
}

#[test]
fn pruning_removes_segments_and_runs_as_a_whole() {
    let folder = TestFolder::new();
    let archive = Archive::open(folder.path(), Retention { keep_checkpoints: 2 }).unwrap();
    archive.inner().unwrap().lock().bodies.segment_bytes = 1;
    let files = |of: &str| std::fs::read_dir(folder.path().join(of)).unwrap().count();
    HISTORY.tell(&archive);
    archive.sync().unwrap();
    let segments = files("bodies");
    assert!(segments > 10, "{segments}");
    assert_eq!(files("runs"), 1);
    // Far above the history, so that none of its rounds belongs to what is kept.
    for height in 1..=3 {
        let leader = BlockRef { round: Round(100_000 * height), ..BlockRef::default() };
        let height = Height(archive.last_height().0 + 1);
        let header = Checkpoint { height, leader, ..Checkpoint::default() };
        archive.add_checkpoint(&empty(header)).unwrap();
    }
    while archive.prune().unwrap() {}
    assert_eq!(files("bodies"), 1, "the last segment is written to");
    assert_eq!(files("runs"), 0);
    assert_eq!(archive.transactions(Position::END, 100).unwrap(), []);
    drop(archive);
    assert!(open(&folder).inner().unwrap().index.prefix([keys::SEGMENT]).next().is_none());
}

#[test]
fn the_archive_of_another_version_is_refused() {
    let folder = TestFolder::new();
    std::fs::create_dir_all(folder.path().join("keyspaces")).unwrap();
    let refused = Archive::open(folder.path(), Retention::ALL);
    assert!(matches!(refused, Err(ArchiveError::OtherLayout(_))), "{refused:?}");
    assert!(refused.unwrap_err().to_string().contains("remove the archive folder"));
}

/// A checkpoint and all under it, or nothing of it.
fn assert_whole(archive: &Archive) {
    let mut transactions: BTreeMap<TransactionId, Height> = BTreeMap::new();
    for record in archive.checkpoints(Height(u64::MAX), usize::MAX).unwrap() {
        let height = record.header.height;
        let outcomes = archive.outcomes(height).unwrap();
        assert_eq!(outcomes.len() as u32, record.transactions);
        transactions.extend(outcomes.iter().map(|(id, _)| (*id, height)));
        assert_eq!(archive.height_of(&record.header.digest()).unwrap(), Some(height));
        for block in &record.blocks {
            assert!(archive.block(&block.digest).unwrap().unwrap().placement.is_some());
            assert!(archive.block_body(&block.digest).unwrap().is_some());
        }
    }
    for id in transactions.keys() {
        let record = archive.transaction(*id).unwrap().unwrap();
        let of = archive.account_transactions(record.sender, Position::END, 1_000).unwrap();
        assert!(of.contains(&record));
    }
    for id in HISTORY.transfers.iter().map(|transfer| transfer.body.id()) {
        assert!(transactions.contains_key(&id) || archive.transaction(id).unwrap().is_none());
    }
}

const KILLED_FOLDER: &str = "QCN_TEST_KILLED_ARCHIVE";

/// What the test below does in a process of its own, until that is killed.
fn write_until_killed(folder: &Path) -> ! {
    let archive = Archive::open(folder, Retention::ALL).unwrap();
    assert!(HISTORY.executed().count() > 0);
    println!("ready");
    // The history again and again, each time a thousand heights further up.
    for shift in 0.. {
        for one in HISTORY.executed() {
            let mut one = one.clone();
            one.header.height.0 += 1_000 * shift;
            archive.add_checkpoint(&one).unwrap();
        }
    }
    unreachable!("there is always a next height")
}

/// Given a process that writes checkpoints as fast as it can.
/// When it is killed at some moment, several times.
/// Then every checkpoint in its archive is whole.
#[test]
fn a_kill_leaves_whole_checkpoints() {
    use std::io::{BufRead, BufReader};
    if let Some(folder) = std::env::var_os(KILLED_FOLDER) {
        write_until_killed(Path::new(&folder));
    }
    let mut seen = 0;
    for millis in [3, 11, 29, 80] {
        let folder = TestFolder::new();
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "archive::tests::a_kill_leaves_whole_checkpoints", "--nocapture"])
            .env(KILLED_FOLDER, folder.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut ready = lines.map_while(Result::ok).filter(|line| line.contains("ready"));
        assert!(ready.next().is_some(), "the process must start to write");
        std::thread::park_timeout(std::time::Duration::from_millis(millis));
        child.kill().unwrap();
        child.wait().unwrap();
        let archive = open(&folder);
        assert_whole(&archive);
        seen += archive.checkpoints(Height(u64::MAX), usize::MAX).unwrap().len();
    }
    assert!(seen > 0, "some checkpoint must have been written before a kill");
}

/// What was pruned from the log cannot be told again.
#[test]
fn nobody_is_told_that_a_removed_history_comes_back() {
    for error in [ArchiveError::Corrupt("a block"), ArchiveError::Database(fjall::Error::Locked)] {
        let told = error.to_string();
        assert!(!told.contains("rebuilt") && told.contains("since the newest snapshot"), "{told}");
    }
}

/// What only lacks room is not damaged: nobody throws it away for that.
#[test]
fn want_of_room_is_told_from_damage() {
    let io = |kind| std::io::Error::from(kind);
    for (error, expected) in [
        (ArchiveError::NoRoom { available: 1 }, true),
        (ArchiveError::Files(io(ErrorKind::StorageFull)), true),
        (ArchiveError::Database(fjall::Error::Io(io(ErrorKind::QuotaExceeded))), true),
        (ArchiveError::Files(io(ErrorKind::PermissionDenied)), false),
        (ArchiveError::Corrupt("a block"), false),
    ] {
        assert_eq!(error.is_for_want_of_room(), expected, "{error:?}");
    }
}

mod epochs;
