use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use qcn_crypto::{ChainId, Digest, Scheme, SigningKey};
use qcn_node::view::NodeStatus;
use qcn_types::{Committee, CommitteeKeys, Epoch, Member, ShardId, ValidatorIndex, Weight};

use super::*;

const DIVERGED: &str = "checkpoint 7 gave ab here, but a quorum attests cd: restore this node";

fn failed() -> Stopped {
    Stopped { reason: "the block log failed: data/log: cannot write".to_owned(), for_good: false }
}

fn diverged() -> Stopped {
    Stopped { reason: DIVERGED.to_owned(), for_good: true }
}

fn view() -> View {
    let key = SigningKey::from_seed(Scheme::Falcon512, &[1; 32]).unwrap();
    let member = Member { name: "v0".to_owned(), key: key.public_key().clone(), weight: Weight(1) };
    let committee = Arc::new(Committee::new(ShardId(0), Epoch(0), vec![member]).unwrap());
    let keys = CommitteeKeys::decode(ChainId(Digest([7; 32])), committee).unwrap();
    View::new(keys, ValidatorIndex(0)).0
}

#[test]
fn only_what_another_start_may_cure_has_the_code_for_that() {
    for (stopped, code) in [(failed(), EXIT_FAILED), (diverged(), EXIT_FOR_GOOD)] {
        assert_eq!(format!("{:?}", stopped.exit_code()), format!("{:?}", ExitCode::from(code)));
    }
}

/// Given a node whose disk is full, which goes on by itself.
/// When it then diverges,
/// then that is noticed, and the full disk was not.
#[test]
fn a_full_disk_is_waited_for_and_a_divergence_is_not() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let _entered = runtime.enter();
    let view = view();
    let full = NodeStatus { waiting_for: Some("the disk is full".into()), ..NodeStatus::default() };
    view.set_status(full.clone());
    let mut watching = pin!(watch(|| vec![view.clone()], Defects::default()));
    let mut context = Context::from_waker(Waker::noop());
    assert!(matches!(watching.as_mut().poll(&mut context), Poll::Pending));
    let stopped = Some(DIVERGED.to_owned());
    view.set_status(NodeStatus { stopped, stopped_for_good: true, ..full });
    let seen = runtime.block_on(watching);
    assert_eq!((seen.reason.as_str(), seen.for_good), (DIVERGED, true));
}

/// A part of the node that is of no shard ends the process as well, which may be started again.
#[test]
fn a_defect_in_any_part_is_noticed() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let defects = Defects::default();
    defects.run("the router", || panic!("no such lane"));
    let seen = runtime.block_on(watch(Vec::new, defects));
    assert!(seen.reason.contains("the router (no such lane)") && !seen.for_good, "{}", seen.reason);
}

#[test]
fn what_must_not_start_again_leaves_a_mark_that_an_empty_folder_lacks() {
    let folder = std::env::temp_dir().join(format!("qcn-stopped-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    failed().note(&folder);
    assert_eq!(refusal(&folder), None);
    diverged().note(&folder);
    let said = refusal(&folder).unwrap();
    assert!(said.contains(DIVERGED) && said.contains("start it with an empty one"), "{said}");
    std::fs::remove_dir_all(&folder).unwrap();
    assert_eq!(refusal(&folder), None);
}
