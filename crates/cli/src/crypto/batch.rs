//! Checks a stream of signatures: JSON Lines in, JSON Lines out, in order.
//!
//! Lines are dealt to the workers in turn and the answers are collected in the
//! same turn, which keeps the order without numbering anything. All queues are
//! bounded, so memory is bounded however long the stream is; and an answer is
//! written as soon as it is there, so a program can converse line by line.

use std::io::{self, BufRead, Read as _, Write};
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};
use std::thread;

use qcn_crypto::{HexError, Scheme, SignatureError, from_hex, to_hex, verify_raw};
use serde::{Deserialize, Serialize};

/// Longest line that is read; the longest signature takes 59,584 digits of it.
pub const MAX_LINE_BYTES: usize = 16 << 20;

/// Lines that wait for one worker.
const QUEUE_LINES: usize = 8;

/// Most workers, however many cores there are.
const MAX_WORKERS: usize = 16;

/// Answers every line of `input` by one line of `output`.
pub fn answer_all(
    input: impl BufRead,
    output: impl Write + Send,
    workers: usize,
) -> io::Result<()> {
    let workers = workers.clamp(1, MAX_WORKERS);
    thread::scope(|scope| {
        let (line_senders, answer_receivers): (Vec<_>, Vec<_>) = (0..workers)
            .map(|_| {
                let (line_sender, lines) = sync_channel(QUEUE_LINES);
                let (answers, answer_receiver) = sync_channel(QUEUE_LINES);
                scope.spawn(move || answer_lines(&lines, &answers));
                (line_sender, answer_receiver)
            })
            .unzip();
        let writer = scope.spawn(move || write_answers(output, &answer_receivers));
        let dealt = deal_lines(input, line_senders);
        let written = match writer.join() {
            Ok(written) => written,
            Err(panic) => std::panic::resume_unwind(panic),
        };
        dealt.and(written)
    })
}

/// One line of input, or as much as is kept of it.
enum Line {
    Whole { number: u64, bytes: Vec<u8> },
    TooLong { number: u64 },
}

/// Deals lines to the workers until the input ends or the output is gone.
fn deal_lines(mut input: impl BufRead, workers: Vec<SyncSender<Line>>) -> io::Result<()> {
    for (number, worker) in (1..).zip(workers.iter().cycle()) {
        let Some(line) = read_line(&mut input, number)? else { break };
        if worker.send(line).is_err() {
            break;
        }
    }
    Ok(())
}

/// Reads one line without its end, keeping no more than [`MAX_LINE_BYTES`] of it.
fn read_line(input: &mut impl BufRead, number: u64) -> io::Result<Option<Line>> {
    let mut bytes = Vec::new();
    let limit = MAX_LINE_BYTES as u64 + 1;
    if input.by_ref().take(limit).read_until(b'\n', &mut bytes)? == 0 {
        return Ok(None);
    }
    if bytes.last() == Some(&b'\n') {
        bytes.pop();
    } else if bytes.len() > MAX_LINE_BYTES {
        input.skip_until(b'\n')?;
        return Ok(Some(Line::TooLong { number }));
    }
    Ok(Some(Line::Whole { number, bytes }))
}

fn answer_lines(lines: &Receiver<Line>, answers: &SyncSender<String>) {
    for line in lines {
        if answers.send(answer(&line)).is_err() {
            return;
        }
    }
}

/// Collects one answer from each worker in turn, until the next in turn has none left.
fn write_answers(mut output: impl Write, workers: &[Receiver<String>]) -> io::Result<()> {
    for worker in workers.iter().cycle() {
        let answer = match worker.try_recv() {
            Ok(answer) => answer,
            Err(TryRecvError::Disconnected) => break,
            Err(TryRecvError::Empty) => {
                // Nothing to do but wait: let the reader have what there is.
                output.flush()?;
                let Ok(answer) = worker.recv() else { break };
                answer
            }
        };
        output.write_all(answer.as_bytes())?;
        output.write_all(b"\n")?;
    }
    output.flush()
}

fn answer(line: &Line) -> String {
    match line {
        Line::TooLong { number } => malformed(
            *number,
            &format!("the line is longer than {MAX_LINE_BYTES} bytes; sign a digest instead"),
        ),
        Line::Whole { number, bytes } => answer_numbered(*number, bytes),
    }
}

fn answer_numbered(number: u64, line: &[u8]) -> String {
    match Request::parse(line) {
        Ok(request) => request.verify().to_json(),
        Err(problem) => malformed(number, &problem),
    }
}

/// Answers a batch of one line: with a verdict, or an error if the line is malformed.
#[must_use]
pub fn answer_line(line: &[u8]) -> String {
    answer_numbered(1, line)
}

fn malformed(number: u64, problem: &str) -> String {
    to_line(&Malformed { error: format!("line {number}: {problem}"), line: number })
}

/// The answer to a line that is no request.
#[derive(Serialize)]
struct Malformed {
    error: String,
    line: u64,
}

/// The answer to a request.
#[derive(Serialize)]
struct Answer {
    valid: bool,
    reason: Option<String>,
}

fn to_line(answer: &impl Serialize) -> String {
    serde_json::to_string(answer).expect("strings, numbers and truth values have a JSON form")
}

/// A signature to check, with all that it is checked against.
pub struct Request {
    /// The scheme of key and signature.
    pub scheme: Scheme,
    /// The encoded public key, perhaps malformed.
    pub public_key: Vec<u8>,
    /// The message.
    pub message: Vec<u8>,
    /// The standard's context string, perhaps empty.
    pub context: Vec<u8>,
    /// The encoded signature, perhaps malformed.
    pub signature: Vec<u8>,
}

/// A request as it stands in JSON, all bytes in hexadecimal.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RequestText {
    scheme: String,
    public_key: String,
    message: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    context: Option<String>,
    signature: String,
}

impl Request {
    fn parse(line: &[u8]) -> Result<Self, String> {
        let line = line.trim_ascii();
        match line.first() {
            None => return Err("the line is blank; give one JSON object a line".to_owned()),
            // Structures would be read from arrays as well.
            Some(first) if *first != b'{' => {
                return Err("not a JSON object; give one JSON object a line".to_owned());
            }
            Some(_) => {}
        }
        let text: RequestText = serde_json::from_slice(line).map_err(|error| {
            // The line is the error's only line, and its own number stands in front.
            let problem = error.to_string();
            let problem = problem.split(" at line ").next().unwrap_or_default();
            format!(
                "{problem} at column {}; give an object with scheme, public_key, message, \
                 signature and perhaps context, all strings",
                error.column()
            )
        })?;
        Ok(Self {
            scheme: text.scheme.parse().map_err(|error| format!("{error}"))?,
            public_key: parse_member("public_key", &text.public_key)?,
            message: parse_member("message", &text.message)?,
            context: parse_member("context", text.context.as_deref().unwrap_or_default())?,
            signature: parse_member("signature", &text.signature)?,
        })
    }

    /// The request as a line for a batch.
    pub fn to_json(&self) -> String {
        let context = &self.context;
        to_line(&RequestText {
            scheme: self.scheme.to_string(),
            public_key: to_hex(&self.public_key),
            message: to_hex(&self.message),
            context: (!context.is_empty()).then(|| to_hex(context)),
            signature: to_hex(&self.signature),
        })
    }

    /// Checks the signature.
    pub fn verify(&self) -> Verdict {
        Verdict(verify_raw(
            self.scheme,
            &self.public_key,
            &self.message,
            &self.context,
            &self.signature,
        ))
    }
}

fn parse_member(name: &str, hex: &str) -> Result<Vec<u8>, String> {
    from_hex(hex).map_err(|error: HexError| format!("{name}: {error}"))
}

/// What a check found.
pub struct Verdict(Result<(), SignatureError>);

impl Verdict {
    /// Whether the signature is valid.
    pub fn is_valid(&self) -> bool {
        self.0.is_ok()
    }

    /// The verdict as one line of JSON.
    pub fn to_json(&self) -> String {
        let reason = self.0.as_ref().err().map(ToString::to_string);
        to_line(&Answer { valid: self.is_valid(), reason })
    }
}

#[cfg(test)]
mod tests;
