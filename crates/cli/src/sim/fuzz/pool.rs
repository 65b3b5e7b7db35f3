//! Many seeds at a time.

use std::ops::Range;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use qcn_consensus::BrokenRule;
use qcn_sim::scenario::random_scenario;

use super::outcome::{Failure, Totals, Until, attempt};

/// How often the bar moves by itself.
const TICK: Duration = Duration::from_millis(200);

/// What the threads share.
struct Search {
    next: AtomicU64,
    end: u64,
    deadline: Option<Instant>,
    found: AtomicBool,
    totals: Mutex<(Totals, Option<Failure>)>,
    bar: ProgressBar,
    rule: Option<BrokenRule>,
}

/// Runs seeds in order until the end, the limit or the first failure. Seeds that are under way
/// then are finished, and of several failures that of the lowest seed counts: so the outcome
/// does not depend on how many run at a time.
pub fn search(
    seeds: Range<u64>,
    limit: Option<Duration>,
    jobs: usize,
    rule: Option<BrokenRule>,
) -> (Totals, Option<Failure>) {
    let begun = Instant::now();
    let search = Search {
        next: AtomicU64::new(seeds.start),
        end: seeds.end,
        deadline: limit.map(|limit| begun + limit),
        found: AtomicBool::new(false),
        totals: Mutex::default(),
        bar: progress_bar(&seeds, limit.is_some()),
        rule,
    };
    search.bar.enable_steady_tick(TICK);
    std::thread::scope(|scope| {
        for _ in 0..jobs {
            scope.spawn(|| search.work());
        }
    });
    search.bar.finish_and_clear();
    let last = search.next.load(Ordering::Relaxed).min(seeds.end);
    let totals = search.totals.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    let (mut totals, failure) = totals;
    totals.range = (seeds.start, last);
    totals.wall_seconds = begun.elapsed().as_secs_f64();
    (totals, failure)
}

impl Search {
    fn work(&self) {
        while let Some(seed) = self.take() {
            let (result, failure) =
                attempt(&random_scenario(seed), self.rule, Until::FirstViolation);
            self.found.fetch_or(failure.is_some(), Ordering::Relaxed);
            let totals = self.totals.lock();
            let mut totals = totals.unwrap_or_else(std::sync::PoisonError::into_inner);
            let (totals, lowest) = &mut *totals;
            totals.seeds += 1;
            if let Some(result) = &result {
                totals.add(result);
            }
            if let Some(failure) = failure
                && lowest.as_ref().is_none_or(|lowest| seed < lowest.seed)
            {
                *lowest = Some(failure);
            }
            self.bar.inc(1);
        }
    }

    /// The next seed, unless it is time to stop.
    fn take(&self) -> Option<u64> {
        let late = self.deadline.is_some_and(|deadline| Instant::now() >= deadline);
        if late || self.found.load(Ordering::Relaxed) {
            return None;
        }
        let seed = self.next.fetch_add(1, Ordering::Relaxed);
        (seed < self.end).then_some(seed)
    }
}

/// A bar on standard error, hidden where that is no terminal. A search that ends by the clock
/// has no length.
fn progress_bar(seeds: &Range<u64>, by_clock: bool) -> ProgressBar {
    if by_clock {
        return spinner("scenarios without a violation");
    }
    let bar = ProgressBar::new(seeds.end - seeds.start);
    let template = "[{bar:36}] {pos} of {len} seeds, {per_sec}, no violation, {eta} left";
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style.progress_chars("=> "));
    }
    bar
}

/// A bar that counts without knowing how far.
pub fn spinner(what: &str) -> ProgressBar {
    let bar = ProgressBar::new_spinner();
    if let Ok(style) = ProgressStyle::with_template("{spinner} {pos} {msg}, {elapsed}, {per_sec}") {
        bar.set_style(style);
    }
    bar.set_message(what.to_owned());
    bar
}
