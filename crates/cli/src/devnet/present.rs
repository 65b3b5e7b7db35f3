//! What is asked for of a network that is there already: it cannot become another one.

use std::fmt::Display;

use anyhow::{Context as _, bail};
use qcn_crypto::{Role, Scheme};
use qcn_node::config::NodeConfig;
use qcn_node::devnet::{Devnet, LOAD_ACCOUNTS};
use qcn_node::keyfile::{self, PassphraseSource};

use super::{DevnetArgs, epoch_ms, refuse_without_epochs};

/// Refuses what differs from the network that is there.
pub(super) fn check(args: &DevnetArgs, devnet: &Devnet) -> anyhow::Result<()> {
    let genesis = devnet.genesis();
    let shards = genesis.content().shards;
    let epochs = shards.and_then(|shards| shards.epochs);
    let weights: Vec<u64> = genesis.validators().iter().map(|it| it.weight).collect();
    let same = Present { devnet };
    same.is("--validators", args.validators, weights.len())?;
    if !args.weights.is_empty() {
        same.is("--weights", Some(listed(&args.weights)), listed(&weights))?;
    }
    same.is("--shards", args.shards.map(usize::from), genesis.shards().len())?;
    let seats = shards.map_or(weights.len(), |shards| usize::from(shards.seats));
    same.is("--seats", args.seats.map(usize::from), seats)?;
    let lasts_ms = args.epoch_seconds.map(epoch_ms).transpose()?;
    let has_ms = epochs.map_or(0, |epochs| epochs.epoch_ms);
    same.is("--epoch-seconds", lasts_ms.map(seconds), seconds(has_ms))?;
    match epochs {
        None => refuse_without_epochs(args)?,
        Some(epochs) => {
            same.is("--split-above", args.split_above, epochs.split_above)?;
            same.is("--merge-below", args.merge_below, epochs.merge_below)?;
        }
    }
    let accounts = genesis.accounts().count().saturating_sub(LOAD_ACCOUNTS);
    same.is("--accounts", args.accounts, accounts)?;
    if args.scheme.is_some() {
        same.is("--scheme", args.scheme, scheme(devnet)?)?;
    }
    if args.port.is_some() {
        same.is("--port", args.port, first_port(devnet)?)?;
    }
    Ok(())
}

struct Present<'a> {
    devnet: &'a Devnet,
}

impl Present<'_> {
    /// Refuses what is asked for if the network has something else.
    fn is<T: PartialEq + Display>(
        &self,
        option: &str,
        asked: Option<T>,
        has: T,
    ) -> anyhow::Result<()> {
        match asked {
            Some(asked) if asked != has => bail!(
                "{} holds a network of {option} {has}, and {option} {asked} is asked for: leave it \
                 out to go on with that network, or add --reset to start anew",
                self.devnet.folder().display()
            ),
            _ => Ok(()),
        }
    }
}

fn seconds(ms: u64) -> f64 {
    ms as f64 / 1_000.0
}

fn listed(weights: &[u64]) -> String {
    weights.iter().map(u64::to_string).collect::<Vec<_>>().join(",")
}

/// The scheme of the accounts' keys: all have the same.
fn scheme(devnet: &Devnet) -> anyhow::Result<Scheme> {
    let first = devnet.accounts_folder().join("account-0.key");
    let key = keyfile::load(&first, Role::Account, &PassphraseSource::choose(None))?;
    Ok(key.public_key().scheme())
}

fn first_port(devnet: &Devnet) -> anyhow::Result<u16> {
    let first = devnet.config_files().next().context("a devnet has a validator")?;
    Ok(NodeConfig::read(&first)?.network.listen.port())
}
