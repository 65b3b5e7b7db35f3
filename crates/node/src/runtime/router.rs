//! Frames that come in: each to the instance that it is for.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use qcn_types::{ShardId, ValidatorIndex, decode, encode};
use tokio::sync::{mpsc, oneshot};

use super::envelope::{Envelope, Found, Lane, RelayMessage};
use super::inbox::{Happening, Post};
use super::relay::Answers;
use super::seats::Seats;
use crate::transport::{Received, WaitingPlace};

/// An instance of this node.
pub(super) struct Destination {
    pub(super) seats: Seats,
    pub(super) post: Post,
}

/// Decodes what peers send and hands it on. What does not decode, or is for a shard in which the
/// peer or this node has no seat, is the peer's fault.
pub(super) struct Router {
    /// Counts against a peer what it should not have sent.
    pub(super) refuse: Box<dyn Fn(ValidatorIndex) + Send>,
    /// Sends an answer to a peer.
    pub(super) send: Answering,
    /// Of all shards, hosted here or not.
    pub(super) seats: Vec<Seats>,
    pub(super) hosted: Vec<Destination>,
    pub(super) answers: Arc<Answers>,
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
            Envelope::Shard(shard, message) => {
                let destination = self.hosted(shard)?;
                let seat = destination.seats.seat(from).ok_or(Misdirected::NoSeat)?;
                // A message keeps the place of its frame until the core takes it.
                destination.post.put(Happening::Message { from: seat, message, place });
                Ok(())
            }
            Envelope::Relay(RelayMessage::Ask { lane, number, expected, carries }) => {
                let source = self.hosted(lane.from)?;
                let destination = self.seats.iter().find(|seats| seats.shard() == lane.to);
                let is_seated = destination.is_some_and(|seats| seats.seat(from).is_some());
                if !is_seated || lane.from == lane.to {
                    return Err(Misdirected::NoSeat);
                }
                if !self.answers.may_ask(Instant::now(), from, lane) {
                    return Err(Misdirected::TooOften);
                }
                let (reply, found) = oneshot::channel();
                source.post.put(Happening::Fetch { to: lane.to, expected, carries, reply });
                let send = Arc::clone(&self.send);
                // Bounded by the budget, and by the core, which answers or drops each question.
                tokio::spawn(answer(send, from, lane, number, found, place));
                Ok(())
            }
            Envelope::Relay(RelayMessage::Answer { lane, number, found }) => {
                if self.answers.take(from, lane, number, found) {
                    Ok(())
                } else {
                    Err(Misdirected::NeverAsked)
                }
            }
        }
    }

    fn hosted(&self, shard: ShardId) -> Result<&Destination, Misdirected> {
        let found = self.hosted.iter().find(|one| one.seats.shard() == shard);
        found.ok_or(Misdirected::NotHosted)
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
