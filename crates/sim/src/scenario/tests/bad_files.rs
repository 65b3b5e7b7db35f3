//! Files that cannot work, and what is said about each.

/// Each row: what is replaced in the good file, by what, and how the error begins. Where
/// nothing is replaced, the text is added at the end.
pub const BAD: &[(&str, &str, &str)] = &[
    (
        "count = 10",
        "cuont = 10",
        "bad.toml:4:1: unknown field `cuont`, expected one of `preset`, `count`, `weights`, `powers`, `validators`, `scheme`, `latency`, `regions`, `uniform_ms`, `between_ms`, `matrix_ms`, `jitter_percent`, `loss_percent`, `duplication_percent`, `bandwidth_mbit_per_s`, `hold_over_cuts`, `clock_skew_ms`\n  help: did you mean `count`? If not, remove it",
    ),
    (
        "count = 10",
        "count = \"ten\"",
        "bad.toml:4:9: invalid type: string \"ten\", expected usize\n  help: give a whole number that is not negative",
    ),
    (
        "count = 10",
        "count = -1",
        "bad.toml:4:9: invalid value: integer `-1`, expected usize\n  help: give a whole number that is not negative",
    ),
    (
        "count = 10",
        "count = ",
        "bad.toml:4:9: string values must be quoted, expected literal string\n  help: give a value; a text stands in double quotes",
    ),
    (
        "count = 10",
        "count = 10\ncount = 11",
        "bad.toml:5:1: duplicate key\n  help: give it only once",
    ),
    (
        "count = 10",
        "count = 0",
        "bad.toml:4:9: 0 validators cannot form a committee\n  help: give 1 to 512",
    ),
    (
        "count = 10",
        "",
        "bad.toml:3:1: the network has no validators\n  help: give `preset = \"sui-106\"`, `count = 10` or a list of `validators`",
    ),
    (
        "count = 10",
        "count = 2\npreset = \"sui-106\"",
        "bad.toml:4:9: the validators are given more than once\n  help: keep one of `preset`, `count` and `validators`",
    ),
    (
        "count = 10",
        "count = 2\nweights = [1]",
        "bad.toml:5:11: 1 weights for 2 validators\n  help: give 2, one for each, or leave `weights` out",
    ),
    (
        "count = 10",
        "count = 2\nweights = [1, 0]",
        "bad.toml:5:15: `v1` has weight 0\n  help: leave it out or give it a weight above zero",
    ),
    (
        "count = 10",
        "count = 2\nweights = [1000000000000000000, 1000000000000000000]",
        "bad.toml:5:33: the weights add up to more than 1152921504606846976\n  help: scale all of them down; only their ratios matter",
    ),
    (
        "count = 10",
        "count = 2\nweights = [1, 99999999999999999999]",
        "bad.toml:5:15: invalid type: integer `99999999999999999999`, expected u64\n  help: give a smaller whole number",
    ),
    (
        "count = 10",
        "count = 2\npowers = [1, nan]",
        "bad.toml:5:14: NaN is out of range\n  help: give 0.01 to 100",
    ),
    (
        "count = 10",
        "validators = [{ name = \"a\" }, { name = \"a\" }]",
        "bad.toml:4:40: validators 0 and 1 are both called `a`\n  help: give every validator its own name",
    ),
    (
        "count = 10",
        "validators = [{ name = \"a\", wait = 3 }]",
        "bad.toml:4:29: unknown field `wait`, expected one of `name`, `weight`, `power`, `region`\n  help: remove it, or use one of the names that are expected here",
    ),
    (
        "count = 10",
        "count = 10\nscheme = \"rsa\"",
        "bad.toml:5:10: unknown variant `rsa`, expected `falcon-512` or `ml-dsa-44`\n  help: remove it, or use one of the names that are expected here",
    ),
    (
        "count = 10",
        "count = 10\nscheme = \"ml-dsa-65\"",
        "bad.toml:5:10: unknown variant `ml-dsa-65`, expected `falcon-512` or `ml-dsa-44`\n  help: did you mean `ml-dsa-44`? If not, remove it",
    ),
    (
        "count = 10",
        "count = 10\nlatency = \"warp\"",
        "bad.toml:5:11: unknown variant `warp`, expected one of `uniform`, `between`, `aws`, `matrix`\n  help: remove it, or use one of the names that are expected here",
    ),
    (
        "count = 10",
        "count = 10\nlatency = \"aws\"\nregions = [\"eu-west-1\", \"eu-west-9\"]",
        "bad.toml:6:25: there is no region `eu-west-9`\n  help: use one of af-south-1, ",
    ),
    (
        "count = 10",
        "count = 10\nlatency = \"aws\"\nuniform_ms = 3",
        "bad.toml:6:14: `uniform_ms` means nothing with this kind of latency\n  help: remove it, or set `latency = \"uniform\"`",
    ),
    (
        "count = 10",
        "count = 10\nlatency = \"matrix\"\nmatrix_ms = [[1, 2], [1]]",
        "bad.toml:6:22: row 1 has 1 columns, but there are 2 rows\n  help: make the matrix square",
    ),
    (
        "count = 10",
        "count = 10\nuniform_ms = inf",
        "bad.toml:5:14: inf is out of range\n  help: give 0 to 600000",
    ),
    (
        "virtual_seconds = 10\n",
        "virtual_seconds = 0\n",
        "bad.toml:6:19: 0 is out of range\n  help: give 0.001 to 86400",
    ),
    (
        "virtual_seconds = 10\n",
        "",
        "bad.toml:5:1: missing field `virtual_seconds`\n  help: add `virtual_seconds = ...` here",
    ),
    (
        "",
        "warm_up_seconds = 10",
        "bad.toml:7:19: the warm-up is not shorter than the run, so nothing would be measured\n  help: shorten it, or lengthen `virtual_seconds`",
    ),
    (
        "",
        "[consensus]\nleaders_per_round = 0",
        "bad.toml:8:21: without leaders nothing would ever commit\n  help: give at least 1",
    ),
    (
        "",
        "[consensus]\nleader_timeout_ms = 9000",
        "bad.toml:8:21: the leader timeout starts above its own cap\n  help: lower it, or raise `leader_timeout_max_ms`",
    ),
    (
        "",
        "[load]\naccounts = 1",
        "bad.toml:8:12: 1 accounts cannot send to each other\n  help: give 2 to 100000",
    ),
    (
        "",
        "[load]\nto = \"nobody\"",
        "bad.toml:8:6: unknown variant `nobody`, expected `weighted` or `uniform`\n  help: ",
    ),
    (
        "",
        "[[fault]]\nkind = \"heal\"",
        "bad.toml:7:1: missing field `at_ms`\n  help: add `at_ms = ...` here",
    ),
    ("", "[[fault]]\nat_ms = 1\nkind = \"meteor\"", "bad.toml:9:8: unknown variant `meteor`"),
    (
        "",
        "[[fault]]\nat_ms = 10000\nkind = \"heal\"",
        "bad.toml:8:9: the fault begins at 10000 ms, after the end of the run\n  help: give less than 10000 ms, or a longer run",
    ),
    (
        "",
        "[[fault]]\nat_ms = 1\nkind = \"heal\"\nfor_ms = 3",
        "bad.toml:10:10: `for_ms` does not belong to a fault of kind `heal`\n  help: remove it: nothing but `at_ms` belongs there",
    ),
    (
        "",
        "[[fault]]\nat_ms = 1\nkind = \"slow-disk\"\nsync_ms = 3",
        "bad.toml:7:1: a fault of kind `slow-disk` needs `for_ms`\n  help: add `for_ms = ...`",
    ),
    (
        "",
        "[[fault]]\nat_ms = 1\nkind = \"crash\"",
        "bad.toml:7:1: a fault of kind `crash` does not say whom it concerns\n  help: give `validators` or `weight`",
    ),
    (
        "",
        "[[fault]]\nat_ms = 1\nkind = \"crash\"\nvalidators = [\"v9\", \"v10\"]",
        "bad.toml:10:21: there is no validator `v10`\n  help: the names go from `v0` to `v9`; an index works too",
    ),
    (
        "",
        "[[fault]]\nat_ms = 1\nkind = \"crash\"\nvalidators = [9, \"v9\"]",
        "bad.toml:10:18: `v9` is named twice\n  help: name it once",
    ),
    (
        "",
        "[[fault]]\nat_ms = 1\nkind = \"crash\"\nvalidators = [true]",
        "bad.toml:10:15: invalid type: boolean `true`, expected a validator's name or its index from 0",
    ),
    (
        "",
        "[[fault]]\nat_ms = 1\nkind = \"crash\"\nvalidators = [1]\nmoment = \"before-lunch\"",
        "bad.toml:11:10: invalid value: string \"before-lunch\", expected \"now\"",
    ),
    (
        "",
        "[[fault]]\nat_ms = 1\nkind = \"partition\"\ngroups = [[0, 1], [1, 2]]",
        "bad.toml:10:19: `v1` is in two groups of one partition\n  help: put it into one of them",
    ),
    (
        "",
        "[[fault]]\nat_ms = 1\nkind = \"partition\"\ncut_weight = 1.5",
        "bad.toml:10:14: invalid value: floating point `1.5`, expected a share of the weight between 0 and 1, or \"f\"",
    ),
    (
        "",
        "[[fault]]\nat_ms = 1\nkind = \"partition\"\ncut_weight = 0.01",
        "bad.toml:10:14: no honest validator is as light as 100 of 10000\n  help: give a larger share, or more and lighter validators",
    ),
    (
        "",
        "[[adversary]]\nkind = \"twins\"",
        "bad.toml:7:1: an adversary without validators\n  help: give `validators` or `weight = \"f\"`",
    ),
    (
        "",
        "[[adversary]]\nkind = \"twins\"\nweight = 0.4",
        "bad.toml:7:1: the adversaries weigh 4000, but no more than f = 3333 may be faulty\n  help: give them less, or set `allow_unsafe = true` under [run] to see what breaks",
    ),
    (
        "",
        "[[adversary]]\nkind = \"twins\"\nvalidators = [1]\n[[adversary]]\nkind = \"flooder\"\nvalidators = [1]",
        "bad.toml:12:14: `v1` is an adversary already\n  help: give it one behaviour",
    ),
    (
        "name = \"good\"",
        "name = \"../good\"",
        "bad.toml:2:8: `../good` cannot be a scenario's name\n  help: give `name` with up to 64 lower-case letters, digits and hyphens",
    ),
    (
        "",
        "[[adversary]]\nkind = \"equivocater\"\nweight = 0.1",
        "bad.toml:8:8: unknown variant `equivocater`, expected one of `equivocator`, `withholder`, `selective-sender`, `silent-leader`, `invalid-payload-author`, `lying-syncer`, `flooder`, `time-shifter`, `twins`, `conflicting-attester`\n  help: did you mean `equivocator`? If not, remove it",
    ),
    (
        "",
        "[shards]\ncounts = []\ncross_percents = [0]\nlatency_transactions_per_second = 1",
        "bad.toml:8:10: there is no number of shards\n  help: give some, such as [1, 2, 4]",
    ),
    (
        "",
        "[shards]\ncounts = [1, 300]\ncross_percents = [0]\nlatency_transactions_per_second = 1",
        "bad.toml:8:14: no layout has 300 shards\n  help: give 1 to 256",
    ),
    (
        "",
        "[shards]\ncounts = [2]\ncross_percents = [101]\nlatency_transactions_per_second = 1",
        "bad.toml:9:19: 101% of transfers cannot cross\n  help: give 0 to 100",
    ),
    (
        "",
        "[shards]\ncounts = [2]\ncross_percents = [5]\nlatency_transactions_per_second = 0",
        "bad.toml:10:35: without transfers there is no latency\n  help: give 1 or more",
    ),
    (
        "",
        "[[fault]]\nat_ms = 5\nkind = \"heal\"\n[shards]\ncounts = [2]\ncross_percents = [5]\nlatency_transactions_per_second = 1",
        "bad.toml:7:1: a sweep over shards measures an undisturbed network\n  help: remove it; `qcn sim fuzz --shards` disturbs networks of shards",
    ),
];
