use qcn_sim::sharding::random_shards;

use super::*;

/// What a network of this description would break, without running it.
fn outcome(invariant: &str, is_under_way: bool) -> Outcome {
    let broken =
        Broken { invariant: invariant.to_owned(), detail: "a detail".to_owned(), is_under_way };
    Outcome { broken: vec![broken], ..Outcome::default() }
}

/// A network shrinks while it breaks the same invariant, and not for another.
#[test]
fn the_same_invariant_must_break_in_the_smaller_network() {
    let network = random_shards(7);
    let whole = network.describe();
    let broken = outcome("conservation", true).broken;
    let failure = Failure { seed: 7, network, broken };
    let enough = |runs| runs >= 1_000;
    let other = shrink(&failure, &enough, &mut |_| outcome("agreement", true));
    assert_eq!(other.description, whole);
    let later = shrink(&failure, &enough, &mut |_| outcome("conservation", false));
    assert_eq!(later.description, whole);
    let same = shrink(&failure, &enough, &mut |_| outcome("conservation", true));
    assert!(same.runs < 1_000, "shrinking ends by itself");
    assert!(same.description.starts_with("1 shards of 4, "), "{}", same.description);
}

/// Of several failures the one of the lowest seed is told, whichever came first.
#[test]
fn the_lowest_seed_that_fails_is_told() {
    let mut totals = Totals::default();
    for seed in [9, 3, 5] {
        assert!(totals.add(seed, random_shards(seed), outcome("agreement", true)));
    }
    assert!(!totals.add(1, random_shards(1), Outcome::default()));
    let smaller = Smaller { description: "little".to_owned(), runs: 12 };
    let json = totals.json(&(0..10), 1.0, Some(&smaller)).unwrap();
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    let failure = &json["failure"];
    assert_eq!((&failure["seed"], &json["seeds"]), (&3.into(), &4.into()));
    assert_eq!(failure["violations"][0], "agreement: a detail");
    assert_eq!(json["networks_with_captured_shard"], 1, "that of seed 5");
    assert_eq!(
        (&failure["smaller"], &failure["smaller_after_runs"]),
        (&"little".into(), &12.into())
    );
}
