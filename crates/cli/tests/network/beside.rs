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
    fn start(name: &str, load: &str, more: &[&str]) -> Self {
        let folder = std::env::temp_dir().join(format!("qcn-{}-{name}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        let ports = Ports::claim();
        let process = Command::new(env!("CARGO_BIN_EXE_qcn"))
            .args(["devnet", "--json", "--seconds", "300", "--load", load])
            .args(more)
            .args(["--port", &ports.first.to_string(), "--dir"])
            .arg(&folder)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let api = Api::new(format!("http://127.0.0.1:{}", ports.first));
        Self { process, folder, api, _ports: ports }
    }

    /// What `qcn load` reports of 40 transfers a second for four seconds.
    fn load(&self) -> Value {
        let accounts = self.folder.join("accounts");
        let report = qcn(&[
            ["load", "--accounts-dir", accounts.to_str().unwrap(), "--node", self.api.url()]
                .as_slice(),
            &["--tps", "40", "--seconds", "4", "--drain", "60", "--json"],
        ]
        .concat());
        assert_eq!(report.status.code(), Some(0), "{report:?}");
        let report: Value = serde_json::from_slice(&report.stdout).unwrap();
        assert_eq!(report["violations"].as_array().map(Vec::len), Some(0), "{report}");
        assert!(report["finalized"].as_u64().unwrap() >= 100, "{report}");
        report
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
    let devnet = Devnet::start("beside", "20", &["--accounts", "8"]);
    let newest = || {
        let listed = devnet.api.get("/v1/transactions?limit=1").ok()?;
        listed["transactions"][0]["sender"].as_str().map(str::to_owned)
    };
    let own = until("the devnet's own load has begun", seconds(60), newest);
    let report = devnet.load();
    assert_eq!((&report["sampled_across"], &report["to_arrived"]["count"]), (&0.into(), &0.into()));

    let genesis = fs::read_to_string(devnet.folder.join("genesis.json")).unwrap();
    let genesis: Value = serde_json::from_str(&genesis).unwrap();
    let named = genesis["accounts"].as_array().unwrap();
    let payer = named.iter().find(|account| account["address"] == own.as_str()).unwrap();
    assert!(payer["name"].as_str().unwrap().starts_with("load-"), "{payer}");
}

/// Given a devnet of two shards, and accounts of both.
/// When `qcn load` has each pay the next one,
/// then it tells how long those take that go into the other shard, which is longer than until they are
/// final where they were sent, and all of them arrive.
#[test]
fn a_load_across_two_shards_tells_when_transfers_arrive() {
    let layout = ["--shards", "2", "--epoch-seconds", "0", "--accounts", "24"];
    let devnet = Devnet::start("across", "0", &layout);
    let is_up = || {
        let shards = devnet.api.get("/v1/shards").ok()?;
        let all = shards["shards"].as_array()?;
        let up = |shard: &Value| {
            shard["state"]["certified_height"].as_u64().is_some_and(|height| height > 0)
        };
        (all.len() == 2 && all.iter().all(up)).then_some(())
    };
    until("both shards are up", seconds(60), is_up);
    let report = devnet.load();
    let across = report["sampled_across"].as_u64().unwrap();
    assert!(across > 10, "{report}");
    // The stream may end with the last of them.
    let arrived = report["to_arrived"]["count"].as_u64().unwrap();
    assert!(arrived <= across && arrived * 10 >= across * 9, "{report}");
    let p50 = |latency: &str| report[latency]["p50_ms"].as_f64().unwrap();
    assert!(p50("to_arrived") > p50("to_final"), "{report}");
}
