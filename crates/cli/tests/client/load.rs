//! `qcn load`.

use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::node::{BALANCE, Network};
use crate::server::{Answer, Request};
use crate::{Folder, qcn_ends};

/// Puts 60 transactions in 0.3 seconds on two nodes that share four accounts.
fn load(
    name: &str,
    code: i32,
    change: impl FnOnce(Network) -> Network,
    more: &[&str],
) -> (Value, String) {
    let folder = Folder::new(name);
    let accounts = ["a", "b", "c", "d"].map(|name| folder.account(name).1);
    let nodes = change(Network::new(&accounts)).start(2);
    let keys = folder.path("");
    let start = ["load", "--accounts-dir", &keys, "--tps", "200", "--seconds", "0.3"];
    let rest = ["--node", &nodes[0].url, "--node", &nodes[1].url, "--json"];
    let (out, error) = qcn_ends(code, &[&start[..], &rest[..], more].concat());
    (serde_json::from_str(&out).unwrap_or_default(), error)
}

fn is_batch(request: &Request) -> bool {
    request.path == "/v1/transactions/batch"
}

#[test]
fn a_load_reports_what_became_final_and_the_conditions() {
    for more in [&[][..], &["--sign-live", "--batch", "1"]] {
        let (report, _) = load("clean", 0, |network| network, more);
        for count in ["offered", "submitted", "finalized"] {
            assert_eq!(report[count], 60, "{count}: {report}");
        }
        for latency in ["to_taken", "to_executed", "to_final"] {
            assert_eq!(report[latency]["count"], 60, "{latency}: {report}");
        }
        assert!(report["finalized_per_second"].as_f64().unwrap() > 0.0);
        let conditions = &report["conditions"];
        assert_eq!(conditions["nodes"].as_array().unwrap().len(), 2);
        assert_eq!(conditions["schemes"][0], "ml-dsa-44");
        assert_eq!(conditions["tps_target"], 200.0);
        assert!(conditions["cores"].as_u64().unwrap() > 0);
        assert_eq!(conditions["signed_ahead"], more.is_empty());
    }
}

#[test]
fn a_load_is_reported_for_people() {
    let folder = Folder::new("people");
    let accounts = ["a", "b"].map(|name| folder.account(name).1);
    let nodes = Network::new(&accounts).start(1);
    let keys = folder.path("");
    let start = ["load", "--accounts-dir", &keys, "--tps", "100", "--seconds", "0.1"];
    let (text, _) = qcn_ends(0, &[&start[..], &["--node", &nodes[0].url]].concat());
    for expected in ["due to final", "signed before the measured time", "logical cores", "add up"] {
        assert!(text.contains(expected), "{expected}:\n{text}");
    }
    println!("{text}");
}

/// Given nodes that answer after 150 ms, when the load is much faster than one transaction after
/// the other could be, then all is offered nonetheless, and the waiting counts as latency.
#[test]
fn late_answers_count_as_latency_and_do_not_slow_down_the_load() {
    let late = |network: Network| network.late(Duration::from_millis(150));
    let (report, _) = load("late", 0, late, &[]);
    assert_eq!((&report["submitted"], &report["finalized"]), (&60.into(), &60.into()), "{report}");
    assert!(report["to_taken"]["p50_ms"].as_f64().unwrap() > 145.0, "{report}");
    // The node executes at once; what waited for a free connection waited since it was due.
    assert!(report["to_final"]["max_ms"].as_f64().unwrap() > 20.0, "{report}");
}

/// A node that never has room: the load ends, and says that nothing was taken in.
#[test]
fn what_no_node_has_room_for_is_not_submitted() {
    let network = |network: Network| {
        network.before(|_, request| {
            let busy = || Answer::refused(503, "busy", "the node is busy", "try again");
            is_batch(request).then(busy)
        })
    };
    let (report, _) = load("full", 0, network, &["--drain", "1"]);
    assert_eq!((&report["submitted"], &report["not_submitted"]), (&0.into(), &60.into()));
    assert!(report["broken_requests"].as_u64().unwrap() > 4, "{report}");
}

#[test]
fn a_node_without_room_is_tried_again_until_all_is_in() {
    let answers = AtomicU64::new(0);
    let network = move |network: Network| {
        network.before(move |_, request| {
            let is_early = is_batch(request) && answers.fetch_add(1, Ordering::Relaxed) < 5;
            is_early.then(|| match answers.load(Ordering::Relaxed) {
                1 => Answer::Close,
                2 => Answer::refused(429, "too_many_requests", "slow down", "wait"),
                // It may have taken them in: they are handed in again all the same.
                3 => Answer::refused(408, "timeout", "the request took too long", "send faster"),
                _ => Answer::refused(503, "busy", "the node is busy", "try again"),
            })
        })
    };
    let (report, _) = load("busy", 0, network, &[]);
    assert_eq!((&report["submitted"], &report["finalized"]), (&60.into(), &60.into()), "{report}");
    assert_eq!(report["broken_requests"], 5);
}

/// Given a load that would go on for a minute.
/// When it is told to stop, as Ctrl-C does.
/// Then it sends no more, and reports on what it has sent.
#[test]
fn a_load_that_is_told_to_stop_reports_what_it_sent() {
    let folder = Folder::new("told-to-stop");
    let accounts = ["a", "b"].map(|name| folder.account(name).1);
    let (told, sends) = channel();
    let told = Mutex::new(told);
    let network = Network::new(&accounts).before(move |_, request| {
        if is_batch(request) {
            // Heard once; later ones find nobody.
            let _ = told.lock().unwrap().send(());
        }
        None
    });
    let nodes = network.start(1);
    let began = Instant::now();
    let load = Command::new(env!("CARGO_BIN_EXE_qcn"))
        .args(["load", "--accounts-dir", &folder.path(""), "--tps", "20", "--seconds", "60"])
        .args(["--sign-live", "--json", "--node", &nodes[0].url])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    sends.recv_timeout(Duration::from_secs(30)).unwrap();
    let told = Command::new("kill").args(["-INT", &load.id().to_string()]).status().unwrap();
    assert!(told.success());
    let output = load.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(said.contains("no more is sent"), "{said}");
    assert!(began.elapsed() < Duration::from_secs(40), "it went on");
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let submitted = report["submitted"].as_u64().unwrap();
    assert!((1..1_000).contains(&submitted), "{report}");
    assert_eq!(report["finalized"], submitted, "{report}");
}

#[test]
fn what_is_refused_for_good_is_counted_with_its_reason() {
    let network = |network: Network| {
        network.before(|_, request| {
            let length = u32::from_le_bytes(*request.body.first_chunk()?);
            let error = r#"{"error":{"code":"wrong_key","message":"no","remedy":"none"}}"#;
            let errors = vec![error; length as usize].join(",");
            is_batch(request).then(|| Answer::ok(format!("{{\"results\":[{errors}]}}")))
        })
    };
    let (report, _) = load("refused", 1, network, &[]);
    assert_eq!(report["submitted"], 0);
    assert!(report["refusals"]["wrong_key: no"].as_u64().unwrap() >= 4, "{report}");
    assert_eq!(report["offered"], 60, "what was withheld counts, too");
}

/// A node that forgets what it said was final is found out.
#[test]
fn a_lost_transaction_is_a_violation() {
    let lose = |node, nonce: u64, balance| {
        let lost = u64::from(node == 1 && nonce >= 15);
        (nonce - lost, balance)
    };
    let (report, _) = load("lost", 1, |network| network.account(lose), &["--drain", "1"]);
    let violations = report["violations"].to_string();
    assert!(violations.contains("LOST"), "{report}");
    assert!(report["not_final"].as_u64().unwrap() > 0);
}

#[test]
fn balances_that_do_not_add_up_are_a_violation() {
    let steal = |node, nonce, balance| (nonce, balance - u64::from(node == 1 && nonce > 0));
    let (report, _) = load("stolen", 1, |network| network.account(steal), &[]);
    assert!(report["violations"].to_string().contains("do not add up"), "{report}");
    assert_eq!(report["finalized"], 60);
}

#[test]
fn a_load_that_cannot_succeed_does_not_begin() {
    let posted = |network: Network| {
        network.before(|_, request| {
            assert_eq!(request.method, "GET", "nothing may be sent");
            None
        })
    };
    let (_, error) = load("none", 2, posted, &["--scheme", "falcon-512"]);
    assert!(error.contains("--scheme"), "{error}");
    let poor = |_, nonce, balance: u64| (nonce, balance - BALANCE + 3);
    let (_, error) = load("poor", 2, |network| posted(network).account(poor), &[]);
    assert!(error.contains("has 3 and needs up to 30"), "{error}");
    let garbled = |network: Network| {
        network
            .before(|_, request| request.path.starts_with("/v1/events").then(|| Answer::ok("{}")))
    };
    // A stream that ends at once is opened again; it is no reason to give up.
    let (report, _) = load("garbled", 0, garbled, &[]);
    assert!(report["streams_reopened"].as_u64().unwrap() >= 2, "{report}");
    assert_eq!((&report["finalized"], &report["to_final"]["count"]), (&60.into(), &0.into()));
}

#[test]
fn bad_input_of_a_load_ends_with_2_and_a_remedy() {
    let folder = Folder::new("load-bad");
    let (key, _) = folder.account("a");
    let empty = Folder::new("load-empty");
    let empty = empty.path("");
    let nobody = crate::server::Server::nobody();
    let rows: [(&[&str], &str); 7] = [
        (&[], "--accounts-dir"),
        (&["--accounts-dir", &empty], "no file that ends in .key"),
        (&["--accounts-dir", "/nowhere"], "/nowhere"),
        (&["--key", &key, "--tps", "0"], "--tps 0"),
        (&["--key", &key, "--seconds", "-1"], "--seconds"),
        (&["--key", &key, "--batch", "2001"], "--batch"),
        (&["--key", &key], "qcn devnet"),
    ];
    for (arguments, expected) in rows {
        let (_, error) = qcn_ends(2, &[&["load", "--node", &nobody][..], arguments].concat());
        assert!(error.contains(expected), "{arguments:?}: {error}");
    }
}
