//! The explorer in a real browser, against a network played by a script and against a real one.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, Result};

use crate::cargo::{root, succeeds};
use crate::steps::Outcome;

const PORT: u16 = 19_300;

/// As long as a check may have to wait for the next epoch, where there are several shards.
const EPOCH_SECONDS: &str = "30";

/// Runs the test that drives the browser, where there is one.
pub fn explorer(qcn: &Path) -> Result<Outcome> {
    for program in ["python3", "chromium", "chromedriver"] {
        let found = Command::new(program)
            .arg("--version")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        if !found.is_ok_and(|status| status.success()) {
            let why =
                format!("{program} is not installed (Debian: apt-get install chromium-driver)");
            return Ok(Outcome::Skipped(why));
        }
    }
    if !succeeds(browser_test())? {
        return Ok(Outcome::Failed("against the played network: see above".to_owned()));
    }
    for shards in [1, 2] {
        let devnet = Devnet::start(qcn, shards)?;
        let mut against_real = browser_test();
        against_real.env("QCN_EXPLORER_URL", format!("http://127.0.0.1:{PORT}"));
        let passed = succeeds(against_real)?;
        drop(devnet);
        if !passed {
            let why = format!("against a real network, shards: {shards}: see above");
            return Ok(Outcome::Failed(why));
        }
    }
    Ok(Outcome::Passed("against a played network, a real one, and one of two shards".to_owned()))
}

fn browser_test() -> Command {
    let mut command = Command::new("python3");
    command.arg("crates/node/tests/explorer/browser_test.py").current_dir(root());
    command.env("PYTHONDONTWRITEBYTECODE", "1");
    command
}

/// A devnet with some load, stopped and deleted in the end.
struct Devnet(Child);

impl Devnet {
    fn start(qcn: &Path, shards: u16) -> Result<Self> {
        let mut command = Command::new(qcn);
        command.args(["devnet", "--reset", "--load", "20", "--seconds", "600", "--json"]);
        command.args(["--shards", &shards.to_string(), "--port", &PORT.to_string(), "--dir"]);
        let epoch_seconds = if shards > 1 { EPOCH_SECONDS } else { "0" };
        command.arg(root().join("target").join("browser-devnet"));
        command.args(["--epoch-seconds", epoch_seconds]);
        let process = command.stdout(Stdio::null()).spawn().context("starting a devnet")?;
        let running = Self(process);
        let mut query = Command::new(qcn);
        // Returns once a checkpoint is certified; the page has something to show then.
        query.args(["query", "checkpoint", "certified", "--json"]);
        query.args(["--node", &format!("http://127.0.0.1:{PORT}")]);
        for _ in 0..200 {
            if query.output()?.status.success() {
                break;
            }
            std::thread::park_timeout(std::time::Duration::from_millis(200));
        }
        Ok(running)
    }
}

impl Drop for Devnet {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
