//! Server-sent events: a stream of lines, read one event at a time.

use std::io::{self, BufRead};

use anyhow::{Context as _, bail};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::responses::Outcome;

/// The longest line and the longest event that is read.
const EVENT_BYTES_MAX: usize = 1 << 20;

/// One event as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawEvent {
    /// Its kind; `message` where the stream does not say.
    pub name: String,
    /// Its lines of data, joined by line feeds.
    pub text: String,
}

/// What a node tells as it happens, as far as a client uses it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NodeEvent {
    /// A checkpoint was executed.
    Executed(Executed),
    /// A checkpoint, and all below it, is final.
    Certified(Certified),
    /// A transaction was executed.
    Transaction(TransactionExecuted),
    /// A receipt of another shard was taken in.
    Arrival(Arrival),
    /// The subscriber was too slow for so many events.
    Missed(u64),
    /// Something else.
    Other,
}

/// A checkpoint was executed.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Executed {
    /// Its height.
    pub height: u64,
    /// How many transactions it has.
    pub transactions: u64,
}

/// A checkpoint is final.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Certified {
    /// Its height.
    pub height: u64,
}

/// A transaction was executed.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct TransactionExecuted {
    /// Its id.
    pub id: String,
    /// The height of the checkpoint that has it.
    pub height: u64,
    /// What became of it.
    pub outcome: Outcome,
}

/// A receipt of another shard was taken in.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Arrival {
    /// The id of the transaction that it comes from.
    pub id: String,
    /// The height of the checkpoint that has it.
    pub height: u64,
    /// What became of it: `arrived`, `returned`, `bounced`, `forwarded` or `burned`.
    pub status: String,
}

#[derive(Deserialize)]
struct MissedBody {
    count: u64,
}

impl NodeEvent {
    /// Reads an event; an unknown kind is [`Self::Other`].
    pub fn parse(event: &RawEvent) -> anyhow::Result<Self> {
        match event.name.as_str() {
            "executed" => Ok(Self::Executed(body(event)?)),
            "certified" => Ok(Self::Certified(body(event)?)),
            "transaction" => Ok(Self::Transaction(body(event)?)),
            "arrival" => Ok(Self::Arrival(body(event)?)),
            "missed" => Ok(Self::Missed(body::<MissedBody>(event)?.count)),
            _ => Ok(Self::Other),
        }
    }
}

fn body<T: DeserializeOwned>(event: &RawEvent) -> anyhow::Result<T> {
    serde_json::from_str(&event.text).with_context(|| {
        let name = crate::output::harmless(&event.name);
        format!("the node's event `{name}` is not one of this version")
    })
}

/// The events of a stream. Comments are skipped; a stream that ends inside an event drops it.
///
/// Lines end with LF or CRLF. An error is the last item.
pub struct Events<R> {
    reader: R,
    ended: bool,
}

impl<R: BufRead> Events<R> {
    /// Reads from a stream.
    pub fn new(reader: R) -> Self {
        Self { reader, ended: false }
    }

    fn read_event(&mut self) -> anyhow::Result<Option<RawEvent>> {
        let mut name = String::new();
        let mut text: Option<String> = None;
        while let Some(line) = self.read_line()? {
            if line.is_empty() {
                let Some(text) = text.take() else {
                    // An event without data is none.
                    name.clear();
                    continue;
                };
                let name = if name.is_empty() { "message".to_owned() } else { name };
                return Ok(Some(RawEvent { name, text }));
            }
            let (field, value) = line.split_once(':').unwrap_or((&line, ""));
            let value = value.strip_prefix(' ').unwrap_or(value);
            match field {
                "event" => value.clone_into(&mut name),
                "data" => match &mut text {
                    None => text = Some(value.to_owned()),
                    Some(text) => {
                        if text.len() + value.len() > EVENT_BYTES_MAX {
                            bail!("an event of the node has more than {EVENT_BYTES_MAX} bytes");
                        }
                        text.push('\n');
                        text.push_str(value);
                    }
                },
                // Comments have an empty field; ids and retries are of no use here.
                _ => {}
            }
        }
        Ok(None)
    }

    /// The next line without its end, or nothing at the end of the stream.
    fn read_line(&mut self) -> anyhow::Result<Option<String>> {
        let mut bytes = Vec::new();
        let mut limited = io::Read::take(&mut self.reader, EVENT_BYTES_MAX as u64);
        limited.read_until(b'\n', &mut bytes)?;
        if bytes.pop_if(|last| *last == b'\n').is_none() {
            if bytes.len() == EVENT_BYTES_MAX {
                bail!("a line of the node's events has more than {EVENT_BYTES_MAX} bytes");
            }
            return Ok(None);
        }
        bytes.pop_if(|last| *last == b'\r');
        let line = String::from_utf8(bytes).context("an event of the node is not UTF-8 text")?;
        Ok(Some(line))
    }
}

impl<R: BufRead> Iterator for Events<R> {
    type Item = anyhow::Result<RawEvent>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let event = self.read_event().transpose();
        self.ended = !matches!(event, Some(Ok(_)));
        event
    }
}

#[cfg(test)]
mod tests;
