use super::*;

fn scenario(more: &str) -> Scenario {
    let text = format!(
        "name = \"small\"\n[network]\ncount = 4\nlatency = \"aws\"\n[run]\nvirtual_seconds = 3\n{more}"
    );
    Scenario::parse("small.toml", &text).unwrap_or_else(|error| panic!("{error}"))
}

fn run(scenario: &Scenario, options: &RunOptions) -> RunResult {
    scenario.run(options, &mut |_| {}).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn a_run_is_a_function_of_scenario_and_seed() {
    let scenario = scenario("");
    let mut seen = Vec::new();
    let result = scenario.run(&RunOptions::default(), &mut |progress| seen.push(progress.now_us));
    let result = result.unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(result, run(&scenario, &RunOptions::default()));
    let other = run(&scenario, &RunOptions { seed: Some(9), ..RunOptions::default() });
    assert_ne!(result.trace_hash, other.trace_hash);
    assert_eq!(other.seed, 9);
    assert!(seen.is_sorted() && seen.len() >= 100 && seen.last() == Some(&3_000_000));
}

#[test]
fn the_result_says_what_only_the_scenario_knows() {
    let result = run(&scenario(""), &RunOptions::default());
    assert_eq!(result.scenario, "small");
    assert_eq!(result.violations, []);
    assert!(result.finality_ms.samples > 0 && result.lower_bound_ms > 0.0);
    assert_eq!(result.conditions.regions.len(), 4);
    assert_eq!(result.validators[0].region, "af-south-1");
    assert!(result.conditions.latency_source.contains("AWS"));
    assert!(result.conditions.weights.contains("the heaviest 25.00%"));
    let again = Scenario::parse("again.toml", result.scenario_toml.as_deref().unwrap_or_default());
    assert_eq!(again.as_ref(), Ok(&scenario("")));
}

#[test]
fn an_unmet_expectation_is_a_violation() {
    let result =
        run(&scenario("[expect]\nrounds_per_second_min = 100000\n"), &RunOptions::default());
    assert_eq!(result.violations.len(), 1);
    assert_eq!(result.violations[0].invariant, "expectation");
}

/// Given a cut, a crash for good and a pause that outlasts the calm.
/// When the calm begins, then all of it is over.
#[test]
fn calm_ends_whatever_went_wrong() {
    let scenario = scenario(
        r#"calm_from_seconds = 1
           [[fault]]
           at_ms = 100
           kind = "isolate"
           validators = [0]
           [[fault]]
           at_ms = 200
           kind = "crash"
           validators = [1]
           [[fault]]
           at_ms = 300
           kind = "pause"
           validators = [2]
           for_ms = 9000
        "#,
    );
    let plan = scenario.plan(0).unwrap_or_else(|error| panic!("{error}"));
    let mut network = plan.simulator(None).unwrap_or_else(|error| panic!("{error}"));
    network.run_to(Time(900_000));
    assert!(!network.is_running(1) && !network.is_running(2));
    let before = network.certified_height(3);
    network.run_to(Time(3_000_000));
    for validator in 0..4 {
        assert!(network.is_running(validator));
        assert!(network.certified_height(validator) > before, "validator {validator}");
    }
}
