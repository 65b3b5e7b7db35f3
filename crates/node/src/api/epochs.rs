//! The epochs that the beacon has announced, and who served in them.

#![allow(unused_qualifications, reason = "utoipa's attribute writes them")]

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use qcn_types::{Epoch, EpochPlan, Layout, Resharding};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::bodies::{Params, ReshardingBody, Segment, limited, number};
use super::problem::{Problem, ProblemBody};
use super::shared::{Hub, OfShard, Shared, ask};

/// A list of epochs.
#[derive(Debug, Serialize, ToSchema)]
pub struct EpochsBody {
    /// Newest first; the first epoch of a network is that of the genesis and not among them. The
    /// newest may have been announced and not begun.
    pub epochs: Vec<EpochBody>,
    /// Where the list goes on: the `before` of the next request. Nothing at its end.
    pub next: Option<u64>,
}

/// An epoch, as its plan has it.
#[derive(Debug, Serialize, ToSchema)]
pub struct EpochBody {
    /// Which epoch.
    pub epoch: u64,
    /// The committed time of the beacon's final checkpoint before it.
    pub announced_unix_ms: u64,
    /// How many shards there are in it.
    pub shards: usize,
    /// How many validators serve in it.
    pub validators: usize,
    /// What is different from the layout of the epoch before. A plan does not say whether that was
    /// voted for or followed from the load.
    pub reshardings: Vec<LayoutChangeBody>,
}

/// A change of the layout, and where.
#[derive(Debug, Serialize, ToSchema)]
pub struct LayoutChangeBody {
    /// Which shards.
    #[serde(flatten)]
    pub change: ReshardingBody,
    /// The bits that all addresses of both begin with, and a star: what is one shard with a 0 after
    /// it and another with a 1 on one side of the change is one on the other.
    pub prefix: Option<String>,
}

/// The committee of an epoch.
#[derive(Debug, Serialize, ToSchema)]
pub struct EpochCommitteeBody {
    /// The shard.
    pub shard: u32,
    /// The epoch.
    pub epoch: u64,
    /// The sum of their weights.
    pub total_weight: u64,
    /// What a quorum weighs.
    pub quorum_weight: u64,
    /// In order.
    pub members: Vec<MemberBody>,
}

/// A member of a committee.
#[derive(Debug, Serialize, ToSchema)]
pub struct MemberBody {
    /// Its place in the committee.
    pub index: u16,
    /// Its name.
    pub name: String,
    /// Its voting power.
    pub weight: u64,
    /// In hexadecimal.
    pub consensus_key: String,
}

/// Which epochs.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct EpochsQuery {
    /// At most so many entries; 50 unless told, at most 500.
    pub limit: Option<usize>,
    /// Only epochs below this one: a list's `next`.
    pub before: Option<u64>,
    /// Only epochs with another layout than the one before.
    #[serde(default)]
    pub resharded: bool,
}

/// The epochs that the beacon has announced, newest first, each with its splits and merges. Empty in
/// a network without epochs.
#[utoipa::path(get, path = "/v1/epochs", tag = "node", params(EpochsQuery), responses(
    (status = 200, body = EpochsBody), (status = 400, body = ProblemBody)))]
pub async fn epochs(
    State(hub): State<Arc<Hub>>,
    Params(query): Params<EpochsQuery>,
) -> Result<Json<EpochsBody>, Problem> {
    epochs_body(&hub, &query).map(Json)
}

pub fn epochs_body(hub: &Hub, query: &EpochsQuery) -> Result<EpochsBody, Problem> {
    let limit = limited(query.limit)?;
    let before = Epoch(query.before.unwrap_or(u64::MAX));
    let is_wanted = |plan: &EpochPlan| !query.resharded || !plan.reshardings.is_empty();
    // One more tells whether there is a next page.
    let mut found = hub.config.announcements.newest_below(before, limit + 1, is_wanted);
    let has_more = found.len() > limit;
    found.truncate(limit);
    let last = found.last().map(|(plan, _)| plan.epoch.0);
    let epochs = found.iter().map(|(plan, time_ms)| epoch_body(plan, *time_ms)).collect();
    Ok(EpochsBody { epochs, next: last.filter(|_| has_more) })
}

fn epoch_body(plan: &EpochPlan, announced_unix_ms: u64) -> EpochBody {
    let change = |resharding: &Resharding| LayoutChangeBody {
        change: resharding.into(),
        prefix: prefix_of(*resharding, &plan.layout),
    };
    EpochBody {
        epoch: plan.epoch.0,
        announced_unix_ms,
        shards: plan.layout.shards().len(),
        validators: plan.validators.len(),
        reshardings: plan.reshardings.iter().map(change).collect(),
    }
}

/// What a change was about, by the layout after it: a shard takes part in one change at a time.
fn prefix_of(resharding: Resharding, after: &Layout) -> Option<String> {
    let prefix = match resharding {
        Resharding::Split { shard, .. } => after.prefix(shard)?.parent(),
        Resharding::Merge { into, .. } => after.prefix(into),
    };
    prefix.map(|prefix| prefix.to_string())
}

/// Who served a shard in an epoch, as far as its archive reaches back.
#[utoipa::path(get, path = "/v1/committees/{epoch}", tag = "chain", params(
    ("epoch" = u64, Path, description = "an epoch")),
    responses((status = 200, body = EpochCommitteeBody), (status = 400, body = ProblemBody),
        (status = 404, body = ProblemBody)))]
pub async fn committee(
    OfShard(shared): OfShard,
    Segment(epoch): Segment,
) -> Result<Json<EpochCommitteeBody>, Problem> {
    ask(shared, move |shared| committee_body(shared, Epoch(number(&epoch)?)).map(Json)).await
}

pub fn committee_body(shared: &Shared, epoch: Epoch) -> Result<EpochCommitteeBody, Problem> {
    let committee = shared.committee_of(epoch)?;
    let members = committee.indices().zip(committee.members());
    let member = |(index, member): (qcn_types::ValidatorIndex, &qcn_types::Member)| {
        let (name, weight) = (member.name.clone(), member.weight.0);
        MemberBody { index: index.0, name, weight, consensus_key: member.key.to_string() }
    };
    Ok(EpochCommitteeBody {
        shard: committee.shard().0,
        epoch: committee.epoch().0,
        total_weight: committee.total_weight(),
        quorum_weight: committee.quorum_weight(),
        members: members.map(member).collect(),
    })
}
