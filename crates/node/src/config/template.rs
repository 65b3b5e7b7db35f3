//! The text of a configuration, with a comment for each key.

use super::{NetworkConfig, NodeConfig};

/// Every value is written, also the usual ones: so the file shows what can be changed.
pub(super) fn text(config: &NodeConfig) -> String {
    let NodeConfig { network, api, storage, log, .. } = config;
    let path = |path: &std::path::Path| quoted(&path.to_string_lossy());
    let passphrase = config.passphrase_file.as_deref();
    let next = |key: &str, file: &Option<std::path::PathBuf>, example: &str| {
        optional(key, file.as_deref().map(path), example)
    };
    let passphrase = optional("passphrase_file", passphrase.map(path), "\"passphrase.txt\"");
    format!(
        "\
# A node of a qcn network. Paths are relative to the folder of this file.
# Start it with: qcn node --config FILE

# The genesis of the network, the same for all of its nodes.
genesis = {genesis}

# The key files of this validator (qcn key new). Only their owner may read them.
consensus_key = {consensus_key}
transport_key = {transport_key}

# The key files of new keys that replace those with the next epoch (qcn validator rotate). Once they
# have, name them above and take them out here.
{next_consensus_key}
{next_transport_key}

# A file with the passphrase of the key files. Without it, the environment variable
# QCN_PASSPHRASE is used, or else the passphrase is asked for on the terminal.
{passphrase}

# Where the node stores the chain. One folder serves one node at a time.
data = {data}

{network}
[api]
# Where HTTP clients and the explorer reach this node (TCP).
listen = {api_listen}
# Needed to listen beyond this machine. The interface has no authentication of its own.
allow_remote = {allow_remote}
# The names by which clients call it, without ports. It always answers to IP addresses and to
# localhost; a request to any other name is refused, for a web page can make its own name mean
# this machine.
hosts = [{hosts}]
# The most connections, half of them from one address, and the most subscribers to events.
max_connections = {max_connections}
max_subscribers = {max_subscribers}

[storage]
# How many of the newest checkpoints stay in the history, with blocks and transactions.
keep_checkpoints = {keep_checkpoints}

[log]
# error, warn, info, debug or trace.
level = {level}
# text for people, json for one object a line.
format = {format}
",
        genesis = path(&config.genesis),
        consensus_key = path(&config.consensus_key),
        transport_key = path(&config.transport_key),
        next_consensus_key =
            next("next_consensus_key", &config.next_consensus_key, "\"next-consensus.key\""),
        next_transport_key =
            next("next_transport_key", &config.next_transport_key, "\"next-transport.key\""),
        data = path(&config.data),
        network = network_text(network),
        api_listen = quoted(&api.listen.to_string()),
        allow_remote = api.allow_remote,
        hosts = list(&api.hosts),
        max_connections = api.max_connections,
        max_subscribers = api.max_subscribers,
        keep_checkpoints = storage.keep_checkpoints,
        level = quoted(log.level.name()),
        format = quoted(match log.format {
            super::LogFormat::Text => "text",
            super::LogFormat::Json => "json",
        }),
    )
}

fn network_text(network: &NetworkConfig) -> String {
    let advertise = network.advertise.as_deref().map(quoted);
    let advertise = optional("advertise", advertise, "\"validator.example:7400\"");
    format!(
        "\
[network]
# Where other validators reach this one (UDP).
listen = {listen}
# How they call that place, if it has another name from outside.
{advertise}
# Validators to try first, besides the addresses in the genesis.
seeds = [{seeds}]
# Clients that reach the API through the same port, with `qcn tunnel`: the digests of their
# transport keys, as `qcn key show` prints them. Nobody else is let in.
clients = [{clients}]
",
        listen = quoted(&network.listen.to_string()),
        seeds = list(&network.seeds),
        clients = list(&network.clients),
    )
}

/// The items of a list, as strings of TOML.
fn list<T: ToString>(items: &[T]) -> String {
    items.iter().map(|item| quoted(&item.to_string())).collect::<Vec<_>>().join(", ")
}

/// A key without a value stands there as a comment.
fn optional(key: &str, value: Option<String>, example: &str) -> String {
    match value {
        Some(value) => format!("{key} = {value}"),
        None => format!("# {key} = {example}"),
    }
}

/// A TOML string.
fn quoted(text: &str) -> String {
    toml::Value::String(text.to_owned()).to_string()
}
