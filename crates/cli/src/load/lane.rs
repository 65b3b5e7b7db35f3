//! What one node is sent: the plan's transactions as they are due, and again those that the node
//! had no room for.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use qcn_crypto::Scheme;

use super::schedule::{LaneSchedule, Slot, Step};
use super::sender::Prepared;

/// The most bytes of one request; a node takes twice as many.
const REQUEST_BYTES_MAX: usize = 8 << 20;
/// The most bytes of a transaction besides its key and signature.
const BODY_BYTES_MAX: usize = 256;
/// The most transactions of one request.
pub const BATCH_MAX: usize = 2_000;
/// How long a node is left alone that has no room: it grows from the first to the last.
const PAUSE_FIRST: Duration = Duration::from_millis(10);
const PAUSE_LAST: Duration = Duration::from_millis(500);
/// How long a sender waits before it looks whether it is to stop.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// One thing to send.
#[derive(Debug)]
pub enum Item {
    /// It is signed.
    Signed(Prepared),
    /// It is to be signed now.
    Unsigned(Slot),
}

/// When the sending ends.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// From when the plan counts.
    pub start: Instant,
    /// What is due from then on is not sent.
    pub fresh_until: Option<Instant>,
    /// From when nothing is tried again.
    pub again_until: Option<Instant>,
}

/// What is left for one node. Its senders take turns.
#[derive(Debug)]
pub struct Lane {
    fresh: Mutex<Fresh>,
    again: Mutex<Again>,
    batch: usize,
}

#[derive(Debug)]
struct Fresh {
    schedule: LaneSchedule,
    /// Signed ahead, in the plan's order; empty where signing is done on the way.
    signed: VecDeque<Prepared>,
}

#[derive(Debug, Default)]
struct Again {
    waiting: VecDeque<Prepared>,
    resume_at: Option<Instant>,
    pause: Duration,
}

impl Lane {
    /// All that one node is to be sent.
    pub fn new(schedule: LaneSchedule, signed: VecDeque<Prepared>, batch: usize) -> Self {
        assert!((1..=BATCH_MAX).contains(&batch), "a batch within its limits");
        let fresh = Mutex::new(Fresh { schedule, signed });
        Self { fresh, again: Mutex::default(), batch }
    }

    /// Waits until something is due, and takes it; nothing once all is sent or time is up.
    ///
    /// Whoever waits holds the turn: the other senders of this node come after it.
    pub fn take(&self, limits: &dyn Fn() -> Limits) -> Option<Vec<Item>> {
        let mut fresh = lock(&self.fresh);
        loop {
            let limits = limits();
            let now = Instant::now();
            if limits.again_until.is_some_and(|end| now >= end) {
                return None;
            }
            let pause = match self.take_again(now) {
                Ok(again) if !again.is_empty() => return Some(again),
                Ok(_) => None,
                Err(pause) => Some(pause),
            };
            let wait = match pause {
                Some(pause) => pause,
                None => match step(&mut fresh.schedule, &limits, now, self.batch) {
                    Step::Send(slots) => return Some(fetch(&mut fresh.signed, slots)),
                    Step::Done => return None,
                    Step::WaitUntil(due) => (limits.start + due).saturating_duration_since(now),
                },
            };
            std::thread::park_timeout(wait.min(LOOK_AGAIN));
        }
    }

    /// Those that are to be tried again, as many as fit one request; how long to wait if the node
    /// is to be left alone.
    fn take_again(&self, now: Instant) -> Result<Vec<Item>, Duration> {
        let mut again = lock(&self.again);
        let pause = again.resume_at.map(|at| at.saturating_duration_since(now));
        if let Some(pause) = pause.filter(|pause| !pause.is_zero()) {
            return Err(pause);
        }
        let count = again.waiting.len().min(self.batch);
        Ok(again.waiting.drain(..count).map(Item::Signed).collect())
    }

    /// The node has room.
    pub fn note_success(&self) {
        let mut again = lock(&self.again);
        again.pause = Duration::ZERO;
        again.resume_at = None;
    }

    /// The node had no room for these: they are tried again after a pause.
    pub fn put_back(&self, transactions: Vec<Prepared>) {
        let mut again = lock(&self.again);
        again.waiting.extend(transactions);
        again.waiting.make_contiguous().sort_by_key(|one| (one.slot.due, one.slot.account));
        again.pause = (again.pause * 2).clamp(PAUSE_FIRST, PAUSE_LAST);
        again.resume_at = Some(Instant::now() + again.pause);
    }

    /// How many were due until `now` and never sent, or never taken in.
    pub fn left_over(&self, now: Duration) -> u64 {
        let waiting = lock(&self.again).waiting.len() as u64;
        waiting + lock(&self.fresh).schedule.behind(now)
    }
}

/// What the plan has now. What was due before the end is sent after it, too: leaving it out would
/// leave out the longest latencies.
fn step(schedule: &mut LaneSchedule, limits: &Limits, now: Instant, batch: usize) -> Step {
    let end = limits.fresh_until.filter(|end| now >= *end);
    let elapsed = end.unwrap_or(now).saturating_duration_since(limits.start);
    match schedule.step(elapsed, batch, end.is_some()) {
        Step::WaitUntil(_) if end.is_some() => Step::Done,
        step => step,
    }
}

/// Slots with their signed transactions, if they are signed.
fn fetch(signed: &mut VecDeque<Prepared>, slots: Vec<Slot>) -> Vec<Item> {
    let fetch = |slot| match signed.pop_front() {
        None => Item::Unsigned(slot),
        Some(prepared) => {
            assert_eq!(prepared.slot, slot, "signed in the order of the plan");
            Item::Signed(prepared)
        }
    };
    slots.into_iter().map(fetch).collect()
}

/// How many transactions of the largest of these schemes fit one request, at most `wanted`.
pub fn fitting_batch(schemes: impl Iterator<Item = Scheme>, wanted: usize) -> usize {
    let bytes = |scheme: Scheme| scheme.public_key_bytes() + scheme.signature_bytes();
    let largest = schemes.map(bytes).max().unwrap_or(0) + BODY_BYTES_MAX;
    wanted.min(REQUEST_BYTES_MAX / largest).clamp(1, BATCH_MAX)
}

/// Locks; a panic elsewhere leaves nothing half done that matters here.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::schedule::Schedule;
    use qcn_crypto::Digest;

    fn lane(total: u64, batch: usize) -> Lane {
        let schedule = Schedule { accounts: 2, nodes: 1, tps: 1e6, total: Some(total) };
        let signed = schedule.lane(0).rest().map(prepared).collect();
        Lane::new(schedule.lane(0), signed, batch)
    }

    fn prepared(slot: Slot) -> Prepared {
        Prepared { slot, id: Digest::ZERO, bytes: vec![0; 3], is_ambiguous: false }
    }

    /// Limits of a load that began a second ago.
    fn limits() -> Limits {
        let now = Instant::now();
        let start = now.checked_sub(Duration::from_secs(1)).unwrap();
        Limits { start, fresh_until: None, again_until: None }
    }

    fn signed(items: Vec<Item>) -> Vec<Prepared> {
        let signed = items.into_iter().map(|item| match item {
            Item::Signed(prepared) => prepared,
            Item::Unsigned(_) => panic!("all are signed"),
        });
        signed.collect()
    }

    #[test]
    fn a_request_holds_no_more_than_a_node_takes() {
        let sizes = std::iter::from_fn(|| lane(5, 2).take(&limits)).take(1).map(|one| one.len());
        assert_eq!(sizes.collect::<Vec<_>>(), [2]);
        assert_eq!(fitting_batch([Scheme::Falcon512].into_iter(), 100), 100);
        assert_eq!(fitting_batch([Scheme::Falcon512].into_iter(), 5_000), BATCH_MAX);
        let large = [Scheme::Falcon512, Scheme::SlhDsaSha2_256s].into_iter();
        assert_eq!(fitting_batch(large, BATCH_MAX), 278);
    }

    #[test]
    fn what_a_node_had_no_room_for_is_tried_again_in_its_order_before_anything_new() {
        let lane = lane(4, 2);
        let first = signed(lane.take(&limits).unwrap());
        let mut reversed = first;
        reversed.reverse();
        lane.put_back(reversed);
        let again = signed(lane.take(&limits).unwrap());
        let turns: Vec<_> = again.iter().map(|one| (one.slot.account, one.slot.turn)).collect();
        assert_eq!(turns, [(0, 0), (1, 0)]);
        lane.note_success();
        assert_eq!(signed(lane.take(&limits).unwrap())[0].slot.turn, 1);
        assert!(lane.take(&limits).is_none());
    }

    #[test]
    fn what_is_due_after_the_end_is_not_sent_and_what_is_left_over_is_counted() {
        let lane = lane(6, 2);
        let end = Duration::from_micros(2);
        let begun = limits();
        let over = || Limits { fresh_until: Some(begun.start + end), ..begun };
        let first = signed(lane.take(&over).unwrap());
        assert_eq!((first.len(), lane.left_over(Duration::from_micros(3))), (2, 1));
        assert_eq!(lane.take(&over).unwrap().len(), 1, "it was due before the end");
        assert!(lane.take(&over).is_none());
        lane.put_back(first);
        assert_eq!(lane.left_over(Duration::from_micros(3)), 2);
        let closed = || Limits { again_until: Some(Instant::now()), ..limits() };
        assert!(lane.take(&closed).is_none());
        assert_eq!(lane.take(&over).unwrap().len(), 2);
    }
}
