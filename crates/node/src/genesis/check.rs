//! What must hold for a genesis, each rule with the place that breaks it and the remedy.

use std::collections::BTreeMap;

use qcn_consensus::ConfigError;
use qcn_crypto::{PublicKey, Role, Scheme, VerifyingKey};
use qcn_types::{Committee, MAX_MEMBERS, ValidatorIndex};

use super::{
    AllowedSchemes, GENESIS_FORMAT, Genesis, GenesisContent, GenesisShard, GenesisValidator,
    NamedAccount,
};
use crate::document::{Problem, check_endpoint, quoted};

/// The longest name of a network, a validator or an account, in bytes.
const MAX_NAME_BYTES: usize = 64;

/// The longest time between snapshots, in schedule windows; a log never grows beyond it.
const MAX_SNAPSHOT_INTERVAL: u64 = 1 << 20;

/// Everything but the shards.
pub(super) fn content(content: &GenesisContent) -> Result<(), Problem> {
    if content.format != GENESIS_FORMAT {
        let what = format!("{} is no format of a genesis", quoted(&content.format));
        return Err(Problem::new("format", what, format!("give {GENESIS_FORMAT}")));
    }
    name("name", &content.name)?;
    schemes(&content.schemes)?;
    parameters(content)?;
    validators(content)?;
    accounts(&content.accounts)
}

fn name(place: &str, name: &str) -> Result<(), Problem> {
    let what = if name.trim().is_empty() {
        "the name is empty".to_owned()
    } else if name.len() > MAX_NAME_BYTES {
        format!("the name has {} bytes", name.len())
    } else if name.chars().any(char::is_control) || name.trim() != name {
        "the name has control characters, or blanks at its ends".to_owned()
    } else {
        return Ok(());
    };
    Err(Problem::new(place, what, format!("give a printable name of 1 to {MAX_NAME_BYTES} bytes")))
}

fn schemes(schemes: &AllowedSchemes) -> Result<(), Problem> {
    for role in Role::ALL {
        if schemes.of(role).is_empty() {
            let place = format!("schemes.{role}");
            return Err(Problem::new(place, "no scheme is allowed", "name at least one"));
        }
    }
    match schemes.transport.iter().find(|scheme| **scheme != Scheme::MlDsa65) {
        None => Ok(()),
        Some(other) => Err(Problem::new(
            "schemes.transport",
            format!("links cannot be authenticated with {other}"),
            format!("allow {} only", Scheme::MlDsa65),
        )),
    }
}

fn parameters(content: &GenesisContent) -> Result<(), Problem> {
    let checked = content.consensus.config().check();
    checked.map_err(|error| {
        let place = match &error {
            ConfigError::NoLeaders => "leaders_per_round",
            ConfigError::ShallowGc { .. } => "gc_depth",
            ConfigError::NoScheduleInterval => "schedule_interval_commits",
            ConfigError::TimeoutAboveCap => "leader_timeout_us",
            ConfigError::ZeroInterval(name) => name,
        };
        Problem::new(format!("consensus.{place}"), error.to_string(), "change it accordingly")
    })?;
    if (1..=MAX_SNAPSHOT_INTERVAL).contains(&content.snapshot_interval) {
        return Ok(());
    }
    Err(Problem::new(
        "snapshot_interval",
        format!("{} is no number of schedule windows", content.snapshot_interval),
        format!("give 1 to {MAX_SNAPSHOT_INTERVAL}"),
    ))
}

fn validators(content: &GenesisContent) -> Result<(), Problem> {
    let entries = &content.validators;
    if entries.is_empty() || entries.len() > MAX_MEMBERS {
        let what = format!("there are {} validators", entries.len());
        return Err(Problem::new("validators", what, format!("name 1 to {MAX_MEMBERS}")));
    }
    let mut names = BTreeMap::new();
    let mut keys = BTreeMap::new();
    let mut total = 0_u64;
    for (index, entry) in entries.iter().enumerate() {
        validator(index, entry)?;
        if let Some(first) = names.insert(entry.name.as_str(), index) {
            return Err(Problem::new(
                format!("validators[{index}].name"),
                format!("{} is the name of validators[{first}] already", quoted(&entry.name)),
                "give each its own name",
            ));
        }
        total = total.saturating_add(entry.weight);
        if total > Committee::MAX_TOTAL {
            return Err(Problem::new(
                format!("validators[{index}].weight"),
                format!("the weights add up to more than {}", Committee::MAX_TOTAL),
                "scale all of them down",
            ));
        }
        for (role, key) in keys_of(entry) {
            let place = format!("validators[{index}].{role}_key");
            allowed(&place, role, key, &content.schemes)?;
            if let Some(first) = keys.insert(key, place.clone()) {
                let what = format!("the key is that of {first} already");
                return Err(Problem::new(place, what, "make an own key for each role of each"));
            }
        }
    }
    Ok(())
}

/// What can be checked of an entry alone, without the costly proofs.
pub(super) fn validator(index: usize, entry: &GenesisValidator) -> Result<(), Problem> {
    name(&format!("validators[{index}].name"), &entry.name)?;
    if entry.weight == 0 || entry.weight > Committee::MAX_TOTAL {
        return Err(Problem::new(
            format!("validators[{index}].weight"),
            format!("{} is no weight", entry.weight),
            format!(
                "give a weight from 1 to {}, about 1000 for each unit of processing power",
                Committee::MAX_TOTAL
            ),
        ));
    }
    if entry.recovery_key.is_some() != entry.recovery_possession.is_some() {
        return Err(Problem::new(
            format!("validators[{index}].recovery_possession"),
            "a recovery key and its proof of possession go together",
            "give both or neither",
        ));
    }
    for (role, key) in keys_of(entry) {
        VerifyingKey::decode(key).map_err(|error| {
            let place = format!("validators[{index}].{role}_key");
            Problem::new(place, error.to_string(), "make a key with `qcn key new`")
        })?;
    }
    match &entry.address {
        Some(address) => check_endpoint(&format!("validators[{index}].address"), address),
        None => Ok(()),
    }
}

fn keys_of(entry: &GenesisValidator) -> impl Iterator<Item = (Role, &PublicKey)> {
    let recovery = entry.recovery_key.as_ref().map(|key| (Role::Operator, key));
    [(Role::Consensus, &entry.consensus_key), (Role::Transport, &entry.transport_key)]
        .into_iter()
        .chain(recovery)
}

fn allowed(
    place: &str,
    role: Role,
    key: &PublicKey,
    schemes: &AllowedSchemes,
) -> Result<(), Problem> {
    if schemes.of(role).contains(&key.scheme()) {
        return Ok(());
    }
    let names: Vec<&str> = schemes.of(role).iter().map(|scheme| scheme.name()).collect();
    Err(Problem::new(
        format!("{place}.scheme"),
        format!("{} is not allowed for {role} keys", key.scheme()),
        format!("make a key of {}, or allow the scheme under schemes.{role}", names.join(" or ")),
    ))
}

fn accounts(accounts: &[NamedAccount]) -> Result<(), Problem> {
    let mut seen = BTreeMap::new();
    let mut total = 0_u64;
    for (index, account) in accounts.iter().enumerate() {
        let place = |member: &str| format!("accounts[{index}].{member}");
        if let Some(text) = &account.name {
            name(&place("name"), text)?;
        }
        if let Some(first) = seen.insert(account.address, index) {
            let what = format!("the address is that of accounts[{first}] already");
            return Err(Problem::new(place("address"), what, "add the two balances up"));
        }
        if account.balance == 0 {
            return Err(Problem::new(
                place("balance"),
                "the balance is 0",
                "leave the account out",
            ));
        }
        total = total.checked_add(account.balance).ok_or_else(|| {
            let what = format!("the balances add up to more than {}", u64::MAX);
            Problem::new(place("balance"), what, "scale all of them down")
        })?;
    }
    Ok(())
}

/// What is no error, and yet should be known.
pub(super) fn warnings(genesis: &Genesis) -> Vec<String> {
    let mut warnings = Vec::new();
    let shards = genesis.shards();
    for shard in shards {
        shard_warnings(shard, shards.len() > 1, &mut warnings);
    }
    let unseated: Vec<&str> = (0_u16..)
        .zip(genesis.validators())
        .filter(|(index, _)| {
            !shards.iter().any(|shard| shard.seats.contains(&ValidatorIndex(*index)))
        })
        .map(|(_, entry)| entry.name.as_str())
        .collect();
    if !unseated.is_empty() {
        warnings.push(format!("no shard has a seat for {}", unseated.join(", ")));
    }
    let without = |missing: fn(&GenesisValidator) -> bool| -> Vec<&str> {
        let entries = genesis.validators().iter().filter(|entry| missing(entry));
        entries.map(|entry| entry.name.as_str()).collect()
    };
    let no_recovery = without(|entry| entry.recovery_key.is_none());
    if !no_recovery.is_empty() {
        warnings.push(format!(
            "without a recovery key, a lost or stolen consensus key cannot be replaced: {}",
            no_recovery.join(", ")
        ));
    }
    if genesis.validators().len() > 1 && genesis.validators().iter().all(|v| v.address.is_none()) {
        warnings.push(
            "no validator has an address: each node needs `seeds` in its configuration".to_owned(),
        );
    }
    if genesis.content().accounts.is_empty() {
        warnings.push("nobody has anything: there can be no transaction, ever".to_owned());
    }
    warnings
}

fn shard_warnings(shard: &GenesisShard, is_one_of_several: bool, warnings: &mut Vec<String>) {
    let committee = &shard.committee;
    let of_shard = if is_one_of_several { format!("shard {}: ", shard.id) } else { String::new() };
    for cap in &shard.caps {
        let name = committee.member(cap.member).map_or("", |member| member.name.as_str());
        warnings.push(format!(
            "{of_shard}{name} asked for weight {} and gets {}: no validator of four or more may \
             weigh more than f",
            cap.asked, cap.given
        ));
    }
    if !committee.tolerates_a_fault() {
        warnings.push(format!(
            "{of_shard}a committee of {} with these weights tolerates no fault: any validator that \
             fails stops it",
            committee.len()
        ));
    }
}
