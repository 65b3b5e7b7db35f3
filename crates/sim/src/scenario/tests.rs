use super::*;
use crate::fault::Fault as EngineFault;

/// A file that works, before each row of the table below spoils it.
const GOOD: &str = r#"
name = "good"
[network]
count = 10
[run]
virtual_seconds = 10
"#;

fn error_of(text: &str) -> String {
    match Scenario::parse("bad.toml", text) {
        Ok(_) => panic!("this was accepted: {text}"),
        Err(error) => error.to_string(),
    }
}

fn parsed(text: &str) -> Scenario {
    Scenario::parse("good.toml", text).unwrap_or_else(|error| panic!("{error}"))
}

fn plan(text: &str) -> Plan {
    parsed(text).plan(1).unwrap_or_else(|error| panic!("{error}"))
}

/// Each row: what replaces what in the good file, and the error in full.
#[test]
fn a_bad_file_is_answered_with_place_reason_and_remedy() {
    let run = "virtual_seconds = 10\n";
    let after_run = |more: &str| format!("{run}{more}");
    let rows: Vec<(&str, String, &str)> = vec![
        (
            "count = 10",
            "cuont = 10".into(),
            "bad.toml:4:1: unknown field `cuont`, expected one of `preset`, `count`, `weights`, `powers`, `validators`, `latency`, `regions`, `uniform_ms`, `between_ms`, `matrix_ms`, `jitter_percent`, `loss_percent`, `duplication_percent`, `bandwidth_mbit_per_s`, `hold_over_cuts`, `clock_skew_ms`\n  help: did you mean `count`? If not, remove it",
        ),
        (
            "count = 10",
            "count = \"ten\"".into(),
            "bad.toml:4:9: invalid type: string \"ten\", expected usize\n  help: give a whole number that is not negative",
        ),
        (
            "count = 10",
            "count = -1".into(),
            "bad.toml:4:9: invalid value: integer `-1`, expected usize\n  help: give a whole number that is not negative",
        ),
        (
            "count = 10",
            "count = ".into(),
            "bad.toml:4:9: string values must be quoted, expected literal string\n  help: give a value; a text stands in double quotes",
        ),
        (
            "count = 10",
            "count = 10\ncount = 11".into(),
            "bad.toml:5:1: duplicate key\n  help: give it only once",
        ),
        (
            "count = 10",
            "count = 0".into(),
            "bad.toml:4:9: 0 validators cannot form a committee\n  help: give 1 to 512",
        ),
        (
            "count = 10",
            String::new(),
            "bad.toml:3:1: the network has no validators\n  help: give `preset = \"sui-106\"`, `count = 10` or a list of `validators`",
        ),
        (
            "count = 10",
            "count = 2\npreset = \"sui-106\"".into(),
            "bad.toml:4:9: the validators are given more than once\n  help: keep one of `preset`, `count` and `validators`",
        ),
        (
            "count = 10",
            "count = 2\nweights = [1]".into(),
            "bad.toml:5:11: 1 weights for 2 validators\n  help: give 2, one for each, or leave `weights` out",
        ),
        (
            "count = 10",
            "count = 2\nweights = [1, 0]".into(),
            "bad.toml:5:15: `v1` has weight 0\n  help: leave it out or give it a weight above zero",
        ),
        (
            "count = 10",
            "count = 2\nweights = [1000000000000000000, 1000000000000000000]".into(),
            "bad.toml:5:33: the weights add up to more than 1152921504606846976\n  help: scale all of them down; only their ratios matter",
        ),
        (
            "count = 10",
            "count = 2\nweights = [1, 99999999999999999999]".into(),
            "bad.toml:5:15: invalid type: integer `99999999999999999999`, expected u64\n  help: give a smaller whole number",
        ),
        (
            "count = 10",
            "count = 2\npowers = [1, nan]".into(),
            "bad.toml:5:14: NaN is out of range\n  help: give 0.01 to 100",
        ),
        (
            "count = 10",
            "validators = [{ name = \"a\" }, { name = \"a\" }]".into(),
            "bad.toml:4:40: validators 0 and 1 are both called `a`\n  help: give every validator its own name",
        ),
        (
            "count = 10",
            "validators = [{ name = \"a\", wait = 3 }]".into(),
            "bad.toml:4:29: unknown field `wait`, expected one of `name`, `weight`, `power`, `region`\n  help: remove it, or use one of the names that are expected here",
        ),
        (
            "count = 10",
            "count = 10\nlatency = \"warp\"".into(),
            "bad.toml:5:11: unknown variant `warp`, expected one of `uniform`, `between`, `aws`, `matrix`\n  help: remove it, or use one of the names that are expected here",
        ),
        (
            "count = 10",
            "count = 10\nlatency = \"aws\"\nregions = [\"eu-west-1\", \"eu-west-9\"]".into(),
            "bad.toml:6:25: there is no region `eu-west-9`\n  help: use one of af-south-1, ",
        ),
        (
            "count = 10",
            "count = 10\nlatency = \"aws\"\nuniform_ms = 3".into(),
            "bad.toml:6:14: `uniform_ms` means nothing with this kind of latency\n  help: remove it, or set `latency = \"uniform\"`",
        ),
        (
            "count = 10",
            "count = 10\nlatency = \"matrix\"\nmatrix_ms = [[1, 2], [1]]".into(),
            "bad.toml:6:22: row 1 has 1 columns, but there are 2 rows\n  help: make the matrix square",
        ),
        (
            "count = 10",
            "count = 10\nuniform_ms = inf".into(),
            "bad.toml:5:14: inf is out of range\n  help: give 0 to 600000",
        ),
        (
            "virtual_seconds = 10\n",
            "virtual_seconds = 0\n".into(),
            "bad.toml:6:19: 0 is out of range\n  help: give 0.001 to 86400",
        ),
        (
            "virtual_seconds = 10\n",
            String::new(),
            "bad.toml:5:1: missing field `virtual_seconds`\n  help: add `virtual_seconds = ...` here",
        ),
        (
            run,
            after_run("warm_up_seconds = 10"),
            "bad.toml:7:19: the warm-up is not shorter than the run, so nothing would be measured\n  help: shorten it, or lengthen `virtual_seconds`",
        ),
        (
            run,
            after_run("[consensus]\nleaders_per_round = 0"),
            "bad.toml:8:21: without leaders nothing would ever commit\n  help: give at least 1",
        ),
        (
            run,
            after_run("[consensus]\nleader_timeout_ms = 9000"),
            "bad.toml:8:21: the leader timeout starts above its own cap\n  help: lower it, or raise `leader_timeout_max_ms`",
        ),
        (
            run,
            after_run("[load]\naccounts = 1"),
            "bad.toml:8:12: 1 accounts cannot send to each other\n  help: give 2 to 100000",
        ),
        (
            run,
            after_run("[load]\nto = \"nobody\""),
            "bad.toml:8:6: invalid value: string \"nobody\", expected \"weighted\", \"uniform\" or a list of validators\n  help: ",
        ),
        (
            run,
            after_run("[[fault]]\nkind = \"heal\""),
            "bad.toml:7:1: missing field `at_ms`\n  help: add `at_ms = ...` here",
        ),
        (
            run,
            after_run("[[fault]]\nat_ms = 1\nkind = \"meteor\""),
            "bad.toml:9:8: unknown variant `meteor`",
        ),
        (
            run,
            after_run("[[fault]]\nat_ms = 10000\nkind = \"heal\""),
            "bad.toml:8:9: the fault begins at 10000 ms, after the end of the run\n  help: give less than 10000 ms, or a longer run",
        ),
        (
            run,
            after_run("[[fault]]\nat_ms = 1\nkind = \"heal\"\nfor_ms = 3"),
            "bad.toml:10:10: `for_ms` does not belong to a fault of kind `heal`\n  help: remove it: nothing but `at_ms` belongs there",
        ),
        (
            run,
            after_run("[[fault]]\nat_ms = 1\nkind = \"slow-disk\"\nsync_ms = 3"),
            "bad.toml:7:1: a fault of kind `slow-disk` needs `for_ms`\n  help: add `for_ms = ...`",
        ),
        (
            run,
            after_run("[[fault]]\nat_ms = 1\nkind = \"crash\""),
            "bad.toml:7:1: a fault of kind `crash` does not say whom it concerns\n  help: give `validators` or `weight`",
        ),
        (
            run,
            after_run("[[fault]]\nat_ms = 1\nkind = \"crash\"\nvalidators = [\"v9\", \"v10\"]"),
            "bad.toml:10:21: there is no validator `v10`\n  help: the names go from `v0` to `v9`; an index works too",
        ),
        (
            run,
            after_run("[[fault]]\nat_ms = 1\nkind = \"crash\"\nvalidators = [9, \"v9\"]"),
            "bad.toml:10:18: `v9` is named twice\n  help: name it once",
        ),
        (
            run,
            after_run("[[fault]]\nat_ms = 1\nkind = \"crash\"\nvalidators = [true]"),
            "bad.toml:10:15: invalid type: boolean `true`, expected a validator's name or its index from 0",
        ),
        (
            run,
            after_run(
                "[[fault]]\nat_ms = 1\nkind = \"crash\"\nvalidators = [1]\nmoment = \"before-lunch\"",
            ),
            "bad.toml:11:10: invalid value: string \"before-lunch\", expected \"now\"",
        ),
        (
            run,
            after_run("[[fault]]\nat_ms = 1\nkind = \"partition\"\ngroups = [[0, 1], [1, 2]]"),
            "bad.toml:10:19: `v1` is in two groups of one partition\n  help: put it into one of them",
        ),
        (
            run,
            after_run("[[fault]]\nat_ms = 1\nkind = \"partition\"\ncut_weight = 1.5"),
            "bad.toml:10:14: invalid value: floating point `1.5`, expected a share of the weight between 0 and 1, or \"f\"",
        ),
        (
            run,
            after_run("[[fault]]\nat_ms = 1\nkind = \"partition\"\ncut_weight = 0.01"),
            "bad.toml:10:14: no honest validator is as light as 100 of 10000\n  help: give a larger share, or more and lighter validators",
        ),
        (
            run,
            after_run("[[adversary]]\nkind = \"twins\""),
            "bad.toml:7:1: an adversary without validators\n  help: give `validators` or `weight = \"f\"`",
        ),
        (
            run,
            after_run("[[adversary]]\nkind = \"twins\"\nweight = 0.4"),
            "bad.toml:7:1: the adversaries weigh 4000, but no more than f = 3333 may be faulty\n  help: give them less, or set `allow_unsafe = true` under [run] to see what breaks",
        ),
        (
            run,
            after_run(
                "[[adversary]]\nkind = \"twins\"\nvalidators = [1]\n[[adversary]]\nkind = \"flooder\"\nvalidators = [1]",
            ),
            "bad.toml:12:14: `v1` is an adversary already\n  help: give it one behaviour",
        ),
        (
            "name = \"good\"",
            "name = \"../good\"".into(),
            "bad.toml:2:8: `../good` cannot be a scenario's name\n  help: give `name` with up to 64 lower-case letters, digits and hyphens",
        ),
    ];
    let mut wrong = Vec::new();
    for (from, to, expected) in rows {
        assert!(GOOD.contains(from), "{from:?}");
        let text = GOOD.replace(from, &to);
        let error = error_of(&text);
        if !error.starts_with(expected) {
            wrong.push(format!("{text}\ngives {error}\nnot   {expected}\n"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_good_file_is_good() {
    let plan = plan(GOOD);
    assert_eq!(plan.members.len(), 10);
    let expected = ("v3", "", 1000, 1000);
    let member = &plan.members[3];
    assert_eq!((&*member.name, &*member.region, member.weight, member.power_permille), expected);
    assert!(plan.one_way_us.iter().all(|&latency| latency == 50_000));
    assert_eq!((plan.virtual_us, plan.warm_up_us), (10_000_000, 0));
    assert_eq!(plan.config, qcn_consensus::Config::default());
    assert_eq!(plan.load.transactions_per_1000_seconds, 10_000);
    assert!(plan.progress);
}

#[test]
fn the_scenarios_that_come_with_it_are_good() {
    for Builtin { name, text } in BUILTIN {
        let scenario = Scenario::parse(&format!("{name}.toml"), text);
        let scenario = scenario.unwrap_or_else(|error| panic!("{error}"));
        assert_eq!(scenario.name, name);
        assert!(!scenario.description.is_empty());
        for seed in 0..20 {
            scenario.plan(seed).unwrap_or_else(|error| panic!("seed {seed}: {error}"));
        }
    }
    assert_eq!(builtin("churn").map(|one| one.name), Some("churn"));
    assert!(builtin("nothing").is_none());
}

#[test]
fn a_scenario_survives_its_file() {
    for Builtin { name, text } in BUILTIN {
        let scenario = parsed(text);
        let written = scenario.to_toml().expect("a scenario can be written");
        assert_eq!(parsed(&written), scenario, "{name}");
    }
}

#[test]
fn the_preset_brings_weights_places_and_latencies() {
    let plan = plan(builtin("wan").expect("it is there").text);
    assert_eq!(plan.members.len(), 106);
    let [santa_clara, beauharnois] = [&plan.members[0], &plan.members[1]];
    assert_eq!(santa_clara.region, "us-west-1");
    assert_eq!(beauharnois.weight, 230_973_640);
    let there = plan.one_way_us[1];
    assert_eq!(there, plan.one_way_us[106], "links are symmetric");
    assert!((35_000..45_000).contains(&there), "{there} us from California to Canada");
}

#[test]
fn units_become_integers() {
    let text = GOOD.replace("count = 10", "count = 2\nuniform_ms = 12.5\njitter_percent = 2\nloss_percent = 0.1\nbandwidth_mbit_per_s = 100")
        + "[consensus]\nleader_timeout_ms = 2.5\n[disk]\nsync_ms = 0.25\n[load]\ntransactions_per_second = 0.5\nto = [1]\n";
    let plan = plan(&text);
    assert_eq!(plan.one_way_us[1], 12_500);
    assert_eq!(plan.links.jitter_permille, 20);
    assert_eq!(plan.links.loss_per_million, 1000);
    assert_eq!(plan.links.bandwidth_bits_per_second, Some(100_000_000));
    assert_eq!(plan.config.leader_timeout_us, 2500);
    assert_eq!(plan.disk.sync_us, 250);
    assert_eq!(plan.load.transactions_per_1000_seconds, 500);
    assert_eq!(plan.load.shares, [0, 1]);
}

#[test]
fn a_weight_above_f_is_lowered_and_said_so() {
    let plan = plan(&GOOD.replace("count = 10", "count = 4\nweights = [100, 1, 1, 1]"));
    let weights: Vec<u64> = plan.members.iter().map(|member| member.weight).collect();
    assert_eq!(weights, [1, 1, 1, 1]);
    assert!(plan.weights_source.contains("lowered"));
}

#[test]
fn every_kind_of_fault_reaches_the_engine() {
    let entries = [
        r#"kind = "partition", groups = [[0, 1], ["v2", "v3"]]"#,
        r#"kind = "partition", cut_weight = 0.4"#,
        r#"kind = "one-way", from = [0], to = [1, 2]"#,
        r#"kind = "isolate", validators = [0, 1]"#,
        r#"kind = "flapping", cut_weight = 0.3, period_ms = 10, for_ms = 100"#,
        r#"kind = "heal""#,
        r#"kind = "crash", weight = "f", moment = "after-broadcast", disk = "wipe", restart_after_ms = 7"#,
        r#"kind = "restart", validators = [0]"#,
        r#"kind = "pause", validators = [0], for_ms = 5"#,
        r#"kind = "churn", period_ms = 5, down_ms = 6, for_ms = 7, disk = "torn-tail""#,
        r#"kind = "clock-jump", validators = [0], by_ms = -300"#,
        r#"kind = "latency", factor = 2.5, for_ms = 5"#,
        r#"kind = "bandwidth", validators = [3], mbit_per_s = 1, for_ms = 5"#,
        r#"kind = "loss", percent = 10, for_ms = 5"#,
        r#"kind = "slow-disk", validators = [3], sync_ms = 20, for_ms = 5"#,
    ];
    let list: Vec<String> =
        entries.iter().map(|entry| format!("{{ at_ms = 9, {entry} }}")).collect();
    let text = format!("fault = [{}]\n{GOOD}", list.join(", "));
    let faults = plan(&text).faults;
    assert!(faults.iter().all(|fault| fault.at_us == 9000));
    let described: Vec<String> = faults.iter().map(|one| format!("{:?}", one.fault)).collect();
    for expected in [
        "Partition { groups: [[0, 1], [2, 3]] }",
        "OneWay { from: [0], to: [1, 2] }",
        "Isolate { validator: 1 }",
        "Heal",
        "moment: After(Broadcast), disk: Wipe, restart_after_us: Some(7000) }",
        "Restart { validator: 0 }",
        "Pause { validator: 0, duration_us: 5000 }",
        "Churn { validators: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9], period_us: 5000, down_us: 6000, duration_us: 7000, disk: TornTail }",
        "ClockJump { validator: 0, by_us: -300000 }",
        "LatencySpike { validators: [], permille: 2500, duration_us: 5000 }",
        "BandwidthCut { validators: [3], bits_per_second: 1000000, duration_us: 5000 }",
        "LossBurst { per_million: 100000, duration_us: 5000 }",
        "SlowDisk { validator: 3, sync_us: 20000, duration_us: 5000 }",
    ] {
        assert!(
            described.iter().any(|one| one.ends_with(expected)),
            "no {expected} in {described:#?}"
        );
    }
}

/// A share of the weight is drawn from the seed, and never more than asked for.
#[test]
fn a_share_of_the_weight_is_drawn_from_the_seed() {
    let text = builtin("partition").expect("it is there").text;
    let cuts = |seed: u64| -> Vec<Vec<usize>> {
        let plan = parsed(text).plan(seed).unwrap_or_else(|error| panic!("{error}"));
        let total: u64 = plan.members.iter().map(|member| member.weight).sum();
        let mut cuts = Vec::new();
        for (fault, permille) in plan.faults.iter().step_by(2).zip([250, 400]) {
            let EngineFault::Partition { groups } = &fault.fault else { panic!("{fault:?}") };
            let cut: u64 = groups[0].iter().map(|&at| plan.members[at].weight).sum();
            let share = cut * 1000 / total;
            assert!((permille - 30..=permille).contains(&share), "{share} of {permille}");
            assert_eq!(groups[0].len() + groups[1].len(), plan.members.len());
            cuts.push(groups[0].clone());
        }
        cuts
    };
    assert_eq!(cuts(1), cuts(1));
    assert_ne!(cuts(1), cuts(2));
    assert_ne!(cuts(1)[0], cuts(1)[1], "each fault draws for itself");
}

/// What crashes beside adversaries stays below f together with them.
#[test]
fn the_remainder_of_f_is_what_the_adversaries_leave() {
    let text = GOOD.to_owned()
        + "[[adversary]]\nkind = \"flooder\"\nvalidators = [0]\n[[adversary]]\nkind = \"twins\"\nweight = 0.1\n[[fault]]\nat_ms = 1\nkind = \"crash\"\nweight = \"f\"\n";
    let plan = plan(&text);
    assert_eq!(plan.adversaries.len(), 2);
    assert_eq!(plan.faults.len(), 1, "3 of 10 may be faulty, and 2 are");
    let EngineFault::Crash { validator, .. } = &plan.faults[0].fault else { panic!("a crash") };
    assert!(plan.adversaries.iter().all(|adversary| adversary.validator != *validator));
}

#[test]
fn unsafe_weights_are_allowed_when_asked_for() {
    let text = GOOD.replace("virtual_seconds", "allow_unsafe = true\nvirtual_seconds")
        + "[[adversary]]\nkind = \"equivocator\"\nweight = 0.5\n";
    assert_eq!(plan(&text).adversaries.len(), 5);
}

#[test]
fn a_file_without_a_name_is_called_after_itself() {
    let text = GOOD.replace("name = \"good\"", "");
    let scenario = Scenario::parse("/some/where/my-net.toml", &text);
    assert_eq!(scenario.map(|one| one.name), Ok("my-net".to_owned()));
    assert!(error_of(&text.replace("count", "kount")).starts_with("bad.toml:4:1"));
}
