//! The epochs that were announced.

use qcn_types::{
    Announcement, Bounded, Certificate, Checkpoint, Epoch, EpochPlan, Resharding, ShardId,
};

use super::*;

const S0: ShardId = ShardId(0);
const S2: ShardId = ShardId(2);

/// Announces an epoch for each of these changes of the layout.
fn announce(node: &Node, changes: &[&[Resharding]]) {
    let (_, mut plan) = beacon::genesis();
    for (before, reshardings) in changes.iter().enumerate() {
        let (layout, heirs) = plan.reshard(reshardings).unwrap();
        plan = EpochPlan {
            epoch: Epoch(before as u64 + 1),
            layout,
            heirs: Bounded::truncated(heirs),
            reshardings: Bounded::truncated(reshardings.to_vec()),
            ..plan
        };
        let checkpoint = Checkpoint { time_ms: 1_000 * plan.epoch.0, ..Checkpoint::default() };
        let certificate = Certificate { checkpoint, attestations: Bounded::default() };
        assert!(node.announcements.add(&Announcement { certificate, plan: plan.clone() }));
    }
}

/// Given a network in which a shard was split, and its halves were merged again.
/// Then both are told with their epochs, their prefixes, and when they were announced; and a list
/// goes on where a page of it ends.
#[test]
fn splits_and_merges_of_all_epochs_are_listed() {
    let node = &Node::new();
    assert_eq!(node.ask("/v1/epochs"), json!({ "epochs": [], "next": null }));
    let split: &[_] = &[Resharding::Split { shard: S0, new: S2 }];
    let merge: &[_] = &[Resharding::Merge { into: S0, closed: S2 }];
    announce(node, &[&[], split, &[], merge, &[]]);

    let epoch = |epoch: u64, shards: usize, reshardings: Value| {
        json!({ "epoch": epoch, "announced_unix_ms": 1_000 * epoch, "shards": shards,
            "validators": 6, "reshardings": reshardings })
    };
    let split = epoch(2, 3, json!([{ "kind": "split", "shard": 0, "new": 2, "prefix": "0*" }]));
    let merge = epoch(4, 2, json!([{ "kind": "merge", "into": 0, "closed": 2, "prefix": "0*" }]));
    let all = [epoch(5, 2, json!([])), merge.clone(), epoch(3, 3, json!([])), split.clone()];
    let body = node.ask("/v1/epochs?limit=4");
    assert_eq!(body, json!({ "epochs": all, "next": 2 }));
    let body = node.ask("/v1/epochs?limit=4&before=2");
    assert_eq!(body, json!({ "epochs": [epoch(1, 2, json!([]))], "next": null }));

    let changed = node.ask("/v1/epochs?resharded=true");
    assert_eq!(changed, json!({ "epochs": [merge, split], "next": null }));
    let changed = node.ask("/v1/epochs?resharded=true&limit=1");
    assert_eq!((&changed["epochs"][0]["epoch"], &changed["next"]), (&json!(4), &json!(4)));
    let changed = node.ask("/v1/epochs?resharded=true&limit=1&before=4");
    assert_eq!(changed, json!({ "epochs": [split], "next": null }));
}
