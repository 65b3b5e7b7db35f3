//! What a page of another origin tries.

use qcn_types::encode;

use super::*;
use crate::testing::transfer;

/// A request to the node under a name, as a browser sends one.
fn called(node: &Node, request: &str) -> Answer {
    let mut stream = node.raw();
    let request = format!("{request}connection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Answer { status, text: body.to_owned() }
}

/// Given a page whose name was made to mean the node's address.
/// When it asks that node for anything,
/// then it gets nothing but how the operator would let a name in.
#[test]
fn a_name_that_is_not_the_nodes_is_refused() {
    let node = Node::new();
    for path in ["/", "/v1/status", "/rpc", "/metrics", "/nowhere", "/explorer/main.js"] {
        let answer = called(&node, &format!("GET {path} HTTP/1.1\r\nhost: evil.example:8080\r\n"));
        assert_eq!(answer.code(), (421, "unknown_host".to_owned()), "{path}");
        assert!(answer.text.contains("evil.example") && answer.text.contains("hosts under [api]"));
    }
    for strange in [
        "GET /v1/status HTTP/1.1\r\nhost:\r\n",
        "GET /v1/status HTTP/1.1\r\nhost: localhost\r\nhost: evil.example\r\n",
        "GET http://evil.example/v1/status HTTP/1.1\r\nhost: localhost\r\n",
    ] {
        let answer = called(&node, strange);
        assert!([400, 421].contains(&answer.status), "{strange}: {}", answer.text);
    }
}

#[test]
fn addresses_and_configured_names_are_answered_to() {
    let node = Node::new();
    for host in ["localhost", "127.0.0.1:80", "[::1]:8080", "192.0.2.1", "Node.Example:8080"] {
        let answer = called(&node, &format!("GET /v1/status HTTP/1.1\r\nhost: {host}\r\n"));
        assert_eq!(answer.status, 200, "{host}: {}", answer.text);
    }
    let answer = called(&node, "GET /health HTTP/1.1\r\n");
    assert_eq!(answer.status, 200, "no browser sends that: {}", answer.text);
}

/// A browser asks before it sends these types elsewhere, and is not answered; the types that it
/// sends without asking are refused.
#[test]
fn a_body_needs_a_type_that_no_page_sends_unasked() {
    let node = Node::new();
    let bytes = encode(&transfer(&HISTORY.accounts[0], 2, address(1), 5));
    let call = br#"{"jsonrpc":"2.0","id":1,"method":"qcn_status"}"#;
    let unasked = ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""];
    for kind in unasked {
        for path in ["/v1/transactions", "/v1/transactions/batch", "/rpc"] {
            let answer = node.post(path, kind, call);
            assert_eq!(answer.code(), (415, "wrong_media_type".to_owned()), "{path} as {kind:?}");
            assert!(answer.text.contains("Content-Type: application/json"), "{}", answer.text);
        }
    }
    let untyped = "POST /rpc HTTP/1.1\r\nhost: localhost\r\ncontent-length: 0\r\n";
    assert_eq!(called(&node, untyped).code().0, 415);
    let answer = node.post("/rpc", "application/octet-stream", call);
    assert_eq!(answer.code(), (415, "wrong_media_type".to_owned()));

    for kind in ["application/json", "Application/JSON; charset=utf-8"] {
        assert_eq!(node.post("/rpc", kind, call).status, 200, "{kind}");
    }
    let answer = node.post("/v1/transactions", "application/octet-stream", &bytes);
    assert_eq!(answer.status, 202, "{}", answer.text);
}
