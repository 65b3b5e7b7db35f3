//! The queue of future events: a calendar queue, ordered by time and then by insertion.
//!
//! Most events lie within a few hundred milliseconds, so they fall into buckets of a wheel
//! and are sorted only when their bucket is reached; the few later ones wait in a heap.
//! Every operation costs tens of nanoseconds however many events there are.
//!
//! **Invariant**: events leave in the order of (time, sequence), and nothing else decides it.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// The width of a bucket, in microseconds, as a power of two.
const BUCKET_BITS: u32 = 6;
/// How many buckets the wheel has: half a second in all.
const BUCKETS: u64 = 8_192;

/// Future events of type `E`.
#[derive(Debug)]
pub(crate) struct EventQueue<E> {
    /// The bucket that is being emptied, latest first.
    current: Vec<Entry<E>>,
    current_bucket: u64,
    /// Bucket b lies at b modulo [`BUCKETS`], for the [`BUCKETS`] - 1 after the current one.
    wheel: Vec<Vec<Entry<E>>>,
    in_wheel: usize,
    far: BinaryHeap<Reverse<Entry<E>>>,
    sequence: u64,
    now: u64,
}

#[derive(Debug)]
struct Entry<E> {
    time: u64,
    sequence: u64,
    event: E,
}

impl<E> EventQueue<E> {
    pub(crate) fn new() -> Self {
        Self {
            current: Vec::new(),
            current_bucket: 0,
            wheel: (0..BUCKETS).map(|_| Vec::new()).collect(),
            in_wheel: 0,
            far: BinaryHeap::new(),
            sequence: 0,
            now: 0,
        }
    }

    /// How many events wait.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.current.len() + self.in_wheel + self.far.len()
    }

    /// Adds an event. One that lies in the past happens next.
    pub(crate) fn push(&mut self, time: u64, event: E) {
        let time = time.max(self.now);
        let entry = Entry { time, sequence: self.sequence, event };
        self.sequence += 1;
        let bucket = time >> BUCKET_BITS;
        if bucket <= self.current_bucket {
            let at = self.current.partition_point(|other| other.key() > entry.key());
            self.current.insert(at, entry);
        } else if bucket - self.current_bucket < BUCKETS {
            self.wheel[(bucket % BUCKETS) as usize].push(entry);
            self.in_wheel += 1;
        } else {
            self.far.push(Reverse(entry));
        }
    }

    /// When the next event happens.
    pub(crate) fn next_time(&mut self) -> Option<u64> {
        self.refill();
        self.current.last().map(|entry| entry.time)
    }

    /// Takes the next event.
    pub(crate) fn pop(&mut self) -> Option<(u64, E)> {
        self.refill();
        let entry = self.current.pop()?;
        self.now = entry.time;
        Some((entry.time, entry.event))
    }

    /// Moves on to the next bucket that has an event.
    fn refill(&mut self) {
        while self.current.is_empty() {
            if self.in_wheel > 0 {
                self.current_bucket += 1;
            } else if let Some(Reverse(entry)) = self.far.peek() {
                self.current_bucket = entry.time >> BUCKET_BITS;
            } else {
                return;
            }
            self.draw_near();
            let slot = &mut self.wheel[(self.current_bucket % BUCKETS) as usize];
            std::mem::swap(&mut self.current, slot);
            self.in_wheel -= self.current.len();
            self.current.sort_unstable_by_key(|entry| Reverse(entry.key()));
        }
    }

    /// Moves events from the heap that the wheel now reaches.
    fn draw_near(&mut self) {
        while let Some(Reverse(entry)) = self.far.peek() {
            let bucket = entry.time >> BUCKET_BITS;
            if bucket - self.current_bucket >= BUCKETS {
                return;
            }
            if let Some(Reverse(entry)) = self.far.pop() {
                self.wheel[(bucket % BUCKETS) as usize].push(entry);
                self.in_wheel += 1;
            }
        }
    }
}

impl<E> Entry<E> {
    const fn key(&self) -> (u64, u64) {
        (self.time, self.sequence)
    }
}

impl<E> PartialEq for Entry<E> {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl<E> Eq for Entry<E> {}

impl<E> PartialOrd for Entry<E> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<E> Ord for Entry<E> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.key().cmp(&other.key())
    }
}

#[cfg(test)]
mod tests;
