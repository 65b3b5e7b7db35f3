//! Checkpoints, blocks and evidence.

#![allow(unused_qualifications, reason = "utoipa's attribute writes them")]

use axum::Json;
use qcn_crypto::{Digest, to_hex};
use qcn_light::verify_evidence;
use qcn_types::{Certificate, Checkpoint, CommitteeKeys, Epoch, Height, Round, Slot, encode};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::bodies::{ListQuery, OutcomeBody, Params, RefBody, Segment, digest, number, refs};
use super::problem::{Problem, ProblemBody};
use super::shared::{OfShard, Shared, ask};
use crate::archive::{ArchivedBlock, CheckpointRecord, EvidenceRecord};
use crate::proof_document::{ProofDocument, offence_text};

/// The most rounds in one answer.
const MAX_ROUNDS: u64 = 64;

/// How many rounds are shown when the client does not say.
const DEFAULT_ROUNDS: u64 = 24;

/// The most blocks in one answer: several in each slot of a large committee.
const MAX_BLOCKS: usize = 16_384;

/// A list of checkpoints.
#[derive(Debug, Serialize, ToSchema)]
pub struct CheckpointsBody {
    /// Newest first.
    pub checkpoints: Vec<SummaryBody>,
}

/// A checkpoint in a list.
#[derive(Debug, Serialize, ToSchema)]
pub struct SummaryBody {
    /// Its height.
    pub height: u64,
    /// Its digest.
    pub digest: String,
    /// The epoch, whose committee the leader is of.
    pub epoch: u64,
    /// The leader's time.
    pub time_unix_ms: u64,
    /// The last committed leader.
    pub leader: RefBody,
    /// How many transactions it executed.
    pub transactions: u32,
    /// How many blocks it brought in.
    pub blocks: usize,
    /// Whether it is final.
    pub certified: bool,
}

/// A checkpoint with what it brought in.
#[derive(Debug, Serialize, ToSchema)]
pub struct CheckpointBody {
    /// Its height.
    pub height: u64,
    /// Its digest.
    pub digest: String,
    /// The shard.
    pub shard: u32,
    /// The epoch.
    pub epoch: u64,
    /// The leader's time.
    pub time_unix_ms: u64,
    /// The last committed leader.
    pub leader: RefBody,
    /// Root of the account state.
    pub state_root: String,
    /// Root over transactions and outcomes.
    pub transactions_root: String,
    /// Root of all lanes to other shards.
    pub outbox_root: String,
    /// Digest of the checkpoint before.
    pub parent: String,
    /// The chain of commits.
    pub commit: String,
    /// Whether it is final.
    pub certified: bool,
    /// The committed leaders, in order.
    pub leaders: Vec<RefBody>,
    /// The committed blocks, in order.
    pub blocks: Vec<RefBody>,
    /// What became of each transaction, in order.
    pub transactions: Vec<OutcomeLineBody>,
    /// Its own certificate; a later one proves it just as well, see its proof.
    pub certificate: Option<CertificateBody>,
}

/// What became of a transaction.
#[derive(Debug, Serialize, ToSchema)]
pub struct OutcomeLineBody {
    /// The transaction.
    pub id: String,
    /// What became of it.
    pub outcome: OutcomeBody,
}

/// A certificate.
#[derive(Debug, Serialize, ToSchema)]
pub struct CertificateBody {
    /// What its authors weigh.
    pub weight: u64,
    /// What a quorum weighs.
    pub quorum_weight: u64,
    /// Who attests.
    pub authors: Vec<u16>,
    /// The certificate in canonical bytes.
    pub bytes: String,
}

/// Blocks by round.
#[derive(Debug, Serialize, ToSchema)]
pub struct BlocksBody {
    /// The epoch that the rounds are of.
    pub epoch: u64,
    /// By round, author and digest.
    pub blocks: Vec<BlockBody>,
    /// The decided leader slots.
    pub slots: Vec<SlotBody>,
}

/// A block.
#[derive(Debug, Serialize, ToSchema)]
pub struct BlockBody {
    /// The epoch that its round is of.
    pub epoch: u64,
    /// The round.
    pub round: u64,
    /// The author.
    pub author: u16,
    /// The digest.
    pub digest: String,
    /// The parents, the author's own block first.
    pub parents: Vec<RefBody>,
    /// How many transactions it carries.
    pub transactions: u32,
    /// How many checkpoints it attests to.
    pub attestations: u32,
    /// How many pieces of evidence it carries.
    pub evidence: u32,
    /// Its length with parents in full.
    pub bytes: u32,
    /// The author's clock.
    pub time_unix_ms: u64,
    /// Whether it was committed as a leader.
    pub leader: bool,
    /// `pending` or `committed`.
    pub state: &'static str,
    /// The checkpoint that brought it in.
    pub height: Option<u64>,
}

/// A block with its contents' names.
#[derive(Debug, Serialize, ToSchema)]
pub struct FullBlockBody {
    /// The block.
    #[serde(flatten)]
    pub block: BlockBody,
    /// The author's signature.
    pub signature: String,
    /// Its transactions, in order.
    pub transaction_ids: Vec<String>,
}

/// How a leader slot was decided.
#[derive(Debug, Serialize, ToSchema)]
pub struct SlotBody {
    /// The round.
    pub round: u64,
    /// Whose it was.
    pub author: u16,
    /// `commit` or `skip`.
    pub decision: &'static str,
}

/// A list of evidence.
#[derive(Debug, Serialize, ToSchema)]
pub struct EvidencesBody {
    /// By digest, the highest first.
    pub evidence: Vec<EvidenceBody>,
    /// Where the list goes on: the `before` of the next request. Nothing at its end.
    pub next: Option<String>,
}

/// A proof of misbehaviour.
#[derive(Debug, Serialize, ToSchema)]
pub struct EvidenceBody {
    /// Its name.
    pub digest: String,
    /// The epoch whose committee has that member.
    pub epoch: u64,
    /// Whom it accuses.
    pub accused: u16,
    /// The accused's name.
    pub name: String,
    /// Of what.
    pub offence: String,
    /// The checkpoint that brought it in.
    pub height: Option<u64>,
    /// The evidence in canonical bytes.
    pub bytes: String,
}

/// Which rounds.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct RoundsQuery {
    /// The epoch that the rounds are of; by default that of the shard's present committee.
    pub epoch: Option<u64>,
    /// The first; by default 24 rounds up to the last.
    pub from_round: Option<u64>,
    /// The last, at most 63 above the first; by default the newest.
    pub to_round: Option<u64>,
}

/// Checkpoints, newest first.
#[utoipa::path(get, path = "/v1/checkpoints", tag = "chain", params(ListQuery), responses(
    (status = 200, body = CheckpointsBody), (status = 400, body = ProblemBody)))]
pub async fn checkpoints(
    OfShard(shared): OfShard,
    Params(query): Params<ListQuery>,
) -> Result<Json<CheckpointsBody>, Problem> {
    ask(shared, move |shared| checkpoints_body(shared, &query).map(Json)).await
}

pub fn checkpoints_body(shared: &Shared, query: &ListQuery) -> Result<CheckpointsBody, Problem> {
    let records = shared.archive.checkpoints(query.before_height()?, query.limit()?)?;
    let final_height = shared.final_height();
    let body = |record: &CheckpointRecord| SummaryBody {
        height: record.header.height.0,
        digest: record.header.digest().to_string(),
        epoch: record.header.epoch.0,
        time_unix_ms: record.header.time_ms,
        leader: RefBody::from(&record.header.leader),
        transactions: record.transactions,
        blocks: record.blocks.len(),
        certified: record.header.height <= final_height,
    };
    Ok(CheckpointsBody { checkpoints: records.iter().map(body).collect() })
}

/// A checkpoint.
#[utoipa::path(get, path = "/v1/checkpoints/{height}", tag = "chain", params(
    ("height" = String, Path, description = "a height, `latest`, or `certified`: the newest with a certificate of its own")),
    responses((status = 200, body = CheckpointBody), (status = 400, body = ProblemBody),
        (status = 404, body = ProblemBody)))]
pub async fn checkpoint(
    OfShard(shared): OfShard,
    Segment(height): Segment,
) -> Result<Json<CheckpointBody>, Problem> {
    ask(shared, move |shared| checkpoint_body(shared, &height).map(Json)).await
}

pub fn checkpoint_body(shared: &Shared, height: &str) -> Result<CheckpointBody, Problem> {
    let height = height_named(shared, height)?;
    let record = shared.archive.checkpoint(height)?;
    let record = record.ok_or_else(|| Problem::not_found("this checkpoint"))?;
    let CheckpointRecord { header, leaders, blocks, .. } = record;
    let certificate = shared.archive.certificate(height)?;
    let certificate = certificate.filter(|found| found.checkpoint.height == height);
    let outcomes = shared.archive.outcomes(height)?.into_iter();
    // Of an early epoch it may not be known any more what its committee weighs.
    let keys = shared.keys_of(header.epoch).ok();
    Ok(CheckpointBody {
        height: height.0,
        digest: header.digest().to_string(),
        shard: header.shard.0,
        epoch: header.epoch.0,
        time_unix_ms: header.time_ms,
        leader: RefBody::from(&header.leader),
        state_root: header.state_root.to_string(),
        transactions_root: header.transactions_root.to_string(),
        outbox_root: header.outbox_root.to_string(),
        parent: header.parent.to_string(),
        commit: header.commit.to_string(),
        certified: height <= shared.final_height(),
        leaders: refs(&leaders),
        blocks: refs(&blocks),
        transactions: outcomes
            .map(|(id, outcome)| OutcomeLineBody { id: id.to_string(), outcome: outcome.into() })
            .collect(),
        certificate: certificate.zip(keys).map(|(found, keys)| certificate_body(&found, &keys)),
    })
}

fn certificate_body(certificate: &Certificate, keys: &CommitteeKeys) -> CertificateBody {
    let committee = keys.committee();
    CertificateBody {
        weight: qcn_light::certificate_weight(certificate, committee),
        quorum_weight: committee.quorum_weight(),
        authors: certificate.attestations.iter().map(|proof| proof.author.0).collect(),
        bytes: to_hex(&encode(certificate)),
    }
}

fn height_named(shared: &Shared, name: &str) -> Result<Height, Problem> {
    let (newest, none_yet) = match name {
        "latest" => (shared.archive.last_height(), "there is no checkpoint yet"),
        "certified" => (shared.archive.certified_height(), "no checkpoint is certified yet"),
        digits => return number(digits).map(Height),
    };
    if newest == Height(0) { Err(Problem::no_checkpoint(none_yet)) } else { Ok(newest) }
}

/// A proof that a checkpoint is final.
#[utoipa::path(get, path = "/v1/checkpoints/{height}/proof", tag = "chain", params(
    ("height" = String, Path, description = "a height, `latest` or `certified`")),
    responses((status = 200, body = ProofDocument), (status = 400, body = ProblemBody),
        (status = 404, body = ProblemBody)))]
pub async fn checkpoint_proof(
    OfShard(shared): OfShard,
    Segment(height): Segment,
) -> Result<Json<ProofDocument>, Problem> {
    ask(shared, move |shared| checkpoint_document(shared, &height).map(Json)).await
}

pub fn checkpoint_document(shared: &Shared, height: &str) -> Result<ProofDocument, Problem> {
    let height = height_named(shared, height)?;
    let chain = shared.archive.certified_chain(height)?;
    let (certificate, ancestors): (Certificate, Vec<Checkpoint>) =
        chain.ok_or_else(|| Problem::not_certified("this checkpoint"))?;
    let epoch = certificate.checkpoint.epoch;
    let keys = shared.keys_of(epoch)?;
    let document = ProofDocument::checkpoint(&keys, &certificate, ancestors);
    Ok(shared.hub().led_to(document, epoch))
}

/// The DAG by rounds of an epoch: they begin anew in each.
#[utoipa::path(get, path = "/v1/blocks", tag = "chain", params(RoundsQuery), responses(
    (status = 200, body = BlocksBody), (status = 400, body = ProblemBody)))]
pub async fn blocks(
    OfShard(shared): OfShard,
    Params(query): Params<RoundsQuery>,
) -> Result<Json<BlocksBody>, Problem> {
    ask(shared, move |shared| blocks_body(shared, &query).map(Json)).await
}

pub fn blocks_body(shared: &Shared, query: &RoundsQuery) -> Result<BlocksBody, Problem> {
    let archive = match query.epoch {
        Some(epoch) => shared.archive.at_epoch(Epoch(epoch)),
        None => shared.archive.clone(),
    };
    let epoch = archive.epoch().0;
    let newest = archive.highest_round().0;
    let from = query
        .from_round
        .unwrap_or_else(|| query.to_round.unwrap_or(newest).saturating_sub(DEFAULT_ROUNDS - 1));
    let to = query.to_round.unwrap_or_else(|| newest.min(from.saturating_add(MAX_ROUNDS - 1)));
    if to.saturating_sub(from) >= MAX_ROUNDS {
        let remedy = format!("ask for at most {MAX_ROUNDS} rounds at once");
        return Err(Problem::malformed("these are too many rounds", remedy));
    }
    if to < from {
        return Ok(BlocksBody { epoch, blocks: Vec::new(), slots: Vec::new() });
    }
    let rounds = Round(from)..=Round(to);
    let found = archive.blocks(rounds.clone(), MAX_BLOCKS)?;
    let decisions = archive.decisions(rounds, MAX_BLOCKS)?;
    let slots = decisions.into_iter().map(slot_body).collect();
    Ok(BlocksBody { epoch, blocks: found.iter().map(block_body).collect(), slots })
}

fn slot_body((slot, skipped): (Slot, bool)) -> SlotBody {
    let decision = if skipped { "skip" } else { "commit" };
    SlotBody { round: slot.round.0, author: slot.author.0, decision }
}

fn block_body(block: &ArchivedBlock) -> BlockBody {
    let ArchivedBlock { summary, placement } = block;
    BlockBody {
        epoch: summary.epoch.0,
        round: summary.reference.round.0,
        author: summary.reference.author.0,
        digest: summary.reference.digest.to_string(),
        parents: refs(&summary.parents),
        transactions: summary.transactions,
        attestations: summary.attestations,
        evidence: summary.evidence,
        bytes: summary.bytes,
        time_unix_ms: summary.time_ms,
        leader: placement.is_some_and(|placement| placement.leader),
        state: if placement.is_some() { "committed" } else { "pending" },
        height: placement.map(|placement| placement.height.0),
    }
}

/// A block with the names of its transactions.
#[utoipa::path(get, path = "/v1/blocks/{digest}", tag = "chain", params(
    ("digest" = String, Path, description = "64 hexadecimal digits")),
    responses((status = 200, body = FullBlockBody), (status = 400, body = ProblemBody),
        (status = 404, body = ProblemBody)))]
pub async fn block(
    OfShard(shared): OfShard,
    Segment(name): Segment,
) -> Result<Json<FullBlockBody>, Problem> {
    ask(shared, move |shared| full_block_body(shared, digest(&name)?).map(Json)).await
}

pub fn full_block_body(shared: &Shared, digest: Digest) -> Result<FullBlockBody, Problem> {
    let summary = shared.archive.block(&digest)?;
    let contents = shared.archive.block_body(&digest)?;
    let (Some(block), Some(contents)) = (summary, contents) else {
        return Err(Problem::not_found("this block"));
    };
    let transactions = contents.payload.transactions.iter();
    Ok(FullBlockBody {
        block: block_body(&block),
        signature: contents.signature.to_string(),
        transaction_ids: transactions.map(|one| one.body.id().to_string()).collect(),
    })
}

/// Proofs of misbehaviour that are known here.
#[utoipa::path(get, path = "/v1/evidence", tag = "chain", params(ListQuery), responses(
    (status = 200, body = EvidencesBody), (status = 400, body = ProblemBody)))]
pub async fn evidence(
    OfShard(shared): OfShard,
    Params(query): Params<ListQuery>,
) -> Result<Json<EvidencesBody>, Problem> {
    ask(shared, move |shared| evidences_body(shared, &query).map(Json)).await
}

pub fn evidences_body(shared: &Shared, query: &ListQuery) -> Result<EvidencesBody, Problem> {
    let limit = query.limit()?;
    let records = shared.archive.evidence(query.before_digest()?.as_ref(), limit)?;
    let last = records.last().filter(|_| records.len() == limit);
    Ok(EvidencesBody {
        evidence: records.iter().map(|one| evidence_body(one, shared)).collect(),
        next: last.map(|record| record.evidence.digest().to_string()),
    })
}

fn evidence_body(record: &EvidenceRecord, shared: &Shared) -> EvidenceBody {
    let EvidenceRecord { epoch, evidence, height } = record;
    let accused = evidence.accused();
    let keys = shared.keys_of(*epoch).ok();
    let member = keys.as_ref().and_then(|keys| keys.committee().member(accused));
    EvidenceBody {
        digest: evidence.digest().to_string(),
        epoch: epoch.0,
        accused: accused.0,
        name: member.map(|member| member.name.clone()).unwrap_or_default(),
        offence: match keys.as_ref().map(|keys| verify_evidence(evidence, keys)) {
            Some(Ok(offence)) => offence_text(offence),
            Some(Err(error)) => format!("none: {error}"),
            None => "against a committee of the past that is not known here".to_owned(),
        },
        height: height.map(|height| height.0),
        bytes: to_hex(&encode(evidence)),
    }
}

/// A proof of misbehaviour that can be checked offline.
#[utoipa::path(get, path = "/v1/evidence/{digest}/proof", tag = "chain", params(
    ("digest" = String, Path, description = "64 hexadecimal digits")),
    responses((status = 200, body = ProofDocument), (status = 400, body = ProblemBody),
        (status = 404, body = ProblemBody)))]
pub async fn evidence_proof(
    OfShard(shared): OfShard,
    Segment(name): Segment,
) -> Result<Json<ProofDocument>, Problem> {
    ask(shared, move |shared| evidence_document(shared, digest(&name)?).map(Json)).await
}

pub fn evidence_document(shared: &Shared, digest: Digest) -> Result<ProofDocument, Problem> {
    let record = shared.archive.evidence_of(&digest)?;
    let document = record.and_then(|record| {
        let keys = shared.keys_of(record.epoch).ok()?;
        let document = ProofDocument::evidence(&keys, &record.evidence).ok()?;
        Some(shared.hub().led_to(document, record.epoch))
    });
    document.ok_or_else(|| Problem::not_found("this evidence"))
}
