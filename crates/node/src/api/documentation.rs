//! The OpenAPI document, made from the handlers' own descriptions.

use std::sync::LazyLock;

use axum::http::header;
use axum::response::{IntoResponse, Response};
use utoipa::OpenApi;

use super::{
    accounts, beacon, chain, epochs, events, node, receipt_proof, rpc, search, shards, submit,
    transactions,
};

/// The API's description.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "qcn node",
        description = "A post-quantum ledger's node. Digests, addresses, keys and bytes are \
            lower-case hexadecimal; amounts are text; times are milliseconds since 1970. \
            Every path under /v1 that is about a shard is served under /v1/shards/{shard} as well: \
            without it, it is about the first shard of the node. \
            Any request may also be answered with 408, 413, 421 or 503 and the same error body."
    ),
    paths(
        node::health,
        node::ready,
        node::metrics,
        openapi,
        node::status,
        node::validators,
        node::peers,
        node::genesis,
        shards::shards,
        beacon::beacon,
        epochs::epochs,
        epochs::committee,
        chain::checkpoints,
        chain::checkpoint,
        chain::checkpoint_proof,
        chain::blocks,
        chain::block,
        chain::evidence,
        chain::evidence_proof,
        transactions::transactions,
        submit::submit,
        submit::submit_batch,
        transactions::transaction,
        transactions::transaction_proof,
        receipt_proof::receipt_proof,
        accounts::account,
        accounts::account_proof,
        transactions::account_transactions,
        accounts::supply,
        search::search,
        events::events,
        rpc::rpc,
    )
)]
pub struct Documentation;

static JSON: LazyLock<String> = LazyLock::new(|| {
    // The document is fixed when the program is built, and a test reads it.
    Documentation::openapi().to_json().unwrap_or_default()
});

/// The OpenAPI document.
#[utoipa::path(get, path = "/openapi.json", tag = "node", responses(
    (status = 200, body = serde_json::Value)))]
pub async fn openapi() -> Response {
    ([(header::CONTENT_TYPE, "application/json")], JSON.as_str()).into_response()
}
