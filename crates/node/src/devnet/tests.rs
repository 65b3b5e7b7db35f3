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

/// Given a devnet of which a validator runs,
/// when it is to be deleted,
/// then nothing of it is; once the validator has stopped, all is.
#[test]
fn a_devnet_that_runs_is_not_deleted() {
    let folder = TestFolder::new();
    Devnet::create(folder.path(), &plan(), |_, _| {}).unwrap();
    let runs = DataFolder::hold(&node_folder(folder.path(), 0).join("data")).unwrap();
    let refused = Devnet::delete(folder.path()).unwrap_err();
    assert!(matches!(refused, DevnetError::DataFolder(_)), "{refused}");
    assert!(Devnet::open(folder.path()).unwrap().is_some());
    drop(runs);
    Devnet::delete(folder.path()).unwrap();
    assert!(!folder.path().exists());
}

#[test]
fn a_plan_with_more_seats_than_validators_makes_no_network() {
    let shards = Some(ShardsContent { count: 2, seats: 3, epochs: None });
    let refused = DevnetPlan { weights: vec![1, 1], shards, ..plan() }.check().unwrap_err();
    assert!(refused.to_string().contains("3 seats"), "{refused}");
    DevnetPlan { weights: vec![1, 1, 1], shards, ..plan() }.check().unwrap();
}
