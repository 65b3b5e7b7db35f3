//! The explorer: one page for the browser, carried inside the binary and served by the node.
//!
//! It asks this node and nobody else, so it works offline and behind a loopback port.
//!
//! **Invariants**
//! - nothing is loaded from anywhere else, and no script or style stands inside the page: the
//!   policy of `CONTENT_SECURITY_POLICY` forbids both, whatever a hostile name may contain;
//! - a browser asks again after every restart, so an upgraded node never meets an old script;
//! - whatever the node says is shown as text, never as markup (`dom.js` has no other way).

use axum::Router;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

#[cfg(test)]
mod tests;

/// What a browser may load and run on the page: this node's own files, and nothing inline.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; \
    img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; \
    frame-ancestors 'none'";

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const SVG: &str = "image/svg+xml";

/// A file of the page.
#[derive(Clone, Copy, Debug)]
struct File {
    path: &'static str,
    content_type: &'static str,
    text: &'static str,
}

macro_rules! file {
    ($name:literal, $content_type:expr) => {
        File {
            path: concat!("/explorer/", $name),
            content_type: $content_type,
            text: include_str!(concat!("explorer/", $name)),
        }
    };
}

const PAGE: File =
    File { path: "/", content_type: HTML, text: include_str!("explorer/index.html") };

const FILES: &[File] = &[
    PAGE,
    file!("style.css", CSS),
    file!("views.css", CSS),
    file!("icon.svg", SVG),
    file!("theme.js", SCRIPT),
    file!("main.js", SCRIPT),
    file!("api.js", SCRIPT),
    file!("chain.js", SCRIPT),
    file!("dag-draw.js", SCRIPT),
    file!("dag-model.js", SCRIPT),
    file!("dag-view.js", SCRIPT),
    file!("dag.js", SCRIPT),
    file!("dom.js", SCRIPT),
    file!("epochs.js", SCRIPT),
    file!("format.js", SCRIPT),
    file!("live.js", SCRIPT),
    file!("network.js", SCRIPT),
    file!("overview.js", SCRIPT),
    file!("parts.js", SCRIPT),
    file!("search.js", SCRIPT),
    file!("shard-map.js", SCRIPT),
    file!("shard-turn.js", SCRIPT),
    file!("shards.js", SCRIPT),
    file!("transaction.js", SCRIPT),
];

/// The routes `/` and `/explorer/...`, without state: merge it into the API's router.
pub fn router() -> Router {
    FILES.iter().fold(Router::new(), |router, file| {
        router
            .route(file.path, get(move |headers: HeaderMap| async move { serve(*file, &headers) }))
    })
}

/// The file, or 304 if the browser has this very version.
fn serve(file: File, request: &HeaderMap) -> Response {
    let tag = entity_tag(file.text);
    let known = request
        .get(header::IF_NONE_MATCH)
        .and_then(|tags| tags.to_str().ok())
        .is_some_and(|tags| tags.split(',').any(|known| known.trim() == tag));
    let mut response = if known {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        ([(header::CONTENT_TYPE, file.content_type)], file.text).into_response()
    };
    let headers = response.headers_mut();
    for (name, value) in common_headers() {
        headers.insert(name, HeaderValue::from_static(value));
    }
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        headers.insert(header::ETAG, tag);
    }
    response
}

fn common_headers() -> [(HeaderName, &'static str); 6] {
    [
        (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-cache"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ]
}

/// Names a version of a file. It tells versions apart and is not a commitment.
fn entity_tag(text: &str) -> String {
    format!("\"{:08x}-{:x}\"", crc32fast::hash(text.as_bytes()), text.len())
}
