//! The node itself: probes, status, validators, peers, genesis.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use qcn_types::{BEACON, ValidatorIndex};
use serde::Serialize;
use utoipa::ToSchema;

use super::Metrics;
use super::problem::Problem;
use super::shared::{Chain, Hub, OfShard, Shared, now_unix_ms};
use crate::view::PeerStatus;

/// Whether the process works.
#[derive(Debug, Serialize, ToSchema)]
pub struct HealthBody {
    /// `ok` or `stopped`.
    pub status: &'static str,
    /// Why it stopped.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Whether clients should be sent here.
#[derive(Debug, Serialize, ToSchema)]
pub struct ReadyBody {
    /// Whether they should.
    pub ready: bool,
    /// Why not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Where the node stands.
#[derive(Debug, Serialize, ToSchema)]
pub struct StatusBody {
    /// Of the program.
    pub version: &'static str,
    /// The digest of the genesis.
    pub chain_id: String,
    /// The network's name.
    pub chain_name: String,
    /// The shard that all of this is about.
    pub shard: u32,
    /// The epoch of its committee, in which rounds are counted.
    pub epoch: u64,
    /// Who this node is.
    pub validator: OwnBody,
    /// The committee.
    pub committee: CommitteeBody,
    /// The local round.
    pub round: u64,
    /// The garbage-collection floor.
    pub floor: u64,
    /// The newest executed height.
    pub height: u64,
    /// The highest certified height.
    pub certified_height: u64,
    /// Transactions that wait to be proposed.
    pub mempool: usize,
    /// Blocks in the DAG.
    pub dag_blocks: usize,
    /// Blocks that wait for parents or verification.
    pub waiting_blocks: usize,
    /// Whether it finds out what it has signed.
    pub recovering: bool,
    /// Whether it synchronises state.
    pub synchronising: bool,
    /// Why it stopped, if it did.
    pub stopped: Option<String>,
    /// Why it waits, if it does, such as a full disk. It goes on by itself.
    pub waiting_for: Option<String>,
    /// How many validators it is connected to.
    pub peers_connected: usize,
    /// The node's clock.
    pub now_unix_ms: u64,
    /// When the newest checkpoint was executed here.
    pub last_checkpoint_unix_ms: u64,
}

/// Who the node is.
#[derive(Debug, Serialize, ToSchema)]
pub struct OwnBody {
    /// Its place in the committee.
    pub index: u16,
    /// Its name.
    pub name: String,
    /// Its voting power.
    pub weight: u64,
}

/// The committee's size and arithmetic.
#[derive(Debug, Serialize, ToSchema)]
pub struct CommitteeBody {
    /// How many members.
    pub size: usize,
    /// The sum of their weights.
    pub total_weight: u64,
    /// What a quorum weighs.
    pub quorum_weight: u64,
    /// What may be faulty.
    pub fault_weight: u64,
}

/// The committee.
#[derive(Debug, Serialize, ToSchema)]
pub struct ValidatorsBody {
    /// The shard.
    pub shard: u32,
    /// The epoch that they are the committee of.
    pub epoch: u64,
    /// In order.
    pub validators: Vec<ValidatorBody>,
}

/// A member as this node sees it.
#[derive(Debug, Serialize, ToSchema)]
pub struct ValidatorBody {
    /// Its place in the committee.
    pub index: u16,
    /// Its number among all validators, which its connection has as its index.
    pub validator: u16,
    /// Its name.
    pub name: String,
    /// Its voting power.
    pub weight: u64,
    /// Of its consensus key.
    pub scheme: String,
    /// In hexadecimal.
    pub consensus_key: String,
    /// In hexadecimal.
    pub transport_key: Option<String>,
    /// Whether committed evidence isolated it.
    pub isolated: bool,
    /// Whether this node is it.
    pub own: bool,
    /// Whether a connection stands.
    pub connected: bool,
    /// Smoothed, while connected.
    pub rtt_ms: Option<f64>,
    /// The highest round of its blocks accepted here since the start, or since the epoch began.
    pub last_round: Option<u64>,
    /// Its blocks accepted here since then.
    pub blocks: u64,
    /// Its leader slots that were committed since then.
    pub led: u64,
    /// Its leader slots that were skipped since then.
    pub skipped: u64,
}

/// The connections.
#[derive(Debug, Serialize, ToSchema)]
pub struct PeersBody {
    /// To the other validators.
    pub peers: Vec<PeerBody>,
}

/// A connection to another validator, as this node sees it.
#[derive(Debug, Serialize, ToSchema)]
pub struct PeerBody {
    /// Its place among all validators: its index in the committee, if there is one shard.
    pub index: u16,
    /// Its name in the genesis.
    pub name: String,
    /// Where it was reached or would be dialled.
    pub address: Option<String>,
    /// Whether a connection stands.
    pub connected: bool,
    /// Smoothed round-trip time in milliseconds, while connected.
    pub rtt_ms: Option<f64>,
    /// Bytes received from it since the node started.
    pub bytes_in: u64,
    /// Bytes sent to it since the node started.
    pub bytes_out: u64,
    /// Frames to it that were dropped because its queue was full.
    pub frames_dropped: u64,
    /// Packets sent to it since the node started.
    pub packets_sent: u64,
    /// Those of them that were lost, and sent again in others.
    pub packets_lost: u64,
    /// Messages of it that were refused.
    pub refused: u64,
}

impl From<PeerStatus> for PeerBody {
    fn from(peer: PeerStatus) -> Self {
        Self {
            index: peer.index,
            name: peer.name,
            address: peer.address,
            connected: peer.connected,
            rtt_ms: peer.rtt_ms,
            bytes_in: peer.bytes_in,
            bytes_out: peer.bytes_out,
            frames_dropped: peer.frames_dropped,
            packets_sent: peer.packets_sent,
            packets_lost: peer.packets_lost,
            refused: peer.refused,
        }
    }
}

/// Whether the process works.
#[utoipa::path(get, path = "/health", tag = "node", responses(
    (status = 200, body = HealthBody), (status = 503, body = HealthBody)))]
pub async fn health(State(hub): State<Arc<Hub>>) -> Response {
    match hub.stopped() {
        None => Json(HealthBody { status: "ok", reason: None }).into_response(),
        Some(reason) => {
            let body = HealthBody { status: "stopped", reason: Some(reason) };
            (StatusCode::SERVICE_UNAVAILABLE, Json(body)).into_response()
        }
    }
}

/// Whether clients should be sent here.
#[utoipa::path(get, path = "/ready", tag = "node", responses(
    (status = 200, body = ReadyBody), (status = 503, body = ReadyBody)))]
pub async fn ready(State(hub): State<Arc<Hub>>) -> Response {
    let (shown, peers) = (hub.shown(), hub.peers());
    let is_one_of_several = shown.facts.has_several_shards() || shown.all().count() > 1;
    let defect = hub.config.defects.first().map(|reason| format!("stopped: {reason}"));
    let why_not = defect.or_else(|| {
        shown.all().find_map(|chain| {
            let reason = why_not_ready(chain, &peers)?;
            Some(match chain.view.shard() {
                _ if !is_one_of_several => reason,
                BEACON => format!("the beacon: {reason}"),
                shard => format!("shard {shard}: {reason}"),
            })
        })
    });
    match why_not {
        None => Json(ReadyBody { ready: true, reason: None }).into_response(),
        Some(reason) => {
            let body = ReadyBody { ready: false, reason: Some(reason) };
            (StatusCode::SERVICE_UNAVAILABLE, Json(body)).into_response()
        }
    }
}

/// Why an instance is not ready.
fn why_not_ready(shared: &Chain, of_node: &[PeerStatus]) -> Option<String> {
    let status = shared.view.status();
    if let Some(reason) = status.stopped {
        return Some(format!("stopped: {reason}"));
    }
    if let Some(reason) = status.waiting_for {
        return Some(format!("waiting: {reason}"));
    }
    if status.recovering {
        return Some("finding out what it has signed".to_owned());
    }
    if status.synchronising {
        return Some("synchronising state".to_owned());
    }
    if shared.view.isolated().contains(shared.view.own()) {
        return Some("isolated for misbehaviour".to_owned());
    }
    let committee = shared.view.keys().committee();
    let peers = peers_of(shared, of_node);
    let connected = peers.iter().filter(|peer| peer.connected);
    let connected = connected.filter_map(|peer| shared.view.seat(ValidatorIndex(peer.index)));
    let reached = connected.chain([shared.view.own()]).collect();
    let (weight, quorum) = (committee.weight_of(&reached), committee.quorum_weight());
    if weight < quorum {
        return Some(format!("connected to weight {weight}, a quorum is {quorum}"));
    }
    shared.certified().is_none().then(|| "no certificate was seen yet".to_owned())
}

/// The connections that an instance knows of. One that has just been shown may not know any yet:
/// they are those of the node.
fn peers_of(shared: &Chain, of_node: &[PeerStatus]) -> Vec<PeerStatus> {
    let of_view = shared.view.peers();
    if of_view.is_empty() { of_node.to_vec() } else { of_view }
}

/// Where the node stands.
#[utoipa::path(get, path = "/v1/status", tag = "node", responses((status = 200, body = StatusBody)))]
pub async fn status(OfShard(shared): OfShard) -> Json<StatusBody> {
    Json(status_body(&shared))
}

pub fn status_body(shared: &Shared) -> StatusBody {
    let (view, status) = (&shared.view, shared.hub().status_of(shared));
    let (committee, own) = (view.keys().committee(), view.own());
    let peers = peers_of(shared, &shared.hub().peers());
    StatusBody {
        version: env!("CARGO_PKG_VERSION"),
        chain_id: view.chain().to_string(),
        chain_name: shared.hub().config.chain_name.clone(),
        shard: view.shard().0,
        epoch: committee.epoch().0,
        validator: OwnBody {
            index: own.0,
            name: committee.member(own).map(|member| member.name.clone()).unwrap_or_default(),
            weight: committee.weight(own),
        },
        committee: CommitteeBody {
            size: committee.len(),
            total_weight: committee.total_weight(),
            quorum_weight: committee.quorum_weight(),
            fault_weight: committee.fault_weight(),
        },
        round: status.round,
        floor: status.floor,
        height: status.height,
        certified_height: status.certified_height,
        mempool: status.mempool,
        dag_blocks: status.dag_blocks,
        waiting_blocks: status.waiting_blocks,
        recovering: status.recovering,
        synchronising: status.synchronising,
        stopped: status.stopped,
        waiting_for: status.waiting_for,
        peers_connected: peers.iter().filter(|peer| peer.connected).count(),
        now_unix_ms: now_unix_ms(),
        last_checkpoint_unix_ms: status.last_checkpoint_unix_ms,
    }
}

/// The committee, as this node sees it.
#[utoipa::path(get, path = "/v1/validators", tag = "node", responses(
    (status = 200, body = ValidatorsBody)))]
pub async fn validators(OfShard(shared): OfShard) -> Json<ValidatorsBody> {
    Json(validators_body(&shared))
}

pub fn validators_body(shared: &Shared) -> ValidatorsBody {
    let view = &shared.view;
    let committee = view.keys().committee();
    let (isolated, activity) = (view.isolated(), shared.activity());
    let peers = peers_of(shared, &shared.hub().peers());
    let body = |index: ValidatorIndex| {
        let member = committee.member(index)?;
        let validator = view.validator(index)?;
        let peer = peers.iter().find(|peer| peer.index == validator.0 && peer.connected);
        let seen = activity.get(index.position()).copied().unwrap_or_default();
        let own = index == view.own();
        let (name, transport_key) = shared.hub().registered(validator);
        Some(ValidatorBody {
            index: index.0,
            validator: validator.0,
            name: name.unwrap_or_else(|| member.name.clone()),
            weight: member.weight.0,
            scheme: member.key.scheme().to_string(),
            consensus_key: member.key.to_string(),
            transport_key,
            isolated: isolated.contains(index),
            own,
            connected: own || peer.is_some(),
            rtt_ms: peer.and_then(|peer| peer.rtt_ms),
            last_round: seen.last_round,
            blocks: seen.blocks,
            led: seen.led,
            skipped: seen.skipped,
        })
    };
    ValidatorsBody {
        shard: view.shard().0,
        epoch: committee.epoch().0,
        validators: committee.indices().filter_map(body).collect(),
    }
}

/// The connections to the other validators.
#[utoipa::path(get, path = "/v1/peers", tag = "node", responses((status = 200, body = PeersBody)))]
pub async fn peers(State(hub): State<Arc<Hub>>) -> Json<PeersBody> {
    Json(peers_body(&hub))
}

pub fn peers_body(hub: &Hub) -> PeersBody {
    PeersBody { peers: hub.peers().into_iter().map(PeerBody::from).collect() }
}

/// The genesis document, whose digest is the chain id.
#[utoipa::path(get, path = "/v1/genesis", tag = "node", responses(
    (status = 200, body = serde_json::Value)))]
pub async fn genesis(State(hub): State<Arc<Hub>>) -> Response {
    let json = [(header::CONTENT_TYPE, "application/json")];
    (json, hub.config.genesis_json.clone()).into_response()
}

/// Counters and gauges in the OpenMetrics text format.
#[utoipa::path(get, path = "/metrics", tag = "node", responses(
    (status = 200, body = String, content_type = "application/openmetrics-text")))]
pub async fn metrics(State(hub): State<Arc<Hub>>) -> Result<Response, Problem> {
    let text = super::shared::ask(hub, |hub| {
        let shown = hub.shown();
        for chain in shown.all() {
            chain.metrics.note_status(&hub.status_of(chain));
        }
        hub.metrics.note_peers(&hub.peers());
        hub.metrics.note_process();
        let of_shards = shown.all().map(|chain| &chain.metrics);
        let text = Metrics::texts(std::iter::once(&hub.metrics).chain(of_shards));
        text.map_err(|_| Problem::unavailable("failed", "encoding failed"))
    });
    let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    Ok(([(header::CONTENT_TYPE, kind)], text.await?).into_response())
}

/// Nothing is served under this path.
pub async fn not_found() -> Problem {
    let remedy = "see /openapi.json for the paths";
    Problem::new(StatusCode::NOT_FOUND, "no_such_path", "nothing is served here", remedy)
}

/// The path is served with another method.
pub async fn wrong_method() -> Problem {
    let remedy = "see /openapi.json for the methods";
    let status = StatusCode::METHOD_NOT_ALLOWED;
    Problem::new(status, "wrong_method", "this path is not served with this method", remedy)
}
