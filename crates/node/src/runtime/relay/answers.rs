//! The network side of relaying: questions of others, and the answers to the own.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use qcn_types::{Epoch, ValidatorIndex};
use tokio::sync::oneshot;

use super::super::envelope::{Found, Lane};
use crate::transport::Budget;

/// How many questions about one lane one validator may ask a second. An honest one asks eleven at
/// most: ten times while it looks, and once more for what it carries.
pub(crate) const MAX_ASKS_PER_SECOND: u64 = 20;

/// What is under way. Both maps are bounded by lanes and validators of the epochs that count.
#[derive(Default)]
pub(crate) struct Answers(Mutex<State>);

#[derive(Default)]
struct State {
    last_number: u64,
    awaited: BTreeMap<Lane, Awaited>,
    asked: BTreeMap<(ValidatorIndex, Lane), Budget>,
}

struct Awaited {
    number: u64,
    of: ValidatorIndex,
    reply: oneshot::Sender<Found>,
}

impl Answers {
    /// Notes that a validator is asked about a lane: the question's number, and where the answer
    /// comes. What was asked before about this lane is not awaited any more.
    pub(super) fn expect(&self, lane: Lane, of: ValidatorIndex) -> (u64, oneshot::Receiver<Found>) {
        let (reply, answer) = oneshot::channel();
        let mut state = self.lock();
        state.last_number += 1;
        let number = state.last_number;
        state.awaited.insert(lane, Awaited { number, of, reply });
        (number, answer)
    }

    pub(super) fn forget(&self, lane: Lane) {
        self.lock().awaited.remove(&lane);
    }

    /// An answer has come. Says whether it was awaited.
    pub(crate) fn take(&self, from: ValidatorIndex, lane: Lane, number: u64, found: Found) -> bool {
        let mut state = self.lock();
        // Late is not wrong: only numbers that were never given out are.
        let was_asked = number <= state.last_number;
        let fits = state
            .awaited
            .get(&lane)
            .is_some_and(|awaited| awaited.number == number && awaited.of == from);
        if fits && let Some(awaited) = state.awaited.remove(&lane) {
            // Whoever asked may have given up.
            let _ = awaited.reply.send(found);
        }
        fits || was_asked
    }

    /// Forgets what is of the epochs before one.
    pub(crate) fn forget_before(&self, epoch: Epoch) {
        let mut state = self.lock();
        state.awaited.retain(|lane, _| lane.to.epoch >= epoch);
        state.asked.retain(|(_, lane), _| lane.to.epoch >= epoch);
    }

    /// Whether a validator may ask once more about a lane that exists.
    pub(crate) fn may_ask(&self, now: Instant, from: ValidatorIndex, lane: Lane) -> bool {
        let mut state = self.lock();
        let budget = state
            .asked
            .entry((from, lane))
            .or_insert_with(|| Budget::new(MAX_ASKS_PER_SECOND, now));
        budget.try_one(now)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing that holds it panics halfway through a change.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::super::envelope::testing::lane;
    use super::*;

    const LANE: Lane = lane(0, 1);
    const ASKED: ValidatorIndex = ValidatorIndex(3);

    #[test]
    fn an_answer_counts_once_and_from_whom_it_was_asked() {
        let answers = Answers::default();
        let (number, mut answer) = answers.expect(LANE, ASKED);
        answers.take(ValidatorIndex(2), LANE, number, Found::default());
        assert!(answer.try_recv().is_err(), "somebody else has answered");
        assert!(!answers.take(ASKED, LANE, number + 1, Found::default()), "nobody asked that");
        assert!(answers.take(ASKED, LANE, number, Found::default()));
        assert!(answer.try_recv().is_ok());
        assert!(answers.take(ASKED, LANE, number, Found::default()), "late, and no fault");
    }

    #[test]
    fn who_asks_too_often_is_not_answered() {
        let (answers, now) = (Answers::default(), Instant::now());
        let asked = (0..100).filter(|_| answers.may_ask(now, ASKED, LANE)).count() as u64;
        assert_eq!(asked, MAX_ASKS_PER_SECOND);
        assert!(answers.may_ask(now, ValidatorIndex(1), LANE), "another one is not affected");
        assert!(answers.may_ask(now + Duration::from_secs(1), ASKED, LANE));
    }
}
