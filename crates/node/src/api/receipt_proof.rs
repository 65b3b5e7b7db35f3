//! Proofs that a transfer left for another shard.
//!
//! They are made from the newest certified state, which holds what the other shard has not
//! acknowledged. What was acknowledged is gone from it, and shown by the other shard.

use axum::Json;
use axum::http::StatusCode;
use qcn_ledger::{Outcome, ReceiptProof};
use qcn_types::{LaneEnd, ShardId, TransactionId};

use super::bodies::{Segment, digest};
use super::problem::{Problem, ProblemBody};
use super::shared::{OfShard, Shared, ask};
use super::transactions::not_known;
use crate::proof_document::ProofDocument;
use crate::view::CertifiedState;

/// A proof that a transfer left its shard, for anyone with the genesis; there is none any more once
/// the receiver's shard has acknowledged it.
#[utoipa::path(get, path = "/v1/transactions/{id}/receipt-proof", tag = "transactions", params(
    ("id" = String, Path, description = "64 hexadecimal digits")),
    responses((status = 200, body = ProofDocument), (status = 400, body = ProblemBody),
        (status = 404, body = ProblemBody), (status = 503, body = ProblemBody)))]
pub async fn receipt_proof(
    OfShard(shared): OfShard,
    Segment(id): Segment,
) -> Result<Json<ProofDocument>, Problem> {
    ask(shared, move |shared| receipt_document(shared, TransactionId(digest(&id)?)).map(Json)).await
}

pub fn receipt_document(shared: &Shared, id: TransactionId) -> Result<ProofDocument, Problem> {
    let mut hosts = shared.hub().shared().into_iter();
    let found = hosts.find(|one| matches!(one.archive.transaction(id), Ok(Some(_))));
    // What an archive cannot read is said by that of the path.
    let shared = found.as_ref().unwrap_or(shared);
    let record = shared.archive.transaction(id)?;
    let record = record.ok_or_else(|| not_known(shared, id))?;
    let Outcome::Sent(to) = record.outcome else {
        return Err(nothing_sent(id));
    };
    let state = shared.certified().filter(|it| is_executed_in(it, record.height));
    let state = state.ok_or_else(|| Problem::not_certified("this receipt"))?;
    let proof = find(&state, to, id).ok_or_else(|| gone(id, to))?;
    let epoch = state.certificate.checkpoint.epoch;
    let document = ProofDocument::receipt(&shared.keys_of(epoch)?, &state.certificate, &proof);
    Ok(shared.hub().led_to(document, epoch))
}

fn is_executed_in(state: &CertifiedState, height: qcn_types::Height) -> bool {
    state.certificate.checkpoint.height >= height
}

/// On the shard's own lane, or on one that it has taken over.
fn find(state: &CertifiedState, to: ShardId, id: TransactionId) -> Option<ReceiptProof> {
    let outbox = state.ledger.outbox();
    let mut lanes = outbox.ends().iter().map(LaneEnd::lane).filter(|lane| lane.peer == to);
    lanes.find_map(|lane| state.ledger.prove_receipt(lane, id))
}

fn nothing_sent(id: TransactionId) -> Problem {
    let message = "this transaction sent nothing to another shard";
    let remedy = format!("what became of it is proven by /v1/transactions/{id}/proof");
    Problem::new(StatusCode::NOT_FOUND, "no_receipt", message, remedy)
}

fn gone(id: TransactionId, to: ShardId) -> Problem {
    let message = format!(
        "the receipt is gone from the state: shard {to}, to which it was sent, has acknowledged it"
    );
    let remedy = format!(
        "ask a node of shard {to} how it arrived (/v1/transactions/{id}); that it was sent is \
         proven by /v1/transactions/{id}/proof here"
    );
    Problem::new(StatusCode::NOT_FOUND, "gone", message, remedy)
}
