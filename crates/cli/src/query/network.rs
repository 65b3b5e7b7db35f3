//! The tables of what concerns the whole network: its shards, its beacon and its epochs.

use std::fmt;

use serde::Deserialize;

use super::Shown;
use super::tables::{clock, yes};
use crate::output::{Table, or_dash};

/// All shards.
#[derive(Debug, Deserialize)]
pub struct Shards {
    epoch: u64,
    began_unix_ms: Option<u64>,
    shards: Vec<Shard>,
    lanes: Vec<Lane>,
}

#[derive(Debug, Deserialize)]
struct Shard {
    shard: u32,
    epoch: u64,
    prefix: String,
    total_weight: u64,
    committee: Vec<Seat>,
    state: Option<State>,
}

#[derive(Debug, Deserialize)]
struct Seat {
    name: String,
}

#[derive(Debug, Deserialize)]
struct State {
    round: u64,
    height: u64,
    certified_height: u64,
    mempool: usize,
    transactions_per_second: f64,
    balances: Option<String>,
    stopped: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Lane {
    from: u32,
    to: u32,
    sent: Option<LaneHead>,
    received: Option<LaneHead>,
    in_flight: Option<u64>,
}

#[derive(Debug, Deserialize)]
struct LaneHead {
    receipts: u64,
    moved: String,
}

/// The beacon.
#[derive(Debug, Deserialize)]
pub struct Beacon {
    epoch: u64,
    began_unix_ms: Option<u64>,
    seed: String,
    register: Vec<Registered>,
    candidates: Vec<Candidate>,
    votes: Vec<Vote>,
    parameters: Parameters,
    total_weight: u64,
    quorum_weight: u64,
    state_height: u64,
}

#[derive(Debug, Deserialize)]
struct Registered {
    number: u32,
    name: String,
    weight: u64,
    validator: Option<u16>,
    shards: Vec<u32>,
    isolated: bool,
    leaving: bool,
    revealed: bool,
    keys_change: bool,
    address: Option<String>,
    scheme: String,
}

#[derive(Debug, Deserialize)]
struct Candidate {
    registration: String,
    name: String,
    weight: u64,
    address: Option<String>,
    approvals: Vec<Approval>,
}

#[derive(Debug, Deserialize)]
struct Approval {
    weight: u64,
}

#[derive(Debug, Deserialize)]
struct Vote {
    by: u32,
    subject: Subject,
    weight: Option<u64>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Subject {
    Weight(u32),
    Admission(String),
    Resharding(Resharding),
}

#[derive(Debug, Deserialize)]
struct Parameters {
    seats: u16,
    epoch_ms: u64,
    shards_max: u16,
    split_above: u64,
    merge_below: u64,
}

/// The epochs that were announced.
#[derive(Debug, Deserialize)]
pub struct Epochs {
    epochs: Vec<Announced>,
    next: Option<u64>,
}

#[derive(Debug, Deserialize)]
struct Announced {
    epoch: u64,
    announced_unix_ms: u64,
    shards: usize,
    validators: usize,
    reshardings: Vec<Resharding>,
}

#[derive(Debug, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
enum Resharding {
    Split { shard: u32, new: u32 },
    Merge { into: u32, closed: u32 },
}

/// Who served in an epoch.
#[derive(Debug, Deserialize)]
pub struct Committee {
    shard: u32,
    epoch: u64,
    total_weight: u64,
    quorum_weight: u64,
    members: Vec<Member>,
}

#[derive(Debug, Deserialize)]
struct Member {
    index: u16,
    name: String,
    weight: u64,
}

impl fmt::Display for Resharding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Split { shard, new } => write!(formatter, "{shard} split into {shard} and {new}"),
            Self::Merge { into, closed } => write!(formatter, "{closed} merged into {into}"),
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Weight(number) => write!(formatter, "the weight of {number}"),
            Self::Admission(digest) => write!(formatter, "admitting {digest}"),
            Self::Resharding(change) => write!(formatter, "the layout: {change}"),
        }
    }
}

impl fmt::Display for LaneHead {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} ({})", self.receipts, self.moved)
    }
}

pub fn shards(answer: &Shards) -> Shown {
    let since = answer.began_unix_ms.map(|at| format!(", since {}", clock(at)));
    let mut text = format!("epoch {}{}\n\n", answer.epoch, since.unwrap_or_default());
    let heads = [
        "shard",
        "prefix",
        "epoch",
        "weight",
        "round",
        "executed",
        "final",
        "tx/s",
        "waiting",
        "balances",
        "committee",
    ];
    let mut table = Table::new(&heads);
    for shard in &answer.shards {
        let state = shard.state.as_ref();
        let of_state = |read: fn(&State) -> String| or_dash(state.map(read));
        let names: Vec<&str> = shard.committee.iter().map(|seat| seat.name.as_str()).collect();
        table.row(vec![
            shard.shard.to_string(),
            shard.prefix.clone(),
            shard.epoch.to_string(),
            shard.total_weight.to_string(),
            of_state(|state| state.round.to_string()),
            of_state(|state| state.height.to_string()),
            of_state(|state| state.certified_height.to_string()),
            of_state(|state| format!("{:.1}", state.transactions_per_second)),
            of_state(|state| state.mempool.to_string()),
            of_state(|state| or_dash(state.balances.clone())),
            names.join(", "),
        ]);
    }
    text += &table.render();
    for shard in &answer.shards {
        if let Some(why) = shard.state.as_ref().and_then(|state| state.stopped.as_deref()) {
            text += &format!("\nshard {} stopped: {}\n", shard.shard, crate::output::harmless(why));
        }
    }
    if !answer.lanes.is_empty() {
        let mut table = Table::new(&["from", "to", "sent", "received", "in flight"]);
        for lane in &answer.lanes {
            table.row(vec![
                lane.from.to_string(),
                lane.to.to_string(),
                or_dash(lane.sent.as_ref()),
                or_dash(lane.received.as_ref()),
                or_dash(lane.in_flight),
            ]);
        }
        text = text + "\nreceipts (and what they moved)\n" + &table.render();
    }
    yes(text)
}

pub fn beacon(answer: &Beacon) -> Shown {
    let Parameters { seats, epoch_ms, shards_max, split_above, merge_below } = answer.parameters;
    let rule = format!(
        "of {} s or more, committees of {seats}, {shards_max} shards at most; a shard splits above \
         {split_above} transactions per second, two merge below {merge_below}",
        epoch_ms as f64 / 1e3
    );
    let (total, quorum) = (answer.total_weight, answer.quorum_weight);
    let fields = [
        ("epoch", answer.epoch.to_string()),
        ("began", answer.began_unix_ms.map_or_else(|| "not yet".to_owned(), clock)),
        ("epochs", rule),
        ("members", format!("weight {total}; {quorum} decides")),
        ("seed", answer.seed.clone()),
        ("final at", format!("height {}", answer.state_height)),
    ];
    let mut text = Table::of_fields(&fields).render() + "\n" + &register(&answer.register);
    if !answer.candidates.is_empty() {
        let heads = ["candidate", "weight", "address", "approved by", "registration"];
        let mut table = Table::new(&heads);
        for one in &answer.candidates {
            let weights = one.approvals.iter().map(|approval| approval.weight);
            let approved = weights.fold(0_u64, u64::saturating_add);
            table.row(vec![
                one.name.clone(),
                one.weight.to_string(),
                or_dash(one.address.clone()),
                format!("weight {approved} of {quorum}"),
                one.registration.clone(),
            ]);
        }
        text = text + "\n" + &table.render();
    }
    if !answer.votes.is_empty() {
        let mut table = Table::new(&["by", "votes on", "weight"]);
        for vote in &answer.votes {
            let (by, subject) = (vote.by.to_string(), vote.subject.to_string());
            table.row(vec![by, subject, or_dash(vote.weight)]);
        }
        text = text + "\n" + &table.render();
    }
    yes(text)
}

fn register(validators: &[Registered]) -> String {
    let heads = ["number", "name", "weight", "shards", "state", "revealed", "scheme", "address"];
    let mut table = Table::new(&heads);
    for one in validators {
        let states = [
            (one.isolated, "isolated"),
            (one.leaving, "leaving"),
            (one.keys_change, "changes keys"),
            (one.validator.is_none(), "not yet in"),
        ];
        let states: Vec<&str> =
            states.iter().filter(|(is, _)| *is).map(|(_, name)| *name).collect();
        let shards: Vec<String> = one.shards.iter().map(u32::to_string).collect();
        table.row(vec![
            one.number.to_string(),
            one.name.clone(),
            one.weight.to_string(),
            if shards.is_empty() { "-".to_owned() } else { shards.join(" ") },
            if states.is_empty() { "serves".to_owned() } else { states.join(", ") },
            if one.revealed { "yes" } else { "no" }.to_owned(),
            one.scheme.clone(),
            or_dash(one.address.clone()),
        ]);
    }
    table.render()
}

pub fn epochs(answer: &Epochs) -> Shown {
    if answer.epochs.is_empty() {
        return yes("no epoch was announced besides that of the genesis\n".to_owned());
    }
    let mut table = Table::new(&["epoch", "announced", "shards", "validators", "layout"]);
    for one in &answer.epochs {
        let changes: Vec<String> = one.reshardings.iter().map(Resharding::to_string).collect();
        table.row(vec![
            one.epoch.to_string(),
            clock(one.announced_unix_ms),
            one.shards.to_string(),
            one.validators.to_string(),
            if changes.is_empty() { "as before".to_owned() } else { changes.join(", ") },
        ]);
    }
    let more = answer.next.map(|next| format!("older ones follow with --before {next}\n"));
    yes(table.render() + &more.unwrap_or_default())
}

/// The epochs with another layout than the one before.
pub fn resharded(answer: &Epochs) -> Shown {
    match answer.epochs.as_slice() {
        [] => {
            yes("no epoch that was announced has another layout than the one before\n".to_owned())
        }
        _ => epochs(answer),
    }
}

pub fn committee(answer: &Committee) -> Shown {
    let Committee { shard, epoch, total_weight, quorum_weight, .. } = answer;
    let mut table = Table::new(&["index", "name", "weight"]);
    for member in &answer.members {
        let (index, weight) = (member.index.to_string(), member.weight.to_string());
        table.row(vec![index, member.name.clone(), weight]);
    }
    let head = format!(
        "shard {shard} in epoch {epoch}: weight {total_weight}, of which {quorum_weight} decides\n\n"
    );
    yes(head + &table.render())
}
