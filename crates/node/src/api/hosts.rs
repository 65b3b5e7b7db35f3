//! Which names a node answers to.
//!
//! A page of any site may have its own name resolved to a node's address; to the browser both are
//! one origin then, and the page may read and drive a node that only this machine should reach
//! (DNS rebinding). The name still stands in the request: a node answers to the names it knows,
//! and to addresses, which nobody can have resolved to something else.

use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::uri::Authority;
use axum::http::{StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::bodies::quoted;
use super::problem::Problem;

/// The name that always means this machine.
const LOOPBACK_NAME: &str = "localhost";

/// The names that the operator configured.
#[derive(Clone)]
pub struct Hosts(Arc<[String]>);

impl Hosts {
    pub fn new(names: &[String]) -> Self {
        Self(names.iter().map(|name| plain(name).to_ascii_lowercase()).collect())
    }

    /// Whether a request that was sent to this name or address is for this node.
    fn know(&self, authority: &str) -> bool {
        let Ok(authority) = authority.parse::<Authority>() else {
            return false;
        };
        let host = authority.host();
        let bracketed = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
        if let Some(address) = bracketed {
            return address.parse::<Ipv6Addr>().is_ok();
        }
        let name = plain(host).to_ascii_lowercase();
        name == LOOPBACK_NAME || name.parse::<IpAddr>().is_ok() || self.0.contains(&name)
    }
}

/// A name of the DNS may end in a point, which changes nothing.
fn plain(name: &str) -> &str {
    name.strip_suffix('.').unwrap_or(name)
}

/// Refuses what was sent to a name that is not this node's.
pub async fn only_known(State(hosts): State<Hosts>, request: Request, next: Next) -> Response {
    let named = request.headers().get_all(header::HOST).iter();
    let named = named.map(|value| value.to_str().unwrap_or_default());
    // The target names one too, if it is a whole address. Without any name the request does not
    // come from a browser.
    let target = request.uri().authority().map(Authority::as_str);
    match named.chain(target).find(|name| !hosts.know(name)) {
        None => next.run(request).await,
        Some(stranger) => unknown(stranger).into_response(),
    }
}

fn unknown(name: &str) -> Problem {
    let message = format!("this node does not answer to the name {}", quoted(name));
    let remedy = "use its IP address or localhost, or add the name to hosts under [api] in the \
                  node's configuration, without the port";
    Problem::new(StatusCode::MISDIRECTED_REQUEST, "unknown_host", message, remedy)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_and_known_names_are_answered_to() {
        let hosts = Hosts::new(&["Node.example.".to_owned(), "qcn-api".to_owned()]);
        for known in [
            "localhost",
            "LocalHost:8080",
            "localhost.",
            "127.0.0.1:1",
            "192.0.2.7",
            "[::1]",
            "[2001:db8::7]:8080",
            "node.example",
            "NODE.example.:443",
            "qcn-api:8080",
        ] {
            assert!(hosts.know(known), "{known}");
        }
        for stranger in [
            "",
            "evil.example",
            "evil.example:8080",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "127.0.0.1@evil.example",
            "sub.node.example",
            "[evil.example]",
            "::1",
            "127.1",
            "evil.example/127.0.0.1",
            "qcn-api,evil.example",
        ] {
            assert!(!hosts.know(stranger), "{stranger}");
        }
    }
}
