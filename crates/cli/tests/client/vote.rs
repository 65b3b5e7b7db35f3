//! `qcn vote`: what cannot come about is refused.

use std::fs;

use super::server::{Answer, Server};
use super::{Folder, qcn_ends};

/// The register of a network without validator 3.
const REGISTER: &str = r#"[{"number":0},{"number":1},{"number":2}]"#;

/// A devnet with epochs whose first node has its API where the test listens.
fn network(name: &str) -> (Folder, Server) {
    let folder = laid_out(name);
    let node = answering(&folder, REGISTER.to_owned());
    (folder, node)
}

fn laid_out(name: &str) -> Folder {
    let folder = Folder::new(name);
    let dir = folder.path("net");
    let new = ["devnet", "--init-only", "--epoch-seconds", "9", "--accounts", "1", "--dir", &dir];
    qcn_ends(0, &[&new[..], &["--scheme", "ml-dsa-44", "--port", "23400"]].concat());
    folder
}

/// Says what a beacon says that has this register, as the first node.
fn answering(folder: &Folder, register: String) -> Server {
    let genesis = fs::read_to_string(folder.path("net/genesis.json")).unwrap();
    let node = Server::new(move |request| match request.path.as_str() {
        "/v1/genesis" => Answer::ok(genesis.clone()),
        "/v1/beacon" => Answer::ok(format!(
            r#"{{"layout":[{{"prefix":"0*","shard":0}},{{"prefix":"10*","shard":1}},
                {{"prefix":"11*","shard":2}}],"register":{register},
                "parameters":{{"shards_max":16,"seats":4}}}}"#
        )),
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
    node
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
    assert!(said.contains("no such validator") && said.contains("has 0, 1, 2"), "{said}");
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

/// Without a node that runs a vote on a shard is cast with a warning, and so is one on a validator
/// that may have joined.
#[test]
fn without_a_node_a_shard_cannot_be_checked() {
    let (folder, _node) = network("vote-alone");
    let config = folder.path("net/v1/node.toml");
    let (_, said) = qcn_ends(0, &["vote", "split", "--shard", "7", "--config", &config]);
    assert!(said.contains("warning: whether there is a shard 7 could not be checked"), "{said}");
    let weight =
        |number| ["vote", "weight", "--validator", number, "--weight", "5", "--config", &config];
    let (_, said) = qcn_ends(0, &weight("9"));
    assert!(said.contains("warning: whether there is a validator 9"), "{said}");
    assert_eq!(qcn_ends(0, &weight("3")).1, "", "the genesis has it");
    let much = ["vote", "weight", "--validator", "3", "--config", &config, "--weight"];
    let (_, said) = qcn_ends(2, &[&much[..], &["18446744073709551615"]].concat());
    assert!(said.contains("give at most"), "{said}");
}

/// Makes a key and gives its public part.
fn new_key(folder: &Folder, role: &str, name: &str) -> String {
    let file = folder.path(name);
    let new = ["key", "new", "--role", role, "--out", &file, "--unencrypted", "--json"];
    let made: serde_json::Value = serde_json::from_str(&qcn_ends(0, &new).0).unwrap();
    made["public_key"].as_str().unwrap().to_owned()
}

/// Given a node that tells the register.
/// When an operator votes to admit who is a validator already, then it is refused; for anybody else
/// it is not, and a name that is taken is said.
#[test]
fn nobody_is_admitted_twice() {
    let folder = laid_out("vote-admit");
    let [consensus, transport] =
        ["consensus", "transport"].map(|role| new_key(&folder, role, &format!("{role}.key")));
    let [genesis, config, out] =
        ["net/genesis.json", "net/v0/node.toml", "eve.json"].map(|name| folder.path(name));
    let keys = ["consensus.key", "transport.key"].map(|name| folder.path(name));
    let register = ["validator", "register", "--genesis", &genesis, "--name", "eve", "--out", &out];
    let keys = ["--consensus-key", &keys[0], "--transport-key", &keys[1]];
    qcn_ends(0, &[&register[..], &keys[..]].concat());
    let admit = ["vote", "admit", &out, "--config", &config];
    for (register, part) in [
        (format!(r#"{{"number":7,"consensus_key":"{consensus}"}}"#), "that of validator 7"),
        (format!(r#"{{"number":8,"transport_key":"{transport}"}}"#), "that of validator 8"),
    ] {
        let _node = answering(&folder, format!("[{register}]"));
        let (_, said) = qcn_ends(2, &admit);
        assert!(said.contains(part), "{said}");
        assert!(!folder.0.join("net/v0/data/epochs/registrations").exists());
    }
    let _node = answering(&folder, r#"[{"number":1,"name":"eve"}]"#.to_owned());
    let (out, said) = qcn_ends(0, &admit);
    assert!(said.contains("warning: validator 1 has the name eve too"), "{said}");
    assert!(out.contains("admit eve with weight 1000"), "{out}");
}

/// Given a node that tells how often validator 1 has replaced its keys, and its recovery key.
/// When a rotation is not the next one, or of another recovery key, then it is refused.
#[test]
fn a_rotation_that_is_not_the_next_one_is_refused() {
    let folder = laid_out("vote-rotate");
    let recovery = new_key(&folder, "recovery", "recovery.key");
    new_key(&folder, "transport", "transport.key");
    let names = ["net/genesis.json", "net/v0/node.toml", "r.json", "recovery.key", "transport.key"];
    let [genesis, config, out, of_recovery, of_transport] = names.map(|name| folder.path(name));
    let rotate = ["validator", "rotate", "--genesis", &genesis, "--recovery-key", &of_recovery];
    let what = ["--number", "1", "--counter", "2", "--name", "v1", "--out", &out];
    qcn_ends(0, &[&rotate[..], &what[..], &["--transport-key", &of_transport]].concat());
    let hand_in = ["vote", "rotate", &out, "--config", &config];
    let one = |recovery: &str, rotations: u64| {
        format!(r#"[{{"number":1,"recovery_key":{recovery},"rotations":{rotations}}}]"#)
    };
    let recovery = format!("\"{recovery}\"");
    for (register, part) in [
        (r#"[{"number":0}]"#.to_owned(), "removed from the register"),
        (one("null", 1), "has no recovery key"),
        (one("\"abcd\"", 1), "has another recovery key"),
        (one(&recovery, 0), "the next one is 1"),
        (one(&recovery, 2), "`qcn validator rotate --counter 3`"),
    ] {
        let _node = answering(&folder, register);
        let (_, said) = qcn_ends(2, &hand_in);
        assert!(said.contains(part), "{said}");
    }
    let _node = answering(&folder, one(&recovery, 1));
    let (out, said) = qcn_ends(0, &hand_in);
    assert!(said.is_empty() && out.contains("hand in rotation 2"), "{out}{said}");
}

/// Who is not in the register cannot leave; where there are as many seats as validators nobody
/// does for now, which is said.
#[test]
fn leaving_needs_somebody_for_the_seat() {
    let folder = laid_out("vote-leave");
    let config = folder.path("net/v0/node.toml");
    let leave = ["vote", "leave", "--config", &config];
    let node = answering(&folder, REGISTER.to_owned());
    assert!(qcn_ends(2, &leave).1.contains("there is nothing to leave"));
    drop(node);
    let key = folder.path("net/v0/consensus.key");
    let shown: serde_json::Value =
        serde_json::from_str(&qcn_ends(0, &["key", "show", &key, "--json"]).0).unwrap();
    let own = format!(r#"{{"number":0,"consensus_key":{}}}"#, shown["public_key"]);
    let node = answering(&folder, format!(r#"[{own},{{"number":1,"isolated":true}}]"#));
    let (out, said) = qcn_ends(0, &leave);
    assert!(said.contains("4 seats and there are 1 validators"), "{said}");
    assert!(out.contains("leave at the end of the epoch"), "{out}");
    drop(node);
    let others = r#"{"number":1},{"number":2},{"number":3},{"number":4}"#;
    let _node = answering(&folder, format!("[{own},{others}]"));
    assert_eq!(qcn_ends(0, &leave).1, "");
}
