//! Validators that the genesis of a network does not name.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};

use qcn_crypto::KeyFile;
use qcn_crypto::{Role, Scheme, SigningKey};
use qcn_node::config::NodeConfig;
use qcn_node::devnet::read_node;
use qcn_node::document::Overwrite;
use qcn_node::genesis::ValidatorKeys;
use qcn_node::keyfile;
use qcn_node::membership::{NewValidator, RegistrationFile};
use qcn_node::runtime::{Node, initialise};
use qcn_node::votes::Vote;
use tokio::task::JoinHandle;

use super::Network;

/// A validator that wants to be admitted, and its node, which waits for it.
pub struct Newcomer {
    pub keys: ValidatorKeys,
    config: PathBuf,
    start: JoinHandle<Node>,
}

impl Network {
    /// Starts the node of somebody who is not in the genesis, with a data folder that is new.
    pub fn newcomer(&self, name: &str) -> Newcomer {
        let folder = self.folder.join(name);
        std::fs::create_dir_all(folder.join("data")).unwrap();
        let keys = ValidatorKeys {
            consensus: SigningKey::generate(Scheme::Falcon512).unwrap(),
            transport: SigningKey::generate(Scheme::MlDsa65).unwrap(),
            recovery: Some(SigningKey::generate(Scheme::SlhDsaSha2_128s).unwrap()),
        };
        write_key(&folder.join("consensus.key"), &keys.consensus, Role::Consensus);
        write_key(&folder.join("transport.key"), &keys.transport, Role::Transport);
        let mut config = NodeConfig::new(free_address());
        config.genesis = Path::new("..").join("genesis.json");
        config.api.listen = config.network.listen;
        let file = folder.join("node.toml");
        config.write(&file, Overwrite::Replace).unwrap();
        let (genesis, config, node_keys) = read_node(&file).unwrap();
        initialise(&genesis, &config, &node_keys).unwrap();
        let start = self
            .runtime
            .spawn(async move { Node::start(&genesis, &config, node_keys).await.unwrap() });
        Newcomer { keys, config: file, start }
    }

    /// All others vote to admit it; then it is one of the nodes.
    pub fn admit(&mut self, name: &str, newcomer: Newcomer) -> usize {
        let Newcomer { keys, config, start } = newcomer;
        let address = NodeConfig::read(&config).unwrap().network.listen.to_string();
        let new = NewValidator { name, weight: 1_000, keys: &keys, address: Some(&address) };
        let file = RegistrationFile::sign(&self.genesis, &new).unwrap();
        file.keep(&self.data_of(0)).unwrap();
        let consensus_key = keys.consensus.public_key().digest();
        self.vote(Vote::Admit { registration: file.digest(), weight: 1_000, consensus_key });
        self.until("the newcomer's node starts", |_| start.is_finished());
        self.nodes.push(Some(self.runtime.block_on(start).unwrap()));
        self.configs.push(config);
        self.nodes.len() - 1
    }

    /// Writes keys beside the configuration of a node, and names them in it.
    pub fn name_keys(&self, at: usize, keys: &[(&str, &SigningKey, Role)]) {
        let file = &self.configs[at];
        let mut text = std::fs::read_to_string(file).unwrap();
        for (place, key, role) in keys {
            let name = format!("{}.key", key.public_key().digest());
            write_key(&file.with_file_name(&name), key, *role);
            let named: Vec<&str> =
                text.lines().filter(|line| !line.starts_with(&format!("{place} = "))).collect();
            text = format!("{place} = \"{name}\"\n{}\n", named.join("\n"));
        }
        std::fs::write(file, text).unwrap();
    }

    /// Takes the next keys out of the configuration of a node.
    pub fn name_no_next_keys(&self, at: usize) {
        let file = &self.configs[at];
        let text = std::fs::read_to_string(file).unwrap();
        let kept: Vec<&str> = text.lines().filter(|line| !line.starts_with("next_")).collect();
        std::fs::write(file, kept.join("\n")).unwrap();
    }

    /// What the register has of a validator.
    pub fn registered(&self, number: usize) -> Option<serde_json::Value> {
        let beacon = self.ask_any("/v1/beacon");
        let register = beacon["register"].as_array().unwrap();
        register.iter().find(|one| one["number"] == number).cloned()
    }

    /// Waits until a validator serves a shard in an epoch after the present one: it has a certified
    /// state, and another node has blocks that it signed with the key of the register.
    pub fn until_serves(&self, at: usize) {
        let after = self.epoch();
        self.until("it serves in a later epoch", |network| {
            let has_state = network.node(at).views().iter().any(|view| {
                let is_shard = view.shard() != qcn_types::BEACON;
                is_shard && view.keys().committee().epoch() > after && view.certified().is_some()
            });
            has_state && network.are_blocks_seen(at)
        });
    }

    /// Whether another node has seen blocks of a validator in its shard's present epoch.
    fn are_blocks_seen(&self, at: usize) -> bool {
        let Some(registered) = self.registered(at) else { return false };
        let others = self.nodes.iter().enumerate().filter(|(other, _)| *other != at);
        others.filter_map(|(_, node)| node.as_ref()).any(|node| {
            let (status, shown) = self.ask_node(node, "/v1/validators");
            let shown = shown["validators"].as_array().filter(|_| status == 200);
            shown.into_iter().flatten().any(|one| {
                one["consensus_key"] == registered["consensus_key"]
                    && one["blocks"].as_u64() >= Some(3)
            })
        })
    }

    /// Whether the node of a validator has a link to any other.
    pub fn is_linked(&self, at: usize) -> bool {
        let peers = self.ask_node(self.node(at), "/v1/peers").1;
        peers["peers"].as_array().unwrap().iter().any(|peer| peer["connected"] == true)
    }
}

fn write_key(file: &Path, key: &SigningKey, role: Role) {
    keyfile::write(file, &KeyFile::unsealed(key, role), Overwrite::Replace).unwrap();
}

/// Any port that is free for both protocols, in this moment.
fn free_address() -> SocketAddr {
    let any = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    any.local_addr().unwrap()
}
