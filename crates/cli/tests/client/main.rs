//! The commands that talk to a node, against a node that is played by the test.

#![allow(clippy::unwrap_used, reason = "these are tests")]

mod devnet;
mod load;
mod node;
mod query;
mod server;
mod transfer;
mod vote;

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// Runs `qcn`.
fn qcn(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_qcn"))
        .args(arguments)
        .env_remove("QCN_NODE")
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

/// Runs `qcn`, which must end with this code; gives what it printed and what it complained about.
fn qcn_ends(code: i32, arguments: &[&str]) -> (String, String) {
    let output = qcn(arguments);
    let [out, err] = [output.stdout, output.stderr].map(|bytes| String::from_utf8(bytes).unwrap());
    assert_eq!(output.status.code(), Some(code), "{arguments:?}\n{out}\n{err}");
    assert!(!err.contains("panicked"), "{err}");
    (out, err)
}

/// A folder that is gone at the end of the test.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("qcn-client-{}-{name}", std::process::id()));
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir(&path).unwrap();
        Self(path)
    }

    fn path(&self, name: &str) -> String {
        self.0.join(name).display().to_string()
    }

    /// Makes an account key; gives its file and its address.
    fn account(&self, name: &str) -> (String, String) {
        let file = self.path(&format!("{name}.key"));
        let made = ["key", "new", "--role", "account", "--scheme", "ml-dsa-44"];
        let rest = ["--out", &file, "--unencrypted", "--json"];
        let (out, _) = qcn_ends(0, &[&made[..], &rest[..]].concat());
        let report: serde_json::Value = serde_json::from_str(&out).unwrap();
        (file, report["address"].as_str().unwrap().to_owned())
    }
}

impl AsRef<Path> for Folder {
    fn as_ref(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn completions_are_printed_for_every_shell() {
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let (script, _) = qcn_ends(0, &["completions", shell]);
        assert!(script.contains("rotate-key") && script.contains("accounts-dir"), "{shell}");
    }
    qcn_ends(2, &["completions", "tcsh"]);
}

/// A reader that went away is no reason to complain.
#[test]
fn a_closed_output_is_no_panic() {
    let node = server::Server::json(query::STATUS);
    for arguments in [&["completions", "bash"][..], &["query", "status", "--node", &node.url]] {
        let mut child = Command::new(env!("CARGO_BIN_EXE_qcn"))
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(0));
        assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}
