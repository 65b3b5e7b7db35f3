//! Two loads on one network, as the README has them: a devnet's own, and `qcn load`.

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::api::Api;
use crate::network::{Ports, qcn};
use crate::patience::{seconds, until};

/// A devnet that is killed and deleted in the end.
struct Devnet {
    process: Child,
    folder: PathBuf,
    api: Api,
    _ports: Ports,
}

impl Devnet {
    fn start(name: &str, load: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("qcn-{}-{name}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        let ports = Ports::claim();
        let process = Command::new(env!("CARGO_BIN_EXE_qcn"))
            .args(["devnet", "--json", "--seconds", "300", "--accounts", "8", "--load", load])
            .args(["--port", &ports.first.to_string(), "--dir"])
            .arg(&folder)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let api = Api::new(format!("http://127.0.0.1:{}", ports.first));
        Self { process, folder, api, _ports: ports }
    }
}

impl Drop for Devnet {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// `qcn load` next to a devnet that sends transfers of its own finds everything in order.
///
/// Given a devnet with a load of its own, which has begun.
/// When `qcn load` uses all accounts of the folder that the devnet names,
/// then all of its transfers are final, nothing is a violation, and the devnet's load went on.
#[test]
fn a_load_beside_the_devnets_own_finds_no_violation() {
    let devnet = Devnet::start("beside", "20");
    let newest = || {
        let listed = devnet.api.get("/v1/transactions?limit=1").ok()?;
        listed["transactions"][0]["sender"].as_str().map(str::to_owned)
    };
    let own = until("the devnet's own load has begun", seconds(60), newest);
    let accounts = devnet.folder.join("accounts");
    let report = qcn(&[
        ["load", "--accounts-dir", accounts.to_str().unwrap(), "--node", devnet.api.url()]
            .as_slice(),
        &["--tps", "40", "--seconds", "4", "--drain", "60", "--json"],
    ]
    .concat());
    assert_eq!(report.status.code(), Some(0), "{report:?}");
    let report: Value = serde_json::from_slice(&report.stdout).unwrap();
    assert_eq!(report["violations"].as_array().map(Vec::len), Some(0), "{report}");
    assert!(report["finalized"].as_u64().unwrap() >= 100, "{report}");

    let genesis = fs::read_to_string(devnet.folder.join("genesis.json")).unwrap();
    let genesis: Value = serde_json::from_str(&genesis).unwrap();
    let named = genesis["accounts"].as_array().unwrap();
    let payer = named.iter().find(|account| account["address"] == own.as_str()).unwrap();
    assert!(payer["name"].as_str().unwrap().starts_with("load-"), "{payer}");
}
