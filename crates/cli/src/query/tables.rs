//! The tables of `qcn query`, one function for each answer.

use std::time::Duration;

use serde::Deserialize;
use serde_json::{Map, Value};

use super::{Shown, plain};
use crate::client::responses::{
    AccountAnswer, ActionContent, BlockAnswer, CheckpointAnswer, EvidenceAnswer, Peers,
    SearchAnswer, Status, Supply, TransactionAnswer, TransactionContent, Validators,
};
use crate::output::{Table, milliseconds, or_dash};

/// The most transactions and blocks that a table lists.
const LIST_ROWS_MAX: usize = 20;

/// A proof that `qcn light verify` can check.
#[derive(Debug, Deserialize)]
pub struct ProofDocument {
    format: String,
    kind: String,
    chain_id: String,
    #[serde(default)]
    claims: Map<String, Value>,
}

pub(super) fn yes(text: String) -> Shown {
    Shown { text, is_yes: true }
}

fn yes_or_no(is: bool) -> String {
    if is { "yes" } else { "no" }.to_owned()
}

/// A time of a node's clock, in UTC.
pub(super) fn clock(unix_ms: u64) -> String {
    let (seconds, ms) = (unix_ms / 1000, unix_ms % 1000);
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    // Days since 0000-03-01, so that leap days come last (after Howard Hinnant).
    let days = days + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02}.{ms:03} UTC")
}

pub fn status(status: &Status) -> Shown {
    let committee = &status.committee;
    let validator = &status.validator;
    let age = status.now_unix_ms.saturating_sub(status.last_checkpoint_unix_ms);
    let state = match (&status.stopped, status.recovering, status.synchronising) {
        (Some(why), ..) => format!("stopped: {why}"),
        (None, true, _) => "recovering what it signed".to_owned(),
        (None, false, true) => "fetching state".to_owned(),
        (None, false, false) => "running".to_owned(),
    };
    let last = match status.last_checkpoint_unix_ms {
        0 => "none yet".to_owned(),
        _ => format!("{} ago", milliseconds(Duration::from_millis(age))),
    };
    let fields = [
        ("state", state),
        ("network", format!("{} ({})", status.chain_name, status.chain_id)),
        ("shard", or_dash(status.shard)),
        (
            "validator",
            format!("{} (index {}, weight {})", validator.name, validator.index, validator.weight),
        ),
        (
            "committee",
            format!(
                "{} validators of weight {}; {} decides, {} may be faulty",
                committee.size,
                committee.total_weight,
                committee.quorum_weight,
                committee.fault_weight
            ),
        ),
        ("peers", format!("{} connected", status.peers_connected)),
        ("round", status.round.to_string()),
        ("executed", format!("height {}, {last}", status.height)),
        ("final", format!("height {}", status.certified_height)),
        ("waiting", format!("{} transactions", status.mempool)),
        ("blocks", format!("{}, and {} waiting", status.dag_blocks, status.waiting_blocks)),
        ("version", status.version.clone()),
    ];
    yes(Table::of_fields(&fields).render())
}

pub fn validators(answer: &Validators) -> Shown {
    let heads = [
        "index", "name", "weight", "scheme", "state", "rtt ms", "round", "blocks", "led", "skipped",
    ];
    let mut table = Table::new(&heads);
    for validator in &answer.validators {
        let state = match (validator.isolated, validator.own, validator.connected) {
            (true, ..) => "isolated",
            (_, true, _) => "this node",
            (.., true) => "connected",
            _ => "away",
        };
        table.row(vec![
            validator.index.to_string(),
            validator.name.clone(),
            validator.weight.to_string(),
            validator.scheme.clone(),
            state.to_owned(),
            or_dash(validator.rtt_ms.map(|rtt| format!("{rtt:.1}"))),
            or_dash(validator.last_round),
            validator.blocks.to_string(),
            validator.led.to_string(),
            validator.skipped.to_string(),
        ]);
    }
    yes(table.render())
}

pub fn peers(answer: &Peers) -> Shown {
    let heads = [
        "index",
        "name",
        "address",
        "connected",
        "rtt ms",
        "received",
        "sent",
        "dropped",
        "lost packets",
        "refused",
    ];
    let mut table = Table::new(&heads);
    for peer in &answer.peers {
        table.row(vec![
            peer.index.to_string(),
            peer.name.clone(),
            or_dash(peer.address.clone()),
            yes_or_no(peer.connected),
            or_dash(peer.rtt_ms.map(|rtt| format!("{rtt:.1}"))),
            peer.bytes_in.to_string(),
            peer.bytes_out.to_string(),
            peer.frames_dropped.to_string(),
            peer.packets_lost.to_string(),
            peer.refused.to_string(),
        ]);
    }
    yes(table.render())
}

pub fn checkpoint(answer: &CheckpointAnswer) -> Shown {
    let certificate = match &answer.certificate {
        None => "none yet".to_owned(),
        Some(facts) => format!(
            "weight {} of the {} needed, by validators {}",
            facts.weight,
            facts.quorum_weight,
            facts.authors.iter().map(u64::to_string).collect::<Vec<_>>().join(", ")
        ),
    };
    let fields = [
        ("height", answer.height.to_string()),
        ("digest", answer.digest.clone()),
        ("time", clock(answer.time_unix_ms)),
        ("leader", answer.leader.to_string()),
        ("parent", answer.parent.clone()),
        ("state root", answer.state_root.clone()),
        ("transactions root", answer.transactions_root.clone()),
        ("certificate", certificate),
        ("blocks", answer.blocks.len().to_string()),
        ("transactions", answer.transactions.len().to_string()),
    ];
    let mut text = Table::of_fields(&fields).render();
    if !answer.transactions.is_empty() {
        let mut table = Table::new(&["transaction", "outcome"]);
        for transaction in answer.transactions.iter().take(LIST_ROWS_MAX) {
            table.row(vec![transaction.id.clone(), transaction.outcome.to_string()]);
        }
        text = text + "\n" + &table.render() + &more(answer.transactions.len());
    }
    yes(text)
}

/// What a shortened list leaves out.
fn more(length: usize) -> String {
    match length.checked_sub(LIST_ROWS_MAX) {
        None | Some(0) => String::new(),
        Some(left) => format!("and {left} more; --json shows all\n"),
    }
}

pub fn block(answer: &BlockAnswer) -> Shown {
    let leader = if answer.leader { ", which leads the round" } else { "" };
    let state = match answer.height {
        None => answer.state.clone(),
        Some(height) => format!("{} at height {height}", answer.state),
    };
    let fields = [
        ("digest", answer.digest.clone()),
        ("round", answer.round.to_string()),
        ("author", format!("validator {}{leader}", answer.author)),
        ("state", state),
        ("time", clock(answer.time_unix_ms)),
        ("size", format!("{} bytes", answer.bytes)),
        ("attestations", answer.attestations.to_string()),
        ("evidence", answer.evidence.to_string()),
        ("transactions", answer.transactions.to_string()),
    ];
    let mut text = Table::of_fields(&fields).render();
    let mut table = Table::new(&["parent", "round", "author"]);
    for parent in &answer.parents {
        let (round, author) = (parent.round.to_string(), parent.author.to_string());
        table.row(vec![parent.digest.clone(), round, author]);
    }
    text = text + "\n" + &table.render();
    if !answer.transaction_ids.is_empty() {
        let mut table = Table::new(&["transaction"]);
        for id in answer.transaction_ids.iter().take(LIST_ROWS_MAX) {
            table.row(vec![id.clone()]);
        }
        text = text + "\n" + &table.render() + &more(answer.transaction_ids.len());
    }
    yes(text)
}

pub fn transaction(answer: &TransactionAnswer) -> Shown {
    let mut fields = vec![("id", answer.id.clone()), ("status", answer.status.clone())];
    if let Some(refusal) = &answer.refusal {
        fields.push(("reason", refusal.clone()));
    }
    if let Some(outcome) = &answer.outcome {
        fields.push(("outcome", outcome.to_string()));
    }
    if let Some(height) = answer.height {
        let place = answer.position.map(|position| format!(", place {position}"));
        fields.push(("height", format!("{height}{}", place.unwrap_or_default())));
    }
    if let Some(shard) = answer.shard {
        fields.push(("shard", shard.to_string()));
    }
    if let Some(arrival) = &answer.arrival {
        fields.push(("in shard", arrival.shard.to_string()));
        fields.push(("there", arrival.to_string()));
    }
    if let Some(time) = answer.checkpoint_time_unix_ms {
        fields.push(("time", clock(time)));
    }
    if let Some(block) = &answer.block {
        fields.push(("block", block.to_string()));
    }
    if let Some(TransactionContent { sender, nonce, fee, action, scheme, bytes }) =
        &answer.transaction
    {
        let action = match action {
            ActionContent::Transfer { to, amount } => format!("transfer {amount} to {to}"),
            ActionContent::RotateKey { scheme } => format!("rotate the key to one of {scheme}"),
            ActionContent::Other(other) => plain(other),
        };
        fields.extend([
            ("action", action),
            ("sender", sender.clone()),
            ("nonce", nonce.to_string()),
            ("fee", fee.to_string()),
            ("size", format!("{bytes} bytes, signed with {scheme}")),
        ]);
    }
    Shown { text: Table::of_fields(&fields).render(), is_yes: answer.status != "unknown" }
}

pub fn account(answer: &AccountAnswer) -> Shown {
    let fields = [
        ("address", answer.address.clone()),
        ("shard", or_dash(answer.shard)),
        ("exists", yes_or_no(answer.exists)),
        ("balance", answer.balance.to_string()),
        ("nonce", answer.nonce.to_string()),
        ("next nonce", answer.next_nonce.to_string()),
        ("key", or_dash(answer.key.clone())),
        ("final at", format!("height {}", answer.height)),
    ];
    yes(Table::of_fields(&fields).render())
}

pub fn evidence(answer: &EvidenceAnswer) -> Shown {
    if answer.evidence.is_empty() {
        return yes("no fault of a validator was proven\n".to_owned());
    }
    let mut table = Table::new(&["index", "name", "offence", "height", "digest"]);
    for fault in &answer.evidence {
        table.row(vec![
            fault.accused.to_string(),
            fault.name.clone(),
            fault.offence.clone(),
            or_dash(fault.height),
            fault.digest.clone(),
        ]);
    }
    let mut text = table.render();
    if let Some(next) = &answer.next {
        text += &format!(
            "there may be more: GET /v1/evidence?limit=500&before={}\n",
            crate::output::harmless(next)
        );
    }
    yes(text)
}

pub fn supply(answer: &Supply) -> Shown {
    let is_conserved = answer.is_conserved();
    let sum = |is_conserved| if is_conserved { "adds up" } else { "DOES NOT ADD UP" };
    let mut fields = vec![
        ("shard", or_dash(answer.shard)),
        ("on accounts", answer.balances.to_string()),
        ("paid as fees", answer.fees.to_string()),
        ("in flight", answer.in_flight.to_string()),
        ("in other shards", format!("{} by splits and merges", answer.resharded)),
        ("at genesis", format!("{}: {}", answer.genesis, sum(is_conserved))),
        ("height", or_dash(answer.height)),
    ];
    if answer.resharded.0 == 0 {
        fields.retain(|(name, _)| *name != "in other shards");
    }
    let mut is_yes = is_conserved;
    if let Some(all) = &answer.all {
        is_yes &= all.is_conserved();
        let shards: Vec<String> = all.shards.iter().map(u64::to_string).collect();
        let which = if all.complete { "all of them" } else { "others are elsewhere" };
        fields.extend([
            ("in shards", format!("{} ({which})", shards.join(", "))),
            ("on accounts", all.balances.to_string()),
            ("paid as fees", all.fees.to_string()),
            ("on their way", all.in_flight.to_string()),
            ("at genesis", format!("{}: {}", all.genesis, sum(all.is_conserved()))),
        ]);
    }
    Shown { text: Table::of_fields(&fields).render(), is_yes }
}

pub fn search(answer: &SearchAnswer) -> Shown {
    if answer.results.is_empty() {
        return yes("nothing found\n".to_owned());
    }
    let mut table = Table::new(&["kind", "shard", "id", "title"]);
    for found in &answer.results {
        let shard = or_dash(found.shard);
        table.row(vec![found.kind.clone(), shard, plain(&found.id), found.title.clone()]);
    }
    yes(table.render())
}

pub fn proof(document: &ProofDocument) -> String {
    let claims: Vec<String> = document.claims.iter().map(|(name, _)| name.clone()).collect();
    let mut fields = vec![
        ("proof of", document.kind.clone()),
        ("network", document.chain_id.clone()),
        ("format", document.format.clone()),
    ];
    for (name, value) in claims.iter().zip(document.claims.values()) {
        fields.push((name.as_str(), plain(value)));
    }
    Table::of_fields(&fields).render()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_shown_in_utc() {
        assert_eq!(clock(0), "1970-01-01 00:00:00.000 UTC");
        assert_eq!(clock(951_782_400_001), "2000-02-29 00:00:00.001 UTC");
        assert_eq!(clock(1_767_225_599_999), "2025-12-31 23:59:59.999 UTC");
    }

    #[test]
    fn a_supply_that_does_not_add_up_is_no_success() {
        let supply_of = |fees: u64| {
            let text = format!(
                "{{\"balances\":\"90\",\"fees\":\"{fees}\",\"in_flight\":\"0\",\
                 \"genesis\":\"100\",\"height\":3}}"
            );
            supply(&serde_json::from_str(&text).unwrap())
        };
        assert!(supply_of(10).is_yes);
        let split: Supply = serde_json::from_str(
            r#"{"balances":"60","fees":"10","in_flight":"-1","resharded":"31","genesis":"100"}"#,
        )
        .unwrap();
        let split = supply(&split);
        assert!(split.is_yes && split.text.contains("31 by splits"), "{}", split.text);
        let wrong = supply_of(11);
        assert!(!wrong.is_yes && wrong.text.contains("DOES NOT ADD UP"));
    }
}
