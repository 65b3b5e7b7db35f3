//! Carrying receipts from shard to shard (DESIGN section 7).
//!
//! There is one task for each lane into a shard that this node hosts, from the shards of its epoch
//! and from those of the epoch before. It asks the own instance of the destination how far the lane
//! is expected to be, counting what is on its way, and the source for what is certified beyond
//! that: the own instance, if there is one at that moment, else another validator that has a seat
//! there, over the network. What it gets is checked against the source's committee beside the core, and
//! handed to the destination. When it does so, [`pace`] decides.
//!
//! **Invariants**
//! - a lane has one question under way and one delivery being checked;
//! - an answer is taken only from whom it was asked, and once; one to a question that was never
//!   asked counts against its sender;
//! - nothing that comes from the network is fatal: what is wrong with it makes the relayer ask
//!   another validator.

mod answers;

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use qcn_shard::Expected;
use qcn_shard::pace::{self, Pace};
use qcn_types::{CommitteeKeys, Delivery, LaneId, ValidatorIndex, encode};
use tokio::sync::{oneshot, watch};

pub(crate) use self::answers::Answers;
use super::envelope::{Envelope, Found, Lane, RelayMessage};
use super::inbox::{Happening, Post};
use super::seats::Seats;
use super::stage::Stage;
use crate::api::Metrics;
use crate::transport::{Class, Transport};

/// How often a relayer looks that goes first on its lane, if it is not told sooner.
const LOOK_INTERVAL: Duration = Duration::from_millis(100);

/// How often one looks at most that goes first and has to ask another node, with one question under
/// way. The simulator has no such wait: there a relayer hears of news at once.
const DISTANT_LOOK_INTERVAL: Duration = Duration::from_millis(20);

/// How often one looks that others go before.
const PATIENT_LOOK_INTERVAL: Duration = Duration::from_millis(500);

/// How long a validator may take to answer before another one is asked.
const ANSWER_TIMEOUT: Duration = Duration::from_millis(500);

/// How long an own core may take to answer. It may be held up by its disk.
const CORE_TIMEOUT: Duration = Duration::from_secs(10);

/// An instance of this node that a lane comes from, and when it has something new.
struct Here(Post, watch::Receiver<u64>);

/// The validators of a source, where this node has no instance of it.
struct Distant {
    transport: Transport,
    answers: Arc<Answers>,
    validators: Vec<ValidatorIndex>,
    /// Which of them is asked. Each relayer begins with another one, so that one that is faulty is
    /// asked by few.
    turn: usize,
}

/// One lane into a shard of this node.
pub(crate) struct Relayer {
    lane: Lane,
    stage: Stage,
    here: Option<Here>,
    distant: Distant,
    destination: Post,
    /// Of the destination, with those of its sources.
    keys: CommitteeKeys,
    metrics: Metrics,
    pace: Pace,
    begun: Instant,
}

/// What a relayer is made of.
pub(super) struct RelayerParts<'a> {
    pub(super) seats: [&'a Seats; 2],
    pub(super) lane: LaneId,
    pub(super) own: ValidatorIndex,
    pub(super) stage: Stage,
    pub(super) transport: Transport,
    pub(super) answers: Arc<Answers>,
    pub(crate) destination: Post,
    pub(crate) keys: CommitteeKeys,
    pub(crate) metrics: Metrics,
}

impl Relayer {
    /// A relayer of the lane between two shards, or nothing without a seat in the second.
    pub(super) fn new(parts: RelayerParts<'_>) -> Option<Self> {
        let [from, to] = parts.seats;
        let lane = Lane { from: from.station(), to: to.station(), id: parts.lane };
        let sits_in_source = |member| from.seat(member).is_some();
        let numbers = [lane.id.own, lane.id.peer];
        let rank = pace::rank(numbers, to.members(), sits_in_source, parts.own)?;
        let seats_of_sources = parts.keys.seats_of_sources();
        let distant = Distant {
            transport: parts.transport,
            answers: parts.answers,
            validators: from.members().iter().copied().filter(|it| *it != parts.own).collect(),
            turn: parts.own.position(),
        };
        Some(Self {
            lane,
            stage: parts.stage,
            here: None,
            distant,
            destination: parts.destination,
            keys: parts.keys,
            metrics: parts.metrics,
            pace: Pace::new(rank, seats_of_sources),
            begun: Instant::now(),
        })
    }

    /// Carries until the task is ended, or the cores are gone.
    pub(crate) async fn run(mut self) {
        loop {
            self.rest().await;
            // Without an answer, from a core that has stopped or from another node: later.
            let _ = self.look().await;
        }
    }

    fn now_us(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_micros()).unwrap_or(u64::MAX)
    }

    /// Finds the own instance of the source, which may come and go.
    fn find_source(&mut self) {
        let hosted = self.stage.hosted(self.lane.from);
        if hosted.is_none() || self.here.is_none() {
            self.here = hosted.map(|it| Here(it.post, it.view.outgoing()));
        }
    }

    /// Waits until it is time to look again.
    async fn rest(&mut self) {
        let now = self.now_us();
        self.find_source();
        if !self.pace.is_first(now) || self.lane.from.epoch < self.lane.to.epoch {
            return tokio::time::sleep(PATIENT_LOOK_INTERVAL).await;
        }
        match &mut self.here {
            Some(Here(_, news)) => {
                let until_due = self.pace.rests_until().saturating_sub(now);
                let until_due = Duration::from_micros(until_due);
                // Once it may carry again, it does so at once.
                let most = if until_due.is_zero() { LOOK_INTERVAL } else { until_due };
                tokio::select! {
                    () = tokio::time::sleep(most.min(LOOK_INTERVAL)) => {}
                    Ok(()) = news.changed() => {}
                }
            }
            None => {
                let most = Duration::from_micros(self.pace.interval_us());
                tokio::time::sleep(most.clamp(DISTANT_LOOK_INTERVAL, LOOK_INTERVAL)).await;
            }
        }
    }

    /// Looks whether something is to be carried, and carries it. Nothing if a core did not answer.
    async fn look(&mut self) -> Option<()> {
        let (reply, answer) = oneshot::channel();
        let lane = self.lane.id.reversed();
        self.destination.put(Happening::ExpectedOf { lane, reply });
        let expected = within(CORE_TIMEOUT, answer).await?;
        let now = self.now_us();
        // Who would carry something asks for it at once.
        let carries = self.pace.is_ready(now);
        let found = self.ask(expected, carries).await?;
        let is_behind = found.end.is_some_and(|end| pace::is_behind(&end, &expected));
        if !self.pace.carries(now, &expected, is_behind) {
            return self.ask_another();
        }
        let found = if carries { found } else { self.ask(expected, true).await? };
        let Some(delivery) = found.delivery else {
            return self.ask_another();
        };
        self.pace.carried(now);
        let is_genuine = self.hand_over(*delivery).await;
        if !is_genuine && self.here.is_none() {
            self.distant.blame();
            return self.ask_another();
        }
        Some(())
    }

    async fn ask(&mut self, expected: Expected, carries: bool) -> Option<Found> {
        let lane = self.lane;
        match &self.here {
            Some(Here(source, _)) => ask_here(source, lane, expected, carries).await,
            None => self.distant.ask(lane, expected, carries).await,
        }
    }

    /// Whoever does not lead on is asked no more for now: it may be behind, or faulty.
    fn ask_another(&mut self) -> Option<()> {
        self.distant.turn = self.distant.turn.wrapping_add(1);
        Some(())
    }

    /// Has a delivery checked, and gives it to the destination. Says whether it was genuine.
    async fn hand_over(&self, delivery: Delivery) -> bool {
        let (keys, destination) = (self.keys.clone(), self.destination.clone());
        let (metrics, lane) = (self.metrics.clone(), self.lane);
        let (reply, answer) = oneshot::channel();
        rayon::spawn(move || {
            let receipts = delivery.receipts() as u64;
            let verified = keys.verify_delivery(delivery);
            let is_genuine = verified.is_ok();
            match verified {
                Ok(delivery) => {
                    metrics.carried(lane.from.shard, receipts);
                    destination.put(Happening::Deliver(Box::new(delivery)));
                }
                Err(error) => {
                    tracing::debug!(from = %lane.from.shard, to = %lane.to.shard, %error, "a false delivery");
                }
            }
            // The task may have ended.
            let _ = reply.send(is_genuine);
        });
        answer.await.unwrap_or(false)
    }
}

impl Distant {
    fn asked(&self) -> Option<ValidatorIndex> {
        let place = self.turn.checked_rem(self.validators.len())?;
        self.validators.get(place).copied()
    }

    /// The one that was asked last gave what is not genuine.
    fn blame(&self) {
        if let Some(asked) = self.asked() {
            self.transport.note_refused(asked);
        }
    }

    /// What the validator whose turn it is answers. Without an answer it is the next one's.
    async fn ask(&mut self, lane: Lane, expected: Expected, carries: bool) -> Option<Found> {
        let asked = self.asked()?;
        let (number, answer) = self.answers.expect(lane, asked);
        let ask = Envelope::Relay(RelayMessage::Ask { lane, number, expected, carries });
        self.transport.send(asked, Class::Sync, Bytes::from(encode(&ask)));
        let found = within(ANSWER_TIMEOUT, answer).await;
        self.answers.forget(lane);
        if found.is_none() {
            self.turn = self.turn.wrapping_add(1);
        }
        found
    }
}

/// What an own instance has.
async fn ask_here(post: &Post, lane: Lane, expected: Expected, carries: bool) -> Option<Found> {
    let (reply, answer) = oneshot::channel();
    post.put(Happening::Fetch { lane: lane.id, expected, carries, reply });
    within(CORE_TIMEOUT, answer).await
}

async fn within<T>(patience: Duration, answer: oneshot::Receiver<T>) -> Option<T> {
    tokio::time::timeout(patience, answer).await.ok()?.ok()
}
