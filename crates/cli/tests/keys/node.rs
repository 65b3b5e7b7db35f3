//! `qcn node new`: from keys and a genesis to a node that can start, with no file edited by hand.

use std::fs;

use super::Folder;

/// A network of one validator, whose keys lie in `alice`.
fn network() -> Folder {
    let folder = Folder::new();
    fs::create_dir(folder.0.join("alice")).unwrap();
    for role in ["consensus", "transport"] {
        folder.ok(&format!("key new --role {role} --out alice/{role}.key --passphrase-file pass"));
    }
    folder.ok("genesis validator --name alice --consensus-key alice/consensus.key \
         --transport-key alice/transport.key --address alice.example:7400 \
         --passphrase-file pass --out alice.validator.json");
    folder.ok("genesis new --name net --validator alice.validator.json --out genesis.json");
    folder
}

#[test]
fn a_written_configuration_starts_a_node() {
    let folder = network();
    let said =
        folder.ok("node new --genesis genesis.json --listen 0.0.0.0:7400 --passphrase-file pass \
         --advertise me.example:1 --seed b.example:2 --seed c.example:3 --api 127.0.0.1:9000 \
         --api-host a.example --api-host api --client ABABABABABABABABABABABABABABABABABABABABABABABABABABABABABABABAB \
         --out alice/node.toml");
    assert!(said.starts_with("wrote alice/node.toml, for validator alice\n"), "{said}");
    assert!(folder.ok("node --config alice/node.toml --check").contains("in order"));
    assert!(folder.ok("node --config alice/node.toml --init").contains("ready"));
    let written = folder.read("alice/node.toml");
    for line in [
        "listen = \"0.0.0.0:7400\"",
        "advertise = \"me.example:1\"",
        "seeds = [\"b.example:2\", \"c.example:3\"]",
        "listen = \"127.0.0.1:9000\"",
        "hosts = [\"a.example\", \"api\"]",
        &format!("clients = [\"{}\"]", "ab".repeat(32)),
        "consensus_key = \"consensus.key\"",
        "data = \"data\"",
    ] {
        assert!(written.lines().any(|one| one == line), "{line} is not in\n{written}");
    }
}

/// A folder with all that a node needs can be moved as a whole.
#[test]
fn what_lies_beside_the_file_is_found_beside_it() {
    let folder = network();
    for file in ["genesis.json", "pass"] {
        fs::copy(folder.0.join(file), folder.0.join("alice").join(file)).unwrap();
    }
    folder.ok("node new --listen 0.0.0.0:7400 --passphrase-file alice/pass --api 0.0.0.0:8080 \
         --allow-remote --out alice/node.toml");
    fs::rename(folder.0.join("alice"), folder.0.join("moved")).unwrap();
    folder.ok("node --config moved/node.toml --check");
    // What lies elsewhere is named in full.
    folder.ok(
        "node new --listen 0.0.0.0:7400 --keys moved --genesis genesis.json --data /var/lib/qcn \
         --out elsewhere.toml",
    );
    let written = folder.read("elsewhere.toml");
    assert!(written.contains("\ndata = \"/var/lib/qcn\"\n"), "{written}");
    assert!(written.contains("\nconsensus_key = \"moved/consensus.key\"\n"), "{written}");
}

/// A check finds what would keep the node from starting, and a folder with a history is not
/// marked as that of a key that never signed.
#[test]
fn a_check_and_a_mark_refuse_what_cannot_be() {
    let folder = network();
    folder.ok("node new --genesis genesis.json --listen 0.0.0.0:7400 --passphrase-file pass \
         --keys alice --out alice/node.toml");
    fs::create_dir_all(folder.0.join("alice/data/archive")).unwrap();
    let said = folder.refused("node --config alice/node.toml --init");
    assert!(said.contains("holds the history") && said.contains("without marking"), "{said}");
    assert!(!folder.0.join("alice/data/log").exists());
    fs::remove_file(folder.0.join("alice/consensus.key")).unwrap();
    folder.ok("key new --role consensus --out alice/consensus.key --passphrase-file pass");
    let said = folder.refused("node --config alice/node.toml --check");
    assert!(said.contains("is not that of any validator in the genesis"), "{said}");
}

/// A data folder that cannot be is bad input, and no sign that the validator has stopped for good.
#[test]
fn a_data_folder_that_cannot_be_is_refused_with_the_cause() {
    let folder = network();
    folder.private("afile", "mine");
    for data in ["afile", "/proc/nope"] {
        folder.ok(&format!(
            "node new --genesis genesis.json --listen 127.0.0.1:0 --passphrase-file pass --keys \
             alice --data {data} --out alice/node.toml --force"
        ));
        let said = folder.refused("node --config alice/node.toml");
        assert!(
            said.contains(data) && said.contains("cannot be used as the data folder"),
            "{said}"
        );
        let said = folder.refused("node --config alice/node.toml --init");
        assert!(said.contains(data) && said.contains("cannot create the folder"), "{said}");
    }
    assert_eq!(folder.read("afile"), "mine");
}

/// Given the transport key of the node itself among its clients, or one twice, then no
/// configuration is written, and one that says so is refused.
#[test]
fn clients_have_keys_of_their_own() {
    let folder = network();
    let own =
        folder.json("key show alice/transport.key")["key_digest"].as_str().unwrap().to_owned();
    folder.ok("key new --role transport --out client.key --unencrypted");
    let client = folder.json("key show client.key");
    let [digest, whole] = ["key_digest", "public_key"].map(|it| client[it].as_str().unwrap());
    let new = "node new --genesis genesis.json --listen 0.0.0.0:7400 --passphrase-file pass \
               --keys alice --out alice/node.toml";
    let said = folder.refused(&format!("{new} --client {own}"));
    assert!(said.contains("transport key of this node itself") && said.contains("qcn key new"));
    // The same key in its two forms.
    let said = folder.refused(&format!("{new} --client {digest} --client {whole}"));
    assert!(
        said.contains("network.clients[1]") && said.contains("leave one of them out"),
        "{said}"
    );
    assert!(folder.refused(&format!("{new} --client abc")).contains("digest has 64 hex digits"));
    assert!(!folder.0.join("alice/node.toml").exists());

    folder.ok(&format!("{new} --client {whole}"));
    folder.ok("node --config alice/node.toml --check");
    let written = folder.read("alice/node.toml");
    assert!(written.contains(&format!("clients = [\"{digest}\"]")), "{written}");
    fs::write(folder.0.join("alice/node.toml"), written.replace(digest, &own)).unwrap();
    let said = folder.refused("node --config alice/node.toml --check");
    assert!(said.contains("transport key of this node itself"), "{said}");
}

#[test]
fn what_makes_no_configuration_is_refused_and_nothing_is_written() {
    let folder = network();
    for role in ["consensus", "transport"] {
        folder.ok(&format!("key new --role {role} --out {role}.key --unencrypted"));
    }
    fs::create_dir(folder.0.join("mixed")).unwrap();
    for (key, from) in [("consensus", "alice"), ("transport", ".")] {
        let name = format!("{key}.key");
        fs::copy(folder.0.join(from).join(&name), folder.0.join("mixed").join(&name)).unwrap();
    }
    folder.private("there.toml", "mine");
    for (line, parts) in [
        ("--keys alice --out g.toml", ["--listen", ""]),
        ("--listen here --keys alice --out g.toml", ["--listen", "invalid socket address"]),
        ("--listen 0.0.0.0:1 --keys none --out g.toml", ["--keys must name", "none/consensus.key"]),
        ("--listen 0.0.0.0:1 --out g.toml", ["no validator has the consensus key", "--keys"]),
        ("--listen 0.0.0.0:1 --keys mixed --out g.toml", ["validator alice is not", "--keys"]),
        (
            "--listen 0.0.0.0:1 --keys alice --genesis none --out g.toml",
            ["none: cannot read the file", "check the path"],
        ),
        (
            "--listen 0.0.0.0:1 --keys alice --api 0.0.0.0:80 --out g.toml",
            ["g.toml: api.listen: ", "api.allow_remote = true"],
        ),
        (
            "--listen 0.0.0.0:1 --keys alice --advertise me --out g.toml",
            ["g.toml: network.advertise: ", "host:port"],
        ),
        ("--listen 0.0.0.0:1 --keys alice --out there.toml", ["exists already", "--overwrite"]),
        ("--listen 0.0.0.0:1 --keys alice --out there.toml --config x", ["--config", ""]),
    ] {
        let said = folder.refused(&format!("node new {line}"));
        for part in parts {
            assert!(said.contains(part), "{line}\n{said}\ndoes not say {part}");
        }
        assert!(!folder.0.join("g.toml").exists(), "{line}");
    }
    assert_eq!(folder.read("there.toml"), "mine");
    folder.ok("node new --listen 0.0.0.0:1 --keys alice --out there.toml --force");
    assert!(folder.read("there.toml").contains("0.0.0.0:1"));
}
