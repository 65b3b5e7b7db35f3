//! `qcn devnet`: in a folder that has a network already, with processes, and read by a program.

use std::io::{BufRead as _, BufReader};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use super::{Folder, qcn_ends};

/// How long a devnet may take to have a final checkpoint, or to stop.
const PATIENCE: Duration = Duration::from_secs(60);

/// A devnet of four validators whose states are printed as JSON, in a process group of its own.
fn start(folder: &Folder, options: &[&str]) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_qcn"));
    command.args(["devnet", "--json", "--accounts", "2", "--load", "0"]).args(options);
    // Tests of other processes look for free ports at the same time.
    let port = (20_000 + std::process::id() % 12_000).to_string();
    command.args(["--port", &port, "--dir", &folder.path("net")]).process_group(0);
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// What it said, and its exit code, once it has ended.
fn ended(child: Child) -> (Option<i32>, String) {
    let (id, (told, ends)) = (child.id().to_string(), channel());
    std::thread::spawn(move || told.send(child.wait_with_output()));
    let Ok(said) = ends.recv_timeout(PATIENCE) else {
        let _ = Command::new("kill").args(["-KILL", &id]).status();
        panic!("it goes on");
    };
    let said = said.unwrap();
    (said.status.code(), String::from_utf8_lossy(&said.stderr).into_owned())
}

/// What differs from the network that is there is refused, and what is the same is not.
#[test]
fn a_network_that_is_there_cannot_become_another() {
    let folder = Folder::new("devnet");
    let dir = folder.path("net");
    let same = [
        ("--weights", "2000,1000"),
        ("--shards", "2"),
        ("--seats", "2"),
        ("--epoch-seconds", "9"),
        ("--split-above", "700"),
        ("--merge-below", "20"),
        ("--accounts", "2"),
        ("--scheme", "ml-dsa-44"),
    ];
    let run = |code, options: &[(&str, &str)]| {
        let options = options.iter().flat_map(|(option, value)| [*option, *value]);
        let all: Vec<&str> = ["devnet", "--init-only", "--dir", &dir].into_iter().collect();
        qcn_ends(code, &[all, options.collect()].concat()).1
    };
    run(0, &same);
    run(0, &same);
    run(0, &[]);
    for (option, value) in [
        ("--validators", "3"),
        ("--weights", "1000,2000"),
        ("--shards", "1"),
        ("--epoch-seconds", "0"),
        ("--epoch-seconds", "10"),
        ("--split-above", "2000"),
        ("--merge-below", "0"),
        ("--accounts", "64"),
        ("--scheme", "falcon-512"),
        ("--port", "1"),
    ] {
        let said = run(2, &[(option, value)]);
        let asked = format!("{option} {value} is asked for");
        assert!(said.contains(&asked) && said.contains("add --reset"), "{said}");
    }
    let said = run(2, &[("--shards", "2"), ("--seats", "1")]);
    assert!(said.contains("a network of --seats 2, and --seats 1 is asked for"), "{said}");
}

/// What would have no effect is refused, and nothing is laid out.
#[test]
fn what_has_no_effect_is_refused() {
    let folder = Folder::new("devnet-no-effect");
    let dir = folder.path("net");
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = listener.local_addr().unwrap().port().to_string();
    for (options, expected) in [
        (["--split-above", "9"], "--epoch-seconds"),
        (["--merge-below", "9"], "--epoch-seconds"),
        (["--port", &taken], "no validator can listen there (Address already in use"),
    ] {
        let all = [&["devnet", "--init-only", "--dir", &dir][..], &options].concat();
        let (_, said) = qcn_ends(2, &all);
        assert!(said.contains(options[0]) && said.contains(expected), "{said}");
    }
    let seats = ["devnet", "--init-only", "--dir", &dir, "--shards", "1", "--seats", "3"];
    let (_, said) = qcn_ends(2, &seats);
    assert!(said.contains("all 4 validators serve the only shard"), "{said}");
    assert!(!std::path::Path::new(&dir).exists());
}

/// What was laid out is told to programs, and so is what a configuration is of.
#[test]
fn what_is_laid_out_is_told_as_json() {
    let folder = Folder::new("devnet-json");
    let dir = folder.path("net");
    let lay_out = ["devnet", "--init-only", "--accounts", "2", "--dir", &dir, "--json"];
    let parse = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
    let net = parse(&qcn_ends(0, &lay_out).0);
    assert_eq!(net["validators"].as_array().unwrap().len(), 4);
    let config = net["validators"][2]["config"].as_str().unwrap().to_owned();
    let node = parse(&qcn_ends(0, &["node", "--config", &config, "--check", "--json"]).0);
    assert_eq!((&node["validator"], &node["chain_id"]), (&"v2".into(), &net["chain_id"]));
    assert_eq!(net["validators"][2]["api"], format!("http://{}", node["api"].as_str().unwrap()));
    let (_, said) = qcn_ends(2, &["node", "--config", &config, "--json"]);
    assert!(said.contains("--json goes with --check and --init"), "{said}");
}

/// Given a devnet of four processes that has final checkpoints.
/// When the terminal sends SIGINT to the group that it started.
/// Then it stops them in order and ends well, and none of them is left.
#[test]
fn validators_in_processes_of_their_own_stop_with_ctrl_c() {
    let folder = Folder::new("devnet-processes");
    let mut child = start(&folder, &["--processes"]);
    let since = Instant::now();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let apis = loop {
        assert!(since.elapsed() < PATIENCE, "no checkpoint is final");
        let state: serde_json::Value =
            serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
        let seats = state["validators"].as_array().unwrap().clone();
        if seats.iter().all(|seat| seat["status"]["certified_height"].as_u64() > Some(0)) {
            break seats.len();
        }
    };
    assert_eq!(apis, 4);
    let group = format!("-{}", child.id());
    assert!(Command::new("kill").args(["-INT", "--", &group]).status().unwrap().success());
    // It may have something to say still.
    let rest = std::thread::spawn(move || lines.count());
    let (code, said) = ended(child);
    rest.join().unwrap();
    assert_eq!(code, Some(0), "{said}");
    assert!(!said.contains("ended with") && !said.contains("were killed"), "{said}");
    let config = std::fs::read_to_string(folder.path("net/v0/node.toml")).unwrap();
    let listen = config.lines().find_map(|line| line.strip_prefix("listen = ")).unwrap();
    let address: std::net::SocketAddr = listen.trim_matches('"').parse().unwrap();
    assert!(std::net::UdpSocket::bind(address).is_ok(), "v0 is there still");
}

/// A program that has seen enough ends the network with what it reads.
#[test]
fn a_devnet_that_nobody_reads_any_more_stops() {
    let folder = Folder::new("devnet-unread");
    let mut child = start(&folder, &[]);
    let mut output = BufReader::new(child.stdout.take().unwrap());
    output.read_line(&mut String::new()).unwrap();
    drop(output);
    let (code, said) = ended(child);
    assert_eq!(code, Some(0), "{said}");
    assert!(!said.contains("panicked"), "{said}");
}
