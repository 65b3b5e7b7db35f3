//! `qcn crypto` as a person or a script runs it.

#![allow(clippy::unwrap_used, reason = "these are tests")]

use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

/// Runs `qcn crypto` with arguments and standard input.
fn qcn(arguments: &[&str], input: &[u8]) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_qcn"))
        .arg("crypto")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    // A command that refuses its arguments does not read its input.
    let writer = std::thread::spawn(move || drop(stdin.write_all(&input)));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    output
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

/// A path that no other test uses; the file is removed when this is dropped.
struct TemporaryFile(PathBuf);

impl TemporaryFile {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("qcn-{}-{name}", std::process::id()));
        let _ = std::fs::remove_file(&path);
        Self(path)
    }

    fn as_str(&self) -> &str {
        self.0.to_str().unwrap()
    }
}

impl Drop for TemporaryFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// The commands fit together: what `keygen` writes, `sign` reads, and what
/// `sign` prints, both forms of `verify` accept.
#[test]
fn a_key_is_made_signs_and_its_signature_verifies() {
    for scheme in ["falcon-512", "ml-dsa-44", "slh-dsa-sha2-128f"] {
        let file = TemporaryFile::new(scheme);
        let made = qcn(&["keygen", "--scheme", scheme, "--out", file.as_str()], b"");
        assert!(made.status.success(), "{}", text(&made.stderr));
        assert!(!text(&made.stdout).contains("secret"), "the printed part is public");

        let sign = ["sign", "--key", file.as_str(), "--message", "00ff", "--context", "aa"];
        let line = qcn(&sign, b"").stdout;
        let checked = qcn(&["verify", "--batch"], &line);
        assert_eq!(text(&checked.stdout), "{\"valid\":true,\"reason\":null}\n");

        let object: serde_json::Value = serde_json::from_slice(&line).unwrap();
        let member = |name: &str| object[name].as_str().unwrap().to_owned();
        let verify = |message: &str| {
            let [public_key, signature] = ["public_key", "signature"].map(member);
            qcn(
                &[
                    "verify",
                    "--scheme",
                    scheme,
                    "--public-key",
                    &public_key,
                    "--message",
                    message,
                    "--signature",
                    &signature,
                    "--context",
                    "aa",
                ],
                b"",
            )
        };
        assert_eq!(verify("00ff").status.code(), Some(0));
        assert_eq!(verify("00fe").status.code(), Some(1));
        assert_eq!(verify("00f").status.code(), Some(2));
    }
}

#[test]
fn a_message_can_come_from_a_file() {
    let [key, message] = ["file-key", "file-message"].map(TemporaryFile::new);
    std::fs::write(&message.0, b"hello").unwrap();
    qcn(&["keygen", "--scheme", "ml-dsa-44", "--out", key.as_str()], b"");
    let sign = ["sign", "--key", key.as_str(), "--message-file", message.as_str()];
    let line = qcn(&sign, b"").stdout;
    assert!(text(&line).contains("\"message\":\"68656c6c6f\""));
    assert!(text(&qcn(&["verify", "--batch"], &line).stdout).contains("true"));
}

#[test]
fn a_seed_gives_the_same_key_each_time_and_asks_for_a_confirmation() {
    let seed = "07".repeat(32);
    let arguments = ["keygen", "--scheme", "falcon-512", "--insecure", "--seed", &seed];
    let [first, second] = [(); 2].map(|()| qcn(&arguments, b""));
    assert!(first.status.success() && text(&first.stdout).contains(&seed));
    assert_eq!(first.stdout, second.stdout);
    let unconfirmed = ["keygen", "--scheme", "falcon-512", "--seed", &seed];
    assert_eq!(qcn(&unconfirmed, b"").status.code(), Some(2));
}

#[test]
fn bad_input_ends_with_code_2_and_a_remedy() {
    let not_a_key = TemporaryFile::new("not-a-key");
    std::fs::write(&not_a_key.0, "{\"scheme\":\"rsa\"}").unwrap();
    let rows: [(&[&str], &[u8], &str); 8] = [
        (&["keygen", "--scheme", "rsa"], b"", "use one of falcon-512"),
        (&["keygen", "--scheme", "ml-dsa-44", "--insecure", "--seed", "00"], b"", "32 bytes"),
        (&["sign", "--key", "/nowhere/key", "--message", "00"], b"", "/nowhere/key"),
        (&["sign", "--key", not_a_key.as_str(), "--message", "00"], b"", "qcn crypto keygen"),
        (&["layered-hash"], b"{'a': 1}", "line 1, column 2"),
        (&["layered-hash"], b"\xff", "not UTF-8 at byte 0"),
        (&["verify"], b"", "--scheme"),
        (&["bench", "--seconds", "0"], b"", "from 0.01 to 60"),
    ];
    for (arguments, input, expected) in rows {
        let output = qcn(arguments, input);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(output.stdout.is_empty(), "{arguments:?}");
        let message = text(&output.stderr);
        assert!(message.starts_with("error: ") && message.contains(expected), "{message}");
    }
}

#[test]
fn a_layered_hash_is_printed_alone() {
    let document = br#"{"b": 1e16, "a": "\u00e9", "hash": 1}"#;
    let canonical = qcn(&["layered-hash", "--canonical"], document).stdout;
    assert_eq!(text(&canonical), "{\"a\": \"\\u00e9\", \"b\": 1e+16}\n");
    let hash = qcn(&["layered-hash"], document).stdout;
    assert_eq!(hash.len(), 65);
    assert_eq!(text(&hash).trim_end(), qcn_crypto::layered_hash(text(document)).unwrap());
}

#[test]
fn the_benchmark_reports_its_conditions() {
    let arguments = ["bench", "--scheme", "falcon-512", "--seconds", "0.01", "--json"];
    let report: serde_json::Value = serde_json::from_slice(&qcn(&arguments, b"").stdout).unwrap();
    assert!(report["suggested_weight"].as_u64().unwrap() > 0);
    assert!(report["conditions"]["logical_cores"].as_u64().unwrap() > 0);
    let row = &report["schemes"][0];
    assert_eq!(row["signature_bytes"], 666);
    assert!(row["verify"]["fastest_us"].as_f64().unwrap() > 0.0);
    let table = qcn(&["bench", "--scheme", "ml-dsa-44", "--seconds", "0.01"], b"").stdout;
    assert!(text(&table).contains("ml-dsa-44") && text(&table).contains("logical cores"));
}
