//! `qcn genesis show` and `qcn genesis check`.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use qcn_crypto::{Role, Scheme};
use qcn_node::genesis::{Genesis, GenesisShard};
use qcn_types::{Committee, ValidatorIndex};
use serde_json::{Value, json};

use crate::key::{print, warn};

const SHOW_EXAMPLES: &str = "\
Examples:
  qcn genesis show genesis.json
  qcn genesis show genesis.json --json";

/// Which genesis to show.
#[derive(Debug, Args)]
#[command(after_help = SHOW_EXAMPLES)]
pub struct ShowArgs {
    /// A genesis that `qcn genesis new` wrote.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

const CHECK_EXAMPLES: &str = "\
Compare the chain id with the other operators: it covers everything in the genesis.

Examples:
  qcn genesis check genesis.json
  qcn genesis check genesis.json --json";

/// Which genesis to check.
#[derive(Debug, Args)]
#[command(after_help = CHECK_EXAMPLES)]
pub struct CheckArgs {
    /// A genesis that `qcn genesis new` wrote.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Print one JSON object.
    #[arg(long)]
    json: bool,
}

pub fn run_show(args: &ShowArgs) -> anyhow::Result<ExitCode> {
    print_genesis(&Genesis::read(&args.file)?, args.json)?;
    Ok(ExitCode::SUCCESS)
}

pub fn run_check(args: &CheckArgs) -> anyhow::Result<ExitCode> {
    let genesis = Genesis::read(&args.file)?;
    genesis.committee_keys()?;
    let (chain, warnings) = (genesis.chain(), genesis.warnings());
    if args.json {
        let report = json!({ "ok": true, "chain_id": chain.to_string(), "warnings": warnings });
        print(&format!("{report}\n"))?;
    } else {
        warnings.iter().for_each(|warning| warn(warning));
        print(&format!(
            "ok: every key is held by who registered it\nvalidators: {}, accounts: {}\nchain id {chain}\n",
            genesis.validators().len(),
            genesis.content().accounts.len()
        ))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Prints a genesis for a person, or as JSON.
pub fn print_genesis(genesis: &Genesis, json: bool) -> anyhow::Result<()> {
    if json {
        return print(&format!("{}\n", report(genesis)));
    }
    genesis.warnings().iter().for_each(|warning| warn(warning));
    print(&text(genesis)?)
}

fn supply(genesis: &Genesis) -> u64 {
    genesis.content().accounts.iter().map(|account| account.balance).sum()
}

fn report(genesis: &Genesis) -> Value {
    let (content, committee) = (genesis.content(), genesis.committee());
    let is_one = genesis.shards().len() == 1;
    let validator = |(index, entry): (usize, &qcn_node::genesis::GenesisValidator)| {
        json!({
            "index": index,
            "name": entry.name,
            "weight": is_one.then(|| committee.members()[index].weight.0),
            "shards": seated(genesis, index),
            "asked_weight": entry.weight,
            "consensus_scheme": entry.consensus_key.scheme().name(),
            "consensus_key_digest": entry.consensus_key.digest().to_string(),
            "transport_scheme": entry.transport_key.scheme().name(),
            "transport_key_digest": entry.transport_key.digest().to_string(),
            "recovery_key_digest": entry.recovery_key.as_ref().map(|key| key.digest().to_string()),
            "address": entry.address,
        })
    };
    let shard = |shard: &GenesisShard| {
        json!({
            "shard": shard.id.0,
            "prefix": shard.prefix.to_string(),
            "committee": arithmetic(&shard.committee),
            "validators": shard.seats.iter().map(|seat| seat.0).collect::<Vec<_>>(),
            "accounts": shard.accounts.len(),
        })
    };
    json!({
        "name": content.name,
        "chain_id": genesis.chain().to_string(),
        "created_unix_ms": content.created_unix_ms,
        "committee": arithmetic(committee),
        "shards": genesis.shards().iter().map(shard).collect::<Vec<_>>(),
        "seats": content.shards.map(|shards| shards.seats),
        "epochs": content.shards.and_then(|shards| shards.epochs),
        "validators": content.validators.iter().enumerate().map(validator).collect::<Vec<_>>(),
        "accounts": content.accounts,
        "supply": supply(genesis).to_string(),
        "schemes": content.schemes,
        "consensus": content.consensus,
        "snapshot_interval": content.snapshot_interval,
        "warnings": genesis.warnings(),
    })
}

fn arithmetic(committee: &Committee) -> Value {
    json!({
        "size": committee.len(),
        "total_weight": committee.total_weight(),
        "fault_weight": committee.fault_weight(),
        "quorum_weight": committee.quorum_weight(),
        "tolerates_a_fault": committee.tolerates_a_fault(),
    })
}

/// The shards in which a validator has a seat.
fn seated(genesis: &Genesis, index: usize) -> Vec<u32> {
    let validator = ValidatorIndex(u16::try_from(index).unwrap_or(u16::MAX));
    let seated = genesis.shards().iter().filter(|shard| shard.seat_of(validator).is_some());
    seated.map(|shard| shard.id.0).collect()
}

fn text(genesis: &Genesis) -> Result<String, std::fmt::Error> {
    let content = genesis.content();
    let mut text = String::new();
    writeln!(text, "network  {}", content.name)?;
    writeln!(text, "chain id {}", genesis.chain())?;
    for shard in genesis.shards() {
        let committee = &shard.committee;
        if genesis.shards().len() > 1 {
            let (accounts, prefix) = (shard.accounts.len(), shard.prefix);
            write!(text, "shard {:<2} {prefix}, {accounts} accounts, ", shard.id)?;
        } else {
            write!(text, "weight   ")?;
        }
        writeln!(
            text,
            "{} in total, f = {}, a quorum is {}",
            committee.total_weight(),
            committee.fault_weight(),
            committee.quorum_weight()
        )?;
    }
    write_layout(&mut text, genesis)?;
    writeln!(text)?;
    write_validators(&mut text, genesis)?;
    write_accounts(&mut text, genesis)?;
    writeln!(text)?;
    for role in Role::ALL {
        writeln!(text, "{role:<9} keys: {}", names(content.schemes.of(role)))?;
    }
    Ok(text)
}

/// Who is drawn, and how often; nothing where everybody serves the only shard for ever.
fn write_layout(text: &mut String, genesis: &Genesis) -> std::fmt::Result {
    let Some(shards) = genesis.content().shards else { return Ok(()) };
    let validators = genesis.validators().len();
    writeln!(text, "seats    {} a shard, of {validators} validators", shards.seats)?;
    let Some(epochs) = shards.epochs else { return Ok(()) };
    let seconds = Duration::from_millis(epochs.epoch_ms).as_secs_f64();
    writeln!(text, "epochs   of {seconds} s at least, then committees are drawn anew")?;
    writeln!(
        text,
        "layout   up to {} shards, split above {} transactions/s",
        epochs.shards_max, epochs.split_above
    )?;
    match epochs.merge_below {
        0 => writeln!(text, "         merged by vote only"),
        below => writeln!(text, "         merged below {below} transactions/s of both siblings"),
    }
}

fn names(schemes: &BTreeSet<Scheme>) -> String {
    schemes.iter().map(|scheme| scheme.name()).collect::<Vec<_>>().join(", ")
}

fn write_validators(text: &mut String, genesis: &Genesis) -> std::fmt::Result {
    let (entries, is_one) = (genesis.validators(), genesis.shards().len() == 1);
    let width = entries.iter().map(|entry| entry.name.chars().count()).max().unwrap_or(0).max(9);
    writeln!(
        text,
        "  #  {:<width$}  {:>10}  {:>10}  {:<12}  {:<8}  address",
        "validator",
        "asked",
        if is_one { "weight" } else { "shards" },
        "consensus",
        "recovery"
    )?;
    for (index, entry) in entries.iter().enumerate() {
        let given = if is_one {
            genesis.committee().members()[index].weight.to_string()
        } else {
            let shards = seated(genesis, index);
            let shards: Vec<String> = shards.iter().map(u32::to_string).collect();
            if shards.is_empty() { "none".to_owned() } else { shards.join(",") }
        };
        writeln!(
            text,
            "{index:>3}  {:<width$}  {:>10}  {:>10}  {:<12}  {:<8}  {}",
            entry.name,
            entry.weight,
            given,
            entry.consensus_key.scheme().name(),
            if entry.recovery_key.is_some() { "yes" } else { "no" },
            entry.address.as_deref().unwrap_or("-")
        )?;
    }
    Ok(())
}

/// How many accounts are listed for a person.
const MAX_LISTED_ACCOUNTS: usize = 20;

fn write_accounts(text: &mut String, genesis: &Genesis) -> std::fmt::Result {
    let accounts = &genesis.content().accounts;
    writeln!(text, "\naccounts: {}, with {} units in all", accounts.len(), supply(genesis))?;
    for account in accounts.iter().take(MAX_LISTED_ACCOUNTS) {
        let name = account.name.as_deref().unwrap_or("");
        writeln!(text, "  {}  {:>20}  {name}", account.address, account.balance)?;
    }
    if accounts.len() > MAX_LISTED_ACCOUNTS {
        let more = accounts.len() - MAX_LISTED_ACCOUNTS;
        writeln!(text, "  and {more} more: `qcn genesis show --json` lists all")?;
    }
    Ok(())
}
