use serde_json::{Value, json};

use super::Folder;

/// Keys and a registration for each name.
fn register(folder: &Folder, names: &[&str]) {
    for name in names {
        for role in ["consensus", "transport"] {
            folder.ok(&format!("key new --role {role} --out {name}.{role}.key --unencrypted"));
        }
        folder.ok(&format!(
            "genesis validator --name {name} --consensus-key {name}.consensus.key \
             --transport-key {name}.transport.key --address {name}.example:7400 \
             --out {name}.validator.json"
        ));
    }
}

const FOUR: &str =
    "--validator a.validator.json b.validator.json c.validator.json d.validator.json";

#[test]
fn four_operators_and_a_coordinator_make_a_genesis() {
    let folder = Folder::new();
    register(&folder, &["a", "b", "c"]);
    // One operator does everything by the book.
    for role in ["consensus", "transport", "recovery"] {
        folder.ok(&format!("key new --role {role} --out d.{role}.key --passphrase-file pass"));
    }
    let registration = folder.json(
        "genesis validator --name d --weight 9000 --consensus-key d.consensus.key \
         --transport-key d.transport.key --recovery-key d.recovery.key --passphrase-file pass \
         --address d.example:7400 --out d.validator.json",
    );
    assert_eq!(registration["format"], "qcn-validator/1");
    let account = folder.json("account new --out treasury.key --unencrypted");
    let address = account["address"].as_str().unwrap();
    let other = "ab".repeat(32);

    let line = format!(
        "genesis new --name testnet {FOUR} --account treasury.key=1000000,treasury {other}=5 \
         --created-unix-ms 1700000000000"
    );
    let made = folder.json(&format!("{line} --out genesis.json"));
    assert_eq!(made["accounts"][0]["address"], address);
    assert_eq!(made["accounts"][0]["name"], "treasury");
    assert_eq!(made["accounts"][1]["balance"], "5");
    assert_eq!(made["supply"], "1000005");
    assert_eq!(made["committee"]["size"], 4);
    assert_eq!(made["validators"][3]["asked_weight"], 9000);
    assert_eq!(made["validators"][3]["weight"], made["committee"]["fault_weight"]);
    assert!(made["warnings"][0].as_str().unwrap().contains("d asked for weight 9000"));

    assert_eq!(folder.json("genesis show genesis.json"), made);
    let checked = folder.json("genesis check genesis.json");
    assert_eq!(checked["chain_id"], made["chain_id"]);
    assert_eq!(checked["ok"], true);
    let text = folder.ok("genesis show genesis.json");
    assert!(text.contains(made["chain_id"].as_str().unwrap()), "{text}");
    assert!(text.contains("d.example:7400"), "{text}");
    assert!(folder.ok("genesis check genesis.json").starts_with("ok: "));

    // The same arguments give the same chain; another time gives another.
    let again = folder.json(&format!("{line} --out again.json"));
    assert_eq!(again["chain_id"], made["chain_id"]);
    let later = folder.json(&format!("genesis new --name testnet {FOUR} --out later.json"));
    assert_ne!(later["chain_id"], made["chain_id"]);
}

/// What the flags say is what the section of the genesis says, and what is left out is said too.
#[test]
fn shards_and_epochs_are_asked_for_by_flags() {
    let folder = Folder::new();
    register(&folder, &["a", "b", "c", "d"]);
    let new = |flags: &str, out: &str| {
        let line = format!("genesis new --name net {FOUR} --created-unix-ms 1 {flags} --out {out}");
        folder.json(&line)
    };
    let one = new("", "one.json");
    assert_eq!((&one["seats"], &one["epochs"]), (&Value::Null, &Value::Null));
    assert!(!folder.read("one.json").contains("\"shards\""), "it is as it was");

    let shards = new("--shards 2", "shards.json");
    assert_eq!((shards["shards"].as_array().unwrap().len(), &shards["seats"]), (2, &json!(4)));
    assert_eq!(shards["epochs"], Value::Null);
    assert_eq!(new("--shards 2 --seats 3", "seats.json")["shards"][1]["committee"]["size"], 3);

    let usual = new("--epoch-seconds 60", "usual.json");
    let epochs = json!({"epoch_ms": 60_000, "shards_max": 1, "split_above": 1_000,
        "merge_below": 0});
    assert_eq!((&usual["epochs"], &usual["seats"]), (&epochs, &json!(4)));
    let all = "--shards 2 --seats 3 --epoch-seconds 3600 --shards-max 8 --split-above 900 \
               --merge-below 300";
    let made = new(all, "all.json");
    let epochs = json!({"epoch_ms": 3_600_000, "shards_max": 8, "split_above": 900,
        "merge_below": 300});
    assert_eq!((&made["epochs"], &made["seats"]), (&epochs, &json!(3)));
    assert_eq!(folder.json("genesis show all.json"), made);
    let text = folder.ok("genesis show all.json");
    for line in [
        "seats    3 a shard, of 4 validators",
        "epochs   of 3600 s at least, then committees are drawn anew",
        "layout   up to 8 shards, split above 900 transactions/s",
        "         merged below 300 transactions/s of both siblings",
    ] {
        assert!(text.lines().any(|one| one == line), "{line} is missing in\n{text}");
    }
    assert!(folder.ok("genesis show usual.json").contains("merged by vote only"));
    folder.ok("genesis check all.json");
}

#[test]
fn flags_of_a_layout_that_cannot_be_are_refused_with_the_remedy() {
    let folder = Folder::new();
    register(&folder, &["a", "b", "c", "d"]);
    for (flags, part) in [
        ("--shards 2 --seats 5", "there are 4 validators; give at most so many"),
        ("--shards 0", "1..=256"),
        ("--shards 257", "1..=256"),
        ("--seats 0", "1.."),
        ("--epoch-seconds 0", "1.."),
        ("--shards 2 --shards-max 4", "--epoch-seconds"),
        ("--epoch-seconds 60 --split-above 5", "--shards-max"),
        ("--shards 4 --epoch-seconds 60 --shards-max 2", "give 4 to 256"),
        (
            "--epoch-seconds 60 --shards-max 2 --split-above 100 --merge-below 34",
            "give 33 or less, or a higher --split-above",
        ),
        ("--epoch-seconds 60 --merge-below 400", "give 333 or less"),
    ] {
        let said = folder.refused(&format!("genesis new --name net {FOUR} {flags} --out g"));
        assert!(said.contains(part), "{flags}\n{said}\ndoes not say {part}");
        assert!(!folder.0.join("g").exists(), "{flags}");
    }
}

/// Each key may have a passphrase of its own, and the rest share one.
#[test]
fn every_key_may_have_its_own_passphrase() {
    let folder = Folder::new();
    for role in ["consensus", "transport", "recovery"] {
        folder.private(&format!("{role}.pass"), &format!("the one of {role}\n"));
        folder.ok(&format!("key new --role {role} --out {role}.key --passphrase-file {role}.pass"));
    }
    let keys = "genesis validator --name d --consensus-key consensus.key \
                --transport-key transport.key --recovery-key recovery.key";
    let own = |role: &str| format!("--{role}-passphrase-file {role}.pass");
    let all = ["consensus", "transport", "recovery"].map(own).join(" ");
    folder.ok(&format!("{keys} {all} --out all.json"));
    let [transport, recovery] = ["transport", "recovery"].map(own);
    folder.ok(&format!(
        "{keys} --passphrase-file consensus.pass {transport} {recovery} --out common.json"
    ));
    let said = folder.refused(&format!("{keys} --passphrase-file consensus.pass --out g"));
    assert!(said.contains("transport.key: ") && said.contains("passphrase"), "{said}");
    let said = folder.refused(&format!("{keys} {transport} {recovery} --out g"));
    assert!(said.contains("terminal"), "the consensus key has none: {said}");
    assert!(!folder.0.join("g").exists());
}

#[test]
fn a_wrong_genesis_is_refused_with_file_place_and_remedy() {
    let folder = Folder::new();
    register(&folder, &["a", "b", "c", "d"]);
    folder.ok(&format!("genesis new --name net {FOUR} --out genesis.json"));
    let genesis = folder.read("genesis.json");
    for (from, to, place, part) in [
        ("\"weight\": 1000", "\"weight\": 0", "validators[0].weight", "a weight from 1"),
        ("\"weight\"", "\"wieght\"", "validators[0].wieght (line ", "correct its spelling"),
        ("\"name\": \"b\"", "\"name\": \"c\"", "validators[2].name", "each its own name"),
        ("qcn-genesis/1", "qcn-genesis/7", "format", "qcn-genesis/1"),
        ("\"gc_depth\": 64", "\"gc_depth\": 1", "consensus.gc_depth", "give at least"),
        ("a.example:7400", "a.example", "validators[0].address", "host:port"),
    ] {
        folder.private("wrong.json", &genesis.replacen(from, to, 1));
        for command in ["show", "check"] {
            let said = folder.refused(&format!("genesis {command} wrong.json"));
            assert!(said.starts_with(&format!("error: wrong.json: {place}")), "{said}");
            assert!(said.contains(part), "{said} does not say {part}");
        }
    }
    // A stolen registration: only `check` looks at the proofs.
    folder.private("stolen.json", &genesis.replacen("\"name\": \"b\"", "\"name\": \"eve\"", 1));
    let said = folder.refused("genesis check stolen.json");
    assert!(said.contains("stolen.json: validators[1].consensus_possession: "), "{said}");
    folder.ok("genesis show stolen.json");
}

#[test]
fn what_cannot_be_put_together_is_said() {
    let folder = Folder::new();
    register(&folder, &["a"]);
    folder.ok("key new --role account --out acc.key --unencrypted");
    for (line, part) in [
        ("genesis new --name net --out g", "--validator"),
        ("genesis new --name net --validator none --out g", "none: cannot read the file"),
        ("genesis new --name net --validator acc.key --out g", "acc.key: format: "),
        (
            "genesis new --name net --validator a.validator.json a.validator.json --out g",
            "validators[1].name",
        ),
        (
            "genesis new --name net --validator a.validator.json --account acc.key --out g",
            "write ADDRESS=BALANCE",
        ),
        (
            "genesis new --name net --validator a.validator.json --account acc.key=-1 --out g",
            "write ADDRESS=BALANCE",
        ),
        (
            "genesis new --name net --validator a.validator.json --account none=1 --out g",
            "neither an address",
        ),
        (
            "genesis new --name net --validator a.validator.json --account a.consensus.key=1 --out g",
            "a key for the role consensus",
        ),
        (
            "genesis new --name net --validator a.validator.json --account acc.key=1 acc.key=2 --out g",
            "add the two balances up",
        ),
        (
            "genesis validator --name x --consensus-key acc.key --transport-key a.transport.key --out g",
            "a key for the role account",
        ),
        (
            "genesis validator --name x --weight 0 --consensus-key a.consensus.key \
             --transport-key a.transport.key --out g",
            "validator.weight",
        ),
        (
            "genesis validator --name x --address here --consensus-key a.consensus.key \
             --transport-key a.transport.key --out g",
            "validator.address",
        ),
        (
            "genesis new --name net --validator a.validator.json --out a.validator.json",
            "exists already",
        ),
    ] {
        let said = folder.refused(line);
        assert!(said.contains(part), "{line}\n{said}\ndoes not say {part}");
        assert!(!folder.0.join("g").exists(), "{line}");
    }
}
