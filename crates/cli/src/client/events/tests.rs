use std::io::BufReader;

use super::*;

/// Gives its bytes one at a time: every read is split.
struct Drip<'a>(&'a [u8]);

impl io::Read for Drip<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let (Some((first, rest)), Some(place)) = (self.0.split_first(), buffer.first_mut()) else {
            return Ok(0);
        };
        *place = *first;
        self.0 = rest;
        Ok(1)
    }
}

fn read(stream: &str) -> Vec<RawEvent> {
    let whole: Vec<RawEvent> = Events::new(stream.as_bytes()).map(Result::unwrap).collect();
    let dripped = Events::new(BufReader::with_capacity(1, Drip(stream.as_bytes())));
    assert_eq!(whole, dripped.map(Result::unwrap).collect::<Vec<_>>(), "split reads change it");
    whole
}

fn event(name: &str, text: &str) -> RawEvent {
    RawEvent { name: name.to_owned(), text: text.to_owned() }
}

#[test]
fn events_are_read_whatever_their_line_ends_and_splits() {
    let stream = ": hello\nevent: certified\ndata: {\"height\":3}\n\n";
    let expected = [event("certified", "{\"height\":3}")];
    assert_eq!(read(stream), expected);
    assert_eq!(read(&stream.replace('\n', "\r\n")), expected);
}

#[test]
fn comments_unknown_fields_and_empty_events_are_skipped() {
    let stream = ":\n: keep-alive\n\nid: 7\nretry: 10\n\nevent: lost\n\ndata:a\ndata\ndata:  b\n\n";
    assert_eq!(read(stream), [event("message", "a\n\n b")]);
}

#[test]
fn a_stream_that_ends_inside_an_event_drops_it() {
    assert_eq!(read("data: a\n\ndata: b\n"), [event("message", "a")]);
    assert_eq!(read("data: a\n\ndata: b"), [event("message", "a")]);
    assert_eq!(read(""), []);
}

#[test]
fn what_cannot_be_read_ends_the_stream_with_an_error() {
    let endless = format!("data: {}", "x".repeat(EVENT_BYTES_MAX));
    for stream in [endless.as_bytes(), b"data: \xff\n\n", b"data: a\xff\n\ndata: b\n\n"] {
        let mut events = Events::new(stream);
        assert!(events.next().unwrap().is_err());
        assert!(events.next().is_none());
    }
}

#[test]
fn the_events_of_a_node_are_understood() {
    let parse = |name: &str, text: &str| NodeEvent::parse(&event(name, text)).unwrap();
    assert_eq!(parse("missed", "{\"count\":9}"), NodeEvent::Missed(9));
    assert_eq!(
        parse("executed", "{\"height\":4,\"digest\":\"00\",\"transactions\":2}"),
        NodeEvent::Executed(Executed { height: 4, transactions: 2 })
    );
    let failed =
        "{\"id\":\"ab\",\"height\":4,\"outcome\":{\"result\":\"failed\",\"reason\":\"r\"}}";
    let NodeEvent::Transaction(executed) = parse("transaction", failed) else {
        panic!("a transaction event");
    };
    assert_eq!(executed.outcome.to_string(), "failed: r");
    assert_eq!(parse("newer", "anything"), NodeEvent::Other);
    let error = NodeEvent::parse(&event("certified", "{}")).unwrap_err();
    assert!(error.to_string().contains("`certified`"));
}
