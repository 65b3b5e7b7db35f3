//! The one queue into the core, with a bound for what comes from outside.
//!
//! Answers to what the core itself asked for (a block checked, a record durable) are bounded by
//! what it asked for and are never lost. What peers and clients send is dropped or refused
//! beyond a bound: peers are asked again, clients are told to try again.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

use qcn_shard::{Message, SyncPackage};
use qcn_types::{
    CompactBlock, Transaction, TransactionId, ValidatorIndex, Verified, VerifiedBlock, VerifyError,
};
use tokio::sync::oneshot;

use crate::storage::LogEvent;
use crate::view::SubmitError;

/// The most messages of peers that wait for the core.
pub(crate) const MAX_WAITING_MESSAGES: usize = 8_192;

/// What happens to the core.
#[derive(Debug)]
pub(crate) enum Happening {
    /// A peer sent a message.
    Message { from: ValidatorIndex, message: Message },
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
    /// The log has something to say.
    Log(LogEvent),
    /// Stop, and drop everything.
    Stop,
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
    messages: Arc<AtomicUsize>,
}

/// Everybody else's end.
#[derive(Clone, Debug)]
pub(crate) struct Post {
    sender: Sender<Happening>,
    messages: Arc<AtomicUsize>,
}

/// A queue into a core.
pub(crate) fn inbox() -> (Post, Inbox) {
    let (sender, receiver) = channel();
    let messages = Arc::new(AtomicUsize::new(0));
    (Post { sender, messages: Arc::clone(&messages) }, Inbox { receiver, messages })
}

impl Post {
    /// Puts in what the core waits for. If the core is gone, so is its interest.
    pub(crate) fn put(&self, happening: Happening) {
        let _ = self.sender.send(happening);
    }

    /// Puts in a peer's message; false if too many wait already.
    pub(crate) fn put_message(&self, from: ValidatorIndex, message: Message) -> bool {
        if self.messages.fetch_add(1, Ordering::Relaxed) >= MAX_WAITING_MESSAGES {
            self.messages.fetch_sub(1, Ordering::Relaxed);
            return false;
        }
        self.put(Happening::Message { from, message });
        true
    }
}

impl Inbox {
    /// The next happening, or `None` once the time is up. A queue without senders says stop.
    pub(crate) fn next(&self, patience: Option<Duration>) -> Option<Happening> {
        let happening = match patience {
            Some(patience) => match self.receiver.recv_timeout(patience) {
                Ok(happening) => happening,
                Err(RecvTimeoutError::Timeout) => return None,
                Err(RecvTimeoutError::Disconnected) => Happening::Stop,
            },
            None => self.receiver.recv().unwrap_or(Happening::Stop),
        };
        if matches!(happening, Happening::Message { .. }) {
            self.messages.fetch_sub(1, Ordering::Relaxed);
        }
        Some(happening)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use qcn_types::Height;

    #[test]
    fn messages_are_bounded_and_answers_are_not() {
        let (post, inbox) = inbox();
        let message = || Message::SyncRequest { above: Height(1) };
        for _ in 0..MAX_WAITING_MESSAGES {
            assert!(post.put_message(ValidatorIndex(0), message()));
        }
        assert!(!post.put_message(ValidatorIndex(0), message()));
        post.put(Happening::Stop);
        assert!(matches!(inbox.next(None), Some(Happening::Message { .. })));
        assert!(post.put_message(ValidatorIndex(0), message()), "there is room again");
    }

    #[test]
    fn time_runs_out_and_a_queue_without_senders_stops() {
        let (post, inbox) = inbox();
        assert!(inbox.next(Some(Duration::from_millis(1))).is_none());
        drop(post);
        assert!(matches!(inbox.next(None), Some(Happening::Stop)));
    }
}
