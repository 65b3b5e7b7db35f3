use super::*;
use crate::testing::TestFolder;

fn plan() -> DevnetPlan {
    DevnetPlan {
        weights: vec![1, 1],
        accounts: 1,
        account_scheme: Scheme::MlDsa44,
        balance: 100,
        first_port: 23_400,
        shards: None,
    }
}

/// An attempt that was interrupted just before the genesis was written is made anew.
#[test]
fn an_interrupted_layout_is_replaced() {
    let folder = TestFolder::new();
    let first = Devnet::create(folder.path(), &plan(), |_, _| {}).unwrap();
    fs::remove_file(folder.path().join(GENESIS_FILE)).unwrap();
    let second = Devnet::create(folder.path(), &plan(), |_, _| {}).unwrap();
    assert_ne!(first.genesis().chain(), second.genesis().chain());
    let opened = Devnet::open(folder.path()).unwrap().unwrap();
    assert_eq!(opened.genesis().chain(), second.genesis().chain());
}

/// A whole devnet is not laid out over.
#[test]
fn a_whole_devnet_is_kept() {
    let folder = TestFolder::new();
    Devnet::create(folder.path(), &plan(), |_, _| {}).unwrap();
    let again = Devnet::create(folder.path(), &plan(), |_, _| {});
    assert!(matches!(again, Err(DevnetError::ForeignFolder(_))), "{again:?}");
}
