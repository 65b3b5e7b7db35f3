//! A validator's processor: one core that does one thing at a time, in order of arrival.
//!
//! A task takes effect when it is done. Times are kept in nanoseconds, so that cheap tasks do
//! not all round up to a microsecond.

use std::collections::VecDeque;

use crate::costs::Work;

/// The most tasks that wait; what comes then is dropped, as a full socket buffer drops it.
pub(crate) const MAX_TASKS: usize = 200_000;

/// The core and its queue of tasks.
#[derive(Debug)]
pub(crate) struct Cpu<T> {
    /// Processing power in thousandths.
    power_permille: u64,
    waiting: VecDeque<(T, u64)>,
    /// The task in hand and when it is done, in nanoseconds.
    running: Option<T>,
    free_ns: u64,
    /// Nanoseconds spent so far, by kind of work.
    pub(crate) spent_ns: [u64; Work::COUNT],
    /// How many tasks were dropped because too many waited.
    pub(crate) dropped: u64,
}

impl<T> Cpu<T> {
    pub(crate) fn new(power_permille: u64) -> Self {
        Self {
            power_permille: power_permille.max(1),
            waiting: VecDeque::new(),
            running: None,
            free_ns: 0,
            spent_ns: [0; Work::COUNT],
            dropped: 0,
        }
    }

    /// What work of so many calibrated nanoseconds takes here; counts it.
    pub(crate) fn charge(&mut self, kind: Work, cost_ns: u64) -> u64 {
        let cost = cost_ns * 1_000 / self.power_permille;
        self.spent_ns[kind as usize] += cost;
        cost
    }

    /// Queues a task that takes `cost_ns` here. If the core was idle it begins at once, and the
    /// time at which it is done is returned, in microseconds.
    pub(crate) fn submit(&mut self, now: u64, task: T, cost_ns: u64) -> Option<u64> {
        if self.running.is_some() {
            if self.waiting.len() >= MAX_TASKS {
                self.dropped += 1;
            } else {
                self.waiting.push_back((task, cost_ns));
            }
            return None;
        }
        Some(self.begin(now, task, cost_ns))
    }

    /// Takes the task that is done.
    pub(crate) fn finish(&mut self) -> Option<T> {
        self.running.take()
    }

    /// Begins the next task, and says when it will be done, in microseconds.
    pub(crate) fn next(&mut self, now: u64) -> Option<u64> {
        if self.running.is_some() {
            return None;
        }
        let (task, cost_ns) = self.waiting.pop_front()?;
        Some(self.begin(now, task, cost_ns))
    }

    /// Work that nothing waits for, done before the next task.
    pub(crate) fn occupy(&mut self, now: u64, cost_ns: u64) {
        self.free_ns = self.free_ns.max(now * 1_000) + cost_ns;
    }

    /// Forgets everything: the process died.
    pub(crate) fn clear(&mut self) {
        self.waiting.clear();
        self.running = None;
        self.free_ns = 0;
    }

    /// How many tasks wait or run.
    #[cfg(test)]
    pub(crate) fn backlog(&self) -> usize {
        self.waiting.len() + usize::from(self.running.is_some())
    }

    fn begin(&mut self, now: u64, task: T, cost_ns: u64) -> u64 {
        // The event of the task before came at the microsecond after it was done, so the
        // core may have been free for a part of this one.
        let start = self.free_ns.max((now * 1_000).saturating_sub(999));
        self.free_ns = start + cost_ns;
        self.running = Some(task);
        self.free_ns.div_ceil(1_000).max(now)
    }
}

#[cfg(test)]
mod tests;
