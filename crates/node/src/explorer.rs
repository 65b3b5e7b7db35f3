//! The explorer page.

use axum::Router;
use axum::response::Html;
use axum::routing::get;

/// Serves the page at `/`.
pub fn router() -> Router {
    Router::new().route("/", get(|| async { Html("<!doctype html><title>qcn</title>") }))
}
