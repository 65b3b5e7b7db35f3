//! A whole network of several shards in this process, asked over HTTP as a client would.
#![allow(dead_code, reason = "each of the tests' programs uses some of it")]

mod newcomer;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use qcn_crypto::{Role, Scheme, SigningKey};
use qcn_ledger::MIN_FEE;
use qcn_node::config::NodeConfig;
use qcn_node::devnet::{Devnet, DevnetPlan, read_node};
use qcn_node::document::Overwrite;
use qcn_node::genesis::{EpochsContent, Genesis, ShardsContent};
use qcn_node::keyfile::{self, PassphraseSource};
use qcn_node::runtime::{Node, NodeError, initialise, log_folder};
use qcn_node::transport::TransportError;
use qcn_node::view::View;
use qcn_node::votes::{Vote, Votes};
use qcn_types::{
    Action, Address, Amount, Epoch, Prefix, ShardId, Transaction, TransactionBody, TransactionId,
    encode,
};
use serde_json::Value;
use tokio::runtime::Runtime;
use ureq::Agent;

/// How long anything may take before a test gives up.
const PATIENCE: Duration = Duration::from_secs(60);

/// How often something is looked at that will come about.
const LOOK_INTERVAL: Duration = Duration::from_millis(20);

const BALANCE: u64 = 1_000_000;

/// What a network looks like.
pub struct Plan {
    pub validators: usize,
    pub shards: u16,
    pub seats: u16,
    /// Where the search for free ports begins; each test has its own.
    pub port: u16,
    /// How committees change, if they do.
    pub epochs: Option<EpochsContent>,
}

impl Plan {
    const ACCOUNTS: usize = 32;
}

/// An account with money.
pub struct Account {
    key: SigningKey,
    pub address: Address,
}

/// A running network.
pub struct Network {
    folder: PathBuf,
    runtime: Runtime,
    nodes: Vec<Option<Node>>,
    configs: Vec<PathBuf>,
    genesis: Genesis,
    accounts: Vec<Account>,
    taken: Vec<Address>,
    agent: Agent,
}

impl Network {
    pub const FEE: u64 = MIN_FEE.0;

    pub fn start(name: &str, plan: Plan) -> Self {
        Self::start_drawn(name, plan, |_| true)
    }

    /// A network whose committees, which are drawn, are as a test needs them.
    pub fn start_drawn(name: &str, plan: Plan, is_wanted: impl Fn(&Genesis) -> bool) -> Self {
        let folder = std::env::temp_dir().join(format!("qcn-shards-{}-{name}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        let plan = DevnetPlan {
            weights: vec![1_000; plan.validators],
            accounts: Plan::ACCOUNTS,
            account_scheme: Scheme::Falcon512,
            balance: BALANCE,
            first_port: plan.port,
            shards: Some(ShardsContent {
                count: plan.shards,
                seats: plan.seats,
                epochs: plan.epochs,
            }),
        };
        let (devnet, genesis) = loop {
            let devnet = Devnet::create(&folder, &plan, |_, _| {}).unwrap();
            let genesis = with_frequent_snapshots(&devnet);
            if is_wanted(&genesis) && every_shard_has_accounts(&genesis) {
                break (devnet, genesis);
            }
            Devnet::delete(&folder).unwrap();
        };
        let configs: Vec<PathBuf> = devnet.config_files().collect();
        let source = PassphraseSource::choose(None);
        let account = |at: usize| {
            let path = devnet.accounts_folder().join(format!("account-{at}.key"));
            let key = keyfile::load(&path, Role::Account, &source).unwrap();
            Account { address: Address::of(key.public_key()), key }
        };
        let agent = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(Duration::from_secs(20)))
            .build();
        let mut network = Self {
            runtime: Runtime::new().unwrap(),
            nodes: (0..plan.weights.len()).map(|_| None).collect(),
            configs,
            genesis,
            accounts: (0..plan.accounts).map(account).collect(),
            taken: Vec::new(),
            agent: agent.into(),
            folder,
        };
        network.start_all();
        network
    }

    pub const fn genesis(&self) -> &Genesis {
        &self.genesis
    }

    /// Waits until every instance has a snapshot, with which it starts the next time.
    pub fn until_snapshots(&self) {
        self.until("every log has a snapshot", |network| {
            network.configs.iter().zip(&network.nodes).all(|(config, node)| {
                let data = NodeConfig::read(config).unwrap().data;
                let has_snapshot = |shard| {
                    let log = std::fs::read_dir(log_folder(&network.genesis, &data, shard));
                    log.unwrap().any(|file| {
                        file.unwrap().path().extension().is_some_and(|kind| kind == "snap")
                    })
                };
                node.iter().flat_map(Node::views).all(|view| has_snapshot(view.shard()))
            })
        });
    }

    pub fn start_all(&mut self) {
        for at in 0..self.nodes.len() {
            self.start_node(at);
        }
        self.until("every node knows a certified state", |network| {
            network
                .nodes
                .iter()
                .flatten()
                .all(|node| newest_views(node).iter().all(|view| view.certified().is_some()))
        });
    }

    pub fn start_node(&mut self, at: usize) {
        let mut started = None;
        // In the same process the port is free only once the last connection has ended.
        self.until("a node starts", |network| {
            let (genesis, config, keys) = read_node(&network.configs[at]).unwrap();
            match network.runtime.block_on(Node::start(&genesis, &config, keys)) {
                Ok(node) => started = Some(node),
                Err(NodeError::Transport(TransportError::Listen { .. })) => {}
                Err(error) => panic!("{error}"),
            }
            started.is_some()
        });
        self.nodes[at] = started;
    }

    pub fn stop_node(&mut self, at: usize) {
        if let Some(node) = self.nodes[at].take() {
            self.runtime.block_on(node.stop());
        }
    }

    pub fn restart(&mut self) {
        for at in 0..self.nodes.len() {
            self.stop_node(at);
        }
        self.start_all();
    }

    /// An account of a shard that no other call gave.
    pub fn account_of(&mut self, shard: ShardId) -> Account {
        let layout = self.genesis.layout().clone();
        self.account_where(|address| layout.shard_of(address) == shard)
    }

    /// Running nodes with a seat in a shard.
    pub fn hosts(&self, shard: ShardId) -> impl Iterator<Item = &Node> {
        let hosts = move |node: &&Node| node.views().iter().any(|view| view.shard() == shard);
        self.nodes.iter().flatten().filter(hosts)
    }

    /// Waits until shards are certified in an epoch, or a later one, at all nodes that have a seat.
    pub fn until_epoch(&self, epoch: Epoch, shards: &[ShardId]) {
        self.until("the shards are in the epoch", |network| {
            let views: Vec<_> = network.nodes.iter().flatten().flat_map(Node::views).collect();
            shards.iter().all(|shard| {
                let of_shard = views.iter().filter(|view| view.shard() == *shard);
                let is_there = |view: &&View| {
                    view.keys().committee().epoch() >= epoch && view.certified().is_some()
                };
                let there: Vec<_> = of_shard.filter(is_there).collect();
                let seats = there.first().map(|view| view.keys().committee().len());
                seats.is_some_and(|seats| there.len() >= seats)
            })
        });
    }

    /// Waits until every node that is up serves in an epoch, or a later one, wherever it has a seat.
    pub fn until_epoch_of_all_up(&self, epoch: Epoch) {
        self.until("all nodes that are up are in the epoch", |network| {
            let is_seated = |shard: &Value| {
                shard["committee"].as_array().unwrap().iter().any(|seat| seat["own"] == true)
            };
            let is_there = |shard: &Value| {
                let state = &shard["state"];
                state["epoch"].as_u64() >= Some(epoch.0) && !state["balances"].is_null()
            };
            network.nodes.iter().flatten().all(|node| {
                let body = network.ask_node(node, "/v1/shards").1;
                let shards = body["shards"].as_array().unwrap();
                body["epoch"].as_u64() >= Some(epoch.0)
                    && shards.iter().filter(|shard| is_seated(shard)).all(is_there)
            })
        });
    }

    /// The newest epoch that a node is in.
    pub fn epoch(&self) -> Epoch {
        let nodes = self.nodes.iter().flatten();
        let epochs = nodes.map(|node| self.ask_node(node, "/v1/shards").1["epoch"].as_u64());
        Epoch(epochs.max().flatten().unwrap())
    }

    /// Who has a seat in a shard in the newest epoch that some node is in.
    pub fn committee(&self, shard: ShardId) -> Vec<usize> {
        let body = self.ask_any("/v1/shards");
        let mut shards = body["shards"].as_array().unwrap().iter();
        let found = shards.find(|one| one["shard"] == shard.0).unwrap();
        let seats = found["committee"].as_array().unwrap().iter();
        seats.map(|seat| seat["validator"].as_u64().unwrap() as usize).collect()
    }

    /// The newest epoch in which a shard has certified anything.
    pub fn certified_epoch(&self, shard: ShardId) -> Epoch {
        let views = self.nodes.iter().flatten().flat_map(Node::views);
        let of_shard = views.filter(|it| it.shard() == shard && it.certified().is_some());
        of_shard.map(|view| view.keys().committee().epoch()).max().unwrap()
    }

    pub fn node(&self, at: usize) -> &Node {
        self.nodes[at].as_ref().expect("it runs")
    }

    /// How many receipts of a shard this node has carried to another.
    pub fn carried(&self, at: usize, lane: [ShardId; 2]) -> u64 {
        let url = format!("http://{}/metrics", self.node(at).api_address());
        let mut answer = self.agent.get(url).call().unwrap();
        let text = answer.body_mut().read_to_string().unwrap();
        let [from, to] = lane;
        let name = format!("qcn_receipts_carried_total{{shard=\"{to}\",source=\"{from}\"}} ");
        let value = text.lines().find_map(|line| line.strip_prefix(&name));
        value.map_or(0, |value| value.parse().unwrap())
    }

    pub fn shard_of(&self, account: &Account) -> ShardId {
        self.genesis.layout().shard_of(&account.address)
    }

    pub fn ask_node(&self, node: &Node, path: &str) -> (u16, Value) {
        let url = format!("http://{}{path}", node.api_address());
        let mut answer = self.agent.get(url).call().unwrap();
        let text = answer.body_mut().read_to_string().unwrap();
        let body = serde_json::from_str(&text).unwrap_or_else(|_| panic!("{path}: {text}"));
        (answer.status().as_u16(), body)
    }

    /// What a node that hosts a shard answers.
    pub fn ask(&self, shard: ShardId, path: &str) -> Value {
        let node = self.hosts(shard).next().expect("some node hosts it");
        let (status, body) = self.ask_node(node, path);
        assert_eq!(status, 200, "{path}: {body}");
        body
    }

    /// What a node answers that can: while an epoch changes there may be none for a moment.
    pub fn ask_any(&self, path: &str) -> Value {
        let mut found = None;
        self.until(path, |network| {
            let answers = network.nodes.iter().flatten().map(|node| network.ask_node(node, path));
            found = answers.into_iter().find(|(status, _)| *status == 200).map(|(_, body)| body);
            found.is_some()
        });
        found.unwrap()
    }

    pub fn balance(&self, account: &Account) -> u64 {
        let body = self.ask_any(&format!("/v1/accounts/{}", account.address));
        body["balance"].as_str().unwrap().parse().unwrap()
    }

    pub fn submit(&self, from: &Account, to: &Account, amount: u64) -> TransactionId {
        let account = self.ask_any(&format!("/v1/accounts/{}", from.address));
        let nonce = account["next_nonce"].as_u64().unwrap();
        let action = Action::Transfer { to: to.address, amount: Amount(amount) };
        let body = TransactionBody { sender: from.address, nonce, fee: MIN_FEE, action };
        let context = TransactionBody::signing_context(self.genesis.chain());
        let signature = from.key.sign(&context, &encode(&body)).unwrap();
        let id = body.id();
        let signed = Transaction { body, key: from.key.public_key().clone(), signature };
        self.until("some node takes it in", |network| {
            network.nodes.iter().flatten().any(|node| network.hand_in(node, &signed) == 202)
        });
        id
    }

    fn hand_in(&self, node: &Node, signed: &Transaction) -> u16 {
        let url = format!("http://{}/v1/transactions", node.api_address());
        let request = self.agent.post(url).header("content-type", "application/octet-stream");
        request.send(&encode(signed)).unwrap().status().as_u16()
    }

    /// Every unit of the currency, on accounts, as fees or on its way, as nodes say of all shards
    /// of the present layout; nothing while they are in different epochs.
    pub fn total(&self) -> Option<u128> {
        let of = |node: &Node| self.ask_node(node, "/v1/shards").1;
        let first = self.nodes.iter().flatten().map(of).next()?;
        let epoch = first["epoch"].as_u64()?;
        let mut total = 0_i128;
        for shard in first["shards"].as_array()? {
            let shard = ShardId(u32::try_from(shard["shard"].as_u64()?).ok()?);
            let mut views: Vec<View> = self.nodes.iter().flatten().flat_map(Node::views).collect();
            let is_it =
                |view: &View| view.shard() == shard && view.keys().committee().epoch().0 == epoch;
            views.retain(is_it);
            let ledger = views.first()?.certified()?.ledger;
            let supply = ledger.audit().unwrap();
            total += supply.balances as i128 + supply.fees as i128 + supply.sent as i128
                - supply.received as i128;
        }
        u128::try_from(total).ok()
    }

    /// Waits until the balances of all shards add up to what there was at genesis.
    pub fn until_supply_adds_up(&self) {
        let genesis: u128 = self.genesis.accounts().map(|one| u128::from(one.balance.0)).sum();
        self.until("everything adds up", |network| network.total() == Some(genesis));
    }

    /// Each shard by itself tells where the units are that it began with, or took over.
    pub fn assert_each_shard_adds_up(&self) {
        for shard in self.shards() {
            let supply = self.ask_any(&format!("/v1/shards/{shard}/supply"));
            let part = |name: &str| supply[name].as_str().unwrap().parse::<i128>().unwrap();
            let parts = ["balances", "fees", "in_flight", "resharded"].map(part);
            assert_eq!(parts.iter().sum::<i128>(), part("genesis"), "shard {shard}: {supply}");
        }
    }

    /// The numbers of the shards that there are.
    pub fn shards(&self) -> Vec<u64> {
        let body = self.ask_any("/v1/shards");
        let shards = body["shards"].as_array().unwrap().iter();
        shards.map(|shard| shard["shard"].as_u64().unwrap()).collect()
    }

    /// An account of each half of the addresses, that no other call gave: of each shard after one
    /// shard of all was split.
    pub fn account_of_each_half(&mut self) -> [Account; 2] {
        let halves = Prefix::EMPTY.halves().expect("all addresses have halves");
        halves.map(|half| self.account_where(|address| half.covers(address)))
    }

    /// An account that no other call gave. Addresses are random, so there is one if what is asked
    /// for is true of a good part of them.
    fn account_where(&mut self, is_fit: impl Fn(&Address) -> bool) -> Account {
        let free =
            |account: &&Account| is_fit(&account.address) && !self.taken.contains(&account.address);
        let found = self.accounts.iter().find(free).expect("there are accounts of all shards");
        self.taken.push(found.address);
        Account { key: found.key.clone(), address: found.address }
    }

    /// Pays, and waits until the receiver has it, in whatever shard.
    pub fn pay(&self, from: &Account, to: &Account, amount: u64) {
        let before = self.balance(to);
        let id = self.submit(from, to, amount);
        let what = format!("{amount} is paid by {id}");
        let mut looks = 0;
        self.until(&what, |network| {
            looks += 1;
            if looks % 500 == 0 {
                for node in network.nodes.iter().flatten() {
                    eprintln!("{}", network.ask_node(node, &format!("/v1/transactions/{id}")).1);
                }
            }
            network.balance(to) == before + amount
        });
    }

    /// The operators of all validators vote for something.
    pub fn vote(&self, vote: Vote) {
        (0..self.configs.len()).for_each(|at| self.vote_of(at, vote));
    }

    /// The operator of one validator votes for something.
    pub fn vote_of(&self, at: usize, vote: Vote) {
        let data = self.data_of(at);
        let mut votes = Votes::read(&data).unwrap();
        assert!(votes.cast(vote, Duration::from_secs(3_600)));
        votes.write(&data).unwrap();
    }

    /// What the operator of one validator votes for.
    pub fn votes_of(&self, at: usize) -> Vec<Vote> {
        let votes = Votes::read(&self.data_of(at)).unwrap().votes;
        votes.iter().map(|cast| cast.vote).collect()
    }

    /// The data folder of a node.
    pub fn data_of(&self, at: usize) -> PathBuf {
        NodeConfig::read(&self.configs[at]).unwrap().data
    }

    /// What a node says of the arrival of a transfer; one of the receiver's shard knows best.
    pub fn arrival(&self, id: TransactionId) -> Value {
        let path = format!("/v1/transactions/{id}");
        let mut last = Value::Null;
        for node in self.nodes.iter().flatten() {
            let arrival = self.ask_node(node, &path).1["arrival"].clone();
            if arrival["final"] == true {
                return arrival;
            }
            last = arrival;
        }
        last
    }

    /// Pays to another shard and waits until that is final.
    pub fn pay_across(&self, from: &Account, to: &Account, amount: u64) -> TransactionId {
        assert_ne!(self.shard_of(from), self.shard_of(to));
        let id = self.submit(from, to, amount);
        self.until_arrived(id);
        // Every node that was asked may be a moment behind.
        let path = format!("/v1/transactions/{id}");
        self.until("the source's hosts know that it is final", |network| {
            let mut hosts = network.hosts(network.shard_of(from));
            hosts.all(|node| network.ask_node(node, &path).1["status"] == "final")
        });
        self.until("the destination's hosts know of it", |network| {
            let mut hosts = network.hosts(network.shard_of(to));
            hosts.all(|node| network.ask_node(node, &path).1["arrival"]["final"] == true)
        });
        id
    }

    pub fn until_arrived(&self, id: TransactionId) {
        self.until("the transfer arrives", |network| {
            let arrival = network.arrival(id);
            arrival["final"] == true && arrival["status"] == "arrived"
        });
    }

    /// Waits until all receipts are applied, and counts everything over all shards.
    pub fn assert_supply_adds_up(&self) {
        let mut supplies = None;
        self.until("nothing is on its way", |network| {
            let of_shard = |shard: &qcn_node::genesis::GenesisShard| {
                let node = network.hosts(shard.id).next()?;
                let view = node.views().into_iter().rfind(|view| view.shard() == shard.id)?;
                Some(view.certified()?.ledger)
            };
            let ledgers: Option<Vec<_>> = network.genesis.shards().iter().map(of_shard).collect();
            let Some(ledgers) = ledgers else { return false };
            let all: Vec<_> = ledgers.iter().map(|ledger| ledger.audit().unwrap()).collect();
            let sent: u128 = all.iter().map(|supply| supply.sent).sum();
            let received: u128 = all.iter().map(|supply| supply.received).sum();
            supplies = Some(all);
            sent == received
        });
        let supplies = supplies.expect("they were read");
        let held: u128 = supplies.iter().map(|supply| supply.balances + supply.fees).sum();
        let genesis: u128 =
            self.genesis.content().accounts.iter().map(|account| u128::from(account.balance)).sum();
        assert_eq!(held, genesis);
    }

    pub fn until(&self, what: &str, mut is_so: impl FnMut(&Self) -> bool) {
        let begun = Instant::now();
        while !is_so(self) {
            if begun.elapsed() >= PATIENCE {
                panic!("after {PATIENCE:?}: not so that {what}\n{}", self.standing());
            }
            std::thread::park_timeout(LOOK_INTERVAL);
        }
    }

    /// Where everything stands, for whoever looks for what is wrong.
    fn standing(&self) -> String {
        let mut lines = Vec::new();
        for (at, node) in self.nodes.iter().enumerate() {
            for view in node.iter().flat_map(Node::views) {
                let (committee, status) = (view.keys().committee(), view.status());
                let certified = view.certified().map(|it| it.certificate.checkpoint.height.0);
                lines.push(format!(
                    "node {at}, shard {:?}, epoch {}: certified {certified:?}, {status:?}",
                    committee.shard(),
                    committee.epoch()
                ));
            }
        }
        lines.join("\n")
    }

    /// Lets the network run on.
    pub fn let_pass(&self, time: Duration) {
        let begun = Instant::now();
        self.until("time passes", |_| begun.elapsed() >= time);
    }
}

/// Whether there are enough accounts of each shard for a test; addresses are random.
fn every_shard_has_accounts(genesis: &Genesis) -> bool {
    let shards: Vec<ShardId> =
        genesis.accounts().map(|account| genesis.layout().shard_of(&account.address)).collect();
    let of = |shard: &ShardId| shards.iter().filter(|one| *one == shard).count();
    genesis.layout().shards().iter().all(|(_, shard)| of(shard) >= 4)
}

/// The same network with a snapshot every few rounds, so that restarts begin with one: another
/// genesis, and logs that are marked anew.
fn with_frequent_snapshots(devnet: &Devnet) -> Genesis {
    let mut content = devnet.genesis().content().clone();
    content.consensus.schedule_interval_commits = 32;
    content.snapshot_interval = 1;
    let again = Genesis::new(content).unwrap();
    for config in devnet.config_files() {
        let file = NodeConfig::read(&config).unwrap();
        again.write(&file.genesis, Overwrite::Replace).unwrap();
        std::fs::remove_dir_all(&file.data).unwrap();
        let (genesis, config, keys) = read_node(&config).unwrap();
        initialise(&genesis, &config, &keys).unwrap();
    }
    again
}

impl Drop for Network {
    fn drop(&mut self) {
        for at in 0..self.nodes.len() {
            self.stop_node(at);
        }
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// What the newest instance of each shard of a node shows.
fn newest_views(node: &Node) -> Vec<View> {
    let views = node.views();
    let is_newest = |view: &&View| {
        let epoch = |view: &View| view.keys().committee().epoch();
        let mut same = views.iter().filter(|other| other.shard() == view.shard());
        same.all(|other| epoch(other) <= epoch(view))
    };
    views.iter().filter(is_newest).cloned().collect()
}
