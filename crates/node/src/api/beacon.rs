//! The beacon: who the validators are, what they have said in this epoch, and what the next one is
//! made of.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use qcn_crypto::Digest;
use qcn_ledger::{Beacon, BeaconParameters, Candidate, RegisteredValidator, Subject};
use qcn_light::Standing;
use qcn_types::{EpochPlan, Prefix, ShardId, Weight};
use serde::Serialize;
use utoipa::ToSchema;

use super::bodies::ReshardingBody;
use super::problem::{Problem, ProblemBody};
use super::shared::Hub;

/// How long a shard must have been measured for its load to be shown, in milliseconds.
const MEASURED_MS_MIN: u64 = 1;

/// The beacon at its newest certified height.
#[derive(Debug, Serialize, ToSchema)]
pub struct BeaconBody {
    /// The epoch, or the next one once this one's end is certified.
    pub epoch: u64,
    /// The committed time at which it began; nothing before its first checkpoint.
    pub began_unix_ms: Option<u64>,
    /// What committees and leaders are drawn from.
    pub seed: String,
    /// The shards in the order of their addresses.
    pub layout: Vec<PlaceBody>,
    /// What is different from the layout of the epoch before.
    pub reshardings: Vec<ReshardingBody>,
    /// Every shard that was ever closed, with the one that acts for it.
    pub heirs: Vec<HeirBody>,
    /// All validators, by their numbers.
    pub register: Vec<RegisteredBody>,
    /// Who has registered in this epoch and was not admitted yet.
    pub candidates: Vec<CandidateBody>,
    /// How members vote in this epoch, by their numbers.
    pub votes: Vec<VoteBody>,
    /// What the shards have reported, in the order of their addresses.
    pub shards: Vec<StandingBody>,
    /// The number that the next split by load takes.
    pub next_shard: u32,
    /// The rules, which never change.
    pub parameters: ParametersBody,
    /// What all members of the beacon weigh.
    pub total_weight: u64,
    /// What members must weigh that decide.
    pub quorum_weight: u64,
    /// The certified height at which all of this is read.
    pub state_height: u64,
    /// The local round of this node's instance.
    pub round: u64,
    /// Its newest executed height.
    pub height: u64,
    /// Its highest certified height.
    pub certified_height: u64,
}

/// A shard of the layout.
#[derive(Debug, Serialize, ToSchema)]
pub struct PlaceBody {
    /// The bits that its addresses begin with, and a star.
    pub prefix: String,
    /// Its number.
    pub shard: u32,
}

/// A shard that was closed.
#[derive(Debug, Serialize, ToSchema)]
pub struct HeirBody {
    /// Its number.
    pub closed: u32,
    /// Who acts for it.
    pub heir: u32,
}

/// A validator in the register.
#[derive(Debug, Serialize, ToSchema)]
pub struct RegisteredBody {
    /// Its number, which nobody else ever has.
    pub number: u32,
    /// Its name.
    pub name: String,
    /// Its voting power.
    pub weight: u64,
    /// Its place among the validators of the epoch, if it serves in it.
    pub validator: Option<u16>,
    /// The shards in whose committees it has a seat.
    pub shards: Vec<u32>,
    /// Whether it was proven to misbehave: it has no seat in the next epoch.
    pub isolated: bool,
    /// Whether it wants to leave at the end of the epoch.
    pub leaving: bool,
    /// Whether it has revealed its value for the next seed.
    pub revealed: bool,
    /// Where others reach it.
    pub address: Option<String>,
    /// Signs blocks, in hexadecimal.
    pub consensus_key: String,
    /// Of the key that signs blocks.
    pub scheme: String,
    /// Authenticates links, in hexadecimal.
    pub transport_key: String,
    /// Replaces the other two, in hexadecimal; nothing if they cannot be replaced.
    pub recovery_key: Option<String>,
    /// How often it has replaced its keys.
    pub rotations: u64,
    /// Whether another key of it takes over at the end of the epoch.
    pub keys_change: bool,
}

/// Who has registered.
#[derive(Debug, Serialize, ToSchema)]
pub struct CandidateBody {
    /// The digest of the registration, which is voted on.
    pub registration: String,
    /// The number of the member whose block brought it in.
    pub by: u32,
    /// Its name.
    pub name: String,
    /// What it asks for.
    pub weight: u64,
    /// Where others would reach it.
    pub address: Option<String>,
    /// Would sign blocks, in hexadecimal.
    pub consensus_key: String,
    /// Would authenticate links, in hexadecimal.
    pub transport_key: String,
    /// Who is for admitting it, by number. More than two thirds of the weight have to be for the
    /// same.
    pub approvals: Vec<ApprovalBody>,
}

/// A member is for admitting somebody.
#[derive(Debug, Serialize, ToSchema)]
pub struct ApprovalBody {
    /// The number of the member.
    pub by: u32,
    /// With which weight.
    pub weight: u64,
}

/// What a member votes for.
#[derive(Debug, Serialize, ToSchema)]
pub struct VoteBody {
    /// The number of the member.
    pub by: u32,
    /// What it votes on.
    pub subject: SubjectBody,
    /// The weight that it gives to a validator: 0 removes or refuses it. Nothing of a change of the
    /// layout.
    pub weight: Option<u64>,
}

/// What is voted on.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SubjectBody {
    /// The weight of a validator, by its number.
    Weight(u32),
    /// Who has registered, by the digest of the registration.
    Admission(String),
    /// A change of the layout.
    Resharding(ReshardingBody),
}

/// What a shard has reported.
#[derive(Debug, Serialize, ToSchema)]
pub struct StandingBody {
    /// The shard.
    pub shard: u32,
    /// The epoch of its last reported checkpoint; nothing before the first report.
    pub epoch: Option<u64>,
    /// The height of that checkpoint.
    pub height: Option<u64>,
    /// Its time.
    pub time_unix_ms: Option<u64>,
    /// How many transactions and receipts the shard had executed until then.
    pub executed: Option<u64>,
    /// How many it executes per second in this epoch, as far as it has reported.
    pub load: Option<u64>,
    /// For how many epochs in a row that was above what splits a shard.
    pub loaded_epochs: u8,
    /// For how many epochs in a row that was, with its sibling's, below what merges two.
    pub idle_epochs: u8,
}

/// The rules of the beacon.
#[derive(Debug, Serialize, ToSchema)]
pub struct ParametersBody {
    /// Members of a shard's committee.
    pub seats: u16,
    /// The shortest epoch.
    pub epoch_ms: u64,
    /// No split makes more shards.
    pub shards_max: u16,
    /// A shard that executes more per second in two epochs in a row is split.
    pub split_above: u64,
    /// Siblings that execute less per second together in two epochs in a row are merged.
    pub merge_below: u64,
}

/// The beacon, at its newest certified height: epoch, validators, votes, and what shards report.
#[utoipa::path(get, path = "/v1/beacon", tag = "node", responses(
    (status = 200, body = BeaconBody), (status = 404, body = ProblemBody),
    (status = 503, body = ProblemBody)))]
pub async fn beacon(State(hub): State<Arc<Hub>>) -> Result<Json<BeaconBody>, Problem> {
    beacon_body(&hub).map(Json)
}

pub fn beacon_body(hub: &Hub) -> Result<BeaconBody, Problem> {
    let shown = hub.shown();
    let chain = shown.beacon.as_ref().ok_or_else(no_beacon)?;
    let none = || Problem::unavailable("no_certified_state", "no certified state is known yet");
    let state = chain.certified().ok_or_else(none)?;
    let beacon = state.ledger.beacon().ok_or_else(no_beacon)?;
    let (plan, status) = (beacon.plan(), chain.view.status());
    let committee = chain.view.keys().committee();
    Ok(BeaconBody {
        epoch: plan.epoch.0,
        began_unix_ms: beacon.started_ms(),
        seed: plan.seed.to_string(),
        layout: plan.layout.shards().iter().map(place_body).collect(),
        reshardings: plan.reshardings.iter().map(Into::into).collect(),
        heirs: plan.heirs.iter().map(heir_body).collect(),
        register: beacon.register().map(|one| registered_body(one, plan)).collect(),
        candidates: beacon.candidates().map(|one| candidate_body(beacon, one)).collect(),
        votes: votes(beacon),
        shards: plan.layout.shards().iter().map(|(_, id)| standing_body(beacon, *id)).collect(),
        next_shard: beacon.next_shard().0,
        parameters: parameters_body(beacon.parameters()),
        total_weight: committee.total_weight(),
        quorum_weight: committee.quorum_weight(),
        state_height: state.certificate.checkpoint.height.0,
        round: status.round,
        height: status.height,
        certified_height: status.certified_height,
    })
}

fn no_beacon() -> Problem {
    let message = "this network has no beacon: its committees are those of the genesis";
    let remedy = "see /v1/shards for the shards and /v1/validators for a committee";
    Problem::new(StatusCode::NOT_FOUND, "no_beacon", message, remedy)
}

fn place_body((prefix, shard): &(Prefix, ShardId)) -> PlaceBody {
    PlaceBody { prefix: prefix.to_string(), shard: shard.0 }
}

const fn heir_body((closed, heir): &(ShardId, ShardId)) -> HeirBody {
    HeirBody { closed: closed.0, heir: heir.0 }
}

fn registered_body(one: &RegisteredValidator, plan: &EpochPlan) -> RegisteredBody {
    let identity = &one.identity;
    let place = plan.validators.iter().position(|planned| planned.number == one.number);
    let place = place.and_then(|place| u16::try_from(place).ok());
    let has_seat = |seats: &[u16]| place.is_some_and(|place| seats.contains(&place));
    let seated = plan.committees.iter().filter(|committee| has_seat(&committee.seats));
    RegisteredBody {
        number: one.number,
        name: text(&identity.name),
        weight: one.weight.0,
        validator: place,
        shards: seated.map(|committee| committee.shard.0).collect(),
        isolated: one.is_isolated(),
        leaving: one.standing == Standing::Leaving,
        revealed: one.revealed == Some(plan.epoch),
        address: identity.address.as_ref().map(|address| text(address)),
        consensus_key: identity.consensus.to_string(),
        scheme: identity.consensus.scheme().to_string(),
        transport_key: identity.transport.to_string(),
        recovery_key: identity.recovery.as_ref().map(ToString::to_string),
        rotations: one.rotations,
        keys_change: one.next.consensus.is_some() || one.next.transport.is_some(),
    }
}

fn candidate_body(
    beacon: &Beacon,
    (registration, candidate): (&Digest, &Candidate),
) -> CandidateBody {
    let Candidate { by, weight, identity } = candidate;
    CandidateBody {
        registration: registration.to_string(),
        by: *by,
        name: text(&identity.name),
        weight: weight.0,
        address: identity.address.as_ref().map(|address| text(address)),
        consensus_key: identity.consensus.to_string(),
        transport_key: identity.transport.to_string(),
        approvals: approvals(beacon, registration),
    }
}

fn approvals(beacon: &Beacon, registration: &Digest) -> Vec<ApprovalBody> {
    let subject = Subject::Admission(*registration);
    let of = |by| {
        let mut votes = beacon.votes(by);
        let (_, weight) = votes.find(|(voted, _)| **voted == subject)?;
        Some(ApprovalBody { by, weight: weight.0 })
    };
    beacon.register().filter_map(|member| of(member.number)).collect()
}

fn votes(beacon: &Beacon) -> Vec<VoteBody> {
    let of = |number| beacon.votes(number).map(move |vote| vote_body(number, vote));
    beacon.register().flat_map(|member| of(member.number)).collect()
}

fn vote_body(by: u32, (subject, weight): (&Subject, &Weight)) -> VoteBody {
    let (subject, weight) = match subject {
        Subject::Weight(number) => (SubjectBody::Weight(*number), Some(weight.0)),
        Subject::Admission(registration) => {
            (SubjectBody::Admission(registration.to_string()), Some(weight.0))
        }
        Subject::Resharding(change) => (SubjectBody::Resharding(change.into()), None),
    };
    VoteBody { by, subject, weight }
}

fn standing_body(beacon: &Beacon, shard: ShardId) -> StandingBody {
    let standing = beacon.shard(shard);
    let latest = standing.map(|standing| &standing.latest);
    let load = standing.and_then(|one| one.load(beacon.plan().epoch, MEASURED_MS_MIN));
    StandingBody {
        shard: shard.0,
        epoch: latest.map(|latest| latest.epoch.0),
        height: latest.map(|latest| latest.height.0),
        time_unix_ms: latest.map(|latest| latest.time_ms),
        executed: latest.map(|latest| latest.executed),
        load: load.map(|load| u64::try_from(load).unwrap_or(u64::MAX)),
        loaded_epochs: standing.map_or(0, |standing| standing.loaded_epochs),
        idle_epochs: standing.map_or(0, |standing| standing.idle_epochs),
    }
}

const fn parameters_body(parameters: &BeaconParameters) -> ParametersBody {
    let BeaconParameters { seats, epoch_ms, shards_max, split_above, merge_below, .. } =
        *parameters;
    ParametersBody { seats, epoch_ms, shards_max, split_above, merge_below }
}

/// What validators call themselves may be any bytes.
fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
