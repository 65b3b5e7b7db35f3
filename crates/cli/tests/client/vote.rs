//! `qcn vote`: what cannot come about is refused.

use std::fs;

use super::server::{Answer, Server};
use super::{Folder, qcn_ends};

/// A devnet with epochs whose first node has its API where the test listens.
fn network(name: &str) -> (Folder, Server) {
    let folder = Folder::new(name);
    let dir = folder.path("net");
    let new = ["devnet", "--init-only", "--epoch-seconds", "9", "--accounts", "1", "--dir", &dir];
    qcn_ends(0, &[&new[..], &["--scheme", "ml-dsa-44", "--port", "23400"]].concat());
    let genesis = fs::read_to_string(folder.path("net/genesis.json")).unwrap();
    let node = Server::new(move |request| match request.path.as_str() {
        "/v1/genesis" => Answer::ok(genesis.clone()),
        "/v1/beacon" => Answer::ok(
            r#"{"layout":[{"prefix":"0*","shard":0},{"prefix":"10*","shard":1},
                {"prefix":"11*","shard":2}],"register":[{"number":0},{"number":1},{"number":2}],
                "parameters":{"shards_max":16}}"#,
        ),
        _ => Answer::refused(404, "no_such_path", "nothing is served here", ""),
    });
    let config = folder.path("net/v0/node.toml");
    let (head, _) = fs::read_to_string(&config)
        .unwrap()
        .split_once("\n[api]")
        .map(|(head, tail)| (head.to_owned(), tail.to_owned()))
        .unwrap();
    let address = node.url.strip_prefix("http://").unwrap();
    fs::write(&config, format!("{head}\n[api]\nlisten = \"{address}\"\n")).unwrap();
    (folder, node)
}

fn vote<'a>(what: &[&'a str], config: &'a str) -> Vec<&'a str> {
    [&["vote"][..], what, &["--config", config]].concat()
}

#[test]
fn votes_that_cannot_come_about_are_refused() {
    let (folder, _node) = network("vote");
    let config = folder.path("net/v0/node.toml");
    for (what, parts) in [
        (["split", "--shard", "7"], ["no such shard", "has 0, 1, 2"]),
        (["merge", "--shard", "0"], ["its other half, 1*, is split", "first"]),
        (["merge", "--shard", "4294967295"], ["no such shard", "has 0, 1, 2"]),
    ] {
        let (_, said) = qcn_ends(2, &vote(&what, &config));
        assert!(parts.iter().all(|part| said.contains(part)), "{said}");
    }
    let weight =
        |number| ["vote", "weight", "--validator", number, "--weight", "5", "--config", &config];
    let (_, said) = qcn_ends(2, &weight("9"));
    assert!(said.contains("no such validator") && said.contains("0 to 3"), "{said}");
    let (_, said) = qcn_ends(2, &weight("3"));
    assert!(said.contains("was removed from the register"), "{said}");
    assert!(!folder.0.join("net/v0/data/epochs/votes.json").exists(), "nothing is written");
}

/// Given a node that votes to merge shards 1 and 2.
/// When it is told to split either, then it is refused until the other vote is withdrawn.
#[test]
fn a_shard_is_split_or_merged() {
    let (folder, _node) = network("vote-both");
    let config = folder.path("net/v0/node.toml");
    let (_, said) = qcn_ends(0, &vote(&["merge", "--shard", "1"], &config));
    assert_eq!(said, "", "a node has told that this may be");
    for shard in ["1", "2"] {
        let (_, said) = qcn_ends(2, &vote(&["split", "--shard", shard], &config));
        assert!(said.contains("`qcn vote withdraw --merge 1 --config"), "{said}");
    }
    qcn_ends(0, &vote(&["split", "--shard", "0"], &config));
    qcn_ends(0, &vote(&["withdraw", "--merge", "1"], &config));
    qcn_ends(0, &vote(&["split", "--shard", "2"], &config));
}

/// Without a node that runs a vote on a shard is cast with a warning, and a validator is refused
/// by the genesis alone.
#[test]
fn without_a_node_a_shard_cannot_be_checked() {
    let (folder, _node) = network("vote-alone");
    let config = folder.path("net/v1/node.toml");
    let (_, said) = qcn_ends(0, &["vote", "split", "--shard", "7", "--config", &config]);
    assert!(said.contains("warning: whether there is a shard 7 could not be checked"), "{said}");
    let weight = ["vote", "weight", "--validator", "9", "--weight", "5", "--config", &config];
    assert!(qcn_ends(2, &weight).1.contains("no such validator"));
}
