//! What is decided, and how it is printed.

use serde_json::{Value, json};

use super::drawing::{Answer, Drawing, Outcome, Rule};
use super::generate::{Chance, Faulty};
use super::{example, generate, oracle, qcn, text};

fn decide(document: &str) -> Value {
    let output = qcn(&["decide", "-"], document);
    assert!(output.status.success(), "{}\n{document}", text(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The answer as the command prints it.
fn printed(answer: &Answer) -> Value {
    let decisions = answer.decisions.iter().map(|slot| {
        let (decision, rule, block) = match &slot.made {
            None => ("undecided", None, None),
            Some((Outcome::Skip, rule)) => ("skip", Some(rule), None),
            Some((Outcome::Commit(block), rule)) => ("commit", Some(rule), Some(block)),
        };
        let rule = rule.map(|rule| if *rule == Rule::Direct { "direct" } else { "indirect" });
        json!({
            "round": slot.round, "leader": slot.leader, "decision": decision, "rule": rule,
            "block": block,
        })
    });
    json!({ "decisions": decisions.collect::<Vec<_>>(), "sequence": answer.sequence })
}

#[test]
fn the_examples_are_decided_as_their_names_say() {
    let rows = [
        ("commit", "1A=A1 2B=B2 3C=C3 3A=A3", "A1 B1 C1 D1 B2 C2 D2 C3 A2 A3"),
        ("skip", "1A=- 2B=B2 3C=C3", "B1 C1 D1 B2 A1 A2 C2 D2 C3"),
        ("indirect", "1A~A1 4B=B4 5C=C5", "A1 B1 C1 D1 A2 B2 C2 D2 A3 B3 C3 D3 B4 A4 C4 D4 C5"),
        ("equivocation", "1A=A1 2D=D2 3B=B3 3C=C3 6A?", "A1 A1' B1 C1 D1 D2 A2 B2 C2 B3 C3"),
    ];
    for (name, decisions, sequence) in rows {
        let output = qcn(&["decide", &example(name)], "");
        let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
        let slots = answer["decisions"].as_array().unwrap().iter().map(|slot| {
            let rule = match slot["rule"].as_str() {
                None => "?",
                Some("direct") => "=",
                Some(_) => "~",
            };
            let outcome = match slot["decision"].as_str() {
                Some("skip") => "-",
                _ => slot["block"].as_str().unwrap_or(""),
            };
            format!("{}{}{rule}{outcome}", slot["round"], slot["leader"].as_str().unwrap())
        });
        assert_eq!(slots.collect::<Vec<_>>().join(" "), decisions, "{name}");
        let ids = answer["sequence"].as_array().unwrap().iter().map(|id| id.as_str().unwrap());
        assert_eq!(ids.collect::<Vec<_>>().join(" "), sequence, "{name}");
    }
}

/// Moves the rounds apart, shuffles the blocks, and makes the weights large.
fn distort(drawing: &mut Drawing, chance: &mut Chance) {
    let mut rounds = vec![0_u64];
    for _ in 0..40 {
        let jump = [1, 1, 1, 1, 1, 2, 3, 4, 1_000, 1 << 58][chance.below(10) as usize];
        rounds.push(rounds[rounds.len() - 1].saturating_add(jump).min(u64::MAX - 40));
    }
    // Rounds must not fall together.
    for at in 1..rounds.len() {
        rounds[at] = rounds[at].max(rounds[at - 1] + 1);
    }
    let leaders = std::mem::take(&mut drawing.leaders);
    let moved = leaders.into_iter().map(|(round, leaders)| (rounds[round as usize], leaders));
    drawing.leaders = moved.collect();
    drawing.blocks.iter_mut().for_each(|block| block.round = rounds[block.round as usize]);
    for last in (1..drawing.blocks.len()).rev() {
        drawing.blocks.swap(last, chance.below(last as u64 + 1) as usize);
    }
    let total: u64 = drawing.committee.iter().map(|(_, weight)| weight).sum();
    let scale = if chance.of(50) { u64::MAX / total } else { 1 };
    drawing.committee.iter_mut().for_each(|(_, weight)| *weight *= scale);
}

/// Given random DAGs of valid blocks and of any shape, with their rounds far apart, their blocks
/// in any order and their weights up to the largest sum,
/// when they are decided by the command and by the oracle,
/// then the answers are equal.
#[test]
fn any_document_is_decided_as_the_oracle_decides() {
    for seed in 0..120 {
        let members = 1 + (seed % 9) as usize;
        let mut drawing = match seed % 3 {
            0 => generate::valid(seed, members, 12, Faulty::Tolerated),
            1 => generate::valid(seed, members, 12, Faulty::Beyond),
            _ => generate::wild(seed, members, 14),
        };
        let mut chance = Chance(seed);
        if seed % 4 != 0 {
            distort(&mut drawing, &mut chance);
        }
        let document = drawing.to_json();
        assert_eq!(
            decide(&document),
            printed(&oracle::decide(&drawing)),
            "seed {seed}: {document}"
        );
    }
}

/// The order in which the blocks are written decides nothing.
#[test]
fn the_order_of_blocks_does_not_matter() {
    for seed in 0..10 {
        let mut drawing = generate::valid(seed, 5, 10, Faulty::Beyond);
        let expected = decide(&drawing.to_json());
        for shuffle in 0..5 {
            let order = generate::random_order(&drawing, shuffle);
            let blocks = order.iter().rev().map(|at| drawing.blocks[*at].clone()).collect();
            drawing.blocks = blocks;
            assert_eq!(decide(&drawing.to_json()), expected, "seed {seed}");
        }
    }
}

/// The limits of the format: each is met, and nothing is slow or large.
#[test]
fn extremes_are_decided() {
    let member = |name: &str, weight: u64| json!({ "name": name, "weight": weight });
    let block = |id: &str, author: &str, round: u64, parents: &[&str]| json!({ "id": id, "author": author, "round": round, "parents": parents });
    // No blocks and no leaders.
    let empty = json!({ "committee": [member("A", u64::MAX)], "leaders": {}, "blocks": [] });
    assert_eq!(decide(&empty.to_string()), json!({ "decisions": [], "sequence": [] }));

    // The last rounds there are, for the heaviest member there can be.
    let (last, below) = (u64::MAX, u64::MAX - 2);
    let far = json!({
        "committee": [member("A", u64::MAX)],
        "leaders": { below.to_string(): "A", last.to_string(): ["A"], "5": [] },
        "blocks": [
            block("top", "A", last, &["middle"]),
            block("middle", "A", last - 1, &["low"]),
            block("low", "A", below, &["A0"]),
        ],
    });
    let answer = decide(&far.to_string());
    assert_eq!(answer["sequence"], json!(["low"]));
    assert_eq!(answer["decisions"][0]["decision"], "commit");
    assert_eq!(answer["decisions"][1]["decision"], "undecided");

    // The largest committee, and an equivocator with a thousand blocks.
    let names: Vec<String> = (0..512).map(|index| format!("m{index}")).collect();
    let committee: Vec<Value> = names.iter().map(|name| member(name, 1)).collect();
    let forks = (0..1_000).map(|fork| block(&format!("fork {fork:03}"), "m0", 1, &[]));
    let above = (0..512).map(|index| {
        let parent = format!("fork {index:03}");
        block(&format!("above {index}"), &names[index], 2, &[&parent])
    });
    let large = json!({
        "committee": committee, "leaders": { "1": "m0" },
        "blocks": forks.chain(above).collect::<Vec<_>>(),
    });
    assert_eq!(decide(&large.to_string())["decisions"][0]["decision"], "skip");

    // A long history that one anchor decides at its end.
    let mut blocks: Vec<Value> = (1..=3_000)
        .map(|round| block(&format!("b{round}"), "A", round, &[&format!("b{}", round - 1)]))
        .collect();
    blocks[0]["parents"] = json!(["A0"]);
    for round in 3_001..=3_004_u64 {
        for author in ["A", "B", "C"] {
            let previous = ["A", "B", "C"].map(|name| match (round, name) {
                (3_001, "A") => "b3000".to_owned(),
                (3_001, name) => format!("{name}0"),
                _ => format!("{name}{}", round - 1),
            });
            let previous: Vec<&str> = previous.iter().map(String::as_str).collect();
            blocks.push(block(&format!("{author}{round}"), author, round, &previous));
        }
    }
    let leaders: serde_json::Map<String, Value> =
        (1..=3_002).map(|round: u64| (round.to_string(), json!("A"))).collect();
    let committee = [member("A", 1), member("B", 1), member("C", 1), member("D", 1)];
    let long = json!({ "committee": committee, "leaders": leaders, "blocks": blocks });
    let answer = decide(&long.to_string());
    assert_eq!(answer["decisions"][0]["rule"], "indirect");
    assert_eq!(answer["sequence"].as_array().unwrap().len(), 3_004);
}

/// One decision a line, so that two answers can be compared line by line.
#[test]
fn the_answer_is_written_in_lines() {
    let output = qcn(&["decide", &example("skip")], "");
    let expected = "{\"decisions\":[\n\
        {\"round\":1,\"leader\":\"A\",\"decision\":\"skip\",\"rule\":\"direct\",\"block\":null},\n";
    assert!(text(&output.stdout).starts_with(expected), "{}", text(&output.stdout));
    assert!(text(&output.stdout).ends_with(
        "\n],\"sequence\":[\"B1\",\"C1\",\"D1\",\"B2\",\"A1\",\"A2\",\"C2\",\"D2\",\"C3\"]}\n"
    ));
}
