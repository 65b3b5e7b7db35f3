use std::io::{Read as _, Write as _};
use std::net::TcpListener;

use super::*;

#[test]
fn an_address_of_a_node_is_plain_http() {
    let parse = |text: &str| text.parse::<NodeUrl>().map(|url| url.to_string());
    assert_eq!(parse("http://127.0.0.1:8080/").as_deref(), Ok("http://127.0.0.1:8080"));
    assert_eq!(parse("http://[::1]:9").as_deref(), Ok("http://[::1]:9"));
    assert_eq!(parse("http://host/node/1/").as_deref(), Ok("http://host/node/1"));
    for wrong in ["", "127.0.0.1:8080", "ftp://host", "http://", "http://host?x=1", "http:// h"] {
        assert!(parse(wrong).is_err_and(|error| error.contains("write one as")), "{wrong}");
    }
    assert!(parse("https://host").is_err_and(|error| error.contains("tunnel")));
}

#[test]
fn what_is_worth_another_try_is_told_apart() {
    let url = || "http://host/v1/status".to_owned();
    let refused = |status| ClientError::Refused { url: url(), status, refusal: Refusal::default() };
    assert!(refused(503).is_transient() && refused(429).is_transient());
    assert!(!refused(422).is_transient() && !refused(400).is_transient());
    assert!(refused(408).is_transient(), "the node may be quicker the next time");
    assert!(ClientError::TimedOut { url: url() }.is_transient());
    assert!(!ClientError::Garbage { url: url(), found: String::new() }.is_transient());
}

/// A node that takes too long answers 408, and its core executes the transaction all the same.
#[test]
fn what_may_have_been_done_all_the_same_is_told_apart() {
    let url = || "http://host/v1/transactions".to_owned();
    let refused = |status, code: &str| {
        let refusal = Refusal { code: code.to_owned(), ..Refusal::default() };
        ClientError::Refused { url: url(), status, refusal }
    };
    for open in [refused(408, "timeout"), refused(500, "archive_failed"), refused(503, "stopped")] {
        assert!(open.leaves_open(), "{open}");
    }
    for closed in
        [refused(422, "nonce_too_low"), refused(503, "busy"), refused(429, "mempool_full")]
    {
        assert!(!closed.leaves_open(), "{closed}");
    }
    assert!(ClientError::Garbage { url: url(), found: "a proxy's page".to_owned() }.leaves_open());
    assert!(!ClientError::Unreachable { url: url(), cause: String::new() }.leaves_open());
}

#[test]
fn a_foreign_answer_is_shown_in_short() {
    assert_eq!(excerpt("  \n"), "nothing");
    assert_eq!(excerpt("<html>\u{1b}"), "`<html>\u{fffd}`");
    let long = excerpt(&"\u{e4}".repeat(500));
    assert!(long.ends_with("...`") && long.chars().count() == EXCERPT_CHARS + 5);
}

/// A node that answers so many requests with each of these, one after the other.
fn node(answers: Vec<(&'static str, &'static str)>) -> Client {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for (status, body) in answers {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 1024];
            let _ = stream.read(&mut request).unwrap();
            let length = body.len();
            write!(
                stream,
                "HTTP/1.1 {status}\r\nConnection: close\r\nContent-Length: {length}\r\n\r\n{body}"
            )
            .unwrap();
        }
    });
    Client::new(url.parse().unwrap())
}

const TOO_EARLY: (&str, &str) =
    ("503 Service Unavailable", r#"{"error":{"code":"no_certified_state","message":"not yet"}}"#);
const OTHER: (&str, &str) =
    ("503 Service Unavailable", r#"{"error":{"code":"overloaded","message":"too much"}}"#);

#[test]
fn a_node_that_has_just_started_is_asked_again_until_the_deadline() {
    let soon = || Instant::now() + Duration::from_secs(20);
    let started = node(vec![TOO_EARLY, TOO_EARLY, ("200 OK", "7")]);
    assert_eq!(started.get_certified::<u64>("/", soon()).unwrap(), 7);

    // Too late, and for another reason, it is not asked again: nobody would answer.
    let late = node(vec![TOO_EARLY]);
    let error = late.get_certified::<u64>("/", Instant::now()).unwrap_err();
    assert!(error.to_string().contains("not yet"), "{error}");
    let busy = node(vec![OTHER]);
    let error = busy.get_certified::<u64>("/", soon()).unwrap_err();
    assert!(error.to_string().contains("too much"), "{error}");
}
