//! Following one transaction: taken in, executed, final.

use std::time::{Duration, Instant};

use indicatif::ProgressBar;
use serde_json::{Value, json};

use super::Signed;
use crate::client::responses::{Arrival, Outcome, TransactionAnswer};
use crate::client::{Client, ClientError};
use crate::output::{harmless, milliseconds, print_line};

/// How long to wait before the node is asked again: it grows from the first to the last.
const POLL_FIRST: Duration = Duration::from_millis(5);
const POLL_LAST: Duration = Duration::from_millis(100);
/// How often the spinner turns.
const TICK: Duration = Duration::from_millis(100);

/// What became of a transaction so far, told as it happens.
#[derive(Debug)]
pub struct Progress {
    id: String,
    nonce: u64,
    fee: u64,
    sender: String,
    /// Whether lines are printed; otherwise one object is at the end.
    lines: bool,
    spinner: ProgressBar,
    status: &'static str,
    height: Option<u64>,
    outcome: Option<Outcome>,
    reason: Option<String>,
    taken: Option<Duration>,
    executed: Option<Duration>,
    finalized: Option<Duration>,
    /// How it went on in another shard, and since when it is known to be final there.
    arrival: Option<Arrival>,
    arrived: Option<Duration>,
}

impl Progress {
    /// Nothing has happened yet.
    pub fn new(signed: &Signed, lines: bool) -> Self {
        let body = &signed.transaction.body;
        Self {
            id: body.id().to_string(),
            nonce: body.nonce,
            fee: body.fee.0,
            sender: body.sender.to_string(),
            lines,
            spinner: if lines { ProgressBar::new_spinner() } else { ProgressBar::hidden() },
            status: "unknown",
            height: None,
            outcome: None,
            reason: None,
            taken: None,
            executed: None,
            finalized: None,
            arrival: None,
            arrived: None,
        }
    }

    /// The node refused it.
    pub fn refused(&mut self, reason: &str) {
        self.status = "refused";
        self.reason = Some(harmless(reason));
    }

    /// Whether the node refused it.
    pub fn is_refused(&self) -> bool {
        self.status == "refused"
    }

    /// The node took it in.
    pub fn taken(&mut self, after: Duration) -> anyhow::Result<()> {
        self.status = "pending";
        self.taken = Some(after);
        let (id, nonce, fee) = (&self.id, self.nonce, self.fee);
        let time = milliseconds(after);
        self.line(&format!("submitted  {id} (nonce {nonce}, fee {fee}) after {time}"))
    }

    /// Takes in what the node says now. True once nothing more will happen.
    fn update(&mut self, answer: TransactionAnswer, after: Duration) -> anyhow::Result<bool> {
        if answer.status == "refused" {
            let reason = answer.refusal.unwrap_or_else(|| "without a reason".to_owned());
            self.refused(&reason);
            return Ok(true);
        }
        let is_final = answer.status == "final";
        if !is_final && answer.status != "executed" {
            return Ok(false);
        }
        self.height = answer.height;
        self.outcome = answer.outcome;
        let place = answer.height.map(|height| format!(" at height {height}")).unwrap_or_default();
        let outcome = self.outcome.as_ref().map(ToString::to_string).unwrap_or_default();
        let time = milliseconds(after);
        if self.executed.is_none() {
            self.executed = Some(after);
            self.status = "executed";
            self.line(&format!("executed   {outcome}{place} after {time}"))?;
        }
        if is_final && self.finalized.is_none() {
            self.finalized = Some(after);
            self.status = "final";
            self.line(&format!("final      {outcome}{place} after {time}"))?;
        }
        match answer.arrival {
            None => Ok(is_final),
            Some(arrival) => Ok(self.go_on(arrival, after)? && is_final),
        }
    }

    /// Takes in how a transfer went on in another shard. True once nothing more will be known.
    fn go_on(&mut self, arrival: Arrival, after: Duration) -> anyhow::Result<bool> {
        let is_known = arrival.is_final || arrival.status == "elsewhere";
        if is_known && self.arrived.is_none() {
            self.arrived = Some(after);
            let word = harmless(&arrival.status.replace('_', " "));
            let line = match &arrival.ask {
                Some(hosts) => format!(
                    "{word:<10} it goes to shard {}, which this node does not host; ask {}",
                    arrival.shard,
                    harmless(hosts)
                ),
                None => format!("{word:<10} {arrival} after {}", milliseconds(after)),
            };
            self.line(&line)?;
        }
        self.arrival = Some(arrival);
        Ok(is_known)
    }

    /// What a transfer is that is final where it was sent, and not arrived.
    fn missing(&self) -> Option<String> {
        let arrival = self.arrival.as_ref()?;
        match arrival.status.as_str() {
            "arrived" if arrival.is_final => None,
            "elsewhere" => None,
            _ => Some(arrival.to_string()),
        }
    }

    fn line(&self, text: &str) -> anyhow::Result<()> {
        if self.lines { self.spinner.suspend(|| print_line(text)) } else { Ok(()) }
    }

    /// Says what went wrong, if something did. True if all is well.
    pub fn conclude(&self, no_wait: bool, timeout_seconds: u64) -> bool {
        self.spinner.finish_and_clear();
        let id = &self.id;
        match (self.status, &self.outcome) {
            ("final", Some(outcome)) if outcome.is_applied() => true,
            ("final", Some(outcome)) if outcome.is_sent() => match self.missing() {
                None => true,
                Some(state) => {
                    eprintln!(
                        "error: the transaction {id} is final in its shard and has not arrived: \
                         {state}; see `qcn query transaction {id}`"
                    );
                    false
                }
            },
            ("final", outcome) => {
                let outcome = outcome.as_ref().map(ToString::to_string).unwrap_or_default();
                eprintln!("error: the transaction {id} was not applied: {outcome}");
                false
            }
            ("refused", _) => {
                let reason = self.reason.as_deref().unwrap_or_default();
                eprintln!("error: the transaction {id} was refused: {reason}");
                false
            }
            (_, _) if no_wait => true,
            (status, _) => {
                eprintln!(
                    "error: the transaction {id} is {status} and not final after \
                     {timeout_seconds} s; it may still become final: see `qcn query transaction \
                     {id}`, or give a longer --timeout"
                );
                false
            }
        }
    }

    /// What became of it, for programs.
    pub fn json(&self) -> Value {
        let ms = |time: Option<Duration>| time.map(|time| time.as_micros() as f64 / 1e3);
        let outcome = self.outcome.as_ref();
        json!({
            "id": self.id,
            "sender": self.sender,
            "nonce": self.nonce,
            "fee": self.fee.to_string(),
            "status": self.status,
            "height": self.height,
            "outcome": outcome.map(|outcome| harmless(&outcome.result)),
            "reason": outcome.and_then(|outcome| outcome.reason.as_deref()).map(harmless)
                .or_else(|| self.reason.clone()),
            "submitted_ms": ms(self.taken),
            "executed_ms": ms(self.executed),
            "final_ms": ms(self.finalized),
            "arrival": self.arrival.as_ref().map(|arrival| json!({
                "shard": arrival.shard,
                "status": harmless(&arrival.status),
                "height": arrival.height,
                "final": arrival.is_final,
            })),
            "arrived_ms": ms(self.arrived),
        })
    }
}

/// Asks a node about one transaction until nothing more will happen.
pub struct Follower<'a> {
    /// The node.
    pub client: &'a Client,
    /// From when times are counted.
    pub begun: Instant,
    /// When to give up.
    pub deadline: Instant,
}

impl Follower<'_> {
    /// Follows until the transaction is final or refused, or time is up.
    pub fn run(&self, progress: &mut Progress) -> anyhow::Result<()> {
        progress.spinner.enable_steady_tick(TICK);
        let path = format!("/v1/transactions/{}", progress.id);
        let mut pause = POLL_FIRST;
        while Instant::now() < self.deadline {
            progress.spinner.set_message(progress.status);
            match self.client.get::<TransactionAnswer>(&path) {
                Ok(answer) => {
                    if progress.update(answer, self.begun.elapsed())? {
                        return Ok(());
                    }
                }
                // The node may come back before time is up.
                Err(error) if error.is_transient() => self.note(progress, &error),
                Err(error) => return Err(error.into()),
            }
            std::thread::park_timeout(pause);
            pause = (pause * 5 / 4).min(POLL_LAST);
        }
        Ok(())
    }

    fn note(&self, progress: &Progress, error: &ClientError) {
        progress.spinner.set_message(format!("{}: {error}", progress.status));
    }
}
