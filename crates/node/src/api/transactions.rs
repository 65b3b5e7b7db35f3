//! Executed transactions, and those on their way.

use std::sync::Arc;

use axum::Json;
use qcn_ledger::Outcome;
use qcn_types::{Address, TransactionId};
use serde::Serialize;
use utoipa::ToSchema;

use super::arrival::{self, ArrivalBody};
use super::bodies::{
    ActionBody, ListQuery, OutcomeBody, Params, RefBody, Segment, TransactionLineBody, digest,
};
use super::problem::{Problem, ProblemBody};
use super::shared::{OfShard, Shared, Submitted, ask};
use crate::archive::TransactionRecord;
use crate::proof_document::ProofDocument;

/// A list of transactions.
#[derive(Debug, Serialize, ToSchema)]
pub struct TransactionsBody {
    /// Newest first.
    pub transactions: Vec<TransactionLineBody>,
    /// Where the list goes on: the `before` of the next request. Nothing at its end.
    pub next: Option<String>,
}

/// What is known of a transaction.
#[derive(Debug, Serialize, ToSchema)]
pub struct TransactionBody {
    /// Its name.
    pub id: String,
    /// `pending` (taken in here, not executed), `executed`, `final` (executed and certified),
    /// `refused` (by this node) or `unknown`.
    pub status: &'static str,
    /// The checkpoint's height.
    pub height: Option<u64>,
    /// Its place among the checkpoint's transactions.
    pub position: Option<u32>,
    /// What became of it.
    pub outcome: Option<OutcomeBody>,
    /// The block that carried it.
    pub block: Option<RefBody>,
    /// The checkpoint's time.
    pub checkpoint_time_unix_ms: Option<u64>,
    /// What it says.
    pub transaction: Option<TransactionDetailBody>,
    /// Why this node refused it.
    pub refusal: Option<String>,
    /// The sender's shard, as far as this node knows the transaction there.
    pub shard: Option<u32>,
    /// How it went on, if it pays to another shard.
    pub arrival: Option<ArrivalBody>,
}

/// What a transaction says.
#[derive(Debug, Serialize, ToSchema)]
pub struct TransactionDetailBody {
    /// Who pays and acts.
    pub sender: String,
    /// The sender's count.
    pub nonce: u64,
    /// What is paid for it.
    pub fee: String,
    /// What it does.
    pub action: ActionBody,
    /// Of the key that signed.
    pub scheme: String,
    /// Its length with key and signature.
    pub bytes: u32,
}

/// A transaction and where it stands. Unknown ones are answered, too.
#[utoipa::path(get, path = "/v1/transactions/{id}", tag = "transactions", params(
    ("id" = String, Path, description = "64 hexadecimal digits")),
    responses((status = 200, body = TransactionBody), (status = 400, body = ProblemBody)))]
pub async fn transaction(
    OfShard(shared): OfShard,
    Segment(id): Segment,
) -> Result<Json<TransactionBody>, Problem> {
    ask(shared, move |shared| transaction_body(shared, TransactionId(digest(&id)?)).map(Json)).await
}

pub fn transaction_body(shared: &Shared, id: TransactionId) -> Result<TransactionBody, Problem> {
    // Ids do not say whose they are: all shards of this node are asked, that of the path first.
    let mut others = shared.hub().shared();
    others.retain(|other| other.view.shard() != shared.view.shard());
    let all = || std::iter::once(shared).chain(&others);
    for one in all() {
        if let Some(record) = one.archive.transaction(id)? {
            return executed_body(one, &record);
        }
    }
    let submitted = all().find_map(|one| Some((one.view.shard(), one.submitted(id)?)));
    let shard = submitted.as_ref().map(|(shard, _)| shard.0);
    let (status, refusal) = match submitted {
        Some((_, Submitted::Pending)) => ("pending", None),
        Some((_, Submitted::Refused(refusal))) => ("refused", Some(refusal.to_string())),
        None => ("unknown", None),
    };
    Ok(TransactionBody {
        id: id.to_string(),
        status,
        height: None,
        position: None,
        outcome: None,
        block: None,
        checkpoint_time_unix_ms: None,
        transaction: None,
        refusal,
        shard,
        // Sent from a shard that this node does not host, it may have arrived here.
        arrival: arrival::from_elsewhere(shared.hub(), id)?,
    })
}

fn executed_body(shared: &Shared, record: &TransactionRecord) -> Result<TransactionBody, Problem> {
    let checkpoint = shared.archive.checkpoint(record.height)?;
    let is_final = record.height <= shared.final_height();
    Ok(TransactionBody {
        id: record.id.to_string(),
        status: if is_final { "final" } else { "executed" },
        height: Some(record.height.0),
        position: Some(record.position),
        outcome: Some(record.outcome.into()),
        block: Some(RefBody::from(&record.block)),
        checkpoint_time_unix_ms: checkpoint.map(|checkpoint| checkpoint.header.time_ms),
        transaction: Some(TransactionDetailBody {
            sender: record.sender.to_string(),
            nonce: record.nonce,
            fee: record.fee.to_string(),
            action: ActionBody::from(&record.action),
            scheme: record.scheme.to_string(),
            bytes: record.bytes,
        }),
        refusal: None,
        shard: Some(shared.view.shard().0),
        arrival: match record.outcome {
            Outcome::Sent(to) => Some(arrival::of_sent(shared, record.id, to)?),
            _ => None,
        },
    })
}

/// Executed transactions, newest first.
#[utoipa::path(get, path = "/v1/transactions", tag = "transactions", params(ListQuery), responses(
    (status = 200, body = TransactionsBody), (status = 400, body = ProblemBody)))]
pub async fn transactions(
    OfShard(shared): OfShard,
    Params(query): Params<ListQuery>,
) -> Result<Json<TransactionsBody>, Problem> {
    ask(shared, move |shared| newest_body(shared, &query).map(Json)).await
}

pub fn newest_body(shared: &Shared, query: &ListQuery) -> Result<TransactionsBody, Problem> {
    let limit = query.limit()?;
    let records = shared.archive.transactions(query.before_position()?, limit)?;
    Ok(transactions_body(&records, limit))
}

/// The transactions of an account, newest first.
#[utoipa::path(get, path = "/v1/accounts/{address}/transactions", tag = "accounts", params(
    ("address" = String, Path, description = "64 hexadecimal digits"), ListQuery),
    responses((status = 200, body = TransactionsBody), (status = 400, body = ProblemBody)))]
pub async fn account_transactions(
    OfShard(shared): OfShard,
    Segment(address): Segment,
    Params(query): Params<ListQuery>,
) -> Result<Json<TransactionsBody>, Problem> {
    let address = Address(digest(&address)?);
    let shared = Arc::new(shared.of_address(&address)?);
    ask(shared, move |shared| account_transactions_body(shared, address, &query).map(Json)).await
}

/// Those of an account of this shard.
pub fn account_transactions_body(
    shared: &Shared,
    address: Address,
    query: &ListQuery,
) -> Result<TransactionsBody, Problem> {
    let (before, limit) = (query.before_position()?, query.limit()?);
    let records = shared.archive.account_transactions(address, before, limit)?;
    Ok(transactions_body(&records, limit))
}

fn transactions_body(records: &[TransactionRecord], limit: usize) -> TransactionsBody {
    let last = records.last().filter(|_| records.len() == limit);
    TransactionsBody {
        transactions: records.iter().map(TransactionLineBody::from).collect(),
        next: last.map(|record| format!("{}.{}", record.height, record.position)),
    }
}

/// A proof of what became of a transaction, for anyone with the genesis.
#[utoipa::path(get, path = "/v1/transactions/{id}/proof", tag = "transactions", params(
    ("id" = String, Path, description = "64 hexadecimal digits")),
    responses((status = 200, body = ProofDocument), (status = 400, body = ProblemBody),
        (status = 404, body = ProblemBody)))]
pub async fn transaction_proof(
    OfShard(shared): OfShard,
    Segment(id): Segment,
) -> Result<Json<ProofDocument>, Problem> {
    ask(shared, move |shared| transaction_document(shared, TransactionId(digest(&id)?)).map(Json))
        .await
}

pub fn transaction_document(shared: &Shared, id: TransactionId) -> Result<ProofDocument, Problem> {
    let hosts = shared.hub().shared();
    let found = hosts.iter().find(|one| matches!(one.archive.transaction(id), Ok(Some(_))));
    // What an archive cannot read is said by that of the path.
    let shared = found.unwrap_or(shared);
    if shared.archive.transaction(id)?.is_none() {
        return Err(not_known(shared, id));
    }
    let proven = shared.archive.transaction_proof(id)?;
    let proven = proven.ok_or_else(|| Problem::not_certified("this transaction"))?;
    let epoch = proven.certificate.checkpoint.epoch;
    let document = ProofDocument::transaction(&shared.keys_of(epoch)?, proven);
    Ok(shared.hub().led_to(document, epoch))
}

/// Why there is no proof of a transaction that no shard of this node has executed.
pub fn not_known(shared: &Shared, id: TransactionId) -> Problem {
    let is_pending = |one: &Shared| one.submitted(id) == Some(Submitted::Pending);
    match shared.hub().shared().iter().any(is_pending) {
        true => Problem::not_executed(),
        false => Problem::not_found("this transaction"),
    }
}
