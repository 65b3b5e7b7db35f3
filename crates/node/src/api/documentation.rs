//! The OpenAPI document, made from the handlers' own descriptions.

use std::sync::LazyLock;

use axum::http::header;
use axum::response::{IntoResponse, Response};
use utoipa::openapi::{Content, OpenApi as Document, Ref, RefOr, ResponseBuilder};
use utoipa::{Modify, OpenApi};

use super::{
    accounts, beacon, chain, epochs, events, node, receipt_proof, routes, rpc, search, shards,
    submit, transactions,
};

/// The API's description.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "qcn node",
        description = "A post-quantum ledger's node. Digests, addresses, keys and bytes are \
            lower-case hexadecimal; amounts are text; times are milliseconds since 1970. \
            Every path under /v1 that is about a shard is served under /v1/shards/{shard} as well: \
            without it, it is about the first shard of the node."
    ),
    modifiers(&Refusals),
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

/// What any request may be refused with, besides what its handler says.
struct Refusals;

/// By status. 421 where the path is about a shard, 413 and 415 where there is a body.
const REFUSALS: [(&str, &str); 5] = [
    ("408", "it took too long: nothing is known of what became of it"),
    ("413", "the body is too long"),
    ("415", "the body is of another media type"),
    ("421", "another node serves this shard; the remedy names some"),
    ("503", "the node has no room, no answer yet, or has stopped"),
];

impl Modify for Refusals {
    fn modify(&self, document: &mut Document) {
        let of_shards: Vec<&str> = routes::routes(0).into_iter().map(|(path, _)| path).collect();
        for (path, item) in &mut document.paths.paths {
            // A call of JSON-RPC tells in its own answer that a shard is elsewhere.
            let is_of_shard = of_shards.contains(&path.as_str()) && path != "/rpc";
            for (operation, has_body) in [(&mut item.get, false), (&mut item.post, true)] {
                let Some(operation) = operation else { continue };
                let possible = |status: &str| match status {
                    "413" | "415" => has_body,
                    "421" => is_of_shard,
                    _ => true,
                };
                for (status, description) in REFUSALS.iter().filter(|(it, _)| possible(it)) {
                    let content = Content::new(Some(Ref::from_schema_name("ProblemBody")));
                    let response = ResponseBuilder::new()
                        .description(*description)
                        .content("application/json", content)
                        .build();
                    let told = &mut operation.responses.responses;
                    told.entry((*status).to_owned()).or_insert(RefOr::T(response));
                }
            }
        }
    }
}

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
