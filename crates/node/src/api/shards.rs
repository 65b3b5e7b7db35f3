//! All shards of the network: who serves them, where they stand, what is between them.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use qcn_types::{LaneHead, LaneId, ShardId};
use serde::Serialize;
use utoipa::ToSchema;

use super::ShardFacts;
use super::bodies::ReshardingBody;
use super::hub::{Facts, Shown};
use super::problem::Problem;
use super::shared::{Chain, Hub, shard_named};

/// So many validators are named to who asks a node without a seat.
const NAMED_MAX: usize = 8;

/// All shards.
#[derive(Debug, Serialize, ToSchema)]
pub struct ShardsBody {
    /// The epoch; a shard opens it in its own time.
    pub epoch: u64,
    /// When it began, as this node saw it; nothing in a network without epochs, and before the
    /// beacon's first certificate.
    pub began_unix_ms: Option<u64>,
    /// What is different from the layout of the epoch before.
    pub reshardings: Vec<ReshardingBody>,
    /// In the order of their prefixes, which is that of addresses.
    pub shards: Vec<ShardBody>,
    /// Between shards of which this node hosts one at least.
    pub lanes: Vec<LaneBody>,
    /// Where all units of the currency of this node's shards are; nothing before each has a
    /// certified state.
    pub supply: Option<TotalBody>,
}

/// A shard.
#[derive(Debug, Serialize, ToSchema)]
pub struct ShardBody {
    /// Its number.
    pub shard: u32,
    /// The epoch that the committee is of.
    pub epoch: u64,
    /// The bits that its addresses begin with, and a star.
    pub prefix: String,
    /// Whether this node has a seat in it. What is below the committee is known only then.
    pub hosted: bool,
    /// The sum of the committee's weights.
    pub total_weight: u64,
    /// What a quorum weighs.
    pub quorum_weight: u64,
    /// Who serves it, in the order of seats.
    pub committee: Vec<SeatBody>,
    /// Where this node's instance stands.
    pub state: Option<ShardStateBody>,
}

/// A member of a shard's committee.
#[derive(Debug, Serialize, ToSchema)]
pub struct SeatBody {
    /// Its index in the committee.
    pub seat: u16,
    /// Its place among all validators.
    pub validator: u16,
    /// Its name.
    pub name: String,
    /// Its voting power.
    pub weight: u64,
    /// Whether this node is it.
    pub own: bool,
    /// Whether a connection stands.
    pub connected: bool,
}

/// Where a shard of this node stands.
#[derive(Debug, Serialize, ToSchema)]
pub struct ShardStateBody {
    /// The epoch that the instance is in.
    pub epoch: u64,
    /// The local round in it.
    pub round: u64,
    /// The newest executed height.
    pub height: u64,
    /// The highest certified height.
    pub certified_height: u64,
    /// Transactions that wait to be proposed.
    pub mempool: usize,
    /// Transactions executed per second, over the last seconds.
    pub transactions_per_second: f64,
    /// Blocks in the DAG.
    pub dag_blocks: usize,
    /// Blocks that wait for parents or verification.
    pub waiting_blocks: usize,
    /// What is on its accounts, at the certified height.
    pub balances: Option<String>,
    /// Why it stopped, if it did.
    pub stopped: Option<String>,
}

/// The stream of receipts from one shard to another, at certified heights.
#[derive(Debug, Serialize, ToSchema)]
pub struct LaneBody {
    /// The shard that sends.
    pub from: u32,
    /// The shard that receives.
    pub to: u32,
    /// What was ever sent; nothing if this node does not host the source.
    pub sent: Option<LaneHeadBody>,
    /// What was ever applied; nothing if this node does not host the destination.
    pub received: Option<LaneHeadBody>,
    /// What the source knows to have been applied, and keeps no more.
    pub acknowledged: Option<LaneHeadBody>,
    /// How many receipts are on their way, if this node hosts both shards.
    pub in_flight: Option<u64>,
}

/// How far a lane is.
#[derive(Debug, Serialize, ToSchema)]
pub struct LaneHeadBody {
    /// How many receipts.
    pub receipts: u64,
    /// In how many batches.
    pub batches: u64,
    /// How much they moved.
    pub moved: String,
}

/// Where all units of the currency of this node's shards are.
#[derive(Debug, Serialize, ToSchema)]
pub struct TotalBody {
    /// The shards that are counted.
    pub shards: Vec<u32>,
    /// Whether these are all shards of the network.
    pub complete: bool,
    /// On accounts.
    pub balances: String,
    /// Paid as fees.
    pub fees: String,
    /// Ever sent to other shards, less what was received from them.
    pub in_flight: String,
    /// What was on accounts that other shards have taken over, less what was on those that these
    /// have taken over, as shards split and merged: nothing where all are counted.
    pub resharded: String,
    /// At genesis.
    pub genesis: String,
}

impl From<LaneHead> for LaneHeadBody {
    fn from(head: LaneHead) -> Self {
        let LaneHead { receipts, batches, moved, .. } = head;
        Self { receipts, batches, moved: moved.to_string() }
    }
}

/// All shards of the network, with their committees, where this node's shards stand, and what is
/// on its way between them.
#[utoipa::path(get, path = "/v1/shards", tag = "node", responses((status = 200, body = ShardsBody)))]
pub async fn shards(State(hub): State<Arc<Hub>>) -> Json<ShardsBody> {
    Json(shards_body(&hub))
}

pub fn shards_body(hub: &Hub) -> ShardsBody {
    let shown = hub.shown();
    let facts = all_facts(&shown);
    let ids: Vec<ShardId> = facts.iter().map(|shard| shard.id).collect();
    let pairs = ids.iter().flat_map(|from| ids.iter().map(|to| (*from, *to)));
    let pairs = pairs.filter(|(from, to)| from != to);
    ShardsBody {
        epoch: shown.facts.epoch.0,
        began_unix_ms: began_unix_ms(&shown),
        reshardings: shown.facts.reshardings.iter().map(Into::into).collect(),
        lanes: pairs.filter_map(|(from, to)| lane_body(&shown, from, to)).collect(),
        shards: facts.iter().map(|shard| shard_body(hub, &shown, shard)).collect(),
        supply: total_body(&shown),
    }
}

/// No announcement says when the first epoch began: the beacon's state does.
fn began_unix_ms(shown: &Shown) -> Option<u64> {
    let announced = shown.facts.began_unix_ms.filter(|at| *at > 0);
    announced.or_else(|| {
        let state = shown.beacon.as_ref()?.certified()?;
        let beacon = state.ledger.beacon()?;
        (beacon.plan().epoch == shown.facts.epoch).then(|| beacon.started_ms())?
    })
}

/// What is known of the shards without asking any; of one shard its view has it all.
fn all_facts(shown: &Shown) -> Vec<ShardFacts> {
    if !shown.facts.shards.is_empty() {
        return shown.facts.shards.clone();
    }
    let of_view = |chain: &Arc<Chain>| {
        let committee = chain.view.keys().committee();
        ShardFacts {
            id: chain.view.shard(),
            prefix: qcn_types::Prefix::EMPTY,
            committee: Arc::clone(committee),
            seats: committee.indices().collect(),
            addresses: Vec::new(),
        }
    };
    shown.chains.iter().map(of_view).collect()
}

fn shard_body(hub: &Hub, shown: &Shown, facts: &ShardFacts) -> ShardBody {
    let (chain, peers, own) = (shown.chain(facts.id), hub.peers(), hub.own());
    let members = facts.committee.indices().zip(facts.committee.members()).zip(&facts.seats);
    let seat = |((seat, member), validator): (
        (qcn_types::ValidatorIndex, &qcn_types::Member),
        &qcn_types::ValidatorIndex,
    )| {
        let is_own = own == Some(*validator);
        let is_connected =
            |peer: &crate::view::PeerStatus| peer.index == validator.0 && peer.connected;
        SeatBody {
            seat: seat.0,
            validator: validator.0,
            name: member.name.clone(),
            weight: member.weight.0,
            own: is_own,
            connected: is_own || peers.iter().any(is_connected),
        }
    };
    ShardBody {
        shard: facts.id.0,
        epoch: facts.committee.epoch().0,
        prefix: facts.prefix.to_string(),
        hosted: chain.is_some(),
        total_weight: facts.committee.total_weight(),
        quorum_weight: facts.committee.quorum_weight(),
        committee: members.map(seat).collect(),
        state: chain.map(|chain| state_body(hub, chain)),
    }
}

fn state_body(hub: &Hub, chain: &Chain) -> ShardStateBody {
    let status = hub.status_of(chain);
    let supply = chain.certified().map(|state| state.ledger.supply());
    ShardStateBody {
        epoch: chain.epoch().0,
        round: status.round,
        height: status.height,
        certified_height: status.certified_height,
        mempool: status.mempool,
        transactions_per_second: chain.transactions_per_second(),
        dag_blocks: status.dag_blocks,
        waiting_blocks: status.waiting_blocks,
        balances: supply.map(|supply| supply.balances.to_string()),
        stopped: status.stopped,
    }
}

fn lane_body(shown: &Shown, from: ShardId, to: ShardId) -> Option<LaneBody> {
    let certified = |shard| shown.chain(shard)?.certified();
    if shown.chain(from).is_none() && shown.chain(to).is_none() {
        return None;
    }
    let lane = LaneId { own: from, peer: to };
    // The destination first: it never has more than a later state of the source has sent.
    let received = certified(to).map(|state| state.ledger.received_on(lane.reversed()));
    let source = certified(from);
    let sent = source.as_ref().map(|state| {
        state.ledger.outbox().end(lane).map_or_else(LaneHead::default, |end| end.sent)
    });
    let acknowledged = source.map(|state| state.ledger.acknowledged_on(lane));
    let both = sent.zip(received);
    Some(LaneBody {
        from: from.0,
        to: to.0,
        in_flight: both.map(|(sent, received)| sent.receipts.saturating_sub(received.receipts)),
        sent: sent.map(Into::into),
        received: received.map(Into::into),
        acknowledged: acknowledged.map(Into::into),
    })
}

/// Where all units of this node's shards are, each at its newest certified height.
pub fn total_body(shown: &Shown) -> Option<TotalBody> {
    let states: Option<Vec<_>> = shown.chains.iter().map(|chain| chain.certified()).collect();
    let states = states.filter(|states| !states.is_empty())?;
    let supplies = || states.iter().map(|state| state.ledger.supply());
    // Each shard's are below 2^64 at genesis, but for what a captured shard made up.
    let in_flight = supplies().map(|one| one.sent as i128 - one.received as i128);
    let resharded = supplies().map(|one| one.given as i128 - one.taken as i128);
    let balances = supplies().fold(0_u128, |sum, one| sum.saturating_add(one.balances));
    let fees = supplies().fold(0_u128, |sum, one| sum.saturating_add(one.fees));
    let genesis: u128 = supplies().map(|one| u128::from(one.genesis.0)).sum();
    Some(TotalBody {
        shards: shown.chains.iter().map(|chain| chain.view.shard().0).collect(),
        complete: shown.chains.len() >= shown.facts.shards.len(),
        balances: balances.to_string(),
        fees: fees.to_string(),
        in_flight: in_flight.fold(0_i128, i128::saturating_add).to_string(),
        resharded: resharded.fold(0_i128, i128::saturating_add).to_string(),
        genesis: genesis.to_string(),
    })
}

/// What is about a shard that this node does not host, or about none.
pub async fn elsewhere(
    State(hub): State<Arc<Hub>>,
    Path((shard, _)): Path<(String, String)>,
) -> Problem {
    let number = match shard_named(&shard) {
        Ok(number) => number,
        Err(problem) => return problem,
    };
    let shown = hub.shown();
    if shown.chain(number).is_some() {
        let remedy = "see /openapi.json for the paths, each of which is here without its /v1";
        let message = "nothing is served here";
        return Problem::new(StatusCode::NOT_FOUND, "no_such_path", message, remedy);
    }
    hub.not_here(&shown.facts, number)
}

/// This node hosts no shard at all.
pub fn no_shard(facts: &Facts) -> Problem {
    let members = facts.shards.iter().flat_map(|shard| shard.committee.members());
    let names: BTreeSet<&str> = members.map(|member| member.name.as_str()).collect();
    let named: Vec<&str> = names.into_iter().take(NAMED_MAX).collect();
    let remedy = format!(
        "ask the node of one that has, such as {}; /v1/shards says who serves which shard",
        named.join(", ")
    );
    let message = "the validator of this node has no seat in any shard in this epoch";
    Problem::new(StatusCode::MISDIRECTED_REQUEST, "no_shard_here", message, remedy)
}

/// The address goes to another shard at this moment.
pub fn changing() -> Problem {
    let message = "the shard of this address is about to split or to merge";
    Problem::unavailable("shard_changes", message)
}

/// This node has a seat in the shard, which has not opened here yet.
pub fn opening() -> Problem {
    Problem::unavailable("shard_changes", "this shard is about to open here")
}

/// This node does not host this shard.
pub fn not_hosted(facts: &Facts, shard: ShardId) -> Problem {
    let Some(there) = facts.shard(shard) else {
        let known: Vec<String> = facts.shards.iter().map(|one| one.id.to_string()).collect();
        let message = format!("shard {shard} is not known here");
        let remedy = match known.as_slice() {
            [] => "the network has one shard; leave the number out".to_owned(),
            _ => format!("the network has {} in this epoch; see /v1/shards", known.join(", ")),
        };
        return Problem::new(StatusCode::NOT_FOUND, "not_found", message, remedy);
    };
    let message = format!("this belongs to shard {shard}, which this node does not host");
    let remedy = format!("ask a node that does: {}", hosts_of(facts, there));
    Problem::new(StatusCode::MISDIRECTED_REQUEST, "shard_elsewhere", message, remedy)
}

/// The validators of a shard, each with the host that it has in the genesis.
pub fn hosts_of(facts: &Facts, shard: &ShardFacts) -> String {
    let members = shard.committee.members().iter().enumerate();
    let hosts = members.map(|(seat, member)| match shard.addresses.get(seat) {
        Some(Some(address)) => format!("{} ({address} for validators)", member.name),
        _ => member.name.clone(),
    });
    let hosts: Vec<String> = hosts.collect();
    let which = match facts.has_several_shards() {
        true => format!("shard {}: ", shard.id),
        false => String::new(),
    };
    format!("{which}{}", hosts.join(", "))
}
