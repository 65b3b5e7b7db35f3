//! `qcn key`, `qcn account`, `qcn genesis`, `qcn validator` and `qcn node new` as a person or a script runs them.

#![allow(clippy::unwrap_used, reason = "these are tests")]

mod genesis;
mod key;
mod node;
mod validator;

use std::fs;
use std::io::Write as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

static FOLDERS: AtomicU32 = AtomicU32::new(0);

/// A folder in which commands run, with a passphrase file `pass`.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        let number = FOLDERS.fetch_add(1, Ordering::Relaxed);
        let name = format!("qcn-cli-keys-{}-{number}", std::process::id());
        let folder = Self(std::env::temp_dir().join(name));
        fs::create_dir_all(&folder.0).unwrap();
        folder.private("pass", "correct horse\n");
        folder
    }

    /// Writes a file that only its owner can read.
    fn private(&self, name: &str, contents: &str) {
        fs::write(self.0.join(name), contents).unwrap();
        fs::set_permissions(self.0.join(name), fs::Permissions::from_mode(0o600)).unwrap();
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.0.join(name)).unwrap()
    }

    /// Runs `qcn` with arguments that are given in one line, and standard input.
    fn run(&self, line: &str, input: &str) -> Output {
        let mut child = Command::new(env!("CARGO_BIN_EXE_qcn"))
            .args(line.split_whitespace())
            .current_dir(&self.0)
            .env_remove("QCN_PASSPHRASE")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // A command that refuses its arguments does not read its input.
        drop(child.stdin.take().unwrap().write_all(input.as_bytes()));
        child.wait_with_output().unwrap()
    }

    /// Runs a command that must succeed, and gives what it prints.
    fn ok(&self, line: &str) -> String {
        let output = self.run(line, "");
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "{line}\n{said}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// Runs a command that must succeed with `--json`, and gives the object that it prints.
    fn json(&self, line: &str) -> serde_json::Value {
        let printed = self.ok(&format!("{line} --json"));
        assert_eq!(printed.lines().count(), 1, "{printed}");
        serde_json::from_str(&printed).unwrap()
    }

    /// Runs a command that must be refused with exit code 2, and gives what it says.
    fn refused(&self, line: &str) -> String {
        let output = self.run(line, "");
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{line}\n{said}");
        assert!(output.stdout.is_empty(), "{line}");
        assert!(said.contains("error: "), "{line}\n{said}");
        said
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
