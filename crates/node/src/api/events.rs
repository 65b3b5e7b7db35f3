//! Server-sent events: what happens, as it happens.

#![allow(unused_qualifications, reason = "utoipa's attribute writes them")]

use std::collections::{BTreeSet, VecDeque};
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::http::StatusCode;
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream::unfold;
use qcn_ledger::{Received, Reception};
use qcn_light::verify_evidence;
use qcn_types::{Address, Height, Receipt, ReceiptKind, ShardId, TransactionId};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{OwnedSemaphorePermit, watch};
use utoipa::IntoParams;

use super::bodies::{OutcomeBody, Params, ReshardingBody, digest, quoted, refs};
use super::problem::{Problem, ProblemBody};
use super::shared::{OfShard, Shared, ask};
use crate::proof_document::offence_text;
use crate::view::Notice;

/// How often a comment keeps the connection open.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// How long a client waits before it subscribes again, after a stream has ended.
const RETRY: Duration = Duration::from_millis(500);

/// The most addresses of one subscription.
const MAX_FOLLOWED_ACCOUNTS: usize = 32;

/// Which events.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub struct EventsQuery {
    /// Any of `blocks`, `checkpoints`, `transactions`, `evidence`, `peers`, by commas; all but
    /// `blocks` unless told.
    pub topics: Option<String>,
    /// Of transactions only this one; told at once if it is executed already.
    pub id: Option<String>,
    /// Of transactions only those that this address sends or is paid by, or these, by commas.
    pub address: Option<String>,
}

#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
struct Topics {
    blocks: bool,
    checkpoints: bool,
    transactions: bool,
    evidence: bool,
    peers: bool,
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum Filter {
    All,
    One(TransactionId),
    Accounts(BTreeSet<Address>),
}

impl Filter {
    fn wants(&self, receipt: &Receipt) -> bool {
        match self {
            Self::All => true,
            Self::One(wanted) => receipt.transaction == *wanted,
            Self::Accounts(addresses) => {
                addresses.contains(&receipt.sender) || addresses.contains(&receipt.receiver)
            }
        }
    }
}

/// A subscription. Its permit and receiver go when the client does.
struct Subscription {
    shared: Arc<Shared>,
    notices: Receiver<Notice>,
    closing: watch::Receiver<bool>,
    /// Whether another instance is shown.
    ended: watch::Receiver<bool>,
    topics: Topics,
    filter: Filter,
    waiting: VecDeque<Event>,
    _permit: OwnedSemaphorePermit,
}

/// What happens in a shard, as it happens: `about` (the first: the shard and the epoch that all of it is
/// about, its rounds and places in the committee too), `block`, `executed`, `skipped`, `certified`,
/// `transaction`, `arrival` (a transfer from another shard, or one that came back), `evidence`, `isolated`, `peer`,
/// `missed` if the subscriber was too slow, and, whatever the topics, `epoch` when the network is in
/// another one. A stream ends when its shard has a new committee or is not here any more: subscribe again.
#[utoipa::path(get, path = "/v1/events", tag = "node", params(EventsQuery), responses(
    (status = 200, body = String, content_type = "text/event-stream"),
    (status = 400, body = ProblemBody), (status = 429, body = ProblemBody)))]
pub async fn events(
    OfShard(shared): OfShard,
    Params(query): Params<EventsQuery>,
) -> Result<Response, Problem> {
    let topics = topics(query.topics.as_deref())?;
    let filter = filter(&query)?;
    let Ok(permit) = Arc::clone(&shared.hub().subscribers).try_acquire_owned() else {
        let message = "as many subscribers as the node serves follow it already";
        let remedy = "end another subscription, or poll /v1/checkpoints instead";
        let status = StatusCode::TOO_MANY_REQUESTS;
        return Err(Problem::new(status, "too_many_subscribers", message, remedy));
    };
    // Subscribed before the archive is asked, so that nothing falls in between.
    let mut subscription = Subscription {
        notices: shared.view.subscribe(),
        closing: shared.hub().closing.clone(),
        ended: shared.ended(),
        // The stream ends with its epoch, which is over in a moment.
        waiting: VecDeque::from([Event::default().retry(RETRY)]),
        shared,
        topics,
        filter,
        _permit: permit,
    };
    subscription.tell_what_it_is_about();
    subscription.tell_what_was_executed_before().await?;
    let stream = unfold(subscription, |mut subscription| async {
        let event = subscription.next().await?;
        Some((Ok::<_, Infallible>(event), subscription))
    });
    Ok(Sse::new(stream).keep_alive(KeepAlive::new().interval(KEEP_ALIVE)).into_response())
}

fn topics(text: Option<&str>) -> Result<Topics, Problem> {
    let Some(text) = text else {
        return Ok(Topics {
            blocks: false,
            checkpoints: true,
            transactions: true,
            evidence: true,
            peers: true,
        });
    };
    let mut topics = Topics::default();
    for word in text.split(',') {
        let topic = match word.trim() {
            "blocks" => &mut topics.blocks,
            "checkpoints" => &mut topics.checkpoints,
            "transactions" => &mut topics.transactions,
            "evidence" => &mut topics.evidence,
            "peers" => &mut topics.peers,
            other => {
                let message = format!("{} is no topic", quoted(other));
                let remedy = "use blocks, checkpoints, transactions, evidence or peers";
                return Err(Problem::malformed(message, remedy));
            }
        };
        *topic = true;
    }
    Ok(topics)
}

fn filter(query: &EventsQuery) -> Result<Filter, Problem> {
    match (&query.id, &query.address) {
        (None, None) => Ok(Filter::All),
        (Some(id), None) => Ok(Filter::One(TransactionId(digest(id)?))),
        (None, Some(list)) => {
            let addresses: BTreeSet<Address> =
                list.split(',').map(|one| digest(one).map(Address)).collect::<Result<_, _>>()?;
            if addresses.len() > MAX_FOLLOWED_ACCOUNTS {
                let message = format!("{} addresses are too many", addresses.len());
                let remedy = format!("give up to {MAX_FOLLOWED_ACCOUNTS}, or subscribe twice");
                return Err(Problem::malformed(message, remedy));
            }
            Ok(Filter::Accounts(addresses))
        }
        (Some(_), Some(_)) => {
            Err(Problem::malformed("id and address exclude each other", "give one of them"))
        }
    }
}

impl Subscription {
    /// The next event; nothing when the node stops, or shows another instance.
    async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.waiting.pop_front() {
                return Some(event);
            }
            let notice = tokio::select! {
                // What the instance said before it ended is told.
                biased;
                notice = self.notices.recv() => notice,
                _ = self.closing.wait_for(|closing| *closing) => return None,
                _ = self.ended.wait_for(|ended| *ended) => return None,
            };
            match notice {
                Ok(notice) => self.take(&notice),
                Err(RecvError::Lagged(count)) => self.push("missed", &json!({ "count": count })),
                Err(RecvError::Closed) => return None,
            }
        }
    }

    fn tell_what_it_is_about(&mut self) {
        let (shard, epoch) = (self.shared.view.shard(), self.shared.epoch());
        self.push("about", &json!({ "shard": shard.0, "epoch": epoch.0 }));
    }

    async fn tell_what_was_executed_before(&mut self) -> Result<(), Problem> {
        let Filter::One(id) = self.filter else {
            return Ok(());
        };
        let shared = Arc::clone(&self.shared);
        let record = ask(shared, move |shared| Ok(shared.archive.transaction(id)?)).await?;
        if let Some(record) = record {
            self.push("transaction", &transaction(id, record.height, record.outcome.into()));
        }
        Ok(())
    }

    fn take(&mut self, notice: &Notice) {
        if self.topics.transactions {
            self.take_transactions(notice);
        }
        let Topics { blocks, checkpoints, evidence, peers, .. } = self.topics;
        match notice {
            Notice::Block { block, transactions } if blocks => {
                let digest = block.digest.to_string();
                let (round, author) = (block.round.0, block.author.0);
                let light = json!({ "round": round, "author": author, "digest": digest,
                    "transactions": transactions });
                self.push("block", &json!({ "block": light }));
            }
            Notice::Executed { height, checkpoint, time_ms, leaders, blocks, outcomes, .. }
                if checkpoints =>
            {
                let body = json!({ "height": height.0, "digest": checkpoint.to_string(),
                    "leaders": refs(leaders), "blocks": refs(blocks),
                    "transactions": outcomes.len(), "time_unix_ms": time_ms });
                self.push("executed", &body);
            }
            Notice::Skipped { round, author } if checkpoints => {
                self.push("skipped", &json!({ "round": round.0, "author": author.0 }));
            }
            Notice::Certified { height, checkpoint } if checkpoints => {
                let digest = checkpoint.to_string();
                self.push("certified", &json!({ "height": height.0, "digest": digest }));
            }
            Notice::Evidence(proof) if evidence => {
                let offence = verify_evidence(proof, self.shared.view.keys());
                let offence = offence.map(offence_text).unwrap_or_default();
                let body = json!({ "accused": proof.accused().0, "offence": offence });
                self.push("evidence", &body);
            }
            Notice::Isolated(validator) if evidence => {
                self.push("isolated", &json!({ "index": validator.0 }));
            }
            Notice::Epoch { epoch, reshardings } => {
                let changes: Vec<ReshardingBody> = reshardings.iter().map(Into::into).collect();
                self.push("epoch", &json!({ "epoch": epoch.0, "reshardings": changes }));
            }
            Notice::Peer { validator, connected } if peers => {
                self.push("peer", &json!({ "index": validator.0, "connected": connected }));
            }
            _ => {}
        }
    }

    fn take_transactions(&mut self, notice: &Notice) {
        let Notice::Executed { height, outcomes, parties, received, .. } = notice else {
            return;
        };
        let mut told = Vec::new();
        for (position, (id, outcome)) in outcomes.iter().enumerate() {
            let wanted = match &self.filter {
                Filter::All => true,
                Filter::One(wanted) => id == wanted,
                Filter::Accounts(addresses) => parties.get(position).is_some_and(|(from, to)| {
                    addresses.contains(from) || to.is_some_and(|to| addresses.contains(&to))
                }),
            };
            if wanted {
                told.push(transaction(*id, *height, (*outcome).into()));
            }
        }
        for body in told {
            self.push("transaction", &body);
        }
        let shard = self.shared.view.shard();
        let wanted = received.iter().filter(|one| self.filter.wants(&one.receipt));
        let arrivals: Vec<Value> = wanted.map(|one| arrival(one, shard, *height)).collect();
        for body in arrivals {
            self.push("arrival", &body);
        }
    }

    fn push(&mut self, name: &str, body: &impl Serialize) {
        // JSON has no line breaks of its own, which is all that an event refuses.
        let text = serde_json::to_string(body).unwrap_or_default();
        self.waiting.push_back(Event::default().event(name).data(text));
    }
}

fn transaction(id: TransactionId, height: Height, outcome: OutcomeBody) -> Value {
    json!({ "id": id.to_string(), "height": height.0, "outcome": outcome })
}

fn arrival(received: &Received, shard: ShardId, height: Height) -> Value {
    let Received { source, receipt, reception } = received;
    let status = match (receipt.kind, reception) {
        (ReceiptKind::Transfer, Reception::Credited) => "arrived",
        (ReceiptKind::Bounce, Reception::Credited) => "returned",
        (_, Reception::Bounced(_)) => "bounced",
        (_, Reception::Forwarded(_)) => "forwarded",
        (_, Reception::Burned) => "burned",
    };
    json!({ "id": receipt.transaction.to_string(), "shard": shard.0, "height": height.0,
        "source": source.0, "status": status })
}
