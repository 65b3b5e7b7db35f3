//! A client elsewhere: its link to one node, and what it does through it.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};

use serde_json::Value;

use crate::network::{Network, qcn};
use crate::patience::{seconds, until};

/// Longer than a link takes to break and come back.
const PATIENCE: std::time::Duration = seconds(30);

/// A `qcn tunnel` that runs. Dropping it kills it.
struct Tunnel {
    child: Child,
    lines: Receiver<Value>,
    /// Where the node is reached through it.
    node: String,
}

impl Tunnel {
    /// Starts a tunnel to a node, and waits for its first link.
    fn start(network: &Network, to: usize, key: &str) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_qcn"))
            .args(arguments(network, to, key))
            .args(["--validator", &format!("v{to}"), "--json"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (sender, lines) = channel();
        let output = BufReader::new(child.stdout.take().unwrap());
        std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                // The test may have seen enough.
                let _ = sender.send(serde_json::from_str(&line).unwrap());
            }
        });
        let mut tunnel = Self { child, lines, node: String::new() };
        let up = tunnel.next("up");
        assert_eq!(up["validator"], format!("v{to}"), "{up}");
        tunnel.node = up["node"].as_str().unwrap().to_owned();
        tunnel
    }

    /// The next event of that name; others may come before.
    fn next(&self, event: &str) -> Value {
        loop {
            let line = self.lines.recv_timeout(PATIENCE);
            let line = line.unwrap_or_else(|error| panic!("no event {event}: {error}"));
            if line["event"] == event {
                return line;
            }
        }
    }

    fn get(&self, path: &str, host: &str) -> BufReader<TcpStream> {
        let mut stream = TcpStream::connect(self.node.trim_start_matches("http://")).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        write!(stream, "GET {path} HTTP/1.1\r\nhost: {host}\r\n\r\n").unwrap();
        BufReader::new(stream)
    }

    /// SIGINT; gives how it ends.
    fn interrupt(mut self) -> ExitStatus {
        let kill = format!("kill -INT {}", self.child.id());
        assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
        until("the tunnel ends", PATIENCE, || self.child.try_wait().unwrap())
    }
}

impl Drop for Tunnel {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn arguments(network: &Network, to: usize, key: &str) -> Vec<String> {
    let (key, genesis) = (network.file(key), network.genesis_file());
    let to = network.listens_at(to).to_string();
    let [key, genesis] = [key, genesis].map(|path| path.to_str().unwrap().to_owned());
    let named = ["--key", &key, "--genesis", &genesis, "--to", &to, "--listen", "127.0.0.1:0"];
    ["tunnel"].into_iter().chain(named).map(str::to_owned).collect()
}

/// Makes a client's key, and gives its digest.
fn make_key(network: &Network, name: &str) -> String {
    let file = network.file(name);
    let made = qcn(&[
        ["key", "new", "--role", "transport", "--unencrypted", "--json"].as_slice(),
        &["--out", file.to_str().unwrap()],
    ]
    .concat());
    assert!(made.status.success(), "{made:?}");
    let made: Value = serde_json::from_slice(&made.stdout).unwrap();
    made["key_digest"].as_str().unwrap().to_owned()
}

/// Four nodes, the first of which lets one client in.
fn network(name: &str) -> (Network, String) {
    let mut network = Network::lay_out(name);
    let client = make_key(&network, "client.key");
    network.edit_config(0, |config| config.network.clients = vec![client.parse().unwrap()]);
    network.launch_all();
    network.wait_until_ready();
    (network, client)
}

/// All that is done at a node can be done through a tunnel.
///
/// Given a node that lets one client in.
/// When that client opens a tunnel,
/// then questions, events and a transfer work through it as at the node, and a name that is not
/// the node's is refused as there;
/// and once the node was killed and is back, they work again; SIGINT ends the tunnel with code 0.
#[test]
fn a_listed_client_uses_a_node_through_a_tunnel() {
    let (mut network, client) = network("tunnel");
    let tunnel = Tunnel::start(&network, 0, "client.key");
    assert!(network.log(0).contains(&format!("client={client}")), "{}", network.log(0));

    let asked = qcn(&["query", "status", "--node", &tunnel.node]);
    let said = String::from_utf8_lossy(&asked.stdout);
    assert!(asked.status.success() && said.contains("devnet"), "{asked:?}");
    let events = tunnel.get("/v1/events?topics=checkpoints,transactions", "localhost");
    let mut events = events.lines().map(Result::unwrap);
    assert!(events.any(|line| line == "event: certified"), "no event came");

    let (key, to) = (network.account_file(0), "11".repeat(32));
    let paid = qcn(&[
        ["transfer", "--key", key.to_str().unwrap(), "--to", &to, "--amount", "5"].as_slice(),
        &["--json", "--node", &tunnel.node],
    ]
    .concat());
    assert!(paid.status.success(), "{paid:?}");
    let report: Value = serde_json::from_slice(&paid.stdout).unwrap();
    let id = report["id"].as_str().unwrap();
    assert!(events.any(|line| line.contains(id)), "the stream of events does not go on");
    let balance = network.api(1).must_get(&format!("/v1/accounts/{to}"));
    assert_eq!(balance["balance"], "5", "{balance}");
    let mut refused = tunnel.get("/v1/status", "evil.example").lines();
    assert!(refused.next().unwrap().unwrap().starts_with("HTTP/1.1 421"));

    network.kill(0);
    network.launch(0);
    tunnel.next("down");
    tunnel.next("up");
    network.wait_until_ready();
    let asked = qcn(&["query", "status", "--node", &tunnel.node]);
    assert!(asked.status.success(), "{asked:?}");
    assert_eq!(tunnel.interrupt().code(), Some(0));
    assert!(network.log(0).contains("a client has gone"), "{}", network.log(0));
}

/// Whoever is not let in hears what to do about it, and the node counts it.
///
/// Given a node that lets one client in.
/// When another key comes, or that client to a node that does not know it, or to another validator
/// than it asks for, then the tunnel ends with code 2 and says so.
#[test]
fn an_unlisted_client_is_told_what_to_do() {
    let (network, client) = network("tunnel-refused");
    let other = make_key(&network, "other.key");
    let refused = "refused_unknown_client";
    let cases: [(usize, &str, &str, &[&str]); 3] = [
        (0, "other.key", "v0", &["`clients` under [network] in its node.toml", &other]),
        (1, "client.key", "v1", &["`clients` under [network] in its node.toml", &client]),
        (0, "client.key", "1", &["is validator v0, not v1", "--validator"]),
    ];
    for (to, key, validator, parts) in cases {
        let mut line = arguments(&network, to, key);
        line.extend(["--validator".to_owned(), validator.to_owned()]);
        let ended = qcn(&line.iter().map(String::as_str).collect::<Vec<_>>());
        let said = String::from_utf8_lossy(&ended.stderr).into_owned();
        assert_eq!(ended.status.code(), Some(2), "{said}");
        assert!(ended.stdout.is_empty(), "{ended:?}");
        for part in parts {
            assert!(said.contains(part), "{said}\ndoes not say {part}");
        }
    }
    for at in [0, 1] {
        until("the refusal is counted", PATIENCE, || {
            let samples = network.api(at).samples("qcn_transport_events_total");
            let counted = format!("reason=\"{refused}\"");
            samples.contains(&(counted, 1)).then_some(())
        });
    }
}

/// A port that others reach is not opened without being told to, and a validator that the genesis
/// does not have is not looked for.
#[test]
fn a_tunnel_refuses_what_cannot_be_meant() {
    let network = Network::lay_out("tunnel-input");
    make_key(&network, "client.key");
    for (more, parts) in [
        (["--listen", "0.0.0.0:0"], ["can be reached from other machines", "--allow-remote"]),
        (["--validator", "eve"], ["no validator \"eve\"", "v0, v1, v2, v3"]),
        (["--to", "nowhere"], ["--to", "write HOST:PORT"]),
        (["--to", "nowhere.invalid:7400"], ["nowhere.invalid:7400 cannot be found", "--to"]),
        (["--key", "/nowhere.key"], ["/nowhere.key", "check the path"]),
    ] {
        let line = arguments(&network, 0, "client.key");
        let replaced = line.iter().position(|word| word == more[0]);
        let mut line: Vec<&str> = line.iter().map(String::as_str).collect();
        if let Some(at) = replaced {
            line.drain(at..at + 2);
        }
        line.extend(more);
        let ended = qcn(&line);
        let said = String::from_utf8_lossy(&ended.stderr).into_owned();
        assert_eq!(ended.status.code(), Some(2), "{said}");
        assert!(parts.iter().all(|part| said.contains(part)), "{said}");
    }
}
