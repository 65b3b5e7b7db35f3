use super::*;
use crate::keys::KeyRing;
use crate::scenario::{FaultKind, random_scenario};

/// A scenario with much in it that a defect does not need.
fn busy() -> Scenario {
    let found = (0..10_000).map(random_scenario).find(|scenario| {
        scenario.fault.len() >= 4
            && scenario.adversary.len() >= 2
            && scenario.network.count >= Some(8)
            && scenario.network.scheme != KeyRing::default()
            && scenario.fault.iter().any(|fault| fault.kind == FaultKind::Churn)
    });
    found.expect("the generator draws such")
}

#[test]
fn what_a_defect_does_not_need_is_dropped() {
    let mut asked = 0;
    let shrunk = shrink(busy(), &|_| false, &mut |scenario| {
        asked += 1;
        scenario.fault.iter().any(|fault| fault.kind == FaultKind::Churn)
            && scenario.network.count >= Some(4)
    });
    let scenario = shrunk.scenario;
    assert_eq!(shrunk.runs, asked);
    assert!(asked < 1000, "shrinking ends by itself");
    assert_eq!(scenario.fault.len(), 1);
    assert!(scenario.adversary.is_empty());
    assert_eq!(scenario.network.count, Some(4));
    assert_eq!(scenario.network.weights, None);
    assert_eq!(scenario.network.scheme, busy().network.scheme);
    assert_eq!(scenario.run.calm_from_seconds, None);
    assert_eq!(
        scenario.consensus,
        Consensus { leaders_per_round: Some(1), ..Consensus::default() }
    );
    assert!(scenario.to_toml().expect("it can be written").lines().count() < 40);
}

#[test]
fn what_a_defect_needs_stays() {
    let busy = busy();
    let (adversaries, faults) = (busy.adversary.clone(), busy.fault.len());
    let shrunk = shrink(busy, &|_| false, &mut |scenario| {
        scenario.adversary == adversaries && scenario.fault.len() == faults
    });
    assert_eq!(shrunk.scenario.adversary, adversaries);
    assert_eq!(shrunk.scenario.fault.len(), faults);
}

#[test]
fn validators_that_are_left_keep_their_roles() {
    let text = r#"
        name = "roles"
        network = { count = 5, weights = [1, 2, 3, 4, 5] }
        run = { virtual_seconds = 10 }
        fault = [{ at_ms = 1, kind = "partition", groups = [[0], [2, 4], [1]] }]
        adversary = [{ kind = "twins", validators = [3] }]
    "#;
    let scenario = Scenario::parse("roles.toml", text).unwrap_or_else(|error| panic!("{error}"));
    let without = without_validator(&scenario, 1).expect("all are named by index");
    let index = |at: usize| Target::Index(at);
    assert_eq!(without.network.weights, Some(vec![1, 3, 4, 5]));
    assert_eq!(without.fault[0].groups, Some(vec![vec![index(0)], vec![index(1), index(3)]]));
    assert_eq!(without.adversary[0].validators, Some(vec![index(2)]));
    let without_twin = without_validator(&scenario, 3).expect("all are named by index");
    assert!(without_twin.adversary.is_empty());
}

#[test]
fn the_search_ends_when_it_is_enough() {
    let shrunk = shrink(busy(), &|runs| runs >= 7, &mut |_| true);
    assert_eq!(shrunk.runs, 7);
    let untouched = shrink(busy(), &|_| true, &mut |_| true);
    assert_eq!(untouched.scenario, busy());
}
