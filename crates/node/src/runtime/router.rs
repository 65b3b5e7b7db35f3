//! Frames that come in: each to the instance that it is for.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use bytes::Bytes;
use qcn_shard::{Expected, Message};
use qcn_types::{ValidatorIndex, decode, encode};
use tokio::sync::{mpsc, oneshot};

use super::envelope::{Envelope, Found, Lane, RelayMessage, Station};
use super::epochs::Told;
use super::inbox::{Happening, Post};
use super::relay::Answers;
use super::seats::Seats;
use super::stage::{GuestMail, Stage};
use crate::transport::{Budget, Received, WaitingPlace};

/// How many times a second a validator may ask for announcements, or about lanes that nobody has.
const MAX_EPOCH_ASKS_PER_SECOND: u64 = 4;

/// How many times a second a validator may ask as a guest for the newest state, of all shards
/// together: it asks three members of each five times a second at most.
const MAX_OFFERS_PER_SECOND: u64 = 40;
/// And for chunks of states: more than it can check.
const MAX_CHUNKS_PER_SECOND: u64 = 1_000;

/// Decodes what peers send and hands it on. What does not decode, or is for a shard in which the
/// peer or this node has no seat, is the peer's fault. What is of an epoch that this node does not
/// know, or has left behind, is nobody's: one of the two is late.
pub(super) struct Router {
    /// Counts against a peer what it should not have sent.
    pub(super) refuse: Box<dyn Fn(ValidatorIndex) + Send>,
    /// Sends an answer to a peer.
    pub(super) send: Answering,
    pub(super) own: ValidatorIndex,
    pub(super) stage: Stage,
    pub(super) answers: Arc<Answers>,
    /// Where there are epochs: whoever follows them.
    pub(super) told: Option<mpsc::UnboundedSender<Told>>,
    pub(super) epoch_asks: Mutex<BTreeMap<ValidatorIndex, Budget>>,
    /// For offers and for chunks.
    pub(super) guest_asks: Mutex<BTreeMap<ValidatorIndex, [Budget; 2]>>,
}

/// The way of an answer to a peer.
pub(super) type Answering = Arc<dyn Fn(ValidatorIndex, Bytes) + Send + Sync>;

/// Why a frame is not taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub(super) enum Misdirected {
    #[error("it does not decode")]
    Malformed,
    #[error("it is for a shard that this node does not host")]
    NotHosted,
    #[error("its sender has no seat in the shard that it is about")]
    NoSeat,
    #[error("its sender asks more often than it may")]
    TooOften,
    #[error("it answers what was never asked")]
    NeverAsked,
    #[error("it is nothing that a guest may say")]
    NoGuest,
}

impl Router {
    pub(super) async fn run(self, mut received: mpsc::Receiver<Received>) {
        while let Some(Received { from, frame, place, .. }) = received.recv().await {
            let taken = match decode::<Envelope>(&frame) {
                Ok(envelope) => self.take(from, envelope, place),
                Err(_) => Err(Misdirected::Malformed),
            };
            if let Err(reason) = taken {
                tracing::debug!(%from, %reason, "a frame was refused");
                (self.refuse)(from);
            }
        }
    }

    fn take(
        &self,
        from: ValidatorIndex,
        envelope: Envelope,
        place: WaitingPlace,
    ) -> Result<(), Misdirected> {
        match envelope {
            Envelope::Shard(station, message) => {
                let Some(seats) = self.seats(from, station)? else { return Ok(()) };
                let seat = seats.seat(from).ok_or(Misdirected::NoSeat)?;
                if let Some(post) = self.hosted(&seats)? {
                    // A message keeps the place of its frame until the core takes it.
                    post.put(Happening::Message { from: seat, message, place });
                }
                Ok(())
            }
            Envelope::Guest(station, message) => {
                let Some(seats) = self.seats(from, station)? else { return Ok(()) };
                if !matches!(message, Message::SyncRequest { .. } | Message::ChunkRequest { .. }) {
                    return Err(Misdirected::NoGuest);
                }
                if !self.guest_may_ask(from, &message) {
                    return Err(Misdirected::TooOften);
                }
                if let Some(post) = self.hosted(&seats)? {
                    let from = Seats::guest(from);
                    post.put(Happening::Message { from, message, place });
                }
                Ok(())
            }
            Envelope::ToGuest(station, message) => {
                let Some(seats) = self.seats(from, station)? else { return Ok(()) };
                let seat = seats.seat(from).ok_or(Misdirected::NoSeat)?;
                self.stage.tell_guest(station, GuestMail { from: seat, message, place });
                Ok(())
            }
            Envelope::Relay(RelayMessage::Ask { lane, number, expected, carries }) => {
                self.answer_relayer(from, lane, number, (expected, carries), place)
            }
            Envelope::Relay(RelayMessage::Answer { lane, number, found }) => {
                if self.answers.take(from, lane, number, found) {
                    Ok(())
                } else {
                    Err(Misdirected::NeverAsked)
                }
            }
            Envelope::AskEpochs(above) => {
                self.may_ask(from)?;
                self.tell(Told::Asked { by: from, above });
                Ok(())
            }
            Envelope::Epochs(announcements) => {
                if !self.stage.was_asked(from) {
                    return Err(Misdirected::NeverAsked);
                }
                self.tell(Told::Announced { by: from, announcements: announcements.to_vec() });
                Ok(())
            }
        }
    }

    fn answer_relayer(
        &self,
        from: ValidatorIndex,
        lane: Lane,
        number: u64,
        (expected, carries): (Expected, bool),
        place: WaitingPlace,
    ) -> Result<(), Misdirected> {
        let (Some(source), Some(seats)) =
            (self.seats(from, lane.from)?, self.seats(from, lane.to)?)
        else {
            return Ok(());
        };
        if seats.seat(from).is_none() || !self.stage.is_lane(&lane) {
            return Err(Misdirected::NoSeat);
        }
        let Some(post) = self.hosted(&source)? else { return Ok(()) };
        if !self.answers.may_ask(Instant::now(), from, lane) {
            return Err(Misdirected::TooOften);
        }
        let (reply, found) = oneshot::channel();
        post.put(Happening::Fetch { lane: lane.id, expected, carries, reply });
        let send = Arc::clone(&self.send);
        // Bounded by the budget, and by the core, which answers or drops each question.
        tokio::spawn(answer(send, from, lane, number, found, place));
        Ok(())
    }

    /// Who sits in a shard; nothing if one of the two nodes is late.
    fn seats(&self, from: ValidatorIndex, station: Station) -> Result<Option<Seats>, Misdirected> {
        let seats = self.stage.seats(station);
        let newest = self.stage.newest();
        if seats.is_none() && station.epoch > newest && self.told.is_some() {
            if self.may_ask(from).is_ok() {
                self.tell(Told::Ahead { who: from, epoch: station.epoch });
            }
            return Ok(None);
        }
        let is_late = self.told.is_some() && station.epoch < newest;
        if seats.is_none() && !is_late {
            return Err(Misdirected::NotHosted);
        }
        Ok(seats)
    }

    /// The core of a shard; nothing if this node has a seat and is late.
    fn hosted(&self, seats: &Seats) -> Result<Option<Post>, Misdirected> {
        let hosted = self.stage.hosted(seats.station()).map(|hosted| hosted.post);
        let is_late = self.told.is_some() && seats.seat(self.own).is_some();
        if hosted.is_none() && !is_late { Err(Misdirected::NotHosted) } else { Ok(hosted) }
    }

    fn may_ask(&self, from: ValidatorIndex) -> Result<(), Misdirected> {
        let now = Instant::now();
        // Nothing that holds it panics halfway through a change.
        let mut asks = self.epoch_asks.lock().unwrap_or_else(PoisonError::into_inner);
        let budget = asks.entry(from);
        let budget = budget.or_insert_with(|| Budget::new(MAX_EPOCH_ASKS_PER_SECOND, now));
        if budget.try_one(now) { Ok(()) } else { Err(Misdirected::TooOften) }
    }

    /// Whether a peer asks as a guest no more often than one has to: the core, which has blocks to
    /// look at, answers it.
    fn guest_may_ask(&self, from: ValidatorIndex, message: &Message) -> bool {
        let now = Instant::now();
        // Nothing that holds it panics halfway through a change.
        let mut asks = self.guest_asks.lock().unwrap_or_else(PoisonError::into_inner);
        let [offers, chunks] = asks.entry(from).or_insert_with(|| {
            [MAX_OFFERS_PER_SECOND, MAX_CHUNKS_PER_SECOND].map(|most| Budget::new(most, now))
        });
        let budget = if matches!(message, Message::ChunkRequest { .. }) { chunks } else { offers };
        budget.try_one(now)
    }

    fn tell(&self, told: Told) {
        if let Some(followers) = &self.told {
            // Nobody follows any more while the node stops.
            let _ = followers.send(told);
        }
    }
}

/// Sends what the core has found. The question keeps its place until then.
async fn answer(
    send: Answering,
    to: ValidatorIndex,
    lane: Lane,
    number: u64,
    found: oneshot::Receiver<Found>,
    place: WaitingPlace,
) {
    if let Ok(found) = found.await {
        let answer = Envelope::Relay(RelayMessage::Answer { lane, number, found });
        send(to, Bytes::from(encode(&answer)));
    }
    drop(place);
}

#[cfg(test)]
mod tests;
