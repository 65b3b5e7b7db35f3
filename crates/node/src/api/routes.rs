//! Every path that is served.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::StatusCode;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, any, get, post};

use super::hosts::{self, Hosts};
use super::problem::Problem;
use super::shared::{Hub, SHARD_PARAMETER};
use super::{
    accounts, beacon, chain, documentation, epochs, events, node, receipt_proof, rpc, search,
    shards, submit, transactions,
};

/// What is answered also to who gets no ordinary connection.
const PROBES: [&str; 3] = ["/health", "/ready", "/metrics"];

/// The paths about the node itself, each documented in `/openapi.json`.
pub fn node_routes() -> Vec<(&'static str, MethodRouter<Arc<Hub>>)> {
    vec![
        ("/health", get(node::health)),
        ("/ready", get(node::ready)),
        ("/metrics", get(node::metrics)),
        ("/openapi.json", get(documentation::openapi)),
        ("/v1/peers", get(node::peers)),
        ("/v1/genesis", get(node::genesis)),
        ("/v1/shards", get(shards::shards)),
        ("/v1/beacon", get(beacon::beacon)),
        ("/v1/epochs", get(epochs::epochs)),
    ]
}

/// The paths about a shard, each documented in `/openapi.json`. They are served for the first shard
/// of the node as they stand here, and for each of its shards under `/v1/shards/{shard}`. Which
/// these are is looked up for each request.
pub fn routes(batch_body_bytes: usize) -> Vec<(&'static str, MethodRouter<Arc<Hub>>)> {
    let batch = post(submit::submit_batch).layer(DefaultBodyLimit::max(batch_body_bytes));
    vec![
        ("/v1/status", get(node::status)),
        ("/v1/validators", get(node::validators)),
        ("/v1/committees/{epoch}", get(epochs::committee)),
        ("/v1/checkpoints", get(chain::checkpoints)),
        ("/v1/checkpoints/{height}", get(chain::checkpoint)),
        ("/v1/checkpoints/{height}/proof", get(chain::checkpoint_proof)),
        ("/v1/blocks", get(chain::blocks)),
        ("/v1/blocks/{digest}", get(chain::block)),
        ("/v1/evidence", get(chain::evidence)),
        ("/v1/evidence/{digest}/proof", get(chain::evidence_proof)),
        ("/v1/transactions", get(transactions::transactions).post(submit::submit)),
        ("/v1/transactions/batch", batch),
        ("/v1/transactions/{id}", get(transactions::transaction)),
        ("/v1/transactions/{id}/proof", get(transactions::transaction_proof)),
        ("/v1/transactions/{id}/receipt-proof", get(receipt_proof::receipt_proof)),
        ("/v1/accounts/{address}", get(accounts::account)),
        ("/v1/accounts/{address}/proof", get(accounts::account_proof)),
        ("/v1/accounts/{address}/transactions", get(transactions::account_transactions)),
        ("/v1/supply", get(accounts::supply)),
        ("/v1/search", get(search::search)),
        ("/v1/events", get(events::events)),
        ("/rpc", post(rpc::rpc)),
    ]
}

/// The API and the explorer on one router.
pub fn router(hub: Arc<Hub>) -> Router {
    let limits = hub.config.limits;
    let known = Hosts::new(&hub.config.hosts);
    let mut router = Router::new();
    for (path, methods) in node_routes() {
        router = router.route(path, methods.fallback(node::wrong_method));
    }
    for (path, methods) in routes(limits.batch_body_bytes) {
        let methods = methods.fallback(node::wrong_method);
        let below = path.strip_prefix("/v1").unwrap_or(path);
        router = router.route(path, methods.clone());
        router = router.route(&format!("/v1/shards/{{{SHARD_PARAMETER}}}{below}"), methods);
    }
    let router = router.route(OF_A_SHARD, any(shards::elsewhere)).with_state(hub);
    router
        .merge(crate::explorer::router())
        .fallback(node::not_found)
        .layer(DefaultBodyLimit::max(limits.body_bytes))
        .layer(middleware::from_fn_with_state(limits.request_timeout, in_time))
        .layer(middleware::from_fn_with_state(known, hosts::only_known))
}

/// Everything below a shard that is not a path of one.
const OF_A_SHARD: &str = "/v1/shards/{shard}/{*rest}";

/// The same router for connections of the reserve: it answers the probes and nothing else.
pub fn probes_only(router: Router) -> Router {
    router.layer(middleware::from_fn(refuse_all_but_probes))
}

async fn refuse_all_but_probes(request: Request, next: Next) -> Response {
    if PROBES.contains(&request.uri().path()) {
        return next.run(request).await;
    }
    let message = "the node serves as many connections as it may, in all or from your address";
    let remedy = "close some, or try again later; /health, /ready and /metrics are answered still";
    let status = StatusCode::SERVICE_UNAVAILABLE;
    Problem::new(status, "too_many_connections", message, remedy).into_response()
}

/// Ends what takes too long, be it the client's body or the answer.
async fn in_time(State(limit): State<Duration>, request: Request, next: Next) -> Response {
    match tokio::time::timeout(limit, next.run(request)).await {
        Ok(response) => response,
        Err(_) => {
            let message = format!("the request took longer than {} s", limit.as_secs());
            let remedy = "send its body faster, or ask for less at once";
            Problem::new(StatusCode::REQUEST_TIMEOUT, "timeout", message, remedy).into_response()
        }
    }
}
