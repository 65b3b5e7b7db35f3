use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use super::Folder;

/// What `new` writes, `show` shows without the passphrase, `export` opens with it, and `import`
/// makes the same key of.
#[test]
fn a_key_is_made_shown_exported_and_imported() {
    let folder = Folder::new();
    for (role, scheme) in [
        ("consensus", "falcon-512"),
        ("transport", "ml-dsa-65"),
        ("account", "ml-dsa-44"),
        ("recovery", "slh-dsa-sha2-128s"),
    ] {
        let made =
            folder.json(&format!("key new --role {role} --out {role}.key --passphrase-file pass"));
        assert_eq!(made["scheme"], scheme);
        assert_eq!(made["role"], role);
        assert_eq!(made["encrypted"], true);
        assert_eq!(made["address"].is_string(), role == "account");
        let mode = fs::metadata(folder.0.join(format!("{role}.key"))).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(folder.json(&format!("key show {role}.key")), made);
        let text = folder.ok(&format!("key show {role}.key"));
        assert!(text.contains(made["key_digest"].as_str().unwrap()), "{text}");

        let export = format!("key export {role}.key --yes-show-secret --passphrase-file pass");
        let seed = folder.ok(&export);
        assert_eq!(seed.trim().len(), 64);
        assert!(!folder.read(&format!("{role}.key")).contains(seed.trim()));
        assert_eq!(folder.json(&export)["secret_seed"], seed.trim());
        folder.private("seed", &seed);
        let again = folder.json(&format!(
            "key import --role {role} --seed-file seed --out {role}.2.key --unencrypted"
        ));
        assert_eq!(again["public_key"], made["public_key"]);
        assert_eq!(again["encrypted"], false);
        assert!(folder.read(&format!("{role}.2.key")).contains("NOT ENCRYPTED"));
    }
}

#[test]
fn an_account_has_an_address() {
    let folder = Folder::new();
    for scheme in ["ml-dsa-44", "falcon-512", "slh-dsa-sha2-128s"] {
        let line = format!("account new --scheme {scheme} --out {scheme}.key --unencrypted");
        let made = folder.json(&line);
        assert_eq!(made["address"].as_str().unwrap().len(), 64);
        let text = folder.ok(&format!("key show {scheme}.key"));
        assert!(text.contains(made["address"].as_str().unwrap()), "{text}");
    }
}

#[test]
fn a_seed_comes_from_standard_input_too() {
    let folder = Folder::new();
    let line = "key import --role account --seed-file - --out a.key --unencrypted";
    let output = folder.run(line, &"0b".repeat(32));
    assert!(output.status.success());
    for (number, (seed, part)) in [
        ("", "0 bytes instead of 32"),
        ("0b0b", "2 bytes instead of 32"),
        ("zz", "no seed"),
        (&"0b".repeat(33), "33 bytes"),
        (&"0b".repeat(400), "no seed"),
    ]
    .into_iter()
    .enumerate()
    {
        let line = format!("key import --role account --seed-file - --out {number} --unencrypted");
        let output = folder.run(&line, seed);
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{said}");
        let is_said = said.contains(part) || said.contains("instead of 32");
        assert!(is_said && said.contains("give 64 hex digits"), "{said}");
        assert!(!folder.0.join(number.to_string()).exists());
    }
}

#[test]
fn what_cannot_be_done_is_said_with_its_remedy() {
    let folder = Folder::new();
    folder.ok("key new --role account --out alice.key --passphrase-file pass");
    let before = folder.read("alice.key");
    folder.private("other", "wrong horse");
    folder.private("damaged.key", &before.replacen("\"account\"", "\"consensus\"", 1));
    folder.private("short.key", &before[..before.len() / 2]);
    for (line, part) in [
        ("key new --role account --out alice.key --unencrypted", "add --overwrite"),
        ("key new --role account --out new.key", "give --passphrase-file FILE"),
        ("key new --role account --out new.key --passphrase-file none", "none: cannot read"),
        ("key new --role king --out new.key --unencrypted", "use one of consensus"),
        ("key new --role account --scheme rsa --out new.key", "use one of falcon-512"),
        ("key new --role transport --scheme ml-dsa-44 --out new.key --unencrypted", "ml-dsa-65"),
        ("key export alice.key --passphrase-file pass", "add --yes-show-secret"),
        ("key export alice.key --yes-show-secret --passphrase-file other", "wrong passphrase"),
        ("key show nowhere.key", "nowhere.key: cannot read"),
        ("key show pass", "pass: this is no whole key file"),
        ("key show damaged.key", "damaged.key: the key file is damaged"),
        ("key show short.key", "short.key: this is no whole key file"),
    ] {
        let said = folder.refused(line);
        assert!(said.contains(part), "{line}\n{said}\ndoes not say {part}");
        assert!(!folder.0.join("new.key").exists(), "{line}");
    }
    assert_eq!(folder.read("alice.key"), before);
    fs::set_permissions(folder.0.join("alice.key"), fs::Permissions::from_mode(0o644)).unwrap();
    let said = folder.refused("key show alice.key");
    assert!(said.contains("run `chmod 600 alice.key`"), "{said}");
    // What is no key is not told to have other permissions.
    fs::set_permissions(folder.0.join("pass"), fs::Permissions::from_mode(0o644)).unwrap();
    let said = folder.refused("key show pass");
    assert!(said.contains("pass: this is no whole key file") && !said.contains("chmod"), "{said}");
}

#[test]
fn a_key_is_overwritten_on_demand_only() {
    let folder = Folder::new();
    let first = folder.json("key new --role account --out a.key --unencrypted");
    let second = folder.json("key new --role account --out a.key --unencrypted --overwrite");
    assert_ne!(first["public_key"], second["public_key"]);
    assert_eq!(folder.json("key show a.key"), second);
}
