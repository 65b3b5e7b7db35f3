use qcn_crypto::Digest;

use super::*;
use crate::testing::{CHAIN, HISTORY, TestFolder};

fn names(folder: &TestFolder) -> Vec<String> {
    let entries = fs::read_dir(folder.path()).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

fn set_aside_in(folder: &TestFolder) -> usize {
    names(folder).iter().filter(|name| name.starts_with("archive.set-aside-")).count()
}

/// A data folder whose history is that of the tests.
fn with_history() -> (TestFolder, std::path::PathBuf) {
    let folder = TestFolder::new();
    let archive_folder = folder.path().join("archive");
    let archive = open(&archive_folder, CHAIN, Retention::ALL).unwrap();
    HISTORY.tell(&archive);
    (folder, archive_folder)
}

#[test]
fn a_history_of_this_network_stays() {
    let (folder, archive) = with_history();
    let again = open(&archive, CHAIN, Retention::ALL).unwrap();
    assert!(again.last_height().0 > 0);
    assert_eq!(names(&folder), ["archive"]);
}

/// Given the history of one network.
/// When a node of another one finds it in its folder,
/// then it serves nothing of it, and nothing of it is lost.
#[test]
fn a_history_of_another_network_is_set_aside() {
    let (folder, archive) = with_history();
    let other = ChainId(Digest([8; 32]));
    let mine = open(&archive, other, Retention::ALL).unwrap();
    assert_eq!(mine.last_height().0, 0);
    assert_eq!(set_aside_in(&folder), 1);
}

/// A damaged history keeps no validator down.
#[test]
fn a_damaged_history_is_set_aside() {
    let (folder, archive) = with_history();
    fs::write(archive.join("layout"), "something else").unwrap();
    assert_eq!(open(&archive, CHAIN, Retention::ALL).unwrap().last_height().0, 0);
    assert_eq!(set_aside_in(&folder), 1);
    // And it stays usable.
    open(&archive, CHAIN, Retention::ALL).unwrap();
    assert_eq!(set_aside_in(&folder), 1);
}

/// A start that is killed at any moment leaves the mark of the history as it was.
///
/// Given a history, and what a process left that was killed while it marked it,
/// when it is opened again, then the mark is not written again, and the history is there.
#[test]
fn a_mark_is_written_once() {
    let (folder, archive) = with_history();
    fs::write(archive.join("network.unfinished"), "").unwrap();
    let written = || fs::metadata(archive.join(CHAIN_FILE)).unwrap().modified().unwrap();
    let before = written();
    assert!(open(&archive, CHAIN, Retention::ALL).unwrap().last_height().0 > 0);
    assert_eq!(written(), before);
    assert_eq!(names(&folder), ["archive"]);
}
