mod bad_files;
mod layout;

use super::*;
use crate::fault::Fault as EngineFault;
use crate::keys::KeyRing;

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

#[test]
fn a_bad_file_is_answered_with_place_reason_and_remedy() {
    let mut wrong = Vec::new();
    for (from, to, expected) in bad_files::BAD {
        assert!(GOOD.contains(from), "{from:?}");
        let text = if from.is_empty() { GOOD.to_owned() + to } else { GOOD.replace(from, to) };
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

/// The scheme of the validators reaches the network, and a file says it where it is not the usual
/// one.
#[test]
fn validators_sign_with_the_scheme_of_the_file() {
    for (line, keys, written) in [
        ("", KeyRing::Falcon512, None),
        ("scheme = \"falcon-512\"", KeyRing::Falcon512, None),
        ("scheme = \"ml-dsa-44\"", KeyRing::MlDsa44, Some("scheme = \"ml-dsa-44\"")),
    ] {
        let scenario = parsed(&GOOD.replace("count = 10", &format!("count = 4\n{line}")));
        let plan = scenario.plan(1).unwrap();
        assert_eq!(plan.key_ring, keys);
        let network = plan.simulator(None).unwrap();
        let mut members = network.committee().members().iter();
        assert!(members.all(|member| member.key.scheme() == keys.scheme()));
        let text = scenario.to_toml().unwrap();
        assert_eq!(text.lines().find(|line| line.starts_with("scheme")), written);
        assert_eq!(parsed(&text), scenario);
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
        + "[consensus]\nleader_timeout_ms = 2.5\n[disk]\nsync_ms = 0.25\n[load]\ntransactions_per_second = 0.5\nto = \"uniform\"\n";
    let plan = plan(&text);
    assert_eq!(plan.one_way_us[1], 12_500);
    assert_eq!(plan.links.jitter_permille, 20);
    assert_eq!(plan.links.loss_per_million, 1000);
    assert_eq!(plan.links.bandwidth_bits_per_second, Some(100_000_000));
    assert_eq!(plan.config.leader_timeout_us, 2500);
    assert_eq!(plan.disk.sync_us, 250);
    assert_eq!(plan.load.transactions_per_1000_seconds, 500);
    assert!(!plan.load.by_weight);
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
    assert!(plan.adversaries.iter().all(|adversary| adversary.0 != *validator));
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
