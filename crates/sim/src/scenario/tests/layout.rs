//! Networks of shards in scenario files.

use super::*;

/// A file that works, before each row of the table below spoils it.
const GOOD_LAYOUT: &str = r#"
name = "good"
[network]
count = 7
latency = "between"
between_ms = [10, 60]
[layout]
shards = 2
seats = 4
cross_percent = 50
[layout.beacon]
epoch_ms = 3000
shards_max = 4
[[layout.change]]
at_ms = 1000
validator = 7
kind = "join"
[[layout.vote]]
at_ms = 2000
split = 0
new = 9
[[layout.cut]]
shards = [0, 1]
from_ms = 1000
to_ms = 2000
[[layout.relayer]]
from = 0
to = 1
kind = "forge"
[[adversary]]
kind = "equivocator"
validators = [2]
[run]
virtual_seconds = 30
"#;

const LATENCY: &str = "latency = \"between\"\nbetween_ms = [10, 60]";

/// What a line is replaced by, and how the complaint begins.
const BAD: [(&str, &str, &str); 32] = [
    ("shards = 2", "shards = 0", "bad.toml:8:10: "),
    ("seats = 4", "seats = 8", "bad.toml:9:9: 8 seats for 7 validators"),
    ("cross_percent = 50", "cross_percent = 101", "bad.toml:10:17: 101% of transfers"),
    ("epoch_ms = 3000", "epoch_ms = 10", "bad.toml:12:12: 10 is out of range"),
    ("shards_max = 4", "shards_max = 1", "bad.toml:13:14: the network begins with 2 shards"),
    ("validator = 7", "validator = 3", "bad.toml:14:1: validator 3 is there from the beginning"),
    ("kind = \"join\"", "kind = \"weigh\"", "bad.toml:14:1: it is not said with which weight"),
    ("kind = \"join\"", "kind = \"join\"\nweight = 1", "bad.toml:18:10: only `weigh`"),
    ("kind = \"join\"", "kind = \"vanish\"", "bad.toml:17:8: unknown variant `vanish`"),
    ("new = 9", "into = 9", "bad.toml:18:1: a vote is for one split or one merge"),
    ("shards = [0, 1]", "shards = [1, 1]", "bad.toml:22:1: shards 1 and 1 are not two of 2"),
    ("to_ms = 2000", "to_ms = 900", "bad.toml:22:1: it ends before it begins"),
    ("to = 1", "to = 2", "bad.toml:26:1: there is no lane from 0 to 2"),
    ("validators = [2]", "validators = [2, 3]", "bad.toml:30:1: 2 adversaries may come into one"),
    (LATENCY, "latency = \"aws\"", "bad.toml:5:11: committees change"),
    (LATENCY, "loss_percent = 1", "bad.toml:5:16: this is the same in all"),
    (
        "[run]",
        "[[fault]]\nat_ms = 1\nkind = \"heal\"\n[run]",
        "bad.toml:33:1: faults are not placed",
    ),
    (
        "at_ms = 1000",
        "at_ms = 9223372036854775807",
        "bad.toml:15:9: 9223372036854775807 ms is after",
    ),
    ("at_ms = 2000", "at_ms = 30001", "bad.toml:19:9: 30001 ms is after the end of the run"),
    (
        "to_ms = 2000",
        "to_ms = 9223372036854775807",
        "bad.toml:25:9: 9223372036854775807 ms is after",
    ),
    ("kind = \"forge\"", "kind = \"capture\"", "bad.toml:26:1: what a captured shard makes up"),
    ("new = 9", "new = 1", "bad.toml:18:1: no shard can get this number"),
    ("new = 9", "new = 4294967295", "bad.toml:18:1: no shard can get this number"),
    ("split = 0\nnew = 9", "merge = 1\ninto = 1", "bad.toml:18:1: a shard cannot be merged with"),
    ("shards_max = 4", "shards_max = 300", "bad.toml:13:14: the network begins with 2 shards"),
    (
        "shards_max = 4",
        "shards_max = 4\nmerge_below = 9\nsplit_above = 20",
        "bad.toml:14:15: two shards",
    ),
    ("[run]", "[load]\naccounts = 100000\n[run]", "bad.toml:34:12: 200000 accounts in all shards"),
    (
        "[run]",
        "[expect]\nrounds_per_second_min = 9\n[run]",
        "bad.toml:33:1: a network of shards does not",
    ),
    ("[run]", "[disk]\nsync_ms = 5\n[run]", "bad.toml:33:1: a network of shards does not do this"),
    ("[run]", "[run]\nwarm_up_seconds = 2", "bad.toml:34:19: a network of shards does not do this"),
    (
        "[[layout.vote]]",
        "[[layout.change]]\nat_ms = 9\nvalidator = 2\nkind = \"weigh\"\nweight = 1001\n[[layout.vote]]",
        "bad.toml:22:10: an adversary could weigh more",
    ),
    ("virtual_seconds = 30", "virtual_seconds = 30\ncalm_from_seconds = 9", "bad.toml:35:21: "),
];

#[test]
fn a_network_of_shards_that_cannot_be_is_refused_with_the_place() {
    parsed(GOOD_LAYOUT);
    let mut wrong = Vec::new();
    for (from, to, expected) in BAD {
        assert!(GOOD_LAYOUT.contains(from), "{from:?}");
        let error = error_of(&GOOD_LAYOUT.replacen(from, to, 1));
        if !error.starts_with(expected) {
            wrong.push(format!("{to:?} gives {error}\nnot {expected}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Without a beacon nobody draws committees, so nothing can change.
#[test]
fn what_needs_a_beacon_is_refused_without_one() {
    let bare = "[network]\ncount = 4\n[layout]\nshards = 2\n[run]\nvirtual_seconds = 20\n";
    let plan = parsed(bare).sharded(1).unwrap().expect("it has a layout");
    assert!(
        plan.describe().starts_with("2 shards of 4, signed with falcon-512, 10 transfers/s each"),
        "{plan:?}"
    );
    for more in [
        "[[layout.change]]\nat_ms = 1\nvalidator = 0\nkind = \"leave\"\n",
        "[[layout.vote]]\nat_ms = 1\nsplit = 0\nnew = 5\n",
        "[[adversary]]\nkind = \"equivocator\"\nvalidators = [0]\n",
    ] {
        let error = error_of(&(bare.to_owned() + more));
        assert!(error.contains("add [layout.beacon]"), "{error}");
    }
    let error = error_of(&bare.replace("shards = 2", "shards = 2\nseats = 3"));
    assert!(error.contains("every shard has 4 validators of its own"), "{error}");
}

/// What the file says is what is built, and it says the same once it is written again.
#[test]
fn all_that_the_file_says_is_built() {
    let scenario = parsed(GOOD_LAYOUT);
    let told = scenario.sharded(7).unwrap().unwrap().describe();
    for part in [
        "2 shards of 4",
        "50% across",
        "shards 0 and 1 are cut off from 1000 to 2000 ms",
        "relayers from shard 0 to 1: forge",
        "a beacon of 7 validators with epochs of 3000 ms, at most 4 shards, no splits by load",
        "validator 2: equivocator",
        "a vote at 2000 ms: s0 splits into s0 and s9",
        "from 1000 ms on validator 7 registers",
    ] {
        assert!(told.contains(part), "{part} is missing in {told}");
    }
    let written = parsed(&scenario.to_toml().unwrap());
    assert_eq!(written.sharded(7).unwrap().unwrap().describe(), told);
}
