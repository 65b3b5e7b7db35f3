use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use qcn_crypto::{ChainId, Digest, Scheme, SigningKey};
use qcn_node::view::NodeStatus;
use qcn_types::{Committee, CommitteeKeys, Epoch, Member, ShardId, ValidatorIndex, Weight};

use super::*;

const DIVERGED: &str = "checkpoint 7 gave ab here, but a quorum attests cd: restore this node";

fn stopped(reason: &str) -> Stopped {
    Stopped { reason: reason.to_owned() }
}

fn view() -> View {
    let key = SigningKey::from_seed(Scheme::Falcon512, &[1; 32]).unwrap();
    let member = Member { name: "v0".to_owned(), key: key.public_key().clone(), weight: Weight(1) };
    let committee = Arc::new(Committee::new(ShardId(0), Epoch(0), vec![member]).unwrap());
    let keys = CommitteeKeys::decode(ChainId(Digest([7; 32])), committee).unwrap();
    View::new(keys, ValidatorIndex(0)).0
}

#[test]
fn only_a_failure_that_another_start_may_cure_has_the_code_for_that() {
    for (reason, may) in [
        ("the block log failed: data/log: cannot write", true),
        ("a block could not be signed: no entropy", true),
        (DIVERGED, false),
        ("something that nobody has thought of", false),
        ("", false),
    ] {
        assert_eq!(stopped(reason).may_start_again(), may, "{reason}");
    }
}

/// The reasons are the core's: it must still say what is looked for here.
#[test]
fn the_core_gives_the_reasons_that_are_known_here() {
    let core = include_str!("../../../../node/src/runtime/core.rs");
    for beginning in CURABLE {
        assert!(core.contains(&format!("format!(\"{beginning}")), "{beginning}");
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
    let mut watching = pin!(watch(&view));
    let mut context = Context::from_waker(Waker::noop());
    assert!(matches!(watching.as_mut().poll(&mut context), Poll::Pending));
    view.set_status(NodeStatus { stopped: Some(DIVERGED.to_owned()), ..full });
    assert_eq!(runtime.block_on(watching).reason, DIVERGED);
}

#[test]
fn what_must_not_start_again_leaves_a_mark_that_an_empty_folder_lacks() {
    let folder = std::env::temp_dir().join(format!("qcn-stopped-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    stopped("the block log failed: data/log: cannot write").note(&folder);
    assert_eq!(refusal(&folder), None);
    stopped(DIVERGED).note(&folder);
    let said = refusal(&folder).unwrap();
    assert!(said.contains(DIVERGED) && said.contains("start it with an empty one"), "{said}");
    std::fs::remove_dir_all(&folder).unwrap();
    assert_eq!(refusal(&folder), None);
}
