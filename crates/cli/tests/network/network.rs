//! A network of four node processes in a folder of its own.

use std::fs::{self, OpenOptions};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

use qcn_node::config::NodeConfig;
use qcn_node::document::Overwrite;
use qcn_node::genesis::{Genesis, GenesisContent};
use qcn_node::storage::{BlockLog, StoreIdentity};
use qcn_types::ValidatorIndex;

use crate::api::Api;
use crate::patience::{seconds, until};
use crate::small_disk;

/// How many validators every network here has: the fewest that survive a fault.
pub const VALIDATORS: usize = 4;
/// How many accounts have money.
pub const ACCOUNTS: usize = 16;
/// So many of them, the first, pay what a test keeps count of.
pub const PAYERS: usize = 8;
/// How long a node may take until it answers, on a machine that does other things as well.
const START_PATIENCE: Duration = seconds(30);
/// How much of a node's log is shown when a test fails.
const LOG_LINES_SHOWN: usize = 40;

/// Ports below those that the system gives to outgoing connections, in rows for one test each.
const PORT_FIRST: u16 = 12_000;
const PORTS_A_ROW: u16 = 20;
const ROWS: u16 = 250;

/// A row of ports that no other test uses.
pub struct Ports {
    pub first: u16,
    /// Held for as long as the test runs; it is what keeps the others away.
    _claim: TcpListener,
}

impl Ports {
    pub fn claim() -> Self {
        let start = std::process::id() as u16 % ROWS;
        let claimed = (0..ROWS).find_map(|step| {
            let first = PORT_FIRST + (start + step) % ROWS * PORTS_A_ROW;
            let last = first + PORTS_A_ROW - 1;
            let claim = TcpListener::bind((Ipv4Addr::LOCALHOST, last)).ok()?;
            Some(Self { first, _claim: claim })
        });
        claimed.expect("a free row of ports")
    }

    /// Which row it is; below 250.
    pub const fn row(&self) -> u16 {
        (self.first - PORT_FIRST) / PORTS_A_ROW
    }
}

/// One validator's files, and its process while it runs.
pub struct Node {
    config: PathBuf,
    log: PathBuf,
    pub api: Api,
    /// The network namespace that it runs in, if not that of the test.
    namespace: Option<String>,
    /// The size of the file system that its data has to itself, if any.
    small_disk_mib: Option<u32>,
    /// Who meddles with it, if it is not honest.
    adversary: Option<&'static str>,
    child: Option<Child>,
}

impl Node {
    /// An honest one that does not run.
    const fn new(config: PathBuf, log: PathBuf, api: Api) -> Self {
        let (namespace, small_disk_mib, adversary, child) = (None, None, None, None);
        Self { config, log, api, namespace, small_disk_mib, adversary, child }
    }

    fn data(&self) -> PathBuf {
        self.config.with_file_name("data")
    }

    /// A command that becomes this program, where the node is to run: what is killed later is the
    /// node itself.
    fn command(&self, program: &str) -> Command {
        match (&self.namespace, self.small_disk_mib) {
            (None, None) => Command::new(program),
            (Some(namespace), None) => {
                let mut command = Command::new("ip");
                command.args(["netns", "exec", namespace, program]);
                command
            }
            (None, Some(size_mib)) => small_disk::wrap(program, &self.data(), size_mib),
            (Some(_), Some(_)) => panic!("a network namespace and a small disk are not combined"),
        }
    }
}

/// Where a node listens and is reached.
pub struct Place {
    pub listen: SocketAddr,
    /// Where the other nodes reach it.
    pub reached_at: SocketAddr,
    pub api: SocketAddr,
    pub namespace: Option<String>,
}

/// Four validators. Dropping it kills them and removes their folder.
pub struct Network {
    folder: PathBuf,
    pub ports: Ports,
    nodes: Vec<Node>,
    load: Option<Child>,
}

impl Network {
    /// Lays a network out, starts its nodes and waits until all are ready.
    pub fn start(name: &str) -> Self {
        let mut network = Self::lay_out(name);
        network.launch_all();
        network.wait_until_ready();
        network
    }

    /// Makes the files of a network with `qcn devnet`.
    pub fn lay_out(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("qcn-net-{}-{name}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        let ports = Ports::claim();
        let devnet = folder.join("devnet");
        let [port, validators, accounts] =
            [ports.first.into(), VALIDATORS, ACCOUNTS].map(|number| number.to_string());
        let made = qcn(&[
            ["devnet", "--init-only"].as_slice(),
            &["--dir", devnet.to_str().unwrap(), "--port", &port],
            &["--validators", &validators, "--accounts", &accounts],
        ]
        .concat());
        assert!(made.status.success(), "{made:?}");
        let mut network = Self { folder, ports, nodes: Vec::new(), load: None };
        for at in 0..VALIDATORS {
            let config = devnet.join(format!("v{at}")).join("node.toml");
            let log = network.folder.join(format!("v{at}.log"));
            let listen = NodeConfig::read(&config).unwrap().api.listen;
            let api = Api::new(format!("http://{listen}"));
            network.nodes.push(Node::new(config, log, api));
        }
        network
    }

    /// Changes the configuration of a node that does not run.
    pub fn edit_config(&self, at: usize, edit: impl FnOnce(&mut NodeConfig)) {
        let file = &self.nodes[at].config;
        let mut config = NodeConfig::read(file).unwrap();
        edit(&mut config);
        config.write(file, Overwrite::Replace).unwrap();
    }

    /// Where a node listens for others.
    pub fn listens_at(&self, at: usize) -> SocketAddr {
        NodeConfig::read(&self.nodes[at].config).unwrap().network.listen
    }

    /// Gives the nodes of a network that never ran other places.
    pub fn place(&mut self, places: Vec<Place>) {
        self.edit_genesis(|content| {
            for (validator, place) in content.validators.iter_mut().zip(&places) {
                validator.address = Some(place.reached_at.to_string());
            }
        });
        for (node, place) in self.nodes.iter_mut().zip(places) {
            let mut config = NodeConfig::new(place.listen);
            config.genesis = "../genesis.json".into();
            config.network.advertise = Some(place.reached_at.to_string());
            config.api.listen = place.api;
            config.api.allow_remote = !place.api.ip().is_loopback();
            config.write(&node.config, Overwrite::Replace).unwrap();
            node.api = Api::new(format!("http://{}", place.api));
            node.namespace = place.namespace;
        }
    }

    /// Changes the genesis of a network that never ran.
    ///
    /// This makes another chain; its logs are marked as those of keys that have signed nothing,
    /// as `qcn devnet` does.
    pub fn edit_genesis(&self, edit: impl FnOnce(&mut GenesisContent)) {
        let mut content = Genesis::read(&self.genesis_file()).unwrap().content().clone();
        edit(&mut content);
        let genesis = Genesis::new(content).unwrap();
        genesis.write(&self.genesis_file(), Overwrite::Replace).unwrap();
        let keys = genesis.committee_keys().unwrap();
        for (at, node) in self.nodes.iter().enumerate() {
            let log = node.data().join("log");
            fs::remove_dir_all(&log).unwrap();
            let identity = StoreIdentity::of(&keys, ValidatorIndex(at as u16)).unwrap();
            BlockLog::initialise(&log, &identity).unwrap();
        }
    }

    pub fn genesis_file(&self) -> PathBuf {
        self.folder.join("devnet").join("genesis.json")
    }

    pub fn account_file(&self, at: usize) -> PathBuf {
        self.folder.join("devnet").join("accounts").join(format!("account-{at}.key"))
    }

    /// A file of the test's own.
    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    pub fn api(&self, at: usize) -> &Api {
        &self.nodes[at].api
    }

    /// The APIs of those whose word counts.
    pub fn honest_apis(&self) -> Vec<Api> {
        self.honest().map(|at| self.nodes[at].api.clone()).collect()
    }

    /// From its next start on, a node misbehaves as one of the simulator's adversaries does.
    pub fn corrupt(&mut self, at: usize, adversary: &'static str) {
        self.nodes[at].adversary = Some(adversary);
    }

    /// From its next start on, what a node stores is on a file system of its own of this size,
    /// which is lost when the node ends. An error says why that is not possible here.
    pub fn give_small_disk(&mut self, at: usize, size_mib: u32) -> Result<(), String> {
        small_disk::try_out(&self.file("small-disk"))?;
        self.nodes[at].small_disk_mib = Some(size_mib);
        Ok(())
    }

    /// Where the test finds the small disk of a node that runs.
    pub fn small_disk(&self, at: usize) -> PathBuf {
        let process = self.nodes[at].child.as_ref().unwrap().id();
        small_disk::seen_by(process, &self.data(at))
    }

    /// Adds a node with the keys and a copy of the disk of another one, at a port of its own.
    pub fn copy(&mut self, at: usize) -> usize {
        assert!(!self.is_running(at));
        let copy = self.nodes.len();
        let original = self.nodes[at].config.parent().unwrap();
        let folder = original.with_file_name(format!("v{copy}"));
        let copied = Command::new("cp").arg("-a").args([original, &folder]).status().unwrap();
        assert!(copied.success());
        let config = folder.join("node.toml");
        let mut listen = self.listens_at(at);
        let text = fs::read_to_string(&config).unwrap();
        let before = listen.to_string();
        listen.set_port(self.ports.first + copy as u16);
        fs::write(&config, text.replace(&before, &listen.to_string())).unwrap();
        let (log, api) = (self.file(&format!("v{copy}.log")), Api::new(format!("http://{listen}")));
        let adversary = self.nodes[at].adversary;
        self.nodes.push(Node { adversary, ..Node::new(config, log, api) });
        copy
    }

    /// The nodes that do as they should.
    pub fn honest(&self) -> impl Iterator<Item = usize> {
        (0..VALIDATORS).filter(|at| self.nodes[*at].adversary.is_none())
    }

    /// Starts a node that does not run.
    pub fn launch(&mut self, at: usize) {
        let node = &mut self.nodes[at];
        assert!(node.child.is_none(), "node {at} runs already");
        let log = OpenOptions::new().create(true).append(true).open(&node.log).unwrap();
        let (program, role) = match node.adversary {
            None => (env!("CARGO_BIN_EXE_qcn"), "node"),
            Some(adversary) => (env!("CARGO_BIN_EXE_qcn-byzantine"), adversary),
        };
        let child = node
            .command(program)
            .args([role, "--config", node.config.to_str().unwrap()])
            .env("NO_COLOR", "1")
            .env_remove("RUST_LOG")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        node.child = Some(child);
    }

    pub fn launch_all(&mut self) {
        (0..VALIDATORS).for_each(|at| self.launch(at));
    }

    /// Waits until all honest nodes that run are ready, and no node has ended.
    pub fn wait_until_ready(&mut self) {
        until("all nodes are ready", START_PATIENCE, || {
            self.assert_alive();
            let mut running = self.honest().filter(|at| self.is_running(*at));
            running.all(|at| self.nodes[at].api.is_ready()).then_some(())
        });
    }

    /// No node has ended by itself.
    pub fn assert_alive(&mut self) {
        for (at, node) in self.nodes.iter_mut().enumerate() {
            if let Some(child) = &mut node.child {
                let ended = child.try_wait().unwrap();
                assert!(ended.is_none(), "node {at} ended: {ended:?}");
            }
        }
    }

    pub fn is_running(&self, at: usize) -> bool {
        self.nodes[at].child.is_some()
    }

    /// kill -9.
    pub fn kill(&mut self, at: usize) {
        let mut child = self.nodes[at].child.take().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// SIGTERM; `look` is called while the node ends. Gives how it ended and how long it took.
    pub fn terminate(&mut self, at: usize, mut look: impl FnMut(&Self)) -> (ExitStatus, Duration) {
        self.signal(at, "TERM");
        let asked = Instant::now();
        let mut child = self.nodes[at].child.take().unwrap();
        let status = until("a node ends after SIGTERM", seconds(15), || {
            look(self);
            child.try_wait().unwrap()
        });
        (status, asked.elapsed())
    }

    /// Sends a signal to a node.
    pub fn signal(&self, at: usize, signal: &str) {
        let child = self.nodes[at].child.as_ref().unwrap();
        let kill = format!("kill -{signal} {}", child.id());
        assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
    }

    /// How a node ends by itself.
    pub fn end_of(&mut self, at: usize, patience: Duration) -> ExitStatus {
        let mut child = self.nodes[at].child.take().unwrap();
        until("a node ends by itself", patience, || child.try_wait().unwrap())
    }

    /// Where a node stores the chain.
    pub fn data(&self, at: usize) -> PathBuf {
        self.nodes[at].data()
    }

    /// Deletes all that a node has stored; its keys and configuration stay.
    pub fn wipe(&self, at: usize) {
        assert!(!self.is_running(at));
        fs::remove_dir_all(self.data(at)).unwrap();
    }

    /// Has `qcn load` put the nodes under pressure, by accounts of which nobody keeps count.
    pub fn start_load(&mut self, tps: u32) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_qcn"));
        command.args(["load", "--seconds", "600", "--sign-live", "--tps", &tps.to_string()]);
        for api in self.honest_apis() {
            command.args(["--node", api.url()]);
        }
        for at in PAYERS..ACCOUNTS {
            command.arg("--key").arg(self.account_file(at));
        }
        let log = fs::File::create(self.load_log()).unwrap();
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        self.load = Some(command.spawn().unwrap());
    }

    pub fn stop_load(&mut self) {
        if let Some(mut load) = self.load.take() {
            let ended = load.try_wait().unwrap();
            assert!(ended.is_none(), "the load ended: {ended:?}, {}", tail(&self.load_log()));
            load.kill().unwrap();
            load.wait().unwrap();
        }
    }

    fn load_log(&self) -> PathBuf {
        self.file("load.log")
    }

    /// What a node has logged since the first start.
    pub fn log(&self, at: usize) -> String {
        fs::read_to_string(&self.nodes[at].log).unwrap_or_default()
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        for child in
            self.nodes.iter_mut().filter_map(|node| node.child.as_mut()).chain(&mut self.load)
        {
            let _ = child.kill();
            let _ = child.wait();
        }
        if std::thread::panicking() {
            for (at, node) in self.nodes.iter().enumerate() {
                eprintln!("----- the end of the log of node {at} ({})", node.api.url());
                eprintln!("{}", tail(&node.log));
            }
        }
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn tail(log: &Path) -> String {
    let text = fs::read_to_string(log).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(LOG_LINES_SHOWN)..].join("\n")
}

/// Runs `qcn`.
pub fn qcn(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_qcn"))
        .args(arguments)
        .env_remove("QCN_NODE")
        .stdin(Stdio::null())
        .output()
        .unwrap()
}
