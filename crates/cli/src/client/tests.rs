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
    assert!(ClientError::TimedOut { url: url() }.is_transient());
    assert!(!ClientError::Garbage { url: url(), found: String::new() }.is_transient());
}

#[test]
fn a_foreign_answer_is_shown_in_short() {
    assert_eq!(excerpt("  \n"), "nothing");
    assert_eq!(excerpt("<html>\u{1b}"), "`<html>\u{fffd}`");
    let long = excerpt(&"\u{e4}".repeat(500));
    assert!(long.ends_with("...`") && long.chars().count() == EXCERPT_CHARS + 5);
}
