//! `qcn transfer` and `qcn rotate-key`.

use serde_json::{Value, json};

use crate::node::{BALANCE, CHAIN, Network};
use crate::server::{Answer, Request, Server};
use crate::{Folder, qcn_ends};

/// Two accounts and a node that knows them.
struct Setting {
    folder: Folder,
    key: String,
    sender: String,
    to: String,
    node: Server,
}

fn setting(name: &str, change: impl FnOnce(Network) -> Network) -> Setting {
    let folder = Folder::new(name);
    let ((key, sender), (_, to)) = (folder.account("alice"), folder.account("bob"));
    let network = change(Network::new(&[sender.clone(), to.clone()]));
    let node = network.start(1).remove(0);
    Setting { folder, key, sender, to, node }
}

impl Setting {
    /// Transfers 5 with more arguments.
    fn transfer(&self, code: i32, more: &[&str]) -> (String, String) {
        let start = ["transfer", "--key", &self.key, "--to", &self.to, "--amount", "5"];
        qcn_ends(code, &[&start[..], &["--node", &self.node.url], more].concat())
    }

    fn balance(&self, address: &str) -> u64 {
        let arguments = ["query", "account", address, "--json", "--node", &self.node.url];
        let account: Value = serde_json::from_str(&qcn_ends(0, &arguments).0).unwrap();
        account["balance"].as_str().unwrap().parse().unwrap()
    }
}

/// Refuses what is submitted.
fn refusing(status: u16, code: &'static str) -> impl Fn(usize, &Request) -> Option<Answer> {
    move |_, request| {
        let refused = Answer::refused(status, code, "no such luck", "try tomorrow");
        (request.method == "POST").then_some(refused)
    }
}

#[test]
fn a_transfer_is_followed_until_it_is_final() {
    let setting = setting("final", |network| network);
    let (text, _) = setting.transfer(0, &[]);
    let order = ["submitted ", "executed ", "final "].map(|word| text.find(word).unwrap());
    assert!(order.is_sorted(), "{text}");
    let (text, _) = setting.transfer(0, &["--json", "--fee", "3"]);
    let report: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((&report["status"], &report["nonce"]), (&json!("final"), &json!(1)));
    assert_eq!((&report["outcome"], &report["fee"]), (&json!("applied"), &json!("3")));
    assert!(report["final_ms"].as_f64().unwrap() > 0.0);
    assert_eq!(setting.balance(&setting.sender), BALANCE - 14);
    assert_eq!(setting.balance(&setting.to), BALANCE + 10);
}

#[test]
fn a_refused_transfer_ends_with_1_and_the_reason() {
    for status in [400, 422, 503] {
        let setting = setting(&format!("refused-{status}"), |network| {
            network.before(refusing(status, "insufficient_balance"))
        });
        let (text, error) = setting.transfer(1, &["--json"]);
        let report: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(report["status"], "refused");
        assert!(error.contains("no such luck; try tomorrow"), "{error}");
    }
}

#[test]
fn a_transfer_that_is_not_applied_ends_with_1_and_the_reason() {
    let outcome = json!({ "result": "failed", "reason": "the sender has 3 after the fee" });
    let setting = setting("failed", |network| network.outcome(outcome));
    let (_, error) = setting.transfer(1, &[]);
    assert!(error.contains("not applied: failed: the sender has 3 after the fee"), "{error}");
}

#[test]
fn a_transfer_that_is_not_final_in_time_ends_with_1_and_says_how_to_go_on() {
    let pending = |_: usize, request: &Request| {
        let is_asked = request.method == "GET" && request.path.starts_with("/v1/transactions/");
        is_asked.then(|| Answer::ok(r#"{"id":"00","status":"pending"}"#))
    };
    let setting = setting("pending", |network| network.before(pending));
    let (_, error) = setting.transfer(1, &["--timeout", "1"]);
    assert!(error.contains("is pending") && error.contains("qcn query transaction"), "{error}");
    setting.transfer(0, &["--no-wait"]);
}

#[test]
fn a_node_that_breaks_off_leaves_it_open_whether_it_took_the_transfer() {
    let close = |_: usize, request: &Request| (request.method == "POST").then_some(Answer::Close);
    let setting = setting("closed", |network| network.before(close));
    let (_, error) = setting.transfer(2, &[]);
    assert!(error.contains("may have been taken in"), "{error}");
}

#[test]
fn a_transfer_is_signed_on_one_machine_and_submitted_from_another() {
    let setting = setting("offline", |network| network);
    let file = setting.folder.path("signed.json");
    // Nobody is asked: the node of this machine does not run.
    let nobody = Server::nobody();
    let start = ["transfer", "--key", &setting.key, "--to", &setting.to, "--amount", "5"];
    let offline = ["--chain-id", CHAIN, "--nonce", "0", "--out", &file, "--node", &nobody];
    let (text, _) = qcn_ends(0, &[&start[..], &offline[..]].concat());
    assert!(text.contains("written"), "{text}");
    let submit = ["transfer", "--submit", &file, "--node", &setting.node.url];
    assert!(qcn_ends(0, &submit).0.contains("final"));
    assert_eq!(setting.balance(&setting.to), BALANCE + 5);
    let (_, error) = qcn_ends(2, &[&start[..], &offline[..]].concat());
    assert!(error.contains("does not exist yet"), "{error}");
    let other = std::fs::read_to_string(&file).unwrap().replace(CHAIN, &"3".repeat(64));
    std::fs::write(&file, other).unwrap();
    let (_, error) = qcn_ends(2, &submit);
    assert!(error.contains("name a node of its network"), "{error}");
}

#[test]
fn a_key_is_rotated_with_a_proof_of_the_new_one() {
    let setting = setting("rotate", |network| network);
    let (new_key, _) = setting.folder.account("alice-2");
    let start = ["rotate-key", "--key", &setting.key, "--node", &setting.node.url];
    let (text, _) = qcn_ends(0, &[&start[..], &["--new-key", &new_key]].concat());
    assert!(text.contains("final"), "{text}");
    let (_, error) = qcn_ends(2, &[&start[..], &["--new-key", &setting.key]].concat());
    assert!(error.contains("--new-key") && error.contains("the same key"), "{error}");
}

#[test]
fn bad_input_is_refused_before_anything_is_signed() {
    let setting = setting("bad", |network| network);
    let stranger = setting.folder.account("stranger").0;
    let [key, to, url] = [&setting.key, &setting.to, &setting.node.url];
    let other_chain = "4".repeat(64);
    let rows: [(&[&str], &str); 9] = [
        (&["--key", "/nowhere/a.key", "--to", to, "--amount", "5"], "/nowhere/a.key"),
        (&["--key", key, "--to", "12", "--amount", "5"], "64 hex digits"),
        (&["--key", key, "--to", to, "--amount", "0"], "--amount"),
        (&["--key", key, "--to", to, "--amount", "1.5"], "give a whole number of units"),
        (&["--key", key, "--to", to], "--amount"),
        (&["--key", &stranger, "--to", to, "--amount", "5"], "does not exist"),
        (&["--key", &stranger, "--from", to, "--to", to, "--amount", "5"], "may not sign"),
        (&["--key", key, "--to", to, "--amount", "5", "--chain-id", &other_chain], "--chain-id"),
        (&["--submit", "/nowhere/signed.json"], "/nowhere/signed.json"),
    ];
    for (arguments, expected) in rows {
        let (_, error) = qcn_ends(2, &[&["transfer", "--node", url][..], arguments].concat());
        assert!(error.contains(expected), "{arguments:?}: {error}");
    }
    assert_eq!(setting.balance(&setting.sender), BALANCE);
}
