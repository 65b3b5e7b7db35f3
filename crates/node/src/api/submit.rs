//! Handing in transactions.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::FromRequestParts;
use axum::extract::rejection::BytesRejection;
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use qcn_crypto::from_hex;
use qcn_ledger::Outcome;
use qcn_types::{Bounded, ShardId, Transaction, TransactionId};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::sync::OwnedSemaphorePermit;
use utoipa::ToSchema;

use super::bodies::BodyKind;
use super::problem::{Problem, ProblemDetail};
use super::shared::{Entry, Hub, OfShard, Shared, ask};
use crate::view::SubmitError;

/// The most transactions in one batch: as many as a block carries.
pub const MAX_BATCH: usize = 2_000;

/// How many batches are read and decoded at once: they may be long, and connections are many.
pub const MAX_BATCHES_AT_ONCE: usize = 8;

/// The longest batch, in bytes, that is decoded where it arrives: handing it to another thread takes
/// longer than decoding it.
const MAX_DECODED_AT_ONCE: usize = 16 * 1024;

/// A turn to read a batch, which is waited for before its body is read.
pub struct BatchTurn(#[expect(dead_code, reason = "held")] OwnedSemaphorePermit);

impl FromRequestParts<Arc<Hub>> for BatchTurn {
    type Rejection = Problem;

    async fn from_request_parts(_parts: &mut Parts, hub: &Arc<Hub>) -> Result<Self, Problem> {
        // How long it may take is bounded for all requests alike.
        let turn = Arc::clone(&hub.batches).acquire_owned().await;
        turn.map(Self).map_err(|_| Problem::unavailable("stopped", "the node is stopping"))
    }
}

/// A transaction to hand in.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SubmitBody {
    /// Its canonical bytes in hexadecimal.
    pub transaction: String,
}

/// Transactions to hand in.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SubmitBatchBody {
    /// Their canonical bytes in hexadecimal; a sender's in the order of nonces. At most 2,000.
    pub transactions: Vec<String>,
}

/// A transaction was taken in.
#[derive(Debug, Serialize, ToSchema)]
pub struct SubmittedBody {
    /// Its name, under which to follow it.
    pub id: String,
}

/// What was said to each transaction of a batch.
#[derive(Debug, Serialize, ToSchema)]
pub struct SubmittedBatchBody {
    /// In the order of the batch.
    pub results: Vec<BatchResultBody>,
}

/// What was said to one of them: one of the two.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
pub enum BatchResultBody {
    /// It was taken in.
    Taken {
        /// Its name.
        id: String,
    },
    /// It was not.
    Refused {
        /// Why not.
        error: ProblemDetail,
    },
}

/// Hands in a transaction. With `Content-Type: application/octet-stream` the body is its
/// canonical bytes.
#[utoipa::path(post, path = "/v1/transactions", tag = "transactions",
    request_body(content((SubmitBody = "application/json"), (Vec<u8> = "application/octet-stream"))),
    responses((status = 202, body = SubmittedBody), (status = 400, body = super::problem::ProblemBody),
        (status = 413, body = super::problem::ProblemBody),
        (status = 415, body = super::problem::ProblemBody),
        (status = 422, body = super::problem::ProblemBody),
        (status = 503, body = super::problem::ProblemBody)))]
pub async fn submit(
    OfShard(shared): OfShard,
    kind: BodyKind,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Problem> {
    let body = whole_body(body, shared.hub().config.limits.body_bytes)?;
    let transaction = match kind {
        BodyKind::Binary => from_bytes(&body)?,
        BodyKind::Json => transaction_from_hex(&json::<SubmitBody>(&body)?.transaction)?,
    };
    let id = submit_one(&shared, transaction).await?;
    let body = Json(SubmittedBody { id: id.to_string() });
    Ok((StatusCode::ACCEPTED, body).into_response())
}

pub async fn submit_one(
    shared: &Arc<Shared>,
    transaction: Transaction,
) -> Result<TransactionId, Problem> {
    let results = submit_all(shared, vec![transaction]).await?;
    let result = results.into_iter().next();
    result.unwrap_or_else(|| Err(Problem::unavailable("stopped", "the node gave no answer")))
}

/// Hands in several transactions. With `Content-Type: application/octet-stream` the body is the
/// canonical bytes of their list.
#[utoipa::path(post, path = "/v1/transactions/batch", tag = "transactions",
    request_body(content((SubmitBatchBody = "application/json"), (Vec<u8> = "application/octet-stream"))),
    responses((status = 200, body = SubmittedBatchBody),
        (status = 400, body = super::problem::ProblemBody),
        (status = 413, body = super::problem::ProblemBody),
        (status = 415, body = super::problem::ProblemBody),
        (status = 503, body = super::problem::ProblemBody)))]
pub async fn submit_batch(
    OfShard(shared): OfShard,
    kind: BodyKind,
    _turn: BatchTurn,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<SubmittedBatchBody>, Problem> {
    let body = whole_body(body, shared.hub().config.limits.batch_body_bytes)?;
    let transactions = if body.len() <= MAX_DECODED_AT_ONCE {
        batch(&body, kind)?
    } else {
        ask(Arc::clone(&shared), move |_| batch(&body, kind)).await?
    };
    let results = submit_all(&shared, transactions).await?;
    let body = |result| match result {
        Ok(TransactionId(id)) => BatchResultBody::Taken { id: id.to_string() },
        Err(problem) => BatchResultBody::Refused { error: Problem::detail(&problem) },
    };
    Ok(Json(SubmittedBatchBody { results: results.into_iter().map(body).collect() }))
}

fn batch(body: &[u8], kind: BodyKind) -> Result<Vec<Transaction>, Problem> {
    if kind == BodyKind::Binary {
        return from_bytes::<Bounded<Transaction, MAX_BATCH>>(body).map(Bounded::into_inner);
    }
    let texts = json::<SubmitBatchBody>(body)?.transactions;
    if texts.len() > MAX_BATCH {
        let remedy = format!("hand in at most {MAX_BATCH} at once");
        return Err(Problem::malformed("these are too many transactions", remedy));
    }
    texts.iter().map(|text| transaction_from_hex(text)).collect()
}

/// Those of some transactions whose senders are in one shard, with their places among all.
struct Part {
    shared: Arc<Shared>,
    places: Vec<usize>,
    transactions: Vec<Transaction>,
}

impl Part {
    fn of(shared: Shared) -> Self {
        Self { shared: Arc::new(shared), places: Vec::new(), transactions: Vec::new() }
    }
}

/// Hands in transactions, each to the shard of its sender, and says what became of each. All are
/// refused together only if the node cannot take anything in.
async fn submit_all(
    shared: &Arc<Shared>,
    transactions: Vec<Transaction>,
) -> Result<Vec<Result<TransactionId, Problem>>, Problem> {
    let hub = shared.hub();
    let mut by_shard: BTreeMap<ShardId, Part> = BTreeMap::new();
    let mut results: Vec<Result<TransactionId, Problem>> = Vec::with_capacity(transactions.len());
    for (place, transaction) in transactions.into_iter().enumerate() {
        match hub.of_address(&transaction.body.sender) {
            Ok(of_sender) => {
                let part = by_shard.entry(of_sender.view.shard());
                let part = part.or_insert_with(|| Part::of(of_sender));
                part.places.push(place);
                part.transactions.push(transaction);
                results.push(Err(Problem::unavailable("stopped", "the node gave no answer")));
            }
            Err(problem) => results.push(Err(problem)),
        }
    }
    let is_one = by_shard.len() == 1;
    for Part { shared, places, transactions } in by_shard.into_values() {
        let answers = match submit_to(&shared, transactions).await {
            Ok(answers) => answers,
            Err(problem) if is_one => return Err(problem),
            // The others may have been taken in.
            Err(problem) => places.iter().map(|_| Err(problem.clone())).collect(),
        };
        for (place, answer) in places.into_iter().zip(answers) {
            results[place] = answer;
        }
    }
    Ok(results)
}

/// Hands in transactions whose senders are in one shard.
async fn submit_to(
    shared: &Arc<Shared>,
    transactions: Vec<Transaction>,
) -> Result<Vec<Result<TransactionId, Problem>>, Problem> {
    let entries: Vec<Entry> = transactions.iter().map(Entry::of).collect();
    // Those of schemes that are not allowed are not even handed in.
    let allowed = |transaction: &Transaction| {
        shared.hub().config.account_schemes.contains(&transaction.key.scheme())
    };
    let schemes: Vec<_> = transactions
        .iter()
        .map(|transaction| (allowed(transaction), transaction.key.scheme()))
        .collect();
    let handed_in: Vec<Transaction> = transactions.into_iter().filter(allowed).collect();
    let answers =
        if handed_in.is_empty() { Vec::new() } else { shared.view.submit(handed_in).await? };
    let mut answers = answers.into_iter();
    let answer_to = |(is_allowed, scheme)| {
        if is_allowed {
            answers.next().unwrap_or(Err(SubmitError::Stopped))
        } else {
            Err(SubmitError::SchemeNotAllowed(scheme))
        }
    };
    let answers: Vec<_> = schemes.into_iter().map(answer_to).collect();
    let both = entries.iter().zip(&answers);
    shared.remember_taken(both.filter(|(_, answer)| answer.is_ok()).map(|(entry, _)| *entry));
    let mut results = Vec::with_capacity(entries.len());
    for (entry, answer) in entries.into_iter().zip(answers) {
        results.push(match answer {
            Ok(id) => Ok(id),
            Err(refusal) => refused(shared, entry.id, refusal).await,
        });
    }
    Ok(results)
}

/// Remembers a refusal, if it is one of every transaction of this id. Who hands one in again that
/// was executed already, say because the first answer got lost, is told its name again.
async fn refused(
    shared: &Arc<Shared>,
    id: TransactionId,
    refusal: SubmitError,
) -> Result<TransactionId, Problem> {
    let executed = ask(Arc::clone(shared), move |shared| Ok(shared.archive.transaction(id)?));
    let executed = executed.await?.is_some_and(|record| !is_skipped(record.outcome));
    if executed {
        return Ok(id);
    }
    if refusal.is_of_the_body() {
        shared.remember_refused(id, refusal.clone());
    }
    Err(refusal.into())
}

const fn is_skipped(outcome: Outcome) -> bool {
    matches!(outcome, Outcome::Skipped(_))
}

/// Reads a transaction out of a request.
pub fn transaction_from_hex(text: &str) -> Result<Transaction, Problem> {
    let bytes = from_hex(text).map_err(|error| {
        let remedy = "use hexadecimal digits only, without 0x";
        Problem::malformed(format!("the transaction is not hexadecimal: {error}"), remedy)
    })?;
    from_bytes(&bytes)
}

fn from_bytes<T: borsh::BorshDeserialize>(bytes: &[u8]) -> Result<T, Problem> {
    borsh::from_slice(bytes).map_err(|error| {
        let remedy = "send the canonical Borsh encoding of a signed transaction";
        Problem::malformed(format!("the bytes do not decode: {error}"), remedy)
    })
}

/// Reads the JSON body of a request.
pub fn json<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    serde_json::from_slice(body).map_err(|error| {
        let remedy = "see /openapi.json for the body";
        Problem::malformed(format!("the body is not the JSON that is expected: {error}"), remedy)
    })
}

/// The body, if it came in time and within the limit.
pub fn whole_body(
    body: Result<Bytes, BytesRejection>,
    limit_bytes: usize,
) -> Result<Bytes, Problem> {
    body.map_err(|rejection| match rejection.status() {
        StatusCode::PAYLOAD_TOO_LARGE => Problem::too_large(limit_bytes),
        _ => Problem::malformed("the body did not arrive whole", "send it again"),
    })
}
