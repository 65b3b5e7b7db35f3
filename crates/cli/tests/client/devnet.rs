//! `qcn devnet` in a folder that has a network already.

use super::{Folder, qcn_ends};

/// What differs from the network that is there is refused, and what is the same is not.
#[test]
fn a_network_that_is_there_cannot_become_another() {
    let folder = Folder::new("devnet");
    let dir = folder.path("net");
    let same = [
        ("--weights", "2000,1000"),
        ("--shards", "2"),
        ("--seats", "2"),
        ("--epoch-seconds", "9"),
        ("--split-above", "700"),
        ("--merge-below", "20"),
        ("--accounts", "2"),
        ("--scheme", "ml-dsa-44"),
    ];
    let run = |code, options: &[(&str, &str)]| {
        let options = options.iter().flat_map(|(option, value)| [*option, *value]);
        let all: Vec<&str> = ["devnet", "--init-only", "--dir", &dir].into_iter().collect();
        qcn_ends(code, &[all, options.collect()].concat()).1
    };
    run(0, &same);
    run(0, &same);
    run(0, &[]);
    for (option, value) in [
        ("--validators", "3"),
        ("--weights", "1000,2000"),
        ("--shards", "1"),
        ("--epoch-seconds", "0"),
        ("--epoch-seconds", "10"),
        ("--split-above", "2000"),
        ("--merge-below", "0"),
        ("--accounts", "64"),
        ("--scheme", "falcon-512"),
        ("--port", "1"),
    ] {
        let said = run(2, &[(option, value)]);
        let asked = format!("{option} {value} is asked for");
        assert!(said.contains(&asked) && said.contains("add --reset"), "{said}");
    }
    let said = run(2, &[("--shards", "2"), ("--seats", "1")]);
    assert!(said.contains("a network of --seats 2, and --seats 1 is asked for"), "{said}");
}
