//! Frames that wait to be sent to one peer: bounded, and the oldest give way.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::Notify;

/// A queue that never blocks whoever fills it.
///
/// The newest frame of a validator says most, and what is missing can be asked for: so when the
/// queue is full, the oldest frames are dropped.
pub(super) struct Queue {
    max_frames: usize,
    max_bytes: usize,
    waiting: Mutex<Waiting>,
    filled: Notify,
}

#[derive(Default)]
struct Waiting {
    frames: VecDeque<Bytes>,
    bytes: usize,
}

impl Queue {
    pub(super) fn new(max_frames: usize, max_bytes: usize) -> Self {
        let waiting = Mutex::default();
        Self { max_frames, max_bytes, waiting, filled: Notify::new() }
    }

    /// Appends a frame, and says how many old ones were dropped for it.
    pub(super) fn push(&self, frame: Bytes) -> u64 {
        let mut dropped = 0;
        {
            let mut waiting = self.lock();
            waiting.bytes = waiting.bytes.saturating_add(frame.len());
            waiting.frames.push_back(frame);
            // The newest always stays, even one that is larger than the bound alone.
            while waiting.frames.len() > 1
                && (waiting.frames.len() > self.max_frames || waiting.bytes > self.max_bytes)
            {
                let Some(oldest) = waiting.frames.pop_front() else { break };
                waiting.bytes = waiting.bytes.saturating_sub(oldest.len());
                dropped += 1;
            }
        }
        self.filled.notify_one();
        dropped
    }

    /// Waits for frames and takes the oldest: one, and as many more as fit into `max_bytes`.
    pub(super) async fn next_batch(&self, max_bytes: usize) -> Vec<Bytes> {
        loop {
            let batch = self.take_batch(max_bytes);
            if !batch.is_empty() {
                return batch;
            }
            self.filled.notified().await;
        }
    }

    /// Drops everything, and says how many frames that were.
    pub(super) fn clear(&self) -> u64 {
        let waiting = std::mem::take(&mut *self.lock());
        waiting.frames.len() as u64
    }

    /// The bytes that wait.
    #[cfg(test)]
    pub(super) fn bytes(&self) -> usize {
        self.lock().bytes
    }

    fn take_batch(&self, max_bytes: usize) -> Vec<Bytes> {
        let mut waiting = self.lock();
        let mut batch = Vec::new();
        let mut room = max_bytes;
        while let Some(frame) = waiting.frames.front() {
            if !batch.is_empty() && frame.len() > room {
                break;
            }
            room = room.saturating_sub(frame.len());
            let Some(frame) = waiting.frames.pop_front() else { break };
            waiting.bytes = waiting.bytes.saturating_sub(frame.len());
            batch.push(frame);
        }
        batch
    }

    // Whole values are moved under the lock, so a panic elsewhere leaves no half of one.
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(mark: u8, bytes: usize) -> Bytes {
        vec![mark; bytes].into()
    }

    fn marks(queue: &Queue) -> Vec<u8> {
        queue.take_batch(usize::MAX).iter().map(|frame| frame[0]).collect()
    }

    #[test]
    fn the_oldest_give_way_by_number_and_by_bytes() {
        let queue = Queue::new(3, 100);
        let dropped: u64 = (0..5).map(|mark| queue.push(frame(mark, 10))).sum();
        assert_eq!((dropped, marks(&queue)), (2, vec![2, 3, 4]));

        let dropped: u64 = (0..3).map(|mark| queue.push(frame(mark, 40))).sum();
        assert_eq!((dropped, marks(&queue)), (1, vec![1, 2]));

        queue.push(frame(1, 10));
        assert_eq!(queue.push(frame(2, 1_000)), 1, "the newest stays whatever its size");
        assert_eq!(marks(&queue), [2]);
        assert_eq!(queue.lock().bytes, 0);
    }

    #[test]
    fn a_batch_has_one_frame_at_least_and_ends_at_its_bound() {
        let queue = Queue::new(10, 1_000);
        for mark in 0..4 {
            queue.push(frame(mark, 40));
        }
        assert_eq!(queue.take_batch(10).len(), 1);
        assert_eq!(queue.take_batch(80).len(), 2);
        assert_eq!(queue.clear(), 1);
        assert!(queue.take_batch(80).is_empty());
    }

    #[tokio::test]
    async fn whoever_waits_is_woken() {
        let queue = std::sync::Arc::new(Queue::new(10, 1_000));
        let waiter = tokio::spawn({
            let queue = queue.clone();
            async move { queue.next_batch(100).await }
        });
        tokio::task::yield_now().await;
        queue.push(frame(7, 1));
        assert_eq!(waiter.await.unwrap(), [frame(7, 1)]);
    }
}
