//! The one queue into the core. It is bounded by those who fill it, and nothing in it is lost.
//!
//! Answers to what the core itself asked for (a block checked, a record durable) are bounded by
//! what it asked for. A peer's message keeps its place among what that peer may have waiting, in
//! bytes and in number, so a peer that is faster than the core is not read from, and takes no room
//! of others. Clients' submissions are bounded before their signatures are checked. Relayers have
//! one question and one delivery on each lane; others' questions have a budget.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

use qcn_shard::{Expected, Message, Shard, SyncPackage};
use qcn_types::{
    Announcement, CompactBlock, Delivery, LaneId, Report, Transaction, TransactionId,
    ValidatorIndex, Verified, VerifiedBlock, VerifyError,
};
use tokio::sync::oneshot;

use super::envelope::Found;
use crate::storage::LogEvent;
use crate::transport::WaitingPlace;
use crate::view::SubmitError;

/// What happens to the core.
#[derive(Debug)]
pub(crate) enum Happening {
    /// A peer sent a message.
    Message { from: ValidatorIndex, message: Message, place: WaitingPlace },
    /// A block was checked.
    BlockVerified {
        from: ValidatorIndex,
        compact: Arc<CompactBlock>,
        outcome: Result<VerifiedBlock, VerifyError>,
    },
    /// The certificate of a sync package was checked.
    SyncVerified { from: ValidatorIndex, package: Arc<SyncPackage>, valid: bool },
    /// Transactions whose signatures were checked, in order, and who waits for the answers.
    Submitted(Checked),
    /// A relayer asks how far a lane is expected to be, which has the name that this end gives it.
    ExpectedOf { lane: LaneId, reply: oneshot::Sender<Expected> },
    /// A relayer asks what there is on a lane to another shard, and whether to hand it out.
    Fetch { lane: LaneId, expected: Expected, carries: bool, reply: oneshot::Sender<Found> },
    /// A relayer brings a delivery that was checked.
    Deliver(Box<Verified<Delivery>>),
    /// The plan of the next epoch, certified by the beacon.
    Announce(Box<Verified<Announcement>>),
    /// Something for the beacon.
    Report(Box<Verified<Report>>),
    /// The epoch is over, and nobody needs its rounds any more.
    Retire,
    /// Somebody asks for something that the machine has.
    Look(Look),
    /// The log has something to say.
    Log(LogEvent),
    /// Stop, and drop everything.
    Stop,
}

/// A question to the machine, and the way of the answer.
pub(crate) struct Look(Box<dyn FnOnce(&Shard) + Send>);

impl std::fmt::Debug for Look {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Look")
    }
}

impl Look {
    /// Looks.
    pub(crate) fn at(self, shard: &Shard) {
        (self.0)(shard);
    }
}

/// What became of a submission's signatures.
pub(crate) type Answers = Vec<Result<TransactionId, SubmitError>>;

/// A submission whose signatures were checked.
#[derive(Debug)]
pub(crate) struct Checked {
    pub(crate) transactions: Vec<Result<Verified<Transaction>, SubmitError>>,
    pub(crate) reply: oneshot::Sender<Answers>,
}

/// The core's end.
#[derive(Debug)]
pub(crate) struct Inbox {
    receiver: Receiver<Happening>,
}

/// Everybody else's end.
#[derive(Clone, Debug)]
pub(crate) struct Post {
    sender: Sender<Happening>,
}

/// A queue into a core.
pub(crate) fn inbox() -> (Post, Inbox) {
    let (sender, receiver) = channel();
    (Post { sender }, Inbox { receiver })
}

impl Post {
    /// Puts something in. If the core is gone, so is its interest.
    pub(crate) fn put(&self, happening: Happening) {
        let _ = self.sender.send(happening);
    }

    /// What the machine says to a question; nothing if the core is gone.
    pub(crate) async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&Shard) -> T + Send + 'static,
    ) -> Option<T> {
        let (reply, answer) = oneshot::channel();
        // Whoever asked may have given up.
        let look = move |shard: &Shard| drop(reply.send(question(shard)));
        self.put(Happening::Look(Look(Box::new(look))));
        answer.await.ok()
    }
}

impl Inbox {
    /// The next happening, or `None` once the time is up. A queue without senders says stop.
    pub(crate) fn next(&self, patience: Option<Duration>) -> Option<Happening> {
        match patience {
            Some(patience) => match self.receiver.recv_timeout(patience) {
                Ok(happening) => Some(happening),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => Some(Happening::Stop),
            },
            None => Some(self.receiver.recv().unwrap_or(Happening::Stop)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_runs_out_and_a_queue_without_senders_stops() {
        let (post, inbox) = inbox();
        assert!(inbox.next(Some(Duration::from_millis(1))).is_none());
        drop(post);
        assert!(matches!(inbox.next(None), Some(Happening::Stop)));
    }
}
