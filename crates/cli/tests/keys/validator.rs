//! `qcn validator`: registrations and rotations for a network that runs, and votes on them.

use std::fs;

use serde_json::{Value, json};

use super::Folder;

/// A network with epochs of four validators, and keys of somebody else: eve.
fn network() -> Folder {
    let folder = Folder::new();
    for name in ["a", "b", "c", "d"] {
        for role in ["consensus", "transport"] {
            folder.ok(&format!("key new --role {role} --out {name}.{role}.key --unencrypted"));
        }
        folder.ok(&format!(
            "genesis validator --name {name} --consensus-key {name}.consensus.key \
             --transport-key {name}.transport.key --out {name}.validator.json"
        ));
    }
    let validators =
        "a.validator.json b.validator.json c.validator.json d.validator.json --created-unix-ms 1";
    folder.ok(&format!(
        "genesis new --name net --validator {validators} --epoch-seconds 60 --out genesis.json"
    ));
    folder
        .ok(&format!("genesis new --name still --validator {validators} --out still/genesis.json"));
    fs::create_dir(folder.0.join("eve")).unwrap();
    for role in ["consensus", "transport"] {
        folder.ok(&format!("key new --role {role} --out eve/{role}.key --passphrase-file pass"));
    }
    folder
}

const REGISTER: &str = "validator register --name eve --consensus-key eve/consensus.key \
    --transport-key eve/transport.key --passphrase-file pass";

fn digest_of(folder: &Folder, key: &str) -> Value {
    folder.json(&format!("key show {key}"))["key_digest"].clone()
}

/// The configuration of validator a, whose data folder is `data`.
fn configured(folder: &Folder) {
    fs::create_dir(folder.0.join("a")).unwrap();
    for role in ["consensus", "transport"] {
        fs::rename(folder.0.join(format!("a.{role}.key")), folder.0.join(format!("a/{role}.key")))
            .unwrap();
    }
    folder.ok("node new --genesis genesis.json --keys a --data data --listen 127.0.0.1:7400 \
         --api 127.0.0.1:1 --out a.toml");
}

/// Given the keys of somebody whom the genesis does not name.
/// When it registers, the registration says what it registers; then its node can be configured, and
/// not without the registration.
#[test]
fn whoever_joins_registers_and_configures_a_node() {
    let folder = network();
    let flags = "--genesis genesis.json --weight 700 --address eve.example:7400";
    let made = folder.json(&format!("{REGISTER} {flags} --out eve.json"));
    assert_eq!((&made["name"], &made["weight"]), (&json!("eve"), &json!(700)));
    assert_eq!(made["consensus_key_digest"], digest_of(&folder, "eve/consensus.key"));
    assert_eq!(made["transport_key_digest"], digest_of(&folder, "eve/transport.key"));
    assert_eq!(made["recovery_key_digest"], Value::Null);
    let document: Value = serde_json::from_str(&folder.read("eve.json")).unwrap();
    assert_eq!(document["format"], "qcn-registration/1");
    assert_eq!(document["chain_id"], made["chain_id"]);
    let said = folder.ok(&format!("{REGISTER} {flags} --out eve.json --overwrite"));
    assert!(said.contains(made["registration"].as_str().unwrap()), "the same digest: {said}");
    assert!(said.contains("`qcn vote admit`") && said.contains("--registration"), "{said}");

    let new = "node new --genesis genesis.json --keys eve --listen 0.0.0.0:7400 --out eve.toml";
    let said = folder.refused(new);
    assert!(said.contains("no validator has the consensus key"), "{said}");
    assert!(said.contains("--registration"), "{said}");
    let said = folder.ok(&format!("{new} --registration eve.json"));
    assert!(said.starts_with("wrote eve.toml, for validator eve, once it is admitted\n"), "{said}");
    fs::rename(folder.0.join("eve/transport.key"), folder.0.join("eve/old.key")).unwrap();
    folder.ok("key new --role transport --out eve/transport.key --unencrypted");
    let said = folder.refused(&format!("{new} --registration eve.json --overwrite"));
    assert!(said.contains("eve.json: the transport key of validator eve is not"), "{said}");
    folder.ok("key new --role consensus --out eve/consensus.key --unencrypted --overwrite");
    let said = folder.refused(&format!("{new} --registration eve.json --overwrite"));
    assert!(said.contains("eve.json: it registers the consensus key"), "{said}");
}

#[test]
fn what_makes_no_registration_is_refused() {
    let folder = network();
    for (flags, parts) in [
        ("", ["--genesis", ""]),
        ("--genesis still/genesis.json", ["there are no epochs", "--epoch-seconds"]),
        ("--genesis genesis.json --weight 0", ["weight", "about 1000"]),
        ("--genesis genesis.json --address nowhere", ["address", "host:port"]),
        ("--genesis genesis.json --recovery-key eve/consensus.key", ["eve/consensus.key", ""]),
    ] {
        let said = folder.refused(&format!("{REGISTER} {flags} --out g"));
        assert!(parts.iter().all(|part| said.contains(part)), "{flags}: {said}");
        assert!(!folder.0.join("g").exists(), "{flags}");
    }
    folder.ok("key new --role consensus --scheme ml-dsa-44 --out other.key --unencrypted");
    let said = folder.refused(
        "validator register --genesis genesis.json --name eve --consensus-key other.key \
         --transport-key eve/transport.key --passphrase-file pass --out g",
    );
    assert!(said.contains("consensus_key.scheme") && said.contains("falcon-512"), "{said}");
}

/// Given a node whose operator is for a newcomer.
/// When it votes, the document is kept in its data folder, and the vote is shown with the
/// newcomer's name; the last word counts, and a vote that is withdrawn is gone.
#[test]
fn votes_on_newcomers_are_kept_with_their_documents() {
    let folder = network();
    configured(&folder);
    let register = format!("{REGISTER} --genesis genesis.json --weight 700");
    let made = folder.json(&format!("{register} --out eve.json"));
    let digest = made["registration"].as_str().unwrap();

    let voted = folder.json("vote admit eve.json --config a.toml");
    let vote = &voted[0]["votes"][0];
    assert_eq!((&vote["for"], &vote["weight"]), (&json!("admit"), &json!(700)));
    assert_eq!(vote["registration"], made["registration"]);
    assert_eq!(vote["consensus_key"], made["consensus_key_digest"]);
    let kept = folder.read(&format!("data/epochs/registrations/{digest}.json"));
    assert_eq!(kept, folder.read("eve.json"));
    let voted = folder.json("vote admit eve.json --weight 500 --config a.toml --hours 2");
    assert_eq!(voted[0]["votes"].as_array().unwrap().len(), 1);
    let shown = folder.ok("vote show --config a.toml");
    assert!(shown.contains(&format!("admit eve with weight 500, by registration {digest}")));

    let output = folder.run("vote leave --config a.toml", "");
    assert!(output.status.success());
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("warning: whether the validator is in the register"), "{said}");
    assert!(folder.ok("vote show --config a.toml").contains("leave at the end of the epoch"));
    folder.ok("vote withdraw --leave --config a.toml");
    folder.ok(&format!("vote withdraw --admit {digest} --config a.toml"));
    assert!(folder.ok("vote show --config a.toml").contains("votes for nothing"));
    let said = folder.refused(&format!("vote withdraw --admit {digest} --config a.toml"));
    assert!(said.contains("does not vote for this"), "{said}");
    folder.refused("vote withdraw --config a.toml");

    // Of another network, and damaged.
    folder
        .ok("genesis new --name other --validator b.validator.json --epoch-seconds 60 --seats 1 \
         --out other.json");
    folder.ok(&format!("{REGISTER} --genesis other.json --out other-eve.json"));
    let said = folder.refused("vote admit other-eve.json --config a.toml");
    assert!(said.contains("other-eve.json: chain_id: it is for the network"), "{said}");
    let damaged = folder.read("eve.json").replace("\"weight\": 700", "\"weight\": 701");
    folder.private("damaged.json", &damaged);
    let said = folder.refused("vote admit damaged.json --config a.toml");
    assert!(said.contains("consensus_possession") && said.contains("register` again"), "{said}");
    for weight in ["0", "18446744073709551615"] {
        let said =
            folder.refused(&format!("vote admit eve.json --weight {weight} --config a.toml"));
        assert!(said.contains("give at"), "{said}");
    }
    assert!(folder.ok("vote show --config a.toml").contains("votes for nothing"));
}

/// Given a recovery key elsewhere.
/// When it replaces a consensus key, then any member hands the document in; what belongs to no
/// validator, or replaces nothing, is refused.
#[test]
fn new_keys_are_signed_by_the_recovery_key_and_handed_in() {
    let folder = network();
    configured(&folder);
    folder.private("recovery.pass", "another one\n");
    folder.ok("key new --role recovery --out recovery.key --passphrase-file recovery.pass");
    let rotate = "validator rotate --genesis genesis.json --recovery-key recovery.key \
                  --recovery-passphrase-file recovery.pass --passphrase-file pass";
    let made = folder.json(&format!(
        "{rotate} --number 4 --counter 1 --name eve --consensus-key eve/consensus.key \
         --out rotation.json"
    ));
    assert_eq!((&made["validator"], &made["counter"]), (&json!(4), &json!(1)));
    assert_eq!(made["consensus_key_digest"], digest_of(&folder, "eve/consensus.key"));
    assert_eq!(made["transport_key_digest"], Value::Null);
    assert_eq!(made["recovery_key_digest"], digest_of(&folder, "recovery.key"));
    let said = folder.ok(&format!(
        "{rotate} --number 4 --counter 1 --name eve --transport-key eve/transport.key --out t.json"
    ));
    assert!(said.contains("next_transport_key") && said.contains("`qcn vote rotate`"), "{said}");

    let voted = folder.json("vote rotate rotation.json --config a.toml");
    let vote = &voted[0]["votes"][0];
    assert_eq!((&vote["for"], &vote["validator"]), (&json!("rotate"), &json!(4)));
    let digest = made["rotation"].as_str().unwrap();
    let kept = folder.read(&format!("data/epochs/rotations/{digest}.json"));
    assert_eq!(kept, folder.read("rotation.json"));
    folder.ok("vote rotate t.json --config a.toml");
    let shown = folder.ok("vote show --config a.toml");
    assert_eq!(shown.matches("hand in rotation 1 of the keys of validator 4").count(), 1);
    folder.ok("vote withdraw --rotate 4 --config a.toml");

    for (flags, part) in [
        ("--number 4 --counter 1 --name eve", "--consensus-key"),
        ("--number 4 --counter 0 --name eve --consensus-key eve/consensus.key", "--counter"),
        (
            "--number 1 --counter 1 --name eve --consensus-key eve/consensus.key",
            "validator 1 is registered as b",
        ),
        ("--number 4 --counter 1 --name eve --transport-key eve/consensus.key", "consensus.key"),
    ] {
        let said = folder.refused(&format!("{rotate} {flags} --out g"));
        assert!(said.contains(part), "{flags}: {said}");
        assert!(!folder.0.join("g").exists(), "{flags}");
    }
    let damaged = folder.read("rotation.json").replace("\"counter\": 1", "\"counter\": 2");
    folder.private("damaged.json", &damaged);
    let said = folder.refused("vote rotate damaged.json --config a.toml");
    assert!(said.contains("possession") && said.contains("rotate` again"), "{said}");
}

/// The keys of the next epoch are read with the others, and as strictly.
#[test]
fn next_keys_are_checked_with_the_configuration() {
    let folder = network();
    configured(&folder);
    let written = folder.read("a.toml");
    assert!(written.contains("\n# next_consensus_key = "), "{written}");
    let with = |line: &str| {
        let text = written.replace("\n# next_consensus_key = \"next-consensus.key\"", line);
        assert!(text.contains(line));
        let text = text
            .replace("\n# passphrase_file = \"passphrase.txt\"", "\npassphrase_file = \"pass\"");
        fs::write(folder.0.join("a.toml"), text).unwrap();
    };
    with("\nnext_consensus_key = \"eve/consensus.key\"");
    folder.ok("node --config a.toml --check");
    with("\nnext_consensus_key = \"eve/transport.key\"");
    assert!(folder.refused("node --config a.toml --check").contains("eve/transport.key"));
    with("\nnext_consensus_key = \"eve/none.key\"");
    assert!(folder.refused("node --config a.toml --check").contains("cannot read the file"));
    with("\nnext_consensus_key = \"a/consensus.key\"");
    assert!(folder.refused("node --config a.toml --check").contains("is the present key"));
    fs::copy(folder.0.join("eve/consensus.key"), folder.0.join("open.key")).unwrap();
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o644);
    fs::set_permissions(folder.0.join("open.key"), mode).unwrap();
    with("\nnext_consensus_key = \"open.key\"");
    assert!(folder.refused("node --config a.toml --check").contains("chmod 600"));
}
